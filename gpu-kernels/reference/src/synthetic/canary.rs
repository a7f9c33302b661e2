//! Two planted bugs, which the tests of the check must find. No build of the product contains this file.

use std::sync::atomic::{AtomicU8, Ordering};

/// Which bug is planted in this process.
static PLANTED: AtomicU8 = AtomicU8::new(0);

/// A bug of the check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Canary {
    /// None.
    Nothing,
    /// The last column of a job is not looked at.
    LastColumn,
    /// The carry forgets the diagonal of step 1.
    Diagonal,
}

/// Plants a bug, or digs it up.
pub fn plant(canary: Canary) {
    PLANTED.store(number(canary), Ordering::SeqCst);
}

fn number(canary: Canary) -> u8 {
    match canary {
        Canary::Nothing => 0,
        Canary::LastColumn => 1,
        Canary::Diagonal => 2,
    }
}

fn is_planted(canary: Canary) -> bool {
    PLANTED.load(Ordering::SeqCst) == number(canary)
}

/// How many columns of a job are looked at.
pub(super) fn columns_to_check(count: u32) -> u32 {
    if is_planted(Canary::LastColumn) { count.saturating_sub(1) } else { count }
}

/// Makes ones of the diagonal that is forgotten.
pub(super) fn spoil_diagonal(step: u32, factors: &mut [u32]) {
    if is_planted(Canary::Diagonal) && step == 1 {
        factors.fill(1);
    }
}
