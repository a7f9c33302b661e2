//! Runs every bench with small numbers, so that none of them stops working unnoticed.

use std::fs;
use std::process::Command;

/// What the report has to hold: a heading or a row of every part.
const EXPECTED: [&str; 19] = [
    "A quick run",
    "## Verdicts",
    "`ledger::verify/txs=50`",
    "`node::sustained/txs=100,apart=verify+commit`",
    "`light::proof_file/absent=file`",
    "`store::given/txs=100`",
    "`disk::written/transfers=",
    "`process::resident/at=most`",
    "`cpc-store::commit/keys=100`",
    "`nomt::commit/keys=100`",
    "`jmt::commit/keys=100`",
    "`store::root/accounts=2000,pages=cold`",
    "`store::commit/bucket=ground,keys=200`",
    "durable updates, ours over nomt",
    "one update, ground over ordinary",
    "`kernels::synthetic_check/level=",
    "rendering check / run in %, hills",
    "rendering check / run in %, orbit",
    "`ours::error/samples=16`",
];

#[test]
fn every_part_runs_and_finds_right_results() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.md");
    let run = Command::new(env!("CARGO_BIN_EXE_cpc-bench")).arg("--quick").arg("--markdown").arg(&page).output();
    let run = run.expect("the benches start");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let (page, printed) = (fs::read_to_string(page).expect("the page"), String::from_utf8_lossy(&run.stdout));
    for expected in EXPECTED {
        assert!(page.contains(expected), "{expected} is missing in\n{page}");
    }
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        assert!(printed.contains(row), "{row} is not printed");
        assert!(!row.contains("NaN"), "{row} has no value");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for arguments in [["--slow"].as_slice(), &["--only"], &["--only", "everything"], &["--markdown"]] {
        let run = Command::new(env!("CARGO_BIN_EXE_cpc-bench")).args(arguments).output().expect("the benches start");
        assert!(!run.status.success(), "{arguments:?}");
        assert!(String::from_utf8_lossy(&run.stderr).contains("--markdown FILE"), "{arguments:?}");
    }
}
