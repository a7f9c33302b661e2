//! Hash chains: secrets whose next element nobody can guess and everybody can check against the last one.
//!
//! The owner draws a seed, hashes it a fixed number of times and registers the end; then it opens one element after
//! the other, from the end towards the seed (VAL-3).

use core::fmt;

use crate::error::{Mismatch, same};
use crate::hash::{Digest, Domain};

/// The most steps of the chain that feeds the beacon: one element a view.
pub const BEACON_STEPS: u32 = 1 << 26;
/// Steps of the chain of secrets: one element an epoch.
pub const SECRET_STEPS: u32 = 1 << 16;

/// Steps between two elements that the owner keeps: an element costs it at most so many, less one.
const CHECKPOINT_STEPS: u32 = 1 << 13;
/// The most elements that the owner of a chain keeps: 256 KiB of them.
pub const CHECKPOINTS_MAX: usize = 1 << 13;

const _: () = assert!(BEACON_STEPS == CHECKPOINT_STEPS * (1 << 13), "the longest chain has no more checkpoints");
const _: () = assert!(SECRET_STEPS <= BEACON_STEPS, "no chain is longer than the beacon's");

/// The element that comes so many steps after this one, towards the end of its chain.
pub fn advance(element: Digest, steps: u32) -> Digest {
    let mut element = element;
    for _ in 0..steps {
        element = Domain::ChainStep.hash_bytes(&element.0);
    }
    element
}

/// A hash chain in the hands of its owner, who finds any element of it quickly.
#[derive(Clone, PartialEq, Eq)]
pub struct HashChain {
    steps: u32,
    /// The seed, and every element that comes a whole number of checkpoints after it.
    checkpoints: Vec<Digest>,
    end: Digest,
}

/// Why elements that were kept are not those of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongCheckpoints {
    /// Too few or too many.
    #[error("the elements kept of a hash chain: {0}")]
    Count(Mismatch<usize>),
    /// They are of another chain.
    #[error("the last element kept leads to another end: {0}")]
    End(Mismatch<Digest>),
}

impl HashChain {
    /// Hashes a seed to the end of its chain, which takes some seconds for the longest.
    pub fn build(seed: Digest, steps: u32) -> Self {
        let (mut element, mut left) = (seed, steps);
        let mut checkpoints = vec![seed];
        while left > CHECKPOINT_STEPS {
            element = advance(element, CHECKPOINT_STEPS);
            checkpoints.push(element);
            left = left.saturating_sub(CHECKPOINT_STEPS);
        }
        Self { steps, checkpoints, end: advance(element, left) }
    }

    /// The chain of elements that were kept, if the last of them leads to this end.
    ///
    /// Whether those before it lead to each other is not looked at: that costs as much as to build the chain. A wrong
    /// one yields elements that every ledger refuses, the owner's first.
    pub fn resume(steps: u32, checkpoints: Vec<Digest>, end: Digest) -> Result<Self, WrongCheckpoints> {
        let between = steps.saturating_sub(1) / CHECKPOINT_STEPS;
        let expected = place(between).saturating_add(1);
        same(expected, checkpoints.len()).map_err(WrongCheckpoints::Count)?;
        let last = *checkpoints.last().expect("at least one, as was just seen");
        let left = steps.saturating_sub(between.saturating_mul(CHECKPOINT_STEPS));
        same(end, advance(last, left)).map_err(WrongCheckpoints::End)?;
        Ok(Self { steps, checkpoints, end })
    }

    /// What to keep beside the end and the number of steps: as secret as the seed, which is the first of them.
    pub fn checkpoints(&self) -> &[Digest] {
        &self.checkpoints
    }

    /// The end, which is registered.
    pub const fn end(&self) -> Digest {
        self.end
    }

    /// How often the seed is hashed to reach the end.
    pub const fn steps(&self) -> u32 {
        self.steps
    }

    /// The element that is so many steps before the end, as long as the chain has one.
    pub fn element(&self, index: u32) -> Option<Digest> {
        let from_seed = self.steps.checked_sub(index)?;
        match self.checkpoints.get(place(from_seed / CHECKPOINT_STEPS)) {
            Some(kept) => Some(advance(*kept, from_seed % CHECKPOINT_STEPS)),
            // The end of a chain that is a whole number of checkpoints long.
            None => Some(self.end),
        }
    }
}

/// Its elements are secret, so that a log shows none of them but the end.
impl fmt::Debug for HashChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashChain({} steps to {})", self.steps, self.end)
    }
}

fn place(checkpoint: u32) -> usize {
    usize::try_from(checkpoint).expect("a chain has at most 2^13 checkpoints")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Digest {
        Domain::ChainStep.hash_bytes(b"seed")
    }

    #[test]
    fn steps_add_up() {
        assert_eq!(advance(seed(), 0), seed());
        assert_eq!(advance(advance(seed(), 3), 4), advance(seed(), 7));
        assert_ne!(advance(seed(), 7), advance(seed(), 8));
    }

    // VAL-3: element i of a chain is the seed hashed so often that i steps are left.
    #[test]
    fn every_element_is_as_far_from_the_end_as_its_index_says() {
        for steps in [0, 1, 2, 8_191, 8_192, 8_193, 16_383, 16_384, 16_385, 20_000] {
            let chain = HashChain::build(seed(), steps);
            assert_eq!((chain.steps(), chain.end()), (steps, advance(seed(), steps)));
            let wanted = [0, 1, 2, 8_191, 8_192, 8_193, 11_808, 16_384, steps / 2, steps.saturating_sub(1), steps];
            for index in wanted.into_iter().filter(|index| *index <= steps) {
                assert_eq!(chain.element(index), Some(advance(seed(), steps - index)), "{index} of {steps}");
            }
            assert_eq!(chain.element(steps + 1), None);
            assert_eq!(chain.element(u32::MAX), None);
            assert!(chain.checkpoints().len() <= CHECKPOINTS_MAX);
        }
    }

    #[test]
    fn a_chain_goes_on_from_what_was_kept() {
        for steps in [0, 1, 8_191, 8_192, 8_193, 20_000] {
            let chain = HashChain::build(seed(), steps);
            let kept = chain.checkpoints().to_vec();
            assert_eq!(HashChain::resume(steps, kept.clone(), chain.end()), Ok(chain.clone()));

            let longer = [kept.as_slice(), &[seed()]].concat();
            let (expected, found) = (kept.len(), longer.len());
            let refused = HashChain::resume(steps, longer, chain.end());
            assert_eq!(refused, Err(WrongCheckpoints::Count(Mismatch { expected, found })));
            let none = HashChain::resume(steps, vec![], chain.end());
            assert_eq!(none, Err(WrongCheckpoints::Count(Mismatch { expected, found: 0 })));
            let (expected, found) = (advance(seed(), steps + 1), chain.end());
            let other = HashChain::resume(steps, kept, expected);
            assert_eq!(other, Err(WrongCheckpoints::End(Mismatch { expected, found })));
        }
    }

    #[test]
    fn a_log_shows_nothing_of_a_chain_but_its_end() {
        let chain = HashChain::build(seed(), 3);
        assert_eq!(format!("{chain:?}"), format!("HashChain(3 steps to {})", chain.end()));
    }
}
