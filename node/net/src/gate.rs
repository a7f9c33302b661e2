//! The door: how many connections there are, from where, and who is kept out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::Multiaddr;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol as Part;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};

use crate::bans::Bans;
use crate::config::Limits;
use crate::peer::{Direction, PeerId};

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The peer is banned.
    #[error("the peer is banned")]
    Banned,
    /// The address is banned.
    #[error("the address is banned")]
    AddressBanned,
    /// There are as many as there may be.
    #[error("there are {max} connections, which is the limit")]
    Connections {
        /// The limit.
        max: usize,
    },
    /// As many are being made as may be.
    #[error("{max} connections are being made, which is the limit")]
    Pending {
        /// The limit.
        max: usize,
    },
    /// The peer has as many as it may.
    #[error("the peer has {max} connections, which is the limit")]
    PerPeer {
        /// The limit.
        max: usize,
    },
    /// Its address has as many as it may.
    #[error("the address has {max} connections, which is the limit")]
    PerAddress {
        /// The limit.
        max: usize,
    },
}

impl Denied {
    /// The word for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Banned => "banned",
            Self::AddressBanned => "address_banned",
            Self::Connections { .. } => "connections",
            Self::Pending { .. } => "pending",
            Self::PerPeer { .. } => "connections_per_peer",
            Self::PerAddress { .. } => "connections_per_address",
        }
    }
}

/// Counts connections, and refuses one too many (NET-8).
///
/// The library's own counter keeps a row for every peer that ever connected; this one forgets with the connection.
pub(crate) struct Gate {
    limits: Limits,
    pub(crate) bans: Bans,
    pending: BTreeMap<ConnectionId, (Direction, Option<IpAddr>)>,
    open: BTreeMap<ConnectionId, (PeerId, Direction, Option<IpAddr>)>,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Self {
        let bans = Bans::new(limits.ban, limits.ban_wrong_network);
        Self { limits, bans, pending: BTreeMap::new(), open: BTreeMap::new() }
    }

    /// How many connections are being made from here.
    pub(crate) fn dialling(&self) -> usize {
        self.pending_of(Direction::Outbound)
    }

    /// How many connections there are.
    pub(crate) fn count(&self) -> usize {
        self.open.len()
    }

    fn pending_of(&self, direction: Direction) -> usize {
        self.pending.values().filter(|(other, _)| *other == direction).count()
    }

    fn knock(&mut self, id: ConnectionId, direction: Direction, ip: Option<IpAddr>) -> Result<(), Denied> {
        let limits = &self.limits;
        if ip.is_some_and(|ip| self.bans.of_address(&ip, Instant::now())) {
            return Err(Denied::AddressBanned);
        }
        if self.pending_of(direction) >= limits.pending_max {
            return Err(Denied::Pending { max: limits.pending_max });
        }
        // Those that are being made count too, or a burst of them would all pass.
        let pending_in = self.pending_of(Direction::Inbound);
        if direction == Direction::Inbound && self.open.len() + pending_in >= limits.connections_max {
            return Err(Denied::Connections { max: limits.connections_max });
        }
        let far = ip.filter(|ip| !ip.is_loopback() && direction == Direction::Inbound);
        if let Some(ip) = far {
            let same = |(other, from): (Direction, Option<IpAddr>)| other == Direction::Inbound && from == Some(ip);
            let open = self.open.values().filter(|(_, other, from)| same((*other, *from))).count();
            let pending = self.pending.values().filter(|(other, from)| same((*other, *from))).count();
            if open + pending >= limits.per_ip_max {
                return Err(Denied::PerAddress { max: limits.per_ip_max });
            }
        }
        self.pending.insert(id, (direction, ip));
        Ok(())
    }

    fn enter(&mut self, id: ConnectionId, peer: PeerId) -> Result<(), Denied> {
        self.pending.remove(&id);
        let limits = &self.limits;
        if self.bans.of_peer(&peer, Instant::now()).is_some() {
            return Err(Denied::Banned);
        }
        if self.open.len() >= limits.connections_max {
            return Err(Denied::Connections { max: limits.connections_max });
        }
        if self.open.values().filter(|(other, ..)| *other == peer).count() >= limits.per_peer_max {
            return Err(Denied::PerPeer { max: limits.per_peer_max });
        }
        Ok(())
    }
}

/// The address of the other side, where it is one.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Part::Ip4(ip) => Some(IpAddr::V4(ip)),
        // The same machine in the clothes of the other family is the same machine.
        Part::Ip6(ip) => Some(IpAddr::V6(ip).to_canonical()),
        _ => None,
    })
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.knock(id, Direction::Inbound, ip_of(remote)).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: libp2p::PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.enter(id, PeerId(peer)).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<libp2p::PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if peer.is_some_and(|peer| self.bans.of_peer(&PeerId(peer), Instant::now()).is_some()) {
            return Err(ConnectionDenied::new(Denied::Banned));
        }
        self.knock(id, Direction::Outbound, None).map_err(ConnectionDenied::new)?;
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: libp2p::PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.enter(id, PeerId(peer)).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                let direction = if event.endpoint.is_dialer() { Direction::Outbound } else { Direction::Inbound };
                let ip = ip_of(event.endpoint.get_remote_address());
                self.open.insert(event.connection_id, (PeerId(event.peer_id), direction, ip));
            }
            FromSwarm::ConnectionClosed(event) => drop(self.open.remove(&event.connection_id)),
            FromSwarm::DialFailure(event) => drop(self.pending.remove(&event.connection_id)),
            FromSwarm::ListenFailure(event) => drop(self.pending.remove(&event.connection_id)),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: libp2p::PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bans::Offence;

    fn gate() -> Gate {
        Gate::new(Limits { connections_max: 4, pending_max: 3, per_peer_max: 2, per_ip_max: 2, ..Limits::default() })
    }

    fn id(n: usize) -> ConnectionId {
        ConnectionId::new_unchecked(n)
    }

    fn far(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn peer(n: u8) -> PeerId {
        PeerId::of_secret([n; 32])
    }

    /// Opens a connection from an address, as the swarm would.
    fn open(gate: &mut Gate, n: usize, peer: PeerId, ip: Option<IpAddr>) -> Result<(), Denied> {
        gate.knock(id(n), Direction::Inbound, ip)?;
        gate.enter(id(n), peer)?;
        gate.open.insert(id(n), (peer, Direction::Inbound, ip));
        Ok(())
    }

    // NET-8: the limits, each at itself and at one more.
    #[test]
    fn one_connection_too_many_is_denied_by_name() {
        let mut gate = gate();
        assert_eq!(open(&mut gate, 1, peer(1), far(1)), Ok(()));
        assert_eq!(open(&mut gate, 2, peer(1), far(2)), Ok(()));
        assert_eq!(open(&mut gate, 3, peer(1), far(3)), Err(Denied::PerPeer { max: 2 }));
        assert_eq!(open(&mut gate, 4, peer(2), far(1)), Ok(()));
        assert_eq!(open(&mut gate, 5, peer(3), far(1)), Err(Denied::PerAddress { max: 2 }));
        assert_eq!(open(&mut gate, 6, peer(3), Some(IpAddr::from([127, 0, 0, 1]))), Ok(()));
        assert_eq!(open(&mut gate, 7, peer(4), far(7)), Err(Denied::Connections { max: 4 }));
        assert_eq!(gate.pending.len(), 0);
    }

    #[test]
    fn what_is_being_made_is_counted_apart_in_each_direction() {
        let mut gate = gate();
        for n in 0..3 {
            assert_eq!(gate.knock(id(n), Direction::Outbound, None), Ok(()));
        }
        assert_eq!(gate.knock(id(3), Direction::Outbound, None), Err(Denied::Pending { max: 3 }));
        for n in 4..7 {
            assert_eq!(gate.knock(id(n), Direction::Inbound, far(u8::try_from(n).expect("small"))), Ok(()));
        }
        assert_eq!(gate.knock(id(7), Direction::Inbound, far(8)), Err(Denied::Pending { max: 3 }));
        assert_eq!(gate.dialling(), 3);
    }

    #[test]
    fn who_is_banned_does_not_enter() {
        let mut gate = gate();
        for n in 1..4 {
            gate.bans.offend(peer(n), far(1), Offence::Reported("it lied".to_owned()), Instant::now());
        }
        assert_eq!(open(&mut gate, 1, peer(1), far(2)), Err(Denied::Banned));
        assert_eq!(open(&mut gate, 2, peer(9), far(1)), Err(Denied::AddressBanned));
        assert_eq!(open(&mut gate, 3, peer(9), far(2)), Ok(()));
    }

    #[test]
    fn an_address_is_found_in_either_family() {
        let ip = |text: &str| ip_of(&text.parse().expect("an address"));
        assert_eq!(ip("/ip4/192.0.2.1/tcp/1"), far(1));
        assert_eq!(ip("/ip6/::ffff:192.0.2.1/udp/1/quic-v1"), far(1));
        assert_eq!(ip("/dns/example.org/tcp/1"), None);
    }
}
