//! Rays through trees: which boxes are entered, in which order, which triangle is met first, and how many steps it took.

use super::bvh::{BLOCK, Bvh, Child, Node, WIDTH};
use super::vector::Vec3;
use crate::numerics::float::{max, min};

/// A half line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ray {
    pub(crate) origin: Vec3,
    pub(crate) direction: Vec3,
}

/// Four triangles side by side: of each corner the three axes.
#[derive(Clone, Debug)]
#[repr(C, align(32))]
pub(crate) struct Block {
    pub(crate) corners: [[[f32; BLOCK]; 3]; 3],
    /// Which triangles; the highest bit marks those that may have holes.
    pub(crate) triangles: [u32; BLOCK],
}

/// A triangle that a ray meets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meeting {
    pub(crate) distance: f32,
    pub(crate) triangle: u32,
    /// The shares of the second and the third corner.
    pub(crate) shares: [f32; 2],
}

/// The path has no steps left: its value is black, whatever it met (REN-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// What a walk needs beside the tree: a stack, and the steps of the path so far.
pub(crate) struct Scratch {
    stack: [Entry; STACK],
    top: usize,
    steps: u32,
    budget: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    reference: u32,
    distance: f32,
}

/// References that may wait. A tree that needs more ends the path as a spent budget does.
const STACK: usize = 192;
/// Marks a triangle that may have holes.
pub(crate) const HOLES: u32 = 1 << 31;

/// What is done at the leaves of a tree.
pub(crate) trait Visitor {
    /// Whether the nearest boxes come first.
    const NEAREST_FIRST: bool;

    /// Sees a run of blocks, and may draw the limit nearer. `true` ends the walk.
    fn leaf(&mut self, first: usize, blocks: usize, limit: &mut f32, scratch: &mut Scratch) -> Result<bool, Exhausted>;
}

impl Scratch {
    pub(crate) const fn new() -> Self {
        Self { stack: [Entry { reference: 0, distance: 0.0 }; STACK], top: 0, steps: 0, budget: 0 }
    }

    /// Begins a path.
    #[inline(always)]
    pub(crate) fn begin(&mut self, budget: u32) {
        (self.top, self.steps, self.budget) = (0, 0, budget);
    }

    // REN-15: every node, every block, every instance and every shading costs steps, and a path without any is black.
    #[inline(always)]
    pub(crate) fn spend(&mut self, steps: u32) -> Result<(), Exhausted> {
        self.steps = self.steps.wrapping_add(steps);
        if self.steps <= self.budget { Ok(()) } else { Err(Exhausted) }
    }
}

/// A ray as boxes are tested with it.
struct Slabs {
    origin: Vec3,
    inverse: Vec3,
    /// For each axis, which side of a box the ray meets first.
    near: [usize; 3],
}

impl Slabs {
    #[inline(always)]
    fn of(ray: &Ray) -> Self {
        let inverse = Vec3::new(inverse(ray.direction.x), inverse(ray.direction.y), inverse(ray.direction.z));
        let near = |inverse: f32| usize::from(inverse < 0.0);
        Self { origin: ray.origin, inverse, near: [near(inverse.x), near(inverse.y), near(inverse.z)] }
    }
}

/// One over a component; a component near zero counts as 10^-18, so that no product is undefined.
#[inline(always)]
fn inverse(component: f32) -> f32 {
    let least = 1.0e-18;
    if component.abs() >= least {
        1.0 / component
    } else if component.is_sign_negative() {
        -1.0e18
    } else {
        1.0e18
    }
}

/// A far side is moved outwards by three units in the last place, which is more than the roundings of both sides.
const OUTWARDS: f32 = f32::from_bits(0x3f80_0003);

/// Which boxes of a node the ray enters before the limit, and where.
#[inline(always)]
fn entered(node: &Node, slabs: &Slabs, limit: f32) -> (u32, [f32; WIDTH]) {
    let [x, y, z] = slabs.near;
    let (low, high) = (
        [&node.sides[x], &node.sides[2 + y], &node.sides[4 + z]],
        [&node.sides[1 - x], &node.sides[3 - y], &node.sides[5 - z]],
    );
    let (o, i) = (slabs.origin, slabs.inverse);
    let (mut nears, mut fars) = ([0.0; WIDTH], [0.0; WIDTH]);
    for lane in 0..WIDTH {
        let near =
            max(max((low[0][lane] - o.x) * i.x, (low[1][lane] - o.y) * i.y), max((low[2][lane] - o.z) * i.z, 0.0));
        let far =
            min(min((high[0][lane] - o.x) * i.x, (high[1][lane] - o.y) * i.y), min((high[2][lane] - o.z) * i.z, limit));
        nears[lane] = near;
        fars[lane] = far * OUTWARDS;
    }
    let mut bytes = [0; WIDTH];
    for lane in 0..WIDTH {
        bytes[lane] = u8::from(nears[lane] <= fars[lane]);
    }
    (bits(bytes), nears)
}

// REN-13: the order of a walk is part of the definition, because it decides how many steps a path takes.
/// Walks a tree; `true` where the visitor ended it.
#[inline(always)]
pub(crate) fn walk<V: Visitor>(
    bvh: &Bvh,
    ray: &Ray,
    limit: &mut f32,
    scratch: &mut Scratch,
    visitor: &mut V,
) -> Result<bool, Exhausted> {
    // A tree of one leaf has no box to test; most scenes have one solid, and the tree over the solids is such a tree.
    let slabs = match Bvh::child(bvh.root) {
        Child::Leaf(..) => Slabs { origin: ray.origin, inverse: ray.direction, near: [0; 3] },
        Child::Node(_) => Slabs::of(ray),
    };
    let base = scratch.top;
    let mut current = Entry { reference: bvh.root, distance: 0.0 };
    loop {
        // What lies beyond what was met in the meantime costs no step.
        if current.distance <= *limit {
            match Bvh::child(current.reference) {
                Child::Leaf(first, blocks) => {
                    if visitor.leaf(first, blocks, limit, scratch)? {
                        scratch.top = base;
                        return Ok(true);
                    }
                }
                Child::Node(index) => {
                    scratch.spend(NODE_STEPS)?;
                    let node = &bvh.nodes[index];
                    let (mask, nears) = entered(node, &slabs, *limit);
                    push(scratch, node, mask, &nears, V::NEAREST_FIRST)?;
                }
            }
        }
        if scratch.top == base {
            return Ok(false);
        }
        scratch.top -= 1;
        current = scratch.stack[scratch.top];
    }
}

/// Steps of a node.
pub(crate) const NODE_STEPS: u32 = 1;
/// Steps of a block of triangles.
pub(crate) const BLOCK_STEPS: u32 = 1;
/// Steps of bringing a ray to an instance.
pub(crate) const INSTANCE_STEPS: u32 = 1;
/// Steps of shading what a ray met.
pub(crate) const SHADE_STEPS: u32 = 8;

/// Pushes the children that are entered: the nearest on top, of equal ones the lower slot; or the highest slot on top.
#[inline(always)]
fn push(
    scratch: &mut Scratch,
    node: &Node,
    mut mask: u32,
    nears: &[f32; WIDTH],
    nearest: bool,
) -> Result<(), Exhausted> {
    let base = scratch.top;
    if base + WIDTH > STACK {
        return Err(Exhausted);
    }
    while mask != 0 {
        let slot = super::bvh::at(mask.trailing_zeros()) & (WIDTH - 1);
        mask &= mask - 1;
        let new = Entry { reference: node.children[slot], distance: nears[slot] };
        let mut place = scratch.top;
        if nearest {
            while place > base && scratch.stack[place - 1].distance <= new.distance {
                scratch.stack[place] = scratch.stack[place - 1];
                place -= 1;
            }
        }
        scratch.stack[place] = new;
        scratch.top += 1;
    }
    Ok(())
}

/// A ray as triangles are tested with it: sheared so that it runs along one axis.
pub(crate) struct Shear {
    origin: [f32; 3],
    axes: [usize; 3],
    shear: [f32; 3],
}

impl Shear {
    #[inline(always)]
    pub(crate) fn of(ray: &Ray) -> Self {
        let d = ray.direction.to_array();
        // The axis along which the ray runs fastest; of equal ones the last.
        let (most, fastest) = if d[0].abs() > d[1].abs() { (d[0].abs(), 0) } else { (d[1].abs(), 1) };
        let z = if most > d[2].abs() { fastest } else { 2 };
        let x = if z == 2 { 0 } else { z + 1 };
        let y = if x == 2 { 0 } else { x + 1 };
        let along = 1.0 / d[z];
        Self { origin: ray.origin.to_array(), axes: [x, y, z], shear: [d[x] * along, d[y] * along, along] }
    }
}

/// Triangles that are tested at once: those of two blocks.
const LANES: usize = 2 * BLOCK;

/// The triangles of two blocks as a ray sees them.
pub(crate) struct Seen {
    distances: [f32; LANES],
    second: [f32; LANES],
    third: [f32; LANES],
}

// REN-14: neighbours compute the edge that they share from the same products, so no ray passes between them.
/// Where the ray meets each triangle of two blocks: a bit for each that it meets before the limit.
#[inline(always)]
pub(crate) fn met(blocks: [&Block; 2], ray: &Shear, limit: f32) -> (u32, Seen) {
    let [kx, ky, kz] = ray.axes;
    let [sx, sy, sz] = ray.shear;
    let o = [ray.origin[kx], ray.origin[ky], ray.origin[kz]];
    let both = |index: usize, axis: usize| -> [f32; LANES] {
        let [first, second] = blocks.map(|block| &block.corners[index][axis]);
        core::array::from_fn(|lane| if lane < BLOCK { first[lane] } else { second[lane - BLOCK] })
    };
    let corner = |index: usize| [both(index, kx), both(index, ky), both(index, kz)];
    let (a, b, c) = (corner(0), corner(1), corner(2));
    let mut seen = Seen { distances: [0.0; LANES], second: [0.0; LANES], third: [0.0; LANES] };
    let mut hits = [0; LANES];
    for lane in 0..LANES {
        let (az, bz, cz) = (a[2][lane] - o[2], b[2][lane] - o[2], c[2][lane] - o[2]);
        let (ax, ay) = ((a[0][lane] - o[0]) - sx * az, (a[1][lane] - o[1]) - sy * az);
        let (bx, by) = ((b[0][lane] - o[0]) - sx * bz, (b[1][lane] - o[1]) - sy * bz);
        let (cx, cy) = ((c[0][lane] - o[0]) - sx * cz, (c[1][lane] - o[1]) - sy * cz);
        let u = cx * by - cy * bx;
        let v = ax * cy - ay * cx;
        let w = bx * ay - by * ax;
        let least = min(min(u, v), w);
        let most = max(max(u, v), w);
        let sum = (u + v) + w;
        let inverse = 1.0 / sum;
        let distance = ((u * (sz * az) + v * (sz * bz)) + w * (sz * cz)) * inverse;
        seen.distances[lane] = distance;
        seen.second[lane] = v * inverse;
        seen.third[lane] = w * inverse;
        // Bitwise, so that the lanes stay side by side.
        hits[lane] = u8::from(((least >= 0.0) | (most <= 0.0)) & (sum != 0.0) & (distance > 0.0) & (distance < limit));
    }
    (bits(hits), seen)
}

impl Seen {
    /// What was met in a lane of one of the two blocks.
    #[inline(always)]
    pub(crate) fn meeting(&self, block: &Block, which: usize, lane: usize) -> Meeting {
        let lane = lane & (BLOCK - 1);
        let at = which * BLOCK + lane;
        Meeting {
            distance: self.distances[at],
            triangle: block.triangles[lane],
            shares: [self.second[at], self.third[at]],
        }
    }
}

/// The lowest bits of eight bytes side by side, the first one lowest.
#[inline(always)]
fn bits(bytes: [u8; 8]) -> u32 {
    let bits = u64::from_le_bytes(bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    bits as u32
}
