//! Transactions that wait for a block: bounded, in the order of their nonces, the best payers first.

use std::collections::{BTreeMap, BinaryHeap};

use cpc_ledger::VerifiedTx;
use cpc_primitives::{Address, Amount, Mismatch, Nonce, TxHash};

/// How many transactions wait at most.
const COUNT_MAX: usize = 100_000;
/// How many bytes of transactions wait at most.
const BYTES_MAX: usize = 64 << 20;
/// How far a sender may run ahead of its account.
const AHEAD_MAX: u64 = 1_024;

/// The waiting transactions, by sender and nonce.
#[derive(Default)]
pub struct Pending {
    senders: BTreeMap<Address, BTreeMap<Nonce, VerifiedTx>>,
    hashes: BTreeMap<TxHash, (Address, Nonce)>,
    bytes: usize,
}

/// Why a transaction is not kept waiting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its place was taken long ago.
    #[error("the nonce was used already: {0}")]
    NonceUsed(Mismatch<u64>),
    /// It would have to wait for too many others.
    #[error("the nonce {found} is more than {AHEAD_MAX} ahead of the account's {expected}")]
    NonceFarAhead {
        /// The account's next nonce.
        expected: u64,
        /// The nonce of the transaction.
        found: u64,
    },
    /// Another transaction has this place and pays as much.
    #[error("another transaction with this nonce waits already; to replace it pay more than {price} CPC a gas")]
    Underpriced {
        /// What the waiting one pays for one gas.
        price: Amount,
    },
    /// There is no room.
    #[error("{count} transactions wait already")]
    Full {
        /// How many.
        count: usize,
    },
}

impl Pending {
    /// Keeps a transaction until it is in a block; the same one again is no error.
    pub fn insert(&mut self, tx: VerifiedTx, next: Nonce) -> Result<(), Refused> {
        if self.hashes.contains_key(&tx.hash()) {
            return Ok(());
        }
        let (sender, nonce, size) = (tx.sender(), tx.tx().body.nonce, tx.bytes());
        if nonce < next {
            return Err(Refused::NonceUsed(Mismatch { expected: next.0, found: nonce.0 }));
        }
        if nonce.0 - next.0 > AHEAD_MAX {
            return Err(Refused::NonceFarAhead { expected: next.0, found: nonce.0 });
        }
        let replaced = self.senders.get(&sender).and_then(|queue| queue.get(&nonce));
        if let Some(waiting) = replaced {
            let price = waiting.tx().body.gas_price;
            if tx.tx().body.gas_price <= price {
                return Err(Refused::Underpriced { price });
            }
        } else if self.hashes.len() >= COUNT_MAX || self.bytes + size > BYTES_MAX {
            return Err(Refused::Full { count: self.hashes.len() });
        }
        self.remove(&sender, nonce);
        self.bytes += size;
        self.hashes.insert(tx.hash(), (sender, nonce));
        self.senders.entry(sender).or_default().insert(nonce, tx);
        Ok(())
    }

    /// Forgets every transaction of an account below its next nonce.
    pub fn settle(&mut self, sender: &Address, next: Nonce) {
        let used: Vec<Nonce> = match self.senders.get(sender) {
            Some(queue) => queue.range(..next).map(|(nonce, _)| *nonce).collect(),
            None => return,
        };
        for nonce in used {
            self.remove(sender, nonce);
        }
    }

    /// Forgets one transaction and all of its sender that wait behind it.
    pub fn drop_from(&mut self, sender: &Address, nonce: Nonce) {
        let behind: Vec<Nonce> = match self.senders.get(sender) {
            Some(queue) => queue.range(nonce..).map(|(nonce, _)| *nonce).collect(),
            None => return,
        };
        for nonce in behind {
            self.remove(sender, nonce);
        }
    }

    fn remove(&mut self, sender: &Address, nonce: Nonce) {
        let Some(queue) = self.senders.get_mut(sender) else { return };
        if let Some(tx) = queue.remove(&nonce) {
            self.bytes -= tx.bytes();
            self.hashes.remove(&tx.hash());
        }
        if queue.is_empty() {
            self.senders.remove(sender);
        }
    }

    /// The transactions for the next block, the best payer first, each sender's in the order of their nonces.
    pub fn candidates(&self, bytes_max: usize) -> Vec<VerifiedTx> {
        let mut queues: Vec<_> = self.senders.values().map(BTreeMap::values).collect();
        // Ties go to the lower address, so that the choice does not depend on the order of arrival.
        let mut heads: BinaryHeap<(Amount, std::cmp::Reverse<usize>)> = BinaryHeap::new();
        let mut next: Vec<Option<&VerifiedTx>> = Vec::with_capacity(queues.len());
        for (place, queue) in queues.iter_mut().enumerate() {
            let head = queue.next();
            heads.extend(head.map(|tx| (tx.tx().body.gas_price, std::cmp::Reverse(place))));
            next.push(head);
        }
        let (mut chosen, mut bytes) = (Vec::new(), 0);
        while let Some((_, std::cmp::Reverse(place))) = heads.pop() {
            let Some(tx) = next[place] else { continue };
            bytes += tx.bytes();
            if bytes > bytes_max {
                break;
            }
            chosen.push(tx.clone());
            next[place] = queues[place].next();
            heads.extend(next[place].map(|tx| (tx.tx().body.gas_price, std::cmp::Reverse(place))));
        }
        chosen
    }

    /// A waiting transaction by its hash.
    pub fn get(&self, hash: &TxHash) -> Option<&VerifiedTx> {
        let (sender, nonce) = self.hashes.get(hash)?;
        self.senders.get(sender)?.get(nonce)
    }

    /// How many transactions of an account wait without a gap from its next nonce on.
    pub fn ready(&self, sender: &Address, next: Nonce) -> usize {
        let Some(queue) = self.senders.get(sender) else { return 0 };
        (next.0..).zip(queue.range(next..)).take_while(|(expected, (nonce, _))| nonce.0 == *expected).count()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}
