//! The transactions that wait for a block: how they come in, what a final block does to them, and who is told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use cpc_ledger::{Reject, StateRead as _, VerifiedTx};
use cpc_mempool::{Arrival, Mempool, Refused};
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::tx::SignedTx;
use cpc_primitives::{Address, Block, BlockId, Fault, Height, Nonce, TxHash, TxId};
use tokio::sync::mpsc;

use super::{Admission, Chain};
use crate::api::dto::TxView;

/// Batches of hashes that wait to be told to other nodes. What does not fit stays here, and this node may propose it.
pub const TOLD_MAX: usize = 1_024;
/// Transactions that come into the pool while nobody else can use it.
const KEPT_AT_ONCE: usize = 256;

/// A transaction that was offered, and what came of it.
#[derive(Debug)]
pub struct Admitted {
    /// The hash of its signed bytes.
    pub hash: TxHash,
    /// Its id.
    pub id: TxId,
    /// Whether it waits for a block now, and how it came in.
    pub outcome: Result<Arrival, Admission>,
}

/// Who offers transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A user of this node: other nodes are told.
    User,
    /// Another node, which has told its peers already.
    Gossip,
}

impl Source {
    const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Gossip => "gossip",
        }
    }
}

impl Chain {
    /// From now on the hashes of transactions that users send come here, batch by batch.
    pub fn tell(&self, news: mpsc::Sender<Vec<TxHash>>) {
        *self.news.lock().unwrap_or_else(PoisonError::into_inner) = Some(news);
    }

    /// Checks many transactions at once, their signatures in one batch, and keeps the good ones for the next block.
    pub fn admit_each(&self, txs: Vec<SignedTx>, source: Source) -> Vec<Admitted> {
        // A transaction is refused by its bytes also where its signature is bad.
        let names: Vec<TxId> = txs.iter().map(SignedTx::id).collect();
        let mut admitted = Vec::with_capacity(txs.len());
        let mut good = Vec::with_capacity(txs.len());
        for (verdict, id) in self.verifier.verify_each(txs).into_iter().zip(names) {
            let (hash, outcome) = match verdict {
                Err(culprit) => (culprit.hash, Err(Admission::Signature)),
                Ok(tx) => {
                    let hash = tx.hash();
                    let ruled = cpc_ledger::admit(self.params(), &tx).map_err(Admission::Rule);
                    let outcome = ruled.map(|()| Arrival::Known);
                    if outcome.is_ok() {
                        good.push((admitted.len(), tx));
                    }
                    (hash, outcome)
                }
            };
            admitted.push(Admitted { hash, id, outcome });
        }
        let mut good = good.into_iter();
        loop {
            let (places, txs): (Vec<usize>, Vec<VerifiedTx>) = good.by_ref().take(KEPT_AT_ONCE).unzip();
            if places.is_empty() {
                break;
            }
            for (place, outcome) in places.into_iter().zip(self.keep_each(txs)) {
                admitted[place].outcome = outcome;
            }
        }
        for one in &admitted {
            let word = match &one.outcome {
                Ok(arrival) => word(*arrival),
                Err(why) => why.code(),
            };
            self.metrics.arrived(source.name(), word);
        }
        if source == Source::User {
            self.spread(&admitted);
        }
        admitted
    }

    /// Tells other nodes of what is new here.
    fn spread(&self, admitted: &[Admitted]) {
        let Some(news) = self.news.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        let fresh = |one: &&Admitted| matches!(one.outcome, Ok(Arrival::New | Arrival::Replaced(_)));
        let hashes: Vec<TxHash> = admitted.iter().filter(fresh).map(|one| one.hash).collect();
        if !hashes.is_empty() && news.try_send(hashes).is_err() {
            tracing::warn!("other nodes are not told of transactions: too many wait to be told");
        }
    }

    /// Checks one transaction against the state after the last final block, and keeps it for the next.
    pub fn admit(&self, tx: SignedTx) -> Result<Arrival, Admission> {
        let none = || Fault::Invariant { detail: "a transaction got no verdict".to_owned() };
        self.admit_each(vec![tx], Source::User).pop().ok_or_else(none)?.outcome
    }

    /// Puts transactions into the pool, all under one lock: a batch costs those who build blocks one wait.
    fn keep_each(&self, txs: Vec<VerifiedTx>) -> Vec<Result<Arrival, Admission>> {
        let senders: BTreeSet<Address> = txs.iter().map(VerifiedTx::sender).collect();
        loop {
            let (accounts, tip) = match self.accounts(&senders) {
                Ok(found) => found,
                Err(fault) => return txs.iter().map(|_| Err(Admission::Fault(fault.clone()))).collect(),
            };
            let mut pool = self.pool();
            // A block that came in between has perhaps used a nonce, and its settling may already be over.
            let now = self.tip();
            if now.id != tip {
                continue;
            }
            let keep = |tx: VerifiedTx| {
                let account = accounts.get(&tx.sender()).copied().unwrap_or_default();
                keep(&mut pool, tx, &account, now.height())
            };
            let kept: Vec<_> = txs.into_iter().map(keep).collect();
            drop(pool);
            let evicted = kept.iter().flatten().map(|(_, evicted)| *evicted).sum();
            self.metrics.departed("evicted", evicted);
            return kept.into_iter().map(|kept| kept.map(|(arrival, _)| arrival)).collect();
        }
    }

    /// Accounts after the last final block, and that block.
    fn accounts(&self, of: &BTreeSet<Address>) -> Result<(BTreeMap<Address, Account>, BlockId), Fault> {
        let keys: Vec<StateKey> = of.iter().map(StateKey::account).collect();
        loop {
            // The base first: where a commit comes in between, it is stale and says so.
            let base = self.store.base();
            let tip = self.tip().id;
            let found = base.read_many(&keys);
            if base.is_stale() {
                continue;
            }
            let found = keys.iter().cloned().zip(found?).collect();
            let read = Fetched(found);
            let mut accounts = BTreeMap::new();
            for address in of {
                if let Some(account) = cpc_ledger::account(&read, address)? {
                    accounts.insert(*address, account);
                }
            }
            return Ok((accounts, tip));
        }
    }

    /// What a final block does to those that wait: its own go, and those that can no longer be paid for.
    pub(super) fn settle_waiting(&self, block: &Block) -> Result<(), Fault> {
        // Once for each sender: its last transaction of the block says its next nonce.
        let mut next: BTreeMap<Address, Nonce> = BTreeMap::new();
        for tx in block.txs.iter() {
            if let Some(nonce) = tx.body.nonce.next() {
                let known = next.entry(tx.sender_address()).or_default();
                *known = nonce.max(*known);
            }
        }
        let (included, poorer): (usize, BTreeSet<Address>) = {
            let mut pool = self.pool();
            let before = pool.stats().count;
            next.iter().for_each(|(sender, next)| pool.settle(sender, *next));
            let left = next.keys().filter(|sender| pool.waits(sender)).copied().collect();
            (before.saturating_sub(pool.stats().count), left)
        };
        self.metrics.departed("included", included);
        // Not under the lock: nobody waits for a disk. Only commits change accounts, and this is the end of one.
        let (accounts, _) = if poorer.is_empty() { Default::default() } else { self.accounts(&poorer)? };
        let mut pool = self.pool();
        let (mut unpaid, height) = (0, block.header.height);
        for sender in &poorer {
            unpaid += pool.refresh(sender, &accounts.get(sender).copied().unwrap_or_default()).len();
        }
        let expired = pool.expire(height).len();
        drop(pool);
        self.metrics.departed("unpaid", unpaid);
        self.metrics.departed("expired", expired);
        Ok(())
    }

    /// Those of these transactions that still wait.
    pub fn still_waiting(&self, hashes: &[TxHash]) -> Vec<SignedTx> {
        let pool = self.pool();
        hashes.iter().filter_map(|hash| pool.get(hash)).map(|tx| tx.tx().clone()).collect()
    }

    /// How many transactions wait, and how many bytes they count.
    pub fn pending_size(&self) -> (usize, usize) {
        let stats = self.pool().stats();
        (stats.count, stats.bytes)
    }

    /// Transactions that wait for a block.
    pub fn pending_count(&self) -> usize {
        self.pool().stats().count
    }

    /// An account's transactions that can go into the next block.
    pub fn pending_ready(&self, address: &Address) -> usize {
        self.pool().ready(address)
    }

    /// Some of the transactions that wait, the oldest first.
    pub fn waiting(&self, limit: usize) -> Vec<TxView> {
        self.pool().oldest().take(limit).map(|tx| TxView::pending(tx.tx())).collect()
    }

    pub(super) fn pool(&self) -> MutexGuard<'_, Mempool> {
        self.pool.lock().expect("no holder of this lock panics")
    }
}

/// The records that were read together, for whoever asks for them one by one.
struct Fetched(BTreeMap<StateKey, Option<Vec<u8>>>);

impl cpc_ledger::StateRead for Fetched {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, Fault> {
        let absent = || Fault::Invariant { detail: "a record was asked for that was not read".to_owned() };
        self.0.get(key).cloned().ok_or_else(absent)
    }
}

/// Keeps a transaction, and says how it came in and how many went for it.
fn keep(pool: &mut Mempool, tx: VerifiedTx, account: &Account, now: Height) -> Result<(Arrival, usize), Admission> {
    let (gas_limit, gas_price) = (tx.tx().body.gas_limit, tx.tx().body.gas_price);
    if gas_price.checked_mul(gas_limit.0).is_none_or(|fee| fee > account.balance) {
        return Err(Admission::Rule(Reject::CannotPay { balance: account.balance, gas_limit, gas_price }));
    }
    match pool.insert(tx, account, now) {
        Ok(admitted) => Ok((admitted.arrival, admitted.evicted.len())),
        Err(refused) if refused.is_for_want_of_room() => Err(Admission::Full(refused)),
        Err(refused) => Err(Admission::Place(refused)),
    }
}

const fn word(arrival: Arrival) -> &'static str {
    match arrival {
        Arrival::Known => "known",
        Arrival::New => "new",
        Arrival::Replaced(_) => "replaced",
    }
}

/// The stable code of a refusal of the pool.
pub(super) const fn code(refused: &Refused) -> &'static str {
    match refused {
        Refused::Underpriced { .. } => "underpriced",
        Refused::Overdrawn { .. } => "insufficient_funds",
        Refused::NonceUsed(_) | Refused::LastNonce { .. } | Refused::NonceFarAhead { .. } => "wrong_nonce",
        Refused::SenderCount { .. } | Refused::SenderBytes { .. } => "too_many_of_sender",
        Refused::Full { .. } => "too_many_pending",
    }
}
