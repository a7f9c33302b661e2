//! The one task that owns the swarm: commands and answers in, events out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId};
use libp2p::request_response::{self, InboundRequestId, OutboundFailure, OutboundRequestId, ResponseChannel};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionDenied, ConnectionId, DialError, ListenError, SwarmEvent};
use libp2p::{Multiaddr, Swarm, identify, multiaddr, ping};
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::ask::{Answered, Asked, FrameError, NoAnswer};
use crate::bans::Offence;
use crate::behaviour::{self, Behaviour, BehaviourEvent, GRAYLIST};
use crate::bucket::Bucket;
use crate::config::{Config, Protocol, StartError, Topic};
use crate::dial::{Dialler, Target};
use crate::gate::{Denied, ip_of};
use crate::ingress::{
    Answer, Command, Event, Events, Gossip, Handle, Judgement, PublishError, Refusal, Reply, ReplyTo, Request,
    RequestError, Token,
};
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::peer::{Direction, PeerId, PeerView, View, keypair};

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How often the peers' scores are.
const SCORE_TICKS: u32 = 20;
/// Commands that wait.
const COMMANDS_MAX: usize = 256;
/// How long an orderly end may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// Heartbeats in a row in which a peer lost messages before it is let go.
const SLOW_BEATS: u32 = 5;
/// Two of them that are further apart are not in a row.
const SLOW_GAP: Duration = Duration::from_secs(5);
/// How long a peer of another network has to read who we are.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long a name may take to be resolved.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Addresses that a name may stand for.
const RESOLVED_MAX: usize = 16;
/// What is kept of what a peer says of itself.
const TOLD_CHARS_MAX: usize = 128;
const TOLD_PROTOCOLS_MAX: usize = 64;

/// The network of one node.
#[derive(Debug)]
pub struct Net;

impl Net {
    /// Opens the sockets and begins the task that owns them. It has to be called within a tokio runtime.
    pub fn start(config: Config, secret: [u8; 32]) -> Result<(Handle, Events), StartError> {
        choose_provider();
        let checked = config.check()?;
        let key = keypair(secret);
        let me = PeerId(key.public().to_peer_id());
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        let mut swarm = behaviour::swarm(&config, &key, &mut registry)?;
        for address in checked.listen {
            let text = address.to_string();
            let refused = |error: libp2p::TransportError<std::io::Error>| StartError::Listen {
                address: text.clone(),
                reason: error.to_string(),
            };
            nobody_listens(&address).map_err(|error| refused(libp2p::TransportError::Other(error)))?;
            swarm.listen_on(address).map_err(refused)?;
        }
        for address in checked.announce {
            swarm.add_external_address(address);
        }
        let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
        let (event_sender, events) = mpsc::channel(config.limits.events_max.max(1));
        let (answer_sender, answers) = mpsc::unbounded_channel();
        let now = Instant::now();
        let publish_rate = config.limits.publish_bytes();
        let pause = (config.limits.redial_min, config.limits.redial_max);
        let topics: Arc<[Topic]> = config.topics.clone().into();
        let protocols: Arc<[Protocol]> = config.protocols.clone().into();
        let actor = Actor {
            me,
            topic_names: topics.iter().map(|topic| topic.name.as_str().into()).collect(),
            protocol_names: protocols.iter().map(|protocol| protocol.name.as_str().into()).collect(),
            config,
            swarm,
            commands: command_queue,
            answers,
            answer_sender,
            outbox: Outbox::new(event_sender),
            peers: BTreeMap::new(),
            listening: BTreeSet::new(),
            dialler: Dialler::new(me, checked.boot, pause, now),
            dialling: BTreeMap::new(),
            resolving: FuturesUnordered::new(),
            publishing: Bucket::new(publish_rate, now),
            unjudged: BTreeMap::new(),
            unjudged_bytes: 0,
            next_token: 0,
            asking: BTreeMap::new(),
            answering: BTreeMap::new(),
            ticks: 0,
            metrics,
        };
        tokio::spawn(actor.run());
        let handle = Handle { id: me, commands, topics, protocols, registry: Arc::new(registry) };
        Ok((handle, Events(events)))
    }
}

/// Demands that a port of TCP is free. The library shares ports, and a second node on one would take half of the peers.
fn nobody_listens(address: &Multiaddr) -> std::io::Result<()> {
    let mut parts = address.iter();
    let (host, port) = (parts.next(), parts.next());
    let (Some(ip), Some(multiaddr::Protocol::Tcp(port))) = (ip_of(address).filter(|_| host.is_some()), port) else {
        return Ok(());
    };
    if port == 0 {
        return Ok(());
    }
    std::net::TcpListener::bind((ip, port)).map(drop)
}

/// Chooses one of the two providers of cryptography that the dependencies link (NET-1).
fn choose_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An application that has chosen already has chosen well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A peer that has at least one connection.
struct Peer {
    connections: BTreeMap<ConnectionId, Multiaddr>,
    direction: Direction,
    since: Instant,
    /// What it says of itself, once it has.
    told: Option<Told>,
    messages: Bucket,
    bytes: Bucket,
    requests: Bucket,
    slow: (u32, Instant),
    /// When its connections are ended, where that is decided.
    ends: Option<Instant>,
}

struct Told {
    agent: String,
    protocols: Vec<String>,
}

/// A message that waits for a judgement.
struct Unjudged {
    id: MessageId,
    peer: PeerId,
    topic: usize,
    bytes: usize,
    deadline: Instant,
}

/// A question of ours that waits for its answer.
struct Asking {
    peer: PeerId,
    protocol: usize,
    reply: oneshot::Sender<Result<Vec<u8>, RequestError>>,
}

struct Actor {
    me: PeerId,
    config: Config,
    topic_names: Vec<Arc<str>>,
    protocol_names: Vec<Arc<str>>,
    swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    answers: mpsc::UnboundedReceiver<Answer>,
    answer_sender: mpsc::UnboundedSender<Answer>,
    outbox: Outbox,
    peers: BTreeMap<PeerId, Peer>,
    listening: BTreeSet<Multiaddr>,
    dialler: Dialler,
    dialling: BTreeMap<ConnectionId, Target>,
    resolving: FuturesUnordered<BoxFuture<'static, (Target, Vec<Multiaddr>)>>,
    publishing: Bucket,
    unjudged: BTreeMap<u64, Unjudged>,
    unjudged_bytes: usize,
    next_token: u64,
    asking: BTreeMap<OutboundRequestId, Asking>,
    answering: BTreeMap<InboundRequestId, (PeerId, usize)>,
    ticks: u32,
    metrics: Metrics,
}

impl Actor {
    async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopped = loop {
            tokio::select! {
                biased;
                // Commands first, so that a busy node can always be stopped.
                command = self.commands.recv() => match command {
                    Some(Command::Stop(reply)) => break Some(reply),
                    Some(command) => self.command(command),
                    // Every handle is gone: nobody can stop it any more, so it stops.
                    None => break None,
                },
                // Answers free room before more is taken in.
                Some(answer) = self.answers.recv() => self.answer(answer),
                () = self.outbox.flush() => {}
                // Deadlines before the network, or a flood would put them off.
                _ = tick.tick() => self.tick(),
                Some((target, addresses)) = self.resolving.next() => self.dial(target, addresses),
                event = self.swarm.select_next_some() => self.event(event),
            }
        };
        self.close().await;
        drop(self);
        if let Some(reply) = stopped {
            // Whoever asked may have gone.
            let _ = reply.send(());
        }
    }

    /// Ends every connection, so that the other sides see an end and not a silence.
    async fn close(&mut self) {
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        for peer in peers {
            // It fails where the peer has just gone.
            let _ = self.swarm.disconnect_peer_id(peer.0);
        }
        let ended = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.next().await;
            }
        };
        // A peer that does not read its end is left behind.
        let _ = tokio::time::timeout(STOP_TIMEOUT, ended).await;
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Publish { topic, bytes, reply } => {
                let result = self.publish(topic, bytes);
                // Whoever asked may have gone, here and below.
                let _ = reply.send(result);
            }
            Command::Request { peer, protocol, bytes, reply } => self.request(peer, protocol, bytes, reply),
            Command::Known(known) => self.dialler.set_known(known, Instant::now()),
            Command::Ban { peer, reason } => self.offend(peer, Offence::Reported(reason)),
            Command::Disconnect { peer, reason } => self.refuse(peer, Refusal::Asked(reason)),
            Command::View(reply) => {
                let _ = reply.send(self.view());
            }
            Command::Stop(_) => unreachable!("the loop ends with it"),
        }
    }

    fn publish(&mut self, topic: usize, bytes: Vec<u8>) -> Result<(), PublishError> {
        let name = self.topic_names[topic].clone();
        let count = bytes.len();
        // NET-7: the library keeps every message for some heartbeats, also those that no queue took.
        if !self.publishing.take(u64::try_from(count).unwrap_or(u64::MAX), Instant::now()) {
            self.metrics.gossip(&name, "unpublished");
            return Err(PublishError::Fast { per_second: self.config.limits.publish_bytes_per_second });
        }
        let result = match self.swarm.behaviour_mut().gossip.publish(behaviour::hash(&name), bytes) {
            Ok(_) => {
                self.metrics.gossip_bytes(&name, "outbound", count);
                Ok(())
            }
            // NET-4: what was said once is not said again.
            Err(gossipsub::PublishError::Duplicate) => Ok(()),
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => Err(PublishError::NoPeers),
            Err(gossipsub::PublishError::AllQueuesFull(peers)) => Err(PublishError::Full { peers }),
            Err(error) => Err(PublishError::Refused { reason: error.to_string() }),
        };
        self.metrics.gossip(&name, if result.is_ok() { "published" } else { "unpublished" });
        result
    }

    fn request(
        &mut self,
        peer: PeerId,
        protocol: usize,
        bytes: Vec<u8>,
        reply: oneshot::Sender<Result<Vec<u8>, RequestError>>,
    ) {
        let limits = &self.config.protocols[protocol];
        let same = self.asking.values().filter(|asking| asking.protocol == protocol);
        let (mut total, mut of_peer) = (0, 0);
        for asking in same {
            total += 1;
            of_peer += usize::from(asking.peer == peer);
        }
        let refused = if !self.swarm.is_connected(&peer.0) {
            Some(RequestError::NotConnected { peer })
        } else if total >= limits.total_max {
            Some(RequestError::Busy { max: limits.total_max })
        } else if of_peer >= limits.per_peer_max {
            Some(RequestError::Busy { max: limits.per_peer_max })
        } else {
            None
        };
        if let Some(error) = refused {
            self.metrics.request(&self.protocol_names[protocol], "outbound", "not_sent");
            let _ = reply.send(Err(error));
            return;
        }
        let question = Asked::Known { protocol, bytes, room: None };
        let id = self.swarm.behaviour_mut().ask.send_request(&peer.0, question);
        self.asking.insert(id, Asking { peer, protocol, reply });
    }

    fn view(&self) -> View {
        let peers = self.peers.iter().map(|(id, peer)| PeerView {
            id: *id,
            addresses: peer.connections.values().map(Multiaddr::to_string).collect(),
            direction: peer.direction,
            agent: peer.told.as_ref().map(|told| told.agent.clone()).unwrap_or_default(),
            protocols: peer.told.as_ref().map(|told| told.protocols.clone()).unwrap_or_default(),
            since: peer.since.elapsed(),
        });
        View {
            id: self.me,
            listening: self.listening.iter().map(Multiaddr::to_string).collect(),
            peers: peers.collect(),
            bans: self.swarm.behaviour().gate.bans.list(Instant::now()),
        }
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Judgement { number, judgement } => {
                // A judgement that came too late finds nothing.
                if let Some(message) = self.forget(number) {
                    self.judge(&message, judgement, judgement.name());
                }
            }
            Answer::Reply { id, channel, answer } => {
                let outcome = if answer.is_ok() { "answered" } else { "refused" };
                if let Some((_, protocol)) = self.answering.get(&id) {
                    self.metrics.request(&self.protocol_names[*protocol], "inbound", outcome);
                }
                self.reply(id, channel, answer);
            }
        }
    }

    fn reply(&mut self, id: InboundRequestId, channel: ResponseChannel<Answered>, answer: Answered) {
        // It fails where the question has timed out or its connection ended, and then there is nobody to tell.
        if self.swarm.behaviour_mut().ask.send_response(channel, answer).is_err() {
            self.answering.remove(&id);
        }
    }

    fn forget(&mut self, number: u64) -> Option<Unjudged> {
        let message = self.unjudged.remove(&number)?;
        self.unjudged_bytes -= message.bytes;
        Some(message)
    }

    fn judge(&mut self, message: &Unjudged, judgement: Judgement, outcome: &str) {
        let acceptance = match judgement {
            Judgement::Accept => MessageAcceptance::Accept,
            Judgement::Ignore => MessageAcceptance::Ignore,
            Judgement::Reject => MessageAcceptance::Reject,
        };
        self.metrics.gossip(&self.topic_names[message.topic], outcome);
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        // The library forgets a message after a few seconds; then there is nothing left to say of it.
        gossip.report_message_validation_result(&message.id, &message.peer.0, acceptance);
        if judgement == Judgement::Reject {
            self.offend(message.peer, Offence::RejectedGossip);
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let late: Vec<u64> =
            self.unjudged.iter().filter(|(_, message)| message.deadline <= now).map(|(number, _)| *number).collect();
        for number in late {
            if let Some(message) = self.forget(number) {
                // NET-4: no judgement in time is no judgement on the sender.
                self.judge(&message, Judgement::Ignore, "timed_out");
            }
        }
        let after = self.config.limits.identify_timeout;
        let silent = |peer: &Peer| {
            peer.told.is_none() && peer.ends.is_none() && now.saturating_duration_since(peer.since) > after
        };
        let silent: Vec<PeerId> = self.peers.iter().filter(|(_, peer)| silent(peer)).map(|(id, _)| *id).collect();
        for peer in silent {
            self.refuse(peer, Refusal::Unidentified { after });
        }
        let over = |peer: &Peer| peer.ends.is_some_and(|ends| ends <= now);
        let over: Vec<PeerId> = self.peers.iter().filter(|(_, peer)| over(peer)).map(|(id, _)| *id).collect();
        for peer in over {
            // It fails where the peer has just gone.
            let _ = self.swarm.disconnect_peer_id(peer.0);
        }
        self.dial_due(now);
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks.is_multiple_of(SCORE_TICKS) {
            self.look_at_scores();
            let gate = &self.swarm.behaviour().gate;
            self.metrics.see(self.joined(), gate.count(), gate.bans.list(now).len());
        }
    }

    fn joined(&self) -> usize {
        self.peers.values().filter(|peer| peer.told.is_some()).count()
    }

    fn look_at_scores(&mut self) {
        let gossip = &self.swarm.behaviour().gossip;
        let bad = |peer: &&PeerId| gossip.peer_score(&peer.0).is_some_and(|score| score <= GRAYLIST);
        let bad: Vec<PeerId> = self.peers.keys().filter(bad).copied().collect();
        for peer in bad {
            self.offend(peer, Offence::Score);
        }
    }

    fn dial_due(&mut self, now: Instant) {
        let busy = self.swarm.behaviour().gate.dialling() + self.resolving.len();
        let room = self.config.limits.pending_max.saturating_sub(busy);
        let peers = &self.peers;
        for (target, addresses) in self.dialler.due(room, |peer| peers.contains_key(peer), now) {
            if addresses.iter().any(|address| name_of(address).is_some()) {
                self.resolving.push(Box::pin(async move { (target, resolve(addresses).await) }));
            } else {
                self.dial(target, addresses);
            }
        }
    }

    fn dial(&mut self, target: Target, addresses: Vec<Multiaddr>) {
        let options = match &target {
            Target::Peer(peer) => DialOpts::peer_id(peer.0)
                .addresses(addresses)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .build(),
            Target::Address(_) => match addresses.into_iter().next() {
                Some(address) => DialOpts::unknown_peer_id().address(address).build(),
                None => {
                    self.metrics.dialled("unresolved");
                    return self.dialler.failed(&target, Instant::now());
                }
            },
        };
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => drop(self.dialling.insert(id, target)),
            Err(error) => self.dial_failed(target, &error),
        }
    }

    fn dial_failed(&mut self, target: Target, error: &DialError) {
        let now = Instant::now();
        match error {
            DialError::LocalPeerId { .. } => {
                self.metrics.dialled("myself");
                self.dialler.is_me(&target);
            }
            // The peer came by itself in the meantime.
            DialError::DialPeerConditionFalse(_) => {
                if let Target::Peer(peer) = target {
                    self.dialler.reached(&target, peer);
                }
            }
            error => {
                self.metrics.dialled("failed");
                tracing::debug!(?target, %error, "dial failed");
                self.dialler.failed(&target, now);
            }
        }
    }

    fn event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.identified(event),
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.gossip(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ask(event)) => self.ask(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => {
                // A peer without the protocol is no peer of ours; any other failure is a silence.
                if matches!(event.result, Err(ping::Failure::Timeout)) {
                    self.refuse(PeerId(event.peer), Refusal::Silent);
                }
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.connected(PeerId(peer_id), connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                self.disconnected(PeerId(peer_id), connection_id, num_established);
            }
            SwarmEvent::IncomingConnectionError {
                send_back_addr,
                error: ListenError::Denied { cause },
                peer_id,
                ..
            } => self.denied(peer_id.map(PeerId), send_back_addr.to_string(), &cause),
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                if let DialError::Denied { cause } = &error {
                    self.denied(peer_id.map(PeerId), String::new(), cause);
                }
                if let Some(target) = self.dialling.remove(&connection_id) {
                    self.dial_failed(target, &error);
                }
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listening");
                self.listening.insert(address.clone());
                self.outbox.tell(Event::Listening { address: address.to_string() });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.listening.remove(&address);
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::warn!(?addresses, ?reason, "a listener ended");
                self.listening.retain(|address| !addresses.contains(address));
            }
            _ => {}
        }
    }

    fn denied(&mut self, peer: Option<PeerId>, address: String, cause: &ConnectionDenied) {
        let Some(denied) = cause.downcast_ref::<Denied>().copied() else {
            // The one other part that denies watches the memory of the process.
            self.metrics.refused("memory");
            return;
        };
        self.metrics.refused(denied.name());
        self.tell_refused(peer, address, denied.into());
    }

    fn tell_refused(&mut self, peer: Option<PeerId>, address: String, reason: Refusal) {
        if self.outbox.offer(Event::Refused { peer, address, reason }).is_err() {
            self.metrics.dropped("refusal");
        }
    }

    fn connected(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        if let Some(target) = self.dialling.remove(&id) {
            self.metrics.dialled("reached");
            self.dialler.reached(&target, peer);
        }
        let now = Instant::now();
        let limits = &self.config.limits;
        let direction = if endpoint.is_dialer() { Direction::Outbound } else { Direction::Inbound };
        let row = self.peers.entry(peer).or_insert_with(|| Peer {
            connections: BTreeMap::new(),
            direction,
            since: now,
            told: None,
            messages: Bucket::new(limits.gossip_messages(), now),
            bytes: Bucket::new(limits.gossip_bytes(), now),
            requests: Bucket::new(limits.requests(), now),
            slow: (0, now),
            ends: None,
        });
        row.connections.insert(id, endpoint.get_remote_address().clone());
    }

    fn disconnected(&mut self, peer: PeerId, id: ConnectionId, left: u32) {
        if let Some(row) = self.peers.get_mut(&peer) {
            row.connections.remove(&id);
        }
        if left > 0 {
            return;
        }
        let row = self.peers.remove(&peer);
        self.dialler.lost(&peer, Instant::now());
        if row.is_some_and(|row| row.told.is_some()) {
            tracing::debug!(%peer, "peer left");
            self.outbox.tell(Event::Left { peer });
        }
    }

    fn identified(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id, info, .. } = event else { return };
        let peer = PeerId(peer_id);
        if info.protocol_version != self.config.network.name("id") {
            // NET-2: the other network is named, and its node is left alone for a while.
            let found = info.protocol_version.chars().take(TOLD_CHARS_MAX).collect();
            let ip = self.ip(&peer);
            let now = Instant::now();
            let Some(row) = self.peers.get_mut(&peer).filter(|row| row.ends.is_none()) else { return };
            // The other side is to read who we are too, and say why it does not speak with us.
            row.ends = Some(now + LAST_WORDS);
            let address = row.connections.values().next().map(Multiaddr::to_string).unwrap_or_default();
            self.swarm.behaviour_mut().gate.bans.offend(peer, ip, Offence::WrongNetwork, now);
            self.say_refused(peer, address, Refusal::WrongNetwork { expected: self.config.network, found });
            return;
        }
        let Some(row) = self.peers.get_mut(&peer) else { return };
        let short = |text: &str| text.chars().take(TOLD_CHARS_MAX).collect::<String>();
        let told = Told {
            agent: short(&info.agent_version),
            protocols: info.protocols.iter().take(TOLD_PROTOCOLS_MAX).map(|name| short(name.as_ref())).collect(),
        };
        if row.told.replace(told).is_none() {
            tracing::debug!(%peer, agent = %short(&info.agent_version), "peer joined");
            self.outbox.tell(Event::Joined { peer });
        }
    }

    fn gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.message(PeerId(propagation_source), message_id, message);
            }
            gossipsub::Event::Subscribed { peer_id, topic, .. } => {
                let topic = topic.into_string();
                if self.outbox.offer(Event::Subscribed { peer: PeerId(peer_id), topic }).is_err() {
                    self.metrics.dropped("subscription");
                }
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => self.slow(PeerId(peer_id)),
            _ => {}
        }
    }

    fn message(&mut self, peer: PeerId, id: MessageId, message: gossipsub::Message) {
        let now = Instant::now();
        let Some(topic) = self.topic_names.iter().position(|name| message.topic == behaviour::hash(name)) else {
            return;
        };
        let bytes = message.data.len();
        self.metrics.gossip_bytes(&self.topic_names[topic], "inbound", bytes);
        let unjudged = Unjudged { id, peer, topic, bytes, deadline: now + self.config.limits.judgement_timeout };
        let count = u64::try_from(bytes).unwrap_or(u64::MAX);
        let within =
            self.peers.get_mut(&peer).is_none_or(|row| row.messages.take(1, now) && row.bytes.take(count, now));
        if !within {
            // NET-7: a flood goes no further, and whoever goes on with it is banned.
            self.judge(&unjudged, Judgement::Ignore, "flood");
            self.offend(peer, Offence::Flood);
            return;
        }
        let limits = &self.config.limits;
        if self.unjudged.len() >= limits.unjudged_max || self.unjudged_bytes + bytes > limits.unjudged_bytes_max {
            self.metrics.dropped("gossip");
            return self.judge(&unjudged, Judgement::Ignore, "dropped");
        }
        let number = self.next_token;
        self.next_token += 1;
        let token = Token { number, answers: Some(self.answer_sender.clone()) };
        let topic = self.topic_names[topic].clone();
        self.unjudged_bytes += bytes;
        self.unjudged.insert(number, unjudged);
        if self.outbox.offer(Event::Gossip(Gossip { peer, topic, bytes: message.data, token })).is_err() {
            // The token that comes back with the event gives the judgement `Ignore` as it is dropped.
            self.metrics.dropped("gossip");
        }
    }

    fn slow(&mut self, peer: PeerId) {
        let now = Instant::now();
        let Some(row) = self.peers.get_mut(&peer) else { return };
        let (beats, last) = row.slow;
        let in_a_row = now.saturating_duration_since(last) <= SLOW_GAP;
        row.slow = (if in_a_row { beats + 1 } else { 1 }, now);
        if row.slow.0 >= SLOW_BEATS {
            self.refuse(peer, Refusal::Slow);
        }
    }

    fn ask(&mut self, event: request_response::Event<Asked, Answered>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                request_response::Message::Request { request_id, request, channel } => {
                    self.asked(PeerId(peer), request_id, request, channel);
                }
                request_response::Message::Response { request_id, response } => {
                    let outcome = if response.is_ok() { "answered" } else { "refused" };
                    self.answered(request_id, response.map_err(RequestError::NoAnswer), outcome);
                }
            },
            request_response::Event::OutboundFailure { peer, request_id, error, .. } => {
                self.not_answered(PeerId(peer), request_id, &error);
            }
            request_response::Event::InboundFailure { request_id, .. } => drop(self.answering.remove(&request_id)),
            request_response::Event::ResponseSent { request_id, .. } => drop(self.answering.remove(&request_id)),
        }
    }

    fn asked(&mut self, peer: PeerId, id: InboundRequestId, asked: Asked, channel: ResponseChannel<Answered>) {
        let (protocol, bytes, room) = match asked {
            Asked::Known { protocol, bytes, room } => (protocol, bytes, room),
            Asked::Unknown => {
                self.metrics.request("unknown", "inbound", "refused");
                return self.reply(id, channel, Err(NoAnswer::UnknownProtocol));
            }
            // NET-6: a frame that no honest node writes.
            Asked::Bad(frame) => {
                self.metrics.request("unknown", "inbound", "malformed");
                return self.offend(peer, Offence::Frame(frame));
            }
        };
        let now = Instant::now();
        if !self.peers.get_mut(&peer).is_none_or(|row| row.requests.take(1, now)) {
            self.reply(id, channel, Err(NoAnswer::Busy));
            return self.offend(peer, Offence::Flood);
        }
        let limits = &self.config.protocols[protocol];
        let same = self.answering.values().filter(|(_, other)| *other == protocol);
        let (mut total, mut of_peer) = (0, 0);
        for (other, _) in same {
            total += 1;
            of_peer += usize::from(*other == peer);
        }
        if total >= limits.total_max || of_peer >= limits.per_peer_max {
            self.metrics.request(&self.protocol_names[protocol], "inbound", "busy");
            return self.reply(id, channel, Err(NoAnswer::Busy));
        }
        let limit = limits.response_bytes_max;
        self.answering.insert(id, (peer, protocol));
        let inner = Some(ReplyTo { id, channel, answers: self.answer_sender.clone(), room });
        let name = self.protocol_names[protocol].clone();
        let request = Request { peer, protocol: name, bytes, reply: Reply { inner, limit } };
        if let Err(event) = self.outbox.offer(Event::Request(request)) {
            self.metrics.dropped("request");
            if let Event::Request(request) = *event {
                request.reply.refuse(NoAnswer::Busy);
            }
        }
    }

    fn answered(&mut self, id: OutboundRequestId, result: Result<Vec<u8>, RequestError>, outcome: &str) {
        let Some(asking) = self.asking.remove(&id) else { return };
        self.metrics.request(&self.protocol_names[asking.protocol], "outbound", outcome);
        // Whoever asked may have stopped waiting.
        let _ = asking.reply.send(result);
    }

    fn not_answered(&mut self, peer: PeerId, id: OutboundRequestId, error: &OutboundFailure) {
        let frame = if let OutboundFailure::Io(error) = error { FrameError::within(error) } else { None };
        let after = self.asking.get(&id).map(|asking| self.config.protocols[asking.protocol].timeout);
        let result = match (error, frame) {
            (_, Some(frame)) => RequestError::Frame(frame),
            (OutboundFailure::Timeout, _) => RequestError::Timeout { after: after.unwrap_or_default() },
            (OutboundFailure::UnsupportedProtocols, _) => RequestError::NoAnswer(NoAnswer::UnknownProtocol),
            (error, _) => RequestError::Closed { reason: error.to_string() },
        };
        let outcome = match &result {
            RequestError::Frame(_) => "malformed",
            RequestError::Timeout { .. } => "timed_out",
            RequestError::NoAnswer(_) => "refused",
            _ => "closed",
        };
        self.answered(id, Err(result), outcome);
        if let Some(frame) = frame {
            self.offend(peer, Offence::Frame(frame));
        }
    }

    /// Counts an offence, and ends the connections where it leads to a ban.
    fn offend(&mut self, peer: PeerId, offence: Offence) {
        let ip = self.ip(&peer);
        let bans = &mut self.swarm.behaviour_mut().gate.bans;
        let Some(length) = bans.offend(peer, ip, offence.clone(), Instant::now()) else { return };
        self.metrics.banned(offence.name());
        tracing::info!(%peer, %offence, seconds = length.as_secs(), "peer is banned");
        self.refuse(peer, Refusal::Banned { offence, length });
    }

    /// Ends the connections with a peer, and says why.
    fn refuse(&mut self, peer: PeerId, reason: Refusal) {
        let address = self.peers.get(&peer).and_then(|row| row.connections.values().next());
        let Some(address) = address.map(Multiaddr::to_string) else { return };
        // It fails where the peer has just gone.
        let _ = self.swarm.disconnect_peer_id(peer.0);
        self.say_refused(peer, address, reason);
    }

    fn say_refused(&mut self, peer: PeerId, address: String, reason: Refusal) {
        self.metrics.refused(reason.name());
        tracing::debug!(%peer, %reason, "connection ended");
        self.tell_refused(Some(peer), address, reason);
    }

    fn ip(&self, peer: &PeerId) -> Option<std::net::IpAddr> {
        self.peers.get(peer)?.connections.values().find_map(ip_of)
    }
}

/// The name at the beginning of an address, where it has one.
fn name_of(address: &Multiaddr) -> Option<String> {
    match address.iter().next()? {
        multiaddr::Protocol::Dns(name) | multiaddr::Protocol::Dns4(name) | multiaddr::Protocol::Dns6(name) => {
            Some(name.into_owned())
        }
        _ => None,
    }
}

/// The addresses with the names at their beginnings replaced by what the operating system says they stand for.
async fn resolve(addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let mut found = Vec::new();
    for address in addresses {
        let Some(name) = name_of(&address) else {
            found.push(address);
            continue;
        };
        let lookup = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((name, 0))).await;
        let Ok(Ok(hosts)) = lookup else { continue };
        for host in hosts.take(RESOLVED_MAX) {
            let wanted = match address.iter().next() {
                Some(multiaddr::Protocol::Dns4(_)) => host.is_ipv4(),
                Some(multiaddr::Protocol::Dns6(_)) => host.is_ipv6(),
                _ => true,
            };
            if wanted {
                let rest = address.iter().skip(1);
                found.push(std::iter::once(multiaddr::Protocol::from(host.ip())).chain(rest).collect());
            }
        }
    }
    found
}
