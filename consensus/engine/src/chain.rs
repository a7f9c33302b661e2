//! The port to the node: what the chain of blocks is asked for by whoever agrees on them.

use std::net::SocketAddr;
use std::time::SystemTime;

use cpc_light::ConflictingVotes;
use cpc_primitives::{Block, BlockId, Epoch, Fault, Height, PublicKey, TimeMs, View};

/// The last final block of this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tip {
    /// How high it is.
    pub height: Height,
    /// Which block it is.
    pub id: BlockId,
}

/// One place in an epoch's set, and where its holder is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seat {
    /// The consensus key that votes.
    pub key: PublicKey,
    /// Where it listens for the other seats; a seat without an address has to dial.
    pub addresses: Vec<SocketAddr>,
}

/// The attempt for which a block is to be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// Whose seats decide.
    pub epoch: Epoch,
    /// Which attempt it is.
    pub view: View,
    /// The attempt of the parent, 0 where it was of an earlier epoch.
    pub parent_view: View,
    /// The block to build on.
    pub parent: BlockId,
    /// This node's key.
    pub proposer: PublicKey,
    /// When.
    pub time: TimeMs,
}

/// Why a block was not executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// It breaks a rule, on every honest node and for ever.
    #[error("{0}")]
    Invalid(String),
    /// The state after its parent is not here: the parent was not executed, or it is below the last final block.
    #[error("the parent {0} was not executed")]
    Orphan(BlockId),
    /// This node cannot tell. It must not vote.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The chain that a node keeps, over its rules and its store. Calls may take as long as a block's execution.
pub trait Chain: Send + Sync + 'static {
    /// The last final block that is on the disk.
    fn tip(&self) -> Tip;

    /// The seats of an epoch in the order of their keys, or nothing where the state does not have them.
    fn seats(&self, epoch: Epoch) -> Result<Option<Vec<Seat>>, Fault>;

    /// What this node's clock says, for rules about time.
    fn now(&self, reading: SystemTime) -> TimeMs {
        let since = reading.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Whether a block can be built on or executed over: it is the last final one, or executed over it.
    fn is_executed(&self, id: &BlockId) -> bool;

    /// Builds a block for an attempt, and keeps the state after it.
    fn build(&self, slot: &Slot) -> Result<Block, ExecuteError>;

    /// Executes a block and demands that its header says what was found; keeps the state after it. The same block
    /// again is no error.
    fn execute(&self, block: &Block) -> Result<(), ExecuteError>;

    /// Makes a block final, in one synced write, with the certificate of cpc-light's form where there is one for
    /// exactly this block. The same block again is no error.
    fn commit(&self, block: &Block, certificate: Option<&[u8]>) -> Result<(), Fault>;

    /// A final block's bytes, where they are kept.
    fn block(&self, height: Height) -> Result<Option<Vec<u8>>, Fault>;

    /// The height of a final block.
    fn height_of(&self, id: &BlockId) -> Result<Option<Height>, Fault>;

    /// The id of a final block.
    fn id_at(&self, height: Height) -> Result<Option<BlockId>, Fault>;

    /// The certificate of exactly this final block, where one is kept.
    fn certificate(&self, height: Height) -> Result<Option<Vec<u8>>, Fault>;

    /// The height of the highest certificate that is kept.
    fn last_certified(&self) -> Result<Option<Height>, Fault>;

    /// Told of an offence as soon as its proof is on the disk; perhaps more than once.
    fn offended(&self, proof: &ConflictingVotes);
}
