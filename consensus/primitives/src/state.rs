//! The keys of the state, and the records that a customer may check against a root.

use core::fmt;

use wincode::{SchemaRead, SchemaWrite};

use crate::amount::Amount;
use crate::codec::Bounded;
use crate::ids::{Address, Epoch, Height, JobIndex, Nonce, TaskId};
use crate::limits::STATE_KEY_BYTES_MAX;

/// The name of a record in the state: one byte of kind, then what names it within its kind (STATE-1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct StateKey(Bounded<u8, STATE_KEY_BYTES_MAX>);

/// The kinds of records. A number is never used again.
mod kind {
    pub(super) const ACCOUNT: u8 = 1;
    pub(super) const SUPPLY: u8 = 2;
    pub(super) const VALIDATOR: u8 = 3;
    pub(super) const SEATS: u8 = 4;
    pub(super) const BEACON: u8 = 5;
    pub(super) const REWARDS: u8 = 6;
    pub(super) const OPENED: u8 = 7;
    pub(super) const WORKER: u8 = 8;
    pub(super) const TERMS: u8 = 9;
    pub(super) const ESCROW: u8 = 10;
    pub(super) const COMMITTEE: u8 = 11;
    pub(super) const JOB: u8 = 12;
    pub(super) const DECIDED: u8 = 13;
    pub(super) const TALLY: u8 = 14;
    pub(super) const DUE_HEIGHT: u8 = 15;
    pub(super) const DUE_SECOND: u8 = 16;
}

/// What a record is, by the first byte of its key (STATE-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The account of an address.
    Account,
    /// The running totals of all money.
    Supply,
    /// A validator.
    Validator,
    /// The seats of an epoch.
    Seats,
    /// The randomness beacon.
    Beacon,
    /// What the running epoch's seats have earned.
    Rewards,
    /// How far a validator's hash chain is opened.
    Opened,
    /// A worker.
    Worker,
    /// What was agreed when a task was opened.
    Terms,
    /// What an open task holds.
    Escrow,
    /// The committee of a task.
    Committee,
    /// A job whose result was accepted and is not settled.
    Job,
    /// Which jobs of a task are decided.
    Decided,
    /// How many tasks and jobs there are, and how far their lists of what is due are worked off.
    Tally,
    /// What is due at a height.
    DueHeight,
    /// What is due at a time.
    DueSecond,
}

/// A list of what is due, by what its places count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DueList {
    /// Heights.
    Heights,
    /// Seconds since 1970.
    Seconds,
}

impl StateKey {
    /// The account of an address.
    pub fn account(address: &Address) -> Self {
        Self::new(kind::ACCOUNT, &address.0)
    }

    /// The address whose account this key names, where it names one.
    pub fn as_account(&self) -> Option<Address> {
        let (kind, name) = self.0.split_first()?;
        if *kind == kind::ACCOUNT { name.try_into().ok().map(Address) } else { None }
    }

    /// The running totals of all money.
    pub fn supply() -> Self {
        Self::new(kind::SUPPLY, &[])
    }

    /// The validator of an account.
    pub fn validator(account: &Address) -> Self {
        Self::new(kind::VALIDATOR, &account.0)
    }

    /// The seats of an epoch.
    pub fn seats(epoch: Epoch) -> Self {
        Self::new(kind::SEATS, &epoch.0.to_be_bytes())
    }

    /// The randomness beacon.
    pub fn beacon() -> Self {
        Self::new(kind::BEACON, &[])
    }

    /// What the running epoch's seats have earned and not been paid.
    pub fn rewards() -> Self {
        Self::new(kind::REWARDS, &[])
    }

    /// How far the hash chain of an account's validator is opened.
    pub fn opened(account: &Address) -> Self {
        Self::new(kind::OPENED, &account.0)
    }

    /// The worker of an account.
    pub fn worker(account: &Address) -> Self {
        Self::new(kind::WORKER, &account.0)
    }

    /// What was agreed when a task was opened.
    pub fn terms(task: TaskId) -> Self {
        Self::new(kind::TERMS, &task.0.0)
    }

    /// What an open task holds.
    pub fn escrow(task: TaskId) -> Self {
        Self::new(kind::ESCROW, &task.0.0)
    }

    /// The committee of a task that was drawn at a height.
    pub fn committee(task: TaskId, drawn: Height) -> Self {
        Self::new(kind::COMMITTEE, &[task.0.0.as_slice(), &drawn.0.to_be_bytes()].concat())
    }

    /// A job whose result was accepted and is not settled.
    pub fn job(task: TaskId, job: JobIndex) -> Self {
        Self::new(kind::JOB, &[task.0.0.as_slice(), &job.0.to_be_bytes()].concat())
    }

    /// Which jobs of a task are decided, of one page of them.
    pub fn decided(task: TaskId, page: u32) -> Self {
        Self::new(kind::DECIDED, &[task.0.0.as_slice(), &page.to_be_bytes()].concat())
    }

    /// How many tasks and jobs there are.
    pub fn tally() -> Self {
        Self::new(kind::TALLY, &[])
    }

    /// How many items a place of a list of what is due has.
    pub fn due(list: DueList, place: u64) -> Self {
        Self::new(Self::due_kind(list), &place.to_be_bytes())
    }

    /// One page of the items of a place.
    pub fn due_page(list: DueList, place: u64, page: u32) -> Self {
        Self::new(Self::due_kind(list), &[place.to_be_bytes().as_slice(), &page.to_be_bytes()].concat())
    }

    /// What a due record's key names: the list, the place, and the page where it is one.
    pub fn as_due(&self) -> Option<(DueList, u64, Option<u32>)> {
        let list = match self.kind()? {
            Kind::DueHeight => DueList::Heights,
            Kind::DueSecond => DueList::Seconds,
            _ => return None,
        };
        let (place, rest) = self.0.get(1..)?.split_first_chunk::<8>()?;
        let page = match rest {
            [] => None,
            rest => Some(u32::from_be_bytes(rest.try_into().ok()?)),
        };
        Some((list, u64::from_be_bytes(*place), page))
    }

    /// The task that this key names first, where its kind is one of a task's.
    pub fn as_task(&self) -> Option<TaskId> {
        let of_task = matches!(self.kind()?, Kind::Terms | Kind::Escrow | Kind::Committee | Kind::Job | Kind::Decided);
        let (task, _) = self.0.get(1..)?.split_first_chunk::<32>()?;
        of_task.then_some(TaskId(crate::hash::Digest(*task)))
    }

    /// When the committee was drawn that this key names, where it names one.
    pub fn as_committee(&self) -> Option<Height> {
        let (kind, name) = self.0.split_first()?;
        let drawn = name.get(32..)?.try_into().ok()?;
        (*kind == kind::COMMITTEE).then(|| Height(u64::from_be_bytes(drawn)))
    }

    /// The worker's account that this key names, where it names one.
    pub fn as_worker(&self) -> Option<Address> {
        let (kind, name) = self.0.split_first()?;
        if *kind == kind::WORKER { name.try_into().ok().map(Address) } else { None }
    }

    const fn due_kind(list: DueList) -> u8 {
        match list {
            DueList::Heights => kind::DUE_HEIGHT,
            DueList::Seconds => kind::DUE_SECOND,
        }
    }

    /// What the record of this key is, where it is of a kind that is known.
    pub fn kind(&self) -> Option<Kind> {
        match *self.0.first()? {
            kind::ACCOUNT => Some(Kind::Account),
            kind::SUPPLY => Some(Kind::Supply),
            kind::VALIDATOR => Some(Kind::Validator),
            kind::SEATS => Some(Kind::Seats),
            kind::BEACON => Some(Kind::Beacon),
            kind::REWARDS => Some(Kind::Rewards),
            kind::OPENED => Some(Kind::Opened),
            kind::WORKER => Some(Kind::Worker),
            kind::TERMS => Some(Kind::Terms),
            kind::ESCROW => Some(Kind::Escrow),
            kind::COMMITTEE => Some(Kind::Committee),
            kind::JOB => Some(Kind::Job),
            kind::DECIDED => Some(Kind::Decided),
            kind::TALLY => Some(Kind::Tally),
            kind::DUE_HEIGHT => Some(Kind::DueHeight),
            kind::DUE_SECOND => Some(Kind::DueSecond),
            _ => None,
        }
    }

    /// The bytes that are hashed to find the record's place.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A key of any bytes: for tests and benches of the tree, which has no opinion on what it keeps.
    pub fn raw(bytes: &[u8]) -> Option<Self> {
        Bounded::new(bytes.to_vec()).ok().map(Self)
    }

    fn new(kind: u8, name: &[u8]) -> Self {
        let bytes = [&[kind], name].concat();
        Self(Bounded::new(bytes).expect("a kind and a name of at most 40 bytes"))
    }
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateKey({})", crate::hash::hex(&self.0))
    }
}

/// What an address owns (STATE-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, SchemaRead, SchemaWrite)]
pub struct Account {
    /// What can be spent.
    pub balance: Amount,
    /// How many transactions of this account were applied, which is the nonce of its next one.
    pub nonce: Nonce,
}
