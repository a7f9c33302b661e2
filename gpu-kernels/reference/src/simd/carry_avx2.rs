//! Two row vectors times rows in AVX2: the twin of `carry::AddRows`, sixteen columns at a time.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "vectors have no checked operators; the bounds stand beside each sum"
)]

use core::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_load_si256, _mm256_mul_epi32, _mm256_set1_epi32, _mm256_set1_epi64x,
    _mm256_srli_epi64, _mm256_storeu_si256,
};

use super::carry::{COLUMNS, FOLD, Line, Sums};
use super::field_avx2::{BIAS, fold};

/// Columns to a vector of entries.
const WIDTH: usize = 8;
/// Vectors of entries whose sums stay in registers: sixteen columns.
const VECTORS: usize = 2;
/// Columns whose sums stay in registers.
const TILE: usize = VECTORS * WIDTH;

/// For each vector of entries, the sums of even and of odd columns, of both vectors.
type Halves = [[[__m256i; 2]; 2]; VECTORS];

/// Adds the products of all rows to the sums. A run of rows stays in the first cache while it is read four times.
#[target_feature(enable = "avx2")]
pub(super) fn add_rows(rows: &[Line], factors: [&[i32]; 2], sums: &mut Sums) {
    for tile in 0..COLUMNS / TILE {
        let added = tile_rows(rows, factors, tile);
        for (at, halves) in added.iter().enumerate() {
            for (half, both) in halves.iter().enumerate() {
                for (sums, added) in sums.iter_mut().zip(both) {
                    let columns = sums.iter_mut().skip(tile * TILE + at * WIDTH + half).step_by(2);
                    for (sum, added) in columns.zip(words(*added)) {
                        // Both are folded: below 2^33, so that their sum is below 2^34, and the fold below 2^32.
                        let added = added.wrapping_sub(BIAS);
                        *sum = super::carry::fold(*sum + added);
                    }
                }
            }
        }
    }
}

/// The sums of sixteen columns, folded, with their bias.
#[inline]
#[target_feature(enable = "avx2")]
fn tile_rows(rows: &[Line], factors: [&[i32]; 2], tile: usize) -> Halves {
    let mut sums = [[[_mm256_set1_epi64x(BIAS); 2]; 2]; VECTORS];
    let (groups, rest) = rows.as_chunks::<FOLD>();
    let [(of_first, rest_first), (of_second, rest_second)] = factors.map(|factors| factors.as_chunks::<FOLD>());
    for ((rows, of_first), of_second) in groups.iter().zip(of_first).zip(of_second) {
        for ((row, of_first), of_second) in rows.iter().zip(of_first).zip(of_second) {
            multiply(row, tile, *of_first, *of_second, &mut sums);
        }
        fold(sums.as_flattened_mut());
    }
    for ((row, of_first), of_second) in rest.iter().zip(rest_first).zip(rest_second) {
        multiply(row, tile, *of_first, *of_second, &mut sums);
    }
    fold(sums.as_flattened_mut());
    sums
}

/// Adds one product to each sum; eight of them and what a fold leaves are below 2^63 in magnitude.
#[inline]
#[target_feature(enable = "avx2")]
fn multiply(row: &Line, tile: usize, of_first: i32, of_second: i32, sums: &mut Halves) {
    let factors = [_mm256_set1_epi32(of_first), _mm256_set1_epi32(of_second)];
    for (at, halves) in sums.iter_mut().enumerate() {
        let even = entries(row, tile * VECTORS + at);
        // The multiplication reads the low half of each 64 bits.
        for (values, both) in [even, _mm256_srli_epi64::<32>(even)].into_iter().zip(halves) {
            for (sum, factor) in both.iter_mut().zip(factors) {
                *sum = _mm256_add_epi64(*sum, _mm256_mul_epi32(values, factor));
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn entries(row: &Line, at: usize) -> __m256i {
    assert!(at < COLUMNS / WIDTH, "a line has eight vectors");
    // SAFETY: the 8 words from `8 at` on lie in the line, which is aligned to 64 bytes, and any bits are a vector.
    unsafe { _mm256_load_si256(row.0.as_ptr().add(at * WIDTH).cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn words(vector: __m256i) -> [i64; 4] {
    let mut out = [0; 4];
    // SAFETY: the reference is to 32 bytes, and any bits are 64-bit words.
    unsafe { _mm256_storeu_si256(core::ptr::from_mut(&mut out).cast(), vector) }
    out
}
