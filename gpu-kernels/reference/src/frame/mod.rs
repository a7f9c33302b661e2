//! The frame into which every kernel fits: the five functions, the registry, the port to devices, and the errors.

mod error;
mod executor;
mod inputs;
mod kernel;
mod plan;
mod registry;
mod secret;
mod watch;

pub use error::{BadSpec, InputError, PrepareError, RunError};
pub use executor::{Cpu, Executor, Reference};
pub use inputs::{Inputs, blob_ref};
pub use kernel::{Checker, Effort, Judgement, Kernel, Output, PreparedTask, Soundness, Wrong};
pub use plan::{Job, Plan, Price, result_hash, runs};
pub use registry::Registry;
pub use secret::{SampleSeed, Secret};
pub use watch::Watch;
