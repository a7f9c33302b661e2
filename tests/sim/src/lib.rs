//! Whole validators on a simulated clock, network and disk, from a seed.
//!
//! Each is what a node runs: agreement, rules, store and waiting transactions. Only the clock, the connections and the
//! disks are the simulator's. The same seed gives the same world, to the order of every event.

mod disk;
mod liars;
mod network;
mod plan;
mod watch;
mod world;

pub use liars::Liar;
pub use plan::{Chaos, Crash, Loss, Plan, Planted};
pub use watch::Violation;
pub use world::{Report, run};
