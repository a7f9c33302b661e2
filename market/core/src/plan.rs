//! How a task is split: the geometry of the kernel, and each job's share of the reward.

use cpc_kernels::frame::BadSpec;
use cpc_kernels::{Job, Plan, Price, Registry};
use cpc_primitives::ids::{JobIndex, TaskId, Units};
use cpc_primitives::result::{ComputeResult, Geometry, TaskOrder};
use cpc_primitives::{Address, Amount, Digest, Domain};

/// The jobs of an order that somebody can compute (MKT-3).
#[derive(Clone, Debug)]
pub struct JobPlan {
    task: TaskId,
    order: TaskOrder,
    spec: Digest,
    price: Price,
    plan: Plan,
}

impl JobPlan {
    /// Splits an order, or says why nobody can compute it.
    pub fn new(registry: &Registry, task: TaskId, order: &TaskOrder) -> Result<Self, BadSpec> {
        let plan = registry.plan(order.kernel, &order.spec, &order.inputs, order.jobs, order.units)?;
        let price = registry.kernel(order.kernel)?.price(&order.spec)?;
        Ok(Self { task, order: order.clone(), spec: spec_hash(order), price, plan })
    }

    /// What was ordered.
    pub fn order(&self) -> &TaskOrder {
        &self.order
    }

    /// How many jobs there are.
    pub fn len(&self) -> u32 {
        self.plan.len()
    }

    /// Whether there are none: never, by how a plan is made.
    pub fn is_empty(&self) -> bool {
        self.plan.is_empty()
    }

    /// One job.
    pub fn job(&self, index: JobIndex) -> Option<Job> {
        self.plan.job(index)
    }

    /// No output of a job is longer than that of the whole task.
    pub fn output_bytes_max(&self) -> u64 {
        self.price.output_bytes
    }

    /// A job's share of the reward: `floor(R (i + 1) / J) - floor(R i / J)`.
    pub fn reward(&self, index: JobIndex) -> Amount {
        let upto = |jobs: u32| {
            let share = self.order.reward.mul_div_floor(jobs.into(), self.order.jobs.into());
            share.unwrap_or(Amount::ZERO)
        };
        upto(index.0.saturating_add(1)).checked_sub(upto(index.0)).unwrap_or(Amount::ZERO)
    }

    /// What a verdict says of an output of this worker, or nothing where there is no such job.
    pub fn result(&self, job: JobIndex, worker: Address, output: Digest, output_bytes: u64) -> Option<ComputeResult> {
        let Job { geometry, units, .. } = self.job(job)?;
        let (task, kernel, spec) = (self.task, self.order.kernel, self.spec);
        Some(ComputeResult { task, job, kernel, spec, geometry, units, worker, output, output_bytes })
    }
}

/// What a verdict names that closes a whole task: its first job without a worker and without an output (MKT-14).
pub(crate) fn closing_result(task: TaskId, order: &TaskOrder) -> ComputeResult {
    // The first job's share of the units, as the ledger computes it: floor(U / J).
    let units = order.units.0.checked_div(order.jobs.into()).unwrap_or(0);
    ComputeResult {
        task,
        job: JobIndex(0),
        kernel: order.kernel,
        spec: spec_hash(order),
        geometry: Geometry { origin: [0; 3], extent: [0; 3] },
        units: Units(units),
        worker: Address::default(),
        output: Digest::ZERO,
        output_bytes: 0,
    }
}

fn spec_hash(order: &TaskOrder) -> Digest {
    Domain::TaskSpec.hash_bytes(&order.spec)
}
