//! Renders rectangles of frames on all threads; neither threads nor rectangles change a bit.

use core::ops::Range;

use rayon::prelude::*;

use super::moment::Moment;
use super::tone;
use super::trace::path::{Reach, radiance};
use super::trace::random::PixelStream;
use super::trace::vector::Vec3;
use super::trace::walk::Scratch;
use crate::frame::{RunError, Watch};
use crate::numerics::Philox;
use crate::numerics::float::from_u32;
use crate::numerics::order::{LANES, fold};
use crate::simd::{Level, Portable, dispatch};

/// Bytes of a pixel in an output: three floats, then three bytes.
pub const PIXEL_BYTES: usize = 15;

/// What every pixel of a task shares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) size: [u32; 2],
    pub(crate) samples: u32,
    pub(crate) reach: Reach,
    pub(crate) philox: Philox,
}

/// Pixels of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rectangle {
    pub(crate) origin: [u32; 2],
    pub(crate) extent: [u32; 2],
}

/// Renders a rectangle into `output`, which has room for its pixels, and counts them on the watch.
pub(crate) fn rectangle(
    moment: &Moment<'_>,
    frame: u32,
    settings: &Settings,
    rectangle: Rectangle,
    level: Level,
    output: &mut [u8],
    watch: &Watch,
) -> Result<(), RunError> {
    let [x, y] = rectangle.origin;
    let [width, _] = rectangle.extent;
    let row_bytes = PIXEL_BYTES.saturating_mul(width.try_into().expect("a row fits memory"));
    let rows = output.par_chunks_exact_mut(row_bytes).zip(y..y.saturating_add(rectangle.extent[1]));
    rows.try_for_each(|(row, y)| {
        let columns = x..x.saturating_add(width);
        dispatch(level, Row { moment, frame, settings, columns, y, row, watch });
        watch.advance(width.into())
    })
}

/// A row of pixels, compiled for each level.
struct Row<'a, 'b> {
    moment: &'a Moment<'b>,
    frame: u32,
    settings: &'a Settings,
    columns: Range<u32>,
    y: u32,
    row: &'a mut [u8],
    watch: &'a Watch,
}

impl Portable for Row<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let mut scratch = Scratch::new();
        let (pixels, _) = self.row.as_chunks_mut::<PIXEL_BYTES>();
        for (bytes, x) in pixels.iter_mut().zip(self.columns) {
            // A pixel of many samples takes long: the run ends between two, and its row is not looked at.
            if self.watch.is_cancelled() {
                return;
            }
            let light = pixel(self.moment, self.frame, self.settings, [x, self.y], &mut scratch, |_| {});
            *bytes = written(light);
        }
    }
}

/// One pixel, compiled for each level: what a check and a dispute compute again.
pub(crate) struct One<'a, 'b, F> {
    pub(crate) moment: &'a Moment<'b>,
    pub(crate) frame: u32,
    pub(crate) settings: &'a Settings,
    pub(crate) place: [u32; 2],
    /// Sees what each path brings.
    pub(crate) each: F,
}

impl<F: FnMut(Vec3)> Portable for One<'_, '_, F> {
    type Output = [u8; PIXEL_BYTES];

    #[inline(always)]
    fn call(self) -> [u8; PIXEL_BYTES] {
        let mut scratch = Scratch::new();
        written(pixel(self.moment, self.frame, self.settings, self.place, &mut scratch, self.each))
    }
}

// REN-30: a pixel is the mean of its samples: 32 partial sums, a tree over them, and one division.
#[inline(always)]
#[allow(clippy::arithmetic_side_effects, reason = "the pixels of a picture are fewer than 2^26")]
fn pixel(
    moment: &Moment<'_>,
    frame: u32,
    settings: &Settings,
    place: [u32; 2],
    scratch: &mut Scratch,
    mut each: impl FnMut(Vec3),
) -> Vec3 {
    let index = place[1] * settings.size[0] + place[0];
    let mut stream = PixelStream::new(settings.philox, frame, index);
    let mut sums = [[0.0_f32; LANES]; 3];
    let mut lane = 0;
    for sample in 0..settings.samples {
        let light = radiance(moment, &mut stream, place, sample, settings.reach, scratch);
        each(light);
        for (sums, value) in sums.iter_mut().zip(light.to_array()) {
            sums[lane] += value;
        }
        lane = (lane + 1) % LANES;
    }
    let count = from_u32(settings.samples);
    let [r, g, b] = sums.map(|sums| fold(sums) / count);
    Vec3::new(r, g, b)
}

// REN-31: a pixel is written as its light, three floats, and after them the three bytes of the picture.
fn written(light: Vec3) -> [u8; PIXEL_BYTES] {
    let mut bytes = [0; PIXEL_BYTES];
    let (floats, picture) = bytes.split_at_mut(12);
    for (bytes, value) in floats.as_chunks_mut::<4>().0.iter_mut().zip(light.to_array()) {
        *bytes = value.to_le_bytes();
    }
    picture.copy_from_slice(&tone::pixel(light));
    bytes
}
