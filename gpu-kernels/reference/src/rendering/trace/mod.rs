//! The arithmetic of the path tracer: every operation in its order, compiled once for each level of instructions.

// NUM-1: floats are what this part is for; the indices of its arrays are bounded where the scene is read, and sums
// that could wrap stop the process, because overflow checks stay on.
#![allow(clippy::float_arithmetic, clippy::arithmetic_side_effects, clippy::as_conversions)]

pub(crate) mod bsdf;
pub(crate) mod bvh;
pub(crate) mod path;
pub(crate) mod random;
pub(crate) mod sampling;
pub(crate) mod texture;
pub(crate) mod transform;
pub(crate) mod vector;
pub(crate) mod walk;
