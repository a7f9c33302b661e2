//! Two row vectors times eight rows in AVX-512: the twin of `carry::add_block`, 32 columns at a time.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "vectors have no checked operators; the bounds stand beside each sum"
)]

use core::arch::x86_64::{
    __m512i, _mm256_loadu_si256, _mm512_add_epi64, _mm512_and_si512, _mm512_cvtepi32_epi64, _mm512_loadu_si512,
    _mm512_mul_epi32, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_srai_epi64, _mm512_storeu_si512,
};

use super::carry::{BLOCK, GROUP};
use crate::numerics::field::P;

/// Columns to a vector.
const WIDTH: usize = 8;
/// Vectors to a block.
const VECTORS: usize = BLOCK / WIDTH;

/// Adds the products of eight rows to the sums of a block, and folds. Eight products of balanced forms and what a fold
/// leaves, which is below 2^33, are below 2^63.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn add_block(rows: [&[i32; BLOCK]; GROUP], factors: &[[i32; GROUP]; 2], sums: [&mut [i64; BLOCK]; 2]) {
    let [first, second] = sums;
    let (mut a, mut b) = (load(first), load(second));
    for (r, row) in rows.iter().enumerate() {
        let (factor_a, factor_b) = (_mm512_set1_epi32(factors[0][r]), _mm512_set1_epi32(factors[1][r]));
        for at in 0..VECTORS {
            let values = widen(row, at);
            a[at] = _mm512_add_epi64(a[at], _mm512_mul_epi32(values, factor_a));
            b[at] = _mm512_add_epi64(b[at], _mm512_mul_epi32(values, factor_b));
        }
    }
    store(first, &a);
    store(second, &b);
}

/// Eight words from `8 at` on, each in 64 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn widen(row: &[i32; BLOCK], at: usize) -> __m512i {
    assert!(at < VECTORS, "a block has four vectors");
    // SAFETY: the 8 words from `8 at` on lie in the row, and any bits are a vector.
    _mm512_cvtepi32_epi64(unsafe { _mm256_loadu_si256(row.as_ptr().add(at * WIDTH).cast()) })
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn load(sums: &[i64; BLOCK]) -> [__m512i; VECTORS] {
    let mut vectors = [_mm512_set1_epi64(0); VECTORS];
    for (at, vector) in vectors.iter_mut().enumerate() {
        // SAFETY: `at` is below 4, so the 8 words from `8 at` on lie in the block, and any bits are a vector.
        *vector = unsafe { _mm512_loadu_si512(sums.as_ptr().add(at * WIDTH).cast()) };
    }
    vectors
}

/// Folded: 2^31 is 1 in the field.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn store(sums: &mut [i64; BLOCK], vectors: &[__m512i; VECTORS]) {
    for (at, vector) in vectors.iter().enumerate() {
        let low = _mm512_and_si512(*vector, _mm512_set1_epi64(i64::from(P)));
        let folded = _mm512_add_epi64(low, _mm512_srai_epi64::<31>(*vector));
        // SAFETY: as in `load`.
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().add(at * WIDTH).cast(), folded) };
    }
}
