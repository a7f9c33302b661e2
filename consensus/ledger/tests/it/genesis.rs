//! The state of block 0: what is in it, and every reason to refuse one.

use cpc_ledger::{
    GenesisAccount, GenesisReject, GenesisValidator, Opened, Params, genesis_state, recount, seats, supply,
    validator as stored,
};
use cpc_primitives::tx::{KeyUse, ProvenKey};
use cpc_primitives::{Address, Amount, ChainId, Digest, Epoch, Fault};

use crate::world::{ALICE, BOB, State, address, chain_of, key, params, units, validator, validators};

/// Everything that a genesis is made of, to be bent.
struct Draft {
    params: Params,
    accounts: Vec<GenesisAccount>,
    validators: Vec<GenesisValidator>,
    treasury: Amount,
    seats: [Option<Vec<Address>>; 2],
}

fn draft() -> Draft {
    let account = |number, balance| GenesisAccount { address: address(number), balance: units(balance) };
    Draft {
        params: params(),
        accounts: vec![account(ALICE, 100), account(11, 10)],
        validators: validators(),
        treasury: units(7),
        seats: [None, None],
    }
}

fn made(draft: Draft) -> Result<State, GenesisReject> {
    let Draft { params, accounts, validators, treasury, seats } = draft;
    let delta = genesis_state(&params, &accounts, &validators, treasury, seats)?;
    Ok(delta.into_iter().map(|(key, value)| (key, value.expect("a genesis removes nothing"))).collect())
}

#[track_caller]
fn refused(bend: impl FnOnce(&mut Draft), message: &str) {
    let mut draft = draft();
    bend(&mut draft);
    assert_eq!(made(draft).expect_err("refused").to_string(), message);
}

#[test]
fn a_genesis_writes_every_record_and_nothing_else() {
    let state = made(draft()).expect("a good genesis");
    // Three accounts (one validator has none of its own), two validators and their chains, totals, pot, beacon,
    // tally, two sets.
    assert_eq!(state.len(), 3 + 2 + 2 + 1 + 1 + 1 + 1 + 2);
    let balance = |number| {
        cpc_ledger::account(&state, &address(number)).expect("readable").map(|account| account.balance.units())
    };
    assert_eq!([ALICE, 11, 12, BOB].map(balance), [Some(100), Some(10), Some(0), None]);
    let found = stored(&state, &address(11)).expect("readable").expect("written");
    assert_eq!((found.stake, found.registration), (units(300), validator(11, 300).registration));
    let opened = Opened { first: Epoch(0), index: 0, element: chain_of(11).end() };
    assert_eq!(cpc_ledger::opened(&state, &address(11)), Ok(Some(opened)));
    assert_eq!(cpc_ledger::opened(&state, &address(ALICE)), Ok(None));
    assert_eq!(cpc_ledger::beacon(&state), Ok(Digest::ZERO));

    let totals = supply(&state).expect("readable");
    assert_eq!((totals.balances, totals.stake, totals.treasury), (units(110), units(400), units(7)));
    assert_eq!((totals.genesis, totals.minted, totals.burned), (units(517), Amount::ZERO, Amount::ZERO));
    let entries = state.iter().map(|(key, value)| Ok::<_, Fault>((key.clone(), value.clone())));
    assert_eq!(recount(entries), Ok(totals));
}

#[test]
fn the_first_two_sets_are_all_validators_unless_they_are_named() {
    let accounts_of = |state: &State, epoch| -> Vec<Address> {
        let seats = seats(state, Epoch(epoch)).expect("readable").expect("written");
        assert!(seats.seats().windows(2).all(|pair| pair[0].key < pair[1].key));
        let mut accounts: Vec<_> = seats.seats().iter().map(|seat| seat.account).collect();
        accounts.sort();
        accounts
    };
    let mut both = vec![address(11), address(12)];
    both.sort();
    let one = vec![address(12)];
    let cases = [
        ([None, None], &both, &both),
        ([Some(one.clone()), None], &one, &one),
        ([None, Some(one.clone())], &both, &one),
        ([Some(one.clone()), Some(both.clone())], &one, &both),
    ];
    for (named, first, second) in cases {
        let state = made(Draft { seats: named, ..draft() }).expect("a good genesis");
        assert_eq!((&accounts_of(&state, 0), &accounts_of(&state, 1)), (first, second));
        assert_eq!(seats(&state, Epoch(2)), Ok(None));
    }
}

#[test]
fn accounts_are_named_once_and_start_with_the_minimum() {
    let alice = address(ALICE);
    refused(|d| d.accounts.push(d.accounts[0]), &format!("account[2].address: {alice} is named twice"));
    refused(
        |d| d.accounts[0].balance = units(9),
        "account[0].balance is 0.000000000000000009 CPC, an account starts with at least 0.00000000000000001 CPC",
    );
}

#[test]
fn a_bad_parameter_is_named() {
    refused(|d| d.params.epoch_blocks = 1, "blocks.epoch_blocks is 1, it must be at least 2");
}

#[test]
fn no_more_is_given_out_than_can_ever_exist() {
    let all = "1267650600228.229401496703205376 CPC";
    let too_large = |field: &str| format!("{field}: together with all before it more than {all}");
    refused(|d| d.accounts[0].balance = units(u128::MAX), &too_large("account[0].balance"));
    refused(|d| d.accounts[0].balance = Amount::MAX, &too_large("account[1].balance"));
    refused(|d| d.validators[0].stake = Amount::MAX, &too_large("validator[0].stake"));
    refused(|d| d.treasury = Amount::MAX, &too_large("treasury.balance"));
    // The rewards to come are 6 x (1001 + 500 + 250 + 125 + 62 + 31 + 15 + 7 + 3 + 1) units.
    let emission = 6 * 1_995;
    let rest = (1 << 100) - 510 - emission;
    let mut fits = draft();
    fits.treasury = units(rest);
    made(fits).expect("everything can exist at once");
    refused(
        |d| d.treasury = units(rest + 1),
        &format!(
            "rewards.initial: 1267650600228.229401496703193407 CPC at the start and 0.00000000000001197 CPC of rewards are more than {all}"
        ),
    );
}

#[test]
fn a_validator_has_a_stake_and_three_proven_keys_of_its_own() {
    let (first, second) = (address(11), address(12));
    refused(|d| d.validators.clear(), "validator: none is named");
    refused(|d| d.validators.push(validator(11, 1)), &format!("validator[2].account: {first} is named twice"));
    refused(|d| d.validators[1].stake = Amount::ZERO, "validator[1].stake is 0");

    let held = |offset: u8| key(11 + offset).public();
    let own = |role, offset: u8, account| ProvenKey::prove(&key(11 + offset), role, params().chain, &account);
    // A key of another validator, in the same use and in another one; a key of its own, in another use.
    let message =
        |role, index, offset| format!("validator[{index}].{role}.key: {} is also a key of validator[0]", held(offset));
    refused(
        |d| d.validators[1].registration.consensus = own(KeyUse::Consensus, 100, second),
        &message("consensus", 1, 100),
    );
    refused(|d| d.validators[1].registration.network = own(KeyUse::Network, 150, second), &message("network", 1, 150));
    refused(|d| d.validators[0].registration.verdict = own(KeyUse::Verdict, 100, first), &message("verdict", 0, 100));

    let unproven =
        |role, offset| format!("validator[0].{role}.proof does not prove that {first} holds {}", held(offset));
    // A proof for another account, for another use, for another chain.
    refused(
        |d| d.validators[0].registration.consensus = own(KeyUse::Consensus, 100, second),
        &unproven("consensus", 100),
    );
    refused(|d| d.validators[0].registration.verdict = own(KeyUse::Network, 150, first), &unproven("verdict", 150));
    let elsewhere = ProvenKey::prove(&key(211), KeyUse::Network, ChainId(8), &first);
    refused(|d| d.validators[0].registration.network = elsewhere, &unproven("network", 200));
}

#[test]
fn seats_are_of_validators_and_not_too_many() {
    let (first, nobody) = (address(11), address(BOB));
    refused(|d| d.seats[0] = Some(vec![]), "seats.epoch_0 names nobody");
    refused(|d| d.seats[1] = Some(vec![]), "seats.epoch_1 names nobody");
    refused(|d| d.params.seats_max = 1, "seats.epoch_0: 2 seats, staking.seats_max is 1");
    refused(|d| d.seats[1] = Some(vec![first, first]), &format!("seats.epoch_1[1]: {first} is named twice"));
    refused(|d| d.seats[0] = Some(vec![first, nobody]), &format!("seats.epoch_0[1]: {nobody} is no validator"));
}
