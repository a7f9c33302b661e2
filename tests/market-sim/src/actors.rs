//! Who plays: nodes and workers, honest ones and liars with names.

use std::collections::BTreeMap;

use cpc_kernels::frame::Judgement;
use cpc_kernels::{Cpu, Executor, Inputs, Reference, Watch};
use cpc_market::journal::{Record, WorkerNote};
use cpc_market::worker::{self, Worker};
use cpc_market::{Config, Examiner, Market};
use cpc_market_wire::limits::DEVICE_BYTES_MAX;
use cpc_primitives::codec::Bounded;
use cpc_primitives::ids::{Epoch, TaskId};
use cpc_primitives::result::TaskOrder;
use cpc_primitives::{Address, Digest, Domain, PublicKey, SecretKey};

use crate::chain::{BOND_FACTOR, CHAIN, ROTATION_BLOCKS};
use crate::rng::Rng;

/// How a validator's node behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeKind {
    /// By the rules.
    Honest,
    /// It attests whatever it is shown, without a look.
    LazyAttester,
    /// It says nothing at all.
    Silent,
}

/// How a worker behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WorkerKind {
    /// By the rules.
    Honest,
    /// It changes one value of each output.
    WrongResult,
    /// It computes nothing and sends zeros.
    Lazy,
    /// It commits itself and never shows the bytes.
    Withholding,
    /// It computes nothing, and copies what others have shown.
    Thief,
    /// It says again what others said, as if it were its own.
    Replayer,
    /// It has no bond, and there are many of it.
    Sybil,
    /// It holds jobs, reports, and never ends.
    SlowLoris,
    /// Its device flips a bit in every second output; its own check finds it.
    BitFlipping,
}

/// A validator's node.
pub struct Node {
    /// How it behaves.
    pub kind: NodeKind,
    /// Its end of a connection.
    pub network: PublicKey,
    verdict: SecretKey,
    secret: Digest,
    /// Nothing while it is down.
    pub market: Option<Market>,
    /// Its heavy work.
    pub examiner: Examiner,
    /// What survives.
    pub journal: Vec<Record>,
    /// Outputs that it fetched.
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    /// What of its past is over.
    pub life: u64,
    /// The last block that it saw.
    pub seen: u64,
}

/// A worker's machine.
pub struct Machine {
    /// How it behaves.
    pub kind: WorkerKind,
    /// Its end of a connection.
    pub network: PublicKey,
    /// Its account.
    pub address: Address,
    hot: SecretKey,
    /// Nothing while it is down.
    pub worker: Option<Worker>,
    /// Its heavy work.
    pub examiner: Examiner,
    /// What survives.
    pub journal: Vec<WorkerNote>,
    /// Its outputs.
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    /// What of its past is over.
    pub life: u64,
    /// The last block that it saw.
    pub seen: u64,
    /// Times that its owner let it go on.
    pub resumed: u64,
}

/// The key of a name.
pub fn key(name: &str, number: usize) -> SecretKey {
    let seed = Domain::PublicKnownSeed.hash_bytes(format!("{name}-{number}").as_bytes());
    SecretKey::from_seed(&seed.0)
}

impl Node {
    /// The node with this number.
    pub fn new(number: usize, kind: NodeKind) -> Self {
        let verdict = key("verdict", number);
        Self {
            kind,
            network: key("node", number).public(),
            secret: Domain::ChainStep.hash_bytes(verdict.seed()),
            verdict,
            market: None,
            examiner: Examiner::new(Cpu::best()),
            journal: Vec::new(),
            blobs: BTreeMap::new(),
            life: 0,
            seen: 0,
        }
    }

    /// The key of its verdicts.
    pub fn verdict_key(&self) -> PublicKey {
        self.verdict.public()
    }

    /// A market that knows nothing yet.
    pub fn fresh_market(&self) -> Market {
        Market::new(Config {
            chain: CHAIN,
            verdict: self.verdict.clone(),
            network: self.network,
            rotation_blocks: ROTATION_BLOCKS,
            bond_factor_spot: BOND_FACTOR,
            bond_factor: BOND_FACTOR,
        })
    }

    /// The secret of an epoch.
    pub fn secret(&self, epoch: Epoch) -> Digest {
        Domain::ChainStep.hash_bytes(&[self.secret.0.as_slice(), &epoch.0.to_le_bytes()].concat())
    }

    /// What this node finds of an output.
    pub fn judge(
        &mut self,
        task: &TaskId,
        epoch: Epoch,
        effort: cpc_kernels::Effort,
        job: &cpc_kernels::Job,
        output: &[u8],
    ) -> Option<Judgement> {
        if self.kind == NodeKind::LazyAttester {
            let sample = Domain::SampleCommitment.hash_bytes(b"nobody looked");
            return Some(Judgement { wrong: None, sample, digest: Digest::ZERO });
        }
        let secret = self.secret(epoch);
        self.examiner.judge(task, epoch, secret, effort, job, output, &Watch::new())?.ok()
    }
}

impl Machine {
    /// The worker with this number.
    pub fn new(number: usize, kind: WorkerKind) -> Self {
        let hot = key("hot", number);
        Self {
            kind,
            network: key("worker", number).public(),
            address: Address::of(&key("account", number).public()),
            hot,
            worker: None,
            examiner: Examiner::new(Cpu::best()),
            journal: Vec::new(),
            blobs: BTreeMap::new(),
            life: 0,
            seen: 0,
            resumed: 0,
        }
    }

    /// The key of its results.
    pub fn hot_key(&self) -> PublicKey {
        self.hot.public()
    }

    /// A worker with what its journal holds.
    pub fn fresh_worker(&self) -> Worker {
        let device: Bounded<u8, DEVICE_BYTES_MAX> = Bounded::new(b"cpu".to_vec()).expect("short");
        let mut worker = Worker::new(worker::Config {
            chain: CHAIN,
            worker: self.address,
            hot: self.hot.clone(),
            network: self.network,
            salt: Domain::ResultSalt.hash_bytes(self.hot.seed()),
            kernels: Bounded::new(vec![cpc_kernels::synthetic::ID]).expect("one"),
            credits: 4,
            devices: 1,
            device,
            kept_bytes_max: 1 << 30,
        });
        self.journal.iter().for_each(|note| worker.restore(note));
        worker
    }

    /// What this machine gives for a job: nothing where its device failed.
    pub fn compute(
        &mut self,
        task: TaskId,
        order: &TaskOrder,
        job: &cpc_kernels::Job,
        executor: &Reference,
        rng: &mut Rng,
    ) -> Option<Vec<u8>> {
        self.examiner.prepare(task, order, &Inputs::none(), &Watch::new());
        let secret = Domain::ChainStep.hash_bytes(&rng.bytes());
        let flips = self.kind == WorkerKind::BitFlipping && rng.happens(500);
        let device = Device { inner: executor, flips };
        let right = self.examiner.compute(&task, job, secret, &device, &Watch::new())?.ok()?;
        match self.kind {
            WorkerKind::WrongResult => Some(changed(right)),
            WorkerKind::Lazy => Some(vec![0; right.len()]),
            _ => Some(right),
        }
    }

    /// What this machine gives for a measuring job.
    pub fn compute_probe(&self, probe: &cpc_market_wire::Probe, executor: &Reference) -> Option<Vec<u8>> {
        self.examiner.compute_probe(probe, executor, &Watch::new()).ok()
    }
}

/// A processor that may flip a bit.
struct Device<'a> {
    inner: &'a Reference,
    flips: bool,
}

impl Executor for Device<'_> {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn run(
        &self,
        task: &dyn cpc_kernels::PreparedTask,
        geometry: &cpc_primitives::result::Geometry,
        watch: &Watch,
    ) -> Result<cpc_kernels::Output, cpc_kernels::RunError> {
        let mut output = self.inner.run(task, geometry, watch)?;
        if self.flips {
            output.bytes[5] ^= 4;
        }
        Ok(output)
    }
}

/// The output with one other value, which is an element of the field as well.
fn changed(mut output: Vec<u8>) -> Vec<u8> {
    output[0] ^= 1;
    output
}
