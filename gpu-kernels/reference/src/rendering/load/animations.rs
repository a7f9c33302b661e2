//! Reads the first animation of a scene: key frames of translations, rotations and scales.

use gltf_json::accessor::Type;
use gltf_json::animation::{Animation, Interpolation as FileInterpolation, Property as FileProperty, Sampler};
use gltf_json::validation::Checked;

use super::accessor::{Source, Wanted};
use super::container::{bounded, to_u64};
use super::nodes::Graph;
use super::reject::{AnimationReject, SceneReject};
use crate::rendering::limits;
use crate::rendering::scene::{Channel, Interpolation, Local, Property};

/// Bounds the key frames of the animation that is read.
pub(super) fn count(source: Source<'_>) -> Result<(), SceneReject> {
    let mut keys = 0_u64;
    for animation in source.root.animations.iter().take(1) {
        for channel in &animation.channels {
            let sampler = sampler(source, animation, channel.sampler.value())?;
            keys = keys.saturating_add(source.elements(sampler.input, Type::Scalar, Wanted::Floats)?.count());
            bounded("key frames", keys, limits::KEYFRAMES_MAX)?;
        }
    }
    Ok(())
}

// REN-16: the first animation is played, and the last channel of a property counts.
/// Reads the channels of nodes that the scene reaches.
pub(super) fn read(source: Source<'_>, graph: &Graph) -> Result<Vec<Channel>, SceneReject> {
    let mut channels = Vec::new();
    for animation in source.root.animations.iter().take(1) {
        for (index, channel) in animation.channels.iter().enumerate() {
            let target = channel.target.node.value();
            source.get(&source.root.nodes, "node", target)?;
            let Some(node) = graph.places.get(&target) else { continue };
            let place = graph.nodes.get(usize::try_from(*node).expect("an index in memory"));
            if matches!(place.map(|place| place.local), Some(Local::Matrix(_))) {
                return Err(refused(AnimationReject::Matrix { channel: to_u64(index) }));
            }
            let property = match channel.target.path {
                Checked::Valid(FileProperty::Translation) => Property::Translation,
                Checked::Valid(FileProperty::Rotation) => Property::Rotation,
                Checked::Valid(FileProperty::Scale) => Property::Scale,
                _ => return Err(SceneReject::Unsupported("an animation of morph targets".to_owned())),
            };
            channels.push(curve(source, animation, channel.sampler.value(), *node, property)?);
        }
    }
    Ok(channels)
}

fn refused(why: AnimationReject) -> SceneReject {
    SceneReject::Animation { animation: 0, why }
}

fn sampler<'a>(source: Source<'a>, animation: &'a Animation, index: usize) -> Result<&'a Sampler, SceneReject> {
    source.get(&animation.samplers, "animation sampler", index)
}

fn curve(
    source: Source<'_>,
    animation: &Animation,
    index: usize,
    node: u32,
    property: Property,
) -> Result<Channel, SceneReject> {
    let sampler = sampler(source, animation, index)?;
    let number = to_u64(index);
    let interpolation = match sampler.interpolation {
        Checked::Valid(FileInterpolation::Linear) => Interpolation::Linear,
        Checked::Valid(FileInterpolation::Step) => Interpolation::Step,
        Checked::Valid(FileInterpolation::CubicSpline) => Interpolation::Cubic,
        Checked::Invalid => return Err(refused(AnimationReject::Interpolation { sampler: number })),
    };
    let input = source.elements(sampler.input, Type::Scalar, Wanted::Floats)?;
    let shape = if property == Property::Rotation { Type::Vec4 } else { Type::Vec3 };
    let output = source.elements(sampler.output, shape, Wanted::Floats)?;
    let each = if interpolation == Interpolation::Cubic { 3 } else { 1 };
    let (expected, found) = (input.count().saturating_mul(each), output.count());
    if expected != found {
        return Err(refused(AnimationReject::Unequal { sampler: number, expected, found }));
    }
    let times: Vec<f32> = input.floats::<1>(limits::COORDINATE_MAX)?.into_iter().map(|[time]| time).collect();
    if !times.is_sorted_by(|earlier, later| earlier < later) {
        return Err(refused(AnimationReject::Times { sampler: number }));
    }
    let values = match property {
        Property::Rotation => output.floats::<4>(limits::COORDINATE_MAX)?,
        _ => output.floats::<3>(limits::COORDINATE_MAX)?.into_iter().map(|[x, y, z]| [x, y, z, 0.0]).collect(),
    };
    Ok(Channel { node, property, interpolation, times, values })
}
