//! `cpc verify`: checks a proof file with nothing but a genesis hash or an anchor; no node is asked.

use std::path::PathBuf;

use clap::Args;
use cpc_genesis::Network;
use cpc_light::limits::PROOF_FILE_BYTES_MAX;
use cpc_light::{ProofFile, Trusted, VerifiedProof, VerifiedSubject};
use cpc_primitives::codec::decode;
use cpc_primitives::limits::STATE_VALUE_BYTES_MAX;
use cpc_primitives::result::Subject;
use cpc_primitives::state::Account;
use cpc_primitives::{BlockId, TimeMs};
use serde_json::{Value, json};

use super::output::warn;
use super::{Context, Exit, Failure, Output, read_bounded};
use crate::chain::now;

/// Checks a proof file offline
///
/// The file carries headers, finality certificates and the sets that signed them, from block 0 or from an anchor on.
/// What it begins at is all that has to be trusted: `cpc genesis hash` prints the id of block 0, and each check ends
/// with an anchor, from which the next proof can begin. Exit code 8 where the proof does not hold.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The proof file, as `cpc query balance --proof FILE` writes it
    file: PathBuf,
    /// The id of block 0; without it that of --network
    #[arg(long, value_name = "HASH", conflicts_with = "anchor")]
    genesis: Option<String>,
    /// The anchor at which the file begins, as an earlier check printed it
    #[arg(long, value_name = "HASH")]
    anchor: Option<String>,
}

/// Runs it.
pub fn run(args: &VerifyArgs, context: &Context) -> Result<(), Failure> {
    let trusted = match args.anchor.as_deref() {
        Some(text) => anchor_of(text)?,
        None => Trusted::Genesis(genesis_of(args.genesis.as_deref(), context)?),
    };
    let name = args.file.display();
    let bytes = read_bounded(&args.file, PROOF_FILE_BYTES_MAX, Exit::VerificationFailed)?;
    let verified = ProofFile::verify(&bytes, trusted)
        .map_err(|error| Failure::new(Exit::VerificationFailed, format!("{name} proves nothing: {error}")))?;
    let told = describe(&verified);
    let trust = Trust::of(&verified, context);
    match context.output {
        Output::Json => context.json(json!({
            "verified": true, "genesis": verified.anchor().genesis.to_string(), "anchor": anchor_json(&verified),
            "trust": { "since_ms": trust.since.0, "age_ms": trust.age_ms, "unbonding_ms": trust.unbonding_ms },
            "proof": told.json,
        }))?,
        Output::Human => {
            context.print(&told.line)?;
            match trusted {
                Trusted::Genesis(id) => context.say(&format!("Verified against genesis {id}.")),
                Trusted::Anchor(digest) => context.say(&format!("Verified against anchor {digest}.")),
            }
            let time = verified.header().header().time;
            let ago = span(now().0.saturating_sub(time.0));
            let age = span(trust.age_ms);
            context.say(&format!("The block is of {}, {ago} ago; the trust is {age} old.", utc(time)));
            let anchor = verified.anchor();
            let (digest, epoch) = (anchor.digest(), anchor.epoch);
            context.say(&format!("The next proof may begin at anchor {digest} (epoch {epoch})."));
        }
    }
    trust.warn();
    Ok(())
}

/// How old the trust is that a proof began with, and how old it may be.
struct Trust {
    since: TimeMs,
    age_ms: u64,
    /// For how long a seat can be punished; known where the proof is of the network that --network names.
    unbonding_ms: Option<u64>,
}

impl Trust {
    /// PROOF-10: the age counts from where trust began, never from a time that the keys in question signed.
    fn of(verified: &VerifiedProof, context: &Context) -> Self {
        let since = verified.since();
        let network = super::genesis::load_of(context).ok().map(|(_, _, genesis)| genesis);
        let network = network.filter(|genesis| genesis.id() == verified.anchor().genesis);
        // Everybody knows a devnet's keys, and its block 0 is as old as this program: there, trust does not age.
        let unbonding_ms = network.filter(|_| context.network.parse() != Ok(Network::Devnet)).map(|genesis| {
            let params = &genesis.spec.params;
            let epoch_ms = params.epoch_blocks.saturating_mul(params.interval_ms);
            epoch_ms.saturating_mul(params.unbonding_epochs.into())
        });
        Self { since, age_ms: now().0.saturating_sub(since.0), unbonding_ms }
    }

    /// Warns where keys of the start may have left without anything to lose.
    fn warn(&self) {
        if let Some(unbonding_ms) = self.unbonding_ms.filter(|unbonding| self.age_ms > *unbonding) {
            let (age, unbonding) = (span(self.age_ms), span(unbonding_ms));
            warn(&format!("warning: the trust is {age} old, and whoever signed then is free of it after {unbonding}."));
            warn("  Compare the anchor with somebody you trust, and begin the next proof from it.");
        }
    }
}

/// The anchor to which a proof leads, in JSON.
pub(super) fn anchor_json(verified: &VerifiedProof) -> Value {
    let anchor = verified.anchor();
    json!({ "hash": anchor.digest().to_string(), "epoch": anchor.epoch.0, "time_ms": anchor.time.0 })
}

/// An anchor as somebody wrote it.
pub(super) fn anchor_of(text: &str) -> Result<Trusted, Failure> {
    let digest = text.parse();
    digest
        .map(Trusted::Anchor)
        .map_err(|error| Failure::new(Exit::Usage, format!("{text:?} is not an anchor: {error}")))
}

/// A span of time in its largest whole unit.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let (length, name) = units.into_iter().find(|(length, _)| seconds >= *length).unwrap_or((1, "second"));
    let count = seconds / length;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// A time in words: 2026-11-20 12:34:56 UTC.
fn utc(time: TimeMs) -> String {
    let seconds = time.0 / 1000;
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    // The calendar repeats itself after 400 years; within them, years are counted from March, so that a leap day is
    // the last of its year.
    days = days.saturating_add(719_468);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era.saturating_mul(400).saturating_add(year + next);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The genesis hash that was given, or that of the network that was named.
pub(super) fn genesis_of(given: Option<&str>, context: &Context) -> Result<BlockId, Failure> {
    match given {
        Some(text) => {
            text.parse().map_err(|error| Failure::new(Exit::Usage, format!("{text:?} is not a genesis hash: {error}")))
        }
        None => Ok(super::genesis::load_of(context)?.2.id()),
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
                line: format!(
                    "job {} of task {} is accepted {at}; its window may be open",
                    result.job,
                    result.task.uuid()
                ),
                json: json!({
                    "kind": "accepted", "task": result.task.to_string(), "job": result.job.0, "height": height,
                    "time_ms": time,
                }),
            }
        }
        VerifiedSubject::Settled(settled) => {
            let settlement = settled.settlement();
            let (task, outcome) = (settlement.task(), format!("{:?}", settlement.outcome));
            match settlement.subject {
                Subject::Job(result) => Told {
                    line: format!("job {} of task {} ended {at}: {outcome}", result.job, task.uuid()),
                    json: json!({
                        "kind": "settled", "task": task.to_string(), "job": result.job.0, "outcome": outcome,
                        "height": height, "time_ms": time,
                    }),
                },
                Subject::Rest(rest) => Told {
                    line: format!("{} jobs of task {} ended {at} without a result: {outcome}", rest.jobs, task.uuid()),
                    json: json!({
                        "kind": "unfinished", "task": task.to_string(), "jobs": rest.jobs, "outcome": outcome,
                        "height": height, "time_ms": time,
                    }),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_words() {
        let cases = [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399_999, "2000-02-28 23:59:59 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199_000, "2024-02-29 23:59:59 UTC"),
            (1_709_251_200_000, "2024-03-01 00:00:00 UTC"),
            (1_767_225_600_000, "2026-01-01 00:00:00 UTC"),
            (1_795_178_096_000, "2026-11-20 12:34:56 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
        ];
        for (ms, words) in cases {
            assert_eq!(utc(TimeMs(ms)), words);
        }
        // The last time there is has a name too.
        assert!(utc(TimeMs(u64::MAX)).ends_with(" UTC"));
    }

    #[test]
    fn spans_are_told_in_their_largest_whole_unit() {
        let cases = [
            (0, "0 seconds"),
            (1_999, "1 second"),
            (59_999, "59 seconds"),
            (60_000, "1 minute"),
            (3_600_000, "1 hour"),
            (86_399_999, "23 hours"),
            (2 * 86_400_000, "2 days"),
        ];
        for (ms, words) in cases {
            assert_eq!(span(ms), words);
        }
    }
}
