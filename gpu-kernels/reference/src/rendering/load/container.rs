//! Splits a binary glTF file into its JSON and its bytes, and bounds the JSON before a parser sees it.

use super::reject::SceneReject;
use crate::rendering::limits;

/// The two chunks of a file.
pub(super) struct Container<'a> {
    pub(super) json: &'a [u8],
    pub(super) bytes: &'a [u8],
}

const JSON: u32 = u32::from_le_bytes(*b"JSON");
const BINARY: u32 = u32::from_le_bytes(*b"BIN\0");

impl<'a> Container<'a> {
    // REN-1: a scene is one binary glTF 2.0 file with a JSON chunk and at most one chunk of bytes.
    pub(super) fn split(file: &'a [u8]) -> Result<Self, SceneReject> {
        let length = to_u64(file.len());
        bounded("bytes", length, limits::SCENE_BYTES_MAX)?;
        let rest = file.strip_prefix(b"glTF").ok_or(SceneReject::Container("it does not begin with glTF"))?;
        let (version, rest) = word(rest)?;
        if version != 2 {
            return Err(SceneReject::Container("its version is not 2"));
        }
        let (declared, rest) = word(rest)?;
        if u64::from(declared) != length {
            return Err(SceneReject::Container("its length is not the length it declares"));
        }
        let (json, rest) = chunk(rest, JSON)?;
        let bytes = if rest.is_empty() { rest } else { chunk(rest, BINARY)?.0 };
        within_the_parsers_reach(json)?;
        Ok(Self { json, bytes })
    }
}

fn word(bytes: &[u8]) -> Result<(u32, &[u8]), SceneReject> {
    let (word, rest) = bytes.split_first_chunk().ok_or(SceneReject::Container("it ends within a header"))?;
    Ok((u32::from_le_bytes(*word), rest))
}

fn chunk(bytes: &[u8], wanted: u32) -> Result<(&[u8], &[u8]), SceneReject> {
    let (length, rest) = word(bytes)?;
    let (kind, rest) = word(rest)?;
    if kind != wanted {
        return Err(SceneReject::Container("its chunks are not JSON and then bytes"));
    }
    let length = usize::try_from(length).map_err(|_| SceneReject::Container("a chunk is longer than memory"))?;
    rest.split_at_checked(length).ok_or(SceneReject::Container("a chunk is longer than the file"))
}

/// Counts what a parser would allocate for, in one pass and without memory of its own.
///
/// Brackets and commas within strings are counted too: that can only refuse a file whose names are made of them.
fn within_the_parsers_reach(json: &[u8]) -> Result<(), SceneReject> {
    bounded("bytes of JSON", to_u64(json.len()), limits::JSON_BYTES_MAX)?;
    let objects = json.iter().filter(|byte| **byte == b'{').count();
    bounded("JSON objects", to_u64(objects), limits::JSON_OBJECTS_MAX)?;
    let values = json.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    bounded("JSON values", to_u64(values), limits::JSON_VALUES_MAX)
}

/// Refuses a count above its bound.
pub(super) fn bounded(what: &'static str, found: u64, max: u64) -> Result<(), SceneReject> {
    if found <= max { Ok(()) } else { Err(SceneReject::TooMany { what, found, max }) }
}

/// A length of memory as it is compared with bounds.
pub(super) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).expect("no machine addresses more than 2^64 bytes")
}
