//! What the golden files are made from: values of every format from a seed, their layouts, and the files themselves.
//!
//! The fuzz targets take their seeds and their properties from here, so that a property is written once and holds
//! under the fuzzer and in the tests that replay its corpus.

pub mod draw;
pub mod formats;
pub mod golden;
pub mod network;
pub mod properties;
pub mod shape;
