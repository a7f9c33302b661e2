//! A scene as it was read: meshes, materials, images, nodes and what moves them, all indices checked.

use super::trace::transform::{Affine, Placement};
use super::trace::vector::Vec3;

/// A scene within the bounds, ready to be rendered.
#[derive(Debug)]
pub struct Scene {
    pub(crate) counts: Counts,
    pub(crate) nodes: Vec<Node>,
    pub(crate) meshes: Vec<Mesh>,
    pub(crate) materials: Vec<Material>,
    pub(crate) images: Vec<Image>,
    pub(crate) cameras: Vec<Camera>,
    pub(crate) lights: Vec<Punctual>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) environment: Environment,
}

/// What a task says of its scene, so that its price and its memory are known before the scene is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Triangles of all meshes that nodes show, each mesh once.
    pub triangles: u32,
    /// Nodes that the scene reaches.
    pub nodes: u32,
    /// Bytes of all images, decoded to four bytes a pixel.
    pub image_bytes: u32,
}

/// A place in the scene. A parent stands before its children.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) parent: Option<u32>,
    pub(crate) local: Local,
    pub(crate) mesh: Option<u32>,
}

/// How a node stands to its parent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Local {
    Matrix(Affine),
    Parts(Placement),
}

/// Triangles in a space of their own.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) vertices: Vec<Vertex>,
    pub(crate) triangles: Vec<Triangle>,
}

/// A corner that triangles share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Vertex {
    pub(crate) position: Vec3,
    /// Zero where the file has none: then the triangle's own normal is taken.
    pub(crate) normal: Vec3,
    pub(crate) uv: [f32; 2],
}

/// Three vertices and what they are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Triangle {
    pub(crate) vertices: [u32; 3],
    pub(crate) material: u32,
}

/// A surface of glTF's metallic-roughness model, with the extensions that the spec names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Material {
    pub(crate) base: Vec3,
    pub(crate) base_map: Option<Map>,
    pub(crate) metallic: f32,
    pub(crate) roughness: f32,
    pub(crate) metallic_roughness_map: Option<Map>,
    pub(crate) normal_map: Option<Map>,
    pub(crate) normal_scale: f32,
    pub(crate) emission: Vec3,
    pub(crate) emission_map: Option<Map>,
    pub(crate) transmission: f32,
    /// The index of refraction.
    pub(crate) ior: f32,
    /// How much of the dielectric reflection there is.
    pub(crate) specular: f32,
    pub(crate) sides: Sides,
    /// Below this alpha there is a hole.
    pub(crate) cutoff: Option<f32>,
    pub(crate) alpha: f32,
}

impl Material {
    /// Whether anything of the surface is read from an image.
    #[inline(always)]
    pub(crate) fn has_maps(&self) -> bool {
        let maps = [&self.base_map, &self.metallic_roughness_map, &self.normal_map, &self.emission_map];
        maps.iter().any(|map| map.is_some())
    }
}

/// Which sides of a surface give light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sides {
    Front,
    Both,
}

/// An image and how it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) image: u32,
    pub(crate) wrap: [Wrap; 2],
    pub(crate) filter: Filter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrap {
    Repeat,
    Mirror,
    Clamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    Nearest,
    Linear,
}

/// Pixels of four bytes, rows from the top.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Vec<[u8; 4]>,
}

/// Where pictures are taken from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Camera {
    pub(crate) node: u32,
    /// The tangent of half the angle from the lowest to the highest pixel.
    pub(crate) half_height: f32,
}

/// A light without a surface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Punctual {
    pub(crate) node: u32,
    pub(crate) colour: Vec3,
    pub(crate) kind: PunctualKind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PunctualKind {
    Directional,
    Point,
    /// The cosines of the inner and the outer angle.
    Spot {
        inner: f32,
        outer: f32,
    },
}

/// What is seen where nothing is: three colours, blended by height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Environment {
    pub(crate) zenith: Vec3,
    pub(crate) horizon: Vec3,
    pub(crate) nadir: Vec3,
}

/// What moves a property of a node.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) node: u32,
    pub(crate) property: Property,
    pub(crate) interpolation: Interpolation,
    /// Seconds, rising.
    pub(crate) times: Vec<f32>,
    /// One value a time, or three where the curve is cubic; vectors leave the fourth component zero.
    pub(crate) values: Vec<[f32; 4]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    Translation,
    Rotation,
    Scale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interpolation {
    Linear,
    Step,
    Cubic,
}

impl Scene {
    /// What a task must say of this scene.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many cameras there are to choose from.
    #[must_use]
    pub fn cameras(&self) -> usize {
        self.cameras.len()
    }

    /// Seconds from the first frame to the last key of any animation.
    #[must_use]
    pub fn seconds(&self) -> f32 {
        self.channels.iter().filter_map(|channel| channel.times.last().copied()).fold(0.0, f32::max)
    }
}
