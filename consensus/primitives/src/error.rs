//! The two shapes every error is built from: a difference with both its sides, and a fault that stops the node.

use core::fmt;

use crate::ids::Height;

/// Two values that had to be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch<T> {
    /// What the rule demands.
    pub expected: T,
    /// What was there.
    pub found: T,
}

impl<T: fmt::Display> fmt::Display for Mismatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

/// Demands equality, and keeps both sides where it fails.
pub fn same<T: PartialEq>(expected: T, found: T) -> Result<(), Mismatch<T>> {
    if expected == found { Ok(()) } else { Err(Mismatch { expected, found }) }
}

/// Why this node cannot tell what is right, and halts before it signs.
///
/// A fault is never a verdict on a block: another node may well apply the same block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The disk has no room left for a write.
    #[error("the disk is full ({detail}): free space under the data directory, then start again; nothing was lost")]
    DiskFull {
        /// What the storage layer said.
        detail: String,
    },
    /// Stored bytes do not say what was written.
    #[error("stored data is damaged ({detail}): restore a snapshot, or sync this node again from its peers")]
    Damaged {
        /// What was read, and where.
        detail: String,
    },
    /// The operating system refused a read or a write.
    #[error("the disk failed ({detail}): check the device and the permissions of the data directory")]
    Io {
        /// What the storage layer said.
        detail: String,
    },
    /// The network goes on under rules that this program does not have.
    #[error(
        "version {version} of the rules begins at height {height}, this program has them up to {known}: upgrade it"
    )]
    Unsupported {
        /// The version that the network's parameters name.
        version: u32,
        /// The first height that this program cannot apply.
        height: Height,
        /// The newest version that this program has.
        known: u32,
    },
    /// An invariant does not hold.
    #[error("invariant broken ({detail}): this is a bug of the node; it stops rather than sign a wrong block")]
    Invariant {
        /// The invariant, with both its sides.
        detail: String,
    },
}
