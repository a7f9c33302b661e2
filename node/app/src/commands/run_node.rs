//! `cpc node run`: one validator of a network on this machine, until it is told to stop.

use std::io::IsTerminal;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;
use cpc_engine::{Chain as _, LinkError};
use cpc_genesis::{Genesis, known_beacon_chain, known_key};
use cpc_primitives::Epoch;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::chain_dir::{ChainDir, fault_exit};
use super::{Context, Exit, Failure, Output};
use crate::chain::Chain;
use crate::control::{self, Control};
use crate::node::{Node, NodeError, Seat};

/// Runs one validator of a network
///
/// Agrees with the other seats over authenticated connections, keeps the chain, and serves the chain API. So far it
/// votes with the known keys of a rehearsal: nothing on such a network is worth anything. Ctrl-C stops it; the next
/// start goes on from there.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Where the chain is kept
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Votes with the known keys of this validator of the network: its place in the chain spec, from 0
    #[arg(long, value_name = "N")]
    known_seat: u32,
    /// Where the chain API listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Where the other seats connect; the address that the seat has registered without it
    #[arg(long, value_name = "ADDRESS")]
    consensus_listen: Option<SocketAddr>,
    /// Milliseconds between two blocks; the network's own pace without it, 0 as fast as can be agreed on
    #[arg(long, value_name = "MS")]
    interval_ms: Option<u64>,
}

/// Runs it until it is told to stop.
pub(super) fn run(args: &RunArgs, context: &Context) -> Result<(), Failure> {
    let seat = Place {
        known_seat: args.known_seat,
        consensus_listen: args.consensus_listen,
        interval: args.interval_ms.map(Duration::from_millis),
    };
    let listener = listen(args.listen)?;
    run_in(Some(&args.dir), false, &seat, listener, context)
}

/// Which seat a process takes, and how.
pub(super) struct Place {
    /// Whose known keys it has.
    pub(super) known_seat: u32,
    /// Where the other seats connect, if not where the seat says.
    pub(super) consensus_listen: Option<SocketAddr>,
    /// The pace, if not the network's.
    pub(super) interval: Option<Duration>,
}

/// Runs the node of a folder.
pub(super) fn run_in(
    dir: Option<&Path>,
    fresh: bool,
    place: &Place,
    listener: TcpListener,
    context: &Context,
) -> Result<(), Failure> {
    // All that can be refused without the folder is, before the folder is made or anything in it is thrown away.
    let (_, text, genesis) = super::genesis::load(&context.network)?;
    check_known(&genesis, place.known_seat)?;
    let folder = ChainDir::lock(dir, context)?;
    if fresh {
        folder.clear()?;
    }
    let chain = Arc::new(folder.open_loaded(genesis, text)?);
    let seat = seat_of(&chain, place, folder.votes())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("no threads to serve with: {error}")))?;
    runtime.block_on(serve(listener, folder.path(), chain, seat, context))
}

/// Demands that a validator of the network has the known keys of this place.
fn check_known(genesis: &Genesis, place: u32) -> Result<(), Failure> {
    let name = &genesis.spec.name;
    let key = known_key(&format!("{name}/{place}/consensus")).public();
    if genesis.spec.validators.iter().any(|validator| validator.registration.consensus.key == key) {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, format!("no validator of {name} has the known key {name}/{place}/consensus")))
}

/// The seat with its keys, its hash chain and its address.
fn seat_of(chain: &Chain, place: &Place, votes: PathBuf) -> Result<Seat, Failure> {
    let genesis = chain.genesis();
    let label = format!("{}/{}", genesis.spec.name, place.known_seat);
    let key = known_key(&format!("{label}/consensus"));
    let seats = [Epoch(0), Epoch(1)].map(|epoch| chain.seats(epoch).ok().flatten().unwrap_or_default());
    let own = seats.iter().flatten().find(|seat| seat.key == key.public());
    let registered = own.and_then(|seat| seat.addresses.first().copied());
    let listen = place.consensus_listen.or(registered).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("the seat {label} has no address")).hint("say where with --consensus-listen")
    })?;
    Ok(Seat {
        key,
        beacon: known_beacon_chain(&label, genesis.spec.params.beacon_steps),
        votes_from: Some(Epoch(0)),
        listen,
        dir: votes,
        interval: place.interval,
    })
}

/// Takes the address of the API.
pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener)).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot listen on {address}: {error}"))
            .hint("something else uses this port; choose another with --listen 127.0.0.1:8001")
    })
}

async fn serve(
    listener: TcpListener,
    dir: &Path,
    chain: Arc<Chain>,
    seat: Seat,
    context: &Context,
) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::new(Exit::Failed, format!("cannot listen: {error}"));
    let address = listener.local_addr().map_err(cannot)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(cannot)?;

    let mut node = Node::start(Arc::clone(&chain), seat, listener).map_err(|error| node_failure(&error))?;

    let cannot = |error: std::io::Error| Failure::new(Exit::Failed, format!("no way in for the owner: {error}"));
    let control = Control::open(dir).map_err(cannot)?;
    let (stop, mut told) = mpsc::channel(1);
    // A second request to stop changes nothing.
    let told_to = move |_| {
        let _ = stop.try_send(());
    };
    let answers = control::answers(Arc::clone(&chain), Vec::new, Vec::new, told_to);
    let owner = tokio::spawn(async move { control.serve(answers).await });

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
            _ = told.recv() => Ok(()),
        }
    };
    owner.abort();
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
pub(super) fn signals() -> Result<[Signal; 2], Failure> {
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
        "cpc {}: one of {} validators, a block every {} ms",
        genesis.spec.name,
        genesis.spec.validators.len(),
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
