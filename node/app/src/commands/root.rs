//! The command line: the options that every command has, and which command is meant.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};
use serde_json::json;

use super::config::ConfigCommand;
use super::db::DbCommand;
use super::devnet::DevnetArgs;
use super::faucet::FaucetCommand;
use super::genesis::GenesisCommand;
use super::keys::KeysCommand;
use super::node::NodeCommand;
use super::output::{versioned, warn};
use super::query::QueryCommand;
use super::render::RenderArgs;
use super::snapshot::SnapshotCommand;
use super::status::StatusArgs;
use super::synthetic::SyntheticArgs;
use super::tx::TxCommand;
use super::verify::VerifyArgs;
use super::worker::WorkerCommand;
use super::{Context, Exit, Failure, Output};
use crate::config::{LogFormat, LogLevel, LogsConfig};

/// A chain whose blocks carry the results of real GPU work
#[derive(Debug, Parser)]
#[command(name = "cpc", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
struct Globals {
    /// Answers in JSON: one object in one line, with a version
    #[arg(long, global = true)]
    json: bool,
    /// Says nothing that is neither an answer nor an error
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Logs more: once what happens, twice how, three times everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Where keys and chains are kept
    #[arg(long, global = true, value_name = "DIR", env = "CPC_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The node's configuration; node.toml in the data directory where there is one
    #[arg(long, global = true, value_name = "FILE", env = "CPC_CONFIG")]
    config: Option<PathBuf>,
    /// The network: devnet, testnet, mainnet, or the path of a chain spec
    #[arg(long, global = true, value_name = "NETWORK", env = "CPC_NETWORK", default_value = "devnet")]
    network: String,
    /// The node to ask
    #[arg(long, global = true, value_name = "URL", env = "CPC_NODE", default_value = "http://127.0.0.1:8000")]
    node: String,
    /// How long to wait: 500ms, 30s, 10m
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    /// Answers every question with yes
    #[arg(short, long, global = true)]
    yes: bool,
    /// Fails rather than ask
    #[arg(long, global = true)]
    no_input: bool,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a network on this machine, with money to play with
    Devnet(DevnetArgs),
    /// Says where a node is, in one line
    Status(StatusArgs),
    /// Runs one node of a network, and asks and stops the node of a folder
    #[command(subcommand)]
    Node(NodeCommand),
    /// Makes, lists and uses keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Sends transactions
    #[command(subcommand)]
    Tx(TxCommand),
    /// Asks a node about accounts, blocks, transactions and money
    #[command(subcommand)]
    Query(QueryCommand),
    /// Checks a proof file offline, with nothing but a genesis hash
    Verify(VerifyArgs),
    /// Asks a devnet's faucet for money
    #[command(subcommand)]
    Faucet(FaucetCommand),
    /// Checks chain specs and says what networks begin with
    #[command(subcommand)]
    Genesis(GenesisCommand),
    /// Makes, checks and restores snapshots of a chain's state
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Looks at a chain's disk while no node uses it
    #[command(subcommand)]
    Db(DbCommand),
    /// Renders a scene on this machine: the same bits that any worker computes
    Render(RenderArgs),
    /// Computes a task of the synthetic kernel here, and checks it as a validator would
    Synthetic(SyntheticArgs),
    /// Says what this machine can compute
    #[command(subcommand)]
    Worker(WorkerCommand),
    /// Shows what the node's configuration says, and where each value comes from
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Writes completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Writes the manual page
    Man,
    /// Says which version this is
    Version,
}

impl Cli {
    /// Runs the command, and turns its failure into words and an exit code.
    pub fn run(self) -> ExitCode {
        let output = if self.globals.json { Output::Json } else { Output::Human };
        let done = self.globals.context().and_then(|context| {
            log_to_stderr(&self.logs(&context)?);
            self.command.run(&context)
        });
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                report(&failure, output);
                failure.code.into()
            }
        }
    }
}

impl Cli {
    /// What is logged: by a node what its configuration says, by every other command little.
    fn logs(&self, context: &Context) -> Result<LogsConfig, Failure> {
        let mut logs = LogsConfig { level: LogLevel::Warn, format: LogFormat::Text };
        if matches!(self.command, Command::Node(NodeCommand::Run(_)) | Command::Devnet(_)) {
            let config = context.node_config(&[])?;
            // A devnet in a terminal speaks to a person: it logs only where that was chosen.
            let is_service = matches!(self.command, Command::Node(_));
            let level = if is_service || config.is_chosen("logs.level") { config.logs.level } else { logs.level };
            logs = LogsConfig { level, ..config.logs };
        }
        logs.level = match self.globals.verbose {
            0 => logs.level,
            1 => LogLevel::Info,
            2 => LogLevel::Debug,
            _ => LogLevel::Trace,
        };
        Ok(logs)
    }
}

impl Command {
    fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Devnet(args) => super::devnet::run(&args, context),
            Self::Status(args) => super::status::run(&args, context),
            Self::Node(command) => super::node::run(command, context),
            Self::Keys(command) => super::keys::run(command, context),
            Self::Tx(command) => super::tx::run(command, context),
            Self::Query(command) => super::query::run(command, context),
            Self::Verify(args) => super::verify::run(&args, context),
            Self::Faucet(command) => super::faucet::run(command, context),
            Self::Genesis(command) => super::genesis::run(command, context),
            Self::Snapshot(command) => super::snapshot::run(command, context),
            Self::Db(command) => super::db::run(command, context),
            Self::Render(args) => super::render::run(&args, context),
            Self::Synthetic(args) => super::synthetic::run(&args, context),
            Self::Worker(command) => super::worker::run(&command, context),
            Self::Config(command) => super::config::run(&command, context),
            Self::Completions { shell } => completions(shell, context),
            Self::Man => manual(context),
            Self::Version => match context.output {
                Output::Json => context.json(json!({ "cpc": env!("CARGO_PKG_VERSION") })),
                Output::Human => context.print(concat!("cpc ", env!("CARGO_PKG_VERSION"))),
            },
        }
    }
}

/// What a shell reads to complete commands.
fn completions(shell: clap_complete::Shell, context: &Context) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cpc", &mut text);
    context.give_text("completions", &text)
}

/// The manual: the page of the command, and one section for each of its commands.
fn manual(context: &Context) -> Result<(), Failure> {
    let mut text = Vec::new();
    let command = Cli::command();
    let cannot = |error: std::io::Error| Failure::new(Exit::Failed, format!("the manual cannot be written: {error}"));
    clap_mangen::Man::new(command).render(&mut text).map_err(cannot)?;
    context.give_text("man", &text)
}

impl Globals {
    fn context(&self) -> Result<Context, Failure> {
        Ok(Context {
            data_dir: self.data_dir.clone().map_or_else(default_data_dir, Ok)?,
            output: if self.json { Output::Json } else { Output::Human },
            yes: self.yes,
            no_input: self.no_input,
            quiet: self.quiet,
            config: self.config.clone(),
            network: self.network.clone(),
            node: self.node.clone(),
            timeout: self.timeout,
        })
    }
}

/// `$XDG_DATA_HOME/cpc`, which is `~/.local/share/cpc` where nobody says otherwise.
fn default_data_dir() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    base.map(|base| base.join("cpc")).ok_or_else(|| {
        Failure::new(Exit::Usage, "this user has no home directory to keep keys and chains in")
            .hint("name a folder with --data-dir DIR")
    })
}

/// Reads `500ms`, `30s`, `10m`, `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let wrong = || format!("{text:?} is not a time: write for example 500ms, 30s or 10m");
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    let millis = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let total = count.checked_mul(millis).filter(|total| *total <= 7 * 24 * 3_600_000);
    total.map(Duration::from_millis).ok_or_else(|| format!("{text:?} is longer than a week"))
}

fn log_to_stderr(logs: &LogsConfig) {
    let level = logs.level.word();
    let ours = format!("warn,cpc={level},cpc_engine={level},cpc_net={level},tower_http={level}");
    let filter = tracing_subscriber::EnvFilter::new(ours);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match logs.format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
}

fn report(failure: &Failure, output: Output) {
    if output == Output::Json {
        let error = json!({ "code": failure.code.code(), "message": failure.message, "hint": failure.hint });
        return warn(&versioned(json!({ "error": error })).to_string());
    }
    warn(&format!("error: {}", failure.message));
    if let Some(hint) = &failure.hint {
        warn(&format!("  hint: {hint}"));
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_a_unit() {
        let cases = [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("10m", Some(600_000)),
            ("30", None),
            ("s", None),
            ("", None),
            ("1d", None),
            ("200h", None),
            ("-1s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(duration(text).ok().map(|time| time.as_millis()), expected, "{text:?}");
        }
    }
}
