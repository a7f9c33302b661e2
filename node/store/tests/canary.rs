//! The torture finds the two bugs that are planted for it.

mod common;
mod world;

use cpc_store::{Canary, Options};
use world::memory_torture;

#[track_caller]
fn is_found(canary: Canary, findings: &[&str]) {
    let options = Options { canary: Some(canary), ..Options::default() };
    let found = memory_torture(options, 0..60).expect_err("the torture finds the planted bug");
    assert!(findings.iter().any(|finding| found.contains(finding)), "{found}");
}

#[test]
fn a_commit_that_was_split_into_two_batches_is_found() {
    is_found(Canary::SplitCommit, &["by the buckets' pages"]);
}

#[test]
fn a_root_that_was_taken_in_the_order_of_a_hash_map_is_found() {
    // By the model where the block was committed, or by the next start where the power failed first.
    is_found(Canary::UnorderedRoot, &["the model has", "by the buckets' pages"]);
}

#[test]
fn without_a_planted_bug_nothing_is_found() {
    memory_torture(Options::default(), 0..60).expect("nothing is wrong");
}
