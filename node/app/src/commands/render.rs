//! `cpc render`: pictures of a scene by the rendering kernel, on this machine and without a node.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use comfy_table::{Table, presets};
use cpc_kernels::frame::{InputError, PrepareError, blob_ref};
use cpc_kernels::rendering::{RenderingSpec, RenderingTask, Scene, limits, samples};
use cpc_kernels::{
    BadSpec, Cpu, Effort, Executor, Inputs, Job, PreparedTask, Reference, RunError, Secret, Soundness, Watch,
};
use cpc_primitives::Digest;
use cpc_primitives::ids::TaskId;
use serde_json::json;

use super::watched::watched;
use super::{Context, Exit, Failure, Output, read_bounded, write_new};

/// What a scene is called that is not a file.
const SAMPLE: &str = "sample:";
/// Renders a scene on this machine: the same bits that any worker computes
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct RenderArgs {
    /// A binary glTF file (.glb), or sample:NAME for one of the scenes that come along
    scene: String,
    /// Where the picture goes; of several frames each gets its number before the ending
    #[arg(short, long, value_name = "FILE", default_value = "render.png")]
    output: PathBuf,
    /// Width and height in pixels
    #[arg(long, value_name = "WxH", default_value = "960x720", value_parser = size)]
    size: [u32; 2],
    /// Paths of each pixel
    #[arg(long, value_name = "N", default_value_t = 64)]
    samples: u32,
    /// Surfaces that a path leaves before it ends
    #[arg(long, value_name = "N", default_value_t = 8)]
    bounces: u32,
    /// Frames, from the first; 24 are a second
    #[arg(long, value_name = "N", default_value_t = 1)]
    frames: u32,
    /// Which of the scene's cameras, from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    camera: u32,
    /// Threads; as many as the machine has without it
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Checks the result as a validator would, and says what that cost
    #[arg(long)]
    check: bool,
    /// Writes the scene itself to a file, which is how to get hold of a sample
    #[arg(long, value_name = "FILE")]
    save_scene: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  cpc render sample:box -o box.png
  cpc render scene.glb -o picture.png --size 1920x1080 --samples 256
  cpc render sample:orbit -o orbit.png --frames 96
  cpc render sample:glass --check --json

Samples: box, tiles, glass, orbit (four seconds), hills (100,000 triangles)";

/// What came of it.
struct Rendered {
    spec: RenderingSpec,
    device: String,
    prepared: Duration,
    ran: Duration,
    checked: Option<(Duration, Soundness)>,
    /// The hash of each job's output; a job is a frame.
    outputs: Vec<Digest>,
    pictures: Vec<(PathBuf, Vec<u8>)>,
}

/// Renders.
pub fn run(args: &RenderArgs, context: &Context) -> Result<(), Failure> {
    let file = scene(&args.scene)?;
    if let Some(path) = &args.save_scene {
        write_new(path, &file, context)?;
    }
    let counts = Scene::survey(&file).map_err(|reject| refused(&args.scene, &reject.to_string()))?;
    let spec = RenderingSpec {
        samples: args.samples,
        bounces: args.bounces,
        frames: args.frames,
        camera: args.camera,
        ..RenderingSpec::of(counts, args.size)
    };
    // What is out of bounds is said before anything is computed, and so is a picture that may not be replaced.
    let spec = RenderingSpec::read(&spec.bytes()).map_err(|bad| Failure::new(Exit::Usage, bad.to_string()))?;
    for frame in 0..spec.frames {
        let path = place(&args.output, frame, spec.frames);
        if !context.yes && path.symlink_metadata().is_ok() {
            let failure = Failure::new(Exit::Refused, format!("{} exists already", path.display()));
            return Err(failure.hint("--yes overwrites it"));
        }
    }
    let rendered = watched("rendering", "pixels", context, |watch| compute(args, spec, file, watch))?;
    for (path, bytes) in &rendered.pictures {
        write_new(path, bytes, context)?;
    }
    tell(&args.scene, &rendered, context)
}

fn scene(name: &str) -> Result<Arc<[u8]>, Failure> {
    let Some(sample) = name.strip_prefix(SAMPLE) else {
        let limit = usize::try_from(limits::SCENE_BYTES_MAX).unwrap_or(usize::MAX);
        return read_bounded(Path::new(name), limit, Exit::Refused).map(Arc::from);
    };
    let found = samples::named(sample).ok_or_else(|| {
        let known: Vec<&str> = samples::SAMPLES.iter().map(|sample| sample.name).collect();
        Failure::new(Exit::NotFound, format!("there is no sample {sample:?}"))
            .hint(format!("the samples are {}", known.join(", ")))
    })?;
    Ok(Arc::from((found.write)()))
}

fn refused(scene: &str, why: &str) -> Failure {
    Failure::new(Exit::Refused, format!("{scene}: {why}"))
}

/// Where the picture of a frame goes.
fn place(output: &Path, frame: u32, frames: u32) -> PathBuf {
    if frames == 1 {
        return output.to_owned();
    }
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    let ending = output.extension().unwrap_or_default().to_string_lossy();
    let ending = if ending.is_empty() { "png".into() } else { ending };
    output.with_file_name(format!("{stem}-{frame:05}.{ending}"))
}

fn compute(args: &RenderArgs, spec: RenderingSpec, file: Arc<[u8]>, watch: &Watch) -> Result<Rendered, Failure> {
    let RenderArgs { scene: name, output, threads, check, .. } = args;
    let stopped = |error: RunError| stopped(&error);
    let reference = Reference::new(Cpu::best(), *threads).map_err(stopped)?;
    let began = Instant::now();
    let inputs =
        Inputs::new(&[blob_ref(&file)], vec![file]).map_err(|error: InputError| refused(name, &error.to_string()))?;
    let prepared = reference.with(|_| RenderingTask::prepare(spec, &inputs, watch));
    tracing::info!(scene = name, pixels = spec.width.saturating_mul(spec.height), "rendering");
    let task = prepared.map_err(|error| match error {
        PrepareError::BadSpec(bad) => unprepared(name, &bad),
        PrepareError::Run(error) => stopped(error),
    })?;
    let prepared = began.elapsed();
    let plan = spec.plan(spec.frames).map_err(|bad| Failure::new(Exit::Usage, bad.to_string()))?;
    let (began, mut outputs, mut hashes) = (Instant::now(), Vec::new(), Vec::new());
    for job in plan.jobs() {
        let output = reference.run(&task, &job.geometry, watch).map_err(stopped)?;
        hashes.push(output.hash());
        outputs.push(output.bytes);
    }
    let ran = began.elapsed();
    let began = Instant::now();
    let checked = if *check {
        let jobs: Vec<Job> = plan.jobs().collect();
        checked(&task, &jobs, &outputs, &reference, watch)?;
        Some((began.elapsed(), task.soundness(Effort::Spot)))
    } else {
        None
    };
    let pictures = task.assemble(&plan, &outputs).map_err(stopped)?;
    let pictures = pictures.into_iter().zip(0..).map(|((_, bytes), frame)| (place(output, frame, spec.frames), bytes));
    let pictures = pictures.collect();
    Ok(Rendered { spec, device: reference.describe(), prepared, ran, checked, outputs: hashes, pictures })
}

/// Checks every job under a secret of the operating system's.
fn checked(
    task: &RenderingTask,
    jobs: &[Job],
    outputs: &[Vec<u8>],
    reference: &Reference,
    watch: &Watch,
) -> Result<(), Failure> {
    let stopped = |error: RunError| stopped(&error);
    let mut seat = [0; 32];
    getrandom::fill(&mut seat).map_err(|error| Failure::new(Exit::Failed, format!("no random numbers: {error}")))?;
    let secret = Secret { seat: Digest(seat), task: TaskId(Digest([0; 32])) };
    let mut checker = task.checker(secret, Effort::Spot, reference.cpu(), watch).map_err(stopped)?;
    for (job, output) in jobs.iter().zip(outputs) {
        let judgement = reference.with(|_| checker.check(job, output, watch)).map_err(stopped)?;
        if let Some(wrong) = judgement.wrong {
            let failure = Failure::new(Exit::VerificationFailed, format!("frame {}: {wrong}", job.index.0));
            return Err(failure.hint("this machine computes wrong: test its memory and its cooling"));
        }
    }
    Ok(())
}

fn stopped(error: &RunError) -> Failure {
    match error {
        RunError::Cancelled => Failure::new(Exit::Interrupted, "called off; nothing was written"),
        other => Failure::new(Exit::Failed, other.to_string()),
    }
}

fn unprepared(name: &str, bad: &BadSpec) -> Failure {
    match bad {
        BadSpec::OutOfBounds { .. } => Failure::new(Exit::Usage, bad.to_string()),
        other => refused(name, &other.to_string()),
    }
}

/// Paths of all pixels of all frames.
fn paths(spec: &RenderingSpec) -> f64 {
    [spec.width, spec.height, spec.samples, spec.frames].map(f64::from).iter().product()
}

fn tell(scene: &str, rendered: &Rendered, context: &Context) -> Result<(), Failure> {
    let Rendered { spec, device, prepared, ran, checked, outputs, pictures } = rendered;
    let seconds = ran.as_secs_f64();
    let rate = if seconds > 0.0 { paths(spec) / seconds } else { 0.0 };
    let files: Vec<String> = pictures.iter().map(|(path, _)| path.display().to_string()).collect();
    match context.output {
        Output::Json => context.json(json!({
            "scene": scene,
            "triangles": spec.triangles,
            "width": spec.width,
            "height": spec.height,
            "frames": spec.frames,
            "samples": spec.samples,
            "bounces": spec.bounces,
            "units": spec.units().0.to_string(),
            "device": device,
            "prepare_seconds": prepared.as_secs_f64(),
            "run_seconds": seconds,
            "paths_per_second": rate,
            "check_seconds": checked.map(|(took, _)| took.as_secs_f64()),
            "outputs": outputs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "pictures": files,
        })),
        Output::Human => {
            let mut table = Table::new();
            table.load_preset(presets::NOTHING);
            let mut row = |name: &str, value: String| {
                table.add_row([name.to_owned(), value]);
            };
            row("scene", format!("{scene}, {} triangles, {} nodes", spec.triangles, spec.nodes));
            let frames = if spec.frames == 1 { String::new() } else { format!(", {} frames", spec.frames) };
            row("picture", format!("{} x {} pixels, {} samples{frames}", spec.width, spec.height, spec.samples));
            row("device", device.clone());
            row("prepared", format!("{:.3} s", prepared.as_secs_f64()));
            row("rendered", format!("{seconds:.3} s, {:.2} million paths a second", rate / 1e6));
            if let Some((took, soundness)) = checked {
                let share = took.as_secs_f64() / seconds.max(f64::MIN_POSITIVE) * 100.0;
                let forged = soundness.forged * 100.0;
                let missed = format!("a picture forged by {forged:.0} % would pass with {:.0e}", soundness.missed);
                row("checked", format!("{:.3} s, {share:.2} % of it; {missed}", took.as_secs_f64()));
            }
            row("output", outputs.first().map(ToString::to_string).unwrap_or_default());
            row(
                "file",
                match files.as_slice() {
                    [first, .., last] => format!("{first} to {last}"),
                    _ => files.concat(),
                },
            );
            for column in table.column_iter_mut() {
                column.set_padding((0, 2));
            }
            context.print(&table.trim_fmt())
        }
    }
}

/// Reads `1920x1080`.
pub(super) fn size(text: &str) -> Result<[u32; 2], String> {
    let parsed = text.split_once('x').and_then(|(width, height)| Some([width.parse().ok()?, height.parse().ok()?]));
    parsed.ok_or_else(|| format!("{text:?} is no size: write for example 1920x1080"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_two_numbers() {
        for (text, expected) in [
            ("1920x1080", Some([1_920, 1_080])),
            ("0x1", Some([0, 1])),
            ("1920", None),
            ("x", None),
            ("1920x", None),
            ("-1x5", None),
            ("1x2x3", None),
            ("9999999999x1", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn several_frames_are_numbered() {
        for (output, frames, expected) in [
            ("a.png", 1, "a.png"),
            ("a.png", 2, "a-00007.png"),
            ("b/a", 2, "b/a-00007.png"),
            ("b/a.b.png", 3, "b/a.b-00007.png"),
        ] {
            assert_eq!(place(Path::new(output), 7, frames), Path::new(expected));
        }
    }

    #[test]
    fn every_sample_of_the_help_is_one() {
        for sample in samples::SAMPLES {
            assert!(EXAMPLES.contains(sample.name), "{}", sample.name);
        }
    }
}
