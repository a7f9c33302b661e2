//! Proofs that a customer checks offline with nothing but the genesis hash, or an anchor from an earlier proof.

use std::ops::Range;

use cpc_genesis::Genesis;
use cpc_light::limits::{PROOF_EPOCHS_MAX, PROOF_FILE_BYTES_MAX};
use cpc_light::{EpochLink, FinalityProof, ProofError, ProofFile, Start, Subject, TrustPath, Trusted, ValidatorSet};
use cpc_primitives::codec::decode;
use cpc_primitives::limits::{SEATS_MAX, STATE_VALUE_BYTES_MAX};
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::{Address, Bounded, Digest, Epoch, Fault, Header, Height, PublicKey};
use cpc_store::StoreError;

use super::Chain;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum NoProof {
    #[error("block 0 has no certificate; the first proof can be made at block 1")]
    OnlyGenesis,
    #[error("block {height} became final with a later one, whose certificate is on its way: ask again")]
    NotYet { height: Height },
    #[error("epoch {asked} has not begun: the last final block is of epoch {tip}")]
    EpochAhead { asked: Epoch, tip: Epoch },
    #[error("the end of epoch {epoch} is not on this node's disk")]
    EpochAbsent { epoch: Epoch },
    #[error(
        "the way from epoch {from} to epoch {to} is too long for a proof file, which passes at most {epochs} epochs in \
         at most {bytes} bytes"
    )]
    TooLong { from: Epoch, to: Epoch, epochs: usize, bytes: usize },
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl NoProof {
    const fn too_long(from: Epoch, to: Epoch) -> Self {
        Self::TooLong { from, to, epochs: PROOF_EPOCHS_MAX, bytes: PROOF_FILE_BYTES_MAX }
    }
}

/// An account, the block after which it is so, and the file that proves it.
#[derive(Debug)]
pub struct ProvenAccount {
    /// The account, where there is one.
    pub account: Option<Account>,
    /// The height of the block.
    pub height: Height,
    /// The proof file.
    pub file: Vec<u8>,
}

/// The same for any record.
struct Proven {
    value: Option<Vec<u8>>,
    height: Height,
    file: Vec<u8>,
}

/// Keys as a path of trust lists them.
type Keys = Bounded<PublicKey, SEATS_MAX>;

impl Chain {
    /// An account after the last final block with its proof file: from the genesis, or from the anchor at an epoch.
    pub fn account_proof(&self, address: &Address, from: Option<Epoch>) -> Result<ProvenAccount, NoProof> {
        // The sets of the first two epochs are those of the start; each further one is named two epochs before.
        let proven = self.proof_file(&StateKey::account(address), from, |epoch| epoch.saturating_sub(1))?;
        let wrong = |what: String| Fault::Invariant { detail: format!("this node's own proof: {what}") };
        let account = proven.value.map(|bytes| decode::<Account>(&bytes, STATE_VALUE_BYTES_MAX)).transpose();
        let account = account.map_err(|error| wrong(error.to_string()))?;
        Ok(ProvenAccount { account, height: proven.height, file: proven.file })
    }

    /// The proof file of the supply, with the ends of all epochs that have ended: whoever begins from the state after
    /// this block can prove what comes later, without the blocks before it.
    pub fn snapshot_proof(&self) -> Result<Vec<u8>, NoProof> {
        Ok(self.proof_file(&StateKey::supply(), None, |epoch| epoch)?.file)
    }

    /// A record's proof file, with the ends of epochs up to the one that the certified block's epoch asks for.
    fn proof_file(&self, key: &StateKey, from: Option<Epoch>, end: fn(u64) -> u64) -> Result<Proven, NoProof> {
        // The proof and its header are taken together, so that a block that comes in between does no harm.
        let (tip, proof) = self.store.prove(key).map_err(|error| match error {
            StoreError::Fault(fault) => fault,
            other => Fault::Invariant { detail: other.to_string() },
        })?;
        let Header { height, epoch, .. } = *tip.header;
        if height == Height(0) {
            return Err(NoProof::OnlyGenesis);
        }
        let first = from.unwrap_or_default();
        if first > epoch {
            return Err(NoProof::EpochAhead { asked: first, tip: epoch });
        }
        let passed = passed(first, end(epoch.0)).ok_or_else(|| NoProof::too_long(first, epoch))?;
        let links = passed.map(|epoch| self.link(Epoch(epoch))).collect::<Result<Vec<_>, _>>()?;
        let certificate = self.certificate_of(height)?.ok_or(NoProof::NotYet { height })?;
        // What is said comes out of the proof itself, so that the two are of one block. The way of trust is not walked: that
        // is for whoever does not trust this node.
        let said = proof.verify(&tip.header.state_root);
        let (_, value) = said.map_err(|error| Fault::Invariant { detail: error.to_string() })?.into_parts();
        let file = ProofFile {
            trust: TrustPath { start: self.start(from)?, links: bounded(links)? },
            finality: FinalityProof {
                headers: bounded(vec![tip.header.as_ref().clone()])?,
                certificate: bounded(certificate)?,
            },
            subject: Subject::State(proof),
        };
        let file = file.encode();
        if file.len() > PROOF_FILE_BYTES_MAX {
            return Err(NoProof::too_long(first, epoch));
        }
        Ok(Proven { value, height, file })
    }

    /// The certificate of exactly this block.
    fn certificate_of(&self, height: Height) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.store.certificate(height)?.filter(|bytes| !bytes.is_empty()))
    }

    /// Where a path of trust begins: at block 0, or at the anchor of an epoch.
    fn start(&self, from: Option<Epoch>) -> Result<Start, NoProof> {
        let header = self.genesis.header.clone();
        let Some(epoch) = from else {
            return Ok(Start::Genesis { header, sets: [self.keys(Epoch(0))?, self.keys(Epoch(1))?] });
        };
        let time = match epoch.0.checked_sub(1) {
            None => header.time,
            Some(before) => self.link(Epoch(before))?.header.time,
        };
        let sets = [self.keys(epoch)?, self.keys(Epoch(epoch.0.saturating_add(1)))?];
        Ok(Start::Anchor { genesis: self.genesis.id(), chain: header.chain, epoch, time, sets })
    }

    /// The end of an epoch: from this disk, or from the proof that came with the snapshot this chain began from.
    fn link(&self, epoch: Epoch) -> Result<EpochLink, NoProof> {
        let last = Height(self.params().epoch_blocks.saturating_mul(epoch.0.saturating_add(1)).saturating_sub(1));
        if let Some((header, certificate)) = self.store.header(last)?.zip(self.certificate_of(last)?) {
            // EPO-2: the seats are carried on, so that the keys of the next set are those of the set before it.
            return Ok(EpochLink { header, certificate: bounded(certificate)?, next: None });
        }
        let place = usize::try_from(epoch.0).unwrap_or(usize::MAX);
        if let Some(link) = self.earlier.get(place) {
            return Ok(link.clone());
        }
        // A block that this node has never had is no damage, one that it should have is.
        let lowest = self.store.lowest().map_err(|error| Fault::Damaged { detail: error.to_string() })?;
        Err(if last < lowest { NoProof::EpochAbsent { epoch } } else { absent(last).into() })
    }

    /// The keys of an epoch's set: the genesis's, and from epoch 2 on those of the last link that brought others.
    fn keys(&self, epoch: Epoch) -> Result<Keys, NoProof> {
        let [first, second] = &self.genesis.sets;
        let named = usize::try_from(epoch.0.saturating_sub(1)).unwrap_or(usize::MAX);
        let brought = self.earlier.iter().take(named).rev().find_map(|link| link.next.clone());
        let keys = match (epoch.0, brought) {
            (0, _) => bounded(first.keys().to_vec())?,
            (_, None) => bounded(second.keys().to_vec())?,
            (_, Some(keys)) => keys,
        };
        if let Some(before) = epoch.0.checked_sub(2) {
            let named = self.link(Epoch(before))?.header.next_validators;
            check_set(epoch, &keys, named)?;
        }
        Ok(keys)
    }
}

/// The epochs whose ends a path of trust holds, where it can; known before anything is read.
fn passed(first: Epoch, end: u64) -> Option<Range<u64>> {
    let count = usize::try_from(end.saturating_sub(first.0)).ok()?;
    (count <= PROOF_EPOCHS_MAX).then_some(first.0..end)
}

/// Demands that these keys are the set that the end of an epoch names.
fn check_set(epoch: Epoch, keys: &Keys, named: Digest) -> Result<(), Fault> {
    match ValidatorSet::ordered(keys.to_vec()) {
        Ok(set) if set.hash() == named => Ok(()),
        _ => Err(Fault::Damaged { detail: format!("the keys of epoch {epoch} are not those of the set {named}") }),
    }
}

/// The links of a proof, which has to hold for this network.
pub(super) fn links_of(trust: Option<&[u8]>, genesis: &Genesis) -> Result<Vec<EpochLink>, Fault> {
    let Some(bytes) = trust else { return Ok(Vec::new()) };
    let wrong = |error: ProofError| Fault::Damaged { detail: format!("the proof of where this chain began: {error}") };
    ProofFile::verify(bytes, Trusted::Genesis(genesis.id())).map_err(wrong)?;
    Ok(ProofFile::decode(bytes).map_err(wrong)?.trust.links.into_inner())
}

/// A list that fits a proof file.
fn bounded<T, const MAX: usize>(items: Vec<T>) -> Result<Bounded<T, MAX>, Fault> {
    Bounded::new(items).map_err(|error| Fault::Invariant { detail: format!("a proof does not fit its file: {error}") })
}

fn absent(height: Height) -> Fault {
    Fault::Damaged { detail: format!("block {height} or its certificate is absent") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_refused_before_it_is_too_long_for_a_file() {
        let max = u64::try_from(PROOF_EPOCHS_MAX).expect("a small number");
        assert_eq!(passed(Epoch(0), max), Some(0..max));
        assert_eq!(passed(Epoch(0), max + 1), None);
        assert_eq!(passed(Epoch(1), max + 1), Some(1..max + 1));
        assert_eq!(passed(Epoch(0), u64::MAX), None);
        // The epoch that runs, and the one before it, need no link.
        assert_eq!(passed(Epoch(7), 6).map(Iterator::count), Some(0));
    }
}
