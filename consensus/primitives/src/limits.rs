//! Every limit of the formats, in one place, and the relations that must hold between them.
//!
//! A network's chain spec may lower a limit; nothing can raise one (LIM-1).

/// Decimals of an amount.
pub const AMOUNT_DECIMALS: u32 = 18;
/// One whole in basis points.
pub const BPS_ONE: u16 = 10_000;
/// No supply may ever exceed this number of base units, so that two of them add up without overflow.
pub const SUPPLY_MAX: u128 = 1 << 100;

/// Bytes of one signed transaction.
pub const TX_BYTES_MAX: usize = 64 << 10;
/// Bytes of one block with its transactions.
pub const BLOCK_BYTES_MAX: usize = 8 << 20;
/// Bytes of one network frame.
pub const FRAME_BYTES_MAX: usize = 16 << 20;
/// Transactions of one block.
pub const TXS_PER_BLOCK_MAX: usize = 65_536;
/// Gas of one block.
pub const BLOCK_GAS_MAX: u64 = 1_000_000_000;
/// Bytes of one header.
pub const HEADER_BYTES_MAX: usize = 512;

/// Seats of one epoch.
pub const SEATS_MAX: usize = 256;
/// Seats of one committee.
pub const COMMITTEE_MAX: usize = 64;
/// Kernels that a validator declares to check.
pub const KERNELS_MAX: usize = 256;
/// Bytes of one network address of a validator.
pub const NET_ADDRESS_BYTES_MAX: usize = 256;
/// Network addresses of one plane of a validator.
pub const NET_ADDRESSES_MAX: usize = 4;

/// Bytes of a task's spec.
pub const SPEC_BYTES_MAX: usize = 1 << 10;
/// Blobs that a task reads.
pub const INPUTS_MAX: usize = 64;
/// Jobs of a task.
pub const JOBS_MAX: u32 = 1 << 20;
/// Milliseconds from a task's first block to its deadline: 366 days.
pub const TASK_MS_MAX: u64 = 31_622_400_000;
/// Jobs of which one record of the state says whether they are decided.
pub const DECIDED_PAGE_JOBS: u32 = 1 << 13;
/// Due items in one record of the state.
pub const DUE_PAGE_ITEMS: usize = 256;
/// The work of one block's end on either list of what is due, in items.
pub const DUE_PER_BLOCK_MAX: u32 = 1 << 13;
/// Decided entries in one SUBMIT_RESULT.
pub const RESULTS_PER_TX_MAX: usize = 256;
/// Seats' signatures over verdict roots in one transaction.
pub const VERDICT_ROOTS_PER_TX_MAX: usize = 256;
/// Steps of a Merkle path.
pub const PATH_STEPS_MAX: usize = 32;
/// Leaves of a Merkle tree.
pub const MERKLE_LEAVES_MAX: u64 = 1 << 31;

/// Bytes of one piece of evidence: two votes that exclude each other.
pub const EVIDENCE_BYTES_MAX: usize = 1 << 10;
/// Approvals of one TREASURY_SPEND.
pub const TREASURY_KEYS_MAX: usize = 16;

/// Bytes of a state key.
pub const STATE_KEY_BYTES_MAX: usize = 64;
/// Bytes of a state value.
pub const STATE_VALUE_BYTES_MAX: usize = 64 << 10;
/// Bits of a key's hash that pick its bucket.
pub const BUCKET_BITS: u32 = 20;
/// Buckets of the state tree.
pub const BUCKETS: u32 = 1 << BUCKET_BITS;
/// Bits of a key's hash below its bucket.
pub const BUCKET_DEPTH_MAX: u32 = 256 - BUCKET_BITS;

const _: () = assert!(TX_BYTES_MAX < BLOCK_BYTES_MAX, "a block holds at least one transaction");
const _: () = assert!(BLOCK_BYTES_MAX < FRAME_BYTES_MAX, "a block fits one network frame");
const _: () = assert!(HEADER_BYTES_MAX + TX_BYTES_MAX < BLOCK_BYTES_MAX, "a header leaves room for a transaction");
const _: () = assert!(EVIDENCE_BYTES_MAX < TX_BYTES_MAX, "evidence fits a transaction");
const _: () = assert!(COMMITTEE_MAX <= SEATS_MAX, "a committee is drawn from the seats");
const _: () = assert!(1u64 << PATH_STEPS_MAX > MERKLE_LEAVES_MAX, "every leaf has a path");
const _: () =
    assert!(TXS_PER_BLOCK_MAX < 1 << 31 && MERKLE_LEAVES_MAX == 1 << 31, "a block's transactions fit one tree");
const _: () = assert!(JOBS_MAX < 1 << 31, "a task's jobs fit one tree");
const _: () = assert!(SUPPLY_MAX.checked_mul(2).is_some(), "two supplies add up without overflow");
