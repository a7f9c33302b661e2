//! Keys that everybody knows: for devnets, and for the rehearsal of a network before its real validators join.

use cpc_primitives::hash_chain::{HashChain, SECRET_STEPS, advance};
use cpc_primitives::result::KernelId;
use cpc_primitives::tx::{ChainEnds, KeyUse, NetAddress, ProvenKey, Registration};
use cpc_primitives::{Address, Bounded, Bps, ChainId, Digest, Domain, SecretKey};

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
