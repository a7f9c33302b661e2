//! What the chain does for agreement: it builds blocks, executes those of others, and commits what is final.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use cpc_engine::{ExecuteError, Seat, Slot, Tip};
use cpc_ledger::{
    BLOCK_OVERHEAD_BYTES, BlockError, Context, Delta, Receipt, Reject, Session, StateRead, TxError, VerifiedTx,
    beacon_due, opened,
};
use cpc_light::ConflictingVotes;
use cpc_primitives::codec::encode;
use cpc_primitives::hash_chain::HashChain;
use cpc_primitives::kv::Durability;
use cpc_primitives::state::StateKey;
use cpc_primitives::{Block, BlockId, Bounded, Epoch, Fault, Header, Height, PublicKey, TxHash};
use cpc_store::{Base, Overlay, StoreError};

use super::{Chain, Receipts};

/// Blocks that were executed and are not final, of all forks together.
const CANDIDATES_MAX: usize = 128;
/// From so many states over the last final one on, the changes of all of them are put into one (ENG-14).
const DEPTH_MAX: usize = 64;
/// From so many on, this node's own blocks are empty: what waits to become final does not grow.
const DEPTH_FULL: usize = 32;

/// A block over whose state others can be built.
struct Candidate {
    block: Arc<Block>,
    overlay: Arc<Overlay>,
    receipts: Vec<u8>,
    /// What the overlay changes: in the state after the parent, or, where the way down was too long, in the final one.
    delta: Delta,
    over_final: bool,
    /// The hashes of its transactions: those that are built on it leave them out.
    hashes: Vec<TxHash>,
}

/// The executed blocks that are not final.
#[derive(Default)]
pub(super) struct Candidates {
    by_id: BTreeMap<BlockId, Candidate>,
    /// Blocks that somebody executes at this moment.
    executing: BTreeSet<BlockId>,
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
    /// Takes a block with its state. One that is here already stays: others may stand on its state.
    fn insert(&mut self, candidate: Candidate) {
        let id = candidate.block.id();
        if self.find(&id).is_some() {
            return;
        }
        // Those under it are needed as far as the next one that stands on the final state; of the others the lowest goes
        // first: whoever needs it again executes it again.
        while self.by_id.len() >= CANDIDATES_MAX {
            let needed: BTreeSet<BlockId> = self.way_down(&candidate.block.header.parent).map(|(id, _)| id).collect();
            let order = |candidate: &Candidate| (candidate.block.header.height, candidate.block.header.view);
            let others = self.by_id.iter().filter(|(id, _)| !needed.contains(id));
            let Some(lowest) = others.min_by_key(|(_, candidate)| order(candidate)).map(|(id, _)| *id) else { break };
            self.by_id.remove(&lowest);
        }
        self.by_id.insert(id, candidate);
    }

    /// A block whose state can still be built on: where another block became final than the one under it, it cannot.
    fn find(&self, id: &BlockId) -> Option<&Candidate> {
        self.by_id.get(id).filter(|candidate| !candidate.overlay.is_stale())
    }

    /// A block and those under it, down to one that stands on the final state.
    fn way_down(&self, id: &BlockId) -> impl Iterator<Item = (BlockId, &Candidate)> {
        let mut next = Some(*id);
        std::iter::from_fn(move || {
            let id = next.take()?;
            let candidate = self.by_id.get(&id)?;
            next = (!candidate.over_final).then_some(candidate.block.header.parent);
            Some((id, candidate))
        })
    }

    /// How many blocks that are not final a block stands on, itself included.
    fn depth(&self, id: &BlockId) -> usize {
        self.find(id).map_or(0, |candidate| candidate.overlay.waiting())
    }

    /// What changes between the final state and the one after a block, where the whole way between them is here.
    fn merged(&self, id: &BlockId, tip: BlockId) -> Option<Delta> {
        let way: Vec<&Candidate> = self.way_down(id).map(|(_, candidate)| candidate).collect();
        let last = way.last()?;
        if !last.over_final && last.block.header.parent != tip {
            return None;
        }
        let mut merged = Delta::new();
        for (key, value) in way.iter().rev().flat_map(|candidate| candidate.delta.iter()) {
            merged.insert(key.clone(), value.map(<[u8]>::to_vec));
        }
        Some(merged)
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

/// A block that is executed at this moment; that ends with this value.
struct Executing<'a> {
    chain: &'a Chain,
    id: BlockId,
}

impl Drop for Executing<'_> {
    fn drop(&mut self) {
        self.chain.candidates().executing.remove(&self.id);
        self.chain.executed.notify_all();
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
        let candidate = candidates.find(parent).ok_or(ExecuteError::Orphan(*parent))?;
        Ok((candidate.block.header.clone(), Ground::Waiting(Arc::clone(&candidate.overlay))))
    }

    /// Puts the changes of all states under a block into one over the final state, where they have become many: blocks
    /// that are certified and not final may be any number, and their states stay few (ENG-14).
    fn flatten(&self, id: &BlockId) -> Result<(), ExecuteError> {
        let delta = {
            let mut candidates = self.candidates();
            if candidates.depth(id) < DEPTH_MAX {
                return Ok(());
            }
            match candidates.merged(id, self.tip().id) {
                Some(delta) => delta,
                // A part of the way is gone: the block is executed again, over one that is here.
                None => {
                    candidates.by_id.remove(id);
                    return Err(ExecuteError::Orphan(*id));
                }
            }
        };
        let overlay = self.grow(None, *id, &delta)?;
        let mut candidates = self.candidates();
        let candidate = candidates.by_id.get_mut(id).ok_or(ExecuteError::Orphan(*id))?;
        if candidate.overlay.is_stale() || overlay.is_stale() {
            return Err(ExecuteError::Orphan(*id));
        }
        if candidate.overlay.root() != overlay.root() {
            let detail = format!("the changes under block {id} give another state together than one after another");
            return Err(ExecuteError::Fault(Fault::Invariant { detail }));
        }
        (candidate.overlay, candidate.delta, candidate.over_final) = (overlay, delta, true);
        Ok(())
    }

    /// Marks a block as being executed. Where somebody else does so, waits for the end: one block has one state here, on
    /// which others stand. Nothing where it is executed by then.
    fn begin(&self, id: BlockId) -> Option<Executing<'_>> {
        let mut candidates = self.candidates();
        loop {
            if self.tip().id == id || candidates.find(&id).is_some() {
                return None;
            }
            if candidates.executing.insert(id) {
                return Some(Executing { chain: self, id });
            }
            candidates = self.executed.wait(candidates).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Turns a fault of reading a state that is gone into what it is: nothing to halt for.
    fn judge(ground: &Ground, parent: BlockId, error: BlockError) -> ExecuteError {
        match error {
            BlockError::Reject(reject) => ExecuteError::Invalid(reject.to_string()),
            BlockError::Fault(_) if ground.is_stale() => ExecuteError::Orphan(parent),
            BlockError::Fault(fault) => ExecuteError::Fault(fault),
        }
    }

    fn grow(&self, under: Option<&Arc<Overlay>>, parent: BlockId, delta: &Delta) -> Result<Arc<Overlay>, ExecuteError> {
        self.store.overlay(under, delta).map_err(|error| match error {
            StoreError::Stale => ExecuteError::Orphan(parent),
            StoreError::Fault(_) if under.is_some_and(|under| under.is_stale()) => ExecuteError::Orphan(parent),
            StoreError::Fault(fault) => ExecuteError::Fault(fault),
            other => ExecuteError::Fault(Fault::Invariant { detail: other.to_string() }),
        })
    }

    /// Executes a block of somebody else's and keeps the state after it.
    fn execute_block(&self, block: &Block) -> Result<(), ExecuteError> {
        let header = &block.header;
        let Some(_executing) = self.begin(block.id()) else { return Ok(()) };
        let begun = Instant::now();
        self.flatten(&header.parent)?;
        let (parent, ground) = self.ground(&header.parent)?;
        let txs = self.verifier.verify(block.txs.to_vec());
        let txs = txs.map_err(|culprits| ExecuteError::Invalid(culprits.to_string()))?;
        let executed = cpc_ledger::apply(self.params(), &ground, &parent, header, &txs)
            .map_err(|error| Self::judge(&ground, header.parent, error))?;
        let delta = executed.delta().clone();
        let overlay = self.grow(ground.overlay(), header.parent, &delta)?;
        let applied =
            executed.check(header, overlay.root()).map_err(|error| Self::judge(&ground, header.parent, error))?;
        let receipts = receipts_of(applied.into_parts().2)?;
        let over_final = ground.overlay().is_none();
        let (block, hashes) = (Arc::new(block.clone()), txs.iter().map(VerifiedTx::hash).collect());
        self.candidates().insert(Candidate { block, overlay, receipts, delta, over_final, hashes });
        self.metrics.block_apply.observe(begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Builds a block for a slot and keeps the state after it.
    fn build_block(&self, slot: &Slot) -> Result<Block, ExecuteError> {
        let Slot { epoch, view, parent_view, parent: parent_id, proposer, time } = *slot;
        self.flatten(&parent_id)?;
        let depth = self.candidates().depth(&parent_id);
        let (parent, ground) = self.ground(&parent_id)?;
        let due = beacon_due(self.params(), &ground, &proposer, epoch, view);
        let due = due.map_err(|error| Self::judge(&ground, parent_id, error))?;
        // Whoever cannot open what is due cannot propose: its start has checked that it can.
        let cannot = || Fault::Invariant { detail: format!("the hash chain at hand has not what is due: {due:?}") };
        let beacon = self.beacon.get().and_then(|chain| due.preimage(chain)).ok_or_else(cannot);
        let beacon = beacon.map_err(ExecuteError::Fault)?;
        let context = Context { epoch, view, parent_view, time, proposer, beacon };
        let start = Instant::now();
        let taken = self.waiting_in(&parent_id);
        let (bytes_max, gas_max) = (self.params().block_bytes_max as usize, self.params().block_gas_max);
        let room = if depth < DEPTH_FULL { bytes_max.saturating_sub(BLOCK_OVERHEAD_BYTES) } else { 0 };
        let candidates = self.pool().candidates(room, gas_max, &taken);
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
        let delta = executed.delta().clone();
        let overlay = self.grow(ground.overlay(), parent_id, &delta)?;
        let txs: Vec<_> = chosen.iter().map(|tx| tx.tx().clone()).collect();
        let txs = Bounded::new(txs).expect("a session takes no more than a block holds");
        let block = Block { header: executed.header(overlay.root()), txs };
        let receipts = receipts_of(receipts)?;
        let over_final = ground.overlay().is_none();
        let hashes = chosen.iter().map(VerifiedTx::hash).collect();
        let kept = Arc::new(block.clone());
        self.candidates().insert(Candidate { block: kept, overlay, receipts, delta, over_final, hashes });
        self.metrics.block_apply.observe(start.elapsed().as_secs_f64());
        Ok(block)
    }

    /// The transactions of the blocks that are not final and under this one: they are not to be built in twice.
    fn waiting_in(&self, id: &BlockId) -> BTreeSet<TxHash> {
        let candidates = self.candidates();
        let mut hashes = BTreeSet::new();
        let mut next = *id;
        while let Some(candidate) = candidates.by_id.get(&next) {
            hashes.extend(candidate.hashes.iter().copied());
            next = candidate.block.header.parent;
        }
        hashes
    }

    /// Commits a final block.
    fn commit_block(&self, block: &Block, certificate: Option<&[u8]>, durability: Durability) -> Result<(), Fault> {
        let id = block.id();
        if block.header.height <= self.tip().height() {
            return self.committed_before(block.header.height, id);
        }
        self.execute_block(block).map_err(|error| match error {
            ExecuteError::Fault(fault) => fault,
            other => Fault::Invariant {
                detail: format!("a quorum calls block {id} of height {} final: {other}", block.header.height),
            },
        })?;
        let (overlay, receipts) = {
            let candidates = self.candidates();
            let absent = || Fault::Invariant { detail: format!("block {id} was executed and its state is gone") };
            let candidate = candidates.find(&id).ok_or_else(absent)?;
            (Arc::clone(&candidate.overlay), candidate.receipts.clone())
        };
        let begun = Instant::now();
        let committed = self.store.commit_as(&overlay, block, certificate.unwrap_or_default(), &receipts, durability);
        committed.map_err(|error| match error {
            StoreError::Fault(fault) => fault,
            other => Fault::Invariant { detail: other.to_string() },
        })?;
        self.settle(block)?;
        self.measure(block, &receipts, begun.elapsed());
        Ok(())
    }

    /// Commits blocks that a quorum calls final, in their order; the certificate is that of the last one.
    ///
    /// It is for whoever follows agreement without a part in it: nobody else writes to this chain.
    pub fn extend(&self, blocks: &[Block], certificate: &[u8]) -> Result<(), Fault> {
        for (place, block) in blocks.iter().enumerate() {
            let is_last = place.saturating_add(1) == blocks.len();
            // One sync for all of them: what a loss of power takes is fetched again (STO-3).
            let durability = if is_last { Durability::Synced } else { Durability::Buffered };
            self.commit_block(block, is_last.then_some(certificate), durability)?;
        }
        Ok(())
    }

    /// What follows from a commit: lookups, and who no longer waits.
    fn settle(&self, block: &Block) -> Result<(), Fault> {
        // The index first: a transaction is always in one of the two.
        self.index.catch_up(u64::MAX).map_err(|error| match error {
            StoreError::Fault(fault) => fault,
            other => Fault::Invariant { detail: other.to_string() },
        })?;
        self.settle_waiting(block)?;
        // Freed when nobody waits for the lock any more.
        let gone = self.candidates().settle(block.id());
        drop(gone);
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
                self.pool().remove(&tx.hash());
                self.metrics.departed("invalid", 1);
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
        self.tip().id == *id || self.candidates().find(id).is_some()
    }

    fn build(&self, slot: &Slot) -> Result<Block, ExecuteError> {
        self.build_block(slot)
    }

    fn execute(&self, block: &Block) -> Result<(), ExecuteError> {
        self.execute_block(block)
    }

    fn commit(&self, block: &Block, certificate: Option<&[u8]>) -> Result<(), Fault> {
        self.commit_block(block, certificate, Durability::Synced)
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

#[cfg(test)]
mod tests {
    use std::thread;

    use cpc_engine::Chain as _;
    use cpc_genesis::{Network, known_beacon_chain, known_key};
    use cpc_primitives::{TimeMs, View};

    use super::*;

    /// A devnet's chain in memory, whose only seat proposes.
    fn chain() -> Chain {
        let text = Network::Devnet.text();
        let genesis = cpc_genesis::Genesis::build(cpc_genesis::ChainSpec::parse(text).expect("our own spec"));
        let genesis = genesis.expect("our own genesis");
        let beacon = known_beacon_chain("devnet/0", genesis.spec.params.beacon_steps);
        let kv = Arc::new(cpc_store::MemKv::new());
        let store = cpc_store::Store::open(kv, cpc_store::Options::default()).expect("an empty store");
        let chain = Chain::over(store, genesis, text.to_owned(), None).expect("a new chain");
        let key = known_key("devnet/0/consensus").public();
        assert!(chain.feed_beacon(&key, beacon).expect("readable"), "the seat's own hash chain");
        chain
    }

    /// The next block over one, without any transaction.
    fn next(chain: &Chain, parent: &Header) -> Block {
        let slot = Slot {
            epoch: Epoch(0),
            view: View(parent.view.0 + 1),
            parent_view: parent.view,
            parent: parent.id(),
            proposer: known_key("devnet/0/consensus").public(),
            time: TimeMs(parent.time.0 + 1),
        };
        chain.build(&slot).expect("a block of nothing")
    }

    fn many(chain: &Chain, count: usize) -> Vec<Block> {
        let mut header = chain.tip().header.as_ref().clone();
        (0..count)
            .map(|_| {
                let block = next(chain, &header);
                header = block.header.clone();
                block
            })
            .collect()
    }

    // ENG-14
    #[test]
    fn any_number_of_blocks_may_wait_and_then_become_final() {
        let (author, other) = (chain(), chain());
        let blocks = many(&author, 3 * DEPTH_MAX + 5);
        for block in &blocks {
            other.execute(block).expect("a block of an honest seat");
            assert!(other.candidates().depth(&block.id()) <= DEPTH_MAX);
            assert!(other.candidates().by_id.len() <= CANDIDATES_MAX);
        }
        for chain in [&author, &other] {
            for block in &blocks {
                chain.commit(block, None).expect("it is final");
                assert_eq!(chain.tip().id, block.id());
            }
            assert_eq!(chain.store.base().root().expect("readable"), blocks.last().expect("many").header.state_root);
        }
        let next = next(&author, &blocks.last().expect("many").header);
        other.execute(&next).expect("the chain goes on");
    }

    // ENG-3
    #[test]
    fn a_block_that_many_execute_at_once_has_one_state_and_its_children_become_final() {
        let author = chain();
        let blocks = many(&author, 12);
        let other = chain();
        for pair in blocks.windows(2) {
            thread::scope(|scope| {
                for thread in 0..8 {
                    let (other, [first, second]) = (&other, [&pair[0], &pair[1]]);
                    scope.spawn(move || {
                        other.execute(first).expect("its parent is here");
                        if thread == 0 {
                            other.commit(first, None).expect("it is final");
                        }
                        match other.execute(second) {
                            Ok(()) | Err(ExecuteError::Orphan(_)) => {}
                            Err(error) => panic!("{error}"),
                        }
                    });
                }
            });
            other.execute(&pair[1]).expect("its parent is final");
        }
        assert_eq!(other.tip().id, blocks[blocks.len() - 2].id());
        assert!(other.candidates().executing.is_empty());
    }

    #[test]
    fn a_state_whose_ground_went_is_computed_again() {
        let author = chain();
        let blocks = many(&author, 3);
        let other = chain();
        blocks.iter().for_each(|block| other.execute(block).expect("in order"));
        // The first one's state goes, as where there is no room for it; what stands on it becomes stale with the commit.
        other.candidates().by_id.remove(&blocks[0].id());
        other.commit(&blocks[0], None).expect("it is executed again");
        assert!(!other.is_executed(&blocks[1].id()), "its ground is another state now");
        assert!(matches!(other.execute(&blocks[2]), Err(ExecuteError::Orphan(_))));
        blocks[1..].iter().for_each(|block| other.commit(block, None).expect("it is final"));
        assert_eq!(other.tip().id, blocks[2].id());
    }
}
