//! The chain on a disk: one synced batch a block, and a start that believes nothing it has not checked.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cpc_ledger::{Delta, StateRead};
use cpc_primitives::codec::{Bounded, encode};
use cpc_primitives::kv::{Batch, Durability, Kv, Space, Visit, Write};
use cpc_primitives::limits::BLOCK_BYTES_MAX;
use cpc_primitives::state::StateKey;
use cpc_primitives::{Block, BlockId, Digest, Fault, Header, Height, Mismatch, same};
use rayon::prelude::*;

use crate::crash::CrashPoint;
use crate::dense::Dense;
use crate::error::StoreError;
use crate::floor::{Floor, Mark};
use crate::page::{Page, PageId};
use crate::rocks::{RocksKv, RocksOptions};
use crate::spaces::{
    APPLIED, BLOCKS, BUCKETS, CERTIFICATES, CHAIN_SPACES, FORMAT, GENESIS, HEADERS, IDS, LOWEST, META, PAGES, RECEIPTS,
    RESTORING, height_key, height_of, id_of,
};
use crate::tree::{Layer, Lineage, Tip, Tree};

/// The format of the directory; a change of any row's bytes counts it up (STO-1).
pub(crate) const FORMAT_VERSION: u32 = 2;
/// Bytes of a certificate.
pub const CERTIFICATE_BYTES_MAX: usize = cpc_light::limits::CERTIFICATE_BYTES_MAX;
/// Bytes of a block's receipts.
pub const RECEIPTS_BYTES_MAX: usize = BLOCK_BYTES_MAX;

/// How a store uses memory, and where it is told to crash.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of pages kept in memory.
    pub cache_bytes: u64,
    /// Blocks that may wait over the last final one.
    pub overlays_max: usize,
    /// Called at every named point of a commit: for the torture, which ends the process there.
    pub at_point: fn(CrashPoint),
    /// The bug to plant.
    #[cfg(feature = "canary")]
    pub canary: Option<crate::Canary>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 256 << 20,
            overlays_max: 64,
            at_point: |_| {},
            #[cfg(feature = "canary")]
            canary: None,
        }
    }
}

/// The final blocks and the state after the last of them.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    tree: Tree,
    options: Options,
    /// How high the chain was, outside the disk's own word; a store in memory has none.
    floor: Option<Floor>,
    /// Held while the disk changes, and by whoever needs that it does not.
    writing: Mutex<()>,
    written_bytes: AtomicU64,
}

/// The state after the last final block, as it was when this was made.
pub struct Base {
    store: Store,
    lineage: Lineage,
}

/// The state after a block that is not final yet.
pub struct Overlay {
    store: Store,
    lineage: Lineage,
    root: Digest,
}

/// What the store can say of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stats {
    /// The first block that is kept.
    pub lowest: Height,
    /// The last final block.
    pub tip: Height,
    /// Pages in the cache.
    pub cached_pages: u64,
    /// Their bytes.
    pub cached_bytes: u64,
    /// Bytes of the nodes above the buckets.
    pub tree_bytes: u64,
    /// Pages read from the disk since the start.
    pub disk_reads: u64,
    /// Bytes given to the disk since the start, keys included.
    pub written_bytes: u64,
}

impl Store {
    /// Opens what is there and checks it (STO-6): the format, the last final block, and that the first pages of all
    /// buckets, hashed again, give the state root of its header.
    ///
    /// Whoever holds the keys of a real chain opens its directory with [`Store::open_dir`], which also knows the floor.
    pub fn open(kv: Arc<dyn Kv>, options: Options) -> Result<Self, StoreError> {
        Self::open_over(kv, None, options)
    }

    /// Opens or creates the store in a directory, and demands that it is as high as its floor says (STO-10).
    pub fn open_dir(dir: &Path, rocks: RocksOptions, options: Options) -> Result<Self, StoreError> {
        Self::open_dir_beside(dir, &[], rocks, options)
    }

    /// The same for a directory in which somebody else keeps key spaces of their own, reached by [`Store::disk`].
    pub fn open_dir_beside(
        dir: &Path,
        others: &[Space],
        rocks: RocksOptions,
        options: Options,
    ) -> Result<Self, StoreError> {
        let floor = Floor::open(dir)?;
        if let Some(mark) = floor.mark()
            && !RocksKv::is_in(dir)
        {
            // Before anything is created there: what is left may still be of use to whoever mends it.
            return Err(below(&mark, "there is no database").into());
        }
        let kv = RocksKv::open(dir, others, rocks)?;
        Self::open_over(Arc::new(kv), Some(floor), options)
    }

    fn open_over(kv: Arc<dyn Kv>, floor: Option<Floor>, options: Options) -> Result<Self, StoreError> {
        let store = Self {
            shared: Arc::new(Shared {
                tree: Tree::new(kv, options.cache_bytes),
                options,
                floor,
                writing: Mutex::new(()),
                written_bytes: AtomicU64::new(0),
            }),
        };
        store.check_format()?;
        if let Some(mark) = store.floor_mark()
            && store.kv().get(META, RESTORING)?.is_some()
        {
            return Err(below(&mark, "a restore is unfinished").into());
        }
        store.clear_unfinished()?;
        store.load()?;
        store.check_floor()?;
        store.raise_floor()?;
        Ok(store)
    }

    /// The disk under this store, for the key spaces of others; those of the chain are the store's alone.
    pub fn disk(&self) -> Arc<dyn Kv> {
        self.tree().disk()
    }

    /// Whether there is no block.
    pub fn is_empty(&self) -> bool {
        self.tree().live().tip.is_none()
    }

    /// Begins the chain with block 0 and its state. The same block again is no error (STO-2).
    pub fn init(&self, header: &Header, state: &Delta) -> Result<(), StoreError> {
        let id = header.id();
        if !self.is_empty() {
            let expected = self.genesis()?;
            return same(expected, id).map_err(StoreError::OtherGenesis);
        }
        same(Height(0), header.height).map_err(StoreError::GenesisHeight)?;
        let lineage = self.tree().base();
        let layer = self.tree().grow(&lineage, state)?;
        same(header.state_root, layer.root()).map_err(StoreError::StateRoot)?;
        let lineage = self.tree().extend(&lineage, layer);

        let _writing = self.writing();
        self.clear_unfinished()?;
        let layer = self.tree().next_layer(&lineage)?;
        let block = Block { header: header.clone(), txs: Bounded::default() }.encode();
        let mut batch = state_rows(layer);
        batch.put(META, FORMAT, FORMAT_VERSION.to_le_bytes());
        batch.put(META, GENESIS, id.0.0);
        batch.put(META, LOWEST, height_key(Height(0)));
        block_rows(&mut batch, header, &BlockBytes { id, block, certificate: &[], receipts: &[] });
        self.write_layer(layer, batch, Tip { header: Arc::new(header.clone()), id }, Durability::Synced)
    }

    /// The last final block.
    pub fn tip(&self) -> Option<Tip> {
        self.tree().live().tip.clone()
    }

    /// The state after the last final block. It answers until the next block is committed.
    pub fn base(&self) -> Base {
        Base { store: self.clone(), lineage: self.tree().base() }
    }

    /// A record of the state after the last final block, whichever that is by now.
    pub fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, Fault> {
        loop {
            match self.tree().read(&self.tree().base(), key) {
                // A commit came between the two looks.
                Err(StoreError::Stale) => {}
                answer => return answer.map_err(fault_of),
            }
        }
    }

    /// Computes the state after a block: over that of a block that is not final, or over the last final one (STO-4).
    pub fn overlay(&self, parent: Option<&Arc<Overlay>>, delta: &Delta) -> Result<Arc<Overlay>, StoreError> {
        let base;
        let parent = match parent {
            Some(parent) => &parent.lineage,
            None => {
                base = self.tree().base();
                &base
            }
        };
        let (limit, found) = (self.shared.options.overlays_max, parent.waiting() + 1);
        if found > limit {
            return Err(StoreError::TooManyOverlays { limit, found });
        }
        let layer = self.tree().grow(parent, delta)?;
        #[cfg(feature = "canary")]
        let layer = crate::canary::spoil(self.shared.options.canary, layer);
        let root = layer.root();
        Ok(Arc::new(Overlay { store: self.clone(), lineage: self.tree().extend(parent, layer), root }))
    }

    /// Makes a block final: its bytes, its certificate, its state and the applied height in one synced batch (STO-3).
    ///
    /// The same block again is no error; another one at its height is, by name. States over the block can be read
    /// while this runs, so that the next block may be executed meanwhile.
    pub fn commit(
        &self,
        overlay: &Arc<Overlay>,
        block: &Block,
        certificate: &[u8],
        receipts: &[u8],
    ) -> Result<(), StoreError> {
        self.commit_as(overlay, block, certificate, receipts, Durability::Synced)
    }

    /// The same, where a buffered block may be lost with the power, together with all that were committed after it.
    ///
    /// It is for whoever takes several blocks from others and can fetch them again: the last one is synced, and with it
    /// those before it.
    pub fn commit_as(
        &self,
        overlay: &Arc<Overlay>,
        block: &Block,
        certificate: &[u8],
        receipts: &[u8],
        durability: Durability,
    ) -> Result<(), StoreError> {
        let _writing = self.writing();
        let (header, id) = (&block.header, block.id());
        let tip = self.tip().ok_or(StoreError::Empty)?;
        if header.height <= tip.height() {
            return self.committed_before(header.height, id);
        }
        let next = tip.height().next().ok_or_else(|| Fault::Invariant { detail: "heights have ended".to_owned() })?;
        same(next, header.height).map_err(StoreError::Height)?;
        same(tip.id, header.parent).map_err(StoreError::Parent)?;
        let layer = self.tree().next_layer(&overlay.lineage)?;
        same(header.state_root, layer.root()).map_err(StoreError::StateRoot)?;
        let bytes = BlockBytes { id, block: block.encode(), certificate, receipts };
        short_enough("a block", &bytes.block, BLOCK_BYTES_MAX)?;
        short_enough("a certificate", certificate, CERTIFICATE_BYTES_MAX)?;
        short_enough("receipts", receipts, RECEIPTS_BYTES_MAX)?;

        let mut batch = state_rows(layer);
        block_rows(&mut batch, header, &bytes);
        self.write_layer(layer, batch, Tip { header: Arc::new(header.clone()), id }, durability)
    }

    /// The id of block 0.
    pub fn genesis(&self) -> Result<BlockId, StoreError> {
        let id = self.kv().get(META, GENESIS)?.ok_or(StoreError::Empty)?;
        id_of(&id).ok_or_else(|| damaged("the id of block 0").into())
    }

    /// The first block that is kept: block 0, or the one a restored snapshot was made at.
    pub fn lowest(&self) -> Result<Height, StoreError> {
        let height = self.kv().get(META, LOWEST)?.ok_or(StoreError::Empty)?;
        height_of(&height).ok_or_else(|| damaged("the lowest height").into())
    }

    /// A block.
    pub fn block(&self, height: Height) -> Result<Option<Block>, Fault> {
        let Some(bytes) = self.block_bytes(height)? else { return Ok(None) };
        let block = Block::decode(&bytes).map_err(|error| damaged(&format!("block {height}: {error}")))?;
        same(self.header(height)?.map(|header| header.id()), Some(block.id()))
            .map_err(|_| damaged(&format!("block {height} is not the one of its header")))?;
        Ok(Some(block))
    }

    /// The canonical bytes of a block.
    pub fn block_bytes(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        self.at(BLOCKS, height)
    }

    /// The header of a block.
    pub fn header(&self, height: Height) -> Result<Option<Header>, Fault> {
        let Some(bytes) = self.at(HEADERS, height)? else { return Ok(None) };
        let header = Header::decode(&bytes).map_err(|error| damaged(&format!("header {height}: {error}")))?;
        same(height, header.height).map_err(|error| damaged(&format!("the height of a header: {error}")))?;
        Ok(Some(header))
    }

    /// The height of a block.
    pub fn height_of(&self, id: &BlockId) -> Result<Option<Height>, Fault> {
        let Some(bytes) = self.kv().get(IDS, &id.0.0)? else { return Ok(None) };
        Ok(Some(height_of(&bytes).ok_or_else(|| damaged(&format!("the height of block {id}")))?))
    }

    /// The certificate of a block; block 0 has none.
    pub fn certificate(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        self.at(CERTIFICATES, height)
    }

    /// What the transactions of a block came to, in the bytes that were committed with it.
    pub fn receipts(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        self.at(RECEIPTS, height)
    }

    /// Brings the pages of keys into memory, on all cores, for a block that will read them.
    pub fn prefetch(&self, keys: &[StateKey]) -> Result<(), Fault> {
        match self.tree().prefetch(&self.tree().base(), keys) {
            // Somebody who runs beside a commit only wanted the pages to be near.
            Err(StoreError::Stale) => Ok(()),
            done => done.map_err(fault_of),
        }
    }

    /// What the store can say of itself.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let (cached_pages, cached_bytes) = self.tree().cached();
        Ok(Stats {
            lowest: self.lowest()?,
            tip: self.tip().ok_or(StoreError::Empty)?.height(),
            cached_pages,
            cached_bytes,
            tree_bytes: self.tree().live().dense.bytes(),
            disk_reads: self.tree().disk_reads(),
            written_bytes: self.shared.written_bytes.load(Ordering::Relaxed),
        })
    }

    /// Forgets every cached page, so that the next reads go to the disk: for measuring.
    pub fn forget_pages(&self) {
        self.tree().forget();
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.shared.tree
    }

    pub(crate) fn kv(&self) -> &dyn Kv {
        self.shared.tree.kv()
    }

    pub(crate) fn at_point(&self, point: CrashPoint) {
        (self.shared.options.at_point)(point);
    }

    /// Whoever holds this knows that the disk does not change.
    pub(crate) fn writing(&self) -> MutexGuard<'_, ()> {
        self.shared.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self, batch: Batch, durability: Durability) -> Result<(), Fault> {
        let bytes = batch.writes().iter().map(bytes_of).sum::<usize>();
        self.kv().write(batch, durability)?;
        let bytes = u64::try_from(bytes).expect("a batch in memory fits 64 bits");
        self.shared.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// SNAP-5: what an interrupted restore left is not a state of any block.
    pub(crate) fn clear_unfinished(&self) -> Result<(), Fault> {
        if self.kv().get(META, RESTORING)?.is_some() { wipe(self.kv()) } else { Ok(()) }
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let Some(bytes) = self.kv().get(META, FORMAT)? else { return Ok(()) };
        let found = bytes.try_into().map(u32::from_le_bytes).map_err(|_| damaged("the format"))?;
        same(FORMAT_VERSION, found).map_err(StoreError::Format)
    }

    /// STO-6: reads the last final block, and the tree above the buckets.
    pub(crate) fn load(&self) -> Result<(), StoreError> {
        let Some(applied) = self.kv().get(META, APPLIED)? else { return Ok(()) };
        if self.kv().get(META, FORMAT)?.is_none() {
            return Err(damaged("blocks were applied, and there is no format").into());
        }
        let height = height_of(&applied).ok_or_else(|| damaged("the applied height"))?;
        let header =
            self.header(height)?.ok_or_else(|| damaged(&format!("block {height} was applied and has no header")))?;
        self.block(height)?.ok_or_else(|| damaged(&format!("block {height} was applied and is not here")))?;
        let id = header.id();
        same(Some(height), self.height_of(&id)?)
            .map_err(|_| damaged(&format!("block {id} of height {height} is not found by its id")))?;
        self.check_beginning(height)?;

        let dense = Dense::over(self.stored_roots()?);
        same(header.state_root, dense.root())
            .map_err(|error| damaged(&format!("the state root of block {height} by the buckets' pages: {error}")))?;
        self.tree().reset(Some(Tip { header: Arc::new(header), id }), dense);
        Ok(())
    }

    /// The first block that is kept is there, none below it is, and block 0 is the genesis.
    fn check_beginning(&self, tip: Height) -> Result<(), StoreError> {
        let (genesis, lowest) = (self.genesis()?, self.lowest()?);
        let first = self.header(lowest)?.filter(|_| lowest <= tip);
        let first = first.ok_or_else(|| damaged(&format!("block {lowest}, the first one, is not here")))?;
        let below = match lowest.0.checked_sub(1) {
            Some(below) => self.header(Height(below))?.is_some(),
            None => first.id() != genesis,
        };
        if below { Err(damaged(&format!("block {lowest} is not the first one")).into()) } else { Ok(()) }
    }

    fn floor_mark(&self) -> Option<Mark> {
        self.shared.floor.as_ref().and_then(Floor::mark)
    }

    /// STO-10: blocks that were final do not vanish, and a chain that was begun is not begun again.
    fn check_floor(&self) -> Result<(), StoreError> {
        let Some(mark) = self.floor_mark() else { return Ok(()) };
        let Some(tip) = self.tip() else { return Err(below(&mark, "there is no block").into()) };
        if tip.height() < mark.height {
            return Err(below(&mark, &format!("the last block is {}", tip.height())).into());
        }
        same(mark.genesis, self.genesis()?).map_err(|ids| below(&mark, &format!("the id of block 0: {ids}")))?;
        let there = self.header(mark.height)?.map(|header| header.id());
        if there == Some(mark.id) { Ok(()) } else { Err(below(&mark, "there is another block at its height").into()) }
    }

    /// STO-11: the last block is on the disk, and from now on none below it is believed.
    pub(crate) fn raise_floor(&self) -> Result<(), StoreError> {
        let (Some(floor), Some(tip)) = (&self.shared.floor, self.tip()) else { return Ok(()) };
        if floor.mark().is_some_and(|mark| mark.height == tip.height()) {
            return Ok(());
        }
        Ok(floor.raise(Mark { genesis: self.genesis()?, height: tip.height(), id: tip.id })?)
    }

    /// TRE-4: the roots of all buckets, computed on all cores from their first pages on the disk.
    pub(crate) fn stored_roots(&self) -> Result<Vec<(u32, Digest)>, Fault> {
        let (mut roots, mut rows, mut wrong) = (Vec::new(), Vec::with_capacity(ROWS_A_PIECE), None);
        let mut take = |rows: &mut Vec<(Vec<u8>, Vec<u8>)>| -> Result<(), Fault> {
            let some: Result<Vec<_>, Fault> = rows.par_iter().with_min_len(256).map(root_of_row).collect();
            roots.append(&mut some?);
            rows.clear();
            Ok(())
        };
        self.kv().scan(BUCKETS, &[], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            if rows.len() < ROWS_A_PIECE {
                return ControlFlow::Continue(());
            }
            wrong = take(&mut rows).err();
            if wrong.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        wrong.map_or(Ok(()), Err)?;
        take(&mut rows)?;
        Ok(roots)
    }

    /// Shows every row of the state's pages from a bucket on, those below a bucket's first page after it.
    ///
    /// Rows of pages that belong below no first page are not among them: see [`Store::strays`].
    pub(crate) fn scan_pages(&self, first: u32, each: Visit<'_>) -> Result<(), Fault> {
        let mut below = Ok(());
        self.kv().scan(BUCKETS, &PageId::root(first).row(), &mut |row, bytes| {
            if each(row, bytes).is_break() {
                return ControlFlow::Break(());
            }
            if !Page::is_inner(bytes) {
                return ControlFlow::Continue(());
            }
            let mut flow = ControlFlow::Continue(());
            below = self.kv().scan(PAGES, row, &mut |deeper, bytes| {
                if !deeper.starts_with(row) {
                    return ControlFlow::Break(());
                }
                flow = each(deeper, bytes);
                flow
            });
            if below.is_err() { ControlFlow::Break(()) } else { flow }
        })?;
        below
    }

    /// Shows the rows of pages below the first pages of buckets, of which the caller knows whether they belong there.
    pub(crate) fn strays(&self, each: Visit<'_>) -> Result<(), Fault> {
        self.kv().scan(PAGES, &[], each)
    }

    /// STO-5: a block at or below the last final one was committed before, or is another one.
    fn committed_before(&self, height: Height, found: BlockId) -> Result<(), StoreError> {
        match self.header(height)? {
            Some(header) => same(header.id(), found).map_err(|ids| StoreError::Conflict { height, ids }),
            None => Err(StoreError::Height(Mismatch { expected: self.lowest()?, found: height })),
        }
    }

    /// Writes a block and its state in one batch, and then makes it the tip.
    fn write_layer(
        &self,
        layer: &Arc<Layer>,
        batch: Batch,
        tip: Tip,
        durability: Durability,
    ) -> Result<(), StoreError> {
        self.tree().begin(layer);
        self.at_point(CrashPoint::BeforeBatch);
        if let Err(fault) = self.write_block(batch, durability) {
            self.tree().abandon();
            return Err(fault.into());
        }
        self.at_point(CrashPoint::AfterBatch);
        self.tree().finish(layer, tip);
        // The block is final on the disk also where this fails; the node stops, and finds it when it starts again. What is
        // not synced is not there yet for the floor.
        if durability == Durability::Synced {
            self.raise_floor()?;
        }
        self.at_point(CrashPoint::AfterMemory);
        Ok(())
    }

    /// STO-3: one batch, synced before anybody is told.
    fn write_block(&self, batch: Batch, durability: Durability) -> Result<(), Fault> {
        #[cfg(feature = "canary")]
        let batch = crate::canary::split(self.shared.options.canary, batch, |first| {
            self.write(first, Durability::Synced)?;
            self.at_point(CrashPoint::BetweenBatches);
            Ok(())
        })?;
        self.write(batch, durability)
    }

    fn at(&self, space: Space, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        self.kv().get(space, &height_key(height))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store(tip {:?})", self.tip().map(|tip| tip.height()))
    }
}

impl Base {
    /// The root of this state.
    pub fn root(&self) -> Result<Digest, StoreError> {
        self.store.tree().root(&self.lineage)
    }

    /// Whether this is no longer the state after the last final block.
    pub fn is_stale(&self) -> bool {
        !self.store.tree().is_current(&self.lineage)
    }
}

impl StateRead for Base {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, Fault> {
        self.store.tree().read(&self.lineage, key).map_err(fault_of)
    }

    fn read_many(&self, keys: &[StateKey]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        self.store.tree().read_many(&self.lineage, keys).map_err(fault_of)
    }
}

impl Overlay {
    /// The root of this state.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// Whether a final block has excluded this state: it then answers with a fault, which is no reason to halt.
    pub fn is_stale(&self) -> bool {
        !self.store.tree().is_current(&self.lineage)
    }

    /// How many of the blocks under this state, its own included, are not final.
    pub fn waiting(&self) -> usize {
        self.lineage.waiting()
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Overlay({})", self.root)
    }
}

impl StateRead for Overlay {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, Fault> {
        self.store.tree().read(&self.lineage, key).map_err(fault_of)
    }

    fn read_many(&self, keys: &[StateKey]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        self.store.tree().read_many(&self.lineage, keys).map_err(fault_of)
    }
}

/// Removes everything of the chain, in batches of bounded size; the mark of an unfinished restore goes last.
pub(crate) fn wipe(kv: &dyn Kv) -> Result<(), Fault> {
    for space in CHAIN_SPACES {
        wipe_space(kv, space, &[RESTORING])?;
    }
    let mut batch = Batch::default();
    batch.delete(META, RESTORING);
    kv.write(batch, Durability::Synced)
}

/// Removes every key of a space but those to keep.
pub(crate) fn wipe_space(kv: &dyn Kv, space: Space, keep: &[&[u8]]) -> Result<(), Fault> {
    const ROWS_A_BATCH: usize = 10_000;
    let mut from = Vec::new();
    loop {
        let mut batch = Batch::default();
        let mut last = None;
        kv.scan(space, &from, &mut |key, _| {
            if !keep.contains(&key) {
                batch.delete(space, key);
            }
            last = Some(key.to_vec());
            if batch.writes().len() < ROWS_A_BATCH { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let done = batch.writes().len() < ROWS_A_BATCH;
        kv.write(batch, Durability::Buffered)?;
        match last {
            Some(last) if !done => from = last,
            _ => return Ok(()),
        }
    }
}

/// Rows that one piece of a start takes together.
const ROWS_A_PIECE: usize = 16_384;

/// The root of a bucket from the row of its first page.
fn root_of_row((row, bytes): &(Vec<u8>, Vec<u8>)) -> Result<(u32, Digest), Fault> {
    let id = PageId::of_row(row).filter(|id| id.nibbles() == 0);
    let page = id.ok_or("a row that names no bucket").and_then(|id| Ok((id, Page::decode(&id, bytes)?)));
    let (id, page) = page.map_err(|what| damaged(&format!("bucket {row:?}: {what}")))?;
    Ok((id.bucket(), page.part().digest()))
}

/// The rows of a layer: its pages.
fn state_rows(layer: &Layer) -> Batch {
    let mut rows: Vec<(Space, Vec<u8>, Option<Vec<u8>>)> = layer
        .pages()
        .par_iter()
        .with_min_len(256)
        .map(|page| (page.id.space(), page.id.row(), page.new.as_ref().map(|new| new.encode())))
        .collect();
    // The rows of one space come together and in order, as the disk's memory likes them.
    rows.sort_by_key(|(space, ..)| *space);
    let mut batch = Batch::default();
    for (space, row, page) in rows {
        match page {
            Some(page) => batch.put(space, row, page),
            None => batch.delete(space, row),
        }
    }
    batch
}

/// What is kept of a block beside its header.
pub(crate) struct BlockBytes<'a> {
    pub(crate) id: BlockId,
    pub(crate) block: Vec<u8>,
    pub(crate) certificate: &'a [u8],
    pub(crate) receipts: &'a [u8],
}

/// The rows of a block, and that it is applied (STO-3).
pub(crate) fn block_rows(batch: &mut Batch, header: &Header, bytes: &BlockBytes<'_>) {
    let key = height_key(header.height);
    batch.put(HEADERS, key, encode(header));
    batch.put(BLOCKS, key, bytes.block.as_slice());
    if !bytes.certificate.is_empty() {
        batch.put(CERTIFICATES, key, bytes.certificate);
    }
    if !bytes.receipts.is_empty() {
        batch.put(RECEIPTS, key, bytes.receipts);
    }
    batch.put(IDS, bytes.id.0.0, key);
    batch.put(META, APPLIED, key);
}

fn short_enough(what: &'static str, bytes: &[u8], limit: usize) -> Result<(), StoreError> {
    let found = bytes.len();
    if found <= limit { Ok(()) } else { Err(StoreError::TooLong { what, limit, found }) }
}

fn bytes_of(write: &Write) -> usize {
    match write {
        Write::Put { key, value, .. } => key.len() + value.len(),
        Write::Delete { key, .. } => key.len(),
    }
}

/// What is there is less than what was acknowledged.
fn below(mark: &Mark, found: &str) -> Fault {
    damaged(&format!("block {} of height {} was final on this disk, and {found}", mark.id, mark.height))
}

pub(crate) fn damaged(what: &str) -> Fault {
    Fault::Damaged { detail: what.to_owned() }
}

/// What an answer of the state means where only faults can be said.
pub(crate) fn fault_of(error: StoreError) -> Fault {
    match error {
        StoreError::Fault(fault) => fault,
        // STO-7: never an answer; whoever reads such a state asks whether it is stale before halting.
        other => Fault::Invariant { detail: other.to_string() },
    }
}
