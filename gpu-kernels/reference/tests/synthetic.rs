//! The synthetic kernel: equal bytes however it is computed, every lie found, no honest work refused.

use cpc_kernels::synthetic::{ID, Seed, SyntheticSpec};
use cpc_kernels::{Cpu, Executor, Inputs, Level, PreparedTask, Reference, Registry, Watch};
use cpc_primitives::result::Geometry;

fn spec(seed: &[u8], matrix_size: u32, iterations: u32) -> SyntheticSpec {
    SyntheticSpec { seed: Seed::new(seed.to_vec()).expect("at most 32 bytes"), matrix_size, iterations }
}

fn prepare(spec: &SyntheticSpec) -> std::sync::Arc<dyn PreparedTask> {
    let registry = Registry::all();
    let kernel = registry.kernel(ID).expect("the kernel is there");
    kernel.prepare(&spec.bytes(), &Inputs::none(), Cpu::best(), &Watch::new()).expect("a good spec")
}

fn whole(spec: &SyntheticSpec) -> Geometry {
    Geometry { origin: [0; 3], extent: [spec.matrix_size, spec.matrix_size, 1] }
}

/// What the definition says, word for word, in residues of 128 bits.
fn by_definition(spec: &SyntheticSpec) -> Vec<u8> {
    const P: u128 = (1 << 31) - 1;
    let n = spec.matrix_size as usize;
    let stream = |part: u32, row: u32| -> Vec<u128> {
        let mut input = (spec.seed.len() as u64).to_le_bytes().to_vec();
        input.extend_from_slice(&spec.seed);
        input.extend(part.to_le_bytes());
        input.extend(row.to_le_bytes());
        let mut reader = blake3::Hasher::new_keyed(b"cpc.synthetic-stream.v1.........").update(&input).finalize_xof();
        let word = || {
            let mut bytes = [0; 4];
            reader.fill(&mut bytes);
            u128::from(u32::from_le_bytes(bytes) & 0x7fff_ffff)
        };
        std::iter::repeat_with(word).filter(|word| *word != P).take(n).collect()
    };
    let a: Vec<Vec<u128>> = (0..spec.matrix_size).map(|row| stream(0, row)).collect();
    let mut columns: Vec<Vec<u128>> = (0..spec.matrix_size).map(|column| stream(2, column)).collect();
    for step in 0..spec.iterations {
        let d = stream(1, step);
        for x in &mut columns {
            let scaled: Vec<u128> = x.iter().zip(&d).map(|(x, d)| x * d % P).collect();
            *x = a.iter().map(|row| row.iter().zip(&scaled).map(|(a, x)| a * x % P).sum::<u128>() % P).collect();
        }
    }
    columns.concat().iter().flat_map(|x| (*x as u32).to_le_bytes()).collect()
}

// SYN-3, SYN-5: the definition, written a second time without anything of ours.
#[test]
fn the_output_is_what_the_definition_says() {
    for (n, t) in [(16, 4), (17, 5), (31, 3), (64, 2), (97, 7)] {
        let spec = spec(b"definition", n, t);
        let expected = by_definition(&spec);
        let output = prepare(&spec).run(&whole(&spec), Cpu::best(), &Watch::new()).expect("it runs");
        assert!(output.bytes == expected, "n {n}, T {t}");
    }
}

// NUM-22, KER-1: instructions, threads and the split into jobs change no bit.
#[test]
fn instructions_threads_and_jobs_change_no_bit() {
    for (n, t, jobs) in [(16, 16, 1), (40, 9, 5), (65, 11, 7), (129, 3, 2), (200, 2, 6)] {
        let spec = spec(&[n as u8; 32], n, t);
        let task = prepare(&spec);
        let one = task.run(&whole(&spec), Cpu { level: Level::Scalar }, &Watch::new()).expect("it runs");
        for level in Level::here() {
            for threads in [1, 2] {
                let executor = Reference::new(Cpu { level }, threads).expect("threads");
                let plan = Registry::all().kernel(ID).expect("there").plan(&spec.bytes(), jobs).expect("it splits");
                let fresh = prepare(&spec);
                let outputs: Vec<Vec<u8>> = plan
                    .jobs()
                    .map(|job| executor.run(&*fresh, &job.geometry, &Watch::new()).expect("it runs").bytes)
                    .collect();
                assert!(outputs.concat() == one.bytes, "n {n}, T {t}, {jobs} jobs, {}", executor.describe());
            }
        }
    }
}
