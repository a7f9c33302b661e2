//! A market in memory: five validators of which four check a task, customers, workers, and seats that sign verdicts.

use cpc_ledger::{GenesisValidator, Judged, Leaves, Params, Receipt, TxOutcome};
use cpc_primitives::codec::Bounded;
use cpc_primitives::committee::Committee;
use cpc_primitives::merkle;
use cpc_primitives::result::{
    Assurance, Attestation, Challenge, ComputeResult, Finding, Geometry, KernelId, SignedRoot, TaskOrder, Verdict,
};
use cpc_primitives::task::{Escrow, Worker};
use cpc_primitives::tx::{
    Action, AddVerdicts, AddedVerdicts, CancelTask, KeyUse, ProvenKey, RegisterWorker, ResultEntry, RetireWorker,
    SignedTx, SubmitResult, TxBody,
};
use cpc_primitives::{Digest, Gas, JobIndex, SecretKey, TaskId, TimeMs, Units};

use crate::world::{ALICE, BOB, CAROL, World, address, body, key, params, units, validator};

/// The seats of the market's network.
pub(crate) const SEATS: [u8; 5] = [11, 12, 13, 14, 15];
/// Two workers, with money and not yet registered.
pub(crate) const WANDA: u8 = 4;
pub(crate) const WILL: u8 = 5;
/// Somebody who brings results and is nothing else.
pub(crate) const SAM: u8 = 6;

/// One whole CPC.
pub(crate) const CPC: u128 = 1_000_000_000_000_000_000;
/// What every person begins with.
pub(crate) const START: u128 = 1_000_000 * CPC;
/// The price of one gas.
pub(crate) const PRICE: u128 = 2;

/// A kernel that every seat checks, and one that four of five do.
pub(crate) const KERNEL: KernelId = KernelId { challenge: Challenge::Synthetic, version: 1 };
pub(crate) const RARE: KernelId = KernelId { challenge: Challenge::Rendering, version: 1 };

/// What some seats say of one result; members are named by their places in the committee.
#[derive(Clone)]
pub(crate) struct Said {
    pub(crate) result: ComputeResult,
    pub(crate) finding: Finding,
    pub(crate) places: Vec<usize>,
}

/// Signed roots, and for each result what its seats add.
pub(crate) type Signed = (Vec<SignedRoot>, Vec<Vec<Attestation>>);

pub(crate) fn market_params() -> Params {
    Params {
        epoch_blocks: 40,
        block_gas_max: Gas(100_000_000),
        rotation_blocks: 2,
        lease_blocks: 6,
        reward_per_job_min: units(1),
        ..params()
    }
}

/// A validator of the market: the last of them does not check the rare kernel.
fn market_validator(number: u8) -> GenesisValidator {
    let kernels = if number == SEATS[4] { vec![KERNEL] } else { vec![KERNEL, RARE] };
    let mut validator = validator(number, 100);
    validator.registration.kernels = Bounded::new(kernels).expect("few");
    validator
}

pub(crate) fn bazaar() -> World {
    bazaar_of(market_params(), &SEATS)
}

/// A market with some of the seats.
pub(crate) fn bazaar_of(params: Params, seats: &[u8]) -> World {
    let accounts = [ALICE, BOB, CAROL, WANDA, WILL, SAM].map(|number| (number, START));
    let validators: Vec<_> = seats.iter().map(|number| market_validator(*number)).collect();
    World::of(params, &accounts, &validators)
}

/// An order that is good in the block after the tip: as many units as its jobs need, and a deadline far away.
pub(crate) fn order(world: &World, jobs: u32, reward: u128) -> TaskOrder {
    TaskOrder {
        kernel: KERNEL,
        spec: Bounded::new(vec![1, 2, 3]).expect("short"),
        inputs: Bounded::default(),
        units: Units(u128::from(jobs) * 7 + 3),
        jobs,
        reward: units(reward),
        deadline: TimeMs(world.tip.time.0 + 60_000),
        lease_blocks: 0,
        assurance: Assurance::Full,
    }
}

pub(crate) fn register(number: u8, bond: u128) -> Action {
    let hot = ProvenKey::prove(&hot_key(number), KeyUse::Worker, params().chain, &address(number));
    Action::RegisterWorker(RegisterWorker { bond: units(bond), hot, payout: address(number) })
}

pub(crate) fn hot_key(number: u8) -> SecretKey {
    key(number + 30)
}

pub(crate) fn retire() -> Action {
    Action::RetireWorker(RetireWorker {})
}

pub(crate) fn cancel(task: TaskId) -> Action {
    Action::CancelTask(CancelTask { task })
}

/// The right result of a job by a worker.
pub(crate) fn result(world: &World, task: TaskId, job: u32, worker: u8) -> ComputeResult {
    let order = cpc_ledger::terms(&world.state, task).expect("readable").expect("an open task").order;
    result_of(&order, task, job, worker)
}

pub(crate) fn result_of(order: &TaskOrder, task: TaskId, job: u32, worker: u8) -> ComputeResult {
    ComputeResult {
        task,
        job: JobIndex(job),
        kernel: order.kernel,
        spec: order.spec_hash(),
        geometry: Geometry { origin: [job, 0, 0], extent: [1, 1, 1] },
        units: order.job_units(JobIndex(job)).unwrap_or_default(),
        worker: address(worker),
        output: Digest([worker; 32]),
        output_bytes: 64,
    }
}

pub(crate) fn accepted(result: ComputeResult, places: &[usize]) -> Said {
    Said { result, finding: Finding::Accept, places: places.to_vec() }
}

/// The key with which an account signs verdicts.
pub(crate) fn verdict_key(account: cpc_primitives::Address) -> SecretKey {
    let number = SEATS.into_iter().find(|number| address(*number) == account).expect("a seat");
    key(number + 150)
}

pub(crate) fn submit_of((roots, attestations): Signed, said: &[Said]) -> Action {
    let entries = said.iter().zip(attestations).map(|(said, attestations)| ResultEntry {
        result: said.result,
        finding: said.finding,
        attestations: Bounded::new(attestations).expect("few"),
    });
    let entries = Bounded::new(entries.collect()).expect("few");
    Action::SubmitResult(SubmitResult { roots: Bounded::new(roots).expect("few"), entries })
}

pub(crate) fn verdicts_of((roots, attestations): Signed, said: &[Said]) -> Action {
    let entries = said.iter().zip(attestations).map(|(said, attestations)| AddedVerdicts {
        task: said.result.task,
        job: said.result.job,
        attestations: Bounded::new(attestations).expect("few"),
    });
    let entries = Bounded::new(entries.collect()).expect("few");
    Action::AddVerdicts(AddVerdicts { roots: Bounded::new(roots).expect("few"), entries })
}

/// The roots of the seats of a committee over all that each of them says, one for a seat, and the ways to them.
///
/// Each seat appears once in an entry, in the order of the seats.
pub(crate) fn sign(committee: &Committee, drawn: cpc_primitives::Height, said: &[Said]) -> Signed {
    let mut members: Vec<_> = committee.members.iter().enumerate().collect();
    members.sort_by_key(|(_, member)| member.seat);
    let mut roots = Vec::new();
    let mut attestations = vec![Vec::new(); said.len()];
    for (place, member) in members {
        let own: Vec<usize> = (0..said.len()).filter(|n| said[*n].places.contains(&place)).collect();
        let verdict = |n: usize| Verdict {
            result: said[n].result,
            finding: said[n].finding,
            seat: member.seat,
            sample: Digest([member.seat.to_le_bytes()[0]; 32]),
            digest: Digest([0xdd; 32]),
        };
        let leaves: Vec<Digest> = own.iter().map(|n| verdict(*n).leaf()).collect();
        if leaves.is_empty() {
            continue;
        }
        let key = verdict_key(member.account);
        let signed_root = u16::try_from(roots.len()).expect("few");
        roots.push(SignedRoot::sign(&key, params().chain, drawn, member.seat, merkle::root(&leaves)));
        for (index, n) in own.into_iter().enumerate() {
            let Verdict { sample, digest, .. } = verdict(n);
            let path = merkle::path(&leaves, index).expect("in the list");
            attestations[n].push(Attestation { signed_root, sample, digest, path });
        }
    }
    (roots, attestations)
}

impl World {
    /// A signed transaction of the market with the sender's next nonce, at the usual price.
    pub(crate) fn tx(&self, from: u8, action: Action) -> SignedTx {
        self.tx_at(from, PRICE, action)
    }

    pub(crate) fn tx_at(&self, from: u8, price: u128, action: Action) -> SignedTx {
        let nonce = self.account(from).expect("an account").nonce.0;
        let gas_limit = cpc_ledger::intrinsic(&action);
        TxBody { gas_price: units(price), gas_limit, ..body(nonce, action) }.sign(&key(from))
    }

    /// A block with one transaction, and what became of it.
    pub(crate) fn act(&mut self, from: u8, action: Action) -> TxOutcome {
        self.act_with_leaves(from, action).0.outcome
    }

    pub(crate) fn act_with_leaves(&mut self, from: u8, action: Action) -> (Receipt, Leaves) {
        let (receipts, leaves) = self.block_with_leaves(vec![self.tx(from, action)]);
        (receipts[0], leaves)
    }

    #[track_caller]
    pub(crate) fn done(&mut self, from: u8, action: Action) {
        assert_eq!(self.act(from, action), TxOutcome::Done);
    }

    #[track_caller]
    pub(crate) fn fails(&mut self, from: u8, action: Action, message: &str) {
        match self.act(from, action) {
            TxOutcome::Failed(failure) => assert_eq!(failure.to_string(), message),
            other => panic!("{other:?} instead of: {message}"),
        }
    }

    #[track_caller]
    pub(crate) fn judged(&mut self, from: u8, action: Action) -> Judged {
        match self.act(from, action) {
            TxOutcome::Judged(judged) => judged,
            other => panic!("{other:?}"),
        }
    }

    /// Opens a task and waits until its committee is drawn.
    #[track_caller]
    pub(crate) fn open(&mut self, customer: u8, order: TaskOrder) -> TaskId {
        let task = TaskId::of(address(customer), self.account(customer).expect("an account").nonce);
        self.done(customer, Action::OpenTask(order));
        self.run(2);
        task
    }

    pub(crate) fn run(&mut self, blocks: u64) {
        self.run_to(self.tip.height.0 + blocks);
    }

    pub(crate) fn escrow(&self, task: TaskId) -> Option<Escrow> {
        cpc_ledger::escrow(&self.state, task).expect("readable")
    }

    pub(crate) fn worker(&self, number: u8) -> Option<Worker> {
        cpc_ledger::worker(&self.state, &address(number)).expect("readable")
    }

    /// The committee that decides for a task.
    pub(crate) fn committee(&self, task: TaskId) -> (Committee, cpc_primitives::Height) {
        let drawn = self.escrow(task).expect("an open task").drawn.expect("a committee");
        let committee = cpc_ledger::committee(&self.state, task, drawn).expect("readable").expect("drawn");
        (committee, drawn)
    }

    /// What the committee of the first result's task says, as a SUBMIT_RESULT.
    pub(crate) fn submit(&self, said: &[Said]) -> Action {
        let (committee, drawn) = self.committee(said[0].result.task);
        submit_of(sign(&committee, drawn, said), said)
    }

    /// The same as an ADD_VERDICTS.
    pub(crate) fn add(&self, said: &[Said]) -> Action {
        let (committee, drawn) = self.committee(said[0].result.task);
        verdicts_of(sign(&committee, drawn, said), said)
    }

    /// The balances of everybody who can earn or pay, in one list.
    pub(crate) fn purse(&self, numbers: &[u8]) -> Vec<u128> {
        numbers.iter().map(|number| self.balance(*number)).collect()
    }
}
