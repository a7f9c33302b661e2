//! The state transition: what a block does to the money, and why a block or a transaction is refused.
//!
//! Rules only: a parent, a context and checked transactions go in, a [`Delta`] and a header come out. No disk, no
//! clock, no network; the state is read through [`StateRead`]. The numbered clauses are in `docs/spec/ledger.md`.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::float_arithmetic))]

mod beacon;
mod block;
mod error;
mod gas;
mod genesis;
mod port;
mod records;
mod rules;
mod session;
mod supply;
mod verify;
mod working;

pub use beacon::{BEACON_GAP_MAX, BeaconDue, beacon_due};
pub use block::{Applied, Executed, apply};
pub use error::{BlockError, BlockReject, Failure, GenesisReject, Reject, TxError};
pub use gas::{TRANSFER_GAS, intrinsic};
pub use genesis::{GenesisAccount, GenesisValidator, genesis_state};
pub use port::{Delta, StateRead};
pub use records::{
    Opened, Rewards, Seat, Seats, Validator, account, beacon, opened, rewards, seats, supply, validator,
};
pub use rules::{Field, Params, ParamsError, RULES_VERSION, Settlement, UPGRADES_MAX, Upgrade};
#[cfg(feature = "canary")]
pub use session::Canary;
pub use session::{BLOCK_OVERHEAD_BYTES, Context, Receipt, Session, TxOutcome, admit, touched};
pub use supply::{Supply, recount};
pub use verify::{BadSignatures, Culprit, VerifiedTx, Verifier};
