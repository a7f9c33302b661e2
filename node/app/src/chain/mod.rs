//! One chain on one disk: what the API reads, what agreement builds on, and the only writer of the store.

mod agreement;
mod proofs;
mod reads;
mod waiting;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cpc_genesis::{Genesis, known_key};
use cpc_ledger::{Params, Receipt, Reject, StateRead, Supply, TRANSFER_GAS, Verifier};
use cpc_light::EpochLink;
use cpc_mempool::{Limits, Mempool, Refused};
use cpc_primitives::codec::decode;
use cpc_primitives::hash_chain::HashChain;
use cpc_primitives::kv::Kv;
use cpc_primitives::limits::TXS_PER_BLOCK_MAX;
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::tx::{Action, SignedTx, Transfer, TxBody};
use cpc_primitives::{Address, Amount, Block, BlockId, Bounded, Fault, Gas, Height, Nonce, TimeMs, TxHash};
use cpc_store::{
    Beside, Index, Options, Place, RECEIPTS_BYTES_MAX, RocksOptions, Snapshot, SnapshotError, Store, StoreError, Tip,
    tx_events,
};
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::api::dto::TxView;
use crate::metrics::Metrics;
use agreement::Candidates;
use reads::RecentBlocks;

pub use proofs::{NoProof, ProvenAccount};
pub use reads::{EpochSeats, Fate};
pub use waiting::{Admitted, Source, TOLD_MAX};

/// Signatures that were checked are remembered so many at a time.
const VERIFIED_MAX: usize = 200_000;
/// What the faucet gives where nobody says how much.
const FAUCET_GIFT: u64 = 100;
/// The most that the faucet gives at once.
const FAUCET_GIFT_MAX: u64 = 10_000;
/// The least time between two gifts of the faucet.
const FAUCET_PAUSE: Duration = Duration::from_millis(20);
/// A head that is older than so many intervals means that blocks are not being made.
const STALE_INTERVALS: u64 = 20;

/// What became of a block's transactions, in their order, as the store keeps it.
pub type Receipts = Bounded<Receipt, TXS_PER_BLOCK_MAX>;

/// A chain that is open on this machine.
pub struct Chain {
    genesis: Genesis,
    genesis_text: String,
    /// The ends of the epochs before the first block that is kept, from epoch 0 on.
    earlier: Vec<EpochLink>,
    store: Store,
    index: Index,
    verifier: Verifier,
    /// The transactions that wait for a block.
    pool: Mutex<Mempool>,
    /// Where other nodes are told of them.
    news: Mutex<Option<mpsc::Sender<Vec<TxHash>>>>,
    candidates: Mutex<Candidates>,
    /// Told when a block was executed.
    executed: Condvar,
    /// What this node's seat feeds the beacon with, where it has one.
    beacon: OnceLock<HashChain>,
    faucet: Mutex<FaucetState>,
    /// The height up to which blocks are final and indexed, for whoever waits for one.
    heads: watch::Sender<Height>,
    recent: RecentBlocks,
    metrics: Metrics,
}

/// The time now, as blocks count it.
pub fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// What the faucet remembers between two gifts.
struct FaucetState {
    /// The nonce of the next gift, where gifts still wait for their block.
    next: Nonce,
    last: Option<Instant>,
}

/// Why a transaction is not kept.
#[derive(Debug, thiserror::Error)]
pub enum Admission {
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// It breaks a rule.
    #[error(transparent)]
    Rule(Reject),
    /// Its place is taken.
    #[error(transparent)]
    Place(Refused),
    /// There is no room.
    #[error(transparent)]
    Full(Refused),
    /// This node cannot tell.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Admission {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Signature => "bad_signature",
            Self::Rule(Reject::Chain(_)) => "wrong_chain",
            Self::Rule(Reject::NotActive { .. }) => "not_active",
            Self::Rule(Reject::CannotPay { .. }) => "insufficient_funds",
            Self::Rule(Reject::GasPrice { .. }) => "gas_price_too_low",
            Self::Rule(Reject::GasLimit { .. }) => "gas_limit_too_low",
            Self::Rule(Reject::Nonce(_) | Reject::NonceExhausted) => "wrong_nonce",
            Self::Rule(_) => "invalid_transaction",
            Self::Place(refused) | Self::Full(refused) => waiting::code(refused),
            Self::Fault(_) => "unavailable",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Rule(Reject::Chain(_)) => "sign for the chain id that GET /api/v1/params says",
            Self::Rule(Reject::GasPrice { .. } | Reject::GasLimit { .. }) => "GET /api/v1/params says what is needed",
            Self::Rule(Reject::CannotPay { .. }) => "the account needs the amount and gas limit x gas price",
            Self::Place(Refused::Underpriced { .. }) => "pay more a gas to replace the one that waits",
            Self::Place(Refused::Overdrawn { .. }) => "the account needs what all its waiting transactions may cost",
            Self::Rule(Reject::Nonce(_)) | Self::Place(_) => "GET /api/v1/accounts/{address} says the next nonce",
            Self::Full(Refused::Full { .. }) => "pay more a gas, or send it again later",
            Self::Full(_) => "send it again when others of this sender are in a block",
            _ => "",
        }
    }
}

/// Why the faucet gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum FaucetError {
    /// The network has none.
    #[error("this network has no faucet")]
    None,
    /// Somebody wants it all.
    #[error("the faucet gives at most {max} CPC at once, asked were {asked}")]
    TooMuch {
        /// The most it gives.
        max: Amount,
        /// What was asked.
        asked: Amount,
    },
    /// Less than an account has to start with.
    #[error("a new account starts with at least {min} CPC, asked were {asked}")]
    TooLittle {
        /// The least that makes sense.
        min: Amount,
        /// What was asked.
        asked: Amount,
    },
    /// Too many ask.
    #[error("the faucet gives once in {} ms", pause.as_millis())]
    Busy {
        /// How long it pauses.
        pause: Duration,
    },
    /// This node cannot tell.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A block and what makes it final.
pub struct FinalBlock {
    /// The block.
    pub block: Block,
    /// Its certificate in the format of cpc-light; block 0 has none.
    pub certificate: Option<Vec<u8>>,
}

/// A block of this disk with what became of its transactions.
pub struct Kept {
    block: Block,
    /// What became of its transactions, where this node has executed it.
    receipts: Option<Receipts>,
}

/// A part of an account's history.
pub struct Page {
    /// The transactions, the newest first.
    pub txs: Vec<TxView>,
    /// Where the next page begins; nothing after the last.
    pub next: Option<Place>,
}

/// One check of readiness.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// What was seen.
    pub evidence: String,
}

impl Chain {
    /// Opens the chain in a folder, and begins it there where the folder is new.
    ///
    /// Where the chain began from a snapshot, `trust` is the proof that its block was final: it holds the ends of the
    /// epochs that are not on this disk.
    pub fn open(dir: &Path, genesis: Genesis, genesis_text: String, trust: Option<&[u8]>) -> Result<Self, StoreError> {
        let (rocks, options) = (RocksOptions::default(), Options::default());
        let store = Store::open_dir_beside(dir, cpc_engine::SPACES, rocks, options)?;
        // SNAP-6: this folder was to begin at a snapshot, not at block 0.
        if trust.is_some() && store.is_empty() {
            return Err(StoreError::RestoreUnfinished);
        }
        Self::over(store, genesis, genesis_text, trust)
    }

    /// The same over a store that is open.
    pub fn over(
        store: Store,
        genesis: Genesis,
        genesis_text: String,
        trust: Option<&[u8]>,
    ) -> Result<Self, StoreError> {
        store.init(&genesis.header, &genesis.state)?;
        let earlier = proofs::links_of(trust, &genesis)?;
        let index = Index::open(store.clone(), tx_events)?;
        let chain = Self {
            genesis,
            genesis_text,
            earlier,
            store,
            index,
            verifier: Verifier::new(VERIFIED_MAX),
            pool: Mutex::new(Mempool::new(Limits::default())),
            news: Mutex::default(),
            candidates: Mutex::default(),
            executed: Condvar::new(),
            beacon: OnceLock::new(),
            faucet: Mutex::new(FaucetState { next: Nonce(0), last: None }),
            heads: watch::Sender::new(Height(0)),
            recent: RecentBlocks::default(),
            metrics: Metrics::new(),
        };
        chain.index.catch_up(u64::MAX)?;
        chain.announce(chain.tip().header.height);
        Ok(chain)
    }

    /// With other limits on what waits for a block; called before anything waits.
    #[must_use]
    pub fn with_pool(mut self, limits: Limits) -> Self {
        self.pool = Mutex::new(Mempool::new(limits));
        self
    }

    /// The disk under the chain, for what agreement keeps beside it.
    pub fn disk(&self) -> Arc<dyn Kv> {
        self.store.disk()
    }

    /// What the network began with.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// What this node measures.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The chain spec as it was read.
    pub fn genesis_text(&self) -> &str {
        &self.genesis_text
    }

    /// The network's parameters.
    pub const fn params(&self) -> &Params {
        &self.genesis.spec.params
    }

    /// What a transfer to an account that exists uses.
    pub const fn transfer_gas(&self) -> Gas {
        TRANSFER_GAS
    }

    /// The last final block.
    pub fn tip(&self) -> Tip {
        self.store.tip().expect("a chain that is open has its block 0")
    }

    /// The height up to which transactions can be looked up.
    pub fn index_height(&self) -> Result<Height, Fault> {
        Ok(self.index.height()?.unwrap_or_default())
    }

    /// An account after the last final block, and that block's height.
    pub fn account(&self, address: &Address) -> Result<(Option<Account>, Height), Fault> {
        self.at_tip(|state| cpc_ledger::account(state, address))
    }

    /// The running totals after the last final block, and that block's height.
    pub fn supply(&self) -> Result<(Supply, Height), Fault> {
        self.at_tip(|state| cpc_ledger::supply(state))
    }

    /// Reads the state after the last final block, again where a block came in between.
    fn at_tip<T>(&self, read: impl Fn(&Latest<'_>) -> Result<T, Fault>) -> Result<(T, Height), Fault> {
        loop {
            let before = self.tip();
            let found = read(&Latest(&self.store))?;
            if self.tip().id == before.id {
                return Ok((found, before.header.height));
            }
        }
    }

    /// The height of a block.
    pub fn height_of(&self, id: &BlockId) -> Result<Option<Height>, Fault> {
        self.store.height_of(id)
    }

    /// A final block and its certificate; block 0 has none.
    pub fn block(&self, height: Height) -> Result<Option<FinalBlock>, Fault> {
        if height == Height(0) {
            let block = Block { header: self.genesis.header.clone(), txs: Bounded::default() };
            return Ok(Some(FinalBlock { block, certificate: None }));
        }
        let Some(block) = self.store.block(height)? else { return Ok(None) };
        let certificate = self.store.certificate(height)?.filter(|bytes| !bytes.is_empty());
        Ok(Some(FinalBlock { block, certificate }))
    }

    /// A transaction by its hash: waiting for a block, or in one.
    ///
    /// It leaves the waiting ones after the index has it, and is looked for in this order, so that it is never missed.
    pub fn transaction(&self, hash: &TxHash) -> Result<Option<TxView>, Fault> {
        if let Some(tx) = self.pool().get(hash) {
            return Ok(Some(TxView::pending(tx.tx())));
        }
        let Some(place) = self.index.tx_by_hash(hash)?.found else { return Ok(None) };
        self.kept(place.height)?.view(place, hash).map(Some)
    }

    /// One page of an account's transactions, the newest first, and where the next page begins.
    pub fn history(&self, address: &Address, before: Option<Place>, limit: usize) -> Result<Page, Fault> {
        let rows = self.index.account(address, before, limit)?.found;
        let next = if rows.len() == limit { rows.last().map(|(place, _)| *place) } else { None };
        let view = |(place, hash): &(Place, TxHash)| self.kept(place.height)?.view(*place, hash);
        Ok(Page { txs: rows.iter().map(view).collect::<Result<_, _>>()?, next })
    }

    /// A block of this disk with what became of its transactions.
    fn kept(&self, height: Height) -> Result<Arc<Kept>, Fault> {
        self.recent.get(height, || self.read_kept(height))
    }

    fn read_kept(&self, height: Height) -> Result<Kept, Fault> {
        let block = self.store.block(height)?;
        let block = block.ok_or_else(|| Fault::Damaged { detail: format!("block {height} is indexed and absent") })?;
        let receipts = match self.store.receipts(height)? {
            Some(bytes) if !bytes.is_empty() => Some(decode::<Receipts>(&bytes, RECEIPTS_BYTES_MAX)),
            // The block of the snapshot that this chain began from: only its state came with it.
            _ => None,
        };
        let receipts = receipts.transpose();
        let receipts =
            receipts.map_err(|error| Fault::Damaged { detail: format!("the receipts of block {height}: {error}") })?;
        Ok(Kept { block, receipts })
    }

    /// A signed transfer from the faucet, and how much it gives.
    pub fn faucet(&self, to: Address, amount: Option<Amount>) -> Result<(SignedTx, Amount), FaucetError> {
        let address = self.genesis.spec.faucet.ok_or(FaucetError::None)?;
        let key = known_key(&format!("{}/faucet", self.genesis.spec.name));
        if Address::of(&key.public()) != address {
            return Err(FaucetError::None);
        }
        let cpc = |count: u64| Amount::ONE.checked_mul(count).expect("few CPC");
        let (gift, max) = (amount.unwrap_or(cpc(FAUCET_GIFT)), cpc(FAUCET_GIFT_MAX));
        if gift > max {
            return Err(FaucetError::TooMuch { max, asked: gift });
        }
        let min = self.params().existential_minimum;
        if gift < min {
            return Err(FaucetError::TooLittle { min, asked: gift });
        }
        let next = self.account(&address)?.0.unwrap_or_default().nonce;
        let mut state = self.faucet.lock().expect("no holder of this lock panics");
        if state.last.is_some_and(|last| last.elapsed() < FAUCET_PAUSE) {
            return Err(FaucetError::Busy { pause: FAUCET_PAUSE });
        }
        // Gifts that wait for their block have used the nonces from the account's own on.
        let waiting = u64::try_from(self.pool().ready(&address)).unwrap_or(u64::MAX);
        let nonce = state.next.max(Nonce(next.0.saturating_add(waiting)));
        let nonce = if waiting == 0 { next } else { nonce };
        state.next = Nonce(nonce.0.saturating_add(1));
        state.last = Some(Instant::now());
        let params = self.params();
        let body = TxBody {
            chain: params.chain,
            nonce,
            gas_price: params.gas_price_min,
            gas_limit: TRANSFER_GAS.checked_add(params.new_account_gas).expect("two prices of gas"),
            action: Action::Transfer(Transfer { to, amount: gift }),
        };
        Ok((body.sign(&key), gift))
    }

    /// Writes the state after the last final block into a folder of its own, with the files that belong to it.
    pub fn create_snapshot(&self, parent: &Path, beside: &[Beside<'_>]) -> Result<Snapshot, SnapshotError> {
        self.store.create_snapshot(parent, beside)
    }

    /// Counts everything: the store's rows, and the money in the state against its running totals.
    pub fn audit(&self) -> Result<(), String> {
        let mut entries = Vec::new();
        let report = self.store.check(&mut |key, value| entries.push(Ok((key.clone(), value.to_vec()))));
        let report = report.map_err(|error| error.to_string())?;
        if !report.is_sound() {
            return Err(format!("{report:?}"));
        }
        let counted = cpc_ledger::recount(entries.into_iter()).map_err(|fault| fault.to_string())?;
        let (kept, _) = self.supply().map_err(|fault| fault.to_string())?;
        if counted == kept { Ok(()) } else { Err(format!("counted {counted:?}, kept {kept:?}")) }
    }

    /// Whether this node does its work, check by check.
    pub fn readiness(&self) -> Vec<Check> {
        let tip = self.tip();
        let age = now().0.saturating_sub(tip.header.time.0);
        let limit = self.params().interval_ms.saturating_mul(STALE_INTERVALS);
        let evidence = format!("the head is at height {}, {age} ms old (limit {limit})", tip.header.height);
        vec![Check { name: "blocks", ok: tip.header.height > Height(0) && age <= limit, evidence }]
    }
}

/// The state after the last final block, whichever that is at the moment of each read.
struct Latest<'a>(&'a Store);

impl StateRead for Latest<'_> {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, Fault> {
        self.0.read(key)
    }
}

#[cfg(test)]
pub(crate) mod tests;
