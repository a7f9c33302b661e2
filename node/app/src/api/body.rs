//! Bodies of requests: announced sizes are checked before anything is read, and all of them together have a bound.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Problem, invalid};
use super::reads::busy;

/// The longest body that any route reads: 256 transfers in hex have 100 kB, one of the largest transaction 131 kB.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes of all bodies that are being read or worked on.
const ALL_BYTES_MAX: usize = 64 << 20;
/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// Room is counted in pieces of so many bytes.
const PIECE_BYTES: usize = 1 << 10;

/// What a body says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `application/json`
    Json,
    /// `application/octet-stream`
    Octets,
}

/// A body that was read, and the room that it takes until it is dropped.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) kind: Kind,
    pub(super) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// The room for all bodies.
pub(super) struct Bodies(Arc<Semaphore>);

impl Bodies {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ALL_BYTES_MAX / PIECE_BYTES)))
    }

    /// Reads the body of a request that says it is of one of these kinds.
    pub(super) async fn read(&self, request: Request, kinds: &[Kind]) -> Result<Body, Problem> {
        let kind = kind_of(request.headers()).filter(|kind| kinds.contains(kind)).ok_or_else(|| {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            let detail = format!("this route reads {}", names.join(" and "));
            let hint = "say what the body is with the Content-Type header";
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail, hint)
        })?;
        let announced = announced(request.headers()).unwrap_or(BODY_BYTES_MAX);
        check_length(announced)?;
        let pieces = u32::try_from(announced.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0).try_acquire_many_owned(pieces);
        let room = room.map_err(|_| busy("too many bodies are being read"))?;
        let read = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX);
        let bytes = match tokio::time::timeout(BODY_TIME_MAX, read).await {
            Ok(Ok(bytes)) => bytes,
            // Nothing was announced, and more came than is read; or the caller has left, and nobody reads this.
            Ok(Err(_)) => return Err(too_long(format!("a body of more than {BODY_BYTES_MAX} bytes"))),
            Err(_) => {
                let detail = format!("the body took longer than {} s to arrive", BODY_TIME_MAX.as_secs());
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail, "send it again"));
            }
        };
        Ok(Body { kind, bytes, _room: room })
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Octets => "application/octet-stream",
        }
    }
}

impl Body {
    /// The value that a body of JSON is.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.bytes).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => {
                let hint = "GET /openapi.json says what this route takes";
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", error.to_string(), hint)
            }
            _ => invalid("invalid_json", error.to_string()),
        })
    }
}

/// Refuses a body that is too long before it is read.
pub(super) fn check_length(announced: usize) -> Result<(), Problem> {
    if announced <= BODY_BYTES_MAX {
        return Ok(());
    }
    Err(too_long(format!("a body of {announced} bytes, at most {BODY_BYTES_MAX} are read")))
}

fn too_long(detail: String) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail, "send less at once")
}

/// How many bytes a request says that it has.
pub(super) fn announced(headers: &HeaderMap) -> Option<usize> {
    let text = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    // A number that is too long to be one is longer than anything that is read.
    Some(text.parse().unwrap_or(usize::MAX))
}

fn kind_of(headers: &HeaderMap) -> Option<Kind> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let name = text.split(';').next().unwrap_or_default().trim();
    [Kind::Json, Kind::Octets].into_iter().find(|kind| name.eq_ignore_ascii_case(kind.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)], body: Vec<u8>) -> Request {
        let mut request = Request::builder().method("POST").uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(axum::body::Body::from(body)).expect("a request")
    }

    #[tokio::test]
    async fn bodies_are_refused_before_they_are_read() {
        const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
        let cases: [(&[_], usize, Result<Kind, u16>); 7] = [
            (&[JSON], 2, Ok(Kind::Json)),
            (&[("content-type", "APPLICATION/octet-stream")], 2, Err(415)),
            (&[("content-type", "text/json")], 2, Err(415)),
            (&[], 2, Err(415)),
            (&[JSON, ("content-length", "1048577")], 0, Err(413)),
            (&[JSON, ("content-length", "99999999999999999999999")], 0, Err(413)),
            (&[JSON], BODY_BYTES_MAX + 1, Err(413)),
        ];
        let bodies = Bodies::new();
        for (headers, bytes, expected) in cases {
            let read = bodies.read(request(headers, vec![b'1'; bytes]), &[Kind::Json]).await;
            let found = read.map(|body| body.kind).map_err(|problem| problem.status.as_u16());
            assert_eq!(found, expected, "{headers:?} {bytes}");
        }
        assert_eq!(bodies.0.available_permits(), ALL_BYTES_MAX / PIECE_BYTES, "all room is free again");
    }

    #[tokio::test]
    async fn all_bodies_together_have_a_bound() {
        let bodies = Bodies::new();
        let octets = || request(&[("content-type", "application/octet-stream")], vec![1]);
        let mut held = Vec::new();
        for _ in 0..ALL_BYTES_MAX / BODY_BYTES_MAX {
            held.push(bodies.read(octets(), &[Kind::Octets]).await.expect("room"));
        }
        let refused = bodies.read(octets(), &[Kind::Octets]).await.expect_err("no room");
        assert_eq!((refused.status.as_u16(), refused.retry_after), (503, Some(1)));
        held.pop();
        bodies.read(octets(), &[Kind::Octets]).await.expect("room again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_waited_for_so_long() {
        let never = axum::body::Body::from_stream(tokio_stream::pending::<Result<Bytes, std::io::Error>>());
        let request = Request::builder().header("content-type", "application/json").body(never).expect("a request");
        let refused = Bodies::new().read(request, &[Kind::Json]).await.expect_err("too late");
        assert_eq!((refused.status.as_u16(), refused.code), (408, "timeout"));
    }
}
