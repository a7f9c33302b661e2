//! What waits for a block is not lost: out of order, behind a gap, and while somebody looks.

use cpc_e2e::{Devnet, succeeds};
use serde_json::Value;

#[test]
fn transactions_sent_in_the_wrong_order_are_all_applied_in_the_right_one() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = Devnet::start(&home.path().join("devnet"));
    let (data, url) = (home.path(), devnet.url.as_str());
    for name in ["alice", "bob"] {
        succeeds(data, url, &["keys", "create", name, "--no-encryption", "--no-mnemonic"]);
    }
    succeeds(data, url, &["faucet", "request", "--to", "alice"]);
    succeeds(data, url, &["faucet", "request", "--to", "bob", "--amount", "1"]);
    let send = |nonce: &str, wait: &[&str]| {
        let args = ["tx", "send", "--from", "alice", "--to", "bob", "--amount", "2", "--nonce", nonce];
        succeeds(data, url, &[&args, wait].concat())
    };
    let later = [send("2", &["--no-wait"]), send("1", &["--no-wait"])];
    // Two blocks pass over the gap, and nothing is forgotten.
    devnet.reach(devnet.tip() + 2);
    for hash in &later {
        assert_eq!(devnet.get(&format!("/api/v1/txs/{hash}")).1["status"], "pending");
    }
    send("0", &[]);
    devnet.reach(devnet.tip() + 1);
    for hash in &later {
        // Never missing: waiting or applied, whenever one looks.
        let (status, tx) = devnet.get(&format!("/api/v1/txs/{hash}"));
        assert_eq!((status, tx["status"].as_str()), (200, Some("applied")), "{tx}");
    }
    assert_eq!(succeeds(data, url, &["query", "balance", "bob"]), "7 CPC");
    devnet.stop();
}

#[test]
fn a_history_is_read_page_by_page_the_newest_first() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = Devnet::start(&home.path().join("devnet"));
    let (data, url) = (home.path(), devnet.url.as_str());
    succeeds(data, url, &["keys", "create", "alice", "--no-encryption", "--no-mnemonic"]);
    let mut sent: Vec<String> = (1..=5)
        .map(|n| succeeds(data, url, &["faucet", "request", "--to", "alice", "--amount", &n.to_string()]))
        .collect();
    sent.reverse();
    let address = succeeds(data, url, &["keys", "show", "alice", "--address"]);
    let (mut read, mut next) = (Vec::new(), String::new());
    loop {
        let (_, page) = devnet.get(&format!("/api/v1/accounts/{address}/txs?limit=2{next}"));
        let hash = |tx: &Value| tx["hash"].as_str().expect("a hash").to_owned();
        read.extend(page["txs"].as_array().expect("a list").iter().map(hash));
        match page["next"].as_str() {
            Some(place) => next = format!("&before={place}"),
            None => break,
        }
    }
    assert_eq!(read, sent);
    devnet.stop();
}
