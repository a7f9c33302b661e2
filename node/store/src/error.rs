//! Why the store refuses, and why it stops.

use cpc_primitives::{BlockId, Digest, Fault, Height, Mismatch};

/// What the store answers when it does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// This node cannot tell what is right, and halts.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The directory was written in another format.
    #[error("the data directory is of another format ({0}): use the program that wrote it, or sync into a new one")]
    Format(Mismatch<u32>),
    /// There is no block yet.
    #[error("the store is empty: it begins with the block 0 of a network")]
    Empty,
    /// The proof of a snapshot is here, and its state is not.
    #[error("a restore did not finish here: restore the snapshot again, or begin anew with --fresh")]
    RestoreUnfinished,
    /// The directory belongs to another network.
    #[error("the data directory belongs to another network, by the id of block 0 ({0}): use another directory")]
    OtherGenesis(Mismatch<BlockId>),
    /// Block 0 has another height.
    #[error("block 0 has a height that is not 0 ({0})")]
    GenesisHeight(Mismatch<Height>),
    /// The state is not the one that the header commits to.
    #[error("the state is not the one of the header: state root {0}")]
    StateRoot(Mismatch<Digest>),
    /// The block does not follow the last one.
    #[error("the block does not follow the last final one: height {0}")]
    Height(Mismatch<Height>),
    /// The block follows another one.
    #[error("the block does not follow the last final one: parent {0}")]
    Parent(Mismatch<BlockId>),
    /// There is another block in this place.
    #[error("at height {height} another block is final: {ids}")]
    Conflict {
        /// The height of both.
        height: Height,
        /// The stored block and the one that was brought.
        ids: Mismatch<BlockId>,
    },
    /// The state was built on one that is not the last final one.
    #[error("the state is not built on that of the last final block")]
    NotNext,
    /// A final block excludes this state.
    #[error("the state belongs to a branch that a final block has excluded")]
    Stale,
    /// Too many states wait for one another.
    #[error("{found} states over the last final one, at most {limit} may wait: finality lags")]
    TooManyOverlays {
        /// The bound.
        limit: usize,
        /// What there would be.
        found: usize,
    },
    /// A value is longer than any may be.
    #[error("a value of {found} bytes where a record has at most {limit}")]
    ValueTooLong {
        /// The bound.
        limit: usize,
        /// Its length.
        found: usize,
    },
    /// Accompanying bytes are longer than they may be.
    #[error("{what} of {found} bytes where at most {limit} are kept")]
    TooLong {
        /// What the bytes are.
        what: &'static str,
        /// The bound.
        limit: usize,
        /// Their length.
        found: usize,
    },
}
