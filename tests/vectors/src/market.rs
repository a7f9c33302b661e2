//! One message of each kind between orchestrator, committee and worker, from a seed.

use cpc_market_wire::{
    Answer, BlobAnswer, BlobAsk, BlobName, Commit, Commits, Frame, Hello, Judged, Lease, LeaseFinding, Message, Offer,
    Offers, Opening, Openings, Probe, ProbeDone, Progress, Refusal, Refused, Reply, Report, RoundRef, Signed,
    VerdictItem, Verdicts, commitment,
};
use cpc_primitives::codec::Bounded;
use cpc_primitives::{Address, ChainId, SecretKey};

use crate::draw::Draw;

/// The network of the samples.
pub const CHAIN: ChainId = ChainId(7);

/// The key that signs them: its seed is the byte 1, 32 times.
pub fn key() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

/// The messages, in the order of their wire numbers.
pub fn messages() -> Vec<(&'static str, Message)> {
    let mut from = Draw::new("market");
    let worker = Address::of(&key().public());
    let lease = Lease { task: from.value(), drawn: from.value(), job: from.value(), attempt: 2 };
    let other = Lease { attempt: 3, ..lease };
    let salt = from.value();
    let output = from.value();
    let hello = Hello {
        worker,
        from: from.value(),
        to: from.value(),
        height: from.value(),
        kernels: list(vec![from.value(), from.value()]),
        credits: 4,
        device: list(b"cpu (avx512, 2 threads)".to_vec()),
    };
    let until = from.value();
    let offers = [lease, other].map(|lease| Offer { lease, until });
    let offers = Offers { signer: key().public(), worker, issued: from.value(), items: list(offers.to_vec()) };
    let commit = Commit { lease, commitment: commitment(&output, &worker, &salt) };
    let opening = Opening { lease, output, bytes: 16_384, salt };
    let item = VerdictItem { result: from.value(), finding: from.value(), sample: from.value(), digest: from.value() };
    let report = Report { credits: 3, items: list(vec![Progress { lease, done: 125 }]) };
    let spec = list(vec![7; 48]);
    let probe = Probe { id: from.value(), kernel: from.value(), spec, inputs: list(vec![from.value()]) };
    let round = RoundRef { task: lease.task, drawn: lease.drawn };
    let refused = Refused { lease, reason: Refusal::DeviceFailed };
    let commits = Commits { worker, items: list(vec![commit]) };
    let openings = Openings { worker, items: list(vec![opening]) };
    let verdicts = Verdicts { signed: from.value(), items: list(vec![item]) };
    vec![
        ("hello", Message::Hello(Signed::new(hello, CHAIN, &key()))),
        ("offers", Message::Offers(Signed::new(offers, CHAIN, &key()))),
        ("commits", Message::Commits(Signed::new(commits, CHAIN, &key()))),
        ("openings", Message::Openings(Signed::new(openings, CHAIN, &key()))),
        ("report", Message::Report(report)),
        ("given-back", Message::GivenBack(list(vec![refused]))),
        ("held", Message::Held(list(vec![round]))),
        ("verdicts", Message::Verdicts(verdicts)),
        ("findings", Message::Findings(list(vec![LeaseFinding { lease, judged: Judged::Wrong }]))),
        ("probe", Message::Probe(probe)),
        ("probe-done", Message::ProbeDone(ProbeDone { id: from.value(), output: list(vec![9; 12]) })),
        ("called-off", Message::CalledOff(list(vec![lease, other]))),
    ]
}

/// Replies of both kinds.
pub fn replies() -> Vec<(&'static str, Reply)> {
    let items = list(vec![Answer::Taken, Answer::Refused(Refusal::AnotherFirst), Answer::Refused(Refusal::Full)]);
    vec![
        ("reply-taken", Reply::taken()),
        ("reply-items", Reply::Items(items)),
        ("reply-refused", Reply::Refused(Refusal::BadSignature)),
    ]
}

/// Questions for parts of blobs.
pub fn blob_asks() -> Vec<(&'static str, BlobAsk)> {
    let mut from = Draw::new("blobs");
    let input = BlobAsk { name: BlobName::Input(from.value()), offset: 0 };
    let output = BlobAsk { name: BlobName::Output(from.value()), offset: 1 << 20 };
    vec![("blob-ask-input", input), ("blob-ask-output", output)]
}

/// Answers to them.
pub fn blob_answers() -> Vec<(&'static str, BlobAnswer)> {
    vec![("blob-answer-absent", BlobAnswer::Absent), ("blob-answer-chunk", BlobAnswer::Chunk(list((0..40).collect())))]
}

/// All of them as bytes, with the number of the reader that they are for.
pub fn samples() -> Vec<(&'static str, u8, Vec<u8>)> {
    let messages = messages().into_iter().map(|(name, message)| (name, 0, Frame::encode(CHAIN, message)));
    let replies = replies().into_iter().map(|(name, reply)| (name, 1, reply.encode()));
    let asks = blob_asks().into_iter().map(|(name, ask)| (name, 2, ask.encode()));
    let answers = blob_answers().into_iter().map(|(name, answer)| (name, 3, answer.encode()));
    messages.chain(replies).chain(asks).chain(answers).collect()
}

fn list<T, const MAX: usize>(items: Vec<T>) -> Bounded<T, MAX> {
    Bounded::new(items).expect("short lists")
}
