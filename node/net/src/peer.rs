//! Who a peer is, and what is known of it.

use core::fmt;
use core::str::FromStr;
use std::time::Duration;

use libp2p::identity::{Keypair, PublicKey, ed25519};

use crate::bans::Ban;

/// Letters of the name of a peer; ours have 52.
const NAME_CHARS_MAX: usize = 64;

/// The name of a peer: its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub(crate) libp2p::PeerId);

/// A text is not the name of a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the id of a peer: {reason}")]
pub struct PeerIdError {
    /// The whole text.
    pub text: String,
    /// What the reader found.
    pub reason: String,
}

impl PeerId {
    /// The peer that holds a secret.
    pub fn of_secret(secret: [u8; 32]) -> Self {
        Self(keypair(secret).public().to_peer_id())
    }

    /// The peer with a public key, unless the bytes are no key.
    pub fn of_public(key: &[u8; 32]) -> Option<Self> {
        let key = ed25519::PublicKey::try_from_bytes(key).ok()?;
        Some(Self(PublicKey::from(key).to_peer_id()))
    }
}

/// The pair of a secret.
pub(crate) fn keypair(mut secret: [u8; 32]) -> Keypair {
    // The library takes the bytes and leaves zeros behind.
    Keypair::ed25519_from_bytes(&mut secret[..]).expect("any 32 bytes are a secret of ed25519")
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({})", self.0)
    }
}

impl FromStr for PeerId {
    type Err = PeerIdError;

    fn from_str(text: &str) -> Result<Self, PeerIdError> {
        // The time to read base58 grows with the square of its length, and the error repeats only what a name can have.
        let refused = |reason| PeerIdError { text: text.chars().take(NAME_CHARS_MAX).collect(), reason };
        if text.len() > NAME_CHARS_MAX {
            return Err(refused(format!("{} letters, at most {NAME_CHARS_MAX}", text.len())));
        }
        text.parse().map(Self).map_err(|error: libp2p::identity::ParseError| refused(error.to_string()))
    }
}

/// Who began a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The peer.
    Inbound,
    /// This node.
    Outbound,
}

impl Direction {
    /// The word for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// A peer that is connected.
#[derive(Debug, Clone)]
pub struct PeerView {
    /// Its name.
    pub id: PeerId,
    /// Where it is, one address for each connection.
    pub addresses: Vec<String>,
    /// Who began the first connection.
    pub direction: Direction,
    /// What program it says it is; nothing before it has said so.
    pub agent: String,
    /// What it says it speaks.
    pub protocols: Vec<String>,
    /// How long it has been connected.
    pub since: Duration,
}

/// What this node sees of the network.
#[derive(Debug, Clone)]
pub struct View {
    /// This node.
    pub id: PeerId,
    /// Where it listens.
    pub listening: Vec<String>,
    /// Who is connected.
    pub peers: Vec<PeerView>,
    /// Who is banned, how much longer, and why.
    pub bans: Vec<Ban>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_one_name_whichever_half_of_its_key_is_asked() {
        let secret = [7; 32];
        let id = PeerId::of_secret(secret);
        let public = keypair(secret).public().try_into_ed25519().expect("ed25519").to_bytes();
        assert_eq!(PeerId::of_public(&public), Some(id));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().starts_with("12D3KooW"), "{id}");
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_text() {
        let error = "peer-7".parse::<PeerId>().expect_err("refused");
        assert_eq!(error.text, "peer-7");
        let long = "x".repeat(1 << 20).parse::<PeerId>().expect_err("refused");
        assert_eq!(long.text.len(), 64);
    }
}
