//! Tasks, verdicts and the leaves under a header's compute root.

use wincode::{SchemaRead, SchemaWrite};

use crate::amount::Amount;
use crate::codec::Bounded;
use crate::hash::{Digest, Domain};
use crate::ids::{Address, ChainId, Height, JobIndex, TaskId, TimeMs, Units};
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::limits::{INPUTS_MAX, PATH_STEPS_MAX, SPEC_BYTES_MAX};
use crate::merkle;
use crate::signing::Claim;

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
    /// Whose word it is: the seat's place among the seats of the epoch in which the committee was drawn.
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
///
/// The key stands in it, so that the signature is checked before anything of the state is known; that it is the key of
/// the seat, the state says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct SignedRoot {
    /// When the committee was drawn.
    pub drawn: Height,
    /// Whose verdicts: the seat's place among the seats of the epoch in which the committee was drawn.
    pub seat: u16,
    /// The seat's verdict key.
    pub key: PublicKey,
    /// The root of the seat's verdicts.
    pub root: Digest,
    /// The signature by that key.
    pub signature: Signature,
}

impl SignedRoot {
    /// Signs the root of a seat's verdicts.
    pub fn sign(key: &SecretKey, chain: ChainId, drawn: Height, seat: u16, root: Digest) -> Self {
        let signature = key.sign_digest(&Self::message(chain, drawn, &root));
        Self { drawn, seat, key: key.public(), root, signature }
    }

    /// What the seat signs.
    pub fn message(chain: ChainId, drawn: Height, root: &Digest) -> Digest {
        Domain::VerdictSign.hash(&(chain, drawn, *root))
    }

    /// What has to hold for the signature to be true.
    pub fn claim(&self, chain: ChainId) -> Claim {
        let message = Self::message(chain, self.drawn, &self.root);
        Claim { key: self.key, message, signature: self.signature }
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

impl Attestation {
    /// Demands that a seat's signed root holds its verdict on this result (RES-4).
    pub fn verify(
        &self,
        result: &ComputeResult,
        finding: Finding,
        signed: &SignedRoot,
    ) -> Result<(), merkle::PathError> {
        let Self { sample, digest, .. } = *self;
        let verdict = Verdict { result: *result, finding, seat: signed.seat, sample, digest };
        self.path.verify(verdict.leaf(), signed.root)
    }
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

/// What a settlement is about (SET-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum Subject {
    /// One job with its accepted result.
    Job(ComputeResult),
    /// All jobs of a task that had no accepted result when it ended, together.
    Rest(Unfinished),
}

/// The jobs of a task that ended without an accepted result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Unfinished {
    /// Whose order.
    pub task: TaskId,
    /// What should have been computed.
    pub kernel: KernelId,
    /// The hash of the task's spec.
    pub spec: Digest,
    /// How many jobs.
    pub jobs: u32,
}

/// How the reward of one job, or of all jobs without a result, was divided: a leaf of the settlements root (SET-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Settlement {
    /// What it is about.
    pub subject: Subject,
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
    /// Whose task it is about.
    pub const fn task(&self) -> TaskId {
        match &self.subject {
            Subject::Job(result) => result.task,
            Subject::Rest(unfinished) => unfinished.task,
        }
    }

    /// Everything that it divides: the reward of its subject.
    ///
    /// `None` where the parts are more than can ever exist, which no block's settlement is.
    pub fn reward(&self) -> Option<Amount> {
        let Self { burn, worker, validators, treasury, refund, .. } = *self;
        [burn, worker, validators, treasury, refund].into_iter().try_fold(Amount::ZERO, Amount::checked_add)
    }

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

impl TaskOrder {
    /// The hash of the spec, by which results name it.
    pub fn spec_hash(&self) -> Digest {
        Domain::TaskSpec.hash_bytes(&self.spec)
    }

    /// What one job of the task pays; `None` where there is no such job (TASK-4).
    pub fn job_reward(&self, job: JobIndex) -> Option<Amount> {
        share(self.reward.units(), job, self.jobs).map(Amount::new)
    }

    /// What one job of the task costs to compute; `None` where there is no such job (TASK-4).
    pub fn job_units(&self, job: JobIndex) -> Option<Units> {
        share(self.units.0, job, self.jobs).map(Units)
    }
}

/// TASK-4: job i of J has `floor(T (i + 1) / J) - floor(T i / J)` of a total T, so that the shares add up to it.
fn share(total: u128, JobIndex(index): JobIndex, jobs: u32) -> Option<u128> {
    let next = index.checked_add(1).filter(|next| *next <= jobs)?;
    let (whole, rest) = (total.checked_div(jobs.into())?, total.checked_rem(jobs.into())?);
    // The rest is below 2^32, so that its products fit. What is left of the total below a place is the whole parts
    // and as many units of the rest.
    let ones = |place: u32| rest.checked_mul(place.into())?.checked_div(jobs.into());
    whole.checked_add(ones(next)?.checked_sub(ones(index)?)?)
}

const _: () = assert!(PATH_STEPS_MAX <= 32, "a path fits the count of its tree");

#[cfg(test)]
mod tests {
    use super::*;

    fn order(units: u128, reward: u128, jobs: u32) -> TaskOrder {
        TaskOrder {
            kernel: KernelId { challenge: Challenge::Synthetic, version: 1 },
            spec: Bounded::default(),
            inputs: Bounded::default(),
            units: Units(units),
            jobs,
            reward: Amount::new(reward),
            deadline: TimeMs(0),
            lease_blocks: 0,
            assurance: Assurance::Spot,
        }
    }

    #[test]
    fn the_shares_of_the_jobs_are_those_of_the_formula_and_add_up() {
        for (total, jobs) in [(0, 1), (1, 7), (99, 10), (1 << 90, 3), ((1 << 90) - 1, 1 << 10), (12_345, 12_345)] {
            let order = order(total, total, jobs);
            let mut sum = 0;
            for index in 0..jobs {
                let (i, j) = (u128::from(index), u128::from(jobs));
                let share = total * (i + 1) / j - total * i / j;
                assert_eq!(order.job_reward(JobIndex(index)), Some(Amount::new(share)), "{index} of {total}/{jobs}");
                assert_eq!(order.job_units(JobIndex(index)), Some(Units(share)), "{index} of {total}/{jobs}");
                sum += share;
            }
            assert_eq!(sum, total);
        }
        let largest = order(u128::MAX, 1, 3);
        let sum: u128 = (0..3).filter_map(|index| largest.job_units(JobIndex(index))).map(|units| units.0).sum();
        assert_eq!(sum, u128::MAX);
    }

    #[test]
    fn a_job_beyond_the_last_has_no_share() {
        assert_eq!(order(10, 10, 3).job_reward(JobIndex(3)), None);
        assert_eq!(order(10, 10, 0).job_reward(JobIndex(0)), None);
        assert_eq!(order(10, 10, u32::MAX).job_units(JobIndex(u32::MAX)), None);
    }

    #[test]
    fn an_attestation_speaks_for_its_seat_and_its_finding_alone() {
        let key = SecretKey::from_seed(&[5; 32]);
        let result = ComputeResult {
            task: TaskId(Digest([1; 32])),
            job: JobIndex(0),
            kernel: order(1, 1, 1).kernel,
            spec: Digest::ZERO,
            geometry: Geometry { origin: [0; 3], extent: [1; 3] },
            units: Units(1),
            worker: Address([2; 20]),
            output: Digest([3; 32]),
            output_bytes: 4,
        };
        let verdict =
            |seat| Verdict { result, finding: Finding::Accept, seat, sample: Digest([6; 32]), digest: Digest([7; 32]) };
        let leaves = [verdict(4).leaf(), verdict(5).leaf()];
        let signed = SignedRoot::sign(&key, ChainId(7), Height(9), 4, merkle::root(&leaves));
        assert_eq!(signed.claim(ChainId(7)).verify(), Ok(()));
        assert!(signed.claim(ChainId(8)).verify().is_err());
        assert!(SignedRoot { drawn: Height(10), ..signed }.claim(ChainId(7)).verify().is_err());
        let path = merkle::path(&leaves, 0).expect("in the list");
        let attestation = Attestation { signed_root: 0, sample: Digest([6; 32]), digest: Digest([7; 32]), path };
        assert_eq!(attestation.verify(&result, Finding::Accept, &signed), Ok(()));
        assert!(attestation.verify(&result, Finding::BadSpec, &signed).is_err());
        let other = ComputeResult { output_bytes: 5, ..result };
        assert!(attestation.verify(&other, Finding::Accept, &signed).is_err());
        assert!(attestation.verify(&result, Finding::Accept, &SignedRoot { seat: 5, ..signed }).is_err());
    }
}
