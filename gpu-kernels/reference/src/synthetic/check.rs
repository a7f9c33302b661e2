//! Freivalds' check from the left: two secret row vectors are carried through all steps once, and then each job costs
//! two vectors times its columns.

use cpc_primitives::Digest;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use crate::frame::{Checker, Cpu, Job, Judgement, RunError, SampleSeed, Watch, Wrong};
use crate::numerics::field::{P, from_word};
use crate::simd::carry::{GROUP, Sums, add_rows, scaled};
use crate::simd::dot::dots;
use crate::simd::field::balance;
use crate::synthetic::run::index;
use crate::synthetic::spec::SyntheticSpec;
use crate::synthetic::stream::{Part, fill};

/// How many secret vectors: each lets a wrong column pass with 1 in 2^31 - 1.
pub(crate) const VECTORS: usize = 2;

/// The vectors.
type Pair = [Vec<u32>; VECTORS];

/// The check of one task under one secret.
pub(crate) struct Freivalds {
    spec: SyntheticSpec,
    cpu: Cpu,
    /// What X_T is multiplied with.
    last: Pair,
    /// The same carried back through all steps: what X_0 is multiplied with.
    first: Pair,
    sample: Digest,
    digest: Digest,
}

impl Freivalds {
    /// Draws the vectors and carries them: `w <- (w A) D_t` for t from T - 1 down to 0 (SYN-6).
    pub(crate) fn new(spec: &SyntheticSpec, seed: &SampleSeed, cpu: Cpu, watch: &Watch) -> Result<Self, RunError> {
        let last = draw(seed, index(spec.matrix_size));
        let first = carry(spec, &last, cpu, watch)?;
        let carried: Vec<u8> = first.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        Ok(Self { spec: spec.clone(), cpu, last, sample: seed.commitment(), digest: seed.digest(&carried), first })
    }
}

impl Checker for Freivalds {
    /// `w_0 X_0[:, j] = w X_T[:, j]` for every column of the job (SYN-7).
    fn check(&mut self, job: &Job, output: &[u8], watch: &Watch) -> Result<Judgement, RunError> {
        let (first, count) = (job.geometry.origin[0], job.geometry.extent[0]);
        let wrong = self.wrong(first, count, output);
        watch.advance(1)?;
        Ok(Judgement { wrong, sample: self.sample, digest: self.digest })
    }
}

impl Freivalds {
    fn wrong(&self, first: u32, count: u32, output: &[u8]) -> Option<Wrong> {
        let n = index(self.spec.matrix_size);
        let expected = n.saturating_mul(4).saturating_mul(index(count));
        if output.len() != expected {
            let bytes = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
            return Some(Wrong::Length { expected: bytes(expected), found: bytes(output.len()) });
        }
        let judge = |at: u32| {
            let column_bytes = n.saturating_mul(4);
            let begin = index(at).saturating_mul(column_bytes);
            self.judge(at, first.saturating_add(at), &output[begin..begin.saturating_add(column_bytes)])
        };
        // The first wrong column is named, whichever thread finds one first.
        #[cfg(feature = "canary")]
        let count = crate::synthetic::canary::columns_to_check(count);
        (0..count).into_par_iter().find_map_first(judge)
    }

    /// One column.
    fn judge(&self, at: u32, column: u32, bytes: &[u8]) -> Option<Wrong> {
        let mut start = vec![0; index(self.spec.matrix_size)];
        fill(&self.spec.seed, Part::Start, column, &mut start);
        let words: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        if let Some((row, found)) = words.iter().enumerate().find(|(_, word)| **word >= P) {
            let index = u64::from(at).saturating_mul(u64::from(self.spec.matrix_size));
            let index = index.saturating_add(u64::try_from(row).unwrap_or(u64::MAX));
            return Some(Wrong::Value { index, found: *found });
        }
        let same = dots(self.cpu.level, &self.first, &start) == dots(self.cpu.level, &self.last, &words);
        (!same).then_some(Wrong::Unequal { unit: Some(at.into()) })
    }
}

/// Uniform vectors from the sample's stream: its elements in turn for both vectors (SYN-6).
fn draw(seed: &SampleSeed, n: usize) -> Pair {
    let mut stream = seed.stream();
    let mut element = || loop {
        let mut word = [0; 4];
        stream.fill(&mut word);
        if let Some(element) = from_word(u32::from_le_bytes(word)) {
            return element;
        }
    };
    let mut vectors: Pair = [vec![0; n], vec![0; n]];
    for at in 0..n {
        for vector in &mut vectors {
            vector[at] = element();
        }
    }
    vectors
}

fn carry(spec: &SyntheticSpec, last: &Pair, cpu: Cpu, watch: &Watch) -> Result<Pair, RunError> {
    let n = index(spec.matrix_size);
    let matrix = expand(spec);
    watch.expect(u64::from(spec.iterations));
    let group = n.saturating_mul(GROUP);
    // One part for each thread: a sum over the field may be split anywhere.
    let groups = matrix.len().div_ceil(group).div_ceil(rayon::current_num_threads());
    let part_rows = groups.saturating_mul(GROUP);
    let mut factors = vec![0; n];
    let mut carried = last.clone();
    for step in (0..spec.iterations).rev() {
        fill(&spec.seed, Part::Diagonal, step, &mut factors);
        #[cfg(feature = "canary")]
        crate::synthetic::canary::spoil_diagonal(step, &mut factors);
        let balanced: [Vec<i32>; VECTORS] =
            carried.each_ref().map(|vector| vector.iter().map(|value| balance(*value)).collect());
        // Every second step goes through the rows backwards: those that were read last are still in the cache.
        let backwards = step.is_multiple_of(2);
        let part = |(at, rows): (usize, &[i32])| {
            let mut sums = Sums::zero(n);
            let first = at.saturating_mul(part_rows);
            let mut add = |(at, rows): (usize, &[i32])| {
                let begin = first.saturating_add(at.saturating_mul(GROUP));
                let end = begin.saturating_add(GROUP).min(n);
                add_rows(cpu.level, rows, [&balanced[0][begin..end], &balanced[1][begin..end]], &mut sums);
            };
            if backwards {
                rows.chunks(group).enumerate().rev().for_each(&mut add);
            } else {
                rows.chunks(group).enumerate().for_each(&mut add);
            }
            sums
        };
        let parts = matrix.par_chunks(part_rows.saturating_mul(n)).enumerate();
        let sums = parts.map(part).reduce(|| Sums::zero(n), |a, b| a.plus(&b));
        scaled(cpu.level, &sums, &factors, &mut carried);
        watch.advance(1)?;
    }
    Ok(carried)
}

/// A in balanced form, row after row.
fn expand(spec: &SyntheticSpec) -> Vec<i32> {
    let n = index(spec.matrix_size);
    let mut matrix = vec![0; n.saturating_mul(n)];
    matrix.par_chunks_mut(n).zip(0..spec.matrix_size).for_each(|(out, number)| {
        let mut row = vec![0; n];
        fill(&spec.seed, Part::Matrix, number, &mut row);
        for (out, value) in out.iter_mut().zip(&row) {
            *out = balance(*value);
        }
    });
    matrix
}
