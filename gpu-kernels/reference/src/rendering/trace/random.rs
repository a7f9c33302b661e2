//! The random numbers of a path: addressed by frame, pixel, sample and bounce, never drawn in turn.

use super::bvh::at;
use crate::numerics::Philox;

/// What a random number decides, within a bounce.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Lobe = 0,
    DirectionFirst = 1,
    DirectionSecond = 2,
    Light = 3,
    LightFirst = 4,
    LightSecond = 5,
    Roulette = 6,
}

/// Numbers that a bounce may need.
const PURPOSES: u32 = 7;
/// Numbers that the camera needs: where in the pixel.
const CAMERA: u32 = 2;
/// Bounces whose numbers come from the lattice.
const LATTICE_BOUNCES: u32 = 8;
/// Dimensions of the lattice.
const DIMENSIONS: usize = 60;
/// The lattice has 2^12 points; more samples begin it anew, with other shifts.
const LATTICE_BITS: u32 = 12;

// REN-25: samples of a pixel are points of one lattice, which each pixel shifts by numbers of its own.
/// The generating vector of the lattice: found by search, dimension by dimension, for 2^4 to 2^12 points at once.
const GENERATOR: [u32; DIMENSIONS] = [
    1, 467, 3_407, 3_355, 1_089, 1_277, 3_309, 3_717, 2_103, 2_883, 4_023, 3_439, 1_463, 797, 3_621, 231, 2_127, 2_547,
    821, 1_111, 1_697, 1_369, 2_381, 1_217, 1_151, 2_299, 3_961, 2_543, 719, 3_971, 3_885, 2_663, 3_923, 3_853, 4_077,
    183, 1_061, 2_895, 385, 857, 207, 2_743, 2_321, 1_569, 2_885, 3_069, 3_065, 863, 1_839, 1_523, 17, 1_815, 3_295,
    103, 493, 2_649, 3_637, 1_789, 2_601, 1_665,
];

/// The random numbers of one pixel of one frame.
pub(crate) struct PixelStream {
    philox: Philox,
    pixel: u32,
    frame: u32,
    /// The shifts of the lattice for this run of 2^12 samples.
    shifts: [u32; DIMENSIONS],
    run: u32,
}

/// The random numbers of one path.
#[derive(Clone, Copy)]
pub(crate) struct PathStream<'a> {
    pixel: &'a PixelStream,
    sample: u32,
    /// The place on the lattice, its bits reversed: half the points lie in each half, and so on.
    point: u32,
}

impl PixelStream {
    #[inline(always)]
    pub(crate) fn new(philox: Philox, frame: u32, pixel: u32) -> Self {
        let mut stream = Self { philox, pixel, frame, shifts: [0; DIMENSIONS], run: 0 };
        stream.shift();
        stream
    }

    /// The stream of a sample; samples come in their order.
    #[inline(always)]
    pub(crate) fn path(&mut self, sample: u32) -> PathStream<'_> {
        if sample >> LATTICE_BITS != self.run {
            self.run = sample >> LATTICE_BITS;
            self.shift();
        }
        let index = sample & ((1 << LATTICE_BITS) - 1);
        PathStream { pixel: self, sample, point: index.reverse_bits() }
    }

    #[inline(always)]
    fn shift(&mut self) {
        let (blocks, _) = self.shifts.as_chunks_mut::<4>();
        for (block, words) in blocks.iter_mut().zip(0_u32..) {
            *block = self.philox.at([self.pixel, self.frame, self.run, words]);
        }
    }
}

impl PathStream<'_> {
    /// Where in the pixel the path begins.
    #[inline(always)]
    pub(crate) fn camera(&self) -> [u32; 2] {
        [self.lattice(0), self.lattice(1)]
    }

    /// The numbers of a bounce, by purpose.
    #[inline(always)]
    pub(crate) fn bounce(&self, bounce: u32) -> [u32; 8] {
        let mut numbers = [0; 8];
        if bounce < LATTICE_BOUNCES {
            let first = at(CAMERA + bounce * PURPOSES);
            for (index, number) in numbers.iter_mut().enumerate().take(at(PURPOSES)) {
                *number = self.lattice(first + index);
            }
        } else {
            // Beyond the lattice the address holds the sample itself; the high bit tells these addresses from shifts.
            for half in 0..2 {
                let address = [self.pixel.pixel, self.pixel.frame, self.sample, 1 << 31 | bounce << 1 | half];
                numbers[4 * at(half)..4 * at(half) + 4].copy_from_slice(&self.pixel.philox.at(address));
            }
        }
        numbers
    }

    #[inline(always)]
    fn lattice(&self, dimension: usize) -> u32 {
        self.point.wrapping_mul(GENERATOR[dimension]).wrapping_add(self.pixel.shifts[dimension])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_dimension_fill_every_sixteenth() {
        for dimension in 0..DIMENSIONS {
            let mut stream = PixelStream::new(Philox::new([1, 2]), 3, 4);
            let mut filled = [0; 16];
            for sample in 0..64 {
                filled[at(stream.path(sample).lattice(dimension) >> 28)] += 1;
            }
            assert_eq!(filled, [4; 16], "dimension {dimension}");
        }
    }

    #[test]
    fn other_addresses_have_other_numbers() {
        let numbers = |frame, pixel, sample, bounce| {
            PixelStream::new(Philox::new([1, 2]), frame, pixel).path(sample).bounce(bounce)
        };
        let one = numbers(0, 0, 0, 9);
        for other in [numbers(1, 0, 0, 9), numbers(0, 1, 0, 9), numbers(0, 0, 1, 9), numbers(0, 0, 0, 10)] {
            assert!(one.iter().zip(&other).all(|(a, b)| a != b));
        }
        assert_ne!(numbers(0, 0, 1, 0), numbers(0, 0, 4_097, 0), "a second run of the lattice is shifted anew");
    }
}
