//! A node in this process until it is told to stop: by a signal, by its owner, or by the end of its standard input.

use std::io::IsTerminal;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cpc_engine::LinkError;
use cpc_primitives::PublicKey;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::chain_dir::fault_exit;
use super::{Context, Exit, Failure, Output};
use crate::chain::Chain;
use crate::control::{self, Control, When};
use crate::node::{Node, NodeError, Setup};

/// How often the line that moves is written anew.
const LINE_PAUSE: Duration = Duration::from_millis(250);

/// How long reads of the disk that are under way may take when the node stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked whether the disk is closed.
const CLOSE_LOOK: Duration = Duration::from_millis(2);

/// What ends a node beside signals and its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Nothing else.
    Told,
    /// The end of its standard input: whoever started it has gone.
    InputEnds,
}

/// Takes the address of the API.
pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener)).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot listen on {address}: {error}"))
            .hint("something else uses this port; choose another with --listen 127.0.0.1:8001")
    })
}

/// Runs a node over the chain of a folder.
pub(super) fn run(
    listener: TcpListener,
    dir: &Path,
    chain: Arc<Chain>,
    setup: Setup,
    until: Until,
    context: &Context,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("no threads to serve with: {error}")))?;
    let open = Arc::downgrade(&chain);
    let done = runtime.block_on(serve(listener, dir, chain, setup, until, context));
    runtime.shutdown_timeout(CLOSE_TIMEOUT);
    // The disk is closed before the process ends: what ends with it takes the disk's locks away from whoever still reads.
    let begun = Instant::now();
    while open.strong_count() > 0 && begun.elapsed() < CLOSE_TIMEOUT {
        thread::sleep(CLOSE_LOOK);
    }
    done
}

async fn serve(
    listener: TcpListener,
    dir: &Path,
    chain: Arc<Chain>,
    setup: Setup,
    until: Until,
    context: &Context,
) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::new(Exit::Failed, format!("cannot listen: {error}"));
    let address = listener.local_addr().map_err(cannot)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(cannot)?;
    let seat = setup.seat.as_ref().map(|seat| seat.key.public());

    let mut node = Node::start(Arc::clone(&chain), setup, listener).await.map_err(|error| node_failure(&error))?;

    let cannot = |error: std::io::Error| Failure::new(Exit::Failed, format!("no way in for the owner: {error}"));
    let control = Control::open(dir).map_err(cannot)?;
    let (stop, told) = mpsc::channel(4);
    let (seen, checks) = (node.seen().clone(), node.seen().clone());
    let owner = stop.clone();
    let answers = control::answers(
        Arc::clone(&chain),
        move || seen.peers(),
        move || checks.checks(),
        move |when| {
            // Whoever asks more often than it is heard changes nothing.
            let _ = owner.try_send(when);
        },
    );
    let owner = tokio::spawn(async move { control.serve(answers).await });
    if until == Until::InputEnds {
        thread::spawn(move || {
            // What is written there means nothing; its end does, and so does an input that cannot be read.
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            let _ = stop.blocking_send(When::Now);
        });
    }

    let [mut interrupt, mut terminate] = signals()?;
    let greeted = greet(address, dir, &node, seat, context);
    let line = live_line(&chain, context);
    let outcome = if let Err(failure) = greeted {
        Err(failure)
    } else {
        tokio::select! {
            biased;
            error = node.ended() => Err(node_failure(&error)),
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
            () = time_to_stop(told, &chain, seat) => Ok(()),
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

/// Waits until somebody wants the node to stop, and until it is safe where that was the wish.
async fn time_to_stop(mut told: mpsc::Receiver<When>, chain: &Chain, seat: Option<PublicKey>) {
    let mut heads = chain.heads();
    let mut waits = false;
    loop {
        if waits && is_safe(chain, seat) {
            return;
        }
        tokio::select! {
            biased;
            when = told.recv() => match when {
                // A second wish may be more urgent.
                Some(When::Now) => return,
                Some(When::Safe) => waits = true,
                None => std::future::pending().await,
            },
            changed = heads.changed(), if waits => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// Whether no block is missed when the node stops now: seats propose in turn, and its turn was just over.
///
/// The next epoch has another order, so that its first blocks are not waited into.
fn is_safe(chain: &Chain, seat: Option<PublicKey>) -> bool {
    let Some(key) = seat else { return true };
    let Ok(seats) = chain.epoch_seats(None) else { return true };
    let Some(seats) = seats.seats.filter(|seats| seats.seat_of(&key).is_some()) else { return true };
    let count = u64::try_from(seats.seats().len()).unwrap_or(u64::MAX);
    let (header, blocks) = (chain.tip().header, chain.params().epoch_blocks);
    let left = blocks.saturating_sub(1).saturating_sub(header.height.0.checked_rem(blocks).unwrap_or(0));
    // Without another seat nobody makes the blocks that are missed.
    count == 1 || (header.proposer == key && left >= count.saturating_sub(1).min(blocks / 2))
}

/// The signals that ask the process to end. They are caught from here on, so that nobody who has read that the node is
/// there ends it without its stop.
pub(super) fn signals() -> Result<[Signal; 2], Failure> {
    let catch = |kind: SignalKind| {
        signal(kind).map_err(|error| Failure::new(Exit::Failed, format!("signals cannot be caught: {error}")))
    };
    Ok([catch(SignalKind::interrupt())?, catch(SignalKind::terminate())?])
}

fn greet(
    address: SocketAddr,
    dir: &Path,
    node: &Node,
    seat: Option<PublicKey>,
    context: &Context,
) -> Result<(), Failure> {
    let chain = node.chain();
    let genesis = chain.genesis();
    let faucet = genesis.spec.faucet.map(|address| address.to_string()).unwrap_or_default();
    let url = format!("http://{address}");
    if context.output == Output::Json {
        return context.json(json!({
            "url": url, "genesis": genesis.id().to_string(), "data_dir": dir, "faucet": faucet,
            "height": chain.tip().header.height.0, "p2p": node.listening,
        }));
    }
    let count = genesis.spec.validators.len();
    let interval = chain.params().interval_ms;
    context.print(&match seat {
        Some(_) if count == 1 => format!("cpc {}: one validator, a block every {interval} ms", genesis.spec.name),
        Some(_) => format!("cpc {}: one of {count} validators, a block every {interval} ms", genesis.spec.name),
        None if count == 1 => format!("cpc {}: a follower of one validator", genesis.spec.name),
        None => format!("cpc {}: a follower of {count} validators", genesis.spec.name),
    })?;
    context.print(&format!("  chain API  {url}/api/v1/status"))?;
    context.print(&format!("  genesis    {}", genesis.id()))?;
    context.print(&format!("  data       {}", dir.display()))?;
    for address in &node.listening {
        context.print(&format!("  network    {address}"))?;
    }
    if !faucet.is_empty() {
        money(&url, &faucet, context)?;
    }
    context.say("Ctrl-C stops it; the next start goes on from here.");
    Ok(())
}

/// What to try first, where a faucet gives money away.
pub(super) fn money(url: &str, faucet: &str, context: &Context) -> Result<(), Failure> {
    context.print("")?;
    context.print("A balance, to paste into another terminal:")?;
    context.print(&format!("  curl {url}/api/v1/accounts/{faucet}"))?;
    context.print("")?;
    context.print("A key and some money:")?;
    context.print("  cpc keys create alice && cpc faucet request --to alice")?;
    context.print("")
}

/// A line that moves, where somebody looks.
fn live_line(chain: &Arc<Chain>, context: &Context) -> ProgressBar {
    let logs = tracing::enabled!(tracing::Level::INFO);
    if context.quiet || logs || context.output == Output::Json || !std::io::stderr().is_terminal() {
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
            let height = tip.header.height.0;
            let target = u64::try_from(chain.metrics().sync_target_height.get()).unwrap_or(0).max(height);
            line.set_message(format!(
                "height {height}/{target}  waiting {}  state {:.16}",
                chain.pending_count(),
                tip.header.state_root
            ));
            line.tick();
            drop((line, chain));
            thread::sleep(LINE_PAUSE);
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
        NodeError::Network(cpc_net::StartError::Listen { .. }) => {
            failure.hint("something else uses this port; choose another with --p2p-listen /ip4/127.0.0.1/tcp/0")
        }
        NodeError::Network(_) => Failure { code: Exit::Usage, ..failure },
        _ => failure,
    }
}
