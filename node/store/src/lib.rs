//! The node's disk: final blocks, the state tree, what is derived from them, and snapshots.
//!
//! One synced batch a block (`store`), over a port that RocksDB and a crash-faithful map implement (`rocks`, `mem`).
//! The state tree has two levels: pages of a trie inside a bucket (`page`, `update`) and 20 dense levels above the
//! buckets in memory (`dense`). The numbered clauses are in `docs/spec/store.md`.

#[cfg(feature = "canary")]
mod canary;
mod check;
mod crash;
mod dense;
mod error;
mod floor;
mod index;
mod lanes;
mod mem;
mod page;
mod prove;
mod rocks;
mod snapshot;
mod spaces;
mod store;
mod tree;
mod update;

#[cfg(feature = "canary")]
pub use canary::Canary;
pub use check::CheckReport;
pub use crash::CrashPoint;
pub use error::StoreError;
pub use index::{Events, Index, IndexEvent, Indexed, PAGE_ROWS_MAX, Place, TaskStatus, tx_events};
pub use mem::{Damage, MemKv};
pub use rocks::{RocksKv, RocksOptions};
pub use snapshot::{
    BESIDE_BYTES_MAX, BESIDE_FILES_MAX, Beside, Chunk, Listed, Manifest, Snapshot, SnapshotError, Trusted,
};
pub use spaces::SPACES;
pub use store::{Base, CERTIFICATE_BYTES_MAX, Options, Overlay, RECEIPTS_BYTES_MAX, Stats, Store};
pub use tree::Tip;
