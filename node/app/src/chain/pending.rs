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

#[cfg(test)]
mod tests {
    use cpc_ledger::Verifier;
    use cpc_primitives::tx::{Action, Transfer, TxBody};
    use cpc_primitives::{ChainId, Gas, SecretKey};

    use super::*;

    fn tx(sender: u8, nonce: u64, price: u128) -> VerifiedTx {
        let body = TxBody {
            chain: ChainId(1),
            nonce: Nonce(nonce),
            gas_price: Amount::new(price),
            gas_limit: Gas(21_000),
            action: Action::Transfer(Transfer { to: Address([9; 20]), amount: Amount::ONE }),
        };
        let signed = body.sign(&SecretKey::from_seed(&[sender; 32]));
        Verifier::new(1).verify(vec![signed]).expect("just signed").remove(0)
    }

    /// The nonces and prices of the next block, sender by sender.
    fn next(pending: &Pending, bytes: usize) -> Vec<(u64, u128)> {
        let body = |tx: VerifiedTx| (tx.tx().body.nonce.0, tx.tx().body.gas_price.units());
        pending.candidates(bytes).into_iter().map(body).collect()
    }

    #[test]
    fn the_best_payer_comes_first_and_each_senders_nonces_stay_in_order() {
        let mut pending = Pending::default();
        for (sender, nonce, price) in [(1, 1, 90), (1, 0, 10), (2, 0, 50), (2, 1, 5)] {
            assert_eq!(pending.insert(tx(sender, nonce, price), Nonce(0)), Ok(()));
        }
        assert_eq!(next(&pending, usize::MAX), [(0, 50), (0, 10), (1, 90), (1, 5)]);
        let one = tx(1, 0, 10).bytes();
        assert_eq!(next(&pending, 2 * one), [(0, 50), (0, 10)]);
        assert_eq!(next(&pending, one - 1), []);
        assert_eq!(pending.len(), 4);
    }

    #[test]
    fn a_transaction_is_replaced_only_by_one_that_pays_more() {
        let mut pending = Pending::default();
        assert_eq!(pending.insert(tx(1, 0, 10), Nonce(0)), Ok(()));
        assert_eq!(pending.insert(tx(1, 0, 10), Nonce(0)), Ok(()), "the same one again");
        assert_eq!(pending.insert(tx(1, 0, 9), Nonce(0)), Err(Refused::Underpriced { price: Amount::new(10) }));
        assert_eq!(pending.insert(tx(1, 0, 11), Nonce(0)), Ok(()));
        assert_eq!(next(&pending, usize::MAX), [(0, 11)]);
        assert!(pending.get(&tx(1, 0, 10).hash()).is_none());
        assert!(pending.get(&tx(1, 0, 11).hash()).is_some());
    }

    #[test]
    fn used_and_far_nonces_are_refused() {
        let mut pending = Pending::default();
        let used = Refused::NonceUsed(Mismatch { expected: 5, found: 4 });
        assert_eq!(pending.insert(tx(1, 4, 10), Nonce(5)), Err(used));
        assert_eq!(pending.insert(tx(1, 5 + AHEAD_MAX, 10), Nonce(5)), Ok(()));
        let far = Refused::NonceFarAhead { expected: 5, found: 6 + AHEAD_MAX };
        assert_eq!(pending.insert(tx(1, 6 + AHEAD_MAX, 10), Nonce(5)), Err(far));
    }

    #[test]
    fn what_is_settled_or_dropped_is_forgotten_with_its_bytes() {
        let mut pending = Pending::default();
        for nonce in 0..4 {
            pending.insert(tx(1, nonce, 10), Nonce(0)).expect("room");
        }
        let sender = tx(1, 0, 10).sender();
        assert_eq!(pending.ready(&sender, Nonce(0)), 4);
        pending.settle(&sender, Nonce(2));
        assert_eq!((pending.len(), pending.ready(&sender, Nonce(2))), (2, 2));
        assert_eq!(pending.ready(&sender, Nonce(1)), 0, "a gap holds the rest back");
        pending.drop_from(&sender, Nonce(3));
        assert_eq!(next(&pending, usize::MAX), [(2, 10)]);
        pending.drop_from(&sender, Nonce(0));
        assert!(pending.is_empty());
        assert_eq!((pending.bytes, pending.senders.len(), pending.hashes.len()), (0, 0, 0));
    }
}
