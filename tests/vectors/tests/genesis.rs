//! Chain specs that are no beginning: each is one of the shipped files with a bend, and its refusal, whole.

use std::collections::BTreeSet;

use cpc_genesis::{ChainSpec, Genesis, GenesisError, Network, known_key};
use cpc_ledger::{GenesisReject, ParamsError};
use cpc_primitives::{Address, Digest};
use cpc_vectors::golden::{Entry, hold};

/// A file, and what is replaced in it, each at its first place.
struct Bent {
    name: String,
    base: Network,
    bends: Vec<(String, String)>,
}

fn bent(name: &str, base: Network, bends: &[(&str, &str)]) -> Bent {
    let bends = bends.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
    Bent { name: name.to_owned(), base, bends }
}

/// A number or text of devnet that is out of its bounds.
fn numbers() -> Vec<Bent> {
    let cases = [
        ("chain-zero", "chain = 1337", "chain = 0"),
        ("version-zero", "version = 1", "version = 0"),
        ("version-unknown", "version = 1", "version = 2"),
        ("epoch-of-one-block", "epoch_blocks = 240", "epoch_blocks = 1"),
        ("no-interval", "interval_ms = 500", "interval_ms = 0"),
        ("no-beacon", "beacon_steps = 1048576", "beacon_steps = 0"),
        ("beacon-chain-too-long", "beacon_steps = 1048576", "beacon_steps = 67108865"),
        ("blocks-too-small", "bytes_max = 8388608", "bytes_max = 66047"),
        ("blocks-too-large", "bytes_max = 8388608", "bytes_max = 8388609"),
        ("too-little-gas", "gas_max = 1000000000", "gas_max = 45999"),
        ("too-much-gas", "gas_max = 1000000000", "gas_max = 1000000001"),
        ("free-gas", "gas_price_min = \"0.000000001\"", "gas_price_min = \"0\""),
        ("gas-price-not-decimal", "gas_price_min = \"0.000000001\"", "gas_price_min = \"1e-9\""),
        ("free-accounts", "existential_minimum = \"0.001\"", "existential_minimum = \"0\""),
        ("no-minimum", "existential_minimum = \"0.001\"", "existential_minimum = \"\""),
        ("share-above-one", "proposer_bps = 9000", "proposer_bps = 10001"),
        ("endless-rewards", "initial = \"1\"", "initial = \"100000000\""),
        ("no-halving", "halving_blocks = 126230400", "halving_blocks = 0"),
        ("fake-tasks-pay", "miners_cap_bps = 5000", "miners_cap_bps = 9500"),
        ("no-reference-price", "reference_price = \"0.000000001\"", "reference_price = \"0\""),
        ("no-seats", "seats_max = 16", "seats_max = 0"),
        ("too-many-seats", "seats_max = 16", "seats_max = 257"),
        ("unbonding-too-short", "unbonding_epochs = 7", "unbonding_epochs = 6"),
        ("no-evidence", "evidence_epochs = 3", "evidence_epochs = 0"),
        ("settlement-above-one", "burn_bps = 6000", "burn_bps = 6001"),
        ("no-committee", "committee_seats = 4", "committee_seats = 0"),
        ("committee-too-large", "committee_seats = 4", "committee_seats = 65"),
        ("quorum-too-small", "committee_quorum = 3", "committee_quorum = 2"),
        ("quorum-too-large", "committee_quorum = 3", "committee_quorum = 5"),
        ("no-rotation", "rotation_blocks = 20", "rotation_blocks = 0"),
        ("no-lease", "lease_blocks = 120", "lease_blocks = 0"),
        ("no-challenge-window", "challenge_window_blocks = 4", "challenge_window_blocks = 0"),
        ("no-bond-for-samples", "bond_factor_spot = 2", "bond_factor_spot = 0"),
        ("no-bond", "bond_factor = 1", "bond_factor = 0"),
        ("threshold-above-keys", "threshold = 1", "threshold = 2"),
        ("a-name-in-capitals", "name = \"devnet\"", "name = \"Dev Net\""),
        ("upgrade-at-zero", "[treasury]", "[[upgrade]]\nheight = 0\nversion = 2\n\n[treasury]"),
        ("upgrade-to-the-same", "[treasury]", "[[upgrade]]\nheight = 9\nversion = 1\n\n[treasury]"),
        ("balance-not-an-amount", "balance = \"1000000\"", "balance = \"99999999999999999999\""),
        ("balance-below-minimum", "balance = \"1000000\"", "balance = \"0.0009\""),
        ("more-than-can-exist", "balance = \"1000000\"", "balance = \"1267650600228\""),
        ("no-room-for-rewards", "balance = \"1000000\"", "balance = \"1267550000000\""),
        ("no-stake", "stake = \"100000\"", "stake = \"0\""),
        ("not-a-kernel", "synthetic/1", "synthetic-1"),
        ("a-kernel-twice", "rendering/1", "synthetic/1"),
        ("kernels-out-of-order", "synthetic/1", "training/1"),
        ("commission-above-one", "commission_bps = 500", "commission_bps = 20000"),
        ("no-consensus-address", "[\"127.0.0.1:9000\"]", "[]"),
        ("consensus-address-without-port", "127.0.0.1:9000", "127.0.0.1"),
        ("consensus-address-of-port-zero", "127.0.0.1:9000", "127.0.0.1:0"),
        ("no-network-address", "[\"/ip4/127.0.0.1/udp/9001/quic-v1\"]", "[]"),
        ("network-address-of-a-plane", "/ip4/127.0.0.1/udp/9001/quic-v1", "127.0.0.1:9001"),
        ("network-address-of-no-host", "/ip4/127.0.0.1/udp", "/ip4/localhost/udp"),
        ("network-address-cut-short", "/udp/9001/quic-v1", "/udp"),
    ];
    cases.map(|(name, from, to)| bent(name, Network::Devnet, &[(from, to)])).into()
}

/// Rows that do not go together.
fn rows() -> Vec<Bent> {
    let (devnet, testnet) = (Network::Devnet, Network::Testnet);
    let spec = |network: Network| ChainSpec::parse(network.text()).expect("a shipped network");
    let quoted = |text: &dyn std::fmt::Display| format!("\"{text}\"");
    let stranger = quoted(&Address([9; 20]));

    let dev = spec(devnet);
    let [faucet, market] = [0, 1].map(|n: usize| format!("address = \"{}\"", dev.accounts[n].address));
    let faucet_line = format!("faucet = {}", quoted(&dev.accounts[0].address));
    let treasury = quoted(&dev.params.treasury_keys[0]);
    let zero = Digest::ZERO.to_string();
    let ends = dev.validators[0].registration.chains;
    let verdict = known_key("devnet/0/verdict").public().to_string();
    let (_, validators) = devnet.text().split_once("[[validator]]").expect("one validator");
    let validators = format!("[[validator]]{validators}");

    let test = spec(testnet);
    let account = |n: usize| quoted(&test.validators[n].account);
    let key = |n: usize| test.validators[n].registration.verdict.key.to_string();
    let proof = |n: usize| test.validators[n].registration.verdict.proof.to_string();
    let end = |n: usize| test.validators[n].registration.chains.secrets.to_string();
    let second = |n: usize| format!("testnet/1\naccount = {}", account(n));
    let seats = |line: String| format!("[seats]\n{line}\n\n[treasury]");
    let on = |name: &str, base, from: &str, to: &str| bent(name, base, &[(from, to)]);
    vec![
        on("treasury-key-twice", devnet, &treasury, &format!("{treasury}, {treasury}")),
        on("a-key-of-small-order", devnet, &verdict, &format!("01{}", "00".repeat(31))),
        on("account-not-an-address", devnet, &faucet, "address = \"cpc2\""),
        on("account-twice", devnet, &market, &faucet),
        on("faucet-without-account", devnet, &faucet_line, &format!("faucet = {stranger}")),
        bent("no-validator", devnet, &[("version = 1", "version = 1\nvalidator = []"), (&validators, "")]),
        on("chain-end-of-zero", devnet, &ends.beacon.to_string(), &zero),
        on("one-chain-for-two-uses", devnet, &ends.secrets.to_string(), &ends.beacon.to_string()),
        on("one-chain-for-two-validators", testnet, &end(1), &end(0)),
        bent(
            "upgrades-out-of-order",
            devnet,
            &[(
                "[treasury]",
                "[[upgrade]]\nheight = 9\nversion = 2\n\n[[upgrade]]\nheight = 9\nversion = 3\n\n[treasury]",
            )],
        ),
        on(
            "too-many-upgrades",
            devnet,
            "[treasury]",
            &format!("{}[treasury]", "[[upgrade]]\nheight = 9\nversion = 2\n".repeat(17)),
        ),
        on("validator-twice", testnet, &second(1), &second(0)),
        on("key-twice", testnet, &key(1), &key(0)),
        on("key-not-proven", testnet, &proof(0), &proof(1)),
        on("more-validators-than-seats", testnet, "seats_max = 100", "seats_max = 3"),
        on("seats-for-nobody", testnet, "[treasury]", &seats("epoch_1 = []".to_owned())),
        on("seat-twice", testnet, "[treasury]", &seats(format!("epoch_0 = [{0}, {1}, {0}]", account(0), account(1)))),
        on("seat-of-a-stranger", testnet, "[treasury]", &seats(format!("epoch_1 = [{}, {stranger}]", account(0)))),
    ]
}

/// The name of the reason; a new reason does not compile before it is golden.
fn reason(error: &GenesisError) -> &'static str {
    match error {
        GenesisError::Faucet(_) => "Faucet",
        GenesisError::Rules(reject) => match reject {
            GenesisReject::Params(ParamsError::TooSmall { .. }) => "TooSmall",
            GenesisReject::Params(ParamsError::TooLarge { .. }) => "TooLarge",
            GenesisReject::Params(ParamsError::SettlementSum { .. }) => "SettlementSum",
            GenesisReject::Params(ParamsError::FakeTasksPay { .. }) => "FakeTasksPay",
            GenesisReject::Params(ParamsError::EmissionTooLarge { .. }) => "Params::EmissionTooLarge",
            GenesisReject::Params(ParamsError::TreasuryKeyTwice { .. }) => "TreasuryKeyTwice",
            GenesisReject::AccountTwice { .. } => "AccountTwice",
            GenesisReject::AccountBelowMinimum { .. } => "AccountBelowMinimum",
            GenesisReject::TotalTooLarge { .. } => "TotalTooLarge",
            GenesisReject::EmissionTooLarge { .. } => "EmissionTooLarge",
            GenesisReject::NoValidator => "NoValidator",
            GenesisReject::ValidatorTwice { .. } => "ValidatorTwice",
            GenesisReject::NoStake { .. } => "NoStake",
            GenesisReject::KeyTwice { .. } => "KeyTwice",
            GenesisReject::KeyNotProven { .. } => "KeyNotProven",
            GenesisReject::NoSeats { .. } => "NoSeats",
            GenesisReject::TooManySeats { .. } => "TooManySeats",
            GenesisReject::SeatTwice { .. } => "SeatTwice",
            GenesisReject::SeatWithoutValidator { .. } => "SeatWithoutValidator",
        },
    }
}

// VEC-10, GEN-2, GEN-7: every refusal names its field and says both sides, to the letter.
#[test]
fn every_bent_spec_is_refused_in_these_words() {
    let mut reasons = BTreeSet::new();
    let entries: Vec<Entry> = numbers()
        .into_iter()
        .chain(rows())
        .map(|Bent { name, base, bends }| {
            let mut text = base.text().to_owned();
            for (from, to) in &bends {
                assert!(text.contains(from), "{name}: {from} is in {base}");
                text = text.replacen(from, to, 1);
            }
            let says = match ChainSpec::parse(&text) {
                Err(error) => {
                    assert!(!error.field.is_empty(), "{name}: {error}");
                    error.to_string()
                }
                Ok(spec) => {
                    let error = Genesis::build(spec).expect_err(&name);
                    reasons.insert(reason(&error));
                    error.to_string()
                }
            };
            let bends = bends.iter().map(|(from, to)| format!("{{ from = {from:?}, to = {to:?} }}"));
            Entry::new(name).text("base", base).list("bends", bends).text("says", says)
        })
        .collect();
    // As many as `reason` knows.
    assert_eq!(reasons.len(), 20, "{reasons:?}");
    hold(
        "genesis/refused.toml",
        "Chain specs that are refused: a network of genesis/networks, what is replaced in its text, each at its first\n\
         place, and what is said of it.",
        &entries,
    );
}
