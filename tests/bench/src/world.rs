//! A network with many funded accounts, and as many signed transfers as anybody wants.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, ensure};
use cpc_genesis::{ChainSpec, Genesis, Network, known_beacon_chain, known_key};
use cpc_ledger::{Context, GenesisAccount, Params, TRANSFER_GAS, account};
use cpc_light::{Finalization, Proposal, ValidatorSet, Vote, namespace};
use cpc_primitives::codec::encode;
use cpc_primitives::hash_chain::HashChain;
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::tx::{Action, SignedTx, Transfer, TxBody};
use cpc_primitives::{Address, Amount, Epoch, Header, Nonce, SecretKey, TimeMs, View, tree};
use cpc_store::Store;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// The network, and what every account of it must have by now.
pub(crate) struct World {
    pub(crate) genesis: Genesis,
    addresses: Vec<Address>,
    expected: Vec<Account>,
    keys: Vec<SecretKey>,
    validator: SecretKey,
    beacon: HashChain,
    seats: ValidatorSet,
    namespace: Vec<u8>,
    next_sender: usize,
    random: ChaCha8Rng,
}

/// What a sender has at the start: enough for every transfer of the run.
const FUNDS: Amount = Amount::new(1_000 * Amount::ONE.units());

/// An address that nobody has the key of.
pub(crate) fn address(number: u32) -> Address {
    let hash = blake3::hash(&number.to_le_bytes());
    Address(hash.as_bytes()[..20].try_into().expect("a hash has more than 20 bytes"))
}

/// A record of an account, for worlds without rules.
pub(crate) fn record(balance: u128) -> Vec<u8> {
    encode(&Account { balance: Amount::new(balance), nonce: Nonce(0) })
}

impl World {
    /// The devnet with other accounts, the first of which have keys; the genesis code makes block 0 of it.
    pub(crate) fn new(accounts: u32, senders: u32) -> Result<Self> {
        let mut spec = ChainSpec::parse(Network::Devnet.text())?;
        let keys: Vec<SecretKey> = (0..senders).into_par_iter().map(key).collect();
        let addresses: Vec<Address> = keys
            .par_iter()
            .map(|key| Address::of(&key.public()))
            .chain((senders..accounts).into_par_iter().map(address))
            .collect();
        spec.accounts = addresses.iter().map(|address| GenesisAccount { address: *address, balance: FUNDS }).collect();
        spec.faucet = None;
        // The last block of an epoch does more than others, and would fall into some rounds only.
        spec.params.epoch_blocks = 1 << 20;
        let beacon_steps = spec.params.beacon_steps;
        let genesis = Genesis::build(spec)?;
        let expected = vec![Account { balance: FUNDS, nonce: Nonce(0) }; addresses.len()];
        Ok(Self {
            seats: genesis.sets[0].clone(),
            namespace: namespace(genesis.spec.params.chain, &genesis.id()),
            genesis,
            addresses,
            expected,
            keys,
            validator: known_key("devnet/0/consensus"),
            beacon: known_beacon_chain("devnet/0", beacon_steps),
            next_sender: 0,
            random: ChaCha8Rng::seed_from_u64(1),
        })
    }

    /// The parameters of the rules.
    pub(crate) const fn params(&self) -> &Params {
        &self.genesis.spec.params
    }

    /// Signs the transfers of a block: each of another sender, each to a random account.
    pub(crate) fn sign(&mut self, txs: u32) -> Vec<SignedTx> {
        let Params { chain, gas_price_min: gas_price, .. } = *self.params();
        let fee = gas_price.checked_mul(TRANSFER_GAS.0).expect("a small fee");
        let bodies: Vec<(usize, TxBody)> = (0..txs)
            .map(|_| {
                let sender = self.next_sender;
                self.next_sender = (sender + 1) % self.keys.len();
                let receiver = self.random.random_range(0..self.addresses.len());
                let nonce = self.expected[sender].nonce;
                self.expected[sender].nonce = nonce.next().expect("few blocks");
                self.expected[sender].balance -= fee + Amount::ONE;
                self.expected[receiver].balance += Amount::ONE;
                let action = Action::Transfer(Transfer { to: self.addresses[receiver], amount: Amount::ONE });
                (sender, TxBody { chain, nonce, gas_price, gas_limit: TRANSFER_GAS, action })
            })
            .collect();
        let keys = &self.keys;
        bodies.into_par_iter().map(|(sender, body)| body.sign(&keys[sender])).collect()
    }

    /// Where the block after a header is proposed.
    pub(crate) fn context(&self, parent: &Header) -> Context {
        // In epoch 0 a view is the index of its element; whoever sleeps less than the longest gap opens just that one.
        let view = View(parent.view.0 + 1);
        let index = u32::try_from(view.0).expect("few blocks");
        Context {
            epoch: Epoch(0),
            view,
            parent_view: parent.view,
            time: TimeMs(parent.time.0 + 1),
            proposer: self.validator.public(),
            beacon: self.beacon.element(index).expect("a chain for more blocks than a run has"),
        }
    }

    /// The certificate of a block; the devnet's one seat is a quorum.
    pub(crate) fn certify(&self, header: &Header) -> Result<Vec<u8>> {
        let Header { epoch, view, parent_view, .. } = *header;
        let proposal = Proposal { epoch, view, parent_view, payload: header.id() };
        let signature = Vote::Finalize(proposal).sign(&self.namespace, &self.validator);
        Ok(Finalization::assemble(proposal, &[(0, signature)], &self.seats)?.encode())
    }

    /// Demands that every account has what it must have, and that the root is the one of the definition.
    pub(crate) fn check(&self, store: &Store) -> Result<()> {
        let base = store.base();
        for (address, expected) in self.addresses.iter().zip(&self.expected) {
            let found = account(&base, address)?;
            ensure!(found == Some(*expected), "{address} has {found:?} and must have {expected:?}");
        }
        // Only the records of the rules are new; all others were just compared.
        let mut state: BTreeMap<StateKey, Vec<u8>> = BTreeMap::new();
        for (key, _) in self.genesis.state.iter() {
            let value = store.read(key)?.ok_or_else(|| anyhow!("{key:?} is gone"))?;
            state.insert(key.clone(), value);
        }
        let (expected, found) = (tree::root_of(&state), base.root()?);
        ensure!(expected == found, "the definition gives the root {expected}, the store has {found}");
        Ok(())
    }

    /// The accounts, those with keys first.
    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }
}

/// The key of a sender.
fn key(number: u32) -> SecretKey {
    SecretKey::from_seed(blake3::hash(&[b"sender".as_slice(), &number.to_le_bytes()].concat()).as_bytes())
}
