//! The limits of this crate's own formats, beside those of `cpc_primitives::limits`.

use cpc_primitives::limits::{BUCKET_BITS, BUCKET_DEPTH_MAX, HEADER_BYTES_MAX, SEATS_MAX};

/// Siblings inside a bucket that one proof of state may name: one for every bit of a key's hash below the bucket.
pub const BUCKET_SIBLINGS_MAX: usize = 236;
/// Siblings above the buckets that one proof of state may name.
pub const DENSE_SIBLINGS_MAX: usize = 20;

/// Bytes of one certificate: a proposal, the bitmap and a signature of every seat.
pub const CERTIFICATE_BYTES_MAX: usize = 17 << 10;

/// Bytes of one proof file.
pub const PROOF_FILE_BYTES_MAX: usize = 16 << 20;
/// Epochs that one path of trust may pass: 170 days of epochs of an hour. With 100 seats a link has 4.6 kB, so that the
/// bytes end at about 3,600. Whoever comes later begins at an anchor, which is safer too (PROOF-11).
pub const PROOF_EPOCHS_MAX: usize = 4096;
/// Headers from the certified one back to the one that is proven.
pub const PROOF_HEADERS_MAX: usize = 1024;

const _: () = assert!(BUCKET_DEPTH_MAX == 236 && BUCKET_BITS == 20, "every bit of a key's hash has room for a sibling");
const _: () = assert!(SEATS_MAX * 64 + SEATS_MAX / 8 + 128 < CERTIFICATE_BYTES_MAX, "a full certificate has room");
const _: () =
    assert!(PROOF_HEADERS_MAX * HEADER_BYTES_MAX < PROOF_FILE_BYTES_MAX / 2, "headers leave room for the trust");
const _: () = assert!(
    64 * (CERTIFICATE_BYTES_MAX + HEADER_BYTES_MAX + SEATS_MAX * 32) < PROOF_FILE_BYTES_MAX / 2,
    "64 full sets"
);
