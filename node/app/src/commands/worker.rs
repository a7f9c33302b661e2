//! `cpc worker`: what this machine can compute.

use std::time::Instant;

use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use cpc_kernels::synthetic::{ID, Seed, SyntheticSpec};
use cpc_kernels::{Cpu, Effort, Executor, Inputs, Level, Reference, Registry, Secret, Watch};
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
    #[arg(long, value_name = "T", default_value_t = 16)]
    iterations: u32,
}

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
    let rows = watched("bench", context, |watch| {
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if all == 1 { vec![1] } else { vec![1, all] };
        // The scalar twin defines the bits; nobody computes with it where there is more.
        let levels = Level::here().filter(|level| *level == Level::best() || *level != Level::Scalar);
        let ways = levels.flat_map(|level| threads.iter().map(move |threads| (level, *threads)));
        ways.map(|(level, threads)| measure(&spec, level, threads, watch)).collect::<Result<Vec<Measured>, Failure>>()
    })?;
    // A machine whose instructions disagree is no worker.
    if let Some(other) = rows.iter().find(|row| row.output != rows[0].output) {
        let words = format!("{} and {} give different bytes", rows[0].backend, other.backend);
        return Err(Failure::new(Exit::VerificationFailed, words)
            .hint("this machine computes wrongly: look at its memory and its temperature"));
    }
    tell(&spec, &rows, context)
}

fn measure(spec: &SyntheticSpec, level: Level, threads: usize, watch: &Watch) -> Result<Measured, Failure> {
    let executor = Reference::new(Cpu { level }, threads)?;
    let registry = Registry::all();
    let bad = |error: cpc_kernels::BadSpec| Failure::new(Exit::Refused, error.to_string());
    let kernel = registry.kernel(ID).map_err(bad)?;
    let plan = kernel.plan(&spec.bytes(), 1).map_err(bad)?;
    let task = kernel.prepare(&spec.bytes(), &Inputs::none(), executor.cpu(), watch)?;
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
        Some(wrong) => Err(Failure::new(Exit::VerificationFailed, format!("{}: {wrong}", executor.describe()))
            .hint("this machine computes wrongly: look at its memory and its temperature")),
    }
}

fn tell(spec: &SyntheticSpec, rows: &[Measured], context: &Context) -> Result<(), Failure> {
    let products = f64::from(spec.matrix_size).powi(3) * f64::from(spec.iterations);
    if context.output == Output::Json {
        let one = |row: &Measured| {
            json!({
                "backend": row.backend, "instructions": row.level.to_string(), "run_seconds": row.run_seconds,
                "products_per_second": products / row.run_seconds, "check_seconds": row.check_seconds,
                "check_ratio": row.check_seconds / row.run_seconds, "output": row.output.to_string(),
            })
        };
        let rows: Vec<Value> = rows.iter().map(one).collect();
        return context.json(json!({
            "challenge_type": "synthetic", "matrix_size": spec.matrix_size, "iterations": spec.iterations,
            "measured": rows,
        }));
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["synthetic", "run", "G products/s", "check", "check / run"]);
    for row in rows {
        table.add_row([
            row.backend.clone(),
            format!("{:.3} s", row.run_seconds),
            format!("{:.2}", products / row.run_seconds / 1e9),
            format!("{:.1} ms", row.check_seconds * 1e3),
            format!("{:.2} %", row.check_seconds / row.run_seconds * 100.0),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    context.print(&table.trim_fmt())?;
    context.print(&format!(
        "n = {}, T = {}; all of these gave the same bytes: {}",
        spec.matrix_size, spec.iterations, rows[0].output
    ))
}
