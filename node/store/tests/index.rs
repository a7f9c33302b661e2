//! The index says where things are, up to which block it knows, and is built again from the blocks.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::Chain;
use cpc_ledger::Delta;
use cpc_primitives::ids::TaskId;
use cpc_primitives::kv::{Batch, Durability, Kv, Space};
use cpc_primitives::tx::{Action, SignedTx, Transfer, TxBody};
use cpc_primitives::{Address, Amount, Block, ChainId, Digest, Gas, Height, Nonce, SecretKey};
use cpc_store::{Index, IndexEvent, MemKv, Options, PAGE_ROWS_MAX, Place, Store, tx_events};

fn place(height: u64, index: u32) -> Place {
    Place { height: Height(height), index }
}

fn transfer(from: u8, to: Address, nonce: u64) -> SignedTx {
    let action = Action::Transfer(Transfer { to, amount: Amount::new(1) });
    let (gas_price, gas_limit) = (Amount::new(1), Gas(21_000));
    TxBody { chain: ChainId(7), nonce: Nonce(nonce), gas_price, gas_limit, action }
        .sign(&SecretKey::from_seed(&[from; 32]))
}

fn address(of: u8) -> Address {
    Address::of(&SecretKey::from_seed(&[of; 32]).public())
}

fn change(n: u64) -> Delta {
    Delta::from_iter([(common::key(n), Some(vec![1]))])
}

/// Ten blocks with thirty transfers each between three accounts.
fn chain() -> (Arc<MemKv>, Chain, Vec<Vec<SignedTx>>) {
    let kv = Arc::new(MemKv::new());
    let mut chain = Chain::begin(Arc::<MemKv>::clone(&kv), Options::default(), &change(0)).expect("it begins");
    let mut blocks = vec![Vec::new()];
    for height in 1..=10 {
        let txs: Vec<SignedTx> =
            (0..30u8).map(|n| transfer(n % 3, address((n / 3) % 3), 30 * height + u64::from(n))).collect();
        chain.commit_txs(&change(height), txs.clone()).expect("it is the next block");
        blocks.push(txs);
    }
    (kv, chain, blocks)
}

/// Where an account's transactions are, the newest first.
fn expected(blocks: &[Vec<SignedTx>], account: u8) -> Vec<Place> {
    let concerns = |tx: &SignedTx| {
        let Action::Transfer(transfer) = &tx.body.action else { return false };
        tx.sender_address() == address(account) || transfer.to == address(account)
    };
    let mut places: Vec<Place> = (0..)
        .zip(blocks)
        .flat_map(|(height, txs)| (0..).zip(txs).filter(|(_, tx)| concerns(tx)).map(move |(n, _)| place(height, n)))
        .collect();
    places.reverse();
    places
}

fn demand_all(index: &Index, blocks: &[Vec<SignedTx>]) {
    let known = Some(Height(10));
    for (height, txs) in (0..).zip(blocks) {
        for (n, tx) in (0..).zip(txs) {
            let by_hash = index.tx_by_hash(&tx.hash()).expect("readable");
            assert_eq!((by_hash.height, by_hash.found), (known, Some(place(height, n))));
            assert_eq!(index.tx_by_id(&tx.id()).expect("readable").found, Some(place(height, n)));
        }
    }
    for account in 0..3 {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let rows = index.account(&address(account), before, 7).expect("readable").found;
            assert!(rows.len() <= 7);
            let Some((last, _)) = rows.last() else { break };
            before = Some(*last);
            for (place, hash) in &rows {
                let tx = &blocks[usize::try_from(place.height.0).expect("small")][place.index as usize];
                assert_eq!(*hash, tx.hash());
            }
            found.extend(rows.into_iter().map(|(place, _)| place));
        }
        assert_eq!(found, expected(blocks, account));
    }
}

#[test]
fn transactions_are_found_by_hash_by_id_and_by_account() {
    let (_, chain, blocks) = chain();
    let index = Index::open(chain.store, tx_events).expect("it opens");
    assert_eq!(index.catch_up(u64::MAX), Ok(0));
    demand_all(&index, &blocks);
    let all = index.account(&address(0), None, usize::MAX).expect("readable").found;
    assert_eq!(all.len(), PAGE_ROWS_MAX, "an answer is bounded, whatever is asked");
    assert_eq!(index.account(&Address([9; 20]), None, 10).expect("readable").found, []);
}

#[test]
fn an_index_that_lags_says_so() {
    let (_, chain, blocks) = chain();
    let index = Index::open(chain.store, tx_events).expect("it opens");
    assert_eq!(index.height(), Ok(None));
    let early = index.tx_by_hash(&blocks[1][0].hash()).expect("readable");
    assert_eq!((early.height, early.found), (None, None));
    assert_eq!(index.catch_up(4), Ok(7), "blocks 0 to 3, of eleven");
    let late = index.tx_by_hash(&blocks[4][0].hash()).expect("readable");
    assert_eq!((late.height, late.found), (Some(Height(3)), None));
    assert_eq!(index.catch_up(7), Ok(0));
    demand_all(&index, &blocks);
}

#[test]
fn a_lost_or_foreign_index_is_built_again() {
    let (kv, chain, blocks) = chain();
    let reopened = || Store::open(Arc::<MemKv>::clone(&kv), Options::default()).expect("it is whole");
    Index::open(chain.store, tx_events).expect("it opens").catch_up(u64::MAX).expect("the blocks are there");

    // Its mark is gone: what rows there are do not count.
    let mut batch = Batch::default();
    batch.delete(Space("index-meta"), *b"state");
    kv.write(batch, Durability::Synced).expect("there is room");
    let index = Index::open(reopened(), tx_events).expect("it opens");
    assert_eq!((index.height(), kv.keys(Space("index-account")).len()), (Ok(None), 0));
    index.catch_up(u64::MAX).expect("the blocks are there");
    demand_all(&index, &blocks);

    // Its last block is none of this chain.
    let mut batch = Batch::default();
    batch.put(Space("index-meta"), *b"state", [&5u64.to_be_bytes()[..], &[7; 32]].concat());
    kv.write(batch, Durability::Synced).expect("there is room");
    let index = Index::open(reopened(), tx_events).expect("it opens");
    assert_eq!(index.height(), Ok(None));
    index.catch_up(u64::MAX).expect("the blocks are there");
    demand_all(&index, &blocks);
    assert_eq!(Index::open(reopened(), tx_events).expect("it opens").height(), Ok(Some(Height(10))), "it is kept");
}

fn task(n: u64) -> TaskId {
    TaskId(Digest([u8::try_from(n).expect("small"); 32]))
}

/// Block h opens task h; two blocks later it is in status 2, and moves on to 3 within the same block if h is even.
fn task_events(block: &Block, _: &[u8]) -> Vec<IndexEvent> {
    let height = block.header.height.0;
    let mut events = vec![IndexEvent::Task { task: task(height), status: 1 }];
    if let Some(before) = height.checked_sub(2) {
        events.push(IndexEvent::Task { task: task(before), status: 2 });
        if before.is_multiple_of(2) {
            events.push(IndexEvent::Task { task: task(before), status: 3 });
        }
    }
    events
}

#[test]
fn tasks_are_found_by_their_last_status() {
    let (_, chain, _) = chain();
    let index = Index::open(chain.store, task_events).expect("it opens");
    index.catch_up(u64::MAX).expect("the blocks are there");
    let mut by_status: BTreeMap<u8, Vec<TaskId>> = BTreeMap::new();
    for n in (0..=10).rev() {
        let status = if n > 8 {
            1
        } else if n % 2 == 0 {
            3
        } else {
            2
        };
        by_status.entry(status).or_default().push(task(n));
        assert_eq!(index.task(&task(n)).expect("readable").found.expect("it was opened").status, status);
    }
    for (status, tasks) in by_status {
        let found: Vec<TaskId> =
            index.tasks(status, None, 100).expect("readable").found.into_iter().map(|(_, task)| task).collect();
        assert_eq!(found, tasks, "the last to reach status {status} first");
    }
    assert_eq!(index.task(&task(99)).expect("readable").found, None);
}
