//! Where every node stands at a frame.

#![allow(clippy::arithmetic_side_effects, reason = "overflow checks stay on; what is counted here is bounded")]

use super::scene::{Channel, Interpolation, Local, Property, Scene};
use super::trace::bvh::at;
use super::trace::transform::{Affine, Placement, along_the_arc};
use super::trace::vector::Vec3;
use crate::numerics::float::from_u32;

/// Frames of a second.
const FRAMES_PER_SECOND: u32 = 24;

/// The placement of every node in the world: at a frame, or as the file has them.
pub(crate) fn world(scene: &Scene, frame: Option<u32>) -> Vec<Affine> {
    let mut locals: Vec<Local> = scene.nodes.iter().map(|node| node.local).collect();
    if let Some(frame) = frame {
        let time = from_u32(frame) / from_u32(FRAMES_PER_SECOND);
        for channel in &scene.channels {
            if let Local::Parts(placement) = &mut locals[at(channel.node)] {
                channel.apply(time, placement);
            }
        }
    }
    let mut world: Vec<Affine> = Vec::with_capacity(locals.len());
    for (node, local) in scene.nodes.iter().zip(&locals) {
        let local = match local {
            Local::Matrix(matrix) => *matrix,
            Local::Parts(placement) => placement.affine(),
        };
        // A parent stands before its children.
        world.push(node.parent.map_or(local, |parent| world[at(parent)].after(&local)));
    }
    world
}

impl Channel {
    fn apply(&self, time: f32, placement: &mut Placement) {
        let value = self.at(time);
        let vector = Vec3::new(value[0], value[1], value[2]);
        match self.property {
            Property::Translation => placement.translation = vector,
            Property::Scale => placement.scale = vector,
            Property::Rotation => placement.rotation = value,
        }
    }

    /// The value at a time; before the first key and after the last one it is theirs.
    fn at(&self, time: f32) -> [f32; 4] {
        let next = self.times.partition_point(|key| *key <= time);
        let last = self.times.len() - 1;
        if next == 0 || next > last {
            return self.key(next.min(last));
        }
        let (from, to) = (self.times[next - 1], self.times[next]);
        let (span, share) = (to - from, (time - from) / (to - from));
        match (self.interpolation, self.property) {
            (Interpolation::Step, _) => self.key(next - 1),
            (Interpolation::Linear, Property::Rotation) => along_the_arc(self.key(next - 1), self.key(next), share),
            (Interpolation::Linear, _) => blend(self.key(next - 1), 1.0 - share, self.key(next), share),
            (Interpolation::Cubic, _) => {
                let (leaving, arriving) = (self.values[3 * next - 1], self.values[3 * next]);
                let (square, cube) = (share * share, share * share * share);
                let ends = blend(
                    self.key(next - 1),
                    2.0 * cube - 3.0 * square + 1.0,
                    self.key(next),
                    3.0 * square - 2.0 * cube,
                );
                let slopes = blend(leaving, span * (cube - 2.0 * square + share), arriving, span * (cube - square));
                blend(ends, 1.0, slopes, 1.0)
            }
        }
    }

    fn key(&self, index: usize) -> [f32; 4] {
        // A cubic curve has for each key a tangent, the value, and another tangent.
        if self.interpolation == Interpolation::Cubic { self.values[3 * index + 1] } else { self.values[index] }
    }
}

fn blend(a: [f32; 4], of_a: f32, b: [f32; 4], of_b: f32) -> [f32; 4] {
    core::array::from_fn(|index| a[index] * of_a + b[index] * of_b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(interpolation: Interpolation, values: &[f32]) -> Channel {
        let values = values.iter().map(|x| [*x, 0.0, 0.0, 0.0]).collect();
        Channel { node: 0, property: Property::Translation, interpolation, times: vec![1.0, 2.0, 4.0], values }
    }

    #[track_caller]
    fn check(channel: &Channel, expected: &[(f32, f32)]) {
        for (time, x) in expected {
            assert_eq!(channel.at(*time)[0], *x, "at {time}");
        }
    }

    #[test]
    fn a_line_goes_straight_between_its_keys() {
        let line = channel(Interpolation::Linear, &[0.0, 10.0, 20.0]);
        check(&line, &[(0.0, 0.0), (1.0, 0.0), (1.5, 5.0), (2.0, 10.0), (3.0, 15.0), (4.0, 20.0), (9.0, 20.0)]);
    }

    #[test]
    fn a_step_waits_for_the_next_key() {
        let step = channel(Interpolation::Step, &[0.0, 10.0, 20.0]);
        check(&step, &[(0.0, 0.0), (1.75, 0.0), (2.0, 10.0), (3.75, 10.0), (4.0, 20.0)]);
    }

    #[test]
    fn a_cubic_curve_has_slopes_at_its_keys() {
        // From 0 to 1 with the slopes 0, then from 1 to 1 with the slopes 0.
        let curve = channel(Interpolation::Cubic, &[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        check(&curve, &[(1.0, 0.0), (1.5, 0.5), (2.0, 1.0), (3.0, 1.0), (4.0, 1.0)]);
    }
}
