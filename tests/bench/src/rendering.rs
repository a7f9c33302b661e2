//! The rendering kernel: what a check costs beside the run, at the size that a validator meets.

use std::sync::Arc;

use anyhow::{Result, ensure};
use cpc_kernels::frame::blob_ref;
use cpc_kernels::rendering::{PIXEL_BYTES, RenderingSpec, RenderingTask, SPOT_PIXELS, Scene, samples};
use cpc_kernels::{Cpu, Effort, Executor, Inputs, Job, PreparedTask, Reference, Secret, Watch};
use cpc_primitives::result::Geometry;
use cpc_primitives::{Digest, JobIndex, TaskId, Units};

use crate::plan::{PicturePlan, Plan};
use cpc_bench::machine;
use cpc_bench::report::{Bound, Part};
use cpc_bench::samples::{Samples, Timed};

/// The scenes, each with the frame that is rendered, and what it stands for.
const SCENES: [(&str, u32); 3] = [("box", 0), ("hills", 0), ("orbit", 31)];
/// Frames of the task whose one frame is rendered.
const FRAMES: u32 = 96;
/// How many secrets one round checks under: a check takes a thousandth of a run, and a clock has its grain.
const SECRETS: u8 = 5;

/// What the rounds gave for one scene.
#[derive(Default)]
struct Found {
    prepare: Timed,
    run: Timed,
    check: Timed,
}

/// The part.
pub(crate) fn measure(plan: &Plan) -> Result<Part> {
    let PicturePlan { size, samples, rounds } = plan.picture;
    let reference = Reference::new(Cpu::best(), 0)?;
    let mut found: Vec<Found> = SCENES.iter().map(|_| Found::default()).collect();
    for round in 0..rounds {
        let mut turns: Vec<usize> = (0..SCENES.len()).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for turn in turns {
            let (name, frame) = SCENES[turn];
            one(&reference, name, frame, plan.picture, &mut found[turn])?;
        }
    }
    let paths = f64::from(size[0]) * f64::from(size[1]) * f64::from(samples);
    let mut part = Part::new(
        "The check of rendering work",
        format!(
            "What does a validator's check of {SPOT_PIXELS} pixels cost beside the run, one frame of {} x {} with {samples} \
             samples a job, by {}, in the same round?",
            size[0],
            size[1],
            reference.describe()
        ),
    );
    part.note(
        "The pixels alone would be 0.048 % of 1920 x 1080. The check also hashes the output, which its sample depends on, \
         and builds the tree over the moving things of its frame, as the run does. A check here is the mean of those \
         under five secrets.",
    );
    part.note(
        "Soundness: a job of which 1 % is forged passes with 4.3e-5, one whose every pixel is forged never, right work \
         always.",
    );
    part.note("Prepare is reading the scene and building its trees: both sides do it once for a task, and it is in neither time.");
    for ((name, _), found) in SCENES.iter().zip(&found) {
        let rate = found.run.wall.map(|seconds| paths / seconds / 1e6);
        part.row(format!("kernels::rendering_prepare/scene={name}"), found.prepare.wall.map(|s| s * 1e3), "ms");
        part.row(format!("kernels::rendering_run/scene={name}"), found.run.wall.clone(), "s");
        part.row(format!("kernels::rendering_run/scene={name},clock=work"), found.run.work.clone(), "s of all cores");
        part.row(format!("kernels::rendering_paths/scene={name}"), rate, "million paths a second");
        part.row(format!("kernels::rendering_check/scene={name}"), found.check.wall.map(|s| s * 1e3), "ms");
        let of_work = percent(&found.check.work, &found.run.work);
        part.row(format!("ratio::rendering_check_over_run/scene={name},clock=work"), of_work, "%");
        let ratio = percent(&found.check.wall, &found.run.wall);
        part.verdict(format!("rendering check / run in %, {name}"), ratio, Bound::AtMost(0.2), Bound::AtMost(0.2));
    }
    Ok(part)
}

fn percent(check: &Samples, run: &Samples) -> Samples {
    check.over(run).map(|share| share * 100.0)
}

fn one(reference: &Reference, name: &str, frame: u32, plan: PicturePlan, found: &mut Found) -> Result<()> {
    let sample = samples::named(name).ok_or_else(|| anyhow::anyhow!("there is no sample {name}"))?;
    let file: Arc<[u8]> = (sample.write)().into();
    let spec =
        RenderingSpec { samples: plan.samples, frames: FRAMES, ..RenderingSpec::of(Scene::survey(&file)?, plan.size) };
    let inputs = Inputs::new(&[blob_ref(&file)], vec![file])?;
    let watch = Watch::new();

    let clock = machine::Watch::start()?;
    let task = reference.with(|_| RenderingTask::prepare(spec, &inputs, &watch))?;
    found.prepare.push(clock.stop(1.0)?);

    let geometry = Geometry { origin: [frame, 0, 0], extent: [1, spec.width, spec.height] };
    let job = Job { index: JobIndex(frame), geometry, units: Units(1) };
    let clock = machine::Watch::start()?;
    let output = reference.run(&task, &geometry, &watch)?;
    found.run.push(clock.stop(1.0)?);

    let judged = |seat: u8, output: &[u8]| {
        let secret = Secret { seat: Digest([seat; 32]), task: TaskId(Digest::ZERO) };
        reference.with(|cpu| task.checker(secret, Effort::Spot, cpu, &watch)?.check(&job, output, &watch))
    };
    let clock = machine::Watch::start()?;
    for seat in 0..SECRETS {
        ensure!(judged(seat, &output.bytes)?.wrong.is_none(), "{name}: honest work was refused");
    }
    found.check.push(clock.stop(SECRETS.into())?);

    // One hundredth of the job, spread.
    let mut bent = output.bytes;
    for pixel in bent.chunks_exact_mut(PIXEL_BYTES).step_by(100) {
        pixel[0] ^= 1;
    }
    ensure!(judged(0, &bent)?.wrong.is_some(), "{name}: a lie passed");
    Ok(())
}
