//! The renderer is right, not only repeatable: furnaces, closed forms, convergence, and scenes made to hurt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cpc_primitives::result::Geometry;
use serde_json::{Value, json};

use super::samples::{Glb, Shape, matte};
use super::spec::RenderingSpec;
use super::trace::vector::Vec3;
use super::{PIXEL_BYTES, RenderingTask, Scene};
use crate::frame::{Cpu, Inputs, PreparedTask, Watch, blob_ref};

const WHITE: [[f32; 3]; 3] = [[1.0; 3]; 3];
const DARK: [[f32; 3]; 3] = [[0.0; 3]; 3];

/// The light of every pixel.
fn rendered(file: Vec<u8>, change: impl FnOnce(&mut RenderingSpec)) -> Vec<[f32; 3]> {
    let file: Arc<[u8]> = file.into();
    let mut spec = RenderingSpec::of(Scene::survey(&file).expect("a scene"), [16, 16]);
    change(&mut spec);
    let inputs = Inputs::new(&[blob_ref(&file)], vec![Arc::clone(&file)]).expect("its own hash");
    let steps = spec.steps;
    // The spec is the key of the random numbers: a budget alone is not to change them here.
    spec.steps = super::STEPS_DEFAULT;
    let task = RenderingTask::prepare(spec, &inputs, &Watch::new()).expect("a task").with_steps(steps);
    let whole = Geometry { origin: [0; 3], extent: [1, spec.width, spec.height] };
    let output = task.run(&whole, Cpu::best(), &Watch::new()).expect("it runs").bytes;
    let (pixels, _) = output.as_chunks::<PIXEL_BYTES>();
    pixels
        .iter()
        .map(|pixel| core::array::from_fn(|c| f32::from_le_bytes(pixel[c * 4..][..4].try_into().unwrap())))
        .collect()
}

fn mean(pixels: &[[f32; 3]]) -> f64 {
    pixels.iter().map(|[r, g, b]| f64::from(*r) + f64::from(*g) + f64::from(*b)).sum::<f64>()
        / (pixels.len() * 3) as f64
}

/// One shape of one material before a camera on the third axis.
fn alone(shape: &Shape, material: Value, environment: [[f32; 3]; 3]) -> Vec<u8> {
    let mut glb = Glb::default();
    let material = glb.material(material);
    let mesh = glb.mesh(&[(shape, material)]);
    let node = glb.node(json!({ "mesh": mesh }));
    glb.root(node);
    glb.camera(Vec3::new(0.0, 0.0, 3.0), Vec3::ZERO, 0.5);
    glb.file(Some(environment))
}

fn glass() -> Value {
    json!({
        "pbrMetallicRoughness": { "metallicFactor": 0.0, "roughnessFactor": 0.0 },
        "extensions": { "KHR_materials_transmission": { "transmissionFactor": 1.0 } },
    })
}

#[test]
fn in_a_white_furnace_a_white_ball_cannot_be_seen() {
    let mirror = json!({ "pbrMetallicRoughness": { "metallicFactor": 1.0, "roughnessFactor": 0.0 } });
    for (name, material) in [("matte", matte([1.0; 3])), ("mirror", mirror), ("glass", glass())] {
        let pixels = rendered(alone(&Shape::ball(0.6, 48), material, WHITE), |spec| spec.bounces = 32);
        for [r, g, b] in &pixels {
            assert!((r - 1.0).abs() < 0.2 && r == g && g == b, "{name}: {r} {g} {b}");
        }
        assert!((mean(&pixels) - 1.0).abs() < 5e-3, "{name}: {}", mean(&pixels));
    }
}

#[test]
fn in_a_white_furnace_light_goes_from_surface_to_surface_and_none_is_lost() {
    let pixels = rendered(alone(&Shape::knot(0.42, 0.13, 120, 16), matte([1.0; 3]), WHITE), |spec| spec.bounces = 64);
    assert!((mean(&pixels) - 1.0).abs() < 0.02, "{}", mean(&pixels));
}

#[test]
fn a_rough_metal_returns_no_more_than_it_gets() {
    let metal = json!({ "pbrMetallicRoughness": { "metallicFactor": 1.0, "roughnessFactor": 0.5 } });
    let pixels = rendered(alone(&Shape::ball(0.6, 48), metal, WHITE), |spec| spec.bounces = 32);
    let found = mean(&pixels);
    assert!(found < 1.001 && found > 0.9, "{found}");
}

#[test]
fn a_point_light_falls_with_the_square_of_its_distance() {
    for (height, intensity) in [(1.0_f32, 3.0_f32), (2.0, 3.0), (0.5, 10.0)] {
        let mut glb = Glb::default();
        let grey = glb.material(matte([0.5; 3]));
        let sheet = Shape::sheet(Vec3::new(-5.0, -5.0, 0.0), Vec3::new(10.0, 0.0, 0.0), Vec3::new(0.0, 10.0, 0.0));
        let mesh = glb.mesh(&[(&sheet, grey)]);
        let node = glb.node(json!({ "mesh": mesh }));
        glb.root(node);
        glb.light(json!({ "type": "point", "intensity": intensity }), json!({ "translation": [0.0, 0.0, height] }));
        glb.camera(Vec3::new(0.0, 0.0, 3.0), Vec3::ZERO, 0.002);
        let pixels = rendered(glb.file(Some(DARK)), |spec| spec.bounces = 1);
        // Radiance of a Lambertian surface: albedo over pi, times the intensity over the squared distance.
        let expected = f64::from(0.5 * intensity / (height * height)) / core::f64::consts::PI;
        assert!((mean(&pixels) / expected - 1.0).abs() < 1e-3, "{}: {} and {expected}", height, mean(&pixels));
    }
}

#[test]
fn a_square_lamp_lights_what_the_closed_form_says() {
    let (side, height, strength) = (1.0_f32, 0.8_f32, 4.0_f32);
    let mut glb = Glb::default();
    let grey = glb.material(matte([0.6; 3]));
    let lamp = glb.material(json!({
        "pbrMetallicRoughness": { "baseColorFactor": [0, 0, 0, 1], "metallicFactor": 0.0 },
        "emissiveFactor": [1, 1, 1],
        "extensions": {
            "KHR_materials_emissive_strength": { "emissiveStrength": strength },
            "KHR_materials_specular": { "specularFactor": 0.0 },
        },
    }));
    let sheet = Shape::sheet(Vec3::new(-5.0, -5.0, 0.0), Vec3::new(10.0, 0.0, 0.0), Vec3::new(0.0, 10.0, 0.0));
    // Its front looks down, to the sheet.
    let above = Shape::sheet(Vec3::new(-0.5, -0.5, height), Vec3::new(0.0, side, 0.0), Vec3::new(side, 0.0, 0.0));
    let mesh = glb.mesh(&[(&sheet, grey), (&above, lamp)]);
    let node = glb.node(json!({ "mesh": mesh }));
    glb.root(node);
    glb.camera(Vec3::new(1.2, 0.0, 0.4), Vec3::new(0.0, 0.0, 0.0), 0.002);
    let pixels = rendered(glb.file(Some(DARK)), |spec| (spec.bounces, spec.samples) = (1, 1_024));
    // The form factor of a point below the middle of a rectangle is four times that below the corner of a quarter.
    let a = f64::from(side) / 2.0 / f64::from(height);
    let root = (1.0 + a * a).sqrt();
    let corner = (2.0 * a / root * (a / root).atan()) / (2.0 * core::f64::consts::PI);
    let expected = 0.6 * f64::from(strength) * 4.0 * corner;
    assert!((mean(&pixels) / expected - 1.0).abs() < 3e-3, "{} and {expected}", mean(&pixels));
}

#[test]
fn more_samples_bring_less_error() {
    let picture = |samples: u32| {
        rendered((super::samples::named("box").expect("a sample").write)(), |spec| {
            (spec.width, spec.height, spec.samples) = (24, 24, samples);
        })
    };
    let truth = picture(8_192);
    let error = |pixels: &[[f32; 3]]| {
        let squares = pixels.iter().zip(&truth).map(|(a, b)| f64::from(a[1] - b[1]).powi(2));
        (squares.sum::<f64>() / pixels.len() as f64).sqrt()
    };
    let (few, many) = (error(&picture(16)), error(&picture(256)));
    // Independent numbers would make it a quarter; points of a lattice do better.
    assert!(many < few * 0.25, "{few} with 16 samples, {many} with 256");
    println!("error of the box: {few:.5} with 16 samples, {many:.5} with 256");
}

#[test]
fn a_path_without_steps_is_black_and_a_poisonous_scene_costs_what_it_says() {
    let file = (super::samples::named("box").expect("a sample").write)();
    let pixels = rendered(file, |spec| spec.steps = 1);
    assert!(pixels.iter().all(|pixel| *pixel == [0.0; 3]));

    // A quarter of a million sheets in one place: every ray that meets one meets all.
    let mut glb = Glb::default();
    let grey = glb.material(matte([0.5; 3]));
    let mut shape = Shape::sheet(Vec3::new(-1.0, -1.0, 0.0), Vec3::new(2.0, 0.0, 0.0), Vec3::new(0.0, 2.0, 0.0));
    shape.indices = shape.indices.repeat(125_000);
    let mesh = glb.mesh(&[(&shape, grey)]);
    let node = glb.node(json!({ "mesh": mesh }));
    glb.root(node);
    glb.camera(Vec3::new(0.0, 0.0, 3.0), Vec3::ZERO, 0.5);
    let began = Instant::now();
    let pixels = rendered(glb.file(Some(WHITE)), |spec| (spec.samples, spec.steps) = (1, 1_000));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(pixels.len(), 256);
}

#[test]
fn an_instance_is_seen_where_a_placed_mesh_would_be() {
    // The same block: once turned, mirrored and moved by its node, and once more where the mesh is shown twice.
    let scene = |copies: usize| {
        let mut glb = Glb::default();
        let red = glb.material(matte([0.8, 0.2, 0.1]));
        let mesh = glb.mesh(&[(&Shape::knot(0.3, 0.1, 60, 12), red)]);
        let matrix = [-0.8, 0.1, 0.0, 0.0, 0.2, 0.7, 0.3, 0.0, 0.0, -0.2, 0.9, 0.0, 0.1, -0.05, 0.2, 1.0];
        let node = glb.node(json!({ "mesh": mesh, "matrix": matrix }));
        glb.root(node);
        for _ in 1..copies {
            // Behind the camera.
            let node = glb.node(json!({ "mesh": mesh, "translation": [0, 0, 9] }));
            glb.root(node);
        }
        glb.light(json!({ "type": "point", "intensity": 20.0 }), json!({ "translation": [1.0, 2.0, 2.5] }));
        glb.camera(Vec3::new(0.0, 0.0, 3.0), Vec3::ZERO, 0.5);
        rendered(glb.file(Some(DARK)), |spec| (spec.width, spec.height, spec.bounces) = (32, 32, 1))
    };
    let (ground, instance) = (scene(1), scene(2));
    let difference = (mean(&ground) - mean(&instance)).abs();
    assert!(mean(&ground) > 0.01 && difference < mean(&ground) * 0.01, "{} and {}", mean(&ground), mean(&instance));
}

#[test]
fn holes_are_seen_through() {
    let mut glb = Glb::default();
    // Red above one half is what a mask keeps nothing of: the alpha of the factor alone decides here.
    let gone =
        glb.material(json!({ "alphaMode": "MASK", "pbrMetallicRoughness": { "baseColorFactor": [1, 0, 0, 0.4] } }));
    let sheet = Shape::sheet(Vec3::new(-5.0, -5.0, 0.0), Vec3::new(10.0, 0.0, 0.0), Vec3::new(0.0, 10.0, 0.0));
    let mesh = glb.mesh(&[(&sheet, gone)]);
    let node = glb.node(json!({ "mesh": mesh }));
    glb.root(node);
    glb.camera(Vec3::new(0.0, 0.0, 3.0), Vec3::ZERO, 0.5);
    let pixels = rendered(glb.file(Some(WHITE)), |_| {});
    assert!(pixels.iter().all(|pixel| *pixel == [1.0; 3]));
}

#[test]
fn the_samples_need_no_more_steps_than_the_default() {
    for sample in super::samples::SAMPLES {
        let with = |steps: u32| {
            rendered((sample.write)(), |spec| (spec.width, spec.height, spec.samples, spec.steps) = (40, 30, 2, steps))
        };
        assert!(with(super::STEPS_DEFAULT) == with(1 << 20), "{}: a path was cut off", sample.name);
    }
}
