//! What the state keeps of workers and open tasks: the records that the ledger writes and the market reads.

use wincode::{SchemaRead, SchemaWrite};

use crate::amount::Amount;
use crate::codec::Bounded;
use crate::ids::{Address, Height, JobIndex};
use crate::keys::PublicKey;
use crate::limits::{COMMITTEE_MAX, DECIDED_PAGE_JOBS};
use crate::result::{ComputeResult, Outcome, TaskOrder};

/// A worker, by its account (WRK-1, STATE-9).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Worker {
    /// What it has locked.
    pub bond: Amount,
    /// How much of that stands for accepted results that are not settled.
    pub reserved: Amount,
    /// The key that signs its results.
    pub hot: PublicKey,
    /// Where its earnings go.
    pub payout: Address,
}

/// What was agreed when a task was opened; it never changes (TSK-4, STATE-10).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Terms {
    /// Who pays.
    pub customer: Address,
    /// In which block.
    pub opened: Height,
    /// What the customer paid for one gas, at which the gas of the results is paid ahead.
    pub gas_price: Amount,
    /// The order; its lease is the one that holds.
    pub order: TaskOrder,
}

/// What an open task holds, and how far it is (TSK-5, STATE-11).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Escrow {
    /// The reward of the jobs that nobody has decided.
    pub open: Amount,
    /// The reward of the accepted jobs that are not settled.
    pub accepted: Amount,
    /// What is left of the gas that was paid ahead.
    pub gas: Amount,
    /// How many jobs nobody has decided.
    pub open_jobs: u32,
    /// How many accepted jobs are not settled.
    pub accepted_jobs: u32,
    /// When the committee was drawn, once it was.
    pub drawn: Option<Height>,
    /// When a job was last decided, or the committee drawn.
    pub progress: Height,
    /// The last block that may decide a job, once the customer has called the task off.
    pub cancelled: Option<Height>,
    /// Why the jobs without a result were refunded, once they were.
    pub closed: Option<Outcome>,
    /// The item that ends the task at its deadline, by its place in the list of what is due.
    pub deadline_item: u32,
}

/// A job whose result was accepted and whose window is open (SUB-5, STATE-13).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct AcceptedJob {
    /// The result.
    pub result: ComputeResult,
    /// The committee that decided, by the height of its draw.
    pub drawn: Height,
    /// The last block that may add a verdict; at its end the job is settled.
    pub closes: Height,
    /// How much of the worker's bond stands for it.
    pub reserved: Amount,
    /// Which members of the committee attest it: bit i is the i-th of the draw.
    pub attested: u64,
}

/// Which jobs of one page are decided, a bit for each: job i is in byte i / 8, the lowest bit first (TSK-6,
/// STATE-14).
#[derive(Clone, PartialEq, Eq, Debug, Default, SchemaRead, SchemaWrite)]
pub struct DecidedPage(Bounded<u8, { DECIDED_PAGE_BYTES }>);

#[allow(clippy::as_conversions, reason = "a constant cannot ask whether a number fits; this one is 1,024")]
const DECIDED_PAGE_BYTES: usize = (DECIDED_PAGE_JOBS / 8) as usize;
const _: () = assert!(COMMITTEE_MAX <= 64, "a member of a committee has a bit");

impl Worker {
    /// What of the bond is free.
    pub fn free(&self) -> Amount {
        self.bond.checked_sub(self.reserved).unwrap_or_default()
    }
}

impl DecidedPage {
    /// The page of a job, and its place there.
    pub fn place(JobIndex(job): JobIndex) -> (u32, u32) {
        (job.div_euclid(DECIDED_PAGE_JOBS), job.rem_euclid(DECIDED_PAGE_JOBS))
    }

    /// How many pages so many jobs have.
    pub const fn count(jobs: u32) -> u32 {
        jobs.div_ceil(DECIDED_PAGE_JOBS)
    }

    /// Whether the job of a place is decided.
    pub fn has(&self, place: u32) -> bool {
        let (byte, bit) = Self::bit(place);
        self.0.get(byte).is_some_and(|byte| byte & bit != 0)
    }

    /// This page with one more decided job. A page is as long as its last such job demands.
    pub fn with(&self, place: u32) -> Self {
        let (byte, bit) = Self::bit(place);
        let mut bytes = self.0.to_vec();
        bytes.resize(bytes.len().max(byte.saturating_add(1)), 0);
        bytes[byte] |= bit;
        Self(Bounded::new(bytes).expect("a place is within a page"))
    }

    /// How many of its jobs are decided.
    pub fn decided(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).fold(0, u32::saturating_add)
    }

    fn bit(place: u32) -> (usize, u8) {
        let byte = usize::try_from(place.div_euclid(8)).expect("32 bits fit");
        (byte, 1u8.checked_shl(place.rem_euclid(8)).expect("a bit of a byte"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_of_each_job_whether_it_is_decided() {
        let page = [3, 0, 8_191, 700].into_iter().fold(DecidedPage::default(), |page, place| page.with(place));
        assert_eq!(page.decided(), 4);
        let decided: Vec<u32> = (0..DECIDED_PAGE_JOBS).filter(|place| page.has(*place)).collect();
        assert_eq!(decided, [0, 3, 700, 8_191]);
        assert_eq!(page.with(3), page);
        assert_eq!(DecidedPage::place(JobIndex(8_192 + 7)), (1, 7));
        assert_eq!([1, 8_192, 8_193].map(DecidedPage::count), [1, 1, 2]);
    }
}
