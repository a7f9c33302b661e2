//! Bytes that are no value of their format: each is refused for the reason that the file names.

use cpc_primitives::CodecError;
use cpc_primitives::hash::hex;
use cpc_vectors::formats::{Format, all};
use cpc_vectors::golden::{Entry, hold};
use cpc_vectors::shape::Mark;

/// Why bytes are refused: the class of the error, not the words of a library.
const CLASSES: [(&str, &str); 9] = [
    ("ends too early", "Attempting to read"),
    ("goes on too long", "Trailing bytes"),
    ("unknown variant", "Invalid tag encoding"),
    ("list too long", "a list is longer than its type allows"),
    ("key of small order", "a public key of small order"),
    ("key not canonical", "a public key in a non-canonical encoding"),
    ("share above one", "a share of more than one whole"),
    ("over the limit", "bytes where at most"),
    ("option neither 0 nor 1", "Invalid tag encoding"),
];

/// One input and the class it must be refused under.
struct Wrong {
    what: String,
    class: &'static str,
    bytes: Vec<u8>,
    limit: usize,
}

// VEC-3, COD-2 to COD-5: every way of being wrong has its error.
#[test]
fn wrong_bytes_are_refused_by_name() {
    let mut total = 0;
    let entries: Vec<Entry> = all()
        .iter()
        .map(|format| {
            let cases = wrong(format);
            total += cases.len();
            for case in &cases {
                let error = format.recode_within(&case.bytes, case.limit).expect_err(&case.what);
                let phrase = CLASSES.iter().find(|(class, _)| *class == case.class).expect("a known class").1;
                assert!(error.to_string().contains(phrase), "{} {}: {error}", format.name, case.what);
                let too_long = matches!(error, CodecError::TooLong { .. });
                assert_eq!(too_long, case.class == "over the limit", "{} {}: {error}", format.name, case.what);
            }
            let lines = cases.iter().map(|case| {
                let Wrong { what, class, bytes, limit } = case;
                format!("{{ what = {what:?}, error = {class:?}, limit = {limit}, bytes = {:?} }}", hex(bytes))
            });
            Entry::new(format.name).list("wrong", lines)
        })
        .collect();
    assert!(total >= 300, "{total} cases");
    hold("codec/wrong-bytes.toml", "Bytes that are no value of their format, and why.", &entries);
}

/// Every kind of wrongness that this format has a place for.
fn wrong(format: &Format) -> Vec<Wrong> {
    let bytes = format.sample();
    let limit = bytes.len() + 64;
    let (marks, _) = format.shape.read(&bytes).expect("a value");
    let mut cases = Vec::new();
    let mut add = |what: String, class: &'static str, bytes: Vec<u8>| cases.push(Wrong { what, class, bytes, limit });

    if !bytes.is_empty() {
        add("the last byte is missing".into(), "ends too early", bytes[..bytes.len() - 1].to_vec());
        add("nothing at all".into(), "ends too early", Vec::new());
    }
    for after in [0, 0xff] {
        add(format!("one byte {after:#04x} after the end"), "goes on too long", [&bytes[..], &[after]].concat());
    }
    let put = |at: usize, new: &[u8]| {
        let mut bent = bytes.clone();
        bent[at..at + new.len()].copy_from_slice(new);
        bent
    };
    // One place of each kind is enough for a format; the parts of a large one are formats of their own.
    let mut seen = Vec::new();
    for (at, mark) in marks {
        if seen.contains(&mark) {
            continue;
        }
        seen.push(mark);
        match mark {
            Mark::Tag(count) => {
                for tag in [count, 0x100, u32::MAX] {
                    add(format!("variant {tag} of {count} at {at}"), "unknown variant", put(at, &tag.to_le_bytes()));
                }
            }
            Mark::Maybe => {
                for byte in [2, 0xff] {
                    add(format!("option {byte} at {at}"), "option neither 0 nor 1", put(at, &[byte]));
                }
            }
            Mark::Length(max) => {
                let above = u64::try_from(max).expect("a limit") + 1;
                for count in [above, 1 << 32, u64::MAX] {
                    let what = format!("{count} elements of at most {max} at {at}");
                    add(what, "list too long", put(at, &count.to_le_bytes()));
                }
                // The whole list that is promised is never there.
                let most = u64::try_from(max).expect("a limit").to_le_bytes();
                add(format!("{max} elements promised at {at}"), "ends too early", put(at, &most)[..at + 8].to_vec());
            }
            Mark::Key => {
                for (name, class, key) in bad_keys() {
                    add(format!("a key at {at}: {name}"), class, put(at, &key));
                }
            }
            Mark::Share => {
                for points in [10_001u16, u16::MAX] {
                    add(format!("{points} basis points at {at}"), "share above one", put(at, &points.to_le_bytes()));
                }
            }
            Mark::Plain(_) => {}
        }
    }
    if let Some(short) = bytes.len().checked_sub(1) {
        let what = format!("a limit of {short} bytes");
        cases.push(Wrong { what, class: "over the limit", bytes, limit: short });
    }
    cases
}

/// Keys that nobody may hold.
fn bad_keys() -> Vec<(&'static str, &'static str, [u8; 32])> {
    let number = |low: u8, rest: u8, high: u8| {
        let mut bytes = [rest; 32];
        (bytes[0], bytes[31]) = (low, high);
        bytes
    };
    let order_8 = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    vec![
        ("the neutral point", "key of small order", number(1, 0, 0)),
        ("the neutral point with a sign", "key of small order", number(1, 0, 0x80)),
        ("order 2", "key of small order", number(0xec, 0xff, 0x7f)),
        ("order 4", "key of small order", number(0, 0, 0)),
        ("order 8", "key of small order", order_8),
        ("y = p", "key not canonical", number(0xed, 0xff, 0x7f)),
        ("y = p + 1", "key not canonical", number(0xee, 0xff, 0x7f)),
        ("all ones", "key not canonical", [0xff; 32]),
    ]
}
