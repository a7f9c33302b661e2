//! A store that is killed at any moment opens again at the old block or the new one, with the right root.

mod common;
mod world;

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use cpc_primitives::Height;
use cpc_store::{CrashPoint, Index, MemKv, Options, RocksOptions, Snapshot, Store, Trusted, tx_events};
use rand::prelude::*;
use world::{World, memory_torture};

/// Seconds that a process may take to say its next word; a store that hangs fails the test here.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_map_that_forgets_loses_whole_blocks_and_nothing_else() {
    memory_torture(Options::default(), 0..150).expect("every crash leaves the old block or the new one");
}

#[test]
fn a_process_that_dies_at_a_named_point_leaves_the_old_block_or_the_new_one() {
    Order::obey();
    let me = "a_process_that_dies_at_a_named_point_leaves_the_old_block_or_the_new_one";
    // What is there after the process died at a point for the first and for the fourth time. Block 0 passes the
    // points of a batch first; the index takes in blocks 0 and 1 after block 1, then one block after each.
    let left = |point| match point {
        CrashPoint::BeforeBatch => Some((None, Some(2))),
        CrashPoint::AfterBatch | CrashPoint::AfterMemory => Some((Some(0), Some(3))),
        CrashPoint::BeforeIndex | CrashPoint::AfterIndex => Some((Some(1), Some(3))),
        #[cfg(feature = "canary")]
        CrashPoint::BetweenBatches => None,
        CrashPoint::AmidRestore | CrashPoint::BeforeRestored => None,
    };
    for point in CrashPoint::ALL {
        let Some((first, fourth)) = left(point) else {
            assert!(RESTORE_POINTS.contains(&point), "{point:?} is passed by nobody");
            continue;
        };
        for (occurrence, expected) in [(1, first), (4, fourth)] {
            let dir = tempfile::tempdir().expect("a directory");
            let mut agent = Agent::spawn(me, dir.path(), Task::Commit, occurrence, Some((point, occurrence)));
            let words = agent.words_to_the_end();
            assert_eq!(agent.child.wait().expect("it was started").signal(), Some(SIGABRT), "{words:?}");
            assert_eq!(words.last(), Some(&format!("at {}", point.name())), "the point was hit");
            let store = open(dir.path());
            assert_eq!(store.tip().map(|tip| tip.height().0), expected, "{point:?}");
            if let Some(expected) = expected {
                let mut world = World::new(occurrence);
                world.advance(Height(expected));
                world.verify(&store).unwrap_or_else(|what| panic!("{point:?}: {what}"));
            }
        }
    }
}

#[test]
fn a_process_that_is_killed_at_a_random_moment_leaves_the_old_block_or_the_new_one() {
    Order::obey();
    let me = "a_process_that_is_killed_at_a_random_moment_leaves_the_old_block_or_the_new_one";
    let mut rng = common::rng(22);
    let dir = tempfile::tempdir().expect("a directory");
    let mut world = World::new(22);
    let mut advanced = 0;
    for kill in 0..100 {
        let mut agent = Agent::spawn(me, dir.path(), Task::Commit, 22, None);
        agent.wait_for("open");
        let acknowledged = agent.kill_after(Duration::from_micros(rng.random_range(0..60_000)));
        let store = open(dir.path());
        let found = store.tip().map_or(Height(0), |tip| tip.height());
        let least = acknowledged.unwrap_or(world.height());
        assert!(found == least || found.0 == least.0 + 1, "kill {kill}: height {found} after {least} was acknowledged");
        advanced += u64::from(found > world.height());
        world.advance(found);
        world.verify_state(&store).unwrap_or_else(|what| panic!("kill {kill}: {what}"));
        if kill % 20 == 19 {
            world.verify(&store).unwrap_or_else(|what| panic!("kill {kill}: {what}"));
        }
    }
    assert!(advanced > 30, "the kills came amid the work: only {advanced} of them after a new block");
}

#[test]
fn a_restore_that_dies_leaves_an_empty_store_that_can_be_restored() {
    Order::obey();
    let me = "a_restore_that_dies_leaves_an_empty_store_that_can_be_restored";
    let dir = tempfile::tempdir().expect("a directory");
    let mut world = World::large(3);
    let source = world.begin(Arc::new(MemKv::new()), Options::default()).expect("it begins");
    let snapshot = source.create_snapshot(&dir.path().join("snapshots"), &[]).expect("there is room");
    for point in RESTORE_POINTS {
        let target = dir.path().join(point.name());
        let mut agent = Agent::spawn(me, &target, Task::Restore(snapshot.dir.clone()), 3, Some((point, 1)));
        let words = agent.words_to_the_end();
        assert_eq!(agent.child.wait().expect("it was started").signal(), Some(SIGABRT), "{words:?}");
        assert_eq!(words.last(), Some(&format!("at {}", point.name())), "the point was hit");
        let store = open(&target);
        assert!(store.is_empty(), "nothing of an interrupted restore is a state");
        store.restore(&snapshot, trusted(&snapshot)).expect("the second attempt succeeds");
        world.verify(&store).expect("the restored state");
    }
}

const SIGABRT: i32 = 6;
/// The points that only a restore passes.
const RESTORE_POINTS: [CrashPoint; 2] = [CrashPoint::AmidRestore, CrashPoint::BeforeRestored];

fn trusted(snapshot: &Snapshot) -> Trusted {
    Trusted { genesis: snapshot.manifest.genesis, block: snapshot.manifest.header.id() }
}

fn open(dir: &Path) -> Store {
    open_with(dir, Options::default())
}

fn open_with(dir: &Path, options: Options) -> Store {
    Store::open_dir(dir, RocksOptions::default(), options).expect("a crash never prevents a restart")
}

/// What an agent is told to do.
enum Task {
    Commit,
    Restore(std::path::PathBuf),
}

/// A process that works on a store until it dies.
struct Agent {
    child: Child,
    words: mpsc::Receiver<String>,
}

impl Agent {
    /// Starts this test program once more; the test that it runs finds the order and obeys it instead.
    fn spawn(test: &str, dir: &Path, task: Task, seed: u64, end: Option<(CrashPoint, u64)>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
        command.env("CPC_TORTURE_DIR", dir).env("CPC_TORTURE_SEED", seed.to_string());
        if let Task::Restore(snapshot) = task {
            command.env("CPC_TORTURE_SNAPSHOT", snapshot);
        }
        if let Some((point, occurrence)) = end {
            command.env("CPC_TORTURE_POINT", point.name()).env("CPC_TORTURE_OCCURRENCE", occurrence.to_string());
        }
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("this program can be started");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, words) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = stdout.lines().map_while(Result::ok);
            // The test program has begun the first line with the name of the test.
            lines
                .filter_map(|line| Some(line.split_once("agent: ")?.1.to_owned()))
                .try_for_each(|word| sender.send(word))
        });
        Self { child, words }
    }

    fn wait_for(&mut self, word: &str) {
        let said = self.words.recv_timeout(PATIENCE).expect("the agent speaks");
        assert_eq!(said, word);
    }

    fn words_to_the_end(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        loop {
            match self.words.recv_timeout(PATIENCE) {
                Ok(word) => words.push(word),
                Err(mpsc::RecvTimeoutError::Disconnected) => return words,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("the agent hangs after {words:?}"),
            }
        }
    }

    /// Kills the process after a while, and returns the last height that it acknowledged.
    fn kill_after(mut self, delay: Duration) -> Option<Height> {
        let (_keep, never) = mpsc::channel::<()>();
        let waited = never.recv_timeout(delay);
        assert!(waited.is_err(), "nobody sends");
        self.child.kill().expect("it was started");
        self.child.wait().expect("it was started");
        let heights =
            self.words.iter().filter_map(|word| Some(word.strip_prefix("final ")?.parse().expect("a height")));
        heights.last().map(Height)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // A test that fails must not leave its agent at work; one that is dead already cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the process that obeys is to end: the point, and how often it was passed.
static END: OnceLock<(String, u64)> = OnceLock::new();
static PASSED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// What this process was told by the one that started it.
struct Order;

impl Order {
    /// Works as an agent where this process was started as one, and never returns then.
    fn obey() {
        let Ok(dir) = std::env::var("CPC_TORTURE_DIR") else { return };
        let seed = std::env::var("CPC_TORTURE_SEED").expect("every agent has a seed").parse().expect("a number");
        if let Ok(point) = std::env::var("CPC_TORTURE_POINT") {
            let occurrence = std::env::var("CPC_TORTURE_OCCURRENCE").expect("beside the point").parse();
            END.set((point, occurrence.expect("a number"))).expect("set once");
        }
        let store = open_with(Path::new(&dir), Options { at_point: end_at, ..Options::default() });
        if let Ok(snapshot) = std::env::var("CPC_TORTURE_SNAPSHOT") {
            let snapshot = Snapshot::open(Path::new(&snapshot)).expect("it was made");
            store.restore(&snapshot, trusted(&snapshot)).expect("it can be restored");
            std::process::exit(0);
        }
        say("open");
        let mut world = World::new(seed);
        world.resume(&store).expect("it begins");
        let index = Index::open(store.clone(), tx_events).expect("it opens");
        loop {
            let height = world.commit_next(&store).expect("it is the next block");
            say(&format!("final {height}"));
            index.catch_up(u64::MAX).expect("the blocks are there");
        }
    }
}

fn end_at(point: CrashPoint) {
    use std::sync::atomic::Ordering;
    let Some((name, occurrence)) = END.get() else { return };
    if point.name() == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *occurrence {
        say(&format!("at {name}"));
        std::process::abort();
    }
}

fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "agent: {word}").and_then(|()| out.flush()).expect("the parent listens");
}
