//! What a process takes of the machine, as the system counts it.

use std::fs;

use anyhow::{Context as _, Result};

/// What a process has taken so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Seconds of processor time.
    pub(crate) cpu: f64,
    /// Bytes of memory that it occupies now.
    pub(crate) resident: f64,
    /// Bytes that it has had written to the disk.
    pub(crate) written: f64,
}

impl Usage {
    /// Looks at a process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).with_context(|| format!("{path}: the process has ended"))
        };
        let stat = read("stat")?;
        // The name, in brackets, may hold spaces; user and system time are the twelfth and thirteenth word after it.
        let words: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| words.get(at).and_then(|word| word.parse::<f64>().ok()).context("times in stat");
        let number = |text: &str, name: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| name.to_owned())?;
            Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
        };
        Ok(Self {
            cpu: (ticks(11)? + ticks(12)?) / TICKS_PER_S,
            resident: number(&read("status")?, "VmRSS")? * 1024.0,
            written: number(&read("io")?, "write_bytes")?,
        })
    }

    /// What all of them have taken together.
    pub(crate) fn of_all(pids: &[u32]) -> Result<Self> {
        let mut all = Self::default();
        for pid in pids {
            let Self { cpu, resident, written } = Self::of(*pid)?;
            all = Self { cpu: all.cpu + cpu, resident: all.resident + resident, written: all.written + written };
        }
        Ok(all)
    }
}

/// The unit of processor time in `/proc`, the same on every Linux that we know.
const TICKS_PER_S: f64 = 100.0;

/// Bytes that went over the loopback so far.
pub(crate) fn loopback() -> Result<f64> {
    let text = fs::read_to_string("/proc/net/dev")?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("lo:")).context("a loopback")?;
    Ok(line.split_whitespace().next().context("bytes of the loopback")?.parse()?)
}
