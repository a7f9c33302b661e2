//! The part of a validator's node that offers jobs, judges results and brings them to the chain, as one state machine.

mod arrivals;
mod book;
mod offers;
mod results;
mod submit;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cpc_kernels::frame::Judgement;
use cpc_kernels::{Effort, Job, Registry};
use cpc_market_wire::{Answer, BlobName, Hello, Lease, Message, Refusal, Reply, RoundRef, Signed};
use cpc_primitives::codec::Bounded;
use cpc_primitives::ids::{Epoch, Height, JobIndex, TaskId, TimeMs};
use cpc_primitives::result::TaskOrder;
use cpc_primitives::tx::{AddVerdicts, SubmitResult};
use cpc_primitives::{Address, ChainId, Digest, PublicKey, SecretKey};

use self::book::{Book, PageId};
use crate::chain::{FinalBlock, WorkerRecord};
use crate::examine::ProbeJob;
use crate::journal::Record;
use crate::reason::Waiting;
use crate::roster::Roster;
use crate::task::{Root, Task};

/// What a node's market is given once.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which network.
    pub chain: ChainId,
    /// The key that signs offers and verdicts.
    pub verdict: SecretKey,
    /// The key of this node's end of a connection.
    pub network: PublicKey,
    /// For how many blocks a seat orchestrates.
    pub rotation_blocks: u32,
    /// How many times a job's reward its worker's bond covers, where checking is by sample.
    pub bond_factor_spot: u8,
    /// The same for every other assurance.
    pub bond_factor: u8,
}

/// What reaches a market.
#[derive(Clone, Debug)]
pub enum Event {
    /// A block is final.
    Block {
        /// This node's clock: it measures workers, and decides nothing else.
        at: TimeMs,
        /// The block.
        block: FinalBlock,
    },
    /// A connection is gone.
    Left(PublicKey),
    /// Somebody says something. The reply goes back under the same number.
    Asked {
        /// Whose end of the connection.
        from: PublicKey,
        /// The number of the question.
        ask: u64,
        /// This node's clock.
        at: TimeMs,
        /// What is said.
        message: Message,
    },
    /// Somebody answered, or did not: each message that was sent comes back here, at the latest after its time.
    Answered {
        /// Who was asked.
        to: PublicKey,
        /// What was asked.
        tag: Tag,
        /// The answer, where one came.
        reply: Option<Reply>,
    },
    /// What the chain says of a worker.
    WorkerRead {
        /// Of which one.
        worker: Address,
        /// Its record.
        record: Option<WorkerRecord>,
    },
    /// What came of a task's payload.
    Prepared {
        /// Which task.
        task: TaskId,
        /// In which round.
        drawn: Height,
        /// How it ended.
        prepared: Prepared,
    },
    /// The bytes of an output are here, or are not to be had.
    Fetched {
        /// Under which lease.
        lease: Lease,
        /// Whether they came.
        came: bool,
    },
    /// An output was judged.
    Judged {
        /// Under which lease.
        lease: Lease,
        /// With the secret of which epoch.
        epoch: Epoch,
        /// What was found; nothing where this machine could not tell.
        judgement: Option<Judgement>,
    },
    /// What a worker gave for a measuring job was judged.
    ProbeJudged {
        /// Which job.
        id: Digest,
        /// Whose.
        worker: Address,
        /// Whether it is right.
        right: bool,
    },
}

/// What came of a task's payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prepared {
    /// It is here, and jobs can be judged.
    Held,
    /// It is not what the order says: nobody can compute it.
    BadSpec,
    /// Some of it could not be had yet.
    Missing,
}

/// What a market asks for. Effects are performed in their order, and none before the records ahead of it are durable.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Keep this before anything that follows.
    Journal(Record),
    /// A task is over: its records, its payload and its prepared state may go.
    Forget(TaskId),
    /// There is room for tasks again that were passed over: say all open ones once more.
    ReadTasks,
    /// Say this.
    Send {
        /// To whom.
        to: PublicKey,
        /// What.
        message: Message,
        /// What comes back with the answer.
        tag: Tag,
    },
    /// Answer this.
    Reply {
        /// The number of the question.
        ask: u64,
        /// The answer.
        reply: Reply,
    },
    /// Read what the chain says of a worker.
    ReadWorker(Address),
    /// Get what a task reads, and prepare it.
    Prepare {
        /// Which task.
        task: TaskId,
        /// In which round.
        drawn: Height,
        /// What is ordered.
        order: TaskOrder,
    },
    /// Get the bytes of an output from its worker.
    Fetch {
        /// Under which lease.
        lease: Lease,
        /// From whom.
        from: PublicKey,
        /// Which bytes.
        name: BlobName,
        /// How many.
        bytes: u64,
    },
    /// Judge an output under the secret of an epoch.
    Judge {
        /// Under which lease.
        lease: Lease,
        /// Of which epoch.
        epoch: Epoch,
        /// Which job.
        job: Job,
        /// How much of it.
        effort: Effort,
        /// The hash of the output, under which it was fetched.
        output: Digest,
    },
    /// Judge what a measuring job gave.
    JudgeProbe {
        /// Whose.
        worker: Address,
        /// What was asked for.
        probe: ProbeJob,
        /// What came.
        output: Vec<u8>,
    },
    /// Bring results to the chain.
    Submit(SubmitResult),
    /// Bring further verdicts to the chain.
    Add(AddVerdicts),
}

/// What a question was about, for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag {
    /// Its answer changes nothing.
    Nothing,
    /// Offers to their worker.
    Offers {
        /// To whom.
        worker: Address,
        /// Which ones.
        leases: Vec<Lease>,
    },
    /// The same offers, to a member.
    Copies {
        /// Which ones.
        leases: Vec<Lease>,
    },
    /// That this node holds payloads.
    Held {
        /// Which ones.
        rounds: Vec<RoundRef>,
    },
    /// A root of this node's verdicts.
    Verdicts {
        /// On which page of its book.
        page: (Height, u32),
        /// Which state of the page.
        version: u64,
    },
    /// A measuring job.
    Probe {
        /// To whom.
        worker: Address,
    },
}

/// One node's market.
pub struct Market {
    config: Config,
    registry: Registry,
    now: Now,
    /// This node's clock at the last event that brought it.
    clock: TimeMs,
    tasks: BTreeMap<TaskId, Task>,
    /// Jobs of all tasks together.
    jobs: usize,
    /// Whether a task was passed over because there was no room.
    passed_over: bool,
    roster: Roster,
    /// Workers that said who they are, until their record is read.
    arrivals: BTreeMap<PublicKey, Arrival>,
    book: Book,
    /// The newest root of each other seat and of this one, by page.
    roots: BTreeMap<(PageId, u16), Arc<Root>>,
    /// Outputs that are being judged.
    judging: usize,
    /// Tasks with something to offer or to submit.
    dirty: BTreeSet<TaskId>,
    /// Tasks with jobs for which there was no worker.
    hungry: BTreeSet<TaskId>,
    /// Whether a worker may have room that it had not before.
    has_room: bool,
}

/// What a worker said before its record was read.
struct Arrival {
    ask: u64,
    hello: Signed<Hello>,
}

/// Where the chain is.
#[derive(Clone, Copy, Debug, Default)]
struct Now {
    height: Height,
    time: TimeMs,
    epoch: Epoch,
    beacon: Digest,
}

/// What a market says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// Open tasks.
    pub tasks: usize,
    /// Workers that are connected.
    pub workers: usize,
    /// Of these, the ones that were measured.
    pub measured: usize,
    /// Jobs that workers hold, as far as this node offered them.
    pub held: usize,
    /// Outputs that are being judged.
    pub judging: usize,
}

impl Market {
    /// A market that knows nothing yet: a block with all open tasks comes first, then the journal by
    /// [`restore`](Self::restore).
    pub fn new(config: Config) -> Self {
        Self {
            config,
            registry: Registry::all(),
            now: Now::default(),
            clock: TimeMs(0),
            tasks: BTreeMap::new(),
            jobs: 0,
            passed_over: false,
            roster: Roster::default(),
            arrivals: BTreeMap::new(),
            book: Book::default(),
            roots: BTreeMap::new(),
            judging: 0,
            dirty: BTreeSet::new(),
            hungry: BTreeSet::new(),
            has_room: false,
        }
    }

    /// Advances by one event (MKT-1).
    pub fn step(&mut self, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Block { at, block } => self.block(at, block, out),
            Event::Left(peer) => self.left(&peer),
            Event::Asked { from, ask, at, message } => self.asked(from, ask, at, message, out),
            Event::Answered { to, tag, reply } => self.answered(to, tag, reply.as_ref()),
            Event::WorkerRead { worker, record } => self.worker_read(worker, record, out),
            Event::Prepared { task, drawn, prepared } => self.prepared(task, drawn, prepared, out),
            Event::Fetched { lease, came } => self.fetched(lease, came, out),
            Event::Judged { lease, epoch, judgement } => self.judged(lease, epoch, judgement, out),
            Event::ProbeJudged { id, worker, right } => self.probe_judged(id, worker, right, out),
        }
        self.settle_down(out);
    }

    /// What follows from whatever has happened: verdicts are signed when no more are on their way, jobs are offered,
    /// and what is complete is submitted.
    fn settle_down(&mut self, out: &mut Vec<Effect>) {
        if self.judging == 0 {
            self.sign_pages(out);
        }
        let dirty = core::mem::take(&mut self.dirty);
        self.offer_jobs(&dirty, out);
        self.submit_complete(&dirty, out);
    }

    fn block(&mut self, at: TimeMs, block: FinalBlock, out: &mut Vec<Effect>) {
        let FinalBlock { height, time, epoch, beacon, changes } = block;
        self.now = Now { height, time, epoch, beacon };
        self.clock = at;
        for change in changes {
            self.change(change, out);
        }
        self.expire();
        self.retry_payloads(out);
        self.fetch_again(out);
        self.sign_pages(out);
        self.tell_pages(None, out);
        self.submit_ready(out);
        self.remind_members(out);
        self.measure_workers(out);
        self.dirty.extend(self.tasks.keys().copied());
    }

    fn asked(&mut self, from: PublicKey, ask: u64, at: TimeMs, message: Message, out: &mut Vec<Effect>) {
        self.clock = at;
        let reply = match message {
            // Its record has to be read first: the reply follows then.
            Message::Hello(hello) => match self.hello(from, ask, hello, out) {
                Ok(()) => return,
                Err(reason) => Reply::Refused(reason),
            },
            Message::Offers(offers) => self.offers_told(from, &offers, out),
            Message::Commits(commits) => self.committed(from, &commits, out),
            Message::Openings(openings) => self.opened(from, &openings, out),
            Message::Report(report) => self.reported(from, &report),
            Message::GivenBack(items) => self.given_back(from, &items),
            Message::Held(items) => self.held_told(from, &items, out),
            Message::Verdicts(verdicts) => self.verdicts_told(from, verdicts),
            Message::Findings(items) => self.findings_told(from, &items),
            Message::ProbeDone(done) => self.probe_done(from, done, out),
            // These go to workers.
            Message::Probe(_) | Message::CalledOff(_) => Reply::Refused(Refusal::NotKnown),
        };
        out.push(Effect::Reply { ask, reply });
    }

    fn answered(&mut self, to: PublicKey, tag: Tag, reply: Option<&Reply>) {
        match tag {
            Tag::Nothing => {}
            Tag::Offers { worker, leases } => self.offers_answered(worker, &leases, reply),
            Tag::Copies { leases } => self.copies_answered(to, &leases, reply),
            Tag::Held { rounds } => self.held_answered(to, &rounds, reply),
            Tag::Verdicts { page, version } => {
                // A page that was refused would be refused again: only silence is answered by saying it once more.
                if reply.is_some() {
                    self.book.acknowledged(PageId::from(page), to, version);
                }
            }
            Tag::Probe { worker } => {
                if reply.is_none_or(|reply| matches!(reply, Reply::Refused(_))) {
                    self.probe_refused(worker);
                }
            }
        }
    }

    /// Why a task's next job is with nobody; nothing where the task is not open (MKT-8).
    pub fn why(&self, task: &TaskId) -> Option<Waiting> {
        self.tasks.get(task).map(|task| task.waiting)
    }

    /// What this market holds.
    pub fn status(&self) -> Status {
        let connected = || self.roster.iter().filter(|(_, hand)| hand.peer.is_some());
        Status {
            tasks: self.tasks.len(),
            workers: connected().count(),
            measured: connected().filter(|(_, hand)| hand.is_measured()).count(),
            held: self.roster.iter().map(|(_, hand)| hand.holds().count()).sum(),
            judging: self.judging,
        }
    }

    /// The place of this node that orchestrates now, where it is this node's turn.
    fn orchestrated(&self, task: &Task) -> Result<u16, Waiting> {
        let round = task.round.as_ref().ok_or(Waiting::NoCommittee)?;
        let own = round.own.ok_or(Waiting::NotMember)?;
        let turn = round.committee.orchestrator(self.now.height, self.config.rotation_blocks);
        match turn {
            Some(seat) if seat == own => Ok(own),
            Some(seat) => Err(Waiting::NotOrchestrator { seat }),
            None => Err(Waiting::NoCommittee),
        }
    }
}

/// The answers to the items of a message, in their order.
fn answers<T>(items: &[T], mut answer: impl FnMut(&T) -> Result<(), Refusal>) -> Reply {
    let answers = items.iter().map(|item| match answer(item) {
        Ok(()) => Answer::Taken,
        Err(reason) => Answer::Refused(reason),
    });
    Reply::Items(Bounded::new(answers.collect()).expect("no more answers than items"))
}

/// Lists of any length as messages of at most `ITEMS_MAX` items.
fn in_parts<T: Clone, const MAX: usize>(items: &[T]) -> impl Iterator<Item = Bounded<T, MAX>> {
    items.chunks(MAX).map(|part| Bounded::new(part.to_vec()).expect("a chunk is no longer than the limit"))
}

/// The name of a job across tasks.
type JobKey = (TaskId, JobIndex);
