//! Transactions between nodes: what users send here goes out in batches, what others gossip is checked and kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cpc_ledger::Reject;
use cpc_mempool::Arrival;
use cpc_net::{Gossip, Handle, Judgement, PublishError, Topic};
use cpc_primitives::TxHash;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::chain::{Admission, Admitted, Chain, Source};
use crate::sync::wire::{BATCH_BYTES_MAX, TxBatch};

/// The topic of transactions.
const TOPIC: &str = "txs";
/// Messages that wait to be judged.
pub(super) const HEARD_MAX: usize = 256;
/// Transactions are gathered for so long before they go out together.
const GATHER: Duration = Duration::from_millis(20);
/// The pause after others did not take a batch.
const BACK_OFF: Duration = Duration::from_millis(250);
/// The pause where nobody listens; whoever begins to ends it.
const NOBODY: Duration = Duration::from_secs(5);
/// After so long a transaction that still waits is told again: somebody may have come, or lost it.
const AGAIN: Duration = Duration::from_secs(10);
/// Transactions that are told at once.
const AT_ONCE: usize = 4_096;
/// Hashes of transactions that are to be told, and of those that are to be told again.
const HASHES_MAX: usize = 200_000;

/// The topic, for the network's configuration.
pub(super) fn topic() -> Topic {
    Topic { name: TOPIC.to_owned(), bytes_max: BATCH_BYTES_MAX }
}

/// Judges what others gossip, message by message, until the network has stopped.
pub(super) async fn hear(chain: Arc<Chain>, mut heard: mpsc::Receiver<Gossip>) {
    while let Some(Gossip { bytes, token, peer, .. }) = heard.recv().await {
        let chain = Arc::clone(&chain);
        // One at a time: the signatures of a message are checked on all cores.
        match tokio::task::spawn_blocking(move || judge(&chain, &bytes)).await {
            Ok(judgement) => {
                if judgement == Judgement::Reject {
                    tracing::info!(%peer, "a node gossips what no honest one does");
                }
                token.judge(judgement);
            }
            // Dropped, the token ignores the message.
            Err(error) => tracing::error!(%error, "gossip was not judged"),
        }
    }
}

/// What is to be said of a message with transactions.
fn judge(chain: &Chain, bytes: &[u8]) -> Judgement {
    // SYNC-8: bytes that are no batch were written by nobody honest, and so was an empty one.
    let Ok(batch) = TxBatch::decode(bytes) else { return Judgement::Reject };
    if batch.txs.is_empty() {
        return Judgement::Reject;
    }
    let admitted = chain.admit_each(batch.txs.into_inner(), Source::Gossip);
    // SYNC-9: every honest node has checked the signatures and the chain before it gossips a transaction.
    let lie = |one: &Admitted| {
        matches!(
            one.outcome,
            Err(Admission::Signature) | Err(Admission::Rule(Reject::Chain(_) | Reject::TxBytes { .. }))
        )
    };
    if admitted.iter().any(lie) {
        return Judgement::Reject;
    }
    let fresh = |one: &Admitted| matches!(one.outcome, Ok(Arrival::New | Arrival::Replaced(_)));
    // What is known or has no place here is passed on by whoever has a place for it.
    if admitted.iter().any(fresh) { Judgement::Accept } else { Judgement::Ignore }
}

/// Tells others of what users send here, until the network has stopped.
pub(super) async fn tell(
    chain: Arc<Chain>,
    handle: Handle,
    mut news: mpsc::Receiver<Vec<TxHash>>,
    mut listeners: watch::Receiver<u64>,
) {
    let mut teller = Teller { chain, handle, fresh: VecDeque::new(), told: VecDeque::new() };
    let mut due = Instant::now() + NOBODY;
    loop {
        tokio::select! {
            biased;
            batch = news.recv() => match batch {
                Some(hashes) => {
                    if teller.fresh.is_empty() {
                        due = Instant::now() + GATHER;
                    }
                    teller.fresh.extend(hashes);
                    cap(&mut teller.fresh);
                }
                None => return,
            },
            changed = listeners.changed() => {
                if changed.is_err() {
                    return;
                }
                due = Instant::now() + GATHER;
            }
            () = sleep_until(due) => {
                teller.again();
                due = Instant::now() + match teller.speak().await {
                    Ok(()) if teller.fresh.is_empty() => NOBODY,
                    Ok(()) => GATHER,
                    Err(PublishError::Stopped) => return,
                    Err(PublishError::NoPeers) => NOBODY,
                    Err(error) => {
                        tracing::debug!(%error, "transactions were not gossiped, and will be again");
                        BACK_OFF
                    }
                };
            }
        }
    }
}

/// What is to be told, and what was.
struct Teller {
    chain: Arc<Chain>,
    handle: Handle,
    fresh: VecDeque<TxHash>,
    told: VecDeque<(Instant, TxHash)>,
}

impl Teller {
    /// Tells of the first of those that are to be told; what is not taken comes again.
    async fn speak(&mut self) -> Result<(), PublishError> {
        let count = self.fresh.len().min(AT_ONCE);
        let hashes: Vec<TxHash> = self.fresh.drain(..count).collect();
        let waiting = self.chain.still_waiting(&hashes);
        let mut batches = TxBatch::pack(waiting).into_iter();
        while let Some(batch) = batches.next() {
            let told: Vec<TxHash> = batch.txs.iter().map(cpc_primitives::tx::SignedTx::hash).collect();
            if let Err(error) = self.handle.publish(TOPIC, batch.encode()).await {
                let rest = batches.flat_map(|batch| batch.txs.into_inner()).map(|tx| tx.hash());
                let rest: Vec<TxHash> = told.into_iter().chain(rest).collect();
                rest.into_iter().rev().for_each(|hash| self.fresh.push_front(hash));
                return Err(error);
            }
            let now = Instant::now();
            self.told.extend(told.into_iter().map(|hash| (now, hash)));
        }
        cap(&mut self.told);
        Ok(())
    }

    /// What was told long ago is told again where it still waits.
    fn again(&mut self) {
        let now = Instant::now();
        while self.told.front().is_some_and(|(at, _)| *at + AGAIN <= now) {
            self.fresh.extend(self.told.pop_front().map(|(_, hash)| hash));
        }
        cap(&mut self.fresh);
    }
}

/// The oldest go first: a block has them by now, or this node proposes them itself.
fn cap<T>(queue: &mut VecDeque<T>) {
    let over = queue.len().saturating_sub(HASHES_MAX);
    queue.drain(..over);
}
