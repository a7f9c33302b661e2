//! Proofs of what an account has: how large, how fast made, how fast checked.

use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use cpc_light::{FinalityProof, ProofFile, Start, StateProof, Subject, TrustPath, Trusted, VerifiedSubject};
use cpc_primitives::codec::encode;
use cpc_primitives::state::StateKey;
use cpc_primitives::{Bounded, Header};
use cpc_store::Store;

use crate::plan::Plan;
use crate::world::{World, address};
use cpc_bench::report::Part;
use cpc_bench::samples::Samples;

/// What was found of the proofs of one kind.
#[derive(Default)]
struct Found {
    bytes: Samples,
    file_bytes: Samples,
    prove: Samples,
    verify: Samples,
    verify_file: Samples,
}

/// Proves accounts that are there and some that are not.
pub(crate) fn measure(plan: &Plan, world: &World, store: &Store) -> Result<Part> {
    let mut part = Part::new(
        "Proofs",
        format!(
            "How large is a proof of presence or absence over {} accounts, and how long does it take?",
            plan.accounts
        ),
    );
    part.note(
        "Alone is the state proof against a known header. The file adds the way from the genesis hash to that header: \
         block 0, the sets of epochs 0 and 1, and a certificate with one seat. It is a file of epoch 0; every epoch \
         adds a header and a certificate, every further seat of a quorum 64 bytes and a key in each set.",
    );
    part.note("Min and max are over the keys; here, too, the median is the middle one.");
    let step = world.addresses().len() / plan.proofs as usize;
    let present = world.addresses().iter().step_by(step.max(1)).map(StateKey::account);
    report(&mut part, "present", &prove_all(world, store, present, true)?);
    // The numbers after those of the accounts have none.
    let absent = (plan.accounts..plan.accounts + plan.proofs).map(|number| StateKey::account(&address(number)));
    report(&mut part, "absent", &prove_all(world, store, absent, false)?);
    Ok(part)
}

fn report(part: &mut Part, kind: &str, found: &Found) {
    let micros = |seconds: &Samples| seconds.map(|seconds| seconds * 1e6);
    part.row(format!("light::state_proof/{kind}=alone"), found.bytes.clone(), "bytes");
    part.row(format!("light::proof_file/{kind}=file"), found.file_bytes.clone(), "bytes");
    part.row(format!("store::prove/{kind}=alone"), micros(&found.prove), "us");
    part.row(format!("light::verify/{kind}=alone"), micros(&found.verify), "us");
    part.row(format!("light::verify/{kind}=file"), micros(&found.verify_file), "us");
}

fn prove_all(world: &World, store: &Store, keys: impl Iterator<Item = StateKey>, there: bool) -> Result<Found> {
    let mut found = Found::default();
    for key in keys {
        let start = Instant::now();
        let (tip, proof) = store.prove(&key)?;
        found.prove.push(start.elapsed().as_secs_f64());

        let start = Instant::now();
        let verified = proof.verify(&tip.header.state_root)?;
        found.verify.push(start.elapsed().as_secs_f64());
        ensure!(verified.value().map(<[u8]>::to_vec) == store.read(&key)?, "{key:?} is proven to have another value");
        ensure!(verified.value().is_some() == there, "{key:?} is in the wrong half");
        found.bytes.push(encode(&proof).len() as f64);

        let file = file(world, store, &tip.header, proof)?.encode();
        let start = Instant::now();
        let from_file = ProofFile::verify(&file, Trusted::Genesis(world.genesis.id()))?;
        found.verify_file.push(start.elapsed().as_secs_f64());
        ensure!(*from_file.subject() == VerifiedSubject::State(verified), "the file proves something else");
        found.file_bytes.push(file.len() as f64);
    }
    Ok(found)
}

fn file(world: &World, store: &Store, header: &Header, proof: StateProof) -> Result<ProofFile> {
    let certificate = store.certificate(header.height)?.ok_or_else(|| anyhow!("the tip has no certificate"))?;
    let [first, second] = &world.genesis.sets;
    let sets = [Bounded::new(first.keys().to_vec())?, Bounded::new(second.keys().to_vec())?];
    let start = Start::Genesis { header: world.genesis.header.clone(), sets };
    let trust = TrustPath { start, links: Bounded::default() };
    let finality =
        FinalityProof { headers: Bounded::new(vec![header.clone()])?, certificate: Bounded::new(certificate)? };
    Ok(ProofFile { trust, finality, subject: Subject::State(proof) })
}
