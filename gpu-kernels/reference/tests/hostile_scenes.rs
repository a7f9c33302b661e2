//! A hundred hostile scene files: each is refused by its rule, in bounded memory and time, and leaves no trace.
//!
//! This file holds one test, because it watches the memory of its whole process.

use core::hint::black_box;
use std::fs;
use std::time::{Duration, Instant};

use cpc_kernels::rendering::{Scene, SceneReject};
use png::{BitDepth, ColorType, Encoder};
use serde_json::{Value, json};

/// How far the process may grow over all files: far below what any of them promises.
const GROWTH_KIB_MAX: u64 = 192 << 10;
/// How long one refusal may take on a busy machine.
const TIME_MAX: Duration = Duration::from_secs(5);

// REN-1 to REN-11: every rule of the reader refuses something.
#[test]
fn every_hostile_scene_is_refused_by_name() {
    let base = base();
    let counts = Scene::survey(&base.file()).expect("the scene that is spoilt below is right");
    Scene::read(&base.file(), &counts).expect("the same");

    let slack = usize::try_from(kib("VmPeak:") - kib("VmSize:")).expect("it fits memory") << 10;
    let ballast: Vec<u8> = black_box(Vec::with_capacity(slack));
    let before = kib("VmPeak:");
    let (mut refused, mut complaints) = (0, Vec::new());
    for (name, spoil, expected) in cases() {
        let file = match spoil {
            Spoil::Set(pointer, value) => base.with(pointer, value).file(),
            Spoil::File(make) => make(&base),
        };
        let began = Instant::now();
        let found = match Scene::survey(&file).and_then(|counts| Scene::read(&file, &counts)) {
            Ok(_) => "nothing: it was read".to_owned(),
            Err(reject) => reject.to_string(),
        };
        let took = began.elapsed();
        if !found.contains(expected) || found.len() >= 400 || took >= TIME_MAX {
            complaints.push(format!("{name}: refused as {found:?} in {took:?}, not as {expected:?}"));
        }
        refused += 1;
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    let after = kib("VmPeak:");
    drop(black_box(ballast));
    assert!(refused >= 100, "{refused} cases");
    assert!(after - before < GROWTH_KIB_MAX, "grew by {} KiB over {refused} files", after - before);
    println!("{refused} hostile scenes refused, growth {} KiB", after - before);

    // REN-6: the counts of the task are part of what is checked.
    for (what, wrong) in [
        ("triangles", cpc_kernels::rendering::Counts { triangles: 2, ..counts }),
        ("nodes", cpc_kernels::rendering::Counts { nodes: 0, ..counts }),
        ("bytes of images", cpc_kernels::rendering::Counts { image_bytes: 0, ..counts }),
    ] {
        let found = Scene::read(&base.file(), &wrong).expect_err("another count");
        assert!(matches!(found, SceneReject::Count { what: named, .. } if named == what), "{found}");
    }
}

/// How a case differs from the scene that is right.
enum Spoil {
    /// One value of the JSON.
    Set(&'static str, Value),
    /// Something else.
    File(fn(&Model) -> Vec<u8>),
}

/// A scene as JSON and bytes.
#[derive(Clone)]
struct Model {
    json: Value,
    bytes: Vec<u8>,
}

const HUGE: u64 = 1 << 62;

#[rustfmt::skip]
fn cases() -> Vec<(&'static str, Spoil, &'static str)> {
    use Spoil::{File, Set};
    vec![
        // The container.
        ("nothing", File(|_| Vec::new()), "does not begin with glTF"),
        ("a word", File(|_| b"glTF".to_vec()), "ends within a header"),
        ("text", File(|m| m.json.to_string().into_bytes()), "does not begin with glTF"),
        ("version 1", File(|m| patched(m, 4, 1)), "version is not 2"),
        ("version 2^32 - 1", File(|m| patched(m, 4, u32::MAX)), "version is not 2"),
        ("a length that is short", File(|m| patched(m, 8, 12)), "length is not the length"),
        ("a length of 2^32 - 1", File(|m| patched(m, 8, u32::MAX)), "length is not the length"),
        ("a chunk of 2^32 - 1 bytes", File(|m| patched(m, 12, u32::MAX)), "a chunk is longer than the file"),
        ("bytes before JSON", File(|m| patched(m, 16, u32::from_le_bytes(*b"BIN\0"))), "its chunks are not"),
        ("an unknown chunk", File(|m| patched(m, 16, 7)), "its chunks are not"),
        ("half a file", File(halved), "length is not the length"),
        ("half a chunk", File(|m| relabelled(&m.file()[..40])), "a chunk is longer than the file"),
        ("a header and no chunk", File(|m| relabelled(&m.file()[..12])), "ends within a header"),
        ("half a second header", File(|m| { let mut f = container(&m.json.to_string(), &[]); f.extend([1, 2]); relabelled(&f) }), "ends within a header"),
        // The JSON.
        ("no JSON", File(|m| container("", &m.bytes)), "JSON of the scene cannot be read"),
        ("a list", File(|m| container("[]", &m.bytes)), "JSON of the scene cannot be read"),
        ("a number", File(|m| container("1e999999999", &m.bytes)), "JSON of the scene cannot be read"),
        ("broken letters", File(|m| raw_container(b"{\"a\":\"\xff\xff\"}", &m.bytes)), "JSON of the scene cannot be read"),
        ("deep brackets", File(|m| container(&"[".repeat(100_000), &m.bytes)), "cannot be read"),
        ("deep objects", File(|m| container(&"{\"a\":".repeat(100_000), &m.bytes)), "cannot be read"),
        ("a million empty objects", File(|m| container(&format!("{{\"nodes\":[{}{{}}]}}", "{},".repeat(1_000_000)), &m.bytes)), "at most 131072 JSON objects"),
        ("five million numbers", File(|m| container(&format!("{{\"a\":[{}0]}}", "0,".repeat(4_000_000)), &m.bytes)), "at most 2097152 JSON values"),
        ("nine MiB of blanks", File(|m| container(&" ".repeat(9 << 20), &m.bytes)), "at most 8388608 bytes of JSON"),
        ("a long name", File(|m| m.with("/scene", Value::String("x".repeat(1 << 20))).file()), "cannot be read"),
        ("a scene that is no number", Set("/scene", json!("zero")), "cannot be read"),
        ("a negative index", Set("/nodes/0/mesh", json!(-1)), "cannot be read"),
        ("an index of 2^32 - 1", Set("/nodes/0/mesh", json!(u32::MAX)), "mesh 4294967295 is named"),
        ("half an index", Set("/nodes/0/mesh", json!(0.5)), "cannot be read"),
        // What is not supported.
        ("a compressed mesh", Set("/extensionsRequired", json!(["KHR_draco_mesh_compression"])), "the extension KHR_draco_mesh_compression is not supported"),
        ("a long extension", Set("/extensionsRequired", json!(["x".repeat(100_000)])), "is not supported"),
        ("a skin", Set("/nodes/0/skin", json!(0)), "a skin is not supported"),
        ("a morph target", Set("/meshes/0/primitives/0/targets", json!([{ "POSITION": 0 }])), "a morph target is not supported"),
        ("points", Set("/meshes/0/primitives/0/mode", json!(0)), "no list of triangles is not supported"),
        ("a strip", Set("/meshes/0/primitives/0/mode", json!(5)), "no list of triangles is not supported"),
        ("mode 77", Set("/meshes/0/primitives/0/mode", json!(77)), "no list of triangles is not supported"),
        ("a sparse accessor", Set("/accessors/0/sparse", json!({ "count": HUGE, "indices": { "bufferView": 0, "componentType": 5125 }, "values": { "bufferView": 0 } })), "a sparse accessor is not supported"),
        ("an accessor without a view", Set("/accessors/0/bufferView", Value::Null), "an accessor without a buffer view is not supported"),
        ("a buffer elsewhere", Set("/buffers/0/uri", json!("http://example.com/x.bin")), "a buffer outside the file is not supported"),
        ("a buffer in a word", Set("/buffers/0/uri", json!("data:application/octet-stream;base64,AAAA")), "a buffer outside the file is not supported"),
        ("a second buffer", File(|m| m.with("/buffers", json!([{ "byteLength": 4 }, { "byteLength": 4 }])).with("/bufferViews/0/buffer", json!(1)).file()), "a buffer outside the file is not supported"),
        ("an orthographic camera", Set("/cameras/0", json!({ "type": "orthographic", "orthographic": { "xmag": 1, "ymag": 1, "zfar": 1, "znear": 0 } })), "a camera without perspective is not supported"),
        ("an unknown camera", Set("/cameras/0/type", json!("fisheye")), "a camera without perspective is not supported"),
        ("a blended material", Set("/materials/0/alphaMode", json!("BLEND")), "a blended material is not supported"),
        ("an unknown alpha mode", Set("/materials/0/alphaMode", json!("SOMETIMES")), "a blended material is not supported"),
        ("a second set of coordinates", Set("/materials/0/pbrMetallicRoughness/baseColorTexture/texCoord", json!(1)), "a second set of texture coordinates is not supported"),
        ("an unknown light", Set("/extensions/KHR_lights_punctual/lights/0/type", json!("laser")), "a light of an unknown kind is not supported"),
        ("an animation of weights", Set("/animations/0/channels/0/target/path", json!("weights")), "an animation of morph targets is not supported"),
        ("a matrix that is not affine", File(|m| m.matrix(3, json!(1))), "a matrix that is not affine is not supported"),
        // What is named and not there.
        ("scene 9", Set("/scene", json!(9)), "scene 9 is named, and there are 1"),
        ("no scenes", Set("/scenes", json!([])), "it has no scenes"),
        ("a scene of nobody", Set("/scenes/0/nodes", json!([])), "no node shows a mesh"),
        ("no camera", Set("/nodes/1/camera", Value::Null), "no node has a perspective camera"),
        ("node 9", Set("/scenes/0/nodes/0", json!(9)), "node 9 is named, and there are 3"),
        ("node 2^32 - 1", Set("/scenes/0/nodes/0", json!(u32::MAX)), "node 4294967295 is named"),
        ("mesh 9", Set("/nodes/0/mesh", json!(9)), "mesh 9 is named, and there are 1"),
        ("camera 9", Set("/nodes/1/camera", json!(9)), "camera 9 is named, and there are 1"),
        ("light 9", Set("/nodes/2/extensions/KHR_lights_punctual/light", json!(9)), "light 9 is named, and there are 1"),
        ("material 9", Set("/meshes/0/primitives/0/material", json!(9)), "material 9 is named, and there are 1"),
        ("material 1, which is the default's", Set("/meshes/0/primitives/0/material", json!(1)), "material 1 is named, and there are 1"),
        ("texture 9", Set("/materials/0/pbrMetallicRoughness/baseColorTexture/index", json!(9)), "texture 9 is named, and there are 1"),
        ("image 9", Set("/textures/0/source", json!(9)), "image 9 is named, and there are 1"),
        ("a texture of nothing", Set("/textures/0/source", Value::Null), "image 4294967295 is named"),
        ("sampler 9", Set("/textures/0/sampler", json!(9)), "sampler 9 is named, and there are 0"),
        ("accessor 99", Set("/meshes/0/primitives/0/attributes/POSITION", json!(99)), "accessor 99 is named"),
        ("view 99", Set("/accessors/0/bufferView", json!(99)), "buffer view 99 is named"),
        ("buffer 99", Set("/bufferViews/0/buffer", json!(99)), "buffer 99 is named"),
        ("animation sampler 9", Set("/animations/0/channels/0/sampler", json!(9)), "animation sampler 9 is named"),
        ("an animated node 9", Set("/animations/0/channels/0/target/node", json!(9)), "node 9 is named"),
        // The graph.
        ("a node that is its own child", Set("/nodes/0/children", json!([0])), "node 0 has two parents"),
        ("two nodes in a ring", File(|m| m.with("/nodes/0/children", json!([2])).with("/nodes/2/children", json!([0])).file()), "has two parents"),
        ("a child of two", File(|m| m.with("/nodes/0/children", json!([2])).with("/nodes/1/children", json!([2])).file()), "node 2 has two parents"),
        ("a child a hundred thousand times", Set("/nodes/0/children", Value::Array(vec![json!(2); 100_000])), "node 2 has two parents"),
        ("a root twice", Set("/scenes/0/nodes", json!([0, 0, 1])), "node 0 has two parents"),
        ("a chain of 65 nodes", File(|m| chained(m, 65)), "at most 64 levels of nodes"),
        ("70,000 nodes", File(|m| m.with("/nodes", Value::Array(vec![json!({}); 70_000])).file()), "at most 65536 nodes"),
        ("5,000 materials", Set("/materials", Value::Array(vec![json!({}); 5_000])), "at most 4096 materials"),
        ("2,000 images", Set("/images", Value::Array(vec![json!({ "uri": "x" }); 2_000])), "at most 1024 images"),
        // Numbers.
        ("a translation of 10^30", Set("/nodes/0/translation", json!([1e30, 0, 0])), "the translation of node 0"),
        ("a translation of 10^39", Set("/nodes/0/translation", json!([1e39, 0, 0])), "number out of range"),
        ("a scale of -10^30", Set("/nodes/0/scale", json!([-1e30, 1, 1])), "the scale of node 0"),
        ("a rotation of 10^38", Set("/nodes/0/rotation", json!([1e38, 0, 0, 1])), "the rotation of node 0"),
        ("a matrix of 10^30", File(|m| m.matrix(0, json!(1e30))), "the matrix of node 2"),
        ("an angle of view of zero", Set("/cameras/0/perspective/yfov", json!(0)), "the angle of view of node 1"),
        ("an angle of view of ten", Set("/cameras/0/perspective/yfov", json!(10)), "the angle of view of node 1"),
        ("a negative colour", Set("/materials/0/pbrMetallicRoughness/baseColorFactor", json!([-1, 0, 0, 1])), "the base colour of material 0"),
        ("a colour above one", Set("/materials/0/pbrMetallicRoughness/baseColorFactor", json!([2, 0, 0, 1])), "the base colour of material 0"),
        ("a roughness of 2", Set("/materials/0/pbrMetallicRoughness/roughnessFactor", json!(2)), "the roughness of material 0"),
        ("a metallic factor of -1", Set("/materials/0/pbrMetallicRoughness/metallicFactor", json!(-1)), "the metallic factor of material 0"),
        ("an emission of 10^20", Set("/materials/0/emissiveFactor", json!([1e20, 0, 0])), "the emission of material 0"),
        ("a negative emission", Set("/materials/0/emissiveFactor", json!([-1, 0, 0])), "the emission of material 0"),
        ("a refraction of zero", Set("/materials/0/extensions", json!({ "KHR_materials_ior": { "ior": 0 } })), "the refraction of material 0"),
        ("a transmission of 2", Set("/materials/0/extensions", json!({ "KHR_materials_transmission": { "transmissionFactor": 2 } })), "the transmission of material 0"),
        ("a normal scale of 10^9", Set("/materials/0/normalTexture", json!({ "index": 0, "scale": 1e9 })), "the scale of the normals of material 0"),
        ("a light of -1", Set("/extensions/KHR_lights_punctual/lights/0/intensity", json!(-1)), "the light of node 2"),
        ("a light of 10^30", Set("/extensions/KHR_lights_punctual/lights/0/intensity", json!(1e30)), "the light of node 2"),
        ("a spot without a cone", Set("/extensions/KHR_lights_punctual/lights/0", json!({ "type": "spot" })), "a light of an unknown kind"),
        ("a spot inside out", Set("/extensions/KHR_lights_punctual/lights/0", json!({ "type": "spot", "spot": { "innerConeAngle": 1, "outerConeAngle": 0.5 } })), "the cone of node 2"),
        ("an environment of text", Set("/scenes/0/extras", json!({ "environment": "blue" })), "the environment of scene 0"),
        ("a negative environment", Set("/scenes/0/extras", json!({ "environment": { "zenith": [-1, 0, 0], "horizon": [0, 0, 0], "nadir": [0, 0, 0] } })), "the environment of scene 0"),
        ("an environment of 10^300", Set("/scenes/0/extras", json!({ "environment": { "zenith": [1e300, 0, 0], "horizon": [0, 0, 0], "nadir": [0, 0, 0] } })), "the environment of scene 0"),
        // Accessors.
        ("a count of zero", Set("/accessors/0/count", json!(0)), "accessor 0: it counts no elements"),
        ("a count of 2^62", Set("/accessors/0/count", json!(HUGE)), "accessor 0: it ends"),
        ("a count of 2^64 - 1", Set("/accessors/0/count", json!(u64::MAX)), "accessor 0: it ends"),
        ("a count of one more", Set("/accessors/0/count", json!(4)), "accessor 0: it ends 48 bytes into a view of 36"),
        ("an offset of 2^62", Set("/accessors/0/byteOffset", json!(HUGE)), "accessor 0: it ends"),
        ("an offset of 2^64 - 1", Set("/accessors/0/byteOffset", json!(u64::MAX)), "accessor 0: it ends"),
        ("a stride of 4", Set("/bufferViews/0/byteStride", json!(4)), "a stride of 4 bytes is not between the 12 bytes"),
        ("a stride of zero", Set("/bufferViews/0/byteStride", json!(0)), "a stride of 0 bytes"),
        ("a stride of 2^62", Set("/bufferViews/0/byteStride", json!(HUGE)), "a stride of 4611686018427387904 bytes"),
        ("a stride of 252 beyond the end", Set("/bufferViews/0/byteStride", json!(252)), "accessor 0: it ends 516 bytes"),
        ("a view of 2^62", Set("/bufferViews/0/byteLength", json!(HUGE)), "its view ends"),
        ("a view at 2^64 - 1", Set("/bufferViews/0/byteOffset", json!(u64::MAX)), "its view ends"),
        ("a view whose end wraps", File(|m| m.with("/bufferViews/0/byteOffset", json!(u64::MAX)).with("/bufferViews/0/byteLength", json!(37)).file()), "its view ends"),
        ("positions of two", Set("/accessors/0/type", json!("VEC2")), "and a vector of three is needed"),
        ("positions that are matrices", Set("/accessors/0/type", json!("MAT4")), "and a vector of three is needed"),
        ("positions of an unknown kind", Set("/accessors/0/type", json!("VEC9")), "and a vector of three is needed"),
        ("positions that are whole numbers", Set("/accessors/0/componentType", json!(5125)), "accessor 0: its elements are"),
        ("positions of component 9", Set("/accessors/0/componentType", json!(9)), "of an unknown component"),
        ("indices that are floats", Set("/accessors/3/componentType", json!(5126)), "accessor 3: its elements are"),
        ("a position that is no number", File(|m| m.float(0, f32::NAN)), "accessor 0: element 0 is not a finite number"),
        ("an infinite position", File(|m| m.float(8, f32::INFINITY)), "accessor 0: element 0 is not a finite number"),
        ("a position of 10^9", File(|m| m.float(16, 1e9)), "accessor 0: element 1 is not a finite number"),
        ("a normal that is no number", File(|m| m.float(36, f32::NAN)), "accessor 1: element 0 is not a finite number"),
        ("a coordinate of 10^9", File(|m| m.float(72, 1e9)), "accessor 2: element 0 is not a finite number"),
        // Meshes.
        ("no positions", Set("/meshes/0/primitives/0/attributes", json!({ "NORMAL": 1 })), "mesh 0: it has no positions"),
        ("two normals for three corners", Set("/accessors/1/count", json!(2)), "the normals has 2 elements beside 3 positions"),
        ("four corners", Set("/accessors/3/count", json!(2)), "mesh 0: 2 corners are no whole number of triangles"),
        ("a corner beyond the last", File(|m| m.byte(96, 3)), "corner 0 names vertex 3 of 3"),
        ("no primitives", Set("/meshes/0/primitives", json!([])), "its meshes have no triangles"),
        ("a mesh repeated beyond the bound", File(repeated), "at most 4194304 triangles"),
        // Images.
        ("a JPEG", File(|m| m.image(&[0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F'])), "it is a JPEG, and only PNG is read"),
        ("a WebP", File(|m| m.image(b"RIFF\x10\0\0\0WEBPVP8 ")), "it is a WebP"),
        ("a KTX texture", File(|m| m.image(b"\xabKTX 20\xbb\r\n\x1a\n")), "it is a KTX texture"),
        ("an unknown image", File(|m| m.image(b"GIF89a")), "unknown format"),
        ("an empty image", File(|m| m.image(b"")), "unknown format"),
        ("an image elsewhere", Set("/images/0", json!({ "uri": "http://example.com/a.png" })), "image 0: it has no bytes in this file"),
        ("half a PNG", File(|m| { let png = picture(2, 2); m.image(&png[..png.len() / 2]) }), "image 0: the PNG cannot be read"),
        ("only the signature of a PNG", File(|m| m.image(b"\x89PNG\r\n\x1a\n")), "image 0: the PNG cannot be read"),
        ("a PNG of 2^31 - 1 pixels a side", File(|m| m.image(&header(0x7fff_ffff, 0x7fff_ffff))), "a side of 2147483647 pixels is longer than 8192"),
        ("a PNG of 8193 pixels a side", File(|m| m.image(&header(8_193, 1))), "a side of 8193 pixels is longer than 8192"),
        ("a PNG without pixels", File(|m| m.image(&header(0, 0))), "image 0: the PNG cannot be read"),
        ("three bombs of 8192 x 8192", File(bombs), "at most 536870912 bytes of images"),
        ("a bomb with no data behind its header", File(|m| m.image(&header(4_096, 4_096))), "image 0: the PNG cannot be read"),
        ("a PNG with a wrong sum", File(|m| { let mut png = picture(2, 2); png[20] ^= 1; m.image(&png) }), "image 0: the PNG cannot be read"),
        // Animations.
        ("times that fall", File(|m| m.float(100, 5.0)), "the times of sampler 0 do not rise"),
        ("a time that is no number", File(|m| m.float(100, f32::NAN)), "accessor 4: element 0 is not a finite number"),
        ("three values for two times", Set("/accessors/5/count", json!(1)), "sampler 0 has 1 values for 2"),
        ("a cubic curve without slopes", Set("/animations/0/samplers/0/interpolation", json!("CUBICSPLINE")), "sampler 0 has 2 values for 6"),
        ("an unknown interpolation", Set("/animations/0/samplers/0/interpolation", json!("WOBBLE")), "the interpolation of sampler 0 is unknown"),
        ("2^62 key frames", Set("/accessors/4/count", json!(HUGE)), "accessor 4: it ends"),
        ("a rotation of three", Set("/animations/0/channels/0/target/path", json!("rotation")), "and a vector of four is needed"),
        ("a motion of a matrix", File(|m| { let m = m.with("/nodes/0/matrix", json!(identity())); let mut m = m; m.json["nodes"][0]["translation"] = Value::Null; m.file() }), "channel 0 moves a node that has a matrix"),
    ]
}

fn base() -> Model {
    let mut bytes = Vec::new();
    let mut put = |floats: &[f32]| bytes.extend(floats.iter().flat_map(|value| value.to_le_bytes()));
    put(&[0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    put(&[0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    put(&[0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    bytes.extend([0, 1, 2, 0]);
    let mut put = |floats: &[f32]| bytes.extend(floats.iter().flat_map(|value| value.to_le_bytes()));
    put(&[0.0, 1.0]);
    put(&[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    let image = picture(2, 2);
    let at = bytes.len();
    bytes.extend(&image);
    let view = |offset: usize, length: usize| json!({ "buffer": 0, "byteOffset": offset, "byteLength": length });
    let floats = |view: usize, kind: &str, count: usize| json!({ "bufferView": view, "componentType": 5126, "type": kind, "count": count });
    let json = json!({
        "asset": { "version": "2.0" },
        "scene": 0,
        "scenes": [{ "nodes": [0, 1, 2] }],
        "extensionsRequired": [],
        "extensions": { "KHR_lights_punctual": { "lights": [{ "type": "point", "intensity": 5.0 }] } },
        "nodes": [
            { "mesh": 0, "translation": [0, 0, 0] },
            { "camera": 0, "translation": [0, 0, 3] },
            { "extensions": { "KHR_lights_punctual": { "light": 0 } } },
        ],
        "cameras": [{ "type": "perspective", "perspective": { "yfov": 0.8, "znear": 0.1 } }],
        "meshes": [{ "primitives": [{ "attributes": { "POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 2 }, "indices": 3, "material": 0 }] }],
        "materials": [{ "pbrMetallicRoughness": { "baseColorTexture": { "index": 0 } } }],
        "textures": [{ "source": 0 }],
        "images": [{ "bufferView": 6, "mimeType": "image/png" }],
        "accessors": [
            floats(0, "VEC3", 3),
            floats(1, "VEC3", 3),
            floats(2, "VEC2", 3),
            { "bufferView": 3, "componentType": 5121, "type": "SCALAR", "count": 3 },
            floats(4, "SCALAR", 2),
            floats(5, "VEC3", 2),
        ],
        "animations": [{
            "channels": [{ "sampler": 0, "target": { "node": 0, "path": "translation" } }],
            "samplers": [{ "input": 4, "output": 5 }],
        }],
        "bufferViews": [
            view(0, 36), view(36, 36), view(72, 24), view(96, 3), view(100, 8), view(108, 24), view(at, image.len()),
        ],
        "buffers": [{ "byteLength": bytes.len() }],
    });
    Model { json, bytes }
}

impl Model {
    fn file(&self) -> Vec<u8> {
        container(&self.json.to_string(), &self.bytes)
    }

    /// The same with one value set; a null removes it.
    fn with(&self, pointer: &str, value: Value) -> Self {
        let mut model = self.clone();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer has a slash");
        match model.json.pointer_mut(parent).unwrap_or_else(|| panic!("there is no {parent}")) {
            Value::Array(list) => list[name.parse::<usize>().expect("a place")] = value,
            Value::Object(map) if value.is_null() => drop(map.remove(name)),
            Value::Object(map) => drop(map.insert(name.to_owned(), value)),
            _ => panic!("{parent} holds nothing"),
        }
        model
    }

    fn matrix(&self, index: usize, value: Value) -> Vec<u8> {
        let mut matrix = identity().map(Value::from);
        matrix[index] = value;
        self.with("/nodes/2/matrix", json!(matrix)).file()
    }

    fn float(&self, at: usize, value: f32) -> Vec<u8> {
        let mut model = self.clone();
        model.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        model.file()
    }

    fn byte(&self, at: usize, value: u8) -> Vec<u8> {
        let mut model = self.clone();
        model.bytes[at] = value;
        model.file()
    }

    fn image(&self, image: &[u8]) -> Vec<u8> {
        let mut model = self.clone();
        let at = model.bytes.len();
        model.bytes.extend(image);
        model.with("/bufferViews/6", json!({ "buffer": 0, "byteOffset": at, "byteLength": image.len() })).file()
    }
}

fn identity() -> [f32; 16] {
    let mut matrix = [0.0; 16];
    for index in [0, 5, 10, 15] {
        matrix[index] = 1.0;
    }
    matrix
}

fn container(json: &str, bytes: &[u8]) -> Vec<u8> {
    raw_container(json.as_bytes(), bytes)
}

fn raw_container(json: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut json = json.to_vec();
    json.resize(json.len().next_multiple_of(4), b' ');
    let length = |bytes: usize| u32::try_from(bytes).expect("a test is small").to_le_bytes();
    let mut file = b"glTF\x02\0\0\0\0\0\0\0".to_vec();
    for (kind, body) in [(b"JSON", json.as_slice()), (b"BIN\0", bytes)] {
        if kind == b"JSON" || !body.is_empty() {
            file.extend(length(body.len()));
            file.extend(kind);
            file.extend(body);
        }
    }
    relabelled(&file)
}

/// The same bytes with a header that names their true length.
fn relabelled(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    let length = u32::try_from(file.len()).expect("a test is small").to_le_bytes();
    file[8..12].copy_from_slice(&length);
    file
}

fn patched(model: &Model, at: usize, word: u32) -> Vec<u8> {
    let mut file = model.file();
    file[at..at + 4].copy_from_slice(&word.to_le_bytes());
    file
}

fn halved(model: &Model) -> Vec<u8> {
    let file = model.file();
    file[..file.len() / 2].to_vec()
}

fn chained(model: &Model, length: usize) -> Vec<u8> {
    let mut model = model.clone();
    let nodes = model.json["nodes"].as_array_mut().expect("a list");
    let first = nodes.len();
    for index in 0..length {
        nodes.push(if index + 1 < length { json!({ "children": [first + index + 1] }) } else { json!({}) });
    }
    model.with("/scenes/0/nodes", json!([0, 1, first])).file()
}

/// Half a million triangles by one accessor, which nine primitives name.
fn repeated(model: &Model) -> Vec<u8> {
    let mut model = model.clone();
    let at = model.bytes.len();
    let count = 1_500_000;
    model.bytes.resize(at + count, 0);
    let views = model.json["bufferViews"].as_array_mut().expect("a list");
    views.push(json!({ "buffer": 0, "byteOffset": at, "byteLength": count }));
    let view = views.len() - 1;
    model.json["accessors"][3] = json!({ "bufferView": view, "componentType": 5121, "type": "SCALAR", "count": count });
    let primitive = model.json["meshes"][0]["primitives"][0].clone();
    model.json["meshes"][0]["primitives"] = Value::Array(vec![primitive; 9]);
    model.file()
}

/// Three materials with three images, each of which promises 256 MiB.
fn bombs(model: &Model) -> Vec<u8> {
    let mut model = model.clone();
    let image = header(8_192, 8_192);
    let at = model.bytes.len();
    model.bytes.extend(&image);
    model.json["bufferViews"][6] = json!({ "buffer": 0, "byteOffset": at, "byteLength": image.len() });
    let one = |list: &str| model.json[list][0].clone();
    let (image, texture, material) = (one("images"), one("textures"), one("materials"));
    let mut lists =
        [("images", image), ("textures", texture), ("materials", material)].map(|(name, one)| (name, vec![one; 3]));
    for index in 0..3 {
        lists[1].1[index]["source"] = json!(index);
        lists[2].1[index]["pbrMetallicRoughness"]["baseColorTexture"]["index"] = json!(index);
    }
    for (name, list) in lists {
        model.json[name] = Value::Array(list);
    }
    model.file()
}

fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().expect("a header");
    let pixels = vec![128; usize::try_from(width * height * 3).expect("small")];
    writer.write_image_data(&pixels).expect("pixels");
    writer.finish().expect("an end");
    file
}

/// A PNG that ends after the header, whose sum is right.
fn header(width: u32, height: u32) -> Vec<u8> {
    let mut body = b"IHDR".to_vec();
    body.extend(width.to_be_bytes());
    body.extend(height.to_be_bytes());
    body.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    file.extend(&body);
    file.extend(crc(&body).to_be_bytes());
    file
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}

/// What the kernel counts for this process: the address space now, or the largest that it has been.
fn kib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux says how large a process is");
    let line = status.lines().find(|line| line.starts_with(field)).expect("it has this line");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}
