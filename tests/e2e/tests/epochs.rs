//! A proof over several epochs of four validators, checked offline from the genesis hash alone; and forged ones, refused.

use std::fs;

use cpc_e2e::{Validators, fails, succeeds};
use cpc_light::{ProofFile, Subject, Terminal};
use cpc_primitives::Bounded;

/// A node that nobody runs: what is checked against it is checked offline.
const NOWHERE: &str = "http://127.0.0.1:9";

#[test]
fn a_proof_over_four_epochs_is_checked_offline_and_a_forged_one_is_refused_with_the_reason() {
    let home = tempfile::tempdir().expect("a folder");
    let validators = Validators::start_with(home.path(), 4, 50, |text| {
        let short = text.replace("epoch_blocks = 240", "epoch_blocks = 10");
        assert_ne!(short, text, "the devnet's epochs have another length");
        short
    });
    // Epoch 4: the path has the ends of epochs 0 to 3.
    validators.reach(43);
    let (data, url) = (home.path(), validators.node(2).url.as_str());
    let faucet = validators.node(0).faucet.clone();
    let genesis = validators.node(0).genesis.clone();
    let file = data.join("faucet.proof").display().to_string();
    let network = data.join("genesis.toml").display().to_string();
    succeeds(data, url, &["--network", &network, "query", "balance", &faucet, "--proof", &file]);
    validators.stop();

    let said = succeeds(data, NOWHERE, &["verify", &file, "--genesis", &genesis]);
    assert!(said.contains("holds 100000000 CPC"), "{said}");
    let good = ProofFile::decode(&fs::read(&file).expect("the file")).expect("a proof file");
    assert!(good.trust.links.len() >= 3, "the path passes {} ends of epochs", good.trust.links.len());

    let forged = |name: &str, words: &str, forge: &dyn Fn(&mut ProofFile)| {
        let mut proof = good.clone();
        forge(&mut proof);
        assert_ne!(proof, good, "{name}: nothing was forged");
        let path = data.join(name).display().to_string();
        fs::write(&path, proof.encode()).expect("written");
        fails(data, NOWHERE, &["verify", &path, "--genesis", &genesis], 8, words);
    };
    forged("richer", "the state root", &|proof| {
        let Subject::State(state) = &mut proof.subject else { panic!("a proof of state") };
        let Terminal::Present { value, .. } = &mut state.terminal else { panic!("there is an account") };
        let mut bytes = value.clone().into_inner();
        bytes[0] ^= 1;
        *value = Bounded::new(bytes).expect("as long as it was");
    });
    forged("a-header-of-our-own", "certificate", &|proof| {
        let mut headers = proof.finality.headers.clone().into_inner();
        headers[0].state_root.0[0] ^= 1;
        proof.finality.headers = Bounded::new(headers).expect("as many");
    });
    forged("an-epoch-left-out", "epoch", &|proof| {
        let mut links = proof.trust.links.clone().into_inner();
        links.remove(1);
        proof.trust.links = Bounded::new(links).expect("fewer");
    });
    forged("a-quorum-of-two", "certificate", &|proof| {
        let mut certificate = proof.finality.certificate.clone().into_inner();
        let bytes = certificate.len();
        certificate.truncate(bytes - 64);
        proof.finality.certificate = Bounded::new(certificate).expect("shorter");
    });
    forged("other-seats", "epoch", &|proof| {
        let mut links = proof.trust.links.clone().into_inner();
        links[0].header.next_validators.0[0] ^= 1;
        proof.trust.links = Bounded::new(links).expect("as many");
    });
}
