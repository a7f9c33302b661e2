//! Why a transaction, a block or a genesis is refused, each with both its sides.

use cpc_primitives::result::KernelId;
use cpc_primitives::tx::KeyUse;
use cpc_primitives::{
    Address, Amount, BlockId, ChainId, Digest, Epoch, Fault, Gas, Height, JobIndex, Mismatch, Nonce, PublicKey, TaskId,
    TimeMs, TxHash, Units, View,
};
use wincode::{SchemaRead, SchemaWrite};

use crate::rules::{Field, ParamsError};

/// Why a transaction was not taken into a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxError {
    /// It breaks a rule. Every honest node says the same.
    #[error(transparent)]
    Reject(#[from] Reject),
    /// This node cannot tell. It halts before it signs.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why no block may carry a transaction at its place. It leaves no trace and costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum Reject {
    #[error("signed for another chain: {0}")]
    Chain(Mismatch<ChainId>),
    #[error("{action} is not active: its rules come with a later version")]
    NotActive { action: &'static str },
    #[error("{found} bytes, a transaction has at most {limit}")]
    TxBytes { limit: usize, found: usize },
    #[error("a gas price of {found} CPC, the network's minimum is {minimum} CPC")]
    GasPrice { minimum: Amount, found: Amount },
    #[error("a gas limit of {found}, {action} needs at least {needed}")]
    GasLimit { action: &'static str, needed: Gas, found: Gas },
    #[error("an amount of {found} CPC, no more than {maximum} CPC can ever exist")]
    AmountTooLarge { maximum: Amount, found: Amount },
    #[error("a task of {found} jobs, it has 1 to {maximum}")]
    Jobs { maximum: u32, found: u32 },
    #[error("{found} units for {jobs} jobs, each has at least one")]
    Units { jobs: u32, found: Units },
    #[error("a reward of {found} CPC for {jobs} jobs, the network's minimum is {minimum} CPC for each")]
    RewardTooSmall { jobs: u32, minimum: Amount, found: Amount },
    #[error("results of several workers are not active: their rules come with a later version")]
    AssuranceNotActive,
    #[error("no entry")]
    NoEntry,
    #[error("entry {entry} does not come after the one before it: tasks and jobs rise")]
    EntryOrder { entry: u16 },
    #[error("entry {entry} has no attestation")]
    NoAttestation { entry: u16 },
    #[error("entry {entry} refers to signed root {found}, there are {roots}")]
    UnknownRoot { entry: u16, roots: u16, found: u16 },
    #[error("entry {entry}: seat {seat} does not come after the one before it")]
    SeatOrder { entry: u16, seat: u16 },
    #[error("entry {entry} mixes committees: drawn at {first} and at {found}")]
    MixedDraws { entry: u16, first: Height, found: Height },
    #[error("the nonce: {0}")]
    Nonce(Mismatch<Nonce>),
    #[error("the sender has used its last nonce")]
    NonceExhausted,
    #[error("the sender has {balance} CPC, too little for {gas_limit} gas at {gas_price} CPC")]
    CannotPay { balance: Amount, gas_limit: Gas, gas_price: Amount },
    #[error("{found} bytes do not fit the block: {used} of {limit} are used")]
    BlockBytes { limit: usize, used: usize, found: usize },
    #[error("a gas limit of {found} does not fit the block: {used} of {limit} are used")]
    BlockGas { limit: Gas, used: Gas, found: Gas },
}

impl Reject {
    /// Whether only this block is too full: the transaction may fit the next one.
    pub const fn is_block_full(&self) -> bool {
        matches!(self, Self::BlockBytes { .. } | Self::BlockGas { .. })
    }
}

/// Why an action of the market did not do what was asked.
pub(crate) enum Stop {
    /// It pays its gas, uses its nonce, and does nothing else.
    Failed(Failure),
    /// This node cannot tell.
    Fault(Fault),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Why a transaction that a block carries did nothing but pay its gas and use its nonce (ACC-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, SchemaRead, SchemaWrite)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum Failure {
    #[error("the receiver is a new account, which needs {needed} gas: the limit was {limit}")]
    OutOfGas { limit: Gas, needed: Gas },
    #[error("the receiver is a new account, which starts with at least {minimum} CPC: the amount was {amount} CPC")]
    BelowMinimum { minimum: Amount, amount: Amount },
    #[error("the sender has {available} CPC beside the fee: the amount was {amount} CPC")]
    Underfunded { available: Amount, amount: Amount },
    #[error("a first bond is at least {minimum} CPC: this one was {found} CPC")]
    BondTooSmall { minimum: Amount, found: Amount },
    #[error("the bond would be more than {maximum} CPC, which is all that can ever exist")]
    BondTooLarge { maximum: Amount },
    #[error("{payout} has no account, so that nothing can be paid to it")]
    NoPayoutAccount { payout: Address },
    #[error("{account} is no worker")]
    NotAWorker { account: Address },
    #[error("{reserved} CPC of the bond stand for results that are not settled")]
    WorkerBusy { reserved: Amount },
    #[error("a deadline at {found} ms, this task can have one from {earliest} ms on")]
    DeadlineTooNear { earliest: TimeMs, found: TimeMs },
    #[error("a deadline at {found} ms, a task can have one until {latest} ms")]
    DeadlineTooFar { latest: TimeMs, found: TimeMs },
    #[error("{declared} of {seats} seats check version {} of {:?}, five sixths are needed", kernel.version, kernel.challenge)]
    KernelNotChecked { kernel: KernelId, seats: u32, declared: u32 },
    #[error("task {task} is not open")]
    NoTask { task: TaskId },
    #[error("task {task} is that of {customer}")]
    NotCustomer { task: TaskId, customer: Address },
    #[error("task {task} was called off already: it ends after block {ends}")]
    AlreadyCancelled { task: TaskId, ends: Height },
    #[error("task {task} has no job left to call off")]
    NothingToCancel { task: TaskId },
    #[error("entry {entry}: job {job} of a task of {jobs} jobs")]
    NoSuchJob { entry: u16, jobs: u32, job: JobIndex },
    #[error("entry {entry}: no committee is drawn for task {task}")]
    NoCommittee { entry: u16, task: TaskId },
    #[error(
        "entry {entry}: version {} of {:?}, the order is for version {} of {:?}",
        found.version, found.challenge, expected.version, expected.challenge
    )]
    WrongKernel { entry: u16, expected: KernelId, found: KernelId },
    #[error("entry {entry}: the hash of the spec: expected {expected}, found {found}")]
    WrongSpec { entry: u16, expected: Digest, found: Digest },
    #[error("entry {entry}: the units: expected {expected}, found {found}")]
    WrongUnits { entry: u16, expected: Units, found: Units },
    #[error("entry {entry}: seat {seat} is not of the committee")]
    NotAMember { entry: u16, seat: u16 },
    #[error("entry {entry}: the verdict key of seat {seat}: expected {expected}, found {found}")]
    WrongKey { entry: u16, seat: u16, expected: PublicKey, found: PublicKey },
    #[error("entry {entry}: the verdict of seat {seat} does not stand under its signed root")]
    NotUnderRoot { entry: u16, seat: u16 },
    #[error("entry {entry}: {found} of the committee's seats, {needed} decide")]
    NoQuorum { entry: u16, needed: u16, found: u16 },
}

/// Why an entry of a transaction that did the rest changed nothing (SUB-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, SchemaRead, SchemaWrite)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum Skip {
    #[error("the task is not open")]
    TaskEnded,
    #[error("the job is decided")]
    Decided,
    #[error("the jobs without a result were refunded")]
    TaskClosed,
    #[error("the deadline {deadline} ms has passed")]
    DeadlinePassed { deadline: TimeMs },
    #[error("the customer called the task off: block {ends} was the last to decide a job")]
    Cancelled { ends: Height },
    #[error("the verdicts are of the committee drawn at {found}, the one drawn at {expected} decides")]
    OtherDraw { expected: Height, found: Height },
    #[error("{worker} is no worker")]
    NotAWorker { worker: Address },
    #[error("the worker has {free} CPC of its bond free, the job needs {needed} CPC")]
    BondTooSmall { free: Amount, needed: Amount },
    #[error("the job has no result whose window is open")]
    NotAccepted,
    #[error("every verdict was counted before")]
    AlreadyCounted,
}

/// What became of the entries of a SUBMIT_RESULT or an ADD_VERDICTS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, SchemaRead, SchemaWrite)]
pub struct Judged {
    /// How many changed something.
    pub counted: u16,
    /// How many changed nothing.
    pub skipped: u16,
    /// The first that changed nothing, and why.
    pub first: Option<Skipped>,
    /// What the tasks gave back to the sender for its gas.
    pub repaid: Amount,
}

/// An entry that changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Skipped {
    /// Its place among the entries.
    pub entry: u16,
    /// Why.
    pub reason: Skip,
}

/// Why a block was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// It breaks a rule. Every honest node says the same.
    #[error(transparent)]
    Reject(#[from] BlockReject),
    /// This node cannot tell. It halts before it signs.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a block is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum BlockReject {
    #[error("the version of the rules: {0}")]
    Version(Mismatch<u32>),
    #[error("the chain: {0}")]
    Chain(Mismatch<ChainId>),
    #[error("no height follows {parent}")]
    LastHeight { parent: Height },
    #[error("the height: {0}")]
    Height(Mismatch<Height>),
    #[error("the parent: {0}")]
    Parent(Mismatch<BlockId>),
    #[error("the epoch: {0}")]
    Epoch(Mismatch<Epoch>),
    #[error("the parent's view: {0}")]
    ParentView(Mismatch<View>),
    #[error("view {found} is not after the parent's view {parent}")]
    ViewNotAfter { parent: View, found: View },
    #[error("the view: {0}")]
    View(Mismatch<View>),
    #[error("time {found} ms is not after the parent's time {parent} ms")]
    TimeNotAfter { parent: TimeMs, found: TimeMs },
    #[error("the time: {0}")]
    Time(Mismatch<TimeMs>),
    #[error("the proposer {proposer} holds no seat of epoch {epoch}")]
    NoSeat { proposer: PublicKey, epoch: Epoch },
    #[error("the proposer: {0}")]
    Proposer(Mismatch<PublicKey>),
    #[error("the beacon is zero bytes, but element {index} of the proposer's hash chain is due")]
    BeaconMissing { index: u32 },
    #[error("the beacon is not element {index} of the proposer's hash chain: the way to its element {known}: {end}")]
    BeaconElement { index: u32, known: u32, end: Mismatch<Digest> },
    #[error("an epoch has beacon elements for {views_max} views: in view {view} it must be zero bytes, found {found}")]
    BeaconPastViews { views_max: u64, view: View, found: Digest },
    #[error("the proposer's hash chain ends after {steps} elements: the beacon must be zero bytes, found {found}")]
    BeaconExhausted { steps: u32, found: Digest },
    #[error("the beacon: {0}")]
    Beacon(Mismatch<Digest>),
    #[error("transaction {index} ({hash}): {reject}")]
    Tx { index: usize, hash: TxHash, reject: Reject },
    #[error("the root over the transactions: {0}")]
    TxRoot(Mismatch<Digest>),
    #[error("the root of the state: {0}")]
    StateRoot(Mismatch<Digest>),
    #[error("the root over results and settlements: {0}")]
    ComputeRoot(Mismatch<Digest>),
    #[error("the gas used: {0}")]
    GasUsed(Mismatch<Gas>),
    #[error("the hash of the next validators: {0}")]
    NextValidators(Mismatch<Digest>),
}

/// Why a genesis is refused: each names its field by the path that the chain spec has for it (GEN-2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum GenesisReject {
    #[error(transparent)]
    Params(#[from] ParamsError),
    #[error("account[{index}].address: {address} is named twice")]
    AccountTwice { index: usize, address: Address },
    #[error("account[{index}].balance is {found} CPC, an account starts with at least {minimum} CPC")]
    AccountBelowMinimum { index: usize, minimum: Amount, found: Amount },
    #[error("{field}: together with all before it more than {maximum} CPC")]
    TotalTooLarge { field: Field, maximum: Amount },
    #[error("rewards.initial: {total} CPC at the start and {emission} CPC of rewards are more than {maximum} CPC")]
    EmissionTooLarge { total: Amount, emission: Amount, maximum: Amount },
    #[error("validator: none is named")]
    NoValidator,
    #[error("validator[{index}].account: {account} is named twice")]
    ValidatorTwice { index: usize, account: Address },
    #[error("validator[{index}].stake is 0")]
    NoStake { index: usize },
    #[error("validator[{index}].{}.key: {key} is also a key of validator[{first}]", role_name(*.role))]
    KeyTwice { index: usize, role: KeyUse, key: PublicKey, first: usize },
    #[error("validator[{index}].{}.proof does not prove that {account} holds {key}", role_name(*.role))]
    KeyNotProven { index: usize, role: KeyUse, key: PublicKey, account: Address },
    #[error("seats.epoch_{epoch} names nobody")]
    NoSeats { epoch: Epoch },
    #[error("seats.epoch_{epoch}: {found} seats, staking.seats_max is {maximum}")]
    TooManySeats { epoch: Epoch, maximum: u32, found: usize },
    #[error("seats.epoch_{epoch}[{index}]: {account} is named twice")]
    SeatTwice { epoch: Epoch, index: usize, account: Address },
    #[error("seats.epoch_{epoch}[{index}]: {account} is no validator")]
    SeatWithoutValidator { epoch: Epoch, index: usize, account: Address },
}

/// The word for a key's use in a sentence.
fn role_name(role: KeyUse) -> &'static str {
    match role {
        KeyUse::Consensus => "consensus",
        KeyUse::Verdict => "verdict",
        KeyUse::Network => "network",
        KeyUse::Worker => "worker",
    }
}
