//! The check of a job: secretly chosen pixels are rendered again with all their samples, and must be equal to the bit.

use std::sync::Arc;

use cpc_primitives::Domain;
use rayon::prelude::*;

use super::kernel::{Pixels, Staged};
use super::moment::Moment;
use super::render::{One, PIXEL_BYTES};
use crate::frame::{Checker, Cpu, Effort, Job, Judgement, RunError, SampleSeed, Secret, Soundness, Watch, Wrong};
use crate::numerics::Philox;
use crate::simd::dispatch;

/// Pixels of a job that a spot check renders again.
pub const SPOT_PIXELS: u64 = 1_000;
/// The side of the squares over which the pixels are spread.
const SQUARE: u32 = 16;

/// Checks the jobs of one task.
pub(crate) struct PixelChecker {
    task: Arc<Staged>,
    secret: Secret,
    effort: Effort,
    cpu: Cpu,
}

/// With which probability a forgery passes: one hundredth of a job, or for the whole check a single value.
pub(crate) fn soundness(effort: Effort) -> Soundness {
    match effort {
        // 0.99^1000. The squares make it less: a forgery in one place cannot lie between all samples.
        Effort::Spot => Soundness { forged: 0.01, missed: 4.32e-5 },
        Effort::Full => Soundness { forged: 0.0, missed: 0.0 },
    }
}

impl PixelChecker {
    pub(crate) fn new(task: Arc<Staged>, secret: Secret, effort: Effort, cpu: Cpu) -> Self {
        Self { task, secret, effort, cpu }
    }
}

impl Checker for PixelChecker {
    fn check(&mut self, job: &Job, output: &[u8], watch: &Watch) -> Result<Judgement, RunError> {
        let pixels = self.task.pixels(&job.geometry)?;
        let hash = Domain::JobOutput.hash_bytes(output);
        let seed = self.secret.for_job(job.index, &hash);
        let judged = |wrong, values: &[u8]| Judgement { wrong, sample: seed.commitment(), digest: seed.digest(values) };
        let (expected, found) = (pixels.output_bytes(), u64::try_from(output.len()).unwrap_or(u64::MAX));
        if expected != found {
            return Ok(judged(Some(Wrong::Length { expected, found }), &[]));
        }
        let chosen = chosen(&pixels, self.effort, &seed);
        watch.expect(u64::try_from(chosen.len()).unwrap_or(u64::MAX));
        let mut digests = Vec::with_capacity(chosen.len());
        for run in chosen.chunk_by(|a, b| pixels.place(*a).0 == pixels.place(*b).0) {
            let frame = pixels.place(run[0]).0;
            let moment = self.task.moment(frame);
            let again: Vec<([u8; PIXEL_BYTES], [u8; 32])> = run
                .par_iter()
                .map(|number| {
                    let done = self.again(&moment, frame, pixels.place(*number).1, &seed);
                    watch.advance(1).map(|()| done)
                })
                .collect::<Result<_, _>>()?;
            for (number, (bytes, digest)) in run.iter().zip(again) {
                // REN-45: a pixel that differs in a bit of its light or of its picture is wrong.
                if output[Pixels::bytes(*number)] != bytes {
                    return Ok(judged(Some(Wrong::Unequal { unit: Some(*number) }), &[]));
                }
                digests.extend(digest);
            }
        }
        Ok(judged(None, &digests))
    }
}

impl PixelChecker {
    /// A pixel, and the digest of what each of its paths brought: that stands in no output.
    fn again(
        &self,
        moment: &Moment<'_>,
        frame: u32,
        place: [u32; 2],
        seed: &SampleSeed,
    ) -> ([u8; PIXEL_BYTES], [u8; 32]) {
        let mut values = Vec::new();
        let each = |light: super::trace::vector::Vec3| {
            values.extend(light.to_array().into_iter().flat_map(f32::to_le_bytes));
        };
        let bytes = dispatch(self.cpu.level, One { moment, frame, settings: self.task.settings(), place, each });
        (bytes, seed.digest(&values).0)
    }
}

// REN-44: the pixels are spread over squares of 16 by 16, so that no part of a job is left out.
/// The numbers of the pixels to render again, rising.
fn chosen(pixels: &Pixels, effort: Effort, seed: &SampleSeed) -> Vec<u64> {
    if effort == Effort::Full || pixels.count() <= SPOT_PIXELS {
        return (0..pixels.count()).collect();
    }
    let numbers: Philox = seed.numbers();
    let [width, height] = pixels.extent();
    let across = u64::from(width.div_ceil(SQUARE));
    let of_frame = across.saturating_mul(height.div_ceil(SQUARE).into());
    let squares = of_frame.saturating_mul(u64::try_from(pixels.frames().len()).unwrap_or(u64::MAX));
    let mut chosen: Vec<u64> = (0..SPOT_PIXELS)
        .map(|index| {
            let [a, b, c, _] = numbers.at([u32::try_from(index).expect("small"), 0, 0, 0]);
            // The squares are cut into as many runs as there are samples; each run gives one square, each square one pixel.
            let within = u128::from(index) << 32 | u128::from(a);
            let square = within.saturating_mul(squares.into()).div_euclid(u128::from(SPOT_PIXELS) << 32);
            let square = u64::try_from(square).expect("below the number of squares");
            let (frame, square) = (square.div_euclid(of_frame), square.rem_euclid(of_frame));
            let [column, row] = [square.rem_euclid(across), square.div_euclid(across)];
            let x = within_square(column, width, b);
            let y = within_square(row, height, c);
            let number = frame.saturating_mul(pixels.of_frame());
            number.saturating_add(y.saturating_mul(width.into())).saturating_add(x)
        })
        .collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// A place within a square along one side, which may be cut off at the edge of the job.
fn within_square(square: u64, side: u32, bits: u32) -> u64 {
    let begin = square.saturating_mul(SQUARE.into());
    let length = u64::from(side).saturating_sub(begin).min(SQUARE.into());
    begin.saturating_add(u64::from(bits).saturating_mul(length) >> 32)
}
