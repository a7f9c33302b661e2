//! The chain over HTTP: `/api/v1` for what it knows, `/livez`, `/readyz` and `/metrics` for whoever watches the process.

mod body;
mod document;
pub mod dto;
mod guard;
pub mod problem;
mod reads;
mod routes;
mod server;
mod settings;
mod texts;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cpc_primitives::Fault;
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::chain::{Chain, Check};
use crate::metrics::Metrics;
use body::{Bodies, Body, Kind};
use dto::PeerView;
use guard::{Caller, Guard};
use problem::Problem;
use reads::{Reads, busy};

pub use settings::ApiSettings;

/// How long one request may take: the longest wait for a transaction, and the time to answer.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(75);
/// Batches of signatures that are checked at the same time; each uses all cores.
const CHECKS_MAX: u32 = 4;

/// The API of a node before it listens: what it answers from, and what the node adds to it.
pub struct Builder {
    chain: Arc<Chain>,
    settings: ApiSettings,
    peers: Source<PeerView>,
    checks: Source<Check>,
    registries: Vec<Registry>,
}

/// The text of another registry, which `/metrics` says behind the node's own.
type Registry = Box<dyn Fn() -> String + Send + Sync>;

/// Something that the node knows and the API shows.
type Source<T> = Arc<dyn Fn() -> Vec<T> + Send + Sync>;

/// What every route has: one handle, cheap to clone.
#[derive(Clone)]
pub(crate) struct Api(Arc<Inner>);

struct Inner {
    chain: Arc<Chain>,
    peers: Source<PeerView>,
    checks: Source<Check>,
    registries: Vec<Registry>,
    guard: Guard,
    reads: Reads,
    judges: Reads,
    bodies: Bodies,
    waiting: Arc<Semaphore>,
    readers: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

impl Builder {
    /// The API of a chain.
    pub fn new(chain: Arc<Chain>) -> Self {
        Self {
            chain,
            settings: ApiSettings::default(),
            peers: Arc::new(Vec::new),
            checks: Arc::new(Vec::new),
            registries: Vec::new(),
        }
    }

    /// With these limits.
    #[must_use]
    pub const fn settings(mut self, settings: ApiSettings) -> Self {
        self.settings = settings;
        self
    }

    /// With the peers that this says, on `/api/v1/peers`. It is called on a thread that answers: it must not block.
    #[must_use]
    pub fn peers(mut self, peers: impl Fn() -> Vec<PeerView> + Send + Sync + 'static) -> Self {
        self.peers = Arc::new(peers);
        self
    }

    /// With these checks of readiness beside the chain's own. It is called on a thread that answers: it must not block.
    #[must_use]
    pub fn checks(mut self, checks: impl Fn() -> Vec<Check> + Send + Sync + 'static) -> Self {
        self.checks = Arc::new(checks);
        self
    }

    /// With the metrics of another registry, as text, behind the node's own.
    #[must_use]
    pub fn registry(mut self, text: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.registries.push(Box::new(text));
        self
    }

    /// Serves until `stop` resolves; requests under way are answered first.
    pub async fn serve(
        self,
        listener: tokio::net::TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let listens = listener.local_addr()?.ip();
        let (stopping, told) = watch::channel(false);
        let settings = self.settings;
        let app = router(self.api(listens, told));
        let stop = async move {
            stop.await;
            // Whoever waits for a transaction or reads live events is answered now.
            stopping.send_replace(true);
            stopping
        };
        server::serve(listener, app, &settings, stop).await;
        Ok(())
    }

    fn api(self, listens: IpAddr, stop: watch::Receiver<bool>) -> Api {
        let settings = self.settings;
        let places = |count: u32| usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS);
        Api(Arc::new(Inner {
            chain: self.chain,
            peers: self.peers,
            checks: self.checks,
            registries: self.registries,
            guard: Guard::new(listens, &settings),
            reads: Reads::new(settings.disk_reads),
            judges: Reads::new(CHECKS_MAX),
            bodies: Bodies::new(),
            waiting: Arc::new(Semaphore::new(places(settings.waiting_requests))),
            readers: Arc::new(Semaphore::new(places(settings.event_readers))),
            stop,
        }))
    }
}

impl Api {
    /// The chain; whatever may read its disk goes through [`Api::read`].
    fn chain(&self) -> &Arc<Chain> {
        &self.0.chain
    }

    /// Reads the chain's disk, off the threads that answer.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Chain) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Problem> {
        let chain = Arc::clone(self.chain());
        self.0.reads.read(move || read(&chain)).await
    }

    /// The same for what fails in its own way.
    async fn run<T: Send + 'static>(&self, read: impl FnOnce(&Chain) -> T + Send + 'static) -> Result<T, Problem> {
        let chain = Arc::clone(self.chain());
        self.0.reads.run(move || read(&chain)).await
    }

    /// Checks signatures: on threads and in places of its own, so that a flood of transactions stops no reader.
    async fn check<T: Send + 'static>(&self, check: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        self.0.judges.run(check).await
    }

    /// The body of a request.
    async fn body(&self, request: Request, kinds: &[Kind]) -> Result<Body, Problem> {
        self.0.bodies.read(request, kinds).await
    }

    /// Takes a caller's transactions off what it may send.
    fn charge(&self, caller: &Caller, txs: usize) -> Result<(), Problem> {
        self.0.guard.charge(caller, txs, Instant::now())
    }

    /// A place among those who wait.
    fn waiting_place(&self) -> Result<Counted, Problem> {
        let place = Arc::clone(&self.0.waiting).try_acquire_owned();
        let place = place.map_err(|_| busy("too many requests wait for transactions"))?;
        Ok(Counted::new(place, &self.metrics().waiting_requests))
    }

    /// A place among the readers of live events.
    fn event_place(&self) -> Result<Counted, Problem> {
        let place = Arc::clone(&self.0.readers).try_acquire_owned();
        let place = place.map_err(|_| busy("too many read live events"))?;
        Ok(Counted::new(place, &self.metrics().event_readers))
    }

    fn metrics(&self) -> &Metrics {
        self.chain().metrics()
    }

    fn reader_dropped(&self) {
        self.metrics().event_readers_dropped.inc();
    }

    /// Everything that is measured: what can be read at any time is read now.
    fn measured(&self) -> String {
        let (metrics, chain) = (self.metrics(), self.chain());
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let tip = chain.tip();
        metrics.chain_height.set(whole(tip.header.height.0));
        metrics.chain_head_time.set(whole(tip.header.time.0 / 1_000));
        let (waiting, bytes) = chain.pending_size();
        metrics.mempool_transactions.set(count(waiting));
        metrics.mempool_bytes.set(count(bytes));
        let mut planes: BTreeMap<String, i64> = BTreeMap::new();
        for peer in self.peers() {
            *planes.entry(peer.plane).or_default() += 1;
        }
        metrics.set_peers(planes.iter().map(|(plane, count)| (plane.as_str(), *count)));
        metrics.set_ready(self.readiness().iter().map(|check| (check.name, check.ok)));
        metrics.text(self.0.registries.iter().map(|text| text()))
    }

    /// Resolves when the node stops.
    async fn stopping(&self) {
        // The sender lives as long as the server: without it there is nobody to tell.
        let _ = self.0.stop.clone().wait_for(|stop| *stop).await;
    }

    fn peers(&self) -> Vec<PeerView> {
        (self.0.peers)()
    }

    /// Every check: the chain's own first.
    fn readiness(&self) -> Vec<Check> {
        let mut checks = self.chain().readiness();
        checks.extend((self.0.checks)());
        checks
    }
}

/// A place that is taken, and counted, until it is dropped.
struct Counted {
    gauge: IntGauge,
    _place: OwnedSemaphorePermit,
}

impl Counted {
    fn new(place: OwnedSemaphorePermit, gauge: &IntGauge) -> Self {
        gauge.inc();
        Self { gauge: gauge.clone(), _place: place }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// Every route with its description and its limits.
fn router(api: Api) -> Router {
    let request_id = HeaderName::from_static("x-request-id");
    let (routes, document) = OpenApiRouter::with_openapi(document::begin()).merge(routes::all()).split_for_parts();
    let document = document::finish(document).to_json().expect("a description is plain data");
    let document = Bytes::from(document);
    let describe = async move || ([(header::CONTENT_TYPE, "application/json")], document.clone());
    Router::new()
        .merge(routes)
        .route("/openapi.json", get(describe))
        .merge(SwaggerUi::new("/docs").config(Config::from("/openapi.json").use_base_layout()))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "no_such_route", "there is nothing here", "see /docs"))
        .method_not_allowed_fallback(async || {
            let detail = "this route does not take that method";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail, "see the Allow header")
        })
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIME_MAX))
        .layer(middleware::from_fn_with_state(api.clone(), explain))
        .layer(TraceLayer::new_for_http())
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
        .with_state(api)
}

/// Names every refusal by the id of its request, which the log has too.
async fn explain(State(api): State<Api>, caller: Caller, request: Request, next: Next) -> Result<Response, Infallible> {
    let begun = Instant::now();
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok()).map(str::to_owned);
    let (method, route) = (request.method().clone(), request.extensions().get::<MatchedPath>().cloned());
    let mut response = answer(&api.0.guard, &caller, request, next).await.unwrap_or_else(Problem::into_response);
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    api.metrics().answered(method.as_str(), route, response.status().as_u16(), begun.elapsed());
    let (Some(problem), Some(id)) = (response.extensions().get::<Problem>(), id) else { return Ok(response) };
    let mut named = problem.clone().response_to(&id);
    // What a method that is not taken says beside its problem.
    if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
        named.headers_mut().insert(header::ALLOW, allow);
    }
    Ok(named)
}

/// Refuses what this node does not serve before anything is read, and says why a request took too long.
async fn answer(guard: &Guard, caller: &Caller, request: Request, next: Next) -> Result<Response, Problem> {
    guard.check(&request, caller, Instant::now())?;
    body::check_length(body::announced(request.headers()).unwrap_or(0))?;
    let response = next.run(request).await;
    if response.status() == StatusCode::REQUEST_TIMEOUT && response.extensions().get::<Problem>().is_none() {
        let detail = format!("the request took longer than {} s", REQUEST_TIME_MAX.as_secs());
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail, "send it again"));
    }
    Ok(response)
}
