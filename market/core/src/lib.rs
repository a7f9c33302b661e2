//! The market as values: what orchestrator, committee and worker do with the events that reach them.
//!
//! A [`Market`] is the part of a validator's node that offers jobs, judges results and submits them; a [`Worker`] is the
//! machine that computes. Both are advanced by `step(event) -> effects`: they never block, fail, or read a clock, a disk
//! or a socket. A [`Record`](journal::Record) among the effects is durable before any later effect is performed, so that
//! a process that dies at any point goes on from its journal and its chain (MKT-1). The heavy work, running and checking
//! jobs, is asked for as an effect, and [`Examiner`] does it. The numbered clauses are in `docs/spec/market.md`.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::float_arithmetic))]

pub mod chain;
mod count;
mod examine;
pub mod journal;
pub mod limits;
mod market;
mod plan;
mod reason;
mod roster;
mod task;
pub mod worker;

pub use examine::{Examined, Examiner, ProbeJob, probe};
pub use market::{Config, Effect, Event, Market, Prepared, Status, Tag};
pub use plan::JobPlan;
pub use reason::Waiting;
pub use worker::Worker;
