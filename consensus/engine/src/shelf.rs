//! Marshal's final blocks and certificates on the node's own disk, with one copy of each.
//!
//! Blocks and certificates wait here from the moment they are agreed on until the chain has committed them; then they
//! are read from the chain, and their rows here are removed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use commonware_codec::{Decode as _, Encode as _};
use commonware_consensus::marshal::store::{Blocks, Certificates};
use commonware_consensus::simplex::types::Finalization;
use commonware_consensus::types::Height as LibraryHeight;
use commonware_storage::archive::Identifier;
use cpc_primitives::kv::{Batch, Durability, Kv, Space};
use cpc_primitives::{Fault, Height};

use crate::block::{AgreedBlock, Digest, id_of};
use crate::chain::Chain;
use crate::evidence::EVIDENCE;
use crate::seats::VoteScheme;
use crate::signing::MARKS;

/// Agreed blocks that are not committed yet, by height.
pub(crate) const BLOCKS: Space = Space("agreed-blocks");
/// Certificates of blocks that are not committed yet, by height.
pub(crate) const CERTIFICATES: Space = Space("agreed-certificates");
/// The key spaces that this crate writes.
pub const SPACES: &[Space] = &[BLOCKS, CERTIFICATES, MARKS, EVIDENCE];

type Certificate = Finalization<VoteScheme, Digest>;

/// The digest that a row begins with.
const DIGEST_BYTES: usize = 32;

/// One kind of row: where everything is. A node that catches up has an epoch of blocks here, so that their bytes stay in
/// memory only until they are on the disk.
struct Rows {
    space: Space,
    kv: Arc<dyn Kv>,
    /// The digest of each waiting row, by height, and its bytes as long as they are not written.
    waiting: BTreeMap<u64, (Digest, Option<Vec<u8>>)>,
    /// The height of each waiting row.
    heights: BTreeMap<Digest, u64>,
    /// Rows that go with the next write.
    gone: Vec<u64>,
}

/// What waits for its commit, shared by marshal's two stores and the driver.
pub(crate) struct Shelf {
    chain: Arc<dyn Chain>,
    seats_max: usize,
    blocks: Mutex<Rows>,
    certificates: Mutex<Rows>,
}

/// Why a row could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ShelfError(#[from] Fault);

impl Rows {
    fn load(kv: Arc<dyn Kv>, space: Space, committed: Height) -> Result<Self, Fault> {
        let (mut waiting, mut heights, mut gone, mut damage) = (BTreeMap::new(), BTreeMap::new(), Vec::new(), None);
        kv.scan(space, &[], &mut |key, value| {
            match (height_of(key), value.split_at_checked(DIGEST_BYTES)) {
                // The process ended after the commit and before the row was removed.
                (Some(height), _) if height <= committed.0 => gone.push(height),
                (Some(height), Some((digest, _))) => {
                    let digest: Digest = commonware_codec::DecodeExt::decode(digest.to_vec()).expect("32 bytes");
                    heights.insert(digest, height);
                    waiting.insert(height, (digest, None));
                }
                _ => damage = Some(format!("a row of {space} is too short")),
            }
            std::ops::ControlFlow::Continue(())
        })?;
        match damage {
            Some(detail) => Err(Fault::Damaged { detail }),
            None => Ok(Self { space, kv, waiting, heights, gone }),
        }
    }

    fn put(&mut self, height: u64, digest: Digest, bytes: Vec<u8>) {
        if self.waiting.contains_key(&height) {
            return;
        }
        self.heights.insert(digest, height);
        self.waiting.insert(height, (digest, Some(bytes)));
    }

    fn find(&self, id: &Identifier<'_, Digest>) -> Result<Option<Vec<u8>>, Fault> {
        let height = match id {
            Identifier::Index(height) => Some(*height),
            Identifier::Key(digest) => self.heights.get(*digest).copied(),
        };
        let Some((height, (_, bytes))) = height.and_then(|height| Some((height, self.waiting.get(&height)?))) else {
            return Ok(None);
        };
        if let Some(bytes) = bytes {
            return Ok(Some(bytes.clone()));
        }
        let row = self.kv.get(self.space, &height.to_be_bytes())?;
        let bytes = row.and_then(|row| row.get(DIGEST_BYTES..).map(<[u8]>::to_vec));
        bytes.map(Some).ok_or_else(|| Fault::Damaged { detail: format!("row {height} of {} is gone", self.space) })
    }

    /// Forgets what is at or below a height.
    fn committed(&mut self, height: Height) {
        let after = self.waiting.split_off(&height.0.saturating_add(1));
        for (height, (digest, _)) in std::mem::replace(&mut self.waiting, after) {
            self.heights.remove(&digest);
            self.gone.push(height);
        }
    }

    /// Writes and syncs what came until now.
    fn sync(&mut self) -> Result<(), Fault> {
        let mut batch = Batch::default();
        for height in &self.gone {
            batch.delete(self.space, height.to_be_bytes());
        }
        for (height, (digest, bytes)) in &self.waiting {
            if let Some(bytes) = bytes {
                batch.put(self.space, height.to_be_bytes(), [digest.as_ref(), &bytes[..]].concat());
            }
        }
        if batch.writes().is_empty() {
            return Ok(());
        }
        self.kv.write(batch, Durability::Synced)?;
        self.gone.clear();
        self.waiting.values_mut().for_each(|(_, bytes)| *bytes = None);
        Ok(())
    }
}

fn height_of(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

impl Shelf {
    /// Opens what waits; what the chain has committed already is forgotten.
    pub(crate) fn open(chain: Arc<dyn Chain>, kv: Arc<dyn Kv>, seats_max: usize) -> Result<Arc<Self>, Fault> {
        let committed = chain.tip().height;
        let blocks = Mutex::new(Rows::load(Arc::clone(&kv), BLOCKS, committed)?);
        let certificates = Mutex::new(Rows::load(kv, CERTIFICATES, committed)?);
        Ok(Arc::new(Self { chain, seats_max, blocks, certificates }))
    }

    /// Forgets what the chain has committed; the rows go with the next write.
    pub(crate) fn committed(&self, height: Height) {
        for rows in [&self.blocks, &self.certificates] {
            lock(rows).committed(height);
        }
    }

    fn tip(&self) -> u64 {
        self.chain.tip().height.0
    }

    fn certificate(&self, id: &Identifier<'_, Digest>) -> Result<Option<Certificate>, Fault> {
        let waiting = lock(&self.certificates).find(id)?;
        let bytes = match (waiting, self.committed_height(id)?) {
            (Some(bytes), _) => Some(bytes),
            (None, Some(height)) => self.chain.certificate(height)?,
            (None, None) => None,
        };
        let read = |bytes: Vec<u8>| Certificate::decode_cfg(bytes, &self.seats_max);
        bytes.map(read).transpose().map_err(|error| damaged("a certificate", &error))
    }

    fn block(&self, id: &Identifier<'_, Digest>) -> Result<Option<AgreedBlock>, Fault> {
        let waiting = lock(&self.blocks).find(id)?;
        let bytes = match (waiting, self.committed_height(id)?) {
            (Some(bytes), _) => Some(bytes),
            (None, Some(height)) => self.chain.block(height)?,
            (None, None) => None,
        };
        let read = |bytes: Vec<u8>| AgreedBlock::decode(bytes.into());
        bytes.map(read).transpose().map_err(|error| damaged("a block", &error))
    }

    fn committed_height(&self, id: &Identifier<'_, Digest>) -> Result<Option<Height>, Fault> {
        match id {
            Identifier::Index(height) => Ok(Some(Height(*height)).filter(|height| height.0 <= self.tip())),
            Identifier::Key(digest) => self.chain.height_of(&id_of(digest)),
        }
    }
}

fn damaged(what: &str, error: &dyn std::fmt::Display) -> Fault {
    Fault::Damaged { detail: format!("{what} on the disk cannot be read: {error}") }
}

fn lock(rows: &Mutex<Rows>) -> MutexGuard<'_, Rows> {
    rows.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Marshal's store of certificates.
pub(crate) struct CertificateShelf(pub(crate) Arc<Shelf>);

impl Certificates for CertificateShelf {
    type BlockDigest = Digest;
    type Commitment = Digest;
    type Scheme = VoteScheme;
    type Error = ShelfError;

    async fn put(self, height: LibraryHeight, digest: Digest, certificate: &Certificate) -> Result<Self, ShelfError> {
        // What is committed has its certificate, or does without.
        if height.get() > self.0.tip() {
            lock(&self.0.certificates).put(height.get(), digest, certificate.encode().to_vec());
        }
        Ok(self)
    }

    async fn sync(self) -> Result<Self, ShelfError> {
        // The lock is held over the write, so that whoever comes later waits for the rows that came before.
        lock(&self.0.certificates).sync()?;
        Ok(self)
    }

    async fn get(&self, id: Identifier<'_, Digest>) -> Result<Option<Certificate>, ShelfError> {
        Ok(self.0.certificate(&id)?)
    }

    async fn has(&self, height: LibraryHeight) -> Result<bool, ShelfError> {
        if lock(&self.0.certificates).waiting.contains_key(&height.get()) {
            return Ok(true);
        }
        let committed = height.get() <= self.0.tip();
        Ok(committed && self.0.chain.certificate(Height(height.get()))?.is_some())
    }

    async fn prune(self, _: LibraryHeight) -> Result<Self, ShelfError> {
        // What is kept is the chain's to decide.
        Ok(self)
    }

    fn last_index(&self) -> Option<LibraryHeight> {
        let waiting = lock(&self.0.certificates).waiting.last_key_value().map(|(height, _)| *height);
        let committed = self.0.chain.last_certified().ok().flatten().map(|height| height.0);
        waiting.max(committed).map(LibraryHeight::new)
    }

    fn ranges_from(&self, from: LibraryHeight) -> impl Iterator<Item = (LibraryHeight, LibraryHeight)> {
        // Marshal asks for the newest certificate at or below a height that it has processed: of the committed ones
        // the newest is enough.
        let committed = self.0.chain.last_certified().ok().flatten().map(|height| height.0);
        let waiting: Vec<u64> = lock(&self.0.certificates).waiting.keys().copied().collect();
        let heights = committed.into_iter().chain(waiting);
        let heights: Vec<u64> = heights.filter(|height| *height >= from.get()).collect();
        heights.into_iter().map(|height| (LibraryHeight::new(height), LibraryHeight::new(height)))
    }
}

/// Marshal's store of final blocks.
pub(crate) struct BlockShelf(pub(crate) Arc<Shelf>);

impl Blocks for BlockShelf {
    type Block = Arc<AgreedBlock>;
    type Error = ShelfError;

    async fn put(self, digest: Digest, block: &Arc<AgreedBlock>) -> Result<Self, ShelfError> {
        let height = block.block().header.height.0;
        if height > self.0.tip() {
            lock(&self.0.blocks).put(height, digest, block.bytes().to_vec());
        }
        Ok(self)
    }

    async fn sync(self) -> Result<Self, ShelfError> {
        lock(&self.0.blocks).sync()?;
        Ok(self)
    }

    async fn get(&self, id: Identifier<'_, Digest>) -> Result<Option<Arc<AgreedBlock>>, ShelfError> {
        Ok(self.0.block(&id)?.map(Arc::new))
    }

    async fn prune(self, _: LibraryHeight) -> Result<Self, ShelfError> {
        // What is kept is the chain's to decide.
        Ok(self)
    }

    fn missing_items(&self, start: LibraryHeight, max: usize) -> Vec<LibraryHeight> {
        let first = start.get().max(self.0.tip().saturating_add(1));
        let rows = lock(&self.0.blocks);
        let Some((last, _)) = rows.waiting.last_key_value() else { return Vec::new() };
        let missing = (first..*last).filter(|height| !rows.waiting.contains_key(height));
        missing.take(max).map(LibraryHeight::new).collect()
    }

    fn next_gap(&self, value: LibraryHeight) -> (Option<LibraryHeight>, Option<LibraryHeight>) {
        let (value, tip) = (value.get(), self.0.tip());
        let rows = lock(&self.0.blocks);
        let has = |height: u64| height <= tip || rows.waiting.contains_key(&height);
        let end = has(value).then(|| {
            let mut end = value.max(tip);
            while rows.waiting.contains_key(&end.saturating_add(1)) {
                end = end.saturating_add(1);
            }
            end
        });
        let after = end.unwrap_or(value).saturating_add(1);
        let next = rows.waiting.range(after..).next().map(|(height, _)| *height);
        (end.map(LibraryHeight::new), next.map(LibraryHeight::new))
    }

    fn last_index(&self) -> Option<LibraryHeight> {
        let waiting = lock(&self.0.blocks).waiting.last_key_value().map(|(height, _)| *height);
        Some(LibraryHeight::new(waiting.unwrap_or(0).max(self.0.tip())))
    }
}
