//! The frozen bits: every scalar function, and every kernel.

mod cases;

use cpc_kernels::synthetic::{ID, Seed, SyntheticSpec};
use cpc_kernels::{Cpu, Effort, Inputs, Level, Registry, Secret, Watch};
use cpc_primitives::hash::hex;
use cpc_primitives::ids::TaskId;
use cpc_primitives::{Digest, Domain};
use cpc_vectors::golden::{Entry, hold};

use cases::{CASES, dense_pairs, special_pairs};

fn digest(words: &[u32]) -> Digest {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    blake3::hash(&bytes).into()
}

// VEC-12: the results of each function, some of them to be read and all of them hashed.
#[test]
fn every_function_gives_the_bits_it_always_gave() {
    let special = special_pairs();
    let dense = dense_pairs(0, 1 << 16, 16);
    let entries: Vec<Entry> = CASES
        .iter()
        .map(|(name, results)| {
            let some: Vec<[u32; 2]> = dense.iter().step_by(6_007).copied().collect();
            let lines = some
                .iter()
                .zip(results(Level::Scalar, &some))
                .map(|([x, y], result)| format!("\"{x:08x} {y:08x} {result:08x}\""));
            Entry::new(*name)
                .text("special", digest(&results(Level::Scalar, &special)))
                .text("dense", digest(&results(Level::Scalar, &dense)))
                .list("some", lines)
        })
        .collect();
    hold(
        "kernels/functions.toml",
        "Each function of NUM-1 to NUM-21 on pairs of words: plain BLAKE3 over the results, little-endian, for all pairs\n\
         of special values and for 65,536 that cover all exponents; and some of the latter as `x y result`. The pairs are\n\
         made in gpu-kernels/reference/tests/cases/mod.rs.",
        &entries,
    );
}

// VEC-12: the kernels' outputs, and what their checks say under a known secret.
#[test]
fn every_kernel_gives_the_bytes_it_always_gave() {
    let registry = Registry::all();
    let kernel = registry.kernel(ID).expect("the kernel is there");
    let secret = Secret { seat: Digest([3; 32]), task: TaskId(Digest([4; 32])) };
    let entries: Vec<Entry> =
        [(&b"a"[..], 16, 4, 1), (b"cpc", 16, 1_000, 16), (&[0; 32], 33, 5, 2), (b"tile", 96, 7, 9)]
            .into_iter()
            .map(|(seed, matrix_size, iterations, jobs)| {
                let seed = Seed::new(seed.to_vec()).expect("at most 32 bytes");
                let spec = SyntheticSpec { seed, matrix_size, iterations };
                let (bytes, watch) = (spec.bytes(), Watch::new());
                let price = kernel.price(&bytes).expect("within the bounds");
                let plan = kernel.plan(&bytes, jobs).expect("it splits");
                let task = kernel.prepare(&bytes, &Inputs::none(), Cpu::best(), &watch).expect("a good spec");
                let mut checker = task.checker(secret, Effort::Full, Cpu::best(), &watch).expect("a check");
                let mut digest = String::new();
                let outputs: Vec<String> = plan
                    .jobs()
                    .map(|job| {
                        let output = task.run(&job.geometry, Cpu::best(), &watch).expect("it runs");
                        let judged = checker.check(&job, &output.bytes, &watch).expect("judged");
                        assert_eq!(judged.wrong, None);
                        digest = format!("{} {}", judged.sample, judged.digest);
                        format!(
                            "\"{} {:?} {:?} {}\"",
                            job.units.0,
                            job.geometry.origin,
                            job.geometry.extent,
                            output.hash()
                        )
                    })
                    .collect();
                Entry::new(format!("synthetic-{matrix_size}-{iterations}"))
                    .text("spec", hex(&bytes))
                    .text("spec_hash", Domain::TaskSpec.hash_bytes(&bytes))
                    .text("units", price.units.0)
                    .text("jobs_max", price.jobs_max)
                    .text("sample_and_digest", digest)
                    .list("units_origin_extent_output", outputs)
            })
            .collect();
    hold(
        "kernels/synthetic.toml",
        "Specs of the synthetic kernel with their plans, the hashes of their outputs, and what a check says under the seat's\n\
         secret of 32 bytes 3 for the task whose id is 32 bytes 4.",
        &entries,
    );
}
