//! `cpc query`: asks a node, and writes proofs that need no trust in it.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use cpc_light::{ProofFile, Trusted};
use cpc_primitives::{Address, BlockId, TxHash};
use serde_json::{Value, json};

use super::verify::{anchor_json, anchor_of, describe, genesis_of};
use super::{Context, Exit, Failure, Output, address_of};
use crate::api::dto::{
    AccountTxs, AccountView, BlockView, BurnsView, FeesView, MempoolView, ParamsView, PeersView, SeatView, SupplyView,
    TreasuryView, TxView, ValidatorsView,
};

/// Asks a node.
#[derive(Debug, Subcommand)]
pub enum QueryCommand {
    /// What an address can spend
    ///
    /// With --proof FILE the node also has to prove it: the file can be checked offline with `cpc verify`. The proof
    /// leads from block 0, or with --from-epoch and --anchor from where an earlier check has ended.
    Balance {
        /// A key's name, or an address
        who: String,
        /// Writes a proof to this file
        #[arg(long, value_name = "FILE")]
        proof: Option<PathBuf>,
        /// The epoch of the anchor at which the proof begins
        #[arg(long, value_name = "EPOCH", requires = "proof", requires = "anchor")]
        from_epoch: Option<u64>,
        /// The anchor at which the proof begins, as an earlier check printed it
        #[arg(long, value_name = "HASH", requires = "from_epoch")]
        anchor: Option<String>,
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
    /// The transactions of an address, the newest first
    Txs {
        /// A key's name, or an address
        who: String,
        /// How many at most
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        /// From where the page before ended
        #[arg(long, value_name = "PLACE")]
        before: Option<String>,
    },
    /// Who signs blocks
    Validators {
        /// The epoch; that of the last final block without it
        #[arg(long)]
        epoch: Option<u64>,
    },
    /// What a sender has to know
    Params,
    /// What transactions cost
    Fees,
    /// What was destroyed
    Burns,
    /// What the treasury holds, and whose keys spend it
    Treasury,
    /// What waits for a block
    Mempool,
    /// Whom the node is connected to
    Peers,
    /// All money: what there is, where it is, what was made and burned
    Supply,
}

/// Runs one of them.
pub fn run(command: QueryCommand, context: &Context) -> Result<(), Failure> {
    match command {
        QueryCommand::Balance { who, proof: Some(file), from_epoch, anchor } => {
            let from = from_epoch.zip(anchor.as_deref());
            prove(&address_of(&who, context)?, &file, from, context)
        }
        QueryCommand::Balance { who, proof: None, .. } => {
            let account: AccountView = context.client().get(&account_path(&address_of(&who, context)?))?;
            match context.output {
                Output::Json => context.json(json!({
                    "address": account.address, "balance": account.balance, "height": account.height,
                }))?,
                Output::Human => context.print(&format!("{} CPC", account.balance))?,
            }
            Ok(())
        }
        QueryCommand::Account { who } => {
            let account: AccountView = context.client().get(&account_path(&address_of(&who, context)?))?;
            show(&account, context)
        }
        QueryCommand::Block { which } => {
            let block: BlockView = context.client().get(&format!("/api/v1/blocks/{}", block_named(&which)?))?;
            show(&block, context)
        }
        QueryCommand::Tx { hash } => {
            let hash: TxHash = hash.parse().map_err(|error| {
                Failure::new(Exit::Usage, format!("{hash:?} is not the hash of a transaction: {error}"))
            })?;
            let tx: TxView = context.client().get(&format!("/api/v1/txs/{hash}"))?;
            show(&tx, context)
        }
        QueryCommand::Txs { who, limit, before } => {
            let before = before.map(|place| place_named(&place).map(|place| format!("&before={place}"))).transpose()?;
            let path = account_path(&address_of(&who, context)?);
            let path = format!("{path}/txs?limit={limit}{}", before.unwrap_or_default());
            history(&context.client().get(&path)?, context)
        }
        QueryCommand::Validators { epoch } => {
            let epoch = epoch.map(|epoch| format!("?epoch={epoch}")).unwrap_or_default();
            validators(&context.client().get(&format!("/api/v1/validators{epoch}"))?, context)
        }
        QueryCommand::Params => show(&context.client().get::<ParamsView>("/api/v1/params")?, context),
        QueryCommand::Fees => show(&context.client().get::<FeesView>("/api/v1/fees")?, context),
        QueryCommand::Burns => show(&context.client().get::<BurnsView>("/api/v1/burns")?, context),
        QueryCommand::Treasury => show(&context.client().get::<TreasuryView>("/api/v1/treasury")?, context),
        QueryCommand::Mempool => {
            let mempool: MempoolView = context.client().get("/api/v1/mempool")?;
            match context.output {
                Output::Json => context.json(serde_json::to_value(&mempool).expect("our own records are JSON")),
                Output::Human => {
                    context.print(&format!("{} transactions wait, {} bytes", mempool.count, mempool.bytes))?;
                    mempool.txs.iter().try_for_each(|tx| context.print(&tx_line(tx)))
                }
            }
        }
        QueryCommand::Peers => {
            let peers: PeersView = context.client().get("/api/v1/peers")?;
            super::node::peers(&serde_json::to_value(&peers).expect("our own records are JSON"), context)
        }
        QueryCommand::Supply => {
            let supply: SupplyView = context.client().get("/api/v1/supply")?;
            show(&supply, context)
        }
    }
}

/// One page of a history.
fn history(page: &AccountTxs, context: &Context) -> Result<(), Failure> {
    if context.output == Output::Json {
        return context.json(serde_json::to_value(page).expect("our own records are JSON"));
    }
    page.txs.iter().try_for_each(|tx| context.print(&tx_line(tx)))?;
    if let Some(next) = &page.next {
        context.say(&format!("Go on with --before {next}"));
    }
    Ok(())
}

/// A transaction in one line.
fn tx_line(tx: &TxView) -> String {
    let height = tx.height.map_or_else(|| "-".to_owned(), |height| height.to_string());
    let amount = tx.amount.as_ref().map(|amount| format!("  {amount} CPC")).unwrap_or_default();
    let to = tx.to.as_ref().map(|to| format!("  to {to}")).unwrap_or_default();
    format!("{}  {}  {height}  {}{amount}  from {}{to}", tx.hash, tx.status, tx.action, tx.from)
}

/// The seats of an epoch.
fn validators(found: &ValidatorsView, context: &Context) -> Result<(), Failure> {
    if context.output == Output::Json {
        return context.json(serde_json::to_value(found).expect("our own records are JSON"));
    }
    let count = found.validators.len();
    context.print(&format!("epoch {}: {} of {count} make a block final", found.epoch, found.quorum))?;
    let line = |seat: &SeatView| format!("{:>3}  {}  {}  {} CPC", seat.seat, seat.key, seat.account, seat.stake);
    found.validators.iter().try_for_each(|seat| context.print(&line(seat)))
}

/// A place in a list, as the page before named it.
fn place_named(text: &str) -> Result<String, Failure> {
    let number = |part: &str| !part.is_empty() && part.len() <= 19 && part.bytes().all(|c| c.is_ascii_digit());
    match text.split_once('-') {
        Some((height, index)) if number(height) && number(index) => Ok(text.to_owned()),
        _ => Err(Failure::new(Exit::Usage, format!("{text:?} is no place: pass on what the page before said"))),
    }
}

/// A block as the API names it: a height, an id, or `latest`.
fn block_named(which: &str) -> Result<String, Failure> {
    if which == "latest" {
        return Ok(which.to_owned());
    }
    if let Ok(height) = which.parse::<u64>() {
        return Ok(height.to_string());
    }
    which.parse::<BlockId>().map(|id| id.to_string()).map_err(|error| {
        Failure::new(Exit::Usage, format!("{which:?} is neither a height, nor an id ({error}), nor `latest`"))
    })
}

fn account_path(address: &Address) -> String {
    format!("/api/v1/accounts/{address}")
}

/// Fetches a proof, checks it here, and only then writes it.
fn prove(address: &Address, file: &Path, from: Option<(u64, &str)>, context: &Context) -> Result<(), Failure> {
    let client = context.client();
    let path = format!("{}/proof", account_path(address));
    let (path, trusted) = match from {
        Some((epoch, anchor)) => (format!("{path}?from_epoch={epoch}"), anchor_of(anchor)?),
        // The node does not say whom to trust.
        None => (path, Trusted::Genesis(genesis_of(None, context)?)),
    };
    let bytes = client.bytes(&path)?;
    let verified = ProofFile::verify(&bytes, trusted)
        .map_err(|error| Failure::new(Exit::VerificationFailed, format!("the node's proof is wrong: {error}")))?;
    let told = describe(&verified);
    super::write_new(file, &bytes, context)?;
    match context.output {
        Output::Json => context.json(json!({
            "file": file, "genesis": verified.anchor().genesis.to_string(), "anchor": anchor_json(&verified),
            "proof": told.json,
        }))?,
        Output::Human => {
            context.print(&told.line)?;
            context.say(&format!("Wrote {} ({} bytes). Check it anywhere, offline:", file.display(), bytes.len()));
            match trusted {
                Trusted::Genesis(id) => context.say(&format!("  cpc verify {} --genesis {id}", file.display())),
                Trusted::Anchor(digest) => context.say(&format!("  cpc verify {} --anchor {digest}", file.display())),
            }
        }
    }
    Ok(())
}

/// Prints a flat record: JSON as it is, or a name and a value on each line.
pub(super) fn show(record: &impl serde::Serialize, context: &Context) -> Result<(), Failure> {
    let value = serde_json::to_value(record).expect("our own records are JSON");
    if context.output == Output::Json {
        context.json(value)?;
        return Ok(());
    }
    let fields = value.as_object().into_iter().flatten();
    let width = fields.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        let name = name.replace('_', " ");
        match value {
            Value::Array(items) if items.is_empty() => context.print(&format!("{name:width$}  none"))?,
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    let name = if n == 0 { name.as_str() } else { "" };
                    context.print(&format!("{name:width$}  {}", plain(item)))?;
                }
            }
            other => context.print(&format!("{name:width$}  {}", plain(other)))?,
        }
    }
    Ok(())
}

fn plain(value: &Value) -> String {
    match value {
        // One value is one line, whoever has written it.
        Value::String(text) => text.replace(char::is_control, ""),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}
