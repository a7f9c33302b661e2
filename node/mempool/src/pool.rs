//! The pool: every transaction that waits, by hash, by sender and nonce, by worth, and by arrival.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use cpc_ledger::VerifiedTx;
use cpc_primitives::state::Account;
use cpc_primitives::{Address, Amount, Height, Nonce, TxHash};

use crate::error::Refused;
use crate::limits::Limits;
use crate::queue::{Item, Queue, Seq, Tail};
use crate::room::Plan;

/// The transactions that wait for a block.
#[derive(Clone, Debug)]
pub struct Mempool {
    limits: Limits,
    /// By arrival: what is gossiped next, and what expires first.
    entries: BTreeMap<Seq, Entry>,
    hashes: BTreeMap<TxHash, Seq>,
    senders: BTreeMap<Address, Queue>,
    /// The first transaction of each sender that the next block could take, the best payer first.
    heads: BTreeSet<(Reverse<Amount>, Seq, Address)>,
    /// The last transaction of each sender, the one that goes first in front.
    tails: BTreeSet<(Tail, Address)>,
    bytes: usize,
    ready: usize,
    /// The number of the next arrival.
    next_seq: Seq,
    /// The highest height that was heard of.
    now: Height,
    #[cfg(feature = "canary")]
    canary: Canary,
}

/// A transaction that waits, and since when.
#[derive(Clone, Debug)]
struct Entry {
    tx: Box<VerifiedTx>,
    since: Height,
}

/// What became of a transaction that is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admitted {
    /// How it came in.
    pub arrival: Arrival,
    /// What went to make room for it.
    pub evicted: Vec<TxHash>,
}

/// How a transaction came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// It was there already.
    Known,
    /// Nothing had its nonce.
    New,
    /// It took the place of another one of its sender's.
    Replaced(TxHash),
}

/// How far somebody has read the arrivals; the first cursor stands before all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Cursor(Seq);

/// How much waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Transactions.
    pub count: usize,
    /// Of these, such as no nonce is missing before.
    pub ready: usize,
    /// Accounts that sent them.
    pub senders: usize,
    /// Their bytes as they are counted (MEM-2).
    pub bytes: usize,
}

/// A bug that a test plants to see whether it is found.
#[cfg(feature = "canary")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Canary {
    /// No bug.
    #[default]
    None,
    /// What a replaced transaction counted is never given back.
    ReplacedStaysCounted,
}

impl Mempool {
    /// An empty pool.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            hashes: BTreeMap::new(),
            senders: BTreeMap::new(),
            heads: BTreeSet::new(),
            tails: BTreeSet::new(),
            bytes: 0,
            ready: 0,
            next_seq: Seq(1),
            now: Height(0),
            #[cfg(feature = "canary")]
            canary: Canary::None,
        }
    }

    /// Plants a bug.
    #[cfg(feature = "canary")]
    pub fn plant(&mut self, canary: Canary) {
        self.canary = canary;
    }

    /// Keeps a transaction until a block has it; the same one again changes nothing (MEM-1).
    ///
    /// `account` is its sender's, after the last block that was settled here.
    pub fn insert(&mut self, tx: VerifiedTx, account: &Account, now: Height) -> Result<Admitted, Refused> {
        if self.hashes.contains_key(&tx.hash()) {
            return Ok(Admitted { arrival: Arrival::Known, evicted: Vec::new() });
        }
        let plan = self.plan(&tx, account)?;
        // Every check has passed: from here nothing can fail.
        Ok(self.keep(tx, plan, now))
    }

    /// Keeps a transaction again that a block had which did not become final: the account's nonce is lower again
    /// (MEM-9).
    pub fn reinsert(&mut self, tx: VerifiedTx, account: &Account, now: Height) -> Result<Admitted, Refused> {
        self.change(&tx.sender(), |queue| {
            queue.next = account.nonce;
            Vec::new()
        });
        self.insert(tx, account, now)
    }

    /// Forgets every transaction of an account below its next nonce: a block has them, or others in their place
    /// (MEM-9).
    pub fn settle(&mut self, sender: &Address, next: Nonce) {
        self.change(sender, |queue| {
            queue.next = queue.next.max(next);
            let used = queue.items().partition_point(|item| item.nonce < next);
            queue.take(0..used)
        });
    }

    /// Settles an account, and lets its last transactions go until it can pay for those that stay (MEM-4).
    pub fn refresh(&mut self, sender: &Address, account: &Account) -> Vec<TxHash> {
        self.settle(sender, account.nonce);
        self.change(sender, |queue| {
            let (mut left, mut cost) = (queue.items().len(), queue.cost());
            for item in queue.items().iter().rev() {
                if cost <= account.balance {
                    break;
                }
                cost = cost.checked_sub(item.cost).unwrap_or_default();
                left = left.saturating_sub(1);
            }
            queue.take(left..queue.items().len())
        })
    }

    /// Forgets one transaction; those of its sender that wait behind it stay.
    pub fn remove(&mut self, hash: &TxHash) -> Option<VerifiedTx> {
        let tx = self.get(hash)?.clone();
        self.drop_nonce(&tx.sender(), tx.tx().body.nonce);
        Some(tx)
    }

    /// Forgets what has waited too long (MEM-8).
    pub fn expire(&mut self, now: Height) -> Vec<TxHash> {
        self.now = self.now.max(now);
        let mut gone = Vec::new();
        while let Some((_, entry)) = self.entries.first_key_value() {
            if self.now.0.saturating_sub(entry.since.0) < self.limits.expiry_blocks {
                break;
            }
            let (sender, nonce) = (entry.tx.sender(), entry.tx.tx().body.nonce);
            gone.extend(self.drop_nonce(&sender, nonce));
        }
        gone
    }

    /// A transaction that waits.
    pub fn get(&self, hash: &TxHash) -> Option<&VerifiedTx> {
        self.entry(*self.hashes.get(hash)?)
    }

    /// Whether any transaction of an account waits.
    pub fn waits(&self, sender: &Address) -> bool {
        self.senders.contains_key(sender)
    }

    /// All of them in the order of their arrival.
    pub fn oldest(&self) -> impl Iterator<Item = &VerifiedTx> {
        self.entries.values().map(|entry| &*entry.tx)
    }

    /// How many transactions of an account wait without a gap from its next nonce on.
    pub fn ready(&self, sender: &Address) -> usize {
        self.senders.get(sender).map_or(0, Queue::ready)
    }

    /// What arrived after a cursor and still waits, in the order of arrival and up to so many encoded bytes, and the
    /// cursor behind it (MEM-10).
    ///
    /// At least one comes where there is one, so that none that is too large keeps the others back.
    pub fn since(&self, cursor: Cursor, bytes_max: usize) -> (Vec<&VerifiedTx>, Cursor) {
        let (mut found, mut last, mut bytes) = (Vec::new(), cursor, 0usize);
        for (seq, entry) in self.entries.range((core::ops::Bound::Excluded(cursor.0), core::ops::Bound::Unbounded)) {
            bytes = bytes.saturating_add(entry.tx.bytes());
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(&*entry.tx);
            last = Cursor(*seq);
        }
        (found, last)
    }

    /// How much waits.
    pub fn stats(&self) -> Stats {
        let (count, senders) = (self.entries.len(), self.senders.len());
        Stats { count, ready: self.ready, senders, bytes: self.bytes }
    }

    /// The limits.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn queue(&self, sender: &Address) -> Option<&Queue> {
        self.senders.get(sender)
    }

    pub(crate) fn entry(&self, seq: Seq) -> Option<&VerifiedTx> {
        self.entries.get(&seq).map(|entry| &*entry.tx)
    }

    /// The senders whose first transaction could go into the next block, the best payer first.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &Queue> {
        self.heads.iter().filter_map(|(_, _, sender)| self.senders.get(sender))
    }

    /// The last transaction of each sender, the one that goes first in front.
    pub(crate) fn tails(&self) -> impl Iterator<Item = (Tail, Address)> {
        self.tails.iter().copied()
    }

    pub(crate) const fn next_seq(&self) -> Seq {
        self.next_seq
    }

    fn keep(&mut self, tx: VerifiedTx, plan: Plan, now: Height) -> Admitted {
        let Plan { item, next, own, others } = plan;
        let sender = tx.sender();
        self.settle(&sender, next);
        let replaced = self.replace(&sender, item.nonce);
        let mut evicted = self.change(&sender, |queue| {
            let count = queue.items().len();
            queue.take(count.saturating_sub(own)..count)
        });
        for victim in others {
            evicted.extend(self.change(&victim, |queue| {
                let count = queue.items().len();
                queue.take(count.saturating_sub(1)..count)
            }));
        }
        self.now = self.now.max(now);
        self.next_seq = Seq(item.seq.0.saturating_add(1));
        self.bytes = self.bytes.saturating_add(item.bytes);
        self.hashes.insert(tx.hash(), item.seq);
        self.entries.insert(item.seq, Entry { tx: Box::new(tx), since: self.now });
        self.change(&sender, |queue| {
            queue.next = next;
            queue.insert(item);
            Vec::new()
        });
        Admitted { arrival: replaced.map_or(Arrival::New, Arrival::Replaced), evicted }
    }

    /// Forgets the transaction whose place another one takes.
    fn replace(&mut self, sender: &Address, nonce: Nonce) -> Option<TxHash> {
        #[cfg(feature = "canary")]
        let bytes = self.bytes;
        let replaced = self.drop_nonce(sender, nonce);
        #[cfg(feature = "canary")]
        if self.canary == Canary::ReplacedStaysCounted {
            self.bytes = bytes;
        }
        replaced
    }

    fn drop_nonce(&mut self, sender: &Address, nonce: Nonce) -> Option<TxHash> {
        let gone = self.change(sender, |queue| match queue.place(nonce) {
            Ok(place) => queue.take(place..place.saturating_add(1)),
            Err(_) => Vec::new(),
        });
        gone.first().copied()
    }

    /// Changes a sender's queue, keeps every index true, and says what left the pool.
    fn change(&mut self, sender: &Address, with: impl FnOnce(&mut Queue) -> Vec<Item>) -> Vec<TxHash> {
        let queue = self.senders.entry(*sender).or_default();
        let before = Seen::of(queue);
        let taken = with(queue);
        let after = Seen::of(queue);
        if queue.items().is_empty() {
            self.senders.remove(sender);
        }
        if before.head != after.head {
            before.head.map(|(price, seq)| self.heads.remove(&(price, seq, *sender)));
            after.head.map(|(price, seq)| self.heads.insert((price, seq, *sender)));
        }
        if before.tail != after.tail {
            before.tail.map(|tail| self.tails.remove(&(tail, *sender)));
            after.tail.map(|tail| self.tails.insert((tail, *sender)));
        }
        self.ready = self.ready.saturating_sub(before.ready).saturating_add(after.ready);
        let mut gone = Vec::with_capacity(taken.len());
        for item in taken {
            self.bytes = self.bytes.saturating_sub(item.bytes);
            if let Some(entry) = self.entries.remove(&item.seq) {
                self.hashes.remove(&entry.tx.hash());
                gone.push(entry.tx.hash());
            }
        }
        gone
    }
}

/// What the indices say of a queue.
struct Seen {
    head: Option<(Reverse<Amount>, Seq)>,
    tail: Option<Tail>,
    ready: usize,
}

impl Seen {
    fn of(queue: &Queue) -> Self {
        let head = queue.head().map(|item| (Reverse(item.price), item.seq));
        Self { head, tail: queue.tail(queue.items().len()), ready: queue.ready() }
    }
}
