//! What falls due at the end of a block: committees are drawn, windows close, jobs are settled or refunded, tasks end.

use cpc_primitives::committee::{Committee, Member, draw};
use cpc_primitives::limits::DUE_PER_BLOCK_MAX;
use cpc_primitives::result::{Outcome, Settlement, Subject, TaskOrder, Unfinished};
use cpc_primitives::state::DueList;
use cpc_primitives::task::DecidedPage;
use cpc_primitives::{Address, Amount, Bounded, Fault, Height, JobIndex, TaskId};

use crate::due::{Due, Next};
use crate::port::StateRead;
use crate::records::validator;
use crate::results::attesters;
use crate::rules::Params;
use crate::session::Session;
use crate::supply::{broken, credit, debit};
use crate::tables::TermsOf;
use crate::tasks::{count, deadline_second, discount};

/// How a reward is divided between its owners; what is not named burns.
#[derive(Clone, Copy, Default)]
struct Parts {
    worker: Amount,
    /// Of the whole committee.
    validators: Amount,
    /// Of one member.
    member: Amount,
    treasury: Amount,
    refund: Amount,
}

/// Does what is due, as much of it as one block does (DUE-4).
pub(crate) fn expire<S: StateRead>(session: &mut Session<'_, S>) -> Result<(), Fault> {
    let second = session.context.time.0 / 1_000;
    for (list, now) in [(DueList::Heights, session.height.0), (DueList::Seconds, second)] {
        let mut budget = DUE_PER_BLOCK_MAX;
        while budget > 0 {
            let work = match session.tables.next_due(session.state, list, now)? {
                Next::Done => break,
                Next::Gap => 1,
                Next::Item(due) => session.fall_due(due)?,
            };
            budget = budget.saturating_sub(work);
        }
    }
    Ok(())
}

impl<S: StateRead> Session<'_, S> {
    /// Does what one item says, and tells how much work it was.
    fn fall_due(&mut self, due: Due) -> Result<u32, Fault> {
        match due {
            Due::Nothing => Ok(1),
            Due::Committee(task) => self.watch_committee(task),
            Due::Window(task, job) => self.settle(task, job),
            Due::Cancelled(task) => self.close(task, Outcome::Cancelled, None),
            Due::Deadline(task) => self.close(task, Outcome::DeadlinePassed, None),
        }
    }

    /// Draws the committee of a task, or a fresh one where the last was of no use (COM-2, COM-5).
    fn watch_committee(&mut self, task: TaskId) -> Result<u32, Fault> {
        let Some(escrow) = self.tables.escrows.get(self.state, &task)?.copied() else { return Ok(1) };
        if escrow.open_jobs == 0 {
            return Ok(1);
        }
        let lease = self.tables.terms.there(self.state, &TermsOf(task))?.order.lease_blocks;
        let mut work = 1;
        let due = match escrow.drawn {
            None => Height(0),
            Some(drawn) => {
                let committee = self.tables.committees.there(self.state, &(task, drawn))?;
                look_again(self.params, committee, lease, escrow.progress)
            }
        };
        let due = if due > self.height {
            due
        } else {
            let committee = self.draw_committee(task, escrow.drawn)?;
            work = u32::try_from(committee.members.len()).unwrap_or(u32::MAX).saturating_add(1);
            look_again(self.params, &committee, lease, self.height)
        };
        let next = due.0.max(self.height.0.saturating_add(1));
        self.tables.put(self.state, DueList::Heights, next, Due::Committee(task))?;
        Ok(work)
    }

    /// COM-2: the beacon after this block draws from the seats of its epoch.
    fn draw_committee(&mut self, task: TaskId, before: Option<Height>) -> Result<Committee, Fault> {
        let seats = self.seats.seats();
        let count = u16::try_from(seats.len()).expect("an epoch has few seats");
        let size = self.params.committee_of(count);
        let places = draw(self.opening.beacon(), task, self.height, count, size.seats);
        let mut members = Vec::with_capacity(places.len());
        for place in places {
            let seat = seats.get(usize::from(place)).copied();
            let seat = seat.ok_or_else(|| broken(format!("COM-2: seat {place} of {count} was drawn")))?;
            let there = validator(self.state, &seat.account)?;
            let there = there.ok_or_else(|| broken(format!("EPO-6: the seat of {} has no validator", seat.account)))?;
            members.push(Member { seat: place, key: there.registration.verdict.key, account: seat.account });
        }
        let members = Bounded::new(members).map_err(|error| broken(format!("COM-1: {error}")))?;
        let committee = Committee { epoch: self.context.epoch, quorum: size.quorum, pending: 0, members };
        self.tables.committees.set(self.state, &(task, self.height), committee.clone())?;
        let escrow = self.tables.escrows.there(self.state, &task)?;
        (escrow.drawn, escrow.progress) = (Some(self.height), self.height);
        if let Some(before) = before {
            self.forget_committee(task, before)?;
        }
        Ok(committee)
    }

    /// COM-4: a committee stays as long as it decides, or has decided jobs that are not settled.
    fn forget_committee(&mut self, task: TaskId, drawn: Height) -> Result<(), Fault> {
        let decides = self.tables.escrows.get(self.state, &task)?.is_some_and(|escrow| escrow.drawn == Some(drawn));
        if !decides && self.tables.committees.there(self.state, &(task, drawn))?.pending == 0 {
            self.tables.committees.remove(self.state, &(task, drawn))?;
        }
        Ok(())
    }

    /// Divides the reward of an accepted job whose window has closed (STL-1 to STL-3).
    fn settle(&mut self, task: TaskId, job: JobIndex) -> Result<u32, Fault> {
        let Some(accepted) = self.tables.jobs.get(self.state, &(task, job))?.copied() else {
            return Err(broken(format!("STL-1: job {job} of task {task} has a window and no result")));
        };
        let reward = self.tables.terms.there(self.state, &TermsOf(task))?.order.job_reward(job).unwrap_or_default();
        let committee = self.tables.committees.there(self.state, &(task, accepted.drawn))?;
        let lost = || broken(format!("COM-4: the committee of task {task} drawn at {} has no job", accepted.drawn));
        committee.pending = committee.pending.checked_sub(1).ok_or_else(lost)?;
        let (seats, members) = (committee.members.len(), attesters(committee, accepted.attested));
        let parts = divide(self.params, reward, seats, members.len());
        let worker = self.tables.workers.there(self.state, &accepted.result.worker)?;
        debit(&mut worker.reserved, accepted.reserved, "a reserved bond")?;
        let payout = worker.payout;

        self.tables.jobs.remove(self.state, &(task, job))?;
        let escrow = self.tables.escrows.there(self.state, &task)?;
        debit(&mut escrow.accepted, reward, "an escrow's accepted jobs")?;
        let lost = || broken(format!("TSK-5: task {task} has no accepted job"));
        escrow.accepted_jobs = escrow.accepted_jobs.checked_sub(1).ok_or_else(lost)?;
        discount(&mut self.tables.tally.accepted_jobs, 1)?;
        count(&mut self.tables.tally.ended_jobs, 1)?;
        self.pay(&payout, parts.worker)?;
        for member in members {
            self.pay(&member, parts.member)?;
        }
        self.divided(Subject::Job(accepted.result), Outcome::Settled, reward, parts)?;
        self.forget_committee(task, accepted.drawn)?;
        self.end(task)
    }

    /// Ends all jobs of a task that have no accepted result (TSK-7, TSK-9, SUB-7). Where a quorum found that the order
    /// cannot be computed, its members come with the number of the committee's places.
    pub(crate) fn close(
        &mut self,
        task: TaskId,
        outcome: Outcome,
        found: Option<(Vec<Address>, usize)>,
    ) -> Result<u32, Fault> {
        // The task may have ended, or been closed, before this fell due.
        let Some(escrow) = self.tables.escrows.get(self.state, &task)?.filter(|escrow| escrow.open_jobs > 0) else {
            return Ok(1);
        };
        let (reward, jobs) = (escrow.open, escrow.open_jobs);
        let terms = self.tables.terms.there(self.state, &TermsOf(task))?;
        let (customer, subject) = (terms.customer, Subject::Rest(unfinished(task, &terms.order, jobs)));
        let (members, seats) = found.unwrap_or_default();
        // SUB-7: without members there is no fee.
        let fee = if members.is_empty() { Amount::ZERO } else { reward.bps_floor(self.params.closing_fee) };
        let member = equal_part(fee, seats);
        let mut refund = reward;
        debit(&mut refund, fee, "a refund")?;
        let parts = Parts { validators: times(member, members.len()), member, refund, ..Parts::default() };

        let escrow = self.tables.escrows.there(self.state, &task)?;
        (escrow.open, escrow.open_jobs, escrow.closed) = (Amount::ZERO, 0, Some(outcome));
        discount(&mut self.tables.tally.open_jobs, jobs.into())?;
        count(&mut self.tables.tally.ended_jobs, jobs.into())?;
        self.pay(&customer, parts.refund)?;
        for account in members {
            self.pay(&account, parts.member)?;
        }
        self.divided(subject, outcome, reward, parts)?;
        self.end(task)
    }

    /// STL-3: what nobody gets burns, and the leaf says where all of it went.
    fn divided(&mut self, subject: Subject, outcome: Outcome, reward: Amount, parts: Parts) -> Result<(), Fault> {
        let Parts { worker, validators, treasury, refund, .. } = parts;
        let mut burn = reward;
        for part in [worker, validators, treasury, refund] {
            debit(&mut burn, part, "a reward")?;
        }
        debit(&mut self.supply.escrow, reward, "the escrow")?;
        credit(&mut self.supply.burned, burn, "burned")?;
        credit(&mut self.supply.treasury, treasury, "the treasury")?;
        self.settlements.push(Settlement { subject, outcome, burn, worker, validators, treasury, refund });
        Ok(())
    }

    /// TSK-10: a task without an open or accepted job gives the rest of its gas back and leaves the state.
    fn end(&mut self, task: TaskId) -> Result<u32, Fault> {
        let escrow = *self.tables.escrows.there(self.state, &task)?;
        if escrow.open_jobs > 0 || escrow.accepted_jobs > 0 {
            return Ok(1);
        }
        let terms = self.tables.terms.there(self.state, &TermsOf(task))?;
        let (customer, deadline, jobs) = (terms.customer, terms.order.deadline, terms.order.jobs);
        debit(&mut self.supply.escrow, escrow.gas, "the escrow")?;
        self.pay(&customer, escrow.gas)?;
        self.tables.take(self.state, DueList::Seconds, deadline_second(deadline), escrow.deadline_item)?;
        self.tables.escrows.remove(self.state, &task)?;
        self.tables.terms.remove(self.state, &TermsOf(task))?;
        if let Some(drawn) = escrow.drawn {
            self.tables.committees.remove(self.state, &(task, drawn))?;
        }
        let pages = DecidedPage::count(jobs);
        for page in 0..pages {
            self.tables.decided.remove(self.state, &(task, page))?;
        }
        discount(&mut self.tables.tally.tasks, 1)?;
        Ok(pages.saturating_add(1))
    }
}

/// COM-5: when a committee is looked at again: after too long without a decision, or when the epoch after its own ends.
fn look_again(params: &Params, committee: &Committee, lease_blocks: u32, progress: Height) -> Height {
    let members = u64::try_from(committee.members.len()).unwrap_or(u64::MAX);
    let rounds = members.saturating_mul(params.rotation_blocks.into());
    let patience = rounds.max(u64::from(lease_blocks).saturating_mul(2));
    let idle = progress.0.saturating_add(patience);
    let over = committee.epoch.0.saturating_add(2).saturating_mul(params.epoch_blocks).saturating_sub(1);
    Height(idle.min(over))
}

/// STL-2: worker and treasury have their shares, each of the committee's places an equal part of its share.
fn divide(params: &Params, reward: Amount, seats: usize, members: usize) -> Parts {
    let shares = params.settlement;
    let member = equal_part(reward.bps_floor(shares.validators), seats);
    Parts {
        worker: reward.bps_floor(shares.worker),
        validators: times(member, members),
        member,
        treasury: reward.bps_floor(shares.treasury),
        refund: Amount::ZERO,
    }
}

/// One of so many equal parts, rounded down.
fn equal_part(amount: Amount, parts: usize) -> Amount {
    u128::try_from(parts).ok().and_then(|parts| amount.mul_div_floor(1, parts)).unwrap_or_default()
}

/// So many parts that are together at most an amount that exists.
fn times(part: Amount, count: usize) -> Amount {
    u64::try_from(count).ok().and_then(|count| part.checked_mul(count)).expect("parts of what exists")
}

fn unfinished(task: TaskId, order: &TaskOrder, jobs: u32) -> Unfinished {
    Unfinished { task, kernel: order.kernel, spec: order.spec_hash(), jobs }
}
