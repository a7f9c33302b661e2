//! Our votes, certificates and evidence beside those of the BFT library: the same bytes and the same verdicts.
//!
//! The library is a dependency of this test alone. What it makes and what it answers is written to the golden files
//! under `votes/`, against which `cpc-light` is tested without it (VOTE-6).

use commonware_codec::{Decode as _, DecodeExt as _, Encode as _};
use commonware_consensus::simplex::scheme::Namespace;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types as library;
use commonware_consensus::types::{Epoch as LibraryEpoch, Round, View as LibraryView};
use commonware_cryptography::blake3::Digest as LibraryDigest;
use commonware_cryptography::certificate::{Namespace as _, Subject as _};
use commonware_cryptography::ed25519::{PrivateKey, PublicKey as LibraryKey};
use commonware_parallel::Sequential;
use commonware_utils::ordered::Set;
use commonware_utils::{non_empty, union_unique};
use cpc_light::{
    ConflictingVotes, Finalization, Notarization, Nullification, Proposal, SignedVote, ValidatorSet, Vote, VoteKind,
    namespace,
};
use cpc_primitives::hash::hex;
use cpc_primitives::{BlockId, ChainId, Domain, Epoch, SecretKey, View};
use cpc_vectors::golden::{Entry, hold};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

const SIZES: [u16; 4] = [1, 4, 7, 16];
const KINDS: [VoteKind; 3] = [VoteKind::Notarize, VoteKind::Nullify, VoteKind::Finalize];

/// One set of validators, as we and as the library know it.
struct World {
    namespace: Vec<u8>,
    keys: Vec<SecretKey>,
    set: ValidatorSet,
    /// The library's signers, in the order of the seats.
    schemes: Vec<Scheme>,
    /// The library's namespaces of the three kinds.
    spaces: Namespace,
}

impl World {
    fn new(size: u16) -> Self {
        let genesis = BlockId(Domain::Header.hash_bytes(b"genesis"));
        let namespace = namespace(ChainId(7), &genesis);
        let seed = |seat: u16| Domain::ChainStep.hash(&(size, seat)).0;
        let mut keys: Vec<SecretKey> = (0..size).map(|seat| SecretKey::from_seed(&seed(seat))).collect();
        keys.sort_by_key(|key| *key.public().bytes());
        let set = ValidatorSet::new(keys.iter().map(SecretKey::public).collect()).expect("a set");

        let read = |key: &SecretKey| LibraryKey::decode(key.public().bytes().to_vec()).expect("a key");
        let participants = Set::from_iter_dedup(keys.iter().map(read));
        let signer = |key: &SecretKey| {
            let key = PrivateKey::decode(key.seed().to_vec()).expect("a key");
            Scheme::signer(&namespace, participants.clone(), key).expect("a participant")
        };
        let schemes = keys.iter().map(signer).collect();
        let spaces = Namespace::derive(&namespace);
        Self { namespace, keys, set, schemes, spaces }
    }

    fn sign(&self, vote: Vote, seat: usize) -> SignedVote {
        let signature = vote.sign(&self.namespace, &self.keys[seat]);
        SignedVote { vote, seat: u32::try_from(seat).expect("few seats"), signature }
    }

    /// The vote as the library signs it.
    fn library_vote(&self, vote: &Vote, seat: usize) -> library::Vote<Scheme, LibraryDigest> {
        let scheme = &self.schemes[seat];
        match vote {
            Vote::Notarize(proposal) => {
                library::Vote::Notarize(library::Notarize::sign(scheme, theirs(proposal)).expect("a signer"))
            }
            Vote::Nullify { epoch, view } => library::Vote::Nullify(
                library::Nullify::sign::<LibraryDigest>(scheme, round(*epoch, *view)).expect("a signer"),
            ),
            Vote::Finalize(proposal) => {
                library::Vote::Finalize(library::Finalize::sign(scheme, theirs(proposal)).expect("a signer"))
            }
        }
    }

    /// The library's certificate of these seats.
    fn library_certificate(&self, vote: &Vote, seats: &[usize]) -> Vec<u8> {
        let (scheme, strategy) = (&self.schemes[0], &Sequential);
        match vote {
            Vote::Notarize(proposal) => {
                let votes = seats
                    .iter()
                    .map(|seat| library::Notarize::sign(&self.schemes[*seat], theirs(proposal)).expect("a signer"));
                let votes: Vec<_> = votes.collect();
                let made = library::Notarization::from_notarizes(scheme, non_empty![@votes.iter()], strategy);
                made.expect("a quorum").encode().to_vec()
            }
            Vote::Nullify { epoch, view } => {
                let votes = seats.iter().map(|seat| {
                    let scheme = &self.schemes[*seat];
                    library::Nullify::sign::<LibraryDigest>(scheme, round(*epoch, *view)).expect("a signer")
                });
                let votes: Vec<_> = votes.collect();
                let made = library::Nullification::from_nullifies(scheme, non_empty![@votes.iter()], strategy);
                made.expect("a quorum").encode().to_vec()
            }
            Vote::Finalize(proposal) => {
                let votes = seats
                    .iter()
                    .map(|seat| library::Finalize::sign(&self.schemes[*seat], theirs(proposal)).expect("a signer"));
                let votes: Vec<_> = votes.collect();
                let made = library::Finalization::from_finalizes(scheme, non_empty![@votes.iter()], strategy);
                made.expect("a quorum").encode().to_vec()
            }
        }
    }

    /// Whether the library takes these bytes as a certificate of its set.
    fn library_accepts(&self, kind: VoteKind, bytes: &[u8]) -> bool {
        let (scheme, bytes, seats) = (&self.schemes[0], bytes.to_vec(), self.keys.len());
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        match kind {
            VoteKind::Notarize => library::Notarization::<Scheme, LibraryDigest>::decode_cfg(bytes, &seats)
                .is_ok_and(|read| read.verify(&mut rng, scheme, &Sequential)),
            VoteKind::Nullify => library::Nullification::<Scheme>::decode_cfg(bytes, &seats)
                .is_ok_and(|read| read.verify::<_, LibraryDigest>(&mut rng, scheme, &Sequential)),
            VoteKind::Finalize => library::Finalization::<Scheme, LibraryDigest>::decode_cfg(bytes, &seats)
                .is_ok_and(|read| read.verify(&mut rng, scheme, &Sequential)),
        }
    }

    /// Whether we do.
    fn we_accept(&self, kind: VoteKind, bytes: &[u8]) -> bool {
        let (set, namespace) = (&self.set, &self.namespace);
        let (again, verdict) = match kind {
            VoteKind::Notarize => match Notarization::decode(bytes) {
                Ok(read) => (read.encode(), read.verify(set, namespace)),
                Err(_) => return false,
            },
            VoteKind::Nullify => match Nullification::decode(bytes) {
                Ok(read) => (read.encode(), read.verify(set, namespace)),
                Err(_) => return false,
            },
            VoteKind::Finalize => match Finalization::decode(bytes) {
                Ok(read) => (read.encode(), read.verify(set, namespace)),
                Err(_) => return false,
            },
        };
        assert_eq!(again, bytes, "what is read is what would be written");
        verdict.is_ok()
    }

    /// Whether the library takes these bytes as evidence.
    fn library_convicts(&self, bytes: &[u8]) -> bool {
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let read = library::Activity::<Scheme, LibraryDigest>::decode_cfg(bytes.to_vec(), &self.keys.len());
        matches!(bytes.first(), Some(7..=9))
            && read.is_ok_and(|read| read.verify(&mut rng, &self.schemes[0], &Sequential))
    }

    /// Whether we do, and that the offence is the one that the bytes name.
    fn we_convict(&self, bytes: &[u8]) -> bool {
        let Ok(read) = ConflictingVotes::decode(bytes) else { return false };
        assert_eq!(read.encode(), bytes, "what is read is what would be written");
        let Ok(offence) = read.verify(&self.set, &self.namespace) else { return false };
        let [vote, _] = read.votes();
        assert_eq!(self.set.seat(&offence.key), Some(vote.seat));
        assert_eq!((offence.epoch, offence.view), (vote.vote.epoch(), vote.vote.view()));
        true
    }
}

fn theirs(proposal: &Proposal) -> library::Proposal<LibraryDigest> {
    let Proposal { epoch, view, parent_view, payload } = *proposal;
    library::Proposal::new(round(epoch, view), LibraryView::new(parent_view.0), LibraryDigest(payload.0.0))
}

fn round(epoch: Epoch, view: View) -> Round {
    Round::new(LibraryEpoch::new(epoch.0), LibraryView::new(view.0))
}

/// Rounds whose integers take one byte, two, many and all ten.
fn proposals() -> Vec<Proposal> {
    let rounds = [
        (0, 1, 0),
        (1, 127, 126),
        (128, 128, 0),
        (300, 16_384, 16_383),
        (1 << 32, 1 << 40, 1 << 39),
        (u64::MAX, u64::MAX, u64::MAX - 1),
    ];
    rounds
        .iter()
        .zip(0u8..)
        .map(|(&(epoch, view, parent), number)| Proposal {
            epoch: Epoch(epoch),
            view: View(view),
            parent_view: View(parent),
            payload: BlockId(Domain::Header.hash_bytes(&[number])),
        })
        .collect()
}

fn vote_of(kind: VoteKind, proposal: Proposal) -> Vote {
    match kind {
        VoteKind::Notarize => Vote::Notarize(proposal),
        VoteKind::Nullify => Vote::Nullify { epoch: proposal.epoch, view: proposal.view },
        VoteKind::Finalize => Vote::Finalize(proposal),
    }
}

/// The first quorum of a set, the last one, and everybody.
fn quorums(set: &ValidatorSet) -> Vec<Vec<usize>> {
    let (seats, quorum) = (set.keys().len(), usize::try_from(set.quorum()).expect("few seats"));
    let mut quorums = vec![(0..quorum).collect(), (seats - quorum..seats).collect(), (0..seats).collect::<Vec<_>>()];
    quorums.dedup();
    quorums
}

/// Bytes with one bit changed in each of them, cut short, and drawn out.
fn mutations(bytes: &[u8], dense: usize) -> Vec<Vec<u8>> {
    // The first bytes say what the rest means; of the signatures every eleventh byte is enough.
    let places = (0..bytes.len()).filter(|place| *place < dense || place % 11 == 0);
    let mut mutations: Vec<Vec<u8>> = Vec::new();
    for place in places {
        let mut flipped = bytes.to_vec();
        flipped[place] ^= 1 << (place % 8);
        mutations.push(flipped);
        if place < 16 {
            // A needless continuation of what may be an integer.
            let mut stretched = bytes.to_vec();
            stretched[place] |= 0x80;
            stretched.insert(place + 1, 0);
            mutations.push(stretched);
            let mut high = bytes.to_vec();
            high[place] |= 0x80;
            mutations.push(high);
        }
    }
    mutations.extend((0..bytes.len()).step_by(13).map(|end| bytes[..end].to_vec()));
    mutations.push([bytes, &[0]].concat());
    mutations.push([bytes, &bytes[bytes.len() - 64..]].concat());
    mutations.retain(|bent| bent != bytes);
    mutations
}

/// A certificate from its parts, which need not fit each other.
fn raw(subject: &[u8], seats: u64, signers: &[usize], count: u8, signatures: &[&[u8]]) -> Vec<u8> {
    let bytes = usize::try_from(seats.min(4096).div_ceil(8)).expect("small");
    let mut bitmap = vec![0u8; bytes];
    for seat in signers {
        if let Some(byte) = bitmap.get_mut(seat / 8) {
            *byte |= 1 << (seat % 8);
        }
    }
    [subject, &seats.to_be_bytes(), &bitmap, &[count], &signatures.concat()].concat()
}

#[test]
fn our_votes_are_the_librarys_to_the_bit() {
    let mut cases = 0;
    for world in SIZES.map(World::new) {
        for proposal in proposals() {
            for vote in KINDS.map(|kind| vote_of(kind, proposal)) {
                let (theirs, round) = (theirs(&proposal), round(proposal.epoch, proposal.view));
                let subject = match vote.kind() {
                    VoteKind::Notarize => library::Subject::Notarize { proposal: &theirs },
                    VoteKind::Nullify => library::Subject::Nullify { round },
                    VoteKind::Finalize => library::Subject::Finalize { proposal: &theirs },
                };
                let message = union_unique(subject.namespace(&world.spaces), &subject.message());
                assert_eq!(vote.message(&world.namespace), message);
                for seat in 0..world.keys.len() {
                    let (ours, theirs) = (world.sign(vote, seat), world.library_vote(&vote, seat));
                    let bytes = theirs.encode().to_vec();
                    assert_eq!(ours.encode(), bytes);
                    assert_eq!(SignedVote::decode(&bytes), Ok(ours));
                    let key = &world.set.keys()[seat];
                    assert_eq!(vote.verify(&world.namespace, key, &ours.signature), Ok(()));
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 28 * 6 * 3);
}

#[test]
fn bent_votes_are_read_by_both_or_by_neither() {
    let world = World::new(4);
    let (mut read, mut cases) = (0, 0);
    for proposal in proposals() {
        for vote in KINDS.map(|kind| vote_of(kind, proposal)) {
            for bytes in mutations(&world.sign(vote, 2).encode(), usize::MAX) {
                let theirs = library::Vote::<Scheme, LibraryDigest>::decode(bytes.clone()).ok();
                let ours = SignedVote::decode(&bytes).ok();
                assert_eq!(
                    ours.map(|vote| vote.encode()),
                    theirs.map(|vote| vote.encode().to_vec()),
                    "{}",
                    hex(&bytes)
                );
                read += usize::from(ours.is_some());
                cases += 1;
            }
        }
    }
    assert!(read > 500 && cases - read > 500, "{read} of {cases} are read");
}

#[test]
fn our_certificates_are_the_librarys_to_the_bit() {
    let mut cases = 0;
    for world in SIZES.map(World::new) {
        for proposal in proposals() {
            for vote in KINDS.map(|kind| vote_of(kind, proposal)) {
                for seats in quorums(&world.set) {
                    let bytes = world.library_certificate(&vote, &seats);
                    assert!(world.library_accepts(vote.kind(), &bytes));
                    assert!(world.we_accept(vote.kind(), &bytes));
                    if vote.kind() == VoteKind::Finalize {
                        // Votes come in any order.
                        let votes: Vec<_> = seats.iter().rev().map(|seat| world.sign(vote, *seat)).collect();
                        let votes: Vec<_> = votes.iter().map(|vote| (vote.seat, vote.signature)).collect();
                        let ours = Finalization::assemble(proposal, &votes, &world.set).expect("a quorum");
                        assert_eq!(ours.encode(), bytes);
                    }
                    cases += 1;
                }
            }
        }
    }
    assert!(cases > 150, "{cases}");
}

#[test]
fn bent_certificates_are_accepted_by_neither() {
    let mut cases = 0;
    for world in SIZES.map(World::new) {
        for proposal in [proposals()[1], proposals()[5]] {
            for kind in KINDS {
                let seats = &quorums(&world.set)[0];
                let bytes = world.library_certificate(&vote_of(kind, proposal), seats);
                for bent in mutations(&bytes, 90) {
                    let verdicts = (world.library_accepts(kind, &bent), world.we_accept(kind, &bent));
                    assert_eq!(verdicts, (false, false), "{kind:?} {}", hex(&bent));
                    cases += 1;
                }
            }
        }
    }
    assert!(cases > 2_000, "{cases}");
}

#[test]
fn certificates_whose_parts_do_not_fit_have_one_verdict() {
    let (mut accepted, mut refused) = (0, 0);
    for world in SIZES.map(World::new) {
        let (size, proposal) = (world.keys.len(), proposals()[2]);
        for kind in KINDS {
            let vote = vote_of(kind, proposal);
            let signed: Vec<SignedVote> = (0..size).map(|seat| world.sign(vote, seat)).collect();
            let all: Vec<&[u8]> = signed.iter().map(|vote| vote.signature.0.as_slice()).collect();
            let encoded = signed[0].encode();
            let subject = &encoded[1..encoded.len() - 65];
            let everybody: Vec<usize> = (0..size).collect();
            let full = u8::try_from(size).expect("few seats");
            let mut reversed = all.clone();
            reversed.reverse();
            let mut cases: Vec<Vec<u8>> = Vec::new();
            for signers in 0..=size {
                // Every number of signers, from nobody to everybody.
                let count = u8::try_from(signers).expect("few seats");
                cases.push(raw(subject, size as u64, &everybody[..signers], count, &all[..signers]));
                cases.push(raw(subject, size as u64, &everybody[..signers], full, &all));
                cases.push(raw(subject, size as u64, &everybody, count, &all[..signers]));
            }
            for seats in [0, 1, size as u64 - 1, size as u64 + 1, 8, 16, 255, 256, 257, 4096, 1 << 32, u64::MAX] {
                cases.push(raw(subject, seats, &everybody, full, &all));
            }
            cases.push(raw(subject, size as u64, &everybody, full, &reversed));
            cases.push(raw(subject, size as u64, &everybody, full, &vec![all[0]; size]));
            // A bit beyond the last seat.
            cases.push(raw(subject, size as u64, &[everybody.as_slice(), &[size]].concat(), full, &all));
            for bytes in cases {
                let ours = world.we_accept(kind, &bytes);
                assert_eq!(ours, world.library_accepts(kind, &bytes), "{kind:?} of {size}: {}", hex(&bytes));
                if ours { accepted += 1 } else { refused += 1 }
            }
        }
    }
    assert!(accepted > 30 && refused > 200, "{accepted} accepted, {refused} refused");
}

#[test]
fn a_certificate_of_another_network_or_another_set_is_accepted_by_neither() {
    let (world, mut other) = (World::new(7), World::new(7));
    let bytes = world.library_certificate(&Vote::Finalize(proposals()[0]), &quorums(&world.set)[0]);
    other.namespace = namespace(ChainId(8), &BlockId(Domain::Header.hash_bytes(b"genesis")));
    let read = Finalization::decode(&bytes).expect("a certificate");
    assert!(read.verify(&other.set, &other.namespace).is_err());
    let smaller = World::new(4);
    assert!(!smaller.library_accepts(VoteKind::Finalize, &bytes));
    assert!(!smaller.we_accept(VoteKind::Finalize, &bytes));
    for kind in [VoteKind::Notarize, VoteKind::Nullify] {
        assert!(!world.library_accepts(kind, &bytes));
        assert!(!world.we_accept(kind, &bytes));
    }
}

/// Votes of which some pairs conflict and others do not.
fn ballots() -> Vec<Vote> {
    let [first, later] = [proposals()[1], proposals()[3]];
    let payload = Proposal { payload: later.payload, ..first };
    let parent = Proposal { parent_view: View(0), ..first };
    let epoch = Proposal { epoch: Epoch(2), ..payload };
    let mut votes = Vec::new();
    for proposal in [first, payload, parent, epoch, later] {
        votes.extend(KINDS.map(|kind| vote_of(kind, proposal)));
    }
    votes
}

/// Two signed votes behind a tag, whether they fit it or not.
fn pair(tag: u8, first: &SignedVote, second: &SignedVote) -> Vec<u8> {
    [&[tag], &first.encode()[1..], &second.encode()[1..]].concat()
}

#[test]
fn every_pair_of_votes_has_one_verdict() {
    let (mut convicted, mut refused) = (0, 0);
    for world in [World::new(1), World::new(4)] {
        let seats = if world.keys.len() == 1 { vec![0] } else { vec![1, 3] };
        let signed: Vec<SignedVote> =
            seats.iter().flat_map(|seat| ballots().into_iter().map(|vote| world.sign(vote, *seat))).collect();
        for first in &signed {
            for second in &signed {
                for tag in 6..=10 {
                    let bytes = pair(tag, first, second);
                    let ours = world.we_convict(&bytes);
                    assert_eq!(ours, world.library_convicts(&bytes), "{tag} {:?} {:?}", first.vote, second.vote);
                    if ours { convicted += 1 } else { refused += 1 }
                }
            }
        }
    }
    assert!(convicted > 50 && refused > 2_000, "{convicted} convicted, {refused} refused");
}

#[test]
fn bent_evidence_has_one_verdict() {
    let world = World::new(4);
    let proposal = proposals()[1];
    let other = Proposal { payload: proposals()[2].payload, ..proposal };
    let mut cases = 0;
    for (tag, first, second) in [
        (7, Vote::Notarize(proposal), Vote::Notarize(other)),
        (8, Vote::Finalize(proposal), Vote::Finalize(other)),
        (9, vote_of(VoteKind::Nullify, proposal), Vote::Finalize(other)),
    ] {
        let bytes = pair(tag, &world.sign(first, 1), &world.sign(second, 1));
        assert!(world.library_convicts(&bytes) && world.we_convict(&bytes));
        for bent in mutations(&bytes, usize::MAX) {
            let verdicts = (world.library_convicts(&bent), world.we_convict(&bent));
            assert_eq!(verdicts, (false, false), "{}", hex(&bent));
            cases += 1;
        }
    }
    assert!(cases > 600, "{cases}");
}

#[test]
fn a_vote_against_a_certificate_is_evidence_to_the_library_too() {
    let world = World::new(4);
    let proposal = proposals()[0];
    let other = Proposal { payload: proposals()[2].payload, ..proposal };
    let bytes = world.library_certificate(&Vote::Notarize(proposal), &[0, 1, 2]);
    let certificate = Notarization::decode(&bytes).expect("a certificate");
    let vote = world.sign(Vote::Notarize(other), 2);
    let evidence = ConflictingVotes::new(certificate.vote_of(2).expect("a signer"), vote).expect("a conflict");
    assert!(world.library_convicts(&evidence.encode()));
    assert!(world.we_convict(&evidence.encode()));
    assert_eq!(certificate.vote_of(3), None);
}

#[test]
fn the_golden_files_hold_what_the_library_makes_and_answers() {
    let preamble = "What commonware-consensus 2026.10.0 makes and answers for one set of validators.\n\
                    All bytes are hex. `accepted` is the library's own verdict.";
    for size in SIZES {
        let world = World::new(size);
        let entries = golden_entries(&world);
        hold(&format!("votes/set-{size:02}.toml"), preamble, &entries);
    }
}

fn golden_entries(world: &World) -> Vec<Entry> {
    let keys = world.set.keys().iter().map(|key| format!("\"{key}\""));
    let set = Entry::new("set").text("namespace", hex(&world.namespace)).text("hash", world.set.hash());
    let mut entries = vec![set.raw("quorum", world.set.quorum()).list("keys", keys)];
    for (number, proposal) in proposals().into_iter().enumerate() {
        for vote in KINDS.map(|kind| vote_of(kind, proposal)) {
            let kind = format!("{:?}", vote.kind()).to_lowercase();
            let seat = number % world.keys.len();
            let bytes = world.library_vote(&vote, seat).encode();
            let entry = Entry::new(format!("vote-{kind}-{number}"));
            entries.push(entry.text("bytes", hex(&bytes)).text("message", hex(&vote.message(&world.namespace))));
        }
    }
    for (number, proposal) in proposals().into_iter().enumerate().step_by(2) {
        for vote in KINDS.map(|kind| vote_of(kind, proposal)) {
            let kind = format!("{:?}", vote.kind()).to_lowercase();
            let quorums = quorums(&world.set);
            let bytes = world.library_certificate(&vote, &quorums[quorums.len() / 2]);
            let mut cases = vec![bytes.clone()];
            if number == 2 {
                cases.extend(mutations(&bytes, 8).into_iter().step_by(5));
            }
            for (case, bytes) in cases.iter().enumerate() {
                let entry = Entry::new(format!("certificate-{kind}-{number}-{case}")).text("bytes", hex(bytes));
                entries.push(entry.raw("accepted", world.library_accepts(vote.kind(), bytes)));
            }
        }
    }
    let seat = world.keys.len() - 1;
    let signed: Vec<SignedVote> = ballots().into_iter().map(|vote| world.sign(vote, seat)).collect();
    for tag in 7..=9 {
        for (place, second) in signed.iter().enumerate() {
            for (number, first) in signed.iter().take(3).enumerate() {
                let bytes = pair(tag, first, second);
                let entry = Entry::new(format!("evidence-{tag}-{number}-{place}")).text("bytes", hex(&bytes));
                entries.push(entry.raw("accepted", world.library_convicts(&bytes)));
            }
        }
    }
    entries
}
