//! `cpc verify`: checks a proof file with nothing but a genesis hash; no node is asked.

use std::path::PathBuf;

use clap::Args;
use cpc_light::{ProofFile, VerifiedProof, VerifiedSubject};
use cpc_primitives::BlockId;
use cpc_primitives::codec::decode;
use cpc_primitives::limits::STATE_VALUE_BYTES_MAX;
use cpc_primitives::state::Account;
use serde_json::{Value, json};

use super::{Context, Exit, Failure, Output};

/// Checks a proof file offline
///
/// The file carries headers, finality certificates and the sets that signed them, from block 0 on. The genesis hash is
/// all that has to be trusted: `cpc genesis hash` prints it. Exit code 8 where the proof does not hold.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The proof file, as `cpc query balance --proof FILE` writes it
    file: PathBuf,
    /// The id of block 0; without it that of --network
    #[arg(long, value_name = "HASH")]
    genesis: Option<String>,
}

/// Runs it.
pub fn run(args: &VerifyArgs, context: &Context) -> Result<(), Failure> {
    let genesis = genesis_of(args.genesis.as_deref(), context)?;
    let name = args.file.display();
    let bytes = std::fs::read(&args.file).map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure::new(code, format!("{name} cannot be read: {error}"))
    })?;
    let verified = ProofFile::verify(&bytes, &genesis)
        .map_err(|error| Failure::new(Exit::VerificationFailed, format!("{name} proves nothing: {error}")))?;
    let told = describe(&verified);
    match context.output {
        Output::Json => context.json(json!({ "verified": true, "genesis": genesis.to_string(), "proof": told.json })),
        Output::Human => {
            println!("{}", told.line);
            eprintln!("Verified against genesis {genesis}.");
        }
    }
    Ok(())
}

/// The genesis hash that was given, or that of the network that was named.
pub(super) fn genesis_of(given: Option<&str>, context: &Context) -> Result<BlockId, Failure> {
    match given {
        Some(text) => {
            text.parse().map_err(|error| Failure::new(Exit::Usage, format!("{text:?} is not a genesis hash: {error}")))
        }
        None => Ok(super::genesis::load(&context.network)?.2.id()),
    }
}

/// A verified proof in one line and in JSON.
pub(super) struct Told {
    pub(super) line: String,
    pub(super) json: Value,
}

/// Says what a proof shows.
pub(super) fn describe(verified: &VerifiedProof) -> Told {
    let header = verified.header().header();
    let (height, time) = (header.height.0, header.time.0);
    let at = format!("after block {height}");
    match verified.subject() {
        VerifiedSubject::State(state) => {
            let account = state.key().as_account();
            let value = state.value().map(|bytes| decode::<Account>(bytes, STATE_VALUE_BYTES_MAX));
            match (account, value) {
                (Some(address), Some(Ok(account))) => Told {
                    line: format!("{address} holds {} CPC {at} (nonce {})", account.balance, account.nonce),
                    json: json!({
                        "kind": "account", "address": address.to_string(), "balance": account.balance.to_string(),
                        "nonce": account.nonce.0, "height": height, "time_ms": time,
                    }),
                },
                (Some(address), None) => Told {
                    line: format!("{address} has no account {at}"),
                    json: json!({
                        "kind": "account", "address": address.to_string(), "balance": null, "height": height,
                        "time_ms": time,
                    }),
                },
                (_, value) => Told {
                    line: format!(
                        "the record {:?} {} {at}",
                        state.key(),
                        if value.is_some() { "exists" } else { "is absent" }
                    ),
                    json: json!({ "kind": "state", "present": value.is_some(), "height": height, "time_ms": time }),
                },
            }
        }
        VerifiedSubject::Accepted(accepted) => {
            let result = accepted.result();
            Told {
                line: format!("job {} of task {} is accepted {at}; its window is open", result.job, result.task.uuid()),
                json: json!({
                    "kind": "accepted", "task": result.task.to_string(), "job": result.job.0, "height": height,
                    "time_ms": time,
                }),
            }
        }
        VerifiedSubject::Settled(settled) => {
            let settlement = settled.settlement();
            let (result, outcome) = (&settlement.result, format!("{:?}", settlement.outcome));
            Told {
                line: format!("job {} of task {} ended {at}: {outcome}", result.job, result.task.uuid()),
                json: json!({
                    "kind": "settled", "task": result.task.to_string(), "job": result.job.0, "outcome": outcome,
                    "height": height, "time_ms": time,
                }),
            }
        }
    }
}
