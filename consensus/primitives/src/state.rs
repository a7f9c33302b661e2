//! The keys of the state, and the records that a customer may check against a root.

use core::fmt;

use wincode::{SchemaRead, SchemaWrite};

use crate::amount::Amount;
use crate::codec::Bounded;
use crate::ids::{Address, Epoch, Nonce};
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
        Self(Bounded::new(bytes).expect("a kind and a name of at most 32 bytes"))
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
