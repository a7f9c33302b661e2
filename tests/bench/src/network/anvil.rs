//! The rival: anvil, a development node for Ethereum's rules in Rust that keeps everything in memory and agrees with nobody.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use alloy_rlp::{Encodable, Header};
use anyhow::{Context as _, Result, bail, ensure};
use cpc_primitives::hash::hex;
use k256::ecdsa::SigningKey;
use serde::Deserialize;
use serde_json::{Value, json};
use sha3::{Digest as _, Keccak256};
use tempfile::{NamedTempFile, TempDir};

use crate::chain::{Batch, Chain, agent};
use crate::load::{BATCH, Lane, pause, until};

const CHAIN_ID: u64 = 31_337;
const TRANSFER_GAS: u64 = 21_000;
/// Well above what its first blocks demand.
const GAS_PRICE: u64 = 3_000_000_000;
/// Between two looks for receipts that are not there yet.
const POLL: Duration = Duration::from_millis(10);

/// Ways to run it, of which the fastest is measured.
pub(crate) const WAYS: [(&str, &[&str]); 4] = [
    ("a block for each transaction", &[]),
    ("a block a second", &["--block-time", "1"]),
    ("two blocks a second", &["--block-time", "0.5"]),
    ("ten blocks a second", &["--block-time", "0.1"]),
];

/// What is always said to it: nothing is kept or printed that is not needed, and nothing limits a block.
const ALWAYS: [&str; 9] = [
    "--quiet",
    "--threads=2",
    "--order=fifo",
    "--disable-block-gas-limit",
    "--no-request-size-limit",
    "--prune-history",
    "--disable-console-log",
    "--block-base-fee-per-gas=0",
    "--accounts=1",
];

/// A running anvil, which ends when this is dropped.
pub(crate) struct Anvil {
    process: Child,
    url: String,
    _genesis: NamedTempFile,
    _home: TempDir,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Those who have ether.
pub(crate) struct Senders {
    keys: Vec<(SigningKey, [u8; 20])>,
}

impl Senders {
    /// So many of them.
    pub(crate) fn new(count: usize) -> Result<Self> {
        let key = |n: usize| -> Result<_> {
            let key = SigningKey::from_slice(blake3::hash(format!("anvil/{n}").as_bytes()).as_bytes())?;
            let point = key.verifying_key().to_sec1_point(false);
            let address = Keccak256::digest(&point.as_bytes()[1..])[12..].try_into()?;
            Ok((key, address))
        };
        Ok(Self { keys: (0..count).map(key).collect::<Result<_>>()? })
    }

    /// Signs what the lanes send: as for our side.
    pub(crate) fn sign(&self, lanes: usize, batches: usize) -> Result<Vec<Lane>> {
        ensure!(self.keys.len() >= lanes * BATCH, "{} senders for {lanes} lanes", self.keys.len());
        self.keys
            .chunks(BATCH)
            .take(lanes)
            .map(|senders| {
                let batches = (0..batches).map(|nonce| batch(senders, u64::try_from(nonce)?)).collect::<Result<_>>()?;
                Ok(Lane { batches })
            })
            .collect()
    }

    fn genesis(&self) -> Value {
        let alloc: serde_json::Map<String, Value> = self
            .keys
            .iter()
            .map(|(_, address)| (format!("0x{}", hex(address)), json!({ "balance": "0x56bc75e2d63100000" })))
            .collect();
        json!({
            "config": { "chainId": CHAIN_ID }, "difficulty": "0x0", "gasLimit": "0x1c9c380", "alloc": alloc,
        })
    }
}

/// A transfer as it was before typed transactions: the shortest there is, signed for one chain.
fn transfer(key: &SigningKey, to: &[u8; 20], nonce: u64) -> Result<Vec<u8>> {
    let fields = |tail: &[&dyn Encodable]| {
        let head: [&dyn Encodable; 6] = [&nonce, &GAS_PRICE, &TRANSFER_GAS, &to.as_slice(), &1u64, &[].as_slice()];
        let all: Vec<&dyn Encodable> = head.into_iter().chain(tail.iter().copied()).collect();
        let mut bytes = Vec::new();
        Header { list: true, payload_length: all.iter().map(|field| field.length()).sum() }.encode(&mut bytes);
        all.iter().for_each(|field| field.encode(&mut bytes));
        bytes
    };
    let digest = Keccak256::digest(fields(&[&CHAIN_ID, &0u64, &0u64]));
    let (signature, recovery) = key.sign_prehash_recoverable(&digest);
    let (r, s) = signature.split_bytes();
    let v = CHAIN_ID * 2 + 35 + u64::from(recovery.to_byte());
    Ok(fields(&[&v, &number(&r), &number(&s)]))
}

/// A number as it is written: without zeros before it.
fn number(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

fn batch(senders: &[(SigningKey, [u8; 20])], nonce: u64) -> Result<Batch> {
    let (mut send, mut ask) = (Vec::new(), Vec::new());
    for (at, (key, _)) in senders.iter().enumerate() {
        let raw = transfer(key, &senders[(at + 1) % senders.len()].1, nonce)?;
        let call = |method: &str, hex: String| json!({ "jsonrpc": "2.0", "id": at, "method": method, "params": [hex] });
        ask.push(call("eth_getTransactionReceipt", format!("0x{}", hex(&Keccak256::digest(&raw)))));
        send.push(call("eth_sendRawTransaction", format!("0x{}", hex(&raw))));
    }
    Ok(Batch { send: serde_json::to_vec(&send)?, ask: serde_json::to_vec(&ask)?, count: senders.len() })
}

impl Anvil {
    /// Starts it in one of its ways.
    pub(crate) fn start(binary: &Path, senders: &Senders, way: &[&str]) -> Result<Self> {
        let mut genesis = NamedTempFile::new()?;
        serde_json::to_writer(&mut genesis, &senders.genesis())?;
        genesis.flush()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let home = TempDir::new()?;
        let said = home.path().join("said");
        let process = Command::new(binary)
            .args(["--port", &port.to_string(), "--init"])
            .arg(genesis.path())
            .args(ALWAYS)
            .args(way)
            .env("HOME", home.path())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said)?)
            .spawn()
            .with_context(|| binary.display().to_string())?;
        let anvil = Self { process, url: format!("http://127.0.0.1:{port}"), _genesis: genesis, _home: home };
        let agent = agent();
        let up = until("anvil", || Ok(anvil.call(&agent, "eth_blockNumber", json!([])).is_ok()));
        up.with_context(|| fs::read_to_string(&said).unwrap_or_default())?;
        Ok(anvil)
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    fn call(&self, agent: &ureq::Agent, method: &str, params: Value) -> Result<Value> {
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer: Value = agent.post(&self.url).send_json(question)?.body_mut().read_json()?;
        ensure!(answer.get("error").is_none(), "{method}: {answer}");
        Ok(answer["result"].clone())
    }

    fn ask(&self, agent: &ureq::Agent, body: &[u8]) -> Result<String> {
        let mut answer = agent.post(&self.url).header("content-type", "application/json").send(body)?;
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string()?;
        ensure!(answer.status() == 200, "{} {text}", answer.status());
        Ok(text)
    }

    /// Demands that the first senders have sent so many each.
    pub(crate) fn check(&self, senders: &Senders, lanes: usize, sent: u64) -> Result<()> {
        for lane in 0..lanes {
            let address = format!("0x{}", hex(&senders.keys[lane * BATCH].1));
            let count = self.call(&agent(), "eth_getTransactionCount", json!([address, "latest"]))?;
            let count = u64::from_str_radix(count.as_str().unwrap_or_default().trim_start_matches("0x"), 16)?;
            ensure!(count >= sent, "{address} has sent {count}, and {sent} receipts were read");
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Taken {
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<Receipt<'a>>,
}

#[derive(Deserialize)]
struct Receipt<'a> {
    status: &'a str,
}

impl Chain for Anvil {
    fn places(&self) -> usize {
        1
    }

    fn send(&self, agent: &ureq::Agent, _: usize, batch: &Batch) -> Result<()> {
        let text = self.ask(agent, &batch.send)?;
        let taken: Vec<Taken> =
            serde_json::from_str(&text).with_context(|| text.chars().take(200).collect::<String>())?;
        if let Some(Taken { error: Some(error) }) = taken.iter().find(|taken| taken.error.is_some()) {
            bail!("{error}");
        }
        ensure!(taken.len() == batch.count, "{} answers for {}", taken.len(), batch.count);
        Ok(())
    }

    fn read(&self, agent: &ureq::Agent, _: usize, batch: &Batch) -> Result<()> {
        let start = Instant::now();
        loop {
            let text = self.ask(agent, &batch.ask)?;
            let answers: Vec<Answer<'_>> = serde_json::from_str(&text)?;
            ensure!(answers.len() == batch.count, "{} answers for {}", answers.len(), batch.count);
            let statuses = || answers.iter().filter_map(|answer| answer.result.as_ref());
            if let Some(Receipt { status }) = statuses().find(|receipt| receipt.status != "0x1") {
                bail!("a transfer has the status {status}");
            }
            if statuses().count() == batch.count {
                return Ok(());
            }
            ensure!(start.elapsed() < Duration::from_secs(60), "no receipts after a minute");
            pause(POLL);
        }
    }
}
