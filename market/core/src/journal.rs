//! What is durable before it is said: enough to go on after a crash without signing twice.

use cpc_market_wire::limits::ITEMS_MAX;
use cpc_market_wire::{Commit, Lease, Offer, Opening, RoundRef, VerdictItem};
use cpc_primitives::codec::{Bounded, CodecError, decode, encode};
use cpc_primitives::ids::{Height, JobIndex, TaskId};
use cpc_primitives::{Address, Digest};
use wincode::{SchemaRead, SchemaWrite};

/// Bytes of one record.
pub const RECORD_BYTES_MAX: usize = 128 << 10;

/// One line of a validator's journal (MKT-1). Records of a task go when it is forgotten.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum Record {
    /// Jobs that were offered to a worker: by this node, or by another one that told it so.
    Offered {
        /// To whom.
        worker: Address,
        /// What.
        offers: Bounded<Offer, ITEMS_MAX>,
    },
    /// Commitments that were taken.
    Committed {
        /// Whose.
        worker: Address,
        /// To what.
        commits: Bounded<Commit, ITEMS_MAX>,
    },
    /// What commitments were opened to.
    Opened {
        /// By whom.
        worker: Address,
        /// To what.
        openings: Bounded<Opening, ITEMS_MAX>,
    },
    /// Verdicts that this node is about to sign.
    Judged {
        /// Under which draw.
        drawn: Height,
        /// What.
        items: Bounded<VerdictItem, ITEMS_MAX>,
    },
    /// Jobs whose results were handed to the chain.
    Submitted {
        /// At which height.
        at: Height,
        /// Which ones.
        jobs: Bounded<(TaskId, JobIndex), ITEMS_MAX>,
    },
}

impl Record {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, RECORD_BYTES_MAX)
    }
}

/// One line of a worker's journal (MKT-17).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum WorkerNote {
    /// An output that is kept under its hash, and the lease under which it was computed.
    Computed {
        /// Which job.
        lease: Lease,
        /// The last height of the lease.
        until: Height,
        /// The hash of the output.
        output: Digest,
        /// Its length.
        bytes: u64,
    },
    /// A job whose output nobody needs any more.
    Dropped {
        /// Whose task.
        round: RoundRef,
        /// Which job.
        job: JobIndex,
    },
}

impl WorkerNote {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a note.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, RECORD_BYTES_MAX)
    }
}
