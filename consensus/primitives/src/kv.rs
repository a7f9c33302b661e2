//! The port to a disk: ordered keys in named spaces, and one atomic batch at a time.
//!
//! RocksDB implements it for a node, and a map that forgets unsynced writes in a crash implements it for the
//! simulator. The engine's own stores go through it too.

use core::fmt;
use core::ops::ControlFlow;

use crate::error::Fault;

/// A named, ordered key space of a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Space(pub &'static str);

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Whether a batch survives the loss of power before the call returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// It does: the call returns after the disk has said so.
    Synced,
    /// It may be lost as a whole, together with every later unsynced batch, and never in part.
    Buffered,
}

/// One write of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Write {
    /// Sets a key.
    Put {
        /// The key space.
        space: Space,
        /// The key.
        key: Vec<u8>,
        /// The new value.
        value: Vec<u8>,
    },
    /// Removes a key; one that is not there is no error.
    Delete {
        /// The key space.
        space: Space,
        /// The key.
        key: Vec<u8>,
    },
}

/// Writes that happen together or not at all.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Batch {
    writes: Vec<Write>,
}

impl Batch {
    /// Sets a key.
    pub fn put(&mut self, space: Space, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes.push(Write::Put { space, key: key.into(), value: value.into() });
    }

    /// Removes a key.
    pub fn delete(&mut self, space: Space, key: impl Into<Vec<u8>>) {
        self.writes.push(Write::Delete { space, key: key.into() });
    }

    /// Puts the writes in the order of their keys, which a sorted table takes in at a fraction of the cost; those of one key
    /// keep theirs.
    pub fn sort(&mut self) {
        fn place(write: &Write) -> (&str, &[u8]) {
            match write {
                Write::Put { space, key, .. } | Write::Delete { space, key } => (space.0, key),
            }
        }
        self.writes.sort_by(|one, other| place(one).cmp(&place(other)));
    }

    /// The writes, in the order in which they take effect.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The writes, given away.
    pub fn into_writes(self) -> Vec<Write> {
        self.writes
    }
}

/// Whoever is shown a key and its value, and says whether to go on.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// A store of bytes.
pub trait Kv: Send + Sync + 'static {
    /// The value of a key.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, Fault>;

    /// The values of many keys of one space, which come in their order.
    fn get_many(&self, space: Space, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        keys.iter().map(|key| self.get(space, key)).collect()
    }

    /// Shows every entry from a key on, in the order of the keys, until told to stop.
    fn scan(&self, space: Space, from: &[u8], each: Visit<'_>) -> Result<(), Fault>;

    /// Applies a batch: all of it or nothing, also over a crash.
    fn write(&self, batch: Batch, durability: Durability) -> Result<(), Fault>;
}
