//! What every bench of this package shares: the machine, the samples of a quantity, and the report.

pub mod machine;
pub mod report;
pub mod samples;
