//! An ordered map in memory that forgets in a crash what a disk would forget, and fails where it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cpc_primitives::kv::{Batch, Durability, Kv, Space, Write};
use cpc_primitives::{Domain, Fault};

type Map = BTreeMap<Space, BTreeMap<Vec<u8>, Vec<u8>>>;

/// A store in memory for tests and simulations.
///
/// Buffered batches lie in a log of their own until the next synced one. [`MemKv::crash`] cuts that log at any byte:
/// batches behind the cut are lost, and one that the cut tears is dropped as a whole, as the checksums of a
/// write-ahead log have it.
#[derive(Default)]
pub struct MemKv {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// What survives any crash.
    durable: Map,
    /// What reads see.
    live: Map,
    /// Batches that were not synced.
    log: Vec<Batch>,
    /// Bytes that still fit, where the disk is bounded.
    room: Option<u64>,
    /// Writes until the power fails, where that was asked for.
    power: Option<u64>,
    /// Set after the power failed, until the crash.
    dark: bool,
    damaged: BTreeSet<(Space, Vec<u8>)>,
}

/// How a stored value goes bad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// The disk notices: reads of it fail.
    Noticed,
    /// One bit is another, and nobody notices below the store.
    Silent {
        /// Which bit, counted from the first and modulo the value's length.
        bit: usize,
    },
}

impl MemKv {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses power and starts again: what was synced is there, and of the rest any beginning (STO-9).
    ///
    /// The seed decides where the log is cut. Faults that were asked for are forgotten, damage stays.
    pub fn crash(&self, seed: u64) {
        let mut inner = self.lock();
        let log = std::mem::take(&mut inner.log);
        let mut left = cut_of(seed, log.iter().map(bytes_of).sum());
        for batch in log {
            // The first batch that the cut tears is dropped, and with it everything after it.
            let Some(after) = left.checked_sub(bytes_of(&batch)) else { break };
            left = after;
            apply(&mut inner.durable, batch);
        }
        inner.live = inner.durable.clone();
        (inner.room, inner.power, inner.dark) = (None, None, false);
    }

    /// Leaves room for this many bytes of writes; the write that does not fit fails whole.
    pub fn leave_room(&self, bytes: u64) {
        self.lock().room = Some(bytes);
    }

    /// Fails the power in the course of the write after this many: it fails, and so does everything until the crash.
    ///
    /// Whether that write survives is for the crash to say.
    pub fn cut_power_after(&self, writes: u64) {
        self.lock().power = Some(writes);
    }

    /// Spoils a stored value; tells whether there was one.
    pub fn damage(&self, space: Space, key: &[u8], damage: Damage) -> bool {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let known = inner.live.get(&space).is_some_and(|map| map.contains_key(key));
        match damage {
            Damage::Noticed => {
                inner.damaged.insert((space, key.to_vec()));
            }
            Damage::Silent { bit } => {
                for map in [&mut inner.live, &mut inner.durable] {
                    if let Some(value) = map.get_mut(&space).and_then(|map| map.get_mut(key))
                        && !value.is_empty()
                    {
                        let place = bit / 8 % value.len();
                        value[place] ^= 1 << (bit % 8);
                    }
                }
            }
        }
        known
    }

    /// Every key of a space, in order.
    pub fn keys(&self, space: Space) -> Vec<Vec<u8>> {
        self.lock().live.get(&space).map(|map| map.keys().cloned().collect()).unwrap_or_default()
    }

    /// Bytes of all keys and values that reads see.
    pub fn bytes(&self) -> u64 {
        let inner = self.lock();
        let bytes: usize = inner.live.values().flatten().map(|(key, value)| key.len() + value.len()).sum();
        u64::try_from(bytes).expect("what is in memory fits 64 bits")
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kv for MemKv {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let inner = self.lock();
        inner.readable(space, key)?;
        Ok(inner.live.get(&space).and_then(|map| map.get(key)).cloned())
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        // The lock is not held while the caller looks: it may well read from this store.
        let mut next = Bound::Included(from.to_vec());
        loop {
            let (key, value) = {
                let inner = self.lock();
                inner.lit()?;
                let range =
                    inner.live.get(&space).map(|map| map.range::<Vec<u8>, _>((next.as_ref(), Bound::Unbounded)));
                let Some((key, value)) = range.and_then(|mut range| range.next()) else {
                    return Ok(());
                };
                inner.readable(space, key)?;
                (key.clone(), value.clone())
            };
            if each(&key, &value).is_break() {
                return Ok(());
            }
            next = Bound::Excluded(key);
        }
    }

    fn write(&self, batch: Batch, durability: Durability) -> Result<(), Fault> {
        let mut inner = self.lock();
        inner.lit()?;
        if let Some(room) = inner.room {
            let needed = bytes_of(&batch);
            let left = room.checked_sub(needed).ok_or_else(|| Fault::DiskFull {
                detail: format!("a batch of {needed} bytes where {room} are left"),
            })?;
            inner.room = Some(left);
        }
        inner.log.push(batch.clone());
        if let Some(power) = inner.power {
            match power.checked_sub(1) {
                Some(left) => inner.power = Some(left),
                None => {
                    inner.dark = true;
                    return Err(dark());
                }
            }
        }
        apply(&mut inner.live, batch);
        if durability == Durability::Synced {
            for batch in std::mem::take(&mut inner.log) {
                apply(&mut inner.durable, batch);
            }
        }
        Ok(())
    }
}

impl Inner {
    fn lit(&self) -> Result<(), Fault> {
        if self.dark { Err(dark()) } else { Ok(()) }
    }

    fn readable(&self, space: Space, key: &[u8]) -> Result<(), Fault> {
        self.lit()?;
        if !self.damaged.is_empty() && self.damaged.contains(&(space, key.to_vec())) {
            let detail = format!("a read of space {space} does not have the checksum it was written with");
            return Err(Fault::Damaged { detail });
        }
        Ok(())
    }
}

fn dark() -> Fault {
    Fault::Io { detail: "the power failed".to_owned() }
}

fn apply(map: &mut Map, batch: Batch) {
    for write in batch.into_writes() {
        match write {
            Write::Put { space, key, value } => {
                map.entry(space).or_default().insert(key, value);
            }
            Write::Delete { space, key } => {
                map.entry(space).or_default().remove(&key);
            }
        }
    }
}

/// Where a seed cuts a log, the two ends included.
fn cut_of(seed: u64, length: u64) -> u64 {
    let digest = Domain::StateValue.hash_bytes(&seed.to_le_bytes());
    let number = u64::from_le_bytes(*digest.0.first_chunk().expect("a digest has 32 bytes"));
    // Every fourth crash loses nothing and every fourth everything: a cut at a batch's end is rare otherwise.
    match number % 4 {
        0 => 0,
        1 => length,
        _ => (number >> 2) % (length + 1),
    }
}

/// Bytes that a batch takes in a log.
fn bytes_of(batch: &Batch) -> u64 {
    let bytes: usize = batch
        .writes()
        .iter()
        .map(|write| match write {
            Write::Put { key, value, .. } => 16 + key.len() + value.len(),
            Write::Delete { key, .. } => 16 + key.len(),
        })
        .sum();
    u64::try_from(bytes).expect("what is in memory fits 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Space = Space("space");

    fn put(n: u8) -> Batch {
        let mut batch = Batch::default();
        batch.put(SPACE, [n], [n; 3]);
        batch.put(SPACE, [n + 100], [n; 5]);
        batch
    }

    fn shown(kv: &MemKv) -> Vec<u8> {
        kv.keys(SPACE).into_iter().map(|key| key[0]).collect()
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_a_beginning_of_the_rest_in_whole_batches() {
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let kv = MemKv::new();
            kv.write(put(0), Durability::Buffered).expect("there is room");
            kv.write(put(1), Durability::Synced).expect("there is room");
            kv.write(put(2), Durability::Buffered).expect("there is room");
            kv.write(put(3), Durability::Buffered).expect("there is room");
            assert_eq!(shown(&kv), [0, 1, 2, 3, 100, 101, 102, 103]);
            kv.crash(seed);
            seen.insert(shown(&kv));
        }
        let all = [vec![0, 1, 100, 101], vec![0, 1, 2, 100, 101, 102], vec![0, 1, 2, 3, 100, 101, 102, 103]];
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), all.into_iter().collect());
    }

    #[test]
    fn a_write_under_failing_power_is_there_or_not_after_the_crash() {
        let mut seen = BTreeSet::new();
        for seed in 0..100 {
            let kv = MemKv::new();
            kv.cut_power_after(1);
            kv.write(put(0), Durability::Synced).expect("the power is still there");
            kv.write(put(1), Durability::Synced).expect_err("the power fails");
            kv.get(SPACE, &[0]).expect_err("nothing works without power");
            kv.crash(seed);
            seen.insert(shown(&kv));
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [vec![0, 1, 100, 101], vec![0, 100]]);
    }

    #[test]
    fn what_does_not_fit_leaves_nothing() {
        let kv = MemKv::new();
        kv.leave_room(60);
        kv.write(put(0), Durability::Synced).expect("42 bytes fit");
        assert!(matches!(kv.write(put(1), Durability::Synced), Err(Fault::DiskFull { .. })));
        assert_eq!(shown(&kv), [0, 100]);
    }

    #[test]
    fn damage_is_noticed_or_silent_as_asked() {
        let kv = MemKv::new();
        kv.write(put(0), Durability::Synced).expect("there is room");
        assert!(kv.damage(SPACE, &[0], Damage::Silent { bit: 8 }));
        assert_eq!(kv.get(SPACE, &[0]), Ok(Some(vec![0, 1, 0])));
        assert!(kv.damage(SPACE, &[0], Damage::Noticed));
        assert!(matches!(kv.get(SPACE, &[0]), Err(Fault::Damaged { .. })));
        assert!(!kv.damage(SPACE, &[7], Damage::Noticed));
    }
}
