//! A validator of its own: with one seat, one signature is a quorum, and every block it builds is final.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cpc_ledger::{BlockError, Context, Receipt, Reject, Session, TxError, VerifiedTx};
use cpc_light::{Finalization, Proposal, ValidatorSet, Vote, namespace};
use cpc_primitives::codec::encode;
use cpc_primitives::{Block, BlockId, Bounded, Digest, Epoch, Fault, PublicKey, SecretKey, TimeMs, View};
use cpc_store::{Base, StoreError};

use super::{Chain, Receipts};

/// Why no block was made. Each of them ends the process: a node that cannot make blocks says so.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The rules refuse a block that this node built itself.
    #[error("this node built a block that its own rules refuse: {0}")]
    Refused(#[from] BlockError),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This node cannot tell what is right.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The key has no seat.
    #[error("the key {key} has no seat in epoch {epoch}, which has {seats}; it cannot make blocks alone")]
    NoSeat {
        /// The key.
        key: PublicKey,
        /// The epoch.
        epoch: u64,
        /// How many seats there are.
        seats: usize,
    },
}

/// The time now, for a block.
pub fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Makes blocks at the network's interval until told to stop.
///
/// The pace counts from the parent's time, so that a slow block does not push all later ones back.
pub fn run(chain: &Arc<Chain>, key: &SecretKey, stop: &std::sync::mpsc::Receiver<()>) -> Result<(), ProduceError> {
    let interval = chain.params().interval_ms;
    loop {
        let due = chain.tip().header.time.0.saturating_add(interval);
        let wait = Duration::from_millis(due.saturating_sub(now().0).min(interval));
        match stop.recv_timeout(wait) {
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            // Whoever could have told this to stop is gone, or has told it.
            Ok(()) | Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
        }
        chain.produce(key, now())?;
    }
}

impl Chain {
    /// Demands that a key can make the next block alone.
    pub fn check_alone(&self, key: &PublicKey) -> Result<(), ProduceError> {
        let next = self.tip().header.height.next().ok_or_else(|| ran_out("heights"))?;
        self.alone(&self.store.base(), self.params().epoch_of(next), key).map(|_| ())
    }

    /// The set of an epoch, which has to have this key and no other.
    fn alone(&self, base: &Base, epoch: Epoch, key: &PublicKey) -> Result<ValidatorSet, ProduceError> {
        let damaged = |what: String| Fault::Damaged { detail: format!("the seats of epoch {epoch} {what}") };
        let seats = cpc_ledger::seats(base, epoch)?.ok_or_else(|| damaged("are absent".to_owned()))?;
        let set = seats.validators().map_err(|error| damaged(format!("are no set: {error}")))?;
        if set.keys() != [*key] {
            return Err(ProduceError::NoSeat { key: *key, epoch: epoch.0, seats: set.keys().len() });
        }
        Ok(set)
    }

    /// Builds a block on the last final one, signs it, and commits it with its certificate.
    pub fn produce(&self, key: &SecretKey, time: TimeMs) -> Result<BlockId, ProduceError> {
        let parent = self.tip();
        let params = self.params();
        let height = parent.header.height.next().ok_or_else(|| ran_out("heights"))?;
        let epoch = params.epoch_of(height);
        let parent_view = if epoch == parent.header.epoch { parent.header.view } else { View(0) };
        let context = Context {
            epoch,
            view: parent_view.next().ok_or_else(|| ran_out("views"))?,
            parent_view,
            time: time.max(TimeMs(parent.header.time.0.saturating_add(1))),
            proposer: key.public(),
            beacon: Digest::ZERO,
        };
        let base = self.store.base();
        let set = self.alone(&base, epoch, &key.public())?;

        let candidates = self.pending().candidates(params.block_bytes_max as usize);
        base.prefetch(&cpc_ledger::touched(&candidates))?;
        let mut session = Session::begin(params, &base, &parent.header, context)?;
        let (mut chosen, mut receipts): (Vec<VerifiedTx>, Vec<Receipt>) = (Vec::new(), Vec::new());
        // Whoever had to wait once in this block waits with all that comes behind.
        let mut waiting = BTreeSet::new();
        for tx in candidates {
            if waiting.contains(&tx.sender()) {
                continue;
            }
            match session.push(&tx) {
                Ok(receipt) => {
                    receipts.push(receipt);
                    chosen.push(tx);
                }
                Err(TxError::Reject(reject)) => {
                    waiting.insert(tx.sender());
                    self.put_aside(&tx, &reject);
                }
                Err(TxError::Fault(fault)) => return Err(fault.into()),
            }
        }
        let executed = session.finish()?;
        let overlay = self.store.overlay(None, executed.delta())?;
        let header = executed.header(overlay.root());
        let txs: Vec<_> = chosen.iter().map(|tx| tx.tx().clone()).collect();
        let block = Block { header, txs: Bounded::new(txs).expect("a session takes no more than a block holds") };

        let proposal = Proposal { epoch, view: block.header.view, parent_view, payload: block.id() };
        let space = namespace(params.chain, &self.genesis.id());
        let signature = Vote::Finalize(proposal).sign(&space, key);
        let certificate =
            Finalization::assemble(proposal, &[(0, signature)], &set).expect("the only seat of its set is a quorum");
        let receipts = Receipts::new(receipts).expect("as many as the block has transactions");
        self.store.commit(&overlay, &block, &certificate.encode(), &encode(&receipts))?;

        // The index first: a transaction is always in one of the two.
        self.index.catch_up(u64::MAX)?;
        let mut pending = self.pending();
        for tx in &chosen {
            let next = tx.tx().body.nonce.next().ok_or_else(|| ran_out("nonces"))?;
            pending.settle(&tx.sender(), next);
        }
        drop(pending);
        tracing::debug!(height = height.0, txs = chosen.len(), id = %block.id(), "block is final");
        Ok(block.id())
    }
}

impl Chain {
    /// What becomes of a transaction that the rules do not take into this block.
    fn put_aside(&self, tx: &VerifiedTx, reject: &Reject) {
        match reject {
            // The next block has room again.
            _ if reject.is_block_full() => {}
            Reject::Nonce(nonce) if nonce.found > nonce.expected => {}
            Reject::Nonce(nonce) => self.pending().settle(&tx.sender(), nonce.expected),
            // Nothing that comes can heal it, except money, and whoever sends money can send this again.
            _ => {
                tracing::info!(hash = %tx.hash(), %reject, "transaction no longer holds and is dropped");
                self.pending().remove(&tx.sender(), tx.tx().body.nonce);
            }
        }
    }
}

fn ran_out(what: &str) -> Fault {
    Fault::Invariant { detail: format!("the chain has run out of {what}") }
}
