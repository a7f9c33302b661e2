//! What the golden files are made from: values of every format from a seed, their layouts, and the files themselves.
//!
//! The fuzz targets take their seeds and their properties from here, so that a property is written once and holds
//! under the fuzzer and in the tests that replay its corpus.

pub mod draw;
pub mod formats;
pub mod golden;
pub mod market;
pub mod network;
pub mod properties;
pub mod shape;
/// The messages of sync as the node has them. The fuzzed program links pure crates only, and the node is none: this one
/// file of it names nothing else.
#[path = "../../../node/app/src/sync/wire.rs"]
pub mod sync_wire;
