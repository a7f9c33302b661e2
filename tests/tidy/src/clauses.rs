//! The clauses of the spec and their citations in the code: each demands the other.

use std::collections::{BTreeMap, BTreeSet};

use crate::house::File;
use crate::lexer::{Kind, pieces};

/// Standards of other people, whose numbers look like ids of clauses.
const FOREIGN: &[&str] = &["ADR", "AES", "AVX", "BIP", "FIPS", "IEEE", "ISO", "RFC", "SHA", "SLIP", "UTF", "ZIP"];

/// Complaints about clauses without a citation, citations without a clause, and clauses that stand twice.
///
/// A prefix that some clause has makes a citation. In a comment any other prefix is one too, unless it is a standard's:
/// else a file of clauses could be forgotten, and a prefix misspelt.
pub(crate) fn both_ways(spec: &[&File], code: &[&File]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut clauses: BTreeMap<&str, (&File, usize)> = BTreeMap::new();
    for (file, number, id) in defined(spec) {
        if let Some((first, line)) = clauses.insert(id, (file, number)) {
            complaints.push(
                file.at(number, format!("{id} stands already in {}:{line}: give this one another number", first.path)),
            );
        }
    }
    let prefixes: BTreeSet<&str> = clauses.keys().filter_map(|id| prefix(id)).collect();

    let mut cited = BTreeSet::new();
    for file in code {
        for (number, line) in file.lines() {
            for id in ids(line).filter(|id| prefix(id).is_some_and(|prefix| prefixes.contains(prefix))) {
                cited.insert(id);
                if !clauses.contains_key(id) {
                    complaints.push(
                        file.at(number, format!("cites {id}, which no file of docs/spec/ defines: write the clause")),
                    );
                }
            }
        }
    }
    for file in code {
        for piece in pieces(&file.text).iter().filter(|piece| piece.kind == Kind::Comment) {
            let unknown = |id: &&str| prefix(id).is_some_and(|p| !prefixes.contains(p) && !FOREIGN.contains(&p));
            complaints.extend(ids(&piece.text).filter(unknown).map(|id| {
                file.at(piece.line, format!("cites {id}, and no clause has that prefix: write it, or name the standard in tests/tidy/src/clauses.rs"))
            }));
        }
    }
    for (id, (file, number)) in &clauses {
        if !cited.contains(id) {
            complaints.push(
                file.at(*number, format!("no .rs file cites {id}: cite it where it is implemented, or remove it")),
            );
        }
    }
    complaints
}

/// Complaints about prefixes that the row of their file does not list.
pub(crate) fn listed(spec: &[&File], list: &File) -> Vec<String> {
    let mut homes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (file, _, id) in defined(spec) {
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        homes.entry(prefix(id).expect("a clause has a prefix")).or_default().insert(name);
    }
    let row_of = |prefix: &str, file: &str| {
        list.text.lines().any(|line| line.contains(&format!("`{prefix}`")) && line.contains(&format!("]({file})")))
    };
    homes
        .iter()
        .flat_map(|(prefix, files)| files.iter().map(move |file| (*prefix, *file)))
        .filter(|(prefix, file)| !row_of(prefix, file))
        .map(|(prefix, file)| list.whole(format!("the row of {file} does not list the prefix {prefix}: add it")))
        .collect()
}

/// Every clause with its place: a paragraph that begins with its id in bold.
fn defined<'a>(spec: &[&'a File]) -> impl Iterator<Item = (&'a File, usize, &'a str)> {
    spec.iter().flat_map(|file| file.lines().map(|(number, line)| (*file, number, line))).filter_map(
        |(file, number, line)| {
            let (id, _) = line.strip_prefix("**")?.split_once(".**")?;
            (ids(id).next() == Some(id)).then_some((file, number, id))
        },
    )
}

/// The ids in a line: two to five capitals, a hyphen, a number, and nothing that makes them part of a longer word.
fn ids(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))).filter(|word| {
        word.split_once('-').is_some_and(|(prefix, number)| {
            (2..=5).contains(&prefix.len())
                && prefix.bytes().all(|b| b.is_ascii_uppercase())
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
        })
    })
}

fn prefix(id: &str) -> Option<&str> {
    id.split_once('-').map(|(prefix, _)| prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spec: &str, code: &str, expected: &[&str]) {
        let found = both_ways(&[&File::new("docs/spec/zoo.md", spec)], &[&File::new("zoo.rs", code)]);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn a_clause_and_its_citation_demand_each_other() {
        check("**ZOO-1.** A zoo.\n", "// ZOO-1: here", &[]);
        check("**ZOO-1.** A zoo.\n", "// UTF-8, ZOO-2x, aZOO-2; (ZOO-1)", &[]);
        check("**ZOO-1.** A zoo.\n", "f(\"CAT-1\"); // ZOO-1", &[]);
        check("**ZOO-1.** A zoo.\n", "// ZOO-1\n// CAT-1", &["zoo.rs:2: cites CAT-1, and no clause has that prefix"]);
        check("**ZOO-1.** A zoo.\n", "", &["docs/spec/zoo.md:1: no .rs file cites ZOO-1"]);
        check("**ZOO-1.** A zoo.\n", "// ZOO-1\n// ZOO-2", &["zoo.rs:2: cites ZOO-2"]);
        check("**ZOO-1.** A.\n\n**ZOO-1.** B.\n", "// ZOO-1", &["docs/spec/zoo.md:3: ZOO-1 stands already"]);
        check("See **ZOO-1.** in a sentence.\n", "", &[]);
    }

    #[test]
    fn a_prefix_that_is_not_listed_is_seen() {
        let spec = File::new("docs/spec/zoo.md", "**ZOO-1.** A zoo.\n");
        let list = |text: &str| listed(&[&spec], &File::new("docs/spec/README.md", text));
        assert_eq!(list("| [zoo.md](zoo.md) | `ZOO` |"), Vec::<String>::new());
        for other in ["| [cat.md](cat.md) | `ZOO` |", "| [zoo.md](zoo.md) | `CAT` |", ""] {
            assert_eq!(list(other), ["docs/spec/README.md: the row of zoo.md does not list the prefix ZOO: add it"]);
        }
    }
}
