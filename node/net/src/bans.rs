//! Who is kept out, how long and why: a table from offences to bans.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::peer::PeerId;

/// Points at which a peer is banned.
const POINTS_MAX: u32 = 100;
/// A peer that has behaved for so long begins at nothing again.
const FORGIVEN_AFTER: Duration = Duration::from_secs(600);
/// Bans of peers at one address before the address itself is banned.
const BANS_PER_IP: u32 = 3;
/// No ban is longer.
const BAN_MAX: Duration = Duration::from_secs(24 * 3600);
/// Rows of each table.
const ROWS_MAX: usize = 4096;

/// What a peer did wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Offence {
    /// It belongs to another network.
    #[error("it belongs to another network")]
    WrongNetwork,
    /// It sent a frame that is too long or none at all.
    #[error("{0}")]
    Frame(crate::ask::FrameError),
    /// It gossiped what every honest node refuses.
    #[error("it gossiped a message that was rejected")]
    RejectedGossip,
    /// Its score at the gossip protocol is below what is listened to.
    #[error("its gossip score is too low")]
    Score,
    /// It sends faster than it may.
    #[error("it sends more than it may")]
    Flood,
    /// The application said so.
    #[error("{0}")]
    Reported(String),
}

impl Offence {
    /// The word for logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::WrongNetwork => "wrong_network",
            Self::Frame(error) => error.name(),
            Self::RejectedGossip => "rejected_gossip",
            Self::Score => "gossip_score",
            Self::Flood => "flood",
            Self::Reported(_) => "reported",
        }
    }

    /// How much it weighs: what an honest peer can do by accident weighs less than a whole.
    const fn points(&self) -> u32 {
        match self {
            Self::RejectedGossip => 25,
            Self::Flood => 50,
            Self::WrongNetwork | Self::Frame(_) | Self::Score | Self::Reported(_) => POINTS_MAX,
        }
    }
}

/// A peer that is kept out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub peer: PeerId,
    /// How much longer.
    pub left: Duration,
    /// Why.
    pub offence: Offence,
}

/// The tables. Their rows are bounded; where one is full, what ends first makes room.
#[derive(Debug)]
pub(crate) struct Bans {
    /// How long the first ban of a peer lasts; each further one twice as long.
    first: Duration,
    /// How long a peer of another network is kept out: it may be restarted with the right one.
    wrong_network: Duration,
    peers: BTreeMap<PeerId, Record>,
    addresses: BTreeMap<IpAddr, AddressRecord>,
}

#[derive(Debug)]
struct Record {
    points: u32,
    last: Instant,
    times: u32,
    banned: Option<(Instant, Offence)>,
}

#[derive(Debug)]
struct AddressRecord {
    bans: u32,
    last: Instant,
    until: Option<Instant>,
}

impl Bans {
    pub(crate) fn new(first: Duration, wrong_network: Duration) -> Self {
        Self { first, wrong_network, peers: BTreeMap::new(), addresses: BTreeMap::new() }
    }

    /// Counts an offence, and says how long the peer is banned for it where it is.
    pub(crate) fn offend(
        &mut self,
        peer: PeerId,
        ip: Option<IpAddr>,
        offence: Offence,
        now: Instant,
    ) -> Option<Duration> {
        self.make_room(now);
        let record = self.peers.entry(peer).or_insert(Record { points: 0, last: now, times: 0, banned: None });
        if now.saturating_duration_since(record.last) > FORGIVEN_AFTER {
            record.points = 0;
        }
        record.last = now;
        record.points = record.points.saturating_add(offence.points());
        if record.points < POINTS_MAX {
            return None;
        }
        record.points = 0;
        let length = if offence == Offence::WrongNetwork {
            self.wrong_network
        } else {
            let doubled = self.first.saturating_mul(2u32.saturating_pow(record.times));
            record.times = record.times.saturating_add(1);
            doubled.min(BAN_MAX)
        };
        let by_accident = offence == Offence::WrongNetwork;
        record.banned = Some((now + length, offence));
        // NET-9: whoever makes new keys is known by where it comes from; on one machine that says nothing.
        if let Some(ip) = ip.filter(|ip| !ip.is_loopback() && !by_accident) {
            self.count_address(ip, length, now);
        }
        Some(length)
    }

    fn count_address(&mut self, ip: IpAddr, length: Duration, now: Instant) {
        let record = self.addresses.entry(ip).or_insert(AddressRecord { bans: 0, last: now, until: None });
        record.bans = record.bans.saturating_add(1);
        record.last = now;
        if record.bans >= BANS_PER_IP {
            record.until = Some(now + length);
        }
    }

    /// Why a peer is kept out.
    pub(crate) fn of_peer(&self, peer: &PeerId, now: Instant) -> Option<&Offence> {
        let (until, offence) = self.peers.get(peer)?.banned.as_ref()?;
        (*until > now).then_some(offence)
    }

    /// Whether an address is kept out.
    pub(crate) fn of_address(&self, ip: &IpAddr, now: Instant) -> bool {
        self.addresses.get(ip).and_then(|record| record.until).is_some_and(|until| until > now)
    }

    /// Every ban that lasts.
    pub(crate) fn list(&self, now: Instant) -> Vec<Ban> {
        let lasting = self.peers.iter().filter_map(|(peer, record)| {
            let (until, offence) = record.banned.as_ref()?;
            let left = until.saturating_duration_since(now);
            (!left.is_zero()).then(|| Ban { peer: *peer, left, offence: offence.clone() })
        });
        lasting.collect()
    }

    /// Drops what no longer matters, and where that is not enough what ends first.
    fn make_room(&mut self, now: Instant) {
        if self.peers.len() >= ROWS_MAX {
            let fresh = |last: Instant| now.saturating_duration_since(last) <= FORGIVEN_AFTER;
            self.peers.retain(|_, r| fresh(r.last) || r.banned.as_ref().is_some_and(|(until, _)| *until > now));
        }
        while self.peers.len() >= ROWS_MAX {
            let ends = |record: &Record| record.banned.as_ref().map_or(record.last, |(until, _)| *until);
            let first = self.peers.iter().min_by_key(|(_, record)| ends(record)).map(|(peer, _)| *peer);
            first.and_then(|peer| self.peers.remove(&peer));
        }
        while self.addresses.len() >= ROWS_MAX {
            let first = self.addresses.iter().min_by_key(|(_, r)| r.until.unwrap_or(r.last)).map(|(ip, _)| *ip);
            first.and_then(|ip| self.addresses.remove(&ip));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const FIRST: Duration = Duration::from_secs(600);
    const OTHER: Duration = Duration::from_secs(60);

    fn peer(n: u32) -> PeerId {
        let mut secret = [0; 32];
        secret[..4].copy_from_slice(&n.to_le_bytes());
        PeerId::of_secret(secret)
    }

    fn reported() -> Offence {
        Offence::Reported("it lied".to_owned())
    }

    #[test]
    fn small_offences_add_up_to_a_ban_and_are_forgiven_in_time() {
        let now = Instant::now();
        let mut bans = Bans::new(FIRST, OTHER);
        for _ in 0..3 {
            assert_eq!(bans.offend(peer(1), None, Offence::RejectedGossip, now), None);
        }
        let later = now + FORGIVEN_AFTER + Duration::from_secs(1);
        assert_eq!(bans.offend(peer(1), None, Offence::RejectedGossip, later), None);
        assert_eq!(bans.offend(peer(1), None, Offence::Flood, later), None);
        assert_eq!(bans.offend(peer(1), None, Offence::Flood, later), Some(FIRST));
        assert_eq!(bans.of_peer(&peer(1), later), Some(&Offence::Flood));
        assert_eq!(bans.of_peer(&peer(2), later), None);
    }

    #[test]
    fn each_ban_of_a_peer_is_twice_as_long_and_none_is_longer_than_a_day() {
        let mut now = Instant::now();
        let mut bans = Bans::new(FIRST, OTHER);
        let minutes = [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440];
        for expected in minutes {
            let length = bans.offend(peer(1), None, reported(), now).expect("banned at once");
            assert_eq!(length, Duration::from_secs(60 * expected));
            assert_eq!(bans.list(now).len(), 1);
            now += length;
            assert_eq!((bans.of_peer(&peer(1), now), bans.list(now).len()), (None, 0));
        }
        assert_eq!(bans.offend(peer(2), None, Offence::WrongNetwork, now), Some(OTHER));
        assert_eq!(bans.offend(peer(2), None, Offence::WrongNetwork, now), Some(OTHER));
    }

    #[test]
    fn the_third_offender_at_an_address_closes_it_but_not_on_this_machine() {
        let now = Instant::now();
        let mut bans = Bans::new(FIRST, OTHER);
        let (far, near) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from(Ipv4Addr::LOCALHOST));
        for n in 0..3 {
            assert!(!bans.of_address(&far, now));
            bans.offend(peer(n), Some(far), reported(), now);
            bans.offend(peer(100 + n), Some(near), reported(), now);
            bans.offend(peer(200 + n), Some(IpAddr::from([192, 0, 2, 2])), Offence::WrongNetwork, now);
        }
        assert!(bans.of_address(&far, now));
        assert!(!bans.of_address(&far, now + FIRST));
        assert!(!bans.of_address(&near, now));
        assert!(!bans.of_address(&IpAddr::from([192, 0, 2, 2]), now));
    }

    #[test]
    fn the_tables_do_not_grow_without_end() {
        let now = Instant::now();
        let mut bans = Bans::new(FIRST, OTHER);
        let rows = u32::try_from(ROWS_MAX).expect("few");
        for n in 0..rows + 10 {
            let bytes = n.to_be_bytes();
            bans.offend(peer(n), Some(IpAddr::from([10, bytes[1], bytes[2], bytes[3]])), reported(), now);
        }
        assert_eq!(bans.peers.len(), ROWS_MAX);
        assert!(bans.addresses.len() <= ROWS_MAX);
    }
}
