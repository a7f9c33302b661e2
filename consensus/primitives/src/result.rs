//! Tasks, verdicts and the leaves under a header's compute root.

use wincode::{SchemaRead, SchemaWrite};

use crate::amount::Amount;
use crate::codec::Bounded;
use crate::hash::{Digest, Domain};
use crate::ids::{Address, ChainId, Height, JobIndex, TaskId, TimeMs, Units};
use crate::limits::{INPUTS_MAX, PATH_STEPS_MAX, SPEC_BYTES_MAX};
use crate::merkle;

/// A computation that can be bought: its kind, and the frozen version of its bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, SchemaRead, SchemaWrite)]
pub struct KernelId {
    /// What is computed.
    pub challenge: Challenge,
    /// Which frozen version of it.
    pub version: u16,
}

/// The kinds of computation. The wire number is the place in this list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, SchemaRead, SchemaWrite)]
pub enum Challenge {
    /// Products over a prime field.
    Synthetic,
    /// Pictures of a scene.
    Rendering,
    /// Answers of a language model.
    Inference,
    /// Weights of a model.
    Training,
    /// A customer's own program.
    Function,
}

/// How the customer wants results to be checked; part of the price.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum Assurance {
    /// Each member of the committee checks its secret sample.
    Spot,
    /// Each signing member makes the kernel's whole check.
    Full,
    /// So many workers compute the same job.
    Quorum {
        /// How many.
        workers: u8,
    },
}

/// A blob by its hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct BlobRef {
    /// BLAKE3 of the bytes.
    pub hash: Digest,
    /// How many bytes.
    pub bytes: u64,
}

/// A task as its customer orders it (TASK-3).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct TaskOrder {
    /// What to compute, and in which version.
    pub kernel: KernelId,
    /// The kernel's own parameters in canonical bytes.
    pub spec: Bounded<u8, SPEC_BYTES_MAX>,
    /// What it reads.
    pub inputs: Bounded<BlobRef, INPUTS_MAX>,
    /// What the whole task costs to compute.
    pub units: Units,
    /// Into how many jobs it is split.
    pub jobs: u32,
    /// What the customer pays for all of it.
    pub reward: Amount,
    /// When jobs without an accepted result are refunded.
    pub deadline: TimeMs,
    /// How long a worker may hold a job, in blocks.
    pub lease_blocks: u32,
    /// How results are checked.
    pub assurance: Assurance,
}

/// Which part of a task a job is: for rendering frame, x and y; for synthetic the first column and how many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Geometry {
    /// Where the part begins.
    pub origin: [u32; 3],
    /// How far it reaches.
    pub extent: [u32; 3],
}

/// What was computed, by whom, and what came out: the common part of a verdict and the leaf of a result.
///
/// Under a header's results root this is exactly the leaf of RES-1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct ComputeResult {
    /// Whose order.
    pub task: TaskId,
    /// Which part.
    pub job: JobIndex,
    /// What was computed.
    pub kernel: KernelId,
    /// The hash of the task's spec.
    pub spec: Digest,
    /// Where in the task the part is.
    pub geometry: Geometry,
    /// What the part costs to compute.
    pub units: Units,
    /// Who computed it.
    pub worker: Address,
    /// The hash of the output.
    pub output: Digest,
    /// How many bytes the output has.
    pub output_bytes: u64,
}

/// What a member of the committee found (RES-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum Finding {
    /// The result is right, as far as the member's sample shows.
    Accept,
    /// The plan, the units or the spec are out of bounds: the task is closed.
    BadSpec,
    /// The inputs are not to be had: the task is closed.
    InputUnavailable,
}

/// One seat's word on one job (RES-2): a leaf of the tree whose root the seat signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Verdict {
    /// What it is about.
    pub result: ComputeResult,
    /// What was found.
    pub finding: Finding,
    /// Which seat of the committee.
    pub seat: u16,
    /// The commitment to the seat's secret sample.
    pub sample: Digest,
    /// A digest under that sample of values that are not in the output.
    pub digest: Digest,
}

impl Verdict {
    /// The leaf of this verdict under its seat's root.
    pub fn leaf(&self) -> Digest {
        Domain::VerdictLeaf.hash(self)
    }
}

/// One seat's signature over all its verdicts of one draw (RES-3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct SignedRoot {
    /// When the committee was drawn.
    pub drawn: Height,
    /// Which seat of the committee signs.
    pub seat: u16,
    /// The root of the seat's verdicts.
    pub root: Digest,
    /// The seat's signature, by its verdict key.
    pub signature: crate::keys::Signature,
}

impl SignedRoot {
    /// What the seat signs.
    pub fn message(chain: ChainId, drawn: Height, root: &Digest) -> Digest {
        Domain::VerdictSign.hash(&(chain, drawn, *root))
    }
}

/// What one seat adds to the common part of an entry.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Attestation {
    /// Which of the transaction's signed roots.
    pub signed_root: u16,
    /// The commitment to the seat's secret sample.
    pub sample: Digest,
    /// The digest under that sample.
    pub digest: Digest,
    /// The way from the verdict to the signed root.
    pub path: merkle::MerklePath,
}

/// How a job ended (SET-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum Outcome {
    /// The result stood through its window and was paid.
    Settled,
    /// The deadline came without an accepted result.
    DeadlinePassed,
    /// The customer called it off in time.
    Cancelled,
    /// The spec was out of bounds.
    BadSpec,
    /// The inputs were not to be had.
    InputUnavailable,
    /// The result was wrong: its worker lost its bond.
    Slashed,
    /// No host could verify the disputed unit.
    Unverifiable,
}

/// How the reward of one job was divided: a leaf of the settlements root (SET-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Settlement {
    /// What it is about.
    pub result: ComputeResult,
    /// How it ended.
    pub outcome: Outcome,
    /// What was burned.
    pub burn: Amount,
    /// What the worker got.
    pub worker: Amount,
    /// What the committee got.
    pub validators: Amount,
    /// What the treasury got.
    pub treasury: Amount,
    /// What went back to the customer.
    pub refund: Amount,
}

impl ComputeResult {
    /// The leaf under a header's results root (RES-1).
    pub fn leaf(&self) -> Digest {
        Domain::ResultLeaf.hash(self)
    }
}

impl Settlement {
    /// The leaf under a header's settlements root (SET-1).
    pub fn leaf(&self) -> Digest {
        Domain::SettlementLeaf.hash(self)
    }
}

/// Both parts of what a header says about computation (ROOT-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct ComputeRoots {
    /// The root over the block's accepted results, in their order.
    pub results: Digest,
    /// The root over the block's settlements, in their order.
    pub settlements: Digest,
    /// How many results.
    pub result_count: u32,
    /// How many settlements.
    pub settlement_count: u32,
}

impl ComputeRoots {
    /// The roots of a block's results and settlements.
    ///
    /// Panics where a list is longer than 32 bits count; a block's gas and bytes keep it far shorter.
    pub fn of(results: &[ComputeResult], settlements: &[Settlement]) -> Self {
        let results: Vec<Digest> = results.iter().map(ComputeResult::leaf).collect();
        let settlements: Vec<Digest> = settlements.iter().map(Settlement::leaf).collect();
        let count = |leaves: &[Digest]| u32::try_from(leaves.len()).expect("a block's gas bounds its leaves");
        Self {
            results: merkle::root(&results),
            settlements: merkle::root(&settlements),
            result_count: count(&results),
            settlement_count: count(&settlements),
        }
    }

    /// The compute root of a header (ROOT-1).
    pub fn digest(&self) -> Digest {
        Domain::ComputeRoot.hash(self)
    }
}

const _: () = assert!(PATH_STEPS_MAX <= 32, "a path fits the count of its tree");
