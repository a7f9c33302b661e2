//! The commands, and what all of them share: where the data is, how to answer, how to fail.

pub mod chain_dir;
pub mod db;
pub mod devnet;
pub mod faucet;
mod files;
pub mod genesis;
pub mod keys;
mod output;
pub mod query;
pub mod render;
mod root;
mod run_node;
pub mod secrets;
pub mod snapshot;
pub mod synthetic;
pub mod tx;
pub mod verify;
pub mod watched;
pub mod worker;

use std::path::PathBuf;
use std::time::Duration;

use cpc_primitives::Address;

use crate::client::Client;
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
