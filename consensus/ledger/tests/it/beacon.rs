//! The beacon: which element of a hash chain each block has to open, and what it makes of the randomness of the chain.

use cpc_ledger::{BEACON_GAP_MAX, BeaconDue, Context, Opened, Params, beacon, beacon_due, opened, seats};
use cpc_primitives::codec::encode;
use cpc_primitives::hash_chain::HashChain;
use cpc_primitives::state::StateKey;
use cpc_primitives::{Digest, Domain, Epoch, TimeMs, View};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;

use crate::world::{VALIDATORS, World, address, chain_of, key, params};

const FIRST: u8 = VALIDATORS[0].0;
const SECOND: u8 = VALIDATORS[1].0;

fn with(bend: impl FnOnce(&mut Params)) -> World {
    let mut params = params();
    // Long enough for the shortest epochs.
    params.unbonding_epochs = 7;
    bend(&mut params);
    World::with(params, &[])
}

/// What is due of the first validator, whose seat is in every epoch and whose chain is opened up to an index.
fn due(world: &World, open: u32, epoch: u64, view: u64) -> Result<BeaconDue, String> {
    let mut state = world.state.clone();
    let first = seats(&state, Epoch(0)).expect("readable").expect("written");
    state.insert(StateKey::seats(Epoch(epoch)), encode(&first));
    let opened = Opened { first: Epoch(0), index: open, element: Digest::ZERO };
    state.insert(StateKey::opened(&address(FIRST)), encode(&opened));
    let key = key(FIRST + 100).public();
    beacon_due(&world.params, &state, &key, Epoch(epoch), View(view)).map_err(|error| error.to_string())
}

// BEA-3, BEA-4: four blocks an epoch make eight views with elements.
#[test]
fn each_view_of_an_epoch_has_its_own_element_up_to_twice_the_blocks() {
    let world = World::new();
    let element = |index| Ok(BeaconDue::Element { index });
    for (epoch, view, expected) in [(0, 1, 1), (0, 8, 8), (1, 1, 9), (1, 8, 16), (2, 1, 17), (63, 8, 512)] {
        assert_eq!(due(&world, 0, epoch, view), element(expected), "view {view} of epoch {epoch}");
    }
    for (epoch, view) in [(0, 9), (7, 9), (63, 9), (64, u64::MAX)] {
        assert_eq!(due(&world, 0, epoch, view), Ok(BeaconDue::PastViews { views_max: 8 }), "{view} of {epoch}");
    }
    for (epoch, view) in [(64, 1), (65, 8), (u64::MAX, 1)] {
        assert_eq!(due(&world, 0, epoch, view), Ok(BeaconDue::Exhausted { steps: 512 }), "{view} of {epoch}");
    }
}

#[test]
fn numbers_beyond_any_chain_do_not_wrap() {
    let world = with(|params| params.epoch_blocks = u64::MAX);
    assert_eq!(due(&world, 0, 0, 512), Ok(BeaconDue::Element { index: 512 }));
    for (epoch, view) in [(0, 513), (0, u64::MAX), (1, 1), (u64::MAX, u64::MAX)] {
        assert_eq!(due(&world, 0, epoch, view), Ok(BeaconDue::Exhausted { steps: 512 }), "{view} of {epoch}");
    }
}

// BEA-3: no gap is longer, whatever a seat has slept through.
#[test]
fn a_long_gap_is_closed_in_steps() {
    let world = with(|params| params.beacon_steps = 1 << 26);
    let element = |index| Ok(BeaconDue::Element { index });
    let long = u64::from(BEACON_GAP_MAX) / 8;
    assert_eq!(due(&world, 0, long - 1, 8), element(BEACON_GAP_MAX));
    assert_eq!(due(&world, 0, long, 1), element(BEACON_GAP_MAX));
    assert_eq!(due(&world, 1, long, 1), element(BEACON_GAP_MAX + 1));
    assert_eq!(due(&world, 2, long, 1), element(BEACON_GAP_MAX + 1));
    assert_eq!(due(&world, 5, 1 << 23, 0), element(BEACON_GAP_MAX + 5));
    assert_eq!(due(&world, 5, 1 << 23, 1), Ok(BeaconDue::Exhausted { steps: 1 << 26 }));
}

#[test]
fn a_seat_that_slept_catches_up_block_by_block() {
    let chain = HashChain::build(Digest([FIRST; 32]), 1 << 18);
    let mut world = with(|params| {
        params.epoch_blocks = 1 << 20;
        params.beacon_steps = 1 << 18;
    });
    let end = Opened { first: Epoch(0), index: 0, element: chain.end() };
    world.state.insert(StateKey::opened(&address(FIRST)), encode(&end));
    let mut indices = Vec::new();
    for view in 200_000..200_006 {
        let key = key(FIRST + 100).public();
        let due = beacon_due(&world.params, &world.state, &key, Epoch(0), View(view)).expect("a seat");
        let found = due.preimage(&chain).expect("a long chain");
        let (time, parent_view) = (TimeMs(world.tip.time.0 + 1), world.tip.view);
        let context = Context { epoch: Epoch(0), view: View(view), parent_view, time, proposer: key, beacon: found };
        let header = world.build(context, &[]).expect("a good block");
        let applied = world.check(&header, &[]).expect("valid");
        world.adopt(applied);
        let last = opened(&world.state, &address(FIRST)).expect("readable").expect("written");
        assert_eq!(last, Opened { first: Epoch(0), index: last.index, element: found });
        indices.push(last.index);
    }
    assert_eq!(indices, [65_536, 131_072, 196_608, 200_003, 200_004, 200_005]);
}

#[test]
fn whoever_holds_no_seat_has_nothing_to_open() {
    let world = World::new();
    let stranger = key(FIRST).public();
    let error = beacon_due(&world.params, &world.state, &stranger, Epoch(0), View(1)).expect_err("no seat");
    assert_eq!(error.to_string(), format!("the proposer {stranger} holds no seat of epoch 0"));
}

// BEA-5: what no block of a checked chain can lead to is this node's own trouble.
#[test]
fn an_element_that_is_open_already_stops_the_node() {
    let world = World::new();
    let fault = due(&world, 3, 0, 3).expect_err("a fault");
    assert!(fault.contains("BEA-3: element 3 is due in view 3 of epoch 0, element 3 is open"), "{fault}");

    let mut state = world.state.clone();
    let later = Opened { first: Epoch(1), index: 0, element: Digest::ZERO };
    state.insert(StateKey::opened(&address(FIRST)), encode(&later));
    let key = key(FIRST + 100).public();
    let fault = beacon_due(&world.params, &state, &key, Epoch(0), View(1)).expect_err("a fault").to_string();
    assert!(fault.contains("BEA-5: a hash chain that begins in epoch 1 is opened in epoch 0"), "{fault}");
}

#[track_caller]
fn refused(world: &World, context: Context, message: &str) {
    let text = world.build(context, &[]).expect_err("refused").to_string();
    assert!(text.starts_with(message), "{text}");
}

#[test]
fn nothing_but_the_element_that_is_due_is_taken() {
    let mut world = World::new();
    world.run_to(5);
    let context = world.context();
    let element = |seat, index| chain_of(seat).element(index).expect("a long chain");
    assert_eq!(context.beacon, element(FIRST, 11));
    let wrong = "the beacon is not element 11 of the proposer's hash chain: the way to its element 10: expected ";
    for beacon in [element(FIRST, 0), element(FIRST, 10), element(FIRST, 12), element(SECOND, 11), Digest([255; 32])] {
        refused(&world, Context { beacon, ..context }, wrong);
    }
    let missing = "the beacon is zero bytes, but element 11 of the proposer's hash chain is due";
    refused(&world, Context { beacon: Digest::ZERO, ..context }, missing);
    // The other seat has opened nothing, so that its way is longer.
    let other = world.context_of(SECOND, 0);
    assert_eq!(other.beacon, element(SECOND, 11));
    let wrong = "the beacon is not element 11 of the proposer's hash chain: the way to its element 0: expected ";
    refused(&world, Context { beacon: element(FIRST, 11), ..other }, wrong);
    world.build(other, &[]).expect("a good block");
}

#[test]
fn where_no_element_is_due_only_zero_bytes_are_taken() {
    let mut world = World::new();
    world.run_to(5);
    let late = world.context_of(FIRST, 6);
    assert_eq!((late.view, late.beacon), (View(9), Digest::ZERO));
    let next = chain_of(FIRST).element(17).expect("a long chain");
    let message = "an epoch has beacon elements for 8 views: in view 9 it must be zero bytes, found ";
    refused(&world, Context { beacon: next, ..late }, message);
    world.build(late, &[]).expect("a good block");

    world.params.beacon_steps = 10;
    let ended = world.context();
    assert_eq!(ended.beacon, Digest::ZERO);
    let next = chain_of(FIRST).element(11).expect("a long chain");
    let message = "the proposer's hash chain ends after 10 elements: the beacon must be zero bytes, found ";
    refused(&world, Context { beacon: next, ..ended }, message);
    world.build(ended, &[]).expect("a good block");
}

// BEA-1: the digest of the parent's beacon and the field, whatever the field holds.
#[test]
fn every_block_moves_the_beacon() {
    let mut world = World::new();
    let mut expected = Digest::ZERO;
    for skipped in [0, 6, 0, 0, 9] {
        assert_eq!(beacon(&world.state), Ok(expected));
        let context = world.context_of(FIRST, skipped);
        let header = world.build(context, &[]).expect("a good block");
        let applied = world.check(&header, &[]).expect("valid");
        world.adopt(applied);
        let body = [expected.0, header.beacon.0].concat();
        expected = Domain::Beacon.hash_bytes(&body);
        assert_eq!(beacon(&world.state), Ok(expected));
    }
}

/// One block of a random chain: who makes it, after how many views without one, and what is tried in its place first.
#[derive(Clone, Copy, Debug)]
struct Step {
    proposer: u8,
    skipped: u64,
    wrong: Wrong,
}

#[derive(Clone, Copy, Debug)]
enum Wrong {
    Zero,
    Ones,
    /// The proposer's element of another index.
    Index(u32),
    /// The other seat's element of the right index.
    Seat,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let skipped = prop_oneof![6 => Just(0), 3 => 1u64..4, 1 => 4u64..20];
    let wrong = prop_oneof![Just(Wrong::Zero), Just(Wrong::Ones), (0u32..60).prop_map(Wrong::Index), Just(Wrong::Seat)];
    let step = (select(vec![FIRST, SECOND]), skipped, wrong);
    let step = step.prop_map(|(proposer, skipped, wrong)| Step { proposer, skipped, wrong });
    prop::collection::vec(step, 1..30)
}

/// The rule once more, from the spec alone: what is open of each chain, and the beacon.
struct Model {
    epoch_blocks: u64,
    steps: u64,
    beacon: Vec<u8>,
    open: [(u8, u64, Digest); 2],
}

impl Model {
    /// The index that is due, or none where zero bytes are.
    fn due(&self, epoch: u64, view: u64) -> Option<u64> {
        let index = epoch * 2 * self.epoch_blocks + view;
        (view <= 2 * self.epoch_blocks && index <= self.steps).then_some(index)
    }
}

fn agree(epoch_blocks: u64, beacon_steps: u32, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut world = with(|params| (params.epoch_blocks, params.beacon_steps) = (epoch_blocks, beacon_steps));
    let ends = [FIRST, SECOND].map(|seat| (seat, 0, chain_of(seat).end()));
    let mut model = Model { epoch_blocks, steps: beacon_steps.into(), beacon: vec![0; 32], open: ends };
    let element = |seat, index: u64| chain_of(seat).element(u32::try_from(index).expect("small")).expect("long");
    for Step { proposer, skipped, wrong } in steps.iter().copied() {
        let context = world.context_of(proposer, skipped);
        let index = model.due(context.epoch.0, context.view.0);
        let right = index.map_or(Digest::ZERO, |index| element(proposer, index));
        let other = if proposer == FIRST { SECOND } else { FIRST };
        let wrong = match wrong {
            Wrong::Zero => Digest::ZERO,
            Wrong::Ones => Digest([1; 32]),
            Wrong::Index(index) => element(proposer, index.into()),
            Wrong::Seat => element(other, index.unwrap_or(9)),
        };
        let tried = world.build(Context { beacon: wrong, ..context }, &[]);
        prop_assert_eq!(tried.is_ok(), wrong == right, "{:?} where {:?} is due", wrong, right);

        let header = world.build(Context { beacon: right, ..context }, &[]);
        let header = header.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let applied = world.check(&header, &[]).map_err(|error| TestCaseError::fail(error.to_string()))?;
        world.adopt(applied);
        model.beacon.extend(right.0);
        model.beacon = Domain::Beacon.hash_bytes(&model.beacon).0.to_vec();
        if let Some(index) = index {
            let mine = model.open.iter_mut().find(|(seat, ..)| *seat == proposer).expect("two seats");
            *mine = (proposer, index, right);
        }
        prop_assert_eq!(beacon(&world.state).expect("readable").0.to_vec(), model.beacon.clone());
        for (seat, index, element) in model.open {
            let found = opened(&world.state, &address(seat)).expect("readable").expect("written");
            let index = u32::try_from(index).expect("small");
            prop_assert_eq!(found, Opened { first: Epoch(0), index, element });
        }
    }
    cpc_ledger::recount(world.entries()).expect("all is there");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn blocks_open_exactly_what_the_spec_says(epoch_blocks in 2u64..6, beacon_steps in 1u32..80, steps in steps()) {
        agree(epoch_blocks, beacon_steps, &steps)?;
    }
}
