//! Our store: an overlay and the commit of a block without transactions.

use anyhow::Result;
use cpc_ledger::Delta;
use cpc_primitives::state::StateKey;
use cpc_primitives::tree;

use super::{Change, Rival};
use crate::machine::Machine;
use crate::node::Node;

/// The store on RocksDB.
pub(crate) struct Ours(Node);

impl Ours {
    /// An empty one.
    pub(crate) fn new(machine: &Machine) -> Result<Self> {
        Ok(Self(Node::with_state(machine, &Delta::new(), tree::empty_roots()[20])?))
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
        self.0.commit(&delta)?;
        Ok(())
    }

    fn read(&self, key: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.store.read(&state_key(key))?)
    }

    fn root(&self) -> Result<[u8; 32]> {
        Ok(self.0.store.base().root()?.0)
    }
}

/// The key of the state with these bytes.
pub(crate) fn state_key(key: &[u8; 32]) -> StateKey {
    StateKey::raw(key).expect("32 bytes are within the limit")
}
