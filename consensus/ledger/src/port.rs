//! The port through which the rules read the state, and the delta in which they say what changes.

use std::collections::BTreeMap;
use std::collections::btree_map;

use cpc_primitives::Fault;
use cpc_primitives::state::StateKey;

/// What the ledger reads. The store's views and overlays implement it.
pub trait StateRead {
    /// The record of a key, or nothing where there is none.
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, Fault>;

    /// The records of many keys, in their order: a store that can looks them up together and on all cores.
    fn read_many(&self, keys: &[StateKey]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        keys.iter().map(|key| self.read(key)).collect()
    }
}

/// What a block changes, in the order of the keys: a new value, or `None` where a record is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta(BTreeMap<StateKey, Option<Vec<u8>>>);

impl Delta {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says what becomes of a key; what was said of it before is forgotten.
    pub fn insert(&mut self, key: StateKey, value: Option<Vec<u8>>) {
        self.0.insert(key, value);
    }

    /// What becomes of a key: the outer `None` says that it stays as it is.
    pub fn get(&self, key: &StateKey) -> Option<Option<&[u8]>> {
        self.0.get(key).map(Option::as_deref)
    }

    /// Every change, in the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&StateKey, Option<&[u8]>)> {
        self.0.iter().map(|(key, value)| (key, value.as_deref()))
    }

    /// How many keys change.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(StateKey, Option<Vec<u8>>)> for Delta {
    fn from_iter<I: IntoIterator<Item = (StateKey, Option<Vec<u8>>)>>(changes: I) -> Self {
        Self(changes.into_iter().collect())
    }
}

impl IntoIterator for Delta {
    type Item = (StateKey, Option<Vec<u8>>);
    type IntoIter = btree_map::IntoIter<StateKey, Option<Vec<u8>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A map in memory is a state: for tests, benches and whoever replays a few blocks.
impl StateRead for BTreeMap<StateKey, Vec<u8>> {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.get(key).cloned())
    }
}
