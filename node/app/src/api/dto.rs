//! What the chain says over HTTP: hex without 0x, amounts as decimal strings, times in unix milliseconds.

use cpc_ledger::{Receipt, Skipped, Supply, TxOutcome};
use cpc_primitives::tx::{Action, SignedTx};
use cpc_primitives::{Address, Amount, Block, Height, TxHash, TxId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::texts::{AddressText, AmountText, CursorText, HashText, HexText};
use crate::chain::{Admission, Chain, Check, Fate};

/// `GET /api/v1/status`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The name of the network.
    pub network: String,
    /// Its chain id.
    pub chain: u64,
    /// The id of block 0.
    #[schema(value_type = HashText)]
    pub genesis: String,
    /// The version of the binary.
    pub version: String,
    /// The height of the last final block.
    pub height: u64,
    /// Its id.
    #[schema(value_type = HashText)]
    pub head: String,
    /// Its time.
    pub head_time_ms: u64,
    /// The state after it.
    #[schema(value_type = HashText)]
    pub state_root: String,
    /// Its epoch.
    pub epoch: u64,
    /// The height that this node is on its way to: its own where it knows of none that is higher.
    #[serde(default)]
    pub target: u64,
    /// Nodes that it is connected to.
    #[serde(default)]
    pub peers: usize,
    /// Transactions that wait for a block.
    pub pending: usize,
    /// The height up to which transactions can be looked up.
    pub index_height: u64,
}

impl Status {
    /// Where a chain is. It reads no disk.
    pub fn of(chain: &Chain, peers: usize) -> Self {
        let index_height = *chain.heads().borrow();
        let tip = chain.tip();
        let height = tip.header.height.0;
        let target = u64::try_from(chain.metrics().sync_target_height.get()).unwrap_or(0);
        Self {
            network: chain.genesis().spec.name.clone(),
            chain: chain.params().chain.0,
            genesis: chain.genesis().id().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            height,
            head: tip.id.to_string(),
            head_time_ms: tip.header.time.0,
            state_root: tip.header.state_root.to_string(),
            epoch: tip.header.epoch.0,
            target: target.max(height),
            peers,
            pending: chain.pending_count(),
            index_height: index_height.0,
        }
    }
}

/// `GET /api/v1/accounts/{address}`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// The address.
    #[schema(value_type = AddressText)]
    pub address: String,
    /// What can be spent.
    #[schema(value_type = AmountText)]
    pub balance: String,
    /// How many transactions of this account were applied.
    pub nonce: u64,
    /// Transactions of this account that wait for a block.
    pub pending: usize,
    /// Whether the account was ever paid anything.
    pub exists: bool,
    /// The block after which this holds.
    pub height: u64,
    /// The proof file of this record, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HexText>)]
    pub proof: Option<String>,
}

/// `GET /api/v1/blocks/{height|id|latest}`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BlockView {
    /// The id.
    #[schema(value_type = HashText)]
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
    #[schema(value_type = HashText)]
    pub parent: String,
    /// When it was proposed.
    pub time_ms: u64,
    /// Who proposed it.
    #[schema(value_type = HashText)]
    pub proposer: String,
    /// The root of its transactions.
    #[schema(value_type = HashText)]
    pub tx_root: String,
    /// The root of the state after it.
    #[schema(value_type = HashText)]
    pub state_root: String,
    /// The root of its results and settlements.
    #[schema(value_type = HashText)]
    pub compute_root: String,
    /// What its transactions used.
    pub gas_used: u64,
    /// The hash of the set of the epoch after next, in an epoch's last block.
    #[schema(value_type = HashText)]
    pub next_validators: String,
    /// The hashes of its transactions, in their order.
    #[schema(value_type = Vec<HashText>)]
    pub txs: Vec<String>,
    /// The finality certificate in hex; block 0 has none.
    #[schema(value_type = Option<HexText>)]
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

/// `POST /api/v1/txs`: one of the two.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submit {
    /// The signed bytes of one transaction in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx: Option<String>,
    /// The same of several, which are judged together and answered in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txs: Option<Vec<String>>,
}

/// What `POST /api/v1/txs` takes, for the description alone: what is read is [`Submit`], which says what is wrong.
#[derive(ToSchema, Serialize)]
#[serde(untagged)]
pub enum SubmitShape {
    /// One transaction.
    One(SubmitOne),
    /// Several.
    Many(SubmitMany),
}

/// One transaction.
#[derive(ToSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitOne {
    /// The signed bytes in hex.
    #[schema(value_type = HexText)]
    pub tx: String,
}

/// Several transactions.
#[derive(ToSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitMany {
    /// The signed bytes of each in hex.
    // Each has an outcome of its own, also where it is no hex: what is wrong with one says nothing of the others.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 256)]
    pub txs: Vec<String>,
}

/// The answer to `POST /api/v1/txs` with one transaction.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    /// The hash of the signed bytes.
    #[schema(value_type = HashText)]
    pub hash: String,
    /// The id over body and sender.
    #[schema(value_type = HashText)]
    pub id: String,
}

/// The answer to `POST /api/v1/txs` with several.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SubmittedMany {
    /// How many of them wait for a block now.
    pub accepted: usize,
    /// What came of each, in the order of the question.
    pub txs: Vec<SubmitOutcome>,
}

/// What came of one transaction of several.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SubmitOutcome {
    /// `pending` or `refused`.
    pub status: String,
    /// The hash of the signed bytes; absent where they are no transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HashText>)]
    pub hash: Option<String>,
    /// The id over body and sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HashText>)]
    pub id: Option<String>,
    /// Why it was refused: the stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why it was refused, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl SubmitOutcome {
    /// One that waits for a block.
    pub fn pending(hash: TxHash, id: TxId) -> Self {
        let (hash, id) = (Some(hash.to_string()), Some(id.to_string()));
        Self { status: "pending".to_owned(), hash, id, code: None, detail: None, hint: None }
    }

    /// One that is not kept.
    pub fn refused(hash: TxHash, id: TxId, why: &Admission) -> Self {
        let hint = Some(why.hint()).filter(|hint| !hint.is_empty()).map(str::to_owned);
        let (code, detail) = (Some(why.code().to_owned()), Some(why.to_string()));
        Self { status: "refused".to_owned(), code, detail, hint, ..Self::pending(hash, id) }
    }

    /// One whose bytes are no transaction.
    pub fn unreadable(code: &str, detail: String) -> Self {
        let (code, detail) = (Some(code.to_owned()), Some(detail));
        Self { status: "refused".to_owned(), hash: None, id: None, code, detail, hint: None }
    }
}

/// `POST /api/v1/txs/status`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusAsk {
    /// The hashes of transactions.
    #[schema(value_type = Vec<HashText>, min_items = 1, max_items = 256)]
    pub hashes: Vec<String>,
}

/// The answer to `POST /api/v1/txs/status`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StatusMany {
    /// The last final block whose transactions can be looked up.
    pub height: u64,
    /// How many of them are in a final block.
    pub finalized: usize,
    /// What became of each, in the order of the question.
    pub txs: Vec<TxState>,
}

/// What became of a transaction, in short.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TxState {
    /// The hash of the signed bytes.
    #[schema(value_type = HashText)]
    pub hash: String,
    /// `unknown`, `pending`, `applied` or `failed`; `final` where the node does not know which of the last two.
    pub status: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The block it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// Its place in that block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u32>,
    /// What it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_used: Option<u64>,
    /// What its sender paid for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AmountText>)]
    pub fee: Option<String>,
}

impl TxState {
    /// What is known of a transaction.
    pub fn of(hash: &TxHash, fate: Option<&Fate>) -> Self {
        let bare = |status: &str| Self {
            hash: hash.to_string(),
            status: status.to_owned(),
            reason: None,
            height: None,
            place: None,
            gas_used: None,
            fee: None,
        };
        match fate {
            None => bare("unknown"),
            Some(Fate::Pending) => bare("pending"),
            Some(Fate::Final { place, receipt }) => {
                let (status, reason) = receipt.as_ref().map_or(("final", None), told);
                let (gas_used, fee) = receipt.as_ref().map(|r| (r.gas_used.0, r.fee.to_string())).unzip();
                let (height, place) = (Some(place.height.0), Some(place.index));
                Self { reason, height, place, gas_used, fee, ..bare(status) }
            }
        }
    }
}

/// How a transaction ended, and why where it failed.
fn told(receipt: &Receipt) -> (&'static str, Option<String>) {
    match &receipt.outcome {
        TxOutcome::Done => ("applied", None),
        TxOutcome::Failed(failure) => ("failed", Some(failure.to_string())),
        // What was skipped is no failure: somebody else was first, or the task went on without it.
        TxOutcome::Judged(judged) => {
            let skipped = |first: Skipped| {
                format!("{} entries changed nothing, the first is {}: {}", judged.skipped, first.entry, first.reason)
            };
            ("applied", judged.first.map(skipped))
        }
    }
}

/// `GET /api/v1/txs/{hash}`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TxView {
    /// The hash of the signed bytes.
    #[schema(value_type = HashText)]
    pub hash: String,
    /// The id over body and sender.
    #[schema(value_type = HashText)]
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
    #[schema(value_type = Option<AmountText>)]
    pub fee: Option<String>,
    /// What was asked.
    pub action: String,
    /// Who asked.
    #[schema(value_type = AddressText)]
    pub from: String,
    /// The sender's transactions before this one.
    pub nonce: u64,
    /// To whom a transfer goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressText>)]
    pub to: Option<String>,
    /// How much a transfer moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AmountText>)]
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
        let (status, reason) = told(receipt);
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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccountTxs {
    /// The account's transactions, the newest first.
    pub txs: Vec<TxView>,
    /// What to pass as `before` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `GET /api/v1/supply`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SupplyView {
    /// The block after which this holds.
    pub height: u64,
    /// All that exists and is not burned.
    #[schema(value_type = AmountText)]
    pub circulating: String,
    /// What existed at the start.
    #[schema(value_type = AmountText)]
    pub genesis: String,
    /// What was made since.
    #[schema(value_type = AmountText)]
    pub minted: String,
    /// What was destroyed since.
    #[schema(value_type = AmountText)]
    pub burned: String,
    /// What accounts hold.
    #[schema(value_type = AmountText)]
    pub balances: String,
    /// What is bonded.
    #[schema(value_type = AmountText)]
    pub stake: String,
    /// What is being unbonded.
    #[schema(value_type = AmountText)]
    pub unbonding: String,
    /// What open tasks have locked.
    #[schema(value_type = AmountText)]
    pub escrow: String,
    /// What workers have bonded.
    #[schema(value_type = AmountText)]
    pub bonds: String,
    /// What is earned and not yet paid.
    #[schema(value_type = AmountText)]
    pub pending_rewards: String,
    /// What the treasury holds.
    #[schema(value_type = AmountText)]
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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ParamsView {
    /// The chain id.
    pub chain: u64,
    /// The least that one gas costs.
    #[schema(value_type = AmountText)]
    pub gas_price_min: String,
    /// What a transfer uses.
    pub transfer_gas: u64,
    /// What a transfer to a new account uses on top.
    pub new_account_gas: u64,
    /// What a new account has to receive at least.
    #[schema(value_type = AmountText)]
    pub existential_minimum: String,
    /// The target time between blocks.
    pub interval_ms: u64,
    /// Blocks of an epoch.
    pub epoch_blocks: u64,
}

/// `POST /api/v1/faucet`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FaucetAsk {
    /// Who asks.
    #[schema(value_type = AddressText)]
    pub address: String,
    /// How much; the faucet's usual amount where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AmountText>)]
    pub amount: Option<String>,
}

/// The answer to `POST /api/v1/faucet`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FaucetGift {
    /// The hash of the transfer.
    #[schema(value_type = HashText)]
    pub hash: String,
    /// Who is paid.
    #[schema(value_type = AddressText)]
    pub address: String,
    /// How much.
    #[schema(value_type = AmountText)]
    pub amount: String,
}

/// `GET /api/v1/txs`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LatestTxs {
    /// Transactions of final blocks, the newest first.
    pub txs: Vec<TxView>,
    /// What to pass as `before` for the next page; absent on the last. A page may be empty and have a next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CursorText>)]
    pub next: Option<String>,
}

/// `GET /api/v1/blocks/{height|id|latest}/results`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResultsView {
    /// The block.
    pub height: u64,
    /// Its id.
    #[schema(value_type = HashText)]
    pub block: String,
    /// The root of its results and settlements.
    #[schema(value_type = HashText)]
    pub compute_root: String,
    /// What workers computed and a quorum accepted, in their order.
    pub results: Vec<ResultView>,
    /// How rewards were divided, in their order.
    pub settlements: Vec<ResultView>,
}

/// A leaf under a compute root.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResultView {
    /// The task.
    #[schema(value_type = HashText)]
    pub task: String,
    /// The job.
    pub job: u32,
}

/// `GET /api/v1/validators`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ValidatorsView {
    /// The block after which this holds.
    pub height: u64,
    /// The epoch in which they have their seats.
    pub epoch: u64,
    /// How many of them make a block final.
    pub quorum: usize,
    /// The hash of their set, as headers name it.
    #[schema(value_type = HashText)]
    pub set: String,
    /// The seats, in the order of a certificate's bits.
    pub validators: Vec<SeatView>,
}

/// A seat of an epoch.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SeatView {
    /// Its place in a certificate.
    pub seat: usize,
    /// The key that signs blocks.
    #[schema(value_type = HashText)]
    pub key: String,
    /// The account that is paid.
    #[schema(value_type = AddressText)]
    pub account: String,
    /// The stake by which it is paid.
    #[schema(value_type = AmountText)]
    pub stake: String,
}

/// `GET /api/v1/mempool`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MempoolView {
    /// How many transactions wait for a block.
    pub count: usize,
    /// How many bytes they have.
    pub bytes: usize,
    /// Some of them.
    pub txs: Vec<TxView>,
}

/// `GET /api/v1/burns`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BurnsView {
    /// The block after which this holds.
    pub height: u64,
    /// What was destroyed since the start.
    #[schema(value_type = AmountText)]
    pub burned: String,
    /// What was made since the start.
    #[schema(value_type = AmountText)]
    pub minted: String,
    /// The part of a settled reward that is destroyed, in basis points.
    pub settlement_burn_bps: u16,
}

/// `GET /api/v1/treasury`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TreasuryView {
    /// The block after which this holds.
    pub height: u64,
    /// What the treasury holds.
    #[schema(value_type = AmountText)]
    pub balance: String,
    /// How many of its keys have to sign.
    pub threshold: u8,
    /// Its keys.
    #[schema(value_type = Vec<HashText>)]
    pub keys: Vec<String>,
    /// Its part of a fee, in basis points.
    pub fee_bps: u16,
    /// Its part of a settled reward, in basis points.
    pub settlement_bps: u16,
}

/// `GET /api/v1/fees`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FeesView {
    /// The least that one gas costs.
    #[schema(value_type = AmountText)]
    pub gas_price_min: String,
    /// What a transfer to an account that exists costs at that price.
    #[schema(value_type = AmountText)]
    pub transfer: String,
    /// What a transfer to a new account costs at that price.
    #[schema(value_type = AmountText)]
    pub transfer_to_new_account: String,
    /// The proposer's part of a fee, in basis points.
    pub proposer_bps: u16,
    /// The treasury's part of a fee, in basis points.
    pub treasury_bps: u16,
    /// Transactions that wait for a block: where there are many, more than the least is paid for the next one.
    pub pending: usize,
}

/// `GET /api/v1/peers`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PeersView {
    /// The nodes that this one is connected to.
    pub peers: Vec<PeerView>,
}

/// A node that this one is connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerView {
    /// Its name on its plane: a key or a peer id.
    pub id: String,
    /// The plane: `validators` or `network`.
    pub plane: String,
    /// Where it is.
    pub address: String,
    /// `in` where it has called, `out` where this node has, `-` where that is not known.
    pub direction: String,
    /// The height it says it has; absent where it has not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
}

/// A `block` of `GET /api/v1/events`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BlockEvent {
    /// How many blocks came before.
    pub height: u64,
    /// Its id.
    #[schema(value_type = HashText)]
    pub id: String,
    /// When it was proposed.
    pub time_ms: u64,
    /// Who proposed it.
    #[schema(value_type = HashText)]
    pub proposer: String,
    /// How many transactions it has.
    pub txs: usize,
    /// What they used.
    pub gas_used: u64,
}

impl BlockEvent {
    /// What a block says in short.
    pub fn of(block: &Block) -> Self {
        let header = &block.header;
        Self {
            height: header.height.0,
            id: block.id().to_string(),
            time_ms: header.time.0,
            proposer: header.proposer.to_string(),
            txs: block.txs.len(),
            gas_used: header.gas_used.0,
        }
    }
}

/// The last event of a reader that is dropped.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DroppedEvent {
    /// Why, as a stable code.
    pub code: String,
    /// Why, in words.
    pub detail: String,
    /// The block that was being sent.
    pub height: u64,
}

/// `GET /readyz`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReadyView {
    /// Whether every check holds.
    pub ready: bool,
    /// Each check.
    pub checks: Vec<CheckView>,
}

impl ReadyView {
    /// What the checks say.
    pub fn of(checks: Vec<Check>) -> Self {
        let view = |check: Check| CheckView { name: check.name.to_owned(), ok: check.ok, evidence: check.evidence };
        Self { ready: checks.iter().all(|check| check.ok), checks: checks.into_iter().map(view).collect() }
    }
}

/// One check of readiness.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CheckView {
    /// What is checked.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was seen.
    pub evidence: String,
}

/// What a transfer costs at a price.
pub fn cost(gas: Option<u64>, price: Amount) -> String {
    gas.and_then(|gas| price.checked_mul(gas)).unwrap_or(Amount::MAX).to_string()
}

/// The address of a text.
pub fn address(text: &str) -> Result<Address, String> {
    text.parse::<Address>().map_err(|error| error.to_string())
}
