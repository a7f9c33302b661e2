//! The recount: every record of a state is added up, and the running totals have to say the same.

use std::collections::BTreeMap;

use cpc_primitives::codec::encode;
use cpc_primitives::committee::Committee;
use cpc_primitives::state::{Account, DueList, Kind, StateKey};
use cpc_primitives::task::{AcceptedJob, DecidedPage, Escrow, Terms, Worker};
use cpc_primitives::{Address, Amount, Digest, Fault, Height, TaskId};

use crate::due::{Cursor, Due, DuePage, DuePlace};
use crate::records::{Opened, Rewards, Seats, Tally, Validator, parse};
use crate::supply::{Supply, broken, credit, total};
use crate::tables::check_escrow;

/// Adds up every record of a state and demands that the running totals say the same (SUP-4, SUP-7).
///
/// Nothing stands behind treasury, burned, minted and genesis but the totals themselves; the equation ties them.
pub fn recount(entries: impl Iterator<Item = Result<(StateKey, Vec<u8>), Fault>>) -> Result<Supply, Fault> {
    let mut count = Count::default();
    for entry in entries {
        let (key, value) = entry?;
        count.add(&key, &value)?;
    }
    count.check_tasks()?;
    count.check_due()?;
    count.check_supply()
}

/// What the records of a state add up to, in whatever order they come.
#[derive(Default)]
struct Count {
    supply: Supply,
    recorded: Option<Supply>,
    tally: Option<Tally>,
    workers: BTreeMap<Address, Worker>,
    /// What accepted jobs reserve of each worker's bond.
    reserved: BTreeMap<Address, Amount>,
    tasks: BTreeMap<TaskId, Task>,
    places: BTreeMap<(DueList, u64), DuePlace>,
    /// What the pages of each place hold.
    left: BTreeMap<(DueList, u64), u64>,
    windows: u64,
}

/// The records of one task.
#[derive(Default)]
struct Task {
    terms: Option<Terms>,
    escrow: Option<Escrow>,
    jobs: Vec<AcceptedJob>,
    committees: BTreeMap<Height, Committee>,
    decided: u64,
}

impl Count {
    fn add(&mut self, key: &StateKey, value: &[u8]) -> Result<(), Fault> {
        match key.kind() {
            Some(Kind::Account) => {
                let account: Account = parse(key, value)?;
                credit(&mut self.supply.balances, account.balance, "balances")?;
            }
            Some(Kind::Validator) => {
                let validator: Validator = parse(key, value)?;
                credit(&mut self.supply.stake, validator.stake, "stake")?;
            }
            Some(Kind::Rewards) => {
                let rewards: Rewards = parse(key, value)?;
                credit(&mut self.supply.pending_rewards, rewards.pot, "pending rewards")?;
            }
            Some(Kind::Supply) => self.recorded = Some(parse(key, value)?),
            Some(Kind::Seats) => drop(parse::<Seats>(key, value)?),
            Some(Kind::Beacon) => drop(parse::<Digest>(key, value)?),
            Some(Kind::Opened) => drop(parse::<Opened>(key, value)?),
            Some(Kind::Tally) => self.tally = Some(parse(key, value)?),
            Some(Kind::Worker) => {
                let worker: Worker = parse(key, value)?;
                credit(&mut self.supply.bonds, worker.bond, "bonds")?;
                self.workers.insert(key.as_worker().ok_or_else(|| nameless(key))?, worker);
            }
            Some(Kind::DueHeight | Kind::DueSecond) => self.add_due(key, value)?,
            Some(_) => self.add_task(key, value)?,
            None => {
                return Err(Fault::Damaged { detail: format!("{key:?} is of no kind that this version writes") });
            }
        }
        Ok(())
    }

    fn add_task(&mut self, key: &StateKey, value: &[u8]) -> Result<(), Fault> {
        let task = self.tasks.entry(key.as_task().ok_or_else(|| nameless(key))?).or_default();
        match key.kind() {
            Some(Kind::Terms) => task.terms = Some(parse(key, value)?),
            Some(Kind::Escrow) => {
                let escrow: Escrow = parse(key, value)?;
                for amount in [escrow.open, escrow.accepted, escrow.gas] {
                    credit(&mut self.supply.escrow, amount, "the escrow")?;
                }
                task.escrow = Some(escrow);
            }
            Some(Kind::Job) => {
                let job: AcceptedJob = parse(key, value)?;
                let reserved = self.reserved.entry(job.result.worker).or_default();
                credit(reserved, job.reserved, "a reserved bond")?;
                task.jobs.push(job);
            }
            Some(Kind::Committee) => {
                let name = key.as_committee().ok_or_else(|| nameless(key))?;
                task.committees.insert(name, parse(key, value)?);
            }
            Some(Kind::Decided) => {
                let page: DecidedPage = parse(key, value)?;
                task.decided = task.decided.saturating_add(page.decided().into());
            }
            _ => return Err(nameless(key)),
        }
        Ok(())
    }

    fn add_due(&mut self, key: &StateKey, value: &[u8]) -> Result<(), Fault> {
        let (list, place, page) = key.as_due().ok_or_else(|| nameless(key))?;
        if page.is_none() {
            self.places.insert((list, place), parse(key, value)?);
            return Ok(());
        }
        let page: DuePage = parse(key, value)?;
        let items = page.items.iter().filter(|due| **due != Due::Nothing);
        let windows = items.clone().filter(|due| matches!(due, Due::Window(..))).count();
        let items = wide(items.count());
        if items != u64::from(page.left) || items == 0 {
            return Err(broken(format!("SUP-7: {key:?} has {items} items and says {}", page.left)));
        }
        let left = self.left.entry((list, place)).or_default();
        *left = left.saturating_add(items);
        self.windows = self.windows.saturating_add(wide(windows));
        Ok(())
    }

    /// SUP-7: every task, worker and committee is what the accepted jobs make of it.
    fn check_tasks(&self) -> Result<(), Fault> {
        let recorded = self.tally.ok_or_else(|| missing("the tally"))?;
        recorded.check()?;
        let mut counted = Tally { open_jobs: 0, accepted_jobs: 0, tasks: wide(self.tasks.len()), ..recorded };
        for (name, task) in &self.tasks {
            let escrow = task.check(*name)?;
            counted.open_jobs = counted.open_jobs.saturating_add(escrow.open_jobs.into());
            counted.accepted_jobs = counted.accepted_jobs.saturating_add(escrow.accepted_jobs.into());
        }
        if counted != recorded || self.windows != recorded.accepted_jobs {
            let windows = self.windows;
            return Err(broken(format!("SUP-7: counted {counted:?} with {windows} windows, recorded {recorded:?}")));
        }
        for (account, worker) in &self.workers {
            let counted = self.reserved.get(account).copied().unwrap_or_default();
            if counted != worker.reserved || worker.reserved > worker.bond {
                return Err(broken(format!("SUP-7: {counted:?} stand for results of {account}, which is {worker:?}")));
            }
        }
        match self.reserved.keys().find(|account| !self.workers.contains_key(account)) {
            Some(account) => Err(broken(format!("SUP-7: {account} has accepted results and is no worker"))),
            None => Ok(()),
        }
    }

    /// SUP-7: the lists of what is due are as long as they say, and nothing is before their beginning.
    fn check_due(&self) -> Result<(), Fault> {
        let tally = self.tally.ok_or_else(|| missing("the tally"))?;
        for (list, cursor) in [(DueList::Heights, tally.heights), (DueList::Seconds, tally.seconds)] {
            let places = self.places.iter().filter(|((of, _), _)| *of == list);
            let places: BTreeMap<u64, u64> = places.map(|((_, place), there)| (*place, there.left.into())).collect();
            let left = self.left.iter().filter(|((of, _), _)| *of == list);
            let left: BTreeMap<u64, u64> = left.map(|((_, place), left)| (*place, *left)).collect();
            let all = left.values().fold(0, |sum: u64, left| sum.saturating_add(*left));
            let early = left.keys().next().is_some_and(|first| *first < cursor.place);
            let Cursor { left: recorded, .. } = cursor;
            if places != left || all != recorded || early {
                return Err(broken(format!(
                    "SUP-7: {list:?} has {all} items at {} places, of which {} are known, recorded {cursor:?}",
                    left.len(),
                    places.len(),
                )));
            }
        }
        Ok(())
    }

    fn check_supply(self) -> Result<Supply, Fault> {
        let recorded = self.recorded.ok_or_else(|| missing("the running totals"))?;
        let Supply { treasury, burned, minted, genesis, .. } = recorded;
        let counted = Supply { treasury, burned, minted, genesis, ..self.supply };
        if encode(&counted) != encode(&recorded) {
            return Err(broken(format!("SUP-4: counted {counted:?}, recorded {recorded:?}")));
        }
        counted.check()?;
        Ok(counted)
    }
}

impl Task {
    fn check(&self, name: TaskId) -> Result<Escrow, Fault> {
        let Self { terms, escrow, jobs, committees, decided } = self;
        let (Some(terms), Some(escrow)) = (terms, escrow) else {
            return Err(broken(format!("SUP-7: task {name} has records, but not both terms and escrow")));
        };
        check_escrow(name, escrow)?;
        let rewards = jobs.iter().map(|job| terms.order.job_reward(job.result.job).unwrap_or_default());
        let undecided = u64::from(terms.order.jobs).saturating_sub(*decided);
        let same_jobs = wide(jobs.len()) == u64::from(escrow.accepted_jobs) && total(rewards) == Some(escrow.accepted);
        let same_open = escrow.closed.is_some() || undecided == u64::from(escrow.open_jobs);
        if !same_jobs || !same_open {
            return Err(broken(format!(
                "SUP-7: task {name} has {} accepted jobs and {undecided} undecided ones, but {escrow:?}",
                jobs.len()
            )));
        }
        for (drawn, committee) in committees {
            let pending = wide(jobs.iter().filter(|job| job.drawn == *drawn).count());
            let decides = escrow.drawn == Some(*drawn);
            if pending != u64::from(committee.pending) || (pending == 0 && !decides) {
                return Err(broken(format!("SUP-7: {pending} jobs of task {name} are of the committee {committee:?}")));
            }
        }
        let drawn = escrow.drawn.into_iter().chain(jobs.iter().map(|job| job.drawn));
        match drawn.into_iter().find(|drawn| !committees.contains_key(drawn)) {
            Some(drawn) => Err(broken(format!("SUP-7: the committee of task {name} drawn at {drawn} is missing"))),
            None => Ok(*escrow),
        }
    }
}

fn nameless(key: &StateKey) -> Fault {
    Fault::Damaged { detail: format!("{key:?} names nothing of its kind") }
}

fn missing(what: &str) -> Fault {
    Fault::Damaged { detail: format!("{what} is missing in the state") }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).expect("64 bits hold every count in memory")
}
