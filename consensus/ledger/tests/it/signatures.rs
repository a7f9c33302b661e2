//! Signatures: many at once, each culprit by name, each verdict for one encoding only.

use cpc_ledger::{Culprit, Verifier};
use cpc_primitives::Signature;
use cpc_primitives::tx::SignedTx;

use crate::world::{ALICE, BOB, send};

fn bent(mut tx: SignedTx) -> SignedTx {
    tx.signature.0[3] ^= 1;
    tx
}

/// Transactions of several senders; those at the named places have a bad signature.
fn txs(count: u64, bad: &[u64]) -> Vec<SignedTx> {
    (0..count)
        .map(|n| {
            let tx = send(u8::try_from(n % 5).expect("small") + 1, n, BOB, 1);
            if bad.contains(&n) { bent(tx) } else { tx }
        })
        .collect()
}

#[test]
fn what_is_verified_knows_its_names() {
    let txs = txs(40, &[]);
    let verified = Verifier::new(100).verify(txs.clone()).expect("good signatures");
    assert_eq!(verified.len(), 40);
    for (tx, verified) in txs.into_iter().zip(verified) {
        assert_eq!(verified.hash(), tx.hash());
        assert_eq!(verified.id(), tx.id());
        assert_eq!(verified.sender(), tx.sender_address());
        assert_eq!(verified.bytes(), tx.encode().len());
        assert_eq!(verified.into_tx(), tx);
    }
    assert_eq!(Verifier::new(100).verify(vec![]), Ok(vec![]));
}

#[test]
fn every_culprit_is_named_and_nobody_else() {
    for bad in [vec![0], vec![1_299], vec![0, 1, 511, 512, 700], (0..1_300).collect()] {
        let txs = txs(1_300, &bad);
        let error = Verifier::new(10_000).verify(txs.clone()).expect_err("bad signatures");
        assert_eq!(error.total, 1_300);
        let expected: Vec<Culprit> = bad
            .iter()
            .map(|n| usize::try_from(*n).expect("small"))
            .map(|index| Culprit { index, hash: txs[index].hash() })
            .collect();
        assert_eq!(error.culprits, expected);
    }
    let error = Verifier::new(0).verify(txs(9, &[2, 4, 6, 8])).expect_err("bad signatures").to_string();
    assert!(error.starts_with("4 of 9 transactions with a signature that does not verify: 2 ("), "{error}");
    assert!(error.ends_with(", ..."), "{error}");
}

#[test]
fn the_same_body_with_two_signatures_has_two_verdicts() {
    let good = send(ALICE, 0, BOB, 1);
    let bad = bent(good.clone());
    assert_eq!(good.id(), bad.id());
    let verifier = Verifier::new(100);
    for _ in 0..2 {
        // The second round asks the memory for the good one, which must not vouch for the bad one.
        let verdicts = verifier.verify_each(vec![bad.clone(), good.clone(), bad.clone()]);
        assert_eq!(verdicts[0], Err(Culprit { index: 0, hash: bad.hash() }));
        assert_eq!(verdicts[1].as_ref().map(|tx| tx.hash()), Ok(good.hash()));
        assert_eq!(verdicts[2], Err(Culprit { index: 2, hash: bad.hash() }));
    }
}

#[test]
fn a_signature_of_nothing_is_no_signature() {
    let mut tx = send(ALICE, 0, BOB, 1);
    for bytes in [[0; 64], [0xff; 64]] {
        tx.signature = Signature(bytes);
        assert!(Verifier::new(1).verify(vec![tx.clone()]).is_err());
    }
}

#[test]
fn memory_changes_the_work_and_never_the_verdict() {
    let (remembers, forgets) = (Verifier::new(64), Verifier::new(0));
    for round in 0..3u64 {
        let mix = txs(200, &[round, 7 * round + 3, 199]);
        assert_eq!(remembers.verify_each(mix.clone()), forgets.verify_each(mix));
    }
}
