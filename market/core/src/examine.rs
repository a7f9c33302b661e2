//! The heavy work that a market asks for: preparing tasks, judging outputs, running jobs, measuring workers.
//!
//! A shell calls this where it may take its time. What tasks share is kept, a bounded number of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use cpc_kernels::frame::{BadSpec, Judgement, PrepareError};
use cpc_kernels::synthetic::{Seed, SyntheticSpec};
use cpc_kernels::{
    Checker, Cpu, Effort, Executor, Inputs, Job, PreparedTask, Registry, RunError, Secret, Watch, synthetic,
};
use cpc_market_wire::Probe;
use cpc_primitives::codec::Bounded;
use cpc_primitives::ids::{Epoch, JobIndex, TaskId, Units};
use cpc_primitives::result::{KernelId, TaskOrder};
use cpc_primitives::{Address, Digest, Domain, PublicKey};

use crate::limits::{PROBE_LEVELS, PROBE_SIZE, PROBE_STEPS};

/// Tasks that one examiner keeps prepared.
const PREPARED_MAX: usize = 64;

/// What came of a look at something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Examined {
    /// It can be computed and judged.
    Sound,
    /// Nobody can compute it.
    BadSpec(BadSpec),
    /// This machine could not tell.
    Failed(RunError),
}

/// Prepared tasks, and the checks that are under way.
pub struct Examiner {
    registry: Registry,
    cpu: Cpu,
    kept: BTreeMap<TaskId, Kept>,
    uses: u64,
}

struct Kept {
    prepared: Arc<dyn PreparedTask>,
    /// The check under the secret of one epoch.
    checker: Option<(Under, Box<dyn Checker>)>,
    used: u64,
}

/// Under what a check draws its sample: the epoch, the secret, and how much is looked at.
type Under = (Epoch, Digest, Effort);

impl Examiner {
    /// An examiner that uses the processor so.
    pub fn new(cpu: Cpu) -> Self {
        Self { registry: Registry::all(), cpu, kept: BTreeMap::new(), uses: 0 }
    }

    /// Reads what is ordered and its inputs, once for all jobs (MKT-6).
    pub fn prepare(&mut self, task: TaskId, order: &TaskOrder, inputs: &Inputs, watch: &Watch) -> Examined {
        if self.kept.contains_key(&task) {
            return Examined::Sound;
        }
        let plan = self.registry.plan(order.kernel, &order.spec, &order.inputs, order.jobs, order.units);
        let kernel = match plan.and_then(|_| self.registry.kernel(order.kernel)) {
            Ok(kernel) => kernel,
            Err(bad) => return Examined::BadSpec(bad),
        };
        match kernel.prepare(&order.spec, inputs, self.cpu, watch) {
            Ok(prepared) => {
                self.keep(task, prepared);
                Examined::Sound
            }
            Err(PrepareError::BadSpec(bad)) => Examined::BadSpec(bad),
            Err(PrepareError::Run(error)) => Examined::Failed(error),
        }
    }

    fn keep(&mut self, task: TaskId, prepared: Arc<dyn PreparedTask>) {
        if self.kept.len() >= PREPARED_MAX {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(task, _)| *task);
            oldest.and_then(|oldest| self.kept.remove(&oldest));
        }
        self.uses = self.uses.saturating_add(1);
        self.kept.insert(task, Kept { prepared, checker: None, used: self.uses });
    }

    /// A task that was prepared, and is still kept.
    pub fn prepared(&mut self, task: &TaskId) -> Option<Arc<dyn PreparedTask>> {
        self.uses = self.uses.saturating_add(1);
        let kept = self.kept.get_mut(task)?;
        kept.used = self.uses;
        Some(kept.prepared.clone())
    }

    /// Judges an output under the seat's secret of an epoch; nothing where the task is not prepared here (MKT-11).
    #[allow(clippy::too_many_arguments, reason = "what a sample is drawn from, and what it judges")]
    pub fn judge(
        &mut self,
        task: &TaskId,
        epoch: Epoch,
        secret: Digest,
        effort: Effort,
        job: &Job,
        output: &[u8],
        watch: &Watch,
    ) -> Option<Result<Judgement, RunError>> {
        self.uses = self.uses.saturating_add(1);
        let kept = self.kept.get_mut(task)?;
        kept.used = self.uses;
        let under = (epoch, secret, effort);
        if kept.checker.as_ref().is_none_or(|(of, _)| *of != under) {
            let secret = Secret { seat: secret, task: *task };
            match kept.prepared.checker(secret, effort, self.cpu, watch) {
                Ok(checker) => kept.checker = Some((under, checker)),
                Err(error) => return Some(Err(error)),
            }
        }
        let (_, checker) = kept.checker.as_mut()?;
        Some(checker.check(job, output, watch))
    }

    /// Runs a job and judges it as a member of a committee would: a fault of the device is found before anything is
    /// signed (MKT-18).
    pub fn compute(
        &mut self,
        task: &TaskId,
        job: &Job,
        secret: Digest,
        executor: &dyn Executor,
        watch: &Watch,
    ) -> Option<Result<Vec<u8>, RunError>> {
        let prepared = self.prepared(task)?;
        let output = match executor.run(prepared.as_ref(), &job.geometry, watch) {
            Ok(output) => output.bytes,
            Err(error) => return Some(Err(error)),
        };
        match self.judge(task, Epoch(0), secret, Effort::Spot, job, &output, watch)? {
            Ok(Judgement { wrong: None, .. }) => Some(Ok(output)),
            Ok(Judgement { wrong: Some(wrong), .. }) => Some(Err(RunError::Device { reason: wrong.to_string() })),
            Err(error) => Some(Err(error)),
        }
    }

    /// Lets a task go.
    pub fn forget(&mut self, task: &TaskId) {
        self.kept.remove(task);
    }

    /// Whether a worker's answer to a measuring job is right.
    pub fn judge_probe(&self, probe: &ProbeJob, secret: Digest, output: &[u8], watch: &Watch) -> bool {
        let Ok(kernel) = self.registry.kernel(probe.kernel()) else { return false };
        let (Ok(prepared), Ok(plan)) =
            (kernel.prepare(&probe.spec, &Inputs::none(), self.cpu, watch), kernel.plan(&probe.spec, 1))
        else {
            return false;
        };
        let Some(job) = plan.job(JobIndex(0)) else { return false };
        let secret = Secret { seat: secret, task: TaskId(probe.id()) };
        let checker = prepared.checker(secret, Effort::Spot, self.cpu, watch);
        let judged = checker.and_then(|mut checker| checker.check(&job, output, watch));
        judged.is_ok_and(|judgement| judgement.wrong.is_none())
    }

    /// The output of a measuring job.
    pub fn compute_probe(&self, probe: &Probe, executor: &dyn Executor, watch: &Watch) -> Result<Vec<u8>, RunError> {
        let device = |reason: String| RunError::Device { reason };
        let kernel = self.registry.kernel(probe.kernel).map_err(|bad| device(bad.to_string()))?;
        let prepared = kernel.prepare(&probe.spec, &Inputs::none(), self.cpu, watch);
        let prepared = prepared.map_err(|error| device(error.to_string()))?;
        let plan = kernel.plan(&probe.spec, 1).map_err(|bad| device(bad.to_string()))?;
        let job = plan.job(JobIndex(0)).ok_or_else(|| device("a plan without a job".to_owned()))?;
        executor.run(prepared.as_ref(), &job.geometry, watch).map(|output| output.bytes)
    }
}

/// A job that only measures: nobody can have its output beforehand, and its check costs a small part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeJob {
    id: Digest,
    spec: Vec<u8>,
    units: Units,
}

/// The measuring job of a level, from the beacon and both sides of the connection (MKT-7).
pub fn probe(validator: &PublicKey, worker: &Address, beacon: &Digest, level: u32) -> ProbeJob {
    let id = Domain::ProbeSeed.hash(&(*beacon, *validator, *worker, level));
    let iterations = PROBE_STEPS.checked_shl(level.min(PROBE_LEVELS).saturating_mul(2)).unwrap_or(PROBE_STEPS);
    let seed = Seed::new(id.0.to_vec()).expect("a digest is as long as the longest seed");
    let spec = SyntheticSpec { seed, matrix_size: PROBE_SIZE, iterations };
    ProbeJob { id, units: spec.units(), spec: spec.bytes() }
}

impl ProbeJob {
    /// Its name.
    pub fn id(&self) -> Digest {
        self.id
    }

    /// What it computes.
    pub fn kernel(&self) -> KernelId {
        synthetic::ID
    }

    /// What it costs.
    pub fn units(&self) -> Units {
        self.units
    }

    /// What the worker is told.
    pub fn message(&self) -> Probe {
        let spec = Bounded::new(self.spec.clone()).expect("a synthetic spec is short");
        Probe { id: self.id, kernel: self.kernel(), spec, inputs: Bounded::default() }
    }
}
