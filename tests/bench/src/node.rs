//! A store on a real disk with the options of a node, and headers that it takes.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use cpc_ledger::Delta;
use cpc_primitives::{Block, BlockId, Bounded, ChainId, Digest, Epoch, Gas, Header, Height, SecretKey, TimeMs, View};
use cpc_store::{Options, Overlay, RocksKv, RocksOptions, Store};
use tempfile::TempDir;

use cpc_bench::machine::Machine;

/// A store on the disk; its folder goes with it.
pub(crate) struct Node {
    pub(crate) store: Store,
    pub(crate) kv: Arc<RocksKv>,
    pub(crate) folder: TempDir,
}

impl Node {
    /// An empty store.
    pub(crate) fn empty(machine: &Machine) -> Result<Self> {
        let folder = machine.folder()?;
        let kv = Arc::new(RocksKv::open(folder.path(), &[], RocksOptions::default())?);
        let store = Store::open(Arc::clone(&kv) as _, Options::default())?;
        Ok(Self { store, kv, folder })
    }

    /// A store with a state and no rules over it.
    pub(crate) fn with_state(machine: &Machine, state: &Delta, root: Digest) -> Result<Self> {
        let node = Self::empty(machine)?;
        // The store refuses a header whose root is not that of the state: this asserts that it finds the same.
        node.store.init(&header(None, root), state)?;
        // What is measured is a node that has run for a while: its state lies in table files.
        node.kv.flush()?;
        Ok(node)
    }

    /// Commits a change of the state in a block of its own; the seconds until the root was known, and until it was safe.
    pub(crate) fn commit(&self, delta: &Delta) -> Result<(f64, f64)> {
        let parent = self.store.tip().map(|tip| tip.header);
        let start = Instant::now();
        let overlay: Arc<Overlay> = self.store.overlay(None, delta)?;
        let root = start.elapsed().as_secs_f64();
        let block = Block { header: header(parent.as_deref(), overlay.root()), txs: Bounded::default() };
        self.store.commit(&overlay, &block, &[], &[])?;
        let safe = start.elapsed().as_secs_f64();
        ensure!(self.store.base().root()? == overlay.root(), "the store has another root than it said");
        Ok((root, safe))
    }
}

/// A header that the store takes after another one; the rules would not.
fn header(parent: Option<&Header>, state_root: Digest) -> Header {
    let (height, parent) = match parent {
        None => (Height(0), BlockId(Digest::ZERO)),
        Some(parent) => (parent.height.next().expect("few blocks"), parent.id()),
    };
    Header {
        version: 1,
        chain: ChainId(1),
        height,
        epoch: Epoch(0),
        view: View(0),
        parent_view: View(0),
        parent,
        time: TimeMs(0),
        proposer: SecretKey::from_seed(&[1; 32]).public(),
        beacon: Digest::ZERO,
        tx_root: Digest::ZERO,
        state_root,
        compute_root: Digest::ZERO,
        gas_used: Gas(0),
        next_validators: Digest::ZERO,
    }
}
