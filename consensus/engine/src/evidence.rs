//! Keeps the proof of every offence that this node sees, the moment it sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use commonware_actor::Feedback;
use commonware_codec::Encode;
use commonware_consensus::Reporter;
use commonware_consensus::simplex::types::Activity;
use cpc_light::{ConflictingVotes, Finalization, Notarization, Nullification, SignedVote, ValidatorSet, VoteKind};
use cpc_primitives::kv::{Batch, Durability, Kv, Space};
use cpc_primitives::{Epoch, Fault, View};
use tokio::sync::mpsc;

use crate::block::Digest;
use crate::chain::Chain;
use crate::driver::Ended;
use crate::seats::VoteScheme;

/// Proofs of offences, by epoch, view and key.
pub const EVIDENCE: Space = Space("evidence");
/// How many views back votes are compared.
const VIEWS_MAX: usize = 64;

/// The votes of one seat in one view: one of each kind.
type Cast = [Option<SignedVote>; 3];

/// Compares what the seats of one epoch sign, vote against vote and vote against certificate.
pub(crate) struct Witness {
    chain: Arc<dyn Chain>,
    kv: Arc<dyn Kv>,
    set: Arc<ValidatorSet>,
    namespace: Arc<Vec<u8>>,
    ended: mpsc::UnboundedSender<Ended>,
    views: Arc<Mutex<BTreeMap<View, BTreeMap<u32, Cast>>>>,
}

impl Clone for Witness {
    fn clone(&self) -> Self {
        Self {
            chain: Arc::clone(&self.chain),
            kv: Arc::clone(&self.kv),
            set: Arc::clone(&self.set),
            namespace: Arc::clone(&self.namespace),
            ended: self.ended.clone(),
            views: Arc::clone(&self.views),
        }
    }
}

impl Witness {
    pub(crate) fn new(
        chain: Arc<dyn Chain>,
        kv: Arc<dyn Kv>,
        set: ValidatorSet,
        namespace: Vec<u8>,
        ended: mpsc::UnboundedSender<Ended>,
    ) -> Self {
        let views = Arc::default();
        Self { chain, kv, set: Arc::new(set), namespace: Arc::new(namespace), ended, views }
    }

    /// Takes one vote, and returns the proof that it and an earlier one make.
    fn compare(&self, vote: SignedVote) -> Option<ConflictingVotes> {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = views.keys().next().copied();
        if views.len() >= VIEWS_MAX && oldest.is_some_and(|oldest| vote.vote.view() < oldest) {
            return None;
        }
        let cast = views.entry(vote.vote.view()).or_default().entry(vote.seat).or_default();
        let proof = cast.iter().flatten().find_map(|earlier| ConflictingVotes::new(*earlier, vote).ok());
        let place = match vote.vote.kind() {
            VoteKind::Notarize => 0,
            VoteKind::Nullify => 1,
            VoteKind::Finalize => 2,
        };
        cast[place].get_or_insert(vote);
        if views.len() > VIEWS_MAX {
            views.pop_first();
        }
        proof
    }

    /// Takes the votes that a certificate is made of.
    fn compare_all(&self, vote_of: impl Fn(u32) -> Option<SignedVote>) -> Vec<ConflictingVotes> {
        (0..self.set.len()).filter_map(vote_of).filter_map(|vote| self.compare(vote)).collect()
    }

    fn proofs(&self, activity: &Activity<VoteScheme, Digest>) -> Vec<ConflictingVotes> {
        // The library writes what it reports in the form that cpc-light reads.
        let single = |tag: u8, bytes: Bytes| {
            let vote = SignedVote::decode(&[&[tag], &bytes[..]].concat());
            vote.ok().and_then(|vote| self.compare(vote)).into_iter().collect()
        };
        match activity {
            Activity::ConflictingNotarize(_) | Activity::ConflictingFinalize(_) | Activity::NullifyFinalize(_) => {
                ConflictingVotes::decode(&activity.encode()).into_iter().collect()
            }
            Activity::Notarize(vote) => single(0, vote.encode()),
            Activity::Nullify(vote) => single(1, vote.encode()),
            Activity::Finalize(vote) => single(2, vote.encode()),
            // EVI-3: conflicts between a vote and a certificate are not reported by the library.
            Activity::Notarization(certificate) | Activity::Certification(certificate) => {
                let read = Notarization::decode(&certificate.encode());
                read.map(|read| self.compare_all(|seat| read.vote_of(seat))).unwrap_or_default()
            }
            Activity::Nullification(certificate) => {
                let read = Nullification::decode(&certificate.encode());
                read.map(|read| self.compare_all(|seat| read.vote_of(seat))).unwrap_or_default()
            }
            Activity::Finalization(certificate) => {
                let read = Finalization::decode(&certificate.encode());
                read.map(|read| self.compare_all(|seat| read.vote_of(seat))).unwrap_or_default()
            }
        }
    }

    /// Puts a proof on the disk before anything else happens (ENG-8).
    fn keep(&self, proof: &ConflictingVotes) -> Result<(), Fault> {
        let Ok(offence) = proof.verify(&self.set, &self.namespace) else { return Ok(()) };
        let key = evidence_key(offence.epoch, offence.view, offence.key.bytes());
        if self.kv.get(EVIDENCE, &key)?.is_none() {
            let mut batch = Batch::default();
            batch.put(EVIDENCE, key, proof.encode());
            self.kv.write(batch, Durability::Synced)?;
            tracing::warn!(key = %offence.key, epoch = %offence.epoch, view = %offence.view, "a seat signed two votes that exclude each other");
        }
        self.chain.offended(proof);
        Ok(())
    }
}

/// The row of one offence: big-endian, so that the rows of an epoch follow each other.
fn evidence_key(epoch: Epoch, view: View, key: &[u8; 32]) -> Vec<u8> {
    [&epoch.0.to_be_bytes()[..], &view.0.to_be_bytes()[..], &key[..]].concat()
}

impl Reporter for Witness {
    type Activity = Activity<VoteScheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        for proof in self.proofs(&activity) {
            if let Err(fault) = self.keep(&proof) {
                // The receiver is gone only when the validator has ended already.
                let _ = self.ended.send(Ended::Fault(fault));
            }
        }
        Feedback::Ok
    }
}
