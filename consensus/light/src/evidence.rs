//! Two votes that no honest seat casts: the proof of an offence, for whoever was not there.

use cpc_primitives::{Epoch, Mismatch, PublicKey, View, same};

use crate::validators::ValidatorSet;
use crate::vote::{SignedVote, VoteKind};
use crate::wire::{Reader, WireError};

/// Two votes of one seat in one view of which an honest seat casts at most one (EVI-1).
///
/// A vote against a certificate is evidence of this form too: the certificate holds the seat's own signature, which
/// `vote_of` of the certificate gives back as the vote that it is (EVI-3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConflictingVotes {
    first: SignedVote,
    second: SignedVote,
}

/// Who voted twice, and where. Two pieces of evidence with equal offences are one offence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Offence {
    /// Whose key signed both votes.
    pub key: PublicKey,
    /// In whose set the key has its seat.
    pub epoch: Epoch,
    /// In which attempt.
    pub view: View,
}

/// Why two votes prove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The bytes are not two votes.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Two seats may differ.
    #[error("the seats of the two votes: {0}")]
    Seat(Mismatch<u32>),
    /// Each epoch has its own votes.
    #[error("the epochs of the two votes: {0}")]
    Epoch(Mismatch<Epoch>),
    /// Each view has its own votes.
    #[error("the views of the two votes: {0}")]
    View(Mismatch<View>),
    /// A vote may be repeated.
    #[error("the same vote twice")]
    SameVote,
    /// An honest seat may cast both.
    #[error("an honest seat may cast a {first:?} and a {second:?} in one view")]
    Compatible {
        /// The kind of the first vote.
        first: VoteKind,
        /// The kind of the second vote.
        second: VoteKind,
    },
    /// A vote of nobody.
    #[error("seat {seat} of a set of {seats}")]
    UnknownSeat {
        /// The seat.
        seat: u32,
        /// How many there are.
        seats: u32,
    },
    /// Somebody else may have written it.
    #[error("the signature of the {kind:?} does not verify under the key {key} of seat {seat}")]
    Signature {
        /// The kind of the vote.
        kind: VoteKind,
        /// The seat.
        seat: u32,
        /// The key of the seat.
        key: PublicKey,
    },
}

/// Bytes of the longest evidence: a tag and two votes for blocks.
const EVIDENCE_VOTES_BYTES_MAX: usize = 1 + 2 * (3 * 10 + 32 + 5 + 64);

impl ConflictingVotes {
    /// Takes two votes that conflict; their signatures are checked by [`Self::verify`].
    pub fn new(first: SignedVote, second: SignedVote) -> Result<Self, EvidenceError> {
        same(first.seat, second.seat).map_err(EvidenceError::Seat)?;
        same(first.vote.epoch(), second.vote.epoch()).map_err(EvidenceError::Epoch)?;
        same(first.vote.view(), second.vote.view()).map_err(EvidenceError::View)?;
        if first.vote == second.vote {
            return Err(EvidenceError::SameVote);
        }
        match (first.vote.kind(), second.vote.kind()) {
            // EVI-1: one block is called valid in a view, one is called final, and a view that was given up is never
            // called final.
            (VoteKind::Notarize, VoteKind::Notarize) | (VoteKind::Finalize, VoteKind::Finalize) => {
                Ok(Self { first, second })
            }
            (VoteKind::Nullify, VoteKind::Finalize) => Ok(Self { first, second }),
            (VoteKind::Finalize, VoteKind::Nullify) => Ok(Self { first: second, second: first }),
            // EVI-2: a seat that called a block valid may still give the view up, and follows a quorum to finality.
            (first, second) => Err(EvidenceError::Compatible { first, second }),
        }
    }

    /// Reads exactly one piece of evidence (EVI-4).
    pub fn decode(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let mut reader = Reader::new(bytes, EVIDENCE_VOTES_BYTES_MAX)?;
        let (first, second) = match reader.byte()? {
            7 => (VoteKind::Notarize, VoteKind::Notarize),
            8 => (VoteKind::Finalize, VoteKind::Finalize),
            9 => (VoteKind::Nullify, VoteKind::Finalize),
            found => return Err(WireError::Tag { found }.into()),
        };
        let (first, second) = (SignedVote::read(first, &mut reader)?, SignedVote::read(second, &mut reader)?);
        reader.end()?;
        Self::new(first, second)
    }

    /// The bytes of the evidence: those of the library's report of it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![match (self.first.vote.kind(), self.second.vote.kind()) {
            (VoteKind::Nullify, _) => 9,
            (_, VoteKind::Finalize) => 8,
            _ => 7,
        }];
        self.first.write(&mut out);
        self.second.write(&mut out);
        out
    }

    /// Whose set the evidence must be judged by.
    pub fn epoch(&self) -> Epoch {
        self.first.vote.epoch()
    }

    /// The two votes.
    pub fn votes(&self) -> [&SignedVote; 2] {
        [&self.first, &self.second]
    }

    /// Demands that one key of this set signed both votes (EVI-5).
    ///
    /// The set must be that of [`Self::epoch`]; which one that is, the caller knows.
    pub fn verify(&self, set: &ValidatorSet, namespace: &[u8]) -> Result<Offence, EvidenceError> {
        let seat = self.first.seat;
        let key = *set.key(seat).ok_or(EvidenceError::UnknownSeat { seat, seats: set.len() })?;
        // EVI-5: both signatures, under the key that has the seat.
        for SignedVote { vote, signature, .. } in self.votes() {
            let refused = |_| EvidenceError::Signature { kind: vote.kind(), seat, key };
            vote.verify(namespace, &key, signature).map_err(refused)?;
        }
        Ok(Offence { key, epoch: self.epoch(), view: self.first.vote.view() })
    }
}
