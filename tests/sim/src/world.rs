//! One world from its beginning to its end, and what is demanded of it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::ops::{ControlFlow, Deref};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use commonware_cryptography::ed25519::PublicKey as Key;
use commonware_p2p::Manager as _;
use commonware_p2p::simulated::{self, Link, Oracle};
use commonware_runtime::deterministic::{self, FaultConfig, PartialWriteMode, WriteConfig};
use commonware_runtime::{Clock as _, Handle, Quota, Spawner as _, Supervisor as _};
use commonware_utils::Probability;
use commonware_utils::ordered::Set;
use cpc::chain::Chain;
use cpc_engine::{Config, Ended, Pace, Signer, key_of, network_message_bytes_max, run as run_validator};
use cpc_genesis::{ChainSpec, Genesis, Network as Known, known_key};
use cpc_ledger::{GenesisAccount, GenesisValidator};
use cpc_light::{ConflictingVotes, ValidatorSet, namespace};
use cpc_primitives::hash_chain::{HashChain, advance};
use cpc_primitives::kv::Kv;
use cpc_primitives::tx::{Action, ChainEnds, KeyUse, ProvenKey, Registration, Transfer, TxBody};
use cpc_primitives::{Address, Amount, Bounded, Bps, Digest, Domain, Epoch, Gas, Height, Nonce, SecretKey};
use cpc_store::{MemKv, Options, Store};

use crate::disk::HastyDisk;
use crate::liars::{Liar, Mask, equivocate};
use crate::network::{Halves, connect};
use crate::plan::{Crash, Loss, Plan, Planted};
use crate::watch::{Violation, Watch};

type Context = deterministic::Context;

/// Blocks of an epoch: few, so that a world sees many of them.
const EPOCH_BLOCKS: u64 = 10;
/// The most bytes of a block.
const BLOCK_BYTES: u32 = 128 * 1024;
/// How long a world may take after it has healed.
const HEALED_MS: u64 = 240_000;
/// From so many views with votes that exclude each other, all at one honest validator, there is a proof.
const UNSEEN_VIEWS: usize = 3;
/// How often the world is looked at.
const LOOK_MS: u64 = 20;
/// Elements of a validator's hash chain.
const BEACON_STEPS: u32 = 4_096;
/// Who pays for the transfers.
const PAYERS: usize = 8;
const QUOTA: u32 = 4_096;

/// What a world was in the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// All final blocks, folded into one hash.
    pub ledgers: Digest,
    /// The order of all events, folded into one hash.
    pub trace: String,
    /// The lowest height of an honest validator.
    pub height: u64,
    /// Transfers in final blocks.
    pub transfers: u64,
    /// Virtual time.
    pub time_ms: u64,
    /// What must not have happened.
    pub violations: Vec<Violation>,
    /// Keys that were accused.
    pub accused: usize,
    /// How often an honest validator found a block invalid.
    pub refusals: u64,
}

/// Runs the world of a plan.
pub fn run(plan: &Plan) -> Report {
    // The world begins when its chain does.
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(genesis_of(plan).header.time.0);
    // What is not synced when the power goes is lost, or a beginning of it is there.
    let faults = FaultConfig::default().write(WriteConfig {
        failure_rate: Probability::new(0, 2).expect("never"),
        retention_rate: Probability::new(1, 2).expect("one of two"),
        mode: PartialWriteMode::Prefix,
    });
    let config = deterministic::Config::new().with_seed(plan.seed).with_start_time(start);
    let mut runner = deterministic::Runner::new(config.with_storage_fault_config(faults));
    let mut left = Left::new(plan);
    loop {
        let begin = |context| async move { World::begin(context, left).await.go().await };
        let (end, checkpoint) = runner.start_and_recover(begin);
        match end {
            End::Over(report) => return report,
            End::Dark(rest) => left = rest,
        }
        runner = deterministic::Runner::from(checkpoint);
    }
}

/// How the world's time under one supply of power ended.
enum End {
    /// The world is over.
    Over(Report),
    /// The power went for everybody.
    Dark(Left),
}

/// What is there when nothing runs.
struct Left {
    plan: Plan,
    genesis: Genesis,
    watch: Arc<Watch>,
    disks: Vec<Vec<Arc<MemKv>>>,
    /// How often each has lost the folder of its votes.
    wiped: Vec<u32>,
    /// Who has lost everything.
    blank: Vec<bool>,
    back_at: Vec<Option<u64>>,
    lives: Vec<u32>,
    crashed: Vec<bool>,
    sent: BTreeMap<usize, u64>,
    now_ms: u64,
}

impl Left {
    /// A world that has not begun.
    fn new(plan: &Plan) -> Self {
        let count = plan.validators;
        Self {
            plan: plan.clone(),
            genesis: genesis_of(plan),
            watch: Arc::default(),
            disks: (0..count).map(|_| vec![Arc::new(MemKv::new()), Arc::new(MemKv::new())]).collect(),
            wiped: vec![0; count],
            blank: vec![false; count],
            back_at: vec![None; count],
            lives: vec![0; count],
            crashed: vec![false; plan.crashes.len()],
            sent: BTreeMap::new(),
            now_ms: 0,
        }
    }
}

/// One validator that has power: the tasks that run on its disk.
struct Place {
    chain: Arc<Chain>,
    tasks: Vec<Handle<Ended>>,
}

/// Each link from one to another: lost messages of a thousand, latency and jitter, or nothing where it is cut.
type Links = Vec<Vec<Option<(u32, u64, u64)>>>;

struct World {
    context: Context,
    left: Left,
    keys: Vec<SecretKey>,
    oracle: Oracle<Key, Context>,
    places: Vec<Place>,
}

impl Deref for World {
    type Target = Left;

    fn deref(&self) -> &Left {
        &self.left
    }
}

impl World {
    async fn begin(context: Context, left: Left) -> Self {
        let plan = &left.plan;
        let keys: Vec<SecretKey> = (0..plan.validators).map(|who| known_key(&label(who, "consensus"))).collect();
        let peers: Vec<Key> = keys.iter().map(library_key).collect();
        let (network, oracle) = simulated::Network::new_with_peers(
            context.child("network"),
            simulated::Config {
                max_size: network_message_bytes_max(BLOCK_BYTES),
                max_peers_per_set: NonZeroUsize::new(plan.validators).expect("not zero"),
                // A liar who was caught goes on lying to the others.
                disconnect_on_block: false,
                tracked_peer_sets: NonZeroUsize::new(1).expect("not zero"),
            },
            peers.clone(),
        )
        .await;
        network.start();
        oracle.manager().track(0, Set::from_iter_dedup(peers));
        let place = |disks: &Vec<Arc<MemKv>>| Place {
            chain: open(Arc::clone(&disks[0]) as _, &left.genesis),
            tasks: Vec::new(),
        };
        let places = left.disks.iter().map(place).collect();
        Self { context, left, keys, oracle, places }
    }

    async fn go(mut self) -> End {
        for who in 0..self.plan.validators {
            if self.back_at[who].is_none() {
                self.start(who).await;
            }
        }
        let mut links = None;
        let deadline = self.plan.chaos_ms + HEALED_MS;
        loop {
            let wanted = self.links();
            if links.as_ref() != Some(&wanted) {
                self.connect_all(&wanted).await;
                links = Some(wanted);
            }
            self.submit();
            for (place, crash) in self.plan.crashes.clone().iter().enumerate() {
                let highest = crash.who.iter().map(|who| self.watch.height(*who)).max().unwrap_or_default();
                if !self.crashed[place] && highest >= crash.at {
                    self.left.crashed[place] = true;
                    for who in &crash.who {
                        self.crash(*who, crash);
                    }
                    if crash.who.len() == self.plan.validators {
                        return End::Dark(self.left);
                    }
                }
            }
            for who in 0..self.plan.validators {
                if self.back_at[who].is_some_and(|at| at <= self.now_ms) {
                    self.start(who).await;
                }
                self.look_after(who).await;
            }
            let done = self.honest().all(|who| self.watch.height(who) >= self.plan.blocks);
            if done || !self.watch.violations().is_empty() {
                break;
            }
            if self.now_ms >= deadline {
                let heights = (0..self.plan.validators).map(|who| self.watch.height(who)).collect();
                self.watch.violate(Violation::Stall { heights });
                break;
            }
            self.context.sleep(Duration::from_millis(LOOK_MS)).await;
            self.left.now_ms += LOOK_MS;
        }
        End::Over(self.report())
    }

    fn honest(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.plan.validators).filter(|who| self.plan.is_honest(*who))
    }

    /// How each link is now: lost messages of a thousand, or nothing where it is cut.
    fn links(&self) -> Links {
        let chaos = &self.plan.chaos;
        let healed = self.now_ms >= self.plan.chaos_ms;
        let loss = if healed { 0 } else { chaos.loss_per_mille };
        let cut = |one: usize, other: usize| {
            !healed
                && chaos.partitions.iter().any(|(begin, length, side)| {
                    (*begin..begin + length).contains(&self.now_ms) && side.contains(&one) != side.contains(&other)
                })
        };
        let gone = |who: usize| self.back_at[who].is_some();
        let count = self.plan.validators;
        let link = |one: usize, other: usize| {
            (one != other && !cut(one, other) && !gone(one) && !gone(other)).then_some((
                loss,
                chaos.latency_ms,
                chaos.jitter_ms,
            ))
        };
        (0..count).map(|one| (0..count).map(|other| link(one, other)).collect()).collect()
    }

    async fn connect_all(&mut self, links: &Links) {
        for (one, row) in links.iter().enumerate() {
            for (other, link) in row.iter().enumerate().filter(|(other, _)| *other != one) {
                let (from, to) = (library_key(&self.keys[one]), library_key(&self.keys[other]));
                // A link that is not there cannot be cut, which is as good.
                let _ = self.oracle.remove_link(from.clone(), to.clone()).await;
                if let Some((loss, latency, jitter)) = link {
                    let success_rate = Probability::new(u64::from(1_000 - loss), 1_000).expect("at most one");
                    let latency = Duration::from_millis(*latency);
                    let link = Link { latency, jitter: Duration::from_millis(*jitter), success_rate };
                    self.oracle.add_link(from, to, link).await.expect("both ends are there");
                }
            }
        }
    }

    /// Starts a validator on what its disk holds.
    async fn start(&mut self, who: usize) {
        let lie = self.plan.lie_of(who);
        self.left.back_at[who] = None;
        if lie == Some(Liar::Silent) {
            return;
        }
        let key = library_key(&self.keys[who]);
        let halves = (lie == Some(Liar::Twins)).then(|| {
            let others: Vec<Key> = self.keys.iter().map(library_key).filter(|other| *other != key).collect();
            let half = if self.plan.seed.is_multiple_of(2) { others.len() / 2 } else { 0 };
            Halves { first: Arc::new(others[..half].to_vec()), all: Arc::new(others) }
        });
        self.left.lives[who] += 1;
        let life = self.lives[who];
        let honest = self.plan.is_honest(who);
        let context = self.context.child("validator").with_attribute("who", who).with_attribute("life", life);
        let quota = Quota::per_second(NonZeroU32::new(QUOTA).expect("not zero"));
        let watched = honest.then(|| (who, Arc::clone(&self.watch)));
        let ends = connect(&context, &self.oracle, &key, halves.clone(), quota, watched).await;
        let runs = if halves.is_some() { 2 } else { 1 };
        for (copy, network) in ends.into_iter().take(runs).enumerate() {
            let disk = Arc::clone(&self.disks[who][copy]);
            let planted = self.plan.planted.filter(|_| honest);
            let kv: Arc<dyn Kv> = match planted {
                Some(Planted::EarlySync) => Arc::new(HastyDisk(Arc::clone(&disk))),
                _ => Arc::clone(&disk) as _,
            };
            let chain = open(Arc::clone(&kv), &self.genesis);
            if honest && chain.tip().header.height.0 < self.watch.height(who) {
                self.watch.violate(Violation::Lost { who });
                return;
            }
            let fed = chain.feed_beacon(&self.keys[who].public(), beacon(who)).expect("the disk can be read");
            assert!(fed, "a validator's chain is the one that it has registered");
            if copy == 0 {
                self.places[who].chain = Arc::clone(&chain);
            }
            let mask = Mask {
                chain: Arc::clone(&chain),
                who,
                skew_ms: self.plan.skew_ms[who],
                lie,
                watch: if honest { Arc::clone(&self.watch) } else { Arc::default() },
                audits: honest && self.honest().next() == Some(who) && planted.is_none(),
                hasty: (planted == Some(Planted::EarlyWord)).then(Mutex::default),
            };
            let context = context.child("run").with_attribute("copy", copy);
            if lie == Some(Liar::Equivocator) {
                let sets = {
                    let chain = Arc::clone(&chain);
                    move |epoch: Epoch| {
                        let seats = cpc_engine::Chain::seats(&*chain, epoch.min(Epoch(1))).ok()??;
                        ValidatorSet::new(seats.iter().map(|seat| seat.key).collect()).ok()
                    }
                };
                let (secret, space) = (self.keys[who].clone(), self.namespace());
                self.places[who].tasks.push(context.spawn(move |_| async move {
                    equivocate(secret, space, sets, network.votes).await;
                    Ended::Stopped
                }));
                return;
            }
            let config = Config {
                namespace: self.namespace(),
                signer: Signer::new(self.keys[who].clone()),
                // Every key is new; whoever has lost all it knew cannot say so.
                votes_from: (!self.blank[who] || planted == Some(Planted::Amnesia)).then_some(Epoch(0)),
                epoch_blocks: NonZeroU64::new(EPOCH_BLOCKS).expect("not zero"),
                block_bytes_max: BLOCK_BYTES,
                pace: Pace::of(Duration::from_millis(self.plan.interval_ms)),
                messages_per_second: NonZeroU32::new(QUOTA).expect("not zero"),
                partition_prefix: format!("v{who}-{copy}-{}-", self.wiped[who]),
            };
            let task = context.spawn(move |context| run_validator(context, config, Arc::new(mask), kv, network));
            self.places[who].tasks.push(task);
        }
    }

    fn namespace(&self) -> Vec<u8> {
        namespace(self.genesis.spec.params.chain, &self.genesis.id())
    }

    /// Ends a validator as a loss of power would.
    ///
    /// What the runtime keeps for it loses unsynced bytes only where the power goes for everybody; its own disk always does.
    fn crash(&mut self, who: usize, crash: &Crash) {
        if self.back_at[who].is_some() {
            return;
        }
        for task in self.places[who].tasks.drain(..) {
            task.abort();
        }
        let seed = self.plan.seed ^ self.now_ms;
        for disk in &mut self.left.disks[who] {
            match crash.loses {
                Loss::Everything => *disk = Arc::new(MemKv::new()),
                Loss::Unsynced | Loss::Votes => disk.crash(seed),
            }
        }
        if crash.loses != Loss::Unsynced {
            self.left.wiped[who] += 1;
        }
        if crash.loses == Loss::Everything {
            self.left.blank[who] = true;
            self.watch.forget(who);
        } else if self.plan.is_honest(who) {
            self.watch.proofs_after_crash(who, accused_on(&self.disks[who][0]));
        }
        self.left.back_at[who] = Some(self.now_ms + crash.down_ms);
    }

    /// A validator that ends by itself did so for a reason.
    async fn look_after(&mut self, who: usize) {
        let (honest, watch) = (self.plan.is_honest(who), Arc::clone(&self.watch));
        for task in &mut self.places[who].tasks {
            if let Some(ended) = futures_now(task).await {
                let why = ended.map_or_else(|error| error.to_string(), |ended| format!("{ended:?}"));
                if honest {
                    watch.violate(Violation::Ended { who, why });
                }
            }
        }
    }

    /// Everybody hears of every transfer: how they travel is tested elsewhere.
    fn submit(&mut self) {
        if !self.now_ms.is_multiple_of(LOOK_MS * 5) {
            return;
        }
        let payer = usize::try_from(self.now_ms / (LOOK_MS * 5)).expect("few") % PAYERS;
        let params = &self.left.genesis.spec.params;
        let nonce = self.left.sent.entry(payer).or_default();
        let body = TxBody {
            chain: params.chain,
            nonce: Nonce(*nonce),
            gas_price: params.gas_price_min,
            gas_limit: Gas(60_000),
            action: Action::Transfer(Transfer { to: Address::of(&payer_key(payer + 1).public()), amount: Amount::ONE }),
        };
        let tx = body.sign(&payer_key(payer));
        *nonce += 1;
        for (who, place) in self.places.iter().enumerate() {
            if self.left.plan.lie_of(who) != Some(Liar::Censor) && self.left.back_at[who].is_none() {
                // Whoever is full or far behind takes it from a block.
                let _ = place.chain.admit(tx.clone());
            }
        }
    }

    fn report(self) -> Report {
        let height = self.honest().map(|who| self.watch.height(who)).min().unwrap_or_default();
        for who in self.honest() {
            let chain = &self.places[who].chain;
            if let Err(what) = chain.audit() {
                self.watch.violate(Violation::Books { who, what });
            }
        }
        let accusations = self.watch.accusations();
        for key in accusations.keys() {
            let guilty = self.keys.iter().position(|other| other.public() == *key);
            let may = guilty.and_then(|who| self.plan.lie_of(who));
            if !matches!(may, Some(Liar::Equivocator | Liar::Twins)) {
                self.watch.violate(Violation::Innocent { key: *key });
            }
        }
        for ((epoch, seat), views) in self.watch.conflicts() {
            // Of later epochs the seats are those of epoch 1. What comes for a view that is long over is not looked at.
            let seats = cpc_engine::Chain::seats(&*self.places[0].chain, epoch.min(Epoch(1))).ok().flatten();
            let key = seats.and_then(|seats| Some(seats.get(usize::try_from(seat).ok()?)?.key));
            if let Some(key) = key.filter(|key| views >= UNSEEN_VIEWS && !accusations.contains_key(key)) {
                self.watch.violate(Violation::Unseen { key });
            }
        }
        let best = self.honest().max_by_key(|who| self.watch.height(*who));
        let transfers = best.map_or(0, |who| transfers(&self.places[who].chain));
        Report {
            ledgers: self.watch.digest(),
            trace: self.context.auditor().state(),
            height,
            transfers,
            time_ms: self.now_ms,
            violations: self.watch.violations(),
            accused: accusations.len(),
            refusals: self.watch.refusals(),
        }
    }
}

/// What a task has come to, if it has ended.
async fn futures_now(task: &mut Handle<Ended>) -> Option<Result<Ended, commonware_runtime::Error>> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *task).poll(context) {
            std::task::Poll::Ready(ended) => Some(ended),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

use std::future::Future as _;

fn open(kv: Arc<dyn Kv>, genesis: &Genesis) -> Arc<Chain> {
    let store = Store::open(kv, Options::default()).expect("what a crash leaves can be opened");
    Arc::new(Chain::over(store, genesis.clone(), String::new(), None).expect("the same genesis"))
}

/// How many keys a disk holds proofs against.
fn accused_on(disk: &MemKv) -> usize {
    let mut keys = BTreeSet::new();
    disk.scan(cpc_engine::EVIDENCE, &[], &mut |_, proof| {
        let proof = ConflictingVotes::decode(proof).expect("a proof that was kept can be read");
        // Of later epochs the seats are those of epoch 1.
        keys.insert((proof.epoch().min(Epoch(1)), proof.votes()[0].seat));
        ControlFlow::Continue(())
    })
    .expect("the disk can be read");
    keys.len()
}

fn transfers(chain: &Chain) -> u64 {
    let heights = 1..=chain.tip().header.height.0;
    let counts = heights.filter_map(|height| chain.block(Height(height)).ok().flatten());
    counts.map(|found| u64::try_from(found.block.txs.len()).expect("few")).sum()
}

fn label(who: usize, part: &str) -> String {
    format!("sim/{who}/{part}")
}

fn payer_key(payer: usize) -> SecretKey {
    known_key(&format!("sim/payer/{payer}"))
}

/// The chain with which a validator feeds the beacon: short, as its world is.
fn beacon(who: usize) -> HashChain {
    HashChain::build(Domain::PublicKnownSeed.hash_bytes(label(who, "beacon-chain").as_bytes()), BEACON_STEPS)
}

fn library_key(key: &SecretKey) -> Key {
    key_of(&key.public()).expect("a key")
}

/// A genesis of so many validators, of whom the first epoch has some.
fn genesis_of(plan: &Plan) -> Genesis {
    let mut spec = ChainSpec::parse(Known::Devnet.text()).expect("the devnet's file");
    spec.name = "sim".to_owned();
    spec.params.epoch_blocks = EPOCH_BLOCKS;
    spec.params.interval_ms = plan.interval_ms.max(1);
    spec.params.block_bytes_max = BLOCK_BYTES;
    spec.params.beacon_steps = BEACON_STEPS;
    spec.faucet = None;
    let chain = spec.params.chain;
    let rich = |key: &SecretKey| GenesisAccount {
        address: Address::of(&key.public()),
        balance: Amount::ONE.checked_mul(1_000_000).expect("a million"),
    };
    spec.accounts = (0..=PAYERS).map(|payer| rich(&payer_key(payer))).collect();
    spec.validators = Vec::new();
    let mut accounts = Vec::new();
    for who in 0..plan.validators {
        let part = |name: &str| known_key(&label(who, name));
        let account = Address::of(&part("account").public());
        let proven = |name: &str, role: KeyUse| ProvenKey::prove(&part(name), role, chain, &account);
        let seed = |name: &str| Domain::PublicKnownSeed.hash_bytes(label(who, name).as_bytes());
        let address = |port: usize| Bounded::new(format!("127.0.0.1:{port}").into_bytes()).expect("short");
        spec.accounts.push(rich(&part("account")));
        spec.validators.push(GenesisValidator {
            account,
            stake: Amount::ONE.checked_mul(100_000).expect("a stake"),
            registration: Registration {
                consensus: proven("consensus", KeyUse::Consensus),
                verdict: proven("verdict", KeyUse::Verdict),
                network: proven("network", KeyUse::Network),
                consensus_addresses: Bounded::new(vec![address(9_000 + who)]).expect("one"),
                network_addresses: Bounded::default(),
                chains: ChainEnds { beacon: beacon(who).end(), secrets: advance(seed("secret-chain"), 64) },
                kernels: Bounded::default(),
                commission: Bps::new(500).expect("five per cent"),
            },
        });
        accounts.push(account);
    }
    spec.seats = [Some(plan.first_seats.iter().map(|who| accounts[*who]).collect()), None];
    Genesis::build(spec).expect("a world's genesis")
}
