//! nomt: a binary trie in pages of its own on the bare file.

use anyhow::Result;
use nomt::hasher::Blake3Hasher;
use nomt::{KeyReadWrite, Nomt, Options, SessionParams, WitnessMode};
use tempfile::TempDir;

use super::{Change, Rival};
use crate::plan::{Kind, Plan};
use cpc_bench::machine::Machine;

/// The database; its folder goes with it.
pub(crate) struct Nearly {
    nomt: Nomt<Blake3Hasher>,
    buckets: u32,
    _folder: TempDir,
}

impl Nearly {
    /// An empty one.
    pub(crate) fn new(machine: &Machine, plan: &Plan) -> Result<Self> {
        let folder = machine.folder()?;
        // A million keys occupy a small part of its default number; twice that leaves no doubt.
        let buckets = if plan.kind == Kind::Full { 128_000 } else { 4_000 };
        let mut options = Options::new();
        options.path(folder.path());
        options.commit_concurrency(2);
        options.hashtable_buckets(buckets);
        options.bitbox_seed([1; 16]);
        Ok(Self { nomt: Nomt::open(options)?, buckets, _folder: folder })
    }
}

impl Rival for Nearly {
    fn name(&self) -> &'static str {
        "nomt"
    }

    fn settings(&self) -> String {
        format!(
            "blake3, 2 commit workers, {} hash table buckets ({:.0} % used), no rollback log, no witness, else its \
             defaults: 3 io_uring workers, 256 MiB of pages and 256 MiB of leaves in memory; durable after its own sync; \
             its keys are not hashed",
            self.buckets,
            self.nomt.hash_table_utilization().occupancy_rate() * 100.0
        )
    }

    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        let session = self.nomt.begin_session(SessionParams::default().witness_mode(WitnessMode::disabled()));
        let writes = changes.iter().map(|(key, value)| (*key, KeyReadWrite::Write(Some(value.to_vec())))).collect();
        session.finish(writes)?.commit(&self.nomt)
    }

    fn read(&self, key: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        self.nomt.begin_session(SessionParams::default()).read(*key)
    }

    fn root(&self) -> Result<[u8; 32]> {
        Ok(self.nomt.root().into_inner())
    }
}
