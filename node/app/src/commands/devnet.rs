//! `cpc devnet`: a network on this machine, with money to play with.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use cpc_genesis::{Genesis, devnet_of, known_key};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::chain_dir::ChainDir;
use super::run_node::{self, Identity, Ports};
use super::running::{self, Until};
use super::{Context, Exit, Failure, Output};
use crate::api::dto::Status;
use crate::client::Client;

/// The folder of a devnet under the data directory, where nobody names another.
pub(super) const DEVNET: &str = "devnet";
/// The chain spec of a devnet of several validators, in its folder.
pub(super) const SPEC: &str = "genesis.toml";
/// How many validators a new devnet has.
const VALIDATORS: u16 = 4;
/// The most validators of a devnet: as many processes on one machine.
const VALIDATORS_MAX: u16 = 16;
/// An address of this machine with a port that is free.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// What a validator writes while it runs.
const LOG: &str = "log";
/// How long a validator may take to say where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// How often it is looked whether a validator has ended, and whether there is a block.
const LOOK: Duration = Duration::from_millis(100);

/// Runs a network on this machine
///
/// Four validators in processes of their own agree on a block every 500 ms over real connections; with --validators 1
/// one of them makes blocks by itself, in this process. The network gives money away, and serves the chain API. Its keys
/// are known to everybody: nothing on it is worth anything. Ctrl-C stops it; the next start goes on from there. With
/// --network FILE it runs another chain spec whose only seat is the known key NAME/0/consensus.
#[derive(Debug, Args)]
pub struct DevnetArgs {
    /// How many validators it has: 4, or as many as the folder's network has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(VALIDATORS_MAX)))]
    validators: Option<u16>,
    /// Where the chains are kept; `devnet` under the data directory without it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Throws the network in that folder away and begins anew
    #[arg(long)]
    fresh: bool,
    /// Where the chain API of the first validator listens, 127.0.0.1:8000 where nobody says otherwise; the others take
    /// the ports after it
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Milliseconds between two blocks; 500 without it, 0 as fast as can be agreed on
    #[arg(long, value_name = "MS")]
    interval_ms: Option<u64>,
}

/// Runs it until it is told to stop.
pub fn run(args: &DevnetArgs, context: &Context) -> Result<(), Failure> {
    let dir = args.dir.clone().unwrap_or_else(|| context.data_dir.join(DEVNET));
    if context.network != DEVNET {
        if args.validators.is_some_and(|count| count > 1) {
            let words = "--validators makes a devnet of its own; ".to_owned()
                + &format!("{} has the validators that it names", context.network);
            return Err(Failure::new(Exit::Usage, words));
        }
        return run_alone(args, &dir, context);
    }
    match found(&dir)? {
        Found::Nothing => {}
        _ if args.fresh => {}
        Found::One if args.validators.is_none() => return run_alone(args, &dir, context),
        Found::Several(genesis) if args.validators.is_none() => {
            let count = genesis.spec.validators.len();
            return run_many(args, u16::try_from(count).unwrap_or(VALIDATORS_MAX), &dir, context);
        }
        found => found.check(args.validators.unwrap_or(VALIDATORS), &dir)?,
    }
    match args.validators.unwrap_or(VALIDATORS) {
        1 => run_alone(args, &dir, context),
        count => run_many(args, count, &dir, context),
    }
}

/// What a folder holds.
enum Found {
    Nothing,
    /// The chain of a devnet of one validator.
    One,
    /// The network of several.
    Several(Genesis),
}

fn found(dir: &Path) -> Result<Found, Failure> {
    let spec = dir.join(SPEC);
    if spec.is_file() {
        let (_, _, genesis) = super::genesis::load(&spec.display().to_string())?;
        return Ok(Found::Several(genesis));
    }
    // A proof without a chain is what a restore left that did not end: it is of one validator, and refused as such.
    let one = dir.join(super::chain_dir::STORE).is_dir() || dir.join(super::chain_dir::TRUST).is_file();
    Ok(if one { Found::One } else { Found::Nothing })
}

impl Found {
    /// Demands that the network of a folder has so many validators: another number is another network.
    fn check(&self, count: u16, dir: &Path) -> Result<(), Failure> {
        let there = match self {
            Self::Nothing => return Ok(()),
            Self::One => 1,
            Self::Several(genesis) => genesis.spec.validators.len(),
        };
        if there == usize::from(count) {
            return Ok(());
        }
        let words = format!("{} holds a devnet of {there} validators, not of {count}", dir.display());
        Err(Failure::new(Exit::Refused, words)
            .hint("leave out --validators, name another folder with --dir, or throw this one away with --fresh"))
    }
}

/// The only validator of a network, in this process.
fn run_alone(args: &DevnetArgs, dir: &Path, context: &Context) -> Result<(), Failure> {
    let flags = args.listen.map(|address| ("api.listen", address.to_string()));
    let interval = args.interval_ms.map(|ms| ("chain.interval", format!("{ms}ms")));
    let config = context.node_config(&flags.into_iter().chain(interval).collect::<Vec<_>>())?;
    // All that can be refused without the folder is, before the folder is made or anything in it is thrown away.
    let (_, text, genesis) = super::genesis::load(&context.network)?;
    check_alone(&genesis)?;
    let identity = Identity::known(&genesis, 0)?;
    let listener = running::listen(config.api.listen)?;
    let folder = ChainDir::lock(Some(dir), context)?;
    if args.fresh {
        clear(&folder)?;
    }
    let node = run_node::Node { folder: &folder, genesis, text, identity, ports: Ports::Any, until: Until::Told };
    run_node::start(node, &config, listener, context)
}

/// Demands that the known key has the only seat of the network's first two epochs.
fn check_alone(genesis: &Genesis) -> Result<(), Failure> {
    let key = known_key(&format!("{}/0/consensus", genesis.spec.name)).public();
    for (epoch, set) in genesis.sets.iter().enumerate() {
        if set.keys() != [key] {
            let seats = set.keys().len();
            let why = format!("the key {key} cannot make blocks alone: epoch {epoch} has {seats} seats");
            return Err(Failure::new(Exit::Failed, why));
        }
    }
    Ok(())
}

/// A validator in a process of its own. Its standard input is a pipe of this process: it stops when that ends.
struct Validator {
    child: Child,
    url: String,
}

/// A validator that has not said yet where it listens.
struct Starting {
    child: Child,
    said: Receiver<std::io::Result<String>>,
    log: PathBuf,
}

fn run_many(args: &DevnetArgs, count: u16, dir: &Path, context: &Context) -> Result<(), Failure> {
    let begun = Instant::now();
    let flags: Vec<_> = args.listen.map(|address| ("api.listen", address.to_string())).into_iter().collect();
    let config = context.node_config(&flags)?;
    // All that can be refused without the folder is, before the folder is made or anything in it is thrown away.
    for n in 0..count {
        drop(running::listen(api_of(config.api.listen, n))?);
    }
    let folder = ChainDir::lock(Some(dir), context)?;
    if args.fresh {
        clear(&folder)?;
    }
    let spec = folder.path().join(SPEC);
    if !spec.exists() {
        context.say(&format!("Writing the chain spec of {count} validators to {} ...", spec.display()));
        write_spec(&spec, count)?;
    }
    let (_, _, genesis) = super::genesis::load(&spec.display().to_string())?;
    context.say(&format!("Starting {count} validators ..."));
    let mut starting = Vec::new();
    for n in 0..count {
        match spawn(args, config.api.listen, &genesis, folder.path(), n) {
            Ok(child) => starting.push(child),
            Err(failure) => {
                stop(starting.into_iter().map(|child| child.child).collect());
                return Err(failure);
            }
        }
    }
    let mut validators = started(starting)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Failed, format!("no threads to wait with: {error}")))?;
    let greeted = greet(&validators, &genesis, folder.path(), context);
    let outcome = greeted.and_then(|()| runtime.block_on(wait(&mut validators, begun, context)));
    if outcome.is_ok() {
        context.say("Stopping ...");
    }
    stop(validators.into_iter().map(|validator| validator.child).collect());
    if outcome.is_ok() {
        context.say("Stopped.");
    }
    outcome
}

/// Removes what a devnet keeps, of one validator or of several, and nothing else.
fn clear(folder: &ChainDir) -> Result<(), Failure> {
    folder.clear()?;
    let dir = folder.path();
    let cannot = |error: std::io::Error| Failure::new(Exit::Failed, format!("{}: {error}", dir.display()));
    let gone = |removed: std::io::Result<()>| match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(cannot(error)),
        _ => Ok(()),
    };
    for n in 0..VALIDATORS_MAX {
        gone(fs::remove_dir_all(dir.join(format!("node-{n}"))))?;
        gone(fs::remove_file(dir.join(format!("node-{n}.{LOG}"))))?;
    }
    gone(fs::remove_file(dir.join(SPEC)))
}

/// Writes the chain spec, with ports that are free now and stay those of the network.
fn write_spec(spec: &Path, count: u16) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::new(Exit::Failed, format!("no free ports on this machine: {error}"));
    let free = |_| -> std::io::Result<(TcpListener, UdpSocket)> {
        Ok((TcpListener::bind(ANY_PORT)?, UdpSocket::bind(ANY_PORT)?))
    };
    // All are held until the last is found, so that none is found twice.
    let held = (0..count).map(free).collect::<Result<Vec<_>, _>>().map_err(cannot)?;
    let address = |(tcp, udp): &(TcpListener, UdpSocket)| -> std::io::Result<(String, String)> {
        let network = format!("/ip4/127.0.0.1/udp/{}/quic-v1", udp.local_addr()?.port());
        Ok((tcp.local_addr()?.to_string(), network))
    };
    let addresses = held.iter().map(address).collect::<Result<Vec<_>, _>>().map_err(cannot)?;
    let text = devnet_of(&addresses).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    // Whole or not at all: a devnet is begun by its spec.
    let part = spec.with_extension("part");
    fs::write(&part, text)
        .and_then(|()| fs::rename(&part, spec))
        .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", spec.display())))
}

/// Where the API of a validator listens.
fn api_of(first: SocketAddr, n: u16) -> SocketAddr {
    let port = if first.port() == 0 { 0 } else { first.port().saturating_add(n) };
    SocketAddr::new(first.ip(), port)
}

/// Starts a validator.
fn spawn(args: &DevnetArgs, api: SocketAddr, genesis: &Genesis, dir: &Path, n: u16) -> Result<Starting, Failure> {
    let node = dir.join(format!("node-{n}"));
    let cannot =
        |error: std::io::Error| Failure::new(Exit::Failed, format!("validator {n} cannot be started: {error}"));
    fs::create_dir_all(&node).map_err(cannot)?;
    let path = dir.join(format!("node-{n}.{LOG}"));
    let log = fs::File::options().create(true).append(true).open(&path).map_err(cannot)?;
    let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
    command
        .args(["--json", "--network"])
        .arg(dir.join(SPEC))
        .args(["node", "run", "--until-eof", "--known-seat", &n.to_string(), "--listen"])
        .arg(api_of(api, n).to_string())
        .arg("--dir")
        .arg(&node)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log);
    // What a configuration says of one node's addresses would be said of all of them.
    let key = known_key(&format!("{DEVNET}/{n}/consensus")).public();
    let mut own = genesis.spec.validators.iter().map(|validator| &validator.registration);
    if let Some(own) = own.find(|own| own.consensus.key == key) {
        let planes = [("--consensus-listen", &own.consensus_addresses), ("--p2p-listen", &own.network_addresses)];
        for (option, addresses) in planes {
            for text in addresses.iter() {
                command.arg(option).arg(String::from_utf8_lossy(text).as_ref());
            }
        }
    }
    if let Some(interval) = args.interval_ms {
        command.args(["--interval-ms", &interval.to_string()]);
    }
    let mut child = command.spawn().map_err(cannot)?;
    let stdout = child.stdout.take().expect("a pipe was asked for");
    let (say, said) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        // Whoever waited may have gone.
        let _ = say.send(read.map(|_| line));
    });
    Ok(Starting { child, said, log: path })
}

/// Waits until all of them have said where they listen; otherwise none stays.
fn started(starting: Vec<Starting>) -> Result<Vec<Validator>, Failure> {
    let until = Instant::now() + START_TIMEOUT;
    let mut validators = Vec::new();
    let mut failed = None;
    for (n, Starting { child, said, log }) in starting.into_iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        let line = said.recv_timeout(left).ok().and_then(Result::ok).unwrap_or_default();
        let url = serde_json::from_str::<Value>(&line).ok().and_then(|value| value["url"].as_str().map(str::to_owned));
        if url.is_none() && failed.is_none() {
            failed = Some((n, log));
        }
        validators.push(Validator { child, url: url.unwrap_or_default() });
    }
    let Some((n, log)) = failed else { return Ok(validators) };
    stop(validators.into_iter().map(|validator| validator.child).collect());
    let words = format!("validator {n} did not start: {}", reason(&fs::read_to_string(&log).unwrap_or_default()));
    Err(Failure::new(Exit::Failed, words).hint(format!("its log is {}", log.display())))
}

/// Why a validator ended, by the last lines of its log.
fn reason(log: &str) -> String {
    let said = |line: &str| serde_json::from_str::<Value>(line).ok()?["error"]["message"].as_str().map(str::to_owned);
    log.lines().rev().take(16).find_map(said).unwrap_or_else(|| "it says no reason".to_owned())
}

fn greet(validators: &[Validator], genesis: &Genesis, dir: &Path, context: &Context) -> Result<(), Failure> {
    let urls: Vec<&str> = validators.iter().map(|validator| validator.url.as_str()).collect();
    let pids: Vec<u32> = validators.iter().map(|validator| validator.child.id()).collect();
    let faucet = genesis.spec.faucet.map(|address| address.to_string()).unwrap_or_default();
    if context.output == Output::Json {
        let height = client(urls[0]).get::<Status>("/api/v1/status")?.height;
        return context.json(json!({
            "url": urls[0], "urls": urls, "pids": pids, "data_dir": dir, "genesis": genesis.id().to_string(),
            "faucet": faucet, "height": height,
        }));
    }
    let interval = genesis.spec.params.interval_ms;
    context.print(&format!("cpc devnet: {} validators, a block every {interval} ms", validators.len()))?;
    for (n, (url, pid)) in urls.iter().zip(&pids).enumerate() {
        let what = if n == 0 { "chain API " } else { "          " };
        context.print(&format!("  {what} {url}/api/v1/status  (validator {n}, process {pid})"))?;
    }
    context.print(&format!("  genesis    {}", genesis.id()))?;
    context.print(&format!("  data       {}", dir.display()))?;
    running::money(urls[0], &faucet, context)?;
    context.say("Ctrl-C stops it; the next start goes on from here, with --fresh from the beginning.");
    Ok(())
}

fn client(url: &str) -> Client {
    Client::new(url, Duration::from_secs(5))
}

/// Waits until somebody stops it, or until a validator ends by itself.
async fn wait(validators: &mut [Validator], begun: Instant, context: &Context) -> Result<(), Failure> {
    let [mut interrupt, mut terminate] = running::signals()?;
    let first = client(&validators[0].url);
    let tip = move || first.get::<Status>("/api/v1/status").map(|status| status.height).ok();
    let ahead = tokio::task::spawn_blocking(move || {
        let before = tip()?;
        loop {
            let height = tip()?;
            if height > before {
                return Some(height);
            }
            thread::sleep(LOOK);
        }
    });
    let mut ahead = std::pin::pin!(ahead);
    let mut said = false;
    loop {
        tokio::select! {
            biased;
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            height = &mut ahead, if !said => {
                said = true;
                if let Ok(Some(height)) = height {
                    let after = begun.elapsed().as_millis();
                    context.say(&format!("Block {height} is final, {}.{} s after the start.", after / 1_000, after % 1_000 / 100));
                }
            }
            () = tokio::time::sleep(LOOK) => {
                if let Some((n, status)) = first_end(validators) {
                    context.say("The others are stopped.");
                    let pid = validators[n].child.id();
                    let words = format!("validator {n} (process {pid}) ended by itself: {status}");
                    return Err(Failure::new(Exit::Failed, words).hint("its log stands beside its folder"));
                }
            }
        }
    }
}

fn first_end(validators: &mut [Validator]) -> Option<(usize, ExitStatus)> {
    let ended = |(n, validator): (usize, &mut Validator)| Some((n, validator.child.try_wait().ok()??));
    validators.iter_mut().enumerate().find_map(ended)
}

/// Stops all of them in order, and ends by force whoever does not.
fn stop(children: Vec<Child>) {
    for child in &children {
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            // One that has ended already cannot be told.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
    for mut child in children {
        let begun = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if begun.elapsed() > STOP_TIMEOUT {
                // It would be left behind otherwise.
                let _ = child.kill();
                let _ = child.wait();
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_error_of_the_log() {
        let log = "INFO started\n{\"version\":1,\"error\":{\"code\":1,\"message\":\"old\",\"hint\":null}}\nINFO again\n\
                   {\"version\":1,\"error\":{\"code\":1,\"message\":\"the port is taken\",\"hint\":null}}\nbye\n";
        assert_eq!(reason(log), "the port is taken");
        assert_eq!(reason("nothing"), "it says no reason");
    }

    #[test]
    fn the_validators_listen_one_port_after_the_other_or_anywhere() {
        let ports =
            |first: &str| (0..3).map(|n| api_of(first.parse().expect("an address"), n).port()).collect::<Vec<_>>();
        assert_eq!(ports("127.0.0.1:8000"), [8000, 8001, 8002]);
        assert_eq!(ports("127.0.0.1:0"), [0, 0, 0]);
        assert_eq!(ports("127.0.0.1:65535"), [65_535; 3]);
    }
}
