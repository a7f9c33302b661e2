//! Transactions: sent one by one or many at once, and read back in the same way.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use cpc_primitives::hash::unhex;
use cpc_primitives::tx::SignedTx;
use cpc_primitives::{Digest, Fault, Height, TxHash};
use serde::Deserialize;
use tokio::time::Instant;

use super::Answer;
use super::parts::{Asked, At, PAGE_MAX, PageAsk, cursor};
use crate::api::Api;
use crate::api::body::{Body, Kind};
use crate::api::document::{Absent, BadBody, Malformed};
use crate::api::dto::{
    LatestTxs, MempoolView, StatusAsk, StatusMany, Submit, SubmitOutcome, SubmitShape, Submitted, SubmittedMany,
    TxState, TxView,
};
use crate::api::guard::Caller;
use crate::api::problem::{Problem, broken, invalid, missing, refused};
use crate::api::texts::{HashText, Octets};
use crate::chain::{Admission, Admitted, Fate, Source};

/// Transactions of one request.
pub(in crate::api) const BATCH_MAX: usize = 256;
/// The longest that a request waits for a transaction.
const WAIT_S_MAX: u64 = 60;

/// Sends transactions
///
/// One, or up to 256 at once, which are judged together: each has its own outcome, in the order of the question. A
/// body of `application/octet-stream` is the same in bytes: before each transaction its length in four bytes, the
/// lowest first.
#[utoipa::path(post, path = "/txs", tag = "transactions",
    request_body(content((SubmitShape = "application/json"), (inline(Octets) = "application/octet-stream"))),
    responses(
        (status = 200, body = SubmittedMany, description = "Several were judged"),
        (status = 202, body = Submitted, description = "One waits for a block"), BadBody))]
pub(in crate::api) async fn submit(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let body = api.body(request, &[Kind::Json, Kind::Octets]).await?;
    let worker = api.clone();
    let judged = api.check(move || {
        let offered = offered(&body)?;
        worker.charge(&caller, offered.count())?;
        Ok(match offered {
            Offered::One(tx) => Judged::One(worker.chain().admit_each(vec![tx], Source::User).pop()),
            Offered::Many(items) => Judged::Many(judge(items, |txs| worker.chain().admit_each(txs, Source::User))),
        })
    });
    match judged.await?? {
        Judged::One(admitted) => {
            let Admitted { hash, id, outcome } = admitted.ok_or_else(no_verdict)?;
            outcome.map_err(|why| not_kept(&why))?;
            let told = Submitted { hash: hash.to_string(), id: id.to_string() };
            Ok((StatusCode::ACCEPTED, Json(told)).into_response())
        }
        Judged::Many(txs) => {
            let accepted = txs.iter().filter(|outcome| outcome.status == "pending").count();
            Ok(Json(SubmittedMany { accepted, txs }).into_response())
        }
    }
}

/// What a body offers: one transaction, which has to be one, or several, of which each may be none.
enum Offered {
    One(SignedTx),
    Many(Vec<Result<SignedTx, Unreadable>>),
}

/// What came of it.
enum Judged {
    One(Option<Admitted>),
    Many(Vec<SubmitOutcome>),
}

impl Offered {
    fn count(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(items) => items.len(),
        }
    }
}

fn offered(body: &Body) -> Result<Offered, Problem> {
    if body.kind == Kind::Octets {
        let items = split(&body.bytes)?;
        return Ok(Offered::Many(items.into_iter().map(decoded).collect()));
    }
    match body.json::<Submit>()? {
        Submit { tx: Some(hex), txs: None } => Ok(Offered::One(of_hex(&hex).map_err(|(status, code, detail)| {
            Problem::new(status, code, detail, "send the bytes that `cpc tx sign` or your own signer wrote, in hex")
        })?)),
        Submit { tx: None, txs: Some(all) } => {
            check_count(all.len(), "transactions")?;
            Ok(Offered::Many(all.iter().map(|hex| of_hex(hex)).collect()))
        }
        _ => Err(refused("invalid_body", "the body names neither `tx` nor `txs`, or both", "send one of the two")),
    }
}

/// Why bytes or their hex are no transaction.
type Unreadable = (StatusCode, &'static str, String);

fn of_hex(hex: &str) -> Result<SignedTx, Unreadable> {
    let mut bytes = vec![0; hex.len() / 2];
    unhex(hex, &mut bytes).map_err(|error| (StatusCode::BAD_REQUEST, "invalid_hex", error.to_string()))?;
    decoded(&bytes)
}

fn decoded(bytes: &[u8]) -> Result<SignedTx, Unreadable> {
    SignedTx::decode(bytes)
        .map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, "invalid_transaction", error.to_string()))
}

/// The transactions of a body of bytes: before each its length in four bytes, the lowest first.
fn split(mut bytes: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    let mut items = Vec::new();
    while !bytes.is_empty() {
        check_count(items.len() + 1, "transactions")?;
        let next = bytes
            .split_first_chunk::<4>()
            .and_then(|(length, rest)| rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?));
        let (item, rest) = next.ok_or_else(|| {
            let detail = format!("transaction {} goes on behind the end of the body", items.len());
            refused(
                "invalid_length",
                detail,
                "before each transaction stands its length in four bytes, the lowest first",
            )
        })?;
        items.push(item);
        bytes = rest;
    }
    check_count(items.len(), "transactions")?;
    Ok(items)
}

fn check_count(found: usize, what: &str) -> Result<(), Problem> {
    if (1..=BATCH_MAX).contains(&found) {
        return Ok(());
    }
    Err(refused("invalid_body", format!("{found} {what}; one request has 1 to {BATCH_MAX}"), "send several requests"))
}

/// Judges those that can be read in one batch, and puts the others between them where they were.
fn judge(
    items: Vec<Result<SignedTx, Unreadable>>,
    admit: impl FnOnce(Vec<SignedTx>) -> Vec<Admitted>,
) -> Vec<SubmitOutcome> {
    let (mut txs, mut outcomes) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
    for item in items {
        outcomes.push(match item {
            Ok(tx) => {
                txs.push(tx);
                None
            }
            Err((_, code, detail)) => Some(SubmitOutcome::unreadable(code, detail)),
        });
    }
    let mut verdicts = admit(txs).into_iter();
    let filled = outcomes.into_iter().map(|outcome| {
        outcome.unwrap_or_else(|| {
            let Admitted { hash, id, outcome } = verdicts.next().expect("one verdict for each that was offered");
            match outcome {
                Ok(_) => SubmitOutcome::pending(hash, id),
                Err(why) => SubmitOutcome::refused(hash, id, &why),
            }
        })
    });
    filled.collect()
}

/// A transaction that is not kept, to whoever sent it alone.
pub(super) fn not_kept(why: &Admission) -> Problem {
    match why {
        Admission::Fault(fault) => broken(fault),
        Admission::Full(_) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, why.code(), why.to_string(), why.hint()).retry_after(1)
        }
        _ => refused(why.code(), why.to_string(), why.hint()),
    }
}

/// No verdict came for a transaction: a fault of this node.
pub(super) fn no_verdict() -> Problem {
    broken(&Fault::Invariant { detail: "a transaction got no verdict".to_owned() })
}

/// The transactions of the newest blocks
#[utoipa::path(get, path = "/txs", tag = "transactions", params(PageAsk),
    responses((status = 200, body = LatestTxs, description = "One page, the newest first"), Malformed))]
pub(in crate::api) async fn latest(State(api): State<Api>, Asked(page): Asked<PageAsk>) -> Answer<LatestTxs> {
    let (before, limit) = page.checked()?;
    let page = api.read(move |chain| chain.latest_txs(before, limit)).await?;
    Ok(Json(LatestTxs { txs: page.txs, next: page.next.map(cursor) }))
}

/// How long to wait.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct WaitAsk {
    /// Answers when it is final, or after so many seconds.
    #[param(minimum = 0, maximum = 60)]
    wait: Option<u64>,
}

impl WaitAsk {
    fn checked(&self) -> Result<Duration, Problem> {
        let wait = self.wait.unwrap_or(0);
        if wait > WAIT_S_MAX {
            return Err(invalid("invalid_query", format!("wait is {wait}; it may be 0 to {WAIT_S_MAX} seconds")));
        }
        Ok(Duration::from_secs(wait))
    }
}

/// A transaction by its hash
#[utoipa::path(get, path = "/txs/{hash}", tag = "transactions",
    params(("hash" = inline(HashText), Path, description = "The hash of its signed bytes"), WaitAsk),
    responses((status = 200, body = TxView, description = "The transaction, and what became of it"), Absent))]
pub(in crate::api) async fn tx(
    State(api): State<Api>,
    At(hash): At<TxHash>,
    Asked(ask): Asked<WaitAsk>,
) -> Answer<TxView> {
    wait_for(&api, vec![hash], ask.checked()?).await?;
    let found = api.read(move |chain| chain.transaction(&hash)).await?;
    found.map(Json).ok_or_else(|| missing("transaction_not_found", format!("no transaction {hash} is known here")))
}

/// What became of many transactions
///
/// A body of `application/octet-stream` is the hashes in bytes, 32 each.
#[utoipa::path(post, path = "/txs/status", tag = "transactions", params(WaitAsk),
    request_body(content((StatusAsk = "application/json"), (inline(Octets) = "application/octet-stream"))),
    responses((status = 200, body = StatusMany, description = "What became of each, in their order"), BadBody))]
pub(in crate::api) async fn states(
    State(api): State<Api>,
    Asked(ask): Asked<WaitAsk>,
    request: Request,
) -> Answer<StatusMany> {
    let wait = ask.checked()?;
    let body = api.body(request, &[Kind::Json, Kind::Octets]).await?;
    let hashes = hashes_of(&body)?;
    drop(body);
    let (height, fates) = wait_for(&api, hashes.clone(), wait).await?;
    let txs: Vec<TxState> = hashes.iter().zip(&fates).map(|(hash, fate)| TxState::of(hash, fate.as_ref())).collect();
    let finalized = fates.iter().filter(|fate| is_final(fate)).count();
    Ok(Json(StatusMany { height: height.0, finalized, txs }))
}

fn hashes_of(body: &Body) -> Result<Vec<TxHash>, Problem> {
    if body.kind == Kind::Octets {
        let (hashes, rest) = body.bytes.as_chunks::<32>();
        if !rest.is_empty() {
            let detail = format!("{} bytes, a hash has 32", body.bytes.len());
            return Err(refused("invalid_length", detail, "send the hashes without anything between them"));
        }
        check_count(hashes.len(), "hashes")?;
        return Ok(hashes.iter().map(|bytes| TxHash(Digest(*bytes))).collect());
    }
    let asked = body.json::<StatusAsk>()?.hashes;
    check_count(asked.len(), "hashes")?;
    let hash = |text: &String| {
        text.parse().map_err(|error: cpc_primitives::hash::HexError| invalid("invalid_hash", error.to_string()))
    };
    asked.iter().map(hash).collect()
}

/// What became of transactions, as soon as all of them are final, or when the time is over.
async fn wait_for(api: &Api, hashes: Vec<TxHash>, wait: Duration) -> Result<(Height, Vec<Option<Fate>>), Problem> {
    let until = Instant::now() + wait;
    let mut heads = api.chain().heads();
    let mut place = None;
    loop {
        // Before the look: a block that becomes final during it is not slept through.
        let height = *heads.borrow_and_update();
        let asked = hashes.clone();
        let fates = api.read(move |chain| chain.fates(&asked)).await?;
        if fates.iter().all(is_final) || Instant::now() >= until {
            return Ok((height, fates));
        }
        if place.is_none() {
            place = Some(api.waiting_place()?);
        }
        tokio::select! {
            biased;
            // A node that stops keeps nobody waiting.
            () = api.stopping() => return Ok((height, fates)),
            changed = heads.changed() => {
                if changed.is_err() {
                    return Ok((height, fates));
                }
            }
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

fn is_final(fate: &Option<Fate>) -> bool {
    matches!(fate, Some(Fate::Final { .. }))
}

/// What waits for a block
#[utoipa::path(get, path = "/mempool", tag = "transactions", params(PageLimit),
    responses((status = 200, body = MempoolView, description = "How much waits, and some of it"), Malformed))]
pub(in crate::api) async fn mempool(State(api): State<Api>, Asked(page): Asked<PageLimit>) -> Answer<MempoolView> {
    let limit = page.limit.unwrap_or(20);
    if limit > PAGE_MAX {
        return Err(invalid("invalid_query", format!("limit is {limit}; it may be 0 to {PAGE_MAX}")));
    }
    let (count, bytes) = api.chain().pending_size();
    Ok(Json(MempoolView { count, bytes, txs: api.chain().waiting(limit) }))
}

/// How many of a list that has no pages.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct PageLimit {
    /// How many at most.
    #[param(minimum = 0, maximum = 100, default = 20)]
    limit: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_bytes_is_split_exactly() {
        let lengths = |bytes: &[u8]| {
            let split = split(bytes).map(|items| items.iter().map(|item| item.len()).collect::<Vec<_>>());
            split.map_err(|problem| (problem.status.as_u16(), problem.code))
        };
        assert_eq!(lengths(&[1, 0, 0, 0, 9, 0, 0, 0, 0]), Ok(vec![1, 0]));
        assert_eq!(lengths(&[]), Err((422, "invalid_body")));
        assert_eq!(lengths(&[1, 0, 0]), Err((422, "invalid_length")));
        assert_eq!(lengths(&[2, 0, 0, 0, 9]), Err((422, "invalid_length")));
        assert_eq!(lengths(&[255, 255, 255, 255, 9]), Err((422, "invalid_length")));
        assert_eq!(lengths(&[0; 4 * BATCH_MAX]), Ok(vec![0; BATCH_MAX]));
        assert_eq!(lengths(&[0; 4 * BATCH_MAX + 4]), Err((422, "invalid_body")));
    }
}
