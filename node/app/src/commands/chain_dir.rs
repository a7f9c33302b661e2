//! The folder of a chain: one process at a time, and every command finds it in the same way.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cpc_genesis::Genesis;
use cpc_light::limits::PROOF_FILE_BYTES_MAX;
use cpc_primitives::hash::hex;
use cpc_primitives::{Epoch, Fault, PublicKey};
use cpc_store::{Options, RocksOptions, Store, StoreError};
use zeroize::Zeroizing;

use super::{Context, Exit, Failure, read_bounded};
use crate::chain::Chain;
use crate::node::VotesFrom;

/// The file that one process holds as long as it uses the folder.
const LOCK: &str = "cpc.lock";
/// The folder of the store inside it.
pub(super) const STORE: &str = "chain";
/// Bytes of the file that says from which epoch on a key votes.
const SIGNER_BYTES_MAX: usize = 32;
/// The key that names a node without a seat on the network plane.
const NETWORK_KEY: &str = "network.key";
/// The folder of the votes that were cast from here.
const VOTES: &str = "votes";
/// The proof that the first block which is kept was final: where a chain began from a snapshot.
pub(super) const TRUST: &str = "trust.proof";
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

    /// The secret of the key that names a node without a seat to others; made where the folder has none.
    pub fn network_secret(&self) -> Result<[u8; 32], Failure> {
        let path = self.path.join(NETWORK_KEY);
        if !path.exists() {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(seed.as_mut_slice())
                .map_err(|error| Failure::new(Exit::Failed, format!("this machine has no randomness: {error}")))?;
            let write = || {
                let mut file = File::options().create_new(true).write(true).mode(0o600).open(&path)?;
                file.write_all(Zeroizing::new(hex(seed.as_slice())).as_bytes())?;
                file.sync_all()
            };
            write().map_err(|error| {
                Failure::new(Exit::Failed, format!("{} cannot be written: {error}", path.display()))
            })?;
        }
        Ok(*crate::keystore::read_seed(&path)?.seed())
    }

    /// From which epoch on a key may vote here: what its owner says, else what this folder has kept of it.
    pub fn votes_from(&self, key: &PublicKey, said: Option<Epoch>) -> Result<VotesFrom, Failure> {
        if let Some(epoch) = said {
            self.keep_votes_from(key, epoch)?;
            return Ok(VotesFrom::Epoch(epoch));
        }
        let path = self.signer_file(key);
        let bytes = match read_bounded(&path, SIGNER_BYTES_MAX, Exit::Damaged) {
            Ok(bytes) => bytes,
            // SAFE-6: a key that is new here may have voted elsewhere.
            Err(failure) if failure.code == Exit::NotFound => return Ok(VotesFrom::Next(self.keeper(key))),
            Err(failure) => return Err(failure),
        };
        let epoch = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim_end().parse().ok());
        let damaged = || Failure::new(Exit::Damaged, format!("{} is no number of an epoch", path.display()));
        epoch.map(|epoch| VotesFrom::Epoch(Epoch(epoch))).ok_or_else(damaged)
    }

    fn keeper(&self, key: &PublicKey) -> Box<dyn FnOnce(Epoch) -> std::io::Result<()> + Send> {
        let path = self.signer_file(key);
        Box::new(move |epoch| write_signer(&path, epoch))
    }

    fn keep_votes_from(&self, key: &PublicKey, epoch: Epoch) -> Result<(), Failure> {
        let path = self.signer_file(key);
        write_signer(&path, epoch)
            .map_err(|error| Failure::new(Exit::Failed, format!("{} cannot be written: {error}", path.display())))
    }

    fn signer_file(&self, key: &PublicKey) -> PathBuf {
        self.path.join(format!("signer-{key}"))
    }

    /// Opens the chain of a network, and begins it where the folder is new.
    pub fn open_chain(&self, context: &Context) -> Result<Chain, Failure> {
        let (_, text, genesis) = super::genesis::load_of(context)?;
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

/// Keeps from which epoch on a key may vote, whole or not at all.
fn write_signer(path: &Path, epoch: Epoch) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let mut file = File::create(&part)?;
    file.write_all(format!("{epoch}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::commands::Output;

    fn context(data_dir: &Path) -> Context {
        Context {
            data_dir: data_dir.to_owned(),
            output: Output::Json,
            yes: false,
            no_input: true,
            quiet: true,
            config: None,
            network: "devnet".to_owned(),
            node: String::new(),
            timeout: Duration::ZERO,
        }
    }

    // SAFE-6: what was found out once, or said, holds at every later start.
    #[test]
    fn a_folder_remembers_from_when_on_a_key_votes() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = ChainDir::lock(None, &context(home.path())).expect("a new folder");
        let [first, second] = [1, 2].map(|seed| cpc_primitives::SecretKey::from_seed(&[seed; 32]).public());
        let VotesFrom::Next(keep) = folder.votes_from(&first, None).expect("no file") else { panic!("it is new here") };
        keep(Epoch(7)).expect("written");
        let known = |key| match folder.votes_from(key, None) {
            Ok(VotesFrom::Epoch(epoch)) => Some(epoch),
            _ => None,
        };
        assert_eq!((known(&first), known(&second)), (Some(Epoch(7)), None));
        assert!(matches!(folder.votes_from(&second, Some(Epoch(0))), Ok(VotesFrom::Epoch(Epoch(0)))));
        assert_eq!((known(&first), known(&second)), (Some(Epoch(7)), Some(Epoch(0))));
        fs::write(folder.signer_file(&first), "soon").expect("written");
        let failure = folder.votes_from(&first, None).expect_err("it says nothing");
        assert_eq!(failure.code, Exit::Damaged);
    }

    #[test]
    fn a_node_keeps_its_name_on_the_network_plane() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = ChainDir::lock(None, &context(home.path())).expect("a new folder");
        let secret = folder.network_secret().expect("made");
        assert_eq!(folder.network_secret().expect("read"), secret);
        assert!(crate::keystore::check_private(&folder.path().join(NETWORK_KEY)).is_ok());
        let other = ChainDir::lock(Some(&home.path().join("other")), &context(home.path())).expect("a new folder");
        assert_ne!(other.network_secret().expect("made"), secret);
    }
}
