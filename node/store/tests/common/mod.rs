//! A chain whose blocks change any keys, beside a map that says what the state must be.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use cpc_ledger::{Delta, StateRead};
use cpc_primitives::block::tx_root;
use cpc_primitives::codec::Bounded;
use cpc_primitives::kv::Kv;
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::{KeyHash, root_of};
use cpc_primitives::tx::SignedTx;
use cpc_primitives::{Block, BlockId, ChainId, Digest, Domain, Epoch, Gas, Header, Height, SecretKey, TimeMs, View};
use cpc_store::{Options, Overlay, Store, StoreError};
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;

/// What the state must be.
pub(crate) type Model = BTreeMap<StateKey, Vec<u8>>;

pub(crate) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub(crate) fn key(name: u64) -> StateKey {
    StateKey::raw(&name.to_le_bytes()).expect("short")
}

/// Keys of which many share a bucket: more than one page holds, so that pages split and merge.
pub(crate) fn crowded_keys() -> Vec<StateKey> {
    let mut buckets: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for name in 0..4_000_000 {
        buckets.entry(KeyHash::of(&key(name)).bucket()).or_default().push(name);
    }
    let mut buckets: Vec<Vec<u64>> = buckets.into_values().collect();
    buckets.sort_by_key(|names| std::cmp::Reverse(names.len()));
    assert!(buckets[1].len() > 9, "two buckets hold more than a page");
    buckets.iter().take(4).flatten().copied().chain(5_000_000..5_000_040).map(key).collect()
}

/// Changes to some of the keys: values of any length up to a few hundred bytes, and removals.
pub(crate) fn random_delta(keys: &[StateKey], rng: &mut ChaCha8Rng) -> Delta {
    let count = rng.random_range(1..=keys.len().min(30));
    keys.sample(rng, count)
        .map(|key| {
            let length = [0, 1, 25, 300][rng_of(key, count).random_range(0..4)];
            let value = rng_of(key, count).random_bool(0.7).then(|| vec![u8::try_from(count).expect("small"); length]);
            (key.clone(), value)
        })
        .collect()
}

fn rng_of(key: &StateKey, salt: usize) -> ChaCha8Rng {
    let digest = Domain::StateValue.hash(&(key.clone(), u64::try_from(salt).expect("small")));
    ChaCha8Rng::from_seed(digest.0)
}

/// What a delta makes of a model.
pub(crate) fn after(model: &Model, delta: &Delta) -> Model {
    let mut model = model.clone();
    for (key, value) in delta.iter() {
        match value {
            Some(value) => model.insert(key.clone(), value.to_vec()),
            None => model.remove(key),
        };
    }
    model
}

/// A block on a parent with this state root.
pub(crate) fn block_on(parent: Option<&Header>, state_root: Digest, txs: Vec<SignedTx>) -> Block {
    let height = parent.map_or(0, |parent| parent.height.0 + 1);
    let header = Header {
        version: 1,
        chain: ChainId(7),
        height: Height(height),
        epoch: Epoch(0),
        view: View(height),
        parent_view: View(parent.map_or(0, |parent| parent.view.0)),
        parent: parent.map_or(BlockId(Digest::ZERO), Header::id),
        time: TimeMs(1000 + height),
        proposer: SecretKey::from_seed(&[1; 32]).public(),
        beacon: Digest::ZERO,
        tx_root: tx_root(txs.iter().map(SignedTx::hash)),
        state_root,
        compute_root: Digest::ZERO,
        gas_used: Gas(0),
        next_validators: Digest::ZERO,
    };
    Block { header, txs: Bounded::new(txs).expect("few") }
}

/// A store and what its state must be.
pub(crate) struct Chain {
    pub(crate) store: Store,
    pub(crate) model: Model,
}

impl Chain {
    /// A chain that begins with these changes of nothing.
    pub(crate) fn begin(kv: Arc<dyn Kv>, options: Options, state: &Delta) -> Result<Self, StoreError> {
        let store = Store::open(kv, options)?;
        let model = after(&Model::new(), state);
        store.init(&block_on(None, root_of(&model), Vec::new()).header, state)?;
        Ok(Self { store, model })
    }

    /// Commits a block with these changes.
    pub(crate) fn commit(&mut self, delta: &Delta) -> Result<Block, StoreError> {
        self.commit_txs(delta, Vec::new())
    }

    pub(crate) fn commit_txs(&mut self, delta: &Delta, txs: Vec<SignedTx>) -> Result<Block, StoreError> {
        let overlay = self.store.overlay(None, delta)?;
        let block = self.next_block(&overlay, txs);
        self.store.commit(&overlay, &block, &certificate(&block), b"receipts")?;
        self.model = after(&self.model, delta);
        Ok(block)
    }

    pub(crate) fn next_block(&self, overlay: &Overlay, txs: Vec<SignedTx>) -> Block {
        let tip = self.store.tip().expect("the chain has begun");
        block_on(Some(&tip.header), overlay.root(), txs)
    }

    /// Demands that the store says what the model says.
    pub(crate) fn demand_state(&self, keys: &[StateKey]) -> Result<(), String> {
        demand_state(&self.store, &self.model, keys)
    }
}

pub(crate) fn certificate(block: &Block) -> Vec<u8> {
    format!("certificate of {}", block.id()).into_bytes()
}

pub(crate) fn demand_state(store: &Store, model: &Model, keys: &[StateKey]) -> Result<(), String> {
    let tip = store.tip().ok_or("there is no block")?;
    let root = root_of(model);
    if tip.header.state_root != root {
        return Err(format!("height {}: root {}, the model has {root}", tip.height(), tip.header.state_root));
    }
    let base = store.base();
    for key in keys {
        let found = base.read(key).map_err(|fault| format!("{key:?}: {fault}"))?;
        if found.as_ref() != model.get(key) {
            return Err(format!("height {}: {key:?} is {found:?}, not {:?}", tip.height(), model.get(key)));
        }
    }
    Ok(())
}

/// Demands that a full check finds nothing, and that it shows every entry.
pub(crate) fn demand_sound(store: &Store, model: &Model) -> Result<(), String> {
    let mut entries = Model::new();
    let report = store
        .check(&mut |key, value| drop(entries.insert(key.clone(), value.to_vec())))
        .map_err(|error| error.to_string())?;
    if !report.is_sound() {
        return Err(format!("the check found: {}", report.differences.join("; ")));
    }
    if entries != *model {
        return Err(format!("the check showed {} entries, the model has {}", entries.len(), model.len()));
    }
    Ok(())
}
