//! Results: which entries still count, that a quorum of the committee speaks for each, and what accepting one reserves.

use cpc_primitives::codec::Bounded;
use cpc_primitives::committee::Committee;
use cpc_primitives::limits::COMMITTEE_MAX;
use cpc_primitives::result::{Attestation, ComputeResult, Finding, Outcome, SignedRoot};
use cpc_primitives::state::DueList;
use cpc_primitives::task::{AcceptedJob, DecidedPage};
use cpc_primitives::tx::{AddVerdicts, AddedVerdicts, ResultEntry, SubmitResult};
use cpc_primitives::{Address, Amount, Fault, Gas, Height, JobIndex, TaskId};

use crate::due::Due;
use crate::error::{Failure, Judged, Reject, Skip, Skipped, Stop};
use crate::gas::Repayment;
use crate::port::StateRead;
use crate::session::{Session, TxOutcome};
use crate::supply::{broken, credit, debit};
use crate::tables::TermsOf;
use crate::tasks::{count, discount};
use crate::verify::VerifiedTx;

/// The attestations of one entry.
type Attestations = Bounded<Attestation, COMMITTEE_MAX>;

/// Which members of a committee speak for an entry: bit i is the i-th of the draw.
type Attested = u64;

/// The checks of results or verdicts that need no state (SUB-1).
pub(crate) fn admit<'a>(
    roots: &[SignedRoot],
    entries: impl Iterator<Item = (TaskId, JobIndex, &'a Attestations)>,
) -> Result<(), Reject> {
    let mut last = None;
    for (entry, (task, job, attestations)) in (0u16..).zip(entries) {
        if last.is_some_and(|last| last >= (task, job)) {
            return Err(Reject::EntryOrder { entry });
        }
        last = Some((task, job));
        check_attestations(entry, roots, attestations)?;
    }
    if last.is_some() { Ok(()) } else { Err(Reject::NoEntry) }
}

fn check_attestations(entry: u16, roots: &[SignedRoot], attestations: &Attestations) -> Result<(), Reject> {
    let mut before: Option<&SignedRoot> = None;
    for attestation in attestations {
        let found = attestation.signed_root;
        let unknown = || Reject::UnknownRoot { entry, roots: u16::try_from(roots.len()).unwrap_or(u16::MAX), found };
        let root = roots.get(usize::from(found)).ok_or_else(unknown)?;
        if let Some(before) = before {
            if before.seat >= root.seat {
                return Err(Reject::SeatOrder { entry, seat: root.seat });
            }
            if before.drawn != root.drawn {
                return Err(Reject::MixedDraws { entry, first: before.drawn, found: root.drawn });
            }
        }
        before = Some(root);
    }
    if before.is_some() { Ok(()) } else { Err(Reject::NoAttestation { entry }) }
}

/// What was found of an entry before anything was written.
enum Checked {
    /// These members speak for it, of the committee that was drawn at this height.
    Good { attested: Attested, drawn: Height },
    /// It changes nothing.
    Skipped(Skip),
}

impl<S: StateRead> Session<'_, S> {
    /// Takes the entries that still count, each with the word of a quorum (SUB-2 to SUB-5).
    pub(crate) fn submit(&mut self, tx: &VerifiedTx, submit: &SubmitResult) -> Result<TxOutcome, Stop> {
        let SubmitResult { roots, entries } = submit;
        let mut checked = Vec::with_capacity(entries.len());
        for (number, entry) in (0u16..).zip(entries) {
            checked.push(self.check_entry(number, roots, entry)?);
        }

        // Every check has passed: from here an entry counts, or is skipped for what the entries before it did.
        let mut repayment = Repayment::of_results(roots.len());
        let mut judged = Judged::default();
        for (number, (entry, checked)) in (0u16..).zip(entries.iter().zip(checked)) {
            let skip = match checked {
                Checked::Skipped(skip) => Some(skip),
                Checked::Good { attested, drawn } => {
                    self.decide(tx, entry, attested, drawn, &mut repayment, &mut judged)?
                }
            };
            note(&mut judged, number, skip);
        }
        Ok(TxOutcome::Judged(judged))
    }

    /// Counts verdicts on accepted results whose window is open (SUB-6).
    pub(crate) fn add_verdicts(&mut self, tx: &VerifiedTx, add: &AddVerdicts) -> Result<TxOutcome, Stop> {
        let AddVerdicts { roots, entries } = add;
        let mut checked = Vec::with_capacity(entries.len());
        for (number, entry) in (0u16..).zip(entries) {
            checked.push(self.check_added(number, roots, entry)?);
        }

        // Every check has passed: from here nothing can fail.
        let mut repayment = Repayment::of_verdicts(roots.len());
        let mut judged = Judged::default();
        for (number, (entry, checked)) in (0u16..).zip(entries.iter().zip(checked)) {
            let skip = match checked {
                Checked::Skipped(skip) => Some(skip),
                Checked::Good { attested, drawn } => {
                    let job = self.tables.jobs.there(self.state, &(entry.task, entry.job))?;
                    let before = job.attested;
                    job.attested |= attested;
                    let committee = self.tables.committees.there(self.state, &(entry.task, drawn))?;
                    let new = |attestation: &&Attestation| {
                        let root = roots.get(usize::from(attestation.signed_root));
                        root.and_then(|root| committee.member(root.seat))
                            .is_some_and(|(place, _)| before & bit(place) == 0)
                    };
                    let gas = repayment.entry(entry.attestations.iter().filter(new));
                    self.repay(tx, entry.task, gas, &mut judged)?;
                    None
                }
            };
            note(&mut judged, number, skip);
        }
        Ok(TxOutcome::Judged(judged))
    }

    /// SUB-2, SUB-3: whether an entry still counts, and whether a quorum speaks for it.
    fn check_entry(&mut self, number: u16, roots: &[SignedRoot], entry: &ResultEntry) -> Result<Checked, Stop> {
        let ResultEntry { result, finding, attestations } = entry;
        let (task, job) = (result.task, result.job);
        if let Some(skip) = self.undecidable(task, job)? {
            return Ok(Checked::Skipped(skip));
        }
        let order = &self.tables.terms.there(self.state, &TermsOf(task))?.order;
        let beyond = Failure::NoSuchJob { entry: number, jobs: order.jobs, job };
        let units = order.job_units(job).ok_or(beyond)?;
        if result.kernel != order.kernel {
            return Err(Failure::WrongKernel { entry: number, expected: order.kernel, found: result.kernel }.into());
        }
        let spec = order.spec_hash();
        if result.spec != spec {
            return Err(Failure::WrongSpec { entry: number, expected: spec, found: result.spec }.into());
        }
        if result.units != units {
            return Err(Failure::WrongUnits { entry: number, expected: units, found: result.units }.into());
        }
        let drawn = self.tables.escrows.there(self.state, &task)?.drawn;
        let drawn = drawn.ok_or(Failure::NoCommittee { entry: number, task })?;
        let verdicts = Verdicts { entry: number, roots, result, finding: *finding, attestations };
        if let Some(skip) = verdicts.of_another_draw(drawn) {
            return Ok(Checked::Skipped(skip));
        }
        let committee = self.tables.committees.there(self.state, &(task, drawn))?;
        let attested = verdicts.check(committee)?;
        let found = u16::try_from(attested.count_ones()).expect("64 bits at most");
        if found < committee.quorum {
            return Err(Failure::NoQuorum { entry: number, needed: committee.quorum, found }.into());
        }
        Ok(Checked::Good { attested, drawn })
    }

    /// SUB-6: whether further verdicts on a job still count.
    fn check_added(&mut self, number: u16, roots: &[SignedRoot], entry: &AddedVerdicts) -> Result<Checked, Stop> {
        let AddedVerdicts { task, job, attestations } = entry;
        // What is due at the end of a block may wait for a later one: the window closes nevertheless.
        let accepted = self.tables.jobs.get(self.state, &(*task, *job))?.copied();
        let Some(accepted) = accepted.filter(|accepted| self.height <= accepted.closes) else {
            return Ok(Checked::Skipped(Skip::NotAccepted));
        };
        let AcceptedJob { result, drawn, attested: before, .. } = accepted;
        let verdicts = Verdicts { entry: number, roots, result: &result, finding: Finding::Accept, attestations };
        if let Some(skip) = verdicts.of_another_draw(drawn) {
            return Ok(Checked::Skipped(skip));
        }
        let committee = self.tables.committees.there(self.state, &(*task, drawn))?;
        let attested = verdicts.check(committee)?;
        if attested & !before == 0 {
            return Ok(Checked::Skipped(Skip::AlreadyCounted));
        }
        Ok(Checked::Good { attested, drawn })
    }

    /// SUB-2: why a job can no longer be decided.
    fn undecidable(&mut self, task: TaskId, job: JobIndex) -> Result<Option<Skip>, Fault> {
        let Some(escrow) = self.tables.escrows.get(self.state, &task)?.copied() else {
            return Ok(Some(Skip::TaskEnded));
        };
        if self.is_decided(task, job)? {
            return Ok(Some(Skip::Decided));
        }
        if escrow.closed.is_some() {
            return Ok(Some(Skip::TaskClosed));
        }
        // TSK-7: the first block at or after the deadline is the last to decide a job.
        let deadline = self.tables.terms.there(self.state, &TermsOf(task))?.order.deadline;
        if self.parent_time >= deadline {
            return Ok(Some(Skip::DeadlinePassed { deadline }));
        }
        // TSK-9: what is due may wait for a later block; nothing is decided meanwhile.
        Ok(escrow.cancelled.filter(|ends| self.height > *ends).map(|ends| Skip::Cancelled { ends }))
    }

    fn is_decided(&mut self, task: TaskId, job: JobIndex) -> Result<bool, Fault> {
        let (page, place) = DecidedPage::place(job);
        let decided = self.tables.decided.get(self.state, &(task, page))?.is_some_and(|page| page.has(place));
        #[cfg(feature = "canary")]
        if self.canary == crate::session::Canary::SettleTwice {
            return Ok(self.tables.jobs.get(self.state, &(task, job))?.is_some());
        }
        Ok(decided)
    }

    /// Does what a quorum found of a job, unless an entry before this one was in its way (SUB-4, SUB-7).
    fn decide(
        &mut self,
        tx: &VerifiedTx,
        entry: &ResultEntry,
        attested: Attested,
        drawn: Height,
        repayment: &mut Repayment,
        judged: &mut Judged,
    ) -> Result<Option<Skip>, Fault> {
        let ResultEntry { result, finding, attestations } = entry;
        if let Some(skip) = self.undecidable(result.task, result.job)? {
            return Ok(Some(skip));
        }
        let outcome = match finding {
            Finding::Accept => match self.reserve(result)? {
                Err(skip) => return Ok(Some(skip)),
                Ok(reserved) => {
                    self.accept(result, attested, drawn, reserved)?;
                    None
                }
            },
            Finding::BadSpec => Some(Outcome::BadSpec),
            Finding::InputUnavailable => Some(Outcome::InputUnavailable),
        };
        self.repay(tx, result.task, repayment.entry(attestations.iter()), judged)?;
        if let Some(outcome) = outcome {
            // SUB-7: the members that found it have their share of the fee.
            let committee = self.tables.committees.there(self.state, &(result.task, drawn))?;
            let seats = committee.members.len();
            let attesters = attesters(committee, attested);
            self.close(result.task, outcome, Some((attesters, seats)))?;
        }
        Ok(None)
    }

    /// SUB-4: takes the part of the worker's bond that stands for a job out of what is free.
    fn reserve(&mut self, result: &ComputeResult) -> Result<Result<Amount, Skip>, Fault> {
        let order = &self.tables.terms.there(self.state, &TermsOf(result.task))?.order;
        let reward = order.job_reward(result.job).unwrap_or_default();
        let factor = self.params.bond_factor_of(order.assurance);
        // A product beyond all money is more than any bond.
        let needed = reward.checked_mul(factor.into()).unwrap_or(Amount::MAX);
        let Some(worker) = self.tables.workers.get(self.state, &result.worker)?.copied() else {
            return Ok(Err(Skip::NotAWorker { worker: result.worker }));
        };
        let free = worker.free();
        if free < needed {
            return Ok(Err(Skip::BondTooSmall { free, needed }));
        }
        let reserved = &mut self.tables.workers.there(self.state, &result.worker)?.reserved;
        credit(reserved, needed, "a reserved bond")?;
        Ok(Ok(needed))
    }

    /// SUB-5: from here on the window is open.
    fn accept(
        &mut self,
        result: &ComputeResult,
        attested: Attested,
        drawn: Height,
        reserved: Amount,
    ) -> Result<(), Fault> {
        let (task, job) = (result.task, result.job);
        let reward = self.tables.terms.there(self.state, &TermsOf(task))?.order.job_reward(job).unwrap_or_default();
        let (page, place) = DecidedPage::place(job);
        let decided = self.tables.decided.get(self.state, &(task, page))?.cloned().unwrap_or_default().with(place);
        self.tables.decided.set(self.state, &(task, page), decided)?;

        let escrow = self.tables.escrows.there(self.state, &task)?;
        debit(&mut escrow.open, reward, "an escrow's open jobs")?;
        credit(&mut escrow.accepted, reward, "an escrow's accepted jobs")?;
        let lost = || broken(format!("TSK-5: task {task} has no open job"));
        escrow.open_jobs = escrow.open_jobs.checked_sub(1).ok_or_else(lost)?;
        escrow.accepted_jobs = escrow.accepted_jobs.saturating_add(1);
        escrow.progress = self.height;
        let committee = self.tables.committees.there(self.state, &(task, drawn))?;
        committee.pending = committee.pending.saturating_add(1);

        let window = u64::from(self.params.challenge_window_blocks);
        let closes = Height(self.height.0.saturating_add(window));
        #[cfg(feature = "canary")]
        let closes = if self.canary == crate::session::Canary::SkipWindow { self.height } else { closes };
        self.tables.put(self.state, DueList::Heights, closes.0, Due::Window(task, job))?;
        let accepted = AcceptedJob { result: *result, drawn, closes, reserved, attested };
        self.tables.jobs.set(self.state, &(task, job), accepted)?;
        discount(&mut self.tables.tally.open_jobs, 1)?;
        count(&mut self.tables.tally.accepted_jobs, 1)?;
        self.results.push(*result);
        Ok(())
    }

    /// Gives gas back to a transaction's sender, at the lower of both prices and out of what its task paid ahead (GAS-8).
    fn repay(&mut self, tx: &VerifiedTx, task: TaskId, gas: Gas, judged: &mut Judged) -> Result<(), Fault> {
        let ahead = self.tables.terms.there(self.state, &TermsOf(task))?.gas_price;
        let price = tx.tx().body.gas_price.min(ahead);
        let escrow = self.tables.escrows.there(self.state, &task)?;
        let amount = price.checked_mul(gas.0).unwrap_or(Amount::MAX).min(escrow.gas);
        debit(&mut escrow.gas, amount, "the gas paid ahead")?;
        debit(&mut self.supply.escrow, amount, "the escrow")?;
        credit(&mut judged.repaid, amount, "what a transaction is given back")?;
        self.pay(&tx.sender(), amount)
    }
}

/// What the seats of an entry say, before it is known whether they are of the committee.
struct Verdicts<'a> {
    entry: u16,
    roots: &'a [SignedRoot],
    result: &'a ComputeResult,
    finding: Finding,
    attestations: &'a Attestations,
}

impl Verdicts<'_> {
    /// SUB-2: a committee that was drawn anew has overtaken the verdicts of the one before it.
    fn of_another_draw(&self, expected: Height) -> Option<Skip> {
        let first = self.attestations.first()?;
        let found = self.roots.get(usize::from(first.signed_root))?.drawn;
        (found != expected).then_some(Skip::OtherDraw { expected, found })
    }

    /// Which members of the committee speak, each under its own key and root (SUB-3).
    fn check(&self, committee: &Committee) -> Result<Attested, Failure> {
        let Self { entry, roots, result, finding, attestations } = *self;
        let mut attested = 0;
        for attestation in attestations {
            let root = &roots[usize::from(attestation.signed_root)];
            let seat = root.seat;
            let (place, member) = committee.member(seat).ok_or(Failure::NotAMember { entry, seat })?;
            if member.key != root.key {
                return Err(Failure::WrongKey { entry, seat, expected: member.key, found: root.key });
            }
            let under_root = attestation.verify(result, finding, root);
            under_root.map_err(|_| Failure::NotUnderRoot { entry, seat })?;
            attested |= bit(place);
        }
        Ok(attested)
    }
}

/// The accounts of the members that speak for an entry.
pub(crate) fn attesters(committee: &Committee, attested: Attested) -> Vec<Address> {
    let members = committee.members.iter().enumerate();
    members.filter(|(place, _)| attested & bit(*place) != 0).map(|(_, member)| member.account).collect()
}

/// The bit of a place in a committee.
fn bit(place: usize) -> Attested {
    u32::try_from(place).ok().and_then(|place| 1u64.checked_shl(place)).expect("a committee has at most 64 places")
}

fn note(judged: &mut Judged, entry: u16, skip: Option<Skip>) {
    match skip {
        None => judged.counted = judged.counted.saturating_add(1),
        Some(reason) => {
            judged.skipped = judged.skipped.saturating_add(1);
            judged.first = judged.first.or(Some(Skipped { entry, reason }));
        }
    }
}
