//! The pool once more: one list, searched from end to end, written from the spec and from nothing else.

use crate::world::{AMOUNT, GAS};

/// A transaction that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiting {
    pub(crate) sender: u16,
    pub(crate) nonce: u64,
    pub(crate) price: u128,
    arrived: u64,
    since: u64,
}

/// The limits, as plain numbers; each transaction counts the same bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) count: usize,
    pub(crate) of_sender: usize,
    pub(crate) ahead: u64,
    pub(crate) bump: u128,
    pub(crate) expiry: u64,
}

/// Why the model does not take a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum No {
    Used,
    Far,
    Underpriced,
    Overdrawn,
    SenderFull,
    Full,
}

/// A transaction that comes, what its sender has, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comer {
    pub(crate) sender: u16,
    pub(crate) nonce: u64,
    pub(crate) price: u128,
    pub(crate) balance: u128,
    pub(crate) account: u64,
    pub(crate) now: u64,
}

/// The list.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    bounds: Bounds,
    pub(crate) list: Vec<Waiting>,
    /// What was settled of each sender while something of it waited.
    next: [u64; 4],
    arrivals: u64,
    now: u64,
}

impl Model {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, list: vec![], next: [0; 4], arrivals: 0, now: 0 }
    }

    fn of(&self, sender: u16) -> Vec<Waiting> {
        let mut own: Vec<_> = self.list.iter().copied().filter(|tx| tx.sender == sender).collect();
        own.sort_by_key(|tx| tx.nonce);
        own
    }

    /// Ready before waiting; then the least price of it and all before it, or its own behind a gap (MEM-6).
    fn worth(&self, tx: &Waiting) -> (bool, u128) {
        let has = |nonce| self.list.iter().any(|other| other.sender == tx.sender && other.nonce == nonce);
        if !(self.next[usize::from(tx.sender)]..tx.nonce).all(has) {
            return (false, tx.price);
        }
        let before = self.list.iter().filter(|other| other.sender == tx.sender && other.nonce < tx.nonce);
        (true, before.map(|other| other.price).chain([tx.price]).min().expect("its own"))
    }

    pub(crate) fn insert(&mut self, comer: Comer) -> Result<(), No> {
        let Comer { sender, nonce, price, balance, account, now } = comer;
        let place = usize::from(sender);
        if self.list.iter().any(|tx| (tx.sender, tx.nonce, tx.price) == (sender, nonce, price)) {
            return Ok(());
        }
        let next = account.max(self.next[place]);
        if nonce < next {
            return Err(No::Used);
        }
        if nonce > next + self.bounds.ahead {
            return Err(No::Far);
        }
        let mut after = self.clone();
        after.settle(sender, next);
        after.next[place] = next;
        if let Some(old) = after.of(sender).iter().find(|tx| tx.nonce == nonce) {
            let least = (old.price * (100 + self.bounds.bump)).div_ceil(100).max(old.price + 1);
            if price < least {
                return Err(No::Underpriced);
            }
        }
        after.list.retain(|tx| (tx.sender, tx.nonce) != (sender, nonce));
        let prices = after.of(sender).into_iter().map(|tx| tx.price).chain([price]);
        if prices.map(|price| price * u128::from(GAS) + AMOUNT).sum::<u128>() > balance {
            return Err(No::Overdrawn);
        }
        while after.of(sender).len() + 1 > self.bounds.of_sender {
            let last = *after.of(sender).last().expect("more than none");
            if last.nonce < nonce {
                return Err(No::SenderFull);
            }
            after.list.retain(|tx| *tx != last);
        }
        after.arrivals += 1;
        let tx = Waiting { sender, nonce, price, arrived: after.arrivals, since: self.now.max(now) };
        let worth = after.worth(&tx);
        while after.list.len() + 1 > self.bounds.count {
            let lasts = (0..4).filter(|other| *other != sender).filter_map(|other| after.of(other).last().copied());
            let worst = lasts.min_by_key(|last| (after.worth(last), u64::MAX - last.arrived));
            let worst = worst.filter(|worst| after.worth(worst) < worth).ok_or(No::Full)?;
            after.list.retain(|tx| *tx != worst);
        }
        after.list.push(tx);
        after.now = tx.since;
        *self = after;
        self.forget();
        Ok(())
    }

    pub(crate) fn settle(&mut self, sender: u16, next: u64) {
        let place = usize::from(sender);
        self.next[place] = self.next[place].max(next);
        self.list.retain(|tx| tx.sender != sender || tx.nonce >= next);
        self.forget();
    }

    pub(crate) fn remove(&mut self, sender: u16, nonce: u64) {
        self.list.retain(|tx| (tx.sender, tx.nonce) != (sender, nonce));
        self.forget();
    }

    pub(crate) fn expire(&mut self, now: u64) {
        self.now = self.now.max(now);
        let (now, expiry) = (self.now, self.bounds.expiry);
        self.list.retain(|tx| now - tx.since < expiry);
        self.forget();
    }

    /// Of a sender of whom nothing waits nothing is known.
    fn forget(&mut self) {
        for sender in 0..4u16 {
            if self.of(sender).is_empty() {
                self.next[usize::from(sender)] = 0;
            }
        }
    }

    /// Sender, nonce and price of what comes next (MEM-11).
    pub(crate) fn candidates(&self) -> Vec<(u16, u64, u128)> {
        let (mut next, mut chosen) = (self.next, Vec::new());
        loop {
            let heads = self.list.iter().filter(|tx| tx.nonce == next[usize::from(tx.sender)]);
            let Some(best) = heads.max_by_key(|tx| (tx.price, u64::MAX - tx.arrived)) else { return chosen };
            next[usize::from(best.sender)] += 1;
            chosen.push((best.sender, best.nonce, best.price));
        }
    }
}
