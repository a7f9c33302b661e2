//! `cpc tx`: signs here, sends there, and waits until the chain has answered.

use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use cpc_genesis::Genesis;
use cpc_ledger::TRANSFER_GAS;
use cpc_primitives::tx::{Action, Transfer, TxBody};
use cpc_primitives::{Amount, Gas, Nonce};
use serde_json::json;

use super::keys::unlock;
use super::secrets::PasswordArgs;
use super::{Context, Exit, Failure, Output, address_of, tx_files};
use crate::api::dto::{AccountView, Status, Submit, Submitted, TxView};
use crate::client::Client;
use crate::keystore::{KeyName, Keystore};

/// How often a waiting command asks again.
const POLL: Duration = Duration::from_millis(100);

/// Sends transactions.
#[derive(Debug, Subcommand)]
pub enum TxCommand {
    /// Sends money to an address
    ///
    /// Signs with a key of this machine, sends to --node, and waits until the transfer is final.
    Send(SendArgs),
    /// What became of transactions
    Status(tx_files::StatusArgs),
    /// Builds a transfer that nobody has signed, in hex
    Build(tx_files::BuildArgs),
    /// Signs what was built, where the key is
    Sign(tx_files::SignArgs),
    /// Sends what was signed, many at once
    Broadcast(tx_files::BroadcastArgs),
    /// Says what a file holds
    Decode(tx_files::DecodeArgs),
}

/// What `cpc tx send` takes.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The key that pays
    #[arg(long, visible_alias = "from", value_name = "NAME")]
    key: String,
    /// Who is paid: an address, or the name of a key
    #[arg(long, value_name = "WHO")]
    to: String,
    /// How much, in CPC: 10.5
    #[arg(long, value_name = "AMOUNT")]
    amount: Amount,
    /// What one gas may cost; the network's minimum without it
    #[arg(long, value_name = "AMOUNT")]
    gas_price: Option<Amount>,
    /// The most gas to pay for; enough for a transfer to a new account without it
    #[arg(long, value_name = "GAS")]
    gas_limit: Option<u64>,
    /// The nonce; the account's next one without it
    #[arg(long)]
    nonce: Option<u64>,
    /// Returns as soon as the node has taken the transaction
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    password: PasswordArgs,
}

/// Runs one of them.
pub fn run(command: TxCommand, context: &Context) -> Result<(), Failure> {
    match command {
        TxCommand::Send(args) => send(&args, context),
        TxCommand::Status(args) => tx_files::status(&args, context),
        TxCommand::Build(args) => tx_files::build(&args, context),
        TxCommand::Sign(args) => tx_files::sign(&args, context),
        TxCommand::Broadcast(args) => tx_files::broadcast(&args, context),
        TxCommand::Decode(args) => tx_files::show(&args, context),
    }
}

fn send(args: &SendArgs, context: &Context) -> Result<(), Failure> {
    let to = address_of(&args.to, context)?;
    let name = args.key.parse::<KeyName>().map_err(|error| {
        Failure::new(Exit::Usage, format!("--from is the name of a key of this machine: {error}"))
            .hint("cpc keys list names them")
    })?;
    let from = Keystore::open(&context.data_dir).info(&name)?.address;
    // What is signed comes from the network that the user named, never from the node that is asked to send it.
    let (_, _, genesis) = super::genesis::load_of(context)?;
    let params = &genesis.spec.params;
    let client = context.client();
    check_network(&client.get("/api/v1/status")?, &genesis, context)?;
    let account: AccountView = client.get(&format!("/api/v1/accounts/{from}"))?;

    let gas_price = args.gas_price.unwrap_or(params.gas_price_min);
    let transfer_gas = TRANSFER_GAS.checked_add(params.new_account_gas).expect("the rules fit a transfer into a block");
    let gas_limit = args.gas_limit.unwrap_or(transfer_gas.0);
    let balance = amount_of_node("balance", &account.balance)?;
    let fee = gas_price.checked_mul(gas_limit);
    let needed = fee.and_then(|fee| fee.checked_add(args.amount));
    if needed.is_none_or(|needed| needed > balance) {
        let most = needed.map_or_else(|| "more than can ever exist".to_owned(), |needed| format!("up to {needed} CPC"));
        let detail = format!("{from} has {balance} CPC, this transfer needs {most} with its fee");
        let failure = Failure::new(Exit::InsufficientFunds, detail);
        return Err(failure.hint(format!("on a devnet: cpc faucet request --to {}", args.key)));
    }

    let nonce = args.nonce.map_or_else(|| next_nonce(&account), Ok)?;
    let body = TxBody {
        chain: params.chain,
        nonce: Nonce(nonce),
        gas_price,
        gas_limit: Gas(gas_limit),
        action: Action::Transfer(Transfer { to, amount: args.amount }),
    };
    // The password is asked for last: nobody types it for a transfer that could not be sent.
    let tx = body.sign(&unlock(&args.key, &args.password, context)?);
    let hex = cpc_primitives::hash::hex(&tx.encode());
    let submitted: Submitted = client.post("/api/v1/txs", &Submit { tx: Some(hex), txs: None })?;
    if args.no_wait {
        match context.output {
            Output::Json => context.json(json!({ "hash": submitted.hash, "id": submitted.id, "status": "pending" }))?,
            Output::Human => {
                context.print(&submitted.hash)?;
                context.say(&format!("Sent. See `cpc query tx {}`.", submitted.hash));
            }
        }
        return Ok(());
    }
    let done = wait(&client, &submitted.hash, context)?;
    match context.output {
        Output::Json => context.json(serde_json::to_value(&done).expect("our own records are JSON"))?,
        Output::Human => {
            context.print(&done.hash)?;
            context.say(&format!(
                "{} CPC are at {} since block {}; the fee was {} CPC.",
                args.amount,
                to,
                done.height.unwrap_or_default(),
                done.fee.as_deref().unwrap_or("0"),
            ));
        }
    }
    Ok(())
}

/// Waits until a transaction is final; one that failed is a failure here too.
pub(super) fn wait(client: &Client, hash: &str, context: &Context) -> Result<TxView, Failure> {
    let start = Instant::now();
    loop {
        // The node answers before this command stops listening; one that has no such wait is asked again.
        let left = context.timeout.saturating_sub(start.elapsed()).as_secs();
        let asked = Instant::now();
        let found: Option<TxView> =
            client.find(&format!("/api/v1/txs/{hash}?wait={}", left.saturating_sub(1).min(20)))?;
        match found {
            Some(tx) if tx.status == "applied" => return Ok(tx),
            Some(tx) if tx.status == "failed" => {
                let reason = tx.reason.unwrap_or_default();
                let height = tx.height.unwrap_or_default();
                return Err(Failure::new(Exit::Refused, format!("{hash} failed in block {height}: {reason}")));
            }
            _ if start.elapsed() > context.timeout => {
                return Err(Failure::new(Exit::TimedOut, format!("{hash} is not final after {:?}", context.timeout))
                    .hint(format!("it may still come: cpc tx status {hash} --wait")));
            }
            _ => thread::sleep(POLL.saturating_sub(asked.elapsed())),
        }
    }
}

fn amount_of_node(field: &str, text: &str) -> Result<Amount, Failure> {
    text.parse::<Amount>().map_err(|error| wrong(field, &error.to_string()))
}

/// The nonce of an account's next transaction, behind those that wait.
pub(super) fn next_nonce(account: &AccountView) -> Result<u64, Failure> {
    let next = u64::try_from(account.pending).ok().and_then(|pending| account.nonce.checked_add(pending));
    next.ok_or_else(|| wrong("next nonce", "it is more than there are"))
}

/// What an honest node never says.
fn wrong(field: &str, why: &str) -> Failure {
    Failure::new(Exit::Failed, format!("the node's {field} is wrong: {why}"))
}

/// Demands that a node is of the network that the user named.
pub(super) fn check_network(status: &Status, genesis: &Genesis, context: &Context) -> Result<(), Failure> {
    let (chain, id) = (genesis.spec.params.chain.0, genesis.id().to_string());
    if status.chain == chain && status.genesis == id {
        return Ok(());
    }
    let words = format!(
        "the node is of another network: it says genesis {} of chain {}, {} is genesis {id} of chain {chain}",
        status.genesis, status.chain, context.network
    );
    Err(Failure::new(Exit::Refused, words).hint("name its network with --network, or another node with --node"))
}
