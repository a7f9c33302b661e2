//! The running totals of all money, and the equation that they keep.

use cpc_primitives::{Amount, Fault};
use wincode::{SchemaRead, SchemaWrite};

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
