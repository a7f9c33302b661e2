//! Many accounts that send more than there is room for: memory stays under its cap, and better payers still come in.

use std::collections::BTreeSet;

use cpc_mempool::{Limits, Mempool};
use cpc_primitives::{Gas, Height};

use crate::world::{address, counted, rich, tx};

/// A block has room for so many.
const BLOCK: usize = 40;

#[test]
fn ten_times_a_block_from_many_accounts_leaves_room_for_whoever_pays_better() {
    let bytes_max = 5 * BLOCK * counted();
    let mut pool = Mempool::new(Limits { bytes_max, ..Limits::default() });
    let mut kept = 0;
    for sender in 0..400 {
        kept += usize::from(pool.insert(tx(sender, 0, 10), &rich(0), Height(1)).is_ok());
        assert!(pool.stats().bytes <= bytes_max);
    }
    // Of equal payers the first stay: a flood cannot drive itself round.
    assert_eq!((kept, pool.stats().count), (5 * BLOCK, 5 * BLOCK));
    for honest in 1_000..1_040 {
        let evicted = pool.insert(tx(honest, 0, 11), &rich(0), Height(1)).expect("pays better").evicted;
        assert_eq!(evicted.len(), 1);
    }
    assert_eq!(pool.stats().bytes, bytes_max);
    let block = pool.candidates(BLOCK * tx(0, 0, 1).bytes(), Gas(u64::MAX), &BTreeSet::new());
    let honest: Vec<_> = (1_000..1_040).map(address).collect();
    assert_eq!(block.iter().map(|tx| tx.sender()).collect::<Vec<_>>(), honest);
}

#[test]
fn nonces_without_end_from_one_account_stay_within_its_own_limits() {
    let mut pool = Mempool::new(Limits { sender_count_max: 16, ..Limits::default() });
    for step in 0..200 {
        // In no order; what is refused is refused for want of room alone.
        if let Err(error) = pool.insert(tx(1, step * 7 % 200, 10), &rich(0), Height(1)) {
            assert!(error.is_for_want_of_room(), "{error}");
        }
        assert!(pool.stats().count <= 16);
    }
    assert_eq!(pool.ready(&address(1)), 16);
    pool.insert(tx(2, 0, 1), &rich(0), Height(1)).expect("room for others");
}
