//! Four validators in processes of their own: they agree, survive the death of any one, and stop where two are gone.

use std::time::Duration;

use cpc_e2e::{Validators, succeeds};
use serde_json::Value;

/// How often a validator is killed.
const KILLS: usize = 20;
/// Blocks that the others make without it.
const WITHOUT: u64 = 2;

/// The id and the state root of a final block, as a node tells them.
fn block(validators: &Validators, n: usize, height: u64) -> (Value, Value) {
    let (status, block) = validators.node(n).get(&format!("/api/v1/blocks/{height}"));
    assert_eq!(status, 200, "block {height} of validator {n}: {block}");
    (block["id"].clone(), block["state_root"].clone())
}

#[test]
fn a_killed_validator_comes_back_and_nothing_final_is_lost() {
    let home = tempfile::tempdir().expect("a folder");
    let mut validators = Validators::start(home.path(), 4, 100);
    validators.reach(2);
    succeeds(home.path(), "", &["keys", "create", "alice", "--no-encryption", "--no-mnemonic"]);
    for round in 0..KILLS {
        let victim = round * 7 % 4;
        let other = (victim + 1) % 4;
        // Money that was given before the kill is there after it.
        let url = validators.node(other).url.clone();
        succeeds(home.path(), &url, &["faucet", "request", "--to", "alice", "--amount", "1"]);
        let before = validators.tip();
        validators.kill(victim);
        validators.reach(before + WITHOUT);
        validators.revive(victim);
        let caught_up = validators.tip();
        validators.node(victim).reach(caught_up);
    }
    validators.reach(validators.tip());
    let balance = succeeds(home.path(), &validators.node(2).url, &["query", "balance", "alice"]);
    assert!(balance.starts_with(&KILLS.to_string()), "{balance}");
    let last = validators.tip();
    validators.reach(last);
    for height in 1..=last {
        let first = block(&validators, 0, height);
        for n in 1..4 {
            assert_eq!(block(&validators, n, height), first, "block {height} of validator {n}");
        }
    }
    validators.stop();
}

#[test]
fn nothing_is_final_where_two_of_four_are_gone() {
    let home = tempfile::tempdir().expect("a folder");
    let mut validators = Validators::start(home.path(), 4, 100);
    validators.reach(2);
    validators.kill(1);
    validators.kill(2);
    // What was on its way may still become final.
    validators.rise_in(Duration::from_secs(1));
    assert_eq!(validators.rise_in(Duration::from_secs(5)), 0, "two of four make blocks");
    let before = validators.tip();
    validators.revive(1);
    validators.revive(2);
    validators.reach(before + 2);
    validators.stop();
}
