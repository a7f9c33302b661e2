//! One block being built or checked: transactions are pushed one by one, each is taken whole or not at all.

use cpc_primitives::limits::{SUPPLY_MAX, TX_BYTES_MAX};
use cpc_primitives::result::{ComputeResult, Settlement};
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::tx::{Action, Transfer, TxBody};
use cpc_primitives::{
    Address, Amount, BlockId, Digest, Epoch, Fault, Gas, Header, Height, PublicKey, TimeMs, TxHash, TxId, View, same,
};
use rayon::prelude::*;
use wincode::{SchemaRead, SchemaWrite};

use crate::beacon::Opening;
use crate::block::{self, Executed};
use crate::error::{BlockError, BlockReject, Failure, Judged, Reject, Stop, TxError};
use crate::gas::{TRANSFER_GAS, intrinsic};
use crate::port::StateRead;
use crate::records::{Seats, seats_there, supply};
use crate::results;
use crate::rules::Params;
use crate::supply::{Supply, broken, credit, debit};
use crate::tables::Tables;
use crate::tasks;
use crate::verify::VerifiedTx;
use crate::working::{Place, Working, head};

/// Bytes of a header, whose fields all have one size: a number of 32 bits, seven of 64, and seven times 32 bytes.
const HEADER_BYTES: usize = 4 + 7 * 8 + 7 * 32;

/// Bytes of a block without transactions: its header, and the length of its list.
pub const BLOCK_OVERHEAD_BYTES: usize = HEADER_BYTES + 8;

/// Where and by whom a block is proposed: what the engine knows of it before there is a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    /// Whose seats decide.
    pub epoch: Epoch,
    /// In which attempt it is proposed.
    pub view: View,
    /// In which attempt the parent was proposed.
    pub parent_view: View,
    /// When it is proposed.
    pub time: TimeMs,
    /// Who proposes it: a consensus key.
    pub proposer: PublicKey,
    /// The element of the proposer's hash chain that this view opens, or zero bytes.
    pub beacon: Digest,
}

/// What became of one transaction of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Receipt {
    /// The hash of its whole signed bytes.
    pub hash: TxHash,
    /// The id over body and sender.
    pub id: TxId,
    /// What it used.
    pub gas_used: Gas,
    /// What its sender paid for that.
    pub fee: Amount,
    /// What it did.
    pub outcome: TxOutcome,
}

/// What a transaction of a block did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum TxOutcome {
    /// What was asked.
    Done,
    /// Nothing but pay its gas and use its nonce.
    Failed(Failure),
    /// Of its entries those that still counted.
    Judged(Judged),
}

/// A bug that a test plants to see whether the checkers find it.
#[cfg(feature = "canary")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Canary {
    /// No bug.
    #[default]
    None,
    /// A nonce that was used before is taken again.
    AcceptStaleNonce,
    /// A job that was settled is decided again.
    SettleTwice,
    /// A job is settled in the block that accepts its result.
    SkipWindow,
}

/// A block under way: what its transactions so far have done to the state that it is built on.
pub struct Session<'a, S: StateRead> {
    pub(crate) params: &'a Params,
    pub(crate) state: &'a S,
    pub(crate) height: Height,
    pub(crate) parent: BlockId,
    pub(crate) context: Context,
    pub(crate) seats: Seats,
    pub(crate) proposer: Address,
    pub(crate) opening: Opening,
    pub(crate) supply_before: Supply,
    pub(crate) supply: Supply,
    pub(crate) working: Working,
    pub(crate) tables: Tables,
    pub(crate) parent_time: TimeMs,
    pub(crate) results: Vec<ComputeResult>,
    pub(crate) settlements: Vec<Settlement>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) gas_used: Gas,
    pub(crate) fees: Amount,
    bytes: usize,
    #[cfg(feature = "canary")]
    pub(crate) canary: Canary,
}

impl Context {
    /// The context that a header names.
    pub const fn of(header: &Header) -> Self {
        let Header { epoch, view, parent_view, time, proposer, beacon, .. } = *header;
        Self { epoch, view, parent_view, time, proposer, beacon }
    }
}

impl<'a, S: StateRead> Session<'a, S> {
    /// Begins the block after `parent`, whose state is `state`, once the context follows from both.
    pub fn begin(params: &'a Params, state: &'a S, parent: &Header, context: Context) -> Result<Self, BlockError> {
        let height = block::follows(params, parent, &context)?;
        let (seats, _) = seats_there(state, context.epoch)?;
        // BLK-5: only a seat of the epoch proposes.
        let seat = seats.seat_of(&context.proposer);
        let seat = seat.ok_or(BlockReject::NoSeat { proposer: context.proposer, epoch: context.epoch })?;
        let proposer = seat.account;
        // BLK-6: the beacon is what the proposer's hash chain has for this view.
        let opening = Opening::check(params, state, seat, &context)?;
        let supply = supply(state)?;
        Ok(Self {
            params,
            state,
            height,
            parent: parent.id(),
            context,
            seats,
            proposer,
            opening,
            supply_before: supply,
            supply,
            working: Working::default(),
            tables: Tables::begin(state)?,
            parent_time: parent.time,
            results: Vec::new(),
            settlements: Vec::new(),
            receipts: Vec::new(),
            gas_used: Gas(0),
            fees: Amount::ZERO,
            bytes: BLOCK_OVERHEAD_BYTES,
            #[cfg(feature = "canary")]
            canary: Canary::None,
        })
    }

    /// Plants a bug.
    #[cfg(feature = "canary")]
    pub fn plant(&mut self, canary: Canary) {
        self.canary = canary;
    }

    /// Reads the accounts of transactions that will be pushed, together and on all cores. Without it each is read when
    /// it is pushed, with the same result.
    pub fn prepare(&mut self, txs: &[VerifiedTx]) -> Result<(), Fault> {
        self.working.read_ahead(self.state, addresses(txs))
    }

    /// Applies the next transaction of the block; a refused one leaves no trace.
    ///
    /// After a fault the session is worth nothing: this node stops.
    pub fn push(&mut self, tx: &VerifiedTx) -> Result<Receipt, TxError> {
        admit(self.params, tx)?;
        let bytes = self.room_for(tx)?;
        let body = &tx.tx().body;
        let place = self.working.place(self.state, &tx.sender())?;
        let sender = self.working.get(place).unwrap_or_default();
        let charged = self.charge(body, sender)?;

        // Every check has passed: from here the transaction is in the block.
        let receipt = match &body.action {
            Action::Transfer(transfer) => self.transfer(tx, transfer, place, charged)?,
            // BLK-10: `admit` lets nothing through that is not active.
            action => self.carry(tx, action, place, charged)?,
        };
        self.bytes = bytes;
        self.receipts.push(receipt);
        Ok(receipt)
    }

    /// How much gas the transactions so far have used.
    pub const fn gas_used(&self) -> Gas {
        self.gas_used
    }

    /// How many bytes the block has so far.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What became of the transactions so far, in their order.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// Ends the block: fees, reward, the end of an epoch, and the supply.
    pub fn finish(self) -> Result<Executed, BlockError> {
        block::finish(self)
    }

    /// The bytes of the block with this transaction, if it fits (BLK-8).
    fn room_for(&self, tx: &VerifiedTx) -> Result<usize, Reject> {
        let limit = usize::try_from(self.params.block_bytes_max).unwrap_or(usize::MAX);
        let (used, found) = (self.bytes, tx.bytes());
        let bytes = used.checked_add(found).filter(|bytes| *bytes <= limit);
        let bytes = bytes.ok_or(Reject::BlockBytes { limit, used, found })?;

        // BLK-8: what counts is the limit, so that a block's room is known before anything is executed.
        let (limit, used, found) = (self.params.block_gas_max, self.gas_used, tx.tx().body.gas_limit);
        let fits = used.checked_add(found).is_some_and(|gas| gas <= limit);
        if fits { Ok(bytes) } else { Err(Reject::BlockGas { limit, used, found }) }
    }

    /// The sender with its nonce used and nothing paid yet, if it can pay all that it offers.
    fn charge(&self, body: &TxBody, sender: Account) -> Result<Account, Reject> {
        // ACC-2: each nonce is used once, in order.
        let nonce = same(sender.nonce, body.nonce).map_err(Reject::Nonce);
        #[cfg(feature = "canary")]
        let nonce = match nonce {
            Err(Reject::Nonce(stale)) if self.canary == Canary::AcceptStaleNonce && stale.found < stale.expected => {
                Ok(())
            }
            honest => honest,
        };
        nonce?;
        let nonce = sender.nonce.next().ok_or(Reject::NonceExhausted)?;
        // ACC-3: a product beyond what can ever exist is more than anybody has.
        let TxBody { gas_limit, gas_price, .. } = *body;
        let offered = gas_price.checked_mul(gas_limit.0).filter(|offered| *offered <= sender.balance);
        offered.ok_or(Reject::CannotPay { balance: sender.balance, gas_limit, gas_price })?;
        Ok(Account { nonce, ..sender })
    }

    /// Moves money, or says why only the fee was paid (ACC-4, ACC-5).
    fn transfer(
        &mut self,
        tx: &VerifiedTx,
        transfer: &Transfer,
        from: Place,
        mut sender: Account,
    ) -> Result<Receipt, Fault> {
        let body = &tx.tx().body;
        let to = self.working.place(self.state, &transfer.to)?;
        let receiver = self.working.get(to);
        let (gas_used, verdict) = self.price_transfer(body, transfer, sender, receiver);

        let fee = self.charge_fee(body, gas_used, &mut sender)?;
        let outcome = match verdict {
            Err(failure) => {
                self.working.set(from, sender);
                TxOutcome::Failed(failure)
            }
            Ok(()) => {
                debit(&mut sender.balance, transfer.amount, "a sender's balance")?;
                self.working.set(from, sender);
                // Read again, because the receiver may be the sender.
                let mut receiver = self.working.get(to).unwrap_or_default();
                credit(&mut receiver.balance, transfer.amount, "a receiver's balance")?;
                self.working.set(to, receiver);
                TxOutcome::Done
            }
        };
        Ok(Receipt { hash: tx.hash(), id: tx.id(), gas_used, fee, outcome })
    }

    /// Pays the gas of an action of the market and uses the nonce; then does what was asked, or says why not (ACC-8).
    fn carry(&mut self, tx: &VerifiedTx, action: &Action, from: Place, mut sender: Account) -> Result<Receipt, Fault> {
        let body = &tx.tx().body;
        let gas_used = intrinsic(action);
        let fee = self.charge_fee(body, gas_used, &mut sender)?;
        self.working.set(from, sender);
        let done = match action {
            Action::RegisterWorker(register) => self.register(&tx.sender(), register),
            Action::RetireWorker(_) => self.retire(&tx.sender()),
            Action::OpenTask(order) => self.open_task(&tx.sender(), body, order),
            Action::CancelTask(cancel) => self.cancel_task(&tx.sender(), cancel.task),
            Action::SubmitResult(submit) => self.submit(tx, submit),
            Action::AddVerdicts(add) => self.add_verdicts(tx, add),
            other => return Err(broken(format!("BLK-10: {other} was admitted and has no rules"))),
        };
        let outcome = match done {
            Ok(outcome) => outcome,
            Err(Stop::Failed(failure)) => TxOutcome::Failed(failure),
            Err(Stop::Fault(fault)) => return Err(fault),
        };
        Ok(Receipt { hash: tx.hash(), id: tx.id(), gas_used, fee, outcome })
    }

    /// Takes the fee of gas from its sender, into the fees of the block (GAS-5).
    fn charge_fee(&mut self, body: &TxBody, gas_used: Gas, sender: &mut Account) -> Result<Amount, Fault> {
        let fee = body.gas_price.checked_mul(gas_used.0).ok_or_else(|| {
            broken(format!(
                "GAS-5: {gas_used} gas of a limit of {} at {:?} has no price",
                body.gas_limit, body.gas_price
            ))
        })?;
        debit(&mut sender.balance, fee, "a sender's balance")?;
        debit(&mut self.supply.balances, fee, "balances")?;
        credit(&mut self.fees, fee, "fees")?;
        let used = self.gas_used.checked_add(gas_used);
        self.gas_used = used.ok_or_else(|| broken("BLK-8: a block's gas overflows".to_owned()))?;
        Ok(fee)
    }

    /// Credits an account from outside the accounts.
    pub(crate) fn pay(&mut self, address: &Address, amount: Amount) -> Result<(), Fault> {
        if amount.is_zero() {
            return Ok(());
        }
        let place = self.working.place(self.state, address)?;
        let mut account: Account = self.working.get(place).unwrap_or_default();
        credit(&mut account.balance, amount, "a balance")?;
        self.working.set(place, account);
        credit(&mut self.supply.balances, amount, "balances")
    }

    /// Takes from an account that was found to have as much, to where it is no account's.
    pub(crate) fn collect(&mut self, address: &Address, amount: Amount) -> Result<(), Fault> {
        let place = self.working.place(self.state, address)?;
        let mut account: Account = self.working.get(place).unwrap_or_default();
        debit(&mut account.balance, amount, "a balance")?;
        self.working.set(place, account);
        debit(&mut self.supply.balances, amount, "balances")
    }

    /// What an account can spend.
    pub(crate) fn balance(&mut self, address: &Address) -> Result<Option<Amount>, Fault> {
        let place = self.working.place(self.state, address)?;
        Ok(self.working.get(place).map(|account| account.balance))
    }

    /// What a transfer uses, and whether it can be done (ACC-5, GAS-4, GAS-6).
    fn price_transfer(
        &self,
        body: &TxBody,
        transfer: &Transfer,
        sender: Account,
        receiver: Option<Account>,
    ) -> (Gas, Result<(), Failure>) {
        let Transfer { amount, .. } = *transfer;
        let mut gas_used = TRANSFER_GAS;
        if receiver.is_none() {
            // GAS-4: what a new account costs, the sender must have offered.
            let needed = TRANSFER_GAS.checked_add(self.params.new_account_gas).unwrap_or(Gas(u64::MAX));
            if body.gas_limit < needed {
                // GAS-6: running out of gas costs all that was offered.
                return (body.gas_limit, Err(Failure::OutOfGas { limit: body.gas_limit, needed }));
            }
            // ACC-6: an account that starts with dust would never be worth its place.
            let minimum = self.params.existential_minimum;
            if amount < minimum {
                return (TRANSFER_GAS, Err(Failure::BelowMinimum { minimum, amount }));
            }
            gas_used = needed;
        }
        // What is left beside the fee of the transfer as it would be done. The whole limit was found payable, so that
        // the fee is payable too.
        let fee = body.gas_price.checked_mul(gas_used.0);
        let available = fee.and_then(|fee| sender.balance.checked_sub(fee)).unwrap_or_default();
        if available < amount {
            return (TRANSFER_GAS, Err(Failure::Underfunded { available, amount }));
        }
        (gas_used, Ok(()))
    }
}

/// The checks of a transaction that need no state: what a node makes before it keeps one for a later block.
pub fn admit(params: &Params, tx: &VerifiedTx) -> Result<(), Reject> {
    let body = &tx.tx().body;
    // BLK-8: what came inside a block was read with the block's limit, not with its own.
    if tx.bytes() > TX_BYTES_MAX {
        return Err(Reject::TxBytes { limit: TX_BYTES_MAX, found: tx.bytes() });
    }
    // ACC-7: what was signed for another chain means nothing here.
    same(params.chain, body.chain).map_err(Reject::Chain)?;
    // GAS-1: the price has a floor, and the limit reaches at least for what every such action costs.
    let priced = || {
        if body.gas_price < params.gas_price_min {
            return Err(Reject::GasPrice { minimum: params.gas_price_min, found: body.gas_price });
        }
        let needed = intrinsic(&body.action);
        if body.gas_limit < needed {
            return Err(Reject::GasLimit { action: body.action.name(), needed, found: body.gas_limit });
        }
        Ok(())
    };
    match &body.action {
        Action::Transfer(transfer) => {
            priced()?;
            possible(transfer.amount)
        }
        Action::RegisterWorker(register) => {
            priced()?;
            possible(register.bond)
        }
        Action::RetireWorker(_) | Action::CancelTask(_) => priced(),
        Action::OpenTask(order) => {
            priced()?;
            possible(order.reward)?;
            tasks::admit(params, order)
        }
        Action::SubmitResult(submit) => {
            priced()?;
            let entries = submit.entries.iter();
            results::admit(
                &submit.roots,
                entries.map(|entry| (entry.result.task, entry.result.job, &entry.attestations)),
            )
        }
        Action::AddVerdicts(add) => {
            priced()?;
            let entries = add.entries.iter();
            results::admit(&add.roots, entries.map(|entry| (entry.task, entry.job, &entry.attestations)))
        }
        // BLK-10: an action whose rules come later is not carried at all.
        other => Err(Reject::NotActive { action: other.name() }),
    }
}

/// ACC-4: no account can ever hold more.
fn possible(amount: Amount) -> Result<(), Reject> {
    if amount.units() > SUPPLY_MAX {
        return Err(Reject::AmountTooLarge { maximum: Amount::MAX, found: amount });
    }
    Ok(())
}

/// The accounts that these transactions will read, each once and in order: what a store may fetch ahead.
pub fn touched(txs: &[VerifiedTx]) -> Vec<StateKey> {
    addresses(txs).iter().map(StateKey::account).collect()
}

fn addresses(txs: &[VerifiedTx]) -> Vec<Address> {
    let of_one = |tx: &VerifiedTx| {
        let receiver = match &tx.tx().body.action {
            Action::Transfer(transfer) => Some(transfer.to),
            _ => None,
        };
        [Some(tx.sender()), receiver].into_iter().flatten()
    };
    let mut addresses: Vec<Address> = txs.par_iter().with_min_len(512).flat_map_iter(of_one).collect();
    addresses.par_sort_unstable_by(|a, b| head(a).cmp(&head(b)).then_with(|| a.cmp(b)));
    addresses.dedup();
    addresses
}
