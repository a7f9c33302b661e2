//! Accounts: what they have, what they did, and the proof of it.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json};
use cpc_primitives::hash::hex;
use cpc_primitives::{Address, Epoch};
use serde::Deserialize;

use super::Answer;
use super::parts::{Asked, At, PageAsk, cursor};
use crate::api::Api;
use crate::api::document::{Bent, Wrong};
use crate::api::dto::{AccountTxs, AccountView};
use crate::api::problem::{Problem, broken};
use crate::api::texts::{AddressText, Octets};
use crate::chain::NoProof;

/// Whether the account is to be proven.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct AccountAsk {
    /// Adds the proof of what is said, from block 0 on; `cpc verify` checks it.
    #[param(default = false)]
    proof: Option<bool>,
}

/// What an account has
#[utoipa::path(get, path = "/accounts/{address}", tag = "accounts",
    params(("address" = inline(AddressText), Path, description = "The address"), AccountAsk),
    responses((status = 200, body = AccountView, description = "The account after the last final block"), Wrong))]
pub(in crate::api) async fn account(
    State(api): State<Api>,
    At(address): At<Address>,
    Asked(ask): Asked<AccountAsk>,
) -> Answer<AccountView> {
    let (account, height, proof) = match ask.proof {
        Some(true) => {
            let found = api.run(move |chain| chain.account_proof(&address, None)).await?;
            let found = found.map_err(|none| no_proof(&none))?;
            (found.account, found.height, Some(hex(&found.file)))
        }
        _ => {
            let (account, height) = api.read(move |chain| chain.account(&address)).await?;
            (account, height, None)
        }
    };
    let known = account.unwrap_or_default();
    Ok(Json(AccountView {
        address: address.to_string(),
        balance: known.balance.to_string(),
        nonce: known.nonce.0,
        pending: api.chain().pending_ready(&address),
        exists: account.is_some(),
        height: height.0,
        proof,
    }))
}

/// What an account did, and what was done to it
#[utoipa::path(get, path = "/accounts/{address}/txs", tag = "accounts",
    params(("address" = inline(AddressText), Path, description = "The address"), PageAsk),
    responses((status = 200, body = AccountTxs, description = "One page, the newest first"), Wrong))]
pub(in crate::api) async fn history(
    State(api): State<Api>,
    At(address): At<Address>,
    Asked(page): Asked<PageAsk>,
) -> Answer<AccountTxs> {
    let (before, limit) = page.checked()?;
    let page = api.read(move |chain| chain.history(&address, before, limit)).await?;
    Ok(Json(AccountTxs { txs: page.txs, next: page.next.map(cursor) }))
}

/// Where a proof begins.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ProofAsk {
    /// Begins at the anchor of this epoch instead of at block 0.
    #[param(maximum = 999_999_999)]
    from_epoch: Option<u64>,
}

/// The proof of an account, for `cpc verify`
#[utoipa::path(get, path = "/accounts/{address}/proof", tag = "accounts",
    params(("address" = inline(AddressText), Path, description = "The address"), ProofAsk),
    responses((status = 200, body = inline(Octets), content_type = "application/octet-stream", description = "The proof file"), Bent))]
pub(in crate::api) async fn proof(
    State(api): State<Api>,
    At(address): At<Address>,
    Asked(ask): Asked<ProofAsk>,
) -> Result<impl IntoResponse, Problem> {
    let from = ask.from_epoch.map(Epoch);
    let found = api.run(move |chain| chain.account_proof(&address, from)).await?.map_err(|none| no_proof(&none))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], found.file))
}

fn no_proof(none: &NoProof) -> Problem {
    let (status, code, hint) = match none {
        NoProof::Fault(fault) => return broken(fault),
        NoProof::OnlyGenesis => (StatusCode::SERVICE_UNAVAILABLE, "no_final_block", "wait for a block"),
        NoProof::NotYet { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "certificate_on_its_way", "ask again after the next block")
        }
        NoProof::EpochAhead { .. } => {
            (StatusCode::NOT_FOUND, "epoch_ahead", "GET /api/v1/status says the epoch of the last final block")
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

#[cfg(test)]
mod tests {
    use cpc_primitives::Fault;

    use super::*;

    #[test]
    fn every_proof_that_is_not_made_has_a_code_and_a_remedy() {
        let epoch = Epoch(3);
        let cases = [
            (NoProof::OnlyGenesis, 503, "no_final_block"),
            (NoProof::EpochAhead { asked: Epoch(4), tip: epoch }, 404, "epoch_ahead"),
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
