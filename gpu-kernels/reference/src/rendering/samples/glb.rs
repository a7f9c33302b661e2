//! Writes binary glTF: shapes, materials, images, nodes and animations, in the order in which they are added.

use png::ColorType;
use serde_json::{Value, json};

use crate::rendering::picture::encoded;
use crate::rendering::trace::vector::Vec3;

/// A file that is being written.
#[derive(Default)]
pub(in crate::rendering) struct Glb {
    bytes: Vec<u8>,
    views: Vec<Value>,
    accessors: Vec<Value>,
    meshes: Vec<Value>,
    materials: Vec<Value>,
    images: Vec<Value>,
    textures: Vec<Value>,
    nodes: Vec<Value>,
    lights: Vec<Value>,
    cameras: Vec<Value>,
    roots: Vec<usize>,
    samplers: Vec<Value>,
    channels: Vec<Value>,
}

/// Triangles with normals and texture coordinates.
#[derive(Clone, Default)]
pub(in crate::rendering) struct Shape {
    pub(in crate::rendering) positions: Vec<Vec3>,
    pub(in crate::rendering) normals: Vec<Vec3>,
    pub(in crate::rendering) uvs: Vec<[f32; 2]>,
    pub(in crate::rendering) indices: Vec<u32>,
}

impl Glb {
    pub(in crate::rendering) fn material(&mut self, material: Value) -> usize {
        self.materials.push(material);
        self.materials.len() - 1
    }

    /// A texture of a picture with three bytes a pixel, side by side.
    pub(in crate::rendering) fn texture(&mut self, side: u32, pixels: &[[u8; 3]]) -> usize {
        let file = encoded(side, side, ColorType::Rgb, pixels.as_flattened()).expect("the picture is a square");
        let view = self.view(&file);
        self.images.push(json!({ "bufferView": view, "mimeType": "image/png" }));
        self.textures.push(json!({ "source": self.images.len() - 1 }));
        self.textures.len() - 1
    }

    /// A mesh of shapes, each with its material.
    pub(in crate::rendering) fn mesh(&mut self, parts: &[(&Shape, usize)]) -> usize {
        let primitives: Vec<Value> = parts
            .iter()
            .map(|(shape, material)| {
                let position = self.floats("VEC3", shape.positions.iter().flat_map(|v| v.to_array()));
                let normal = self.floats("VEC3", shape.normals.iter().flat_map(|v| v.to_array()));
                let uv = self.floats("VEC2", shape.uvs.iter().flatten().copied());
                let bytes: Vec<u8> = shape.indices.iter().flat_map(|index| index.to_le_bytes()).collect();
                let view = self.view(&bytes);
                let indices = self.accessor(view, 5_125, "SCALAR", shape.indices.len());
                json!({
                    "attributes": { "POSITION": position, "NORMAL": normal, "TEXCOORD_0": uv },
                    "indices": indices,
                    "material": material,
                })
            })
            .collect();
        self.meshes.push(json!({ "primitives": primitives }));
        self.meshes.len() - 1
    }

    pub(in crate::rendering) fn camera(&mut self, eye: Vec3, at: Vec3, yfov: f32) {
        self.cameras.push(json!({
            "type": "perspective",
            "perspective": { "yfov": yfov, "znear": 0.01 },
        }));
        let z = (eye - at).normalized();
        let x = Vec3::new(0.0, 1.0, 0.0).cross(z).normalized();
        let y = z.cross(x);
        let matrix = [x.x, x.y, x.z, 0.0, y.x, y.y, y.z, 0.0, z.x, z.y, z.z, 0.0, eye.x, eye.y, eye.z, 1.0];
        let node = self.node(json!({ "camera": self.cameras.len() - 1, "matrix": matrix }));
        self.root(node);
    }

    /// A light of KHR_lights_punctual, and the node that holds it.
    pub(in crate::rendering) fn light(&mut self, light: Value, mut node: Value) {
        self.lights.push(light);
        node["extensions"] = json!({ "KHR_lights_punctual": { "light": self.lights.len() - 1 } });
        let node = self.node(node);
        self.root(node);
    }

    pub(in crate::rendering) fn node(&mut self, node: Value) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    pub(in crate::rendering) fn root(&mut self, node: usize) {
        self.roots.push(node);
    }

    /// Moves a property of a node through values at times.
    pub(in crate::rendering) fn animate(&mut self, node: usize, path: &str, times: &[f32], values: &[Vec<f32>]) {
        let kind = if path == "rotation" { "VEC4" } else { "VEC3" };
        let input = self.floats("SCALAR", times.iter().copied());
        let output = self.floats(kind, values.iter().flatten().copied());
        self.samplers.push(json!({ "input": input, "output": output, "interpolation": "LINEAR" }));
        let target = json!({ "node": node, "path": path });
        self.channels.push(json!({ "sampler": self.samplers.len() - 1, "target": target }));
    }

    fn floats(&mut self, kind: &str, values: impl Iterator<Item = f32>) -> usize {
        let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        let width = match kind {
            "SCALAR" => 4,
            "VEC2" => 8,
            "VEC3" => 12,
            _ => 16,
        };
        let view = self.view(&bytes);
        self.accessor(view, 5_126, kind, bytes.len() / width)
    }

    fn accessor(&mut self, view: usize, component: u32, kind: &str, count: usize) -> usize {
        self.accessors.push(json!({ "bufferView": view, "componentType": component, "type": kind, "count": count }));
        self.accessors.len() - 1
    }

    fn view(&mut self, bytes: &[u8]) -> usize {
        let offset = self.bytes.len();
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.views.push(json!({ "buffer": 0, "byteOffset": offset, "byteLength": bytes.len() }));
        self.views.len() - 1
    }

    /// The whole file; `environment` is what stands in the extras of its scene.
    pub(in crate::rendering) fn file(self, environment: Option<[[f32; 3]; 3]>) -> Vec<u8> {
        let mut scene = json!({ "nodes": self.roots });
        if let Some([zenith, horizon, nadir]) = environment {
            scene["extras"] = json!({ "environment": { "zenith": zenith, "horizon": horizon, "nadir": nadir } });
        }
        let mut root = json!({
            "asset": { "version": "2.0", "generator": "cpc" },
            "scene": 0,
            "scenes": [scene],
            "buffers": [{ "byteLength": self.bytes.len() }],
        });
        let lists = [
            ("nodes", self.nodes),
            ("meshes", self.meshes),
            ("materials", self.materials),
            ("images", self.images),
            ("textures", self.textures),
            ("cameras", self.cameras),
            ("accessors", self.accessors),
            ("bufferViews", self.views),
        ];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            root[name] = list.into();
        }
        if !self.lights.is_empty() {
            root["extensions"] = json!({ "KHR_lights_punctual": { "lights": self.lights } });
        }
        if !self.channels.is_empty() {
            root["animations"] = json!([{ "channels": self.channels, "samplers": self.samplers }]);
        }
        assembled(&root.to_string(), &self.bytes)
    }
}

/// A binary glTF file of two chunks.
fn assembled(json: &str, bytes: &[u8]) -> Vec<u8> {
    let mut json = json.as_bytes().to_vec();
    json.resize(json.len().next_multiple_of(4), b' ');
    let chunk = |kind: &[u8; 4], body: &[u8]| {
        let mut chunk = length(body.len()).to_vec();
        chunk.extend(kind);
        chunk.extend(body);
        chunk
    };
    let mut chunks = chunk(b"JSON", &json);
    if !bytes.is_empty() {
        chunks.extend(chunk(b"BIN\0", bytes));
    }
    let mut file = b"glTF\x02\0\0\0".to_vec();
    file.extend(length(chunks.len() + 12));
    file.extend(chunks);
    file
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("a sample is small").to_le_bytes()
}
