//! The bytes of sync, and of gossiped transactions: bounded, exact, canonical.

use cpc_primitives::codec::{Bounded, CodecError, decode, encode};
use cpc_primitives::limits::{BLOCK_BYTES_MAX, TX_BYTES_MAX};
use cpc_primitives::tx::SignedTx;
use cpc_primitives::{Block, BlockId, Height};
use wincode::{SchemaRead, SchemaWrite};

/// Bytes of a question.
pub const QUESTION_BYTES_MAX: usize = 64;
/// Blocks of one answer.
pub const BLOCKS_MAX: usize = 256;
/// Bytes of a certificate in an answer: those of the light formats.
pub const CERTIFICATE_BYTES_MAX: usize = 17 << 10;
/// Bytes of an answer: one block of any size, its certificate, and the counts.
pub const ANSWER_BYTES_MAX: usize = BLOCK_BYTES_MAX + (64 << 10);
/// Bytes of blocks after which an answer ends where it can.
pub const ANSWER_BYTES_ENOUGH: usize = 2 << 20;
/// Bytes of one gossiped batch of transactions.
pub const BATCH_BYTES_MAX: usize = 256 << 10;
/// Transactions of one batch: the smallest has 136 bytes, so that the bytes end first.
pub const BATCH_TXS_MAX: usize = 2048;

const _: () = assert!(CERTIFICATE_BYTES_MAX == cpc_light::limits::CERTIFICATE_BYTES_MAX, "one limit, said twice");
const _: () = assert!(BLOCK_BYTES_MAX + CERTIFICATE_BYTES_MAX + 64 < ANSWER_BYTES_MAX, "any block fits an answer");
const _: () = assert!(TX_BYTES_MAX + 8 < BATCH_BYTES_MAX, "any transaction fits a batch");

/// What a follower asks (SYNC-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum Question {
    /// How far is your chain?
    Status,
    /// Which blocks are at these heights, and what makes the last of them final?
    Range {
        /// The first height.
        from: Height,
        /// The last height that is wanted.
        to: Height,
    },
    /// Which block has this id?
    Block {
        /// The id.
        id: BlockId,
    },
}

/// What a peer answers (SYNC-1).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum Answer {
    /// What was asked for is not here.
    Nothing,
    /// How far the chain is.
    Status(Status),
    /// Blocks in order.
    Range(Range),
    /// One block.
    Block(Block),
}

/// How far a chain is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Status {
    /// The height of the last final block.
    pub tip: Height,
    /// Its id.
    pub id: BlockId,
    /// The first height whose block is kept, beside block 0.
    pub lowest: Height,
}

/// Blocks in order, and the certificate of the last one.
///
/// The others are final because their ids lead to it: each names its parent.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Range {
    /// The blocks, at least one.
    pub blocks: Bounded<Block, BLOCKS_MAX>,
    /// The finalization of the last block, in the format of the light crate.
    pub certificate: Bounded<u8, CERTIFICATE_BYTES_MAX>,
}

impl Question {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a question.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, QUESTION_BYTES_MAX)
    }
}

impl Answer {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads an answer.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, ANSWER_BYTES_MAX)
    }

    /// The bytes of an answer of blocks that are encoded already: nobody decodes a block to send it.
    pub fn encode_range(blocks: &[Vec<u8>], certificate: &[u8]) -> Vec<u8> {
        // SYNC-1: a list is its count and its elements, one after the other.
        let count = |length: usize| u64::try_from(length).expect("a list in memory is short").to_le_bytes();
        let size = blocks.iter().map(Vec::len).sum::<usize>() + certificate.len() + 20;
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(&RANGE_VARIANT.to_le_bytes());
        bytes.extend_from_slice(&count(blocks.len()));
        blocks.iter().for_each(|block| bytes.extend_from_slice(block));
        bytes.extend_from_slice(&count(certificate.len()));
        bytes.extend_from_slice(certificate);
        bytes
    }

    /// The bytes of an answer of one block that is encoded already.
    pub fn encode_block(block: &[u8]) -> Vec<u8> {
        [&BLOCK_VARIANT.to_le_bytes(), block].concat()
    }
}

/// The places of two kinds of answers in their list.
const RANGE_VARIANT: u32 = 2;
const BLOCK_VARIANT: u32 = 3;

/// Transactions that are gossiped together (SYNC-8).
#[derive(Clone, PartialEq, Eq, Debug, Default, SchemaRead, SchemaWrite)]
pub struct TxBatch {
    /// The transactions.
    pub txs: Bounded<SignedTx, BATCH_TXS_MAX>,
}

impl TxBatch {
    /// Packs transactions in their order into as few batches as their sizes allow.
    pub fn pack(txs: Vec<SignedTx>) -> Vec<Self> {
        let mut batches = Vec::new();
        let (mut open, mut bytes) = (Vec::new(), COUNT_BYTES);
        let close = |txs: &mut Vec<SignedTx>| Self {
            txs: Bounded::new(core::mem::take(txs)).expect("a batch is closed before it is over its limit"),
        };
        for tx in txs {
            let size = tx.encode().len();
            // A transaction over its own limit is in no block either; it is left out.
            if size > TX_BYTES_MAX {
                continue;
            }
            if bytes + size > BATCH_BYTES_MAX || open.len() == BATCH_TXS_MAX {
                batches.push(close(&mut open));
                bytes = COUNT_BYTES;
            }
            bytes += size;
            open.push(tx);
        }
        if !open.is_empty() {
            batches.push(close(&mut open));
        }
        batches
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a batch.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, BATCH_BYTES_MAX)
    }
}

/// Bytes of a list's count.
const COUNT_BYTES: usize = 8;
