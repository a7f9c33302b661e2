//! Our block in the shape that the BFT library handles: its bytes, its id, and the context that the id covers.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use commonware_codec::varint::UInt;
use commonware_codec::{Buf, EncodeSize, Error as CodecError, Read, ReadExt as _, Write};
use commonware_consensus::simplex::types::Context;
use commonware_consensus::types::{Epoch, Height, Round, View};
use commonware_consensus::{Block as LibraryBlock, BoundedBlock, CertifiableBlock, Heightable};
use commonware_cryptography::{Digested, Digestible};
use cpc_primitives::block::tx_root;
use cpc_primitives::{Block, BlockId};

use crate::seats::{Key, digest_of, key_of};

/// The library's digest of a block: the bytes of its id.
pub(crate) type Digest = commonware_cryptography::blake3::Digest;
/// What the library says of an attempt: the context of a block.
pub(crate) type SlotContext = Context<Digest, Key>;

/// A block whose bytes were read whole and whose header commits to its transactions (ENG-1).
///
/// What is in it is not checked by any rule yet.
#[derive(Clone)]
pub struct AgreedBlock {
    block: Arc<Block>,
    bytes: Bytes,
    id: Digest,
    proposer: Key,
}

/// Why a block cannot be handed to the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// The proposer's key is none of the library's.
    #[error("the proposer's key is not a key")]
    Proposer,
    /// The transactions are not those that the header commits to.
    #[error("the transactions are not those of the header")]
    TxRoot,
    /// The bytes are no block.
    #[error("the bytes are not a block")]
    Bytes,
}

impl AgreedBlock {
    /// Takes a block of this node's own.
    pub(crate) fn new(block: Block) -> Result<Self, Unfit> {
        let bytes = Bytes::from(block.encode());
        Self::with_bytes(block, bytes)
    }

    /// Reads a block that came from elsewhere.
    pub(crate) fn decode(bytes: Bytes) -> Result<Self, Unfit> {
        let block = Block::decode(&bytes).map_err(|_| Unfit::Bytes)?;
        Self::with_bytes(block, bytes)
    }

    fn with_bytes(block: Block, bytes: Bytes) -> Result<Self, Unfit> {
        // ENG-1: the id is the header's; a body of somebody else's under a good header must not take its place.
        if tx_root(block.txs.iter().map(cpc_primitives::tx::SignedTx::hash)) != block.header.tx_root {
            return Err(Unfit::TxRoot);
        }
        let proposer = key_of(&block.header.proposer).ok_or(Unfit::Proposer)?;
        let id = digest_of(&block.id());
        Ok(Self { block: Arc::new(block), bytes, id, proposer })
    }

    /// The block.
    pub fn block(&self) -> &Arc<Block> {
        &self.block
    }

    /// The block's canonical bytes.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The block and the digest by which the library knows it.
    pub(crate) fn digested(self) -> Digested<Self> {
        let id = self.id;
        Digested::precomputed(self, id)
    }
}

/// The id that a digest of the library's is.
pub(crate) fn id_of(digest: &Digest) -> BlockId {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    BlockId(cpc_primitives::Digest(bytes))
}

impl fmt::Debug for AgreedBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgreedBlock({}, {})", self.block.header.height, self.id)
    }
}

impl PartialEq for AgreedBlock {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for AgreedBlock {}

impl Write for AgreedBlock {
    fn write(&self, buf: &mut impl BufMut) {
        UInt(length_of(&self.bytes)).write(buf);
        buf.put_slice(&self.bytes);
    }
}

impl EncodeSize for AgreedBlock {
    fn encode_size(&self) -> usize {
        UInt(length_of(&self.bytes)).encode_size() + self.bytes.len()
    }
}

impl Read for AgreedBlock {
    /// The most bytes of a block on this network.
    type Cfg = u32;

    fn read_cfg(buf: &mut impl Buf, bytes_max: &u32) -> Result<Self, CodecError> {
        let length: u32 = UInt::read(buf)?.into();
        if length > *bytes_max {
            return Err(CodecError::InvalidLength(usize_of(length)));
        }
        let length = usize_of(length);
        if buf.remaining() < length {
            return Err(CodecError::EndOfBuffer);
        }
        Self::decode(buf.copy_to_bytes(length)).map_err(|_| CodecError::Invalid("AgreedBlock", "not a block"))
    }
}

impl Digestible for AgreedBlock {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        self.id
    }
}

impl Heightable for AgreedBlock {
    fn height(&self) -> Height {
        Height::new(self.block.header.height.0)
    }
}

impl LibraryBlock for AgreedBlock {
    fn parent(&self) -> Digest {
        self.context().parent.1
    }
}

impl CertifiableBlock for AgreedBlock {
    type Context = SlotContext;

    fn context(&self) -> SlotContext {
        let header = &self.block.header;
        Context {
            round: Round::new(Epoch::new(header.epoch.0), View::new(header.view.0)),
            leader: self.proposer.clone(),
            parent: (View::new(header.parent_view.0), digest_of(&header.parent)),
        }
    }
}

impl BoundedBlock for AgreedBlock {
    fn max_encode_size(bytes_max: &u32) -> usize {
        usize_of(*bytes_max) + UInt(*bytes_max).encode_size()
    }
}

fn length_of(bytes: &Bytes) -> u32 {
    u32::try_from(bytes.len()).expect("a block is shorter than four gigabytes")
}

fn usize_of(length: u32) -> usize {
    usize::try_from(length).expect("an index has at least 32 bits")
}
