//! Values of every format from a seed: the same on every machine, and as awkward as their types allow.

use cpc_ledger::{
    Cursor, Due, DuePage, DuePlace, Opened, Params, Rewards, Seat, Seats, Supply, Tally, Upgrade, Validator,
};
use cpc_light::{
    EpochLink, FinalityProof, ProofFile, ResultProof, SettlementProof, Start, StateProof, Subject, Terminal, TrustPath,
};
use cpc_primitives::codec::{decode, encode};
use cpc_primitives::committee::{Committee, Member};
use cpc_primitives::limits::{DECIDED_PAGE_JOBS, SEATS_MAX, SUPPLY_MAX};
use cpc_primitives::merkle::MerklePath;
use cpc_primitives::result::{
    Assurance, Attestation, BlobRef, Challenge as Kind, ComputeResult, ComputeRoots, Finding, Geometry, KernelId,
    Outcome, Settlement, SignedRoot, Subject as Ended, TaskOrder, Unfinished, Verdict,
};
use cpc_primitives::state::{Account, DueList, StateKey};
use cpc_primitives::task::{AcceptedJob, DecidedPage, Escrow, Terms, Worker};
use cpc_primitives::tx::{
    Action, AddVerdicts, AddedVerdicts, Approval, CancelTask, ChainEnds, Challenge, Delegate, DisputeCommit,
    DisputeOpen, DisputeVote, Evidence, KeyUse, ProvenKey, RegisterWorker, Registration, ResultEntry, RetireWorker,
    RevealSecret, SignedTx, Stake, SubmitResult, Transfer, TreasurySpend, TxBody, Unjail, Unstake, UpdateValidator,
};
use cpc_primitives::{
    Address, Amount, Block, BlockId, Bounded, Bps, ChainId, Digest, Epoch, Gas, Header, Height, JobIndex, Nonce,
    PublicKey, SecretKey, Signature, TaskId, TimeMs, TxHash, TxId, Units, View,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of values.
///
/// Only the raw words of ChaCha are used, never a library's distributions, which change between versions.
pub struct Draw {
    stream: ChaCha8Rng,
    /// How many bytes the lists of the current value may still fill: what keeps a transaction within its limit.
    room: usize,
}

/// A value that can be drawn.
pub trait Drawn {
    /// The next value.
    fn draw(from: &mut Draw) -> Self;
}

impl Draw {
    /// The stream of a name.
    pub fn new(name: &str) -> Self {
        Self { stream: ChaCha8Rng::from_seed(*blake3::hash(name.as_bytes()).as_bytes()), room: 0 }
    }

    /// The next whole value: mostly small, now and then as large as a transaction may be.
    pub fn value<T: Drawn>(&mut self) -> T {
        self.with_room(T::draw)
    }

    /// The next whole value of a function.
    pub fn with_room<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> T {
        self.room = match self.below(64) {
            0 => 56 << 10,
            1..=4 => 8 << 10,
            5..=12 => 2 << 10,
            _ => 300,
        };
        draw(self)
    }

    /// The next value inside another one.
    pub fn any<T: Drawn>(&mut self) -> T {
        T::draw(self)
    }

    /// A number below `bound`. Its bias does not matter: these are tests, and the bound is small.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.stream.next_u64() % bound
    }

    /// A place in a list of this length.
    pub fn place(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).expect("a list in memory");
        usize::try_from(self.below(length)).expect("below a length")
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.fill_bytes(&mut bytes);
        bytes
    }

    /// Bytes that are one time in eight all zero or all ones.
    fn awkward_bytes<const N: usize>(&mut self) -> [u8; N] {
        self.room = self.room.saturating_sub(N);
        match self.below(16) {
            0 => [0; N],
            1 => [0xff; N],
            _ => self.bytes(),
        }
    }

    /// A number whose favourites are the ends and the powers of two with their neighbours.
    fn awkward(&mut self, bits: u32) -> u128 {
        let max = u128::MAX >> (128 - bits);
        self.room = self.room.saturating_sub(usize::try_from(bits / 8).expect("at most 16"));
        let power = 1u128 << self.below(u64::from(bits));
        let number = match self.below(16) {
            0 => 0,
            1 => 1,
            2 => 2,
            3 => max,
            4 => max - 1,
            5 => power,
            6 => power - 1,
            7 => power.wrapping_add(1),
            8 => SUPPLY_MAX,
            9 => SUPPLY_MAX + 1,
            10 => Amount::ONE.units(),
            11 | 12 => u128::from(self.below(1000)),
            _ => u128::from_le_bytes(self.bytes()),
        };
        number & max
    }

    /// How long a list is before room runs out: empty, one, few, full or anything between.
    fn count(&mut self, max: usize) -> usize {
        match self.below(8) {
            0 | 1 => 0,
            2 => 1.min(max),
            3 => 2.min(max),
            4 | 5 => self.place(8).min(max),
            6 => max,
            _ => self.place(max + 1),
        }
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Drawn for $number {
            fn draw(from: &mut Draw) -> Self {
                Self::try_from(from.awkward(Self::BITS)).expect("masked to its bits")
            }
        }
    )*};
}

numbers!(u8 u16 u32 u64 u128);

macro_rules! newtypes {
    ($($name:ident)*) => {$(
        impl Drawn for $name {
            fn draw(from: &mut Draw) -> Self {
                Self(from.any())
            }
        }
    )*};
}

newtypes!(Height Epoch View Nonce Gas TimeMs ChainId JobIndex Units BlockId TxId TxHash TaskId);

macro_rules! bytes {
    ($($name:ident)*) => {$(
        impl Drawn for $name {
            fn draw(from: &mut Draw) -> Self {
                Self(from.awkward_bytes())
            }
        }
    )*};
}

bytes!(Digest Address Signature);

impl Drawn for Amount {
    fn draw(from: &mut Draw) -> Self {
        Self::new(from.any())
    }
}

impl Drawn for Bps {
    fn draw(from: &mut Draw) -> Self {
        let points = match from.below(4) {
            0 => 0,
            1 => Self::ONE.points(),
            _ => u16::try_from(from.below(10_001)).expect("at most one whole"),
        };
        from.room = from.room.saturating_sub(2);
        Self::new(points).expect("at most one whole")
    }
}

impl Drawn for PublicKey {
    /// A real key, or bytes that only look like one, among them the largest y and the smallest that is allowed.
    fn draw(from: &mut Draw) -> Self {
        from.room = from.room.saturating_sub(32);
        loop {
            let mut bytes = from.bytes::<32>();
            match from.below(16) {
                0 => return SecretKey::from_seed(&bytes).public(),
                1 => {
                    let sign = bytes[31] & 0x80;
                    bytes = [0; 32];
                    (bytes[0], bytes[31]) = (2, sign);
                }
                2 => {
                    let sign = bytes[31] & 0x80;
                    bytes = [0xff; 32];
                    (bytes[0], bytes[31]) = (0xeb, 0x7f | sign);
                }
                _ => {}
            }
            if let Ok(key) = Self::new(bytes) {
                return key;
            }
        }
    }
}

impl<T: Drawn> Drawn for Option<T> {
    fn draw(from: &mut Draw) -> Self {
        from.room = from.room.saturating_sub(1);
        (from.below(2) == 1).then(|| from.any())
    }
}

impl<T: Drawn, const N: usize> Drawn for [T; N] {
    fn draw(from: &mut Draw) -> Self {
        core::array::from_fn(|_| from.any())
    }
}

impl<T: Drawn, const MAX: usize> Drawn for Bounded<T, MAX> {
    fn draw(from: &mut Draw) -> Self {
        from.room = from.room.saturating_sub(8);
        let count = from.count(MAX);
        let mut items = Vec::new();
        while items.len() < count && from.room > 0 {
            items.push(from.any());
        }
        Self::new(items).expect("at most the limit")
    }
}

impl Drawn for StateKey {
    fn draw(from: &mut Draw) -> Self {
        match from.below(8) {
            0 => Self::account(&from.any()),
            1 => Self::supply(),
            2 => Self::validator(&from.any()),
            3 => Self::seats(from.any()),
            4 => Self::beacon(),
            5 => Self::rewards(),
            6 => match from.below(9) {
                0 => Self::worker(&from.any()),
                1 => Self::terms(from.any()),
                2 => Self::escrow(from.any()),
                3 => Self::committee(from.any(), from.any()),
                4 => Self::job(from.any(), from.any()),
                5 => Self::decided(from.any(), from.any()),
                6 => Self::tally(),
                7 => Self::due(from.any(), from.any()),
                _ => Self::due_page(from.any(), from.any(), from.any()),
            },
            _ => {
                let bytes: Bounded<u8, 64> = from.any();
                Self::raw(&bytes).expect("at most the limit")
            }
        }
    }
}

macro_rules! structs {
    ($($name:ident { $($field:ident)* })*) => {$(
        impl Drawn for $name {
            fn draw(from: &mut Draw) -> Self {
                let _ = &from;
                Self { $($field: from.any()),* }
            }
        }
    )*};
}

structs! {
    TxBody { chain nonce gas_price gas_limit action }
    SignedTx { body sender signature }
    Transfer { to amount }
    Stake { amount registration }
    Registration {
        consensus verdict network consensus_addresses network_addresses chains kernels commission
    }
    ChainEnds { beacon secrets }
    ProvenKey { key proof }
    Unstake { amount }
    Delegate { validator amount }
    UpdateValidator {
        consensus verdict network consensus_addresses network_addresses chains kernels commission
    }
    Unjail {}
    RegisterWorker { bond hot payout }
    RetireWorker {}
    CancelTask { task }
    SubmitResult { roots entries }
    ResultEntry { result finding attestations }
    AddVerdicts { roots entries }
    AddedVerdicts { task job attestations }
    Challenge { task job unit claimed bond }
    DisputeCommit { task job commitment }
    DisputeOpen { task job vote salt }
    RevealSecret { epoch secret }
    Evidence { epoch proof }
    TreasurySpend { to amount sequence approvals }
    Approval { key signature }
    Header {
        version chain height epoch view parent_view parent time proposer beacon tx_root state_root compute_root
        gas_used next_validators
    }
    Block { header txs }
    KernelId { challenge version }
    BlobRef { hash bytes }
    TaskOrder { kernel spec inputs units jobs reward deadline lease_blocks assurance }
    Geometry { origin extent }
    ComputeResult { task job kernel spec geometry units worker output output_bytes }
    Verdict { result finding seat sample digest }
    SignedRoot { drawn seat key root signature }
    Attestation { signed_root sample digest path }
    Unfinished { task kernel spec jobs }
    Settlement { subject outcome burn worker validators treasury refund }
    ComputeRoots { results settlements result_count settlement_count }
    MerklePath { index count siblings }
    Account { balance nonce }
    Upgrade { height version }
    Params {
        chain version upgrades epoch_blocks seats_max interval_ms beacon_steps block_bytes_max block_gas_max
        gas_price_min new_account_gas existential_minimum reward_initial reward_halving_blocks reward_seats fee_proposer settlement
        miners_cap reference_price committee_seats committee_quorum rotation_blocks lease_blocks
        challenge_window_blocks reward_per_job_min closing_fee bond_factor_spot bond_factor unbonding_epochs evidence_epochs
        second_committee audit slash_downtime slash_wrong slash_equivocation treasury_threshold treasury_keys
    }
    Validator { stake registration }
    Seat { key account stake }
    Supply { balances stake unbonding escrow bonds pending_rewards treasury burned minted genesis }
    Rewards { pot }
    Opened { first index element }
    Worker { bond reserved hot payout }
    Terms { customer opened gas_price order }
    Escrow { open accepted gas open_jobs accepted_jobs drawn progress cancelled closed deadline_item }
    Committee { epoch quorum pending members }
    Member { seat key account }
    AcceptedJob { result drawn closes reserved attested }
    Tally { tasks ordered_jobs open_jobs accepted_jobs ended_jobs heights seconds }
    Cursor { place item left }
    DuePlace { items left }
    DuePage { left items }
    StateProof { key terminal bucket_siblings dense_mask dense_siblings }
    ResultProof { result path roots }
    SettlementProof { settlement path roots }
    EpochLink { header certificate next }
    TrustPath { start links }
    FinalityProof { headers certificate }
    ProofFile { trust finality subject }
}

macro_rules! bare_enums {
    ($($name:ident { $($variant:ident)* })*) => {$(
        impl Drawn for $name {
            fn draw(from: &mut Draw) -> Self {
                let all = [$(Self::$variant),*];
                all[from.place(all.len())]
            }
        }
    )*};
}

bare_enums! {
    Kind { Synthetic Rendering Inference Training Function }
    Finding { Accept BadSpec InputUnavailable }
    Outcome { Settled DeadlinePassed Cancelled BadSpec InputUnavailable Slashed Unverifiable }
    DueList { Heights Seconds }
    KeyUse { Consensus Verdict Network Worker }
}

impl Drawn for Assurance {
    fn draw(from: &mut Draw) -> Self {
        match from.below(3) {
            0 => Self::Spot,
            1 => Self::Full,
            _ => Self::Quorum { workers: from.any() },
        }
    }
}

impl Drawn for Ended {
    fn draw(from: &mut Draw) -> Self {
        if from.below(2) == 0 { Self::Job(from.any()) } else { Self::Rest(from.any()) }
    }
}

impl Drawn for Due {
    fn draw(from: &mut Draw) -> Self {
        match from.below(5) {
            0 => Self::Nothing,
            1 => Self::Committee(from.any()),
            2 => Self::Window(from.any(), from.any()),
            3 => Self::Cancelled(from.any()),
            _ => Self::Deadline(from.any()),
        }
    }
}

impl Drawn for DecidedPage {
    /// Some jobs of a page, in any order.
    fn draw(from: &mut Draw) -> Self {
        let places: Bounded<u16, 64> = from.any();
        places.iter().fold(Self::default(), |page, place| page.with(u32::from(*place) % DECIDED_PAGE_JOBS))
    }
}

impl Drawn for cpc_ledger::Settlement {
    fn draw(from: &mut Draw) -> Self {
        Self { burn: from.any(), worker: from.any(), validators: from.any(), treasury: from.any() }
    }
}

impl Drawn for Seats {
    /// Any list of seats: what a set demands of them beyond the layout is asked when they are read from the state.
    fn draw(from: &mut Draw) -> Self {
        let seats: Bounded<Seat, SEATS_MAX> = from.any();
        decode(&encode(&seats), usize::MAX).expect("seats are their list")
    }
}

impl Drawn for Terminal {
    fn draw(from: &mut Draw) -> Self {
        match from.below(3) {
            0 => Self::Present { value: from.any() },
            1 => Self::EmptySlot,
            _ => Self::OtherKey { key: from.any(), value_hash: from.any() },
        }
    }
}

impl Drawn for Subject {
    fn draw(from: &mut Draw) -> Self {
        match from.below(3) {
            0 => Self::State(from.any()),
            1 => Self::Result(from.any()),
            _ => Self::Settlement(from.any()),
        }
    }
}

impl Drawn for Start {
    fn draw(from: &mut Draw) -> Self {
        match from.below(2) {
            0 => Self::Genesis { header: from.any(), sets: from.any() },
            _ => Self::Anchor {
                genesis: from.any(),
                chain: from.any(),
                epoch: from.any(),
                time: from.any(),
                sets: from.any(),
            },
        }
    }
}

impl Drawn for DisputeVote {
    fn draw(from: &mut Draw) -> Self {
        if from.below(2) == 0 { Self::Value(from.any()) } else { Self::Unverifiable }
    }
}

/// How many kinds of actions there are.
pub const ACTIONS: usize = 19;

/// An action of the kind with this wire number.
pub fn action(from: &mut Draw, kind: usize) -> Action {
    match kind {
        0 => Action::Transfer(from.any()),
        1 => Action::Stake(from.any()),
        2 => Action::Unstake(from.any()),
        3 => Action::Delegate(from.any()),
        4 => Action::Undelegate(from.any()),
        5 => Action::UpdateValidator(from.any()),
        6 => Action::Unjail(from.any()),
        7 => Action::RegisterWorker(from.any()),
        8 => Action::RetireWorker(from.any()),
        9 => Action::OpenTask(from.any()),
        10 => Action::CancelTask(from.any()),
        11 => Action::SubmitResult(from.any()),
        12 => Action::AddVerdicts(from.any()),
        13 => Action::Challenge(from.any()),
        14 => Action::DisputeCommit(from.any()),
        15 => Action::DisputeOpen(from.any()),
        16 => Action::RevealSecret(from.any()),
        17 => Action::Evidence(from.any()),
        _ => Action::TreasurySpend(from.any()),
    }
}

impl Drawn for Action {
    fn draw(from: &mut Draw) -> Self {
        let kind = from.place(ACTIONS);
        action(from, kind)
    }
}
