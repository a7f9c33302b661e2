//! What the swarm is made of: the transports, the protocols, and their limits.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::gossipsub::{
    self, ConfigBuilder, DataTransform, IdentTopic, MaxCountSubscriptionFilter, Message, MessageAuthenticity,
    MessageId, PeerScoreParams, PeerScoreThresholds, RawMessage, TopicHash, TopicScoreParams, ValidationMode,
    WhitelistSubscriptionFilter,
};
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{StreamProtocol, Swarm, Transport, identify, memory_connection_limits, noise, ping, quic, swarm, tcp};
use libp2p::{websocket, yamux};
use prometheus_client::registry::Registry;

use crate::ask::Frames;
use crate::config::{Config, Limits, StartError, Topic};
use crate::gate::Gate;
use crate::throttle::Throttled;

/// The tag of a gossiped message's id: 32 bytes, as every key of BLAKE3.
const MESSAGE_TAG: &[u8; 32] = b"cpc.gossip-message.v1...........";
/// What the gossip protocol adds to the bytes of a message.
const GOSSIP_OVERHEAD: usize = 256;
/// A score at or below this is not listened to, and the peer is banned.
pub(crate) const GRAYLIST: f64 = -400.0;
/// Messages in one frame of gossip; ours have one.
const MESSAGES_PER_FRAME: usize = 64;
/// Idle connections are closed after this.
const IDLE: Duration = Duration::from_secs(600);
/// An upgrade that takes longer is given up.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) type Gossipsub = gossipsub::Behaviour<OurTopics, MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>>;

/// The protocols of a node. The gate stands first: what it denies costs the others nothing.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) gate: Gate,
    pub(crate) memory: Toggle<memory_connection_limits::Behaviour>,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) gossip: Gossipsub,
    pub(crate) ask: request_response::Behaviour<Frames>,
}

/// Refuses messages of topics that this node does not have, before they take memory.
#[derive(Clone)]
pub(crate) struct OurTopics(Arc<HashSet<TopicHash>>);

impl DataTransform for OurTopics {
    fn inbound_transform(&self, raw: RawMessage) -> Result<Message, io::Error> {
        if !self.0.contains(&raw.topic) {
            return Err(io::Error::other("a topic that this node does not have"));
        }
        Ok(Message { source: raw.source, data: raw.data, sequence_number: raw.sequence_number, topic: raw.topic })
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> Result<Vec<u8>, io::Error> {
        Ok(data)
    }
}

/// The swarm of a configuration, with nothing open yet.
pub(crate) fn swarm(config: &Config, key: &Keypair, registry: &mut Registry) -> Result<Swarm<Behaviour>, StartError> {
    let behaviour = behaviour(config, key, registry)?;
    let swarm_config = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE)
        .with_max_negotiating_inbound_streams(config.limits.streams_max);
    Ok(Swarm::new(transport(&config.limits, key)?, behaviour, key.public().to_peer_id(), swarm_config))
}

fn transport(limits: &Limits, key: &Keypair) -> Result<Boxed<(libp2p::PeerId, StreamMuxerBox)>, StartError> {
    // NET-1: QUIC; TCP and WebSocket, both with noise and yamux.
    let refused = |reason: String| StartError::Limits { reason };
    let noise = noise::Config::new(key).map_err(|error| refused(error.to_string()))?;
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(limits.streams_max);
    let plain = || tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let tcp = plain()
        .upgrade(Version::V1Lazy)
        .authenticate(noise.clone())
        .multiplex(yamux.clone())
        .timeout(UPGRADE_TIMEOUT)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let websocket = websocket::Config::new(plain())
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux)
        .timeout(UPGRADE_TIMEOUT)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let mut quic = quic::Config::new(key);
    quic.max_concurrent_stream_limit = u32::try_from(limits.streams_max).unwrap_or(u32::MAX);
    let quic = quic::tokio::Transport::new(quic).map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let rate = limits.read_bytes();
    // WebSocket first: plain TCP would take the beginning of its addresses.
    let all = websocket
        .or_transport(tcp)
        .map(|either, _| either.into_inner())
        .or_transport(quic)
        .map(|either, _| either.into_inner())
        .map(move |(peer, muxer), _| (peer, StreamMuxerBox::new(Throttled::new(muxer, rate))));
    Ok(all.boxed())
}

fn behaviour(config: &Config, key: &Keypair, registry: &mut Registry) -> Result<Behaviour, StartError> {
    let limits = &config.limits;
    let identify = identify::Config::new(config.network.name("id"), key.public())
        .with_agent_version(config.agent.clone())
        .with_cache_size(0);
    let timeout = config.protocols.iter().map(|protocol| protocol.timeout).max().unwrap_or(UPGRADE_TIMEOUT);
    let streams = config.protocols.iter().map(|protocol| protocol.per_peer_max).sum::<usize>();
    let ask_config = request_response::Config::default()
        .with_request_timeout(timeout)
        // One more of each direction than is answered, so that one too many is refused by name.
        .with_max_concurrent_streams((streams * 2 + 2).min(limits.streams_max));
    let frames = Frames::new(config.protocols.clone().into(), limits.request_bytes_max);
    let name = StreamProtocol::try_from_owned(config.network.name("ask")).expect("a name of a protocol");
    Ok(Behaviour {
        gate: Gate::new(limits.clone()),
        memory: Toggle::from(limits.memory_bytes_max.map(memory_connection_limits::Behaviour::with_max_bytes)),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::default(),
        gossip: gossip(config, registry)?,
        ask: request_response::Behaviour::with_codec(frames, [(name, ProtocolSupport::Full)], ask_config),
    })
}

fn gossip(config: &Config, registry: &mut Registry) -> Result<Gossipsub, StartError> {
    let refused = |reason: String| StartError::Limits { reason };
    let limits = &config.limits;
    let frame = |topic: &Topic| topic.bytes_max + GOSSIP_OVERHEAD;
    let largest = config.topics.iter().map(frame).max().unwrap_or(GOSSIP_OVERHEAD);
    let mut builder = ConfigBuilder::default();
    builder
        .protocol_id_prefix(format!("/cpc/{}/gossip", config.network))
        // NET-4: nobody signs a message, and nobody forwards one that the application has not accepted.
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .heartbeat_initial_delay(Duration::from_millis(100))
        // Twice a message: one that is a little too long is read, refused by name and counted, a longer one is not read.
        .max_transmit_size(largest * 2)
        .max_publish_messages(MESSAGES_PER_FRAME)
        // NET-7: so many messages wait for a peer that does not read; the oldest are dropped.
        .connection_handler_queue_len(limits.queue_per_peer_max);
    for topic in &config.topics {
        builder.max_transmit_size_for_topic(frame(topic), hash(&topic.name));
    }
    let gossip_config = builder.build().map_err(|error| refused(error.to_string()))?;
    let ours: HashSet<TopicHash> = config.topics.iter().map(|topic| hash(&topic.name)).collect();
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(ours.clone()),
        max_subscribed_topics: config.topics.len().max(1),
        max_subscriptions_per_request: 4 * config.topics.len().max(1),
    };
    let mut gossip = Gossipsub::new_with_subscription_filter_and_transform(
        MessageAuthenticity::Anonymous,
        gossip_config,
        filter,
        OurTopics(Arc::new(ours)),
    )
    .map_err(|error| refused(error.to_owned()))?
    .with_metrics(registry.sub_registry_with_prefix("cpc_p2p_gossip"), gossipsub::MetricsConfig::default());
    let (params, thresholds) = score(&config.topics);
    gossip.with_peer_score(params, thresholds).map_err(refused)?;
    for topic in &config.topics {
        gossip.subscribe(&IdentTopic::new(&topic.name)).map_err(|error| refused(format!("{error:?}")))?;
    }
    Ok(gossip)
}

pub(crate) fn hash(topic: &str) -> TopicHash {
    IdentTopic::new(topic).hash()
}

/// The id of a message is the hash of what it says and where (NET-4).
fn message_id(message: &Message) -> MessageId {
    let mut hasher = blake3::Hasher::new_keyed(MESSAGE_TAG);
    let topic = message.topic.as_str().as_bytes();
    hasher.update(&[u8::try_from(topic.len()).unwrap_or(u8::MAX)]);
    hasher.update(topic);
    hasher.update(&message.data);
    MessageId::from(hasher.finalize().as_bytes().as_slice())
}

/// How the gossip protocol judges its peers: a rejected message takes a peer out of the mesh, some more silence it (NET-5).
fn score(topics: &[Topic]) -> (PeerScoreParams, PeerScoreThresholds) {
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 100.0,
        first_message_deliveries_weight: 0.01,
        first_message_deliveries_decay: 0.5,
        first_message_deliveries_cap: 100.0,
        // A peer that has nothing to say is no bad peer.
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -20.0,
        invalid_message_deliveries_decay: 0.9,
        ..TopicScoreParams::default()
    };
    let params = PeerScoreParams {
        topics: topics.iter().map(|t| (hash(&t.name), topic.clone())).collect(),
        topic_score_cap: 10.0,
        app_specific_weight: 0.0,
        // The gate counts connections by address, and a devnet is one address.
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 6.0,
        // A slow peer loses messages, not its place.
        slow_peer_weight: 0.0,
        ..PeerScoreParams::default()
    };
    let thresholds = PeerScoreThresholds {
        gossip_threshold: -10.0,
        publish_threshold: -100.0,
        graylist_threshold: GRAYLIST,
        ..PeerScoreThresholds::default()
    };
    (params, thresholds)
}
