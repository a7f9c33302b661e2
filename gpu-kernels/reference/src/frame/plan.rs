//! How a task is split into jobs, and what it costs.

use cpc_primitives::ids::{JobIndex, Units};
use cpc_primitives::result::Geometry;
use cpc_primitives::{Digest, Domain, merkle};

use crate::frame::BadSpec;

/// What a spec costs, known before anything runs (KER-4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Price {
    /// Multiply-accumulate equivalents of the whole task.
    pub units: Units,
    /// Into how many jobs the task splits at most.
    pub jobs_max: u32,
    /// How many bytes of memory a run or a check asks for at most, beside its inputs.
    pub memory_bytes: u64,
    /// How many bytes the outputs of all jobs have together.
    pub output_bytes: u64,
    /// How many blobs the task reads.
    pub inputs: usize,
    /// What one disputable unit costs to compute again.
    pub disputed_units: Units,
}

/// A task's jobs in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    units: Units,
    parts: Vec<Geometry>,
}

/// One job of a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Job {
    /// Its place in the task.
    pub index: JobIndex,
    /// Which part of the task it is.
    pub geometry: Geometry,
    /// Its share of the task's units.
    pub units: Units,
}

impl Plan {
    /// A plan of these parts; at least one.
    pub fn new(units: Units, parts: Vec<Geometry>) -> Result<Self, BadSpec> {
        let found = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let max = cpc_primitives::limits::JOBS_MAX;
        if found == 0 || found > max { Err(BadSpec::Jobs { found, max }) } else { Ok(Self { units, parts }) }
    }

    /// What the whole task costs.
    pub fn units(&self) -> Units {
        self.units
    }

    /// How many jobs there are.
    pub fn len(&self) -> u32 {
        u32::try_from(self.parts.len()).expect("a plan is made with at most JOBS_MAX parts")
    }

    /// Whether there are no jobs: never, by how a plan is made.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// One job.
    pub fn job(&self, index: JobIndex) -> Option<Job> {
        let at = usize::try_from(index.0).ok()?;
        let geometry = *self.parts.get(at)?;
        Some(Job { index, geometry, units: share(self.units, index.0, self.len()) })
    }

    /// Every job in its order.
    pub fn jobs(&self) -> impl Iterator<Item = Job> + '_ {
        (0..self.len()).map(|index| self.job(JobIndex(index)).expect("every index below the length has its part"))
    }
}

/// The hash of a task's result: the root over the hashes of its jobs' outputs (KER-12).
pub fn result_hash(outputs: &[Digest]) -> Digest {
    let leaves: Vec<Digest> = outputs.iter().map(|output| Domain::JobOutputLeaf.hash_bytes(&output.0)).collect();
    merkle::root(&leaves)
}

/// KER-5: job i of J has `floor(U (i + 1) / J) - floor(U i / J)` of U units, so that the shares sum to U.
fn share(units: Units, index: u32, jobs: u32) -> Units {
    let (index, jobs) = (u128::from(index), u128::from(jobs));
    let (whole, rest) = (units.0.div_euclid(jobs), units.0.rem_euclid(jobs));
    // floor(U i / J) = whole i + floor(rest i / J), and rest i is below 2^64: nothing overflows.
    let upto = |i: u128| rest.saturating_mul(i).div_euclid(jobs);
    let after = upto(index.saturating_add(1));
    Units(whole.saturating_add(after.saturating_sub(upto(index))))
}

/// Splits `length` columns, or pixels, into `parts` runs that differ by at most one: where each begins, and how long.
pub fn runs(length: u32, parts: u32) -> impl Iterator<Item = (u32, u32)> {
    let at = move |i: u32| {
        let product = u64::from(length).saturating_mul(u64::from(i)).div_euclid(u64::from(parts.max(1)));
        u32::try_from(product).expect("a part begins within the length")
    };
    (0..parts).map(move |i| (at(i), at(i.saturating_add(1)).saturating_sub(at(i))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_the_whole() {
        for (units, jobs) in [(0, 1), (1, 7), (99, 10), (u128::MAX, 3), (u128::MAX - 1, 1 << 20), (12_345, 12_345)] {
            let sum: u128 = (0..jobs).map(|index| share(Units(units), index, jobs).0).sum();
            assert_eq!(sum, units, "{units} over {jobs}");
        }
    }

    #[test]
    fn runs_cover_the_length_once() {
        for (length, parts) in [(1, 1), (7, 3), (1024, 16), (u32::MAX, 5), (5, 5)] {
            let mut next = 0;
            for (begin, count) in runs(length, parts) {
                assert_eq!(begin, next);
                assert!(count == length / parts || count == length / parts + 1, "{length} in {parts}: {count}");
                next = begin + count;
            }
            assert_eq!(next, length);
        }
    }
}
