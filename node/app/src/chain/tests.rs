//! What waits for a block, in a chain on a disk in memory whose only seat builds when it is told to.

use std::sync::Arc;

use cpc_engine::{Chain as _, Slot};
use cpc_genesis::{ChainSpec, Genesis, Network, known_beacon_chain, known_key};
use cpc_light::{Finalization, Proposal, ValidatorSet, Vote, namespace};
use cpc_mempool::{Arrival, Limits};
use cpc_primitives::tx::{Action, SignedTx, Transfer, TxBody};
use cpc_primitives::{
    Address, Amount, Block, BlockId, ChainId, Gas, Header, Height, Nonce, SecretKey, TimeMs, TxHash, View,
};
use cpc_store::{MemKv, Options, Store};
use tokio::sync::mpsc;

use super::{Admission, Chain, Source};

/// Accounts that have money from the start.
const PEOPLE: u16 = 64;
/// What each of them has.
const OWNED: u64 = 10;
/// Bytes of a block: room for some hundred transfers.
const BLOCK_BYTES: usize = 131_072;

/// A chain, and the attempt that comes next.
pub(crate) struct World {
    pub(crate) chain: Arc<Chain>,
    view: View,
}

pub(crate) fn person(number: u16) -> SecretKey {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_seed(&seed)
}

fn address(number: u16) -> Address {
    Address::of(&person(number).public())
}

/// The devnet with people who have money, and with small blocks.
pub(crate) fn genesis() -> Genesis {
    let mut text = Network::Devnet.text().replace("bytes_max = 8388608", &format!("bytes_max = {BLOCK_BYTES}"));
    for number in 0..PEOPLE {
        text += &format!("\n[[account]]\naddress = \"{}\"\nbalance = \"{OWNED}\"\n", address(number));
    }
    Genesis::build(ChainSpec::parse(&text).expect("a chain spec")).expect("a beginning")
}

impl World {
    pub(crate) fn new(limits: Limits) -> Self {
        let genesis = genesis();
        let beacon = known_beacon_chain("devnet/0", genesis.spec.params.beacon_steps);
        let chain = follower(&genesis, limits);
        assert!(chain.feed_beacon(&known_key("devnet/0/consensus").public(), beacon).expect("no fault"));
        Self { chain: Arc::new(chain), view: View(1) }
    }

    /// Builds a block over another one, and leaves it at that.
    pub(crate) fn build(&mut self, parent: BlockId, parent_view: View) -> Block {
        let view = self.view;
        self.view = View(view.0 + 1);
        let time = TimeMs(self.chain.tip().header.time.0 + view.0 * 1_000);
        let proposer = known_key("devnet/0/consensus").public();
        let slot = Slot { epoch: cpc_primitives::Epoch(0), view, parent_view, parent, proposer, time };
        self.chain.build(&slot).expect("a block")
    }

    /// Builds the next block and makes it final.
    pub(crate) fn block(&mut self) -> Block {
        let tip = self.chain.tip();
        let block = self.build(tip.id, tip.header.view);
        self.chain.commit(&block, Some(&certificate(&block, &known_key("devnet/0/consensus")))).expect("committed");
        block
    }

    /// What came of each: how it came in, or the code of its refusal.
    fn offer(&self, txs: Vec<SignedTx>) -> Vec<String> {
        let word = |outcome: Result<Arrival, Admission>| match outcome {
            Ok(arrival) => format!("{arrival:?}").split('(').next().unwrap_or_default().to_owned(),
            Err(why) => why.code().to_owned(),
        };
        self.chain.admit_each(txs, Source::User).into_iter().map(|admitted| word(admitted.outcome)).collect()
    }
}

/// A chain of a network on a disk in memory, which has nothing yet.
pub(crate) fn follower(genesis: &Genesis, limits: Limits) -> Chain {
    let store = Store::open(Arc::new(MemKv::new()), Options::default()).expect("an empty disk");
    Chain::over(store, genesis.clone(), String::new(), None).expect("a new chain").with_pool(limits)
}

/// What makes a block final, where one key is a quorum.
pub(crate) fn certificate(block: &Block, key: &SecretKey) -> Vec<u8> {
    let Header { epoch, view, parent_view, chain, .. } = block.header;
    let proposal = Proposal { epoch, view, parent_view, payload: block.id() };
    let space = namespace(chain, &genesis().id());
    let set = ValidatorSet::new(vec![key.public()]).expect("one key");
    Finalization::assemble(proposal, &[(0, Vote::Finalize(proposal).sign(&space, key))], &set)
        .expect("a quorum")
        .encode()
}

/// A transfer to an account that exists.
pub(crate) fn transfer(from: u16, nonce: u64, price: u64, amount: Amount) -> TxBody {
    TxBody {
        chain: ChainId(1337),
        nonce: Nonce(nonce),
        gas_price: Amount::new(u128::from(price) * 1_000_000_000),
        gas_limit: Gas(21_000),
        action: Action::Transfer(Transfer { to: address(from ^ 1), amount }),
    }
}

pub(crate) fn tx(from: u16, nonce: u64, price: u64) -> SignedTx {
    transfer(from, nonce, price, Amount::new(1)).sign(&person(from))
}

fn cpc(count: u64) -> Amount {
    Amount::ONE.checked_mul(count).expect("few")
}

fn hashes(block: &Block) -> Vec<TxHash> {
    block.txs.iter().map(SignedTx::hash).collect()
}

#[test]
fn each_of_a_batch_has_its_own_outcome_in_its_place() {
    let mut world = World::new(Limits::default());
    world.offer(vec![tx(1, 0, 1)]);
    world.block();
    let bent = SignedTx { signature: tx(3, 1, 1).signature, ..tx(3, 0, 1) };
    let elsewhere = TxBody { chain: ChainId(7), ..transfer(4, 0, 1, Amount::new(1)) }.sign(&person(4));
    let poor = transfer(5, 0, 1, cpc(OWNED)).sign(&person(5));
    let stranger = transfer(999, 0, 1, Amount::new(1)).sign(&person(999));
    let batch = vec![
        tx(2, 0, 1),
        bent,
        elsewhere,
        poor,
        stranger,
        tx(1, 0, 1),
        tx(2, 2_000, 1),
        tx(2, 0, 1),
        transfer(2, 0, 1, Amount::new(2)).sign(&person(2)),
        tx(2, 0, 2),
        tx(6, 0, 0),
    ];
    let expected = [
        "New",
        "bad_signature",
        "wrong_chain",
        "insufficient_funds",
        "insufficient_funds",
        "wrong_nonce",
        "wrong_nonce",
        "Known",
        "underpriced",
        "Replaced",
        "gas_price_too_low",
    ];
    assert_eq!(world.offer(batch), expected);
    assert_eq!(hashes(&world.block()), [tx(2, 0, 2).hash()]);
    assert_eq!(world.chain.pending_size(), (0, 0));
}

#[test]
fn what_a_block_that_is_not_final_has_is_not_built_in_twice() {
    let mut world = World::new(Limits::default());
    assert_eq!(world.offer(vec![tx(1, 0, 1), tx(1, 1, 1)]), ["New", "New"]);
    let tip = world.chain.tip();
    let first = world.build(tip.id, tip.header.view);
    assert_eq!(hashes(&first), [tx(1, 0, 1).hash(), tx(1, 1, 1).hash()]);
    assert_eq!(world.offer(vec![tx(1, 2, 1)]), ["New"]);
    let second = world.build(first.id(), first.header.view);
    assert_eq!(hashes(&second), [tx(1, 2, 1).hash()], "what comes behind it does not wait for its commit");
    // Another block at the first one's height takes all of them: nothing left the pool.
    let rival = world.build(tip.id, tip.header.view);
    assert_eq!(rival.txs.len(), 3);
    world.chain.commit(&first, None).expect("committed");
    assert_eq!(world.chain.pending_count(), 1);
    world.chain.commit(&second, None).expect("committed");
    assert_eq!(world.chain.pending_size(), (0, 0));
    assert_eq!(world.chain.tip().height(), Height(2));
}

#[test]
fn what_can_no_longer_be_paid_or_has_waited_too_long_goes() {
    let mut world = World::new(Limits { expiry_blocks: 3, ..Limits::default() });
    let large = |nonce, amount| transfer(1, nonce, 1, amount).sign(&person(1));
    // Nothing comes before the second one, and a block has another first one.
    assert_eq!(world.offer(vec![large(1, cpc(6)), tx(2, 1, 1)]), ["New", "New"]);
    assert_eq!(world.offer(vec![large(0, cpc(3))]), ["New"]);
    assert_eq!(world.block().txs.len(), 2);
    let elsewhere = large(2, cpc(1));
    assert_eq!(world.offer(vec![elsewhere]), ["insufficient_funds"], "one CPC is left, and the fee is to be paid too");
    assert_eq!(world.chain.pending_count(), 1);
    (0..2).for_each(|_| drop(world.block()));
    assert_eq!(world.chain.pending_count(), 0, "the one behind a gap has expired");
    // A block takes money that a waiting transaction was to spend: it goes with the block.
    assert_eq!(world.offer(vec![transfer(8, 1, 1, cpc(8)).sign(&person(8))]), ["New"]);
    assert_eq!(world.offer(vec![transfer(8, 0, 1, cpc(1)).sign(&person(8))]), ["New"]);
    let tip = world.chain.tip();
    let block = world.build(tip.id, tip.header.view);
    assert_eq!(block.txs.len(), 2);
    assert_eq!(world.offer(vec![transfer(8, 1, 2, Amount::new(1)).sign(&person(8))]), ["Replaced"]);
    world.chain.commit(&block, None).expect("committed");
    assert_eq!(world.chain.pending_count(), 0);
}

#[test]
fn a_flood_of_ten_blocks_leaves_memory_under_its_cap_and_room_for_whoever_pays_more() {
    let one = tx(0, 0, 1).encode().len();
    let (block, counted) = (BLOCK_BYTES / one, one + cpc_mempool::ENTRY_OVERHEAD_BYTES);
    let bytes_max = 2 * block * counted;
    let mut world = World::new(Limits { bytes_max, ..Limits::default() });
    let senders = PEOPLE - 4;
    let each = u64::try_from(10 * block).expect("few").div_ceil(u64::from(senders));
    let mut refused = 0;
    for nonce in 0..each {
        let flood = (0..senders).map(|from| tx(from, nonce, 1)).collect();
        for outcome in world.offer(flood) {
            match outcome.as_str() {
                "New" => {}
                "too_many_pending" => refused += 1,
                other => panic!("{other}"),
            }
        }
        assert!(world.chain.pending_size().1 <= bytes_max, "{:?}", world.chain.pending_size());
    }
    assert!(refused > 5 * block, "{refused} of the flood were refused");
    let honest: Vec<SignedTx> = (senders..PEOPLE).map(|from| tx(from, 0, 2)).collect();
    let names: Vec<TxHash> = honest.iter().map(SignedTx::hash).collect();
    assert_eq!(world.offer(honest), ["New"; 4]);
    assert!(world.chain.pending_size().1 <= bytes_max);
    let first = world.block();
    assert_eq!(hashes(&first)[..4], names, "who pays more comes first");
    assert!(first.txs.len() > block / 2, "{} transactions", first.txs.len());
    assert!(first.encode().len() <= BLOCK_BYTES);
}

#[test]
fn only_what_users_send_and_is_new_is_told_to_others() {
    let world = World::new(Limits::default());
    let (sender, mut told) = mpsc::channel(1);
    world.chain.tell(sender);
    assert_eq!(world.offer(vec![tx(1, 0, 1), tx(1, 0, 1), tx(2, 9_999, 1)]), ["New", "Known", "wrong_nonce"]);
    assert_eq!(told.try_recv(), Ok(vec![tx(1, 0, 1).hash()]));
    assert!(world.chain.admit_each(vec![tx(3, 0, 1)], Source::Gossip)[0].outcome.is_ok());
    assert_eq!(world.offer(vec![tx(3, 0, 1)]), ["Known"]);
    assert!(told.try_recv().is_err(), "whoever gossiped it has told its peers");
    // A full queue keeps nobody waiting: what it does not take stays in the pool.
    assert_eq!(world.offer(vec![tx(4, 0, 1)]), ["New"]);
    assert_eq!(world.offer(vec![tx(5, 0, 1)]), ["New"]);
    assert_eq!(told.try_recv(), Ok(vec![tx(4, 0, 1).hash()]));
    assert!(told.try_recv().is_err());
    let hashes = [4, 5, 6].map(|from| tx(from, 0, 1).hash());
    assert_eq!(world.chain.still_waiting(&hashes), [tx(4, 0, 1), tx(5, 0, 1)]);
}
