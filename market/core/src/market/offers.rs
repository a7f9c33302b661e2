//! Jobs are offered: by this node where it orchestrates, and by others that tell it so.

use std::collections::{BTreeMap, BTreeSet};

use cpc_kernels::Job;
use cpc_market_wire::limits::ITEMS_MAX;
use cpc_market_wire::{Answer, Judged, Lease, LeaseFinding, Message, Offer, Offers, Refusal, Reply, Signed};
use cpc_primitives::ids::{Height, JobIndex, TaskId};
use cpc_primitives::result::{Assurance, ComputeResult, KernelId};
use cpc_primitives::{Address, Amount, PublicKey};

use super::arrivals::in_step;
use super::{Effect, Market, Tag, answers, in_parts};
use crate::count::{SeatSet, after, since};
use crate::journal::Record;
use crate::limits::{ATTEMPTS_MAX, RETRY_BLOCKS, SILENCE_BLOCKS, SKEW_BLOCKS, WRONG_STRIKES};
use crate::reason::Waiting;
use crate::roster::Wanted;
use crate::task::{Given, JobState, Own, Payload, Round, Stage, Task};

/// Offers by worker and by the member that has not heard of them.
type Untold = BTreeMap<(Address, PublicKey), Vec<Offer>>;

impl Market {
    /// Offers what can be offered of these tasks, and of those that waited for a worker where one has room.
    pub(super) fn offer_jobs(&mut self, tasks: &BTreeSet<TaskId>, out: &mut Vec<Effect>) {
        let mut given: BTreeMap<Address, Vec<Offer>> = BTreeMap::new();
        for id in tasks {
            self.offer_task(*id, &mut given);
        }
        if core::mem::take(&mut self.has_room) {
            let hungry: Vec<TaskId> = self.hungry.iter().copied().collect();
            for id in hungry {
                // Where everybody is busy the other tasks find nobody either.
                if self.offer_task(id, &mut given) == Some(Waiting::AllBusy) {
                    break;
                }
            }
        }
        for (worker, offers) in given {
            self.send_offers(worker, &offers, out);
        }
    }

    fn offer_task(&mut self, id: TaskId, given: &mut BTreeMap<Address, Vec<Offer>>) -> Option<Waiting> {
        let waiting = self.assign(id, given);
        if waiting.is_some_and(|waiting| waiting.is_for_workers()) {
            self.hungry.insert(id);
        } else {
            self.hungry.remove(&id);
        }
        if let (Some(task), Some(waiting)) = (self.tasks.get_mut(&id), waiting) {
            task.waiting = waiting;
        }
        waiting
    }

    /// Assigns jobs of one task, and says why the next one stays with nobody (MKT-8).
    fn assign(&mut self, id: TaskId, given: &mut BTreeMap<Address, Vec<Offer>>) -> Option<Waiting> {
        let task = self.tasks.get(&id)?;
        if task.cancelled {
            return Some(Waiting::Cancelled);
        }
        // The chain takes no result after the deadline.
        if task.order.deadline <= self.now.time {
            return Some(Waiting::DeadlinePassed);
        }
        let own = match self.orchestrated(task) {
            Ok(own) => own,
            Err(waiting) => return Some(waiting),
        };
        let round = task.round.as_ref().expect("who orchestrates has a round");
        match round.payload {
            Payload::BadSpec => return Some(Waiting::BadSpec),
            Payload::NoInputs => return Some(Waiting::NoInputs),
            Payload::Held if round.is_held() => {}
            // MKT-6: no offer goes out before a quorum holds what the task reads.
            _ => return Some(Waiting::Payload { held: round.held.len(), quorum: round.committee.quorum }),
        }
        let again: Vec<JobIndex> = round.retry.iter().copied().collect();
        let mut reason = Waiting::InProgress;
        for job in again {
            match self.assign_job(id, job, own, given) {
                Ok(()) => {}
                Err(waiting) => reason = waiting,
            }
        }
        loop {
            let task = self.tasks.get(&id)?;
            let round = task.round.as_ref()?;
            let job = JobIndex(round.fresh);
            let Some(stage) = task.stage(job) else { return Some(reason) };
            // What another orchestrator offered, or the chain has, is stepped over.
            let taken = stage != Stage::Open || round.jobs.get(&job).is_some_and(|state| !state.offers.is_empty());
            let assigned = if taken { Ok(()) } else { self.assign_job(id, job, own, given) };
            if let Err(waiting) = assigned {
                return Some(waiting);
            }
            let round = self.tasks.get_mut(&id)?.round.as_mut()?;
            round.fresh = round.fresh.saturating_add(1);
        }
    }

    fn assign_job(
        &mut self,
        id: TaskId,
        index: JobIndex,
        own: u16,
        given: &mut BTreeMap<Address, Vec<Offer>>,
    ) -> Result<(), Waiting> {
        let now = self.now.height;
        let task = self.tasks.get(&id).ok_or(Waiting::NoCommittee)?;
        let (plan, round) = (task.plan.as_ref().map_err(|_| Waiting::BadSpec)?, task.round.as_ref());
        let round = round.ok_or(Waiting::NoCommittee)?;
        let (attempt, not) = match round.jobs.get(&index) {
            None => (0, None),
            Some(state) if state.is_with_somebody(now) => return Err(Waiting::InProgress),
            Some(state) => {
                let last = state.offers.last();
                (last.map_or(0, |last| last.attempt.saturating_add(1)), last.map(|last| last.worker))
            }
        };
        if attempt >= ATTEMPTS_MAX {
            return Err(Waiting::NoAttempts);
        }
        let (Job { units, .. }, order) = (plan.job(index).ok_or(Waiting::BadSpec)?, &task.order);
        let bond = self.bond(order.assurance, plan.reward(index));
        let wanted = Wanted { kernel: order.kernel, units, bond, not };
        let worker = self.roster.choose(&wanted, now)?;
        let (lease, until) = (round.lease(id, index, attempt), after(now, order.lease_blocks.into()));
        if let Some(hand) = self.roster.get_mut(&worker) {
            hand.hold(lease, units, bond, self.clock);
        }
        let round = self.tasks.get_mut(&id).and_then(|task| task.round.as_mut()).ok_or(Waiting::NoCommittee)?;
        round.retry.remove(&index);
        note_offer(round, index, Given::new(attempt, worker, until, now, SeatSet::of([own])));
        given.entry(worker).or_default().push(Offer { lease, until });
        Ok(())
    }

    /// What a job reserves of its worker's bond.
    fn bond(&self, assurance: Assurance, reward: Amount) -> Amount {
        let factor = match assurance {
            Assurance::Spot => self.config.bond_factor_spot,
            Assurance::Full | Assurance::Quorum { .. } => self.config.bond_factor,
        };
        reward.checked_mul(factor.into()).unwrap_or(Amount::MAX)
    }

    /// MKT-1: the record is durable before anybody hears of the offers.
    fn send_offers(&mut self, worker: Address, offers: &[Offer], out: &mut Vec<Effect>) {
        let Some(peer) = self.roster.get(&worker).and_then(|hand| hand.peer) else { return };
        for items in in_parts::<Offer, ITEMS_MAX>(offers) {
            let leases: Vec<Lease> = items.iter().map(|offer| offer.lease).collect();
            out.push(Effect::Journal(Record::Offered { worker, offers: items.clone() }));
            let signer = self.config.verdict.public();
            let body = Offers { signer, worker, issued: self.now.height, items };
            let signed = Signed::new(body, self.config.chain, &self.config.verdict);
            let tag = Tag::Offers { worker, leases: leases.clone() };
            out.push(Effect::Send { to: peer, message: Message::Offers(signed.clone()), tag });
            for member in self.members_of(&leases) {
                let tag = Tag::Copies { leases: leases.clone() };
                out.push(Effect::Send { to: member, message: Message::Offers(signed.clone()), tag });
            }
        }
    }

    /// The other members of the committees of these jobs.
    fn members_of(&self, leases: &[Lease]) -> Vec<PublicKey> {
        let mut tasks: Vec<&TaskId> = leases.iter().map(|lease| &lease.task).collect();
        tasks.dedup();
        let rounds = tasks.into_iter().filter_map(|id| self.tasks.get(id)?.round.as_ref());
        let members = rounds.flat_map(|round| round.committee.seats.iter().map(|seat| seat.network));
        let mut members: Vec<PublicKey> = members.filter(|key| *key != self.config.network).collect();
        members.sort_unstable();
        members.dedup();
        members
    }

    /// Offers that a member has not heard of are said again: without it no commitment passes there.
    pub(super) fn remind_of_offers(&mut self, out: &mut Vec<Effect>) {
        let now = self.now.height;
        let mut untold = Untold::new();
        for (id, task) in &self.tasks {
            let is_old = |given: &Given| since(now, given.issued) >= RETRY_BLOCKS;
            self.add_untold(*id, task, |_, given| is_old(given), &mut untold);
        }
        self.say_copies(untold, out);
    }

    /// A member that knows of the round now did not take the offers that came before.
    pub(super) fn tell_newcomer(&mut self, id: TaskId, newcomer: u16, out: &mut Vec<Effect>) {
        let mut untold = Untold::new();
        if let Some(task) = self.tasks.get(&id) {
            self.add_untold(id, task, |place, _| place == newcomer, &mut untold);
        }
        self.say_copies(untold, out);
    }

    /// The offers of this node that are under way, for the places that have not taken them.
    fn add_untold(&self, id: TaskId, task: &Task, is_due: impl Fn(u16, &Given) -> bool, untold: &mut Untold) {
        let (Ok(_), Some(round)) = (self.orchestrated(task), &task.round) else { return };
        for (job, state) in round.jobs.iter().filter(|(_, state)| state.accepted.is_none()) {
            let now = self.now.height;
            // An offer of another orchestrator is its own to tell.
            let lives = |given: &&Given| !given.failed && given.until >= now && given.own;
            let Some(given) = state.offers.last().filter(lives) else { continue };
            let offer = Offer { lease: round.lease(id, *job, given.attempt), until: given.until };
            for (place, seat) in round.committee.places() {
                if !given.told.has(place) && is_due(place, given) {
                    untold.entry((given.worker, seat.network)).or_default().push(offer);
                }
            }
        }
    }

    fn say_copies(&self, untold: Untold, out: &mut Vec<Effect>) {
        for ((worker, to), offers) in untold {
            for items in in_parts::<Offer, ITEMS_MAX>(&offers) {
                let leases = items.iter().map(|offer| offer.lease).collect();
                let signer = self.config.verdict.public();
                let body = Offers { signer, worker, issued: self.now.height, items };
                let message = Message::Offers(Signed::new(body, self.config.chain, &self.config.verdict));
                out.push(Effect::Send { to, message, tag: Tag::Copies { leases } });
            }
        }
    }

    /// What a worker says to its offers.
    pub(super) fn offers_answered(&mut self, worker: Address, leases: &[Lease], reply: Option<&Reply>) {
        for (at, lease) in leases.iter().enumerate() {
            match reply.map(|reply| reply.item(at)) {
                Some(Answer::Taken) => {}
                Some(Answer::Refused(reason)) => self.fail_offer(*lease, reason),
                // It did not hear, or its answer was lost: it computes, or its silence is noticed.
                None => {
                    if let Some(hand) = self.roster.get_mut(&worker) {
                        hand.full(self.now.height);
                    }
                }
            }
        }
    }

    pub(super) fn copies_answered(&mut self, to: PublicKey, leases: &[Lease], reply: Option<&Reply>) {
        for (at, lease) in leases.iter().enumerate() {
            if reply.map(|reply| reply.item(at)) != Some(Answer::Taken) {
                continue;
            }
            let Some(round) = self.round_mut(lease.task, lease.drawn) else { continue };
            let Some(place) = round.committee.by_network_key(&to) else { continue };
            let given = round.jobs.get_mut(&lease.job).and_then(|state| state.offer_mut(lease.attempt));
            if let Some(given) = given {
                given.told.insert(place);
            }
        }
    }

    /// A worker does not do a job: it goes to another one (MKT-9).
    pub(super) fn fail_offer(&mut self, lease: Lease, reason: Refusal) {
        let now = self.now.height;
        let Some(round) = self.round_mut(lease.task, lease.drawn) else { return };
        let Some(state) = round.jobs.get_mut(&lease.job) else { return };
        let Some(given) = state.offer_mut(lease.attempt).filter(|given| !given.failed) else { return };
        given.failed = true;
        let worker = given.worker;
        round.retry.insert(lease.job);
        if let Some(hand) = self.roster.get_mut(&worker) {
            hand.release(&lease);
            match reason {
                Refusal::NoCredit | Refusal::Paused | Refusal::Full => hand.full(now),
                // The chain of the worker is behind, or the job has its result: nobody's failure.
                Refusal::NotOnChain | Refusal::Decided | Refusal::OtherCommittee | Refusal::LeaseOver => {}
                _ => hand.strike(1, now),
            }
        }
        self.dirty.insert(lease.task);
    }

    /// Offers of another orchestrator: they are remembered, so that its successor honours them (MKT-10).
    pub(super) fn offers_told(&mut self, from: PublicKey, offers: &Signed<Offers>, out: &mut Vec<Effect>) -> Reply {
        let body = &offers.body;
        if !in_step(self.now.height, body.issued, SKEW_BLOCKS) {
            return Reply::Refused(Refusal::OutOfStep);
        }
        // Only a member's own connection is worth the check of a signature.
        let sits = |offer: &Offer| {
            let round = self.tasks.get(&offer.lease.task)?.round.as_ref()?;
            round.committee.seat(round.committee.by_network_key(&from)?)
        };
        if !body.items.iter().any(|offer| sits(offer).is_some_and(|seat| seat.verdict == body.signer)) {
            return Reply::Refused(Refusal::NotMember);
        }
        if offers.verify(self.config.chain, &body.signer).is_err() {
            return Reply::Refused(Refusal::BadSignature);
        }
        let mut new = Vec::new();
        let reply = answers(&body.items, |offer| {
            let is_new = self.take_offer(offer, body)?;
            new.extend(is_new.then_some(*offer));
            Ok(())
        });
        for offers in in_parts(&new) {
            out.push(Effect::Journal(Record::Offered { worker: body.worker, offers }));
        }
        reply
    }

    /// Whether an offer was new.
    fn take_offer(&mut self, offer: &Offer, body: &Offers) -> Result<bool, Refusal> {
        let (now, rotation) = (self.now.height, self.config.rotation_blocks);
        let Lease { task, drawn, job, attempt } = offer.lease;
        let task = self.tasks.get_mut(&task).ok_or(Refusal::UnknownTask)?;
        let (stage, lease_blocks) = (task.stage(job).ok_or(Refusal::UnknownJob)?, task.order.lease_blocks);
        let round = task.round.as_mut().filter(|round| round.committee.drawn == drawn);
        let round = round.ok_or(Refusal::OtherCommittee)?;
        let own = round.own.ok_or(Refusal::NotMember)?;
        let signer = round.committee.by_verdict_key(&body.signer).ok_or(Refusal::NotMember)?;
        if stage != Stage::Open {
            return Err(Refusal::Decided);
        }
        if let Some(known) = round.jobs.get_mut(&job).and_then(|state| state.offer_mut(attempt)) {
            return if known.worker == body.worker { Ok(false) } else { Err(Refusal::Differs) };
        }
        if round.committee.orchestrator(body.issued, rotation) != Some(signer) {
            return Err(Refusal::NotOrchestrator);
        }
        // MKT-10: a lease is never longer than the order says, and each attempt has a number that was not there.
        let is_too_long = offer.until > after(body.issued, lease_blocks.into());
        if is_too_long || offer.until < now || attempt >= ATTEMPTS_MAX {
            return Err(Refusal::LeaseOver);
        }
        let given =
            Given { own: false, ..Given::new(attempt, body.worker, offer.until, now, SeatSet::of([own, signer])) };
        note_offer(round, job, given);
        Ok(true)
    }

    /// Leases that are over, workers that are silent, commitments that lapse.
    pub(super) fn expire(&mut self) {
        let now = self.now.height;
        let mut failed = Vec::new();
        for (id, task) in &mut self.tasks {
            let is_ours = task.round.as_ref().is_some_and(|round| round.own.is_some());
            let Some(round) = task.round.as_mut().filter(|_| is_ours) else { continue };
            let (drawn, quorum) = (round.committee.drawn, round.committee.quorum);
            for (job, state) in &mut round.jobs {
                if state.accepted.is_some() {
                    continue;
                }
                state.lapse(now);
                let committed = state.commitment.map(|committed| committed.attempt);
                let is_decided = state.decided(quorum).is_some();
                for given in state.offers.iter().filter(|given| !given.failed) {
                    let is_silent = since(now, given.heard) >= SILENCE_BLOCKS && committed != Some(given.attempt);
                    let is_over = given.until < now && !is_decided;
                    if is_silent || is_over {
                        failed.push(Lease { task: *id, drawn, job: *job, attempt: given.attempt });
                    }
                }
            }
        }
        for lease in failed {
            self.fail_offer(lease, Refusal::DeviceFailed);
        }
    }

    /// What other members found of a job's output.
    pub(super) fn findings_told(&mut self, from: PublicKey, items: &[LeaseFinding]) -> Reply {
        answers(items, |LeaseFinding { lease, judged }| {
            let round = self.round_mut(lease.task, lease.drawn).ok_or(Refusal::UnknownTask)?;
            let place = round.committee.by_network_key(&from).ok_or(Refusal::NotMember)?;
            if *judged == Judged::Wrong {
                self.called_wrong(*lease, place);
            }
            Ok(())
        })
    }

    /// MKT-9: an output that too many members call wrong can find no quorum: its worker is kept away.
    pub(super) fn called_wrong(&mut self, lease: Lease, place: u16) {
        let now = self.now.height;
        let Some(round) = self.round_mut(lease.task, lease.drawn) else { return };
        let spare = round.committee.spare();
        let given = round.jobs.get_mut(&lease.job).and_then(|state| state.offer_mut(lease.attempt));
        let Some(given) = given else { return };
        given.wrong.insert(place);
        if given.wrong.len() <= spare || given.failed {
            return;
        }
        let worker = given.worker;
        self.fail_offer(lease, Refusal::DeviceFailed);
        if let Some(hand) = self.roster.get_mut(&worker) {
            hand.strike(WRONG_STRIKES, now);
        }
    }

    /// Nobody needs these attempts any more, but the one whose result stands.
    pub(super) fn call_off(
        &mut self,
        id: TaskId,
        job: JobIndex,
        result: Option<&ComputeResult>,
        out: &mut Vec<Effect>,
    ) {
        let Some(round) = self.tasks.get(&id).and_then(|task| task.round.as_ref()) else { return };
        let Some(state) = round.jobs.get(&job) else { return };
        let offers: Vec<(Address, Lease, bool)> = state
            .offers
            .iter()
            .map(|given| (given.worker, round.lease(id, job, given.attempt), given.own && !given.failed))
            .collect();
        for (worker, lease, is_live) in offers {
            let Some(hand) = self.roster.get_mut(&worker) else { continue };
            hand.release(&lease);
            let is_theirs = result.is_none_or(|result| result.worker == worker);
            if let (true, false, Some(to)) = (is_live, is_theirs, hand.peer) {
                for items in in_parts(&[lease]) {
                    out.push(Effect::Send { to, message: Message::CalledOff(items), tag: Tag::Nothing });
                }
            }
        }
    }

    /// The kernel of a task.
    pub(super) fn kernel_of(&self, task: &TaskId) -> Option<KernelId> {
        self.tasks.get(task).map(|task: &Task| task.order.kernel)
    }

    /// Puts an offer of the journal back.
    pub(super) fn restore_offer(&mut self, worker: Address, offer: &Offer) {
        let Lease { task, drawn, job, attempt } = offer.lease;
        let now = self.now.height;
        let Some(round) = self.round_mut(task, drawn) else { return };
        if round.jobs.get(&job).is_none_or(|state| state.offer(attempt).is_none()) {
            let told = SeatSet::of(round.own);
            note_offer(round, job, Given::new(attempt, worker, offer.until, now, told));
        }
    }
}

impl Given {
    fn new(attempt: u16, worker: Address, until: Height, now: Height, told: SeatSet) -> Self {
        Self {
            attempt,
            worker,
            until,
            told,
            issued: now,
            heard: now,
            own: true,
            failed: false,
            wrong: SeatSet::default(),
        }
    }
}

impl JobState {
    /// MKT-12: a commitment lapses when its lease ends without its bytes.
    fn lapse(&mut self, now: Height) {
        if self.own == Own::Nothing && self.commitment.is_some_and(|committed| committed.until < now) {
            self.commitment = None;
            self.shown = None;
        }
    }
}

/// Keeps the attempts of a job in their order.
fn note_offer(round: &mut Round, job: JobIndex, given: Given) {
    let state = round.jobs.entry(job).or_default();
    state.offers.push(given);
    state.offers.sort_by_key(|given| given.attempt);
}
