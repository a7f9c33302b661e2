//! Connections: at most so many, each with so long to say what it wants and to take its answer.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};

use super::guard::Caller;
use super::settings::ApiSettings;

/// How long a connection may take to say what it wants, and wait between two requests.
const HEADER_TIME_MAX: Duration = Duration::from_secs(5);
/// How long an answer may wait for a reader that takes none of it.
const WRITE_TIME_MAX: Duration = Duration::from_secs(15);
/// Bytes of a request's head, at most.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// How long to wait where the system has no descriptor for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` resolves; requests under way are answered first. What it resolves to lives until they are.
pub(super) async fn serve<T>(
    listener: TcpListener,
    app: Router,
    settings: &ApiSettings,
    stop: impl Future<Output = T>,
) {
    let places = usize::try_from(settings.connections).unwrap_or(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
    let callers = Arc::new(Callers { each: settings.address_connections, counts: Mutex::default() });
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    let stopped = loop {
        let next = async {
            // Whoever finds no place waits in the system's queue: a connection that says nothing loses its own.
            let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes the semaphore");
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            // Shutdown first, so that a node under load can stop.
            stopped = &mut stop => break stopped,
            next = next => next,
        };
        let (stream, address) = match accepted {
            Ok((stream, address)) => (stream, address.ip()),
            Err(error) => {
                tracing::warn!(%error, "connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(entered) = callers.enter(address) else {
            tracing::debug!(%address, "connection was closed: this address has too many");
            continue;
        };
        let app = TowerToHyperService::new(app.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Caller(address));
            app.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME_MAX)
            .max_buf_size(HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(Patient::new(stream)), service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "connection ended");
            }
            drop((place, entered));
        });
    };
    drop(listener);
    graceful.shutdown().await;
    drop(stopped);
}

/// How many connections each address has.
struct Callers {
    each: u32,
    counts: Mutex<BTreeMap<IpAddr, u32>>,
}

/// One connection of an address, until it is dropped.
struct Entered {
    callers: Arc<Callers>,
    address: IpAddr,
}

impl Callers {
    /// Lets a connection in; none where its address has enough. This machine's own are not counted.
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Entered> {
        let address = address.to_canonical();
        if !address.is_loopback() {
            let mut counts = self.counts();
            let count = counts.entry(address).or_default();
            if *count >= self.each {
                return None;
            }
            *count += 1;
        }
        Some(Entered { callers: Arc::clone(self), address })
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<IpAddr, u32>> {
        self.counts.lock().expect("no holder of this lock panics")
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut counts = self.callers.counts();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// A connection whose reader may let it wait, but not for ever.
struct Patient {
    stream: TcpStream,
    /// Until when the bytes that wait have to go; nothing where none wait.
    until: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(stream: TcpStream) -> Self {
        // Small answers go out at once: whoever waits for one has nothing else to do.
        let _ = stream.set_nodelay(true);
        Self { stream, until: None }
    }

    /// Counts the time in which a reader takes nothing.
    fn timed<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.until = None;
            return wrote;
        }
        let until =
            self.until.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + WRITE_TIME_MAX)));
        ready!(until.as_mut().poll(cx));
        let words = format!("the reader took nothing for {} s", WRITE_TIME_MAX.as_secs());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, words)))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.timed(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.timed(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[test]
    fn an_address_has_so_many_connections_and_this_machine_as_many_as_it_wants() {
        let callers = Arc::new(Callers { each: 2, counts: Mutex::default() });
        let enter = |address: &str| callers.enter(address.parse().expect("an address"));
        let held = [enter("10.0.0.1"), enter("::ffff:10.0.0.1")];
        assert!(held.iter().all(Option::is_some));
        assert!(enter("10.0.0.1").is_none());
        assert!(enter("10.0.0.2").is_some());
        let own: Vec<_> = (0..10).map(|_| enter("127.0.0.1")).collect();
        assert!(own.iter().all(Option::is_some));
        drop(held);
        assert!(callers.counts().is_empty());
        assert!(enter("10.0.0.1").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_loses_its_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (silent, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let mut patient = Patient::new(accepted.expect("a connection").0);
        let begin = Instant::now();
        let chunk = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = patient.write_all(&chunk).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        assert!(begin.elapsed() >= WRITE_TIME_MAX);
        drop(silent);
    }
}
