//! Starts and stops real `cpc` processes for the tests that use them as a person would.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before a test calls it stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a waiting test pauses between two looks.
const POLL: Duration = Duration::from_millis(5);

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
    /// Where other nodes reach it; nothing where it is several nodes.
    pub p2p: Vec<String>,
}

impl Devnet {
    /// Starts one over the chain in a folder, and waits until it answers.
    pub fn start(dir: &Path) -> Self {
        Self::start_network("devnet", dir)
    }

    /// The same for a network of another chain spec.
    pub fn start_network(network: &str, dir: &Path) -> Self {
        if network == "devnet" {
            return Self::start_with(dir, &["--validators", "1"]);
        }
        Self::start_with(dir, &["--network", network])
    }

    /// Throws what is in the folder away, and starts from the beginning.
    pub fn start_fresh(dir: &Path) -> Self {
        Self::start_with(dir, &["--validators", "1", "--fresh"])
    }

    /// The same with options of its own.
    pub fn start_with(dir: &Path, options: &[&str]) -> Self {
        let process = Command::new(binary())
            .args(["devnet", "--json", "--listen", "127.0.0.1:0", "--dir"])
            .arg(dir)
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        Self::ready(process)
    }

    /// The one that a newcomer starts: four validators in processes of their own, in the data directory.
    pub fn four(data: &Path) -> Self {
        let process = Command::new(binary())
            .args(["devnet", "--json", "--listen", "127.0.0.1:0"])
            .env("CPC_DATA_DIR", data)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        Self::ready(process)
    }

    /// A follower: a node without a seat, which knows a chain spec and the address of one other node.
    pub fn follow(network: &str, dir: &Path, boot: &str) -> Self {
        let process = Command::new(binary())
            .args(["--json", "--network", network, "node", "run", "--listen", "127.0.0.1:0"])
            .args(["--p2p-listen", "/ip4/127.0.0.1/tcp/0", "--boot", boot, "--dir"])
            .arg(dir)
            .env("CPC_LOGS_LEVEL", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        Self::ready(process)
    }

    /// Waits until a process says where it listens.
    fn ready(mut process: Child) -> Self {
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("its first line");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let text = |field: &str| ready[field].as_str().unwrap_or_else(|| panic!("{field} in {line}")).to_owned();
        let height = ready["height"].as_u64().expect("a height");
        let listed = ready["p2p"].as_array().cloned().unwrap_or_default();
        let p2p = listed.iter().filter_map(|address| address.as_str().map(str::to_owned)).collect();
        Self { process, url: text("url"), genesis: text("genesis"), faucet: text("faucet"), height, p2p }
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
            pause();
        };
        assert!(status.success(), "the devnet stopped with {status}");
    }

    /// Ends it without a word, as a crash does.
    pub fn kill(mut self) {
        self.process.kill().expect("our own child");
        self.process.wait().expect("our own child");
    }

    /// Ends it without a word, and demands that the processes that it has started end too.
    pub fn kill_and_wait_for_its_children(mut self) {
        self.process.kill().expect("our own child");
        self.process.wait().expect("our own child");
        let status = format!("{}/livez", self.url);
        until("the end of its children", || ureq::get(&status).call().is_err().then_some(()));
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

    /// Sends bytes to its API.
    pub fn post_bytes(&self, path: &str, body: &[u8]) -> (u16, Value) {
        let request_to = ureq::post(format!("{}{path}", self.url)).header("content-type", "application/octet-stream");
        request(request_to.config().http_status_as_error(false).build().send(body))
    }

    /// Waits until one of its metrics without labels has a value.
    pub fn until_metric(&self, name: &str, value: u64) {
        let (start, line) = (Instant::now(), format!("{name} {value}"));
        while !self.get("/metrics").1.as_str().expect("text").lines().any(|found| found == line) {
            assert!(start.elapsed() < PATIENCE, "{line} never came");
            pause();
        }
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

    /// Bytes of memory that it occupies.
    pub fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let text = std::fs::read_to_string(path).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }

    /// The height of its last final block.
    pub fn tip(&self) -> u64 {
        self.get("/api/v1/status").1["height"].as_u64().expect("a height")
    }

    /// Waits until it has made blocks up to a height.
    pub fn reach(&self, height: u64) {
        self.reach_within(height, PATIENCE);
    }

    /// The same where that takes longer.
    pub fn reach_within(&self, height: u64, patience: Duration) {
        let start = Instant::now();
        while self.tip() < height {
            assert!(start.elapsed() < patience, "no block {height}");
            pause();
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

/// Several validators of one network, each in a process of its own.
pub struct Validators {
    dir: PathBuf,
    interval_ms: u64,
    nodes: Vec<Option<Devnet>>,
}

impl Validators {
    /// Writes the chain spec of so many into a folder, and starts them all.
    pub fn start(dir: &Path, count: u16, interval_ms: u64) -> Self {
        Self::start_with(dir, count, interval_ms, |text| text)
    }

    /// The same with a chain spec that is changed before anybody reads it.
    pub fn start_with(dir: &Path, count: u16, interval_ms: u64, change: impl FnOnce(String) -> String) -> Self {
        let mut all = Self::prepare(dir, count, interval_ms, change);
        (0..all.nodes.len()).for_each(|n| all.revive(n));
        all
    }

    /// The same, and starts nobody.
    pub fn prepare(dir: &Path, count: u16, interval_ms: u64, change: impl FnOnce(String) -> String) -> Self {
        let port = || TcpListener::bind("127.0.0.1:0").expect("a port");
        // All are held until the last is found, so that none is found twice.
        let held: Vec<_> = (0..count).map(|_| (port(), port())).collect();
        let of = |listener: &TcpListener| listener.local_addr().expect("an address");
        let addresses = held.iter().map(|(consensus, network)| {
            (of(consensus).to_string(), format!("/ip4/127.0.0.1/udp/{}/quic-v1", of(network).port()))
        });
        let text = cpc_genesis::devnet_of(&addresses.collect::<Vec<_>>()).expect("a chain spec");
        std::fs::write(dir.join("genesis.toml"), change(text)).expect("written");
        drop(held);
        Self { dir: dir.to_owned(), interval_ms, nodes: (0..count).map(|_| None).collect() }
    }

    /// Starts one that is down.
    pub fn revive(&mut self, n: usize) {
        let dir = self.dir.join(format!("node-{n}"));
        self.start_by(n, Command::new(binary()), &dir);
    }

    /// Starts one that is down with its folder on a small disk; what it says comes into a file.
    pub fn revive_on(&mut self, n: usize, disk: &SmallDisk, log: &Path) {
        let mut command = disk.enter();
        command.arg(binary()).stderr(std::fs::File::create(log).expect("a file"));
        self.start_by(n, command, &disk.place.join("node"));
    }

    fn start_by(&mut self, n: usize, mut command: Command, dir: &Path) {
        let process = command
            .args(["--json", "--network"])
            .arg(self.dir.join("genesis.toml"))
            .args(["node", "run", "--listen", "127.0.0.1:0", "--known-seat", &n.to_string()])
            .args(["--interval-ms", &self.interval_ms.to_string(), "--dir"])
            .arg(dir)
            .env("CPC_LOGS_LEVEL", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        self.nodes[n] = Some(Devnet::ready(process));
    }

    /// Starts one that is down, in a folder of its own and with a key of the keystore of its data directory.
    pub fn revive_with_key(&mut self, n: usize, data: &Path, options: &[&str]) {
        let process = Command::new(binary())
            .args(["--json", "--network"])
            .arg(self.dir.join("genesis.toml"))
            .args(["node", "run", "--listen", "127.0.0.1:0", "--interval-ms", &self.interval_ms.to_string()])
            .args(options)
            .env("CPC_DATA_DIR", data)
            .env("CPC_LOGS_LEVEL", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        self.nodes[n] = Some(Devnet::ready(process));
    }

    /// Forgets one that somebody else has stopped.
    pub fn forget(&mut self, n: usize) {
        let mut node = self.nodes[n].take().expect("it ran");
        assert!(node.process.wait().expect("our own child").success());
    }

    /// Ends one without a word, as a crash does.
    pub fn kill(&mut self, n: usize) {
        self.nodes[n].take().expect("it runs").kill();
    }

    /// Waits until one has ended by itself, and returns its exit code.
    pub fn ended(&mut self, n: usize) -> Option<i32> {
        let node = self.nodes[n].as_mut().expect("it ran");
        let status = until("its end", || node.process.try_wait().expect("our own child"));
        self.nodes[n] = None;
        status.code()
    }

    /// One that runs.
    pub fn node(&self, n: usize) -> &Devnet {
        self.nodes[n].as_ref().expect("it runs")
    }

    /// Waits until all that run have blocks up to a height.
    pub fn reach(&self, height: u64) {
        self.nodes.iter().flatten().for_each(|node| node.reach(height));
    }

    /// The greatest height of those that run.
    pub fn tip(&self) -> u64 {
        self.nodes.iter().flatten().map(Devnet::tip).max().unwrap_or_default()
    }

    /// Looks at the tip for so long, and returns by how much it has risen.
    pub fn rise_in(&self, time: Duration) -> u64 {
        let (start, before) = (Instant::now(), self.tip());
        while start.elapsed() < time {
            pause();
        }
        self.tip() - before
    }

    /// Asks all to stop, and waits until they have.
    pub fn stop(self) {
        self.nodes.into_iter().flatten().for_each(Devnet::stop);
    }
}

/// A disk of some megabytes: a part of the memory, seen by nobody but whoever enters the process that holds it.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    place: PathBuf,
}

impl SmallDisk {
    /// Makes one at an empty folder.
    pub fn new(place: &Path, megabytes: u32) -> Self {
        let script = format!("mount -t tmpfs -o size={megabytes}m none \"$1\" && echo there && exec cat");
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"])
            .arg(place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare, of util-linux");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut line).expect("a word");
        assert_eq!(line, "there\n", "this user may not make a mount namespace");
        Self { holder, place: place.to_owned() }
    }

    /// Begins a command that sees it.
    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--user", "--mount", "--preserve-credentials", "--target", &self.holder.id().to_string(), "--"]);
        command
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let full = self.run("cat /dev/zero > \"$1/ballast\"");
        assert!(!full, "it cannot be filled");
    }

    /// Frees what it was filled with.
    pub fn free(&self) {
        assert!(self.run("rm \"$1/ballast\""), "the ballast is gone already");
    }

    fn run(&self, script: &str) -> bool {
        let status = self.enter().args(["sh", "-c", script, "sh"]).arg(&self.place).stderr(Stdio::null()).status();
        status.expect("nsenter, of util-linux").success()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It waits for its input, which ends here.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// Looks until there is something to see, and demands that there is.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < PATIENCE, "{what} never came");
        pause();
    }
}

/// Between two looks at something that happens by itself: a test that spins takes the processor from what it waits for.
fn pause() {
    std::thread::park_timeout(POLL);
}

/// A node that answers every path with what it was told, true or not.
pub struct FakeNode {
    /// Where it listens.
    pub url: String,
    received: Receiver<(String, String)>,
}

impl FakeNode {
    /// Starts one with an answer in JSON to each path; to all others it says 404.
    pub fn start(answers: Vec<(String, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (heard, received) = mpsc::channel();
        // The thread ends with the test's process: it waits for connections that nobody makes any more.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that has left is no concern of a liar.
                let _ = stream.and_then(|stream| answer(&stream, &answers, &heard));
            }
        });
        Self { url, received }
    }

    /// The bodies that were sent to it, with their paths.
    pub fn received(&self) -> Vec<(String, String)> {
        self.received.try_iter().collect()
    }
}

fn answer(mut stream: &TcpStream, answers: &[(String, Value)], heard: &Sender<(String, String)>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", bytes)) => length = bytes.parse().expect("a length"),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let path = first.split(' ').nth(1).unwrap_or_default();
    if first.starts_with("POST") {
        let body = String::from_utf8(body).expect("text");
        // The test may have ended.
        let _ = heard.send((path.to_owned(), body));
    }
    let found = answers.iter().find(|(known, _)| known == path);
    let (status, text) = found.map_or(("404 Not Found", String::new()), |(_, value)| ("200 OK", value.to_string()));
    write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}", text.len())
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
