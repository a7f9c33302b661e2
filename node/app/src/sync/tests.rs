//! Sync in a small world of honest, slow and lying peers, by tables, and over real sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use cpc_light::{Finalization, Proposal, ValidatorSet, Vote, namespace};
use cpc_net::{Config, Event as NetEvent, Events, Handle, Limits, Net, NetworkId, PeerId};
use cpc_primitives::block::tx_root;
use cpc_primitives::tx::{Action, SignedTx, TxBody, Unjail};
use cpc_primitives::{
    Amount, Block, BlockId, Bounded, ChainId, Digest, Fault, Gas, Header, Height, Nonce, SecretKey, TimeMs, View,
};
use proptest::prelude::*;

use super::check::{self, ChainError};
use super::client::{Client, Effect, Event, Plan, Segment};
use super::serve::{self, Blocks, ServeError};
use super::shell::{self, Apply, ApplyError, PeerEvent};
use super::wire::{Answer, BATCH_BYTES_MAX, BLOCKS_MAX, Question, Range, Status, TxBatch};

const CHAIN: ChainId = ChainId(7);
/// The first seat of the network, and that of somebody who claims to be it.
const HONEST: u8 = 1;
const FORGER: u8 = 101;

/// A chain of final blocks in memory.
struct World {
    blocks: Vec<Vec<u8>>,
    ids: Vec<BlockId>,
    certificates: Vec<Vec<u8>>,
    set: ValidatorSet,
    epoch_blocks: u64,
}

/// The four seats of a network, or those of a forger.
fn secrets(first: u8) -> Vec<SecretKey> {
    let mut keys: Vec<SecretKey> = (first..first + 4).map(|n| SecretKey::from_seed(&[n; 32])).collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

fn tx(nonce: u64) -> SignedTx {
    let body = TxBody {
        chain: CHAIN,
        nonce: Nonce(nonce),
        gas_price: Amount::ZERO,
        gas_limit: Gas(0),
        action: Action::Unjail(Unjail {}),
    };
    body.sign(&SecretKey::from_seed(&[9; 32]))
}

impl World {
    /// So many blocks above block 0, certified by these seats.
    fn new(count: u64, epoch_blocks: u64, first: u8) -> Self {
        let keys = secrets(first);
        let set = ValidatorSet::new(keys.iter().map(SecretKey::public).collect()).expect("four keys");
        let (mut blocks, mut ids, mut certificates) = (Vec::new(), Vec::<BlockId>::new(), Vec::new());
        let space = namespace(CHAIN, &BlockId::default());
        for height in 0..=count {
            let txs = if height % 10 == 1 { vec![tx(height)] } else { Vec::new() };
            let header = Header {
                version: 1,
                chain: CHAIN,
                height: Height(height),
                epoch: cpc_primitives::Epoch(height / epoch_blocks),
                view: View(height),
                parent_view: View(height.saturating_sub(1)),
                parent: ids.last().copied().unwrap_or_default(),
                time: TimeMs(height * 1000),
                proposer: keys[0].public(),
                beacon: Digest::ZERO,
                tx_root: tx_root(txs.iter().map(SignedTx::hash)),
                state_root: Digest::ZERO,
                compute_root: Digest::ZERO,
                gas_used: Gas(0),
                next_validators: Digest::ZERO,
            };
            let id = header.id();
            let proposal =
                Proposal { epoch: header.epoch, view: header.view, parent_view: header.parent_view, payload: id };
            let votes: Vec<_> =
                (0..3).zip(&keys).map(|(seat, key)| (seat, Vote::Finalize(proposal).sign(&space, key))).collect();
            let certificate = Finalization::assemble(proposal, &votes, &set).expect("a quorum");
            blocks.push(Block { header, txs: Bounded::new(txs).expect("one") }.encode());
            ids.push(id);
            certificates.push(certificate.encode());
        }
        Self { blocks, ids, certificates, set, epoch_blocks }
    }

    fn tip(&self) -> u64 {
        u64::try_from(self.ids.len()).expect("few") - 1
    }

    fn place(height: Height) -> usize {
        usize::try_from(height.0).unwrap_or(usize::MAX)
    }

    fn segment(&self, from: u64, to: u64) -> (Vec<Block>, Vec<u8>) {
        let block = |height| Block::decode(&self.blocks[Self::place(Height(height))]).expect("ours");
        ((from..=to).map(block).collect(), self.certificates[Self::place(Height(to))].clone())
    }
}

impl Blocks for World {
    fn status(&self) -> Result<Status, Fault> {
        Ok(Status { tip: Height(self.tip()), id: *self.ids.last().expect("block 0"), lowest: Height(0) })
    }

    fn block_bytes(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.blocks.get(Self::place(height)).cloned())
    }

    fn certificate(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.certificates.get(Self::place(height)).cloned())
    }

    fn height_of(&self, id: &BlockId) -> Result<Option<Height>, Fault> {
        Ok((0..).map(Height).zip(&self.ids).find(|(_, other)| *other == id).map(|(height, _)| height))
    }
}

/// A chain that keeps certificates of some heights only, and may have lost its beginning.
struct Sparse<'a> {
    world: &'a World,
    every: u64,
    lowest: u64,
}

impl Blocks for Sparse<'_> {
    fn status(&self) -> Result<Status, Fault> {
        Ok(Status { lowest: Height(self.lowest), ..self.world.status()? })
    }

    fn block_bytes(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        if height.0 < self.lowest { Ok(None) } else { self.world.block_bytes(height) }
    }

    fn certificate(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        let kept = height.0.is_multiple_of(self.every) || height.0 == self.world.tip();
        // An engine that has none may also write none.
        if kept { self.world.certificate(height) } else { Ok(Some(Vec::new())) }
    }

    fn height_of(&self, id: &BlockId) -> Result<Option<Height>, Fault> {
        self.world.height_of(id)
    }
}

fn ask(chain: &impl Blocks, question: Question) -> Answer {
    Answer::decode(&serve::answer(chain, &question.encode()).expect("a question")).expect("an answer")
}

fn range(chain: &impl Blocks, from: u64, to: u64) -> Option<(usize, u64)> {
    match ask(chain, Question::Range { from: Height(from), to: Height(to) }) {
        Answer::Range(range) => {
            let certified = Finalization::decode(&range.certificate).expect("a certificate").proposal.view.0;
            Some((range.blocks.len(), certified))
        }
        Answer::Nothing => None,
        other => panic!("{other:?}"),
    }
}

static SMALL: LazyLock<World> = LazyLock::new(|| World::new(600, 50, HONEST));
static FORGED: LazyLock<World> = LazyLock::new(|| World::new(600, 50, FORGER));

// SYNC-2: what is served, and where an answer ends.
#[test]
fn an_answer_ends_at_a_certificate() {
    let world = &*SMALL;
    assert_eq!(range(world, 1, 10), Some((10, 10)));
    assert_eq!(range(world, 1, 600), Some((BLOCKS_MAX, 256)));
    assert_eq!(range(world, 590, 700), Some((11, 600)));
    assert_eq!(range(world, 601, 700), None);
    assert_eq!(range(world, 0, 5), None, "block 0 comes from the genesis");
    assert_eq!(range(world, 5, 4), None);
    assert_eq!(range(world, u64::MAX, u64::MAX), None);
    let sparse = Sparse { world, every: 7, lowest: 100 };
    assert_eq!(range(&sparse, 100, 110), Some((6, 105)));
    assert_eq!(range(&sparse, 99, 110), None);
    assert_eq!(range(&sparse, 106, 111), None, "no certificate is among them");
    assert_eq!(range(&sparse, 106, 112), Some((7, 112)));
    assert_eq!(range(&sparse, 599, 600), Some((2, 600)));
}

#[test]
fn the_bytes_of_an_answer_are_bounded_and_hold_at_least_one_block() {
    /// Blocks of 5 MiB, which only their sizes make interesting.
    struct Large;
    impl Blocks for Large {
        fn status(&self) -> Result<Status, Fault> {
            SMALL.status()
        }
        fn block_bytes(&self, _: Height) -> Result<Option<Vec<u8>>, Fault> {
            Ok(Some(vec![0; 5 << 20]))
        }
        fn certificate(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
            Ok((height != Height(3)).then(|| vec![1; 100]))
        }
        fn height_of(&self, _: &BlockId) -> Result<Option<Height>, Fault> {
            Ok(None)
        }
    }
    let served = |from, to| {
        let question = Question::Range { from: Height(from), to: Height(to) };
        serve::answer(&Large, &question.encode()).expect("a question").len()
    };
    let one = 4 + 8 + (5 << 20) + 8 + 100;
    assert_eq!(served(1, 9), one);
    // Two of them are over the limit, and the first has no certificate.
    assert_eq!(served(3, 9), 4);
}

#[test]
fn one_block_is_found_by_its_id() {
    let world = &*SMALL;
    let Answer::Block(block) = ask(world, Question::Block { id: world.ids[5] }) else { panic!("there is one") };
    assert_eq!(block.id(), world.ids[5]);
    assert_eq!(ask(world, Question::Block { id: BlockId::default() }), Answer::Nothing);
    assert_eq!(ask(world, Question::Status), Answer::Status(world.status().expect("it has one")));
    assert!(matches!(serve::answer(world, &[9; 4]), Err(ServeError::Question(_))));
}

// SYNC-1: what is put together from encoded blocks is what the codec writes.
#[test]
fn an_answer_put_together_is_the_answer_encoded() {
    let (blocks, certificate) = SMALL.segment(1, 12);
    let encoded: Vec<Vec<u8>> = blocks.iter().map(Block::encode).collect();
    let put_together = Answer::encode_range(&encoded, &certificate);
    let range = Range {
        blocks: Bounded::new(blocks.clone()).expect("few"),
        certificate: Bounded::new(certificate).expect("short"),
    };
    assert_eq!(put_together, Answer::Range(range).encode());
    assert_eq!(Answer::encode_block(&encoded[0]), Answer::Block(blocks[0].clone()).encode());
    for question in [Question::Status, Question::Range { from: Height(1), to: Height(2) }] {
        assert_eq!(Question::decode(&question.encode()), Ok(question));
    }
}

// SYNC-8: batches are as full as they may be.
#[test]
fn transactions_are_packed_into_as_few_batches_as_fit() {
    let txs: Vec<SignedTx> = (0..4000).map(tx).collect();
    let size = txs[0].encode().len();
    let batches = TxBatch::pack(txs.clone());
    assert_eq!(batches.len(), 4000usize.div_ceil((BATCH_BYTES_MAX - 8) / size));
    for batch in &batches {
        let bytes = batch.encode();
        assert!(bytes.len() <= BATCH_BYTES_MAX);
        assert_eq!(TxBatch::decode(&bytes).as_ref(), Ok(batch));
    }
    let unpacked: Vec<SignedTx> = batches.into_iter().flat_map(|batch| batch.txs.into_inner()).collect();
    assert_eq!(unpacked, txs);
    assert_eq!(TxBatch::pack(Vec::new()), []);
    assert!(TxBatch::decode(&vec![0; BATCH_BYTES_MAX + 1]).is_err());
}

// SYNC-3: each way in which blocks do not hang together has its name.
#[test]
fn blocks_that_do_not_hang_together_are_refused_by_name() {
    let world = &*SMALL;
    let check = |change: &dyn Fn(&mut Vec<Block>, &mut Vec<u8>)| {
        let (mut blocks, mut certificate) = world.segment(10, 14);
        change(&mut blocks, &mut certificate);
        check::chain(&blocks, &certificate, Height(10), Height(15))
    };
    assert_eq!(check(&|_, _| {}), Ok(()));
    assert_eq!(check(&|blocks, _| blocks.clear()), Err(ChainError::Empty));
    assert!(matches!(check(&|blocks, _| drop(blocks.remove(0))), Err(ChainError::Height(_))));
    assert!(matches!(check(&|blocks, _| drop(blocks.remove(2))), Err(ChainError::Height(_))));
    let beyond = |blocks: &mut Vec<Block>, _: &mut Vec<u8>| blocks.extend(world.segment(15, 16).0);
    assert!(matches!(check(&beyond), Err(ChainError::Beyond { .. })));
    let parent = |blocks: &mut Vec<Block>, _: &mut Vec<u8>| blocks[2].header.time = TimeMs(1);
    assert!(matches!(check(&parent), Err(ChainError::Parent { height: Height(13), .. })));
    let last = |blocks: &mut Vec<Block>, _: &mut Vec<u8>| blocks[4].header.time = TimeMs(1);
    assert!(matches!(check(&last), Err(ChainError::Certificate(_))));
    let epoch = |blocks: &mut Vec<Block>, _: &mut Vec<u8>| blocks[1].header.epoch.0 += 1;
    assert!(matches!(check(&epoch), Err(ChainError::Epoch { height: Height(11), .. })));
    let txs = |blocks: &mut Vec<Block>, _: &mut Vec<u8>| blocks[1].txs = Bounded::default();
    assert!(matches!(check(&txs), Err(ChainError::TxRoot { height: Height(11), .. })));
    let cut = |_: &mut Vec<Block>, certificate: &mut Vec<u8>| certificate.truncate(100);
    assert!(matches!(check(&cut), Err(ChainError::Certificate(_))));
    let other = |_: &mut Vec<Block>, certificate: &mut Vec<u8>| *certificate = world.segment(1, 13).1;
    assert!(matches!(check(&other), Err(ChainError::Certificate(_))));
}

// SYNC-4: a certificate that names the block and that a quorum did not sign is a lie too.
#[test]
fn a_certificate_that_nobody_signed_makes_nothing_final() {
    let (blocks, certificate) = SMALL.segment(10, 14);
    let space = namespace(CHAIN, &BlockId::default());
    let header = check::finality(&blocks, &certificate, &SMALL.set, &space).expect("final");
    assert_eq!(header.id(), SMALL.ids[14]);
    let mut unsigned = certificate.clone();
    *unsigned.last_mut().expect("a signature") ^= 1;
    let refused = check::finality(&blocks, &unsigned, &SMALL.set, &space);
    assert!(matches!(refused, Err(ChainError::Certificate(_))), "{refused:?}");
    assert_eq!(check::finality(&[], &certificate, &SMALL.set, &space), Err(ChainError::Empty));
}

/// How a peer of the simulated world behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Honest,
    /// Answers with one block at a time.
    Stingy,
    /// Has certificates at some heights only.
    Sparse,
    /// Has lost its beginning.
    Pruned,
    /// Answers late, but does.
    Slow,
    /// Never answers.
    Silent,
    /// Comes and goes.
    Vanishing,
    /// Sends bytes that are nothing.
    Garbage,
    /// Sends a byte too many.
    Trailing,
    /// Sends other heights.
    Shifted,
    /// Changes a block in the middle.
    Tampered,
    /// Has a whole chain of its own, which no quorum signed.
    Forger,
    /// Says that it has everything, and has nothing.
    Promising,
    /// Answers with something else.
    Confused,
}

const KINDS: [Kind; 14] = [
    Kind::Honest,
    Kind::Stingy,
    Kind::Sparse,
    Kind::Pruned,
    Kind::Slow,
    Kind::Silent,
    Kind::Vanishing,
    Kind::Garbage,
    Kind::Trailing,
    Kind::Shifted,
    Kind::Tampered,
    Kind::Forger,
    Kind::Promising,
    Kind::Confused,
];

impl Kind {
    /// Whether it may be banned.
    fn lies(self) -> bool {
        matches!(
            self,
            Self::Garbage
                | Self::Trailing
                | Self::Shifted
                | Self::Tampered
                | Self::Forger
                | Self::Promising
                | Self::Confused
        )
    }

    /// The answer of such a peer; nothing where it has none.
    fn answer(self, world: &World, question: Question) -> Option<Vec<u8>> {
        let honest = || serve::answer(world, &question.encode()).expect("a question");
        Some(match (self, question) {
            (Self::Silent, _) => return None,
            (Self::Stingy, Question::Range { from, .. }) => {
                serve::answer(world, &Question::Range { from, to: from }.encode()).expect("a question")
            }
            (Self::Sparse, _) => {
                serve::answer(&Sparse { world, every: 7, lowest: 0 }, &question.encode()).expect("a question")
            }
            (Self::Pruned, _) => {
                serve::answer(&Sparse { world, every: 1, lowest: 300 }, &question.encode()).expect("a question")
            }
            (Self::Garbage, Question::Range { .. }) => vec![7; 100],
            (Self::Trailing, _) => [honest(), vec![0]].concat(),
            (Self::Shifted, Question::Range { from, to }) => {
                let other = Question::Range { from: Height(from.0 - 1), to };
                serve::answer(world, &other.encode()).expect("a question")
            }
            (Self::Tampered, Question::Range { .. }) => {
                let Ok(Answer::Range(mut range)) = Answer::decode(&honest()) else { return Some(honest()) };
                let mut blocks = range.blocks.into_inner();
                let middle = blocks.len() / 2;
                blocks[middle].header.gas_used = Gas(1);
                range.blocks = Bounded::new(blocks).expect("as many");
                Answer::Range(range).encode()
            }
            (Self::Forger, _) => serve::answer(&*FORGED, &question.encode()).expect("a question"),
            (Self::Promising, Question::Status) => {
                let status = Status { tip: Height(u64::MAX), id: BlockId::default(), lowest: Height(0) };
                Answer::Status(status).encode()
            }
            (Self::Promising, _) => Answer::Nothing.encode(),
            (Self::Confused, Question::Range { .. }) => Answer::Status(world.status().expect("it has one")).encode(),
            _ => honest(),
        })
    }
}

/// What is under way in the simulated world.
enum Coming {
    Event(Event<u8>),
    Answer { id: u64, peer: u8, bytes: Option<Vec<u8>> },
}

/// Runs a follower among such peers until it has the whole chain, and says how long that took.
fn simulate(kinds: &[Kind], jitter: &[u64]) -> u64 {
    let world = &*SMALL;
    let mut client = Client::new(Plan::new(world.epoch_blocks), Height(0));
    let mut coming: BTreeMap<(u64, u64), Coming> = BTreeMap::new();
    let mut order = 0;
    let mut later = |coming: &mut BTreeMap<(u64, u64), Coming>, at: u64, what: Coming| {
        order += 1;
        coming.insert((at, order), what);
    };
    let kinds: BTreeMap<u8, Kind> = (0..).zip(kinds.iter().copied()).collect();
    let mut there: BTreeSet<u8> = BTreeSet::new();
    let mut jitter = jitter.iter().copied().cycle();
    for (peer, kind) in &kinds {
        let at = jitter.next().expect("it goes round");
        later(&mut coming, at, Coming::Event(Event::Joined(*peer)));
        if *kind == Kind::Vanishing {
            for n in 1..20 {
                later(&mut coming, at + n * 700, Coming::Event(Event::Left(*peer)));
                later(&mut coming, at + n * 700 + 300, Coming::Event(Event::Joined(*peer)));
            }
        }
    }
    later(&mut coming, 0, Coming::Event(Event::Tick));
    let (mut banned, mut applied, mut effects) = (BTreeSet::new(), 0u64, Vec::new());
    while applied < world.tip() {
        let ((now, _), what) = coming.pop_first().expect("ticks go on for ever");
        assert!(now < 1_000_000, "{:?} with {kinds:?}", client.progress());
        let event = match what {
            Coming::Event(Event::Joined(peer)) if banned.contains(&peer) => continue,
            Coming::Event(event) => event,
            // Who has gone or was banned answers nobody.
            Coming::Answer { id, peer, bytes } => match bytes.filter(|_| there.contains(&peer)) {
                Some(bytes) => Event::Answer { id, bytes },
                None => Event::Failed { id },
            },
        };
        match &event {
            Event::Joined(peer) => drop(there.insert(*peer)),
            Event::Left(peer) => drop(there.remove(peer)),
            Event::Applied(height) => applied = height.0,
            Event::Tick => later(&mut coming, now + 100, Coming::Event(Event::Tick)),
            _ => {}
        }
        client.step(now, event, &mut effects);
        client.check();
        for effect in effects.drain(..) {
            let wait = 1 + jitter.next().expect("it goes round") % 200;
            match effect {
                Effect::Ask { id, peer, question } => {
                    if let Question::Range { from, to } = question {
                        assert_eq!(from.0 / world.epoch_blocks, to.0 / world.epoch_blocks, "one epoch");
                    }
                    let kind = kinds[&peer];
                    let wait = if kind == Kind::Slow { 5_000 + wait } else { wait };
                    let bytes = kind.answer(world, question);
                    // The network gives a silent one up at its own time.
                    let wait = if bytes.is_none() { 15_000 } else { wait };
                    later(&mut coming, now + wait, Coming::Answer { id, peer, bytes });
                }
                Effect::Deliver(segment) => {
                    assert_eq!(segment.from, Height(applied + 1), "in order");
                    let last = applied + u64::try_from(segment.blocks.len()).expect("few");
                    let space = namespace(CHAIN, &BlockId::default());
                    let good = check::finality(&segment.blocks, &segment.certificate, &world.set, &space).is_ok()
                        && segment.blocks.iter().all(|b| b.id() == world.ids[World::place(b.header.height)]);
                    let event = if good {
                        Event::Applied(Height(last))
                    } else {
                        Event::Refused { from: segment.from, reason: "not final".to_owned() }
                    };
                    later(&mut coming, now + 5, Coming::Event(event));
                }
                Effect::Ban { peer, reason } => {
                    assert!(kinds[&peer].lies(), "{peer} is {:?} and was banned: {reason}", kinds[&peer]);
                    banned.insert(peer);
                    there.remove(&peer);
                }
            }
        }
        let now = coming.first_key_value().map_or(0, |((at, _), _)| *at);
        if applied == world.tip() {
            return now;
        }
    }
    0
}

#[test]
fn each_kind_of_peer_beside_an_honest_one_does_not_keep_a_follower_from_the_tip() {
    for kind in KINDS {
        let took = simulate(&[kind, Kind::Honest, kind], &[0, 13, 57, 101]);
        assert!(took < 60_000, "{kind:?}: {took} ms");
    }
}

// SYNC-5: who answers late is asked less, and nobody waits for who does not answer.
#[test]
fn silent_peers_cost_a_pause_and_not_the_sync() {
    let alone = simulate(&[Kind::Honest], &[20]);
    let among = simulate(&[Kind::Silent, Kind::Silent, Kind::Silent, Kind::Honest], &[20]);
    assert!(among < alone + 30_000, "{among} ms where alone took {alone} ms");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    // SYNC-6: whatever the others do, one honest peer is enough, and nobody who did not lie is banned.
    #[test]
    fn a_follower_with_one_honest_peer_always_comes_to_the_tip(
        others in proptest::collection::vec(proptest::sample::select(KINDS.to_vec()), 0..8),
        place in any::<proptest::sample::Index>(),
        jitter in proptest::collection::vec(0u64..2_000, 16),
    ) {
        let mut kinds = others;
        kinds.insert(place.index(kinds.len() + 1), Kind::Honest);
        simulate(&kinds, &jitter);
    }
}

#[test]
fn a_follower_at_the_tip_asks_for_what_is_new() {
    let mut client = Client::new(Plan::new(50), Height(0));
    let mut out = Vec::new();
    client.step(0, Event::Joined(1u8), &mut out);
    let mut now = 0;
    for tip in [5, 6, 9] {
        let Some(Effect::Ask { id, question: Question::Status, .. }) = out.pop() else { panic!("{out:?}") };
        let status = Status { tip: Height(tip), id: SMALL.ids[World::place(Height(tip))], lowest: Height(0) };
        client.step(now, Event::Answer { id, bytes: Answer::Status(status).encode() }, &mut out);
        let Some(Effect::Ask { id, question: Question::Range { from, to }, .. }) = out.pop() else { panic!("{out:?}") };
        assert_eq!((from, to), (Height(client.progress().applied.0 + 1), Height(tip)));
        let bytes = serve::answer(&*SMALL, &Question::Range { from, to }.encode()).expect("a question");
        client.step(now, Event::Answer { id, bytes }, &mut out);
        assert!(matches!(out.pop(), Some(Effect::Deliver(_))));
        client.step(now, Event::Applied(to), &mut out);
        assert_eq!(client.progress().applied, client.progress().target);
        // Nothing is asked before the pause is over.
        client.step(now + 499, Event::Tick, &mut out);
        assert!(out.is_empty(), "{out:?}");
        now += 500;
        client.step(now, Event::Tick, &mut out);
    }
}

// SYNC-3: what lies beyond the seats that are known is not asked for.
#[test]
fn nothing_is_asked_for_beyond_the_next_epoch() {
    let mut client = Client::new(Plan::new(50), Height(10));
    let mut out = Vec::new();
    client.step(0, Event::Joined(1u8), &mut out);
    client.step(0, Event::Joined(2u8), &mut out);
    for effect in std::mem::take(&mut out) {
        let Effect::Ask { id, .. } = effect else { panic!("{effect:?}") };
        client.step(0, Event::Answer { id, bytes: Answer::Status(SMALL.status().expect("it has")).encode() }, &mut out);
    }
    let asked: Vec<(u64, u64)> = out
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ask { question: Question::Range { from, to }, .. } => Some((from.0, to.0)),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [(11, 49), (50, 99)]);
}

/// Applies blocks as a node would, without executing them.
struct Verifying {
    world: Arc<World>,
    applied: u64,
}

impl Apply for Verifying {
    fn apply(&mut self, segment: Segment<PeerId>) -> Result<Height, ApplyError> {
        let space = namespace(CHAIN, &BlockId::default());
        let header = check::finality(&segment.blocks, &segment.certificate, &self.world.set, &space)
            .map_err(|error| ApplyError::Lie(error.to_string()))?;
        assert_eq!(segment.from, Height(self.applied + 1));
        self.applied = header.header().height.0;
        assert_eq!(header.id(), self.world.ids[World::place(header.header().height)]);
        Ok(header.header().height)
    }
}

fn net(n: u8, boot: Vec<String>) -> (Handle, Events) {
    let config = Config {
        network: NetworkId([3; 8]),
        agent: "cpc-sync-tests/1".to_owned(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
        announce: Vec::new(),
        boot,
        topics: Vec::new(),
        protocols: vec![shell::protocol()],
        limits: Limits::default(),
    };
    Net::start(config, [n; 32]).expect("a free port")
}

async fn listening(handle: &Handle, events: &mut Events) -> String {
    loop {
        if let Some(NetEvent::Listening { address }) = events.recv().await {
            return format!("{address}/p2p/{}", handle.id());
        }
    }
}

/// Answers questions from a chain until the network stops.
async fn serving(mut events: Events, world: Arc<World>) {
    while let Some(event) = events.recv().await {
        if let NetEvent::Request(request) = event {
            let answer = serve::answer(&*world, &request.bytes).expect("a follower asks questions");
            request.reply.send(answer).expect("within the limit");
        }
    }
}

// SYNC-7: over real sockets, with signatures checked, and a forger among the peers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_follower_syncs_ten_thousand_blocks() {
    let world = Arc::new(World::new(10_000, 7_200, HONEST));
    let forged = Arc::new(World::new(1_000, 7_200, FORGER));
    let (mut boot, mut servers) = (Vec::new(), Vec::new());
    for (n, chain) in (1..).zip([&world, &world, &forged]) {
        let (handle, mut events) = net(n, Vec::new());
        boot.push(listening(&handle, &mut events).await);
        tokio::spawn(serving(events, chain.clone()));
        servers.push(handle);
    }
    let (handle, mut events) = net(9, boot);
    let start = Instant::now();
    let apply = Verifying { world: world.clone(), applied: 0 };
    let client = Client::new(Plan::new(world.epoch_blocks), Height(0));
    let mut follower = shell::follow(handle.clone(), client, apply);
    let peers = follower.peers.clone();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            let told = match event {
                NetEvent::Joined { peer } => peers.send(PeerEvent::Joined(peer)).await,
                NetEvent::Left { peer } => peers.send(PeerEvent::Left(peer)).await,
                _ => Ok(()),
            };
            // The follower may have ended before the network.
            if told.is_err() {
                return;
            }
        }
    });
    let done = follower.progress.wait_for(|progress| progress.applied == Height(world.tip()));
    let done = tokio::time::timeout(Duration::from_secs(60), done).await;
    drop(done.expect("within a minute").expect("it runs"));
    println!("10,000 blocks in {} ms", start.elapsed().as_millis());
    drop(follower.stop);
    follower.ended.await.expect("no panic").expect("no fault");
    let view = handle.view().await.expect("it runs");
    assert_eq!(view.bans.iter().map(|ban| ban.peer).collect::<Vec<_>>(), [servers[2].id()], "{view:?}");
    handle.stop().await;
}
