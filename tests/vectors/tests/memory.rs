//! A length that lies costs its sender more than it costs us: no bytes make the decoder ask for memory in advance.
//!
//! This file holds one test, because it watches the memory of its whole process.

use core::hint::black_box;
use std::fs;

use cpc_vectors::draw::Draw;
use cpc_vectors::formats::all;
use cpc_vectors::shape::Mark;

/// How far the process may grow while small wrong inputs are read.
const GROWTH_KIB_MAX: u64 = 8 << 10;

// VEC-3, COD-4: room is made as elements arrive, never for what a length promises.
#[test]
fn lying_lengths_do_not_make_the_process_grow() {
    let formats = all();
    let inputs: Vec<(usize, Vec<u8>)> = formats
        .iter()
        .enumerate()
        .flat_map(|(index, format)| {
            let mut from = Draw::new("memory");
            let samples: Vec<Vec<u8>> = (0..64).map(|_| format.draw(&mut from)).collect();
            let small = samples.into_iter().filter(|bytes| bytes.len() < 2048);
            small
                .flat_map(|bytes| lies(&format.shape.read(&bytes).expect("a value").0, &bytes))
                .map(move |b| (index, b))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(inputs.len() > 1000, "{} lies", inputs.len());

    // A thread's start asks for more than it keeps, and growth below that old peak would not be seen: this fills it up.
    let slack = usize::try_from(kib("VmPeak:") - kib("VmSize:")).expect("it fits memory") << 10;
    let ballast: Vec<u8> = black_box(Vec::with_capacity(slack));
    let before = kib("VmPeak:");
    for (format, bytes) in &inputs {
        assert!(formats[*format].recode(bytes).is_err());
    }
    let after = kib("VmPeak:");
    drop(black_box(ballast));
    assert!(after - before < GROWTH_KIB_MAX, "grew by {} KiB over {} inputs", after - before, inputs.len());

    // The measure itself: a vector that is only reserved is seen.
    let reserved: Vec<u8> = black_box(Vec::with_capacity(slack + (64 << 20)));
    assert!(kib("VmPeak:") - after > 32 << 10, "a reservation of {} bytes is not seen", reserved.capacity());
}

/// The encoding with each of its lengths replaced by the largest that its type allows, and nothing behind it.
fn lies(marks: &[(usize, Mark)], bytes: &[u8]) -> Vec<Vec<u8>> {
    let lengths =
        marks.iter().filter_map(|(at, mark)| if let Mark::Length(max) = mark { Some((*at, *max)) } else { None });
    lengths
        .take(16)
        .map(|(at, max)| [&bytes[..at], &u64::try_from(max).expect("a limit").to_le_bytes()].concat())
        .collect()
}

/// What the kernel counts for this process: the address space now, or the largest that it has been.
fn kib(count: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux shows it");
    let line = status.lines().find_map(|line| line.strip_prefix(count)).expect("Linux counts it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
