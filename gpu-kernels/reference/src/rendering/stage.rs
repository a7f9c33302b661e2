//! A scene made ready for rays: what stands still is one solid in the world, what moves or repeats is a solid of its own.

#![allow(clippy::arithmetic_side_effects, reason = "overflow checks stay on; what is counted here is bounded")]

use std::collections::BTreeSet;

use super::animation;
use super::limits::{COORDINATE_MAX, LIGHTS_MAX};
use super::load::SceneReject;
use super::scene::{Mesh, Node, Scene, Triangle, Vertex};
use super::trace::bsdf::Bsdf;
use super::trace::bvh::{Aabb, BLOCK, Bvh, at};
use super::trace::path::plain;
use super::trace::transform::Affine;
use super::trace::vector::Vec3;
use super::trace::walk::{Block, HOLES};

/// A scene with its trees: what all frames of a task share.
#[derive(Debug)]
pub struct Stage {
    pub(crate) scene: Scene,
    /// How each material scatters, where no image says it place by place.
    pub(crate) plain: Vec<Option<[Bsdf; 2]>>,
    pub(crate) solids: Vec<Solid>,
    /// Which solid is placed by which node; the ground stands where it is.
    pub(crate) placements: Vec<(u32, Option<u32>)>,
}

/// Triangles under one tree.
#[derive(Debug)]
pub(crate) struct Solid {
    pub(crate) vertices: Vec<Vertex>,
    pub(crate) triangles: Vec<Triangle>,
    pub(crate) bvh: Bvh,
    pub(crate) blocks: Vec<Block>,
    /// The triangles that give light, rising.
    pub(crate) lamps: Vec<u32>,
}

impl Stage {
    /// Lays the ground and builds every tree.
    ///
    /// # Errors
    ///
    /// More of the scene gives light than can be aimed at.
    pub fn new(mut scene: Scene) -> Result<Self, SceneReject> {
        let moving = moving(&scene);
        let mut shown = vec![0_u32; scene.meshes.len()];
        for mesh in scene.nodes.iter().filter_map(|node| node.mesh) {
            shown[at(mesh)] += 1;
        }
        let resting = animation::world(&scene, None);
        let mut ground = Mesh { vertices: Vec::new(), triangles: Vec::new() };
        let mut placements = Vec::new();
        let mut own = Vec::new();
        for ((node, index), world) in scene.nodes.iter().zip(0_u32..).zip(&resting) {
            let Some(mesh) = node.mesh else { continue };
            // REN-18: a mesh that one resting node shows is part of the ground; its triangles are placed once for all.
            if shown[at(mesh)] == 1 && !moving.contains(&index) {
                lay(&mut ground, &scene.meshes[at(mesh)], world);
            } else {
                let place = own.iter().position(|other| *other == mesh).unwrap_or_else(|| {
                    own.push(mesh);
                    own.len() - 1
                });
                placements.push((place, index));
            }
        }
        let mut solids = Vec::new();
        let first = usize::from(!ground.triangles.is_empty());
        if first == 1 {
            solids.push(Solid::of(ground.vertices, ground.triangles, &scene));
        }
        let number = |index: usize| u32::try_from(index).expect("the meshes are bounded");
        let placements = placements.into_iter().map(|(place, node)| (number(place + first), Some(node)));
        let placements: Vec<(u32, Option<u32>)> =
            (0..number(first)).map(|ground| (ground, None)).chain(placements).collect();
        for mesh in own {
            let mesh =
                core::mem::replace(&mut scene.meshes[at(mesh)], Mesh { vertices: Vec::new(), triangles: Vec::new() });
            solids.push(Solid::of(mesh.vertices, mesh.triangles, &scene));
        }
        scene.meshes = Vec::new();
        let lamps = placements.iter().map(|(solid, _): &(u32, _)| solids[at(*solid)].lamps.len());
        let lights = lamps.fold(scene.lights.len(), usize::saturating_add);
        let (found, max) = (u64::try_from(lights).unwrap_or(u64::MAX), LIGHTS_MAX);
        if found > max {
            return Err(SceneReject::TooMany { what: "lights", found, max });
        }
        let plain = scene.materials.iter().map(plain).collect();
        Ok(Self { scene, plain, solids, placements })
    }

    /// The scene, without its meshes.
    #[must_use]
    pub fn scene(&self) -> &Scene {
        &self.scene
    }
}

impl Solid {
    fn of(vertices: Vec<Vertex>, triangles: Vec<Triangle>, scene: &Scene) -> Self {
        let corners = |triangle: &Triangle| triangle.vertices.map(|vertex| vertices[at(vertex)].position);
        let boxes: Vec<Aabb> =
            triangles.iter().map(|triangle| corners(triangle).into_iter().fold(Aabb::EMPTY, Aabb::with)).collect();
        let bvh = Bvh::of(&boxes);
        let (runs, _) = bvh.order.as_chunks::<BLOCK>();
        let blocks = runs
            .iter()
            .map(|run| {
                let mut block = Block { corners: [[[0.0; BLOCK]; 3]; 3], triangles: *run };
                for (lane, index) in run.iter().enumerate().filter(|(_, index)| **index != Bvh::NOBODY) {
                    let triangle = &triangles[at(*index)];
                    for (corner, position) in corners(triangle).into_iter().enumerate() {
                        for (axis, value) in position.to_array().into_iter().enumerate() {
                            block.corners[corner][axis][lane] = value;
                        }
                    }
                    if scene.materials[at(triangle.material)].cutoff.is_some() {
                        block.triangles[lane] |= HOLES;
                    }
                }
                block
            })
            .collect();
        let shines = |triangle: &Triangle| scene.materials[at(triangle.material)].emission.largest() > 0.0;
        let lamps = triangles.iter().zip(0_u32..).filter(|(t, _)| shines(t)).map(|(_, index)| index).collect();
        Self { vertices, triangles, bvh, blocks, lamps }
    }
}

/// The nodes that an animation moves, by themselves or with an ancestor.
fn moving(scene: &Scene) -> BTreeSet<u32> {
    let mut moving: BTreeSet<u32> = scene.channels.iter().map(|channel| channel.node).collect();
    for (Node { parent, .. }, index) in scene.nodes.iter().zip(0..) {
        if parent.is_some_and(|parent| moving.contains(&parent)) {
            moving.insert(index);
        }
    }
    moving
}

/// Adds a mesh to the ground where its node stands.
fn lay(ground: &mut Mesh, mesh: &Mesh, world: &Affine) {
    let placed: Vec<Vec3> = mesh.vertices.iter().map(|vertex| world.point(vertex.position)).collect();
    // REN-19: what is placed beyond the range of coordinates, or flattened, is not shown.
    if world.inverse().is_none() || !placed.iter().all(|point| point.within(COORDINATE_MAX)) {
        return;
    }
    let mirrored = world.determinant() < 0.0;
    let normals = world.cofactors();
    let first = u32::try_from(ground.vertices.len()).expect("the vertices are bounded");
    ground.vertices.extend(mesh.vertices.iter().zip(placed).map(|(vertex, position)| {
        let normal = normals.vector(vertex.normal).normalized();
        Vertex { position, normal: if mirrored { -normal } else { normal }, uv: vertex.uv }
    }));
    ground.triangles.extend(mesh.triangles.iter().map(|triangle| {
        let [a, b, c] = triangle.vertices.map(|vertex| vertex + first);
        Triangle { vertices: if mirrored { [a, c, b] } else { [a, b, c] }, material: triangle.material }
    }));
}
