//! The running totals of all money, the equation that they keep, and their recount.

use cpc_primitives::codec::encode;
use cpc_primitives::state::{Account, Kind, StateKey};
use cpc_primitives::{Amount, Digest, Fault};
use wincode::{SchemaRead, SchemaWrite};

use crate::records::{Opened, Rewards, Seats, Validator, parse};

/// Where all money is, and where it came from (SUP-1, STATE-5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, SchemaRead, SchemaWrite)]
pub struct Supply {
    /// What accounts can spend.
    pub balances: Amount,
    /// What validators have locked.
    pub stake: Amount,
    /// Stake that was taken back and is not free yet.
    pub unbonding: Amount,
    /// What open tasks hold.
    pub escrow: Amount,
    /// What workers and challengers have locked.
    pub bonds: Amount,
    /// Rewards that were minted and not paid.
    pub pending_rewards: Amount,
    /// What the treasury holds.
    pub treasury: Amount,
    /// What nobody will ever spend.
    pub burned: Amount,
    /// What blocks have minted.
    pub minted: Amount,
    /// What the genesis gave out.
    pub genesis: Amount,
}

impl Supply {
    /// Demands that all money is somewhere and came from somewhere, to the unit (SUP-2).
    pub fn check(&self) -> Result<(), Fault> {
        let Self { balances, stake, unbonding, escrow, bonds, pending_rewards, treasury, burned, minted, genesis } =
            *self;
        let held = total([balances, stake, unbonding, escrow, bonds, pending_rewards, treasury, burned]);
        let issued = total([genesis, minted]);
        if held.is_none() || held != issued {
            return Err(broken(format!("SUP-2: held {held:?}, issued {issued:?}, from {self:?}")));
        }
        Ok(())
    }
}

/// Adds up every record of a state and demands that the running totals say the same (SUP-4).
///
/// Nothing stands behind treasury, burned, minted and genesis but the totals themselves; the equation ties them.
pub fn recount(entries: impl Iterator<Item = Result<(StateKey, Vec<u8>), Fault>>) -> Result<Supply, Fault> {
    let (mut counted, mut recorded) = (Supply::default(), None);
    for entry in entries {
        let (key, value) = entry?;
        match key.kind() {
            Some(Kind::Account) => {
                let account: Account = parse(&key, &value)?;
                credit(&mut counted.balances, account.balance, "balances")?;
            }
            Some(Kind::Validator) => {
                let validator: Validator = parse(&key, &value)?;
                credit(&mut counted.stake, validator.stake, "stake")?;
            }
            Some(Kind::Rewards) => {
                let rewards: Rewards = parse(&key, &value)?;
                credit(&mut counted.pending_rewards, rewards.pot, "pending rewards")?;
            }
            Some(Kind::Supply) => recorded = Some(parse::<Supply>(&key, &value)?),
            Some(Kind::Seats) => drop(parse::<Seats>(&key, &value)?),
            Some(Kind::Beacon) => drop(parse::<Digest>(&key, &value)?),
            Some(Kind::Opened) => drop(parse::<Opened>(&key, &value)?),
            None => {
                return Err(Fault::Damaged { detail: format!("{key:?} is of no kind that this version writes") });
            }
        }
    }
    let recorded =
        recorded.ok_or_else(|| Fault::Damaged { detail: "the running totals are not in the state".to_owned() })?;
    let Supply { treasury, burned, minted, genesis, .. } = recorded;
    let counted = Supply { treasury, burned, minted, genesis, ..counted };
    if encode(&counted) != encode(&recorded) {
        return Err(broken(format!("SUP-4: counted {counted:?}, recorded {recorded:?}")));
    }
    counted.check()?;
    Ok(counted)
}

/// Adds to a total; one that leaves what can ever exist is a bug, not an input.
pub(crate) fn credit(total: &mut Amount, amount: Amount, name: &str) -> Result<(), Fault> {
    let sum = total.checked_add(amount);
    *total = sum.ok_or_else(|| broken(format!("SUP-2: {name} of {total:?} cannot take {amount:?}")))?;
    Ok(())
}

/// Takes from a total; one that falls below zero is a bug, not an input.
pub(crate) fn debit(total: &mut Amount, amount: Amount, name: &str) -> Result<(), Fault> {
    let rest = total.checked_sub(amount);
    *total = rest.ok_or_else(|| broken(format!("SUP-2: {name} of {total:?} cannot give {amount:?}")))?;
    Ok(())
}

/// An invariant that does not hold, with both its sides.
pub(crate) fn broken(detail: String) -> Fault {
    Fault::Invariant { detail }
}

/// The sum, unless it exceeds what can ever exist.
pub(crate) fn total(amounts: impl IntoIterator<Item = Amount>) -> Option<Amount> {
    amounts.into_iter().try_fold(Amount::ZERO, Amount::checked_add)
}
