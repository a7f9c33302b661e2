//! What has to go so that a transaction can come: found before anything is changed.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use cpc_ledger::VerifiedTx;
use cpc_primitives::state::Account;
use cpc_primitives::{Address, Amount, Mismatch, Nonce};

use crate::error::Refused;
use crate::limits::Limits;
use crate::pool::Mempool;
use crate::queue::{Item, Queue, Tail, Worth};

/// What happens to the pool when a transaction comes in.
pub(crate) struct Plan {
    /// What its queue will know of it.
    pub(crate) item: Item,
    /// The account's next nonce, by the account and by what was settled.
    pub(crate) next: Nonce,
    /// How many of its sender's last transactions go.
    pub(crate) own: usize,
    /// Whose last transactions go, once for each of them.
    pub(crate) others: Vec<Address>,
}

impl Mempool {
    /// Demands that a transaction can be kept, and finds what goes for it.
    pub(crate) fn plan(&self, tx: &VerifiedTx, account: &Account) -> Result<Plan, Refused> {
        let limits = self.limits();
        let nothing = Queue::default();
        let queue = self.queue(&tx.sender()).unwrap_or(&nothing);
        let next = account.nonce.max(queue.next);
        let nonce = tx.tx().body.nonce;
        check_nonce(limits, next, nonce)?;
        let replaced = queue.get(nonce);
        let price = tx.tx().body.gas_price;
        if let Some(replaced) = replaced {
            check_price(limits, replaced.price, price)?;
        }
        let item = check_cost(queue, tx, replaced, next, account, self.next_seq())?;
        let (own, freed) = own_room(limits, queue, &item, replaced, next)?;

        let worth = queue.worth_of(nonce, price, next);
        let others = self.others_room(tx.sender(), &item, worth, freed)?;
        Ok(Plan { item, next, own, others })
    }

    /// Whose last transactions have to go so that there is room, beside those that leave it anyway (MEM-6).
    fn others_room(&self, sender: Address, item: &Item, worth: Worth, freed: Freed) -> Result<Vec<Address>, Refused> {
        let limits = self.limits();
        let stats = self.stats();
        let full = Refused::Full { count: stats.count, bytes: stats.bytes };
        let mut count = stats.count.saturating_sub(freed.count).saturating_add(1);
        let mut bytes = stats.bytes.saturating_sub(freed.bytes).saturating_add(item.bytes);
        let mut others = Vec::new();
        // The last ones of all senders, and behind each that goes the one before it.
        let mut tails = self.tails().peekable();
        let mut behind: BinaryHeap<Reverse<(Tail, Address, usize)>> = BinaryHeap::new();
        while count > limits.count_max || bytes > limits.bytes_max {
            let first = tails.peek().map(|(tail, _)| *tail);
            let second = behind.peek().map(|Reverse((tail, ..))| *tail);
            let from_behind = match (first, second) {
                (None, None) => return Err(full),
                (Some(first), Some(second)) => second < first,
                (first, _) => first.is_none(),
            };
            let (tail, victim, place) = if from_behind {
                let Some(Reverse(popped)) = behind.pop() else { return Err(full) };
                popped
            } else {
                let Some((tail, victim)) = tails.next() else { return Err(full) };
                (tail, victim, self.queue(&victim).map_or(0, |queue| queue.items().len()))
            };
            // MEM-6: nobody makes room for a transaction of his own, and nothing goes for what is worth no more.
            if victim == sender {
                continue;
            }
            if tail.0 >= worth {
                return Err(full);
            }
            let queue = self.queue(&victim).ok_or(full)?;
            let before = place.saturating_sub(1);
            bytes = bytes.saturating_sub(queue.items().get(before).map_or(0, |gone| gone.bytes));
            count = count.saturating_sub(1);
            behind.extend(queue.tail(before).map(|tail| Reverse((tail, victim, before))));
            others.push(victim);
        }
        Ok(others)
    }
}

/// What leaves the pool because its sender's new transaction comes.
#[derive(Clone, Copy, Default)]
struct Freed {
    count: usize,
    bytes: usize,
}

impl Freed {
    fn add(&mut self, item: &Item) {
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(item.bytes);
    }
}

/// A nonce that the account can still use, and not too far ahead (MEM-3).
fn check_nonce(limits: &Limits, next: Nonce, found: Nonce) -> Result<(), Refused> {
    if found < next {
        return Err(Refused::NonceUsed(Mismatch { expected: next, found }));
    }
    if found.next().is_none() {
        return Err(Refused::LastNonce { found });
    }
    let ahead_max = limits.ahead_max;
    let ahead = found.0.saturating_sub(next.0);
    if ahead > ahead_max { Err(Refused::NonceFarAhead { next, ahead_max, found }) } else { Ok(()) }
}

/// A replacement pays more by the bump, rounded up, and by one unit at least (MEM-5).
fn check_price(limits: &Limits, waiting: Amount, found: Amount) -> Result<(), Refused> {
    let whole = u128::from(limits.bump_percent).saturating_add(100);
    let minimum = waiting.units().saturating_mul(whole).div_ceil(100).max(waiting.units().saturating_add(1));
    let minimum = Amount::new(minimum);
    if found < minimum { Err(Refused::Underpriced { minimum, found }) } else { Ok(()) }
}

/// All that waits can be paid from what the account has (MEM-4).
fn check_cost(
    queue: &Queue,
    tx: &VerifiedTx,
    replaced: Option<&Item>,
    next: Nonce,
    account: &Account,
    seq: crate::queue::Seq,
) -> Result<Item, Refused> {
    let balance = account.balance;
    let gone = queue.items().iter().take_while(|item| item.nonce < next).chain(replaced);
    let rest = gone.fold(queue.cost(), |rest, item| rest.checked_sub(item.cost).unwrap_or_default());
    let item = Item::of(tx, seq).ok_or(Refused::Overdrawn { balance, cost: Amount::MAX })?;
    let cost = rest.checked_add(item.cost).ok_or(Refused::Overdrawn { balance, cost: Amount::MAX })?;
    if cost > balance { Err(Refused::Overdrawn { balance, cost }) } else { Ok(item) }
}

/// How many of the sender's own last transactions go, and all that leaves its queue (MEM-7).
fn own_room(
    limits: &Limits,
    queue: &Queue,
    item: &Item,
    replaced: Option<&Item>,
    next: Nonce,
) -> Result<(usize, Freed), Refused> {
    let mut freed = Freed::default();
    queue.items().iter().take_while(|item| item.nonce < next).chain(replaced).for_each(|gone| freed.add(gone));
    let with = |freed: Freed| {
        let count = queue.items().len().saturating_sub(freed.count).saturating_add(1);
        (count, queue.bytes().saturating_sub(freed.bytes).saturating_add(item.bytes))
    };
    let mut own = 0usize;
    // MEM-7: a nearer nonce is worth more to its sender than a later one.
    let mut later = queue.items().iter().rev().take_while(|other| other.nonce > item.nonce);
    loop {
        let (count, found) = with(freed);
        let (count_max, bytes_max) = (limits.sender_count_max, limits.sender_bytes_max);
        if count <= count_max && found <= bytes_max {
            return Ok((own, freed));
        }
        match later.next() {
            Some(gone) => freed.add(gone),
            None if count > count_max => return Err(Refused::SenderCount { count_max }),
            None => return Err(Refused::SenderBytes { bytes_max, found }),
        }
        own = own.saturating_add(1);
    }
}
