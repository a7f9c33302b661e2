//! The bugs that are planted in the check of the synthetic kernel are found by planting lies and by honest work.
#![cfg(feature = "canary")]

use std::sync::{Mutex, PoisonError};

use cpc_kernels::synthetic::canary::{Canary, plant};
use cpc_kernels::synthetic::{ID, Seed, SyntheticSpec};
use cpc_kernels::{Cpu, Effort, Inputs, Registry, Secret, Watch};
use cpc_primitives::{Digest, TaskId};

/// The bugs are of the whole process: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Checks honest work, and work with one wrong entry in each column in turn; says what is wrong with the check.
fn harness(canary: Canary) -> Result<(), String> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    plant(canary);
    let spec = SyntheticSpec { seed: Seed::new(vec![1]).expect("one byte"), matrix_size: 16, iterations: 8 };
    let (registry, watch, cpu) = (Registry::all(), Watch::new(), Cpu::best());
    let kernel = registry.kernel(ID).expect("the kernel is there");
    let task = kernel.prepare(&spec.bytes(), &Inputs::none(), cpu, &watch).expect("a good spec");
    let job = kernel.plan(&spec.bytes(), 1).expect("it splits").jobs().next().expect("one job");
    let output = task.run(&job.geometry, cpu, &watch).expect("it runs").bytes;
    let secret = Secret { seat: Digest([7; 32]), task: TaskId(Digest::ZERO) };
    let mut checker = task.checker(secret, Effort::Full, cpu, &watch).expect("a check");
    let mut judge = |output: &[u8]| checker.check(&job, output, &watch).expect("judged").wrong;
    if let Some(wrong) = judge(&output) {
        return Err(format!("honest work was refused: {wrong}"));
    }
    for column in 0..16 {
        let mut bent = output.clone();
        // The low bit of an element: still an element, unless all others are set.
        bent[column * 64] ^= 1;
        if judge(&bent).is_none() {
            return Err(format!("a lie in column {column} passed"));
        }
    }
    Ok(())
}

#[test]
fn a_check_that_leaves_out_a_column_is_found() {
    assert_eq!(harness(Canary::LastColumn), Err("a lie in column 15 passed".to_owned()));
}

#[test]
fn a_carry_that_forgets_a_diagonal_is_found() {
    let found = harness(Canary::Diagonal).expect_err("the planted bug");
    assert!(found.starts_with("honest work was refused"), "{found}");
}

#[test]
fn without_a_planted_bug_nothing_is_found_in_the_check() {
    assert_eq!(harness(Canary::Nothing), Ok(()));
}
