//! What a block's changes do to the pages of one bucket.

use std::sync::Arc;

use cpc_primitives::Fault;
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::{KeyHash, Part};

use crate::page::{Body, Entry, Inner, LEAF_ENTRIES_MAX, NIBBLES_MAX, Page, PageId};

/// What becomes of one key.
pub(crate) struct Change<'a> {
    /// Its place.
    pub(crate) hash: KeyHash,
    /// The key.
    pub(crate) key: &'a StateKey,
    /// The new value, or that there is none from now on.
    pub(crate) value: Option<&'a [u8]>,
}

/// What becomes of one page.
#[derive(Clone, Debug)]
pub(crate) struct ChangedPage {
    pub(crate) id: PageId,
    /// What it was under the parent.
    pub(crate) old: Option<Arc<Page>>,
    /// What it is now.
    pub(crate) new: Option<Arc<Page>>,
}

/// Where the pages below a page come from.
pub(crate) trait Pages {
    /// Why a page cannot be had.
    type Error: From<Fault>;

    /// The page below, which is this part of the bucket and not empty.
    fn child(&self, id: &PageId, part: Part) -> Result<Arc<Page>, Self::Error>;
}

/// Applies changes, in the order of their hashes, to the page at `id`; the changed pages *below* go to `out`.
///
/// Nothing came of the changes exactly where the same page comes back. The pages that result depend on the entries
/// alone, not on the order in which they came (TRE-2).
pub(crate) fn apply<P: Pages>(
    pages: &P,
    id: &PageId,
    old: Option<&Arc<Page>>,
    changes: &[Change<'_>],
    out: &mut Vec<ChangedPage>,
) -> Result<Option<Arc<Page>>, P::Error> {
    let Some(page) = old else {
        return Ok(grow(id, merge(&[], changes).unwrap_or_default(), out)?);
    };
    match page.body() {
        Body::Leaf(entries) => {
            if let Some(entry) = replace_only(entries, changes) {
                return Ok(Some(Arc::new(Page::of_one(entry))));
            }
            match merge(entries, changes) {
                None => Ok(Some(Arc::clone(page))),
                Some(entries) => Ok(grow(id, entries, out)?),
            }
        }
        Body::Inner(inner) => below(pages, id, (page, inner), changes, out),
    }
}

/// Whether two pages are one and the same.
pub(crate) fn same_page(a: Option<&Arc<Page>>, b: Option<&Arc<Page>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

/// The entry that comes in place of the only one, which is the commonest change by far.
fn replace_only(entries: &[Entry], changes: &[Change<'_>]) -> Option<Entry> {
    match (entries, changes) {
        ([old], [Change { hash, key, value: Some(value) }]) if old.hash() == hash && old.value() != *value => {
            Some(Entry::new(*hash, key.bytes(), value))
        }
        _ => None,
    }
}

/// The entries after the changes, or `None` where they are the same.
fn merge(entries: &[Entry], changes: &[Change<'_>]) -> Option<Vec<Entry>> {
    // Room for exactly what there will be, so that the page takes the list as it is.
    let known = changes.iter().filter(|change| entries.iter().any(|entry| *entry.hash() == change.hash)).count();
    let mut merged = Vec::with_capacity(entries.len() + changes.len() - known);
    let mut left = entries.iter().peekable();
    let mut differs = false;
    for change in changes {
        while let Some(before) = left.next_if(|entry| *entry.hash() < change.hash) {
            merged.push(before.clone());
        }
        let old = left.next_if(|entry| *entry.hash() == change.hash);
        match (old, change.value) {
            (Some(old), Some(value)) if old.value() == value => merged.push(old.clone()),
            (None, None) => {}
            (_, Some(value)) => {
                merged.push(Entry::new(change.hash, change.key.bytes(), value));
                differs = true;
            }
            (Some(_), None) => differs = true,
        }
    }
    merged.extend(left.cloned());
    differs.then_some(merged)
}

/// Makes the page of entries, with pages below it where they are too many for one.
pub(crate) fn grow(id: &PageId, entries: Vec<Entry>, out: &mut Vec<ChangedPage>) -> Result<Option<Arc<Page>>, Fault> {
    if entries.is_empty() {
        return Ok(None);
    }
    if entries.len() <= LEAF_ENTRIES_MAX {
        return Ok(Some(Arc::new(Page::leaf(id, entries))));
    }
    if id.nibbles() == NIBBLES_MAX {
        return Err(Fault::Invariant { detail: format!("{} keys have one hash", entries.len()) });
    }
    let mut children = [Part::Empty; 16];
    for group in entries.chunk_by(|a, b| id.nibble_of(a.hash()) == id.nibble_of(b.hash())) {
        let nibble = id.nibble_of(group[0].hash());
        let child = id.child(nibble);
        let new = grow(&child, group.to_vec(), out)?;
        children[usize::from(nibble)] = part_of(new.as_ref());
        out.push(ChangedPage { id: child, old: None, new });
    }
    let count = u64::try_from(entries.len()).expect("what is in memory fits 64 bits");
    Ok(Some(Arc::new(Page::inner(Inner::new(count, &children)))))
}

/// Applies changes to the pages below an inner page, which comes with what is in it.
fn below<P: Pages>(
    pages: &P,
    id: &PageId,
    (page, inner): (&Arc<Page>, &Inner),
    changes: &[Change<'_>],
    out: &mut Vec<ChangedPage>,
) -> Result<Option<Arc<Page>>, P::Error> {
    let mut count = inner.count();
    let mut touched: Vec<(u8, ChangedPage)> = Vec::new();
    for group in changes.chunk_by(|a, b| id.nibble_of(&a.hash) == id.nibble_of(&b.hash)) {
        let nibble = id.nibble_of(&group[0].hash);
        let child = id.child(nibble);
        let old = match inner.child(nibble) {
            Part::Empty => None,
            part => Some(pages.child(&child, part)?),
        };
        let new = apply(pages, &child, old.as_ref(), group, out)?;
        if !same_page(old.as_ref(), new.as_ref()) {
            let entries = |page: &Option<Arc<Page>>| page.as_ref().map_or(0, |page| page.count());
            count = count.checked_sub(entries(&old)).ok_or_else(|| miscounted(id))? + entries(&new);
            touched.push((nibble, ChangedPage { id: child, old, new }));
        }
    }
    if touched.is_empty() {
        return Ok(Some(Arc::clone(page)));
    }
    let few = u64::try_from(LEAF_ENTRIES_MAX).expect("a small number");
    if count <= few {
        return shrink(pages, id, inner, touched, out);
    }
    let mut inner = inner.clone();
    inner.set_count(count);
    let mut changed = 0;
    for (nibble, page) in touched {
        inner.set_child(nibble, part_of(page.new.as_ref()));
        changed |= 1 << nibble;
        out.push(page);
    }
    inner.rejoin(changed);
    Ok(Some(Arc::new(Page::inner(inner))))
}

/// Takes the few entries that are left below an inner page into one that holds them itself.
fn shrink<P: Pages>(
    pages: &P,
    id: &PageId,
    inner: &Inner,
    touched: Vec<(u8, ChangedPage)>,
    out: &mut Vec<ChangedPage>,
) -> Result<Option<Arc<Page>>, P::Error> {
    let mut entries = Vec::with_capacity(LEAF_ENTRIES_MAX);
    let mut touched = touched.into_iter().peekable();
    for nibble in 0..16 {
        let child = id.child(nibble);
        let (old, new) = match (touched.next_if(|(at, _)| *at == nibble), inner.child(nibble)) {
            (Some((_, page)), _) => (page.old, page.new),
            (None, Part::Empty) => continue,
            (None, part) => {
                let page = pages.child(&child, part)?;
                (Some(Arc::clone(&page)), Some(page))
            }
        };
        if let Some(page) = &new {
            entries.extend_from_slice(page.entries().ok_or_else(|| miscounted(id))?);
        }
        if old.is_some() {
            out.push(ChangedPage { id: child, old, new: None });
        }
    }
    if entries.len() > LEAF_ENTRIES_MAX {
        return Err(miscounted(id).into());
    }
    Ok(grow(id, entries, out)?)
}

fn part_of(page: Option<&Arc<Page>>) -> Part {
    page.map_or(Part::Empty, |page| page.part())
}

fn miscounted(id: &PageId) -> Fault {
    Fault::Damaged { detail: format!("page {:?} does not count the entries below it rightly", id.row()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cpc_primitives::Digest;
    use proptest::prelude::*;

    use super::*;
    use crate::page::fold;

    /// Pages in a map, with every page's row read back from its bytes.
    #[derive(Default)]
    struct Map(BTreeMap<PageId, Arc<Page>>);

    impl Pages for Map {
        type Error = Fault;

        fn child(&self, id: &PageId, part: Part) -> Result<Arc<Page>, Fault> {
            let page = self.0.get(id).expect("a part that is not empty has a page");
            assert_eq!(page.part(), part);
            Ok(Arc::clone(page))
        }
    }

    impl Map {
        fn apply(&mut self, id: &PageId, changes: &[Change<'_>]) {
            let old = self.0.get(id).cloned();
            let mut out = Vec::new();
            let new = apply(self, id, old.as_ref(), changes, &mut out).expect("nothing is damaged");
            if !same_page(old.as_ref(), new.as_ref()) {
                out.push(ChangedPage { id: *id, old, new });
            }
            for page in out {
                assert!(same_page(self.0.get(&page.id), page.old.as_ref()), "a change says what it replaces");
                match page.new {
                    None => self.0.remove(&page.id),
                    Some(new) => {
                        let back = Page::decode(&page.id, &new.encode());
                        // The tests' hashes are not those of their keys, so only inner pages can be read back.
                        assert!(new.entries().is_some() || back.is_ok_and(|back| back.part() == new.part()));
                        self.0.insert(page.id, new)
                    }
                };
            }
        }
    }

    /// A hash with few random bits, so that keys crowd: a wide top, or a long common way.
    fn crowded() -> impl Strategy<Value = KeyHash> {
        (0usize..28, 0u8..4, 0u8..64).prop_map(|(at, top, low)| {
            let mut hash = [0; 32];
            hash[2] = top << 2;
            hash[3 + at] = low;
            KeyHash(Digest(hash))
        })
    }

    proptest! {
        #[test]
        fn pages_depend_on_the_entries_alone(
            rounds in prop::collection::vec(
                prop::collection::btree_map(crowded(), prop::option::weighted(0.6, 0u8..3), 1..60), 1..12),
            at_once in any::<bool>(),
        ) {
            let key = StateKey::raw(b"any").expect("short");
            let id = PageId::root(0);
            let (mut map, mut sum) = (Map::default(), BTreeMap::new());
            let values: Vec<[u8; 1]> = (0..3).map(|n| [n]).collect();
            for round in rounds {
                let changes: Vec<Change<'_>> = round
                    .iter()
                    .map(|(hash, value)| Change {
                        hash: *hash,
                        key: &key,
                        value: value.map(|n| values[usize::from(n)].as_slice()),
                    })
                    .collect();
                map.apply(&id, &changes);
                for (hash, value) in round {
                    match value {
                        Some(n) => sum.insert(hash, n),
                        None => sum.remove(&hash),
                    };
                }
                let entries: Vec<Entry> = sum.iter().map(|(hash, n)| Entry::new(*hash, key.bytes(), &[*n])).collect();
                prop_assert_eq!(part_of(map.0.get(&id)), fold(&entries, 0));

                // The same entries at once give the same pages, bytes and all.
                let mut fresh = Map::default();
                let all: Vec<Change<'_>> = sum
                    .iter()
                    .map(|(hash, n)| Change { hash: *hash, key: &key, value: Some(values[usize::from(*n)].as_slice()) })
                    .collect();
                fresh.apply(&id, &all);
                let bytes = |map: &Map| map.0.iter().map(|(id, page)| (*id, page.encode())).collect::<Vec<_>>();
                prop_assert_eq!(bytes(&map), bytes(&fresh));
            }

            // Without its entries the bucket is empty, at once or one by one.
            let hashes: Vec<KeyHash> = sum.into_keys().collect();
            for some in hashes.chunks(if at_once { hashes.len().max(1) } else { 1 }) {
                let gone: Vec<Change<'_>> =
                    some.iter().map(|hash| Change { hash: *hash, key: &key, value: None }).collect();
                map.apply(&id, &gone);
            }
            prop_assert!(map.0.is_empty());
        }
    }

    #[test]
    fn a_change_that_changes_nothing_leaves_the_same_page() {
        let keys: Vec<StateKey> = (0u8..20).map(|n| StateKey::raw(&[n]).expect("short")).collect();
        for count in [1usize, 20] {
            let hash = |n: usize| {
                let mut hash = [0; 32];
                hash[3] = u8::try_from(n * 12).expect("a byte");
                KeyHash(Digest(hash))
            };
            let mut map = Map::default();
            let all: Vec<Change<'_>> =
                (0..count).map(|n| Change { hash: hash(n), key: &keys[n], value: Some(&[1]) }).collect();
            map.apply(&PageId::root(0), &all);
            let before = map.0.clone();
            map.apply(&PageId::root(0), &all);
            let absent = Change { hash: KeyHash(Digest([0x0f; 32])), key: &keys[0], value: None };
            let mut below = absent;
            below.hash.0.0[..3].copy_from_slice(&[0; 3]);
            map.apply(&PageId::root(0), &[below]);
            assert!(before.iter().all(|(id, page)| Arc::ptr_eq(page, &map.0[id])) && before.len() == map.0.len());
        }
    }
}
