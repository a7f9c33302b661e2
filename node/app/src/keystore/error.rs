//! Why a key is not there, not given or not written. No variant ever carries a secret.

use std::io;
use std::path::{Path, PathBuf};

use cpc_primitives::PublicKey;

use super::name::KeyName;

/// Why the key store refuses or fails.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// No key of this name.
    #[error("there is no key named {name} in {}", folder.display())]
    NotFound {
        /// The name.
        name: KeyName,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The name is taken.
    #[error("a key named {name} exists already in {}", folder.display())]
    Exists {
        /// The name.
        name: KeyName,
        /// Where.
        folder: PathBuf,
    },
    /// A file that was to be written is there.
    #[error("{} exists already, and nothing is overwritten", path.display())]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// The password does not fit, or the encrypted bytes are damaged: nobody can tell which.
    #[error("the password does not open {}", path.display())]
    WrongPassword {
        /// The file.
        path: PathBuf,
    },
    /// An encrypted key, and no password.
    #[error("{} is encrypted, and no password was given", path.display())]
    PasswordNeeded {
        /// The file.
        path: PathBuf,
    },
    /// A file of the store does not say what was written.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A file from elsewhere does not hold what it should.
    #[error("{} cannot be used: {detail}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A plain key that other users of the machine can read.
    #[error("{} is not encrypted and others can read it (mode {mode:03o})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A node of this machine votes with the key.
    #[error("another process votes with the key {key}: it holds {}", path.display())]
    InUse {
        /// The key.
        key: PublicKey,
        /// What it holds.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
}

impl KeystoreError {
    /// Wraps what the operating system said.
    pub(super) fn io<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Self + 'a {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
