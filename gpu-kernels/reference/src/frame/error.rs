//! Why a spec is refused, and why a run ends without an output.

use cpc_primitives::codec::CodecError;
use cpc_primitives::ids::Units;
use cpc_primitives::result::Challenge;
use cpc_primitives::{Digest, Mismatch};

/// Why an order cannot be computed by anybody: every honest node says the same (KER-3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSpec {
    /// No kernel of this version.
    #[error("there is no kernel {challenge:?} of version {version} here")]
    UnknownKernel {
        /// What was asked for.
        challenge: Challenge,
        /// In which version.
        version: u16,
    },
    /// The bytes are no spec of this kernel.
    #[error("the spec is no canonical encoding: {0}")]
    Malformed(#[from] CodecError),
    /// One parameter is outside its bounds.
    #[error("{field} is {found}; it is at least {min} and at most {max}")]
    OutOfBounds {
        /// The parameter, by its name in the payload.
        field: &'static str,
        /// What the spec says.
        found: u64,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// The task cannot be split so.
    #[error("{found} jobs; this task has at least 1 and at most {max}")]
    Jobs {
        /// What the order says.
        found: u32,
        /// Into how many jobs the task splits at most.
        max: u32,
    },
    /// The order names another number of units than the spec costs.
    #[error("the order says {} units, and the spec costs {}", .0.found.0, .0.expected.0)]
    Units(Mismatch<Units>),
    /// The order names more or fewer inputs than the kernel reads.
    #[error("the order names {} inputs, and this spec reads {}", .0.found, .0.expected)]
    InputCount(Mismatch<usize>),
    /// A count of the spec is not the input's own.
    #[error("the spec says {field} is {}, and the input has {}", .both.found, .both.expected)]
    Count {
        /// What is counted.
        field: &'static str,
        /// Both counts.
        both: Mismatch<u64>,
    },
    /// An input is not what the kernel reads.
    #[error("{part}: {reason}")]
    Input {
        /// Which part of the input.
        part: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why an input is not the one that the order names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// More or fewer blobs than the order names.
    #[error("{} blobs came, and the order names {}", .0.found, .0.expected)]
    Count(Mismatch<usize>),
    /// A blob is longer or shorter than the order says.
    #[error("input {index} has {} bytes, and the order says {}", .both.found, .both.expected)]
    Bytes {
        /// Which input.
        index: usize,
        /// Both lengths.
        both: Mismatch<u64>,
    },
    /// A blob has another hash than the order says.
    #[error("input {index} has the hash {}, and the order says {}", .both.found, .both.expected)]
    Hash {
        /// Which input.
        index: usize,
        /// Both hashes.
        both: Mismatch<Digest>,
    },
}

/// Why a task could not be prepared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The order is wrong, and everybody sees it.
    #[error(transparent)]
    BadSpec(#[from] BadSpec),
    /// The preparation ended before it was done.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Why a run or a check ended without an answer. It says nothing of the task: another machine may finish it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Somebody called it off.
    #[error("cancelled")]
    Cancelled,
    /// The geometry is not one of the task's plan.
    #[error("the job does not lie in its task: {reason}")]
    Geometry {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no such disputable unit.
    #[error("the job has {count} disputable units, and number {found} was asked for")]
    Unit {
        /// How many there are.
        count: u64,
        /// Which was asked for.
        found: u64,
    },
    /// The device failed: the message says how, and what mends it.
    #[error("the device failed: {reason}")]
    Device {
        /// What happened.
        reason: String,
    },
}
