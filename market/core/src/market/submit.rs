//! Decided jobs are brought to the chain, many in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cpc_primitives::codec::{Bounded, encode};
use cpc_primitives::ids::{Height, TaskId};
use cpc_primitives::limits::{RESULTS_PER_TX_MAX, TX_BYTES_MAX, VERDICT_ROOTS_PER_TX_MAX};
use cpc_primitives::result::{Attestation, ComputeResult, Finding, SignedRoot};
use cpc_primitives::tx::{AddVerdicts, AddedVerdicts, ResultEntry, SubmitResult};
use cpc_primitives::{Digest, merkle};

use super::{Effect, JobKey, Market, in_parts};
use crate::count::since;
use crate::journal::Record;
use crate::limits::RESUBMIT_BLOCKS;
use crate::task::{Attested, JobState, Root, Round, Task};

/// Bytes of a transaction around its roots and entries.
const ENVELOPE_BYTES: usize = 512;

/// One job that can be brought to the chain, with the seats that say the same.
struct Candidate {
    key: JobKey,
    result: ComputeResult,
    finding: Finding,
    /// By the number of the seat.
    attested: BTreeMap<u16, Attested>,
    /// How many of them it takes at least.
    least: u16,
}

/// A transaction that is being filled.
#[derive(Default)]
struct Draft {
    roots: Vec<SignedRoot>,
    /// One root of each seat of each draw: the chain takes no second one in one transaction.
    places: BTreeMap<(Height, u16), (Digest, u16)>,
    bytes: usize,
}

impl Market {
    /// What has its quorum, at every block.
    pub(super) fn submit_ready(&mut self, out: &mut Vec<Effect>) {
        let all: Vec<TaskId> = self.tasks.keys().copied().collect();
        self.submit(&all, |_, _| true, out);
        self.add_verdicts(out);
    }

    /// What every seat has attested does not wait for the next block.
    pub(super) fn submit_complete(&mut self, tasks: &BTreeSet<TaskId>, out: &mut Vec<Effect>) {
        let tasks: Vec<TaskId> = tasks.iter().copied().collect();
        self.submit(&tasks, |round, alike| alike >= round.committee.seats.len(), out);
    }

    fn submit(&mut self, tasks: &[TaskId], is_due: fn(&Round, usize) -> bool, out: &mut Vec<Effect>) {
        let mut candidates = Vec::new();
        for id in tasks {
            let Some(task) = self.tasks.get(id).filter(|task| self.orchestrated(task).is_ok()) else { continue };
            candidates.extend(self.decided_jobs(*id, task, is_due));
        }
        while !candidates.is_empty() {
            let (draft, entries, rest) = fill(candidates, |candidate, attestations| ResultEntry {
                result: candidate.result,
                finding: candidate.finding,
                attestations,
            });
            candidates = rest;
            let Some((roots, entries)) = draft.close(entries) else { return };
            let jobs: Vec<JobKey> = entries.iter().map(|entry| (entry.result.task, entry.result.job)).collect();
            self.note_submitted(&jobs);
            for jobs in in_parts(&jobs) {
                out.push(Effect::Journal(Record::Submitted { at: self.now.height, jobs }));
            }
            out.push(Effect::Submit(SubmitResult { roots, entries }));
        }
    }

    fn decided_jobs(&self, id: TaskId, task: &Task, is_due: fn(&Round, usize) -> bool) -> Vec<Candidate> {
        let now = self.now.height;
        let Some(round) = &task.round else { return Vec::new() };
        let ready = |state: &JobState| {
            let waits = state.submitted.is_some_and(|at| since(now, at) < RESUBMIT_BLOCKS);
            state.accepted.is_none() && !waits
        };
        let jobs = round.ready.iter().filter_map(|job| Some((job, round.jobs.get(job)?)));
        let jobs = jobs.filter(|(job, state)| task.is_open(**job) && ready(state));
        jobs.filter_map(|(job, state)| {
            let (result, finding, alike) = state.decided(round.committee.quorum)?;
            if !is_due(round, alike.len()) {
                return None;
            }
            let attested = by_number(round, state, alike);
            Some(Candidate { key: (id, *job), result, finding, attested, least: round.committee.quorum })
        })
        .collect()
    }

    fn note_submitted(&mut self, jobs: &[JobKey]) {
        let now = self.now.height;
        for (task, job) in jobs {
            let round = self.tasks.get_mut(task).and_then(|task| task.round.as_mut());
            if let Some(state) = round.and_then(|round| round.jobs.get_mut(job)) {
                state.submitted = Some(now);
            }
        }
    }

    /// MKT-15: verdicts that came after the quorum are added while the window is open, so that their seats are paid.
    fn add_verdicts(&mut self, out: &mut Vec<Effect>) {
        let now = self.now.height;
        let mut candidates = Vec::new();
        for (id, task) in &self.tasks {
            let Some(round) = task.round.as_ref().filter(|_| self.orchestrated(task).is_ok()) else { continue };
            for (job, state) in &round.jobs {
                let Some(accepted) = &state.accepted else { continue };
                let waits = accepted.added.is_some_and(|at| since(now, at) < RESUBMIT_BLOCKS);
                if accepted.until < now || waits {
                    continue;
                }
                let alike = state.agreeing(&accepted.result, Finding::Accept);
                let alike: Vec<u16> = alike.filter(|place| !accepted.seats.has(*place)).collect();
                let attested = by_number(round, state, alike);
                if !attested.is_empty() {
                    let (key, result, finding) = ((*id, *job), accepted.result, Finding::Accept);
                    candidates.push(Candidate { key, result, finding, attested, least: 1 });
                }
            }
        }
        while !candidates.is_empty() {
            let (draft, entries, rest) = fill(candidates, |candidate, attestations| AddedVerdicts {
                task: candidate.key.0,
                job: candidate.key.1,
                attestations,
            });
            candidates = rest;
            let Some((roots, entries)) = draft.close(entries) else { return };
            for entry in &entries {
                let round = self.tasks.get_mut(&entry.task).and_then(|task| task.round.as_mut());
                let state = round.and_then(|round| round.jobs.get_mut(&entry.job));
                if let Some(accepted) = state.and_then(|state| state.accepted.as_mut()) {
                    accepted.added = Some(now);
                }
            }
            out.push(Effect::Add(AddVerdicts { roots, entries }));
        }
    }
}

fn by_number(round: &Round, state: &JobState, places: Vec<u16>) -> BTreeMap<u16, Attested> {
    let numbered = places.into_iter().filter_map(|place| {
        let seat = round.committee.seat(place)?;
        Some((seat.number, state.verdicts.get(&place)?.clone()))
    });
    numbered.collect()
}

/// Fills a transaction in the order of the jobs; what does not fit, or refers to other roots, comes in the next one.
fn fill<T: cpc_primitives::codec::Encode>(
    candidates: Vec<Candidate>,
    entry: impl Fn(&Candidate, Bounded<Attestation, { cpc_primitives::limits::COMMITTEE_MAX }>) -> T,
) -> (Draft, Vec<T>, Vec<Candidate>) {
    let mut draft = Draft { bytes: ENVELOPE_BYTES, ..Draft::default() };
    let (mut entries, mut rest) = (Vec::new(), Vec::new());
    for candidate in candidates {
        match draft.room_for(&candidate, &entry).filter(|_| entries.len() < RESULTS_PER_TX_MAX) {
            Some(added) => {
                draft.take(&candidate, &added);
                entries.push(added);
            }
            None => rest.push(candidate),
        }
    }
    (draft, entries, rest)
}

impl Draft {
    /// The entry of a candidate, where it fits.
    fn room_for<T: cpc_primitives::codec::Encode>(
        &self,
        candidate: &Candidate,
        entry: &impl Fn(&Candidate, Bounded<Attestation, { cpc_primitives::limits::COMMITTEE_MAX }>) -> T,
    ) -> Option<T> {
        let mut next = u16::try_from(self.roots.len()).ok()?;
        let mut new = 0usize;
        let mut attestations = Vec::new();
        for (number, attested) in &candidate.attested {
            let root = &attested.root;
            let signed_root = match self.places.get(&(root.signed.drawn, *number)) {
                Some((known, place)) if *known == root.signed.root => *place,
                // Another root of this seat is in the transaction: its verdict comes in a later one.
                Some(_) => continue,
                None => {
                    let place = next;
                    (next, new) = (next.checked_add(1)?, new.saturating_add(1));
                    place
                }
            };
            attestations.push(attestation(attested, root, signed_root)?);
        }
        let is_enough = u16::try_from(attestations.len()).is_ok_and(|count| count >= candidate.least);
        if !is_enough || usize::from(next) > VERDICT_ROOTS_PER_TX_MAX {
            return None;
        }
        let entry = entry(candidate, Bounded::new(attestations).ok()?);
        let roots = new.saturating_mul(ROOT_BYTES);
        let bytes = self.bytes.saturating_add(roots).saturating_add(encode(&entry).len());
        (bytes <= TX_BYTES_MAX).then_some(entry)
    }

    fn take<T: cpc_primitives::codec::Encode>(&mut self, candidate: &Candidate, entry: &T) {
        for (number, attested) in &candidate.attested {
            let Root { signed, .. } = attested.root.as_ref();
            let key = (signed.drawn, *number);
            if !self.places.contains_key(&key) {
                let place = u16::try_from(self.roots.len()).expect("room was made for at most 256 roots");
                self.places.insert(key, (signed.root, place));
                self.roots.push(*signed);
                self.bytes = self.bytes.saturating_add(ROOT_BYTES);
            }
        }
        self.bytes = self.bytes.saturating_add(encode(entry).len());
    }

    /// The lists of the transaction; nothing where not one entry fits.
    fn close<T>(
        self,
        entries: Vec<T>,
    ) -> Option<(Bounded<SignedRoot, VERDICT_ROOTS_PER_TX_MAX>, Bounded<T, RESULTS_PER_TX_MAX>)> {
        if entries.is_empty() {
            return None;
        }
        Some((Bounded::new(self.roots).ok()?, Bounded::new(entries).ok()?))
    }
}

/// Bytes of a signed root: draw, seat, key, root, signature.
const ROOT_BYTES: usize = 8 + 2 + 32 + 32 + 64;

fn attestation(attested: &Attested, root: &Arc<Root>, signed_root: u16) -> Option<Attestation> {
    let path = merkle::path(&root.leaves, attested.at)?;
    Some(Attestation { signed_root, sample: attested.item.sample, digest: attested.item.digest, path })
}
