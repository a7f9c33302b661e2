//! From a challenge type to its kernel, and from an order to a prepared task.

use std::sync::Arc;

use cpc_primitives::Mismatch;
use cpc_primitives::ids::Units;
use cpc_primitives::result::{BlobRef, KernelId};

use crate::frame::{BadSpec, Kernel, Plan};
use crate::rendering::Rendering;
use crate::synthetic::Synthetic;

/// The kernels that this build has.
pub struct Registry {
    kernels: Vec<Arc<dyn Kernel>>,
}

impl Registry {
    /// Every kernel of this build.
    pub fn all() -> Self {
        Self { kernels: vec![Arc::new(Synthetic), Arc::new(Rendering)] }
    }

    /// The kernels, in the order of their challenges.
    pub fn kernels(&self) -> impl Iterator<Item = &Arc<dyn Kernel>> {
        self.kernels.iter()
    }

    /// One kernel in exactly one version (KER-11): a result is judged by the version that was ordered.
    pub fn kernel(&self, id: KernelId) -> Result<&Arc<dyn Kernel>, BadSpec> {
        let found = self.kernels.iter().find(|kernel| kernel.id() == id);
        found.ok_or(BadSpec::UnknownKernel { challenge: id.challenge, version: id.version })
    }

    /// The newest version of a challenge type by its name in the API.
    pub fn named(&self, name: &str) -> Option<&Arc<dyn Kernel>> {
        self.kernels.iter().filter(|kernel| kernel.name() == name).max_by_key(|kernel| kernel.id())
    }

    /// The plan of an order whose units and inputs are those that its spec gives (KER-3): what every member of a
    /// committee checks before it accepts a payload.
    pub fn plan(
        &self,
        id: KernelId,
        spec: &[u8],
        inputs: &[BlobRef],
        jobs: u32,
        units: Units,
    ) -> Result<Plan, BadSpec> {
        let kernel = self.kernel(id)?;
        let price = kernel.price(spec)?;
        if inputs.len() != price.inputs {
            return Err(BadSpec::InputCount(Mismatch { expected: price.inputs, found: inputs.len() }));
        }
        if price.units != units {
            return Err(BadSpec::Units(Mismatch { expected: price.units, found: units }));
        }
        kernel.plan(spec, jobs)
    }
}
