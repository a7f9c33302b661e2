//! The style of a source file: its first line, its words, its alphabet, and what only named files may do.

use crate::house::File;
use crate::lexer::{Kind, Piece, pieces};

/// Words that say that something is unfinished, in pieces so that this file does not hold them.
const UNFINISHED: &[(&str, &str)] = &[
    (concat!("to", "do!"), "what is unfinished is not merged"),
    (concat!("unimpl", "emented!"), "what is unfinished is not merged"),
    (concat!("TO", "DO"), "what is unfinished is not merged"),
    (concat!("FIX", "ME"), "what is unfinished is not merged"),
    (concat!("for", " now"), "say what it is, or finish it"),
    (concat!("M", "VP"), "say what it is, or finish it"),
    (
        concat!("#[ig", "nore"),
        "a test that does not run is not a test: make it cheaper, or move it to `make test-long`",
    ),
    (concat!("#[should", "_panic"), "assert the error that is returned"),
];

/// Files, and folders, that may hold `unsafe`; each use has its SAFETY comment, which clippy demands.
const UNSAFE: &[&str] =
    &["consensus/primitives/src/codec.rs", "consensus/primitives/src/lanes/mod.rs", "gpu-kernels/reference/src/simd/"];

/// Where people's files are, in pieces for the same reason.
const PLACES: &[&str] = &[concat!("/", "root/"), concat!("/", "home/"), concat!("/", "work/"), concat!("/", "Users/")];

/// Complaints about one `.rs` file.
pub(crate) fn complaints(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    if !file.text.starts_with("//! ") {
        complaints.push(file.at(1, "begin with one `//!` sentence that says what the file is for"));
    }
    for (number, line) in file.lines() {
        for (word, advice) in UNFINISHED.iter().filter(|(word, _)| line.contains(word)) {
            complaints.push(file.at(number, format!("{word:?}: {advice}")));
        }
    }
    let tests_begin = if file.path.starts_with("tests/") || file.path.contains("/tests/") {
        0
    } else {
        file.lines().find(|(_, line)| line.trim() == "#[cfg(test)]").map_or(usize::MAX, |(number, _)| number)
    };
    for piece in pieces(&file.text) {
        complaints.extend(of_piece(file, &piece, piece.line > tests_begin));
    }
    complaints
}

fn of_piece(file: &File, piece: &Piece, in_tests: bool) -> Option<String> {
    if let Some(found) = piece.text.chars().find(|c| !c.is_ascii()).filter(|_| piece.kind != Kind::Literal) {
        return Some(file.at(piece.line, format!("{found:?} is not ascii: only literals hold other letters")));
    }
    if piece.kind != Kind::Code {
        return None;
    }
    if words(&piece.text).any(|word| word == "unsafe") && !may_be_unsafe(&file.path) {
        return Some(file.at(piece.line, "unsafe: only the files listed in tests/tidy/src/sources.rs hold it"));
    }
    if in_tests && (piece.text.contains("thread::sleep") || piece.text.contains("time::sleep")) {
        return Some(file.at(piece.line, "a test that sleeps: wait for the event itself"));
    }
    None
}

fn may_be_unsafe(path: &str) -> bool {
    UNSAFE.iter().any(|place| path == *place || (place.ends_with('/') && path.starts_with(place)))
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

/// Complaints about paths of somebody's machine, in any file that people write.
pub(crate) fn places(file: &File) -> Vec<String> {
    file.lines()
        .filter_map(|(number, line)| {
            let place = PLACES.iter().find(|place| line.contains(**place))?;
            Some(
                file.at(
                    number,
                    format!("names {place}: nobody else has it; write it from the repository, or from $HOME"),
                ),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, body: &str, expected: &[&str]) {
        let found = complaints(&File::new(path, &format!("//! A file.\n{body}")));
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert!(complaints(&File::new("a.rs", "use b;\n"))[0].starts_with("a.rs:1: begin with"));
        assert!(complaints(&File::new("a.rs", "//!\n"))[0].starts_with("a.rs:1: begin with"));
        check("a.rs", "use b;\n", &[]);
    }

    #[test]
    fn what_is_unfinished_is_seen() {
        for (word, _) in UNFINISHED {
            check("a.rs", &format!("// {word}\n"), &["a.rs:2: "]);
        }
    }

    #[test]
    fn other_letters_stand_in_literals_only() {
        check("a.rs", "let a = \"\u{e9}\"; let b = '\u{e9}';\n", &[]);
        check("a.rs", "// caf\u{e9}\n", &["a.rs:2: '\u{e9}' is not ascii"]);
        check("a.rs", "let \u{e9} = 1;\n", &["a.rs:2: '\u{e9}' is not ascii"]);
    }

    #[test]
    fn unsafe_stands_in_its_file_only() {
        check("consensus/primitives/src/codec.rs", "unsafe {}\n", &[]);
        check("gpu-kernels/reference/src/simd/mod.rs", "unsafe {}\n", &[]);
        check("gpu-kernels/reference/src/simd.rs", "unsafe {}\n", &["gpu-kernels/reference/src/simd.rs:2: unsafe"]);
        check("a.rs", "// unsafe\n#![allow(unsafe_code)]\nlet a = \"unsafe\";\n", &[]);
        check("a.rs", "unsafe {}\n", &["a.rs:2: unsafe"]);
    }

    #[test]
    fn a_sleeping_test_is_seen() {
        let sleep = "std::thread::sleep(a);\n";
        check("node/app/src/a.rs", sleep, &[]);
        check("node/app/src/a.rs", &format!("#[cfg(test)]\nmod tests {{}}\n{sleep}"), &["a.rs:4: a test that sleeps"]);
        check("node/app/tests/a.rs", sleep, &["a.rs:2: a test that sleeps"]);
        check("tests/e2e/src/a.rs", "tokio::time::sleep(a).await;\n", &["a.rs:2: a test that sleeps"]);
    }

    #[test]
    fn a_path_of_a_machine_is_seen() {
        for place in PLACES {
            assert_eq!(places(&File::new("a.md", &format!("x\n{place}me\n"))).len(), 1);
        }
        assert_eq!(places(&File::new("a.md", "$HOME/.cache\n")).len(), 0);
    }
}
