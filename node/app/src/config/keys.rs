//! The table of all keys: what each is called, what it is for, how it is read and written.

use super::NodeConfig;
use super::value::Value;

/// One key.
pub struct Key {
    /// Its name: the sections and the row of the file, with dots between them.
    pub name: &'static str,
    /// The kind of its value.
    pub kind: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Reads its value into a configuration; otherwise what it should be.
    pub(super) set: fn(&mut NodeConfig, &str) -> Result<(), String>,
    /// Its value in a configuration, as it is read.
    pub(super) get: fn(&NodeConfig) -> String,
}

impl Key {
    /// The variable of the environment that says it.
    pub fn variable(&self) -> String {
        format!("CPC_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// How the variables of its section begin.
    pub(super) fn variable_section(&self) -> String {
        let section = self.name.split('.').next().unwrap_or_default();
        format!("CPC_{}_", section.to_uppercase())
    }

    /// The key that a variable of this section would have.
    pub(super) fn of_variable(&self, name: &str) -> String {
        let section = self.name.split('.').next().unwrap_or_default();
        let row = name.strip_prefix(&self.variable_section()).unwrap_or(name).to_lowercase();
        format!("{section}.{row}")
    }
}

/// The kind of the value that a path of fields leads to.
const fn kind_of<T: Value>(_: fn(&NodeConfig) -> &T) -> &'static str {
    T::KIND
}

macro_rules! keys {
    ($($name:literal, $($field:ident).+, $help:literal;)*) => {
        /// Every key, section by section.
        pub const KEYS: &[Key] = &[$(Key {
            name: $name,
            kind: kind_of(|config| &config.$($field).+),
            help: $help,
            set: |config, text| {
                config.$($field).+ = Value::read(text)?;
                Ok(())
            },
            get: |config| Value::write(&config.$($field).+),
        }),*];
    };
}

keys! {
    "api.listen", api.listen, "where the chain API listens";
    "api.limits.requests_per_s", api.limits.requests_per_s, "requests that are answered each second, from everybody together";
    "api.limits.address_requests_per_s", api.limits.address_requests_per_s, "the same for one address";
    "api.limits.txs_per_s", api.limits.txs_per_s, "transactions that are judged each second, from everybody together";
    "api.limits.address_txs_per_s", api.limits.address_txs_per_s, "the same for one address";
    "api.limits.loopback", api.limits.limit_loopback, "whether the limits of one address hold also for this machine";
    "api.limits.connections", api.limits.connections, "connections at the same time";
    "api.limits.address_connections", api.limits.address_connections, "the same for one address that is not this machine";
    "api.limits.event_readers", api.limits.event_readers, "readers of live events at the same time";
    "api.limits.waiting_requests", api.limits.waiting_requests, "requests that wait for a transaction at the same time";
    "api.limits.disk_reads", api.limits.disk_reads, "reads of the disk at the same time";
    "chain.interval", chain.interval, "the time between blocks, instead of the chain spec's; devnets only";
    "mempool.transactions", mempool.transactions, "transactions that wait for a block at most";
    "mempool.megabytes", mempool.megabytes, "memory that they take at most";
    "p2p.listen", p2p.listen, "where the network plane listens; a seat where it has registered";
    "p2p.announce", p2p.announce, "where others reach it, where that is elsewhere";
    "p2p.boot", p2p.boot, "whom it calls first";
    "consensus.listen", consensus.listen, "where the validators' plane listens; where the seat has registered if nobody says it";
    "consensus.leader_timeout", consensus.leader_timeout, "how long a leader may take to propose, instead of the interval and 1.5 s; alike on all nodes";
    "consensus.certification_timeout", consensus.certification_timeout, "how long a proposal may take to be certified, instead of 1.5 s more; alike on all nodes";
    "logs.level", logs.level, "from which level on the node logs: error, warn, info, debug, trace";
    "logs.format", logs.format, "text for people, json for programs";
    "metrics.libraries", metrics.libraries, "whether `/metrics` says also what the libraries measure";
}
