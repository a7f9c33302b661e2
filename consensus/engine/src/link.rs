//! A validator on a real machine: its own threads, its own folder, and authenticated connections to the other seats.

use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use commonware_cryptography::{ChaCha20Poly1305, ed25519::PrivateKey};
use commonware_p2p::authenticated::lookup::{self, Oracle};
use commonware_p2p::{Address, AddressableManager as _, AddressableTrackedPeers};
use commonware_runtime::tokio::{Config as RuntimeConfig, Runner};
use commonware_runtime::{Metrics as _, Quota, Runner as _, Spawner as _, Supervisor as _};
use commonware_stream::cups::{self, Cups};
use commonware_stream::sake::{self, Sake};
use commonware_utils::ordered::Map;
use cpc_primitives::kv::Kv;
use cpc_primitives::{Epoch, Fault, PublicKey};
use tokio::sync::{mpsc, oneshot};

use crate::chain::{Chain, Seat};
use crate::driver::Ended;
use crate::limits::{Channel, network_message_bytes_max, peers_max};
use crate::seats::{Key, Signer, key_of};
use crate::validator::{self, Config, Network, Peers};

/// How far the clocks of two seats may differ when they shake hands.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_secs(10);
/// How old a greeting may be.
const GREETING_AGE_MAX: Duration = Duration::from_secs(20);
/// How soon a seat that went away is dialled again, and may come back.
const COOLDOWN: Duration = Duration::from_millis(250);
/// How often it is looked for seats that are not connected.
const DIAL_PAUSE: Duration = Duration::from_millis(250);
/// How long a stop may take before the threads are ended all the same.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// With less room than this a disk is full: the library's journals grow by smaller steps.
const SPACE_BYTES_MIN: usize = 256 * 1024;
/// What waits for an answer from the running validator.
const ASKED_MAX: usize = 16;
/// Messages that wait between the library's parts.
const NETWORK_MAILBOX: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");
/// How a line begins, after the names of what it belongs to, that says since when a seat is connected.
const CONNECTED: &str = "_tracker_directory_connected{peer=\"";
/// Sets of epochs whose seats may stay connected. The library reserves room for every message of every seat of each.
const SETS_KEPT: NonZeroUsize = NonZeroUsize::new(2).expect("not zero");

/// Where a validator keeps its votes, and how it is reached.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// The folder of the BFT library; nobody else writes into it.
    pub dir: PathBuf,
    /// Where the other seats connect.
    pub listen: SocketAddr,
    /// Whether addresses of private networks are taken.
    pub private_addresses: bool,
    /// The most seats that the network can have.
    pub seats_max: usize,
    /// Threads of the validator.
    pub threads: usize,
    /// The validator.
    pub validator: Config,
}

/// Why a validator did not start.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Somebody else listens there.
    #[error("cannot listen for the other seats on {address}: {why}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the operating system said.
        why: std::io::Error,
    },
    /// No thread could be made.
    #[error("no thread for the validator: {0}")]
    Thread(std::io::Error),
    /// The key is not one of the library's.
    #[error("the consensus key cannot be used")]
    Key,
}

/// Starts validators.
#[derive(Debug)]
pub struct Link;

/// A validator that runs in threads of its own.
#[derive(Debug)]
pub struct Running {
    ask: mpsc::Sender<Ask>,
    ended: oneshot::Receiver<Ended>,
    thread: JoinHandle<()>,
    dir: PathBuf,
}

enum Ask {
    Stop,
    Metrics(oneshot::Sender<String>),
}

/// Asks a running validator for its metrics.
#[derive(Clone, Debug)]
pub struct MetricsHandle(mpsc::Sender<Ask>);

impl MetricsHandle {
    /// The library's metrics in the text form; empty where the validator has ended.
    pub async fn text(&self) -> String {
        let (answer, answered) = oneshot::channel();
        if self.0.try_send(Ask::Metrics(answer)).is_err() {
            return String::new();
        }
        answered.await.unwrap_or_default()
    }
}

/// The seats that are connected, by the library's metrics: it says it nowhere else.
pub fn connected(metrics: &str) -> Vec<PublicKey> {
    let peers = metrics.lines().filter_map(|line| line.split_once(CONNECTED)?.1.split_once('"'));
    peers.filter_map(|(hex, _)| hex.parse().ok()).collect()
}

impl Link {
    /// Starts a validator.
    pub fn start(config: LinkConfig, chain: Arc<dyn Chain>, kv: Arc<dyn Kv>) -> Result<Running, LinkError> {
        key_of(&config.validator.signer.public()).ok_or(LinkError::Key)?;
        // The library panics where it cannot listen; whoever started this is told instead.
        let taken = |why| LinkError::Listen { address: config.listen, why };
        drop(std::net::TcpListener::bind(config.listen).map_err(taken)?);

        let dir = config.dir.clone();
        let (ask, asked) = mpsc::channel(ASKED_MAX);
        let (told, ended) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("validator".to_owned())
            .spawn(move || {
                let runtime = RuntimeConfig::new()
                    .with_worker_threads(config.threads.max(1))
                    .with_storage_directory(config.dir.clone());
                let outcome = Runner::new(runtime).start(|context| serve(context, config, chain, kv, asked));
                // The receiver is gone only when nobody wants to know.
                let _ = told.send(outcome);
            })
            .map_err(LinkError::Thread)?;
        Ok(Running { ask, ended, thread, dir })
    }
}

impl Running {
    /// A way to the library's metrics.
    pub fn metrics(&self) -> MetricsHandle {
        MetricsHandle(self.ask.clone())
    }

    /// Waits until the validator ends by itself; may be asked again.
    pub async fn ended(&mut self) -> Ended {
        // A thread that ended without a word panicked: the library does so where it cannot write.
        let ended = (&mut self.ended).await.unwrap_or(Ended::Part("the validator's threads"));
        match (&ended, full(&self.dir)) {
            (Ended::Part(part), Some(why)) => {
                Ended::Fault(Fault::DiskFull { detail: format!("{part}, {}: {why}", self.dir.display()) })
            }
            _ => ended,
        }
    }

    /// Stops the validator and waits until its threads are gone.
    pub async fn stop(self) {
        // Where it has ended already there is nothing to stop.
        let _ = self.ask.send(Ask::Stop).await;
        let thread = self.thread;
        // A panic was reported when it happened.
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

async fn serve(
    context: commonware_runtime::tokio::Context,
    config: LinkConfig,
    chain: Arc<dyn Chain>,
    kv: Arc<dyn Kv>,
    mut asked: mpsc::Receiver<Ask>,
) -> Ended {
    let network_config = connections(
        &config.validator.signer,
        &config.validator.namespace,
        config.listen,
        config.seats_max,
        config.validator.block_bytes_max,
        config.private_addresses,
    );
    let (mut network, oracle) = lookup::Network::new(context.child("network"), network_config);
    let quota = Quota::per_second(config.validator.messages_per_second);
    let [votes, certificates, missed, blocks, backfill] =
        Channel::ALL.map(|channel| network.register(channel as u64, quota));
    network.start();
    let parts =
        Network { blocker: oracle.clone(), peers: Directory(oracle), votes, certificates, missed, blocks, backfill };

    let validator =
        context.child("validator").spawn(move |context| validator::run(context, config.validator, chain, kv, parts));
    let mut validator = validator;
    loop {
        tokio::select! {
            biased;
            ended = &mut validator => return ended.unwrap_or(Ended::Part("the validator's task")),
            ask = asked.recv() => match ask {
                Some(Ask::Metrics(answer)) => {
                    // Whoever asked may have gone.
                    let _ = answer.send(context.encode());
                }
                Some(Ask::Stop) | None => {
                    if let Err(error) = context.child("stop").stop(0, Some(STOP_TIMEOUT)).await {
                        tracing::warn!(%error, "the validator's parts did not end in time");
                    }
                    return Ended::Stopped;
                }
            },
        }
    }
}

/// How the seats of a network connect.
pub(crate) fn connections(
    signer: &Signer,
    namespace: &[u8],
    listen: SocketAddr,
    seats_max: usize,
    block_bytes_max: u32,
    private_addresses: bool,
) -> lookup::Config<Handshake> {
    let mut config = lookup::Config::local(
        Cups::<Sake<PrivateKey>, ChaCha20Poly1305>::new(
            Sake {
                signer: signer.library(),
                synchrony_bound: CLOCKS_DIFFER_MAX,
                max_handshake_age: GREETING_AGE_MAX,
                version: sake::Version::V1,
            },
            cups::Version::V1,
        ),
        namespace,
        listen,
        NonZeroUsize::new(peers_max(seats_max)).expect("at least this node"),
        network_message_bytes_max(block_bytes_max),
        NETWORK_MAILBOX,
    );
    config.allow_private_ips = private_addresses;
    // The handshake says who somebody is; behind a translated address an honest seat has another one.
    config.bypass_ip_check = true;
    config.peer_connection_cooldown = COOLDOWN;
    config.dial_frequency = DIAL_PAUSE;
    config.tracked_peer_sets = SETS_KEPT;
    config.allowed_handshake_rate_per_ip = per_second(128);
    config.allowed_handshake_rate_per_subnet = per_second(512);
    config
}

/// How two seats greet each other, and what they encrypt with.
pub(crate) type Handshake = Cups<Sake<PrivateKey>, ChaCha20Poly1305>;

/// Why nothing more can be written under a folder, where that is for want of space.
fn full(dir: &Path) -> Option<std::io::Error> {
    let probe = dir.join(".space");
    let written = std::fs::File::create(&probe).and_then(|mut file| {
        file.write_all(&[0; SPACE_BYTES_MIN])?;
        file.sync_all()
    });
    // One that was not made cannot be removed.
    let _ = std::fs::remove_file(&probe);
    let full = |error: &std::io::Error| matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    written.err().filter(full)
}

fn per_second(count: u32) -> Quota {
    Quota::per_second(NonZeroU32::new(count).expect("not zero"))
}

/// The library's list of who may connect, fed with the seats of the state.
#[derive(Clone, Debug)]
pub(crate) struct Directory(pub(crate) Oracle<Key>);

impl commonware_p2p::Provider for Directory {
    type PublicKey = Key;

    async fn peer_set(&mut self, id: u64) -> Option<commonware_p2p::TrackedPeers<Key>> {
        self.0.peer_set(id).await
    }

    async fn subscribe(&mut self) -> commonware_p2p::PeerSetSubscription<Key> {
        self.0.subscribe().await
    }
}

impl Peers for Directory {
    fn follow(&mut self, epoch: Epoch, seats: &[Seat], beside: &[Seat]) {
        let peers = AddressableTrackedPeers::new(addresses(seats), addresses(beside));
        if !self.0.track(epoch.0, peers).accepted() {
            tracing::warn!(%epoch, "the connections of the epoch were not taken over: the network has ended");
        }
    }
}

fn addresses(seats: &[Seat]) -> Map<Key, Address> {
    let known = seats.iter().filter_map(|seat| Some((key_of(&seat.key)?, Address::from(*seat.addresses.first()?))));
    Map::from_iter_dedup(known)
}

#[cfg(test)]
mod tests {
    use cpc_primitives::SecretKey;

    use super::*;

    #[test]
    fn the_connected_seats_are_found_among_the_metrics() {
        let key = SecretKey::from_seed(&[1; 32]).public();
        let line = format!("network_tracker_directory_connected{{peer=\"{key}\"}} 1763655000000");
        let text = format!("# TYPE network_tracker_directory_connected gauge\n{line}\nother{{peer=\"{key}\"}} 1\n");
        assert_eq!(connected(&text), [key]);
        assert_eq!(connected("network_tracker_directory_connected{peer=\"12\"} 1\n"), []);
    }
}
