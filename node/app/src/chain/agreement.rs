//! What the chain does for agreement: it builds blocks, executes those of others, and commits what is final.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use cpc_engine::{ExecuteError, Seat, Slot, Tip};
use cpc_ledger::{
    BlockError, Context, Executed, Receipt, Reject, Session, StateRead, TxError, VerifiedTx, beacon_due, opened,
};
use cpc_light::ConflictingVotes;
use cpc_primitives::codec::encode;
use cpc_primitives::hash_chain::HashChain;
use cpc_primitives::state::StateKey;
use cpc_primitives::{Block, BlockId, Bounded, Epoch, Fault, Header, Height, PublicKey};
use cpc_store::{Base, Overlay, StoreError};

use super::{Chain, Receipts};

/// Blocks that were executed and are not final, of all forks together.
const CANDIDATES_MAX: usize = 128;

/// A block over whose state others can be built.
struct Candidate {
    block: Arc<Block>,
    overlay: Arc<Overlay>,
    receipts: Vec<u8>,
}

/// The executed blocks that are not final.
#[derive(Default)]
pub(super) struct Candidates {
    by_id: BTreeMap<BlockId, Candidate>,
}

/// The state on which a block is executed: that of the last final block, or of one that waits.
enum Ground {
    Final(Base),
    Waiting(Arc<Overlay>),
}

impl StateRead for Ground {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, Fault> {
        match self {
            Self::Final(base) => base.read(key),
            Self::Waiting(overlay) => overlay.read(key),
        }
    }

    fn read_many(&self, keys: &[StateKey]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        match self {
            Self::Final(base) => base.read_many(keys),
            Self::Waiting(overlay) => overlay.read_many(keys),
        }
    }
}

impl Ground {
    fn overlay(&self) -> Option<&Arc<Overlay>> {
        match self {
            Self::Final(_) => None,
            Self::Waiting(overlay) => Some(overlay),
        }
    }

    /// Whether a block that became final has excluded this state meanwhile.
    fn is_stale(&self) -> bool {
        match self {
            Self::Final(base) => base.is_stale(),
            Self::Waiting(overlay) => overlay.is_stale(),
        }
    }
}

impl Candidates {
    fn insert(&mut self, candidate: Candidate) {
        // The lowest views go first: whoever needs one of them again executes it again.
        while self.by_id.len() >= CANDIDATES_MAX {
            let order = |candidate: &Candidate| (candidate.block.header.height, candidate.block.header.view);
            let Some(oldest) = self.by_id.iter().min_by_key(|(_, candidate)| order(candidate)).map(|(id, _)| *id)
            else {
                break;
            };
            self.by_id.remove(&oldest);
        }
        self.by_id.insert(candidate.block.id(), candidate);
    }

    /// Keeps what is built on the last final block, and returns what is not.
    fn settle(&mut self, tip: BlockId) -> Vec<Candidate> {
        let mut alive = BTreeSet::from([tip]);
        let mut by_height: Vec<(Height, BlockId, BlockId)> = self
            .by_id
            .iter()
            .map(|(id, candidate)| (candidate.block.header.height, *id, candidate.block.header.parent))
            .collect();
        by_height.sort_unstable();
        for (_, id, parent) in &by_height {
            if alive.contains(parent) {
                alive.insert(*id);
            }
        }
        let gone: Vec<BlockId> = self.by_id.keys().filter(|id| !alive.contains(id)).copied().collect();
        gone.iter().filter_map(|id| self.by_id.remove(id)).collect()
    }
}

impl Chain {
    /// Takes the hash chain with which a seat feeds the beacon; whether it is the one that the seat of this key has
    /// registered, where it has a seat by now.
    pub fn feed_beacon(&self, key: &PublicKey, beacon: HashChain) -> Result<bool, Fault> {
        let base = self.store.base();
        let epoch = self.params().epoch_of(self.tip().height());
        let mut registered = true;
        for epoch in [Some(epoch), epoch.next()].into_iter().flatten() {
            let seat = cpc_ledger::seats(&base, epoch)?.and_then(|seats| seats.seat_of(key).copied());
            let Some(seat) = seat else { continue };
            let last = opened(&base, &seat.account)?;
            registered &= last.is_some_and(|last| beacon.element(last.index) == Some(last.element));
        }
        if registered {
            // A chain is given once, before agreement starts.
            let _ = self.beacon.set(beacon);
        }
        Ok(registered)
    }

    fn candidates(&self) -> MutexGuard<'_, Candidates> {
        // Candidates are only ever added and removed whole.
        self.candidates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The header and the state of a block that can be built on.
    fn ground(&self, parent: &BlockId) -> Result<(Header, Ground), ExecuteError> {
        // The base first: where a commit comes in between, it is stale and says so.
        let base = self.store.base();
        let tip = self.tip();
        if tip.id == *parent {
            return Ok((tip.header.as_ref().clone(), Ground::Final(base)));
        }
        let candidates = self.candidates();
        let candidate = candidates.by_id.get(parent).ok_or(ExecuteError::Orphan(*parent))?;
        Ok((candidate.block.header.clone(), Ground::Waiting(Arc::clone(&candidate.overlay))))
    }

    /// Turns a fault of reading a state that is gone into what it is: nothing to halt for.
    fn judge(ground: &Ground, parent: BlockId, error: BlockError) -> ExecuteError {
        match error {
            BlockError::Reject(reject) => ExecuteError::Invalid(reject.to_string()),
            BlockError::Fault(_) if ground.is_stale() => ExecuteError::Orphan(parent),
            BlockError::Fault(fault) => ExecuteError::Fault(fault),
        }
    }

    fn grow(&self, ground: &Ground, parent: BlockId, executed: &Executed) -> Result<Arc<Overlay>, ExecuteError> {
        self.store.overlay(ground.overlay(), executed.delta()).map_err(|error| match error {
            // Deeper than this no block waits unless agreement stands still; it goes on when the first is final.
            StoreError::Stale | StoreError::TooManyOverlays { .. } => ExecuteError::Orphan(parent),
            StoreError::Fault(_) if ground.is_stale() => ExecuteError::Orphan(parent),
            StoreError::Fault(fault) => ExecuteError::Fault(fault),
            other => ExecuteError::Fault(Fault::Invariant { detail: other.to_string() }),
        })
    }

    /// Executes a block of somebody else's and keeps the state after it.
    fn execute_block(&self, block: &Block) -> Result<(), ExecuteError> {
        let header = &block.header;
        if cpc_engine::Chain::is_executed(self, &block.id()) {
            return Ok(());
        }
        let begun = Instant::now();
        let (parent, ground) = self.ground(&header.parent)?;
        let txs = self.verifier.verify(block.txs.to_vec());
        let txs = txs.map_err(|culprits| ExecuteError::Invalid(culprits.to_string()))?;
        let executed = cpc_ledger::apply(self.params(), &ground, &parent, header, &txs)
            .map_err(|error| Self::judge(&ground, header.parent, error))?;
        let overlay = self.grow(&ground, header.parent, &executed)?;
        let applied =
            executed.check(header, overlay.root()).map_err(|error| Self::judge(&ground, header.parent, error))?;
        let receipts = receipts_of(applied.into_parts().2)?;
        self.candidates().insert(Candidate { block: Arc::new(block.clone()), overlay, receipts });
        self.metrics.block_apply.observe(begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Builds a block for a slot and keeps the state after it.
    fn build_block(&self, slot: &Slot) -> Result<Block, ExecuteError> {
        let Slot { epoch, view, parent_view, parent: parent_id, proposer, time } = *slot;
        let (parent, ground) = self.ground(&parent_id)?;
        let due = beacon_due(self.params(), &ground, &proposer, epoch, view);
        let due = due.map_err(|error| Self::judge(&ground, parent_id, error))?;
        // Whoever cannot open what is due cannot propose: its start has checked that it can.
        let cannot = || Fault::Invariant { detail: format!("the hash chain at hand has not what is due: {due:?}") };
        let beacon = self.beacon.get().and_then(|chain| due.preimage(chain)).ok_or_else(cannot);
        let beacon = beacon.map_err(ExecuteError::Fault)?;
        let context = Context { epoch, view, parent_view, time, proposer, beacon };
        let start = Instant::now();
        let waiting = self.waiting_in(&parent_id);
        let candidates = self.pending().candidates(self.params().block_bytes_max as usize);
        let candidates: Vec<VerifiedTx> = candidates.into_iter().filter(|tx| !waiting.contains(&tx.hash())).collect();
        let begun = Session::begin(self.params(), &ground, &parent, context);
        let mut session = begun.map_err(|error| Self::judge(&ground, parent_id, error))?;
        session.prepare(&candidates).map_err(|fault| Self::judge(&ground, parent_id, fault.into()))?;
        let (mut chosen, mut receipts): (Vec<VerifiedTx>, Vec<Receipt>) = (Vec::new(), Vec::new());
        // Whoever had to wait once in this block waits with all that comes behind.
        let mut skipped = BTreeSet::new();
        for tx in candidates {
            if skipped.contains(&tx.sender()) {
                continue;
            }
            match session.push(&tx) {
                Ok(receipt) => {
                    receipts.push(receipt);
                    chosen.push(tx);
                }
                Err(TxError::Reject(reject)) => {
                    skipped.insert(tx.sender());
                    self.put_aside(&tx, &reject);
                }
                Err(TxError::Fault(fault)) => return Err(Self::judge(&ground, parent_id, fault.into())),
            }
        }
        let executed = session.finish().map_err(|error| Self::judge(&ground, parent_id, error))?;
        let overlay = self.grow(&ground, parent_id, &executed)?;
        let txs: Vec<_> = chosen.iter().map(|tx| tx.tx().clone()).collect();
        let txs = Bounded::new(txs).expect("a session takes no more than a block holds");
        let block = Block { header: executed.header(overlay.root()), txs };
        let receipts = receipts_of(receipts)?;
        self.candidates().insert(Candidate { block: Arc::new(block.clone()), overlay, receipts });
        self.metrics.block_apply.observe(start.elapsed().as_secs_f64());
        Ok(block)
    }

    /// The transactions of the blocks that are not final and under this one: they are not to be built in twice.
    fn waiting_in(&self, id: &BlockId) -> BTreeSet<cpc_primitives::TxHash> {
        let candidates = self.candidates();
        let mut hashes = BTreeSet::new();
        let mut next = *id;
        while let Some(candidate) = candidates.by_id.get(&next) {
            hashes.extend(candidate.block.txs.iter().map(cpc_primitives::tx::SignedTx::hash));
            next = candidate.block.header.parent;
        }
        hashes
    }

    /// Commits a final block.
    fn commit_block(&self, block: &Block, certificate: Option<&[u8]>) -> Result<(), Fault> {
        let id = block.id();
        if block.header.height > self.tip().height() && !cpc_engine::Chain::is_executed(self, &id) {
            self.execute_block(block).map_err(|error| match error {
                ExecuteError::Fault(fault) => fault,
                other => Fault::Invariant {
                    detail: format!("a quorum calls block {id} of height {} final: {other}", block.header.height),
                },
            })?;
        }
        if block.header.height <= self.tip().height() {
            return self.committed_before(block.header.height, id);
        }
        let (overlay, receipts) = {
            let candidates = self.candidates();
            let absent = || Fault::Invariant { detail: format!("block {id} was executed and its state is gone") };
            let candidate = candidates.by_id.get(&id).ok_or_else(absent)?;
            (Arc::clone(&candidate.overlay), candidate.receipts.clone())
        };
        let begun = Instant::now();
        self.store.commit(&overlay, block, certificate.unwrap_or_default(), &receipts).map_err(
            |error| match error {
                StoreError::Fault(fault) => fault,
                other => Fault::Invariant { detail: other.to_string() },
            },
        )?;
        self.settle(block)?;
        self.measure(block, &receipts, begun.elapsed());
        Ok(())
    }

    /// What follows from a commit: lookups, and who no longer waits.
    fn settle(&self, block: &Block) -> Result<(), Fault> {
        // The index first: a transaction is always in one of the two.
        self.index.catch_up(u64::MAX).map_err(|error| match error {
            StoreError::Fault(fault) => fault,
            other => Fault::Invariant { detail: other.to_string() },
        })?;
        let mut pending = self.pending();
        for tx in block.txs.iter() {
            if let Some(next) = tx.body.nonce.next() {
                pending.settle(&tx.sender_address(), next);
            }
        }
        drop(pending);
        drop(self.candidates().settle(block.id()));
        self.announce(block.header.height);
        tracing::debug!(height = %block.header.height, txs = block.txs.len(), id = %block.id(), "block is final");
        Ok(())
    }

    fn committed_before(&self, height: Height, id: BlockId) -> Result<(), Fault> {
        match self.store.header(height)?.map(|header| header.id()) {
            Some(found) if found == id => Ok(()),
            found => Err(Fault::Invariant {
                detail: format!("a quorum calls block {id} final at height {height}, where {found:?} is final here"),
            }),
        }
    }

    /// What becomes of a transaction that the rules do not take into this block.
    fn put_aside(&self, tx: &VerifiedTx, reject: &Reject) {
        match reject {
            // The next block has room again.
            _ if reject.is_block_full() => {}
            // It waits for another, or went with a block that is not final yet.
            Reject::Nonce(_) => {}
            // Nothing that comes can heal it, except money, and whoever sends money can send this again.
            _ => {
                tracing::info!(hash = %tx.hash(), %reject, "transaction no longer holds and is dropped");
                self.pending().remove(&tx.sender(), tx.tx().body.nonce);
            }
        }
    }
}

fn receipts_of(receipts: Vec<Receipt>) -> Result<Vec<u8>, ExecuteError> {
    let receipts = Receipts::new(receipts);
    let receipts =
        receipts.map_err(|error| Fault::Invariant { detail: format!("the receipts of a block: {error}") })?;
    Ok(encode(&receipts))
}

impl cpc_engine::Chain for Chain {
    fn tip(&self) -> Tip {
        let tip = self.tip();
        Tip { height: tip.height(), id: tip.id }
    }

    fn seats(&self, epoch: Epoch) -> Result<Option<Vec<Seat>>, Fault> {
        let read = |state: &super::Latest<'_>| {
            let Some(seats) = cpc_ledger::seats(state, epoch)? else { return Ok(None) };
            let with_addresses = seats.seats().iter().map(|seat| {
                let validator = cpc_ledger::validator(state, &seat.account)?;
                let listed = validator.map(|validator| validator.registration.consensus_addresses);
                let addresses = listed.iter().flat_map(|list| list.iter()).filter_map(|text| parse_address(text));
                Ok(Seat { key: seat.key, addresses: addresses.collect() })
            });
            with_addresses.collect::<Result<Vec<_>, Fault>>().map(Some)
        };
        Ok(self.at_tip(read)?.0)
    }

    fn is_executed(&self, id: &BlockId) -> bool {
        self.tip().id == *id || self.candidates().by_id.contains_key(id)
    }

    fn build(&self, slot: &Slot) -> Result<Block, ExecuteError> {
        self.build_block(slot)
    }

    fn execute(&self, block: &Block) -> Result<(), ExecuteError> {
        self.execute_block(block)
    }

    fn commit(&self, block: &Block, certificate: Option<&[u8]>) -> Result<(), Fault> {
        self.commit_block(block, certificate)
    }

    fn block(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        if height == Height(0) {
            let genesis = Block { header: self.genesis().header.clone(), txs: Bounded::default() };
            return Ok(Some(genesis.encode()));
        }
        self.store.block_bytes(height)
    }

    fn height_of(&self, id: &BlockId) -> Result<Option<Height>, Fault> {
        self.store.height_of(id)
    }

    fn id_at(&self, height: Height) -> Result<Option<BlockId>, Fault> {
        if height == Height(0) {
            return Ok(Some(self.genesis().id()));
        }
        Ok(self.store.header(height)?.map(|header| header.id()))
    }

    fn certificate(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.store.certificate(height)?.filter(|bytes| !bytes.is_empty()))
    }

    fn last_certified(&self) -> Result<Option<Height>, Fault> {
        let mut height = self.tip().height();
        while height > Height(0) {
            if cpc_engine::Chain::certificate(self, height)?.is_some() {
                return Ok(Some(height));
            }
            height = Height(height.0.saturating_sub(1));
        }
        Ok(None)
    }

    fn offended(&self, proof: &ConflictingVotes) {
        tracing::warn!(epoch = %proof.epoch(), "the proof of an offence is kept until it can be submitted");
    }
}

/// An address as a seat registers it: an IP address and a port.
fn parse_address(text: &[u8]) -> Option<SocketAddr> {
    core::str::from_utf8(text).ok()?.parse().ok()
}
