//! The layout of every format, described a second time and apart from the code that reads it.
//!
//! A description finds the places in an encoding where something can be wrong (a tag, a length, a key), and it says on
//! its own whether bytes are a value. The decoder has to agree with it on every input.

use cpc_ledger::UPGRADES_MAX;
use cpc_light::limits::{
    BUCKET_SIBLINGS_MAX, CERTIFICATE_BYTES_MAX, DENSE_SIBLINGS_MAX, PROOF_EPOCHS_MAX, PROOF_HEADERS_MAX,
};
use cpc_primitives::PublicKey;
use cpc_primitives::limits::{
    COMMITTEE_MAX, DECIDED_PAGE_JOBS, DUE_PAGE_ITEMS, EVIDENCE_BYTES_MAX, INPUTS_MAX, KERNELS_MAX,
    NET_ADDRESS_BYTES_MAX, NET_ADDRESSES_MAX, PATH_STEPS_MAX, RESULTS_PER_TX_MAX, SEATS_MAX, SPEC_BYTES_MAX,
    STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX, TREASURY_KEYS_MAX, TXS_PER_BLOCK_MAX, VERDICT_ROOTS_PER_TX_MAX,
};

/// How the bytes of a format lie.
#[derive(Clone)]
pub enum Shape {
    /// So many bytes of any value: numbers in little-endian order, digests, signatures.
    Fixed(usize),
    /// A share: two bytes that are at most 10,000.
    Share,
    /// A public key.
    Key,
    /// Parts one after the other.
    Parts(Vec<Shape>),
    /// A byte 0, or a byte 1 and the value.
    Maybe(Box<Shape>),
    /// A number of 64 bits and so many elements, at most the limit.
    List(usize, Box<Shape>),
    /// A number of 32 bits that picks one of these.
    OneOf(Vec<Shape>),
}

/// What stands at a place of an encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mark {
    /// The number of a variant, of so many.
    Tag(u32),
    /// The byte of an option.
    Maybe,
    /// The length of a list, with its limit.
    Length(usize),
    /// A public key.
    Key,
    /// A share.
    Share,
    /// Bytes of any value, so many.
    Plain(usize),
}

/// Bytes are not a value: what was read, and at which offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// Where.
    pub at: usize,
    /// What stood there.
    pub what: Mark,
    /// Whether the bytes ended inside it; otherwise its value is not allowed.
    pub ended: bool,
}

impl Shape {
    /// The marks of the one value at the start of the bytes and how many bytes it has; `Err` where there is none.
    pub fn read(&self, bytes: &[u8]) -> Result<(Vec<(usize, Mark)>, usize), Wrong> {
        let mut marks = Vec::new();
        let mut at = 0;
        self.walk(bytes, &mut at, &mut marks)?;
        Ok((marks, at))
    }

    /// Whether these bytes are exactly one value.
    pub fn accepts(&self, bytes: &[u8]) -> bool {
        self.read(bytes).is_ok_and(|(_, end)| end == bytes.len())
    }

    fn walk(&self, bytes: &[u8], at: &mut usize, marks: &mut Vec<(usize, Mark)>) -> Result<(), Wrong> {
        let start = *at;
        let mut take = |what: Mark, count: usize| -> Result<u64, Wrong> {
            let wrong = Wrong { at: start, what, ended: true };
            let end = start.checked_add(count).ok_or(wrong)?;
            let taken = bytes.get(start..end).ok_or(wrong)?;
            *at = end;
            marks.push((start, what));
            Ok(taken.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
        };
        let unless = |good: bool, what: Mark| if good { Ok(()) } else { Err(Wrong { at: start, what, ended: false }) };
        match self {
            Self::Fixed(count) => take(Mark::Plain(*count), *count).map(drop),
            Self::Share => {
                let points = take(Mark::Share, 2)?;
                unless(points <= 10_000, Mark::Share)
            }
            Self::Key => {
                take(Mark::Key, 32)?;
                let key = bytes[start..*at].try_into().expect("32 bytes were taken");
                unless(PublicKey::new(key).is_ok(), Mark::Key)
            }
            Self::Parts(parts) => parts.iter().try_for_each(|part| part.walk(bytes, at, marks)),
            Self::Maybe(some) => match take(Mark::Maybe, 1)? {
                0 => Ok(()),
                1 => some.walk(bytes, at, marks),
                _ => unless(false, Mark::Maybe),
            },
            Self::List(max, each) => {
                let count = take(Mark::Length(*max), 8)?;
                let count = usize::try_from(count).ok().filter(|count| count <= max);
                unless(count.is_some(), Mark::Length(*max))?;
                (0..count.unwrap_or(0)).try_for_each(|_| each.walk(bytes, at, marks))
            }
            Self::OneOf(variants) => {
                let count = u32::try_from(variants.len()).expect("few variants");
                let tag = take(Mark::Tag(count), 4)?;
                let variant = usize::try_from(tag).ok().and_then(|tag| variants.get(tag));
                unless(variant.is_some(), Mark::Tag(count))?;
                variant.map_or(Ok(()), |variant| variant.walk(bytes, at, marks))
            }
        }
    }
}

/// Parts one after the other.
pub fn parts(parts: impl IntoIterator<Item = Shape>) -> Shape {
    Shape::Parts(parts.into_iter().collect())
}

fn list(max: usize, each: Shape) -> Shape {
    Shape::List(max, Box::new(each))
}

fn maybe(some: Shape) -> Shape {
    Shape::Maybe(Box::new(some))
}

/// A choice of so many variants without content.
pub fn bare(variants: usize) -> Shape {
    Shape::OneOf(vec![parts([]); variants])
}

/// Two bytes of any value.
pub const U16: Shape = Shape::Fixed(2);
/// Four bytes of any value.
pub const U32: Shape = Shape::Fixed(4);
/// Eight bytes of any value.
pub const U64: Shape = Shape::Fixed(8);
/// Sixteen bytes of any value: amounts and units.
pub const U128: Shape = Shape::Fixed(16);
/// Twenty bytes of any value.
pub const ADDRESS: Shape = Shape::Fixed(20);
/// Thirty-two bytes of any value.
pub const DIGEST: Shape = Shape::Fixed(32);
/// Sixty-four bytes of any value.
pub const SIGNATURE: Shape = Shape::Fixed(64);

/// What is computed: its kind and its version.
pub fn kernel() -> Shape {
    parts([bare(5), U16])
}

/// How results are checked.
pub fn assurance() -> Shape {
    Shape::OneOf(vec![parts([]), parts([]), Shape::Fixed(1)])
}

/// A blob: hash and size.
pub fn blob() -> Shape {
    parts([DIGEST, U64])
}

/// A task as it is ordered.
pub fn task_order() -> Shape {
    parts([
        kernel(),
        list(SPEC_BYTES_MAX, Shape::Fixed(1)),
        list(INPUTS_MAX, blob()),
        U128,
        U32,
        U128,
        U64,
        U32,
        assurance(),
    ])
}

/// Where in a task a job is.
pub fn geometry() -> Shape {
    Shape::Fixed(24)
}

/// One result.
pub fn compute_result() -> Shape {
    parts([DIGEST, U32, kernel(), DIGEST, geometry(), U128, ADDRESS, DIGEST, U64])
}

/// One seat's word.
pub fn verdict() -> Shape {
    parts([compute_result(), bare(3), U16, DIGEST, DIGEST])
}

/// A seat's signature over its verdicts.
pub fn signed_root() -> Shape {
    parts([U64, U16, Shape::Key, DIGEST, SIGNATURE])
}

/// The way from a leaf to a root.
pub fn merkle_path() -> Shape {
    parts([U32, U32, list(PATH_STEPS_MAX, DIGEST)])
}

/// What a seat adds to an entry.
pub fn attestation() -> Shape {
    parts([U16, DIGEST, DIGEST, merkle_path()])
}

/// How a job's reward was divided.
pub fn settlement() -> Shape {
    parts([ended(), bare(7), U128, U128, U128, U128, U128])
}

/// What a settlement is about.
pub fn ended() -> Shape {
    Shape::OneOf(vec![compute_result(), unfinished()])
}

/// The jobs of a task that ended without a result.
pub fn unfinished() -> Shape {
    parts([DIGEST, kernel(), DIGEST, U32])
}

/// A worker.
pub fn worker() -> Shape {
    parts([U128, U128, Shape::Key, ADDRESS])
}

/// What was agreed when a task was opened.
pub fn terms() -> Shape {
    parts([ADDRESS, U64, U128, task_order()])
}

/// What an open task holds.
pub fn escrow() -> Shape {
    parts([U128, U128, U128, U32, U32, maybe(U64), U64, maybe(U64), maybe(bare(7)), U32])
}

/// The committee of a task.
pub fn committee() -> Shape {
    parts([U64, U16, U32, list(COMMITTEE_MAX, member())])
}

/// A member of a committee.
pub fn member() -> Shape {
    parts([U16, Shape::Key, ADDRESS])
}

/// A job whose window is open.
pub fn accepted_job() -> Shape {
    parts([compute_result(), U64, U64, U128, U64])
}

/// Which jobs of a page are decided.
pub fn decided_page() -> Shape {
    list(usize::try_from(DECIDED_PAGE_JOBS / 8).expect("small"), Shape::Fixed(1))
}

/// How many tasks and jobs there are.
pub fn tally() -> Shape {
    parts([U64, U64, U64, U64, U64, cursor(), cursor()])
}

/// How far a list of what is due is worked off.
pub fn cursor() -> Shape {
    parts([U64, U32, U64])
}

/// Something that is due.
pub fn due() -> Shape {
    Shape::OneOf(vec![parts([]), DIGEST, parts([DIGEST, U32]), DIGEST, DIGEST])
}

/// Some of what is due at a place.
pub fn due_page() -> Shape {
    parts([U32, list(DUE_PAGE_ITEMS, due())])
}

/// Both roots of a block's computation.
pub fn compute_roots() -> Shape {
    parts([DIGEST, DIGEST, U32, U32])
}

/// A key with its proof.
pub fn proven_key() -> Shape {
    parts([Shape::Key, SIGNATURE])
}

/// Both ends of the hash chains.
pub fn chain_ends() -> Shape {
    parts([DIGEST, DIGEST])
}

/// One network address.
pub fn net_address() -> Shape {
    list(NET_ADDRESS_BYTES_MAX, Shape::Fixed(1))
}

/// The parts of a registration in their order.
fn declared() -> [Shape; 8] {
    [
        proven_key(),
        proven_key(),
        proven_key(),
        list(NET_ADDRESSES_MAX, net_address()),
        list(NET_ADDRESSES_MAX, net_address()),
        chain_ends(),
        list(KERNELS_MAX, kernel()),
        Shape::Share,
    ]
}

/// What a validator declares.
pub fn registration() -> Shape {
    parts(declared())
}

/// One treasury key's consent.
pub fn approval() -> Shape {
    parts([Shape::Fixed(1), SIGNATURE])
}

/// A vote in a dispute.
pub fn dispute_vote() -> Shape {
    Shape::OneOf(vec![DIGEST, parts([])])
}

/// Every action in the order of the wire numbers.
pub fn actions() -> Vec<Shape> {
    let delegate = || parts([ADDRESS, U128]);
    let roots = || list(VERDICT_ROOTS_PER_TX_MAX, signed_root());
    let attestations = || list(COMMITTEE_MAX, attestation());
    vec![
        parts([ADDRESS, U128]),
        parts([U128, maybe(registration())]),
        U128,
        delegate(),
        delegate(),
        parts(declared().map(maybe)),
        parts([]),
        parts([U128, proven_key(), ADDRESS]),
        parts([]),
        task_order(),
        DIGEST,
        parts([roots(), list(RESULTS_PER_TX_MAX, parts([compute_result(), bare(3), attestations()]))]),
        parts([roots(), list(RESULTS_PER_TX_MAX, parts([DIGEST, U32, attestations()]))]),
        parts([DIGEST, U32, U64, DIGEST, U128]),
        parts([DIGEST, U32, DIGEST]),
        parts([DIGEST, U32, dispute_vote(), DIGEST]),
        parts([U64, DIGEST]),
        parts([U64, list(EVIDENCE_BYTES_MAX, Shape::Fixed(1))]),
        parts([ADDRESS, U128, U64, list(TREASURY_KEYS_MAX, approval())]),
    ]
}

/// Any action.
pub fn action() -> Shape {
    Shape::OneOf(actions())
}

/// A transaction without its sender.
pub fn tx_body() -> Shape {
    parts([U64, U64, U128, U64, action()])
}

/// A transaction.
pub fn signed_tx() -> Shape {
    parts([tx_body(), Shape::Key, SIGNATURE])
}

/// A header.
pub fn header() -> Shape {
    let before = [U32, U64, U64, U64, U64, U64, DIGEST, U64, Shape::Key];
    parts(before.into_iter().chain([DIGEST, DIGEST, DIGEST, DIGEST, U64, DIGEST]))
}

/// A block.
pub fn block() -> Shape {
    parts([header(), list(TXS_PER_BLOCK_MAX, signed_tx())])
}

/// The name of a record in the state.
pub fn state_key() -> Shape {
    list(STATE_KEY_BYTES_MAX, Shape::Fixed(1))
}

/// A change of the rules.
pub fn upgrade() -> Shape {
    parts([U64, U32])
}

/// The parameters of a network.
pub fn params() -> Shape {
    let (share, u8) = (|| Shape::Share, || Shape::Fixed(1));
    parts([
        parts([U64, U32, list(UPGRADES_MAX, upgrade())]),
        parts([U64, U32, U64, U32, U32, U64]),
        parts([U128, U64, U128]),
        parts([U128, U64, share(), share()]),
        parts([share(), share(), share(), share()]),
        parts([share(), U128]),
        parts([U16, U16, U32, U32, U32, U128, share(), u8(), u8()]),
        parts([U32, U32, share(), share(), share(), share(), share()]),
        parts([u8(), list(TREASURY_KEYS_MAX, Shape::Key)]),
    ])
}

/// A validator's record.
pub fn validator() -> Shape {
    parts([U128, registration()])
}

/// The seats of an epoch.
pub fn seats() -> Shape {
    list(SEATS_MAX, parts([Shape::Key, ADDRESS, U128]))
}

/// The running totals.
pub fn supply() -> Shape {
    parts(core::iter::repeat_n(U128, 10))
}

/// What there is where the way of a key ends.
pub fn terminal() -> Shape {
    let value = list(STATE_VALUE_BYTES_MAX, Shape::Fixed(1));
    Shape::OneOf(vec![value, parts([]), parts([state_key(), DIGEST])])
}

/// What a state says of a key.
pub fn state_proof() -> Shape {
    let (inside, above) = (list(BUCKET_SIBLINGS_MAX, DIGEST), list(DENSE_SIBLINGS_MAX, DIGEST));
    parts([state_key(), terminal(), inside, U32, above])
}

/// A result that a block accepted.
pub fn result_proof() -> Shape {
    parts([compute_result(), merkle_path(), compute_roots()])
}

/// A job that a block settled.
pub fn settlement_proof() -> Shape {
    parts([settlement(), merkle_path(), compute_roots()])
}

/// What a proof file is about.
pub fn subject() -> Shape {
    Shape::OneOf(vec![state_proof(), result_proof(), settlement_proof()])
}

fn set() -> Shape {
    list(SEATS_MAX, Shape::Key)
}

fn certificate() -> Shape {
    list(CERTIFICATE_BYTES_MAX, Shape::Fixed(1))
}

/// Where a path of trust begins.
pub fn start() -> Shape {
    Shape::OneOf(vec![parts([header(), set(), set()]), parts([DIGEST, U64, U64, U64, set(), set()])])
}

/// The end of an epoch.
pub fn epoch_link() -> Shape {
    parts([header(), certificate(), maybe(set())])
}

/// From what is trusted to the sets.
pub fn trust_path() -> Shape {
    parts([start(), list(PROOF_EPOCHS_MAX, epoch_link())])
}

/// From a set to the block.
pub fn finality_proof() -> Shape {
    parts([list(PROOF_HEADERS_MAX, header()), certificate()])
}

/// A proof file after its first twelve bytes.
pub fn proof_file() -> Shape {
    parts([trust_path(), finality_proof(), subject()])
}
