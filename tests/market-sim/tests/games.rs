//! Seeded games of the market, with each liar by name: nobody is paid twice, no honest work stays unpaid, and no wrong
//! result is paid.

use cpc_market_sim::chain::Canary;
use cpc_market_sim::game::Grief;
use cpc_market_sim::{Ending, Game, NodeKind, Plan, WorkerKind};

/// Four honest nodes, two honest workers, two tasks.
fn calm() -> Plan {
    Plan {
        nodes: vec![NodeKind::Honest; 4],
        workers: vec![WorkerKind::Honest; 2],
        tasks: vec![4, 3],
        griefs: vec![],
        loss: 0,
        kills: 0,
        canary: None,
    }
}

/// Two honest workers and these.
fn beside(liars: &[WorkerKind]) -> Plan {
    let workers = [WorkerKind::Honest; 2].into_iter().chain(liars.iter().copied()).collect();
    Plan { workers, ..calm() }
}

#[track_caller]
fn play(plan: &Plan, seed: u64) -> Ending {
    match Game::new(plan.clone(), seed).play() {
        Ok(ending) => ending,
        Err(reason) => panic!("seed {seed} of {plan:?}: {reason}"),
    }
}

#[track_caller]
fn check(plan: &Plan, seeds: core::ops::Range<u64>) {
    let jobs: u32 = plan.tasks.iter().sum();
    let mut lies = 0;
    for seed in seeds {
        let ending = play(plan, seed);
        assert!(ending.settled >= jobs as usize, "seed {seed}: {ending:?}");
        lies += ending.lies;
    }
    let liars = plan.workers.iter().any(|kind| *kind != WorkerKind::Honest);
    assert_eq!(lies > 0, liars, "a liar that never lies proves nothing");
}

#[test]
fn a_calm_market_settles_everything_and_pays_every_seat() {
    check(&calm(), 0..16);
    for seed in 0..16 {
        let ending = play(&calm(), seed);
        assert_eq!((ending.refunded, ending.redraws, ending.missing_seats), (0, 0, 0), "seed {seed}: {ending:?}");
    }
}

/// Prints what games are like, for whoever changes the market: `--nocapture` shows it.
#[test]
fn a_calm_game_is_quick_and_says_little() {
    for seed in 0..4 {
        let ending = play(&calm(), seed);
        println!("{ending:?}");
        // Tasks come within 24 blocks; a job takes at most 6 more, its draw 2, its window 4.
        assert!(ending.height < 60, "seed {seed}: {ending:?}");
        assert!(ending.messages < 1_500, "seed {seed}: {ending:?}");
    }
}

#[test]
fn a_game_is_the_same_for_the_same_seed() {
    let plan = Plan { loss: 100, kills: 2, ..beside(&[WorkerKind::WrongResult, WorkerKind::Thief]) };
    for seed in 0..4 {
        assert_eq!(play(&plan, seed), play(&plan, seed), "seed {seed}");
    }
    assert_ne!(play(&plan, 0).trace, play(&plan, 1).trace);
}

#[test]
fn lost_messages_are_said_again() {
    check(&Plan { loss: 200, ..calm() }, 0..12);
}

#[test]
fn who_is_killed_comes_back_and_nothing_is_lost() {
    check(&Plan { kills: 4, loss: 20, ..calm() }, 0..16);
}

#[test]
fn a_wrong_result_is_never_paid() {
    check(&beside(&[WorkerKind::WrongResult]), 0..12);
}

#[test]
fn a_lazy_worker_is_never_paid() {
    check(&beside(&[WorkerKind::Lazy]), 0..12);
}

#[test]
fn who_withholds_bytes_holds_nobody_up_for_long() {
    check(&beside(&[WorkerKind::Withholding]), 0..12);
}

#[test]
fn a_thief_finds_nothing_to_take() {
    check(&beside(&[WorkerKind::Thief]), 0..12);
}

#[test]
fn what_was_said_by_others_means_nothing_again() {
    check(&beside(&[WorkerKind::Replayer]), 0..8);
}

#[test]
fn a_flood_without_bonds_is_not_let_in() {
    check(&beside(&[WorkerKind::Sybil; 12]), 0..8);
}

#[test]
fn a_worker_that_never_ends_loses_its_job() {
    check(&beside(&[WorkerKind::SlowLoris]), 0..12);
}

#[test]
fn a_device_that_flips_bits_is_caught_by_its_own_worker() {
    check(&beside(&[WorkerKind::BitFlipping]), 0..12);
}

#[test]
fn one_lazy_attester_gets_no_wrong_result_through() {
    let mut plan = beside(&[WorkerKind::WrongResult, WorkerKind::Lazy]);
    plan.nodes[1] = NodeKind::LazyAttester;
    check(&plan, 0..12);
}

#[test]
fn a_silent_member_costs_time_and_no_task() {
    let mut plan = calm();
    plan.nodes[2] = NodeKind::Silent;
    check(&plan, 0..12);
}

#[test]
fn a_griefing_customer_gets_its_money_back_and_no_more() {
    let griefs = vec![Grief::BadSpec, Grief::LostPayload, Grief::LateCancel, Grief::TightDeadline];
    check(&Plan { griefs, ..calm() }, 0..12);
}

#[test]
fn a_market_of_seven_with_everybody_in_it() {
    let liars = [
        WorkerKind::WrongResult,
        WorkerKind::Lazy,
        WorkerKind::Withholding,
        WorkerKind::Thief,
        WorkerKind::Replayer,
        WorkerKind::Sybil,
        WorkerKind::SlowLoris,
        WorkerKind::BitFlipping,
    ];
    let mut plan = beside(&liars);
    plan.nodes = vec![NodeKind::Honest; 7];
    plan.nodes[3] = NodeKind::LazyAttester;
    plan.griefs = vec![Grief::BadSpec, Grief::LateCancel];
    check(&Plan { loss: 50, kills: 2, ..plan }, 0..12);
}

#[test]
fn a_job_that_is_settled_twice_is_found() {
    let plan = Plan { loss: 200, canary: Some(Canary::DoubleSettlement), ..calm() };
    let found = (0..20).any(|seed| Game::new(plan.clone(), seed).play().is_err());
    assert!(found, "no game saw that a result was settled twice");
}

#[test]
fn a_window_that_is_skipped_is_found() {
    let plan = Plan { canary: Some(Canary::WindowSkipped), ..calm() };
    let found = (0..4).any(|seed| Game::new(plan.clone(), seed).play().is_err());
    assert!(found, "no game saw that a result was settled without a window");
}
