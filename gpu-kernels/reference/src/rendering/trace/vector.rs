//! Vectors of three floats; every operation has one order, which the CUDA form repeats.

use core::ops::{Add, Mul, Neg, Sub};

use crate::numerics::float::{max, min};

/// A point, a direction or a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub(crate) struct Vec3 {
    /// First component; red.
    pub(crate) x: f32,
    /// Second component; green.
    pub(crate) y: f32,
    /// Third component; blue.
    pub(crate) z: f32,
}

impl Vec3 {
    /// All zero.
    pub(crate) const ZERO: Self = Self::new(0.0, 0.0, 0.0);
    /// All one.
    pub(crate) const ONE: Self = Self::new(1.0, 1.0, 1.0);

    /// From its components.
    #[must_use]
    pub(crate) const fn new(x: f32, y: f32, z: f32) -> Self {
        Self { x, y, z }
    }

    pub(crate) const fn from_array([x, y, z]: [f32; 3]) -> Self {
        Self { x, y, z }
    }

    pub(crate) const fn to_array(self) -> [f32; 3] {
        [self.x, self.y, self.z]
    }

    /// The same value in each component.
    pub(crate) const fn splat(value: f32) -> Self {
        Self { x: value, y: value, z: value }
    }

    // REN-20: a sum of three products adds the first two, then the third.
    #[inline(always)]
    pub(crate) fn dot(self, other: Self) -> f32 {
        (self.x * other.x + self.y * other.y) + self.z * other.z
    }

    #[inline(always)]
    pub(crate) fn cross(self, other: Self) -> Self {
        Self::new(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    /// This vector at length one; the zero vector stays zero.
    #[inline(always)]
    pub(crate) fn normalized(self) -> Self {
        let square = self.dot(self);
        if square > 0.0 { self * (1.0 / square.sqrt()) } else { self }
    }

    /// The products of the components.
    #[inline(always)]
    pub(crate) fn times(self, other: Self) -> Self {
        Self::new(self.x * other.x, self.y * other.y, self.z * other.z)
    }

    /// The largest component.
    #[inline(always)]
    pub(crate) fn largest(self) -> f32 {
        max(max(self.x, self.y), self.z)
    }

    /// The smaller of each component.
    #[inline(always)]
    pub(crate) fn smaller_of(self, other: Self) -> Self {
        Self::new(min(self.x, other.x), min(self.y, other.y), min(self.z, other.z))
    }

    /// The larger of each component.
    #[inline(always)]
    pub(crate) fn larger_of(self, other: Self) -> Self {
        Self::new(max(self.x, other.x), max(self.y, other.y), max(self.z, other.z))
    }

    /// How bright this colour is, by the primaries of sRGB.
    #[inline(always)]
    pub(crate) fn luminance(self) -> f32 {
        (self.x * 0.2126 + self.y * 0.7152) + self.z * 0.0722
    }

    /// Whether every component is within the bound, which no NaN is.
    pub(crate) fn within(self, bound: f32) -> bool {
        self.x.abs() <= bound && self.y.abs() <= bound && self.z.abs() <= bound
    }
}

impl Add for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn mul(self, factor: f32) -> Self {
        Self::new(self.x * factor, self.y * factor, self.z * factor)
    }
}

impl Neg for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self::new(-self.x, -self.y, -self.z)
    }
}
