//! Every parameter of a network that the rules read, and what must hold between them.

use core::fmt;

use cpc_primitives::committee::Size;
use cpc_primitives::hash_chain::BEACON_STEPS;
use cpc_primitives::limits::{
    BLOCK_BYTES_MAX, BLOCK_GAS_MAX, BPS_ONE, COMMITTEE_MAX, HEADER_BYTES_MAX, SEATS_MAX, SUPPLY_MAX, TREASURY_KEYS_MAX,
    TX_BYTES_MAX,
};
use cpc_primitives::result::Assurance;
use cpc_primitives::{Amount, Bounded, Bps, ChainId, Epoch, Fault, Gas, Height, PublicKey};
use wincode::{SchemaRead, SchemaWrite};

use crate::gas::TRANSFER_GAS;

/// The newest version of the rules that this program has (BLK-12).
pub const RULES_VERSION: u32 = 1;

/// The most changes of the rules that a network names ahead.
pub const UPGRADES_MAX: usize = 16;

/// The parameters of one network; their canonical bytes enter the id of its genesis (GEN-8).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Params {
    /// Which network.
    pub chain: ChainId,
    /// The version of the rules at height 0.
    pub version: u32,
    /// When the rules change, in rising order.
    pub upgrades: Bounded<Upgrade, UPGRADES_MAX>,
    /// Blocks of one epoch.
    pub epoch_blocks: u64,
    /// The most seats of one epoch.
    pub seats_max: u32,
    /// The target time between two blocks, in milliseconds.
    pub interval_ms: u64,
    /// Steps of the hash chain with which a validator feeds the beacon.
    pub beacon_steps: u32,
    /// The most bytes of a block with its transactions.
    pub block_bytes_max: u32,
    /// The most gas of a block.
    pub block_gas_max: Gas,
    /// The least that a transaction pays for one gas.
    pub gas_price_min: Amount,
    /// What a transfer costs beyond its price when its receiver is a new account.
    pub new_account_gas: Gas,
    /// The least with which an account starts.
    pub existential_minimum: Amount,
    /// What the first blocks mint.
    pub reward_initial: Amount,
    /// After so many blocks what a block mints halves.
    pub reward_halving_blocks: u64,
    /// The seats' share of what a block mints; the rest is the miners' pool.
    pub reward_seats: Bps,
    /// The proposer's share of a block's fees; the rest is the treasury's.
    pub fee_proposer: Bps,
    /// How the reward of a settled job is divided.
    pub settlement: Settlement,
    /// The most that a worker gets from the miners' pool, as a share of what its own tasks burned in the epoch.
    pub miners_cap: Bps,
    /// What one unit of computation is worth to the miners' pool.
    pub reference_price: Amount,
    /// Seats of a committee.
    pub committee_seats: u16,
    /// How many of them decide.
    pub committee_quorum: u16,
    /// How long one member of a committee orchestrates, in blocks.
    pub rotation_blocks: u32,
    /// How long a worker may hold a job where the task does not say, in blocks.
    pub lease_blocks: u32,
    /// How long an accepted result can be challenged, in blocks.
    pub challenge_window_blocks: u32,
    /// The least reward of one job.
    pub reward_per_job_min: Amount,
    /// The committee's share of what goes back to the customer where its order could not be computed.
    pub closing_fee: Bps,
    /// How many times a job's reward a worker's bond covers, where checking is by sample.
    pub bond_factor_spot: u8,
    /// The same for every other assurance.
    pub bond_factor: u8,
    /// How long stake stays locked after it was taken back, in epochs.
    pub unbonding_epochs: u32,
    /// How long a wrong can be proven after the epoch in which it was done, in epochs.
    pub evidence_epochs: u32,
    /// How often an accepted job goes to a second committee.
    pub second_committee: Bps,
    /// How often a revealed verdict is audited.
    pub audit: Bps,
    /// What downtime costs of a stake.
    pub slash_downtime: Bps,
    /// What a wrong verdict costs of a stake.
    pub slash_wrong: Bps,
    /// What voting twice costs of a stake.
    pub slash_equivocation: Bps,
    /// How many of the treasury's keys a spend needs.
    pub treasury_threshold: u8,
    /// The treasury's keys; without any nothing can be spent.
    pub treasury_keys: Bounded<PublicKey, TREASURY_KEYS_MAX>,
}

/// A change of the rules at a height (BLK-12).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Upgrade {
    /// The first block under the new rules.
    pub height: Height,
    /// Their version.
    pub version: u32,
}

/// The four parts of a settled job's reward; together one whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Settlement {
    /// What nobody gets.
    pub burn: Bps,
    /// What the job's worker gets.
    pub worker: Bps,
    /// What the committee gets.
    pub validators: Bps,
    /// What the treasury gets.
    pub treasury: Bps,
}

/// Why a network's parameters are refused: each names its field by the path that the chain spec has for it (GEN-2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum ParamsError {
    #[error("{field} is {found}, it must be at least {minimum}")]
    TooSmall { field: Field, minimum: u128, found: u128 },
    #[error("{field} is {found}, it must be at most {maximum}")]
    TooLarge { field: Field, maximum: u128, found: u128 },
    #[error(
        "tasks.burn_bps, worker_bps, validators_bps and treasury_bps add up to {found} basis points, one whole is \
         {expected}"
    )]
    SettlementSum { expected: u32, found: u32 },
    #[error(
        "rewards.miners_cap_bps: worker, validators and the miners' cap of the burn give back {found} of {maximum} hundred-millionths of a \
         reward: paying oneself for fake tasks would not lose enough"
    )]
    FakeTasksPay { maximum: u32, found: u32 },
    #[error("rewards.initial: the rewards would mint more than {maximum} units in all")]
    EmissionTooLarge { maximum: u128 },
    #[error("treasury.keys[{index}]: {key} is named twice")]
    TreasuryKeyTwice { index: usize, key: PublicKey },
}

/// The path of a field in a chain spec, as `blocks.bytes_max` or `upgrade[0].height`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// A field that there is once.
    Plain(&'static str),
    /// A field of a row.
    Row {
        /// The table.
        table: &'static str,
        /// Which of its rows, from 0.
        index: usize,
        /// The field.
        name: &'static str,
    },
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(path) => f.write_str(path),
            Self::Row { table, index, name } => write!(f, "{table}[{index}].{name}"),
        }
    }
}

impl From<&'static str> for Field {
    fn from(path: &'static str) -> Self {
        Self::Plain(path)
    }
}

/// Worker, validators and miners' cap may give back at most 90 % of a reward, in units of one basis point squared.
const GIVEN_BACK_MAX: u32 = 9_000 * 10_000;

impl Params {
    /// Demands what every network must keep, whatever its chain spec says (BLK-11).
    pub fn check(&self) -> Result<(), ParamsError> {
        self.check_blocks()?;
        self.check_upgrades()?;
        self.check_money()?;
        self.check_market()?;
        self.check_staking()
    }

    /// The version of the rules at a height (BLK-12).
    pub fn version_at(&self, height: Height) -> u32 {
        let reached = self.upgrades.iter().take_while(|upgrade| upgrade.height <= height);
        reached.last().map_or(self.version, |upgrade| upgrade.version)
    }

    /// The version of the rules at a height, where this program has them (BLK-12).
    pub fn known_version_at(&self, height: Height) -> Result<u32, Fault> {
        let (version, known) = (self.version_at(height), RULES_VERSION);
        if version > known { Err(Fault::Unsupported { version, height, known }) } else { Ok(version) }
    }

    /// The epoch of a height (BLK-2).
    pub fn epoch_of(&self, height: Height) -> Epoch {
        Epoch(height.0.checked_div(self.epoch_blocks).expect("a checked network has more than one block an epoch"))
    }

    /// Whether a height is the last of its epoch (EPO-2).
    pub fn ends_epoch(&self, height: Height) -> bool {
        height.next().is_none_or(|next| self.epoch_of(next) != self.epoch_of(height))
    }

    /// What the block of a height mints (RWD-1).
    pub fn reward(&self, height: Height) -> Amount {
        let halvings = height.0.checked_div(self.reward_halving_blocks).expect("a checked network halves after blocks");
        let halvings = u32::try_from(halvings).unwrap_or(u32::MAX);
        // RWD-1: after 128 halvings nothing is left to shift.
        Amount::new(self.reward_initial.units().checked_shr(halvings).unwrap_or(0))
    }

    /// The most that all blocks together can mint, or `None` where that is more than can ever exist (SUP-5).
    pub fn emission(&self) -> Option<Amount> {
        let mut total = Amount::ZERO;
        for halvings in 0..u128::BITS {
            let reward = Amount::new(self.reward_initial.units().checked_shr(halvings)?);
            total = total.checked_add(reward.checked_mul(self.reward_halving_blocks)?)?;
        }
        Some(total)
    }

    /// The size of the committee that an epoch with so many seats has (COM-1).
    pub fn committee_of(&self, seats: u16) -> Size {
        Size { seats: self.committee_seats, quorum: self.committee_quorum }.of(seats)
    }

    /// How many times a job's reward its worker's bond stands for it (SUB-4).
    pub fn bond_factor_of(&self, assurance: Assurance) -> u8 {
        match assurance {
            Assurance::Spot => self.bond_factor_spot,
            Assurance::Full | Assurance::Quorum { .. } => self.bond_factor,
        }
    }

    /// The treasury's share of a block's fees (FEE-1).
    pub fn fee_treasury(&self) -> Bps {
        let points = BPS_ONE.saturating_sub(self.fee_proposer.points());
        Bps::new(points).expect("the rest of a whole is at most a whole")
    }

    fn check_blocks(&self) -> Result<(), ParamsError> {
        at_least("chain", self.chain.0.into(), 1)?;
        within("version", self.version.into(), 1, RULES_VERSION.into())?;
        at_least("blocks.epoch_blocks", self.epoch_blocks.into(), 2)?;
        within("staking.seats_max", self.seats_max.into(), 1, wide(SEATS_MAX))?;
        at_least("blocks.interval_ms", self.interval_ms.into(), 1)?;
        within("blocks.beacon_steps", self.beacon_steps.into(), 1, BEACON_STEPS.into())?;
        // A header and the largest transaction fit every block.
        let bytes_min = wide(HEADER_BYTES_MAX).saturating_add(wide(TX_BYTES_MAX));
        within("blocks.bytes_max", self.block_bytes_max.into(), bytes_min, wide(BLOCK_BYTES_MAX))?;
        // GAS-4: a block holds at least one transfer to a new account.
        let gas_min = u128::from(TRANSFER_GAS.0).saturating_add(self.new_account_gas.0.into());
        within("blocks.gas_max", self.block_gas_max.0.into(), gas_min, BLOCK_GAS_MAX.into())
    }

    /// BLK-12: a later version may be one that this program has not: it stops when its height comes.
    fn check_upgrades(&self) -> Result<(), ParamsError> {
        let mut last = Upgrade { height: Height(0), version: self.version };
        for (index, upgrade) in self.upgrades.iter().enumerate() {
            let field = |name| Field::Row { table: "upgrade", index, name };
            let above = |number: u64| u128::from(number).saturating_add(1);
            at_least(field("height"), upgrade.height.0.into(), above(last.height.0))?;
            at_least(field("version"), upgrade.version.into(), above(last.version.into()))?;
            last = *upgrade;
        }
        Ok(())
    }

    fn check_money(&self) -> Result<(), ParamsError> {
        // Free transactions would fill the chain, and an account without money could send them.
        within("fees.gas_price_min", self.gas_price_min.units(), 1, SUPPLY_MAX)?;
        // ACC-6: an account that starts with nothing would cost nothing to make.
        within("fees.existential_minimum", self.existential_minimum.units(), 1, SUPPLY_MAX)?;
        at_most("rewards.initial", self.reward_initial.units(), SUPPLY_MAX)?;
        at_least("rewards.halving_blocks", self.reward_halving_blocks.into(), 1)?;
        // SUP-5: what is minted in all stays below what can ever exist.
        self.emission().ok_or(ParamsError::EmissionTooLarge { maximum: SUPPLY_MAX })?;

        for (index, key) in self.treasury_keys.iter().enumerate() {
            if self.treasury_keys.iter().take(index).any(|earlier| earlier == key) {
                return Err(ParamsError::TreasuryKeyTwice { index, key: *key });
            }
        }
        let keys = wide(self.treasury_keys.len());
        within("treasury.threshold", self.treasury_threshold.into(), keys.min(1), keys)
    }

    fn check_market(&self) -> Result<(), ParamsError> {
        let Settlement { burn, worker, validators, treasury } = self.settlement;
        let points = |share: Bps| u32::from(share.points());
        let found = [burn, worker, validators, treasury].into_iter().map(points).fold(0, u32::saturating_add);
        let expected = u32::from(BPS_ONE);
        if found != expected {
            return Err(ParamsError::SettlementSum { expected, found });
        }
        let paid = points(worker).saturating_add(points(validators)).saturating_mul(expected);
        let found = points(self.miners_cap).saturating_mul(points(burn)).saturating_add(paid);
        if found > GIVEN_BACK_MAX {
            return Err(ParamsError::FakeTasksPay { maximum: GIVEN_BACK_MAX, found });
        }

        within("rewards.reference_price", self.reference_price.units(), 1, SUPPLY_MAX)?;
        within("tasks.committee_seats", self.committee_seats.into(), 1, wide(COMMITTEE_MAX))?;
        let seats = u128::from(self.committee_seats);
        let more_than_two_thirds = (seats.saturating_mul(2) / 3).saturating_add(1);
        within("tasks.committee_quorum", self.committee_quorum.into(), more_than_two_thirds, seats)?;
        at_least("tasks.rotation_blocks", self.rotation_blocks.into(), 1)?;
        at_least("tasks.lease_blocks", self.lease_blocks.into(), 1)?;
        at_least("tasks.challenge_window_blocks", self.challenge_window_blocks.into(), 1)?;
        // TSK-7: a job that pays nothing would be open while its task holds nothing.
        within("tasks.reward_per_job_min", self.reward_per_job_min.units(), 1, SUPPLY_MAX)?;
        at_least("tasks.bond_factor_spot", self.bond_factor_spot.into(), 1)?;
        at_least("tasks.bond_factor", self.bond_factor.into(), 1)
    }

    fn check_staking(&self) -> Result<(), ParamsError> {
        at_least("staking.evidence_epochs", self.evidence_epochs.into(), 1)?;
        // Whoever did wrong in an epoch still has its stake when the wrong is proven: three epochs, and both windows.
        let window = u64::from(self.challenge_window_blocks).div_ceil(self.epoch_blocks.max(1));
        let unbonding = u128::from(self.evidence_epochs).saturating_add(window.into()).saturating_add(3);
        at_least("staking.unbonding_epochs", self.unbonding_epochs.into(), unbonding)
    }
}

fn wide(limit: usize) -> u128 {
    u128::try_from(limit).expect("a limit fits 128 bits")
}

fn at_least(field: impl Into<Field>, found: u128, minimum: u128) -> Result<(), ParamsError> {
    let field = field.into();
    if found < minimum { Err(ParamsError::TooSmall { field, minimum, found }) } else { Ok(()) }
}

fn at_most(field: impl Into<Field>, found: u128, maximum: u128) -> Result<(), ParamsError> {
    let field = field.into();
    if found > maximum { Err(ParamsError::TooLarge { field, maximum, found }) } else { Ok(()) }
}

fn within(field: &'static str, found: u128, minimum: u128, maximum: u128) -> Result<(), ParamsError> {
    at_least(field, found, minimum)?;
    at_most(field, found, maximum)
}
