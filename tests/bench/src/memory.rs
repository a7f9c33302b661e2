//! What a store occupies in memory, seen from a process that does nothing else.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use cpc_primitives::Address;
use cpc_primitives::state::StateKey;
use cpc_store::{Options, RocksKv, RocksOptions, Store};
use rayon::prelude::*;

use crate::world::World;
use cpc_bench::machine;
use cpc_bench::report::Part;
use cpc_bench::samples::Samples;

/// The file beside the data in which the child finds the addresses that it reads.
const ADDRESSES: &str = "bench-addresses";

/// Opens the data of a world in a process of its own, which reads every account.
pub(crate) fn measure(world: &World, folder: &Path) -> Result<Part> {
    let addresses: Vec<u8> = world.addresses().iter().flat_map(|address| address.0).collect();
    fs::write(folder.join(ADDRESSES), addresses)?;
    let output = Command::new(env::current_exe()?).arg("memory").arg(folder).output()?;
    ensure!(output.status.success(), "the process failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    let mut next = || numbers.next().context("a number is missing")?.context("no number");

    let accounts = world.addresses().len();
    let mut part = Part::new("Memory", format!("How much memory does a store with {accounts} accounts occupy?"));
    part.note("Measured in a process that opens the store, reads every account once on both cores, and ends.");
    let (pages, rocks) = (Options::default(), RocksOptions::default());
    part.note(format!(
        "Caches are the node's: pages {} MiB, RocksDB's blocks {} MiB, its write buffers {} MiB.",
        pages.cache_bytes >> 20,
        rocks.block_cache_bytes >> 20,
        rocks.write_buffer_bytes >> 20
    ));
    part.row(format!("store::open/accounts={accounts}"), Samples::one(next()? * 1e3), "ms");
    part.row("process::resident/after=open", Samples::one(next()? / 1e6), "MB");
    part.row("process::resident/after=reading", Samples::one(next()? / 1e6), "MB");
    part.row("process::resident/at=most", Samples::one(next()? / 1e6), "MB");
    part.row("store::cached/of=pages", Samples::one(next()? / 1e6), "MB");
    part.row("store::cached/of=tree", Samples::one(next()? / 1e6), "MB");
    Ok(part)
}

/// What the process does: one line of numbers, in the order in which they are read above.
pub(crate) fn child(arguments: &[String]) -> Result<()> {
    let folder = Path::new(arguments.first().context("which folder?")?);
    let start = Instant::now();
    let kv = RocksKv::open(folder, &[], RocksOptions::default())?;
    let store = Store::open(Arc::new(kv), Options::default())?;
    let opened = start.elapsed().as_secs_f64();
    let (after_open, _) = machine::memory()?;
    let addresses = fs::read(folder.join(ADDRESSES))?;
    addresses.par_chunks(20).try_for_each(|address| -> Result<()> {
        let address = Address(address.try_into()?);
        ensure!(store.read(&StateKey::account(&address))?.is_some(), "{address} has no account");
        Ok(())
    })?;
    drop(addresses);
    let (after_reading, most) = machine::memory()?;
    let stats = store.stats()?;
    println!("{opened} {after_open} {after_reading} {most} {} {}", stats.cached_bytes, stats.tree_bytes);
    Ok(())
}
