//! Products over the field in AVX2: the twin of `field::scalar`, four products to an instruction.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "vectors have no checked operators; the bounds stand beside each sum"
)]

use core::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_load_si256, _mm256_mul_epi32, _mm256_set1_epi32,
    _mm256_set1_epi64x, _mm256_srli_epi64, _mm256_storeu_si256,
};

use super::field::{COLUMNS, FOLD, Panel, Row, Strip, Tile};
use crate::numerics::field::{P, reduce};

/// Columns to a vector.
const WIDTH: usize = 8;
/// What is added to every sum, because AVX2 has no arithmetic shift of 64 bits: a sum is never negative then.
pub(super) const BIAS: i64 = i64::MIN;

/// `strip` times `panel`.
#[target_feature(enable = "avx2")]
pub(super) fn product<const R: usize>(strip: &Strip<R>, panel: &Panel) -> Tile<R> {
    let mut tile = [[0; COLUMNS]; R];
    for at in 0..COLUMNS / WIDTH {
        let sums = eight_columns(strip, panel, at);
        for (tile, sums) in tile.iter_mut().zip(&sums) {
            let out = &mut tile.as_chunks_mut::<WIDTH>().0[at];
            let halves = [words(sums[0]), words(sums[1])];
            for (pair, out) in out.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                *out = [unbiased(halves[0][pair]), unbiased(halves[1][pair])];
            }
        }
    }
    tile
}

/// The canonical representative of a folded sum with its bias.
fn unbiased(sum: u64) -> u32 {
    // Between -2^33 and 2^33, so 2^34, which is 8 in the field, makes it positive, and p - 8 takes that back.
    let sum = sum.wrapping_sub(BIAS.cast_unsigned()).wrapping_add(1 << 34);
    reduce(sum + u64::from(P - 8))
}

/// The sums of even and of odd columns of eight, for each row of the strip, folded.
#[inline]
#[target_feature(enable = "avx2")]
fn eight_columns<const R: usize>(strip: &Strip<R>, panel: &Panel, at: usize) -> [[__m256i; 2]; R] {
    let mut sums = [[_mm256_set1_epi64x(BIAS); 2]; R];
    let (lefts, last_left) = strip.0.as_chunks::<FOLD>();
    let (rights, last_right) = panel.0.as_chunks::<FOLD>();
    for (left, right) in lefts.iter().zip(rights) {
        for (left, right) in left.iter().zip(right) {
            multiply(&mut sums, left, right, at);
        }
        fold(&mut sums);
    }
    for (left, right) in last_left.iter().zip(last_right) {
        multiply(&mut sums, left, right, at);
    }
    fold(&mut sums);
    sums
}

/// Adds one product to each sum; eight of them and what a fold leaves are below 2^63 in magnitude.
#[inline]
#[target_feature(enable = "avx2")]
fn multiply<const R: usize>(sums: &mut [[__m256i; 2]; R], left: &[i32; R], right: &Row, at: usize) {
    let even = load(right, at);
    let odd = _mm256_srli_epi64::<32>(even);
    for (sums, left) in sums.iter_mut().zip(left) {
        let a = _mm256_set1_epi32(*left);
        sums[0] = _mm256_add_epi64(sums[0], _mm256_mul_epi32(a, even));
        sums[1] = _mm256_add_epi64(sums[1], _mm256_mul_epi32(a, odd));
    }
}

/// 2^31 is 1 in the field. The bias of 2^63 is 2^32 in the high part: its difference to a new bias is one constant.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn fold(sums: &mut [[__m256i; 2]]) {
    for sum in sums.as_flattened_mut() {
        let low = _mm256_and_si256(*sum, _mm256_set1_epi64x(i64::from(P)));
        let high = _mm256_add_epi64(_mm256_srli_epi64::<31>(*sum), _mm256_set1_epi64x(BIAS.wrapping_sub(1 << 32)));
        *sum = _mm256_add_epi64(low, high);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(row: &Row, at: usize) -> __m256i {
    assert!(at < COLUMNS / WIDTH, "a row has four vectors");
    // SAFETY: the 8 words from `8 at` on lie in the row, which is aligned to 64 bytes, and any bits are a vector.
    unsafe { _mm256_load_si256(row.0.as_ptr().add(at * WIDTH).cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn words(vector: __m256i) -> [u64; 4] {
    let mut out = [0; 4];
    // SAFETY: the reference is to 32 bytes, and any bits are 64-bit words.
    unsafe { _mm256_storeu_si256(core::ptr::from_mut(&mut out).cast(), vector) }
    out
}
