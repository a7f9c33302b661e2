//! Our store: an overlay and the commit of a block without transactions.

use anyhow::Result;
use cpc_ledger::Delta;
use cpc_primitives::state::StateKey;
use cpc_primitives::tree;

use super::{Change, Rival};
use crate::node::Node;
use cpc_bench::machine::Machine;

/// The store on RocksDB.
pub(crate) struct Ours {
    node: Node,
    root_seconds: f64,
    disk_reads: u64,
}

impl Ours {
    /// An empty one.
    pub(crate) fn new(machine: &Machine) -> Result<Self> {
        let node = Node::with_state(machine, &Delta::new(), tree::empty_roots()[20])?;
        Ok(Self { node, root_seconds: 0.0, disk_reads: 0 })
    }
}

impl Rival for Ours {
    fn name(&self) -> &'static str {
        "cpc-store"
    }

    fn settings(&self) -> String {
        "the node's own settings: 256 MiB of pages, 128 MiB of RocksDB blocks, 256 MiB of write buffers; durable after \
         the sync of RocksDB's log"
            .to_owned()
    }

    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        let delta = changes.iter().map(|(key, value)| (state_key(key), Some(value.to_vec()))).collect();
        let (root, _) = self.node.commit(&delta)?;
        self.root_seconds += root;
        Ok(())
    }

    fn more(&mut self) -> Result<Vec<(&'static str, f64)>> {
        let disk_reads = self.node.store.stats()?.disk_reads;
        let more = vec![
            ("cpc-store::root, us an update", self.root_seconds * 1e6),
            ("cpc-store::disk_reads, pages an update", (disk_reads - self.disk_reads) as f64),
        ];
        (self.root_seconds, self.disk_reads) = (0.0, disk_reads);
        Ok(more)
    }

    fn read(&self, key: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        Ok(self.node.store.read(&state_key(key))?)
    }

    fn root(&self) -> Result<[u8; 32]> {
        Ok(self.node.store.base().root()?.0)
    }
}

/// The key of the state with these bytes.
pub(crate) fn state_key(key: &[u8; 32]) -> StateKey {
    StateKey::raw(key).expect("32 bytes are within the limit")
}
