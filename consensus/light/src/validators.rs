//! The ordered set of consensus keys that decides an epoch.

use cpc_primitives::codec::{Bounded, TooMany};
use cpc_primitives::limits::SEATS_MAX;
use cpc_primitives::{Digest, Domain, PublicKey};

/// The consensus keys of one epoch, ascending by their bytes: the order of every certificate's bitmap (CERT-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorSet {
    keys: Bounded<PublicKey, SEATS_MAX>,
}

/// Why keys are not a set of validators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Nobody could decide.
    #[error("a set of validators has at least one key")]
    Empty,
    /// More seats than the formats allow.
    #[error("the keys of a set of validators: {0}")]
    TooMany(#[from] TooMany),
    /// One validator would vote twice.
    #[error("the key {key} is twice in the set of validators")]
    Duplicate {
        /// The key.
        key: PublicKey,
    },
    /// A set has one order only.
    #[error("key {place} of the set of validators, {key}, comes before the key that precedes it, {before}")]
    Order {
        /// The place of the key.
        place: usize,
        /// The key before it, which is greater.
        before: PublicKey,
        /// The key.
        key: PublicKey,
    },
}

impl ValidatorSet {
    /// Takes keys that somebody sent: they must stand in the one order (CERT-1).
    pub fn ordered(keys: Vec<PublicKey>) -> Result<Self, SetError> {
        // CERT-1: one set has one form, so that its hash names it.
        for (place, (before, key)) in (1..).zip(keys.iter().zip(keys.iter().skip(1))) {
            match before.bytes().cmp(key.bytes()) {
                core::cmp::Ordering::Less => {}
                core::cmp::Ordering::Equal => return Err(SetError::Duplicate { key: *key }),
                core::cmp::Ordering::Greater => return Err(SetError::Order { place, before: *before, key: *key }),
            }
        }
        if keys.is_empty() {
            return Err(SetError::Empty);
        }
        Ok(Self { keys: Bounded::new(keys)? })
    }

    /// Takes keys of our own in any order, and brings them into the one order.
    pub fn new(mut keys: Vec<PublicKey>) -> Result<Self, SetError> {
        keys.sort_unstable_by(|a, b| a.bytes().cmp(b.bytes()));
        Self::ordered(keys)
    }

    /// The name of the set: what headers commit to (CERT-2).
    pub fn hash(&self) -> Digest {
        Domain::ValidatorSet.hash(&self.keys)
    }

    /// How many seats there are.
    pub fn len(&self) -> u32 {
        u32::try_from(self.keys.len()).expect("a set has at most 256 seats")
    }

    /// Never: a set has at least one seat.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many seats decide: all but the third that may be dishonest (CERT-3).
    pub fn quorum(&self) -> u32 {
        // CERT-3: n - floor((n - 1) / 3).
        let faults = self.len().saturating_sub(1) / 3;
        self.len().saturating_sub(faults)
    }

    /// The key of a seat.
    pub fn key(&self, seat: u32) -> Option<&PublicKey> {
        usize::try_from(seat).ok().and_then(|seat| self.keys.get(seat))
    }

    /// The seat of a key.
    pub fn seat(&self, key: &PublicKey) -> Option<u32> {
        let seat = self.keys.binary_search_by(|other| other.bytes().cmp(key.bytes())).ok()?;
        u32::try_from(seat).ok()
    }

    /// The keys in their order.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use cpc_primitives::SecretKey;
    use cpc_primitives::codec::encode;

    use super::*;

    fn keys(count: u16) -> Vec<PublicKey> {
        let seed = |n: u16| Domain::ChainStep.hash_bytes(&n.to_le_bytes()).0;
        (0..count).map(|n| SecretKey::from_seed(&seed(n)).public()).collect()
    }

    #[test]
    fn a_quorum_is_all_but_the_faulty_third() {
        let quorum = |seats| ValidatorSet::new(keys(seats)).expect("a set").quorum();
        let table = [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (10, 7), (16, 11), (100, 67), (256, 171)];
        for (seats, expected) in table {
            assert_eq!(quorum(seats), expected, "{seats}");
        }
    }

    #[test]
    fn the_order_of_the_keys_is_the_order_of_the_seats() {
        let set = ValidatorSet::new(keys(16)).expect("a set");
        for (seat, key) in (0..).zip(set.keys()) {
            assert_eq!(set.seat(key), Some(seat));
            assert_eq!(set.key(seat), Some(key));
        }
        assert_eq!(set.key(16), None);
        assert_eq!(set.seat(&SecretKey::from_seed(&[9; 32]).public()), None);
    }

    #[test]
    fn only_the_one_order_is_read() {
        let set = ValidatorSet::new(keys(4)).expect("a set");
        let sorted = set.keys().to_vec();
        assert_eq!(ValidatorSet::ordered(sorted.clone()), Ok(set));
        let mut swapped = sorted.clone();
        swapped.swap(1, 2);
        let order = SetError::Order { place: 2, before: sorted[2], key: sorted[1] };
        assert_eq!(ValidatorSet::ordered(swapped), Err(order));
        let doubled = vec![sorted[0], sorted[1], sorted[1]];
        assert_eq!(ValidatorSet::ordered(doubled.clone()), Err(SetError::Duplicate { key: sorted[1] }));
        assert_eq!(ValidatorSet::new(doubled), Err(SetError::Duplicate { key: sorted[1] }));
        assert_eq!(ValidatorSet::new(Vec::new()), Err(SetError::Empty));
        let many = SetError::TooMany(TooMany { max: SEATS_MAX, found: 257 });
        assert_eq!(ValidatorSet::new(keys(257)), Err(many));
    }

    #[test]
    fn the_hash_is_of_the_count_and_the_keys() {
        let set = ValidatorSet::new(keys(4)).expect("a set");
        let mut bytes = 4u64.to_le_bytes().to_vec();
        set.keys().iter().for_each(|key| bytes.extend_from_slice(key.bytes()));
        assert_eq!(encode(&set.keys), bytes);
        assert_eq!(set.hash(), Domain::ValidatorSet.hash_bytes(&bytes));
        assert_ne!(set.hash(), ValidatorSet::new(keys(3)).expect("a set").hash());
    }
}
