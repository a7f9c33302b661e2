//! The networks that ship with the binary have the genesis they are known by, and a bent file is refused by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cpc_genesis::{ChainSpec, Genesis, Network, known_beacon_chain, known_key, known_registration};
use cpc_primitives::{Address, Amount, Domain};

const PINNED: [(Network, &str); 3] = [
    (Network::Devnet, "0a70bde7a1b7e4b8bdae5fb7abf02151bbefe41e452436a1292f694a368e7522"),
    (Network::Testnet, "2b33983539d93e7afe9a7d60d39c9092f0ac370f9c040e9ae4abddbeb7ea5ed6"),
    (Network::Mainnet, "4826a845996b766b033cec0638706f204641c4996759fd735313b120281b8304"),
];

fn build(text: &str) -> Result<Genesis, String> {
    let spec = ChainSpec::parse(text).map_err(|error| error.to_string())?;
    Genesis::build(spec).map_err(|error| error.to_string())
}

#[test]
fn every_network_has_the_genesis_it_is_known_by() {
    let found = Network::ALL.map(|network| {
        let genesis = build(network.text()).expect("a shipped network");
        assert_eq!(genesis.spec.name, network.name());
        assert_eq!(network.name().parse(), Ok(network));
        (network, genesis.id().to_string())
    });
    assert_eq!(found, PINNED.map(|(network, id)| (network, id.to_owned())));
    assert_eq!(
        "localnet".parse::<Network>().expect_err("unknown").to_string(),
        "\"localnet\" is not a network: there are devnet, testnet and mainnet"
    );
}

#[test]
fn the_networks_are_three() {
    let chains = Network::ALL.map(|n| (n.name(), ChainSpec::parse(n.text()).expect("valid").params.chain.0));
    assert_eq!(chains, [("devnet", 1337), ("testnet", 2), ("mainnet", 1)]);
    assert_eq!(PINNED.map(|(network, _)| network), Network::ALL);
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("networks")).expect("a readable folder");
    let files: BTreeSet<_> = files.map(|file| file.expect("a readable entry").file_name()).collect();
    let known: BTreeSet<_> = Network::ALL.iter().map(|network| format!("{network}.toml").into()).collect();
    assert_eq!(files, known, "every chain spec of the folder ships with the binary");
}

#[test]
fn the_devnets_faucet_is_the_key_that_everybody_knows() {
    let genesis = build(Network::Devnet.text()).expect("valid");
    assert_eq!(genesis.spec.faucet, Some(Address::of(&known_key("devnet/faucet").public())));
    assert_eq!(genesis.sets[0].keys(), [known_key("devnet/0/consensus").public()]);
}

// GEN-6: whoever knows the seed opens the chain whose end is registered.
#[test]
fn the_devnets_hash_chain_is_the_one_that_everybody_knows() {
    let genesis = build(Network::Devnet.text()).expect("valid");
    let chain = known_beacon_chain("devnet/0", genesis.spec.params.beacon_steps);
    let validator = &genesis.spec.validators[0];
    assert_eq!(validator.registration.chains.beacon, chain.end());

    let kernels = validator.registration.kernels.to_vec();
    let (consensus, network) = ("127.0.0.1:9000", "/ip4/127.0.0.1/udp/9001/quic-v1");
    let made = known_registration("devnet/0", genesis.spec.params.chain, chain.steps(), consensus, network, kernels);
    assert_eq!(made, (validator.account, validator.registration.clone()));
}

/// A line of a chain spec: which, its path, and its value without the comment.
fn fields(text: &str) -> Vec<(usize, String, String)> {
    let (mut table, mut rows, mut fields) = (String::new(), BTreeMap::<&str, usize>::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let code = line.split(" #").next().expect("a first part").trim();
        if let Some(name) = code.strip_prefix("[[").and_then(|code| code.strip_suffix("]]")) {
            let row = rows.entry(name).or_default();
            table = format!("{name}[{row}].");
            *row += 1;
        } else if let Some(name) = code.strip_prefix('[').and_then(|code| code.strip_suffix(']')) {
            table = format!("{name}.");
        } else if let Some((key, value)) = code.split_once(" = ") {
            fields.push((number, format!("{table}{key}"), value.to_owned()));
        }
    }
    fields
}

/// Other values of the same kind, of which a network may take one.
fn others(value: &str) -> Vec<String> {
    let key = known_key("another").public().to_string();
    let quoted = |text: &dyn std::fmt::Display| format!("\"{text}\"");
    if let Ok(number) = value.parse::<u64>() {
        return [number.checked_add(1), number.checked_sub(1)].into_iter().flatten().map(|n| n.to_string()).collect();
    }
    let Some(text) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        // A list or a key with its proof: one part of it changes.
        let parts = [("127.0.0.1", "127.0.0.2"), ("\"synthetic/1\", ", "")];
        let hex = value.split('"').find(|part| part.len() == key.len());
        let parts = parts.into_iter().chain(hex.map(|hex| (hex, key.as_str())));
        return parts.map(|(from, to)| value.replacen(from, to, 1)).filter(|other| other != value).collect();
    };
    if let Ok(amount) = text.parse::<Amount>() {
        let one = Amount::new(1);
        return [amount.checked_add(one), amount.checked_sub(one)].iter().flatten().map(|n| quoted(n)).collect();
    }
    if text.parse::<Address>().is_ok() {
        let market = Address::of(&known_key("devnet/market").public());
        let others = [market, Address([9; 20])].map(|address| quoted(&address)).into_iter();
        return others.filter(|other| other != value).collect();
    }
    vec![quoted(&if text.len() == key.len() { key } else { format!("{text}-2") })]
}

/// GEN-1: whatever means something changes the id.
#[test]
fn every_field_changes_the_id() {
    // These are tied to others: a proof to its key, account and chain, a part to the whole, a row to the faucet.
    let tied = [
        "chain",
        "version",
        "tasks.burn_bps",
        "tasks.worker_bps",
        "tasks.validators_bps",
        "tasks.treasury_bps",
        "treasury.threshold",
        "account[0].address",
        "validator[0].account",
        "validator[0].consensus",
        "validator[0].verdict",
        "validator[0].network",
    ];
    let text = Network::Devnet.text();
    let pinned = build(text).expect("valid").id();
    let (mut seen, mut refused) = (BTreeSet::from([pinned]), Vec::new());
    for (number, path, value) in fields(text) {
        let bends = others(&value);
        assert!(!bends.is_empty(), "{path}: nothing is like {value}");
        let bent = |other: &String| {
            let lines = text.lines().enumerate();
            let lines =
                lines.map(|(n, line)| if n == number { line.replacen(&value, other, 1) } else { line.to_owned() });
            build(&lines.collect::<Vec<_>>().join("\n"))
        };
        let taken: Vec<_> = bends.iter().filter_map(|other| bent(other).ok()).collect();
        if taken.is_empty() {
            refused.push(path.clone());
        }
        for genesis in taken {
            assert!(seen.insert(genesis.id()), "{path} keeps the id");
        }
    }
    assert_eq!(refused, tied);
    assert!(seen.len() > 60, "{} ids", seen.len());

    // What is tied changes together.
    let together = [
        [("burn_bps = 6000", "burn_bps = 6001"), ("worker_bps = 2500", "worker_bps = 2499")],
        [("validators_bps = 1000", "validators_bps = 1001"), ("treasury_bps = 500", "treasury_bps = 499")],
        [("[treasury]", "[[upgrade]]\nheight = 9\nversion = 2\n[treasury]"), ("", "")],
        [("[treasury]", "[[upgrade]]\nheight = 9\nversion = 3\n[treasury]"), ("", "")],
    ];
    for bends in together {
        let bent = bends.iter().fold(text.to_owned(), |text, (from, to)| text.replacen(from, to, 1));
        assert!(seen.insert(build(&bent).expect("valid").id()), "{bends:?} keep the id");
    }
}

/// GEN-1: comments, and the order of tables, mean nothing.
#[test]
fn the_order_of_tables_is_not_in_the_id() {
    let text = Network::Testnet.text();
    let id = build(text).expect("valid").id();
    let comments = text.replace("# ", "#  ");
    assert_ne!(comments, text);
    assert_eq!(build(&comments).expect("valid").id(), id);

    // Everything before the first table stays in front; the tables are turned round.
    let (head, tables) = text.split_once("\n\n[").expect("tables follow");
    let mut tables: Vec<_> = tables.split("\n\n[").map(|table| format!("[{}", table.trim_end())).collect();
    tables.reverse();
    let turned = format!("{head}\n\n{}\n", tables.join("\n\n"));
    assert_ne!(build(&turned).expect("valid").spec.accounts, build(text).expect("valid").spec.accounts);
    assert_eq!(build(&turned).expect("valid").id(), id);

    let seats = |order: [usize; 2]| {
        let accounts = build(text).expect("valid").spec.validators;
        let [a, b] = order.map(|n| accounts[n].account);
        build(&format!("{text}\n[seats]\nepoch_0 = [\"{a}\", \"{b}\"]\n")).expect("valid").id()
    };
    assert_eq!(seats([0, 1]), seats([1, 0]));
}

#[test]
fn a_network_of_known_keys_is_known() {
    for network in Network::ALL {
        assert!(build(network.text()).expect("valid").has_known_keys(), "{network}");
    }
    let renamed = Network::Devnet.text().replacen("name = \"devnet\"", "name = \"ournet\"", 1);
    assert!(!build(&renamed).expect("valid").has_known_keys(), "these are known keys of another name");
}

/// GEN-2: what is no TOML of this form is refused with the words of its reader. All other refusals are golden.
#[test]
fn what_the_form_forbids_is_refused() {
    let cases = [
        ("name = \"devnet\"", "", "missing field `name`"),
        ("version = 1", "version = 1\ncolour = 3", "unknown field `colour`"),
        ("epoch_blocks = 240", "epoch_blocks = -1", "invalid value: integer `-1`"),
        ("epoch_blocks = 240", "epoch_blocks = 1.5", "invalid type: floating point"),
        ("gas_price_min = \"0.000000001\"", "gas_price_min = 1", "invalid type: integer `1`, expected a string"),
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
    let accounts = build(text).expect("valid").spec.validators;
    for role in ["consensus", "verdict", "network"] {
        let field = format!("{role} = ");
        let own: Vec<usize> = (0..lines.len()).filter(|n| lines[*n].starts_with(&field)).collect();
        assert_eq!(own.len(), 4, "{field}");
        // Two validators exchange the proofs of one key.
        let proof = |n: usize| lines[own[n]].rsplit('"').nth(1).expect("a proof");
        let swapped = text.replacen(proof(0), &"x".repeat(128), 1).replacen(proof(1), proof(0), 1);
        let swapped = swapped.replacen(&"x".repeat(128), proof(1), 1);
        let refusal = build(&swapped).expect_err(role);
        let key = lines[own[0]].split('"').nth(1).expect("a key");
        let account = accounts[0].account;
        assert_eq!(refusal, format!("validator[0].{role}.proof does not prove that {account} holds {key}"));
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

    // EPO-5: whoever sits in epoch 0 also sits in epoch 1 where that is not named, and header 0 says so.
    let first = format!("{text}\n[seats]\nepoch_0 = [{}]\n", accounts[..2].join(", "));
    let genesis = build(&first).expect("valid");
    let mut keys = [0, 1].map(|n: usize| all.spec.validators[n].registration.consensus.key);
    keys.sort();
    assert_eq!(genesis.sets.each_ref().map(|set| set.keys()), [keys.as_slice(), keys.as_slice()]);
    let both = genesis.sets[0].hash();
    assert_eq!(genesis.header.next_validators, Domain::GenesisSets.hash(&(both, both)));

    let stranger = format!("{text}\n[seats]\nepoch_0 = [\"{}\"]\n", Address([9; 20]));
    let reason = format!("seats.epoch_0[0]: {} is no validator", Address([9; 20]));
    assert_eq!(build(&stranger).expect_err("a stranger"), reason);
    let nobody = format!("{text}\n[seats]\nepoch_0 = []\n");
    assert_eq!(build(&nobody).expect_err("nobody"), "seats.epoch_0 names nobody");
    let twice = format!("{text}\n[seats]\nepoch_0 = [{0}, {0}]\n", accounts[0]);
    let reason = format!("seats.epoch_0[1]: {} is named twice", all.spec.validators[0].account);
    assert_eq!(build(&twice).expect_err("twice"), reason);
}

#[test]
fn a_file_of_nine_megabytes_is_not_read() {
    let text = format!("# {}\n{}", "x".repeat(9 << 20), Network::Devnet.text());
    assert!(build(&text).expect_err("too long").contains("at most 8388608 are allowed"));
}

#[test]
fn a_devnet_of_one_validator_is_the_devnet_and_of_four_has_four_seats() {
    let pair = |n: u16| (format!("127.0.0.1:{}", 9000 + 2 * n), format!("/ip4/127.0.0.1/udp/{}/quic-v1", 9001 + 2 * n));
    let build = |count: u16| {
        let text = cpc_genesis::devnet_of(&(0..count).map(pair).collect::<Vec<_>>()).expect("a chain spec");
        Genesis::build(ChainSpec::parse(&text).expect("a chain spec")).expect("a beginning")
    };
    let devnet = Genesis::build(ChainSpec::parse(Network::Devnet.text()).expect("a chain spec")).expect("a beginning");
    assert_eq!(build(1).id(), devnet.id());
    let four = build(4);
    assert_eq!(four.sets.each_ref().map(|set| set.len()), [4, 4]);
    assert_ne!(four.id(), devnet.id());
}
