//! What a block says of one computation, checked against its header.

use cpc_primitives::merkle::MerklePath;
use cpc_primitives::result::{ComputeResult, ComputeRoots, Outcome, Settlement, Subject};
use cpc_primitives::{Digest, same};
use wincode::{SchemaRead, SchemaWrite};

use crate::certificate::FinalizedHeader;
use crate::error::ProofError;

/// A claim that a block accepted a result (PROOF-5).
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct ResultProof {
    /// The result.
    pub result: ComputeResult,
    /// Its way to the root of the block's results.
    pub path: MerklePath,
    /// Both roots of the block.
    pub roots: ComputeRoots,
}

/// A claim that a block settled a job (PROOF-6).
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct SettlementProof {
    /// The settlement.
    pub settlement: Settlement,
    /// Its way to the root of the block's settlements.
    pub path: MerklePath,
    /// Both roots of the block.
    pub roots: ComputeRoots,
}

/// A result that a block accepted, while its window for challenges may still be open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedResult {
    result: ComputeResult,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSettlement {
    settlement: Settlement,
}

/// A result that stood through its window and was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedResult {
    result: ComputeResult,
}

/// A settlement of a job that has no result to stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the job ended without a paid result: {outcome:?}")]
pub struct NotSettled {
    /// How it ended.
    pub outcome: Outcome,
}

impl ResultProof {
    /// Demands that this block accepted this result.
    pub fn verify(&self, header: &FinalizedHeader) -> Result<AcceptedResult, ProofError> {
        // PROOF-5: a leaf of the results alone says that a result was accepted, never that it was paid.
        let Self { result, path, roots } = self;
        verify_leaf(header, roots, path, result.leaf(), (roots.results, roots.result_count))?;
        Ok(AcceptedResult { result: *result })
    }
}

impl SettlementProof {
    /// Demands that this block settled this job in this way.
    pub fn verify(&self, header: &FinalizedHeader) -> Result<VerifiedSettlement, ProofError> {
        // PROOF-6: only the leaf of the settlements says how a job ended.
        let Self { settlement, path, roots } = self;
        verify_leaf(header, roots, path, settlement.leaf(), (roots.settlements, roots.settlement_count))?;
        Ok(VerifiedSettlement { settlement: *settlement })
    }
}

impl AcceptedResult {
    /// The result.
    pub fn result(&self) -> &ComputeResult {
        &self.result
    }
}

impl VerifiedSettlement {
    /// How the job ended, and how its reward was divided.
    pub fn settlement(&self) -> &Settlement {
        &self.settlement
    }

    /// The result, where it stood and was paid.
    pub fn result(&self) -> Result<VerifiedResult, NotSettled> {
        match (self.settlement.outcome, self.settlement.subject) {
            (Outcome::Settled, Subject::Job(result)) => Ok(VerifiedResult { result }),
            // Jobs without a result have none to stand for, whatever a block calls their end.
            (outcome, _) => Err(NotSettled { outcome }),
        }
    }
}

impl VerifiedResult {
    /// The result.
    pub fn result(&self) -> &ComputeResult {
        &self.result
    }
}

fn verify_leaf(
    header: &FinalizedHeader,
    roots: &ComputeRoots,
    path: &MerklePath,
    leaf: Digest,
    (root, count): (Digest, u32),
) -> Result<(), ProofError> {
    same(header.header().compute_root, roots.digest()).map_err(ProofError::ComputeRoot)?;
    same(count, path.count).map_err(ProofError::Count)?;
    Ok(path.verify(leaf, root)?)
}
