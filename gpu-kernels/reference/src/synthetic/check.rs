//! Freivalds' check from the left: two secret row vectors are carried through all steps once, and then each job costs
//! two vectors times its columns.

use cpc_primitives::Digest;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use crate::frame::{Checker, Cpu, Job, Judgement, RunError, SampleSeed, Watch, Wrong};
use crate::numerics::field::{P, from_word};
use crate::simd::carry::{COLUMNS, add_rows, balanced, scaled};
use crate::simd::dot::dots;
use crate::simd::field::canonical;
use crate::synthetic::run::index;
use crate::synthetic::slabs::Slabs;
use crate::synthetic::spec::SyntheticSpec;
use crate::synthetic::stream::{Part, fill};

/// How many secret vectors: each lets a wrong column pass with 1 in 2^31 - 1.
pub(crate) const VECTORS: usize = 2;
/// How many diagonals are expanded at once, by all threads.
const DIAGONALS: usize = 64;

/// The vectors.
type Pair = [Vec<u32>; VECTORS];

/// The same in the form in which they are multiplied.
type Balanced = [Vec<i32>; VECTORS];

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
    let slabs = Slabs::expand(spec, cpu.level);
    watch.expect(u64::from(spec.iterations));
    let mut now = last.each_ref().map(|vector| {
        let mut out = vec![0; n];
        balanced(cpu.level, vector, &mut out);
        out
    });
    let mut next = now.clone();
    let mut diagonals = vec![0; n.saturating_mul(DIAGONALS)];
    for (at, step) in (0..spec.iterations).rev().enumerate() {
        let within = at.rem_euclid(DIAGONALS);
        if within == 0 {
            // The diagonals of this step and of those after it, which go down to zero.
            let places = u32::try_from(DIAGONALS).map_or(step, |most| step.min(most));
            diagonals.par_chunks_mut(n).zip(0..places.saturating_add(1)).for_each(|(diagonal, after)| {
                let step = step.saturating_sub(after);
                fill(&spec.seed, Part::Diagonal, step, diagonal);
                #[cfg(feature = "canary")]
                crate::synthetic::canary::spoil_diagonal(step, diagonal);
            });
        }
        let diagonal = diagonals.chunks_exact(n).nth(within).expect("a step has its diagonal");
        times(&slabs, &now, diagonal, Walk::of(step), cpu, &mut next);
        core::mem::swap(&mut now, &mut next);
        watch.advance(1)?;
    }
    Ok(now.map(|vector| vector.into_iter().map(canonical).collect()))
}

/// In which order a thread goes through its slabs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Walk {
    Forwards,
    Backwards,
}

impl Walk {
    /// Every second step turns around: the slabs that were read last are still in the cache.
    fn of(step: u32) -> Self {
        if step.is_multiple_of(2) { Self::Backwards } else { Self::Forwards }
    }
}

/// Where the next vectors have the columns of a slab, and the diagonal there.
type Columns<'a> = ((&'a mut [i32], &'a mut [i32]), &'a [u32]);

/// `w A D` for both vectors, in balanced form. Every thread has slabs of its own.
fn times(slabs: &Slabs, now: &Balanced, diagonal: &[u32], walk: Walk, cpu: Cpu, next: &mut Balanced) {
    let count = diagonal.len().div_ceil(COLUMNS);
    let share = count.div_ceil(rayon::current_num_threads());
    let columns = share.saturating_mul(COLUMNS);
    let [first, second] = next;
    let parts = first.par_chunks_mut(columns).zip(second.par_chunks_mut(columns)).zip(diagonal.par_chunks(columns));
    parts.enumerate().for_each(|(part, ((first, second), diagonal))| {
        let begin = part.saturating_mul(share);
        let outs = first.chunks_mut(COLUMNS).zip(second.chunks_mut(COLUMNS)).zip(diagonal.chunks(COLUMNS)).enumerate();
        let one = |(at, ((first, second), diagonal)): (usize, Columns<'_>)| {
            let mut sums = [[0; COLUMNS]; VECTORS];
            let mut row = 0usize;
            for lines in slabs.runs(begin.saturating_add(at), count) {
                let rows = row..row.saturating_add(lines.len());
                add_rows(cpu.level, lines, [&now[0][rows.clone()], &now[1][rows.clone()]], &mut sums);
                row = rows.end;
            }
            scaled(cpu.level, &sums, diagonal, [first, second]);
        };
        if walk == Walk::Backwards { outs.rev().for_each(one) } else { outs.for_each(one) }
    });
}
