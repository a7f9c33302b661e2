//! The state transition: what a block does to the money, and why a block or a transaction is refused.
//!
//! Rules only: a parent, a context and checked transactions go in, a [`Delta`] and a header come out. No disk, no
//! clock, no network; the state is read through [`StateRead`]. The numbered clauses are in `docs/spec/ledger.md`.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::float_arithmetic))]

mod beacon;
mod block;
mod due;
mod endings;
mod error;
mod gas;
mod genesis;
mod port;
mod records;
mod recount;
mod results;
mod rules;
mod session;
mod supply;
mod tables;
mod tasks;
mod verify;
mod workers;
mod working;

pub use beacon::{BEACON_GAP_MAX, BeaconDue, beacon_due};
pub use block::{Applied, Executed, Leaves, apply};
pub use due::{Cursor, Due, DuePage, DuePlace};
pub use error::{BlockError, BlockReject, Failure, GenesisReject, Judged, Reject, Skip, Skipped, TxError};
pub use gas::{TRANSFER_GAS, intrinsic, prepaid_gas};
pub use genesis::{GenesisAccount, GenesisValidator, genesis_state};
pub use port::{Delta, StateRead};
pub use records::{
    Opened, Rewards, Seat, Seats, Tally, Validator, accepted_job, account, beacon, committee, escrow, is_decided,
    opened, rewards, seats, supply, tally, terms, validator, worker,
};
pub use recount::recount;
pub use rules::{Field, Params, ParamsError, RULES_VERSION, Settlement, UPGRADES_MAX, Upgrade};
#[cfg(feature = "canary")]
pub use session::Canary;
pub use session::{BLOCK_OVERHEAD_BYTES, Context, Receipt, Session, TxOutcome, admit, touched};
pub use supply::Supply;
pub use verify::{BadSignatures, Culprit, VerifiedTx, Verifier};
