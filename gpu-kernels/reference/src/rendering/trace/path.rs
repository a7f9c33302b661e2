//! The path tracer: one path of one pixel, as the spec defines it.

use super::bsdf::Bsdf;
use super::bvh::{BLOCK, at};
use super::random::{PathStream, PixelStream, Purpose};
use super::sampling::{Basis, off_surface};
use super::texture::{Encoding, read};
use super::vector::Vec3;
use super::walk::{
    BLOCK_STEPS, Exhausted, HOLES, INSTANCE_STEPS, Meeting, Ray, SHADE_STEPS, Scratch, Shear, Visitor, met, walk,
};
use crate::numerics::float::{clamp, max, sqrt, unit};
use crate::rendering::moment::{Instance, Lamp, Light, LightKind, Moment};
use crate::rendering::scene::{Image, Map, Material, Sides, Triangle};
use crate::rendering::stage::Solid;

/// How long and how far paths go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    pub(crate) bounces: u32,
    pub(crate) steps: u32,
}

/// From this bounce on, paths end by chance.
const ROULETTE_FROM: u32 = 3;
/// How far a ray goes.
const FAR: f32 = 3.0e38;

/// What a path met.
struct Hit<'a> {
    instance: &'a Instance,
    instance_index: u32,
    meeting: Meeting,
}

/// A surface where a path met it.
struct Surface {
    position: Vec3,
    /// The normal of the triangle, on the side of the eye.
    normal: Vec3,
    /// Where rays to that side begin.
    outside: Vec3,
    /// Whether the eye sees the front.
    front: bool,
    basis: Basis,
    bsdf: Bsdf,
    emission: Vec3,
}

// REN-15: a path that spends its steps is black, as is one whose value is not a number.
/// What one path brings.
#[inline(always)]
pub(crate) fn radiance(
    moment: &Moment<'_>,
    pixel: &mut PixelStream,
    [x, y]: [u32; 2],
    sample: u32,
    reach: Reach,
    scratch: &mut Scratch,
) -> Vec3 {
    scratch.begin(reach.steps);
    let stream = pixel.path(sample);
    let ray = moment.camera_ray(x, y, stream.camera());
    match followed(moment, ray, &stream, reach, scratch) {
        Ok(radiance) if radiance.within(f32::MAX) => radiance,
        _ => Vec3::ZERO,
    }
}

#[inline(always)]
fn followed(
    moment: &Moment<'_>,
    mut ray: Ray,
    stream: &PathStream<'_>,
    reach: Reach,
    scratch: &mut Scratch,
) -> Result<Vec3, Exhausted> {
    let mut radiance = Vec3::ZERO;
    let mut throughput = Vec3::ONE;
    // The density with which the ray was aimed here; none where light sampling could not have found the same way.
    let mut density: Option<f32> = None;
    for bounce in 0..=reach.bounces {
        let Some(hit) = nearest(moment, &ray, scratch)? else {
            radiance = radiance + throughput.times(moment.outside(ray.direction));
            break;
        };
        scratch.spend(SHADE_STEPS)?;
        let Some(surface) = surface(moment, &hit, &ray) else { break };
        if surface.emission.largest() > 0.0 {
            let weight = density.map_or(1.0, |density| heavier(density, aimed_density(moment, &hit, &ray, &surface)));
            radiance = radiance + throughput.times(surface.emission) * weight;
        }
        if bounce == reach.bounces {
            break;
        }
        let numbers = stream.bounce(bounce);
        let number = |purpose: Purpose| numbers[purpose as usize];
        let eye = surface.basis.to_local(-ray.direction);
        let aim = [number(Purpose::Light), number(Purpose::LightFirst), number(Purpose::LightSecond)];
        let direct = aimed(moment, &surface, eye, aim, scratch)?;
        radiance = radiance + throughput.times(direct);
        let draws = [number(Purpose::Lobe), number(Purpose::DirectionFirst), number(Purpose::DirectionSecond)];
        let Some(scattered) = surface.bsdf.sample(eye, draws) else { break };
        let direction = surface.basis.to_world(scattered.direction).normalized();
        let side = direction.dot(surface.normal);
        // REN-28: a direction that the shading normal and the triangle put on different sides carries nothing.
        if (side > 0.0) != (scattered.direction.z > 0.0) {
            break;
        }
        throughput = throughput.times(scattered.weight);
        density = scattered.density;
        if bounce >= ROULETTE_FROM {
            let survival = clamp(throughput.largest(), 0.05, 0.95);
            if unit(number(Purpose::Roulette)) >= survival {
                break;
            }
            throughput = throughput * (1.0 / survival);
        }
        let origin = if side > 0.0 { surface.outside } else { off_surface(surface.position, -surface.normal) };
        ray = Ray { origin, direction };
    }
    Ok(radiance)
}

/// The share of one of two ways to find the same light, by the squares of their densities.
#[inline(always)]
fn heavier(this: f32, other: f32) -> f32 {
    let ratio = other / this;
    1.0 / (1.0 + ratio * ratio)
}

/// The nearest triangle that a ray meets.
#[inline(always)]
fn nearest<'a>(moment: &'a Moment<'_>, ray: &Ray, scratch: &mut Scratch) -> Result<Option<Hit<'a>>, Exhausted> {
    let mut limit = FAR;
    let mut visitor = Instances { moment, ray, found: None, any: false };
    walk(&moment.tree, ray, &mut limit, scratch, &mut visitor)?;
    let found = visitor.found;
    Ok(found.map(|(instance_index, meeting)| Hit {
        instance: &moment.instances[at(instance_index)],
        instance_index,
        meeting,
    }))
}

/// Whether anything stands within a distance along a ray.
#[inline(always)]
fn hidden(moment: &Moment<'_>, ray: &Ray, distance: f32, scratch: &mut Scratch) -> Result<bool, Exhausted> {
    let mut limit = distance;
    let mut visitor = Shadows(Instances { moment, ray, found: None, any: true });
    walk(&moment.tree, ray, &mut limit, scratch, &mut visitor)
}

/// Looks into the instances of a leaf.
struct Instances<'a> {
    moment: &'a Moment<'a>,
    ray: &'a Ray,
    found: Option<(u32, Meeting)>,
    any: bool,
}

/// The same for rays that ask only whether.
struct Shadows<'a>(Instances<'a>);

impl Instances<'_> {
    #[inline(always)]
    fn look<const NEAREST: bool>(
        &mut self,
        first: usize,
        blocks: usize,
        limit: &mut f32,
        scratch: &mut Scratch,
    ) -> Result<bool, Exhausted> {
        let moment = self.moment;
        let run = &moment.tree.order[first * BLOCK..(first + blocks) * BLOCK];
        for index in run.iter().filter(|index| at(**index) < moment.instances.len()) {
            scratch.spend(INSTANCE_STEPS)?;
            let instance = &moment.instances[at(*index)];
            let solid = moment.solid(instance);
            // A direction that is not brought back to length one keeps distances equal in both spaces.
            let ray = match &instance.placed {
                None => *self.ray,
                Some(placed) => Ray {
                    origin: placed.to_solid.point(self.ray.origin),
                    direction: placed.to_solid.vector(self.ray.direction),
                },
            };
            let shear = Shear::of(&ray);
            let mut triangles = Triangles::<NEAREST> { moment, solid, shear, found: None, any: self.any };
            let ended = walk(&solid.bvh, &ray, limit, scratch, &mut triangles)?;
            if let Some(meeting) = triangles.found {
                self.found = Some((*index, meeting));
            }
            if ended {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Visitor for Instances<'_> {
    const NEAREST_FIRST: bool = true;

    #[inline(always)]
    fn leaf(&mut self, first: usize, blocks: usize, limit: &mut f32, scratch: &mut Scratch) -> Result<bool, Exhausted> {
        self.look::<true>(first, blocks, limit, scratch)
    }
}

impl Visitor for Shadows<'_> {
    const NEAREST_FIRST: bool = false;

    #[inline(always)]
    fn leaf(&mut self, first: usize, blocks: usize, limit: &mut f32, scratch: &mut Scratch) -> Result<bool, Exhausted> {
        self.0.look::<false>(first, blocks, limit, scratch)
    }
}

/// Tests the triangles of a leaf.
struct Triangles<'a, const NEAREST: bool> {
    moment: &'a Moment<'a>,
    solid: &'a Solid,
    shear: Shear,
    found: Option<Meeting>,
    any: bool,
}

impl<const NEAREST: bool> Visitor for Triangles<'_, NEAREST> {
    const NEAREST_FIRST: bool = NEAREST;

    #[inline(always)]
    fn leaf(&mut self, first: usize, blocks: usize, limit: &mut f32, scratch: &mut Scratch) -> Result<bool, Exhausted> {
        for pair in self.solid.blocks[first..first + blocks].chunks(2) {
            let both = [&pair[0], &pair[pair.len() - 1]];
            let (masks, seen) = met(both, &self.shear, *limit);
            // One block after the other, as if the second had not been looked at yet.
            for (which, block) in pair.iter().enumerate() {
                scratch.spend(BLOCK_STEPS)?;
                let mut mask = masks >> (which * BLOCK) & 0xf;
                // Lanes in their order: of equal distances the first stays.
                while mask != 0 {
                    let lane = at(mask.trailing_zeros());
                    mask &= mask - 1;
                    let mut meeting = seen.meeting(block, which, lane);
                    if meeting.distance >= *limit {
                        continue;
                    }
                    if meeting.triangle & HOLES != 0 {
                        meeting.triangle &= !HOLES;
                        if is_hole(self.moment, self.solid, &meeting) {
                            continue;
                        }
                    }
                    *limit = meeting.distance;
                    self.found = Some(meeting);
                    if self.any {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

/// Whether a masked material has a hole where the triangle was met.
#[inline(never)]
fn is_hole(moment: &Moment<'_>, solid: &Solid, meeting: &Meeting) -> bool {
    let triangle = &solid.triangles[at(meeting.triangle)];
    let material = &moment.stage.scene.materials[at(triangle.material)];
    let uv = blended_uv(solid, triangle, meeting.shares);
    let alpha = material.base_map.map_or(1.0, |map| read(&moment.stage.scene.images, &map, uv, Encoding::Linear)[3]);
    material.cutoff.is_some_and(|cutoff| alpha * material.alpha < cutoff)
}

#[inline(always)]
fn blended_uv(solid: &Solid, triangle: &Triangle, [second, third]: [f32; 2]) -> [f32; 2] {
    let [a, b, c] = triangle.vertices.map(|vertex| solid.vertices[at(vertex)].uv);
    let first = (1.0 - second) - third;
    core::array::from_fn(|axis| (a[axis] * first + b[axis] * second) + c[axis] * third)
}

/// The surface that a path met; nothing where the triangle has no extent.
#[inline(always)]
fn surface(moment: &Moment<'_>, hit: &Hit<'_>, ray: &Ray) -> Option<Surface> {
    let solid = moment.solid(hit.instance);
    let triangle = &solid.triangles[at(hit.meeting.triangle)];
    let material = &moment.stage.scene.materials[at(triangle.material)];
    let [second, third] = hit.meeting.shares;
    let first = (1.0 - second) - third;
    let [a, b, c] = hit.instance.corners(solid, triangle);
    let position = (a * first + b * second) + c * third;
    let across = (b - a).cross(c - a);
    let outward = if hit.instance.is_mirrored() { -across } else { across }.normalized();
    let front = outward.dot(ray.direction) < 0.0;
    let normal = if front { outward } else { -outward };
    if normal.dot(normal) == 0.0 {
        return None;
    }
    let [na, nb, nc] = triangle.vertices.map(|vertex| solid.vertices[at(vertex)].normal);
    let smooth = (na * first + nb * second) + nc * third;
    let smooth = match &hit.instance.placed {
        None => smooth,
        Some(placed) => placed.normals.vector(smooth),
    };
    let smooth = smooth.normalized();
    let mut shading = if smooth.dot(smooth) == 0.0 {
        normal
    } else if front {
        smooth
    } else {
        -smooth
    };
    // Where no image is read, nobody asks where.
    let uv = if material.has_maps() { blended_uv(solid, triangle, hit.meeting.shares) } else { [0.0; 2] };
    if let Some(map) = &material.normal_map {
        shading = bumped(moment, solid, triangle, material, map, uv, [b - a, c - a], shading);
    }
    // Where the shading normal turns away from the eye, the triangle's own is taken.
    if shading.dot(ray.direction) >= 0.0 || shading.dot(normal) <= 0.0 {
        shading = normal;
    }
    let emission = emission(moment, material, uv, front);
    Some(Surface {
        position,
        normal,
        outside: off_surface(position, normal),
        front,
        basis: Basis::about(shading),
        bsdf: match &moment.stage.plain[at(triangle.material)] {
            Some(plain) => plain[usize::from(front)],
            None => bsdf(&moment.stage.scene.images, material, uv, front),
        },
        emission,
    })
}

/// The shading normal as a normal map bends it.
#[inline(never)]
#[allow(clippy::too_many_arguments, reason = "they are the surface, which is not complete yet")]
fn bumped(
    moment: &Moment<'_>,
    solid: &Solid,
    triangle: &Triangle,
    material: &Material,
    map: &Map,
    uv: [f32; 2],
    edges: [Vec3; 2],
    shading: Vec3,
) -> Vec3 {
    let [a, b, c] = triangle.vertices.map(|vertex| solid.vertices[at(vertex)].uv);
    let (b, c) = ([b[0] - a[0], b[1] - a[1]], [c[0] - a[0], c[1] - a[1]]);
    let area = b[0] * c[1] - b[1] * c[0];
    if area == 0.0 {
        return shading;
    }
    // The direction in which the first texture coordinate grows, within the plane of the shading normal.
    let sign = if area < 0.0 { -1.0 } else { 1.0 };
    let along = (edges[0] * c[1] - edges[1] * b[1]) * sign;
    let tangent = (along - shading * along.dot(shading)).normalized();
    if tangent.dot(tangent) == 0.0 {
        return shading;
    }
    let across = shading.cross(tangent) * sign;
    let [x, y, z, _] = read(&moment.stage.scene.images, map, uv, Encoding::Linear);
    let x = (x * 2.0 - 1.0) * material.normal_scale;
    let y = (y * 2.0 - 1.0) * material.normal_scale;
    let bent = (tangent * x + across * y) + shading * max(z * 2.0 - 1.0, 0.0);
    let bent = bent.normalized();
    if bent.dot(bent) == 0.0 { shading } else { bent }
}

/// The light that a material gives.
#[inline(always)]
fn emission(moment: &Moment<'_>, material: &Material, uv: [f32; 2], front: bool) -> Vec3 {
    if !front && material.sides == Sides::Front {
        return Vec3::ZERO;
    }
    match &material.emission_map {
        Some(map) if material.emission.largest() > 0.0 => {
            let [r, g, b, _] = read(&moment.stage.scene.images, map, uv, Encoding::Colour);
            material.emission.times(Vec3::new(r, g, b))
        }
        _ => material.emission,
    }
}

/// How a material scatters from behind and from the front, where that is the same everywhere.
pub(crate) fn plain(material: &Material) -> Option<[Bsdf; 2]> {
    let read = material.base_map.is_some() || material.metallic_roughness_map.is_some();
    (!read).then(|| [false, true].map(|front| bsdf(&[], material, [0.0; 2], front)))
}

#[inline(always)]
fn bsdf(images: &[Image], material: &Material, uv: [f32; 2], front: bool) -> Bsdf {
    let mut base = material.base;
    if let Some(map) = &material.base_map {
        let [r, g, b, _] = read(images, map, uv, Encoding::Colour);
        base = base.times(Vec3::new(r, g, b));
    }
    let (mut metallic, mut roughness) = (material.metallic, material.roughness);
    if let Some(map) = &material.metallic_roughness_map {
        let [_, green, blue, _] = read(images, map, uv, Encoding::Linear);
        (metallic, roughness) = (metallic * blue, roughness * green);
    }
    let step = (material.ior - 1.0) / (material.ior + 1.0);
    let straight = Vec3::splat(step * step * material.specular * (1.0 - metallic)) + base * metallic;
    Bsdf {
        diffuse: base * (1.0 - metallic),
        straight,
        grazing: material.specular * (1.0 - metallic) + metallic,
        alpha: roughness * roughness,
        glass: material.transmission * (1.0 - metallic),
        tint: base,
        eta: if front { 1.0 / material.ior } else { material.ior },
    }
}

/// The density with which aiming at lights finds the direction of a ray that met one.
#[inline(always)]
fn aimed_density(moment: &Moment<'_>, hit: &Hit<'_>, ray: &Ray, surface: &Surface) -> f32 {
    let solid = moment.solid(hit.instance);
    let Ok(rank) = solid.lamps.binary_search(&hit.meeting.triangle) else { return 0.0 };
    let Some(light) = moment.lights.lights.get(at(hit.instance.first_light) + rank) else { return 0.0 };
    let LightKind::Triangle(lamp) = &light.kind else { return 0.0 };
    debug_assert_eq!(lamp.instance, hit.instance_index, "lights stand in the order of instances");
    debug_assert!(surface.front || lamp.sides == Sides::Both, "the other side is black");
    // Camera and scattered rays have directions of length one.
    let distance = hit.meeting.distance;
    let cosine = lamp.normal.dot(ray.direction).abs();
    light.share * (distance * distance) / max(cosine * lamp.area, f32::MIN_POSITIVE)
}

/// The light that one aimed ray brings.
#[inline(always)]
fn aimed(
    moment: &Moment<'_>,
    surface: &Surface,
    eye: Vec3,
    aim: [u32; 3],
    scratch: &mut Scratch,
) -> Result<Vec3, Exhausted> {
    if surface.bsdf.glass >= 1.0 {
        return Ok(Vec3::ZERO);
    }
    let Some(light) = moment.lights.chosen(aim[0]) else { return Ok(Vec3::ZERO) };
    let origin = surface.outside;
    let Some(sent) = sent(moment, light, origin, [aim[1], aim[2]]) else { return Ok(Vec3::ZERO) };
    if sent.direction.dot(surface.normal) <= 0.0 {
        return Ok(Vec3::ZERO);
    }
    let (value, density) = surface.bsdf.evaluate(eye, surface.basis.to_local(sent.direction));
    let carried = value.times(sent.radiance);
    if carried.largest() <= 0.0 || carried.largest().is_nan() {
        return Ok(Vec3::ZERO);
    }
    if hidden(moment, &Ray { origin, direction: sent.direction }, sent.distance, scratch)? {
        return Ok(Vec3::ZERO);
    }
    // Only light with a surface can also be met by chance.
    let weight = sent.density.map_or(1.0, |aimed| heavier(aimed, density));
    Ok(carried * weight)
}

/// Light that comes from one place.
struct Sent {
    direction: Vec3,
    distance: f32,
    /// What arrives, over the density of the choice.
    radiance: Vec3,
    density: Option<f32>,
}

/// A shadow ray ends a little before its light.
const BEFORE: f32 = 0.9999;

#[inline(always)]
fn sent(moment: &Moment<'_>, light: &Light, origin: Vec3, [first, second]: [u32; 2]) -> Option<Sent> {
    match &light.kind {
        LightKind::Triangle(lamp) => {
            let root = sqrt(unit(first));
            let (b, c) = (root * (1.0 - unit(second)), root * unit(second));
            let to = ((lamp.corner + lamp.edges[0] * b) + lamp.edges[1] * c) - origin;
            let square = to.dot(to);
            let length = sqrt(square);
            if length <= 0.0 {
                return None;
            }
            let direction = to * (1.0 / length);
            let cosine = -lamp.normal.dot(direction);
            let cosine = if lamp.sides == Sides::Both { cosine.abs() } else { cosine };
            if cosine <= 0.0 || cosine.is_nan() {
                return None;
            }
            let density = light.share * square / (cosine * lamp.area);
            let colour = lamp_colour(moment, light, lamp, [b, c]);
            let radiance = colour * (1.0 / density);
            Some(Sent { direction, distance: length * BEFORE, radiance, density: Some(density) })
        }
        LightKind::Directional { towards } => {
            let radiance = light.colour * (1.0 / light.share);
            Some(Sent { direction: *towards, distance: FAR, radiance, density: None })
        }
        LightKind::Point { from } => beam(light, *from - origin, 1.0),
        LightKind::Spot { from, axis, inner, outer } => {
            let to = *from - origin;
            let cosine = -axis.dot(to.normalized());
            let share = clamp((cosine - outer) / (inner - outer), 0.0, 1.0);
            beam(light, to, share * share)
        }
    }
}

#[inline(always)]
fn beam(light: &Light, to: Vec3, share: f32) -> Option<Sent> {
    let square = to.dot(to);
    let length = sqrt(square);
    if !(length > 0.0 && share > 0.0) {
        return None;
    }
    let radiance = light.colour * (share / (square * light.share));
    Some(Sent { direction: to * (1.0 / length), distance: length * BEFORE, radiance, density: None })
}

/// The colour of a lamp at a place on it.
#[inline(always)]
fn lamp_colour(moment: &Moment<'_>, light: &Light, lamp: &Lamp, shares: [f32; 2]) -> Vec3 {
    let solid = moment.solid(&moment.instances[at(lamp.instance)]);
    let triangle = &solid.triangles[at(lamp.triangle)];
    let material = &moment.stage.scene.materials[at(triangle.material)];
    match &material.emission_map {
        None => light.colour,
        Some(_) => emission(moment, material, blended_uv(solid, triangle, shares), true),
    }
}
