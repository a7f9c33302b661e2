//! Roots, paths and proofs of small lists and small states, and the division of amounts.

use cpc_light::{ProofFile, StateProof, Trusted};
use cpc_primitives::codec::{decode, encode};
use cpc_primitives::hash::hex;
use cpc_primitives::limits::STATE_VALUE_BYTES_MAX;
use cpc_primitives::tree::{KeyHash, empty_roots, root_of};
use cpc_primitives::{Amount, Bps, Digest, Domain, merkle};
use cpc_vectors::golden::{Entry, hold};
use cpc_vectors::network::{Network, absent, prove, small_state};

// VEC-8, MRK-3, MRK-4: lists of up to seventeen leaves, with the path of the last.
#[test]
fn lists_have_the_roots_they_always_had() {
    let leaves: Vec<Digest> = (0u8..17).map(|n| Domain::TxLeaf.hash_bytes(&[n])).collect();
    let entries: Vec<Entry> = (0..=leaves.len())
        .map(|count| {
            let list = &leaves[..count];
            let entry = Entry::new(format!("leaves-{count}")).text("root", merkle::root(list));
            match merkle::path(list, count.wrapping_sub(1)) {
                None => entry,
                Some(path) => {
                    assert_eq!(path.verify(list[count - 1], merkle::root(list)), Ok(()));
                    entry.text("path_of_last", hex(&encode(&path)))
                }
            }
        })
        .collect();
    hold("tree/lists.toml", "Leaf n is H[cpc.tx-leaf.v1] of the one byte n.", &entries);
}

// VEC-8, TREE-3, TREE-5: what an empty tree of each height comes to.
#[test]
fn empty_trees_have_the_roots_they_always_had() {
    let entries: Vec<Entry> = empty_roots()
        .iter()
        .enumerate()
        .map(|(level, root)| Entry::new(format!("level-{level}")).text("root", root))
        .collect();
    hold("tree/empty.toml", "The roots over 2^level empty buckets.", &entries);
}

// VEC-8, TREE-1, TREE-2, TREE-4, PROOF-1: a state of seven entries, proofs of each and of absent ones.
#[test]
fn a_small_state_has_the_root_and_the_proofs_it_always_had() {
    let state = small_state();
    let root = root_of(&state);
    let absent = absent();
    let proofs = state.keys().chain(&absent).map(|key| {
        let proof = prove(&state, key);
        let verified = proof.verify(&root).expect("a true proof");
        assert_eq!(verified.value(), state.get(key).map(Vec::as_slice));
        let bytes = encode(&proof);
        assert_eq!(decode::<StateProof>(&bytes, 2 * STATE_VALUE_BYTES_MAX).as_ref(), Ok(&proof));
        assert!(proof.verify(&Digest::ZERO).is_err());
        let value = state.get(key).map_or_else(String::new, |value| hex(value));
        let (hash, bucket) = (KeyHash::of(key), KeyHash::of(key).bucket());
        format!(
            "{{ key = \"{}\", value = \"{value}\", key_hash = \"{}\", bucket = {bucket}, proof = \"{}\" }}",
            hex(&encode(key)),
            hash.0,
            hex(&bytes)
        )
    });
    let entry = Entry::new("small-state").text("root", root).list("entries", proofs);
    hold(
        "tree/state.toml",
        "Five accounts, two records in the bucket of the first, and keys that are absent: their value is empty.",
        &[entry],
    );
}

// VEC-8, PROOF-10: a proof file of each kind, checked down to the genesis hash or to an anchor.
#[test]
fn proof_files_have_the_bytes_they_always_had() {
    let network = Network::new();
    let mut entries: Vec<Entry> = network
        .proof_files()
        .iter()
        .map(|(name, file)| {
            let bytes = file.encode();
            let trusted = Trusted::Genesis(network.genesis_id());
            let verified = ProofFile::verify(&bytes, trusted).expect("a true proof");
            assert_eq!(verified.header().id(), network.proposal().payload);
            assert_eq!(*verified.anchor(), network.anchor());
            let entry = Entry::new(*name).text("genesis", network.genesis_id());
            entry.text("block", verified.header().id()).text("file", hex(&bytes))
        })
        .collect();
    // PROOF-11: the same network from the anchor that the others lead to.
    let (trusted, file) = network.anchored_file();
    let bytes = file.encode();
    let verified = ProofFile::verify(&bytes, trusted).expect("a true proof");
    assert_eq!(*verified.anchor(), network.anchor());
    let entry = Entry::new("anchored").text("anchor", network.anchor().digest());
    entries.push(entry.text("block", verified.header().id()).text("file", hex(&bytes)));
    hold(
        "tree/proof-files.toml",
        "What a customer checks with nothing but the genesis hash, and one file with nothing but an anchor.",
        &entries,
    );
}

// VEC-8, AMT-3, AMT-4: shares are rounded down.
#[test]
fn amounts_are_divided_as_they_always_were() {
    let amounts = [0, 1, 2, 3, 99, 9_999, 10_000, 10_001, Amount::ONE.units(), Amount::MAX.units()];
    let entries: Vec<Entry> = amounts
        .iter()
        .map(|units| {
            let amount = Amount::new(*units);
            let shares = [1, 500, 1_000, 2_500, 3_333, 7_000, 9_000, 9_999, 10_000].map(|points| {
                let part = amount.bps_floor(Bps::new(points).expect("at most one whole"));
                assert!(part <= amount);
                format!("{{ bps = {points}, share = \"{}\" }}", part.units())
            });
            Entry::new(format!("units-{units}")).text("amount", amount).list("shares", shares)
        })
        .collect();
    hold("tree/shares.toml", "Shares in base units, rounded down.", &entries);
}
