//! What the node measures: one registry with names that never change, and the text that a scraper reads.

use std::fmt;
use std::time::Duration;

use cpc_ledger::{Receipt, TxOutcome};
use cpc_primitives::tx::SignedTx;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// Everything that one node measures. No label is an address, a hash or anything else that strangers choose.
pub struct Metrics {
    registry: Registry,
    /// The height of the last final block.
    pub chain_height: IntGauge,
    /// When the last final block was proposed.
    pub chain_head_time: IntGauge,
    /// Final transactions, by what was asked and how it ended.
    transactions: IntCounterVec,
    /// How long the building or the execution of a block took.
    pub block_apply: Histogram,
    /// How long a final block took to the disk and into the index.
    pub block_commit: Histogram,
    /// The height that this node is on its way to.
    pub sync_target_height: IntGauge,
    /// Attempts to make a block, successful or not.
    pub consensus_rounds: IntCounter,
    /// Attempts whose leader made no block.
    pub consensus_missed_blocks: IntCounter,
    /// Connections to other nodes.
    peers: IntGaugeVec,
    /// Transactions that wait for a block.
    pub mempool_transactions: IntGauge,
    /// Their bytes.
    pub mempool_bytes: IntGauge,
    /// Transactions that were offered, by who offered them and what came of it.
    mempool_arrivals: IntCounterVec,
    /// Transactions that wait no more, by reason.
    mempool_departures: IntCounterVec,
    /// Answers of the HTTP servers.
    http_requests: IntCounterVec,
    http_duration: HistogramVec,
    /// Requests that wait for a transaction.
    pub waiting_requests: IntGauge,
    /// Readers of live events.
    pub event_readers: IntGauge,
    /// Readers of live events that took too little.
    pub event_readers_dropped: IntCounter,
    /// Whether each check of readiness holds.
    ready: IntGaugeVec,
}

impl Metrics {
    /// All of them at zero.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::new(),
            chain_height: gauge("cpc_chain_height", "The height of the last final block."),
            chain_head_time: gauge(
                "cpc_chain_head_time_seconds",
                "The unix time at which the last final block was proposed.",
            ),
            transactions: counters(
                "cpc_chain_transactions_total",
                "Transactions of final blocks, by type and result.",
                &["type", "result"],
            ),
            block_apply: seconds(
                "cpc_chain_block_apply_seconds",
                "How long the building or the execution of a block took.",
            ),
            block_commit: seconds(
                "cpc_chain_block_commit_seconds",
                "How long a final block took to the disk and into the index.",
            ),
            sync_target_height: gauge("cpc_sync_target_height", "The height that this node is on its way to."),
            consensus_rounds: counter("cpc_consensus_rounds_total", "Attempts to make a block, successful or not."),
            consensus_missed_blocks: counter(
                "cpc_consensus_missed_blocks_total",
                "Attempts whose leader made no block.",
            ),
            peers: gauges("cpc_peers", "Connections to other nodes, by plane.", &["plane"]),
            mempool_transactions: gauge("cpc_mempool_transactions", "Transactions that wait for a block."),
            mempool_bytes: gauge("cpc_mempool_bytes", "Bytes that the transactions that wait for a block count."),
            mempool_arrivals: counters(
                "cpc_mempool_arrivals_total",
                "Transactions that were offered, by who offered them and what came of it.",
                &["source", "outcome"],
            ),
            mempool_departures: counters(
                "cpc_mempool_departures_total",
                "Transactions that wait no more, by reason.",
                &["reason"],
            ),
            http_requests: counters(
                "cpc_http_requests_total",
                "Answered requests, by method, route and status.",
                &["method", "route", "status"],
            ),
            http_duration: HistogramVec::new(
                HistogramOpts::new("cpc_http_request_duration_seconds", "How long an answer took to begin, by route.")
                    .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0]),
                &["route"],
            )
            .expect("a valid name and rising buckets"),
            waiting_requests: gauge("cpc_http_waiting_requests", "Requests that wait for a transaction."),
            event_readers: gauge("cpc_http_event_readers", "Readers of live events."),
            event_readers_dropped: counter(
                "cpc_http_event_readers_dropped_total",
                "Readers of live events that took too little.",
            ),
            ready: gauges("cpc_ready", "Whether a check of readiness holds.", &["check"]),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let build = gauges("cpc_build_info", "Always 1; its label says which version runs.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let gauges = [&self.chain_height, &self.chain_head_time, &self.sync_target_height, &self.mempool_transactions];
        let gauges = gauges.into_iter().chain([&self.mempool_bytes, &self.waiting_requests, &self.event_readers]);
        let mut all: Vec<Box<dyn prometheus::core::Collector>> = vec![Box::new(build)];
        all.extend(gauges.map(|gauge| Box::new(gauge.clone()) as Box<_>));
        for counter in [&self.consensus_rounds, &self.consensus_missed_blocks, &self.event_readers_dropped] {
            all.push(Box::new(counter.clone()));
        }
        let labelled = [&self.transactions, &self.mempool_arrivals, &self.mempool_departures, &self.http_requests];
        for counters in labelled {
            all.push(Box::new(counters.clone()));
        }
        for gauges in [&self.peers, &self.ready] {
            all.push(Box::new(gauges.clone()));
        }
        all.push(Box::new(self.block_apply.clone()));
        all.push(Box::new(self.block_commit.clone()));
        all.push(Box::new(self.http_duration.clone()));
        for collector in all {
            self.registry.register(collector).expect("every name is registered once");
        }
    }

    /// The transactions of a block that became final, with what became of them.
    pub fn count_txs(&self, txs: &[SignedTx], receipts: &[Receipt]) {
        for (tx, receipt) in txs.iter().zip(receipts) {
            let result = match receipt.outcome {
                TxOutcome::Done | TxOutcome::Judged(_) => "applied",
                TxOutcome::Failed(_) => "failed",
            };
            self.transactions.with_label_values(&[tx.body.action.name(), result]).inc();
        }
    }

    /// A transaction that was offered: both labels are words of this program.
    pub fn arrived(&self, source: &str, outcome: &str) {
        self.mempool_arrivals.with_label_values(&[source, outcome]).inc();
    }

    /// Transactions that left the pool.
    pub fn departed(&self, reason: &str, count: usize) {
        if count > 0 {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.mempool_departures.with_label_values(&[reason]).inc_by(count);
        }
    }

    /// An answer that has begun: its route is the template, never the path that a stranger wrote.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let method = if matches!(method, "GET" | "POST" | "HEAD") { method } else { "other" };
        self.http_requests.with_label_values(&[method, route, &status.to_string()]).inc();
        self.http_duration.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    /// How many peers each plane has.
    pub fn set_peers<'a>(&self, planes: impl Iterator<Item = (&'a str, i64)>) {
        self.peers.reset();
        for (plane, count) in planes {
            self.peers.with_label_values(&[plane]).set(count);
        }
    }

    /// Whether each check holds.
    pub fn set_ready<'a>(&self, checks: impl Iterator<Item = (&'a str, bool)>) {
        self.ready.reset();
        for (check, ok) in checks {
            self.ready.with_label_values(&[check]).set(ok.into());
        }
    }

    /// What a scraper reads, with the texts of other registries behind it.
    pub fn text(&self, others: impl Iterator<Item = String>) -> String {
        let mut text = String::new();
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text).expect("a registry of valid families");
        for other in others {
            // The end that other formats mark would be the end of ours.
            for line in other.lines().filter(|line| !line.is_empty() && *line != "# EOF") {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// The time of work on a block: from a millisecond to what no interval has room for.
fn seconds(name: &str, help: &str) -> Histogram {
    let buckets = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
    Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)).expect("a valid name and rising buckets")
}

fn gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::new(name, help).expect("a valid name")
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), labels).expect("a valid name and valid labels")
}

fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::new(name, help).expect("a valid name")
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("a valid name and valid labels")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_stands_in_the_text() {
        let metrics = Metrics::new();
        metrics.chain_height.set(7);
        metrics.answered("GET", "/api/v1/status", 200, Duration::from_millis(3));
        metrics.answered("BREW", "none", 405, Duration::ZERO);
        metrics.set_ready([("blocks", true), ("peers", false)].into_iter());
        metrics.set_peers([("network", 3)].into_iter());
        metrics.block_apply.observe(0.02);
        let text = metrics.text([String::from("# HELP x y\nx 1\n\n# EOF\n")].into_iter());
        for line in [
            "cpc_chain_height 7",
            "cpc_http_requests_total{method=\"GET\",route=\"/api/v1/status\",status=\"200\"} 1",
            "cpc_http_requests_total{method=\"other\",route=\"none\",status=\"405\"} 1",
            "cpc_ready{check=\"blocks\"} 1",
            "cpc_ready{check=\"peers\"} 0",
            "cpc_peers{plane=\"network\"} 3",
            "cpc_chain_block_apply_seconds_count 1",
            "x 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing from\n{text}");
        }
        assert!(!text.contains("EOF"));
        metrics.set_ready([("blocks", true)].into_iter());
        assert!(!metrics.text(std::iter::empty()).contains("\"peers\""), "a check that is gone is forgotten");
    }
}
