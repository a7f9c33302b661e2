//! The transcendental functions: our own range reductions and polynomials, in operations of NUM-1 and NUM-2 alone.
//!
//! Every constant is given by its bits. The header `cpc_numerics.h` of the device holds the same operations in the same
//! order; a change of either changes the bits of every kernel that uses it.

use crate::numerics::float::{NAN, abs, copysign, fma, from_i32, power_of_two, rint, sqrt};

/// A constant by its bits.
const fn c(bits: u32) -> f32 {
    f32::from_bits(bits)
}

const LN_2: [f32; 2] = [c(0x3f31_7218), c(0xb102_e308)];
const LOG2_E: [f32; 2] = [c(0x3fb8_aa3b), c(0x32a5_7060)];
const HALF_PI: [f32; 3] = [c(0x3fc9_0fdb), c(0xb33b_bd2e), c(0xa6f7_2ced)];
const PI: [f32; 2] = [c(0x4049_0fdb), c(0xb3bb_bd2e)];
const TWO_OVER_PI: f32 = c(0x3f22_f983);

const EXP: [f32; 5] = [c(0x3eff_fffe), c(0x3e2a_aa49), c(0x3d2a_ac57), c(0x3c09_1cbf), c(0x3ab5_2786)];
const EXP2: [f32; 7] =
    [c(0x3f31_7218), c(0x3e75_fdf0), c(0x3d63_5838), c(0x3c1d_952d), c(0x3aae_d16b), c(0x3922_087b), c(0x3771_ff68)];
const LOG: [f32; 10] = [
    c(0xbf00_0000),
    c(0x3eaa_aaab),
    c(0xbe7f_ff88),
    c(0x3e4c_cc07),
    c(0xbe2a_cc6b),
    c(0x3e12_7345),
    c(0xbdf9_c778),
    c(0x3ddc_cce0),
    c(0xbe03_836e),
    c(0x3df3_f066),
];
const SIN: [f32; 4] = [c(0xbe2a_aaab), c(0x3c08_88ba), c(0xb950_2cac), c(0x363e_17c6)];
const COS: [f32; 4] = [c(0x3d2a_aaab), c(0xbab6_0bae), c(0x37d0_37d8), c(0xb49a_caa6)];
const TANH: [f32; 6] = [c(0xbeaa_aaaa), c(0x3e08_8843), c(0xbd5c_fab2), c(0x3cb1_ed42), c(0xbc06_c477), c(0x3b0f_5760)];
const ATAN: [f32; 9] = [
    c(0xbeaa_aa9f),
    c(0x3e4c_c8f5),
    c(0xbe12_107c),
    c(0x3de0_4955),
    c(0xbdac_1000),
    c(0x3d6d_42d3),
    c(0xbcff_265d),
    c(0x3c32_8d62),
    c(0xbaea_9d2d),
];
const ASIN: [f32; 6] = [c(0x3e2a_aaa6), c(0x3d99_9c50), c(0x3d36_5535), c(0x3d02_58a3), c(0x3c6b_bc5d), c(0x3d19_edda)];
/// `(log((1 + s) / (1 - s)) - 2 s) / s^3`, without its constant term 2/3.
const ATANH: [f32; 4] = [c(0x3ecc_cbf2), c(0x3e92_a099), c(0x3e47_df83), c(0x3f10_93d5)];
const TWO_THIRDS: [f32; 2] = [c(0x3f2a_aaab), c(0xb2aa_aaab)];

/// Words of 2 / pi, the first after one of zeros: bits 2^-1 to 2^-224.
const TWO_OVER_PI_WORDS: [u32; 8] =
    [0, 0xa2f9_836e, 0x4e44_1529, 0xfc27_57d1, 0xf534_ddc0, 0xdb62_9599, 0x3c43_9041, 0xfe51_63ab];
/// pi / 2 as a fraction of 2^62, in two parts.
const FRACTION: [f32; 2] = [c(0x20c9_0fdb), c(0x943b_bd2e)];

/// A polynomial from its highest coefficient down, one fused step each (NUM-15).
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: &[f32; N]) -> f32 {
    let mut sum = coefficients[N - 1];
    let mut at = N - 1;
    while at > 0 {
        at -= 1;
        sum = fma(sum, x, coefficients[at]);
    }
    sum
}

/// `x 2^n` for n from -252 to 254, rounded once: in two exact halves, but for the last step into the subnormals.
#[inline(always)]
fn scale(x: f32, n: i32) -> f32 {
    let half = n >> 1;
    x * power_of_two(half) * power_of_two(n - half)
}

/// A whole float as an integer: `x` is one, and small.
#[inline(always)]
fn whole(x: f32) -> i32 {
    crate::numerics::float::to_i32(x)
}

/// e to the power of x (NUM-16).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    if x.is_nan() {
        return NAN;
    }
    // Beyond these the result is infinite, or zero.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let n = rint(x * LOG2_E[0]);
    let r = fma(n, -LN_2[1], fma(n, -LN_2[0], x));
    let p = fma(polynomial(r, &EXP), r * r, r) + 1.0;
    scale(p, whole(n))
}

/// 2 to the power of x (NUM-16).
#[inline(always)]
pub fn exp2(x: f32) -> f32 {
    if x.is_nan() {
        return NAN;
    }
    let x = if x > 129.0 { 129.0 } else { x };
    let x = if x < -151.0 { -151.0 } else { x };
    let n = rint(x);
    let r = x - n;
    scale(fma(polynomial(r, &EXP2), r, 1.0), whole(n))
}

/// A positive finite float as `m 2^k`, m from `low` to below `2 low`, where `low` lies between 1/2 and 1.
#[inline(always)]
fn split(x: f32, low: u32) -> (f32, i32) {
    let small = x < c(0x0080_0000);
    let (x, shift) = if small { (x * 8_388_608.0, -23) } else { (x, 0) };
    let above = x.to_bits().wrapping_sub(low).cast_signed() >> 23;
    let m = f32::from_bits(x.to_bits().wrapping_sub(above.cast_unsigned() << 23));
    (m, above.wrapping_add(shift))
}

/// The natural logarithm (NUM-17).
#[inline(always)]
pub fn log(x: f32) -> f32 {
    // m from 2/3 to 4/3, so that nothing cancels where k is not 0.
    let (m, k) = split(x, 0x3f2a_aaab);
    let k = from_i32(k);
    let f = m - 1.0;
    let r = fma(polynomial(f, &LOG), f * f, f);
    let sum = fma(k, LN_2[0], fma(k, LN_2[1], r));
    if x > 0.0 && x < f32::INFINITY {
        sum
    } else if x == 0.0 {
        f32::NEG_INFINITY
    } else if x == f32::INFINITY {
        x
    } else {
        NAN
    }
}

/// x to the power of y (NUM-18).
#[inline(always)]
pub fn pow(x: f32, y: f32) -> f32 {
    if x == 1.0 || y == 0.0 {
        return 1.0;
    }
    if x.is_nan() || y.is_nan() {
        return NAN;
    }
    // Beyond 2^24 every float is even.
    let big = abs(y) >= 16_777_216.0;
    let is_whole = big || rint(y) == y;
    let is_odd = !big && is_whole && whole(y) & 1 == 1;
    let sign = if is_odd { copysign(1.0, x) } else { 1.0 };
    let a = abs(x);
    if a == 0.0 || a == f32::INFINITY {
        let grows = (a == 0.0) == (y < 0.0);
        return sign * if grows { f32::INFINITY } else { 0.0 };
    }
    if x < 0.0 && !is_whole && abs(y) != f32::INFINITY {
        return NAN;
    }
    if abs(y) == f32::INFINITY {
        return if a == 1.0 {
            1.0
        } else if (a > 1.0) == (y > 0.0) {
            f32::INFINITY
        } else {
            0.0
        };
    }
    let (high, low) = log2_in_two(a);
    let w = y * high;
    // Where w is beyond these, or not finite, the low part says nothing any more.
    if w >= 129.0 {
        return sign * f32::INFINITY;
    }
    if w <= -151.0 {
        return sign * 0.0;
    }
    let rest = fma(y, low, fma(y, high, -w));
    let n = rint(w);
    let r = (w - n) + rest;
    sign * scale(fma(polynomial(r, &EXP2), r, 1.0), whole(n))
}

/// The logarithm to the base 2 of a positive finite float, as a sum of two floats.
#[inline(always)]
fn log2_in_two(x: f32) -> (f32, f32) {
    // m from sqrt(1/2) to sqrt(2).
    let (m, k) = split(x, 0x3f35_04f3);
    let k = from_i32(k);
    let f = m - 1.0;
    let d = m + 1.0;
    let d_low = m - (d - 1.0);
    let s = f / d;
    let s_low = fma(-s, d_low, fma(-s, d, f)) / d;
    let z = s * s;
    let z_low = fma(2.0 * s, s_low, fma(s, s, -z));
    // 2/3 + z (...), in two parts.
    let q = z * polynomial(z, &ATANH);
    let p = TWO_THIRDS[0] + q;
    let p_low = (TWO_THIRDS[0] - p) + q + TWO_THIRDS[1];
    let cube = s * z;
    let cube_low = fma(s_low, z, fma(s, z_low, fma(s, z, -cube)));
    let t = cube * p;
    let t_low = fma(cube_low, p, fma(cube, p_low, fma(cube, p, -t)));
    let u = fma(2.0, s, t);
    let u_low = fma(2.0, s, -u) + t + fma(2.0, s_low, t_low);
    // Times log2(e), plus k.
    let v = u * LOG2_E[0];
    let v_low = fma(u_low, LOG2_E[0], fma(u, LOG2_E[1], fma(u, LOG2_E[0], -v)));
    let sum = k + v;
    let back = sum - k;
    let lost = (k - (sum - back)) + (v - back) + v_low;
    let high = sum + lost;
    (high, (sum - high) + lost)
}

/// The sine of an angle between -pi/4 and pi/4.
#[inline(always)]
fn sin_near(r: f32) -> f32 {
    let z = r * r;
    fma(polynomial(z, &SIN), z * r, r)
}

/// The cosine of such an angle.
#[inline(always)]
fn cos_near(r: f32) -> f32 {
    let z = r * r;
    // 1 - z / 2 rounds once; what it lost is added to what follows.
    let half = z * 0.5;
    let high = 1.0 - half;
    let lost = (1.0 - high) - half;
    high + fma(polynomial(z, &COS), z * z, lost)
}

/// An angle as `n pi/2 + r`, r between -pi/4 and pi/4: n modulo 4, and r (NUM-19).
#[inline(always)]
fn quadrant(x: f32) -> (u32, f32) {
    if abs(x) < 8_192.0 {
        let n = rint(x * TWO_OVER_PI);
        let r = fma(n, -HALF_PI[2], fma(n, -HALF_PI[1], fma(n, -HALF_PI[0], x)));
        (whole(n).cast_unsigned() & 3, r)
    } else {
        far_quadrant(x)
    }
}

/// The same for large angles: the product of the mantissa with the 96 bits of 2/pi that matter, as integers.
#[cold]
#[allow(clippy::as_conversions, reason = "64-bit integers in parts of 32, and to the nearest float (NUM-8)")]
fn far_quadrant(x: f32) -> (u32, f32) {
    let bits = x.to_bits();
    let mantissa = u64::from(bits & 0x007f_ffff | 0x0080_0000);
    // x is mantissa times 2^(e - 150): the first bit of 2/pi that does not give a multiple of 4 turns.
    let e = bits >> 23 & 0xff;
    let start = e - 120;
    let (word, shift) = ((start >> 5) as usize, start & 31);
    let at = |i: usize| {
        let both = u64::from(TWO_OVER_PI_WORDS[word + i]) << 32 | u64::from(TWO_OVER_PI_WORDS[word + i + 1]);
        both << shift >> 32
    };
    let low = mantissa * at(2);
    let middle = mantissa * at(1) + (low >> 32);
    let high = mantissa * at(0) + (middle >> 32);
    let turns = high << 32 | middle & 0xffff_ffff;
    let n = turns.wrapping_add(1 << 61) >> 62;
    let fraction = turns.wrapping_sub(n << 62).cast_signed();
    let f = fraction as f32;
    let f_low = (fraction - f as i64) as f32;
    let r = f * FRACTION[0];
    let r = r + fma(f_low, FRACTION[0], fma(f, FRACTION[1], fma(f, FRACTION[0], -r)));
    let n = n as u32;
    if x < 0.0 { (n.wrapping_neg() & 3, -r) } else { (n & 3, r) }
}

/// Sine and cosine of one angle (NUM-19).
#[inline(always)]
pub fn sin_cos(x: f32) -> (f32, f32) {
    if !x.is_finite() {
        return (NAN, NAN);
    }
    let (n, r) = quadrant(x);
    let (s, c) = (sin_near(r), cos_near(r));
    let (sin, cos) = if n & 1 == 0 { (s, c) } else { (c, s) };
    // The sine is negative in the quadrants 2 and 3, the cosine in 1 and 2.
    (if n & 2 == 0 { sin } else { -sin }, if n.wrapping_add(1) & 2 == 0 { cos } else { -cos })
}

/// The sine (NUM-19).
#[inline(always)]
pub fn sin(x: f32) -> f32 {
    // The sign of zero would be lost where the reduction subtracts zero.
    if x == 0.0 { x } else { sin_cos(x).0 }
}

/// The cosine (NUM-19).
#[inline(always)]
pub fn cos(x: f32) -> f32 {
    sin_cos(x).1
}

/// The hyperbolic tangent (NUM-20).
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    if x.is_nan() {
        return NAN;
    }
    // The sign of zero would be lost in the sum of the polynomial.
    if x == 0.0 {
        return x;
    }
    let a = abs(x);
    if a < 0.55 {
        let z = x * x;
        return fma(polynomial(z, &TANH), z * x, x);
    }
    // From 9.1 on the result rounds to one.
    let a = if a > 10.0 { 10.0 } else { a };
    copysign(1.0 - 2.0 / (exp(2.0 * a) + 1.0), x)
}

/// One over the square root: the quotient of IEEE's operations, and one step that takes back what they lost (NUM-20).
#[inline(always)]
pub fn rsqrt(x: f32) -> f32 {
    let y = 1.0 / sqrt(x);
    if y.is_nan() {
        return NAN;
    }
    if x == 0.0 || x == f32::INFINITY {
        return y;
    }
    let t = x * y;
    let t_low = fma(x, y, -t);
    let lost = fma(-t_low, y, fma(-t, y, 1.0));
    fma(0.5 * y, lost, y)
}

/// The angle of the point (x, y), from -pi to pi (NUM-21).
#[inline(always)]
pub fn atan2(y: f32, x: f32) -> f32 {
    if x.is_nan() || y.is_nan() {
        return NAN;
    }
    let (ax, ay) = (abs(x), abs(y));
    let steep = ay > ax;
    let (small, large) = if steep { (ax, ay) } else { (ay, ax) };
    let q = if large == 0.0 {
        0.0
    } else if small == f32::INFINITY {
        1.0
    } else {
        small / large
    };
    let z = q * q;
    let near = fma(polynomial(z, &ATAN), z * q, q);
    let left = copysign(1.0, x) < 0.0;
    let angle = match (steep, left) {
        (false, false) => near,
        (false, true) => PI[0] - (near - PI[1]),
        (true, false) => HALF_PI[0] - (near - HALF_PI[1]),
        (true, true) => HALF_PI[0] + (near + HALF_PI[1]),
    };
    copysign(angle, y)
}

/// What the arc sine of s adds to s, from the square of s: for s up to 1/2.
#[inline(always)]
fn asin_more(s: f32, z: f32) -> f32 {
    polynomial(z, &ASIN) * (z * s)
}

/// Half the arc cosine of a, for a from 1/2 to 1, as a sum of two floats: the arc sine of `sqrt((1 - a) / 2)`.
#[inline(always)]
fn half_acos(a: f32) -> (f32, f32) {
    let z = (1.0 - a) * 0.5;
    let s = sqrt(z);
    // What the root lost.
    let lost = if s == 0.0 { 0.0 } else { fma(-s, s, z) / (2.0 * s) };
    (s, asin_more(s, z) + lost)
}

/// The arc sine (NUM-21).
#[inline(always)]
pub fn asin(x: f32) -> f32 {
    let a = abs(x);
    if a <= 0.5 {
        return x + asin_more(x, x * x);
    }
    if a > 1.0 || a.is_nan() {
        return NAN;
    }
    let (s, more) = half_acos(a);
    let high = HALF_PI[0] - 2.0 * s;
    let lost = (HALF_PI[0] - high) - 2.0 * s;
    copysign(high + (lost - fma(2.0, more, -HALF_PI[1])), x)
}

/// The arc cosine (NUM-21).
#[inline(always)]
pub fn acos(x: f32) -> f32 {
    let a = abs(x);
    if a <= 0.5 {
        return HALF_PI[0] - (x + (asin_more(x, x * x) - HALF_PI[1]));
    }
    if a > 1.0 || a.is_nan() {
        return NAN;
    }
    let (s, more) = half_acos(a);
    if x > 0.0 {
        return 2.0 * (s + more);
    }
    let high = PI[0] - 2.0 * s;
    let lost = (PI[0] - high) - 2.0 * s;
    high + (lost - fma(2.0, more, -PI[1]))
}
