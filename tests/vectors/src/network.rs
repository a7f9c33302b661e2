//! A network of four known seats with one final block, and proofs of its small state: what the light formats are
//! sampled from.

use std::collections::BTreeMap;

use cpc_light::{
    DenseSiblings, EpochLink, FinalityProof, Finalization, ProofFile, Proposal, ResultProof, SettlementProof,
    SignedVote, StateProof, Subject, Terminal, TrustPath, ValidatorSet, Vote, namespace,
};
use cpc_primitives::codec::encode;
use cpc_primitives::limits::BUCKET_BITS;
use cpc_primitives::merkle;
use cpc_primitives::result::{ComputeResult, ComputeRoots, Settlement};
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::tree::{self, KeyHash};
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
        let proposal = self.proposal();
        let votes: Vec<_> = (0..3).map(|seat| (seat, self.vote(seat, Vote::Finalize(proposal)).signature)).collect();
        Finalization::assemble(proposal, &votes, &self.set).expect("three seats of the set")
    }

    /// A proof file of every kind.
    pub fn proof_files(&self) -> Vec<(&'static str, ProofFile)> {
        let mut files = Vec::new();
        for (name, key) in [("balance", self.state.keys().next()), ("absent", None)] {
            let absent = StateKey::raw(b"nobody").expect("short");
            let key = key.unwrap_or(&absent);
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
        let keys = || Bounded::new(self.set.keys().to_vec()).expect("four seats");
        let certificate = || Bounded::new(self.finalization().encode()).expect("three signatures");
        let link = EpochLink { header: self.block.clone(), certificate: certificate(), next: None };
        ProofFile {
            trust: TrustPath {
                genesis: self.genesis.clone(),
                sets: [keys(), keys()],
                links: Bounded::new(vec![link]).expect("one link"),
            },
            finality: FinalityProof {
                headers: Bounded::new(vec![self.block.clone()]).expect("one header"),
                certificate: certificate(),
            },
            subject,
        }
    }
}

/// Five accounts with round balances.
pub fn small_state() -> BTreeMap<StateKey, Vec<u8>> {
    (1u8..=5)
        .map(|n| {
            let account = Account { balance: Amount::new(u128::from(n) * Amount::ONE.units()), nonce: Nonce(n.into()) };
            (StateKey::account(&Address([n; 20])), encode(&account))
        })
        .collect()
}

/// The proof of what a state says of a key, for states in which no two keys share a bucket.
pub fn prove(state: &BTreeMap<StateKey, Vec<u8>>, key: &StateKey) -> StateProof {
    let leaf = |key: &StateKey, value: &[u8]| (KeyHash::of(key).bucket(), tree::leaf(key, &tree::value_hash(value)));
    let mut level: BTreeMap<u32, Digest> = state.iter().map(|(key, value)| leaf(key, value)).collect();
    assert_eq!(level.len(), state.len(), "no two keys share a bucket");
    let mut place = KeyHash::of(key).bucket();
    let terminal = match state.get(key) {
        Some(value) => Terminal::Present { value: Bounded::new(value.clone()).expect("a short value") },
        None => {
            assert!(!level.contains_key(&place), "the bucket of an absent key is empty");
            Terminal::EmptySlot
        }
    };
    let (mut dense_mask, mut dense_siblings) = (0, Vec::new());
    let empty = tree::empty_roots();
    for (height, below) in (0..BUCKET_BITS).zip(&empty) {
        if let Some(sibling) = level.get(&(place ^ 1)) {
            dense_mask |= 1 << height;
            dense_siblings.push(*sibling);
        }
        let mut above = BTreeMap::new();
        for pair in level.keys().map(|place| place >> 1) {
            let child = |place: u32| level.get(&place).unwrap_or(below);
            above.insert(pair, tree::dense_node(child(pair << 1), child(pair << 1 | 1)));
        }
        level = above;
        place >>= 1;
    }
    let dense_siblings = DenseSiblings::new(dense_siblings).expect("one a level");
    StateProof { key: key.clone(), terminal, bucket_siblings: Bounded::default(), dense_mask, dense_siblings }
}
