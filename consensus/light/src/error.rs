//! Why a proof proves nothing: one enum, so that a customer sees one sentence whatever kind of file it was.

use cpc_primitives::merkle::PathError;
use cpc_primitives::{BlockId, ChainId, CodecError, Digest, Epoch, Height, Mismatch};

use crate::certificate::CertError;
use crate::validators::SetError;

/// Why a proof does not show what it claims.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// More siblings than a path through the tree has.
    #[error("the mask names a sibling at level {level} above the buckets, where levels end at 19")]
    DenseLevel {
        /// The highest level that is named.
        level: u32,
    },
    /// The mask and the list disagree.
    #[error("siblings above the buckets, by the mask: {0}")]
    DenseCount(Mismatch<usize>),
    /// What is implied is not spelled out: a proof has one form.
    #[error("the sibling at level {level} is that of empty buckets, which the mask leaves out")]
    DenseEmpty {
        /// The level above the buckets.
        level: u32,
    },
    /// Nothing, or one entry, joins to no node.
    #[error("the deepest sibling in the bucket is empty: its part has at most one entry and stands higher")]
    BucketEmpty,
    /// The entry in the key's place would be the key's own.
    #[error("the proof of absence names the key itself")]
    OtherKeySame,
    /// The entry does not stand in the key's way.
    #[error("the other key shares {shared} bits of its place with the key, the proof needs {needed}")]
    OtherKeyElsewhere {
        /// Down to which bit the proof leads.
        needed: u32,
        /// How many bits are the same.
        shared: u32,
    },
    /// The siblings lead to another state.
    #[error("the state root: {0}")]
    StateRoot(Mismatch<Digest>),
    /// The roots of results and settlements are not the header's.
    #[error("the compute root: {0}")]
    ComputeRoot(Mismatch<Digest>),
    /// The path is of a list of another length.
    #[error("the count of the list: {0}")]
    Count(Mismatch<u32>),
    /// The path leads elsewhere.
    #[error("the path in the list: {0}")]
    Path(#[from] PathError),
    /// The file begins with a block that is not the one that is trusted.
    #[error("the genesis: {0}; this file is of another network")]
    Genesis(Mismatch<BlockId>),
    /// The block is not a first block.
    #[error("the genesis has height {height} and epoch {epoch}, which are 0 in a first block")]
    GenesisPlace {
        /// Its height.
        height: Height,
        /// Its epoch.
        epoch: Epoch,
    },
    /// The sets of epochs 0 and 1 are not those of the genesis.
    #[error("the sets of epochs 0 and 1: {0}")]
    GenesisSets(Mismatch<Digest>),
    /// Keys of an epoch are not a set.
    #[error("the set of epoch {epoch}: {reason}")]
    Set {
        /// The epoch.
        epoch: u64,
        /// What is wrong with it.
        reason: SetError,
    },
    /// The last header of an epoch names another set.
    #[error("the hash of the set of epoch {epoch}: {mismatch}")]
    NextSet {
        /// The epoch of the set.
        epoch: u64,
        /// Both hashes.
        mismatch: Mismatch<Digest>,
    },
    /// A link of the trust is missing or out of order.
    #[error("the epoch of a link of the trust: {0}")]
    LinkEpoch(Mismatch<u64>),
    /// The header of a link names no set, so that it is not the last of its epoch.
    #[error("the header of epoch {epoch} in the trust, at height {height}, is not the last of its epoch")]
    NotLast {
        /// The epoch.
        epoch: u64,
        /// The height of the header.
        height: Height,
    },
    /// A header of another network.
    #[error("the network: {0}")]
    Chain(Mismatch<ChainId>),
    /// A certificate does not certify its header.
    #[error("the certificate of the block at height {height}, epoch {epoch}: {reason}")]
    Certificate {
        /// The height of the header.
        height: Height,
        /// The epoch of the header.
        epoch: Epoch,
        /// What is wrong with it.
        reason: CertError,
    },
    /// The trust ends before the epoch of the header.
    #[error("the trust knows the sets up to epoch {known}, the certified block is of epoch {found}")]
    UnknownEpoch {
        /// The last epoch whose set is known.
        known: u64,
        /// The epoch of the header.
        found: u64,
    },
    /// A chain of headers needs its first one.
    #[error("the proof of finality holds no header")]
    NoHeader,
    /// A header is not the parent of the one before it.
    #[error("the parent of the block at height {height}: {mismatch}")]
    Parent {
        /// The height of the child.
        height: Height,
        /// What the child names, and what came.
        mismatch: Mismatch<BlockId>,
    },
    /// A parent is not one block below its child.
    #[error("{0}")]
    ParentHeight(HeightStep),
    /// Not one of our files.
    #[error("this is not a proof file: it does not begin with cpcproof")]
    Magic,
    /// A file of another format.
    #[error("the version of the proof file: {0}")]
    Version(Mismatch<u32>),
    /// The bytes of the file are not a proof.
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
