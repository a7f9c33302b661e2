//! A chain whose every block follows from a seed, so that whoever finds a store at a height knows what must be in it.

#![allow(dead_code)]

use std::ops::Range;
use std::sync::Arc;

use cpc_ledger::Delta;
use cpc_primitives::kv::Kv;
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::root_of;
use cpc_primitives::tx::{Action, SignedTx, Transfer, TxBody};
use cpc_primitives::{Address, Amount, ChainId, Gas, Height, Nonce, SecretKey};
use cpc_store::{Index, MemKv, Options, Place, Store, StoreError, tx_events};
use rand::prelude::*;

use crate::common::{Model, after, block_on, certificate, demand_sound, demand_state, key, rng};

/// A chain and where it stands.
pub(crate) struct World {
    seed: u64,
    height: Height,
    /// Whether block 0 was acknowledged.
    begun: bool,
    model: Model,
    keys: Vec<StateKey>,
    genesis: Delta,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let keys: Vec<StateKey> = (0..60).map(key).collect();
        let genesis: Delta = keys.iter().take(20).map(|key| (key.clone(), Some(vec![1; 25]))).collect();
        Self::of(seed, keys, genesis)
    }

    /// A world with so much in it that a restore takes several batches.
    pub(crate) fn large(seed: u64) -> Self {
        let keys: Vec<StateKey> = (0..150).map(key).collect();
        let genesis = keys.iter().map(|key| (key.clone(), Some(vec![1; 64 << 10]))).collect();
        Self::of(seed, keys, genesis)
    }

    fn of(seed: u64, keys: Vec<StateKey>, genesis: Delta) -> Self {
        Self { seed, height: Height(0), begun: false, model: after(&Model::new(), &genesis), keys, genesis }
    }

    pub(crate) fn height(&self) -> Height {
        self.height
    }

    pub(crate) fn begin(&mut self, kv: Arc<dyn Kv>, options: Options) -> Result<Store, StoreError> {
        let store = Store::open(kv, options)?;
        self.resume(&store)?;
        Ok(store)
    }

    /// Begins the chain, or takes it up where the store is.
    pub(crate) fn resume(&mut self, store: &Store) -> Result<(), StoreError> {
        let genesis = after(&Model::new(), &self.genesis);
        store.init(&block_on(None, root_of(&genesis), Vec::new()).header, &self.genesis)?;
        self.begun = true;
        self.advance(store.tip().expect("it has begun").height());
        Ok(())
    }

    /// What block `height` changes.
    fn delta(&self, height: Height) -> Delta {
        let mut rng = rng(self.seed.wrapping_mul(1_000_003).wrapping_add(height.0));
        let count = rng.random_range(2..12);
        let mut chosen: Vec<StateKey> = self.keys.sample(&mut rng, count).cloned().collect();
        chosen.sort();
        chosen
            .into_iter()
            .map(|key| (key, rng.random_bool(0.8).then(|| height.0.to_le_bytes().repeat(rng.random_range(1..9)))))
            .collect()
    }

    /// The one transaction of block `height`.
    fn tx(&self, height: Height) -> SignedTx {
        let action = Action::Transfer(Transfer { to: Address([7; 20]), amount: Amount::new(1) });
        let nonce = Nonce(height.0);
        let body = TxBody { chain: ChainId(7), nonce, gas_price: Amount::new(1), gas_limit: Gas(21_000), action };
        body.sign(&SecretKey::from_seed(&[2; 32]))
    }

    /// Moves the world to a height, without a store.
    pub(crate) fn advance(&mut self, to: Height) {
        assert!(to >= self.height, "a final block never goes away: {to} after {}", self.height);
        while self.height < to {
            self.height = self.height.next().expect("far from the end");
            self.model = after(&self.model, &self.delta(self.height));
        }
    }

    pub(crate) fn commit_next(&mut self, store: &Store) -> Result<Height, StoreError> {
        let height = self.height.next().expect("far from the end");
        let overlay = store.overlay(None, &self.delta(height))?;
        let tip = store.tip().ok_or(StoreError::Empty)?;
        let block = block_on(Some(&tip.header), overlay.root(), vec![self.tx(height)]);
        store.commit(&overlay, &block, &certificate(&block), b"receipts")?;
        self.advance(height);
        Ok(height)
    }

    /// Demands that a store is at this height with this state.
    pub(crate) fn verify_state(&self, store: &Store) -> Result<(), String> {
        let tip = store.tip().ok_or("there is no block")?;
        if tip.height() != self.height {
            return Err(format!("the store is at {}, not at {}", tip.height(), self.height));
        }
        demand_state(store, &self.model, &self.keys)
    }

    /// Demands the state, and that a full check finds nothing.
    pub(crate) fn verify_sound(&self, store: &Store) -> Result<(), String> {
        self.verify_state(store)?;
        demand_sound(store, &self.model)
    }

    /// Demands everything: the state, every block, and an index that catches up to the same answers.
    pub(crate) fn verify(&self, store: &Store) -> Result<(), String> {
        self.verify_sound(store)?;
        let text = |error: StoreError| error.to_string();
        let index = Index::open(store.clone(), tx_events).map_err(text)?;
        let behind = index.height().map_err(|fault| fault.to_string())?;
        if behind > Some(self.height) {
            return Err(format!("the index is at {behind:?}, ahead of {}", self.height));
        }
        index.catch_up(u64::MAX).map_err(text)?;
        for height in (1..=self.height.0).map(Height) {
            let found = index.tx_by_hash(&self.tx(height).hash()).map_err(|fault| fault.to_string())?;
            let expected = Some(Place { height, index: 0 });
            if found.found != expected || found.height != Some(self.height) {
                return Err(format!("the index has {found:?}, not {expected:?}"));
            }
        }
        let rows = index.account(&Address([7; 20]), None, 1000).map_err(|fault| fault.to_string())?.found;
        let expected: Vec<Place> =
            (1..=self.height.0).rev().take(100).map(|h| Place { height: Height(h), index: 0 }).collect();
        if rows.iter().map(|(place, _)| *place).ne(expected) {
            return Err(format!("the account's rows are {rows:?}"));
        }
        Ok(())
    }
}

/// Cuts the power of a store in memory at every kind of write, under many seeds, and says what was wrong.
pub(crate) fn memory_torture(options: Options, seeds: Range<u64>) -> Result<(), String> {
    for seed in seeds {
        let kv = Arc::new(MemKv::new());
        let mut world = World::new(seed);
        let mut rng = rng(seed);
        for crash in 0..4 {
            let at = |what: String| format!("seed {seed}, crash {crash}: {what}");
            kv.cut_power_after(rng.random_range(0..12));
            let acknowledged = work(&kv, options, &mut world).map_err(at)?;
            kv.crash(rng.random());
            let store = Store::open(Arc::<MemKv>::clone(&kv), options).map_err(|error| at(error.to_string()))?;
            let Some(tip) = store.tip() else {
                if acknowledged.is_some() {
                    return Err(at("an acknowledged chain is gone".to_owned()));
                }
                continue;
            };
            let least = acknowledged.unwrap_or(Height(0));
            if tip.height() != least && Some(tip.height()) != least.next() {
                return Err(at(format!("height {} after {least} was acknowledged", tip.height())));
            }
            world.advance(tip.height());
            if crash == 3 { world.verify(&store) } else { world.verify_state(&store) }.map_err(at)?;
        }
    }
    Ok(())
}

/// Commits until the power fails, and returns the last acknowledged height.
fn work(kv: &Arc<MemKv>, options: Options, world: &mut World) -> Result<Option<Height>, String> {
    let Ok(store) = world.begin(Arc::<MemKv>::clone(kv), options) else { return Ok(known(world)) };
    let Ok(index) = Index::open(store.clone(), tx_events) else { return Ok(known(world)) };
    loop {
        // A state whose root is not that of its entries is found before anybody signs it.
        world
            .verify_state(&store)
            .or_else(|what| if what.contains("the power failed") { Ok(()) } else { Err(what) })?;
        if world.commit_next(&store).is_err() || index.catch_up(u64::MAX).is_err() {
            return Ok(Some(world.height()));
        }
    }
}

/// The height up to which a world was acknowledged, in this life of the store or an earlier one.
fn known(world: &World) -> Option<Height> {
    world.begun.then(|| world.height())
}
