//! Runs worlds from their seeds: `cpc-sim FIRST COUNT`, one line a world, and an exit code that says whether all held.

use std::process::ExitCode;
use std::time::Instant;

use cpc_sim::{Plan, run};

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).without_time().init();
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let (first, count) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(1));
    let begin = Instant::now();
    let mut broken = 0u64;
    for seed in first..first.saturating_add(count) {
        let plan = Plan::of(seed);
        let report = run(&plan);
        println!(
            "seed {seed}: {} validators, {} blocks, {} transfers, {} ms, {} accused, {:?}",
            plan.validators, report.height, report.transfers, report.time_ms, report.accused, plan.liars
        );
        for violation in &report.violations {
            broken += 1;
            println!("seed {seed}: {violation}");
        }
    }
    println!("{count} worlds in {} s, {broken} violations", begin.elapsed().as_secs());
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
