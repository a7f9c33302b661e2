//! A job in the hands of one worker, and the commitment that comes before its output.

use cpc_primitives::ids::{Height, JobIndex, TaskId};
use cpc_primitives::{Address, Digest, Domain};
use wincode::{SchemaRead, SchemaWrite};

/// One attempt at one job: what an offer names, and everything that is said of it afterwards (WIRE-4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, SchemaRead, SchemaWrite)]
pub struct Lease {
    /// Whose task.
    pub task: TaskId,
    /// When its committee was drawn: another committee gives other leases.
    pub drawn: Height,
    /// Which job.
    pub job: JobIndex,
    /// How many offers of this job this committee made before.
    pub attempt: u16,
}

/// What a worker shows before its output: nobody can copy an output that was not shown yet (WIRE-6).
pub fn commitment(output: &Digest, worker: &Address, salt: &Digest) -> Digest {
    Domain::ResultCommitment.hash(&(*output, *worker, *salt))
}
