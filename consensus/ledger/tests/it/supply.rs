//! The equation of all money, and its recount.

use cpc_ledger::{Supply, recount};
use cpc_primitives::codec::encode;
use cpc_primitives::state::StateKey;
use cpc_primitives::{Amount, Epoch, Fault};

use crate::world::{ALICE, BOB, NOBODY, World, address, send, units};

/// A few blocks with payments, failures and the end of an epoch.
fn lived() -> World {
    let mut world = World::new();
    world.block(vec![send(ALICE, 0, BOB, 5), send(BOB, 0, NOBODY, 10)]);
    world.block(vec![send(ALICE, 1, BOB, 1 << 90)]);
    world.run_to(9);
    world
}

#[test]
fn a_recount_finds_what_the_running_totals_say() {
    let world = lived();
    let counted = recount(world.entries()).expect("all is there");
    assert_eq!(counted, world.supply());
    assert_eq!(counted.genesis, units(10_000_000 + 1_000_000 + 50 + 400 + 1_000));
}

#[test]
fn a_recount_names_both_sides_of_every_unit_that_is_missing() {
    let spoil: [(StateKey, Vec<u8>); 4] = [
        (StateKey::account(&address(NOBODY)), encode(&(11u128, 0u64))),
        (StateKey::rewards(), encode(&1u128)),
        (StateKey::account(&address(77)), encode(&(1u128, 0u64))),
        (StateKey::supply(), encode(&Supply { balances: units(1), ..lived().supply() })),
    ];
    for (key, value) in spoil {
        let mut world = lived();
        world.state.insert(key.clone(), value);
        let fault = recount(world.entries()).expect_err("a breach").to_string();
        assert!(fault.contains("SUP-4: counted Supply {") && fault.contains("recorded Supply {"), "{key:?}: {fault}");
    }
}

#[test]
fn a_recount_stops_at_what_cannot_be_read() {
    let spoil: [(StateKey, Vec<u8>); 4] = [
        (StateKey::account(&address(ALICE)), vec![0; 23]),
        (StateKey::seats(Epoch(1)), vec![1]),
        (StateKey::beacon(), vec![]),
        (StateKey::raw(&[250, 1]).expect("short"), vec![]),
    ];
    for (key, value) in spoil {
        let mut world = lived();
        world.state.insert(key.clone(), value);
        let fault = recount(world.entries()).expect_err("damaged");
        assert!(matches!(fault, Fault::Damaged { .. }), "{key:?}: {fault}");
    }
    let mut world = lived();
    world.state.remove(&StateKey::supply());
    assert!(matches!(recount(world.entries()), Err(Fault::Damaged { .. })));
    let broken = [Err(Fault::Io { detail: "sector 7".to_owned() })];
    assert_eq!(recount(broken.into_iter()), Err(Fault::Io { detail: "sector 7".to_owned() }));
}

#[test]
fn a_block_on_totals_that_do_not_add_up_stops_the_node() {
    let world = lived();
    let supply = world.supply();
    let one = |amount: Amount| units(amount.units() + 1);
    let bent = [
        Supply { balances: one(supply.balances), ..supply },
        Supply { stake: one(supply.stake), ..supply },
        Supply { unbonding: one(supply.unbonding), ..supply },
        Supply { escrow: one(supply.escrow), ..supply },
        Supply { bonds: one(supply.bonds), ..supply },
        Supply { treasury: one(supply.treasury), ..supply },
        Supply { burned: one(supply.burned), ..supply },
        Supply { minted: one(supply.minted), ..supply },
        Supply { genesis: one(supply.genesis), ..supply },
        Supply { genesis: units(u128::MAX), ..supply },
    ];
    for supply in bent {
        let mut world = world.clone();
        world.state.insert(StateKey::supply(), encode(&supply));
        let fault = world.build(world.context(), &[]).expect_err("a breach").to_string();
        assert!(fault.contains("SUP-2: held ") && fault.contains("issued "), "{fault}");
        assert!(supply.check().is_err());
    }
}
