//! The newcomer's path of the README, run from its own text; then what a newcomer does wrong.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use cpc_e2e::{Devnet, FakeNode, binary, cpc, fails, succeeds};
use cpc_primitives::tx::SignedTx;
use cpc_primitives::{Amount, Gas};
use serde_json::{Value, json};

/// The shell of every block that the README marks as part of the path.
fn path_of_the_readme() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = fs::read_to_string(readme).expect("the README");
    let blocks = text.split("<!-- newcomer -->\n```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("a block ends")).collect()
}

#[test]
fn the_path_of_the_readme_works_as_it_is_written() {
    let home = tempfile::tempdir().expect("a folder");
    let begun = Instant::now();
    let devnet = Devnet::four(home.path());
    let listening = begun.elapsed();
    devnet.reach(1);
    println!("four validators listen after {listening:.1?}, block 1 is final after {:.1?}", begun.elapsed());
    let script = path_of_the_readme();
    for step in ["keys create", "faucet request", "tx send", "query balance", "--proof", "genesis hash", "cpc verify"] {
        assert!(script.contains(step), "the path of the README has no {step:?}:\n{script}");
    }

    let folder = binary().parent().expect("a folder").display().to_string();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(home.path())
        .env("PATH", format!("{folder}:{}", std::env::var("PATH").expect("a path")))
        .env("CPC_DATA_DIR", home.path())
        .env("CPC_NODE", &devnet.url)
        .output()
        .expect("bash");
    let (said, words) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{words}");

    let url = devnet.url.clone();
    assert_eq!(succeeds(home.path(), &url, &["query", "balance", "bob"]), "10 CPC");
    // Bob's account was new: 46,000 gas at a billionth of a CPC.
    assert_eq!(succeeds(home.path(), &url, &["query", "balance", "alice"]), "89.999954 CPC");
    assert!(said.contains("holds 89.999954 CPC after block"), "{said}");
    assert!(words.contains(&format!("Verified against genesis {}", devnet.genesis)), "{words}");

    // The folder is the network's: it goes on from there, and another number of validators is another network.
    let height = devnet.tip();
    devnet.stop();
    let dir = home.path().join("devnet").display().to_string();
    let one = ["devnet", "--listen", "127.0.0.1:0", "--validators", "1"];
    fails(home.path(), "", &one, 4, "holds a devnet of 4 validators, not of 1");
    let again = Devnet::four(home.path());
    assert!(again.height >= height, "block {height} was final and is gone: {}", again.height);
    again.reach(again.height + 1);
    assert_eq!(succeeds(home.path(), &again.url, &["query", "balance", "bob"]), "10 CPC");
    fails(home.path(), "", &["devnet", "--listen", "127.0.0.1:0", "--dir", &dir], 10, "another process uses");
    again.kill_and_wait_for_its_children();
}

#[test]
fn a_bent_proof_proves_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = Devnet::start(&home.path().join("devnet"));
    let (data, url) = (home.path(), devnet.url.as_str());
    devnet.reach(1);
    let file = data.join("faucet.proof").display().to_string();
    succeeds(data, url, &["query", "balance", &devnet.faucet, "--proof", &file]);
    let verify = ["verify", file.as_str(), "--genesis", devnet.genesis.as_str()];
    assert!(succeeds(data, "http://127.0.0.1:9", &verify).contains("holds"), "no node is asked");

    let good = fs::read(&file).expect("the file");
    // One bit in every fifth byte: magic, headers, certificate, keys, siblings and the record itself.
    for place in (0..good.len()).step_by(5) {
        let mut bent = good.clone();
        bent[place] ^= 1 << (place % 8);
        fs::write(&file, &bent).expect("written");
        let output = cpc(data, url, &verify);
        assert_eq!(output.status.code(), Some(8), "byte {place} of {}", good.len());
        assert!(output.stdout.is_empty());
    }
    for length in [0, 7, 8, good.len() / 2, good.len() - 1] {
        fs::write(&file, &good[..length]).expect("written");
        fails(data, url, &verify, 8, "proves nothing");
    }
    fs::write(&file, &good).expect("written");
    let other = "00".repeat(32);
    fails(data, url, &["verify", &file, "--genesis", &other], 8, "of another network");
    fails(data, url, &["verify", &file, "--genesis", "0xabc"], 2, "is not a genesis hash");
    fails(data, url, &["verify", "nowhere.proof"], 3, "cannot be read");
    fails(data, url, &["query", "balance", &devnet.faucet, "--proof", &file], 4, "exists already");
}

#[test]
fn an_address_without_an_account_is_proven_to_have_none() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = Devnet::start(&home.path().join("devnet"));
    let (data, url) = (home.path(), devnet.url.as_str());
    devnet.reach(1);
    succeeds(data, url, &["keys", "create", "nobody", "--no-encryption", "--no-mnemonic"]);
    let file = data.join("nobody.proof").display().to_string();
    let said = succeeds(data, url, &["query", "balance", "nobody", "--proof", &file]);
    assert!(said.contains("has no account after block"), "{said}");
    assert!(succeeds(data, url, &["verify", &file]).contains("has no account after block"));
}

#[test]
fn money_survives_a_crash_and_a_stop() {
    let home = tempfile::tempdir().expect("a folder");
    let (data, dir) = (home.path(), home.path().join("devnet"));
    succeeds(data, "", &["keys", "create", "alice", "--no-encryption", "--no-mnemonic"]);
    let (mut expected, mut height) = (0, 0);
    for round in 0..6 {
        let devnet = Devnet::start(&dir);
        assert!(devnet.height >= height, "block {height} was final and is gone: {}", devnet.height);
        let balance = |expected: u64| {
            let said = succeeds(data, &devnet.url, &["query", "balance", "alice"]);
            assert_eq!(said, format!("{expected} CPC"), "round {round}");
        };
        balance(expected);
        succeeds(data, &devnet.url, &["faucet", "request", "--to", "alice", "--amount", "7"]);
        expected += 7;
        balance(expected);
        height = devnet.tip();
        if round % 2 == 0 { devnet.kill() } else { devnet.stop() }
    }
}

#[test]
fn a_fresh_devnet_begins_again_where_there_were_blocks() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("devnet");
    let devnet = Devnet::start(&dir);
    devnet.reach(3);
    devnet.stop();
    let fresh = Devnet::start_fresh(&dir);
    assert_eq!(fresh.height, 0, "the old chain is gone");
    fresh.reach(3);
    fresh.stop();
}

#[test]
fn a_folder_belongs_to_one_process() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("devnet");
    let devnet = Devnet::start(&dir);
    let dir = dir.display().to_string();
    let again = ["devnet", "--dir", &dir, "--listen", "127.0.0.1:0"];
    fails(home.path(), "", &again, 10, "another process uses");
    let port = devnet.url.trim_start_matches("http://").to_owned();
    let other = home.path().join("other").display().to_string();
    fails(home.path(), "", &["devnet", "--dir", &other, "--listen", &port], 1, "cannot listen on");
    devnet.stop();
}

#[test]
fn what_cannot_be_done_is_said_with_its_reason() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = Devnet::start(&home.path().join("devnet"));
    let (data, url) = (home.path(), devnet.url.as_str());
    for name in ["rich", "poor"] {
        succeeds(data, url, &["keys", "create", name, "--no-encryption", "--no-mnemonic"]);
    }
    succeeds(data, url, &["faucet", "request", "--to", "rich", "--amount", "5"]);
    let poor = succeeds(data, url, &["keys", "show", "poor", "--address"]);
    let (start, last) = poor.split_at(poor.len() - 1);
    let mistyped = format!("{start}{}", if last == "q" { "p" } else { "q" });
    let long = "9".repeat(60);
    let cases: &[(&[&str], i32, &str)] = &[
        (&["query", "balance", "stranger"], 3, "stranger"),
        (&["query", "balance", "cpc1qqqq"], 2, "is not an address"),
        (&["query", "balance", &mistyped], 2, "is not an address"),
        (&["query", "block", "1000000"], 3, "there is no block 1000000"),
        (&["query", "block", "0x12"], 2, "neither a height"),
        (&["query", "tx", &"ab".repeat(32)], 3, "is known here"),
        (&["query", "tx", "abcd"], 2, "expected 64 hex digits"),
        (&["tx", "send", "--from", &poor, "--to", "rich", "--amount", "1"], 2, "--from is the name of a key"),
        (&["tx", "send", "--from", "rich", "--to", "poor", "--amount", "-1"], 2, "amount"),
        (&["tx", "send", "--from", "rich", "--to", "poor", "--amount", "1e9"], 2, "'e' is not a digit"),
        (&["tx", "send", "--from", "rich", "--to", "poor", "--amount", &long], 2, "more than can ever exist"),
        (&["tx", "send", "--from", "rich", "--to", "poor", "--amount", "5"], 7, "has 5 CPC, this transfer needs"),
        (&["tx", "send", "--from", "poor", "--to", "rich", "--amount", "1"], 7, "has 0 CPC"),
        (&["tx", "send", "--from", "nobody", "--to", "poor", "--amount", "1"], 3, "nobody"),
        (&["tx", "send", "--from", "rich", "--to", "poor", "--amount", "0.0001"], 4, "starts with at least 0.001 CPC"),
        (
            &["tx", "send", "--from", "rich", "--to", "poor", "--amount", "1", "--gas-limit", "20999"],
            4,
            "needs at least 21000",
        ),
        (
            &["tx", "send", "--from", "rich", "--to", "poor", "--amount", "1", "--gas-limit", "21000"],
            4,
            "needs 46000 gas",
        ),
        (
            &["tx", "send", "--from", "rich", "--to", "poor", "--amount", "1", "--gas-price", "0"],
            4,
            "the network's minimum is",
        ),
        (
            &["tx", "send", "--from", "rich", "--to", "poor", "--amount", "1", "--nonce", "9999"],
            4,
            "beyond the account's next one",
        ),
        (
            &["tx", "send", "--from", "rich", "--to", "poor", "--amount", "1", "--nonce", "0"],
            4,
            "the nonce was used already",
        ),
        (&["faucet", "request", "--to", "poor", "--amount", "1000000"], 4, "gives at most 10000 CPC at once"),
        (&["faucet", "request", "--to", "poor", "--amount", "0"], 4, "starts with at least 0.001 CPC"),
        (&["genesis", "check", "nowhere.toml"], 3, "is not a network"),
        (&["genesis", "hash", "--network", "moonnet"], 3, "there are devnet, testnet and mainnet"),
        (&["query", "supply", "--timeout", "5"], 2, "is not a time"),
        (&["mine"], 2, "unrecognized subcommand"),
    ];
    for (args, code, words) in cases {
        // A nonce of 0 is used by the time it is asked for: a transfer that fails in its block uses its own.
        fails(data, url, args, *code, words);
    }
    let spec = succeeds(data, "", &["genesis", "show"]).replace("interval_ms = 500", "interval_ms = 501");
    fs::write(data.join("other.toml"), spec).expect("written");
    let other = data.join("other.toml").display().to_string();
    let send = ["tx", "send", "--from", "rich", "--to", "poor", "--amount", "1", "--network", &other];
    fails(data, url, &send, 4, "the node is of another network");
    let proof = data.join("rich.proof").display().to_string();
    fails(data, url, &["query", "balance", "rich", "--proof", &proof, "--network", &other], 8, "of another network");
    assert!(!Path::new(&proof).exists(), "a proof that does not hold is not kept");
    fails(data, "http://127.0.0.1:9", &["query", "supply"], 5, "no node answers at http://127.0.0.1:9");
    fails(data, "not a url", &["query", "supply"], 2, "is not a URL");
    assert_eq!(succeeds(data, url, &["query", "balance", "poor"]), "0 CPC");
}

#[test]
fn the_api_refuses_by_name() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = Devnet::start(&home.path().join("devnet"));
    devnet.reach(1);
    let zero = "00".repeat(400);
    let cases = [
        ("/api/v1/accounts/cpc1", 400, "invalid_address"),
        ("/api/v1/accounts/%ff", 400, "invalid_path"),
        ("/api/v1/blocks/%ff", 400, "invalid_path"),
        ("/api/v1/blocks/999999999", 404, "block_not_found"),
        ("/api/v1/blocks/18446744073709551616", 400, "invalid_block"),
        ("/api/v1/txs/zz", 400, "invalid_hash"),
        ("/api/v1/nothing", 404, "no_such_route"),
        ("/", 404, "no_such_route"),
    ];
    let mut ids = BTreeSet::new();
    for (path, status, code) in cases {
        let (found, body) = devnet.get(path);
        assert_eq!((found, body["code"].as_str()), (status, Some(code)), "{path}: {body}");
        assert_eq!(body["request_id"].as_str().map(str::len), Some(36), "{path}: {body}");
        assert!(ids.insert(body["request_id"].to_string()), "{path}: {body}");
    }
    assert_eq!(devnet.get("/api/v1/blocks/0").1["rules"], 1);
    let history = format!("/api/v1/accounts/{}/txs", devnet.faucet);
    for query in ["?limit=0", "?limit=101", "?limit=x", "?before=7", "?before=a-b", "?unknown=1"] {
        let (found, body) = devnet.get(&format!("{history}{query}"));
        assert_eq!((found, body["code"].as_str()), (400, Some("invalid_query")), "{query}: {body}");
    }
    let posts = [
        ("/api/v1/txs", "{", 400, "invalid_json"),
        ("/api/v1/txs", "{}", 422, "invalid_body"),
        ("/api/v1/txs", "{\"tx\":\"00\",\"extra\":1}", 422, "invalid_body"),
        ("/api/v1/txs", "{\"tx\":\"0\"}", 400, "invalid_hex"),
        ("/api/v1/txs", "{\"tx\":\"zz\"}", 400, "invalid_hex"),
        ("/api/v1/txs", "{\"tx\":\"\"}", 422, "invalid_transaction"),
        ("/api/v1/faucet", "{\"address\":\"x\"}", 400, "invalid_address"),
        ("/api/v1/faucet", "{\"address\":1}", 422, "invalid_body"),
    ];
    for (path, body, status, code) in posts {
        let (found, answer) = devnet.post(path, body);
        assert_eq!((found, answer["code"].as_str()), (status, Some(code)), "{path} {body}: {answer}");
    }
    let (found, answer) = devnet.post("/api/v1/txs", &format!("{{\"tx\":\"{zero}\"}}"));
    assert_eq!((found, answer["code"].as_str()), (422, Some("invalid_transaction")), "{answer}");
    let answer = devnet.announce("/api/v1/txs", 2_000_000);
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("payload_too_large"), "{answer}");
    let ask = format!("{{\"address\":\"{}\",\"amount\":\"1e5\"}}", devnet.faucet);
    assert_eq!(devnet.post("/api/v1/faucet", &ask).1["code"], "invalid_amount");
    assert_eq!(devnet.post("/api/v1/status", "{}").0, 405);
    assert_eq!(devnet.get("/readyz").0, 200);
    assert_eq!(devnet.get("/livez").0, 200);
    devnet.stop();
}

#[test]
fn the_supply_adds_up_across_an_epoch() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = Devnet::start(&home.path().join("devnet"));
    devnet.reach(3);
    let (_, supply) = devnet.get("/api/v1/supply");
    let part = |name: &str| supply[name].as_str().expect(name).parse::<Amount>().expect(name);
    let places = ["balances", "stake", "unbonding", "escrow", "bonds", "pending_rewards", "treasury"];
    let sum: Amount = places.into_iter().map(part).sum();
    assert_eq!(sum + part("burned"), part("genesis") + part("minted"), "{supply}");
    assert_eq!(sum, part("circulating"));
    assert!(part("minted") > Amount::ZERO);
}

/// What a node of the devnet says of itself and of an account; the lies come on top.
fn answers(data: &Path, address: &str) -> Vec<(String, Value)> {
    let genesis = succeeds(data, "", &["genesis", "hash"]);
    let zeros = "00".repeat(32);
    let status = json!({
        "network": "devnet", "chain": 1337, "genesis": genesis, "version": "0.1.0", "height": 9, "head": zeros,
        "head_time_ms": 0, "state_root": zeros, "epoch": 0, "pending": 0, "index_height": 9,
    });
    let account = json!({
        "address": address, "balance": "1000000", "nonce": 7, "pending": 0, "exists": true, "height": 9,
    });
    vec![
        ("/api/v1/status".to_owned(), status),
        (format!("/api/v1/accounts/{address}"), account),
        ("/api/v1/txs".to_owned(), json!({ "hash": zeros, "id": zeros })),
    ]
}

#[test]
fn a_lying_node_gets_no_signature_that_it_asks_for() {
    let home = tempfile::tempdir().expect("a folder");
    let data = home.path();
    succeeds(data, "", &["keys", "create", "alice", "--no-encryption", "--no-mnemonic"]);
    let alice = succeeds(data, "", &["keys", "show", "alice", "--address"]);
    let chain = succeeds(data, "", &["genesis", "check", "--json"]);
    let chain: Value = serde_json::from_str(&chain).expect("JSON");
    let mut honest = answers(data, &alice);
    honest[0].1["chain"] = chain["chain"].clone();
    let send = ["tx", "send", "--from", "alice", "--to", &alice, "--amount", "1", "--no-wait"];

    // Its prices are not asked for: what is signed is what the named network says.
    let mut dear = honest.clone();
    let price = json!({
        "chain": 1, "gas_price_min": "9", "transfer_gas": 90_000, "new_account_gas": 90_000, "interval_ms": 500,
        "existential_minimum": "0.001", "epoch_blocks": 240,
    });
    dear.push(("/api/v1/params".to_owned(), price));
    let node = FakeNode::start(dear);
    succeeds(data, &node.url, &send);
    let [(path, body)] = &node.received()[..] else { panic!("one body was sent") };
    let body: Value = serde_json::from_str(body).expect("JSON");
    let hex = body["tx"].as_str().expect("hex");
    let mut bytes = vec![0; hex.len() / 2];
    cpc_primitives::hash::unhex(hex, &mut bytes).expect("hex");
    let tx = SignedTx::decode(&bytes).expect("a transaction");
    assert_eq!((path.as_str(), tx.body.chain.0), ("/api/v1/txs", chain["chain"].as_u64().expect("a number")));
    assert_eq!((tx.body.gas_price.to_string(), tx.body.gas_limit), ("0.000000001".to_owned(), Gas(46_000)));

    let mut foreign = honest.clone();
    foreign[0].1["genesis"] = json!("00".repeat(32));
    let mut other_chain = honest.clone();
    other_chain[0].1["chain"] = json!(1);
    let mut endless = honest.clone();
    endless[1].1["nonce"] = json!(u64::MAX);
    endless[1].1["pending"] = json!(1);
    let cases = [
        (foreign, 4, "the node is of another network"),
        (other_chain, 4, "the node is of another network"),
        (endless, 1, "the node's next nonce is wrong"),
    ];
    for (told, code, words) in cases {
        let node = FakeNode::start(told);
        fails(data, &node.url, &send, code, words);
        assert_eq!(node.received(), [], "{words}: nothing is signed");
    }
}

#[test]
fn a_wrong_start_leaves_nothing_behind_and_throws_nothing_away() {
    let home = tempfile::tempdir().expect("a folder");
    let (data, dir) = (home.path(), home.path().join("devnet"));
    let devnet = Devnet::start(&dir);
    let taken = devnet.url.trim_start_matches("http://").to_owned();
    devnet.reach(2);
    let other = data.join("other");
    let text = |path: &Path| path.display().to_string();
    let fresh = |dir: &Path, listen: &str, network: &str| {
        ["devnet", "--fresh", "--dir", &text(dir), "--listen", listen, "--network", network].map(str::to_owned)
    };
    let refused = |args: [String; 8], code: i32, words: &str| {
        fails(data, "", &args.each_ref().map(String::as_str), code, words);
    };
    refused(fresh(&other, "127.0.0.1:0", "mainnet"), 1, "cannot make blocks alone");
    refused(fresh(&other, "127.0.0.1:0", "moonnet"), 3, "is not a network");
    refused(fresh(&other, &taken, "devnet"), 1, "cannot listen on");
    assert!(!other.exists(), "what was refused has made no folder");
    devnet.stop();

    refused(fresh(&dir, "127.0.0.1:0", "mainnet"), 1, "cannot make blocks alone");
    let devnet = Devnet::start(&dir);
    assert!(devnet.height >= 2, "a refused --fresh has thrown the chain away");
    devnet.stop();

    let photos = data.join("photos");
    fs::create_dir_all(photos.join("chain")).expect("made");
    fs::write(photos.join("chain/summer.jpg"), "x").expect("written");
    refused(fresh(&photos, "127.0.0.1:0", "devnet"), 4, "holds something else than a chain");
    assert!(photos.join("chain/summer.jpg").exists());
}

#[test]
fn connections_that_say_nothing_stop_nobody() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = Devnet::start(&home.path().join("devnet"));
    let address = devnet.url.trim_start_matches("http://");
    // More than there are places: whoever says nothing loses its own.
    let mut silent: Vec<TcpStream> = (0..600)
        .map(|_| {
            let mut stream = TcpStream::connect(address).expect("the system's queue takes it");
            stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nx-half").expect("the system takes it");
            stream
        })
        .collect();
    assert_eq!(devnet.get("/livez").0, 200);
    let mut rest = Vec::new();
    // Closed, with or without a word about the time that has passed.
    let _ = silent[0].read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    devnet.stop();
}

#[test]
fn a_reader_that_leaves_early_breaks_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    for args in [&["genesis", "show"][..], &["genesis", "check"], &["version"], &["genesis", "hash", "--json"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(binary());
        command.args(args).env("CPC_DATA_DIR", home.path()).stdin(Stdio::null()).stdout(writer);
        let output = command.stderr(Stdio::piped()).output().expect("the binary starts");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && words.is_empty(), "{args:?}: {} {words}", output.status);
    }
    let full = fs::File::options().write(true).open("/dev/full").expect("a full disk");
    let output = Command::new(binary()).arg("version").stdout(full).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(1), "an answer that is lost is a failure");
}

#[test]
fn a_file_of_a_stranger_is_read_up_to_its_limit() {
    let home = tempfile::tempdir().expect("a folder");
    let data = home.path();
    let huge = data.join("huge");
    fs::File::create(&huge).and_then(|file| file.set_len(1 << 40)).expect("a file with a hole");
    let huge = huge.display().to_string();
    let size = (1u64 << 40).to_string();
    fails(data, "", &["verify", &huge], 8, &format!("huge has {size} bytes, at most {}", 16 << 20));
    fails(data, "", &["verify", "/dev/zero"], 8, "/dev/zero has more than");
    fails(data, "", &["genesis", "check", &huge], 4, &format!("huge has {size} bytes, at most {}", 8 << 20));
}

#[test]
fn a_terminal_shows_again_what_is_typed_after_a_password_was_interrupted() {
    let home = tempfile::tempdir().expect("a folder");
    let shell = format!("trap : INT; {} keys create alice --no-mnemonic; echo code=$?; stty -a", binary().display());
    let mut terminal = Command::new("script")
        .args(["-qec", &shell, "/dev/null"])
        .env("CPC_DATA_DIR", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, of util-linux");
    let mut out = terminal.stdout.take().expect("piped");
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("New password of alice: ") {
        let mut byte = [0];
        out.read_exact(&mut byte).expect("the question");
        said.extend(byte);
    }
    // What Ctrl-C sends. The input stays open: its end would be another answer.
    let mut typed = terminal.stdin.take().expect("piped");
    typed.write_all(&[3]).expect("the terminal reads");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("the rest");
    terminal.wait().expect("our own child");
    assert!(rest.contains("code=130") && rest.contains(" echo "), "{rest}");
    assert!(!rest.contains("-echo ") && !rest.contains("-icanon"), "{rest}");
}
