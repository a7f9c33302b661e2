//! The values every other crate speaks in, and the bytes that are hashed, signed and sent.
//!
//! This crate knows nothing of ours: no state, no clock, no disk. What is here is what every validator, customer and
//! worker must agree on to the bit. The numbered clauses are in `docs/spec/`.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::float_arithmetic))]

pub mod amount;
pub mod block;
pub mod codec;
pub mod committee;
pub mod error;
pub mod hash;
pub mod hash_chain;
pub mod ids;
pub mod keys;
pub mod kv;
#[cfg(target_arch = "x86_64")]
mod lanes;
pub mod limits;
pub mod merkle;
pub mod result;
pub mod signing;
pub mod state;
pub mod task;
pub mod tree;
pub mod tx;

pub use amount::{Amount, Bps};
pub use block::{Block, Header};
pub use codec::{Bounded, CodecError};
pub use error::{Fault, Mismatch, same};
pub use hash::{Digest, Domain};
pub use ids::{
    Address, BlockId, ChainId, Epoch, Gas, Height, JobIndex, Nonce, TaskId, TimeMs, TxHash, TxId, Units, View,
};
pub use keys::{PublicKey, SecretKey, Signature};
