//! The synthetic kernel: field products a second beside what the processor could do, and what a check costs.

use std::hint::black_box;

use anyhow::{Result, anyhow, ensure};
use cpc_kernels::simd::field::{COLUMNS, Panel, ROWS, Row, Strip, product};
use cpc_kernels::synthetic::{ID, Seed, SyntheticSpec};
use cpc_kernels::{Cpu, Effort, Executor, Inputs, Job, Level, PreparedTask, Reference, Registry, Secret, Watch};
use cpc_primitives::{Digest, TaskId};

use crate::plan::Plan;
use cpc_bench::machine;
use cpc_bench::report::{Bound, Part};
use cpc_bench::samples::{Samples, Timed};

/// Rows of the panel that stays in the first cache: 8 KiB, and 1.5 KiB of the strip.
const NEAR_ROWS: usize = 64;
/// Steps of the chain that measures the clock.
const CHAIN: u64 = 20_000_000;
/// How many secrets one round checks under: a check takes a hundredth of a run, and something else may come in between.
const SECRETS: u8 = 5;
/// Cycles of one step: a 64-bit multiplication and an addition, on every x86 of the last fifteen years.
const CHAIN_CYCLES: f64 = 4.0;

/// What the rounds gave for one level.
#[derive(Default)]
struct Found {
    run: Timed,
    check: Timed,
    near: Samples,
}

/// Both parts: speed, and the check beside the run.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Part>> {
    let spec = SyntheticSpec {
        seed: Seed::new(b"bench".to_vec()).map_err(|error| anyhow!("{error}"))?,
        matrix_size: plan.matrix_size,
        iterations: plan.iterations,
    };
    let threads = std::thread::available_parallelism()?.get();
    let levels: Vec<Level> = Level::here().filter(|level| *level != Level::Scalar).collect();
    let mut found: Vec<Found> = levels.iter().map(|_| Found::default()).collect();
    let mut clock = Samples::default();
    let mut first_output = None;
    for round in 0..=plan.rounds {
        let mut turns: Vec<usize> = (0..levels.len()).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        let hertz = cycles_a_second()?;
        for turn in turns {
            // The first round is not counted.
            let found = if round > 0 { &mut found[turn] } else { &mut Found::default() };
            let output = one(&spec, levels[turn], threads, found)?;
            ensure!(*first_output.get_or_insert(output) == output, "{} gives other bytes", levels[turn]);
            found.near.push(near(levels[turn], plan.near_products)?);
        }
        if round > 0 {
            clock.push(hertz);
        }
    }
    Ok(report(plan, &spec, threads, &levels, &found, &clock))
}

fn report(
    plan: &Plan,
    spec: &SyntheticSpec,
    threads: usize,
    levels: &[Level],
    found: &[Found],
    clock: &Samples,
) -> Vec<Part> {
    let products = f64::from(spec.matrix_size).powi(3) * f64::from(spec.iterations);
    let mut speed = Part::new(
        "Field products",
        format!(
            "How many products over the field of 2^31 - 1 does the synthetic kernel make a second, n = {}, T = {}, on {threads} \
             threads, and how near is that to what the processor could do?",
            plan.matrix_size, plan.iterations
        ),
    );
    speed.note(
        "The limit, reasoned: 8 products cost one 512-bit multiplication and one addition; every eighth time a fold of \
         three operations (and, shift, add): 2.375 vector operations for 8 products. Four 512-bit pipes, two of which \
         multiply, are bound by all operations together: 8 x 4 / 2.375 = 13.47 products a cycle, where the multipliers \
         alone would allow 16. With 256 bits it is 4 products for 1 + 1 + 4/8 = 2.5 operations: 6.4 a cycle.",
    );
    speed.note(
        "The clock is measured in the same round, by a chain of dependent 64-bit multiplications and additions, four cycles together. \
         Near is one thread whose operands stay in the first cache: what the instructions do when memory costs nothing.",
    );
    let mut checks = Part::new(
        "The check of synthetic work",
        "What does a validator's check of a whole task cost beside the run, on the same threads in the same round?",
    );
    checks.note(
        "Two secret vectors are carried through all steps: 2 T n^2 products where the run makes T n^3, so 2/n of its \
         products, 0.195 % at n = 1024, is the floor for products that are as fast as the run's; the rest is the expansion of \
         A and X_0 from the seed, which the check repeats. A check here is the mean of those under five secrets.",
    );
    checks.note(
        "Soundness: a wrong column passes with p^-2, about 2^-62, whatever is wrong with it; right work always passes.",
    );
    speed.row("clock", clock.map(|hertz| hertz / 1e9), "GHz");
    for (level, found) in levels.iter().zip(found) {
        let per_cycle = match level {
            Level::Avx512 => 8.0 * 4.0 / 2.375,
            Level::Avx2 | Level::Scalar => 4.0 * 4.0 / 2.5,
        };
        let rate = found.run.wall.map(|seconds| products / seconds);
        let limit = clock.map(|hertz| hertz * per_cycle * threads as f64);
        speed.row(format!("kernels::synthetic_run/level={level}"), rate.map(|rate| rate / 1e9), "G products/s");
        speed.row(format!("kernels::near/level={level}"), found.near.map(|rate| rate / 1e9), "G products/s");
        speed.row(format!("kernels::limit/level={level}"), limit.map(|rate| rate / 1e9), "G products/s");
        speed.row(format!("kernels::share_of_limit/level={level}"), rate.over(&limit).map(|share| share * 100.0), "%");
        checks.row(format!("kernels::synthetic_run/level={level}"), found.run.wall.map(|s| s * 1e3), "ms");
        checks.row(
            format!("kernels::synthetic_run/level={level},clock=work"),
            found.run.work.map(|s| s * 1e3),
            "ms of all cores",
        );
        checks.row(format!("kernels::synthetic_check/level={level}"), found.check.wall.map(|s| s * 1e3), "ms");
        checks.row(
            format!("kernels::synthetic_check/level={level},clock=work"),
            found.check.work.map(|s| s * 1e3),
            "ms of all cores",
        );
        let percent = |check: &Samples, run: &Samples| check.over(run).map(|share| share * 100.0);
        let of_work = percent(&found.check.work, &found.run.work);
        checks.row(format!("ratio::synthetic_check_over_run/level={level},clock=work"), of_work, "%");
        let ratio = percent(&found.check.wall, &found.run.wall);
        checks.verdict(format!("synthetic check / run in %, {level}"), ratio, Bound::AtMost(0.5), Bound::AtMost(0.2));
    }
    vec![speed, checks]
}

/// One run and its checks on both clocks, and the hash of the output.
fn one(spec: &SyntheticSpec, level: Level, threads: usize, found: &mut Found) -> Result<Digest> {
    let executor = Reference::new(Cpu { level }, threads)?;
    let registry = Registry::all();
    let kernel = registry.kernel(ID)?;
    let watch = Watch::new();
    let task = kernel.prepare(&spec.bytes(), &Inputs::none(), executor.cpu(), &watch)?;
    let job = kernel.plan(&spec.bytes(), 1)?.jobs().next().ok_or_else(|| anyhow!("a plan has a job"))?;
    let clock = machine::Watch::start()?;
    let output = executor.run(&*task, &job.geometry, &watch)?;
    found.run.push(clock.stop(1.0)?);

    let clock = machine::Watch::start()?;
    for seat in 0..SECRETS {
        ensure!(is_right(&executor, &*task, &job, &output.bytes, seat)?, "{level}: honest work was refused");
    }
    found.check.push(clock.stop(SECRETS.into())?);
    let mut bent = output.bytes.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 1;
    ensure!(!is_right(&executor, &*task, &job, &bent, 0)?, "{level}: a lie passed");
    Ok(output.hash())
}

fn is_right(executor: &Reference, task: &dyn PreparedTask, job: &Job, output: &[u8], seat: u8) -> Result<bool> {
    let secret = Secret { seat: Digest([seat; 32]), task: TaskId(Digest::ZERO) };
    let watch = Watch::new();
    let judged = executor.with(|cpu| {
        let mut checker = task.checker(secret, Effort::Spot, cpu, &watch)?;
        checker.check(job, output, &watch)
    })?;
    Ok(judged.wrong.is_none())
}

/// Products a second of one thread whose operands stay in the first cache.
fn near(level: Level, products: u64) -> Result<f64> {
    let strip = Strip(vec![[1_000_003; ROWS]; NEAR_ROWS]);
    let panel = Panel(vec![Row([-999_983; COLUMNS]); NEAR_ROWS]);
    let each = (NEAR_ROWS * ROWS * COLUMNS) as u64;
    let turns = products / each;
    let clock = machine::Watch::start()?;
    for _ in 0..turns {
        black_box(product(level, black_box(&strip), black_box(&panel)));
    }
    let (_, work) = clock.stop((turns * each) as f64)?;
    Ok(1.0 / work)
}

/// The clock, by a chain in which every step waits for the one before: cycles of the time that this thread had.
fn cycles_a_second() -> Result<f64> {
    let factor = black_box(0x5851_f42d_4c95_7f2du64);
    let mut x = black_box(3u64);
    let clock = machine::Watch::start()?;
    for step in 0..CHAIN {
        // The addition keeps the compiler from multiplying the factors with each other first.
        x = x.wrapping_mul(factor).wrapping_add(step);
    }
    black_box(x);
    let (_, work) = clock.stop(CHAIN as f64)?;
    Ok(CHAIN_CYCLES / work)
}
