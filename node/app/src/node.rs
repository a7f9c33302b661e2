//! A node that runs: its chain, its seat where it has one, its network plane, its API, and the order in which they begin
//! and end.

use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cpc_engine::{Chain as _, Config, Ended, Link, LinkConfig, MetricsHandle, Pace, Running, Signer, connected};
use cpc_light::{ValidatorSet, namespace};
use cpc_primitives::hash_chain::HashChain;
use cpc_primitives::{Epoch, Fault, PublicKey, SecretKey};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::api::dto::PeerView;
use crate::api::{ApiSettings, Builder};
use crate::chain::{Chain, Check};
use crate::network::{Network, NetworkConfig, Peers, Role};
use crate::openmetrics;

/// Messages of one channel that another seat may send in a second. Mailboxes are made for as many, so that a network of
/// many seats has fewer.
const MESSAGES_FEW_SEATS: u32 = 512;
const MESSAGES_MANY_SEATS: u32 = 128;
/// From so many seats on a network has many.
const MANY_SEATS: u32 = 17;
/// Threads of the validator beside those that execute blocks.
const VALIDATOR_THREADS: usize = 2;
/// How long requests that are under way may take when the node stops.
const API_STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the validators' plane is asked who is connected.
const LOOK: Duration = Duration::from_secs(1);
/// The name of the validators' plane for whoever looks at peers.
const VALIDATORS: &str = "validators";
/// So far behind the highest tip that it has heard of a follower still works.
const BEHIND_MAX: u64 = 20;

/// What a node is told at its start.
#[derive(Debug)]
pub struct Setup {
    /// How it takes part in agreement; nothing where it follows.
    pub seat: Option<Seat>,
    /// How it speaks with other nodes.
    pub network: NetworkConfig,
    /// What its API allows.
    pub api: ApiSettings,
    /// Whether `/metrics` says also what the libraries measure.
    pub library_metrics: bool,
}

/// How a node takes part in agreement.
#[derive(Debug)]
pub struct Seat {
    /// The key that votes.
    pub key: SecretKey,
    /// The hash chain that feeds the beacon.
    pub beacon: HashChain,
    /// The first epoch in which it may.
    pub votes_from: VotesFrom,
    /// Where the other seats connect.
    pub listen: SocketAddr,
    /// The folder of its votes.
    pub dir: PathBuf,
    /// The time between two blocks, where it is not the network's.
    pub interval: Option<Duration>,
    /// How long a proposal is waited for, where that is not what follows from the interval.
    pub leader_timeout: Option<Duration>,
    /// How long an attempt may take, where that is not what follows from it.
    pub certification_timeout: Option<Duration>,
}

/// The first epoch in which a key may vote.
pub enum VotesFrom {
    /// This one.
    Epoch(Epoch),
    /// The one after that in which the network is: the key is new here, and may have voted elsewhere (SAFE-6). What is
    /// found out is kept before the key votes.
    Next(Box<dyn FnOnce(Epoch) -> std::io::Result<()> + Send>),
}

impl fmt::Debug for VotesFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epoch(epoch) => write!(f, "Epoch({epoch})"),
            Self::Next(_) => f.write_str("Next"),
        }
    }
}

/// Why a node did not start, or ended without being told to.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Agreement did not start.
    #[error(transparent)]
    Link(#[from] cpc_engine::LinkError),
    /// The network plane did not start.
    #[error(transparent)]
    Network(#[from] cpc_net::StartError),
    /// This node cannot tell what is right, or cannot write it down.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A part of it ended.
    #[error("{0} ended without being told to; what it said stands in the log")]
    Part(&'static str),
    /// The seat has registered another hash chain.
    #[error("the hash chain at hand is not the one that the seat of {0} has registered to feed the beacon")]
    OtherChain(PublicKey),
    /// The network's parameters cannot be run with.
    #[error("an epoch of this network has {0} blocks; agreement needs at least 2")]
    Epochs(u64),
}

/// A node whose parts run.
pub struct Node {
    chain: Arc<Chain>,
    validator: Option<Validator>,
    network: Network,
    /// Where it listens on the network plane.
    pub listening: Vec<String>,
    seen: Seen,
    stop_api: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

/// Agreement, and whoever watches it.
struct Validator {
    running: Running,
    watcher: JoinHandle<()>,
}

/// What the owner and the API are told of a node beside its chain; cheap to clone, and never waits.
#[derive(Clone)]
pub struct Seen {
    chain: Arc<Chain>,
    /// The key of its seat.
    seat: Option<PublicKey>,
    network: Peers,
    validators: Peers,
    /// What was seen last of the validators' plane.
    plane: Arc<Mutex<PlaneSeen>>,
}

/// What is seen now and then of the validators' plane.
#[derive(Clone, Default)]
struct PlaneSeen {
    /// What the BFT library measures.
    metrics: String,
    /// How many other seats the epoch has, and how many of them have to be connected.
    others: usize,
    needed: usize,
}

impl Seen {
    /// Whom it is connected to, on both planes.
    pub fn peers(&self) -> Vec<PeerView> {
        let mut peers = self.validators.list();
        peers.extend(self.network.list());
        peers
    }

    /// Whether it can do its work, beside what the chain says itself.
    pub fn checks(&self) -> Vec<Check> {
        match self.seat {
            Some(_) => self.quorum().into_iter().collect(),
            None => vec![self.callers(), self.sync()],
        }
    }

    /// Whether enough other seats are connected.
    fn quorum(&self) -> Option<Check> {
        let PlaneSeen { others, needed, .. } = *self.plane();
        let found = self.validators.list().len();
        let evidence = format!("{found} of {others} other seats are connected, {needed} are needed");
        (others > 0).then_some(Check { name: "validators", ok: found >= needed, evidence })
    }

    fn callers(&self) -> Check {
        let found = self.network.list().len();
        let last = self.network.refusal().filter(|_| found == 0);
        let last = last.map_or_else(String::new, |refusal| format!("; the last one was refused: {refusal}"));
        Check { name: "peers", ok: found > 0, evidence: format!("{found} nodes are connected{last}") }
    }

    fn sync(&self) -> Check {
        let (height, target) = (self.chain.tip().height().0, self.chain.metrics().sync_target_height.get());
        let target = u64::try_from(target).unwrap_or(0).max(height);
        let evidence = format!("block {height} of {target} (at most {BEHIND_MAX} behind)");
        Check { name: "sync", ok: target - height <= BEHIND_MAX, evidence }
    }

    fn plane(&self) -> MutexGuard<'_, PlaneSeen> {
        self.plane.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// Starts all of it over a chain that is open. Called within a runtime.
    pub async fn start(chain: Arc<Chain>, setup: Setup, listener: tokio::net::TcpListener) -> Result<Self, NodeError> {
        let Setup { seat, network, api, library_metrics } = setup;
        if let Some(seat) = &seat
            && !chain.feed_beacon(&seat.key.public(), seat.beacon.clone())?
        {
            return Err(NodeError::OtherChain(seat.key.public()));
        }
        let own = seat.as_ref().map(|seat| seat.key.public());
        let mut seat = seat;
        if let Some(seat) = &mut seat
            && let VotesFrom::Next(keep) = std::mem::replace(&mut seat.votes_from, VotesFrom::Epoch(Epoch(0)))
        {
            // SAFE-6: where the network is can be told only by whoever has its blocks.
            let tip = follow_to_the_tip(&chain, network.clone()).await?;
            let next = Epoch(tip.0.saturating_add(1));
            keep(next).map_err(|error| Fault::Io { detail: format!("the first epoch of a key: {error}") })?;
            tracing::warn!(epoch = %next, "the key is new in this folder: it votes from this epoch on");
            seat.votes_from = VotesFrom::Epoch(next);
        }
        let role = if seat.is_some() { Role::Agrees } else { Role::Follows };
        let (network, listening) = Network::start(Arc::clone(&chain), network, role).await?;
        let seen = Seen {
            chain: Arc::clone(&chain),
            seat: own,
            network: network.peers().clone(),
            validators: Peers::default(),
            plane: Arc::default(),
        };
        let validator = match seat.map(|seat| Validator::start(&chain, seat, seen.clone())).transpose() {
            Ok(validator) => validator,
            Err(error) => {
                network.stop().await;
                return Err(error);
            }
        };

        let mut builder = Builder::new(Arc::clone(&chain)).settings(api);
        let (peers, checks) = (seen.clone(), seen.clone());
        builder = builder.peers(move || peers.peers()).checks(move || checks.checks());
        if library_metrics {
            let (libp2p, engine) = (network.metrics(), seen.clone());
            builder = builder.registry(move || openmetrics::for_prometheus(&libp2p(), ""));
            builder = builder.registry(move || openmetrics::for_prometheus(&engine.plane().metrics, "cpc_engine_"));
        }
        let (stop_api, told) = oneshot::channel::<()>();
        let server = tokio::spawn(builder.serve(listener, async {
            // Whether told or abandoned: it is time to stop.
            let _ = told.await;
        }));
        Ok(Self { chain, validator, network, listening, seen, stop_api, server })
    }

    /// The chain that it keeps.
    pub const fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// What it says of itself.
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Waits until the node ends without being told to, and says why.
    pub async fn ended(&mut self) -> NodeError {
        let agreement = async {
            match &mut self.validator {
                Some(validator) => validator.running.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ended = agreement => match ended {
                Ended::Fault(fault) => NodeError::Fault(fault),
                Ended::Part(part) => NodeError::Part(part),
                Ended::Stopped => NodeError::Part("agreement"),
            },
            ended = self.network.ended() => match ended {
                Err(fault) => NodeError::Fault(fault),
                Ok(()) => NodeError::Part("the network plane"),
            },
            // A node that nobody can ask must not look alive.
            _ = &mut self.server => NodeError::Part("the HTTP API"),
        }
    }

    /// Stops it in order: requests first, so that nobody is told of a block that is not there.
    pub async fn stop(self) {
        let _ = self.stop_api.send(());
        // Where it ended before, there is nothing to wait for.
        let _ = tokio::time::timeout(API_STOP_TIMEOUT, self.server).await;
        let agreement = async {
            if let Some(validator) = self.validator {
                validator.watcher.abort();
                validator.running.stop().await;
            }
        };
        // Together: whoever waited for the end of its turn has little time until the next.
        tokio::join!(agreement, self.network.stop());
    }
}

impl Validator {
    fn start(chain: &Arc<Chain>, seat: Seat, seen: Seen) -> Result<Self, NodeError> {
        let running = Link::start(link_config(chain, seat)?, Arc::clone(chain) as _, chain.disk())?;
        let watcher = tokio::spawn(watch(seen, running.metrics()));
        Ok(Self { running, watcher })
    }
}

/// Looks now and then at what the BFT library says of itself: who is connected, and what it measures.
async fn watch(seen: Seen, metrics: MetricsHandle) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let metrics = metrics.text().await;
        let (chain, keys) = (Arc::clone(&seen.chain), connected(&metrics));
        // The seats are in the state: a read that may wait for the disk.
        let read = tokio::task::spawn_blocking(move || validators(&chain, &keys)).await;
        let (peers, others, needed) = read.unwrap_or_default();
        seen.validators.set(peers);
        *seen.plane() = PlaneSeen { metrics, others, needed };
    }
}

/// The connected seats as others see them, how many other seats there are, and how many of those have to be connected.
fn validators(chain: &Chain, keys: &[PublicKey]) -> (Vec<PeerView>, usize, usize) {
    let epoch = chain.tip().header.epoch;
    let seats = chain.seats(epoch).ok().flatten().unwrap_or_default();
    let view = |key: &PublicKey| {
        let address = seats.iter().find(|seat| seat.key == *key).and_then(|seat| seat.addresses.first());
        PeerView {
            id: key.to_string(),
            plane: VALIDATORS.to_owned(),
            address: address.map_or_else(|| "-".to_owned(), SocketAddr::to_string),
            direction: "-".to_owned(),
            height: None,
        }
    };
    let set = ValidatorSet::new(seats.iter().map(|seat| seat.key).collect());
    let quorum = set.map_or(0, |set| usize::try_from(set.quorum()).unwrap_or(usize::MAX));
    (keys.iter().map(view).collect(), seats.len().saturating_sub(1), quorum.saturating_sub(1))
}

/// Fetches the blocks of the network from other nodes, and says in which epoch it is.
async fn follow_to_the_tip(chain: &Arc<Chain>, config: NetworkConfig) -> Result<Epoch, NodeError> {
    tracing::warn!("the key is new in this folder: the chain is fetched before it votes");
    // Nobody has to call it yet, and a port that was closed a moment ago may not be free for the node itself.
    let config = NetworkConfig { listen: Vec::new(), announce: Vec::new(), ..config };
    let (mut network, _) = Network::start(Arc::clone(chain), config, Role::Follows).await?;
    let caught_up = network.caught_up();
    let reached = tokio::select! {
        biased;
        ended = network.ended() => Err(match ended {
            Err(fault) => NodeError::Fault(fault),
            Ok(()) => NodeError::Part("the network plane"),
        }),
        () = caught_up => Ok(chain.params().epoch_of(chain.tip().height())),
    };
    network.stop().await;
    reached
}

fn link_config(chain: &Chain, seat: Seat) -> Result<LinkConfig, NodeError> {
    let params = chain.params();
    let epoch_blocks = NonZeroU64::new(params.epoch_blocks).filter(|blocks| blocks.get() > 1);
    let epoch_blocks = epoch_blocks.ok_or(NodeError::Epochs(params.epoch_blocks))?;
    let many = params.seats_max >= MANY_SEATS;
    let messages = if many { MESSAGES_MANY_SEATS } else { MESSAGES_FEW_SEATS };
    let interval = seat.interval.unwrap_or(Duration::from_millis(params.interval_ms));
    let VotesFrom::Epoch(first) = seat.votes_from else {
        let detail = "a key starts to vote before it is known from when on it may".to_owned();
        return Err(Fault::Invariant { detail }.into());
    };
    let pace = Pace::of(interval);
    let pace = Pace {
        leader_timeout: seat.leader_timeout.unwrap_or(pace.leader_timeout),
        certification_timeout: seat.certification_timeout.unwrap_or(pace.certification_timeout),
        ..pace
    };
    Ok(LinkConfig {
        dir: seat.dir,
        listen: seat.listen,
        // The network's own file says where its seats are; on a devnet that is this machine.
        private_addresses: true,
        seats_max: usize::try_from(params.seats_max).unwrap_or(usize::MAX),
        threads: VALIDATOR_THREADS,
        validator: Config {
            namespace: namespace(params.chain, &chain.genesis().id()),
            signer: Signer::new(seat.key),
            votes_from: Some(first),
            epoch_blocks,
            block_bytes_max: params.block_bytes_max,
            pace,
            messages_per_second: NonZeroU32::new(messages).expect("not zero"),
            partition_prefix: String::new(),
        },
    })
}
