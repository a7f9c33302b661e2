//! Sums of products: the one order of each float reduction, and the bounds under which whole numbers need none.

use crate::numerics::float::fma;

/// How many partial sums a row has.
pub const LANES: usize = 32;

/// The sum of a row (NUM-10): 32 partial sums, of every 32nd value each, then a tree that halves them five times.
pub fn row_sum(row: &[f32]) -> f32 {
    let mut partial = [0.0f32; LANES];
    for chunk in row.chunks(LANES) {
        for (sum, value) in partial.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    fold(partial)
}

/// The scalar product of two rows of one length (NUM-10): as a row's sum, each partial sum by fused steps.
pub fn row_dot(a: &[f32], b: &[f32]) -> f32 {
    let mut partial = [0.0f32; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for (sum, (a, b)) in partial.iter_mut().zip(a.iter().zip(b)) {
            *sum = fma(*a, *b, *sum);
        }
    }
    fold(partial)
}

/// The tree: the upper half is added to the lower one until one is left.
pub(crate) fn fold(mut partial: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            partial[lane] += partial[lane + half];
        }
        half /= 2;
    }
    partial[0]
}

/// One output of a matrix product (NUM-9): k rises from 0, one accumulator from +0, one fused step each.
pub fn product_entry(row: &[f32], column: impl Iterator<Item = f32>) -> f32 {
    row.iter().zip(column).fold(0.0, |sum, (a, b)| fma(*a, b, sum))
}

/// The longest inner length of a product of whole numbers: so many products of 127 by 127 fit 32 bits.
pub const INNER_MAX: usize = 131_071;

/// One output of a product of whole numbers, and `None` where the bounds of NUM-3 do not hold.
pub fn integer_entry(row: &[i8], column: impl Iterator<Item = i8>) -> Option<i32> {
    if row.len() > INNER_MAX {
        return None;
    }
    row.iter().zip(column).try_fold(0i32, |sum, (a, b)| {
        let bounded = *a != i8::MIN && b != i8::MIN;
        bounded.then(|| sum + i32::from(*a) * i32::from(b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_summed_in_its_one_order() {
        // 2^24 + 1 is no float: the order decides what is lost.
        let mut row = vec![0.0f32; 65];
        (row[0], row[1], row[33], row[64]) = (16_777_216.0, 1.0, 1.0, 1.0);
        // Lane 0 holds 2^24 + 1, which is 2^24; lane 1 holds 2.
        assert_eq!(row_sum(&row), 16_777_218.0);
        let ones = vec![1.0f32; 65];
        assert_eq!(row_dot(&row, &ones), 16_777_218.0);
        assert_eq!(product_entry(&row, ones.into_iter()), 16_777_216.0);
    }

    #[test]
    fn whole_numbers_within_their_bounds_never_overflow() {
        let row = vec![127i8; INNER_MAX];
        assert_eq!(integer_entry(&row, row.iter().copied()), Some(2_114_044_159));
        assert_eq!(integer_entry(&row, core::iter::repeat_n(-127, INNER_MAX)), Some(-2_114_044_159));
        assert_eq!(integer_entry(&vec![0; INNER_MAX + 1], core::iter::repeat(0)), None);
        assert_eq!(integer_entry(&[1], [i8::MIN].into_iter()), None);
        assert_eq!(integer_entry(&[i8::MIN], [1].into_iter()), None);
    }

    #[test]
    fn nothing_sums_to_plus_zero() {
        assert_eq!(row_sum(&[]).to_bits(), 0);
        assert_eq!(product_entry(&[], core::iter::empty()).to_bits(), 0);
    }
}
