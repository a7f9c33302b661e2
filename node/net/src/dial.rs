//! Whom to dial and when: a table with pauses that grow, and that two nodes do not keep in step.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;

use crate::config::split;
use crate::peer::PeerId;

/// Rows of the table.
const TARGETS_MAX: usize = 1024;

/// What a row is about: a peer, or an address whose peer is not known yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Peer(PeerId),
    Address(Multiaddr),
}

/// Where a row came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Boot,
    Known,
}

#[derive(Debug)]
struct Row {
    addresses: Vec<Multiaddr>,
    origin: Origin,
    /// Who answered at the address.
    found: Option<PeerId>,
    failures: u32,
    due: Instant,
    dialling: bool,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Dialler {
    me: PeerId,
    rows: BTreeMap<Target, Row>,
    pause: (Duration, Duration),
    /// The state of the jitter. It spreads dials and decides nothing else.
    seed: u64,
}

impl Dialler {
    pub(crate) fn new(me: PeerId, boot: Vec<Multiaddr>, pause: (Duration, Duration), now: Instant) -> Self {
        let mut seed = [0; 8];
        let bytes = me.0.to_bytes();
        seed.copy_from_slice(bytes.last_chunk::<8>().expect("the name of a peer has more than 8 bytes"));
        let mut dialler = Self { me, rows: BTreeMap::new(), pause, seed: u64::from_le_bytes(seed) };
        for address in boot {
            let (address, peer) = split(address);
            let target = peer.map_or_else(|| Target::Address(address.clone()), Target::Peer);
            dialler.put(target, vec![address], Origin::Boot, now);
        }
        dialler
    }

    /// Replaces the peers that the application knows of; the boot addresses stay.
    pub(crate) fn set_known(&mut self, known: Vec<(PeerId, Vec<Multiaddr>)>, now: Instant) {
        let named = |target: &Target| known.iter().any(|(peer, _)| *target == Target::Peer(*peer));
        self.rows.retain(|target, row| row.origin == Origin::Boot || named(target));
        for (peer, addresses) in known {
            let addresses = addresses.into_iter().map(|address| split(address).0).collect();
            self.put(Target::Peer(peer), addresses, Origin::Known, now);
        }
    }

    fn put(&mut self, target: Target, addresses: Vec<Multiaddr>, origin: Origin, now: Instant) {
        if target == Target::Peer(self.me) || addresses.is_empty() {
            return;
        }
        if let Some(row) = self.rows.get_mut(&target) {
            // The addresses of the boot list stay, and new ones come first.
            let mut all = addresses;
            if row.origin == Origin::Boot {
                let kept: Vec<_> = row.addresses.iter().filter(|address| !all.contains(address)).cloned().collect();
                all.extend(kept);
                all.truncate(crate::config::ADDRESSES_MAX);
            }
            row.addresses = all;
        } else if self.rows.len() < TARGETS_MAX {
            let row = Row { addresses, origin, found: None, failures: 0, due: now, dialling: false };
            self.rows.insert(target, row);
        }
    }

    /// Whom to dial now, at most so many; each is being dialled from then on.
    pub(crate) fn due(
        &mut self,
        max: usize,
        connected: impl Fn(&PeerId) -> bool,
        now: Instant,
    ) -> Vec<(Target, Vec<Multiaddr>)> {
        let waiting = self.rows.iter_mut().filter(|(target, row)| {
            let peer = if let Target::Peer(peer) = target { Some(peer) } else { row.found.as_ref() };
            !row.dialling && row.due <= now && !peer.is_some_and(&connected)
        });
        waiting
            .take(max)
            .map(|(target, row)| {
                row.dialling = true;
                (target.clone(), row.addresses.clone())
            })
            .collect()
    }

    /// Nobody answered: the pause doubles (NET-3).
    pub(crate) fn failed(&mut self, target: &Target, now: Instant) {
        let failures = self.rows.get(target).map_or(0, |row| row.failures);
        let pause = self.pause_after(failures);
        if let Some(row) = self.rows.get_mut(target) {
            row.dialling = false;
            row.failures = row.failures.saturating_add(1);
            row.due = now + pause;
        }
    }

    /// Somebody answered; at an address without a name this is who.
    pub(crate) fn reached(&mut self, target: &Target, peer: PeerId) {
        if let Some(row) = self.rows.get_mut(target) {
            row.dialling = false;
            row.failures = 0;
            row.found = Some(peer);
        }
    }

    /// This node answered at its own address, which is never dialled again.
    pub(crate) fn is_me(&mut self, target: &Target) {
        self.rows.remove(target);
    }

    /// A connection is lost: it is made again after the shortest pause.
    pub(crate) fn lost(&mut self, peer: &PeerId, now: Instant) {
        let pause = self.pause_after(0);
        let about = |target: &Target, row: &Row| *target == Target::Peer(*peer) || row.found == Some(*peer);
        for (_, row) in self.rows.iter_mut().filter(|(target, row)| about(target, row)) {
            row.due = row.due.max(now + pause);
        }
    }

    /// Between a half and the whole of the pause after so many failures.
    fn pause_after(&mut self, failures: u32) -> Duration {
        let (min, max) = self.pause;
        let whole = min.saturating_mul(2u32.saturating_pow(failures)).min(max);
        let half = whole / 2;
        half + half * u32::from(self.draw()) / 255
    }

    /// Eight bits of a generator that only has to differ between nodes (splitmix).
    fn draw(&mut self) -> u8 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed.to_le_bytes()[7]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/192.0.2.1/tcp/{port}").parse().expect("an address")
    }

    fn peer(n: u8) -> PeerId {
        PeerId::of_secret([n; 32])
    }

    fn nobody(_: &PeerId) -> bool {
        false
    }

    #[test]
    fn the_pause_doubles_to_its_limit_and_ends_with_success() {
        let mut now = Instant::now();
        let mut dialler = Dialler::new(peer(0), vec![address(1)], PAUSE, now);
        let target = Target::Address(address(1));
        for whole in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(dialler.due(9, nobody, now), [(target.clone(), vec![address(1)])]);
            assert_eq!(dialler.due(9, nobody, now), [], "it is being dialled");
            dialler.failed(&target, now);
            let whole = Duration::from_secs(whole);
            assert_eq!(dialler.due(9, nobody, now + whole / 2 - Duration::from_millis(1)), []);
            now += whole;
        }
        assert_eq!(dialler.due(9, nobody, now).len(), 1);
        dialler.reached(&target, peer(1));
        assert_eq!(dialler.due(9, |p| *p == peer(1), now), [], "it is connected");
        dialler.lost(&peer(1), now);
        assert_eq!(dialler.due(9, nobody, now), []);
        assert_eq!(dialler.due(9, nobody, now + PAUSE.0).len(), 1);
    }

    #[test]
    fn known_peers_come_and_go_and_boot_addresses_stay() {
        let now = Instant::now();
        let boot = format!("{}/p2p/{}", address(1), peer(1)).parse().expect("an address");
        let mut dialler = Dialler::new(peer(0), vec![boot], PAUSE, now);
        dialler.set_known(vec![(peer(1), vec![address(2)]), (peer(2), vec![address(3)])], now);
        let due = dialler.due(9, nobody, now);
        assert_eq!(due.len(), 2);
        assert!(due.contains(&(Target::Peer(peer(1)), vec![address(2), address(1)])), "{due:?}");
        dialler.set_known(Vec::new(), now);
        assert_eq!(dialler.rows.keys().collect::<Vec<_>>(), [&Target::Peer(peer(1))]);
    }

    #[test]
    fn a_node_does_not_dial_itself() {
        let now = Instant::now();
        let mut dialler = Dialler::new(peer(0), vec![address(1)], PAUSE, now);
        dialler.set_known(vec![(peer(0), vec![address(2)])], now);
        assert_eq!(dialler.due(9, nobody, now).len(), 1);
        dialler.is_me(&Target::Address(address(1)));
        assert_eq!(dialler.due(9, nobody, now + PAUSE.1), []);
    }

    #[test]
    fn no_more_than_asked_for_are_dialled_at_once() {
        let now = Instant::now();
        let mut dialler = Dialler::new(peer(0), (1..=9).map(address).collect(), PAUSE, now);
        assert_eq!(dialler.due(4, nobody, now).len(), 4);
        assert_eq!(dialler.due(4, nobody, now).len(), 4);
        assert_eq!(dialler.due(4, nobody, now).len(), 1);
    }

    #[test]
    fn two_nodes_do_not_pause_in_step() {
        let now = Instant::now();
        let pauses = |n| {
            let mut dialler = Dialler::new(peer(n), Vec::new(), PAUSE, now);
            (0..8).map(|failures| dialler.pause_after(failures)).collect::<Vec<_>>()
        };
        assert_ne!(pauses(1), pauses(2));
    }
}
