//! The arithmetic that defines every bit: the operations of a kernel, and the order in which they are made.
//!
//! What is not here is not used: no function of the platform's mathematics library, no contraction, no order that
//! depends on threads (NUM-22). Each function is written once more in `gpu-kernels/cuda/include`, for the device, and a test
//! holds the two together.

// Overflow checks stay on in every profile; what may wrap says so by its name.
#![allow(clippy::arithmetic_side_effects, reason = "overflow checks stay on; counts are bounded by the spec")]
#![allow(clippy::float_arithmetic, reason = "the operations of NUM-1 are what this module is for")]

pub mod field;
pub mod float;
pub mod functions;
pub mod order;
mod philox;

pub use philox::Philox;
