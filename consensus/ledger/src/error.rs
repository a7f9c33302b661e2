//! Why a transaction, a block or a genesis is refused, each with both its sides.

use cpc_primitives::tx::KeyUse;
use cpc_primitives::{
    Address, Amount, BlockId, ChainId, Digest, Epoch, Fault, Gas, Height, Mismatch, Nonce, PublicKey, TimeMs, TxHash,
    View,
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
