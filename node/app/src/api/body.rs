//! Bodies of requests: announced sizes are checked before anything is read, and all of them together have a bound.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use tokio_stream::StreamExt as _;

use super::guard::Caller;
use super::problem::{Problem, invalid};
use super::reads::busy;

/// The longest body that any route reads: 256 transfers in hex have 100 kB, one of the largest transaction 131 kB.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes of all bodies that are being read or worked on.
const ALL_BYTES_MAX: usize = 64 << 20;
/// The same of one address that is not this machine.
const ADDRESS_BYTES_MAX: usize = 8 << 20;
/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

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
    _room: Room,
}

/// The room for all bodies: what has come of them, whatever they announce.
#[derive(Default)]
pub(super) struct Bodies(Arc<Mutex<Taken>>);

/// Bytes that are held.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// The room of one body, which is free again when this is dropped.
#[derive(Debug)]
struct Room {
    taken: Arc<Mutex<Taken>>,
    /// Whose it is, where it counts against one.
    address: Option<IpAddr>,
    bytes: usize,
}

impl Room {
    /// Takes room for bytes that have come.
    fn take(&mut self, bytes: usize) -> Result<(), Problem> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all + bytes > ALL_BYTES_MAX {
            return Err(busy("too many bodies are being read"));
        }
        if let Some(address) = self.address {
            let own = taken.by_address.entry(address).or_default();
            if *own + bytes > ADDRESS_BYTES_MAX {
                return Err(busy("too many bodies of this address are being read"));
            }
            *own += bytes;
        }
        taken.all += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= self.bytes;
        let Some(address) = self.address else { return };
        let Some(own) = taken.by_address.get_mut(&address) else { return };
        *own -= self.bytes;
        if *own == 0 {
            taken.by_address.remove(&address);
        }
    }
}

impl Bodies {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Reads the body of a request that says it is of one of these kinds.
    pub(super) async fn read(&self, request: Request, kinds: &[Kind]) -> Result<Body, Problem> {
        let kind = kind_of(request.headers()).filter(|kind| kinds.contains(kind)).ok_or_else(|| {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            let detail = format!("this route reads {}", names.join(" and "));
            let hint = "say what the body is with the Content-Type header";
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail, hint)
        })?;
        let announced = announced(request.headers()).unwrap_or_default();
        check_length(announced)?;
        let caller = request.extensions().get::<Caller>();
        let address = caller.filter(|caller| !caller.is_this_machine()).map(|caller| caller.name());
        let mut room = Room { taken: Arc::clone(&self.0), address, bytes: 0 };
        let until = Instant::now() + BODY_TIME_MAX;
        let (mut chunks, mut bytes) = (request.into_body().into_data_stream(), Vec::new());
        loop {
            let Ok(next) = timeout_at(until, chunks.next()).await else {
                let detail = format!("the body took longer than {} s to arrive", BODY_TIME_MAX.as_secs());
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail, "send it again"));
            };
            let Some(chunk) = next else { break };
            // Whoever has left reads no answer.
            let chunk = chunk.map_err(|error| invalid("invalid_body", format!("the body broke off: {error}")))?;
            if bytes.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(too_long(format!("a body of more than {BODY_BYTES_MAX} bytes")));
            }
            room.take(chunk.len())?;
            bytes.extend_from_slice(&chunk);
        }
        let bytes = Bytes::from(bytes);
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
        assert_eq!(bodies.0.lock().expect("unbroken").all, 0, "all room is free again");
    }

    /// A body of the most bytes, from an address.
    fn full(address: [u8; 4]) -> Request {
        let mut request = request(&[("content-type", "application/octet-stream")], vec![1; BODY_BYTES_MAX]);
        request.extensions_mut().insert(Caller(address.into()));
        request
    }

    #[tokio::test]
    async fn all_bodies_together_have_a_bound_and_those_of_one_address_have() {
        let bodies = Bodies::new();
        let mut held = Vec::new();
        let each = ADDRESS_BYTES_MAX / BODY_BYTES_MAX;
        for place in 0..ALL_BYTES_MAX / BODY_BYTES_MAX {
            let address = [10, 0, 0, u8::try_from(place / each).expect("few")];
            held.push(bodies.read(full(address), &[Kind::Octets]).await.expect("room"));
            if (place + 1) % each == 0 {
                let refused = bodies.read(full(address), &[Kind::Octets]).await.expect_err("its own room is full");
                assert_eq!((refused.status.as_u16(), refused.retry_after), (503, Some(1)));
            }
        }
        let refused = bodies.read(full([127, 0, 0, 1]), &[Kind::Octets]).await.expect_err("no room");
        assert_eq!((refused.status.as_u16(), refused.retry_after), (503, Some(1)));
        held.pop();
        bodies.read(full([127, 0, 0, 1]), &[Kind::Octets]).await.expect("room again");
        held.clear();
        let taken = bodies.0.lock().expect("unbroken");
        assert_eq!((taken.all, taken.by_address.len()), (0, 0));
    }

    #[tokio::test]
    async fn what_is_announced_and_does_not_come_takes_no_room() {
        let bodies = Arc::new(Bodies::new());
        let mut waiting = Vec::new();
        for _ in 0..2 * ALL_BYTES_MAX / BODY_BYTES_MAX {
            let never = axum::body::Body::from_stream(tokio_stream::pending::<Result<Bytes, std::io::Error>>());
            let request = Request::builder().header("content-type", "application/octet-stream");
            let request = request.header("content-length", BODY_BYTES_MAX).body(never).expect("a request");
            let bodies = Arc::clone(&bodies);
            waiting.push(tokio::spawn(async move { bodies.read(request, &[Kind::Octets]).await.map(|_| ()) }));
        }
        tokio::task::yield_now().await;
        bodies.read(full([127, 0, 0, 1]), &[Kind::Octets]).await.expect("there is room");
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_waited_for_so_long() {
        let never = axum::body::Body::from_stream(tokio_stream::pending::<Result<Bytes, std::io::Error>>());
        let request = Request::builder().header("content-type", "application/json").body(never).expect("a request");
        let refused = Bodies::new().read(request, &[Kind::Json]).await.expect_err("too late");
        assert_eq!((refused.status.as_u16(), refused.code), (408, "timeout"));
    }
}
