//! Our own side: validators as shipped, each in a process of its own, and a client of their API.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use cpc_genesis::{ChainSpec, devnet_of};
use cpc_ledger::{Params, TRANSFER_GAS};
use cpc_primitives::hash::hex;
use cpc_primitives::tx::{Action, SignedTx, Transfer, TxBody};
use cpc_primitives::{Address, Amount, Nonce, SecretKey};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::chain::{Batch, Chain, agent};
use crate::load::{BATCH, Lane, until};

/// The validators of one network, which end when this is dropped.
pub(crate) struct Validators {
    nodes: Vec<Node>,
    binary: PathBuf,
    folder: TempDir,
}

struct Node {
    process: Child,
    url: String,
    /// Where other nodes reach it.
    network: String,
}

impl Drop for Validators {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            // One that has ended already needs no end.
            let _ = node.process.kill();
            let _ = node.process.wait();
        }
    }
}

/// The senders, their keys, and the network that they have money on.
pub(crate) struct Senders {
    keys: Vec<SecretKey>,
}

impl Senders {
    /// So many of them.
    pub(crate) fn new(count: usize) -> Self {
        let key = |n: usize| SecretKey::from_seed(blake3::hash(format!("bench/{n}").as_bytes()).as_bytes());
        Self { keys: (0..count).map(key).collect() }
    }

    /// The chain spec of so many validators in which all of them have money, with ports that are free now.
    fn spec(&self, validators: usize) -> Result<String> {
        let mut held = Vec::new();
        for _ in 0..validators {
            held.push((TcpListener::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?));
        }
        let mut addresses = Vec::new();
        for (consensus, network) in &held {
            let network = format!("/ip4/127.0.0.1/udp/{}/quic-v1", network.local_addr()?.port());
            addresses.push((consensus.local_addr()?.to_string(), network));
        }
        let mut text = devnet_of(&addresses)?;
        for key in &self.keys {
            let address = Address::of(&key.public());
            text += &format!("\n[[account]]\naddress = \"{address}\"\nbalance = \"1000\"\n");
        }
        Ok(text)
    }

    /// Signs what the lanes send: each lane has senders of its own, and a batch has one transfer of each of them.
    pub(crate) fn sign(&self, lanes: usize, batches: usize) -> Result<Vec<Lane>> {
        let params = ChainSpec::parse(cpc_genesis::Network::Devnet.text())?.params;
        ensure!(self.keys.len() >= lanes * BATCH, "{} senders for {lanes} lanes", self.keys.len());
        let lanes = self.keys.chunks(BATCH).take(lanes).map(|senders| {
            let batches = (0..batches).map(|nonce| batch(&params, senders, u64::try_from(nonce).expect("few batches")));
            Lane { batches: batches.collect() }
        });
        Ok(lanes.collect())
    }

    /// One transfer of one sender that no lane has.
    pub(crate) fn single(&self, sender: usize, nonce: u64) -> Result<SignedTx> {
        let params = ChainSpec::parse(cpc_genesis::Network::Devnet.text())?.params;
        let key = &self.keys[self.keys.len() - 1 - sender];
        Ok(transfer(&params, key, &self.keys[0], nonce))
    }
}

fn transfer(params: &Params, from: &SecretKey, to: &SecretKey, nonce: u64) -> SignedTx {
    let Params { chain, gas_price_min: gas_price, .. } = *params;
    let action = Action::Transfer(Transfer { to: Address::of(&to.public()), amount: Amount::new(1) });
    TxBody { chain, nonce: Nonce(nonce), gas_price, gas_limit: TRANSFER_GAS, action }.sign(from)
}

fn batch(params: &Params, senders: &[SecretKey], nonce: u64) -> Batch {
    let (mut send, mut ask) = (Vec::new(), Vec::new());
    for (at, sender) in senders.iter().enumerate() {
        let tx = transfer(params, sender, &senders[(at + 1) % senders.len()], nonce);
        let bytes = tx.encode();
        send.extend(u32::try_from(bytes.len()).expect("a short transaction").to_le_bytes());
        send.extend(bytes);
        ask.extend(tx.hash().0.0);
    }
    Batch { send, ask, count: senders.len() }
}

impl Validators {
    /// Starts so many of them over a new folder, and waits until each has a final block of its own making or another's.
    pub(crate) fn start(
        binary: &Path,
        folder: TempDir,
        senders: &Senders,
        count: usize,
        interval_ms: Option<u64>,
    ) -> Result<Self> {
        fs::write(folder.path().join("genesis.toml"), senders.spec(count)?)?;
        let mut all = Self { nodes: Vec::new(), binary: binary.to_owned(), folder };
        for n in 0..count {
            all.add(&format!("node-{n}"), &["--known-seat", &n.to_string()], interval_ms)?;
        }
        let agent = agent();
        for place in 0..count {
            let (_, first) = all.tip(&agent, place)?;
            until("a block", || Ok(all.tip(&agent, place)?.1 > first.max(1)))?;
        }
        Ok(all)
    }

    /// Starts one more node over a folder.
    fn add(&mut self, folder: &str, options: &[&str], interval_ms: Option<u64>) -> Result<()> {
        let path = self.folder.path();
        let mut command = Command::new(&self.binary);
        command
            .args(["--json", "--network"])
            .arg(path.join("genesis.toml"))
            .args(["node", "run", "--listen", "127.0.0.1:0", "--dir"])
            .arg(path.join(folder))
            .args(options)
            // The limits that protect a public node would be measured instead of the node.
            .env("CPC_API_LIMITS_TXS_PER_S", "1000000")
            .env("CPC_API_LIMITS_REQUESTS_PER_S", "1000000")
            .stdout(Stdio::piped())
            .stderr(fs::File::create(path.join(format!("{folder}.log")))?);
        if let Some(interval) = interval_ms {
            command.args(["--interval-ms", &interval.to_string()]);
        }
        let mut process = command.spawn().with_context(|| self.binary.display().to_string())?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("piped")?).read_line(&mut line)?;
        // Kept before anything can fail, so that it ends with the others.
        self.nodes.push(Node { process, url: String::new(), network: String::new() });
        let said: Value = serde_json::from_str(&line).with_context(|| format!("{folder} said {line:?}"))?;
        let node = self.nodes.last_mut().context("the one just started")?;
        node.url = said["url"].as_str().context("its url")?.to_owned();
        node.network = said["p2p"][0].as_str().unwrap_or_default().to_owned();
        Ok(())
    }

    /// Ends the only validator and starts it again at another pace.
    pub(crate) fn again(&mut self, interval_ms: Option<u64>) -> Result<()> {
        let mut node = self.nodes.pop().context("it runs")?;
        node.process.kill()?;
        node.process.wait()?;
        self.add("node-0", &["--known-seat", "0"], interval_ms)
    }

    /// Starts a node without a seat; the seconds until it is as high as the first validator is now.
    pub(crate) fn follow(&mut self) -> Result<(u64, f64)> {
        let agent = agent();
        let (height, boot) = (self.height(&agent, 0)?, self.nodes[0].network.clone());
        let start = Instant::now();
        self.add("follower", &["--p2p-listen", "/ip4/127.0.0.1/tcp/0", "--boot", &boot], None)?;
        let place = self.nodes.len() - 1;
        until("the follower", || Ok(self.height(&agent, place)? >= height))?;
        Ok((height, start.elapsed().as_secs_f64()))
    }

    /// The processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.nodes.iter().map(|node| node.process.id()).collect()
    }

    /// The id and the height of the last final block that a node knows.
    fn tip(&self, agent: &ureq::Agent, place: usize) -> Result<(String, u64)> {
        let status = self.get(agent, place, "/api/v1/status")?;
        let id = status["id"].as_str().or(status["block"].as_str()).unwrap_or_default().to_owned();
        Ok((id, status["height"].as_u64().context("a height")?))
    }

    /// The height of a node.
    pub(crate) fn height(&self, agent: &ureq::Agent, place: usize) -> Result<u64> {
        Ok(self.tip(agent, place)?.1)
    }

    /// The time of a block, in milliseconds.
    pub(crate) fn time_of(&self, agent: &ureq::Agent, height: u64) -> Result<u64> {
        self.get(agent, 0, &format!("/api/v1/blocks/{height}"))?["time_ms"].as_u64().context("a time")
    }

    fn get(&self, agent: &ureq::Agent, place: usize, path: &str) -> Result<Value> {
        let url = format!("{}{path}", self.nodes[place].url);
        let mut answer = agent.get(&url).call()?;
        ensure!(answer.status() == 200, "{url}: {} {}", answer.status(), answer.body_mut().read_to_string()?);
        Ok(answer.body_mut().read_json()?)
    }

    /// Sends one transfer and waits until it is final.
    pub(crate) fn one(&self, agent: &ureq::Agent, place: usize, tx: &SignedTx) -> Result<()> {
        let url = format!("{}/api/v1/txs", self.nodes[place].url);
        let mut answer = agent.post(&url).send_json(serde_json::json!({ "tx": hex(&tx.encode()) }))?;
        ensure!(answer.status() == 202, "{} {}", answer.status(), answer.body_mut().read_to_string()?);
        let found = self.get(agent, place, &format!("/api/v1/txs/{}?wait=30", tx.hash()))?;
        ensure!(found["status"] == "applied", "{found}");
        Ok(())
    }

    /// Demands that every node has the same state at a height, and that the first senders have sent so many each.
    pub(crate) fn check(&self, senders: &Senders, lanes: usize, sent: u64) -> Result<()> {
        let agent = agent();
        let height = self.tip(&agent, 0)?.1;
        let root = |place: usize| -> Result<String> {
            until("the same height", || Ok(self.tip(&agent, place)?.1 >= height))?;
            let block = self.get(&agent, place, &format!("/api/v1/blocks/{height}"))?;
            Ok(block["state_root"].as_str().context("a root")?.to_owned())
        };
        let first = root(0)?;
        for place in 1..self.nodes.len() {
            ensure!(root(place)? == first, "node {place} has another state at {height}");
        }
        for lane in 0..lanes {
            let address = Address::of(&senders.keys[lane * BATCH].public());
            let account = self.get(&agent, 0, &format!("/api/v1/accounts/{address}"))?;
            let nonce = account["nonce"].as_u64().context("a nonce")?;
            ensure!(nonce >= sent, "{address} has sent {nonce}, and {sent} receipts were read");
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Sent {
    accepted: usize,
    txs: Vec<Value>,
}

#[derive(Deserialize)]
struct Receipts<'a> {
    #[serde(borrow)]
    txs: Vec<Receipt<'a>>,
}

#[derive(Deserialize)]
struct Receipt<'a> {
    status: &'a str,
}

impl Chain for Validators {
    fn places(&self) -> usize {
        self.nodes.len()
    }

    fn send(&self, agent: &ureq::Agent, place: usize, batch: &Batch) -> Result<()> {
        let url = format!("{}/api/v1/txs", self.nodes[place].url);
        let mut answer = agent.post(&url).header("content-type", "application/octet-stream").send(&batch.send)?;
        if answer.status() != 200 {
            bail!("{} {}", answer.status(), answer.body_mut().read_to_string()?);
        }
        let sent: Sent = answer.body_mut().read_json()?;
        let refused = || sent.txs.iter().find(|tx| tx["status"] != "pending").map(Value::to_string).unwrap_or_default();
        ensure!(sent.accepted == batch.count, "{} of {} were taken: {}", sent.accepted, batch.count, refused());
        Ok(())
    }

    fn read(&self, agent: &ureq::Agent, place: usize, batch: &Batch) -> Result<()> {
        let url = format!("{}/api/v1/txs/status?wait=30", self.nodes[place].url);
        for _ in 0..3 {
            let mut answer = agent.post(&url).header("content-type", "application/octet-stream").send(&batch.ask)?;
            let text = answer.body_mut().read_to_string()?;
            if answer.status() != 200 {
                bail!("{} {text}", answer.status());
            }
            let receipts: Receipts<'_> = serde_json::from_str(&text)?;
            ensure!(receipts.txs.len() == batch.count, "{} receipts for {}", receipts.txs.len(), batch.count);
            let waiting = receipts.txs.iter().find(|receipt| receipt.status != "applied");
            match waiting {
                None => return Ok(()),
                Some(Receipt { status: "pending" | "unknown" }) => {}
                Some(Receipt { status }) => bail!("a transfer is {status}"),
            }
        }
        bail!("no receipts after 90 seconds")
    }
}
