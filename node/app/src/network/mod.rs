//! The network plane of a node: whom it calls, what it tells of transactions, and which questions it answers.
//!
//! `gossip` carries transactions both ways, `book` knows from the state who the other validators are. Blocks are
//! asked for by [`crate::sync`], and only where the node has no seat.

mod book;
mod gossip;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cpc_net::{Config, Event, Events, Handle, Limits, Net, NetworkId, NoAnswer, Refusal, Request, StartError};
use cpc_primitives::Fault;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::api::dto::PeerView;
use crate::chain::Chain;
use crate::sync::apply::Applier;
use crate::sync::client::{Client, Plan, Progress};
use crate::sync::serve::{self, ServeError};
use crate::sync::shell::{self, Follower, PeerEvent};

/// The name of this plane for whoever looks at peers.
pub const PLANE: &str = "network";
/// How often it is looked who is connected.
const LOOK: Duration = Duration::from_secs(1);
/// How long a socket may take to say that it is open.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked for that.
const LISTEN_LOOK: Duration = Duration::from_millis(5);
/// After so long without a higher tip than its own a node has all that there is.
const SETTLED: Duration = Duration::from_secs(2);
/// How often it looks for that.
const CATCH_UP_LOOK: Duration = Duration::from_millis(100);
/// Questions about blocks that are answered at once: each may read 8 MiB.
const ANSWERS_MAX: usize = 4;

/// What a node is told about its network plane.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The secret of the key that names it on this plane; never the one that votes.
    pub secret: [u8; 32],
    /// Where it listens, as libp2p writes addresses.
    pub listen: Vec<String>,
    /// Where others reach it, where that is elsewhere.
    pub announce: Vec<String>,
    /// Whom it calls first.
    pub boot: Vec<String>,
}

/// What a node does with the blocks of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It agrees on them with the other seats.
    Agrees,
    /// It asks for them, checks them and applies them.
    Follows,
}

/// The network plane of a node that runs.
#[derive(Debug)]
pub struct Network {
    handle: Handle,
    peers: Peers,
    /// Ends when the network has stopped, or when the follower has.
    ended: JoinHandle<Result<(), Fault>>,
    stop: oneshot::Sender<()>,
    /// How far it is; where it does not follow, always nowhere.
    progress: watch::Receiver<Progress>,
}

/// Who is connected, as it was seen last; cheap to clone, and never waits.
#[derive(Debug, Clone, Default)]
pub struct Peers {
    list: Arc<Mutex<Vec<PeerView>>>,
    /// Why the last connection was refused or ended.
    refusal: Arc<Mutex<Option<String>>>,
}

impl Peers {
    /// Who is connected.
    pub fn list(&self) -> Vec<PeerView> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the last connection was refused or ended, for whoever has none.
    pub fn refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the list.
    pub fn set(&self, peers: Vec<PeerView>) {
        *self.list.lock().unwrap_or_else(PoisonError::into_inner) = peers;
    }
}

impl Network {
    /// Opens the sockets and begins to speak, and returns where it listens. Called within a runtime.
    pub async fn start(
        chain: Arc<Chain>,
        config: NetworkConfig,
        role: Role,
    ) -> Result<(Self, Vec<String>), StartError> {
        let sockets = config.listen.len();
        let (handle, events) = Net::start(net_config(&chain, &config), config.secret)?;
        let follower = (role == Role::Follows).then(|| follow(&chain, &handle));
        let nowhere = || watch::channel(Progress::default()).1;
        let progress = follower.as_ref().map_or_else(nowhere, |follower| follower.progress.clone());
        let (news_in, news) = mpsc::channel(crate::chain::TOLD_MAX);
        chain.tell(news_in);
        let (heard, hearing) = mpsc::channel(gossip::HEARD_MAX);
        let (subscribed, listeners) = watch::channel(0);
        tokio::spawn(gossip::hear(Arc::clone(&chain), hearing));
        tokio::spawn(gossip::tell(Arc::clone(&chain), handle.clone(), news, listeners));
        let peers = Peers::default();
        let (stop, stopped) = oneshot::channel();
        let plane = Plane {
            chain,
            handle: handle.clone(),
            peers: peers.clone(),
            heard,
            subscribed,
            answers: Arc::new(Semaphore::new(ANSWERS_MAX)),
        };
        let ended = tokio::spawn(plane.run(events, follower, stopped));
        let network = Self { handle, peers, ended, stop, progress };
        let addresses = network.addresses(sockets).await;
        Ok((network, addresses))
    }

    /// Where it listens, once every socket has said so.
    async fn addresses(&self, sockets: usize) -> Vec<String> {
        let until = Instant::now() + LISTEN_TIMEOUT;
        loop {
            let listening = self.handle.view().await.map(|view| view.listening).unwrap_or_default();
            if listening.len() >= sockets || Instant::now() >= until {
                return listening.into_iter().map(|address| format!("{address}/p2p/{}", self.handle.id())).collect();
            }
            tokio::time::sleep(LISTEN_LOOK).await;
        }
    }

    /// Who is connected.
    pub const fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Waits until this node has all that its peers have told of, for so long that others had time to tell of more.
    pub fn caught_up(&self) -> impl Future<Output = ()> + Send + use<> {
        let progress = self.progress.clone();
        async move {
            let mut since = None;
            loop {
                let seen = *progress.borrow();
                let there = seen.peers > 0 && seen.applied == seen.target;
                since = if there { since.or_else(|| Some(Instant::now())) } else { None };
                if since.is_some_and(|since: Instant| since.elapsed() >= SETTLED) {
                    return;
                }
                tokio::time::sleep(CATCH_UP_LOOK).await;
            }
        }
    }

    /// What the library counts, in its own text form.
    pub fn metrics(&self) -> impl Fn() -> String + Send + Sync + 'static {
        let handle = self.handle.clone();
        move || handle.metrics_text()
    }

    /// Waits until it ends without being told to.
    pub async fn ended(&mut self) -> Result<(), Fault> {
        let broken = |error| Err(Fault::Invariant { detail: format!("the network plane: {error}") });
        (&mut self.ended).await.unwrap_or_else(broken)
    }

    /// Closes every connection, after what is being applied is applied.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        // Its owner has heard of a fault already, or is about to stop for another reason.
        let _ = self.ended.await;
        self.handle.stop().await;
    }
}

fn net_config(chain: &Chain, config: &NetworkConfig) -> Config {
    Config {
        network: NetworkId::of(&chain.genesis().id().0.0),
        agent: concat!("cpc/", env!("CARGO_PKG_VERSION")).to_owned(),
        listen: config.listen.clone(),
        announce: config.announce.clone(),
        boot: config.boot.clone(),
        topics: vec![gossip::topic()],
        protocols: vec![shell::protocol()],
        limits: Limits::default(),
    }
}

/// Begins to ask for blocks, from where this disk stands.
fn follow(chain: &Arc<Chain>, handle: &Handle) -> Follower {
    let client = Client::new(Plan::new(chain.params().epoch_blocks), chain.tip().height());
    shell::follow(handle.clone(), client, Applier::new(Arc::clone(chain)))
}

/// The task that hears of everything.
struct Plane {
    chain: Arc<Chain>,
    handle: Handle,
    peers: Peers,
    heard: mpsc::Sender<cpc_net::Gossip>,
    /// How often somebody began to listen to transactions.
    subscribed: watch::Sender<u64>,
    answers: Arc<Semaphore>,
}

impl Plane {
    async fn run(
        self,
        mut events: Events,
        follower: Option<Follower>,
        mut stopped: oneshot::Receiver<()>,
    ) -> Result<(), Fault> {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heads = self.chain.heads();
        let mut epoch = self.chain.tip().header.epoch;
        self.call().await;
        let (peers, mut progress, stop, mut over) = match follower {
            Some(Follower { peers, progress, stop, ended }) => (Some(peers), Some(progress), Some(stop), Some(ended)),
            None => (None, None, None, None),
        };
        loop {
            tokio::select! {
                biased;
                _ = &mut stopped => break,
                fault = ended(&mut over) => return Err(fault),
                event = events.recv() => match event {
                    Some(event) => self.event(event, peers.as_ref()).await,
                    None => return Err(Fault::Invariant { detail: "the network has ended".to_owned() }),
                },
                _ = look.tick() => self.look().await,
                changed = heads.changed() => {
                    // The chain lives as long as this: it does not stop telling.
                    if changed.is_err() {
                        break;
                    }
                    let now = self.chain.tip().header.epoch;
                    if now != epoch {
                        epoch = now;
                        self.call().await;
                    }
                }
                seen = progressed(&mut progress) => self.progressed(&seen),
            }
        }
        drop(stop);
        match over {
            // What is being applied is applied to its end.
            Some(over) => over.await.unwrap_or_else(|error| Err(panicked(&error))),
            None => Ok(()),
        }
    }

    async fn event(&self, event: Event, follower: Option<&mpsc::Sender<PeerEvent>>) {
        match event {
            // The network has logged it.
            Event::Listening { .. } => {}
            Event::Joined { peer } => {
                tracing::info!(%peer, "a node has joined");
                self.pass_on(follower, PeerEvent::Joined(peer)).await;
            }
            Event::Left { peer } => {
                tracing::info!(%peer, "a node has left");
                self.pass_on(follower, PeerEvent::Left(peer)).await;
            }
            Event::Refused { peer, address, reason } => {
                let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
                match reason {
                    // Whoever was told to call there was told wrongly, or has the wrong chain spec.
                    Refusal::WrongNetwork { .. } => {
                        tracing::warn!(%peer, %address, %reason, "a connection was refused");
                    }
                    _ => tracing::info!(%peer, %address, %reason, "a connection was refused"),
                }
                let mut last = self.peers.refusal.lock().unwrap_or_else(PoisonError::into_inner);
                *last = Some(format!("{address}: {reason}"));
            }
            Event::Subscribed { .. } => self.subscribed.send_modify(|count| *count = count.wrapping_add(1)),
            // Dropped where too many wait: its sender is not to blame, and others have it too.
            Event::Gossip(gossip) => drop(self.heard.try_send(gossip)),
            Event::Request(request) => self.answer(request),
        }
    }

    async fn pass_on(&self, follower: Option<&mpsc::Sender<PeerEvent>>, event: PeerEvent) {
        if let Some(follower) = follower {
            // A follower that has ended is noticed by its end.
            let _ = follower.send(event).await;
        }
        self.look().await;
    }

    /// Answers a question on a thread that may wait for the disk.
    fn answer(&self, request: Request) {
        let (chain, handle, answers) = (Arc::clone(&self.chain), self.handle.clone(), Arc::clone(&self.answers));
        tokio::spawn(async move {
            // As many questions wait as the protocol has in flight.
            let place = answers.acquire_owned().await.expect("nobody closes the semaphore");
            let Request { peer, bytes, reply, .. } = request;
            let answer = tokio::task::spawn_blocking(move || {
                let _place = place;
                serve::answer(&*chain, &bytes)
            });
            match answer.await {
                Ok(Ok(bytes)) => {
                    if let Err(error) = reply.send(bytes) {
                        tracing::error!(%error, "an answer about blocks is too long");
                    }
                }
                // SYNC-2: an honest node asks questions only.
                Ok(Err(ServeError::Question(error))) => handle.ban(peer, format!("not a question: {error}")).await,
                Ok(Err(ServeError::Fault(fault))) => {
                    tracing::error!(%fault, "a question about blocks has no answer");
                    reply.refuse(NoAnswer::None);
                }
                Err(error) => tracing::error!(%error, "a question about blocks was not answered"),
            }
        });
    }

    /// Sees who is connected.
    async fn look(&self) {
        let Some(view) = self.handle.view().await else { return };
        let peer = |peer: cpc_net::PeerView| PeerView {
            id: peer.id.to_string(),
            plane: PLANE.to_owned(),
            address: peer.addresses.first().cloned().unwrap_or_default(),
            direction: if peer.direction == cpc_net::Direction::Inbound { "in" } else { "out" }.to_owned(),
            height: None,
        };
        self.peers.set(view.peers.into_iter().map(peer).collect());
    }

    /// Calls the validators that the state knows.
    async fn call(&self) {
        let known = match book::validators(&self.chain) {
            Ok(known) => known,
            Err(fault) => return tracing::error!(%fault, "the addresses of the validators cannot be read"),
        };
        if let Err(error) = self.handle.set_known(known).await {
            tracing::warn!(%error, "an address of a validator cannot be used");
        }
    }

    fn progressed(&self, progress: &Progress) {
        let target = i64::try_from(progress.target.0).unwrap_or(i64::MAX);
        self.chain.metrics().sync_target_height.set(target);
    }
}

/// Why the follower has ended, where there is one.
async fn ended(follower: &mut Option<JoinHandle<Result<(), Fault>>>) -> Fault {
    let Some(ended) = follower else { return std::future::pending().await };
    match ended.await {
        Ok(Ok(())) => Fault::Invariant { detail: "the follower has ended".to_owned() },
        Ok(Err(fault)) => fault,
        Err(error) => panicked(&error),
    }
}

/// The next change of how far the follower is, where there is one.
async fn progressed(progress: &mut Option<watch::Receiver<Progress>>) -> Progress {
    let Some(progress) = progress else { return std::future::pending().await };
    match progress.changed().await {
        Ok(()) => *progress.borrow_and_update(),
        // Its end is heard of elsewhere.
        Err(_) => std::future::pending().await,
    }
}

fn panicked(error: &tokio::task::JoinError) -> Fault {
    Fault::Invariant { detail: format!("the follower: {error}") }
}

#[cfg(test)]
mod tests;
