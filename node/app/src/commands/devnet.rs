//! `cpc devnet`: a network on this machine, with money to play with.

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;
use cpc_engine::LinkError;
use cpc_genesis::{known_beacon_chain, known_key};
use cpc_primitives::{Epoch, SecretKey};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::chain_dir::{ChainDir, fault_exit};
use super::{Context, Exit, Failure, Output};
use crate::chain::Chain;
use crate::node::{Node, NodeError, Seat};

/// Where the only seat of a devnet waits for others; there are none.
const CONSENSUS_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// The folder of the seat's votes inside the chain's.
const VOTES: &str = "votes";

/// Runs a network of one validator on this machine
///
/// Makes a block every 500 ms through the real ledger and store, gives money away, and serves the chain API. Its keys
/// are known to everybody: nothing on it is worth anything. Ctrl-C stops it; the next start goes on from there.
/// With --network FILE it runs another chain spec whose only seat is the known key NAME/0/consensus.
#[derive(Debug, Args)]
pub struct DevnetArgs {
    /// Where the chain is kept; `devnet` under the data directory without it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Throws the chain in that folder away and begins anew
    #[arg(long)]
    fresh: bool,
    /// Where the chain API listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
}

/// Runs it until it is told to stop.
pub fn run(args: &DevnetArgs, context: &Context) -> Result<(), Failure> {
    // All that can be refused without the folder is, before the folder is made or anything in it is thrown away.
    let (_, text, genesis) = super::genesis::load(&context.network)?;
    let key = known_key(&format!("{}/0/consensus", genesis.spec.name));
    let listener = listen(args.listen)?;
    let folder = ChainDir::lock(args.dir.as_deref(), context)?;
    if args.fresh {
        folder.clear()?;
    }
    let chain = Arc::new(folder.open_loaded(genesis, text)?);

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("no threads to serve with: {error}")))?;
    runtime.block_on(serve(listener, folder.path(), chain, key, context))
}

fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener)).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot listen on {address}: {error}"))
            .hint("something else uses this port; choose another with --listen 127.0.0.1:8001")
    })
}

async fn serve(
    listener: TcpListener,
    dir: &Path,
    chain: Arc<Chain>,
    key: SecretKey,
    context: &Context,
) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::new(Exit::Failed, format!("cannot listen: {error}"));
    let address = listener.local_addr().map_err(cannot)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(cannot)?;

    let genesis = chain.genesis();
    let beacon = known_beacon_chain(&format!("{}/0", genesis.spec.name), genesis.spec.params.beacon_steps);
    let seat =
        Seat { key, beacon, votes_from: Epoch(0), listen: CONSENSUS_LISTEN, dir: dir.join(VOTES), interval: None };
    let mut node = Node::start(Arc::clone(&chain), seat, listener).map_err(|error| node_failure(&error))?;

    let [mut interrupt, mut terminate] = signals()?;
    let greeted = greet(address, dir, &chain, context);
    let line = live_line(&chain, context);
    let outcome = if let Err(failure) = greeted {
        Err(failure)
    } else {
        tokio::select! {
            biased;
            error = node.ended() => Err(node_failure(&error)),
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        }
    };
    line.finish_and_clear();
    if outcome.is_ok() {
        context.say("Stopping ...");
    }
    node.stop().await;
    if outcome.is_ok() {
        context.say(&format!("Stopped at height {}.", chain.tip().header.height));
    }
    outcome
}

/// The signals that ask the process to end. They are caught from here on, so that nobody who has read that the node is
/// there ends it without its stop.
fn signals() -> Result<[Signal; 2], Failure> {
    let catch = |kind: SignalKind| {
        signal(kind).map_err(|error| Failure::new(Exit::Failed, format!("signals cannot be caught: {error}")))
    };
    Ok([catch(SignalKind::interrupt())?, catch(SignalKind::terminate())?])
}

fn greet(address: SocketAddr, dir: &Path, chain: &Chain, context: &Context) -> Result<(), Failure> {
    let genesis = chain.genesis();
    let faucet = genesis.spec.faucet.map(|address| address.to_string()).unwrap_or_default();
    let url = format!("http://{address}");
    if context.output == Output::Json {
        context.json(json!({
            "url": url, "genesis": genesis.id().to_string(), "data_dir": dir, "faucet": faucet,
            "height": chain.tip().header.height.0,
        }))?;
        return Ok(());
    }
    context.print(&format!(
        "cpc {}: one validator, a block every {} ms",
        genesis.spec.name,
        chain.params().interval_ms
    ))?;
    context.print(&format!("  chain API  {url}/api/v1/status"))?;
    context.print(&format!("  genesis    {}", genesis.id()))?;
    context.print(&format!("  data       {}", dir.display()))?;
    context.print("")?;
    context.print("A balance, to paste into another terminal:")?;
    context.print(&format!("  curl {url}/api/v1/accounts/{faucet}"))?;
    context.print("")?;
    context.print("A key and some money:")?;
    context.print("  cpc keys create alice && cpc faucet request --to alice")?;
    context.print("")?;
    context.say("Ctrl-C stops it; the next start goes on from here, with --fresh from the beginning.");
    Ok(())
}

/// A line that moves, where somebody looks.
fn live_line(chain: &Arc<Chain>, context: &Context) -> ProgressBar {
    if context.quiet || context.output == Output::Json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg}").expect("a valid template");
    let line = ProgressBar::new_spinner().with_style(style);
    let (weak, chain) = (line.downgrade(), Arc::downgrade(chain));
    thread::spawn(move || {
        while let (Some(line), Some(chain)) = (weak.upgrade(), chain.upgrade()) {
            if line.is_finished() {
                break;
            }
            let tip = chain.tip();
            line.set_message(format!(
                "height {}  waiting {}  state {:.16}",
                tip.header.height,
                chain.pending_count(),
                tip.header.state_root
            ));
            line.tick();
            drop((line, chain));
            thread::sleep(Duration::from_millis(250));
        }
    });
    line
}

fn node_failure(error: &NodeError) -> Failure {
    let failure = Failure::new(Exit::Failed, error.to_string());
    match error {
        NodeError::Fault(fault) => Failure::new(fault_exit(fault), fault.to_string()),
        NodeError::Link(LinkError::Listen { .. }) => {
            failure.hint("another node runs with this seat, or something else uses its port")
        }
        _ => failure,
    }
}
