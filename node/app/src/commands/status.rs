//! `cpc status`: where a node is, in one line that always says a number or a reason.

use std::io::{IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::{Context, Failure, Output};
use crate::api::dto::{BlockView, Status};
use crate::chain::now;
use crate::client::Client;

/// The pace is measured over so many blocks.
const PACE_BLOCKS: u64 = 20;
/// How often a watched line is written anew.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// Says where a node is
///
/// One line: height and target, blocks a second, when it is there, peers, and how old the last block is.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Says it again every second, until Ctrl-C
    #[arg(long, short)]
    watch: bool,
}

/// Runs it.
pub fn run(args: &StatusArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client();
    let mut pace = Pace::default();
    let moves = args.watch && context.output == Output::Human && std::io::stdout().is_terminal();
    loop {
        let begun = Instant::now();
        let status: Status = client.get("/api/v1/status")?;
        let seen = Seen {
            blocks_per_s: pace.of(&client, &status)?,
            age_ms: now().0.saturating_sub(status.head_time_ms),
            status,
        };
        match context.output {
            Output::Json => context.json(seen.json())?,
            Output::Human if moves => {
                // Not by `print`, which lets nothing move the cursor. A terminal that has gone ends the next write.
                let mut out = std::io::stdout().lock();
                let line = seen.line().replace(char::is_control, "");
                super::output::written(write!(out, "\r\x1b[K{line}").and_then(|()| out.flush()))?;
            }
            Output::Human => context.print(&seen.line())?,
        }
        if !args.watch {
            return Ok(());
        }
        thread::sleep(WATCH_PAUSE.saturating_sub(begun.elapsed()));
    }
}

/// What was seen of a node at one moment.
struct Seen {
    status: Status,
    blocks_per_s: Option<f64>,
    age_ms: u64,
}

impl Seen {
    /// The blocks that are missing, and how long they take; otherwise why that is not known.
    fn eta(&self) -> Result<u64, &'static str> {
        let missing = self.status.target.saturating_sub(self.status.height);
        match self.blocks_per_s {
            _ if missing == 0 => Err("at the head"),
            Some(pace) if pace > 0.0 => Ok((missing as f64 / pace).ceil() as u64),
            _ => Err("no pace yet"),
        }
    }

    fn line(&self) -> String {
        let Status { network, height, target, peers, pending, .. } = &self.status;
        let pace = self.blocks_per_s.map_or_else(|| "- blocks/s".to_owned(), |pace| format!("{pace:.1} blocks/s"));
        let eta = self.eta().map_or_else(str::to_owned, |seconds| format!("ETA {seconds} s"));
        let age = if self.age_ms < 60_000 {
            format!("{}.{} s", self.age_ms / 1_000, self.age_ms % 1_000 / 100)
        } else {
            super::verify::span(self.age_ms)
        };
        format!("{network}  {height}/{target}  {pace}  {eta}  {peers} peers  {pending} waiting  head {age} old")
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "network": self.status.network, "height": self.status.height, "target": self.status.target,
            "blocks_per_s": self.blocks_per_s, "eta_s": self.eta().ok(), "eta_reason": self.eta().err(),
            "peers": self.status.peers, "pending": self.status.pending, "head_age_ms": self.age_ms,
            "head": self.status.head, "epoch": self.status.epoch,
        })
    }
}

/// How fast the chain goes: over its last blocks by their own times, and from the second look on by what was seen.
#[derive(Default)]
struct Pace {
    last: Option<(Instant, u64, f64)>,
}

impl Pace {
    fn of(&mut self, client: &Client, status: &Status) -> Result<Option<f64>, Failure> {
        let now = Instant::now();
        let seen = match self.last {
            // A node that catches up is faster than its blocks' times say.
            Some((then, height, before)) => {
                let seconds = now.duration_since(then).as_secs_f64().max(0.001);
                Some(0.8 * before + 0.2 * (status.height.saturating_sub(height) as f64 / seconds))
            }
            None => Self::of_blocks(client, status)?,
        };
        self.last = seen.map(|pace| (now, status.height, pace));
        Ok(seen)
    }

    fn of_blocks(client: &Client, status: &Status) -> Result<Option<f64>, Failure> {
        let first = status.height.saturating_sub(PACE_BLOCKS).max(1);
        let blocks = status.height.saturating_sub(first);
        if blocks == 0 {
            return Ok(None);
        }
        let Some(block) = client.find::<BlockView>(&format!("/api/v1/blocks/{first}"))? else { return Ok(None) };
        let millis = status.head_time_ms.saturating_sub(block.time_ms);
        Ok((millis > 0).then(|| blocks as f64 * 1_000.0 / millis as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(height: u64, target: u64, blocks_per_s: Option<f64>, age_ms: u64) -> Seen {
        let zeros = "00".repeat(32);
        let status = Status {
            network: "devnet".to_owned(),
            chain: 1,
            genesis: zeros.clone(),
            version: String::new(),
            height,
            target,
            head: zeros.clone(),
            head_time_ms: 0,
            state_root: zeros,
            epoch: 0,
            pending: 0,
            peers: 3,
            index_height: height,
        };
        Seen { status, blocks_per_s, age_ms }
    }

    #[test]
    fn the_line_says_a_number_or_a_reason() {
        let cases = [
            (seen(9, 9, Some(2.0), 400), "devnet  9/9  2.0 blocks/s  at the head  3 peers  0 waiting  head 0.4 s old"),
            (
                seen(10, 90, Some(8.04), 1_250),
                "devnet  10/90  8.0 blocks/s  ETA 10 s  3 peers  0 waiting  head 1.2 s old",
            ),
            (
                seen(0, 90, None, 120_000),
                "devnet  0/90  - blocks/s  no pace yet  3 peers  0 waiting  head 2 minutes old",
            ),
            (seen(1, 90, Some(0.0), 0), "devnet  1/90  0.0 blocks/s  no pace yet  3 peers  0 waiting  head 0.0 s old"),
        ];
        for (seen, expected) in cases {
            assert_eq!(seen.line(), expected);
        }
    }
}
