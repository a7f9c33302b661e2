//! The `cpc` command: reads the command line, runs one command, and turns its failure into words and an exit code.

use std::process::ExitCode;

use clap::Parser;
use cpc::commands::Cli;

/// Blocks are made of many small pieces of memory that live as long as a block: measured beside glibc's, this one brings
/// the store from 1.8 to 2.2 times the rival's durable updates (docs/measurements).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
