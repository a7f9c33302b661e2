//! The folder of a chain: one process at a time, and every command finds it in the same way.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use cpc_genesis::Genesis;
use cpc_light::limits::PROOF_FILE_BYTES_MAX;
use cpc_primitives::Fault;
use cpc_store::{Options, RocksOptions, Store, StoreError};

use super::{Context, Exit, Failure, read_bounded};
use crate::chain::Chain;

/// The file that one process holds as long as it uses the folder.
const LOCK: &str = "cpc.lock";
/// The folder of the store inside it.
const STORE: &str = "chain";
/// The folder of the votes that were cast from here.
const VOTES: &str = "votes";
/// The proof that the first block which is kept was final: where a chain began from a snapshot.
const TRUST: &str = "trust.proof";
/// Its name until it is whole.
const TRUST_UNFINISHED: &str = "trust.proof.part";

/// A chain's folder, held by this process.
pub struct ChainDir {
    path: PathBuf,
    _lock: File,
}

impl ChainDir {
    /// Takes the folder that was named, or `devnet` under the data directory.
    ///
    /// One process a folder: a second one with the same key would sign twice.
    pub fn lock(named: Option<&Path>, context: &Context) -> Result<Self, Failure> {
        let path = named.map_or_else(|| context.data_dir.join("devnet"), Path::to_path_buf);
        let cannot =
            |error: std::io::Error| Failure::new(Exit::Failed, format!("{} cannot be used: {error}", path.display()));
        // What a node keeps is nobody's business but its owner's.
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(cannot)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::new(Exit::NotNow, format!("another process uses {}", path.display()))
                    .hint("stop it first, or name another folder with --dir"))
            }
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }

    /// The same, where there has to be a chain already: nothing is made.
    pub fn lock_existing(named: Option<&Path>, context: &Context) -> Result<Self, Failure> {
        let path = named.map_or_else(|| context.data_dir.join("devnet"), Path::to_path_buf);
        if !path.join(STORE).is_dir() {
            return Err(Failure::new(Exit::NotFound, format!("there is no chain in {}", path.display()))
                .hint("name its folder with --dir"));
        }
        Self::lock(named, context)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of its seat's votes.
    pub fn votes(&self) -> PathBuf {
        self.path.join(VOTES)
    }

    /// Throws the chain away, and the votes for its blocks. A folder that is there and holds no chain is somebody's, and stays.
    pub fn clear(&self) -> Result<(), Failure> {
        let store = self.path.join(STORE);
        // RocksDB names the newest description of its files in this one: whatever it has opened has it.
        let empty = fs::read_dir(&store).map_or(true, |mut rows| rows.next().is_none());
        if !empty && !store.join("CURRENT").is_file() {
            let words = format!("{} holds something else than a chain; it is not removed", store.display());
            return Err(Failure::new(Exit::Refused, words).hint("name another folder with --dir"));
        }
        // The votes first: without the chain they would say that blocks were agreed on which are nowhere.
        for removed in
            [fs::remove_dir_all(self.votes()), fs::remove_dir_all(&store), fs::remove_file(self.path.join(TRUST))]
        {
            if let Err(error) = removed
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(Failure::new(Exit::Failed, format!("{} cannot be removed: {error}", store.display())));
            }
        }
        Ok(())
    }

    /// Keeps the proof that the block of a snapshot is final, before the chain begins there (SNAP-6).
    pub fn keep_trust(&self, proof: &[u8]) -> Result<(), Failure> {
        let (part, path) = (self.path.join(TRUST_UNFINISHED), self.path.join(TRUST));
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(proof)?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|error| Failure::new(Exit::Failed, format!("{} cannot be written: {error}", path.display())))
    }

    /// Removes that proof, where the chain did not begin.
    pub fn forget_trust(&self) -> Result<(), Failure> {
        let path = self.path.join(TRUST);
        fs::remove_file(&path)
            .map_err(|error| Failure::new(Exit::Failed, format!("{} cannot be removed: {error}", path.display())))
    }

    /// Opens the chain of a network, and begins it where the folder is new.
    pub fn open_chain(&self, network: &str) -> Result<Chain, Failure> {
        let (_, text, genesis) = super::genesis::load(network)?;
        self.open_loaded(genesis, text)
    }

    /// The same for a network whose chain spec has been read.
    pub fn open_loaded(&self, genesis: Genesis, text: String) -> Result<Chain, Failure> {
        let path = self.path.join(TRUST);
        let trust = match read_bounded(&path, PROOF_FILE_BYTES_MAX, Exit::Damaged) {
            Ok(bytes) => Some(bytes),
            Err(failure) if failure.code == Exit::NotFound => None,
            Err(failure) => return Err(failure),
        };
        Chain::open(&self.path.join(STORE), genesis, text, trust.as_deref()).map_err(|error| store_failure(&error))
    }

    /// Opens the store alone, whatever it holds.
    pub fn open_store(&self) -> Result<Store, Failure> {
        let store = Store::open_dir(&self.path.join(STORE), RocksOptions::default(), Options::default());
        store.map_err(|error| store_failure(&error))
    }
}

/// A refusal or a fault of the store, with the exit code that says which kind.
pub fn store_failure(error: &StoreError) -> Failure {
    let code = match error {
        StoreError::Fault(fault) => fault_exit(fault),
        StoreError::Empty => Exit::NotFound,
        _ => Exit::Refused,
    };
    let failure = Failure::new(code, error.to_string());
    match error {
        StoreError::Fault(Fault::Damaged { .. }) => {
            failure.hint("name another folder with --dir; `cpc devnet --fresh` throws this chain away for good")
        }
        _ => failure,
    }
}

/// The exit code of a fault.
pub const fn fault_exit(fault: &Fault) -> Exit {
    match fault {
        Fault::Damaged { .. } => Exit::Damaged,
        Fault::DiskFull { .. } => Exit::NotNow,
        Fault::Io { .. } | Fault::Invariant { .. } | Fault::Unsupported { .. } => Exit::Failed,
    }
}
