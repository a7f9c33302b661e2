//! The money, once more: naive maps and plain numbers, written from the spec and from nothing else.

use std::collections::BTreeMap;

/// What a network of this model has fixed; the tests use exactly these numbers.
pub(crate) const GAS_PRICE_MIN: u128 = 2;
pub(crate) const MINIMUM: u128 = 10;
pub(crate) const NEW_ACCOUNT_GAS: u128 = 25_000;
pub(crate) const BLOCK_GAS: u128 = 1_000_000;
pub(crate) const SUPPLY_MAX: u128 = 1 << 100;

/// A payment as its sender asks for it; people are numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payment {
    pub(crate) from: u8,
    pub(crate) to: u8,
    pub(crate) nonce: u64,
    pub(crate) amount: u128,
    pub(crate) gas_price: u128,
    pub(crate) gas_limit: u64,
}

/// What becomes of a payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Refused,
    Failed { gas: u128 },
    Paid { gas: u128 },
}

/// All money.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) height: u128,
    /// Balance and nonce.
    pub(crate) accounts: BTreeMap<u8, (u128, u64)>,
    pub(crate) stakes: BTreeMap<u8, u128>,
    pub(crate) treasury: u128,
    pub(crate) burned: u128,
    pub(crate) minted: u128,
    pub(crate) pot: u128,
    /// Of the block under way.
    pub(crate) fees: u128,
    pub(crate) gas: u128,
}

impl Model {
    pub(crate) fn pay(&mut self, payment: Payment) -> Fate {
        let Payment { from, to, nonce, amount, gas_price, gas_limit } = payment;
        let limit = u128::from(gas_limit);
        let (balance, next) = self.accounts.get(&from).copied().unwrap_or((0, 0));
        // ACC-2, ACC-3, ACC-4, GAS-1, BLK-8.
        let refused = gas_price < GAS_PRICE_MIN
            || limit < 21_000
            || amount > SUPPLY_MAX
            || self.gas + limit > BLOCK_GAS
            || nonce != next
            || gas_price > balance
            || limit > balance / gas_price;
        if refused {
            return Fate::Refused;
        }
        // ACC-5, GAS-4, GAS-6.
        let new = !self.accounts.contains_key(&to);
        let full = if new { 21_000 + NEW_ACCOUNT_GAS } else { 21_000 };
        let fate = if limit < full {
            Fate::Failed { gas: limit }
        } else if (new && amount < MINIMUM) || full * gas_price + amount > balance {
            Fate::Failed { gas: 21_000 }
        } else {
            Fate::Paid { gas: full }
        };
        let (Fate::Failed { gas } | Fate::Paid { gas }) = fate else { unreachable!("refused above") };
        self.accounts.insert(from, (balance - gas * gas_price, next + 1));
        self.fees += gas * gas_price;
        self.gas += gas;
        if let Fate::Paid { .. } = fate {
            self.accounts.get_mut(&from).expect("the sender").0 -= amount;
            self.accounts.entry(to).or_insert((0, 0)).0 += amount;
        }
        fate
    }

    pub(crate) fn end_block(&mut self, proposer: u8) {
        self.height += 1;
        // FEE-1, FEE-2.
        let treasury = self.fees / 10;
        self.treasury += treasury;
        self.accounts.entry(proposer).or_insert((0, 0)).0 += self.fees - treasury;
        (self.fees, self.gas) = (0, 0);
        // RWD-1, RWD-2.
        let reward = 1_001 >> (self.height / 6);
        self.minted += reward;
        self.pot += reward * 7 / 10;
        self.burned += reward - reward * 7 / 10;
        // RWD-3, RWD-4.
        if self.height % 4 == 3 {
            let (pot, all, seats) = (self.pot, self.stakes.values().sum::<u128>(), self.stakes.len());
            for (account, stake) in &self.stakes {
                let share = (pot * stake / all).min(pot / u128::try_from(seats).expect("few"));
                self.accounts.entry(*account).or_insert((0, 0)).0 += share;
                self.pot -= share;
            }
            self.burned += self.pot;
            self.pot = 0;
        }
    }

    pub(crate) fn balances(&self) -> u128 {
        self.accounts.values().map(|(balance, _)| balance).sum()
    }
}
