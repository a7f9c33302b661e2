//! Who may sign: never a key whose earlier votes of the epoch are lost.
//!
//! A seat that forgets what it signed signs something else, and is slashed for it. The BFT library keeps the votes of an
//! epoch in a journal of their own; a synced mark outside it says that the journal was there. So a journal that is gone
//! is told from one that was never begun.

use std::ops::ControlFlow;

use commonware_runtime::{Error, Storage};
use cpc_primitives::hash::hex;
use cpc_primitives::kv::{Batch, Durability, Kv, Space};
use cpc_primitives::{Epoch, Fault, PublicKey};

use crate::validator::Config;

/// The marks: by key and epoch.
pub(crate) const MARKS: Space = Space("vote-marks");

/// Whether a key may vote in an epoch, and why not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Permission {
    /// Its votes so far are all here.
    Vote,
    /// It has none in this set.
    NoSeat,
    /// It was told to wait for a later epoch.
    Waits(Epoch),
    /// It never voted from here, and its owner has not said whether it did elsewhere.
    Unknown,
    /// Its earlier votes of this epoch are not here.
    JournalLost,
}

/// The partition of a key's votes in an epoch. Whoever only watches writes into another one, which proves nothing.
pub(crate) fn journal(prefix: &str, key: &PublicKey, epoch: Epoch, votes: bool) -> String {
    let what = if votes { "votes" } else { "watch" };
    format!("{prefix}{what}-{}-{epoch}", hex(&key.bytes()[..8]))
}

/// Whether a partition holds anything.
pub(crate) async fn is_there<E: Storage>(context: &E, partition: &str) -> Result<bool, Fault> {
    match context.scan(partition).await {
        Ok(blobs) => Ok(!blobs.is_empty()),
        Err(Error::PartitionMissing(_)) => Ok(false),
        Err(error) => Err(Fault::Io { detail: format!("the votes under {partition} cannot be listed: {error}") }),
    }
}

/// Decides whether a key may vote in the epoch that begins or goes on now.
///
/// `begins` says that this node has no final block of the epoch.
pub(crate) async fn permission<E: Storage>(
    context: &E,
    kv: &dyn Kv,
    config: &Config,
    epoch: Epoch,
    begins: bool,
) -> Result<Permission, Fault> {
    let key = &config.signer.public();
    // SAFE-4: a key that came from elsewhere may have voted there; a folder that is empty may have lost its votes.
    match config.votes_from {
        Some(not_before) if epoch < not_before => return Ok(Permission::Waits(not_before)),
        None if !has_marks(kv, key)? => return Ok(Permission::Unknown),
        _ => {}
    }
    // SAFE-1: the journal is here, and with it every vote.
    if is_there(context, &journal(&config.partition_prefix, key, epoch, true)).await? {
        return Ok(Permission::Vote);
    }
    // SAFE-2: it was here, and is gone.
    if kv.get(MARKS, &mark_key(key, epoch))?.is_some() {
        return Ok(Permission::JournalLost);
    }
    // SAFE-3: it was never here, and there was no block yet for which it could have been needed.
    Ok(if begins { Permission::Vote } else { Permission::JournalLost })
}

/// Says on the disk that a key's journal of an epoch exists.
pub(crate) fn mark(kv: &dyn Kv, key: &PublicKey, epoch: Epoch) -> Result<(), Fault> {
    let mut batch = Batch::default();
    batch.put(MARKS, mark_key(key, epoch), []);
    kv.write(batch, Durability::Synced)
}

/// Whether the key ever voted from here.
fn has_marks(kv: &dyn Kv, key: &PublicKey) -> Result<bool, Fault> {
    let mut found = false;
    kv.scan(MARKS, key.bytes(), &mut |row, _| {
        found = row.starts_with(key.bytes());
        ControlFlow::Break(())
    })?;
    Ok(found)
}

fn mark_key(key: &PublicKey, epoch: Epoch) -> Vec<u8> {
    [&key.bytes()[..], &epoch.0.to_be_bytes()[..]].concat()
}
