//! The frame of a block: that it follows its parent, what its end does, and that its header says what was found.

use cpc_primitives::codec::encode;
use cpc_primitives::result::{ComputeResult, ComputeRoots, Settlement};
use cpc_primitives::state::StateKey;
use cpc_primitives::{Address, Amount, Digest, Epoch, Fault, Gas, Header, Height, View, block::tx_root, same};

use crate::endings;
use crate::error::{BlockError, BlockReject, TxError};
use crate::port::{Delta, StateRead};
use crate::records::{Rewards, rewards, seats_there};
use crate::rules::Params;
use crate::session::{Context, Receipt, Session};
use crate::supply::{Supply, broken, credit, debit};
use crate::verify::VerifiedTx;

/// A block whose transactions were applied: what it changes, and the header that it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    delta: Delta,
    receipts: Vec<Receipt>,
    supply: Supply,
    leaves: Leaves,
    /// The header but for the root of the state, which the store finds from the delta.
    header: Header,
}

/// A block that is valid in everything: its header says what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    header: Header,
    delta: Delta,
    receipts: Vec<Receipt>,
    supply: Supply,
    leaves: Leaves,
}

/// What a block says of computation: everything under its compute root, in its order (ROOT-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaves {
    /// The results that it accepted.
    pub results: Vec<ComputeResult>,
    /// The settlements that it made.
    pub settlements: Vec<Settlement>,
    /// Their roots and counts.
    pub roots: ComputeRoots,
}

/// Applies a whole block: the first refused transaction makes it invalid (BLK-7).
pub fn apply<S: StateRead>(
    params: &Params,
    state: &S,
    parent: &Header,
    header: &Header,
    txs: &[VerifiedTx],
) -> Result<Executed, BlockError> {
    // What costs nothing to see is looked at before anything is executed.
    same(next(params, parent)?.1, header.version).map_err(BlockReject::Version)?;
    same(params.chain, header.chain).map_err(BlockReject::Chain)?;
    let mut session = Session::begin(params, state, parent, Context::of(header))?;
    same(session.height, header.height).map_err(BlockReject::Height)?;
    same(session.parent, header.parent).map_err(BlockReject::Parent)?;
    session.prepare(txs)?;
    for (index, tx) in txs.iter().enumerate() {
        session.push(tx).map_err(|error| match error {
            TxError::Reject(reject) => BlockError::Reject(BlockReject::Tx { index, hash: tx.hash(), reject }),
            TxError::Fault(fault) => BlockError::Fault(fault),
        })?;
    }
    session.finish()
}

impl Executed {
    /// What the block changes.
    pub const fn delta(&self) -> &Delta {
        &self.delta
    }

    /// What became of its transactions, in their order.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// The running totals after the block.
    pub const fn supply(&self) -> &Supply {
        &self.supply
    }

    /// What its transactions used.
    pub const fn gas_used(&self) -> Gas {
        self.header.gas_used
    }

    /// The root over its transactions.
    pub const fn tx_root(&self) -> Digest {
        self.header.tx_root
    }

    /// Its results and settlements, with their roots.
    pub const fn leaves(&self) -> &Leaves {
        &self.leaves
    }

    /// In the last block of an epoch the hash of the set after the next, else zero bytes.
    pub const fn next_validators(&self) -> Digest {
        self.header.next_validators
    }

    /// The header of the block, for its proposer: the store has found the root of the state after the delta.
    pub fn header(&self, state_root: Digest) -> Header {
        Header { state_root, ..self.header.clone() }
    }

    /// Demands that a header says what was found, for everybody else (BLK-9).
    pub fn check(self, header: &Header, state_root: Digest) -> Result<Applied, BlockError> {
        let found = self.header(state_root);
        same_header(&found, header)?;
        let Self { delta, receipts, supply, leaves, .. } = self;
        Ok(Applied { header: found, delta, receipts, supply, leaves })
    }
}

impl Applied {
    /// The block's header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// What the block changes.
    pub const fn delta(&self) -> &Delta {
        &self.delta
    }

    /// What became of its transactions, in their order.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// The running totals after the block.
    pub const fn supply(&self) -> &Supply {
        &self.supply
    }

    /// Its results and settlements, with their roots.
    pub const fn leaves(&self) -> &Leaves {
        &self.leaves
    }

    /// Header, delta and receipts, given away.
    pub fn into_parts(self) -> (Header, Delta, Vec<Receipt>) {
        (self.header, self.delta, self.receipts)
    }
}

/// The height of the block after `parent` and the version of its rules, if this program has them.
fn next(params: &Params, parent: &Header) -> Result<(Height, u32), BlockError> {
    // BLK-1: heights have no gap.
    let height = parent.height.next().ok_or(BlockReject::LastHeight { parent: parent.height })?;
    // BLK-12: other nodes may have these rules, so that to refuse the block would be a lie.
    Ok((height, params.known_version_at(height)?))
}

/// The height of the block after `parent`, if the context follows from the parent.
pub(crate) fn follows(params: &Params, parent: &Header, context: &Context) -> Result<Height, BlockError> {
    let (height, _) = next(params, parent)?;
    // BLK-2: the height gives the epoch.
    same(params.epoch_of(height), context.epoch).map_err(BlockReject::Epoch)?;
    // BLK-3: views count anew in each epoch, and rise within it.
    let parent_view = if parent.epoch == context.epoch { parent.view } else { View(0) };
    same(parent_view, context.parent_view).map_err(BlockReject::ParentView)?;
    if context.view <= parent_view {
        return Err(BlockReject::ViewNotAfter { parent: parent_view, found: context.view }.into());
    }
    // BLK-4: time rises by at least one millisecond.
    if context.time <= parent.time {
        return Err(BlockReject::TimeNotAfter { parent: parent.time, found: context.time }.into());
    }
    Ok(height)
}

/// Ends a block.
pub(crate) fn finish<S: StateRead>(mut session: Session<'_, S>) -> Result<Executed, BlockError> {
    // BLK-13: what falls due comes after the transactions.
    endings::expire(&mut session)?;
    pay_fees(&mut session)?;
    let mut records = Vec::new();
    reward(&mut session, &mut records)?;
    let next_validators = end_epoch(&session, &mut records)?;

    // SUP-2 and SUP-3 hold at every block, in every build.
    session.supply.check()?;
    session.working.check(&session.supply_before, &session.supply)?;
    session.tables.check(&session.supply_before, &session.supply)?;
    records.push((StateKey::supply(), Some(encode(&session.supply))));
    // BEA-1 and BEA-5: what the proposer opened moves the beacon.
    session.opening.record(&session.proposer, &mut records);

    // BLK-9: both lists in the order in which the block made them.
    let roots = ComputeRoots::of(&session.results, &session.settlements);
    let leaves = Leaves { results: session.results, settlements: session.settlements, roots };
    let Context { epoch, view, parent_view, time, proposer, beacon } = session.context;
    let header = Header {
        version: session.params.version_at(session.height),
        chain: session.params.chain,
        height: session.height,
        epoch,
        view,
        parent_view,
        parent: session.parent,
        time,
        proposer,
        beacon,
        tx_root: tx_root(session.receipts.iter().map(|receipt| receipt.hash)),
        state_root: Digest::ZERO,
        compute_root: leaves.roots.digest(),
        gas_used: session.gas_used,
        next_validators,
    };
    let market = session.tables.into_changes();
    let delta = session.working.into_changes().into_iter().chain(market).chain(records).collect();
    Ok(Executed { delta, receipts: session.receipts, supply: session.supply, leaves, header })
}

/// Divides the block's fees between its proposer and the treasury.
fn pay_fees<S: StateRead>(session: &mut Session<'_, S>) -> Result<(), Fault> {
    // FEE-1: the treasury's share is rounded down, the proposer has the rest.
    let treasury = session.fees.bps_floor(session.params.fee_treasury());
    credit(&mut session.supply.treasury, treasury, "the treasury")?;
    let mut proposer = session.fees;
    debit(&mut proposer, treasury, "the fees")?;
    // FEE-2: paid when the block ends, so that no transaction of the block spends them.
    let account = session.proposer;
    session.pay(&account, proposer)
}

/// Mints the block's reward into the epoch's pot, and pays the pot when the epoch ends.
fn reward<S: StateRead>(
    session: &mut Session<'_, S>,
    records: &mut Vec<(StateKey, Option<Vec<u8>>)>,
) -> Result<(), Fault> {
    let mut pot = rewards(session.state)?.pot;
    if pot != session.supply.pending_rewards {
        let total = session.supply.pending_rewards;
        return Err(broken(format!("SUP-3: pending rewards of {total:?}, but the pot holds {pot:?}")));
    }
    // RWD-2: the seats' share goes to the pot, the miners' pool is burned.
    let minted = session.params.reward(session.height);
    let seats_part = minted.bps_floor(session.params.reward_seats);
    let mut miners_part = minted;
    debit(&mut miners_part, seats_part, "the reward")?;
    credit(&mut session.supply.minted, minted, "minted")?;
    credit(&mut session.supply.burned, miners_part, "burned")?;
    credit(&mut session.supply.pending_rewards, seats_part, "pending rewards")?;
    credit(&mut pot, seats_part, "the pot")?;

    if session.params.ends_epoch(session.height) {
        debit(&mut session.supply.pending_rewards, pot, "pending rewards")?;
        let mut rest = pot;
        for (account, share) in shares(session, pot) {
            debit(&mut rest, share, "the pot")?;
            session.pay(&account, share)?;
        }
        // RWD-4: what is not paid is burned.
        credit(&mut session.supply.burned, rest, "burned")?;
        pot = Amount::ZERO;
    }
    records.push((StateKey::rewards(), Some(encode(&Rewards { pot }))));
    Ok(())
}

/// Each seat's part of a pot: by stake, and never more than an equal part (RWD-3).
fn shares<S: StateRead>(session: &Session<'_, S>, pot: Amount) -> Vec<(Address, Amount)> {
    let seats = session.seats.seats();
    let stake = seats.iter().fold(0u128, |sum, seat| sum.saturating_add(seat.stake.units()));
    let count = u128::try_from(seats.len()).expect("an epoch has few seats");
    let equal = pot.mul_div_floor(1, count).unwrap_or_default();
    let part = |own: Amount| pot.mul_div_floor(own.units(), stake).unwrap_or_default().min(equal);
    seats.iter().map(|seat| (seat.account, part(seat.stake))).collect()
}

/// In the last block of an epoch fixes the set after the next and forgets an old one; else does nothing.
fn end_epoch<S: StateRead>(
    session: &Session<'_, S>,
    records: &mut Vec<(StateKey, Option<Vec<u8>>)>,
) -> Result<Digest, Fault> {
    if !session.params.ends_epoch(session.height) {
        return Ok(Digest::ZERO);
    }
    let epoch = session.context.epoch;
    let (Some(next), Some(after)) = (epoch.next(), epoch.next().and_then(Epoch::next)) else {
        return Err(broken(format!("EPO-2: no epoch follows {epoch}")));
    };
    // EPO-2: as long as no transaction moves stake, a set follows itself.
    let (seats, set) = seats_there(session.state, next)?;
    records.push((StateKey::seats(after), Some(encode(&seats))));
    // EPO-4: a wrong done in an older epoch can no longer be proven.
    if let Some(old) = epoch.0.checked_sub(session.params.evidence_epochs.into()) {
        records.push((StateKey::seats(Epoch(old)), None));
    }
    // EPO-3: the header names the set as whoever checks its certificates does.
    Ok(set.hash())
}

/// Demands that two headers are equal in every field, and names the first that is not (BLK-9).
fn same_header(expected: &Header, found: &Header) -> Result<(), BlockReject> {
    same(expected.version, found.version).map_err(BlockReject::Version)?;
    same(expected.chain, found.chain).map_err(BlockReject::Chain)?;
    same(expected.height, found.height).map_err(BlockReject::Height)?;
    same(expected.epoch, found.epoch).map_err(BlockReject::Epoch)?;
    same(expected.view, found.view).map_err(BlockReject::View)?;
    same(expected.parent_view, found.parent_view).map_err(BlockReject::ParentView)?;
    same(expected.parent, found.parent).map_err(BlockReject::Parent)?;
    same(expected.time, found.time).map_err(BlockReject::Time)?;
    same(expected.proposer, found.proposer).map_err(BlockReject::Proposer)?;
    same(expected.beacon, found.beacon).map_err(BlockReject::Beacon)?;
    same(expected.tx_root, found.tx_root).map_err(BlockReject::TxRoot)?;
    same(expected.compute_root, found.compute_root).map_err(BlockReject::ComputeRoot)?;
    same(expected.gas_used, found.gas_used).map_err(BlockReject::GasUsed)?;
    same(expected.next_validators, found.next_validators).map_err(BlockReject::NextValidators)?;
    same(expected.state_root, found.state_root).map_err(BlockReject::StateRoot)
}
