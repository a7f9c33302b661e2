//! The tree over a list: tagged leaves and nodes, no leaf counted twice, the count bound by the root (MRK-1 to MRK-4).

use wincode::{SchemaRead, SchemaWrite};

use crate::codec::Bounded;
use crate::error::{Mismatch, same};
use crate::hash::{Digest, Domain};
use crate::limits::PATH_STEPS_MAX;

/// The way from one leaf to the root of its tree.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct MerklePath {
    /// The leaf's place in the list.
    pub index: u32,
    /// How long the list is.
    pub count: u32,
    /// The nodes beside the way, from the leaf upwards.
    pub siblings: Bounded<Digest, PATH_STEPS_MAX>,
}

/// Why a path does not lead to a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The place is beyond the end of the list.
    #[error("place {index} in a list of {count}")]
    Place {
        /// The place.
        index: u32,
        /// The length of the list.
        count: u32,
    },
    /// A list of this length has paths of another length.
    #[error("the path's steps: {0}")]
    Steps(Mismatch<usize>),
    /// The path leads elsewhere.
    #[error("the root: {0}")]
    Root(Mismatch<Digest>),
}

/// The root of a list of leaves (MRK-3).
///
/// A level is paired from the left; a last node without a partner goes up as it is. The count is hashed into the
/// root, so that a path cannot claim another length of list.
pub fn root(leaves: &[Digest]) -> Digest {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = level_above(&level);
    }
    seal(leaves.len(), level.first())
}

/// The way from a leaf to the root; `None` beyond the end of the list.
pub fn path(leaves: &[Digest], index: usize) -> Option<MerklePath> {
    leaves.get(index)?;
    let count = u32::try_from(leaves.len()).ok()?;
    let (mut level, mut place, mut siblings) = (leaves.to_vec(), index, Vec::new());
    while level.len() > 1 {
        siblings.extend(level.get(place ^ 1));
        level = level_above(&level);
        place >>= 1;
    }
    let siblings = Bounded::new(siblings).expect("a count of 32 bits has at most 32 levels");
    Some(MerklePath { index: u32::try_from(index).ok()?, count, siblings })
}

impl MerklePath {
    /// Whether this leaf is at this place of the list with this root (MRK-4).
    pub fn verify(&self, leaf: Digest, root: Digest) -> Result<(), PathError> {
        let found = self.root_from(leaf)?;
        same(root, found).map_err(PathError::Root)
    }

    /// The root that this path leads to from a leaf.
    pub fn root_from(&self, leaf: Digest) -> Result<Digest, PathError> {
        let Self { index, count, .. } = *self;
        if index >= count {
            return Err(PathError::Place { index, count });
        }
        let (mut node, mut place, mut width, mut used) = (leaf, index, count, 0usize);
        while width > 1 {
            let alone = place % 2 == 0 && place.checked_add(1) == Some(width);
            if !alone {
                let steps =
                    || PathError::Steps(Mismatch { expected: steps_of(index, count), found: self.siblings.len() });
                let sibling = self.siblings.get(used).ok_or_else(steps)?;
                used = used.saturating_add(1);
                let (left, right) = if place % 2 == 0 { (&node, sibling) } else { (sibling, &node) };
                node = Domain::MerkleNode.hash_pair(left, right);
            }
            place /= 2;
            width = width.div_ceil(2);
        }
        same(used, self.siblings.len()).map_err(PathError::Steps)?;
        Ok(seal(usize::try_from(count).expect("32 bits fit"), Some(&node)))
    }
}

/// How many steps the path of a leaf has.
fn steps_of(index: u32, count: u32) -> usize {
    let (mut place, mut width, mut steps) = (index, count, 0usize);
    while width > 1 {
        if place % 2 == 1 || place.checked_add(1) != Some(width) {
            steps = steps.saturating_add(1);
        }
        place /= 2;
        width = width.div_ceil(2);
    }
    steps
}

fn level_above(level: &[Digest]) -> Vec<Digest> {
    level
        .chunks(2)
        .map(|pair| match pair {
            // MRK-2: a tag that no leaf has.
            [left, right] => Domain::MerkleNode.hash_pair(left, right),
            // MRK-3: a node without a partner is not paired with itself, or two lists would share a root.
            alone => alone[0],
        })
        .collect()
}

fn seal(count: usize, top: Option<&Digest>) -> Digest {
    let count = u64::try_from(count).expect("a list in memory has at most 64 bits of elements");
    Domain::MerkleRoot.hash(&(count, *top.unwrap_or(&Digest::ZERO)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|n| Domain::TxLeaf.hash_bytes(&n.to_le_bytes())).collect()
    }

    #[test]
    fn every_leaf_of_every_small_list_is_proven() {
        for count in 1..70 {
            let leaves = leaves(count);
            let root = root(&leaves);
            for (index, leaf) in leaves.iter().enumerate() {
                let path = path(&leaves, index).expect("in the list");
                assert_eq!(path.verify(*leaf, root), Ok(()), "{index} of {count}");
                assert_eq!(path.siblings.len(), steps_of(path.index, path.count));
            }
            assert_eq!(path(&leaves, count), None);
        }
    }

    #[test]
    fn no_two_lengths_share_a_root() {
        let mut roots: Vec<Digest> = (0..70).map(|count| root(&leaves(count))).collect();
        // A list that repeats its last leaf is another list.
        let mut doubled = leaves(3);
        doubled.push(doubled[2]);
        roots.push(root(&doubled));
        let all = roots.len();
        roots.sort();
        roots.dedup();
        assert_eq!(roots.len(), all);
    }

    proptest! {
        #[test]
        fn a_bent_path_leads_nowhere(count in 1usize..40, index in 0usize..40, bend in 0usize..40, bit in 0u8..8, to in 0u32..80) {
            let leaves = leaves(count);
            let root = root(&leaves);
            let index = index % count;
            let path = path(&leaves, index).expect("in the list");

            let mut siblings = path.siblings.to_vec();
            if let Some(sibling) = siblings.get_mut(bend) {
                sibling.0[bend % 32] ^= 1 << bit;
                let bent = MerklePath { siblings: Bounded::new(siblings).expect("as long"), ..path.clone() };
                prop_assert!(bent.verify(leaves[index], root).is_err());
            }
            if to != path.index {
                let moved = MerklePath { index: to, ..path.clone() };
                prop_assert!(moved.verify(leaves[index], root).is_err());
            }
            if to != path.count {
                let other = MerklePath { count: to, ..path.clone() };
                prop_assert!(other.verify(leaves[index], root).is_err());
            }
        }
    }
}
