//! Every quantity and every identity is a type, so that a height is never mistaken for a view.

use core::fmt;
use core::str::FromStr;

use bech32::{Bech32, Hrp};
use wincode::{SchemaRead, SchemaWrite};

use crate::hash::{Digest, Domain, HexError};
use crate::keys::PublicKey;

/// Makes a counted quantity: ordered, printable, and added to only where overflow is answered for.
macro_rules! quantity {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, SchemaRead, SchemaWrite)]
        pub struct $name(pub $inner);

        impl $name {
            /// The one after this, unless there is none.
            pub fn next(self) -> Option<Self> {
                self.0.checked_add(1).map(Self)
            }

            /// The bare number.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

quantity! {
    /// A block's place in the chain; block 0 is the genesis.
    Height(u64);
    /// A run of blocks with one set of seats.
    Epoch(u64);
    /// One attempt of one leader within an epoch.
    View(u64);
    /// How many transactions an account has had applied.
    Nonce(u64);
    /// The measure of what a transaction costs the chain.
    Gas(u64);
    /// Milliseconds since the start of 1970.
    TimeMs(u64);
    /// Which network: 1 mainnet, 2 testnet, other numbers devnets.
    ChainId(u64);
    /// A job's place in its task.
    JobIndex(u32);
    /// Multiply-accumulate equivalents: the measure of computation.
    Units(u128);
}

impl Gas {
    /// The sum, unless it overflows.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

/// Makes an identity: a digest that names one kind of thing.
macro_rules! identity {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, SchemaRead, SchemaWrite)]
        pub struct $name(pub Digest);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, HexError> {
                text.parse().map(Self)
            }
        }
    )*};
}

identity! {
    /// The hash of a header, which names its block and everything under it.
    BlockId;
    /// The hash of a transaction's body and sender: an index, for people (TX-4).
    TxId;
    /// The hash of a transaction's whole signed bytes: what blocks and caches are keyed by (TX-5).
    TxHash;
    /// The hash of a task's sender and nonce.
    TaskId;
}

impl TaskId {
    /// The task that this sender opens with this nonce (TASK-1).
    pub fn of(sender: Address, nonce: Nonce) -> Self {
        Self(Domain::TaskId.hash(&(sender, nonce)))
    }

    /// The form customers see: the first 128 bits, marked as a version 8 UUID (TASK-2).
    ///
    /// Version 8 is the one that RFC 9562 leaves to the application. 122 bits remain; a front that keeps tasks by
    /// this form resolves it through its own index, never by guessing.
    pub fn uuid(self) -> TaskUuid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(self.0.0.first_chunk::<16>().expect("a digest has 32 bytes"));
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        TaskUuid(bytes)
    }
}

/// A task's identity in the form of a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskUuid([u8; 16]);

/// Why a text is not the UUID of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UuidError {
    /// Not 8-4-4-4-12 hex digits.
    #[error("a task id has the form 550e8400-e29b-81d4-a716-446655440000")]
    Form,
    /// A UUID of somebody else.
    #[error("a task id is a UUID of version 8, this one has version {found}")]
    Version {
        /// The version that was found.
        found: u8,
    },
}

impl TaskUuid {
    /// The bytes in network order.
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for TaskUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for TaskUuid {
    type Err = UuidError;

    fn from_str(text: &str) -> Result<Self, UuidError> {
        let groups: Vec<&str> = text.split('-').collect();
        if groups.iter().map(|group| group.len()).ne([8, 4, 4, 4, 12]) {
            return Err(UuidError::Form);
        }
        let mut bytes = [0; 16];
        crate::hash::unhex(&groups.concat(), &mut bytes).map_err(|_| UuidError::Form)?;
        let found = bytes[6] >> 4;
        if found != 8 || bytes[8] >> 6 != 0b10 {
            return Err(UuidError::Version { found });
        }
        Ok(Self(bytes))
    }
}

/// Where money is: the first 20 bytes of the tagged hash of a public key (KEY-3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, SchemaRead, SchemaWrite)]
pub struct Address(pub [u8; 20]);

/// The human-readable part of every address.
const HRP: Hrp = Hrp::parse_unchecked("cpc");

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not bech32 at all, or its checksum fails.
    #[error("{text:?} is not an address: {reason}")]
    Bech32 {
        /// The whole text.
        text: String,
        /// What the decoder found.
        reason: String,
    },
    /// An address of something else.
    #[error("{text:?} is an address of {found:?}, ours begin with cpc1")]
    Prefix {
        /// The prefix that was found.
        found: String,
        /// The whole text.
        text: String,
    },
    /// Not 20 bytes.
    #[error("{text:?} holds {found} bytes, an address has 20")]
    Length {
        /// How many bytes were found.
        found: usize,
        /// The whole text.
        text: String,
    },
}

impl Address {
    /// The address of a public key.
    pub fn of(key: &PublicKey) -> Self {
        let digest = Domain::Address.hash_bytes(key.bytes());
        Self(*digest.0.first_chunk().expect("a digest has 32 bytes"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bech32::encode::<Bech32>(HRP, &self.0).expect("20 bytes are within the length of bech32");
        f.pad(&text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let owned = || text.to_owned();
        let parsed = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text)
            .map_err(|e| AddressError::Bech32 { text: owned(), reason: e.to_string() })?;
        if parsed.hrp() != HRP {
            return Err(AddressError::Prefix { found: parsed.hrp().to_string(), text: owned() });
        }
        // KEY-3: 20 bytes are exactly 32 symbols. A decoder alone would pass over a symbol too many, and the checksum
        // of bech32 is blind to a q that is put in before a final p.
        if parsed.fe32_iter().count() != 32 {
            return Err(AddressError::Length { found: parsed.byte_iter().count(), text: owned() });
        }
        let bytes: Vec<u8> = parsed.byte_iter().collect();
        let bytes = <[u8; 20]>::try_from(bytes.as_slice())
            .map_err(|_| AddressError::Length { found: bytes.len(), text: owned() })?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_back_and_a_typing_error_is_caught() {
        let address = Address([7; 20]);
        let text = address.to_string();
        assert!(text.starts_with("cpc1"), "{text}");
        assert_eq!(text.parse(), Ok(address));

        let mut wrong = text.clone().into_bytes();
        let place = wrong.len() / 2;
        wrong[place] = if wrong[place] == b'q' { b'p' } else { b'q' };
        let wrong = String::from_utf8(wrong).expect("ascii");
        assert!(matches!(wrong.parse::<Address>(), Err(AddressError::Bech32 { .. })));
        assert!(matches!("".parse::<Address>(), Err(AddressError::Bech32 { .. })));

        let other = bech32::encode::<Bech32>(Hrp::parse("btc").expect("valid"), &[7; 20]).expect("short");
        assert!(matches!(other.parse::<Address>(), Err(AddressError::Prefix { .. })));
        for twin in ["cpc1qurswpc8qurswpc8qurswpc8qurswpc8q048e30", "cpc1qurswpc8qurswpc8qurswpc8qurswpc8pjrnvva"] {
            assert!(matches!(twin.parse::<Address>(), Err(AddressError::Length { .. })), "{twin}");
        }
        let long = bech32::encode::<Bech32>(HRP, &[7; 21]).expect("short");
        assert!(matches!(long.parse::<Address>(), Err(AddressError::Length { found: 21, .. })));
    }

    #[test]
    fn an_address_is_a_tagged_hash_and_not_the_bare_one() {
        let key = crate::SecretKey::from_seed(&[3; 32]).public();
        let tagged = blake3::keyed_hash(b"cpc.address.v1..................", key.bytes());
        assert_eq!(Address::of(&key).0, tagged.as_bytes()[..20]);
        assert_ne!(Address::of(&key).0, blake3::hash(key.bytes()).as_bytes()[..20]);
    }

    #[test]
    fn a_task_id_has_the_form_of_a_uuid() {
        let task = TaskId::of(Address([1; 20]), Nonce(2));
        let text = task.uuid().to_string();
        assert_eq!(text.len(), 36);
        assert_eq!(text.as_bytes()[14], b'8');
        assert_eq!(text.parse(), Ok(task.uuid()));
        assert_eq!("550e8400-e29b-41d4-a716-446655440000".parse::<TaskUuid>(), Err(UuidError::Version { found: 4 }));
        assert_eq!("550e8400e29b41d4a716446655440000".parse::<TaskUuid>(), Err(UuidError::Form));
        assert_ne!(TaskId::of(Address([1; 20]), Nonce(3)), task);
    }

    #[test]
    fn the_last_height_has_no_next() {
        assert_eq!(Height(u64::MAX).next(), None);
        assert_eq!(Height(0).next(), Some(Height(1)));
    }
}
