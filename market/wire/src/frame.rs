//! The bytes of a message: its version, its chain, then what it says (WIRE-1).

use cpc_primitives::codec::{CodecError, decode, encode};
use cpc_primitives::{ChainId, Mismatch, same};
use wincode::{SchemaRead, SchemaWrite};

use crate::limits::{MESSAGE_BYTES_MAX, REPLY_BYTES_MAX, VERSION};
use crate::message::{Message, Reply};

/// A message as it travels.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Frame {
    /// The version of the messages.
    pub version: u16,
    /// The network on which it means something.
    pub chain: ChainId,
    /// What is said.
    pub message: Message,
}

/// Why bytes are no message for this node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The other side speaks another version.
    #[error("messages of another version: {0}")]
    Version(Mismatch<u16>),
    /// It is on another network.
    #[error("messages of another chain: {0}")]
    Chain(Mismatch<ChainId>),
    /// The bytes are no message at all.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl Frame {
    /// The bytes of a message.
    pub fn encode(chain: ChainId, message: Message) -> Vec<u8> {
        encode(&Self { version: VERSION, chain, message })
    }

    /// Reads a message of this version and this chain.
    pub fn decode(bytes: &[u8], chain: ChainId) -> Result<Message, WireError> {
        // The version stands first, so that a later one is named rather than called malformed.
        if let Some(version) = bytes.first_chunk() {
            same(VERSION, u16::from_le_bytes(*version)).map_err(WireError::Version)?;
        }
        let frame: Self = decode(bytes, MESSAGE_BYTES_MAX)?;
        same(chain, frame.chain).map_err(WireError::Chain)?;
        Ok(frame.message)
    }
}

impl Reply {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a reply.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, REPLY_BYTES_MAX)
    }
}
