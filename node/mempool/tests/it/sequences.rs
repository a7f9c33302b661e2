//! Random calls with few senders and little room: after each of them the pool and the naive model agree.

use std::collections::BTreeSet;

use cpc_mempool::{Mempool, Refused, Stats};
use cpc_primitives::state::Account;
use cpc_primitives::{Amount, Gas, Height, Nonce};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;

use crate::model::{Bounds, Comer, Model, No};
use crate::world::{AMOUNT, GAS, address, counted, limits, tx};

/// A call of the pool.
#[derive(Clone, Copy, Debug)]
enum Call {
    Insert(Comer),
    Settle { sender: u16, next: u64 },
    Remove { sender: u16, nonce: u64 },
    Expire { now: u64 },
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let prices = select(vec![1u128, 2, 9, 10, 11, 12, 20, 22, 100]);
    let payable = select(vec![30u128, 400, 1 << 60]);
    let insert = (0u16..4, 0u64..12, prices, payable, select(vec![0u64, 0, 0, 1, 3]), 0u64..20);
    let insert = insert.prop_map(|(sender, nonce, price, payable, account, now)| {
        let balance = payable * u128::from(GAS) + 6 * AMOUNT;
        Call::Insert(Comer { sender, nonce, price, balance, account, now })
    });
    let call = prop_oneof![
        12 => insert,
        2 => (0u16..4, 0u64..6).prop_map(|(sender, next)| Call::Settle { sender, next }),
        1 => (0u16..4, 0u64..12).prop_map(|(sender, nonce)| Call::Remove { sender, nonce }),
        1 => (0u64..24).prop_map(|now| Call::Expire { now }),
    ];
    prop::collection::vec(call, 1..60)
}

fn named(refused: Refused) -> No {
    match refused {
        Refused::NonceUsed(_) => No::Used,
        Refused::NonceFarAhead { .. } | Refused::LastNonce { .. } => No::Far,
        Refused::Underpriced { .. } => No::Underpriced,
        Refused::Overdrawn { .. } => No::Overdrawn,
        Refused::SenderCount { .. } | Refused::SenderBytes { .. } => No::SenderFull,
        Refused::Full { .. } => No::Full,
    }
}

fn agree(calls: &[Call], mut pool: Mempool) -> Result<(), TestCaseError> {
    let limits = *pool.limits();
    let mut model = Model::new(Bounds {
        count: limits.count_max,
        of_sender: limits.sender_count_max,
        ahead: limits.ahead_max,
        bump: limits.bump_percent.into(),
        expiry: limits.expiry_blocks,
    });
    for call in calls.iter().copied() {
        match call {
            Call::Insert(comer) => {
                let account = Account { balance: Amount::new(comer.balance), nonce: Nonce(comer.account) };
                let tx = tx(comer.sender, comer.nonce, comer.price);
                let found = pool.insert(tx, &account, Height(comer.now));
                if let Ok(admitted) = &found {
                    prop_assert!(admitted.evicted.iter().all(|hash| pool.get(hash).is_none()), "evicted and there");
                }
                prop_assert_eq!(found.map(|_| ()).map_err(named), model.insert(comer), "{:?}", call);
            }
            Call::Settle { sender, next } => {
                model.settle(sender, next);
                pool.settle(&address(sender), Nonce(next));
            }
            Call::Remove { sender, nonce } => {
                let waiting = model.list.iter().find(|tx| (tx.sender, tx.nonce) == (sender, nonce)).copied();
                model.remove(sender, nonce);
                if let Some(waiting) = waiting {
                    prop_assert!(pool.remove(&tx(sender, nonce, waiting.price).hash()).is_some());
                }
            }
            Call::Expire { now } => {
                model.expire(now);
                pool.expire(Height(now));
            }
        }
        same(&pool, &model)?;
    }
    Ok(())
}

/// The same transactions, the same count of bytes, and the same next block.
fn same(pool: &Mempool, model: &Model) -> Result<(), TestCaseError> {
    let senders: BTreeSet<u16> = model.list.iter().map(|tx| tx.sender).collect();
    let (chosen, count) = (model.candidates(), model.list.len());
    let stats = Stats { count, ready: chosen.len(), senders: senders.len(), bytes: count * counted() };
    prop_assert_eq!(pool.stats(), stats);
    for waiting in &model.list {
        prop_assert!(pool.get(&tx(waiting.sender, waiting.nonce, waiting.price).hash()).is_some(), "{:?}", waiting);
    }
    let found = pool.candidates(usize::MAX, Gas(u64::MAX), &BTreeSet::new());
    let found = found.iter().map(|tx| (tx.sender(), tx.tx().body.nonce.0, tx.tx().body.gas_price.units()));
    let chosen: Vec<_> = chosen.into_iter().map(|(sender, nonce, price)| (address(sender), nonce, price)).collect();
    prop_assert_eq!(found.collect::<Vec<_>>(), chosen);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn the_pool_and_the_naive_model_never_differ(calls in calls()) {
        agree(&calls, Mempool::new(limits()))?;
    }
}

#[cfg(feature = "canary")]
#[test]
fn a_pool_that_forgets_to_give_bytes_back_is_found() {
    use cpc_mempool::Canary;
    use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
    let run = |canary, cases| {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let config = Config { failure_persistence: None, ..Config::with_cases(cases) };
        TestRunner::new_with_rng(config, rng).run(&calls(), |calls| {
            let mut pool = Mempool::new(limits());
            pool.plant(canary);
            agree(&calls, pool)
        })
    };
    let found = run(Canary::ReplacedStaysCounted, 256);
    let Err(TestError::Fail(reason, _)) = found else { panic!("the planted bug was not found: {found:?}") };
    assert!(reason.message().contains("bytes"), "{reason}");
    // The same calls without the bug are fine, so that it is the bug that was found.
    let honest = run(Canary::None, 64);
    assert!(honest.is_ok(), "{honest:?}");
}
