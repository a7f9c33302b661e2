//! One readable value of everything that is hashed, signed or shown, for whoever builds this a second time.

use cpc_primitives::block::{tx_leaf, tx_root};
use cpc_primitives::codec::encode;
use cpc_primitives::hash::hex;
use cpc_primitives::result::{ComputeResult, ComputeRoots, Settlement, SignedRoot, Verdict};
use cpc_primitives::signing::verify_batch;
use cpc_primitives::tx::{Action, KeyUse, ProvenKey, SignedTx, TreasurySpend, TxBody};
use cpc_primitives::{
    Address, Amount, Block, Bounded, ChainId, Digest, Domain, Gas, Header, Height, Nonce, SecretKey, TaskId, TxHash,
    merkle, tree,
};
use cpc_vectors::draw::{ACTIONS, Draw};
use cpc_vectors::formats::{Format, all};
use cpc_vectors::golden::{Entry, hold};

/// The network of the samples.
const CHAIN: ChainId = ChainId(7);

/// The key whose seed is this byte 32 times.
fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

/// A signed transaction for each kind of action.
fn transactions() -> Vec<SignedTx> {
    let formats = all();
    let actions = &formats[formats.len() - ACTIONS..];
    let action = |format: &Format| cpc_primitives::codec::decode::<Action>(&format.sample(), format.limit);
    let body = |action| {
        let gas_price = Amount::new(1_000_000_000);
        TxBody { chain: CHAIN, nonce: Nonce(3), gas_price, gas_limit: Gas(100_000), action }
    };
    actions.iter().map(|format| body(action(format).expect("a sample is a value")).sign(&key(1))).collect()
}

// VEC-8, TX-3, TX-4, TX-5: one transaction for each action, with both of its ids.
#[test]
fn one_transaction_of_each_kind_with_its_ids() {
    let transactions = transactions();
    let claims: Vec<_> = transactions.iter().map(SignedTx::claim).collect();
    assert_eq!(verify_batch(&claims), Ok(()));
    let entries: Vec<Entry> = transactions
        .iter()
        .map(|tx| {
            Entry::new(tx.body.action.name())
                .text("body", hex(&encode(&tx.body)))
                .text("sender", tx.sender)
                .text("sender_address", tx.sender_address())
                .text("tx_id", tx.id())
                .text("signature", tx.signature)
                .text("tx_hash", tx.hash())
        })
        .collect();
    assert_eq!(entries.len(), ACTIONS);
    hold(
        "codec/transactions.toml",
        "One transaction of each kind on chain 7, signed by the key whose seed is the byte 1, 32 times.\n\
         The signed bytes are body, sender and signature side by side; their hash is `tx_hash`.",
        &entries,
    );
}

// VEC-8: headers, blocks, addresses, task ids, compute roots, signed messages and what is empty.
#[test]
fn everything_else_that_is_hashed_or_shown() {
    let mut from = Draw::new("samples");
    let mut entries = Vec::new();

    for seed in 1..=4 {
        let public = key(seed).public();
        entries.push(
            Entry::new(format!("key-{seed}"))
                .text("seed", hex(&[seed; 32]))
                .text("public", public)
                .text("address", Address::of(&public)),
        );
    }
    let sender = Address::of(&key(1).public());
    for nonce in [0, 3, u64::MAX] {
        let task = TaskId::of(sender, Nonce(nonce));
        let entry = Entry::new(format!("task-{nonce}")).text("sender", sender).text("nonce", nonce);
        entries.push(entry.text("task_id", task).text("uuid", task.uuid()));
    }

    let txs: Vec<SignedTx> = transactions().into_iter().take(3).collect();
    let results: Vec<ComputeResult> = (0..3).map(|_| from.value()).collect();
    let settlements: Vec<Settlement> = (0..2).map(|_| from.value()).collect();
    let roots = ComputeRoots::of(&results, &settlements);
    let header = Header {
        proposer: key(2).public(),
        tx_root: tx_root(txs.iter().map(SignedTx::hash)),
        compute_root: roots.digest(),
        ..from.value()
    };
    entries.push(Entry::new("header").text("bytes", hex(&encode(&header))).text("block_id", header.id()));
    let leaves: Vec<TxHash> = txs.iter().map(SignedTx::hash).collect();
    let block = Block { header, txs: Bounded::new(txs).expect("three") };
    entries.push(
        Entry::new("block")
            .text("bytes", hex(&block.encode()))
            .text("block_id", block.id())
            .list("tx_hashes", leaves.iter().map(|hash| format!("\"{hash}\"")))
            .list("tx_leaves", leaves.iter().map(|hash| format!("\"{}\"", tx_leaf(hash))))
            .text("tx_root", block.header.tx_root),
    );
    let leaf = |bytes: Vec<u8>, leaf: Digest| format!("{{ bytes = \"{}\", leaf = \"{leaf}\" }}", hex(&bytes));
    entries.push(
        Entry::new("compute-root")
            .list("results", results.iter().map(|result| leaf(encode(result), result.leaf())))
            .list("settlements", settlements.iter().map(|settlement| leaf(encode(settlement), settlement.leaf())))
            .text("results_root", roots.results)
            .text("settlements_root", roots.settlements)
            .text("compute_root", roots.digest()),
    );
    let verdict: Verdict = from.value();
    let root = merkle::root(&[verdict.leaf()]);
    entries.push(
        Entry::new("verdict")
            .text("bytes", hex(&encode(&verdict)))
            .text("leaf", verdict.leaf())
            .text("root", root)
            .text("signed_at_height_9", SignedRoot::message(CHAIN, Height(9), &root)),
    );
    for (name, role) in [
        ("consensus", KeyUse::Consensus),
        ("verdict", KeyUse::Verdict),
        ("network", KeyUse::Network),
        ("worker", KeyUse::Worker),
    ] {
        let proven = ProvenKey::prove(&key(3), role, CHAIN, &sender);
        let claim = proven.claim(role, CHAIN, &sender);
        assert_eq!(claim.verify(), Ok(()));
        let entry = Entry::new(format!("possession-{name}")).text("account", sender).text("key", proven.key);
        entries.push(entry.text("message", claim.message).text("proof", proven.proof));
    }
    let spend = TreasurySpend { to: sender, amount: Amount::ONE, sequence: 5, approvals: Bounded::default() };
    let entry = Entry::new("treasury-spend").text("to", spend.to).text("amount", spend.amount);
    entries.push(entry.text("sequence", spend.sequence).text("message", spend.message(CHAIN)));
    entries.push(
        Entry::new("empty")
            .text("list_root", merkle::root(&[]))
            .text("tx_root", tx_root(core::iter::empty()))
            .text("compute_root", ComputeRoots::of(&[], &[]).digest())
            .text("state_root", tree::root_of(&std::collections::BTreeMap::new())),
    );
    hold(
        "codec/samples.toml",
        "Values with their bytes, hashes and texts. Keys are named by the byte that fills their seed; chain 7.",
        &entries,
    );
}

// VEC-8, HASH-1: every tag, and a digest under it.
#[test]
fn every_domain_has_the_tag_it_always_had() {
    let entries: Vec<Entry> = Domain::ALL
        .iter()
        .map(|domain| {
            let tag = core::str::from_utf8(domain.tag()).expect("tags are ascii");
            Entry::new(format!("{domain:?}")).text("tag", tag).text("of_nothing", domain.hash_bytes(b""))
        })
        .collect();
    hold("codec/domains.toml", "The key of each domain's BLAKE3, and the digest of no bytes under it.", &entries);
}
