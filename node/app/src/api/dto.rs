//! What the chain says over HTTP: hex without 0x, amounts as decimal strings, times in unix milliseconds.

use cpc_ledger::{Receipt, Supply, TxOutcome};
use cpc_primitives::tx::{Action, SignedTx};
use cpc_primitives::{Address, Block, Height};
use serde::{Deserialize, Serialize};

/// `GET /api/v1/status`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The name of the network.
    pub network: String,
    /// Its chain id.
    pub chain: u64,
    /// The id of block 0.
    pub genesis: String,
    /// The version of the binary.
    pub version: String,
    /// The height of the last final block.
    pub height: u64,
    /// Its id.
    pub head: String,
    /// Its time.
    pub head_time_ms: u64,
    /// The state after it.
    pub state_root: String,
    /// Its epoch.
    pub epoch: u64,
    /// Transactions that wait for a block.
    pub pending: usize,
    /// The height up to which transactions can be looked up.
    pub index_height: u64,
}

/// `GET /api/v1/accounts/{address}`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountView {
    /// The address.
    pub address: String,
    /// What can be spent.
    pub balance: String,
    /// How many transactions of this account were applied.
    pub nonce: u64,
    /// Transactions of this account that wait for a block.
    pub pending: usize,
    /// Whether the account was ever paid anything.
    pub exists: bool,
    /// The block after which this holds.
    pub height: u64,
}

/// `GET /api/v1/blocks/{height|id|latest}`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BlockView {
    /// The id.
    pub id: String,
    /// The version of the rules.
    pub rules: u32,
    /// How many blocks came before.
    pub height: u64,
    /// Whose seats decided.
    pub epoch: u64,
    /// In which attempt it was proposed.
    pub view: u64,
    /// The block before.
    pub parent: String,
    /// When it was proposed.
    pub time_ms: u64,
    /// Who proposed it.
    pub proposer: String,
    /// The root of its transactions.
    pub tx_root: String,
    /// The root of the state after it.
    pub state_root: String,
    /// The root of its results and settlements.
    pub compute_root: String,
    /// What its transactions used.
    pub gas_used: u64,
    /// The hash of the set of the epoch after next, in an epoch's last block.
    pub next_validators: String,
    /// The hashes of its transactions, in their order.
    pub txs: Vec<String>,
    /// The finality certificate in hex; block 0 has none.
    pub certificate: Option<String>,
}

impl BlockView {
    /// What a block says.
    pub fn of(block: &Block, certificate: Option<&[u8]>) -> Self {
        let header = &block.header;
        Self {
            id: block.id().to_string(),
            rules: header.version,
            height: header.height.0,
            epoch: header.epoch.0,
            view: header.view.0,
            parent: header.parent.to_string(),
            time_ms: header.time.0,
            proposer: header.proposer.to_string(),
            tx_root: header.tx_root.to_string(),
            state_root: header.state_root.to_string(),
            compute_root: header.compute_root.to_string(),
            gas_used: header.gas_used.0,
            next_validators: header.next_validators.to_string(),
            txs: block.txs.iter().map(|tx| tx.hash().to_string()).collect(),
            certificate: certificate.map(cpc_primitives::hash::hex),
        }
    }
}

/// `POST /api/v1/txs`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submit {
    /// The signed bytes in hex.
    pub tx: String,
}

/// The answer to `POST /api/v1/txs`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Submitted {
    /// The hash of the signed bytes.
    pub hash: String,
    /// The id over body and sender.
    pub id: String,
}

/// `GET /api/v1/txs/{hash}`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TxView {
    /// The hash of the signed bytes.
    pub hash: String,
    /// The id over body and sender.
    pub id: String,
    /// `pending`, `applied` or `failed`; `final` where the node does not know which of the last two.
    pub status: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The block it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// Its place in that block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<u32>,
    /// What it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gas_used: Option<u64>,
    /// What its sender paid for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee: Option<String>,
    /// What was asked.
    pub action: String,
    /// Who asked.
    pub from: String,
    /// The sender's transactions before this one.
    pub nonce: u64,
    /// To whom a transfer goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How much a transfer moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
}

impl TxView {
    /// A transaction that waits for a block.
    pub fn pending(tx: &SignedTx) -> Self {
        let (to, amount) = match &tx.body.action {
            Action::Transfer(transfer) => (Some(transfer.to.to_string()), Some(transfer.amount.to_string())),
            _ => (None, None),
        };
        Self {
            hash: tx.hash().to_string(),
            id: tx.id().to_string(),
            status: "pending".to_owned(),
            reason: None,
            height: None,
            place: None,
            gas_used: None,
            fee: None,
            action: tx.body.action.name().to_owned(),
            from: tx.sender_address().to_string(),
            nonce: tx.body.nonce.0,
            to,
            amount,
        }
    }

    /// A transaction in the block of the snapshot that this node began from: it was not executed here.
    pub fn unexecuted(tx: &SignedTx, height: Height, place: u32) -> Self {
        Self {
            status: "final".to_owned(),
            reason: Some("this node began after this block and does not know what became of it".to_owned()),
            height: Some(height.0),
            place: Some(place),
            ..Self::pending(tx)
        }
    }

    /// A transaction in a final block.
    pub fn included(tx: &SignedTx, receipt: &Receipt, height: Height, place: u32) -> Self {
        let (status, reason) = match &receipt.outcome {
            TxOutcome::Done => ("applied", None),
            TxOutcome::Failed(failure) => ("failed", Some(failure.to_string())),
        };
        Self {
            status: status.to_owned(),
            reason,
            height: Some(height.0),
            place: Some(place),
            gas_used: Some(receipt.gas_used.0),
            fee: Some(receipt.fee.to_string()),
            ..Self::pending(tx)
        }
    }
}

/// `GET /api/v1/accounts/{address}/txs`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountTxs {
    /// The account's transactions, the newest first.
    pub txs: Vec<TxView>,
    /// What to pass as `before` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `GET /api/v1/supply`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SupplyView {
    /// The block after which this holds.
    pub height: u64,
    /// All that exists and is not burned.
    pub circulating: String,
    /// What existed at the start.
    pub genesis: String,
    /// What was made since.
    pub minted: String,
    /// What was destroyed since.
    pub burned: String,
    /// What accounts hold.
    pub balances: String,
    /// What is bonded.
    pub stake: String,
    /// What is being unbonded.
    pub unbonding: String,
    /// What open tasks have locked.
    pub escrow: String,
    /// What workers have bonded.
    pub bonds: String,
    /// What is earned and not yet paid.
    pub pending_rewards: String,
    /// What the treasury holds.
    pub treasury: String,
}

impl SupplyView {
    /// The totals after a block.
    pub fn of(supply: &Supply, height: Height) -> Self {
        Self {
            height: height.0,
            circulating: (supply.genesis + supply.minted - supply.burned).to_string(),
            genesis: supply.genesis.to_string(),
            minted: supply.minted.to_string(),
            burned: supply.burned.to_string(),
            balances: supply.balances.to_string(),
            stake: supply.stake.to_string(),
            unbonding: supply.unbonding.to_string(),
            escrow: supply.escrow.to_string(),
            bonds: supply.bonds.to_string(),
            pending_rewards: supply.pending_rewards.to_string(),
            treasury: supply.treasury.to_string(),
        }
    }
}

/// `GET /api/v1/params`: what a sender has to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ParamsView {
    /// The chain id.
    pub chain: u64,
    /// The least that one gas costs.
    pub gas_price_min: String,
    /// What a transfer uses.
    pub transfer_gas: u64,
    /// What a transfer to a new account uses on top.
    pub new_account_gas: u64,
    /// What a new account has to receive at least.
    pub existential_minimum: String,
    /// The target time between blocks.
    pub interval_ms: u64,
    /// Blocks of an epoch.
    pub epoch_blocks: u64,
}

/// `POST /api/v1/faucet`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaucetAsk {
    /// Who asks.
    pub address: String,
    /// How much; the faucet's usual amount where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
}

/// The answer to `POST /api/v1/faucet`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FaucetGift {
    /// The hash of the transfer.
    pub hash: String,
    /// Who is paid.
    pub address: String,
    /// How much.
    pub amount: String,
}

/// The address of a text in a path, for handlers.
pub fn address(text: &str) -> Result<Address, String> {
    text.parse::<Address>().map_err(|error| error.to_string())
}
