//! From a seed to the entries of the matrices: one stream for each row, so that every row can be had alone.

use cpc_primitives::Domain;
use cpc_primitives::codec::encode;
use wincode::{SchemaRead, SchemaWrite};

use crate::numerics::field::{P, from_word};
use crate::synthetic::Seed;

/// What a stream is of. The wire number is the place in this list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub(crate) enum Part {
    /// A row of A.
    Matrix,
    /// The diagonal of one step.
    Diagonal,
    /// A column of X_0.
    Start,
}

/// Fills a row with the first elements of its stream (SYN-3).
pub(crate) fn fill(seed: &Seed, part: Part, row: u32, out: &mut [u32]) {
    let mut hasher = Domain::SyntheticStream.hasher();
    hasher.update(&encode(&(seed.clone(), part, row)));
    let mut stream = hasher.finalize_xof();
    let mut bytes = vec![0; out.len().saturating_mul(4)];
    stream.fill(&mut bytes);
    let skipped = take(&bytes, out);
    if skipped {
        let rest = || {
            let mut word = [0; 4];
            stream.fill(&mut word);
            u32::from_le_bytes(word)
        };
        take_slowly(words(&bytes).chain(core::iter::repeat_with(rest)), out);
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

/// Takes each word as an element, and says whether one of them was none.
fn take(bytes: &[u8], out: &mut [u32]) -> bool {
    let mut none = false;
    for (element, word) in out.iter_mut().zip(words(bytes)) {
        *element = word & P;
        none |= *element == P;
    }
    none
}

/// Takes elements one by one, and skips what is none: one row in 2^31 / n.
fn take_slowly(words: impl Iterator<Item = u32>, out: &mut [u32]) {
    for (element, value) in out.iter_mut().zip(words.filter_map(from_word)) {
        *element = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Seed {
        Seed::new(vec![7; 5]).expect("short")
    }

    #[test]
    fn a_row_stands_alone() {
        let row = |part, index, length| {
            let mut out = vec![0; length];
            fill(&seed(), part, index, &mut out);
            out
        };
        let whole = row(Part::Matrix, 3, 1_000);
        assert_eq!(row(Part::Matrix, 3, 10), whole[..10]);
        assert!(whole.iter().all(|element| *element < P));
        for other in [row(Part::Matrix, 4, 10), row(Part::Diagonal, 3, 10), row(Part::Start, 3, 10)] {
            assert_ne!(other, whole[..10]);
        }
    }

    #[test]
    fn what_is_no_element_is_skipped_and_the_rest_moves_up() {
        let stream = [5, 0x7fff_ffff, 6, 0xffff_ffff, 0x8000_0007, 8];
        let bytes: Vec<u8> = stream.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        let mut out = [0; 4];
        assert!(take(&bytes, &mut out));
        assert!(!take(&bytes[..4], &mut out[..1]));
        take_slowly(stream.into_iter(), &mut out);
        assert_eq!(out, [5, 6, 7, 8]);
    }
}
