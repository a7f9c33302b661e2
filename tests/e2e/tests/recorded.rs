//! Three of four validators under load, killed twenty times, while the fourth seat only records what they sign.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cpc_e2e::{Validators, until};
use cpc_engine::{Recorder, RecorderConfig, Seat, Signer};
use cpc_genesis::{ChainSpec, Genesis, known_key};
use cpc_ledger::TRANSFER_GAS;
use cpc_light::{ConflictingVotes, SignedVote, namespace};
use cpc_primitives::hash::hex;
use cpc_primitives::tx::{Action, SignedTx, Transfer, TxBody};
use cpc_primitives::{Address, Amount, Epoch, Nonce, SecretKey, View};
use serde_json::{Value, json};

/// How often a validator is killed.
const KILLS: usize = 20;
/// How soon after its start a validator votes again: with one seat that is silent, no block is final without it.
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// Those who send, each transfer after the one before it.
const SENDERS: usize = 4;
/// The seat whose place the recorder takes.
const SILENT: usize = 3;

fn sender(n: usize) -> SecretKey {
    known_key(&format!("recorded/{n}"))
}

/// Everybody's votes, each once.
#[derive(Default)]
struct Votes(BTreeMap<(Epoch, View, u32), Vec<SignedVote>>);

impl Votes {
    /// Takes what was heard, and demands that nobody says two things.
    fn take(&mut self, heard: Vec<SignedVote>) {
        for vote in heard {
            let cast = self.0.entry((vote.vote.epoch(), vote.vote.view(), vote.seat)).or_default();
            if cast.contains(&vote) {
                continue;
            }
            for earlier in &*cast {
                let twice = ConflictingVotes::new(*earlier, vote);
                assert!(twice.is_err(), "seat {} signed {earlier:?} and {vote:?}", vote.seat);
            }
            cast.push(vote);
        }
    }
}

fn recorder(dir: &Path, genesis: &Genesis) -> Recorder {
    let spec = &genesis.spec;
    let seats: Vec<Seat> = spec
        .validators
        .iter()
        .map(|validator| Seat {
            key: validator.registration.consensus.key,
            addresses: validator
                .registration
                .consensus_addresses
                .iter()
                .map(|text| core::str::from_utf8(text).expect("text").parse().expect("an address"))
                .collect(),
        })
        .collect();
    let key = known_key(&format!("devnet/{SILENT}/consensus"));
    let own = seats.iter().find(|seat| seat.key == key.public()).expect("a seat");
    Recorder::start(RecorderConfig {
        dir: dir.join("recorder"),
        listen: own.addresses[0],
        signer: Signer::new(key),
        namespace: namespace(spec.params.chain, &genesis.id()),
        seats,
        seats_max: usize::try_from(spec.params.seats_max).expect("few"),
        block_bytes_max: spec.params.block_bytes_max,
    })
    .expect("a thread")
}

/// Where the nodes are, those that run.
type Urls = Mutex<Vec<Option<String>>>;

/// A client that sends one transfer after the other to whoever runs, and keeps what it was told is final.
fn send(n: usize, genesis: &Genesis, urls: &Urls, done: &AtomicBool) -> Vec<(String, u64)> {
    let (key, params) = (sender(n), &genesis.spec.params);
    let to = Address::of(&sender((n + 1) % SENDERS).public());
    let transfer = |nonce: u64| -> SignedTx {
        let action = Action::Transfer(Transfer { to, amount: Amount::new(1) });
        let body = TxBody {
            chain: params.chain,
            nonce: Nonce(nonce),
            gas_price: params.gas_price_min,
            gas_limit: TRANSFER_GAS,
            action,
        };
        body.sign(&key)
    };
    let mut told = Vec::new();
    for nonce in 0.. {
        let tx = transfer(nonce);
        let hash = tx.hash().to_string();
        let body = json!({ "tx": hex(&tx.encode()) }).to_string();
        // It is sent until somebody says that it is final; whoever is killed may have forgotten it.
        let height = loop {
            if done.load(Ordering::Relaxed) {
                return told;
            }
            let all: Vec<String> =
                urls.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().cloned().collect();
            let found = all.iter().find_map(|url| {
                // Those that are killed meanwhile answer nothing.
                let sent = ureq::post(format!("{url}/api/v1/txs")).header("content-type", "application/json");
                let _ = sent.config().http_status_as_error(false).build().send(&body);
                let mut answer = ureq::get(format!("{url}/api/v1/txs/{hash}?wait=1")).call().ok()?;
                let view: Value = answer.body_mut().read_json().ok()?;
                (view["status"] == "applied").then(|| view["height"].as_u64()).flatten()
            });
            if let Some(height) = found {
                break height;
            }
            thread::park_timeout(Duration::from_millis(5));
        };
        told.push((hash, height));
    }
    told
}

#[test]
fn who_is_killed_comes_back_within_ten_seconds_and_signs_nothing_twice() {
    let home = tempfile::tempdir().expect("a folder");
    let mut validators = Validators::start_with(home.path(), 4, 100, |text| {
        let accounts = (0..SENDERS).map(|n| {
            let address = Address::of(&sender(n).public());
            format!("\n[[account]]\naddress = \"{address}\"\nbalance = \"1000\"\n")
        });
        accounts.fold(text, |text, account| text + &account)
    });
    let text = std::fs::read_to_string(home.path().join("genesis.toml")).expect("written");
    let genesis = Genesis::build(ChainSpec::parse(&text).expect("a spec")).expect("a genesis");
    validators.reach(1);
    validators.kill(SILENT);
    let recorder = recorder(home.path(), &genesis);
    let mut votes = Votes::default();
    let url = |validators: &Validators, n: usize| validators.node(n).url.clone();
    let urls: Urls = Mutex::new((0..SILENT).map(|n| Some(url(&validators, n))).collect());
    let done = AtomicBool::new(false);
    let mut slowest = Duration::ZERO;

    let told: Vec<(String, u64)> = thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|n| {
                let (genesis, urls, done) = (&genesis, &urls, &done);
                scope.spawn(move || send(n, genesis, urls, done))
            })
            .collect();
        // Whatever fails, the senders end, or this scope would wait for them for ever.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..KILLS {
                // Another one each time, at another moment between two blocks.
                let chance = blake3::hash(&round.to_le_bytes());
                let victim = usize::from(chance.as_bytes()[0]) % SILENT;
                validators.reach(validators.tip() + 1);
                thread::park_timeout(Duration::from_millis(u64::from(chance.as_bytes()[1])));
                urls.lock().expect("unbroken")[victim] = None;
                validators.kill(victim);
                votes.take(recorder.heard());
                let before = validators.tip();
                validators.revive(victim);
                let start = Instant::now();
                urls.lock().expect("unbroken")[victim] = Some(url(&validators, victim));
                until("two blocks that need its vote", || (validators.tip() >= before + 2).then_some(()));
                slowest = slowest.max(start.elapsed());
                assert!(start.elapsed() < BACK_WITHIN, "round {round}: back after {:?}", start.elapsed());
            }
        }));
        done.store(true, Ordering::Relaxed);
        let told = senders.into_iter().flat_map(|sender| sender.join().expect("it panics nowhere")).collect();
        outcome.unwrap_or_else(|failed| std::panic::resume_unwind(failed));
        told
    });
    validators.reach(validators.tip() + 1);
    votes.take(recorder.heard());

    let heard: BTreeSet<u32> = votes.0.keys().map(|(_, _, seat)| *seat).collect();
    assert!(heard.len() >= SILENT && votes.0.len() > 10 * KILLS, "{} votes of {heard:?} were heard", votes.0.len());
    assert!(told.len() > 2 * KILLS, "only {} transfers were acknowledged", told.len());
    for (hash, height) in &told {
        for n in 0..SILENT {
            let (status, view) = validators.node(n).get(&format!("/api/v1/txs/{hash}?wait=10"));
            assert_eq!((status, view["height"].as_u64()), (200, Some(*height)), "validator {n}: {view}");
        }
    }
    println!(
        "{} transfers acknowledged, {} votes recorded, back after {slowest:?} at the latest",
        told.len(),
        votes.0.values().map(Vec::len).sum::<usize>()
    );
    validators.stop();
}
