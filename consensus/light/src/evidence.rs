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

#[cfg(test)]
mod tests {
    use cpc_primitives::{BlockId, Digest, SecretKey, Signature};

    use super::*;
    use crate::vote::{Proposal, Vote};

    const SPACE: &[u8] = b"a network";

    fn keys() -> Vec<SecretKey> {
        let mut keys: Vec<SecretKey> = (0..4).map(|n| SecretKey::from_seed(&[n; 32])).collect();
        keys.sort_by_key(|key| *key.public().bytes());
        keys
    }

    fn set() -> ValidatorSet {
        ValidatorSet::new(keys().iter().map(SecretKey::public).collect()).expect("a set")
    }

    fn block(n: u8) -> Proposal {
        Proposal { epoch: Epoch(3), view: View(9), parent_view: View(8), payload: BlockId(Digest([n; 32])) }
    }

    fn nullify() -> Vote {
        Vote::Nullify { epoch: Epoch(3), view: View(9) }
    }

    fn signed(vote: Vote, seat: u8) -> SignedVote {
        SignedVote { vote, seat: u32::from(seat), signature: vote.sign(SPACE, &keys()[usize::from(seat)]) }
    }

    #[track_caller]
    fn convicts(first: Vote, second: Vote) {
        for (first, second) in [(first, second), (second, first)] {
            let evidence = ConflictingVotes::new(signed(first, 2), signed(second, 2)).expect("a conflict");
            let expected = Offence { key: set().keys()[2], epoch: Epoch(3), view: View(9) };
            assert_eq!(evidence.verify(&set(), SPACE), Ok(expected));
            assert_eq!(ConflictingVotes::decode(&evidence.encode()), Ok(evidence));
        }
    }

    #[track_caller]
    fn acquits(first: SignedVote, second: SignedVote, message: &str) {
        assert_eq!(ConflictingVotes::new(first, second).expect_err("no offence").to_string(), message);
    }

    #[test]
    fn every_offence_is_one_in_both_orders() {
        convicts(Vote::Notarize(block(1)), Vote::Notarize(block(2)));
        convicts(Vote::Notarize(block(1)), Vote::Notarize(Proposal { parent_view: View(7), ..block(1) }));
        convicts(Vote::Finalize(block(1)), Vote::Finalize(block(2)));
        convicts(nullify(), Vote::Finalize(block(1)));
    }

    #[test]
    fn what_an_honest_seat_does_is_refused_by_name() {
        let (notarize, finalize) = (signed(Vote::Notarize(block(1)), 2), signed(Vote::Finalize(block(1)), 2));
        acquits(notarize, finalize, "an honest seat may cast a Notarize and a Finalize in one view");
        acquits(finalize, notarize, "an honest seat may cast a Finalize and a Notarize in one view");
        acquits(notarize, signed(nullify(), 2), "an honest seat may cast a Notarize and a Nullify in one view");
        acquits(notarize, notarize, "the same vote twice");
        acquits(signed(nullify(), 2), signed(nullify(), 2), "the same vote twice");
        let other = signed(Vote::Notarize(block(2)), 1);
        acquits(notarize, other, "the seats of the two votes: expected 2, found 1");
        let other = signed(Vote::Notarize(Proposal { view: View(10), ..block(2) }), 2);
        acquits(notarize, other, "the views of the two votes: expected 9, found 10");
        let other = signed(Vote::Notarize(Proposal { epoch: Epoch(4), ..block(2) }), 2);
        acquits(notarize, other, "the epochs of the two votes: expected 3, found 4");
    }

    #[test]
    fn nobody_is_accused_by_a_forged_vote() {
        let (first, second) = (signed(Vote::Notarize(block(1)), 2), signed(Vote::Notarize(block(2)), 2));
        let forged = SignedVote { signature: signed(second.vote, 1).signature, ..second };
        let key = set().keys()[2];
        let refused = EvidenceError::Signature { kind: VoteKind::Notarize, seat: 2, key };
        let evidence = ConflictingVotes::new(first, forged).expect("a conflict in form");
        assert_eq!(evidence.verify(&set(), SPACE), Err(refused));
        let evidence = ConflictingVotes::new(first, second).expect("a conflict");
        assert_eq!(evidence.verify(&set(), b"another network"), Err(refused));
        let beyond = |vote: SignedVote| SignedVote { seat: 4, ..vote };
        let evidence = ConflictingVotes::new(beyond(first), beyond(second)).expect("a conflict in form");
        assert_eq!(evidence.verify(&set(), SPACE), Err(EvidenceError::UnknownSeat { seat: 4, seats: 4 }));
    }

    #[test]
    fn bytes_that_are_no_evidence_are_refused_by_name() {
        let evidence = ConflictingVotes::new(signed(nullify(), 0), signed(Vote::Finalize(block(1)), 0)).expect("one");
        let bytes = evidence.encode();
        assert_eq!(ConflictingVotes::decode(&[]), Err(WireError::Truncated { needed: 1, left: 0 }.into()));
        assert_eq!(ConflictingVotes::decode(&[6]), Err(WireError::Tag { found: 6 }.into()));
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(ConflictingVotes::decode(&longer), Err(WireError::Trailing { left: 1 }.into()));
        let long = vec![7; 4096];
        let limit = EVIDENCE_VOTES_BYTES_MAX;
        assert_eq!(ConflictingVotes::decode(&long), Err(WireError::TooLong { limit, found: 4096 }.into()));
        assert_eq!(Signature(bytes[bytes.len() - 64..].try_into().expect("64")), evidence.votes()[1].signature);
    }
}
