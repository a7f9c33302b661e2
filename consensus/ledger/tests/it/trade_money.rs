//! Random trades with adversarial values: after every block the ledger, the naive model and the invariants agree.

use std::collections::{BTreeMap, BTreeSet};

use cpc_ledger::{Session, TxError, TxOutcome, VerifiedTx, intrinsic, recount};
use cpc_primitives::codec::Bounded;
use cpc_primitives::committee::{Committee, Member};
use cpc_primitives::result::{Assurance, ComputeResult, Finding, Settlement, Subject, TaskOrder};
use cpc_primitives::tx::{Action, TxBody};
use cpc_primitives::{Address, Amount, Digest, Epoch, Height, JobIndex, Nonce, TaskId, TimeMs, Units};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::bazaar::{
    KERNEL, SAM, SEATS, START, Said, WANDA, WILL, accepted, bazaar, cancel, register, result_of, retire, sign,
    submit_of, verdicts_of,
};
use crate::trade_model::{Asked, Bend, End, Entry, Found, Leaf, Market};
use crate::world::{ALICE, BOB, CAROL, State, World, address, body, key, units, verified};

/// Who orders, who brings results, who computes.
const CUSTOMERS: [u8; 2] = [ALICE, BOB];
const PEOPLE: [u8; 6] = [ALICE, BOB, CAROL, WANDA, WILL, SAM];

/// One block: who asks what at which price.
type Block = Vec<(u8, u128, Draft)>;

/// What is asked, before it is known what the sender has and which tasks there are.
#[derive(Clone, Debug)]
enum Draft {
    Register(Bond),
    Retire,
    Open {
        jobs: u32,
        reward: u128,
        lease: u32,
        seconds: u64,
        spot: bool,
    },
    /// A task by its number from the last one back.
    Cancel(usize),
    Submit {
        back: usize,
        jobs: BTreeSet<u32>,
        worker: u8,
        bad: bool,
        places: BTreeSet<usize>,
        bend: Bend,
    },
    Add {
        back: usize,
        job: u32,
        places: BTreeSet<usize>,
    },
}

#[derive(Clone, Copy, Debug)]
enum Bond {
    Exactly(u128),
    /// All that the sender has beside the fee, and so much more.
    All(u128),
}

fn drafts() -> impl Strategy<Value = (u8, u128, Draft)> {
    let places = || prop::collection::btree_set(0usize..4, 0..=4);
    let quorums = || prop_oneof![5 => prop::collection::btree_set(0usize..4, 3..=4), 1 => places()];
    let backs = || prop_oneof![6 => Just(0usize), 3 => Just(1), 1 => 0usize..9];
    let bonds = prop_oneof![
        8 => select(vec![0, 1, 9, 10, 100, 5_000]).prop_map(Bond::Exactly),
        1 => select(vec![1 << 100, (1 << 100) + 1, u128::MAX]).prop_map(Bond::Exactly),
        1 => select(vec![0, 1]).prop_map(Bond::All),
    ];
    let rewards = prop_oneof![
        8 => select(vec![0u128, 1, 2, 3, 7, 99, 100, 1_001, 12_345]),
        1 => select(vec![START, START / 2, 1 << 100, (1 << 100) + 1, u128::MAX]),
    ];
    let bends = prop_oneof![
        9 => Just(Bend::Nothing),
        1 => select(vec![Bend::OtherDraw, Bend::Units, Bend::Digest]),
    ];
    let jobs = prop_oneof![8 => 1u32..5, 1 => Just(0)];
    let leases = select(vec![0, 1, 3, 12]);
    let seconds = prop_oneof![4 => 5u64..14, 1 => select(vec![0, 1, 60, 40_000_000])];
    let entries = prop::collection::btree_set(0u32..5, 0..4);
    let workers = select(vec![WANDA, WILL, WANDA, WILL, SAM]);
    let opened = (jobs, rewards, leases, seconds, any::<bool>());
    let brought = (backs(), entries, workers, prop::bool::weighted(0.06), quorums(), bends);
    let draft = prop_oneof![
        2 => bonds.prop_map(Draft::Register),
        1 => Just(Draft::Retire),
        3 => opened.prop_map(|(jobs, reward, lease, seconds, spot)| Draft::Open { jobs, reward, lease, seconds, spot }),
        1 => backs().prop_map(Draft::Cancel),
        7 => brought.prop_map(|(back, jobs, worker, bad, places, bend)| {
            Draft::Submit { back, jobs, worker, bad, places, bend }
        }),
        3 => (backs(), 0u32..5, places()).prop_map(|(back, job, places)| Draft::Add { back, job, places }),
    ];
    let prices = prop_oneof![8 => Just(2u128), 1 => select(vec![0u128, 1, 3, 1_000])];
    (select(PEOPLE.to_vec()), prices, draft).prop_map(|(who, price, draft)| {
        // Workers register, and customers order, more often than by chance.
        let who = match draft {
            Draft::Register(_) | Draft::Retire if who % 3 != 0 => WANDA,
            Draft::Open { .. } | Draft::Cancel(_) if who != SAM => CUSTOMERS[usize::from(who % 2)],
            _ => who,
        };
        (who, price, draft)
    })
}

fn chains() -> impl Strategy<Value = Vec<Block>> {
    // Long enough for draws, windows, deadlines, and fresh committees.
    prop::collection::vec(prop::collection::vec(drafts(), 0..5), 1..45)
}

/// A ledger and the model of it, side by side.
struct Pair {
    world: World,
    model: Market,
    /// The tasks by the model's numbers, with their orders.
    tasks: Vec<(TaskId, TaskOrder)>,
    /// What each task's leaves have divided.
    divided: BTreeMap<TaskId, u128>,
    /// Every job whose result a block carried, and every job that was settled.
    seen: BTreeSet<(bool, TaskId, JobIndex)>,
}

/// How often each thing happened.
#[derive(Default, Debug)]
struct Seen {
    refused: u32,
    failed: u32,
    done: u32,
    counted: u32,
    skipped: u32,
    settled: u32,
    refunded: u32,
    redrawn: u32,
    ended: u32,
}

impl Pair {
    fn new() -> Self {
        let world = bazaar();
        let accounts = PEOPLE.map(|number| (number, (START, 0))).into_iter();
        let accounts = accounts.chain(SEATS.map(|number| (number, (0, 0)))).collect();
        let model = Market { accounts, treasury: 1_000, ..Market::default() };
        Self { world, model, tasks: Vec::new(), divided: BTreeMap::new(), seen: BTreeSet::new() }
    }

    /// Plays a block on both; `plant` plants a bug in the ledger's.
    fn block(
        &mut self,
        block: &Block,
        plant: Option<fn(&mut Session<'_, State>)>,
        seen: &mut Seen,
    ) -> Result<(), TestCaseError> {
        let context = self.world.context();
        (self.model.height, self.model.time) = (self.world.tip.height.0 + 1, context.time.0);
        let world = self.world.clone();
        let mut session = world.session();
        if let Some(plant) = plant {
            plant(&mut session);
        }
        let mut taken: Vec<VerifiedTx> = Vec::new();
        for (from, price, draft) in block {
            let (asked, action) = self.resolve(*from, *price, draft);
            let nonce = self.model.accounts[from].1;
            let tx = verified(
                TxBody { gas_price: units(*price), gas_limit: intrinsic(&action), ..body(nonce, action.clone()) }
                    .sign(&key(*from)),
            );
            let found = match session.push(&tx) {
                Ok(receipt) => match receipt.outcome {
                    TxOutcome::Done => End::Done,
                    TxOutcome::Failed(_) => End::Failed,
                    TxOutcome::Judged(judged) => {
                        let repaid = judged.repaid.units();
                        End::Judged { counted: judged.counted, skipped: judged.skipped, repaid }
                    }
                },
                Err(TxError::Reject(_)) => End::Refused,
                Err(TxError::Fault(fault)) => return Err(TestCaseError::fail(fault.to_string())),
            };
            let expected = self.model.ask(*from, *price, &asked);
            prop_assert_eq!(found, expected, "{} asked {:?} in block {}", from, asked, self.model.height);
            match found {
                End::Refused => seen.refused += 1,
                End::Failed => seen.failed += 1,
                End::Done => seen.done += 1,
                End::Judged { counted, skipped, .. } => {
                    seen.counted += u32::from(counted);
                    seen.skipped += u32::from(skipped);
                }
            }
            if found != End::Refused {
                taken.push(tx);
            }
            if let (Action::OpenTask(order), End::Done) = (action, found) {
                self.tasks.push((TaskId::of(address(*from), Nonce(nonce)), order));
            }
        }
        let executed = session.finish().map_err(|error| TestCaseError::fail(error.to_string()))?;
        let state_root = crate::world::root(&world.after(executed.delta()));
        let header = executed.header(state_root);
        if plant.is_none() {
            // Whoever checks the block finds the same.
            world.check(&header, &taken).map_err(|error| TestCaseError::fail(error.to_string()))?;
        }
        let leaves = executed.leaves().clone();
        let applied = executed.check(&header, state_root).map_err(|error| TestCaseError::fail(error.to_string()))?;
        self.world.adopt(applied);
        for result in &leaves.results {
            prop_assert!(self.seen.insert((true, result.task, result.job)), "accepted twice: {:?}", result);
        }
        self.same_leaves(&leaves.settlements, seen)?;
        self.same_state(seen)
    }

    fn resolve(&self, from: u8, price: u128, draft: &Draft) -> (Asked, Action) {
        let number = |back: usize| self.tasks.len().wrapping_sub(back + 1);
        let task = |back: usize| self.tasks.get(number(back));
        let unknown = TaskId(Digest([0xee; 32]));
        let id = |back: usize| task(back).map_or(unknown, |(task, _)| *task);
        match draft {
            Draft::Register(bond) => {
                let all = self.model.accounts[&from].0.saturating_sub(26_000 * price);
                let bond = match bond {
                    Bond::Exactly(bond) => *bond,
                    Bond::All(more) => all + more,
                };
                (Asked::Register { bond }, register(from, bond))
            }
            Draft::Retire => (Asked::Retire, retire()),
            Draft::Open { jobs, reward, lease, seconds, spot } => {
                let deadline = self.model.time + seconds * 1_000 + 100 * (seconds % 7);
                let order = TaskOrder {
                    kernel: KERNEL,
                    spec: Bounded::new(vec![7; 5]).expect("short"),
                    inputs: Bounded::default(),
                    units: Units(u128::from(*jobs) * 3 + 1),
                    jobs: *jobs,
                    reward: Amount::new(*reward),
                    deadline: TimeMs(deadline),
                    lease_blocks: *lease,
                    assurance: if *spot { Assurance::Spot } else { Assurance::Full },
                };
                let (jobs, reward, lease, spot) = (*jobs, *reward, *lease, *spot);
                (Asked::Open { jobs, reward, lease, deadline, spot }, Action::OpenTask(order))
            }
            Draft::Cancel(back) => (Asked::Cancel { task: number(*back) }, cancel(id(*back))),
            Draft::Submit { back, jobs, worker, bad, places, bend } => {
                let entries: Vec<Entry> = jobs
                    .iter()
                    .map(|job| Entry {
                        job: *job,
                        worker: *worker,
                        found: if *bad { Found::BadSpec } else { Found::Accept },
                        places: places.clone(),
                    })
                    .collect();
                let mut said: Vec<Said> =
                    entries.iter().map(|entry| self.said(*back, entry.job, *worker, *bad, places)).collect();
                let (committee, drawn) = self.committee(*back);
                if let (Bend::Units, Some(last)) = (bend, said.last_mut()) {
                    last.result.units.0 += 1;
                }
                let mut signed = sign(&committee, drawn, &said);
                match bend {
                    // All of them: a root covers every entry of its seat, so that the others go with the last.
                    Bend::OtherDraw if said.len() == 1 => signed = sign(&committee, Height(drawn.0 + 1), &said),
                    Bend::Digest => {
                        if let Some(first) = signed.1.last_mut().and_then(|last| last.first_mut()) {
                            first.digest = Digest([1; 32]);
                        }
                    }
                    _ => {}
                }
                let bend = if *bend == Bend::OtherDraw && said.len() != 1 { Bend::Nothing } else { *bend };
                (Asked::Submit { task: number(*back), entries, bend }, submit_of(signed, &said))
            }
            Draft::Add { back, job, places } => {
                // Verdicts are on what was accepted; on another job it does not matter what they say.
                let worker = self.model.accepted_of(number(*back), *job).unwrap_or(WANDA);
                let said = self.said(*back, *job, worker, false, places);
                let (committee, drawn) = self.committee(*back);
                let action = verdicts_of(sign(&committee, drawn, std::slice::from_ref(&said)), &[said]);
                (Asked::Add { task: number(*back), job: *job, places: places.clone() }, action)
            }
        }
    }

    /// What some places of the committee say of a job.
    fn said(&self, back: usize, job: u32, worker: u8, bad: bool, places: &BTreeSet<usize>) -> Said {
        let task = self.tasks.len().checked_sub(back + 1).and_then(|number| self.tasks.get(number));
        let places: Vec<usize> = places.iter().copied().collect();
        let result = match task {
            Some((task, order)) => result_of(order, *task, job, worker),
            None => ComputeResult { task: TaskId(Digest([0xee; 32])), ..nothing(job, worker) },
        };
        let finding = if bad { Finding::BadSpec } else { Finding::Accept };
        Said { finding, ..accepted(result, &places) }
    }

    /// Who decides for a task; anybody where there is no committee.
    fn committee(&self, back: usize) -> (Committee, Height) {
        let task = self.tasks.len().checked_sub(back + 1).and_then(|number| self.tasks.get(number));
        let drawn = task.and_then(|(task, _)| self.world.escrow(*task)).and_then(|escrow| escrow.drawn);
        let known = task.zip(drawn).and_then(|((task, _), drawn)| {
            let committee = cpc_ledger::committee(&self.world.state, *task, drawn).expect("readable");
            committee.map(|committee| (committee, drawn))
        });
        known.unwrap_or_else(|| {
            let member = |(seat, number): (u16, &u8)| Member {
                seat,
                key: key(number + 150).public(),
                account: address(*number),
            };
            let members = (0u16..).zip(&SEATS[..4]).map(member).collect();
            let members = Bounded::new(members).expect("four");
            (Committee { epoch: Epoch(0), quorum: 3, pending: 0, members }, Height(1))
        })
    }

    /// The settlements of the block are those of the model, and each divides exactly its subject's reward.
    fn same_leaves(&mut self, settlements: &[Settlement], seen: &mut Seen) -> Result<(), TestCaseError> {
        let mut ours: Vec<Leaf> = Vec::new();
        for settlement in settlements {
            let task = settlement.task();
            let number = self.tasks.iter().position(|(id, _)| *id == task).expect("a known task");
            let job = match settlement.subject {
                Subject::Job(result) => {
                    prop_assert!(self.seen.insert((false, task, result.job)), "settled twice: {:?}", settlement);
                    seen.settled += 1;
                    Some(result.job.0)
                }
                Subject::Rest(_) => {
                    seen.refunded += 1;
                    None
                }
            };
            let Settlement { burn, worker, validators, treasury, refund, .. } = *settlement;
            let parts = [burn, worker, validators, treasury, refund].map(Amount::units);
            *self.divided.entry(task).or_default() += parts.iter().sum::<u128>();
            ours.push((number, job, parts));
        }
        ours.sort_unstable();
        let world = &self.world;
        let tasks = &self.tasks;
        let members = |number: usize| {
            let (task, _) = tasks[number];
            let drawn = world.escrow(task)?.drawn.filter(|drawn| *drawn == world.tip.height)?;
            let committee = cpc_ledger::committee(&world.state, task, drawn).expect("readable")?;
            let number = |account: Address| SEATS.into_iter().find(|number| address(*number) == account);
            committee.members.iter().map(|member| number(member.account)).collect()
        };
        let expected = self.model.end_block(SEATS[0], members);
        prop_assert_eq!(ours, expected, "settlements of block {}", self.model.height);
        Ok(())
    }

    /// Every account, worker, task and total, after a block.
    fn same_state(&self, seen: &mut Seen) -> Result<(), TestCaseError> {
        let Self { world, model, .. } = self;
        for (number, (balance, nonce)) in &model.accounts {
            let found = world.account(*number).map(|account| (account.balance.units(), account.nonce.0));
            prop_assert_eq!(found, Some((*balance, *nonce)), "account {} after block {}", number, model.height);
        }
        for number in PEOPLE {
            let found = world.worker(number).map(|worker| (worker.bond.units(), worker.reserved.units()));
            prop_assert_eq!(found, model.workers.get(&number).map(|worker| (worker.bond, worker.reserved)));
        }
        for (number, (task, order)) in self.tasks.iter().enumerate() {
            let escrow = world.escrow(*task);
            // Invariant 3: an escrow is there, and positive, exactly while its task is open.
            prop_assert_eq!(escrow.is_some(), model.is_open(number), "task {} in block {}", number, model.height);
            match escrow {
                Some(escrow) => {
                    if model.has_open_jobs(number) {
                        prop_assert_eq!(escrow.drawn.map(|drawn| drawn.0), model.was_drawn(number));
                    }
                    if escrow.drawn == Some(world.tip.height) && model.height > cpc_first_draw(world, *task) {
                        seen.redrawn += 1;
                    }
                }
                None => {
                    // Invariant 2: what was paid in for the jobs was divided, to the unit.
                    let divided = self.divided.get(task).copied().unwrap_or_default();
                    prop_assert_eq!(divided, order.reward.units());
                    seen.ended += 1;
                }
            }
        }
        let supply = recount(world.entries()).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        prop_assert_eq!(supply, world.supply());
        let bonds: u128 = model.workers.values().map(|worker| worker.bond).sum();
        let balances: u128 = model.accounts.values().map(|(balance, _)| balance).sum();
        let ours = [balances, model.escrow(), bonds, model.pot, model.treasury, model.burned, model.minted];
        let theirs = [
            supply.balances,
            supply.escrow,
            supply.bonds,
            supply.pending_rewards,
            supply.treasury,
            supply.burned,
            supply.minted,
        ];
        prop_assert_eq!(ours, theirs.map(Amount::units), "totals after block {}", model.height);
        Ok(())
    }
}

/// When a task's first committee was drawn.
fn cpc_first_draw(world: &World, task: TaskId) -> u64 {
    cpc_ledger::terms(&world.state, task).expect("readable").map_or(u64::MAX, |terms| terms.opened.0 + 2)
}

/// A result of a task that nobody has opened.
fn nothing(job: u32, worker: u8) -> ComputeResult {
    let order = TaskOrder {
        kernel: KERNEL,
        spec: Bounded::default(),
        inputs: Bounded::default(),
        units: Units(9),
        jobs: 9,
        reward: units(9),
        deadline: TimeMs(0),
        lease_blocks: 1,
        assurance: Assurance::Full,
    };
    result_of(&order, TaskId(Digest::ZERO), job, worker)
}

fn agree(chain: &[Block], plant: Option<fn(&mut Session<'_, State>)>, seen: &mut Seen) -> Result<(), TestCaseError> {
    let mut pair = Pair::new();
    // Two workers and a task from the start, so that short chains trade too.
    let first = vec![
        (WANDA, 2, Draft::Register(Bond::Exactly(5_000))),
        (WILL, 2, Draft::Register(Bond::Exactly(300))),
        (ALICE, 2, Draft::Open { jobs: 3, reward: 101, lease: 3, seconds: 13, spot: false }),
    ];
    for block in [first, Vec::new(), Vec::new()].iter().chain(chain) {
        pair.block(block, plant, seen)?;
    }
    Ok(())
}

fn runner(cases: u32) -> TestRunner {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::with_cases(cases) }, rng)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn the_market_and_the_naive_model_never_differ(chain in chains()) {
        agree(&chain, None, &mut Seen::default())?;
    }
}

#[test]
fn the_drafts_reach_every_end() {
    use proptest::strategy::ValueTree as _;
    // A model that is never tried proves nothing: among these chains each end is common.
    let mut runner = runner(1);
    let mut seen = Seen::default();
    for _ in 0..30 {
        let chain = chains().new_tree(&mut runner).expect("a chain").current();
        agree(&chain, None, &mut seen).expect("they agree");
    }
    let Seen { refused, failed, done, counted, skipped, settled, refunded, redrawn, ended } = seen;
    let all = [refused, failed, done, counted, skipped, settled, refunded, redrawn, ended];
    assert!(all.into_iter().all(|count| count > 20), "{seen:?}");
}

#[cfg(feature = "canary")]
#[track_caller]
fn finds(plant: fn(&mut Session<'_, State>), reasons: &[&str]) {
    use proptest::test_runner::TestError;
    let found = runner(256).run(&chains(), |chain| agree(&chain, Some(plant), &mut Seen::default()));
    let Err(TestError::Fail(reason, _)) = found else { panic!("the planted bug was not found: {found:?}") };
    assert!(reasons.iter().any(|expected| reason.message().contains(expected)), "{reason}");
    // The same chains without the bug are fine, so that it is the bug that was found.
    let none: fn(&mut Session<'_, State>) = |session| session.plant(cpc_ledger::Canary::None);
    let honest = runner(16).run(&chains(), |chain| agree(&chain, Some(none), &mut Seen::default()));
    assert!(honest.is_ok(), "{honest:?}");
}

#[cfg(feature = "canary")]
#[test]
fn a_ledger_that_settles_a_job_twice_is_found() {
    finds(|session| session.plant(cpc_ledger::Canary::SettleTwice), &["counted", "twice", "SUP-", "TSK-"]);
}

#[cfg(feature = "canary")]
#[test]
fn a_ledger_that_skips_the_window_is_found() {
    finds(|session| session.plant(cpc_ledger::Canary::SkipWindow), &["settlements of block"]);
}
