//! The manifests: a reason beside every choice, and one place for every version.

use crate::house::File;

/// The versions that both lock files must name alike: what is in the archive, and what the crates link beside it.
const SHARED: &[&str] = &["librocksdb-sys", "lz4-sys", "zstd-sys"];

/// Complaints about choices of the root manifest that give no reason.
///
/// A reason is a comment on the line or in the lines above it. A dependency on a crate of ours needs none.
pub(crate) fn reasons(root: &File) -> Vec<String> {
    let (mut section, mut depth, mut complaints) = (String::new(), 0i32, Vec::new());
    let mut previous = "";
    for (number, line) in root.lines() {
        if line.starts_with('[') {
            line.trim_end().trim_matches(['[', ']']).clone_into(&mut section);
        } else if depth == 0 && line.contains('=') && !line.starts_with('#') && asks_reasons(&section) {
            let ours = section == "workspace.dependencies" && line.starts_with("cpc");
            if !ours && !line.contains('#') && !previous.starts_with('#') {
                complaints.push(root.at(number, "a choice without a reason: write it beside it, as a comment"));
            }
        }
        let code = line.split('#').next().unwrap_or_default();
        depth += brackets(code);
        previous = line;
    }
    complaints
}

fn asks_reasons(section: &str) -> bool {
    section == "workspace.dependencies" || section.starts_with("workspace.lints") || section == "profile.dev"
}

fn brackets(code: &str) -> i32 {
    let count = |wanted: &[char]| i32::try_from(code.matches(wanted).count()).expect("a line is short");
    count(&['[', '{']) - count(&[']', '}'])
}

/// Complaints about profiles in which a sum may wrap, and about one for the tests alone, which would compile all twice.
pub(crate) fn profiles(root: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    for section in root.text.split("\n[").skip(1) {
        let Some(name) = section.strip_prefix("profile.").and_then(|rest| rest.split(']').next()) else { continue };
        if name == "test" {
            complaints.push(
                root.whole("profile.test: the tests are built as everything is, see docs/adr/0005-one-profile.md"),
            );
        }
        let answers = ["overflow-checks = true", "inherits = "].iter().any(|answer| section.contains(answer));
        if !name.contains(".package") && !answers {
            complaints.push(root.whole(format!("profile.{name}: set overflow-checks = true")));
        }
    }
    complaints
}

/// Complaints about a member's manifest that says what only the root says.
pub(crate) fn member(manifest: &File) -> Vec<String> {
    let (mut section, mut complaints) = (String::new(), Vec::new());
    for (number, line) in manifest.lines() {
        if line.starts_with('[') {
            line.trim_end().trim_matches(['[', ']']).clone_into(&mut section);
            if section.starts_with("profile") || section.starts_with("patch") {
                complaints.push(manifest.at(number, "profiles and patches stand in the root manifest"));
            }
            continue;
        }
        let Some((name, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
        if section.ends_with("dependencies") && !line.contains("workspace = true") {
            let name = name.trim();
            complaints.push(
                manifest.at(
                    number,
                    format!("{name}: its version stands in the root manifest, here only `workspace = true`"),
                ),
            );
        }
    }
    if !manifest.text.contains("[lints]\nworkspace = true") {
        complaints.push(manifest.whole("take the lints of the house: [lints] workspace = true"));
    }
    complaints
}

/// Complaints about the archive's lock file naming other versions than the root's.
pub(crate) fn same_archive(root: &File, archive: &File) -> Vec<String> {
    SHARED
        .iter()
        .filter_map(|name| {
            let (linked, built) = (versions(root, name), versions(archive, name));
            (linked.len() != 1 || linked != built).then(|| {
                archive.whole(format!(
                    "{name} is {built:?} here and {linked:?} in Cargo.lock: bring .ci/rocksdb/Cargo.lock to one and the same"
                ))
            })
        })
        .collect()
}

fn versions<'a>(lock: &'a File, name: &str) -> Vec<&'a str> {
    let wanted = format!("name = \"{name}\"");
    let lines: Vec<&str> = lock.text.lines().collect();
    let named = lines.windows(2).filter(|pair| pair[0] == wanted);
    named.map(|pair| pair[1].trim_start_matches("version = ").trim_matches('"')).collect()
}

/// Complaints about two lint files that must say the same.
pub(crate) fn same_lints(first: &File, second: &File) -> Vec<String> {
    (first.text != second.text)
        .then(|| second.whole(format!("differs from {}: the pure layers have the same lints", first.path)))
        .into_iter()
        .collect()
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

    #[track_caller]
    fn root(text: &str, expected: &[&str]) {
        check(&reasons(&File::new("Cargo.toml", text)), expected);
    }

    #[test]
    fn a_choice_without_a_reason_is_seen() {
        root("[workspace.dependencies]\ncpc-light = { path = \"x\" }\na = \"1\" # why\n", &[]);
        root("[workspace.dependencies]\n# why\na = \"1\"\n", &[]);
        root("[workspace.dependencies]\na = \"1\"\n", &["Cargo.toml:2: a choice without a reason"]);
        root(
            "[workspace.dependencies]\na = { version = \"1\", features = [ # why\n  \"b=c\",\n] }\nd = \"1\"\n",
            &["Cargo.toml:5:"],
        );
        root("[workspace.lints.rust]\nunsafe_code = \"deny\"\n", &["Cargo.toml:2:"]);
        root("[workspace.package]\nversion = \"1\"\n", &[]);
    }

    #[test]
    fn a_version_outside_the_root_is_seen() {
        let lints = "[lints]\nworkspace = true\n";
        let manifest = |text: &str| member(&File::new("x/Cargo.toml", &format!("{lints}{text}")));
        check(&manifest("[dependencies]\na.workspace = true\nb = { workspace = true, optional = true }\n"), &[]);
        check(&manifest("[dev-dependencies]\na = \"1\"\n"), &["x/Cargo.toml:4: a: its version stands in the root"]);
        check(&manifest("[profile.release]\n"), &["x/Cargo.toml:3: profiles"]);
        check(&member(&File::new("x/Cargo.toml", "[package]\n")), &["take the lints"]);
    }

    #[test]
    fn a_profile_that_wraps_is_seen() {
        let found = |text: &str| profiles(&File::new("Cargo.toml", &format!("\n{text}\n")));
        check(&found("[profile.dev]\noverflow-checks = true\n[profile.dev.package.\"*\"]\nopt-level = 3"), &[]);
        check(&found("[profile.bench]\ninherits = \"release\""), &[]);
        check(&found("[profile.release]\nopt-level = 3"), &["profile.release: set overflow-checks"]);
        check(&found("[profile.test]\noverflow-checks = true"), &["profile.test"]);
    }

    #[test]
    fn two_versions_of_the_disk_are_seen() {
        let lock = |version: &str| {
            let packages =
                SHARED.iter().map(|name| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n"));
            File::new("Cargo.lock", &packages.collect::<String>())
        };
        check(&same_archive(&lock("1"), &lock("1")), &[]);
        check(&same_archive(&lock("1"), &lock("2")), SHARED);
        check(&same_archive(&File::new("Cargo.lock", ""), &File::new("Cargo.lock", "")), SHARED);
    }

    #[test]
    fn lints_that_drift_apart_are_seen() {
        check(&same_lints(&File::new("a", "x"), &File::new("b", "x")), &[]);
        check(&same_lints(&File::new("a", "x"), &File::new("b", "y")), &["b: differs from a"]);
    }
}
