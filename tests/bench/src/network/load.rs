//! The client: lanes that send batches and read every receipt back, as fast as they can or at a given rate.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use cpc_bench::samples::Samples;

use crate::chain::{Batch, Chain, agent};

/// Transfers of one request, on every side.
pub(crate) const BATCH: usize = 256;
/// Batches of one lane that are sent and not yet read back, at most.
const OPEN_MAX: usize = 16;
/// How long something may take that should be there soon.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one lane sends, in this order.
pub(crate) struct Lane {
    /// Its batches.
    pub(crate) batches: Vec<Batch>,
}

/// How the lanes send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Before the count begins.
    pub(crate) warm: Duration,
    /// How long is counted.
    pub(crate) counted: Duration,
    /// Transfers a second of all lanes together; as fast as receipts come without.
    pub(crate) rate: Option<f64>,
}

/// What was seen.
pub(crate) struct Seen {
    /// Receipts that were read back while it counted.
    pub(crate) receipts: u64,
    /// How long it counted.
    pub(crate) seconds: f64,
    /// From before a batch was sent until its last receipt was there, in seconds.
    pub(crate) waits: Samples,
    /// Batches of every lane whose receipts were read, also before and after.
    pub(crate) batches: Vec<u64>,
    /// Bodies that the client sent and was to read, in bytes, while it counted.
    pub(crate) sent_bytes: f64,
}

impl Seen {
    /// Receipts a second.
    pub(crate) fn rate(&self) -> f64 {
        self.receipts as f64 / self.seconds
    }
}

/// Loads a chain until the time is over, reads back what is still open, and says what was seen.
pub(crate) fn run(chain: &dyn Chain, lanes: &[Lane], load: Load) -> Result<Seen> {
    let start = Instant::now();
    let (from, until) = (start + load.warm, start + load.warm + load.counted);
    let failed = AtomicBool::new(false);
    let counted = AtomicU64::new(0);
    let sent_bytes = AtomicU64::new(0);
    let waits = Mutex::new(Samples::default());
    let pause = load.rate.map(|rate| Duration::from_secs_f64((BATCH * lanes.len()) as f64 / rate));
    let one = |number: usize, lane: &Lane| -> Result<u64> {
        let place = number % chain.places();
        let (hand_over, taken) = mpsc::sync_channel::<(usize, Instant)>(OPEN_MAX - 1);
        thread::scope(|scope| {
            let reader = scope.spawn(|| -> Result<u64> {
                let agent = agent();
                let mut read = 0;
                for (at, sent) in taken {
                    chain
                        .read(&agent, place, &lane.batches[at])
                        .with_context(|| format!("lane {number}, batch {at}"))?;
                    read += 1;
                    let now = Instant::now();
                    if now >= from && now < until {
                        counted.fetch_add(u64::try_from(lane.batches[at].count)?, Ordering::Relaxed);
                        let bytes = lane.batches[at].send.len() + lane.batches[at].ask.len();
                        sent_bytes.fetch_add(u64::try_from(bytes)?, Ordering::Relaxed);
                    }
                    if sent >= from && sent < until {
                        waits.lock().expect("nobody panics with it").push((now - sent).as_secs_f64());
                    }
                }
                Ok(read)
            });
            let agent = agent();
            let mut sent = Ok(());
            // Lanes start apart, or all batches of a second would come at once.
            let offset = pause.map(|pause| pause.mul_f64(number as f64 / lanes.len() as f64)).unwrap_or_default();
            for (at, batch) in lane.batches.iter().enumerate() {
                if let Some(pause) = pause {
                    let due = start + offset + pause * u32::try_from(at)?;
                    wait_for(due);
                }
                let now = Instant::now();
                if now >= until || failed.load(Ordering::Relaxed) {
                    break;
                }
                sent = chain.send(&agent, place, batch).with_context(|| format!("lane {number}, batch {at}"));
                if sent.is_err() || hand_over.send((at, now)).is_err() {
                    break;
                }
                if at + 1 == lane.batches.len() {
                    sent = Err(anyhow::anyhow!("lane {number} has sent all of its {} batches: sign more", at + 1));
                }
            }
            drop(hand_over);
            let read = reader.join().expect("it returns its errors");
            if sent.is_err() || read.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            sent.and(read)
        })
    };
    let batches = thread::scope(|scope| {
        let lanes: Vec<_> =
            lanes.iter().enumerate().map(|(number, lane)| scope.spawn(move || one(number, lane))).collect();
        lanes.into_iter().map(|lane| lane.join().expect("it returns its errors")).collect::<Result<Vec<u64>>>()
    })?;
    let receipts = counted.into_inner();
    ensure!(receipts > 0, "no receipt was read");
    Ok(Seen {
        receipts,
        seconds: load.counted.as_secs_f64(),
        waits: waits.into_inner().expect("nobody panics with it"),
        batches,
        sent_bytes: sent_bytes.into_inner() as f64,
    })
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !so()? {
        if start.elapsed() > PATIENCE {
            bail!("{what}: not after {} s", PATIENCE.as_secs());
        }
        pause(Duration::from_millis(20));
    }
    Ok(())
}

/// Does nothing for so long.
pub(crate) fn pause(time: Duration) {
    wait_for(Instant::now() + time);
}

/// Does nothing until a moment.
fn wait_for(moment: Instant) {
    while let Some(left) = moment.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        // It may come back earlier.
        thread::park_timeout(left);
    }
}
