//! A file that proves one thing to whoever knows a genesis hash or an anchor, and nothing else.

use cpc_primitives::codec::{decode, encode};
use cpc_primitives::{CodecError, TimeMs, same};
use wincode::{SchemaRead, SchemaWrite};

use crate::certificate::FinalizedHeader;
use crate::error::ProofError;
use crate::limits::PROOF_FILE_BYTES_MAX;
use crate::result_proof::{AcceptedResult, ResultProof, SettlementProof, VerifiedSettlement};
use crate::state_proof::{StateProof, VerifiedState};
use crate::trust::{Anchor, FinalityProof, TrustPath, Trusted};

/// How every proof file begins (PROOF-10).
const MAGIC: [u8; 8] = *b"cpcproof";
/// The version of the format.
const VERSION: u32 = 1;
/// What is left for the body after both.
const BODY_BYTES_MAX: usize = PROOF_FILE_BYTES_MAX - MAGIC.len() - 4;

/// The way from what is trusted to one fact (PROOF-10).
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct ProofFile {
    /// From what is trusted to the sets.
    pub trust: TrustPath,
    /// From a set to the block.
    pub finality: FinalityProof,
    /// From the block to the fact.
    pub subject: Subject,
}

/// What a proof file is about.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Subject {
    /// What the state after the block says of a key.
    State(StateProof),
    /// A result that the block accepted.
    Result(ResultProof),
    /// A job that the block settled.
    Settlement(SettlementProof),
}

/// A fact with the block that says it; only a proof makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedProof {
    header: FinalizedHeader,
    since: TimeMs,
    anchor: Anchor,
    subject: VerifiedSubject,
}

/// What is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifiedSubject {
    /// What the state after the block says of a key.
    State(VerifiedState),
    /// The block accepted a result; its window may still be open.
    Accepted(AcceptedResult),
    /// The block settled a job.
    Settled(VerifiedSettlement),
}

impl ProofFile {
    /// Reads a file, and demands that it proves what it claims to whoever trusts this.
    pub fn verify(bytes: &[u8], trusted: Trusted) -> Result<VerifiedProof, ProofError> {
        let Self { trust, finality, subject } = Self::decode(bytes)?;
        let sets = trust.verify(trusted)?;
        let header = finality.verify(&sets)?;
        let subject = match subject {
            Subject::State(proof) => VerifiedSubject::State(proof.verify(&header.header().state_root)?),
            Subject::Result(proof) => VerifiedSubject::Accepted(proof.verify(&header)?),
            Subject::Settlement(proof) => VerifiedSubject::Settled(proof.verify(&header)?),
        };
        Ok(VerifiedProof { since: sets.since(), anchor: sets.anchor(), header, subject })
    }

    /// Reads exactly one file of at most [`PROOF_FILE_BYTES_MAX`] bytes, without judging it (PROOF-10).
    pub fn decode(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > PROOF_FILE_BYTES_MAX {
            return Err(CodecError::TooLong { limit: PROOF_FILE_BYTES_MAX, found: bytes.len() }.into());
        }
        let body = bytes.strip_prefix(&MAGIC).ok_or(ProofError::Magic)?;
        let (version, body) = body.split_first_chunk::<4>().ok_or(ProofError::Magic)?;
        same(VERSION, u32::from_le_bytes(*version)).map_err(ProofError::Version)?;
        Ok(decode(body, BODY_BYTES_MAX)?)
    }

    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        [MAGIC.as_slice(), &VERSION.to_le_bytes(), &encode(self)].concat()
    }
}

impl VerifiedProof {
    /// The block that says it.
    pub fn header(&self) -> &FinalizedHeader {
        &self.header
    }

    /// When trust begins: the time of the genesis, or of the anchor. Whether that is too long ago, the caller judges
    /// (PROOF-10).
    pub fn since(&self) -> TimeMs {
        self.since
    }

    /// Where the next proof may begin (PROOF-11).
    pub fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// What is proven.
    pub fn subject(&self) -> &VerifiedSubject {
        &self.subject
    }
}
