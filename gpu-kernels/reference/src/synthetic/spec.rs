//! What a customer orders of the synthetic kernel, and what that costs.

use cpc_primitives::codec::{Bounded, decode, encode};
use cpc_primitives::ids::Units;
use cpc_primitives::limits::SPEC_BYTES_MAX;
use cpc_primitives::result::Geometry;
use wincode::{SchemaRead, SchemaWrite};

use crate::frame::{BadSpec, Plan, Price, runs};

/// The most bytes of a seed.
pub const SEED_BYTES_MAX: usize = 32;
/// The smallest matrix.
pub const SIZE_MIN: u32 = 16;
/// The largest matrix: A and X of 4 bytes an element fit a GiB together.
pub const SIZE_MAX: u32 = 8_192;
/// The most steps.
pub const ITERATIONS_MAX: u32 = 1 << 20;
/// The most multiply-accumulate equivalents of one task: a day of one fast card.
const UNITS_MAX: u128 = 1 << 60;
/// The least number of columns times steps in one job: below it the seed's expansion would be most of the work.
pub const COLUMN_STEPS_MIN: u64 = 64;
/// What one element expanded from the seed costs, in multiply-accumulate equivalents.
const ELEMENT_UNITS: u128 = 16;

/// What the matrices are expanded from.
pub type Seed = Bounded<u8, SEED_BYTES_MAX>;

/// `T` steps over the field with a matrix of `n` by `n` (SYN-1).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct SyntheticSpec {
    /// What the matrices are expanded from: 1 to 32 bytes.
    pub seed: Seed,
    /// n.
    pub matrix_size: u32,
    /// T.
    pub iterations: u32,
}

impl SyntheticSpec {
    /// Reads a spec, and refuses one that is out of bounds with the bound (SYN-1).
    pub fn read(bytes: &[u8]) -> Result<Self, BadSpec> {
        let spec: Self = decode(bytes, SPEC_BYTES_MAX)?;
        spec.within_bounds()?;
        Ok(spec)
    }

    /// The canonical bytes.
    pub fn bytes(&self) -> Vec<u8> {
        encode(self)
    }

    fn within_bounds(&self) -> Result<(), BadSpec> {
        let seed_bytes = u64::try_from(self.seed.len()).unwrap_or(u64::MAX);
        let bounds = [
            ("seed", seed_bytes, 1, 32),
            ("matrix_size", self.matrix_size.into(), SIZE_MIN.into(), SIZE_MAX.into()),
            ("iterations", self.iterations.into(), 1, ITERATIONS_MAX.into()),
            // One job of all columns is the largest there is.
            ("matrix_size x iterations", self.column_steps(), COLUMN_STEPS_MIN, u64::MAX),
        ];
        for (field, found, min, max) in bounds {
            if found < min || found > max {
                return Err(BadSpec::OutOfBounds { field, found, min, max });
            }
        }
        if self.units().0 > UNITS_MAX {
            let found = u64::try_from(self.units().0).unwrap_or(u64::MAX);
            return Err(BadSpec::OutOfBounds { field: "units", found, min: 1, max: 1 << 60 });
        }
        Ok(())
    }

    /// n T.
    fn column_steps(&self) -> u64 {
        u64::from(self.matrix_size).saturating_mul(u64::from(self.iterations))
    }

    /// SYN-2: `T n^3` for the products, `T n^2` for the diagonals, and 16 for each element from the seed.
    pub fn units(&self) -> Units {
        let (n, t) = (u128::from(self.matrix_size), u128::from(self.iterations));
        let square = n.saturating_mul(n);
        let products = square.saturating_mul(n).saturating_add(square).saturating_mul(t);
        Units(products.saturating_add(ELEMENT_UNITS.saturating_mul(self.elements())))
    }

    /// What is expanded: A, X_0 and the diagonals.
    fn elements(&self) -> u128 {
        let (n, t) = (u128::from(self.matrix_size), u128::from(self.iterations));
        n.saturating_mul(n).saturating_mul(2).saturating_add(n.saturating_mul(t))
    }

    /// Into how many jobs the task splits at most: the smallest job has `floor(n / jobs)` columns, which take
    /// `COLUMN_STEPS_MIN` steps together.
    fn jobs_max(&self) -> u32 {
        let columns = COLUMN_STEPS_MIN.div_ceil(self.iterations.max(1).into());
        let jobs = u64::from(self.matrix_size).div_euclid(columns.max(1));
        u32::try_from(jobs).unwrap_or(u32::MAX).max(1)
    }

    /// What the spec costs and asks for (KER-4).
    pub fn price(&self) -> Price {
        let (n, t) = (u128::from(self.matrix_size), u128::from(self.iterations));
        let square = n.saturating_mul(n);
        let bytes = |count: u128| u64::try_from(count.saturating_mul(4)).unwrap_or(u64::MAX);
        // A as the seed gives it and as it is multiplied, X before and after a step, and the output.
        let memory = square.saturating_mul(5);
        Price {
            units: self.units(),
            jobs_max: self.jobs_max(),
            memory_bytes: bytes(memory).saturating_add(8 << 20),
            output_bytes: bytes(square),
            inputs: 0,
            // SYN-8: one column costs T n^2 products and the expansion of A.
            disputed_units: Units(
                square.saturating_mul(t).saturating_add(ELEMENT_UNITS.saturating_mul(self.elements())),
            ),
        }
    }

    /// SYN-4: job i of J has the columns from `floor(n i / J)` to `floor(n (i + 1) / J)`.
    pub fn plan(&self, jobs: u32) -> Result<Plan, BadSpec> {
        let max = self.jobs_max();
        if jobs == 0 || jobs > max {
            return Err(BadSpec::Jobs { found: jobs, max });
        }
        let part = |(begin, count)| Geometry { origin: [begin, 0, 0], extent: [count, self.matrix_size, 1] };
        Plan::new(self.units(), runs(self.matrix_size, jobs).map(part).collect())
    }
}
