//! Random payments with adversarial values: after every block the ledger, the naive model and the invariants agree.

use std::collections::BTreeSet;

use cpc_ledger::{BlockError, BlockReject, Session, TxError, TxOutcome, VerifiedTx, recount};
use cpc_primitives::tx::TxBody;
use cpc_primitives::{Gas, Nonce};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;

use crate::model::{Fate, Model, Payment, SUPPLY_MAX};
use crate::world::{
    ALICE, BOB, CAROL, NOBODY, State, VALIDATORS, World, address, key, params, transfer, units, verified,
};

/// Few people, so that they meet: three with money, both validators, two who do not exist at first.
const PEOPLE: [u8; 7] = [ALICE, BOB, CAROL, VALIDATORS[0].0, VALIDATORS[1].0, NOBODY, 10];
/// The fees of a transfer and of a first payment at the lowest price.
const FEE: u128 = 42_000;
const FIRST_FEE: u128 = 92_000;

/// A number that is fixed, or that depends on what the sender has when its turn comes.
#[derive(Clone, Copy, Debug)]
enum Value {
    Exactly(u128),
    /// The sender's balance divided by the first, less the second, plus the third.
    OfBalance(u128, u128, u128),
}

/// A payment before the sender's balance and nonce are known.
#[derive(Clone, Copy, Debug)]
struct Draft {
    from: u8,
    to: u8,
    amount: Value,
    gas_price: Value,
    gas_limit: u64,
    /// Added to the right nonce; what would be below zero is the largest nonce.
    nonce: i8,
}

impl Value {
    fn resolve(self, balance: u128) -> u128 {
        match self {
            Self::Exactly(value) => value,
            Self::OfBalance(part, less, more) => (balance / part).saturating_sub(less) + more,
        }
    }
}

impl Draft {
    fn resolve(self, model: &Model) -> Payment {
        let Self { from, to, amount, gas_price, gas_limit, nonce } = self;
        let (balance, next) = model.accounts.get(&from).copied().unwrap_or((0, 0));
        Payment {
            from,
            to,
            nonce: next.checked_add_signed(nonce.into()).unwrap_or(u64::MAX),
            amount: amount.resolve(balance),
            gas_price: gas_price.resolve(balance),
            gas_limit,
        }
    }
}

fn amounts() -> impl Strategy<Value = Value> {
    use Value::{Exactly, OfBalance};
    let small = [0, 1, 2, 3, 9, 10, 11, 100, 50_000].map(Exactly);
    let large = [SUPPLY_MAX, SUPPLY_MAX + 1, u128::MAX].map(Exactly);
    let edges = [FEE, FIRST_FEE].map(|fee| [OfBalance(1, fee, 0), OfBalance(1, fee, 1), OfBalance(1, fee + 1, 0)]);
    prop_oneof![
        6 => select(small.to_vec()),
        1 => select(large.to_vec()),
        4 => select(edges.concat()),
        2 => select(vec![OfBalance(1, 0, 0), OfBalance(2, 0, 0), OfBalance(3, 0, 1)]),
    ]
}

fn gas_prices() -> impl Strategy<Value = Value> {
    use Value::{Exactly, OfBalance};
    let edges = [21_000, 46_000, 1_000_000].map(|limit| [OfBalance(limit, 0, 0), OfBalance(limit, 0, 1)]);
    prop_oneof![
        16 => Just(Exactly(2)),
        1 => select([0, 1, 3, SUPPLY_MAX, u128::MAX].map(Exactly).to_vec()),
        1 => select(edges.concat()),
    ]
}

fn drafts() -> impl Strategy<Value = Draft> {
    let limits = select(vec![0, 20_999, 21_000, 45_999, 46_000, 999_999, 1_000_000, 1_000_001, u64::MAX]);
    let gas_limits = prop_oneof![5 => Just(46_000), 1 => limits];
    let nonces = prop_oneof![20 => Just(0i8), 1 => Just(-1i8), 1 => Just(1i8), 1 => any::<i8>()];
    let senders = prop_oneof![3 => select(vec![ALICE, BOB, CAROL]), 1 => select(PEOPLE.to_vec())];
    (senders, select(PEOPLE.to_vec()), amounts(), gas_prices(), gas_limits, nonces).prop_map(
        |(from, to, amount, gas_price, gas_limit, nonce)| Draft { from, to, amount, gas_price, gas_limit, nonce },
    )
}

fn chains() -> impl Strategy<Value = Vec<Vec<Draft>>> {
    prop::collection::vec(prop::collection::vec(drafts(), 0..8), 1..7)
}

/// Nearly all money that can exist is Alice's, so that sums come close to the limit.
fn start() -> (World, Model) {
    let emission = params().emission().expect("small").units();
    let rest = [(BOB, 1_000_000), (CAROL, FIRST_FEE + 20)];
    let spent: u128 = rest.iter().map(|(_, balance)| balance).sum();
    let accounts = [&[(ALICE, SUPPLY_MAX - emission - spent - 400 - 1_000)], rest.as_slice()].concat();
    let world = World::with(params(), &accounts);
    let stakes = VALIDATORS.into_iter().collect();
    let of_validators = VALIDATORS.iter().map(|(number, _)| (*number, 0));
    let balances = accounts.iter().copied().chain(of_validators);
    let accounts = balances.map(|(number, balance)| (number, (balance, 0))).collect();
    (world, Model { accounts, stakes, treasury: 1_000, ..Model::default() })
}

/// Plays a chain on the ledger and on the model, and demands that they never differ.
fn agree(chain: &[Vec<Draft>], prepare: fn(&mut Session<'_, State>)) -> Result<(), TestCaseError> {
    let (mut world, mut model) = start();
    let genesis = world.supply().genesis.units();
    let mut used = BTreeSet::new();
    for block in chain {
        let (mut taken, mut refused) = (Vec::new(), None);
        let mut session = world.session();
        prepare(&mut session);
        for draft in block {
            let payment = draft.resolve(&model);
            let tx = signed(payment);
            let fate = match session.push(&tx) {
                Ok(receipt) => {
                    // Invariant 8: a sender and a nonce are used once.
                    prop_assert!(used.insert((payment.from, payment.nonce)), "a nonce twice: {:?}", payment);
                    let gas = receipt.gas_used.0.into();
                    prop_assert_eq!(receipt.fee.units(), gas * payment.gas_price);
                    match receipt.outcome {
                        TxOutcome::Done => Fate::Paid { gas },
                        TxOutcome::Failed(_) => Fate::Failed { gas },
                        TxOutcome::Judged(_) => panic!("a payment has no entries"),
                    }
                }
                Err(TxError::Reject(_)) => Fate::Refused,
                Err(TxError::Fault(fault)) => return Err(TestCaseError::fail(fault.to_string())),
            };
            prop_assert_eq!(fate, model.pay(payment), "{:?}", payment);
            match fate {
                Fate::Refused => refused = Some((taken.len(), tx)),
                _ => taken.push(tx),
            }
        }
        drop(session);
        model.end_block(VALIDATORS[0].0);

        let header = world.build(world.context(), &taken).map_err(fail)?;
        if let Some((place, tx)) = refused {
            refuses_with(&world, &header, &taken, place, tx)?;
        }
        let applied = world.check(&header, &taken).map_err(fail)?;
        world.adopt(applied);
        same_money(&world, &model, genesis)?;
    }
    Ok(())
}

fn signed(payment: Payment) -> VerifiedTx {
    let Payment { from, to, nonce, amount, gas_price, gas_limit } = payment;
    let body = TxBody {
        chain: params().chain,
        nonce: Nonce(nonce),
        gas_price: units(gas_price),
        gas_limit: Gas(gas_limit),
        action: transfer(address(to), amount),
    };
    verified(body.sign(&key(from)))
}

fn fail(error: BlockError) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

/// What was refused at its place makes the whole block invalid there.
fn refuses_with(
    world: &World,
    header: &cpc_primitives::Header,
    taken: &[VerifiedTx],
    place: usize,
    tx: VerifiedTx,
) -> Result<(), TestCaseError> {
    let mut txs = taken.to_vec();
    txs.insert(place, tx);
    match world.check(header, &txs) {
        Err(BlockError::Reject(BlockReject::Tx { index, .. })) => {
            prop_assert_eq!(index, place);
            Ok(())
        }
        other => Err(TestCaseError::fail(format!("a block with a refused transaction: {other:?}"))),
    }
}

/// Every account, every total and the equation, after a block.
fn same_money(world: &World, model: &Model, genesis: u128) -> Result<(), TestCaseError> {
    for (number, (balance, nonce)) in &model.accounts {
        let account = world.account(*number);
        let found = account.map(|account| (account.balance.units(), account.nonce.0));
        prop_assert_eq!(found, Some((*balance, *nonce)), "account {}", number);
    }
    let records = world.state.keys().filter(|key| key.as_account().is_some()).count();
    prop_assert_eq!(records, model.accounts.len());

    let supply = recount(world.entries()).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
    prop_assert_eq!(supply, world.supply());
    let stake: u128 = model.stakes.values().sum();
    let ours = [model.balances(), stake, model.pot, model.treasury, model.burned, model.minted, genesis];
    let theirs = [
        supply.balances,
        supply.stake,
        supply.pending_rewards,
        supply.treasury,
        supply.burned,
        supply.minted,
        supply.genesis,
    ];
    prop_assert_eq!(ours, theirs.map(cpc_primitives::Amount::units));
    // Invariant 1, in the model's own numbers.
    let held = model.balances() + stake + model.pot + model.treasury + model.burned;
    prop_assert_eq!(held, genesis + model.minted);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_and_the_naive_model_never_differ(chain in chains()) {
        agree(&chain, |_| {})?;
    }
}

#[test]
fn the_drafts_reach_every_fate() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    // A model that is never tried proves nothing: among these chains each fate is common.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut refused, mut failed, mut paid, mut made) = (0, 0, 0, 0);
    for _ in 0..200 {
        let chain = chains().new_tree(&mut runner).expect("a chain").current();
        let (_, mut model) = start();
        for block in chain {
            for draft in block {
                let accounts = model.accounts.len();
                match model.pay(draft.resolve(&model)) {
                    Fate::Refused => refused += 1,
                    Fate::Failed { .. } => failed += 1,
                    Fate::Paid { .. } => paid += 1,
                }
                made += model.accounts.len() - accounts;
            }
            model.end_block(VALIDATORS[0].0);
        }
    }
    let seen = format!("{refused} refused, {failed} failed, {paid} paid, {made} accounts made");
    assert!(refused > 200 && failed > 200 && paid > 200 && made > 50, "{seen}");
}

#[cfg(feature = "canary")]
#[test]
fn a_ledger_that_takes_a_nonce_twice_is_found() {
    use cpc_ledger::Canary;
    use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config { failure_persistence: None, ..Config::with_cases(256) };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let found = runner.run(&chains(), |chain| agree(&chain, |session| session.plant(Canary::AcceptStaleNonce)));
    let Err(TestError::Fail(reason, _)) = found else { panic!("the planted bug was not found: {found:?}") };
    assert!(reason.message().contains("a nonce twice") || reason.message().contains("Refused"), "{reason}");
    // The same chains without the bug are fine, so that it is the bug that was found.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config { failure_persistence: None, ..Config::with_cases(64) };
    let honest = TestRunner::new_with_rng(config, rng)
        .run(&chains(), |chain| agree(&chain, |session| session.plant(Canary::None)));
    assert!(honest.is_ok(), "{honest:?}");
}
