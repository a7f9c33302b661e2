//! Tasks: what an order must be, what opening one locks, and how its customer calls it off.

use std::collections::BTreeMap;

use cpc_primitives::limits::{JOBS_MAX, TASK_MS_MAX};
use cpc_primitives::result::{Assurance, KernelId, TaskOrder};
use cpc_primitives::state::DueList;
use cpc_primitives::task::{Escrow, Terms};
use cpc_primitives::tx::TxBody;
use cpc_primitives::{Address, Amount, Fault, Height, TaskId, TimeMs};

use crate::due::Due;
use crate::error::{Failure, Reject, Stop};
use crate::gas::prepaid_gas;
use crate::port::StateRead;
use crate::records::validator;
use crate::rules::Params;
use crate::session::{Session, TxOutcome};
use crate::supply::{broken, credit};
use crate::tables::TermsOf;

/// How many blocks after the one that opens a task its committee is drawn (COM-2).
const DRAW_AFTER_BLOCKS: u64 = 2;

/// The checks of an order that need no state (TSK-1).
pub(crate) fn admit(params: &Params, order: &TaskOrder) -> Result<(), Reject> {
    let TaskOrder { jobs, units, reward, assurance, .. } = *order;
    if jobs == 0 || jobs > JOBS_MAX {
        return Err(Reject::Jobs { maximum: JOBS_MAX, found: jobs });
    }
    if units.0 < u128::from(jobs) {
        return Err(Reject::Units { jobs, found: units });
    }
    let minimum = params.reward_per_job_min;
    if minimum.checked_mul(jobs.into()).is_none_or(|least| reward < least) {
        return Err(Reject::RewardTooSmall { jobs, minimum, found: reward });
    }
    match assurance {
        Assurance::Spot | Assurance::Full => Ok(()),
        Assurance::Quorum { .. } => Err(Reject::AssuranceNotActive),
    }
}

/// The place of a task's deadline in the list of what is due: the first whole second that is not before it (TSK-7).
pub(crate) const fn deadline_second(deadline: TimeMs) -> u64 {
    deadline.0.div_ceil(1_000)
}

impl<S: StateRead> Session<'_, S> {
    /// Locks the reward of an order and the gas of its results (TSK-2, TSK-3).
    pub(crate) fn open_task(&mut self, sender: &Address, body: &TxBody, order: &TaskOrder) -> Result<TxOutcome, Stop> {
        let mut order = order.clone();
        // TSK-4: an order that names no lease has the network's.
        if order.lease_blocks == 0 {
            order.lease_blocks = self.params.lease_blocks;
        }
        self.check_deadline(&order)?;
        self.check_kernel(order.kernel)?;
        // TSK-3: an amount that cannot exist is more than the sender has.
        let gas = body.gas_price.checked_mul(prepaid_gas(self.params, order.jobs).0);
        let amount = gas.and_then(|gas| order.reward.checked_add(gas)).unwrap_or(Amount::MAX);
        let available = self.balance(sender)?.unwrap_or_default();
        let gas = gas.filter(|_| amount <= available).ok_or(Failure::Underfunded { available, amount })?;

        // Every check has passed: from here nothing can fail.
        let task = TaskId::of(*sender, body.nonce);
        self.collect(sender, amount)?;
        credit(&mut self.supply.escrow, amount, "the escrow")?;
        let deadline = deadline_second(order.deadline);
        let deadline_item = self.tables.put(self.state, DueList::Seconds, deadline, Due::Deadline(task))?;
        let drawn = self.height.0.saturating_add(DRAW_AFTER_BLOCKS);
        self.tables.put(self.state, DueList::Heights, drawn, Due::Committee(task))?;
        let escrow = Escrow {
            open: order.reward,
            accepted: Amount::ZERO,
            gas,
            open_jobs: order.jobs,
            accepted_jobs: 0,
            drawn: None,
            progress: self.height,
            cancelled: None,
            closed: None,
            deadline_item,
        };
        self.tables.escrows.set(self.state, &task, escrow)?;
        let jobs = u64::from(order.jobs);
        let terms = Terms { customer: *sender, opened: self.height, gas_price: body.gas_price, order };
        self.tables.terms.set(self.state, &TermsOf(task), terms)?;
        let tally = &mut self.tables.tally;
        count(&mut tally.tasks, 1)?;
        count(&mut tally.ordered_jobs, jobs)?;
        count(&mut tally.open_jobs, jobs)?;
        Ok(TxOutcome::Done)
    }

    /// Sets the last block that may decide a job of a task: one lease from now (TSK-9).
    pub(crate) fn cancel_task(&mut self, sender: &Address, task: TaskId) -> Result<TxOutcome, Stop> {
        let terms = self.tables.terms.get(self.state, &TermsOf(task))?.ok_or(Failure::NoTask { task })?;
        let (customer, lease) = (terms.customer, terms.order.lease_blocks);
        if customer != *sender {
            return Err(Failure::NotCustomer { task, customer }.into());
        }
        let escrow = self.tables.escrows.there(self.state, &task)?;
        if escrow.open_jobs == 0 {
            return Err(Failure::NothingToCancel { task }.into());
        }
        if let Some(ends) = escrow.cancelled {
            return Err(Failure::AlreadyCancelled { task, ends }.into());
        }

        // Every check has passed: from here nothing can fail.
        let ends = Height(self.height.0.saturating_add(lease.into()));
        escrow.cancelled = Some(ends);
        self.tables.put(self.state, DueList::Heights, ends.0, Due::Cancelled(task))?;
        Ok(TxOutcome::Done)
    }

    /// TSK-2: a deadline leaves time for the draw and two leases, and is at most a year away.
    fn check_deadline(&self, order: &TaskOrder) -> Result<(), Failure> {
        let (now, found) = (self.context.time.0, order.deadline);
        let blocks = u64::from(order.lease_blocks).saturating_mul(2).saturating_add(DRAW_AFTER_BLOCKS);
        let earliest = TimeMs(now.saturating_add(blocks.saturating_mul(self.params.interval_ms)));
        let latest = TimeMs(now.saturating_add(TASK_MS_MAX));
        if found < earliest {
            return Err(Failure::DeadlineTooNear { earliest, found });
        }
        if found > latest { Err(Failure::DeadlineTooFar { latest, found }) } else { Ok(()) }
    }

    /// TSK-2: five sixths of the seats declare that they check the kernel.
    fn check_kernel(&mut self, kernel: KernelId) -> Result<(), Stop> {
        let seats = u32::try_from(self.seats.seats().len()).expect("an epoch has few seats");
        let declared = self.declared()?.get(&kernel).copied().unwrap_or(0);
        if u64::from(declared).saturating_mul(6) < u64::from(seats).saturating_mul(5) {
            return Err(Failure::KernelNotChecked { kernel, seats, declared }.into());
        }
        Ok(())
    }

    /// How many of the epoch's seats declare each kernel, counted once in a block.
    fn declared(&mut self) -> Result<&BTreeMap<KernelId, u32>, Fault> {
        if self.tables.declared.is_none() {
            let mut declared = BTreeMap::new();
            for seat in self.seats.seats() {
                let there = validator(self.state, &seat.account)?;
                let missing = || broken(format!("EPO-6: the seat of {} has no validator", seat.account));
                for kernel in &there.ok_or_else(missing)?.registration.kernels {
                    let count: &mut u32 = declared.entry(*kernel).or_default();
                    *count = count.saturating_add(1);
                }
            }
            self.tables.declared = Some(declared);
        }
        self.tables.declared.as_ref().ok_or_else(|| broken("TSK-2: the kernels were just counted".to_owned()))
    }
}

/// Adds to one of the tally's numbers.
pub(crate) fn count(number: &mut u64, more: u64) -> Result<(), Fault> {
    let sum = number.checked_add(more);
    *number = sum.ok_or_else(|| broken(format!("TSK-8: {number} cannot take {more} more")))?;
    Ok(())
}

/// Takes from one of the tally's numbers.
pub(crate) fn discount(number: &mut u64, less: u64) -> Result<(), Fault> {
    let rest = number.checked_sub(less);
    *number = rest.ok_or_else(|| broken(format!("TSK-8: {number} cannot give {less}")))?;
    Ok(())
}
