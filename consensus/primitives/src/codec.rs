//! The one way bytes become values: exact, canonical, bounded (COD-1 to COD-5).
//!
//! The layout is bincode's with fixed-width little-endian integers: lengths are `u64`, variants `u32`, options one
//! byte. It is written by `wincode`; only the functions of this file are reachable, because `wincode` alone accepts
//! trailing bytes and unbounded lists. This is the one file of the pure crates that holds `unsafe`: `wincode`'s traits
//! are unsafe to implement, and `Bounded` and the checked keys need their own reading.

#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};

use wincode::config::{Configuration, DefaultConfig};
use wincode::io::{Reader, Writer};
use wincode::{ReadError, ReadResult, SchemaRead, SchemaWrite, TypeMeta, WriteResult};

use crate::amount::Bps;
use crate::keys::{KeyError, PublicKey};
use crate::limits::BLOCK_BYTES_MAX;

/// The layout, and how much memory one list may ask for before its elements were read.
type Layout = Configuration<true, { 4 * BLOCK_BYTES_MAX }>;

/// Why bytes are not a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More bytes than the value may have.
    #[error("{found} bytes where at most {limit} are allowed")]
    TooLong {
        /// The limit of this kind of value.
        limit: usize,
        /// How many bytes came.
        found: usize,
    },
    /// The bytes end too early, go on too long, or hold what the type does not allow.
    #[error("malformed bytes: {reason}")]
    Malformed {
        /// What the reader found.
        reason: String,
    },
}

/// A value with canonical bytes.
pub trait Encode: SchemaWrite<Layout, Src = Self> + SchemaWrite<DefaultConfig, Src = Self> {}
impl<T: SchemaWrite<Layout, Src = T> + SchemaWrite<DefaultConfig, Src = T>> Encode for T {}

/// A value that can be read from canonical bytes.
pub trait Decode: for<'de> SchemaRead<'de, Layout, Dst = Self> {}
impl<T: for<'de> SchemaRead<'de, Layout, Dst = T>> Decode for T {}

/// The canonical bytes of a value.
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    wincode::config::serialize(value, Layout::new()).expect("a vector takes every value whose lists are bounded")
}

/// Reads exactly one value of at most `limit` bytes; a byte too many is an error (COD-2, COD-3).
pub fn decode<T: Decode>(bytes: &[u8], limit: usize) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLong { limit, found: bytes.len() });
    }
    wincode::config::deserialize_exact(bytes, Layout::new())
        .map_err(|error| CodecError::Malformed { reason: error.to_string() })
}

/// A list of at most `MAX` elements; one more does not decode (COD-4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bounded<T, const MAX: usize>(Vec<T>);

/// A list was longer than its type allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{found} elements where at most {max} are allowed")]
pub struct TooMany {
    /// The limit of the list's type.
    pub max: usize,
    /// How many there were.
    pub found: usize,
}

impl<T, const MAX: usize> Bounded<T, MAX> {
    /// Takes a list that is short enough.
    pub fn new(items: Vec<T>) -> Result<Self, TooMany> {
        if items.len() <= MAX { Ok(Self(items)) } else { Err(TooMany { max: MAX, found: items.len() }) }
    }

    /// Adds an element to a list that has room for it.
    pub fn push(&mut self, item: T) -> Result<(), TooMany> {
        if self.0.len() >= MAX {
            return Err(TooMany { max: MAX, found: self.0.len().saturating_add(1) });
        }
        self.0.push(item);
        Ok(())
    }

    /// The list as a vector.
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for Bounded<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// Elements may change, their number may not.
impl<T, const MAX: usize> DerefMut for Bounded<T, MAX> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<'a, T, const MAX: usize> IntoIterator for &'a Bounded<T, MAX> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

// SAFETY: the size is that of the 64-bit count and of the elements, which is what is written; the metadata is the dynamic
// default. `Vec`'s own writing would also bound the memory of the elements, which is larger than their bytes: a list that
// was read, and so is short enough, has to be writable again.
unsafe impl<T, const MAX: usize, C: wincode::config::Config> SchemaWrite<C> for Bounded<T, MAX>
where
    T: SchemaWrite<C, Src = T>,
{
    type Src = Self;

    fn size_of(src: &Self) -> WriteResult<usize> {
        let elements = match T::TYPE_META {
            TypeMeta::Static { size, .. } => src.0.len().saturating_mul(size),
            TypeMeta::Dynamic => {
                let mut sum = 0usize;
                for item in &src.0 {
                    sum = sum.saturating_add(T::size_of(item)?);
                }
                sum
            }
        };
        Ok(elements.saturating_add(8))
    }

    fn write(mut writer: impl Writer, src: &Self) -> WriteResult<()> {
        let count = u64::try_from(src.0.len()).expect("a list in memory has at most 64 bits of elements");
        <u64 as SchemaWrite<C>>::write(writer.by_ref(), &count)?;
        src.0.iter().try_for_each(|item| T::write(writer.by_ref(), item))
    }
}

// SAFETY: `dst` is written exactly where `Ok` is returned; the metadata is the dynamic default.
unsafe impl<'de, T, const MAX: usize, C: wincode::config::Config> SchemaRead<'de, C> for Bounded<T, MAX>
where
    T: SchemaRead<'de, C, Dst = T>,
{
    type Dst = Self;

    fn read(mut reader: impl Reader<'de>, dst: &mut MaybeUninit<Self>) -> ReadResult<()> {
        let count = <u64 as SchemaRead<'de, C>>::get(reader.by_ref())?;
        let count = usize::try_from(count).ok().filter(|count| *count <= MAX);
        let count = count.ok_or(ReadError::InvalidValue("a list is longer than its type allows"))?;
        // Room is made as elements arrive: a length that lies costs its sender more bytes than it costs us memory.
        let mut items = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            items.push(T::get(reader.by_ref())?);
        }
        dst.write(Self(items));
        Ok(())
    }
}

// SAFETY: the size and the bytes are those of `[u8; 32]`, and the metadata is its own without the claim to zero copy.
unsafe impl<C: wincode::config::ConfigCore> SchemaWrite<C> for PublicKey {
    type Src = Self;

    const TYPE_META: TypeMeta = TypeMeta::Static { size: 32, zero_copy: false };

    fn size_of(_: &Self) -> WriteResult<usize> {
        Ok(32)
    }

    fn write(writer: impl Writer, src: &Self) -> WriteResult<()> {
        <[u8; 32] as SchemaWrite<C>>::write(writer, src.bytes())
    }
}

// SAFETY: `dst` is written exactly where `Ok` is returned; 32 bytes are read, as the metadata says.
unsafe impl<'de, C: wincode::config::ConfigCore> SchemaRead<'de, C> for PublicKey {
    type Dst = Self;

    const TYPE_META: TypeMeta = TypeMeta::Static { size: 32, zero_copy: false };

    fn read(reader: impl Reader<'de>, dst: &mut MaybeUninit<Self>) -> ReadResult<()> {
        let bytes = <[u8; 32] as SchemaRead<'de, C>>::get(reader)?;
        // KEY-2: a key is checked where it enters, so that no later code can forget it.
        let key = Self::new(bytes).map_err(|error| match error {
            KeyError::SmallOrder => ReadError::InvalidValue("a public key of small order"),
            KeyError::NotCanonical => ReadError::InvalidValue("a public key in a non-canonical encoding"),
        })?;
        dst.write(key);
        Ok(())
    }
}

// SAFETY: `dst` is written exactly where `Ok` is returned; two bytes are read, as the metadata says.
unsafe impl<'de, C: wincode::config::Config> SchemaRead<'de, C> for Bps {
    type Dst = Self;

    const TYPE_META: TypeMeta = TypeMeta::Static { size: 2, zero_copy: false };

    fn read(reader: impl Reader<'de>, dst: &mut MaybeUninit<Self>) -> ReadResult<()> {
        let points = <u16 as SchemaRead<'de, C>>::get(reader)?;
        // AMT-4: a share is checked where it enters, so that no later product can exceed its whole.
        let share = Self::new(points).ok_or(ReadError::InvalidValue("a share of more than one whole"))?;
        dst.write(share);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses<T: Decode + core::fmt::Debug>(bytes: &[u8], limit: usize, message: &str) {
        let error = decode::<T>(bytes, limit).expect_err("refused").to_string();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn one_byte_more_or_less_is_refused() {
        let bytes = encode(&7u64);
        assert_eq!(decode::<u64>(&bytes, 8), Ok(7));
        refuses::<u64>(&bytes[..7], 8, "malformed");
        refuses::<u64>(&[bytes.as_slice(), &[0]].concat(), 9, "Trailing bytes");
        refuses::<u64>(&bytes, 7, "8 bytes where at most 7 are allowed");
    }

    #[test]
    fn a_list_longer_than_its_type_is_refused_before_it_is_read() {
        type Three = Bounded<u8, 3>;
        let three = Three::new(vec![1, 2, 3]).expect("three");
        assert_eq!(decode::<Three>(&encode(&three), 64), Ok(three));
        assert_eq!(Three::new(vec![0; 4]), Err(TooMany { max: 3, found: 4 }));
        refuses::<Three>(&encode(&vec![0u8; 4]), 64, "longer than its type allows");
        refuses::<Three>(&u64::MAX.to_le_bytes(), 64, "longer than its type allows");
    }

    #[test]
    fn a_length_that_lies_allocates_nothing_to_speak_of() {
        type Many = Bounded<[u8; 64], 1_000_000>;
        refuses::<Many>(&1_000_000u64.to_le_bytes(), 64, "malformed");
    }

    #[test]
    fn options_and_variants_have_one_encoding() {
        assert_eq!(encode(&Some(1u8)), [1, 1]);
        refuses::<Option<u8>>(&[2, 1], 8, "malformed");
    }

    #[test]
    fn a_share_of_more_than_one_whole_is_refused() {
        assert_eq!(decode::<Bps>(&10_000u16.to_le_bytes(), 2), Ok(Bps::ONE));
        refuses::<Bps>(&10_001u16.to_le_bytes(), 2, "a share of more than one whole");
    }
}
