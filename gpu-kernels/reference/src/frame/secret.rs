//! What a check draws its samples from: a seat's secret, bound to what is checked.

use cpc_primitives::codec::encode;
use cpc_primitives::ids::{JobIndex, TaskId};
use cpc_primitives::{Digest, Domain};

use crate::numerics::Philox;

/// A seat's secret of the epoch in which it signs, and the task that it checks.
#[derive(Clone, Copy)]
pub struct Secret {
    /// The seat's secret of the epoch.
    pub seat: Digest,
    /// Which task.
    pub task: TaskId,
}

/// The secret randomness of one check.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SampleSeed(Digest);

impl Secret {
    /// One seed for every job of the task (KER-7): the carried vectors of synthetic serve the whole task.
    pub fn for_task(&self) -> SampleSeed {
        SampleSeed(Domain::SampleSeed.hash_bytes(&encode(&(self.seat, self.task))))
    }

    /// One seed for one output of one job (KER-7): whoever knew it could forge around the sample.
    pub fn for_job(&self, job: JobIndex, output: &Digest) -> SampleSeed {
        SampleSeed(Domain::SampleSeed.hash_bytes(&encode(&(self.seat, self.task, job, *output))))
    }
}

impl SampleSeed {
    /// What a verdict says of the sample before it is revealed (KER-8).
    pub fn commitment(&self) -> Digest {
        Domain::SampleCommitment.hash_bytes(&self.0.0)
    }

    /// A digest under this sample of values that are not in the output (KER-8).
    pub fn digest(&self, values: &[u8]) -> Digest {
        let mut hasher = Domain::CheckDigest.hasher();
        hasher.update(&self.0.0).update(values);
        hasher.finalize().into()
    }

    /// Bytes without end, for vectors and for positions.
    pub fn stream(&self) -> blake3::OutputReader {
        let mut hasher = Domain::SampleStream.hasher();
        hasher.update(&self.0.0);
        hasher.finalize_xof()
    }

    /// The same as numbers that are addressed by a counter.
    pub fn numbers(&self) -> Philox {
        Philox::keyed(&Domain::SampleStream.hash_bytes(&self.0.0))
    }
}

// A secret is not printed, not even by accident.
impl core::fmt::Debug for SampleSeed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SampleSeed(..)")
    }
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}
