//! Proofs that a customer checks offline with nothing but the genesis hash.

use cpc_genesis::Genesis;
use cpc_light::{EpochLink, FinalityProof, ProofError, ProofFile, Subject, TrustPath, ValidatorSet};
use cpc_primitives::state::StateKey;
use cpc_primitives::{Address, Bounded, Fault, Height};
use cpc_store::StoreError;

use super::{Chain, FinalBlock};

impl Chain {
    /// The proof file of an account after the last final block; nothing while there is only block 0.
    pub fn account_proof(&self, address: &Address) -> Result<Option<Vec<u8>>, Fault> {
        // The sets of epochs 0 and 1 are the genesis's; each further one is named two epochs before.
        self.proof_file(&StateKey::account(address), |epoch| epoch.saturating_sub(1))
    }

    /// The proof file of the supply, with the ends of all epochs that have ended: whoever begins from the state after
    /// this block can prove what comes later, without the blocks before it.
    pub fn snapshot_proof(&self) -> Result<Option<Vec<u8>>, Fault> {
        self.proof_file(&StateKey::supply(), |epoch| epoch)
    }

    /// A record's proof file, with the ends of so many epochs as the certified block's epoch asks for.
    fn proof_file(&self, key: &StateKey, ends: fn(u64) -> u64) -> Result<Option<Vec<u8>>, Fault> {
        // The proof and its header are taken together, so that a block that comes in between does no harm.
        let (tip, proof) = self.store.prove(key).map_err(|error| match error {
            StoreError::Fault(fault) => fault,
            other => Fault::Invariant { detail: other.to_string() },
        })?;
        if tip.header.height == Height(0) {
            return Ok(None);
        }
        let certificate = self.certificate_of(tip.header.height)?;
        let links = (0..ends(tip.header.epoch.0)).map(|epoch| self.link(epoch));
        let links = links.collect::<Result<Vec<_>, _>>()?;
        let keys = |set: &ValidatorSet| bounded(set.keys().to_vec());
        let [first, second] = &self.genesis.sets;
        let file = ProofFile {
            trust: TrustPath {
                genesis: self.genesis.header.clone(),
                sets: [keys(first)?, keys(second)?],
                links: bounded(links)?,
            },
            finality: FinalityProof {
                headers: bounded(vec![tip.header.as_ref().clone()])?,
                certificate: bounded(certificate)?,
            },
            subject: Subject::State(proof),
        };
        Ok(Some(file.encode()))
    }

    /// The end of an epoch: from this disk, or from the proof that came with the snapshot this chain began from.
    fn link(&self, epoch: u64) -> Result<EpochLink, Fault> {
        let last = Height(self.params().epoch_blocks.saturating_mul(epoch.saturating_add(1)).saturating_sub(1));
        if let Some(FinalBlock { block, certificate: Some(certificate) }) = self.block(last)? {
            return Ok(EpochLink { header: block.header, certificate: bounded(certificate)?, next: None });
        }
        let place = usize::try_from(epoch).unwrap_or(usize::MAX);
        self.earlier.get(place).cloned().ok_or_else(|| absent(last))
    }

    fn certificate_of(&self, height: Height) -> Result<Vec<u8>, Fault> {
        self.store.certificate(height)?.ok_or_else(|| absent(height))
    }
}

/// The links of a proof, which has to hold for this network.
pub(super) fn links_of(trust: Option<&[u8]>, genesis: &Genesis) -> Result<Vec<EpochLink>, Fault> {
    let Some(bytes) = trust else { return Ok(Vec::new()) };
    let wrong = |error: ProofError| Fault::Damaged { detail: format!("the proof of where this chain began: {error}") };
    ProofFile::verify(bytes, &genesis.id()).map_err(wrong)?;
    Ok(ProofFile::decode(bytes).map_err(wrong)?.trust.links.into_inner())
}

/// A list that fits a proof file.
fn bounded<T, const MAX: usize>(items: Vec<T>) -> Result<Bounded<T, MAX>, Fault> {
    Bounded::new(items).map_err(|error| Fault::Invariant { detail: format!("a proof does not fit its file: {error}") })
}

fn absent(height: Height) -> Fault {
    Fault::Damaged { detail: format!("block {height} or its certificate is absent") }
}
