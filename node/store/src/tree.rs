//! The state after the last final block, and the states over it that are not final yet.
//!
//! A reader names its state by its lineage: the layers of blocks that are not final, over a version of the base. Every
//! page that comes from the cache or the disk is compared with the hash that the tree in memory has for it, so that
//! neither a stale cache nor a damaged disk can answer for the state (TRE-5).

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use cpc_ledger::Delta;
use cpc_primitives::kv::Kv;
use cpc_primitives::limits::STATE_VALUE_BYTES_MAX;
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::{EMPTY, KeyHash, Part};
use cpc_primitives::{BlockId, Digest, Fault, Header, Height};
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use rayon::prelude::*;

use crate::dense::{Beside, Dense, Levels, raise};
use crate::error::StoreError;
use crate::page::{Body, Entry, Page, PageId};
use crate::spaces::BUCKETS;
use crate::update::{Change, ChangedPage, Pages, apply, same_page};

/// The last final block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tip {
    /// Its header.
    pub header: Arc<Header>,
    /// Its id.
    pub id: BlockId,
}

impl Tip {
    /// Its height.
    pub fn height(&self) -> Height {
        self.header.height
    }
}

/// The base, its pages, and the nodes above its buckets.
pub(crate) struct Tree {
    kv: Arc<dyn Kv>,
    cache: PageCache,
    live: RwLock<Live>,
    disk_reads: AtomicU64,
}

/// What changes with a commit, and only with one.
pub(crate) struct Live {
    pub(crate) tip: Option<Tip>,
    /// Counts commits: which state the base is.
    version: u64,
    /// Counts steps of commits: what a reader compares to tell a damaged page from one that was just replaced.
    step: u64,
    pub(crate) dense: Dense,
    /// The layer whose pages are on their way to the disk.
    committing: Option<Arc<Layer>>,
}

/// What one block changes.
#[derive(Debug)]
pub(crate) struct Layer {
    root: Digest,
    pages: ChangedPages,
    levels: Levels,
    /// The version of the base that holds this layer, once it does.
    committed: OnceLock<u64>,
}

/// Which state a reader sees.
#[derive(Clone, Debug)]
pub(crate) struct Lineage {
    /// The blocks over the base, the oldest first.
    layers: Vec<Arc<Layer>>,
    base: u64,
}

impl Tree {
    pub(crate) fn new(kv: Arc<dyn Kv>, cache_bytes: u64) -> Self {
        let pages = usize::try_from(cache_bytes / PAGE_BYTES_TYPICAL).unwrap_or(usize::MAX).max(1);
        let cache = Cache::with(pages, cache_bytes, ByBytes, PageHash, DefaultLifecycle::default());
        let live = Live { tip: None, version: 0, step: 0, dense: Dense::new(), committing: None };
        Self { kv, cache, live: RwLock::new(live), disk_reads: AtomicU64::new(0) }
    }

    pub(crate) fn disk(&self) -> Arc<dyn Kv> {
        Arc::clone(&self.kv)
    }

    pub(crate) fn kv(&self) -> &dyn Kv {
        &*self.kv
    }

    /// A holder of this lock calls nothing that may wait for it: see [`raise`].
    pub(crate) fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state after the last final block.
    pub(crate) fn base(&self) -> Lineage {
        self.live().base()
    }

    /// Puts a state in place of the base, at a start.
    pub(crate) fn reset(&self, tip: Option<Tip>, dense: Dense) {
        let mut live = self.live_mut();
        live.tip = tip;
        live.dense = dense;
        live.version += 1;
        live.step += 1;
    }

    /// The value of a key.
    pub(crate) fn read(&self, lineage: &Lineage, key: &StateKey) -> Result<Option<Vec<u8>>, StoreError> {
        let hash = KeyHash::of(key);
        let mut id = PageId::root_of(&hash);
        let mut page = self.page(lineage, &id, None)?;
        loop {
            let nibble = match page.as_deref().map(Page::body) {
                None => return Ok(None),
                Some(Body::Leaf(entries)) => {
                    let entry = entries.iter().find(|entry| *entry.hash() == hash);
                    return Ok(entry.map(|entry| entry.value().to_vec()));
                }
                Some(Body::Inner(inner)) => {
                    let nibble = id.nibble_of(&hash);
                    (nibble, inner.child(nibble))
                }
            };
            let (nibble, part) = nibble;
            id = id.child(nibble);
            page = match part {
                Part::Empty => None,
                part => self.page(lineage, &id, Some(part))?,
            };
        }
    }

    /// A page of a state; `part` is what the page above says of it, absent for a bucket's first page.
    pub(crate) fn page(
        &self,
        lineage: &Lineage,
        id: &PageId,
        part: Option<Part>,
    ) -> Result<Option<Arc<Page>>, StoreError> {
        match lineage.layers.iter().rev().find_map(|layer| layer.pages.find(id)) {
            Some(changed) => Ok(changed.new.clone()),
            None => self.base_page(lineage, id, part),
        }
    }

    fn base_page(&self, lineage: &Lineage, id: &PageId, part: Option<Part>) -> Result<Option<Arc<Page>>, StoreError> {
        loop {
            let (step, wanted) = {
                let live = self.live();
                lineage.demand_current(&live)?;
                // TRE-6: while a block is being written, its old pages answer for the base.
                if let Some(changed) = live.committing(id) {
                    return Ok(changed.old.clone());
                }
                (live.step, part.map_or_else(|| live.dense.get(0, id.bucket()), Part::digest))
            };
            if wanted == EMPTY {
                return Ok(None);
            }
            let right = |page: &Page| page.part().digest() == wanted && part.is_none_or(|part| page.part() == part);
            if let Some(cached) = self.cache.get(id).filter(|cached| right(&cached.page)) {
                return Ok(Some(cached.page));
            }
            let found = self.stored_page(id)?;
            if let Some(page) = found.as_ref().filter(|page| right(page)) {
                self.cache.insert(*id, Cached::new(page));
                return Ok(found);
            }
            // A commit may have replaced the page between the two looks; without one, the disk is wrong.
            if self.live().step == step {
                let found = found.map_or(EMPTY, |page| page.part().digest());
                let detail = format!("page {:?} has hash {found}, the tree has {wanted}", id.row());
                return Err(Fault::Damaged { detail }.into());
            }
        }
    }

    /// The first pages of many buckets: what is in memory under one lock, what is on the disk in one look.
    ///
    /// Two threads that take a lock for each page spend their time handing it to each other.
    fn first_pages(&self, lineage: &Lineage, ids: &[PageId]) -> Result<Vec<Option<Arc<Page>>>, StoreError> {
        let above = |id: &PageId| lineage.layers.iter().rev().find_map(|layer| layer.pages.find(id));
        let wanted: Vec<Option<Digest>> = {
            let live = self.live();
            lineage.demand_current(&live)?;
            // TRE-6: what is just being written is looked up on the slow way.
            ids.iter().map(|id| live.committing(id).is_none().then(|| live.dense.get(0, id.bucket()))).collect()
        };
        let (mut pages, mut absent) = (Vec::with_capacity(ids.len()), Vec::new());
        for (place, (id, wanted)) in ids.iter().zip(wanted).enumerate() {
            pages.push(match (above(id), wanted) {
                (Some(changed), _) => changed.new.clone(),
                (None, Some(EMPTY)) => None,
                (None, Some(wanted)) => {
                    let cached = self.cache.get(id).filter(|cached| cached.page.part().digest() == wanted);
                    if cached.is_none() {
                        absent.push((*id, place, wanted));
                    }
                    cached.map(|cached| cached.page)
                }
                (None, None) => self.base_page(lineage, id, None)?,
            });
        }
        self.read_first(lineage, absent, &mut pages)?;
        Ok(pages)
    }

    /// Reads first pages that are not in memory, each to its place among `pages`.
    fn read_first(
        &self,
        lineage: &Lineage,
        mut absent: Vec<(PageId, usize, Digest)>,
        pages: &mut [Option<Arc<Page>>],
    ) -> Result<(), StoreError> {
        if absent.is_empty() {
            return Ok(());
        }
        absent.sort_unstable_by_key(|(id, ..)| *id);
        // Keys of one bucket share its first page.
        let groups: Vec<&[(PageId, usize, Digest)]> = absent.chunk_by(|(a, ..), (b, ..)| a == b).collect();
        let keys: Vec<[u8; 4]> = groups.iter().map(|group| group[0].0.bucket().to_be_bytes()).collect();
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 4]>::as_slice).collect();
        self.disk_reads.fetch_add(u64::try_from(keys.len()).expect("what is in memory"), Ordering::Relaxed);
        for (group, row) in groups.into_iter().zip(self.kv.get_many(BUCKETS, &keys)?) {
            let (id, _, wanted) = group[0];
            let page = row.and_then(|bytes| Page::decode(&id, &bytes).ok());
            let page = match page.filter(|page| page.part().digest() == wanted) {
                Some(page) => {
                    let page = Arc::new(page);
                    self.cache.insert(id, Cached::new(&page));
                    Some(page)
                }
                // Replaced meanwhile, or damaged: the slow way tells them apart.
                None => self.base_page(lineage, &id, None)?,
            };
            for (_, place, _) in group {
                pages[*place] = page.clone();
            }
        }
        Ok(())
    }

    fn stored_page(&self, id: &PageId) -> Result<Option<Arc<Page>>, Fault> {
        self.disk_reads.fetch_add(1, Ordering::Relaxed);
        let row = id.row();
        let page = self.kv.get(id.space(), &row)?.map(|bytes| Page::decode(id, &bytes)).transpose();
        let page = page.map_err(|what| Fault::Damaged { detail: format!("page {row:?}: {what}") })?;
        Ok(page.map(Arc::new))
    }

    /// Brings the pages of keys into memory, on all cores.
    pub(crate) fn prefetch(&self, lineage: &Lineage, keys: &[StateKey]) -> Result<(), StoreError> {
        keys.par_chunks(KEYS_A_PIECE).try_for_each(|keys| self.read_piece(lineage, keys, |_| ()))
    }

    /// The values of many keys, on all cores.
    pub(crate) fn read_many(&self, lineage: &Lineage, keys: &[StateKey]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let pieces: Vec<Vec<Option<Vec<u8>>>> = keys
            .par_chunks(KEYS_A_PIECE)
            .map(|keys| {
                let mut values = Vec::with_capacity(keys.len());
                self.read_piece(lineage, keys, |value| values.push(value.map(<[u8]>::to_vec)))?;
                Ok::<_, StoreError>(values)
            })
            .collect::<Result<_, _>>()?;
        Ok(pieces.into_iter().flatten().collect())
    }

    /// Shows the values of a few keys, in their order.
    fn read_piece(
        &self,
        lineage: &Lineage,
        keys: &[StateKey],
        mut each: impl FnMut(Option<&[u8]>),
    ) -> Result<(), StoreError> {
        let hashes: Vec<KeyHash> = keys.iter().map(KeyHash::of).collect();
        let ids: Vec<PageId> = hashes.iter().map(PageId::root_of).collect();
        let pages = self.first_pages(lineage, &ids)?;
        for ((key, hash), page) in keys.iter().zip(&hashes).zip(&pages) {
            match page.as_deref().map(Page::body) {
                None => each(None),
                Some(Body::Leaf(entries)) => {
                    each(entries.iter().find(|entry| entry.hash() == hash).map(Entry::value));
                }
                Some(Body::Inner(_)) => each(self.read(lineage, key)?.as_deref()),
            }
        }
        Ok(())
    }

    /// Computes what a delta makes of a state: new pages, new nodes, the new root.
    pub(crate) fn grow(&self, lineage: &Lineage, delta: &Delta) -> Result<Layer, StoreError> {
        let changes = sorted(delta)?;
        let buckets: Vec<&[Change<'_>]> = changes.chunk_by(|a, b| a.hash.bucket() == b.hash.bucket()).collect();
        let pages: Vec<Vec<ChangedPage>> = buckets
            .par_chunks(BUCKETS_A_PIECE)
            .map(|buckets| self.grow_buckets(lineage, buckets))
            .collect::<Result<_, _>>()?;
        let pages = ChangedPages::new(pages.into_iter().flatten().collect());
        let layers: Vec<&Levels> = lineage.layers.iter().map(|layer| &layer.levels).collect();
        let levels = raise(&layers, pages.roots(), || self.beside(lineage)).ok_or(StoreError::Stale)?;
        let root = match levels[20].first() {
            Some((_, root)) => *root,
            None => self.root(lineage)?,
        };
        Ok(Layer { root, pages, levels, committed: OnceLock::new() })
    }

    fn grow_buckets(&self, lineage: &Lineage, buckets: &[&[Change<'_>]]) -> Result<Vec<ChangedPage>, StoreError> {
        let below = Below { tree: self, lineage };
        let ids: Vec<PageId> = buckets.iter().map(|changes| PageId::root_of(&changes[0].hash)).collect();
        let mut out = Vec::with_capacity(buckets.len());
        for ((changes, id), old) in buckets.iter().zip(ids.iter().copied()).zip(self.first_pages(lineage, &ids)?) {
            let first = out.len();
            let new = apply(&below, &id, old.as_ref(), changes, &mut out)?;
            if !same_page(old.as_ref(), new.as_ref()) {
                out.push(ChangedPage { id, old, new });
            }
            out[first..].sort_unstable_by_key(|page| page.id);
        }
        Ok(out)
    }

    fn beside(&self, lineage: &Lineage) -> Option<OpenBase<'_>> {
        let live = self.live();
        lineage.demand_current(&live).ok()?;
        Some(OpenBase(live))
    }

    /// The root of a state.
    pub(crate) fn root(&self, lineage: &Lineage) -> Result<Digest, StoreError> {
        match lineage.layers.last() {
            Some(layer) => Ok(layer.root),
            None => {
                let live = self.live();
                lineage.demand_current(&live)?;
                Ok(live.dense.root())
            }
        }
    }

    /// The node above the buckets at a place, in the state after the last final block.
    pub(crate) fn node(&self, lineage: &Lineage, level: usize, place: u32) -> Result<Digest, StoreError> {
        let live = self.live();
        lineage.demand_current(&live)?;
        Ok(live.dense.get(level, place))
    }

    /// The state after one more block.
    ///
    /// What has become part of the base is left out, or a chain of states would keep every block in memory.
    pub(crate) fn extend(&self, lineage: &Lineage, layer: Layer) -> Lineage {
        // Under the lock no layer becomes part of the base between the two looks.
        let _live = self.live();
        let committed = lineage.layers.iter().rev().find_map(|layer| layer.committed.get());
        let waiting = lineage.layers.iter().filter(|layer| layer.committed.get().is_none());
        Lineage {
            layers: waiting.cloned().chain([Arc::new(layer)]).collect(),
            base: committed.copied().unwrap_or(lineage.base),
        }
    }

    /// Whether a state may still become final.
    pub(crate) fn is_current(&self, lineage: &Lineage) -> bool {
        lineage.demand_current(&self.live()).is_ok()
    }

    /// The one layer of a state that is not final, where the state is built on that of the last final block.
    pub(crate) fn next_layer<'a>(&self, lineage: &'a Lineage) -> Result<&'a Arc<Layer>, StoreError> {
        lineage.demand_current(&self.live())?;
        let mut waiting = lineage.layers.iter().filter(|layer| layer.committed.get().is_none());
        match (waiting.next(), waiting.next()) {
            (Some(layer), None) => Ok(layer),
            _ => Err(StoreError::NotNext),
        }
    }

    /// Begins to write a layer: from here on its old pages answer for the base (TRE-6).
    pub(crate) fn begin(&self, layer: &Arc<Layer>) {
        let mut live = self.live_mut();
        live.committing = Some(Arc::clone(layer));
        live.step += 1;
    }

    /// Gives up on a layer that was not written.
    pub(crate) fn abandon(&self) {
        let mut live = self.live_mut();
        live.committing = None;
        live.step += 1;
    }

    /// Makes a written layer part of the base.
    pub(crate) fn finish(&self, layer: &Layer, tip: Tip) {
        {
            let mut live = self.live_mut();
            live.dense.apply(&layer.levels);
            live.tip = Some(tip);
            live.version += 1;
            live.step += 1;
            live.committing = None;
            layer.committed.set(live.version).expect("a layer is committed once, under the store's commit lock");
        }
        for page in layer.pages.iter() {
            match &page.new {
                Some(new) => self.cache.insert(page.id, Cached::new(new)),
                None => drop(self.cache.remove(&page.id)),
            }
        }
    }

    /// Pages in the cache, and their bytes.
    pub(crate) fn cached(&self) -> (u64, u64) {
        (u64::try_from(self.cache.len()).expect("a count in memory fits 64 bits"), self.cache.weight())
    }

    /// How often a page was read from the disk since the start.
    pub(crate) fn disk_reads(&self) -> u64 {
        self.disk_reads.load(Ordering::Relaxed)
    }

    /// Forgets every cached page: for measuring and for tests.
    pub(crate) fn forget(&self) {
        self.cache.clear();
    }
}

impl Live {
    /// What is being written of a page.
    fn committing(&self, id: &PageId) -> Option<&ChangedPage> {
        self.committing.as_ref().and_then(|layer| layer.pages.find(id))
    }

    /// The state after the last final block.
    pub(crate) fn base(&self) -> Lineage {
        Lineage { layers: Vec::new(), base: self.version }
    }
}

impl Layer {
    pub(crate) fn root(&self) -> Digest {
        self.root
    }

    /// The same layer with another root: for the planted bug.
    #[cfg(feature = "canary")]
    pub(crate) fn with_root(self, root: Option<Digest>) -> Self {
        Self { root: root.unwrap_or(self.root), ..self }
    }

    pub(crate) fn pages(&self) -> &[ChangedPage] {
        &self.pages.pages
    }

    /// The changed roots of buckets, in order: for the planted bug.
    #[cfg(feature = "canary")]
    pub(crate) fn buckets(&self) -> &[(u32, Digest)] {
        &self.levels[0]
    }
}

impl Lineage {
    /// How many of its blocks are not final.
    pub(crate) fn waiting(&self) -> usize {
        self.layers.iter().filter(|layer| layer.committed.get().is_none()).count()
    }

    /// STO-7: a state that a final block has excluded gives no answers, for the base under it is another one.
    fn demand_current(&self, live: &Live) -> Result<(), StoreError> {
        let committed = self.layers.iter().rev().find_map(|layer| layer.committed.get());
        if committed.copied().unwrap_or(self.base) == live.version { Ok(()) } else { Err(StoreError::Stale) }
    }
}

/// The changed pages of a layer in the order of their places, with an index by bucket.
#[derive(Debug)]
struct ChangedPages {
    pages: Vec<ChangedPage>,
    /// Where the pages of a group of neighbouring buckets begin.
    starts: Vec<u32>,
    /// How many bits of a bucket name its group.
    bits: u32,
}

impl ChangedPages {
    fn new(pages: Vec<ChangedPage>) -> Self {
        debug_assert!(pages.is_sorted_by(|a, b| a.id < b.id), "buckets come in order, and pages within them");
        let count = u32::try_from(pages.len()).expect("a delta in memory has fewer than 2^32 keys");
        let bits = count.checked_ilog2().unwrap_or(0).min(20);
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        for (at, page) in (0u32..).zip(&pages) {
            // Only the first page of a group makes the list longer.
            starts.resize(group_of(&page.id, bits) + 1, at);
        }
        starts.resize((1 << bits) + 1, count);
        Self { pages, starts, bits }
    }

    fn find(&self, id: &PageId) -> Option<&ChangedPage> {
        let group = group_of(id, self.bits);
        let at = |start: u32| usize::try_from(start).expect("32 bits fit");
        let pages = &self.pages[at(self.starts[group])..at(self.starts[group + 1])];
        pages.binary_search_by_key(id, |page| page.id).ok().map(|at| &pages[at])
    }

    fn iter(&self) -> impl Iterator<Item = &ChangedPage> {
        self.pages.iter()
    }

    /// The changed roots of buckets.
    fn roots(&self) -> Vec<(u32, Digest)> {
        let first = self.pages.iter().filter(|page| page.id.nibbles() == 0);
        first.map(|page| (page.id.bucket(), page.new.as_ref().map_or(EMPTY, |new| new.part().digest()))).collect()
    }
}

fn group_of(id: &PageId, bits: u32) -> usize {
    let group = id.head().checked_shr(64 - bits).unwrap_or(0);
    usize::try_from(group).expect("at most 20 bits")
}

/// The base's nodes for one piece of work.
struct OpenBase<'a>(RwLockReadGuard<'a, Live>);

impl Beside for OpenBase<'_> {
    fn node(&self, level: usize, place: u32) -> Digest {
        self.0.dense.get(level, place)
    }
}

/// The pages below a page, in a state.
struct Below<'a> {
    tree: &'a Tree,
    lineage: &'a Lineage,
}

impl Pages for Below<'_> {
    type Error = StoreError;

    fn child(&self, id: &PageId, part: Part) -> Result<Arc<Page>, StoreError> {
        self.tree.page(self.lineage, id, Some(part))?.ok_or_else(|| {
            let detail = format!("page {:?} is missing where the page above names it", id.row());
            Fault::Damaged { detail }.into()
        })
    }
}

/// Changes in the order of their places.
fn sorted(delta: &Delta) -> Result<Vec<Change<'_>>, StoreError> {
    let changes: Vec<(&StateKey, Option<&[u8]>)> = delta.iter().collect();
    let longest = changes.iter().filter_map(|(_, value)| *value).map(<[u8]>::len).max().unwrap_or(0);
    if longest > STATE_VALUE_BYTES_MAX {
        return Err(StoreError::ValueTooLong { limit: STATE_VALUE_BYTES_MAX, found: longest });
    }
    let mut changes: Vec<Change<'_>> = changes
        .par_iter()
        .with_min_len(512)
        .map(|(key, value)| Change { hash: KeyHash::of(key), key, value: *value })
        .collect();
    // Hashes that begin alike are rare: a number is compared at once, bytes are not.
    let head = |change: &Change<'_>| PageId::head_of(&change.hash);
    changes.par_sort_unstable_by(|a, b| head(a).cmp(&head(b)).then_with(|| a.hash.cmp(&b.hash)));
    Ok(changes)
}

/// Keys that one piece of a prefetch takes together.
const KEYS_A_PIECE: usize = 128;
/// Buckets that one piece of the work takes together.
const BUCKETS_A_PIECE: usize = 256;
/// A page with a few accounts, for sizing the cache's table.
const PAGE_BYTES_TYPICAL: u64 = 512;

type PageCache = Cache<PageId, Cached, ByBytes, PageHash>;

/// A page with its weight beside it: the cache asks for the weight of what it drops, which is far away by then.
#[derive(Clone)]
struct Cached {
    page: Arc<Page>,
    weight: u32,
}

impl Cached {
    fn new(page: &Arc<Page>) -> Self {
        Self { page: Arc::clone(page), weight: page.weight() }
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<PageId, Cached> for ByBytes {
    fn weight(&self, _: &PageId, cached: &Cached) -> u64 {
        u64::from(cached.weight)
    }
}

/// Places are already hashes: one multiplication spreads their first bits over the table.
#[derive(Clone, Default)]
struct PageHash;

impl BuildHasher for PageHash {
    type Hasher = Mixer;

    fn build_hasher(&self) -> Mixer {
        Mixer(0)
    }
}

struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let wide = u128::from(self.0 ^ number) * 0x9e37_79b9_7f4a_7c15;
        let [low, high] = [wide & u128::from(u64::MAX), wide >> 64];
        self.0 = u64::try_from(low ^ high).expect("two halves of 64 bits");
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Hash for PageId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.head() ^ u64::from(self.nibbles()));
    }
}
