//! What the API allows: every limit that an operator may choose, with what holds where nobody chooses.

/// The limits of one API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiSettings {
    /// Requests that are answered each second, from everybody together; four times as many after a silence.
    pub requests_per_s: u32,
    /// Requests that one address is answered each second; four times as many after a silence.
    pub address_requests_per_s: u32,
    /// Transactions that are judged each second, from everybody together; four times as many after a silence.
    pub txs_per_s: u32,
    /// Transactions of one address that are judged each second; four times as many after a silence.
    pub address_txs_per_s: u32,
    /// Whether the limits of one address hold also for this machine's own addresses.
    pub limit_loopback: bool,
    /// Connections at the same time.
    pub connections: u32,
    /// Connections of one address at the same time, where it is not this machine.
    pub address_connections: u32,
    /// Readers of live events at the same time.
    pub event_readers: u32,
    /// Requests that wait for a transaction at the same time.
    pub waiting_requests: u32,
    /// Reads of the disk at the same time.
    pub disk_reads: u32,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            requests_per_s: 1_000,
            address_requests_per_s: 100,
            txs_per_s: 20_000,
            address_txs_per_s: 1_000,
            limit_loopback: false,
            // Together with the files of the store they stay below the 1024 descriptors that a process has where
            // nobody says more.
            connections: 512,
            address_connections: 64,
            event_readers: 64,
            waiting_requests: 256,
            disk_reads: 16,
        }
    }
}
