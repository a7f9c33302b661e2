//! The floor: a small file beside the database that says how high the chain was, whatever the database finds.
//!
//! A database whose log was cut or removed opens at an earlier block, and cannot know that there was a later one. A
//! node that believed it would sign other blocks at heights that are final. This file is not written by the database,
//! so that what damages one does not lower the other (STO-10, STO-11).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cpc_primitives::{BlockId, Digest, Fault, Height};

use crate::store::damaged;

/// What the file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    /// Block 0 of the chain that was begun.
    pub(crate) genesis: BlockId,
    /// A block that was final on the disk.
    pub(crate) height: Height,
    /// Its id.
    pub(crate) id: BlockId,
}

/// The file, which is there from the first block on.
pub(crate) struct Floor {
    dir: PathBuf,
    slots: Mutex<Option<Slots>>,
}

/// The open file and what it holds.
struct Slots {
    file: File,
    mark: Mark,
    sequence: u64,
    /// Marks that were written and may be lost with the power.
    unsynced: u32,
}

const NAME: &str = "floor";
const UNFINISHED: &str = "floor.part";
/// Each slot has a page of its own, so that a torn write never touches the other.
const SLOT_BYTES: usize = 4096;
const FILE_BYTES: usize = 2 * SLOT_BYTES;
/// Sequence, genesis, height, id.
const BODY_BYTES: usize = 8 + 32 + 8 + 32;
/// The most blocks by which the power can set the file back: one wait for the disk in so many blocks.
const MARKS_A_SYNC: u32 = 16;

impl Floor {
    /// Reads the file of a directory, which need not be there; nothing is created.
    pub(crate) fn open(dir: &Path) -> Result<Self, Fault> {
        let path = dir.join(NAME);
        let slots = match File::options().read(true).write(true).open(&path) {
            Ok(file) => {
                let mut bytes = [0; FILE_BYTES];
                let length = file.metadata().map_err(|error| io_fault(&path, &error))?.len();
                if usize::try_from(length) != Ok(FILE_BYTES) {
                    return Err(damaged(&format!("{} has {length} bytes, not {FILE_BYTES}", path.display())));
                }
                file.read_exact_at(&mut bytes, 0).map_err(|error| io_fault(&path, &error))?;
                // STO-10: a write that was torn leaves the slot before it.
                let newest = bytes.chunks_exact(SLOT_BYTES).filter_map(read_slot).max_by_key(|(sequence, _)| *sequence);
                let (sequence, mark) = newest.ok_or_else(|| damaged(&format!("{} holds no mark", path.display())))?;
                Some(Slots { file, mark, sequence, unsynced: 0 })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io_fault(&path, &error)),
        };
        Ok(Self { dir: dir.to_owned(), slots: Mutex::new(slots) })
    }

    /// What the file says; nothing where no chain was begun.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.slots().as_ref().map(|slots| slots.mark)
    }

    /// Says that a block is final on the disk, which it has to be: a floor above the disk would stop the node.
    pub(crate) fn raise(&self, mark: Mark) -> Result<(), Fault> {
        let mut slots = self.slots();
        match slots.as_mut() {
            Some(slots) => slots.write(mark).map_err(|error| io_fault(&self.dir.join(NAME), &error)),
            None => {
                *slots = Some(self.create(mark)?);
                Ok(())
            }
        }
    }

    /// The file gets its name when all of it is on the disk, so that it never holds no mark.
    fn create(&self, mark: Mark) -> Result<Slots, Fault> {
        let (part, path) = (self.dir.join(UNFINISHED), self.dir.join(NAME));
        let mut bytes = [0; FILE_BYTES];
        bytes[..BODY_BYTES + 32].copy_from_slice(&slot(1, &mark));
        let create = || {
            let mut file = File::options().create(true).truncate(true).read(true).write(true).open(&part)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            File::open(&self.dir)?.sync_all()?;
            Ok(file)
        };
        let file = create().map_err(|error| io_fault(&path, &error))?;
        Ok(Slots { file, mark, sequence: 1, unsynced: 0 })
    }

    fn slots(&self) -> MutexGuard<'_, Option<Slots>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        if let Some(slots) = self.slots().as_mut() {
            // A floor that stays lower is no wrong one.
            let _ = slots.sync();
        }
    }
}

impl Slots {
    /// STO-11: written at once, which outlives the process; synced now and then, which costs a block hardly a wait.
    fn write(&mut self, mark: Mark) -> io::Result<()> {
        let sequence = self.sequence.saturating_add(1);
        let offset = if sequence % 2 == 1 { 0 } else { SLOT_BYTES };
        let offset = u64::try_from(offset).expect("a small number");
        self.file.write_all_at(&slot(sequence, &mark), offset)?;
        (self.mark, self.sequence, self.unsynced) = (mark, sequence, self.unsynced + 1);
        if self.unsynced >= MARKS_A_SYNC { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.unsynced > 0 {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(())
    }
}

/// The bytes of a slot: its body and the hash of it.
fn slot(sequence: u64, mark: &Mark) -> [u8; BODY_BYTES + 32] {
    let mut bytes = [0; BODY_BYTES + 32];
    bytes[..8].copy_from_slice(&sequence.to_le_bytes());
    bytes[8..40].copy_from_slice(&mark.genesis.0.0);
    bytes[40..48].copy_from_slice(&mark.height.0.to_le_bytes());
    bytes[48..80].copy_from_slice(&mark.id.0.0);
    let hash = blake3::hash(&bytes[..BODY_BYTES]);
    bytes[BODY_BYTES..].copy_from_slice(hash.as_bytes());
    bytes
}

/// What a slot says, where its hash is right.
fn read_slot(bytes: &[u8]) -> Option<(u64, Mark)> {
    let (sequence, rest) = bytes.split_first_chunk()?;
    let (genesis, rest) = rest.split_first_chunk()?;
    let (height, rest) = rest.split_first_chunk()?;
    let (id, _) = rest.split_first_chunk()?;
    let sequence = u64::from_le_bytes(*sequence);
    let height = Height(u64::from_le_bytes(*height));
    let mark = Mark { genesis: BlockId(Digest(*genesis)), height, id: BlockId(Digest(*id)) };
    bytes.starts_with(&slot(sequence, &mark)).then_some((sequence, mark))
}

fn io_fault(path: &Path, error: &io::Error) -> Fault {
    let detail = format!("{}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::DiskFull { detail },
        _ => Fault::Io { detail },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(height: u64) -> Mark {
        Mark { genesis: BlockId(Digest([7; 32])), height: Height(height), id: BlockId(Digest([8; 32])) }
    }

    fn found(dir: &Path) -> Result<Option<Mark>, Fault> {
        Floor::open(dir).map(|floor| floor.mark())
    }

    #[test]
    fn the_last_mark_is_found_again_and_before_the_first_there_is_no_file() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(found(dir.path()), Ok(None));
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0, "a question makes no file");
        let floor = Floor::open(dir.path()).expect("readable");
        for height in 0..40 {
            floor.raise(mark(height)).expect("there is room");
            assert_eq!(floor.mark(), Some(mark(height)));
            assert_eq!(found(dir.path()), Ok(Some(mark(height))), "whoever kills the process now finds this");
        }
        let names: Vec<_> = fs::read_dir(dir.path()).expect("readable").map(|row| row.expect("a row").path()).collect();
        assert_eq!(names, [dir.path().join(NAME)]);
    }

    #[test]
    fn a_torn_slot_leaves_the_mark_before_it_and_two_torn_slots_are_damage() {
        let dir = tempfile::tempdir().expect("a directory");
        let floor = Floor::open(dir.path()).expect("readable");
        for height in 0..3 {
            floor.raise(mark(height)).expect("there is room");
        }
        drop(floor);
        let path = dir.path().join(NAME);
        let sound = fs::read(&path).expect("readable");
        for at in 0..BODY_BYTES + 32 {
            // The third mark lies in the first slot, the second in the other.
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).expect("there is room");
            assert_eq!(found(dir.path()), Ok(Some(mark(1))), "byte {at}");
            bytes[SLOT_BYTES + at] ^= 1;
            fs::write(&path, &bytes).expect("there is room");
            assert!(matches!(found(dir.path()), Err(Fault::Damaged { .. })), "byte {at}");
        }
        for length in [0, 100, FILE_BYTES - 1] {
            fs::write(&path, &sound[..length]).expect("there is room");
            assert!(matches!(found(dir.path()), Err(Fault::Damaged { .. })), "{length} bytes");
        }
    }
}
