//! `cpc synthetic`: the synthetic kernel used and seen without a network.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use comfy_table::{Table, presets};
use cpc_kernels::frame::{BadSpec, result_hash};
use cpc_kernels::synthetic::{ID, SEED_BYTES_MAX, Seed, SyntheticSpec};
use cpc_kernels::{Cpu, Effort, Executor, Inputs, Kernel, Plan, PreparedTask, Reference, Registry, Secret, Watch};
use cpc_primitives::hash::hex;
use cpc_primitives::{Digest, Domain, TaskId};
use serde_json::json;

use super::watched::watched;
use super::{Context, Exit, Failure, Output, write_new};

/// Computes a task of the synthetic kernel here, and checks it as a validator would
///
/// T steps of X <- A (D X) over the field of 2^31 - 1 elements, all expanded from a seed. The same task gives the same
/// hash on every machine.
#[derive(Debug, Args)]
pub struct SyntheticArgs {
    /// What the matrices are expanded from: 1 to 32 bytes in hex
    #[arg(long, value_name = "HEX", default_value = "00", value_parser = seed)]
    seed: Seed,
    /// How many rows and columns the matrices have
    #[arg(long, value_name = "N", default_value_t = 1024)]
    matrix_size: u32,
    /// How many steps
    #[arg(long, value_name = "T", default_value_t = 100)]
    iterations: u32,
    /// Into how many jobs the task is split
    #[arg(long, value_name = "J", default_value_t = 1)]
    jobs: u32,
    /// How many threads compute; all of the machine's without it
    #[arg(long, value_name = "K")]
    threads: Option<usize>,
    /// Leaves out the check
    #[arg(long)]
    no_check: bool,
    /// Writes the result there: its columns, each element as four bytes
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What came out, and how long it took.
struct Done {
    outputs: Vec<Vec<u8>>,
    hashes: Vec<Digest>,
    run_seconds: f64,
    check_seconds: Option<f64>,
}

fn seed(text: &str) -> Result<Seed, String> {
    let wrong = || format!("{text:?} is no seed: 1 to {SEED_BYTES_MAX} bytes in hex, two digits each");
    let digits = text.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    bytes.and_then(|bytes| Seed::new(bytes).ok()).ok_or_else(wrong)
}

/// Runs it.
pub fn run(args: &SyntheticArgs, context: &Context) -> Result<(), Failure> {
    let refused = |error: BadSpec| Failure::new(Exit::Refused, error.to_string());
    let spec = SyntheticSpec { seed: args.seed.clone(), matrix_size: args.matrix_size, iterations: args.iterations };
    // Before an hour of work, not after it.
    if let Some(path) = args.output.as_ref().filter(|path| !context.yes && path.symlink_metadata().is_ok()) {
        let failure = Failure::new(Exit::Refused, format!("{} exists already", path.display()));
        return Err(failure.hint("--yes overwrites it"));
    }
    let registry = Registry::all();
    let kernel = registry.kernel(ID).map_err(refused)?;
    let plan = kernel.plan(&spec.bytes(), args.jobs).map_err(refused)?;
    let executor = Reference::new(Cpu::best(), args.threads.unwrap_or(0)).map_err(Failure::from)?;
    let done =
        watched("synthetic", "steps", context, |watch| compute(&**kernel, &spec, &plan, &executor, args, watch))?;
    if let Some(path) = &args.output {
        write_new(path, &done.outputs.concat(), context)?;
    }
    tell(&spec, &plan, &executor, &done, context)
}

fn compute(
    kernel: &dyn Kernel,
    spec: &SyntheticSpec,
    plan: &Plan,
    executor: &Reference,
    args: &SyntheticArgs,
    watch: &Watch,
) -> Result<Done, Failure> {
    let task = kernel.prepare(&spec.bytes(), &Inputs::none(), executor.cpu(), watch)?;
    let begin = Instant::now();
    let (mut outputs, mut hashes) = (Vec::new(), Vec::new());
    for job in plan.jobs() {
        let output = executor.run(&*task, &job.geometry, watch)?;
        hashes.push(output.hash());
        outputs.push(output.bytes);
    }
    let run_seconds = begin.elapsed().as_secs_f64();
    let check_seconds = if args.no_check { None } else { Some(check(&*task, plan, executor, &outputs, watch)?) };
    Ok(Done { outputs, hashes, run_seconds, check_seconds })
}

/// Checks every job under a secret of the moment; gives the seconds that it took.
fn check(
    task: &dyn PreparedTask,
    plan: &Plan,
    executor: &Reference,
    outputs: &[Vec<u8>],
    watch: &Watch,
) -> Result<f64, Failure> {
    let mut seat = Digest::ZERO;
    getrandom::fill(&mut seat.0).map_err(|error| Failure::new(Exit::Failed, format!("no randomness: {error}")))?;
    let secret = Secret { seat, task: TaskId(Digest::ZERO) };
    let begin = Instant::now();
    executor.with(|cpu| {
        let mut checker = task.checker(secret, Effort::Full, cpu, watch)?;
        for (job, output) in plan.jobs().zip(outputs) {
            if let Some(wrong) = checker.check(&job, output, watch)?.wrong {
                return Err(Failure::new(Exit::VerificationFailed, format!("job {}: {wrong}", job.index))
                    .hint("this machine computes wrongly: look at its memory and its temperature"));
            }
        }
        Ok(begin.elapsed().as_secs_f64())
    })
}

fn tell(
    spec: &SyntheticSpec,
    plan: &Plan,
    executor: &Reference,
    done: &Done,
    context: &Context,
) -> Result<(), Failure> {
    let result = result_hash(&done.hashes);
    let spec_hash = Domain::TaskSpec.hash_bytes(&spec.bytes());
    let products = f64::from(spec.matrix_size).powi(3) * f64::from(spec.iterations);
    let rate = products / done.run_seconds;
    let ratio = done.check_seconds.map(|seconds| seconds / done.run_seconds);
    if context.output == Output::Json {
        let hashes: Vec<String> = done.hashes.iter().map(Digest::to_string).collect();
        return context.json(json!({
            "challenge_type": "synthetic", "kernel_version": ID.version, "backend": executor.describe(),
            "payload": {
                "seed": hex(&spec.seed), "matrix_size": spec.matrix_size, "iterations": spec.iterations,
            },
            "spec_hash": spec_hash.to_string(), "units": plan.units().to_string(), "result_hash": result.to_string(),
            "job_outputs": hashes, "run_seconds": done.run_seconds, "products_per_second": rate,
            "check_seconds": done.check_seconds, "check_ratio": ratio,
        }));
    }
    let check = match (done.check_seconds, ratio) {
        (Some(seconds), Some(ratio)) => {
            let share = ratio * 100.0;
            format!("{:.1} ms, {share:.2} % of the run; a wrong column would pass with 2^-62", seconds * 1e3)
        }
        _ => "left out".to_owned(),
    };
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    for (what, words) in [
        ("task", format!("n = {}, T = {}, seed {}", spec.matrix_size, spec.iterations, hex(&spec.seed))),
        ("jobs", plan.len().to_string()),
        ("units", plan.units().to_string()),
        ("backend", executor.describe()),
        ("run", format!("{:.3} s, {:.2} G products a second", done.run_seconds, rate / 1e9)),
        ("check", check),
        ("result hash", result.to_string()),
    ] {
        table.add_row([what, &words]);
    }
    context.print(&table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_hex_of_one_to_32_bytes() {
        let cases = [
            ("00", Some(vec![0])),
            ("fF10", Some(vec![255, 16])),
            ("", None),
            ("0", None),
            ("0x00", None),
            ("+1", None),
            ("\u{e9}", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seed(text).ok().map(Seed::into_inner), expected, "{text:?}");
        }
        assert!(seed(&"ab".repeat(32)).is_ok());
        assert!(seed(&"ab".repeat(33)).is_err());
    }
}
