//! How long a block of transfers takes to verify and to execute, on this machine: `speed [TRANSFERS] [ACCOUNTS]`.
//!
//! Signatures are checked on all threads, and execution is on one: `RAYON_NUM_THREADS=1` shows both on one.

use std::time::{Duration, Instant};

use cpc_ledger::{Context, GenesisAccount, GenesisValidator, Params, Session, Settlement, StateRead, Verifier};
use cpc_primitives::codec::{Bounded, encode};
use cpc_primitives::signing::{Claim, verify_batch};
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::tx::{Action, ChainEnds, KeyUse, ProvenKey, Registration, SignedTx, Transfer, TxBody};
use cpc_primitives::{
    Address, Amount, BlockId, Bps, ChainId, Digest, Domain, Epoch, Fault, Gas, Header, Height, Nonce, SecretKey,
    TimeMs, View,
};
use rayon::prelude::*;

/// A state in memory: the accounts in an open table by the first bytes of their addresses, the rest in a list.
struct Memory {
    table: Vec<Option<(Address, [u8; 24])>>,
    rest: Vec<(StateKey, Vec<u8>)>,
}

impl Memory {
    fn with_room_for(accounts: usize) -> Self {
        Self { table: vec![None; (accounts * 2).next_power_of_two()], rest: Vec::new() }
    }

    fn place(&self, address: &Address) -> usize {
        let first = u64::from_le_bytes(*address.0.first_chunk().expect("20 bytes"));
        let mut place = usize::try_from(first).expect("64 bits") & (self.table.len() - 1);
        while self.table[place].is_some_and(|(other, _)| other != *address) {
            place = (place + 1) & (self.table.len() - 1);
        }
        place
    }

    fn put(&mut self, key: StateKey, value: Vec<u8>) {
        match key.as_account() {
            Some(address) => {
                let place = self.place(&address);
                self.table[place] = Some((address, value.try_into().expect("an account has 24 bytes")));
            }
            None => self.rest.push((key, value)),
        }
    }
}

impl StateRead for Memory {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, Fault> {
        if let Some(address) = key.as_account() {
            return Ok(self.table[self.place(&address)].map(|(_, value)| value.to_vec()));
        }
        Ok(self.rest.iter().find(|(other, _)| other == key).map(|(_, value)| value.clone()))
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().expect("a number"));
    let transfers: u64 = arguments.next().unwrap_or(10_000);
    let accounts: u64 = arguments.next().unwrap_or(1_000_000);

    let params = params();
    let state = state(&params, transfers, accounts);
    let txs: Vec<SignedTx> = (0..transfers).into_par_iter().map(|n| payment(n, transfers, accounts)).collect();
    println!("{transfers} transfers, {accounts} accounts, {} threads", rayon::current_num_threads());

    let verifier = Verifier::new(100_000);
    let verified = verifier.verify(txs.clone()).expect("good signatures");
    measure("verify, all remembered", || {
        verifier.verify(txs.clone()).expect("good signatures");
    });
    let parent = parent(&params);
    let context = Context {
        epoch: Epoch(0),
        view: View(1),
        parent_view: View(0),
        time: TimeMs(2),
        proposer: parent.proposer,
        beacon: Digest::ZERO,
    };
    measure("execute: push all", || {
        let mut session = Session::begin(&params, &state, &parent, context).expect("a good context");
        for tx in &verified {
            session.push(tx).expect("a good transfer");
        }
    });
    measure("execute: push all and finish", || {
        let mut session = Session::begin(&params, &state, &parent, context).expect("a good context");
        for tx in &verified {
            session.push(tx).expect("a good transfer");
        }
        let executed = session.finish().expect("a good block");
        assert!(executed.delta().len() > verified.len());
    });

    measure("verify, in a block", || {
        Verifier::new(100_000).verify(txs.clone()).expect("good signatures");
    });
    // On one thread, so that batches are compared and not the ways to spread them.
    let claims: Vec<Claim> = txs.iter().take(4_096).map(SignedTx::claim).collect();
    for batch in [64, 128, 256, 512, 1_024, 2_048, 4_096] {
        measure(&format!("verify {}, batches of {batch}", claims.len()), || {
            claims.chunks(batch).for_each(|claims| verify_batch(claims).expect("good signatures"));
        });
    }
}

/// The median of many rounds with the fastest and the slowest, and what this thread was on a core for in the mean.
#[allow(clippy::disallowed_methods, reason = "this program measures time, and no rule reads it")]
fn measure(name: &str, mut work: impl FnMut()) {
    const ROUNDS: u64 = 31;
    let before = on_core();
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    let on_core = (on_core() - before) / ROUNDS / 1_000;
    rounds.sort_unstable();
    let [fastest, median, slowest] = [0, 15, 30].map(|round| rounds[round].as_micros());
    println!("{name:30} {median:>8} us ({fastest} to {slowest}), {on_core} us on a core");
}

/// Nanoseconds for which this thread was on a core, whatever else the machine did meanwhile; 0 where nobody says.
fn on_core() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or(0)
}

/// The key of a sender; only those who send have one.
fn sender(number: u64) -> SecretKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_seed(&seed)
}

/// The address of anybody: of a key for those who send, of nobody for the others.
fn address(number: u64, senders: u64) -> Address {
    if number < senders {
        return Address::of(&sender(number).public());
    }
    let digest = Domain::Address.hash_bytes(&number.to_le_bytes());
    Address(*digest.0.first_chunk().expect("32 bytes"))
}

fn payment(number: u64, senders: u64, accounts: u64) -> SignedTx {
    // Receivers are spread over all accounts, so that nearly every transfer touches two that no other one does.
    let to = address((number * 7_919 + 13) % accounts, senders);
    let action = Action::Transfer(Transfer { to, amount: Amount::new(1_000) });
    let body = TxBody { chain: ChainId(7), nonce: Nonce(0), gas_price: Amount::new(1), gas_limit: Gas(21_000), action };
    body.sign(&sender(number))
}

fn state(params: &Params, senders: u64, accounts: u64) -> Memory {
    let addresses: Vec<Address> = (0..accounts).into_par_iter().map(|number| address(number, senders)).collect();
    let account = Account { balance: Amount::new(1_000_000), nonce: Nonce(0) };
    let named: Vec<GenesisAccount> =
        addresses.iter().map(|address| GenesisAccount { address: *address, balance: account.balance }).collect();
    let delta = cpc_ledger::genesis_state(params, &named, &[validator()], Amount::ZERO, [None, None]);
    let mut memory = Memory::with_room_for(addresses.len());
    for (key, value) in delta.expect("a good genesis") {
        memory.put(key, value.expect("a genesis removes nothing"));
    }
    assert_eq!(memory.read(&StateKey::account(&addresses[0])), Ok(Some(encode(&account))));
    memory
}

fn validator() -> GenesisValidator {
    let account = Address([9; 20]);
    let prove = |number, role| ProvenKey::prove(&SecretKey::from_seed(&[number; 32]), role, ChainId(7), &account);
    let registration = Registration {
        consensus: prove(1, KeyUse::Consensus),
        verdict: prove(2, KeyUse::Verdict),
        network: prove(3, KeyUse::Network),
        consensus_addresses: Bounded::default(),
        network_addresses: Bounded::default(),
        chains: ChainEnds { beacon: Digest::ZERO, secrets: Digest::ZERO },
        kernels: Bounded::default(),
        commission: share(0),
    };
    GenesisValidator { account, stake: Amount::ONE, registration }
}

fn parent(params: &Params) -> Header {
    Header {
        version: params.version,
        chain: params.chain,
        height: Height(0),
        epoch: Epoch(0),
        view: View(0),
        parent_view: View(0),
        parent: BlockId(Digest::ZERO),
        time: TimeMs(1),
        proposer: SecretKey::from_seed(&[1; 32]).public(),
        beacon: Digest::ZERO,
        tx_root: Digest::ZERO,
        state_root: Digest::ZERO,
        compute_root: Digest::ZERO,
        gas_used: Gas(0),
        next_validators: Digest::ZERO,
    }
}

fn share(points: u16) -> Bps {
    Bps::new(points).expect("at most one whole")
}

fn params() -> Params {
    Params {
        chain: ChainId(7),
        version: 1,
        upgrades: Bounded::default(),
        epoch_blocks: 240,
        seats_max: 16,
        interval_ms: 500,
        block_bytes_max: 8 << 20,
        block_gas_max: Gas(1_000_000_000),
        gas_price_min: Amount::new(1),
        new_account_gas: Gas(25_000),
        existential_minimum: Amount::new(1),
        reward_initial: Amount::ONE,
        reward_halving_blocks: 1_000_000,
        reward_seats: share(7_000),
        fee_proposer: share(9_000),
        settlement: Settlement {
            burn: share(6_000),
            worker: share(2_500),
            validators: share(1_000),
            treasury: share(500),
        },
        miners_cap: share(5_000),
        reference_price: Amount::new(1),
        committee_seats: 4,
        committee_quorum: 3,
        rotation_blocks: 20,
        lease_blocks: 120,
        challenge_window_blocks: 4,
        reward_per_job_min: Amount::new(1),
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
