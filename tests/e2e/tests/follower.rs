//! A node without a seat: it knows a chain spec and one address, checks everything, and serves what the validators do.

use std::path::Path;
use std::time::{Duration, Instant};

use cpc_e2e::{Devnet, Validators, cpc, succeeds, until};
use serde_json::{Value, json};

/// Blocks of the long chain.
const BLOCKS: u64 = 10_000;
/// How long the making of them may take.
const MAKING: Duration = Duration::from_secs(300);
/// How long a late follower may take for them.
const SYNC_SECONDS: u64 = 60;

/// A block as a node tells it, without its certificate: a follower has one for the last of the blocks that came together.
fn block(node: &Devnet, height: u64) -> Value {
    let (status, mut block) = node.get(&format!("/api/v1/blocks/{height}"));
    assert_eq!(status, 200, "block {height}: {block}");
    block["certificate"].take();
    block
}

#[test]
fn a_late_follower_syncs_ten_thousand_blocks_within_a_minute() {
    let home = tempfile::tempdir().expect("a folder");
    // The follower writes to a real disk. Whoever makes the blocks waits for its disk four times a block, which is not
    // what is measured here.
    let memory = Path::new("/dev/shm");
    let maker = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let maker = maker.expect("a folder");
    let dir = maker.path().join("devnet");
    let begun = Instant::now();
    let fast = Devnet::start_with(&dir, &["--validators", "1", "--interval-ms", "0"]);
    fast.reach_within(BLOCKS, MAKING);
    println!("{} blocks made in {:.1} s", fast.tip(), begun.elapsed().as_secs_f64());
    fast.stop();
    // At its own pace it leaves the processor to the follower.
    let validator = Devnet::start(&dir);
    assert!(validator.height >= BLOCKS);

    let begun = Instant::now();
    let follower = Devnet::follow("devnet", &home.path().join("follower"), &validator.p2p[0]);
    assert!(follower.height < BLOCKS);
    follower.reach(validator.height);
    let took = begun.elapsed();
    println!(
        "{} blocks synced in {:.1} s: {:.0} a second",
        validator.height,
        took.as_secs_f64(),
        validator.height as f64 / took.as_secs_f64()
    );
    assert!(took.as_secs() < SYNC_SECONDS, "{took:?}");

    for height in [1, 239, 240, BLOCKS / 2, validator.height] {
        assert_eq!(block(&follower, height), block(&validator, height));
    }
    let proof = home.path().join("faucet.proof").display().to_string();
    succeeds(home.path(), &follower.url, &["query", "balance", &follower.faucet, "--proof", &proof]);
    assert!(succeeds(home.path(), "", &["verify", &proof, "--genesis", &validator.genesis]).contains("holds"));
    follower.stop();
    validator.stop();
}

#[test]
fn what_a_user_sends_to_a_follower_is_agreed_on_by_four_validators() {
    let home = tempfile::tempdir().expect("a folder");
    let validators = Validators::start(home.path(), 4, 100);
    validators.reach(1);
    let spec = home.path().join("genesis.toml").display().to_string();
    let (dir, boot) = (home.path().join("follower"), validators.node(3).p2p[0].clone());
    let follower = Devnet::follow(&spec, &dir, &boot);
    follower.reach(validators.tip());
    let ask = json!({ "address": follower.faucet, "amount": "1" }).to_string();
    let (status, gift) = follower.post("/api/v1/faucet", &ask);
    assert_eq!(status, 202, "{gift}");
    let hash = gift["hash"].as_str().expect("a hash");
    for node in [&follower, validators.node(0), validators.node(2)] {
        let (status, tx) = node.get(&format!("/api/v1/txs/{hash}?wait=30"));
        assert_eq!((status, tx["status"].as_str()), (200, Some("applied")), "{tx}");
    }
    // The validators have told it of each other: it is connected with more than the one that it was told of.
    let peers = follower.get("/api/v1/peers").1;
    assert!(peers["peers"].as_array().is_some_and(|peers| peers.iter().all(|peer| peer["plane"] == "network")));
    let planes = validators.node(0).get("/api/v1/peers").1;
    let of =
        |plane: &str| planes["peers"].as_array().map_or(0, |all| all.iter().filter(|p| p["plane"] == plane).count());
    assert_eq!(of("validators"), 3, "{planes}");
    assert!(of("network") >= 1, "{planes}");
    assert_eq!(follower.get("/readyz").0, 200);

    // It goes on from where it stopped.
    let before = follower.tip();
    follower.stop();
    validators.reach(before + 3);
    let follower = Devnet::follow(&spec, &dir, &boot);
    assert!(follower.height >= before);
    follower.reach(validators.tip());
    let tip = follower.tip();
    validators.reach(tip);
    assert_eq!(block(&follower, tip)["id"], block(validators.node(1), tip)["id"]);

    // Of another network it says so, and has no peers.
    let stranger = Devnet::follow("devnet", &home.path().join("stranger"), &boot);
    let dir = home.path().join("stranger").display().to_string();
    let output = until("the reason", || {
        let output = cpc(home.path(), "", &["node", "health", "--dir", &dir]);
        String::from_utf8_lossy(&output.stdout).contains("the last one was refused").then_some(output)
    });
    assert_eq!(output.status.code(), Some(10));
    assert!(String::from_utf8_lossy(&output.stdout).contains("belongs to the network"));
    stranger.stop();
    follower.stop();
    validators.stop();
}
