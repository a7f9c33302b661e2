//! Measures the store: what one block of transfers costs, in parts, over a growing state, and in a flooded bucket.
//!
//! Question: how long do root and synced commit of 20,000 changed accounts take over a million, and how does that
//! grow? Run with `--release`, optionally with the number of rounds and the word `ground`; with `floor` it measures
//! instead what the floor beside the database costs small blocks. Beside the time on the clock
//! stands the time on the processors, which a busy machine does not stretch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use blake3::IncrementCounter;
use blake3::platform::{MAX_SIMD_DEGREE, Platform};
use cpc_ledger::{Delta, StateRead};
use cpc_primitives::block::tx_root;
use cpc_primitives::codec::Bounded;
use cpc_primitives::limits::STATE_KEY_BYTES_MAX;
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::KeyHash;
use cpc_primitives::tx::{Action, SignedTx, Transfer, TxBody};
use cpc_primitives::{
    Address, Amount, Block, BlockId, ChainId, Digest, Domain, Epoch, Gas, Header, Height, Nonce, SecretKey, TimeMs,
    View,
};
use cpc_store::{Options, RocksKv, RocksOptions, Store};
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

const TOUCHED: usize = 20_000;
const GROUND: usize = 10_000;

fn main() {
    let rounds = std::env::args().nth(1).map_or(9, |rounds| rounds.parse().expect("a number of rounds"));
    let word = std::env::args().nth(2).unwrap_or_default();
    if word == "floor" {
        return floor(rounds);
    }
    let flooded = word == "ground";
    let dir = tempfile::tempdir().expect("a directory");
    let kv = Arc::new(RocksKv::open(dir.path(), &[], RocksOptions::default()).expect("it opens"));
    let store = Store::open(kv, Options::default()).expect("nothing is there");
    let mut bench = Bench { store, rng: ChaCha8Rng::seed_from_u64(1), txs: transfers() };
    let genesis = Delta::from_iter([(account(0), Some(vec![0; 25]))]);
    let empty = Store::open(Arc::new(cpc_store::MemKv::new()), Options::default()).expect("nothing is there");
    let root = empty.overlay(None, &genesis).expect("readable").root();
    bench.store.init(&header(None, root), &genesis).expect("it begins");

    let mut accounts = 1;
    for target in [10_000, 100_000, 1_000_000] {
        while accounts < target {
            let next = (accounts + 50_000).min(target);
            bench.block(&(accounts..next).map(|n| (account(n), Some(vec![1; 25]))).collect());
            accounts = next;
        }
        let touched = TOUCHED.min(10_000);
        bench.report(&format!("{accounts} accounts, {touched} touched"), rounds, |rng| {
            (0..accounts).sample(rng, touched).into_iter().map(account).collect()
        });
    }
    bench.report(&format!("{accounts} accounts, {TOUCHED} touched"), rounds, |rng| {
        (0..accounts).sample(rng, TOUCHED).into_iter().map(account).collect()
    });
    bench.reads(accounts);

    if flooded {
        bench.flood(rounds);
    }
    println!("{:?}", bench.store.stats().expect("there is a tip"));
    let begun = Instant::now();
    let report = bench.store.check(&mut |_, _| {}).expect("readable");
    println!("full check of {} entries: {:?}, {:?}", report.entries, begun.elapsed(), report.differences);
    let begun = Instant::now();
    let snapshot = bench.store.create_snapshot(&dir.path().join("snapshots"), &[]).expect("there is room");
    println!("snapshot made and verified in {:?}: {}", begun.elapsed(), snapshot.dir.display());
    drop(bench);
    let begun = Instant::now();
    let kv = Arc::new(RocksKv::open(dir.path(), &[], RocksOptions::default()).expect("it opens"));
    let opened = begun.elapsed();
    Store::open(kv, Options::default()).expect("it is whole");
    println!("start: database {opened:?}, with the check of the roots {:?}", begun.elapsed());
}

/// Small blocks on a store with a floor and on one without, in turns on the same disk.
fn floor(rounds: usize) {
    let dirs = [(); 2].map(|()| tempfile::tempdir_in(".").expect("a directory"));
    let with = Store::open_dir(dirs[0].path(), RocksOptions::default(), Options::default()).expect("nothing is there");
    let kv = Arc::new(RocksKv::open(dirs[1].path(), &[], RocksOptions::default()).expect("it opens"));
    let without = Store::open(kv, Options::default()).expect("nothing is there");
    let genesis = Delta::from_iter([(account(0), Some(vec![0; 25]))]);
    let mut took = [Vec::new(), Vec::new()];
    let mut benches = [with, without].map(|store| Bench { store, rng: ChaCha8Rng::seed_from_u64(1), txs: Vec::new() });
    for bench in &mut benches {
        let root = bench.store.overlay(None, &genesis).expect("readable").root();
        bench.store.init(&header(None, root), &genesis).expect("it begins");
    }
    for round in 0..rounds as u64 {
        for (bench, took) in benches.iter_mut().zip(&mut took) {
            let delta = Delta::from_iter([(account(1), Some(round.to_le_bytes().to_vec()))]);
            took.push(bench.block(&delta).1.0);
        }
    }
    for (name, mut took) in ["with a floor", "without"].into_iter().zip(took) {
        let mean = took.iter().sum::<Duration>() / u32::try_from(took.len()).expect("few");
        took.sort();
        let at = |percent: usize| took[(took.len() - 1) * percent / 100];
        println!("{name}: mean {mean:?}, median {:?}, of a hundred the slowest {:?}", at(50), at(99));
    }
}

/// A moment, on the clock and on the processors.
struct Moment(Instant, Duration);

/// How long something took, on the clock and on the processors.
type Took = (Duration, Duration);

impl Moment {
    fn now() -> Self {
        Self(Instant::now(), processor_time())
    }

    fn took(&self) -> Took {
        (self.0.elapsed(), processor_time().saturating_sub(self.1))
    }
}

/// The processor time of the threads that bear this program's name: its own and rayon's, not the database's.
fn processor_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("there are threads");
    let nanos = threads.filter_map(|thread| {
        let dir = thread.ok()?.path();
        let name = std::fs::read_to_string(dir.join("comm")).ok()?;
        let times = std::fs::read_to_string(dir.join("schedstat")).ok()?;
        let own = name.starts_with("measure").then_some(times)?;
        own.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

struct Bench {
    store: Store,
    rng: ChaCha8Rng,
    txs: Vec<SignedTx>,
}

impl Bench {
    /// Commits a block, and says how long root and commit took.
    fn block(&mut self, delta: &Delta) -> (Took, Took) {
        let begun = Moment::now();
        let overlay = self.store.overlay(None, delta).expect("readable");
        let root = begun.took();
        let tip = self.store.tip().expect("it has begun");
        let mut header = header(Some(&tip.header), overlay.root());
        let txs = if delta.len() == TOUCHED { self.txs.clone() } else { Vec::new() };
        header.tx_root = tx_root(txs.iter().map(SignedTx::hash));
        let block = Block { header, txs: Bounded::new(txs).expect("few enough") };
        let begun = Moment::now();
        self.store.commit(&overlay, &block, &[0; 2000], &[0; 10_000]).expect("it is the next block");
        (root, begun.took())
    }

    /// The same number of updates in ordinary buckets and in one that somebody has filled.
    fn flood(&mut self, rounds: usize) {
        let begun = Instant::now();
        let ground = grind(GROUND);
        println!("ground {GROUND} keys of bucket 0 in {:?}", begun.elapsed());
        let ordinary: Vec<StateKey> = (0..GROUND).map(|n| long_key(u64::MAX - n as u64)).collect();
        for (name, keys) in [("ordinary", &ordinary), ("ground", &ground)] {
            self.block(&keys.iter().map(|key| (key.clone(), Some(vec![1; 25]))).collect());
            for touched in [1, 100, GROUND] {
                let keys = keys.clone();
                self.report(&format!("{name} keys, {touched} of {GROUND} touched"), rounds, move |rng| {
                    keys.sample(rng, touched).cloned().collect()
                });
            }
        }
    }

    fn report(&mut self, what: &str, rounds: usize, keys: impl Fn(&mut ChaCha8Rng) -> Vec<StateKey>) {
        let (mut roots, mut commits, mut fetches) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = 0;
        for round in 0..rounds + 2 {
            let keys = keys(&mut self.rng);
            let mut value = [7; 25];
            value[..8].copy_from_slice(&self.rng.random::<[u8; 8]>());
            let begun = Moment::now();
            self.store.prefetch(&keys).expect("readable");
            let fetch = begun.took();
            let delta: Delta = keys.into_iter().map(|key| (key, Some(value.to_vec()))).collect();
            let before = self.store.stats().expect("there is a tip").written_bytes;
            let (root, commit) = self.block(&delta);
            bytes = self.store.stats().expect("there is a tip").written_bytes - before;
            if round >= 2 {
                fetches.push(fetch);
                roots.push(root);
                commits.push(commit);
            }
        }
        println!(
            "{what}: prefetch {}, root {}, synced commit {}, {bytes} bytes in the batch",
            spread(fetches),
            spread(roots),
            spread(commits)
        );
    }

    fn reads(&mut self, accounts: u64) {
        let keys: Vec<StateKey> = (0..accounts).sample(&mut self.rng, TOUCHED).into_iter().map(account).collect();
        for how in ["cold", "warm", "warm"] {
            if how == "cold" {
                self.store.forget_pages();
            }
            let begun = Moment::now();
            self.store.prefetch(&keys).expect("readable");
            let fetch = begun.took();
            let begun = Moment::now();
            let base = self.store.base();
            let found = keys.iter().filter(|key| base.read(key).expect("readable").is_some()).count();
            println!(
                "{found} accounts: {how} prefetch {}, then single reads {}",
                spread(vec![fetch]),
                spread(vec![begun.took()])
            );
        }
    }
}

/// Median of the clock with the least and the most, then the median of the processors.
fn spread(times: Vec<Took>) -> String {
    let (mut clock, mut processors): (Vec<Duration>, Vec<Duration>) = times.into_iter().unzip();
    clock.sort();
    processors.sort();
    let middle = clock.len() / 2;
    let last = clock.len() - 1;
    format!("{:.1?} ({:.1?} to {:.1?}, processors {:.1?})", clock[middle], clock[0], clock[last], processors[middle])
}

fn account(n: u64) -> StateKey {
    let digest = Domain::Address.hash(&n);
    StateKey::account(&Address(*digest.0.first_chunk().expect("32 bytes")))
}

fn long_key(n: u64) -> StateKey {
    StateKey::raw(&long_bytes(n)).expect("64 bytes are allowed")
}

fn long_bytes(n: u64) -> [u8; STATE_KEY_BYTES_MAX] {
    let mut bytes = [0; STATE_KEY_BYTES_MAX];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    bytes
}

/// Searches keys of one whole block, so that all lanes work, until enough lie in bucket 0.
fn grind(count: usize) -> Vec<StateKey> {
    let (words, _) = Domain::StateKey.tag().as_chunks();
    let key: [u32; 8] = std::array::from_fn(|n| u32::from_le_bytes(words[n]));
    let platform = Platform::detect();
    let lanes = MAX_SIMD_DEGREE as u64;
    let piece = |piece: u64| {
        let mut found = Vec::new();
        for group in 0..(1 << 20) / lanes {
            let first = (piece << 20) + group * lanes;
            let inputs: [_; MAX_SIMD_DEGREE] = std::array::from_fn(|n| long_bytes(first + n as u64));
            let refs = inputs.each_ref();
            let mut out = [0; 32 * MAX_SIMD_DEGREE];
            platform.hash_many(&refs, &key, 0, IncrementCounter::No, 1 << 4, 1, 2 | 8, &mut out);
            let (digests, _) = out.as_chunks::<32>();
            for (digest, input) in digests.iter().zip(&inputs) {
                if digest[0] == 0 && digest[1] == 0 && digest[2] < 16 {
                    found.push(StateKey::raw(input).expect("64 bytes are allowed"));
                }
            }
        }
        found
    };
    let mut found: Vec<StateKey> = Vec::new();
    let mut next = 0;
    while found.len() < count {
        found.extend((next..next + 256).into_par_iter().map(piece).flatten_iter().collect::<Vec<_>>());
        next += 256;
    }
    found.truncate(count);
    assert!(found.iter().all(|key| KeyHash::of(key).bucket() == 0));
    found
}

fn transfers() -> Vec<SignedTx> {
    let key = SecretKey::from_seed(&[1; 32]);
    let action = Action::Transfer(Transfer { to: Address([7; 20]), amount: Amount::new(1) });
    let body = TxBody { chain: ChainId(7), nonce: Nonce(0), gas_price: Amount::new(1), gas_limit: Gas(21_000), action };
    vec![body.sign(&key); TOUCHED / 2]
}

fn header(parent: Option<&Header>, state_root: Digest) -> Header {
    let height = parent.map_or(0, |parent| parent.height.0 + 1);
    Header {
        version: 1,
        chain: ChainId(7),
        height: Height(height),
        epoch: Epoch(0),
        view: View(height),
        parent_view: View(0),
        parent: parent.map_or(BlockId(Digest::ZERO), Header::id),
        time: TimeMs(height),
        proposer: SecretKey::from_seed(&[1; 32]).public(),
        beacon: Digest::ZERO,
        tx_root: Digest::ZERO,
        state_root,
        compute_root: Digest::ZERO,
        gas_used: Gas(0),
        next_validators: Digest::ZERO,
    }
}
