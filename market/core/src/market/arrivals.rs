//! Workers that come and go, and how they are measured.

use cpc_market_wire::{Hello, Message, ProbeDone, Refusal, Refused, Reply, Report, Signed};
use cpc_primitives::ids::Height;
use cpc_primitives::{Address, Digest, PublicKey};

use super::{Arrival, Effect, Market, Tag, answers};
use crate::chain::WorkerRecord;
use crate::count::since;
use crate::examine::{ProbeJob, probe};
use crate::limits::{ARRIVALS_MAX, PROBE_BLOCKS, PROBE_LEVELS, PROBE_MS_MIN};
use crate::roster::Measure;

impl Market {
    /// A worker says who it is: whether that is so shows when its record was read.
    pub(super) fn hello(
        &mut self,
        from: PublicKey,
        ask: u64,
        hello: Signed<Hello>,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        // MKT-16: said for another connection it is a copy of somebody's words.
        if hello.body.from != from || hello.body.to != self.config.network {
            return Err(Refusal::NotKnown);
        }
        if self.arrivals.len() >= ARRIVALS_MAX {
            return Err(Refusal::Full);
        }
        let worker = hello.body.worker;
        // By connection: whoever names somebody else's account keeps nobody out but itself.
        if let Some(earlier) = self.arrivals.insert(from, Arrival { ask, hello }) {
            out.push(Effect::Reply { ask: earlier.ask, reply: Reply::Refused(Refusal::Differs) });
        }
        out.push(Effect::ReadWorker(worker));
        Ok(())
    }

    pub(super) fn worker_read(&mut self, worker: Address, record: Option<WorkerRecord>, out: &mut Vec<Effect>) {
        self.roster.update(&worker, record);
        let of_worker = self.arrivals.iter().filter(|(_, arrival)| arrival.hello.body.worker == worker);
        let peers: Vec<PublicKey> = of_worker.map(|(peer, _)| *peer).collect();
        for peer in peers {
            let Some(Arrival { ask, hello }) = self.arrivals.remove(&peer) else { continue };
            let reply = match self.take_in(peer, hello, record) {
                Ok(()) => Reply::taken(),
                Err(reason) => Reply::Refused(reason),
            };
            out.push(Effect::Reply { ask, reply });
        }
        self.measure(worker, 0, out);
        self.has_room = true;
    }

    fn take_in(&mut self, peer: PublicKey, hello: Signed<Hello>, record: Option<WorkerRecord>) -> Result<(), Refusal> {
        let record = record.ok_or(Refusal::NotRegistered)?;
        hello.verify(self.config.chain, &record.hot).map_err(|_| Refusal::BadSignature)?;
        if self.roster.join(peer, hello.body, record) { Ok(()) } else { Err(Refusal::Full) }
    }

    pub(super) fn left(&mut self, peer: &PublicKey) {
        self.arrivals.remove(peer);
        self.roster.leave(peer);
        // Who comes back may have lost what it was told.
        self.book.forget_reader(peer);
        for round in self.tasks.values_mut().filter_map(|task| task.round.as_mut()) {
            if let Some(place) = round.committee.by_network_key(peer) {
                round.told.remove(place);
            }
        }
    }

    /// MKT-7: what a worker can do is measured by jobs whose seeds the beacon gives, and never believed.
    fn measure(&mut self, worker: Address, level: u32, out: &mut Vec<Effect>) {
        let (height, clock) = (self.now.height, self.clock);
        let job = self.probe_job(&worker, self.now.beacon, level);
        let Some(hand) = self.roster.get_mut(&worker) else { return };
        let Some(peer) = hand.peer.filter(|_| level > 0 || !hand.is_measured()) else { return };
        if hand.probe.as_ref().is_some_and(|measure| measure.level >= level && since(height, measure.begun) == 0) {
            return;
        }
        let (id, message) = (job.id(), Message::Probe(job.message()));
        hand.probe = Some(Measure { id, level, begun: height, beacon: self.now.beacon, sent: clock, done: None });
        out.push(Effect::Send { to: peer, message, tag: Tag::Probe { worker } });
    }

    fn probe_job(&self, worker: &Address, beacon: Digest, level: u32) -> ProbeJob {
        probe(&self.config.network, worker, &beacon, level)
    }

    /// Measures that got no answer are begun anew, by another beacon.
    pub(super) fn measure_workers(&mut self, out: &mut Vec<Effect>) {
        let now = self.now.height;
        let due = |measure: &Measure| measure.done.is_none() && since(now, measure.begun) >= PROBE_BLOCKS;
        let unmeasured = self
            .roster
            .iter()
            .filter(|(_, hand)| hand.peer.is_some() && !hand.is_measured() && hand.probe.as_ref().is_none_or(due));
        let unmeasured: Vec<Address> = unmeasured.map(|(worker, _)| *worker).collect();
        for worker in unmeasured {
            self.measure(worker, 0, out);
        }
    }

    pub(super) fn probe_done(&mut self, from: PublicKey, done: ProbeDone, out: &mut Vec<Effect>) -> Reply {
        let clock = self.clock;
        let Some(worker) = self.roster.at(&from) else { return Reply::Refused(Refusal::NotKnown) };
        let Some(hand) = self.roster.get_mut(&worker) else { return Reply::Refused(Refusal::NotKnown) };
        let measure = hand.probe.as_mut().filter(|measure| measure.id == done.id && measure.done.is_none());
        let Some(measure) = measure else { return Reply::Refused(Refusal::UnknownJob) };
        measure.done = Some(clock);
        let (beacon, level) = (measure.beacon, measure.level);
        let probe = self.probe_job(&worker, beacon, level);
        out.push(Effect::JudgeProbe { worker, probe, output: done.output.into_inner() });
        Reply::taken()
    }

    pub(super) fn probe_judged(&mut self, id: Digest, worker: Address, right: bool, out: &mut Vec<Effect>) {
        let now = self.now.height;
        let Some(hand) = self.roster.get_mut(&worker) else { return };
        let Some(measure) = hand.probe.as_ref().filter(|measure| measure.id == id) else { return };
        let (Some(done), level, beacon) = (measure.done, measure.level, measure.beacon) else { return };
        let took = done.0.saturating_sub(measure.sent.0);
        if !right {
            hand.strike(1, now);
            return;
        }
        let job = probe(&self.config.network, &worker, &beacon, level);
        hand.measured(job.kernel(), job.units(), took);
        // What took no time says nothing of how fast it was.
        if took < PROBE_MS_MIN && level < PROBE_LEVELS {
            self.measure(worker, level.saturating_add(1), out);
        }
        self.has_room = true;
    }

    pub(super) fn probe_refused(&mut self, worker: Address) {
        if let Some(hand) = self.roster.get_mut(&worker) {
            // It stays unmeasured, and is asked again when the time of this measure is over.
            if let Some(measure) = &mut hand.probe {
                measure.id = Digest::ZERO;
            }
        }
    }

    /// A worker lives: the jobs that it names are still its own.
    pub(super) fn reported(&mut self, from: PublicKey, report: &Report) -> Reply {
        let Some(worker) = self.roster.at(&from) else { return Reply::Refused(Refusal::NotKnown) };
        let now = self.now.height;
        if let Some(hand) = self.roster.get_mut(&worker).filter(|_| report.credits == 0) {
            hand.full(now);
        }
        answers(&report.items, |progress| {
            let lease = progress.lease;
            let round = self.round_mut(lease.task, lease.drawn).ok_or(Refusal::UnknownTask)?;
            let given = round.jobs.get_mut(&lease.job).and_then(|job| job.offer_mut(lease.attempt));
            let given = given.filter(|given| given.worker == worker).ok_or(Refusal::NotOffered)?;
            given.heard = now;
            Ok(())
        })
    }

    /// A worker gives jobs back.
    pub(super) fn given_back(&mut self, from: PublicKey, items: &[Refused]) -> Reply {
        let Some(worker) = self.roster.at(&from) else { return Reply::Refused(Refusal::NotKnown) };
        answers(items, |refused| {
            let lease = refused.lease;
            let round = self.round_mut(lease.task, lease.drawn).ok_or(Refusal::UnknownTask)?;
            let given = round.jobs.get(&lease.job).and_then(|job| job.offer(lease.attempt));
            given.filter(|given| given.worker == worker).ok_or(Refusal::NotOffered)?;
            self.fail_offer(lease, refused.reason);
            Ok(())
        })
    }
}

/// Whether a height is so near that both sides may mean the same block.
pub(super) fn in_step(now: Height, other: Height, blocks: u64) -> bool {
    now.0.abs_diff(other.0) <= blocks
}
