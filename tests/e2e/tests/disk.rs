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
    let made = succeeds(data, "", &["snapshot", "create", "--dir", &dir, "-o", &output]);
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
    let made = succeeds(data, "", &["snapshot", "create", "--dir", &dir, "-o", &output]);
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
        succeeds(data, &devnet.url, &["query", "balance", &devnet.faucet, "--proof", &proof, "--yes"]);
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
    let made = succeeds(data, "", &["snapshot", "create", "--dir", &first, "-o", &output, "--network", &network]);
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
