//! A stage at one frame: where the solids stand, what gives light, and where the camera looks.

#![allow(clippy::arithmetic_side_effects, reason = "overflow checks stay on; what is counted here is bounded")]

use super::animation;
use super::limits::COORDINATE_MAX;
use super::scene::{PunctualKind, Sides, Triangle};
use super::stage::{Solid, Stage};
use super::trace::bvh::{Aabb, Bvh, at, grown};
use super::trace::sampling::PI;
use super::trace::transform::Affine;
use super::trace::vector::Vec3;
use super::trace::walk::Ray;
use crate::numerics::float::{from_u32, max, sqrt, to_u32, unit};

/// What all pixels of a frame share.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) instances: Vec<Instance>,
    /// The tree over the instances.
    pub(crate) tree: Bvh,
    pub(crate) lights: Lights,
    camera: View,
}

/// A solid where it stands.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) solid: u32,
    /// Nothing for the ground, which stands in the world already.
    pub(crate) placed: Option<Placed>,
    /// The light of the solid's first lamp.
    pub(crate) first_light: u32,
}

/// How a solid is brought to the world and back.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) to_world: Affine,
    pub(crate) to_solid: Affine,
    /// For normals, with the sign that keeps them outside.
    pub(crate) normals: Affine,
    pub(crate) mirrored: bool,
}

/// Everything that light can be aimed at.
#[derive(Debug)]
pub(crate) struct Lights {
    pub(crate) lights: Vec<Light>,
    /// Where in 2^32 the choice of each light begins.
    starts: Vec<u32>,
}

/// Something that gives light.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Light {
    pub(crate) kind: LightKind,
    /// What it sends: by surface and angle, by angle, or by surface.
    pub(crate) colour: Vec3,
    /// With which probability it is chosen.
    pub(crate) share: f32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum LightKind {
    Triangle(Lamp),
    /// Shines along a direction.
    Directional {
        towards: Vec3,
    },
    Point {
        from: Vec3,
    },
    Spot {
        from: Vec3,
        axis: Vec3,
        inner: f32,
        outer: f32,
    },
}

/// A triangle that gives light.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lamp {
    pub(crate) corner: Vec3,
    pub(crate) edges: [Vec3; 2],
    pub(crate) normal: Vec3,
    pub(crate) area: f32,
    pub(crate) sides: Sides,
    pub(crate) instance: u32,
    pub(crate) triangle: u32,
}

/// The camera as rays are made from it.
#[derive(Clone, Copy, Debug)]
struct View {
    origin: Vec3,
    right: Vec3,
    up: Vec3,
    ahead: Vec3,
    size: [f32; 2],
}

impl<'a> Moment<'a> {
    /// The stage at a frame, seen by a camera that the scene has.
    pub(crate) fn new(stage: &'a Stage, frame: u32, camera: u32, [width, height]: [u32; 2]) -> Self {
        let world = animation::world(&stage.scene, Some(frame));
        let (mut instances, mut boxes) = (Vec::new(), Vec::new());
        for (solid, node) in &stage.placements {
            let bounds = stage.solids[at(*solid)].bvh.bounds;
            let placed = node.map(|node| placed(&world[at(node)], &bounds));
            // REN-19: an instance that cannot be brought back to its solid, or leaves the range, is not shown.
            let (placed, bounds) = match placed {
                None => (None, bounds),
                Some(Some((placed, bounds))) => (Some(placed), bounds),
                Some(None) => continue,
            };
            instances.push(Instance { solid: *solid, placed, first_light: 0 });
            boxes.push(bounds);
        }
        let tree = Bvh::of(&boxes);
        let lights = Lights::of(stage, &mut instances, &world, &tree.bounds);
        let camera = View::of(stage, camera, &world, [width, height]);
        Self { stage, instances, tree, lights, camera }
    }

    /// The ray through a place in a pixel, which 64 random bits choose.
    #[inline(always)]
    pub(crate) fn camera_ray(&self, x: u32, y: u32, within: [u32; 2]) -> Ray {
        let view = &self.camera;
        let across = (from_u32(x) + unit(within[0])) * view.size[0] - 1.0;
        let down = 1.0 - (from_u32(y) + unit(within[1])) * view.size[1];
        let direction = ((view.right * across + view.up * down) + view.ahead).normalized();
        Ray { origin: view.origin, direction }
    }

    #[inline(always)]
    pub(crate) fn solid(&self, instance: &Instance) -> &Solid {
        &self.stage.solids[at(instance.solid)]
    }

    /// What comes from outside the scene along a direction.
    #[inline(always)]
    pub(crate) fn outside(&self, direction: Vec3) -> Vec3 {
        let environment = &self.stage.scene.environment;
        let (pole, height) =
            if direction.y < 0.0 { (environment.nadir, -direction.y) } else { (environment.zenith, direction.y) };
        environment.horizon + (pole - environment.horizon) * height
    }
}

fn placed(world: &Affine, bounds: &Aabb) -> Option<(Placed, Aabb)> {
    let to_solid = world.inverse()?;
    let (low, high) = (bounds.low, bounds.high);
    let mut outer = Aabb::EMPTY;
    for corner in 0..8_u32 {
        let pick = |bit: u32, low: f32, high: f32| if corner & bit == 0 { low } else { high };
        let point = Vec3::new(pick(1, low.x, high.x), pick(2, low.y, high.y), pick(4, low.z, high.z));
        let point = world.point(point);
        if !point.within(COORDINATE_MAX) {
            return None;
        }
        outer = outer.with(point);
    }
    let mirrored = world.determinant() < 0.0;
    let normals = world.cofactors();
    let sign = if mirrored { -1.0 } else { 1.0 };
    let normals = Affine { x: normals.x * sign, y: normals.y * sign, z: normals.z * sign, origin: Vec3::ZERO };
    Some((Placed { to_world: *world, to_solid, normals, mirrored }, grown(&outer)))
}

impl Instance {
    /// The corners of a triangle in the world, so that their order tells its front.
    #[inline(always)]
    pub(crate) fn corners(&self, solid: &Solid, triangle: &Triangle) -> [Vec3; 3] {
        let [a, b, c] = triangle.vertices.map(|vertex| solid.vertices[at(vertex)].position);
        match &self.placed {
            None => [a, b, c],
            Some(placed) => [placed.to_world.point(a), placed.to_world.point(b), placed.to_world.point(c)],
        }
    }

    /// Whether the order of the corners is turned around by a mirroring.
    #[inline(always)]
    pub(crate) fn is_mirrored(&self) -> bool {
        self.placed.as_ref().is_some_and(|placed| placed.mirrored)
    }
}

impl Lights {
    fn of(stage: &Stage, instances: &mut [Instance], world: &[Affine], bounds: &Aabb) -> Self {
        let mut lights = Vec::new();
        for (instance, number) in instances.iter_mut().zip(0_u32..) {
            instance.first_light = u32::try_from(lights.len()).expect("the lights are bounded");
            let solid = &stage.solids[at(instance.solid)];
            for lamp in &solid.lamps {
                lights.push(lamp_of(stage, instance, number, solid, *lamp));
            }
        }
        let size = bounds.high - bounds.low;
        let reach = if size.x >= 0.0 { size.dot(size) * (0.25 * PI) } else { 0.0 };
        for light in &stage.scene.lights {
            let place = &world[at(light.node)];
            let (from, axis) = (place.origin, (-place.z).normalized());
            let (kind, weight) = match light.kind {
                PunctualKind::Directional => (LightKind::Directional { towards: -axis }, reach),
                PunctualKind::Point => (LightKind::Point { from }, 4.0 * PI),
                PunctualKind::Spot { inner, outer } => (LightKind::Spot { from, axis, inner, outer }, 4.0 * PI),
            };
            let weight = if from.within(COORDINATE_MAX) && axis.within(1.0) { weight } else { 0.0 };
            lights.push((Light { kind, colour: light.colour, share: 0.0 }, weight * light.colour.luminance()));
        }
        Self::shared(lights)
    }

    // REN-27: shares are whole numbers of 2^-32, so that the choice and its probability are exact.
    fn shared(mut lights: Vec<(Light, f32)>) -> Self {
        let most = lights.iter().fold(0.0, |most, (_, weight)| max(*weight, most));
        let whole = |weight: f32| if most > 0.0 { u64::from(to_u32(weight / most * 1_048_576.0)) } else { 0 };
        // A light that gives anything is chosen now and then, however weak it is beside the others.
        let wholes: Vec<u64> = lights.iter().map(|(_, w)| if *w > 0.0 { whole(*w).max(1) } else { 0 }).collect();
        let total: u64 = wholes.iter().sum();
        let place = |sum: u64| if total == 0 { 0 } else { (u128::from(sum) << 32) / u128::from(total) };
        let (mut starts, mut sum) = (Vec::with_capacity(lights.len()), 0_u64);
        for ((light, _), whole) in lights.iter_mut().zip(&wholes) {
            let start = place(sum);
            sum += whole;
            starts.push(u32::try_from(start).unwrap_or(u32::MAX));
            light.share = unit_share(place(sum) - start);
        }
        if total == 0 {
            return Self { lights: Vec::new(), starts: Vec::new() };
        }
        Self { lights: lights.into_iter().map(|(light, _)| light).collect(), starts }
    }

    /// The light that 32 random bits choose.
    #[inline(always)]
    pub(crate) fn chosen(&self, bits: u32) -> Option<&Light> {
        let after = self.starts.partition_point(|start| *start <= bits);
        self.lights.get(after.checked_sub(1)?)
    }
}

/// So many of 2^32 as a float.
fn unit_share(share: u128) -> f32 {
    // At most 2^32: two exact halves.
    let half = |value: u128| u32::try_from(value).expect("a half of 33 bits");
    let (high, low) = (half(share >> 16), half(share & 0xffff));
    from_u32(high) * (1.0 / 65_536.0) + from_u32(low) * (1.0 / 4_294_967_296.0)
}

fn lamp_of(stage: &Stage, instance: &Instance, number: u32, solid: &Solid, index: u32) -> (Light, f32) {
    let triangle = &solid.triangles[at(index)];
    let [a, b, c] = instance.corners(solid, triangle);
    let edges = [b - a, c - a];
    let normal = edges[0].cross(edges[1]);
    let normal = if instance.is_mirrored() { -normal } else { normal };
    let area = sqrt(normal.dot(normal)) * 0.5;
    let material = &stage.scene.materials[at(triangle.material)];
    let sides = if material.sides == Sides::Both { 2.0 } else { 1.0 };
    let lamp = Lamp {
        corner: a,
        edges,
        normal: normal.normalized(),
        area,
        sides: material.sides,
        instance: number,
        triangle: index,
    };
    let weight = material.emission.luminance() * area * (PI * sides);
    (Light { kind: LightKind::Triangle(lamp), colour: material.emission, share: 0.0 }, weight)
}

impl View {
    fn of(stage: &Stage, camera: u32, world: &[Affine], [width, height]: [u32; 2]) -> Self {
        let camera = stage.scene.cameras[at(camera)];
        let place = &world[at(camera.node)];
        let (width, height) = (from_u32(width), from_u32(height));
        let half_width = camera.half_height * (width / height);
        Self {
            origin: place.origin,
            right: place.x.normalized() * half_width,
            up: place.y.normalized() * camera.half_height,
            ahead: -place.z.normalized(),
            size: [2.0 / width, 2.0 / height],
        }
    }
}
