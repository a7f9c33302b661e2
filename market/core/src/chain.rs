//! What the market knows of the chain: final blocks, and what they changed, as plain values.
//!
//! The node makes these from the ledger's state; the market never reads the ledger itself, so that a bug of the market
//! cannot fork the chain.

use cpc_primitives::ids::{Epoch, Height, JobIndex, TaskId, TimeMs};
use cpc_primitives::result::{ComputeResult, Outcome, TaskOrder};
use cpc_primitives::{Address, Amount, Digest, PublicKey};

/// A final block, as the market sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalBlock {
    /// Its height.
    pub height: Height,
    /// Its time.
    pub time: TimeMs,
    /// Its epoch: whose secret samples are drawn from.
    pub epoch: Epoch,
    /// The beacon after it.
    pub beacon: Digest,
    /// What it changed, in the order of the block.
    pub changes: Vec<Change>,
}

/// One change. A node that starts gets every open task as if a block had brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A task whose reward is locked.
    Opened {
        /// Its name.
        task: TaskId,
        /// What is ordered.
        order: TaskOrder,
    },
    /// A committee was drawn for it, the first or another one.
    Drawn {
        /// For which task.
        task: TaskId,
        /// Who judges it.
        committee: Committee,
    },
    /// The customer called it off: jobs without an accepted result will be refunded.
    Cancelled {
        /// Which task.
        task: TaskId,
    },
    /// A result was accepted, and its window opened.
    Accepted {
        /// What was accepted.
        result: ComputeResult,
        /// The last height at which verdicts may be added.
        until: Height,
        /// The numbers of the seats whose verdicts count.
        seats: Vec<u16>,
    },
    /// Further verdicts count.
    Counted {
        /// Whose task.
        task: TaskId,
        /// Which job.
        job: JobIndex,
        /// The numbers of the seats that came in addition.
        seats: Vec<u16>,
    },
    /// A job with an accepted result has its end.
    Ended {
        /// Whose task.
        task: TaskId,
        /// Which job.
        job: JobIndex,
        /// How it ended.
        outcome: Outcome,
        /// Who computed it.
        worker: Address,
        /// What the worker got.
        paid: Amount,
    },
    /// Every job of a task without an accepted result has its end.
    Closed {
        /// Which task.
        task: TaskId,
        /// How they ended.
        outcome: Outcome,
    },
    /// A worker's record is another now, or gone.
    Worker {
        /// Whose.
        worker: Address,
        /// The record.
        record: Option<WorkerRecord>,
    },
}

/// What the chain says of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerRecord {
    /// The key that signs its results.
    pub hot: PublicKey,
    /// What of its bond no job has reserved.
    pub free_bond: Amount,
}

/// The seats that judge a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committee {
    /// At which height they were drawn: with the task, the name of the draw.
    pub drawn: Height,
    /// How many decide.
    pub quorum: u16,
    /// Who, in the order of the draw; at most `COMMITTEE_MAX`.
    pub seats: Vec<Seat>,
}

/// One seat of a committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its place among the seats of the epoch in which the committee was drawn: what its verdicts name.
    pub number: u16,
    /// Its account.
    pub account: Address,
    /// The key that signs its verdicts and its offers.
    pub verdict: PublicKey,
    /// The key of its end of a connection.
    pub network: PublicKey,
}

impl Committee {
    /// MKT-4: who orchestrates at a height, alive or not.
    pub fn orchestrator(&self, height: Height, rotation_blocks: u32) -> Option<u16> {
        let turns = height.0.checked_sub(self.drawn.0)?.checked_div(rotation_blocks.into())?;
        let seats = u64::try_from(self.seats.len()).ok()?;
        u16::try_from(turns.checked_rem(seats)?).ok()
    }

    /// The seat at a place.
    pub fn seat(&self, place: u16) -> Option<&Seat> {
        self.seats.get(usize::from(place))
    }

    /// The place of the seat with this verdict key.
    pub fn by_verdict_key(&self, key: &PublicKey) -> Option<u16> {
        self.places().find(|(_, seat)| seat.verdict == *key).map(|(place, _)| place)
    }

    /// The place of the seat at this end of a connection.
    pub fn by_network_key(&self, key: &PublicKey) -> Option<u16> {
        self.places().find(|(_, seat)| seat.network == *key).map(|(place, _)| place)
    }

    /// The place of the seat with this number.
    pub fn by_number(&self, number: u16) -> Option<u16> {
        self.places().find(|(_, seat)| seat.number == number).map(|(place, _)| place)
    }

    /// The seats with their places in the committee.
    pub fn places(&self) -> impl Iterator<Item = (u16, &Seat)> {
        (0..).zip(&self.seats)
    }

    /// More members than this against a result, and it never finds its quorum.
    pub fn spare(&self) -> u16 {
        u16::try_from(self.seats.len()).unwrap_or(u16::MAX).saturating_sub(self.quorum)
    }
}
