//! Workers, orders and results: one table a clause, each refusal with its sentence.

use cpc_ledger::{Params, TxError, TxOutcome, Verifier, admit, recount};
use cpc_primitives::codec::Bounded;
use cpc_primitives::result::{Assurance, Finding, KernelId, TaskOrder};
use cpc_primitives::tx::{Action, RegisterWorker, SubmitResult, TxBody};
use cpc_primitives::{Amount, Digest, Gas, Height, JobIndex, Nonce, TaskId, TimeMs, Units};

use crate::bazaar::{
    CPC, KERNEL, RARE, SAM, SEATS, START, Said, WANDA, WILL, accepted, bazaar, bazaar_of, cancel, hot_key,
    market_params, order, register, result, retire, sign, submit_of, verdicts_of,
};
use crate::world::{ALICE, BOB, NOBODY, World, address, body, key, units, verified};

// WRK-2.
#[test]
fn a_worker_locks_a_bond_and_may_add_to_it_and_change_what_it_declared() {
    let mut world = bazaar();
    world.done(WANDA, register(WANDA, 10));
    let Action::RegisterWorker(more) = register(WANDA, 5) else { panic!("a registration") };
    let more = RegisterWorker { payout: address(BOB), ..more };
    world.done(WANDA, Action::RegisterWorker(more));
    let worker = world.worker(WANDA).expect("a worker");
    assert_eq!((worker.bond, worker.reserved, worker.payout), (units(15), units(0), address(BOB)));
    assert_eq!((worker.hot, world.supply().bonds), (hot_key(WANDA).public(), units(15)));
    recount(world.entries()).expect("every record is counted");
}

#[test]
fn a_bond_that_cannot_be_is_refused_by_name() {
    let mut world = bazaar();
    world.fails(
        WANDA,
        register(WANDA, 9),
        "a first bond is at least 0.00000000000000001 CPC: this one was 0.000000000000000009 CPC",
    );
    let Action::RegisterWorker(lost) = register(WANDA, 10) else { panic!("a registration") };
    let lost = Action::RegisterWorker(RegisterWorker { payout: address(NOBODY), ..lost });
    world.fails(WANDA, lost, &format!("{} has no account, so that nothing can be paid to it", address(NOBODY)));
    let all = world.balance(WANDA) - 26_000 * 2;
    let message = |available: u128, amount: u128| {
        format!("the sender has {} CPC beside the fee: the amount was {} CPC", units(available), units(amount))
    };
    world.fails(WANDA, register(WANDA, all + 1), &message(all, all + 1));
    world.done(WANDA, register(WANDA, all - 26_000 * 2));
    assert_eq!(world.balance(WANDA), 0);
}

// WRK-3.
#[test]
fn a_worker_has_its_bond_back_once_nothing_depends_on_it() {
    let mut world = bazaar();
    world.fails(WANDA, retire(), &format!("{} is no worker", address(WANDA)));
    world.done(WANDA, register(WANDA, 1_000));
    let task = world.open(ALICE, order(&world, 1, 300));
    let submit = world.submit(&[accepted(result(&world, task, 0, WANDA), &[0, 1, 2])]);
    world.judged(SAM, submit);
    assert_eq!(world.worker(WANDA).expect("a worker").reserved, units(300));
    world.fails(WANDA, retire(), "0.0000000000000003 CPC of the bond stand for results that are not settled");
    world.run(4);
    let before = world.balance(WANDA);
    world.done(WANDA, retire());
    assert_eq!((world.balance(WANDA), world.worker(WANDA)), (before + 1_000 - 23_000 * 2, None));
    assert_eq!(world.supply().bonds, units(0));
}

#[track_caller]
fn refused(world: &World, bend: impl FnOnce(&mut TaskOrder), message: &str) {
    let mut order = order(world, 2, 100);
    bend(&mut order);
    let tx = world.tx(ALICE, Action::OpenTask(order));
    match world.push(tx) {
        Err(TxError::Reject(reject)) => assert_eq!(reject.to_string(), message),
        other => panic!("{other:?} instead of: {message}"),
    }
}

// TSK-1.
#[test]
fn an_order_that_no_block_may_carry_is_refused_by_name() {
    let world = bazaar_of(Params { reward_per_job_min: units(50), ..market_params() }, &SEATS);
    refused(&world, |o| o.jobs = 0, "a task of 0 jobs, it has 1 to 1048576");
    refused(&world, |o| o.jobs = (1 << 20) + 1, "a task of 1048577 jobs, it has 1 to 1048576");
    refused(&world, |o| o.units = Units(1), "1 units for 2 jobs, each has at least one");
    let small =
        "a reward of 0.000000000000000099 CPC for 2 jobs, the network's minimum is 0.00000000000000005 CPC for each";
    refused(&world, |o| o.reward = units(99), small);
    let all = "an amount of 1267650600228.229401496703205377 CPC, no more than 1267650600228.229401496703205376 CPC can ever exist";
    refused(&world, |o| o.reward = Amount::new((1 << 100) + 1), all);
    let several = "results of several workers are not active: their rules come with a later version";
    refused(&world, |o| o.assurance = Assurance::Quorum { workers: 2 }, several);
    let mut cheap = order(&world, 2, 100);
    cheap.units = Units(2);
    assert_eq!(world.push(world.tx(ALICE, Action::OpenTask(cheap))).map(|r| r.outcome), Ok(TxOutcome::Done));
}

#[track_caller]
fn fails_to_open(bend: impl FnOnce(&mut TaskOrder), message: &str) {
    let mut world = bazaar();
    let mut order = order(&world, 2, 100);
    bend(&mut order);
    let before = world.clone();
    world.fails(ALICE, Action::OpenTask(order), message);
    // ACC-8: it paid its gas, used its nonce, and left nothing else.
    assert_eq!(world.balance(ALICE), before.balance(ALICE) - 28_000 * 2);
    assert_eq!(world.supply().escrow, units(0));
    assert_eq!(world.state.len(), before.state.len());
}

// TSK-2, TSK-3.
#[test]
fn an_order_that_the_state_does_not_allow_fails_by_name() {
    // The block is at 1.5 seconds; the draw and two leases of six blocks of half a second end at 8.5.
    fails_to_open(|o| o.deadline = TimeMs(8_499), "a deadline at 8499 ms, this task can have one from 8500 ms on");
    fails_to_open(
        |o| (o.lease_blocks, o.deadline) = (u32::MAX, TimeMs(60_000)),
        "a deadline at 60000 ms, this task can have one from 4294967297500 ms on",
    );
    fails_to_open(
        |o| o.deadline = TimeMs(31_622_401_501),
        "a deadline at 31622401501 ms, a task can have one until 31622401500 ms",
    );
    fails_to_open(|o| o.kernel = RARE, "4 of 5 seats check version 1 of Rendering, five sixths are needed");
    fails_to_open(
        |o| o.kernel = KernelId { version: 2, ..KERNEL },
        "0 of 5 seats check version 2 of Synthetic, five sixths are needed",
    );
    let all = START - 28_000 * 2;
    let ahead = 2 * 2 * (80_000 + 4 * 3_000 + 26_000);
    fails_to_open(
        |o| o.reward = units(all - ahead + 1),
        &format!("the sender has {} CPC beside the fee: the amount was {} CPC", units(all), units(all + 1)),
    );

    let mut world = bazaar();
    let mut rich = order(&world, 2, all - ahead);
    rich.deadline = TimeMs(8_500);
    world.open(ALICE, rich);
    assert_eq!(world.balance(ALICE), 0);
}

#[test]
fn a_gas_price_whose_escrow_cannot_exist_is_underfunded_and_no_fault() {
    let mut world = bazaar();
    let mut dear = order(&world, 1 << 20, 1 << 21);
    dear.units = Units(1 << 20);
    let outcome = {
        let tx = world.tx_at(ALICE, START / 28_000, Action::OpenTask(dear));
        world.block(vec![tx])[0].outcome
    };
    let TxOutcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert!(failure.to_string().starts_with("the sender has "), "{failure}");
}

// TSK-9.
#[test]
fn only_the_customer_calls_a_task_off_and_once() {
    let mut world = bazaar();
    let nothing = TaskId(Digest::ZERO);
    world.fails(ALICE, cancel(nothing), &format!("task {nothing} is not open"));
    world.done(WANDA, register(WANDA, 1_000));
    let task = world.open(ALICE, order(&world, 1, 100));
    world.fails(BOB, cancel(task), &format!("task {task} is that of {}", address(ALICE)));
    world.done(ALICE, cancel(task));
    let ends = world.tip.height.0 + 6;
    world.fails(ALICE, cancel(task), &format!("task {task} was called off already: it ends after block {ends}"));
    let other = world.open(ALICE, order(&world, 1, 100));
    let submit = world.submit(&[accepted(result(&world, other, 0, WANDA), &[0, 1, 2])]);
    world.judged(SAM, submit);
    world.fails(ALICE, cancel(other), &format!("task {other} has no job left to call off"));
}

/// A world with a worker and a task of three jobs whose committee is drawn.
fn ready() -> (World, TaskId) {
    let mut world = bazaar();
    world.done(WANDA, register(WANDA, 1_000));
    let task = world.open(ALICE, order(&world, 3, 300));
    (world, task)
}

#[track_caller]
fn ill_formed(bend: impl FnOnce(&mut SubmitResult), message: &str) {
    let (world, task) = ready();
    let said: Vec<Said> = (0..2).map(|job| accepted(result(&world, task, job, WANDA), &[0, 1, 2])).collect();
    let Action::SubmitResult(mut submit) = world.submit(&said) else { panic!("results") };
    bend(&mut submit);
    let body = TxBody { gas_limit: Gas(200_000), ..body(0, Action::SubmitResult(submit)) };
    let reject = admit(&world.params, &verified(body.sign(&key(SAM)))).expect_err("refused");
    assert_eq!(reject.to_string(), message);
}

// SUB-1.
#[test]
fn a_transaction_with_results_has_one_form() {
    let swap = |submit: &mut SubmitResult| submit.entries.swap(0, 1);
    ill_formed(|s| s.entries = Bounded::default(), "no entry");
    ill_formed(swap, "entry 1 does not come after the one before it: tasks and jobs rise");
    ill_formed(
        |s| s.entries[1].result.job = JobIndex(0),
        "entry 1 does not come after the one before it: tasks and jobs rise",
    );
    ill_formed(|s| s.entries[1].attestations = Bounded::default(), "entry 1 has no attestation");
    ill_formed(|s| s.entries[0].attestations[2].signed_root = 3, "entry 0 refers to signed root 3, there are 3");
    let (world, task) = ready();
    let (committee, _) = world.committee(task);
    let mut seats: Vec<u16> = committee.members[..3].iter().map(|member| member.seat).collect();
    seats.sort_unstable();
    ill_formed(
        |s| s.entries[0].attestations.swap(1, 2),
        &format!("entry 0: seat {} does not come after the one before it", seats[1]),
    );
    ill_formed(
        |s| s.entries[0].attestations[1].signed_root = 0,
        &format!("entry 0: seat {} does not come after the one before it", seats[0]),
    );
    let other_draw = |submit: &mut SubmitResult| {
        let signed = sign(&committee, Height(9), &[accepted(result(&world, task, 0, WANDA), &[0, 1, 2])]);
        submit.roots[2] = signed.0[2];
    };
    ill_formed(other_draw, "entry 0 mixes committees: drawn at 4 and at 9");
}

#[track_caller]
fn wrong(said: impl FnOnce(&World, TaskId) -> Vec<Said>, message: &str) {
    let (mut world, task) = ready();
    let said = said(&world, task);
    let submit = world.submit(&said);
    let before = world.clone();
    world.fails(SAM, submit, message);
    let Some(escrow) = world.escrow(task) else { panic!("still open") };
    assert_eq!((escrow, world.worker(WANDA)), (before.escrow(task).expect("open"), before.worker(WANDA)));
}

// SUB-3.
#[test]
fn what_is_wrong_fails_the_whole_transaction_by_name() {
    let one = |world: &World, task, bend: &dyn Fn(&mut Said)| {
        let mut said = accepted(result(world, task, 1, WANDA), &[0, 1, 2]);
        bend(&mut said);
        vec![accepted(result(world, task, 0, WANDA), &[0, 1, 2]), said]
    };
    wrong(|w, t| one(w, t, &|s| s.result.job = JobIndex(3)), "entry 1: job 3 of a task of 3 jobs");
    wrong(
        |w, t| one(w, t, &|s| s.result.kernel = RARE),
        "entry 1: version 1 of Rendering, the order is for version 1 of Synthetic",
    );
    let (world, task) = ready();
    let spec = result(&world, task, 0, WANDA).spec;
    wrong(
        |w, t| one(w, t, &|s| s.result.spec = Digest::ZERO),
        &format!("entry 1: the hash of the spec: expected {spec}, found {}", Digest::ZERO),
    );
    wrong(|w, t| one(w, t, &|s| s.result.units = Units(9)), "entry 1: the units: expected 8, found 9");
    wrong(|w, t| one(w, t, &|s| s.places = vec![0, 3]), "entry 1: 2 of the committee's seats, 3 decide");
    wrong(
        |w, t| one(w, t, &|s| (s.finding, s.places) = (Finding::BadSpec, vec![1])),
        "entry 1: 1 of the committee's seats, 3 decide",
    );
}

#[test]
fn who_is_not_of_the_committee_decides_nothing() {
    let (world, task) = ready();
    let (committee, drawn) = world.committee(task);
    let said = [accepted(result(&world, task, 0, WANDA), &[0, 1, 2])];
    let outsider = (0..5).find(|seat| committee.member(*seat).is_none()).expect("five seats, four members");
    let mut entries = sign(&committee, drawn, &said);
    let mut members: Vec<_> = committee.members[..3].to_vec();
    members.sort_by_key(|member| member.seat);

    // Each says something else of the last signed root, with a true signature of its own.
    let fails = |bend: &dyn Fn(&mut crate::bazaar::Signed), message: String| {
        let mut signed = entries.clone();
        bend(&mut signed);
        let mut world = world.clone();
        world.fails(SAM, submit_of(signed, &said), &message);
    };
    let last = members[2].seat;
    let foreign = key(77);
    let resign = |signed: &mut crate::bazaar::Signed, seat: u16, key: &cpc_primitives::SecretKey, root: Digest| {
        signed.0[2] = cpc_primitives::result::SignedRoot::sign(key, world.params.chain, drawn, seat, root);
    };
    let root = entries.0[2].root;
    let own = crate::bazaar::verdict_key(members[2].account);
    fails(
        &|signed| resign(signed, last, &foreign, root),
        format!("entry 0: the verdict key of seat {last}: expected {}, found {}", members[2].key, foreign.public()),
    );
    fails(
        &|signed| resign(signed, last, &own, Digest([1; 32])),
        format!("entry 0: the verdict of seat {last} does not stand under its signed root"),
    );
    fails(
        &|signed| signed.1[0][2].digest = Digest([1; 32]),
        format!("entry 0: the verdict of seat {last} does not stand under its signed root"),
    );
    if outsider > last {
        fails(
            &|signed| resign(signed, outsider, &own, root),
            format!("entry 0: seat {outsider} is not of the committee"),
        );
    }
    fails(&|signed| resign(signed, 255, &own, root), "entry 0: seat 255 is not of the committee".to_owned());
    entries.1[0].truncate(2);
    world.clone().fails(SAM, submit_of(entries, &said), "entry 0: 2 of the committee's seats, 3 decide");
}

#[test]
fn before_the_draw_nobody_decides() {
    let mut world = bazaar();
    world.done(WANDA, register(WANDA, 1_000));
    let order = order(&world, 1, 100);
    let task = TaskId::of(address(ALICE), Nonce(0));
    world.done(ALICE, Action::OpenTask(order));
    let (other, other_task) = ready();
    let (committee, drawn) = other.committee(other_task);
    let said = [accepted(result(&world, task, 0, WANDA), &[0, 1, 2])];
    let early = submit_of(sign(&committee, drawn, &said), &said);
    world.fails(SAM, early, &format!("entry 0: no committee is drawn for task {task}"));
}

// SUB-2, SUB-4.
#[test]
fn what_comes_too_late_is_skipped_with_its_reason_and_the_rest_counts() {
    let (mut world, task) = ready();
    let all = |world: &World, jobs: &[u32]| -> Vec<Said> {
        jobs.iter().map(|job| accepted(result(world, task, *job, WANDA), &[0, 1, 2])).collect()
    };
    let submit = world.submit(&all(&world, &[1]));
    assert_eq!(world.judged(SAM, submit).counted, 1);
    let submit = world.submit(&all(&world, &[0, 1, 2]));
    let judged = world.judged(BOB, submit);
    assert_eq!((judged.counted, judged.skipped), (2, 1));
    let first = judged.first.expect("skipped");
    assert_eq!((first.entry, first.reason.to_string()), (1, "the job is decided".to_owned()));
    // GAS-8: what the skipped entry made necessary is its sender's loss.
    assert_eq!(judged.repaid.units(), 2 * (80_000 + 10_000 + 3 * 3_000));

    let again = world.submit(&all(&world, &[0, 1, 2]));
    world.run(3);
    // The first job is settled, and its task open: it is still known to be decided.
    let judged = world.judged(BOB, again.clone());
    assert_eq!((judged.counted, judged.skipped, judged.repaid), (0, 3, Amount::ZERO));
    world.run(3);
    assert_eq!(world.escrow(task), None);
    let judged = world.judged(BOB, again);
    assert_eq!(judged.first.expect("skipped").reason.to_string(), "the task is not open");
}

#[test]
fn a_bond_stands_for_as_much_as_it_is_and_no_more() {
    for (assurance, factor, fits) in [(Assurance::Full, 1, 2), (Assurance::Spot, 2, 1)] {
        let mut world = bazaar();
        world.done(WANDA, register(WANDA, 250));
        let mut order = order(&world, 3, 300);
        order.assurance = assurance;
        let task = world.open(ALICE, order);
        let said: Vec<Said> = (0..3).map(|job| accepted(result(&world, task, job, WANDA), &[0, 1, 2])).collect();
        let submit = world.submit(&said);
        let judged = world.judged(SAM, submit);
        assert_eq!(judged.counted, fits);
        let (free, needed) = (units(250 - factor * 100 * u128::from(fits)), units(factor * 100));
        let message = format!("the worker has {free} CPC of its bond free, the job needs {needed} CPC");
        assert_eq!(judged.first.expect("skipped").reason.to_string(), message);
        world.run(4);
        let submit = world.submit(&said[2..]);
        assert_eq!(world.judged(SAM, submit).counted, 1);
    }
    let (mut world, task) = ready();
    let submit = world.submit(&[accepted(result(&world, task, 0, WILL), &[0, 1, 2])]);
    let judged = world.judged(SAM, submit);
    assert_eq!(judged.first.expect("skipped").reason.to_string(), format!("{} is no worker", address(WILL)));
    assert_eq!(judged.repaid, Amount::ZERO);
}

#[test]
fn an_entry_after_one_that_closes_its_task_is_skipped() {
    let (mut world, task) = ready();
    let bad = Said { finding: Finding::BadSpec, ..accepted(result(&world, task, 0, WANDA), &[0, 1, 2, 3]) };
    let submit = world.submit(&[bad, accepted(result(&world, task, 1, WANDA), &[0, 1, 2])]);
    let judged = world.judged(SAM, submit);
    assert_eq!((judged.counted, judged.skipped), (1, 1));
    assert_eq!(judged.first.expect("skipped").reason.to_string(), "the task is not open");
    assert_eq!(world.escrow(task), None);
}

// SUB-6.
#[test]
fn verdicts_are_added_once_each_until_the_window_closes() {
    let (mut world, task) = ready();
    let said = |places: &[usize]| [accepted(result(&world, task, 0, WANDA), places)];
    let (submit, both, last) = (world.submit(&said(&[0, 1, 2])), world.add(&said(&[2, 3])), world.add(&said(&[3])));
    let (committee, drawn) = world.committee(task);
    let mut bent = sign(&committee, drawn, &said(&[3]));
    bent.1[0][0].sample = Digest([9; 32]);
    let bent = verdicts_of(bent, &said(&[3]));
    let early = world.judged(SAM, last.clone());
    let reason = "the job has no result whose window is open";
    assert_eq!(early.first.expect("skipped").reason.to_string(), reason);
    world.judged(SAM, submit);
    let seat = committee.members[3].seat;
    world.fails(SAM, bent, &format!("entry 0: the verdict of seat {seat} does not stand under its signed root"));
    let before = world.balance(SAM);
    let judged = world.judged(SAM, both);
    // The root of the verdict that was known is the sender's own cost.
    assert_eq!((judged.counted, judged.repaid.units()), (1, 2 * (18_000 + 5_000 + 3_000)));
    assert_eq!(world.balance(SAM), before - 2 * 3_000);
    let judged = world.judged(SAM, last.clone());
    assert_eq!(judged.first.expect("skipped").reason.to_string(), "every verdict was counted before");
    world.run(1);
    let judged = world.judged(SAM, last);
    assert_eq!(judged.first.expect("skipped").reason.to_string(), reason);
    recount(world.entries()).expect("every record is counted");
}

#[test]
fn gas_is_given_back_at_the_lower_price_and_never_more_than_was_paid_ahead() {
    for (price, back) in [(2, 2), (7, 2)] {
        let (mut world, task) = ready();
        let submit = world.submit(&[accepted(result(&world, task, 0, WANDA), &[0, 1, 2, 3])]);
        let tx = world.tx_at(SAM, price, submit);
        let TxOutcome::Judged(judged) = world.block(vec![tx])[0].outcome else { panic!("judged") };
        assert_eq!(judged.repaid.units(), back * (80_000 + 4 * 3_000));
    }
    let mut world = bazaar();
    world.done(WANDA, register(WANDA, 1_000));
    let order = order(&world, 1, 100);
    let task = TaskId::of(address(ALICE), Nonce(0));
    let dear = world.tx_at(ALICE, 9, Action::OpenTask(order));
    world.block(vec![dear]);
    world.run(2);
    let submit = world.submit(&[accepted(result(&world, task, 0, WANDA), &[0, 1, 2, 3])]);
    assert_eq!(world.judged(SAM, submit).repaid.units(), 2 * (80_000 + 4 * 3_000));
}

// SIG-6.
#[test]
fn a_bad_signature_among_those_that_an_action_carries_is_seen() {
    let (world, task) = ready();
    let said: Vec<Said> = (0..3).map(|job| accepted(result(&world, task, job, WANDA), &[0, 1, 2, 3])).collect();
    let Action::SubmitResult(submit) = world.submit(&said) else { panic!("results") };
    let Action::RegisterWorker(worker) = register(WILL, 10) else { panic!("a registration") };
    let good = || {
        let more = world.add(&said);
        [
            world.tx(SAM, Action::SubmitResult(submit.clone())),
            world.tx(ALICE, retire()),
            world.tx(WILL, Action::RegisterWorker(worker)),
            world.tx(BOB, more),
        ]
    };
    assert_eq!(Verifier::new(0).verify(good().to_vec()).map(|txs| txs.len()), Ok(4));
    let bad = |place: usize| {
        let mut txs = good();
        match &mut txs[place].body.action {
            Action::SubmitResult(submit) => submit.roots[1].signature.0[0] ^= 1,
            Action::RegisterWorker(worker) => worker.hot.proof = worker.hot.proof_of_another(),
            Action::AddVerdicts(add) => add.roots[3].drawn = Height(99),
            other => panic!("{other} carries no signature"),
        }
        let number = [SAM, ALICE, WILL, BOB][place];
        txs[place] = txs[place].body.clone().sign(&key(number));
        let bad = Verifier::new(0).verify(txs.to_vec()).expect_err("a bad signature");
        bad.culprits.iter().map(|culprit| culprit.index).collect::<Vec<_>>()
    };
    assert_eq!([0, 2, 3].map(bad), [vec![0], vec![2], vec![3]]);
    // Somebody else's proof of a hot key is none of this account's.
    let stolen = body(0, register(WANDA, 10)).sign(&key(WILL));
    assert!(Verifier::new(0).verify(vec![stolen]).is_err());
}

/// A signature that proves something else.
trait Another {
    fn proof_of_another(&self) -> cpc_primitives::Signature;
}

impl Another for cpc_primitives::tx::ProvenKey {
    fn proof_of_another(&self) -> cpc_primitives::Signature {
        cpc_primitives::tx::ProvenKey::prove(
            &hot_key(WILL),
            cpc_primitives::tx::KeyUse::Verdict,
            crate::world::params().chain,
            &address(WILL),
        )
        .proof
    }
}

// TSK-10: the end of a task costs as much as its pages, however many jobs nobody computed.
#[test]
fn a_task_of_a_million_jobs_ends_with_one_leaf() {
    let mut world = bazaar();
    world.done(WANDA, register(WANDA, 1_000));
    let mut large = order(&world, 1 << 20, CPC);
    large.deadline = TimeMs(12_000);
    let task = world.open(ALICE, large);
    let jobs = [0, 9_000, (1 << 20) - 1];
    let said: Vec<Said> = jobs.iter().map(|job| accepted(result(&world, task, *job, WANDA), &[0, 1, 2])).collect();
    // Each job pays nearly a million million units, of which no bond of a thousand covers one.
    let submit = world.submit(&said);
    assert_eq!(world.judged(SAM, submit).counted, 0);
    world.done(WANDA, register(WANDA, CPC));
    let submit = world.submit(&said);
    assert_eq!(world.judged(SAM, submit).counted, 3);
    let mut leaves = Vec::new();
    while world.escrow(task).is_some() {
        leaves.extend(world.block_with_leaves(vec![]).1.settlements);
    }
    assert_eq!(leaves.len(), 4);
    let all: u128 = leaves.iter().map(|leaf| leaf.reward().expect("what exists").units()).sum();
    assert_eq!((all, world.supply().escrow), (CPC, units(0)));
    recount(world.entries()).expect("every record is counted");
    assert!(!world.state.keys().any(|key| key.as_task().is_some()));
}
