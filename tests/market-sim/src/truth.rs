//! What is right: orders of small real jobs, and their outputs as an honest machine computes them.

use std::collections::BTreeMap;

use cpc_kernels::synthetic::{self, Seed, SyntheticSpec};
use cpc_kernels::{Cpu, Inputs, Registry, Watch};
use cpc_primitives::codec::Bounded;
use cpc_primitives::ids::{JobIndex, TimeMs, Units};
use cpc_primitives::result::{Assurance, TaskOrder};
use cpc_primitives::{Amount, Digest, Domain};

/// The outputs of all jobs of all orders that were asked about.
#[derive(Default)]
pub struct Truth {
    outputs: BTreeMap<(Vec<u8>, u32, u32), Digest>,
}

impl Truth {
    /// The hash of the right output of a job.
    pub fn output(&mut self, order: &TaskOrder, job: JobIndex) -> Option<Digest> {
        let key = (order.spec.to_vec(), order.jobs, job.0);
        if let Some(known) = self.outputs.get(&key) {
            return Some(*known);
        }
        let registry = Registry::all();
        let kernel = registry.kernel(order.kernel).ok()?;
        let prepared = kernel.prepare(&order.spec, &Inputs::none(), Cpu::best(), &Watch::new()).ok()?;
        let plan = kernel.plan(&order.spec, order.jobs).ok()?;
        for job in plan.jobs() {
            let output = prepared.run(&job.geometry, Cpu::best(), &Watch::new()).ok()?;
            let key = (order.spec.to_vec(), order.jobs, job.index.0);
            self.outputs.insert(key, Domain::JobOutput.hash_bytes(&output.bytes));
        }
        self.outputs.get(&key).copied()
    }
}

/// An order of the synthetic kernel with a matrix of 16 by 16.
pub fn order(seed: [u8; 32], jobs: u32, reward: Amount, deadline: TimeMs, lease_blocks: u32) -> TaskOrder {
    let seed = Seed::new(seed.to_vec()).expect("32 bytes");
    let spec = SyntheticSpec { seed, matrix_size: 16, iterations: 64 };
    TaskOrder {
        kernel: synthetic::ID,
        units: spec.units(),
        spec: Bounded::new(spec.bytes()).expect("a synthetic spec is short"),
        inputs: Bounded::default(),
        jobs,
        reward,
        deadline,
        lease_blocks,
        assurance: Assurance::Spot,
    }
}

/// An order that names other units than its spec costs: nobody can compute it.
pub fn bad_order(order: TaskOrder) -> TaskOrder {
    TaskOrder { units: Units(order.units.0 + 1), ..order }
}
