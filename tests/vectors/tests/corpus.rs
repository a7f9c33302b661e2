//! The kept corpus of every fuzz target, replayed without the fuzzer: what was once hard stays solved.

use std::fs;

use cpc_vectors::golden::folder;
use cpc_vectors::properties;

// VEC-9: every property holds for every kept input, and for every seed.
#[test]
fn every_property_holds_for_the_kept_corpus() {
    for (target, property) in properties::ALL {
        let corpus = folder().join("../fuzz/corpus").join(target);
        let inputs = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
        let mut replayed = 0u32;
        for input in inputs {
            let input = input.expect("a readable folder").path();
            property(&fs::read(&input).expect("a readable input"));
            replayed += 1;
        }
        assert!(replayed > 10, "{target}: {replayed} inputs");
        for seed in properties::seeds(target) {
            property(&seed);
        }
    }
}

#[test]
fn every_folder_of_the_corpus_belongs_to_a_target() {
    for entry in fs::read_dir(folder().join("../fuzz/corpus")).expect("the corpus is there") {
        let name = entry.expect("a readable folder").file_name();
        let name = name.to_str().expect("a name in ascii");
        assert!(properties::ALL.iter().any(|(target, _)| *target == name), "{name} is no target");
    }
}

/// Seeds that are no values would let every property pass by never looking.
#[test]
fn seeds_are_values_of_their_targets() {
    use cpc_primitives::tx::SignedTx;
    use cpc_primitives::{Amount, Block};
    let all_good = |target: &str, good: fn(&[u8]) -> bool| {
        let seeds = properties::seeds(target);
        let count = seeds.iter().filter(|seed| good(seed)).count();
        assert!(count * 2 > seeds.len(), "{target}: {count} of {} seeds are values", seeds.len());
    };
    all_good("transaction", |bytes| SignedTx::decode(bytes).is_ok());
    all_good("block", |bytes| Block::decode(bytes).is_ok());
    all_good("amount", |bytes| core::str::from_utf8(bytes).is_ok_and(|text| text.parse::<Amount>().is_ok()));
    all_good("genesis", |bytes| {
        core::str::from_utf8(bytes).is_ok_and(|text| cpc_genesis::ChainSpec::parse(text).is_ok())
    });
    all_good("certificate", |bytes| bytes[0] != 0 || cpc_light::Finalization::decode(&bytes[1..]).is_ok());
    all_good("evidence", |bytes| cpc_light::ConflictingVotes::decode(bytes).is_ok());
    all_good("proof-file", |bytes| {
        let network = cpc_vectors::network::Network::new();
        cpc_light::ProofFile::verify(bytes, cpc_light::Trusted::Genesis(network.genesis_id())).is_ok()
    });
}
