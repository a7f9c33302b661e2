//! Why a job is with nobody: always a name, never silence.

use core::fmt;

use cpc_primitives::Amount;

/// Why a task's next job was not offered (MKT-8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// The chain has not drawn its committee yet.
    NoCommittee,
    /// This node does not sit in its committee.
    NotMember,
    /// Another seat's turn.
    NotOrchestrator {
        /// Whose.
        seat: u16,
    },
    /// Too few members hold what the task reads.
    Payload {
        /// How many hold it.
        held: u16,
        /// How many have to.
        quorum: u16,
    },
    /// Nobody can compute this order; the committee closes the task.
    BadSpec,
    /// Its inputs are not to be had; the committee closes the task.
    NoInputs,
    /// The customer called it off.
    Cancelled,
    /// Its deadline has come.
    DeadlinePassed,
    /// Every job is offered, committed or decided.
    InProgress,
    /// No worker is connected.
    NoWorkers,
    /// None of them computes this kernel.
    NoneCapable,
    /// None that does was measured yet.
    NoneMeasured,
    /// None that was has enough free bond.
    NoneBonded {
        /// What the job reserves.
        needed: Amount,
    },
    /// All that could are kept away for failures.
    AllBenched,
    /// All that could have no room.
    AllBusy,
    /// The committee has offered the job as often as it may.
    NoAttempts,
}

impl Waiting {
    /// The code that people and programs read.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoCommittee => "no_committee",
            Self::NotMember => "not_member",
            Self::NotOrchestrator { .. } => "not_orchestrator",
            Self::Payload { .. } => "awaiting_payload",
            Self::BadSpec => "bad_spec",
            Self::NoInputs => "input_unavailable",
            Self::Cancelled => "cancelled",
            Self::DeadlinePassed => "deadline_passed",
            Self::InProgress => "in_progress",
            Self::NoWorkers => "no_workers",
            Self::NoneCapable => "no_capable_worker",
            Self::NoneMeasured => "no_measured_worker",
            Self::NoneBonded { .. } => "no_bonded_worker",
            Self::AllBenched => "workers_benched",
            Self::AllBusy => "workers_busy",
            Self::NoAttempts => "no_attempts_left",
        }
    }
}

impl Waiting {
    /// Whether a worker with room would end it.
    pub(crate) const fn is_for_workers(&self) -> bool {
        matches!(
            self,
            Self::NoWorkers
                | Self::NoneCapable
                | Self::NoneMeasured
                | Self::NoneBonded { .. }
                | Self::AllBenched
                | Self::AllBusy
        )
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommittee => f.write_str("the chain has not drawn the committee yet"),
            Self::NotMember => f.write_str("this node does not sit in the committee"),
            Self::NotOrchestrator { seat } => write!(f, "seat {seat} orchestrates"),
            Self::Payload { held, quorum } => write!(f, "{held} members hold the payload, {quorum} have to"),
            Self::BadSpec => f.write_str("nobody can compute this order, the committee closes the task"),
            Self::NoInputs => f.write_str("the inputs are not to be had, the committee closes the task"),
            Self::Cancelled => f.write_str("the customer called the task off"),
            Self::DeadlinePassed => f.write_str("the deadline has come"),
            Self::InProgress => f.write_str("every job is offered or decided"),
            Self::NoWorkers => f.write_str("no worker is connected"),
            Self::NoneCapable => f.write_str("no connected worker computes this kernel"),
            Self::NoneMeasured => f.write_str("no worker for this kernel has been measured yet"),
            Self::NoneBonded { needed } => write!(f, "no worker has {needed} CPC of free bond"),
            Self::AllBenched => f.write_str("every worker that could is kept away after failures"),
            Self::AllBusy => f.write_str("every worker that could is busy"),
            Self::NoAttempts => f.write_str("the committee has offered the job as often as it may"),
        }
    }
}
