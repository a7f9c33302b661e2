//! The process itself: whether it lives, and whether it works.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json};

use crate::api::Api;
use crate::api::dto::ReadyView;
use crate::api::problem::Problem;

/// Whether the process lives; nothing else is looked at
#[utoipa::path(get, path = "/livez", tag = "node", responses((status = 200, body = String, content_type = "text/plain", description = "It lives")))]
pub(in crate::api) async fn live() -> &'static str {
    "ok\n"
}

/// Whether the node does its work
///
/// Blocks are being made, and whatever else this node runs is well. A process that only lives is not ready.
#[utoipa::path(get, path = "/readyz", tag = "node", responses((status = 200, body = ReadyView, description = "Every check holds")))]
pub(in crate::api) async fn ready(State(api): State<Api>) -> Result<Json<ReadyView>, Problem> {
    let checks = api.readiness();
    if let Some(failing) = checks.iter().find(|check| !check.ok) {
        let detail = format!("{}: {}", failing.name, failing.evidence);
        let hint = "`cpc node health` shows every check";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail, hint).retry_after(1));
    }
    Ok(Json(ReadyView::of(checks)))
}

/// What the node measures, as Prometheus reads it
#[utoipa::path(get, path = "/metrics", tag = "node", responses((status = 200, body = String, content_type = "text/plain", description = "The metrics")))]
pub(in crate::api) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], api.measured())
}

/// Which version this is
#[utoipa::path(get, path = "/version", tag = "node", responses((status = 200, body = String, content_type = "text/plain", description = "The version")))]
pub(in crate::api) async fn version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), "\n")
}
