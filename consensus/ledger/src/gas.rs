//! What each action costs before anything is known of the state.

use cpc_primitives::Gas;
use cpc_primitives::limits::{BLOCK_GAS_MAX, TXS_PER_BLOCK_MAX};
use cpc_primitives::result::Attestation;
use cpc_primitives::tx::Action;

use crate::rules::Params;

/// What a TRANSFER to an account that exists costs (GAS-2).
pub const TRANSFER_GAS: Gas = Gas(21_000);
/// What an action costs that is priced by its parts, before any part (GAS-3).
const BASE_GAS: Gas = Gas(10_000);
/// What one signature to be checked costs (GAS-3).
const SIGNATURE_GAS: Gas = Gas(3_000);
/// What one record to be written costs (GAS-3).
const WRITE_GAS: Gas = Gas(5_000);

/// What a SUBMIT_RESULT with one entry costs (GAS-2).
const FIRST_RESULT_GAS: Gas = Gas(80_000);

/// What a further entry of a SUBMIT_RESULT costs (GAS-2).
const NEXT_RESULT_GAS: Gas = Gas(2 * WRITE_GAS.0);
/// What an ADD_VERDICTS costs before its roots and its entries (GAS-3).
const ADD_VERDICTS_GAS: Gas = Gas(BASE_GAS.0 + SIGNATURE_GAS.0 + WRITE_GAS.0);
/// The most that one added verdict costs, alone in its transaction (GAS-7).
const VERDICT_GAS: Gas = Gas(ADD_VERDICTS_GAS.0 + SIGNATURE_GAS.0 + WRITE_GAS.0);

/// No action costs less than one signature and one write, so that a block's gas also bounds how many it carries (BLK-8).
const CHEAPEST_GAS: u64 = BASE_GAS.0.saturating_add(SIGNATURE_GAS.0).saturating_add(WRITE_GAS.0);
#[allow(clippy::as_conversions, reason = "a constant cannot ask whether a number fits; this one is 65,536")]
const _: () = assert!(
    BLOCK_GAS_MAX < CHEAPEST_GAS.saturating_mul(TXS_PER_BLOCK_MAX as u64),
    "a block runs out of gas before it has too many transactions"
);
const _: () = assert!(CHEAPEST_GAS < TRANSFER_GAS.0, "a transfer is not the cheapest action");

/// The least gas limit with which a block may carry this action (GAS-1).
pub fn intrinsic(action: &Action) -> Gas {
    match action {
        // GAS-2: these prices are fixed.
        Action::Transfer(_) => TRANSFER_GAS,
        Action::Stake(_) | Action::Unstake(_) => Gas(40_000),
        Action::Delegate(_) | Action::Undelegate(_) => Gas(35_000),
        Action::UpdateValidator(_) => Gas(30_000),
        Action::Unjail(_) => Gas(50_000),
        Action::SubmitResult(submit) => {
            let further = submit.entries.len().saturating_sub(1);
            Gas(FIRST_RESULT_GAS.0.saturating_add(parts(submit.roots.len(), further.saturating_mul(2))))
        }
        // GAS-3: everything else costs by its signatures and writes, the sender's own among them.
        Action::RegisterWorker(_) => priced(2, 2),
        Action::RetireWorker(_) | Action::CancelTask(_) => priced(1, 2),
        Action::OpenTask(_) => priced(1, 3),
        Action::AddVerdicts(add) => priced(add.roots.len().saturating_add(1), add.entries.len().saturating_add(1)),
        Action::Challenge(_) => priced(1, 3),
        Action::DisputeCommit(_) | Action::DisputeOpen(_) | Action::RevealSecret(_) => priced(1, 2),
        Action::Evidence(_) => priced(3, 3),
        Action::TreasurySpend(spend) => priced(spend.approvals.len().saturating_add(1), 3),
    }
}

/// The gas of a task's results, which its customer pays ahead (GAS-7).
pub fn prepaid_gas(params: &Params, jobs: u32) -> Gas {
    let (seats, quorum) = (u64::from(params.committee_seats), u64::from(params.committee_quorum));
    let result = FIRST_RESULT_GAS.0.saturating_add(seats.saturating_mul(SIGNATURE_GAS.0));
    let verdicts = seats.saturating_sub(quorum).saturating_mul(VERDICT_GAS.0);
    // At most 64 seats and 2^20 jobs: far below where this would saturate.
    Gas(result.saturating_add(verdicts).saturating_mul(jobs.into()))
}

/// Which gas of a transaction with results or verdicts its entries give back: each what it alone made necessary (GAS-8).
pub(crate) struct Repayment {
    /// What the first entry that counts makes necessary beyond its roots.
    first: Gas,
    /// What every entry after it does.
    next: Gas,
    any: bool,
    roots: Vec<bool>,
}

impl Repayment {
    /// Of a SUBMIT_RESULT with so many roots.
    pub(crate) fn of_results(roots: usize) -> Self {
        Self { first: FIRST_RESULT_GAS, next: NEXT_RESULT_GAS, any: false, roots: vec![false; roots] }
    }

    /// Of an ADD_VERDICTS with so many roots.
    pub(crate) fn of_verdicts(roots: usize) -> Self {
        let first = Gas(ADD_VERDICTS_GAS.0.saturating_add(WRITE_GAS.0));
        Self { first, next: WRITE_GAS, any: false, roots: vec![false; roots] }
    }

    /// What the next entry that counts gives back, with the attestations of it that count.
    pub(crate) fn entry<'a>(&mut self, attestations: impl Iterator<Item = &'a Attestation>) -> Gas {
        let base = if self.any { self.next } else { self.first };
        self.any = true;
        let mut new_roots = 0usize;
        for attestation in attestations {
            let charged = self.roots.get_mut(usize::from(attestation.signed_root));
            if charged.is_some_and(|charged| !core::mem::replace(charged, true)) {
                new_roots = new_roots.saturating_add(1);
            }
        }
        Gas(base.0.saturating_add(parts(new_roots, 0)))
    }
}

fn priced(signatures: usize, writes: usize) -> Gas {
    Gas(BASE_GAS.0.saturating_add(parts(signatures, writes)))
}

fn parts(signatures: usize, writes: usize) -> u64 {
    // Lists of an action are bounded by their types, far below where these products would saturate.
    let cost = |count: usize, each: Gas| u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(each.0);
    cost(signatures, SIGNATURE_GAS).saturating_add(cost(writes, WRITE_GAS))
}

#[cfg(test)]
mod tests {
    use cpc_primitives::tx::{CancelTask, Delegate, Stake, SubmitResult, Transfer, Unjail, Unstake};
    use cpc_primitives::{Address, Amount, Digest, TaskId};

    use super::*;

    #[track_caller]
    fn costs(action: Action, gas: u64) {
        assert_eq!(intrinsic(&action), Gas(gas), "{action}");
    }

    #[test]
    fn the_fixed_prices_stand() {
        let (address, amount) = (Address([1; 20]), Amount::new(1));
        costs(Action::Transfer(Transfer { to: address, amount }), 21_000);
        costs(Action::Stake(Stake { amount, registration: None }), 40_000);
        costs(Action::Unstake(Unstake { amount }), 40_000);
        costs(Action::Delegate(Delegate { validator: address, amount }), 35_000);
        costs(Action::Undelegate(Delegate { validator: address, amount }), 35_000);
        costs(Action::Unjail(Unjail {}), 50_000);
        let empty = SubmitResult { roots: Default::default(), entries: Default::default() };
        costs(Action::SubmitResult(empty), 80_000);
    }

    #[test]
    fn other_prices_add_up_from_their_parts() {
        costs(Action::CancelTask(CancelTask { task: TaskId(Digest::ZERO) }), 10_000 + 3_000 + 2 * 5_000);
        assert_eq!(priced(0, 0), BASE_GAS);
        assert_eq!(priced(usize::MAX, usize::MAX), Gas(u64::MAX));
    }
}
