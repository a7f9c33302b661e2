//! What each action costs before anything is known of the state.

use cpc_primitives::Gas;
use cpc_primitives::tx::Action;

/// What a TRANSFER to an account that exists costs (GAS-2).
pub const TRANSFER_GAS: Gas = Gas(21_000);
/// What an action costs that is priced by its parts, before any part (GAS-3).
pub const BASE_GAS: Gas = Gas(10_000);
/// What one signature to be checked costs (GAS-3).
pub const SIGNATURE_GAS: Gas = Gas(3_000);
/// What one record to be written costs (GAS-3).
pub const WRITE_GAS: Gas = Gas(5_000);

/// What a SUBMIT_RESULT with one entry costs (GAS-2).
const FIRST_RESULT_GAS: Gas = Gas(80_000);

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

fn priced(signatures: usize, writes: usize) -> Gas {
    Gas(BASE_GAS.0.saturating_add(parts(signatures, writes)))
}

fn parts(signatures: usize, writes: usize) -> u64 {
    // Lists of an action are bounded by their types, far below where these products would saturate.
    let cost = |count: usize, each: Gas| u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(each.0);
    cost(signatures, SIGNATURE_GAS).saturating_add(cost(writes, WRITE_GAS))
}
