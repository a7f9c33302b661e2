//! A bucket into which somebody has ground keys, beside ordinary ones.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, ensure};
use cpc_ledger::Delta;
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::{self, KeyHash};
use cpc_primitives::{Address, Digest};

use crate::node::Node;
use crate::plan::Plan;
use crate::world::{address, record};
use cpc_bench::machine::Machine;
use cpc_bench::report::{Bound, Part};
use cpc_bench::samples::Samples;

/// The numbers of ground accounts, each as its distance from the one before, 10 a line.
///
/// Made by hashing the account of every number from 0 on until enough fell into the bucket, which took ten thousand
/// times a million hashes; whoever changes a byte is found out when they are read.
const NUMBERS: &str = include_str!("../ground-bucket.txt");
/// Where they all fall.
const BUCKET: u32 = 0xcafe5;

/// What was measured of keys of one kind.
struct Side {
    name: &'static str,
    keys: Vec<StateKey>,
    alone: Samples,
    together: Samples,
    durable: Samples,
    siblings: Samples,
}

/// Measures updates in both kinds of buckets of one world.
pub(crate) fn measure(plan: &Plan, machine: &Machine) -> Result<Part> {
    let ground = ground_keys(plan.ground)?;
    let accounts = plan.accounts;
    let mut state: BTreeMap<StateKey, Vec<u8>> =
        (0..accounts).map(|number| (StateKey::account(&address(number)), record(1))).collect();
    state.extend(ground.iter().map(|key| (key.clone(), record(1))));
    let root = tree::root_of(&state);
    let delta: Delta = state.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    let node = Node::with_state(machine, &delta, root)?;
    drop(delta);

    let ordinary = (0..accounts).map(|number| StateKey::account(&address(number))).take(ground.len()).collect();
    let mut sides = [Side::new("ordinary", ordinary), Side::new("ground", ground)];
    for round in 0..=plan.rounds {
        for place in 0..sides.len() {
            let place = if round % 2 == 1 { sides.len() - 1 - place } else { place };
            sides[place].round(&node, plan.singles, round, &mut state)?;
        }
    }
    ensure!(node.store.base().root()? == tree::root_of(&state), "the root is not that of the definition");
    for side in &mut sides {
        side.prove(&node)?;
    }
    Ok(report(plan, &sides))
}

impl Side {
    fn new(name: &'static str, keys: Vec<StateKey>) -> Self {
        let empty = Samples::default;
        Self { name, keys, alone: empty(), together: empty(), durable: empty(), siblings: empty() }
    }

    fn round(
        &mut self,
        node: &Node,
        singles: usize,
        round: usize,
        state: &mut BTreeMap<StateKey, Vec<u8>>,
    ) -> Result<()> {
        let value = record(2 + round as u128);
        let change =
            |keys: &[StateKey]| -> Delta { keys.iter().map(|key| (key.clone(), Some(value.clone()))).collect() };
        // Blocks of one change each, spread over the keys.
        let step = (self.keys.len() / singles).max(1);
        let deltas: Vec<Delta> = self.keys.chunks(step).map(|keys| change(&keys[..1])).collect();
        let mut roots: Vec<Digest> = Vec::with_capacity(deltas.len());
        let start = Instant::now();
        for delta in &deltas {
            roots.push(node.store.overlay(None, delta)?.root());
        }
        let alone = start.elapsed().as_secs_f64() / deltas.len() as f64;
        let before = node.store.base().root()?;
        ensure!(!roots.contains(&before), "a change left the root as it was");

        let (together, durable) = node.commit(&change(&self.keys))?;
        state.extend(self.keys.iter().map(|key| (key.clone(), value.clone())));
        if round > 0 {
            let count = self.keys.len() as f64;
            self.alone.push(alone);
            self.together.push(together / count);
            self.durable.push(durable / count);
        }
        Ok(())
    }

    /// How deep the keys lie in their bucket.
    fn prove(&mut self, node: &Node) -> Result<()> {
        for key in self.keys.iter().step_by((self.keys.len() / 100).max(1)) {
            let (tip, proof) = node.store.prove(key)?;
            ensure!(proof.verify(&tip.header.state_root)?.value().is_some(), "{key:?} is proven to be absent");
            self.siblings.push(proof.bucket_siblings.len() as f64);
        }
        Ok(())
    }
}

/// The first ground keys, each of which is held to its bucket.
fn ground_keys(count: usize) -> Result<Vec<StateKey>> {
    let mut number = 0u64;
    let mut keys = Vec::new();
    for distance in NUMBERS.split_whitespace().take(count) {
        number += distance.parse::<u64>()?;
        let mut name = [0; 20];
        name[..8].copy_from_slice(&number.to_le_bytes());
        let key = StateKey::account(&Address(name));
        let found = KeyHash::of(&key).bucket();
        ensure!(found == BUCKET, "number {number} falls into bucket {found:#x}, not {BUCKET:#x}");
        keys.push(key);
    }
    ensure!(keys.len() == count, "{} ground keys are kept, {count} are wanted", keys.len());
    Ok(keys)
}

fn report(plan: &Plan, sides: &[Side; 2]) -> Part {
    let Plan { ground, accounts, .. } = plan;
    let mut part = Part::new(
        "A ground bucket",
        format!(
            "What does an update cost in a bucket that holds {ground} keys which somebody has ground, beside ordinary \
             buckets of a world of {accounts} accounts?"
        ),
    );
    part.note(format!(
        "Alone: blocks of one change each, until the root is known. Together: one block changes all {ground} keys, either \
         those of the one bucket or as many in as many buckets. Pages are warm."
    ));
    for Side { name, alone, .. } in sides {
        part.row(format!("store::root/bucket={name},keys=1"), alone.map(|seconds| seconds * 1e6), "us an update");
    }
    for Side { name, together, .. } in sides {
        let together = together.map(|seconds| seconds * 1e6);
        part.row(format!("store::root/bucket={name},keys={ground}"), together, "us an update");
    }
    for Side { name, durable, .. } in sides {
        let durable = durable.map(|seconds| seconds * 1e6);
        part.row(format!("store::commit/bucket={name},keys={ground}"), durable, "us an update, durable");
    }
    for Side { name, siblings, .. } in sides {
        part.row(format!("light::bucket_siblings/bucket={name}"), siblings.clone(), "hashes of a proof");
    }
    let [ordinary, hit] = sides;
    // An ordinary update would be no goal to stay below.
    let [must, goal] = [3.0, 3.0].map(Bound::AtMost);
    part.verdict("one update, ground over ordinary", hit.alone.over(&ordinary.alone), must, goal);
    let what = format!("{ground} updates together, ground over ordinary");
    part.verdict(what, hit.together.over(&ordinary.together), must, goal);
    let what = format!("{ground} durable updates, ground over ordinary");
    part.verdict(what, hit.durable.over(&ordinary.durable), must, goal);
    part
}
