//! The workers that are connected: what they were measured to do, what they hold, and who gets the next job.

use std::collections::BTreeMap;

use cpc_market_wire::{Hello, Lease};
use cpc_primitives::ids::{Height, TimeMs, Units};
use cpc_primitives::result::KernelId;
use cpc_primitives::{Address, Amount, Digest, PublicKey};

use crate::chain::WorkerRecord;
use crate::count::after;
use crate::limits::{BENCH_BLOCKS, FULL_BLOCKS, STRIKES_MAX, WORKERS_MAX};
use crate::reason::Waiting;

/// The connected workers of one node.
#[derive(Default)]
pub(crate) struct Roster {
    workers: BTreeMap<Address, Hand>,
    /// At which end of which connection somebody stands.
    peers: BTreeMap<PublicKey, Address>,
}

/// One worker.
pub(crate) struct Hand {
    pub(crate) peer: Option<PublicKey>,
    pub(crate) hello: Hello,
    pub(crate) record: WorkerRecord,
    /// Units in a thousand milliseconds, by kernel; what was never measured counts as slow as the slowest.
    speeds: BTreeMap<KernelId, u128>,
    /// What it computes for this node, and what each job reserves of its bond.
    holds: BTreeMap<Lease, Holding>,
    strikes: u32,
    benched_until: Height,
    full_until: Height,
    pub(crate) probe: Option<Measure>,
}

struct Holding {
    units: Units,
    bond: Amount,
    /// Whether it still computes: what it committed itself to takes no credit any more.
    computes: bool,
    since: TimeMs,
}

/// A measure that is under way.
pub(crate) struct Measure {
    pub(crate) id: Digest,
    pub(crate) level: u32,
    pub(crate) begun: Height,
    pub(crate) beacon: Digest,
    pub(crate) sent: TimeMs,
    pub(crate) done: Option<TimeMs>,
}

/// What a job asks of a worker.
pub(crate) struct Wanted {
    pub(crate) kernel: KernelId,
    pub(crate) units: Units,
    pub(crate) bond: Amount,
    /// Who failed at the job last.
    pub(crate) not: Option<Address>,
}

impl Roster {
    /// Takes a worker in, or takes its new words; false where there is no room.
    pub(crate) fn join(&mut self, peer: PublicKey, hello: Hello, record: WorkerRecord) -> bool {
        let worker = hello.worker;
        if let Some(hand) = self.workers.get_mut(&worker) {
            if let Some(old) = hand.peer.replace(peer).filter(|old| *old != peer) {
                self.peers.remove(&old);
            }
            hand.hello = hello;
            hand.record = record;
            hand.full_until = Height(0);
        } else {
            if self.workers.len() >= WORKERS_MAX && !self.forget_one() {
                return false;
            }
            self.workers.insert(worker, Hand::new(peer, hello, record));
        }
        self.peers.insert(peer, worker);
        true
    }

    /// A worker that is gone makes room, unless it holds a job.
    fn forget_one(&mut self) -> bool {
        let idle = self.workers.iter().find(|(_, hand)| hand.peer.is_none() && hand.holds.is_empty());
        let Some(worker) = idle.map(|(worker, _)| *worker) else { return false };
        self.workers.remove(&worker);
        true
    }

    /// A connection is gone; what was known of the worker stays.
    pub(crate) fn leave(&mut self, peer: &PublicKey) {
        let Some(worker) = self.peers.remove(peer) else { return };
        if let Some(hand) = self.workers.get_mut(&worker) {
            hand.peer = None;
            hand.probe = None;
        }
    }

    pub(crate) fn at(&self, peer: &PublicKey) -> Option<Address> {
        self.peers.get(peer).copied()
    }

    pub(crate) fn get(&self, worker: &Address) -> Option<&Hand> {
        self.workers.get(worker)
    }

    pub(crate) fn get_mut(&mut self, worker: &Address) -> Option<&mut Hand> {
        self.workers.get_mut(worker)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Address, &Hand)> {
        self.workers.iter()
    }

    /// The chain's record of a worker changed.
    pub(crate) fn update(&mut self, worker: &Address, record: Option<WorkerRecord>) {
        match (self.workers.get_mut(worker), record) {
            (Some(hand), Some(record)) => hand.record = record,
            (Some(hand), None) => {
                if let Some(peer) = hand.peer {
                    self.peers.remove(&peer);
                }
                self.workers.remove(worker);
            }
            (None, _) => {}
        }
    }

    /// MKT-7: the worker that will be done first, of those that may have the job; else the nearest reason why none is.
    ///
    /// Who failed at the job last gets it again only where nobody else could have it, now or when it is done with others.
    pub(crate) fn choose(&self, wanted: &Wanted, now: Height) -> Result<Address, Waiting> {
        let (mut best, mut last_resort): (Option<(u128, Address)>, _) = (None, None);
        let mut nearest = Waiting::NoWorkers;
        for (worker, hand) in &self.workers {
            match hand.fits(wanted, now) {
                Ok(_) if wanted.not == Some(*worker) => last_resort = Some(*worker),
                Ok(finish) if best.is_none_or(|best| (finish, *worker) < best) => best = Some((finish, *worker)),
                Ok(_) => {}
                Err(reason) if rank(&reason) > rank(&nearest) => nearest = reason,
                Err(_) => {}
            }
        }
        let last_resort = last_resort.filter(|_| nearest != Waiting::AllBusy);
        best.map(|(_, worker)| worker).or(last_resort).ok_or(nearest)
    }
}

/// How near a worker with this reason was to getting the job.
fn rank(reason: &Waiting) -> u8 {
    match reason {
        Waiting::NoWorkers => 0,
        Waiting::NoneCapable => 1,
        Waiting::NoneMeasured => 2,
        Waiting::NoneBonded { .. } => 3,
        Waiting::AllBenched => 4,
        _ => 5,
    }
}

impl Hand {
    fn new(peer: PublicKey, hello: Hello, record: WorkerRecord) -> Self {
        Self {
            peer: Some(peer),
            hello,
            record,
            speeds: BTreeMap::new(),
            holds: BTreeMap::new(),
            strikes: 0,
            benched_until: Height(0),
            full_until: Height(0),
            probe: None,
        }
    }

    /// When it would be done, in thousandths of a second of its own work; or why it does not get the job.
    fn fits(&self, wanted: &Wanted, now: Height) -> Result<u128, Waiting> {
        if self.peer.is_none() {
            return Err(Waiting::NoWorkers);
        }
        if !self.hello.kernels.contains(&wanted.kernel) {
            return Err(Waiting::NoneCapable);
        }
        let speed = self.speed(wanted.kernel).ok_or(Waiting::NoneMeasured)?;
        let reserved = self.holds.values().try_fold(wanted.bond, |sum, held| sum.checked_add(held.bond));
        if reserved.is_none_or(|reserved| reserved > self.record.free_bond) {
            return Err(Waiting::NoneBonded { needed: wanted.bond });
        }
        if self.benched_until > now {
            return Err(Waiting::AllBenched);
        }
        if self.full_until > now || self.computing() >= usize::from(self.hello.credits) {
            return Err(Waiting::AllBusy);
        }
        let queue = self.holds.values().filter(|held| held.computes).map(|held| held.units.0);
        let units = queue.fold(wanted.units.0, u128::saturating_add);
        Ok(units.saturating_mul(1000).checked_div(speed).unwrap_or(u128::MAX))
    }

    fn computing(&self) -> usize {
        self.holds.values().filter(|held| held.computes).count()
    }

    /// Its own measure, or the slowest of another kernel.
    fn speed(&self, kernel: KernelId) -> Option<u128> {
        self.speeds.get(&kernel).or_else(|| self.speeds.values().min()).copied()
    }

    pub(crate) fn is_measured(&self) -> bool {
        !self.speeds.is_empty()
    }

    /// Takes a new measure: a quarter of it counts, beside three of what was known.
    pub(crate) fn measured(&mut self, kernel: KernelId, units: Units, took_ms: u64) {
        let per_second = units.0.saturating_mul(1000).checked_div(took_ms.max(1).into()).unwrap_or(1).max(1);
        let speed = self.speeds.entry(kernel).or_insert(per_second);
        *speed = speed.saturating_mul(3).saturating_add(per_second).checked_div(4).unwrap_or(1).max(1);
    }

    pub(crate) fn hold(&mut self, lease: Lease, units: Units, bond: Amount, since: TimeMs) {
        self.holds.insert(lease, Holding { units, bond, computes: true, since });
    }

    /// It committed itself: the time says how fast it is, and the credit is free.
    pub(crate) fn computed(&mut self, lease: &Lease, kernel: KernelId, now: TimeMs) {
        let Some(held) = self.holds.get_mut(lease).filter(|held| held.computes) else { return };
        held.computes = false;
        let (units, took) = (held.units, now.0.saturating_sub(held.since.0));
        // What waited behind this job in the worker's queue begins now: its own time is measured, not its turn.
        self.holds.values_mut().filter(|held| held.computes).for_each(|held| held.since = now);
        self.measured(kernel, units, took);
    }

    /// The job is over for this worker, one way or another.
    pub(crate) fn release(&mut self, lease: &Lease) {
        self.holds.remove(lease);
    }

    pub(crate) fn holds(&self) -> impl Iterator<Item = &Lease> {
        self.holds.keys()
    }

    /// It failed: it is kept away for twice as long as the last time (MKT-9).
    pub(crate) fn strike(&mut self, strikes: u32, now: Height) {
        self.strikes = self.strikes.saturating_add(strikes).min(STRIKES_MAX);
        let blocks = BENCH_BLOCKS.checked_shl(self.strikes).unwrap_or(u64::MAX);
        self.benched_until = after(now, blocks);
    }

    /// A result of it was accepted.
    pub(crate) fn succeed(&mut self) {
        self.strikes = self.strikes.saturating_sub(1);
    }

    pub(crate) fn full(&mut self, now: Height) {
        self.full_until = after(now, FULL_BLOCKS);
    }
}
