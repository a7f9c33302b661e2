//! Every route, by what it is about; each describes itself.

pub(super) mod accounts;
pub(super) mod blocks;
pub(super) mod chain;
pub(super) mod events;
pub(super) mod faucet;
pub(super) mod node;
mod parts;
pub(super) mod txs;

use axum::response::Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::problem::Problem;

/// What a route answers in JSON.
type Answer<T> = Result<Json<T>, Problem>;

/// All of them.
pub(super) fn all() -> OpenApiRouter<Api> {
    let api = OpenApiRouter::new()
        .routes(routes!(chain::status))
        .routes(routes!(chain::params))
        .routes(routes!(chain::supply))
        .routes(routes!(chain::burns))
        .routes(routes!(chain::treasury))
        .routes(routes!(chain::fees))
        .routes(routes!(chain::validators))
        .routes(routes!(chain::genesis))
        .routes(routes!(chain::peers))
        .routes(routes!(blocks::block))
        .routes(routes!(blocks::results))
        .routes(routes!(events::events))
        .routes(routes!(txs::submit, txs::latest))
        .routes(routes!(txs::states))
        .routes(routes!(txs::tx))
        .routes(routes!(txs::mempool))
        .routes(routes!(accounts::account))
        .routes(routes!(accounts::history))
        .routes(routes!(accounts::proof))
        .routes(routes!(faucet::faucet));
    OpenApiRouter::new()
        .nest("/api/v1", api)
        .routes(routes!(node::live))
        .routes(routes!(node::ready))
        .routes(routes!(node::metrics))
        .routes(routes!(node::version))
}
