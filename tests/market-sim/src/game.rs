//! One game: actors, links with delay and loss, a chain, and what must hold at the end.

use std::collections::{BTreeMap, BTreeSet};

use cpc_kernels::{Cpu, Inputs, Reference, Watch};
use cpc_market::chain::Seat;
use cpc_market::worker;
use cpc_market::{Effect, Event, Examined, Prepared, Tag};
use cpc_market_wire::{BlobName, Frame, Message, ProbeDone, Refusal, Reply};
use cpc_primitives::codec::Bounded;
use cpc_primitives::ids::{JobIndex, Nonce, TaskId, TimeMs};
use cpc_primitives::result::{Challenge, KernelId, TaskOrder};
use cpc_primitives::{Address, Amount, Digest, Domain, Height, PublicKey};

use crate::actors::{Machine, Node, NodeKind, WorkerKind};
use crate::chain::{BLOCK_MS, Bonded, CHAIN, Canary, Chain, JobEnd, Tx, WINDOW_BLOCKS, reward};
use crate::rng::Rng;
use crate::truth::{bad_order, order};

/// What a game is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The validators.
    pub nodes: Vec<NodeKind>,
    /// The workers.
    pub workers: Vec<WorkerKind>,
    /// Tasks of honest customers, and into how many jobs each is split.
    pub tasks: Vec<u32>,
    /// Tasks of griefing customers.
    pub griefs: Vec<Grief>,
    /// How many of a thousand messages are lost.
    pub loss: u64,
    /// How many actors are killed and come back.
    pub kills: usize,
    /// A bug of the chain that the game has to find.
    pub canary: Option<Canary>,
}

/// What a griefing customer does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grief {
    /// It orders what nobody can compute.
    BadSpec,
    /// It names an input that nobody has.
    LostPayload,
    /// It calls the task off when the work is done.
    LateCancel,
    /// Its deadline comes while the work is done.
    TightDeadline,
}

/// Who an actor is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Who {
    Node(usize),
    Worker(usize),
}

/// What happens at a time.
enum Happening {
    Block,
    Seen { who: Who, height: u64 },
    Asked { from: Who, to: Who, number: u64, bytes: Vec<u8> },
    Answered { number: u64, bytes: Option<Vec<u8>> },
    Node { at: usize, life: u64, event: Box<Event> },
    Worker { at: usize, life: u64, event: Box<worker::Event> },
    Chain(Box<Tx>),
    Kill(Who),
    Revive(Who),
}

/// A question that waits for its answer.
struct Asking {
    from: Who,
    to: Who,
    life: u64,
    tag: AnyTag,
}

enum AnyTag {
    Node(Tag),
    Worker(worker::Tag),
}

/// How a game ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The hash of everything that happened.
    pub trace: Digest,
    /// Jobs whose workers were paid.
    pub settled: usize,
    /// Jobs whose customers were refunded.
    pub refunded: usize,
    /// The height at which everything had ended.
    pub height: u64,
    /// How often a task got another committee.
    pub redraws: u64,
    /// Seats that were not counted when their jobs settled.
    pub missing_seats: u64,
    /// How often a liar did what it is named for.
    pub lies: u64,
    /// Messages that were sent.
    pub messages: u64,
}

/// One game.
pub struct Game {
    plan: Plan,
    rng: Rng,
    now: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    nodes: Vec<Node>,
    machines: Vec<Machine>,
    addresses: BTreeMap<PublicKey, Who>,
    chain: Chain,
    executor: Reference,
    asking: BTreeMap<u64, Asking>,
    questions: u64,
    /// Questions that a node or a worker has to answer, by their number there.
    owed: BTreeMap<(Who, u64), u64>,
    /// Outputs that were shown to a committee, by job: what a thief can copy.
    shown: BTreeMap<(TaskId, JobIndex), Vec<u8>>,
    /// Messages that a replayer heard.
    heard: Vec<Message>,
    honest: BTreeSet<TaskId>,
    trace: Digest,
    lies: u64,
    messages: u64,
}

/// Blocks after which a game that has not ended is stuck.
const PATIENCE_BLOCKS: u64 = 600;

impl Game {
    /// A game of a plan with a seed.
    pub fn new(plan: Plan, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let nodes: Vec<Node> = plan.nodes.iter().enumerate().map(|(n, kind)| Node::new(n, *kind)).collect();
        let machines: Vec<Machine> = plan.workers.iter().enumerate().map(|(n, kind)| Machine::new(n, *kind)).collect();
        let seats = (0..).zip(&nodes).map(|(number, node)| Seat {
            number: 2 * number + 1,
            account: Address::of(&node.network),
            verdict: node.verdict_key(),
            network: node.network,
        });
        let bonded = machines.iter().filter(|machine| machine.kind != WorkerKind::Sybil).map(|machine| {
            let bond = Amount::new(1_000_000_000);
            let (hot, reserved, earned) = (machine.hot_key(), Amount::ZERO, Amount::ZERO);
            (machine.address, Bonded { hot, bond, reserved, earned })
        });
        let chain = Chain::new(seats.collect(), bonded.collect(), plan.canary);
        let node_keys = nodes.iter().enumerate().map(|(n, node)| (node.network, Who::Node(n)));
        let worker_keys = machines.iter().enumerate().map(|(n, machine)| (machine.network, Who::Worker(n)));
        let addresses = node_keys.chain(worker_keys).collect();
        let trace = Domain::TxLeaf.hash_bytes(&rng.bytes());
        let mut game = Self {
            plan,
            rng,
            now: 0,
            sequence: 0,
            queue: BTreeMap::new(),
            nodes,
            machines,
            addresses,
            chain,
            executor: Reference::new(Cpu::best(), 1).expect("one thread"),
            asking: BTreeMap::new(),
            questions: 0,
            owed: BTreeMap::new(),
            shown: BTreeMap::new(),
            heard: Vec::new(),
            honest: BTreeSet::new(),
            trace,
            lies: 0,
            messages: 0,
        };
        game.set_up();
        game
    }

    fn set_up(&mut self) {
        for n in 0..self.nodes.len() {
            self.at(0, Happening::Revive(Who::Node(n)));
        }
        for n in 0..self.machines.len() {
            let begin = self.rng.within(10, 3_000);
            self.at(begin, Happening::Revive(Who::Worker(n)));
        }
        self.at(BLOCK_MS, Happening::Block);
        self.post_tasks();
        for _ in 0..self.plan.kills {
            let all = self.nodes.len() + self.machines.len();
            let pick = self.rng.below(all as u64) as usize;
            let who = if pick < self.nodes.len() { Who::Node(pick) } else { Who::Worker(pick - self.nodes.len()) };
            let at = self.rng.within(3_000, 20_000);
            let back = at + self.rng.within(500, 15_000);
            self.at(at, Happening::Kill(who));
            self.at(back, Happening::Revive(who));
        }
    }

    fn post_tasks(&mut self) {
        let tasks = self.plan.tasks.clone();
        for (nonce, jobs) in (0..).zip(tasks) {
            let (at, seed) = (self.rng.within(1_000, 12_000), self.rng.bytes());
            let reward = Amount::new(u128::from(self.rng.within(1_000, 9_999)) * u128::from(jobs));
            let task = TaskId::of(Address::default(), Nonce(nonce));
            self.honest.insert(task);
            let order = order(seed, jobs, reward, self.far(), 24);
            self.at(at, Happening::Chain(Box::new(Tx::Open(task, order))));
        }
        let griefs = self.plan.griefs.clone();
        for (nonce, grief) in (1_000..).zip(griefs) {
            let (at, seed) = (self.rng.within(1_000, 12_000), self.rng.bytes());
            let task = TaskId::of(Address::default(), Nonce(nonce));
            let plain = order(seed, 4, Amount::new(40_001), self.far(), 24);
            let order = match grief {
                Grief::BadSpec => bad_order(plain),
                Grief::LostPayload => lost(plain),
                Grief::LateCancel => plain,
                Grief::TightDeadline => TaskOrder { deadline: self.soon(at), ..plain },
            };
            self.at(at, Happening::Chain(Box::new(Tx::Open(task, order))));
            if grief == Grief::LateCancel {
                let cancel = at + self.rng.within(2_000, 6_000);
                self.at(cancel, Happening::Chain(Box::new(Tx::Cancel(task))));
            }
        }
    }

    fn far(&self) -> TimeMs {
        self.chain.time(Height(PATIENCE_BLOCKS - 60))
    }

    fn soon(&mut self, at: u64) -> TimeMs {
        let blocks = at / BLOCK_MS + self.rng.within(4, 12);
        self.chain.time(Height(blocks))
    }

    fn at(&mut self, time: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((time, self.sequence), happening);
    }

    fn later(&mut self, low: u64, high: u64, happening: Happening) {
        let time = self.now + self.rng.within(low, high);
        self.at(time, happening);
    }

    /// Plays to the end, and demands what must hold.
    pub fn play(mut self) -> Result<Ending, String> {
        while let Some(((time, _), happening)) = self.queue.pop_first() {
            self.now = time;
            self.happen(happening);
            if self.chain.height.0 > PATIENCE_BLOCKS {
                return Err(format!("not ended after {PATIENCE_BLOCKS} blocks: {}", self.open()));
            }
            let all_posted = self.chain.tasks.len() == self.plan.tasks.len() + self.plan.griefs.len();
            if all_posted && self.chain.is_done() {
                break;
            }
        }
        self.judge()
    }

    fn open(&self) -> String {
        let open = self.chain.tasks.iter().filter(|(_, task)| task.closed.is_none());
        let why = open.map(|(id, _)| {
            let reasons = self.nodes.iter().filter_map(|node| node.market.as_ref()?.why(id));
            reasons.map(|reason| reason.to_string()).collect::<Vec<_>>().join("; ")
        });
        why.collect::<Vec<_>>().join(" | ")
    }

    /// What must hold at the end of any game.
    fn judge(&self) -> Result<Ending, String> {
        let totals = self.chain.totals;
        let paid = totals.burned + totals.workers + totals.validators + totals.treasury + totals.refunded;
        if paid != totals.locked {
            return Err(format!("{} came in, {paid} went out", totals.locked));
        }
        if let Some(first) = self.chain.failed.first() {
            return Err(format!("{} transactions failed, the first: {first}", self.chain.failed.len()));
        }
        if !self.chain.accepted_wrong.is_empty() {
            return Err(format!("wrong results were accepted: {:?}", self.chain.accepted_wrong));
        }
        if self.chain.shortest_window < WINDOW_BLOCKS {
            return Err(format!("a result was settled after {} blocks", self.chain.shortest_window));
        }
        let (mut settled, mut refunded) = (0, 0);
        let mut earned: BTreeMap<Address, u128> = BTreeMap::new();
        for (id, task) in &self.chain.tasks {
            for (index, job) in (0..).zip(&task.jobs) {
                match job {
                    JobEnd::Settled { worker } => {
                        settled += 1;
                        let share = reward(&task.order, JobIndex(index)).units() * 2500 / 10_000;
                        *earned.entry(*worker).or_default() += share;
                    }
                    JobEnd::Refunded if self.honest.contains(id) => {
                        return Err(format!("job {index} of an honest customer was refunded: {:?}", task.closed));
                    }
                    JobEnd::Refunded => refunded += 1,
                    JobEnd::Open | JobEnd::Accepted { .. } => return Err(format!("job {index} has no end")),
                }
            }
        }
        for (address, worker) in &self.chain.workers {
            let due = earned.get(address).copied().unwrap_or(0);
            if worker.earned.units() != due {
                return Err(format!("a worker got {} and has earned {due}", worker.earned.units()));
            }
        }
        let (trace, height, redraws) = (self.trace, self.chain.height.0, self.chain.redraws);
        let (missing_seats, lies, messages) = (self.chain.missing_seats, self.lies, self.messages);
        Ok(Ending { trace, settled, refunded, height, redraws, missing_seats, lies, messages })
    }

    fn note(&mut self, bytes: &[u8]) {
        let mut hasher = Domain::TxLeaf.hasher();
        hasher.update(&self.trace.0).update(&self.now.to_le_bytes()).update(bytes);
        self.trace = hasher.finalize().into();
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Block => self.block(),
            Happening::Seen { who, height } => self.seen(who, height),
            Happening::Asked { from, to, number, bytes } => self.asked(from, to, number, &bytes),
            Happening::Answered { number, bytes } => self.answered(number, bytes),
            Happening::Node { at, life, event } => {
                if self.nodes[at].life == life {
                    self.node_step(at, *event);
                }
            }
            Happening::Worker { at, life, event } => {
                if self.machines[at].life == life {
                    self.worker_step(at, *event);
                }
            }
            Happening::Chain(tx) => self.chain.waiting.push(*tx),
            Happening::Kill(who) => self.kill(who),
            Happening::Revive(who) => self.revive(who),
        }
    }

    fn block(&mut self) {
        self.chain.advance();
        let height = self.chain.height.0;
        self.note(&height.to_le_bytes());
        for who in self.everybody() {
            self.later(20, 250, Happening::Seen { who, height });
        }
        self.at(self.now + BLOCK_MS, Happening::Block);
    }

    fn everybody(&self) -> Vec<Who> {
        let nodes = (0..self.nodes.len()).map(Who::Node);
        nodes.chain((0..self.machines.len()).map(Who::Worker)).collect()
    }

    fn clock(&self) -> TimeMs {
        TimeMs(self.chain.time(Height(0)).0 + self.now)
    }

    /// Blocks are seen in their order, and each once.
    fn seen(&mut self, who: Who, height: u64) {
        match who {
            Who::Node(at) => {
                if self.nodes[at].market.is_none() {
                    return;
                }
                for height in self.nodes[at].seen + 1..=height {
                    let block = self.chain.blocks[height as usize].clone();
                    let at_ms = self.clock();
                    self.nodes[at].seen = height;
                    self.node_step(at, Event::Block { at: at_ms, block });
                }
            }
            Who::Worker(at) => {
                if self.machines[at].worker.is_none() {
                    return;
                }
                for height in self.machines[at].seen + 1..=height {
                    let seen = self.chain.seen(Height(height));
                    self.machines[at].seen = height;
                    self.worker_step(at, worker::Event::Block(seen));
                }
                self.mischief(at);
            }
        }
    }

    fn kill(&mut self, who: Who) {
        match who {
            Who::Node(at) => {
                self.nodes[at].market = None;
                self.nodes[at].life += 1;
            }
            Who::Worker(at) => {
                self.machines[at].worker = None;
                self.machines[at].life += 1;
            }
        }
        let gone = self.key(who);
        for other in self.everybody().into_iter().filter(|other| *other != who) {
            match (who, other) {
                (_, Who::Node(at)) => self.node_step(at, Event::Left(gone)),
                (Who::Node(_), Who::Worker(at)) => self.worker_step(at, worker::Event::Left(gone)),
                (Who::Worker(_), Who::Worker(_)) => {}
            }
        }
    }

    fn revive(&mut self, who: Who) {
        match who {
            Who::Node(at) => {
                if self.nodes[at].market.is_some() || self.nodes[at].kind == NodeKind::Silent {
                    return;
                }
                let height = self.chain.height;
                let block = self.chain.snapshot(height);
                let mut market = self.nodes[at].fresh_market();
                let mut effects = Vec::new();
                market.step(Event::Block { at: self.clock(), block }, &mut effects);
                self.nodes[at].journal.iter().for_each(|record| market.restore(record));
                let node = &mut self.nodes[at];
                (node.market, node.seen) = (Some(market), height.0);
                self.node_effects(at, effects);
            }
            Who::Worker(at) => {
                if self.machines[at].worker.is_some() {
                    return;
                }
                let machine = &mut self.machines[at];
                (machine.worker, machine.seen) = (Some(machine.fresh_worker()), self.chain.height.0);
                let seen = worker::Seen { height: self.chain.height, ..worker::Seen::default() };
                self.worker_step(at, worker::Event::Block(seen));
            }
        }
        let back = self.key(who);
        for other in self.everybody() {
            match (who, other) {
                (Who::Worker(at), Who::Node(node)) if self.nodes[node].market.is_some() => {
                    let event = worker::Event::Joined(self.nodes[node].network);
                    self.worker_step(at, event);
                }
                (Who::Node(_), Who::Worker(at)) => self.worker_step(at, worker::Event::Joined(back)),
                _ => {}
            }
        }
    }

    fn key(&self, who: Who) -> PublicKey {
        match who {
            Who::Node(at) => self.nodes[at].network,
            Who::Worker(at) => self.machines[at].network,
        }
    }

    fn life(&self, who: Who) -> u64 {
        match who {
            Who::Node(at) => self.nodes[at].life,
            Who::Worker(at) => self.machines[at].life,
        }
    }

    fn node_step(&mut self, at: usize, event: Event) {
        let mut effects = Vec::new();
        let Some(market) = &mut self.nodes[at].market else { return };
        market.step(event, &mut effects);
        self.node_effects(at, effects);
    }

    fn worker_step(&mut self, at: usize, event: worker::Event) {
        let mut effects = Vec::new();
        let Some(worker) = &mut self.machines[at].worker else { return };
        worker.step(event, &mut effects);
        self.worker_effects(at, effects);
    }

    fn node_later(&mut self, at: usize, low: u64, high: u64, event: Event) {
        let life = self.nodes[at].life;
        self.later(low, high, Happening::Node { at, life, event: Box::new(event) });
    }

    fn worker_later(&mut self, at: usize, low: u64, high: u64, event: worker::Event) {
        let life = self.machines[at].life;
        self.later(low, high, Happening::Worker { at, life, event: Box::new(event) });
    }

    fn send(&mut self, from: Who, to: PublicKey, message: Message, tag: AnyTag) {
        let Some(to) = self.addresses.get(&to).copied() else { return };
        let is_said_by_worker =
            matches!((from, &message), (Who::Worker(_), Message::Commits(_) | Message::Openings(_)));
        if is_said_by_worker && self.heard.len() < 64 {
            self.heard.push(message.clone());
        }
        self.messages += 1;
        self.questions += 1;
        let number = self.questions;
        let life = self.life(from);
        self.asking.insert(number, Asking { from, to, life, tag });
        let bytes = Frame::encode(CHAIN, message);
        if self.rng.happens(self.plan.loss) {
            self.later(2_000, 2_000, Happening::Answered { number, bytes: None });
        } else {
            self.later(5, 80, Happening::Asked { from, to, number, bytes });
        }
    }

    fn asked(&mut self, from: Who, to: Who, number: u64, bytes: &[u8]) {
        self.note(bytes);
        let message = Frame::decode(bytes, CHAIN).expect("what was encoded is a message");
        self.owed.insert((to, number), number);
        let (peer, at_ms) = (self.key(from), self.clock());
        let is_up = match to {
            Who::Node(at) => self.nodes[at].market.is_some(),
            Who::Worker(at) => self.machines[at].worker.is_some(),
        };
        if !is_up {
            self.later(1_000, 2_000, Happening::Answered { number, bytes: None });
            return;
        }
        match to {
            Who::Node(at) => self.node_step(at, Event::Asked { from: peer, ask: number, at: at_ms, message }),
            Who::Worker(at) => self.worker_step(at, worker::Event::Asked { from: peer, ask: number, message }),
        }
    }

    fn reply(&mut self, who: Who, ask: u64, reply: &Reply) {
        let Some(number) = self.owed.remove(&(who, ask)) else { return };
        let bytes = (!self.rng.happens(self.plan.loss)).then(|| reply.encode());
        let (low, high) = if bytes.is_some() { (5, 80) } else { (2_000, 2_000) };
        self.later(low, high, Happening::Answered { number, bytes });
    }

    fn answered(&mut self, number: u64, bytes: Option<Vec<u8>>) {
        let Some(Asking { from, to, life, tag }) = self.asking.remove(&number) else { return };
        if self.life(from) != life {
            return;
        }
        let reply = bytes.map(|bytes| Reply::decode(&bytes).expect("what was encoded is a reply"));
        let to = self.key(to);
        match (from, tag) {
            (Who::Node(at), AnyTag::Node(tag)) => self.node_step(at, Event::Answered { to, tag, reply }),
            (Who::Worker(at), AnyTag::Worker(tag)) => {
                self.worker_step(at, worker::Event::Answered { to, tag, reply });
            }
            _ => {}
        }
    }

    /// A process may die between any two of its effects: then it has done the first ones.
    fn may_die<T>(&mut self, who: Who, effects: &mut Vec<T>) {
        if self.plan.kills > 0 && effects.len() > 1 && self.rng.happens(2) {
            effects.truncate(self.rng.below(effects.len() as u64) as usize);
            self.at(self.now, Happening::Kill(who));
            self.later(500, 8_000, Happening::Revive(who));
        }
    }

    fn node_effects(&mut self, at: usize, mut effects: Vec<Effect>) {
        let who = Who::Node(at);
        self.may_die(who, &mut effects);
        for effect in effects {
            match effect {
                Effect::Journal(record) => {
                    let bytes = record.encode();
                    let record = cpc_market::journal::Record::decode(&bytes).expect("a record is read back");
                    self.nodes[at].journal.push(record);
                }
                Effect::Forget(task) => self.nodes[at].examiner.forget(&task),
                Effect::ReadTasks => {}
                Effect::Send { to, message, tag } => self.send(who, to, message, AnyTag::Node(tag)),
                Effect::Reply { ask, reply } => self.reply(who, ask, &reply),
                Effect::ReadWorker(worker) => {
                    let record = self.chain.record(&worker);
                    self.node_later(at, 1, 20, Event::WorkerRead { worker, record });
                }
                Effect::Prepare { task, drawn, order } => {
                    let prepared = self.prepare(at, task, &order);
                    self.node_later(at, 5, 100, Event::Prepared { task, drawn, prepared });
                }
                Effect::Fetch { lease, from, name, bytes } => {
                    let blob = self.fetch(from, name).filter(|blob| blob.len() as u64 == bytes);
                    let came = blob.is_some();
                    if let (Some(blob), BlobName::Output(hash)) = (blob, name) {
                        self.shown.insert((lease.task, lease.job), blob.clone());
                        self.nodes[at].blobs.insert(hash, blob);
                    }
                    self.node_later(at, 10, 150, Event::Fetched { lease, came });
                }
                Effect::Judge { lease, epoch, job, effort, output } => {
                    let bytes = self.nodes[at].blobs.get(&output).cloned().unwrap_or_default();
                    self.lies += u64::from(self.nodes[at].kind == NodeKind::LazyAttester);
                    let judgement = self.nodes[at].judge(&lease.task, epoch, effort, &job, &bytes);
                    self.node_later(at, 2, 60, Event::Judged { lease, epoch, judgement });
                }
                Effect::JudgeProbe { worker, probe, output } => {
                    let secret = Domain::ChainStep.hash_bytes(&self.rng.bytes());
                    let right = self.nodes[at].examiner.judge_probe(&probe, secret, &output, &Watch::new());
                    self.node_later(at, 2, 30, Event::ProbeJudged { id: probe.id(), worker, right });
                }
                Effect::Submit(submit) => self.bring(Tx::Submit(submit)),
                Effect::Add(add) => self.bring(Tx::Add(add)),
            }
        }
    }

    /// A transaction finds its way, or takes its time where links are bad.
    fn bring(&mut self, tx: Tx) {
        let (low, high) = if self.rng.happens(self.plan.loss) { (2_000, 5_000) } else { (20, 400) };
        self.later(low, high, Happening::Chain(Box::new(tx)));
    }

    fn prepare(&mut self, at: usize, task: TaskId, order: &TaskOrder) -> Prepared {
        if !order.inputs.is_empty() {
            return Prepared::Missing;
        }
        match self.nodes[at].examiner.prepare(task, order, &Inputs::none(), &Watch::new()) {
            Examined::Sound => Prepared::Held,
            Examined::BadSpec(_) => Prepared::BadSpec,
            Examined::Failed(_) => Prepared::Missing,
        }
    }

    fn fetch(&mut self, from: PublicKey, name: BlobName) -> Option<Vec<u8>> {
        let BlobName::Output(hash) = name else { return None };
        let Some(Who::Worker(at)) = self.addresses.get(&from).copied() else { return None };
        self.lies += u64::from(self.machines[at].kind == WorkerKind::Withholding);
        if self.machines[at].kind == WorkerKind::Withholding || self.machines[at].worker.is_none() {
            return None;
        }
        let blob = self.machines[at].blobs.get(&hash).cloned()?;
        let lost = self.rng.happens(self.plan.loss);
        (!lost && name.names(&blob).is_ok()).then_some(blob)
    }

    fn worker_effects(&mut self, at: usize, mut effects: Vec<worker::Effect>) {
        use worker::Effect as Do;
        let who = Who::Worker(at);
        self.may_die(who, &mut effects);
        for effect in effects {
            match effect {
                Do::Journal(note) => {
                    let bytes = note.encode();
                    let note = cpc_market::journal::WorkerNote::decode(&bytes).expect("a note is read back");
                    self.machines[at].journal.push(note);
                }
                Do::Send { to, message, tag } => self.send(who, to, message, AnyTag::Worker(tag)),
                Do::Reply { ask, reply } => self.reply(who, ask, &reply),
                Do::ReadTask(task) => {
                    let read = self.chain.read_task(&task, &self.machines[at].address);
                    self.worker_later(at, 5, 60, worker::Event::TaskRead { task, read });
                }
                Do::Compute { lease, order, job } => self.compute(at, lease, &order, &job),
                Do::Cancel(_) => {}
                Do::ComputeProbe { to, probe } => {
                    let output = self.machines[at].compute_probe(&probe, &self.executor);
                    let done =
                        output.and_then(|output| Some(ProbeDone { id: probe.id, output: Bounded::new(output).ok()? }));
                    self.worker_later(at, 25, 300, worker::Event::ProbeComputed { to, done });
                }
                Do::Drop(output) => {
                    self.machines[at].blobs.remove(&output);
                }
                Do::Notice(worker::Notice::Paused { .. }) => {
                    // Its owner looks, and lets it go on: liars are not stopped by their own conscience.
                    self.machines[at].resumed += 1;
                    self.worker_later(at, 2_000, 4_000, worker::Event::Resume);
                }
                Do::Notice(worker::Notice::Welcome { refused: Some(Refusal::NotRegistered), .. }) => self.lies += 1,
                Do::Notice(_) => {}
            }
        }
    }

    fn compute(&mut self, at: usize, lease: cpc_market_wire::Lease, order: &TaskOrder, job: &cpc_kernels::Job) {
        self.lies += u64::from(!matches!(self.machines[at].kind, WorkerKind::Honest | WorkerKind::Withholding));
        let output = match self.machines[at].kind {
            WorkerKind::SlowLoris => return,
            WorkerKind::Thief => match self.shown.get(&(lease.task, lease.job)) {
                Some(shown) => Some(shown.clone()),
                // It waits for somebody else's work.
                None => {
                    let copied = Happening::Worker {
                        at,
                        life: self.machines[at].life,
                        event: Box::new(worker::Event::Computed { lease, output: Err(Refusal::DeviceFailed) }),
                    };
                    return self.later(8_000, 12_000, copied);
                }
            },
            _ => self.machines[at].compute(lease.task, order, job, &self.executor, &mut self.rng),
        };
        let output = output.map(|bytes| {
            let named = (Domain::JobOutput.hash_bytes(&bytes), bytes.len() as u64);
            self.machines[at].blobs.insert(named.0, bytes);
            named
        });
        let output = output.ok_or(Refusal::DeviceFailed);
        self.worker_later(at, 100, 2_500, worker::Event::Computed { lease, output });
    }

    /// What liars do beside their work.
    fn mischief(&mut self, at: usize) {
        let kind = self.machines[at].kind;
        if kind != WorkerKind::Replayer || self.heard.is_empty() {
            return;
        }
        let pick = self.rng.below(self.heard.len() as u64) as usize;
        let message = self.heard[pick].clone();
        self.lies += 1;
        let node = self.rng.below(self.nodes.len() as u64) as usize;
        let to = self.nodes[node].network;
        self.send(Who::Worker(at), to, message, AnyTag::Worker(worker::Tag::Nothing));
    }
}

/// An order that reads a blob which nobody has.
fn lost(order: TaskOrder) -> TaskOrder {
    use cpc_kernels::rendering::{Counts, RenderingSpec, VERSION};
    let counts = Counts { triangles: 12, nodes: 1, image_bytes: 0 };
    let spec = RenderingSpec { samples: 1, steps: 100, ..RenderingSpec::of(counts, [16, 16]) };
    let blob = cpc_primitives::result::BlobRef { hash: Domain::Blob.hash_bytes(b"nobody has it"), bytes: 1_000 };
    TaskOrder {
        kernel: KernelId { challenge: Challenge::Rendering, version: VERSION },
        units: spec.units(),
        spec: Bounded::new(spec.bytes()).expect("short"),
        inputs: Bounded::new(vec![blob]).expect("one"),
        jobs: 1,
        ..order
    }
}
