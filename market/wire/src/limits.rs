//! Every limit of the messages, in one place, and the relations that must hold between them (WIRE-2).

use cpc_primitives::limits::{FRAME_BYTES_MAX, SPEC_BYTES_MAX};

/// The version of the messages: the first two bytes of each.
pub const VERSION: u16 = 1;
/// Bytes of one message.
pub const MESSAGE_BYTES_MAX: usize = 128 << 10;
/// Bytes of the reply to a message.
pub const REPLY_BYTES_MAX: usize = 4 << 10;
/// Jobs, verdicts or other items of one message.
pub const ITEMS_MAX: usize = 256;
/// Kernels that a worker declares.
pub const WORKER_KERNELS_MAX: usize = 32;
/// Jobs that a worker takes at once from all validators together.
pub const CREDITS_MAX: u16 = 1024;
/// Bytes with which a worker names its device, for people.
pub const DEVICE_BYTES_MAX: usize = 64;
/// Bytes of the output of a job that only measures.
pub const PROBE_OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Bytes of a question for a part of a blob.
pub const BLOB_ASK_BYTES_MAX: usize = 64;
/// Bytes of one chunk of a blob.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Bytes of the answer to a question for a part of a blob.
pub const BLOB_ANSWER_BYTES_MAX: usize = CHUNK_BYTES_MAX + 64;
/// Bytes of one blob.
pub const BLOB_BYTES_MAX: u64 = 1 << 30;

/// Bytes of a verdict in a message: a result, a finding, the commitment to a sample and a digest.
const VERDICT_BYTES: usize = 174 + 4 + 32 + 32;

const _: () = assert!(MESSAGE_BYTES_MAX < FRAME_BYTES_MAX, "a message fits one network frame");
const _: () = assert!(BLOB_ANSWER_BYTES_MAX < FRAME_BYTES_MAX, "a chunk fits one network frame");
const _: () = assert!(ITEMS_MAX * VERDICT_BYTES + 256 < MESSAGE_BYTES_MAX, "a full list of verdicts fits a message");
const _: () = assert!(PROBE_OUTPUT_BYTES_MAX + 256 < MESSAGE_BYTES_MAX, "what a probe gives fits a message");
const _: () = assert!(SPEC_BYTES_MAX + 4096 < MESSAGE_BYTES_MAX, "a probe fits a message");
const _: () = assert!(ITEMS_MAX * 8 + 64 < REPLY_BYTES_MAX, "an answer to each item fits a reply");
