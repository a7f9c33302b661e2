//! What happens in a world: drawn from its seed, or named by a test.

use std::ops::RangeInclusive;

use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::liars::Liar;

/// A bug that is put into every honest validator, to see that a world finds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planted {
    /// The disk says that a write is safe before it is.
    EarlySync,
    /// A block is called committed before it is.
    EarlyWord,
    /// Whoever lost everything votes at once, as if its key were new.
    Amnesia,
}

/// What a crash takes with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// What was not synced.
    Unsynced,
    /// The folder of the votes, with what agreement keeps there.
    Votes,
    /// The whole disk.
    Everything,
}

/// A validator that loses power at a height and comes back.
#[derive(Clone, Debug)]
pub struct Crash {
    /// Which ones.
    pub who: Vec<usize>,
    /// When the first of them has committed this block.
    pub at: u64,
    /// How long they are gone.
    pub down_ms: u64,
    /// What they lose.
    pub loses: Loss,
}

/// How the network treats its messages until it heals.
#[derive(Clone, Debug)]
pub struct Chaos {
    /// Messages of a thousand that are lost.
    pub loss_per_mille: u32,
    /// How long a message takes, and how much that varies.
    pub latency_ms: u64,
    /// Its spread.
    pub jitter_ms: u64,
    /// Splits of the validators: when, for how long, and who is on one side.
    pub partitions: Vec<(u64, u64, Vec<usize>)>,
}

/// Everything about a world that its seed decides.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// How many validators there are.
    pub validators: usize,
    /// Who has a seat in epoch 0; from epoch 1 on all have.
    pub first_seats: Vec<usize>,
    /// Blocks until the world ends.
    pub blocks: u64,
    /// Who lies, and how.
    pub liars: Vec<(usize, Liar)>,
    /// How long the network is bad.
    pub chaos_ms: u64,
    /// How bad it is.
    pub chaos: Chaos,
    /// Who crashes.
    pub crashes: Vec<Crash>,
    /// How far each clock is off.
    pub skew_ms: Vec<i64>,
    /// The time between two blocks.
    pub interval_ms: u64,
    /// The bug to find.
    pub planted: Option<Planted>,
}

impl Plan {
    /// A quiet world.
    pub fn quiet(seed: u64, validators: usize, blocks: u64) -> Self {
        Self {
            seed,
            validators,
            first_seats: (0..validators).collect(),
            blocks,
            liars: Vec::new(),
            chaos_ms: 0,
            chaos: Chaos { loss_per_mille: 0, latency_ms: 10, jitter_ms: 2, partitions: Vec::new() },
            crashes: Vec::new(),
            skew_ms: vec![0; validators],
            interval_ms: 100,
            planted: None,
        }
    }

    /// The world of a seed: 4 to 7 validators, loss to 30 %, partitions, crashes, clocks that are off, up to f liars.
    pub fn of(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let validators = rng.random_range(4..=7usize);
        let faulty_max = (validators - 1) / 3;
        let blocks = rng.random_range(60..=120u64);
        let chaos_ms = rng.random_range(5_000..=20_000u64);

        let mut liars = Vec::new();
        for who in pick(&mut rng, validators, 0..=faulty_max) {
            let kinds = Liar::ALL;
            liars.push((who, kinds[rng.random_range(0..kinds.len())]));
        }
        // Whoever lies has a seat from the start, and enough honest ones do.
        let mut first_seats: Vec<usize> = (0..validators).collect();
        if validators > 4 && rng.random_bool(0.5) {
            let honest: Vec<usize> = first_seats.iter().copied().filter(|who| !is_liar(&liars, *who)).collect();
            let late = honest[rng.random_range(0..honest.len())];
            if (validators - 2) / 3 >= liars.len() {
                first_seats.retain(|who| *who != late);
            }
        }
        let partitions = (0..rng.random_range(0..=2u32)).map(|_| {
            let begin = rng.random_range(0..chaos_ms);
            let side = pick(&mut rng, validators, 1..=validators / 2);
            (begin, rng.random_range(500..=4_000u64), side)
        });
        let partitions = partitions.collect();
        let chaos = Chaos {
            loss_per_mille: rng.random_range(0..=300),
            latency_ms: rng.random_range(2..=60),
            jitter_ms: rng.random_range(0..=20),
            partitions,
        };
        let crashes = (0..rng.random_range(0..=3u32)).map(|_| Crash {
            who: if rng.random_bool(0.15) { (0..validators).collect() } else { pick(&mut rng, validators, 1..=2) },
            at: rng.random_range(1..blocks),
            down_ms: rng.random_range(10..=5_000),
            loses: Loss::Unsynced,
        });
        let crashes = crashes.collect();
        let skew_ms = (0..validators).map(|_| rng.random_range(-300..=300i64)).collect();
        let interval_ms = [0, 50, 100, 250][rng.random_range(0..4usize)];
        let planted = None;
        Self { seed, validators, first_seats, blocks, liars, chaos_ms, chaos, crashes, skew_ms, interval_ms, planted }
    }

    /// Whether this one follows the protocol.
    pub fn is_honest(&self, who: usize) -> bool {
        !is_liar(&self.liars, who)
    }

    /// How this one lies, if it does.
    pub fn lie_of(&self, who: usize) -> Option<Liar> {
        self.liars.iter().find(|(liar, _)| *liar == who).map(|(_, lie)| *lie)
    }
}

fn is_liar(liars: &[(usize, Liar)], who: usize) -> bool {
    liars.iter().any(|(liar, _)| *liar == who)
}

/// Some of the first `of` numbers, in order.
fn pick(rng: &mut ChaCha8Rng, of: usize, count: RangeInclusive<usize>) -> Vec<usize> {
    let count = rng.random_range(count);
    let mut all: Vec<usize> = (0..of).collect();
    for place in 0..of {
        let other = place + usize::try_from(rng.next_u64() % u64::try_from(of - place).expect("few")).expect("few");
        all.swap(place, other);
    }
    all.truncate(count);
    all.sort_unstable();
    all
}
