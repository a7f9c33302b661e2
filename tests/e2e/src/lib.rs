//! Starts and stops real `cpc` processes for the tests that use them as a person would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before a test calls it stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test: `make test` builds it beside the tests.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let path = test.ancestors().nth(2).expect("tests are two folders below the binaries").join("cpc");
    assert!(path.exists(), "{} is not built: run the tests with `make test`", path.display());
    path
}

/// A devnet in a process of its own; it is killed when it is dropped.
pub struct Devnet {
    process: Child,
    /// Where its API is.
    pub url: String,
    /// The id of its block 0.
    pub genesis: String,
    /// The address that its faucet pays from.
    pub faucet: String,
    /// The height at which it started.
    pub height: u64,
}

impl Devnet {
    /// Starts one over the chain in a folder, and waits until it answers.
    pub fn start(dir: &Path) -> Self {
        Self::start_network("devnet", dir)
    }

    /// The same for a network of another chain spec.
    pub fn start_network(network: &str, dir: &Path) -> Self {
        let mut process = Command::new(binary())
            .args(["devnet", "--json", "--listen", "127.0.0.1:0", "--network", network, "--dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("its first line");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let text = |field: &str| ready[field].as_str().unwrap_or_else(|| panic!("{field} in {line}")).to_owned();
        let height = ready["height"].as_u64().expect("a height");
        Self { process, url: text("url"), genesis: text("genesis"), faucet: text("faucet"), height }
    }

    /// Asks it to stop, as Ctrl-C does, and waits until it has.
    pub fn stop(mut self) {
        self.signal("INT");
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().expect("our own child") {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "the devnet does not stop");
            std::thread::yield_now();
        };
        assert!(status.success(), "the devnet stopped with {status}");
    }

    /// Ends it without a word, as a crash does.
    pub fn kill(mut self) {
        self.process.kill().expect("our own child");
        self.process.wait().expect("our own child");
    }

    /// Reads JSON from its API, with the status.
    pub fn get(&self, path: &str) -> (u16, Value) {
        request(ureq::get(format!("{}{path}", self.url)).config().http_status_as_error(false).build().call())
    }

    /// Sends text as JSON to its API.
    pub fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let request_to = ureq::post(format!("{}{path}", self.url)).header("content-type", "application/json");
        request(request_to.config().http_status_as_error(false).build().send(body))
    }

    /// Announces a body of so many bytes to its API, sends none of it, and reads the whole answer.
    pub fn announce(&self, path: &str, bytes: usize) -> String {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("the devnet listens");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("the devnet reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the devnet answers and closes");
        answer
    }

    /// The height of its last final block.
    pub fn tip(&self) -> u64 {
        self.get("/api/v1/status").1["height"].as_u64().expect("a height")
    }

    /// Waits until it has made blocks up to a height.
    pub fn reach(&self, height: u64) {
        let start = Instant::now();
        while self.tip() < height {
            assert!(start.elapsed() < PATIENCE, "no block {height}");
            std::thread::yield_now();
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([format!("-{name}"), pid]).status().expect("kill runs");
        assert!(sent.success(), "the devnet has ended already");
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn request(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
    let mut answer = answer.expect("the devnet answers");
    let text = answer.body_mut().read_to_string().expect("text");
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Runs `cpc` with the data in a folder, asking a node at a URL.
pub fn cpc(data: &Path, url: &str, args: &[&str]) -> Output {
    Command::new(binary())
        .args(args)
        .env("CPC_DATA_DIR", data)
        .env("CPC_NODE", url)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts")
}

/// Runs `cpc` and demands that it succeeds; what it answered.
#[track_caller]
pub fn succeeds(data: &Path, url: &str, args: &[&str]) -> String {
    let output = cpc(data, url, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cpc {args:?} ended with {}: {stderr}", output.status);
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// Runs `cpc` and demands that it fails with this exit code and these words.
#[track_caller]
pub fn fails(data: &Path, url: &str, args: &[&str], code: i32, words: &str) {
    let output = cpc(data, url, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "cpc {args:?}: {stderr}");
    assert!(stderr.contains(words), "cpc {args:?} says {stderr:?}, not {words:?}");
    assert!(output.stdout.is_empty(), "cpc {args:?} answered although it failed");
}
