//! The `cpc` command: reads the command line, runs one command, and turns its failure into words and an exit code.

use std::process::ExitCode;

use clap::Parser;
use cpc::commands::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
