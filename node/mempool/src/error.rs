//! Why a transaction is not kept, each with both its sides.

use cpc_primitives::{Amount, Mismatch, Nonce};

/// Why a transaction is not kept. A refused one leaves no trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum Refused {
    #[error("the nonce was used already: {0}")]
    NonceUsed(Mismatch<Nonce>),
    #[error("no nonce follows {found}, so that the account could never use it")]
    LastNonce { found: Nonce },
    #[error("the nonce {found} is more than {ahead_max} beyond the account's next one, {next}")]
    NonceFarAhead { next: Nonce, ahead_max: u64, found: Nonce },
    #[error(
        "another transaction with this nonce waits: to take its place pay at least {minimum} CPC a gas, found {found} CPC"
    )]
    Underpriced { minimum: Amount, found: Amount },
    #[error("the account has {balance} CPC, with this one its waiting transactions could cost {cost} CPC")]
    Overdrawn { balance: Amount, cost: Amount },
    #[error("{count_max} transactions of this sender wait, and none of them comes after this one")]
    SenderCount { count_max: usize },
    #[error("this sender's waiting transactions have at most {bytes_max} bytes, with this one {found}")]
    SenderBytes { bytes_max: usize, found: usize },
    #[error("{count} transactions of {bytes} bytes wait, and not enough of them are worth less than this one")]
    Full { count: usize, bytes: usize },
}

impl Refused {
    /// Whether the same transaction may be taken later, when others have left.
    pub const fn is_for_want_of_room(&self) -> bool {
        matches!(self, Self::SenderCount { .. } | Self::SenderBytes { .. } | Self::Full { .. })
    }
}
