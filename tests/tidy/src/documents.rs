//! The form of the documents: the glossary, the map, the decisions, their words and their links.

use std::collections::BTreeMap;

use cargo_metadata::Package;

use crate::house::{File, House};

/// Words that promise and say nothing, in pieces so that this file does not hold them.
const EMPTY_WORDS: &[&str] = &[
    concat!("sim", "ply"),
    concat!("rob", "ust"),
    concat!("compre", "hensive"),
    concat!("for", " now"),
    concat!("M", "VP"),
    concat!("simpl", "ified"),
];

/// The headings of a decision, in their order.
const DECISION: &[&str] =
    &["## Status", "## Context", "## Decision", "## Invariants", "## Alternatives and why not", "## Consequences"];

/// Complaints about the glossary: every noun once, in the order of the alphabet, with a definition.
pub(crate) fn glossary(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut last = String::new();
    let mut entries = 0;
    for (number, line) in file.lines() {
        let Some((noun, definition)) = line.strip_prefix("**").and_then(|rest| rest.split_once("**:")) else {
            continue;
        };
        entries += 1;
        let key = noun.to_lowercase();
        if key == last {
            complaints.push(file.at(number, format!("{noun} stands twice: a noun has one entry")));
        } else if key < last {
            complaints.push(file.at(number, format!("{noun} stands after {last}: keep the order of the alphabet")));
        }
        if definition.trim().is_empty() {
            complaints.push(file.at(number, format!("{noun} has no definition on its line")));
        }
        last = key;
    }
    if entries == 0 {
        complaints.push(file.whole("has no entries of the form `**noun**: definition`"));
    }
    complaints
}

/// Complaints about crates that the map does not show.
pub(crate) fn map(file: &File, packages: &[Package]) -> Vec<String> {
    missing_rows(file, packages.iter().map(|package| package.name.as_str()))
}

fn missing_rows<'a>(file: &File, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names
        .filter(|name| !file.text.lines().any(|line| line.starts_with('|') && line.contains(&format!("`{name}`"))))
        .map(|name| file.whole(format!("has no row for `{name}`: add one line that says what it is for")))
        .collect()
}

/// Complaints about words that the guides do without.
pub(crate) fn words(file: &File) -> Vec<String> {
    file.lines()
        .filter_map(|(number, line)| {
            let line = line.to_lowercase();
            let word = EMPTY_WORDS.iter().find(|word| has_word(&line, &word.to_lowercase()))?;
            Some(file.at(number, format!("{word:?} says nothing: say what is so, or leave it out")))
        })
        .collect()
}

fn has_word(line: &str, word: &str) -> bool {
    let bounded = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    line.match_indices(word)
        .any(|(at, _)| bounded(line[..at].chars().next_back()) && bounded(line[at + word.len()..].chars().next()))
}

/// Complaints about links of a document that lead nowhere.
pub(crate) fn links(file: &File, house: &House) -> Vec<String> {
    broken(file, |path| house.has(path), |path| house.files(".md").find(|f| f.path == path).map(|f| f.text.clone()))
}

fn broken(file: &File, exists: impl Fn(&str) -> bool, text_of: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in file.lines() {
        let line = without_code(line);
        for target in targets(&line).filter(|target| !target.contains("://") && !target.starts_with("mailto:")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { file.path.clone() } else { resolved(&file.path, path) };
            if !exists(&path) {
                complaints.push(file.at(number, format!("links to {target}, and there is no {path}")));
            } else if !anchor.is_empty() {
                let headings = text_of(&path).unwrap_or_default();
                if !headings.lines().filter_map(heading).any(|slug| slug == anchor) {
                    complaints
                        .push(file.at(number, format!("links to {target}, and {path} has no heading of that name")));
                }
            }
        }
    }
    complaints
}

/// A line without what stands between backticks: a formula in code is no link.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// What the links of a line lead to.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

/// A path as a file writes it, from the root of the repository.
fn resolved(from: &str, path: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchor of a heading, as forges make it.
fn heading(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

/// Complaints about a decision that is not in the form of one, or whose invariants name no test.
pub(crate) fn decision(file: &File, code: &[&File]) -> Vec<String> {
    let name = file.path.rsplit('/').next().unwrap_or(&file.path);
    if name == "README.md" {
        return Vec::new();
    }
    let numbered = name.split_once('-').is_some_and(|(n, _)| n.len() == 4 && n.bytes().all(|b| b.is_ascii_digit()));
    let mut complaints = Vec::new();
    if !numbered || !name.ends_with(".md") {
        complaints.push(file.whole("a decision is named NNNN-what-it-decides.md"));
    }
    let headings: Vec<&str> = file.text.lines().filter(|line| line.starts_with("## ")).collect();
    if headings != DECISION {
        complaints.push(file.whole(format!("has the headings {headings:?}: a decision has {DECISION:?}")));
    }
    for (number, item) in items(file, "## Invariants") {
        let named = item.split('`').skip(1).step_by(2);
        let mut tests = named.filter(|name| code.iter().any(|file| file.text.contains(&format!("fn {name}("))));
        if tests.next().is_none() {
            complaints.push(file.at(number, "an invariant names the test that holds it, as `name_of_the_test`"));
        }
    }
    complaints
}

/// The items of a section's list, each with its first line and its whole text.
fn items(file: &File, section: &str) -> BTreeMap<usize, String> {
    let (mut inside, mut items) = (false, BTreeMap::<usize, String>::new());
    for (number, line) in file.lines() {
        if line.starts_with("## ") {
            inside = line == section;
        } else if inside && line.starts_with("- ") {
            items.insert(number, line.to_owned());
        } else if let Some(mut last) = items.last_entry().filter(|_| inside) {
            last.get_mut().push_str(line);
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: &[String], expected: &[&str]) {
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn a_noun_has_one_entry() {
        let found = |text: &str| glossary(&File::new("g.md", text));
        check(&found("**Account**: money.\n\n**block**: a list.\n"), &[]);
        check(&found("**block**: a.\n**Block**: b.\n"), &["g.md:2: Block stands twice"]);
        check(&found("**block**: a.\n**account**: b.\n"), &["g.md:2: account stands after block"]);
        check(&found("**block**:\n"), &["g.md:1: block has no definition"]);
        check(&found("# Glossary\n"), &["has no entries"]);
    }

    #[test]
    fn a_crate_without_a_row_is_seen() {
        let map = File::new("map.md", "| `cpc-light` | proofs |\nAlso `cpc-store`.\n");
        check(&missing_rows(&map, ["cpc-light"].into_iter()), &[]);
        check(&missing_rows(&map, ["cpc-store"].into_iter()), &["no row for `cpc-store`"]);
    }

    #[test]
    fn empty_words_are_seen() {
        for word in EMPTY_WORDS {
            check(&words(&File::new("a.md", &format!("It is {word}.\n"))), &["a.md:1: "]);
        }
        check(&words(&File::new("a.md", "Robustness of simplicity.\n")), &[]);
    }

    #[test]
    fn a_link_to_nowhere_is_seen() {
        let found = |text: &str| {
            let exists = |path: &str| path == "docs/b.md";
            broken(&File::new("docs/a.md", text), exists, |_| Some("# The Layers, now\n".to_owned()))
        };
        check(&found("[b](b.md) [b](../docs/b.md#the-layers-now) [w](https://example.com/x)\n"), &[]);
        check(&found("`H[tag](bytes)`\n"), &[]);
        check(&found("x\n[c](c.md)\n"), &["docs/a.md:2: links to c.md, and there is no docs/c.md"]);
        check(&found("[b](b.md#other)\n"), &["docs/a.md:1: links to b.md#other, and docs/b.md has no heading"]);
    }

    #[test]
    fn a_decision_has_its_form_and_names_its_tests() {
        let code = File::new("a.rs", "fn it_holds() {}\n");
        let text =
            |invariant: &str| DECISION.join("\n\nText.\n\n").replace("## Alt", &format!("{invariant}\n\n## Alt"));
        let found = |path: &str, text: &str| decision(&File::new(path, text), &[&code]);
        check(&found("docs/adr/0001-a.md", &text("- It holds:\n  `it_holds`.")), &[]);
        check(&found("docs/adr/0001-a.md", &text("- It holds.")), &["an invariant names the test"]);
        check(&found("docs/adr/0001-a.md", &text("- It holds: `nobody`.")), &["an invariant names the test"]);
        check(&found("docs/adr/a.md", &text("- `it_holds`")), &["a decision is named"]);
        check(&found("docs/adr/0001-a.md", "## Status\n"), &["has the headings"]);
        check(&found("docs/adr/README.md", ""), &[]);
    }
}
