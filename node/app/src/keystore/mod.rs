//! The keys of one data directory: encrypted files that other programs read too, and what is public about them.
//!
//! A key is two files in `DATA_DIR/keys`: `NAME.pem`, which is the key, and `NAME.json`, which describes it. A key
//! exists exactly if its `.pem` exists: the description is written first and removed last, so that a crash at any
//! moment leaves the key whole or absent. The numbered clauses are in `docs/spec/keys.md`.

mod description;
mod envelope;
mod error;
mod files;
mod name;
mod password;
mod phrase;
pub mod statement;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use cpc_primitives::hash::unhex;
use cpc_primitives::{Address, PublicKey, SecretKey};

pub use self::envelope::{EnvelopeError, Lock, PEM_BYTES_MAX, Protection};
pub use self::error::KeystoreError;
pub use self::files::{check_private, read as read_file, write_new as write_new_file};
pub use self::name::{KeyName, NAME_LEN_MAX, NameError};
pub use self::password::{PASSWORD_BYTES_MAX, Password, PasswordError};
pub use self::phrase::{ACCOUNTS_MAX, COIN_TYPE, KeyPath, PathError, Phrase, PhraseError};

use self::description::{DESCRIPTION_BYTES_MAX, Description};
use self::envelope::Cost;
use self::files::Writer;

/// The keys of one data directory.
#[derive(Debug, Clone)]
pub struct Keystore {
    folder: PathBuf,
    cost: Cost,
}

/// What is known of a key without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// What it is called here.
    pub name: KeyName,
    /// Where its money is.
    pub address: Address,
    /// Its public half.
    pub public: PublicKey,
    /// When it was put here, in seconds since the start of 1970.
    pub created: u64,
    /// Its place under its mnemonic, if it has one.
    pub path: Option<KeyPath>,
    /// What protects it.
    pub protection: Protection,
    /// The file that is the key.
    pub file: PathBuf,
}

/// Everything in the folder.
#[derive(Debug, Default)]
pub struct Listing {
    /// The keys, by name.
    pub keys: Vec<KeyInfo>,
    /// The keys whose files do not say what was written, and why.
    pub damaged: Vec<(KeyName, KeystoreError)>,
}

/// A key on its way into the store.
#[derive(Debug)]
pub enum NewKey<'a> {
    /// The key at a place under a mnemonic.
    Derived(&'a Phrase, KeyPath),
    /// A key from elsewhere.
    Bare(SecretKey),
}

impl Keystore {
    /// The keys under a data directory. Nothing is read or made yet.
    pub fn open(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("keys"), cost: Cost::INTERACTIVE }
    }

    /// The same with passwords that are cheap to try.
    #[cfg(test)]
    pub(crate) fn open_for_tests(data_dir: &Path) -> Self {
        Self { cost: Cost::TEST, ..Self::open(data_dir) }
    }

    /// The folder that holds the files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every key, by name.
    pub fn list(&self) -> Result<Listing, KeystoreError> {
        let _lock = files::lock_shared(&self.folder)?;
        let mut listing = Listing::default();
        for name in self.names()? {
            match self.read_info(&name) {
                Ok(info) => listing.keys.push(info),
                Err(error @ KeystoreError::Damaged { .. }) => listing.damaged.push((name, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(listing)
    }

    /// What is public about a key.
    pub fn info(&self, name: &KeyName) -> Result<KeyInfo, KeystoreError> {
        let _lock = files::lock_shared(&self.folder)?;
        self.read_info(name)
    }

    /// Says no where a name is taken, before anybody is asked for a password.
    pub fn check_free(&self, name: &KeyName) -> Result<(), KeystoreError> {
        match self.pem_path(name).try_exists() {
            Ok(false) => Ok(()),
            Ok(true) => Err(self.exists(name)),
            Err(error) => Err(KeystoreError::io("read", &self.folder)(error)),
        }
    }

    /// Opens a key. A plain one needs no password, and ignores one.
    pub fn unlock(&self, name: &KeyName, password: Option<&Password>) -> Result<SecretKey, KeystoreError> {
        // The folder is held while the files are read, not while the password is tried.
        let (info, pem) = {
            let _lock = files::lock_shared(&self.folder)?;
            (self.read_info(name)?, self.read_pem(name)?)
        };
        let path = &info.file;
        // KST-11: whoever else could read a plain key may have it already.
        if info.protection == Protection::Plain {
            let mode = files::exposure(path)?;
            if mode != 0 {
                return Err(KeystoreError::Exposed { path: path.clone(), mode: mode | 0o600 });
            }
        }
        let key = envelope::open(&pem, password).map_err(|error| damaged(path, error))?;
        // KST-5: otherwise the address that people were shown is not the one that is signed for.
        if key.public() != info.public {
            let detail = format!("it holds the key {}, its description says {}", key.public(), info.public);
            return Err(KeystoreError::Damaged { path: path.clone(), detail });
        }
        Ok(key)
    }

    /// Takes a key for this process, as long as what is returned lives: two that vote with it would contradict each
    /// other (KST-13).
    pub fn hold(&self, key: &PublicKey) -> Result<File, KeystoreError> {
        // The lock has the name of the key itself: a copy under another name is the same voter.
        let path = self.folder.join(format!(".in-use-{key}"));
        files::hold(&path)?.ok_or(KeystoreError::InUse { key: *key, path })
    }

    /// Puts a key into the store under a name that is free.
    pub fn add(&self, name: &KeyName, new: &NewKey<'_>, lock: Lock<'_>) -> Result<KeyInfo, KeystoreError> {
        let (key, path) = match new {
            NewKey::Derived(phrase, path) => (phrase.key(*path), Some(*path)),
            NewKey::Bare(key) => (key.clone(), None),
        };
        let described = Description { name: name.clone(), public: key.public(), created: now(), path };
        let pem = envelope::seal(&key, lock, self.cost)?;
        // The slow part is over: the folder is held for a few writes.
        let writer = Writer::open(&self.folder)?;
        self.check_free(name)?;
        // KST-1: a description without a key is what a killed writer left.
        writer.replace(&self.description_path(name), &described.encode())?;
        if let Err(error) = writer.put_new(&self.pem_path(name), pem.as_bytes()) {
            // A description without a key is harmless; the error that is reported is the one of the key.
            let _ = writer.remove(&self.description_path(name));
            return Err(self.taken(name, error));
        }
        self.read_info(name)
    }

    /// Gives a key another name.
    pub fn rename(&self, from: &KeyName, to: &KeyName) -> Result<KeyInfo, KeystoreError> {
        self.read_info(from)?;
        let writer = Writer::open(&self.folder)?;
        let info = self.read_info(from)?;
        self.check_free(to)?;
        let described = Description { name: to.clone(), public: info.public, created: info.created, path: info.path };
        writer.replace(&self.description_path(to), &described.encode())?;
        // A crash between the next two steps leaves the key under both names, and never under none.
        writer.link(&info.file, &self.pem_path(to)).map_err(|error| self.taken(to, error))?;
        writer.remove(&info.file)?;
        writer.remove(&self.description_path(from))?;
        self.read_info(to)
    }

    /// Removes a key, also a damaged one. Without its mnemonic or a copy, its money is lost.
    pub fn delete(&self, name: &KeyName) -> Result<(), KeystoreError> {
        self.require(name)?;
        let writer = Writer::open(&self.folder)?;
        self.require(name)?;
        writer.remove(&self.pem_path(name))?;
        writer.remove(&self.description_path(name))
    }

    /// Protects a key anew: with another password, or with none.
    pub fn relock(
        &self,
        name: &KeyName,
        password: Option<&Password>,
        lock: Lock<'_>,
    ) -> Result<KeyInfo, KeystoreError> {
        let key = self.unlock(name, password)?;
        let pem = envelope::seal(&key, lock, self.cost)?;
        let writer = Writer::open(&self.folder)?;
        // Meanwhile somebody may have deleted the key, or put another one under its name: that one stays.
        let info = self.read_info(name)?;
        if info.public != key.public() {
            return Err(self.exists(name));
        }
        writer.replace(&info.file, pem.as_bytes())?;
        self.read_info(name)
    }

    /// A key as PKCS#8 in PEM, for another program or another machine.
    pub fn export(&self, key: &SecretKey, lock: Lock<'_>) -> Result<Zeroizing<String>, KeystoreError> {
        Ok(envelope::seal(key, lock, self.cost)?)
    }

    fn names(&self) -> Result<Vec<KeyName>, KeystoreError> {
        let failed = KeystoreError::io("read", &self.folder);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let file = entry.map_err(&failed)?.file_name();
            // Files of other names were put there by somebody else and are left alone.
            let name = file.to_str().and_then(|file| file.strip_suffix(".pem")).and_then(|name| name.parse().ok());
            names.extend(name);
        }
        names.sort();
        Ok(names)
    }

    fn read_info(&self, name: &KeyName) -> Result<KeyInfo, KeystoreError> {
        let file = self.pem_path(name);
        let pem = self.read_pem(name)?;
        let protection = Protection::of(&pem).map_err(|error| damaged(&file, error))?;
        let path = self.description_path(name);
        let wrong = |detail| KeystoreError::Damaged { path: path.clone(), detail };
        let bytes = files::read(&path, DESCRIPTION_BYTES_MAX).map_err(|error| unusable_is_damaged(&path, error))?;
        let bytes = bytes.ok_or_else(|| wrong("it is missing".to_owned()))?;
        let Description { name, public, created, path: key_path } = Description::decode(&bytes, name).map_err(wrong)?;
        Ok(KeyInfo { name, address: Address::of(&public), public, created, path: key_path, protection, file })
    }

    fn read_pem(&self, name: &KeyName) -> Result<Zeroizing<String>, KeystoreError> {
        let path = self.pem_path(name);
        let bytes = files::read(&path, PEM_BYTES_MAX).map_err(|error| unusable_is_damaged(&path, error))?;
        let bytes = bytes.ok_or_else(|| self.not_found(name))?;
        text(bytes).ok_or_else(|| damaged(&path, EnvelopeError::Pem))
    }

    fn require(&self, name: &KeyName) -> Result<(), KeystoreError> {
        match self.pem_path(name).try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.not_found(name)),
            Err(error) => Err(KeystoreError::io("read", &self.folder)(error)),
        }
    }

    fn pem_path(&self, name: &KeyName) -> PathBuf {
        self.folder.join(format!("{name}.pem"))
    }

    fn description_path(&self, name: &KeyName) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn not_found(&self, name: &KeyName) -> KeystoreError {
        KeystoreError::NotFound { name: name.clone(), folder: self.folder.clone() }
    }

    fn exists(&self, name: &KeyName) -> KeystoreError {
        KeystoreError::Exists { name: name.clone(), folder: self.folder.clone() }
    }

    fn taken(&self, name: &KeyName, error: KeystoreError) -> KeystoreError {
        if matches!(error, KeystoreError::FileExists { .. }) { self.exists(name) } else { error }
    }
}

/// Reads the protection of a PKCS#8 file from elsewhere, before its password is asked for.
pub fn pkcs8_protection(path: &Path) -> Result<Protection, KeystoreError> {
    Protection::of(&foreign_text(path)?).map_err(|error| unusable(path, error))
}

/// Reads a key from a PKCS#8 file from elsewhere (KST-4).
pub fn read_pkcs8(path: &Path, password: Option<&Password>) -> Result<SecretKey, KeystoreError> {
    envelope::open(&foreign_text(path)?, password).map_err(|error| unusable(path, error))
}

/// Reads a key from a file with the 64 hex digits of its seed.
pub fn read_seed(path: &Path) -> Result<SecretKey, KeystoreError> {
    let digits = foreign_text(path)?;
    let mut seed = Zeroizing::new([0; 32]);
    // The reason would repeat a digit of the seed.
    unhex(digits.trim_ascii(), seed.as_mut_slice()).map_err(|_| KeystoreError::Unusable {
        path: path.to_owned(),
        detail: "a seed is 64 hex digits in small letters, without 0x".to_owned(),
    })?;
    Ok(SecretKey::from_seed(&seed))
}

/// Reads a mnemonic from a file.
pub fn read_phrase(path: &Path) -> Result<Phrase, KeystoreError> {
    Phrase::parse(&foreign_text(path)?)
        .map_err(|error| KeystoreError::Unusable { path: path.to_owned(), detail: error.to_string() })
}

fn foreign_text(path: &Path) -> Result<Zeroizing<String>, KeystoreError> {
    let missing = || KeystoreError::io("read", path)(std::io::ErrorKind::NotFound.into());
    let bytes = files::read(path, PEM_BYTES_MAX)?.ok_or_else(missing)?;
    text(bytes).ok_or_else(|| KeystoreError::Unusable { path: path.to_owned(), detail: "it is not a text".to_owned() })
}

/// The same bytes as a text, without a copy.
fn text(mut bytes: Zeroizing<Vec<u8>>) -> Option<Zeroizing<String>> {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            None
        }
    }
}

/// What an envelope's error means for a file of the store.
fn damaged(path: &Path, error: EnvelopeError) -> KeystoreError {
    match error {
        EnvelopeError::WrongPassword => KeystoreError::WrongPassword { path: path.to_owned() },
        EnvelopeError::PasswordNeeded => KeystoreError::PasswordNeeded { path: path.to_owned() },
        other => KeystoreError::Damaged { path: path.to_owned(), detail: other.to_string() },
    }
}

/// What an envelope's error means for a file from elsewhere.
fn unusable(path: &Path, error: EnvelopeError) -> KeystoreError {
    match error {
        EnvelopeError::WrongPassword => KeystoreError::WrongPassword { path: path.to_owned() },
        EnvelopeError::PasswordNeeded => KeystoreError::PasswordNeeded { path: path.to_owned() },
        other => KeystoreError::Unusable { path: path.to_owned(), detail: other.to_string() },
    }
}

/// A file of the store that is too long was not written by us.
fn unusable_is_damaged(path: &Path, error: KeystoreError) -> KeystoreError {
    match error {
        KeystoreError::Unusable { detail, .. } => KeystoreError::Damaged { path: path.to_owned(), detail },
        other => other,
    }
}

/// Seconds since the start of 1970; a clock before that is as good as none.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests;
