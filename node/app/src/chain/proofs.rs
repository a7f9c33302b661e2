//! Proofs that a customer checks offline with nothing but the genesis hash.

use cpc_light::{EpochLink, FinalityProof, ProofFile, Subject, TrustPath, ValidatorSet};
use cpc_primitives::state::StateKey;
use cpc_primitives::{Address, Bounded, Fault, Height};
use cpc_store::StoreError;

use super::{Chain, FinalBlock};

impl Chain {
    /// The proof file of an account after the last final block; nothing while there is only block 0.
    pub fn account_proof(&self, address: &Address) -> Result<Option<Vec<u8>>, Fault> {
        self.state_proof(&StateKey::account(address))
    }

    /// The proof file of any record after the last final block; nothing while there is only block 0.
    pub fn state_proof(&self, key: &StateKey) -> Result<Option<Vec<u8>>, Fault> {
        // The proof and its header are taken together, so that a block that comes in between does no harm.
        let (tip, proof) = self.store.prove(key).map_err(|error| match error {
            StoreError::Fault(fault) => fault,
            other => Fault::Invariant { detail: other.to_string() },
        })?;
        if tip.header.height == Height(0) {
            return Ok(None);
        }
        let certificate = self.certificate_of(tip.header.height)?;
        let mut links = Vec::new();
        // The sets of epochs 0 and 1 are the genesis's; each further one is named two epochs before.
        for epoch in 0u64..tip.header.epoch.0.saturating_sub(1) {
            let last = Height(self.params().epoch_blocks.saturating_mul(epoch.saturating_add(1)).saturating_sub(1));
            let FinalBlock { block, .. } = self.block(last)?.ok_or_else(|| absent(last))?;
            links.push(EpochLink {
                header: block.header,
                certificate: bounded(self.certificate_of(last)?)?,
                next: None,
            });
        }
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

    fn certificate_of(&self, height: Height) -> Result<Vec<u8>, Fault> {
        self.store.certificate(height)?.ok_or_else(|| absent(height))
    }
}

/// A list that fits a proof file.
fn bounded<T, const MAX: usize>(items: Vec<T>) -> Result<Bounded<T, MAX>, Fault> {
    Bounded::new(items).map_err(|error| Fault::Invariant { detail: format!("a proof does not fit its file: {error}") })
}

fn absent(height: Height) -> Fault {
    Fault::Damaged { detail: format!("block {height} or its certificate is absent") }
}
