//! Two row vectors times a matrix that is read once: what a check carries from step to step.

#![allow(clippy::arithmetic_side_effects, reason = "overflow checks stay on; the bounds stand beside each sum")]

use crate::numerics::field::{P, mul, reduce};
use crate::simd::field::balance;
use crate::simd::{Level, Portable, dispatch};

/// How many columns are summed side by side.
pub const COLUMNS: usize = 64;
/// After how many rows the sums are folded: eight products of balanced forms and what a fold leaves fit 63 bits.
pub(super) const FOLD: usize = 8;

/// The entries of one row in so many columns, in balanced form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct Line(pub [i32; COLUMNS]);

impl Line {
    /// Zeros.
    pub const ZERO: Self = Self([0; COLUMNS]);
}

/// Sums for each column, one of each vector; each is folded, and below 2^33 in magnitude.
pub type Sums = [[i64; COLUMNS]; 2];

/// Adds to the sums `factors[v][r] rows[r][c]` for all rows.
pub fn add_rows(level: Level, rows: &[Line], factors: [&[i32]; 2], sums: &mut Sums) {
    assert!(factors.iter().all(|factors| factors.len() == rows.len()), "each row has a factor of each vector");
    match level.within_reach() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `within_reach` gives this level only where its instructions were found on this machine.
        Level::Avx512 => unsafe { super::carry_avx512::add_rows(rows, factors, sums) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 => unsafe { super::carry_avx2::add_rows(rows, factors, sums) },
        level => dispatch(level, AddRows { rows, factors, sums }),
    }
}

struct AddRows<'a> {
    rows: &'a [Line],
    factors: [&'a [i32]; 2],
    sums: &'a mut Sums,
}

/// The scalar twin. Sixteen columns at a time.
impl Portable for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        const LANES: usize = 16;
        let [first, second] = self.sums;
        let sums = first.as_chunks_mut::<LANES>().0.iter_mut().zip(second.as_chunks_mut::<LANES>().0);
        for (at, (first, second)) in sums.enumerate() {
            let (mut a, mut b) = (*first, *second);
            let groups = self.rows.chunks(FOLD).zip(self.factors[0].chunks(FOLD)).zip(self.factors[1].chunks(FOLD));
            for ((rows, of_first), of_second) in groups {
                for ((row, of_first), of_second) in rows.iter().zip(of_first).zip(of_second) {
                    let values = &row.0.as_chunks::<LANES>().0[at];
                    for lane in 0..LANES {
                        let value = i64::from(values[lane]);
                        a[lane] = a[lane].wrapping_add(value.wrapping_mul((*of_first).into()));
                        b[lane] = b[lane].wrapping_add(value.wrapping_mul((*of_second).into()));
                    }
                }
                (a, b) = (a.map(fold), b.map(fold));
            }
            (*first, *second) = (a, b);
        }
    }
}

/// 2^31 is 1 in the field.
#[inline(always)]
pub(super) fn fold(sum: i64) -> i64 {
    (sum & i64::from(P)).wrapping_add(sum >> 31)
}

/// The sums of up to 64 columns in balanced form, each times the factor of its column.
pub fn scaled(level: Level, sums: &Sums, factors: &[u32], out: [&mut [i32]; 2]) {
    for (sums, out) in sums.iter().zip(out) {
        dispatch(level, Scale { sums, factors, out });
    }
}

struct Scale<'a> {
    sums: &'a [i64; COLUMNS],
    factors: &'a [u32],
    out: &'a mut [i32],
}

impl Portable for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for ((sum, factor), out) in self.sums.iter().zip(self.factors).zip(self.out) {
            // Between -2^33 and 2^33: 2^34, which is 8 in the field, makes it positive, and p - 8 takes that back.
            let positive = sum.wrapping_add(1 << 34).wrapping_add(i64::from(P).wrapping_sub(8)).cast_unsigned();
            *out = balance(mul(reduce(positive), *factor));
        }
    }
}

/// Elements in balanced form, compiled for each level.
pub fn balanced(level: Level, elements: &[u32], out: &mut [i32]) {
    dispatch(level, Balance { elements, out });
}

struct Balance<'a> {
    elements: &'a [u32],
    out: &'a mut [i32],
}

impl Portable for Balance<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (out, element) in self.out.iter_mut().zip(self.elements) {
            *out = balance(*element);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::field::add;
    use crate::simd::field::canonical;

    #[test]
    fn every_level_carries_as_the_field_does() {
        let extremes = [0, 1, P / 2, P / 2 + 1, P - 1];
        for (count, columns) in [(1, 1), (3, 7), (8, 16), (8, 64), (29, 40), (200, 63)] {
            let value = |i: usize| extremes[i % 5];
            let entry = |r: usize, c: usize| value((r * columns + c) * 7 + 3);
            let mut rows = vec![Line::ZERO; count];
            for (r, row) in rows.iter_mut().enumerate() {
                let elements: Vec<u32> = (0..columns).map(|c| entry(r, c)).collect();
                balanced(Level::Scalar, &elements, &mut row.0[..columns]);
            }
            let vectors: [Vec<i32>; 2] = [0, 2].map(|shift| (0..count).map(|i| balance(value(i + shift))).collect());
            let factors: Vec<u32> = (0..columns).map(|i| value(i + 1)).collect();
            let expected = vectors.each_ref().map(|vector| {
                let entry = |c: usize| {
                    let products = (0..count).map(|r| mul(canonical(vector[r]), entry(r, c)));
                    balance(mul(products.fold(0, add), factors[c]))
                };
                (0..columns).map(entry).collect::<Vec<i32>>()
            });
            for level in Level::here() {
                let mut sums = [[0; COLUMNS]; 2];
                for (rows, at) in rows.chunks(13).zip((0..).step_by(13)) {
                    let end = at + rows.len();
                    add_rows(level, rows, [&vectors[0][at..end], &vectors[1][at..end]], &mut sums);
                }
                let mut out = [vec![0; columns], vec![0; columns]];
                let [a, b] = &mut out;
                scaled(level, &sums, &factors, [a, b]);
                assert_eq!(out, expected, "{count} rows, {columns} columns, {level}");
            }
        }
    }

    // The extremes of the bound: every product is (2^30 - 1)^2, of either sign, through many folds.
    #[test]
    fn no_sum_of_extremes_overflows() {
        let most = balance(P / 2);
        for (of_row, of_vector) in [(most, most), (most, -most), (-most, -most)] {
            let rows = vec![Line([of_row; COLUMNS]); 1_003];
            let factors = vec![of_vector; rows.len()];
            let expected = (0..rows.len()).fold(0, |sum, _| add(sum, mul(canonical(of_row), canonical(of_vector))));
            for level in Level::here() {
                let mut sums = [[0; COLUMNS]; 2];
                add_rows(level, &rows, [&factors, &factors], &mut sums);
                let mut out = [[0; COLUMNS]; 2];
                let [a, b] = &mut out;
                scaled(level, &sums, &[1; COLUMNS], [a, b]);
                assert_eq!(out.as_flattened(), [balance(expected); 2 * COLUMNS], "{level}");
            }
        }
    }
}
