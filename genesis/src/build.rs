//! From a checked chain spec to block 0.

use cpc_ledger::{Delta, GenesisReject, genesis_state};
use cpc_light::{SetError, ValidatorSet};
use cpc_primitives::block::tx_root;
use cpc_primitives::codec::encode;
use cpc_primitives::result::ComputeRoots;
use cpc_primitives::{Address, BlockId, Digest, Domain, Epoch, Gas, Header, Height, PublicKey, View, tree};

use crate::spec::ChainSpec;

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
    /// The rules refuse it.
    #[error(transparent)]
    Rules(#[from] GenesisReject),
    /// A set of seats is not one.
    #[error("seats.epoch_{epoch}: {reason}")]
    Set {
        /// Whose set.
        epoch: usize,
        /// What is wrong with it.
        reason: SetError,
    },
    /// A seat is given to an account that is not bonded.
    #[error("seats.epoch_{epoch}: {account} is not the account of a validator")]
    Seat {
        /// Whose set.
        epoch: usize,
        /// The account.
        account: Address,
    },
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
        let sets = [set_of(&spec, 0)?, set_of(&spec, 1)?];
        let records = state.iter().filter_map(|(key, value)| Some((key.clone(), value?.to_vec()))).collect();
        let header = Header {
            version: spec.params.version,
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
        for account in &self.accounts {
            part(encode(&(account.address, account.balance)));
        }
        for validator in &self.validators {
            part(encode(&(validator.account, validator.stake)));
            part(encode(&validator.registration));
        }
        for seats in &self.seats {
            part(encode(seats));
        }
        hasher.finalize().into()
    }
}

/// The set of an epoch: the accounts that the spec names, or every validator.
fn set_of(spec: &ChainSpec, epoch: usize) -> Result<ValidatorSet, GenesisError> {
    let key_of = |account: &Address| -> Result<PublicKey, GenesisError> {
        let validator = spec.validators.iter().find(|validator| validator.account == *account);
        let validator = validator.ok_or(GenesisError::Seat { epoch, account: *account })?;
        Ok(validator.registration.consensus.key)
    };
    let keys = match &spec.seats[epoch] {
        Some(accounts) => accounts.iter().map(key_of).collect::<Result<_, _>>()?,
        None => spec.validators.iter().map(|validator| validator.registration.consensus.key).collect(),
    };
    ValidatorSet::new(keys).map_err(|reason| GenesisError::Set { epoch, reason })
}
