//! The messages between orchestrator, committee and worker: bounded, exact, versioned, and signed under tags of their own.
//!
//! Every message is a question over a connection whose other end is known by its network key; a [`Reply`] answers it.
//! Bytes of inputs and outputs travel apart from them, by hash and in chunks. What anybody makes of a message is the
//! market's answer; here is only what the bytes say. The numbered clauses are in `docs/spec/market.md`.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::float_arithmetic))]

mod blob;
mod frame;
mod lease;
pub mod limits;
mod message;
mod refusal;
mod signed;

pub use blob::{Assembly, AssemblyError, BlobAnswer, BlobAsk, BlobName, chunk_of};
pub use frame::{Frame, WireError};
pub use lease::{Lease, commitment};
pub use message::{
    Answer, Commit, Commits, Hello, Judged, LeaseFinding, Message, Offer, Offers, Opening, Openings, Probe, ProbeDone,
    Progress, Refused, Reply, Report, RoundRef, VerdictItem, Verdicts,
};
pub use refusal::Refusal;
pub use signed::Signed;
