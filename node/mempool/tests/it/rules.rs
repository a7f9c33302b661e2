//! One table a clause: what is kept, what is refused and in which words, what goes, and what comes next.

use std::collections::BTreeSet;

use cpc_ledger::VerifiedTx;
use cpc_mempool::{Admitted, Arrival, Cursor, Limits, Mempool, Stats};
use cpc_primitives::state::Account;
use cpc_primitives::{Amount, Gas, Height, Nonce};

use crate::world::{AMOUNT, GAS, address, counted, limits, rich, tx};

const GAS_MAX: Gas = Gas(1_000_000_000);

/// A pool with these transactions: sender, nonce, price.
fn pool(limits: Limits, txs: &[(u16, u64, u128)]) -> Mempool {
    let mut pool = Mempool::new(limits);
    for (sender, nonce, price) in txs.iter().copied() {
        pool.insert(tx(sender, nonce, price), &rich(0), Height(1)).expect("kept");
    }
    pool
}

fn chosen(pool: &Mempool, bytes: usize, gas: Gas) -> Vec<VerifiedTx> {
    pool.candidates(bytes, gas, &BTreeSet::new())
}

/// Nonce and price of what the next block would get.
fn next(pool: &Mempool) -> Vec<(u64, u128)> {
    let chosen = chosen(pool, usize::MAX, GAS_MAX);
    chosen.iter().map(|tx| (tx.tx().body.nonce.0, tx.tx().body.gas_price.units())).collect()
}

#[track_caller]
fn refused(pool: &Mempool, (sender, nonce, price): (u16, u64, u128), account: Account, message: &str) {
    let mut tried = pool.clone();
    let error = tried.insert(tx(sender, nonce, price), &account, Height(1)).expect_err("refused");
    assert_eq!(error.to_string(), message);
    // It left no trace.
    assert_eq!(format!("{tried:?}"), format!("{pool:?}"));
}

fn new() -> Admitted {
    Admitted { arrival: Arrival::New, evicted: vec![] }
}

// MEM-1
#[test]
fn the_same_transaction_again_changes_nothing() {
    let mut pool = pool(limits(), &[(1, 0, 10)]);
    let before = format!("{pool:?}");
    let again = pool.insert(tx(1, 0, 10), &rich(0), Height(1)).expect("kept");
    assert_eq!(again, Admitted { arrival: Arrival::Known, evicted: vec![] });
    assert_eq!(format!("{pool:?}"), before);
    assert_eq!(pool.get(&tx(1, 0, 10).hash()), Some(&tx(1, 0, 10)));
    assert_eq!(pool.get(&tx(1, 1, 10).hash()), None);
}

// MEM-11
#[test]
fn the_best_payer_comes_first_and_nonces_stay_in_order() {
    // Sender 3 has a gap; the dear one of sender 1 comes right after the cheap one before it.
    let pool = pool(limits(), &[(1, 1, 90), (1, 0, 10), (2, 0, 50), (2, 1, 40), (3, 1, 99)]);
    assert_eq!(next(&pool), [(0, 50), (1, 40), (0, 10), (1, 90)]);
    // What a block that is not final has already is stepped over, and what comes after it is not.
    let taken = BTreeSet::from([tx(2, 0, 50).hash(), tx(1, 0, 10).hash()]);
    let rest = pool.candidates(tx(1, 0, 1).bytes(), GAS_MAX, &taken);
    assert_eq!(rest, [tx(2, 1, 40)]);
}

#[test]
fn of_equal_payers_the_first_to_come_is_first() {
    let pool = pool(limits(), &[(3, 0, 10), (1, 0, 10), (2, 0, 10)]);
    let order: Vec<_> = chosen(&pool, usize::MAX, GAS_MAX).iter().map(VerifiedTx::sender).collect();
    assert_eq!(order, [address(3), address(1), address(2)]);
}

#[test]
fn a_block_gets_no_more_bytes_and_gas_than_it_has() {
    let pool = pool(limits(), &[(1, 0, 10), (2, 0, 9), (2, 1, 9), (3, 0, 8)]);
    let one = tx(1, 0, 10).bytes();
    for (bytes, gas, count) in [
        (0, GAS_MAX.0, 0),
        (one - 1, GAS_MAX.0, 0),
        (one, GAS_MAX.0, 1),
        (4 * one - 1, GAS_MAX.0, 3),
        (usize::MAX, GAS - 1, 0),
        (usize::MAX, GAS, 1),
        (usize::MAX, 3 * GAS - 1, 2),
        (usize::MAX, u64::MAX, 4),
    ] {
        assert_eq!(chosen(&pool, bytes, Gas(gas)).len(), count, "{bytes} bytes, {gas} gas");
    }
}

// MEM-3
#[test]
fn a_nonce_is_one_that_the_account_can_use_soon() {
    let mut pool = pool(limits(), &[]);
    refused(&pool, (1, 4, 10), rich(5), "the nonce was used already: expected 5, found 4");
    refused(&pool, (1, 14, 10), rich(5), "the nonce 14 is more than 8 beyond the account's next one, 5");
    let last = "no nonce follows 18446744073709551615, so that the account could never use it";
    refused(&pool, (1, u64::MAX, 10), rich(u64::MAX), last);
    assert_eq!(pool.insert(tx(1, 13, 10), &rich(5), Height(1)), Ok(new()));
    // What was settled counts, also where the account was read before it.
    pool.settle(&address(1), Nonce(7));
    refused(&pool, (1, 6, 10), rich(5), "the nonce was used already: expected 7, found 6");
}

// MEM-4
#[test]
fn a_sender_keeps_no_more_waiting_than_it_can_pay() {
    let cost = u128::from(GAS) * 10 + AMOUNT;
    let account = |units| Account { balance: Amount::new(units), nonce: Nonce(0) };
    let mut pool = pool(limits(), &[(1, 0, 10), (1, 1, 10)]);
    let message = |units, cost| {
        let (balance, cost) = (Amount::new(units), Amount::new(cost));
        format!("the account has {balance} CPC, with this one its waiting transactions could cost {cost} CPC")
    };
    refused(&pool, (1, 2, 10), account(3 * cost - 1), &message(3 * cost - 1, 3 * cost));
    let dear = 2 * cost + u128::from(GAS) * 2;
    refused(&pool, (1, 1, 12), account(dear - 1), &message(dear - 1, dear));
    refused(&pool, (1, 2, 1 << 99), rich(0), &message(1 << 90, Amount::MAX.units()));
    assert_eq!(pool.insert(tx(1, 2, 10), &account(3 * cost), Height(1)), Ok(new()));

    // Money that has gone elsewhere takes the last ones with it.
    let gone = pool.refresh(&address(1), &account(2 * cost - 1));
    assert_eq!(gone, [tx(1, 1, 10).hash(), tx(1, 2, 10).hash()]);
    assert_eq!(next(&pool), [(0, 10)]);
}

// MEM-5
#[test]
fn a_replacement_pays_a_tenth_more() {
    let mut pool = pool(limits(), &[(1, 0, 100), (2, 0, 5)]);
    let message = |minimum: u128, found: u128| {
        let (minimum, found) = (Amount::new(minimum), Amount::new(found));
        format!(
            "another transaction with this nonce waits: to take its place pay at least {minimum} CPC a gas, found {found} CPC"
        )
    };
    refused(&pool, (1, 0, 109), rich(0), &message(110, 109));
    // A tenth of five is rounded up.
    refused(&pool, (2, 0, 4), rich(0), &message(6, 4));
    let replaced = pool.insert(tx(1, 0, 110), &rich(0), Height(1)).expect("kept");
    assert_eq!(replaced, Admitted { arrival: Arrival::Replaced(tx(1, 0, 100).hash()), evicted: vec![] });
    assert_eq!(pool.get(&tx(1, 0, 100).hash()), None);
    assert_eq!(pool.stats(), Stats { count: 2, ready: 2, senders: 2, bytes: 2 * counted() });
}

// MEM-6
#[test]
fn where_there_is_no_room_the_cheapest_last_one_goes() {
    let full = [(1, 0, 50), (1, 1, 20), (2, 0, 30), (3, 0, 10), (3, 1, 90), (4, 0, 40)];
    let mut pool = pool(limits(), &full);
    let bytes = 6 * counted();
    let message = format!("6 transactions of {bytes} bytes wait, and not enough of them are worth less than this one");
    // The last one of sender 3 pays 90, but comes after one that pays 10.
    refused(&pool, (5, 0, 10), rich(0), &message);
    // One behind a gap makes no room, whatever it pays.
    refused(&pool, (5, 1, 1_000), rich(0), &message);
    // Nobody makes room for a transaction of his own.
    refused(&pool, (3, 2, 1_000), rich(0), &message);
    let evicted = pool.insert(tx(5, 0, 11), &rich(0), Height(1)).expect("kept").evicted;
    assert_eq!(evicted, [tx(3, 1, 90).hash()]);
    let evicted = pool.insert(tx(5, 1, 12), &rich(0), Height(1)).expect("kept").evicted;
    assert_eq!(evicted, [tx(3, 0, 10).hash()]);
    assert_eq!(next(&pool), [(0, 50), (0, 40), (0, 30), (1, 20), (0, 11), (1, 12)]);
}

#[test]
fn what_waits_behind_a_gap_goes_before_all_that_is_ready() {
    let mut pool = pool(limits(), &[(1, 0, 1), (2, 1, 1_000), (3, 0, 1), (4, 0, 1), (5, 0, 1), (5, 2, 500)]);
    assert_eq!(pool.stats().ready, 4);
    let evicted = pool.insert(tx(6, 0, 1), &rich(0), Height(1)).expect("kept").evicted;
    assert_eq!(evicted, [tx(5, 2, 500).hash()]);
    let evicted = pool.insert(tx(7, 0, 1), &rich(0), Height(1)).expect("kept").evicted;
    assert_eq!(evicted, [tx(2, 1, 1_000).hash()]);
    let error = pool.insert(tx(8, 0, 1), &rich(0), Height(1)).expect_err("refused");
    assert!(error.is_for_want_of_room(), "{error}");
}

// MEM-2
#[test]
fn the_cap_on_bytes_holds_to_the_byte() {
    let one = counted();
    for (bytes_max, kept) in [(3 * one, 3), (3 * one - 1, 2), (4 * one - 1, 3)] {
        let mut pool = Mempool::new(Limits { bytes_max, ..limits() });
        let taken = (0..5).filter(|sender| pool.insert(tx(*sender, 0, 10), &rich(0), Height(1)).is_ok()).count();
        assert_eq!((taken, pool.stats().count, pool.stats().bytes), (kept, kept, kept * one), "{bytes_max}");
    }
}

// MEM-7
#[test]
fn a_sender_has_its_own_limits_and_a_nearer_nonce_goes_before_a_later_one() {
    let mut full = pool(limits(), &[(1, 1, 10), (1, 2, 10), (1, 3, 10), (1, 4, 10)]);
    let message = "4 transactions of this sender wait, and none of them comes after this one";
    refused(&full, (1, 5, 1_000), rich(0), message);
    let evicted = full.insert(tx(1, 0, 10), &rich(0), Height(1)).expect("kept").evicted;
    assert_eq!(evicted, [tx(1, 4, 10).hash()]);
    assert_eq!(full.ready(&address(1)), 4);

    let sender_bytes_max = 2 * counted();
    let pool = pool(Limits { sender_bytes_max, ..limits() }, &[(1, 0, 10), (1, 1, 10)]);
    let found = 3 * counted();
    let message =
        format!("this sender's waiting transactions have at most {sender_bytes_max} bytes, with this one {found}");
    refused(&pool, (1, 2, 10), rich(0), &message);
}

// MEM-8
#[test]
fn what_has_waited_too_long_goes() {
    let mut pool = Mempool::new(limits());
    for (sender, since) in [(1, 10), (2, 12), (3, 11)] {
        pool.insert(tx(sender, 0, 10), &rich(0), Height(since)).expect("kept");
    }
    assert_eq!(pool.expire(Height(14)), []);
    assert_eq!(pool.expire(Height(15)), [tx(1, 0, 10).hash()]);
    // A height that was heard of counts also for what comes with an older one.
    assert_eq!(pool.expire(Height(16)), []);
    assert_eq!(pool.expire(Height(17)), [tx(2, 0, 10).hash(), tx(3, 0, 10).hash()]);
    assert_eq!(pool.stats(), Stats::default());
}

// MEM-9
#[test]
fn what_a_block_has_used_comes_back_where_the_block_does_not_become_final() {
    let mut pool = pool(limits(), &[(1, 0, 10), (1, 1, 9), (1, 2, 8)]);
    pool.settle(&address(1), Nonce(2));
    assert_eq!(next(&pool), [(2, 8)]);
    for (nonce, price) in [(0, 10), (1, 9)] {
        assert_eq!(pool.reinsert(tx(1, nonce, price), &rich(0), Height(2)), Ok(new()));
    }
    assert_eq!(next(&pool), [(0, 10), (1, 9), (2, 8)]);
    pool.settle(&address(1), Nonce(3));
    assert_eq!(pool.stats(), Stats::default());
}

#[test]
fn what_is_removed_leaves_a_gap_until_it_is_filled() {
    let mut pool = pool(limits(), &[(1, 0, 10), (1, 1, 9), (1, 2, 8)]);
    assert_eq!(pool.remove(&tx(1, 1, 9).hash()), Some(tx(1, 1, 9)));
    assert_eq!(pool.remove(&tx(1, 1, 9).hash()), None);
    assert_eq!((pool.ready(&address(1)), pool.stats().ready, pool.stats().count), (1, 1, 2));
    pool.insert(tx(1, 1, 7), &rich(0), Height(1)).expect("kept");
    assert_eq!(pool.ready(&address(1)), 3);
}

// MEM-10
#[test]
fn arrivals_are_read_once_in_their_order() {
    let mut pool = pool(limits(), &[(2, 0, 1), (1, 0, 90), (3, 4, 5)]);
    let one = tx(1, 0, 1).bytes();
    let hashes = |found: Vec<&VerifiedTx>| found.iter().map(|tx| tx.hash()).collect::<Vec<_>>();
    let (found, cursor) = pool.since(Cursor::default(), 2 * one);
    assert_eq!(hashes(found), [tx(2, 0, 1).hash(), tx(1, 0, 90).hash()]);
    pool.remove(&tx(3, 4, 5).hash());
    pool.insert(tx(4, 0, 1), &rich(0), Height(1)).expect("kept");
    // At least one comes, whatever there is room for.
    let (found, cursor) = pool.since(cursor, 0);
    assert_eq!(hashes(found), [tx(4, 0, 1).hash()]);
    let (found, same) = pool.since(cursor, usize::MAX);
    assert_eq!((hashes(found), same), (vec![], cursor));
}
