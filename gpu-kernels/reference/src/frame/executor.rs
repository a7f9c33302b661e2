//! The port to devices, and the reference executor: this machine's processor.

use cpc_primitives::result::Geometry;

use crate::frame::{Output, PreparedTask, RunError, Watch};
use crate::simd::Level;

/// A device that runs jobs. All executors give the same bytes (KER-1).
pub trait Executor: Send + Sync {
    /// The device in words, as `cpu (avx512, 2 threads)`.
    fn describe(&self) -> String;

    /// The output of one job.
    fn run(&self, task: &dyn PreparedTask, geometry: &Geometry, watch: &Watch) -> Result<Output, RunError>;
}

/// How the processor is used. It changes the time, never a bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cpu {
    /// Which instructions.
    pub level: Level,
}

impl Cpu {
    /// The widest instructions that this machine has.
    pub fn best() -> Self {
        Self { level: Level::best() }
    }
}

/// The processor as an executor, with threads of its own.
pub struct Reference {
    cpu: Cpu,
    threads: rayon::ThreadPool,
}

impl Reference {
    /// So many threads of this machine, with these instructions.
    pub fn new(cpu: Cpu, threads: usize) -> Result<Self, RunError> {
        let named = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|index| format!("kernel-{index}"));
        let threads = named.build().map_err(|error| RunError::Device { reason: error.to_string() })?;
        Ok(Self { cpu, threads })
    }

    /// How the processor is used.
    pub fn cpu(&self) -> Cpu {
        self.cpu
    }

    /// Runs something else with the same threads: a preparation, or a check.
    pub fn with<R: Send>(&self, work: impl FnOnce(Cpu) -> R + Send) -> R {
        self.threads.install(|| work(self.cpu))
    }
}

impl Executor for Reference {
    fn describe(&self) -> String {
        format!("cpu ({}, {} threads)", self.cpu.level, self.threads.current_num_threads())
    }

    fn run(&self, task: &dyn PreparedTask, geometry: &Geometry, watch: &Watch) -> Result<Output, RunError> {
        self.with(|cpu| task.run(geometry, cpu, watch))
    }
}
