//! Pictures of glTF scenes by a path tracer whose every bit is defined.

#![allow(clippy::float_arithmetic, reason = "NUM-1: a picture is made of floats")]

pub mod limits;

mod animation;
mod check;
mod kernel;
mod load;
mod moment;
pub mod picture;
mod render;
pub mod samples;
mod scene;
mod spec;
mod stage;
mod tone;
mod trace;

#[cfg(test)]
mod tests;

pub use check::SPOT_PIXELS;
pub use kernel::{Rendering, RenderingTask, VERSION};
pub use load::{AccessorReject, AnimationReject, ImageReject, MeshReject, SceneReject};
pub use render::PIXEL_BYTES;
pub use scene::{Counts, Scene};
pub use spec::{BOUNCES_DEFAULT, RenderingSpec, SAMPLES_DEFAULT, STEPS_DEFAULT};
pub use stage::Stage;
