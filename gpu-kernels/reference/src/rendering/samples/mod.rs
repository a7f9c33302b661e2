//! The sample scenes of the project: each is code that writes a binary glTF file.

// NUM-1: the scenes are made of floats, and no number in them is near a bound.
#![allow(clippy::float_arithmetic, clippy::arithmetic_side_effects)]

mod glb;
mod shapes;

use serde_json::{Value, json};

use super::trace::sampling::PI;
use super::trace::vector::Vec3;
use crate::numerics::Philox;
use crate::numerics::float::{clamp, floor, from_u32, max, to_u32, unit};
use crate::numerics::functions::{exp, sin, sin_cos};
pub(super) use glb::{Glb, Shape};

/// A scene that the project brings along.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// How it is asked for.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Writes the file.
    pub write: fn() -> Vec<u8>,
}

/// All samples.
pub const SAMPLES: &[Sample] = &[
    Sample { name: "box", about: "a room with a red and a green wall, two blocks, and a lamp", write: room },
    Sample { name: "tiles", about: "glazed tiles, wood and a lit sign: textures of every kind", write: tiles },
    Sample { name: "glass", about: "a golden knot between balls of glass and metal", write: glass },
    Sample { name: "orbit", about: "a mobile that turns for four seconds", write: orbit },
    Sample { name: "hills", about: "a landscape of 100,000 triangles under the sun", write: hills },
];

/// The smallest scene that has something of everything: for tests, and as a seed for a fuzzer.
#[must_use]
pub fn tiny() -> Vec<u8> {
    let mut glb = Glb::default();
    let picture = glb.texture(2, &[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]);
    let paper = glb.material(json!({
        "pbrMetallicRoughness": { "baseColorTexture": { "index": picture }, "roughnessFactor": 0.5 },
        "normalTexture": { "index": picture },
        "emissiveTexture": { "index": picture },
        "emissiveFactor": [0.5, 0.5, 0.5],
        "alphaMode": "MASK",
    }));
    let sheet = Shape::sheet(v(-1.0, -1.0, 0.0), v(2.0, 0.0, 0.0), v(0.0, 2.0, 0.0));
    let mesh = glb.mesh(&[(&sheet, paper)]);
    let inner = glb.node(json!({ "mesh": mesh, "scale": [1.0, 1.0, -1.0] }));
    let outer = glb.node(json!({ "mesh": mesh, "children": [inner] }));
    glb.animate(outer, "translation", &[0.0, 1.0], &[vec![0.0, 0.0, 0.0], vec![0.0, 1.0, 0.0]]);
    glb.root(outer);
    glb.light(json!({ "type": "point", "intensity": 3.0 }), json!({ "translation": [0.0, 1.0, 2.0] }));
    glb.camera(v(0.0, 0.0, 3.0), Vec3::ZERO, 0.8);
    glb.file(None)
}

/// The sample of a name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Sample> {
    SAMPLES.iter().find(|sample| sample.name == name)
}

/// A surface that only scatters.
pub(super) fn matte(colour: [f32; 3]) -> Value {
    json!({
        "pbrMetallicRoughness": { "baseColorFactor": [colour[0], colour[1], colour[2], 1.0], "metallicFactor": 0.0 },
        "extensions": { "KHR_materials_specular": { "specularFactor": 0.0 } },
    })
}

/// A surface with a coat that reflects.
fn coated(colour: [f32; 3], roughness: f32) -> Value {
    json!({
        "pbrMetallicRoughness": {
            "baseColorFactor": [colour[0], colour[1], colour[2], 1.0],
            "metallicFactor": 0.0,
            "roughnessFactor": roughness,
        },
    })
}

fn metal(colour: [f32; 3], roughness: f32) -> Value {
    json!({
        "pbrMetallicRoughness": {
            "baseColorFactor": [colour[0], colour[1], colour[2], 1.0],
            "metallicFactor": 1.0,
            "roughnessFactor": roughness,
        },
    })
}

fn clear(colour: [f32; 3], roughness: f32) -> Value {
    json!({
        "pbrMetallicRoughness": {
            "baseColorFactor": [colour[0], colour[1], colour[2], 1.0],
            "metallicFactor": 0.0,
            "roughnessFactor": roughness,
        },
        "extensions": { "KHR_materials_transmission": { "transmissionFactor": 1.0 }, "KHR_materials_ior": { "ior": 1.5 } },
    })
}

fn lamp(colour: [f32; 3], strength: f32) -> Value {
    json!({
        "pbrMetallicRoughness": { "baseColorFactor": [0.0, 0.0, 0.0, 1.0], "metallicFactor": 0.0 },
        "emissiveFactor": colour,
        "extensions": {
            "KHR_materials_emissive_strength": { "emissiveStrength": strength },
            "KHR_materials_specular": { "specularFactor": 0.0 },
        },
    })
}

const fn v(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3::new(x, y, z)
}

fn room() -> Vec<u8> {
    let mut glb = Glb::default();
    let white = glb.material(matte([0.73, 0.72, 0.69]));
    let red = glb.material(matte([0.62, 0.07, 0.05]));
    let green = glb.material(matte([0.12, 0.43, 0.13]));
    let light = glb.material(lamp([1.0, 0.84, 0.62], 22.0));
    let mut walls = Shape::sheet(v(-1.0, 0.0, 1.0), v(2.0, 0.0, 0.0), v(0.0, 0.0, -2.0));
    walls.add(&Shape::sheet(v(-1.0, 2.0, -1.0), v(2.0, 0.0, 0.0), v(0.0, 0.0, 2.0)));
    walls.add(&Shape::sheet(v(-1.0, 0.0, -1.0), v(2.0, 0.0, 0.0), v(0.0, 2.0, 0.0)));
    walls.add(&Shape::block(v(0.58, 1.16, 0.58), 0.32).moved(v(-0.36, 0.58, -0.32)));
    walls.add(&Shape::block(v(0.56, 0.56, 0.56), -0.31).moved(v(0.36, 0.28, 0.3)));
    let left = Shape::sheet(v(-1.0, 0.0, 1.0), v(0.0, 0.0, -2.0), v(0.0, 2.0, 0.0));
    let right = Shape::sheet(v(1.0, 0.0, -1.0), v(0.0, 0.0, 2.0), v(0.0, 2.0, 0.0));
    let above = Shape::sheet(v(-0.3, 1.99, -0.25), v(0.6, 0.0, 0.0), v(0.0, 0.0, 0.5));
    let mesh = glb.mesh(&[(&walls, white), (&left, red), (&right, green), (&above, light)]);
    let node = glb.node(json!({ "mesh": mesh, "name": "room" }));
    glb.root(node);
    glb.camera(v(0.0, 1.0, 3.9), v(0.0, 1.0, 0.0), 0.66);
    glb.file(None)
}

/// A square picture from a function of the shares of width and height.
fn painted(side: u32, colour: impl Fn(f32, f32) -> [f32; 3]) -> Vec<[u8; 3]> {
    let share = |index: u32| (from_u32(index) + 0.5) / from_u32(side);
    let byte = |value: f32| u8::try_from(to_u32(clamp(value, 0.0, 1.0) * 255.0 + 0.5)).expect("at most 255");
    (0..side * side).map(|index| colour(share(index % side), share(index / side)).map(byte)).collect()
}

/// A number between 0 and 1 that changes slowly from place to place.
fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let random = Philox::new([seed, 0x5eed]);
    let (low_x, low_y) = (floor(x), floor(y));
    let corner = |dx: f32, dy: f32| {
        let word = |value: f32| crate::numerics::float::to_i32(value).cast_unsigned();
        unit(random.at([word(low_x + dx), word(low_y + dy), 0, 0])[0])
    };
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, w) = (smooth(x - low_x), smooth(y - low_y));
    let blend = |a: f32, b: f32, t: f32| a + (b - a) * t;
    blend(blend(corner(0.0, 0.0), corner(1.0, 0.0), u), blend(corner(0.0, 1.0), corner(1.0, 1.0), u), w)
}

/// Noise of several sizes.
fn turbulence(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut size, mut scale) = (0.0, 0.5, 1.0);
    for octave in 0..octaves {
        sum += noise(x * scale, y * scale, seed + octave) * size;
        (size, scale) = (size * 0.5, scale * 2.03);
    }
    sum
}

/// How far a place lies from the joint of its tile, from 0 at the joint to 1.
fn tile_height(u: f32, v: f32) -> f32 {
    let edge = |t: f32| {
        let t = t * 4.0 - floor(t * 4.0);
        let near = if t < 0.5 { t } else { 1.0 - t };
        clamp((near - 0.02) * 25.0, 0.0, 1.0)
    };
    edge(u) * edge(v)
}

fn tiles() -> Vec<u8> {
    let mut glb = Glb::default();
    let glaze = painted(256, |u, t| {
        let shade =
            noise(floor(u * 4.0) * 7.7, floor(t * 4.0) * 3.3, 5) * 0.25 + turbulence(u * 16.0, t * 16.0, 3, 9) * 0.12;
        let height = tile_height(u, t);
        let colour = [0.10 + shade * 0.5, 0.34 + shade * 0.8, 0.46 + shade * 0.9];
        core::array::from_fn(|channel| 0.62 + (colour[channel] - 0.62) * height)
    });
    let glaze = glb.texture(256, &glaze);
    let bumps = painted(256, |u, t| {
        let step = 1.0 / 256.0;
        let height = |u: f32, t: f32| tile_height(u, t) * 0.012 + turbulence(u * 12.0, t * 12.0, 2, 21) * 0.003;
        let dx = (height(u + step, t) - height(u - step, t)) / (2.0 * step);
        let dy = (height(u, t + step) - height(u, t - step)) / (2.0 * step);
        let normal = v(-dx, dy, 1.0);
        normal.normalized().to_array().map(|value| value * 0.5 + 0.5)
    });
    let bumps = glb.texture(256, &bumps);
    let polish = painted(256, |u, t| [1.0, 0.85 - 0.5 * tile_height(u, t), 0.0]);
    let polish = glb.texture(256, &polish);
    let wood = painted(256, |u, t| {
        let bend = turbulence(u * 3.0, t * 3.0, 4, 33);
        let ring = sin((t * 6.0 + bend * 2.5) * 2.0 * PI) * 0.5 + 0.5;
        let fibre = noise(u * 6.0, t * 160.0, 40) * 0.2;
        let shade = ring * 0.35 + fibre;
        [0.72 - shade * 0.45, 0.47 - shade * 0.36, 0.28 - shade * 0.24]
    });
    let wood = glb.texture(256, &wood);
    let sign = painted(128, |u, t| {
        let (x, y) = (u * 2.0 - 1.0, t * 2.0 - 1.0);
        let distance = crate::numerics::float::sqrt(x * x + y * y);
        let ring = exp(-square((distance - 0.62) * 14.0)) + exp(-square((distance - 0.25) * 10.0));
        [clamp(ring, 0.0, 1.0), clamp(ring * 0.42, 0.0, 1.0), clamp(ring * 0.16, 0.0, 1.0)]
    });
    let sign = glb.texture(128, &sign);
    let floor = glb.material(json!({
        "pbrMetallicRoughness": {
            "baseColorTexture": { "index": glaze },
            "metallicRoughnessTexture": { "index": polish },
            "metallicFactor": 0.0,
        },
        "normalTexture": { "index": bumps },
    }));
    let planks = glb.material(json!({
        "pbrMetallicRoughness": { "baseColorTexture": { "index": wood }, "metallicFactor": 0.0, "roughnessFactor": 0.35 },
    }));
    let glow = glb.material(json!({
        "pbrMetallicRoughness": { "baseColorFactor": [0.02, 0.02, 0.02, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.2 },
        "emissiveTexture": { "index": sign },
        "emissiveFactor": [1.0, 1.0, 1.0],
        "extensions": { "KHR_materials_emissive_strength": { "emissiveStrength": 9.0 } },
    }));
    let wall = glb.material(matte([0.55, 0.52, 0.50]));
    let ground = Shape::sheet(v(-3.0, 0.0, 3.0), v(6.0, 0.0, 0.0), v(0.0, 0.0, -5.0)).tiled(3.0);
    let back = Shape::sheet(v(-3.0, 0.0, -1.6), v(6.0, 0.0, 0.0), v(0.0, 3.2, 0.0));
    let panel = Shape::sheet(v(-0.75, 0.75, -1.58), v(1.5, 0.0, 0.0), v(0.0, 1.5, 0.0));
    let mut things = Shape::block(v(0.8, 0.8, 0.8), 0.5).moved(v(-1.15, 0.4, 0.1));
    things.add(&Shape::block(v(0.5, 0.5, 0.5), -0.3).moved(v(-1.1, 1.05, 0.1)));
    things.add(&Shape::ball(0.5, 48).moved(v(1.1, 0.5, 0.1)));
    let mesh = glb.mesh(&[(&ground, floor), (&back, wall), (&panel, glow), (&things, planks)]);
    let node = glb.node(json!({ "mesh": mesh }));
    glb.root(node);
    glb.camera(v(0.35, 1.45, 3.9), v(0.0, 0.8, 0.0), 0.72);
    glb.light(
        json!({ "type": "spot", "color": [1.0, 0.9, 0.75], "intensity": 62.0, "spot": { "innerConeAngle": 0.3, "outerConeAngle": 0.7 } }),
        // Looks down its third axis, turned backwards: a quarter turn about the first axis looks at the floor.
        json!({ "translation": [0.4, 3.1, 1.2], "rotation": [-0.60, 0.0, 0.0, 0.80] }),
    );
    glb.file(Some([[0.10, 0.14, 0.22], [0.16, 0.17, 0.2], [0.02, 0.02, 0.02]]))
}

fn square(x: f32) -> f32 {
    x * x
}

fn glass() -> Vec<u8> {
    let mut glb = Glb::default();
    let gold = glb.material(metal([1.0, 0.72, 0.29], 0.22));
    let copper = glb.material(metal([0.95, 0.58, 0.44], 0.5));
    let chrome = glb.material(metal([0.92, 0.92, 0.93], 0.0));
    let crystal = glb.material(clear([1.0, 1.0, 1.0], 0.0));
    let frosted = glb.material(clear([0.80, 0.95, 0.90], 0.3));
    let porcelain = glb.material(coated([0.75, 0.12, 0.10], 0.08));
    let paper = glb.material(matte([0.62, 0.62, 0.64]));
    let warm = glb.material(lamp([1.0, 0.86, 0.68], 6.5));
    let cold = glb.material(lamp([0.55, 0.75, 1.0], 2.6));
    // A sheet that bends from floor to wall, so that there is no horizon.
    let sweep = Shape::grid(1, 48, |u, t| {
        let x = (u - 0.5) * 16.0;
        let bend = clamp((t - 0.5) * 4.0, 0.0, 1.0);
        let (sin, cos) = sin_cos(bend * PI * 0.5);
        let (flat, tall) = (clamp(t * 2.0, 0.0, 1.0), clamp((t - 0.75) * 4.0, 0.0, 1.0));
        let position = v(x, 1.8 * (1.0 - cos) + tall * 5.0, 4.0 - flat * 6.0 - 1.8 * sin);
        (position, v(0.0, cos, sin))
    });
    // The rows of a grid run away from the eye here: its front is turned up.
    let sweep = turned(sweep);
    let knot = Shape::knot(0.52, 0.15, 360, 40).moved(v(0.0, 0.62, -0.25));
    let key = Shape::sheet(v(-3.0, 3.2, -0.2), v(2.6, 0.0, 0.0), v(0.0, 1.2, 1.8));
    let fill = Shape::sheet(v(2.6, 0.5, 2.2), v(1.2, 0.0, -2.0), v(0.0, 2.4, 0.0));
    let parts = [
        (sweep, paper),
        (knot, gold),
        (Shape::ball(0.46, 64).moved(v(-1.15, 0.46, 0.35)), crystal),
        (Shape::ball(0.34, 64).moved(v(1.05, 0.34, 0.55)), chrome),
        (Shape::ball(0.42, 64).moved(v(1.5, 0.42, -0.75)), copper),
        (Shape::ball(0.26, 64).moved(v(-0.35, 0.26, 1.0)), frosted),
        (Shape::ball(0.2, 64).moved(v(0.45, 0.2, 1.15)), porcelain),
        (key, warm),
        (turned(fill), cold),
    ];
    let parts: Vec<(&Shape, usize)> = parts.iter().map(|(shape, material)| (shape, *material)).collect();
    let mesh = glb.mesh(&parts);
    let node = glb.node(json!({ "mesh": mesh }));
    glb.root(node);
    glb.camera(v(0.15, 1.5, 5.2), v(0.12, 0.52, 0.0), 0.52);
    glb.file(Some([[0.32, 0.36, 0.42], [0.22, 0.22, 0.24], [0.05, 0.05, 0.05]]))
}

/// The same shape with its back in front.
fn turned(mut shape: Shape) -> Shape {
    for corners in shape.indices.as_chunks_mut::<3>().0 {
        corners.swap(1, 2);
    }
    shape
}

fn orbit() -> Vec<u8> {
    let mut glb = Glb::default();
    let paper = glb.material(matte([0.78, 0.76, 0.72]));
    let brass = glb.material(metal([0.91, 0.74, 0.42], 0.3));
    let colours = [[0.80, 0.17, 0.12], [0.95, 0.62, 0.10], [0.13, 0.45, 0.58], [0.36, 0.60, 0.28], [0.45, 0.20, 0.50]];
    let light = glb.material(lamp([1.0, 0.92, 0.80], 9.0));
    let sphere = glb.material(lamp([1.0, 0.75, 0.45], 6.0));
    let stage = {
        let floor = Shape::sheet(v(-6.0, 0.0, 6.0), v(12.0, 0.0, 0.0), v(0.0, 0.0, -9.0));
        let wall = Shape::sheet(v(-6.0, 0.0, -3.0), v(12.0, 0.0, 0.0), v(0.0, 7.0, 0.0));
        let ceiling = Shape::sheet(v(-1.2, 5.0, -0.6), v(2.4, 0.0, 0.0), v(0.0, 0.0, 2.4));
        let mut room = floor;
        room.add(&wall);
        glb.mesh(&[(&room, paper), (&ceiling, light)])
    };
    let node = glb.node(json!({ "mesh": stage }));
    glb.root(node);
    let block = Shape::block(v(0.42, 0.42, 0.42), 0.0);
    let ball = Shape::ball(0.28, 32);
    let arm = Shape::block(v(2.6, 0.035, 0.035), 0.0);
    let arm = glb.mesh(&[(&arm, brass)]);
    let sun = glb.mesh(&[(&Shape::ball(0.32, 32), sphere)]);
    let mut arms = Vec::new();
    for (index, colour) in (0_u32..).zip(colours) {
        let colour = glb.material(coated(colour, 0.25));
        let mesh = glb.mesh(&[(if index % 2 == 0 { &block } else { &ball }, colour)]);
        let thing = glb.node(json!({ "mesh": mesh, "translation": [1.3, -0.2, 0.0] }));
        let turn = from_u32(index) * 2.0 * PI / 5.0;
        let (sin, cos) = sin_cos(turn * 0.5);
        let height = 0.35 * from_u32(index) - 0.7;
        let arm = glb.node(json!({
            "mesh": arm,
            "translation": [0.0, height, 0.0],
            "rotation": [0.0, sin, 0.0, cos],
            "children": [thing],
        }));
        glb.animate(
            thing,
            "rotation",
            &[0.0, 2.0, 4.0],
            &[vec![0.0, 0.0, 0.0, 1.0], vec![0.57, 0.57, 0.0, 0.59], vec![0.0, 1.0, 0.0, 0.0]],
        );
        arms.push(arm);
    }
    let glow = glb.node(json!({ "mesh": sun, "translation": [0.0, 1.25, 0.0] }));
    arms.push(glow);
    let mobile = glb.node(json!({ "translation": [0.0, 1.75, 0.0], "children": arms }));
    let (times, turns): (Vec<f32>, Vec<Vec<f32>>) = (0..=8_u32)
        .map(|key| {
            let (sin, cos) = sin_cos(from_u32(key) * PI / 8.0);
            (from_u32(key) * 0.5, vec![0.0, sin, 0.0, cos])
        })
        .unzip();
    glb.animate(mobile, "rotation", &times, &turns);
    glb.animate(
        mobile,
        "translation",
        &[0.0, 2.0, 4.0],
        &[vec![0.0, 1.75, 0.0], vec![0.0, 2.05, 0.0], vec![0.0, 1.75, 0.0]],
    );
    glb.root(mobile);
    glb.camera(v(0.0, 2.2, 6.6), v(0.0, 1.7, 0.0), 0.62);
    glb.file(Some([[0.05, 0.06, 0.09], [0.05, 0.05, 0.06], [0.0, 0.0, 0.0]]))
}

/// The height of the land.
fn height(x: f32, z: f32) -> f32 {
    let hills = turbulence(x * 0.55 + 31.0, z * 0.55 + 17.0, 6, 77);
    let ridge = 1.0 - 2.0 * (turbulence(x * 0.3 + 5.0, z * 0.3 + 9.0, 4, 91) - 0.48).abs();
    let far = clamp((2.0 - z) * 0.11, 0.0, 1.0);
    (hills * 1.35 + max(ridge, 0.0) * square(far) * 3.4) - 1.3
}

fn hills() -> Vec<u8> {
    let mut glb = Glb::default();
    let land = Shape::grid(250, 200, |u, t| {
        let (x, z) = ((u - 0.5) * 20.0, 6.0 - t * 17.0);
        let y = height(x, z);
        let step = 0.05;
        let normal =
            v(height(x - step, z) - height(x + step, z), 2.0 * step, height(x, z - step) - height(x, z + step));
        (v(x, y, z), normal.normalized())
    });
    let land = turned(land);
    // Rock where it is steep or high, grass elsewhere, snow on top: three meshes over one set of corners.
    let mut parts = [land.clone(), land.clone(), land.clone()];
    for part in &mut parts {
        part.indices.clear();
    }
    for corners in land.indices.as_chunks::<3>().0 {
        let mean = corners.iter().fold(Vec3::ZERO, |sum, index| {
            let index = usize::try_from(*index).expect("an index in memory");
            let place = land.positions[index];
            // The lines between grass, rock and snow are ragged.
            let ragged = (turbulence(place.x * 1.7 + 50.0, place.z * 1.7 + 50.0, 4, 123) - 0.47) * 2.6;
            sum + v(place.y + ragged, land.normals[index].y, 0.0)
        }) * (1.0 / 3.0);
        let kind = if mean.x > 1.35 && mean.y > 0.5 {
            2
        } else if mean.y < 0.72 || mean.x > 0.95 {
            1
        } else {
            0
        };
        parts[kind].indices.extend(corners);
    }
    let grass = glb.material(matte([0.16, 0.24, 0.06]));
    let rock = glb.material(matte([0.30, 0.26, 0.22]));
    let snow = glb.material(coated([0.85, 0.88, 0.92], 0.6));
    let water = glb.material(coated([0.02, 0.05, 0.07], 0.05));
    let lake = Shape::sheet(v(-40.0, -0.42, 8.0), v(80.0, 0.0, 0.0), v(0.0, 0.0, -60.0));
    let [low, steep, high] = parts;
    let mesh = glb.mesh(&[(&low, grass), (&steep, rock), (&high, snow), (&lake, water)]);
    let node = glb.node(json!({ "mesh": mesh }));
    glb.root(node);
    glb.camera(v(-1.2, 1.25, 6.2), v(0.4, 0.25, -2.0), 0.7);
    glb.light(
        json!({ "type": "directional", "color": [1.0, 0.84, 0.62], "intensity": 5.0 }),
        json!({ "rotation": [-0.177, 0.560, 0.124, 0.799] }),
    );
    glb.file(Some([[0.16, 0.33, 0.75], [0.72, 0.78, 0.86], [0.10, 0.10, 0.10]]))
}
