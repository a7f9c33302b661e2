//! Whoever sees everything: what every validator commits, who lied, and who was caught.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cpc_primitives::codec::encode;
use cpc_primitives::{Block, BlockId, Digest, Domain, Epoch, PublicKey, View};

/// What must never happen, and did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Violation {
    /// Two final blocks at one height, or one block with two states.
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

#[derive(Default)]
struct Seen {
    final_blocks: BTreeMap<u64, (BlockId, Digest)>,
    heights: BTreeMap<usize, u64>,
    accused: BTreeMap<PublicKey, BTreeSet<usize>>,
    lied: BTreeMap<PublicKey, BTreeSet<(Epoch, View)>>,
    violations: Vec<Violation>,
}

/// What was seen, by all validators together.
#[derive(Default)]
pub(crate) struct Watch(Mutex<Seen>);

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn committed(&self, who: usize, block: &Block) {
        let mut seen = self.seen();
        let (height, found) = (block.header.height.0, (block.id(), block.header.state_root));
        let expected = *seen.final_blocks.entry(height).or_insert(found);
        if expected != found {
            seen.violations.push(Violation::Fork { height, who, blocks: [found.0, expected.0] });
        }
        let before = seen.heights.get(&who).copied().unwrap_or_default();
        if height > before + 1 {
            seen.violations.push(Violation::Gap { who, heights: [before, height] });
        }
        let highest = height.max(before);
        seen.heights.insert(who, highest);
    }

    /// Somebody has proof against a key.
    pub(crate) fn accused(&self, who: usize, key: PublicKey) {
        self.seen().accused.entry(key).or_default().insert(who);
    }

    /// Who was accused, and by whom.
    pub(crate) fn accusations(&self) -> BTreeMap<PublicKey, BTreeSet<usize>> {
        self.seen().accused.clone()
    }

    /// Who is known to have lied to everybody.
    pub(crate) fn liars(&self) -> BTreeSet<PublicKey> {
        self.seen().lied.keys().copied().collect()
    }

    /// All final blocks, folded into one hash.
    pub(crate) fn digest(&self) -> Digest {
        let seen = self.seen();
        let rows: Vec<_> = seen.final_blocks.iter().map(|(height, (id, root))| (*height, *id, *root)).collect();
        let bytes: Vec<u8> = rows.iter().flat_map(encode).collect();
        Domain::Header.hash_bytes(&bytes)
    }

    pub(crate) fn lied(&self, key: PublicKey, epoch: Epoch, view: View) {
        self.seen().lied.entry(key).or_default().insert((epoch, view));
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
