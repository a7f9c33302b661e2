//! What a customer links: votes, finality certificates, evidence of double votes, and proofs down to a genesis hash
//! or to an anchor.
//!
//! Nothing here reads a disk, a clock or a network, and nothing needs the node. The formats of votes and certificates
//! are those of the BFT library, written by hand and held to it by the golden files under `tests/vectors/votes`; every
//! other format is of this crate. The numbered clauses are in `docs/spec/light.md`.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::float_arithmetic))]

mod certificate;
mod error;
mod evidence;
pub mod limits;
mod proof_file;
mod result_proof;
mod state_proof;
mod trust;
mod validators;
mod vote;
mod wire;

pub use certificate::{CertError, Finalization, FinalizedHeader, Notarization, Nullification, Signers, certify};
pub use error::{HeightStep, ProofError};
pub use evidence::{ConflictingVotes, EvidenceError, Offence};
pub use proof_file::{ProofFile, Subject, VerifiedProof, VerifiedSubject};
pub use result_proof::{AcceptedResult, NotSettled, ResultProof, SettlementProof, VerifiedResult, VerifiedSettlement};
pub use state_proof::{BucketSiblings, DenseSiblings, StateProof, Terminal, VerifiedState};
pub use trust::{Anchor, EpochLink, FinalityProof, Start, TrustPath, Trusted, TrustedSets};
pub use validators::{SetError, ValidatorSet};
pub use vote::{Proposal, SignedVote, Vote, VoteKind, namespace};
pub use wire::WireError;
