//! Why a message, or one item of it, was not taken.

use core::fmt;

use wincode::{SchemaRead, SchemaWrite};

/// A reason with a number on the wire: its place in this list (WIRE-9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, SchemaRead, SchemaWrite)]
pub enum Refusal {
    /// The signature does not verify.
    BadSignature,
    /// Nobody introduced itself over this connection, or as somebody else.
    NotKnown,
    /// The worker has no bond on the chain.
    NotRegistered,
    /// No open task of this name, or not yet here.
    UnknownTask,
    /// The task has another committee.
    OtherCommittee,
    /// The one that asks is not in the committee.
    NotMember,
    /// The signer does not orchestrate at that height.
    NotOrchestrator,
    /// The heights of the two sides are too far apart.
    OutOfStep,
    /// There is no such job.
    UnknownJob,
    /// The job has its result already.
    Decided,
    /// Another content was taken under this name.
    Differs,
    /// No offer of this job to this worker is known here.
    NotOffered,
    /// The lease is over.
    LeaseOver,
    /// Another worker committed itself first.
    AnotherFirst,
    /// There is no commitment that this opens.
    NotCommitted,
    /// The output is longer than the task allows.
    TooLong,
    /// The worker has no room for another job.
    NoCredit,
    /// The worker does not take jobs.
    Paused,
    /// The worker does not compute this kernel.
    UnknownKernel,
    /// The worker could not read the task from its chain.
    NotOnChain,
    /// The order is one that nobody can compute.
    BadSpec,
    /// The inputs are not to be had.
    NoInputs,
    /// The device failed, or gave what its own check refused.
    DeviceFailed,
    /// A table is full.
    Full,
}

impl Refusal {
    /// The word for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::NotKnown => "not_known",
            Self::NotRegistered => "not_registered",
            Self::UnknownTask => "unknown_task",
            Self::OtherCommittee => "other_committee",
            Self::NotMember => "not_member",
            Self::NotOrchestrator => "not_orchestrator",
            Self::OutOfStep => "out_of_step",
            Self::UnknownJob => "unknown_job",
            Self::Decided => "decided",
            Self::Differs => "differs",
            Self::NotOffered => "not_offered",
            Self::LeaseOver => "lease_over",
            Self::AnotherFirst => "another_first",
            Self::NotCommitted => "not_committed",
            Self::TooLong => "too_long",
            Self::NoCredit => "no_credit",
            Self::Paused => "paused",
            Self::UnknownKernel => "unknown_kernel",
            Self::NotOnChain => "not_on_chain",
            Self::BadSpec => "bad_spec",
            Self::NoInputs => "no_inputs",
            Self::DeviceFailed => "device_failed",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
