//! Pictures as a newcomer makes them: a sample, a check, a scene of one's own, and what is refused.

use std::fs;
use std::process::{Command, Stdio};

use cpc_e2e::{binary, fails, succeeds};
use serde_json::Value;

#[test]
fn a_sample_becomes_a_picture_that_a_validator_would_accept() {
    let home = tempfile::tempdir().expect("a folder");
    let path = |name: &str| home.path().join(name).display().to_string();
    let (picture, scene) = (path("box.png"), path("box.glb"));
    let small = ["--size", "40x30", "--samples", "2", "--check"];
    let said = |scene: &str, more: &[&str]| {
        let arguments = [&["render", scene, "-o", &picture], &small[..], more].concat();
        succeeds(home.path(), "", &arguments)
    };
    let first = said("sample:box", &["--save-scene", &scene]);
    assert!(first.contains("36 triangles") && first.contains("checked"), "{first}");
    assert!(fs::read(&picture).expect("a picture").starts_with(b"\x89PNG"));

    // The scene that was saved gives the same bits, on one thread too.
    let again: Value = serde_json::from_str(&said(&scene, &["--yes", "--json", "--threads", "1"])).expect("an object");
    let output = again["outputs"][0].as_str().expect("a hash");
    assert!(first.contains(output), "{first} does not name {output}");
    assert_eq!((again["version"].as_u64(), again["triangles"].as_u64()), (Some(1), Some(36)));

    fails(home.path(), "", &["render", "sample:box", "-o", &picture], 4, "exists already");
    fails(home.path(), "", &["render", "sample:nothing"], 3, "the samples are box, tiles");
    fails(home.path(), "", &["render", &path("none.glb")], 3, "cannot be read");
    fails(home.path(), "", &["render", &picture, "-o", &path("b.png")], 4, "no binary glTF");
    let wide = ["render", "sample:box", "-o", &path("c.png"), "--size", "99999x1"];
    fails(home.path(), "", &wide, 2, "width is 99999; it is at least 1 and at most 16384");
}

#[test]
fn an_animation_is_a_picture_a_frame() {
    let home = tempfile::tempdir().expect("a folder");
    let picture = home.path().join("orbit.png").display().to_string();
    let small = ["render", "sample:orbit", "-o", &picture, "--size", "16x12", "--samples", "1", "--frames", "3"];
    succeeds(home.path(), "", &small);
    let mut files: Vec<String> = fs::read_dir(home.path())
        .expect("a folder")
        .map(|row| row.expect("a row").file_name().display().to_string())
        .filter(|name| name.ends_with(".png"))
        .collect();
    files.sort();
    assert_eq!(files, ["orbit-00000.png", "orbit-00001.png", "orbit-00002.png"]);
}

#[test]
fn ctrl_c_leaves_no_picture() {
    let home = tempfile::tempdir().expect("a folder");
    let picture = home.path().join("long.png");
    // Hours of work: it ends because it is asked to.
    let mut command = Command::new(binary());
    let command = command.args(["render", "sample:box", "--size", "4000x4000", "--samples", "60000", "-v", "-o"]);
    let mut process = command.arg(&picture).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut error = std::io::BufReader::new(process.stderr.take().expect("piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut error, &mut line).expect("it says that it begins");
    assert!(line.contains("rendering"), "{line}");
    let pid = process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    assert_eq!(process.wait().expect("it ends").code(), Some(130));
    assert!(!picture.exists());
}
