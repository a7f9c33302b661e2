//! What the ledger makes, proven to whoever knows the genesis and nothing else.

use cpc_ledger::{Leaves, seats};
use cpc_light::{
    FinalityProof, Finalization, ProofFile, Proposal, ResultProof, SettlementProof, Start, Subject, TrustPath, Trusted,
    ValidatorSet, VerifiedSubject, Vote, namespace,
};
use cpc_primitives::result::{ComputeResult, Outcome, Settlement, Subject as Ended};
use cpc_primitives::{Bounded, Digest, Domain, Epoch, Header, SecretKey, merkle};

use crate::bazaar::{CPC, SAM, SEATS, WANDA, accepted, bazaar, cancel, order, register, result};
use crate::world::{ALICE, World, key};

/// A market whose block 0 names its seats, as the genesis of a network does.
fn named() -> (World, Header, ValidatorSet) {
    let mut world = bazaar();
    let set = seats(&world.state, Epoch(0)).expect("readable").expect("an epoch").validators().expect("a set");
    world.tip.next_validators = Domain::GenesisSets.hash(&(set.hash(), set.hash()));
    let genesis = world.tip.clone();
    (world, genesis, set)
}

/// A proof file about one block of epoch 0, which three of the five seats and one more made final.
fn file(genesis: &Header, set: &ValidatorSet, header: &Header, subject: Subject) -> Vec<u8> {
    let mut keys: Vec<SecretKey> = SEATS.iter().map(|number| key(number + 100)).collect();
    keys.sort_by_key(SecretKey::public);
    let Header { epoch, view, parent_view, .. } = *header;
    let proposal = Proposal { epoch, view, parent_view, payload: header.id() };
    let space = namespace(genesis.chain, &genesis.id());
    let votes: Vec<_> =
        (0..4).zip(&keys).map(|(seat, key)| (seat, Vote::Finalize(proposal).sign(&space, key))).collect();
    let finalization = Finalization::assemble(proposal, &votes, set).expect("a quorum");
    let finality = FinalityProof {
        headers: Bounded::new(vec![header.clone()]).expect("one"),
        certificate: Bounded::new(finalization.encode()).expect("short"),
    };
    let sets = [set, set].map(|set| Bounded::new(set.keys().to_vec()).expect("few"));
    let start = Start::Genesis { header: genesis.clone(), sets };
    ProofFile { trust: TrustPath { start, links: Bounded::default() }, finality, subject }.encode()
}

/// The proof of each leaf of a block: first its results, then its settlements.
fn subjects(leaves: &Leaves) -> Vec<Subject> {
    let Leaves { results, settlements, roots } = leaves;
    let digests: Vec<Digest> = results.iter().map(ComputeResult::leaf).collect();
    let proven = results.iter().enumerate().map(|(index, result)| {
        let path = merkle::path(&digests, index).expect("in the list");
        Subject::Result(ResultProof { result: *result, path, roots: *roots })
    });
    let mut all: Vec<Subject> = proven.collect();
    let digests: Vec<Digest> = settlements.iter().map(Settlement::leaf).collect();
    all.extend(settlements.iter().enumerate().map(|(index, settlement)| {
        let path = merkle::path(&digests, index).expect("in the list");
        Subject::Settlement(SettlementProof { settlement: *settlement, path, roots: *roots })
    }));
    all
}

// ROOT-1, PROOF-5, PROOF-6: every leaf of the blocks of a market is proven, and says what happened.
#[test]
fn what_the_ledger_makes_is_proven_to_whoever_knows_the_genesis() {
    let (mut world, genesis, set) = named();
    world.done(WANDA, register(WANDA, 200 * CPC));
    let task = world.open(ALICE, order(&world, 3, 99 * CPC));
    world.done(ALICE, cancel(task));
    let said: Vec<_> = (0..2).map(|job| accepted(result(&world, task, job, WANDA), &[0, 1, 2, 3])).collect();
    let submit = world.submit(&said);
    let (_, leaves) = world.act_with_leaves(SAM, submit);
    let mut found = Vec::new();
    let mut prove = |world: &World, leaves: &Leaves| {
        assert_eq!(world.tip.compute_root, leaves.roots.digest());
        for subject in subjects(leaves) {
            let bytes = file(&genesis, &set, &world.tip, subject);
            let proof = ProofFile::verify(&bytes, Trusted::Genesis(genesis.id())).expect("proven");
            found.push(proof.subject().clone());
            // The same file about the block before proves nothing.
            let mut parent = world.tip.clone();
            parent.compute_root = cpc_primitives::result::ComputeRoots::of(&[], &[]).digest();
            let elsewhere = ProofFile::decode(&bytes).expect("a file").subject;
            let moved = file(&genesis, &set, &parent, elsewhere);
            let error = ProofFile::verify(&moved, Trusted::Genesis(genesis.id())).expect_err("refused");
            assert!(error.to_string().contains("compute root"), "{error}");
        }
    };
    prove(&world, &leaves);
    while world.escrow(task).is_some() {
        let (_, leaves) = world.block_with_leaves(vec![]);
        prove(&world, &leaves);
    }

    let said: Vec<String> = found
        .iter()
        .map(|subject| match subject {
            VerifiedSubject::Accepted(accepted) => format!("accepted {}", accepted.result().job),
            VerifiedSubject::Settled(settled) => match settled.settlement().subject {
                Ended::Job(result) => {
                    assert_eq!(settled.result().map(|verified| *verified.result()), Ok(result));
                    format!("settled {} for {}", result.job, settled.settlement().worker)
                }
                Ended::Rest(rest) => {
                    assert_eq!(settled.result().expect_err("no result").outcome, Outcome::Cancelled);
                    format!("refunded {} of {}", rest.jobs, settled.settlement().refund)
                }
            },
            VerifiedSubject::State(state) => panic!("{state:?}"),
        })
        .collect();
    assert_eq!(said, ["accepted 0", "accepted 1", "settled 0 for 8.25", "settled 1 for 8.25", "refunded 1 of 33"]);
}
