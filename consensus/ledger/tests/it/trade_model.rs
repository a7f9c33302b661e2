//! The market, once more: naive maps and plain numbers, written from the spec and from nothing else.

use std::collections::{BTreeMap, BTreeSet};

use crate::bazaar::SEATS;

/// What the market's network has fixed; the tests use exactly these numbers.
pub(crate) const MINIMUM: u128 = 10;
pub(crate) const EPOCH: u64 = 40;
pub(crate) const WINDOW: u64 = 4;
const ROTATION: u64 = 2;
const LEASE: u64 = 6;
const INTERVAL: u64 = 500;
const QUORUM: usize = 3;
const MEMBERS: usize = 4;

/// What somebody asks of the market; people are numbers, tasks are counted from 0 in the order of their opening.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Register { bond: u128 },
    Retire,
    Open { jobs: u32, reward: u128, lease: u32, deadline: u64, spot: bool },
    Cancel { task: usize },
    Submit { task: usize, entries: Vec<Entry>, bend: Bend },
    Add { task: usize, job: u32, places: BTreeSet<usize> },
}

/// A result as somebody brings it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) job: u32,
    pub(crate) worker: u8,
    pub(crate) found: Found,
    /// Who of the committee says so.
    pub(crate) places: BTreeSet<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    Accept,
    BadSpec,
}

/// What is wrong with the last entry of a SUBMIT_RESULT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bend {
    Nothing,
    /// All its verdicts are of another draw.
    OtherDraw,
    /// It has one unit more than its job.
    Units,
    /// Its first verdict says another digest than was signed.
    Digest,
}

/// What becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Refused,
    Failed,
    Done,
    Judged { counted: u16, skipped: u16, repaid: u128 },
}

/// A settlement: whose task, which job or the rest of them, and burn, worker, validators, treasury, refund.
pub(crate) type Leaf = (usize, Option<u32>, [u128; 5]);

#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) customer: u8,
    price: u128,
    pub(crate) reward: u128,
    pub(crate) jobs: u32,
    deadline: u64,
    lease: u64,
    factor: u128,
    opened: u64,
    /// Height, epoch and members.
    drawn: Option<(u64, u64, Vec<u8>)>,
    progress: u64,
    cancelled: Option<u64>,
    open: BTreeSet<u32>,
    accepted: BTreeMap<u32, Job>,
    gas: u128,
    closed: bool,
    ended: bool,
}

#[derive(Clone, Debug)]
struct Job {
    worker: u8,
    reserved: u128,
    closes: u64,
    drawn: u64,
    members: Vec<u8>,
    attested: BTreeSet<usize>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Worker {
    pub(crate) bond: u128,
    pub(crate) reserved: u128,
}

/// All money of the market.
#[derive(Clone, Debug, Default)]
pub(crate) struct Market {
    /// Of the block under way.
    pub(crate) height: u64,
    pub(crate) time: u64,
    pub(crate) accounts: BTreeMap<u8, (u128, u64)>,
    pub(crate) workers: BTreeMap<u8, Worker>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) treasury: u128,
    pub(crate) burned: u128,
    pub(crate) minted: u128,
    pub(crate) pot: u128,
    pub(crate) fees: u128,
    /// What the transactions of the block under way have settled.
    pub(crate) leaves: Vec<Leaf>,
}

impl Task {
    /// TASK-4.
    fn share(&self, job: u32) -> u128 {
        let (job, jobs) = (u128::from(job), u128::from(self.jobs));
        self.reward * (job + 1) / jobs - self.reward * job / jobs
    }

    fn escrow(&self) -> u128 {
        let rewards: u128 = self.open.iter().chain(self.accepted.keys()).map(|job| self.share(*job)).sum();
        if self.ended { 0 } else { rewards + self.gas }
    }
}

impl Market {
    pub(crate) fn ask(&mut self, from: u8, price: u128, asked: &Asked) -> End {
        let roots = |entries: &[&BTreeSet<usize>]| {
            let all: BTreeSet<usize> = entries.iter().flat_map(|places| places.iter().copied()).collect();
            u128::try_from(all.len()).expect("few")
        };
        // GAS-2, GAS-3, SUB-1.
        let gas = match asked {
            Asked::Register { .. } => 26_000,
            Asked::Retire | Asked::Cancel { .. } => 23_000,
            Asked::Open { .. } => 28_000,
            Asked::Submit { entries, .. } => {
                let places: Vec<_> = entries.iter().map(|entry| &entry.places).collect();
                let further = u128::try_from(entries.len()).expect("few").saturating_sub(1);
                80_000 + 3_000 * roots(&places) + 10_000 * further
            }
            Asked::Add { places, .. } => 18_000 + 5_000 + 3_000 * roots(&[places]),
        };
        let refused = match asked {
            Asked::Register { bond } => *bond > 1 << 100,
            Asked::Open { jobs, reward, .. } => *jobs == 0 || *reward < u128::from(*jobs) || *reward > 1 << 100,
            Asked::Submit { entries, .. } => entries.is_empty() || entries.iter().any(|entry| entry.places.is_empty()),
            Asked::Add { places, .. } => places.is_empty(),
            _ => false,
        };
        let (balance, nonce) = self.accounts[&from];
        if refused || price < 2 || gas * price > balance {
            return End::Refused;
        }
        self.accounts.insert(from, (balance - gas * price, nonce + 1));
        self.fees += gas * price;
        match asked {
            Asked::Register { bond } => self.register(from, *bond),
            Asked::Retire => self.retire(from),
            Asked::Open { jobs, reward, lease, deadline, spot } => {
                self.open(from, price, *jobs, *reward, *lease, *deadline, *spot)
            }
            Asked::Cancel { task } => self.cancel(from, *task),
            Asked::Submit { task, entries, bend } => self.submit(from, price, *task, entries, *bend),
            Asked::Add { task, job, places } => self.add(from, price, *task, *job, places),
        }
    }

    fn balance(&mut self, who: u8) -> &mut u128 {
        &mut self.accounts.get_mut(&who).expect("an account").0
    }

    // WRK-2, WRK-3.
    fn register(&mut self, from: u8, bond: u128) -> End {
        let known = self.workers.get(&from).copied();
        let all = known.unwrap_or_default().bond.saturating_add(bond);
        if (known.is_none() && bond < MINIMUM) || all > 1 << 100 || *self.balance(from) < bond {
            return End::Failed;
        }
        *self.balance(from) -= bond;
        self.workers.entry(from).or_default().bond += bond;
        End::Done
    }

    fn retire(&mut self, from: u8) -> End {
        match self.workers.get(&from).copied() {
            Some(Worker { bond, reserved: 0 }) => {
                self.workers.remove(&from);
                *self.balance(from) += bond;
                End::Done
            }
            _ => End::Failed,
        }
    }

    // TSK-2, TSK-3, TSK-4.
    #[allow(clippy::too_many_arguments, reason = "an order has as many parts")]
    fn open(&mut self, from: u8, price: u128, jobs: u32, reward: u128, lease: u32, deadline: u64, spot: bool) -> End {
        let lease = if lease == 0 { LEASE } else { lease.into() };
        let gas = price.checked_mul(u128::from(jobs) * (80_000 + 12_000 + 26_000));
        let Some(gas) = gas.filter(|gas| *gas <= 1 << 100) else { return End::Failed };
        let near = deadline < self.time + (2 + 2 * lease) * INTERVAL;
        if near || deadline > self.time + 31_622_400_000 || *self.balance(from) < reward + gas {
            return End::Failed;
        }
        *self.balance(from) -= reward + gas;
        self.tasks.push(Task {
            customer: from,
            price,
            reward,
            jobs,
            deadline,
            lease,
            factor: if spot { 2 } else { 1 },
            opened: self.height,
            drawn: None,
            progress: self.height,
            cancelled: None,
            open: (0..jobs).collect(),
            accepted: BTreeMap::new(),
            gas,
            closed: false,
            ended: false,
        });
        End::Done
    }

    // TSK-9.
    fn cancel(&mut self, from: u8, task: usize) -> End {
        let height = self.height;
        match self.tasks.get_mut(task) {
            Some(task) if !task.ended && task.customer == from && !task.open.is_empty() && task.cancelled.is_none() => {
                task.cancelled = Some(height + task.lease);
                End::Done
            }
            _ => End::Failed,
        }
    }

    /// SUB-2, TSK-7, TSK-9: whether a job can still be decided.
    fn decidable(&self, task: usize, job: u32) -> bool {
        let Some(task) = self.tasks.get(task) else { return false };
        let parent = self.time - INTERVAL;
        let over = task.cancelled.is_some_and(|ends| self.height > ends);
        let decided = job < task.jobs && !task.open.contains(&job);
        !task.ended && !decided && !task.closed && parent < task.deadline && !over
    }

    // SUB-2 to SUB-5, SUB-7.
    fn submit(&mut self, from: u8, price: u128, number: usize, entries: &[Entry], bend: Bend) -> End {
        let last = entries.len() - 1;
        let mut good = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let bend = if index == last { bend } else { Bend::Nothing };
            if !self.decidable(number, entry.job) {
                continue;
            }
            let task = &self.tasks[number];
            if entry.job >= task.jobs || bend == Bend::Units || task.drawn.is_none() {
                return End::Failed;
            }
            if bend == Bend::OtherDraw {
                continue;
            }
            if bend == Bend::Digest || entry.places.len() < QUORUM {
                return End::Failed;
            }
            good.push(entry);
        }
        let (mut counted, mut repaid, mut roots) = (0, 0, BTreeSet::new());
        for entry in good {
            if !self.decidable(number, entry.job) {
                continue;
            }
            let task = &mut self.tasks[number];
            let share = task.share(entry.job);
            let (drawn, _, members) = task.drawn.clone().expect("checked");
            if entry.found == Found::Accept {
                let reserved = share * task.factor;
                let Some(worker) = self.workers.get_mut(&entry.worker) else { continue };
                if worker.bond - worker.reserved < reserved {
                    continue;
                }
                worker.reserved += reserved;
                task.open.remove(&entry.job);
                task.progress = self.height;
                let (closes, attested) = (self.height + WINDOW, entry.places.clone());
                let job = Job { worker: entry.worker, reserved, closes, drawn, members: members.clone(), attested };
                task.accepted.insert(entry.job, job);
            }
            // GAS-8.
            let new = entry.places.iter().filter(|place| roots.insert(**place)).count();
            let gas = if counted == 0 { 80_000 } else { 10_000 } + 3_000 * u128::try_from(new).expect("few");
            repaid += self.repay(from, price, number, gas);
            counted += 1;
            if entry.found == Found::BadSpec {
                let found: Vec<u8> = entry.places.iter().map(|place| members[*place]).collect();
                let mut leaves = Vec::new();
                self.close(number, &found, &mut leaves);
                self.leaves.extend(leaves);
            }
        }
        let skipped = u16::try_from(entries.len()).expect("few") - counted;
        End::Judged { counted, skipped, repaid }
    }

    // SUB-6.
    fn add(&mut self, from: u8, price: u128, number: usize, job: u32, places: &BTreeSet<usize>) -> End {
        let skipped = End::Judged { counted: 0, skipped: 1, repaid: 0 };
        let Some(task) = self.tasks.get_mut(number) else { return skipped };
        let drawn = task.drawn.as_ref().map(|(drawn, ..)| *drawn);
        let Some(job) = task.accepted.get_mut(&job).filter(|job| self.height <= job.closes) else { return skipped };
        // The tests sign with the task's last committee.
        if drawn != Some(job.drawn) {
            return skipped;
        }
        let new = places.iter().filter(|place| job.attested.insert(**place)).count();
        if new == 0 {
            return skipped;
        }
        let gas = 18_000 + 5_000 + 3_000 * u128::try_from(new).expect("few");
        End::Judged { counted: 1, skipped: 0, repaid: self.repay(from, price, number, gas) }
    }

    fn repay(&mut self, to: u8, price: u128, task: usize, gas: u128) -> u128 {
        let task = &mut self.tasks[task];
        let amount = (gas * price.min(task.price)).min(task.gas);
        task.gas -= amount;
        *self.balance(to) += amount;
        amount
    }

    /// TSK-7, TSK-9, SUB-7: the open jobs end.
    fn close(&mut self, number: usize, found: &[u8], leaves: &mut Vec<Leaf>) {
        let task = &mut self.tasks[number];
        let open: u128 = core::mem::take(&mut task.open).into_iter().map(|job| task.share(job)).sum();
        if open == 0 {
            return;
        }
        task.closed = true;
        let customer = task.customer;
        let fee = if found.is_empty() { 0 } else { open * 500 / 10_000 };
        let member = fee / u128::try_from(MEMBERS).expect("few");
        for who in found {
            *self.balance(*who) += member;
        }
        let members = member * u128::try_from(found.len()).expect("few");
        *self.balance(customer) += open - fee;
        self.burned += fee - members;
        leaves.push((number, None, [fee - members, 0, members, 0, open - fee]));
        self.end(number);
    }

    // STL-1, STL-2, STL-3.
    fn settle(&mut self, number: usize, job: u32, leaves: &mut Vec<Leaf>) {
        let share = self.tasks[number].share(job);
        let job_record = self.tasks[number].accepted.remove(&job).expect("accepted");
        let member = share / 10 / u128::try_from(MEMBERS).expect("few");
        let members = member * u128::try_from(job_record.attested.len()).expect("few");
        let (worker, treasury) = (share / 4, share / 20);
        let burn = share - worker - members - treasury;
        for place in &job_record.attested {
            *self.balance(job_record.members[*place]) += member;
        }
        *self.balance(job_record.worker) += worker;
        self.workers.get_mut(&job_record.worker).expect("a worker").reserved -= job_record.reserved;
        self.treasury += treasury;
        self.burned += burn;
        leaves.push((number, Some(job), [burn, worker, members, treasury, 0]));
        self.end(number);
    }

    // TSK-10.
    fn end(&mut self, number: usize) {
        let task = &mut self.tasks[number];
        if task.open.is_empty() && task.accepted.is_empty() {
            task.ended = true;
            let (customer, gas) = (task.customer, task.gas);
            *self.balance(customer) += gas;
        }
    }

    /// The end of the block under way; `drawn` says whom the beacon drew for a task at this height.
    pub(crate) fn end_block(&mut self, proposer: u8, drawn: impl Fn(usize) -> Option<Vec<u8>>) -> Vec<Leaf> {
        let mut leaves = core::mem::take(&mut self.leaves);
        for number in 0..self.tasks.len() {
            let task = &self.tasks[number];
            let closing: Vec<u32> =
                task.accepted.iter().filter(|(_, job)| job.closes == self.height).map(|(job, _)| *job).collect();
            for job in closing {
                self.settle(number, job, &mut leaves);
            }
            let task = &self.tasks[number];
            let second = task.deadline.div_ceil(1_000);
            if !task.ended && (task.cancelled == Some(self.height) || self.time / 1_000 >= second) {
                self.close(number, &[], &mut leaves);
            }
            self.watch(number, &drawn);
        }
        // FEE-1, FEE-2, RWD-1 to RWD-4.
        let treasury = self.fees / 10;
        self.treasury += treasury;
        let rest = self.fees - treasury;
        *self.balance(proposer) += rest;
        self.fees = 0;
        let reward = 1_001 >> (self.height / 6).min(127);
        self.minted += reward;
        self.pot += reward * 7 / 10;
        self.burned += reward - reward * 7 / 10;
        if self.height % EPOCH == EPOCH - 1 {
            let share = self.pot / 5;
            for seat in SEATS {
                *self.balance(seat) += share;
                self.pot -= share;
            }
            self.burned += self.pot;
            self.pot = 0;
        }
        leaves.sort_unstable();
        leaves
    }

    // COM-2, COM-5.
    fn watch(&mut self, number: usize, drawn: impl Fn(usize) -> Option<Vec<u8>>) {
        let height = self.height;
        let task = &mut self.tasks[number];
        if task.ended || task.open.is_empty() {
            return;
        }
        let due = match &task.drawn {
            None => height == task.opened + 2,
            Some((_, epoch, _)) => {
                let patience = (4 * ROTATION).max(2 * task.lease);
                height >= task.progress + patience || height == (epoch + 2) * EPOCH - 1
            }
        };
        if due {
            let members = drawn(number).expect("the ledger drew a committee at this height");
            task.drawn = Some((height, height / EPOCH, members));
            task.progress = height;
        }
    }

    pub(crate) fn escrow(&self) -> u128 {
        self.tasks.iter().map(Task::escrow).sum()
    }

    pub(crate) fn is_open(&self, task: usize) -> bool {
        !self.tasks[task].ended
    }

    pub(crate) fn was_drawn(&self, task: usize) -> Option<u64> {
        self.tasks[task].drawn.as_ref().map(|(height, ..)| *height)
    }

    /// Whose result of a job waits for the end of its window.
    pub(crate) fn accepted_of(&self, task: usize, job: u32) -> Option<u8> {
        self.tasks.get(task)?.accepted.get(&job).map(|job| job.worker)
    }

    pub(crate) fn has_open_jobs(&self, task: usize) -> bool {
        !self.tasks[task].open.is_empty()
    }
}
