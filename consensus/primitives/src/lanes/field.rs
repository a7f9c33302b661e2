//! Eight numbers modulo 2^255 - 19 side by side, each in five limbs of 51 bits.
//!
//! A limb is *tight* up to 2^51 + 2^17 and *loose* below 2^52, which is all that the multiplier looks at: of a larger one
//! it would drop bits without a word. Every function says which it takes and which it gives.

use core::arch::x86_64::{
    __mmask8, _mm512_add_epi64, _mm512_and_epi64, _mm512_cmpeq_epi64_mask, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_mask_blend_epi64, _mm512_mullo_epi64, _mm512_or_epi64, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_srli_epi64, _mm512_sub_epi64, _mm512_test_epi64_mask,
};

use super::{Words, load, store};

/// Limbs of a number.
pub(super) const LIMBS: usize = 5;
/// Bits of a limb.
const BITS: u32 = 51;
/// The largest limb of 51 bits.
const MASK: u64 = (1 << BITS) - 1;

/// Numbers in memory: each limb's eight lanes together.
pub(super) type Rows = [[u64; 8]; LIMBS];

/// Eight numbers.
#[derive(Clone, Copy)]
pub(super) struct Field(pub(super) [Words; LIMBS]);

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn all(number: u64) -> Words {
    _mm512_set1_epi64(number.cast_signed())
}

impl Field {
    /// One number in all lanes; tight, where its limbs have 51 bits.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn constant(limbs: &[u64; LIMBS]) -> Self {
        let [a, b, c, d, e] = *limbs;
        Self([all(a), all(b), all(c), all(d), all(e)])
    }

    /// The number of one lane in all of them.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn lane(rows: &Rows, lane: usize) -> Self {
        let [a, b, c, d, e] = rows;
        Self([all(a[lane]), all(b[lane]), all(c[lane]), all(d[lane]), all(e[lane])])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn load(rows: &Rows) -> Self {
        let [a, b, c, d, e] = rows;
        Self([load(a), load(b), load(c), load(d), load(e)])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn store(&self, rows: &mut Rows) {
        for (limb, row) in self.0.into_iter().zip(rows) {
            store(limb, row);
        }
    }

    /// From limbs below 2^63 to tight ones: every carry goes one limb up, the last one, times 19, to the first.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn carry(limbs: [Words; LIMBS]) -> Self {
        let mask = all(MASK);
        let [a, b, c, d, e] = limbs;
        // A carry has 12 bits, so that its product with 19 is exact and a limb stays below 2^51 + 2^17.
        let up = |limb: Words| _mm512_srli_epi64::<BITS>(limb);
        let low = |limb: Words| _mm512_and_epi64(limb, mask);
        Self([
            _mm512_madd52lo_epu64(low(a), up(e), all(19)),
            _mm512_add_epi64(low(b), up(a)),
            _mm512_add_epi64(low(c), up(b)),
            _mm512_add_epi64(low(d), up(c)),
            _mm512_add_epi64(low(e), up(d)),
        ])
    }

    /// Loose factors, a tight product.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn mul(&self, other: &Self) -> Self {
        let zero = _mm512_setzero_si512();
        // The low 52 bits of a product weigh 2^51 to the power of both places, the high 52 bits twice the next power.
        let (mut low, mut high) = ([zero; 2 * LIMBS], [zero; 2 * LIMBS]);
        for i in 0..LIMBS {
            for j in 0..LIMBS {
                low[i + j] = _mm512_madd52lo_epu64(low[i + j], self.0[i], other.0[j]);
                high[i + j + 1] = _mm512_madd52hi_epu64(high[i + j + 1], self.0[i], other.0[j]);
            }
        }
        Self::fold(&low, &high)
    }

    /// A loose number, its tight square: the product with every mixed term counted twice.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn square(&self) -> Self {
        let zero = _mm512_setzero_si512();
        // What counts once, twice (mixed terms' low halves and squares' high ones) and four times.
        let (mut once, mut twice, mut four) = ([zero; 2 * LIMBS], [zero; 2 * LIMBS], [zero; 2 * LIMBS]);
        for i in 0..LIMBS {
            let limb = self.0[i];
            once[2 * i] = _mm512_madd52lo_epu64(once[2 * i], limb, limb);
            twice[2 * i + 1] = _mm512_madd52hi_epu64(twice[2 * i + 1], limb, limb);
            for j in i + 1..LIMBS {
                twice[i + j] = _mm512_madd52lo_epu64(twice[i + j], limb, self.0[j]);
                four[i + j + 1] = _mm512_madd52hi_epu64(four[i + j + 1], limb, self.0[j]);
            }
        }
        for (twice, four) in twice.iter_mut().zip(four) {
            *twice = _mm512_add_epi64(*twice, _mm512_add_epi64(four, four));
        }
        Self::fold(&once, &twice)
    }

    /// `low + 2 high`, with the upper five limbs, times 19, over the lower five.
    ///
    /// A limb of the sum is at most 14 times 2^52, and 20 of those are below 2^61.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn fold(low: &[Words; 2 * LIMBS], high: &[Words; 2 * LIMBS]) -> Self {
        let nineteen = all(19);
        let sum = |at: usize| _mm512_add_epi64(low[at], _mm512_add_epi64(high[at], high[at]));
        let limb = |at: usize| _mm512_add_epi64(sum(at), _mm512_mullo_epi64(sum(at + LIMBS), nineteen));
        Self::carry([limb(0), limb(1), limb(2), limb(3), limb(4)])
    }

    /// Tight terms, a tight sum.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn add(&self, other: &Self) -> Self {
        Self::carry(self.plus(other))
    }

    /// Tight numbers, a tight difference.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn sub(&self, other: &Self) -> Self {
        Self::carry(self.minus(other))
    }

    /// Twice a tight number and a tight one, as sum and difference, both tight.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn double_and(&self, other: &Self) -> (Self, Self) {
        let double = Self(self.plus(self));
        (Self::carry(double.plus(other)), Self::carry(double.minus(other)))
    }

    /// Tight, its loose opposite: a limb of 2 p is at most 2^52 - 2, and larger than any tight limb.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn neg(&self) -> Self {
        let [first, rest] = [all(2 * (MASK - 18)), all(2 * MASK)];
        let [a, b, c, d, e] = self.0;
        Self([
            _mm512_sub_epi64(first, a),
            _mm512_sub_epi64(rest, b),
            _mm512_sub_epi64(rest, c),
            _mm512_sub_epi64(rest, d),
            _mm512_sub_epi64(rest, e),
        ])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn plus(&self, other: &Self) -> [Words; LIMBS] {
        let ([a, b, c, d, e], [f, g, h, i, j]) = (self.0, other.0);
        [
            _mm512_add_epi64(a, f),
            _mm512_add_epi64(b, g),
            _mm512_add_epi64(c, h),
            _mm512_add_epi64(d, i),
            _mm512_add_epi64(e, j),
        ]
    }

    /// The difference and 4 p, so that no limb is below zero.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn minus(&self, other: &Self) -> [Words; LIMBS] {
        let [first, rest] = [all(4 * (MASK - 18)), all(4 * MASK)];
        let ([a, b, c, d, e], [f, g, h, i, j]) = (self.0, other.0);
        [
            _mm512_sub_epi64(_mm512_add_epi64(a, first), f),
            _mm512_sub_epi64(_mm512_add_epi64(b, rest), g),
            _mm512_sub_epi64(_mm512_add_epi64(c, rest), h),
            _mm512_sub_epi64(_mm512_add_epi64(d, rest), i),
            _mm512_sub_epi64(_mm512_add_epi64(e, rest), j),
        ]
    }

    /// In the lanes of the mask the other number.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn or_where(&self, mask: __mmask8, other: &Self) -> Self {
        let ([a, b, c, d, e], [f, g, h, i, j]) = (self.0, other.0);
        Self([
            _mm512_mask_blend_epi64(mask, a, f),
            _mm512_mask_blend_epi64(mask, b, g),
            _mm512_mask_blend_epi64(mask, c, h),
            _mm512_mask_blend_epi64(mask, d, i),
            _mm512_mask_blend_epi64(mask, e, j),
        ])
    }

    /// Tight, the one form below p. A tight number is below 2 p, so that p is taken away at most once.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn canonical(&self) -> [Words; LIMBS] {
        // It is p or more exactly where 19 more reach 2^255.
        let mut over = all(19);
        for limb in self.0 {
            over = _mm512_srli_epi64::<BITS>(_mm512_add_epi64(limb, over));
        }
        let mut limbs = self.0;
        let mut carry = _mm512_mullo_epi64(over, all(19));
        for limb in &mut limbs {
            let sum = _mm512_add_epi64(*limb, carry);
            carry = _mm512_srli_epi64::<BITS>(sum);
            *limb = _mm512_and_epi64(sum, all(MASK));
        }
        limbs
    }

    /// The lanes whose tight number is 0 modulo p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn zeros(&self) -> __mmask8 {
        let [a, b, c, d, e] = self.canonical();
        let any = _mm512_or_epi64(_mm512_or_epi64(_mm512_or_epi64(a, b), _mm512_or_epi64(c, d)), e);
        _mm512_cmpeq_epi64_mask(any, _mm512_setzero_si512())
    }

    /// The lanes whose tight number is odd in its form below p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn odds(&self) -> __mmask8 {
        let [first, ..] = self.canonical();
        _mm512_test_epi64_mask(first, all(1))
    }
}

/// Squares both as often as said; two chains side by side keep the multipliers busy.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn square_both(mut pair: [Field; 2], times: u32) -> [Field; 2] {
    for _ in 0..times {
        pair = [pair[0].square(), pair[1].square()];
    }
    pair
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn mul_both(left: &[Field; 2], right: &[Field; 2]) -> [Field; 2] {
    [left[0].mul(&right[0]), left[1].mul(&right[1])]
}

/// Both to the power 2^252 - 3, which is (p - 5) / 8.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn root_power(pair: &[Field; 2]) -> [Field; 2] {
    // Names say how many ones the exponent has in binary.
    let square = square_both(*pair, 1);
    let nine = mul_both(&square_both(square, 2), pair);
    let eleven = mul_both(&nine, &square);
    let ones_5 = mul_both(&square_both(eleven, 1), &nine);
    let ones_10 = mul_both(&square_both(ones_5, 5), &ones_5);
    let ones_20 = mul_both(&square_both(ones_10, 10), &ones_10);
    let ones_40 = mul_both(&square_both(ones_20, 20), &ones_20);
    let ones_50 = mul_both(&square_both(ones_40, 10), &ones_10);
    let ones_100 = mul_both(&square_both(ones_50, 50), &ones_50);
    let ones_200 = mul_both(&square_both(ones_100, 100), &ones_100);
    let ones_250 = mul_both(&square_both(ones_200, 50), &ones_50);
    mul_both(&square_both(ones_250, 2), pair)
}

#[cfg(test)]
mod tests {
    use ruint::aliases::U512;

    use super::*;
    use crate::lanes::tests::{bytes_of, on_lanes};

    /// The largest tight limb and the largest loose one.
    const TIGHT: u64 = (1 << 51) + (1 << 17);
    const LOOSE: u64 = (1 << 52) - 1;

    fn prime() -> U512 {
        (U512::from(1) << 255) - U512::from(19)
    }

    /// The number of a lane modulo p.
    fn number(rows: &Rows, lane: usize) -> U512 {
        let limb = |at: usize| U512::from(rows[at][lane]) << (51 * at);
        (limb(0) + limb(1) + limb(2) + limb(3) + limb(4)) % prime()
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn rows(field: &Field) -> Rows {
        let mut rows = [[0; 8]; LIMBS];
        field.store(&mut rows);
        rows
    }

    /// Limbs at and near their bounds, and random ones between.
    fn draw(count: u64, bound: u64) -> Rows {
        let mut words = (0u64..).flat_map(|n| {
            let bytes = bytes_of(count << 20 | n);
            let words: [[u8; 8]; 4] = bytes.as_chunks().0.try_into().expect("four words");
            words.map(u64::from_le_bytes)
        });
        core::array::from_fn(|_| {
            core::array::from_fn(|_| {
                let word = words.next().expect("endless");
                match word % 8 {
                    0 => bound,
                    1 => bound - word / 8 % 40,
                    2 => MASK,
                    3 => MASK - word / 8 % 40,
                    4 => word / 8 % 40,
                    _ => word % (bound + 1),
                }
            })
        })
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn check_tight(field: &Field, expected: impl Fn(usize) -> U512, what: &str) {
        let rows = rows(field);
        for lane in 0..8 {
            assert_eq!(number(&rows, lane), expected(lane) % prime(), "{what}");
            assert!(rows.iter().all(|limb| limb[lane] <= TIGHT), "{what}: {rows:?}");
        }
    }

    #[test]
    fn what_lanes_compute_is_what_numbers_say_at_every_bound() {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
        fn test() {
            for count in 0..4_000 {
                let (a, b) = (draw(2 * count, LOOSE), draw(2 * count + 1, LOOSE));
                let (left, right) = (Field::load(&a), Field::load(&b));
                check_tight(&left.mul(&right), |lane| number(&a, lane) * number(&b, lane), "product");
                check_tight(&left.square(), |lane| number(&a, lane) * number(&a, lane), "square");

                let (a, b) = (draw(2 * count, TIGHT), draw(2 * count + 1, TIGHT));
                let (left, right) = (Field::load(&a), Field::load(&b));
                let difference = |double: u64, lane| U512::from(double) * number(&a, lane) + prime() - number(&b, lane);
                check_tight(&left.add(&right), |lane| number(&a, lane) + number(&b, lane), "sum");
                check_tight(&left.sub(&right), |lane| difference(1, lane), "difference");
                let (sum, less) = left.double_and(&right);
                check_tight(&sum, |lane| number(&a, lane) + number(&a, lane) + number(&b, lane), "twice and one");
                check_tight(&less, |lane| difference(2, lane), "twice less one");
                let opposite = rows(&left.neg());
                for lane in 0..8 {
                    assert_eq!(number(&opposite, lane), (prime() - number(&a, lane)) % prime());
                    assert!(opposite.iter().all(|limb| limb[lane] <= LOOSE));
                }
            }
        }
        on_lanes(test);
    }

    #[test]
    fn the_form_below_p_is_found_on_both_sides_of_it() {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
        fn test() {
            let near = |low: u64| [low, MASK, MASK, MASK, MASK];
            let mut cases: Vec<[u64; LIMBS]> = vec![[0; LIMBS], [1, 0, 0, 0, 0], [TIGHT; LIMBS], [0, 0, 0, 0, 1 << 51]];
            cases.extend((0..40).map(|below| near(MASK - below)));
            cases.extend((0..200).map(|count| draw(count, TIGHT).map(|limb| limb[0])));
            for limbs in cases {
                let field = Field(limbs.map(|limb| all(limb)));
                let value = number(&limbs.map(|limb| [limb; 8]), 0);
                let mut canonical = [[0; 8]; LIMBS];
                Field(field.canonical()).store(&mut canonical);
                let plain: U512 = (0..LIMBS).map(|at| U512::from(canonical[at][3]) << (51 * at)).sum();
                assert_eq!(plain, value, "{limbs:?}");
                assert_eq!(field.zeros(), if value == U512::ZERO { 0xff } else { 0 });
                assert_eq!(field.odds(), if value.bit(0) { 0xff } else { 0 });
            }
        }
        on_lanes(test);
    }

    #[test]
    fn the_power_is_that_of_the_root() {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
        fn test() {
            let (a, b) = (draw(1, TIGHT), draw(2, TIGHT));
            let powers = root_power(&[Field::load(&a), Field::load(&b)]);
            let exponent: U512 = (U512::from(1) << 252) - U512::from(3);
            for (rows_of, power) in [(a, &powers[0]), (b, &powers[1])] {
                let naive = |lane: usize| {
                    let base = number(&rows_of, lane);
                    (0..252).rev().fold(U512::from(1), |power, bit| {
                        let square = power * power % prime();
                        if exponent.bit(bit) { square * base % prime() } else { square }
                    })
                };
                check_tight(power, naive, "power");
            }
        }
        on_lanes(test);
    }
}
