//! The records of the market that a block touches: read once, changed in memory, written once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use cpc_primitives::codec::{Decode, Encode, encode};
use cpc_primitives::committee::Committee;
use cpc_primitives::result::KernelId;
use cpc_primitives::state::{DueList, StateKey};
use cpc_primitives::task::{AcceptedJob, DecidedPage, Escrow, Terms, Worker};
use cpc_primitives::{Address, Amount, Fault, Height, JobIndex, TaskId};

use crate::due::{DuePage, DuePlace};
use crate::port::StateRead;
use crate::records::{Tally, record, tally};
use crate::supply::{Supply, broken, total};

/// What names a record within its kind.
pub(crate) trait Name: Ord + Clone {
    /// What the record is.
    type Value: Encode + Decode + Clone + PartialEq;

    /// Its key in the state.
    fn key(&self) -> StateKey;
}

/// A record before the block, and as the block has left it so far.
struct Row<V> {
    before: Option<V>,
    now: Option<V>,
}

/// The records of one kind that a block has touched.
pub(crate) struct Table<N: Name>(BTreeMap<N, Row<N::Value>>);

impl<N: Name> Default for Table<N> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<N: Name> Table<N> {
    /// The record as it is now; `None` where there is none.
    pub(crate) fn get<S: StateRead>(&mut self, state: &S, name: &N) -> Result<Option<&N::Value>, Fault> {
        Ok(self.row(state, name)?.now.as_ref())
    }

    /// The record, which the rules know to be there.
    pub(crate) fn there<S: StateRead>(&mut self, state: &S, name: &N) -> Result<&mut N::Value, Fault> {
        let missing = || broken(format!("TSK-8: the record {:?} should be there and is not", name.key()));
        self.row(state, name)?.now.as_mut().ok_or_else(missing)
    }

    /// Sets what a record is now.
    pub(crate) fn set<S: StateRead>(&mut self, state: &S, name: &N, value: N::Value) -> Result<(), Fault> {
        self.row(state, name)?.now = Some(value);
        Ok(())
    }

    /// Removes a record, where there is one.
    pub(crate) fn remove<S: StateRead>(&mut self, state: &S, name: &N) -> Result<(), Fault> {
        self.row(state, name)?.now = None;
        Ok(())
    }

    fn row<S: StateRead>(&mut self, state: &S, name: &N) -> Result<&mut Row<N::Value>, Fault> {
        match self.0.entry(name.clone()) {
            Entry::Occupied(row) => Ok(row.into_mut()),
            Entry::Vacant(vacant) => {
                let before: Option<N::Value> = record(state, &name.key())?;
                Ok(vacant.insert(Row { now: before.clone(), before }))
            }
        }
    }

    /// The sums over the touched records before the block and now; `None` beyond what can ever exist.
    fn sums(&self, amount: impl Fn(&N::Value) -> Option<Amount>) -> [Option<Amount>; 2] {
        let sum = |side: fn(&Row<N::Value>) -> &Option<N::Value>| {
            let amounts = self.0.values().filter_map(|row| side(row).as_ref()).map(&amount);
            amounts.into_iter().try_fold(Amount::ZERO, |sum, amount| sum.checked_add(amount?))
        };
        [sum(|row| &row.before), sum(|row| &row.now)]
    }

    fn changes(&self) -> impl Iterator<Item = (StateKey, Option<Vec<u8>>)> + '_ {
        let changed = self.0.iter().filter(|(_, row)| row.before != row.now);
        changed.map(|(name, row)| (name.key(), row.now.as_ref().map(encode)))
    }
}

macro_rules! names {
    ($($name:ty => $value:ty: |$self:ident| $key:expr;)*) => {$(
        impl Name for $name {
            type Value = $value;

            fn key(&self) -> StateKey {
                let $self = self;
                $key
            }
        }
    )*};
}

/// The name of a task's terms.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TermsOf(pub(crate) TaskId);

names! {
    Address => Worker: |name| StateKey::worker(name);
    TermsOf => Terms: |name| StateKey::terms(name.0);
    TaskId => Escrow: |name| StateKey::escrow(*name);
    (TaskId, Height) => Committee: |name| StateKey::committee(name.0, name.1);
    (TaskId, JobIndex) => AcceptedJob: |name| StateKey::job(name.0, name.1);
    (TaskId, u32) => DecidedPage: |name| StateKey::decided(name.0, name.1);
    (DueList, u64) => DuePlace: |name| StateKey::due(name.0, name.1);
    (DueList, u64, u32) => DuePage: |name| StateKey::due_page(name.0, name.1, name.2);
}

/// All records of the market that a block has touched.
pub(crate) struct Tables {
    pub(crate) workers: Table<Address>,
    pub(crate) terms: Table<TermsOf>,
    pub(crate) escrows: Table<TaskId>,
    pub(crate) committees: Table<(TaskId, Height)>,
    pub(crate) jobs: Table<(TaskId, JobIndex)>,
    pub(crate) decided: Table<(TaskId, u32)>,
    pub(crate) due_places: Table<(DueList, u64)>,
    pub(crate) due_pages: Table<(DueList, u64, u32)>,
    pub(crate) tally: Tally,
    tally_before: Tally,
    /// How many seats of the epoch declare each kernel, once somebody asked.
    pub(crate) declared: Option<BTreeMap<KernelId, u32>>,
}

impl Tables {
    /// Nothing is touched yet.
    pub(crate) fn begin<S: StateRead>(state: &S) -> Result<Self, Fault> {
        let tally = tally(state)?;
        Ok(Self {
            workers: Table::default(),
            terms: Table::default(),
            escrows: Table::default(),
            committees: Table::default(),
            jobs: Table::default(),
            decided: Table::default(),
            due_places: Table::default(),
            due_pages: Table::default(),
            tally_before: tally,
            tally,
            declared: None,
        })
    }

    /// Demands that escrows and bonds changed by what their running totals say, that each touched task is what its
    /// escrow says, and that no job is lost (SUP-3, SUP-6).
    pub(crate) fn check(&self, before: &Supply, now: &Supply) -> Result<(), Fault> {
        let escrow = self.escrows.sums(|escrow| total([escrow.open, escrow.accepted, escrow.gas]));
        same_change("escrow", escrow, before.escrow, now.escrow)?;
        same_change("bonds", self.workers.sums(|worker| Some(worker.bond)), before.bonds, now.bonds)?;
        for (task, row) in &self.escrows.0 {
            if let Some(escrow) = &row.now {
                check_escrow(*task, escrow)?;
            }
        }
        self.tally.check()
    }

    /// The records that changed.
    pub(crate) fn into_changes(self) -> Vec<(StateKey, Option<Vec<u8>>)> {
        let tally = (self.tally != self.tally_before).then(|| (StateKey::tally(), Some(encode(&self.tally))));
        let market = self.workers.changes().chain(self.terms.changes()).chain(self.escrows.changes());
        let tasks = self.committees.changes().chain(self.jobs.changes()).chain(self.decided.changes());
        let due = self.due_places.changes().chain(self.due_pages.changes());
        market.chain(tasks).chain(due).chain(tally).collect()
    }
}

/// SUP-6: an escrow holds money exactly while jobs of its task are open or accepted.
pub(crate) fn check_escrow(task: TaskId, escrow: &Escrow) -> Result<(), Fault> {
    let open = escrow.open.is_zero() == (escrow.open_jobs == 0);
    let accepted = escrow.accepted.is_zero() == (escrow.accepted_jobs == 0);
    let any = escrow.open_jobs > 0 || escrow.accepted_jobs > 0;
    if open && accepted && any {
        Ok(())
    } else {
        Err(broken(format!("SUP-6: the escrow of task {task} is {escrow:?}")))
    }
}

fn same_change(name: &str, [was, is]: [Option<Amount>; 2], before: Amount, now: Amount) -> Result<(), Fault> {
    // Each side is a difference; the other side's total is added to both, so that neither is negative.
    let (left, right) = (was.and_then(|was| was.checked_add(now)), is.and_then(|is| is.checked_add(before)));
    if left.is_none() || left != right {
        return Err(broken(format!(
            "SUP-3: {name} {before:?} became {now:?}, but the records say {was:?} became {is:?}"
        )));
    }
    Ok(())
}
