//! What a node remembers of a task: its jobs, and the round of its committee.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cpc_kernels::frame::BadSpec;
use cpc_market_wire::{Lease, VerdictItem};
use cpc_primitives::ids::{Epoch, Height, JobIndex, TaskId};
use cpc_primitives::result::{ComputeResult, Finding, SignedRoot, TaskOrder};
use cpc_primitives::{Address, Digest};

use crate::chain::Committee;
use crate::count::SeatSet;
use crate::plan::JobPlan;
use crate::reason::Waiting;

/// An open task.
pub(crate) struct Task {
    pub(crate) order: TaskOrder,
    /// Whoever cannot plan an order says the same as everybody: it is a bad spec.
    pub(crate) plan: Result<Arc<JobPlan>, BadSpec>,
    pub(crate) stages: Vec<Stage>,
    /// Jobs that have not ended.
    pub(crate) left: u32,
    pub(crate) cancelled: bool,
    pub(crate) round: Option<Round>,
    pub(crate) waiting: Waiting,
}

/// Where a job stands on the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Open,
    Accepted,
    Ended,
}

/// Everything that belongs to one draw of the committee; the next draw begins anew.
pub(crate) struct Round {
    pub(crate) committee: Committee,
    /// This node's place, where it has one.
    pub(crate) own: Option<u16>,
    pub(crate) payload: Payload,
    /// Places that hold the payload.
    pub(crate) held: SeatSet,
    /// Places that know that this node holds it.
    pub(crate) told: SeatSet,
    pub(crate) jobs: BTreeMap<JobIndex, JobState>,
    /// Jobs whose last offer failed.
    pub(crate) retry: BTreeSet<JobIndex>,
    /// Jobs that a quorum has decided and no block has.
    pub(crate) ready: BTreeSet<JobIndex>,
    /// The first job that was never offered.
    pub(crate) fresh: u32,
}

/// What this node has of what the task reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Payload {
    /// It is being fetched and prepared.
    Preparing {
        since: Height,
    },
    /// It could not be had yet, and is asked for again.
    Missing {
        since: Height,
    },
    Held,
    BadSpec,
    NoInputs,
}

/// One job in this round.
#[derive(Default)]
pub(crate) struct JobState {
    /// The offers, by rising attempt.
    pub(crate) offers: Vec<Given>,
    pub(crate) commitment: Option<Committed>,
    pub(crate) shown: Option<Shown>,
    pub(crate) own: Own,
    /// By place.
    pub(crate) verdicts: BTreeMap<u16, Attested>,
    /// What each place said first.
    pub(crate) said: BTreeMap<u16, (ComputeResult, Finding)>,
    pub(crate) submitted: Option<Height>,
    pub(crate) accepted: Option<OnChain>,
}

/// One attempt: a worker that has the job, or had it.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) attempt: u16,
    pub(crate) worker: Address,
    pub(crate) until: Height,
    pub(crate) issued: Height,
    /// Whether this node made the offer.
    pub(crate) own: bool,
    /// Places that know of the offer.
    pub(crate) told: SeatSet,
    /// When it was offered, reported or committed last.
    pub(crate) heard: Height,
    pub(crate) failed: bool,
    /// Places that called its output wrong.
    pub(crate) wrong: SeatSet,
}

/// The first commitment that came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed {
    pub(crate) attempt: u16,
    pub(crate) worker: Address,
    pub(crate) commitment: Digest,
    pub(crate) until: Height,
}

/// What a commitment was opened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) attempt: u16,
    pub(crate) worker: Address,
    pub(crate) output: Digest,
    pub(crate) bytes: u64,
}

/// What this node found of a job's output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Own {
    #[default]
    Nothing,
    /// The bytes are on their way.
    Fetching,
    /// They came, and are being judged under the secret of this epoch.
    Judging { epoch: Epoch },
    /// They satisfy the sample: this node signs for this worker and no other.
    Right,
}

/// A seat's verdict with the root that it signed.
#[derive(Clone, Debug)]
pub(crate) struct Attested {
    pub(crate) item: VerdictItem,
    pub(crate) root: Arc<Root>,
    /// The verdict's place among the leaves.
    pub(crate) at: usize,
}

/// A signed root with its leaves, from which every path is made.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) signed: SignedRoot,
    pub(crate) leaves: Vec<Digest>,
    /// Which jobs the leaves are about, in their order.
    pub(crate) keys: Vec<(TaskId, JobIndex)>,
}

/// An accepted result, as long as verdicts may be added.
#[derive(Clone, Debug)]
pub(crate) struct OnChain {
    pub(crate) result: ComputeResult,
    pub(crate) until: Height,
    /// Places that count.
    pub(crate) seats: SeatSet,
    /// When further ones were submitted last.
    pub(crate) added: Option<Height>,
}

impl Task {
    /// Whether a job waits for a result.
    pub(crate) fn is_open(&self, job: JobIndex) -> bool {
        self.stage(job) == Some(Stage::Open)
    }

    /// Which round it is in.
    pub(crate) fn drawn(&self) -> Option<Height> {
        self.round.as_ref().map(|round| round.committee.drawn)
    }

    pub(crate) fn stage(&self, job: JobIndex) -> Option<Stage> {
        self.stages.get(usize::try_from(job.0).ok()?).copied()
    }

    /// Moves a job forward; it never goes back.
    pub(crate) fn advance(&mut self, job: JobIndex, to: Stage) {
        let Some(stage) = usize::try_from(job.0).ok().and_then(|at| self.stages.get_mut(at)) else { return };
        if *stage != Stage::Ended && to == Stage::Ended {
            self.left = self.left.saturating_sub(1);
        }
        if *stage == Stage::Open || to == Stage::Ended {
            *stage = to;
        }
    }
}

impl Round {
    pub(crate) fn new(committee: Committee, own: Option<u16>, now: Height) -> Self {
        Self {
            committee,
            own,
            payload: Payload::Preparing { since: now },
            held: SeatSet::default(),
            told: SeatSet::default(),
            jobs: BTreeMap::new(),
            retry: BTreeSet::new(),
            ready: BTreeSet::new(),
            fresh: 0,
        }
    }

    /// Whether this round has so many members with the payload that jobs can be judged.
    pub(crate) fn is_held(&self) -> bool {
        self.held.len() >= self.committee.quorum
    }

    pub(crate) fn lease(&self, task: TaskId, job: JobIndex, attempt: u16) -> Lease {
        Lease { task, drawn: self.committee.drawn, job, attempt }
    }
}

impl JobState {
    pub(crate) fn offer(&self, attempt: u16) -> Option<&Given> {
        self.offers.iter().find(|given| given.attempt == attempt)
    }

    pub(crate) fn offer_mut(&mut self, attempt: u16) -> Option<&mut Given> {
        self.offers.iter_mut().find(|given| given.attempt == attempt)
    }

    /// Whether a worker still holds the job, or has shown what may still find its quorum.
    pub(crate) fn is_with_somebody(&self, now: Height) -> bool {
        let lives = |attempt: u16| !self.has_failed(attempt);
        self.offers.iter().any(|given| !given.failed && given.until >= now)
            || self.commitment.is_some_and(|committed| committed.until >= now && lives(committed.attempt))
            || self.shown.is_some_and(|shown| self.own != Own::Nothing && lives(shown.attempt))
    }

    fn has_failed(&self, attempt: u16) -> bool {
        self.offer(attempt).is_none_or(|given| given.failed)
    }

    /// MKT-11: what a quorum of seats says alike, and who they are.
    pub(crate) fn decided(&self, quorum: u16) -> Option<(ComputeResult, Finding, Vec<u16>)> {
        self.verdicts.values().find_map(|candidate| {
            let VerdictItem { result, finding, .. } = candidate.item;
            let alike: Vec<u16> = self.agreeing(&result, finding).collect();
            let enough = u16::try_from(alike.len()).is_ok_and(|count| count >= quorum);
            enough.then_some((result, finding, alike))
        })
    }

    /// The places that say exactly this.
    pub(crate) fn agreeing(&self, result: &ComputeResult, finding: Finding) -> impl Iterator<Item = u16> {
        let alike = self.verdicts.iter().filter(move |(_, a)| a.item.result == *result && a.item.finding == finding);
        alike.map(|(place, _)| *place)
    }
}
