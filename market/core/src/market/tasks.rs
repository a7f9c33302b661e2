//! Tasks as the chain tells of them, and what they read.

use std::sync::Arc;

use cpc_market_wire::{Message, Refusal, Reply, RoundRef};
use cpc_primitives::PublicKey;
use cpc_primitives::ids::{Height, JobIndex, TaskId};
use cpc_primitives::result::{ComputeResult, Finding, TaskOrder};

use super::{Effect, Market, Prepared, Tag, answers, in_parts};
use crate::chain::{Change, Committee};
use crate::count::{SeatSet, since};
use crate::limits::{INPUT_BLOCKS, JOBS_MAX, RETRY_BLOCKS, TASKS_MAX};
use crate::plan::JobPlan;
use crate::reason::Waiting;
use crate::task::{OnChain, Payload, Round, Stage, Task};

impl Market {
    pub(super) fn change(&mut self, change: Change, out: &mut Vec<Effect>) {
        match change {
            Change::Opened { task, order } => self.opened_task(task, order),
            Change::Drawn { task, committee } => self.drawn(task, committee, out),
            Change::Cancelled { task } => {
                if let Some(task) = self.tasks.get_mut(&task) {
                    task.cancelled = true;
                }
            }
            Change::Accepted { result, until, seats } => self.accepted(result, until, &seats, out),
            Change::Counted { task, job, seats } => self.counted(task, job, &seats),
            Change::Ended { task, job, .. } => self.ended(task, &[job], out),
            Change::Closed { task, .. } => self.closed(task, out),
            Change::Worker { worker, record } => self.roster.update(&worker, record),
        }
    }

    /// MKT-2: a task beyond the limits is passed over, and read again when there is room.
    fn opened_task(&mut self, task: TaskId, order: TaskOrder) {
        if self.tasks.contains_key(&task) {
            return;
        }
        let jobs = usize::try_from(order.jobs).unwrap_or(usize::MAX);
        let all = self.jobs.saturating_add(jobs);
        if self.tasks.len() >= TASKS_MAX || all > JOBS_MAX {
            self.passed_over = true;
            return;
        }
        self.jobs = all;
        let plan = JobPlan::new(&self.registry, task, &order).map(Arc::new);
        let (stages, left) = (vec![Stage::Open; jobs], order.jobs);
        let waiting = Waiting::NoCommittee;
        self.tasks.insert(task, Task { order, plan, stages, left, cancelled: false, round: None, waiting });
    }

    /// MKT-5: a draw begins a new round. What the old committee said of undecided jobs counts no more.
    fn drawn(&mut self, id: TaskId, committee: Committee, out: &mut Vec<Effect>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if task.round.as_ref().is_some_and(|round| round.committee.drawn >= committee.drawn) {
            return;
        }
        self.drop_round(id);
        let task = self.tasks.get_mut(&id).expect("it was there a line ago");
        let drawn = committee.drawn;
        let own = committee.by_verdict_key(&self.config.verdict.public());
        let round = task.round.insert(Round::new(committee, own, self.now.height));
        if own.is_none() {
            return;
        }
        if task.plan.is_err() {
            round.payload = Payload::BadSpec;
            self.close(id, Finding::BadSpec);
            return;
        }
        out.push(Effect::Prepare { task: id, drawn, order: task.order.clone() });
    }

    /// What came of the payload (MKT-6).
    pub(super) fn prepared(&mut self, id: TaskId, drawn: Height, prepared: Prepared, out: &mut Vec<Effect>) {
        let Some(round) = self.round_mut(id, drawn) else { return };
        let (Some(own), Payload::Preparing { since: begun }) = (round.own, round.payload) else { return };
        match prepared {
            Prepared::Held => {
                round.payload = Payload::Held;
                round.held.insert(own);
                self.tell_held(id, out);
                self.dirty.insert(id);
            }
            Prepared::BadSpec => {
                round.payload = Payload::BadSpec;
                self.close(id, Finding::BadSpec);
            }
            Prepared::Missing => round.payload = Payload::Missing { since: begun },
        }
    }

    /// What could not be had is asked for again, and called unavailable in the end.
    pub(super) fn retry_payloads(&mut self, out: &mut Vec<Effect>) {
        let now = self.now.height;
        let mut unavailable = Vec::new();
        for (id, task) in &mut self.tasks {
            let Some(round) = &mut task.round else { continue };
            let Payload::Missing { since: begun } = round.payload else { continue };
            if since(now, begun) >= INPUT_BLOCKS {
                round.payload = Payload::NoInputs;
                unavailable.push(*id);
            } else {
                round.payload = Payload::Preparing { since: begun };
                out.push(Effect::Prepare { task: *id, drawn: round.committee.drawn, order: task.order.clone() });
            }
        }
        for id in unavailable {
            self.close(id, Finding::InputUnavailable);
        }
    }

    fn tell_held(&self, id: TaskId, out: &mut Vec<Effect>) {
        let Some(round) = self.tasks.get(&id).and_then(|task| task.round.as_ref()) else { return };
        let rounds = vec![RoundRef { task: id, drawn: round.committee.drawn }];
        for (place, seat) in round.committee.places() {
            if Some(place) != round.own && !round.told.has(place) {
                for items in in_parts(&rounds) {
                    let tag = Tag::Held { rounds: rounds.clone() };
                    out.push(Effect::Send { to: seat.network, message: Message::Held(items), tag });
                }
            }
        }
    }

    /// What other members have to know is said until they say that they do.
    pub(super) fn remind_members(&mut self, out: &mut Vec<Effect>) {
        if !self.now.height.0.is_multiple_of(RETRY_BLOCKS) {
            return;
        }
        let untold = |task: &Task| {
            let round = task.round.as_ref()?;
            let others = u16::try_from(round.committee.seats.len()).ok()?.saturating_sub(1);
            (round.payload == Payload::Held && round.told.len() < others).then_some(())
        };
        let rounds: Vec<TaskId> =
            self.tasks.iter().filter(|(_, task)| untold(task).is_some()).map(|(id, _)| *id).collect();
        for id in rounds {
            self.tell_held(id, out);
        }
        self.remind_of_offers(out);
    }

    pub(super) fn held_told(&mut self, from: PublicKey, items: &[RoundRef], out: &mut Vec<Effect>) -> Reply {
        answers(items, |RoundRef { task, drawn }| {
            let round = self.round_mut(*task, *drawn).ok_or(Refusal::UnknownTask)?;
            let place = round.committee.by_network_key(&from).ok_or(Refusal::NotMember)?;
            let is_new = !round.held.has(place);
            round.held.insert(place);
            self.dirty.insert(*task);
            if is_new {
                self.tell_newcomer(*task, place, out);
            }
            Ok(())
        })
    }

    pub(super) fn held_answered(&mut self, to: PublicKey, rounds: &[RoundRef], reply: Option<&Reply>) {
        for (at, RoundRef { task, drawn }) in rounds.iter().enumerate() {
            let taken = reply.is_some_and(|reply| reply.item(at) == cpc_market_wire::Answer::Taken);
            let Some(round) = self.round_mut(*task, *drawn).filter(|_| taken) else { continue };
            if let Some(place) = round.committee.by_network_key(&to) {
                round.told.insert(place);
            }
        }
    }

    fn accepted(&mut self, result: ComputeResult, until: Height, numbers: &[u16], out: &mut Vec<Effect>) {
        let (id, job) = (result.task, result.job);
        let Some(task) = self.tasks.get_mut(&id) else { return };
        task.advance(job, Stage::Accepted);
        self.call_off(id, job, Some(&result), out);
        if let Some(hand) = self.roster.get_mut(&result.worker) {
            hand.succeed();
        }
        let Some(round) = self.tasks.get_mut(&id).and_then(|task| task.round.as_mut()) else { return };
        round.retry.remove(&job);
        round.ready.remove(&job);
        let seats = SeatSet::of(numbers.iter().filter_map(|number| round.committee.by_number(*number)));
        let state = round.jobs.entry(job).or_default();
        state.accepted = Some(OnChain { result, until, seats, added: None });
        self.dirty.insert(id);
    }

    fn counted(&mut self, id: TaskId, job: JobIndex, numbers: &[u16]) {
        let Some(round) = self.tasks.get_mut(&id).and_then(|task| task.round.as_mut()) else { return };
        let places: Vec<u16> = numbers.iter().filter_map(|number| round.committee.by_number(*number)).collect();
        let accepted = round.jobs.get_mut(&job).and_then(|state| state.accepted.as_mut());
        if let Some(accepted) = accepted {
            places.into_iter().for_each(|place| accepted.seats.insert(place));
        }
    }

    fn ended(&mut self, id: TaskId, jobs: &[JobIndex], out: &mut Vec<Effect>) {
        for job in jobs {
            let Some(task) = self.tasks.get_mut(&id) else { return };
            task.advance(*job, Stage::Ended);
            self.call_off(id, *job, None, out);
            self.book.strike_out(&(id, *job));
            if let Some(round) = self.tasks.get_mut(&id).and_then(|task| task.round.as_mut()) {
                round.jobs.remove(job);
                round.retry.remove(job);
                round.ready.remove(job);
            }
        }
        if self.tasks.get(&id).is_some_and(|task| task.left == 0) {
            self.forget(id, out);
        }
    }

    /// Every job without an accepted result is over.
    fn closed(&mut self, id: TaskId, out: &mut Vec<Effect>) {
        let Some(task) = self.tasks.get(&id) else { return };
        let open: Vec<JobIndex> = (0..task.order.jobs).map(JobIndex).filter(|job| task.is_open(*job)).collect();
        self.ended(id, &open, out);
    }

    fn forget(&mut self, id: TaskId, out: &mut Vec<Effect>) {
        self.drop_round(id);
        if let Some(task) = self.tasks.remove(&id) {
            self.jobs = self.jobs.saturating_sub(task.stages.len());
        }
        self.hungry.remove(&id);
        out.push(Effect::Forget(id));
        if core::mem::take(&mut self.passed_over) {
            out.push(Effect::ReadTasks);
        }
    }

    /// Lets go of everything that belongs to a task's round.
    fn drop_round(&mut self, id: TaskId) {
        let Some(round) = self.tasks.get_mut(&id).and_then(|task| task.round.take()) else { return };
        let leases = round.jobs.iter().flat_map(|(job, state)| {
            state.offers.iter().map(|given| (given.worker, round.lease(id, *job, given.attempt)))
        });
        for (worker, lease) in leases {
            if let Some(hand) = self.roster.get_mut(&worker) {
                hand.release(&lease);
            }
        }
        self.book.strike_out_task(id);
        // A root goes with the last round that it speaks of.
        let drawn = round.committee.drawn;
        let tasks = &self.tasks;
        let lives = |task: &TaskId| tasks.get(task).is_some_and(|task| task.drawn() == Some(drawn));
        self.roots.retain(|(page, _), root| !page.is_of(drawn) || root.keys.iter().any(|(task, _)| lives(task)));
    }

    pub(super) fn round_mut(&mut self, task: TaskId, drawn: Height) -> Option<&mut Round> {
        let round = self.tasks.get_mut(&task)?.round.as_mut()?;
        (round.committee.drawn == drawn).then_some(round)
    }
}
