//! A node that runs: its chain, its seat, its API, and the order in which they begin and end.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cpc_engine::{Config, Ended, Link, LinkConfig, Pace, Running, Signer};
use cpc_light::namespace;
use cpc_primitives::hash_chain::HashChain;
use cpc_primitives::{Epoch, Fault, PublicKey, SecretKey};
use tokio::sync::oneshot;

use crate::api;
use crate::chain::Chain;

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

/// How a node takes part in agreement.
#[derive(Debug)]
pub struct Seat {
    /// The key that votes.
    pub key: SecretKey,
    /// The hash chain that feeds the beacon.
    pub beacon: HashChain,
    /// The first epoch in which it may.
    pub votes_from: Option<Epoch>,
    /// Where the other seats connect.
    pub listen: SocketAddr,
    /// The folder of its votes.
    pub dir: PathBuf,
    /// The time between two blocks, where it is not the network's.
    pub interval: Option<Duration>,
}

/// Why a node did not start, or ended without being told to.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Agreement did not start.
    #[error(transparent)]
    Link(#[from] cpc_engine::LinkError),
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
    running: Running,
    stop_api: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Node {
    /// Starts agreement and the API over a chain that is open. Called within a runtime.
    pub fn start(chain: Arc<Chain>, seat: Seat, listener: tokio::net::TcpListener) -> Result<Self, NodeError> {
        let key = seat.key.public();
        if !chain.feed_beacon(&key, seat.beacon.clone())? {
            return Err(NodeError::OtherChain(key));
        }
        let running = Link::start(link_config(&chain, seat)?, chain.clone(), chain.disk())?;
        let (stop_api, told) = oneshot::channel::<()>();
        let server = tokio::spawn(api::serve(listener, Arc::clone(&chain), async {
            // Whether told or abandoned: it is time to stop.
            let _ = told.await;
        }));
        Ok(Self { chain, running, stop_api, server })
    }

    /// The chain that it keeps.
    pub const fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// Waits until the node ends without being told to, and says why.
    pub async fn ended(&mut self) -> NodeError {
        tokio::select! {
            biased;
            ended = self.running.ended() => match ended {
                Ended::Fault(fault) => NodeError::Fault(fault),
                Ended::Part(part) => NodeError::Part(part),
                Ended::Stopped => NodeError::Part("agreement"),
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
        self.running.stop().await;
    }
}

fn link_config(chain: &Chain, seat: Seat) -> Result<LinkConfig, NodeError> {
    let params = chain.params();
    let epoch_blocks = NonZeroU64::new(params.epoch_blocks).filter(|blocks| blocks.get() > 1);
    let epoch_blocks = epoch_blocks.ok_or(NodeError::Epochs(params.epoch_blocks))?;
    let many = params.seats_max >= MANY_SEATS;
    let messages = if many { MESSAGES_MANY_SEATS } else { MESSAGES_FEW_SEATS };
    let interval = seat.interval.unwrap_or(Duration::from_millis(params.interval_ms));
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
            votes_from: seat.votes_from,
            epoch_blocks,
            block_bytes_max: params.block_bytes_max,
            pace: Pace::of(interval),
            messages_per_second: NonZeroU32::new(messages).expect("not zero"),
            partition_prefix: String::new(),
        },
    })
}
