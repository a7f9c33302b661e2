//! RocksDB behind the port: column families are spaces, errors are faults with their remedy.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use cpc_primitives::Fault;
use cpc_primitives::kv::{Batch, Durability, Kv, Space, Write};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode,
    DataBlockIndexType, ErrorKind, Options, ReadOptions, WriteBatch, WriteOptions,
};

use crate::spaces::{BLOCKS, BUCKETS, PAGES, RECEIPTS, SPACES};

/// How much memory and how many files RocksDB may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RocksOptions {
    /// Bytes of the cache of blocks read from disk, indexes and filters included.
    pub block_cache_bytes: usize,
    /// Bytes of what is written and not yet in a table file, over all spaces.
    pub write_buffer_bytes: usize,
    /// Bytes of the write-ahead log, which bound the time of a restart.
    pub log_bytes: u64,
    /// Files held open: well below the 1024 that a process often may, for sockets need them too.
    pub open_files: i32,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self { block_cache_bytes: 128 << 20, write_buffer_bytes: 256 << 20, log_bytes: 512 << 20, open_files: 256 }
    }
}

/// A store of bytes on a disk.
pub struct RocksKv {
    db: DB,
}

/// Values from this size on lie in files of their own, so that no compaction copies a block again.
const BLOB_BYTES_MIN: u64 = 16 << 10;

impl RocksKv {
    /// Opens or creates the database in a directory, with the spaces of the store and those that the caller names.
    pub fn open(dir: &Path, others: &[Space], options: RocksOptions) -> Result<Self, Fault> {
        let mut db = Options::default();
        db.create_if_missing(true);
        db.create_missing_column_families(true);
        db.set_paranoid_checks(true);
        // STO-8: what a crash left unfinished at the end of the log is dropped; any other damage is a fault.
        db.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        db.set_track_and_verify_wals_in_manifest(true);
        db.set_max_open_files(options.open_files);
        db.set_max_total_wal_size(options.log_bytes);
        db.set_db_write_buffer_size(options.write_buffer_bytes);
        db.increase_parallelism(2);
        // Large files are synced as they grow, or one commit would wait for all of them.
        db.set_bytes_per_sync(1 << 20);
        db.set_keep_log_file_num(4);
        db.set_max_log_file_size(8 << 20);
        db.set_stats_dump_period_sec(0);

        // A cache without a list of what was used last: two threads would hand its lock to each other at every read. It
        // finds the size of its entries by itself.
        let cache = Cache::new_hyper_clock_cache(options.block_cache_bytes, 0);
        let mut names: BTreeMap<String, Options> = BTreeMap::new();
        for space in SPACES.iter().chain(others) {
            names.insert(space.0.to_owned(), family_options(*space, &cache, &options));
        }
        // RocksDB opens a database only with all its families; those that nobody names keep their bytes.
        if Self::is_in(dir) {
            for name in DB::list_cf(&db, dir).map_err(fault)? {
                names.entry(name).or_insert_with_key(|_| family_options(Space("other"), &cache, &options));
            }
        }
        let families = names.into_iter().map(|(name, options)| ColumnFamilyDescriptor::new(name, options));
        let db = DB::open_cf_descriptors(&db, dir, families).map_err(fault)?;
        Ok(Self { db })
    }

    /// Whether a directory holds a database.
    pub(crate) fn is_in(dir: &Path) -> bool {
        dir.join("CURRENT").exists()
    }

    /// Bytes of all table files.
    pub fn disk_bytes(&self, space: Space) -> Result<u64, Fault> {
        let family = self.family(space)?;
        let bytes = self.db.property_int_value_cf(family, "rocksdb.total-sst-files-size").map_err(fault)?;
        Ok(bytes.unwrap_or(0))
    }

    /// Writes what is in memory into table files: for tests, which damage those.
    pub fn flush(&self) -> Result<(), Fault> {
        for space in SPACES {
            self.db.flush_cf(self.family(space)?).map_err(fault)?;
        }
        Ok(())
    }

    fn family(&self, space: Space) -> Result<&ColumnFamily, Fault> {
        self.db.cf_handle(space.0).ok_or_else(|| Fault::Invariant {
            detail: format!("space {space} was not named when the database was opened"),
        })
    }
}

impl fmt::Debug for RocksKv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RocksKv({})", self.db.path().display())
    }
}

impl Kv for RocksKv {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        self.db.get_cf(self.family(space)?, key).map_err(fault)
    }

    fn get_many(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        // One look at the files for all of them costs less than one for each.
        let found = self.db.batched_multi_get_cf(&self.family(space)?, keys.iter(), true);
        found.into_iter().map(|value| value.map(|value| value.map(|value| value.to_vec())).map_err(fault)).collect()
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let mut reads = ReadOptions::default();
        // A scan of the whole state must not push out what blocks read.
        reads.fill_cache(false);
        // Rows are shown where they lie: a start looks at every bucket of the state.
        let mut rows = self.db.raw_iterator_cf_opt(self.family(space)?, reads);
        rows.seek(from);
        while let Some((key, value)) = rows.item() {
            if each(key, value).is_break() {
                return Ok(());
            }
            rows.next();
        }
        rows.status().map_err(fault)
    }

    fn write(&self, batch: Batch, durability: Durability) -> Result<(), Fault> {
        // Room for all of it at once: a buffer that grows is copied, and its pages are new to the system each time.
        let room: usize = batch.writes().iter().map(|write| ROW_BYTES_BESIDE + row_bytes(write)).sum();
        let mut rows = WriteBatch::with_capacity_bytes(room);
        for write in batch.writes() {
            match write {
                Write::Put { space, key, value } => rows.put_cf(self.family(*space)?, key, value),
                Write::Delete { space, key } => rows.delete_cf(self.family(*space)?, key),
            }
        }
        let mut writes = WriteOptions::default();
        writes.set_sync(durability == Durability::Synced);
        // The rows of a block come sorted: each is looked for from where the last one went.
        writes.set_memtable_insert_hint_per_batch(true);
        self.db.write_opt(rows, &writes).map_err(fault)
    }
}

/// What a row takes in a batch of RocksDB beside its key and its value, at most: kind, family and two lengths.
const ROW_BYTES_BESIDE: usize = 16;

fn row_bytes(write: &Write) -> usize {
    match write {
        Write::Put { key, value, .. } => key.len() + value.len(),
        Write::Delete { key, .. } => key.len(),
    }
}

fn family_options(space: Space, cache: &Cache, options: &RocksOptions) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(8 << 10);
    table.set_bloom_filter(10.0, false);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_format_version(5);

    let mut family = Options::default();
    family.set_block_based_table_factory(&table);
    family.set_compression_type(DBCompressionType::Lz4);
    family.set_bottommost_compression_type(DBCompressionType::Zstd);
    family.set_write_buffer_size(options.write_buffer_bytes / 4);
    if space == BUCKETS || space == PAGES {
        // Small rows, found one by one: a hash names the row's place in its block.
        table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
        table.set_block_restart_interval(4);
        family.set_block_based_table_factory(&table);
        // Hashes and addresses do not become shorter; what is young is written and read at full speed.
        family.set_compression_type(DBCompressionType::None);
        family.set_bottommost_compression_type(DBCompressionType::Lz4);
    }
    if space == BLOCKS || space == RECEIPTS {
        family.set_enable_blob_files(true);
        family.set_min_blob_size(BLOB_BYTES_MIN);
        family.set_blob_compression_type(DBCompressionType::Lz4);
    }
    family
}

/// What an error of RocksDB means for the node.
fn fault(error: rocksdb::Error) -> Fault {
    let detail = error.to_string();
    let full = ["No space left", "NoSpace", "Disk quota exceeded"].iter().any(|text| detail.contains(text));
    match error.kind() {
        _ if full => Fault::DiskFull { detail },
        ErrorKind::Corruption => Fault::Damaged { detail },
        // A file that the manifest names and that is not there was not removed by us.
        _ if detail.contains("No such file") => Fault::Damaged { detail },
        ErrorKind::InvalidArgument if detail.contains("ahead of WAL") => Fault::Damaged { detail },
        _ => Fault::Io { detail },
    }
}
