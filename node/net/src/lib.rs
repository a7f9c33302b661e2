//! Peers over libp2p: gossip, and request and response. Moves bytes, knows no meanings.
//!
//! [`Net::start`] begins one task that owns every socket. Whoever started it talks to it through a [`Handle`] and hears
//! of the network through [`Events`]; both ways are bounded, and what a full one drops is written at each of them. This
//! is the only crate that names libp2p. The numbered clauses are in `docs/spec/network.md`.

mod actor;
mod ask;
mod bans;
mod behaviour;
mod bucket;
mod config;
mod dial;
mod gate;
mod ingress;
mod metrics;
mod outbox;
mod peer;
mod throttle;

pub use actor::Net;
pub use ask::{FrameError, NoAnswer};
pub use bans::{Ban, Offence};
pub use config::{Config, Known, Limits, NetworkId, Protocol, StartError, Topic, is_address};
pub use gate::Denied;
pub use ingress::{
    Event, Events, Gossip, Handle, Judgement, PublishError, Refusal, Reply, Request, RequestError, Token, TooLong,
};
pub use peer::{Direction, PeerId, PeerIdError, PeerView, View};
pub use prometheus_client::registry::Registry;
