//! Measures the ledger, the store and the kernels beside their rivals, in one interleaved run.
//!
//! Every part states its question, asserts that the results are right before it times them, and lets both sides take
//! turns in every round, so that what else the machine does hits both. `--markdown FILE` writes the same report that is
//! printed. `--quick` runs every part with small numbers: those say nothing, they keep the benches from rotting.

mod ground;
mod growth;
mod memory;
mod node;
mod plan;
mod proofs;
mod renderers;
mod rendering;
mod rivals;
mod synthetic;
mod transfers;
mod updates;
mod world;

/// The binary's allocator: what is measured is what is shipped.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};

use crate::plan::{Kind, Plan};
use cpc_bench::machine::Machine;
use cpc_bench::report::Report;

const USAGE: &str = "cpc-bench [--quick] [--rounds N] [--only PART] [--markdown FILE] [--pictures FILE]
  --quick          small numbers that say nothing: whether the benches still work
  --rounds N       how often all sides take their turns; what is published has at least 7
  --only PART      transfers, updates, growth, ground, synthetic, rendering or renderers; may be given
                   more than once
  --markdown FILE  writes the report there, too
  --pictures FILE  writes the renderers' pictures and their differences there, as one PNG
It exits with 1 where a must is missed, and says which.";

/// The parts, in the order in which they are run.
const PARTS: [&str; 7] = ["transfers", "updates", "growth", "ground", "synthetic", "rendering", "renderers"];

/// Those of them that have a page of their own.
const KERNEL_PARTS: [&str; 3] = ["synthetic", "rendering", "renderers"];

/// What was asked for.
struct Asked {
    plan: Plan,
    parts: Vec<String>,
    markdown: Option<PathBuf>,
    pictures: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--help") => println!("{USAGE}"),
        // Memory is measured in a process that has done nothing else.
        Some("memory") => memory::child(&arguments[1..])?,
        _ => return run(&asked(&arguments)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn asked(arguments: &[String]) -> Result<Asked> {
    let mut asked = Asked { plan: Plan::full(), parts: Vec::new(), markdown: None, pictures: None };
    if arguments.iter().any(|argument| argument == "--quick") {
        asked.plan = Plan::quick();
    }
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => {}
            "--rounds" => {
                asked.plan.rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).context(USAGE)?;
            }
            "--only" => {
                let part = arguments.next().context(USAGE)?;
                if !PARTS.contains(&part.as_str()) {
                    bail!("{part:?} is no part\n{USAGE}");
                }
                asked.parts.push(part.clone());
            }
            "--markdown" => asked.markdown = Some(arguments.next().context(USAGE)?.into()),
            "--pictures" => asked.pictures = Some(arguments.next().context(USAGE)?.into()),
            other => bail!("{other:?} is unknown\n{USAGE}"),
        }
    }
    Ok(asked)
}

fn run(asked: &Asked) -> Result<ExitCode> {
    let Asked { plan, parts, markdown, pictures } = asked;
    let machine = Machine::look("bench")?;
    let method = format!(
        "- {} rounds after one that is not counted. In every round all sides take their turns, in an order that turns \
         around from round to round. Rows have the median with the smallest and the largest; ratios are taken round by \
         round.\n- Results are asserted to be right before they are timed, and again at the end.\n\n",
        plan.rounds
    );
    let of_kernels = |part: &String| KERNEL_PARTS.contains(&part.as_str());
    let title = if !parts.is_empty() && parts.iter().all(of_kernels) {
        "The kernels, measured"
    } else {
        "The ledger and the store, measured"
    };
    let mut report = Report::new(title, &machine, &method, plan.kind == Kind::Quick);
    for part in PARTS.iter().filter(|part| parts.is_empty() || parts.iter().any(|asked| asked == *part)) {
        eprintln!("{part}: {} rounds", plan.rounds);
        let found = match *part {
            "transfers" => transfers::measure(plan, &machine)?,
            "updates" => vec![updates::measure(plan, &machine)?],
            "growth" => vec![growth::measure(plan, &machine)?],
            "synthetic" => synthetic::measure(plan)?,
            "rendering" => vec![rendering::measure(plan)?],
            "renderers" => vec![renderers::measure(plan, &machine, pictures.as_deref())?],
            _ => vec![ground::measure(plan, &machine)?],
        };
        for part in &found {
            println!("{part}");
        }
        report.add(found);
    }
    report.finish(&machine)?;
    print!("{}", report.summary());
    if let Some(path) = markdown {
        fs::write(path, report.to_string()).with_context(|| path.display().to_string())?;
    }
    let missed = report.missed();
    // What a quick run finds says nothing, also where it is too little.
    if missed.is_empty() || plan.kind == Kind::Quick {
        return Ok(ExitCode::SUCCESS);
    }
    for what in missed {
        eprintln!("must missed: {what}");
    }
    Ok(ExitCode::FAILURE)
}
