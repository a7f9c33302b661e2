//! jmt: a versioned trie that leaves the disk to others; here to the same RocksDB, one synced batch a version.

use std::ops::ControlFlow;

use anyhow::{Context as _, Result, anyhow};
use borsh::BorshDeserialize as _;
use cpc_primitives::kv::{Batch, Durability, Kv as _, Space};
use cpc_store::{RocksKv, RocksOptions};
use jmt::storage::{LeafNode, Node, NodeKey, TreeReader, TreeUpdateBatch};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, SimpleHasher, Version};
use tempfile::TempDir;

use super::{Change, Rival};
use cpc_bench::machine::Machine;

/// Version and path to node.
const NODES: Space = Space("jmt-nodes");
/// Key and version, the newest first, to value.
const VALUES: Space = Space("jmt-values");

/// The tree; its folder goes with it.
pub(crate) struct Jellyfish {
    reader: Reader,
    /// The version of the next commit; there is nothing at version 0.
    next: Version,
    _folder: TempDir,
}

struct Reader(RocksKv);

/// The hash that the others have, too.
struct Blake3(blake3::Hasher);

impl Jellyfish {
    /// An empty one.
    pub(crate) fn new(machine: &Machine) -> Result<Self> {
        let folder = machine.folder()?;
        let kv = RocksKv::open(folder.path(), &[NODES, VALUES], options())?;
        Ok(Self { reader: Reader(kv), next: 0, _folder: folder })
    }

    fn tree(&self) -> JellyfishMerkleTree<'_, Reader, Blake3> {
        JellyfishMerkleTree::new(&self.reader)
    }

    fn latest(&self) -> Result<Version> {
        self.next.checked_sub(1).context("nothing was committed")
    }
}

/// It has no pages in memory of its own, so that RocksDB gets as much more.
fn options() -> RocksOptions {
    let node = RocksOptions::default();
    RocksOptions { block_cache_bytes: node.block_cache_bytes + (256 << 20), ..node }
}

impl Rival for Jellyfish {
    fn name(&self) -> &'static str {
        "jmt"
    }

    fn settings(&self) -> String {
        format!(
            "blake3, batch_put_value_sets, its borsh bytes in the same RocksDB with {} MiB of blocks; nothing is pruned, \
             which spares it work; durable after the sync of RocksDB's log; its keys are not hashed",
            options().block_cache_bytes >> 20
        )
    }

    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        let values = changes.iter().map(|(key, value)| (KeyHash(*key), value.to_vec())).collect();
        let (_, update) = self.tree().batch_put_value_sets(vec![values], None, self.next)?;
        self.reader.0.write(rows(&update)?, Durability::Synced)?;
        self.next += 1;
        Ok(())
    }

    fn read(&self, key: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        // With its proof, so that the tree is asked and not only the rows of the values.
        let version = self.latest()?;
        let (value, proof) = self.tree().get_with_proof(KeyHash(*key), version)?;
        proof.verify(self.tree().get_root_hash(version)?, KeyHash(*key), value.as_ref())?;
        Ok(value)
    }

    fn root(&self) -> Result<[u8; 32]> {
        Ok(self.tree().get_root_hash(self.latest()?)?.0)
    }
}

impl TreeReader for Reader {
    fn get_node_option(&self, key: &NodeKey) -> Result<Option<Node>> {
        let bytes = self.0.get(NODES, &node_row(key)?)?;
        Ok(bytes.map(|bytes| Node::try_from_slice(&bytes)).transpose()?)
    }

    fn get_value_option(&self, newest: Version, key: KeyHash) -> Result<Option<OwnedValue>> {
        let mut value = None;
        self.0.scan(VALUES, &value_row(newest, &key), &mut |row, bytes| {
            if row.starts_with(&key.0) {
                value = Some(bytes.to_vec());
            }
            ControlFlow::Break(())
        })?;
        Ok(value)
    }

    fn get_rightmost_leaf(&self) -> Result<Option<(NodeKey, LeafNode)>> {
        Err(anyhow!("only a restore asks for this, and nothing is restored here"))
    }
}

impl SimpleHasher for Blake3 {
    fn new() -> Self {
        Self(blake3::Hasher::new())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

fn rows(update: &TreeUpdateBatch) -> Result<Batch> {
    let mut batch = Batch::default();
    for (key, node) in update.node_batch.nodes() {
        batch.put(NODES, node_row(key)?, borsh::to_vec(node)?);
    }
    for ((version, key), value) in update.node_batch.values() {
        let value = value.as_ref().context("nothing is removed here")?;
        batch.put(VALUES, value_row(*version, key), value.as_slice());
    }
    Ok(batch)
}

/// The version first, so that the rows of a commit lie side by side.
fn node_row(key: &NodeKey) -> Result<Vec<u8>> {
    let mut row = key.version().to_be_bytes().to_vec();
    row.extend(borsh::to_vec(key.nibble_path())?);
    Ok(row)
}

fn value_row(version: Version, key: &KeyHash) -> Vec<u8> {
    [key.0.as_slice(), &(u64::MAX - version).to_be_bytes()].concat()
}
