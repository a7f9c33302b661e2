//! The one fuzzed program: `CPC_FUZZ_TARGET` names the property that it hunts.
#![no_main]

use std::sync::LazyLock;

use cpc_vectors::properties::{self, Property};
use libfuzzer_sys::fuzz_target;

/// The property of this run.
static PROPERTY: LazyLock<Property> = LazyLock::new(|| {
    let name = std::env::var("CPC_FUZZ_TARGET").expect("CPC_FUZZ_TARGET names the target");
    let found = properties::ALL.iter().chain(CANARY).find(|(target, _)| *target == name);
    found.unwrap_or_else(|| panic!("there is no target {name:?}")).1
});

#[cfg(not(feature = "canary"))]
const CANARY: &[(&str, Property)] = &[];

#[cfg(feature = "canary")]
const CANARY: &[(&str, Property)] = &[("canary", canary)];

fuzz_target!(|data: &[u8]| PROPERTY(data));

/// The planted bug: a decoder that believes a length. The fuzzer must find it within seconds.
#[cfg(feature = "canary")]
fn canary(data: &[u8]) {
    let Some((tag, rest)) = data.split_first_chunk::<4>() else { return };
    if u32::from_le_bytes(*tag) != 13 {
        return;
    }
    let Some((length, rest)) = rest.split_first_chunk::<2>() else { return };
    let count = usize::from(u16::from_le_bytes(*length));
    let list = &rest[..count];
    assert_eq!(list.len(), count);
}
