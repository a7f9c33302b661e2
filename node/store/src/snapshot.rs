//! Snapshots: the state of one final block in files that anybody can check against its header.
//!
//! A chunk holds the entries of 4,096 neighbouring buckets in the order of their hashes; the manifest names the root
//! of each, and those roots give the state root. Nothing that is read is believed: sizes are bounded before anything
//! is kept, and nothing is written into a store before every chunk has been checked (SNAP-1 to SNAP-5).

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cpc_primitives::codec::{Bounded, CodecError, decode, encode};
use cpc_primitives::kv::{Batch, Durability};
use cpc_primitives::limits::{BLOCK_BYTES_MAX, BUCKET_BITS, BUCKETS, STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX};
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::{EMPTY, KeyHash, empty_roots};
use cpc_primitives::{Block, BlockId, Digest, Fault, Header, Height, Mismatch, same};
use wincode::{SchemaRead, SchemaWrite};

use crate::crash::CrashPoint;
use crate::dense::climb_alone;
use crate::error::StoreError;
use crate::page::{Body, Entry, Page, PageId};
use crate::spaces::{FORMAT, GENESIS, LOWEST, META, RESTORING, height_key};
use crate::store::{BlockBytes, CERTIFICATE_BYTES_MAX, FORMAT_VERSION, Store, block_rows, damaged, wipe};
use crate::update::{ChangedPage, grow};

/// The format of the files (SNAP-1).
const SNAPSHOT_VERSION: u32 = 1;
/// Chunks of a snapshot.
const CHUNKS: usize = 1 << (BUCKET_BITS - CHUNK_LEVEL);
/// Bytes of the entries of one bucket: what is held in memory at once.
const BUCKET_BYTES_MAX: usize = 64 << 20;
/// Files that may lie beside the chunks.
pub const BESIDE_FILES_MAX: usize = 4;
/// Bytes of each of them.
pub const BESIDE_BYTES_MAX: usize = cpc_light::limits::PROOF_FILE_BYTES_MAX;

/// The level of the state tree at which a chunk's root stands.
const CHUNK_LEVEL: u32 = 12;
const BUCKETS_A_CHUNK: u32 = 1 << CHUNK_LEVEL;
const MANIFEST_BYTES_MAX: usize = 128 << 10;

/// What a snapshot is of.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Manifest {
    /// The format of the files.
    pub version: u32,
    /// Block 0 of the network.
    pub genesis: BlockId,
    /// The block whose state this is.
    pub header: Header,
    /// That block's certificate.
    pub certificate: Bounded<u8, CERTIFICATE_BYTES_MAX>,
    /// The chunks, in the order of their buckets.
    pub chunks: Bounded<Chunk, CHUNKS>,
}

/// One file of entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Chunk {
    /// The node of the state tree over its buckets.
    pub root: Digest,
    /// Its entries.
    pub entries: u64,
    /// The bytes of its file.
    pub bytes: u64,
}

/// A snapshot in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The directory.
    pub dir: PathBuf,
    /// What it is of.
    pub manifest: Manifest,
}

/// A file that belongs to a snapshot and that the store does not read: what proves its block final.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beside<'a> {
    /// Its name in the directory.
    pub name: &'a str,
    /// What it holds.
    pub bytes: &'a [u8],
}

/// A directory that is a snapshot, or should be one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The directory.
    pub dir: PathBuf,
    /// The snapshot, or what is wrong with it.
    pub snapshot: Result<Snapshot, SnapshotError>,
}

/// What the caller knows to be final, from a certificate it has checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trusted {
    /// Block 0 of the network.
    pub genesis: BlockId,
    /// The block whose state is wanted.
    pub block: BlockId,
}

/// Why a snapshot was not made, or not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The store refuses, or stops.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The manifest cannot be read.
    #[error("the manifest of the snapshot: {0}")]
    Manifest(CodecError),
    /// The files are of another format.
    #[error("the snapshot is of another format ({0})")]
    Version(Mismatch<u32>),
    /// A snapshot of another network.
    #[error("the snapshot is of another network, by the id of block 0 ({0})")]
    Genesis(Mismatch<BlockId>),
    /// A snapshot of another block.
    #[error("the snapshot is of another block ({0})")]
    Block(Mismatch<BlockId>),
    /// The chunks' roots do not give the state root.
    #[error("the chunks of the snapshot do not give the state root of its header ({0})")]
    StateRoot(Mismatch<Digest>),
    /// A number of chunks that no snapshot has.
    #[error("chunks of the snapshot: {0}")]
    Chunks(Mismatch<usize>),
    /// A chunk does not hold what the manifest says.
    #[error("chunk {chunk} of the snapshot: {what}")]
    Chunk {
        /// Which one.
        chunk: u32,
        /// What is wrong, with both sides.
        what: String,
    },
    /// A bucket has more entries than can be handled at once.
    #[error("bucket {bucket} holds more than {limit} bytes")]
    BucketTooLarge {
        /// Which one.
        bucket: u32,
        /// The bound.
        limit: usize,
    },
    /// A file that is to lie beside the chunks cannot.
    #[error("{name} cannot be a part of the snapshot: {what}")]
    Beside {
        /// Its name.
        name: String,
        /// What is wrong, with both sides.
        what: String,
    },
    /// There is a chain in the store.
    #[error("the store holds a chain up to height {tip}: a snapshot is restored into an empty one")]
    NotEmpty {
        /// The last final block.
        tip: Height,
    },
}

impl From<Fault> for SnapshotError {
    fn from(fault: Fault) -> Self {
        Self::Store(fault.into())
    }
}

impl Snapshot {
    /// Reads what a directory says it is. Nothing of it is checked yet but its form.
    pub fn open(dir: &Path) -> Result<Self, SnapshotError> {
        let bytes = read_bounded(&dir.join(MANIFEST), MANIFEST_BYTES_MAX)?;
        let manifest: Manifest = decode(&bytes, MANIFEST_BYTES_MAX).map_err(SnapshotError::Manifest)?;
        same(SNAPSHOT_VERSION, manifest.version).map_err(SnapshotError::Version)?;
        same(CHUNKS, manifest.chunks.len()).map_err(SnapshotError::Chunks)?;
        Ok(Self { dir: dir.to_owned(), manifest })
    }

    /// The snapshots under a directory, in the order of their names.
    pub fn list(parent: &Path) -> Result<Vec<Listed>, SnapshotError> {
        let unreadable = |error| file_error(parent, &error);
        let mut dirs = Vec::new();
        for entry in fs::read_dir(parent).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            // SNAP-2: what is being made has another name until it is whole.
            if path.is_dir() && path.extension().is_none_or(|extension| extension != UNFINISHED) {
                dirs.push(path);
            }
        }
        dirs.sort();
        Ok(dirs.into_iter().map(|dir| Listed { snapshot: Self::open(&dir), dir }).collect())
    }

    /// Checks every entry against the state root of the header, and the block against its id (SNAP-3).
    ///
    /// That the header is final is for the caller to know: it has the certificate.
    pub fn verify(&self) -> Result<(), SnapshotError> {
        same(self.manifest.header.state_root, root_of_chunks(&self.manifest.chunks))
            .map_err(SnapshotError::StateRoot)?;
        self.block()?;
        for chunk in chunk_numbers() {
            self.read_chunk(chunk, &mut |_| Ok(()))?;
        }
        Ok(())
    }

    fn block(&self) -> Result<Block, SnapshotError> {
        let bytes = read_bounded(&self.dir.join(BLOCK), BLOCK_BYTES_MAX)?;
        let block = Block::decode(&bytes).map_err(SnapshotError::Manifest)?;
        same(self.manifest.header.id(), block.id()).map_err(SnapshotError::Block)?;
        Ok(block)
    }

    /// Reads a chunk, shows each of its buckets as pages, and demands that they give the chunk's root.
    fn read_chunk(&self, chunk: u32, each: &mut EachBucket<'_>) -> Result<(), SnapshotError> {
        let at = usize::try_from(chunk).expect("there are 256 chunks");
        let info = self.manifest.chunks[at];
        let wrong = |what: String| SnapshotError::Chunk { chunk, what };
        let mut roots = Vec::new();
        let mut found = Chunk { root: EMPTY, entries: 0, bytes: 0 };
        if info.bytes > 0 {
            let mut reader = ChunkReader::open(&self.dir.join(chunk_name(chunk)), chunk, info)?;
            while let Some(bucket) = reader.bucket()? {
                roots.push(bucket.root()?);
                each(&bucket)?;
            }
            (found.entries, found.bytes) = (reader.entries, reader.bytes);
        }
        found.root = chunk_root(roots);
        same(info, found).map_err(|chunks| wrong(format!("expected {:?}, found {:?}", chunks.expected, chunks.found)))
    }
}

impl Store {
    /// Writes the state after the last final block into a new directory under `parent`, and the files that belong to it
    /// (SNAP-2).
    ///
    /// Commits wait meanwhile. What was written is read again and checked before the directory gets its name; a
    /// snapshot that is there already is returned as it is.
    pub fn create_snapshot(&self, parent: &Path, beside: &[Beside<'_>]) -> Result<Snapshot, SnapshotError> {
        check_beside(beside)?;
        let _writing = self.writing();
        let tip = self.tip().ok_or(StoreError::Empty)?;
        let name = format!("{}-{:.16}", tip.height(), tip.id.to_string());
        let (dir, part) = (parent.join(&name), parent.join(format!("{name}.{UNFINISHED}")));
        if dir.exists() {
            let snapshot = Snapshot::open(&dir)?;
            same(tip.id, snapshot.manifest.header.id()).map_err(SnapshotError::Block)?;
            if let Some(absent) = beside.iter().find(|file| !dir.join(file.name).is_file()) {
                let what = format!("{} was made without it: remove that folder, then make it again", dir.display());
                return Err(SnapshotError::Beside { name: absent.name.to_owned(), what });
            }
            return Ok(snapshot);
        }
        remove_dir(&part)?;
        fs::create_dir_all(&part).map_err(|error| file_error(&part, &error))?;
        let made = self.fill_snapshot(&part, &tip.header, tip.id, beside);
        let manifest = match made {
            Ok(manifest) => manifest,
            Err(error) => {
                // The first error is the one to tell; what cannot be removed is removed by the next attempt.
                let _ = remove_dir(&part);
                return Err(error);
            }
        };
        fs::rename(&part, &dir).map_err(|error| file_error(&dir, &error))?;
        sync_dir(parent)?;
        Ok(Snapshot { dir, manifest })
    }

    fn fill_snapshot(
        &self,
        part: &Path,
        header: &Header,
        id: BlockId,
        beside: &[Beside<'_>],
    ) -> Result<Manifest, SnapshotError> {
        let height = header.height;
        let certificate = self.certificate(height).map_err(StoreError::from)?.unwrap_or_default();
        let block = self.block_bytes(height)?.ok_or_else(|| damaged(&format!("block {id} is not here")))?;
        write_file(&part.join(BLOCK), &block)?;
        let chunks = chunk_numbers().map(|chunk| self.write_chunk(part, chunk)).collect::<Result<Vec<_>, _>>()?;
        let manifest = Manifest {
            version: SNAPSHOT_VERSION,
            genesis: self.genesis()?,
            header: header.clone(),
            certificate: Bounded::new(certificate).map_err(|_| damaged("a certificate that is too long"))?,
            chunks: Bounded::new(chunks).expect("there are 256 chunks"),
        };
        write_file(&part.join(MANIFEST), &encode(&manifest))?;
        for file in beside {
            write_file(&part.join(file.name), file.bytes)?;
        }
        sync_dir(part)?;
        let snapshot = Snapshot { dir: part.to_owned(), manifest };
        snapshot.verify()?;
        Ok(snapshot.manifest)
    }

    fn write_chunk(&self, dir: &Path, chunk: u32) -> Result<Chunk, SnapshotError> {
        let (first, end) = (chunk * BUCKETS_A_CHUNK, (chunk + 1) * BUCKETS_A_CHUNK);
        let level = usize::try_from(CHUNK_LEVEL).expect("a small number");
        let mut info = Chunk { root: self.tree().live().dense.get(level, chunk), entries: 0, bytes: 0 };
        if info.root == empty_roots()[level] {
            return Ok(info);
        }
        let path = dir.join(chunk_name(chunk));
        let mut file = BufWriter::new(File::create(&path).map_err(|error| file_error(&path, &error))?);
        let mut failed = None;
        self.scan_pages(first, &mut |row, bytes| {
            let Some(id) = PageId::of_row(row) else {
                failed = Some(damaged(&format!("row {row:?} names no page")).into());
                return ControlFlow::Break(());
            };
            if id.bucket() >= end {
                return ControlFlow::Break(());
            }
            let written = Page::decode(&id, bytes)
                .map_err(|what| damaged(&format!("page {row:?}: {what}")).into())
                .and_then(|page| write_entries(&mut file, &page, &mut info).map_err(|error| file_error(&path, &error)));
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(()), Err)?;
        let synced = file.flush().and_then(|()| file.get_ref().sync_all());
        synced.map_err(|error| file_error(&path, &error))?;
        Ok(info)
    }

    /// Takes the state of a final block from a snapshot into this store, which is empty (SNAP-4).
    ///
    /// Everything is checked before anything is written. A restore that is interrupted leaves an empty store.
    pub fn restore(&self, snapshot: &Snapshot, trusted: Trusted) -> Result<(), SnapshotError> {
        let _writing = self.writing();
        if let Some(tip) = self.tip() {
            return Err(SnapshotError::NotEmpty { tip: tip.height() });
        }
        same(trusted.genesis, snapshot.manifest.genesis).map_err(SnapshotError::Genesis)?;
        same(trusted.block, snapshot.manifest.header.id()).map_err(SnapshotError::Block)?;
        snapshot.verify()?;
        self.clear_unfinished()?;

        let mut mark = Batch::default();
        mark.put(META, RESTORING, trusted.block.0.0);
        self.write(mark, Durability::Synced)?;
        let restored = self.take_chunks(snapshot).and_then(|()| self.take_block(snapshot, trusted));
        if let Err(error) = restored {
            // The first error is the one to tell; the mark makes the next start finish what this does not.
            let _ = wipe(self.kv());
            return Err(error);
        }
        self.load()?;
        Ok(self.raise_floor()?)
    }

    fn take_chunks(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let (mut batch, mut bytes) = (Batch::default(), 0);
        for chunk in chunk_numbers() {
            // The files may have changed since they were checked, so that they are checked again as they are taken.
            snapshot.read_chunk(chunk, &mut |bucket| {
                bucket.root()?;
                for page in &bucket.pages {
                    if let Some(new) = &page.new {
                        let row = new.encode();
                        bytes += row.len();
                        batch.put(page.id.space(), page.id.row(), row);
                    }
                }
                if bytes >= RESTORE_BATCH_BYTES {
                    bytes = 0;
                    self.write(std::mem::take(&mut batch), Durability::Buffered)?;
                    self.at_point(CrashPoint::AmidRestore);
                }
                Ok(())
            })?;
        }
        self.write(batch, Durability::Buffered)?;
        self.at_point(CrashPoint::BeforeRestored);
        Ok(())
    }

    fn take_block(&self, snapshot: &Snapshot, trusted: Trusted) -> Result<(), SnapshotError> {
        let block = snapshot.block()?;
        let mut batch = Batch::default();
        batch.put(META, FORMAT, FORMAT_VERSION.to_le_bytes());
        batch.put(META, GENESIS, trusted.genesis.0.0);
        batch.put(META, LOWEST, height_key(block.header.height));
        // SNAP-4: no header commits to receipts, so that those of this block are left behind.
        let certificate = &snapshot.manifest.certificate;
        let bytes = BlockBytes { id: trusted.block, block: block.encode(), certificate, receipts: &[] };
        block_rows(&mut batch, &block.header, &bytes);
        batch.delete(META, RESTORING);
        Ok(self.write(batch, Durability::Synced)?)
    }
}

type EachBucket<'a> = dyn FnMut(&Bucket) -> Result<(), SnapshotError> + 'a;

/// The pages of one bucket of a chunk.
struct Bucket {
    bucket: u32,
    pages: Vec<ChangedPage>,
}

impl Bucket {
    fn new(bucket: u32, entries: Vec<Entry>) -> Result<Self, Fault> {
        let id = PageId::root(bucket);
        let mut pages = Vec::new();
        let new = grow(&id, entries, &mut pages)?;
        pages.push(ChangedPage { id, old: None, new });
        Ok(Self { bucket, pages })
    }

    fn root(&self) -> Result<(u32, Digest), Fault> {
        let first = self.pages.last().and_then(|page| page.new.as_ref());
        let root = first.map(|page| page.part().digest());
        root.map(|root| (self.bucket, root)).ok_or_else(|| damaged("a bucket without entries"))
    }
}

/// Reads the entries of a chunk, one bucket at a time.
struct ChunkReader {
    file: io::Take<BufReader<File>>,
    path: PathBuf,
    chunk: u32,
    entries: u64,
    bytes: u64,
    /// The first entry of the next bucket.
    ahead: Option<Entry>,
    last: Option<KeyHash>,
}

impl ChunkReader {
    fn open(path: &Path, chunk: u32, info: Chunk) -> Result<Self, SnapshotError> {
        let unreadable = |error| file_error(path, &error);
        let file = File::open(path).map_err(unreadable)?;
        let found = file.metadata().map_err(unreadable)?.len();
        same(info.bytes, found)
            .map_err(|bytes| SnapshotError::Chunk { chunk, what: format!("bytes of its file: {bytes}") })?;
        let file = BufReader::new(file).take(info.bytes);
        let mut reader = Self { file, path: path.to_owned(), chunk, entries: 0, bytes: 0, ahead: None, last: None };
        reader.ahead = reader.entry()?;
        Ok(reader)
    }

    fn bucket(&mut self) -> Result<Option<Bucket>, SnapshotError> {
        let Some(first) = self.ahead.take() else { return Ok(None) };
        let (bucket, mut bytes, mut entries) = (first.hash().bucket(), 0, vec![first]);
        while let Some(entry) = self.entry()? {
            if entry.hash().bucket() != bucket {
                self.ahead = Some(entry);
                break;
            }
            bytes += entry.key().len() + entry.value().len();
            if bytes > BUCKET_BYTES_MAX {
                return Err(SnapshotError::BucketTooLarge { bucket, limit: BUCKET_BYTES_MAX });
            }
            entries.push(entry);
        }
        Ok(Some(Bucket::new(bucket, entries)?))
    }

    fn entry(&mut self) -> Result<Option<Entry>, SnapshotError> {
        if self.file.limit() == 0 {
            return Ok(None);
        }
        let mut lengths = [0; 5];
        self.fill(&mut lengths)?;
        let [key_length, value_length @ ..] = lengths;
        let key_length = usize::from(key_length);
        let value_length = usize::try_from(u32::from_le_bytes(value_length)).unwrap_or(usize::MAX);
        if key_length > STATE_KEY_BYTES_MAX || value_length > STATE_VALUE_BYTES_MAX {
            return Err(self.wrong(format!("an entry of {key_length} and {value_length} bytes")));
        }
        let mut data = vec![0; key_length + value_length];
        self.fill(&mut data)?;
        let (key, value) = data.split_at(key_length);
        let key = StateKey::raw(key).ok_or_else(|| self.wrong("a key that is too long".to_owned()))?;
        let hash = KeyHash::of(&key);
        if hash.bucket() / BUCKETS_A_CHUNK != self.chunk || self.last.is_some_and(|last| last >= hash) {
            return Err(self.wrong(format!("entry {key:?} belongs elsewhere")));
        }
        self.last = Some(hash);
        self.entries += 1;
        self.bytes += ENTRY_OVERHEAD + u64::try_from(data.len()).expect("an entry is below 2^64 bytes");
        Ok(Some(Entry::new(hash, key.bytes(), value)))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), SnapshotError> {
        match self.file.read_exact(bytes) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.wrong("it ends within an entry".to_owned()))
            }
            Err(error) => Err(file_error(&self.path, &error)),
        }
    }

    fn wrong(&self, what: String) -> SnapshotError {
        SnapshotError::Chunk { chunk: self.chunk, what }
    }
}

const MANIFEST: &str = "manifest";
const BLOCK: &str = "block";
const UNFINISHED: &str = "part";
/// Bytes of pages that a restore writes at once.
const RESTORE_BATCH_BYTES: usize = 4 << 20;
/// Bytes of an entry beside its key and its value.
const ENTRY_OVERHEAD: u64 = 5;

fn chunk_numbers() -> impl Iterator<Item = u32> {
    0..BUCKETS / BUCKETS_A_CHUNK
}

fn chunk_name(chunk: u32) -> String {
    format!("chunk-{chunk:03}")
}

/// The node over the buckets of a chunk.
fn chunk_root(buckets: Vec<(u32, Digest)>) -> Digest {
    let level = usize::try_from(CHUNK_LEVEL).expect("a small number");
    match climb_alone(0, buckets, level).first() {
        Some((_, root)) => *root,
        None => empty_roots()[level],
    }
}

/// The root over the nodes of all chunks.
fn root_of_chunks(chunks: &[Chunk]) -> Digest {
    let level = usize::try_from(CHUNK_LEVEL).expect("a small number");
    let nodes = (0..).zip(chunks).map(|(chunk, info)| (chunk, info.root)).collect();
    climb_alone(level, nodes, 20).first().map_or(EMPTY, |(_, root)| *root)
}

fn write_entries(out: &mut impl io::Write, page: &Page, info: &mut Chunk) -> io::Result<()> {
    let Body::Leaf(entries) = page.body() else { return Ok(()) };
    for entry in entries.iter() {
        let key = u8::try_from(entry.key().len()).expect("a key has at most 64 bytes");
        let value = u32::try_from(entry.value().len()).expect("a value has at most 64 KiB");
        out.write_all(&[key])?;
        out.write_all(&value.to_le_bytes())?;
        out.write_all(entry.key())?;
        out.write_all(entry.value())?;
        info.entries += 1;
        info.bytes += ENTRY_OVERHEAD + u64::from(key) + u64::from(value);
    }
    Ok(())
}

/// SNAP-2: few files of bounded size, with names that are no part of the snapshot's own and lead nowhere else.
fn check_beside(beside: &[Beside<'_>]) -> Result<(), SnapshotError> {
    for (n, file) in beside.iter().enumerate() {
        let refused = |what: String| SnapshotError::Beside { name: file.name.to_owned(), what };
        let plain = file.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.' || byte == b'-');
        let own = [MANIFEST, BLOCK].contains(&file.name) || file.name.starts_with("chunk-");
        if n >= BESIDE_FILES_MAX {
            return Err(refused(format!("{} files where at most {BESIDE_FILES_MAX} are taken", beside.len())));
        }
        if !plain || own || file.name.is_empty() || file.name.starts_with('.') {
            return Err(refused("its name is a part's own, or not of lower-case letters".to_owned()));
        }
        if beside[..n].iter().any(|other| other.name == file.name) {
            return Err(refused("its name is there twice".to_owned()));
        }
        if file.bytes.len() > BESIDE_BYTES_MAX {
            return Err(refused(format!("{} bytes where at most {BESIDE_BYTES_MAX} are taken", file.bytes.len())));
        }
    }
    Ok(())
}

/// Reads a file of at most `limit` bytes: the length is bounded before anything is kept.
fn read_bounded(path: &Path, limit: usize) -> Result<Vec<u8>, SnapshotError> {
    let unreadable = |error| file_error(path, &error);
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).expect("limits fit 64 bits") + 1;
    File::open(path).map_err(unreadable)?.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > limit {
        let reason = format!("it has more than {limit} bytes");
        return Err(SnapshotError::File { path: path.to_owned(), reason });
    }
    Ok(bytes)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| file_error(path, &error))
}

fn remove_dir(dir: &Path) -> Result<(), SnapshotError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error(dir, &error)),
        _ => Ok(()),
    }
}

/// Makes the names in a directory durable.
fn sync_dir(dir: &Path) -> Result<(), SnapshotError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| file_error(dir, &error))
}

fn file_error(path: &Path, error: &io::Error) -> SnapshotError {
    let detail = format!("{}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::DiskFull { detail }.into(),
        _ => SnapshotError::File { path: path.to_owned(), reason: error.to_string() },
    }
}
