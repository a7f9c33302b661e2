//! Scalar products over the field, of two secret vectors with one column.

use crate::numerics::field::{P, reduce};
use crate::simd::{Level, Portable, dispatch};

/// Sums side by side.
const LANES: usize = 16;
/// Products between two folds: four below 2^62, and what a fold leaves, fit 64 bits.
const FOLD: usize = 4;

/// The products of `column` with each of two vectors of its length. Its entries may be any words below 2^31.
pub fn dots(level: Level, vectors: &[Vec<u32>; 2], column: &[u32]) -> [u32; 2] {
    assert!(vectors.iter().all(|vector| vector.len() == column.len()), "the lengths of a product are equal");
    dispatch(level, Dots { vectors, column })
}

struct Dots<'a> {
    vectors: &'a [Vec<u32>; 2],
    column: &'a [u32],
}

impl Portable for Dots<'_> {
    type Output = [u32; 2];

    #[inline(always)]
    fn call(self) -> [u32; 2] {
        [dot(&self.vectors[0], self.column), dot(&self.vectors[1], self.column)]
    }
}

#[inline(always)]
fn dot(a: &[u32], b: &[u32]) -> u32 {
    let mut sums = [0u64; LANES];
    let ((a, a_last), (b, b_last)) = (a.as_chunks::<{ LANES * FOLD }>(), b.as_chunks::<{ LANES * FOLD }>());
    for (a, b) in a.iter().zip(b) {
        for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
            for lane in 0..LANES {
                sums[lane] = sums[lane].wrapping_add(u64::from(a[lane]).wrapping_mul(u64::from(b[lane])));
            }
        }
        for sum in &mut sums {
            *sum = (*sum & u64::from(P)).wrapping_add(*sum >> 31);
        }
    }
    let rest = a_last.iter().zip(b_last).fold(0u64, |sum, (a, b)| {
        let sum = sum.wrapping_add(u64::from(*a).wrapping_mul(u64::from(*b)));
        (sum & u64::from(P)).wrapping_add(sum >> 31)
    });
    // Each is below 2^34.
    reduce(sums.iter().fold(rest, |all, sum| all.wrapping_add(*sum)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::field::{add, mul};

    #[test]
    fn every_level_sums_as_the_field_does() {
        for length in [0, 1, 15, 16, 63, 64, 65, 1_000] {
            for value in [0, 1, P - 1] {
                let vectors = [vec![P - 1; length], (0..length as u32).collect()];
                let column = vec![value; length];
                let expected = vectors.each_ref().map(|v| v.iter().fold(0, |sum, x| add(sum, mul(*x, value))));
                for level in Level::here() {
                    assert_eq!(dots(level, &vectors, &column), expected, "{length} {value} {level}");
                }
            }
        }
    }
}
