//! The layers of the architecture page: who may know whom.

use cargo_metadata::{Dependency, DependencyKind, Package};

use crate::house::{File, House};

/// Where a crate stands, and which outside crates it may name.
struct Place {
    name: &'static str,
    layer: u8,
    /// `None`: any that no other crate owns. The pure layers name theirs one by one.
    imports: Option<&'static [&'static str]>,
}

/// The layers up to this one hold rules: no clock, no disk, no socket, no serde.
const LAST_PURE_LAYER: u8 = 3;
/// The layer of the tests, which may know everything below.
const TESTS: u8 = 7;

/// The table of `docs/architecture.md#layers`.
const PLACES: &[Place] = &[
    Place {
        name: "cpc-primitives",
        layer: 0,
        imports: Some(&[
            "bech32",
            "blake3",
            "curve25519-dalek",
            "ed25519-dalek",
            "ed25519-zebra",
            "rand_core",
            "ruint",
            "sha2",
            "thiserror",
            "wincode",
        ]),
    },
    // Scene files are JSON inside: the kernels read them through a kept parser.
    Place {
        name: "cpc-kernels",
        layer: 1,
        imports: Some(&["blake3", "gltf-json", "png", "rayon", "serde_json", "thiserror", "wincode"]),
    },
    Place { name: "cpc-light", layer: 1, imports: Some(&["thiserror", "wincode"]) },
    Place { name: "cpc-market-wire", layer: 1, imports: Some(&["thiserror", "wincode"]) },
    Place { name: "cpc-ledger", layer: 2, imports: Some(&["rayon", "thiserror", "wincode"]) },
    Place { name: "cpc-market", layer: 2, imports: Some(&["thiserror", "wincode"]) },
    // A chain spec is a TOML file: genesis parses one, and hands out plain values.
    Place { name: "cpc-genesis", layer: 3, imports: Some(&["serde", "thiserror", "toml", "wincode"]) },
    Place { name: "cpc-mempool", layer: 3, imports: Some(&["thiserror"]) },
    Place { name: "cpc-engine", layer: 4, imports: None },
    Place { name: "cpc-net", layer: 4, imports: None },
    Place { name: "cpc-store", layer: 4, imports: None },
    Place { name: "cpc", layer: 6, imports: None },
    Place { name: "cpc-bench", layer: TESTS, imports: None },
    Place { name: "cpc-e2e", layer: TESTS, imports: None },
    Place { name: "cpc-fuzz", layer: TESTS, imports: None },
    Place { name: "cpc-market-sim", layer: TESTS, imports: None },
    Place { name: "cpc-sim", layer: TESTS, imports: None },
    Place { name: "cpc-tidy", layer: TESTS, imports: None },
    Place { name: "cpc-vectors", layer: TESTS, imports: None },
];

/// Outside crates that one crate of ours owns: by the beginning of their names.
const OWNED: &[(&str, &str)] = &[
    ("rocksdb", "cpc-store"),
    ("librocksdb-sys", "cpc-store"),
    ("commonware-", "cpc-engine"),
    ("libp2p", "cpc-net"),
    ("cudarc", "cpc-kernels-cuda"),
];

/// Lints that stand in the library of each pure crate, because clippy knows no folders.
const PURE_LINTS: &[&str] = &["clippy::arithmetic_side_effects", "clippy::as_conversions", "clippy::float_arithmetic"];

/// The features that plant bugs on purpose.
const CANARIES: &[&str] = &["canary", "torture"];

/// Complaints about dependencies within the house.
pub(crate) fn arrows(packages: &[Package]) -> Vec<String> {
    let mut complaints = Vec::new();
    for package in packages {
        let Some(place) = place(&package.name) else {
            complaints.push(format!(
                "{}: {} has no layer: give it one in docs/architecture.md#layers and in tests/tidy/src/layers.rs",
                package.manifest_path, package.name
            ));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            // Tests may know each other, and a crate's own tests may know them too: nothing of the product reaches them.
            let is_test = dependency.kind == DependencyKind::Development;
            let below = self::place(&dependency.name).is_some_and(|other| {
                other.layer < place.layer || place.layer == TESTS || (is_test && other.layer == TESTS)
            });
            if !below {
                complaints.push(format!(
                    "{}: {} may not know {}: an arrow goes only to a lower layer; see docs/architecture.md#layers",
                    package.manifest_path, package.name, dependency.name
                ));
            }
        }
    }
    for place in PLACES {
        if !packages.iter().any(|package| *package.name == place.name) {
            complaints.push(format!("tests/tidy/src/layers.rs: there is no {}: remove its place", place.name));
        }
    }
    complaints
}

/// Complaints about dependencies from outside.
pub(crate) fn imports(packages: &[Package]) -> Vec<String> {
    let mut complaints = Vec::new();
    for package in packages {
        let Some(place) = place(&package.name) else { continue };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_none()) {
            if let Some(why) = refused(place, dependency) {
                complaints.push(format!(
                    "{}: {} may not import {}: {why}",
                    package.manifest_path, package.name, dependency.name
                ));
            }
        }
    }
    complaints
}

fn refused(place: &Place, dependency: &Dependency) -> Option<String> {
    let owner = OWNED.iter().find(|(start, _)| dependency.name.starts_with(start)).map(|(_, owner)| *owner);
    let is_test = dependency.kind == DependencyKind::Development || place.layer == TESTS;
    match (owner, place.imports) {
        (Some(owner), _) if owner != place.name && place.layer != TESTS => Some(format!("only {owner} names it")),
        _ if is_test => None,
        (_, Some(allowed)) if !allowed.contains(&&*dependency.name) => Some(format!(
            "a crate of layer {} lists what it imports in tests/tidy/src/layers.rs, and a new one there is a decision",
            place.layer
        )),
        _ => None,
    }
}

/// Complaints about planted bugs that a plain build would carry.
pub(crate) fn canaries(packages: &[Package]) -> Vec<String> {
    let mut complaints = Vec::new();
    let plants = |feature: &str| CANARIES.contains(&feature.rsplit('/').next().unwrap_or(feature));
    for package in packages {
        if package.features.get("default").is_some_and(|on| reaches(package, on, &plants)) {
            complaints
                .push(format!("{}: the default features plant a bug: remove it from them", package.manifest_path));
        }
        for dependency in package.dependencies.iter().filter(|d| d.features.iter().any(|f| plants(f))) {
            complaints.push(format!(
                "{}: asks {} for a planted bug in every build: pass --features to the one build that wants it",
                package.manifest_path, dependency.name
            ));
        }
    }
    complaints
}

/// Whether features, or features that they turn on, plant a bug.
fn reaches(package: &Package, features: &[String], plants: &impl Fn(&str) -> bool) -> bool {
    let mut seen = Vec::new();
    let mut open: Vec<&String> = features.iter().collect();
    while let Some(feature) = open.pop() {
        if plants(feature) {
            return true;
        }
        if !seen.contains(&feature) {
            seen.push(feature);
            open.extend(package.features.get(feature).into_iter().flatten());
        }
    }
    false
}

/// Complaints about pure crates that do not turn on the lints of arithmetic.
pub(crate) fn pure_lints(packages: &[Package], house: &House) -> Vec<String> {
    let pure = packages.iter().filter(|p| place(&p.name).is_some_and(|place| place.layer <= LAST_PURE_LAYER));
    let libraries = pure.map(|package| house.file(&package.manifest_path.as_str().replace("Cargo.toml", "src/lib.rs")));
    libraries.flat_map(|library| lacking_lints(&library)).collect()
}

fn lacking_lints(library: &File) -> Vec<String> {
    let lacking = PURE_LINTS.iter().filter(|lint| !library.text.contains(**lint));
    lacking
        .map(|lint| library.whole(format!("a pure layer warns of {lint}: see consensus/primitives/src/lib.rs")))
        .collect()
}

fn place(name: &str) -> Option<&'static Place> {
    PLACES.iter().find(|place| place.name == name)
}

#[cfg(test)]
mod tests {
    use cargo_metadata::Metadata;

    use super::*;

    /// A dependency as the tables below write it: `name`, or `dev name`, or `name+feature`; ours begin with cpc.
    fn dependency(text: &str) -> String {
        let (kind, name) = text.strip_prefix("dev ").map_or(("null", text), |name| ("\"dev\"", name));
        let (name, feature) = name.split_once('+').unwrap_or((name, ""));
        let features = if feature.is_empty() { String::new() } else { format!("\"{feature}\"") };
        let path = if name.starts_with("cpc") { ",\"path\":\"/x\"" } else { "" };
        format!(
            "{{\"name\":\"{name}\",\"source\":null,\"req\":\"*\",\"kind\":{kind},\"rename\":null,\"optional\":false,\
             \"uses_default_features\":true,\"features\":[{features}],\"target\":null,\"registry\":null{path}}}"
        )
    }

    fn package(name: &str, dependencies: &[&str], features: &str) -> Package {
        let dependencies: Vec<String> = dependencies.iter().map(|text| dependency(text)).collect();
        let package = format!(
            "{{\"name\":\"{name}\",\"version\":\"0.1.0\",\"id\":\"{name}\",\"license\":null,\"license_file\":null,\
             \"description\":null,\"source\":null,\"dependencies\":[{}],\"targets\":[],\"features\":{features},\
             \"manifest_path\":\"{name}/Cargo.toml\"}}",
            dependencies.join(",")
        );
        let metadata = format!(
            "{{\"packages\":[{package}],\"workspace_members\":[],\"resolve\":null,\"target_directory\":\"t\",\
             \"workspace_root\":\"w\",\"version\":1}}"
        );
        let metadata: Metadata = serde_json::from_str(&metadata).expect("what cargo prints");
        metadata.packages.into_iter().next().expect("one package")
    }

    /// All places stand, so that only what a table is about is complained of.
    fn with_the_rest(changed: Package) -> Vec<Package> {
        let rest = PLACES.iter().filter(|place| *changed.name != place.name).map(|p| package(p.name, &[], "{}"));
        let mut all: Vec<Package> = rest.collect();
        all.push(changed);
        all
    }

    #[track_caller]
    fn check(rule: fn(&[Package]) -> Vec<String>, changed: Package, expected: &[&str]) {
        let found = rule(&with_the_rest(changed));
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn an_arrow_up_or_across_is_seen() {
        check(arrows, package("cpc-ledger", &["cpc-light"], "{}"), &[]);
        check(arrows, package("cpc-ledger", &["cpc-store"], "{}"), &["cpc-ledger may not know cpc-store"]);
        check(arrows, package("cpc-ledger", &["dev cpc-store"], "{}"), &["cpc-ledger may not know cpc-store"]);
        check(arrows, package("cpc-ledger", &["dev cpc-vectors"], "{}"), &[]);
        check(arrows, package("cpc-ledger", &["cpc-vectors"], "{}"), &["cpc-ledger may not know cpc-vectors"]);
        check(arrows, package("cpc-light", &["cpc-light"], "{}"), &["cpc-light may not know cpc-light"]);
        check(arrows, package("cpc-fuzz", &["cpc-vectors"], "{}"), &[]);
        check(arrows, package("cpc", &["cpc-vectors"], "{}"), &["cpc may not know cpc-vectors"]);
        check(arrows, package("cpc-new", &[], "{}"), &["cpc-new has no layer"]);
        assert!(arrows(&[]).iter().any(|complaint| complaint.contains("there is no cpc-store")));
    }

    #[test]
    fn an_import_that_a_layer_forbids_is_seen() {
        check(imports, package("cpc-ledger", &["rayon", "dev tokio"], "{}"), &[]);
        check(
            imports,
            package("cpc-ledger", &["tokio"], "{}"),
            &["cpc-ledger may not import tokio: a crate of layer 2"],
        );
        check(imports, package("cpc-primitives", &["serde"], "{}"), &["cpc-primitives may not import serde"]);
        check(imports, package("cpc", &["rocksdb"], "{}"), &["cpc may not import rocksdb: only cpc-store names it"]);
        check(imports, package("cpc-light", &["dev commonware-codec"], "{}"), &["only cpc-engine names it"]);
        check(imports, package("cpc-vectors", &["dev commonware-codec"], "{}"), &[]);
        check(imports, package("cpc-store", &["rocksdb"], "{}"), &[]);
    }

    #[test]
    fn a_pure_crate_without_its_lints_is_seen() {
        assert_eq!(lacking_lints(&File::new("lib.rs", &PURE_LINTS.join(", "))), Vec::<String>::new());
        assert_eq!(lacking_lints(&File::new("lib.rs", "")).len(), PURE_LINTS.len());
    }

    #[test]
    fn a_canary_in_a_plain_build_is_seen() {
        check(canaries, package("cpc-store", &[], "{\"canary\":[],\"default\":[\"fast\"],\"fast\":[]}"), &[]);
        check(canaries, package("cpc-store", &[], "{\"default\":[\"canary\"]}"), &["the default features plant a bug"]);
        let chain = "{\"default\":[\"a\"],\"a\":[\"b\"],\"b\":[\"cpc-store/torture\"]}";
        check(canaries, package("cpc", &[], chain), &["the default features plant a bug"]);
        check(canaries, package("cpc-e2e", &["cpc-store+canary"], "{}"), &["asks cpc-store for a planted bug"]);
    }
}
