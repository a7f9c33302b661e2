//! The machine that computes, as a state machine: jobs come to it, and go out as commitments and outputs.

mod jobs;
mod leases;

use std::collections::{BTreeMap, BTreeSet};

use cpc_kernels::Job;
use cpc_market_wire::limits::{CREDITS_MAX, DEVICE_BYTES_MAX, WORKER_KERNELS_MAX};
use cpc_market_wire::{Hello, Judged, Lease, Message, Probe, ProbeDone, Progress, Refusal, Reply, Report, Signed};
use cpc_primitives::codec::Bounded;
use cpc_primitives::ids::{Height, JobIndex, TaskId};
use cpc_primitives::result::{KernelId, Outcome, TaskOrder};
use cpc_primitives::{Address, Amount, ChainId, Digest, PublicKey, SecretKey};

use self::leases::{Held, Known};
use crate::chain::{Committee, WorkerRecord};
use crate::journal::WorkerNote;
use crate::limits::REPORT_BLOCKS;

/// What a worker is given once.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which network.
    pub chain: ChainId,
    /// The account that is bonded.
    pub worker: Address,
    /// The key that signs its results.
    pub hot: SecretKey,
    /// The key of its end of a connection.
    pub network: PublicKey,
    /// What its commitments are salted with: nobody else may know it.
    pub salt: Digest,
    /// What it computes.
    pub kernels: Bounded<KernelId, WORKER_KERNELS_MAX>,
    /// How many jobs it takes at once, those in its queue included.
    pub credits: u16,
    /// How many jobs it computes side by side.
    pub devices: u16,
    /// What computes, in words for people.
    pub device: Bounded<u8, DEVICE_BYTES_MAX>,
    /// Bytes of outputs that it keeps.
    pub kept_bytes_max: u64,
}

/// What reaches a worker.
#[derive(Clone, Debug)]
pub enum Event {
    /// A block is final, as far as this worker hears of the chain.
    Block(Seen),
    /// A validator is connected.
    Joined(PublicKey),
    /// A connection is gone.
    Left(PublicKey),
    /// A validator says something.
    Asked {
        /// Which one.
        from: PublicKey,
        /// The number of the question.
        ask: u64,
        /// What is said.
        message: Message,
    },
    /// A validator answered, or did not: each message that was sent comes back here, at the latest after its time.
    Answered {
        /// Which one.
        to: PublicKey,
        /// What was asked.
        tag: Tag,
        /// The answer, where one came.
        reply: Option<Reply>,
    },
    /// What the chain says of a task.
    TaskRead {
        /// Which one.
        task: TaskId,
        /// Nothing where it is not open.
        read: Option<OpenTask>,
    },
    /// A job was computed, and its output judged by the worker itself and kept under its hash.
    Computed {
        /// Under which lease.
        lease: Lease,
        /// The hash and the length of the output; or why there is none.
        output: Result<(Digest, u64), Refusal>,
    },
    /// A measuring job was computed.
    ProbeComputed {
        /// For whom.
        to: PublicKey,
        /// Its name and its output, where there is one.
        done: Option<ProbeDone>,
    },
    /// The owner wants no further jobs.
    Pause,
    /// The owner wants jobs again.
    Resume,
}

/// A final block, as a worker sees it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Seen {
    /// Its height.
    pub height: Height,
    /// Results that were accepted: of which job, and whose.
    pub accepted: Vec<(TaskId, JobIndex, Address)>,
    /// Jobs that ended: how, whose, and what the worker got.
    pub ended: Vec<(TaskId, JobIndex, Outcome, Address, Amount)>,
    /// Tasks of which nothing is open any more.
    pub closed: Vec<TaskId>,
}

/// What the chain says of an open task, and of this worker beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTask {
    /// What is ordered.
    pub order: TaskOrder,
    /// Who judges it.
    pub committee: Committee,
    /// What the chain says of this worker; nothing where it is not bonded.
    pub worker: Option<WorkerRecord>,
}

/// What a worker asks for, in order; nothing is performed before the notes ahead of it are durable.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Keep this before anything that follows.
    Journal(WorkerNote),
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
    /// Read what the chain says of a task.
    ReadTask(TaskId),
    /// Run a job, judge its output, and keep it under its hash.
    Compute {
        /// Under which lease.
        lease: Lease,
        /// What is ordered.
        order: TaskOrder,
        /// Which part of it.
        job: Job,
    },
    /// Nobody waits for this job any more.
    Cancel(Lease),
    /// Run a measuring job.
    ComputeProbe {
        /// For whom.
        to: PublicKey,
        /// What.
        probe: Probe,
    },
    /// An output that nobody needs any more.
    Drop(Digest),
    /// Something that the owner wants to know.
    Notice(Notice),
}

/// What a worker tells its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A validator took this worker in, or did not.
    Welcome {
        /// Which validator.
        validator: PublicKey,
        /// Why not.
        refused: Option<Refusal>,
    },
    /// A job came.
    Offered(Lease),
    /// A result is in a block.
    Accepted {
        /// Whose task.
        task: TaskId,
        /// Which job.
        job: JobIndex,
    },
    /// A job was paid.
    Paid {
        /// Whose task.
        task: TaskId,
        /// Which job.
        job: JobIndex,
        /// How much.
        amount: Amount,
    },
    /// A job came to nothing.
    Lost {
        /// Under which lease.
        lease: Lease,
        /// Why.
        reason: Refusal,
    },
    /// So many members called an output wrong that it finds no quorum: the worker takes no further jobs until its owner
    /// looked (MKT-19).
    Paused {
        /// Whose output it was.
        lease: Lease,
    },
}

/// What a question was about, for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag {
    /// Its answer changes nothing.
    Nothing,
    /// Who this worker is.
    Hello,
    /// Commitments.
    Commits(Vec<Lease>),
    /// Outputs.
    Openings(Vec<Lease>),
}

/// Why a worker has no job: never silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// No validator is connected.
    NoValidator,
    /// Validators are, and none took this worker in.
    NotWelcome(Refusal),
    /// The owner paused it.
    Paused,
    /// It paused itself after a refusal.
    PausedAfterRefusal,
    /// It works.
    Working,
    /// It waits for an offer.
    NoOffer,
}

/// One worker.
pub struct Worker {
    config: Config,
    height: Height,
    pause: Option<Pause>,
    validators: BTreeMap<PublicKey, Welcome>,
    tasks: BTreeMap<TaskId, Known>,
    leases: BTreeMap<Lease, Held>,
    /// Outputs whose jobs have not ended: their hash and length.
    kept: BTreeMap<(TaskId, JobIndex), (Digest, u64)>,
    probes: BTreeSet<PublicKey>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pause {
    ByOwner,
    AfterRefusal,
}

/// How a validator received this worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Welcome {
    Asked { at: Height },
    Taken,
    Refused { reason: Refusal, at: Height },
}

impl Worker {
    /// A worker without jobs; what its journal holds comes by [`restore`](Self::restore).
    pub fn new(config: Config) -> Self {
        Self {
            config,
            height: Height(0),
            pause: None,
            validators: BTreeMap::new(),
            tasks: BTreeMap::new(),
            leases: BTreeMap::new(),
            kept: BTreeMap::new(),
            probes: BTreeSet::new(),
        }
    }

    /// Advances by one event (MKT-17).
    pub fn step(&mut self, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Block(seen) => self.block(&seen, out),
            Event::Joined(validator) => self.greet(validator, out),
            Event::Left(validator) => {
                self.validators.remove(&validator);
                self.probes.remove(&validator);
            }
            Event::Asked { from, ask, message } => self.asked(from, ask, message, out),
            Event::Answered { to, tag, reply } => self.answered(to, tag, reply.as_ref(), out),
            Event::TaskRead { task, read } => self.task_read(task, read, out),
            Event::Computed { lease, output } => self.computed(lease, output, out),
            Event::ProbeComputed { to, done } => {
                self.probes.remove(&to);
                if let Some(done) = done {
                    out.push(Effect::Send { to, message: Message::ProbeDone(done), tag: Tag::Nothing });
                }
            }
            Event::Pause => self.pause = Some(Pause::ByOwner),
            Event::Resume => self.pause = None,
        }
        self.begin_jobs(out);
    }

    /// Why there is no work, or that there is.
    pub fn why(&self) -> Idle {
        match self.pause {
            Some(Pause::ByOwner) => return Idle::Paused,
            Some(Pause::AfterRefusal) => return Idle::PausedAfterRefusal,
            None => {}
        }
        if !self.leases.is_empty() {
            return Idle::Working;
        }
        if self.validators.is_empty() {
            return Idle::NoValidator;
        }
        let refused = self.validators.values().filter_map(|welcome| match welcome {
            Welcome::Refused { reason, .. } => Some(*reason),
            _ => None,
        });
        let taken = self.validators.values().any(|welcome| *welcome == Welcome::Taken);
        match (taken, refused.max()) {
            (false, Some(reason)) => Idle::NotWelcome(reason),
            _ => Idle::NoOffer,
        }
    }

    /// How many jobs it holds that it has not computed yet.
    pub fn queue(&self) -> usize {
        self.leases.values().filter(|held| held.takes_a_credit()).count()
    }

    fn credits_left(&self) -> u16 {
        let left = usize::from(self.config.credits.min(CREDITS_MAX)).saturating_sub(self.queue());
        if self.pause.is_some() { 0 } else { u16::try_from(left).unwrap_or(CREDITS_MAX) }
    }

    fn asked(&mut self, from: PublicKey, ask: u64, message: Message, out: &mut Vec<Effect>) {
        let reply = match message {
            Message::Offers(offers) => self.offered(&offers, out),
            Message::Findings(items) => self.findings(from, &items, out),
            Message::Probe(probe) => self.probed(from, probe, out),
            Message::CalledOff(leases) => self.called_off(from, &leases, out),
            // These go to validators.
            _ => Reply::Refused(Refusal::NotKnown),
        };
        out.push(Effect::Reply { ask, reply });
    }

    fn answered(&mut self, to: PublicKey, tag: Tag, reply: Option<&Reply>, out: &mut Vec<Effect>) {
        match tag {
            Tag::Nothing => {}
            Tag::Hello => self.welcomed(to, reply, out),
            Tag::Commits(leases) => self.commits_answered(to, &leases, reply, out),
            Tag::Openings(leases) => self.openings_answered(to, &leases, reply),
        }
    }

    /// Says who it is, bound to this connection.
    fn greet(&mut self, validator: PublicKey, out: &mut Vec<Effect>) {
        self.validators.insert(validator, Welcome::Asked { at: self.height });
        let body = Hello {
            worker: self.config.worker,
            from: self.config.network,
            to: validator,
            height: self.height,
            kernels: self.config.kernels.clone(),
            credits: self.config.credits.min(CREDITS_MAX),
            device: self.config.device.clone(),
        };
        let message = Message::Hello(Signed::new(body, self.config.chain, &self.config.hot));
        out.push(Effect::Send { to: validator, message, tag: Tag::Hello });
    }

    fn welcomed(&mut self, validator: PublicKey, reply: Option<&Reply>, out: &mut Vec<Effect>) {
        let Some(welcome) = self.validators.get_mut(&validator) else { return };
        let refused = match reply {
            Some(Reply::Items(_)) => None,
            Some(Reply::Refused(reason)) => Some(*reason),
            // It is said again in time.
            None => return,
        };
        *welcome = refused.map_or(Welcome::Taken, |reason| Welcome::Refused { reason, at: self.height });
        out.push(Effect::Notice(Notice::Welcome { validator, refused }));
    }

    fn block(&mut self, seen: &Seen, out: &mut Vec<Effect>) {
        self.height = self.height.max(seen.height);
        self.follow(seen, out);
        self.remind(out);
        if self.height.0.is_multiple_of(REPORT_BLOCKS) {
            self.report(out);
        }
        // Whoever did not answer, or was not ready for this worker, is greeted again.
        let now = self.height;
        let due = self.validators.iter().filter(|(_, welcome)| match welcome {
            Welcome::Asked { at } | Welcome::Refused { at, .. } => {
                crate::count::since(now, *at) >= crate::limits::SILENCE_BLOCKS
            }
            Welcome::Taken => false,
        });
        let due: Vec<PublicKey> = due.map(|(validator, _)| *validator).collect();
        for validator in due {
            self.greet(validator, out);
        }
    }

    /// MKT-20: a worker says in time that it lives, and how many more jobs it takes.
    fn report(&self, out: &mut Vec<Effect>) {
        for (to, _) in self.validators.iter().filter(|(_, welcome)| **welcome == Welcome::Taken) {
            let of = self.leases.iter().filter(|(lease, _)| self.sits(to, &lease.task));
            let items = of.map(|(lease, held)| Progress { lease: *lease, done: held.thousandths() });
            let items: Vec<Progress> = items.take(cpc_market_wire::limits::ITEMS_MAX).collect();
            let items = Bounded::new(items).expect("no more than were taken");
            let message = Message::Report(Report { credits: self.credits_left(), items });
            out.push(Effect::Send { to: *to, message, tag: Tag::Nothing });
        }
    }

    fn sits(&self, validator: &PublicKey, task: &TaskId) -> bool {
        let committee = self.tasks.get(task).and_then(|known| known.committee());
        committee.is_some_and(|committee| committee.by_network_key(validator).is_some())
    }

    /// One measuring job for each validator at a time.
    fn probed(&mut self, from: PublicKey, probe: Probe, out: &mut Vec<Effect>) -> Reply {
        if self.pause.is_some() {
            return Reply::Refused(Refusal::Paused);
        }
        if !self.config.kernels.contains(&probe.kernel) {
            return Reply::Refused(Refusal::UnknownKernel);
        }
        if !self.validators.contains_key(&from) || !self.probes.insert(from) {
            return Reply::Refused(Refusal::NoCredit);
        }
        out.push(Effect::ComputeProbe { to: from, probe });
        Reply::taken()
    }

    fn findings(&mut self, from: PublicKey, items: &[cpc_market_wire::LeaseFinding], out: &mut Vec<Effect>) -> Reply {
        for finding in items {
            match finding.judged {
                Judged::Right => {}
                Judged::Wrong => self.called_wrong(from, finding.lease, out),
                Judged::Missing => self.show_again(from, finding.lease),
            }
        }
        Reply::taken()
    }
}
