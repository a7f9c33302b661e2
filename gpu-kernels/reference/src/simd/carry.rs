//! Two row vectors times a matrix that is read once: what a check carries from step to step.

use crate::numerics::field::{P, mul, reduce};
use crate::simd::{Level, Portable, dispatch};

/// How many rows are added to the sums between two folds: eight products of balanced forms and what a fold leaves fit
/// 63 bits.
pub const GROUP: usize = 8;

/// How many columns are summed side by side.
pub(super) const BLOCK: usize = 32;

/// Sums for each column, one of each vector.
#[derive(Clone, Debug)]
pub struct Sums(pub [Vec<i64>; 2]);

impl Sums {
    /// Zeros.
    pub fn zero(columns: usize) -> Self {
        Self([vec![0; columns], vec![0; columns]])
    }

    /// The sums of two parts.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (sums, others) in self.0.iter_mut().zip(&other.0) {
            for (sum, other) in sums.iter_mut().zip(others) {
                // Each was folded, and is below 2^33 in magnitude.
                *sum = fold(sum.wrapping_add(*other));
            }
        }
        self
    }
}

/// Adds to the sums `factors[v][r] rows[r][c]` for up to eight rows in balanced form, which stand one after the other.
pub fn add_rows(level: Level, rows: &[i32], factors: [&[i32]; 2], sums: &mut Sums) {
    let [first, second] = &mut sums.0;
    let columns = first.len();
    let mut all = [[0i32; GROUP]; 2];
    for (all, given) in all.iter_mut().zip(factors) {
        all[..given.len()].copy_from_slice(given);
    }
    // A row that is not there stands for by the first one, and is multiplied by a factor that is not there: by zero.
    let row = |r: usize| rows.chunks_exact(columns).nth(r).unwrap_or(&rows[..columns]);
    let rows: [&[i32]; GROUP] = core::array::from_fn(row);
    match level.within_reach() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => blocks(rows, first, second, |rows, sums| {
            // SAFETY: `within_reach` gives this level only where its instructions were found on this machine.
            unsafe { super::carry_avx512::add_block(rows, &all, sums) }
        }),
        level => dispatch(level, AddRows { rows, factors: &all, first, second }),
    }
}

/// Calls `add` for each block of columns, and fills the last one up with zeros.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn blocks(
    rows: [&[i32]; GROUP],
    first: &mut [i64],
    second: &mut [i64],
    add: impl Fn([&[i32; BLOCK]; GROUP], [&mut [i64; BLOCK]; 2]),
) {
    let rows = rows.map(|row| row.as_chunks::<BLOCK>());
    let (first, first_rest) = first.as_chunks_mut::<BLOCK>();
    let (second, second_rest) = second.as_chunks_mut::<BLOCK>();
    for (at, (first, second)) in first.iter_mut().zip(second).enumerate() {
        add(rows.map(|row| &row.0[at]), [first, second]);
    }
    let length = first_rest.len();
    if length > 0 {
        let filled = rows.map(|row| {
            let mut block = [0; BLOCK];
            block[..length].copy_from_slice(row.1);
            block
        });
        let mut sums = [[0; BLOCK]; 2];
        sums[0][..length].copy_from_slice(first_rest);
        sums[1][..length].copy_from_slice(second_rest);
        let [a, b] = &mut sums;
        add(filled.each_ref(), [a, b]);
        first_rest.copy_from_slice(&sums[0][..length]);
        second_rest.copy_from_slice(&sums[1][..length]);
    }
}

struct AddRows<'a> {
    rows: [&'a [i32]; GROUP],
    factors: &'a [[i32; GROUP]; 2],
    first: &'a mut [i64],
    second: &'a mut [i64],
}

/// The scalar twin. Sixteen columns at once stay in registers where the compiler makes vectors of them.
impl Portable for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        const LANES: usize = 16;
        let rows = self.rows.map(|row| row.as_chunks::<LANES>());
        let (first, first_rest) = self.first.as_chunks_mut::<LANES>();
        let (second, second_rest) = self.second.as_chunks_mut::<LANES>();
        for (at, (first, second)) in first.iter_mut().zip(second).enumerate() {
            let (mut a, mut b) = (*first, *second);
            for (r, row) in rows.iter().enumerate() {
                let values = &row.0[at];
                for lane in 0..LANES {
                    let value = i64::from(values[lane]);
                    a[lane] = a[lane].wrapping_add(value.wrapping_mul(self.factors[0][r].into()));
                    b[lane] = b[lane].wrapping_add(value.wrapping_mul(self.factors[1][r].into()));
                }
            }
            (*first, *second) = (a.map(fold), b.map(fold));
        }
        for (at, (a, b)) in first_rest.iter_mut().zip(second_rest).enumerate() {
            for (r, row) in rows.iter().enumerate() {
                let value = i64::from(row.1[at]);
                *a = a.wrapping_add(value.wrapping_mul(self.factors[0][r].into()));
                *b = b.wrapping_add(value.wrapping_mul(self.factors[1][r].into()));
            }
            (*a, *b) = (fold(*a), fold(*b));
        }
    }
}

/// 2^31 is 1 in the field.
#[inline(always)]
fn fold(sum: i64) -> i64 {
    (sum & i64::from(P)).wrapping_add(sum >> 31)
}

/// The canonical representatives of the sums, each times the factor of its column.
pub fn scaled(level: Level, sums: &Sums, factors: &[u32], out: &mut [Vec<u32>; 2]) {
    for (sums, out) in sums.0.iter().zip(out) {
        dispatch(level, Scale { sums, factors, out });
    }
}

struct Scale<'a> {
    sums: &'a [i64],
    factors: &'a [u32],
    out: &'a mut [u32],
}

impl Portable for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for ((sum, factor), out) in self.sums.iter().zip(self.factors).zip(self.out) {
            // Between -2^33 and 2^33: 2^34, which is 8 in the field, makes it positive, and p - 8 takes that back.
            let positive = sum.wrapping_add(1 << 34).wrapping_add(i64::from(P).wrapping_sub(8)).cast_unsigned();
            *out = mul(reduce(positive), *factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::field::add;
    use crate::simd::field::{balance, canonical};

    #[test]
    fn every_level_carries_as_the_field_does() {
        let extremes = [0, 1, P / 2, P / 2 + 1, P - 1];
        for (rows, columns) in [(1, 1), (3, 7), (8, 16), (8, 65), (29, 40)] {
            let value = |i: usize| extremes[i % 5];
            let matrix: Vec<i32> = (0..rows * columns).map(|i| balance(value(i * 7 + 3))).collect();
            let vectors: [Vec<i32>; 2] = [0, 2].map(|shift| (0..rows).map(|i| balance(value(i + shift))).collect());
            let factors: Vec<u32> = (0..columns).map(|i| value(i + 1)).collect();
            let expected = vectors.each_ref().map(|vector| {
                let entry = |c: usize| {
                    let products = (0..rows).map(|r| mul(canonical(vector[r]), canonical(matrix[r * columns + c])));
                    mul(products.fold(0, add), factors[c])
                };
                (0..columns).map(entry).collect::<Vec<u32>>()
            });
            for level in Level::here() {
                let mut sums = Sums::zero(columns);
                for (group, rows) in matrix.chunks(GROUP * columns).enumerate() {
                    let at = group * GROUP;
                    let end = at + rows.len() / columns;
                    add_rows(level, rows, [&vectors[0][at..end], &vectors[1][at..end]], &mut sums);
                }
                let mut out = [vec![0; columns], vec![0; columns]];
                scaled(level, &sums.clone().plus(&Sums::zero(columns)), &factors, &mut out);
                assert_eq!(out, expected, "{rows} rows, {columns} columns, {level}");
            }
        }
    }
}
