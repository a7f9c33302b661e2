//! Two planted bugs, which the torture must find. No build of the product contains this file.

use std::collections::HashMap;

use cpc_primitives::Fault;
use cpc_primitives::kv::Batch;

use crate::spaces::{BUCKETS, PAGES};
use crate::tree::Layer;

/// Which bug to plant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Canary {
    /// The state goes to the disk before its block, in a batch of its own.
    SplitCommit,
    /// The roots of buckets are taken in the order of a hash map.
    UnorderedRoot,
}

/// Writes the state's half first where the bug says so, and returns what is left.
pub(crate) fn split(
    canary: Option<Canary>,
    batch: Batch,
    write: impl FnOnce(Batch) -> Result<(), Fault>,
) -> Result<Batch, Fault> {
    use cpc_primitives::kv::Write;

    if canary != Some(Canary::SplitCommit) {
        return Ok(batch);
    }
    let (mut state, mut block) = (Batch::default(), Batch::default());
    for row in batch.into_writes() {
        let (Write::Put { space, .. } | Write::Delete { space, .. }) = &row;
        let half = if [BUCKETS, PAGES].contains(space) { &mut state } else { &mut block };
        match row {
            Write::Put { space, key, value } => half.put(space, key, value),
            Write::Delete { space, key } => half.delete(space, key),
        }
    }
    write(state)?;
    Ok(block)
}

/// Spoils the root of a layer with two or more changed buckets where the bug says so.
pub(crate) fn spoil(canary: Option<Canary>, layer: Layer) -> Layer {
    if canary != Some(Canary::UnorderedRoot) {
        return layer;
    }
    let unordered: HashMap<u32, cpc_primitives::Digest> = layer.buckets().iter().copied().collect();
    let root = unordered.into_values().reduce(|a, b| cpc_primitives::tree::dense_node(&a, &b));
    layer.with_root(root)
}
