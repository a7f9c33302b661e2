//! Files that hold secrets: read within limits, written whole or not at all, and never over another one (KST-9).

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::KeystoreError;

/// What half-written files are called; whoever holds the lock may remove them.
const TEMPORARY_PREFIX: &str = ".tmp-";
/// The file whose lock admits one writer at a time.
const LOCK_FILE: &str = ".lock";

/// Reads a whole file of at most `limit` bytes; `None` where it is not there.
pub fn read(path: &Path, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>, KeystoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KeystoreError::io("read", path)(error)),
    };
    // Room for everything at once, so that no copy of a secret is left behind by growing.
    let room = limit.saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let most = u64::try_from(room).unwrap_or(u64::MAX);
    file.take(most).read_to_end(&mut bytes).map_err(KeystoreError::io("read", path))?;
    if bytes.len() > limit {
        let detail = format!("it has more than {limit} bytes");
        return Err(KeystoreError::Unusable { path: path.to_owned(), detail });
    }
    Ok(Some(bytes))
}

/// Writes a file that only its owner can read and that was not there before.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
    let mut file = match create_private(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(KeystoreError::FileExists { path: path.to_owned() });
        }
        Err(error) => return Err(KeystoreError::io("create", path)(error)),
    };
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // The file is ours and only a part: the error that is reported is the one of the write.
        let _ = fs::remove_file(path);
        KeystoreError::io("write", path)(error)
    })
}

/// Takes a file for this process, as long as what is returned lives; nothing where another process has it.
pub(super) fn hold(path: &Path) -> Result<Option<File>, KeystoreError> {
    let failed = KeystoreError::io("lock", path);
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(&failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Demands that only its owner can read a file.
pub fn check_private(path: &Path) -> Result<(), KeystoreError> {
    match exposure(path)? {
        0 => Ok(()),
        mode => Err(KeystoreError::Exposed { path: path.to_owned(), mode: mode | 0o600 }),
    }
}

/// The permissions that others than the owner have.
pub(super) fn exposure(path: &Path) -> Result<u32, KeystoreError> {
    let metadata = fs::metadata(path).map_err(KeystoreError::io("read", path))?;
    Ok(metadata.permissions().mode() & 0o077)
}

/// Keeps writers out while the folder is read; a folder that was never written to needs no lock.
pub(super) fn lock_shared(folder: &Path) -> Result<Option<File>, KeystoreError> {
    let path = folder.join(LOCK_FILE);
    match File::open(&path) {
        Ok(file) => {
            file.lock_shared().map_err(KeystoreError::io("lock", &path))?;
            Ok(Some(file))
        }
        // A folder that somebody mounted read-only has no writers either.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => Ok(None),
        Err(error) => Err(KeystoreError::io("lock", &path)(error)),
    }
}

/// The one writer of a folder.
pub(super) struct Writer<'a> {
    folder: &'a Path,
    _lock: File,
}

impl<'a> Writer<'a> {
    /// Makes the folder where it is missing, and waits for the other writers.
    pub(super) fn open(folder: &'a Path) -> Result<Self, KeystoreError> {
        // KST-11: the folder is its owner's alone, whatever the umask says or an archive has restored.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(KeystoreError::io("create", folder))?;
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(KeystoreError::io("protect", folder))?;
        let path = folder.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(KeystoreError::io("lock", &path))?;
        lock.lock().map_err(KeystoreError::io("lock", &path))?;
        let writer = Self { folder, _lock: lock };
        writer.sweep()?;
        Ok(writer)
    }

    /// Removes what writers left that were killed: only the holder of the lock writes such files.
    fn sweep(&self) -> Result<(), KeystoreError> {
        let failed = KeystoreError::io("read", self.folder);
        for entry in fs::read_dir(self.folder).map_err(&failed)? {
            let name = entry.map_err(&failed)?.file_name();
            if name.to_str().is_some_and(|name| name.starts_with(TEMPORARY_PREFIX)) {
                self.remove(&self.folder.join(name))?;
            }
        }
        Ok(())
    }

    /// Writes a file whole; one that is there is refused.
    pub(super) fn put_new(&self, path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
        let temporary = self.write_temporary(bytes)?;
        // A second name, unlike a renaming, is refused where the file exists: also against writers without the lock.
        let linked = self.link(&temporary, path);
        self.remove(&temporary)?;
        linked
    }

    /// Writes a file whole, in the place of one that is there.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
        let temporary = self.write_temporary(bytes)?;
        fs::rename(&temporary, path).map_err(KeystoreError::io("write", path))?;
        self.sync()
    }

    /// Gives a file a second name, which must be free.
    pub(super) fn link(&self, from: &Path, to: &Path) -> Result<(), KeystoreError> {
        fs::hard_link(from, to).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => KeystoreError::FileExists { path: to.to_owned() },
            _ => KeystoreError::io("write", to)(error),
        })?;
        self.sync()
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, path: &Path) -> Result<(), KeystoreError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(KeystoreError::io("remove", path)(error)),
            _ => self.sync(),
        }
    }

    /// Names are data of the folder: they last from here on.
    fn sync(&self) -> Result<(), KeystoreError> {
        File::open(self.folder).and_then(|folder| folder.sync_all()).map_err(KeystoreError::io("sync", self.folder))
    }

    fn write_temporary(&self, bytes: &[u8]) -> Result<PathBuf, KeystoreError> {
        let mut suffix = [0; 8];
        getrandom::fill(&mut suffix)?;
        let path = self.folder.join(format!("{TEMPORARY_PREFIX}{:016x}", u64::from_le_bytes(suffix)));
        write_new(&path, bytes)?;
        Ok(path)
    }
}

fn create_private(path: &Path) -> std::io::Result<File> {
    // KST-11: no moment passes in which others could open the file.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
