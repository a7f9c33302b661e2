//! A validator whose disk is full says so, and votes again when there is space; the others go on meanwhile.

use std::fs;

use cpc_e2e::{SmallDisk, Validators};

/// The validator with the small disk.
const SMALL: usize = 3;

#[test]
fn a_validator_with_a_full_disk_says_so_and_votes_again_when_there_is_space() {
    let home = tempfile::tempdir().expect("a folder");
    let place = home.path().join("small");
    fs::create_dir(&place).expect("a folder");
    let disk = SmallDisk::new(&place, 64);
    let log = home.path().join("small.log");

    let mut validators = Validators::prepare(home.path(), 4, 100, |text| text);
    (0..SMALL).for_each(|n| validators.revive(n));
    validators.revive_on(SMALL, &disk, &log);
    validators.reach(3);

    disk.fill();
    let code = validators.ended(SMALL);
    let said = fs::read_to_string(&log).expect("what it said");
    assert_eq!(code, Some(10), "not now: {said}");
    assert!(said.contains("the disk is full") && said.contains("free"), "{said}");
    let before = validators.tip();
    validators.reach(before + 3);

    disk.free();
    validators.revive_on(SMALL, &disk, &log);
    let tip = validators.tip();
    validators.node(SMALL).reach(tip);
    // With one of the others gone, no block is final without it.
    validators.kill(0);
    let before = validators.tip();
    validators.reach(before + 3);
    validators.stop();
}
