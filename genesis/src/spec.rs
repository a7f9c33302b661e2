//! The chain spec as people write it: TOML in, checked values out, every refusal with its field.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::BTreeMap;

use cpc_ledger::{GenesisAccount, GenesisValidator, Params, Settlement, Upgrade};
use cpc_primitives::ids::{ChainId, Gas, TimeMs};
use cpc_primitives::result::{Challenge, KernelId};
use cpc_primitives::tx::{ChainEnds, NetAddress, ProvenKey, Registration};
use cpc_primitives::{Address, Amount, Bounded, Bps, Digest, Height};
use serde::Deserialize;

/// A network as its chain spec describes it, with every field in its own type (GEN-2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSpec {
    /// What people call the network.
    pub name: String,
    /// The time of block 0.
    pub time: TimeMs,
    /// The account that a devnet's faucet pays from.
    pub faucet: Option<Address>,
    /// The parameters of the rules.
    pub params: Params,
    /// What the treasury holds at the start.
    pub treasury: Amount,
    /// Who owns what at the start.
    pub accounts: Vec<GenesisAccount>,
    /// Who is bonded at the start.
    pub validators: Vec<GenesisValidator>,
    /// Who sits in epochs 0 and 1, where not everybody does.
    pub seats: [Option<Vec<Address>>; 2],
}

/// Why a text is not a chain spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// Which field, as a path: `validator[2].stake`. Empty where the text is not TOML at all.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.reason) } else { write!(f, "{}: {}", self.field, self.reason) }
    }
}

impl core::error::Error for SpecError {}

/// Bytes of the longest chain spec that is read.
const SPEC_TEXT_BYTES_MAX: usize = 8 << 20;

impl ChainSpec {
    /// Reads a chain spec; nothing is guessed, an unknown field is an error (GEN-2).
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        if text.len() > SPEC_TEXT_BYTES_MAX {
            let reason = format!("{} bytes where at most {SPEC_TEXT_BYTES_MAX} are allowed", text.len());
            return Err(SpecError { field: String::new(), reason });
        }
        let file: File = toml::from_str(text)
            .map_err(|error| SpecError { field: String::new(), reason: error.to_string().trim_end().to_owned() })?;
        file.check()
    }
}

/// Reads one field and says which it was where it is refused.
fn read<T>(field: impl Into<String>, value: Result<T, impl fmt::Display>) -> Result<T, SpecError> {
    value.map_err(|error| SpecError { field: field.into(), reason: error.to_string() })
}

fn amount(field: impl Into<String>, text: &str) -> Result<Amount, SpecError> {
    read(field, text.parse::<Amount>())
}

fn share(field: impl Into<String>, points: u16) -> Result<Bps, SpecError> {
    read(field, Bps::new(points).ok_or_else(|| format!("{points} basis points are more than one whole (10000)")))
}

fn list<T, const MAX: usize>(field: impl Into<String>, items: Vec<T>) -> Result<Bounded<T, MAX>, SpecError> {
    read(field, Bounded::new(items))
}

/// The file, word by word.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    chain: u64,
    version: u32,
    time_ms: u64,
    faucet: Option<String>,
    blocks: Blocks,
    fees: Fees,
    rewards: Rewards,
    staking: Staking,
    tasks: Tasks,
    treasury: Treasury,
    #[serde(default)]
    upgrade: Vec<UpgradeRow>,
    #[serde(default)]
    account: Vec<AccountRow>,
    validator: Vec<ValidatorRow>,
    #[serde(default)]
    seats: SeatsRow,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpgradeRow {
    height: u64,
    version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Blocks {
    interval_ms: u64,
    epoch_blocks: u64,
    beacon_steps: u32,
    bytes_max: u32,
    gas_max: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fees {
    gas_price_min: String,
    new_account_gas: u64,
    existential_minimum: String,
    proposer_bps: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rewards {
    initial: String,
    halving_blocks: u64,
    seats_bps: u16,
    miners_cap_bps: u16,
    reference_price: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Staking {
    seats_max: u32,
    unbonding_epochs: u32,
    evidence_epochs: u32,
    slash_downtime_bps: u16,
    slash_wrong_bps: u16,
    slash_equivocation_bps: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tasks {
    burn_bps: u16,
    worker_bps: u16,
    validators_bps: u16,
    treasury_bps: u16,
    committee_seats: u16,
    committee_quorum: u16,
    rotation_blocks: u32,
    lease_blocks: u32,
    challenge_window_blocks: u32,
    reward_per_job_min: String,
    closing_fee_bps: u16,
    bond_factor_spot: u8,
    bond_factor: u8,
    second_committee_bps: u16,
    audit_bps: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Treasury {
    balance: String,
    threshold: u8,
    keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountRow {
    address: String,
    balance: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValidatorRow {
    account: String,
    stake: String,
    consensus: KeyRow,
    verdict: KeyRow,
    network: KeyRow,
    consensus_addresses: Vec<String>,
    network_addresses: Vec<String>,
    beacon_chain_end: String,
    secret_chain_end: String,
    kernels: Vec<String>,
    commission_bps: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyRow {
    key: String,
    proof: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct SeatsRow {
    epoch_0: Option<Vec<String>>,
    epoch_1: Option<Vec<String>>,
}

impl File {
    fn check(self) -> Result<ChainSpec, SpecError> {
        if self.name.is_empty() || !self.name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            return read("name", Err("a name has small letters, digits and hyphens"));
        }
        let params = Params {
            chain: ChainId(self.chain),
            version: self.version,
            upgrades: {
                let rows = self.upgrade.iter();
                let rows = rows.map(|row| Upgrade { height: Height(row.height), version: row.version });
                list("upgrade", rows.collect())?
            },
            interval_ms: self.blocks.interval_ms,
            epoch_blocks: self.blocks.epoch_blocks,
            beacon_steps: self.blocks.beacon_steps,
            block_bytes_max: self.blocks.bytes_max,
            block_gas_max: Gas(self.blocks.gas_max),
            gas_price_min: amount("fees.gas_price_min", &self.fees.gas_price_min)?,
            new_account_gas: Gas(self.fees.new_account_gas),
            existential_minimum: amount("fees.existential_minimum", &self.fees.existential_minimum)?,
            fee_proposer: share("fees.proposer_bps", self.fees.proposer_bps)?,
            reward_initial: amount("rewards.initial", &self.rewards.initial)?,
            reward_halving_blocks: self.rewards.halving_blocks,
            reward_seats: share("rewards.seats_bps", self.rewards.seats_bps)?,
            miners_cap: share("rewards.miners_cap_bps", self.rewards.miners_cap_bps)?,
            reference_price: amount("rewards.reference_price", &self.rewards.reference_price)?,
            seats_max: self.staking.seats_max,
            unbonding_epochs: self.staking.unbonding_epochs,
            evidence_epochs: self.staking.evidence_epochs,
            slash_downtime: share("staking.slash_downtime_bps", self.staking.slash_downtime_bps)?,
            slash_wrong: share("staking.slash_wrong_bps", self.staking.slash_wrong_bps)?,
            slash_equivocation: share("staking.slash_equivocation_bps", self.staking.slash_equivocation_bps)?,
            settlement: Settlement {
                burn: share("tasks.burn_bps", self.tasks.burn_bps)?,
                worker: share("tasks.worker_bps", self.tasks.worker_bps)?,
                validators: share("tasks.validators_bps", self.tasks.validators_bps)?,
                treasury: share("tasks.treasury_bps", self.tasks.treasury_bps)?,
            },
            committee_seats: self.tasks.committee_seats,
            committee_quorum: self.tasks.committee_quorum,
            rotation_blocks: self.tasks.rotation_blocks,
            lease_blocks: self.tasks.lease_blocks,
            challenge_window_blocks: self.tasks.challenge_window_blocks,
            reward_per_job_min: amount("tasks.reward_per_job_min", &self.tasks.reward_per_job_min)?,
            closing_fee: share("tasks.closing_fee_bps", self.tasks.closing_fee_bps)?,
            bond_factor_spot: self.tasks.bond_factor_spot,
            bond_factor: self.tasks.bond_factor,
            second_committee: share("tasks.second_committee_bps", self.tasks.second_committee_bps)?,
            audit: share("tasks.audit_bps", self.tasks.audit_bps)?,
            treasury_threshold: self.treasury.threshold,
            treasury_keys: {
                let keys = self.treasury.keys.iter().enumerate();
                let keys: Result<Vec<_>, _> =
                    keys.map(|(n, key)| read(format!("treasury.keys[{n}]"), key.parse())).collect();
                list("treasury.keys", keys?)?
            },
        };
        let addresses = |field: &str, rows: Option<Vec<String>>| {
            let read_all = |rows: Vec<String>| -> Result<Vec<Address>, SpecError> {
                rows.iter().enumerate().map(|(n, row)| read(format!("{field}[{n}]"), row.parse())).collect()
            };
            rows.map(read_all).transpose()
        };
        let validators = self.validator.into_iter().enumerate().map(|(n, row)| row.check(n));
        let validators: Vec<_> = validators.collect::<Result<_, _>>()?;
        chains_differ(&validators)?;
        Ok(ChainSpec {
            time: TimeMs(self.time_ms),
            faucet: self.faucet.map(|text| read("faucet", text.parse())).transpose()?,
            treasury: amount("treasury.balance", &self.treasury.balance)?,
            accounts: self.account.into_iter().enumerate().map(|(n, row)| row.check(n)).collect::<Result<_, _>>()?,
            validators,
            seats: [addresses("seats.epoch_0", self.seats.epoch_0)?, addresses("seats.epoch_1", self.seats.epoch_1)?],
            name: self.name,
            params,
        })
    }
}

impl AccountRow {
    fn check(self, n: usize) -> Result<GenesisAccount, SpecError> {
        Ok(GenesisAccount {
            address: read(format!("account[{n}].address"), self.address.parse())?,
            balance: amount(format!("account[{n}].balance"), &self.balance)?,
        })
    }
}

impl ValidatorRow {
    fn check(self, n: usize) -> Result<GenesisValidator, SpecError> {
        let field = |name: &str| format!("validator[{n}].{name}");
        let key = |name: &str, row: &KeyRow| -> Result<ProvenKey, SpecError> {
            Ok(ProvenKey {
                key: read(field(&format!("{name}.key")), row.key.parse())?,
                proof: read(field(&format!("{name}.proof")), row.proof.parse())?,
            })
        };
        let net = |name: &str, rows: &[String], good: fn(&str) -> Result<(), String>| {
            if rows.is_empty() {
                return read(field(name), Err("a validator without an address cannot be reached"));
            }
            let rows = rows.iter().enumerate().map(|(m, row)| -> Result<NetAddress, SpecError> {
                let field = field(&format!("{name}[{m}]"));
                read(field.clone(), good(row))?;
                list(field, row.clone().into_bytes())
            });
            list(field(name), rows.collect::<Result<_, _>>()?)
        };
        let chain_end = |name: &str, text: &str| -> Result<Digest, SpecError> {
            let end = read(field(name), text.parse())?;
            // Anybody could claim to know what leads to zero bytes: nobody ever hashed to them.
            if end == Digest::ZERO { read(field(name), Err("zero bytes are the end of no chain")) } else { Ok(end) }
        };
        let kernels = self.kernels.iter().enumerate();
        let kernels: Vec<_> =
            kernels.map(|(m, name)| read(field(&format!("kernels[{m}]")), kernel(name))).collect::<Result<_, _>>()?;
        if let Some(m) = kernels.windows(2).position(|pair| pair[0] >= pair[1]) {
            let place = field(&format!("kernels[{}]", m.saturating_add(1)));
            return read(place, Err("kernels rise: by kind, then by version, none twice"));
        }
        Ok(GenesisValidator {
            account: read(field("account"), self.account.parse())?,
            stake: amount(field("stake"), &self.stake)?,
            registration: Registration {
                consensus: key("consensus", &self.consensus)?,
                verdict: key("verdict", &self.verdict)?,
                network: key("network", &self.network)?,
                consensus_addresses: net("consensus_addresses", &self.consensus_addresses, socket)?,
                network_addresses: net("network_addresses", &self.network_addresses, multiaddress)?,
                chains: ChainEnds {
                    beacon: chain_end("beacon_chain_end", &self.beacon_chain_end)?,
                    secrets: chain_end("secret_chain_end", &self.secret_chain_end)?,
                },
                kernels: list(field("kernels"), kernels)?,
                commission: share(field("commission_bps"), self.commission_bps)?,
            },
        })
    }
}

/// GEN-7: whoever opens one chain opens every chain with the same end, so that each end stands once.
fn chains_differ(validators: &[GenesisValidator]) -> Result<(), SpecError> {
    let mut seen: BTreeMap<Digest, String> = BTreeMap::new();
    for (n, validator) in validators.iter().enumerate() {
        let ChainEnds { beacon, secrets } = validator.registration.chains;
        for (name, end) in [("beacon", beacon), ("secret", secrets)] {
            let field = format!("validator[{n}].{name}_chain_end");
            if let Some(first) = seen.insert(end, field.clone()) {
                return read(field, Err(format!("{end} is also {first}")));
            }
        }
    }
    Ok(())
}

/// Demands `192.0.2.1:9000` or `[2001:db8::1]:9000` (GEN-7).
fn socket(text: &str) -> Result<(), String> {
    let good = text.parse::<SocketAddr>().is_ok_and(|address| address.port() != 0);
    if good { Ok(()) } else { Err(format!("{text:?} is not an address: write for example 192.0.2.1:9000")) }
}

/// Demands a host, a transport with its port, and whole parts after them (GEN-7).
fn multiaddress(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.split('/').collect();
    let good = match parts.as_slice() {
        ["", kind, host, "tcp" | "udp", port, rest @ ..] => {
            let host = match *kind {
                "ip4" => host.parse::<Ipv4Addr>().is_ok(),
                "ip6" => host.parse::<Ipv6Addr>().is_ok(),
                "dns" | "dns4" | "dns6" => !host.is_empty(),
                _ => false,
            };
            host && port.parse::<u16>().is_ok_and(|port| port != 0) && rest.iter().all(|part| !part.is_empty())
        }
        _ => false,
    };
    let wrong = || format!("{text:?} is not an address: write for example /ip4/192.0.2.1/udp/9001/quic-v1");
    if good { Ok(()) } else { Err(wrong()) }
}

/// Reads `synthetic/1`.
fn kernel(text: &str) -> Result<KernelId, String> {
    let wrong = || format!("{text:?} is not a kernel: write for example synthetic/1");
    let (name, version) = text.split_once('/').ok_or_else(wrong)?;
    let challenge = match name {
        "synthetic" => Challenge::Synthetic,
        "rendering" => Challenge::Rendering,
        "inference" => Challenge::Inference,
        "training" => Challenge::Training,
        "function" => Challenge::Function,
        _ => return Err(wrong()),
    };
    Ok(KernelId { challenge, version: version.parse().map_err(|_| wrong())? })
}
