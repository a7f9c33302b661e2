//! Who the validators are on the network plane, as they have registered it.

use std::collections::BTreeMap;

use cpc_net::{Known, PeerId};
use cpc_primitives::Fault;

use crate::chain::Chain;

/// The validators of the epoch and of the next one, with the addresses that can be read.
pub(super) fn validators(chain: &Chain) -> Result<Vec<Known>, Fault> {
    let mut known = BTreeMap::new();
    for registration in chain.registrations()? {
        let Some(peer) = PeerId::of_public(registration.network.key.bytes()) else { continue };
        let texts = registration.network_addresses.iter().map(|text| String::from_utf8_lossy(text).into_owned());
        // GEN-7: an address begins with a host; a text that is none would spoil the list for all the others.
        let addresses: Vec<String> = texts.filter(|text| cpc_net::is_address(text)).collect();
        if !addresses.is_empty() {
            known.insert(peer, addresses);
        }
    }
    Ok(known.into_iter().map(|(peer, addresses)| Known { peer, addresses }).collect())
}
