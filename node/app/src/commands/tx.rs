//! `cpc tx`: signs here, sends there, and waits until the chain has answered.

use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use cpc_primitives::tx::{Action, Transfer, TxBody};
use cpc_primitives::{Amount, ChainId, Gas, Nonce};
use serde_json::json;

use super::keys::unlock;
use super::secrets::PasswordArgs;
use super::{Context, Exit, Failure, Output, address_of};
use crate::api::dto::{AccountView, ParamsView, Submit, Submitted, TxView};
use crate::client::Client;

/// How often a waiting command asks again.
const POLL: Duration = Duration::from_millis(100);

/// Sends transactions.
#[derive(Debug, Subcommand)]
pub enum TxCommand {
    /// Sends money to an address
    ///
    /// Signs with a key of this machine, sends to --node, and waits until the transfer is final.
    Send(SendArgs),
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
    let TxCommand::Send(args) = command;
    send(&args, context)
}

fn send(args: &SendArgs, context: &Context) -> Result<(), Failure> {
    let to = address_of(&args.to, context)?;
    let from = address_of(&args.key, context)?;
    let client = context.client();
    let params: ParamsView = client.get("/api/v1/params")?;
    let account: AccountView = client.get(&format!("/api/v1/accounts/{from}"))?;

    let gas_price = match args.gas_price {
        Some(price) => price,
        None => amount_of_node("gas_price_min", &params.gas_price_min)?,
    };
    let gas_limit = args.gas_limit.unwrap_or(params.transfer_gas + params.new_account_gas);
    let balance = amount_of_node("balance", &account.balance)?;
    let fee = gas_price.checked_mul(gas_limit);
    let needed = fee.and_then(|fee| fee.checked_add(args.amount));
    if needed.is_none_or(|needed| needed > balance) {
        let most = needed.map_or_else(|| "more than can ever exist".to_owned(), |needed| format!("up to {needed} CPC"));
        let detail = format!("{from} has {balance} CPC, this transfer needs {most} with its fee");
        let failure = Failure::new(Exit::InsufficientFunds, detail);
        return Err(failure.hint(format!("on a devnet: cpc faucet request --to {}", args.key)));
    }

    let nonce = args.nonce.unwrap_or(account.nonce + account.pending as u64);
    let body = TxBody {
        chain: ChainId(params.chain),
        nonce: Nonce(nonce),
        gas_price,
        gas_limit: Gas(gas_limit),
        action: Action::Transfer(Transfer { to, amount: args.amount }),
    };
    // The password is asked for last: nobody types it for a transfer that could not be sent.
    let tx = body.sign(&unlock(&args.key, &args.password, context)?);
    let hex = cpc_primitives::hash::hex(&tx.encode());
    let submitted: Submitted = client.post("/api/v1/txs", &Submit { tx: hex })?;
    if args.no_wait {
        match context.output {
            Output::Json => context.json(json!({ "hash": submitted.hash, "id": submitted.id, "status": "pending" })),
            Output::Human => {
                println!("{}", submitted.hash);
                eprintln!("Sent. See `cpc query tx {}`.", submitted.hash);
            }
        }
        return Ok(());
    }
    let done = wait(&client, &submitted.hash, context)?;
    match context.output {
        Output::Json => context.json(serde_json::to_value(&done).expect("our own records are JSON")),
        Output::Human => {
            println!("{}", done.hash);
            eprintln!(
                "{} CPC are at {} since block {}; the fee was {} CPC.",
                args.amount,
                to,
                done.height.unwrap_or_default(),
                done.fee.as_deref().unwrap_or("0"),
            );
        }
    }
    Ok(())
}

/// Waits until a transaction is final; one that failed is a failure here too.
pub(super) fn wait(client: &Client, hash: &str, context: &Context) -> Result<TxView, Failure> {
    let start = Instant::now();
    loop {
        let found: Option<TxView> = client.find(&format!("/api/v1/txs/{hash}"))?;
        match found {
            Some(tx) if tx.status == "applied" => return Ok(tx),
            Some(tx) if tx.status == "failed" => {
                let reason = tx.reason.unwrap_or_default();
                let height = tx.height.unwrap_or_default();
                return Err(Failure::new(Exit::Refused, format!("{hash} failed in block {height}: {reason}")));
            }
            _ if start.elapsed() > context.timeout => {
                return Err(Failure::new(Exit::TimedOut, format!("{hash} is not final after {:?}", context.timeout))
                    .hint(format!("it may still come: cpc query tx {hash}")));
            }
            _ => thread::sleep(POLL),
        }
    }
}

fn amount_of_node(field: &str, text: &str) -> Result<Amount, Failure> {
    text.parse().map_err(|error| Failure::new(Exit::Failed, format!("the node's {field} is wrong: {error}")))
}
