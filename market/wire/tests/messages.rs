//! The bytes of the market's messages: one of each kind, and what is refused of them.

use cpc_market_wire::{Frame, Message, Signed, WireError};
use cpc_primitives::codec::CodecError;
use cpc_primitives::hash::hex;
use cpc_primitives::{ChainId, Mismatch};
use cpc_vectors::golden::{Entry, hold};
use cpc_vectors::market::{CHAIN, key, messages, samples};

// VEC-13, WIRE-1, WIRE-5, WIRE-9, WIRE-10: one of each kind.
#[test]
fn every_message_has_the_bytes_it_always_had() {
    let entries: Vec<Entry> =
        samples().into_iter().map(|(name, _, bytes)| Entry::new(name).text("bytes", hex(&bytes))).collect();
    hold(
        "market/messages.toml",
        "One message, reply, question and answer of each kind, on chain 7; what is signed is signed by the key whose\n\
         seed is the byte 1, 32 times.",
        &entries,
    );
}

#[test]
fn every_message_is_read_back() {
    for (name, message) in messages() {
        assert_eq!(Frame::decode(&Frame::encode(CHAIN, message.clone()), CHAIN), Ok(message), "{name}");
    }
}

#[test]
fn another_version_and_another_chain_are_named() {
    for (name, message) in messages() {
        let bytes = Frame::encode(CHAIN, message);
        let mut later = bytes.clone();
        later[0] = 2;
        let found = Frame::decode(&later, CHAIN);
        assert_eq!(found, Err(WireError::Version(Mismatch { expected: 1, found: 2 })), "{name}");
        let found = Frame::decode(&bytes, ChainId(8));
        assert_eq!(found, Err(WireError::Chain(Mismatch { expected: ChainId(8), found: CHAIN })), "{name}");
    }
}

#[test]
fn a_byte_more_or_less_is_no_message() {
    for (name, message) in messages() {
        let bytes = Frame::encode(CHAIN, message);
        for length in 0..bytes.len() {
            assert!(matches!(Frame::decode(&bytes[..length], CHAIN), Err(WireError::Codec(_))), "{name}: {length}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(Frame::decode(&longer, CHAIN), Err(WireError::Codec(_))), "{name}");
    }
    let found = 200 << 10;
    let bytes = [&[1, 0], vec![0; found - 2].as_slice()].concat();
    let too_long = CodecError::TooLong { limit: 128 << 10, found };
    assert_eq!(Frame::decode(&bytes, CHAIN), Err(WireError::Codec(too_long)));
}

// WIRE-3: what is signed for one kind and one chain serves no other, and no bit of it may change.
#[test]
fn a_signature_is_good_for_its_body_and_its_chain_alone() {
    let mut kinds = 0;
    for (name, message) in messages() {
        let key = key().public();
        let good_on = |chain: ChainId| match &message {
            Message::Hello(signed) => Some(signed.verify(chain, &key).is_ok()),
            Message::Offers(signed) => Some(signed.verify(chain, &key).is_ok()),
            Message::Commits(signed) => Some(signed.verify(chain, &key).is_ok()),
            Message::Openings(signed) => Some(signed.verify(chain, &key).is_ok()),
            _ => None,
        };
        let Some(good) = good_on(CHAIN) else { continue };
        kinds += 1;
        assert!(good, "{name}");
        assert_eq!(good_on(ChainId(8)), Some(false), "{name}");
    }
    assert_eq!(kinds, 4);

    let Some((_, Message::Commits(commits))) = messages().into_iter().nth(2) else { panic!("commits come third") };
    let Some((_, Message::Openings(openings))) = messages().into_iter().nth(3) else { panic!("openings come fourth") };
    let taken = Signed { body: commits.body, signature: openings.signature };
    assert!(taken.verify(CHAIN, &key().public()).is_err(), "a signature of another kind");
}

// VEC-9: what is read of arbitrary bytes is written the same; the seeds and everything that is cut from them.
#[test]
fn bytes_that_are_bent_are_refused_or_mean_what_they_say() {
    for seed in cpc_vectors::properties::seeds("market") {
        cpc_vectors::properties::market(&seed);
        for at in 0..seed.len() {
            cpc_vectors::properties::market(&seed[..at]);
            for bit in [0, 3, 7] {
                let mut bent = seed.clone();
                bent[at] ^= 1 << bit;
                cpc_vectors::properties::market(&bent);
            }
        }
    }
}
