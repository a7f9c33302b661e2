//! What a seat signs in a view, and its bytes: those of the BFT library.

use cpc_primitives::keys::BadSignature;
use cpc_primitives::{BlockId, ChainId, Digest, Epoch, PublicKey, SecretKey, Signature, View};

use crate::wire::{Reader, WireError, put_varint};

/// What every vote of a network is signed under (VOTE-1).
pub fn namespace(chain: ChainId, genesis: &BlockId) -> Vec<u8> {
    [b"cpc".as_slice(), &chain.0.to_le_bytes(), &genesis.0.0].concat()
}

/// A block in one attempt to agree on it (VOTE-2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Proposal {
    /// Whose seats vote.
    pub epoch: Epoch,
    /// In which attempt.
    pub view: View,
    /// In which attempt the parent was proposed.
    pub parent_view: View,
    /// The block.
    pub payload: BlockId,
}

/// The kinds of votes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum VoteKind {
    /// The block is valid.
    Notarize,
    /// The attempt is over.
    Nullify,
    /// The block is final.
    Finalize,
}

/// What one seat says of one view.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Vote {
    /// This block is valid.
    Notarize(Proposal),
    /// This attempt is over.
    Nullify {
        /// Whose seats vote.
        epoch: Epoch,
        /// Which attempt.
        view: View,
    },
    /// This block is final.
    Finalize(Proposal),
}

/// A vote with its seat and the seat's signature (VOTE-4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SignedVote {
    /// What is said.
    pub vote: Vote,
    /// Which seat says it: the rank of its key in the set.
    pub seat: u32,
    /// The seat's signature.
    pub signature: Signature,
}

/// Bytes of the longest signed vote: three integers, a payload, a seat, a signature and a tag.
const VOTE_BYTES_MAX: usize = 3 * 10 + 32 + 5 + 64 + 1;

impl Vote {
    /// Which kind of vote this is.
    pub const fn kind(&self) -> VoteKind {
        match self {
            Self::Notarize(_) => VoteKind::Notarize,
            Self::Nullify { .. } => VoteKind::Nullify,
            Self::Finalize(_) => VoteKind::Finalize,
        }
    }

    /// Whose seats vote.
    pub const fn epoch(&self) -> Epoch {
        match self {
            Self::Notarize(proposal) | Self::Finalize(proposal) => proposal.epoch,
            Self::Nullify { epoch, .. } => *epoch,
        }
    }

    /// In which attempt.
    pub const fn view(&self) -> View {
        match self {
            Self::Notarize(proposal) | Self::Finalize(proposal) => proposal.view,
            Self::Nullify { view, .. } => *view,
        }
    }

    /// The bytes that a seat signs (VOTE-3).
    pub fn message(&self, namespace: &[u8]) -> Vec<u8> {
        // VOTE-3: the kind is in the namespace, and the length before it keeps it apart from what follows.
        let suffix: &[u8] = match self.kind() {
            VoteKind::Notarize => b"_NOTARIZE",
            VoteKind::Nullify => b"_NULLIFY",
            VoteKind::Finalize => b"_FINALIZE",
        };
        let length = namespace.len().saturating_add(suffix.len());
        let mut message = Vec::new();
        put_varint(&mut message, u64::try_from(length).expect("a length in memory fits 64 bits"));
        message.extend_from_slice(namespace);
        message.extend_from_slice(suffix);
        self.write(&mut message);
        message
    }

    /// Signs this vote.
    pub fn sign(&self, namespace: &[u8], key: &SecretKey) -> Signature {
        key.sign(&self.message(namespace))
    }

    /// Whether this key cast this vote.
    pub fn verify(&self, namespace: &[u8], key: &PublicKey, signature: &Signature) -> Result<(), BadSignature> {
        key.verify(&self.message(namespace), signature)
    }

    /// The vote without its kind (VOTE-2).
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, self.epoch().0);
        put_varint(out, self.view().0);
        if let Self::Notarize(proposal) | Self::Finalize(proposal) = self {
            put_varint(out, proposal.parent_view.0);
            out.extend_from_slice(&proposal.payload.0.0);
        }
    }

    /// Reads a vote of a known kind.
    fn read(kind: VoteKind, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match kind {
            VoteKind::Notarize => Proposal::read(reader).map(Self::Notarize),
            VoteKind::Nullify => read_round(reader).map(|(epoch, view)| Self::Nullify { epoch, view }),
            VoteKind::Finalize => Proposal::read(reader).map(Self::Finalize),
        }
    }
}

impl Proposal {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let (epoch, view) = read_round(reader)?;
        let parent_view = View(reader.varint64()?);
        let payload = BlockId(Digest(reader.array()?));
        Ok(Self { epoch, view, parent_view, payload })
    }
}

/// Reads the epoch and the view that every vote begins with.
pub(crate) fn read_round(reader: &mut Reader<'_>) -> Result<(Epoch, View), WireError> {
    Ok((Epoch(reader.varint64()?), View(reader.varint64()?)))
}

impl SignedVote {
    /// Reads exactly one vote, with the tag of its kind before it (VOTE-4).
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes, VOTE_BYTES_MAX)?;
        let kind = match reader.byte()? {
            0 => VoteKind::Notarize,
            1 => VoteKind::Nullify,
            2 => VoteKind::Finalize,
            found => return Err(WireError::Tag { found }),
        };
        let vote = Self::read(kind, &mut reader)?;
        reader.end()?;
        Ok(vote)
    }

    /// The bytes of the vote, with the tag of its kind before it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![match self.vote.kind() {
            VoteKind::Notarize => 0,
            VoteKind::Nullify => 1,
            VoteKind::Finalize => 2,
        }];
        self.write(&mut out);
        out
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.vote.write(out);
        put_varint(out, u64::from(self.seat));
        out.extend_from_slice(&self.signature.0);
    }

    pub(crate) fn read(kind: VoteKind, reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let vote = Vote::read(kind, reader)?;
        Ok(Self { vote, seat: reader.varint32()?, signature: Signature(reader.array()?) })
    }
}
