//! A as a check reads it: in slabs of 64 columns, which a thread walks from end to end.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::simd::Level;
use crate::simd::carry::{COLUMNS, Line, balanced};
use crate::synthetic::run::index;
use crate::synthetic::spec::SyntheticSpec;
use crate::synthetic::stream::{Part, fill};

/// Rows of a block: 32 KiB of each slab lie one after the other, and a block is made by one thread.
const BLOCK_ROWS: u32 = 128;

/// Blocks of rows; in each the lines of the first slab, row after row, then those of the second, and so on. The last slab
/// is filled up with zeros.
pub(crate) struct Slabs(Vec<Vec<Line>>);

impl Slabs {
    /// How many slabs so many columns have.
    pub(crate) fn count(columns: u32) -> usize {
        index(columns).div_ceil(COLUMNS)
    }

    /// Expands A from the seed, on all threads.
    pub(crate) fn expand(spec: &SyntheticSpec, level: Level) -> Self {
        let n = spec.matrix_size;
        let block = |at: u32| {
            let first = at.saturating_mul(BLOCK_ROWS);
            let rows = first..n.min(first.saturating_add(BLOCK_ROWS));
            let mut lines = vec![Line::ZERO; rows.len().saturating_mul(Self::count(n))];
            let mut row = vec![0; index(n)];
            for (within, number) in rows.clone().enumerate() {
                fill(&spec.seed, Part::Matrix, number, &mut row);
                for (slab, entries) in lines.chunks_exact_mut(rows.len()).zip(row.chunks(COLUMNS)) {
                    balanced(level, entries, &mut slab[within].0);
                }
            }
            lines
        };
        Self((0..n.div_ceil(BLOCK_ROWS)).into_par_iter().map(block).collect())
    }

    /// The lines of one slab, from the first row to the last, in runs.
    pub(crate) fn runs(&self, slab: usize, count: usize) -> impl Iterator<Item = &[Line]> {
        let run = move |block: &'_ Vec<Line>| -> core::ops::Range<usize> {
            let rows = block.len().checked_div(count).expect("a matrix has columns");
            let begin = rows.saturating_mul(slab);
            begin..begin.saturating_add(rows)
        };
        self.0.iter().map(move |block| &block[run(block)])
    }
}
