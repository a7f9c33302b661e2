//! This crate beside the golden files that the BFT library made: the same bytes and verdicts, without the library.

use std::collections::BTreeMap;

use cpc_light::{ConflictingVotes, Finalization, Notarization, Nullification, SignedVote, ValidatorSet};
use cpc_primitives::PublicKey;
use cpc_primitives::hash::hex;

const FILES: [(usize, &str); 4] = [
    (1, include_str!("../../../tests/vectors/votes/set-01.toml")),
    (4, include_str!("../../../tests/vectors/votes/set-04.toml")),
    (7, include_str!("../../../tests/vectors/votes/set-07.toml")),
    (16, include_str!("../../../tests/vectors/votes/set-16.toml")),
];

/// A golden file: its set, and its other tables by name.
struct Golden {
    set: ValidatorSet,
    namespace: Vec<u8>,
    tables: Vec<(String, BTreeMap<String, String>)>,
}

/// Reads the one form in which golden files are written.
fn read((size, text): (usize, &str)) -> Golden {
    let mut tables: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut keys: Vec<PublicKey> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            tables.push((name.to_owned(), BTreeMap::new()));
        } else if let Some((key, value)) = line.split_once(" = ") {
            let (_, table) = tables.last_mut().expect("a table comes before its keys");
            table.insert(key.to_owned(), value.trim_matches('"').to_owned());
        } else if let Some(key) = line.strip_prefix("  \"").and_then(|line| line.strip_suffix("\",")) {
            keys.push(key.parse().expect("a key"));
        }
    }
    assert_eq!(keys.len(), size);
    let set = ValidatorSet::ordered(keys).expect("the library orders keys as we do");
    let (name, table) = tables.remove(0);
    assert_eq!((name.as_str(), table["hash"].as_str()), ("set", set.hash().to_string().as_str()));
    assert_eq!(table["quorum"], set.quorum().to_string());
    Golden { set, namespace: unhex(&table["namespace"]), tables }
}

fn unhex(text: &str) -> Vec<u8> {
    let mut bytes = vec![0; text.len() / 2];
    cpc_primitives::hash::unhex(text, &mut bytes).expect("hex");
    bytes
}

/// The tables whose names begin like this.
fn tables<'a>(golden: &'a Golden, kind: &str) -> impl Iterator<Item = (&'a str, &'a BTreeMap<String, String>)> {
    let chosen = golden.tables.iter().filter(move |(name, _)| name.starts_with(kind));
    chosen.map(|(name, table)| (name.as_str(), table)).collect::<Vec<_>>().into_iter()
}

#[test]
fn votes_are_read_written_and_judged() {
    let mut votes = 0;
    for golden in FILES.map(read) {
        for (name, table) in tables(&golden, "vote-") {
            let bytes = unhex(&table["bytes"]);
            let read = SignedVote::decode(&bytes).expect(name);
            assert_eq!(read.encode(), bytes, "{name}");
            assert_eq!(hex(&read.vote.message(&golden.namespace)), table["message"], "{name}");
            let key = golden.set.key(read.seat).expect(name);
            assert_eq!(read.vote.verify(&golden.namespace, key, &read.signature), Ok(()), "{name}");
            votes += 1;
        }
    }
    assert_eq!(votes, 4 * 6 * 3);
}

#[test]
fn certificates_are_read_written_and_judged() {
    let (mut accepted, mut refused) = (0, 0);
    for golden in FILES.map(read) {
        let (set, namespace) = (&golden.set, golden.namespace.as_slice());
        for (name, table) in tables(&golden, "certificate-") {
            let bytes = unhex(&table["bytes"]);
            let verdict = if name.contains("-notarize-") {
                Notarization::decode(&bytes).and_then(|read| {
                    assert_eq!(read.encode(), bytes, "{name}");
                    read.verify(set, namespace)
                })
            } else if name.contains("-nullify-") {
                Nullification::decode(&bytes).and_then(|read| {
                    assert_eq!(read.encode(), bytes, "{name}");
                    read.verify(set, namespace)
                })
            } else {
                Finalization::decode(&bytes).and_then(|read| {
                    assert_eq!(read.encode(), bytes, "{name}");
                    read.verify(set, namespace)
                })
            };
            assert_eq!(verdict.is_ok().to_string(), table["accepted"], "{name}: {verdict:?}");
            if verdict.is_ok() { accepted += 1 } else { refused += 1 }
        }
    }
    assert!(accepted >= 4 * 3 * 3 && refused > 100, "{accepted} accepted, {refused} refused");
}

#[test]
fn a_finalization_of_four_seats_has_237_bytes() {
    let golden = read(FILES[1]);
    let (name, table) = tables(&golden, "certificate-finalize-0-0").next().expect("the first one");
    assert_eq!(unhex(&table["bytes"]).len(), 237, "{name}");
}

#[test]
fn evidence_is_read_written_and_judged() {
    let (mut accepted, mut refused) = (0, 0);
    for golden in FILES.map(read) {
        for (name, table) in tables(&golden, "evidence-") {
            let bytes = unhex(&table["bytes"]);
            let verdict = ConflictingVotes::decode(&bytes).and_then(|read| {
                assert_eq!(read.encode(), bytes, "{name}");
                read.verify(&golden.set, &golden.namespace)
            });
            assert_eq!(verdict.is_ok().to_string(), table["accepted"], "{name}: {verdict:?}");
            if verdict.is_ok() { accepted += 1 } else { refused += 1 }
        }
    }
    assert!(accepted > 12 && refused > 200, "{accepted} accepted, {refused} refused");
}
