//! Agreement between validators: the only crate that names the BFT library.
//!
//! The library (simplex with ed25519, and its marshal) decides which block is final; this crate gives it our blocks,
//! our seats and our disk, and gives the node four things to do: build a block, execute one, commit one, and keep the
//! proof of an offence. Everything that a rule could be is behind the port [`Chain`].

mod application;
mod block;
mod chain;
mod driver;
mod evidence;
mod limits;
mod link;
#[cfg(feature = "recorder")]
mod recorder;
mod seats;
mod shelf;
mod signing;
mod validator;

pub use block::AgreedBlock;
pub use chain::{Chain, ExecuteError, Seat, Slot, Tip};
pub use driver::Ended;
pub use evidence::EVIDENCE;
pub use limits::{Channel, network_message_bytes_max, peers_max};
pub use link::{Link, LinkConfig, LinkError, MetricsHandle, Running, connected};
#[cfg(feature = "recorder")]
pub use recorder::{Recorder, RecorderConfig};
pub use seats::{Key, Signer, VoteScheme, key_of, public_key_of};
pub use shelf::SPACES;
pub use validator::{Config, Network, Pace, Peers, run};
