//! Heights and sets of seats, with the arithmetic that cannot overflow.

use cpc_primitives::Height;
use cpc_primitives::limits::COMMITTEE_MAX;

const _: () = assert!(COMMITTEE_MAX <= 64, "a set of seats is 64 bits");

/// So many blocks later.
pub(crate) fn after(height: Height, blocks: u64) -> Height {
    Height(height.0.saturating_add(blocks))
}

/// How many blocks lie between, or none.
pub(crate) fn since(now: Height, then: Height) -> u64 {
    now.0.saturating_sub(then.0)
}

/// Some of the seats of a committee.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct SeatSet(u64);

impl SeatSet {
    pub(crate) fn of(seats: impl IntoIterator<Item = u16>) -> Self {
        let mut set = Self::default();
        seats.into_iter().for_each(|seat| set.insert(seat));
        set
    }

    pub(crate) fn insert(&mut self, seat: u16) {
        self.0 |= bit(seat);
    }

    pub(crate) fn remove(&mut self, seat: u16) {
        self.0 &= !bit(seat);
    }

    pub(crate) fn has(self, seat: u16) -> bool {
        self.0 & bit(seat) != 0
    }

    pub(crate) fn len(self) -> u16 {
        u16::try_from(self.0.count_ones()).expect("at most 64")
    }
}

/// A seat beyond the largest committee is in no set.
fn bit(seat: u16) -> u64 {
    1u64.checked_shl(seat.into()).unwrap_or(0)
}
