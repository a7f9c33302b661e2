//! What a node is told before it opens a socket, and why it may not start.

use core::fmt;
use std::collections::BTreeSet;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol as Part;

use crate::bucket::Rate;
use crate::peer::PeerId;

/// Bytes of the name of a topic or of a protocol.
pub(crate) const NAME_BYTES_MAX: usize = 32;
/// Bytes of one address.
const ADDRESS_BYTES_MAX: usize = 512;
/// Addresses of one list of the configuration.
pub(crate) const ADDRESSES_MAX: usize = 256;
/// Topics, and protocols.
const NAMES_MAX: usize = 32;

/// The beginning of a genesis hash: what every protocol's name holds, so that two networks do not speak (NET-2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NetworkId(pub [u8; 8]);

impl NetworkId {
    /// The network with this genesis.
    pub fn of(genesis: &[u8; 32]) -> Self {
        Self(*genesis.first_chunk().expect("32 bytes have a first eight"))
    }

    /// The full name of a protocol of this network.
    pub(crate) fn name(self, what: &str) -> String {
        // NET-2: the network first, so that a peer of another one has no protocol in common with us.
        format!("/cpc/{self}/{what}/1")
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a node gossips about.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Bytes of one message.
    pub bytes_max: usize,
}

/// What one node may ask another.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// Its name.
    pub name: String,
    /// Bytes of a question.
    pub request_bytes_max: usize,
    /// Bytes of an answer.
    pub response_bytes_max: usize,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// Questions in flight with one peer, in each direction.
    pub per_peer_max: usize,
    /// Questions in flight with all, in each direction.
    pub total_max: usize,
}

/// A peer that the application knows of.
#[derive(Debug, Clone)]
pub struct Known {
    /// Who it is.
    pub peer: PeerId,
    /// Where it may be.
    pub addresses: Vec<String>,
}

/// How much of everything. The defaults are those of `docs/spec/network.md`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections.
    pub connections_max: usize,
    /// Connections that are not yet established, in each direction.
    pub pending_max: usize,
    /// Connections with one peer.
    pub per_peer_max: usize,
    /// Connections from one address that is not this machine.
    pub per_ip_max: usize,
    /// Streams of one connection that the other side opened.
    pub streams_max: usize,
    /// Bytes a second that are read from one connection; more is not refused, it waits.
    pub read_bytes_per_second: u64,
    /// Messages a second that one peer may gossip; twice as many at once.
    pub gossip_messages_per_second: u64,
    /// Bytes a second that one peer may gossip; twice as many at once.
    pub gossip_bytes_per_second: u64,
    /// Bytes a second that this node may gossip of its own; twice as many at once. They are kept for five seconds.
    pub publish_bytes_per_second: u64,
    /// Questions a second that one peer may ask; twice as many at once.
    pub requests_per_second: u64,
    /// Gossip that waits for a judgement.
    pub unjudged_max: usize,
    /// Its bytes.
    pub unjudged_bytes_max: usize,
    /// How long a judgement is waited for.
    pub judgement_timeout: Duration,
    /// Messages that wait to be sent to one peer.
    pub queue_per_peer_max: usize,
    /// Bytes of questions that were read and not yet answered.
    pub request_bytes_max: usize,
    /// Events that wait for the application.
    pub events_max: usize,
    /// No connection is taken while the process has more memory than this.
    pub memory_bytes_max: Option<usize>,
    /// How long a peer has to say who it is.
    pub identify_timeout: Duration,
    /// The pause before a lost peer is dialled again; each further one is twice as long.
    pub redial_min: Duration,
    /// The longest pause.
    pub redial_max: Duration,
    /// How long a peer is banned for the first time.
    pub ban: Duration,
    /// How long a peer of another network is kept out.
    pub ban_wrong_network: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 96,
            pending_max: 32,
            per_peer_max: 2,
            per_ip_max: 8,
            streams_max: 64,
            read_bytes_per_second: 64 << 20,
            gossip_messages_per_second: 400,
            gossip_bytes_per_second: 8 << 20,
            publish_bytes_per_second: 8 << 20,
            requests_per_second: 200,
            unjudged_max: 1024,
            unjudged_bytes_max: 64 << 20,
            judgement_timeout: Duration::from_secs(5),
            queue_per_peer_max: 32,
            request_bytes_max: 32 << 20,
            events_max: 2048,
            memory_bytes_max: None,
            identify_timeout: Duration::from_secs(10),
            redial_min: Duration::from_secs(1),
            redial_max: Duration::from_secs(60),
            ban: Duration::from_secs(600),
            ban_wrong_network: Duration::from_secs(60),
        }
    }
}

impl Limits {
    pub(crate) const fn gossip_messages(&self) -> Rate {
        twice(self.gossip_messages_per_second)
    }

    pub(crate) const fn gossip_bytes(&self) -> Rate {
        twice(self.gossip_bytes_per_second)
    }

    pub(crate) const fn publish_bytes(&self) -> Rate {
        twice(self.publish_bytes_per_second)
    }

    pub(crate) const fn requests(&self) -> Rate {
        twice(self.requests_per_second)
    }

    pub(crate) const fn read_bytes(&self) -> Rate {
        twice(self.read_bytes_per_second)
    }
}

const fn twice(per_second: u64) -> Rate {
    Rate { per_second, burst: per_second.saturating_mul(2) }
}

/// Everything that a node is told before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which network.
    pub network: NetworkId,
    /// What this program says that it is.
    pub agent: String,
    /// Where to listen: `/ip4/0.0.0.0/udp/4001/quic-v1`, `/ip4/0.0.0.0/tcp/4001`, `/ip4/0.0.0.0/tcp/4002/ws`.
    pub listen: Vec<String>,
    /// Where others can reach this node, where that is not where it listens.
    pub announce: Vec<String>,
    /// Whom to dial first, with or without `/p2p/` and the peer's name at the end.
    pub boot: Vec<String>,
    /// What to gossip about.
    pub topics: Vec<Topic>,
    /// What to ask and answer.
    pub protocols: Vec<Protocol>,
    /// How much of everything.
    pub limits: Limits,
}

/// Why the network does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address that cannot be read.
    #[error("{address:?} is not an address of the form /ip4/127.0.0.1/tcp/4001: {reason}")]
    Address {
        /// The text.
        address: String,
        /// What the reader found.
        reason: String,
    },
    /// An address whose socket does not open.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// What the operating system said.
        reason: String,
    },
    /// A list that is too long.
    #[error("{found} {what}, at most {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
        /// How many there are.
        found: usize,
    },
    /// A name that cannot be part of a protocol's name.
    #[error("{name:?} is no name of a topic or protocol: 1 to {max} small letters, digits and hyphens, each once")]
    Name {
        /// The name.
        name: String,
        /// The limit.
        max: usize,
    },
    /// A limit that the library refuses.
    #[error("the limits do not fit together: {reason}")]
    Limits {
        /// What the library said.
        reason: String,
    },
}

/// A configuration whose texts are read.
pub(crate) struct Checked {
    pub(crate) listen: Vec<Multiaddr>,
    pub(crate) announce: Vec<Multiaddr>,
    pub(crate) boot: Vec<Multiaddr>,
}

impl Config {
    pub(crate) fn check(&self) -> Result<Checked, StartError> {
        names("topics", self.topics.iter().map(|topic| topic.name.as_str()))?;
        names("protocols", self.protocols.iter().map(|protocol| protocol.name.as_str()))?;
        Ok(Checked {
            listen: addresses("addresses to listen on", &self.listen)?,
            announce: addresses("announced addresses", &self.announce)?,
            boot: addresses("boot addresses", &self.boot)?,
        })
    }
}

fn names<'a>(what: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), StartError> {
    let mut seen = BTreeSet::new();
    for name in names {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(good) || !seen.insert(name) {
            return Err(StartError::Name { name: name.to_owned(), max: NAME_BYTES_MAX });
        }
    }
    within(what, NAMES_MAX, seen.len())
}

fn addresses(what: &'static str, texts: &[String]) -> Result<Vec<Multiaddr>, StartError> {
    within(what, ADDRESSES_MAX, texts.len())?;
    texts.iter().map(|text| address(text)).collect()
}

fn within(what: &'static str, max: usize, found: usize) -> Result<(), StartError> {
    if found <= max { Ok(()) } else { Err(StartError::TooMany { what, max, found }) }
}

/// Whether a text is an address that can be called or listened on.
pub fn is_address(text: &str) -> bool {
    address(text).is_ok()
}

/// Reads one address.
pub(crate) fn address(text: &str) -> Result<Multiaddr, StartError> {
    let refused =
        |reason: String| StartError::Address { address: text.chars().take(ADDRESS_BYTES_MAX).collect(), reason };
    if text.len() > ADDRESS_BYTES_MAX {
        return Err(refused(format!("{} bytes, at most {ADDRESS_BYTES_MAX}", text.len())));
    }
    text.parse().map_err(|error: libp2p::multiaddr::Error| refused(error.to_string()))
}

/// An address without the name at its end, and the name.
pub(crate) fn split(mut address: Multiaddr) -> (Multiaddr, Option<PeerId>) {
    match address.iter().last() {
        Some(Part::P2p(peer)) => {
            address.pop();
            (address, Some(PeerId(peer)))
        }
        _ => (address, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            network: NetworkId([0xab; 8]),
            agent: "test".to_owned(),
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            announce: Vec::new(),
            boot: Vec::new(),
            topics: vec![Topic { name: "txs".to_owned(), bytes_max: 1 << 18 }],
            protocols: Vec::new(),
            limits: Limits::default(),
        }
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut Config), message: &str) {
        let mut config = config();
        change(&mut config);
        let error = config.check().map(|_| ()).expect_err("refused").to_string();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_text() {
        assert!(config().check().is_ok());
        refused(|c| c.listen.push("localhost:4001".to_owned()), "\"localhost:4001\" is not an address");
        refused(|c| c.boot.push("/ip4/300.0.0.1/tcp/1".to_owned()), "\"/ip4/300.0.0.1/tcp/1\" is not an address");
        refused(|c| c.announce.push("/".repeat(1000)), "1000 bytes, at most 512");
        refused(|c| c.boot = vec!["/ip4/127.0.0.1/tcp/1".to_owned(); 257], "257 boot addresses, at most 256");
    }

    #[test]
    fn a_name_is_short_plain_and_alone() {
        let topic = |name: &str| Topic { name: name.to_owned(), bytes_max: 1 };
        for name in ["", "Txs", "a/b", "a b", "123456789012345678901234567890123", "txs"] {
            refused(|c| c.topics.push(topic(name)), "is no name of a topic or protocol");
        }
        refused(|c| c.topics = (0..33).map(|n| topic(&format!("t{n}"))).collect(), "33 topics, at most 32");
    }

    #[test]
    fn a_network_is_named_by_the_beginning_of_its_genesis() {
        let mut genesis = [0; 32];
        genesis[0] = 0xab;
        let network = NetworkId::of(&genesis);
        assert_eq!(network.name("ask"), "/cpc/ab00000000000000/ask/1");
    }

    #[test]
    fn a_name_at_the_end_of_an_address_is_taken_off() {
        let peer = PeerId::of_secret([1; 32]);
        let bare = "/ip4/127.0.0.1/tcp/1";
        let named = address(&format!("{bare}/p2p/{peer}")).expect("an address");
        assert_eq!(split(named), (bare.parse().expect("an address"), Some(peer)));
        let bare: Multiaddr = bare.parse().expect("an address");
        assert_eq!(split(bare.clone()), (bare, None));
    }
}
