//! Snapshots and the checks of the disk, as an operator uses them: with the node stopped, on real folders.

use std::fs;
use std::path::{Path, PathBuf};

use cpc_e2e::{Devnet, fails, succeeds};

/// A chain of some blocks in which alice has 7 CPC, stopped.
fn chain(home: &Path) -> (String, u64) {
    let dir = home.join("devnet");
    let devnet = Devnet::start(&dir);
    succeeds(home, &devnet.url, &["keys", "create", "alice", "--no-encryption", "--no-mnemonic"]);
    succeeds(home, &devnet.url, &["faucet", "request", "--to", "alice", "--amount", "7"]);
    let height = devnet.tip();
    devnet.stop();
    (dir.display().to_string(), height)
}

/// A snapshot of a stopped chain. Where its last block became final with a later one, which is not here, there is no
/// certificate of it: the node goes on a little.
fn snapshot_of(data: &Path, dir: &str, network: &str, output: &str) -> String {
    let mut create = vec!["snapshot", "create", "--dir", dir, "-o", output];
    if network != "devnet" {
        create.extend(["--network", network]);
    }
    for _ in 0..20 {
        let made = cpc_e2e::cpc(data, "", &create);
        if made.status.success() {
            return String::from_utf8(made.stdout).expect("text").trim_end().to_owned();
        }
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(said.contains("became final with a later one"), "{said}");
        let devnet = Devnet::start_network(network, Path::new(dir));
        devnet.reach(devnet.height + 1);
        devnet.stop();
    }
    panic!("none of twenty last blocks has a certificate of its own");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|row| row.expect("a row").path()).collect();
    files.sort();
    files
}

#[test]
fn a_snapshot_begins_a_node_that_goes_on() {
    let home = tempfile::tempdir().expect("a folder");
    let (dir, height) = chain(home.path());
    let (data, output) = (home.path(), home.path().join("snapshots").display().to_string());
    let made = snapshot_of(data, &dir, "devnet", &output);
    assert_eq!(succeeds(data, "", &["snapshot", "verify", &made]), made);
    let listed = succeeds(data, "", &["snapshot", "list", &output]);
    assert!(listed.starts_with(&made) && listed.contains("height"), "{listed}");

    let new = home.path().join("new");
    let new_dir = new.display().to_string();
    succeeds(data, "", &["snapshot", "restore", &made, "--dir", &new_dir]);
    fails(data, "", &["snapshot", "restore", &made, "--dir", &new_dir], 4, "restored into an empty one");
    let devnet = Devnet::start(&new);
    assert!(devnet.height >= height);
    assert_eq!(succeeds(data, &devnet.url, &["query", "balance", "alice"]), "7 CPC");
    succeeds(data, &devnet.url, &["faucet", "request", "--to", "alice", "--amount", "7"]);
    assert_eq!(succeeds(data, &devnet.url, &["query", "balance", "alice"]), "14 CPC");
    let proof = home.path().join("alice.proof").display().to_string();
    succeeds(data, &devnet.url, &["query", "balance", "alice", "--proof", &proof]);
    assert!(succeeds(data, "", &["verify", &proof]).contains("holds 14 CPC"));
    devnet.stop();
    assert!(succeeds(data, "", &["db", "check", "--dir", &new_dir]).contains("counted and recorded alike"));
}

#[test]
fn a_bent_or_foreign_snapshot_is_refused_and_leaves_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let (dir, _) = chain(home.path());
    let (data, output) = (home.path(), home.path().join("snapshots").display().to_string());
    let made = snapshot_of(data, &dir, "devnet", &output);
    let zeros = "00".repeat(32);
    fails(data, "", &["snapshot", "verify", &made, "--genesis", &zeros], 8, "of another network");
    fails(data, "", &["snapshot", "verify", &made, "--network", "testnet"], 8, "of another network");
    fails(data, "", &["snapshot", "verify", &dir], 1, "");

    let all = files(Path::new(&made));
    let used: Vec<&PathBuf> = all.iter().filter(|path| fs::metadata(path).expect("a file").len() > 0).collect();
    assert!(used.len() >= 3, "manifest, proof and at least one chunk: {all:?}");
    for path in used {
        let good = fs::read(path).expect("a file");
        let mut bent = good.clone();
        let middle = bent.len() / 2;
        bent[middle] ^= 1;
        fs::write(path, &bent).expect("written");
        let target = home.path().join("target");
        for args in [
            vec!["snapshot", "verify", &made],
            vec!["snapshot", "restore", &made, "--dir", target.to_str().expect("text")],
        ] {
            let output = cpc_e2e::cpc(data, "", &args);
            assert_eq!(
                output.status.code(),
                Some(8),
                "{}: {}",
                path.display(),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        fs::write(path, &good).expect("written");
    }
    // What was refused left nothing: the same folder still takes the good one.
    let target = home.path().join("target").display().to_string();
    succeeds(data, "", &["snapshot", "restore", &made, "--dir", &target]);
}

#[test]
fn the_disk_is_checked_only_while_nobody_uses_it() {
    let home = tempfile::tempdir().expect("a folder");
    let (dir, height) = chain(home.path());
    let data = home.path();
    let said = succeeds(data, "", &["db", "check", "--dir", &dir, "--json"]);
    assert!(said.contains("\"sound\":true") && said.contains("\"differing\":0"), "{said}");
    assert!(succeeds(data, "", &["db", "stats", "--dir", &dir]).contains(&format!("blocks      0 to {height}")));
    let nowhere = home.path().join("nowhere").display().to_string();
    fails(data, "", &["db", "check", "--dir", &nowhere], 3, "there is no chain in");
    assert!(!Path::new(&nowhere).exists(), "a question makes no folder");
    let devnet = Devnet::start(Path::new(&dir));
    fails(data, "", &["db", "check", "--dir", &dir], 10, "another process uses");
    fails(data, "", &["snapshot", "create", "--dir", &dir], 10, "another process uses");
    devnet.stop();
}

/// Writes the devnet's chain spec with short epochs of fast blocks, and gives its path.
fn fast_network(home: &Path) -> String {
    let text = succeeds(home, "", &["genesis", "show"]);
    let fast = text.replace("interval_ms = 500", "interval_ms = 2").replace("epoch_blocks = 240", "epoch_blocks = 10");
    assert_ne!(fast, text);
    let path = home.join("fast.toml");
    fs::write(&path, fast).expect("written");
    path.display().to_string()
}

#[test]
fn a_proof_leads_across_epochs_also_on_a_node_that_began_from_a_snapshot() {
    let home = tempfile::tempdir().expect("a folder");
    let (data, dir) = (home.path(), home.path().join("first"));
    let network = fast_network(data);
    let proof = home.path().join("proof").display().to_string();
    let prove = |devnet: &Devnet| {
        succeeds(
            data,
            &devnet.url,
            &["query", "balance", &devnet.faucet, "--proof", &proof, "--yes", "--network", &network],
        );
        let said = succeeds(data, "", &["verify", &proof, "--network", &network]);
        assert!(said.contains("holds 100000000 CPC"), "{said}");
        fails(data, "", &["verify", &proof], 8, "of another network");
    };

    let devnet = Devnet::start_network(&network, &dir);
    devnet.reach(45);
    prove(&devnet);
    let genesis = devnet.genesis.clone();
    devnet.stop();

    let output = home.path().join("snapshots").display().to_string();
    let first = dir.display().to_string();
    let made = snapshot_of(data, &first, &network, &output);
    let second = home.path().join("second");
    let target = second.display().to_string();
    succeeds(data, "", &["snapshot", "restore", &made, "--dir", &target, "--genesis", &genesis]);
    let devnet = Devnet::start_network(&network, &second);
    let height = devnet.height;
    devnet.reach(height + 35);
    prove(&devnet);
    devnet.stop();
    assert!(succeeds(data, "", &["db", "check", "--dir", &target]).contains("counted and recorded alike"));

    // A folder of one network is not another's.
    fails(data, "", &["devnet", "--dir", &target, "--listen", "127.0.0.1:0"], 4, "belongs to another network");
    fails(
        data,
        "",
        &["devnet", "--dir", &output, "--listen", "127.0.0.1:0", "--network", "mainnet"],
        1,
        "cannot make blocks alone",
    );
}

#[test]
fn a_proof_begins_at_the_anchor_to_which_an_earlier_one_led() {
    let home = tempfile::tempdir().expect("a folder");
    let (data, dir) = (home.path(), home.path().join("first"));
    let network = fast_network(data);
    let (first, later) = (data.join("first.proof").display().to_string(), data.join("later.proof"));
    let later = later.display().to_string();
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("one object");

    let devnet = Devnet::start_network(&network, &dir);
    devnet.reach(25);
    let query = ["query", "balance", &devnet.faucet, "--proof", &first, "--network", &network];
    succeeds(data, &devnet.url, &query);
    let told = json(&succeeds(data, "", &["verify", &first, "--network", &network, "--json"]));
    let anchor = told["anchor"]["hash"].as_str().expect("a hash").to_owned();
    let epoch = told["anchor"]["epoch"].as_u64().expect("a number");
    assert!(epoch >= 1 && told["anchor"]["time_ms"].as_u64() < told["proof"]["time_ms"].as_u64(), "{told}");
    assert_eq!(told["genesis"].as_str(), Some(devnet.genesis.as_str()));

    let from = epoch.to_string();
    devnet.reach(75);
    let ask = |devnet: &Devnet| {
        let query = ["query", "balance", &devnet.faucet, "--proof", &later, "--from-epoch", &from, "--yes"];
        succeeds(data, &devnet.url, &[&query[..], &["--anchor", &anchor]].concat());
        // No node and no network is named: the anchor says it all.
        let said = json(&succeeds(data, "", &["verify", &later, "--anchor", &anchor, "--json"]));
        assert_eq!((&said["genesis"], &said["trust"]["since_ms"]), (&told["genesis"], &told["anchor"]["time_ms"]));
        assert!(said["anchor"]["epoch"].as_u64() > Some(epoch + 2), "{said}");
        said["anchor"]["hash"].as_str().expect("a hash").to_owned()
    };
    let newer = ask(&devnet);
    assert_ne!(newer, anchor);
    let output = cpc_e2e::cpc(data, "", &["verify", &later, "--anchor", &anchor]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains(&format!("Verified against anchor {anchor}.")), "{words}");
    assert!(words.contains(&format!("begin at anchor {newer}")), "{words}");

    fails(data, "", &["verify", &later, "--anchor", &newer], 8, "begins elsewhere than where the trust does");
    fails(data, "", &["verify", &first, "--anchor", &anchor], 8, "begins at a genesis, where an anchor is trusted");
    let genesis = devnet.genesis.clone();
    fails(data, "", &["verify", &later, "--genesis", &genesis], 8, "begins at an anchor of epoch");
    fails(data, "", &["verify", &later, "--genesis", &genesis, "--anchor", &anchor], 2, "cannot be used with");
    fails(data, "", &["verify", &later, "--anchor", "0xabc"], 2, "is not an anchor");

    let refused = |query: &str| {
        let (status, problem) = devnet.get(&format!("/api/v1/accounts/{}/proof?{query}", devnet.faucet));
        (status, problem["code"].as_str().expect("a code").to_owned())
    };
    assert_eq!(refused("from_epoch=1000000"), (404, "epoch_ahead".to_owned()));
    assert_eq!(refused(&format!("from_epoch={}", u64::MAX)), (404, "epoch_ahead".to_owned()));
    assert_eq!(refused("from_epoch=first"), (400, "invalid_query".to_owned()));
    assert_eq!(refused("from=1"), (400, "invalid_query".to_owned()));
    devnet.stop();

    // A node that began from a snapshot knows the ends of the epochs before it.
    let output = data.join("snapshots").display().to_string();
    let dir = dir.display().to_string();
    let made = snapshot_of(data, &dir, &network, &output);
    let second = data.join("second");
    let target = second.display().to_string();
    succeeds(data, "", &["snapshot", "restore", &made, "--dir", &target, "--genesis", &genesis]);
    let devnet = Devnet::start_network(&network, &second);
    devnet.reach(devnet.height + 15);
    ask(&devnet);
    devnet.stop();
}

#[test]
fn trust_that_is_older_than_seats_are_bound_is_warned_of() {
    let home = tempfile::tempdir().expect("a folder");
    let data = home.path();
    let network = fast_network(data);
    let proof = data.join("proof").display().to_string();
    let devnet = Devnet::start_network(&network, &data.join("chain"));
    devnet.reach(2);
    let query = ["query", "balance", &devnet.faucet, "--proof", &proof, "--network", &network];
    succeeds(data, &devnet.url, &query);
    let genesis = devnet.genesis.clone();
    devnet.stop();
    // Seats of this network are bound for 140 ms, and its genesis is from the day its spec was written.
    let words = |args: &[&str]| {
        let output = cpc_e2e::cpc(data, "", &[&["verify", &proof], args].concat());
        assert!(output.status.success());
        String::from_utf8(output.stderr).expect("text")
    };
    let known = words(&["--network", &network]);
    assert!(known.contains("the trust is") && known.contains("warning: the trust is"), "{known}");
    // Of a network whose spec is not at hand nobody knows how long its seats are bound.
    let unknown = words(&["--genesis", &genesis, "--network", "mainnet"]);
    assert!(unknown.contains("the trust is") && !unknown.contains("warning"), "{unknown}");
}

#[test]
fn a_restore_that_is_refused_leaves_nothing_and_one_that_died_is_made_again() {
    let home = tempfile::tempdir().expect("a folder");
    let (dir, _) = chain(home.path());
    let (data, output) = (home.path(), home.path().join("snapshots").display().to_string());
    let made = snapshot_of(data, &dir, "devnet", &output);
    let folder = |name: &str| (data.join(name), data.join(name).display().to_string());

    let chunk = files(Path::new(&made)).into_iter().find(|path| path.display().to_string().contains("/chunk-"));
    let chunk = chunk.expect("there are entries");
    let good = fs::read(&chunk).expect("a file");
    fs::write(&chunk, &good[..good.len() - 1]).expect("written");
    let (refused, refused_dir) = folder("refused");
    fails(data, "", &["snapshot", "restore", &made, "--dir", &refused_dir], 8, "bytes of its file");
    assert!(!refused.exists(), "what is refused makes no folder");
    let devnet = Devnet::start(&refused);
    devnet.reach(1);
    devnet.stop();
    fs::write(&chunk, &good).expect("written");

    // What a restore leaves that dies after it has kept the proof: no chain begins over it at block 0.
    let (died, died_dir) = folder("died");
    fs::create_dir(&died).expect("made");
    fs::copy(Path::new(&made).join("finality.proof"), died.join("trust.proof")).expect("copied");
    let begin = ["devnet", "--listen", "127.0.0.1:0", "--dir", &died_dir];
    fails(data, "", &begin, 4, "restore the snapshot again, or begin anew with --fresh");
    succeeds(data, "", &["snapshot", "restore", &made, "--dir", &died_dir]);
    let names = files(&died);
    assert!(names.iter().all(|path| path.extension().is_none_or(|end| end != "part")), "{names:?}");
    Devnet::start(&died).stop();
}

#[test]
fn a_chain_whose_log_was_lost_is_damage_and_is_not_begun_again() {
    let home = tempfile::tempdir().expect("a folder");
    let (data, dir) = (home.path(), home.path().join("devnet"));
    let devnet = Devnet::start(&dir);
    devnet.reach(3);
    devnet.kill();
    let logs: Vec<PathBuf> =
        files(&dir.join("chain")).into_iter().filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
    assert!(!logs.is_empty());
    for log in logs {
        fs::remove_file(log).expect("removed");
    }
    let text = dir.display().to_string();
    for _ in 0..2 {
        fails(data, "", &["devnet", "--listen", "127.0.0.1:0", "--dir", &text], 9, "was final on this disk");
        fails(data, "", &["db", "check", "--dir", &text], 9, "--fresh");
    }
}
