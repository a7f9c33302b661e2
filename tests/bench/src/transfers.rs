//! Transfers from signed bytes to a safe disk: in parts, in a row, and with each stage at another block.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use cpc_ledger::{Executed, Receipt, Session, StateRead, TxOutcome, VerifiedTx, Verifier};
use cpc_primitives::codec::encode;
use cpc_primitives::signing::{Claim, verify_batch, verify_batch_by_library};
use cpc_primitives::tx::SignedTx;
use cpc_primitives::{Block, Bounded, Header};
use cpc_store::{Overlay, Store};
use rayon::prelude::*;

use crate::node::Node;
use crate::plan::{BlockPlan, Plan};
use crate::world::World;
use crate::{memory, proofs};
use cpc_bench::machine::{Machine, Watch, folder_bytes, settle, written};
use cpc_bench::report::{Bound, Part};
use cpc_bench::samples::{Samples, Timed};

/// Sizes of a batch among which the machine's best is looked for.
const BATCHES: [usize; 7] = [64, 128, 256, 512, 1_024, 2_048, 4_096];
/// What a verifier of a node remembers.
const VERIFIED_MAX: usize = 200_000;
/// Blocks that may wait between two stages.
const WAITING_MAX: usize = 1;

/// Which stages of a run have a thread of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stages {
    /// Only the commit.
    Commit,
    /// The commit, and the signatures of the block that comes next.
    VerifyAndCommit,
}

/// A block that was executed, ready to be committed.
struct Ready {
    overlay: Arc<Overlay>,
    block: Block,
    certificate: Vec<u8>,
    receipts: Vec<Receipt>,
}

/// Seconds for one transfer, in parts.
#[derive(Default)]
struct Parts {
    verify: Timed,
    prepare: Timed,
    rules: Timed,
    root: Timed,
    commit: Timed,
    disk_reads: Samples,
}

/// Everything that is measured of one size of blocks; times are of one transfer.
struct Sized {
    plan: BlockPlan,
    parts: Parts,
    limit: Timed,
    own: Timed,
    batches: Vec<(usize, f64)>,
    commit_apart: Samples,
    verify_apart: Samples,
    background: Samples,
    given: Samples,
    block_bytes: Samples,
}

/// Measures transfers, proofs and memory in one world.
pub(crate) fn measure(plan: &Plan, machine: &Machine) -> Result<Vec<Part>> {
    let mut world = World::new(plan.accounts, plan.senders)?;
    let node = Node::empty(machine)?;
    // The store refuses block 0 unless it finds the same root as the genesis code, which uses the definition.
    node.store.init(&world.genesis.header, &world.genesis.state)?;
    node.kv.flush()?;
    let mut sized: Vec<Sized> = plan.blocks.iter().map(|plan| Sized::new(*plan)).collect();

    let (disk, given) = (written()?, node.store.stats()?.written_bytes);
    let mut transfers = 0;
    // All rounds of one size come together, so that what RocksDB does later is paid by those who caused it.
    for size in &mut sized {
        transfers += size.round(&mut world, &node.store, None)?;
        world.check(&node.store)?;
        for round in 0..plan.rounds {
            transfers += size.round(&mut world, &node.store, Some(round))?;
        }
    }
    // What is still in memory was not written yet; this run has to pay for it.
    node.kv.flush()?;
    let disk = written()? - disk;
    let given = node.store.stats()?.written_bytes - given;
    world.check(&node.store)?;

    let mut parts: Vec<Part> = sized.iter().map(|size| size.report(plan.accounts)).collect();
    parts.push(proofs::measure(plan, &world, &node.store)?);
    parts.push(bytes_part(&sized, transfers, disk, given, folder_bytes(node.folder.path())?));
    let Node { store, kv, folder } = node;
    drop((store, kv));
    parts.push(memory::measure(&world, folder.path())?);
    Ok(parts)
}

impl Sized {
    fn new(plan: BlockPlan) -> Self {
        Self {
            plan,
            parts: Parts::default(),
            limit: Timed::default(),
            own: Timed::default(),
            batches: Vec::new(),
            commit_apart: Samples::default(),
            verify_apart: Samples::default(),
            background: Samples::default(),
            given: Samples::default(),
            block_bytes: Samples::default(),
        }
    }

    /// Signs fresh blocks, and lets every way take its turn; without a number the round only warms up.
    fn round(&mut self, world: &mut World, store: &Store, number: Option<usize>) -> Result<u64> {
        let BlockPlan { txs, in_parts, in_pipeline } = self.plan;
        let mut blocks = |count: usize| -> Vec<Vec<SignedTx>> { (0..count).map(|_| world.sign(txs)).collect() };
        let (in_parts, commit_apart, verify_apart) = (blocks(in_parts), blocks(in_pipeline), blocks(in_pipeline));
        let claims: Vec<Claim> = commit_apart.iter().flatten().map(SignedTx::claim).collect();
        let count = [&in_parts, &commit_apart, &verify_apart].map(|blocks| blocks.len()).iter().sum::<usize>();
        if number.is_none() {
            self.batches = batches(&claims)?;
        }
        let mut one = Self::new(self.plan);
        // Blocks have an order, so the side that needs no state moves around them.
        let turned = number.is_some_and(|number| number % 2 == 1);
        if !turned {
            one.limit.push(limit(&claims, self.batch())?);
            one.own.push(own(&claims, self.batch())?);
        }
        one.in_parts(world, store, in_parts)?;
        let before = store.stats()?.written_bytes;
        one.commit_apart.push(pipeline(world, store, commit_apart, Stages::Commit)?);
        let given = store.stats()?.written_bytes - before;
        one.given.push(given as f64 / claims.len() as f64);
        one.verify_apart.push(pipeline(world, store, verify_apart, Stages::VerifyAndCommit)?);
        let count = count as u64 * u64::from(txs);
        one.background.push(settle()? / count as f64);
        if turned {
            one.limit.push(limit(&claims, self.batch())?);
            one.own.push(own(&claims, self.batch())?);
        }
        if number.is_some() {
            self.take(&one);
        }
        Ok(count)
    }

    /// The size of a batch that takes the least work.
    fn batch(&self) -> usize {
        let least = self.batches.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        least.map_or(BATCHES[0], |(batch, _)| *batch)
    }

    /// Adds the medians of one round.
    fn take(&mut self, one: &Self) {
        let timed = [
            (&mut self.parts.verify, &one.parts.verify),
            (&mut self.parts.prepare, &one.parts.prepare),
            (&mut self.parts.rules, &one.parts.rules),
            (&mut self.parts.root, &one.parts.root),
            (&mut self.parts.commit, &one.parts.commit),
            (&mut self.limit, &one.limit),
            (&mut self.own, &one.own),
        ];
        for (all, one) in timed {
            all.push(one.median());
        }
        let sides = [
            (&mut self.parts.disk_reads, &one.parts.disk_reads),
            (&mut self.commit_apart, &one.commit_apart),
            (&mut self.verify_apart, &one.verify_apart),
            (&mut self.background, &one.background),
            (&mut self.given, &one.given),
            (&mut self.block_bytes, &one.block_bytes),
        ];
        for (all, one) in sides {
            all.push(one.median());
        }
    }

    /// One block after the other, each part alone on both cores.
    fn in_parts(&mut self, world: &World, store: &Store, blocks: Vec<Vec<SignedTx>>) -> Result<()> {
        for txs in blocks {
            let count = txs.len() as f64;
            let verifier = Verifier::new(VERIFIED_MAX);
            let (parent, before) = (tip(store)?, store.stats()?.disk_reads);

            let watch = Watch::start()?;
            let txs = verifier.verify(txs)?;
            self.parts.verify.push(watch.stop(count)?);

            let watch = Watch::start()?;
            let base = store.base();
            let session = prepare(world, &base, &parent, &txs)?;
            self.parts.prepare.push(watch.stop(count)?);

            let watch = Watch::start()?;
            let executed = execute(session, &txs)?;
            self.parts.rules.push(watch.stop(count)?);

            let watch = Watch::start()?;
            let overlay = store.overlay(None, executed.delta())?;
            self.parts.root.push(watch.stop(count)?);

            let watch = Watch::start()?;
            let ready = Ready::new(world, overlay, &executed, txs)?;
            ready.commit(store)?;
            self.parts.commit.push(watch.stop(count)?);
            self.block_bytes.push(ready.block.encode().len() as f64 / count);
            self.parts.disk_reads.push((store.stats()?.disk_reads - before) as f64 / count);
        }
        Ok(())
    }

    fn report(&self, accounts: u32) -> Part {
        let Self { plan: BlockPlan { txs, in_pipeline, .. }, parts, limit, commit_apart, verify_apart, .. } = self;
        let batch = self.batch();
        let title = if *txs >= 10_000 { "Transfers in large blocks" } else { "Transfers in small blocks" };
        let mut part = Part::new(
            title,
            format!(
                "How many transfers a second does a node apply on both cores, in blocks of {txs} distinct senders over \
                 {accounts} accounts, and what share of the signatures that the machine can check at all is that?"
            ),
        );
        part.note(format!(
            "The limit is a batch of `ed25519-zebra` over the same signatures, {batch} in a batch, the best of {BATCHES:?}, on \
             both cores, and nothing else. Ours is the chain's own batch in its place: where the processor has AVX-512 \
             it computes the same equation on eight lanes. No key is remembered, decompressed or not."
        ));
        part.note(
            "Rows with `clock=work` say for how long the processor worked, all cores together, whatever else it did \
             meanwhile; the others say what passed.",
        );
        part.note(
            "Ours checks every signature: the verifier's memory is empty. To prepare is to find the accounts of the \
             block's transactions in the store, to execute is to apply the rules; both count.",
        );
        part.note(
            "Durable means synced: the commit of a block returns after RocksDB has synced its log. Everything is \
             RocksDB's and the store's default.",
        );
        part.note(format!(
            "Sustained is a run of {in_pipeline} blocks, from the first signature to the last sync. Commit apart: a \
             block is committed on a thread of its own while the next is verified and executed over its state. Verify \
             apart: the signatures of the block after that are checked meanwhile, too."
        ));
        let rate = |seconds: &Samples| seconds.map(|seconds| 1.0 / seconds);
        let micros = |seconds: &Samples| seconds.map(|seconds| seconds * 1e6);
        for (name, timed) in [
            ("ledger::verify", &parts.verify),
            ("ledger::prepare", &parts.prepare),
            ("ledger::execute", &parts.rules),
            ("store::root", &parts.root),
            ("store::commit", &parts.commit),
        ] {
            part.row(format!("{name}/txs={txs}"), micros(&timed.wall), "us a transfer");
            part.row(format!("{name}/txs={txs},clock=work"), micros(&timed.work), "us a transfer");
        }
        part.row(format!("zebra::verify_batch/txs={txs},clock=work"), micros(&limit.work), "us a signature");
        part.row(format!("primitives::verify_batch/txs={txs},clock=work"), micros(&self.own.work), "us a signature");
        let background = micros(&self.background);
        part.row(format!("rocksdb::background/txs={txs},clock=work"), background, "us a transfer, after the round");
        part.row(format!("store::disk_reads/txs={txs}"), parts.disk_reads.clone(), "pages a transfer");
        let in_memory = parts.verify.plus(&parts.prepare).plus(&parts.rules).plus(&parts.root);
        let durable = in_memory.plus(&parts.commit);
        part.row(format!("zebra::verify_batch/txs={txs}"), rate(&limit.wall), "signatures a second");
        part.row(format!("primitives::verify_batch/txs={txs}"), rate(&self.own.wall), "signatures a second");
        part.row(format!("node::apply/txs={txs}"), rate(&in_memory.wall), "transfers a second");
        part.row(format!("node::apply_and_commit/txs={txs}"), rate(&durable.wall), "transfers a second");
        part.row(format!("node::sustained/txs={txs},apart=commit"), rate(commit_apart), "transfers a second");
        part.row(format!("node::sustained/txs={txs},apart=verify+commit"), rate(verify_apart), "transfers a second");
        for (batch, work) in &self.batches {
            let name = format!("zebra::verify_batch/txs={txs},batch={batch},clock=work");
            part.row(name, Samples::one(work * 1e6), "us a signature, the least of 3");
        }
        let work = limit.work.over(&in_memory.work);
        part.row(format!("ratio::limit_over_apply/txs={txs},clock=work"), work, "of the work");
        let work = limit.work.over(&durable.work);
        part.row(format!("ratio::limit_over_apply_and_commit/txs={txs},clock=work"), work, "of the work");
        let [must, half, goal] = [0.70, 0.35, 0.70].map(Bound::AtLeast);
        part.verdict(
            format!("verify + execute + root over the limit, {txs}"),
            limit.wall.over(&in_memory.wall),
            must,
            goal,
        );
        part.verdict(format!("the same and the commit in a row, {txs}"), limit.wall.over(&durable.wall), half, goal);
        part.verdict(format!("sustained with the commit apart, {txs}"), limit.wall.over(commit_apart), half, goal);
        part.verdict(
            format!("sustained with verify and commit apart, {txs}"),
            limit.wall.over(verify_apart),
            half,
            goal,
        );
        part
    }
}

impl Ready {
    fn new(world: &World, overlay: Arc<Overlay>, executed: &Executed, txs: Vec<VerifiedTx>) -> Result<Self> {
        let header = executed.header(overlay.root());
        let certificate = world.certify(&header)?;
        let txs = txs.into_iter().map(VerifiedTx::into_tx).collect();
        let block = Block { header, txs: Bounded::new(txs)? };
        Ok(Self { overlay, block, certificate, receipts: executed.receipts().to_vec() })
    }

    fn commit(&self, store: &Store) -> Result<()> {
        Ok(store.commit(&self.overlay, &self.block, &self.certificate, &encode(&self.receipts))?)
    }
}

/// Runs a list of blocks to the disk with stages side by side; the seconds of one transfer.
fn pipeline(world: &World, store: &Store, blocks: Vec<Vec<SignedTx>>, stages: Stages) -> Result<f64> {
    let count = blocks.iter().map(Vec::len).sum::<usize>() as f64;
    let verifier = Verifier::new(VERIFIED_MAX);
    let (verifier, mut parent) = (&verifier, tip(store)?);
    let start = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let (ready, to_commit) = sync_channel::<Ready>(WAITING_MAX);
        let committer = scope.spawn(move || to_commit.iter().try_for_each(|ready| ready.commit(store)));
        let verified: Box<dyn Iterator<Item = Result<Vec<VerifiedTx>>> + Send> = match stages {
            Stages::Commit => Box::new(blocks.into_iter().map(move |txs| Ok(verifier.verify(txs)?))),
            Stages::VerifyAndCommit => {
                let (verified, to_execute) = sync_channel(WAITING_MAX);
                scope.spawn(move || {
                    for txs in blocks {
                        // Nobody waits for the rest once the execution has failed.
                        if verified.send(verifier.verify(txs).map_err(Into::into)).is_err() {
                            return;
                        }
                    }
                });
                Box::new(to_execute.into_iter())
            }
        };
        let mut over: Option<Arc<Overlay>> = None;
        for txs in verified {
            let txs = txs?;
            let executed = match &over {
                Some(over) => execute(prepare(world, &**over, &parent, &txs)?, &txs)?,
                None => execute(prepare(world, &store.base(), &parent, &txs)?, &txs)?,
            };
            let overlay = store.overlay(over.as_ref(), executed.delta())?;
            over = Some(Arc::clone(&overlay));
            let next = Ready::new(world, overlay, &executed, txs)?;
            parent = next.block.header.clone();
            if ready.send(next).is_err() {
                break;
            }
        }
        drop(ready);
        committer.join().map_err(|_| anyhow!("the commits panicked"))?
    })?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(tip(store)? == parent, "the last block of the run is not the tip");
    Ok(seconds / count)
}

/// Begins a block, with the accounts of its transactions in memory.
fn prepare<'a, S: StateRead>(
    world: &'a World,
    state: &'a S,
    parent: &Header,
    txs: &[VerifiedTx],
) -> Result<Session<'a, S>> {
    let mut session = Session::begin(world.params(), state, parent, world.context(parent))?;
    session.prepare(txs)?;
    Ok(session)
}

/// Applies transfers that all must succeed.
fn execute<S: StateRead>(mut session: Session<'_, S>, txs: &[VerifiedTx]) -> Result<Executed> {
    for tx in txs {
        let receipt = session.push(tx)?;
        ensure!(receipt.outcome == TxOutcome::Done, "a transfer came to {:?}", receipt.outcome);
    }
    Ok(session.finish()?)
}

/// The machine's own limit: batches on all cores and nothing else; the seconds of one signature.
fn limit(claims: &[Claim], batch: usize) -> Result<(f64, f64)> {
    let watch = Watch::start()?;
    let good = claims.par_chunks(batch).all(|claims| verify_batch_by_library(claims).is_ok());
    let seconds = watch.stop(claims.len() as f64)?;
    ensure!(good, "the signatures were just made");
    Ok(seconds)
}

/// The chain's own batches in the limit's place; the seconds of one signature.
fn own(claims: &[Claim], batch: usize) -> Result<(f64, f64)> {
    let watch = Watch::start()?;
    let good = claims.par_chunks(batch).all(|claims| verify_batch(claims).is_ok());
    let seconds = watch.stop(claims.len() as f64)?;
    ensure!(good, "the signatures were just made");
    Ok(seconds)
}

/// What a signature costs in batches of each size: the least work of three tries.
fn batches(claims: &[Claim]) -> Result<Vec<(usize, f64)>> {
    let mut least: Vec<(usize, f64)> = BATCHES.iter().map(|batch| (*batch, f64::INFINITY)).collect();
    for _ in 0..3 {
        for (batch, least) in &mut least {
            let (_, work) = limit(claims, *batch)?;
            *least = work.min(*least);
        }
    }
    Ok(least)
}

fn tip(store: &Store) -> Result<Header> {
    let tip = store.tip().ok_or_else(|| anyhow!("the store has no block 0"))?;
    Ok((*tip.header).clone())
}

fn bytes_part(sized: &[Sized], transfers: u64, disk: u64, given: u64, folder: u64) -> Part {
    let mut part = Part::new("Bytes written", "How many bytes does one transfer cost the disk?");
    part.note(
        "Given is what the store hands to RocksDB: block, receipts, pages of the state. On the disk is what the \
         kernel has written for this process during all rounds, the first ones and a flush at the end among them: the log, table files, \
         compactions, for blocks of all sizes together.",
    );
    for Sized { plan: BlockPlan { txs, .. }, given, block_bytes, .. } in sized {
        part.row(format!("block::encode/txs={txs}"), block_bytes.clone(), "bytes a transfer");
        part.row(format!("store::given/txs={txs}"), given.clone(), "bytes a transfer");
    }
    let each = |bytes: u64| Samples::one(bytes as f64 / transfers as f64);
    part.row(format!("store::given/transfers={transfers}"), each(given), "bytes a transfer");
    part.row(format!("disk::written/transfers={transfers}"), each(disk), "bytes a transfer");
    part.row("disk::folder/at=end", Samples::one(folder as f64 / 1e6), "MB");
    part
}
