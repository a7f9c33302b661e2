//! The frame of a block: one table a field of its header.

use cpc_ledger::{
    BLOCK_OVERHEAD_BYTES, BlockError, BlockReject, Context, RULES_VERSION, Session, Upgrade, VerifiedTx, apply,
};
use cpc_primitives::tx::TxBody;
use cpc_primitives::{Block, BlockId, Bounded, ChainId, Digest, Epoch, Fault, Gas, Header, Height, TimeMs, View};

use crate::world::{ALICE, BOB, State, VALIDATORS, World, address, body, key, params, send, transfer, verified};

/// A world of some blocks, with the next block of one transfer and its header.
pub(crate) fn next_block(height: u64) -> (World, Header, Vec<VerifiedTx>) {
    let mut world = World::new();
    world.run_to(height);
    let txs = vec![verified(send(ALICE, 0, BOB, 1))];
    let header = world.build(world.context(), &txs).expect("a good block");
    (world, header, txs)
}

/// A block that is valid but for one bent field of its header must be refused with this sentence.
#[track_caller]
fn refused(bend: impl FnOnce(&mut Header), message: &str) {
    let (world, mut header, txs) = next_block(5);
    let honest = header.clone();
    bend(&mut header);
    let error = world.check(&header, &txs).expect_err("refused");
    assert!(matches!(error, BlockError::Reject(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with(message), "{text}");
    // The refused block left nothing behind: the honest one is still valid.
    world.check(&honest, &txs).expect("valid");
}

#[test]
fn every_field_of_a_header_is_demanded() {
    let zero = Digest::ZERO;
    let one = Digest([1; 32]);
    refused(|h| h.version = 2, "the version of the rules: expected 1, found 2");
    refused(|h| h.chain = ChainId(8), "the chain: expected 7, found 8");
    refused(|h| h.height = Height(7), "the height: expected 6, found 7");
    refused(|h| h.epoch = Epoch(2), "the epoch: expected 1, found 2");
    refused(|h| h.parent_view = View(1), "the parent's view: expected 2, found 1");
    refused(|h| h.view = View(2), "view 2 is not after the parent's view 2");
    refused(|h| h.view = View(0), "view 0 is not after the parent's view 2");
    refused(|h| h.parent = BlockId(zero), "the parent: expected ");
    refused(|h| h.time = TimeMs(3_500), "time 3500 ms is not after the parent's time 3500 ms");
    refused(|h| h.time = TimeMs(0), "time 0 ms is not after the parent's time 3500 ms");
    refused(|h| h.proposer = key(ALICE).public(), &format!("the proposer {} holds no seat", key(ALICE).public()));
    refused(
        |h| h.beacon = one,
        "the beacon is not element 11 of the proposer's hash chain: the way to its element 10: ",
    );
    refused(|h| h.beacon = zero, "the beacon is zero bytes, but element 11 of the proposer's hash chain is due");
    refused(|h| h.tx_root = zero, "the root over the transactions: expected ");
    refused(|h| h.state_root = zero, "the root of the state: expected ");
    refused(|h| h.compute_root = zero, "the root over results and settlements: expected ");
    refused(|h| h.gas_used = Gas(20_999), "the gas used: expected 21000, found 20999");
    refused(|h| h.next_validators = one, &format!("the hash of the next validators: expected {zero}, found {one}"));
}

#[test]
fn one_millisecond_and_one_view_are_enough_and_views_may_be_skipped() {
    let (world, _, txs) = next_block(5);
    for (skipped, time) in [(0, 3_501), (4, 3_502), (1 << 60, u64::MAX)] {
        let context = Context { time: TimeMs(time), ..world.context_of(VALIDATORS[0].0, skipped) };
        assert_eq!(context.view, View(3 + skipped));
        let header = world.build(context, &txs).expect("a good block");
        world.check(&header, &txs).expect("valid");
    }
}

#[test]
fn every_seat_may_propose_and_is_paid_for_it() {
    let (world, _, txs) = next_block(5);
    let (second, _) = VALIDATORS[1];
    let header = world.build(world.context_of(second, 0), &txs).expect("a good block");
    let applied = world.check(&header, &txs).expect("valid");
    let state = world.after(applied.delta());
    let account = cpc_ledger::account(&state, &address(second)).expect("readable").expect("an account");
    assert_eq!(account.balance.units(), world.balance(second) + 37_800);
}

#[test]
fn views_begin_anew_with_an_epoch() {
    let mut world = World::new();
    world.run_to(3);
    assert_eq!((world.tip.epoch, world.tip.view), (Epoch(0), View(3)));
    let context = world.context();
    assert_eq!((context.epoch, context.parent_view, context.view), (Epoch(1), View(0), View(1)));
    world.block(vec![]);
    let stale = Context { parent_view: View(3), view: View(4), ..context };
    let mut before = World::new();
    before.run_to(3);
    let error = before.build(stale, &[]).expect_err("refused");
    assert_eq!(error.to_string(), "the parent's view: expected 0, found 3");
}

#[test]
fn a_check_against_another_header_names_what_differs() {
    // Only a caller that mixes up two blocks can get here: the context was taken from the first header.
    let (world, header, txs) = next_block(5);
    type Bend = fn(&mut Header);
    let cases: [(Bend, &str); 4] = [
        (|h| h.view = View(9), "the view: expected 3, found 9"),
        (|h| h.time = TimeMs(9_999), "the time: expected 4000, found 9999"),
        (|h| h.proposer = key(ALICE).public(), "the proposer: expected "),
        (|h| h.beacon = Digest([1; 32]), "the beacon: expected "),
    ];
    for (bend, message) in cases {
        let executed = apply(&world.params, &world.state, &world.tip, &header, &txs).expect("valid");
        let mut other = header.clone();
        bend(&mut other);
        let text = executed.check(&other, header.state_root).expect_err("refused").to_string();
        assert!(text.starts_with(message), "{text}");
    }
}

#[test]
fn nothing_follows_the_largest_height() {
    let mut world = World::new();
    world.tip.height = Height(u64::MAX);
    let context = Context { view: View(9), ..World::new().context() };
    let error = Session::begin(&world.params, &world.state, &world.tip, context).map(|_| ()).expect_err("refused");
    assert_eq!(error, BlockReject::LastHeight { parent: Height(u64::MAX) }.into());
}

#[test]
fn one_refused_transaction_makes_the_block_invalid() {
    let (world, mut header, mut txs) = next_block(5);
    let stale = verified(send(ALICE, 0, BOB, 1));
    txs.push(stale.clone());
    header.tx_root = cpc_primitives::block::tx_root(txs.iter().map(VerifiedTx::hash));
    let error = world.check(&header, &txs).expect_err("refused").to_string();
    assert_eq!(error, format!("transaction 1 ({}): the nonce: expected 1, found 0", stale.hash()));
}

#[test]
fn the_order_of_transactions_is_part_of_the_block() {
    let mut world = World::new();
    let txs = [send(ALICE, 0, BOB, 1), send(BOB, 0, ALICE, 1)].map(verified);
    let header = world.build(world.context(), &txs).expect("a good block");
    let swapped = [txs[1].clone(), txs[0].clone()];
    let error = world.check(&header, &swapped).expect_err("refused").to_string();
    assert!(error.starts_with("the root over the transactions"), "{error}");
    world.block(vec![]);
}

#[test]
fn a_block_has_room_for_its_gas_and_not_for_one_more() {
    let world = World::new();
    let mut session = world.session();
    let with = |nonce, limit| {
        verified(TxBody { gas_limit: Gas(limit), ..body(nonce, transfer(address(BOB), 1)) }.sign(&key(ALICE)))
    };
    session.push(&with(0, 1_000_000)).expect("all of the block's gas may be offered");
    // Only what was used counts afterwards.
    assert_eq!(session.gas_used(), Gas(21_000));
    let error = session.push(&with(1, 979_001)).expect_err("refused").to_string();
    assert_eq!(error, "a gas limit of 979001 does not fit the block: 21000 of 1000000 are used");
    session.push(&with(1, 979_000)).expect("fits");
}

#[test]
fn a_block_has_room_for_its_bytes_and_not_for_one_more() {
    let one = verified(send(ALICE, 0, BOB, 1)).bytes();
    let (room, sent) = (400 * one + BLOCK_OVERHEAD_BYTES, 400);
    for (bytes, fits) in [(room, sent), (room - 1, sent - 1), (room + one - 1, sent)] {
        let mut params = params();
        params.block_bytes_max = u32::try_from(bytes).expect("small");
        params.block_gas_max = Gas(1_000_000_000);
        let mut world = World::with(params, &[(ALICE, 1_000_000_000)]);
        let txs: Vec<_> = (0..fits).map(|nonce| send(ALICE, nonce, ALICE, 1)).collect();
        let mut session = world.session();
        for tx in &txs {
            session.push(&verified(tx.clone())).expect("fits");
        }
        let error = session.push(&verified(send(ALICE, fits, ALICE, 1))).expect_err("refused");
        assert!(matches!(error, cpc_ledger::TxError::Reject(reject) if reject.is_block_full()), "{error}");
        let text = format!("{one} bytes do not fit the block: {} of {bytes} are used", session.bytes());
        assert_eq!(error.to_string(), text);

        // What the session counts is what the block has.
        let counted = session.bytes();
        drop(session);
        world.block(txs.clone());
        let block = Block { header: world.tip.clone(), txs: Bounded::new(txs).expect("few") };
        assert_eq!(block.encode().len(), counted);
    }
}

// BLK-12: rules that this program has not are a fault for proposer and checker alike, and no verdict on the block.
#[test]
fn a_node_without_the_next_rules_stops_before_them() {
    let (mut world, header, txs) = next_block(5);
    let next = Upgrade { height: Height(6), version: RULES_VERSION + 1 };
    world.params.upgrades = Bounded::new(vec![next]).expect("one");
    let stop = Fault::Unsupported { version: 2, height: Height(6), known: 1 };
    assert_eq!(
        stop.to_string(),
        "version 2 of the rules begins at height 6, this program has them up to 1: upgrade it"
    );
    let session = Session::begin(&world.params, &world.state, &world.tip, world.context());
    assert_eq!(session.err(), Some(BlockError::Fault(stop.clone())));
    let bent = Header { version: 2, ..header.clone() };
    for header in [&header, &bent] {
        let error = apply(&world.params, &world.state, &world.tip, header, &txs).expect_err("a fault");
        assert_eq!(error, BlockError::Fault(stop.clone()));
    }
    // One block before the change everything is as it was.
    world.params.upgrades = Bounded::new(vec![Upgrade { height: Height(7), ..next }]).expect("one");
    apply(&world.params, &world.state, &world.tip, &header, &txs).expect("valid");
}

#[test]
fn a_state_without_its_records_is_a_fault_and_not_a_verdict() {
    use cpc_primitives::state::StateKey;
    let opened = StateKey::opened(&address(VALIDATORS[0].0));
    let missing = [StateKey::supply(), StateKey::seats(Epoch(0)), StateKey::rewards(), StateKey::beacon(), opened];
    for key in missing {
        let mut world = World::new();
        let context = world.context();
        world.state.remove(&key);
        let error = world.build(context, &[]).expect_err("a fault");
        assert!(matches!(error, BlockError::Fault(Fault::Damaged { .. })), "{error:?}");
        assert!(error.to_string().contains(&format!("{key:?}")), "{error}");
    }
    let mut world = World::new();
    world.state.insert(StateKey::account(&address(ALICE)), vec![1, 2, 3]);
    let error = world.push(send(ALICE, 0, BOB, 1)).expect_err("a fault").to_string();
    assert!(error.starts_with("stored data is damaged (record StateKey(01"), "{error}");
}

#[test]
fn a_fault_while_reading_stops_the_block() {
    struct Broken<'a>(&'a State);
    impl cpc_ledger::StateRead for Broken<'_> {
        fn read(&self, key: &cpc_primitives::state::StateKey) -> Result<Option<Vec<u8>>, Fault> {
            if key.as_account().is_some() {
                return Err(Fault::Io { detail: "sector 7".to_owned() });
            }
            self.0.read(key)
        }
    }
    let world = World::new();
    let txs = [verified(send(ALICE, 0, BOB, 1))];
    let header = world.build(world.context(), &txs).expect("a good block");
    let broken = Broken(&world.state);
    let error = apply(&world.params, &broken, &world.tip, &header, &txs).expect_err("a fault");
    assert_eq!(error, BlockError::Fault(Fault::Io { detail: "sector 7".to_owned() }));
}
