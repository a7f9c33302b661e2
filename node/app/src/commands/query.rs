//! `cpc query`: asks a node, and writes proofs that need no trust in it.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use cpc_light::ProofFile;
use cpc_primitives::{Address, BlockId};
use serde_json::{Value, json};

use super::verify::describe;
use super::{Context, Exit, Failure, Output, address_of};
use crate::api::dto::{AccountView, BlockView, Status, SupplyView, TxView};

/// Asks a node.
#[derive(Debug, Subcommand)]
pub enum QueryCommand {
    /// What an address can spend
    ///
    /// With --proof FILE the node also has to prove it: the file can be checked offline with `cpc verify`.
    Balance {
        /// A key's name, or an address
        who: String,
        /// Writes a proof to this file
        #[arg(long, value_name = "FILE")]
        proof: Option<PathBuf>,
    },
    /// Balance, nonce and waiting transactions of an address
    Account {
        /// A key's name, or an address
        who: String,
    },
    /// A block by its height, its id, or `latest`
    Block {
        /// Which one
        #[arg(default_value = "latest")]
        which: String,
    },
    /// A transaction by its hash
    Tx {
        /// The hash that `cpc tx send` printed
        hash: String,
    },
    /// All money: what there is, where it is, what was made and burned
    Supply,
}

/// Runs one of them.
pub fn run(command: QueryCommand, context: &Context) -> Result<(), Failure> {
    match command {
        QueryCommand::Balance { who, proof: Some(file) } => prove(&address_of(&who, context)?, &file, context),
        QueryCommand::Balance { who, proof: None } => {
            let account: AccountView = context.client().get(&account_path(&address_of(&who, context)?))?;
            match context.output {
                Output::Json => context.json(json!({
                    "address": account.address, "balance": account.balance, "height": account.height,
                })),
                Output::Human => println!("{} CPC", account.balance),
            }
            Ok(())
        }
        QueryCommand::Account { who } => {
            let account: AccountView = context.client().get(&account_path(&address_of(&who, context)?))?;
            show(&account, context)
        }
        QueryCommand::Block { which } => {
            let block: BlockView = context.client().get(&format!("/api/v1/blocks/{which}"))?;
            show(&block, context)
        }
        QueryCommand::Tx { hash } => {
            let tx: TxView = context.client().get(&format!("/api/v1/txs/{hash}"))?;
            show(&tx, context)
        }
        QueryCommand::Supply => {
            let supply: SupplyView = context.client().get("/api/v1/supply")?;
            show(&supply, context)
        }
    }
}

fn account_path(address: &Address) -> String {
    format!("/api/v1/accounts/{address}")
}

/// Fetches a proof, checks it here, and only then writes it.
fn prove(address: &Address, file: &Path, context: &Context) -> Result<(), Failure> {
    let client = context.client();
    let status: Status = client.get("/api/v1/status")?;
    let bytes = client.bytes(&format!("{}/proof", account_path(address)))?;
    let genesis: BlockId = status.genesis.parse().map_err(|error| {
        Failure::new(Exit::Failed, format!("the node says {:?} is its genesis: {error}", status.genesis))
    })?;
    let verified = ProofFile::verify(&bytes, &genesis)
        .map_err(|error| Failure::new(Exit::VerificationFailed, format!("the node's proof is wrong: {error}")))?;
    let told = describe(&verified);
    super::write_new(file, &bytes, context)?;
    match context.output {
        Output::Json => context.json(json!({ "file": file, "genesis": status.genesis, "proof": told.json })),
        Output::Human => {
            println!("{}", told.line);
            eprintln!("Wrote {} ({} bytes). Check it anywhere, offline:", file.display(), bytes.len());
            eprintln!("  cpc verify {} --genesis {}", file.display(), status.genesis);
        }
    }
    Ok(())
}

/// Prints a flat record: JSON as it is, or a name and a value on each line.
fn show(record: &impl serde::Serialize, context: &Context) -> Result<(), Failure> {
    let value = serde_json::to_value(record).expect("our own records are JSON");
    if context.output == Output::Json {
        context.json(value);
        return Ok(());
    }
    let fields = value.as_object().into_iter().flatten();
    let width = fields.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        let name = name.replace('_', " ");
        match value {
            Value::Array(items) if items.is_empty() => println!("{name:width$}  none"),
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    let name = if n == 0 { name.as_str() } else { "" };
                    println!("{name:width$}  {}", plain(item));
                }
            }
            other => println!("{name:width$}  {}", plain(other)),
        }
    }
    Ok(())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}
