//! The derived index: where a transaction is, what an account did, which tasks have a status.
//!
//! It is written behind the blocks, in batches of its own, and holds nothing that the blocks do not say. A lost or
//! foreign index is built again; one that lags says up to which block it knows (IDX-1, IDX-2).

use std::ops::ControlFlow;

use cpc_primitives::ids::TaskId;
use cpc_primitives::kv::{Batch, Durability, Kv, Space};
use cpc_primitives::tx::Action;
use cpc_primitives::{Address, Block, Digest, Fault, Height, TxHash, TxId};

use crate::crash::CrashPoint;
use crate::error::StoreError;
use crate::spaces::{
    INDEX_ACCOUNT, INDEX_META, INDEX_STATUS, INDEX_TASK, INDEX_TX_HASH, INDEX_TX_ID, height_key, height_of, id_of,
};
use crate::store::{Store, damaged, wipe_space};

/// Rows of one page of an answer.
pub const PAGE_ROWS_MAX: usize = 100;

/// One thing that a block says and the index keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IndexEvent {
    /// A transaction; the first event of this kind is the first transaction of the block.
    Tx {
        /// The hash of its whole signed bytes.
        hash: TxHash,
        /// Its id.
        id: TxId,
        /// Whom it concerns: its sender, and who receives.
        accounts: Vec<Address>,
    },
    /// A task has come to a status.
    Task {
        /// Which task.
        task: TaskId,
        /// The status, by its number in the rules.
        status: u8,
    },
}

/// Where in the chain something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The block.
    pub height: Height,
    /// The place among the block's transactions, or among its events of tasks.
    pub index: u32,
}

/// An answer with the block up to which it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Indexed<T> {
    /// The last block that the index has taken in; none before the first.
    pub height: Option<Height>,
    /// What was found up to there.
    pub found: T,
}

/// A task's last status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskStatus {
    /// The status.
    pub status: u8,
    /// Since when.
    pub since: Place,
}

/// What a block and its receipts say, for the index.
pub type Events = fn(&Block, &[u8]) -> Vec<IndexEvent>;

/// The index over a store.
#[derive(Clone)]
pub struct Index {
    store: Store,
    events: Events,
}

const STATE: &[u8] = b"state";

impl Index {
    /// Opens the index; one that does not belong to this chain is emptied, and built again by [`Index::catch_up`].
    pub fn open(store: Store, events: Events) -> Result<Self, StoreError> {
        let index = Self { store, events };
        // IDX-1: a row that says nothing names no block, and what is derived is not worth a halt.
        let known = match index.kv().get(INDEX_META, STATE)?.as_deref().and_then(read_state) {
            None => false,
            Some((height, id)) => index.store.header(height)?.is_some_and(|header| header.id().0 == id),
        };
        if !known {
            index.clear()?;
        }
        Ok(index)
    }

    /// The last block that was taken in.
    pub fn height(&self) -> Result<Option<Height>, Fault> {
        Ok(self.state()?.map(|(height, _)| height))
    }

    /// Takes in at most this many blocks, and says how many are left (IDX-2).
    pub fn catch_up(&self, blocks_max: u64) -> Result<u64, StoreError> {
        let Some(tip) = self.store.tip() else { return Ok(0) };
        let mut next = self.next()?;
        for _ in 0..blocks_max {
            if next > tip.height() {
                break;
            }
            self.take_in(next)?;
            next = next.next().ok_or_else(|| damaged("heights have ended"))?;
        }
        Ok((tip.height().0 + 1).saturating_sub(next.0))
    }

    /// Where the transaction with this hash is.
    pub fn tx_by_hash(&self, hash: &TxHash) -> Result<Indexed<Option<Place>>, Fault> {
        self.answer(|| self.place(INDEX_TX_HASH, &hash.0))
    }

    /// Where the transaction with this id is.
    pub fn tx_by_id(&self, id: &TxId) -> Result<Indexed<Option<Place>>, Fault> {
        self.answer(|| self.place(INDEX_TX_ID, &id.0))
    }

    /// The transactions of an account, the newest first, from before a place on; at most [`PAGE_ROWS_MAX`].
    pub fn account(
        &self,
        account: &Address,
        before: Option<Place>,
        rows: usize,
    ) -> Result<Indexed<Vec<(Place, TxHash)>>, Fault> {
        self.answer(|| {
            let rows = self.newest_first(INDEX_ACCOUNT, &account.0, before, rows)?;
            rows.into_iter().map(|(place, hash)| Ok((place, TxHash(digest(&hash)?)))).collect()
        })
    }

    /// The last status of a task.
    pub fn task(&self, task: &TaskId) -> Result<Indexed<Option<TaskStatus>>, Fault> {
        self.answer(|| self.status_of(task))
    }

    /// The tasks with a status, the last to reach it first, from before a place on; at most [`PAGE_ROWS_MAX`].
    pub fn tasks(
        &self,
        status: u8,
        before: Option<Place>,
        rows: usize,
    ) -> Result<Indexed<Vec<(Place, TaskId)>>, Fault> {
        self.answer(|| {
            let rows = self.newest_first(INDEX_STATUS, &[status], before, rows)?;
            rows.into_iter().map(|(place, task)| Ok((place, TaskId(digest(&task)?)))).collect()
        })
    }

    /// IDX-3: the height is read before the answer, so that the answer holds at least up to it.
    fn answer<T>(&self, look: impl FnOnce() -> Result<T, Fault>) -> Result<Indexed<T>, Fault> {
        let height = self.height()?;
        Ok(Indexed { height, found: look()? })
    }

    fn kv(&self) -> &dyn Kv {
        self.store.kv()
    }

    /// The last block that was taken in, with its id.
    fn state(&self) -> Result<Option<(Height, Digest)>, Fault> {
        let Some(bytes) = self.kv().get(INDEX_META, STATE)? else { return Ok(None) };
        Ok(Some(read_state(&bytes).ok_or_else(|| damaged("the height of the index"))?))
    }

    fn next(&self) -> Result<Height, StoreError> {
        match self.height()? {
            Some(height) => Ok(height.next().ok_or_else(|| damaged("heights have ended"))?),
            None => self.store.lowest(),
        }
    }

    /// IDX-1: the mark goes first, so that a crash amid the clearing leaves an index that knows nothing.
    fn clear(&self) -> Result<(), Fault> {
        for space in [INDEX_META, INDEX_TX_HASH, INDEX_TX_ID, INDEX_ACCOUNT, INDEX_TASK, INDEX_STATUS] {
            wipe_space(self.kv(), space, &[])?;
        }
        Ok(())
    }

    fn take_in(&self, height: Height) -> Result<(), StoreError> {
        let block = self.store.block(height)?.ok_or_else(|| damaged(&format!("block {height} is not here")))?;
        let receipts = self.store.receipts(height)?.unwrap_or_default();
        let mut batch = Batch::default();
        let (mut txs, mut tasks) = (0, 0);
        for event in (self.events)(&block, &receipts) {
            match event {
                IndexEvent::Tx { hash, id, accounts } => {
                    let place = Place { height, index: txs };
                    txs += 1;
                    batch.put(INDEX_TX_HASH, hash.0.0, place.bytes());
                    batch.put(INDEX_TX_ID, id.0.0, place.bytes());
                    for account in accounts {
                        batch.put(INDEX_ACCOUNT, place.newest_first(&account.0), hash.0.0);
                    }
                }
                IndexEvent::Task { task, status } => {
                    let place = Place { height, index: tasks };
                    tasks += 1;
                    self.move_task(&mut batch, task, TaskStatus { status, since: place })?;
                }
            }
        }
        batch.put(INDEX_META, STATE, [&height_key(height)[..], &block.id().0.0].concat());
        // Hashes come in any order, and a table that grows to a million rows is searched for the place of each.
        batch.sort();
        self.store.at_point(CrashPoint::BeforeIndex);
        // The blocks are the truth: what a crash takes from the index is taken in again.
        self.store.write(batch, Durability::Buffered)?;
        self.store.at_point(CrashPoint::AfterIndex);
        Ok(())
    }

    fn move_task(&self, batch: &mut Batch, task: TaskId, to: TaskStatus) -> Result<(), Fault> {
        // A task that moves twice in one block leaves a row of its first move in the batch itself.
        let moved = batch.writes().iter().rev().find_map(|write| match write {
            cpc_primitives::kv::Write::Put { space, key, value } if *space == INDEX_TASK && **key == task.0.0 => {
                Some(TaskStatus::read(value))
            }
            _ => None,
        });
        let before = match moved {
            Some(status) => Some(status?),
            None => self.status_of(&task)?,
        };
        if let Some(before) = before {
            batch.delete(INDEX_STATUS, before.since.newest_first(&[before.status]));
        }
        batch.put(INDEX_TASK, task.0.0, [&[to.status][..], &to.since.bytes()].concat());
        batch.put(INDEX_STATUS, to.since.newest_first(&[to.status]), task.0.0);
        Ok(())
    }

    fn status_of(&self, task: &TaskId) -> Result<Option<TaskStatus>, Fault> {
        self.kv().get(INDEX_TASK, &task.0.0)?.map(|bytes| TaskStatus::read(&bytes)).transpose()
    }

    fn place(&self, space: Space, digest: &Digest) -> Result<Option<Place>, Fault> {
        self.kv().get(space, &digest.0)?.map(|bytes| Place::read(&bytes)).transpose()
    }

    fn newest_first(
        &self,
        space: Space,
        name: &[u8],
        before: Option<Place>,
        rows: usize,
    ) -> Result<Vec<(Place, Vec<u8>)>, Fault> {
        let rows = rows.min(PAGE_ROWS_MAX);
        let from = before.map_or_else(|| name.to_vec(), |place| place.newest_first(name));
        let (mut found, mut wrong) = (Vec::new(), None);
        self.kv().scan(space, &from, &mut |key, value| {
            let Some(place) = key.strip_prefix(name) else { return ControlFlow::Break(()) };
            match Place::read_newest_first(place) {
                Ok(place) if before.is_none_or(|before| place < before) => found.push((place, value.to_vec())),
                Ok(_) => {}
                Err(fault) => wrong = Some(fault),
            }
            if found.len() < rows && wrong.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        found.truncate(rows);
        wrong.map_or(Ok(found), Err)
    }
}

/// What a block says of its transactions; whatever it says of tasks comes with their rules.
pub fn tx_events(block: &Block, _receipts: &[u8]) -> Vec<IndexEvent> {
    let event = |tx: &cpc_primitives::tx::SignedTx| {
        let sender = tx.sender_address();
        let other = match &tx.body.action {
            Action::Transfer(transfer) => Some(transfer.to),
            Action::Delegate(delegate) | Action::Undelegate(delegate) => Some(delegate.validator),
            Action::RegisterWorker(worker) => Some(worker.payout),
            Action::TreasurySpend(spend) => Some(spend.to),
            _ => None,
        };
        let other = other.filter(|other| *other != sender);
        IndexEvent::Tx { hash: tx.hash(), id: tx.id(), accounts: [sender].into_iter().chain(other).collect() }
    };
    block.txs.iter().map(event).collect()
}

fn read_state(bytes: &[u8]) -> Option<(Height, Digest)> {
    let (height, id) = bytes.split_at_checked(8)?;
    height_of(height).zip(id_of(id).map(|id| id.0))
}

impl Place {
    fn bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&height_key(self.height));
        bytes[8..].copy_from_slice(&self.index.to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let place = bytes.split_first_chunk().and_then(|(height, index)| {
            let index = u32::from_be_bytes(index.try_into().ok()?);
            Some(Self { height: Height(u64::from_be_bytes(*height)), index })
        });
        place.ok_or_else(|| damaged("a place in the index"))
    }

    /// A key that sorts later places before earlier ones: every bit of the place turned over (IDX-4).
    fn newest_first(self, name: &[u8]) -> Vec<u8> {
        let turned = self.bytes().map(|byte| !byte);
        [name, &turned].concat()
    }

    fn read_newest_first(bytes: &[u8]) -> Result<Self, Fault> {
        let turned: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
        Self::read(&turned)
    }
}

impl TaskStatus {
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let (status, since) = bytes.split_first().ok_or_else(|| damaged("the status of a task in the index"))?;
        Ok(Self { status: *status, since: Place::read(since)? })
    }
}

fn digest(bytes: &[u8]) -> Result<Digest, Fault> {
    bytes.try_into().map(Digest).map_err(|_| damaged("a hash in the index"))
}
