//! Products over the field: the layout that every level reads, the scalar twin, and the choice between the levels.
//!
//! Elements are stored in balanced form, from -(2^30 - 1) to 2^30 - 1: eight products of such then fit 63 bits with what
//! was summed before, so that a sum is folded only at every eighth product. Sums over a field have one value, so neither
//! the form nor the order shows in a result (NUM-11).

#![allow(clippy::arithmetic_side_effects, reason = "overflow checks stay on; the bounds stand beside each sum")]

use crate::numerics::field::{P, reduce};
use crate::simd::Level;

/// How many columns a panel has.
pub const COLUMNS: usize = 32;
/// How many rows of the left factor are multiplied at once.
pub const ROWS: usize = 6;
/// After how many products a sum is folded.
pub(crate) const FOLD: usize = 8;

/// One row of a panel, in balanced form: two lines of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct Row(pub [i32; COLUMNS]);

/// 32 columns of a matrix, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panel(pub Vec<Row>);

/// `R` rows of a left factor, column by column, in balanced form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strip<const R: usize>(pub Vec<[i32; R]>);

/// The products of a strip with a panel, as canonical representatives.
pub type Tile<const R: usize> = [[u32; COLUMNS]; R];

impl Panel {
    /// Zeros.
    pub fn zero(rows: usize) -> Self {
        Self(vec![Row([0; COLUMNS]); rows])
    }
}

impl<const R: usize> Strip<R> {
    /// Zeros.
    pub fn zero(columns: usize) -> Self {
        Self(vec![[0; R]; columns])
    }
}

/// The balanced form of a canonical representative.
#[inline(always)]
pub fn balance(x: u32) -> i32 {
    let half = P / 2;
    let x = x.cast_signed();
    if x.cast_unsigned() > half { x.wrapping_sub(P.cast_signed()) } else { x }
}

/// The canonical representative of a balanced form.
#[inline(always)]
pub fn canonical(x: i32) -> u32 {
    if x < 0 { x.wrapping_add(P.cast_signed()).cast_unsigned() } else { x.cast_unsigned() }
}

/// `strip` times `panel`: entry (r, c) is the sum over k of `strip[k][r] panel[k][c]`.
pub fn product<const R: usize>(level: Level, strip: &Strip<R>, panel: &Panel) -> Tile<R> {
    assert_eq!(strip.0.len(), panel.0.len(), "the inner lengths of a product are equal");
    match level.within_reach() {
        Level::Scalar => scalar(strip, panel),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `within_reach` gives a level only where its instructions were found on this machine.
        Level::Avx2 => unsafe { super::field_avx2::product(strip, panel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx512 => unsafe { super::field_avx512::product(strip, panel) },
        #[cfg(not(target_arch = "x86_64"))]
        Level::Avx2 | Level::Avx512 => scalar(strip, panel),
    }
}

/// The scalar twin, which defines the result.
fn scalar<const R: usize>(strip: &Strip<R>, panel: &Panel) -> Tile<R> {
    let mut sums = [[0u64; COLUMNS]; R];
    for (left, right) in strip.0.iter().zip(&panel.0) {
        for (sums, a) in sums.iter_mut().zip(left) {
            let a = u64::from(canonical(*a));
            for (sum, b) in sums.iter_mut().zip(&right.0) {
                // Below 2^62 and below 2^33: the fold keeps it there.
                let next = *sum + a * u64::from(canonical(*b));
                *sum = (next & u64::from(P)) + (next >> 31);
            }
        }
    }
    sums.map(|row| row.map(reduce))
}
