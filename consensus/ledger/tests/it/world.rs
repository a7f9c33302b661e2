//! A small network in memory: known keys, small numbers, and one call that builds, checks and keeps a block.

use std::collections::BTreeMap;

use cpc_ledger::{
    Applied, BlockError, Context, Delta, GenesisAccount, GenesisValidator, Leaves, Params, Receipt, Session,
    Settlement, Supply, TxError, VerifiedTx, Verifier, apply, beacon_due, genesis_state,
};
use cpc_primitives::codec::Bounded;
use cpc_primitives::hash_chain::HashChain;
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::tx::{Action, ChainEnds, KeyUse, ProvenKey, Registration, SignedTx, Transfer, TxBody};
use cpc_primitives::{
    Address, Amount, BlockId, Bps, ChainId, Digest, Domain, Epoch, Gas, Header, Height, Nonce, SecretKey, TimeMs, View,
};

/// A state in memory.
pub(crate) type State = BTreeMap<StateKey, Vec<u8>>;

/// The people of the network, by the number of their key's seed.
pub(crate) const ALICE: u8 = 1;
pub(crate) const BOB: u8 = 2;
pub(crate) const CAROL: u8 = 3;
/// Somebody who has no account.
pub(crate) const NOBODY: u8 = 9;
/// The accounts of the two validators; their consensus keys are those numbers plus 100.
pub(crate) const VALIDATORS: [(u8, u128); 2] = [(11, 300), (12, 100)];

/// A chain under way.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) params: Params,
    pub(crate) state: State,
    pub(crate) tip: Header,
}

pub(crate) fn units(units: u128) -> Amount {
    Amount::new(units)
}

pub(crate) fn share(points: u16) -> Bps {
    Bps::new(points).expect("at most one whole")
}

/// Numbers small enough to be followed by hand.
pub(crate) fn params() -> Params {
    Params {
        chain: ChainId(7),
        version: 1,
        upgrades: Bounded::default(),
        epoch_blocks: 4,
        seats_max: 16,
        interval_ms: 500,
        beacon_steps: 512,
        block_bytes_max: 100_000,
        block_gas_max: Gas(1_000_000),
        gas_price_min: units(2),
        new_account_gas: Gas(25_000),
        existential_minimum: units(10),
        reward_initial: units(1_001),
        reward_halving_blocks: 6,
        reward_seats: share(7_000),
        fee_proposer: share(9_000),
        settlement: Settlement {
            burn: share(6_000),
            worker: share(2_500),
            validators: share(1_000),
            treasury: share(500),
        },
        miners_cap: share(5_000),
        reference_price: units(1),
        committee_seats: 4,
        committee_quorum: 3,
        rotation_blocks: 20,
        lease_blocks: 120,
        challenge_window_blocks: 4,
        reward_per_job_min: units(1),
        closing_fee: share(500),
        bond_factor_spot: 2,
        bond_factor: 1,
        unbonding_epochs: 6,
        evidence_epochs: 2,
        second_committee: share(0),
        audit: share(0),
        slash_downtime: share(500),
        slash_wrong: share(1_000),
        slash_equivocation: share(10_000),
        treasury_threshold: 0,
        treasury_keys: Bounded::default(),
    }
}

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

pub(crate) fn address(number: u8) -> Address {
    Address::of(&key(number).public())
}

/// A validator with three keys of its own: its number plus 100, 150 and 200.
pub(crate) fn validator(number: u8, stake: u128) -> GenesisValidator {
    let account = address(number);
    let prove = |offset: u8, role| ProvenKey::prove(&key(number + offset), role, params().chain, &account);
    let registration = Registration {
        consensus: prove(100, KeyUse::Consensus),
        verdict: prove(150, KeyUse::Verdict),
        network: prove(200, KeyUse::Network),
        consensus_addresses: Bounded::default(),
        network_addresses: Bounded::default(),
        chains: ChainEnds { beacon: chain_of(number).end(), secrets: Digest::ZERO },
        kernels: Bounded::default(),
        commission: share(0),
    };
    GenesisValidator { account, stake: units(stake), registration }
}

/// The hash chain of a validator, as long as the network's.
pub(crate) fn chain_of(number: u8) -> HashChain {
    HashChain::build(Digest([number; 32]), params().beacon_steps)
}

pub(crate) fn validators() -> Vec<GenesisValidator> {
    VALIDATORS.iter().map(|(number, stake)| validator(*number, *stake)).collect()
}

/// The header of block 0; the genesis crate makes the true one, the ledger needs only its place.
pub(crate) fn genesis_header(params: &Params) -> Header {
    Header {
        version: params.version,
        chain: params.chain,
        height: Height(0),
        epoch: Epoch(0),
        view: View(0),
        parent_view: View(0),
        parent: BlockId(Digest::ZERO),
        time: TimeMs(1_000),
        proposer: key(VALIDATORS[0].0 + 100).public(),
        beacon: Digest::ZERO,
        tx_root: Digest::ZERO,
        state_root: Digest::ZERO,
        compute_root: Digest::ZERO,
        gas_used: Gas(0),
        next_validators: Digest::ZERO,
    }
}

/// A transaction before it is signed, with the numbers that most tests do not care about.
pub(crate) fn body(nonce: u64, action: Action) -> TxBody {
    TxBody { chain: params().chain, nonce: Nonce(nonce), gas_price: units(2), gas_limit: Gas(50_000), action }
}

pub(crate) fn transfer(to: Address, amount: u128) -> Action {
    Action::Transfer(Transfer { to, amount: units(amount) })
}

pub(crate) fn send(from: u8, nonce: u64, to: u8, amount: u128) -> SignedTx {
    body(nonce, transfer(address(to), amount)).sign(&key(from))
}

pub(crate) fn verified(tx: SignedTx) -> VerifiedTx {
    Verifier::new(0).verify(vec![tx]).expect("a good signature").remove(0)
}

/// Some digest of a state: the ledger never looks at a root, it only compares two.
pub(crate) fn root(state: &State) -> Digest {
    let entries: Vec<_> = state.iter().flat_map(|(key, value)| [key.bytes().to_vec(), value.clone()]).collect();
    Domain::StateValue.hash(&entries)
}

impl World {
    /// Alice has ten million units, Bob a million, Carol 50; both validators have their stake and nothing else.
    pub(crate) fn new() -> Self {
        let accounts = [(ALICE, 10_000_000), (BOB, 1_000_000), (CAROL, 50)];
        Self::with(params(), &accounts)
    }

    pub(crate) fn with(params: Params, accounts: &[(u8, u128)]) -> Self {
        Self::of(params, accounts, &validators())
    }

    pub(crate) fn of(params: Params, accounts: &[(u8, u128)], validators: &[GenesisValidator]) -> Self {
        let accounts: Vec<_> = accounts
            .iter()
            .map(|(number, balance)| GenesisAccount { address: address(*number), balance: units(*balance) })
            .collect();
        let delta = genesis_state(&params, &accounts, validators, units(1_000), [None, None]).expect("a good genesis");
        let state = delta.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect();
        Self { tip: genesis_header(&params), params, state }
    }

    /// The context of the next block, proposed by the first validator in the view after the parent's.
    pub(crate) fn context(&self) -> Context {
        self.context_of(VALIDATORS[0].0, 0)
    }

    /// The context of the next block, proposed by a validator after so many views without a block.
    pub(crate) fn context_of(&self, proposer: u8, skipped: u64) -> Context {
        let height = self.tip.height.next().expect("far from the last");
        let epoch = self.params.epoch_of(height);
        let parent_view = if epoch == self.tip.epoch { self.tip.view } else { View(0) };
        let view = View(parent_view.0 + 1 + skipped);
        let key = key(proposer + 100).public();
        let time = TimeMs(self.tip.time.0 + 500);
        // Whoever holds no seat is refused for that, whatever it opens.
        let due = beacon_due(&self.params, &self.state, &key, epoch, view);
        let beacon =
            due.map_or(Digest::ZERO, |due| due.preimage(&chain_of(proposer)).expect("as long as the network's"));
        Context { epoch, view, parent_view, time, proposer: key, beacon }
    }

    pub(crate) fn session(&self) -> Session<'_, State> {
        Session::begin(&self.params, &self.state, &self.tip, self.context()).expect("a good context")
    }

    /// What the next block would say to one transaction.
    pub(crate) fn push(&self, tx: SignedTx) -> Result<Receipt, TxError> {
        self.session().push(&verified(tx))
    }

    /// The state after a delta.
    pub(crate) fn after(&self, delta: &Delta) -> State {
        let mut state = self.state.clone();
        for (key, value) in delta.iter() {
            match value {
                Some(value) => drop(state.insert(key.clone(), value.to_vec())),
                None => drop(state.remove(key)),
            }
        }
        state
    }

    /// Builds the next block as its proposer does.
    pub(crate) fn build(&self, context: Context, txs: &[VerifiedTx]) -> Result<Header, BlockError> {
        let mut session = Session::begin(&self.params, &self.state, &self.tip, context)?;
        for tx in txs {
            session.push(tx).expect("a transaction that fits");
        }
        let executed = session.finish()?;
        Ok(executed.header(root(&self.after(executed.delta()))))
    }

    /// Checks a block as everybody else does.
    pub(crate) fn check(&self, header: &Header, txs: &[VerifiedTx]) -> Result<Applied, BlockError> {
        let executed = apply(&self.params, &self.state, &self.tip, header, txs)?;
        let state_root = root(&self.after(executed.delta()));
        executed.check(header, state_root)
    }

    /// Builds, checks and keeps the next block.
    pub(crate) fn block(&mut self, txs: Vec<SignedTx>) -> Vec<Receipt> {
        self.block_with_leaves(txs).0
    }

    /// The same, with what the block says of computation.
    pub(crate) fn block_with_leaves(&mut self, txs: Vec<SignedTx>) -> (Vec<Receipt>, Leaves) {
        let txs = Verifier::new(0).verify(txs).expect("good signatures");
        let header = self.build(self.context(), &txs).expect("a good block");
        let applied = self.check(&header, &txs).expect("what was built is valid");
        let leaves = applied.leaves().clone();
        (self.adopt(applied), leaves)
    }

    /// Keeps a checked block.
    pub(crate) fn adopt(&mut self, applied: Applied) -> Vec<Receipt> {
        let (header, delta, receipts) = applied.into_parts();
        self.state = self.after(&delta);
        self.tip = header;
        receipts
    }

    /// Empty blocks up to and including a height.
    pub(crate) fn run_to(&mut self, height: u64) {
        while self.tip.height.0 < height {
            self.block(vec![]);
        }
    }

    pub(crate) fn balance(&self, number: u8) -> u128 {
        self.account(number).expect("an account").balance.units()
    }

    pub(crate) fn account(&self, number: u8) -> Option<Account> {
        cpc_ledger::account(&self.state, &address(number)).expect("readable")
    }

    pub(crate) fn supply(&self) -> Supply {
        cpc_ledger::supply(&self.state).expect("readable")
    }

    /// The state's entries as a store iterates them.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<(StateKey, Vec<u8>), cpc_primitives::Fault>> {
        self.state.iter().map(|(key, value)| Ok((key.clone(), value.clone())))
    }
}
