//! A full or damaged disk gives a fault with its remedy: never a panic, never a wrong answer.

mod common;
mod world;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cpc_primitives::Fault;
use cpc_primitives::kv::{Batch, Durability, Kv, Space};
use cpc_store::{Damage, Index, MemKv, Options, RocksKv, RocksOptions, SPACES, Store, StoreError, tx_events};
use rand::prelude::*;
use world::World;

const BLOCKS: u64 = 5;

fn grown() -> (Arc<MemKv>, World) {
    let kv = Arc::new(MemKv::new());
    let mut world = World::new(1);
    let store = world.begin(Arc::<MemKv>::clone(&kv), Options::default()).expect("it begins");
    for _ in 0..BLOCKS {
        world.commit_next(&store).expect("it is the next block");
    }
    Index::open(store, tx_events).expect("it opens").catch_up(u64::MAX).expect("the blocks are there");
    (kv, world)
}

/// Everything that a store can be asked, after something in it was damaged: the right answer or a fault.
///
/// A store that opens below the last block, or empty, is the worst wrong answer: its node would sign those heights again.
fn demand_no_wrong_answer(opened: Result<Store, StoreError>, world: &World, what: &str) -> Answer {
    let store = match opened {
        Ok(store) => store,
        Err(StoreError::Fault(Fault::Damaged { .. } | Fault::Io { .. }) | StoreError::Format(_)) => {
            return Answer::Fault;
        }
        Err(error) => panic!("{what}: {error}"),
    };
    let tip = store.tip().map(|tip| tip.height());
    assert_eq!(tip, Some(world.height()), "{what}: final blocks have vanished without a word");
    match world.verify(&store) {
        Ok(()) => Answer::Right,
        Err(found) => {
            let named = ["damaged", "the check found"].iter().any(|text| found.contains(text));
            assert!(named, "{what}: a wrong answer: {found}");
            Answer::Fault
        }
    }
}

fn in_memory(kv: Arc<MemKv>) -> Result<Store, StoreError> {
    Store::open(kv, Options::default())
}

#[derive(PartialEq, Eq, Debug)]
enum Answer {
    Right,
    Fault,
}

#[test]
fn every_flipped_bit_of_the_chain_is_noticed() {
    let mut rng = common::rng(9);
    let (sound, _) = grown();
    // Certificates and receipts are bytes of others, who check them.
    let opaque: BTreeSet<Space> = [Space("certificates"), Space("receipts")].into();
    let (mut flips, mut index_flips) = (0, 0);
    for space in SPACES.into_iter().filter(|space| !opaque.contains(space)) {
        for key in sound.keys(space) {
            let (kv, world) = grown();
            let what = format!("{space} {key:?}");
            assert!(kv.damage(space, &key, Damage::Silent { bit: rng.random_range(0..4096) }), "{what}");
            if space.0.starts_with("index") {
                let store = in_memory(kv).expect("the chain is sound");
                world.verify_sound(&store).expect("the index is no part of the chain");
                demand_index_noticed(space, world.verify(&store), &what);
                index_flips += 1;
            } else {
                let answer = demand_no_wrong_answer(in_memory(kv), &world, &what);
                assert_eq!(answer, Answer::Fault, "{what} was changed and nothing noticed");
                flips += 1;
            }
        }
    }
    assert!(flips > 40 && index_flips > 10, "{flips} {index_flips}");
}

/// What is found of a changed row of the index by whoever looks things up by hash and by account.
#[track_caller]
fn demand_index_noticed(space: Space, found: Result<(), String>, what: &str) {
    match space.0 {
        // IDX-1: an index that names no block of this chain is built again.
        "index-meta" => assert_eq!(found, Ok(()), "{what}"),
        "index-tx-hash" => {
            let found = found.expect_err("every transaction is looked up by its hash");
            assert!(found.contains("the index has"), "{what}: {found}");
        }
        // Nobody looks by id here, and the rows of an account are found by their keys: the rest must be unharmed.
        _ => assert_eq!(found, Ok(()), "{what}"),
    }
}

#[test]
fn an_index_whose_state_says_nothing_is_built_again() {
    for value in [vec![], vec![1; 7], vec![0; 8], vec![0; 39], vec![0xff; 41], vec![0; 1000]] {
        let (kv, world) = grown();
        let mut batch = Batch::default();
        batch.put(Space("index-meta"), *b"state", value.clone());
        kv.write(batch, Durability::Synced).expect("there is room");
        let store = in_memory(kv).expect("the chain is sound");
        let index = Index::open(store.clone(), tx_events).expect("no index is no fault");
        assert_eq!(index.height(), Ok(None), "{value:?}");
        world.verify(&store).expect("it is built again");
    }
}

#[test]
fn a_read_that_fails_is_a_fault_with_its_remedy() {
    let (sound, _) = grown();
    for space in [Space("meta"), Space("headers"), Space("blocks"), Space("buckets"), Space("pages")] {
        for key in sound.keys(space) {
            let (kv, world) = grown();
            kv.damage(space, &key, Damage::Noticed);
            let what = format!("{space} {key:?}");
            assert_eq!(demand_no_wrong_answer(in_memory(kv), &world, &what), Answer::Fault, "{what}");
        }
    }
}

#[test]
fn a_full_disk_stops_the_block_and_loses_nothing() {
    let (kv, mut world) = grown();
    let mut store = world.begin(Arc::<MemKv>::clone(&kv), Options::default()).expect("it opens");
    for room in [0, 1, 100, 1000] {
        kv.leave_room(room);
        let error = world.commit_next(&store).expect_err("there is no room");
        assert!(matches!(error, StoreError::Fault(Fault::DiskFull { .. })), "{error}");
        assert!(error.to_string().contains("free space under the data directory, then start again"), "{error}");
        world.verify_state(&store).expect("the last block is still the last one");
        store = Store::open(Arc::<MemKv>::clone(&kv), Options::default()).expect("it opens");
        world.verify(&store).expect("reading needs no room");
    }
    kv.leave_room(u64::MAX);
    world.commit_next(&store).expect("with room the same block goes through");
    world.verify(&store).expect("nothing was lost");
}

#[test]
fn another_format_is_refused_by_name() {
    let (kv, _) = grown();
    let mut batch = Batch::default();
    batch.put(Space("meta"), *b"format", 1u32.to_le_bytes());
    kv.write(batch, Durability::Synced).expect("there is room");
    let error = Store::open(kv, Options::default()).expect_err("another format").to_string();
    assert!(error.contains("of another format (expected 2, found 1)"), "{error}");
}

fn on_disk(dir: &Path) -> Result<Store, StoreError> {
    Store::open_dir(dir, RocksOptions::default(), Options::default())
}

/// A chain on a disk with everything in table files or everything in the log, closed again.
fn grown_on_disk(dir: &Path, flush: bool) -> World {
    let mut world = World::new(1);
    let store = on_disk(dir).expect("it opens");
    world.resume(&store).expect("it begins");
    for _ in 0..BLOCKS {
        world.commit_next(&store).expect("it is the next block");
    }
    drop(store);
    if flush {
        let kv = RocksKv::open(dir, &[], RocksOptions::default()).expect("it opens");
        kv.flush().expect("there is room");
    }
    world
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).expect("it is there").map(|entry| entry.expect("readable").path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    files
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a directory");
    for entry in fs::read_dir(from).expect("it is there") {
        let path = entry.expect("readable").path();
        fs::copy(&path, to.path().join(path.file_name().expect("a name"))).expect("there is room");
    }
    to
}

#[test]
fn a_table_file_with_a_flipped_byte_or_a_missing_end_gives_a_fault() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = grown_on_disk(dir.path(), true);
    let tables = files(dir.path(), "sst");
    assert!(tables.len() >= 7, "every space with rows has a file");
    let mut rng = common::rng(5);
    let mut faults = 0;
    for table in &tables {
        for truncate in [false, true] {
            let copy = copy(dir.path());
            let path = copy.path().join(table.file_name().expect("a name"));
            let mut bytes = fs::read(&path).expect("readable");
            let at = rng.random_range(0..bytes.len());
            if truncate {
                bytes.truncate(at)
            } else {
                bytes[at] ^= 0x10
            }
            fs::write(&path, bytes).expect("there is room");
            let answer = demand_no_wrong_answer(on_disk(copy.path()), &world, &format!("{} at {at}", path.display()));
            faults += usize::from(answer == Answer::Fault);
        }
    }
    assert!(faults > tables.len(), "most of the damage is noticed: {faults}");
}

#[test]
fn a_log_with_a_flipped_byte_or_a_missing_end_gives_a_fault_and_never_an_earlier_block() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = grown_on_disk(dir.path(), false);
    let log = files(dir.path(), "log").pop().expect("there is a log");
    let sound = fs::read(&log).expect("readable");
    let written = sound.len() - sound.iter().rev().take_while(|byte| **byte == 0).count();
    let mut rng = common::rng(6);
    for case in 0..24 {
        let copy = copy(dir.path());
        let path = copy.path().join(log.file_name().expect("a name"));
        let mut bytes = sound.clone();
        let at = rng.random_range(0..written);
        if case % 2 == 0 {
            bytes.truncate(at)
        } else {
            bytes[at] ^= 0x10
        }
        fs::write(&path, bytes).expect("there is room");
        let what = format!("case {case}, byte {at} of {written}");
        // STO-10: both are damage, the torn end by the floor alone.
        let answer = demand_no_wrong_answer(on_disk(copy.path()), &world, &what);
        assert_eq!(answer, Answer::Fault, "{what}");
    }
}

#[test]
fn a_last_record_that_a_crash_left_torn_gives_the_block_before_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = on_disk(dir.path()).expect("it opens");
    let mut world = World::new(1);
    world.resume(&store).expect("it begins");
    for _ in 1..BLOCKS {
        world.commit_next(&store).expect("it is the next block");
    }
    // What a disk holds that lost power amid the last block: its batch in part, and the floor of the block before.
    let log = files(dir.path(), "log").pop().expect("there is a log");
    let before = fs::metadata(&log).expect("readable").len();
    let floor = fs::read(dir.path().join("floor")).expect("it is there");
    let mut ahead = World::new(1);
    ahead.advance(world.height());
    ahead.commit_next(&store).expect("it is the next block");
    drop(store);
    let after = fs::metadata(&log).expect("readable").len();
    assert!(after > before + 1000, "{before} {after}");
    for length in [before, before + 1, before + 6, before + 7, before + 500, after - 1] {
        let copy = copy(dir.path());
        fs::write(copy.path().join("floor"), &floor).expect("there is room");
        let torn = File::options().write(true).open(copy.path().join(log.file_name().expect("a name")));
        torn.and_then(|file| file.set_len(length)).expect("it can be cut");
        let what = format!("{length} bytes of {after}");
        for attempt in 0..2 {
            // STO-8: nobody was told of the last block, so that its loss is none.
            let answer = demand_no_wrong_answer(on_disk(copy.path()), &world, &what);
            assert_eq!(answer, Answer::Right, "{what}, attempt {attempt}");
        }
    }
}

#[test]
fn a_log_that_was_removed_is_damage_and_no_chain_begins_over_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = grown_on_disk(dir.path(), false);
    let lost = |names: &[PathBuf]| {
        let copy = copy(dir.path());
        for name in names {
            fs::remove_file(copy.path().join(name.file_name().expect("a name"))).expect("it is there");
        }
        copy
    };
    let copy = lost(&files(dir.path(), "log"));
    for attempt in 0..3 {
        let error = on_disk(copy.path()).expect_err("five blocks are gone").to_string();
        assert!(error.contains("of height 5 was final on this disk"), "attempt {attempt}: {error}");
        assert!(error.contains("restore a snapshot, or sync this node again"), "attempt {attempt}: {error}");
    }
    // Of the whole database only the floor is left: nothing is created beside it.
    let all: Vec<PathBuf> = fs::read_dir(dir.path()).expect("readable").map(|row| row.expect("a row").path()).collect();
    let rest: Vec<PathBuf> = all.into_iter().filter(|path| !path.ends_with("floor")).collect();
    let copy = lost(&rest);
    let error = on_disk(copy.path()).expect_err("everything is gone").to_string();
    assert!(error.contains("there is no database"), "{error}");
    assert_eq!(fs::read_dir(copy.path()).expect("readable").count(), 1);
    // A floor that is missing is made again; one of another chain is damage.
    let copy = lost(&[dir.path().join("floor")]);
    let answer = demand_no_wrong_answer(on_disk(copy.path()), &world, "without a floor");
    assert_eq!((answer, copy.path().join("floor").exists()), (Answer::Right, true));
    let other = tempfile::tempdir().expect("a directory");
    let store = on_disk(other.path()).expect("it opens");
    World::large(1).resume(&store).expect("it begins");
    drop(store);
    fs::copy(other.path().join("floor"), copy.path().join("floor")).expect("there is room");
    let error = on_disk(copy.path()).expect_err("another chain").to_string();
    assert!(error.contains("the id of block 0"), "{error}");
}

#[test]
fn a_database_that_lost_a_file_gives_a_fault() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = grown_on_disk(dir.path(), true);
    let mut names: Vec<PathBuf> = files(dir.path(), "sst");
    names.push(dir.path().join("CURRENT"));
    for file in names {
        let copy = copy(dir.path());
        fs::remove_file(copy.path().join(file.file_name().expect("a name"))).expect("it is there");
        let answer = demand_no_wrong_answer(on_disk(copy.path()), &world, &file.display().to_string());
        assert_eq!(answer, Answer::Fault, "{}", file.display());
    }
}

#[test]
fn applied_blocks_without_a_format_are_damage() {
    let (kv, _) = grown();
    let mut batch = Batch::default();
    batch.delete(Space("meta"), *b"format");
    kv.write(batch, Durability::Synced).expect("there is room");
    let error = in_memory(kv).expect_err("the format is gone").to_string();
    assert!(error.contains("there is no format"), "{error}");
}
