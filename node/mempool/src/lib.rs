//! Transactions that wait for a block: which are kept, which go where there is no room, and which come next.
//!
//! Rules only: no clock, no disk, no network. A height and an account come in with each transaction, so that whoever
//! replays the same calls finds the same pool. The numbered clauses are in `docs/spec/mempool.md`.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::float_arithmetic))]

mod error;
mod limits;
mod pick;
mod pool;
mod queue;
mod room;

pub use error::Refused;
pub use limits::{ENTRY_OVERHEAD_BYTES, Limits};
#[cfg(feature = "canary")]
pub use pool::Canary;
pub use pool::{Admitted, Arrival, Cursor, Mempool, Stats};
