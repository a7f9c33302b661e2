//! A network of four known seats with one final block, and proofs of its small state: what the light formats are
//! sampled from.

use std::collections::BTreeMap;

use cpc_light::{
    Anchor, DenseSiblings, EpochLink, FinalityProof, Finalization, ProofFile, Proposal, ResultProof, SettlementProof,
    SignedVote, Start, StateProof, Subject, Terminal, TrustPath, Trusted, ValidatorSet, Vote, namespace,
};
use cpc_primitives::codec::encode;
use cpc_primitives::limits::{BUCKET_BITS, SEATS_MAX};
use cpc_primitives::merkle;
use cpc_primitives::result::{ComputeResult, ComputeRoots, Settlement};
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::tree::{self, KeyHash, Part, Side};
use cpc_primitives::{
    Address, Amount, BlockId, Bounded, ChainId, Digest, Domain, Epoch, Gas, Header, Height, Nonce, PublicKey,
    SecretKey, TimeMs, View,
};

use crate::draw::Draw;

/// Four seats, the genesis that names them, and a block that they finalized.
pub struct Network {
    keys: Vec<SecretKey>,
    set: ValidatorSet,
    genesis: Header,
    block: Header,
    state: BTreeMap<StateKey, Vec<u8>>,
    results: Vec<ComputeResult>,
    settlements: Vec<Settlement>,
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Network {
    /// The network; there is one.
    pub fn new() -> Self {
        let mut keys: Vec<SecretKey> = (1..=4).map(|n| SecretKey::from_seed(&[n; 32])).collect();
        keys.sort_by_key(SecretKey::public);
        let public: Vec<PublicKey> = keys.iter().map(SecretKey::public).collect();
        let set = ValidatorSet::new(public).expect("four different keys");
        let mut from = Draw::new("network");
        let results: Vec<ComputeResult> = (0..3).map(|_| from.value()).collect();
        let settlements: Vec<Settlement> = (0..2).map(|_| from.value()).collect();
        let state = small_state();
        let genesis = Header {
            version: 1,
            chain: ChainId(7),
            height: Height(0),
            epoch: Epoch(0),
            view: View(0),
            parent_view: View(0),
            parent: BlockId::default(),
            time: TimeMs(1_767_225_600_000),
            proposer: keys[0].public(),
            beacon: Digest::ZERO,
            tx_root: merkle::root(&[]),
            state_root: tree::root_of(&state),
            compute_root: ComputeRoots::of(&[], &[]).digest(),
            gas_used: Gas(0),
            next_validators: Domain::GenesisSets.hash(&(set.hash(), set.hash())),
        };
        let block = Header {
            height: Height(1),
            view: View(1),
            parent: genesis.id(),
            time: TimeMs(genesis.time.0 + 1000),
            compute_root: ComputeRoots::of(&results, &settlements).digest(),
            // The block ends epoch 0 and names the set of epoch 2, so that a path of trust can pass over it.
            next_validators: set.hash(),
            ..genesis.clone()
        };
        Self { keys, set, genesis, block, state, results, settlements }
    }

    /// The id that a customer trusts.
    pub fn genesis_id(&self) -> BlockId {
        self.genesis.id()
    }

    /// What is known after epoch 0: that the four seats decide epochs 1 and 2.
    pub fn anchor(&self) -> Anchor {
        let sets = [self.set.hash(), self.set.hash()];
        Anchor { genesis: self.genesis_id(), chain: self.genesis.chain, epoch: Epoch(1), sets, time: self.block.time }
    }

    /// The root of the state.
    pub fn state_root(&self) -> Digest {
        self.block.state_root
    }

    /// The seats.
    pub fn set(&self) -> &ValidatorSet {
        &self.set
    }

    /// What every vote is signed under.
    pub fn namespace(&self) -> Vec<u8> {
        namespace(self.genesis.chain, &self.genesis.id())
    }

    /// The vote of a seat.
    pub fn vote(&self, seat: u32, vote: Vote) -> SignedVote {
        let key = &self.keys[usize::try_from(seat).expect("a small number")];
        SignedVote { vote, seat, signature: vote.sign(&self.namespace(), key) }
    }

    /// The block as it was proposed.
    pub fn proposal(&self) -> Proposal {
        let Header { epoch, view, parent_view, .. } = self.block;
        Proposal { epoch, view, parent_view, payload: self.block.id() }
    }

    /// The finalization of the block, by three of the four.
    pub fn finalization(&self) -> Finalization {
        self.finalize(self.proposal())
    }

    fn finalize(&self, proposal: Proposal) -> Finalization {
        let votes: Vec<_> = (0..3).map(|seat| (seat, self.vote(seat, Vote::Finalize(proposal)).signature)).collect();
        Finalization::assemble(proposal, &votes, &self.set).expect("three seats of the set")
    }

    /// A proof file of every kind.
    pub fn proof_files(&self) -> Vec<(&'static str, ProofFile)> {
        let mut files = Vec::new();
        for (name, key) in [("balance", self.state.keys().next()), ("absent", None)] {
            let absent = absent();
            let key = key.unwrap_or(&absent[0]);
            files.push((name, self.proof_file(Subject::State(prove(&self.state, key)))));
        }
        let roots = ComputeRoots::of(&self.results, &self.settlements);
        let leaves: Vec<Digest> = self.results.iter().map(ComputeResult::leaf).collect();
        let path = merkle::path(&leaves, 2).expect("three results");
        files.push(("result", self.proof_file(Subject::Result(ResultProof { result: self.results[2], path, roots }))));
        let leaves: Vec<Digest> = self.settlements.iter().map(Settlement::leaf).collect();
        let path = merkle::path(&leaves, 0).expect("two settlements");
        let settlement = self.settlements[0];
        files.push(("settlement", self.proof_file(Subject::Settlement(SettlementProof { settlement, path, roots }))));
        files
    }

    fn proof_file(&self, subject: Subject) -> ProofFile {
        let start = Start::Genesis { header: self.genesis.clone(), sets: [self.keys(), self.keys()] };
        let link = EpochLink { header: self.block.clone(), certificate: certificate(&self.finalization()), next: None };
        let trust = TrustPath { start, links: Bounded::new(vec![link]).expect("one link") };
        ProofFile { trust, finality: finality(&self.block, &self.finalization()), subject }
    }

    /// A proof file that begins at the anchor of epoch 1, and what has to be trusted for it: the block after the first
    /// one, with the same state.
    pub fn anchored_file(&self) -> (Trusted, ProofFile) {
        let Anchor { genesis, chain, epoch, time, .. } = self.anchor();
        let start = Start::Anchor { genesis, chain, epoch, time, sets: [self.keys(), self.keys()] };
        let block = Header {
            height: Height(2),
            epoch,
            parent: self.block.id(),
            time: TimeMs(time.0 + 1000),
            next_validators: Digest::ZERO,
            ..self.block.clone()
        };
        let Header { view, parent_view, .. } = block;
        let proposal = Proposal { epoch, view, parent_view, payload: block.id() };
        let trust = TrustPath { start, links: Bounded::default() };
        let subject = Subject::State(prove(&self.state, &StateKey::account(&Address([1; 20]))));
        let file = ProofFile { trust, finality: finality(&block, &self.finalize(proposal)), subject };
        (Trusted::Anchor(self.anchor().digest()), file)
    }

    fn keys(&self) -> Bounded<PublicKey, SEATS_MAX> {
        Bounded::new(self.set.keys().to_vec()).expect("four seats")
    }
}

fn finality(block: &Header, finalization: &Finalization) -> FinalityProof {
    let headers = Bounded::new(vec![block.clone()]).expect("one header");
    FinalityProof { headers, certificate: certificate(finalization) }
}

fn certificate<const MAX: usize>(finalization: &Finalization) -> Bounded<u8, MAX> {
    Bounded::new(finalization.encode()).expect("three signatures")
}

/// Five accounts with round balances, and two records more in the bucket of the first.
pub fn small_state() -> BTreeMap<StateKey, Vec<u8>> {
    let accounts = (1u8..=5).map(|n| {
        let account = Account { balance: Amount::new(u128::from(n) * Amount::ONE.units()), nonce: Nonce(n.into()) };
        (StateKey::account(&Address([n; 20])), encode(&account))
    });
    let [first, second, ..] = crowd();
    accounts.chain([first, second].map(|key| (key, b"crowded".to_vec()))).collect()
}

/// Keys that are in no state: in an empty bucket, and in the bucket of the first account.
pub fn absent() -> Vec<StateKey> {
    let [_, _, third, fourth] = crowd();
    vec![StateKey::raw(b"nobody").expect("short"), third, fourth]
}

/// Keys that were ground into the bucket of the first account.
fn crowd() -> [StateKey; 4] {
    let keys = GROUND.map(|n| StateKey::raw(&n.to_le_bytes()).expect("short"));
    let bucket = KeyHash::of(&StateKey::account(&Address([1; 20]))).bucket();
    assert!(keys.iter().all(|key| KeyHash::of(key).bucket() == bucket), "ground again: {:?}", ground(bucket));
    keys
}

/// The numbers of `crowd`, as [`ground`] finds them.
const GROUND: [u32; 4] = [129_710, 179_708, 760_500, 2_548_517];

/// The first numbers whose keys fall into a bucket.
fn ground(bucket: u32) -> Vec<u32> {
    let inside = |n: &u32| KeyHash::of(&StateKey::raw(&n.to_le_bytes()).expect("short")).bucket() == bucket;
    (0..).filter(inside).take(4).collect()
}

/// An entry of a state, as the tree sees it.
#[derive(Clone)]
struct Placed {
    hash: KeyHash,
    key: StateKey,
    value: Vec<u8>,
}

impl Placed {
    fn leaf(&self) -> Digest {
        tree::leaf(&self.key, &tree::value_hash(&self.value))
    }
}

/// The proof of what a state says of a key.
pub fn prove(state: &BTreeMap<StateKey, Vec<u8>>, key: &StateKey) -> StateProof {
    let place = KeyHash::of(key);
    let mut buckets: BTreeMap<u32, Vec<Placed>> = BTreeMap::new();
    for (key, value) in state {
        let hash = KeyHash::of(key);
        buckets.entry(hash.bucket()).or_default().push(Placed { hash, key: key.clone(), value: value.clone() });
    }

    // Down the bucket, as long as the key shares its part with more than one entry.
    let mut part = buckets.get(&place.bucket()).cloned().unwrap_or_default();
    let mut beside = Vec::new();
    while part.len() > 1 {
        let depth = u32::try_from(beside.len()).expect("at most 236");
        let (with, without): (Vec<_>, Vec<_>) = part.into_iter().partition(|e| e.hash.bit(depth) == place.bit(depth));
        beside.push(part_of(&without, depth + 1).digest());
        part = with;
    }
    beside.reverse();
    let terminal = match part.first() {
        None => Terminal::EmptySlot,
        Some(entry) if entry.key == *key => {
            Terminal::Present { value: Bounded::new(entry.value.clone()).expect("a short value") }
        }
        Some(entry) => Terminal::OtherKey { key: entry.key.clone(), value_hash: tree::value_hash(&entry.value) },
    };

    // Up from the bucket, with the siblings that are not empty.
    let mut level: BTreeMap<u32, Digest> =
        buckets.iter().map(|(bucket, entries)| (*bucket, part_of(entries, 0).digest())).collect();
    let (mut dense_mask, mut dense_siblings, mut bucket) = (0, Vec::new(), place.bucket());
    for (height, below) in (0..BUCKET_BITS).zip(&tree::empty_roots()) {
        if let Some(sibling) = level.get(&(bucket ^ 1)) {
            dense_mask |= 1 << height;
            dense_siblings.push(*sibling);
        }
        let mut above = BTreeMap::new();
        for pair in level.keys().map(|place| place >> 1) {
            let child = |place: u32| level.get(&place).unwrap_or(below);
            above.insert(pair, tree::dense_node(child(pair << 1), child(pair << 1 | 1)));
        }
        level = above;
        bucket >>= 1;
    }
    let dense_siblings = DenseSiblings::new(dense_siblings).expect("one a level");
    let bucket_siblings = Bounded::new(beside).expect("one a bit");
    StateProof { key: key.clone(), terminal, bucket_siblings, dense_mask, dense_siblings }
}

/// What the entries of a part of a bucket come to.
fn part_of(entries: &[Placed], depth: u32) -> Part {
    match entries {
        [] => Part::Empty,
        [entry] => Part::Leaf(entry.leaf()),
        more => {
            let (left, right): (Vec<_>, Vec<_>) = more.iter().cloned().partition(|e| e.hash.bit(depth) == Side::Left);
            tree::join(part_of(&left, depth + 1), part_of(&right, depth + 1))
        }
    }
}
