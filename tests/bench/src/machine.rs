//! What the numbers were measured on, and how busy it was.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fmt, fs, thread};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::samples::{Samples, Short};

/// The machine and what it has to do at the start.
pub struct Machine {
    /// Where the data of the benches lie: on the disk of the target directory.
    data: PathBuf,
    started: Instant,
    facts: Vec<(&'static str, String)>,
}

impl Machine {
    /// Looks at the machine, on which `make TARGET` was said.
    pub fn look(target: &str) -> Result<Self> {
        let exe = env::current_exe()?;
        let built = exe.parent().and_then(Path::parent).context("the binary lies in its target directory")?;
        let data = built.join("bench-data");
        fs::create_dir_all(&data)?;
        let sync = sync_time(&data)?;
        let cores = thread::available_parallelism()?;
        let facts = vec![
            ("date", said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))),
            ("command", command(target)),
            ("commit", said(Command::new("git").args(["describe", "--always", "--dirty"]))),
            ("processor", format!("{}, {cores} cores", field("/proc/cpuinfo", "model name")?)),
            ("memory", field("/proc/meminfo", "MemTotal")?),
            ("system", said(Command::new("uname").arg("-sr"))),
            ("rustc", said(Command::new("rustc").arg("-V"))),
            ("build", build()),
            ("disk", format!("{} under the target directory", filesystem(&data)?)),
            (
                "one sync of 4 KiB",
                format!(
                    "{} ms ({} to {})",
                    Short(sync.median() * 1e3),
                    Short(sync.min() * 1e3),
                    Short(sync.max() * 1e3)
                ),
            ),
            ("load at the start", load()?),
        ];
        Ok(Self { data, started: Instant::now(), facts })
    }

    /// A folder on the disk that is measured; it goes when it is dropped.
    pub fn folder(&self) -> Result<TempDir> {
        Ok(TempDir::new_in(&self.data)?)
    }

    /// How long the run took, and what else the machine had to do when it ended.
    pub fn end(&self) -> Result<String> {
        Ok(format!("The run took {} s; the load at its end was {}.\n", self.started.elapsed().as_secs(), load()?))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, fact) in &self.facts {
            writeln!(f, "- {name}: {fact}")?;
        }
        Ok(())
    }
}

/// Bytes of memory that this process occupies, and the most that it ever did.
pub fn memory() -> Result<(u64, u64)> {
    let kib = |name: &str| -> Result<u64> {
        let text = field("/proc/self/status", name)?;
        Ok(text.trim_end_matches(" kB").trim().parse::<u64>()? << 10)
    };
    Ok((kib("VmRSS")?, kib("VmHWM")?))
}

/// Seconds that the threads of this process have run so far, on all cores together; those that have ended are left out.
fn running() -> Result<f64> {
    let mut nanoseconds = 0u64;
    for thread in fs::read_dir("/proc/self/task")? {
        // A thread that ends meanwhile has nothing more to say.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text.split(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// Waits until this process has nothing to do; the seconds of work that it still had.
///
/// RocksDB compacts after a commit has returned. Whoever is measured next must not pay for that.
pub fn settle() -> Result<f64> {
    const LOOK: Duration = Duration::from_millis(100);
    let (start, before) = (Instant::now(), running()?);
    let mut last = before;
    loop {
        // A thread that ended before has perhaps woken this one already, so that one wait may be none.
        let looked = Instant::now();
        while let Some(left) = LOOK.checked_sub(looked.elapsed()) {
            thread::park_timeout(left);
        }
        let now = running()?;
        if now - last < 0.005 {
            return Ok(now - before);
        }
        ensure!(start.elapsed() < Duration::from_secs(120), "the process does not come to rest");
        last = now;
    }
}

/// A clock with two hands: what passes for everybody, and what the processor works for this process.
pub struct Watch {
    running: f64,
    start: Instant,
}

impl Watch {
    /// Starts it.
    pub fn start() -> Result<Self> {
        let running = running()?;
        Ok(Self { running, start: Instant::now() })
    }

    /// The seconds on both hands, shared among so many.
    pub fn stop(&self, count: f64) -> Result<(f64, f64)> {
        let seconds = self.start.elapsed().as_secs_f64();
        Ok((seconds / count, (running()? - self.running) / count))
    }
}

/// Bytes that this process has caused to be written to the disk.
pub fn written() -> Result<u64> {
    Ok(field("/proc/self/io", "write_bytes")?.parse()?)
}

/// Bytes of all files of a folder.
pub fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        // A file that a compaction has removed meanwhile has no bytes.
        bytes += entry?.metadata().map_or(0, |data| data.len());
    }
    Ok(bytes)
}

fn command(target: &str) -> String {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.is_empty() {
        format!("`make {target}`")
    } else {
        format!("`make {target} args=\"{}\"`", arguments.join(" "))
    }
}

fn build() -> String {
    if cfg!(debug_assertions) { "debug: the numbers say nothing" } else { "release, thin LTO, overflow checks on" }
        .to_owned()
}

/// What a program says, if it is there at all.
fn said(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|| "unknown".to_owned())
}

fn field(path: &str, name: &str) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| path.to_owned())?;
    let line = text.lines().find_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == name));
    Ok(line.map_or("unknown", |(_, value)| value.trim()).to_owned())
}

fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or("unknown").to_owned())
}

/// The kind of the file system that holds a folder.
fn filesystem(folder: &Path) -> Result<String> {
    let folder = folder.canonicalize()?;
    let mounts = fs::read_to_string("/proc/mounts")?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let nearest = mounts.filter(|(place, _)| folder.starts_with(place)).max_by_key(|(place, _)| place.len());
    Ok(nearest.map_or("unknown", |(_, kind)| kind).to_owned())
}

/// What the disk takes to say that a small write is safe: the least that a commit can take.
fn sync_time(folder: &Path) -> Result<Samples> {
    let path = folder.join("sync");
    let mut file = File::create(&path)?;
    let mut samples = Samples::default();
    for _ in 0..50 {
        file.write_all(&[1; 4096])?;
        let start = Instant::now();
        file.sync_data()?;
        samples.push(start.elapsed().as_secs_f64());
    }
    fs::remove_file(path)?;
    Ok(samples)
}
