//! `cpc devnet`: a network on this machine, with money to play with.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use clap::Args;
use cpc_genesis::{devnet_of, known_key};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::chain_dir::ChainDir;
use super::run_node::{self, Place};
use super::{Context, Exit, Failure, Output};

/// Where the only seat of a devnet waits for others; there are none.
const ALONE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// The chain spec of a devnet of several validators.
const SPEC: &str = "genesis.toml";
/// The most validators of a devnet: as many processes on one machine.
const VALIDATORS_MAX: u16 = 16;
/// What a validator writes while it runs.
const LOG: &str = "node.log";
/// How long a validator may take to say where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs a network on this machine
///
/// One validator makes a block every 500 ms by itself; with --validators N so many processes agree on them over real
/// connections. It gives money away, and serves the chain API. Its keys are known to everybody: nothing on it is worth
/// anything. Ctrl-C stops it; the next start goes on from there. With --network FILE it runs another chain spec whose
/// only seat is the known key NAME/0/consensus.
#[derive(Debug, Args)]
pub struct DevnetArgs {
    /// How many validators it has
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(VALIDATORS_MAX)))]
    validators: u16,
    /// Where the chain is kept; `devnet`, or `devnet-N` for several validators, under the data directory without it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Throws the chain in that folder away and begins anew
    #[arg(long)]
    fresh: bool,
    /// Where the chain API of the first validator listens; the others take the ports after it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Milliseconds between two blocks; 500 without it, 0 as fast as can be agreed on
    #[arg(long, value_name = "MS")]
    interval_ms: Option<u64>,
}

/// Runs it until it is told to stop.
pub fn run(args: &DevnetArgs, context: &Context) -> Result<(), Failure> {
    if args.validators > 1 {
        return run_many(args, context);
    }
    check_alone(context)?;
    let place =
        Place { known_seat: 0, consensus_listen: Some(ALONE), interval: args.interval_ms.map(Duration::from_millis) };
    let listener = run_node::listen(args.listen)?;
    run_node::run_in(args.dir.as_deref(), args.fresh, &place, listener, context)
}

/// Demands that the known key has the only seat of the network's first two epochs.
fn check_alone(context: &Context) -> Result<(), Failure> {
    let (_, _, genesis) = super::genesis::load(&context.network)?;
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

/// A validator in a process of its own.
struct Validator {
    child: Child,
    url: String,
}

fn run_many(args: &DevnetArgs, context: &Context) -> Result<(), Failure> {
    if context.network != "devnet" {
        let why =
            format!("--validators makes a devnet of its own; {} has the validators that it names", context.network);
        return Err(Failure::new(Exit::Usage, why));
    }
    let default = context.data_dir.join(format!("devnet-{}", args.validators));
    let dir = args.dir.clone().unwrap_or(default);
    let folder = ChainDir::lock(Some(&dir), context)?;
    let spec = folder.path().join(SPEC);
    if args.fresh {
        clear(folder.path())?;
    }
    if !spec.exists() {
        write_spec(&spec, args.validators)?;
    }
    let mut validators = Vec::new();
    for n in 0..args.validators {
        match start(args, folder.path(), n) {
            Ok(validator) => validators.push(validator),
            Err(failure) => {
                stop(validators);
                return Err(failure);
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Failed, format!("no threads to wait with: {error}")))?;
    let greeted = greet(&validators, folder.path(), context);
    let outcome = greeted.and_then(|()| runtime.block_on(wait(&mut validators, context)));
    if outcome.is_ok() {
        context.say("Stopping ...");
    }
    stop(validators);
    if outcome.is_ok() {
        context.say("Stopped.");
    }
    outcome
}

/// Removes what a devnet of several validators keeps, and nothing else.
fn clear(dir: &Path) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::new(Exit::Failed, format!("{}: {error}", dir.display()));
    for n in 0..VALIDATORS_MAX {
        let node = dir.join(format!("node-{n}"));
        if node.exists() {
            fs::remove_dir_all(node).map_err(cannot)?;
        }
    }
    match fs::remove_file(dir.join(SPEC)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(cannot(error)),
        _ => Ok(()),
    }
}

/// Writes the chain spec, with ports that are free now and stay those of the network.
fn write_spec(spec: &Path, count: u16) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::new(Exit::Failed, format!("no free ports on this machine: {error}"));
    let free =
        |_| -> std::io::Result<(TcpListener, UdpSocket)> { Ok((TcpListener::bind(ALONE)?, UdpSocket::bind(ALONE)?)) };
    // All are held until the last is found, so that none is found twice.
    let held = (0..count).map(free).collect::<Result<Vec<_>, _>>().map_err(cannot)?;
    let address = |(tcp, udp): &(TcpListener, UdpSocket)| -> std::io::Result<(String, String)> {
        let network = format!("/ip4/127.0.0.1/udp/{}/quic-v1", udp.local_addr()?.port());
        Ok((tcp.local_addr()?.to_string(), network))
    };
    let addresses = held.iter().map(address).collect::<Result<Vec<_>, _>>().map_err(cannot)?;
    let text = devnet_of(&addresses).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    fs::write(spec, text).map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", spec.display())))
}

/// Starts a validator and waits until it says where it listens.
fn start(args: &DevnetArgs, dir: &Path, n: u16) -> Result<Validator, Failure> {
    let node = dir.join(format!("node-{n}"));
    let cannot =
        |error: std::io::Error| Failure::new(Exit::Failed, format!("validator {n} cannot be started: {error}"));
    fs::create_dir_all(&node).map_err(cannot)?;
    let log_path = dir.join(format!("node-{n}.{LOG}"));
    let log = fs::File::options().create(true).append(true).open(&log_path).map_err(cannot)?;
    let port = if args.listen.port() == 0 { 0 } else { args.listen.port().saturating_add(n) };
    let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
    command
        .args(["--json", "--network"])
        .arg(dir.join(SPEC))
        .args(["node", "run", "--known-seat", &n.to_string(), "--listen"])
        .arg(SocketAddr::new(args.listen.ip(), port).to_string())
        .arg("--dir")
        .arg(&node)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    if let Some(interval) = args.interval_ms {
        command.args(["--interval-ms", &interval.to_string()]);
    }
    let mut child = command.spawn().map_err(cannot)?;
    let stdout = child.stdout.take().expect("a pipe was asked for");
    let (said, heard) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        // Whoever waited may have gone.
        let _ = said.send(read.map(|_| line));
    });
    let line = heard.recv_timeout(START_TIMEOUT).ok().and_then(Result::ok).unwrap_or_default();
    let url = serde_json::from_str::<Value>(&line).ok().and_then(|value| value["url"].as_str().map(str::to_owned));
    match url {
        Some(url) => Ok(Validator { child, url }),
        None => {
            stop(vec![Validator { child, url: String::new() }]);
            let why = format!("validator {n} did not start; {} says why", log_path.display());
            Err(Failure::new(Exit::Failed, why))
        }
    }
}

fn greet(validators: &[Validator], dir: &Path, context: &Context) -> Result<(), Failure> {
    let urls: Vec<&str> = validators.iter().map(|validator| validator.url.as_str()).collect();
    let pids: Vec<u32> = validators.iter().map(|validator| validator.child.id()).collect();
    if context.output == Output::Json {
        return context.json(json!({ "url": urls[0], "urls": urls, "pids": pids, "data_dir": dir }));
    }
    context.print(&format!("cpc devnet: {} validators in processes of their own", validators.len()))?;
    for (n, (url, pid)) in urls.iter().zip(&pids).enumerate() {
        context.print(&format!("  validator {n}  {url}/api/v1/status  (process {pid})"))?;
    }
    context.print(&format!("  data         {}", dir.display()))?;
    context.print("")?;
    context.say("Ctrl-C stops it; the next start goes on from here, with --fresh from the beginning.");
    Ok(())
}

/// Waits until somebody stops it, or until a validator ends by itself.
async fn wait(validators: &mut [Validator], context: &Context) -> Result<(), Failure> {
    let [mut interrupt, mut terminate] = run_node::signals()?;
    let pids: Vec<u32> = validators.iter().map(|validator| validator.child.id()).collect();
    let first_end = async {
        let mut pause = tokio::time::interval(Duration::from_millis(200));
        loop {
            pause.tick().await;
            for (n, validator) in validators.iter_mut().enumerate() {
                if let Ok(Some(status)) = validator.child.try_wait() {
                    return (n, status);
                }
            }
        }
    };
    tokio::select! {
        biased;
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        (n, status) = first_end => {
            context.say("The others are stopped.");
            let why = format!("validator {n} (process {}) ended by itself: {status}", pids[n]);
            Err(Failure::new(Exit::Failed, why).hint("its log stands beside its folder"))
        }
    }
}

/// Stops all of them in order, and ends by force whoever does not.
fn stop(validators: Vec<Validator>) {
    for validator in &validators {
        if let Some(pid) = i32::try_from(validator.child.id()).ok().and_then(Pid::from_raw) {
            // One that has ended already cannot be told.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
    for mut validator in validators {
        let begun = std::time::Instant::now();
        while matches!(validator.child.try_wait(), Ok(None)) {
            if begun.elapsed() > STOP_TIMEOUT {
                // It would be left behind otherwise.
                let _ = validator.child.kill();
                let _ = validator.child.wait();
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}
