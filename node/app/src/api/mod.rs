//! The chain over HTTP: `/api/v1` for what it knows, `/livez` and `/readyz` for whoever watches the process.

pub mod dto;
mod guard;
pub mod problem;
mod server;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query, Request, State};
use axum::http::{HeaderName, StatusCode, header, request::Parts};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use cpc_primitives::limits::TX_BYTES_MAX;
use cpc_primitives::tx::SignedTx;
use cpc_primitives::{Address, Amount, BlockId, Epoch, Fault, Height, TxHash};
use cpc_store::Place;
use serde::Deserialize;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::chain::{Admission, Chain, FaucetError, NoProof};
use dto::{
    AccountTxs, AccountView, BlockView, FaucetAsk, FaucetGift, ParamsView, Status, Submit, Submitted, SupplyView,
    TxView,
};
use guard::Guard;
use problem::Problem;

/// How long one request may take.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// The longest body that is read: one transaction in hex, and the JSON around it.
const BODY_BYTES_MAX: usize = 2 * TX_BYTES_MAX + 64;
/// Transactions on one page of an account's history.
const PAGE_MAX: usize = 100;

/// Every route over one chain, for a listener at this address.
pub fn router(chain: Arc<Chain>, listens: IpAddr) -> Router {
    let request_id = HeaderName::from_static("x-request-id");
    let api = Router::new()
        .route("/status", get(status))
        .route("/params", get(params))
        .route("/supply", get(supply))
        .route("/genesis", get(genesis))
        .route("/blocks/{which}", get(block))
        .route("/txs", post(submit))
        .route("/txs/{hash}", get(tx))
        .route("/accounts/{address}", get(account))
        .route("/accounts/{address}/txs", get(account_txs))
        .route("/accounts/{address}/proof", get(account_proof))
        .route("/faucet", post(faucet));
    Router::new()
        .nest("/api/v1", api)
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/version", get(|| async { concat!(env!("CARGO_PKG_VERSION"), "\n") }))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "no_such_route", "there is nothing here", "") })
        .method_not_allowed_fallback(|| async {
            let detail = "this route does not take that method";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail, "see the Allow header")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIME_MAX))
        .layer(middleware::from_fn_with_state(Arc::new(Guard::new(listens)), explain))
        .layer(TraceLayer::new_for_http())
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
        .with_state(chain)
}

/// Names every refusal by the id of its request, which the log has too.
async fn explain(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok()).map(str::to_owned);
    let response = answer(&guard, request, next).await.unwrap_or_else(Problem::into_response);
    match (response.extensions().get::<Problem>(), id) {
        (Some(problem), Some(id)) => problem.clone().response_to(&id),
        _ => response,
    }
}

/// Refuses what this node does not serve before anything is read, and says why a request took too long.
async fn answer(guard: &Guard, request: Request, next: Next) -> Result<Response, Problem> {
    guard.check(&request, Instant::now())?;
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(found) = announced.filter(|found: &u64| *found > BODY_BYTES_MAX as u64) {
        let detail = format!("a body of {found} bytes, at most {BODY_BYTES_MAX} are read");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail, ""));
    }
    let response = next.run(request).await;
    if response.status() == StatusCode::REQUEST_TIMEOUT {
        let detail = format!("the request took longer than {} s", REQUEST_TIME_MAX.as_secs());
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail, "send it again"));
    }
    Ok(response)
}

/// Serves until `stop` resolves; requests under way are answered first.
pub async fn serve(
    listener: tokio::net::TcpListener,
    chain: Arc<Chain>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let listens = listener.local_addr()?.ip();
    server::serve(listener, router(chain, listens), stop).await;
    Ok(())
}

type Answer<T> = Result<Json<T>, Problem>;

/// A part of the path that is refused by name where it is malformed.
struct At<T>(T);

impl<S: Send + Sync> FromRequestParts<S> for At<Address> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_text(parts, state).await?;
        dto::address(&text).map(At).map_err(|error| invalid("invalid_address", error))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for At<TxHash> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_text(parts, state).await?;
        text.parse().map(At).map_err(|error: cpc_primitives::hash::HexError| invalid("invalid_hash", error.to_string()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for At<String> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        path_text(parts, state).await.map(At)
    }
}

async fn path_text<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    let path = Path::<String>::from_request_parts(parts, state).await;
    path.map(|Path(text)| text).map_err(|error| invalid("invalid_path", error.to_string()))
}

fn invalid(code: &'static str, detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail, "")
}

fn missing(code: &'static str, detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, code, detail, "")
}

/// A fault of this node is not the caller's: the details go to the log.
fn broken(fault: &Fault) -> Problem {
    tracing::error!(%fault, "request met a fault");
    let detail = "this node cannot answer; its log says why";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail, "ask another node").retry_after(10)
}

async fn status(State(chain): State<Arc<Chain>>) -> Answer<Status> {
    let tip = chain.tip();
    Ok(Json(Status {
        network: chain.genesis().spec.name.clone(),
        chain: chain.params().chain.0,
        genesis: chain.genesis().id().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        height: tip.header.height.0,
        head: tip.id.to_string(),
        head_time_ms: tip.header.time.0,
        state_root: tip.header.state_root.to_string(),
        epoch: tip.header.epoch.0,
        pending: chain.pending_count(),
        index_height: chain.index_height().map_err(|fault| broken(&fault))?.0,
    }))
}

async fn params(State(chain): State<Arc<Chain>>) -> Answer<ParamsView> {
    let params = chain.params();
    Ok(Json(ParamsView {
        chain: params.chain.0,
        gas_price_min: params.gas_price_min.to_string(),
        transfer_gas: chain.transfer_gas().0,
        new_account_gas: params.new_account_gas.0,
        existential_minimum: params.existential_minimum.to_string(),
        interval_ms: params.interval_ms,
        epoch_blocks: params.epoch_blocks,
    }))
}

async fn supply(State(chain): State<Arc<Chain>>) -> Answer<SupplyView> {
    let (supply, height) = chain.supply().map_err(|fault| broken(&fault))?;
    Ok(Json(SupplyView::of(&supply, height)))
}

async fn genesis(State(chain): State<Arc<Chain>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/toml")], chain.genesis_text().to_owned())
}

async fn block(State(chain): State<Arc<Chain>>, At(which): At<String>) -> Answer<BlockView> {
    let height = if which == "latest" {
        Some(chain.tip().header.height)
    } else if let Ok(height) = which.parse::<u64>() {
        Some(Height(height))
    } else {
        let id: BlockId = which.parse().map_err(|error| {
            let detail = format!("{which:?} is neither a height, nor an id ({error}), nor `latest`");
            invalid("invalid_block", detail)
        })?;
        chain.height_of(&id).map_err(|fault| broken(&fault))?
    };
    let found = match height {
        Some(height) => chain.block(height).map_err(|fault| broken(&fault))?,
        None => None,
    };
    let found = found.ok_or_else(|| missing("block_not_found", format!("there is no block {which}")))?;
    Ok(Json(BlockView::of(&found.block, found.certificate.as_deref())))
}

async fn submit(
    State(chain): State<Arc<Chain>>,
    body: Result<Json<Submit>, JsonRejection>,
) -> Result<(StatusCode, Json<Submitted>), Problem> {
    let Json(submit) = body.map_err(bad_body)?;
    let mut bytes = vec![0; submit.tx.len() / 2];
    cpc_primitives::hash::unhex(&submit.tx, &mut bytes).map_err(|error| invalid("invalid_hex", error.to_string()))?;
    let tx = SignedTx::decode(&bytes).map_err(|error| invalid("invalid_transaction", error.to_string()))?;
    let submitted = Submitted { hash: tx.hash().to_string(), id: tx.id().to_string() };
    admit(&chain, tx).await?;
    Ok((StatusCode::ACCEPTED, Json(submitted)))
}

/// Checks and keeps a transaction; the signature is checked off the threads that answer requests.
async fn admit(chain: &Arc<Chain>, tx: SignedTx) -> Result<(), Problem> {
    let worker = Arc::clone(chain);
    let admission = tokio::task::spawn_blocking(move || worker.admit(tx)).await;
    match admission.map_err(|error| broken(&Fault::Invariant { detail: error.to_string() }))? {
        Ok(()) => Ok(()),
        Err(Admission::Fault(fault)) => Err(broken(&fault)),
        Err(refused) => {
            let status = match refused {
                Admission::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            let problem = Problem::new(status, refused.code(), refused.to_string(), refused.hint());
            Err(if status == StatusCode::SERVICE_UNAVAILABLE { problem.retry_after(1) } else { problem })
        }
    }
}

fn bad_body(rejection: JsonRejection) -> Problem {
    let code = match rejection.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
        StatusCode::PAYLOAD_TOO_LARGE => "payload_too_large",
        StatusCode::UNPROCESSABLE_ENTITY => "invalid_body",
        _ => "invalid_json",
    };
    Problem::new(rejection.status(), code, rejection.body_text(), "")
}

async fn tx(State(chain): State<Arc<Chain>>, At(hash): At<TxHash>) -> Answer<TxView> {
    let found = chain.transaction(&hash).map_err(|fault| broken(&fault))?;
    found.map(Json).ok_or_else(|| missing("transaction_not_found", format!("no transaction {hash} is known here")))
}

async fn account(State(chain): State<Arc<Chain>>, At(address): At<Address>) -> Answer<AccountView> {
    let (account, height) = chain.account(&address).map_err(|fault| broken(&fault))?;
    let known = account.unwrap_or_default();
    Ok(Json(AccountView {
        address: address.to_string(),
        balance: known.balance.to_string(),
        nonce: known.nonce.0,
        pending: chain.pending_ready(&address),
        exists: account.is_some(),
        height: height.0,
    }))
}

/// One page of a history.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
    before: Option<String>,
}

async fn account_txs(
    State(chain): State<Arc<Chain>>,
    At(address): At<Address>,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Answer<AccountTxs> {
    let Query(page) = page.map_err(|error| invalid("invalid_query", error.body_text()))?;
    let limit = page.limit.unwrap_or(20);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(invalid("invalid_query", format!("limit is {limit}; it may be 1 to {PAGE_MAX}")));
    }
    let before = page.before.as_deref().map(cursor).transpose()?;
    let page = chain.history(&address, before, limit).map_err(|fault| broken(&fault))?;
    Ok(Json(AccountTxs { txs: page.txs, next: page.next.map(|place| format!("{}-{}", place.height, place.index)) }))
}

fn cursor(text: &str) -> Result<Place, Problem> {
    let parse = || {
        let (height, index) = text.split_once('-')?;
        Some(Place { height: Height(height.parse().ok()?), index: index.parse().ok()? })
    };
    parse().ok_or_else(|| invalid("invalid_query", format!("before is {text:?}; pass on what `next` said")))
}

/// Where a proof begins.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofAsk {
    from_epoch: Option<u64>,
}

async fn account_proof(
    State(chain): State<Arc<Chain>>,
    At(address): At<Address>,
    ask: Result<Query<ProofAsk>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(ask) = ask.map_err(|error| invalid("invalid_query", error.body_text()))?;
    let from = ask.from_epoch.map(Epoch);
    let proof = tokio::task::spawn_blocking(move || chain.account_proof(&address, from)).await;
    let proof = proof.map_err(|error| broken(&Fault::Invariant { detail: error.to_string() }))?;
    let bytes = proof.map_err(|none| no_proof(&none))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

fn no_proof(none: &NoProof) -> Problem {
    let (status, code, hint) = match none {
        NoProof::Fault(fault) => return broken(fault),
        NoProof::OnlyGenesis | NoProof::NotYet { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "no_final_block", "wait for a block")
        }
        NoProof::EpochAhead { .. } => {
            (StatusCode::BAD_REQUEST, "epoch_ahead", "GET /api/v1/status says the epoch of the last final block")
        }
        NoProof::EpochAbsent { .. } => {
            (StatusCode::NOT_FOUND, "epoch_not_kept", "ask another node, or begin at a later epoch with from_epoch")
        }
        NoProof::TooLong { .. } => {
            let hint = "begin at a later epoch with from_epoch, and check against the anchor of that epoch";
            (StatusCode::UNPROCESSABLE_ENTITY, "trust_path_too_long", hint)
        }
    };
    let problem = Problem::new(status, code, none.to_string(), hint);
    if status == StatusCode::SERVICE_UNAVAILABLE { problem.retry_after(1) } else { problem }
}

async fn faucet(
    State(chain): State<Arc<Chain>>,
    body: Result<Json<FaucetAsk>, JsonRejection>,
) -> Result<(StatusCode, Json<FaucetGift>), Problem> {
    let Json(ask) = body.map_err(bad_body)?;
    let to = dto::address(&ask.address).map_err(|error| invalid("invalid_address", error))?;
    let amount = match ask.amount.as_deref() {
        Some(text) => text.parse::<Amount>().map_err(|error| invalid("invalid_amount", error.to_string())).map(Some)?,
        None => None,
    };
    let (tx, amount) = chain.faucet(to, amount).map_err(|error| match error {
        FaucetError::None => missing("no_faucet", error.to_string()),
        FaucetError::TooMuch { .. } => invalid("amount_too_large", error.to_string()),
        FaucetError::TooLittle { .. } => invalid("amount_too_small", error.to_string()),
        FaucetError::Busy { .. } => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", error.to_string(), "").retry_after(1)
        }
        FaucetError::Fault(fault) => broken(&fault),
    })?;
    let hash = tx.hash().to_string();
    admit(&chain, tx).await?;
    let gift = FaucetGift { hash, address: to.to_string(), amount: amount.to_string() };
    Ok((StatusCode::ACCEPTED, Json(gift)))
}

/// Ready means: blocks are being made. A process that only lives is not ready.
async fn ready(State(chain): State<Arc<Chain>>) -> Result<Json<serde_json::Value>, Problem> {
    let checks = chain.readiness();
    match checks.iter().find(|check| !check.ok) {
        None => Ok(Json(serde_json::json!({ "ready": true, "checks": checks }))),
        Some(failing) => {
            let detail = format!("{}: {}", failing.name, failing.evidence);
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail, "").retry_after(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_proof_that_is_not_made_has_a_code_and_a_remedy() {
        let epoch = Epoch(3);
        let cases = [
            (NoProof::OnlyGenesis, 503, "no_final_block"),
            (NoProof::EpochAhead { asked: Epoch(4), tip: epoch }, 400, "epoch_ahead"),
            (NoProof::EpochAbsent { epoch }, 404, "epoch_not_kept"),
            (NoProof::TooLong { from: epoch, to: Epoch(5000), epochs: 4096, bytes: 9 }, 422, "trust_path_too_long"),
            (NoProof::Fault(Fault::Damaged { detail: "a block".to_owned() }), 503, "unavailable"),
        ];
        for (none, status, code) in cases {
            let problem = no_proof(&none);
            assert_eq!((problem.status.as_u16(), problem.code), (status, code), "{none}");
            assert!(!problem.hint.is_empty(), "{none}");
        }
    }
}
