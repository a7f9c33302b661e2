//! What a worker takes, what it says and in which order, and when it stops.

use cpc_kernels::synthetic::{self, Seed, SyntheticSpec};
use cpc_market::chain::{Committee, Seat, WorkerRecord};
use cpc_market::journal::WorkerNote;
use cpc_market::worker::{Config, Effect, Event, Idle, Notice, OpenTask, Seen, Tag, Worker};
use cpc_market_wire::{
    Answer, Judged, Lease, LeaseFinding, Message, Offer, Offers, Refusal, Reply, Signed, commitment,
};
use cpc_primitives::codec::Bounded;
use cpc_primitives::ids::{JobIndex, Nonce, TaskId, TimeMs, Units};
use cpc_primitives::result::{Assurance, Outcome, TaskOrder};
use cpc_primitives::{Address, Amount, ChainId, Digest, Domain, Height, PublicKey, SecretKey};

const CHAIN: ChainId = ChainId(7);
const DRAWN: Height = Height(3);
const NOW: Height = Height(4);
const OURS: Address = Address([1; 20]);

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn node(place: u8) -> PublicKey {
    key(20 + place).public()
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
        lease_blocks: 10,
        assurance: Assurance::Spot,
    }
}

fn committee(drawn: Height) -> Committee {
    let seat = |place: u8| Seat {
        number: 2 * u16::from(place) + 1,
        account: Address([60 + place; 20]),
        verdict: key(10 + place).public(),
        network: node(place),
    };
    Committee { drawn, quorum: 3, seats: (0..4).map(seat).collect() }
}

fn open_task() -> OpenTask {
    let worker = Some(WorkerRecord { hot: key(40).public(), free_bond: Amount::new(1_000_000) });
    OpenTask { order: order(), committee: committee(DRAWN), worker }
}

fn config() -> Config {
    Config {
        chain: CHAIN,
        worker: OURS,
        hot: key(40),
        network: key(50).public(),
        salt: Digest([3; 32]),
        kernels: Bounded::new(vec![synthetic::ID]).expect("as it was built"),
        credits: 2,
        devices: 1,
        device: Bounded::default(),
        kept_bytes_max: 1 << 20,
    }
}

fn lease(job: u32) -> Lease {
    Lease { task: task(), drawn: DRAWN, job: JobIndex(job), attempt: 0 }
}

fn offers(leases: &[Lease]) -> Offers {
    let items = leases.iter().map(|lease| Offer { lease: *lease, until: Height(14) }).collect();
    Offers { signer: key(10).public(), worker: OURS, issued: NOW, items: Bounded::new(items).expect("as it was built") }
}

/// A worker that is connected with four validators.
struct Bench {
    worker: Worker,
}

impl Bench {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: Config) -> Self {
        let mut bench = Self { worker: Worker::new(config) };
        bench.event(Event::Block(Seen { height: NOW, ..Seen::default() }));
        for place in 0..4 {
            bench.event(Event::Joined(node(place)));
            bench.event(Event::Answered { to: node(place), tag: Tag::Hello, reply: Some(Reply::taken()) });
        }
        bench
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.worker.step(event, &mut effects);
        effects
    }

    fn say(&mut self, from: PublicKey, message: Message) -> (Reply, Vec<Effect>) {
        let effects = self.event(Event::Asked { from, ask: 1, message });
        let reply = effects.iter().find_map(|effect| match effect {
            Effect::Reply { reply, .. } => Some(reply.clone()),
            _ => None,
        });
        (reply.expect("every question has its answer"), effects)
    }

    fn offer(&mut self, leases: &[Lease]) -> Reply {
        self.say(node(0), Message::Offers(Signed::new(offers(leases), CHAIN, &key(10)))).0
    }

    /// Job 0, computed.
    fn compute(&mut self) -> Vec<Effect> {
        assert_eq!(self.offer(&[lease(0)]), all(&[Answer::Taken]));
        let effects = self.event(Event::TaskRead { task: task(), read: Some(open_task()) });
        assert!(matches!(effects.as_slice(), [Effect::Compute { .. }]), "{effects:?}");
        self.event(Event::Computed { lease: lease(0), output: Ok((output(), 256)) })
    }

    fn commit_taken(&mut self, place: u8) -> Vec<Effect> {
        let (tag, reply) = (Tag::Commits(vec![lease(0)]), Some(all(&[Answer::Taken])));
        self.event(Event::Answered { to: node(place), tag, reply })
    }

    fn block(&mut self, height: u64) -> Vec<Effect> {
        self.event(Event::Block(Seen { height: Height(height), ..Seen::default() }))
    }
}

fn output() -> Digest {
    Domain::JobOutput.hash_bytes(b"output")
}

fn all(answers: &[Answer]) -> Reply {
    Reply::Items(Bounded::new(answers.to_vec()).expect("as it was built"))
}

/// What was said to whom, in words.
fn said(effects: &[Effect]) -> Vec<(&'static str, PublicKey)> {
    let name = |message: &Message| match message {
        Message::Commits(_) => "commits",
        Message::Openings(_) => "openings",
        Message::GivenBack(_) => "given back",
        Message::Report(_) => "report",
        Message::Hello(_) => "hello",
        _ => "other",
    };
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to, message, .. } => Some((name(message), *to)),
        _ => None,
    });
    sent.collect()
}

#[test]
fn offers_that_are_not_for_this_worker_are_refused() {
    let good = offers(&[lease(0)]);
    let cases: [(&str, Offers, u8, ChainId, Reply); 4] = [
        (
            "for another",
            Offers { worker: Address([2; 20]), ..good.clone() },
            10,
            CHAIN,
            Reply::Refused(Refusal::NotKnown),
        ),
        ("by another key", good.clone(), 11, CHAIN, Reply::Refused(Refusal::BadSignature)),
        ("for another chain", good.clone(), 10, ChainId(8), Reply::Refused(Refusal::BadSignature)),
        (
            "that are over",
            Offers {
                items: Bounded::new(vec![Offer { lease: lease(0), until: Height(3) }]).expect("as it was built"),
                ..good
            },
            10,
            CHAIN,
            all(&[Answer::Refused(Refusal::LeaseOver)]),
        ),
    ];
    for (name, body, by, chain, expected) in cases {
        let message = Message::Offers(Signed::new(body, chain, &key(by)));
        assert_eq!(Bench::new().say(node(0), message).0, expected, "{name}");
    }
}

#[test]
fn a_worker_takes_no_more_than_it_said() {
    let mut bench = Bench::new();
    let refused = Answer::Refused(Refusal::NoCredit);
    let three = [lease(0), lease(1), lease(2)];
    assert_eq!(bench.offer(&three), all(&[Answer::Taken, Answer::Taken, refused]));
    assert_eq!(bench.offer(&three), all(&[Answer::Taken, Answer::Taken, refused]), "said again");
    assert_eq!((bench.worker.queue(), bench.worker.why()), (2, Idle::Working));
}

#[test]
fn who_paused_it_gets_no_jobs_through() {
    let mut bench = Bench::new();
    bench.event(Event::Pause);
    assert_eq!(bench.offer(&[lease(0)]), all(&[Answer::Refused(Refusal::Paused)]));
    assert_eq!(bench.worker.why(), Idle::Paused);
    bench.event(Event::Resume);
    assert_eq!(bench.offer(&[lease(0)]), all(&[Answer::Taken]));
}

#[test]
fn nothing_is_computed_that_the_chain_does_not_know() {
    let signer = |committee: &mut Committee| committee.seats[0].verdict = key(99).public();
    let with = |change: fn(&mut OpenTask)| {
        let mut read = open_task();
        change(&mut read);
        Some(read)
    };
    let mut foreign = open_task();
    signer(&mut foreign.committee);
    let cases: [(&str, Option<OpenTask>, Refusal); 6] = [
        ("no such task", None, Refusal::NotOnChain),
        ("no bond", with(|read| read.worker = None), Refusal::NotRegistered),
        (
            "another hot key",
            with(|read| read.worker = Some(WorkerRecord { hot: key(98).public(), free_bond: Amount::ZERO })),
            Refusal::NotRegistered,
        ),
        ("an impossible order", with(|read| read.order.units = Units(1)), Refusal::BadSpec),
        ("another draw", with(|read| read.committee = committee(Height(9))), Refusal::OtherCommittee),
        ("a signer that does not sit there", Some(foreign), Refusal::NotMember),
    ];
    for (name, read, reason) in cases {
        let mut bench = Bench::new();
        assert_eq!(bench.offer(&[lease(0)]), all(&[Answer::Taken]));
        let effects = bench.event(Event::TaskRead { task: task(), read });
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Compute { .. })), "{name}");
        let lost = Notice::Lost { lease: lease(0), reason };
        let says = |effect: &Effect| matches!(effect, Effect::Notice(notice) if *notice == lost);
        assert!(effects.iter().any(says), "{name}: {effects:?}");
        assert_eq!(bench.worker.queue(), 0, "{name}");
    }
}

#[test]
fn the_note_comes_before_the_commitment_and_the_output_after_a_quorum() {
    let mut bench = Bench::new();
    let effects = bench.compute();
    assert!(matches!(effects[0], Effect::Journal(WorkerNote::Computed { .. })), "{effects:?}");
    assert_eq!(said(&effects), [0, 1, 2, 3].map(|place| ("commits", node(place))).to_vec().tap_sorted());
    for effect in &effects {
        let Effect::Send { message: Message::Commits(commits), .. } = effect else { continue };
        commits.verify(CHAIN, &key(40).public()).expect("its hot key signs");
        let hidden = commits.body.items[0].commitment;
        assert_ne!(hidden, commitment(&output(), &OURS, &Digest::ZERO), "the salt is secret");
    }
    assert_eq!(said(&bench.commit_taken(0)), vec![]);
    assert_eq!(said(&bench.commit_taken(1)), vec![]);
    let openings = said(&bench.commit_taken(2));
    assert_eq!(openings, [0, 1, 2].map(|place| ("openings", node(place))).to_vec().tap_sorted());
    assert_eq!(said(&bench.commit_taken(3)), [("openings", node(3))]);
}

#[test]
fn what_was_not_taken_is_said_again_at_the_next_block() {
    let mut bench = Bench::new();
    bench.compute();
    let refused = Some(all(&[Answer::Refused(Refusal::NotOffered)]));
    let tag = Tag::Commits(vec![lease(0)]);
    let at_once = bench.event(Event::Answered { to: node(1), tag: tag.clone(), reply: refused });
    assert_eq!(said(&at_once), vec![], "once a block is enough");
    bench.event(Event::Answered { to: node(2), tag, reply: None });
    // The others have not answered yet: they are not asked twice at a time.
    let again = said(&bench.block(5));
    let again: Vec<PublicKey> = again.iter().filter(|(what, _)| *what == "commits").map(|(_, to)| *to).collect();
    assert_eq!(again, vec![node(1), node(2)].tap_sorted());
}

#[test]
fn an_output_that_the_worker_has_serves_the_next_offer_after_a_restart() {
    let mut bench = Bench::new();
    let note = bench.compute().into_iter().find_map(|effect| match effect {
        Effect::Journal(note) => Some(note),
        _ => None,
    });
    let mut worker = Worker::new(config());
    worker.restore(&note.expect("it was noted"));
    let mut bench = Bench { worker };
    bench.block(NOW.0);
    let second = Lease { attempt: 1, ..lease(0) };
    assert_eq!(bench.offer(&[second]), all(&[Answer::Taken]));
    let effects = bench.event(Event::TaskRead { task: task(), read: Some(open_task()) });
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Compute { .. })), "{effects:?}");
    assert_eq!(said(&effects).len(), 4);
}

#[test]
fn more_than_could_be_liars_make_it_pause() {
    let mut bench = Bench::new();
    bench.compute();
    let wrong = |of: Lease| {
        let finding = LeaseFinding { lease: of, judged: Judged::Wrong };
        Message::Findings(Bounded::new(vec![finding]).expect("as it was built"))
    };
    bench.say(node(0), wrong(lease(0)));
    bench.say(node(0), wrong(lease(0)));
    bench.say(key(77).public(), wrong(lease(0)));
    bench.say(node(1), wrong(lease(3)));
    assert_eq!(bench.worker.why(), Idle::Working);
    bench.say(node(1), wrong(lease(0)));
    assert_eq!(bench.worker.why(), Idle::PausedAfterRefusal);
    assert_eq!(bench.offer(&[lease(1)]), all(&[Answer::Refused(Refusal::Paused)]));
}

#[test]
fn a_device_that_fails_gives_its_job_back() {
    let mut bench = Bench::new();
    bench.offer(&[lease(0)]);
    bench.event(Event::TaskRead { task: task(), read: Some(open_task()) });
    let effects = bench.event(Event::Computed { lease: lease(0), output: Err(Refusal::DeviceFailed) });
    assert_eq!(said(&effects), [("given back", node(0))]);
    assert_eq!((bench.worker.queue(), bench.worker.why()), (0, Idle::NoOffer));
}

#[test]
fn jobs_are_called_off_by_their_committee_alone() {
    let mut bench = Bench::new();
    bench.offer(&[lease(0)]);
    bench.event(Event::TaskRead { task: task(), read: Some(open_task()) });
    let off = || Message::CalledOff(Bounded::new(vec![lease(0)]).expect("as it was built"));
    bench.say(key(77).public(), off());
    assert_eq!(bench.worker.queue(), 1);
    let (_, effects) = bench.say(node(2), off());
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Cancel(of) if *of == lease(0))), "{effects:?}");
    assert_eq!(bench.worker.queue(), 0);
}

#[test]
fn an_output_is_kept_until_its_job_has_ended() {
    let mut bench = Bench::new();
    bench.compute();
    let accepted = Seen { height: Height(6), accepted: vec![(task(), JobIndex(0), OURS)], ..Seen::default() };
    let dropped = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Drop(_)));
    assert!(!dropped(&bench.event(Event::Block(accepted))));
    let paid = (task(), JobIndex(0), Outcome::Settled, OURS, Amount::new(62));
    let effects = bench.event(Event::Block(Seen { height: Height(10), ended: vec![paid], ..Seen::default() }));
    assert!(dropped(&effects));
    let notice = Notice::Paid { task: task(), job: JobIndex(0), amount: Amount::new(62) };
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Notice(found) if *found == notice)));
    assert_eq!(bench.worker.why(), Idle::NoOffer);
}

#[test]
fn why_there_is_no_work_is_always_said() {
    let mut bench = Bench { worker: Worker::new(config()) };
    assert_eq!(bench.worker.why(), Idle::NoValidator);
    bench.event(Event::Joined(node(0)));
    let reply = Some(Reply::Refused(Refusal::NotRegistered));
    bench.event(Event::Answered { to: node(0), tag: Tag::Hello, reply });
    assert_eq!(bench.worker.why(), Idle::NotWelcome(Refusal::NotRegistered));
    bench.event(Event::Joined(node(1)));
    bench.event(Event::Answered { to: node(1), tag: Tag::Hello, reply: Some(Reply::taken()) });
    assert_eq!(bench.worker.why(), Idle::NoOffer);
    bench.event(Event::Left(node(0)));
    bench.event(Event::Left(node(1)));
    assert_eq!(bench.worker.why(), Idle::NoValidator);
}

#[test]
fn whoever_did_not_answer_is_greeted_again() {
    let mut bench = Bench { worker: Worker::new(config()) };
    bench.block(NOW.0);
    bench.event(Event::Joined(node(0)));
    assert!(said(&bench.block(NOW.0 + 13)).is_empty());
    assert_eq!(said(&bench.block(NOW.0 + 14)), [("hello", node(0))]);
}

/// The order in which peers are spoken to is that of their keys.
trait TapSorted {
    fn tap_sorted(self) -> Self;
}

impl<T: SortKey> TapSorted for Vec<T> {
    fn tap_sorted(mut self) -> Self {
        self.sort_by_key(SortKey::sort_key);
        self
    }
}

trait SortKey {
    fn sort_key(&self) -> PublicKey;
}

impl SortKey for PublicKey {
    fn sort_key(&self) -> PublicKey {
        *self
    }
}

impl SortKey for (&'static str, PublicKey) {
    fn sort_key(&self) -> PublicKey {
        self.1
    }
}
