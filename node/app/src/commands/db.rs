//! `cpc db`: looks at a chain's disk while no node uses it.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use clap::{Args, Subcommand};
use cpc_ledger::Supply;
use cpc_primitives::Fault;
use cpc_store::CheckReport;
use serde_json::json;

use super::chain_dir::{ChainDir, fault_exit, store_failure};
use super::{Context, Exit, Failure, Output};

/// Looks at a chain's disk while no node uses it.
#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Recomputes everything from the stored entries: pages, roots, block ids, and all money
    ///
    /// Reads the whole disk. Names what differs, and ends with exit code 9 where anything does.
    Check(DbArgs),
    /// Says how much there is
    Stats(DbArgs),
}

/// Where the chain is.
#[derive(Debug, Args)]
pub struct DbArgs {
    /// The folder of the chain; `devnet` under the data directory without it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Entries that wait for the recount.
const ENTRIES_WAITING_MAX: usize = 1_024;

/// Runs one of them.
pub fn run(command: DbCommand, context: &Context) -> Result<(), Failure> {
    match command {
        DbCommand::Check(args) => check(&args, context),
        DbCommand::Stats(args) => stats(&args, context),
    }
}

fn check(args: &DbArgs, context: &Context) -> Result<(), Failure> {
    let folder = ChainDir::lock_existing(args.dir.as_deref(), context)?;
    let store = folder.open_store()?;
    context.say("Reading every entry ...");

    // The store shows entries, the ledger counts money: side by side, with a bounded number of entries in between.
    let (show, shown) = mpsc::sync_channel(ENTRIES_WAITING_MAX);
    let counter = thread::spawn(move || cpc_ledger::recount(shown.into_iter().map(Ok)));
    let report = store.check(&mut |key, value| {
        // The counter ends early only with a fault, which is reported below.
        let _ = show.send((key.clone(), value.to_vec()));
    });
    drop(show);
    let supply =
        counter.join().map_err(|_| Failure::new(Exit::Failed, "the recount panicked; its words stand above"))?;
    let report = report.map_err(|error| store_failure(&error))?;
    tell(&report, supply.as_ref(), context)?;

    if !report.is_sound() {
        let words = format!("{} things in {} are not as they must be", report.differing, folder.path().display());
        return Err(Failure::new(Exit::Damaged, words).hint("restore a snapshot into a new folder, or begin anew"));
    }
    supply.map(|_| ()).map_err(|fault| Failure::new(fault_exit(&fault), fault.to_string()))
}

fn tell(report: &CheckReport, supply: Result<&Supply, &Fault>, context: &Context) -> Result<(), Failure> {
    let circulating = supply.map(|supply| (supply.genesis + supply.minted - supply.burned).to_string());
    match context.output {
        Output::Json => context.json(json!({
            "height": report.height.0, "root": report.root.to_string(), "entries": report.entries,
            "entry_bytes": report.entry_bytes, "pages": report.pages, "buckets": report.buckets,
            "blocks": report.blocks, "differing": report.differing, "differences": report.differences,
            "circulating": circulating.ok(), "sound": report.is_sound() && supply.is_ok(),
        }))?,
        Output::Human => {
            for difference in &report.differences {
                context.print(&format!("differs: {difference}"))?;
            }
            context.print(&format!("height   {}", report.height))?;
            context.print(&format!("root     {}", report.root))?;
            context.print(&format!(
                "entries  {} ({} bytes) in {} pages of {} buckets",
                report.entries, report.entry_bytes, report.pages, report.buckets
            ))?;
            context.print(&format!("blocks   {}", report.blocks))?;
            match circulating {
                Ok(circulating) => context.print(&format!("money    {circulating} CPC, counted and recorded alike"))?,
                Err(fault) => context.print(&format!("money    {fault}"))?,
            }
        }
    }
    Ok(())
}

fn stats(args: &DbArgs, context: &Context) -> Result<(), Failure> {
    let folder = ChainDir::lock_existing(args.dir.as_deref(), context)?;
    let store = folder.open_store()?;
    let stats = store.stats().map_err(|error| store_failure(&error))?;
    let tip = store.tip().ok_or_else(|| Failure::new(Exit::NotFound, "the store is empty"))?;
    match context.output {
        Output::Json => context.json(json!({
            "height": stats.tip.0, "lowest": stats.lowest.0, "id": tip.id.to_string(),
            "state_root": tip.header.state_root.to_string(), "tree_bytes": stats.tree_bytes,
        }))?,
        Output::Human => {
            context.print(&format!("blocks      {} to {}", stats.lowest, stats.tip))?;
            context.print(&format!("last block  {}", tip.id))?;
            context.print(&format!("state root  {}", tip.header.state_root))?;
            context.print(&format!("tree        {} bytes in memory", stats.tree_bytes))?;
        }
    }
    Ok(())
}
