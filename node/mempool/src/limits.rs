//! How much may wait, and for how long.

/// What an entry counts beside its encoded bytes: its place in memory and in every index (MEM-2).
pub const ENTRY_OVERHEAD_BYTES: usize = 1_536;

/// A transaction as it lies in memory; what it points to is no more than its encoded bytes.
const TX_BYTES: usize = size_of::<cpc_ledger::VerifiedTx>();
/// What the indices keep of it, half of their room unused, with its sender's queue where it is alone there.
const INDEX_BYTES: usize = 768;

const _: () = assert!(TX_BYTES + INDEX_BYTES <= ENTRY_OVERHEAD_BYTES, "an entry counts no less than it takes");

/// The limits of one pool (MEM-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The most transactions.
    pub count_max: usize,
    /// The most bytes, as they are counted.
    pub bytes_max: usize,
    /// The most transactions of one sender.
    pub sender_count_max: usize,
    /// The most bytes of one sender, as they are counted.
    pub sender_bytes_max: usize,
    /// How far a nonce may be beyond the account's next one.
    pub ahead_max: u64,
    /// By how many per cent of the price a replacement has to pay more.
    pub bump_percent: u8,
    /// After so many blocks a transaction goes.
    pub expiry_blocks: u64,
}

impl Default for Limits {
    /// What a node has where nobody says otherwise: at most half a gigabyte, and an hour of blocks at 500 ms.
    fn default() -> Self {
        Self {
            count_max: 200_000,
            bytes_max: 512 << 20,
            sender_count_max: 1_024,
            sender_bytes_max: 8 << 20,
            ahead_max: 1_024,
            bump_percent: 10,
            expiry_blocks: 7_200,
        }
    }
}
