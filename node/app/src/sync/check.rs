//! Whether blocks that a peer sent are final: their ids lead to a certificate of the epoch's set.

use cpc_light::{CertError, Finalization, FinalizedHeader, ValidatorSet, certify};
use cpc_primitives::block::tx_root;
use cpc_primitives::{Block, BlockId, Digest, Epoch, Height, Mismatch, same};

/// Why blocks do not follow from each other. Their sender is to blame: it had only to copy them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum ChainError {
    #[error("an answer without a block")]
    Empty,
    #[error("the height of a block: {0}")]
    Height(Mismatch<Height>),
    #[error("{count} blocks from {from} on, up to {to} were asked for")]
    Beyond { from: Height, to: Height, count: usize },
    #[error("the parent of block {height}: {mismatch}")]
    Parent { height: Height, mismatch: Mismatch<BlockId> },
    #[error("the epoch of block {height}: {mismatch}")]
    Epoch { height: Height, mismatch: Mismatch<Epoch> },
    #[error("the transactions of block {height}: {mismatch}")]
    TxRoot { height: Height, mismatch: Mismatch<Digest> },
    #[error("the certificate: {0}")]
    Certificate(#[from] CertError),
}

/// Demands that blocks are the asked ones in order, and hang together; the certificate is only read (SYNC-3).
pub fn chain(blocks: &[Block], certificate: &[u8], from: Height, to: Height) -> Result<(), ChainError> {
    let first = blocks.first().ok_or(ChainError::Empty)?;
    let mut expected = Some(from);
    let mut parent: Option<BlockId> = None;
    for block in blocks {
        let height = expected.filter(|height| *height <= to);
        let height = height.ok_or(ChainError::Beyond { from, to, count: blocks.len() })?;
        let header = &block.header;
        same(height, header.height).map_err(ChainError::Height)?;
        same(first.header.epoch, header.epoch).map_err(|mismatch| ChainError::Epoch { height, mismatch })?;
        if let Some(parent) = parent {
            same(parent, header.parent).map_err(|mismatch| ChainError::Parent { height, mismatch })?;
        }
        // The id covers the root: with it a block cannot carry the transactions of another.
        let root = tx_root(block.txs.iter().map(|tx| tx.hash()));
        same(header.tx_root, root).map_err(|mismatch| ChainError::TxRoot { height, mismatch })?;
        parent = Some(block.id());
        expected = height.next();
    }
    let certificate = Finalization::decode(certificate)?;
    let last = parent.expect("there is a first block");
    same(last, certificate.proposal.payload).map_err(CertError::Payload)?;
    same(first.header.epoch, certificate.proposal.epoch).map_err(CertError::Epoch)?;
    Ok(())
}

/// Demands the signatures of a quorum under the last of the blocks (SYNC-4).
pub fn finality(
    blocks: &[Block],
    certificate: &[u8],
    set: &ValidatorSet,
    namespace: &[u8],
) -> Result<FinalizedHeader, ChainError> {
    let last = blocks.last().ok_or(ChainError::Empty)?;
    let certificate = Finalization::decode(certificate)?;
    Ok(certify(last.header.clone(), &certificate, set, namespace)?)
}
