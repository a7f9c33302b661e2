//! From a checked chain spec to block 0.

use std::collections::{BTreeMap, BTreeSet};

use cpc_ledger::{Delta, GenesisReject, genesis_state, seats};
use cpc_light::ValidatorSet;
use cpc_primitives::block::tx_root;
use cpc_primitives::codec::encode;
use cpc_primitives::limits::SEATS_MAX;
use cpc_primitives::result::ComputeRoots;
use cpc_primitives::state::StateKey;
use cpc_primitives::{Address, BlockId, Digest, Domain, Epoch, Gas, Header, Height, View, tree};

use crate::rehearsal::known_key;
use crate::spec::ChainSpec;

/// How many of a network's known validators there may be: as many as seats.
const KNOWN_VALIDATORS: usize = SEATS_MAX;

/// A network's beginning: block 0, the state after it, and who decides first.
#[derive(Clone, Debug)]
pub struct Genesis {
    /// What it was built from.
    pub spec: ChainSpec,
    /// Block 0 has no transactions: it is its header.
    pub header: Header,
    /// Every record of the state after block 0.
    pub state: Delta,
    /// The sets of epochs 0 and 1.
    pub sets: [ValidatorSet; 2],
}

/// Why a well-formed chain spec is no beginning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The rules refuse it; the reason begins with the field.
    #[error(transparent)]
    Rules(#[from] GenesisReject),
    /// The faucet has nothing to give.
    #[error("faucet: {0} holds no account at the start")]
    Faucet(Address),
}

impl Genesis {
    /// Checks everything and builds block 0 (GEN-1, GEN-3 to GEN-5).
    pub fn build(spec: ChainSpec) -> Result<Self, GenesisError> {
        let state = genesis_state(&spec.params, &spec.accounts, &spec.validators, spec.treasury, spec.seats.clone())?;
        if let Some(faucet) = spec.faucet
            && !spec.accounts.iter().any(|account| account.address == faucet)
        {
            return Err(GenesisError::Faucet(faucet));
        }
        let records = state.iter().filter_map(|(key, value)| Some((key.clone(), value?.to_vec()))).collect();
        let sets = [Epoch(0), Epoch(1)].map(|epoch| set_of(&records, epoch));
        let header = Header {
            version: spec.params.version_at(Height(0)),
            chain: spec.params.chain,
            height: Height(0),
            epoch: Epoch(0),
            view: View(0),
            parent_view: View(0),
            // GEN-3: there is no block before, so that the place holds what the whole file says.
            parent: BlockId(spec.digest()),
            time: spec.time,
            // GEN-4: nobody proposed block 0; the field holds the first key of the first set.
            proposer: sets[0].keys()[0],
            beacon: Digest::ZERO,
            tx_root: tx_root(core::iter::empty()),
            state_root: tree::root_of(&records),
            compute_root: ComputeRoots::of(&[], &[]).digest(),
            gas_used: Gas(0),
            // GEN-5: whoever trusts the id of block 0 knows who decides in epochs 0 and 1.
            next_validators: Domain::GenesisSets.hash(&(sets[0].hash(), sets[1].hash())),
        };
        Ok(Self { spec, header, state, sets })
    }

    /// The id of block 0, which names the network.
    pub fn id(&self) -> BlockId {
        self.header.id()
    }

    /// Whether a validator decides with a key that everybody knows (GEN-6).
    pub fn has_known_keys(&self) -> bool {
        let known = (0..KNOWN_VALIDATORS).map(|n| known_key(&format!("{}/{n}/consensus", self.spec.name)).public());
        let known: BTreeSet<_> = known.collect();
        self.spec.validators.iter().any(|validator| known.contains(&validator.registration.consensus.key))
    }
}

impl ChainSpec {
    /// The digest of everything the file says, in canonical bytes (GEN-3).
    fn digest(&self) -> Digest {
        let mut hasher = Domain::ChainSpec.hasher();
        let mut part = |bytes: Vec<u8>| {
            let length = u64::try_from(bytes.len()).expect("a file in memory has at most 64 bits of bytes");
            hasher.update(&length.to_le_bytes()).update(&bytes);
        };
        part(self.name.clone().into_bytes());
        part(encode(&(self.time, self.faucet, self.treasury)));
        part(encode(&self.params));
        // GEN-1: the order in which a file names them means nothing, so it is not in the id.
        let mut accounts: Vec<_> = self.accounts.iter().collect();
        accounts.sort_by_key(|account| account.address);
        for account in accounts {
            part(encode(&(account.address, account.balance)));
        }
        let mut validators: Vec<_> = self.validators.iter().collect();
        validators.sort_by_key(|validator| validator.account);
        for validator in validators {
            part(encode(&(validator.account, validator.stake)));
            part(encode(&validator.registration));
        }
        for seats in &self.seats {
            let mut seats = seats.clone();
            if let Some(accounts) = &mut seats {
                accounts.sort_unstable();
            }
            part(encode(&seats));
        }
        hasher.finalize().into()
    }
}

/// Who decides an epoch: whoever has a seat of it in the state (GEN-5).
fn set_of(records: &BTreeMap<StateKey, Vec<u8>>, epoch: Epoch) -> ValidatorSet {
    let seats = seats(records, epoch).expect("records in memory that were just written can be read");
    let seats = seats.expect("EPO-5: the genesis writes the seats of epochs 0 and 1");
    seats.validators().expect("seats come from the keys of a set")
}
