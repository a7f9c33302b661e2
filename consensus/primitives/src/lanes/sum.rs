//! The sum of many points with coefficients, by buckets: eight windows of a coefficient at a time.
//!
//! A coefficient is 32 digits of eight bits with a sign. A point is added to the bucket of each digit's size, one in each
//! window; each lane has a window and buckets of its own, so that no two lanes meet in one.

use core::arch::x86_64::{
    __m512i, _mm512_permutex2var_epi64, _mm512_set_epi64, _mm512_setzero_si512, _mm512_shuffle_i64x2,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};

use super::field::{Field, LIMBS, Rows};
use super::point::{Niels, Points};
use super::{Words, load, store};

/// Digits of a coefficient.
const DIGITS: usize = 32;
/// Groups of eight windows.
pub(super) const GROUPS: usize = DIGITS / 8;
/// Buckets of a window: sizes 1 to 128, and one for digits that are 0, of which nobody asks.
const BUCKETS: usize = 129;

/// A coefficient below 2^255 in digits from -128 to 127, the lowest first.
pub(super) struct Digits {
    sizes: [u8; DIGITS],
    /// Of each group, which digits are below 0.
    negative: [u8; GROUPS],
}

/// The sum under way.
pub(super) struct Sum {
    /// For each size the buckets of eight windows.
    buckets: Vec<Bucket>,
    /// In each lane the sum of the windows so far, from the highest group down.
    total: Option<Points>,
}

/// A point in memory: the 20 limbs of its coordinates, and four words that only make it three rows.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket([[u64; 8]; 3]);

impl Bucket {
    const NEUTRAL: Self = {
        let mut words = [[0; 8]; 3];
        // The lowest limbs of Y and Z.
        words[0][5] = 1;
        words[1][2] = 1;
        Self(words)
    };
}

impl Digits {
    /// The digits of a number below 2^127.
    pub(super) fn of_weight(weight: u128) -> Self {
        let mut bytes = [0; DIGITS];
        bytes[..16].copy_from_slice(&weight.to_le_bytes());
        Self::of(&bytes)
    }

    pub(super) fn of(bytes: &[u8; 32]) -> Self {
        let (mut sizes, mut negative) = ([0; DIGITS], [0; GROUPS]);
        let mut carry = false;
        for (place, (byte, size)) in bytes.iter().zip(&mut sizes).enumerate() {
            let (digit, wraps) = byte.overflowing_add(u8::from(carry));
            // From 128 on it is taken as what is missing to 256, and one more of the next digit. What wraps is 0.
            let below = digit >= 128;
            negative[place / 8] |= u8::from(below) << (place % 8);
            carry = below || wraps;
            *size = if below { digit.wrapping_neg() } else { digit };
        }
        Self { sizes, negative }
    }
}

impl Sum {
    pub(super) fn new() -> Self {
        Self { buckets: vec![Bucket::NEUTRAL; BUCKETS * 8], total: None }
    }

    /// Adds the point of a lane to the buckets of a group of windows.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn add(&mut self, niels: &Niels, lane: usize, digits: &Digits, group: usize) {
        let mut places = [0; 8];
        for (window, (place, size)) in places.iter_mut().zip(&digits.sizes[group * 8..]).enumerate() {
            *place = usize::from(*size) * 8 + window;
        }
        let points = gather(&self.buckets, &places).add_one(niels, lane, digits.negative[group]);
        scatter(&points, &mut self.buckets, &places);
    }

    /// Ends a group of windows: its buckets go into the total, and are empty again.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn close(&mut self) {
        // Each bucket counts as often as its size says: it is in the running sum that often when that is added up.
        let (mut running, mut sum) = (Points::neutral(), Points::neutral());
        for size in (1..BUCKETS).rev() {
            let places = [0, 1, 2, 3, 4, 5, 6, 7].map(|window| size * 8 + window);
            running = running.add(&gather(&self.buckets, &places));
            sum = sum.add(&running);
        }
        self.buckets.fill(Bucket::NEUTRAL);
        // The group above weighs eight digits more.
        self.total = Some(match self.total {
            Some(total) => double(total, 64).add(&sum),
            None => sum,
        });
    }

    /// Whether eight times the sum is the neutral point.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn is_small(&self) -> bool {
        let Some(total) = &self.total else { return true };
        let mut rows: [Rows; 4] = [[[0; 8]; LIMBS]; 4];
        for (field, rows) in [&total.x, &total.y, &total.z, &total.t].into_iter().zip(&mut rows) {
            field.store(rows);
        }
        let mut sum = Points::neutral();
        for lane in (0..8).rev() {
            let [x, y, z, t] = [0, 1, 2, 3].map(|at| Field::lane(&rows[at], lane));
            sum = double(sum, 8).add(&Points { x, y, z, t });
        }
        let sum = double(sum, 3);
        // All lanes are one and the same by now.
        sum.x.zeros() & sum.y.sub(&sum.z).zeros() == u8::MAX
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn double(mut points: Points, times: u32) -> Points {
    for _ in 0..times {
        points = points.double();
    }
    points
}

/// Eight points of memory side by side.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn gather(buckets: &[Bucket], places: &[usize; 8]) -> Points {
    let row = |at: usize| turn(places.map(|place| load(&buckets[place].0[at])));
    let ([a, b, c], zero) = ([row(0), row(1), row(2)], _mm512_setzero_si512());
    let word = |at: usize| [a, b, c].get(at / 8).map_or(zero, |row| row[at % 8]);
    let field = |first: usize| Field([0, 1, 2, 3, 4].map(|limb| word(first + limb)));
    Points { x: field(0), y: field(LIMBS), z: field(2 * LIMBS), t: field(3 * LIMBS) }
}

/// Eight points back to memory.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn scatter(points: &Points, buckets: &mut [Bucket], places: &[usize; 8]) {
    let zero = _mm512_setzero_si512();
    let Points { x: Field(x), y: Field(y), z: Field(z), t: Field(t) } = points;
    let rows = [
        turn([x[0], x[1], x[2], x[3], x[4], y[0], y[1], y[2]]),
        turn([y[3], y[4], z[0], z[1], z[2], z[3], z[4], t[0]]),
        turn([t[1], t[2], t[3], t[4], zero, zero, zero, zero]),
    ];
    for (lane, place) in places.iter().enumerate() {
        let Bucket(words) = &mut buckets[*place];
        for (row, words) in rows.iter().zip(words) {
            store(row[lane], words);
        }
    }
}

/// Makes columns of rows.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn turn(rows: [Words; 8]) -> [Words; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    let pairs = |a: __m512i, b: __m512i| (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    let ((a, b), (c, d), (e, f), (g, h)) = (pairs(a, b), pairs(c, d), pairs(e, f), pairs(g, h));
    let (low, high) = (_mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0), _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2));
    let fours = |a: __m512i, b: __m512i| (_mm512_permutex2var_epi64(a, low, b), _mm512_permutex2var_epi64(a, high, b));
    let ((a, c), (b, d), (e, g), (f, h)) = (fours(a, c), fours(b, d), fours(e, g), fours(f, h));
    let halves = |a: __m512i, b: __m512i| {
        (_mm512_shuffle_i64x2::<0b01_00_01_00>(a, b), _mm512_shuffle_i64x2::<0b11_10_11_10>(a, b))
    };
    let ((a, e), (b, f), (c, g), (d, h)) = (halves(a, e), halves(b, f), halves(c, g), halves(d, h));
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::Scalar;
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
    use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
    use curve25519_dalek::traits::MultiscalarMul as _;

    use super::super::point::{BASE, Encodings};
    use super::*;
    use crate::lanes::tests::{bytes_of, hard_encodings, on_lanes};

    #[test]
    fn digits_with_their_signs_are_the_number() {
        let mut numbers: Vec<[u8; 32]> = (0..200).map(bytes_of).collect();
        numbers.extend([[0; 32], [0x7f; 32], [0x80; 32], [0xff; 32], [1; 32]]);
        for mut number in numbers {
            number[31] &= 0x3f;
            let digits = Digits::of(&number);
            let mut carry = 0i32;
            for (place, byte) in number.iter().enumerate() {
                let size = i32::from(digits.sizes[place]);
                assert!(size <= 128);
                let digit = if digits.negative[place / 8] >> (place % 8) & 1 == 1 { -size } else { size };
                // The number is the digits' sum: what a digit lacks at its byte, the ones below have carried over.
                let sum = digit + carry;
                assert_eq!(sum.rem_euclid(256), i32::from(*byte), "{number:?}");
                carry = sum.div_euclid(256);
            }
            assert_eq!(carry, 0, "{number:?}");
        }
    }

    #[test]
    fn rows_become_columns() {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
        fn test() {
            let words: [[u64; 8]; 8] = core::array::from_fn(|row| core::array::from_fn(|at| (row * 8 + at) as u64));
            let turned = turn(words.map(|row| load(&row)));
            for (column, lanes) in turned.into_iter().enumerate() {
                let mut words = [0; 8];
                store(lanes, &mut words);
                assert_eq!(words, core::array::from_fn(|at| (at * 8 + column) as u64));
            }
        }
        on_lanes(test);
    }

    /// Whether the lanes find that the sum and the opposite of what the library finds are nothing, and one more is not.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn check(points: &[[u8; 32]], coefficients: &[Scalar]) {
        let there: Vec<EdwardsPoint> =
            points.iter().map(|bytes| CompressedEdwardsY(*bytes).decompress().expect("a point")).collect();
        let expected = EdwardsPoint::multiscalar_mul(coefficients, &there);
        for (off, small) in [(EIGHT_TORSION[0], true), (EIGHT_TORSION[3], true), (ED25519_BASEPOINT_POINT, false)] {
            let mut points = points.to_vec();
            points.push((-expected + off).compress().to_bytes());
            let mut coefficients = coefficients.to_vec();
            coefficients.push(Scalar::ONE);
            let mut base = Encodings::new();
            (0..8).for_each(|lane| base.set(lane, &BASE));
            let niels: Vec<[Niels; 2]> = points
                .chunks(8)
                .map(|points| {
                    let mut encodings = Encodings::new();
                    for lane in 0..8 {
                        encodings.set(lane, points.get(lane).unwrap_or(&BASE));
                    }
                    Niels::decompress([&encodings, &base]).expect("points")
                })
                .collect();
            let mut sum = Sum::new();
            for group in (0..GROUPS).rev() {
                for (at, coefficient) in coefficients.iter().enumerate() {
                    sum.add(&niels[at / 8][0], at % 8, &Digits::of(&coefficient.to_bytes()), group);
                }
                sum.close();
            }
            assert_eq!(sum.is_small(), small, "{coefficients:?}");
        }
    }

    #[test]
    fn sums_are_the_library_s() {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
        fn test() {
            let points: Vec<[u8; 32]> = hard_encodings()
                .into_iter()
                .chain((0..100).map(bytes_of))
                .filter(|bytes| CompressedEdwardsY(*bytes).decompress().is_some())
                .collect();
            let mut edges = vec![Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::from(127u8), Scalar::from(128u8)];
            edges.extend([255u64, 256, 0x80_80, 0x7f_7f, 0xff_7f].map(Scalar::from));
            edges.push(Scalar::from_bytes_mod_order([0x80; 32]));
            edges.push(Scalar::from_bytes_mod_order([0x7f; 32]));
            edges.push(Scalar::from_bytes_mod_order([0xff; 32]));
            check(&[], &[]);
            for edge in &edges {
                for point in &points[..12] {
                    check(&[*point], &[*edge]);
                }
                // The same point in the same bucket again and again.
                check(&[points[60]; 9], &[*edge; 9]);
            }
            let random = |at: u64| Scalar::from_bytes_mod_order(bytes_of(1 << 40 | at));
            let mixed: Vec<Scalar> =
                (0..points.len()).map(|at| edges.get(at % 29).copied().unwrap_or_else(|| random(at as u64))).collect();
            check(&points, &mixed);
        }
        on_lanes(test);
    }
}
