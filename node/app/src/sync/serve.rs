//! Answers questions about blocks from a chain, within limits that are ours.

use cpc_primitives::{BlockId, CodecError, Fault, Height};

use super::wire::{ANSWER_BYTES_ENOUGH, ANSWER_BYTES_MAX, Answer, BLOCKS_MAX, CERTIFICATE_BYTES_MAX, Question, Status};
use crate::chain::Chain;

/// The blocks of a chain, as its disk has them.
pub trait Blocks {
    /// How far the chain is.
    fn status(&self) -> Result<Status, Fault>;

    /// The bytes of a block.
    fn block_bytes(&self, height: Height) -> Result<Option<Vec<u8>>, Fault>;

    /// The certificate of a block, where this node has one for exactly that block.
    fn certificate(&self, height: Height) -> Result<Option<Vec<u8>>, Fault>;

    /// The height of a block.
    fn height_of(&self, id: &BlockId) -> Result<Option<Height>, Fault>;
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It is none. Whoever asked is banned: an honest node writes questions only.
    #[error("not a question: {0}")]
    Question(#[from] CodecError),
    /// This node cannot tell.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The bytes of the answer to the bytes of a question (SYNC-2).
pub fn answer(chain: &impl Blocks, question: &[u8]) -> Result<Vec<u8>, ServeError> {
    Ok(match Question::decode(question)? {
        Question::Status => Answer::Status(chain.status()?).encode(),
        Question::Range { from, to } => range(chain, from, to)?,
        Question::Block { id } => match chain.height_of(&id)? {
            Some(height) => chain.block_bytes(height)?.map_or_else(nothing, |block| Answer::encode_block(&block)),
            None => nothing(),
        },
    })
}

fn nothing() -> Vec<u8> {
    Answer::Nothing.encode()
}

/// The blocks from a height on, up to one that has a certificate.
fn range(chain: &impl Blocks, from: Height, to: Height) -> Result<Vec<u8>, Fault> {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let mut bytes = 0;
    let mut certified: Option<(usize, Vec<u8>)> = None;
    let mut next = Some(from).filter(|from| *from > Height(0) && *from <= to);
    while let Some(height) = next {
        // SYNC-2: enough is enough where the blocks so far are certified; what is not yet goes on to the hard limits.
        if blocks.len() == BLOCKS_MAX || (certified.is_some() && bytes >= ANSWER_BYTES_ENOUGH) {
            break;
        }
        let Some(block) = chain.block_bytes(height)? else { break };
        bytes += block.len();
        if bytes + CERTIFICATE_BYTES_MAX + 64 > ANSWER_BYTES_MAX {
            break;
        }
        blocks.push(block);
        if let Some(certificate) = chain.certificate(height)?.filter(|certificate| !certificate.is_empty()) {
            certified = Some((blocks.len(), certificate));
        }
        next = height.next().filter(|height| *height <= to);
    }
    // The last certificate counts, so that few signatures are checked.
    Ok(match certified {
        Some((count, certificate)) => Answer::encode_range(&blocks[..count], &certificate),
        None => nothing(),
    })
}

impl Blocks for Chain {
    fn status(&self) -> Result<Status, Fault> {
        let tip = self.tip();
        Ok(Status { tip: tip.height(), id: tip.id, lowest: self.lowest()? })
    }

    fn block_bytes(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        cpc_engine::Chain::block(self, height)
    }

    fn certificate(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        cpc_engine::Chain::certificate(self, height)
    }

    fn height_of(&self, id: &BlockId) -> Result<Option<Height>, Fault> {
        Self::height_of(self, id)
    }
}
