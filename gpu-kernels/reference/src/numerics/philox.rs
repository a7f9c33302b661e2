//! Philox 4x32-10: random numbers that are addressed, never drawn in turn.

use cpc_primitives::Digest;

use crate::numerics::float::unit;

/// The multipliers of the rounds.
const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
/// What is added to the key after each round.
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
/// How many rounds.
const ROUNDS: u32 = 10;

/// A keyed function from 128 bits of address to 128 random bits (NUM-12).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Philox {
    key: [u32; 2],
}

impl Philox {
    /// A stream under a key of two words.
    pub const fn new(key: [u32; 2]) -> Self {
        Self { key }
    }

    /// A stream under the first eight bytes of a digest, little-endian (NUM-13).
    pub fn keyed(digest: &Digest) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = digest.0;
        Self { key: [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])] }
    }

    /// The four words at an address.
    #[inline(always)]
    pub fn at(&self, address: [u32; 4]) -> [u32; 4] {
        let ([mut a, mut b, mut c, mut d], [mut k0, mut k1]) = (address, self.key);
        for _ in 0..ROUNDS {
            let (high0, low0) = wide(MULTIPLIERS[0], a);
            let (high1, low1) = wide(MULTIPLIERS[1], c);
            (a, b, c, d) = (high1 ^ b ^ k0, low1, high0 ^ d ^ k1, low0);
            (k0, k1) = (k0.wrapping_add(WEYL[0]), k1.wrapping_add(WEYL[1]));
        }
        [a, b, c, d]
    }

    /// Four numbers in [0, 1) at an address, each a multiple of 2^-24 (NUM-13).
    #[inline(always)]
    pub fn units_at(&self, address: [u32; 4]) -> [f32; 4] {
        self.at(address).map(unit)
    }
}

/// Both halves of a product.
#[inline(always)]
#[allow(clippy::as_conversions, reason = "the two halves of 64 bits")]
fn wide(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a).wrapping_mul(u64::from(b));
    ((product >> 32) as u32, product as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The known answers that the authors of the generator publish for 10 rounds.
    #[test]
    fn the_published_answers_come_out() {
        let cases = [
            ([0; 2], [0; 4], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([!0; 2], [!0; 4], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0xa409_3822, 0x299f_31d0],
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (key, address, expected) in cases {
            assert_eq!(Philox::new(key).at(address), expected);
        }
    }

    #[test]
    fn a_unit_is_below_one() {
        assert_eq!(unit(u32::MAX).to_bits(), 0x3f7f_ffff);
        assert_eq!(unit(0).to_bits(), 0);
    }
}
