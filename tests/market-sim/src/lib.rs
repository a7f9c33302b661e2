//! Whole markets on simulated links, from a seed: real orchestrators, committees and workers, and liars with names.
//!
//! The same `step` functions run here that the node runs; the jobs are real ones of a small size. Nothing reads a clock,
//! so that a seed gives the same game for ever.

pub mod actors;
pub mod chain;
pub mod game;
pub mod rng;
pub mod truth;

pub use actors::{NodeKind, WorkerKind};
pub use game::{Ending, Game, Plan};
