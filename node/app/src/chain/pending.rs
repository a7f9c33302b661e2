//! Transactions that wait for a block: bounded, in the order of their nonces, the best payers first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use cpc_ledger::VerifiedTx;
use cpc_primitives::state::Account;
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
    senders: BTreeMap<Address, Queue>,
    hashes: BTreeMap<TxHash, (Address, Nonce)>,
    /// What each sender's last transaction pays for one gas: the first of these is the first to make room.
    tails: BTreeSet<(Amount, Address)>,
    bytes: usize,
}

/// One sender's transactions.
#[derive(Default)]
struct Queue {
    /// The nonce of the account: what waits behind a gap stays until the gap is filled.
    next: Nonce,
    /// What all of them offer to pay for gas.
    offered: Amount,
    txs: BTreeMap<Nonce, VerifiedTx>,
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
    /// The account could not pay for all that waits.
    #[error("the account has {balance} CPC, its waiting transactions would offer {offered} CPC for gas")]
    Overdrawn {
        /// What it has.
        balance: Amount,
        /// What they would offer.
        offered: Amount,
    },
    /// There is no room.
    #[error("{count} transactions wait already, and none of them pays less")]
    Full {
        /// How many.
        count: usize,
    },
}

impl Pending {
    /// Keeps a transaction until it is in a block; the same one again is no error.
    pub fn insert(&mut self, tx: VerifiedTx, account: &Account) -> Result<(), Refused> {
        if self.hashes.contains_key(&tx.hash()) {
            return Ok(());
        }
        let (sender, nonce, price) = (tx.sender(), tx.tx().body.nonce, tx.tx().body.gas_price);
        self.settle(&sender, account.nonce);
        let next = account.nonce;
        if nonce < next {
            return Err(Refused::NonceUsed(Mismatch { expected: next.0, found: nonce.0 }));
        }
        if nonce.0 - next.0 > AHEAD_MAX {
            return Err(Refused::NonceFarAhead { expected: next.0, found: nonce.0 });
        }
        let queue = self.senders.get(&sender);
        let replaced = queue.and_then(|queue| queue.txs.get(&nonce));
        if let Some(waiting) = replaced.map(|tx| tx.tx().body.gas_price)
            && price <= waiting
        {
            return Err(Refused::Underpriced { price: waiting });
        }
        let others = queue.map_or(Amount::ZERO, |queue| queue.offered) - replaced.map_or(Amount::ZERO, offer);
        let offered = others.checked_add(offer(&tx)).unwrap_or(Amount::MAX);
        if offered > account.balance {
            return Err(Refused::Overdrawn { balance: account.balance, offered });
        }
        if replaced.is_none() {
            self.make_room(&tx)?;
        }

        // Every check has passed: what is replaced goes, and the new one takes its place.
        self.remove(&sender, nonce);
        self.bytes += tx.bytes();
        self.hashes.insert(tx.hash(), (sender, nonce));
        self.change(&sender, |queue| {
            queue.next = next;
            queue.offered += offer(&tx);
            queue.txs.insert(nonce, tx);
        });
        Ok(())
    }

    /// Forgets every transaction of an account below its next nonce.
    pub fn settle(&mut self, sender: &Address, next: Nonce) {
        let used: Vec<Nonce> = match self.senders.get_mut(sender) {
            Some(queue) => {
                queue.next = queue.next.max(next);
                queue.txs.range(..next).map(|(nonce, _)| *nonce).collect()
            }
            None => return,
        };
        for nonce in used {
            self.remove(sender, nonce);
        }
    }

    /// Forgets one transaction; those of its sender that wait behind it stay, until its place is filled.
    pub fn remove(&mut self, sender: &Address, nonce: Nonce) {
        let mut gone = None;
        self.change(sender, |queue| {
            gone = queue.txs.remove(&nonce);
            queue.offered -= gone.as_ref().map_or(Amount::ZERO, offer);
        });
        if let Some(tx) = gone {
            self.bytes -= tx.bytes();
            self.hashes.remove(&tx.hash());
        }
    }

    /// Lets the worst payer go where a better one comes and there is no room.
    fn make_room(&mut self, tx: &VerifiedTx) -> Result<(), Refused> {
        while self.hashes.len() >= COUNT_MAX || self.bytes + tx.bytes() > BYTES_MAX {
            let full = Refused::Full { count: self.hashes.len() };
            let (price, worst) = *self.tails.first().ok_or(full.clone())?;
            let last = self.senders.get(&worst).and_then(|queue| queue.txs.last_key_value());
            let (Some((nonce, _)), true) = (last, price < tx.tx().body.gas_price && worst != tx.sender()) else {
                return Err(full);
            };
            let nonce = *nonce;
            self.remove(&worst, nonce);
        }
        Ok(())
    }

    /// Changes a sender's queue, and keeps the list of tails true.
    fn change(&mut self, sender: &Address, with: impl FnOnce(&mut Queue)) {
        let mut queue = self.senders.remove(sender).unwrap_or_default();
        if let Some(price) = queue.tail() {
            self.tails.remove(&(price, *sender));
        }
        with(&mut queue);
        if let Some(price) = queue.tail() {
            self.tails.insert((price, *sender));
            self.senders.insert(*sender, queue);
        }
    }

    /// The transactions for the next block, the best payer first, each sender's in the order of their nonces.
    pub fn candidates(&self, bytes_max: usize) -> Vec<VerifiedTx> {
        let mut queues: Vec<_> = self.senders.values().map(Queue::ready).collect();
        // Ties go to the lower address, so that the choice does not depend on the order of arrival.
        let mut heads: BinaryHeap<(Amount, Reverse<usize>)> = BinaryHeap::new();
        let mut next: Vec<Option<&VerifiedTx>> = Vec::with_capacity(queues.len());
        for (place, queue) in queues.iter_mut().enumerate() {
            let head = queue.next();
            heads.extend(head.map(|tx| (tx.tx().body.gas_price, Reverse(place))));
            next.push(head);
        }
        let (mut chosen, mut bytes) = (Vec::new(), 0);
        while let Some((_, Reverse(place))) = heads.pop() {
            let Some(tx) = next[place] else { continue };
            bytes += tx.bytes();
            if bytes > bytes_max {
                break;
            }
            chosen.push(tx.clone());
            next[place] = queues[place].next();
            heads.extend(next[place].map(|tx| (tx.tx().body.gas_price, Reverse(place))));
        }
        chosen
    }

    /// A waiting transaction by its hash.
    pub fn get(&self, hash: &TxHash) -> Option<&VerifiedTx> {
        let (sender, nonce) = self.hashes.get(hash)?;
        self.senders.get(sender)?.txs.get(nonce)
    }

    /// How many transactions of an account wait without a gap from its next nonce on.
    pub fn ready(&self, sender: &Address) -> usize {
        self.senders.get(sender).map_or(0, |queue| queue.ready().count())
    }

    /// All of them, by sender and nonce.
    pub fn iter(&self) -> impl Iterator<Item = &VerifiedTx> {
        self.senders.values().flat_map(|queue| queue.txs.values())
    }

    /// How many bytes they have.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.hashes.len()
    }
}

impl Queue {
    /// Those that can go into the next block: from the account's nonce on, up to the first gap.
    fn ready(&self) -> impl Iterator<Item = &VerifiedTx> {
        let nonces = self.next.0..;
        nonces.zip(self.txs.range(self.next..)).take_while(|(at, (nonce, _))| nonce.0 == *at).map(|(_, (_, tx))| tx)
    }

    fn tail(&self) -> Option<Amount> {
        self.txs.last_key_value().map(|(_, tx)| tx.tx().body.gas_price)
    }
}

/// The most that a transaction may cost its sender in gas.
fn offer(tx: &VerifiedTx) -> Amount {
    let body = &tx.tx().body;
    body.gas_price.checked_mul(body.gas_limit.0).unwrap_or(Amount::MAX)
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

    fn rich(nonce: u64) -> Account {
        Account { balance: Amount::ONE, nonce: Nonce(nonce) }
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
            assert_eq!(pending.insert(tx(sender, nonce, price), &rich(0)), Ok(()));
        }
        assert_eq!(next(&pending, usize::MAX), [(0, 50), (0, 10), (1, 90), (1, 5)]);
        let one = tx(1, 0, 10).bytes();
        assert_eq!(next(&pending, 2 * one), [(0, 50), (0, 10)]);
        assert_eq!(next(&pending, one - 1), []);
        assert_eq!(pending.count(), 4);
    }

    #[test]
    fn what_waits_behind_a_gap_stays_until_the_gap_is_filled() {
        let mut pending = Pending::default();
        for nonce in [2, 3] {
            assert_eq!(pending.insert(tx(1, nonce, 10), &rich(0)), Ok(()));
        }
        assert_eq!(next(&pending, usize::MAX), []);
        assert_eq!(pending.insert(tx(1, 1, 10), &rich(0)), Ok(()));
        assert_eq!(next(&pending, usize::MAX), []);
        assert_eq!(pending.insert(tx(1, 0, 10), &rich(0)), Ok(()));
        assert_eq!(next(&pending, usize::MAX), [(0, 10), (1, 10), (2, 10), (3, 10)]);
    }

    #[test]
    fn a_transaction_is_replaced_only_by_one_that_pays_more() {
        let mut pending = Pending::default();
        assert_eq!(pending.insert(tx(1, 0, 10), &rich(0)), Ok(()));
        assert_eq!(pending.insert(tx(1, 0, 10), &rich(0)), Ok(()), "the same one again");
        assert_eq!(pending.insert(tx(1, 0, 9), &rich(0)), Err(Refused::Underpriced { price: Amount::new(10) }));
        assert_eq!(pending.insert(tx(1, 0, 11), &rich(0)), Ok(()));
        assert_eq!(next(&pending, usize::MAX), [(0, 11)]);
        assert!(pending.get(&tx(1, 0, 10).hash()).is_none());
        assert!(pending.get(&tx(1, 0, 11).hash()).is_some());
    }

    #[test]
    fn used_and_far_nonces_are_refused() {
        let mut pending = Pending::default();
        let used = Refused::NonceUsed(Mismatch { expected: 5, found: 4 });
        assert_eq!(pending.insert(tx(1, 4, 10), &rich(5)), Err(used));
        assert_eq!(pending.insert(tx(1, 5 + AHEAD_MAX, 10), &rich(5)), Ok(()));
        let far = Refused::NonceFarAhead { expected: 5, found: 6 + AHEAD_MAX };
        assert_eq!(pending.insert(tx(1, 6 + AHEAD_MAX, 10), &rich(5)), Err(far));
    }

    #[test]
    fn an_account_keeps_no_more_waiting_than_it_can_pay_for() {
        let mut pending = Pending::default();
        let account = Account { balance: Amount::new(3 * 21_000 * 10), nonce: Nonce(0) };
        for nonce in 0..3 {
            assert_eq!(pending.insert(tx(1, nonce, 10), &account), Ok(()));
        }
        let overdrawn = Refused::Overdrawn { balance: account.balance, offered: Amount::new(4 * 21_000 * 10) };
        assert_eq!(pending.insert(tx(1, 3, 10), &account), Err(overdrawn));
        let dearer = Refused::Overdrawn { balance: account.balance, offered: Amount::new(21_000 * 31) };
        assert_eq!(pending.insert(tx(1, 0, 11), &account), Err(dearer));
        pending.settle(&tx(1, 0, 10).sender(), Nonce(1));
        let later = Account { nonce: Nonce(1), ..account };
        assert_eq!(pending.insert(tx(1, 3, 10), &later), Ok(()), "what was settled is paid");
    }

    #[test]
    fn where_there_is_no_room_the_worst_payer_goes() {
        let mut pending = Pending::default();
        for (sender, nonce, price) in [(1, 0, 50), (1, 1, 5), (2, 0, 10)] {
            assert_eq!(pending.insert(tx(sender, nonce, price), &rich(0)), Ok(()));
        }
        assert_eq!(pending.tails.first(), Some(&(Amount::new(5), tx(1, 0, 1).sender())));
        // As if there were room for no more.
        let room = BYTES_MAX - 3 * tx(1, 0, 50).bytes();
        pending.bytes += room;
        assert_eq!(pending.insert(tx(3, 0, 5), &rich(0)), Err(Refused::Full { count: 3 }));
        assert_eq!(pending.insert(tx(3, 0, 6), &rich(0)), Ok(()));
        assert_eq!(next(&pending, usize::MAX), [(0, 50), (0, 10), (0, 6)]);
        assert_eq!(pending.bytes, BYTES_MAX);
    }

    #[test]
    fn what_is_settled_or_removed_is_forgotten_with_its_bytes() {
        let mut pending = Pending::default();
        for nonce in 0..4 {
            pending.insert(tx(1, nonce, 10), &rich(0)).expect("room");
        }
        let sender = tx(1, 0, 10).sender();
        assert_eq!(pending.ready(&sender), 4);
        pending.settle(&sender, Nonce(2));
        assert_eq!((pending.count(), pending.ready(&sender)), (2, 2));
        pending.remove(&sender, Nonce(2));
        assert_eq!((pending.count(), pending.ready(&sender)), (1, 0), "a gap holds the rest back");
        pending.settle(&sender, Nonce(4));
        assert_eq!((pending.bytes, pending.senders.len(), pending.hashes.len()), (0, 0, 0));
        assert!(pending.tails.is_empty());
    }
}
