//! Golden files: what the code says now must be what they say, unless a decision record allows another answer.

use core::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Names the decision record that allows golden files to change: `adr-0007`.
const REGENERATE: &str = "CPC_VECTORS_REGENERATE";

/// One table of a golden file: its keys with their TOML values.
pub struct Entry {
    name: String,
    lines: String,
}

impl Entry {
    /// A table without keys.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), lines: String::new() }
    }

    /// Adds a text.
    pub fn text(self, key: &str, value: impl core::fmt::Display) -> Self {
        self.raw(key, format!("{:?}", value.to_string()))
    }

    /// Adds a value that is TOML already.
    pub fn raw(mut self, key: &str, value: impl core::fmt::Display) -> Self {
        writeln!(self.lines, "{key} = {value}").expect("a string takes everything");
        self
    }

    /// Adds a list with one line an element, each of them TOML already.
    pub fn list<T: core::fmt::Display>(self, key: &str, items: impl IntoIterator<Item = T>) -> Self {
        let items: String = items.into_iter().map(|item| format!("  {item},\n")).collect();
        self.raw(key, format!("[\n{items}]"))
    }
}

/// Demands that a golden file holds exactly these entries (VEC-1).
///
/// With `CPC_VECTORS_REGENERATE=adr-NNNN` the file is written instead; an entry that did not change keeps the record
/// that it was written under.
#[track_caller]
pub fn hold(file: &str, preamble: &str, entries: &[Entry]) {
    let path = folder().join(file);
    let old = fs::read_to_string(&path).unwrap_or_default();
    let old = parse(&old);
    match std::env::var(REGENERATE) {
        Ok(record) => {
            assert!(is_record(&record), "{REGENERATE} names a decision record, as adr-0007; found {record:?}");
            let mut text: String = preamble.lines().map(|line| format!("# {line}\n")).collect();
            for entry in entries {
                let since = old
                    .iter()
                    .find(|was| was.name == entry.name && was.lines == entry.lines)
                    .map_or(record.as_str(), |was| was.since);
                write!(text, "\n[{}]\n{}since = {since:?}\n", entry.name, entry.lines).expect("a string");
            }
            fs::create_dir_all(path.parent().expect("a folder holds the file")).expect("the folder is made");
            fs::write(&path, text).expect("the golden file is written");
        }
        Err(_) => compare(file, &old, entries),
    }
}

#[track_caller]
fn compare(file: &str, old: &[Held<'_>], entries: &[Entry]) {
    let remedy = format!("if the change is meant, write a decision record and set {REGENERATE}=adr-NNNN");
    for entry in entries {
        let was = old.iter().find(|was| was.name == entry.name);
        let was = was.unwrap_or_else(|| panic!("{file} lacks [{}]; {remedy}", entry.name));
        for (expected, found) in was.lines.lines().zip(entry.lines.lines()) {
            assert_eq!(found, expected, "{file} [{}]; {remedy}", entry.name);
        }
        assert_eq!(entry.lines.lines().count(), was.lines.lines().count(), "{file} [{}]; {remedy}", entry.name);
    }
    let stale: Vec<&str> =
        old.iter().map(|was| was.name).filter(|name| entries.iter().all(|entry| entry.name != *name)).collect();
    assert!(stale.is_empty(), "{file} holds {stale:?}, which the code no longer makes; {remedy}");
}

/// An entry as it stands in a file.
struct Held<'a> {
    name: &'a str,
    lines: &'a str,
    since: &'a str,
}

/// Reads the one form that `hold` writes.
fn parse(text: &str) -> Vec<Held<'_>> {
    text.split("\n\n[")
        .skip(1)
        .filter_map(|table| {
            let (name, rest) = table.split_once("]\n")?;
            let at = rest.rfind("since = \"")?;
            let since = rest[at..].trim_end().strip_prefix("since = \"")?.strip_suffix('"')?;
            Some(Held { name, lines: &rest[..at], since })
        })
        .collect()
}

/// The records that the entries of a golden file were written under.
pub fn records(file: &str) -> Vec<String> {
    let text = fs::read_to_string(folder().join(file)).expect("the golden file is there");
    parse(&text).iter().map(|held| held.since.to_owned()).collect()
}

fn is_record(text: &str) -> bool {
    text.strip_prefix("adr-").is_some_and(|number| number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The folder of the golden files.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written() {
        let text = "# words\n\n[a]\nx = \"1\"\nsince = \"adr-0001\"\n\n[b]\ny = [\n  2,\n]\nsince = \"adr-0002\"\n";
        let held = parse(text);
        let read: Vec<_> = held.iter().map(|h| (h.name, h.lines, h.since)).collect();
        assert_eq!(read, [("a", "x = \"1\"\n", "adr-0001"), ("b", "y = [\n  2,\n]\n", "adr-0002")]);
        let [a, b] = [Entry::new("a").text("x", 1), Entry::new("b").list("y", [2])];
        assert_eq!((a.lines.as_str(), b.lines.as_str()), (held[0].lines, held[1].lines));
    }

    #[test]
    fn a_changed_a_missing_and_a_stale_entry_are_found() {
        let held = [Held { name: "a", lines: "x = \"1\"\n", since: "adr-0001" }];
        let fails = |entries: &[Entry]| std::panic::catch_unwind(|| compare("f", &held, entries)).is_err();
        assert!(!fails(&[Entry::new("a").text("x", 1)]));
        assert!(fails(&[Entry::new("a").text("x", 2)]));
        assert!(fails(&[Entry::new("a").text("x", 1).text("z", 3)]));
        assert!(fails(&[Entry::new("a").text("x", 1), Entry::new("b")]));
        assert!(fails(&[]));
    }

    #[test]
    fn every_since_names_a_decision_that_was_written_down() {
        let names = |folder: PathBuf| {
            let entries = fs::read_dir(folder).expect("a readable folder");
            entries.map(|entry| entry.expect("a readable entry").file_name().into_string().expect("ascii"))
        };
        let decisions: Vec<String> = names(folder().join("../../docs/adr")).collect();
        let mut seen = 0u32;
        for part in ["codec", "ed25519", "genesis", "kernels", "ledger", "tree", "votes"] {
            for file in names(folder().join(part)) {
                for record in records(&format!("{part}/{file}")) {
                    let number = record.strip_prefix("adr-").expect("adr-NNNN");
                    let known = decisions.iter().any(|decision| decision.starts_with(&format!("{number}-")));
                    assert!(known, "{part}/{file}: there is no decision {record}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 100, "{seen} tables");
    }

    #[test]
    fn only_a_decision_record_allows_a_change() {
        assert!(is_record("adr-0007"));
        for text in ["", "1", "adr-7", "adr-00071", "ADR-0007", "adr-000x"] {
            assert!(!is_record(text), "{text}");
        }
    }
}
