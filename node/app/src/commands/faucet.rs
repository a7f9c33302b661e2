//! `cpc faucet`: money for trying things out, where the network gives it away.

use clap::{Args, Subcommand};
use cpc_primitives::Amount;

use super::{Context, Failure, Output, address_of};
use crate::api::dto::{FaucetAsk, FaucetGift};

/// Asks a devnet's faucet.
#[derive(Debug, Subcommand)]
pub enum FaucetCommand {
    /// Asks for money, and waits until it is there
    Request(RequestArgs),
}

/// What `cpc faucet request` takes.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// Who is paid: the name of a key, or an address
    #[arg(long, value_name = "WHO")]
    to: String,
    /// How much, in CPC; the faucet's usual gift without it
    #[arg(long, value_name = "AMOUNT")]
    amount: Option<Amount>,
}

/// Runs it.
pub fn run(command: FaucetCommand, context: &Context) -> Result<(), Failure> {
    let FaucetCommand::Request(args) = command;
    let to = address_of(&args.to, context)?;
    let client = context.client();
    let ask = FaucetAsk { address: to.to_string(), amount: args.amount.map(|amount| amount.to_string()) };
    let gift: FaucetGift = client.post("/api/v1/faucet", &ask)?;
    let done = super::tx::wait(&client, &gift.hash, context)?;
    match context.output {
        Output::Json => context.json(serde_json::to_value(&done).expect("our own records are JSON"))?,
        Output::Human => {
            context.print(&done.hash)?;
            context.say(&format!("{} CPC are at {to} since block {}.", gift.amount, done.height.unwrap_or_default()));
        }
    }
    Ok(())
}
