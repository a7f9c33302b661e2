//! Committees: who is drawn and when, when somebody else is, and how likely a bad one is.

use cpc_ledger::{Skip, beacon, recount, seats};
use cpc_primitives::committee::draw;
use cpc_primitives::task::DecidedPage;
use cpc_primitives::{Epoch, Height};

use crate::bazaar::{SEATS, WANDA, accepted, bazaar, bazaar_of, market_params, order, register, result};
use crate::world::{ALICE, BOB, World, address, key};

/// The state says nothing of a committee before the second block after the task's, and then what the beacon draws.
#[test]
fn two_blocks_later_the_beacon_draws_a_committee_of_the_seats() {
    let mut world = bazaar();
    let task = world.open(ALICE, order(&world, 1, 100));
    let (committee, drawn) = world.committee(task);
    assert_eq!((drawn, world.tip.height), (Height(3), Height(3)));
    let there = seats(&world.state, Epoch(0)).expect("readable").expect("an epoch");
    let places = draw(&beacon(&world.state).expect("readable"), task, drawn, 5, 4);
    assert_eq!(committee.members.iter().map(|member| member.seat).collect::<Vec<_>>(), places);
    for member in &committee.members {
        let seat = there.seats()[usize::from(member.seat)];
        assert_eq!(member.account, seat.account);
        let number = SEATS.into_iter().find(|number| address(*number) == seat.account).expect("a seat");
        assert_eq!(member.key, key(number + 150).public());
    }
    assert_eq!((committee.epoch, committee.quorum, committee.pending), (Epoch(0), 3, 0));

    let mut world = bazaar();
    let waiting = cpc_primitives::TaskId::of(address(ALICE), cpc_primitives::Nonce(0));
    let order = order(&world, 1, 100);
    world.done(ALICE, cpc_primitives::tx::Action::OpenTask(order));
    assert_eq!(world.escrow(waiting).expect("open").drawn, None);
    world.run(1);
    assert_eq!(world.escrow(waiting).expect("open").drawn, None);
}

#[test]
fn an_epoch_with_few_seats_has_committees_of_all_of_them() {
    for (count, quorum) in [(1, 1), (2, 2), (3, 3), (4, 3)] {
        let mut world = bazaar_of(market_params(), &SEATS[..count]);
        world.done(WANDA, register(WANDA, 1_000));
        let task = world.open(ALICE, order(&world, 1, 100));
        let (committee, _) = world.committee(task);
        assert_eq!((committee.members.len(), committee.quorum), (count, quorum));
        let places: Vec<usize> = (0..usize::from(quorum)).collect();
        let submit = world.submit(&[accepted(result(&world, task, 0, WANDA), &places)]);
        assert_eq!(world.judged(BOB, submit).counted, 1);
    }
}

fn drawn(world: &World, task: cpc_primitives::TaskId) -> u64 {
    world.escrow(task).expect("an open task").drawn.expect("a committee").0
}

// COM-5: the larger of 4 x 2 blocks and two leases; a decided job begins the time anew.
#[test]
fn a_committee_that_decides_nothing_is_drawn_anew() {
    for (lease, patience) in [(1, 8), (4, 8), (5, 10)] {
        let mut world = bazaar();
        world.done(WANDA, register(WANDA, 1_000));
        let mut order = order(&world, 3, 300);
        order.lease_blocks = lease;
        let task = world.open(ALICE, order);
        let first = drawn(&world, task);
        let (old, at) = world.committee(task);
        world.run(3);
        let submit = world.submit(&[accepted(result(&world, task, 0, WANDA), &[0, 1, 2])]);
        world.judged(BOB, submit);
        let progress = world.tip.height.0;
        let late = [accepted(result(&world, task, 1, WANDA), &[0, 1, 2])];
        let late = crate::bazaar::submit_of(crate::bazaar::sign(&old, at, &late), &late);
        world.run_to(progress + patience - 1);
        assert_eq!(drawn(&world, task), first);
        world.run(1);
        assert_eq!(drawn(&world, task), progress + patience);
        // What the committee before it signed is skipped, and what it accepted was settled as ever.
        let judged = world.judged(BOB, late);
        let expected = Skip::OtherDraw { expected: Height(progress + patience), found: Height(first) };
        assert_eq!(judged.first.map(|first| first.reason), Some(expected));
        assert_eq!(cpc_ledger::committee(&world.state, task, Height(first)), Ok(None));
        recount(world.entries()).expect("every record is counted");
        let submit = world.submit(&[accepted(result(&world, task, 1, WANDA), &[1, 2, 3])]);
        assert_eq!(world.judged(BOB, submit).counted, 1);
    }
}

#[test]
fn a_committee_ends_with_the_epoch_after_its_own_and_stays_for_what_it_accepted() {
    let params = cpc_ledger::Params { challenge_window_blocks: 60, unbonding_epochs: 9, ..market_params() };
    let mut world = bazaar_of(params, &SEATS);
    world.done(WANDA, register(WANDA, 1_000));
    let mut order = order(&world, 2, 200);
    order.lease_blocks = 50;
    let task = world.open(ALICE, order);
    let first = drawn(&world, task);
    world.run_to(40);
    let submit = world.submit(&[accepted(result(&world, task, 0, WANDA), &[0, 1, 2])]);
    world.judged(BOB, submit);
    // Epoch 1 ends with block 79.
    world.run_to(78);
    assert_eq!(drawn(&world, task), first);
    world.run_to(79);
    assert_eq!(drawn(&world, task), 79);
    let old = cpc_ledger::committee(&world.state, task, Height(first)).expect("readable").expect("it accepted a job");
    assert_eq!((old.pending, world.committee(task).0.epoch), (1, Epoch(1)));
    recount(world.entries()).expect("every record is counted");
    // A verdict of the old committee on its own job still counts.
    let added = [accepted(result(&world, task, 0, WANDA), &[3])];
    let added = crate::bazaar::verdicts_of(crate::bazaar::sign(&old, Height(first), &added), &added);
    assert_eq!(world.judged(BOB, added).counted, 1);
    world.run_to(41 + 60);
    assert_eq!(cpc_ledger::committee(&world.state, task, Height(first)), Ok(None));
    recount(world.entries()).expect("every record is counted");
}

// DUE-4: what one block does not reach the next one does, in the same order.
#[test]
fn more_tasks_than_one_block_watches_are_watched_by_the_next_ones() {
    let mut world = bazaar();
    let mut order = order(&world, 1, 100);
    order.lease_blocks = 1;
    let tasks: Vec<_> =
        (0..300).map(|nonce| cpc_primitives::TaskId::of(address(ALICE), cpc_primitives::Nonce(nonce))).collect();
    let first = world.account(ALICE).expect("an account").nonce.0;
    let txs = (first..first + 300).map(|nonce| {
        let action = cpc_primitives::tx::Action::OpenTask(order.clone());
        let gas_limit = cpc_ledger::intrinsic(&action);
        let body = cpc_primitives::tx::TxBody { gas_limit, ..crate::world::body(nonce, action) };
        body.sign(&key(ALICE))
    });
    world.block(txs.collect());
    world.run(2);
    assert!(tasks.iter().all(|task| drawn(&world, *task) == 3));
    recount(world.entries()).expect("every record is counted");
}

#[test]
fn a_page_of_decided_jobs_is_as_long_as_its_last_one() {
    assert_eq!(cpc_primitives::codec::encode(&DecidedPage::default().with(15)).len(), 8 + 2);
    assert_eq!(cpc_primitives::codec::encode(&DecidedPage::default().with(8_191)).len(), 8 + 1_024);
}

/// The number of ways to choose so many of so many.
fn choose(of: u128, chosen: u128) -> u128 {
    if chosen > of { 0 } else { (0..chosen).fold(1, |ways, n| ways * (of - n) / (n + 1)) }
}

/// How likely at least so many of a committee are among the dishonest, in billionths, rounded down.
fn at_least(seats: u128, dishonest: u128, committee: u128, least: u128) -> u128 {
    let ways: u128 =
        (least..=committee).map(|bad| choose(dishonest, bad) * choose(seats - dishonest, committee - bad)).sum();
    ways * 1_000_000_000 / choose(seats, committee)
}

#[test]
fn the_probabilities_of_the_spec_are_those_of_the_draw() {
    let spec = include_str!("../../../../docs/spec/ledger.md");
    let number = |text: &str| text.trim().replace(',', "").parse::<u128>().ok();
    let rows = spec.lines().filter_map(|line| -> Option<[u128; 6]> {
        let cells: Option<Vec<u128>> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(number).collect();
        cells?.try_into().ok()
    });
    let mut count = 0;
    for [seats, dishonest, committee, quorum, forge, block] in rows {
        assert_eq!(forge, at_least(seats, dishonest, committee, quorum), "forge with {dishonest} of {seats}");
        let blocks = committee - quorum + 1;
        assert_eq!(block, at_least(seats, dishonest, committee, blocks), "block with {dishonest} of {seats}");
        count += 1;
    }
    assert_eq!(count, 8);
}
