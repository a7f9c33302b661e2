//! Durable updates of the state beside two rivals.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use cpc_primitives::tree;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::plan::Plan;
use crate::rivals::{Change, Jellyfish, Nearly, Ours, Rival};
use cpc_bench::machine::{Machine, Watch, settle, written};
use cpc_bench::report::{Bound, Part};
use cpc_bench::samples::Samples;

/// Keys of one commit while a map is filled.
const FILL: usize = 100_000;
/// Keys that are read back from every map at the end.
const READ_BACK: usize = 1_000;

/// One map and what was measured of it.
struct Side {
    map: Box<dyn Rival>,
    seconds: Samples,
    work: Samples,
    background: Samples,
    bytes: Samples,
    more: BTreeMap<&'static str, Samples>,
}

/// Measures random updates of a large map.
pub(crate) fn measure(plan: &Plan, machine: &Machine) -> Result<Part> {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut keys: Vec<[u8; 32]> = (0..plan.keys).map(|_| bytes(&mut random)).collect();
    keys.sort_unstable();
    let maps: [Box<dyn Rival>; 3] =
        [Box::new(Ours::new(machine)?), Box::new(Nearly::new(machine, plan)?), Box::new(Jellyfish::new(machine)?)];
    let mut sides = maps.map(Side::new);
    let mut expected: BTreeMap<[u8; 32], [u8; 32]> = BTreeMap::new();
    for keys in keys.chunks(FILL) {
        let changes: Vec<Change> = keys.iter().map(|key| (*key, bytes(&mut random))).collect();
        expected.extend(changes.iter().copied());
        for side in &mut sides {
            side.map.commit(&changes)?;
        }
    }
    check(&sides, &expected, &keys)?;
    settle()?;

    for round in 0..=plan.rounds {
        let commits: Vec<Vec<Change>> = (0..plan.commits)
            .map(|_| {
                let (picked, _) = keys.partial_shuffle(&mut random, plan.updated);
                let mut picked = picked.to_vec();
                picked.sort_unstable();
                picked.into_iter().map(|key| (key, bytes(&mut random))).collect()
            })
            .collect();
        expected.extend(commits.iter().flatten().copied());
        for place in 0..sides.len() {
            let first = if round % 2 == 1 { sides.len() - 1 - place } else { place };
            sides[first].round(&commits, round > 0)?;
        }
    }
    check(&sides, &expected, &keys)?;
    Ok(report(plan, &sides))
}

impl Side {
    fn new(map: Box<dyn Rival>) -> Self {
        let empty = Samples::default;
        Self { map, seconds: empty(), work: empty(), background: empty(), bytes: empty(), more: BTreeMap::new() }
    }

    fn round(&mut self, commits: &[Vec<Change>], counts: bool) -> Result<()> {
        let updates = commits.iter().map(Vec::len).sum::<usize>() as f64;
        self.map.more()?;
        let before = written()?;
        let watch = Watch::start()?;
        for changes in commits {
            self.map.commit(changes)?;
        }
        let (seconds, work) = watch.stop(updates)?;
        // The next side begins when this one has done what it put off.
        let background = settle()? / updates;
        if counts {
            self.seconds.push(seconds);
            self.work.push(work);
            self.background.push(background);
            for (name, value) in self.map.more()? {
                self.more.entry(name).or_default().push(value / updates);
            }
            self.bytes.push((written()? - before) as f64 / updates);
        }
        Ok(())
    }
}

/// Every map has the same values, and ours the root of the definition.
fn check(sides: &[Side; 3], expected: &BTreeMap<[u8; 32], [u8; 32]>, keys: &[[u8; 32]]) -> Result<()> {
    for Side { map, .. } in sides {
        let step = (keys.len() / READ_BACK).max(1);
        for key in keys.iter().step_by(step) {
            let (expected, found) = (expected.get(key).map(|value| value.to_vec()), map.read(key)?);
            ensure!(expected == found, "{}: {key:?} has {found:?} and must have {expected:?}", map.name());
        }
    }
    let state = expected.iter().map(|(key, value)| (crate::rivals::state_key(key), value.to_vec())).collect();
    ensure!(sides[0].map.root()? == tree::root_of(&state).0, "the root is not that of the definition");
    let roots = [sides[0].map.root()?, sides[1].map.root()?, sides[2].map.root()?];
    ensure!(roots[0] != roots[1] && roots[1] != roots[2], "three different trees have one root");
    Ok(())
}

fn report(plan: &Plan, sides: &[Side; 3]) -> Part {
    let Plan { keys, updated, commits, .. } = plan;
    let mut part = Part::new(
        "Durable updates of the state",
        format!(
            "How many updates of the state a second are safe on the disk with a new root, {updated} random ones of \
             {keys} keys a commit, beside nomt and jmt with the same keys and values?"
        ),
    );
    part.note(format!(
        "{commits} commits of each side a round, keys and values of 32 bytes. The clock runs from the sorted changes in \
         memory, which each side first puts into its own form, until the commit returns; what a side does after that, \
         it does before the next one's turn."
    ));
    for Side { map, .. } in sides {
        part.note(format!("{}: {}.", map.name(), map.settings()));
    }
    for Side { map, seconds, .. } in sides {
        part.row(format!("{}::commit/keys={updated}", map.name()), seconds.map(|s| 1.0 / s), "updates a second");
    }
    for Side { map, work, .. } in sides {
        let name = format!("{}::commit/keys={updated},clock=work", map.name());
        part.row(name, work.map(|seconds| seconds * 1e6), "us of all cores an update");
    }
    for Side { map, background, .. } in sides {
        let name = format!("{}::background/keys={updated},clock=work", map.name());
        part.row(name, background.map(|seconds| seconds * 1e6), "us of all cores an update, after its turn");
    }
    for Side { map, bytes, .. } in sides {
        let name = format!("{}::written/keys={updated}", map.name());
        part.row(name, bytes.clone(), "bytes an update, by the kernel, until it was at rest");
    }
    for (name, samples) in sides.iter().flat_map(|side| &side.more) {
        let (name, unit) = name.split_once(", ").expect("a name and its unit");
        part.row(format!("{name}/keys={updated}"), samples.clone(), unit);
    }
    let [ours, nomt, jmt] = sides;
    let [must, goal] = [2.0, 5.0].map(Bound::AtLeast);
    part.verdict("durable updates, ours over nomt", nomt.seconds.over(&ours.seconds), must, goal);
    part.row("ratio::ours_over_jmt", jmt.seconds.over(&ours.seconds), "times");
    part
}

fn bytes(random: &mut ChaCha8Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    random.fill_bytes(&mut bytes);
    bytes
}
