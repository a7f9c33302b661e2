//! Exact compute: kernels that give the same bits on every machine, and their checks.
//!
//! A kernel is five functions (KER-1): `price`, `plan`, `run`, `check` and `assemble`. They are reached through the
//! [`Registry`], which leads from a challenge type to its kernel. A task whose spec and inputs were checked is a
//! [`PreparedTask`]; an [`Executor`] runs its jobs, here on the processor. What defines every bit is in [`numerics`].

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::float_arithmetic))]

pub mod frame;
pub mod numerics;
pub mod rendering;
pub mod simd;
pub mod synthetic;

pub use frame::{
    BadSpec, Checker, Cpu, Effort, Executor, Inputs, Job, Judgement, Kernel, Output, Plan, PreparedTask, Price,
    Reference, Registry, RunError, SampleSeed, Secret, Soundness, Watch,
};
pub use simd::Level;
