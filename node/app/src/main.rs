//! The `cpc` command: reads the command line, runs one command, and turns its failure into words and an exit code.

use std::process::ExitCode;

use clap::Parser;
use cpc::commands::Cli;

/// A block is many small pieces of memory that live as long as it does: with glibc's allocator the store makes a fifth
/// fewer durable updates a second.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
