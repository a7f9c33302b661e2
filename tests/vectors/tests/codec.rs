//! The bytes of every format: pinned by the thousand, the same when read back, and laid out as the second description
//! says.

use cpc_primitives::codec::encode;
use cpc_vectors::draw::Draw;
use cpc_vectors::formats::{Format, all};
use cpc_vectors::golden::{Entry, hold};
use cpc_vectors::shape::Mark;

/// How many values of each format are pinned.
const CASES: u32 = 4096;

/// The seeded encodings of a format.
fn encodings(format: &Format) -> impl Iterator<Item = Vec<u8>> + '_ {
    let mut from = Draw::new(format.name);
    (0..CASES).map(move |_| format.draw(&mut from))
}

// VEC-2, COD-1: thousands of values of every format have the bytes they always had.
#[test]
fn every_format_writes_the_bytes_it_always_wrote() {
    let entries: Vec<Entry> = all()
        .iter()
        .map(|format| {
            let mut hasher = blake3::Hasher::new();
            for bytes in encodings(format) {
                assert!(bytes.len() <= format.limit, "{} of {} bytes", format.name, bytes.len());
                assert_eq!(format.recode(&bytes).as_ref(), Ok(&bytes), "{}", format.name);
                hasher.update(&bytes);
            }
            Entry::new(format.name).raw("cases", CASES).text("blake3", hasher.finalize())
        })
        .collect();
    hold(
        "codec/conformance.toml",
        "BLAKE3 over the concatenated canonical bytes of seeded values of every format.\n\
         `since` names the decision record under which the bytes last changed.",
        &entries,
    );
}

#[test]
fn the_second_description_reads_what_the_codec_writes() {
    for format in all() {
        for bytes in encodings(format) {
            assert!(format.shape.accepts(&bytes), "{}: {:?}", format.name, format.shape.read(&bytes));
        }
    }
}

/// The values are worth pinning only where they reach the ends of what the types allow.
#[test]
fn the_values_reach_the_ends() {
    for format in all() {
        let (mut lengths, mut tags, mut options) = ([false; 2], std::collections::BTreeSet::new(), [false; 2]);
        let (mut has_list, mut has_option, mut variants) = (false, false, 0);
        for bytes in encodings(format) {
            let (marks, _) = format.shape.read(&bytes).expect("a value");
            for (at, mark) in marks {
                match mark {
                    Mark::Length(max) => {
                        has_list = true;
                        let count = u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
                        lengths[0] |= count == 0;
                        lengths[1] |= usize::try_from(count) == Ok(max);
                    }
                    Mark::Maybe => {
                        has_option = true;
                        options[usize::from(bytes[at])] = true;
                    }
                    Mark::Tag(count) if at == 0 => {
                        variants = count;
                        tags.insert(bytes[0]);
                    }
                    _ => {}
                }
            }
        }
        let name = format.name;
        assert!(!has_list || lengths[0], "{name}: no empty list");
        assert!(!has_list || lengths[1] || name == "AddedVerdicts", "{name}: no full list");
        assert!(!has_option || options == [true; 2], "{name}: an option is always one way");
        let one_kind = format.name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        assert!(one_kind || u32::try_from(tags.len()) == Ok(variants), "{name}: {} of {variants}", tags.len());
    }
}

// COD-2, COD-3: the decoder and the second description agree on every bent input, and neither panics.
#[test]
fn bent_bytes_are_read_by_both_or_by_neither() {
    let mut accepted = 0u32;
    let mut refused = 0u32;
    for format in all() {
        let mut from = Draw::new(format.name);
        let mut bend = Draw::new("bend");
        for _ in 0..1024 {
            let mut bytes = format.draw(&mut from);
            if bytes.is_empty() {
                continue;
            }
            match bend.below(5) {
                0 => bytes.truncate(bend.place(bytes.len())),
                1 => bytes.push(bend.any()),
                2 => {
                    let place = bend.place(bytes.len());
                    bytes[place] = bend.any();
                }
                3 => {
                    let place = bend.place(bytes.len());
                    bytes[place] ^= 1 << bend.below(8);
                }
                _ => {
                    let (marks, _) = format.shape.read(&bytes).expect("a value");
                    let (at, mark) = marks[bend.place(marks.len())];
                    let width = if let Mark::Tag(_) = mark { 4 } else { 1 };
                    bytes[at..at + width].copy_from_slice(&encode(&bend.any::<u32>())[..width]);
                }
            }
            let ours = format.recode(&bytes);
            assert_eq!(ours.is_ok(), format.shape.accepts(&bytes), "{}: {ours:?}", format.name);
            match ours {
                Ok(again) => {
                    assert_eq!(again, bytes, "{}: two encodings of one value", format.name);
                    accepted += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
}
