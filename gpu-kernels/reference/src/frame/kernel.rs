//! The five functions of a kernel, and what they give back.

use core::any::Any;
use std::sync::Arc;

use cpc_primitives::result::{Geometry, KernelId};
use cpc_primitives::{Digest, Domain};

use crate::frame::{BadSpec, Cpu, Inputs, Job, Plan, PrepareError, Price, RunError, Secret, Watch};

/// A computation that can be bought, in one frozen version (KER-1).
///
/// `price` and `plan` need the spec alone, so that a market can quote before it holds any input. The other functions are
/// those of a [`PreparedTask`], which only `prepare` makes.
pub trait Kernel: Send + Sync {
    /// Which computation, in which version of its bits.
    fn id(&self) -> KernelId;

    /// Its name as a challenge type.
    fn name(&self) -> &'static str;

    /// What a spec costs and asks for; a spec out of bounds is refused with the bound.
    fn price(&self, spec: &[u8]) -> Result<Price, BadSpec>;

    /// The jobs of a task that is split into so many; an impossible count is refused.
    fn plan(&self, spec: &[u8], jobs: u32) -> Result<Plan, BadSpec>;

    /// Reads spec and inputs once for all jobs of the task, and expands what they share.
    fn prepare(
        &self,
        spec: &[u8],
        inputs: &Inputs,
        cpu: Cpu,
        watch: &Watch,
    ) -> Result<Arc<dyn PreparedTask>, PrepareError>;
}

/// A task whose spec and inputs were checked.
pub trait PreparedTask: Any + Send + Sync {
    /// Which computation.
    fn kernel(&self) -> KernelId;

    /// The output of one job, by the reference on the processor. Every other executor gives the same bytes.
    fn run(&self, geometry: &Geometry, cpu: Cpu, watch: &Watch) -> Result<Output, RunError>;

    /// A check of this task's outputs under one secret. What all jobs share is computed here, once.
    fn checker(&self, secret: Secret, effort: Effort, cpu: Cpu, watch: &Watch) -> Result<Box<dyn Checker>, RunError>;

    /// With which probability a forged output passes a check of this effort.
    fn soundness(&self, effort: Effort) -> Soundness;

    /// The outputs of all jobs in their order, as files for people: names with bytes. What is hashed is the outputs.
    fn assemble(&self, plan: &Plan, outputs: &[Vec<u8>]) -> Result<Vec<(String, Vec<u8>)>, RunError>;

    /// How many disputable units the output of a job has.
    fn unit_count(&self, geometry: &Geometry) -> Result<u64, RunError>;

    /// One disputable unit, computed again by the scalar path and by nothing else (KER-9).
    fn unit(&self, geometry: &Geometry, unit: u64, watch: &Watch) -> Result<Vec<u8>, RunError>;

    /// Where the bytes of a unit stand in the output of its job.
    fn unit_bytes(&self, geometry: &Geometry, unit: u64) -> Result<core::ops::Range<usize>, RunError>;

    /// For executors of other devices, which know the task behind the trait.
    fn as_any(&self) -> &dyn Any;
}

/// A check of one task under one secret.
pub trait Checker: Send {
    /// Judges the output of one job.
    fn check(&mut self, job: &Job, output: &[u8], watch: &Watch) -> Result<Judgement, RunError>;
}

/// What a job gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// What is hashed and handed to the customer.
    pub bytes: Vec<u8>,
    /// The root over the run's checkpoints, where the kernel has them.
    pub trace: Option<Digest>,
}

impl Output {
    /// An output without checkpoints.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, trace: None }
    }

    /// The hash that a result names (KER-10).
    pub fn hash(&self) -> Digest {
        Domain::JobOutput.hash_bytes(&self.bytes)
    }
}

/// How much a check looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// What a member of a committee samples in secret.
    Spot,
    /// The kernel's whole check.
    Full,
}

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// Why the output is wrong; `None` accepts it.
    pub wrong: Option<Wrong>,
    /// The commitment to the sample.
    pub sample: Digest,
    /// The digest under the sample of values that are not in the output.
    pub digest: Digest,
}

/// Why an output is wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Wrong {
    /// Not the length that the geometry gives.
    #[error("the output has {found} bytes, and the job has {expected}")]
    Length {
        /// What the geometry gives.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A value that no honest run writes.
    #[error("the output's value {index} is {found:#010x}, which no run writes")]
    Value {
        /// Which value.
        index: u64,
        /// Its bits.
        found: u32,
    },
    /// The check's equation does not hold. Where the check can tell, it names a unit that is wrong.
    #[error("the output does not satisfy the check{}", .unit.map_or(String::new(), |unit| format!(": unit {unit} is wrong")))]
    Unequal {
        /// The unit that is wrong.
        unit: Option<u64>,
    },
}

/// How much a forger risks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Soundness {
    /// The share of an output that is forged; 0 stands for a single wrong value.
    pub forged: f64,
    /// The probability that it passes.
    pub missed: f64,
}
