//! The named points at which the torture ends the process.

/// A moment in the life of a block on its way to the disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CrashPoint {
    /// Everything is computed, nothing is written.
    BeforeBatch,
    /// Between the two halves of a batch that a planted bug has split.
    #[cfg(feature = "canary")]
    BetweenBatches,
    /// The batch is synced, memory does not know it yet.
    AfterBatch,
    /// The block is the tip, and the floor says so.
    AfterMemory,
    /// The index is about to take in a block.
    BeforeIndex,
    /// The index has taken in a block.
    AfterIndex,
    /// A restore has written a part of the state.
    AmidRestore,
    /// A restore has written the whole state, and has not said so.
    BeforeRestored,
}

impl CrashPoint {
    /// Every point of a build without planted bugs.
    pub const ALL: [Self; 7] = [
        Self::BeforeBatch,
        Self::AfterBatch,
        Self::AfterMemory,
        Self::BeforeIndex,
        Self::AfterIndex,
        Self::AmidRestore,
        Self::BeforeRestored,
    ];

    /// The name by which a process is told where to end.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeBatch => "before-batch",
            #[cfg(feature = "canary")]
            Self::BetweenBatches => "between-batches",
            Self::AfterBatch => "after-batch",
            Self::AfterMemory => "after-memory",
            Self::BeforeIndex => "before-index",
            Self::AfterIndex => "after-index",
            Self::AmidRestore => "amid-restore",
            Self::BeforeRestored => "before-restored",
        }
    }
}
