//! Trees of boxes with eight children: one builder, whose every decision is exact, for triangles and for instances.

use rayon::prelude::*;

use super::vector::Vec3;
use crate::numerics::float::{from_u32, max, min, to_u32};

/// Children of a node.
pub(crate) const WIDTH: usize = 8;
/// Items that one block of a leaf holds.
pub(crate) const BLOCK: usize = 4;
/// Marks a reference to a leaf.
const LEAF: u32 = 1 << 31;
/// Blocks of a leaf at most; their number less one is the low bits of the reference.
const LEAF_BLOCKS_MAX: usize = 4;
/// Intervals in which splits are sought along an axis.
const BINS: usize = 16;
/// From this depth on, items are halved by their order, so that no scene makes a deep tree.
const SOUGHT_DEPTH_MAX: u32 = 48;
/// Ranges longer than this are split by two threads.
const PARALLEL_MIN: usize = 4_096;

/// A box along the axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Aabb {
    pub(crate) low: Vec3,
    pub(crate) high: Vec3,
}

/// Eight boxes side by side: for each axis the low sides, then the high ones.
#[derive(Clone, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Node {
    pub(crate) sides: [[f32; WIDTH]; 6],
    pub(crate) children: [u32; WIDTH],
}

/// A tree over items, which stand in `order`: a leaf is a run of it, in blocks of four.
#[derive(Debug, PartialEq)]
pub(crate) struct Bvh {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: u32,
    /// Items in the order of the leaves; [`Bvh::NOBODY`] fills the last block of a leaf.
    pub(crate) order: Vec<u32>,
    pub(crate) bounds: Aabb,
}

/// What a reference leads to.
pub(crate) enum Child {
    Node(usize),
    /// The first block, and how many.
    Leaf(usize, usize),
}

impl Aabb {
    pub(crate) const EMPTY: Self = Self { low: Vec3::splat(f32::INFINITY), high: Vec3::splat(f32::NEG_INFINITY) };

    pub(crate) fn with(self, point: Vec3) -> Self {
        Self { low: self.low.smaller_of(point), high: self.high.larger_of(point) }
    }

    pub(crate) fn joined(self, other: &Self) -> Self {
        Self { low: self.low.smaller_of(other.low), high: self.high.larger_of(other.high) }
    }

    /// Half of the surface; an empty box has none.
    fn half_area(&self) -> f32 {
        let size = self.high - self.low;
        if size.x >= 0.0 { (size.x * size.y + size.y * size.z) + size.z * size.x } else { 0.0 }
    }
}

/// An item while the tree is built.
#[derive(Clone, Copy)]
struct Item {
    bounds: Aabb,
    index: u32,
}

impl Item {
    /// Twice the centre: where the item lies, without a division.
    fn place(&self) -> Vec3 {
        self.bounds.low + self.bounds.high
    }
}

/// A binary tree before it is made wide.
enum Branch {
    Leaf { items: Vec<u32> },
    Fork { children: Box<[(Aabb, Branch); 2]> },
}

impl Bvh {
    /// Where a block has no item.
    pub(crate) const NOBODY: u32 = u32::MAX;

    // REN-12: the tree is a function of the boxes in their order; threads change nothing.
    /// The tree over boxes, in leaves of at most `leaf_max` items.
    pub(crate) fn of(boxes: &[Aabb]) -> Self {
        let indices = 0..u32::try_from(boxes.len()).expect("the items are bounded");
        let mut items: Vec<Item> =
            boxes.iter().zip(indices).map(|(bounds, index)| Item { bounds: *bounds, index }).collect();
        let bounds = joined(&items);
        let branch = branch(&mut items, bounds, 0);
        let mut bvh = Self { nodes: Vec::new(), root: 0, order: Vec::new(), bounds };
        bvh.root = bvh.take(branch);
        bvh
    }

    /// What a reference leads to.
    #[inline(always)]
    pub(crate) fn child(reference: u32) -> Child {
        if reference & LEAF == 0 {
            Child::Node(at(reference))
        } else {
            Child::Leaf(at((reference & !LEAF) >> 2), at(reference & 3) + 1)
        }
    }

    /// Lays a branch out, depth first, and returns the reference to it.
    fn take(&mut self, branch: Branch) -> u32 {
        match branch {
            Branch::Leaf { items } => {
                let first = self.order.len() / BLOCK;
                let blocks = items.len().div_ceil(BLOCK).max(1);
                self.order.extend(&items);
                self.order.resize((first + blocks) * BLOCK, Self::NOBODY);
                LEAF | (small(first) << 2) | (small(blocks) - 1)
            }
            Branch::Fork { children } => {
                let index = self.nodes.len();
                self.nodes.push(Node::EMPTY);
                let children = widened(*children);
                for (slot, (bounds, branch)) in children.into_iter().enumerate() {
                    let reference = self.take(branch);
                    self.nodes[index].set(slot, &bounds, reference);
                }
                small(index)
            }
        }
    }
}

/// Opens the child of the largest surface until there are eight or only leaves.
fn widened(children: [(Aabb, Branch); 2]) -> Vec<(Aabb, Branch)> {
    let mut open: Vec<(Aabb, Branch)> = Vec::from(children);
    while open.len() < WIDTH {
        let mut widest: Option<(usize, f32)> = None;
        for (slot, (bounds, branch)) in open.iter().enumerate() {
            let area = bounds.half_area();
            // Of equal surfaces the first is opened.
            if matches!(branch, Branch::Fork { .. }) && widest.is_none_or(|(_, most)| area > most) {
                widest = Some((slot, area));
            }
        }
        let Some((slot, _)) = widest else { break };
        if let (_, Branch::Fork { children }) = open.remove(slot) {
            let [first, second] = *children;
            open.insert(slot, second);
            open.insert(slot, first);
        }
    }
    open
}

impl Node {
    /// No ray enters a box whose low side lies above its high side.
    const EMPTY: Self = Self {
        sides: [
            [f32::INFINITY; WIDTH],
            [f32::NEG_INFINITY; WIDTH],
            [f32::INFINITY; WIDTH],
            [f32::NEG_INFINITY; WIDTH],
            [f32::INFINITY; WIDTH],
            [f32::NEG_INFINITY; WIDTH],
        ],
        children: [LEAF; WIDTH],
    };

    fn set(&mut self, slot: usize, bounds: &Aabb, reference: u32) {
        let (low, high) = (bounds.low.to_array(), bounds.high.to_array());
        for axis in 0..3 {
            self.sides[2 * axis][slot] = low[axis];
            self.sides[2 * axis + 1][slot] = high[axis];
        }
        self.children[slot] = reference;
    }
}

fn joined(items: &[Item]) -> Aabb {
    items.iter().fold(Aabb::EMPTY, |bounds, item| bounds.joined(&item.bounds))
}

fn branch(items: &mut [Item], bounds: Aabb, depth: u32) -> Branch {
    if items.len() <= BLOCK {
        return leaf(items);
    }
    let split = if depth < SOUGHT_DEPTH_MAX { best_split(items, bounds) } else { Some(Split::HALVES) };
    let Some(split) = split else { return leaf(items) };
    let middle = split.apply(items);
    let (left, right) = items.split_at_mut(middle);
    let bounds = (joined(left), joined(right));
    let (left, right) = if left.len().min(right.len()) >= PARALLEL_MIN {
        rayon::join(|| branch(left, bounds.0, depth + 1), || branch(right, bounds.1, depth + 1))
    } else {
        (branch(left, bounds.0, depth + 1), branch(right, bounds.1, depth + 1))
    };
    Branch::Fork { children: Box::new([(bounds.0, left), (bounds.1, right)]) }
}

fn leaf(items: &[Item]) -> Branch {
    Branch::Leaf { items: items.iter().map(|item| item.index).collect() }
}

/// Where a range is split.
#[derive(Clone, Copy)]
enum Split {
    /// Into two halves of the order as it is.
    Halves,
    /// Before the bin, along the axis.
    Bin { axis: usize, bin: u32, low: f32, factor: f32 },
}

impl Split {
    const HALVES: Self = Self::Halves;

    /// Moves the left items before the right ones, both in their order, and returns how many are left.
    fn apply(self, items: &mut [Item]) -> usize {
        match self {
            Self::Halves => items.len() / 2,
            Self::Bin { axis, bin, low, factor } => {
                let is_left = |item: &Item| bin_of(item.place().to_array()[axis], low, factor) < bin;
                let right: Vec<Item> = items.iter().filter(|item| !is_left(item)).copied().collect();
                let mut left = 0;
                for index in 0..items.len() {
                    if is_left(&items[index]) {
                        items[left] = items[index];
                        left += 1;
                    }
                }
                items[left..].copy_from_slice(&right);
                left
            }
        }
    }
}

/// The bin of a place; the last one takes the upper end.
#[inline(always)]
fn bin_of(place: f32, low: f32, factor: f32) -> u32 {
    to_u32((place - low) * factor).min(small(BINS) - 1)
}

/// Boxes and numbers of items, by bins of the three axes.
#[derive(Clone)]
struct Bins {
    bounds: [[Aabb; BINS]; 3],
    counts: [[u32; BINS]; 3],
}

impl Bins {
    fn of(items: &[Item], low: Vec3, factor: Vec3) -> Self {
        let mut bins = Self { bounds: [[Aabb::EMPTY; BINS]; 3], counts: [[0; BINS]; 3] };
        let (low, factor) = (low.to_array(), factor.to_array());
        for item in items {
            let place = item.place().to_array();
            for axis in 0..3 {
                let bin = at(bin_of(place[axis], low[axis], factor[axis]));
                bins.bounds[axis][bin] = bins.bounds[axis][bin].joined(&item.bounds);
                bins.counts[axis][bin] += 1;
            }
        }
        bins
    }

    /// Neither a least nor a greatest value nor a count depends on the order in which parts are joined.
    fn plus(mut self, other: &Self) -> Self {
        for axis in 0..3 {
            for bin in 0..BINS {
                self.bounds[axis][bin] = self.bounds[axis][bin].joined(&other.bounds[axis][bin]);
                self.counts[axis][bin] += other.counts[axis][bin];
            }
        }
        self
    }
}

/// The split of the least expected cost, or nothing where a leaf costs less.
fn best_split(items: &[Item], bounds: Aabb) -> Option<Split> {
    let places = items.iter().fold(Aabb::EMPTY, |places, item| places.with(item.place()));
    let size = places.high - places.low;
    // An axis without extent puts every item into the first bin, and no split is found along it.
    let factor = |size: f32| if size > 0.0 { from_u32(small(BINS)) / size } else { 0.0 };
    let factors = Vec3::new(factor(size.x), factor(size.y), factor(size.z));
    let finite = factors.within(f32::MAX);
    let bins = if items.len() > 16 * PARALLEL_MIN {
        let parts: Vec<Bins> = items.par_chunks(PARALLEL_MIN).map(|part| Bins::of(part, places.low, factors)).collect();
        parts.iter().skip(1).fold(parts[0].clone(), Bins::plus)
    } else {
        Bins::of(items, places.low, factors)
    };
    let mut best: Option<(f32, Split)> = None;
    for axis in 0..3 {
        for (bin, cost) in costs(&bins.bounds[axis], &bins.counts[axis]) {
            // Of equal costs the first axis and the lowest bin win.
            if finite && best.is_none_or(|(least, _)| cost < least) {
                let (low, factor) = (places.low.to_array()[axis], factors.to_array()[axis]);
                best = Some((cost, Split::Bin { axis, bin, low, factor }));
            }
        }
    }
    let fits = items.len() <= BLOCK * LEAF_BLOCKS_MAX;
    // A leaf costs its blocks; a fork costs one step more than its two sides.
    let leaf_cost = blocks(small(items.len())) * bounds.half_area();
    match best {
        Some((cost, split)) if !fits || cost + bounds.half_area() < leaf_cost => Some(split),
        _ if fits => None,
        _ => Some(Split::HALVES),
    }
}

/// The cost of a split before each bin that leaves both sides something.
fn costs(bounds: &[Aabb; BINS], counts: &[u32; BINS]) -> impl Iterator<Item = (u32, f32)> {
    let mut above = [(Aabb::EMPTY, 0); BINS];
    let mut right = (Aabb::EMPTY, 0);
    for bin in (0..BINS).rev() {
        right = (right.0.joined(&bounds[bin]), right.1 + counts[bin]);
        above[bin] = right;
    }
    let mut left = (Aabb::EMPTY, 0);
    (1..BINS).filter_map(move |bin| {
        left = (left.0.joined(&bounds[bin - 1]), left.1 + counts[bin - 1]);
        let right = above[bin];
        let cost = blocks(left.1) * left.0.half_area() + blocks(right.1) * right.0.half_area();
        (left.1 > 0 && right.1 > 0).then_some((small(bin), cost))
    })
}

fn blocks(items: u32) -> f32 {
    from_u32(items.div_ceil(small(BLOCK)))
}

/// An index of the tree; its numbers are bounded far below 2^31.
fn small(index: usize) -> u32 {
    u32::try_from(index).expect("the tree is bounded")
}

/// A number of the tree as an index.
#[inline(always)]
#[allow(clippy::as_conversions, reason = "no machine that runs this addresses fewer than 32 bits")]
pub(crate) fn at(index: u32) -> usize {
    index as usize
}

/// A box that surely holds what was computed with a few roundings.
pub(crate) fn grown(bounds: &Aabb) -> Aabb {
    let most = |a: f32, b: f32| max(a.abs(), b.abs());
    let grow = |low: f32, high: f32| most(low, high) * f32::from_bits(0x3580_0000);
    let x = grow(bounds.low.x, bounds.high.x);
    let y = grow(bounds.low.y, bounds.high.y);
    let z = grow(bounds.low.z, bounds.high.z);
    let by = Vec3::splat(max(max(x, y), max(z, min(1.0, f32::MIN_POSITIVE))));
    Aabb { low: bounds.low - by, high: bounds.high + by }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::Philox;

    fn cloud(count: u32) -> Vec<Aabb> {
        let random = Philox::new([7, 11]);
        (0..count)
            .map(|index| {
                let [x, y, z, size] = random.units_at([index, 0, 0, 0]);
                let low = Vec3::new(x, y, z);
                Aabb { low, high: low + Vec3::splat(size * 0.05) }
            })
            .collect()
    }

    fn depth(bvh: &Bvh, reference: u32) -> usize {
        match Bvh::child(reference) {
            Child::Leaf(..) => 0,
            Child::Node(index) => {
                1 + bvh.nodes[index].children.iter().map(|child| depth(bvh, *child)).max().unwrap_or(0)
            }
        }
    }

    fn threads<R: Send>(count: usize, work: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap().install(work)
    }

    #[test]
    fn every_item_stands_in_one_leaf_within_its_boxes() {
        for count in [1, 3, 4, 5, 100, 5_000] {
            let boxes = cloud(count);
            let bvh = Bvh::of(&boxes);
            let mut items: Vec<u32> = bvh.order.iter().copied().filter(|item| *item != Bvh::NOBODY).collect();
            items.sort_unstable();
            assert_eq!(items, (0..count).collect::<Vec<_>>());
            assert_eq!(bvh.order.len() % BLOCK, 0);
            for node in &bvh.nodes {
                for slot in 0..WIDTH {
                    let Child::Leaf(first, blocks) = Bvh::child(node.children[slot]) else { continue };
                    if node.sides[0][slot] > node.sides[1][slot] {
                        continue;
                    }
                    for item in &bvh.order[first * BLOCK..(first + blocks) * BLOCK] {
                        if *item != Bvh::NOBODY {
                            assert!(boxes[at(*item)].low.x >= node.sides[0][slot]);
                            assert!(boxes[at(*item)].high.z <= node.sides[5][slot]);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn threads_do_not_change_the_tree() {
        let boxes = cloud(150_000);
        assert_eq!(threads(1, || Bvh::of(&boxes)), threads(2, || Bvh::of(&boxes)));
    }

    #[test]
    fn a_million_coincident_items_make_a_shallow_tree() {
        let boxes = vec![Aabb { low: Vec3::ZERO, high: Vec3::ONE }; 1_000_000];
        let bvh = Bvh::of(&boxes);
        assert!(depth(&bvh, bvh.root) <= 20, "{}", depth(&bvh, bvh.root));
    }

    #[test]
    fn a_tree_that_every_split_makes_lopsided_is_bounded() {
        // Each item is half as far away as the one before: every split along the axis cuts off a few.
        let boxes: Vec<Aabb> = (0..100_000)
            .map(|index| {
                let place = Vec3::splat(f32::from_bits(0x0080_0000 + index * 9_000));
                Aabb { low: place, high: place }
            })
            .collect();
        let bvh = Bvh::of(&boxes);
        assert!(depth(&bvh, bvh.root) <= 64, "{}", depth(&bvh, bvh.root));
    }
}
