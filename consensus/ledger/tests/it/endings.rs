//! How tasks end: who is paid what, what goes back, and when.

use cpc_ledger::{Leaves, TxOutcome, recount};
use cpc_primitives::result::{Finding, Outcome, Settlement, Subject};
use cpc_primitives::{JobIndex, TaskId, TimeMs};

use crate::bazaar::{
    CPC, SEATS, START, Said, WANDA, WILL, accepted, bazaar, bazaar_of, cancel, market_params, order, register, result,
};
use crate::world::{ALICE, BOB, World, address};

/// Blocks until a task has settled something, with the settlements of the last.
fn settled(world: &mut World) -> Vec<Settlement> {
    for _ in 0..200 {
        let (_, Leaves { settlements, .. }) = world.block_with_leaves(vec![]);
        recount(world.entries()).expect("every record is counted");
        if !settlements.is_empty() {
            return settlements;
        }
    }
    panic!("nothing was settled");
}

/// One job of 100 CPC by Wanda with the word of some of the committee's four places, settled.
fn hundred(places: &[usize]) -> (World, TaskId, Settlement) {
    let mut world = bazaar();
    world.done(WANDA, register(WANDA, 200 * CPC));
    let task = world.open(ALICE, order(&world, 1, 100 * CPC));
    let result = result(&world, task, 0, WANDA);
    let (first, later) = places.split_at(3);
    let submit = world.submit(&[accepted(result, first)]);
    assert_eq!(world.judged(BOB, submit).counted, 1);
    let height = world.tip.height.0;
    world.run(3);
    if !later.is_empty() {
        // The last block of the window still counts a verdict.
        let add = world.add(&[accepted(result, later)]);
        let (receipt, leaves) = world.act_with_leaves(BOB, add);
        assert!(matches!(receipt.outcome, TxOutcome::Judged(judged) if judged.counted == 1), "{receipt:?}");
        assert_eq!((leaves.settlements.len(), world.tip.height.0), (1, height + 4));
        return (world, task, leaves.settlements[0]);
    }
    let settlements = settled(&mut world);
    assert_eq!((settlements.len(), world.tip.height.0), (1, height + 4));
    (world, task, settlements[0])
}

#[track_caller]
fn parts(settlement: &Settlement, burn: u128, worker: u128, validators: u128, treasury: u128, refund: u128) {
    let found = [settlement.burn, settlement.worker, settlement.validators, settlement.treasury, settlement.refund];
    assert_eq!(found.map(|amount| amount.units()), [burn, worker, validators, treasury, refund], "{settlement:?}");
}

// STL-1, STL-2: the case of the whole design.
#[test]
fn a_hundred_with_all_four_verdicts_is_sixty_twenty_five_ten_and_five() {
    let (world, task, settlement) = hundred(&[0, 1, 2, 3]);
    assert_eq!((settlement.outcome, settlement.task()), (Outcome::Settled, task));
    parts(&settlement, 60 * CPC, 25 * CPC, 10 * CPC, 5 * CPC, 0);
    assert_eq!(settlement.reward().map(|all| all.units()), Some(100 * CPC));
    // Nothing of the task is left, and Wanda's bond is free.
    assert_eq!((world.escrow(task), world.worker(WANDA).map(|worker| worker.reserved.units())), (None, Some(0)));
    assert_eq!(world.supply().escrow.units(), 0);
}

#[test]
fn a_member_that_is_missing_leaves_its_part_to_the_burn() {
    let (_, _, settlement) = hundred(&[0, 1, 3]);
    parts(&settlement, 62 * CPC + CPC / 2, 25 * CPC, 7 * CPC + CPC / 2, 5 * CPC, 0);
}

#[test]
fn worker_members_treasury_and_burn_have_what_the_leaf_says() {
    let mut world = bazaar();
    world.done(WANDA, register(WANDA, 200 * CPC));
    let task = world.open(ALICE, order(&world, 1, 100 * CPC));
    let said = [accepted(result(&world, task, 0, WANDA), &[0, 1, 2, 3])];
    let submit = world.submit(&said);
    world.judged(BOB, submit);
    world.run(3);
    let (before, earlier, members) = (world.supply(), world.purse(&[WANDA]), world.committee(task).0.members);
    // The last empty block of the window pays: nothing else moves but the block's own reward.
    let minted = world.params.reward(world.tip.height.next().expect("a next")).units();
    let seats_part = minted * 7 / 10;
    let numbers: Vec<u8> = SEATS.into_iter().filter(|n| members.iter().any(|m| m.account == address(*n))).collect();
    let purse = world.purse(&numbers);
    settled(&mut world);
    assert_eq!(world.purse(&[WANDA])[0] - earlier[0], 25 * CPC);
    for (before, after) in purse.into_iter().zip(world.purse(&numbers)) {
        assert_eq!(after - before, 2 * CPC + CPC / 2);
    }
    let after = world.supply();
    assert_eq!(after.treasury.units() - before.treasury.units(), 5 * CPC);
    assert_eq!(after.burned.units() - before.burned.units(), 60 * CPC + minted - seats_part);
}

// STL-3: dust burns, and the parts of every leaf add up to the job's share.
#[test]
fn odd_rewards_are_divided_to_the_unit() {
    for reward in [3u128, 7, 99, 101, 1_003, 999_999_999_999_999_999_999] {
        let mut world = bazaar();
        world.done(WANDA, register(WANDA, START / 2));
        let task = world.open(ALICE, order(&world, 3, reward));
        let said: Vec<Said> = (0..3).map(|job| accepted(result(&world, task, job, WANDA), &[0, 1, 2, 3])).collect();
        let submit = world.submit(&said);
        assert_eq!(world.judged(BOB, submit).counted, 3);
        let settlements = settled(&mut world);
        assert_eq!(settlements.len(), 3);
        let mut all = 0;
        for (job, settlement) in (0u128..).zip(&settlements) {
            let share = reward * (job + 1) / 3 - reward * job / 3;
            assert_eq!(settlement.reward().map(|all| all.units()), Some(share), "{reward}");
            let member = share / 10 / 4;
            let (worker, treasury) = (share / 4, share / 20);
            parts(settlement, share - worker - 4 * member - treasury, worker, 4 * member, treasury, 0);
            all += share;
        }
        assert_eq!(all, reward);
        assert_eq!(world.escrow(task), None);
    }
}

// TSK-7: what nobody computed goes back with the deadline; an accepted job settles after it all the same.
#[test]
fn the_deadline_refunds_the_jobs_without_a_result_and_no_other() {
    let mut world =
        bazaar_of(cpc_ledger::Params { challenge_window_blocks: 100, unbonding_epochs: 9, ..market_params() }, &SEATS);
    world.done(WANDA, register(WANDA, 200 * CPC));
    let mut order = order(&world, 4, 100 * CPC);
    order.deadline = TimeMs(world.tip.time.0 + 10_300);
    let task = world.open(ALICE, order.clone());
    let submit = world.submit(&[accepted(result(&world, task, 1, WANDA), &[0, 1, 2])]);
    assert_eq!(world.judged(BOB, submit).counted, 1);
    let before = world.balance(ALICE);
    let settlements = settled(&mut world);
    // The first block at or after the next whole second.
    assert_eq!(world.tip.time.0, order.deadline.0.div_ceil(1_000) * 1_000);
    let [rest] = settlements.as_slice() else { panic!("{settlements:?}") };
    assert_eq!((rest.outcome, rest.task()), (Outcome::DeadlinePassed, task));
    assert!(matches!(rest.subject, Subject::Rest(rest) if rest.jobs == 3 && rest.spec == order.spec_hash()));
    parts(rest, 0, 0, 0, 0, 75 * CPC);
    assert_eq!(world.balance(ALICE) - before, 75 * CPC);
    // Late results change nothing.
    let late = world.submit(&[accepted(result(&world, task, 0, WANDA), &[0, 1, 2])]);
    let judged = world.judged(BOB, late);
    assert_eq!((judged.counted, judged.skipped), (0, 1));
    assert_eq!(judged.first.expect("skipped").reason.to_string(), "the jobs without a result were refunded");
    let settlements = settled(&mut world);
    assert!(matches!(settlements[0].subject, Subject::Job(result) if result.job == JobIndex(1)));
    assert_eq!((settlements[0].outcome, world.escrow(task)), (Outcome::Settled, None));
}

#[test]
fn the_first_block_at_the_deadline_is_the_last_to_decide() {
    for (late, counted) in [(0, 1), (1, 0)] {
        let mut world = bazaar();
        world.done(WANDA, register(WANDA, 200 * CPC));
        let mut order = order(&world, 1, 100);
        // Two blocks come at or after it before the refund: at 11.5 and at 12 seconds.
        order.deadline = TimeMs(11_400);
        let task = world.open(ALICE, order.clone());
        while world.tip.time.0 + 500 < order.deadline.0 {
            world.block(vec![]);
        }
        world.run(late);
        let submit = world.submit(&[accepted(result(&world, task, 0, WANDA), &[0, 1, 2])]);
        let (receipt, leaves) = world.act_with_leaves(BOB, submit);
        let TxOutcome::Judged(judged) = receipt.outcome else { panic!("{receipt:?}") };
        assert_eq!(judged.counted, counted, "{late} blocks late: {judged:?}");
        let (settlements, outcome) = match judged.first {
            None => (settled(&mut world), Outcome::Settled),
            Some(first) => {
                assert_eq!(first.reason.to_string(), "the deadline 11400 ms has passed");
                (leaves.settlements, Outcome::DeadlinePassed)
            }
        };
        assert_eq!(settlements[0].outcome, outcome);
    }
}

// TSK-9: one lease after it was called off a task ends, and what was accepted until then is paid.
#[test]
fn a_task_that_was_called_off_ends_one_lease_later() {
    let mut world = bazaar();
    world.done(WANDA, register(WANDA, 200 * CPC));
    let task = world.open(ALICE, order(&world, 2, 100 * CPC));
    world.done(ALICE, cancel(task));
    let called_off = world.tip.height.0;
    world.run(5);
    let submit = world.submit(&[accepted(result(&world, task, 0, WANDA), &[0, 1, 2])]);
    // The sixth block after it is the last: its transactions come before what falls due.
    let (receipt, leaves) = world.act_with_leaves(BOB, submit);
    assert!(matches!(receipt.outcome, TxOutcome::Judged(judged) if judged.counted == 1), "{receipt:?}");
    assert_eq!(world.tip.height.0, called_off + 6);
    let [rest] = leaves.settlements.as_slice() else { panic!("{leaves:?}") };
    assert_eq!(rest.outcome, Outcome::Cancelled);
    parts(rest, 0, 0, 0, 0, 50 * CPC);
    assert_eq!(settled(&mut world)[0].outcome, Outcome::Settled);
    assert_eq!(world.escrow(task), None);
}

// SUB-7: a quorum that finds the order impossible closes the task; those who found it share the fee.
#[test]
fn an_order_that_cannot_be_computed_is_refunded_less_a_fee() {
    for (finding, outcome) in
        [(Finding::BadSpec, Outcome::BadSpec), (Finding::InputUnavailable, Outcome::InputUnavailable)]
    {
        let mut world = bazaar();
        world.done(WILL, register(WILL, 200 * CPC));
        let task = world.open(ALICE, order(&world, 4, 100 * CPC));
        let submit = world.submit(&[accepted(result(&world, task, 3, WILL), &[0, 1, 2])]);
        world.judged(BOB, submit);
        let mut bad = result(&world, task, 0, WILL);
        bad.worker = cpc_primitives::Address([0; 20]);
        let before = world.balance(ALICE);
        let submit = world.submit(&[Said { result: bad, finding, places: vec![1, 2, 3] }]);
        let (_, leaves) = world.act_with_leaves(BOB, submit);
        let [rest] = leaves.settlements.as_slice() else { panic!("{leaves:?}") };
        assert_eq!(rest.outcome, outcome);
        assert!(leaves.results.is_empty());
        // 5 % of 75 CPC, of which each of the four places has a quarter, and the one that is missing burns.
        let member = 75 * CPC / 20 / 4;
        parts(rest, member, 0, 3 * member, 0, 75 * CPC - 75 * CPC / 20);
        assert_eq!(world.balance(ALICE) - before, 75 * CPC - 75 * CPC / 20);
        assert_eq!(settled(&mut world)[0].outcome, Outcome::Settled);
        assert_eq!((world.escrow(task), world.supply().escrow.units()), (None, 0));
    }
}

#[test]
fn gas_that_no_result_used_goes_back_to_the_customer() {
    let mut world = bazaar();
    world.done(WANDA, register(WANDA, 200 * CPC));
    let before = world.balance(ALICE);
    let task = world.open(ALICE, order(&world, 2, 100 * CPC));
    let prepaid = u128::from(cpc_ledger::prepaid_gas(&world.params, 2).0) * 2;
    assert_eq!(prepaid, 2 * 2 * (80_000 + 4 * 3_000 + 26_000));
    assert_eq!(before - world.balance(ALICE), 100 * CPC + prepaid + 28_000 * 2);
    let sam = world.balance(BOB);
    let said: Vec<Said> = (0..2).map(|job| accepted(result(&world, task, job, WANDA), &[0, 1, 2])).collect();
    let submit = world.submit(&said);
    // The sender is paid back exactly what it paid: nothing of the transaction was in vain.
    let judged = world.judged(BOB, submit);
    assert_eq!(judged.repaid.units(), 2 * (80_000 + 3 * 3_000 + 10_000));
    assert_eq!(world.balance(BOB), sam);
    settled(&mut world);
    assert_eq!(world.balance(ALICE), before - 100 * CPC - 28_000 * 2 - judged.repaid.units());
}
