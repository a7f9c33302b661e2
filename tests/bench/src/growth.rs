//! Whether the root of the same touched accounts takes longer in a larger world.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, ensure};
use cpc_ledger::Delta;
use cpc_primitives::state::StateKey;
use cpc_primitives::tree;

use crate::node::Node;
use crate::plan::Plan;
use crate::world::{address, record};
use cpc_bench::machine::Machine;
use cpc_bench::report::{Bound, Part};
use cpc_bench::samples::Samples;

/// One world and what was measured in it.
struct Grown {
    accounts: u32,
    node: Node,
    warm: Samples,
    cold: Samples,
    disk_reads: Samples,
}

/// Measures the root in worlds of three sizes.
pub(crate) fn measure(plan: &Plan, machine: &Machine) -> Result<Part> {
    let mut worlds = Vec::new();
    for accounts in plan.worlds {
        worlds.push(Grown::new(machine, accounts)?);
    }
    let order: Vec<usize> = (0..worlds.len()).collect();
    for round in 0..=plan.rounds {
        let turned = order.iter().rev();
        let order: Vec<usize> = if round % 2 == 1 { turned.copied().collect() } else { order.clone() };
        for place in order {
            let delta = touch(plan.touched, round as u128);
            worlds[place].round(&delta, round > 0)?;
        }
    }
    for world in &worlds {
        world.check(plan.touched)?;
    }
    Ok(report(plan, &worlds))
}

impl Grown {
    fn new(machine: &Machine, accounts: u32) -> Result<Self> {
        let state = state(accounts);
        let root = tree::root_of(&state);
        let delta: Delta = state.into_iter().map(|(key, value)| (key, Some(value))).collect();
        let node = Node::with_state(machine, &delta, root)?;
        Ok(Self { accounts, node, warm: Samples::default(), cold: Samples::default(), disk_reads: Samples::default() })
    }

    /// The root with no page in memory, and at once again with all of them there.
    fn round(&mut self, delta: &Delta, counts: bool) -> Result<()> {
        let store = &self.node.store;
        store.forget_pages();
        let before = store.stats()?.disk_reads;
        let root = |delta: &Delta| -> Result<_> {
            let start = Instant::now();
            let overlay = store.overlay(None, delta)?;
            Ok((overlay.root(), start.elapsed().as_secs_f64()))
        };
        let (first, cold) = root(delta)?;
        let disk_reads = store.stats()?.disk_reads - before;
        let (second, warm) = root(delta)?;
        ensure!(first == second, "the same change has two roots");
        if counts {
            self.cold.push(cold);
            self.warm.push(warm);
            self.disk_reads.push(disk_reads as f64);
        }
        Ok(())
    }

    /// The root of a touched world is that of the definition.
    fn check(&self, touched: u32) -> Result<()> {
        let delta = touch(touched, 99);
        let mut state = state(self.accounts);
        state.extend(delta.iter().filter_map(|(key, value)| Some((key.clone(), value?.to_vec()))));
        let (expected, found) = (tree::root_of(&state), self.node.store.overlay(None, &delta)?.root());
        ensure!(expected == found, "{} accounts: {expected} by the definition, {found} found", self.accounts);
        Ok(())
    }
}

/// A world of accounts, the same ones in every world as far as they go.
fn state(accounts: u32) -> BTreeMap<StateKey, Vec<u8>> {
    (0..accounts).map(|number| (StateKey::account(&address(number)), record(1))).collect()
}

/// New balances for the first accounts, which are in every world.
fn touch(touched: u32, round: u128) -> Delta {
    (0..touched).map(|number| (StateKey::account(&address(number)), Some(record(2 + round)))).collect()
}

fn report(plan: &Plan, worlds: &[Grown]) -> Part {
    let touched = plan.touched;
    let mut part = Part::new(
        "Growth",
        format!("How much longer does the root take in a larger world, where the same {touched} accounts are touched?"),
    );
    part.note(
        "Warm: the pages are in the store's memory. Cold: the store has forgotten all of its pages and reads them from \
         RocksDB, whose table files are in its own cache or the system's.",
    );
    let millis = |seconds: &Samples| seconds.map(|seconds| seconds * 1e3);
    for Grown { accounts, warm, .. } in worlds {
        part.row(format!("store::root/accounts={accounts},pages=warm"), millis(warm), "ms");
    }
    for Grown { accounts, cold, .. } in worlds {
        part.row(format!("store::root/accounts={accounts},pages=cold"), millis(cold), "ms");
    }
    for Grown { accounts, disk_reads, .. } in worlds {
        part.row(format!("store::disk_reads/accounts={accounts},pages=cold"), disk_reads.clone(), "pages");
    }
    let (small, large) = (&worlds[0], &worlds[worlds.len() - 1]);
    let [must, goal] = [2.0, 1.3].map(Bound::AtMost);
    let what = |pages: &str| format!("root of {touched} accounts, {} over {}, {pages}", large.accounts, small.accounts);
    part.verdict(what("warm"), large.warm.over(&small.warm), must, goal);
    part.verdict(what("cold"), large.cold.over(&small.cold), must, goal);
    part
}
