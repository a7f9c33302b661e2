//! Reads the graph of nodes: who stands where, and which meshes, cameras and lights are reached.

use std::collections::{BTreeMap, BTreeSet};

use gltf_json::camera::Type as CameraType;
use gltf_json::extensions::scene::khr_lights_punctual::{Light, Type as LightType};
use gltf_json::scene::Node as FileNode;
use gltf_json::validation::Checked;
use serde_json::Value;

use super::accessor::Source;
use super::container::{bounded, to_u64};
use super::materials::Palette;
use super::reject::SceneReject;
use crate::numerics::functions::{cos, sin};
use crate::rendering::limits;
use crate::rendering::scene::{Camera, Environment, Local, Node, Punctual, PunctualKind};
use crate::rendering::trace::transform::{Affine, Placement};
use crate::rendering::trace::vector::Vec3;

/// The nodes that the scene reaches, depth first, and what hangs on them.
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// From the file's index of a node to ours.
    pub(super) places: BTreeMap<usize, u32>,
    /// The file's indices of the meshes that are shown; ours is the position in this list.
    pub(super) meshes: Vec<usize>,
    pub(super) cameras: Vec<Camera>,
    pub(super) lights: Vec<Punctual>,
}

/// A node that is still to be read.
struct Open {
    file_index: usize,
    parent: Option<u32>,
    depth: u64,
}

impl Graph {
    pub(super) fn of(source: Source<'_>) -> Result<Self, SceneReject> {
        let root = source.root;
        let chosen = root.scene.map_or(0, |index| index.value());
        if root.scenes.is_empty() {
            return Err(SceneReject::Empty("it has no scenes"));
        }
        let scene = source.get(&root.scenes, "scene", chosen)?;
        let mut graph = Self {
            nodes: Vec::new(),
            places: BTreeMap::new(),
            meshes: Vec::new(),
            cameras: Vec::new(),
            lights: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        let mut shown = BTreeMap::new();
        let roots = scene.nodes.iter().rev();
        let mut open: Vec<Open> =
            roots.map(|index| Open { file_index: index.value(), parent: None, depth: 1 }).collect();
        // REN-8: the walk ends, because no node is entered twice.
        while let Some(Open { file_index, parent, depth }) = open.pop() {
            let node = source.get(&root.nodes, "node", file_index)?;
            if !seen.insert(file_index) {
                return Err(SceneReject::Cycle { node: to_u64(file_index) });
            }
            bounded("levels of nodes", depth, limits::NODE_DEPTH_MAX)?;
            let place = u32::try_from(graph.nodes.len()).expect("the nodes are bounded");
            let mesh = match node.mesh {
                Some(mesh) => {
                    source.get(&root.meshes, "mesh", mesh.value())?;
                    let next = graph.meshes.len();
                    let ours = *shown.entry(mesh.value()).or_insert(next);
                    if ours == next {
                        graph.meshes.push(mesh.value());
                    }
                    Some(u32::try_from(ours).expect("the meshes are bounded"))
                }
                None => None,
            };
            graph.nodes.push(Node { parent, local: local(node, file_index)?, mesh });
            graph.places.insert(file_index, place);
            graph.hang(source, node, place, file_index)?;
            let children = node.children.iter().flatten().rev();
            open.extend(children.map(|index| Open {
                file_index: index.value(),
                parent: Some(place),
                depth: depth.saturating_add(1),
            }));
            // A list of children may name one node many times: the walk refuses it, and no list outgrows the JSON.
        }
        if graph.meshes.is_empty() {
            return Err(SceneReject::Empty("no node shows a mesh"));
        }
        if graph.cameras.is_empty() {
            return Err(SceneReject::Empty("no node has a perspective camera"));
        }
        Ok(graph)
    }

    /// What hangs on a node beside a mesh.
    fn hang(&mut self, source: Source<'_>, node: &FileNode, place: u32, index: usize) -> Result<(), SceneReject> {
        if node.skin.is_some() {
            return Err(SceneReject::Unsupported("a skin".to_owned()));
        }
        if let Some(camera) = node.camera {
            let camera = source.get(&source.root.cameras, "camera", camera.value())?;
            if !matches!(camera.type_, Checked::Valid(CameraType::Perspective)) {
                return Err(SceneReject::Unsupported("a camera without perspective".to_owned()));
            }
            let angle = camera.perspective.as_ref().map_or(0.0, |perspective| perspective.yfov);
            if !(angle > 0.0 && angle < 3.1) {
                return Err(number("the angle of view", "node", index, "(0, 3.1)"));
            }
            let half = angle * 0.5;
            self.cameras.push(Camera { node: place, half_height: sin(half) / cos(half) });
        }
        let light = node.extensions.as_ref().and_then(|extensions| extensions.khr_lights_punctual.as_ref());
        if let Some(light) = light {
            let lights = source.root.extensions.as_ref().and_then(|e| e.khr_lights_punctual.as_ref());
            let lights = lights.map_or(&[][..], |lights| &lights.lights);
            let light = source.get(lights, "light", light.light.value())?;
            self.lights.push(punctual(light, place, index)?);
        }
        Ok(())
    }
}

fn number(what: &'static str, holder: &'static str, index: usize, bound: &str) -> SceneReject {
    SceneReject::Number { what, holder, index: to_u64(index), bound: bound.to_owned() }
}

fn local(node: &FileNode, index: usize) -> Result<Local, SceneReject> {
    let refused = |what| number(what, "node", index, "1000000");
    if let Some(m) = node.matrix {
        if !m.iter().all(|value| value.abs() <= limits::COORDINATE_MAX) {
            return Err(refused("the matrix"));
        }
        if [m[3], m[7], m[11], m[15]] != [0.0, 0.0, 0.0, 1.0] {
            return Err(SceneReject::Unsupported("a matrix that is not affine".to_owned()));
        }
        return Ok(Local::Matrix(Affine {
            x: Vec3::new(m[0], m[1], m[2]),
            y: Vec3::new(m[4], m[5], m[6]),
            z: Vec3::new(m[8], m[9], m[10]),
            origin: Vec3::new(m[12], m[13], m[14]),
        }));
    }
    let translation = node.translation.map_or(Vec3::ZERO, Vec3::from_array);
    let scale = node.scale.map_or(Vec3::ONE, Vec3::from_array);
    let rotation = node.rotation.map_or([0.0, 0.0, 0.0, 1.0], |rotation| rotation.0);
    if !translation.within(limits::COORDINATE_MAX) {
        return Err(refused("the translation"));
    }
    if !scale.within(limits::COORDINATE_MAX) {
        return Err(refused("the scale"));
    }
    if !rotation.iter().all(|value| value.abs() <= limits::COORDINATE_MAX) {
        return Err(refused("the rotation"));
    }
    Ok(Local::Parts(Placement { translation, rotation, scale }))
}

fn punctual(light: &Light, node: u32, index: usize) -> Result<Punctual, SceneReject> {
    let colour = Vec3::from_array(light.color.map(|value| value * light.intensity));
    let positive = colour.x >= 0.0 && colour.y >= 0.0 && colour.z >= 0.0;
    if !(positive && colour.within(limits::INTENSITY_MAX)) {
        return Err(number("the light", "node", index, "[0, 100000000]"));
    }
    let kind = match (&light.type_, &light.spot) {
        (Checked::Valid(LightType::Directional), _) => PunctualKind::Directional,
        (Checked::Valid(LightType::Point), _) => PunctualKind::Point,
        (Checked::Valid(LightType::Spot), Some(spot)) => {
            let (inner, outer) = (spot.inner_cone_angle, spot.outer_cone_angle);
            if !(0.0 <= inner && inner < outer && outer <= core::f32::consts::FRAC_PI_2) {
                return Err(number("the cone", "node", index, "[0, pi/2]"));
            }
            PunctualKind::Spot { inner: cos(inner), outer: cos(outer) }
        }
        _ => return Err(SceneReject::Unsupported("a light of an unknown kind".to_owned())),
    };
    Ok(Punctual { node, colour, kind })
}

// REN-9: the environment stands in the scene's extras; a scene without any light is lit by a plain sky.
pub(super) fn environment(source: Source<'_>, palette: &Palette, graph: &Graph) -> Result<Environment, SceneReject> {
    let chosen = source.root.scene.map_or(0, |index| index.value());
    let scene = source.get(&source.root.scenes, "scene", chosen)?;
    let extras = scene.extras.as_ref().and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    let Some(written) = extras.as_ref().and_then(|extras| extras.get("environment")) else {
        let lit = !graph.lights.is_empty() || palette.materials.iter().any(|m| m.emission.largest() > 0.0);
        let dark = Environment { zenith: Vec3::ZERO, horizon: Vec3::ZERO, nadir: Vec3::ZERO };
        let sky = Environment { zenith: Vec3::new(0.5, 0.7, 1.0), horizon: Vec3::ONE, nadir: Vec3::splat(0.25) };
        return Ok(if lit { dark } else { sky });
    };
    let colour = |name: &str| {
        let refused = || number("the environment", "scene", chosen, "[0, 100000000]");
        let numbers: Option<Vec<f64>> =
            written.get(name).and_then(Value::as_array).map(|list| list.iter().filter_map(Value::as_f64).collect());
        let [x, y, z] = numbers.as_deref().and_then(|list| list.try_into().ok()).ok_or_else(refused)?;
        let colour = Vec3::new(nearest(x), nearest(y), nearest(z));
        let positive = colour.x >= 0.0 && colour.y >= 0.0 && colour.z >= 0.0;
        if positive && colour.within(limits::INTENSITY_MAX) { Ok(colour) } else { Err(refused()) }
    };
    Ok(Environment { zenith: colour("zenith")?, horizon: colour("horizon")?, nadir: colour("nadir")? })
}

/// The nearest float of 32 bits.
#[expect(clippy::as_conversions, reason = "IEEE rounds to the nearest here, and there is no other way to say it")]
fn nearest(value: f64) -> f32 {
    value as f32 + 0.0
}
