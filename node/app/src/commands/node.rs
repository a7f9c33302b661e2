//! `cpc node`: runs a node; asks the node of a folder, as its owner, and stops it.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Context, Exit, Failure, Output};
use crate::control::{Ask, When, ask};

/// How often a stopping node is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Runs a node, and asks and stops the node of a folder on this machine.
#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// Runs one node of a network: a validator, or a follower
    Run(super::run_node::RunArgs),
    /// Where it is
    Status(FolderArgs),
    /// Whether it works, check by check; exit code 10 where it does not
    Health(FolderArgs),
    /// Whom it is connected to
    Peers(FolderArgs),
    /// Stops it, and waits until it has stopped
    Stop(StopArgs),
}

/// Which node.
#[derive(Debug, Args)]
pub struct FolderArgs {
    /// The folder of its chain; without it the one under the data directory: `node`, or the devnet's first
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What `cpc node stop` takes.
#[derive(Debug, Args)]
pub struct StopArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Stops when no block is missed by it
    #[arg(long)]
    when_safe: bool,
}

/// Runs one of them.
pub(super) fn run(command: NodeCommand, context: &Context) -> Result<(), Failure> {
    match command {
        NodeCommand::Run(args) => super::run_node::run(&args, context),
        NodeCommand::Status(folder) => {
            let answer = asked(&folder.path(context), Ask::Status)?;
            super::query::show(&answer, context)
        }
        NodeCommand::Health(folder) => health(&asked(&folder.path(context), Ask::Health)?, context),
        NodeCommand::Peers(folder) => peers(&asked(&folder.path(context), Ask::Peers)?, context),
        NodeCommand::Stop(args) => stop(&args, context),
    }
}

impl FolderArgs {
    fn path(&self, context: &Context) -> PathBuf {
        let devnet = context.data_dir.join(super::devnet::DEVNET);
        let first = devnet.join("node-0");
        let known = [context.data_dir.join(super::run_node::NODE), first];
        // A node that was started is found by its folder; where there is none, the devnet of one validator is meant.
        self.dir.clone().or_else(|| known.into_iter().find(|dir| dir.is_dir())).unwrap_or(devnet)
    }
}

fn asked(dir: &Path, question: Ask) -> Result<Value, Failure> {
    let nobody = || {
        Failure::new(Exit::Unreachable, format!("no node runs in {}", dir.display()))
            .hint("name the folder of its chain with --dir; `cpc status` asks a node by its URL")
    };
    let answer = ask(dir, question).map_err(|error| {
        let code = match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => Exit::TimedOut,
            _ => Exit::Failed,
        };
        Failure::new(code, format!("the node in {} does not answer: {error}", dir.display()))
            .hint("is it of another user?")
    })?;
    let answer = answer.ok_or_else(nobody)?;
    match answer["error"].as_str() {
        Some(error) => Err(Failure::new(Exit::Refused, format!("the node refuses: {error}"))),
        None => Ok(answer),
    }
}

fn health(answer: &Value, context: &Context) -> Result<(), Failure> {
    let checks = answer["checks"].as_array().cloned().unwrap_or_default();
    match context.output {
        Output::Json => context.json(answer.clone())?,
        Output::Human => {
            for check in &checks {
                let mark = if check["ok"] == true { "ok  " } else { "FAIL" };
                let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
                context.print(&format!("{mark}  {}: {}", text("name"), text("evidence")))?;
            }
        }
    }
    let failing: Vec<&str> =
        checks.iter().filter(|check| check["ok"] != true).filter_map(|check| check["name"].as_str()).collect();
    if failing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Exit::NotNow, format!("the node does not work: {}", failing.join(", "))))
}

pub(super) fn peers(answer: &Value, context: &Context) -> Result<(), Failure> {
    if context.output == Output::Json {
        return context.json(answer.clone());
    }
    let peers = answer["peers"].as_array().cloned().unwrap_or_default();
    if peers.is_empty() {
        context.say("No peers.");
    }
    for peer in peers {
        let text = |field: &str| peer[field].as_str().unwrap_or("-").to_owned();
        let height = peer["height"].as_u64().map_or_else(|| "-".to_owned(), |height| height.to_string());
        let line = [text("plane"), text("direction"), text("address"), height, text("id")].join("  ");
        context.print(&line)?;
    }
    Ok(())
}

fn stop(args: &StopArgs, context: &Context) -> Result<(), Failure> {
    let dir = args.folder.path(context);
    let when = if args.when_safe { When::Safe } else { When::Now };
    asked(&dir, Ask::Stop(when))?;
    let begun = Instant::now();
    // The socket goes last: where nobody answers any more, the node has stopped.
    while matches!(ask(&dir, Ask::Status), Ok(Some(_))) {
        if begun.elapsed() > context.timeout {
            let words = format!("the node in {} has not stopped after {:?}", dir.display(), context.timeout);
            return Err(Failure::new(Exit::TimedOut, words).hint("it was told to; wait longer with --timeout 2m"));
        }
        thread::sleep(POLL);
    }
    match context.output {
        Output::Json => context.json(serde_json::json!({ "stopped": true, "dir": dir })),
        Output::Human => context.print(&format!("The node in {} has stopped.", dir.display())),
    }
}
