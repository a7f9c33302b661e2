//! From a genesis hash or an anchor to the sets that decide, and from them to one block.

use std::sync::Arc;

use cpc_primitives::codec::Bounded;
use cpc_primitives::limits::SEATS_MAX;
use cpc_primitives::{BlockId, ChainId, Digest, Domain, Epoch, Header, Height, PublicKey, TimeMs, same};
use wincode::{SchemaRead, SchemaWrite};

use crate::certificate::{Finalization, FinalizedHeader, certify};
use crate::error::{HeightStep, ProofError};
use crate::limits::{CERTIFICATE_BYTES_MAX, PROOF_EPOCHS_MAX, PROOF_HEADERS_MAX};
use crate::validators::ValidatorSet;
use crate::vote::namespace;

/// What a verifier trusts before it reads a file (PROOF-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// The id of block 0.
    Genesis(BlockId),
    /// The digest of an anchor that an earlier proof led to, or that came from somebody who is trusted.
    Anchor(Digest),
}

/// What is known of a network once a path of trust holds; a later path may begin here (PROOF-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaWrite)]
pub struct Anchor {
    /// The id of block 0: the name of the network.
    pub genesis: BlockId,
    /// The network's number.
    pub chain: ChainId,
    /// The first of the two epochs whose sets are known.
    pub epoch: Epoch,
    /// The hashes of both sets.
    pub sets: [Digest; 2],
    /// The time of the last header of the epoch before, which names the second set; in epoch 0 that of the genesis.
    pub time: TimeMs,
}

/// Where trust begins, and one link for every epoch from there on that is over (PROOF-8).
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct TrustPath {
    /// What the verifier trusts.
    pub start: Start,
    /// The ends of the epoch of the start and of those after it.
    pub links: Bounded<EpochLink, PROOF_EPOCHS_MAX>,
}

/// Where a path of trust begins.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
#[allow(clippy::large_enum_variant, reason = "a file has one start")]
pub enum Start {
    /// At block 0 (PROOF-7).
    Genesis {
        /// Block 0, whose id is the one thing that is trusted.
        header: Header,
        /// The keys of epochs 0 and 1.
        sets: [Bounded<PublicKey, SEATS_MAX>; 2],
    },
    /// At an anchor (PROOF-11).
    Anchor {
        /// The id of block 0.
        genesis: BlockId,
        /// The network's number.
        chain: ChainId,
        /// The epoch of the anchor.
        epoch: Epoch,
        /// The time of the anchor.
        time: TimeMs,
        /// The keys of this epoch and of the next.
        sets: [Bounded<PublicKey, SEATS_MAX>; 2],
    },
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
    genesis: BlockId,
    chain: ChainId,
    namespace: Vec<u8>,
    /// The epoch of the first of the sets; there are at least two.
    first: Epoch,
    sets: Vec<Arc<ValidatorSet>>,
    /// When trust begins: the time of the genesis, or of the anchor.
    since: TimeMs,
    /// The time of the header that names the last set.
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

impl Anchor {
    /// The name of the anchor: all that a verifier has to keep of it (PROOF-11).
    pub fn digest(&self) -> Digest {
        Domain::TrustAnchor.hash(self)
    }
}

impl TrustPath {
    /// Demands that every set follows from what is trusted.
    pub fn verify(&self, trusted: Trusted) -> Result<TrustedSets, ProofError> {
        let mut sets = self.start.verify(trusted)?;
        for link in &self.links {
            sets.follow(link)?;
        }
        Ok(sets)
    }
}

impl Start {
    /// What a verifier has to trust for this start to hold; [`TrustPath::verify`] compares it with what it does trust.
    pub fn claims(&self) -> Result<Trusted, ProofError> {
        match self {
            Self::Genesis { header, .. } => Ok(Trusted::Genesis(header.id())),
            Self::Anchor { .. } => self.sets().map(|sets| Trusted::Anchor(sets.anchor().digest())),
        }
    }

    fn verify(&self, trusted: Trusted) -> Result<TrustedSets, ProofError> {
        match (trusted, self) {
            // PROOF-7: the id covers the header, and the header covers both sets.
            (Trusted::Genesis(id), Self::Genesis { header, .. }) => {
                same(id, header.id()).map_err(ProofError::Genesis)?;
                self.sets()
            }
            // PROOF-11: the digest covers all that the start says; of the keys it covers the hashes.
            (Trusted::Anchor(digest), Self::Anchor { .. }) => {
                let sets = self.sets()?;
                same(digest, sets.anchor().digest()).map_err(ProofError::Anchor)?;
                Ok(sets)
            }
            (Trusted::Genesis(_), Self::Anchor { epoch, .. }) => Err(ProofError::BeginsAtAnchor { epoch: *epoch }),
            (Trusted::Anchor(_), Self::Genesis { .. }) => Err(ProofError::BeginsAtGenesis),
        }
    }

    /// What the start says, where it holds together; whether it is true, its caller compares.
    fn sets(&self) -> Result<TrustedSets, ProofError> {
        let (genesis, chain, first, time, sets) = match self {
            Self::Genesis { header, sets } => {
                let Header { height, epoch, chain, time, .. } = *header;
                if height != Height(0) || epoch != Epoch(0) {
                    return Err(ProofError::GenesisPlace { height, epoch });
                }
                (header.id(), chain, epoch, time, sets)
            }
            Self::Anchor { genesis, chain, epoch, time, sets } => (*genesis, *chain, *epoch, *time, sets),
        };
        let [one, two] = sets;
        let (one, two) = (set_of(first.0, one)?, set_of(first.0.saturating_add(1), two)?);
        if let Self::Genesis { header, .. } = self {
            let both = Domain::GenesisSets.hash(&(one.hash(), two.hash()));
            same(header.next_validators, both).map_err(ProofError::GenesisSets)?;
        }
        let sets = vec![Arc::new(one), Arc::new(two)];
        Ok(TrustedSets {
            genesis,
            chain,
            namespace: namespace(chain, &genesis),
            first,
            sets,
            since: time,
            newest: time,
        })
    }
}

impl TrustedSets {
    /// The id of the genesis.
    pub fn genesis_id(&self) -> BlockId {
        self.genesis
    }

    /// What the votes of this network are signed under.
    pub fn namespace(&self) -> &[u8] {
        &self.namespace
    }

    /// The set of an epoch.
    pub fn set(&self, epoch: Epoch) -> Option<&ValidatorSet> {
        let place = usize::try_from(epoch.0.checked_sub(self.first.0)?).ok()?;
        self.sets.get(place).map(Arc::as_ref)
    }

    /// The last epoch whose set is known.
    pub fn last_epoch(&self) -> Epoch {
        Epoch(self.ending().saturating_add(1))
    }

    /// When trust begins: the time of the genesis, or of the anchor. How old it may be, the caller judges.
    ///
    /// The times of the links say nothing of that: whoever holds old keys can sign any time.
    pub fn since(&self) -> TimeMs {
        self.since
    }

    /// What is known at the end of the path, to begin from the next time (PROOF-11).
    pub fn anchor(&self) -> Anchor {
        let epoch = Epoch(self.ending());
        let hash = |epoch| self.set(epoch).expect("the sets of the last two epochs are known").hash();
        let sets = [hash(epoch), hash(self.last_epoch())];
        Anchor { genesis: self.genesis, chain: self.chain, epoch, sets, time: self.newest }
    }

    /// Demands that this certificate makes this header final.
    pub fn certify(&self, header: Header, certificate: &[u8]) -> Result<FinalizedHeader, ProofError> {
        same(self.chain, header.chain).map_err(ProofError::Chain)?;
        let (height, epoch) = (header.height, header.epoch);
        let (first, last) = (self.first.0, self.last_epoch().0);
        let set = self.set(epoch).ok_or(ProofError::UnknownEpoch { first, last, found: epoch.0 })?;
        Finalization::decode(certificate)
            .and_then(|certificate| certify(header, &certificate, set, &self.namespace))
            .map_err(|reason| ProofError::Certificate { height, epoch, reason })
    }

    /// The epoch whose end the next link is: the last but one whose set is known.
    fn ending(&self) -> u64 {
        let passed = u64::try_from(self.sets.len().saturating_sub(2)).expect("a list in memory");
        self.first.0.saturating_add(passed)
    }

    /// Learns one more set.
    fn follow(&mut self, link: &EpochLink) -> Result<(), ProofError> {
        // PROOF-8: the set of E + 2 stands in the last header of E, which the set of E certifies. The sets of E and
        // E + 1 are known, so that the next one is number E + 2.
        let ending = self.ending();
        let next = ending.saturating_add(2);
        same(ending, link.header.epoch.0).map_err(ProofError::LinkEpoch)?;
        let Header { height, next_validators, time, .. } = link.header;
        // PROOF-8: block 0 names two sets in another domain, and nobody certifies it.
        if height == Height(0) {
            return Err(ProofError::LinkGenesis);
        }
        if next_validators == Digest::ZERO {
            return Err(ProofError::NotLast { epoch: ending, height });
        }
        let set = match &link.next {
            Some(keys) => Arc::new(set_of(next, keys)?),
            None => Arc::clone(self.sets.last().expect("the start brought two sets")),
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
