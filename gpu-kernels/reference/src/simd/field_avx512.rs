//! Products over the field in AVX-512: the twin of `field::scalar`, eight products to an instruction.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "vectors have no checked operators; the bounds stand beside each sum"
)]

use core::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_load_si512, _mm512_mask_blend_epi32, _mm512_min_epu64,
    _mm512_mul_epi32, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_srai_epi64,
    _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi64,
};

use super::field::{COLUMNS, FOLD, Panel, Row, Strip, Tile};
use crate::numerics::field::P;

/// Columns to a vector.
const WIDTH: usize = 16;
/// Vectors to a row of a panel.
const VECTORS: usize = COLUMNS / WIDTH;

/// The sums of even and of odd columns, for each vector of a row.
type Sums = [[__m512i; 2]; VECTORS];

/// `strip` times `panel`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn product<const R: usize>(strip: &Strip<R>, panel: &Panel) -> Tile<R> {
    let mut sums = [[[_mm512_setzero_si512(); 2]; VECTORS]; R];
    let (lefts, last_left) = strip.0.as_chunks::<FOLD>();
    let (rights, last_right) = panel.0.as_chunks::<FOLD>();
    for (left, right) in lefts.iter().zip(rights) {
        for (left, right) in left.iter().zip(right) {
            multiply(&mut sums, left, right);
        }
        fold(&mut sums);
    }
    for (left, right) in last_left.iter().zip(last_right) {
        multiply(&mut sums, left, right);
    }
    fold(&mut sums);
    sums.map(|sums| canonical(&sums))
}

/// Adds one product to each sum. A product of balanced forms is at most (2^30 - 1)^2: eight of them and what a fold
/// leaves, which is below 2^33, are below 2^63.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn multiply<const R: usize>(sums: &mut [Sums; R], left: &[i32; R], right: &Row) {
    let mut vectors = [[_mm512_setzero_si512(); 2]; VECTORS];
    for (at, vector) in vectors.iter_mut().enumerate() {
        let even = load(right, at);
        // The multiplication reads the low half of each 64 bits.
        *vector = [even, _mm512_srli_epi64::<32>(even)];
    }
    for (sums, left) in sums.iter_mut().zip(left) {
        let a = _mm512_set1_epi32(*left);
        for (sums, vectors) in sums.iter_mut().zip(&vectors) {
            for (sum, vector) in sums.iter_mut().zip(vectors) {
                *sum = _mm512_add_epi64(*sum, _mm512_mul_epi32(a, *vector));
            }
        }
    }
}

/// 2^31 is 1 in the field: the high part is added to the low one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn fold<const R: usize>(sums: &mut [Sums; R]) {
    for sum in sums.as_flattened_mut().as_flattened_mut() {
        *sum = fold_one(*sum);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn fold_one(sum: __m512i) -> __m512i {
    let low = _mm512_and_si512(sum, _mm512_set1_epi64(i64::from(P)));
    _mm512_add_epi64(low, _mm512_srai_epi64::<31>(sum))
}

/// The canonical representatives of folded sums.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn canonical(sums: &Sums) -> [u32; COLUMNS] {
    let mut out = [0; COLUMNS];
    let p = _mm512_set1_epi64(i64::from(P));
    for (sums, out) in sums.iter().zip(out.as_chunks_mut::<WIDTH>().0) {
        let halves = sums.map(|sum| {
            // Between -2^33 and 2^33: one fold leaves -4 to 2^31 + 3, the next 0 to p.
            let sum = fold_one(fold_one(sum));
            // Where p is subtracted from less, the difference wraps to the greater one.
            _mm512_min_epu64(sum, _mm512_sub_epi64(sum, p))
        });
        store(out, _mm512_mask_blend_epi32(0xaaaa, halves[0], _mm512_slli_epi64::<32>(halves[1])));
    }
    out
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn load(row: &Row, at: usize) -> __m512i {
    assert!(at < VECTORS, "a row has two vectors");
    // SAFETY: the 16 words from `16 at` on lie in the row, which is aligned to 64 bytes, and any bits are a vector.
    unsafe { _mm512_load_si512(row.0.as_ptr().add(at * WIDTH).cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn store(out: &mut [u32; WIDTH], vector: __m512i) {
    // SAFETY: the reference is to 64 bytes, and any bits are 32-bit words.
    unsafe { _mm512_storeu_si512(core::ptr::from_mut(out).cast(), vector) }
}
