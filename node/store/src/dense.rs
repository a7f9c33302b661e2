//! The tree above the buckets: 20 levels in memory, of which an empty world has none (TREE-4, TREE-5).

use cpc_primitives::limits::{BUCKET_BITS, BUCKETS};
use cpc_primitives::tree::empty_roots;
use cpc_primitives::{Digest, Domain};
use rayon::prelude::*;

use crate::lanes::{Pair, hash_pairs, pair};

/// Nodes that are allocated together.
const CHUNK: usize = 1024;
/// Below this many changed buckets the work is not worth dividing.
const DIVIDE_FROM: usize = 2048;

/// Changed nodes of every level, the buckets first; each level in the order of its places.
pub(crate) type Levels = Vec<Vec<(u32, Digest)>>;

type Chunk = Box<[Digest; CHUNK]>;

/// All nodes, from the buckets (level 0) to the root (level 20).
pub(crate) struct Dense {
    levels: Vec<Vec<Option<Chunk>>>,
    empty: [Digest; 21],
}

impl Dense {
    /// The tree over empty buckets.
    pub(crate) fn new() -> Self {
        let chunks = |level: u32| usize::try_from(BUCKETS >> level).expect("2^20 fits").div_ceil(CHUNK);
        let levels = (0..=BUCKET_BITS).map(|level| (0..chunks(level)).map(|_| None).collect()).collect();
        Self { levels, empty: empty_roots() }
    }

    /// The tree over these bucket roots, which come in the order of their buckets.
    pub(crate) fn over(roots: Vec<(u32, Digest)>) -> Self {
        let mut dense = Self::new();
        let levels = raise(&[], roots, || Some(EmptyTree(empty_roots()))).expect("nothing moves under an empty tree");
        dense.apply(&levels);
        dense
    }

    /// A node; what was never set is the root over empty buckets.
    pub(crate) fn get(&self, level: usize, place: u32) -> Digest {
        let place = usize::try_from(place).expect("32 bits fit");
        match &self.levels[level][place / CHUNK] {
            Some(chunk) => chunk[place % CHUNK],
            None => self.empty[level],
        }
    }

    /// The root over all buckets.
    pub(crate) fn root(&self) -> Digest {
        self.get(self.levels.len() - 1, 0)
    }

    /// Sets changed nodes.
    pub(crate) fn apply(&mut self, levels: &Levels) {
        for (level, changed) in levels.iter().enumerate() {
            let empty = self.empty[level];
            for (place, digest) in changed {
                let place = usize::try_from(*place).expect("32 bits fit");
                let chunk = self.levels[level][place / CHUNK].get_or_insert_with(|| Box::new([empty; CHUNK]));
                chunk[place % CHUNK] = *digest;
            }
        }
    }

    /// Memory of the nodes.
    pub(crate) fn bytes(&self) -> u64 {
        let chunks = self.levels.iter().flatten().flatten().count();
        u64::try_from(chunks * CHUNK * size_of::<Digest>()).expect("at most 64 MiB")
    }
}

/// The nodes below a change: what stands beside the way up.
pub(crate) trait Beside {
    /// A node that does not change.
    fn node(&self, level: usize, place: u32) -> Digest;
}

impl<B: Beside + ?Sized> Beside for &B {
    fn node(&self, level: usize, place: u32) -> Digest {
        (**self).node(level, place)
    }
}

struct EmptyTree([Digest; 21]);

impl Beside for EmptyTree {
    fn node(&self, level: usize, _: u32) -> Digest {
        self.0[level]
    }
}

/// Computes every node above changed buckets.
///
/// `layers` are changes over the tree that are not yet in it, the newest last. `open` gives access to the tree for as
/// long as one piece of the work runs, or `None` where the tree has moved on. It is opened once a piece and never
/// across a join: a thread that waits in a join may be handed other work, and would wait for its own lock.
pub(crate) fn raise<B: Beside>(
    layers: &[&Levels],
    buckets: Vec<(u32, Digest)>,
    open: impl Fn() -> Option<B> + Sync,
) -> Option<Levels> {
    let divide = if buckets.len() < DIVIDE_FROM { 0 } else { rayon::current_num_threads().ilog2().clamp(1, 6) };
    let shared = usize::try_from(BUCKET_BITS - divide).expect("a small number");
    let mut rest = buckets.as_slice();
    let mut pieces = Vec::new();
    for piece in 1..=1u32 << divide {
        let end = rest.partition_point(|(bucket, _)| *bucket >> (BUCKET_BITS - divide) < piece);
        let (own, after) = rest.split_at(end);
        pieces.push(own);
        rest = after;
    }
    let climb_piece = |own: &&[(u32, Digest)]| open().map(|beside| climb(layers, &beside, 0, own.to_vec(), shared));
    let climbed: Vec<Option<Levels>> = match pieces.as_slice() {
        [all] => vec![climb_piece(all)],
        several => several.par_iter().map(climb_piece).collect(),
    };
    let mut levels: Levels = vec![Vec::new(); shared + 1];
    for piece in climbed {
        for (level, nodes) in levels.iter_mut().zip(piece?) {
            level.extend(nodes);
        }
    }
    let top = levels.pop().expect("there is at least the level of the buckets");
    let beside = open()?;
    levels.extend(climb(layers, &beside, shared, top, 20));
    Some(levels)
}

/// The nodes of level `to` over nodes of level `from`, where everything else is empty.
pub(crate) fn climb_alone(from: usize, nodes: Vec<(u32, Digest)>, to: usize) -> Vec<(u32, Digest)> {
    climb(&[], &EmptyTree(empty_roots()), from, nodes, to).pop().expect("there is at least the level of the nodes")
}

/// The levels from `from` to `to` above changed nodes of level `from`.
fn climb(layers: &[&Levels], beside: &impl Beside, from: usize, nodes: Vec<(u32, Digest)>, to: usize) -> Levels {
    let mut levels = vec![nodes];
    let (mut pairs, mut places, mut digests): (Vec<Pair>, Vec<u32>, Vec<Digest>) = Default::default();
    for level in from..to {
        let below = levels.last().expect("the level that was just made");
        let mut old = OldNodes::new(layers, beside, level, below.first().map_or(0, |(place, _)| *place & !1));
        pairs.clear();
        places.clear();
        digests.clear();
        for siblings in below.chunk_by(|(a, _), (b, _)| a >> 1 == b >> 1) {
            let (place, node) = siblings[0];
            pairs.push(match siblings {
                [(_, left), (_, right)] => pair(left, right),
                _ if place & 1 == 0 => pair(&node, &old.node(place | 1)),
                _ => pair(&old.node(place & !1), &node),
            });
            places.push(place >> 1);
        }
        hash_pairs(Domain::StateDenseNode, &pairs, &mut digests);
        levels.push(places.iter().copied().zip(digests.iter().copied()).collect());
    }
    levels
}

/// Unchanged nodes of one level, asked for in rising order: each layer is walked once.
struct OldNodes<'a, B> {
    /// What is left of each layer, the newest first.
    layers: Vec<&'a [(u32, Digest)]>,
    beside: &'a B,
    level: usize,
}

impl<'a, B: Beside> OldNodes<'a, B> {
    fn new(layers: &[&'a Levels], beside: &'a B, level: usize, first: u32) -> Self {
        let left = |layer: &&'a Levels| {
            let nodes: &'a [(u32, Digest)] = layer.get(level).map_or(&[], Vec::as_slice);
            &nodes[nodes.partition_point(|(place, _)| *place < first)..]
        };
        Self { layers: layers.iter().rev().map(left).collect(), beside, level }
    }

    fn node(&mut self, place: u32) -> Digest {
        for layer in &mut self.layers {
            while let Some((at, digest)) = layer.first() {
                if *at > place {
                    break;
                }
                if *at == place {
                    return *digest;
                }
                *layer = &layer[1..];
            }
        }
        self.beside.node(self.level, place)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cpc_primitives::tree::dense_node;

    use super::*;

    impl Beside for Dense {
        fn node(&self, level: usize, place: u32) -> Digest {
            self.get(level, place)
        }
    }

    fn digest(n: u32) -> Digest {
        Domain::StateLeaf.hash_bytes(&n.to_le_bytes())
    }

    fn naive(buckets: &BTreeMap<u32, Digest>) -> Digest {
        let mut level = buckets.clone();
        for below in &empty_roots()[..20] {
            let child = |place: u32| level.get(&place).copied().unwrap_or(*below);
            let places: Vec<u32> = level.keys().map(|place| place >> 1).collect();
            level = places.iter().map(|p| (*p, dense_node(&child(2 * p), &child(2 * p + 1)))).collect();
        }
        level.get(&0).copied().unwrap_or(empty_roots()[20])
    }

    #[test]
    fn layers_over_layers_give_the_root_of_their_sum() {
        let mut sum = BTreeMap::new();
        let mut base = Dense::new();
        assert_eq!((base.root(), base.bytes()), (naive(&sum), 0));

        // Few and many changes, so that both the divided and the undivided way run; the first round is the base.
        let mut layers: Vec<Levels> = Vec::new();
        for (round, count) in [3000u32, 5, 4000, 1, 2500].into_iter().enumerate() {
            let changed: BTreeMap<u32, Digest> = (0..count)
                .map(|n| (u32::from_le_bytes(*digest(n ^ count).0.first_chunk().expect("32")) >> 12, digest(n * count)))
                .collect();
            sum.extend(changed.clone());
            let refs: Vec<&Levels> = layers.iter().collect();
            let levels = raise(&refs, changed.into_iter().collect(), || Some(&base)).expect("nothing moves");
            assert_eq!(levels.len(), 21);
            assert_eq!(levels[20], [(0, naive(&sum))], "round {round}");
            if round == 0 { base.apply(&levels) } else { layers.push(levels) }
        }
        for layer in &layers {
            base.apply(layer);
        }
        assert_eq!(base.root(), naive(&sum));
        assert_eq!(Dense::over(sum.into_iter().collect()).root(), base.root());
    }

    #[test]
    fn a_tree_that_moves_gives_no_root() {
        assert!(raise(&[], vec![(1, digest(1))], || None::<&Dense>).is_none());
    }
}
