//! The commands, and what all of them share: where the data is, how to answer, how to fail.

pub mod chain_dir;
pub mod config;
pub mod db;
pub mod devnet;
pub mod faucet;
mod files;
pub mod genesis;
pub mod keys;
pub mod node;
mod output;
pub mod query;
pub mod render;
mod root;
mod run_node;
mod running;
pub mod secrets;
pub mod snapshot;
pub mod status;
pub mod synthetic;
pub mod tx;
mod tx_files;
pub mod verify;
pub mod watched;
pub mod worker;

use std::path::PathBuf;
use std::time::Duration;

use cpc_primitives::Address;

use crate::client::Client;
use crate::config::NodeConfig;
use crate::keystore::{KeyName, Keystore};

pub use files::{read_bounded, write_new};
pub use output::Output;
pub use root::Cli;

pub use crate::failure::{Exit, Failure};

/// What the global options say.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where the node's and the user's files are.
    pub data_dir: PathBuf,
    /// How answers are written to stdout.
    pub output: Output,
    /// Whether every question is answered with yes.
    pub yes: bool,
    /// Whether nothing may be asked.
    pub no_input: bool,
    /// Whether words on stderr are left out that are no errors.
    pub quiet: bool,
    /// The file of the node's configuration, where it was named.
    pub config: Option<PathBuf>,
    /// The network: one that is known by name, or the path of a chain spec.
    pub network: String,
    /// The URL of the node that answers.
    pub node: String,
    /// How long a command waits for an answer, and for a transaction to be final.
    pub timeout: Duration,
}

impl Context {
    /// A client of the node.
    pub fn client(&self) -> Client {
        Client::new(&self.node, self.timeout)
    }

    /// The node's configuration: these options of the command line over the environment, the file, and the defaults.
    pub fn node_config(&self, flags: &[(&str, String)]) -> Result<NodeConfig, Failure> {
        let beside = self.data_dir.join(crate::config::FILE);
        let path = self.config.clone().or_else(|| beside.exists().then_some(beside));
        let text = path.as_deref().map(|path| {
            let bytes = read_bounded(path, crate::config::FILE_BYTES_MAX, Exit::Usage)?;
            String::from_utf8(bytes)
                .map_err(|error| Failure::new(Exit::Usage, format!("{} is no text: {error}", path.display())))
        });
        let text = text.transpose()?;
        // A variable that is no text belongs to nobody here.
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        NodeConfig::read(path.as_deref().zip(text.as_deref()), environment, flags).map_err(|error| {
            Failure::new(Exit::Usage, error.to_string()).hint("`cpc config keys` lists what may be chosen")
        })
    }
}

/// The address that a word means: an address itself, or that of the key with this name.
pub fn address_of(who: &str, context: &Context) -> Result<Address, Failure> {
    match (who.parse::<Address>(), who.parse::<KeyName>()) {
        (Ok(address), _) => Ok(address),
        (Err(_), Ok(name)) => Ok(Keystore::open(&context.data_dir).info(&name)?.address),
        (Err(error), _) => Err(Failure::new(Exit::Usage, error.to_string())
            .hint("give an address (cpc1...) or the name of a key; cpc keys list names the keys")),
    }
}
