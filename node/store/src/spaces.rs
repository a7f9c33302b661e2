//! The key spaces of the store, and how their keys are written (STO-1).

use cpc_primitives::kv::Space;
use cpc_primitives::{BlockId, Digest, Height};

/// Format, genesis and applied height.
pub(crate) const META: Space = Space("meta");
/// Height to header bytes.
pub(crate) const HEADERS: Space = Space("headers");
/// Height to block bytes.
pub(crate) const BLOCKS: Space = Space("blocks");
/// Height to certificate bytes.
pub(crate) const CERTIFICATES: Space = Space("certificates");
/// Height to receipt bytes.
pub(crate) const RECEIPTS: Space = Space("receipts");
/// Block id to height.
pub(crate) const IDS: Space = Space("ids");
/// Bucket to its first page.
pub(crate) const BUCKETS: Space = Space("buckets");
/// Place in the tree to page, below the buckets' first ones.
pub(crate) const PAGES: Space = Space("pages");
/// What the derived index says of itself.
pub(crate) const INDEX_META: Space = Space("index-meta");
/// Transaction hash to place.
pub(crate) const INDEX_TX_HASH: Space = Space("index-tx-hash");
/// Transaction id to place.
pub(crate) const INDEX_TX_ID: Space = Space("index-tx-id");
/// Account and place to transaction, newest first.
pub(crate) const INDEX_ACCOUNT: Space = Space("index-account");
/// Task to status.
pub(crate) const INDEX_TASK: Space = Space("index-task");
/// Status and place to task, newest first.
pub(crate) const INDEX_STATUS: Space = Space("index-status");

/// Every space of the store and of its index.
pub const SPACES: [Space; 14] = [
    META,
    HEADERS,
    BLOCKS,
    CERTIFICATES,
    RECEIPTS,
    IDS,
    BUCKETS,
    PAGES,
    INDEX_META,
    INDEX_TX_HASH,
    INDEX_TX_ID,
    INDEX_ACCOUNT,
    INDEX_TASK,
    INDEX_STATUS,
];

/// The spaces that hold the chain and its state, without what is derived from them.
pub(crate) const CHAIN_SPACES: [Space; 8] = [META, HEADERS, BLOCKS, CERTIFICATES, RECEIPTS, IDS, BUCKETS, PAGES];

/// The format of everything under these spaces.
pub(crate) const FORMAT: &[u8] = b"format";
/// The id of block 0.
pub(crate) const GENESIS: &[u8] = b"genesis";
/// The height of the last block whose effects are in the state.
pub(crate) const APPLIED: &[u8] = b"applied";
/// The height of the first block that is kept.
pub(crate) const LOWEST: &[u8] = b"lowest";
/// Set while a snapshot is being restored: what else there is is unfinished.
pub(crate) const RESTORING: &[u8] = b"restoring";

/// A height as a key: big-endian, so that the order of the keys is that of the blocks.
pub(crate) fn height_key(height: Height) -> [u8; 8] {
    height.0.to_be_bytes()
}

/// Reads a height.
pub(crate) fn height_of(bytes: &[u8]) -> Option<Height> {
    bytes.try_into().ok().map(|bytes| Height(u64::from_be_bytes(bytes)))
}

/// Reads a block id.
pub(crate) fn id_of(bytes: &[u8]) -> Option<BlockId> {
    bytes.try_into().ok().map(|bytes| BlockId(Digest(bytes)))
}
