//! The accounts that a block touches: read once, changed in memory, written once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use cpc_primitives::codec::encode;
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::{Address, Amount, Fault};
use rayon::prelude::*;

use crate::port::StateRead;
use crate::records::{account, accounts};
use crate::supply::{Supply, broken};

/// The place of an account among those that were touched: found once for an address, then used as often as needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(usize);

/// An account before the block, and as the block has left it so far.
struct Touched {
    before: Option<Account>,
    now: Option<Account>,
}

/// Every account that a block has touched.
#[derive(Default)]
pub(crate) struct Working {
    /// Those that were read ahead, in order: their places are the first ones.
    ahead: Vec<Address>,
    /// The first bytes of each, as numbers: few begin alike, and a search compares numbers at once, but bytes not.
    heads: Vec<u64>,
    /// Those that came later.
    places: BTreeMap<Address, Place>,
    touched: Vec<Touched>,
}

impl Working {
    /// Reads the accounts of addresses ahead, which come in order and each once. Later than at the beginning it does
    /// nothing: what was touched is there already.
    pub(crate) fn read_ahead<S: StateRead>(&mut self, state: &S, addresses: Vec<Address>) -> Result<(), Fault> {
        if self.touched.is_empty() {
            let accounts = accounts(state, &addresses)?;
            self.touched = accounts.into_iter().map(|before| Touched { before, now: before }).collect();
            self.heads = addresses.iter().map(head).collect();
            self.ahead = addresses;
        }
        Ok(())
    }

    /// The place of an address, read from the state the first time.
    pub(crate) fn place<S: StateRead>(&mut self, state: &S, address: &Address) -> Result<Place, Fault> {
        if let Some(place) = self.place_ahead(address) {
            return Ok(place);
        }
        // One search for both cases: this is the hottest place of a block of transfers.
        match self.places.entry(*address) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(vacant) => {
                let before = account(state, address)?;
                let place = Place(self.touched.len());
                self.touched.push(Touched { before, now: before });
                Ok(*vacant.insert(place))
            }
        }
    }

    fn place_ahead(&self, address: &Address) -> Option<Place> {
        let wanted = head(address);
        let first = self.heads.partition_point(|head| *head < wanted);
        let alike = self.heads.get(first..)?.iter().take_while(|head| **head == wanted).count();
        let end = first.checked_add(alike)?;
        let place = self.ahead.get(first..end)?.binary_search(address).ok()?;
        first.checked_add(place).map(Place)
    }

    /// The account as it is now; `None` where it does not exist.
    pub(crate) fn get(&self, place: Place) -> Option<Account> {
        self.touched[place.0].now
    }

    /// Sets what an account is now.
    pub(crate) fn set(&mut self, place: Place, account: Account) {
        self.touched[place.0].now = Some(account);
    }

    /// Demands that what the accounts gained and lost is what the running totals say (SUP-3).
    pub(crate) fn check(&self, before: &Supply, now: &Supply) -> Result<(), Fault> {
        let sum = |side: fn(&Touched) -> Option<Account>, rest: Amount| {
            let balances = self.touched.iter().filter_map(side).map(|account| account.balance);
            // Each side is a difference; the other side's total is added to both, so that neither is negative.
            balances.chain([rest]).try_fold(0u128, |sum, balance| sum.checked_add(balance.units()))
        };
        let was = sum(|touched| touched.before, now.balances);
        let is = sum(|touched| touched.now, before.balances);
        if was.is_none() || was != is {
            return Err(broken(format!(
                "SUP-3: balances {:?} became {:?}, but the accounts' balances say {was:?} became {is:?}",
                before.balances, now.balances,
            )));
        }
        Ok(())
    }

    /// The records that changed.
    pub(crate) fn into_changes(self) -> Vec<(StateKey, Option<Vec<u8>>)> {
        let Self { ahead, places, touched, .. } = self;
        // ACC-1: an account is never removed, so that its last nonce is never used again.
        let change = |address: &Address, Touched { before, now }: &Touched| {
            let now = now.as_ref().filter(|_| now != before)?;
            Some((StateKey::account(address), Some(encode(now))))
        };
        let later = places.iter().filter_map(|(address, place)| change(address, &touched[place.0]));
        let mut changes: Vec<_> = ahead
            .par_iter()
            .zip(&touched)
            .with_min_len(512)
            .filter_map(|(address, touched)| change(address, touched))
            .collect();
        changes.extend(later);
        changes
    }
}

/// The first eight bytes of an address as a number: of two addresses the lower has the lower one, or both the same.
pub(crate) fn head(address: &Address) -> u64 {
    u64::from_be_bytes(*address.0.first_chunk().expect("an address has 20 bytes"))
}

#[cfg(test)]
mod tests {
    use cpc_primitives::Nonce;

    use super::*;

    const ALICE: Address = Address([1; 20]);
    const BOB: Address = Address([2; 20]);

    fn money(units: u128) -> Account {
        Account { balance: Amount::new(units), nonce: Nonce(0) }
    }

    /// A state in which Alice has 100 units, after which both accounts were set.
    fn worked(alice: u128, bob: u128) -> Working {
        let state = BTreeMap::from([(StateKey::account(&ALICE), encode(&money(100)))]);
        let mut working = Working::default();
        let place = working.place(&state, &ALICE).expect("readable");
        working.set(place, money(alice));
        let place = working.place(&state, &BOB).expect("readable");
        working.set(place, money(bob));
        working
    }

    #[track_caller]
    fn check(working: &Working, before: u128, now: u128) -> Result<(), String> {
        let supply = |units| Supply { balances: Amount::new(units), ..Supply::default() };
        working.check(&supply(before), &supply(now)).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_accounts_gain_is_what_the_totals_gain() {
        assert_eq!(check(&worked(60, 40), 1_000, 1_000), Ok(()));
        assert_eq!(check(&worked(60, 41), 1_000, 1_001), Ok(()));
        assert_eq!(check(&worked(0, 0), 1_000, 900), Ok(()));
    }

    #[test]
    fn a_unit_from_nowhere_stops_the_node_and_names_both_sides() {
        for (alice, bob, now) in [(60, 41, 1_000), (60, 39, 1_000), (60, 40, 1_001), (60, 40, 999)] {
            let message = check(&worked(alice, bob), 1_000, now).expect_err("a breach");
            assert!(message.contains("SUP-3"), "{message}");
            assert!(message.contains(&format!("{:?}", Amount::new(now))), "{message}");
        }
    }

    #[test]
    fn sums_that_no_supply_allows_are_a_breach_and_not_a_panic() {
        let message = check(&worked(u128::MAX, 1), 0, 0).expect_err("a breach");
        assert!(message.contains("None"), "{message}");
    }

    #[test]
    fn an_account_is_read_once_and_written_only_where_it_changed() {
        let state = BTreeMap::from([(StateKey::account(&ALICE), encode(&money(100)))]);
        let mut working = Working::default();
        let place = working.place(&state, &ALICE).expect("readable");
        working.set(place, money(1));
        // The state without the account: a second read would find nothing.
        let again = working.place(&BTreeMap::new(), &ALICE).expect("known");
        assert_eq!(working.get(again), Some(money(1)));
        working.set(again, money(100));
        working.place(&state, &BOB).expect("readable");
        assert_eq!(working.into_changes(), []);

        assert_eq!(worked(100, 7).into_changes(), [(StateKey::account(&BOB), Some(encode(&money(7))))]);
    }

    #[test]
    fn addresses_that_begin_alike_are_told_apart() {
        let address = |first: u8, last: u8| {
            let mut bytes = [first; 20];
            bytes[19] = last;
            Address(bytes)
        };
        let all: Vec<Address> =
            [1, 2, 3].into_iter().flat_map(|first| (0..9).map(move |last| address(first, last))).collect();
        let mut working = Working::default();
        working.read_ahead(&BTreeMap::new(), all.clone()).expect("readable");
        for (place, address) in all.iter().enumerate() {
            assert!(working.place_ahead(address) == Some(Place(place)));
        }
        for absent in [address(0, 0), address(1, 9), address(2, 200), address(4, 0)] {
            assert!(working.place_ahead(&absent).is_none());
        }
        assert!(Working::default().place_ahead(&ALICE).is_none());
    }

    #[test]
    fn accounts_that_were_read_ahead_are_those_that_are_read_singly() {
        let state = BTreeMap::from([(StateKey::account(&ALICE), encode(&money(100)))]);
        let mut working = Working::default();
        working.read_ahead(&state, vec![ALICE, BOB]).expect("readable");
        // The state without anything: only what was read ahead is known.
        let nothing = BTreeMap::new();
        let places = [ALICE, BOB].map(|address| working.place(&nothing, &address).expect("known"));
        assert_eq!(places.map(|place| working.get(place)), [Some(money(100)), None]);
        let carol = working.place(&nothing, &Address([3; 20])).expect("readable");
        assert_eq!(working.get(carol), None);
        working.set(places[1], money(7));
        working.set(carol, money(8));
        // Too late: what was touched stays.
        working.read_ahead(&nothing, vec![ALICE]).expect("nothing is read");
        assert_eq!(working.get(places[1]), Some(money(7)));
        let changes = [(BOB, 7), (Address([3; 20]), 8)];
        let changes = changes.map(|(address, units)| (StateKey::account(&address), Some(encode(&money(units)))));
        assert_eq!(working.into_changes(), changes);
    }
}
