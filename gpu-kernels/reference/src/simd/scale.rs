//! Products of elements, one by one: the diagonal of each step, and the form in which the next step reads them.

use crate::numerics::field::mul;
use crate::simd::field::{Row, Tile, balance};
use crate::simd::{Level, Portable, dispatch};

/// Writes the rows of a tile in balanced form, each times its factor.
pub fn scale_rows<const R: usize>(level: Level, tile: &Tile<R>, factors: &[u32], out: &mut [Row]) {
    dispatch(level, ScaleRows { tile, factors, out });
}

struct ScaleRows<'a, const R: usize> {
    tile: &'a Tile<R>,
    factors: &'a [u32],
    out: &'a mut [Row],
}

impl<const R: usize> Portable for ScaleRows<'_, R> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for ((row, factor), out) in self.tile.iter().zip(self.factors).zip(self.out) {
            for (out, value) in out.0.iter_mut().zip(row) {
                *out = balance(mul(*value, *factor));
            }
        }
    }
}
