//! Golden files of the market: every reason to refuse, fail or skip, with its sentence.

use cpc_primitives::codec::{Bounded, encode};
use cpc_primitives::result::{Assurance, Finding, KernelId, SignedRoot, TaskOrder};
use cpc_primitives::state::StateKey;
use cpc_primitives::tx::{Action, RegisterWorker, SubmitResult};
use cpc_primitives::{Address, Amount, Digest, Height, JobIndex, Nonce, SecretKey, TaskId, TimeMs, Units};

use crate::bazaar::{
    KERNEL, RARE, SAM, START, Said, Signed, WANDA, WILL, accepted, bazaar, cancel, order, register, result, result_of,
    retire, sign, submit_of, verdict_key,
};
use crate::vectors::{Entry, case, hold, say_in, written};
use crate::world::{ALICE, BOB, NOBODY, World, address, key, params, units};

/// Alice's task of three jobs has a committee, which has accepted job 2 by Wanda; Bob's task waits for its draw.
const OPEN: &str = "open tasks";
/// The same after the committee found that the order cannot be computed.
const CLOSED: &str = "closed task";
/// The deadline has passed in the block before, and the refund is due in a second that has not come.
const LATE: &str = "deadline passed";
/// The lease after a cancellation is over, and its end waits for a later block.
const ENDING: &str = "called off and over";

/// Nearly all of Wanda's bond stands for job 2.
const POOR: &str = "little bond free";

const NAMES: [&str; 5] = [OPEN, CLOSED, LATE, ENDING, POOR];

/// The task of Alice, and that of Bob.
fn tasks() -> [TaskId; 2] {
    [ALICE, BOB].map(|number| TaskId::of(address(number), Nonce(0)))
}

fn prepared(name: &str) -> World {
    let mut world = bazaar();
    world.done(WANDA, register(WANDA, if name == POOR { 199 } else { 1_000 }));
    let mut first = order(&world, 3, 300);
    if name == LATE {
        first.deadline = TimeMs(11_400);
    }
    let task = world.open(ALICE, first);
    if name == LATE {
        world.run_to(21);
        return world;
    }
    let submit = world.submit(&[accepted(result(&world, task, 2, WANDA), &[0, 1, 2])]);
    world.judged(SAM, submit);
    match name {
        OPEN => {
            let second = order(&world, 1, 100);
            world.done(BOB, Action::OpenTask(second));
        }
        CLOSED => {
            let bad = Said { finding: Finding::BadSpec, ..accepted(result(&world, task, 0, WANDA), &[0, 1, 2]) };
            let submit = world.submit(&[bad]);
            world.judged(SAM, submit);
        }
        ENDING => {
            let mut escrow = world.escrow(task).expect("open");
            escrow.cancelled = Some(world.tip.height);
            world.state.insert(StateKey::escrow(task), encode(&escrow));
        }
        POOR => {}
        other => panic!("no world is called {other}"),
    }
    world
}

// VEC-14.
#[test]
fn market() {
    let cases = [workers(), orders(), forms(), results(), skipped(), added()].into_iter().flatten().collect();
    let worlds = NAMES.map(|name| {
        let world = prepared(name);
        let session = world.session();
        let used = (session.bytes(), session.gas_used());
        drop(session);
        written(name, &world, &world.tip, Some(used))
    });
    let preamble = "Transactions of the market as they come from outside, and what becomes of each (VEC-14).\n\
        A world is as in ledger/transactions.toml; the bytes of a case are tried one after the other in one block.";
    hold("ledger/market.toml", preamble, worlds.into(), cases, |name, bytes| {
        say_in(&mut prepared(name).session(), bytes)
    });
}

fn one(name: &str, world: &World, from: u8, action: Action) -> Entry {
    case(name, OPEN, [world.tx(from, action).encode()])
}

fn workers() -> Vec<Entry> {
    let world = prepared(OPEN);
    let Action::RegisterWorker(unpaid) = register(WILL, 10) else { panic!("a registration") };
    let unpaid = Action::RegisterWorker(RegisterWorker { payout: address(NOBODY), ..unpaid });
    let stolen = world.tx(SAM, register(WANDA, 10));
    vec![
        one("a worker", &world, WILL, register(WILL, 10)),
        one("a worker that adds nothing to its bond", &world, WANDA, register(WANDA, 0)),
        one("a first bond below the minimum", &world, WILL, register(WILL, 9)),
        one("a bond beyond all money", &world, WILL, register(WILL, (1 << 100) + 1)),
        one("a bond that adds up to more than all money", &world, WANDA, register(WANDA, 1 << 100)),
        one("a bond that the sender has not", &world, WILL, register(WILL, START)),
        one("a payout without an account", &world, WILL, unpaid),
        case("a hot key that another account has proven", OPEN, [stolen.encode()]),
        one("the end of somebody who is no worker", &world, WILL, retire()),
        one("the end of a worker with a result in its window", &world, WANDA, retire()),
    ]
}

fn orders() -> Vec<Entry> {
    let world = prepared(OPEN);
    let [alices, _] = tasks();
    let bent = |name: &str, bend: &dyn Fn(&mut TaskOrder)| {
        let mut order = order(&world, 2, 100);
        bend(&mut order);
        one(name, &world, SAM, Action::OpenTask(order))
    };
    let now = world.tip.time.0 + 500;
    let twice = [world.tx(ALICE, cancel(alices)), {
        let mut again = world.tx(ALICE, cancel(alices)).body;
        again.nonce = again.nonce.next().expect("small");
        again.sign(&key(ALICE))
    }];
    vec![
        bent("a task", &|_| {}),
        bent("a task without a job", &|o| o.jobs = 0),
        bent("a task of too many jobs", &|o| o.jobs = (1 << 20) + 1),
        bent("fewer units than jobs", &|o| o.units = Units(1)),
        bent("a reward below the minimum", &|o| o.reward = units(1)),
        bent("a reward beyond all money", &|o| o.reward = Amount::new((1 << 100) + 1)),
        bent("results of several workers", &|o| o.assurance = Assurance::Quorum { workers: 3 }),
        bent("a deadline too near", &|o| o.deadline = TimeMs(now + 14 * 500 - 1)),
        bent("the earliest deadline", &|o| o.deadline = TimeMs(now + 14 * 500)),
        bent("the latest deadline", &|o| o.deadline = TimeMs(now + 31_622_400_000)),
        bent("a deadline too far", &|o| o.deadline = TimeMs(now + 31_622_400_001)),
        bent("a kernel that too few seats check", &|o| o.kernel = RARE),
        bent("a kernel that no seat checks", &|o| o.kernel = KernelId { version: 9, ..KERNEL }),
        bent("a reward that the sender has not", &|o| o.reward = units(START)),
        one("the end of a task that is not open", &world, ALICE, cancel(TaskId(Digest::ZERO))),
        one("the end of another's task", &world, SAM, cancel(alices)),
        case("the end of a task, twice", OPEN, twice.map(|tx| tx.encode())),
        case("the end of a task without an open job", CLOSED, [prepared(CLOSED).tx(ALICE, cancel(alices)).encode()]),
    ]
}

fn forms() -> Vec<Entry> {
    let world = prepared(OPEN);
    let [task, _] = tasks();
    let bent = |name: &str, bend: &dyn Fn(&mut SubmitResult)| {
        let said: Vec<Said> = (0..2).map(|job| accepted(result(&world, task, job, WANDA), &[0, 1, 2])).collect();
        let Action::SubmitResult(mut submit) = world.submit(&said) else { panic!("results") };
        bend(&mut submit);
        one(name, &world, SAM, Action::SubmitResult(submit))
    };
    let elsewhere = |submit: &mut SubmitResult| {
        let SignedRoot { seat, root, .. } = submit.roots[2];
        submit.roots[2] = SignedRoot::sign(&key(1), params().chain, Height(99), seat, root);
    };
    vec![
        bent("two results", &|_| {}),
        bent("no result", &|s| s.entries = Bounded::default()),
        bent("results out of order", &|s| s.entries.swap(0, 1)),
        bent("a job twice", &|s| s.entries[1].result.job = JobIndex(0)),
        bent("a result without an attestation", &|s| s.entries[0].attestations = Bounded::default()),
        bent("a signed root that is not there", &|s| s.entries[0].attestations[0].signed_root = 3),
        bent("a seat twice", &|s| s.entries[1].attestations[2].signed_root = 1),
        bent("seats out of order", &|s| s.entries[1].attestations.swap(0, 1)),
        bent("committees of different heights in one entry", &elsewhere),
        bent("a signed root with a bad signature", &|s| s.roots[1].signature.0[9] ^= 1),
    ]
}

fn results() -> Vec<Entry> {
    let world = prepared(OPEN);
    let [task, bobs] = tasks();
    let (committee, drawn) = world.committee(task);
    let said = |bend: &dyn Fn(&mut Said)| {
        let mut said = accepted(result(&world, task, 0, WANDA), &[0, 1, 2]);
        bend(&mut said);
        vec![said]
    };
    let saying = |name: &str, bend: &dyn Fn(&mut Said)| one(name, &world, SAM, world.submit(&said(bend)));
    let signing = |name: &str, bend: &dyn Fn(&mut Signed)| {
        let said = said(&|_| {});
        let mut signed = sign(&committee, drawn, &said);
        bend(&mut signed);
        one(name, &world, SAM, submit_of(signed, &said))
    };
    let resign = |signed: &mut Signed, seat: u16, key: &SecretKey, root: Digest| {
        signed.0[2] = SignedRoot::sign(key, params().chain, drawn, seat, root);
    };
    let last = |signed: &Signed| {
        let (_, member) = committee.member(signed.0[2].seat).expect("a member");
        (member.seat, verdict_key(member.account), signed.0[2].root)
    };
    let order = order(&world, 1, 100);
    let early = [accepted(result_of(&order, bobs, 0, WANDA), &[0, 1, 2])];
    let early = submit_of(sign(&committee, drawn, &early), &early);
    vec![
        saying("a result", &|_| {}),
        saying("a result with four verdicts", &|s| s.places = vec![0, 1, 2, 3]),
        saying("an order found to be bad", &|s| s.finding = Finding::BadSpec),
        saying("inputs found to be missing", &|s| s.finding = Finding::InputUnavailable),
        saying("a job that the task has not", &|s| s.result.job = JobIndex(3)),
        saying("another kernel", &|s| s.result.kernel = RARE),
        saying("another spec", &|s| s.result.spec = Digest::ZERO),
        saying("other units", &|s| s.result.units = Units(9)),
        saying("too few seats", &|s| s.places = vec![1, 2]),
        one("a result before the draw", &world, SAM, early),
        signing("a seat that is not of the committee", &|signed| {
            let (_, key, root) = last(signed);
            resign(signed, 200, &key, root);
        }),
        signing("a key that is not the seat's", &|signed| {
            let (seat, _, root) = last(signed);
            resign(signed, seat, &key(99), root);
        }),
        signing("another root", &|signed| {
            let (seat, key, _) = last(signed);
            resign(signed, seat, &key, Digest::ZERO);
        }),
        signing("another digest", &|signed| signed.1[0][1].digest = Digest::ZERO),
        signing("another sample", &|signed| signed.1[0][1].sample = Digest::ZERO),
    ]
}

fn skipped() -> Vec<Entry> {
    let [task, _] = tasks();
    let submit = |name: &str, on: &str, drawn: Option<Height>, bend: &dyn Fn(&mut Said)| {
        let world = prepared(on);
        let mut said = accepted(result(&world, task, 0, WANDA), &[0, 1, 2]);
        bend(&mut said);
        let (committee, current) = world.committee(task);
        let action = submit_of(sign(&committee, drawn.unwrap_or(current), &[said.clone()]), &[said]);
        case(name, on, [world.tx(SAM, action).encode()])
    };
    vec![
        submit("a task that is not open", OPEN, None, &|s| s.result.task = TaskId(Digest::ZERO)),
        submit("a job that is decided", OPEN, None, &|s| s.result.job = JobIndex(2)),
        submit("a task that was closed", CLOSED, None, &|_| {}),
        submit("a deadline that has passed", LATE, None, &|_| {}),
        submit("a cancellation whose lease is over", ENDING, None, &|_| {}),
        submit("the committee of another draw", OPEN, Some(Height(2)), &|_| {}),
        submit("a result of somebody who is no worker", OPEN, None, &|s| s.result.worker = Address([9; 20])),
        submit("a result of a worker whose bond is too small", POOR, None, &|_| {}),
    ]
}

fn added() -> Vec<Entry> {
    let world = prepared(OPEN);
    let [task, _] = tasks();
    let add = |name: &str, job: u32, places: &[usize]| {
        one(name, &world, SAM, world.add(&[accepted(result(&world, task, job, WANDA), places)]))
    };
    let wrong = accepted(result(&world, task, 2, WILL), &[3]);
    let (committee, _) = world.committee(task);
    let old = [accepted(result(&world, task, 2, WANDA), &[3])];
    let old = crate::bazaar::verdicts_of(sign(&committee, Height(2), &old), &old);
    vec![
        add("a further verdict", 2, &[3]),
        add("verdicts of which one is new", 2, &[2, 3]),
        add("a verdict that was counted", 2, &[0]),
        add("a verdict on a job without a result", 1, &[3]),
        one("a verdict on another result", &world, SAM, world.add(&[wrong])),
        one("a verdict of another draw", &world, SAM, old),
    ]
}
