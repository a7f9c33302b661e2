//! The field of 2^31 - 1 elements, in canonical representatives.

/// The prime.
pub const P: u32 = 0x7fff_ffff;

/// The canonical representative of any 64 bits (NUM-11).
#[inline(always)]
#[allow(clippy::as_conversions, reason = "the value is below 2^31 when it is narrowed")]
pub fn reduce(x: u64) -> u32 {
    // 2^31 is 1 in the field, so the digits to the base 2^31 are added: 64 bits give a sum below 2^34, then below 2^32.
    let p = u64::from(P);
    let x = (x & p) + (x >> 31);
    let x = (x & p) + (x >> 31);
    (if x >= p { x - p } else { x }) as u32
}

/// The sum of two canonical representatives.
#[inline(always)]
pub fn add(a: u32, b: u32) -> u32 {
    let sum = a + b;
    if sum >= P { sum - P } else { sum }
}

/// The difference of two canonical representatives.
#[inline(always)]
pub fn sub(a: u32, b: u32) -> u32 {
    if a >= b { a - b } else { a + P - b }
}

/// The product of two canonical representatives.
#[inline(always)]
pub fn mul(a: u32, b: u32) -> u32 {
    reduce(u64::from(a) * u64::from(b))
}

/// `sum + a b`, for sums of products: folded so that the result stays below 2^33 (NUM-11).
#[inline(always)]
pub fn accumulate(sum: u64, a: u32, b: u32) -> u64 {
    let sum = sum + u64::from(a) * u64::from(b);
    (sum & u64::from(P)) + (sum >> 31)
}

/// A word of a random stream as an element: its low 31 bits, and none where they are all set (NUM-14).
#[inline(always)]
pub fn from_word(word: u32) -> Option<u32> {
    let value = word & P;
    (value != P).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arithmetic_is_that_of_the_residues() {
        let values = [0, 1, 2, P / 2, P / 2 + 1, P - 2, P - 1];
        let p = u128::from(P);
        for a in values {
            for b in values {
                let (x, y) = (u128::from(a), u128::from(b));
                assert_eq!(u128::from(add(a, b)), (x + y) % p);
                assert_eq!(u128::from(sub(a, b)), (x + p - y) % p);
                assert_eq!(u128::from(mul(a, b)), x * y % p);
                let sum = accumulate(u64::from(u32::MAX) * 2, a, b);
                assert!(sum < 1 << 33);
                assert_eq!(u128::from(reduce(sum)), (u128::from(u32::MAX) * 2 + x * y) % p);
            }
        }
    }

    #[test]
    fn any_64_bits_have_one_representative() {
        let p = u64::from(P);
        for x in [0, p - 1, p, p + 1, 2 * p, p * p, p * p - 1, u64::MAX, u64::MAX - 1, 1 << 31, 1 << 62, 1 << 63] {
            assert_eq!(u64::from(reduce(x)), x % p, "{x}");
        }
    }

    #[test]
    fn a_word_that_is_no_element_is_skipped() {
        assert_eq!(from_word(0x7fff_ffff), None);
        assert_eq!(from_word(0xffff_ffff), None);
        assert_eq!(from_word(0x8000_0000), Some(0));
        assert_eq!(from_word(0xffff_fffe), Some(P - 1));
    }
}
