//! A disk that says too early that a write is safe: the bug that a world has to find.

use std::sync::Arc;

use cpc_primitives::Fault;
use cpc_primitives::kv::{Batch, Durability, Kv, Space, Visit};
use cpc_store::MemKv;

/// Passes everything on, and forgets to wait.
pub(crate) struct HastyDisk(pub(crate) Arc<MemKv>);

impl Kv for HastyDisk {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        self.0.get(space, key)
    }

    fn scan(&self, space: Space, from: &[u8], each: Visit<'_>) -> Result<(), Fault> {
        self.0.scan(space, from, each)
    }

    fn write(&self, batch: Batch, _: Durability) -> Result<(), Fault> {
        self.0.write(batch, Durability::Buffered)
    }
}
