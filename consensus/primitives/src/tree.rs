//! The hashes of the state tree: what a root commits to, for the store that builds it and whoever checks a proof.
//!
//! The hash of a key picks one of `2^20` buckets. Inside a bucket the entries form a binary trie over the next bits;
//! above the buckets the roots form a dense binary tree of 20 levels (TREE-1 to TREE-5).

use std::collections::BTreeMap;

use crate::codec::encode;
use crate::hash::{Digest, Domain};
use crate::limits::BUCKET_BITS;
use crate::state::StateKey;

/// The root of a bucket, or of a part of one, in which there is nothing (TREE-3).
pub const EMPTY: Digest = Digest::ZERO;

/// Where a key is in the tree: the hash of its bytes (TREE-1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyHash(pub Digest);

impl KeyHash {
    /// The place of a key.
    pub fn of(key: &StateKey) -> Self {
        Self(Domain::StateKey.hash_bytes(key.bytes()))
    }

    /// The bucket: the first 20 bits.
    pub fn bucket(&self) -> u32 {
        let [a, b, c, ..] = self.0.0;
        u32::from_be_bytes([0, a, b, c]) >> 4
    }

    /// The bit at a depth inside the bucket; depth 0 is the first bit after those of the bucket.
    pub fn bit(&self, depth: u32) -> Side {
        let place = BUCKET_BITS.saturating_add(depth);
        let byte = usize::try_from(place / 8).expect("a place within 32 bytes");
        if self.0.0[byte] & (0x80 >> (place % 8)) == 0 { Side::Left } else { Side::Right }
    }
}

/// Which child of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The bit is 0.
    Left,
    /// The bit is 1.
    Right,
}

/// The hash of a value, as it stands in a leaf.
pub fn value_hash(value: &[u8]) -> Digest {
    Domain::StateValue.hash_bytes(value)
}

/// The leaf of an entry: its full key and the hash of its value (TREE-2).
pub fn leaf(key: &StateKey, value_hash: &Digest) -> Digest {
    let mut hasher = Domain::StateLeaf.hasher();
    hasher.update(&encode(key)).update(&value_hash.0);
    hasher.finalize().into()
}

/// An inner node of a bucket that has more than one entry below it.
///
/// A part of a bucket with a single entry is that entry's leaf itself, at whatever depth (TREE-3).
pub fn bucket_node(left: &Digest, right: &Digest) -> Digest {
    Domain::StateBucketNode.hash_pair(left, right)
}

/// A node above the buckets (TREE-4).
pub fn dense_node(left: &Digest, right: &Digest) -> Digest {
    Domain::StateDenseNode.hash_pair(left, right)
}

/// The roots of dense trees without entries: `[level]` for the tree over `2^level` empty buckets (TREE-5).
pub fn empty_roots() -> [Digest; 21] {
    let mut roots = [EMPTY; 21];
    for level in 1..roots.len() {
        let below = roots[level.saturating_sub(1)];
        roots[level] = dense_node(&below, &below);
    }
    roots
}

/// Joins the two halves of a bucket's part, as TREE-3 says.
///
/// This is the whole rule of a bucket's shape: nothing joins to nothing, a lone entry goes up as it is.
pub fn join(left: Part, right: Part) -> Part {
    match (left, right) {
        (Part::Empty, Part::Empty) => Part::Empty,
        (Part::Empty, Part::Leaf(leaf)) | (Part::Leaf(leaf), Part::Empty) => Part::Leaf(leaf),
        (left, right) => Part::Node(bucket_node(&left.digest(), &right.digest())),
    }
}

/// What there is in a part of a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Nothing.
    Empty,
    /// One entry: its leaf.
    Leaf(Digest),
    /// More than one: the node over them.
    Node(Digest),
}

impl Part {
    /// The hash of the part.
    pub const fn digest(self) -> Digest {
        match self {
            Self::Empty => EMPTY,
            Self::Leaf(digest) | Self::Node(digest) => digest,
        }
    }
}

/// The root of a whole state, from its entries alone.
///
/// This is the definition, said as simply as it can be: for block 0, and to hold the store's incremental tree to.
pub fn root_of(entries: &BTreeMap<StateKey, Vec<u8>>) -> Digest {
    let mut leaves: Vec<(KeyHash, Digest)> =
        entries.iter().map(|(key, value)| (KeyHash::of(key), leaf(key, &value_hash(value)))).collect();
    leaves.sort_by_key(|(hash, _)| *hash);

    let mut level: BTreeMap<u32, Digest> = leaves
        .chunk_by(|(a, _), (b, _)| a.bucket() == b.bucket())
        .map(|bucket| (bucket[0].0.bucket(), part_of(bucket, 0).digest()))
        .collect();
    let empty = empty_roots();
    for below in &empty[..empty.len().saturating_sub(1)] {
        let mut above = BTreeMap::new();
        for place in level.keys().map(|place| place & !1) {
            let child = |place: u32| level.get(&place).unwrap_or(below);
            above.insert(place >> 1, dense_node(child(place), child(place | 1)));
        }
        level = above;
    }
    level.get(&0).copied().unwrap_or(empty[20])
}

/// What a sorted run of entries with the same bits above `depth` makes (TREE-3).
fn part_of(entries: &[(KeyHash, Digest)], depth: u32) -> Part {
    match entries {
        [] => Part::Empty,
        [(_, leaf)] => Part::Leaf(*leaf),
        more => {
            let middle = more.partition_point(|(hash, _)| hash.bit(depth) == Side::Left);
            let (left, right) = more.split_at(middle);
            let below = depth.checked_add(1).expect("two different hashes differ within 256 bits");
            join(part_of(left, below), part_of(right, below))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BUCKET_DEPTH_MAX;

    #[test]
    fn bits_follow_the_bucket() {
        let mut bytes = [0; 32];
        (bytes[0], bytes[1], bytes[2]) = (0xab, 0xcd, 0xe9);
        let hash = KeyHash(Digest(bytes));
        assert_eq!(hash.bucket(), 0xabcde);
        assert_eq!([0, 1, 2, 3].map(|depth| hash.bit(depth)), [Side::Right, Side::Left, Side::Left, Side::Right]);
        assert_eq!(hash.bit(235), Side::Left);
    }

    #[test]
    fn a_lone_entry_goes_up_as_it_is() {
        let leaf = Domain::StateLeaf.hash_bytes(b"leaf");
        assert_eq!(join(Part::Empty, Part::Leaf(leaf)), Part::Leaf(leaf));
        assert_eq!(join(Part::Leaf(leaf), Part::Empty), Part::Leaf(leaf));
        assert_eq!(join(Part::Empty, Part::Empty).digest(), EMPTY);
        let both = bucket_node(&leaf, &leaf);
        assert_eq!(join(Part::Leaf(leaf), Part::Leaf(leaf)), Part::Node(both));
        assert_eq!(join(Part::Node(both), Part::Empty), Part::Node(bucket_node(&both, &EMPTY)));
    }

    #[test]
    fn the_empty_world_has_a_constant_root() {
        let roots = empty_roots();
        assert_eq!(roots[0], EMPTY);
        assert_eq!(roots[1], dense_node(&EMPTY, &EMPTY));
        assert_eq!(roots[20], dense_node(&roots[19], &roots[19]));
        assert_eq!(root_of(&BTreeMap::new()), roots[20]);
    }

    #[test]
    fn one_entry_and_two_in_a_bucket_are_what_the_clauses_say() {
        let key = |n: u32| StateKey::raw(&n.to_le_bytes()).expect("short");
        let entry = |key: &StateKey| (key.clone(), b"value".to_vec());
        let up = |bucket: u32, root: Digest| {
            empty_roots()[..20].iter().enumerate().fold(root, |node, (level, beside)| {
                if bucket >> level & 1 == 0 { dense_node(&node, beside) } else { dense_node(beside, &node) }
            })
        };
        let (first, hash) = (key(0), KeyHash::of(&key(0)));
        let lone = leaf(&first, &value_hash(b"value"));
        assert_eq!(root_of(&BTreeMap::from([entry(&first)])), up(hash.bucket(), lone));

        let twin = (1..).map(key).find(|k| KeyHash::of(k).bucket() == hash.bucket()).expect("there are many keys");
        let other = KeyHash::of(&twin);
        let beside = leaf(&twin, &value_hash(b"value"));
        let split = (0..BUCKET_DEPTH_MAX).find(|d| hash.bit(*d) != other.bit(*d)).expect("two keys differ");
        let mut node = match hash.bit(split) {
            Side::Left => bucket_node(&lone, &beside),
            Side::Right => bucket_node(&beside, &lone),
        };
        for depth in (0..split).rev() {
            node = match hash.bit(depth) {
                Side::Left => bucket_node(&node, &EMPTY),
                Side::Right => bucket_node(&EMPTY, &node),
            };
        }
        assert_eq!(root_of(&BTreeMap::from([entry(&first), entry(&twin)])), up(hash.bucket(), node));
    }
}
