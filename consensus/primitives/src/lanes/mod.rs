//! The equation of a batch of signatures, eight points at a time on processors with AVX-512.
//!
//! One signature's points are independent of another's, so that eight of them share every instruction: their encodings
//! are decompressed side by side (`point`), and each is then added to eight windows of the sum at once (`sum`). What is
//! computed is the equation of `ed25519-zebra`, to whose verdicts, and to whose curve, tests hold every step; where the
//! processor has no such lanes, and in small batches, that library judges.

// Places in arrays whose sizes are constants; a coefficient's arithmetic is the curve crate's, a lane's is said lane by
// lane, and its bounds with it.
#![allow(clippy::arithmetic_side_effects)]

mod field;
mod point;
mod sum;

use core::arch::x86_64::{__m512i, _mm512_loadu_epi64, _mm512_storeu_epi64};

use curve25519_dalek::Scalar;
use sha2::{Digest as _, Sha512};

use crate::hash::Domain;
use crate::keys::BadSignature;
use crate::signing::Claim;

use self::point::{BASE, Encodings, Niels};
use self::sum::{Digits, Sum};

/// Below this many signatures the fixed work of a sum, its 4,096 buckets, costs more than the lanes save.
pub(crate) const CLAIMS_MIN: usize = 24;

/// Eight numbers, one in each lane.
type Words = __m512i;

/// Whether this processor has the lanes.
pub(crate) fn are_here() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512ifma")
}

/// One signature in its bytes; whether the key is one that we take is not asked here.
#[derive(Clone, Copy)]
struct Signed<'a> {
    key: &'a [u8; 32],
    message: &'a [u8; 32],
    r: &'a [u8; 32],
    s: &'a [u8; 32],
}

/// Whether all of them are good, where the lanes are here (SIG-2).
pub(crate) fn judge(claims: &[Claim]) -> Option<Result<(), BadSignature>> {
    if claims.len() < CLAIMS_MIN || !are_here() {
        return None;
    }
    let signed: Vec<Signed<'_>> = claims
        .iter()
        .map(|Claim { key, message, signature }| {
            let (halves, _) = signature.0.as_chunks();
            Signed { key: key.bytes(), message: &message.0, r: &halves[0], s: &halves[1] }
        })
        .collect();
    // SAFETY: every feature that the function is compiled with was just found on this processor.
    #[expect(unsafe_code, reason = "what needs a feature can only be called so, where the feature was seen")]
    Some(unsafe { check(&signed) })
}

/// The coefficients of one signature.
struct Term {
    /// The digits of z, the weight, which is R's coefficient.
    r: Digits,
    /// The digits of z k, which is A's.
    a: Digits,
}

/// `[8] (sum of [z] R + [z k] A - [sum of z s] B)` is nothing, for weights z that nobody can choose (SIG-2).
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn check(signed: &[Signed<'_>]) -> Result<(), BadSignature> {
    let weights = weights(signed);
    let mut terms = Vec::with_capacity(signed.len() + 1);
    let mut base = Products::new();
    for (Signed { key, message, r, s }, weight) in signed.iter().zip(&weights) {
        let s = below_order(s).ok_or(BadSignature)?;
        let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message);
        let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        base.add(*weight, &s);
        let r = Digits::of_weight(*weight);
        terms.push(Term { r, a: Digits::of(&(Scalar::from(*weight) * k).to_bytes()) });
    }
    // The base point is a last key, of a signature whose R has no part in the sum.
    terms.push(Term { r: Digits::of_weight(0), a: Digits::of(&(-base.sum()).to_bytes()) });

    let mut points = Vec::with_capacity(terms.len().div_ceil(8));
    for first in (0..terms.len()).step_by(8) {
        let (mut keys, mut rs) = (Encodings::new(), Encodings::new());
        for lane in 0..8 {
            let (key, r) = signed.get(first + lane).map_or((&BASE, &BASE), |signed| (signed.key, signed.r));
            keys.set(lane, key);
            rs.set(lane, r);
        }
        let pair = Niels::decompress([&keys, &rs]).ok_or(BadSignature)?;
        points.push(pair);
    }

    let mut sum = Sum::new();
    for group in (0..sum::GROUPS).rev() {
        for (terms, [keys, rs]) in terms.chunks(8).zip(&points) {
            for (lane, term) in terms.iter().enumerate() {
                sum.add(keys, lane, &term.a, group);
                // The weights have half as many digits.
                if group < sum::GROUPS / 2 {
                    sum.add(rs, lane, &term.r, group);
                }
            }
        }
        sum.close();
    }
    if sum.is_small() { Ok(()) } else { Err(BadSignature) }
}

/// The weights of a batch, from the hash of all of it (SIG-2): 126 bits each, so that its digits with a sign end where
/// its bytes do.
fn weights(signed: &[Signed<'_>]) -> Vec<u128> {
    let mut seed = Domain::BatchWeights.hasher();
    for Signed { key, message, r, s } in signed {
        seed.update(*key).update(*message).update(*r).update(*s);
    }
    let mut bytes = vec![[0; 16]; signed.len()];
    seed.finalize_xof().fill(bytes.as_flattened_mut());
    bytes.into_iter().map(|bytes| u128::from_le_bytes(bytes) >> 2).collect()
}

/// The order of the base point, in words of 64 bits, the lowest first.
const ORDER: [u64; 4] = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000];

/// A number in words, where it is below the order (SIG-1).
fn below_order(bytes: &[u8; 32]) -> Option<[u64; 4]> {
    let (words, _) = bytes.as_chunks();
    let words = [0, 1, 2, 3].map(|at| u64::from_le_bytes(words[at]));
    words.iter().rev().lt(ORDER.iter().rev()).then_some(words)
}

/// A sum of products of weights and numbers below the order, which is only divided by the order at its end: a product is
/// below 2^379, so that 512 bits hold more of them than there is memory for.
struct Products([u64; 8]);

impl Products {
    const fn new() -> Self {
        Self([0; 8])
    }

    fn add(&mut self, weight: u128, number: &[u64; 4]) {
        let words = [weight & u128::from(u64::MAX), weight >> 64];
        for (first, word) in words.into_iter().enumerate() {
            let mut carry = 0;
            for (at, sum) in self.0.iter_mut().enumerate().skip(first) {
                let factor = number.get(at - first).copied().map_or(0, u128::from);
                // The largest product of two words leaves room for two more of them.
                let wide = word * factor + u128::from(*sum) + carry;
                *sum = low(wide);
                carry = wide >> 64;
            }
        }
    }

    fn sum(&self) -> Scalar {
        let mut bytes = [0; 64];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *bytes = word.to_le_bytes();
        }
        Scalar::from_bytes_mod_order_wide(&bytes)
    }
}

fn low(wide: u128) -> u64 {
    u64::try_from(wide & u128::from(u64::MAX)).expect("64 bits")
}

/// Brings eight numbers into lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
#[expect(unsafe_code, reason = "the intrinsic takes a pointer")]
fn load(words: &[u64; 8]) -> Words {
    // SAFETY: the pointer is that of 64 readable bytes, and the intrinsic demands no alignment.
    unsafe { _mm512_loadu_epi64(words.as_ptr().cast()) }
}

/// Brings eight lanes into numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
#[expect(unsafe_code, reason = "the intrinsic takes a pointer")]
fn store(lanes: Words, words: &mut [u64; 8]) {
    // SAFETY: the pointer is that of 64 writable bytes, and the intrinsic demands no alignment.
    unsafe { _mm512_storeu_epi64(words.as_mut_ptr().cast(), lanes) }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
    use curve25519_dalek::edwards::CompressedEdwardsY;
    use ed25519_zebra::{VerificationKey, VerificationKeyBytes};

    use super::*;
    use crate::keys::SecretKey;

    /// Runs what needs the lanes, where they are.
    #[expect(unsafe_code, reason = "what needs a feature can only be called so, where the feature was seen")]
    pub(super) fn on_lanes(test: unsafe fn()) {
        if are_here() {
            // SAFETY: the features that all of this module is compiled with were just found on this processor.
            unsafe { test() }
        } else {
            println!("this processor has no such lanes: nothing was tested");
        }
    }

    /// A number for every count: the same in every run.
    pub(super) fn bytes_of(count: u64) -> [u8; 32] {
        Domain::BatchWeights.hash_bytes(&count.to_le_bytes()).0
    }

    /// Encodings of which many are no points, or points in another than their canonical encoding.
    pub(super) fn hard_encodings() -> Vec<[u8; 32]> {
        let mut encodings: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
        for low in 0..40u8 {
            // From 2^255 - 40 on, which is below p and above, and from 0.
            let (mut high, mut small) = ([0xff; 32], [0; 32]);
            high[0] = 0xff - low;
            high[31] = 0x7f;
            small[0] = low;
            encodings.extend([high, small]);
        }
        for at in 0..encodings.len() {
            let mut odd = encodings[at];
            odd[31] ^= 0x80;
            encodings.push(odd);
        }
        encodings
    }

    #[derive(Clone)]
    struct Owned {
        key: [u8; 32],
        message: [u8; 32],
        r: [u8; 32],
        s: [u8; 32],
    }

    impl Owned {
        fn honest(number: u64) -> Self {
            let key = SecretKey::from_seed(&bytes_of(number));
            let message = bytes_of(number << 32);
            let signature = key.sign(&message).0;
            let (halves, _) = signature.as_chunks();
            Self { key: *key.public().bytes(), message, r: halves[0], s: halves[1] }
        }

        fn library_says(&self) -> bool {
            let signature = [self.r, self.s].concat();
            let signature = <[u8; 64]>::try_from(signature.as_slice()).expect("twice 32").into();
            VerificationKey::try_from(VerificationKeyBytes::from(self.key))
                .is_ok_and(|key| key.verify(&signature, &self.message).is_ok())
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn lanes_say(all: &[Owned]) -> bool {
        let signed: Vec<Signed<'_>> =
            all.iter().map(|Owned { key, message, r, s }| Signed { key, message, r, s }).collect();
        check(&signed).is_ok()
    }

    #[test]
    fn a_batch_of_any_size_is_good_until_one_of_its_signatures_is_bad() {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
        fn test() {
            let honest: Vec<Owned> = (0..70).map(Owned::honest).collect();
            for count in (0..honest.len()).step_by(3).chain([1, 2, 7, 8, 9]) {
                assert!(lanes_say(&honest[..count]), "{count} good ones");
                for bad in [0, count / 2, count.saturating_sub(1)].into_iter().filter(|bad| *bad < count) {
                    for part in 0..4 {
                        let mut bent = honest[..count].to_vec();
                        let Owned { key, message, r, s } = &mut bent[bad];
                        [key, message, r, s][part][3] ^= 1;
                        assert!(!bent[bad].library_says());
                        assert!(!lanes_say(&bent), "{bad} of {count}, bent in part {part}");
                    }
                }
            }
        }
        on_lanes(test);
    }

    // SIG-1: the 196 cases of the ZIP and more, each alone beside honest ones.
    #[test]
    fn keys_and_rs_in_every_hard_encoding_have_the_library_s_verdict() {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
        fn test() {
            let honest: Vec<Owned> = (0..7).map(Owned::honest).collect();
            let hard = hard_encodings();
            let (mut good, mut bad) = (0, 0);
            for (at, key) in hard.iter().enumerate() {
                for r in &hard[at % 4..] {
                    let one = Owned { key: *key, message: [7; 32], r: *r, s: [0; 32] };
                    let verdict = one.library_says();
                    if verdict {
                        good += 1
                    } else {
                        bad += 1
                    }
                    let mut all = honest.clone();
                    all.insert(at % 8, one);
                    assert_eq!(lanes_say(&all), verdict, "{key:?} {r:?}");
                }
            }
            assert!(good > 196 && bad > 10_000, "{good} good, {bad} bad");
        }
        on_lanes(test);
    }

    #[test]
    fn s_is_below_the_order_and_every_torsion_is_forgiven() {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
        fn test() {
            let honest: Vec<Owned> = (0..40).map(Owned::honest).collect();
            let order = {
                let mut bytes = (Scalar::ZERO - Scalar::ONE).to_bytes();
                bytes[0] += 1;
                bytes
            };
            let mut all = honest.clone();
            all[9].s = order;
            assert!(!lanes_say(&all));

            let mut all = honest.clone();
            for (number, torsion) in EIGHT_TORSION.iter().enumerate() {
                let (secret, nonce) = (Scalar::from(7u64 + number as u64), Scalar::from(99u64));
                let key = (ED25519_BASEPOINT_TABLE * &secret + torsion).compress().to_bytes();
                let r = (ED25519_BASEPOINT_TABLE * &nonce + torsion).compress().to_bytes();
                let hash = Sha512::new().chain_update(r).chain_update(key).chain_update([3; 32]);
                let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
                let s = (nonce + k * secret).to_bytes();
                all.push(Owned { key, message: [3; 32], r, s });
            }
            assert!(all.iter().all(Owned::library_says));
            assert!(lanes_say(&all));
        }
        on_lanes(test);
    }

    #[test]
    fn sums_of_products_are_the_library_s() {
        let order = (Scalar::ZERO - Scalar::ONE).to_bytes();
        let mut numbers: Vec<[u8; 32]> =
            (0..100).map(|at| Scalar::from_bytes_mod_order(bytes_of(at)).to_bytes()).collect();
        numbers.extend([[0; 32], order]);
        let weights: Vec<u128> = (0u128..100).map(|at| (1 << 126) - 1 - at * at * at).chain([0, 1]).collect();
        let (mut products, mut expected) = (Products::new(), Scalar::ZERO);
        for (weight, number) in weights.iter().zip(&numbers).chain(weights.iter().zip(numbers.iter().rev())) {
            products.add(*weight, &below_order(number).expect("it is reduced"));
            expected += Scalar::from(*weight) * Scalar::from_canonical_bytes(*number).expect("it is reduced");
            assert_eq!(products.sum(), expected);
        }
        let mut over = order;
        over[0] += 1;
        assert_eq!(below_order(&order).map(|words| words[0] + 1), Some(ORDER[0]));
        assert_eq!(below_order(&over), None);
        assert_eq!(below_order(&[0xff; 32]), None);
    }

    #[test]
    fn an_encoding_is_a_point_where_the_library_says_so() {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
        fn test() {
            let mut all = hard_encodings();
            all.extend((0..2_000).map(bytes_of));
            let (mut points, mut others) = (0, 0);
            for (at, bytes) in all.iter().enumerate() {
                let (mut one, mut base) = (Encodings::new(), Encodings::new());
                for lane in 0..8 {
                    one.set(lane, if lane == at % 8 { bytes } else { &BASE });
                    base.set(lane, &BASE);
                }
                let expected = CompressedEdwardsY(*bytes).decompress().is_some();
                if expected {
                    points += 1
                } else {
                    others += 1
                }
                assert_eq!(Niels::decompress([&one, &base]).is_some(), expected, "{bytes:?}");
                assert_eq!(Niels::decompress([&base, &one]).is_some(), expected, "{bytes:?}");
            }
            assert!(points > 900 && others > 900, "{points} points, {others} others");
        }
        on_lanes(test);
    }
}
