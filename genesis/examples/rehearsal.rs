//! Prints the `[[account]]` and `[[validator]]` sections of a network whose validators' keys everybody knows.
//!
//! `cargo run -p cpc-genesis --example rehearsal -- CHAIN LABEL BEACON_STEPS STAKE COUNT [FIRST_PORT]`

use cpc_genesis::{known_key, known_registration};
use cpc_primitives::result::{Challenge, KernelId};
use cpc_primitives::{Address, ChainId};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [chain, label, steps, stake, count, rest @ ..] = args.as_slice() else {
        return Err("CHAIN LABEL BEACON_STEPS STAKE COUNT [FIRST_PORT]".into());
    };
    let (chain, steps) = (ChainId(chain.parse()?), steps.parse()?);
    let port: u16 = rest.first().map_or(Ok(9000), |text| text.parse())?;
    let account = |name: &str| Address::of(&known_key(&format!("{label}/{name}")).public());
    for name in ["faucet", "market", "treasury"] {
        println!("# {label}/{name} is {}, its key {}", account(name), known_key(&format!("{label}/{name}")).public());
    }
    for n in 0..count.parse::<u16>()? {
        let kernels =
            [Challenge::Synthetic, Challenge::Rendering].map(|challenge| KernelId { challenge, version: 1 }).to_vec();
        let consensus = format!("127.0.0.1:{}", port + 2 * n);
        let network = format!("/ip4/127.0.0.1/udp/{}/quic-v1", port + 2 * n + 1);
        let (account, it) = known_registration(&format!("{label}/{n}"), chain, steps, &consensus, &network, kernels);
        println!("\n[[validator]] # known keys: {label}/{n}");
        println!("account = \"{account}\"");
        println!("stake = \"{stake}\"");
        for (name, key) in [("consensus", &it.consensus), ("verdict", &it.verdict), ("network", &it.network)] {
            println!("{name} = {{ key = \"{}\", proof = \"{}\" }}", key.key, key.proof);
        }
        println!("consensus_addresses = [\"{consensus}\"]");
        println!("network_addresses = [\"{network}\"]");
        println!("beacon_chain_end = \"{}\"", it.chains.beacon);
        println!("secret_chain_end = \"{}\"", it.chains.secrets);
        println!("kernels = [\"synthetic/1\", \"rendering/1\"]");
        println!("commission_bps = {}", it.commission.points());
    }
    Ok(())
}
