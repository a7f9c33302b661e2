//! What must hold for any bytes: the properties that the fuzzer hunts and that the replay of its corpus checks.
//!
//! Each takes bytes from anybody and panics where the property does not hold.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cpc_genesis::{ChainSpec, Genesis};
use cpc_kernels::frame::blob_ref;
use cpc_kernels::rendering::{PIXEL_BYTES, RenderingSpec, RenderingTask, Scene, samples};
use cpc_kernels::synthetic::{Seed, SyntheticSpec};
use cpc_kernels::{Cpu, Inputs, PreparedTask, Registry, Watch};
use cpc_light::{
    ConflictingVotes, Finalization, Notarization, Nullification, ProofFile, SignedVote, StateProof, Trusted, Vote,
};
use cpc_market_wire::limits::BLOB_BYTES_MAX;
use cpc_market_wire::{Assembly, BlobAnswer, BlobAsk, BlobName, Frame, Message, Reply, chunk_of};
use cpc_primitives::codec::{decode, encode};
use cpc_primitives::ids::TaskUuid;
use cpc_primitives::limits::{JOBS_MAX, SPEC_BYTES_MAX, STATE_VALUE_BYTES_MAX, SUPPLY_MAX, TX_BYTES_MAX};
use cpc_primitives::result::Geometry;
use cpc_primitives::signing::{Claim, verify_batch, verify_batch_by_library};
use cpc_primitives::state::StateKey;
use cpc_primitives::tx::SignedTx;
use cpc_primitives::{
    Address, Amount, Block, BlockId, Bounded, Digest, Domain, Epoch, Header, Height, PublicKey, SecretKey, Signature,
    TaskId, View,
};

use crate::draw::{ACTIONS, Draw, action};
use crate::formats;
use crate::market;
use crate::network::{Network, absent, prove, small_state};
use crate::sync_wire::{Answer, BATCH_BYTES_MAX, Question, Range, Status, TxBatch};

/// A property of any bytes.
pub type Property = fn(&[u8]);

/// Every property under the name of its fuzz target and its corpus (VEC-9).
pub const ALL: [(&str, Property); 15] = [
    ("codec", codec),
    ("transaction", transaction),
    ("block", block),
    ("amount", amount),
    ("text", text),
    ("genesis", genesis),
    ("certificate", certificate),
    ("evidence", evidence),
    ("state-proof", state_proof),
    ("proof-file", proof_file),
    ("scene", scene),
    ("sync", sync),
    ("market", market),
    ("job-spec", job_spec),
    ("signatures", signatures),
];

/// The network whose votes and proofs are judged.
static NETWORK: LazyLock<Network> = LazyLock::new(Network::new);

/// The first byte picks a format, the rest is read as it: what is read is written the same, and the second
/// description of the layout agrees.
pub fn codec(data: &[u8]) {
    let Some((pick, bytes)) = data.split_first() else { return };
    let formats = formats::all();
    let format = &formats[usize::from(*pick) % formats.len()];
    let read = format.recode(bytes);
    assert_eq!(read.is_ok(), bytes.len() <= format.limit && format.shape.accepts(bytes), "{}", format.name);
    if let Ok(again) = read {
        assert_eq!(again, bytes, "{}: two encodings of one value", format.name);
    }
}

/// A transaction that is read is written the same; its ids, its claim and its addresses can be asked for.
pub fn transaction(data: &[u8]) {
    let Ok(tx) = SignedTx::decode(data) else { return };
    assert_eq!(tx.encode(), data);
    let claim = tx.claim();
    assert_eq!((claim.message, claim.key), (tx.id().0, tx.sender));
    assert_ne!(tx.id().0, tx.hash().0, "an id and a hash are of different domains");
    let address = tx.sender_address();
    assert_eq!(address.to_string().parse::<Address>(), Ok(address));
    let _ = claim.verify();
}

/// A block and a header that are read are written the same.
pub fn block(data: &[u8]) {
    if let Ok(block) = Block::decode(data) {
        assert_eq!(block.encode(), data);
        assert_eq!(block.id(), block.header.id());
    }
    if let Ok(header) = Header::decode(data) {
        assert_eq!(encode(&header), data);
    }
}

/// An amount that is read from a text is within the supply; any amount is read again from what it prints.
pub fn amount(data: &[u8]) {
    if let Some(units) = data.first_chunk() {
        printed(Amount::new(u128::from_le_bytes(*units) % (SUPPLY_MAX + 1)));
    }
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Ok(amount) = text.parse::<Amount>() {
        assert!(amount <= Amount::MAX);
        printed(amount);
    }
}

fn printed(amount: Amount) {
    let text = amount.to_string();
    assert_eq!(text.parse::<Amount>(), Ok(amount));
    assert!(!text.contains('.') || !text.ends_with('0'), "{text} has a zero at its end");
}

/// The other texts that people write: each value has one text, but for the case of an address.
pub fn text(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Ok(address) = text.parse::<Address>() {
        assert!(address.to_string().eq_ignore_ascii_case(text), "two texts of one address");
    }
    let same = |printed: Option<String>| assert!(printed.is_none_or(|printed| printed == text), "two texts: {text}");
    same(text.parse::<Digest>().ok().map(|value| value.to_string()));
    same(text.parse::<PublicKey>().ok().map(|value| value.to_string()));
    same(text.parse::<Signature>().ok().map(|value| value.to_string()));
    same(text.parse::<TaskUuid>().ok().map(|value| value.to_string()));
}

/// A text that is read as a chain spec either becomes a genesis or is refused with a reason.
pub fn genesis(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    match ChainSpec::parse(text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(spec) => match (Genesis::build(spec.clone()), Genesis::build(spec)) {
            (Ok(first), Ok(second)) => {
                assert_eq!(first.id(), second.id(), "one spec, two networks");
                decided_by_the_seated(&first);
            }
            (Err(first), Err(second)) => assert_eq!(first.to_string(), second.to_string()),
            _ => panic!("one spec is a genesis and is none"),
        },
    }
}

/// The sets that block 0 commits to are those whose seats its state holds (GEN-5).
fn decided_by_the_seated(genesis: &Genesis) {
    let records: BTreeMap<StateKey, Vec<u8>> =
        genesis.state.iter().filter_map(|(key, value)| Some((key.clone(), value?.to_vec()))).collect();
    for (epoch, set) in (0..).map(Epoch).zip(&genesis.sets) {
        let seats = cpc_ledger::seats(&records, epoch).expect("readable").expect("EPO-5: the genesis seats two epochs");
        let keys: Vec<PublicKey> = seats.seats().iter().map(|seat| seat.key).collect();
        assert_eq!(set.keys(), keys, "epoch {epoch} is decided by others than sit in it");
    }
}

/// The first byte picks the kind; a vote or certificate that is read is written the same and can be judged.
pub fn certificate(data: &[u8]) {
    let Some((pick, bytes)) = data.split_first() else { return };
    let (set, namespace) = (NETWORK.set(), NETWORK.namespace());
    match pick % 4 {
        0 => {
            let Ok(read) = Finalization::decode(bytes) else { return };
            assert_eq!(read.encode(), bytes);
            let good = read.verify(set, &namespace).is_ok();
            assert!(!good || read.vote_of(0).is_some() || read.vote_of(1).is_some(), "a quorum is three of four");
        }
        1 => {
            let Ok(read) = Notarization::decode(bytes) else { return };
            assert_eq!(read.encode(), bytes);
            let _ = read.verify(set, &namespace);
        }
        2 => {
            let Ok(read) = Nullification::decode(bytes) else { return };
            assert_eq!(read.encode(), bytes);
            let _ = read.verify(set, &namespace);
        }
        _ => {
            let Ok(read) = SignedVote::decode(bytes) else { return };
            assert_eq!(read.encode(), bytes);
            if let Some(key) = set.key(read.seat) {
                let _ = read.vote.verify(&namespace, key, &read.signature);
            }
        }
    }
}

/// Evidence that is read is written the same, names two different votes of one seat, and can be judged.
pub fn evidence(data: &[u8]) {
    let Ok(evidence) = ConflictingVotes::decode(data) else { return };
    assert_eq!(evidence.encode(), data);
    let [first, second] = evidence.votes();
    assert_eq!(
        (first.seat, first.vote.epoch(), first.vote.view()),
        (second.seat, second.vote.epoch(), second.vote.view())
    );
    assert_ne!(first.vote, second.vote);
    let _ = evidence.verify(NETWORK.set(), &NETWORK.namespace());
}

/// A proof of state that is read is written the same, and says of a key what the state says of it, or nothing.
pub fn state_proof(data: &[u8]) {
    let Ok(proof) = decode::<StateProof>(data, 2 * STATE_VALUE_BYTES_MAX) else { return };
    assert_eq!(encode(&proof), data);
    if let Ok(verified) = proof.verify(&NETWORK.state_root()) {
        assert_eq!(verified.value(), small_state().get(verified.key()).map(Vec::as_slice), "a lie was proven");
    }
}

/// A proof file that is read is written the same, and can be judged by whoever trusts our start or its own.
pub fn proof_file(data: &[u8]) {
    let Ok(file) = ProofFile::decode(data) else { return };
    assert_eq!(file.encode(), data);
    let (anchor, anchored) = NETWORK.anchored_file();
    if ProofFile::verify(data, Trusted::Genesis(NETWORK.genesis_id())).is_ok() {
        let good = NETWORK.proof_files().iter().any(|(_, good)| good.trust.start == file.trust.start);
        assert!(good, "another genesis passed for ours");
    }
    if ProofFile::verify(data, anchor).is_ok() {
        assert_eq!(anchored.trust.start, file.trust.start, "another anchor passed for ours");
    }
    if let Ok(own) = file.trust.start.claims() {
        let _ = ProofFile::verify(data, own);
    }
}

/// A scene that is surveyed with few pixels is read or refused; what is read is staged, and rendered to finite light.
pub fn scene(data: &[u8]) {
    let Ok(counts) = Scene::survey(data) else { return };
    // A header may promise more pixels than a fuzzer's memory: the bound is the task's, and is tested elsewhere.
    if counts.image_bytes > 1 << 20 {
        return;
    }
    let spec = RenderingSpec { samples: 1, steps: 500, ..RenderingSpec::of(counts, [2, 2]) };
    let file: Arc<[u8]> = data.into();
    let inputs = Inputs::new(&[blob_ref(&file)], vec![file]).expect("its own hash");
    let Ok(task) = RenderingTask::prepare(spec, &inputs, &Watch::new()) else { return };
    let frame = Geometry { origin: [0; 3], extent: [1, 2, 2] };
    let output = task.run(&frame, Cpu::best(), &Watch::new()).expect("a scene that was read is rendered").bytes;
    for pixel in output.chunks_exact(PIXEL_BYTES) {
        for light in pixel[..12].chunks_exact(4) {
            let light = f32::from_le_bytes(light.try_into().expect("four bytes"));
            assert!(light.is_finite() && light >= 0.0, "{light}");
        }
    }
}

/// The first byte picks a message between nodes; what is read is written the same, and batches stay within their limit.
pub fn sync(data: &[u8]) {
    let Some((pick, bytes)) = data.split_first() else { return };
    match pick % 3 {
        0 => {
            let Ok(question) = Question::decode(bytes) else { return };
            assert_eq!(question.encode(), bytes);
        }
        1 => {
            let Ok(answer) = Answer::decode(bytes) else { return };
            assert_eq!(answer.encode(), bytes);
            if let Answer::Range(range) = answer {
                let blocks: Vec<Vec<u8>> = range.blocks.iter().map(Block::encode).collect();
                assert_eq!(Answer::encode_range(&blocks, &range.certificate), bytes, "two ways to write one answer");
            }
        }
        _ => {
            let Ok(batch) = TxBatch::decode(bytes) else { return };
            assert_eq!(batch.encode(), bytes);
            let again = TxBatch::pack(batch.txs.clone().into_inner());
            assert!(again.iter().all(|batch| batch.encode().len() <= BATCH_BYTES_MAX));
            let within = |tx: &&SignedTx| tx.encode().len() <= TX_BYTES_MAX;
            let kept: Vec<&SignedTx> = batch.txs.iter().filter(within).collect();
            assert_eq!(again.iter().flat_map(|batch| batch.txs.iter()).collect::<Vec<_>>(), kept);
        }
    }
}

/// The first byte picks a reader of the market's bytes; what is read is written the same, and can be asked about.
pub fn market(data: &[u8]) {
    let Some((pick, bytes)) = data.split_first() else { return };
    match pick % 4 {
        0 => {
            let Ok(message) = Frame::decode(bytes, market::CHAIN) else { return };
            let key = market::key().public();
            let _ = match &message {
                Message::Hello(signed) => signed.verify(market::CHAIN, &key),
                Message::Offers(signed) => signed.verify(market::CHAIN, &key),
                Message::Commits(signed) => signed.verify(market::CHAIN, &key),
                Message::Openings(signed) => signed.verify(market::CHAIN, &key),
                _ => Ok(()),
            };
            assert_eq!(Frame::encode(market::CHAIN, message), bytes);
        }
        1 => {
            let Ok(reply) = Reply::decode(bytes) else { return };
            let _ = (reply.item(0), reply.item(usize::MAX));
            assert_eq!(reply.encode(), bytes);
        }
        2 => {
            let Ok(ask) = BlobAsk::decode(bytes) else { return };
            assert_eq!(ask.encode(), bytes);
            let BlobAnswer::Chunk(_) = chunk_of(bytes, ask.offset) else { return };
        }
        _ => {
            let Ok(answer) = BlobAnswer::decode(bytes) else { return };
            assert_eq!(answer.encode(), bytes);
            let name = BlobName::Output(Domain::JobOutput.hash_bytes(bytes));
            let length = u64::try_from(bytes.len()).expect("short");
            let mut assembly = Assembly::new(name, length, BLOB_BYTES_MAX).expect("short enough");
            assert!(!matches!(assembly.add(answer), Ok(Some(_))), "an answer is longer than its own chunk");
        }
    }
}

/// The first byte picks a kernel, the second a number of jobs; bytes that are read as its spec have a price within the
/// bounds of the formats, and a plan whose shares add up, or a refusal that names the bound.
pub fn job_spec(data: &[u8]) {
    let Some(([pick, jobs], spec)) = data.split_first_chunk() else { return };
    let registry = Registry::all();
    let kernels: Vec<_> = registry.kernels().collect();
    let kernel = kernels[usize::from(*pick) % kernels.len()];
    let price = match kernel.price(spec) {
        Ok(price) => price,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(kernel.plan(spec, 1).is_err(), "no price and a plan");
            return;
        }
    };
    assert!(spec.len() <= SPEC_BYTES_MAX && price.units.0 > 0 && (1..=JOBS_MAX).contains(&price.jobs_max));
    assert!(price.disputed_units <= price.units, "a part costs more than the whole");
    assert!(kernel.plan(spec, 0).is_err() && kernel.plan(spec, price.jobs_max + 1).is_err(), "no bound of the jobs");
    let jobs = u32::from(*jobs).clamp(1, price.jobs_max);
    let plan = kernel.plan(spec, jobs).expect("so many jobs are possible");
    assert_eq!((plan.len(), plan.units()), (jobs, price.units));
    assert_eq!(plan.jobs().map(|job| job.units.0).sum::<u128>(), price.units.0);
}

/// Good signatures, as many as make a batch for the lanes of a processor that has them, and more.
static SIGNED: LazyLock<Vec<Claim>> = LazyLock::new(|| {
    let signed = (0u8..48).map(|number| {
        let (key, message) = (SecretKey::from_seed(&[number; 32]), Domain::TxId.hash_bytes(&[number]));
        Claim { key: key.public(), message, signature: key.sign_digest(&message) }
    });
    signed.collect()
});

/// What bends one signature: its place, which part of it, where in the part, and 32 bytes.
const BEND_BYTES: usize = 3 + 32;

/// The first byte says how many of the good signatures are in a batch, and every further group of bytes bends one: the
/// batch is good exactly where each of it is, by the lanes and by the library (SIG-2).
pub fn signatures(data: &[u8]) {
    let Some((count, bends)) = data.split_first() else { return };
    let mut batch = SIGNED[..usize::from(*count) % (SIGNED.len() + 1)].to_vec();
    for bend in bends.as_chunks::<BEND_BYTES>().0.iter().take(batch.len()) {
        let ([place, part, at], bytes) = bend.split_first_chunk().expect("longer than that");
        let bytes: &[u8; 32] = bytes.try_into().expect("the rest of a bend");
        let place = usize::from(*place) % batch.len();
        bend_one(&mut batch[place], *part, usize::from(*at), bytes);
    }
    let alone = batch.iter().all(|claim| claim.verify().is_ok());
    assert_eq!(verify_batch(&batch).is_ok(), alone, "by the processor's lanes, where it has them");
    assert_eq!(verify_batch_by_library(&batch).is_ok(), alone, "by the library");
}

/// Replaces one of the four parts, or one byte of it; a key that nobody may have stays as it was.
fn bend_one(claim: &mut Claim, part: u8, at: usize, bytes: &[u8; 32]) {
    let bent = |old: &[u8; 32]| {
        if part & 4 != 0 {
            return *bytes;
        }
        let mut new = *old;
        new[at % 32] ^= bytes[0];
        new
    };
    let (halves, _) = claim.signature.0.as_chunks();
    let (r, s): ([u8; 32], [u8; 32]) = (halves[0], halves[1]);
    match part % 4 {
        0 => claim.key = PublicKey::new(bent(claim.key.bytes())).unwrap_or(claim.key),
        1 => claim.message = Digest(bent(&claim.message.0)),
        2 => claim.signature.0[..32].copy_from_slice(&bent(&r)),
        _ => claim.signature.0[32..].copy_from_slice(&bent(&s)),
    }
}

/// Small good inputs of a target, from which the fuzzer starts.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut from = Draw::new(target);
    match target {
        "codec" => {
            let formats = formats::all();
            let picked = formats.iter().zip(0u8..).flat_map(|(format, pick)| {
                let mut small: Vec<Vec<u8>> = (0..64).map(|_| format.draw(&mut from)).collect();
                small.sort_by_key(Vec::len);
                // The smallest and one from the middle, which usually has lists.
                [small[0].clone(), small[32].clone()].map(|bytes| [&[pick], bytes.as_slice()].concat())
            });
            picked.collect()
        }
        "scene" => {
            // The smallest one, a room, and the smallest one with one byte changed.
            let tiny = samples::tiny();
            let spoilt = (0..24).map(|_| {
                let mut file = tiny.clone();
                let at = from.place(file.len());
                [file[at]] = from.bytes();
                file
            });
            let room = (samples::named("box").expect("a sample").write)();
            [tiny.clone(), room].into_iter().chain(spoilt).collect()
        }
        "transaction" => (0..ACTIONS)
            .flat_map(|kind| {
                let mut small: Vec<Vec<u8>> = (0..32)
                    .map(|_| {
                        let mut tx: SignedTx = from.value();
                        tx.body.action = from.with_room(|from| action(from, kind));
                        tx.encode()
                    })
                    .collect();
                small.sort_by_key(Vec::len);
                [small[0].clone(), small[16].clone()]
            })
            .collect(),
        "block" => {
            let blocks = (0..64).map(|_| from.value::<Block>()).filter(|block| block.txs.len() < 4);
            let mut seeds: Vec<Vec<u8>> = blocks.map(|block| block.encode()).take(16).collect();
            seeds.extend((0..4).map(|_| encode(&from.value::<Header>())));
            seeds
        }
        "amount" => {
            let texts = ["0", "10", "10.5", "10.5cpc", "1 CPC", "0.000000000000000001"];
            let all = Amount::MAX.to_string();
            texts.iter().copied().chain([all.as_str()]).map(|text| text.as_bytes().to_vec()).collect()
        }
        "text" => {
            let task: TaskId = from.value();
            let (key, signature): (PublicKey, Signature) = (from.value(), from.value());
            let address: Address = from.value();
            let texts = [task.to_string(), task.uuid().to_string(), key.to_string(), signature.to_string()];
            texts.into_iter().chain([address.to_string()]).map(String::into_bytes).collect()
        }
        "genesis" => {
            let networks = ["devnet", "testnet", "mainnet"].map(|name| {
                let path = crate::golden::folder().join(format!("../../genesis/networks/{name}.toml"));
                std::fs::read(path).expect("the network's spec is there")
            });
            networks.into()
        }
        "certificate" => {
            let finalization = NETWORK.finalization();
            let proposal = finalization.proposal;
            let seats = finalization.signers.clone();
            let (epoch, view) = (proposal.epoch, proposal.view);
            vec![
                [&[0], finalization.encode().as_slice()].concat(),
                [&[1], Notarization { proposal, signers: seats.clone() }.encode().as_slice()].concat(),
                [&[2], Nullification { epoch, view, signers: seats }.encode().as_slice()].concat(),
                [&[3], NETWORK.vote(0, Vote::Notarize(proposal)).encode().as_slice()].concat(),
                [&[3], NETWORK.vote(1, Vote::Nullify { epoch, view }).encode().as_slice()].concat(),
                [&[3], NETWORK.vote(2, Vote::Finalize(proposal)).encode().as_slice()].concat(),
            ]
        }
        "evidence" => {
            let proposal = NETWORK.proposal();
            let mut other = proposal;
            other.payload = BlockId(Digest([9; 32]));
            let (epoch, view) = (Epoch(proposal.epoch.0), View(proposal.view.0));
            let pairs = [
                (Vote::Notarize(proposal), Vote::Notarize(other)),
                (Vote::Finalize(proposal), Vote::Finalize(other)),
                (Vote::Nullify { epoch, view }, Vote::Finalize(proposal)),
            ];
            let evidence = pairs.map(|(first, second)| {
                let votes = ConflictingVotes::new(NETWORK.vote(2, first), NETWORK.vote(2, second));
                votes.expect("votes that exclude each other").encode()
            });
            evidence.into()
        }
        "state-proof" => {
            let state = small_state();
            state.keys().chain(&absent()).map(|key| encode(&prove(&state, key))).collect()
        }
        "proof-file" => {
            let files = NETWORK.proof_files().into_iter().map(|(_, file)| file);
            files.chain([NETWORK.anchored_file().1]).map(|file| file.encode()).collect()
        }
        "sync" => {
            let small = |from: &mut Draw| loop {
                let block: Block = from.value();
                if block.txs.len() < 4 {
                    return block;
                }
            };
            let certificate = Bounded::new(NETWORK.finalization().encode()).expect("a certificate is short");
            let range = |blocks| Range { blocks, certificate: certificate.clone() };
            let status = Status { tip: Height(9), id: NETWORK.genesis_id(), lowest: Height(1) };
            let questions = [
                Question::Status,
                Question::Range { from: Height(1), to: Height(256) },
                Question::Block { id: NETWORK.genesis_id() },
            ];
            let mut seeds: Vec<Vec<u8>> =
                questions.iter().map(|question| [&[0], question.encode().as_slice()].concat()).collect();
            let mut answers = vec![Answer::Nothing, Answer::Status(status)];
            for count in 0..4 {
                let blocks: Vec<Block> = (0..count).map(|_| small(&mut from)).collect();
                answers.extend(blocks.first().cloned().map(Answer::Block));
                answers.push(Answer::Range(range(Bounded::new(blocks).expect("few"))));
            }
            seeds.extend(answers.iter().map(|answer| [&[1], answer.encode().as_slice()].concat()));
            for count in 0..4 {
                let txs: Vec<SignedTx> = (0..count).map(|_| from.value()).collect();
                let batch = TxBatch { txs: Bounded::new(txs).expect("few") };
                seeds.push([&[2], batch.encode().as_slice()].concat());
            }
            seeds
        }
        "market" => {
            let samples = market::samples().into_iter();
            samples.map(|(_, reader, bytes)| [&[reader], bytes.as_slice()].concat()).collect()
        }
        "job-spec" => {
            let sizes = [(16, 4), (64, 1), (1_024, 100), (8_192, 1 << 20), (17, 9), (100, 1_000)];
            let spec = |(seed, (matrix_size, iterations)): (u8, (u32, u32))| {
                let seed = Seed::new(vec![seed; usize::from(seed) + 1]).expect("short");
                SyntheticSpec { seed, matrix_size, iterations }.bytes()
            };
            let synthetic = (0u8..).zip(sizes).map(spec).map(|spec| [&[0, 3], spec.as_slice()].concat());
            // Of rendering: width, height, frames, samples, bounces, steps, camera, triangles, nodes, bytes of images.
            let pictures = [
                [64, 64, 1, 4, 4, 64, 0, 100, 2, 0u32],
                [1, 1, 1, 1, 0, 1, 0, 1, 1, 0],
                [1_920, 1_080, 10, 64, 8, 256, 1, 100_000, 20, 1 << 20],
                [16, 4_096, 3, 1, 1, 1, 0, 12, 1, 0],
                [320, 200, 240, 16, 3, 32, 0, 36, 2, 64],
                [7, 5, 2, 3, 2, 9, 0, 1, 1, 1],
            ];
            let rendering = pictures.map(|picture| [vec![1, 5], picture.map(u32::to_le_bytes).concat()].concat());
            synthetic.chain(rendering).collect()
        }
        "signatures" => {
            // Sizes on both sides of what the lanes take at once and at all; then one bend of every kind, with encodings of
            // which some are points of small order, some are not canonical, and some are no points.
            let sizes = [0, 1, 7, 8, 23, 24, 25, 31, 32, 33, 48].map(|count| vec![count]);
            let bends = (0u8..8).flat_map(|part| {
                let small: [[u8; 32]; 4] =
                    [[0; 32], [0xff; 32], from.bytes(), SIGNED[3].signature.0[..32].try_into().expect("half")];
                small.map(|bytes| [&[40, 9, part, 31], bytes.as_slice()].concat())
            });
            sizes.into_iter().chain(bends.collect::<Vec<_>>()).collect()
        }
        other => panic!("there are no seeds for {other:?}"),
    }
}
