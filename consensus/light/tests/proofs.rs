//! From a genesis hash or an anchor to one fact: what a customer's copy of a proof file must show, and what it must refuse.

use std::collections::BTreeMap;

use cpc_light::limits::{PROOF_EPOCHS_MAX, PROOF_FILE_BYTES_MAX, PROOF_HEADERS_MAX};
use cpc_light::{
    Anchor, CertError, EpochLink, FinalityProof, Finalization, ProofError, ProofFile, Proposal, ResultProof,
    SettlementProof, Start, StateProof, Subject, Terminal, TrustPath, Trusted, TrustedSets, ValidatorSet,
    VerifiedSubject, Vote, certify, namespace,
};
use cpc_primitives::codec::{Bounded, encode};
use cpc_primitives::limits::SEATS_MAX;
use cpc_primitives::merkle;
use cpc_primitives::result::{
    Challenge, ComputeResult, ComputeRoots, Geometry, KernelId, Outcome, Settlement, Subject as Ended,
};
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::root_of;
use cpc_primitives::{
    Address, Amount, BlockId, ChainId, Digest, Domain, Epoch, Gas, Header, Height, JobIndex, Mismatch, SecretKey,
    TaskId, TimeMs, Units, View,
};

/// Blocks of an epoch in this test.
const EPOCH: u64 = 3;
/// The seats of the epochs, by the number that their keys come from; epochs 2 and 3 have the same ones.
const SEATS: [(u8, u8); 7] = [(0, 4), (1, 4), (2, 7), (2, 7), (3, 1), (4, 4), (5, 4)];

type Listed = Bounded<cpc_primitives::PublicKey, SEATS_MAX>;

/// A chain of five epochs.
struct Chain {
    headers: Vec<Header>,
    namespace: Vec<u8>,
}

fn keys(epoch: u64) -> Vec<SecretKey> {
    let (seed, count) = SEATS[usize::try_from(epoch).expect("few epochs")];
    let mut keys: Vec<SecretKey> =
        (0..count).map(|seat| SecretKey::from_seed(&Domain::ChainStep.hash(&(seed, seat)).0)).collect();
    keys.sort_by_key(|key| *key.public().bytes());
    keys
}

fn set(epoch: u64) -> ValidatorSet {
    ValidatorSet::new(keys(epoch).iter().map(SecretKey::public).collect()).expect("a set")
}

fn state_value() -> Vec<u8> {
    b"one record".to_vec()
}

fn state_root() -> Digest {
    root_of(&BTreeMap::from([(StateKey::supply(), state_value())]))
}

fn result(job: u32) -> ComputeResult {
    ComputeResult {
        task: TaskId(Digest([7; 32])),
        job: JobIndex(job),
        kernel: KernelId { challenge: Challenge::Synthetic, version: 1 },
        spec: Digest([8; 32]),
        geometry: Geometry { origin: [0; 3], extent: [1; 3] },
        units: Units(1_000),
        worker: Address([9; 20]),
        output: Digest([10; 32]),
        output_bytes: 64,
    }
}

fn settlement(job: u32, outcome: Outcome) -> Settlement {
    let [burn, worker, validators, treasury, refund] = [1, 2, 3, 4, 5].map(Amount::new);
    Settlement { subject: Ended::Job(result(job)), outcome, burn, worker, validators, treasury, refund }
}

fn results() -> Vec<ComputeResult> {
    (0..5).map(result).collect()
}

fn settlements() -> Vec<Settlement> {
    vec![settlement(0, Outcome::Settled), settlement(1, Outcome::Slashed), settlement(2, Outcome::Settled)]
}

fn roots() -> ComputeRoots {
    ComputeRoots::of(&results(), &settlements())
}

impl Chain {
    fn new() -> Self {
        let mut headers: Vec<Header> = Vec::new();
        for height in 0..5 * EPOCH {
            let epoch = height / EPOCH;
            let next_validators = match height {
                0 => Domain::GenesisSets.hash(&(set(0).hash(), set(1).hash())),
                _ if height % EPOCH == EPOCH - 1 => set(epoch + 2).hash(),
                _ => Digest::ZERO,
            };
            headers.push(Header {
                version: 1,
                chain: ChainId(7),
                height: Height(height),
                epoch: Epoch(epoch),
                view: View(height % EPOCH + 1),
                parent_view: View(height % EPOCH),
                parent: headers.last().map(Header::id).unwrap_or_default(),
                time: TimeMs(1_000 * height),
                proposer: keys(epoch)[0].public(),
                beacon: Digest::ZERO,
                tx_root: merkle::root(&[]),
                state_root: state_root(),
                compute_root: roots().digest(),
                gas_used: Gas(0),
                next_validators,
            });
        }
        let namespace = namespace(ChainId(7), &headers[0].id());
        Self { headers, namespace }
    }

    fn genesis(&self) -> Trusted {
        Trusted::Genesis(self.headers[0].id())
    }

    /// What is known of the network before the first block of an epoch.
    fn anchor(&self, epoch: u64) -> Anchor {
        let time = self.at((epoch * EPOCH).saturating_sub(1)).time;
        let sets = [set(epoch).hash(), set(epoch + 1).hash()];
        Anchor { genesis: self.headers[0].id(), chain: ChainId(7), epoch: Epoch(epoch), sets, time }
    }

    /// The way from an anchor at one epoch over the ends of some.
    fn trust_from(&self, epoch: u64, links: u64) -> TrustPath {
        let Anchor { genesis, chain, time, .. } = self.anchor(epoch);
        let sets = [listed(epoch), listed(epoch + 1)];
        let links = (epoch..epoch + links).map(|epoch| self.link(epoch)).collect();
        let start = Start::Anchor { genesis, chain, epoch: Epoch(epoch), time, sets };
        TrustPath { start, links: Bounded::new(links).expect("few") }
    }

    /// A finalization of a header by the set of some epoch.
    fn certificate(&self, header: &Header, view: View, signers: u64) -> Finalization {
        let Header { epoch, parent_view, .. } = *header;
        let proposal = Proposal { epoch, view, parent_view, payload: header.id() };
        let vote = Vote::Finalize(proposal);
        let votes = (0..).zip(keys(signers)).map(|(seat, key)| (seat, vote.sign(&self.namespace, &key)));
        let quorum = usize::try_from(set(signers).quorum()).expect("few seats");
        let votes: Vec<_> = votes.take(quorum).collect();
        Finalization::assemble(proposal, &votes, &set(signers)).expect("a quorum")
    }

    fn link(&self, epoch: u64) -> EpochLink {
        let header = self.at((epoch + 1) * EPOCH - 1).clone();
        // The boundary block was proposed again, so that its certificate is of a later view.
        let certificate = bytes(&self.certificate(&header, View(header.view.0 + epoch), epoch));
        let next = (SEATS[epoch as usize + 2] != SEATS[epoch as usize + 1]).then(|| listed(epoch + 2));
        EpochLink { header, certificate, next }
    }

    fn at(&self, height: u64) -> &Header {
        &self.headers[usize::try_from(height).expect("few blocks")]
    }

    fn trust(&self, links: u64) -> TrustPath {
        let links = (0..links).map(|epoch| self.link(epoch)).collect();
        let sets = [listed(0), listed(1)];
        let start = Start::Genesis { header: self.headers[0].clone(), sets };
        TrustPath { start, links: Bounded::new(links).expect("few") }
    }

    /// A block that is proven by a later one.
    fn finality(&self, certified: u64, target: u64) -> FinalityProof {
        let headers: Vec<Header> = (target..=certified).rev().map(|height| self.at(height).clone()).collect();
        let first = &headers[0];
        let certificate = bytes(&self.certificate(first, first.view, first.epoch.0));
        FinalityProof { headers: Bounded::new(headers).expect("few"), certificate }
    }

    fn file(&self, subject: Subject) -> ProofFile {
        ProofFile { trust: self.trust(3), finality: self.finality(13, 10), subject }
    }
}

fn bytes<const MAX: usize>(certificate: &Finalization) -> Bounded<u8, MAX> {
    Bounded::new(certificate.encode()).expect("a certificate has room")
}

fn listed(epoch: u64) -> Listed {
    Bounded::new(set(epoch).keys().to_vec()).expect("few seats")
}

fn state() -> Subject {
    let value = Bounded::new(state_value()).expect("short");
    Subject::State(StateProof {
        key: StateKey::supply(),
        terminal: Terminal::Present { value },
        bucket_siblings: Bounded::default(),
        dense_mask: 0,
        dense_siblings: Bounded::default(),
    })
}

fn accepted(job: usize) -> ResultProof {
    let leaves: Vec<Digest> = results().iter().map(ComputeResult::leaf).collect();
    let path = merkle::path(&leaves, job).expect("in the list");
    ResultProof { result: results()[job], path, roots: roots() }
}

fn settled(job: usize) -> SettlementProof {
    let leaves: Vec<Digest> = settlements().iter().map(Settlement::leaf).collect();
    let path = merkle::path(&leaves, job).expect("in the list");
    SettlementProof { settlement: settlements()[job], path, roots: roots() }
}

/// Says why a file is refused after one change.
#[track_caller]
fn refuses(message: &str, change: impl FnOnce(&Chain, &mut ProofFile)) {
    let chain = Chain::new();
    let mut file = chain.file(state());
    change(&chain, &mut file);
    let error = ProofFile::verify(&file.encode(), chain.genesis()).expect_err(message).to_string();
    assert!(error.contains(message), "{error}");
}

/// Block 0 and the first sets of a file that begins there.
fn genesis_of(file: &mut ProofFile) -> (&mut Header, &mut [Listed; 2]) {
    match &mut file.trust.start {
        Start::Genesis { header, sets } => (header, sets),
        other => panic!("{other:?}"),
    }
}

fn with<const MAX: usize, T: Clone, R>(
    list: &Bounded<T, MAX>,
    change: impl FnOnce(&mut Vec<T>) -> R,
) -> Bounded<T, MAX> {
    let mut items = list.to_vec();
    let _ = change(&mut items);
    Bounded::new(items).expect("as long")
}

#[test]
fn the_genesis_hash_is_enough_to_judge_every_kind_of_file() {
    let chain = Chain::new();
    let verify = |subject| {
        let proof = ProofFile::verify(&chain.file(subject).encode(), chain.genesis()).expect("proven");
        assert_eq!(proof.header().header(), chain.at(10));
        assert_eq!(proof.header().id(), chain.at(10).id());
        assert_eq!((proof.since(), proof.anchor()), (TimeMs(0), &chain.anchor(3)));
        proof.subject().clone()
    };
    match verify(state()) {
        VerifiedSubject::State(state) => assert_eq!(state.value(), Some(state_value().as_slice())),
        other => panic!("{other:?}"),
    }
    match verify(Subject::Result(accepted(3))) {
        VerifiedSubject::Accepted(accepted) => assert_eq!(accepted.result(), &result(3)),
        other => panic!("{other:?}"),
    }
    match verify(Subject::Settlement(settled(2))) {
        VerifiedSubject::Settled(settled) => {
            assert_eq!(settled.settlement(), &settlements()[2]);
            assert_eq!(settled.result().map(|verified| *verified.result()), Ok(result(2)));
        }
        other => panic!("{other:?}"),
    }
    match verify(Subject::Settlement(settled(1))) {
        VerifiedSubject::Settled(settled) => {
            let error = settled.result().expect_err("slashed").to_string();
            assert_eq!(error, "the job ended without a paid result: Slashed");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_set_on_the_way_is_learnt() {
    let chain = Chain::new();
    let trusted = chain.trust(5).verify(chain.genesis()).expect("trusted");
    assert_eq!(trusted.last_epoch(), Epoch(6));
    for epoch in 0..7 {
        assert_eq!(trusted.set(Epoch(epoch)), Some(&set(epoch)), "{epoch}");
    }
    assert_eq!(trusted.set(Epoch(7)), None);
    assert_eq!(trusted.set(Epoch(u64::MAX)), None);
    assert_eq!(trusted.namespace(), chain.namespace);
    assert_eq!((Trusted::Genesis(trusted.genesis_id()), trusted.since()), (chain.genesis(), TimeMs(0)));
    assert_eq!(trusted.anchor(), chain.anchor(5));
    for height in 1..15 {
        let verified = chain.finality(height, height).verify(&trusted).expect("final");
        assert_eq!(verified.header(), chain.at(height));
        // Every ancestor of a final block is final, the genesis among them.
        let first = chain.finality(height, 0).verify(&trusted).expect("final");
        assert_eq!(Trusted::Genesis(first.id()), chain.genesis());
    }
}

#[test]
fn every_anchor_on_the_way_is_as_good_as_the_genesis() {
    let chain = Chain::new();
    for epoch in 0..5 {
        // Whoever came this far from the genesis knows the anchor.
        let known = chain.trust(epoch).verify(chain.genesis()).expect("trusted").anchor();
        assert_eq!(known, chain.anchor(epoch));
        for links in 0..=5 - epoch {
            let path = chain.trust_from(epoch, links);
            let trusted = path.verify(Trusted::Anchor(known.digest())).expect("trusted");
            assert_eq!(path.start.claims(), Ok(Trusted::Anchor(known.digest())));
            assert_eq!((trusted.since(), trusted.anchor()), (known.time, chain.anchor(epoch + links)));
            assert_eq!(trusted.namespace(), chain.namespace);
            assert_eq!(trusted.last_epoch(), Epoch(epoch + links + 1));
            for other in 0..8 {
                let expected = (epoch..epoch + links + 2).contains(&other).then(|| set(other));
                assert_eq!(trusted.set(Epoch(other)), expected.as_ref(), "{epoch} + {links}: {other}");
            }
        }
    }
    let file = ProofFile { trust: chain.trust_from(2, 1), ..chain.file(state()) };
    let trusted = Trusted::Anchor(chain.anchor(2).digest());
    let proof = ProofFile::verify(&file.encode(), trusted).expect("proven");
    assert_eq!((proof.since(), proof.anchor()), (TimeMs(5_000), &chain.anchor(3)));
    assert_eq!(proof.header().header(), chain.at(10));
    let links = with(&file.trust.links, Vec::clear);
    let short = ProofFile { trust: TrustPath { links, ..file.trust.clone() }, ..file };
    let error = ProofFile::verify(&short.encode(), trusted).expect_err("too short").to_string();
    assert_eq!(error, "the trust knows the sets of epochs 2 to 3, the certified block is of epoch 4");
}

#[test]
fn an_anchor_is_the_hash_of_its_parts_in_their_order() {
    let Anchor { genesis, chain, epoch, sets: [one, two], time } = Chain::new().anchor(2);
    let parts = (genesis, chain, epoch, one, two, time);
    assert_eq!(encode(&parts).len(), 32 + 8 + 8 + 32 + 32 + 8);
    assert_eq!(Chain::new().anchor(2).digest(), Domain::TrustAnchor.hash(&parts));
}

#[test]
fn a_start_that_is_not_the_one_that_is_trusted_is_refused_by_name() {
    let chain = Chain::new();
    let anchor = Trusted::Anchor(chain.anchor(2).digest());
    let verify = |trust: &TrustPath, trusted| trust.verify(trusted).map(drop).expect_err("not trusted").to_string();
    let elsewhere = "this file begins elsewhere than where the trust does";
    assert!(verify(&chain.trust_from(1, 1), anchor).contains(elsewhere));
    let begins = verify(&chain.trust_from(2, 1), chain.genesis());
    assert_eq!(begins, "the file begins at an anchor of epoch 2, where a genesis is trusted");
    assert_eq!(verify(&chain.trust(3), anchor), "the file begins at a genesis, where an anchor is trusted");

    type Change = fn(&mut BlockId, &mut ChainId, &mut Epoch, &mut TimeMs, &mut [Listed; 2]);
    let changes: [Change; 6] = [
        |genesis, _, _, _, _| genesis.0.0[0] ^= 1,
        |_, chain, _, _, _| chain.0 += 1,
        |_, _, epoch, _, _| epoch.0 += 1,
        |_, _, _, time, _| time.0 += 1,
        |_, _, _, _, sets| sets[0] = listed(0),
        |_, _, _, _, sets| sets[1] = listed(0),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut trust = chain.trust_from(2, 0);
        match &mut trust.start {
            Start::Anchor { genesis, chain, epoch, time, sets } => change(genesis, chain, epoch, time, sets),
            other => panic!("{other:?}"),
        }
        let error = verify(&trust, anchor);
        assert!(error.contains(elsewhere), "{number}: {error}");
    }
    let mut trust = chain.trust_from(2, 0);
    if let Start::Anchor { sets, .. } = &mut trust.start {
        sets[1] = with(&sets[1], |keys| keys.swap(0, 1));
    }
    assert!(verify(&trust, anchor).contains("the set of epoch 3: key 1 of the set of validators"));
}

/// An anchor is what somebody trusts, but its epoch is a number in a file: at the end of the numbers nothing breaks.
#[test]
fn an_anchor_at_the_last_epochs_leads_nowhere() {
    let chain = Chain::new();
    for epoch in [u64::MAX - 2, u64::MAX - 1, u64::MAX] {
        let mut trust = chain.trust_from(0, 2);
        trust.start = Start::Anchor {
            genesis: chain.at(0).id(),
            chain: ChainId(7),
            epoch: Epoch(epoch),
            time: TimeMs(0),
            sets: [listed(0), listed(1)],
        };
        let trusted = trust.start.claims().expect("two sets");
        let error = trust.verify(trusted).map(|sets: TrustedSets| sets.anchor()).expect_err("no such epoch");
        assert_eq!(error, ProofError::LinkEpoch(Mismatch { expected: epoch, found: 0 }));
    }
}

#[test]
fn trust_that_does_not_follow_from_the_genesis_is_refused_by_name() {
    let chain = Chain::new();
    let file = chain.file(state());
    let error =
        ProofFile::verify(&file.encode(), Trusted::Genesis(BlockId(Digest([1; 32])))).expect_err("another genesis");
    let mismatch = Mismatch { expected: BlockId(Digest([1; 32])), found: chain.at(0).id() };
    assert_eq!(error, ProofError::Genesis(mismatch));

    refuses("this file is of another network", |_, file| genesis_of(file).0.time = TimeMs(1));
    refuses("the sets of epochs 0 and 1: expected", |_, file| genesis_of(file).1.swap(0, 1));
    refuses("the sets of epochs 0 and 1: expected", |_, file| genesis_of(file).1[1] = listed(2));
    refuses("the set of epoch 1: a set of validators has at least one key", |_, file| {
        genesis_of(file).1[1] = Bounded::default();
    });
    refuses("the set of epoch 0: key 1 of the set of validators", |_, file| {
        genesis_of(file).1[0] = with(&genesis_of(file).1[0], |keys| keys.swap(0, 1));
    });
    refuses("the epoch of a link of the trust: expected 1, found 2", |_, file| {
        file.trust.links = with(&file.trust.links, |links| links.remove(1));
    });
    refuses("the epoch of a link of the trust: expected 0, found 1", |_, file| {
        file.trust.links = with(&file.trust.links, |links| links.swap(0, 1));
    });
    refuses("the header of epoch 1 in the trust, at height 4, is not the last of its epoch", |chain, file| {
        file.trust.links = with(&file.trust.links, |links| links[1].header = chain.at(4).clone());
    });
    // Block 0 names sets too, but in another domain, and nobody signs it.
    refuses("block 0 is no link of the trust", |chain, file| {
        file.trust.links = with(&file.trust.links, |links| links[0].header = chain.at(0).clone());
    });
    refuses("the hash of the set of epoch 2: expected", |_, file| {
        file.trust.links = with(&file.trust.links, |links| links[0].next = Some(listed(3 + 1)));
    });
    refuses("the hash of the set of epoch 2: expected", |_, file| {
        file.trust.links = with(&file.trust.links, |links| links[0].next = None);
    });
    refuses("the certificate of the block at height 5, epoch 1: the certified block: expected", |_, file| {
        file.trust.links = with(&file.trust.links, |links| links[1].header.time = TimeMs(0));
    });
    refuses(
        "the certificate of the block at height 5, epoch 1: the signature of seat 0 does not verify",
        |chain, file| {
            let header = chain.at(5);
            let stranger = bytes(&chain.certificate(header, header.view, 0));
            file.trust.links = with(&file.trust.links, |links| links[1].certificate = stranger);
        },
    );
    refuses(
        "the certificate of the block at height 8, epoch 2: the seats of the set: expected 7, found 4",
        |chain, file| {
            let header = chain.at(8);
            let stranger = bytes(&chain.certificate(header, header.view, 1));
            file.trust.links = with(&file.trust.links, |links| links[2].certificate = stranger);
        },
    );
    refuses("the network: expected 7, found 8", |_, file| {
        file.trust.links = with(&file.trust.links, |links| links[1].header.chain = ChainId(8));
    });
    refuses("the trust knows the sets of epochs 0 to 3, the certified block is of epoch 4", |_, file| {
        file.trust.links = with(&file.trust.links, |links| links.pop());
    });
}

#[test]
fn a_genesis_with_a_height_is_none() {
    let chain = Chain::new();
    let mut file = chain.file(state());
    *genesis_of(&mut file).0 = chain.at(1).clone();
    let error = ProofFile::verify(&file.encode(), Trusted::Genesis(chain.at(1).id())).expect_err("no genesis");
    assert_eq!(error, ProofError::GenesisPlace { height: Height(1), epoch: Epoch(0) });
}

#[test]
fn finality_that_does_not_reach_the_block_is_refused_by_name() {
    refuses("the proof of finality holds no header", |_, file| file.finality.headers = Bounded::default());
    refuses("the parent of the block at height 12: expected", |_, file| {
        file.finality.headers = with(&file.finality.headers, |headers| headers.swap_remove(2));
    });
    refuses("the parent of the block at height 11: expected", |_, file| {
        file.finality.headers = with(&file.finality.headers, |headers| headers[3].state_root = Digest::ZERO);
    });
    refuses("the certificate of the block at height 13, epoch 4: the certified block: expected", |_, file| {
        file.finality.headers = with(&file.finality.headers, |headers| headers[0].gas_used = Gas(1));
    });
    refuses("the certificate of the block at height 13, epoch 4: the bytes end too early", |_, file| {
        file.finality.certificate = Bounded::default();
    });
    refuses("expected 7, found 9", |_, file| {
        file.finality.headers = with(&file.finality.headers, |headers| headers[0].chain = ChainId(9));
    });
}

#[test]
fn a_parent_of_another_height_is_refused() {
    let mut chain = Chain::new();
    chain.headers[13].parent = chain.at(10).id();
    let trusted = chain.trust(3).verify(chain.genesis()).expect("trusted");
    let certificate = bytes(&chain.certificate(chain.at(13), View(2), 4));
    let headers = Bounded::new(vec![chain.at(13).clone(), chain.at(10).clone()]).expect("two");
    let error = FinalityProof { headers, certificate }.verify(&trusted).expect_err("a gap");
    assert_eq!(error.to_string(), "the parent of the block at height 13 has height 10");
}

#[test]
fn a_certificate_must_fit_its_header() {
    let chain = Chain::new();
    let (header, space) = (chain.at(4).clone(), chain.namespace.as_slice());
    let certificate = chain.certificate(&header, header.view, 1);
    assert!(certify(header.clone(), &certificate, &set(1), space).is_ok());
    let later = chain.certificate(&header, View(header.view.0 + 1), 1);
    assert!(certify(header.clone(), &later, &set(1), space).is_ok());
    let earlier = chain.certificate(&header, View(1), 1);
    let refused = CertError::View { proposed: View(2), certified: View(1) };
    assert_eq!(certify(header.clone(), &earlier, &set(1), space), Err(refused));

    let proposal = Proposal { epoch: Epoch(2), ..certificate.proposal };
    let votes: Vec<_> =
        (0..).zip(keys(1)).map(|(seat, key)| (seat, Vote::Finalize(proposal).sign(space, &key))).collect();
    let moved = Finalization::assemble(proposal, &votes, &set(1)).expect("a quorum");
    let refused = CertError::Epoch(Mismatch { expected: Epoch(1), found: Epoch(2) });
    assert_eq!(certify(header.clone(), &moved, &set(1), space), Err(refused));

    let few = Finalization::assemble(proposal, &votes[..2], &set(1));
    assert_eq!(few, Err(CertError::Quorum { needed: 3, found: 2 }));
    let twice = Finalization::assemble(proposal, &[votes[0], votes[1], votes[1]], &set(1));
    assert_eq!(twice, Err(CertError::DoubleSeat { seat: 1 }));
    let beyond = Finalization::assemble(proposal, &[votes[0], votes[1], (4, votes[2].1)], &set(1));
    assert_eq!(beyond, Err(CertError::UnknownSeat { seat: 4, seats: 4 }));

    let forged = Finalization::assemble(certificate.proposal, &votes, &set(1)).expect("a quorum in form");
    let key = set(1).keys()[0];
    assert_eq!(certify(header, &forged, &set(1), space), Err(CertError::Signature { seat: 0, key }));
}

#[test]
fn a_quorum_of_one_is_a_node_of_its_own() {
    let chain = Chain::new();
    let header = chain.at(13).clone();
    let certificate = chain.certificate(&header, header.view, 4);
    assert_eq!(certificate.signers.iter().count(), 1);
    assert_eq!(Finalization::decode(&certificate.encode()), Ok(certificate.clone()));
    assert!(certify(header, &certificate, &set(4), &chain.namespace).is_ok());
}

#[test]
fn results_that_the_block_does_not_hold_are_refused_by_name() {
    let result_of = |proof| Subject::Result(proof);
    refuses("the path in the list: the root: expected", |_, file| {
        file.subject = result_of(ResultProof { result: result(4), ..accepted(3) });
    });
    refuses("the compute root: expected", |_, file| {
        let roots = ComputeRoots { result_count: 6, ..roots() };
        file.subject = result_of(ResultProof { roots, ..accepted(3) });
    });
    refuses("the count of the list: expected 5, found 6", |_, file| {
        let mut proof = accepted(3);
        proof.path.count = 6;
        file.subject = result_of(proof);
    });
    // A settlement's leaf is no result's leaf, even in a tree of the same length.
    refuses("the count of the list: expected 3, found 5", |_, file| {
        let SettlementProof { settlement, roots, .. } = settled(0);
        file.subject = Subject::Settlement(SettlementProof { settlement, path: accepted(0).path, roots });
    });
    refuses("the path in the list: the root: expected", |_, file| {
        let settlement = Settlement { outcome: Outcome::Settled, ..settlements()[1] };
        file.subject = Subject::Settlement(SettlementProof { settlement, ..settled(1) });
    });
    refuses("the state root: expected", |_, file| {
        let Subject::State(proof) = state() else { panic!("a proof of state") };
        file.subject = Subject::State(StateProof { terminal: Terminal::EmptySlot, ..proof });
    });
}

#[test]
fn no_byte_of_a_file_can_be_changed_cut_or_added() {
    let chain = Chain::new();
    for subject in [state(), Subject::Settlement(settled(2))] {
        let bytes = chain.file(subject).encode();
        assert_eq!(ProofFile::decode(&bytes).expect("a file").encode(), bytes);
        for place in (0..bytes.len()).filter(|place| *place < 16 || place % 5 == 0) {
            let mut bent = bytes.clone();
            bent[place] ^= 1 << (place % 8);
            assert!(ProofFile::verify(&bent, chain.genesis()).is_err(), "byte {place}");
            assert!(ProofFile::verify(&bytes[..place], chain.genesis()).is_err(), "cut at {place}");
        }
        assert!(ProofFile::verify(&[bytes.as_slice(), &[0]].concat(), chain.genesis()).is_err());
    }
}

#[test]
fn what_is_no_file_of_ours_is_refused_by_name() {
    let chain = Chain::new();
    let bytes = chain.file(state()).encode();
    assert_eq!(ProofFile::decode(b"cpcpro"), Err(ProofError::Magic));
    assert_eq!(ProofFile::decode(b"cpcproof\x01"), Err(ProofError::Magic));
    assert_eq!(ProofFile::decode(b"PK\x03\x04 and so on"), Err(ProofError::Magic));
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert_eq!(ProofFile::decode(&newer), Err(ProofError::Version(Mismatch { expected: 1, found: 2 })));
    let long = [bytes.as_slice(), &vec![0; PROOF_FILE_BYTES_MAX - bytes.len() + 1]].concat();
    let error = ProofFile::decode(&long).expect_err("too long").to_string();
    assert!(error.contains(&format!("at most {PROOF_FILE_BYTES_MAX} are allowed")), "{error}");
    let error = ProofFile::decode(&long[..PROOF_FILE_BYTES_MAX]).expect_err("zeros follow").to_string();
    assert!(!error.contains("allowed"), "{error}");
}

#[test]
fn lists_have_their_limits() {
    let header = Chain::new().headers[0].clone();
    assert!(Bounded::<Header, PROOF_HEADERS_MAX>::new(vec![header.clone(); PROOF_HEADERS_MAX]).is_ok());
    assert!(Bounded::<Header, PROOF_HEADERS_MAX>::new(vec![header; PROOF_HEADERS_MAX + 1]).is_err());
    let link = Chain::new().link(0);
    assert!(Bounded::<EpochLink, PROOF_EPOCHS_MAX>::new(vec![link; PROOF_EPOCHS_MAX + 1]).is_err());
}
