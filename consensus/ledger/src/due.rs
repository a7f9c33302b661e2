//! What is due at a height or at a time: lists in the state, worked off at the end of each block by a bounded number.

use cpc_primitives::codec::Bounded;
use cpc_primitives::limits::DUE_PAGE_ITEMS;
use cpc_primitives::state::DueList;
use cpc_primitives::{Fault, JobIndex, TaskId};
use wincode::{SchemaRead, SchemaWrite};

use crate::port::StateRead;
use crate::supply::broken;
use crate::tables::Tables;

/// What falls due (DUE-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum Due {
    /// It was done, or is no longer needed.
    Nothing,
    /// A task needs a committee, or a look at the one that it has.
    Committee(TaskId),
    /// The window of an accepted job closes.
    Window(TaskId, JobIndex),
    /// A task that its customer called off ends.
    Cancelled(TaskId),
    /// A task reaches its deadline.
    Deadline(TaskId),
}

/// How much is due at one place of a list (DUE-2, STATE-16).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, SchemaRead, SchemaWrite)]
pub struct DuePlace {
    /// How many items were ever put there.
    pub items: u32,
    /// How many of them are left.
    pub left: u32,
}

/// So many items of a place, in the order in which they were put there (DUE-2).
#[derive(Clone, PartialEq, Eq, Debug, Default, SchemaRead, SchemaWrite)]
pub struct DuePage {
    /// How many of them are left.
    pub left: u32,
    /// The items.
    pub items: Bounded<Due, DUE_PAGE_ITEMS>,
}

/// How far a list is worked off (DUE-3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, SchemaRead, SchemaWrite)]
pub struct Cursor {
    /// No place before this one has an item.
    pub place: u64,
    /// Of this place no item before this one is left.
    pub item: u32,
    /// How many items the whole list has.
    pub left: u64,
}

/// What the next look at a list finds.
pub(crate) enum Next {
    /// Nothing is due now.
    Done,
    /// A place, or an item of it, that holds nothing.
    Gap,
    /// This is due, and no longer on the list.
    Item(Due),
}

impl Tables {
    /// Puts an item on a list, at a place that is not due yet, and says where there (DUE-2).
    pub(crate) fn put<S: StateRead>(&mut self, state: &S, list: DueList, place: u64, due: Due) -> Result<u32, Fault> {
        let mut there = self.due_places.get(state, &(list, place))?.copied().unwrap_or_default();
        let (number, (page, slot)) = (there.items, page_of(there.items));
        let mut items = self.due_pages.get(state, &(list, place, page))?.cloned().unwrap_or_default();
        let full = |_| broken(format!("DUE-2: page {page} of {list:?} {place} is full before its place is"));
        // A page whose items were all taken back was removed; the numbers of later items go on.
        while items.items.len() < slot {
            items.items.push(Due::Nothing).map_err(full)?;
        }
        items.items.push(due).map_err(full)?;
        items.left = items.left.saturating_add(1);
        self.due_pages.set(state, &(list, place, page), items)?;
        let overfull = || broken(format!("DUE-2: {list:?} {place} has too many items"));
        there.items = there.items.checked_add(1).ok_or_else(overfull)?;
        there.left = there.left.saturating_add(1);
        self.due_places.set(state, &(list, place), there)?;

        let cursor = self.cursor(list);
        // DUE-3: an empty list begins at its first item; an item before all others is the new beginning.
        if cursor.left == 0 || place < cursor.place {
            (cursor.place, cursor.item) = (place, 0);
        }
        cursor.left = cursor.left.checked_add(1).ok_or_else(overfull)?;
        Ok(number)
    }

    /// Takes an item off a list; `Due::Nothing` where it is not there any more.
    pub(crate) fn take<S: StateRead>(&mut self, state: &S, list: DueList, place: u64, item: u32) -> Result<Due, Fault> {
        let (page, slot) = page_of(item);
        let name = (list, place, page);
        if self.due_pages.get(state, &name)?.is_none() {
            return Ok(Due::Nothing);
        }
        let items = self.due_pages.there(state, &name)?;
        let found = items.items.get_mut(slot).map_or(Due::Nothing, |due| core::mem::replace(due, Due::Nothing));
        if found == Due::Nothing {
            return Ok(found);
        }
        let less = |count: &mut u32| {
            *count = count.saturating_sub(1);
            *count == 0
        };
        // DUE-2: what has no item left is removed, so that the lists are as long as what is due.
        if less(&mut items.left) {
            self.due_pages.remove(state, &name)?;
        }
        if less(&mut self.due_places.there(state, &(list, place))?.left) {
            self.due_places.remove(state, &(list, place))?;
        }
        let cursor = self.cursor(list);
        let missing = || broken(format!("DUE-3: {list:?} {place} has an item, but its list is empty"));
        cursor.left = cursor.left.checked_sub(1).ok_or_else(missing)?;
        Ok(found)
    }

    /// The next item at a place up to `now` (DUE-3).
    pub(crate) fn next_due<S: StateRead>(&mut self, state: &S, list: DueList, now: u64) -> Result<Next, Fault> {
        let Cursor { place, item, left } = *self.cursor(list);
        if left == 0 || place > now {
            return Ok(Next::Done);
        }
        let there = self.due_places.get(state, &(list, place))?;
        if there.is_none_or(|there| item >= there.items) {
            let end = || broken(format!("DUE-3: no place of {list:?} follows {place}"));
            let next = place.checked_add(1).ok_or_else(end)?;
            (self.cursor(list).place, self.cursor(list).item) = (next, 0);
            return Ok(Next::Gap);
        }
        self.cursor(list).item = item.saturating_add(1);
        Ok(match self.take(state, list, place, item)? {
            Due::Nothing => Next::Gap,
            due => Next::Item(due),
        })
    }

    fn cursor(&mut self, list: DueList) -> &mut Cursor {
        match list {
            DueList::Heights => &mut self.tally.heights,
            DueList::Seconds => &mut self.tally.seconds,
        }
    }
}

/// The page of an item, and its place there.
fn page_of(item: u32) -> (u32, usize) {
    let size = u32::try_from(DUE_PAGE_ITEMS).expect("a page is small");
    let slot = usize::try_from(item.rem_euclid(size)).expect("below the size of a page");
    (item.div_euclid(size), slot)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cpc_primitives::Digest;
    use cpc_primitives::codec::encode;
    use cpc_primitives::state::StateKey;

    use super::*;
    use crate::records::Tally;

    type State = BTreeMap<StateKey, Vec<u8>>;
    const LIST: DueList = DueList::Seconds;

    fn due(n: u32) -> Due {
        Due::Window(TaskId(Digest::ZERO), JobIndex(n))
    }

    fn empty() -> State {
        State::from([(StateKey::tally(), encode(&Tally::default()))])
    }

    /// One block: what is put, what is taken back, and how many looks its end has.
    fn block(state: &mut State, put: &[(u64, u32)], taken: &[(u64, u32)], now: u64, looks: u32) -> Vec<u32> {
        let mut tables = Tables::begin(state).expect("readable");
        for (place, n) in put {
            tables.put(state, LIST, *place, due(*n)).expect("room");
        }
        for (place, item) in taken {
            tables.take(state, LIST, *place, *item).expect("readable");
        }
        let mut found = Vec::new();
        for _ in 0..looks {
            match tables.next_due(state, LIST, now).expect("readable") {
                Next::Done => break,
                Next::Gap => {}
                Next::Item(Due::Window(_, n)) => found.push(n.0),
                Next::Item(other) => panic!("{other:?}"),
            }
        }
        for (key, value) in tables.into_changes() {
            match value {
                Some(value) => drop(state.insert(key, value)),
                None => drop(state.remove(&key)),
            }
        }
        found
    }

    #[test]
    fn items_come_in_the_order_of_their_places_and_then_in_their_own() {
        let mut state = empty();
        assert_eq!(block(&mut state, &[(9, 1), (5, 2), (9, 3), (7, 4)], &[], 4, 100), []);
        assert_eq!(block(&mut state, &[(6, 5)], &[], 5, 100), [2]);
        assert_eq!(block(&mut state, &[], &[], 1 << 40, 100), [5, 4, 1, 3]);
        // Nothing is left but the totals.
        assert_eq!(state.len(), 1);
        assert_eq!(block(&mut state, &[(1 << 50, 6)], &[], (1 << 50) - 1, 100), []);
        assert_eq!(block(&mut state, &[], &[], 1 << 50, 1), [6]);
    }

    #[test]
    fn what_a_block_does_not_reach_the_next_one_goes_on_with() {
        let mut state = empty();
        let put: Vec<(u64, u32)> = (0..600).map(|n| (3, n)).collect();
        assert_eq!(block(&mut state, &put, &[], 3, 100), (0..100).collect::<Vec<_>>());
        assert_eq!(block(&mut state, &[(4, 1_000)], &[], 3, 400), (100..500).collect::<Vec<_>>());
        // One look finds that the place is worked off.
        assert_eq!(block(&mut state, &[], &[], 4, 102), (500..600).chain([1_000]).collect::<Vec<_>>());
        assert_eq!(state.len(), 1);
    }

    #[test]
    fn an_item_after_a_page_that_was_taken_back_keeps_its_number() {
        let mut state = empty();
        let put: Vec<(u64, u32)> = (0..300).map(|n| (3, n)).collect();
        let taken: Vec<(u64, u32)> = (256..300).map(|item| (3, item)).collect();
        block(&mut state, &put, &taken, 0, 0);
        block(&mut state, &[(3, 777)], &[], 0, 0);
        block(&mut state, &[], &[(3, 5)], 0, 0);
        let expected: Vec<u32> = (0..256).filter(|n| *n != 5).chain([777]).collect();
        assert_eq!(block(&mut state, &[], &[], 3, 1_000), expected);
        assert_eq!(state.len(), 1);
    }

    #[test]
    fn what_was_taken_back_is_not_found_and_leaves_nothing() {
        let mut state = empty();
        block(&mut state, &[(3, 1), (3, 2), (8, 3)], &[(3, 0), (8, 0)], 0, 0);
        assert_eq!(block(&mut state, &[], &[(3, 0), (9, 4)], 10, 100), [2]);
        assert_eq!(state.len(), 1);
    }
}
