//! What workers bring: commitments first, outputs after, and this node's judgement of them.

use cpc_kernels::Effort;
use cpc_kernels::frame::Judgement;
use cpc_market_wire::{
    BlobName, Commit, Commits, Judged, Lease, LeaseFinding, Message, Opening, Openings, Refusal, Reply, Signed,
    VerdictItem, commitment,
};
use cpc_primitives::ids::{Epoch, TaskId};
use cpc_primitives::result::{Assurance, Finding};
use cpc_primitives::{Address, Digest, PublicKey};

use super::book::PageId;
use super::{Effect, Market, Tag, answers, in_parts};
use crate::journal::Record;
use crate::plan::closing_result;
use crate::task::{Committed, JobState, Own, Shown, Stage};

impl Market {
    /// MKT-12: a commitment is taken from the worker whose offer is known, and who commits itself first.
    pub(super) fn committed(&mut self, from: PublicKey, commits: &Signed<Commits>, out: &mut Vec<Effect>) -> Reply {
        let worker = commits.body.worker;
        if let Err(reason) = self.said_by_worker(&from, &worker, |key| commits.verify(self.config.chain, key).is_ok()) {
            return Reply::Refused(reason);
        }
        let mut new = Vec::new();
        let reply = answers(&commits.body.items, |commit| {
            let is_new = self.take_commit(worker, commit)?;
            new.extend(is_new.then_some(*commit));
            Ok(())
        });
        for commit in &new {
            self.note_computed(worker, &commit.lease);
        }
        for commits in in_parts(&new) {
            out.push(Effect::Journal(Record::Committed { worker, commits }));
        }
        reply
    }

    /// Whether this connection is that worker's, and its hot key signed.
    fn said_by_worker(
        &self,
        from: &PublicKey,
        worker: &Address,
        signed: impl FnOnce(&PublicKey) -> bool,
    ) -> Result<(), Refusal> {
        if self.roster.at(from) != Some(*worker) {
            return Err(Refusal::NotKnown);
        }
        let hand = self.roster.get(worker).ok_or(Refusal::NotKnown)?;
        if signed(&hand.record.hot) { Ok(()) } else { Err(Refusal::BadSignature) }
    }

    /// Whether a commitment was new.
    fn take_commit(&mut self, worker: Address, commit: &Commit) -> Result<bool, Refusal> {
        let now = self.now.height;
        let Lease { attempt, .. } = commit.lease;
        let state = self.leased(worker, &commit.lease)?;
        let until = state.offer(attempt).ok_or(Refusal::NotOffered)?.until;
        match state.commitment {
            Some(known) if known.worker == worker && known.commitment == commit.commitment => return Ok(false),
            // Another output of the same worker is no better than another worker's: the first stands.
            Some(known) if known.worker == worker => return Err(Refusal::Differs),
            Some(_) => return Err(Refusal::AnotherFirst),
            // A node signs for one output of a job and no other.
            None if state.own != Own::Nothing => return Err(Refusal::AnotherFirst),
            None if until < now => return Err(Refusal::LeaseOver),
            None => {}
        }
        state.commitment = Some(Committed { attempt, worker, commitment: commit.commitment, until });
        if let Some(given) = state.offer_mut(attempt) {
            given.heard = now;
        }
        Ok(true)
    }

    /// The state of a job of which this worker has, or had, an offer.
    fn leased(&mut self, worker: Address, lease: &Lease) -> Result<&mut JobState, Refusal> {
        let task = self.tasks.get_mut(&lease.task).ok_or(Refusal::UnknownTask)?;
        let stage = task.stage(lease.job).ok_or(Refusal::UnknownJob)?;
        let round = task.round.as_mut().filter(|round| round.committee.drawn == lease.drawn);
        let round = round.ok_or(Refusal::OtherCommittee)?;
        if round.own.is_none() {
            return Err(Refusal::NotMember);
        }
        if stage == Stage::Ended {
            return Err(Refusal::Decided);
        }
        let state = round.jobs.get_mut(&lease.job).ok_or(Refusal::NotOffered)?;
        let offered = state.offer(lease.attempt).is_some_and(|given| given.worker == worker);
        if offered { Ok(state) } else { Err(Refusal::NotOffered) }
    }

    fn note_computed(&mut self, worker: Address, lease: &Lease) {
        let Some(kernel) = self.kernel_of(&lease.task) else { return };
        let clock = self.clock;
        if let Some(hand) = self.roster.get_mut(&worker) {
            hand.computed(lease, kernel, clock);
        }
        self.has_room = true;
    }

    /// A commitment is opened: the bytes are fetched from whoever opened it.
    pub(super) fn opened(&mut self, from: PublicKey, openings: &Signed<Openings>, out: &mut Vec<Effect>) -> Reply {
        let worker = openings.body.worker;
        if let Err(reason) = self.said_by_worker(&from, &worker, |key| openings.verify(self.config.chain, key).is_ok())
        {
            return Reply::Refused(reason);
        }
        let (mut new, mut wanted) = (Vec::new(), Vec::new());
        let reply = answers(&openings.body.items, |opening| {
            let (is_new, is_wanted) = self.take_opening(worker, opening)?;
            new.extend(is_new.then_some(*opening));
            wanted.extend(is_wanted.then_some(*opening));
            Ok(())
        });
        for openings in in_parts(&new) {
            out.push(Effect::Journal(Record::Opened { worker, openings }));
        }
        for Opening { lease, output, bytes, .. } in wanted {
            out.push(Effect::Fetch { lease, from, name: BlobName::Output(output), bytes });
        }
        reply
    }

    /// Whether an opening was new, and whether its bytes are wanted.
    fn take_opening(&mut self, worker: Address, opening: &Opening) -> Result<(bool, bool), Refusal> {
        let Opening { lease, output, bytes, salt } = *opening;
        let max =
            self.tasks.get(&lease.task).and_then(|task| task.plan.as_ref().ok()).map(|plan| plan.output_bytes_max());
        let state = self.leased(worker, &lease)?;
        let shown = Shown { attempt: lease.attempt, worker, output, bytes };
        if state.shown == Some(shown) {
            // Said again where the bytes did not come: they are asked for again.
            let is_wanted = state.own == Own::Nothing && state.commitment.is_some();
            if is_wanted {
                state.own = Own::Fetching;
            }
            return Ok((false, is_wanted));
        }
        let committed = state.commitment.filter(|known| known.worker == worker).ok_or(Refusal::NotCommitted)?;
        if commitment(&output, &worker, &salt) != committed.commitment {
            return Err(Refusal::NotCommitted);
        }
        if state.own != Own::Nothing {
            return Err(Refusal::Differs);
        }
        if max.is_none_or(|max| bytes > max) {
            return Err(Refusal::TooLong);
        }
        state.shown = Some(shown);
        state.own = Own::Fetching;
        Ok((true, true))
    }

    /// The bytes of an output came, or did not.
    pub(super) fn fetched(&mut self, lease: Lease, came: bool, out: &mut Vec<Effect>) {
        let epoch = self.now.epoch;
        let Some(state) = self.shown_under(&lease).filter(|state| state.own == Own::Fetching) else { return };
        if came {
            state.own = Own::Judging { epoch };
            self.judge(lease, out);
        } else {
            state.own = Own::Nothing;
            self.say_finding(lease, Judged::Missing, out);
        }
    }

    /// Outputs that were shown and are not here: the process began anew, or the bytes did not come. They are asked for
    /// once more, as long as their lease lasts.
    pub(super) fn fetch_again(&mut self, out: &mut Vec<Effect>) {
        let mut wanted = Vec::new();
        for (id, task) in &mut self.tasks {
            let Some(round) = task.round.as_mut().filter(|round| round.own.is_some()) else { continue };
            let drawn = round.committee.drawn;
            for (job, state) in &mut round.jobs {
                let (Some(shown), true) = (state.shown, state.commitment.is_some()) else { continue };
                let peer = self.roster.get(&shown.worker).and_then(|hand| hand.peer);
                let (Some(from), None, Own::Nothing) = (peer, &state.accepted, state.own) else { continue };
                state.own = Own::Fetching;
                wanted.push((Lease { task: *id, drawn, job: *job, attempt: shown.attempt }, from, shown));
            }
        }
        for (lease, from, Shown { output, bytes, .. }) in wanted {
            out.push(Effect::Fetch { lease, from, name: BlobName::Output(output), bytes });
        }
    }

    /// The state of a job whose output was shown under this lease.
    fn shown_under(&mut self, lease: &Lease) -> Option<&mut JobState> {
        let state = self.round_mut(lease.task, lease.drawn)?.jobs.get_mut(&lease.job)?;
        state.shown.is_some_and(|shown| shown.attempt == lease.attempt).then_some(state)
    }

    fn judge(&mut self, lease: Lease, out: &mut Vec<Effect>) {
        let epoch = self.now.epoch;
        let Some(output) = self.shown_under(&lease).and_then(|state| state.shown).map(|shown| shown.output) else {
            return;
        };
        let Some(task) = self.tasks.get(&lease.task) else { return };
        let Some(job) = task.plan.as_ref().ok().and_then(|plan| plan.job(lease.job)) else { return };
        let effort = match task.order.assurance {
            Assurance::Spot => Effort::Spot,
            Assurance::Full | Assurance::Quorum { .. } => Effort::Full,
        };
        self.judging = self.judging.saturating_add(1);
        out.push(Effect::Judge { lease, epoch, job, effort, output });
    }

    /// MKT-11: an output that satisfies the secret sample is attested; what does not is named, and nobody signs it.
    pub(super) fn judged(&mut self, lease: Lease, epoch: Epoch, judgement: Option<Judgement>, out: &mut Vec<Effect>) {
        self.judging = self.judging.saturating_sub(1);
        let now = self.now.epoch;
        let Some(state) = self.shown_under(&lease).filter(|state| state.own == Own::Judging { epoch }) else { return };
        let Some(shown) = state.shown else { return };
        // A sample of an epoch that is over would not be the one of the signature.
        if epoch != now {
            state.own = Own::Judging { epoch: now };
            return self.judge(lease, out);
        }
        match judgement {
            Some(Judgement { wrong: None, sample, digest }) => {
                state.own = Own::Right;
                self.attest(lease.task, &lease, shown, sample, digest);
                self.say_finding(lease, Judged::Right, out);
            }
            Some(Judgement { wrong: Some(_), .. }) => {
                state.own = Own::Nothing;
                state.commitment = None;
                state.shown = None;
                self.say_finding(lease, Judged::Wrong, out);
                if let Some(own) = self.round_mut(lease.task, lease.drawn).and_then(|round| round.own) {
                    self.called_wrong(lease, own);
                }
            }
            // This machine could not tell: the worker says its result again, and it is judged again.
            None => state.own = Own::Nothing,
        }
    }

    fn attest(&mut self, id: TaskId, lease: &Lease, shown: Shown, sample: Digest, digest: Digest) {
        let Some(task) = self.tasks.get(&id) else { return };
        let (Ok(plan), Some(round)) = (&task.plan, &task.round) else { return };
        let result = plan.result(lease.job, shown.worker, shown.output, shown.bytes);
        let seat = round.own.and_then(|own| round.committee.seat(own));
        let (Some(result), Some(seat)) = (result, seat) else { return };
        let item = VerdictItem { result, finding: Finding::Accept, sample, digest };
        self.book.write(PageId::of(round.committee.drawn, lease.job), seat.number, item);
    }

    /// MKT-14: this node's verdict on a whole task that nobody can compute.
    pub(super) fn close(&mut self, id: TaskId, finding: Finding) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let result = closing_result(id, &task.order);
        let Some(round) = task.round.as_mut() else { return };
        let Some(seat) = round.own.and_then(|own| round.committee.seat(own)) else { return };
        let item = VerdictItem { result, finding, sample: Digest::ZERO, digest: Digest::ZERO };
        self.book.write(PageId::of(round.committee.drawn, result.job), seat.number, item);
    }

    /// Tells the orchestrator and the worker what was found; what they make of it is their own affair.
    fn say_finding(&self, lease: Lease, judged: Judged, out: &mut Vec<Effect>) {
        let Some(round) = self.tasks.get(&lease.task).and_then(|task| task.round.as_ref()) else { return };
        let given = round.jobs.get(&lease.job).and_then(|state| state.offer(lease.attempt));
        let worker = given.and_then(|given| self.roster.get(&given.worker)?.peer);
        let turn = round.committee.orchestrator(self.now.height, self.config.rotation_blocks);
        let orchestrator = turn.filter(|turn| Some(*turn) != round.own && judged != Judged::Right);
        let orchestrator = orchestrator.and_then(|turn| round.committee.seat(turn)).map(|seat| seat.network);
        for to in worker.into_iter().chain(orchestrator) {
            for items in in_parts(&[LeaseFinding { lease, judged }]) {
                out.push(Effect::Send { to, message: Message::Findings(items), tag: Tag::Nothing });
            }
        }
    }

    /// Goes on from one line of the journal; after the block that brought all open tasks.
    pub fn restore(&mut self, record: &Record) {
        match record {
            Record::Offered { worker, offers } => offers.iter().for_each(|offer| self.restore_offer(*worker, offer)),
            Record::Committed { worker, commits } => {
                for Commit { lease, commitment } in commits {
                    let Ok(state) = self.leased(*worker, lease) else { continue };
                    let Some(until) = state.offer(lease.attempt).map(|given| given.until) else { continue };
                    let (attempt, worker, commitment) = (lease.attempt, *worker, *commitment);
                    state.commitment = Some(Committed { attempt, worker, commitment, until });
                }
            }
            Record::Opened { worker, openings } => {
                for Opening { lease, output, bytes, .. } in openings {
                    let Ok(state) = self.leased(*worker, lease) else { continue };
                    let (attempt, worker, output, bytes) = (lease.attempt, *worker, *output, *bytes);
                    state.shown = Some(Shown { attempt, worker, output, bytes });
                }
            }
            Record::Judged { drawn, items } => items.iter().for_each(|item| self.restore_verdict(*drawn, item)),
            Record::Submitted { at, jobs } => {
                for (task, job) in jobs {
                    let round = self.tasks.get_mut(task).and_then(|task| task.round.as_mut());
                    if let Some(state) = round.and_then(|round| round.jobs.get_mut(job)) {
                        state.submitted = Some(*at);
                    }
                }
            }
        }
    }

    fn restore_verdict(&mut self, drawn: cpc_primitives::Height, item: &VerdictItem) {
        let (id, job) = (item.result.task, item.result.job);
        let Some(round) = self.round_mut(id, drawn) else { return };
        let Some(number) = round.own.and_then(|own| round.committee.seat(own)).map(|seat| seat.number) else { return };
        if item.finding == Finding::Accept {
            let state = round.jobs.entry(job).or_default();
            state.own = Own::Right;
        }
        self.book.restore(PageId::of(drawn, job), number, *item);
    }
}
