//! Hostile specs of the synthetic kernel and hostile orders, each with the refusal that names what is wrong.

use cpc_kernels::frame::{BadSpec, Inputs, PrepareError, blob_ref};
use cpc_kernels::synthetic::{ID, Seed, SyntheticSpec};
use cpc_kernels::{Cpu, Registry, RunError, Watch};
use cpc_primitives::ids::Units;
use cpc_primitives::result::{Challenge, Geometry, KernelId};

/// The bytes of a spec as anybody may write them.
fn raw(seed: &[u8], matrix_size: u32, iterations: u32) -> Vec<u8> {
    let mut bytes = (seed.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(seed);
    bytes.extend(matrix_size.to_le_bytes());
    bytes.extend(iterations.to_le_bytes());
    bytes
}

fn refusal(spec: &[u8]) -> String {
    let registry = Registry::all();
    let kernel = registry.kernel(ID).expect("the kernel is there");
    let refused = kernel.price(spec).expect_err("refused");
    assert_eq!(kernel.plan(spec, 1), Err(refused.clone()));
    let prepared = kernel.prepare(spec, &Inputs::none(), Cpu::best(), &Watch::new());
    assert_eq!(prepared.err(), Some(PrepareError::BadSpec(refused.clone())));
    refused.to_string()
}

// SYN-1, KER-3, KER-4.
#[test]
fn a_spec_out_of_bounds_is_refused_with_the_bound() {
    const MAX: u32 = u32::MAX;
    let seed = [7u8; 32];
    let cases: &[(Vec<u8>, &str)] = &[
        (raw(&[], 64, 64), "seed is 0; it is at least 1 and at most 32"),
        (raw(&[0; 33], 64, 64), "malformed bytes: "),
        (raw(&seed, 0, 64), "matrix_size is 0; it is at least 16 and at most 8192"),
        (raw(&seed, 15, 64), "matrix_size is 15; it is at least 16 and at most 8192"),
        (raw(&seed, 8_193, 64), "matrix_size is 8193; it is at least 16 and at most 8192"),
        (raw(&seed, 1 << 31, 64), "matrix_size is 2147483648; it is at least 16 and at most 8192"),
        (raw(&seed, MAX, MAX), "matrix_size is 4294967295; it is at least 16 and at most 8192"),
        (raw(&seed, 64, 0), "iterations is 0; it is at least 1 and at most 1048576"),
        (raw(&seed, 64, (1 << 20) + 1), "iterations is 1048577; it is at least 1 and at most 1048576"),
        (raw(&seed, 64, MAX), "iterations is 4294967295; it is at least 1 and at most 1048576"),
        (raw(&seed, 16, 1), "matrix_size x iterations is 16; it is at least 64"),
        (raw(&seed, 63, 1), "matrix_size x iterations is 63; it is at least 64"),
        (raw(&seed, 64, 64)[..47].to_vec(), "malformed bytes: "),
        ([raw(&seed, 64, 64), vec![0]].concat(), "malformed bytes: "),
        (Vec::new(), "malformed bytes: "),
        (vec![0xff; 8], "malformed bytes: "),
        (vec![0xff; 1_024], "malformed bytes: "),
        (vec![0; 1_025], "1025 bytes where at most 1024 are allowed"),
        (vec![0; 1 << 20], "1048576 bytes where at most 1024 are allowed"),
        ((1u64 << 62).to_le_bytes().to_vec(), "malformed bytes: "),
    ];
    for (spec, expected) in cases {
        let found = refusal(spec);
        assert!(found.contains(expected), "{found:?} and not {expected:?}");
    }
}

// SYN-4: at the bound, and one beyond.
#[test]
fn a_task_splits_as_far_as_its_columns_have_steps_enough() {
    let registry = Registry::all();
    let kernel = registry.kernel(ID).expect("the kernel is there");
    for (n, t, most) in [(16, 4, 1), (64, 1, 1), (64, 64, 64), (64, 63, 32), (100, 7, 10), (8_192, 1 << 20, 8_192)] {
        let spec = raw(&[1], n, t);
        assert_eq!(kernel.price(&spec).expect("within the bounds").jobs_max, most, "n {n}, T {t}");
        let plan = kernel.plan(&spec, most).expect("at the bound");
        assert!(plan.jobs().all(|job| u64::from(job.geometry.extent[0]) * u64::from(t) >= 64), "n {n}, T {t}");
        for jobs in [0, most + 1, u32::MAX] {
            assert_eq!(kernel.plan(&spec, jobs), Err(BadSpec::Jobs { found: jobs, max: most }));
        }
    }
}

#[test]
fn an_order_that_says_otherwise_than_its_spec_is_refused() {
    let registry = Registry::all();
    let spec = raw(&[1], 64, 8);
    let units = registry.kernel(ID).expect("there").price(&spec).expect("within the bounds").units;
    assert_eq!(units, Units(8 * (64 * 64 * 64 + 64 * 64) + 16 * (2 * 64 * 64 + 64 * 8)));
    let said = |id, units: Units, inputs: &[_], jobs| {
        registry.plan(id, &spec, inputs, jobs, units).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(said(ID, units, &[], 4), "");
    assert_eq!(said(ID, Units(1), &[], 4), format!("the order says 1 units, and the spec costs {units}"));
    assert_eq!(
        said(ID, Units(u128::MAX), &[], 4),
        format!("the order says {} units, and the spec costs {units}", u128::MAX)
    );
    assert_eq!(said(ID, units, &[blob_ref(b"")], 4), "the order names 1 inputs, and this spec reads 0");
    assert_eq!(said(ID, units, &[], 9), "9 jobs; this task has at least 1 and at most 8");
    let next = KernelId { version: 2, ..ID };
    assert_eq!(said(next, units, &[], 1), "there is no kernel Synthetic of version 2 here");
    let later = KernelId { challenge: Challenge::Inference, version: 1 };
    assert_eq!(said(later, units, &[], 1), "there is no kernel Inference of version 1 here");
}

#[test]
fn a_job_that_is_not_of_the_task_is_not_run() {
    let spec = SyntheticSpec { seed: Seed::new(vec![1]).expect("one byte"), matrix_size: 16, iterations: 8 };
    let registry = Registry::all();
    let kernel = registry.kernel(ID).expect("the kernel is there");
    let task = kernel.prepare(&spec.bytes(), &Inputs::none(), Cpu::best(), &Watch::new()).expect("a good spec");
    let run = |origin, extent| task.run(&Geometry { origin, extent }, Cpu::best(), &Watch::new()).err();
    let outside = Some(RunError::Geometry { reason: "its columns are not in the matrix" });
    let partial = Some(RunError::Geometry { reason: "it is not a block of whole columns" });
    assert_eq!(run([0; 3], [16, 16, 1]), None);
    for (origin, extent) in [([16, 0, 0], [1, 16, 1]), ([0; 3], [17, 16, 1]), ([u32::MAX, 0, 0], [1, 16, 1])] {
        assert_eq!(run(origin, extent), outside);
    }
    assert_eq!(run([0; 3], [0, 16, 1]), outside);
    for (origin, extent) in
        [([0; 3], [16, 15, 1]), ([0, 1, 0], [16, 16, 1]), ([0; 3], [16, 16, 2]), ([0, 0, 1], [16, 16, 1])]
    {
        assert_eq!(run(origin, extent), partial);
    }
}
