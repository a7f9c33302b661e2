//! The chain's HTTP API, used as a program uses it: many transactions at once, live events, and what watches it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use cpc_e2e::{Devnet, cpc, fails, succeeds};
use cpc_genesis::known_key;
use cpc_primitives::hash::hex;
use cpc_primitives::tx::{Action, SignedTx, Transfer, TxBody};
use cpc_primitives::{Address, Amount, ChainId, Gas, Nonce, SecretKey};
use serde_json::{Value, json};

/// Transactions of one request.
const BATCH_MAX: u64 = 256;

/// A transfer of the smallest amount that makes a new account.
fn transfer(from: &SecretKey, nonce: u64, to: Address, chain: u64) -> SignedTx {
    let body = TxBody {
        chain: ChainId(chain),
        nonce: Nonce(nonce),
        gas_price: "0.000000001".parse().expect("an amount"),
        gas_limit: Gas(46_000),
        action: Action::Transfer(Transfer { to, amount: Amount::ONE }),
    };
    body.sign(from)
}

/// Transfers from the faucet's account, whose key everybody knows.
fn transfers(devnet: &Devnet, count: u64) -> Vec<SignedTx> {
    let key = known_key("devnet/faucet");
    let (_, account) = devnet.get(&format!("/api/v1/accounts/{}", devnet.faucet));
    let next = account["nonce"].as_u64().expect("a nonce") + account["pending"].as_u64().expect("a count");
    (next..next + count).map(|nonce| transfer(&key, nonce, Address([9; 20]), 1337)).collect()
}

fn hash_of(tx: &SignedTx) -> String {
    tx.hash().to_string()
}

fn start(home: &Path) -> Devnet {
    let devnet = Devnet::start(&home.join("devnet"));
    devnet.reach(1);
    devnet
}

#[test]
fn many_transactions_are_judged_at_once_and_read_back_at_once() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = start(home.path());
    let mut txs: Vec<SignedTx> = transfers(&devnet, BATCH_MAX - 2);
    let mut bent = txs[0].clone();
    bent.signature.0[0] ^= 1;
    txs.insert(3, bent);
    txs.insert(5, transfer(&known_key("devnet/faucet"), 0, Address([9; 20]), 1));
    let mut hexes: Vec<String> = txs.iter().map(|tx| hex(&tx.encode())).collect();
    hexes[100] = "00".to_owned();

    let (status, answer) = devnet.post("/api/v1/txs", &json!({ "txs": hexes }).to_string());
    assert_eq!((status, answer["accepted"].as_u64()), (200, Some(BATCH_MAX - 3)), "{answer}");
    let outcomes = answer["txs"].as_array().expect("a list");
    for (index, (tx, outcome)) in txs.iter().zip(outcomes).enumerate() {
        let code = match index {
            3 => Some("bad_signature"),
            5 => Some("wrong_chain"),
            100 => Some("invalid_transaction"),
            _ => None,
        };
        let told = if code.is_some() { "refused" } else { "pending" };
        assert_eq!((outcome["status"].as_str(), outcome["code"].as_str()), (Some(told), code), "{index}: {outcome}");
        assert_eq!(outcome["hash"].as_str(), (index != 100).then(|| hash_of(tx)).as_deref(), "{index}");
    }

    // What was left out is sent in bytes; with it the gap closes, and everything becomes final.
    let bytes = txs[100].encode();
    let mut body = u32::try_from(bytes.len()).expect("short").to_le_bytes().to_vec();
    body.extend(&bytes);
    let (status, answer) = devnet.post_bytes("/api/v1/txs", &body);
    assert_eq!((status, answer["accepted"].as_u64()), (200, Some(1)), "{answer}");
    let good: Vec<&SignedTx> =
        txs.iter().enumerate().filter(|(index, _)| ![3, 5].contains(index)).map(|(_, tx)| tx).collect();
    let hashes: Vec<String> = good.iter().map(|tx| hash_of(tx)).collect();
    let (status, answer) = devnet.post("/api/v1/txs/status?wait=30", &json!({ "hashes": hashes }).to_string());
    assert_eq!((status, answer["finalized"].as_u64()), (200, Some(BATCH_MAX - 2)), "{answer}");
    for (hash, told) in hashes.iter().zip(answer["txs"].as_array().expect("a list")) {
        assert_eq!((told["hash"].as_str(), told["status"].as_str()), (Some(hash.as_str()), Some("applied")), "{told}");
        assert!(told["height"].as_u64() <= answer["height"].as_u64() && told["fee"].is_string(), "{told}");
    }
    let octets: Vec<u8> = good.iter().flat_map(|tx| tx.hash().0.0).collect();
    let (status, same) = devnet.post_bytes("/api/v1/txs/status", &octets);
    assert_eq!((status, &same["txs"]), (200, &answer["txs"]));
    let unknown = json!({ "hashes": [hashes[0], "00".repeat(32)] }).to_string();
    let (_, told) = devnet.post("/api/v1/txs/status", &unknown);
    assert_eq!(
        (told["txs"][0]["status"].as_str(), told["txs"][1]["status"].as_str()),
        (Some("applied"), Some("unknown"))
    );
    devnet.stop();
}

#[test]
fn one_transaction_is_waited_for() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = start(home.path());
    let tx = transfers(&devnet, 1).remove(0);
    let (status, answer) = devnet.post("/api/v1/txs", &json!({ "tx": hex(&tx.encode()) }).to_string());
    assert_eq!((status, answer["hash"].as_str()), (202, Some(hash_of(&tx).as_str())), "{answer}");
    let (_, told) = devnet.get(&format!("/api/v1/txs/{}?wait=30", hash_of(&tx)));
    assert_eq!(told["status"], "applied", "{told}");
    let (status, told) = devnet.get(&format!("/api/v1/txs/{}?wait=1", "00".repeat(32)));
    assert_eq!((status, told["code"].as_str()), (404, Some("transaction_not_found")));
    let (_, page) = devnet.get("/api/v1/txs?limit=1");
    assert_eq!(page["txs"][0]["hash"].as_str(), Some(hash_of(&tx).as_str()), "{page}");
    let next = page["next"].as_str().expect("there are blocks before").to_owned();
    let (status, rest) = devnet.get(&format!("/api/v1/txs?before={next}"));
    assert_eq!((status, rest["txs"].as_array().map(Vec::len), &rest["next"]), (200, Some(0), &Value::Null));
    let (_, account) = devnet.get(&format!("/api/v1/accounts/{}?proof=true", devnet.faucet));
    assert_eq!((account["nonce"].as_u64(), account["proof"].is_string()), (Some(1), true), "{account}");
    // A node that stops keeps nobody waiting.
    let url = format!("{}/api/v1/txs/{}?wait=60", devnet.url, "00".repeat(32));
    let waiting = std::thread::spawn(move || ureq::get(url).config().http_status_as_error(false).build().call());
    devnet.until_metric("cpc_http_waiting_requests", 1);
    devnet.stop();
    assert_eq!(waiting.join().expect("no panic").expect("an answer").status(), 404);
}

#[test]
fn requests_that_are_wrong_are_refused_by_name() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = start(home.path());
    let many = |count: usize, field: &str| json!({ field: vec!["00"; count] }).to_string();
    let posts = [
        ("/api/v1/txs", many(257, "txs"), 422, "invalid_body"),
        ("/api/v1/txs", many(0, "txs"), 422, "invalid_body"),
        ("/api/v1/txs", json!({ "tx": "00", "txs": ["00"] }).to_string(), 422, "invalid_body"),
        ("/api/v1/txs/status", many(257, "hashes"), 422, "invalid_body"),
        ("/api/v1/txs/status", many(1, "hashes"), 400, "invalid_hash"),
        ("/api/v1/txs/status", json!([]).to_string(), 422, "invalid_body"),
        ("/api/v1/txs/status?wait=61", many(1, "hashes"), 400, "invalid_query"),
    ];
    for (path, body, status, code) in posts {
        let (found, answer) = devnet.post(path, &body);
        assert_eq!((found, answer["code"].as_str()), (status, Some(code)), "{path} {body}: {answer}");
    }
    for (path, bytes, status, code) in [
        ("/api/v1/txs", &[1u8, 0, 0][..], 422, "invalid_length"),
        ("/api/v1/txs", &[], 422, "invalid_body"),
        ("/api/v1/txs/status", &[0; 33], 422, "invalid_length"),
        ("/api/v1/faucet", &[0; 33], 415, "unsupported_media_type"),
    ] {
        let (found, answer) = devnet.post_bytes(path, bytes);
        assert_eq!((found, answer["code"].as_str()), (status, Some(code)), "{path}: {answer}");
    }
    let good = devnet.faucet.clone();
    let last = if good.ends_with('q') { 'p' } else { 'q' };
    let bent = format!("/api/v1/accounts/{}{last}", &good[..good.len() - 1]);
    for (path, status, code) in [
        (bent.as_str(), 422, "invalid_address"),
        ("/api/v1/validators?epoch=77777", 404, "epoch_not_kept"),
        ("/api/v1/validators?epoch=x", 400, "invalid_query"),
        ("/api/v1/txs?limit=0", 400, "invalid_query"),
        ("/api/v1/mempool?limit=101", 400, "invalid_query"),
        ("/api/v1/blocks/999999/results", 404, "block_not_found"),
    ] {
        let (found, answer) = devnet.get(path);
        assert_eq!((found, answer["code"].as_str()), (status, Some(code)), "{path}: {answer}");
    }
    devnet.stop();
}

#[test]
fn what_the_network_is_can_be_read() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = start(home.path());
    let read = |path: &str| {
        let (status, answer) = devnet.get(path);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    };
    let validators = read("/api/v1/validators");
    assert_eq!((validators["quorum"].as_u64(), validators["validators"].as_array().map(Vec::len)), (Some(1), Some(1)));
    assert_eq!(read("/api/v1/burns")["settlement_burn_bps"], 6_000);
    assert_eq!(read("/api/v1/treasury")["fee_bps"], 1_000);
    assert_eq!(read("/api/v1/fees")["transfer"], "0.000021");
    assert_eq!(read("/api/v1/peers"), json!({ "peers": [] }));
    assert_eq!(read("/api/v1/mempool")["count"], 0);
    let results = read("/api/v1/blocks/latest/results");
    assert_eq!((&results["results"], &results["settlements"]), (&json!([]), &json!([])));
    let ready = read("/readyz");
    assert_eq!((ready["ready"].as_bool(), ready["checks"][0]["name"].as_str()), (Some(true), Some("blocks")));
    let document = read("/openapi.json");
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"].as_object().is_some_and(|paths| paths.len() >= 24), "{document}");
    let page = read("/docs/");
    assert!(page.as_str().is_some_and(|page| page.contains("swagger-ui")), "{page}");
    devnet.stop();
}

/// A reader of live events.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(devnet: &Devnet, query: &str, headers: &str) -> Self {
        let address = devnet.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("the devnet listens");
        let head = format!("GET /api/v1/events{query} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).expect("the devnet reads");
        Self(BufReader::new(stream))
    }

    /// The next event: its name, its id, its data.
    fn next(&mut self) -> (String, String, Value) {
        let (mut name, mut id) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("the devnet writes") > 0, "the events end");
            match line.trim_end().split_once(": ") {
                Some(("event", found)) => found.clone_into(&mut name),
                Some(("id", found)) => found.clone_into(&mut id),
                Some(("data", found)) => {
                    let data = serde_json::from_str(found).expect("JSON");
                    // The id may stand behind the data.
                    let mut rest = String::new();
                    self.0.read_line(&mut rest).expect("the devnet writes");
                    if let Some(("id", found)) = rest.trim_end().split_once(": ") {
                        found.clone_into(&mut id);
                    }
                    return (name, id, data);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn live_events_follow_the_chain_and_are_resumed_where_they_ended() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = start(home.path());
    let mut events = Events::open(&devnet, &format!("?account={}", devnet.faucet), "");
    let (name, first, _) = events.next();
    assert_eq!(name, "block");
    let txs = transfers(&devnet, 3);
    for tx in &txs {
        assert_eq!(devnet.post("/api/v1/txs", &json!({ "tx": hex(&tx.encode()) }).to_string()).0, 202);
    }
    let mut seen = Vec::new();
    let last = loop {
        let (name, id, data) = events.next();
        match name.as_str() {
            "tx" => seen.push(data["hash"].as_str().expect("a hash").to_owned()),
            _ if seen.len() == txs.len() => break id,
            _ => {}
        }
    };
    assert_eq!(seen, txs.iter().map(hash_of).collect::<Vec<_>>());
    drop(events);

    // Everything behind the first block again, without a gap.
    let mut events = Events::open(&devnet, "?txs=true", &format!("Last-Event-ID: {first}\r\n"));
    let (mut again, mut height) = (Vec::new(), first.parse::<u64>().expect("a height"));
    while height.to_string() != last {
        match events.next() {
            (name, _, data) if name == "tx" => again.push(data["hash"].as_str().expect("a hash").to_owned()),
            (_, id, data) => {
                height += 1;
                assert_eq!((id, data["height"].as_u64()), (height.to_string(), Some(height)));
            }
        }
    }
    assert_eq!(again, seen);
    let mut ahead = Events::open(&devnet, "", "Last-Event-ID: 999999\r\nconnection: close\r\n");
    let mut refused = String::new();
    ahead.0.read_to_string(&mut refused).expect("an answer");
    assert!(refused.starts_with("HTTP/1.1 422 ") && refused.contains("height_ahead"), "{refused}");
    // Readers of endless events do not keep a node from stopping.
    devnet.stop();
}

#[test]
fn transactions_travel_as_files_and_the_command_line_says_where_things_are() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = start(home.path());
    let (data, url) = (home.path(), devnet.url.as_str());
    for name in ["alice", "bob"] {
        succeeds(data, url, &["keys", "create", name, "--no-encryption", "--no-mnemonic"]);
    }
    succeeds(data, url, &["faucet", "request", "--to", "alice"]);
    let file = |name: &str| data.join(name).display().to_string();
    let (unsigned, signed) = (file("unsigned"), file("signed"));
    let build = ["tx", "build", "--from", "alice", "--to", "bob", "--amount", "3", "--output", &unsigned];
    succeeds(data, url, &build);
    fails(data, url, &["tx", "broadcast", &unsigned], 4, "is not signed");
    // Nobody is asked where the key is.
    succeeds(data, "http://127.0.0.1:9", &["tx", "sign", &unsigned, "--key", "alice", "--output", &signed]);
    let told = succeeds(data, "", &["tx", "decode", &signed, "--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((told["signature_verifies"].as_bool(), told["amount"].as_str()), (Some(true), Some("3")), "{told}");
    let hash = told["hash"].as_str().expect("a hash");
    assert!(succeeds(data, url, &["tx", "broadcast", &signed]).contains("pending"));
    assert!(succeeds(data, url, &["tx", "status", hash, "--wait"]).contains("applied"));
    let again = cpc(data, url, &["tx", "broadcast", &signed]);
    assert_eq!(again.status.code(), Some(4), "its nonce is used: {}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(succeeds(data, url, &["query", "balance", "bob"]), "3 CPC");
    assert!(succeeds(data, url, &["query", "txs", "bob"]).contains(hash));
    assert!(succeeds(data, url, &["query", "validators"]).contains("1 of 1 make a block final"));
    assert!(succeeds(data, url, &["query", "fees"]).contains("0.000021"));

    let line = succeeds(data, url, &["status"]);
    assert!(line.starts_with("devnet  ") && line.contains("at the head") && line.ends_with(" old"), "{line}");
    let status: Value = serde_json::from_str(&succeeds(data, url, &["status", "--json"])).expect("JSON");
    assert!(status["height"].as_u64() > Some(0) && status["eta_reason"] == "at the head", "{status}");
    fails(data, "http://127.0.0.1:9", &["status"], 5, "no node answers");
    let nowhere = file("nowhere");
    fails(data, url, &["node", "status", "--dir", &nowhere], 5, "no node runs in");
    devnet.stop();
}

#[test]
fn a_configuration_says_where_each_value_comes_from_and_names_what_is_wrong() {
    let home = tempfile::tempdir().expect("a folder");
    let data = home.path();
    let shown = succeeds(data, "", &["config", "show", "--origin"]);
    assert!(shown.lines().any(|line| line.starts_with("api.listen") && line.ends_with("default")), "{shown}");
    std::fs::write(data.join("node.toml"), "[logs]\nformat = \"json\"\n").expect("written");
    let chosen = succeeds(data, "", &["config", "show", "--origin", "--chosen"]);
    assert!(chosen.starts_with("logs.format  json  file ") && chosen.lines().count() == 1, "{chosen}");
    std::fs::write(data.join("node.toml"), "[logs]\nformt = \"json\"\n").expect("written");
    fails(data, "", &["config", "show"], 2, "there is no key \"logs.formt\"; is it \"logs.format\"?");
    for shell in ["bash", "zsh", "fish"] {
        assert!(succeeds(data, "", &["completions", shell]).contains("devnet"), "{shell}");
    }
    assert!(succeeds(data, "", &["man"]).contains(".TH cpc"));
}
