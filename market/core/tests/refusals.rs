//! What a member of a committee answers to everything that is not as it should be, each with its exact reason.

use cpc_kernels::synthetic::{self, Seed, SyntheticSpec};
use cpc_market::chain::{Change, Committee, FinalBlock, Seat, WorkerRecord};
use cpc_market::{Config, Effect, Event, JobPlan, Market, Prepared, Waiting};
use cpc_market_wire::{
    Answer, Commit, Commits, Hello, Judged, Lease, LeaseFinding, Message, Offer, Offers, Opening, Openings, Probe,
    ProbeDone, Progress, Refusal, Refused, Reply, Report, RoundRef, Signed, VerdictItem, Verdicts, commitment,
};
use cpc_primitives::codec::Bounded;
use cpc_primitives::ids::{Epoch, JobIndex, Nonce, TaskId, TimeMs};
use cpc_primitives::result::{Assurance, Finding, Outcome, SignedRoot, TaskOrder};
use cpc_primitives::{Address, Amount, ChainId, Digest, Domain, Height, PublicKey, SecretKey, merkle};

const CHAIN: ChainId = ChainId(7);
const DRAWN: Height = Height(3);
const NOW: Height = Height(4);
const LEASE_BLOCKS: u64 = 10;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

/// The verdict key of the seat at a place.
fn verdict(place: u8) -> SecretKey {
    key(10 + place)
}

/// The end of a connection at which that seat stands.
fn node(place: u8) -> PublicKey {
    key(20 + place).public()
}

/// The worker with this number: its address, its hot key, its end of a connection.
fn worker(number: u8) -> (Address, SecretKey, PublicKey) {
    (Address([number; 20]), key(40 + number), key(50 + number).public())
}

fn task() -> TaskId {
    TaskId::of(Address::default(), Nonce(1))
}

fn order() -> TaskOrder {
    let spec = SyntheticSpec { seed: Seed::new(vec![1]).expect("as it was built"), matrix_size: 16, iterations: 64 };
    TaskOrder {
        kernel: synthetic::ID,
        units: spec.units(),
        spec: Bounded::new(spec.bytes()).expect("as it was built"),
        inputs: Bounded::default(),
        jobs: 4,
        reward: Amount::new(1_000),
        deadline: TimeMs(1_000_000),
        lease_blocks: u32::try_from(LEASE_BLOCKS).expect("as it was built"),
        assurance: Assurance::Spot,
    }
}

fn committee() -> Committee {
    let seat = |place: u8| Seat {
        number: 2 * u16::from(place) + 1,
        account: Address([60 + place; 20]),
        verdict: verdict(place).public(),
        network: node(place),
    };
    Committee { drawn: DRAWN, quorum: 3, seats: (0..4).map(seat).collect() }
}

fn list<T, const MAX: usize>(items: Vec<T>) -> Bounded<T, MAX> {
    Bounded::new(items).expect("as it was built")
}

/// The member at place 1, while the seat at place 0 orchestrates.
struct Member {
    market: Market,
    asks: u64,
}

impl Member {
    /// Two blocks after the draw; one worker is there, and another has no bond.
    fn new() -> Self {
        let config = Config {
            chain: CHAIN,
            verdict: verdict(1),
            network: node(1),
            rotation_blocks: 20,
            bond_factor_spot: 2,
            bond_factor: 1,
        };
        let mut member = Self { market: Market::new(config), asks: 0 };
        let opened = Change::Opened { task: task(), order: order() };
        member.block(1, vec![opened]);
        member.block(DRAWN.0, vec![Change::Drawn { task: task(), committee: committee() }]);
        member.block(NOW.0, vec![]);
        member.event(Event::Prepared { task: task(), drawn: DRAWN, prepared: Prepared::Held });
        assert_eq!(member.join(1), Reply::taken());
        assert_eq!(member.join(2), Reply::taken());
        member
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.market.step(event, &mut effects);
        effects
    }

    fn block(&mut self, height: u64, changes: Vec<Change>) -> Vec<Effect> {
        let (time, epoch, beacon) = (TimeMs(height * 500), Epoch(0), Digest([7; 32]));
        let block = FinalBlock { height: Height(height), time, epoch, beacon, changes };
        self.event(Event::Block { at: time, block })
    }

    fn say(&mut self, from: PublicKey, message: Message) -> (Option<Reply>, Vec<Effect>) {
        self.asks += 1;
        let asked = Event::Asked { from, ask: self.asks, at: TimeMs(2_100), message };
        let mut effects = self.event(asked);
        if let Some(Effect::ReadWorker(worker)) = effects.first() {
            let (worker, known) = (*worker, (1..=3).find(|n| Address([*n; 20]) == *worker));
            let record = known.map(|n| WorkerRecord { hot: key(40 + n).public(), free_bond: Amount::new(1_000_000) });
            effects = self.event(Event::WorkerRead { worker, record });
        }
        let asks = self.asks;
        let reply = effects.iter().find_map(|effect| match effect {
            Effect::Reply { ask, reply } if *ask == asks => Some(reply.clone()),
            _ => None,
        });
        (reply, effects)
    }

    fn reply(&mut self, from: PublicKey, message: Message) -> Reply {
        self.say(from, message).0.expect("every question has its answer")
    }

    fn join(&mut self, number: u8) -> Reply {
        let (_, hot, peer) = worker(number);
        self.reply(peer, Message::Hello(Signed::new(hello(number), CHAIN, &hot)))
    }

    /// The orchestrator's offer of job 0 to a worker.
    fn offer(&mut self, number: u8, attempt: u16) -> Reply {
        let offers = offers(number, vec![offer(attempt)]);
        self.reply(node(0), Message::Offers(Signed::new(offers, CHAIN, &verdict(0))))
    }

    fn commit(&mut self, number: u8, attempt: u16, output: u8) -> Reply {
        let (address, hot, peer) = worker(number);
        let commits = Commits { worker: address, items: list(vec![commit(number, attempt, output)]) };
        self.reply(peer, Message::Commits(Signed::new(commits, CHAIN, &hot)))
    }

    fn open(&mut self, number: u8, opening: Opening) -> (Reply, bool) {
        let (address, hot, peer) = worker(number);
        let openings = Openings { worker: address, items: list(vec![opening]) };
        let (reply, effects) = self.say(peer, Message::Openings(Signed::new(openings, CHAIN, &hot)));
        let fetches = effects.iter().any(|effect| matches!(effect, Effect::Fetch { .. }));
        (reply.expect("every question has its answer"), fetches)
    }
}

fn hello(number: u8) -> Hello {
    let (worker, _, from) = worker(number);
    let (kernels, device) = (list(vec![synthetic::ID]), list(b"cpu".to_vec()));
    Hello { worker, from, to: node(1), height: NOW, kernels, credits: 4, device }
}

fn lease(attempt: u16) -> Lease {
    Lease { task: task(), drawn: DRAWN, job: JobIndex(0), attempt }
}

fn offer(attempt: u16) -> Offer {
    Offer { lease: lease(attempt), until: Height(NOW.0 + LEASE_BLOCKS) }
}

fn offers(number: u8, items: Vec<Offer>) -> Offers {
    Offers { signer: verdict(0).public(), worker: worker(number).0, issued: NOW, items: list(items) }
}

fn output(value: u8) -> Digest {
    Domain::JobOutput.hash_bytes(&[value])
}

fn commit(number: u8, attempt: u16, value: u8) -> Commit {
    Commit { lease: lease(attempt), commitment: commitment(&output(value), &worker(number).0, &Digest([5; 32])) }
}

fn opening(attempt: u16, value: u8) -> Opening {
    Opening { lease: lease(attempt), output: output(value), bytes: 256, salt: Digest([5; 32]) }
}

fn taken() -> Reply {
    Reply::Items(list(vec![Answer::Taken]))
}

fn item(reason: Refusal) -> Reply {
    Reply::Items(list(vec![Answer::Refused(reason)]))
}

#[test]
fn a_hello_is_good_on_its_own_connection_for_a_bonded_worker() {
    let mut member = Member::new();
    let (_, hot, peer) = worker(3);
    let cases: [(&str, Hello, SecretKey, ChainId, PublicKey, Refusal); 7] = [
        ("from another connection", hello(3), hot.clone(), CHAIN, worker(2).2, Refusal::NotKnown),
        ("for another node", Hello { to: node(2), ..hello(3) }, hot.clone(), CHAIN, peer, Refusal::NotKnown),
        ("signed by another", hello(3), key(99), CHAIN, peer, Refusal::BadSignature),
        ("for another chain", hello(3), hot.clone(), ChainId(8), peer, Refusal::BadSignature),
        (
            "as another worker",
            Hello { worker: worker(1).0, ..hello(3) },
            hot.clone(),
            CHAIN,
            peer,
            Refusal::BadSignature,
        ),
        ("without a bond", Hello { worker: Address([77; 20]), ..hello(3) }, hot, CHAIN, peer, Refusal::NotRegistered),
        (
            "in a validator's name",
            Hello { worker: Address([61; 20]), from: node(2), ..hello(3) },
            verdict(2),
            CHAIN,
            node(2),
            Refusal::NotRegistered,
        ),
    ];
    for (name, body, key, chain, from, reason) in cases {
        let message = Message::Hello(Signed::new(body, chain, &key));
        assert_eq!(member.reply(from, message), Reply::Refused(reason), "{name}");
    }
    assert_eq!(member.join(3), Reply::taken());
}

#[test]
fn offers_come_from_the_seat_whose_turn_it_is() {
    let good = || offers(1, vec![offer(0)]);
    let signed = |body: Offers, by: u8| Message::Offers(Signed::new(body, CHAIN, &verdict(by)));
    let other_signer = Offers { signer: verdict(2).public(), ..good() };
    let cases: [(&str, PublicKey, Message, Refusal); 8] = [
        ("too early", node(0), signed(Offers { issued: Height(NOW.0 + 5), ..good() }, 0), Refusal::OutOfStep),
        ("far too early", node(0), signed(Offers { issued: Height(u64::MAX), ..good() }, 0), Refusal::OutOfStep),
        ("from no member", worker(1).2, signed(good(), 0), Refusal::NotMember),
        ("from another member", node(2), signed(good(), 0), Refusal::NotMember),
        ("by another signer", node(0), signed(other_signer, 2), Refusal::NotMember),
        ("with a bad signature", node(0), signed(good(), 2), Refusal::BadSignature),
        (
            "for another chain",
            node(0),
            Message::Offers(Signed::new(good(), ChainId(8), &verdict(0))),
            Refusal::BadSignature,
        ),
        ("without items", node(0), signed(offers(1, vec![]), 0), Refusal::NotMember),
    ];
    for (name, from, message, reason) in cases {
        assert_eq!(Member::new().reply(from, message), Reply::Refused(reason), "{name}");
    }
    let mut later = Member::new();
    later.block(NOW.0 + 5, vec![]);
    assert_eq!(later.reply(node(0), signed(good(), 0)), Reply::Refused(Refusal::OutOfStep), "too late");
    let not_its_turn = signed(Offers { signer: verdict(2).public(), ..good() }, 2);
    assert_eq!(Member::new().reply(node(2), not_its_turn), item(Refusal::NotOrchestrator));
}

#[test]
fn an_offer_is_for_a_job_that_is_open_and_no_longer_than_the_order_says() {
    let plain = offer(0);
    let with = |lease: Lease| Offer { lease, ..plain };
    let cases: [(&str, Offer, Refusal); 7] = [
        ("of another task", with(Lease { task: TaskId::default(), ..lease(0) }), Refusal::UnknownTask),
        ("of another draw", with(Lease { drawn: Height(2), ..lease(0) }), Refusal::OtherCommittee),
        ("of no job", with(Lease { job: JobIndex(4), ..lease(0) }), Refusal::UnknownJob),
        ("of no job at all", with(Lease { job: JobIndex(u32::MAX), ..lease(0) }), Refusal::UnknownJob),
        ("in one attempt too many", with(lease(32)), Refusal::LeaseOver),
        ("for too long", Offer { until: Height(NOW.0 + LEASE_BLOCKS + 1), ..plain }, Refusal::LeaseOver),
        ("that is over", Offer { until: Height(NOW.0 - 1), ..plain }, Refusal::LeaseOver),
    ];
    for (name, offer, reason) in cases {
        // A good one beside it makes the message worth reading.
        let beside = Offer { lease: Lease { job: JobIndex(1), ..lease(0) }, ..plain };
        let message = Message::Offers(Signed::new(offers(1, vec![beside, offer]), CHAIN, &verdict(0)));
        let expected = Reply::Items(list(vec![Answer::Taken, Answer::Refused(reason)]));
        assert_eq!(Member::new().reply(node(0), message), expected, "{name}");
    }
    let mut member = Member::new();
    assert_eq!((member.offer(1, 0), member.offer(1, 0)), (taken(), taken()));
    assert_eq!(member.offer(2, 0), item(Refusal::Differs), "one worker for each attempt");
    assert_eq!(member.offer(2, 1), taken());
    let ended = Change::Closed { task: task(), outcome: Outcome::Cancelled };
    member.block(5, vec![ended]);
    assert_eq!(member.offer(1, 2), Reply::Refused(Refusal::NotMember), "the task is gone");
}

#[test]
fn a_commitment_is_its_workers_own_and_the_first() {
    let mut member = Member::new();
    assert_eq!(member.commit(1, 0, 1), item(Refusal::NotOffered), "before the offer");
    assert_eq!(member.offer(1, 0), taken());
    assert_eq!(member.offer(2, 1), taken());
    assert_eq!(member.commit(2, 0, 1), item(Refusal::NotOffered), "under another worker's lease");
    assert_eq!(member.commit(1, 2, 1), item(Refusal::NotOffered), "in an attempt that was not offered");

    let (address, hot, peer) = worker(1);
    let commits = Commits { worker: address, items: list(vec![commit(1, 0, 1)]) };
    let signed = |key: &SecretKey| Message::Commits(Signed::new(commits.clone(), CHAIN, key));
    assert_eq!(member.reply(worker(2).2, signed(&hot)), Reply::Refused(Refusal::NotKnown), "another connection");
    assert_eq!(member.reply(key(90).public(), signed(&hot)), Reply::Refused(Refusal::NotKnown), "a stranger");
    assert_eq!(member.reply(peer, signed(&key(9))), Reply::Refused(Refusal::BadSignature));

    assert_eq!(member.commit(1, 0, 1), taken());
    assert_eq!(member.commit(1, 0, 1), taken(), "said again");
    assert_eq!(member.commit(1, 0, 2), item(Refusal::Differs), "another output");
    assert_eq!(member.commit(2, 1, 1), item(Refusal::AnotherFirst));

    for (name, other, reason) in [
        ("of another task", Lease { task: TaskId::default(), ..lease(0) }, Refusal::UnknownTask),
        ("of another draw", Lease { drawn: Height(2), ..lease(0) }, Refusal::OtherCommittee),
        ("of no job", Lease { job: JobIndex(4), ..lease(0) }, Refusal::UnknownJob),
        ("of a job without offers", Lease { job: JobIndex(3), ..lease(0) }, Refusal::NotOffered),
    ] {
        let items = list(vec![Commit { lease: other, ..commit(1, 0, 1) }]);
        let message = Message::Commits(Signed::new(Commits { worker: address, items }, CHAIN, &hot));
        assert_eq!(member.reply(peer, message), item(reason), "{name}");
    }
}

#[test]
fn a_commitment_lapses_with_its_lease() {
    let mut member = Member::new();
    assert_eq!(member.offer(1, 0), taken());
    assert_eq!(member.commit(1, 0, 1), taken());
    for height in NOW.0 + 1..=NOW.0 + LEASE_BLOCKS + 1 {
        member.block(height, vec![]);
    }
    assert_eq!(member.commit(1, 0, 1), item(Refusal::LeaseOver));
    assert_eq!(member.open(1, opening(0, 1)).0, item(Refusal::NotCommitted));
}

#[test]
fn an_output_is_what_was_committed_to() {
    let mut member = Member::new();
    assert_eq!(member.offer(1, 0), taken());
    assert_eq!(member.open(1, opening(0, 1)), (item(Refusal::NotCommitted), false), "without a commitment");
    assert_eq!(member.commit(1, 0, 1), taken());
    let cases = [
        ("another output", opening(0, 2), Refusal::NotCommitted),
        ("another salt", Opening { salt: Digest([6; 32]), ..opening(0, 1) }, Refusal::NotCommitted),
        ("longer than all of the task", Opening { bytes: 1 << 40, ..opening(0, 1) }, Refusal::TooLong),
    ];
    for (name, opening, reason) in cases {
        assert_eq!(member.open(1, opening), (item(reason), false), "{name}");
    }
    assert_eq!(member.open(1, opening(0, 1)), (taken(), true));
    assert_eq!(member.open(1, opening(0, 1)), (taken(), false), "said again while the bytes come");
    assert_eq!(member.open(1, Opening { bytes: 255, ..opening(0, 1) }), (item(Refusal::Differs), false));
    member.event(Event::Fetched { lease: lease(0), came: false });
    assert_eq!(member.open(1, opening(0, 1)), (taken(), true), "the bytes did not come, and are asked for again");
}

#[test]
fn reports_and_jobs_that_come_back_are_of_the_worker_itself() {
    let mut member = Member::new();
    assert_eq!(member.offer(1, 0), taken());
    let report = |of: Lease| Message::Report(Report { credits: 1, items: list(vec![Progress { lease: of, done: 1 }]) });
    let back = |of: Lease| Message::GivenBack(list(vec![Refused { lease: of, reason: Refusal::DeviceFailed }]));
    for message in [report, back] {
        assert_eq!(member.reply(key(90).public(), message(lease(0))), Reply::Refused(Refusal::NotKnown));
        assert_eq!(member.reply(worker(2).2, message(lease(0))), item(Refusal::NotOffered));
        assert_eq!(member.reply(worker(1).2, message(lease(7))), item(Refusal::NotOffered));
        let other = Lease { drawn: Height(1), ..lease(0) };
        assert_eq!(member.reply(worker(1).2, message(other)), item(Refusal::UnknownTask));
        assert_eq!(member.reply(worker(1).2, message(lease(0))), taken());
    }
}

#[test]
fn what_members_say_is_believed_of_members() {
    let mut member = Member::new();
    let round = RoundRef { task: task(), drawn: DRAWN };
    let held = |round: RoundRef| Message::Held(list(vec![round]));
    assert_eq!(member.reply(worker(1).2, held(round)), item(Refusal::NotMember));
    assert_eq!(member.reply(node(2), held(RoundRef { drawn: Height(2), ..round })), item(Refusal::UnknownTask));
    assert_eq!(member.reply(node(2), held(round)), taken());
    let finding = LeaseFinding { lease: lease(0), judged: Judged::Wrong };
    let found = |finding: LeaseFinding| Message::Findings(list(vec![finding]));
    assert_eq!(member.reply(worker(1).2, found(finding)), item(Refusal::NotMember));
    let other = Lease { task: TaskId::default(), ..lease(0) };
    assert_eq!(member.reply(node(2), found(LeaseFinding { lease: other, ..finding })), item(Refusal::UnknownTask));
    assert_eq!(member.reply(node(2), found(finding)), taken());
}

#[test]
fn what_goes_to_workers_is_not_for_a_validator() {
    let mut member = Member::new();
    let spec = Bounded::default();
    let probe = Probe { id: Digest::ZERO, kernel: synthetic::ID, spec, inputs: Bounded::default() };
    let refused = Reply::Refused(Refusal::NotKnown);
    assert_eq!(member.reply(node(0), Message::Probe(probe)), refused);
    assert_eq!(member.reply(node(0), Message::CalledOff(list(vec![lease(0)]))), refused);
    let done = |id: Digest| Message::ProbeDone(ProbeDone { id, output: Bounded::default() });
    assert_eq!(member.reply(key(90).public(), done(Digest::ZERO)), refused);
    assert_eq!(member.reply(worker(1).2, done(Digest([1; 32]))), Reply::Refused(Refusal::UnknownJob));
}

/// What a seat would say of an output of job 0.
fn verdicts(place: u8, items: Vec<VerdictItem>) -> Verdicts {
    let seat = 2 * u16::from(place) + 1;
    let leaves: Vec<Digest> = items.iter().map(|item| item.of(seat).leaf()).collect();
    let root = merkle::root(&leaves);
    Verdicts { signed: SignedRoot::sign(&verdict(place), CHAIN, DRAWN, seat, root), items: list(items) }
}

fn right(job: u32) -> VerdictItem {
    let plan = JobPlan::new(&cpc_kernels::Registry::all(), task(), &order()).expect("as it was built");
    let result = plan.result(JobIndex(job), worker(1).0, output(1), 256).expect("as it was built");
    VerdictItem { result, finding: Finding::Accept, sample: Digest([1; 32]), digest: Digest([2; 32]) }
}

#[test]
fn verdicts_are_signed_by_the_seat_that_brings_them() {
    let mut member = Member::new();
    let good = || verdicts(2, vec![right(0), right(1)]);
    let mut other_root = good();
    other_root.signed.root = Digest([9; 32]);
    let mut bent = good();
    bent.signed.signature.0[3] ^= 1;
    let mut other_draw = good();
    other_draw.signed.drawn = Height(2);
    let mut fewer = good();
    fewer.items = list(vec![right(0)]);
    let foreign = VerdictItem {
        result: cpc_primitives::result::ComputeResult { task: TaskId::default(), ..right(0).result },
        ..right(0)
    };
    let far = VerdictItem {
        result: cpc_primitives::result::ComputeResult { job: JobIndex(500), ..right(0).result },
        ..right(0)
    };
    let cases: [(&str, PublicKey, Verdicts, Refusal); 9] = [
        ("nothing", node(2), verdicts(2, vec![]), Refusal::UnknownJob),
        ("over another member's connection", node(3), good(), Refusal::NotMember),
        ("over a worker's connection", worker(1).2, good(), Refusal::NotMember),
        ("under another root", node(2), other_root, Refusal::BadSignature),
        ("with a bent signature", node(2), bent, Refusal::BadSignature),
        ("of another draw", node(2), other_draw, Refusal::NotMember),
        ("with a leaf too few", node(2), fewer, Refusal::BadSignature),
        ("of a task that nobody knows", node(2), verdicts(2, vec![foreign]), Refusal::NotMember),
        ("of two pages", node(2), verdicts(2, vec![right(0), far]), Refusal::Differs),
    ];
    for (name, from, verdicts, reason) in cases {
        assert_eq!(member.reply(from, Message::Verdicts(verdicts)), Reply::Refused(reason), "{name}");
    }
    assert_eq!(member.reply(node(2), Message::Verdicts(good())), Reply::taken());
}

/// Three seats' verdicts on job 0, the node's turn, and how many entries it submits.
fn submitted(items: [VerdictItem; 3]) -> usize {
    let mut member = Member::new();
    // It is the turn of place 1 from the draw's height plus the rotation on.
    for height in NOW.0 + 1..=DRAWN.0 + 20 {
        member.block(height, vec![]);
    }
    let mut effects = Vec::new();
    for (place, item) in [0, 2, 3].into_iter().zip(items) {
        let (reply, more) = member.say(node(place), Message::Verdicts(verdicts(place, vec![item])));
        assert_eq!(reply, Some(Reply::taken()));
        effects.extend(more);
    }
    effects.extend(member.block(DRAWN.0 + 21, vec![]));
    let entries = effects.iter().filter_map(|effect| match effect {
        Effect::Submit(submit) => Some(submit.entries.len()),
        _ => None,
    });
    entries.sum()
}

/// What a liar changes of a verdict.
type Bend = fn(&mut VerdictItem);

#[test]
fn a_quorum_says_the_same_and_says_what_the_plan_says() {
    let good = right(0);
    assert_eq!(submitted([good; 3]), 1);
    let with = |change: fn(&mut VerdictItem)| {
        let mut item = good;
        change(&mut item);
        item
    };
    let bends: [(&str, Bend); 8] = [
        ("another output", |item| item.result.output = Digest([8; 32])),
        ("another length", |item| item.result.output_bytes += 1),
        ("another worker", |item| item.result.worker = worker(2).0),
        ("more units", |item| item.result.units.0 += 1),
        ("another part", |item| item.result.geometry.origin[0] += 1),
        ("another spec", |item| item.result.spec = Digest::ZERO),
        ("another kernel", |item| item.result.kernel.version += 1),
        ("another finding", |item| item.finding = Finding::BadSpec),
    ];
    for (name, bend) in bends {
        assert_eq!(submitted([good, good, with(bend)]), 0, "{name} of one seat");
    }
    // What all three say wrongly is said by a quorum, and still not what the plan says.
    for (name, bend) in &bends[3..] {
        assert_eq!(submitted([with(*bend); 3]), 0, "{name} of all three");
    }
}

#[test]
fn why_nothing_is_offered_is_always_said() {
    let mut member = Member::new();
    member.block(5, vec![]);
    assert_eq!(member.market.why(&task()), Some(Waiting::NotOrchestrator { seat: 0 }));
    for height in 6..=DRAWN.0 + 20 {
        member.block(height, vec![]);
    }
    assert_eq!(member.market.why(&task()), Some(Waiting::Payload { held: 1, quorum: 3 }));
    for place in [2, 3] {
        member.reply(node(place), Message::Held(list(vec![RoundRef { task: task(), drawn: DRAWN }])));
    }
    assert_eq!(member.market.why(&task()), Some(Waiting::NoneMeasured));
    for number in [1, 2] {
        member.event(Event::Left(worker(number).2));
    }
    member.block(DRAWN.0 + 21, vec![]);
    assert_eq!(member.market.why(&task()), Some(Waiting::NoWorkers));
    member.block(DRAWN.0 + 22, vec![Change::Cancelled { task: task() }]);
    assert_eq!(member.market.why(&task()), Some(Waiting::Cancelled));
    member.block(DRAWN.0 + 23, vec![Change::Closed { task: task(), outcome: Outcome::Cancelled }]);
    assert_eq!(member.market.why(&task()), None);
    assert_eq!(member.market.status(), cpc_market::Status::default());
}
