//! Holds the house to what its pages say: layers, manifests, clauses, sources and documents.
//!
//! Each module is a list of rules from text to complaints, with tables that show that every rule can fail. The tests
//! of this file apply them to the tree. A complaint names a file, a line where there is one, and what to do.

mod clauses;
mod documents;
mod house;
mod layers;
mod lexer;
mod manifests;
mod sources;
mod tables;

use house::House;

#[track_caller]
fn nothing(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{} complaints:\n{}\n", complaints.len(), complaints.join("\n"));
}

#[test]
fn every_dependency_points_down() {
    nothing(layers::arrows(&House::read().packages()));
}

#[test]
fn every_crate_imports_only_what_its_layer_allows() {
    nothing(layers::imports(&House::read().packages()));
}

#[test]
fn no_build_carries_a_canary_unasked() {
    nothing(layers::canaries(&House::read().packages()));
}

#[test]
fn the_root_manifest_gives_its_reasons() {
    nothing(manifests::reasons(&House::read().file("Cargo.toml")));
}

#[test]
fn every_profile_stops_on_overflow() {
    nothing(manifests::profiles(&House::read().file("Cargo.toml")));
}

#[test]
fn versions_and_lints_stand_in_the_root_alone() {
    let house = House::read();
    let members =
        house.files("Cargo.toml").filter(|file| !matches!(&*file.path, "Cargo.toml" | ".ci/rocksdb/Cargo.toml"));
    nothing(members.flat_map(manifests::member).collect());
}

#[test]
fn the_archive_of_the_disk_is_the_version_that_is_linked() {
    let house = House::read();
    nothing(manifests::same_archive(&house.file("Cargo.lock"), &house.file(".ci/rocksdb/Cargo.lock")));
}

#[test]
fn the_pure_layers_share_their_lints() {
    let house = House::read();
    nothing(manifests::same_lints(&house.file("consensus/clippy.toml"), &house.file("genesis/clippy.toml")));
    nothing(layers::pure_lints(&house.packages(), &house));
}

#[test]
fn every_clause_is_cited_and_every_citation_has_its_clause() {
    let house = House::read();
    let spec = house.under("docs/spec/").filter(|file| file.path.ends_with(".md")).collect::<Vec<_>>();
    let code = house.files(".rs").collect::<Vec<_>>();
    nothing(clauses::both_ways(&spec, &code));
    nothing(clauses::listed(&spec, &house.file("docs/spec/README.md")));
}

#[test]
fn the_tables_of_the_spec_say_what_the_code_says() {
    let house = House::read();
    let spec = house.file("docs/spec/primitives.md");
    nothing(tables::tags(&house.file("consensus/primitives/src/hash.rs"), &spec));
    nothing(tables::limits(&house.file("consensus/primitives/src/limits.rs"), &spec));
}

#[test]
fn every_source_file_keeps_the_style() {
    nothing(House::read().files(".rs").flat_map(sources::complaints).collect());
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    nothing(House::read().texts().flat_map(sources::places).collect());
}

#[test]
fn every_document_keeps_its_form() {
    let house = House::read();
    nothing(documents::glossary(&house.file("docs/glossary.md")));
    nothing(documents::map(&house.file("docs/architecture.md"), &house.packages()));
    nothing(house.files(".md").flat_map(documents::words).collect());
    nothing(house.files(".md").flat_map(|file| documents::links(file, &house)).collect());
    let code = house.files(".rs").collect::<Vec<_>>();
    nothing(house.under("docs/adr/").flat_map(|file| documents::decision(file, &code)).collect());
}

#[test]
fn the_licence_is_there() {
    assert!(House::read().file("LICENSE").text.contains("Apache License"), "LICENSE: restore the text of Apache-2.0");
}
