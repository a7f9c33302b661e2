//! Why a proof proves nothing: one enum, so that a customer sees one sentence whatever kind of file it was.

use cpc_primitives::merkle::PathError;
use cpc_primitives::{BlockId, ChainId, CodecError, Digest, Epoch, Height, Mismatch};

use crate::certificate::CertError;
use crate::validators::SetError;

/// Why a proof does not show what it claims.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum ProofError {
    #[error("the mask names a sibling at level {level} above the buckets, where levels end at 19")]
    DenseLevel { level: u32 },
    #[error("siblings above the buckets, by the mask: {0}")]
    DenseCount(Mismatch<usize>),
    #[error("the sibling at level {level} is that of empty buckets, which the mask leaves out")]
    DenseEmpty { level: u32 },
    #[error("the deepest sibling in the bucket is empty: its part has at most one entry and stands higher")]
    BucketEmpty,
    #[error("the proof of absence names the key itself")]
    OtherKeySame,
    #[error("the other key shares {shared} bits of its place with the key, the proof needs {needed}")]
    OtherKeyElsewhere { needed: u32, shared: u32 },
    #[error("the state root: {0}")]
    StateRoot(Mismatch<Digest>),
    #[error("the compute root: {0}")]
    ComputeRoot(Mismatch<Digest>),
    #[error("the count of the list: {0}")]
    Count(Mismatch<u32>),
    #[error("the path in the list: {0}")]
    Path(#[from] PathError),
    #[error("the genesis: {0}; this file is of another network")]
    Genesis(Mismatch<BlockId>),
    #[error("the genesis has height {height} and epoch {epoch}, which are 0 in a first block")]
    GenesisPlace { height: Height, epoch: Epoch },
    #[error("the sets of epochs 0 and 1: {0}")]
    GenesisSets(Mismatch<Digest>),
    #[error("the anchor: {0}; this file begins elsewhere than where the trust does")]
    Anchor(Mismatch<Digest>),
    #[error("the file begins at an anchor of epoch {epoch}, where a genesis is trusted")]
    BeginsAtAnchor { epoch: Epoch },
    #[error("the file begins at a genesis, where an anchor is trusted")]
    BeginsAtGenesis,
    #[error("the set of epoch {epoch}: {reason}")]
    Set { epoch: u64, reason: SetError },
    #[error("the hash of the set of epoch {epoch}: {mismatch}")]
    NextSet { epoch: u64, mismatch: Mismatch<Digest> },
    #[error("the epoch of a link of the trust: {0}")]
    LinkEpoch(Mismatch<u64>),
    #[error("block 0 is no link of the trust: the path begins with it or after it")]
    LinkGenesis,
    #[error("the header of epoch {epoch} in the trust, at height {height}, is not the last of its epoch")]
    NotLast { epoch: u64, height: Height },
    #[error("the network: {0}")]
    Chain(Mismatch<ChainId>),
    #[error("the certificate of the block at height {height}, epoch {epoch}: {reason}")]
    Certificate { height: Height, epoch: Epoch, reason: CertError },
    #[error("the trust knows the sets of epochs {first} to {last}, the certified block is of epoch {found}")]
    UnknownEpoch { first: u64, last: u64, found: u64 },
    #[error("the proof of finality holds no header")]
    NoHeader,
    #[error("the parent of the block at height {height}: {mismatch}")]
    Parent { height: Height, mismatch: Mismatch<BlockId> },
    #[error("{0}")]
    ParentHeight(HeightStep),
    #[error("this is not a proof file: it does not begin with cpcproof")]
    Magic,
    #[error("the version of the proof file: {0}")]
    Version(Mismatch<u32>),
    #[error("the proof file: {0}")]
    Codec(#[from] CodecError),
}

/// A child and what claims to be its parent, by their heights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the parent of the block at height {child} has height {parent}")]
pub struct HeightStep {
    /// The height of the child.
    pub child: Height,
    /// The height of the parent.
    pub parent: Height,
}
