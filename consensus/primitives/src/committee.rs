//! The committee that checks a task: how large it is, whom the beacon draws, and who of them orchestrates.

use wincode::{SchemaRead, SchemaWrite};

use crate::codec::Bounded;
use crate::hash::{Digest, Domain};
use crate::ids::{Address, Epoch, Height, TaskId};
use crate::keys::PublicKey;
use crate::limits::COMMITTEE_MAX;

/// How many seats a committee has, and how many of them decide (COM-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Seats.
    pub seats: u16,
    /// How many of them decide.
    pub quorum: u16,
}

/// The committee of a task, as the state keeps it (COM-4, STATE-12).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Committee {
    /// The epoch from whose seats it was drawn.
    pub epoch: Epoch,
    /// How many of its members decide.
    pub quorum: u16,
    /// How many jobs it has decided that are not settled.
    pub pending: u32,
    /// Its members, in the order of the draw.
    pub members: Bounded<Member, COMMITTEE_MAX>,
}

/// A member of a committee.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Member {
    /// Its place among the seats of the committee's epoch.
    pub seat: u16,
    /// The key that signs its verdicts.
    pub key: PublicKey,
    /// The account that is paid.
    pub account: Address,
}

impl Size {
    /// The size of a committee where an epoch has so many seats (COM-1).
    pub fn of(self, seats: u16) -> Self {
        if seats >= self.seats {
            return self;
        }
        // COM-1: all of them, and more than two thirds decide.
        let two_thirds = u32::from(seats).saturating_mul(2) / 3;
        let quorum = u16::try_from(two_thirds.saturating_add(1)).unwrap_or(u16::MAX);
        Self { seats, quorum }
    }
}

impl Committee {
    /// The place of a seat in this committee, with the member that it is.
    pub fn member(&self, seat: u16) -> Option<(usize, &Member)> {
        self.members.iter().enumerate().find(|(_, member)| member.seat == seat)
    }

    /// Who orchestrates at a height, where the committee was drawn at another (COM-3).
    pub fn orchestrator(&self, drawn: Height, rotation_blocks: u32, height: Height) -> Option<&Member> {
        let place = orchestrator(self.members.len(), drawn, rotation_blocks, height)?;
        self.members.get(place)
    }
}

/// The places of the drawn seats among so many, in the order of the draw: the head of a shuffle (COM-2).
pub fn draw(beacon: &Digest, task: TaskId, drawn: Height, seats: u16, wanted: u16) -> Vec<u16> {
    let mut stream = Domain::CommitteeDraw.hasher();
    stream.update(&crate::codec::encode(&(*beacon, task, drawn)));
    let mut stream = stream.finalize_xof();
    let mut places: Vec<u16> = (0..seats).collect();
    let wanted = usize::from(wanted.min(seats));
    for place in 0..wanted {
        let left = places.len().saturating_sub(place);
        let chosen = place.saturating_add(below(&mut stream, left));
        places.swap(place, chosen);
    }
    places.truncate(wanted);
    places
}

/// The place of the orchestrator at a height: each member in its turn, alive or not (COM-3).
///
/// `None` before the draw and where there is nobody.
pub fn orchestrator(members: usize, drawn: Height, rotation_blocks: u32, height: Height) -> Option<usize> {
    let turns = height.0.checked_sub(drawn.0)?.checked_div(rotation_blocks.into())?;
    let members = u64::try_from(members).ok()?;
    usize::try_from(turns.checked_rem(members)?).ok()
}

/// A number below a bound that is not 0, each with the same probability.
fn below(stream: &mut blake3::OutputReader, bound: usize) -> usize {
    let bound = u64::try_from(bound).expect("a committee is drawn from few seats");
    // COM-2: what lies beyond the last whole run of the bound would favour the first numbers. A word lies there with
    // a probability below 2^-48, so that this ends.
    let end = u64::MAX.checked_rem(bound).map(|rest| u64::MAX.saturating_sub(rest)).expect("the bound is not 0");
    loop {
        let mut word = [0; 8];
        stream.fill(&mut word);
        let word = u64::from_le_bytes(word);
        if word < end {
            let number = word.checked_rem(bound).expect("the bound is not 0");
            return usize::try_from(number).expect("below a count in memory");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: TaskId = TaskId(Digest([9; 32]));

    #[test]
    fn a_small_epoch_has_a_committee_of_all_of_which_more_than_two_thirds_decide() {
        let full = Size { seats: 13, quorum: 9 };
        let sizes = [(0, 1), (1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (12, 9)];
        for (seats, quorum) in sizes {
            assert_eq!(full.of(seats), Size { seats, quorum });
        }
        for seats in [13, 14, 256] {
            assert_eq!(full.of(seats), full);
        }
    }

    #[test]
    fn a_draw_takes_each_seat_at_most_once_and_moves_with_all_that_it_depends_on() {
        let beacon = Digest([1; 32]);
        let drawn = draw(&beacon, TASK, Height(5), 100, 13);
        assert_eq!(drawn.len(), 13);
        let mut sorted = drawn.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert!(sorted.len() == 13 && sorted.iter().all(|place| *place < 100), "{drawn:?}");
        assert_eq!(draw(&beacon, TASK, Height(5), 100, 13), drawn);
        assert_ne!(draw(&Digest([2; 32]), TASK, Height(5), 100, 13), drawn);
        assert_ne!(draw(&beacon, TaskId(Digest([8; 32])), Height(5), 100, 13), drawn);
        assert_ne!(draw(&beacon, TASK, Height(6), 100, 13), drawn);
        let mut all = draw(&beacon, TASK, Height(5), 4, 9);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
        assert_eq!(draw(&beacon, TASK, Height(5), 0, 4), []);
    }

    #[test]
    fn every_seat_is_drawn_about_as_often() {
        let mut counts = [0u32; 10];
        for height in 0..4_000 {
            for place in draw(&Digest([3; 32]), TASK, Height(height), 10, 4) {
                counts[usize::from(place)] += 1;
            }
        }
        // 1,600 each are expected, with a standard deviation of 31.
        assert!(counts.iter().all(|count| (1_450..1_750).contains(count)), "{counts:?}");
    }

    #[test]
    fn members_take_turns() {
        let at = |height| orchestrator(4, Height(10), 20, Height(height));
        let turns = [(9, None), (10, Some(0)), (29, Some(0)), (30, Some(1)), (89, Some(3)), (90, Some(0))];
        for (height, place) in turns {
            assert_eq!(at(height), place, "{height}");
        }
        assert_eq!(orchestrator(0, Height(1), 20, Height(9)), None);
        assert_eq!(orchestrator(4, Height(1), 0, Height(9)), None);
        assert_eq!(orchestrator(4, Height(0), 1, Height(u64::MAX)), Some(3));
    }
}
