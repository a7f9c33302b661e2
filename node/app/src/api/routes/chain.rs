//! What the network is, how much money there is, and who decides.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Json};
use cpc_ledger::TRANSFER_GAS;
use cpc_primitives::Epoch;
use serde::Deserialize;

use super::Answer;
use super::parts::Asked;
use crate::api::Api;
use crate::api::document::Absent;
use crate::api::dto::{
    BurnsView, FeesView, ParamsView, PeersView, SeatView, Status, SupplyView, TreasuryView, ValidatorsView, cost,
};
use crate::api::problem::{Problem, broken, missing};

/// Where the chain is
#[utoipa::path(get, path = "/status", tag = "chain", responses((status = 200, body = Status, description = "The last final block")))]
pub(in crate::api) async fn status(State(api): State<Api>) -> Json<Status> {
    Json(Status::of(api.chain(), api.peers().len()))
}

/// What a sender has to know
#[utoipa::path(get, path = "/params", tag = "chain", responses((status = 200, body = ParamsView, description = "The parameters")))]
pub(in crate::api) async fn params(State(api): State<Api>) -> Json<ParamsView> {
    let params = api.chain().params();
    Json(ParamsView {
        chain: params.chain.0,
        gas_price_min: params.gas_price_min.to_string(),
        transfer_gas: TRANSFER_GAS.0,
        new_account_gas: params.new_account_gas.0,
        existential_minimum: params.existential_minimum.to_string(),
        interval_ms: params.interval_ms,
        epoch_blocks: params.epoch_blocks,
    })
}

/// All money: what there is, where it is, what was made and burned
#[utoipa::path(get, path = "/supply", tag = "chain", responses((status = 200, body = SupplyView, description = "The running totals")))]
pub(in crate::api) async fn supply(State(api): State<Api>) -> Answer<SupplyView> {
    let (supply, height) = api.read(|chain| chain.supply()).await?;
    Ok(Json(SupplyView::of(&supply, height)))
}

/// What was destroyed
#[utoipa::path(get, path = "/burns", tag = "chain", responses((status = 200, body = BurnsView, description = "What was burned")))]
pub(in crate::api) async fn burns(State(api): State<Api>) -> Answer<BurnsView> {
    let (supply, height) = api.read(|chain| chain.supply()).await?;
    Ok(Json(BurnsView {
        height: height.0,
        burned: supply.burned.to_string(),
        minted: supply.minted.to_string(),
        settlement_burn_bps: api.chain().params().settlement.burn.points(),
    }))
}

/// The money that a tenth of the fees feeds
#[utoipa::path(get, path = "/treasury", tag = "chain", responses((status = 200, body = TreasuryView, description = "The treasury")))]
pub(in crate::api) async fn treasury(State(api): State<Api>) -> Answer<TreasuryView> {
    let (supply, height) = api.read(|chain| chain.supply()).await?;
    let params = api.chain().params();
    Ok(Json(TreasuryView {
        height: height.0,
        balance: supply.treasury.to_string(),
        threshold: params.treasury_threshold,
        keys: params.treasury_keys.iter().map(ToString::to_string).collect(),
        fee_bps: params.fee_treasury().points(),
        settlement_bps: params.settlement.treasury.points(),
    }))
}

/// What transactions cost
#[utoipa::path(get, path = "/fees", tag = "chain", responses((status = 200, body = FeesView, description = "The prices")))]
pub(in crate::api) async fn fees(State(api): State<Api>) -> Json<FeesView> {
    let params = api.chain().params();
    let price = params.gas_price_min;
    Json(FeesView {
        gas_price_min: price.to_string(),
        transfer: cost(Some(TRANSFER_GAS.0), price),
        transfer_to_new_account: cost(TRANSFER_GAS.0.checked_add(params.new_account_gas.0), price),
        proposer_bps: params.fee_proposer.points(),
        treasury_bps: params.fee_treasury().points(),
        pending: api.chain().pending_count(),
    })
}

/// Which epoch's seats.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct EpochAsk {
    /// The epoch; that of the last final block where it is absent.
    #[param(maximum = 999_999_999)]
    epoch: Option<u64>,
}

/// Who signs blocks
#[utoipa::path(get, path = "/validators", tag = "chain", params(EpochAsk),
    responses((status = 200, body = ValidatorsView, description = "The seats of an epoch"), Absent))]
pub(in crate::api) async fn validators(State(api): State<Api>, Asked(ask): Asked<EpochAsk>) -> Answer<ValidatorsView> {
    let epoch = ask.epoch.map(Epoch);
    let found = api.read(move |chain| chain.epoch_seats(epoch)).await?;
    let epoch = found.epoch;
    let Some(seats) = found.seats else {
        return Err(missing(
            "epoch_not_kept",
            format!("the state after block {} has no seats of epoch {epoch}", found.height),
        ));
    };
    let damaged = |error| cpc_primitives::Fault::Damaged { detail: format!("the seats of epoch {epoch}: {error}") };
    let set = seats.validators().map_err(|error| broken(&damaged(error)))?;
    let views = seats.seats().iter().enumerate().map(|(seat, of)| SeatView {
        seat,
        key: of.key.to_string(),
        account: of.account.to_string(),
        stake: of.stake.to_string(),
    });
    Ok(Json(ValidatorsView {
        height: found.height.0,
        epoch: epoch.0,
        quorum: usize::try_from(set.quorum()).unwrap_or(usize::MAX),
        set: set.hash().to_string(),
        validators: views.collect(),
    }))
}

/// The chain spec that the network began with, as it was written
#[utoipa::path(get, path = "/genesis", tag = "chain",
    responses((status = 200, body = String, content_type = "application/toml", description = "The chain spec")))]
pub(in crate::api) async fn genesis(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/toml")], api.chain().genesis_text().to_owned())
}

/// Whom this node is connected to
#[utoipa::path(get, path = "/peers", tag = "chain", responses((status = 200, body = PeersView, description = "The peers")))]
pub(in crate::api) async fn peers(State(api): State<Api>) -> Result<Json<PeersView>, Problem> {
    Ok(Json(PeersView { peers: api.peers() }))
}
