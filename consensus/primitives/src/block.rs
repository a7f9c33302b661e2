//! Blocks and their headers.

use wincode::{SchemaRead, SchemaWrite};

use crate::codec::{Bounded, CodecError, decode, encode};
use crate::hash::{Digest, Domain};
use crate::ids::{BlockId, ChainId, Epoch, Gas, Height, TimeMs, TxHash, View};
use crate::keys::PublicKey;
use crate::limits::{BLOCK_BYTES_MAX, HEADER_BYTES_MAX, TXS_PER_BLOCK_MAX};
use crate::merkle;
use crate::tx::SignedTx;

/// Everything a block commits to (HDR-1).
///
/// Epoch, view, proposer, parent view and parent are exactly the context of the BFT library, which the id must cover.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Header {
    /// The version of the rules.
    pub version: u32,
    /// Which network.
    pub chain: ChainId,
    /// How many blocks came before.
    pub height: Height,
    /// Whose seats decide.
    pub epoch: Epoch,
    /// In which attempt it was proposed.
    pub view: View,
    /// In which attempt the parent was proposed.
    pub parent_view: View,
    /// The block before this one.
    pub parent: BlockId,
    /// When it was proposed.
    pub time: TimeMs,
    /// Who proposed it: a consensus key.
    pub proposer: PublicKey,
    /// The element of the proposer's hash chain that this view opens, or zero bytes.
    pub beacon: Digest,
    /// The root over the transactions' whole signed bytes.
    pub tx_root: Digest,
    /// The root of the state after this block.
    pub state_root: Digest,
    /// The roots of results and settlements with their counts, hashed.
    pub compute_root: Digest,
    /// What the transactions used.
    pub gas_used: Gas,
    /// In the last block of epoch E the hash of the set of E + 2, else zero bytes.
    pub next_validators: Digest,
}

/// A header and what it commits to.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Block {
    /// What the block commits to.
    pub header: Header,
    /// The transactions in their order.
    pub txs: Bounded<SignedTx, TXS_PER_BLOCK_MAX>,
}

impl Header {
    /// The id of the block (HDR-2).
    pub fn id(&self) -> BlockId {
        BlockId(Domain::Header.hash(self))
    }

    /// Reads a header.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, HEADER_BYTES_MAX)
    }
}

impl Block {
    /// The id of the block.
    pub fn id(&self) -> BlockId {
        self.header.id()
    }

    /// Reads a block of at most [`BLOCK_BYTES_MAX`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, BLOCK_BYTES_MAX)
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

/// The root over transactions, by the hashes of their whole signed bytes (HDR-3).
pub fn tx_root(hashes: impl Iterator<Item = TxHash>) -> Digest {
    let leaves: Vec<Digest> = hashes.map(|hash| tx_leaf(&hash)).collect();
    merkle::root(&leaves)
}

/// The leaf of a transaction under a header's tx root.
pub fn tx_leaf(hash: &TxHash) -> Digest {
    Domain::TxLeaf.hash_bytes(&hash.0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::Amount;
    use crate::ids::Nonce;
    use crate::keys::SecretKey;
    use crate::tx::{Action, TxBody, Unjail};

    #[test]
    fn the_fullest_block_of_the_smallest_transactions_is_read_and_written_again() {
        let key = SecretKey::from_seed(&[1; 32]);
        let body = TxBody {
            chain: ChainId(1),
            nonce: Nonce(0),
            gas_price: Amount::ZERO,
            gas_limit: Gas(0),
            action: Action::Unjail(Unjail {}),
        };
        let tx = body.sign(&key);
        let header = Header {
            version: 1,
            chain: ChainId(1),
            height: Height(1),
            epoch: Epoch(0),
            view: View(1),
            parent_view: View(0),
            parent: BlockId::default(),
            time: TimeMs(1),
            proposer: key.public(),
            beacon: Digest::ZERO,
            tx_root: Digest::ZERO,
            state_root: Digest::ZERO,
            compute_root: Digest::ZERO,
            gas_used: Gas(0),
            next_validators: Digest::ZERO,
        };
        let room = BLOCK_BYTES_MAX - encode(&header).len() - 8;
        let txs = Bounded::new(vec![tx.clone(); room / tx.encode().len()]).expect("bytes end before the count");
        let bytes = Block { header, txs }.encode();
        assert!(bytes.len() + tx.encode().len() > BLOCK_BYTES_MAX);
        assert_eq!(Block::decode(&bytes).expect("within the limit").encode(), bytes);
    }
}
