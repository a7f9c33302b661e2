//! A small network for the tests of this crate.
