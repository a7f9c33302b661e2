//! A chain as the market needs it: tasks, committees, verdicts, windows and money, with the checks of the ledger.

use std::collections::{BTreeMap, BTreeSet};

use cpc_market::chain::{Change, Committee, FinalBlock, Seat, WorkerRecord};
use cpc_market::worker;
use cpc_primitives::ids::{Epoch, Height, JobIndex, TaskId, TimeMs, Units};
use cpc_primitives::result::{ComputeResult, Finding, Outcome, SignedRoot, TaskOrder, Verdict};
use cpc_primitives::tx::{AddVerdicts, SubmitResult};
use cpc_primitives::{Address, Amount, ChainId, Digest, Domain, PublicKey};

use crate::truth::Truth;

/// The network of every game.
pub const CHAIN: ChainId = ChainId(7);
/// Milliseconds between two blocks.
pub const BLOCK_MS: u64 = 500;
/// Blocks for which one seat orchestrates.
pub const ROTATION_BLOCKS: u32 = 6;
/// Blocks for which an accepted result can be challenged.
pub const WINDOW_BLOCKS: u64 = 4;
/// How many times a job's reward its worker's bond covers.
pub const BOND_FACTOR: u8 = 2;
/// Blocks of one epoch.
const EPOCH_BLOCKS: u64 = 60;
/// When block 0 was made.
const BEGIN_MS: u64 = 1_800_000_000_000;

/// What somebody brings to the chain.
#[derive(Clone, Debug)]
pub enum Tx {
    /// A customer orders and pays.
    Open(TaskId, TaskOrder),
    /// A customer calls a task off.
    Cancel(TaskId),
    /// Somebody brings results.
    Submit(SubmitResult),
    /// Somebody brings further verdicts.
    Add(AddVerdicts),
}

/// A worker's record with its money.
#[derive(Clone, Debug)]
pub struct Bonded {
    /// The key that signs its results.
    pub hot: PublicKey,
    /// Its bond.
    pub bond: Amount,
    /// What jobs have reserved of it.
    pub reserved: Amount,
    /// What it earned.
    pub earned: Amount,
}

/// Where the money of all tasks went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// What customers locked.
    pub locked: u128,
    /// What was burned.
    pub burned: u128,
    /// What workers got.
    pub workers: u128,
    /// What committees got.
    pub validators: u128,
    /// What the treasury got.
    pub treasury: u128,
    /// What went back.
    pub refunded: u128,
}

/// One task on the chain.
pub struct OnChain {
    /// What was ordered.
    pub order: TaskOrder,
    opened: Height,
    committee: Option<Committee>,
    progress: Height,
    cancelled: Option<Height>,
    /// How each job ended, or what was accepted.
    pub jobs: Vec<JobEnd>,
    /// How the jobs without a result ended.
    pub closed: Option<Outcome>,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// Nobody brought a result.
    Open,
    /// A result waits for the end of its window.
    Accepted {
        /// What.
        result: ComputeResult,
        /// At which height it was accepted.
        at: Height,
        /// The last height of the window.
        until: Height,
        /// The seats that count, by their place.
        seats: BTreeSet<u16>,
        /// Of how many.
        of: u16,
        /// How many of them have to.
        quorum: u16,
        /// What it reserved.
        reserved: Amount,
    },
    /// Its worker was paid.
    Settled {
        /// Who.
        worker: Address,
    },
    /// The customer got its share back.
    Refunded,
}

/// The chain of one game.
pub struct Chain {
    /// The last block.
    pub height: Height,
    beacon: Digest,
    seats: Vec<Seat>,
    /// How many seats judge a task, and how many decide.
    committee: (usize, u16),
    /// The tasks, the ended ones too.
    pub tasks: BTreeMap<TaskId, OnChain>,
    /// The workers that are bonded.
    pub workers: BTreeMap<Address, Bonded>,
    /// What came since the last block.
    pub waiting: Vec<Tx>,
    /// All blocks.
    pub blocks: Vec<FinalBlock>,
    /// Where the money went.
    pub totals: Totals,
    /// Transactions that failed: an honest node sends none.
    pub failed: Vec<String>,
    /// Entries that were skipped because they were decided.
    pub skipped: u64,
    /// Wrong results that were accepted.
    pub accepted_wrong: Vec<(TaskId, JobIndex)>,
    /// Seats that were not counted when their jobs settled.
    pub missing_seats: u64,
    /// The fewest blocks between a result and its settlement.
    pub shortest_window: u64,
    /// How often a task got another committee.
    pub redraws: u64,
    truth: Truth,
    canary: Option<Canary>,
}

/// Bugs that are planted to see whether the games find them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Canary {
    /// A job is settled once for each time its result comes.
    DoubleSettlement,
    /// A result is settled in the block that accepts it.
    WindowSkipped,
}

impl Chain {
    /// A chain with these seats and workers.
    pub fn new(seats: Vec<Seat>, workers: BTreeMap<Address, Bonded>, canary: Option<Canary>) -> Self {
        let size = seats.len().min(7);
        let quorum = u16::try_from(2 * size / 3 + 1).expect("few");
        let genesis = FinalBlock {
            height: Height(0),
            time: TimeMs(BEGIN_MS),
            epoch: Epoch(0),
            beacon: Domain::Beacon.hash_bytes(b"begin"),
            changes: Vec::new(),
        };
        Self {
            height: Height(0),
            beacon: genesis.beacon,
            seats,
            committee: (size, quorum),
            tasks: BTreeMap::new(),
            workers,
            waiting: Vec::new(),
            blocks: vec![genesis],
            totals: Totals::default(),
            failed: Vec::new(),
            skipped: 0,
            accepted_wrong: Vec::new(),
            missing_seats: 0,
            shortest_window: u64::MAX,
            redraws: 0,
            truth: Truth::default(),
            canary,
        }
    }

    /// The time of a height.
    pub fn time(&self, height: Height) -> TimeMs {
        TimeMs(BEGIN_MS + height.0 * BLOCK_MS)
    }

    /// Makes the next block of what waits: transactions first, expiries after.
    pub fn advance(&mut self) {
        self.height = Height(self.height.0 + 1);
        self.beacon = Domain::Beacon.hash_pair(&self.beacon, &Domain::Beacon.hash_bytes(&self.height.0.to_le_bytes()));
        let mut changes = Vec::new();
        for tx in core::mem::take(&mut self.waiting) {
            self.apply(tx, &mut changes);
        }
        self.expire(&mut changes);
        self.blocks.push(FinalBlock {
            height: self.height,
            time: self.time(self.height),
            epoch: Epoch(self.height.0 / EPOCH_BLOCKS),
            beacon: self.beacon,
            changes,
        });
    }

    fn apply(&mut self, tx: Tx, changes: &mut Vec<Change>) {
        match tx {
            Tx::Open(task, order) => {
                self.totals.locked += order.reward.units();
                let jobs = vec![JobEnd::Open; order.jobs as usize];
                let (opened, progress) = (self.height, self.height);
                let on_chain = OnChain {
                    order: order.clone(),
                    opened,
                    committee: None,
                    progress,
                    cancelled: None,
                    jobs,
                    closed: None,
                };
                self.tasks.insert(task, on_chain);
                changes.push(Change::Opened { task, order });
            }
            Tx::Cancel(task) => {
                let on_chain = self.tasks.get_mut(&task).filter(|task| task.closed.is_none());
                if let Some(on_chain) = on_chain.filter(|task| task.cancelled.is_none()) {
                    on_chain.cancelled = Some(self.height);
                    changes.push(Change::Cancelled { task });
                }
            }
            Tx::Submit(submit) => {
                if let Err(reason) = self.submit(&submit, changes) {
                    self.failed.push(reason);
                }
            }
            Tx::Add(add) => {
                if let Err(reason) = self.add(&add, changes) {
                    self.failed.push(reason);
                }
            }
        }
    }

    fn check_roots(&self, roots: &[SignedRoot]) -> Result<(), String> {
        let named: BTreeSet<(Height, u16)> = roots.iter().map(|root| (root.drawn, root.seat)).collect();
        if roots.is_empty() || named.len() != roots.len() {
            return Err("two roots of one seat and draw, or none".to_owned());
        }
        for root in roots {
            let key = self.seats.iter().find(|seat| seat.number == root.seat).ok_or("a root of no seat")?.verdict;
            let message = SignedRoot::message(CHAIN, root.drawn, &root.root);
            key.verify(&message.0, &root.signature).map_err(|_| "a root with a bad signature")?;
        }
        Ok(())
    }

    /// The places that attest something, each of which was checked.
    fn attesting(
        &self,
        committee: &Committee,
        roots: &[SignedRoot],
        (result, finding): (&ComputeResult, Finding),
        attestations: &[cpc_primitives::result::Attestation],
    ) -> Result<BTreeSet<u16>, String> {
        let mut places = BTreeSet::new();
        let mut last = None;
        for attestation in attestations {
            let root = roots.get(usize::from(attestation.signed_root)).ok_or("a root that is not there")?;
            if root.drawn != committee.drawn {
                return Err("a root of another draw".to_owned());
            }
            if last.is_some_and(|last| last >= root.seat) {
                return Err("seats that do not rise".to_owned());
            }
            last = Some(root.seat);
            let place = committee.by_number(root.seat).ok_or("a seat that is not in the committee")?;
            let (sample, digest) = (attestation.sample, attestation.digest);
            let verdict = Verdict { result: *result, finding, seat: root.seat, sample, digest };
            attestation.path.verify(verdict.leaf(), root.root).map_err(|error| error.to_string())?;
            places.insert(place);
        }
        Ok(places)
    }

    fn submit(&mut self, submit: &SubmitResult, changes: &mut Vec<Change>) -> Result<(), String> {
        self.check_roots(&submit.roots)?;
        let keys: Vec<_> = submit.entries.iter().map(|entry| (entry.result.task, entry.result.job)).collect();
        if keys.is_empty() || !keys.is_sorted_by(|a, b| a < b) {
            return Err("entries that do not rise, or none".to_owned());
        }
        let mut new = Vec::new();
        for entry in &submit.entries {
            let result = &entry.result;
            let Some(task) = self.tasks.get(&result.task).filter(|task| task.closed.is_none()) else {
                self.skipped += 1;
                continue;
            };
            let Some(committee) = &task.committee else { return Err("no committee".to_owned()) };
            let job = task.jobs.get(result.job.0 as usize).ok_or("a job that is not there")?;
            let is_late = self.time(Height(self.height.0 - 1)) >= task.order.deadline;
            let lease = u64::from(task.order.lease_blocks);
            let is_cancelled = task.cancelled.is_some_and(|at| self.height.0 > at.0 + lease);
            let decided = *job != JobEnd::Open && self.canary != Some(Canary::DoubleSettlement);
            let of = |root: usize| submit.roots.get(root).map(|root| root.drawn);
            let first = entry.attestations.first().and_then(|a| of(usize::from(a.signed_root)));
            if decided || is_late || is_cancelled || first != Some(committee.drawn) {
                self.skipped += 1;
                continue;
            }
            let places = self.attesting(committee, &submit.roots, (result, entry.finding), &entry.attestations)?;
            if places.len() < usize::from(committee.quorum) {
                return Err("no quorum".to_owned());
            }
            let spec = Domain::TaskSpec.hash_bytes(&task.order.spec);
            if result.kernel != task.order.kernel
                || result.spec != spec
                || result.units != units(&task.order, result.job)
            {
                return Err("a result of another order".to_owned());
            }
            new.push((entry.clone(), places));
        }
        for (entry, places) in new {
            match entry.finding {
                Finding::Accept => self.accept(entry.result, places, changes),
                Finding::BadSpec => self.close(entry.result.task, Outcome::BadSpec, changes),
                Finding::InputUnavailable => self.close(entry.result.task, Outcome::InputUnavailable, changes),
            }
        }
        Ok(())
    }

    fn accept(&mut self, result: ComputeResult, seats: BTreeSet<u16>, changes: &mut Vec<Change>) {
        let height = self.height;
        let reward = reward(&self.tasks[&result.task].order, result.job);
        let Some(worker) = self.workers.get_mut(&result.worker) else {
            self.skipped += 1;
            return;
        };
        let reserved = reward.checked_mul(BOND_FACTOR.into()).expect("small");
        let all = worker.reserved.checked_add(reserved).expect("small");
        if all > worker.bond {
            self.skipped += 1;
            return;
        }
        worker.reserved = all;
        let record = Some(WorkerRecord { hot: worker.hot, free_bond: worker.bond.checked_sub(all).expect("checked") });
        let task = self.tasks.get_mut(&result.task).expect("it was looked up");
        let committee = task.committee.as_ref().expect("it was checked");
        if self.truth.output(&task.order, result.job) != Some(result.output) {
            self.accepted_wrong.push((result.task, result.job));
        }
        let window = if self.canary == Some(Canary::WindowSkipped) { 0 } else { WINDOW_BLOCKS };
        let until = Height(height.0 + window);
        let numbers = seats.iter().filter_map(|place| committee.seat(*place)).map(|seat| seat.number).collect();
        let of = u16::try_from(committee.seats.len()).expect("few");
        let quorum = committee.quorum;
        task.jobs[result.job.0 as usize] = JobEnd::Accepted { result, at: height, until, seats, of, quorum, reserved };
        task.progress = height;
        changes.push(Change::Accepted { result, until, seats: numbers });
        changes.push(Change::Worker { worker: result.worker, record });
    }

    fn add(&mut self, add: &AddVerdicts, changes: &mut Vec<Change>) -> Result<(), String> {
        self.check_roots(&add.roots)?;
        for entry in &add.entries {
            let Some(task) = self.tasks.get(&entry.task) else { continue };
            let Some(JobEnd::Accepted { result, .. }) = task.jobs.get(entry.job.0 as usize) else {
                self.skipped += 1;
                continue;
            };
            let committee = task.committee.as_ref().ok_or("no committee")?;
            let drawn = add.roots.get(usize::from(entry.attestations[0].signed_root)).map(|root| root.drawn);
            if drawn != Some(committee.drawn) {
                self.skipped += 1;
                continue;
            }
            let result = *result;
            let places = self.attesting(committee, &add.roots, (&result, Finding::Accept), &entry.attestations)?;
            let numbers = places.iter().filter_map(|place| committee.seat(*place)).map(|seat| seat.number).collect();
            let task = self.tasks.get_mut(&entry.task).expect("it was looked up");
            if let JobEnd::Accepted { seats, .. } = &mut task.jobs[entry.job.0 as usize] {
                seats.extend(places);
            }
            changes.push(Change::Counted { task: entry.task, job: entry.job, seats: numbers });
        }
        Ok(())
    }

    fn expire(&mut self, changes: &mut Vec<Change>) {
        let (height, time) = (self.height, self.time(self.height));
        let ids: Vec<TaskId> = self.tasks.keys().copied().collect();
        for id in ids {
            let task = &self.tasks[&id];
            let over: Vec<JobIndex> = (0..)
                .zip(&task.jobs)
                .filter(|(_, job)| matches!(job, JobEnd::Accepted { until, .. } if *until <= height))
                .map(|(job, _)| JobIndex(job))
                .collect();
            over.into_iter().for_each(|job| self.settle(id, job, changes));
            let task = &self.tasks[&id];
            if task.closed.is_some() {
                continue;
            }
            let lease = u64::from(task.order.lease_blocks);
            if task.cancelled.is_some_and(|at| height.0 > at.0 + lease) {
                self.close(id, Outcome::Cancelled, changes);
            } else if time >= task.order.deadline {
                self.close(id, Outcome::DeadlinePassed, changes);
            } else if task.jobs.iter().all(|job| *job != JobEnd::Open) {
                self.tasks.get_mut(&id).expect("there").closed = Some(Outcome::Settled);
            } else if task.committee.is_none() && height.0 >= task.opened.0 + 2 {
                self.draw(id, changes);
            } else {
                let patience = (self.committee.0 as u64 * u64::from(ROTATION_BLOCKS)).max(2 * lease);
                let drawn = task.committee.as_ref().map_or(height, |committee| committee.drawn);
                if height.0 >= task.progress.max(drawn).0 + patience {
                    self.redraws += 1;
                    self.draw(id, changes);
                }
            }
        }
    }

    fn draw(&mut self, id: TaskId, changes: &mut Vec<Change>) {
        let rank = |seat: &Seat| Domain::Beacon.hash(&(self.beacon, id, u64::from(seat.number)));
        let mut seats = self.seats.clone();
        seats.sort_by_key(rank);
        seats.truncate(self.committee.0);
        let committee = Committee { drawn: self.height, quorum: self.committee.1, seats };
        self.tasks.get_mut(&id).expect("there").committee = Some(committee.clone());
        changes.push(Change::Drawn { task: id, committee });
    }

    fn settle(&mut self, id: TaskId, index: JobIndex, changes: &mut Vec<Change>) {
        let task = self.tasks.get_mut(&id).expect("there");
        let JobEnd::Accepted { result, at, seats, of, reserved, .. } = task.jobs[index.0 as usize].clone() else {
            return;
        };
        let reward = reward(&task.order, index).units();
        let (worker, treasury) = (reward * 2500 / 10_000, reward * 500 / 10_000);
        let each = (reward * 1000 / 10_000) / u128::from(of);
        let validators = each * seats.len() as u128;
        let totals = &mut self.totals;
        totals.workers += worker;
        totals.validators += validators;
        totals.treasury += treasury;
        totals.burned += reward - worker - validators - treasury;
        task.jobs[index.0 as usize] = JobEnd::Settled { worker: result.worker };
        self.missing_seats += u64::from(of) - seats.len() as u64;
        self.shortest_window = self.shortest_window.min(self.height.0 - at.0);
        let bonded = self.workers.get_mut(&result.worker).expect("who was paid is bonded");
        bonded.earned = bonded.earned.checked_add(Amount::new(worker)).expect("small");
        bonded.reserved = bonded.reserved.checked_sub(reserved).expect("it was reserved");
        let free_bond = bonded.bond.checked_sub(bonded.reserved).expect("it is less");
        let record = Some(WorkerRecord { hot: bonded.hot, free_bond });
        let paid = Amount::new(worker);
        changes.push(Change::Ended { task: id, job: index, outcome: Outcome::Settled, worker: result.worker, paid });
        changes.push(Change::Worker { worker: result.worker, record });
    }

    fn close(&mut self, id: TaskId, outcome: Outcome, changes: &mut Vec<Change>) {
        let task = self.tasks.get_mut(&id).expect("there");
        for (index, job) in (0..).zip(&mut task.jobs) {
            if *job == JobEnd::Open {
                *job = JobEnd::Refunded;
                self.totals.refunded += reward(&task.order, JobIndex(index)).units();
            }
        }
        task.closed = Some(outcome);
        changes.push(Change::Closed { task: id, outcome });
    }

    /// Everything that is open, as a node that starts is told of it.
    pub fn snapshot(&self, height: Height) -> FinalBlock {
        let mut block = self.blocks[height.0 as usize].clone();
        block.changes = Vec::new();
        // A node that starts sees the state of one height: the blocks up to it, told again.
        for past in &self.blocks[..=height.0 as usize] {
            block.changes.extend(past.changes.iter().cloned());
        }
        block
    }

    /// A block as a worker sees it.
    pub fn seen(&self, height: Height) -> worker::Seen {
        let mut seen = worker::Seen { height, ..worker::Seen::default() };
        for change in &self.blocks[height.0 as usize].changes {
            match change {
                Change::Accepted { result, .. } => seen.accepted.push((result.task, result.job, result.worker)),
                Change::Ended { task, job, outcome, worker, paid } => {
                    seen.ended.push((*task, *job, *outcome, *worker, *paid));
                }
                Change::Closed { task, .. } => seen.closed.push(*task),
                _ => {}
            }
        }
        seen
    }

    /// What a worker reads of a task.
    pub fn read_task(&self, id: &TaskId, worker: &Address) -> Option<worker::OpenTask> {
        let task = self.tasks.get(id).filter(|task| task.closed.is_none())?;
        let worker = self.record(worker);
        Some(worker::OpenTask { order: task.order.clone(), committee: task.committee.clone()?, worker })
    }

    /// What the chain says of a worker.
    pub fn record(&self, worker: &Address) -> Option<WorkerRecord> {
        let bonded = self.workers.get(worker)?;
        Some(WorkerRecord { hot: bonded.hot, free_bond: bonded.bond.checked_sub(bonded.reserved)? })
    }

    /// Whether every job of every task has its end.
    pub fn is_done(&self) -> bool {
        self.tasks.values().all(|task| {
            task.closed.is_some()
                && task.jobs.iter().all(|job| matches!(job, JobEnd::Settled { .. } | JobEnd::Refunded))
        })
    }
}

/// A job's share of the reward.
pub fn reward(order: &TaskOrder, job: JobIndex) -> Amount {
    let upto = |jobs: u32| order.reward.mul_div_floor(jobs.into(), order.jobs.into()).expect("small");
    upto(job.0 + 1).checked_sub(upto(job.0)).expect("it rises")
}

fn units(order: &TaskOrder, job: JobIndex) -> Units {
    let upto = |jobs: u32| order.units.0 * u128::from(jobs) / u128::from(order.jobs);
    Units(upto(job.0 + 1) - upto(job.0))
}
