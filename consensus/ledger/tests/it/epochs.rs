//! Rewards, and what the last block of an epoch does.

use cpc_ledger::{GenesisAccount, genesis_state, seats};
use cpc_primitives::codec::encode;
use cpc_primitives::state::StateKey;
use cpc_primitives::{Amount, Digest, Epoch, Height};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{ALICE, VALIDATORS, World, address, genesis_header, key, params, share, units, validator};

#[test]
fn the_reward_halves_until_nothing_is_left() {
    let params = params();
    // 1,001 units for heights 1 to 5, halved every six blocks.
    for (height, reward) in [(1, 1_001), (5, 1_001), (6, 500), (11, 500), (12, 250), (54, 1), (59, 1), (60, 0)] {
        assert_eq!(params.reward(Height(height)), units(reward), "{height}");
    }
    let mut largest = params;
    largest.reward_initial = Amount::MAX;
    largest.reward_halving_blocks = 1;
    for (height, reward) in [(100, 1), (101, 0), (127, 0), (128, 0), (u64::MAX, 0)] {
        assert_eq!(largest.reward(Height(height)), units(reward), "{height}");
    }
}

#[test]
fn a_block_adds_to_the_pot_and_burns_the_miners_pool() {
    let mut world = World::new();
    world.block(vec![]);
    let supply = world.supply();
    // 70 % of 1,001 is 700.7: the pot has the floor, the burn the rest.
    assert_eq!(supply.minted, units(1_001));
    assert_eq!(supply.pending_rewards, units(700));
    assert_eq!(supply.burned, units(301));
    assert_eq!(cpc_ledger::rewards(&world.state).expect("readable").pot, units(700));
}

#[test]
fn the_last_block_of_an_epoch_pays_by_stake_and_at_most_equally() {
    let mut world = World::new();
    world.run_to(2);
    assert_eq!((world.balance(11), world.balance(12)), (0, 0));
    world.run_to(3);
    // The pot of three blocks is 2,100. Stakes of 300 and 100: three quarters are capped at a half, one quarter stays.
    assert_eq!((world.balance(11), world.balance(12)), (1_050, 525));
    let supply = world.supply();
    assert_eq!(supply.pending_rewards, Amount::ZERO);
    assert_eq!(supply.burned, units(3 * 301 + 525));
    assert_eq!(supply.minted, units(3_003));
    // The next epoch begins with an empty pot.
    world.run_to(4);
    assert_eq!(world.supply().pending_rewards, units(700));
}

#[test]
fn a_pot_that_does_not_divide_burns_what_is_left() {
    let mut params = params();
    params.epoch_blocks = 2;
    params.unbonding_epochs = 7;
    params.reward_seats = share(10_000);
    params.reward_initial = units(100);
    let validators = [validator(11, 1), validator(12, 1), validator(13, 1)];
    let accounts = [GenesisAccount { address: address(ALICE), balance: units(10) }];
    let delta = genesis_state(&params, &accounts, &validators, Amount::ZERO, [None, None]).expect("a good genesis");
    let state = delta.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect();
    let mut world = World { tip: genesis_header(&params), params, state };
    world.run_to(1);
    assert_eq!([11, 12, 13].map(|number| world.balance(number)), [33, 33, 33]);
    assert_eq!(world.supply().burned, units(1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn a_pot_is_never_paid_beyond_itself(stakes in vec(prop_oneof![1u128..4, 1u128..1 << 90], 1..6), reward in 0u128..1 << 60) {
        let mut params = params();
        params.reward_initial = units(reward);
        let validators: Vec<_> = (11..).zip(&stakes).map(|(number, stake)| validator(number, *stake)).collect();
        let delta = genesis_state(&params, &[], &validators, Amount::ZERO, [None, None]).expect("a good genesis");
        let state = delta.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect();
        let mut world = World { tip: genesis_header(&params), params, state };
        world.run_to(3);

        let pot = 3 * (reward * 7 / 10);
        let (all, count) = (stakes.iter().sum::<u128>(), u128::try_from(stakes.len()).expect("few"));
        let paid: Vec<u128> = (11..).zip(&stakes).map(|(number, _)| world.balance(number)).collect();
        for (paid, stake) in paid.iter().zip(&stakes) {
            // By stake to the unit, unless the equal part is less. Both quotients fit 256 bits only as a product.
            let by_stake = units(pot).mul_div_floor(*stake, all).expect("at most the pot").units();
            prop_assert_eq!(*paid, by_stake.min(pot / count));
        }
        let burned = 3 * (reward - reward * 7 / 10) + pot - paid.iter().sum::<u128>();
        prop_assert_eq!(world.supply().burned, units(burned));
        cpc_ledger::recount(world.entries()).expect("all is there");
    }
}

#[test]
fn the_set_after_the_next_is_fixed_at_the_end_of_an_epoch() {
    let mut world = World::new();
    for height in 1..=24 {
        world.run_to(height);
        let last = height % 4 == 3;
        let epoch = height / 4;
        assert_eq!(world.tip.next_validators != Digest::ZERO, last, "{height}");
        let kept = |epoch| seats(&world.state, Epoch(epoch)).expect("readable").is_some();
        assert!(kept(epoch) && kept(epoch + 1), "{height}");
        assert_eq!(kept(epoch + 2), last, "{height}");
        // Two epochs of evidence: the seats of an epoch go with the last block of the second after it.
        for old in 0..epoch {
            assert_eq!(kept(old), old + 2 > epoch || (old + 2 == epoch && !last), "{old} at {height}");
        }
    }
}

#[test]
fn a_header_names_the_next_set_as_its_certificates_are_checked() {
    let mut world = World::new();
    world.run_to(3);
    let keys = VALIDATORS.iter().map(|(number, _)| key(number + 100).public()).collect();
    let set = cpc_light::ValidatorSet::new(keys).expect("two keys");
    assert_eq!(world.tip.next_validators, set.hash());
    let stored = seats(&world.state, Epoch(2)).expect("readable").expect("written");
    assert_eq!(stored.validators(), Ok(set));
}

#[test]
fn a_set_that_was_named_for_epoch_1_follows_itself() {
    let params = params();
    let validators = [validator(11, 300), validator(12, 100)];
    let named = [Some(vec![address(11)]), Some(vec![address(12)])];
    let delta = genesis_state(&params, &[], &validators, Amount::ZERO, named).expect("a good genesis");
    let state = delta.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect();
    let mut world = World { tip: genesis_header(&params), params, state };
    world.run_to(3);
    let at = |epoch| seats(&world.state, Epoch(epoch)).expect("readable").expect("written");
    assert_ne!(at(0), at(1));
    assert_eq!(at(1), at(2));
    // The whole pot of epoch 0 is its only seat's.
    assert_eq!((world.balance(11), world.balance(12)), (2_100, 0));
    // In epoch 1 the other one proposes.
    let error = world.build(world.context(), &[]).expect_err("refused").to_string();
    assert!(error.ends_with("holds no seat of epoch 1"), "{error}");
}

#[test]
fn a_pot_that_is_not_what_the_totals_say_stops_the_node() {
    let mut world = World::new();
    world.block(vec![]);
    world.state.insert(StateKey::rewards(), encode(&cpc_ledger::Rewards { pot: units(701) }));
    let fault = world.build(world.context(), &[]).expect_err("a fault").to_string();
    assert!(fault.contains("SUP-3") && fault.contains("0000701 CPC"), "{fault}");
}
