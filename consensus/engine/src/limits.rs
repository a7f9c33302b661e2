//! Sizes of what travels between the seats.

use commonware_consensus::marshal;
use commonware_consensus::marshal::standard::Standard;
use commonware_consensus::simplex;
use commonware_p2p::utils::mux::prefixed;
use cpc_primitives::limits::SEATS_MAX;

use crate::block::{AgreedBlock, Digest};
use crate::seats::VoteScheme;

/// The channels between two seats (ENG-9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Channel {
    /// What one seat says of a view.
    Votes = 0,
    /// What a quorum says of a view.
    Certificates = 1,
    /// Certificates that somebody missed.
    Missed = 2,
    /// Proposed blocks.
    Blocks = 3,
    /// Blocks that somebody missed.
    Backfill = 4,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 5] = [Self::Votes, Self::Certificates, Self::Missed, Self::Blocks, Self::Backfill];
}

/// The most bytes of one message between seats, on a network with blocks of at most so many bytes.
pub fn network_message_bytes_max(block_bytes_max: u32) -> u32 {
    let seats = u32::try_from(SEATS_MAX).expect("few seats");
    let votes = prefixed(simplex::max_payload_size::<VoteScheme, Digest>(seats));
    let blocks = marshal::max_payload_size::<Standard<AgreedBlock>, VoteScheme>(seats, &block_bytes_max);
    commonware_p2p::max_message_size(&[votes, blocks])
}

/// The most peers at once: the seats of an epoch, those of the epochs beside it, and this node.
pub const fn peers_max(seats_max: usize) -> usize {
    seats_max.saturating_mul(3).saturating_add(1)
}
