//! The networks that ship with the binary have the genesis they are known by, and a bent file is refused by name.

use std::collections::BTreeSet;

use cpc_genesis::{ChainSpec, Genesis, Network, known_key};
use cpc_primitives::Address;

const PINNED: [(Network, &str); 3] = [
    (Network::Devnet, "d73f408ef9b1d0c24ee4d220384e32eb8f3cfe7d5c9bbd01b1cff4602d49ff25"),
    (Network::Testnet, "bbc4e5d9531caf84ba3eae2e8c552e250750e74b8b1dbc0ed5b0f228242517da"),
    (Network::Mainnet, "efc408b4ce72f729bda9aa5c92202d2c25cee5bcbb2c1e02472d794c52a4bfd9"),
];

fn build(text: &str) -> Result<Genesis, String> {
    let spec = ChainSpec::parse(text).map_err(|error| error.to_string())?;
    Genesis::build(spec).map_err(|error| error.to_string())
}

#[test]
fn every_network_has_the_genesis_it_is_known_by() {
    for (network, id) in PINNED {
        let genesis = build(network.text()).expect(network.name());
        assert_eq!(genesis.id().to_string(), id, "{network}");
        assert_eq!(genesis.spec.name, network.name());
        assert_eq!(network.name().parse(), Ok(network));
    }
    assert_eq!(
        "localnet".parse::<Network>().expect_err("unknown").to_string(),
        "\"localnet\" is not a network: there are devnet, testnet and mainnet"
    );
}

#[test]
fn the_networks_are_three() {
    let mut names: Vec<&str> = PINNED.iter().map(|(network, _)| network.name()).collect();
    let mut chains: Vec<_> =
        Network::ALL.iter().map(|n| ChainSpec::parse(n.text()).expect("valid").params.chain).collect();
    names.dedup();
    chains.sort();
    chains.dedup();
    assert_eq!((names.len(), chains.len()), (3, 3));
}

#[test]
fn the_devnets_faucet_is_the_key_that_everybody_knows() {
    let genesis = build(Network::Devnet.text()).expect("valid");
    assert_eq!(genesis.spec.faucet, Some(Address::of(&known_key("devnet/faucet").public())));
    assert_eq!(genesis.sets[0].keys(), [known_key("devnet/0/consensus").public()]);
}

/// GEN-1: whatever means something changes the id.
#[test]
fn every_field_changes_the_id() {
    let text = Network::Devnet.text();
    let pinned = build(text).expect("valid").id();
    let mut seen = BTreeSet::from([pinned]);
    let changes = [
        ("name = \"devnet\"", "name = \"devnet-2\""),
        ("chain = 1337", "chain = 1338"),
        ("time_ms = 1767225600000", "time_ms = 1767225600001"),
        ("interval_ms = 500", "interval_ms = 501"),
        ("epoch_blocks = 240", "epoch_blocks = 241"),
        ("gas_max = 1000000000", "gas_max = 999999999"),
        ("gas_price_min = \"0.000000001\"", "gas_price_min = \"0.000000002\""),
        ("existential_minimum = \"0.001\"", "existential_minimum = \"0.002\""),
        ("proposer_bps = 9000", "proposer_bps = 8999"),
        ("initial = \"1\"", "initial = \"1.000000000000000001\""),
        ("halving_blocks = 126230400", "halving_blocks = 126230401"),
        ("seats_max = 16", "seats_max = 15"),
        ("rotation_blocks = 20", "rotation_blocks = 21"),
        ("audit_bps = 0", "audit_bps = 1"),
        ("balance = \"10000\"", "balance = \"10001\""),
        ("balance = \"1000000\"", "balance = \"1000000.1\""),
        ("stake = \"100000\"", "stake = \"100001\""),
        ("commission_bps = 500", "commission_bps = 501"),
        ("127.0.0.1:9000", "127.0.0.1:9002"),
        ("\"synthetic/1\", ", ""),
    ];
    for (from, to) in changes {
        let bent = text.replacen(from, to, 1);
        assert_ne!(bent, text, "{from} is in the file");
        // A name that changes the chain makes the proofs of possession those of another chain: refused, not renamed.
        match build(&bent) {
            Ok(genesis) => assert!(seen.insert(genesis.id()), "{from} -> {to} keeps the id"),
            Err(reason) => assert!(from.starts_with("chain"), "{from} -> {to}: {reason}"),
        }
    }
    let comments = text.replace("# ", "#  ");
    assert_ne!(comments, text);
    assert_eq!(build(&comments).expect("valid").id(), pinned);
}

/// GEN-2: every refusal names the field and says what is wrong.
#[test]
fn bent_files_are_refused_by_field_and_reason() {
    let cases = [
        ("name = \"devnet\"", "name = \"Dev Net\"", "name: a name has small letters"),
        ("name = \"devnet\"", "", "missing field `name`"),
        ("version = 1", "version = 1\ncolour = 3", "unknown field `colour`"),
        ("epoch_blocks = 240", "epoch_blocks = 1", "epoch_blocks is 1, it must be at least 2"),
        ("epoch_blocks = 240", "epoch_blocks = -1", "invalid value: integer `-1`"),
        ("epoch_blocks = 240", "epoch_blocks = 1.5", "invalid type: floating point"),
        ("bytes_max = 8388608", "bytes_max = 8388609", "block_bytes_max is 8388609, it must be at most 8388608"),
        ("gas_max = 1000000000", "gas_max = 1000000001", "block_gas_max is 1000000001, it must be at most 1000000000"),
        ("gas_price_min = \"0.000000001\"", "gas_price_min = 1", "invalid type: integer `1`, expected a string"),
        ("gas_price_min = \"0.000000001\"", "gas_price_min = \"1e-9\"", "fees.gas_price_min: 'e' is not a digit"),
        (
            "existential_minimum = \"0.001\"",
            "existential_minimum = \"\"",
            "fees.existential_minimum: an amount is missing",
        ),
        (
            "proposer_bps = 9000",
            "proposer_bps = 10001",
            "fees.proposer_bps: 10001 basis points are more than one whole",
        ),
        ("initial = \"1\"", "initial = \"100000000\"", "rewards would mint more than"),
        ("miners_cap_bps = 5000", "miners_cap_bps = 9500", "paying oneself for fake tasks"),
        ("burn_bps = 6000", "burn_bps = 6001", "one whole is 10000"),
        ("committee_quorum = 3", "committee_quorum = 2", "committee_quorum is 2, it must be at least 3"),
        ("unbonding_epochs = 7", "unbonding_epochs = 6", "unbonding_epochs is 6, it must be at least 7"),
        ("threshold = 1", "threshold = 2", "treasury_threshold is 2, it must be at most 1"),
        ("\naddress = \"cpc1", "\naddress = \"cpc2", "account[0].address:"),
        ("balance = \"1000000\"", "balance = \"99999999999999999999\"", "account[1].balance:"),
        ("balance = \"1000000\"", "balance = \"1267650600228\"", "more than"),
        ("stake = \"100000\"", "stake = \"0\"", "stake"),
        ("synthetic/1", "synthetic-1", "validator[0].kernels[0]: \"synthetic-1\" is not a kernel"),
        ("commission_bps = 500", "commission_bps = 20000", "validator[0].commission_bps:"),
        ("[treasury]", "[treasury", "TOML parse error"),
    ];
    for (from, to, reason) in cases {
        let bent = Network::Devnet.text().replacen(from, to, 1);
        assert_ne!(bent, Network::Devnet.text(), "{from} is in the file");
        let refusal = build(&bent).expect_err(to);
        assert!(refusal.contains(reason), "{from} -> {to}: {refusal}");
    }
}

#[test]
fn a_key_without_its_proof_is_refused() {
    let text = Network::Testnet.text();
    let lines: Vec<&str> = text.lines().collect();
    for field in ["consensus = ", "verdict = ", "network = "] {
        let own: Vec<usize> = (0..lines.len()).filter(|n| lines[*n].starts_with(field)).collect();
        assert_eq!(own.len(), 4, "{field}");
        // Two validators exchange the proofs of one key.
        let proof = |n: usize| lines[own[n]].rsplit('"').nth(1).expect("a proof");
        let swapped = text.replacen(proof(0), &"x".repeat(128), 1).replacen(proof(1), proof(0), 1);
        let swapped = swapped.replacen(&"x".repeat(128), proof(1), 1);
        let refusal = build(&swapped).expect_err(field);
        assert!(refusal.contains("does not prove that it holds its"), "{field}: {refusal}");
    }
}

#[test]
fn a_key_of_small_order_does_not_enter() {
    let text = Network::Devnet.text();
    let key = known_key("devnet/0/verdict").public().to_string();
    let bent = text.replacen(&key, &format!("01{}", "00".repeat(31)), 1);
    assert_eq!(build(&bent).expect_err("refused"), "validator[0].verdict.key: a public key of small order");
}

#[test]
fn seats_can_be_named_for_each_epoch() {
    let text = Network::Testnet.text();
    let all = build(text).expect("valid");
    let accounts: Vec<String> = all.spec.validators.iter().map(|v| format!("\"{}\"", v.account)).collect();
    let named = format!("{text}\n[seats]\nepoch_1 = [{}]\n", accounts[..2].join(", "));
    let genesis = build(&named).expect("valid");
    assert_eq!(genesis.sets[0], all.sets[0]);
    assert_eq!(genesis.sets[1].keys().len(), 2);
    assert_ne!(genesis.id(), all.id());

    let stranger = format!("{text}\n[seats]\nepoch_0 = [\"{}\"]\n", Address([9; 20]));
    assert!(build(&stranger).expect_err("a stranger").contains("validator"), "{}", build(&stranger).expect_err("x"));
    let nobody = format!("{text}\n[seats]\nepoch_0 = []\n");
    assert!(build(&nobody).is_err());
    let twice = format!("{text}\n[seats]\nepoch_0 = [{0}, {0}]\n", accounts[0]);
    assert!(build(&twice).is_err());
}

#[test]
fn a_file_of_nine_megabytes_is_not_read() {
    let text = format!("# {}\n{}", "x".repeat(9 << 20), Network::Devnet.text());
    assert!(build(&text).expect_err("too long").contains("at most 8388608 are allowed"));
}
