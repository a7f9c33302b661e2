//! A snapshot holds a state that anybody can check, and what is not that state is refused by name.

mod common;
mod world;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cpc_primitives::{BlockId, Digest, Fault, Height};
use cpc_store::{
    BESIDE_BYTES_MAX, BESIDE_FILES_MAX, Beside, MemKv, Options, Snapshot, SnapshotError, Store, StoreError, Trusted,
};
use world::World;

const PROOF: Beside<'static> = Beside { name: "finality.proof", bytes: b"final" };

struct Made {
    dir: tempfile::TempDir,
    world: World,
    source: Store,
    snapshot: Snapshot,
}

fn made() -> Made {
    let dir = tempfile::tempdir().expect("a directory");
    let mut world = World::new(4);
    let source = world.begin(Arc::new(MemKv::new()), Options::default()).expect("it begins");
    for _ in 0..6 {
        world.commit_next(&source).expect("it is the next block");
    }
    let snapshot = source.create_snapshot(dir.path(), &[PROOF]).expect("there is room");
    Made { dir, world, source, snapshot }
}

/// Spoils a file, in a way that depends on the case.
type Damage = fn(&mut Vec<u8>, usize);

fn trusted(snapshot: &Snapshot) -> Trusted {
    Trusted { genesis: snapshot.manifest.genesis, block: snapshot.manifest.header.id() }
}

fn empty() -> (Arc<MemKv>, Store) {
    let kv = Arc::new(MemKv::new());
    let store = Store::open(Arc::<MemKv>::clone(&kv), Options::default()).expect("nothing is there");
    (kv, store)
}

#[test]
fn a_restored_store_is_the_one_it_was_made_of_and_goes_on() {
    let mut made = made();
    let snapshot = Snapshot::open(&made.snapshot.dir).expect("it was made");
    assert_eq!(snapshot, made.snapshot);
    snapshot.verify().expect("it holds");
    let (kv, store) = empty();
    store.restore(&snapshot, trusted(&snapshot)).expect("it holds");
    made.world.verify_state(&store).expect("the same state");
    assert_eq!((store.tip(), store.genesis()), (made.source.tip(), made.source.genesis()));
    assert_eq!(store.certificate(Height(6)), made.source.certificate(Height(6)));
    assert_eq!(store.receipts(Height(6)), Ok(None), "no header vouches for receipts");
    assert_eq!((store.lowest(), store.block(Height(5))), (Ok(Height(6)), Ok(None)));
    let old = made.source.block(Height(3)).expect("readable").expect("it is kept");
    let overlay = store.overlay(None, &Default::default()).expect("readable");
    assert!(matches!(store.commit(&overlay, &old, &[], &[]), Err(StoreError::Height(_))));

    made.world.commit_next(&store).expect("it is the next block");
    let reopened = Store::open(kv, Options::default()).expect("it is whole");
    made.world.verify_sound(&reopened).expect("the next block is there");
}

#[test]
fn a_snapshot_is_made_once_and_listed() {
    let made = made();
    assert_eq!(made.source.create_snapshot(made.dir.path(), &[PROOF]), Ok(made.snapshot.clone()));
    fs::create_dir(made.dir.path().join("7-unfinished.part")).expect("there is room");
    fs::create_dir(made.dir.path().join("nothing")).expect("there is room");
    let listed = Snapshot::list(made.dir.path()).expect("readable");
    assert_eq!(listed.len(), 2, "what is unfinished is not listed");
    assert_eq!(listed[0].snapshot, Ok(made.snapshot.clone()));
    assert!(matches!(listed[1].snapshot, Err(SnapshotError::File { .. })));
    assert!(matches!(Snapshot::list(&made.dir.path().join("nowhere")), Err(SnapshotError::File { .. })));
}

#[test]
fn what_belongs_to_a_snapshot_is_there_before_its_name_is() {
    let made = made();
    assert_eq!(fs::read(made.snapshot.dir.join(PROOF.name)).expect("it is there"), PROOF.bytes);
    // A snapshot that lacks it is not taken for one that has it.
    fs::remove_file(made.snapshot.dir.join(PROOF.name)).expect("it is there");
    let error = made.source.create_snapshot(made.dir.path(), &[PROOF]).expect_err("it lacks its proof").to_string();
    assert!(error.contains("was made without it: remove that folder"), "{error}");

    let elsewhere = made.dir.path().join("elsewhere");
    let names = ["", ".", "..", "manifest", "block", "chunk-000", "a/b", "../a", ".hidden", "A"];
    let mut refused: Vec<Vec<Beside<'_>>> = names.map(|name| vec![Beside { name, ..PROOF }]).into();
    let long = vec![0; BESIDE_BYTES_MAX + 1];
    refused.push(vec![Beside { bytes: &long, ..PROOF }]);
    refused.push(vec![PROOF, PROOF]);
    let many = ["a", "b", "c", "d", "e"].map(|name| Beside { name, ..PROOF });
    refused.push(many.to_vec());
    for beside in refused {
        let error = made.source.create_snapshot(&elsewhere, &beside).expect_err("no such file is taken");
        assert!(matches!(error, SnapshotError::Beside { .. }), "{error}");
        assert!(!elsewhere.exists(), "what is refused leaves no trace");
    }
    let most = [&many[..BESIDE_FILES_MAX - 1], &[Beside { bytes: &long[1..], ..PROOF }]].concat();
    made.source.create_snapshot(&elsewhere, &most).expect("so many are taken");
}

#[test]
fn only_the_wanted_snapshot_enters_only_an_empty_store() {
    let made = made();
    let wanted = trusted(&made.snapshot);
    let other = BlockId(Digest([5; 32]));
    let (kv, store) = empty();
    let genesis = store.restore(&made.snapshot, Trusted { genesis: other, ..wanted });
    assert!(matches!(genesis, Err(SnapshotError::Genesis(_))));
    let block = store.restore(&made.snapshot, Trusted { block: other, ..wanted });
    assert!(matches!(block, Err(SnapshotError::Block(_))));
    assert_eq!(kv.bytes(), 0, "nothing was written");
    store.restore(&made.snapshot, wanted).expect("it holds");
    assert_eq!(store.restore(&made.snapshot, wanted), Err(SnapshotError::NotEmpty { tip: Height(6) }));
}

#[test]
fn a_full_disk_amid_a_restore_leaves_an_empty_store() {
    let made = made();
    let whole = {
        let (kv, store) = empty();
        store.restore(&made.snapshot, trusted(&made.snapshot)).expect("there is room");
        kv.bytes()
    };
    for (turn, room) in [0, 100, whole / 2, whole - 100, whole - 1].into_iter().enumerate() {
        let (kv, store) = empty();
        kv.leave_room(room);
        let error = store.restore(&made.snapshot, trusted(&made.snapshot)).expect_err("there is no room");
        assert!(matches!(error, SnapshotError::Store(StoreError::Fault(Fault::DiskFull { .. }))), "{error}");
        kv.leave_room(u64::MAX);
        // Whether or not the node was started again in between, the next attempt begins from nothing.
        let store = match turn % 2 {
            0 => Store::open(kv, Options::default()).expect("the next start clears what was left"),
            _ => store,
        };
        assert!(store.is_empty());
        store.restore(&made.snapshot, trusted(&made.snapshot)).expect("with room it goes through");
        made.world.verify_sound(&store).expect("nothing of the first attempt is left");
    }
}

#[test]
fn every_damaged_file_is_refused_by_name_and_leaves_no_trace() {
    let made = made();
    let names: Vec<_> = fs::read_dir(&made.snapshot.dir)
        .expect("it was made")
        .map(|entry| entry.expect("readable").file_name())
        // Whoever gave the store this file checks it.
        .filter(|name| name != PROOF.name)
        .collect();
    assert!(names.len() > 10, "manifest, block and chunks");
    for (case, name) in names.iter().enumerate() {
        let path = made.snapshot.dir.join(name);
        let sound = fs::read(&path).expect("readable");
        let damages: [Damage; 4] = [
            |bytes, case| {
                let at = (case * 7919) % bytes.len();
                bytes[at] ^= 1 << (case % 8);
            },
            |bytes, case| bytes.truncate((case * 31) % bytes.len()),
            |bytes, _| bytes.push(0),
            |bytes, _| bytes.clear(),
        ];
        for (kind, damage) in damages.iter().enumerate() {
            let mut bytes = sound.clone();
            damage(&mut bytes, case);
            fs::write(&path, &bytes).expect("there is room");
            let (kv, store) = empty();
            // A manifest may still be one after a bit was flipped: then of another block, or with another chunk.
            let opened = Snapshot::open(&made.snapshot.dir);
            let refused = opened.and_then(|snapshot| store.restore(&snapshot, trusted(&made.snapshot)));
            let certificate = name == "manifest" && kind == 0 && refused.is_ok();
            assert!(refused.is_err() || certificate, "{name:?}, damage {kind}");
            assert!(certificate || (store.is_empty() && kv.bytes() == 0), "{name:?}, damage {kind} left a trace");
        }
        fs::write(&path, &sound).expect("there is room");
        fs::remove_file(&path).expect("it is there");
        let opened = Snapshot::open(&made.snapshot.dir);
        assert!(opened.and_then(|snapshot| snapshot.verify()).is_err(), "{name:?} is missing");
        fs::write(&path, &sound).expect("there is room");
    }
    made.snapshot.verify().expect("everything is as it was");
}

#[test]
fn sizes_that_lie_are_refused_before_anything_is_kept() {
    let made = made();
    let chunk = (0..256).map(|n| format!("chunk-{n:03}")).find(|name| made.snapshot.dir.join(name).exists());
    let path = made.snapshot.dir.join(chunk.expect("there are entries"));
    let sound = fs::read(&path).expect("readable");
    // The first entry says that its value has four gigabytes.
    let mut bytes = sound.clone();
    bytes[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(&path, &bytes).expect("there is room");
    let error = made.snapshot.verify().expect_err("a value has at most 64 KiB").to_string();
    assert!(error.contains("an entry of 8 and 4294967295 bytes"), "{error}");
    fs::write(&path, &sound).expect("there is room");

    let manifest = made.snapshot.dir.join("manifest");
    fs::write(&manifest, vec![0xff; 1 << 20]).expect("there is room");
    let error = Snapshot::open(&made.snapshot.dir).expect_err("a manifest is small").to_string();
    assert!(error.contains("it has more than 131072 bytes"), "{error}");
    assert!(matches!(Snapshot::open(Path::new("/nowhere")), Err(SnapshotError::File { .. })));
}
