//! Applies blocks that came from others: their finality is checked, each is executed, and all are written.

use std::sync::Arc;

use cpc_light::namespace;
use cpc_net::PeerId;
use cpc_primitives::{Fault, Height, same};

use super::check;
use super::client::Segment;
use super::shell::{Apply, ApplyError};
use crate::chain::Chain;

/// What applies blocks to a chain.
pub struct Applier {
    chain: Arc<Chain>,
    namespace: Vec<u8>,
}

impl Applier {
    /// Applies to this chain, whose only writer it is.
    pub fn new(chain: Arc<Chain>) -> Self {
        let namespace = namespace(chain.params().chain, &chain.genesis().id());
        Self { chain, namespace }
    }
}

impl Apply for Applier {
    fn apply(&mut self, segment: Segment<PeerId>) -> Result<Height, ApplyError> {
        let Segment { blocks, certificate, .. } = segment;
        let lie = |error: &dyn std::fmt::Display| ApplyError::Lie(error.to_string());
        let first = blocks.first().ok_or_else(|| lie(&check::ChainError::Empty))?;
        let header = first.header.clone();
        // SYNC-3: the seats are those of the height's epoch, whatever the blocks say.
        let epoch = self.chain.params().epoch_of(header.height);
        same(epoch, header.epoch)
            .map_err(|mismatch| lie(&check::ChainError::Epoch { height: header.height, mismatch }))?;
        let absent = || Fault::Damaged { detail: format!("the seats of epoch {epoch} are not in the state") };
        let seats = self.chain.epoch_seats(Some(epoch))?.seats.ok_or_else(absent)?;
        let wrong = |error| Fault::Damaged { detail: format!("the seats of epoch {epoch} are no set: {error}") };
        let set = seats.validators().map_err(wrong)?;
        // SYNC-4: one certificate for the whole segment.
        check::finality(&blocks, &certificate, &set, &self.namespace).map_err(|error| lie(&error))?;
        // From here on a quorum has spoken: what does not fit is no lie of the peer's, and this node stops.
        self.chain.extend(&blocks, &certificate)?;
        Ok(self.chain.tip().height())
    }
}
