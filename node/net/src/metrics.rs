//! What the network counts, for `/metrics`.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// One label, whose values are words of this program or names of its configuration: never of a peer.
type One = [(&'static str, String); 1];
type Two = [(&'static str, String); 2];
type Three = [(&'static str, String); 3];

/// The counters of NET-10.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    peers: Gauge,
    connections: Gauge,
    bans_now: Gauge,
    refused: Family<One, Counter>,
    bans: Family<One, Counter>,
    dials: Family<One, Counter>,
    gossip: Family<Two, Counter>,
    gossip_bytes: Family<Two, Counter>,
    requests: Family<Three, Counter>,
    dropped: Family<One, Counter>,
}

impl Metrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("cpc_p2p");
        registry.register("peers", "Peers of this network that are connected", metrics.peers.clone());
        registry.register("connections", "Open connections", metrics.connections.clone());
        registry.register("banned", "Peers that are banned now", metrics.bans_now.clone());
        registry.register("refused", "Connections refused or ended, by reason", metrics.refused.clone());
        registry.register("bans", "Bans, by offence", metrics.bans.clone());
        registry.register("dials", "Dials, by outcome", metrics.dials.clone());
        registry.register("messages", "Gossiped messages, by topic and outcome", metrics.gossip.clone());
        registry.register("message_bytes", "Gossiped bytes, by topic and direction", metrics.gossip_bytes.clone());
        registry.register("requests", "Requests, by protocol, direction and outcome", metrics.requests.clone());
        registry.register("dropped", "What a full queue dropped, by kind", metrics.dropped.clone());
        metrics
    }

    pub(crate) fn see(&self, peers: usize, connections: usize, banned: usize) {
        let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.peers.set(whole(peers));
        self.connections.set(whole(connections));
        self.bans_now.set(whole(banned));
    }

    pub(crate) fn refused(&self, reason: &str) {
        self.refused.get_or_create(&[("reason", reason.to_owned())]).inc();
    }

    pub(crate) fn banned(&self, offence: &str) {
        self.bans.get_or_create(&[("offence", offence.to_owned())]).inc();
    }

    pub(crate) fn dialled(&self, outcome: &str) {
        self.dials.get_or_create(&[("outcome", outcome.to_owned())]).inc();
    }

    pub(crate) fn gossip(&self, topic: &str, outcome: &str) {
        self.gossip.get_or_create(&[("topic", topic.to_owned()), ("outcome", outcome.to_owned())]).inc();
    }

    pub(crate) fn gossip_bytes(&self, topic: &str, direction: &str, bytes: usize) {
        let labels = [("topic", topic.to_owned()), ("direction", direction.to_owned())];
        self.gossip_bytes.get_or_create(&labels).inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    pub(crate) fn request(&self, protocol: &str, direction: &str, outcome: &str) {
        let labels =
            [("protocol", protocol.to_owned()), ("direction", direction.to_owned()), ("outcome", outcome.to_owned())];
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn dropped(&self, kind: &str) {
        self.dropped.get_or_create(&[("kind", kind.to_owned())]).inc();
    }
}
