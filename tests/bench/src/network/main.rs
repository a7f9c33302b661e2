//! Measures a running network over HTTP: its pace, how soon a transfer is final, and how many it carries, beside anvil.
//!
//! Everything that is sent was signed before the clock runs. The client is the same for all sides: lanes that send
//! batches of 256 in one request and read every receipt back; a transfer counts when its receipt was read.

mod anvil;
mod chain;
mod load;
mod ours;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context as _, Result, bail, ensure};
use cpc_bench::machine::Machine;
use cpc_bench::report::{Bound, Part, Report};
use cpc_bench::samples::Samples;
use cpc_primitives::signing::{Claim, verify_batch};
use cpc_primitives::{Domain, SecretKey};

use crate::anvil::Anvil;
use crate::chain::agent;
use crate::load::{BATCH, Lane, Load, Seen, pause};
use crate::ours::Validators;
use crate::usage::Usage;

const USAGE: &str = "bench-network --cpc FILE --anvil FILE [--quick] [--rounds N] [--only PART] [--markdown FILE]
  --cpc FILE       our binary, as shipped
  --anvil FILE     the rival's
  --quick          small numbers that say nothing: whether the benches still work
  --rounds N       how often all sides take their turns in `throughput`
  --only PART      throughput, latency, steady or sync; may be given more than once
  --markdown FILE  writes the report there, too
It exits with 1 where a must is missed, and says which.";

const PARTS: [&str; 4] = ["throughput", "latency", "steady", "sync"];
/// Lanes of the client.
const LANES: usize = 8;
/// Senders that send one transfer at a time, beside those of the lanes.
const SINGLES: usize = 1_200;

/// How much is measured.
struct Plan {
    rounds: usize,
    warm: Duration,
    counted: Duration,
    /// Transfers one after another whose time to finality is taken, for each case.
    singles: usize,
    steady: Duration,
    /// Blocks that a late follower fetches.
    blocks: u64,
    quick: bool,
}

struct Asked {
    cpc: PathBuf,
    anvil: PathBuf,
    plan: Plan,
    parts: Vec<String>,
    markdown: Option<PathBuf>,
}

fn asked() -> Result<Asked> {
    let seconds = Duration::from_secs;
    let mut plan = Plan {
        rounds: 5,
        warm: seconds(4),
        counted: seconds(10),
        singles: 100,
        steady: seconds(300),
        blocks: 10_000,
        quick: false,
    };
    let (mut cpc, mut anvil, mut parts, mut markdown) = (None, None, Vec::new(), None);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().context(USAGE);
        match argument.as_str() {
            "--cpc" => cpc = Some(PathBuf::from(value()?)),
            "--anvil" => anvil = Some(PathBuf::from(value()?)),
            "--rounds" => plan.rounds = value()?.parse().context(USAGE)?,
            "--markdown" => markdown = Some(PathBuf::from(value()?)),
            "--only" => {
                let part = value()?;
                ensure!(PARTS.contains(&part.as_str()), "{part:?} is no part\n{USAGE}");
                parts.push(part);
            }
            "--quick" => {
                let (warm, counted, steady) = (seconds(1), seconds(2), seconds(5));
                plan = Plan { rounds: 1, warm, counted, singles: 5, steady, blocks: 100, quick: true };
            }
            other => bail!("{other:?} is unknown\n{USAGE}"),
        }
    }
    Ok(Asked { cpc: cpc.context(USAGE)?, anvil: anvil.context(USAGE)?, plan, parts, markdown })
}

fn main() -> Result<ExitCode> {
    let asked = asked()?;
    let machine = Machine::look("bench-network")?;
    let method = format!(
        "- {LANES} lanes of one client on the same cores; {BATCH} transfers in one request, receipts of {BATCH} in one \
         request. Every transfer is signed before the clock runs, by a sender whose transfers come one after another, \
         and counts when its receipt was read back.\n- Each side takes its turn in each of {} rounds over an empty \
         chain, the order turning around; ratios are taken round by round. Afterwards nonces are compared with what was \
         read, and states of all validators with each other.\n\n",
        asked.plan.rounds
    );
    let mut report = Report::new("A running network, measured", &machine, &method, asked.plan.quick);
    let bench = Bench::new(&asked, &machine)?;
    for part in PARTS.iter().filter(|part| asked.parts.is_empty() || asked.parts.iter().any(|asked| asked == *part)) {
        eprintln!("{part} ...");
        let found = match *part {
            "throughput" => bench.throughput()?,
            "latency" => bench.latency()?,
            "sync" => bench.sync()?,
            _ => bench.steady()?,
        };
        println!("{found}");
        report.add(vec![found]);
    }
    report.finish(&machine)?;
    print!("{}", report.summary());
    if let Some(path) = &asked.markdown {
        fs::write(path, report.to_string()).with_context(|| path.display().to_string())?;
    }
    let missed = report.missed();
    if missed.is_empty() || asked.plan.quick {
        return Ok(ExitCode::SUCCESS);
    }
    for what in missed {
        eprintln!("must missed: {what}");
    }
    Ok(ExitCode::FAILURE)
}

/// Both sides' senders, and where the binaries are.
struct Bench<'a> {
    asked: &'a Asked,
    machine: &'a Machine,
    ours: ours::Senders,
    theirs: anvil::Senders,
}

/// One turn of one side.
struct Turn {
    seen: Seen,
    cpu: f64,
    resident: f64,
    written: f64,
    loopback: f64,
}

impl<'a> Bench<'a> {
    fn new(asked: &'a Asked, machine: &'a Machine) -> Result<Self> {
        let ours = ours::Senders::new(LANES * BATCH + SINGLES);
        Ok(Self { asked, machine, ours, theirs: anvil::Senders::new(LANES * BATCH)? })
    }

    fn validators(&self, count: usize, interval_ms: Option<u64>) -> Result<Validators> {
        Validators::start(&self.asked.cpc, self.machine.folder()?, &self.ours, count, interval_ms)
    }

    /// What a chain carries while it is loaded as fast as receipts come.
    fn turn(&self, chain: &dyn chain::Chain, pids: &[u32], lanes: &[Lane], load: Load) -> Result<Turn> {
        thread::scope(|scope| {
            let watch = scope.spawn(|| -> Result<_> {
                pause(load.warm);
                let before = (Usage::of_all(pids)?, usage::loopback()?);
                pause(load.counted);
                Ok((before, (Usage::of_all(pids)?, usage::loopback()?)))
            });
            let seen = load::run(chain, lanes, load)?;
            let ((before, lo_before), (after, lo_after)) = watch.join().expect("it returns its errors")?;
            let count = seen.receipts as f64;
            Ok(Turn {
                cpu: (after.cpu - before.cpu) / count,
                resident: after.resident / pids.len() as f64,
                written: (after.written - before.written) / count / pids.len() as f64,
                loopback: (lo_after - lo_before) / count,
                seen,
            })
        })
    }

    /// How many transfers a second one validator, four of them, and anvil carry.
    fn throughput(&self) -> Result<Part> {
        let Plan { rounds, warm, counted, quick, .. } = self.asked.plan;
        let load = Load { warm, counted, rate: None };
        let batches = if quick { 200 } else { 800 };
        let ours = self.ours.sign(LANES, batches)?;
        let theirs = self.theirs.sign(LANES, batches)?;
        let way = self.best_way(&theirs)?;
        let limit = signatures_a_second();

        let sides = ["one validator", "four validators", "anvil"];
        let mut turns: [Vec<Turn>; 3] = [const { Vec::new() }; 3];
        for round in 0..rounds {
            let mut order = [0, 1, 2];
            if round % 2 == 1 {
                order.reverse();
            }
            for side in order {
                let turn = if side == 2 {
                    let anvil = Anvil::start(&self.asked.anvil, &self.theirs, way.1)?;
                    let turn = self.turn(&anvil, &[anvil.pid()], &theirs, load)?;
                    anvil.check(&self.theirs, LANES, turn.seen.batches.iter().copied().min().unwrap_or(0))?;
                    turn
                } else {
                    let validators = self.validators([1, 4][side], None)?;
                    let turn = self.turn(&validators, &validators.pids(), &ours, load)?;
                    validators.check(&self.ours, LANES, turn.seen.batches.iter().copied().min().unwrap_or(0))?;
                    turn
                };
                eprintln!("  round {round}, {}: {:.0} transfers a second", sides[side], turn.seen.rate());
                turns[side].push(turn);
            }
        }

        let mut part =
            Part::new("Throughput", "How many transfers a second does a network carry end to end over HTTP?");
        part.note(format!(
            "anvil 1.7.1 with {}, the fastest of {} ways that were tried first, and everything else off; it keeps no \
             disk and needs no agreement. Ours syncs every block to the disk, makes one every 500 ms, and keeps proofs.",
            way.0,
            anvil::WAYS.len()
        ));
        part.note("The client works on the same two cores as what it measures.");
        let of = |side: usize, what: fn(&Turn) -> f64| turns[side].iter().map(what).collect::<Samples>();
        for (side, name) in sides.iter().enumerate() {
            let name = name.replace(' ', "-");
            part.row(format!("http::transfers/side={name}"), of(side, |turn| turn.seen.rate()), "a second");
            let waits = |q: f64| turns[side].iter().map(|turn| turn.seen.waits.quantile(q)).collect::<Samples>();
            part.row(format!("http::batch_final/side={name},q=50"), waits(0.5), "s");
            part.row(format!("http::batch_final/side={name},q=99"), waits(0.99), "s");
            part.row(
                format!("process::cpu/side={name}"),
                of(side, |turn| turn.cpu * 1e6),
                "us a transfer, all processes",
            );
            part.row(format!("process::resident/side={name}"), of(side, |turn| turn.resident / 1e6), "MB a process");
            part.row(
                format!("disk::written/side={name}"),
                of(side, |turn| turn.written),
                "bytes a transfer and process",
            );
            part.row(
                format!("loopback::bytes/side={name}"),
                of(side, |turn| turn.loopback),
                "bytes a transfer, client included",
            );
        }
        part.row("primitives::verify_batch/cores=2", limit.clone(), "signatures a second");
        let rate = |side: usize| of(side, |turn| turn.seen.rate());
        part.row("ratio::transfers_over_signatures/side=one-validator", rate(0).map(|rate| rate / limit.median()), "");
        let [eight, twenty] = [8.0, 20.0].map(Bound::AtLeast);
        part.verdict("one validator over anvil", rate(0).over(&rate(2)), eight, twenty);
        part.verdict("four validators, transfers a second", rate(1), Bound::AtLeast(2_000.0), Bound::AtLeast(5_000.0));
        Ok(part)
    }

    /// The fastest way to run anvil.
    fn best_way(&self, lanes: &[Lane]) -> Result<(&'static str, &'static [&'static str])> {
        let load = Load { warm: Duration::from_secs(1), counted: Duration::from_secs(4), rate: None };
        let mut best = (0.0, anvil::WAYS[0]);
        for way in anvil::WAYS {
            let anvil = Anvil::start(&self.asked.anvil, &self.theirs, way.1)?;
            let rate = load::run(&anvil, lanes, load).map(|seen| seen.rate());
            eprintln!("  anvil with {}: {rate:.0?} transfers a second", way.0);
            // A way that cannot carry the load at all is not the best one.
            if let Ok(rate) = rate
                && rate > best.0
            {
                best = (rate, way);
            }
        }
        ensure!(best.0 > 0.0, "anvil carries nothing in any way");
        Ok(best.1)
    }

    /// How soon a transfer is final, on an idle network and on one that carries 2,000 a second.
    fn latency(&self) -> Result<Part> {
        let singles = self.asked.plan.singles;
        let mut part = Part::new("Time to finality", "How long after it is sent is a transfer final for its sender?");
        part.note(format!(
            "{singles} transfers one after another, at moments that do not follow the blocks: from before the request until \
             the answer of a long poll says applied. Loaded: 2,000 transfers a second come in batches beside it."
        ));
        let lanes = self.ours.sign(LANES, if self.asked.plan.quick { 20 } else { 200 })?;
        let mut next = 0;
        for count in [1, 4] {
            let validators = self.validators(count, None)?;
            let agent = agent();
            let first = validators.height(&agent, 0)?;
            let idle = self.one_by_one(&validators, &mut next)?;
            let last = validators.height(&agent, 0)?;
            let times =
                (first..=last).map(|height| validators.time_of(&agent, height)).collect::<Result<Vec<u64>>>()?;
            let intervals: Samples = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
            let load = Load {
                warm: Duration::from_secs(2),
                counted: Duration::from_secs(if self.asked.plan.quick { 4 } else { 60 }),
                rate: Some(2_000.0),
            };
            let (busy, seen) = thread::scope(|scope| {
                let load = scope.spawn(|| load::run(&validators, &lanes, load));
                pause(Duration::from_secs(2));
                let busy = self.one_by_one(&validators, &mut next);
                Ok::<_, anyhow::Error>((busy?, load.join().expect("it returns its errors")?))
            })?;
            part.row(format!("engine::interval/validators={count},q=50"), Samples::one(intervals.quantile(0.5)), "ms");
            part.row(format!("engine::interval/validators={count},q=99"), Samples::one(intervals.quantile(0.99)), "ms");
            part.row(format!("http::load/validators={count}"), Samples::one(seen.rate()), "transfers a second beside");
            for (what, waits) in [("idle", &idle), ("loaded", &busy)] {
                let must = |q: f64| Samples::one(waits.quantile(q));
                part.row(format!("http::final/validators={count},{what}"), waits.clone(), "s");
                let [one, two] = [1.0, 2.0].map(Bound::AtMost);
                part.verdict(format!("{count} validators {what}, p50 in s"), must(0.5), one, one);
                part.verdict(format!("{count} validators {what}, p99 in s"), must(0.99), two, two);
            }
        }
        Ok(part)
    }

    /// Sends transfers one after another, and takes the time of each.
    fn one_by_one(&self, validators: &Validators, next: &mut usize) -> Result<Samples> {
        let agent = agent();
        let mut waits = Samples::default();
        for n in 0..self.asked.plan.singles {
            // A pause that is another one each time, so that no moment between two blocks is preferred.
            pause(Duration::from_millis(u64::try_from(n * 137 % 500)?));
            let tx = self.ours.single(*next, 0)?;
            *next += 1;
            let start = Instant::now();
            validators.one(&agent, n % chain::Chain::places(validators), &tx)?;
            waits.push(start.elapsed().as_secs_f64());
        }
        Ok(waits)
    }

    /// Whether four validators carry 2,000 transfers a second for five minutes, without a restart and without growing.
    fn steady(&self) -> Result<Part> {
        let whole = self.asked.plan.steady;
        let rate = 2_000.0;
        let batches = (whole.as_secs_f64() + 30.0) * rate / (BATCH * LANES) as f64;
        let lanes = self.ours.sign(LANES, batches as usize)?;
        let validators = self.validators(4, None)?;
        let pids = validators.pids();
        let load = Load { warm: Duration::from_secs(5), counted: whole, rate: Some(rate) };
        let (turn, memory) = thread::scope(|scope| {
            let watch = scope.spawn(|| -> Result<Vec<f64>> {
                // A quarter of the time is for caches to fill.
                pause(load.warm + whole / 4);
                let mut seen = Vec::new();
                for _ in 0..30 {
                    seen.push(Usage::of_all(&pids)?.resident / pids.len() as f64);
                    pause(whole / 42);
                }
                Ok(seen)
            });
            let turn = self.turn(&validators, &pids, &lanes, load)?;
            Ok::<_, anyhow::Error>((turn, watch.join().expect("it returns its errors")?))
        })?;
        validators.check(&self.ours, LANES, turn.seen.batches.iter().copied().min().unwrap_or(0))?;
        let third = memory.len() / 3;
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let growth = mean(&memory[2 * third..]) / mean(&memory[..third]);
        let mut part = Part::new(
            "Five minutes",
            format!(
                "Do four validators carry 2,000 transfers a second for {} s, and stay as large as they are?",
                whole.as_secs()
            ),
        );
        part.note("No validator was started again: a process that ends ends the bench.");
        part.row("http::transfers/validators=4", Samples::one(turn.seen.rate()), "a second");
        part.row("http::batch_final/q=50", Samples::one(turn.seen.waits.quantile(0.5)), "s");
        part.row("http::batch_final/q=99", Samples::one(turn.seen.waits.quantile(0.99)), "s");
        part.row("process::resident", memory.iter().map(|bytes| bytes / 1e6).collect(), "MB a validator");
        part.row("process::cpu", Samples::one(turn.cpu * 1e6), "us a transfer, four processes");
        part.row("disk::written", Samples::one(turn.written), "bytes a transfer and validator");
        part.row("client::sent", Samples::one(turn.seen.sent_bytes / turn.seen.receipts as f64), "bytes a transfer");
        part.row("loopback::bytes", Samples::one(turn.loopback), "bytes a transfer, client included");
        let [asked, enough] = [rate * 0.99, rate * 0.99].map(Bound::AtLeast);
        part.verdict("four validators, 2,000 a second for five minutes", Samples::one(turn.seen.rate()), asked, enough);
        let [most, goal] = [1.10, 1.05].map(Bound::AtMost);
        part.verdict("memory at the end over memory in the middle", Samples::one(growth), most, goal);
        Ok(part)
    }
    /// How fast a node without a seat catches up.
    fn sync(&self) -> Result<Part> {
        let Plan { blocks, quick, .. } = self.asked.plan;
        let mut part = Part::new("Sync", format!("How soon does a late follower have {blocks} blocks?"));
        part.note("From the start of its process until it serves the last of them, every block executed and every certificate checked.");
        let agent = agent();
        let mut validators = self.validators(1, Some(0))?;
        let start = Instant::now();
        while validators.height(&agent, 0)? < blocks {
            ensure!(start.elapsed() < Duration::from_secs(600), "{blocks} blocks are not made in ten minutes");
            pause(Duration::from_millis(20));
        }
        part.row(
            "engine::blocks/validators=1,interval=0",
            Samples::one(blocks as f64 / start.elapsed().as_secs_f64()),
            "a second",
        );
        validators.again(None)?;
        let (height, seconds) = validators.follow()?;
        part.row("sync::blocks/of=empty", Samples::one(height as f64 / seconds), "a second");
        let minute = Samples::one(seconds);
        part.verdict(
            format!("a follower's seconds for {height} blocks"),
            minute,
            Bound::AtMost(60.0),
            Bound::AtMost(10.0),
        );
        drop(validators);

        // The same with transfers in them.
        let mut validators = self.validators(1, None)?;
        let counted = Duration::from_secs(if quick { 2 } else { 20 });
        let lanes = self.ours.sign(LANES, if quick { 60 } else { 250 })?;
        let load = Load { warm: Duration::ZERO, counted, rate: Some(if quick { 2_000.0 } else { 20_000.0 }) };
        let seen = load::run(&validators, &lanes, load)?;
        let transfers = seen.batches.iter().sum::<u64>() as f64 * BATCH as f64;
        let (_, seconds) = validators.follow()?;
        part.row("sync::transfers", Samples::one(transfers / seconds), "a second");
        Ok(part)
    }
}

/// How many signatures a second this machine can check at all, on its cores together.
fn signatures_a_second() -> Samples {
    let claims: Vec<Claim> = (0..8_192u32)
        .map(|n| {
            let key = SecretKey::from_seed(blake3::hash(&n.to_le_bytes()).as_bytes());
            let message = Domain::TxId.hash_bytes(&n.to_le_bytes());
            Claim { key: key.public(), message, signature: key.sign_digest(&message) }
        })
        .collect();
    (0..7)
        .map(|_| {
            let start = Instant::now();
            thread::scope(|scope| {
                for half in claims.chunks(claims.len() / 2) {
                    scope.spawn(|| half.chunks(4_096).for_each(|batch| verify_batch(batch).expect("they are good")));
                }
            });
            claims.len() as f64 / start.elapsed().as_secs_f64()
        })
        .collect()
}
