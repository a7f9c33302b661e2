//! Golden files: bytes as they come from outside, and the sentence that refuses them.
//!
//! Each file under `tests/vectors/ledger/` holds the worlds that its cases are tried on, whole, and the cases: for each
//! piece of bytes what is said of it. The bytes are hex; `00*N` stands for N zero bytes.

use std::collections::BTreeSet;

use cpc_ledger::{Context, Judged, Session, TxError, TxOutcome, VerifiedTx, Verifier, apply};
use cpc_primitives::codec::{Bounded, encode};
use cpc_primitives::hash::hex;
use cpc_primitives::result::{Challenge as Kernel, ComputeResult, Finding, Geometry, KernelId};
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::tx::{
    Action, Challenge, Delegate, DisputeCommit, DisputeOpen, DisputeVote, Evidence, ResultEntry, RevealSecret,
    SignedTx, Stake, SubmitResult, TreasurySpend, TxBody, Unjail, Unstake, UpdateValidator,
};
use cpc_primitives::{
    Amount, Block, BlockId, ChainId, Digest, Epoch, Gas, Header, Height, JobIndex, Nonce, PublicKey, Signature, TaskId,
    TimeMs, Units, View,
};

use cpc_vectors::golden;

use crate::accounts::oversized;
use crate::blocks::next_block;
use crate::world::{
    ALICE, BOB, CAROL, NOBODY, State, VALIDATORS, World, address, body, chain_of, key, params, root, send, transfer,
    units, verified,
};

/// One entry of a golden file: its name, its world, and what is tried on it.
pub(crate) struct Entry {
    name: String,
    world: String,
    tried: Vec<Vec<u8>>,
}

/// What every entry begins from.
const STANDARD: &str = "standard";
/// Alice has used all nonces but the last.
const LAST_NONCE: &str = "last nonce";
/// The block has used 21,000 gas.
const SOME_GAS: &str = "some gas used";
/// The block has less room than a transfer needs.
const FEW_BYTES: &str = "few bytes left";
/// The parent has the largest height.
const LAST_HEIGHT: &str = "last height";
/// The proposer's hash chain has no more elements.
const CHAIN_ENDED: &str = "hash chain ended";

pub(crate) fn case(name: &str, world: &str, bytes: impl IntoIterator<Item = Vec<u8>>) -> Entry {
    Entry { name: name.to_owned(), world: world.to_owned(), tried: bytes.into_iter().collect() }
}

fn one(name: &str, body: TxBody) -> Entry {
    case(name, STANDARD, [body.sign(&key(ALICE)).encode()])
}

// VEC-11: whatever comes from outside is taken or refused, and with which words.
#[test]
fn transactions() {
    let mut cases = Vec::new();
    cases.extend(taken());
    cases.extend(malformed());
    cases.extend(signatures());
    cases.extend(refused());
    cases.extend(inactive().into_iter().map(|action| {
        one(&format!("{} is not active", action.name()), TxBody { gas_limit: Gas(1_000_000), ..body(0, action) })
    }));
    let worlds = [STANDARD, LAST_NONCE, SOME_GAS, FEW_BYTES].map(|name| {
        let world = prepared(name);
        let mut session = world.session();
        fill(name, &mut session);
        let used = (session.bytes(), session.gas_used());
        drop(session);
        written(name, &world, &world.tip, Some(used))
    });
    let preamble = "Transactions as they come from outside, and what becomes of each (VEC-11).\n\
        A world is the parameters, the header of the parent, the state after it, and the block under way: its epoch,\n\
        view, parent's view, time, proposer and beacon, and the bytes and gas that it has used already.\n\
        The bytes of a case are tried one after the other in one block; 00*N stands for N zero bytes.";
    hold("ledger/transactions.toml", preamble, worlds.into(), cases, say_txs);
}

// VEC-11, BLK-9: each field of a header, bent, is refused by its name.
#[test]
fn blocks() {
    let worlds = [STANDARD, LAST_HEIGHT, CHAIN_ENDED].map(|name| {
        let world = before_block(name);
        written(name, &world, &world.tip, None)
    });
    let preamble = "Blocks as they come from outside, and what is said of each (VEC-11).\n\
        A world is the parameters, the header of the parent, and the state after it; 00*N stands for N zero bytes.\n\
        The state root of these headers is not that of the tree: it is the digest under the tag of a state's value of\n\
        the list of all keys and values, because the rules compare roots and do not make them.";
    hold("ledger/blocks.toml", preamble, worlds.into(), bent_blocks(), say_block);
}

fn taken() -> Vec<Entry> {
    let to = |number, amount| transfer(address(number), amount);
    let mut short = body(0, to(NOBODY, 10));
    short.gas_limit = Gas(45_999);
    vec![
        one("a transfer", body(0, to(BOB, 5))),
        one("a transfer of nothing", body(0, to(BOB, 0))),
        one("a transfer that makes an account", body(0, to(NOBODY, 10))),
        one("a transfer that makes an account of dust", body(0, to(NOBODY, 9))),
        one("a transfer that runs out of gas", short),
        one("a transfer of more than there is", body(0, to(BOB, 9_958_001))),
    ]
}

fn malformed() -> Vec<Entry> {
    let good = send(ALICE, 0, BOB, 5).encode();
    let sender = good.len() - 96;
    let with_key = |bytes: [u8; 32]| [&good[..sender], &bytes, &good[sender + 32..]].concat();
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut above_prime = [0xff; 32];
    (above_prime[0], above_prime[31]) = (0xee, 0x7f);
    let action = 8 + 8 + 16 + 8;
    let mut unknown = good.clone();
    unknown[action] = 19;
    vec![
        case("a sender's key of small order", STANDARD, [with_key(identity), with_key([0; 32])]),
        case("a sender's key in a non-canonical encoding", STANDARD, [with_key(above_prime)]),
        case("an unknown action", STANDARD, [unknown]),
        case("a byte too few", STANDARD, [good[..good.len() - 1].to_vec()]),
        case("a byte too many", STANDARD, [[good.as_slice(), &[0]].concat()]),
        case("more bytes than any transaction has", STANDARD, [vec![0; 65_537]]),
        case("nothing", STANDARD, [vec![]]),
    ]
}

fn signatures() -> Vec<Entry> {
    let good = send(ALICE, 0, BOB, 5);
    let mut bad = good.clone();
    bad.signature.0[0] ^= 1;
    let bogus = body(0, Action::SubmitResult(bogus_result()));
    let bogus = TxBody { gas_limit: Gas(100_000), ..bogus }.sign(&key(ALICE));
    let empty = SignedTx { signature: Signature([0; 64]), ..bogus.clone() };
    let absent = bogus.encode()[..bogus.encode().len() - 64].to_vec();
    let stolen = SignedTx { sender: key(BOB).public(), ..good.clone() };
    vec![
        case("the same body with two signatures of which one is bad", STANDARD, [bad.encode(), good.encode()]),
        case("somebody else's signature", STANDARD, [stolen.encode()]),
        case("the bogus result without a signature", STANDARD, [absent]),
        case("the bogus result with an empty signature", STANDARD, [empty.encode()]),
        case("the bogus result, signed", STANDARD, [bogus.encode()]),
    ]
}

/// The result whose proof is 0xdeadbeef: nobody attests it, and its output is those four bytes.
fn bogus_result() -> SubmitResult {
    let mut output = Digest::ZERO;
    output.0[..4].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
    let result = ComputeResult {
        task: TaskId(Digest::ZERO),
        job: JobIndex(0),
        kernel: KernelId { challenge: Kernel::Synthetic, version: 1 },
        spec: Digest::ZERO,
        geometry: Geometry { origin: [0; 3], extent: [0; 3] },
        units: Units(0),
        worker: address(ALICE),
        output,
        output_bytes: 4,
    };
    let entry = ResultEntry { result, finding: Finding::Accept, attestations: Bounded::default() };
    SubmitResult { roots: Bounded::default(), entries: Bounded::new(vec![entry]).expect("one") }
}

fn refused() -> Vec<Entry> {
    let pay = || body(0, transfer(address(BOB), 5));
    let with = |bend: &dyn Fn(&mut TxBody)| {
        let mut body = pay();
        bend(&mut body);
        body
    };
    let all = Amount::new((1 << 100) + 1);
    vec![
        one("another chain", with(&|b| b.chain = ChainId(8))),
        one("a nonce from the future", with(&|b| b.nonce = Nonce(1))),
        case("a nonce that was used", STANDARD, [pay().sign(&key(ALICE)).encode(), pay().sign(&key(ALICE)).encode()]),
        case("the last nonce", LAST_NONCE, [with(&|b| b.nonce = Nonce(u64::MAX)).sign(&key(ALICE)).encode()]),
        one("a gas price below the minimum", with(&|b| b.gas_price = units(1))),
        one("a gas limit below the action's price", with(&|b| b.gas_limit = Gas(20_999))),
        one("an amount beyond all money", with(&|b| b.action = transfer(address(BOB), all.units()))),
        case("a sender that cannot pay", STANDARD, [send(CAROL, 0, BOB, 1).encode(), send(NOBODY, 0, BOB, 1).encode()]),
        one("a gas price whose product overflows", with(&|b| b.gas_price = units(u128::MAX))),
        one("a gas limit beyond the block's", with(&|b| b.gas_limit = Gas(1_000_001))),
        case(
            "a gas limit beyond what is left",
            SOME_GAS,
            [with(&|b| b.gas_limit = Gas(979_001)).sign(&key(ALICE)).encode()],
        ),
        case("more bytes than are left", FEW_BYTES, [pay().sign(&key(ALICE)).encode()]),
    ]
}

/// One of every action whose rules come later.
fn inactive() -> Vec<Action> {
    let (task, job, amount) = (TaskId(Digest::ZERO), JobIndex(0), units(1));
    let update = UpdateValidator {
        consensus: None,
        verdict: None,
        network: None,
        consensus_addresses: None,
        network_addresses: None,
        chains: None,
        kernels: None,
        commission: None,
    };
    vec![
        Action::Stake(Stake { amount, registration: None }),
        Action::Unstake(Unstake { amount }),
        Action::Delegate(Delegate { validator: address(11), amount }),
        Action::Undelegate(Delegate { validator: address(11), amount }),
        Action::UpdateValidator(update),
        Action::Unjail(Unjail {}),
        Action::Challenge(Challenge { task, job, unit: 0, claimed: Digest::ZERO, bond: amount }),
        Action::DisputeCommit(DisputeCommit { task, job, commitment: Digest::ZERO }),
        Action::DisputeOpen(DisputeOpen { task, job, vote: DisputeVote::Unverifiable, salt: Digest::ZERO }),
        Action::RevealSecret(RevealSecret { epoch: Epoch(0), secret: Digest::ZERO }),
        Action::Evidence(Evidence { epoch: Epoch(0), proof: Bounded::default() }),
        Action::TreasurySpend(TreasurySpend { to: address(BOB), amount, sequence: 0, approvals: Bounded::default() }),
    ]
}

fn bent_blocks() -> Vec<Entry> {
    let (_, header, txs) = next_block(5);
    let txs: Vec<SignedTx> = txs.into_iter().map(|tx| tx.into_tx()).collect();
    let block = |header: Header, txs: &[SignedTx]| Block { header, txs: Bounded::new(txs.to_vec()).expect("few") };
    let bent = |name: &str, bend: &dyn Fn(&mut Header)| {
        let mut header = header.clone();
        bend(&mut header);
        case(name, STANDARD, [block(header, &txs).encode()])
    };
    // A header that names its transactions, so that only they are at fault.
    let carrying = |name: &str, txs: &[SignedTx]| {
        let tx_root = cpc_primitives::block::tx_root(txs.iter().map(SignedTx::hash));
        case(name, STANDARD, [block(Header { tx_root, ..header.clone() }, txs).encode()])
    };
    let mut forged = txs[0].clone();
    forged.signature.0[9] ^= 1;
    let unjail = body(1, Action::Unjail(Unjail {})).sign(&key(ALICE));
    let large = body(1, Action::AddVerdicts(oversized())).sign(&key(ALICE));
    let honest = block(header.clone(), &txs).encode();
    let [first, second] = VALIDATORS.map(|(number, _)| number);
    let element = |seat, index| chain_of(seat).element(index).expect("a long chain");
    // A block without transactions, after so many views without any.
    let valid = |name: &str, on: &str, skipped: u64| {
        let world = before_block(on);
        let header = world.build(world.context_of(first, skipped), &[]).expect("a good block");
        case(name, on, [block(header, &[]).encode()])
    };
    let past = case("no height is left", LAST_HEIGHT, [honest.clone()]);
    vec![
        case("a valid block", STANDARD, [honest.clone()]),
        bent("another version", &|h| h.version = 2),
        bent("another chain", &|h| h.chain = ChainId(8)),
        bent("a height too high", &|h| h.height = Height(7)),
        past,
        bent("another epoch", &|h| h.epoch = Epoch(0)),
        bent("another view of the parent", &|h| h.parent_view = View(1)),
        bent("a view that does not rise", &|h| h.view = View(2)),
        bent("another parent", &|h| h.parent = BlockId(Digest::ZERO)),
        bent("a time that does not rise", &|h| h.time = TimeMs(3_500)),
        bent("a proposer without a seat", &|h| h.proposer = key(ALICE).public()),
        bent("a beacon that opens nothing", &|h| h.beacon = Digest([1; 32])),
        bent("no beacon where an element is due", &|h| h.beacon = Digest::ZERO),
        bent("the element of the view before", &|h| h.beacon = element(first, 10)),
        bent("the element of the view after", &|h| h.beacon = element(first, 12)),
        bent("the element of another seat", &|h| h.beacon = element(second, 11)),
        bent("an element in a view that has none", &|h| (h.view, h.beacon) = (View(9), element(first, 17))),
        valid("a block in a view that has no element", STANDARD, 6),
        case("an element after the end of the chain", CHAIN_ENDED, [honest.clone()]),
        valid("a block after the end of the chain", CHAIN_ENDED, 0),
        bent("another root over the transactions", &|h| h.tx_root = Digest::ZERO),
        bent("another root of the state", &|h| h.state_root = Digest::ZERO),
        bent("another root over results", &|h| h.compute_root = Digest::ZERO),
        bent("other gas", &|h| h.gas_used = Gas(0)),
        bent("validators named out of turn", &|h| h.next_validators = Digest([1; 32])),
        carrying("a transaction twice", &[txs[0].clone(), txs[0].clone()]),
        carrying("a transaction that is not active", &[txs[0].clone(), unjail]),
        carrying("a transaction that is too large", &[txs[0].clone(), large]),
        carrying("a transaction with a bad signature", &[forged]),
        case("a block cut short", STANDARD, [honest[..honest.len() - 1].to_vec()]),
    ]
}

/// What is said of each of an entry's transactions, checked in one batch and pushed in their order into one block.
fn say_txs(name: &str, bytes: &[Vec<u8>]) -> Vec<String> {
    let world = prepared(name);
    let mut session = world.session();
    fill(name, &mut session);
    say_in(&mut session, bytes)
}

/// What is said of transactions that are pushed into a block.
pub(crate) fn say_in(session: &mut Session<'_, State>, bytes: &[Vec<u8>]) -> Vec<String> {
    let decoded: Vec<_> = bytes.iter().map(|bytes| SignedTx::decode(bytes)).collect();
    let mut verdicts = Verifier::new(16).verify_each(decoded.iter().flatten().cloned().collect()).into_iter();
    let sentences = decoded.iter().map(|decoded| match decoded {
        Err(error) => format!("does not decode: {error}"),
        Ok(_) => match verdicts.next().expect("one for each that decoded") {
            Err(culprit) => format!("signature: {culprit}"),
            Ok(tx) => match session.push(&tx) {
                Err(TxError::Fault(fault)) => panic!("no input makes a fault: {fault}"),
                Err(TxError::Reject(reject)) => format!("refused: {reject}"),
                Ok(receipt) => match receipt.outcome {
                    TxOutcome::Done => format!("done for {} gas", receipt.gas_used),
                    TxOutcome::Failed(failure) => format!("failed for {} gas: {failure}", receipt.gas_used),
                    TxOutcome::Judged(judged) => {
                        let first =
                            judged.first.map(|first| format!(", the first is {}: {}", first.entry, first.reason));
                        let Judged { counted, skipped, .. } = judged;
                        let first = first.unwrap_or_default();
                        format!("{counted} counted, {skipped} skipped for {} gas{first}", receipt.gas_used)
                    }
                },
            },
        },
    });
    sentences.collect()
}

/// The standard world with what its name adds.
fn prepared(name: &str) -> World {
    let mut world = World::new();
    match name {
        STANDARD | SOME_GAS => {}
        LAST_NONCE => {
            let account = Account { balance: units(10_000_000), nonce: Nonce(u64::MAX) };
            world.state.insert(StateKey::account(&address(ALICE)), encode(&account));
        }
        FEW_BYTES => {
            // Room for one transaction less a few bytes; the block's gas is no bound here.
            world = World::with(params(), &[(ALICE, 1_000_000_000)]);
            world.params.block_gas_max = Gas(1_000_000_000);
            world.params.block_bytes_max = 66_048;
        }
        other => panic!("no world is called {other}"),
    }
    world
}

/// Brings a block to where its world's name says.
fn fill(name: &str, session: &mut Session<'_, State>) {
    match name {
        SOME_GAS => {
            session.push(&verified(send(BOB, 0, BOB, 0))).expect("fits");
        }
        FEW_BYTES => {
            let cheap = |nonce| TxBody { gas_limit: Gas(21_000), ..body(nonce, transfer(address(ALICE), 0)) };
            let fits = |session: &Session<'_, State>, tx: &VerifiedTx| session.bytes() + tx.bytes() <= 66_048;
            let txs = (0..).map(|nonce| verified(cheap(nonce).sign(&key(ALICE))));
            for tx in txs {
                if !fits(session, &tx) {
                    break;
                }
                session.push(&tx).expect("fits");
            }
        }
        _ => {}
    }
}

/// The world of some blocks that a block is tried on.
fn before_block(name: &str) -> World {
    let (mut world, _, _) = next_block(5);
    match name {
        STANDARD => {}
        LAST_HEIGHT => world.tip.height = Height(u64::MAX),
        // Ten elements are open: the eleventh is one too many.
        CHAIN_ENDED => world.params.beacon_steps = 10,
        other => panic!("no world is called {other}"),
    }
    world
}

/// What is said of a block.
fn say_block(world: &str, bytes: &[Vec<u8>]) -> Vec<String> {
    let on = before_block(world);
    let say = |bytes: &Vec<u8>| -> Result<(), String> {
        let block = Block::decode(bytes).map_err(|error| format!("does not decode: {error}"))?;
        let Block { header, txs } = block;
        let txs = Verifier::new(16).verify(txs.into_inner()).map_err(|bad| format!("signature: {bad}"))?;
        let executed =
            apply(&on.params, &on.state, &on.tip, &header, &txs).map_err(|error| format!("refused: {error}"))?;
        let state_root = root(&on.after(executed.delta()));
        executed.check(&header, state_root).map_err(|error| format!("refused: {error}"))?;
        Ok(())
    };
    bytes.iter().map(|bytes| say(bytes).map_or_else(|sentence| sentence, |()| "valid".to_owned())).collect()
}

/// Demands that a golden file holds exactly these cases with what is said of them, and the worlds that they are tried on.
#[track_caller]
pub(crate) fn hold(
    file: &str,
    preamble: &str,
    worlds: Vec<golden::Entry>,
    cases: Vec<Entry>,
    say: fn(&str, &[Vec<u8>]) -> Vec<String>,
) {
    let mut names = BTreeSet::new();
    let cases = cases.into_iter().map(|Entry { name, world, tried }| {
        assert!(names.insert(name.clone()), "{name} stands twice");
        let sentences = say(&world, &tried);
        assert_eq!(sentences.len(), tried.len(), "{name}");
        let tried = tried.iter().zip(sentences);
        let tried = tried.map(|(bytes, says)| format!("{{ bytes = {:?}, says = {says:?} }}", packed(bytes)));
        golden::Entry::new(slug(&name)).text("world", slug(&world)).list("tried", tried)
    });
    let entries: Vec<_> = worlds.into_iter().chain(cases).collect();
    golden::hold(file, preamble, &entries);
}

/// What a second implementation needs to try bytes on a world.
pub(crate) fn written(name: &str, world: &World, parent: &Header, used: Option<(usize, Gas)>) -> golden::Entry {
    let state =
        world.state.iter().map(|(key, value)| format!("{{ key = {:?}, value = {:?} }}", hex(key.bytes()), hex(value)));
    let entry = golden::Entry::new(format!("world-{}", slug(name)))
        .text("params", hex(&encode(&world.params)))
        .text("parent", hex(&encode(parent)))
        .list("state", state);
    match used {
        Some((bytes, gas)) => {
            entry.text("context", hex(&encode(&context(world)))).raw("used_bytes", bytes).raw("used_gas", gas)
        }
        None => entry,
    }
}

/// Epoch, view, the parent's view, time, proposer and beacon of the block that transactions are tried in.
fn context(world: &World) -> (Epoch, View, View, TimeMs, PublicKey, Digest) {
    let Context { epoch, view, parent_view, time, proposer, beacon } = world.context();
    (epoch, view, parent_view, time, proposer, beacon)
}

/// A name that TOML takes as a key without quotes.
fn slug(name: &str) -> String {
    let words: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    words.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

/// Hex in which long runs of zero bytes are written as `00*N`.
fn packed(bytes: &[u8]) -> String {
    const RUN: usize = 40;
    let mut words: Vec<String> = Vec::new();
    let mut plain = Vec::new();
    for run in bytes.chunk_by(|a, b| (*a == 0) == (*b == 0)) {
        if run[0] == 0 && run.len() >= RUN {
            words.push(hex(&plain));
            words.push(format!("00*{}", run.len()));
            plain.clear();
        } else {
            plain.extend_from_slice(run);
        }
    }
    words.push(hex(&plain));
    words.retain(|word| !word.is_empty());
    words.join(" ")
}
