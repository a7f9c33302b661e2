//! Four validators in processes of their own: they agree, survive the death of any one, and stop where two are gone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use cpc_e2e::{Validators, fails, succeeds, until};
use cpc_genesis::known_key;
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

/// A file with a seed that only its owner can read.
fn seed(data: &Path, label: &str) -> String {
    let path = data.join(label.replace('/', "-"));
    let hex: String = known_key(label).seed().iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(&path, hex).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
    path.display().to_string()
}

// SAFE-6, KST-13: a validator moves to another machine with nothing but its keys.
#[test]
fn a_key_that_comes_from_elsewhere_waits_for_the_next_epoch_and_votes_in_one_place() {
    let home = tempfile::tempdir().expect("a folder");
    let data = home.path();
    let mut validators =
        Validators::start_with(data, 4, 50, |text| text.replace("epoch_blocks = 240", "epoch_blocks = 40"));
    validators.reach(3);
    let key = known_key("devnet/3/consensus").public().to_string();
    let consensus = seed(data, "devnet/3/consensus");
    succeeds(data, "", &["keys", "import", "validator", "--seed-file", &consensus, "--no-encryption"]);
    let (beacon, network) = (seed(data, "devnet/3/beacon-chain"), seed(data, "devnet/3/network"));
    let dir = data.join("moved").display().to_string();
    let boot = validators.node(0).p2p[0].clone();
    let options =
        ["--key", "validator", "--beacon-seed", &beacon, "--network-seed", &network, "--dir", &dir, "--boot", &boot];
    validators.kill(3);
    validators.revive_with_key(3, data, &options);
    let from: u64 = fs::read_to_string(data.join("moved").join(format!("signer-{key}")))
        .expect("what was found out is kept")
        .trim_end()
        .parse()
        .expect("an epoch");
    assert!(from >= 1);

    // Another process with the key, or with the folder, is refused by name.
    let spec = data.join("genesis.toml").display().to_string();
    let run = ["--network", &spec, "node", "run", "--listen", "127.0.0.1:0"];
    let elsewhere = data.join("elsewhere").display().to_string();
    let again = [&run[..], &options[..6], &["--dir", &elsewhere]].concat();
    fails(data, "", &again, 10, "another process votes with the key");
    fails(data, "", &[&run[..], &["--dir", &dir]].concat(), 10, "another process uses");
    fs::set_permissions(&beacon, fs::Permissions::from_mode(0o644)).expect("ours");
    succeeds(data, "", &["keys", "create", "stranger", "--no-encryption", "--no-mnemonic"]);
    let stranger = [&run[..], &["--key", "stranger", "--beacon-seed", &beacon, "--dir", &elsewhere]].concat();
    fails(data, "", &stranger, 4, "has the consensus key");

    // It proposes from the epoch on that it has found out, and not before.
    let mut height = validators.tip().saturating_sub(40).max(1);
    let first = until("a block of the key that has moved", || {
        let (status, block) = validators.node(0).get(&format!("/api/v1/blocks/{height}"));
        if status != 200 {
            return None;
        }
        height += 1;
        let own = block["proposer"] == key && block["epoch"].as_u64() >= Some(from);
        own.then(|| block["epoch"].as_u64())
    });
    assert_eq!(first, Some(from));

    // And it stops right after its turn.
    let stopped = succeeds(data, "", &["node", "stop", "--when-safe", "--dir", &dir]);
    assert!(stopped.contains("has stopped"), "{stopped}");
    validators.forget(3);
    validators.stop();
}
