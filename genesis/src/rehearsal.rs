//! Keys that everybody knows: for devnets, and for the rehearsal of a network before its real validators join.

use cpc_primitives::hash_chain::{HashChain, SECRET_STEPS, advance};
use cpc_primitives::result::{Challenge, KernelId};
use cpc_primitives::tx::{ChainEnds, KeyUse, NetAddress, ProvenKey, Registration};
use cpc_primitives::{Address, Bounded, Bps, ChainId, Digest, Domain, SecretKey};

use crate::networks::Network;
use crate::spec::{ChainSpec, SpecError};

/// The key of a label. Whoever reads this line can compute it (GEN-6).
pub fn known_key(label: &str) -> SecretKey {
    SecretKey::from_seed(&known_seed(label).0)
}

/// The hash chain with which the validator of a label feeds the beacon, of as many steps as the network has
/// (`LABEL/beacon-chain`, GEN-6). The longest takes some seconds.
pub fn known_beacon_chain(label: &str, steps: u32) -> HashChain {
    HashChain::build(known_seed(&format!("{label}/beacon-chain")), steps)
}

fn known_seed(label: &str) -> Digest {
    Domain::PublicKnownSeed.hash_bytes(label.as_bytes())
}

/// The `[[account]]` and `[[validator]]` sections of the known validators of a network, in the TOML of its chain spec.
///
/// `addresses` has where each of them listens: for the other seats, and for everybody else.
pub fn known_validators(
    label: &str,
    chain: ChainId,
    beacon_steps: u32,
    stake: &str,
    addresses: &[(String, String)],
) -> String {
    let kernels = || [Challenge::Synthetic, Challenge::Rendering].map(|challenge| KernelId { challenge, version: 1 });
    let mut text = String::new();
    for (n, (consensus, network)) in addresses.iter().enumerate() {
        let own = format!("{label}/{n}");
        let (account, it) = known_registration(&own, chain, beacon_steps, consensus, network, kernels().to_vec());
        let proven =
            |name: &str, key: &ProvenKey| format!("{name} = {{ key = \"{}\", proof = \"{}\" }}\n", key.key, key.proof);
        text.push_str(&format!(
            "\n[[account]] # known key: {own}/account\naddress = \"{account}\"\nbalance = \"1000\"\n"
        ));
        text.push_str(&format!("\n[[validator]] # known keys: {own}\naccount = \"{account}\"\nstake = \"{stake}\"\n"));
        text.push_str(&proven("consensus", &it.consensus));
        text.push_str(&proven("verdict", &it.verdict));
        text.push_str(&proven("network", &it.network));
        text.push_str(&format!("consensus_addresses = [\"{consensus}\"]\nnetwork_addresses = [\"{network}\"]\n"));
        text.push_str(&format!("beacon_chain_end = \"{}\"\n", it.chains.beacon));
        text.push_str(&format!("secret_chain_end = \"{}\"\n", it.chains.secrets));
        text.push_str("kernels = [\"synthetic/1\", \"rendering/1\"]\n");
        text.push_str(&format!("commission_bps = {}\n", it.commission.points()));
    }
    text
}

/// The chain spec of a devnet with validators at these addresses: that of the repository with its only one replaced.
pub fn devnet_of(addresses: &[(String, String)]) -> Result<String, SpecError> {
    let base = Network::Devnet.text();
    let spec = ChainSpec::parse(base)?;
    // The file ends with its only validator: that account's section, and its own.
    let end = base.find("\n[[account]] # known key: devnet/0/account").unwrap_or(base.len());
    let validators = known_validators("devnet", spec.params.chain, spec.params.beacon_steps, "100000", addresses);
    Ok(format!("{}{validators}", &base[..end]))
}

/// The full registration of a validator whose keys everybody knows: `LABEL/account`, `LABEL/consensus` and so on.
///
/// Its beacon chain is hashed to its end here, which takes some seconds for the longest.
pub fn known_registration(
    label: &str,
    chain: ChainId,
    beacon_steps: u32,
    consensus_address: &str,
    network_address: &str,
    kernels: Vec<KernelId>,
) -> (Address, Registration) {
    let part = |name: &str| format!("{label}/{name}");
    let account = Address::of(&known_key(&part("account")).public());
    let proven = |name: &str, role: KeyUse| ProvenKey::prove(&known_key(&part(name)), role, chain, &account);
    let address = |text: &str| -> NetAddress { Bounded::new(text.as_bytes().to_vec()).expect("a short address") };
    let registration = Registration {
        consensus: proven("consensus", KeyUse::Consensus),
        verdict: proven("verdict", KeyUse::Verdict),
        network: proven("network", KeyUse::Network),
        consensus_addresses: Bounded::new(vec![address(consensus_address)]).expect("one address"),
        network_addresses: Bounded::new(vec![address(network_address)]).expect("one address"),
        chains: ChainEnds {
            beacon: known_beacon_chain(label, beacon_steps).end(),
            secrets: advance(known_seed(&part("secret-chain")), SECRET_STEPS),
        },
        kernels: Bounded::new(kernels).expect("few kernels"),
        commission: Bps::new(500).expect("five per cent"),
    };
    (account, registration)
}
