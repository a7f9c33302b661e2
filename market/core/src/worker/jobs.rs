//! A worker's jobs: from the offer over the look at the chain to the output, and what is said of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cpc_kernels::Registry;
use cpc_market_wire::{
    Answer, Commit, Commits, Lease, Message, Offer, Offers, Opening, Openings, Refusal, Refused, Reply, RoundRef,
    Signed, commitment,
};
use cpc_primitives::codec::Bounded;
use cpc_primitives::ids::{JobIndex, TaskId};
use cpc_primitives::{Digest, Domain, PublicKey};

use super::leases::{Held, Known, Read, Step, Telling};
use super::{Effect, Notice, OpenTask, Pause, Seen, Tag, Worker};
use crate::count::{SeatSet, since};
use crate::journal::WorkerNote;
use crate::limits::{RETRY_BLOCKS, WORKER_LEASES_MAX};
use crate::plan::JobPlan;

impl Worker {
    /// Jobs come. Whether the chain knows them shows before they are begun.
    pub(super) fn offered(&mut self, offers: &Signed<Offers>, out: &mut Vec<Effect>) -> Reply {
        let body = &offers.body;
        if body.worker != self.config.worker {
            return Reply::Refused(Refusal::NotKnown);
        }
        if offers.verify(self.config.chain, &body.signer).is_err() {
            return Reply::Refused(Refusal::BadSignature);
        }
        let answers = body.items.iter().map(|offer| match self.take(offer, body, out) {
            Ok(()) => Answer::Taken,
            Err(reason) => Answer::Refused(reason),
        });
        Reply::Items(Bounded::new(answers.collect()).expect("no more answers than items"))
    }

    fn take(&mut self, offer: &Offer, body: &Offers, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        let Offer { lease, until } = *offer;
        if self.leases.contains_key(&lease) {
            return Ok(());
        }
        if self.pause.is_some() {
            return Err(Refusal::Paused);
        }
        if until < self.height {
            return Err(Refusal::LeaseOver);
        }
        // MKT-18: a worker never holds more than it said that it takes.
        if self.credits_left() == 0 || self.leases.len() >= WORKER_LEASES_MAX {
            return Err(Refusal::NoCredit);
        }
        let held = Held { until, signer: body.signer, step: Step::Waiting, wrong: SeatSet::default() };
        self.leases.insert(lease, held);
        out.push(Effect::Notice(Notice::Offered(lease)));
        self.read(lease.task, out);
        Ok(())
    }

    /// Asks the chain for a task, unless the answer is on its way.
    fn read(&mut self, task: TaskId, out: &mut Vec<Effect>) {
        let known = self.tasks.entry(task).or_insert(Known { read: None, at: self.height, is_reading: false });
        if !core::mem::replace(&mut known.is_reading, true) {
            out.push(Effect::ReadTask(task));
        }
    }

    pub(super) fn task_read(&mut self, task: TaskId, read: Option<OpenTask>, out: &mut Vec<Effect>) {
        let Some(known) = self.tasks.get_mut(&task) else { return };
        known.is_reading = false;
        known.at = self.height;
        let Some(OpenTask { order, committee, worker }) = read else {
            return self.give_back_all(task, |_| true, Refusal::NotOnChain, out);
        };
        if worker.is_none_or(|record| record.hot != self.config.hot.public()) {
            return self.give_back_all(task, |_| true, Refusal::NotRegistered, out);
        }
        let known = self.tasks.get_mut(&task).expect("it was there a line ago");
        let same = known.read.take().filter(|read| read.order == order);
        let plan = match same {
            Some(read) => read.plan,
            None => JobPlan::new(&Registry::all(), task, &order).ok().map(Arc::new),
        };
        let (drawn, kernel) = (committee.drawn, order.kernel);
        let is_bad = plan.is_none();
        known.read = Some(Read { order, committee, plan });
        if is_bad {
            return self.give_back_all(task, |_| true, Refusal::BadSpec, out);
        }
        if !self.config.kernels.contains(&kernel) {
            return self.give_back_all(task, |_| true, Refusal::UnknownKernel, out);
        }
        // What another committee offered came to nothing with it.
        self.give_back_all(task, |lease| lease.drawn != drawn, Refusal::OtherCommittee, out);
        self.remind(out);
    }

    fn give_back_all(&mut self, task: TaskId, which: impl Fn(&Lease) -> bool, reason: Refusal, out: &mut Vec<Effect>) {
        let leases: Vec<Lease> = self.leases.keys().filter(|l| l.task == task && which(l)).copied().collect();
        for lease in leases {
            self.give_back(lease, reason, out);
        }
    }

    fn give_back(&mut self, lease: Lease, reason: Refusal, out: &mut Vec<Effect>) {
        let Some(held) = self.leases.remove(&lease) else { return };
        if matches!(held.step, Step::Computing) {
            out.push(Effect::Cancel(lease));
        }
        out.push(Effect::Notice(Notice::Lost { lease, reason }));
        let committee = self.tasks.get(&lease.task).and_then(Known::committee);
        let signer = committee.and_then(|committee| committee.seat(committee.by_verdict_key(&held.signer)?));
        let to = signer.map(|seat| seat.network).filter(|_| reason != Refusal::LeaseOver);
        if let Some(to) = to {
            let items = Bounded::new(vec![Refused { lease, reason }]).expect("one item");
            out.push(Effect::Send { to, message: Message::GivenBack(items), tag: Tag::Nothing });
        }
        self.forget_task(lease.task);
    }

    fn forget_task(&mut self, task: TaskId) {
        let is_needed = self.leases.keys().any(|lease| lease.task == task);
        let is_kept = self.kept.keys().any(|(of, _)| *of == task);
        if !is_needed && !is_kept {
            self.tasks.remove(&task);
        }
    }

    /// MKT-18: before a job is begun the chain is read again: the task is open, its committee made the offer, and this
    /// worker is bonded.
    pub(super) fn begin_jobs(&mut self, out: &mut Vec<Effect>) {
        let computing = self.leases.values().filter(|held| matches!(held.step, Step::Computing)).count();
        let mut free = usize::from(self.config.devices).saturating_sub(computing);
        let waiting: Vec<Lease> =
            self.leases.iter().filter(|(_, held)| matches!(held.step, Step::Waiting)).map(|(l, _)| *l).collect();
        for lease in waiting {
            if free == 0 {
                return;
            }
            match self.begin(lease, out) {
                Ok(true) => free = free.saturating_sub(1),
                Ok(false) => {}
                Err(reason) => self.give_back(lease, reason, out),
            }
        }
    }

    /// Whether a device is taken by this job now.
    fn begin(&mut self, lease: Lease, out: &mut Vec<Effect>) -> Result<bool, Refusal> {
        let known = self.tasks.get(&lease.task).ok_or(Refusal::NotOnChain)?;
        if known.is_reading {
            return Ok(false);
        }
        let held = self.leases.get(&lease).ok_or(Refusal::NotOffered)?;
        if held.until < self.height {
            return Err(Refusal::LeaseOver);
        }
        let Some(read) = known.read.as_ref().filter(|_| since(self.height, known.at) < RETRY_BLOCKS) else {
            self.read(lease.task, out);
            return Ok(false);
        };
        if read.committee.drawn != lease.drawn {
            return Err(Refusal::OtherCommittee);
        }
        read.committee.by_verdict_key(&held.signer).ok_or(Refusal::NotMember)?;
        let job = read.plan.as_ref().and_then(|plan| plan.job(lease.job)).ok_or(Refusal::UnknownJob)?;
        let order = read.order.clone();
        if let Some((output, bytes)) = self.kept.get(&(lease.task, lease.job)).copied() {
            // It was computed for an earlier offer: the same bytes serve this one.
            self.shown(lease, output, bytes, out);
            return Ok(false);
        }
        let kept = self.kept.values().fold(0u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
        if kept > self.config.kept_bytes_max {
            return Err(Refusal::Full);
        }
        if let Some(held) = self.leases.get_mut(&lease) {
            held.step = Step::Computing;
        }
        out.push(Effect::Compute { lease, order, job });
        Ok(true)
    }

    pub(super) fn computed(&mut self, lease: Lease, output: Result<(Digest, u64), Refusal>, out: &mut Vec<Effect>) {
        let is_computing = self.leases.get(&lease).is_some_and(|held| matches!(held.step, Step::Computing));
        match output {
            Ok((output, bytes)) if is_computing => {
                self.kept.insert((lease.task, lease.job), (output, bytes));
                self.shown(lease, output, bytes, out);
            }
            // Its lease ended while it was computed.
            Ok((output, _)) => out.push(Effect::Drop(output)),
            Err(reason) => {
                // The order is as bad as everybody will find; everything else is this machine's own trouble.
                self.give_back(lease, reason, out);
            }
        }
    }

    /// The output is there: its note comes before any word of it (MKT-17).
    fn shown(&mut self, lease: Lease, output: Digest, bytes: u64, out: &mut Vec<Effect>) {
        let Some(held) = self.leases.get_mut(&lease) else { return };
        held.step = Step::Computed { output, bytes, told: BTreeMap::new() };
        out.push(Effect::Journal(WorkerNote::Computed { lease, until: held.until, output, bytes }));
        self.remind(out);
    }

    /// The salt of a commitment: the same after a restart, and known to nobody else.
    fn salt(&self, lease: &Lease, output: &Digest) -> Digest {
        Domain::ResultSalt.hash(&(self.config.salt, lease.task, lease.job, *output))
    }

    /// Says to each member what it has not taken yet: first the commitment, and the output after a quorum has taken
    /// that (MKT-12).
    pub(super) fn remind(&mut self, out: &mut Vec<Effect>) {
        let now = self.height;
        let (mut commits, mut openings) = (BTreeMap::new(), BTreeMap::new());
        let salts: BTreeMap<Lease, Digest> = self
            .leases
            .iter()
            .filter_map(|(lease, held)| match &held.step {
                Step::Computed { output, .. } => Some((*lease, self.salt(lease, output))),
                _ => None,
            })
            .collect();
        for (lease, held) in &mut self.leases {
            let Step::Computed { output, bytes, told } = &mut held.step else { continue };
            let committee = self.tasks.get(&lease.task).and_then(Known::committee);
            let (Some(committee), Some(salt)) = (committee, salts.get(lease)) else { continue };
            if committee.drawn != lease.drawn {
                continue;
            }
            let committed = told.values().filter(|telling| telling.committed).count();
            let may_open = committed >= usize::from(committee.quorum);
            for (place, seat) in committee.places() {
                let telling = told.entry(place).or_default();
                let is_due = !telling.waits && telling.at != Some(now);
                if !is_due || telling.opened || (telling.committed && !may_open) {
                    continue;
                }
                (telling.at, telling.waits) = (Some(now), true);
                if telling.committed {
                    let opening = Opening { lease: *lease, output: *output, bytes: *bytes, salt: *salt };
                    openings.entry(seat.network).or_insert_with(Vec::new).push(opening);
                } else {
                    let commitment = commitment(output, &self.config.worker, salt);
                    commits.entry(seat.network).or_insert_with(Vec::new).push(Commit { lease: *lease, commitment });
                }
            }
        }
        self.say_commits(commits, out);
        self.say_openings(openings, out);
    }

    fn say_commits(&self, commits: BTreeMap<PublicKey, Vec<Commit>>, out: &mut Vec<Effect>) {
        for (to, commits) in commits {
            for part in commits.chunks(cpc_market_wire::limits::ITEMS_MAX) {
                let items = Bounded::new(part.to_vec()).expect("a chunk is no longer than the limit");
                let body = Commits { worker: self.config.worker, items };
                let message = Message::Commits(Signed::new(body, self.config.chain, &self.config.hot));
                let tag = Tag::Commits(part.iter().map(|commit| commit.lease).collect());
                out.push(Effect::Send { to, message, tag });
            }
        }
    }

    fn say_openings(&self, openings: BTreeMap<PublicKey, Vec<Opening>>, out: &mut Vec<Effect>) {
        for (to, openings) in openings {
            for part in openings.chunks(cpc_market_wire::limits::ITEMS_MAX) {
                let items = Bounded::new(part.to_vec()).expect("a chunk is no longer than the limit");
                let body = Openings { worker: self.config.worker, items };
                let message = Message::Openings(Signed::new(body, self.config.chain, &self.config.hot));
                let tag = Tag::Openings(part.iter().map(|opening| opening.lease).collect());
                out.push(Effect::Send { to, message, tag });
            }
        }
    }

    /// The member at this end of a connection, and how far it is with a lease.
    fn telling(&mut self, from: &PublicKey, lease: &Lease) -> Option<&mut Telling> {
        let place = self.tasks.get(&lease.task)?.committee()?.by_network_key(from)?;
        match &mut self.leases.get_mut(lease)?.step {
            Step::Computed { told, .. } => told.get_mut(&place),
            _ => None,
        }
    }

    pub(super) fn commits_answered(
        &mut self,
        to: PublicKey,
        leases: &[Lease],
        reply: Option<&Reply>,
        out: &mut Vec<Effect>,
    ) {
        for (at, lease) in leases.iter().enumerate() {
            let taken = reply.is_some_and(|reply| reply.item(at) == Answer::Taken);
            let Some(telling) = self.telling(&to, lease) else { continue };
            telling.waits = false;
            telling.committed |= taken;
        }
        // Everybody who took it may be shown the output as soon as a quorum did.
        for lease in leases {
            let quorum = self.tasks.get(&lease.task).and_then(Known::committee).map(|committee| committee.quorum);
            let Some(Step::Computed { told, .. }) = self.leases.get_mut(lease).map(|held| &mut held.step) else {
                continue;
            };
            let committed = told.values().filter(|telling| telling.committed).count();
            if quorum.is_some_and(|quorum| committed >= usize::from(quorum)) {
                told.values_mut().filter(|telling| telling.committed && !telling.opened).for_each(|t| t.at = None);
            }
        }
        self.remind(out);
    }

    pub(super) fn openings_answered(&mut self, to: PublicKey, leases: &[Lease], reply: Option<&Reply>) {
        for (at, lease) in leases.iter().enumerate() {
            let answer = reply.map(|reply| reply.item(at));
            let Some(telling) = self.telling(&to, lease) else { continue };
            telling.waits = false;
            match answer {
                Some(Answer::Taken) => telling.opened = true,
                // It has forgotten: the commitment is said again.
                Some(Answer::Refused(Refusal::NotCommitted)) => telling.committed = false,
                Some(Answer::Refused(_)) | None => {}
            }
        }
    }

    /// A member could not get the bytes: it is shown the output again.
    pub(super) fn show_again(&mut self, from: PublicKey, lease: Lease) {
        if let Some(telling) = self.telling(&from, &lease) {
            telling.opened = false;
        }
    }

    /// A member calls the output wrong.
    pub(super) fn called_wrong(&mut self, from: PublicKey, lease: Lease, out: &mut Vec<Effect>) {
        let committee = self.tasks.get(&lease.task).and_then(Known::committee);
        let Some((place, spare)) = committee.and_then(|c| Some((c.by_network_key(&from)?, c.spare()))) else { return };
        let Some(held) = self.leases.get_mut(&lease) else { return };
        held.wrong.insert(place);
        // MKT-19: fewer than that could be liars.
        if held.wrong.len() > spare && self.pause.is_none() {
            self.pause = Some(Pause::AfterRefusal);
            out.push(Effect::Notice(Notice::Paused { lease }));
        }
    }

    /// Some jobs are not needed any more.
    pub(super) fn called_off(&mut self, from: PublicKey, leases: &[Lease], out: &mut Vec<Effect>) -> Reply {
        for lease in leases {
            let committee = self.tasks.get(&lease.task).and_then(Known::committee);
            let sits = committee.is_some_and(|committee| committee.by_network_key(&from).is_some());
            // What is computed already costs nothing more to keep: only the chain says when it is over.
            let runs = self.leases.get(lease).is_some_and(Held::takes_a_credit);
            if sits && runs {
                self.give_back(*lease, Refusal::LeaseOver, out);
            }
        }
        Reply::taken()
    }

    /// What the chain decided, and leases that are over.
    pub(super) fn follow(&mut self, seen: &Seen, out: &mut Vec<Effect>) {
        for (task, job, worker) in &seen.accepted {
            let ours = *worker == self.config.worker;
            if ours {
                out.push(Effect::Notice(Notice::Accepted { task: *task, job: *job }));
            }
            self.end_leases(*task, *job, out);
            if !ours {
                self.drop_output(*task, *job, out);
            }
        }
        for (task, job, _, worker, paid) in &seen.ended {
            if *worker == self.config.worker {
                out.push(Effect::Notice(Notice::Paid { task: *task, job: *job, amount: *paid }));
            }
            self.end_leases(*task, *job, out);
            self.drop_output(*task, *job, out);
        }
        for task in &seen.closed {
            let jobs = self.leases.keys().filter(|lease| lease.task == *task).map(|lease| lease.job);
            let jobs: Vec<JobIndex> = jobs.collect();
            jobs.into_iter().for_each(|job| self.end_leases(*task, job, out));
            let kept: Vec<JobIndex> = self.kept.keys().filter(|(of, _)| of == task).map(|(_, job)| *job).collect();
            kept.into_iter().for_each(|job| self.drop_output(*task, job, out));
        }
        let now = self.height;
        let over = self.leases.iter().filter(|(_, held)| {
            // An output that was shown may still be accepted after its lease; nobody takes a new commitment then.
            let shown = match &held.step {
                Step::Computed { told, .. } => told.values().any(|telling| telling.opened),
                _ => false,
            };
            held.until < now && (!shown || since(now, held.until) > LATE_BLOCKS)
        });
        let over: Vec<Lease> = over.map(|(lease, _)| *lease).collect();
        for lease in over {
            self.give_back(lease, Refusal::LeaseOver, out);
        }
    }

    fn end_leases(&mut self, task: TaskId, job: JobIndex, out: &mut Vec<Effect>) {
        let leases: Vec<Lease> =
            self.leases.keys().filter(|lease| lease.task == task && lease.job == job).copied().collect();
        for lease in leases {
            if let Some(Held { step: Step::Computing, .. }) = self.leases.remove(&lease) {
                out.push(Effect::Cancel(lease));
            }
        }
        self.forget_task(task);
    }

    /// MKT-17: an output is kept until its job has ended, so that every member and the customer can have it.
    fn drop_output(&mut self, task: TaskId, job: JobIndex, out: &mut Vec<Effect>) {
        if let Some((output, _)) = self.kept.remove(&(task, job)) {
            let drawn = self.tasks.get(&task).and_then(Known::committee).map_or(self.height, |c| c.drawn);
            out.push(Effect::Journal(WorkerNote::Dropped { round: RoundRef { task, drawn }, job }));
            out.push(Effect::Drop(output));
        }
        self.forget_task(task);
    }

    /// Goes on from one line of the journal, before the first event.
    pub fn restore(&mut self, note: &WorkerNote) {
        match *note {
            WorkerNote::Computed { lease, output, bytes, .. } => {
                self.kept.insert((lease.task, lease.job), (output, bytes));
            }
            WorkerNote::Dropped { round, job } => {
                self.kept.remove(&(round.task, job));
            }
        }
    }
}

/// Blocks after its lease for which a shown output may still be accepted.
const LATE_BLOCKS: u64 = 200;
