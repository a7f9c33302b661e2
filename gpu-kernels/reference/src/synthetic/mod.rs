//! Products over a prime field: work that anybody can make from a seed, and that a check proves at a thousandth of it.
//!
//! `X_{t+1} = A (D_t X_t)` for t from 0 to T - 1, all n by n and all expanded from the seed. The fresh diagonal of each
//! step keeps A's powers from being squared.

#[cfg(feature = "canary")]
pub mod canary;
mod check;
mod run;
mod slabs;
mod spec;
mod stream;

use core::any::Any;
use core::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use cpc_primitives::Mismatch;
use cpc_primitives::result::{Challenge, Geometry, KernelId};

use self::check::{Freivalds, VECTORS};
use self::run::{Matrix, columns, index, one_column};
pub use self::spec::{COLUMN_STEPS_MIN, ITERATIONS_MAX, SEED_BYTES_MAX, SIZE_MAX, SIZE_MIN, Seed, SyntheticSpec};
use crate::frame::{
    BadSpec, Checker, Cpu, Effort, Inputs, Kernel, Output, Plan, PrepareError, PreparedTask, Price, RunError, Secret,
    Soundness, Watch,
};

/// Which kernel this is.
pub const ID: KernelId = KernelId { challenge: Challenge::Synthetic, version: 1 };

/// The kernel.
pub struct Synthetic;

impl Kernel for Synthetic {
    fn id(&self) -> KernelId {
        ID
    }

    fn name(&self) -> &'static str {
        "synthetic"
    }

    fn price(&self, spec: &[u8]) -> Result<Price, BadSpec> {
        Ok(SyntheticSpec::read(spec)?.price())
    }

    fn plan(&self, spec: &[u8], jobs: u32) -> Result<Plan, BadSpec> {
        SyntheticSpec::read(spec)?.plan(jobs)
    }

    fn prepare(
        &self,
        spec: &[u8],
        inputs: &Inputs,
        _cpu: Cpu,
        _watch: &Watch,
    ) -> Result<Arc<dyn PreparedTask>, PrepareError> {
        let spec = SyntheticSpec::read(spec)?;
        if !inputs.is_empty() {
            return Err(BadSpec::InputCount(Mismatch { expected: 0, found: inputs.len() }).into());
        }
        Ok(Arc::new(SyntheticTask { spec, matrix: Mutex::new(None) }))
    }
}

/// A checked spec, and A where a run has asked for it.
pub struct SyntheticTask {
    spec: SyntheticSpec,
    matrix: Mutex<Option<Arc<Matrix>>>,
}

impl SyntheticTask {
    /// What was ordered.
    pub fn spec(&self) -> &SyntheticSpec {
        &self.spec
    }

    /// A, expanded by whoever comes first. It is not expanded under the lock: a thread that waits there could be the one
    /// that the expansion itself waits for. Two that come at once both expand, and keep the same.
    fn matrix(&self) -> Arc<Matrix> {
        let held = || self.matrix.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = held().clone();
        kept.unwrap_or_else(|| {
            let fresh = Arc::new(Matrix::expand(&self.spec.seed, self.spec.matrix_size));
            held().get_or_insert(fresh).clone()
        })
    }

    /// The columns of a job that lies in this task.
    fn within(&self, geometry: &Geometry) -> Result<(u32, u32), RunError> {
        let n = self.spec.matrix_size;
        let ([first, y, z], [count, rows, depth]) = (geometry.origin, geometry.extent);
        let end = first.checked_add(count).filter(|end| *end <= n && count > 0);
        match end {
            Some(_) if (y, z, rows, depth) == (0, 0, n, 1) => Ok((first, count)),
            Some(_) => Err(RunError::Geometry { reason: "it is not a block of whole columns" }),
            None => Err(RunError::Geometry { reason: "its columns are not in the matrix" }),
        }
    }

    fn unit_within(&self, geometry: &Geometry, unit: u64) -> Result<u32, RunError> {
        let (first, count) = self.within(geometry)?;
        let within = u32::try_from(unit).ok().filter(|unit| *unit < count);
        let within = within.ok_or(RunError::Unit { count: count.into(), found: unit })?;
        Ok(first.saturating_add(within))
    }
}

impl PreparedTask for SyntheticTask {
    fn kernel(&self) -> KernelId {
        ID
    }

    fn run(&self, geometry: &Geometry, cpu: Cpu, watch: &Watch) -> Result<Output, RunError> {
        let (first, count) = self.within(geometry)?;
        Ok(Output::of(columns(&self.spec, &self.matrix(), first, count, cpu, watch)?))
    }

    fn checker(&self, secret: Secret, _effort: Effort, cpu: Cpu, watch: &Watch) -> Result<Box<dyn Checker>, RunError> {
        // Both efforts cover every column: the vectors cost the same for one as for all.
        Ok(Box::new(Freivalds::new(&self.spec, &secret.for_task(), cpu, watch)?))
    }

    #[allow(clippy::float_arithmetic, reason = "a probability for people; nothing of it is hashed")]
    fn soundness(&self, _effort: Effort) -> Soundness {
        // A wrong column is orthogonal to a uniform vector with one in p.
        let one = 1.0 / f64::from(crate::numerics::field::P);
        Soundness { forged: 0.0, missed: (0..VECTORS).map(|_| one).product() }
    }

    fn assemble(&self, plan: &Plan, outputs: &[Vec<u8>]) -> Result<Vec<(String, Vec<u8>)>, RunError> {
        if outputs.len() != index(plan.len()) {
            return Err(RunError::Geometry { reason: "a task is assembled from the outputs of all its jobs" });
        }
        Ok(vec![("columns.bin".to_owned(), outputs.concat())])
    }

    fn unit_count(&self, geometry: &Geometry) -> Result<u64, RunError> {
        Ok(self.within(geometry)?.1.into())
    }

    fn unit(&self, geometry: &Geometry, unit: u64, watch: &Watch) -> Result<Vec<u8>, RunError> {
        one_column(&self.spec, self.unit_within(geometry, unit)?, watch)
    }

    fn unit_bytes(&self, geometry: &Geometry, unit: u64) -> Result<Range<usize>, RunError> {
        let within = self.unit_within(geometry, unit)?.saturating_sub(geometry.origin[0]);
        let column_bytes = index(self.spec.matrix_size).saturating_mul(4);
        let begin = index(within).saturating_mul(column_bytes);
        Ok(begin..begin.saturating_add(column_bytes))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
