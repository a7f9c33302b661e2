//! One sender's transactions in the order of their nonces, and what they are worth to a block.

use core::cmp::Reverse;

use cpc_ledger::VerifiedTx;
use cpc_primitives::tx::Action;
use cpc_primitives::{Amount, Nonce};

use crate::limits::ENTRY_OVERHEAD_BYTES;

/// When a transaction was admitted, counted over all of them: no two have the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Seq(pub(crate) u64);

/// What the queue knows of a transaction, so that it is not looked up for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Item {
    pub(crate) nonce: Nonce,
    pub(crate) price: Amount,
    /// The most that it can take from its sender.
    pub(crate) cost: Amount,
    /// Its bytes as they are counted.
    pub(crate) bytes: usize,
    pub(crate) seq: Seq,
}

/// Whether a block could take a transaction now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Standing {
    /// A nonce before it is missing.
    Waiting,
    /// All nonces before it are there.
    Ready,
}

/// What a transaction is worth to a block: where there is no room the least goes first (MEM-6).
///
/// A transaction comes after all those before it, so that it is worth no more than the cheapest of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Worth {
    pub(crate) standing: Standing,
    pub(crate) price: Amount,
}

/// The place of a sender's last transaction among all last ones; of the same worth the newest goes first.
pub(crate) type Tail = (Worth, Reverse<Seq>);

/// One sender's transactions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    /// The nonce of the account: what waits behind a gap stays until the gap is filled.
    pub(crate) next: Nonce,
    items: Vec<Item>,
    cost: Amount,
    bytes: usize,
}

impl Item {
    /// What a queue has to know of a transaction; `None` where it costs more than can ever exist.
    pub(crate) fn of(tx: &VerifiedTx, seq: Seq) -> Option<Self> {
        let body = &tx.tx().body;
        let fee = body.gas_price.checked_mul(body.gas_limit.0)?;
        let cost = fee.checked_add(locked(&body.action))?;
        let bytes = counted(tx);
        Some(Self { nonce: body.nonce, price: body.gas_price, cost, bytes, seq })
    }
}

/// The bytes of a transaction as they are counted (MEM-2).
pub(crate) fn counted(tx: &VerifiedTx) -> usize {
    tx.bytes().saturating_add(ENTRY_OVERHEAD_BYTES)
}

/// What an action takes from its sender beside the fee (MEM-4).
fn locked(action: &Action) -> Amount {
    match action {
        Action::Transfer(transfer) => transfer.amount,
        Action::Stake(stake) => stake.amount,
        Action::Delegate(delegate) => delegate.amount,
        Action::RegisterWorker(worker) => worker.bond,
        Action::OpenTask(order) => order.reward,
        Action::Challenge(challenge) => challenge.bond,
        Action::Unstake(_)
        | Action::Undelegate(_)
        | Action::UpdateValidator(_)
        | Action::Unjail(_)
        | Action::RetireWorker(_)
        | Action::CancelTask(_)
        | Action::SubmitResult(_)
        | Action::AddVerdicts(_)
        | Action::DisputeCommit(_)
        | Action::DisputeOpen(_)
        | Action::RevealSecret(_)
        | Action::Evidence(_)
        | Action::TreasurySpend(_) => Amount::ZERO,
    }
}

impl Queue {
    /// The transactions in the order of their nonces.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Where a nonce stands, or would.
    pub(crate) fn place(&self, nonce: Nonce) -> Result<usize, usize> {
        self.items.binary_search_by_key(&nonce, |item| item.nonce)
    }

    /// The transaction of a nonce.
    pub(crate) fn get(&self, nonce: Nonce) -> Option<&Item> {
        self.place(nonce).ok().and_then(|place| self.items.get(place))
    }

    /// What all of them can take from their sender.
    pub(crate) const fn cost(&self) -> Amount {
        self.cost
    }

    /// Their bytes as they are counted.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a transaction in; nothing else has its nonce.
    pub(crate) fn insert(&mut self, item: Item) {
        let place = self.place(item.nonce).unwrap_or_else(|place| place);
        self.cost = self.cost.checked_add(item.cost).unwrap_or(Amount::MAX);
        self.bytes = self.bytes.saturating_add(item.bytes);
        self.items.insert(place, item);
    }

    /// Lets the transactions at these places go, and says which they were.
    pub(crate) fn take(&mut self, places: core::ops::Range<usize>) -> Vec<Item> {
        let taken: Vec<Item> = self.items.drain(places).collect();
        for item in &taken {
            self.cost = self.cost.checked_sub(item.cost).unwrap_or_default();
            self.bytes = self.bytes.saturating_sub(item.bytes);
        }
        taken
    }

    /// How many can go into the next blocks: from the account's nonce on, up to the first gap.
    pub(crate) fn ready(&self) -> usize {
        let expected = core::iter::successors(Some(self.next), |nonce| nonce.next());
        self.items.iter().zip(expected).take_while(|(item, nonce)| item.nonce == *nonce).count()
    }

    /// The first transaction, where the next block could take it.
    pub(crate) fn head(&self) -> Option<&Item> {
        self.items.first().filter(|item| item.nonce == self.next)
    }

    /// What the last of the first so many transactions is worth (MEM-6).
    pub(crate) fn tail(&self, count: usize) -> Option<Tail> {
        let items = self.items.get(..count)?;
        let last = items.last()?;
        let worth = if self.ready() < count {
            Worth { standing: Standing::Waiting, price: last.price }
        } else {
            let price = items.iter().map(|item| item.price).min().unwrap_or(last.price);
            Worth { standing: Standing::Ready, price }
        };
        Some((worth, Reverse(last.seq)))
    }

    /// What a transaction would be worth in this queue, at its nonce and in the place of whatever is there (MEM-6).
    pub(crate) fn worth_of(&self, nonce: Nonce, price: Amount, next: Nonce) -> Worth {
        let before = self.items.iter().filter(|item| item.nonce >= next && item.nonce < nonce);
        let (mut count, mut least) = (0u64, price);
        for item in before {
            count = count.saturating_add(1);
            least = least.min(item.price);
        }
        // Nonces differ, so that as many as there is room for leave no gap.
        if nonce.0.checked_sub(next.0) == Some(count) {
            Worth { standing: Standing::Ready, price: least }
        } else {
            Worth { standing: Standing::Waiting, price }
        }
    }
}
