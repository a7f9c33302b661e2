//! Who is answered at all: at most so many requests a second, and no page of another site through a person's browser.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};

use super::problem::Problem;

/// Requests that are answered each second, from everybody together.
const REQUESTS_PER_S: u32 = 1_000;
/// Requests that are answered at once after a silence.
const REQUESTS_BURST: u32 = 4_000;

/// What every request has to pass.
pub(super) struct Guard {
    listens: IpAddr,
    bucket: Mutex<Bucket>,
}

impl Guard {
    /// The guard of a listener at this address.
    pub(super) fn new(listens: IpAddr) -> Self {
        Self { listens, bucket: Mutex::new(Bucket::full(Instant::now())) }
    }

    /// Refuses what is not meant for this node, or is too much.
    pub(super) fn check(&self, request: &Request, now: Instant) -> Result<(), Problem> {
        let host = host_of(request);
        if self.listens.is_loopback() && !host.as_ref().is_some_and(|host| is_this_machine(host.host())) {
            // A page of another site whose name was pointed at this machine speaks to it under that name.
            let detail = "this node listens for its own machine alone: it serves localhost, 127.0.0.1 and [::1]";
            let hint = "ask it by one of these names";
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", detail, hint));
        }
        if request.method() == Method::POST && !same_origin(request.headers(), host.as_ref()) {
            let detail = "the request comes from a page of another site";
            return Err(Problem::new(StatusCode::FORBIDDEN, "wrong_origin", detail, ""));
        }
        // Whoever watches the process is told also where everybody asks at once.
        if matches!(request.uri().path(), "/livez" | "/readyz") {
            return Ok(());
        }
        if self.bucket.lock().expect("no holder of this lock panics").take(now) {
            return Ok(());
        }
        let detail = format!("this node answers {REQUESTS_PER_S} requests a second");
        let hint = "ask again later, or run a node of your own";
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail, hint).retry_after(1))
    }
}

/// Whom a request is for: the target's own authority where it has one, the Host header otherwise.
fn host_of(request: &Request) -> Option<Authority> {
    let header = || request.headers().get(header::HOST)?.to_str().ok()?.parse().ok();
    request.uri().authority().cloned().or_else(header)
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "[::1]"
}

/// Whether a request comes from no page, or from one of this very host. A browser always says which.
fn same_origin(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let authority = || origin.to_str().ok()?.split_once("://")?.1.parse::<Authority>().ok();
    matches!((authority(), host), (Some(origin), Some(host)) if origin == *host)
}

/// Tokens that come back with time; each request takes one.
struct Bucket {
    /// Thousandths of a token.
    millis: u64,
    filled: Instant,
}

impl Bucket {
    const FULL: u64 = REQUESTS_BURST as u64 * 1_000;

    fn full(now: Instant) -> Self {
        Self { millis: Self::FULL, filled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = u64::try_from(now.saturating_duration_since(self.filled).as_millis()).unwrap_or(u64::MAX);
        if passed > 0 {
            // Less than a millisecond stays where it is, so that many small steps lose nothing.
            self.filled += Duration::from_millis(passed);
            self.millis = passed.saturating_mul(REQUESTS_PER_S.into()).saturating_add(self.millis).min(Self::FULL);
        }
        let enough = self.millis >= 1_000;
        if enough {
            self.millis -= 1_000;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).expect("a request")
    }

    #[track_caller]
    fn check(listens: &str, request: Request, expected: Option<&str>) {
        let guard = Guard::new(listens.parse().expect("an address"));
        let found = guard.check(&request, Instant::now()).err();
        assert_eq!(found.map(|problem| problem.code), expected, "{listens} {request:?}");
    }

    #[test]
    fn a_node_of_its_own_machine_serves_its_own_names() {
        for host in ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.0.0.1", "[::1]:8000", "[::1]"] {
            check("127.0.0.1", request("GET", "/", &[("host", host)]), None);
            check("::1", request("GET", "/", &[("host", host)]), None);
        }
        for host in ["evil.example", "localhost.evil.example:8000", "127.0.0.1.evil.example", "10.0.0.1", "", "a b"] {
            check("127.0.0.1", request("GET", "/livez", &[("host", host)]), Some("wrong_host"));
            check("0.0.0.0", request("GET", "/livez", &[("host", host)]), None);
        }
        check("127.0.0.1", request("GET", "/", &[]), Some("wrong_host"));
        check("127.0.0.1", request("GET", "http://evil.example/", &[("host", "localhost")]), Some("wrong_host"));
    }

    #[test]
    fn pages_of_other_sites_send_nothing() {
        let host = ("host", "localhost:8000");
        let cases = [
            (None, None),
            (Some("http://localhost:8000"), None),
            (Some("http://localhost:9000"), Some("wrong_origin")),
            (Some("http://evil.example"), Some("wrong_origin")),
            (Some("null"), Some("wrong_origin")),
        ];
        for (origin, expected) in cases {
            let headers: Vec<_> = [Some(host), origin.map(|origin| ("origin", origin))].into_iter().flatten().collect();
            check("127.0.0.1", request("POST", "/api/v1/faucet", &headers), expected);
            check("0.0.0.0", request("POST", "/api/v1/faucet", &headers), expected);
            check("127.0.0.1", request("GET", "/api/v1/status", &headers), None);
        }
    }

    #[test]
    fn whoever_asks_too_often_is_told_when_to_come_back() {
        let guard = Guard::new("127.0.0.1".parse().expect("an address"));
        let begin = Instant::now();
        let ask = |path: &str, millis| {
            let at = begin + Duration::from_millis(millis);
            guard.check(&request("GET", path, &[("host", "localhost")]), at)
        };
        for n in 0..REQUESTS_BURST {
            assert_eq!(ask("/api/v1/status", 0), Ok(()), "request {n}");
        }
        let refused = ask("/api/v1/status", 0).expect_err("one too many");
        assert_eq!((refused.code, refused.retry_after), ("too_many_requests", Some(1)));
        assert_eq!(ask("/livez", 0), Ok(()));
        assert_eq!(ask("/readyz", 0), Ok(()));
        for n in 0..REQUESTS_PER_S {
            assert_eq!(ask("/api/v1/status", 2_000), Ok(()), "request {n} after two seconds");
        }
        for _ in 0..REQUESTS_PER_S {
            assert_eq!(ask("/api/v1/status", 2_000), Ok(()));
        }
        assert!(ask("/api/v1/status", 2_000).is_err(), "two seconds give back so many and no more");
        assert_eq!(ask("/api/v1/status", 2_001), Ok(()));
        assert!(ask("/api/v1/status", 2_001).is_err());
    }
}
