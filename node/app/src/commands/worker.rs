//! `cpc worker`: what this machine can compute.

use std::sync::Arc;
use std::time::Instant;

use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use cpc_kernels::frame::blob_ref;
use cpc_kernels::rendering::{Rendering, RenderingSpec, Scene, samples};
use cpc_kernels::synthetic::{ID, Seed, SyntheticSpec};
use cpc_kernels::{BadSpec, Cpu, Effort, Executor, Inputs, Kernel, Level, Reference, Registry, Secret, Watch};
use cpc_primitives::{Digest, TaskId};
use serde_json::{Value, json};

use super::watched::watched;
use super::{Context, Exit, Failure, Output};

/// What this machine can compute
#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// Measures the kernels on this machine, and what checking them costs
    Bench(BenchArgs),
}

/// How long to measure.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// How many rows and columns the matrices have
    #[arg(long, value_name = "N", default_value_t = 1024)]
    matrix_size: u32,
    /// How many steps
    #[arg(long, value_name = "T", default_value_t = 100)]
    iterations: u32,
    /// Width and height of the picture in pixels
    #[arg(long, value_name = "WxH", default_value = "320x240", value_parser = super::render::size)]
    size: [u32; 2],
    /// Paths of each pixel
    #[arg(long, value_name = "N", default_value_t = 16)]
    samples: u32,
}

/// The scene whose picture is rendered.
const SCENE: &str = "box";

/// One row of what was measured.
struct Measured {
    backend: String,
    level: Level,
    run_seconds: f64,
    check_seconds: f64,
    output: Digest,
}

/// Runs one of them.
pub fn run(command: &WorkerCommand, context: &Context) -> Result<(), Failure> {
    match command {
        WorkerCommand::Bench(args) => bench(args, context),
    }
}

fn bench(args: &BenchArgs, context: &Context) -> Result<(), Failure> {
    let seed = Seed::new(b"bench".to_vec()).expect("five bytes");
    let spec = SyntheticSpec { seed, matrix_size: args.matrix_size, iterations: args.iterations };
    let file: Arc<[u8]> = (samples::named(SCENE).expect("it is one of the samples").write)().into();
    let counts = Scene::survey(&file).expect("a sample is a scene");
    let picture = RenderingSpec { samples: args.samples, ..RenderingSpec::of(counts, args.size) };
    let inputs = Inputs::new(&[blob_ref(&file)], vec![file]).expect("its own hash");
    // Before a minute of work, not after it.
    Rendering.plan(&picture.bytes(), 1).map_err(refused)?;
    let (rows, pictures) = watched("bench", "steps", context, |watch| {
        let registry = Registry::all();
        let synthetic = registry.kernel(ID).map_err(refused)?;
        let rows = ways(|level, threads| measure(&**synthetic, &spec.bytes(), &Inputs::none(), level, threads, watch))?;
        let pictures = ways(|level, threads| measure(&Rendering, &picture.bytes(), &inputs, level, threads, watch))?;
        Ok::<_, Failure>((rows, pictures))
    })?;
    tell(&spec, &rows, &picture, &pictures, context)
}

/// Measures with each set of instructions, on one thread and on all; what comes out must be the same.
fn ways(measure: impl Fn(Level, usize) -> Result<Measured, Failure>) -> Result<Vec<Measured>, Failure> {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if all == 1 { vec![1] } else { vec![1, all] };
    // The scalar twin defines the bits; nobody computes with it where there is more.
    let levels = Level::here().filter(|level| *level == Level::best() || *level != Level::Scalar);
    let ways = levels.flat_map(|level| threads.iter().map(move |threads| (level, *threads)));
    let rows: Vec<Measured> = ways.map(|(level, threads)| measure(level, threads)).collect::<Result<_, _>>()?;
    // A machine whose instructions disagree is no worker.
    match rows.iter().find(|row| row.output != rows[0].output) {
        None => Ok(rows),
        Some(other) => Err(wrong(format!("{} and {} give different bytes", rows[0].backend, other.backend))),
    }
}

fn refused(error: BadSpec) -> Failure {
    Failure::new(Exit::Refused, error.to_string())
}

fn wrong(words: String) -> Failure {
    Failure::new(Exit::VerificationFailed, words)
        .hint("this machine computes wrongly: look at its memory and its temperature")
}

fn measure(
    kernel: &dyn Kernel,
    spec: &[u8],
    inputs: &Inputs,
    level: Level,
    threads: usize,
    watch: &Watch,
) -> Result<Measured, Failure> {
    let executor = Reference::new(Cpu { level }, threads)?;
    let plan = kernel.plan(spec, 1).map_err(refused)?;
    let task = kernel.prepare(spec, inputs, executor.cpu(), watch)?;
    let job = plan.jobs().next().expect("a plan has a job");
    let begin = Instant::now();
    let output = executor.run(&*task, &job.geometry, watch)?;
    let run_seconds = begin.elapsed().as_secs_f64();
    let secret = Secret { seat: Digest([1; 32]), task: TaskId(Digest::ZERO) };
    let begin = Instant::now();
    let judged = executor.with(|cpu| {
        let mut checker = task.checker(secret, Effort::Spot, cpu, watch)?;
        checker.check(&job, &output.bytes, watch)
    })?;
    let check_seconds = begin.elapsed().as_secs_f64();
    match judged.wrong {
        None => Ok(Measured { backend: executor.describe(), level, run_seconds, check_seconds, output: output.hash() }),
        Some(found) => Err(wrong(format!("{}: {found}", executor.describe()))),
    }
}

fn tell(
    spec: &SyntheticSpec,
    rows: &[Measured],
    picture: &RenderingSpec,
    pictures: &[Measured],
    context: &Context,
) -> Result<(), Failure> {
    let products = f64::from(spec.matrix_size).powi(3) * f64::from(spec.iterations);
    let paths = f64::from(picture.width) * f64::from(picture.height) * f64::from(picture.samples);
    if context.output == Output::Json {
        let all = |rows: &[Measured], work: f64, rate: &str| -> Vec<Value> {
            let one = |row: &Measured| {
                json!({
                    "backend": row.backend, "instructions": row.level.to_string(), "run_seconds": row.run_seconds,
                    rate: work / row.run_seconds, "check_seconds": row.check_seconds,
                    "check_ratio": row.check_seconds / row.run_seconds, "output": row.output.to_string(),
                })
            };
            rows.iter().map(one).collect()
        };
        return context.json(json!({
            "challenge_type": "synthetic", "matrix_size": spec.matrix_size, "iterations": spec.iterations,
            "measured": all(rows, products, "products_per_second"),
            "rendering": {
                "scene": SCENE, "width": picture.width, "height": picture.height, "samples": picture.samples,
                "measured": all(pictures, paths, "paths_per_second"),
            },
        }));
    }
    context.print(&table("synthetic", rows, "G products/s", products / 1e9))?;
    context.print(&format!(
        "n = {}, T = {}; all of these gave the same bytes: {}",
        spec.matrix_size, spec.iterations, rows[0].output
    ))?;
    context.print(&table("rendering", pictures, "M paths/s", paths / 1e6))?;
    context.print(&format!(
        "{SCENE}, {} x {}, {} samples; all of these gave the same bytes: {}. A check renders 1,000 pixels of a job, however \
         many it has",
        picture.width, picture.height, picture.samples, pictures[0].output
    ))
}

fn table(kernel: &str, rows: &[Measured], rate: &str, work: f64) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header([kernel, "run", rate, "check", "check / run"]);
    for row in rows {
        table.add_row([
            row.backend.clone(),
            format!("{:.3} s", row.run_seconds),
            format!("{:.2}", work / row.run_seconds),
            format!("{:.1} ms", row.check_seconds * 1e3),
            format!("{:.2} %", row.check_seconds / row.run_seconds * 100.0),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}
