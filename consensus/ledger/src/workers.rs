//! Workers: a bond that stands for results, the key that signs them, and where earnings go.

use cpc_primitives::task::Worker;
use cpc_primitives::tx::RegisterWorker;
use cpc_primitives::{Address, Amount};

use crate::error::{Failure, Stop};
use crate::port::StateRead;
use crate::session::{Session, TxOutcome};
use crate::supply::{credit, debit};

impl<S: StateRead> Session<'_, S> {
    /// Makes a worker of an account, or adds to the bond of one and declares it anew (WRK-2).
    pub(crate) fn register(&mut self, sender: &Address, register: &RegisterWorker) -> Result<TxOutcome, Stop> {
        let RegisterWorker { bond: found, hot, payout } = *register;
        let known = self.tables.workers.get(self.state, sender)?.copied();
        let minimum = self.params.existential_minimum;
        if known.is_none() && found < minimum {
            return Err(Failure::BondTooSmall { minimum, found }.into());
        }
        let (bonded, reserved) = known.map(|worker| (worker.bond, worker.reserved)).unwrap_or_default();
        let bond = bonded.checked_add(found).ok_or(Failure::BondTooLarge { maximum: Amount::MAX })?;
        // WRK-2: a settlement pays into accounts that exist, so that it never makes one of dust.
        self.balance(&payout)?.ok_or(Failure::NoPayoutAccount { payout })?;
        let available = self.balance(sender)?.unwrap_or_default();
        if available < found {
            return Err(Failure::Underfunded { available, amount: found }.into());
        }

        // Every check has passed: from here nothing can fail.
        self.collect(sender, found)?;
        credit(&mut self.supply.bonds, found, "bonds")?;
        self.tables.workers.set(self.state, sender, Worker { bond, reserved, hot: hot.key, payout })?;
        Ok(TxOutcome::Done)
    }

    /// Gives a worker's bond back and forgets it (WRK-3).
    pub(crate) fn retire(&mut self, sender: &Address) -> Result<TxOutcome, Stop> {
        let worker = self.tables.workers.get(self.state, sender)?.copied();
        let Worker { bond, reserved, .. } = worker.ok_or(Failure::NotAWorker { account: *sender })?;
        if !reserved.is_zero() {
            return Err(Failure::WorkerBusy { reserved }.into());
        }

        // Every check has passed: from here nothing can fail.
        self.tables.workers.remove(self.state, sender)?;
        debit(&mut self.supply.bonds, bond, "bonds")?;
        self.pay(sender, bond)?;
        Ok(TxOutcome::Done)
    }
}
