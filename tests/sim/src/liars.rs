//! Validators that do not follow the protocol, each by one named lie.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use commonware_cryptography::ed25519::PublicKey as Key;
use commonware_p2p::{Message, Receiver, Recipients, Sender};
use cpc_engine::{Chain, ExecuteError, Seat, Slot, Tip};
use cpc_light::{ConflictingVotes, Proposal, SignedVote, ValidatorSet, Vote};
use cpc_primitives::{Block, BlockId, Domain, Epoch, Fault, Gas, Height, SecretKey, TimeMs, View};

use crate::watch::{Violation, Watch};

/// How a validator lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Liar {
    /// Signs a second block for every view in which it sees a first.
    Equivocator,
    /// Runs twice with one key, on two disks.
    Twins,
    /// Says nothing.
    Silent,
    /// Proposes blocks whose gas is wrong.
    InvalidProposer,
    /// Proposes empty blocks.
    Censor,
    /// Proposes blocks with another state root.
    StateForger,
}

impl Liar {
    /// Every lie.
    pub const ALL: [Self; 6] =
        [Self::Equivocator, Self::Twins, Self::Silent, Self::InvalidProposer, Self::Censor, Self::StateForger];
}

/// A validator's chain as agreement sees it: with its own clock, its own lie, and somebody who watches.
pub(crate) struct Mask {
    pub(crate) chain: Arc<cpc::chain::Chain>,
    pub(crate) who: usize,
    pub(crate) skew_ms: i64,
    pub(crate) lie: Option<Liar>,
    pub(crate) watch: Arc<Watch>,
    /// Whether everything is counted after every block.
    pub(crate) audits: bool,
    /// Blocks are called committed one block too early, and this is the one that is not.
    pub(crate) hasty: Option<Mutex<Option<Block>>>,
}

impl Mask {
    fn inner(&self) -> &dyn Chain {
        &*self.chain
    }

    /// The block that was called committed and is not.
    fn promised(&self) -> Option<Block> {
        self.hasty.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Chain for Mask {
    fn tip(&self) -> Tip {
        let promised = self.promised().map(|block| Tip { height: block.header.height, id: block.id() });
        promised.unwrap_or_else(|| self.inner().tip())
    }

    fn seats(&self, epoch: Epoch) -> Result<Option<Vec<Seat>>, Fault> {
        self.inner().seats(epoch)
    }

    fn now(&self, reading: SystemTime) -> TimeMs {
        TimeMs(self.inner().now(reading).0.saturating_add_signed(self.skew_ms))
    }

    fn is_executed(&self, id: &BlockId) -> bool {
        self.inner().is_executed(id)
    }

    fn build(&self, slot: &Slot) -> Result<Block, ExecuteError> {
        let mut block = self.inner().build(slot)?;
        match self.lie {
            Some(Liar::InvalidProposer) => block.header.gas_used = Gas(block.header.gas_used.0.saturating_add(1)),
            Some(Liar::StateForger) => block.header.state_root = Domain::Header.hash_bytes(b"another state"),
            _ => {}
        }
        Ok(block)
    }

    fn execute(&self, block: &Block) -> Result<(), ExecuteError> {
        let done = self.inner().execute(block);
        if matches!(done, Err(ExecuteError::Invalid(_))) {
            self.watch.refused(block.header.proposer);
        }
        done
    }

    fn commit(&self, block: &Block, certificate: Option<&[u8]>) -> Result<(), Fault> {
        if let Some(hasty) = &self.hasty {
            let mut hasty = hasty.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(before) = hasty.replace(block.clone()) {
                self.inner().commit(&before, None)?;
            }
        } else {
            self.inner().commit(block, certificate)?;
        }
        self.watch.committed(self.who, block);
        // One counts the money and the store's rows after every block; all do at the end.
        if self.audits
            && let Err(what) = self.chain.audit()
        {
            self.watch.violate(Violation::Books { who: self.who, what });
        }
        Ok(())
    }

    fn block(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        self.inner().block(height)
    }

    fn height_of(&self, id: &BlockId) -> Result<Option<Height>, Fault> {
        self.inner().height_of(id)
    }

    fn id_at(&self, height: Height) -> Result<Option<BlockId>, Fault> {
        self.inner().id_at(height)
    }

    fn certificate(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        self.inner().certificate(height)
    }

    fn last_certified(&self) -> Result<Option<Height>, Fault> {
        self.inner().last_certified()
    }

    fn offended(&self, proof: &ConflictingVotes) {
        let seat = usize::try_from(proof.votes()[0].seat).unwrap_or(usize::MAX);
        let seats = self.inner().seats(proof.epoch()).ok().flatten().unwrap_or_default();
        if let Some(seat) = seats.get(seat) {
            self.watch.accused(self.who, seat.key);
        }
        self.inner().offended(proof);
    }
}

/// Signs, for every block that somebody calls valid, that block and another one, and tells everybody both.
pub(crate) async fn equivocate<S, R>(
    key: SecretKey,
    namespace: Vec<u8>,
    sets: impl Fn(Epoch) -> Option<ValidatorSet>,
    (mut sender, mut receiver): (S, R),
) where
    S: Sender<PublicKey = Key>,
    R: Receiver<PublicKey = Key>,
{
    let mut done: Option<(Epoch, View)> = None;
    while let Ok(message) = receiver.recv().await {
        let Some((epoch, proposal)) = notarized(&message) else { continue };
        if done.is_some_and(|done| (epoch, proposal.view) <= done) {
            continue;
        }
        let Some(set) = sets(epoch) else { continue };
        let Some(seat) = set.seat(&key.public()) else { continue };
        done = Some((epoch, proposal.view));
        let other = Proposal { payload: BlockId(Domain::Header.hash(&proposal.payload)), ..proposal };
        for proposal in [proposal, other] {
            let vote = Vote::Notarize(proposal);
            let signed = SignedVote { vote, seat, signature: vote.sign(&namespace, &key) };
            sender.send(Recipients::All, framed(epoch, &signed.encode()), true);
        }
    }
}

/// A vote as it comes over the epoch's channel.
pub(crate) fn vote_of(message: &Message<Key>) -> Option<(Epoch, SignedVote)> {
    let (_, bytes) = message;
    let bytes: Vec<u8> = bytes.as_ref().to_vec();
    let (epoch, rest) = read_varint(&bytes)?;
    Some((Epoch(epoch), SignedVote::decode(rest).ok()?))
}

/// The proposal of a vote that a block is valid.
fn notarized(message: &Message<Key>) -> Option<(Epoch, Proposal)> {
    let (epoch, signed) = vote_of(message)?;
    match signed.vote {
        Vote::Notarize(proposal) => Some((epoch, proposal)),
        _ => None,
    }
}

/// A message of an epoch's channel: the epoch comes before it.
fn framed(epoch: Epoch, vote: &[u8]) -> Vec<u8> {
    let (mut frame, mut rest) = (Vec::new(), epoch.0);
    while rest >= 0x80 {
        frame.push(u8::try_from(rest & 0x7f).expect("seven bits") | 0x80);
        rest >>= 7;
    }
    frame.push(u8::try_from(rest).expect("seven bits"));
    frame.extend_from_slice(vote);
    frame
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (place, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}
