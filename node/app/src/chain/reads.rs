//! What the API asks of the chain: many things at once, read once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cpc_ledger::{Receipt, Seats};
use cpc_primitives::codec::decode;
use cpc_primitives::tx::{Registration, SignedTx};
use cpc_primitives::{Block, Epoch, Fault, Height, TxHash};
use cpc_store::{Place, RECEIPTS_BYTES_MAX, StoreError};
use tokio::sync::watch;

use super::{Chain, Kept, Page, Receipts};
use crate::api::dto::TxView;

/// Blocks that are kept decoded at most: receipts are read back from the newest ones.
const RECENT_BLOCKS_MAX: usize = 16;
/// Transactions of all of them, so that sixteen full blocks do not stay in memory.
const RECENT_TXS_MAX: usize = 100_000;
/// Blocks that one page of transactions looks into at most: a chain may be empty for a long time.
const PAGE_BLOCKS_MAX: u64 = 256;

/// What became of a transaction that is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It waits for a block.
    Pending,
    /// It is in a final block.
    Final {
        /// Where.
        place: Place,
        /// What it did; absent where this node began after that block.
        receipt: Option<Receipt>,
    },
}

/// The seats of an epoch, after a block.
pub struct EpochSeats {
    /// Which epoch.
    pub epoch: Epoch,
    /// Its seats; absent where the state does not keep them.
    pub seats: Option<Seats>,
    /// The block after which this was read.
    pub height: Height,
}

impl Chain {
    /// The height up to which blocks are final and can be looked up; it changes when a block has been announced.
    pub fn heads(&self) -> watch::Receiver<Height> {
        self.heads.subscribe()
    }

    /// Tells whoever waits that a block is final, and that the index knows its transactions.
    pub fn announce(&self, height: Height) {
        self.heads.send_if_modified(|last| {
            let newer = height > *last;
            *last = height.max(*last);
            newer
        });
    }

    /// Counts a block that became final, with how long it took to the disk.
    pub(super) fn measure(&self, block: &Block, receipts: &[u8], took: Duration) {
        self.metrics.block_commit.observe(took.as_secs_f64());
        // The views between a block and its parent are attempts whose leaders made no block that became final. The
        // parent's view is 0 where it is of an earlier epoch.
        let rounds = block.header.view.0.saturating_sub(block.header.parent_view.0);
        self.metrics.consensus_rounds.inc_by(rounds);
        self.metrics.consensus_missed_blocks.inc_by(rounds.saturating_sub(1));
        if let Ok(receipts) = decode::<Receipts>(receipts, RECEIPTS_BYTES_MAX) {
            self.metrics.count_txs(&block.txs, &receipts);
        }
    }

    /// What became of transactions, in the order of the question; nothing where one is not known here.
    pub fn fates(&self, hashes: &[TxHash]) -> Result<Vec<Option<Fate>>, Fault> {
        let mut fates: Vec<Option<Fate>> = {
            let pool = self.pool();
            hashes.iter().map(|hash| pool.get(hash).map(|_| Fate::Pending)).collect()
        };
        // Each block is read once, however many of its transactions are asked for.
        let mut blocks: BTreeMap<Height, Arc<Kept>> = BTreeMap::new();
        for (fate, hash) in fates.iter_mut().zip(hashes).filter(|(fate, _)| fate.is_none()) {
            let Some(place) = self.index.tx_by_hash(hash)?.found else { continue };
            let kept = match blocks.get(&place.height) {
                Some(kept) => Arc::clone(kept),
                None => self.kept(place.height)?,
            };
            let (_, receipt) = kept.at(place, hash)?;
            *fate = Some(Fate::Final { place, receipt: receipt.cloned() });
            blocks.insert(place.height, kept);
        }
        Ok(fates)
    }

    /// The transactions of the newest blocks, the newest first, and where the next page begins.
    pub fn latest_txs(&self, before: Option<Place>, limit: usize) -> Result<Page, Fault> {
        let tip = self.index_height()?;
        let above = Place { height: tip.next().unwrap_or(tip), index: 0 };
        let before = before.map_or(above, |before| before.min(above));
        let mut txs = Vec::new();
        let mut place = before;
        for _ in 0..PAGE_BLOCKS_MAX {
            // What comes before the first transaction of a block is the block before it.
            let (height, end) = match place {
                Place { height, index: 0 } => (height.0.checked_sub(1).map(Height), usize::MAX),
                Place { height, index } => (Some(height), usize::try_from(index).unwrap_or(usize::MAX)),
            };
            let Some(height) = height.filter(|height| *height > Height(0)) else { return Ok(Page { txs, next: None }) };
            if !self.has(height)? {
                return Ok(Page { txs, next: None });
            }
            let kept = self.kept(height)?;
            for index in (0..kept.block.txs.len().min(end)).rev() {
                place = Place { height, index: u32::try_from(index).unwrap_or(u32::MAX) };
                txs.push(kept.view(place, &kept.block.txs[index].hash())?);
                if txs.len() == limit {
                    return Ok(Page { txs, next: Some(place) });
                }
            }
            place = Place { height, index: 0 };
        }
        Ok(Page { txs, next: Some(place) })
    }

    /// A block of this disk with what became of its transactions; nothing where it is not here.
    pub fn executed(&self, height: Height) -> Result<Option<Arc<Kept>>, Fault> {
        if self.has(height)? { self.kept(height).map(Some) } else { Ok(None) }
    }

    /// The seats of an epoch; of the epoch of the last final block where none is named.
    pub fn epoch_seats(&self, epoch: Option<Epoch>) -> Result<EpochSeats, Fault> {
        let epoch = epoch.unwrap_or_else(|| self.tip().header.epoch);
        let (seats, height) = self.at_tip(|state| cpc_ledger::seats(state, epoch))?;
        Ok(EpochSeats { epoch, seats, height })
    }

    /// What the validators of the running epoch and of the next one have registered.
    pub fn registrations(&self) -> Result<Vec<Registration>, Fault> {
        let epoch = self.tip().header.epoch;
        let read = |state: &super::Latest<'_>| {
            let mut found = BTreeMap::new();
            for epoch in [Some(epoch), epoch.next()].into_iter().flatten() {
                let seats = cpc_ledger::seats(state, epoch)?;
                for seat in seats.iter().flat_map(|seats| seats.seats()) {
                    if let Some(validator) = cpc_ledger::validator(state, &seat.account)? {
                        found.insert(seat.account, validator.registration);
                    }
                }
            }
            Ok(found.into_values().collect())
        };
        Ok(self.at_tip(read)?.0)
    }

    /// The lowest block of this disk.
    pub fn lowest(&self) -> Result<Height, Fault> {
        self.store.lowest().map_err(|error| match error {
            StoreError::Fault(fault) => fault,
            other => Fault::Damaged { detail: other.to_string() },
        })
    }

    fn has(&self, height: Height) -> Result<bool, Fault> {
        Ok(self.store.header(height)?.is_some())
    }
}

impl Kept {
    /// The block.
    pub const fn block(&self) -> &Block {
        &self.block
    }

    /// What became of its transactions, in their order; absent where this node began after it.
    pub fn receipts(&self) -> Option<&[Receipt]> {
        self.receipts.as_deref()
    }

    /// The transaction at a place, which has to be the one that was asked for, and what became of it.
    pub(super) fn at(&self, place: Place, hash: &TxHash) -> Result<(&SignedTx, Option<&Receipt>), Fault> {
        let Place { height, index } = place;
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let absent = || Fault::Damaged {
            detail: format!("transaction {hash} is indexed at {index} of block {height}, where it is not"),
        };
        let tx = self.block.txs.get(at).filter(|tx| tx.hash() == *hash).ok_or_else(absent)?;
        let receipt = match &self.receipts {
            None => None,
            Some(receipts) => Some(receipts.get(at).ok_or_else(absent)?),
        };
        Ok((tx, receipt))
    }

    /// The same for people.
    pub fn view(&self, place: Place, hash: &TxHash) -> Result<TxView, Fault> {
        let (tx, receipt) = self.at(place, hash)?;
        Ok(match receipt {
            None => TxView::unexecuted(tx, place.height, place.index),
            Some(receipt) => TxView::included(tx, receipt, place.height, place.index),
        })
    }
}

/// The blocks that were asked for last, decoded: few, and with few transactions together.
#[derive(Default)]
pub(super) struct RecentBlocks(Mutex<VecDeque<Arc<Kept>>>);

impl RecentBlocks {
    /// The block of a height: from here, or read and kept here.
    pub(super) fn get(&self, height: Height, read: impl FnOnce() -> Result<Kept, Fault>) -> Result<Arc<Kept>, Fault> {
        let found = |kept: &Arc<Kept>| kept.block.header.height == height;
        if let Some(kept) = self.blocks().iter().find(|kept| found(kept)) {
            return Ok(Arc::clone(kept));
        }
        // Not under the lock: two that miss at once read twice, and nobody waits for a disk.
        let kept = Arc::new(read()?);
        let mut blocks = self.blocks();
        if !blocks.iter().any(found) {
            blocks.push_back(Arc::clone(&kept));
        }
        while blocks.len() > RECENT_BLOCKS_MAX
            || (blocks.len() > 1 && blocks.iter().map(|kept| kept.block.txs.len()).sum::<usize>() > RECENT_TXS_MAX)
        {
            blocks.pop_front();
        }
        Ok(kept)
    }

    fn blocks(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Kept>>> {
        self.0.lock().expect("no holder of this lock panics")
    }
}
