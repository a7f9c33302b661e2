//! The state of block 0: everything is checked, then everything is written.

use std::collections::{BTreeMap, BTreeSet};

use cpc_primitives::codec::encode;
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::tx::{KeyUse, ProvenKey, Registration};
use cpc_primitives::{Address, Amount, Digest, Epoch, Nonce, PublicKey};

use crate::error::GenesisReject;
use crate::port::Delta;
use crate::records::{Opened, Rewards, Seat, Seats, Tally, Validator};
use crate::rules::{Field, Params};
use crate::supply::{Supply, total};

/// An account that has money from the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GenesisAccount {
    /// Whose it is.
    pub address: Address,
    /// What it can spend.
    pub balance: Amount,
}

/// A validator that stands from the start: what a first STAKE would declare.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GenesisValidator {
    /// Whose it is.
    pub account: Address,
    /// What it has locked, beside the account's balance.
    pub stake: Amount,
    /// What it declares of itself.
    pub registration: Registration,
}

/// The state of block 0 (EPO-5, SUP-5).
///
/// `seats` names the accounts that sit in epochs 0 and 1; where epoch 0 is not named every validator sits, and where
/// epoch 1 is not named those of epoch 0 do.
pub fn genesis_state(
    params: &Params,
    accounts: &[GenesisAccount],
    validators: &[GenesisValidator],
    treasury: Amount,
    seats: [Option<Vec<Address>>; 2],
) -> Result<Delta, GenesisReject> {
    params.check()?;
    let mut balances = balances(params, accounts)?;
    let standing = standing(params, validators)?;
    let supply = start(params, accounts, validators, treasury)?;
    let [first, second] = seats;
    let first = first.unwrap_or_else(|| validators.iter().map(|validator| validator.account).collect());
    let second = second.unwrap_or_else(|| first.clone());
    let first = sitting(params, Epoch(0), &first, &standing)?;
    let second = sitting(params, Epoch(1), &second, &standing)?;

    // Every check has passed: from here nothing can fail. A validator is paid into its account, so it has one.
    for account in standing.keys() {
        balances.entry(*account).or_default();
    }
    let account = |balance| encode(&Account { balance, nonce: Nonce(0) });
    let accounts = balances.into_iter().map(|(address, balance)| (StateKey::account(&address), account(balance)));
    let validators = standing.into_values().flat_map(|validator| {
        let GenesisValidator { account, stake, registration } = validator.clone();
        // BEA-5: nothing of its chain is opened but the end, and its indices begin with the first epoch.
        let opened = Opened { first: Epoch(0), index: 0, element: registration.chains.beacon };
        [
            (StateKey::opened(&account), encode(&opened)),
            (StateKey::validator(&account), encode(&Validator { stake, registration })),
        ]
    });
    let rest = [
        (StateKey::supply(), encode(&supply)),
        (StateKey::seats(Epoch(0)), encode(&first)),
        (StateKey::seats(Epoch(1)), encode(&second)),
        (StateKey::rewards(), encode(&Rewards::default())),
        // TSK-8: nobody has ordered anything yet.
        (StateKey::tally(), encode(&Tally::default())),
        // BEA-1: nobody has fed it yet.
        (StateKey::beacon(), encode(&Digest::ZERO)),
    ];
    Ok(accounts.chain(validators).chain(rest).map(|(key, value)| (key, Some(value))).collect())
}

fn balances(params: &Params, accounts: &[GenesisAccount]) -> Result<BTreeMap<Address, Amount>, GenesisReject> {
    let mut balances = BTreeMap::new();
    for (index, GenesisAccount { address, balance }) in accounts.iter().copied().enumerate() {
        // ACC-6: what holds for a new account holds for the first ones.
        let minimum = params.existential_minimum;
        if balance < minimum {
            return Err(GenesisReject::AccountBelowMinimum { index, minimum, found: balance });
        }
        if balances.insert(address, balance).is_some() {
            return Err(GenesisReject::AccountTwice { index, address });
        }
    }
    Ok(balances)
}

/// The validators by account, each with keys of its own that it has proven (EPO-6).
fn standing<'a>(
    params: &Params,
    validators: &'a [GenesisValidator],
) -> Result<BTreeMap<Address, &'a GenesisValidator>, GenesisReject> {
    let mut standing = BTreeMap::new();
    let mut holders: BTreeMap<PublicKey, usize> = BTreeMap::new();
    for (index, validator) in validators.iter().enumerate() {
        let GenesisValidator { account, stake, registration } = validator;
        let account = *account;
        if standing.insert(account, validator).is_some() {
            return Err(GenesisReject::ValidatorTwice { index, account });
        }
        if stake.is_zero() {
            return Err(GenesisReject::NoStake { index });
        }
        for (role, proven) in roles(registration) {
            if let Some(first) = holders.insert(proven.key, index) {
                return Err(GenesisReject::KeyTwice { index, role, key: proven.key, first });
            }
            let claim = proven.claim(role, params.chain, &account);
            let key = proven.key;
            claim.verify().map_err(|_| GenesisReject::KeyNotProven { index, role, key, account })?;
        }
    }
    if standing.is_empty() {
        return Err(GenesisReject::NoValidator);
    }
    Ok(standing)
}

fn roles(registration: &Registration) -> [(KeyUse, &ProvenKey); 3] {
    [
        (KeyUse::Consensus, &registration.consensus),
        (KeyUse::Verdict, &registration.verdict),
        (KeyUse::Network, &registration.network),
    ]
}

/// The running totals of block 0, if they and all rewards to come can exist (SUP-5).
fn start(
    params: &Params,
    accounts: &[GenesisAccount],
    validators: &[GenesisValidator],
    treasury: Amount,
) -> Result<Supply, GenesisReject> {
    let maximum = Amount::MAX;
    let mut genesis = Amount::ZERO;
    let mut add = |sum: &mut Amount, amount: Amount, field: Field| -> Result<(), GenesisReject> {
        genesis = total([genesis, amount]).ok_or(GenesisReject::TotalTooLarge { field, maximum })?;
        // A part is never more than the whole.
        *sum = total([*sum, amount]).unwrap_or(genesis);
        Ok(())
    };
    let (mut balances, mut stake) = (Amount::ZERO, Amount::ZERO);
    for (index, account) in accounts.iter().enumerate() {
        add(&mut balances, account.balance, Field::Row { table: "account", index, name: "balance" })?;
    }
    for (index, validator) in validators.iter().enumerate() {
        add(&mut stake, validator.stake, Field::Row { table: "validator", index, name: "stake" })?;
    }
    add(&mut Amount::default(), treasury, Field::Plain("treasury.balance"))?;
    let emission = params.emission().unwrap_or(maximum);
    if genesis.checked_add(emission).is_none() {
        return Err(GenesisReject::EmissionTooLarge { total: genesis, emission, maximum });
    }
    Ok(Supply { balances, stake, treasury, genesis, ..Supply::default() })
}

/// The seats of an epoch, as the genesis names them (EPO-5).
fn sitting(
    params: &Params,
    epoch: Epoch,
    named: &[Address],
    standing: &BTreeMap<Address, &GenesisValidator>,
) -> Result<Seats, GenesisReject> {
    let (maximum, found) = (params.seats_max, named.len());
    if found == 0 {
        return Err(GenesisReject::NoSeats { epoch });
    }
    if u32::try_from(found).map_or(true, |found| found > maximum) {
        return Err(GenesisReject::TooManySeats { epoch, maximum, found });
    }
    let (mut seen, mut seats) = (BTreeSet::new(), Vec::new());
    for (index, account) in named.iter().copied().enumerate() {
        let validator = standing.get(&account).ok_or(GenesisReject::SeatWithoutValidator { epoch, index, account })?;
        if !seen.insert(account) {
            return Err(GenesisReject::SeatTwice { epoch, index, account });
        }
        seats.push(Seat { key: validator.registration.consensus.key, account, stake: validator.stake });
    }
    Ok(Seats::new(seats).expect("the network's maximum is below the format's, and no key is used twice"))
}
