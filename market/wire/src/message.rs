//! The kinds of messages, and the replies to them.

use cpc_primitives::codec::Bounded;
use cpc_primitives::ids::Height;
use cpc_primitives::limits::{INPUTS_MAX, SPEC_BYTES_MAX};
use cpc_primitives::result::{BlobRef, ComputeResult, Finding, KernelId, SignedRoot, Verdict};
use cpc_primitives::{Address, Digest, PublicKey, TaskId};
use wincode::{SchemaRead, SchemaWrite};

use crate::lease::Lease;
use crate::limits::{DEVICE_BYTES_MAX, ITEMS_MAX, PROBE_OUTPUT_BYTES_MAX, WORKER_KERNELS_MAX};
use crate::refusal::Refusal;
use crate::signed::Signed;

/// What one side tells the other. The wire number is the place in this list, and never changes (WIRE-5).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum Message {
    /// A worker says who it is and what it can do.
    Hello(Signed<Hello>),
    /// An orchestrator offers jobs to one worker; it tells the committee the same.
    Offers(Signed<Offers>),
    /// A worker commits itself to outputs that it does not show yet.
    Commits(Signed<Commits>),
    /// A worker shows what it committed itself to; the bytes are fetched by hash.
    Openings(Signed<Openings>),
    /// A worker says how far its jobs are, and how many more it takes.
    Report(Report),
    /// A worker gives jobs back that it had taken.
    GivenBack(Bounded<Refused, ITEMS_MAX>),
    /// A member of a committee has all that these tasks read, and can judge them.
    Held(Bounded<RoundRef, ITEMS_MAX>),
    /// A member's verdicts with its signature over their root.
    Verdicts(Verdicts),
    /// A member says what it found, to the orchestrator and to the worker. It binds nobody.
    Findings(Bounded<LeaseFinding, ITEMS_MAX>),
    /// A validator measures a worker.
    Probe(Probe),
    /// What the measure gave.
    ProbeDone(ProbeDone),
    /// Jobs that nobody waits for any more.
    CalledOff(Bounded<Lease, ITEMS_MAX>),
}

/// Who a worker is and what it can do, bound to both ends of the connection (WIRE-8).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Hello {
    /// The account that is bonded.
    pub worker: Address,
    /// The key of this end of the connection: said by another, this means nothing.
    pub from: PublicKey,
    /// The key of the other end.
    pub to: PublicKey,
    /// The last block that the worker knows.
    pub height: Height,
    /// What it computes.
    pub kernels: Bounded<KernelId, WORKER_KERNELS_MAX>,
    /// How many jobs it takes at once.
    pub credits: u16,
    /// What computes, in words for people.
    pub device: Bounded<u8, DEVICE_BYTES_MAX>,
}

/// Jobs for one worker, signed by the verdict key of the seat that orchestrates at that height.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Offers {
    /// The verdict key that signs.
    pub signer: PublicKey,
    /// For whom.
    pub worker: Address,
    /// At which height.
    pub issued: Height,
    /// The jobs.
    pub items: Bounded<Offer, ITEMS_MAX>,
}

/// One job for a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Offer {
    /// Which job, in which attempt.
    pub lease: Lease,
    /// The last height at which the worker holds it.
    pub until: Height,
}

/// What a worker commits itself to, signed by its hot key.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Commits {
    /// Who.
    pub worker: Address,
    /// To what.
    pub items: Bounded<Commit, ITEMS_MAX>,
}

/// The commitment to one output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Commit {
    /// Under which lease.
    pub lease: Lease,
    /// The hash of output hash, worker and salt (WIRE-6).
    pub commitment: Digest,
}

/// The results of a worker, signed by its hot key.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Openings {
    /// Who.
    pub worker: Address,
    /// What came out.
    pub items: Bounded<Opening, ITEMS_MAX>,
}

/// One result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Opening {
    /// Under which lease.
    pub lease: Lease,
    /// The hash of the output, under which its bytes are fetched.
    pub output: Digest,
    /// How many bytes it has.
    pub bytes: u64,
    /// What hid the output until now.
    pub salt: Digest,
}

/// How far a worker is.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Report {
    /// How many further jobs it takes.
    pub credits: u16,
    /// The jobs that it holds.
    pub items: Bounded<Progress, ITEMS_MAX>,
}

/// How far a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Progress {
    /// Which job.
    pub lease: Lease,
    /// Thousandths that are done.
    pub done: u16,
}

/// A job that comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Refused {
    /// Which one.
    pub lease: Lease,
    /// Why.
    pub reason: Refusal,
}

/// A task with the draw of its committee.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, SchemaRead, SchemaWrite)]
pub struct RoundRef {
    /// Which task.
    pub task: TaskId,
    /// When its committee was drawn.
    pub drawn: Height,
}

/// Verdicts of one seat. The items are the leaves of the signed root, in their order, all of one draw and one seat
/// (WIRE-7).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Verdicts {
    /// The seat's signature.
    pub signed: SignedRoot,
    /// What it signed.
    pub items: Bounded<VerdictItem, ITEMS_MAX>,
}

/// A verdict without its seat, which its root has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct VerdictItem {
    /// What it is about.
    pub result: ComputeResult,
    /// What was found.
    pub finding: Finding,
    /// The commitment to the seat's secret sample.
    pub sample: Digest,
    /// A digest under that sample of values that are not in the output.
    pub digest: Digest,
}

impl VerdictItem {
    /// The verdict of a seat.
    pub fn of(&self, seat: u16) -> Verdict {
        Verdict { result: self.result, finding: self.finding, seat, sample: self.sample, digest: self.digest }
    }
}

/// What a member found under a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct LeaseFinding {
    /// Under which lease.
    pub lease: Lease,
    /// What.
    pub judged: Judged,
}

/// What a member found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum Judged {
    /// The output satisfies the member's sample.
    Right,
    /// It does not.
    Wrong,
    /// Its bytes did not come.
    Missing,
}

/// A job that only measures.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Probe {
    /// Its name.
    pub id: Digest,
    /// What to compute.
    pub kernel: KernelId,
    /// The kernel's parameters.
    pub spec: Bounded<u8, SPEC_BYTES_MAX>,
    /// What it reads.
    pub inputs: Bounded<BlobRef, INPUTS_MAX>,
}

/// What a measure gave: the output itself, because it is short.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct ProbeDone {
    /// The name of the probe.
    pub id: Digest,
    /// The output of its only job.
    pub output: Bounded<u8, PROBE_OUTPUT_BYTES_MAX>,
}

/// The answer to a message. The wire number is the place in this list (WIRE-9).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum Reply {
    /// Each item was looked at; the answers stand in the order of the items. A message without items has none.
    Items(Bounded<Answer, ITEMS_MAX>),
    /// The whole message was refused.
    Refused(Refusal),
}

/// The answer to one item.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum Answer {
    /// It was taken, or had been taken before.
    Taken,
    /// It was not.
    Refused(Refusal),
}

impl Reply {
    /// The reply to a message without items that was taken.
    pub fn taken() -> Self {
        Self::Items(Bounded::default())
    }

    /// The answer to the item at a place.
    pub fn item(&self, place: usize) -> Answer {
        match self {
            // A peer that answers fewer items than it was told of has not taken the rest.
            Self::Items(items) => items.get(place).copied().unwrap_or(Answer::Refused(Refusal::Full)),
            Self::Refused(reason) => Answer::Refused(*reason),
        }
    }
}
