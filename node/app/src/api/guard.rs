//! Who is answered at all: so much a second, and no page of another site through a person's browser.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};

use super::problem::Problem;
use super::settings::ApiSettings;

/// After a silence, so many seconds' worth is answered at once.
const BURST_S: u32 = 4;
/// Addresses that are remembered at the same time.
const ADDRESSES_MAX: usize = 8_192;

/// Who asks: the address at the other end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller(pub(crate) IpAddr);

impl Caller {
    /// What one caller is: an address, or for IPv6 a network, of which one person has the whole.
    pub(super) fn name(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            v4 @ IpAddr::V4(_) => v4,
        }
    }

    pub(super) fn is_this_machine(self) -> bool {
        self.0.to_canonical().is_loopback()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // The server names every caller; one without a name shares the limits of all the nameless.
        Ok(parts.extensions.get().copied().unwrap_or(Self(Ipv6Addr::UNSPECIFIED.into())))
    }
}

/// What every request has to pass.
pub(super) struct Guard {
    listens: IpAddr,
    limit_loopback: bool,
    requests: Limit,
    txs: Limit,
}

impl Guard {
    /// The guard of a listener at this address.
    pub(super) fn new(listens: IpAddr, settings: &ApiSettings) -> Self {
        let now = Instant::now();
        Self {
            listens,
            limit_loopback: settings.limit_loopback,
            requests: Limit::new(settings.requests_per_s, settings.address_requests_per_s, now),
            txs: Limit::new(settings.txs_per_s, settings.address_txs_per_s, now),
        }
    }

    /// Refuses what is not meant for this node, or is too much.
    pub(super) fn check(&self, request: &Request, caller: &Caller, now: Instant) -> Result<(), Problem> {
        let host = host_of(request);
        if self.listens.is_loopback() && !host.as_ref().is_some_and(|host| is_this_machine(host.host())) {
            // A page of another site whose name was pointed at this machine speaks to it under that name.
            let detail = "this node listens for its own machine alone: it serves localhost, 127.0.0.1 and [::1]";
            let hint = "ask it by one of these names";
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", detail, hint));
        }
        if request.method() == Method::POST && !same_origin(request.headers(), host.as_ref()) {
            let detail = "the request comes from a page of another site";
            let hint = "open the page from this node itself";
            return Err(Problem::new(StatusCode::FORBIDDEN, "wrong_origin", detail, hint));
        }
        // Whoever watches the process is told also where everybody asks at once.
        if matches!(request.uri().path(), "/livez" | "/readyz") {
            return Ok(());
        }
        self.requests.take(self.named(*caller), 1, now).map_err(|over| over.problem("requests"))
    }

    /// Takes the transactions of a request off what its caller may send.
    pub(super) fn charge(&self, caller: &Caller, txs: usize, now: Instant) -> Result<(), Problem> {
        let count = u32::try_from(txs).unwrap_or(u32::MAX);
        self.txs.take(self.named(*caller), count, now).map_err(|over| over.problem("transactions"))
    }

    /// Whose own limit holds; nobody's for this machine, where it is not to be limited.
    fn named(&self, caller: Caller) -> Option<IpAddr> {
        (self.limit_loopback || !caller.is_this_machine()).then(|| caller.name())
    }
}

/// Why something is too much: whose limit it is, and how much that is a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Everybody(u32),
    Address(u32),
}

impl Over {
    fn problem(self, what: &str) -> Problem {
        let detail = match self {
            Self::Everybody(per_s) => format!("this node answers {per_s} {what} a second"),
            Self::Address(per_s) => format!("this node answers each address {per_s} {what} a second"),
        };
        let hint = "ask again later, or run a node of your own";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail, hint).retry_after(1)
    }
}

/// So much a second from everybody, and so much from each.
struct Limit {
    each: u32,
    state: Mutex<State>,
}

struct State {
    all: Bucket,
    addresses: BTreeMap<IpAddr, Bucket>,
}

impl Limit {
    fn new(all: u32, each: u32, now: Instant) -> Self {
        Self { each, state: Mutex::new(State { all: Bucket::full(all, now), addresses: BTreeMap::new() }) }
    }

    /// Both limits are asked before either is charged: what is refused costs nothing.
    fn take(&self, caller: Option<IpAddr>, count: u32, now: Instant) -> Result<(), Over> {
        let mut state = self.state();
        let State { all, addresses } = &mut *state;
        if !all.has(count, now) {
            return Err(Over::Everybody(all.per_s));
        }
        if let Some(caller) = caller {
            if addresses.len() >= ADDRESSES_MAX && !addresses.contains_key(&caller) {
                // Whoever is owed nothing can be forgotten. Where nobody can, the limit of everybody still holds.
                addresses.retain(|_, bucket| !bucket.is_full(now));
            }
            if addresses.len() < ADDRESSES_MAX || addresses.contains_key(&caller) {
                let bucket = addresses.entry(caller).or_insert_with(|| Bucket::full(self.each, now));
                if !bucket.has(count, now) {
                    return Err(Over::Address(self.each));
                }
                bucket.charge(count);
            }
        }
        all.charge(count);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
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

/// Tokens that come back with time.
struct Bucket {
    per_s: u32,
    /// Thousandths of a token.
    millis: u64,
    filled: Instant,
}

impl Bucket {
    fn full(per_s: u32, now: Instant) -> Self {
        Self { per_s, millis: Self::most(per_s), filled: now }
    }

    fn most(per_s: u32) -> u64 {
        u64::from(per_s).saturating_mul(u64::from(BURST_S)).saturating_mul(1_000)
    }

    fn fill(&mut self, now: Instant) {
        let passed = u64::try_from(now.saturating_duration_since(self.filled).as_millis()).unwrap_or(u64::MAX);
        if passed > 0 {
            // Less than a millisecond stays where it is, so that many small steps lose nothing.
            self.filled += Duration::from_millis(passed);
            let came = passed.saturating_mul(self.per_s.into());
            self.millis = came.saturating_add(self.millis).min(Self::most(self.per_s));
        }
    }

    fn has(&mut self, count: u32, now: Instant) -> bool {
        self.fill(now);
        self.millis >= u64::from(count).saturating_mul(1_000)
    }

    fn charge(&mut self, count: u32) {
        self.millis = self.millis.saturating_sub(u64::from(count).saturating_mul(1_000));
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.millis == Self::most(self.per_s)
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
        let guard = Guard::new(listens.parse().expect("an address"), &ApiSettings::default());
        let found = guard.check(&request, &caller("127.0.0.1"), Instant::now()).err();
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

    fn caller(address: &str) -> Caller {
        Caller(address.parse().expect("an address"))
    }

    #[test]
    fn whoever_asks_too_often_is_told_when_to_come_back() {
        let settings = ApiSettings { requests_per_s: 100, ..ApiSettings::default() };
        let guard = Guard::new("127.0.0.1".parse().expect("an address"), &settings);
        let begin = Instant::now();
        let ask = |path: &str, millis| {
            let at = begin + Duration::from_millis(millis);
            guard.check(&request("GET", path, &[("host", "localhost")]), &caller("127.0.0.1"), at)
        };
        for n in 0..100 * BURST_S {
            assert_eq!(ask("/api/v1/status", 10), Ok(()), "request {n}");
        }
        let refused = ask("/api/v1/status", 10).expect_err("one too many");
        assert_eq!((refused.code, refused.retry_after), ("too_many_requests", Some(1)));
        assert_eq!(ask("/livez", 10), Ok(()));
        assert_eq!(ask("/readyz", 10), Ok(()));
        for n in 0..200 {
            assert_eq!(ask("/api/v1/status", 2_010), Ok(()), "request {n} after two seconds");
        }
        assert!(ask("/api/v1/status", 2_010).is_err(), "two seconds give back so many and no more");
        assert_eq!(ask("/api/v1/status", 2_020), Ok(()));
        assert!(ask("/api/v1/status", 2_020).is_err());
    }

    #[test]
    fn one_address_does_not_use_up_what_all_may_ask() {
        let settings = ApiSettings { address_requests_per_s: 5, address_txs_per_s: 64, ..ApiSettings::default() };
        let now = Instant::now();
        let asks = |guard: &Guard, address: &str| {
            let ask = || guard.check(&request("GET", "/", &[("host", "localhost")]), &caller(address), now);
            (0..200).filter(|_| ask().is_ok()).count()
        };
        let guard = Guard::new("0.0.0.0".parse().expect("an address"), &settings);
        let cases = [
            ("10.0.0.1", 20),
            ("10.0.0.1", 0),
            ("10.0.0.2", 20),
            ("2001:db8::1", 20),
            // The same network, and so the same person.
            ("2001:db8::ffff:1", 0),
            ("2001:db8:0:1::1", 20),
            ("::ffff:10.0.0.2", 0),
            ("127.0.0.1", 200),
            ("::1", 200),
        ];
        for (address, expected) in cases {
            assert_eq!(asks(&guard, address), expected, "{address}");
        }
        let limited =
            Guard::new("0.0.0.0".parse().expect("an address"), &ApiSettings { limit_loopback: true, ..settings });
        assert_eq!(asks(&limited, "127.0.0.1"), 20);

        assert_eq!(guard.charge(&caller("10.0.0.3"), 256, now), Ok(()));
        let refused = guard.charge(&caller("10.0.0.3"), 1, now).expect_err("the burst is used up");
        assert_eq!((refused.status.as_u16(), refused.code), (429, "too_many_requests"));
        assert_eq!(guard.charge(&caller("127.0.0.1"), 10_000, now), Ok(()));
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_is_room_for() {
        let limit = Limit::new(u32::MAX, 1, Instant::now());
        let now = Instant::now();
        let many = u32::try_from(ADDRESSES_MAX).expect("a small number") + 100;
        for n in 0..many {
            assert_eq!(limit.take(Some(std::net::Ipv4Addr::from_bits(n).into()), 1, now), Ok(()));
        }
        assert_eq!(limit.state().addresses.len(), ADDRESSES_MAX);
        // When they are owed nothing any more, they make room.
        let later = now + Duration::from_secs(2);
        assert_eq!(limit.take(Some(std::net::Ipv4Addr::from_bits(u32::MAX).into()), 1, later), Ok(()));
        assert_eq!(limit.state().addresses.len(), 1);
    }
}
