//! The way in for whoever owns a node: a socket in its folder, which only the owner can open.
//!
//! One line asks, one line of JSON answers, and the connection ends. There is no password: the folder and the socket
//! belong to the user that runs the node, and nobody else can reach them.

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

use crate::api::dto::{PeerView, PeersView, ReadyView, Status};
use crate::chain::{Chain, Check};

/// The socket's name in the node's folder.
const SOCKET: &str = "node.sock";
/// Bytes of a question.
const ASK_BYTES_MAX: u64 = 64;
/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How long one question may take.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Questions at the same time.
const ASKS_MAX: usize = 8;

/// What the owner may ask of a running node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Where it is.
    Status,
    /// Whether it works, check by check.
    Health,
    /// Whom it is connected to.
    Peers,
    /// To stop.
    Stop(When),
}

/// When a node is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At once, as Ctrl-C does.
    Now,
    /// When no block is missed by it: after its turn, and before the next.
    Safe,
}

impl Ask {
    /// The line that asks it.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Health => "health",
            Self::Peers => "peers",
            Self::Stop(When::Now) => "stop",
            Self::Stop(When::Safe) => "stop when safe",
        }
    }
}

impl FromStr for Ask {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let all = [Self::Status, Self::Health, Self::Peers, Self::Stop(When::Now), Self::Stop(When::Safe)];
        all.into_iter().find(|ask| ask.line() == line).ok_or(())
    }
}

/// A running node's end of the socket; it is removed when this is dropped.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Opens the socket in a node's folder, which this process holds: a socket that is there is of one that has died.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let folder = File::open(dir)?;
        let listener = UnixListener::bind(short(&folder))?;
        // The folder is its owner's alone already; the socket says so itself.
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Answers until it is dropped. What answers is called on a thread that answers: it must not block.
    pub async fn serve(&self, answer: impl Fn(Ask) -> Value + Send + Sync + 'static) {
        let (answer, places) = (Arc::new(answer), Arc::new(Semaphore::new(ASKS_MAX)));
        loop {
            let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes the semaphore");
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a question on the control socket was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let asked = tokio::time::timeout(TIME_MAX, one(stream, &*answer)).await;
                if !matches!(asked, Ok(Ok(()))) {
                    tracing::debug!("a question on the control socket was not answered");
                }
                drop(place);
            });
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Whoever asks now is told that no node runs, which is true in a moment.
        let _ = fs::remove_file(&self.path);
    }
}

/// What a node answers: its chain's own words, with the peers and the checks that it adds.
pub fn answers(
    chain: Arc<Chain>,
    peers: impl Fn() -> Vec<PeerView> + Send + Sync + 'static,
    checks: impl Fn() -> Vec<Check> + Send + Sync + 'static,
    stop: impl Fn(When) + Send + Sync + 'static,
) -> impl Fn(Ask) -> Value + Send + Sync + 'static {
    let json = |value: Result<Value, serde_json::Error>| value.expect("our own records are JSON");
    move |ask| match ask {
        Ask::Status => json(serde_json::to_value(Status::of(&chain, peers().len()))),
        Ask::Health => {
            let all = chain.readiness().into_iter().chain(checks()).collect();
            json(serde_json::to_value(ReadyView::of(all)))
        }
        Ask::Peers => json(serde_json::to_value(PeersView { peers: peers() })),
        Ask::Stop(when) => {
            stop(when);
            json!({ "stopping": true, "when": ask.line() })
        }
    }
}

async fn one(stream: tokio::net::UnixStream, answer: &impl Fn(Ask) -> Value) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    tokio::io::BufReader::new(reader.take(ASK_BYTES_MAX)).read_line(&mut line).await?;
    let answer = match line.trim_end().parse() {
        Ok(ask) => answer(ask),
        Err(()) => json!({ "error": format!("{:?} is no question", line.trim_end()) }),
    };
    writer.write_all(format!("{answer}\n").as_bytes()).await?;
    writer.shutdown().await
}

/// Asks the node of a folder; nothing where none runs.
pub fn ask(dir: &Path, ask: Ask) -> io::Result<Option<Value>> {
    let folder = match File::open(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut stream = match UnixStream::connect(short(&folder)) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        connected => connected?,
    };
    stream.set_read_timeout(Some(TIME_MAX))?;
    stream.set_write_timeout(Some(TIME_MAX))?;
    stream.write_all(format!("{}\n", ask.line()).as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut line)?;
    serde_json::from_str(&line).map(Some).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// The socket's path by way of its open folder: a socket's path has at most 107 bytes, a folder's more.
fn short(folder: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_owner_asks_and_is_answered() {
        let home = tempfile::tempdir().expect("a folder");
        // Longer than a socket's path may be.
        let dir = home.path().join("a".repeat(120));
        fs::create_dir(&dir).expect("made");
        assert_eq!(ask(&dir, Ask::Status).expect("no fault"), None, "no node runs");
        assert_eq!(ask(&dir.join("none"), Ask::Status).expect("no fault"), None);

        let control = Control::open(&dir).expect("a socket");
        let mode = fs::metadata(dir.join(SOCKET)).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let server = tokio::spawn(async move { control.serve(|ask| json!({ "asked": ask.line() })).await });
        for question in [Ask::Status, Ask::Health, Ask::Peers, Ask::Stop(When::Now), Ask::Stop(When::Safe)] {
            let dir = dir.clone();
            let told = tokio::task::spawn_blocking(move || ask(&dir, question)).await.expect("no panic");
            assert_eq!(told.expect("an answer"), Some(json!({ "asked": question.line() })));
        }

        let wrong = |text: Vec<u8>| {
            let dir = dir.clone();
            tokio::task::spawn_blocking(move || {
                let folder = File::open(dir).expect("a folder");
                let mut stream = UnixStream::connect(short(&folder)).expect("a socket");
                // More than is read: the node may have closed it already.
                let _ = stream.write_all(&text);
                let mut answer = String::new();
                let _ = stream.read_to_string(&mut answer);
                answer
            })
        };
        assert!(wrong(b"shutdown\n".to_vec()).await.expect("no panic").contains("is no question"));
        let long = wrong(vec![b'x'; 1 << 20]).await.expect("no panic");
        assert!(long.is_empty() || long.contains("is no question"), "{long:?}");

        // A node that has died leaves its socket behind; the next one takes its place.
        server.abort();
        assert!(server.await.expect_err("aborted").is_cancelled());
        assert!(!dir.join(SOCKET).exists(), "a node that ends takes its socket with it");
        fs::write(dir.join(SOCKET), "").expect("written");
        drop(Control::open(&dir).expect("a socket"));
    }
}
