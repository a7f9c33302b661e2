//! Decides what to ask whom: one event in, effects out. It reads no clock and never waits.

use std::collections::BTreeMap;

use cpc_primitives::{Block, Height};

use super::check;
use super::wire::{ANSWER_BYTES_ENOUGH, Answer, BLOCKS_MAX, Question, Range, Status};

/// Peers that are kept in mind.
const PEERS_MAX: usize = 256;
/// Questions about the tip in flight.
const POLLS_MAX: usize = 16;
/// Empty answers about what a peer said that it has, before it is banned.
const EMPTY_MAX: u32 = 3;
/// Holes that are looked at for one whose blocks somebody has.
const HOLES_SEEN: usize = 64;

/// Milliseconds since any moment; only differences count.
pub type Millis = u64;

/// How much at once, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Blocks of one epoch: a question never spans two.
    pub epoch_blocks: u64,
    /// Questions for blocks in flight.
    pub in_flight_max: usize,
    /// Questions for blocks in flight with one peer.
    pub per_peer_max: u32,
    /// Bytes of blocks that have come or may come, and are not applied.
    pub window_bytes: usize,
    /// After so long the question goes to somebody else, where there is one.
    pub patience: Millis,
    /// After so long it is given up.
    pub give_up: Millis,
    /// The pause between two questions about a peer's tip.
    pub poll: Millis,
    /// How long a peer rests after its first failure; after each further one twice as long.
    pub rest: Millis,
}

impl Plan {
    /// The plan for a network.
    pub const fn new(epoch_blocks: u64) -> Self {
        Self {
            epoch_blocks,
            in_flight_max: 16,
            per_peer_max: 4,
            window_bytes: 64 << 20,
            patience: 4_000,
            give_up: 20_000,
            poll: 500,
            rest: 1_000,
        }
    }

    fn epoch_end(&self, height: u64) -> u64 {
        let epoch = height / self.epoch_blocks.max(1);
        epoch.saturating_add(1).saturating_mul(self.epoch_blocks.max(1)).saturating_sub(1)
    }

    /// The last height whose seats are known once a height is applied: those of its epoch and of the next.
    fn horizon(&self, applied: u64) -> u64 {
        self.epoch_end(self.epoch_end(applied).saturating_add(1))
    }
}

/// What happened.
#[derive(Debug)]
pub enum Event<P> {
    /// A peer is there.
    Joined(P),
    /// A peer is gone.
    Left(P),
    /// An answer came.
    Answer {
        /// The number of the question.
        id: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// No answer came, and none will.
    Failed {
        /// The number of the question.
        id: u64,
    },
    /// Everything up to this height is applied.
    Applied(Height),
    /// What was delivered is not final, or breaks a rule: its sender lied.
    Refused {
        /// The first height of what was delivered.
        from: Height,
        /// Why.
        reason: String,
    },
    /// Time went by.
    Tick,
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect<P> {
    /// Ask a peer.
    Ask {
        /// The number of the question.
        id: u64,
        /// Whom.
        peer: P,
        /// What.
        question: Question,
    },
    /// Apply blocks. The next ones come when these are applied or refused.
    Deliver(Segment<P>),
    /// Ban a peer.
    Ban {
        /// Whom.
        peer: P,
        /// Why.
        reason: String,
    },
}

/// Blocks in order that hang together, the certificate of the last one, and who sent them.
#[derive(Debug, Clone)]
pub struct Segment<P> {
    /// Who sent them.
    pub peer: P,
    /// The height of the first.
    pub from: Height,
    /// The blocks.
    pub blocks: Vec<Block>,
    /// The finalization of the last one; its signatures are not checked yet.
    pub certificate: Vec<u8>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Everything up to here is applied.
    pub applied: Height,
    /// The highest tip that a peer has told of.
    pub target: Height,
    /// Peers that have said how far they are.
    pub peers: usize,
    /// Questions for blocks in flight.
    pub in_flight: usize,
}

#[derive(Debug, Default)]
struct Peer {
    /// What it said of its chain; nothing before it has, and after it was wrong.
    status: Option<Status>,
    polling: bool,
    poll_at: Millis,
    in_flight: u32,
    /// How many questions it may have: more with every answer, one after a failure.
    slots: u32,
    failures: u32,
    empty: u32,
    rests_until: Millis,
}

#[derive(Debug, Clone, Copy)]
enum About {
    Tip,
    Blocks { from: u64, to: u64 },
}

#[derive(Debug)]
struct Asked<P> {
    peer: P,
    about: About,
    at: Millis,
}

#[derive(Debug)]
struct Arrived<P> {
    segment: Segment<P>,
    to: u64,
    bytes: usize,
}

/// What was delivered and is not applied yet.
#[derive(Debug)]
struct Delivered<P> {
    peer: P,
    from: u64,
    to: u64,
    bytes: usize,
}

/// A follower's knowledge of its peers, and of the blocks that it lacks.
///
/// Every height above the applied one, up to the planned one, is in exactly one place: a hole, a question, an arrival or
/// the delivery.
#[derive(Debug)]
pub struct Client<P> {
    plan: Plan,
    applied: u64,
    planned: u64,
    /// Heights that nobody was asked for: the first of each hole, and its last.
    holes: BTreeMap<u64, u64>,
    asked: BTreeMap<u64, Asked<P>>,
    arrived: BTreeMap<u64, Arrived<P>>,
    delivered: Option<Delivered<P>>,
    peers: BTreeMap<P, Peer>,
    next_id: u64,
}

impl<P: Copy + Ord> Client<P> {
    /// A follower that has everything up to a height.
    pub fn new(plan: Plan, applied: Height) -> Self {
        Self {
            plan,
            applied: applied.0,
            planned: applied.0,
            holes: BTreeMap::new(),
            asked: BTreeMap::new(),
            arrived: BTreeMap::new(),
            delivered: None,
            peers: BTreeMap::new(),
            next_id: 0,
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress {
            applied: Height(self.applied),
            target: Height(self.target().max(self.applied)),
            peers: self.peers.values().filter(|peer| peer.status.is_some()).count(),
            in_flight: self.questions(),
        }
    }

    /// Advances by one event.
    pub fn step(&mut self, now: Millis, event: Event<P>, out: &mut Vec<Effect<P>>) {
        match event {
            Event::Joined(peer) => self.join(peer, now),
            Event::Left(peer) => self.drop_peer(&peer),
            Event::Answer { id, bytes } => self.answer(now, id, &bytes, out),
            Event::Failed { id } => {
                if let Some(asked) = self.take_back(id) {
                    self.demote(&asked.peer, now);
                }
            }
            Event::Applied(height) => self.apply(height.0),
            Event::Refused { from, reason } => self.refuse(from.0, reason, out),
            Event::Tick => self.expire(now),
        }
        self.poll(now, out);
        self.extend();
        self.ask(now, out);
        self.deliver(out);
    }

    fn join(&mut self, peer: P, now: Millis) {
        // A peer too many is still a peer of the network, only not one that is asked.
        if self.peers.len() < PEERS_MAX {
            self.peers.entry(peer).or_insert(Peer { slots: 1, poll_at: now, ..Peer::default() });
        }
    }

    /// Forgets a peer; what it was asked for is asked of another.
    fn drop_peer(&mut self, peer: &P) {
        let ids: Vec<u64> = self.asked.iter().filter(|(_, asked)| asked.peer == *peer).map(|(id, _)| *id).collect();
        for id in ids {
            self.take_back(id);
        }
        self.peers.remove(peer);
    }

    /// Bans a peer; what it sent and was not applied is asked of another.
    fn ban(&mut self, peer: P, reason: String, out: &mut Vec<Effect<P>>) {
        // SYNC-6: a lie ends it; nothing that comes from there is waited for or believed.
        self.drop_peer(&peer);
        let theirs = |arrived: &Arrived<P>| arrived.segment.peer == peer;
        let lost: Vec<(u64, u64)> = self
            .arrived
            .iter()
            .filter(|(_, arrived)| theirs(arrived))
            .map(|(from, arrived)| (*from, arrived.to))
            .collect();
        for (from, to) in lost {
            self.arrived.remove(&from);
            self.holes.insert(from, to);
        }
        out.push(Effect::Ban { peer, reason });
    }

    /// Ends a question; the blocks that it was about are a hole again.
    fn take_back(&mut self, id: u64) -> Option<Asked<P>> {
        let asked = self.asked.remove(&id)?;
        let peer = self.peers.get_mut(&asked.peer);
        match asked.about {
            About::Tip => {
                if let Some(peer) = peer {
                    peer.polling = false;
                }
            }
            About::Blocks { from, to } => {
                if let Some(peer) = peer {
                    peer.in_flight = peer.in_flight.saturating_sub(1);
                }
                self.hole(from, to);
            }
        }
        Some(asked)
    }

    /// Opens a hole, without what is applied already.
    fn hole(&mut self, from: u64, to: u64) {
        let from = from.max(self.applied.saturating_add(1));
        if from <= to {
            self.holes.insert(from, to);
        }
    }

    /// A peer that fails rests, and has to earn its questions again.
    fn demote(&mut self, peer: &P, now: Millis) {
        let rest = self.plan.rest;
        if let Some(peer) = self.peers.get_mut(peer) {
            // SYNC-5: a slow peer is asked less, a silent one after ever longer pauses.
            peer.rests_until = now.saturating_add(rest.saturating_mul(1 << peer.failures.min(6)));
            peer.failures = peer.failures.saturating_add(1);
            peer.slots = 1;
        }
    }

    fn answer(&mut self, now: Millis, id: u64, bytes: &[u8], out: &mut Vec<Effect<P>>) {
        // An answer to a question that was given up: the blocks were asked of another.
        let Some(asked) = self.take_back(id) else { return };
        let peer = asked.peer;
        let answer = match Answer::decode(bytes) {
            Ok(answer) => answer,
            Err(error) => return self.ban(peer, format!("not an answer: {error}"), out),
        };
        match (asked.about, answer) {
            (About::Tip, Answer::Status(status)) => self.told(now, peer, status, out),
            (About::Blocks { from, to }, Answer::Range(range)) => self.came(peer, from, to, range, bytes.len(), out),
            (About::Blocks { .. }, Answer::Nothing) => self.empty(now, peer, out),
            _ => self.ban(peer, "an answer to another question".to_owned(), out),
        }
    }

    fn told(&mut self, now: Millis, peer: P, status: Status, out: &mut Vec<Effect<P>>) {
        if status.lowest > status.tip.next().unwrap_or(status.tip) {
            let reason = format!("a chain from {} on whose tip is {}", status.lowest, status.tip);
            return self.ban(peer, reason, out);
        }
        let poll = self.plan.poll;
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.status = Some(status);
            peer.poll_at = now.saturating_add(poll);
        }
    }

    fn came(&mut self, peer: P, from: u64, to: u64, range: Range, bytes: usize, out: &mut Vec<Effect<P>>) {
        let Range { blocks, certificate } = range;
        if let Err(error) = check::chain(&blocks, &certificate, Height(from), Height(to)) {
            return self.ban(peer, error.to_string(), out);
        }
        let per_peer_max = self.plan.per_peer_max;
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.slots = peer.slots.saturating_add(1).min(per_peer_max);
            (peer.failures, peer.empty) = (0, 0);
        }
        let last = blocks.last().map_or(from, |block| block.header.height.0);
        // The hole that the question left shrinks to what did not come; what is applied by now is not kept.
        if self.holes.remove(&from).is_none() {
            return;
        }
        self.hole(last.saturating_add(1), to);
        let segment =
            Segment { peer, from: Height(from), blocks: blocks.into_inner(), certificate: certificate.into_inner() };
        self.arrived.insert(from, Arrived { segment, to: last, bytes });
    }

    /// A peer does not have what it said it has: it is asked again how far it is.
    fn empty(&mut self, now: Millis, peer: P, out: &mut Vec<Effect<P>>) {
        self.demote(&peer, now);
        let Some(row) = self.peers.get_mut(&peer) else { return };
        row.status = None;
        row.poll_at = now;
        row.empty = row.empty.saturating_add(1);
        if row.empty >= EMPTY_MAX {
            self.ban(peer, "no blocks at heights that it says it has".to_owned(), out);
        }
    }

    fn apply(&mut self, height: u64) {
        self.applied = self.applied.max(height);
        self.planned = self.planned.max(self.applied);
        let applied = self.applied;
        if self.delivered.as_ref().is_some_and(|delivered| delivered.to <= applied) {
            self.delivered = None;
        }
        // Blocks may come from elsewhere too: what they made needless is forgotten.
        let old = |from: &u64| *from <= applied;
        let holes: Vec<(u64, u64)> = self.holes.iter().filter(|(from, _)| old(from)).map(|(f, t)| (*f, *t)).collect();
        let late: Vec<(u64, u64)> =
            self.arrived.iter().filter(|(from, _)| old(from)).map(|(f, a)| (*f, a.to)).collect();
        for (from, to) in holes.into_iter().chain(late) {
            self.holes.remove(&from);
            self.arrived.remove(&from);
            self.hole(from, to);
        }
    }

    fn refuse(&mut self, from: u64, reason: String, out: &mut Vec<Effect<P>>) {
        let Some(delivered) = self.delivered.take_if(|delivered| delivered.from == from) else { return };
        self.hole(delivered.from, delivered.to);
        self.ban(delivered.peer, reason, out);
    }

    /// Gives up what takes too long, and moves to another what takes long.
    fn expire(&mut self, now: Millis) {
        let plan = self.plan;
        let late: Vec<u64> = self
            .asked
            .iter()
            .filter(|(_, asked)| {
                let age = now.saturating_sub(asked.at);
                let elsewhere = |from| self.choose(now, from, Some(&asked.peer)).is_some();
                age > plan.give_up
                    || (age > plan.patience && matches!(asked.about, About::Blocks { from, .. } if elsewhere(from)))
            })
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            if let Some(asked) = self.take_back(id) {
                self.demote(&asked.peer, now);
            }
        }
    }

    /// Asks peers how far they are: at the tip often, far from it now and then.
    fn poll(&mut self, now: Millis, out: &mut Vec<Effect<P>>) {
        let running = self.asked.values().filter(|asked| matches!(asked.about, About::Tip)).count();
        let room = POLLS_MAX.saturating_sub(running);
        let due = self.peers.iter().filter(|(_, peer)| !peer.polling && peer.poll_at <= now && peer.rests_until <= now);
        let due: Vec<P> = due.map(|(peer, _)| *peer).take(room).collect();
        for peer in due {
            let id = self.number();
            if let Some(row) = self.peers.get_mut(&peer) {
                row.polling = true;
                row.poll_at = now.saturating_add(self.plan.poll);
            }
            self.asked.insert(id, Asked { peer, about: About::Tip, at: now });
            out.push(Effect::Ask { id, peer, question: Question::Status });
        }
    }

    fn number(&mut self) -> u64 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    fn target(&self) -> u64 {
        let tips = self.peers.values().filter_map(|peer| Some(peer.status?.tip.0));
        tips.max().unwrap_or(0)
    }

    /// Plans up to the highest tip, but never beyond the seats that are known.
    fn extend(&mut self) {
        // SYNC-3: no certificate beyond the next epoch can be checked yet.
        let limit = self.target().min(self.plan.horizon(self.applied));
        if limit <= self.planned {
            return;
        }
        let next = self.planned.saturating_add(1);
        self.planned = limit;
        match self.holes.last_entry() {
            // A tip that rises block by block makes one hole, not one for each.
            Some(mut last) if last.get().saturating_add(1) == next => *last.get_mut() = limit,
            _ => drop(self.holes.insert(next, limit)),
        }
    }

    /// Who has a height and has room: the one with the least to do.
    fn choose(&self, now: Millis, from: u64, not: Option<&P>) -> Option<(P, Status)> {
        let able = self.peers.iter().filter_map(|(id, peer)| {
            let status = peer.status?;
            let has = status.lowest.0 <= from && from <= status.tip.0;
            let free = peer.in_flight < peer.slots && peer.rests_until <= now && not != Some(id);
            (has && free).then_some((peer.in_flight, peer.failures, *id, status))
        });
        able.min_by_key(|(in_flight, failures, id, _)| (*in_flight, *failures, *id))
            .map(|(_, _, id, status)| (id, status))
    }

    fn questions(&self) -> usize {
        self.asked.values().filter(|asked| matches!(asked.about, About::Blocks { .. })).count()
    }

    /// The first height that was not delivered.
    fn head(&self) -> u64 {
        self.delivered.as_ref().map_or(self.applied, |delivered| delivered.to).saturating_add(1)
    }

    fn ask(&mut self, now: Millis, out: &mut Vec<Effect<P>>) {
        while self.questions() < self.plan.in_flight_max {
            // SYNC-5: the window is full of later blocks only where the next one is asked for in any case.
            let held = self.arrived.values().map(|arrived| arrived.bytes).sum::<usize>()
                + self.delivered.as_ref().map_or(0, |delivered| delivered.bytes)
                + self.questions() * ANSWER_BYTES_ENOUGH;
            let (full, head) = (held >= self.plan.window_bytes, self.head());
            let mut wanted = self.holes.iter().take(HOLES_SEEN).filter(|(from, _)| !full || **from == head);
            let found = wanted.find_map(|(from, to)| Some((*from, *to, self.choose(now, *from, None)?)));
            let Some((from, hole_to, (peer, status))) = found else { return };
            let blocks = u64::try_from(BLOCKS_MAX).unwrap_or(u64::MAX);
            // SYNC-3: one epoch has one set, so a question ends where its epoch does.
            let to = hole_to.min(from.saturating_add(blocks - 1)).min(status.tip.0).min(self.plan.epoch_end(from));
            self.holes.remove(&from);
            self.hole(to.saturating_add(1), hole_to);
            let id = self.number();
            if let Some(row) = self.peers.get_mut(&peer) {
                row.in_flight = row.in_flight.saturating_add(1);
            }
            self.asked.insert(id, Asked { peer, about: About::Blocks { from, to }, at: now });
            let question = Question::Range { from: Height(from), to: Height(to) };
            out.push(Effect::Ask { id, peer, question });
        }
    }

    /// Delivers the next blocks, one segment at a time.
    fn deliver(&mut self, out: &mut Vec<Effect<P>>) {
        if self.delivered.is_some() {
            return;
        }
        let next = self.applied.saturating_add(1);
        let Some(Arrived { segment, to, bytes }) = self.arrived.remove(&next) else { return };
        self.delivered = Some(Delivered { peer: segment.peer, from: next, to, bytes });
        out.push(Effect::Deliver(segment));
    }
}

#[cfg(test)]
impl<P: Copy + Ord + core::fmt::Debug> Client<P> {
    /// Panics unless every planned height is in exactly one place, and the limits hold.
    pub(super) fn check(&self) {
        let mut places: Vec<(u64, u64)> = self.holes.iter().map(|(from, to)| (*from, *to)).collect();
        places.extend(self.asked.values().filter_map(|asked| match asked.about {
            About::Blocks { from, to } => Some((from, to)),
            About::Tip => None,
        }));
        places.extend(self.arrived.iter().map(|(from, arrived)| (*from, arrived.to)));
        places.extend(self.delivered.iter().map(|delivered| (delivered.from, delivered.to)));
        places.sort_unstable();
        let mut next = self.applied + 1;
        for (from, to) in &places {
            assert_eq!(*from, next, "{places:?} after {}", self.applied);
            assert!(from <= to, "{places:?}");
            next = to + 1;
        }
        assert_eq!(next, self.planned + 1, "{places:?}");
        assert!(self.questions() <= self.plan.in_flight_max);
        for (id, peer) in &self.peers {
            let theirs = |asked: &&Asked<P>| asked.peer == *id && matches!(asked.about, About::Blocks { .. });
            let count = self.asked.values().filter(theirs).count();
            assert_eq!(Ok(peer.in_flight), u32::try_from(count), "{id:?}");
            assert!(peer.slots <= self.plan.per_peer_max && peer.slots >= 1);
        }
        let held: usize = self.arrived.values().map(|arrived| arrived.bytes).sum();
        assert!(held <= self.plan.window_bytes + self.plan.in_flight_max * super::wire::ANSWER_BYTES_MAX);
    }
}
