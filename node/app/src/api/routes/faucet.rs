//! Money for trying things out, where the network gives it away.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Json;
use cpc_primitives::Amount;

use super::parts::address;
use super::txs::{no_verdict, not_kept};
use crate::api::Api;
use crate::api::body::Kind;
use crate::api::document::BadAsk;
use crate::api::dto::{FaucetAsk, FaucetGift};
use crate::api::problem::{Problem, broken, missing, refused};
use crate::chain::{FaucetError, Source};

/// Asks for money
#[utoipa::path(post, path = "/faucet", tag = "accounts", request_body = FaucetAsk,
    responses((status = 202, body = FaucetGift, description = "The gift waits for a block"), BadAsk))]
pub(in crate::api) async fn faucet(
    State(api): State<Api>,
    request: Request,
) -> Result<(StatusCode, Json<FaucetGift>), Problem> {
    let ask: FaucetAsk = api.body(request, &[Kind::Json]).await?.json()?;
    let to = address(&ask.address)?;
    let amount = ask.amount.as_deref().map(str::parse::<Amount>).transpose();
    let amount = amount.map_err(|error| refused("invalid_amount", error.to_string(), "write for example \"10.5\""))?;
    let worker = api.clone();
    let given = api.check(move || {
        let (tx, amount) = worker.chain().faucet(to, amount).map_err(no_gift)?;
        let admitted = worker.chain().admit_each(vec![tx], Source::User).pop().ok_or_else(no_verdict)?;
        admitted.outcome.map_err(|why| not_kept(&why))?;
        Ok(FaucetGift { hash: admitted.hash.to_string(), address: to.to_string(), amount: amount.to_string() })
    });
    Ok((StatusCode::ACCEPTED, Json(given.await??)))
}

fn no_gift(error: FaucetError) -> Problem {
    match error {
        FaucetError::None => missing("no_faucet", error.to_string()),
        FaucetError::TooMuch { .. } => refused("amount_too_large", error.to_string(), "ask for less"),
        FaucetError::TooLittle { .. } => refused("amount_too_small", error.to_string(), "ask for more"),
        FaucetError::Busy { .. } => {
            let hint = "ask again in a second";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", error.to_string(), hint).retry_after(1)
        }
        FaucetError::Fault(fault) => broken(&fault),
    }
}
