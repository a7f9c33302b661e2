//! What other people's tools say of a running node: promtool of its metrics, schemathesis of its HTTP API.
//!
//! Each judge is also shown something wrong, which it has to find: one that finds nothing anywhere judges nothing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cpc_e2e::{Devnet, FakeNode, until};
use serde_json::{Value, json};

fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn promtool(metrics: &str) -> Output {
    let mut tool = Command::new(house().join(".ci/promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the set-up unpacks promtool");
    tool.stdin.take().expect("piped").write_all(metrics.as_bytes()).expect("promtool reads");
    tool.wait_with_output().expect("our own child")
}

#[test]
fn promtool_accepts_the_metrics_and_refuses_bent_ones() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = Devnet::start(&home.path().join("devnet"));
    devnet.reach(2);
    // Routes with labels, a refusal, and a transaction.
    devnet.get("/api/v1/blocks/1");
    devnet.get("/api/v1/blocks/x");
    let ask = json!({ "address": devnet.faucet, "amount": "1" }).to_string();
    let (_, gift) = devnet.post("/api/v1/faucet", &ask);
    devnet.get(&format!("/api/v1/txs/{}?wait=30", gift["hash"].as_str().expect("a hash")));
    // What the libraries measure is looked at now and then.
    let text = until("what the BFT library measures", || {
        let (_, text) = devnet.get("/metrics");
        let text = text.as_str().expect("text").to_owned();
        text.contains("cpc_engine_").then_some(text)
    });
    let text = text.as_str();
    devnet.stop();
    for line in [
        "cpc_chain_transactions_total{result=\"applied\",type=\"TRANSFER\"} 1",
        "cpc_http_requests_total{method=\"GET\",route=\"/api/v1/blocks/{which}\",status=\"200\"} 1",
        "cpc_http_requests_total{method=\"GET\",route=\"/api/v1/blocks/{which}\",status=\"400\"} 1",
        "cpc_ready{check=\"blocks\"} 1",
        "cpc_mempool_arrivals_total{outcome=\"new\",source=\"user\"} 1",
        "cpc_mempool_departures_total{reason=\"included\"} 1",
        "cpc_p2p_peers 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing from\n{text}");
    }
    let rounds = text.lines().find_map(|line| line.strip_prefix("cpc_consensus_rounds_total ")?.parse::<u64>().ok());
    assert!(rounds >= Some(2), "two blocks took {rounds:?} attempts");
    let judged = promtool(text);
    let words = |output: &Output| {
        [&output.stdout[..], &output.stderr].concat().iter().map(|byte| char::from(*byte)).collect::<String>()
    };
    assert!(judged.status.success() && words(&judged).trim().is_empty(), "{}", words(&judged));

    let bent = text.replace("cpc_chain_transactions_total", "cpc_chain_transactions");
    let judged = promtool(&bent);
    assert!(!judged.status.success() && words(&judged).contains("_total"), "{}", words(&judged));
}

/// Runs schemathesis over what a URL describes.
fn schemathesis(folder: &Path, url: &str, more: &[&str]) -> (bool, String) {
    let output = Command::new(house().join(".ci/schemathesis"))
        .arg("--config-file")
        .arg(house().join("tests/e2e/schemathesis.toml"))
        .args(["run", &format!("{url}/openapi.json"), "--seed", "1", "--no-shrink"])
        .args(more)
        // It writes its findings where it runs.
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .expect("the set-up installs schemathesis");
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&words).into_owned())
}

#[test]
fn schemathesis_finds_nothing_in_the_api_and_something_in_one_that_lies() {
    let home = tempfile::tempdir().expect("a folder");
    let devnet = Devnet::start(&home.path().join("devnet"));
    devnet.reach(2);
    // Live events have no end: they have a test of their own.
    let more = ["--exclude-path", "/api/v1/events", "--phases", "examples,coverage,fuzzing", "--max-examples", "4"];
    let (good, words) = schemathesis(home.path(), &devnet.url, &more);
    assert!(good, "{words}");
    let tested = words.lines().find_map(|line| line.trim().strip_prefix("Tested: ")?.parse::<usize>().ok());
    assert!(tested.is_some_and(|tested| tested >= 24), "{words}");

    let (_, document) = devnet.get("/openapi.json");
    let (_, mut status) = devnet.get("/api/v1/status");
    devnet.stop();
    status["height"] = Value::from("high");
    let answers = [("/openapi.json".to_owned(), document), ("/api/v1/status".to_owned(), status)];
    let liar = FakeNode::start(answers.to_vec());
    let more = ["--include-path", "/api/v1/status", "--phases", "fuzzing", "--max-examples", "1"];
    let checks = ["--checks", "response_schema_conformance"];
    let (good, words) = schemathesis(home.path(), &liar.url, &[&more[..], &checks].concat());
    assert!(!good && words.contains("/api/v1/status") && words.contains("high"), "{words}");
}
