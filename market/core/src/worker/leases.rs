//! What a worker remembers of a task and of a job.

use std::collections::BTreeMap;
use std::sync::Arc;

use cpc_primitives::Digest;
use cpc_primitives::ids::Height;
use cpc_primitives::result::TaskOrder;

use crate::chain::Committee;
use crate::count::SeatSet;
use crate::plan::JobPlan;

/// A task of which the worker has a job.
pub(super) struct Known {
    /// What the chain said last; nothing while it is being read.
    pub(super) read: Option<Read>,
    /// When that was.
    pub(super) at: Height,
    pub(super) is_reading: bool,
}

/// What the chain said of a task.
pub(super) struct Read {
    pub(super) order: TaskOrder,
    pub(super) committee: Committee,
    pub(super) plan: Option<Arc<JobPlan>>,
}

impl Known {
    pub(super) fn committee(&self) -> Option<&Committee> {
        self.read.as_ref().map(|read| &read.committee)
    }
}

/// A job of this worker.
pub(super) struct Held {
    pub(super) until: Height,
    /// The verdict key that signed the offer.
    pub(super) signer: cpc_primitives::PublicKey,
    pub(super) step: Step,
    /// Places that called the output wrong.
    pub(super) wrong: SeatSet,
}

/// How far a job is.
pub(super) enum Step {
    /// It waits for a device, and for a look at the chain before that.
    Waiting,
    Computing,
    /// Its output is there.
    Computed {
        output: Digest,
        bytes: u64,
        told: BTreeMap<u16, Telling>,
    },
}

/// How far a member of the committee is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Telling {
    pub(super) committed: bool,
    pub(super) opened: bool,
    /// Whether it was asked and has not answered.
    pub(super) waits: bool,
    /// When something was said to it last: once a block is enough.
    pub(super) at: Option<Height>,
}

impl Held {
    /// What is computed takes no credit any more.
    pub(super) fn takes_a_credit(&self) -> bool {
        !matches!(self.step, Step::Computed { .. })
    }

    pub(super) fn thousandths(&self) -> u16 {
        match self.step {
            Step::Waiting | Step::Computing => 0,
            Step::Computed { .. } => 1000,
        }
    }
}
