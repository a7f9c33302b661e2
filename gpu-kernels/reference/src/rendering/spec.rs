//! What a customer orders of the rendering kernel, what it costs, and into which jobs it splits.

use cpc_primitives::Domain;
use cpc_primitives::codec::{decode, encode};
use cpc_primitives::ids::Units;
use cpc_primitives::limits::SPEC_BYTES_MAX;
use cpc_primitives::result::{BlobRef, Geometry};
use wincode::{SchemaRead, SchemaWrite};

use super::limits;
use super::render::{PIXEL_BYTES, Settings};
use super::scene::Counts;
use super::trace::path::Reach;
use crate::frame::{BadSpec, Plan, Price, runs};
use crate::numerics::Philox;

/// Samples of a pixel where the customer does not say.
pub const SAMPLES_DEFAULT: u32 = 64;
/// Bounces of a path where the customer does not say.
pub const BOUNCES_DEFAULT: u32 = 8;
/// Steps of a path where the customer does not say: several times what the sample scenes take.
pub const STEPS_DEFAULT: u32 = 4_096;
/// What a step costs, in multiply-accumulate equivalents: eight boxes, or four triangles.
const STEP_UNITS: u128 = 64;
/// What a triangle costs to read and to build into the tree.
const TRIANGLE_UNITS: u128 = 4_096;
/// What a byte of an image costs to decode.
const IMAGE_BYTE_UNITS: u128 = 16;
/// What a node costs at every frame.
const NODE_UNITS: u128 = 1_024;
/// The most that a task may cost.
const UNITS_MAX: u64 = 1 << 60;

/// Frames of a scene (REN-40).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct RenderingSpec {
    /// Pixels of a row.
    pub width: u32,
    /// Rows of a frame.
    pub height: u32,
    /// Frames, from the first; 24 are a second.
    pub frames: u32,
    /// Paths of a pixel.
    pub samples: u32,
    /// Surfaces that a path leaves.
    pub bounces: u32,
    /// Steps that a path may take.
    pub steps: u32,
    /// Which of the scene's cameras.
    pub camera: u32,
    /// The scene's triangles.
    pub triangles: u32,
    /// The scene's nodes.
    pub nodes: u32,
    /// Bytes of the scene's images, decoded.
    pub image_bytes: u32,
}

impl RenderingSpec {
    /// The spec of one frame of a scene with what it says of itself, and the defaults.
    #[must_use]
    pub fn of(counts: Counts, [width, height]: [u32; 2]) -> Self {
        Self {
            width,
            height,
            frames: 1,
            samples: SAMPLES_DEFAULT,
            bounces: BOUNCES_DEFAULT,
            steps: STEPS_DEFAULT,
            camera: 0,
            triangles: counts.triangles,
            nodes: counts.nodes,
            image_bytes: counts.image_bytes,
        }
    }

    /// Reads a spec, and refuses one that is out of bounds with the bound.
    ///
    /// # Errors
    ///
    /// The bytes are no spec within the bounds.
    pub fn read(bytes: &[u8]) -> Result<Self, BadSpec> {
        let spec: Self = decode(bytes, SPEC_BYTES_MAX)?;
        spec.within_bounds()?;
        Ok(spec)
    }

    /// The canonical bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        encode(self)
    }

    // REN-40: every number of a spec has its bounds.
    fn within_bounds(&self) -> Result<(), BadSpec> {
        let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let bounds = [
            ("width", self.width, 1, limits::SIDE_MAX),
            ("height", self.height, 1, limits::SIDE_MAX),
            ("frames", self.frames, 1, limits::FRAMES_MAX),
            ("samples", self.samples, 1, limits::SAMPLES_MAX),
            ("bounces", self.bounces, 0, limits::BOUNCES_MAX),
            ("steps", self.steps, 1, limits::STEPS_MAX),
            ("camera", self.camera, 0, small(limits::NODES_MAX)),
            ("triangles", self.triangles, 1, small(limits::TRIANGLES_MAX)),
            ("nodes", self.nodes, 1, small(limits::NODES_MAX)),
            ("image_bytes", self.image_bytes, 0, small(limits::IMAGE_BYTES_MAX)),
        ];
        for (field, found, min, max) in bounds {
            if found < min || found > max {
                return Err(BadSpec::OutOfBounds { field, found: found.into(), min: min.into(), max: max.into() });
            }
        }
        if self.pixels() > limits::PIXELS_MAX {
            let (found, max) = (self.pixels(), limits::PIXELS_MAX);
            return Err(BadSpec::OutOfBounds { field: "width x height", found, min: 1, max });
        }
        let found = u64::try_from(self.units().0).unwrap_or(u64::MAX);
        if found > UNITS_MAX {
            return Err(BadSpec::OutOfBounds { field: "units", found, min: 1, max: UNITS_MAX });
        }
        Ok(())
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { triangles: self.triangles, nodes: self.nodes, image_bytes: self.image_bytes }
    }

    fn pixels(&self) -> u64 {
        u64::from(self.width).saturating_mul(self.height.into())
    }

    // REN-41: the units are those of the worst scene with these counts, so a scene cannot cost more than it pays.
    /// What the spec costs.
    #[must_use]
    pub fn units(&self) -> Units {
        let pixels = u128::from(self.pixels()).saturating_mul(self.frames.into());
        let nodes = u128::from(self.nodes).saturating_mul(self.frames.into()).saturating_mul(NODE_UNITS);
        let units = pixels.saturating_mul(self.pixel_units());
        Units(units.saturating_add(nodes).saturating_add(self.scene_units()))
    }

    fn pixel_units(&self) -> u128 {
        u128::from(self.samples).saturating_mul(self.steps.into()).saturating_mul(STEP_UNITS)
    }

    fn scene_units(&self) -> u128 {
        let triangles = u128::from(self.triangles).saturating_mul(TRIANGLE_UNITS);
        triangles.saturating_add(u128::from(self.image_bytes).saturating_mul(IMAGE_BYTE_UNITS))
    }

    fn jobs_max(&self) -> u32 {
        self.frames.saturating_mul(self.height.min(limits::JOBS_PER_FRAME_MAX))
    }

    /// What the spec costs and asks for (KER-4).
    #[must_use]
    pub fn price(&self) -> Price {
        let pixel_bytes = u64::try_from(PIXEL_BYTES).expect("small");
        let output_bytes = self.pixels().saturating_mul(self.frames.into()).saturating_mul(pixel_bytes);
        // A triangle: its corners, its place, its share of block, box and node, and as much again while it is built.
        let triangles = u64::from(self.triangles).saturating_mul(1_024);
        let nodes = u64::from(self.nodes).saturating_mul(2_048);
        let memory_bytes = triangles.saturating_add(nodes).saturating_add(self.image_bytes.into());
        Price {
            units: self.units(),
            jobs_max: self.jobs_max(),
            memory_bytes: memory_bytes.saturating_add(256 << 20),
            output_bytes,
            inputs: 1,
            disputed_units: Units(self.pixel_units().saturating_add(self.scene_units())),
        }
    }

    // REN-42: a job is a run of whole frames, or a band of rows of one frame.
    /// The jobs of the task.
    ///
    /// # Errors
    ///
    /// The task does not split into so many.
    pub fn plan(&self, jobs: u32) -> Result<Plan, BadSpec> {
        let max = self.jobs_max();
        if jobs == 0 || jobs > max {
            return Err(BadSpec::Jobs { found: jobs, max });
        }
        let parts = if jobs <= self.frames {
            let whole = |(frame, frames)| Geometry { origin: [frame, 0, 0], extent: [frames, self.width, self.height] };
            runs(self.frames, jobs).map(whole).collect()
        } else {
            let bands = runs(jobs, self.frames).zip(0..).flat_map(|((_, bands), frame)| {
                let band = move |(row, rows)| Geometry { origin: [frame, 0, row], extent: [1, self.width, rows] };
                runs(self.height, bands).map(band)
            });
            bands.collect()
        };
        Plan::new(self.units(), parts)
    }

    /// What all pixels share; the random numbers are those of this spec and this scene.
    pub(crate) fn settings(&self, scene: &BlobRef) -> Settings {
        Settings {
            size: [self.width, self.height],
            samples: self.samples,
            reach: Reach { bounces: self.bounces, steps: self.steps },
            // REN-43: the key names the spec and the scene, and not the task or the job.
            philox: Philox::keyed(&Domain::KernelKey.hash_bytes(&encode(&(*self, *scene)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> RenderingSpec {
        RenderingSpec::of(Counts { triangles: 36, nodes: 2, image_bytes: 0 }, [1_920, 1_080])
    }

    #[test]
    fn a_spec_has_one_encoding() {
        assert_eq!(RenderingSpec::read(&spec().bytes()), Ok(spec()));
        let mut bytes = spec().bytes();
        assert_eq!(bytes.len(), 40);
        bytes.push(0);
        assert!(matches!(RenderingSpec::read(&bytes), Err(BadSpec::Malformed(_))));
        assert!(matches!(RenderingSpec::read(&bytes[..39]), Err(BadSpec::Malformed(_))));
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_with_the_bound() {
        type Spoil = fn(&mut RenderingSpec);
        let cases: [(&str, Spoil); 15] = [
            ("width is 0; it is at least 1 and at most 16384", |s| s.width = 0),
            ("width is 16385", |s| s.width = 16_385),
            ("height is 0", |s| s.height = 0),
            ("height is 4294967295", |s| s.height = u32::MAX),
            ("frames is 0", |s| s.frames = 0),
            ("frames is 65537", |s| s.frames = 65_537),
            ("samples is 0", |s| s.samples = 0),
            ("samples is 65537", |s| s.samples = 65_537),
            ("bounces is 65", |s| s.bounces = 65),
            ("steps is 0", |s| s.steps = 0),
            ("steps is 4294967295", |s| s.steps = u32::MAX),
            ("triangles is 0", |s| s.triangles = 0),
            ("nodes is 0", |s| s.nodes = 0),
            ("width x height is 268435456", |s| (s.width, s.height) = (16_384, 16_384)),
            ("units is ", |s| (s.frames, s.samples, s.steps) = (65_536, 65_536, 1 << 20)),
        ];
        for (expected, spoil) in cases {
            let mut spec = spec();
            spoil(&mut spec);
            let found = RenderingSpec::read(&spec.bytes()).expect_err("out of bounds").to_string();
            assert!(found.starts_with(expected), "{found:?} is not {expected:?}");
        }
    }

    #[test]
    fn the_jobs_of_every_plan_cover_every_pixel_once() {
        for (height, frames, jobs) in [(9, 1, 1), (9, 1, 9), (5, 3, 2), (5, 3, 3), (5, 3, 7), (40, 2, 32), (1, 4, 4)] {
            let spec = RenderingSpec { width: 3, height, frames, ..spec() };
            let plan = spec.plan(jobs).expect("it splits");
            assert_eq!(plan.len(), jobs);
            let mut next = 0;
            for job in plan.jobs() {
                let ([frame, x, y], [count, width, rows]) = (job.geometry.origin, job.geometry.extent);
                assert_eq!((x, width), (0, 3));
                assert_eq!(frame * height + y, next, "{height} {frames} {jobs}");
                next += if rows == height { count * height } else { rows };
            }
            assert_eq!(next, frames * height);
        }
        let spec = RenderingSpec { height: 40, frames: 2, ..spec() };
        assert_eq!(spec.plan(33), Err(BadSpec::Jobs { found: 33, max: 32 }));
        assert_eq!(spec.plan(0), Err(BadSpec::Jobs { found: 0, max: 32 }));
    }
}
