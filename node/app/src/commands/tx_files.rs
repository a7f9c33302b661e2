//! Transactions as files: built where the chain can be asked, signed where the key is, sent from anywhere.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use cpc_ledger::TRANSFER_GAS;
use cpc_primitives::codec::{decode, encode};
use cpc_primitives::hash::{hex, unhex};
use cpc_primitives::limits::TX_BYTES_MAX;
use cpc_primitives::tx::{Action, SignedTx, Transfer, TxBody};
use cpc_primitives::{Amount, Gas, Nonce, TxHash};
use serde_json::json;

use super::keys::unlock;
use super::secrets::PasswordArgs;
use super::tx::{check_network, next_nonce};
use super::{Context, Exit, Failure, Output, address_of, read_bounded, write_new};
use crate::api::dto::{AccountView, StatusAsk, StatusMany, Submit, SubmittedMany, TxView};

/// Bytes of a file with one transaction in hex.
const FILE_BYTES_MAX: usize = 2 * TX_BYTES_MAX + 2;
/// Transactions of one request.
const BATCH_MAX: usize = 256;

/// What `cpc tx build` takes.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Who pays: an address, or the name of a key
    #[arg(long, value_name = "WHO")]
    from: String,
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
    /// The nonce; with it no node is asked
    #[arg(long)]
    nonce: Option<u64>,
    /// Writes it to this file instead of to stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What `cpc tx sign` takes.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// The file that `cpc tx build` wrote; - is stdin
    file: PathBuf,
    /// The key that pays
    #[arg(long, value_name = "NAME")]
    key: String,
    /// Writes it to this file instead of to stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
}

/// What `cpc tx broadcast` takes.
#[derive(Debug, Args)]
pub struct BroadcastArgs {
    /// The files that `cpc tx sign` wrote; - is stdin
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// What `cpc tx decode` takes.
#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// A file that `cpc tx build` or `cpc tx sign` wrote; - is stdin
    file: PathBuf,
}

/// What `cpc tx status` takes.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The hashes that `cpc tx send` or `cpc tx broadcast` printed
    #[arg(required = true)]
    hashes: Vec<String>,
    /// Waits until all of them are final, or --timeout is over
    #[arg(long)]
    wait: bool,
}

/// Builds a transfer that nobody has signed.
pub(super) fn build(args: &BuildArgs, context: &Context) -> Result<(), Failure> {
    let (from, to) = (address_of(&args.from, context)?, address_of(&args.to, context)?);
    let (_, _, genesis) = super::genesis::load_of(context)?;
    let params = &genesis.spec.params;
    let nonce = match args.nonce {
        Some(nonce) => nonce,
        None => {
            let client = context.client();
            check_network(&client.get("/api/v1/status")?, &genesis, context)?;
            next_nonce(&client.get::<AccountView>(&format!("/api/v1/accounts/{from}"))?)?
        }
    };
    let transfer_gas = TRANSFER_GAS.checked_add(params.new_account_gas).expect("the rules fit a transfer into a block");
    let body = TxBody {
        chain: params.chain,
        nonce: Nonce(nonce),
        gas_price: args.gas_price.unwrap_or(params.gas_price_min),
        gas_limit: Gas(args.gas_limit.unwrap_or(transfer_gas.0)),
        action: Action::Transfer(Transfer { to, amount: args.amount }),
    };
    give(&encode(&body), "unsigned", args.output.as_deref(), context)?;
    if args.output.is_some() {
        context.say("Sign it where the key is: cpc tx sign FILE --key NAME");
    }
    Ok(())
}

/// Signs what was built, after it has said what that is.
pub(super) fn sign(args: &SignArgs, context: &Context) -> Result<(), Failure> {
    let (_, _, genesis) = super::genesis::load_of(context)?;
    let Tx::Unsigned(body) = read(&args.file)? else {
        return Err(Failure::new(Exit::Refused, format!("{} is signed already", args.file.display())));
    };
    let chain = genesis.spec.params.chain;
    if body.chain != chain {
        let words = format!("it is for chain {}, {} is chain {}", body.chain.0, context.network, chain.0);
        return Err(Failure::new(Exit::Refused, words).hint("name its network with --network"));
    }
    // Whoever signs sees what: the file may come from another machine.
    context.say(&format!("Signing: {}", in_words(&body)));
    let tx = body.sign(&unlock(&args.key, &args.password, context)?);
    give(&tx.encode(), "signed", args.output.as_deref(), context)
}

/// Sends what was signed; nothing is sent where one of the files cannot be read.
pub(super) fn broadcast(args: &BroadcastArgs, context: &Context) -> Result<(), Failure> {
    let mut txs = Vec::new();
    for file in &args.files {
        match read(file)? {
            Tx::Signed(tx) => txs.push(hex(&tx.encode())),
            Tx::Unsigned(_) => {
                return Err(Failure::new(Exit::Refused, format!("{} is not signed", file.display()))
                    .hint("sign it first: cpc tx sign FILE --key NAME"));
            }
        }
    }
    let (client, mut refused) = (context.client(), 0);
    for part in txs.chunks(BATCH_MAX) {
        let answer: SubmittedMany = client.post("/api/v1/txs", &Submit { tx: None, txs: Some(part.to_vec()) })?;
        refused += answer.txs.iter().filter(|outcome| outcome.status != "pending").count();
        for outcome in answer.txs {
            match context.output {
                Output::Json => context.json(serde_json::to_value(&outcome).expect("our own records are JSON"))?,
                Output::Human => {
                    let why = outcome.detail.map(|detail| format!("  {detail}")).unwrap_or_default();
                    context.print(&format!("{}  {}{why}", outcome.hash.unwrap_or_default(), outcome.status))?;
                }
            }
        }
    }
    if refused > 0 {
        return Err(Failure::new(Exit::Refused, format!("{refused} of {} transactions were refused", txs.len())));
    }
    context.say("Sent. See `cpc tx status HASH --wait`.");
    Ok(())
}

/// Says what a file holds.
pub(super) fn show(args: &DecodeArgs, context: &Context) -> Result<(), Failure> {
    let (body, signed) = match read(&args.file)? {
        Tx::Unsigned(body) => (body, None),
        Tx::Signed(tx) => (tx.body.clone(), Some(tx)),
    };
    let (to, amount) = match &body.action {
        Action::Transfer(transfer) => (Some(transfer.to.to_string()), Some(transfer.amount.to_string())),
        _ => (None, None),
    };
    let mut told = json!({
        "signed": signed.is_some(), "chain": body.chain.0, "nonce": body.nonce.0,
        "gas_price": body.gas_price.to_string(), "gas_limit": body.gas_limit.0, "action": body.action.name(),
        "to": to, "amount": amount,
    });
    if let Some(tx) = signed {
        told["from"] = json!(tx.sender_address().to_string());
        told["hash"] = json!(tx.hash().to_string());
        told["id"] = json!(tx.id().to_string());
        told["signature_verifies"] = json!(tx.claim().verify().is_ok());
    }
    super::query::show(&told, context)
}

/// What became of transactions.
pub(super) fn status(args: &StatusArgs, context: &Context) -> Result<(), Failure> {
    let hash = |text: &String| {
        text.parse::<TxHash>()
            .map_err(|error| Failure::new(Exit::Usage, format!("{text:?} is not the hash of a transaction: {error}")))
    };
    let hashes = args.hashes.iter().map(hash).collect::<Result<Vec<_>, _>>()?;
    let client = context.client();
    if let ([hash], false) = (&hashes[..], args.wait) {
        let tx: TxView = client.get(&format!("/api/v1/txs/{hash}"))?;
        return super::query::show(&tx, context);
    }
    let mut open = 0;
    for part in hashes.chunks(BATCH_MAX) {
        let hashes: Vec<String> = part.iter().map(ToString::to_string).collect();
        // The node answers a little before this command stops listening.
        let wait = if args.wait { context.timeout.as_secs().saturating_sub(1).min(60) } else { 0 };
        let ask = StatusAsk { hashes };
        let answer: StatusMany = client.post(&format!("/api/v1/txs/status?wait={wait}"), &ask)?;
        open += part.len().saturating_sub(answer.finalized);
        for tx in answer.txs {
            match context.output {
                Output::Json => context.json(serde_json::to_value(&tx).expect("our own records are JSON"))?,
                Output::Human => {
                    let height = tx.height.map(|height| format!("  block {height}")).unwrap_or_default();
                    let why = tx.reason.map(|reason| format!("  {reason}")).unwrap_or_default();
                    context.print(&format!("{}  {}{height}{why}", tx.hash, tx.status))?;
                }
            }
        }
    }
    if args.wait && open > 0 {
        let words = format!("{open} of {} transactions are not final after {:?}", args.hashes.len(), context.timeout);
        return Err(Failure::new(Exit::TimedOut, words).hint("they may still come; ask again, or wait longer"));
    }
    Ok(())
}

/// A transaction in a file.
enum Tx {
    Unsigned(TxBody),
    Signed(SignedTx),
}

fn read(file: &Path) -> Result<Tx, Failure> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        let most = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
        let read = std::io::stdin().lock().take(most).read_to_end(&mut bytes);
        read.map_err(|error| Failure::new(Exit::Failed, format!("stdin cannot be read: {error}")))?;
        bytes
    } else {
        read_bounded(file, FILE_BYTES_MAX, Exit::Refused)?
    };
    let wrong = |why: String| {
        Failure::new(Exit::Refused, format!("{} is no transaction in hex: {why}", file.display()))
            .hint("`cpc tx build` and `cpc tx sign` write them")
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| wrong(error.to_string()))?.trim();
    let mut bytes = vec![0; text.len() / 2];
    unhex(text, &mut bytes).map_err(|error| wrong(error.to_string()))?;
    // The two cannot be taken for each other: a signed one goes on for 96 bytes behind its body.
    if let Ok(body) = decode::<TxBody>(&bytes, TX_BYTES_MAX) {
        return Ok(Tx::Unsigned(body));
    }
    SignedTx::decode(&bytes).map(Tx::Signed).map_err(|error| wrong(error.to_string()))
}

/// Hands out a transaction in hex: to a file, or on stdout.
fn give(bytes: &[u8], kind: &str, file: Option<&Path>, context: &Context) -> Result<(), Failure> {
    let text = hex(bytes);
    if let Some(file) = file {
        write_new(file, format!("{text}\n").as_bytes(), context)?;
    }
    match (context.output, file) {
        (Output::Json, file) => context.json(json!({ "kind": kind, "tx": text, "file": file })),
        (Output::Human, None) => context.print(&text),
        (Output::Human, Some(file)) => {
            context.say(&format!("Wrote {} ({} bytes, {kind}).", file.display(), bytes.len()));
            Ok(())
        }
    }
}

/// What a body asks, in one line.
fn in_words(body: &TxBody) -> String {
    let fee = body.gas_price.checked_mul(body.gas_limit.0);
    let fee = fee.map_or_else(|| "more than can ever exist".to_owned(), |fee| format!("{fee} CPC"));
    let what = match &body.action {
        Action::Transfer(transfer) => format!("TRANSFER of {} CPC to {}", transfer.amount, transfer.to),
        other => other.name().to_owned(),
    };
    format!("{what}, nonce {}, fee at most {fee}", body.nonce)
}
