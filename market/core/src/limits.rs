//! What bounds the memory and the patience of the market (MKT-2).

/// Open tasks that one node follows.
pub const TASKS_MAX: usize = 4096;
/// Jobs of all followed tasks together.
pub const JOBS_MAX: usize = 1 << 20;
/// Workers that are connected with one node.
pub const WORKERS_MAX: usize = 4096;
/// Workers that have said who they are and whose record is being read.
pub const ARRIVALS_MAX: usize = 256;
/// Offers of one job by one committee.
pub const ATTEMPTS_MAX: u16 = 32;
/// Signed roots of its own that a node keeps for one committee.
pub const BATCHES_MAX: usize = 8192;
/// Signed roots of one other seat that are taken for one committee.
pub const ROOTS_PER_SEAT_MAX: u32 = 8192;

/// Blocks by which two nodes may differ where a message names a height.
pub const SKEW_BLOCKS: u64 = 4;
/// Blocks after which what was not answered is said again.
pub const RETRY_BLOCKS: u64 = 2;
/// Blocks between two reports of a worker.
pub const REPORT_BLOCKS: u64 = 4;
/// Blocks without a report after which a job is offered to another worker.
pub const SILENCE_BLOCKS: u64 = 14;
/// Blocks after which results that are in no block are submitted again.
pub const RESUBMIT_BLOCKS: u64 = 4;
/// Blocks for which a node tries to get a task's inputs before it calls them unavailable.
pub const INPUT_BLOCKS: u64 = 40;
/// Blocks for which a worker without room is left alone.
pub const FULL_BLOCKS: u64 = 2;
/// Blocks that the first strike keeps a worker away from jobs; each further one doubles them.
pub const BENCH_BLOCKS: u64 = 4;
/// Strikes that count: more change nothing.
pub const STRIKES_MAX: u32 = 12;
/// Strikes of a wrong result.
pub const WRONG_STRIKES: u32 = 6;

/// Milliseconds that a measuring job takes at least, so that its time says something.
pub const PROBE_MS_MIN: u64 = 20;
/// The matrix of a measuring job.
pub const PROBE_SIZE: u32 = 64;
/// The steps of the first measuring job; each further one has four times as many.
pub const PROBE_STEPS: u32 = 32;
/// Measuring jobs after the first.
pub const PROBE_LEVELS: u32 = 5;
/// Blocks after which a measuring job without an answer is given up.
pub const PROBE_BLOCKS: u64 = 60;

/// Jobs that a worker holds, its queue included.
pub const WORKER_LEASES_MAX: usize = 2048;
/// Bytes of outputs that a worker keeps until their jobs have ended.
pub const KEPT_BYTES_MAX: u64 = 8 << 30;
