//! Accounts, gas and fees: one table a clause.

use cpc_ledger::{Failure, TxOutcome, VerifiedTx, Verifier, admit};
use cpc_primitives::codec::Bounded;
use cpc_primitives::merkle::MerklePath;
use cpc_primitives::result::{Attestation, SignedRoot};
use cpc_primitives::state::StateKey;
use cpc_primitives::tx::{Action, AddVerdicts, AddedVerdicts, SubmitResult, TxBody, Unjail};
use cpc_primitives::{Amount, ChainId, Digest, Gas, Height, JobIndex, Nonce, TaskId};

use crate::world::{
    ALICE, BOB, CAROL, NOBODY, VALIDATORS, World, address, body, key, params, send, share, transfer, units, verified,
};

/// The price of one gas in these tests.
const PRICE: u128 = 2;
const TRANSFER: u128 = 21_000 * PRICE;
const NEW_ACCOUNT: u128 = 25_000 * PRICE;

#[track_caller]
fn refused(from: u8, body: TxBody, message: &str) {
    let world = World::new();
    let mut session = world.session();
    let error = session.push(&verified(body.sign(&key(from)))).expect_err("refused");
    assert_eq!(error.to_string(), message);

    // What was refused leaves no trace: the block is the one without it.
    let without = world.session().finish().expect("an empty block");
    assert_eq!(session.finish().expect("an empty block"), without);
}

/// Alice sends; the block of this one transaction must leave these balances and this outcome.
#[track_caller]
fn done(body: TxBody, outcome: TxOutcome, alice: u128, receiver: (u8, Option<u128>), gas: u64) {
    let mut world = World::new();
    let receipts = world.block(vec![body.sign(&key(ALICE))]);
    assert_eq!(receipts[0].outcome, outcome);
    assert_eq!(receipts[0].gas_used, Gas(gas));
    assert_eq!(receipts[0].fee, units(u128::from(gas) * PRICE));
    assert_eq!(world.balance(ALICE), alice);
    assert_eq!(world.account(receiver.0).map(|account| account.balance.units()), receiver.1);
    assert_eq!(world.account(ALICE).expect("an account").nonce, Nonce(1));
}

#[test]
fn a_transfer_moves_the_amount_and_pays_its_gas() {
    done(body(0, transfer(address(BOB), 5)), TxOutcome::Done, 9_999_995 - TRANSFER, (BOB, Some(1_000_005)), 21_000);
    done(body(0, transfer(address(BOB), 0)), TxOutcome::Done, 10_000_000 - TRANSFER, (BOB, Some(1_000_000)), 21_000);
}

#[test]
fn a_transfer_to_oneself_costs_its_fee_alone() {
    let left = 10_000_000 - TRANSFER;
    done(body(0, transfer(address(ALICE), 5)), TxOutcome::Done, left, (ALICE, Some(left)), 21_000);
    done(body(0, transfer(address(ALICE), left)), TxOutcome::Done, left, (ALICE, Some(left)), 21_000);
}

#[test]
fn a_new_account_costs_more_and_starts_with_the_minimum() {
    let cost = TRANSFER + NEW_ACCOUNT;
    done(body(0, transfer(address(NOBODY), 10)), TxOutcome::Done, 9_999_990 - cost, (NOBODY, Some(10)), 46_000);
    for amount in [0, 9] {
        let failure = Failure::BelowMinimum { minimum: units(10), amount: units(amount) };
        let outcome = TxOutcome::Failed(failure);
        done(body(0, transfer(address(NOBODY), amount)), outcome, 10_000_000 - TRANSFER, (NOBODY, None), 21_000);
    }
}

#[test]
fn running_out_of_gas_costs_the_whole_limit() {
    for limit in [21_000, 45_999] {
        let failure = Failure::OutOfGas { limit: Gas(limit), needed: Gas(46_000) };
        let short = TxBody { gas_limit: Gas(limit), ..body(0, transfer(address(NOBODY), 10)) };
        let left = 10_000_000 - u128::from(limit) * PRICE;
        done(short, TxOutcome::Failed(failure), left, (NOBODY, None), limit);
    }
    let enough = TxBody { gas_limit: Gas(46_000), ..body(0, transfer(address(NOBODY), 10)) };
    done(enough, TxOutcome::Done, 9_999_990 - 46_000 * PRICE, (NOBODY, Some(10)), 46_000);
}

#[test]
fn a_sender_can_give_all_it_has_but_the_fee() {
    let all = 10_000_000 - TRANSFER;
    done(body(0, transfer(address(BOB), all)), TxOutcome::Done, 0, (BOB, Some(1_000_000 + all)), 21_000);
    let failure = Failure::Underfunded { available: units(all), amount: units(all + 1) };
    let outcome = TxOutcome::Failed(failure);
    done(body(0, transfer(address(BOB), all + 1)), outcome, all, (BOB, Some(1_000_000)), 21_000);
}

#[test]
fn a_failed_first_payment_counts_the_new_accounts_price_and_does_not_take_it() {
    let all = 10_000_000 - TRANSFER - NEW_ACCOUNT;
    let failure = Failure::Underfunded { available: units(all), amount: units(all + 1) };
    let too_much = body(0, transfer(address(NOBODY), all + 1));
    done(too_much, TxOutcome::Failed(failure), 10_000_000 - TRANSFER, (NOBODY, None), 21_000);
}

#[test]
fn an_empty_account_stays_and_keeps_its_nonce() {
    let mut world = World::new();
    world.block(vec![send(ALICE, 0, BOB, 10_000_000 - TRANSFER)]);
    let empty = world.account(ALICE).expect("still there");
    assert_eq!((empty.balance, empty.nonce), (Amount::ZERO, Nonce(1)));
    // It is not new: a payment back costs no more than any other, and may be below the minimum.
    let receipts = world.block(vec![send(BOB, 0, ALICE, 1)]);
    assert_eq!((receipts[0].outcome, receipts[0].gas_used), (TxOutcome::Done, Gas(21_000)));
}

#[test]
fn an_account_made_in_a_block_exists_for_the_rest_of_it() {
    let mut world = World::new();
    let receipts = world.block(vec![send(ALICE, 0, NOBODY, 10), send(ALICE, 1, NOBODY, 1)]);
    assert_eq!(receipts.iter().map(|receipt| receipt.gas_used).collect::<Vec<_>>(), [Gas(46_000), Gas(21_000)]);
    assert_eq!(world.balance(NOBODY), 11);
}

#[test]
fn a_transaction_that_offers_too_little_is_refused() {
    let good = || body(0, transfer(address(BOB), 1));
    refused(ALICE, TxBody { chain: ChainId(8), ..good() }, "signed for another chain: expected 7, found 8");
    refused(
        ALICE,
        TxBody { gas_price: units(1), ..good() },
        "a gas price of 0.000000000000000001 CPC, the network's minimum is 0.000000000000000002 CPC",
    );
    refused(ALICE, TxBody { gas_limit: Gas(20_999), ..good() }, "a gas limit of 20999, TRANSFER needs at least 21000");
    refused(
        ALICE,
        TxBody { gas_limit: Gas(1_000_001), ..good() },
        "a gas limit of 1000001 does not fit the block: 0 of 1000000 are used",
    );
    refused(
        ALICE,
        body(0, transfer(address(BOB), (1 << 100) + 1)),
        "an amount of 1267650600228.229401496703205377 CPC, no more than 1267650600228.229401496703205376 CPC can ever \
         exist",
    );
}

#[test]
fn a_nonce_is_used_once_and_in_order() {
    refused(ALICE, body(1, transfer(address(BOB), 1)), "the nonce: expected 0, found 1");
    let mut world = World::new();
    world.block(vec![send(ALICE, 0, BOB, 1)]);
    for nonce in [0, 2, u64::MAX] {
        let error = world.push(send(ALICE, nonce, BOB, 1)).expect_err("refused");
        assert_eq!(error.to_string(), format!("the nonce: expected 1, found {nonce}"));
    }
    // A failed one uses its nonce too.
    let receipts = world.block(vec![send(ALICE, 1, BOB, 1 << 99), send(ALICE, 2, BOB, 1)]);
    assert!(matches!(receipts[0].outcome, TxOutcome::Failed(_)), "{:?}", receipts[0]);
    assert_eq!(receipts[1].outcome, TxOutcome::Done);
}

#[test]
fn whoever_cannot_pay_the_whole_limit_is_refused() {
    let poor = "the sender has 0.00000000000000005 CPC, too little for 50000 gas at 0.000000000000000002 CPC";
    refused(CAROL, body(0, transfer(address(BOB), 0)), poor);
    let none = "the sender has 0 CPC, too little for 50000 gas at 0.000000000000000002 CPC";
    refused(NOBODY, body(0, transfer(address(BOB), 0)), none);
    // Products beyond 128 bits and beyond the supply are more than anybody has.
    for (price, limit) in [(u128::MAX, 1_000_000), (1 << 100, 21_000), ((1 << 100) / 21_000 + 1, 21_000)] {
        let offer = TxBody { gas_price: units(price), gas_limit: Gas(limit), ..body(0, transfer(address(BOB), 0)) };
        let error = World::new().push(offer.sign(&key(ALICE))).expect_err("refused").to_string();
        assert!(error.starts_with("the sender has 0.00000000001 CPC, too little for"), "{error}");
    }
    // One unit makes the difference.
    for (price, fits) in [(200, true), (201, false)] {
        let offer = TxBody { gas_price: units(price), ..body(0, transfer(address(BOB), 0)) };
        assert_eq!(World::new().push(offer.sign(&key(ALICE))).is_ok(), fits, "{price}");
    }
}

#[test]
fn the_proposer_gets_nine_tenths_of_the_fees_and_the_treasury_the_rest() {
    let mut world = World::new();
    world.block(vec![send(ALICE, 0, BOB, 1), send(ALICE, 1, BOB, 1 << 99)]);
    assert_eq!(world.supply().treasury.units(), 1_000 + 2 * TRANSFER / 10);
    assert_eq!(world.balance(VALIDATORS[0].0), 2 * TRANSFER * 9 / 10);
}

#[test]
fn the_treasury_takes_the_floor_of_the_blocks_fees_and_not_of_each() {
    // One basis point of 42,000, of 42,000 and of 92,000 units: alone they would round down to 4, 4 and 9.
    let mut params = params();
    params.fee_proposer = share(9_999);
    let mut world = World::with(params, &[(ALICE, 10_000_000), (BOB, 1_000_000)]);
    world.block(vec![send(ALICE, 0, BOB, 1), send(BOB, 0, ALICE, 1), send(BOB, 1, NOBODY, 10)]);
    assert_eq!(world.supply().treasury.units(), 1_000 + 17);
    assert_eq!(world.balance(VALIDATORS[0].0), 42_000 + 42_000 + 92_000 - 17);
}

#[test]
fn the_proposer_cannot_spend_what_its_block_earns() {
    let (first, _) = VALIDATORS[0];
    let world = World::new();
    let mut session = world.session();
    session.push(&verified(send(ALICE, 0, BOB, 1))).expect("taken");
    let error = session.push(&verified(send(first, 0, BOB, 0))).expect_err("refused");
    assert!(error.to_string().starts_with("the sender has 0 CPC"), "{error}");
}

#[test]
fn a_payment_to_the_proposer_adds_to_its_fees() {
    let (first, _) = VALIDATORS[0];
    let mut world = World::new();
    world.block(vec![send(ALICE, 0, first, 123)]);
    assert_eq!(world.balance(first), 123 + TRANSFER - TRANSFER / 10);
}

#[test]
fn what_needs_no_state_is_seen_without_one() {
    let params = params();
    assert_eq!(admit(&params, &verified(send(NOBODY, 9, BOB, 1))), Ok(()));
    let unjail = verified(body(0, Action::Unjail(Unjail {})).sign(&key(ALICE)));
    assert_eq!(
        admit(&params, &unjail).expect_err("refused").to_string(),
        "UNJAIL is not active: its rules come with a later version"
    );
}

/// An ADD_VERDICTS that is well formed and larger than any transaction may be.
pub(crate) fn oversized() -> AddVerdicts {
    let root = SignedRoot::sign(&key(VALIDATORS[0].0 + 150), params().chain, Height(1), 0, Digest::ZERO);
    let path = MerklePath { index: 0, count: 1, siblings: Bounded::new(vec![Digest::ZERO; 32]).expect("32 steps") };
    let attestation = Attestation { signed_root: 0, sample: Digest::ZERO, digest: Digest::ZERO, path };
    let attestations = Bounded::new(vec![attestation; 64]).expect("64 seats");
    let added = AddedVerdicts { task: TaskId(Digest::ZERO), job: JobIndex(0), attestations };
    AddVerdicts { roots: Bounded::new(vec![root]).expect("one"), entries: Bounded::new(vec![added]).expect("one") }
}

#[test]
fn a_transaction_larger_than_any_may_be_is_refused_by_its_size() {
    // A block's decoder has the block's limit: only the rules see that one transaction is too large.
    let tx = verified(body(0, Action::AddVerdicts(oversized())).sign(&key(ALICE)));
    assert!(tx.bytes() > 65_536, "{}", tx.bytes());
    let message = format!("{} bytes, a transaction has at most 65536", tx.bytes());
    assert_eq!(admit(&params(), &tx).expect_err("refused").to_string(), message);

    let empty = SubmitResult { roots: Bounded::default(), entries: Bounded::default() };
    let small = verified(body(0, Action::SubmitResult(empty)).sign(&key(ALICE)));
    assert_eq!(
        admit(&params(), &small).expect_err("refused").to_string(),
        "a gas limit of 50000, SUBMIT_RESULT needs at least 80000"
    );
}

#[test]
fn what_a_store_may_fetch_ahead_is_every_account_once() {
    let txs = vec![send(ALICE, 0, BOB, 1), send(BOB, 0, ALICE, 1), send(CAROL, 0, NOBODY, 1)];
    let txs: Vec<VerifiedTx> = Verifier::new(0).verify(txs).expect("good signatures");
    let mut expected = [ALICE, BOB, CAROL, NOBODY].map(|number| StateKey::account(&address(number)));
    expected.sort();
    assert_eq!(cpc_ledger::touched(&txs), expected);
}
