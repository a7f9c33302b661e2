//! What a chain is to the client: a place that takes batches of transfers and gives their receipts.

use anyhow::Result;

/// One request with transfers that were signed before the clock runs, and the one that reads their receipts.
pub(crate) struct Batch {
    /// The body that sends them.
    pub(crate) send: Vec<u8>,
    /// The body that asks for their receipts.
    pub(crate) ask: Vec<u8>,
    /// How many they are.
    pub(crate) count: usize,
}

/// A chain under load.
pub(crate) trait Chain: Sync {
    /// How many places take transfers.
    fn places(&self) -> usize;
    /// Sends a batch to a place; every transfer of it must be taken.
    fn send(&self, agent: &ureq::Agent, place: usize, batch: &Batch) -> Result<()>;
    /// Waits until the receipt of every transfer of a batch was read back, each of a success.
    fn read(&self, agent: &ureq::Agent, place: usize, batch: &Batch) -> Result<()>;
}

/// A client that keeps its connections.
pub(crate) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(core::time::Duration::from_secs(90)))
        .max_idle_connections_per_host(64)
        .http_status_as_error(false);
    ureq::Agent::new_with_config(config.build())
}
