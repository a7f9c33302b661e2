//! The full check: every hash of the state from its entries, every block by its header.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use cpc_primitives::block::tx_root;
use cpc_primitives::limits::BUCKETS;
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::{EMPTY, Part};
use cpc_primitives::{Block, BlockId, Digest, Height};

use crate::dense::Dense;
use crate::error::StoreError;
use crate::page::{Body, Inner, Page, PageId};
use crate::store::Store;

/// Differences that are named; of more, only the number is kept.
const DIFFERENCES_MAX: usize = 100;

/// What a full check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckReport {
    /// The block whose state was checked.
    pub height: Height,
    /// The root of the entries that are there.
    pub root: Digest,
    /// Entries of the state.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub entry_bytes: u64,
    /// Pages that hold them.
    pub pages: u64,
    /// Buckets that are not empty.
    pub buckets: u64,
    /// Blocks that are kept.
    pub blocks: u64,
    /// What is not as it must be, the first hundred by name.
    pub differences: Vec<String>,
    /// How many there are in all.
    pub differing: u64,
}

impl CheckReport {
    /// Whether everything is as it must be.
    pub fn is_sound(&self) -> bool {
        self.differing == 0
    }

    fn differs(&mut self, what: String) {
        self.differing += 1;
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(what);
        }
    }
}

impl Store {
    /// Recomputes the state's root from its entries and the blocks' ids from their bytes, and names what differs.
    ///
    /// Every entry is shown to `each`, so that the ledger can recount the supply. Commits wait meanwhile.
    pub fn check(&self, each: &mut dyn FnMut(&StateKey, &[u8])) -> Result<CheckReport, StoreError> {
        let _writing = self.writing();
        let tip = self.tip().ok_or(StoreError::Empty)?;
        let mut report = CheckReport {
            height: tip.height(),
            root: EMPTY,
            entries: 0,
            entry_bytes: 0,
            pages: 0,
            buckets: 0,
            blocks: 0,
            differences: Vec::new(),
            differing: 0,
        };
        let roots = self.check_pages(&mut report, each)?;
        self.check_roots(&mut report, roots);
        if report.root != tip.header.state_root {
            let (expected, found) = (tip.header.state_root, report.root);
            report.differs(format!("the state root: the header has {expected}, the entries give {found}"));
        }
        self.check_blocks(&mut report)?;
        Ok(report)
    }

    /// Reads every page in order, children after their parents; returns the roots of the buckets.
    fn check_pages(
        &self,
        report: &mut CheckReport,
        each: &mut dyn FnMut(&StateKey, &[u8]),
    ) -> Result<Vec<(u32, Digest)>, StoreError> {
        let mut roots = Vec::new();
        let (mut walk, mut over_pages) = (Walk::default(), BTreeSet::new());
        self.scan_pages(0, &mut |row, bytes| {
            report.pages += 1;
            let page = PageId::of_row(row)
                .ok_or("a row that names no page")
                .and_then(|id| Page::decode(&id, bytes).map(|page| (id, page)));
            match page {
                Err(what) => report.differs(format!("page {row:?}: {what}")),
                Ok((id, page)) => {
                    walk.enter(&id, &page, report);
                    if id.nibbles() == 0 {
                        roots.push((id.bucket(), page.part().digest()));
                        if page.entries().is_none() {
                            over_pages.insert(row.to_vec());
                        }
                    }
                    for entry in page.entries().unwrap_or_default() {
                        report.entries += 1;
                        let bytes = entry.key().len() + entry.value().len();
                        report.entry_bytes += u64::try_from(bytes).expect("a page is far below 2^64 bytes");
                        each(&entry.state_key(), entry.value());
                    }
                    walk.open(id, &page);
                }
            }
            ControlFlow::Continue(())
        })?;
        walk.leave_all(report);
        self.strays(&mut |row, _| {
            let is_below = row.len() > 4 && row.get(..4).is_some_and(|bucket| over_pages.contains(bucket));
            if !is_below {
                report.differs(format!("page {row:?} is below no other"));
            }
            ControlFlow::Continue(())
        })?;
        Ok(roots)
    }

    /// Compares the roots of the pages with those in memory.
    fn check_roots(&self, report: &mut CheckReport, roots: Vec<(u32, Digest)>) {
        let computed = Dense::over(roots);
        let memory = self.tree().live();
        for bucket in 0..BUCKETS {
            let (found, live) = (computed.get(0, bucket), memory.dense.get(0, bucket));
            if found != EMPTY {
                report.buckets += 1;
            }
            if found != live {
                report.differs(format!("bucket {bucket}: pages {found}, memory {live}"));
            }
        }
        report.root = computed.root();
    }

    fn check_blocks(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let (mut height, mut parent) = (self.lowest()?, None);
        while height <= report.height {
            report.blocks += 1;
            parent = match self.check_block(height, parent) {
                Ok(id) => Some(id),
                Err(what) => {
                    report.differs(format!("block {height}: {what}"));
                    None
                }
            };
            let Some(next) = height.next() else { break };
            height = next;
        }
        Ok(())
    }

    fn check_block(&self, height: Height, parent: Option<BlockId>) -> Result<BlockId, String> {
        let block: Block = self.block(height).map_err(|fault| fault.to_string())?.ok_or("it is not here")?;
        let id = block.id();
        if self.height_of(&id).map_err(|fault| fault.to_string())? != Some(height) {
            return Err(format!("{id} is not found by its id"));
        }
        if tx_root(block.txs.iter().map(|tx| tx.hash())) != block.header.tx_root {
            return Err("its transactions are not those of its header".to_owned());
        }
        match parent {
            Some(parent) if parent != block.header.parent => {
                Err(format!("its parent is {}, the block before has {parent}", block.header.parent))
            }
            _ => Ok(id),
        }
    }
}

/// The pages above the one that is looked at.
#[derive(Default)]
struct Walk {
    above: Vec<Above>,
}

struct Above {
    id: PageId,
    inner: Inner,
    seen: u16,
    count: u64,
}

impl Walk {
    /// Compares a page with what the page above says of it.
    fn enter(&mut self, id: &PageId, page: &Page, report: &mut CheckReport) {
        while self.above.last().is_some_and(|above| !above.id.is_above(id)) {
            self.leave(report);
        }
        let direct = self.above.last_mut().filter(|above| above.id.nibbles() + 1 == id.nibbles());
        match direct {
            Some(above) => {
                let nibble = id.last_nibble();
                above.seen |= 1 << nibble;
                above.count += page.count();
                if above.inner.child(nibble) != page.part() {
                    let (named, found) = (above.inner.child(nibble).digest(), page.part().digest());
                    report.differs(format!("page {:?} has hash {found}, the page above names {named}", id.row()));
                }
            }
            None if id.nibbles() == 0 => {}
            None => report.differs(format!("page {:?} is below no other", id.row())),
        }
    }

    fn open(&mut self, id: PageId, page: &Page) {
        if let Body::Inner(inner) = page.body() {
            self.above.push(Above { id, inner: Inner::clone(inner), seen: 0, count: 0 });
        }
    }

    fn leave(&mut self, report: &mut CheckReport) {
        let Some(above) = self.above.pop() else { return };
        let named = (0..16).filter(|nibble| above.inner.child(*nibble) != Part::Empty);
        for nibble in named.filter(|nibble| above.seen >> nibble & 1 == 0) {
            report.differs(format!("page {:?} is missing", above.id.child(nibble).row()));
        }
        if above.count != above.inner.count() {
            let (named, found) = (above.inner.count(), above.count);
            report.differs(format!("page {:?} counts {named} entries, below it are {found}", above.id.row()));
        }
    }

    fn leave_all(&mut self, report: &mut CheckReport) {
        while !self.above.is_empty() {
            self.leave(report);
        }
    }
}
