//! The records of the state that only the ledger writes, and how anybody reads them.

use cpc_light::{SetError, ValidatorSet};
use cpc_primitives::codec::{Decode, decode};
use cpc_primitives::committee::Committee;
use cpc_primitives::limits::{SEATS_MAX, STATE_VALUE_BYTES_MAX};
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::task::{AcceptedJob, DecidedPage, Escrow, Terms, Worker};
use cpc_primitives::tx::Registration;
use cpc_primitives::{Address, Amount, Bounded, Digest, Epoch, Fault, Height, JobIndex, PublicKey, TaskId};
use rayon::prelude::*;
use wincode::{SchemaRead, SchemaWrite};

use crate::due::Cursor;
use crate::port::StateRead;
use crate::supply::{Supply, broken};

/// A validator, by its account (EPO-6, STATE-3).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Validator {
    /// What it has locked.
    pub stake: Amount,
    /// What it declares of itself.
    pub registration: Registration,
}

/// One seat of an epoch, fixed when the epoch's set was (EPO-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Seat {
    /// The key that signs blocks.
    pub key: PublicKey,
    /// The account that is paid.
    pub account: Address,
    /// The stake by which it is paid.
    pub stake: Amount,
}

/// The seats of one epoch, in the order of the bytes of their keys: the order of a certificate's bits (EPO-1,
/// STATE-4).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Seats(Bounded<Seat, SEATS_MAX>);

/// What the running epoch's seats have earned and not been paid (RWD-3, STATE-6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, SchemaRead, SchemaWrite)]
pub struct Rewards {
    /// What is shared at the end of the epoch.
    pub pot: Amount,
}

/// How far the hash chain of a validator is opened (BEA-5, STATE-8).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Opened {
    /// The epoch with whose views the indices of the chain begin.
    pub first: Epoch,
    /// The index of the last element that a block opened; 0 is the end that was registered.
    pub index: u32,
    /// That element.
    pub element: Digest,
}

/// How many tasks and jobs there are and were, and how far the lists of what is due are worked off (TSK-8, DUE-3,
/// STATE-15).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, SchemaRead, SchemaWrite)]
pub struct Tally {
    /// Open tasks.
    pub tasks: u64,
    /// Jobs that were ever ordered.
    pub ordered_jobs: u64,
    /// Jobs that nobody has decided.
    pub open_jobs: u64,
    /// Accepted jobs that are not settled.
    pub accepted_jobs: u64,
    /// Jobs that have ended.
    pub ended_jobs: u64,
    /// What is due at heights.
    pub heights: Cursor,
    /// What is due at seconds.
    pub seconds: Cursor,
}

impl Tally {
    /// Demands that every job that was ordered is open, accepted or ended (SUP-6).
    pub fn check(&self) -> Result<(), Fault> {
        let Self { ordered_jobs, open_jobs, accepted_jobs, ended_jobs, .. } = *self;
        let found = open_jobs.checked_add(accepted_jobs).and_then(|sum| sum.checked_add(ended_jobs));
        if found == Some(ordered_jobs) {
            return Ok(());
        }
        Err(broken(format!("SUP-6: {ordered_jobs} jobs were ordered, but there are {self:?}")))
    }
}

impl Seats {
    /// Brings seats into their order; there is at least one, and no two share a key.
    pub fn new(mut seats: Vec<Seat>) -> Result<Self, SetError> {
        seats.sort_by_key(|seat| seat.key);
        let seats = Self(Bounded::new(seats)?);
        seats.validators()?;
        Ok(seats)
    }

    /// The seats in their order.
    pub fn seats(&self) -> &[Seat] {
        &self.0
    }

    /// The seat of a key.
    pub fn seat_of(&self, key: &PublicKey) -> Option<&Seat> {
        self.0.binary_search_by_key(key, |seat| seat.key).ok().and_then(|place| self.0.get(place))
    }

    /// The set that decides the epoch; its hash is how a header names it (EPO-3).
    pub fn validators(&self) -> Result<ValidatorSet, SetError> {
        ValidatorSet::ordered(self.0.iter().map(|seat| seat.key).collect())
    }
}

/// The account of an address, where it has one.
pub fn account<S: StateRead>(state: &S, address: &Address) -> Result<Option<Account>, Fault> {
    record(state, &StateKey::account(address))
}

/// The accounts of many addresses, in their order: read together, and decoded on all cores.
pub(crate) fn accounts<S: StateRead>(state: &S, addresses: &[Address]) -> Result<Vec<Option<Account>>, Fault> {
    let keys: Vec<StateKey> = addresses.par_iter().with_min_len(512).map(StateKey::account).collect();
    let values = state.read_many(&keys)?;
    if values.len() != keys.len() {
        return Err(broken(format!("{} records were asked for, {} came", keys.len(), values.len())));
    }
    let account =
        |(key, value): (&StateKey, &Option<Vec<u8>>)| value.as_ref().map(|bytes| parse(key, bytes)).transpose();
    keys.par_iter().with_min_len(512).zip(&values).map(account).collect()
}

/// The running totals of all money.
pub fn supply<S: StateRead>(state: &S) -> Result<Supply, Fault> {
    demanded(state, &StateKey::supply(), "the supply")
}

/// The seats of an epoch, as long as the state keeps them.
pub fn seats<S: StateRead>(state: &S, epoch: Epoch) -> Result<Option<Seats>, Fault> {
    record(state, &StateKey::seats(epoch))
}

/// The validator of an account, where it is one.
pub fn validator<S: StateRead>(state: &S, account: &Address) -> Result<Option<Validator>, Fault> {
    record(state, &StateKey::validator(account))
}

/// What the running epoch's seats have earned and not been paid.
pub fn rewards<S: StateRead>(state: &S) -> Result<Rewards, Fault> {
    demanded(state, &StateKey::rewards(), "the rewards")
}

/// The beacon after the last block (BEA-1, STATE-7).
pub fn beacon<S: StateRead>(state: &S) -> Result<Digest, Fault> {
    demanded(state, &StateKey::beacon(), "the beacon")
}

/// How far the hash chain of an account's validator is opened, where it is one.
pub fn opened<S: StateRead>(state: &S, account: &Address) -> Result<Option<Opened>, Fault> {
    record(state, &StateKey::opened(account))
}

/// The worker of an account, where it is one.
pub fn worker<S: StateRead>(state: &S, account: &Address) -> Result<Option<Worker>, Fault> {
    record(state, &StateKey::worker(account))
}

/// What was agreed when a task was opened, as long as it is open.
pub fn terms<S: StateRead>(state: &S, task: TaskId) -> Result<Option<Terms>, Fault> {
    record(state, &StateKey::terms(task))
}

/// What a task holds, as long as it is open.
pub fn escrow<S: StateRead>(state: &S, task: TaskId) -> Result<Option<Escrow>, Fault> {
    record(state, &StateKey::escrow(task))
}

/// The committee of a task that was drawn at a height, as long as it has something to do.
pub fn committee<S: StateRead>(state: &S, task: TaskId, drawn: Height) -> Result<Option<Committee>, Fault> {
    record(state, &StateKey::committee(task, drawn))
}

/// A job whose result was accepted and is not settled.
pub fn accepted_job<S: StateRead>(state: &S, task: TaskId, job: JobIndex) -> Result<Option<AcceptedJob>, Fault> {
    record(state, &StateKey::job(task, job))
}

/// Whether a job of an open task is decided.
pub fn is_decided<S: StateRead>(state: &S, task: TaskId, job: JobIndex) -> Result<bool, Fault> {
    let (page, place) = DecidedPage::place(job);
    let page: Option<DecidedPage> = record(state, &StateKey::decided(task, page))?;
    Ok(page.is_some_and(|page| page.has(place)))
}

/// How many tasks and jobs there are.
pub fn tally<S: StateRead>(state: &S) -> Result<Tally, Fault> {
    demanded(state, &StateKey::tally(), "the tally")
}

/// How far the hash chain of a seat is opened.
pub(crate) fn opened_there<S: StateRead>(state: &S, account: &Address) -> Result<Opened, Fault> {
    demanded(state, &StateKey::opened(account), "the opened element of a seat")
}

/// The seats of an epoch that the rules know to be there.
pub(crate) fn seats_there<S: StateRead>(state: &S, epoch: Epoch) -> Result<(Seats, ValidatorSet), Fault> {
    let seats: Seats = demanded(state, &StateKey::seats(epoch), "the seats of an epoch")?;
    let damaged = |error| Fault::Damaged { detail: format!("the seats of epoch {epoch}: {error}") };
    let set = seats.validators().map_err(damaged)?;
    Ok((seats, set))
}

/// Reads a record's canonical bytes.
pub(crate) fn parse<T: Decode>(key: &StateKey, bytes: &[u8]) -> Result<T, Fault> {
    decode(bytes, STATE_VALUE_BYTES_MAX).map_err(|error| Fault::Damaged { detail: format!("record {key:?}: {error}") })
}

pub(crate) fn record<S: StateRead, T: Decode>(state: &S, key: &StateKey) -> Result<Option<T>, Fault> {
    state.read(key)?.map(|bytes| parse(key, &bytes)).transpose()
}

fn demanded<S: StateRead, T: Decode>(state: &S, key: &StateKey, name: &str) -> Result<T, Fault> {
    let missing = || Fault::Damaged { detail: format!("{name} ({key:?}) should be in the state and is not") };
    record(state, key)?.ok_or_else(missing)
}
