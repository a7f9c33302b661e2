//! Worlds from their seeds: nothing forks, nothing is lost, nobody who is honest is accused, and blocks go on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use cpc_sim::{Chaos, Crash, Liar, Loss, Plan, Planted, Report, Violation, run};

/// Worlds that every change is tried in; `make sim SEEDS=n` runs more.
const SEEDS: u64 = 400;
/// Worlds that are run twice.
const TWICE: u64 = 20;
/// Heights of a run over three ends of epochs.
const HEIGHTS: u64 = 32;

/// Runs the plans on two threads, and returns what they came to, in their order.
fn all(plans: Vec<Plan>) -> Vec<(Plan, Report)> {
    let next = AtomicU64::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let place = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).expect("few");
                    let Some(plan) = plans.get(place) else { break };
                    let report = run(plan);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((place, plan.clone(), report));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, ..)| *place);
    done.into_iter().map(|(_, plan, report)| (plan, report)).collect()
}

/// Demands that nothing happened that must not.
fn all_hold(plans: Vec<Plan>) -> Vec<(Plan, Report)> {
    let done = all(plans);
    let broken: Vec<String> = done
        .iter()
        .filter(|(_, report)| !report.violations.is_empty())
        .map(|(plan, report)| format!("seed {}: {:?}\n  {plan:?}", plan.seed, report.violations))
        .collect();
    assert!(broken.is_empty(), "{} of {} worlds broke:\n{}", broken.len(), done.len(), broken.join("\n"));
    done
}

#[test]
fn four_hundred_worlds_hold() {
    let done = all_hold((0..SEEDS).map(Plan::of).collect());
    let of = |lie: Liar| done.iter().filter(|(plan, _)| plan.liars.iter().any(|(_, found)| *found == lie)).count();
    for lie in Liar::ALL {
        assert!(of(lie) >= 10, "{lie:?} lied in {} worlds only", of(lie));
    }
    let blocks: u64 = done.iter().map(|(_, report)| report.height).sum();
    let transfers: u64 = done.iter().map(|(_, report)| report.transfers).sum();
    let accused: usize = done.iter().map(|(_, report)| report.accused).sum();
    let refusals: u64 = done.iter().map(|(_, report)| report.refusals).sum();
    println!(
        "{SEEDS} worlds, {blocks} blocks, {transfers} transfers, {accused} keys accused, all of liars; {refusals} times a \
         block was refused"
    );
    for lie in [Liar::InvalidProposer, Liar::StateForger] {
        let refused = done
            .iter()
            .filter(|(plan, report)| plan.liars.iter().any(|(_, found)| *found == lie) && report.refusals > 0);
        assert!(refused.count() >= 10, "blocks of {lie:?} were refused in too few worlds");
    }
    let twins = done
        .iter()
        .filter(|(plan, report)| plan.liars.iter().any(|(_, lie)| *lie == Liar::Twins) && report.accused > 0);
    assert!(twins.count() >= 10, "twins were found in too few worlds");
    assert!(transfers > blocks, "the worlds are not empty");
}

#[test]
fn the_same_seed_is_the_same_world() {
    let first = all((0..TWICE).map(Plan::of).collect());
    let second = all((0..TWICE).map(Plan::of).collect());
    for ((plan, first), (_, second)) in first.iter().zip(&second) {
        assert_eq!(first, second, "seed {}", plan.seed);
    }
    assert_ne!(first[0].1.trace, first[1].1.trace, "another seed is another world");
}

#[test]
fn a_crash_at_any_height_is_recovered_from() {
    let crash = |who: Vec<usize>, at: u64| Plan {
        crashes: vec![Crash { who, at, down_ms: 300, loses: Loss::Unsynced }],
        ..Plan::quiet(1_000 + at, 4, HEIGHTS + 8)
    };
    let one = (1..=HEIGHTS).map(|at| crash(vec![1], at));
    let everybody = (1..=HEIGHTS).map(|at| crash((0..4).collect(), at));
    all_hold(one.chain(everybody).collect());
}

/// One validator that loses something at a height, while the network is not quiet.
fn losing(loses: Loss, at: u64, seed: u64) -> Plan {
    let quiet = Plan::quiet(seed, 4, 40);
    Plan {
        crashes: vec![Crash { who: vec![1], at, down_ms: 60, loses }],
        chaos_ms: 20_000,
        chaos: Chaos { loss_per_mille: 150, latency_ms: 30, jitter_ms: 25, partitions: Vec::new() },
        ..quiet
    }
}

// SAFE-2, SAFE-3, SAFE-4
#[test]
fn whoever_lost_its_votes_signs_nothing_twice_and_follows() {
    let plans = [Loss::Votes, Loss::Everything]
        .into_iter()
        .flat_map(|loses| (1..=25).map(move |at| losing(loses, at, 3_000 + at)));
    all_hold(plans.collect());
}

#[test]
fn whoever_forgets_what_it_signed_is_found() {
    let plans =
        (1..=40).map(|at| Plan { planted: Some(Planted::Amnesia), ..losing(Loss::Everything, 1 + at % 9, 4_000 + at) });
    let done = all(plans.collect());
    let found = done.iter().filter(|(_, report)| {
        report.violations.iter().any(|violation| matches!(violation, Violation::Innocent { .. }))
    });
    let found = found.count();
    println!("{found} of 40 worlds show the two votes");
    assert!(found > 0, "nobody who forgot was ever accused");
}

#[test]
fn a_disk_that_is_too_early_is_found() {
    for planted in [Planted::EarlySync, Planted::EarlyWord] {
        let plans = (1..=8).map(|at| Plan {
            crashes: vec![Crash { who: vec![1], at: 3 * at, down_ms: 300, loses: Loss::Unsynced }],
            planted: Some(planted),
            ..Plan::quiet(2_000 + at, 4, 40)
        });
        let done = all(plans.collect());
        let found = done.iter().filter(|(_, report)| {
            report.violations.iter().any(|violation| matches!(violation, Violation::Lost { who: 1 }))
        });
        assert!(found.count() > 0, "{planted:?} was not found in any of 8 worlds");
    }
}
