//! What a caller is told when a request is refused: RFC 9457, with a stable code and a remedy.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cpc_primitives::Fault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A refusal. The code is for programs and never changes; the words are for people and may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable code.
    pub code: &'static str,
    /// What is wrong, with both sides.
    pub detail: String,
    /// What to do about it.
    pub hint: &'static str,
    /// After how many seconds another try makes sense.
    pub retry_after: Option<u32>,
}

/// The body of a refusal, as it is sent and as our own client reads it (RFC 9457).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Always `about:blank`: the code says more than a page would.
    pub r#type: String,
    /// The name of the HTTP status.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// What is wrong.
    pub detail: String,
    /// What to do about it.
    pub hint: String,
    /// The `x-request-id` of the request, which the node's log names.
    #[serde(default)]
    pub request_id: String,
}

impl Problem {
    /// A refusal with a code, what is wrong, and what to do about it.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>, hint: &'static str) -> Self {
        Self { status, code, detail: detail.into(), hint, retry_after: None }
    }

    /// Says when another try makes sense.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The answer to the request of this id.
    pub(super) fn response_to(self, request_id: &str) -> Response {
        let body = ProblemBody {
            r#type: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("error").to_owned(),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            detail: self.detail.clone(),
            hint: self.hint.to_owned(),
            request_id: request_id.to_owned(),
        };
        let text = serde_json::to_string(&body).expect("strings and a number are always JSON");
        let mut response = (self.status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// What was sent is wrong in its form.
pub(super) fn invalid(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail, "GET /openapi.json says what this route takes")
}

/// What was sent has the right form and breaks a rule.
pub(super) fn refused(code: &'static str, detail: impl Into<String>, hint: &'static str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail, hint)
}

/// What was named does not exist.
pub(super) fn missing(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, code, detail, "")
}

/// A fault of this node is not the caller's: the details go to the log.
pub(super) fn broken(fault: &Fault) -> Problem {
    tracing::error!(%fault, "request met a fault");
    let detail = "this node cannot answer; its log says why";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail, "ask another node").retry_after(10)
}

impl IntoResponse for Problem {
    /// Without an id: the layer that knows it writes the answer anew.
    fn into_response(self) -> Response {
        self.response_to("")
    }
}
