//! The networks that the binary knows by name; their chain specs are part of it.

use core::fmt;
use core::str::FromStr;

/// A network that ships with the binary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Network {
    /// One machine, keys that everybody knows, a faucet.
    Devnet,
    /// The public rehearsal.
    Testnet,
    /// The real thing.
    Mainnet,
}

impl Network {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Devnet, Self::Testnet, Self::Mainnet];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Devnet => "devnet",
            Self::Testnet => "testnet",
            Self::Mainnet => "mainnet",
        }
    }

    /// The chain spec.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Devnet => include_str!("../networks/devnet.toml"),
            Self::Testnet => include_str!("../networks/testnet.toml"),
            Self::Mainnet => include_str!("../networks/mainnet.toml"),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No network has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a network: there are devnet, testnet and mainnet")]
pub struct UnknownNetwork {
    /// The name that was given.
    pub found: String,
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(text: &str) -> Result<Self, UnknownNetwork> {
        let found = || UnknownNetwork { found: text.to_owned() };
        Self::ALL.into_iter().find(|network| network.name() == text).ok_or_else(found)
    }
}
