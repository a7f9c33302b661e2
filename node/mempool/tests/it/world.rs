//! People with keys, and transactions of any nonce and price.

use std::cell::RefCell;
use std::collections::BTreeMap;

use cpc_ledger::{VerifiedTx, Verifier};
use cpc_mempool::{ENTRY_OVERHEAD_BYTES, Limits};
use cpc_primitives::state::Account;
use cpc_primitives::tx::{Action, Transfer, TxBody};
use cpc_primitives::{Address, Amount, ChainId, Gas, Nonce, SecretKey};

/// What every transaction here asks for.
pub(crate) const GAS: u64 = 21_000;
/// What every transaction here moves.
pub(crate) const AMOUNT: u128 = 5;

pub(crate) fn key(number: u16) -> SecretKey {
    let mut seed = [1; 32];
    seed[..2].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_seed(&seed)
}

pub(crate) fn address(number: u16) -> Address {
    tx(number, 0, 1).sender()
}

thread_local! {
    /// What was signed already: the same few transactions are asked for thousands of times.
    static SIGNED: RefCell<BTreeMap<(u16, u64, u128), VerifiedTx>> = const { RefCell::new(BTreeMap::new()) };
}

/// A transfer of somebody to nobody.
pub(crate) fn tx(sender: u16, nonce: u64, price: u128) -> VerifiedTx {
    SIGNED.with_borrow_mut(|signed| {
        signed.entry((sender, nonce, price)).or_insert_with(|| sign(sender, nonce, price)).clone()
    })
}

fn sign(sender: u16, nonce: u64, price: u128) -> VerifiedTx {
    let action = Action::Transfer(Transfer { to: Address([9; 20]), amount: Amount::new(AMOUNT) });
    let gas_price = Amount::new(price);
    let body = TxBody { chain: ChainId(7), nonce: Nonce(nonce), gas_price, gas_limit: Gas(GAS), action };
    Verifier::new(0).verify(vec![body.sign(&key(sender))]).expect("a good signature").remove(0)
}

/// An account that can pay for anything.
pub(crate) fn rich(nonce: u64) -> Account {
    Account { balance: Amount::new(1 << 90), nonce: Nonce(nonce) }
}

/// What a transaction here counts.
pub(crate) fn counted() -> usize {
    tx(1, 0, 1).bytes() + ENTRY_OVERHEAD_BYTES
}

/// Room for few, so that a test reaches every limit.
pub(crate) fn limits() -> Limits {
    Limits {
        count_max: 6,
        bytes_max: 1 << 20,
        sender_count_max: 4,
        sender_bytes_max: 1 << 20,
        ahead_max: 8,
        bump_percent: 10,
        expiry_blocks: 5,
    }
}
