//! Parameters: each bound with the last value that fits and the first that does not.

use cpc_ledger::{Params, RULES_VERSION, Settlement, Upgrade};
use cpc_primitives::codec::{Bounded, decode, encode};
use cpc_primitives::{Amount, ChainId, Gas, Height};

use crate::world::{key, params, share, units};

#[track_caller]
fn fits(bend: impl FnOnce(&mut Params)) {
    let mut params = params();
    bend(&mut params);
    assert_eq!(params.check(), Ok(()));
}

#[track_caller]
fn refused(bend: impl FnOnce(&mut Params), message: &str) {
    let mut params = params();
    bend(&mut params);
    let error = params.check().expect_err("refused");
    assert_eq!(error.to_string(), message);
}

#[test]
fn the_bounds_of_blocks_hold() {
    refused(|p| p.chain = ChainId(0), "chain is 0, it must be at least 1");
    refused(|p| p.version = 0, "version is 0, it must be at least 1");
    refused(|p| p.epoch_blocks = 1, "blocks.epoch_blocks is 1, it must be at least 2");
    refused(|p| p.seats_max = 0, "staking.seats_max is 0, it must be at least 1");
    fits(|p| p.seats_max = 256);
    refused(|p| p.seats_max = 257, "staking.seats_max is 257, it must be at most 256");
    refused(|p| p.interval_ms = 0, "blocks.interval_ms is 0, it must be at least 1");
    refused(|p| p.beacon_steps = 0, "blocks.beacon_steps is 0, it must be at least 1");
    fits(|p| p.beacon_steps = 1 << 26);
    refused(|p| p.beacon_steps = (1 << 26) + 1, "blocks.beacon_steps is 67108865, it must be at most 67108864");
    fits(|p| p.block_bytes_max = 66_048);
    refused(|p| p.block_bytes_max = 66_047, "blocks.bytes_max is 66047, it must be at least 66048");
    fits(|p| p.block_bytes_max = 8 << 20);
    refused(|p| p.block_bytes_max = (8 << 20) + 1, "blocks.bytes_max is 8388609, it must be at most 8388608");
    fits(|p| p.block_gas_max = Gas(46_000));
    refused(|p| p.block_gas_max = Gas(45_999), "blocks.gas_max is 45999, it must be at least 46000");
    fits(|p| p.block_gas_max = Gas(1_000_000_000));
    refused(|p| p.block_gas_max = Gas(1_000_000_001), "blocks.gas_max is 1000000001, it must be at most 1000000000");
    // The sum of both prices does not wrap.
    refused(
        |p| p.new_account_gas = Gas(u64::MAX),
        "blocks.gas_max is 1000000, it must be at least 18446744073709572615",
    );
}

// BLK-12: a network begins with rules that this program has; what it names ahead only rises.
#[test]
fn the_versions_of_the_rules_rise() {
    let ahead = |rows: &[(u64, u32)]| {
        let rows = rows.iter().map(|(height, version)| Upgrade { height: Height(*height), version: *version });
        Bounded::new(rows.collect()).expect("few")
    };
    let next = RULES_VERSION + 1;
    refused(|p| p.version = next, "version is 2, it must be at most 1");
    fits(|p| p.upgrades = ahead(&[(1, next), (2, next + 1), (u64::MAX, u32::MAX)]));
    refused(|p| p.upgrades = ahead(&[(0, 2)]), "upgrade[0].height is 0, it must be at least 1");
    refused(|p| p.upgrades = ahead(&[(5, 1)]), "upgrade[0].version is 1, it must be at least 2");
    refused(|p| p.upgrades = ahead(&[(5, 2), (5, 3)]), "upgrade[1].height is 5, it must be at least 6");
    refused(|p| p.upgrades = ahead(&[(5, 2), (6, 2)]), "upgrade[1].version is 2, it must be at least 3");

    let params = Params { upgrades: ahead(&[(5, 2), (9, 4)]), ..params() };
    let versions = [0, 4, 5, 8, 9, u64::MAX].map(|height| params.version_at(Height(height)));
    assert_eq!(versions, [1, 1, 2, 2, 4, 4]);
}

#[test]
fn the_bounds_of_money_hold() {
    let above = units((1 << 100) + 1);
    refused(|p| p.gas_price_min = Amount::ZERO, "fees.gas_price_min is 0, it must be at least 1");
    refused(
        |p| p.gas_price_min = above,
        "fees.gas_price_min is 1267650600228229401496703205377, it must be at most 1267650600228229401496703205376",
    );
    refused(|p| p.existential_minimum = Amount::ZERO, "fees.existential_minimum is 0, it must be at least 1");
    refused(|p| p.reward_halving_blocks = 0, "rewards.halving_blocks is 0, it must be at least 1");
    refused(
        |p| p.reward_initial = above,
        "rewards.initial is 1267650600228229401496703205377, it must be at most 1267650600228229401496703205376",
    );
    fits(|p| p.reward_initial = Amount::ZERO);
    // The rewards of all halvings are just below twice those of the first.
    fits(|p| (p.reward_initial, p.reward_halving_blocks) = (units(1 << 98), 2));
    refused(
        |p| (p.reward_initial, p.reward_halving_blocks) = (units(1 << 98), 3),
        "rewards.initial: the rewards would mint more than 1267650600228229401496703205376 units in all",
    );
    refused(
        |p| (p.reward_initial, p.reward_halving_blocks) = (units(1 << 40), u64::MAX),
        "rewards.initial: the rewards would mint more than 1267650600228229401496703205376 units in all",
    );
}

#[test]
fn all_rewards_add_up_to_what_the_check_counts() {
    let params = params();
    let every = (0..200).map(|height| params.reward(Height(height)).units()).sum::<u128>();
    assert_eq!(params.emission(), Some(units(every)));
}

#[test]
fn a_settlement_is_one_whole_and_paying_oneself_loses() {
    let split = |burn, worker, validators, treasury| Settlement {
        burn: share(burn),
        worker: share(worker),
        validators: share(validators),
        treasury: share(treasury),
    };
    fits(|p| p.settlement = split(10_000, 0, 0, 0));
    refused(
        |p| p.settlement = split(6_000, 2_500, 1_000, 499),
        "tasks.burn_bps, worker_bps, validators_bps and treasury_bps add up to 9999 basis points, one whole is 10000",
    );
    refused(
        |p| p.settlement = split(10_000, 10_000, 10_000, 10_000),
        "tasks.burn_bps, worker_bps, validators_bps and treasury_bps add up to 40000 basis points, one whole is 10000",
    );
    // 25 % and 10 % leave 55 % for the miners' cap: 9,166 basis points of the 60 % that burn, not 9,167.
    fits(|p| p.miners_cap = share(9_166));
    refused(
        |p| p.miners_cap = share(9_167),
        "rewards.miners_cap_bps: worker, validators and the miners' cap of the burn give back 90002000 of 90000000 hundred-millionths of a \
         reward: paying oneself for fake tasks would not lose enough",
    );
}

#[test]
fn a_committee_decides_by_more_than_two_thirds() {
    // Mainnet's committee, a devnet of four, a devnet of one.
    for (seats, quorum) in [(13, 9), (4, 3), (1, 1), (64, 43), (64, 64)] {
        fits(|p| (p.committee_seats, p.committee_quorum) = (seats, quorum));
    }
    refused(
        |p| (p.committee_seats, p.committee_quorum) = (13, 8),
        "tasks.committee_quorum is 8, it must be at least 9",
    );
    refused(|p| (p.committee_seats, p.committee_quorum) = (4, 5), "tasks.committee_quorum is 5, it must be at most 4");
    refused(|p| p.committee_seats = 65, "tasks.committee_seats is 65, it must be at most 64");
    refused(|p| p.committee_seats = 0, "tasks.committee_seats is 0, it must be at least 1");
}

#[test]
fn the_bounds_of_the_market_and_of_staking_hold() {
    refused(|p| p.reference_price = Amount::ZERO, "rewards.reference_price is 0, it must be at least 1");
    refused(
        |p| p.reward_per_job_min = units(u128::MAX),
        "tasks.reward_per_job_min is 340282366920938463463374607431768211455, it must be at most \
         1267650600228229401496703205376",
    );
    refused(|p| p.rotation_blocks = 0, "tasks.rotation_blocks is 0, it must be at least 1");
    refused(|p| p.lease_blocks = 0, "tasks.lease_blocks is 0, it must be at least 1");
    refused(|p| p.challenge_window_blocks = 0, "tasks.challenge_window_blocks is 0, it must be at least 1");
    refused(|p| p.bond_factor_spot = 0, "tasks.bond_factor_spot is 0, it must be at least 1");
    refused(|p| p.bond_factor = 0, "tasks.bond_factor is 0, it must be at least 1");
    refused(|p| p.evidence_epochs = 0, "staking.evidence_epochs is 0, it must be at least 1");
    // Three epochs, two of evidence, one of the challenge window.
    refused(|p| p.unbonding_epochs = 5, "staking.unbonding_epochs is 5, it must be at least 6");
    refused(|p| p.challenge_window_blocks = 5, "staking.unbonding_epochs is 6, it must be at least 7");
}

#[test]
fn the_treasury_is_spent_by_some_of_its_keys() {
    let keys = |numbers: &[u8]| Bounded::new(numbers.iter().map(|n| key(*n).public()).collect()).expect("few");
    fits(|p| (p.treasury_keys, p.treasury_threshold) = (keys(&[1, 2, 3]), 2));
    refused(
        |p| (p.treasury_keys, p.treasury_threshold) = (keys(&[1, 2, 3]), 0),
        "treasury.threshold is 0, it must be at least 1",
    );
    refused(
        |p| (p.treasury_keys, p.treasury_threshold) = (keys(&[1, 2, 3]), 4),
        "treasury.threshold is 4, it must be at most 3",
    );
    refused(|p| p.treasury_threshold = 1, "treasury.threshold is 1, it must be at most 0");
    let twice = format!("treasury.keys[2]: {} is named twice", key(1).public());
    refused(|p| (p.treasury_keys, p.treasury_threshold) = (keys(&[1, 2, 1]), 2), &twice);
}

#[test]
fn parameters_have_one_encoding() {
    let params = params();
    assert_eq!(decode::<Params>(&encode(&params), 4_096), Ok(params));
}
