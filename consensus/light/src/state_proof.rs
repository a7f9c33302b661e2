//! What the state says of one key, checked against a state root.

use cpc_primitives::codec::Bounded;
use cpc_primitives::limits::{BUCKET_BITS, STATE_VALUE_BYTES_MAX};
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::{self, EMPTY, KeyHash, Side};
use cpc_primitives::{Digest, same};
use wincode::{SchemaRead, SchemaWrite};

use crate::error::ProofError;
use crate::limits::{BUCKET_SIBLINGS_MAX, DENSE_SIBLINGS_MAX};

/// The nodes beside the way through a bucket, the deepest first.
pub type BucketSiblings = Bounded<Digest, BUCKET_SIBLINGS_MAX>;
/// The nodes beside the way from the bucket to the root, the lowest first, without those of empty buckets.
pub type DenseSiblings = Bounded<Digest, DENSE_SIBLINGS_MAX>;

/// A claim that a key has a value, or that it has none (PROOF-1).
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct StateProof {
    /// The key it is about.
    pub key: StateKey,
    /// What there is where the way of the key ends.
    pub terminal: Terminal,
    /// The siblings inside the bucket: `bucket_siblings.len()` is the depth of the terminal.
    pub bucket_siblings: BucketSiblings,
    /// Bit `l` is set where the sibling at level `l` is given; else it is [`tree::empty_roots`]`[l]`.
    pub dense_mask: u32,
    /// The siblings above the bucket that are given.
    pub dense_siblings: DenseSiblings,
}

/// What there is where the way of a key ends (PROOF-2).
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Terminal {
    /// The key's own entry.
    Present {
        /// Its value.
        value: Bounded<u8, STATE_VALUE_BYTES_MAX>,
    },
    /// Nothing.
    EmptySlot,
    /// The entry of another key that has this part of the bucket for itself.
    OtherKey {
        /// The other key.
        key: StateKey,
        /// The hash of its value.
        value_hash: Digest,
    },
}

/// What the state says of a key; only a proof makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedState {
    key: StateKey,
    value: Option<Vec<u8>>,
}

impl StateProof {
    /// Demands that the state with this root says what is claimed.
    pub fn verify(&self, state_root: &Digest) -> Result<VerifiedState, ProofError> {
        let place = KeyHash::of(&self.key);
        let bucket = self.bucket_root(&place)?;
        let found = self.root_above(&place, bucket)?;
        same(*state_root, found).map_err(ProofError::StateRoot)?;
        let value = match &self.terminal {
            Terminal::Present { value } => Some(value.to_vec()),
            Terminal::EmptySlot | Terminal::OtherKey { .. } => None,
        };
        Ok(VerifiedState { key: self.key.clone(), value })
    }

    /// From the terminal to the root of the bucket.
    fn bucket_root(&self, place: &KeyHash) -> Result<Digest, ProofError> {
        // PROOF-3: below the deepest node there are at least two entries, and a part beside nothing or beside a
        // single entry would have gone up as it is.
        if self.bucket_siblings.first() == Some(&EMPTY) {
            return Err(ProofError::BucketEmpty);
        }
        let depth = u32::try_from(self.bucket_siblings.len()).expect("at most 236 siblings");
        let terminal = self.terminal_root(place, depth)?;
        let upwards = (0..depth).rev().zip(&self.bucket_siblings);
        Ok(upwards.fold(terminal, |node, (depth, sibling)| match place.bit(depth) {
            Side::Left => tree::bucket_node(&node, sibling),
            Side::Right => tree::bucket_node(sibling, &node),
        }))
    }

    /// The hash of the terminal, after the demands on another key.
    fn terminal_root(&self, place: &KeyHash, depth: u32) -> Result<Digest, ProofError> {
        match &self.terminal {
            Terminal::Present { value } => Ok(tree::leaf(&self.key, &tree::value_hash(value))),
            Terminal::EmptySlot => Ok(EMPTY),
            Terminal::OtherKey { key, value_hash } => {
                if *key == self.key {
                    return Err(ProofError::OtherKeySame);
                }
                // PROOF-2: an entry elsewhere says nothing about this key.
                let needed = BUCKET_BITS.saturating_add(depth);
                let shared = shared_bits(place, &KeyHash::of(key));
                if shared < needed {
                    return Err(ProofError::OtherKeyElsewhere { needed, shared });
                }
                Ok(tree::leaf(key, value_hash))
            }
        }
    }

    /// From the root of the bucket to the root of the state.
    fn root_above(&self, place: &KeyHash, bucket: Digest) -> Result<Digest, ProofError> {
        // PROOF-4: a proof has one form, so that no bit of it can be changed unnoticed.
        let highest = u32::BITS.saturating_sub(self.dense_mask.leading_zeros());
        if highest > BUCKET_BITS {
            return Err(ProofError::DenseLevel { level: highest.saturating_sub(1) });
        }
        let named = usize::try_from(self.dense_mask.count_ones()).expect("at most 32 bits are set");
        same(named, self.dense_siblings.len()).map_err(ProofError::DenseCount)?;
        let (mut node, mut given) = (bucket, self.dense_siblings.iter());
        for (level, empty) in (0..BUCKET_BITS).zip(&tree::empty_roots()) {
            let sibling = if bit(self.dense_mask, level) { given.next().unwrap_or(empty) } else { empty };
            if bit(self.dense_mask, level) && sibling == empty {
                return Err(ProofError::DenseEmpty { level });
            }
            node = if bit(place.bucket(), level) {
                tree::dense_node(sibling, &node)
            } else {
                tree::dense_node(&node, sibling)
            };
        }
        Ok(node)
    }
}

impl VerifiedState {
    /// The key.
    pub fn key(&self) -> &StateKey {
        &self.key
    }

    /// Its value, or that it has none.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// Both, given away.
    pub fn into_parts(self) -> (StateKey, Option<Vec<u8>>) {
        (self.key, self.value)
    }
}

fn bit(word: u32, place: u32) -> bool {
    word.checked_shr(place).is_some_and(|shifted| shifted & 1 == 1)
}

/// How many bits two places have in common, from the first on.
fn shared_bits(a: &KeyHash, b: &KeyHash) -> u32 {
    let mut shared = 0u32;
    for (a, b) in a.0.0.iter().zip(&b.0.0) {
        let same = (a ^ b).leading_zeros();
        shared = shared.saturating_add(same);
        if same < 8 {
            break;
        }
    }
    shared
}
