//! The transactions for the next block: the best payers first, each sender's in the order of their nonces.

use core::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap};

use cpc_ledger::{VerifiedTx, intrinsic};
use cpc_primitives::{Amount, Gas, TxHash};

use crate::pool::Mempool;
use crate::queue::{Queue, Seq};

/// So many transactions that do not fit are passed over before the block counts as full.
const PASSED_OVER_MAX: usize = 64;

/// The next transaction of a sender whose earlier ones were chosen.
struct Step<'a> {
    queue: &'a Queue,
    place: usize,
    key: (Amount, Reverse<Seq>),
}

impl Mempool {
    /// The transactions for a block of so many bytes and so much gas, the best payer first (MEM-11).
    ///
    /// What each uses at least is counted of the gas, because how much it uses is known only when it is applied: who
    /// builds the block stops where it is full. What is in `taken`, because a block that is not final has it, is stepped
    /// over, and those that come after it are not. The time is that of the choice and not of the pool.
    pub fn candidates(&self, bytes_max: usize, gas_max: Gas, taken: &BTreeSet<TxHash>) -> Vec<VerifiedTx> {
        let (mut chosen, mut bytes, mut gas, mut passed_over) = (Vec::new(), 0usize, 0u64, 0usize);
        let mut heads = self.heads().filter_map(|queue| Step::of(queue, 0)).peekable();
        let mut opened: BinaryHeap<Step<'_>> = BinaryHeap::new();
        while passed_over < PASSED_OVER_MAX {
            // MEM-11: what a chosen one had before it is compared with the heads of all others.
            let step = match (heads.peek(), opened.peek()) {
                (Some(head), Some(next)) if head < next => opened.pop(),
                (Some(_), _) => heads.next(),
                (None, _) => opened.pop(),
            };
            let Some(step) = step else { break };
            let Some(tx) = step.tx(self) else { continue };
            if taken.contains(&tx.hash()) {
                opened.extend(step.next());
                continue;
            }
            let with_bytes = bytes.saturating_add(tx.bytes());
            let with_gas = gas.saturating_add(intrinsic(&tx.tx().body.action).0);
            if with_bytes > bytes_max || with_gas > gas_max.0 || tx.tx().body.gas_limit > gas_max {
                // The rest of its sender waits with it; a smaller one of somebody else may still fit.
                passed_over = passed_over.saturating_add(1);
                continue;
            }
            (bytes, gas) = (with_bytes, with_gas);
            chosen.push(tx.clone());
            opened.extend(step.next());
        }
        chosen
    }
}

impl<'a> Step<'a> {
    fn of(queue: &'a Queue, place: usize) -> Option<Self> {
        let item = queue.items().get(place)?;
        Some(Self { queue, place, key: (item.price, Reverse(item.seq)) })
    }

    /// The one after it, where no nonce is missing between them.
    fn next(&self) -> Option<Self> {
        let place = self.place.checked_add(1)?;
        let (this, next) = (self.queue.items().get(self.place)?, self.queue.items().get(place)?);
        if this.nonce.next() == Some(next.nonce) { Self::of(self.queue, place) } else { None }
    }

    fn tx(&self, pool: &'a Mempool) -> Option<&'a VerifiedTx> {
        pool.entry(self.queue.items().get(self.place)?.seq)
    }
}

impl PartialEq for Step<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Step<'_> {}

impl PartialOrd for Step<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Step<'_> {
    /// The better payer is greater, and of two alike the one that came first.
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}
