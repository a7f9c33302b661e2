//! Hashes many pairs of digests at once, on all lanes of the processor.

use blake3::IncrementCounter;
use blake3::platform::{MAX_SIMD_DEGREE, Platform};
use cpc_primitives::{Digest, Domain};

/// Two digests side by side: the input of one node.
pub(crate) type Pair = [u8; 64];

/// BLAKE3's flags of a keyed hash whose input is one whole block: first, last and root at once.
const KEYED_HASH: u8 = 1 << 4;
const CHUNK_START: u8 = 1 << 0;
const CHUNK_END_ROOT: u8 = (1 << 1) | (1 << 3);

/// The digests of pairs under a domain, as `Domain::hash_pair` gives them one by one.
///
/// One node is a single block, which the usual interface hashes on one lane; here up to 16 nodes share an
/// instruction. The interface is not documented by its crate, so its version is pinned and a test holds the two equal.
pub(crate) fn hash_pairs(domain: Domain, pairs: &[Pair], out: &mut Vec<Digest>) {
    let platform = Platform::detect();
    let key = key_words(domain);
    out.reserve(pairs.len());
    for group in pairs.chunks(MAX_SIMD_DEGREE) {
        let mut inputs = [&[0; 64]; MAX_SIMD_DEGREE];
        for (input, pair) in inputs.iter_mut().zip(group) {
            *input = pair;
        }
        let mut digests = [0; 32 * MAX_SIMD_DEGREE];
        let inputs = &inputs[..group.len()];
        platform.hash_many(
            inputs,
            &key,
            0,
            IncrementCounter::No,
            KEYED_HASH,
            CHUNK_START,
            CHUNK_END_ROOT,
            &mut digests,
        );
        let (digests, _) = digests.as_chunks();
        out.extend(digests[..group.len()].iter().map(|digest| Digest(*digest)));
    }
}

/// Writes two digests side by side.
pub(crate) fn pair(left: &Digest, right: &Digest) -> Pair {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(&left.0);
    pair[32..].copy_from_slice(&right.0);
    pair
}

fn key_words(domain: Domain) -> [u32; 8] {
    let (words, _) = domain.tag().as_chunks();
    let mut key = [0; 8];
    for (word, bytes) in key.iter_mut().zip(words) {
        *word = u32::from_le_bytes(*bytes);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lanes_hash_what_one_lane_hashes() {
        let digests: Vec<Digest> = (0u32..75).map(|n| Domain::StateLeaf.hash_bytes(&n.to_le_bytes())).collect();
        for count in [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 74] {
            for domain in [Domain::StateDenseNode, Domain::StateBucketNode] {
                let pairs: Vec<Pair> = (0..count).map(|n| pair(&digests[n], &digests[n + 1])).collect();
                let mut lanes = Vec::new();
                hash_pairs(domain, &pairs, &mut lanes);
                let singly: Vec<Digest> = (0..count).map(|n| domain.hash_pair(&digests[n], &digests[n + 1])).collect();
                assert_eq!(lanes, singly, "{count} pairs under {domain:?}");
            }
        }
    }
}
