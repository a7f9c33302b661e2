//! The tables of the spec that repeat what the code says: hash tags and limits.

use crate::house::File;

/// The bytes of a tag.
const TAG_BYTES: usize = 32;

/// Complaints about tags of the code that HASH-1's table lacks, and rows that no tag has.
pub(crate) fn tags(code: &File, spec: &File) -> Vec<String> {
    let tags = literals(code).filter(|(_, text)| text.len() == TAG_BYTES && text.starts_with("cpc."));
    let tags: Vec<(usize, &str)> = tags.map(|(number, tag)| (number, tag.trim_end_matches('.'))).collect();
    let rows: Vec<(usize, &str)> = rows(spec).filter(|(_, row)| row.starts_with("cpc.")).collect();
    let lacking = tags.iter().filter(|(_, tag)| !rows.iter().any(|(_, row)| row == tag));
    let stale = rows.iter().filter(|(_, row)| !tags.iter().any(|(_, tag)| row == tag));
    lacking
        .map(|(number, tag)| code.at(*number, format!("the tag {tag} has no row in {}", spec.path)))
        .chain(stale.map(|(number, row)| spec.at(*number, format!("{} has no tag {row}", code.path))))
        .collect()
}

/// Complaints about limits of the code that LIM-1's table lacks, or lists with another value.
pub(crate) fn limits(code: &File, spec: &File) -> Vec<String> {
    let constants = code.lines().filter_map(|(number, line)| {
        let (name, rest) = line.strip_prefix("pub const ")?.split_once(':')?;
        let (_, value) = rest.strip_suffix(';')?.split_once(" = ")?;
        Some((number, name, value))
    });
    constants
        .filter(|(_, name, value)| !spec.text.contains(&format!("\n| `{name}` | `{value}` |")))
        .map(|(number, name, value)| code.at(number, format!("{name} = {value} has no such row in {}", spec.path)))
        .collect()
}

/// The first literal of each line.
fn literals(code: &File) -> impl Iterator<Item = (usize, &str)> {
    code.lines().filter_map(|(number, line)| Some((number, line.split('"').nth(1)?)))
}

/// The first cell of each row, where it is one word of code.
fn rows(spec: &File) -> impl Iterator<Item = (usize, &str)> {
    spec.lines().filter_map(|(number, line)| {
        let (cell, _) = line.strip_prefix("| `")?.split_once("` |")?;
        Some((number, cell))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_is_not_listed_is_seen() {
        let code = |name: &str| File::new("hash.rs", &format!("A => b\"{name:.<32}\",\n"));
        let spec = File::new("spec.md", "| tag | of what |\n|---|---|\n| `cpc.a.v1` | a |\n");
        assert_eq!(tags(&code("cpc.a.v1"), &spec), Vec::<String>::new());
        let found = tags(&code("cpc.b.v1"), &spec);
        assert_eq!(
            found,
            ["hash.rs:1: the tag cpc.b.v1 has no row in spec.md", "spec.md:3: hash.rs has no tag cpc.a.v1"]
        );
    }

    #[test]
    fn a_limit_that_is_not_listed_is_seen() {
        let code = File::new("limits.rs", "/// Bytes.\npub const A_MAX: usize = 64 << 10;\n");
        let found = |row: &str| limits(&code, &File::new("spec.md", &format!("\n{row}\n")));
        assert_eq!(found("| `A_MAX` | `64 << 10` | a |"), Vec::<String>::new());
        assert_eq!(found("| `A_MAX` | `65` | a |"), ["limits.rs:2: A_MAX = 64 << 10 has no such row in spec.md"]);
    }
}
