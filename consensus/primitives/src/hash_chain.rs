//! Hash chains: secrets whose next element nobody can guess and everybody can check against the last one.
//!
//! The owner draws a seed, hashes it a fixed number of times and registers the end; then it opens one element after
//! the other, from the end towards the seed (VAL-3).

use crate::hash::{Digest, Domain};

/// Elements of the chain that feeds the beacon: one a view.
pub const BEACON_STEPS: u32 = 1 << 26;
/// Elements of the chain of secrets: one an epoch.
pub const SECRET_STEPS: u32 = 1 << 16;

/// The element that comes so many steps after this one.
pub fn advance(element: Digest, steps: u32) -> Digest {
    let mut element = element;
    for _ in 0..steps {
        element = Domain::ChainStep.hash_bytes(&element.0);
    }
    element
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_add_up() {
        let seed = Domain::ChainStep.hash_bytes(b"seed");
        assert_eq!(advance(seed, 0), seed);
        assert_eq!(advance(advance(seed, 3), 4), advance(seed, 7));
        assert_ne!(advance(seed, 7), advance(seed, 8));
    }
}
