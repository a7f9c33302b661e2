//! The verdicts of this node, in pages of which each has one signed root.
//!
//! A page holds what is not decided yet, and is signed as a whole each time: so one signature covers many jobs, and the
//! newest root of each seat is enough to submit a page (MKT-13).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cpc_market_wire::limits::ITEMS_MAX;
use cpc_market_wire::{Message, Refusal, Reply, VerdictItem, Verdicts};
use cpc_primitives::codec::Bounded;
use cpc_primitives::ids::{Height, JobIndex, TaskId};
use cpc_primitives::result::{Finding, SignedRoot};
use cpc_primitives::{Digest, PublicKey, merkle};

use super::{Effect, JobKey, Market, Tag, in_parts};
use crate::count::since;
use crate::journal::Record;
use crate::limits::RETRY_BLOCKS;
use crate::task::{Attested, Root, Stage};

/// Jobs of one task whose verdicts share a page.
const PAGE_JOBS: u32 = 128;

/// Which page: that of a draw, and of a run of job numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct PageId {
    drawn: Height,
    group: u32,
}

impl PageId {
    pub(super) fn of(drawn: Height, job: JobIndex) -> Self {
        Self { drawn, group: job.0.checked_div(PAGE_JOBS).unwrap_or(0) }
    }
}

impl PageId {
    /// Whether it is a page of this draw.
    pub(super) fn is_of(&self, drawn: Height) -> bool {
        self.drawn == drawn
    }
}

impl From<(Height, u32)> for PageId {
    fn from((drawn, group): (Height, u32)) -> Self {
        Self { drawn, group }
    }
}

/// All pages.
#[derive(Default)]
pub(super) struct Book {
    pages: BTreeMap<PageId, Page>,
    /// Pages whose root lacks a verdict.
    stale: BTreeSet<PageId>,
}

/// One page.
struct Page {
    /// The number of this node's seat.
    seat: u16,
    items: BTreeMap<JobKey, VerdictItem>,
    /// What no record holds yet.
    unsaved: Vec<VerdictItem>,
    /// What was signed last.
    signed: Option<Arc<Verdicts>>,
    version: u64,
    /// Who was told which state, and when; whether it said that it has it.
    told: BTreeMap<PublicKey, Told>,
}

#[derive(Clone, Copy)]
struct Told {
    version: u64,
    at: Height,
    is_known: bool,
}

impl Book {
    /// Adds a verdict. One that stands stays: a node says one thing of a job.
    pub(super) fn write(&mut self, id: PageId, seat: u16, item: VerdictItem) {
        let key = (item.result.task, item.result.job);
        let page = self.page(id, seat);
        if page.items.contains_key(&key) {
            return;
        }
        page.items.insert(key, item);
        page.unsaved.push(item);
        self.stale.insert(id);
    }

    /// Puts a verdict of the journal back.
    pub(super) fn restore(&mut self, id: PageId, seat: u16, item: VerdictItem) {
        let page = self.page(id, seat);
        page.items.entry((item.result.task, item.result.job)).or_insert(item);
        self.stale.insert(id);
    }

    fn page(&mut self, id: PageId, seat: u16) -> &mut Page {
        self.pages.entry(id).or_insert_with(|| Page {
            seat,
            items: BTreeMap::new(),
            unsaved: Vec::new(),
            signed: None,
            version: 0,
            told: BTreeMap::new(),
        })
    }

    /// A job is over: its verdict makes room.
    pub(super) fn strike_out(&mut self, key: &JobKey) {
        let group = PageId::of(Height(0), key.1).group;
        for (id, page) in self.pages.iter_mut().filter(|(id, _)| id.group == group) {
            // What was beyond the limit of a root comes in now.
            if page.items.remove(key).is_some() && page.items.len() >= ITEMS_MAX {
                self.stale.insert(*id);
            }
        }
        self.pages.retain(|_, page| !page.items.is_empty());
    }

    /// A round is over.
    pub(super) fn strike_out_task(&mut self, task: TaskId) {
        for page in self.pages.values_mut() {
            page.items.retain(|(of, _), _| *of != task);
        }
        self.pages.retain(|_, page| !page.items.is_empty());
    }

    /// Somebody is gone, and may have lost what it was told.
    pub(super) fn forget_reader(&mut self, reader: &PublicKey) {
        for page in self.pages.values_mut() {
            page.told.remove(reader);
        }
    }

    pub(super) fn acknowledged(&mut self, page: PageId, by: PublicKey, version: u64) {
        let told = self.pages.get_mut(&page).and_then(|page| page.told.get_mut(&by));
        if let Some(told) = told.filter(|told| told.version == version) {
            told.is_known = true;
        }
    }
}

impl Market {
    /// Signs every page that has something new; the record comes first.
    pub(super) fn sign_pages(&mut self, out: &mut Vec<Effect>) {
        let mut signed = Vec::new();
        for id in core::mem::take(&mut self.book.stale) {
            let Some(page) = self.book.pages.get_mut(&id).filter(|page| !page.items.is_empty()) else { continue };
            for items in in_parts(&core::mem::take(&mut page.unsaved)) {
                out.push(Effect::Journal(Record::Judged { drawn: id.drawn, items }));
            }
            let items: Vec<VerdictItem> = page.items.values().take(ITEMS_MAX).copied().collect();
            let leaves: Vec<Digest> = items.iter().map(|item| item.of(page.seat).leaf()).collect();
            let root = merkle::root(&leaves);
            let (key, seat, drawn) = (&self.config.verdict, page.seat, id.drawn);
            let items = Bounded::new(items).expect("no more than were taken");
            let verdicts = Verdicts { signed: SignedRoot::sign(key, self.config.chain, drawn, seat, root), items };
            page.version = page.version.saturating_add(1);
            page.signed = Some(Arc::new(verdicts.clone()));
            signed.push((id, verdicts, leaves));
        }
        let pages: BTreeSet<PageId> = signed.iter().map(|(id, ..)| *id).collect();
        for (page, verdicts, leaves) in signed {
            self.collect(page, &verdicts, leaves);
        }
        self.tell_pages(Some(&pages), out);
    }

    /// Brings each page, or each of these, to whoever orchestrates its tasks now.
    pub(super) fn tell_pages(&mut self, only: Option<&BTreeSet<PageId>>, out: &mut Vec<Effect>) {
        let now = self.now.height;
        let wanted: Vec<(PageId, Vec<PublicKey>)> = self
            .book
            .pages
            .iter()
            .filter(|(id, _)| only.is_none_or(|only| only.contains(id)))
            .filter_map(|(id, page)| Some((*id, self.readers(id, page.signed.as_ref()?))))
            .collect();
        for (id, readers) in wanted {
            let Some(page) = self.book.pages.get_mut(&id) else { continue };
            page.told.retain(|reader, _| readers.contains(reader));
            for to in readers {
                let told = page.told.get(&to).copied();
                let is_due = told.is_none_or(|told| {
                    told.version != page.version || (!told.is_known && since(now, told.at) >= RETRY_BLOCKS)
                });
                let (Some(signed), true) = (&page.signed, is_due) else { continue };
                page.told.insert(to, Told { version: page.version, at: now, is_known: false });
                let tag = Tag::Verdicts { page: (id.drawn, id.group), version: page.version };
                out.push(Effect::Send { to, message: Message::Verdicts(Verdicts::clone(signed)), tag });
            }
        }
    }

    /// Who needs a page: the orchestrators of its tasks, as long as something of it does not count on the chain.
    fn readers(&self, id: &PageId, verdicts: &Verdicts) -> Vec<PublicKey> {
        let mut readers = Vec::new();
        for item in &verdicts.items {
            let Some(task) = self.tasks.get(&item.result.task) else { continue };
            let Some(round) = task.round.as_ref().filter(|round| round.committee.drawn == id.drawn) else { continue };
            let state = round.jobs.get(&item.result.job);
            let accepted = state.and_then(|state| state.accepted.as_ref());
            let counts = accepted.is_some_and(|accepted| round.own.is_some_and(|own| accepted.seats.has(own)));
            if counts || task.stage(item.result.job) == Some(Stage::Ended) {
                continue;
            }
            let turn = round.committee.orchestrator(self.now.height, self.config.rotation_blocks);
            let turn = turn.filter(|turn| Some(*turn) != round.own);
            if let Some(seat) = turn.and_then(|turn| round.committee.seat(turn)) {
                readers.push(seat.network);
            }
        }
        readers.sort_unstable();
        readers.dedup();
        readers
    }

    /// Verdicts of another seat.
    pub(super) fn verdicts_told(&mut self, from: PublicKey, verdicts: Verdicts) -> Reply {
        let (drawn, seat) = (verdicts.signed.drawn, verdicts.signed.seat);
        let Some(first) = verdicts.items.first() else { return Reply::Refused(Refusal::UnknownJob) };
        let page = PageId::of(drawn, first.result.job);
        if verdicts.items.iter().any(|item| PageId::of(drawn, item.result.job) != page) {
            return Reply::Refused(Refusal::Differs);
        }
        // Only a seat's own connection is worth the check of a signature, and only of a task that is open here.
        let sits = |item: &VerdictItem| {
            let round = self.tasks.get(&item.result.task)?.round.as_ref()?;
            let sits = round.committee.seat(round.committee.by_number(seat)?)?;
            (round.committee.drawn == drawn && round.own.is_some() && sits.network == from).then_some(sits.verdict)
        };
        let Some(key) = verdicts.items.iter().find_map(sits) else { return Reply::Refused(Refusal::NotMember) };
        let leaves: Vec<Digest> = verdicts.items.iter().map(|item| item.of(seat).leaf()).collect();
        let claim = verdicts.signed.claim(self.config.chain);
        if merkle::root(&leaves) != verdicts.signed.root || claim.key != key || claim.verify().is_err() {
            return Reply::Refused(Refusal::BadSignature);
        }
        self.collect(page, &verdicts, leaves);
        Reply::taken()
    }

    /// Keeps the newest root of a seat; what an older one said alone is let go with it.
    fn collect(&mut self, page: PageId, verdicts: &Verdicts, leaves: Vec<Digest>) {
        let number = verdicts.signed.seat;
        let keys: Vec<JobKey> = verdicts.items.iter().map(|item| (item.result.task, item.result.job)).collect();
        let root = Arc::new(Root { signed: verdicts.signed, leaves, keys });
        if let Some(old) = self.roots.insert((page, number), root.clone()) {
            for (task, job) in &old.keys {
                let Some(round) = self.round_mut(*task, page.drawn) else { continue };
                let Some(place) = round.committee.by_number(number) else { continue };
                if let Some(state) = round.jobs.get_mut(job) {
                    state.verdicts.remove(&place);
                }
            }
        }
        for (at, item) in verdicts.items.iter().enumerate() {
            if self.is_sound(item) {
                self.attested(page, number, Attested { item: *item, root: root.clone(), at });
            }
        }
    }

    /// MKT-11: a verdict that names another part, price or spec than the plan is no verdict on this job.
    fn is_sound(&self, item: &VerdictItem) -> bool {
        let Some(task) = self.tasks.get(&item.result.task) else { return false };
        let stage = task.stage(item.result.job);
        if stage.is_none_or(|stage| stage == Stage::Ended) {
            return false;
        }
        let claimed = &item.result;
        match (item.finding, &task.plan) {
            (Finding::Accept, Ok(plan)) => {
                let ours = plan.result(claimed.job, claimed.worker, claimed.output, claimed.output_bytes);
                ours == Some(*claimed)
            }
            (Finding::Accept, Err(_)) => false,
            _ => *claimed == crate::plan::closing_result(claimed.task, &task.order),
        }
    }

    fn attested(&mut self, page: PageId, number: u16, attested: Attested) {
        let (task, job) = (attested.item.result.task, attested.item.result.job);
        let Some(round) = self.round_mut(task, page.drawn) else { return };
        let Some(place) = round.committee.by_number(number) else { return };
        let state = round.jobs.entry(job).or_default();
        // A seat that says another thing now than before is not believed the second time.
        let before = state.said.entry(place).or_insert((attested.item.result, attested.item.finding));
        if *before == (attested.item.result, attested.item.finding) {
            state.verdicts.insert(place, attested);
            let is_ready = state.decided(round.committee.quorum).is_some();
            if is_ready {
                round.ready.insert(job);
            }
        }
        self.dirty.insert(task);
    }
}
