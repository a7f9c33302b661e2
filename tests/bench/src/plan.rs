//! How much is measured: the numbers of the real run, and those of a run that only shows that it works.

/// The numbers of one run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How often every side takes its turn; one more round goes before and is not counted.
    pub(crate) rounds: usize,
    /// Accounts with money at the start.
    pub(crate) accounts: u32,
    /// Those that have a key of their own, and send.
    pub(crate) senders: u32,
    /// The blocks of transfers.
    pub(crate) blocks: Vec<BlockPlan>,
    /// Keys of the state whose updates are compared with the rivals'.
    pub(crate) keys: u32,
    /// Keys that one commit updates.
    pub(crate) updated: usize,
    /// Commits of one side in one round.
    pub(crate) commits: usize,
    /// Accounts of the worlds whose root times are compared, the smallest first.
    pub(crate) worlds: [u32; 3],
    /// Accounts that are touched in each of them.
    pub(crate) touched: u32,
    /// Keys of the ground bucket.
    pub(crate) ground: usize,
    /// Blocks that change one key each, of which one sample is the mean.
    pub(crate) singles: usize,
    /// Keys that are proven, as many present as absent.
    pub(crate) proofs: u32,
    /// Rows and columns of the synthetic kernel's matrices.
    pub(crate) matrix_size: u32,
    /// Steps of the synthetic kernel.
    pub(crate) iterations: u32,
    /// Field products whose operands stay in the first cache.
    pub(crate) near_products: u64,
    /// The pictures whose checks are measured.
    pub(crate) picture: PicturePlan,
    /// The pictures that other renderers make, too.
    pub(crate) rivals: RivalsPlan,
    /// Whether the numbers mean anything.
    pub(crate) kind: Kind,
}

/// The blocks of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockPlan {
    /// Transfers of a block.
    pub(crate) txs: u32,
    /// Blocks of one round that are timed in parts.
    pub(crate) in_parts: usize,
    /// Blocks of one pipelined run.
    pub(crate) in_pipeline: usize,
}

/// One frame of each of some scenes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PicturePlan {
    /// Columns and rows.
    pub(crate) size: [u32; 2],
    /// Samples of a pixel.
    pub(crate) samples: u32,
    /// How often each is rendered: a frame takes half a minute, which is a long sample.
    pub(crate) rounds: usize,
}

/// A square picture by several renderers.
#[derive(Clone, Debug)]
pub(crate) struct RivalsPlan {
    /// Its columns and rows.
    pub(crate) side: u32,
    /// Samples of the picture that counts as right.
    pub(crate) truth_samples: u32,
    /// Samples of the pictures that are timed, rising.
    pub(crate) series: [u32; 3],
}

/// Whether the numbers of a run mean anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// They do.
    Full,
    /// They do not: only that everything runs and is right.
    Quick,
}

impl Plan {
    /// What is published.
    pub(crate) fn full() -> Self {
        Self {
            rounds: 7,
            accounts: 1_000_000,
            senders: 100_000,
            blocks: vec![
                BlockPlan { txs: 1_000, in_parts: 12, in_pipeline: 30 },
                BlockPlan { txs: 10_000, in_parts: 3, in_pipeline: 8 },
            ],
            keys: 1_000_000,
            updated: 20_000,
            commits: 3,
            worlds: [10_000, 100_000, 1_000_000],
            touched: 10_000,
            ground: 10_000,
            singles: 500,
            proofs: 2_000,
            matrix_size: 1_024,
            iterations: 100,
            near_products: 10_000_000_000,
            picture: PicturePlan { size: [1_920, 1_080], samples: 64, rounds: 3 },
            rivals: RivalsPlan { side: 192, truth_samples: 1_024, series: [16, 64, 256] },
            kind: Kind::Full,
        }
    }

    /// What a test runs.
    pub(crate) fn quick() -> Self {
        Self {
            rounds: 2,
            accounts: 2_000,
            senders: 200,
            blocks: vec![
                BlockPlan { txs: 50, in_parts: 2, in_pipeline: 4 },
                BlockPlan { txs: 100, in_parts: 1, in_pipeline: 3 },
            ],
            keys: 2_000,
            updated: 100,
            commits: 1,
            worlds: [200, 400, 2_000],
            touched: 200,
            ground: 200,
            singles: 5,
            proofs: 20,
            matrix_size: 64,
            iterations: 8,
            near_products: 10_000_000,
            picture: PicturePlan { size: [32, 24], samples: 2, rounds: 1 },
            rivals: RivalsPlan { side: 32, truth_samples: 64, series: [1, 4, 16] },
            kind: Kind::Quick,
        }
    }
}
