//! Prints the `[[account]]` and `[[validator]]` sections of a network whose validators' keys everybody knows.
//!
//! `cargo run -p cpc-genesis --example rehearsal -- CHAIN LABEL BEACON_STEPS STAKE COUNT [FIRST_PORT]`

use cpc_genesis::{known_key, known_validators};
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
    let addresses = (0..count.parse::<u16>()?).map(|n| {
        let consensus = port + 2 * n;
        (format!("127.0.0.1:{consensus}"), format!("/ip4/127.0.0.1/udp/{}/quic-v1", consensus + 1))
    });
    print!("{}", known_validators(label, chain, steps, stake, &addresses.collect::<Vec<_>>()));
    Ok(())
}
