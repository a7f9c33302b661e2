//! From a network's chain spec in TOML to block 0: the one place where a network's numbers become rules.
//!
//! Everything in the file is checked, and everything that is checked is hashed into the genesis id (GEN-1).

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::float_arithmetic))]

mod build;
mod networks;
mod rehearsal;
mod spec;

pub use build::{Genesis, GenesisError};
pub use networks::Network;
pub use rehearsal::{devnet_of, known_beacon_chain, known_key, known_registration, known_validators};
pub use spec::{ChainSpec, SpecError};
