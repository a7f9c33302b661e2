//! The renderer beside Cycles and Mitsuba: the same diffuse box by all three, whose light must be the same, in turns.

mod ours;
mod picture;
mod rival;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use cpc_kernels::rendering::samples;

use self::ours::Ours;
use self::picture::Picture;
use self::rival::Rival;
use crate::plan::{Kind, Plan, RivalsPlan};
use cpc_bench::machine::Machine;
use cpc_bench::report::{Bound, Part};
use cpc_bench::samples::{Samples, Timed};

/// How often light scatters at most, in all three.
const BOUNCES: u32 = 8;
/// The most samples of one picture: Mitsuba holds numbers for every path at once.
const PASS: u32 = 1_024;
/// By how much the light of two renderers may differ, as a mean over squares of pixels.
const DIFFERENCE_MAX: f64 = 0.02;

/// Something that renders the box.
trait Renderer {
    /// What it is called in the rows.
    fn key(&self) -> &'static str;
    /// What it is, with its version.
    fn name(&self) -> String;
    /// The light of every pixel by so many samples; seconds that passed, and seconds of work.
    fn render(&mut self, samples: u32, seed: u32) -> Result<(Picture, (f64, f64))>;
}

/// One side with what was found of it.
struct Side {
    renderer: Box<dyn Renderer>,
    truth: Picture,
    /// Root of the mean relative square error, for each number of samples.
    errors: Vec<f64>,
    /// Times, for each number of samples.
    times: Vec<Timed>,
}

/// The part. `shown` is where the pictures and their differences are written.
pub(crate) fn measure(plan: &Plan, machine: &Machine, shown: Option<&Path>) -> Result<Part> {
    let RivalsPlan { side: pixels, truth_samples, series } = &plan.rivals;
    let folder = machine.folder()?;
    let scene = folder.path().join("box.glb");
    let file = (samples::named("box").context("the box is a sample")?.write)();
    std::fs::write(&scene, &file)?;

    let mut sides = vec![Side::new(Box::new(Ours::new(file, *pixels, BOUNCES)?), *pixels, series.len())];
    // A quick run installs nothing, and measures the others where they are.
    for rival in Rival::all(plan.kind, &scene, *pixels, BOUNCES, folder.path())? {
        sides.push(Side::new(Box::new(rival), *pixels, series.len()));
    }
    for side in &mut sides {
        side.find_truth(*truth_samples)?;
        side.find_errors(series, *truth_samples)?;
    }
    for round in 0..=plan.rounds {
        let mut turns: Vec<usize> = (0..sides.len()).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (at, samples) in series.iter().enumerate() {
            for turn in &turns {
                let (_, times) = sides[*turn].renderer.render(*samples, 1_000 + u32::try_from(round)?)?;
                // The first round is not counted.
                if round > 0 {
                    sides[*turn].times[at].push(times);
                }
            }
        }
    }
    let differences = differences(&sides, plan.kind)?;
    if let Some(path) = shown {
        let truths: Vec<&Picture> = sides.iter().map(|side| &side.truth).collect();
        std::fs::write(path, picture::sheet(&truths)?)?;
    }
    Ok(report(plan, &sides, &differences))
}

impl Side {
    fn new(renderer: Box<dyn Renderer>, pixels: u32, series: usize) -> Self {
        Self {
            renderer,
            truth: Picture::black(pixels),
            errors: Vec::new(),
            times: (0..series).map(|_| Timed::default()).collect(),
        }
    }

    /// The picture that more samples would not change much.
    fn find_truth(&mut self, samples: u32) -> Result<()> {
        let passes = samples.div_ceil(PASS);
        for pass in 0..passes {
            let (picture, _) = self.renderer.render(samples.min(PASS), 10 + pass)?;
            self.truth.add(&picture, 1.0 / passes as f32);
        }
        Ok(())
    }

    /// The error against the renderer's own truth, which other samples made, as a mean over two seeds.
    fn find_errors(&mut self, series: &[u32], truth_samples: u32) -> Result<()> {
        for samples in series {
            let mut square = 0.0;
            for seed in [1, 2] {
                let (picture, _) = self.renderer.render(*samples, seed)?;
                square += picture.relative_square(&self.truth) / 2.0;
            }
            // The truth has an error of its own, which independent samples would add.
            let own = 1.0 + f64::from(*samples) / f64::from(truth_samples);
            self.errors.push((square / own).sqrt());
        }
        Ok(())
    }

    /// Round by round, the seconds that this side needs for an error: along the line through its own points.
    fn time_for(&self, error: f64, clock: impl Fn(&Timed) -> Samples) -> Samples {
        let times: Vec<Samples> = self.times.iter().map(clock).collect();
        let last = self.errors.len() - 1;
        // The points about the error, or the two that are nearest.
        let after = self.errors.iter().position(|found| *found <= error).unwrap_or(last).max(1);
        let (from, to) = (self.errors[after - 1].ln(), self.errors[after].ln());
        let share = (error.ln() - from) / (to - from);
        times[after - 1].with(&times[after], |before, after| (before.ln() + (after.ln() - before.ln()) * share).exp())
    }
}

/// How far each other's light is from ours; an error where it is not the same.
fn differences(sides: &[Side], kind: Kind) -> Result<Vec<f64>> {
    let ours = &sides[0];
    let mut found = Vec::new();
    for side in &sides[1..] {
        let difference = side.truth.difference(&ours.truth);
        // The pictures of a quick run are noise.
        ensure!(
            difference < DIFFERENCE_MAX || kind == Kind::Quick,
            "{} differs from ours by {:.2} %: one of us renders another scene",
            side.renderer.key(),
            difference * 100.0
        );
        found.push(difference);
    }
    Ok(found)
}

fn report(plan: &Plan, sides: &[Side], differences: &[f64]) -> Part {
    let RivalsPlan { side: pixels, truth_samples, series } = &plan.rivals;
    let mut part = Part::new(
        "Renderers",
        format!(
            "How many paths a second does each renderer trace in the same diffuse box, {pixels} x {pixels} pixels, at most \
             {BOUNCES} scatterings, on all cores, and how long does it take to the same error?"
        ),
    );
    part.note(sides.iter().map(|side| side.renderer.name()).collect::<Vec<_>>().join("; "));
    if sides.len() < 3 {
        part.note("**The others are not installed here, and were not measured.** `tests/bench/renderers/setup` installs them.");
    }
    part.note(
        "One file is the scene of all: the binary glTF of `cpc render sample:box --save-scene`. All have a box filter of one \
         pixel, end paths by chance from the fourth bounce on, aim at the lamp at every scattering, and bound nothing. \
         Mitsuba samples with `multijitter` over Embree's trees; Cycles has its default sampler, no light tree (there is one lamp), no \
         adaptive sampling and no denoiser. Reading the scene, compiling kernels and building trees are in no time.",
    );
    part.note(format!(
        "The error of a picture is the root of the mean of (x - t)^2 / (t^2 + 0.01) over pixels and channels, against the \
         same renderer's picture of {truth_samples} samples. Time to equal error is the time of the rival with {} samples over \
         our time for the rival's error, along the line through our own points (logarithms of both).",
        series[series.len() / 2]
    ));
    let paths = |samples: u32| f64::from(*pixels).powi(2) * f64::from(samples) / 1e6;
    let most = series.len() - 1;
    for side in sides {
        let key = side.renderer.key();
        for (at, samples) in series.iter().enumerate() {
            part.row(format!("{key}::time/samples={samples}"), side.times[at].wall.clone(), "s");
            part.row(
                format!("{key}::time/samples={samples},clock=work"),
                side.times[at].work.clone(),
                "s of all cores",
            );
            part.row(format!("{key}::error/samples={samples}"), Samples::one(side.errors[at] * 100.0), "%");
        }
        let rate = side.times[most].wall.map(|seconds| paths(series[most]) / seconds);
        part.row(format!("{key}::paths/samples={}", series[most]), rate, "million a second");
    }
    let ours = &sides[0];
    for (side, difference) in sides[1..].iter().zip(differences) {
        let key = side.renderer.key();
        let middle = series.len() / 2;
        let error = side.errors[middle];
        part.row(
            format!("{key}::difference_of_light"),
            Samples::one(difference * 100.0),
            "% of ours, over squares of 16 x 16",
        );
        let work = side.times[most].work.over(&ours.times[most].work);
        part.row(format!("ratio::paths_ours_over_{key}/clock=work"), work, "times");
        let work = side.times[middle].work.over(&ours.time_for(error, |timed| timed.work.clone()));
        part.row(format!("ratio::equal_error_{key}_over_ours/clock=work"), work, "times");
        // The must of 2 beside Cycles and of a half beside Mitsuba; the goal is to be ahead of both.
        let (must, goal) = if key == "cycles" { (2.0, 2.0) } else { (0.5, 1.0) };
        let (must, goal) = (Bound::AtLeast(must), Bound::AtLeast(goal));
        let rate = side.times[most].wall.over(&ours.times[most].wall);
        part.verdict(format!("paths a second, ours over {key}"), rate, must, goal);
        let sooner = side.times[middle].wall.over(&ours.time_for(error, |timed| timed.wall.clone()));
        part.verdict(format!("time to equal error, {key} over ours"), sooner, must, goal);
    }
    part
}
