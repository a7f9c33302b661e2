//! The state of a store is its entries and nothing else: its roots, reads and proofs against a map.

mod common;

use std::sync::{Arc, LazyLock};

use common::{
    Chain, Model, after, block_on, certificate, crowded_keys, demand_sound, demand_state, key, random_delta, rng,
};
use cpc_ledger::{Delta, StateRead};
use cpc_light::Terminal;
use cpc_primitives::kv::{Batch, Durability, Kv, Space};
use cpc_primitives::limits::STATE_VALUE_BYTES_MAX;
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::root_of;
use cpc_primitives::{Digest, Fault, Height};
use cpc_store::{MemKv, Options, RocksKv, RocksOptions, Store, StoreError};
use proptest::prelude::*;
use rand::prelude::*;

static KEYS: LazyLock<Vec<StateKey>> = LazyLock::new(crowded_keys);

fn memory(options: Options) -> (Arc<MemKv>, Chain) {
    let kv = Arc::new(MemKv::new());
    let state = random_delta(&KEYS, &mut rng(0));
    let chain = Chain::begin(Arc::<MemKv>::clone(&kv), options, &state).expect("it begins");
    (kv, chain)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_root_depends_on_the_entries_alone(seed in any::<u64>(), blocks in 1usize..12, cache in 0u64..30_000) {
        let mut rng = rng(seed);
        let kv = Arc::new(MemKv::new());
        // A small cache forgets pages all the time, so that they are read again and compared.
        let options = Options { cache_bytes: cache, ..Options::default() };
        let state = random_delta(&KEYS, &mut rng);
        let mut chain = Chain::begin(Arc::<MemKv>::clone(&kv), options, &state).expect("it begins");
        for _ in 0..blocks {
            let delta = random_delta(&KEYS, &mut rng);
            chain.commit(&delta).expect("it is the next block");
            prop_assert_eq!(chain.demand_state(&KEYS), Ok(()));
        }
        // Removing everything brings back the root of an empty world.
        let reopened = Store::open(kv, Options::default()).expect("it is whole");
        prop_assert_eq!(demand_state(&reopened, &chain.model, &KEYS), Ok(()));
        let all: Delta = KEYS.iter().map(|key| (key.clone(), None)).collect();
        prop_assert_eq!(reopened.overlay(None, &all).expect("readable").root(), root_of(&Model::new()));
    }

    #[test]
    fn every_branch_of_states_sees_its_own_past(seed in any::<u64>(), blocks in 2usize..14) {
        let mut rng = rng(seed);
        let (_, mut chain) = memory(Options { cache_bytes: 4096, ..Options::default() });
        // Every overlay may be built on: the branches share pages, and none may see another's.
        let mut states: Vec<(Arc<cpc_store::Overlay>, Model)> = Vec::new();
        for _ in 0..blocks {
            let delta = random_delta(&KEYS, &mut rng);
            let parent = states.choose(&mut rng).filter(|_| rng_bool(seed, states.len())).cloned();
            let (overlay, model) = match parent {
                Some((parent, model)) => {
                    (chain.store.overlay(Some(&parent), &delta).expect("live"), after(&model, &delta))
                }
                None => (chain.store.overlay(None, &delta).expect("live"), after(&chain.model, &delta)),
            };
            prop_assert_eq!(overlay.root(), root_of(&model));
            states.push((overlay, model));
        }
        for (overlay, model) in &states {
            for key in KEYS.iter() {
                prop_assert_eq!(overlay.read(key).expect("live"), model.get(key).cloned());
            }
        }
        // One of those on the base becomes final; what is built on it lives on, everything else says that it is over.
        let (first, model) = states.iter().find(|(overlay, _)| overlay.waiting() == 1).cloned().expect("the first");
        let block = chain.next_block(&first, Vec::new());
        chain.store.commit(&first, &block, &certificate(&block), &[]).expect("it is the next block");
        chain.model = model;
        prop_assert_eq!(chain.demand_state(&KEYS), Ok(()));
        for (overlay, model) in &states {
            for key in KEYS.iter() {
                match overlay.read(key) {
                    Ok(value) => prop_assert_eq!(value, model.get(key).cloned()),
                    Err(fault) => {
                        let named = matches!(fault, Fault::Invariant { .. });
                        prop_assert!(named && overlay.is_stale(), "{}", fault);
                    }
                }
            }
        }
    }
}

fn rng_bool(seed: u64, salt: usize) -> bool {
    rng(seed ^ u64::try_from(salt).expect("small")).random_bool(0.7)
}

#[test]
fn every_key_is_proven_present_or_absent() {
    let (_, mut chain) = memory(Options::default());
    let mut kinds = [0; 3];
    for round in 0..6 {
        chain.commit(&random_delta(&KEYS, &mut rng(100 + round))).expect("it is the next block");
        for key in KEYS.iter().cloned().chain((0..200).map(|n| key(9_000_000 + n))) {
            let (tip, proof) = chain.store.prove(&key).expect("nothing is damaged");
            let verified = proof.verify(&tip.header.state_root).expect("a proof of the store holds");
            assert_eq!(verified.value(), chain.model.get(&key).map(Vec::as_slice));
            proof.verify(&Digest::ZERO).expect_err("it is a proof for one root");
            kinds[match proof.terminal {
                Terminal::Present { .. } => 0,
                Terminal::EmptySlot => 1,
                Terminal::OtherKey { .. } => 2,
            }] += 1;
        }
    }
    assert!(kinds.iter().all(|count| *count > 20), "every kind of proof was made: {kinds:?}");
}

#[test]
fn rocksdb_and_the_map_keep_the_same_state() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = || Arc::new(RocksKv::open(dir.path(), &[], RocksOptions::default()).expect("it opens"));
    let (_, mut in_memory) = memory(Options::default());
    let state = random_delta(&KEYS, &mut rng(0));
    let mut on_disk = Chain::begin(open(), Options::default(), &state).expect("it begins");
    for seed in 1..10 {
        let delta = random_delta(&KEYS, &mut rng(seed));
        assert_eq!(in_memory.commit(&delta), on_disk.commit(&delta));
    }
    let model = on_disk.model.clone();
    drop(on_disk);
    let reopened = Store::open(open(), Options::default()).expect("it is whole");
    demand_state(&reopened, &model, &KEYS).expect("the same state");
    demand_sound(&reopened, &model).expect("nothing differs");
    demand_sound(&in_memory.store, &model).expect("nothing differs");
    let block = reopened.block(Height(4)).expect("readable").expect("it is kept");
    assert_eq!(reopened.header(Height(4)), Ok(Some(block.header.clone())));
    assert_eq!(reopened.height_of(&block.id()), Ok(Some(Height(4))));
    assert_eq!(reopened.certificate(Height(4)), Ok(Some(certificate(&block))));
    assert_eq!(reopened.receipts(Height(4)), Ok(Some(b"receipts".to_vec())));
    assert_eq!(reopened.block(Height(10)), Ok(None));
    assert_eq!(reopened.certificate(Height(0)), Ok(None));
}

#[test]
fn a_block_that_does_not_fit_is_refused_by_name_and_leaves_no_trace() {
    let (kv, mut chain) = memory(Options::default());
    let first = chain.commit(&random_delta(&KEYS, &mut rng(1))).expect("it is the next block");
    chain.commit(&random_delta(&KEYS, &mut rng(2))).expect("it is the next block");
    let before = (kv.bytes(), chain.store.tip());
    let overlay = chain.store.overlay(None, &random_delta(&KEYS, &mut rng(3))).expect("readable");
    let good = chain.next_block(&overlay, Vec::new());
    let refuse = |block: &cpc_primitives::Block, certificate: &[u8], receipts: &[u8], text: &str| {
        let error = chain.store.commit(&overlay, block, certificate, receipts).expect_err(text).to_string();
        assert!(error.contains(text), "{error}");
    };

    // STO-5: the same block again is no error, another one at its height is.
    chain.store.commit(&overlay, &first, &[], &[]).expect("it is final already");
    let mut other = first.clone();
    other.header.view.0 += 1;
    refuse(&other, &[], &[], "at height 1 another block is final");
    let mut later = good.clone();
    later.header.height.0 += 1;
    refuse(&later, &[], &[], "height expected 3, found 4");
    let mut orphan = good.clone();
    orphan.header.parent.0.0[0] ^= 1;
    refuse(&orphan, &[], &[], "does not follow the last final one: parent");
    let mut bent = good.clone();
    bent.header.state_root.0[0] ^= 1;
    refuse(&bent, &[], &[], "the state is not the one of the header");
    refuse(&good, &[0; cpc_store::CERTIFICATE_BYTES_MAX + 1], &[], "a certificate of 17409 bytes where at most 17408");
    refuse(&good, &[], &vec![0; cpc_store::RECEIPTS_BYTES_MAX + 1], "receipts of 8388609 bytes where at most 8388608");

    let above = chain.store.overlay(Some(&overlay), &random_delta(&KEYS, &mut rng(4))).expect("readable");
    let mut skipping = good.clone();
    skipping.header.state_root = above.root();
    assert_eq!(chain.store.commit(&above, &skipping, &[], &[]), Err(StoreError::NotNext));
    assert_eq!((kv.bytes(), chain.store.tip()), before);
    chain.store.commit(&overlay, &good, &[], &[]).expect("nothing is in its way");
    assert_eq!(
        chain.store.commit(&overlay, &good, &[], &[]),
        Ok(()),
        "an acknowledgement that was lost is given again"
    );
}

#[test]
fn block_0_is_one_and_the_same() {
    let state = random_delta(&KEYS, &mut rng(0));
    let (_, chain) = memory(Options::default());
    let genesis = block_on(None, root_of(&chain.model), Vec::new()).header;
    assert_eq!(chain.store.init(&genesis, &state), Ok(()));
    let mut other = genesis.clone();
    other.chain.0 += 1;
    let error = chain.store.init(&other, &state).expect_err("another network").to_string();
    assert!(error.contains(&genesis.id().to_string()) && error.contains(&other.id().to_string()), "{error}");

    let empty = Store::open(Arc::new(MemKv::new()), Options::default()).expect("nothing is there");
    assert!(empty.is_empty() && empty.tip().is_none());
    let mut late = genesis.clone();
    late.height.0 = 1;
    assert!(matches!(empty.init(&late, &state), Err(StoreError::GenesisHeight(_))));
    assert!(matches!(empty.init(&genesis, &Delta::new()), Err(StoreError::StateRoot(_))));
    let overlay = empty.overlay(None, &state).expect("nothing is readable too");
    let block = block_on(None, overlay.root(), Vec::new());
    assert_eq!(empty.commit(&overlay, &block, &[], &[]), Err(StoreError::Empty));
    assert_eq!(empty.genesis(), Err(StoreError::Empty));
    assert!(empty.is_empty());
}

#[test]
fn limits_hold_at_the_limit_and_one_above() {
    let (_, chain) = memory(Options { overlays_max: 3, ..Options::default() });
    let value = |length: usize| Delta::from_iter([(key(1), Some(vec![0; length]))]);
    let mut top = chain.store.overlay(None, &value(STATE_VALUE_BYTES_MAX)).expect("64 KiB are allowed");
    let error = chain.store.overlay(None, &value(STATE_VALUE_BYTES_MAX + 1)).expect_err("one byte more is not");
    assert_eq!(error, StoreError::ValueTooLong { limit: STATE_VALUE_BYTES_MAX, found: STATE_VALUE_BYTES_MAX + 1 });
    for _ in 1..3 {
        top = chain.store.overlay(Some(&top), &value(1)).expect("three may wait");
    }
    let error = chain.store.overlay(Some(&top), &value(1)).expect_err("a fourth may not");
    assert_eq!(error, StoreError::TooManyOverlays { limit: 3, found: 4 });
}

#[test]
fn a_state_that_lost_says_so_and_a_long_chain_of_states_is_let_go() {
    let (_, mut chain) = memory(Options { overlays_max: 3, ..Options::default() });
    let base = chain.store.base();
    let loser = chain.store.overlay(None, &random_delta(&KEYS, &mut rng(50))).expect("readable");
    let mut top = None;
    for seed in 0..20 {
        // Execution runs one block ahead of finality.
        let delta = random_delta(&KEYS, &mut rng(seed));
        let next = chain.store.overlay(top.as_ref(), &delta).expect("never more than two wait");
        assert!(next.waiting() <= 2);
        if let Some(top) = top.replace(next) {
            let block = chain.next_block(&top, Vec::new());
            chain.store.commit(&top, &block, &[], &[]).expect("it is the next block");
            assert_eq!(top.waiting(), 0);
        }
        chain.model = after(&chain.model, &delta);
        for key in KEYS.iter() {
            assert_eq!(top.as_ref().expect("just made").read(key).expect("live"), chain.model.get(key).cloned());
        }
    }
    assert!(base.is_stale() && loser.is_stale());
    let silent = |state: &dyn StateRead| KEYS.iter().filter(|key| state.read(key).is_err()).count();
    assert_eq!(silent(&base), KEYS.len());
    assert!(silent(&*loser) > KEYS.len() / 4, "it answers only what it holds itself");
    let refused = chain.store.overlay(Some(&loser), &random_delta(&KEYS, &mut rng(51)));
    assert_eq!(refused.expect_err("it lost"), StoreError::Stale);
}

#[test]
fn a_commit_on_another_thread_disturbs_no_reader() {
    for round in 0..4 {
        let (_, mut chain) = memory(Options { cache_bytes: 2048, ..Options::default() });
        let mut top = chain.store.overlay(None, &random_delta(&KEYS, &mut rng(round))).expect("readable");
        let mut model = after(&chain.model, &random_delta(&KEYS, &mut rng(round)));
        for seed in 0..30 {
            let block = chain.next_block(&top, Vec::new());
            let delta = random_delta(&KEYS, &mut rng(1000 * round + seed));
            let (store, model_before) = (chain.store.clone(), chain.model.clone());
            let base = store.base();
            let next = std::thread::scope(|threads| {
                let committed = threads.spawn(|| store.commit(&top, &block, &[], &[]));
                // The next block is executed meanwhile, and somebody reads the old state.
                for key in KEYS.iter() {
                    assert_eq!(top.read(key).expect("live"), model.get(key).cloned());
                    match base.read(key) {
                        Ok(value) => assert_eq!(value, model_before.get(key).cloned()),
                        Err(_) => assert!(base.is_stale()),
                    }
                    let now = store.read(key).expect("there is always a last state");
                    assert!([model_before.get(key), model.get(key)].contains(&now.as_ref()));
                    let (tip, proof) = store.prove(key).expect("there is always a last state");
                    proof.verify(&tip.header.state_root).expect("a proof is of its own tip");
                }
                let next = store.overlay(Some(&top), &delta).expect("live");
                committed.join().expect("no panic").expect("it is the next block");
                next
            });
            chain.model = model.clone();
            model = after(&model, &delta);
            assert_eq!(next.root(), root_of(&model));
            top = next;
        }
        demand_sound(&chain.store, &chain.model).expect("nothing differs");
    }
}

#[test]
fn what_is_prefetched_is_not_read_again() {
    let (_, mut chain) = memory(Options::default());
    chain.commit(&random_delta(&KEYS, &mut rng(1))).expect("it is the next block");
    chain.store.forget_pages();
    let before = chain.store.stats().expect("there is a tip").disk_reads;
    chain.store.prefetch(&KEYS).expect("readable");
    let fetched = chain.store.stats().expect("there is a tip").disk_reads;
    chain.demand_state(&KEYS).expect("the same state");
    let stats = chain.store.stats().expect("there is a tip");
    assert!(fetched > before && stats.disk_reads == fetched, "{before} {fetched} {stats:?}");
    assert!(stats.cached_pages > 0 && stats.cached_bytes > 0 && stats.tree_bytes > 0 && stats.written_bytes > 0);
}

#[test]
fn many_keys_read_together_are_what_each_is_alone() {
    let (_, mut chain) = memory(Options { cache_bytes: 10_000, ..Options::default() });
    for seed in 1..6 {
        chain.commit(&random_delta(&KEYS, &mut rng(seed))).expect("it is the next block");
        let delta = random_delta(&KEYS, &mut rng(seed + 100));
        let overlay = chain.store.overlay(None, &delta).expect("readable");
        let expected = |model: &Model| KEYS.iter().map(|key| model.get(key).cloned()).collect::<Vec<_>>();
        assert_eq!(chain.store.base().read_many(&KEYS), Ok(expected(&chain.model)));
        assert_eq!(overlay.read_many(&KEYS), Ok(expected(&after(&chain.model, &delta))));
    }
}

#[test]
fn a_page_below_a_first_one_that_is_missing_or_belongs_nowhere_is_named() {
    let all: Delta = KEYS.iter().map(|key| (key.clone(), Some(vec![1]))).collect();
    let kv = Arc::new(MemKv::new());
    let chain = Chain::begin(Arc::<MemKv>::clone(&kv), Options::default(), &all).expect("it begins");
    let pages = Space("pages");
    let below = kv.keys(pages);
    assert!(below.len() > 4, "buckets of more than one page");
    let demand = |row: &[u8], value: Option<Vec<u8>>, expected: &str| {
        let was = kv.get(pages, row).expect("readable");
        let write = |value: Option<Vec<u8>>| {
            let mut batch = Batch::default();
            match value {
                Some(value) => batch.put(pages, row, value),
                None => batch.delete(pages, row),
            }
            kv.write(batch, Durability::Synced).expect("there is room");
        };
        demand_sound(&chain.store, &chain.model).expect("nothing is wrong yet");
        write(value);
        let found = demand_sound(&chain.store, &chain.model).expect_err("one row is wrong");
        assert!(found.contains(expected), "{row:?}: {found}");
        write(was);
    };
    let some = kv.get(pages, &below[0]).expect("readable");
    let free = (0u32..).find(|bucket| kv.get(Space("buckets"), &bucket.to_be_bytes()) == Ok(None)).expect("most");
    for row in &below {
        demand(row, None, "is missing");
    }
    demand(&[&free.to_be_bytes()[..], &[3]].concat(), some.clone(), "is below no other");
    demand(&free.to_be_bytes(), some.clone(), "is below no other");
    demand(&[0xff; 9], some, "is below no other");
}

// STO-3: what was not synced is lost from the end, and a later sync keeps all before it.
#[test]
fn buffered_blocks_are_lost_from_the_end_alone() {
    let delta = |name: u64| -> Delta { [(key(name), Some(vec![1]))].into_iter().collect() };
    for seed in 0..32 {
        let kv = Arc::new(MemKv::new());
        let chain = Chain::begin(kv.clone(), Options::default(), &delta(0)).expect("a new chain");
        let commit = |name: u64, durability| {
            let overlay = chain.store.overlay(None, &delta(name)).expect("grown");
            let block = chain.next_block(&overlay, Vec::new());
            chain.store.commit_as(&overlay, &block, b"", b"", durability).expect("committed");
        };
        for (name, durability) in [
            (1, Durability::Buffered),
            (2, Durability::Buffered),
            (3, Durability::Synced),
            (4, Durability::Buffered),
            (5, Durability::Buffered),
        ] {
            commit(name, durability);
        }
        let before = chain.store.tip().expect("a tip");
        assert_eq!(before.height(), Height(5));
        drop(chain);
        kv.crash(seed);
        let store = Store::open(kv, Options::default()).expect("a crash never prevents a start");
        let height = store.tip().expect("a tip").height().0;
        assert!((3..=5).contains(&height), "seed {seed}: {height}");
        let model = (0..=height).map(|name| (key(name), vec![1])).collect();
        demand_state(&store, &model, &[key(0), key(3), key(5)]).expect("the state of its tip");
    }
}
