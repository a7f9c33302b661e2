//! Durable maps with a root: ours and the others, behind one interface.

mod jellyfish;
mod nearly;
mod ours;

use anyhow::Result;

pub(crate) use jellyfish::Jellyfish;
pub(crate) use nearly::Nearly;
pub(crate) use ours::{Ours, state_key};

/// A key with its new value, both of 32 random bytes.
pub(crate) type Change = ([u8; 32], [u8; 32]);

/// A map whose every commit is safe on the disk and has a root.
pub(crate) trait Rival {
    /// What it is called in the rows.
    fn name(&self) -> &'static str;
    /// How it is set, and what durable means for it.
    fn settings(&self) -> String;
    /// Takes changes, sorted by key, from values in memory to a synced disk.
    fn commit(&mut self, changes: &[Change]) -> Result<()>;
    /// The value of a key.
    fn read(&self, key: &[u8; 32]) -> Result<Option<Vec<u8>>>;
    /// What else it has to say of its commits since it was last asked.
    fn more(&mut self) -> Result<Vec<(&'static str, f64)>> {
        Ok(Vec::new())
    }
    /// The root after the last commit.
    fn root(&self) -> Result<[u8; 32]>;
}
