//! Carries sync over the network: asks what the client wants asked, applies what it delivers, bans whom it bans.

use std::time::{Duration, Instant};

use cpc_net::{Handle, PeerId, Protocol};
use cpc_primitives::{Fault, Height};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use super::client::{Client, Effect, Event, Progress, Segment};
use super::wire::{ANSWER_BYTES_MAX, QUESTION_BYTES_MAX};

/// The protocol's name.
pub const NAME: &str = "sync";
/// How often the client looks at its deadlines.
const TICK: Duration = Duration::from_millis(100);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Questions in flight with one peer, in each direction.
const PER_PEER_MAX: usize = 8;
/// Questions in flight with all, in each direction. An answer of one large block has 8 MiB.
const TOTAL_MAX: usize = 32;

/// The protocol, for the network's configuration.
pub fn protocol() -> Protocol {
    Protocol {
        name: NAME.to_owned(),
        request_bytes_max: QUESTION_BYTES_MAX,
        response_bytes_max: ANSWER_BYTES_MAX,
        timeout: TIMEOUT,
        per_peer_max: PER_PEER_MAX,
        total_max: TOTAL_MAX,
    }
}

/// What applies blocks that hang together: it checks their finality, executes them and writes them.
pub trait Apply: Send + 'static {
    /// Applies a segment whole, and answers with its last height; or applies nothing of it.
    fn apply(&mut self, segment: Segment<PeerId>) -> Result<Height, ApplyError>;
}

/// Why a segment was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Its sender lied: the blocks are not final.
    #[error("{0}")]
    Lie(String),
    /// This node cannot tell, and stops.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Who came and went; the application hears it from the network and passes it on.
#[derive(Debug, Clone, Copy)]
pub enum PeerEvent {
    /// A peer is there.
    Joined(PeerId),
    /// A peer is gone.
    Left(PeerId),
}

/// The ends of a running follower that its owner holds.
#[derive(Debug)]
pub struct Follower {
    /// Who came and went. The client lets a peer rest that does not answer, so that a late word does no harm.
    pub peers: mpsc::Sender<PeerEvent>,
    /// How far it is.
    pub progress: watch::Receiver<Progress>,
    /// Dropped, the follower stops.
    pub stop: oneshot::Sender<()>,
    /// Ends with the follower, and says why where that is a fault.
    pub ended: tokio::task::JoinHandle<Result<(), Fault>>,
}

/// Begins to follow the network.
pub fn follow(net: Handle, client: Client<PeerId>, apply: impl Apply) -> Follower {
    let (peers, peer_events) = mpsc::channel(256);
    let (progress_sender, progress) = watch::channel(client.progress());
    let (stop, stopped) = oneshot::channel();
    let shell = Shell { net, client, start: Instant::now(), progress: progress_sender };
    let ended = tokio::spawn(shell.run(peer_events, stopped, apply));
    Follower { peers, progress, stop, ended }
}

struct Shell {
    net: Handle,
    client: Client<PeerId>,
    start: Instant,
    progress: watch::Sender<Progress>,
}

impl Shell {
    async fn run(
        self,
        peers: mpsc::Receiver<PeerEvent>,
        stopped: oneshot::Receiver<()>,
        apply: impl Apply,
    ) -> Result<(), Fault> {
        // SYNC-7: the client delivers one segment at a time, so that the one place is free.
        let (deliver, deliveries) = mpsc::channel(1);
        let (applied_sender, applied) = mpsc::channel(1);
        let applier = tokio::task::spawn_blocking(move || applier(apply, deliveries, &applied_sender));
        let ended = self.pump(peers, stopped, deliver, applied).await;
        // What is being written is written to its end.
        applier.await.map_err(|error| Fault::Invariant { detail: format!("the applier: {error}") })?;
        ended
    }

    async fn pump(
        mut self,
        mut peers: mpsc::Receiver<PeerEvent>,
        mut stopped: oneshot::Receiver<()>,
        deliver: mpsc::Sender<Segment<PeerId>>,
        mut applied: mpsc::Receiver<Result<Event<PeerId>, Fault>>,
    ) -> Result<(), Fault> {
        // As many answers as questions in flight: nobody waits to hand one over.
        let (answer_sender, mut answers) = mpsc::channel(TOTAL_MAX);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut effects = Vec::new();
        loop {
            let event = tokio::select! {
                biased;
                // The owner's word first, so that a busy follower can be stopped.
                _ = &mut stopped => return Ok(()),
                // What is applied makes room for more.
                applied = applied.recv() => match applied {
                    Some(Ok(event)) => event,
                    Some(Err(fault)) => return Err(fault),
                    None => return Err(Fault::Invariant { detail: "the applier has ended".to_owned() }),
                },
                Some(event) = peers.recv() => match event {
                    PeerEvent::Joined(peer) => Event::Joined(peer),
                    PeerEvent::Left(peer) => Event::Left(peer),
                },
                Some(event) = answers.recv() => event,
                _ = tick.tick() => Event::Tick,
            };
            let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.client.step(now, event, &mut effects);
            for effect in effects.drain(..) {
                match effect {
                    Effect::Ask { id, peer, question } => {
                        let (net, sender) = (self.net.clone(), answer_sender.clone());
                        tokio::spawn(async move {
                            let event = match net.request(peer, NAME, question.encode()).await {
                                Ok(bytes) => Event::Answer { id, bytes },
                                Err(error) => {
                                    tracing::debug!(%peer, %error, "a question about blocks has no answer");
                                    Event::Failed { id }
                                }
                            };
                            // A follower that has stopped asks nothing.
                            let _ = sender.send(event).await;
                        });
                    }
                    Effect::Deliver(segment) => {
                        let delivered = deliver.try_send(segment);
                        delivered.map_err(|error| Fault::Invariant { detail: format!("a delivery: {error}") })?;
                    }
                    Effect::Ban { peer, reason } => {
                        tracing::info!(%peer, %reason, "a peer lied about blocks");
                        self.net.ban(peer, reason).await;
                    }
                }
            }
            let progress = self.client.progress();
            self.progress.send_if_modified(|seen| {
                let changed = *seen != progress;
                *seen = progress;
                changed
            });
        }
    }
}

/// Applies what comes, on a thread of its own: it waits for the disk and for signatures.
fn applier(
    mut apply: impl Apply,
    mut deliveries: mpsc::Receiver<Segment<PeerId>>,
    applied: &mpsc::Sender<Result<Event<PeerId>, Fault>>,
) {
    while let Some(segment) = deliveries.blocking_recv() {
        let from = segment.from;
        let event = match apply.apply(segment) {
            Ok(height) => Ok(Event::Applied(height)),
            Err(ApplyError::Lie(reason)) => Ok(Event::Refused { from, reason }),
            Err(ApplyError::Fault(fault)) => Err(fault),
        };
        if applied.blocking_send(event).is_err() {
            return;
        }
    }
}
