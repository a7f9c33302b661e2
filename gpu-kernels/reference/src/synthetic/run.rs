//! The columns of X_T: T steps of `X <- A (D X)`, a panel of columns at a time.

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, IntoParallelRefMutIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::frame::{Cpu, RunError, Watch};
use crate::numerics::field::{accumulate, mul, reduce};
use crate::simd::field::{COLUMNS, Panel, ROWS, Strip, balance, canonical, product};
use crate::simd::scale::scale_rows;
use crate::synthetic::spec::{Seed, SyntheticSpec};
use crate::synthetic::stream::{Part, fill};

/// A in the form in which a run reads it: strips of six rows, the last one filled up with zeros.
pub(crate) struct Matrix(Vec<Strip<ROWS>>);

impl Matrix {
    /// Expands A from the seed, on all threads.
    pub(crate) fn expand(seed: &Seed, n: u32) -> Self {
        let strips = n.div_ceil(STRIP_ROWS);
        let strip = |at: u32| {
            let mut strip = Strip::zero(index(n));
            let mut row = vec![0; index(n)];
            let first = at.saturating_mul(STRIP_ROWS);
            for (within, number) in (first..n.min(first.saturating_add(STRIP_ROWS))).enumerate() {
                fill(seed, Part::Matrix, number, &mut row);
                for (entries, value) in strip.0.iter_mut().zip(&row) {
                    entries[within] = balance(*value);
                }
            }
            strip
        };
        Self((0..strips).into_par_iter().map(strip).collect())
    }
}

/// The rows of a strip, as a number of rows.
#[allow(clippy::as_conversions, reason = "six")]
const STRIP_ROWS: u32 = ROWS as u32;

/// A count as an index.
pub(crate) fn index(count: u32) -> usize {
    usize::try_from(count).expect("an address has at least 32 bits")
}

/// The columns from `first` on, `count` of them, as bytes: column after column, each element little-endian (SYN-5).
pub(crate) fn columns(
    spec: &SyntheticSpec,
    matrix: &Matrix,
    first: u32,
    count: u32,
    cpu: Cpu,
    watch: &Watch,
) -> Result<Vec<u8>, RunError> {
    let n = index(spec.matrix_size);
    let column_bytes = n.saturating_mul(4);
    let mut bytes = vec![0; column_bytes.saturating_mul(index(count))];
    let panels = bytes.len().div_ceil(column_bytes.saturating_mul(COLUMNS).max(1));
    watch.expect(u64::try_from(panels).unwrap_or(u64::MAX).saturating_mul(u64::from(spec.iterations)));
    let parts = bytes.par_chunks_mut(column_bytes.saturating_mul(COLUMNS)).enumerate();
    parts.try_for_each(|(at, part)| {
        let first = u32::try_from(at.saturating_mul(COLUMNS)).map_or(u32::MAX, |at| first.saturating_add(at));
        panel(spec, matrix, first, part, cpu, watch)
    })?;
    Ok(bytes)
}

/// At most 32 columns, whose number is that of the bytes.
fn panel(
    spec: &SyntheticSpec,
    matrix: &Matrix,
    first: u32,
    bytes: &mut [u8],
    cpu: Cpu,
    watch: &Watch,
) -> Result<(), RunError> {
    let n = index(spec.matrix_size);
    let mut now = start(spec, first, bytes.len().div_ceil(n.saturating_mul(4)));
    let mut next = Panel::zero(n);
    // The last product is X_T itself: its factors are ones.
    let mut factors = vec![1; n];
    for step in 1..=spec.iterations {
        if step < spec.iterations {
            fill(&spec.seed, Part::Diagonal, step, &mut factors);
        } else {
            factors.fill(1);
        }
        let outputs = next.0.chunks_mut(ROWS).zip(factors.chunks(ROWS));
        for (strip, (out, factors)) in matrix.0.iter().zip(outputs) {
            scale_rows(cpu.level, &product(cpu.level, strip, &now), factors, out);
        }
        core::mem::swap(&mut now, &mut next);
        watch.advance(1)?;
    }
    write(&now, bytes);
    Ok(())
}

/// `D_0 X_0` for some columns, the rest of the panel zero.
fn start(spec: &SyntheticSpec, first: u32, columns: usize) -> Panel {
    let n = index(spec.matrix_size);
    let mut panel = Panel::zero(n);
    let mut diagonal = vec![0; n];
    let mut column = vec![0; n];
    fill(&spec.seed, Part::Diagonal, 0, &mut diagonal);
    for (at, number) in (0..columns).zip(first..) {
        fill(&spec.seed, Part::Start, number, &mut column);
        for (row, (value, factor)) in panel.0.iter_mut().zip(column.iter().zip(&diagonal)) {
            row.0[at] = balance(mul(*value, *factor));
        }
    }
    panel
}

/// Column after column.
fn write(panel: &Panel, bytes: &mut [u8]) {
    let n = panel.0.len();
    for (at, column) in bytes.chunks_mut(n.saturating_mul(4)).enumerate() {
        for (row, out) in panel.0.iter().zip(column.as_chunks_mut::<4>().0) {
            *out = canonical(row.0[at]).to_le_bytes();
        }
    }
}

/// One column by scalar code alone (SYN-8).
pub(crate) fn one_column(spec: &SyntheticSpec, column: u32, watch: &Watch) -> Result<Vec<u8>, RunError> {
    let n = index(spec.matrix_size);
    watch.expect(u64::from(spec.iterations));
    let mut rows = vec![vec![0; n]; n];
    rows.par_iter_mut().zip(0..spec.matrix_size).for_each(|(row, number)| fill(&spec.seed, Part::Matrix, number, row));
    let mut x = vec![0; n];
    let mut factors = vec![0; n];
    fill(&spec.seed, Part::Start, column, &mut x);
    for step in 0..spec.iterations {
        fill(&spec.seed, Part::Diagonal, step, &mut factors);
        for (x, factor) in x.iter_mut().zip(&factors) {
            *x = mul(*x, *factor);
        }
        x = rows.iter().map(|row| reduce(row.iter().zip(&x).fold(0, |sum, (a, x)| accumulate(sum, *a, *x)))).collect();
        watch.advance(1)?;
    }
    Ok(x.iter().flat_map(|value| value.to_le_bytes()).collect())
}
