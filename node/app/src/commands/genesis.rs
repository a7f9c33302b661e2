//! `cpc genesis`: reads chain specs by the very code that a node starts from.

use std::path::Path;

use clap::Subcommand;
use cpc_genesis::{ChainSpec, Genesis, Network};
use serde_json::json;

use super::{Context, Exit, Failure, Output, read_bounded};

/// Bytes of the longest file that is read as a chain spec: those of the longest text that is parsed as one.
const SPEC_FILE_BYTES_MAX: usize = 8 << 20;

/// Looks at a network's beginning.
#[derive(Debug, Subcommand)]
pub enum GenesisCommand {
    /// Checks a chain spec and says what its network would begin with
    ///
    /// Runs the same code as a node at its first start. Names file, field and reason of what is wrong.
    Check {
        /// The chain spec; without it that of --network
        file: Option<String>,
    },
    /// Prints the id of block 0, which names the network and is all that `cpc verify` has to trust
    Hash {
        /// The chain spec; without it that of --network
        file: Option<String>,
    },
    /// Prints the chain spec
    Show {
        /// The chain spec; without it that of --network
        file: Option<String>,
    },
}

/// Runs one of them.
pub fn run(command: GenesisCommand, context: &Context) -> Result<(), Failure> {
    match command {
        GenesisCommand::Check { file } => {
            let (name, _, genesis) = chosen(file.as_deref(), context)?;
            check(&name, &genesis, context)?;
        }
        GenesisCommand::Hash { file } => {
            let (_, _, genesis) = chosen(file.as_deref(), context)?;
            match context.output {
                Output::Json => {
                    context.json(json!({ "network": genesis.spec.name, "genesis": genesis.id().to_string() }))?
                }
                Output::Human => context.print(&genesis.id().to_string())?,
            }
        }
        GenesisCommand::Show { file } => {
            let (_, text, genesis) = chosen(file.as_deref(), context)?;
            match context.output {
                Output::Json => context.json(json!({
                    "network": genesis.spec.name,
                    "genesis": genesis.id().to_string(),
                    "spec": toml::from_str::<serde_json::Value>(&text).expect("it was just read as a chain spec"),
                }))?,
                Output::Human => context.print(text.trim_end())?,
            }
        }
    }
    Ok(())
}

/// The file that was named, or the network of the command line.
fn chosen(file: Option<&str>, context: &Context) -> Result<(String, String, Genesis), Failure> {
    file.map_or_else(|| load_of(context), load)
}

/// The network of the command line. `devnet` is the one that `cpc devnet` has begun under the data directory, where it
/// has one of its own there.
pub fn load_of(context: &Context) -> Result<(String, String, Genesis), Failure> {
    let own = context.data_dir.join(super::devnet::DEVNET).join(super::devnet::SPEC);
    if context.network.parse() == Ok(Network::Devnet) && own.is_file() {
        return load(&own.display().to_string());
    }
    load(&context.network)
}

/// A network by its name, or by the path of its chain spec: its name, its text, and block 0.
pub fn load(network: &str) -> Result<(String, String, Genesis), Failure> {
    let text = match network.parse::<Network>() {
        Ok(known) => known.text().to_owned(),
        Err(unknown) => {
            if !Path::new(network).exists() {
                return Err(Failure::new(Exit::NotFound, unknown.to_string())
                    .hint("give one of these names, or the path of a chain spec"));
            }
            let bytes = read_bounded(Path::new(network), SPEC_FILE_BYTES_MAX, Exit::Refused)?;
            String::from_utf8(bytes)
                .map_err(|error| Failure::new(Exit::Refused, format!("{network} is no text: {error}")))?
        }
    };
    let refused = |reason: String| {
        Failure::new(Exit::Refused, format!("{network}: {reason}")).hint("see docs/spec/genesis.md for every field")
    };
    let spec = ChainSpec::parse(&text).map_err(|error| refused(error.to_string()))?;
    let genesis = Genesis::build(spec).map_err(|error| refused(error.to_string()))?;
    Ok((network.to_owned(), text, genesis))
}

fn check(name: &str, genesis: &Genesis, context: &Context) -> Result<(), Failure> {
    let spec = &genesis.spec;
    let bonded: cpc_primitives::Amount = spec.validators.iter().map(|validator| validator.stake).sum();
    let owned: cpc_primitives::Amount = spec.accounts.iter().map(|account| account.balance).sum();
    match context.output {
        Output::Json => context.json(json!({
            "file": name,
            "network": spec.name,
            "chain": spec.params.chain.0,
            "genesis": genesis.id().to_string(),
            "state_root": genesis.header.state_root.to_string(),
            "validators": spec.validators.len(),
            "accounts": spec.accounts.len(),
            "bonded": bonded.to_string(),
            "owned": owned.to_string(),
            "treasury": spec.treasury.to_string(),
            "known_keys": genesis.has_known_keys(),
        }))?,
        Output::Human => {
            context.print(&format!("{name} is a valid chain spec"))?;
            context.print(&format!("  network     {} (chain {})", spec.name, spec.params.chain))?;
            context.print(&format!("  genesis     {}", genesis.id()))?;
            context.print(&format!("  state root  {}", genesis.header.state_root))?;
            context.print(&format!("  validators  {} with {bonded} CPC bonded", spec.validators.len()))?;
            context.print(&format!("  accounts    {} with {owned} CPC", spec.accounts.len()))?;
            context.print(&format!("  treasury    {} CPC", spec.treasury))?;
            if genesis.has_known_keys() {
                context.print(
                    "  warning     everybody knows the keys of its validators: nothing here is worth anything",
                )?;
            }
        }
    }
    Ok(())
}
