//! Nodes on this machine's own sockets, and strangers that speak libp2p but not honestly.
#![allow(dead_code, reason = "each test program uses its part")]
#![allow(clippy::result_large_err, reason = "an event that is not picked is handed back")]

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use cpc_net::{
    Config, Event, Events, Gossip, Handle, Limits, Net, NetworkId, PeerId, Protocol, Refusal, Request, Topic,
};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::request_response::{self, Codec, ProtocolSupport};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, StreamProtocol, Swarm, SwarmBuilder, identify, noise, tcp, yamux};

pub(crate) const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub(crate) const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
pub(crate) const WEBSOCKET: &str = "/ip4/127.0.0.1/tcp/0/ws";
pub(crate) const TRANSPORTS: [&str; 3] = [TCP, QUIC, WEBSOCKET];

/// Every wait ends: a machine that is busy with other things is given this long.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const NETWORK: NetworkId = NetworkId([7; 8]);

pub(crate) struct Node {
    pub(crate) handle: Handle,
    pub(crate) events: Events,
    passed: VecDeque<Event>,
    pub(crate) address: String,
}

pub(crate) fn secret(n: u8) -> [u8; 32] {
    [n; 32]
}

pub(crate) fn config(listen: &str) -> Config {
    let protocol = |name: &str| Protocol {
        name: name.to_owned(),
        request_bytes_max: 1 << 10,
        response_bytes_max: 1 << 20,
        timeout: Duration::from_secs(20),
        per_peer_max: 2,
        total_max: 8,
    };
    Config {
        network: NETWORK,
        agent: "cpc-net-tests/1".to_owned(),
        listen: vec![listen.to_owned()],
        announce: Vec::new(),
        boot: Vec::new(),
        topics: vec![Topic { name: "txs".to_owned(), bytes_max: 64 << 10 }],
        protocols: vec![protocol("echo"), protocol("other")],
        limits: Limits { redial_min: Duration::from_millis(50), ..Limits::default() },
    }
}

impl Node {
    pub(crate) async fn start(n: u8, config: Config) -> Self {
        let (handle, events) = Net::start(config, secret(n)).expect("a free port of this machine");
        let address = format!("/p2p/{}", handle.id());
        let mut node = Self { handle, events, passed: VecDeque::new(), address };
        let listening = node.wait(|event| match event {
            Event::Listening { address } => Ok(address),
            other => Err(other),
        });
        node.address = format!("{}{}", listening.await, node.address);
        node
    }

    pub(crate) fn id(&self) -> PeerId {
        self.handle.id()
    }

    /// The first event that is picked; those that were passed over wait for somebody else.
    pub(crate) async fn wait<T>(&mut self, mut pick: impl FnMut(Event) -> Result<T, Event>) -> T {
        for _ in 0..self.passed.len() {
            match pick(self.passed.pop_front().expect("counted")) {
                Ok(found) => return found,
                Err(other) => self.passed.push_back(other),
            }
        }
        let found = async {
            loop {
                match pick(self.events.recv().await.expect("the network runs")) {
                    Ok(found) => return found,
                    Err(other) => self.passed.push_back(other),
                }
            }
        };
        within(found).await
    }

    pub(crate) async fn joined(&mut self) -> PeerId {
        self.wait(|event| if let Event::Joined { peer } = event { Ok(peer) } else { Err(event) }).await
    }

    pub(crate) async fn left(&mut self) -> PeerId {
        self.wait(|event| if let Event::Left { peer } = event { Ok(peer) } else { Err(event) }).await
    }

    pub(crate) async fn subscribed(&mut self) -> PeerId {
        self.wait(|event| if let Event::Subscribed { peer, .. } = event { Ok(peer) } else { Err(event) }).await
    }

    pub(crate) async fn gossip(&mut self) -> Gossip {
        self.wait(|event| if let Event::Gossip(gossip) = event { Ok(gossip) } else { Err(event) }).await
    }

    pub(crate) async fn request(&mut self) -> Request {
        self.wait(|event| if let Event::Request(request) = event { Ok(request) } else { Err(event) }).await
    }

    pub(crate) async fn refused(&mut self) -> Refusal {
        self.wait(|event| if let Event::Refused { reason, .. } = event { Ok(reason) } else { Err(event) }).await
    }

    /// What the node counts under a name, with the labels as they are printed.
    pub(crate) fn counted(&self, line: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, self.handle.registry()).expect("a string takes it");
        let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
        found.map_or(0, |value| value.parse().expect("a count"))
    }
}

/// Waits for anything, but not for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it happens before the deadline")
}

/// Two nodes that are connected; the second dialled.
pub(crate) async fn pair(change: impl Fn(&mut Config)) -> (Node, Node) {
    let mut first = config(TCP);
    change(&mut first);
    let mut first = Node::start(1, first).await;
    let mut second = config(TCP);
    second.boot = vec![first.address.clone()];
    change(&mut second);
    let mut second = Node::start(2, second).await;
    assert_eq!(first.joined().await, second.id());
    assert_eq!(second.joined().await, first.id());
    (first, second)
}

/// A codec that writes whatever it is told to, and reads to the end.
#[derive(Clone, Default)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        read(io).await
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        read(io).await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()> {
        io.write_all(&bytes).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()> {
        io.write_all(&bytes).await
    }
}

async fn read<T: AsyncRead + Unpin + Send>(io: &mut T) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Somebody who speaks our protocols by name, and writes what it likes.
#[derive(libp2p::swarm::NetworkBehaviour)]
pub(crate) struct StrangerBehaviour {
    pub(crate) identify: identify::Behaviour,
    pub(crate) ask: request_response::Behaviour<Raw>,
}

pub(crate) struct Stranger(pub(crate) Swarm<StrangerBehaviour>);

impl Stranger {
    pub(crate) fn new() -> Self {
        let swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .expect("noise")
            .with_behaviour(|key| {
                let name = StreamProtocol::try_from_owned(format!("/cpc/{NETWORK}/ask/1")).expect("a name");
                let version = format!("/cpc/{NETWORK}/id/1");
                StrangerBehaviour {
                    identify: identify::Behaviour::new(identify::Config::new(version, key.public())),
                    ask: request_response::Behaviour::with_codec(
                        Raw,
                        [(name, ProtocolSupport::Full)],
                        request_response::Config::default(),
                    ),
                }
            })
            .expect("a behaviour")
            .with_swarm_config(|config| config.with_idle_connection_timeout(DEADLINE))
            .build();
        Self(swarm)
    }

    /// Dials, and waits until the dial has an outcome: whether it was taken.
    pub(crate) async fn dial(&mut self, address: &str) -> bool {
        let address: Multiaddr = address.parse().expect("an address");
        self.0.dial(address).expect("a dial begins");
        within(async {
            loop {
                match self.0.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { .. } => return true,
                    SwarmEvent::OutgoingConnectionError { .. } => return false,
                    _ => {}
                }
            }
        })
        .await
    }

    /// Runs until the other side has ended the connection.
    pub(crate) async fn until_closed(&mut self) {
        within(async {
            loop {
                if let SwarmEvent::ConnectionClosed { .. } = self.0.select_next_some().await {
                    return;
                }
            }
        })
        .await;
    }
}
