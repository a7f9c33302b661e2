//! From a genesis hash to the sets that decide, and from them to one block.

use std::sync::Arc;

use cpc_primitives::codec::Bounded;
use cpc_primitives::limits::SEATS_MAX;
use cpc_primitives::{BlockId, Digest, Domain, Epoch, Header, Height, PublicKey, TimeMs, same};
use wincode::{SchemaRead, SchemaWrite};

use crate::certificate::{Finalization, FinalizedHeader, certify};
use crate::error::{HeightStep, ProofError};
use crate::limits::{CERTIFICATE_BYTES_MAX, PROOF_EPOCHS_MAX, PROOF_HEADERS_MAX};
use crate::validators::ValidatorSet;
use crate::vote::namespace;

/// The genesis, the first two sets, and one link for every epoch that is over (PROOF-7).
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct TrustPath {
    /// Block 0, whose id is the one thing that is trusted.
    pub genesis: Header,
    /// The keys of epochs 0 and 1.
    pub sets: [Bounded<PublicKey, SEATS_MAX>; 2],
    /// The ends of the epochs 0, 1, 2 and so on.
    pub links: Bounded<EpochLink, PROOF_EPOCHS_MAX>,
}

/// The end of epoch E, which names the set of E + 2 (PROOF-8).
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct EpochLink {
    /// The last header of the epoch.
    pub header: Header,
    /// Its finalization, by the set of the epoch.
    pub certificate: Bounded<u8, CERTIFICATE_BYTES_MAX>,
    /// The keys of E + 2, or nothing where they are those of E + 1.
    pub next: Option<Bounded<PublicKey, SEATS_MAX>>,
}

/// The sets of all epochs that a path of trust reaches; only the path's verification makes one.
#[derive(Clone, Debug)]
pub struct TrustedSets {
    genesis: Header,
    id: BlockId,
    namespace: Vec<u8>,
    sets: Vec<Arc<ValidatorSet>>,
    newest: TimeMs,
}

/// A certified header and the way back from it to the block in question (PROOF-9).
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct FinalityProof {
    /// The certified header, then its ancestors down to the block in question.
    pub headers: Bounded<Header, PROOF_HEADERS_MAX>,
    /// The finalization of the first of them.
    pub certificate: Bounded<u8, CERTIFICATE_BYTES_MAX>,
}

impl TrustPath {
    /// Demands that every set follows from the genesis with this id.
    pub fn verify(&self, genesis: &BlockId) -> Result<TrustedSets, ProofError> {
        let mut trusted = self.verify_genesis(genesis)?;
        for link in &self.links {
            trusted.follow(link)?;
        }
        Ok(trusted)
    }

    fn verify_genesis(&self, genesis: &BlockId) -> Result<TrustedSets, ProofError> {
        // PROOF-7: the id covers the header, and the header covers both sets.
        let id = self.genesis.id();
        same(*genesis, id).map_err(ProofError::Genesis)?;
        let Header { height, epoch, chain, time, next_validators, .. } = self.genesis;
        if height != Height(0) || epoch != Epoch(0) {
            return Err(ProofError::GenesisPlace { height, epoch });
        }
        let [first, second] = &self.sets;
        let (first, second) = (set_of(0, first)?, set_of(1, second)?);
        let both = Domain::GenesisSets.hash(&(first.hash(), second.hash()));
        same(next_validators, both).map_err(ProofError::GenesisSets)?;
        Ok(TrustedSets {
            genesis: self.genesis.clone(),
            id,
            namespace: namespace(chain, &id),
            sets: vec![Arc::new(first), Arc::new(second)],
            newest: time,
        })
    }
}

impl TrustedSets {
    /// The genesis, whose time is the start of the network.
    pub fn genesis(&self) -> &Header {
        &self.genesis
    }

    /// The id of the genesis.
    pub fn genesis_id(&self) -> BlockId {
        self.id
    }

    /// What the votes of this network are signed under.
    pub fn namespace(&self) -> &[u8] {
        &self.namespace
    }

    /// The set of an epoch.
    pub fn set(&self, epoch: Epoch) -> Option<&ValidatorSet> {
        let place = usize::try_from(epoch.0).ok()?;
        self.sets.get(place).map(Arc::as_ref)
    }

    /// The last epoch whose set is known.
    pub fn last_epoch(&self) -> Epoch {
        Epoch(count_of(&self.sets).saturating_sub(1))
    }

    /// When the newest link was proposed: how old the trust is, the caller judges.
    pub fn newest(&self) -> TimeMs {
        self.newest
    }

    /// Demands that this certificate makes this header final.
    pub fn certify(&self, header: Header, certificate: &[u8]) -> Result<FinalizedHeader, ProofError> {
        same(self.genesis.chain, header.chain).map_err(ProofError::Chain)?;
        let (height, epoch) = (header.height, header.epoch);
        let unknown = ProofError::UnknownEpoch { known: self.last_epoch().0, found: epoch.0 };
        let set = self.set(epoch).ok_or(unknown)?;
        Finalization::decode(certificate)
            .and_then(|certificate| certify(header, &certificate, set, &self.namespace))
            .map_err(|reason| ProofError::Certificate { height, epoch, reason })
    }

    /// Learns one more set.
    fn follow(&mut self, link: &EpochLink) -> Result<(), ProofError> {
        // PROOF-8: the set of E + 2 stands in the last header of E, which the set of E certifies. The sets of E and
        // E + 1 are known, so that the next one is number E + 2.
        let next = count_of(&self.sets);
        let ending = next.saturating_sub(2);
        same(ending, link.header.epoch.0).map_err(ProofError::LinkEpoch)?;
        let Header { height, next_validators, time, .. } = link.header;
        if next_validators == Digest::ZERO {
            return Err(ProofError::NotLast { epoch: ending, height });
        }
        let set = match &link.next {
            Some(keys) => Arc::new(set_of(next, keys)?),
            None => Arc::clone(self.sets.last().expect("the genesis brought two sets")),
        };
        same(next_validators, set.hash()).map_err(|mismatch| ProofError::NextSet { epoch: next, mismatch })?;
        self.certify(link.header.clone(), &link.certificate)?;
        self.sets.push(set);
        self.newest = time;
        Ok(())
    }
}

impl FinalityProof {
    /// Demands that the last of the headers is final.
    pub fn verify(&self, trusted: &TrustedSets) -> Result<FinalizedHeader, ProofError> {
        let (first, ancestors) = self.headers.split_first().ok_or(ProofError::NoHeader)?;
        let certified = trusted.certify(first.clone(), &self.certificate)?;
        // PROOF-9: a final block makes all its ancestors final, and names each by its id.
        ancestors.iter().try_fold(certified, |child, parent| step_down(child.header(), parent))
    }
}

/// From a final header to its parent.
fn step_down(child: &Header, parent: &Header) -> Result<FinalizedHeader, ProofError> {
    let id = parent.id();
    same(child.parent, id).map_err(|mismatch| ProofError::Parent { height: child.height, mismatch })?;
    if parent.height.next() != Some(child.height) {
        return Err(ProofError::ParentHeight(HeightStep { child: child.height, parent: parent.height }));
    }
    Ok(FinalizedHeader::new(parent.clone(), id))
}

fn set_of(epoch: u64, keys: &[PublicKey]) -> Result<ValidatorSet, ProofError> {
    ValidatorSet::ordered(keys.to_vec()).map_err(|reason| ProofError::Set { epoch, reason })
}

fn count_of(sets: &[Arc<ValidatorSet>]) -> u64 {
    u64::try_from(sets.len()).expect("a list in memory has at most 64 bits of elements")
}
