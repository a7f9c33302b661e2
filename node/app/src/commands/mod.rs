//! The commands, and what all of them share: where the data is, how to answer, how to fail.

pub mod chain_dir;
pub mod db;
pub mod devnet;
pub mod faucet;
pub mod genesis;
pub mod keys;
pub mod query;
mod root;
pub mod secrets;
pub mod snapshot;
pub mod tx;
pub mod verify;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cpc_primitives::Address;
use serde_json::Value;

use crate::client::Client;
use crate::keystore::{KeyName, Keystore};

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
    /// Prints one JSON object in one line, with its version.
    pub fn json(&self, value: Value) {
        let mut object = serde_json::Map::from_iter([("version".to_owned(), Value::from(1))]);
        match value {
            Value::Object(fields) => object.extend(fields),
            other => _ = object.insert("value".to_owned(), other),
        }
        println!("{}", Value::Object(object));
    }

    /// Says something that is not an answer.
    pub fn say(&self, words: &str) {
        if !self.quiet {
            eprintln!("{words}");
        }
    }

    /// A client of the node.
    pub fn client(&self) -> Client {
        Client::new(&self.node, self.timeout)
    }
}

/// The address that a word means: an address itself, or that of the key with this name.
pub fn address_of(who: &str, context: &Context) -> Result<Address, Failure> {
    match (who.parse::<Address>(), who.parse::<KeyName>()) {
        (Ok(address), _) => Ok(address),
        // Whatever begins like an address is one that was mistyped, also where a key could have that name.
        (Err(_), Ok(name)) if !who.starts_with("cpc1") => Ok(Keystore::open(&context.data_dir).info(&name)?.address),
        (Err(error), _) => Err(Failure::new(Exit::Usage, error.to_string())
            .hint("give an address (cpc1...) or the name of a key; cpc keys list names the keys")),
    }
}

/// Writes a file that is not there yet; one that is, only with --yes.
pub fn write_new(path: &Path, bytes: &[u8], context: &Context) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    if context.yes {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::new(Exit::Refused, format!("{} exists already", path.display())).hint("--yes overwrites it")
        }
        _ => Failure::new(Exit::Failed, format!("{} cannot be written: {error}", path.display())),
    })
}

/// How answers are written to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Human,
    /// For programs: one JSON object in one line, with a version.
    Json,
}
