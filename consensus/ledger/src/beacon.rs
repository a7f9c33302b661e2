//! The chain's only randomness: the element of its proposer's hash chain that a block opens, and what that makes of it.

use cpc_primitives::codec::encode;
use cpc_primitives::hash_chain::{HashChain, advance};
use cpc_primitives::state::StateKey;
use cpc_primitives::{Address, Digest, Domain, Epoch, Fault, PublicKey, View, same};

use crate::error::{BlockError, BlockReject};
use crate::port::StateRead;
use crate::records::{Opened, Seat, beacon, opened_there, seats_there};
use crate::rules::Params;
use crate::session::Context;
use crate::supply::broken;

/// The most steps over which a block's element is checked, some seven milliseconds of hashing (BEA-3).
pub const BEACON_GAP_MAX: u32 = 1 << 16;

/// What the beacon field of a block has to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BeaconDue {
    /// The element of this index of the proposer's hash chain.
    Element {
        /// How many steps before the chain's end.
        index: u32,
    },
    /// Zero bytes, because an epoch has elements for so many views only.
    PastViews {
        /// How many.
        views_max: u64,
    },
    /// Zero bytes, because the chain has no more elements.
    Exhausted {
        /// How many it has.
        steps: u32,
    },
}

/// What the beacon field of a proposer's block has to hold in a view, on the state after its parent (BEA-3, BEA-4).
pub fn beacon_due<S: StateRead>(
    params: &Params,
    state: &S,
    proposer: &PublicKey,
    epoch: Epoch,
    view: View,
) -> Result<BeaconDue, BlockError> {
    let (seats, _) = seats_there(state, epoch)?;
    let seat = seats.seat_of(proposer).ok_or(BlockReject::NoSeat { proposer: *proposer, epoch })?;
    Ok(due(params, &opened_there(state, &seat.account)?, epoch, view)?)
}

impl BeaconDue {
    /// What the owner of a hash chain puts there; `None` where its chain is shorter than the network's.
    pub fn preimage(&self, chain: &HashChain) -> Option<Digest> {
        match self {
            Self::Element { index } => chain.element(*index),
            Self::PastViews { .. } | Self::Exhausted { .. } => Some(Digest::ZERO),
        }
    }
}

/// What a block's beacon field does to the state, once it was found to be right.
pub(crate) struct Opening {
    /// The beacon after the block.
    beacon: Digest,
    /// How far the proposer's chain is opened, where the block opened an element.
    opened: Option<Opened>,
}

impl Opening {
    /// Demands that a block's beacon field holds what is due (BEA-2 to BEA-4).
    pub(crate) fn check<S: StateRead>(
        params: &Params,
        state: &S,
        seat: &Seat,
        context: &Context,
    ) -> Result<Self, BlockError> {
        let Context { epoch, view, beacon: found, .. } = *context;
        let last = opened_there(state, &seat.account)?;
        let opened = match due(params, &last, epoch, view)? {
            BeaconDue::Element { index } => Some(open(&last, index, found)?),
            // BEA-4: who could choose what stands here could choose the beacon.
            BeaconDue::PastViews { views_max } if found != Digest::ZERO => {
                return Err(BlockReject::BeaconPastViews { views_max, view, found }.into());
            }
            BeaconDue::Exhausted { steps } if found != Digest::ZERO => {
                return Err(BlockReject::BeaconExhausted { steps, found }.into());
            }
            BeaconDue::PastViews { .. } | BeaconDue::Exhausted { .. } => None,
        };
        // BEA-1: zero bytes move it too, in the one way that they can.
        let beacon = Domain::Beacon.hash_pair(&beacon(state)?, &found);
        Ok(Self { beacon, opened })
    }

    /// The beacon after the block.
    pub(crate) const fn beacon(&self) -> &Digest {
        &self.beacon
    }

    /// What the block writes.
    pub(crate) fn record(&self, proposer: &Address, records: &mut Vec<(StateKey, Option<Vec<u8>>)>) {
        records.push((StateKey::beacon(), Some(encode(&self.beacon))));
        // BEA-5: the next element of this chain is checked against this one.
        records.extend(self.opened.map(|opened| (StateKey::opened(proposer), Some(encode(&opened)))));
    }
}

/// What is due of a chain that was opened so far (BEA-3, BEA-4).
fn due(params: &Params, last: &Opened, epoch: Epoch, view: View) -> Result<BeaconDue, Fault> {
    let views_max = params.epoch_blocks.saturating_mul(2);
    if view.0 > views_max {
        return Ok(BeaconDue::PastViews { views_max });
    }
    let epochs = epoch.0.checked_sub(last.first.0).ok_or_else(|| {
        broken(format!("BEA-5: a hash chain that begins in epoch {} is opened in epoch {epoch}", last.first))
    })?;
    let index = epochs.checked_mul(views_max).and_then(|index| index.checked_add(view.0));
    let index = index.and_then(|index| u32::try_from(index).ok()).filter(|index| *index <= params.beacon_steps);
    let Some(index) = index else { return Ok(BeaconDue::Exhausted { steps: params.beacon_steps }) };
    // Views and epochs rise from parent to child, so that an element is never opened twice.
    if index <= last.index {
        return Err(broken(format!(
            "BEA-3: element {index} is due in view {view} of epoch {epoch}, element {} is open",
            last.index
        )));
    }
    // BEA-3: a seat that comes back after long closes the gap in steps that are checked quickly.
    Ok(BeaconDue::Element { index: index.min(last.index.saturating_add(BEACON_GAP_MAX)) })
}

/// Opens the element of an index, if that is what was found (BEA-2).
fn open(last: &Opened, index: u32, found: Digest) -> Result<Opened, BlockReject> {
    if found == Digest::ZERO {
        return Err(BlockReject::BeaconMissing { index });
    }
    let known = last.index;
    same(last.element, advance(found, index.saturating_sub(known))).map_err(|end| BlockReject::BeaconElement {
        index,
        known,
        end,
    })?;
    Ok(Opened { first: last.first, index, element: found })
}
