//! The header for devices, built with the system's C++ compiler, gives the bits of the reference.

mod cases;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cpc_kernels::Level;

use cases::{CASES, Results, dense_pairs, special_pairs};

/// Lets the compiler use the fused multiply-add of a machine that has one, as every device does; without it each is a call.
fn fused() -> &'static [&'static str] {
    if Level::best() == Level::Scalar { &[] } else { &["-mfma", "-mavx2"] }
}

/// Builds the host's program from the header.
fn build(level: &str, more: &[&str]) -> PathBuf {
    let cuda = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cuda");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("numerics{level}-{}", std::process::id()));
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let built = Command::new(&compiler)
        .args(["-std=c++14", level, "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"])
        .args(more)
        .arg("-I")
        .arg(cuda.join("include"))
        .arg(cuda.join("host/numerics.cpp"))
        .arg("-o")
        .arg(&program)
        .arg("-lm")
        .output()
        .unwrap_or_else(|error| panic!("{compiler} does not run: {error}; the set-up installs it, or CXX names one"));
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    program
}

/// Asks the program for the results of one function.
fn ask(program: &Path, name: &str, pairs: &[[u32; 2]]) -> Vec<u32> {
    let mut child = Command::new(program)
        .arg(name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program was just built");
    let mut input = child.stdin.take().expect("piped");
    let bytes: Vec<u8> = pairs.as_flattened().iter().flat_map(|word| word.to_le_bytes()).collect();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let mut output = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut output).expect("it writes");
    writer.join().expect("no panic").expect("it reads all");
    assert!(child.wait().expect("it ends").success(), "{name}");
    output.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

#[track_caller]
fn same(name: &str, what: &str, pairs: &[[u32; 2]], expected: &[u32], found: &[u32]) {
    assert_eq!(expected.len(), found.len(), "{name}");
    if let Some(at) = (0..expected.len()).find(|at| expected[*at] != found[*at]) {
        let [x, y] = pairs[at];
        panic!("{name}({x:#010x}, {y:#010x}): {:#010x}, and {what} says {:#010x}", expected[at], found[at]);
    }
}

fn compare(program: &Path, pairs: &[[u32; 2]]) {
    for (name, results) in CASES {
        same(name, "the header", pairs, &results(Level::best(), pairs), &ask(program, name, pairs));
    }
}

/// The digest of `dense` in numerics.cpp: four chains over the results.
fn digest(results: &[u32]) -> String {
    let mut chains = [0xcbf2_9ce4_8422_2325_u64; 4];
    for results in results.as_chunks::<4>().0 {
        for (chain, result) in chains.iter_mut().zip(results) {
            *chain = (*chain ^ u64::from(*result)).wrapping_mul(0x100_0000_01b3);
        }
    }
    chains.map(|chain| format!("{chain:016x}")).join(" ")
}

/// Compares digests over dense pairs, which the program makes itself; where one differs, the results.
fn compare_dense(program: &Path, cases: &[(&str, Results)], begin: u32, count: u32, shift: u32) {
    let numbers = [begin, count, shift].map(|number| number.to_string());
    let names = cases.iter().map(|(name, _)| *name);
    // It computes while this process does.
    let asked = Command::new(program).args(&numbers).args(names).stdout(Stdio::piped()).spawn();
    let asked = asked.expect("the program was just built");
    let pairs = dense_pairs(begin, count, shift);
    let one = |(name, results): &(&str, Results)| format!("{name} {}", digest(&results(Level::best(), &pairs)));
    let ours: Vec<String> = cases.iter().map(one).collect();
    let said = asked.wait_with_output().expect("it ends");
    assert!(said.status.success(), "from {begin}");
    let said = String::from_utf8(said.stdout).expect("it writes text");
    let theirs: Vec<&str> = said.lines().collect();
    assert_eq!(theirs.len(), cases.len(), "{said}");
    for ((name, results), (ours, theirs)) in cases.iter().zip(ours.iter().zip(theirs)) {
        if ours != theirs {
            same(name, "the header", &pairs, &results(Level::best(), &pairs), &ask(program, name, &pairs));
            panic!("{name} from {begin}: {ours}, and the header says {theirs}, of pairs that it makes otherwise");
        }
    }
}

/// Pairs to a comparison.
const BLOCK: u32 = 1 << 22;

// NUM-15: all special values, and 2^24 dense ones of each function; every one of 2^32 where the long tests are asked for.
#[test]
fn the_header_gives_the_bits_of_the_reference() {
    let program = build("-O2", fused());
    compare(&program, &special_pairs());
    // Sums over rows take half of the time of all functions, and have no argument of 32 bits: an eighth will do.
    let (all, quick): (Vec<_>, Vec<_>) =
        (CASES.to_vec(), CASES.iter().filter(|(name, _)| *name != "sums").copied().collect());
    let long = std::env::var_os("CPC_LONG").is_some();
    let (shift, blocks) = if long { (0, 1 << 10) } else { (8, 4) };
    for block in 0..blocks {
        let cases = if !long || block % 8 == 0 { &all } else { &quick };
        compare_dense(&program, cases, block * BLOCK, BLOCK, shift);
        if long && block % 64 == 63 {
            println!("{} of {blocks} blocks of 2^22 arguments of each function", block + 1);
        }
    }
    std::fs::remove_file(program).expect("it was built");
}

#[test]
fn no_level_of_optimisation_changes_a_bit() {
    let pairs = [special_pairs(), dense_pairs(0, 1 << 16, 16)].concat();
    for level in ["-O0", "-O3"] {
        let program = build(level, &[]);
        compare(&program, &pairs);
        std::fs::remove_file(program).expect("it was built");
    }
}

// NUM-2, NUM-22: compiled with and without fused instructions, the functions give the same bits.
#[test]
fn no_instructions_change_a_bit() {
    let pairs = [special_pairs(), dense_pairs(0, 1 << 18, 14)].concat();
    for (name, results) in CASES {
        let scalar = results(Level::Scalar, &pairs);
        for level in Level::here() {
            same(name, &level.to_string(), &pairs, &scalar, &results(level, &pairs));
        }
    }
}
