//! Inputs and outputs by hash, chunk by chunk.

use cpc_primitives::codec::{Bounded, CodecError, decode, encode};
use cpc_primitives::{Digest, Domain, Mismatch, same};
use wincode::{SchemaRead, SchemaWrite};

use crate::limits::{BLOB_ANSWER_BYTES_MAX, BLOB_ASK_BYTES_MAX, BLOB_BYTES_MAX, CHUNK_BYTES_MAX};

/// Bytes by their hash: what a task reads and what a job gave have different tags (WIRE-10).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, SchemaRead, SchemaWrite)]
pub enum BlobName {
    /// What a task reads.
    Input(Digest),
    /// What a job gave.
    Output(Digest),
}

impl BlobName {
    /// Whether these are the bytes of this name.
    pub fn names(&self, bytes: &[u8]) -> Result<(), Mismatch<Digest>> {
        match self {
            Self::Input(hash) => same(*hash, Domain::Blob.hash_bytes(bytes)),
            Self::Output(hash) => same(*hash, Domain::JobOutput.hash_bytes(bytes)),
        }
    }
}

/// A question for a part of a blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct BlobAsk {
    /// Which bytes.
    pub name: BlobName,
    /// From which place on.
    pub offset: u64,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum BlobAnswer {
    /// They are not here.
    Absent,
    /// The bytes from the place on, as many as a chunk has.
    Chunk(Bounded<u8, CHUNK_BYTES_MAX>),
}

impl BlobAsk {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a question.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, BLOB_ASK_BYTES_MAX)
    }
}

impl BlobAnswer {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads an answer.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, BLOB_ANSWER_BYTES_MAX)
    }
}

/// The answer of somebody who holds these bytes.
pub fn chunk_of(blob: &[u8], offset: u64) -> BlobAnswer {
    let rest = usize::try_from(offset).ok().and_then(|offset| blob.get(offset..));
    let Some(rest) = rest else { return BlobAnswer::Absent };
    let chunk = rest.get(..CHUNK_BYTES_MAX).unwrap_or(rest);
    BlobAnswer::Chunk(Bounded::new(chunk.to_vec()).expect("a chunk was cut to its limit"))
}

/// Why a blob does not come together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// The other side has it no more, or never had.
    #[error("the other side does not have it")]
    Absent,
    /// A chunk is shorter or longer than what is due at its place.
    #[error("the length of a chunk: {0}")]
    Chunk(Mismatch<usize>),
    /// The bytes are others.
    #[error("the hash: {0}")]
    Hash(Mismatch<Digest>),
    /// Longer than any blob, or than the receiver takes.
    #[error("{found} bytes where at most {max} are taken")]
    TooLong {
        /// What the receiver takes.
        max: u64,
        /// What was announced.
        found: u64,
    },
}

/// A blob that comes in chunks; room is made as they come (WIRE-11).
#[derive(Debug)]
pub struct Assembly {
    name: BlobName,
    expected: usize,
    bytes: Vec<u8>,
}

impl Assembly {
    /// Begins a blob of so many bytes, where the receiver takes so many.
    pub fn new(name: BlobName, bytes: u64, max: u64) -> Result<Self, AssemblyError> {
        let max = max.min(BLOB_BYTES_MAX);
        let fits = usize::try_from(bytes).ok().filter(|_| bytes <= max);
        let expected = fits.ok_or(AssemblyError::TooLong { max, found: bytes })?;
        Ok(Self { name, expected, bytes: Vec::new() })
    }

    /// What to ask next; the first question is there for an empty blob too.
    pub fn ask(&self) -> BlobAsk {
        let offset = u64::try_from(self.bytes.len()).expect("a blob has at most 64 bits of bytes");
        BlobAsk { name: self.name, offset }
    }

    /// Adds an answer; the last one gives the bytes, whose hash was checked.
    pub fn add(&mut self, answer: BlobAnswer) -> Result<Option<Vec<u8>>, AssemblyError> {
        let BlobAnswer::Chunk(chunk) = answer else { return Err(AssemblyError::Absent) };
        let due = self.expected.saturating_sub(self.bytes.len()).min(CHUNK_BYTES_MAX);
        same(due, chunk.len()).map_err(AssemblyError::Chunk)?;
        self.bytes.extend_from_slice(&chunk);
        if self.bytes.len() < self.expected {
            return Ok(None);
        }
        self.name.names(&self.bytes).map_err(AssemblyError::Hash)?;
        Ok(Some(core::mem::take(&mut self.bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8]) -> BlobName {
        BlobName::Output(Domain::JobOutput.hash_bytes(bytes))
    }

    #[test]
    fn a_blob_comes_together_from_its_chunks() {
        for length in [0, 1, CHUNK_BYTES_MAX - 1, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1, 3 * CHUNK_BYTES_MAX] {
            let blob: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut assembly = Assembly::new(name(&blob), u64::try_from(length).unwrap(), BLOB_BYTES_MAX).unwrap();
            let whole = loop {
                let answer = chunk_of(&blob, assembly.ask().offset);
                assert!(answer.encode().len() <= BLOB_ANSWER_BYTES_MAX);
                if let Some(whole) = assembly.add(answer).unwrap() {
                    break whole;
                }
            };
            assert_eq!(whole, blob);
        }
    }

    #[test]
    fn what_is_not_the_blob_is_refused_by_name() {
        let blob = [7; 100];
        let begin = || Assembly::new(name(&blob), 100, 100).unwrap();
        let chunk = |bytes: Vec<u8>| BlobAnswer::Chunk(Bounded::new(bytes).unwrap());
        assert_eq!(begin().add(BlobAnswer::Absent), Err(AssemblyError::Absent));
        let shorter = Mismatch { expected: 100, found: 99 };
        assert_eq!(begin().add(chunk(vec![7; 99])), Err(AssemblyError::Chunk(shorter)));
        let longer = Mismatch { expected: 100, found: 101 };
        assert_eq!(begin().add(chunk(vec![7; 101])), Err(AssemblyError::Chunk(longer)));
        assert!(matches!(begin().add(chunk(vec![8; 100])), Err(AssemblyError::Hash(_))));
        assert_eq!(chunk_of(&blob, 101), BlobAnswer::Absent);
        let found = Assembly::new(name(&blob), 101, 100).err();
        assert_eq!(found, Some(AssemblyError::TooLong { max: 100, found: 101 }));
        let found = Assembly::new(name(&blob), BLOB_BYTES_MAX + 1, u64::MAX).err();
        assert_eq!(found, Some(AssemblyError::TooLong { max: BLOB_BYTES_MAX, found: BLOB_BYTES_MAX + 1 }));
    }
}
