//! Two row vectors times rows in AVX-512: the twin of `carry::AddRows`, 64 columns at a time.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "vectors have no checked operators; the bounds stand beside each sum"
)]

use core::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_load_si512, _mm512_loadu_si512, _mm512_mul_epi32,
    _mm512_permutex2var_epi64, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setr_epi64, _mm512_setzero_si512,
    _mm512_srai_epi64, _mm512_srli_epi64, _mm512_storeu_si512,
};

use super::carry::{COLUMNS, FOLD, Line, Sums};
use crate::numerics::field::P;

/// Columns to a vector of entries.
const WIDTH: usize = 16;
/// Vectors to a line.
const VECTORS: usize = COLUMNS / WIDTH;

/// The sums of one vector: of even and of odd columns, for each vector of a line.
type Halves = [[__m512i; 2]; VECTORS];

/// Adds the products of all rows to the sums. They stay in registers from the first row to the last.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn add_rows(rows: &[Line], factors: [&[i32]; 2], sums: &mut Sums) {
    let [first, second] = sums;
    let (mut a, mut b) = (load(first), load(second));
    let (groups, rest) = rows.as_chunks::<FOLD>();
    let [(of_first, rest_first), (of_second, rest_second)] = factors.map(|factors| factors.as_chunks::<FOLD>());
    for ((rows, of_first), of_second) in groups.iter().zip(of_first).zip(of_second) {
        for ((row, of_first), of_second) in rows.iter().zip(of_first).zip(of_second) {
            multiply(row, *of_first, *of_second, &mut a, &mut b);
        }
        fold(&mut a);
        fold(&mut b);
    }
    for ((row, of_first), of_second) in rest.iter().zip(rest_first).zip(rest_second) {
        multiply(row, *of_first, *of_second, &mut a, &mut b);
    }
    fold(&mut a);
    fold(&mut b);
    store(first, &a);
    store(second, &b);
}

/// Adds one product to each sum. Eight products of balanced forms and what a fold leaves, which is below 2^33, are below
/// 2^63.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn multiply(row: &Line, of_first: i32, of_second: i32, a: &mut Halves, b: &mut Halves) {
    let (of_first, of_second) = (_mm512_set1_epi32(of_first), _mm512_set1_epi32(of_second));
    for at in 0..VECTORS {
        let even = entries(row, at);
        // The multiplication reads the low half of each 64 bits.
        for (half, values) in [even, _mm512_srli_epi64::<32>(even)].into_iter().enumerate() {
            a[at][half] = _mm512_add_epi64(a[at][half], _mm512_mul_epi32(values, of_first));
            b[at][half] = _mm512_add_epi64(b[at][half], _mm512_mul_epi32(values, of_second));
        }
    }
}

/// 2^31 is 1 in the field: the high part is added to the low one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn fold(sums: &mut Halves) {
    for sum in sums.as_flattened_mut() {
        let low = _mm512_and_si512(*sum, _mm512_set1_epi64(i64::from(P)));
        *sum = _mm512_add_epi64(low, _mm512_srai_epi64::<31>(*sum));
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn entries(row: &Line, at: usize) -> __m512i {
    assert!(at < VECTORS, "a line has four vectors");
    // SAFETY: the 16 words from `16 at` on lie in the line, which is aligned to 64 bytes, and any bits are a vector.
    unsafe { _mm512_load_si512(row.0.as_ptr().add(at * WIDTH).cast()) }
}

/// The sums of a line, column after column, as those of even and of odd ones.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn load(sums: &[i64; COLUMNS]) -> Halves {
    let (even, odd) = (_mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15));
    let mut halves = [[_mm512_setzero_si512(); 2]; VECTORS];
    for (halves, sums) in halves.iter_mut().zip(sums.as_chunks::<WIDTH>().0) {
        let (sums, _) = sums.as_chunks::<8>();
        // SAFETY: each reference is to 64 bytes, and any bits are a vector.
        let (low, high) =
            unsafe { (_mm512_loadu_si512(sums[0].as_ptr().cast()), _mm512_loadu_si512(sums[1].as_ptr().cast())) };
        *halves = [_mm512_permutex2var_epi64(low, even, high), _mm512_permutex2var_epi64(low, odd, high)];
    }
    halves
}

/// The inverse of `load`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn store(sums: &mut [i64; COLUMNS], halves: &Halves) {
    let (low, high) = (_mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15));
    for ([even, odd], sums) in halves.iter().zip(sums.as_chunks_mut::<WIDTH>().0) {
        let (sums, _) = sums.as_chunks_mut::<8>();
        for (sums, order) in sums.iter_mut().zip([low, high]) {
            // SAFETY: the reference is to 64 bytes, and any bits are words.
            unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), _mm512_permutex2var_epi64(*even, order, *odd)) };
        }
    }
}
