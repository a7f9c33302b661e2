//! The operations on 32-bit floats: IEEE's, rounded to nearest with ties to even, and an explicit fused multiply-add.
//!
//! `+ - * /` of Rust are IEEE's and are never contracted, so they are written as they are. The rest stands here.

/// The one NaN whose bits are ever seen (NUM-5).
pub const NAN: f32 = f32::from_bits(0x7fc0_0000);

/// `a b + c`, rounded once (NUM-2).
///
/// One instruction where the caller is compiled for FMA (see [`crate::simd::dispatch`]); elsewhere a call that gives
/// the same bits.
#[inline(always)]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

/// The square root, rounded once (NUM-1).
#[inline(always)]
pub fn sqrt(x: f32) -> f32 {
    x.sqrt()
}

/// The smaller one, and `b` where they do not compare (NUM-6).
#[inline(always)]
pub fn min(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// The larger one, and `b` where they do not compare (NUM-6).
#[inline(always)]
pub fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// `x` between two bounds; `low` where `x` does not compare (NUM-6).
#[inline(always)]
pub fn clamp(x: f32, low: f32, high: f32) -> f32 {
    min(max(x, low), high)
}

/// Without the sign bit.
#[inline(always)]
pub fn abs(x: f32) -> f32 {
    f32::from_bits(x.to_bits() & 0x7fff_ffff)
}

/// The magnitude of one with the sign bit of the other; the sign of a NaN is that of its canonical form (NUM-5).
#[inline(always)]
pub fn copysign(magnitude: f32, sign: f32) -> f32 {
    f32::from_bits(magnitude.to_bits() & 0x7fff_ffff | bits(sign) & 0x8000_0000)
}

/// The bits of a value as they are hashed, stored and compared: every NaN as the canonical one (NUM-5).
#[inline(always)]
pub fn bits(x: f32) -> u32 {
    if x.is_nan() { NAN.to_bits() } else { x.to_bits() }
}

/// The nearest whole number, ties to even, with the sign of `x` (NUM-7).
#[inline(always)]
pub fn rint(x: f32) -> f32 {
    // From 2^23 on every float is whole. Below, the sum with 2^23 has no room for a fraction, and IEEE rounds it.
    let magnitude = abs(x);
    let whole = (magnitude + 8_388_608.0) - 8_388_608.0;
    if magnitude < 8_388_608.0 { copysign(whole, x) } else { x }
}

/// The greatest whole number that is not above `x` (NUM-7).
#[inline(always)]
pub fn floor(x: f32) -> f32 {
    let near = rint(x);
    if near > x { near - 1.0 } else { near }
}

/// A whole number as the nearest float, ties to even (NUM-8).
#[inline(always)]
#[allow(clippy::as_conversions, reason = "the one conversion that the clause defines")]
pub fn from_u32(x: u32) -> f32 {
    x as f32
}

/// A whole number as the nearest float, ties to even (NUM-8).
#[inline(always)]
#[allow(clippy::as_conversions, reason = "the one conversion that the clause defines")]
pub fn from_i32(x: i32) -> f32 {
    x as f32
}

/// Cut off towards zero; what does not fit becomes the nearest that does, and a NaN 0 (NUM-8).
#[inline(always)]
#[allow(clippy::as_conversions, reason = "the one conversion that the clause defines")]
pub fn to_i32(x: f32) -> i32 {
    x as i32
}

/// Cut off towards zero; what does not fit becomes the nearest that does, and a NaN 0 (NUM-8).
#[inline(always)]
#[allow(clippy::as_conversions, reason = "the one conversion that the clause defines")]
pub fn to_u32(x: f32) -> u32 {
    x as u32
}

/// 24 high bits as a number in [0, 1) (NUM-13).
#[inline(always)]
pub fn unit(word: u32) -> f32 {
    from_u32(word >> 8) * f32::from_bits(0x3380_0000)
}

/// 2^n for n from -126 to 127.
#[inline(always)]
pub(crate) fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127).cast_unsigned()) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn min_and_max_take_the_second_where_nothing_compares() {
        for (a, b, least, most) in [
            (1.0, 2.0, 1.0f32, 2.0f32),
            (f32::NAN, 2.0, 2.0, 2.0),
            (2.0, f32::NAN, f32::NAN, f32::NAN),
            (0.0, -0.0, -0.0, -0.0),
            (-0.0, 0.0, 0.0, 0.0),
        ] {
            assert_eq!((bits(min(a, b)), bits(max(a, b))), (bits(least), bits(most)), "{a} {b}");
        }
    }

    #[test]
    fn rounding_agrees_with_the_definition() {
        let special =
            [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 8_388_607.5, 8_388_608.0, f32::INFINITY, f32::MIN_POSITIVE];
        for x in special.into_iter().chain((0..1_000_000).map(|i| f32::from_bits(i * 4_293))) {
            assert_eq!(bits(rint(x)), bits(x.round_ties_even()), "rint {x}");
            assert_eq!(bits(floor(x)), bits(x.floor()), "floor {x}");
        }
    }

    #[test]
    fn the_fused_operation_rounds_once() {
        // The product is 1 + 2^-11 + 2^-24: rounding it first would lose its last bit.
        let x = 1.0 + f32::from_bits(0x3980_0000);
        assert_eq!(fma(x, x, -1.0 - f32::from_bits(0x3a00_0000)).to_bits(), f32::from_bits(0x3380_0000).to_bits());
        assert_eq!(fma(f32::MAX, 2.0, f32::NEG_INFINITY), f32::NEG_INFINITY);
    }
}
