//! Whoever sees everything: what every validator commits, who lied, and who was caught.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cpc_light::{ConflictingVotes, SignedVote};
use cpc_primitives::codec::encode;
use cpc_primitives::{Block, BlockId, Digest, Domain, Epoch, PublicKey, View};

/// What must never happen, and did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Violation {
    /// Two final blocks at one height.
    Fork {
        /// Where.
        height: u64,
        /// Who.
        who: usize,
        /// What it committed, and what somebody else had.
        blocks: [BlockId; 2],
    },
    /// A height was left out.
    Gap {
        /// Who.
        who: usize,
        /// The last one and the next.
        heights: [u64; 2],
    },
    /// Blocks stopped although nothing was in their way any more.
    Stall {
        /// How high each validator came.
        heights: Vec<u64>,
    },
    /// A validator ended by itself.
    Ended {
        /// Who.
        who: usize,
        /// Why.
        why: String,
    },
    /// Somebody who followed the protocol is accused.
    Innocent {
        /// Whose key.
        key: PublicKey,
    },
    /// Somebody lied before an honest validator and was not found.
    Unseen {
        /// Whose key.
        key: PublicKey,
    },
    /// The money does not add up, or the store is not sound.
    Books {
        /// Who.
        who: usize,
        /// What was found.
        what: String,
    },
    /// The proof of an offence was on the disk, and is not after a crash.
    Forgot {
        /// Who.
        who: usize,
        /// Proofs that were kept, and those that are there.
        proofs: [usize; 2],
    },
    /// A transaction that was acknowledged as final is not there.
    Lost {
        /// Who.
        who: usize,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

#[derive(Debug, Default)]
struct Seen {
    final_blocks: BTreeMap<u64, BlockId>,
    heights: BTreeMap<usize, u64>,
    accused: BTreeMap<PublicKey, BTreeSet<usize>>,
    /// What each honest validator heard of each seat in each view.
    heard: BTreeMap<(usize, Epoch, View, u32), Vec<SignedVote>>,
    /// Views in which votes that exclude each other reached one honest validator.
    conflicts: BTreeMap<(Epoch, u32), BTreeSet<(usize, View)>>,
    refused: BTreeMap<PublicKey, u64>,
    violations: Vec<Violation>,
}

/// The most votes of one seat in one view that are compared.
const VOTES_MAX: usize = 8;

/// What was seen, by all validators together.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Seen>);

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn committed(&self, who: usize, block: &Block) {
        let mut seen = self.seen();
        // The id covers the root of the state, and every honest validator has compared its own with it.
        let (height, found) = (block.header.height.0, block.id());
        let expected = *seen.final_blocks.entry(height).or_insert(found);
        if expected != found {
            seen.violations.push(Violation::Fork { height, who, blocks: [found, expected] });
        }
        let before = seen.heights.get(&who).copied().unwrap_or_default();
        if height > before + 1 {
            seen.violations.push(Violation::Gap { who, heights: [before, height] });
        }
        let highest = height.max(before);
        seen.heights.insert(who, highest);
    }

    /// Somebody has proof against a key, on its disk.
    pub(crate) fn accused(&self, who: usize, key: PublicKey) {
        self.seen().accused.entry(key).or_default().insert(who);
    }

    /// A disk was crashed, and holds so many proofs now.
    pub(crate) fn proofs_after_crash(&self, who: usize, found: usize) {
        let mut seen = self.seen();
        let kept = seen.accused.values().filter(|by| by.contains(&who)).count();
        // Of each key at least one.
        if found < kept {
            seen.violations.push(Violation::Forgot { who, proofs: [kept, found] });
        }
    }

    /// A whole disk was lost: what its validator had seen is no more demanded of it.
    pub(crate) fn forget(&self, who: usize) {
        let mut seen = self.seen();
        seen.heights.remove(&who);
        for by in seen.accused.values_mut() {
            by.remove(&who);
        }
    }

    /// A vote reached an honest validator.
    pub(crate) fn heard(&self, who: usize, vote: SignedVote) {
        let mut seen = self.seen();
        let (epoch, view, seat) = (vote.vote.epoch(), vote.vote.view(), vote.seat);
        let votes = seen.heard.entry((who, epoch, view, seat)).or_default();
        if votes.len() >= VOTES_MAX || votes.contains(&vote) {
            return;
        }
        let conflict = votes.iter().any(|earlier| ConflictingVotes::new(*earlier, vote).is_ok());
        votes.push(vote);
        if conflict {
            seen.conflicts.entry((epoch, seat)).or_default().insert((who, view));
        }
    }

    /// In how many views votes of a seat that exclude each other reached one honest validator, by epoch and seat.
    pub(crate) fn conflicts(&self) -> BTreeMap<(Epoch, u32), usize> {
        self.seen().conflicts.iter().map(|(seat, views)| (*seat, views.len())).collect()
    }

    /// An honest validator has found a block invalid.
    pub(crate) fn refused(&self, proposer: PublicKey) {
        *self.seen().refused.entry(proposer).or_default() += 1;
    }

    /// How many blocks were found invalid.
    pub(crate) fn refusals(&self) -> u64 {
        self.seen().refused.values().sum()
    }

    /// Who was accused, and by whom.
    pub(crate) fn accusations(&self) -> BTreeMap<PublicKey, BTreeSet<usize>> {
        self.seen().accused.clone()
    }

    /// All final blocks, folded into one hash.
    pub(crate) fn digest(&self) -> Digest {
        let seen = self.seen();
        let rows: Vec<_> = seen.final_blocks.iter().map(|(height, id)| (*height, *id)).collect();
        let bytes: Vec<u8> = rows.iter().flat_map(encode).collect();
        Domain::Header.hash_bytes(&bytes)
    }

    pub(crate) fn height(&self, who: usize) -> u64 {
        self.seen().heights.get(&who).copied().unwrap_or_default()
    }

    pub(crate) fn violate(&self, violation: Violation) {
        self.seen().violations.push(violation);
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.seen().violations.clone()
    }
}
