//! Directions and frames from random numbers, by polynomials of our own.

use super::vector::Vec3;
use crate::numerics::float::{from_i32, max, sqrt};

/// Half of the circle's number, and what follows from it.
pub(crate) const PI: f32 = f32::from_bits(0x4049_0fdb);
pub(crate) const ONE_BY_PI: f32 = f32::from_bits(0x3ea2_f983);

// REN-22: an angle is never computed; the two high bits choose a quarter of the circle, the others a place in it.
/// The point of the unit circle at a share of the full turn, which is given as 32 bits and begins at the diagonal.
#[inline(always)]
pub(crate) fn circle(turn: u32) -> (f32, f32) {
    // From -pi/4 up to pi/4, in steps of pi 2^-31.
    let x = from_i32((turn & 0x3fff_ffff).cast_signed() - 0x2000_0000) * f32::from_bits(0x30c9_0fdb);
    let square = x * x;
    let sin = x * (1.0 + square * (-1.0 / 6.0 + square * (1.0 / 120.0 + square * (-1.0 / 5_040.0))));
    let cos = 1.0 + square * (-0.5 + square * (1.0 / 24.0 + square * (-1.0 / 720.0 + square * (1.0 / 40_320.0))));
    // A quarter turn swaps the two and changes one sign, a half turn changes both: by masks, so that no branch depends on a
    // random number.
    let (cos, sin) = (cos.to_bits(), sin.to_bits());
    let swapped = (turn >> 30 & 1).wrapping_neg();
    let sign = turn & 1 << 31;
    let first = chosen(swapped, sin ^ 1 << 31, cos) ^ sign;
    let second = chosen(swapped, cos, sin) ^ sign;
    (f32::from_bits(first), f32::from_bits(second))
}

/// The first where the mask is all ones, the second where it is zero.
#[inline(always)]
fn chosen(mask: u32, first: u32, second: u32) -> u32 {
    (first & mask) | (second & !mask)
}

/// Two directions that make a right-handed frame with a third one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Basis {
    pub(crate) x: Vec3,
    pub(crate) y: Vec3,
    pub(crate) z: Vec3,
}

impl Basis {
    /// The frame about a direction of length one, without a square root.
    #[inline(always)]
    pub(crate) fn about(z: Vec3) -> Self {
        let sign = if z.z < 0.0 { -1.0 } else { 1.0 };
        let a = -1.0 / (sign + z.z);
        let b = z.x * z.y * a;
        Self {
            x: Vec3::new(1.0 + sign * (z.x * z.x * a), sign * b, -sign * z.x),
            y: Vec3::new(b, sign + z.y * z.y * a, -z.y),
            z,
        }
    }

    #[inline(always)]
    pub(crate) fn to_local(self, v: Vec3) -> Vec3 {
        Vec3::new(v.dot(self.x), v.dot(self.y), v.dot(self.z))
    }

    #[inline(always)]
    pub(crate) fn to_world(self, v: Vec3) -> Vec3 {
        (self.x * v.x + self.y * v.y) + self.z * v.z
    }
}

/// A direction about the third axis, as often as its cosine is large; `u` is in [0, 1).
#[inline(always)]
pub(crate) fn cosine_direction(u: f32, turn: u32) -> Vec3 {
    let radius = sqrt(u);
    let (cos, sin) = circle(turn);
    Vec3::new(radius * cos, radius * sin, sqrt(max(1.0 - u, 0.0)))
}

// REN-23: a ray leaves a surface from the nearest point that is surely on its own side.
/// Moves a point off the surface on which it was computed, towards the side of the normal.
#[inline(always)]
pub(crate) fn off_surface(point: Vec3, normal: Vec3) -> Vec3 {
    Vec3::new(off(point.x, normal.x), off(point.y, normal.y), off(point.z, normal.z))
}

#[inline(always)]
fn off(coordinate: f32, normal: f32) -> f32 {
    // Near zero a fixed length, elsewhere 256 units in the last place: both scaled with the normal's component, and one of
    // them chosen by a mask, because which one is hard to foresee.
    let near = coordinate + normal * (1.0 / 65_536.0);
    let steps = crate::numerics::float::to_i32(normal * 256.0);
    let steps = if coordinate < 0.0 { steps.wrapping_neg() } else { steps };
    let far = coordinate.to_bits().wrapping_add_signed(steps);
    let is_near = u32::from(coordinate.abs() < 1.0 / 32.0).wrapping_neg();
    f32::from_bits(chosen(is_near, near.to_bits(), far))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_goes_once_around_the_circle() {
        for index in 0..100_000_u32 {
            let turn = index.wrapping_mul(0x9e37_79b9);
            let (x, y) = circle(turn);
            let angle = f64::from(turn) / 4_294_967_296.0 * core::f64::consts::TAU - core::f64::consts::FRAC_PI_4;
            assert!((f64::from(x) - angle.cos()).abs() < 4e-7, "cosine of {turn:#x}");
            assert!((f64::from(y) - angle.sin()).abs() < 4e-7, "sine of {turn:#x}");
        }
    }

    #[test]
    fn a_frame_is_right_handed_and_orthogonal() {
        for z in [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.6, -0.64, 0.48], [0.0, 1.0, 0.0]] {
            let basis = Basis::about(Vec3::from_array(z));
            assert!((basis.x.cross(basis.y) - basis.z).within(1e-6), "{z:?}");
            assert!(basis.x.dot(basis.y).abs() < 1e-6 && (basis.x.dot(basis.x) - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_point_moves_to_the_side_of_the_normal() {
        for x in [-1.0e5_f32, -2.0, -0.01, 0.0, 0.01, 3.0, 1.0e5] {
            for n in [-1.0_f32, -0.5, 0.5, 1.0] {
                let moved = off(x, n);
                assert!((moved - x) * n > 0.0 && (moved - x).abs() < x.abs().max(1.0) * 1e-4, "{x} {n}: {moved}");
            }
        }
    }
}
