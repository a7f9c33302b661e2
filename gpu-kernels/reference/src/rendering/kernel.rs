//! The five functions of the rendering kernel.

use core::any::Any;
use core::ops::Range;
use std::sync::Arc;

use cpc_primitives::Mismatch;
use cpc_primitives::result::{Challenge, Geometry, KernelId};

use super::check::PixelChecker;
use super::load::SceneReject;
use super::moment::Moment;
use super::picture;
use super::render::{One, PIXEL_BYTES, Rectangle, Settings, rectangle};
use super::scene::Scene;
use super::spec::RenderingSpec;
use super::stage::Stage;
use crate::frame::{
    BadSpec, Checker, Cpu, Effort, Inputs, Kernel, Output, Plan, PrepareError, PreparedTask, Price, RunError, Secret,
    Soundness, Watch,
};
use crate::simd::{Level, dispatch};

/// Which bits this kernel gives. Golden pictures pin them; another bit is another version.
pub const VERSION: u16 = 1;

/// The rendering kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rendering;

/// A task of it: the scene on its stage.
pub struct RenderingTask {
    staged: Arc<Staged>,
}

/// What the runs and the checks of a task share.
pub(crate) struct Staged {
    spec: RenderingSpec,
    stage: Stage,
    settings: Settings,
}

/// The pixels of a job, in the order of its output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels {
    frame: u32,
    frames: u32,
    rectangle: Rectangle,
}

impl Kernel for Rendering {
    fn id(&self) -> KernelId {
        KernelId { challenge: Challenge::Rendering, version: VERSION }
    }

    fn name(&self) -> &'static str {
        "rendering"
    }

    fn price(&self, spec: &[u8]) -> Result<Price, BadSpec> {
        RenderingSpec::read(spec).map(|spec| spec.price())
    }

    fn plan(&self, spec: &[u8], jobs: u32) -> Result<Plan, BadSpec> {
        RenderingSpec::read(spec)?.plan(jobs)
    }

    fn prepare(
        &self,
        spec: &[u8],
        inputs: &Inputs,
        _: Cpu,
        watch: &Watch,
    ) -> Result<Arc<dyn PreparedTask>, PrepareError> {
        Ok(Arc::new(RenderingTask::prepare(RenderingSpec::read(spec)?, inputs, watch)?))
    }
}

impl RenderingTask {
    /// Reads the scene and builds its trees.
    ///
    /// # Errors
    ///
    /// The scene is not what the spec says, or is none; or somebody called it off.
    pub fn prepare(spec: RenderingSpec, inputs: &Inputs, watch: &Watch) -> Result<Self, PrepareError> {
        let (Some(file), Some(blob)) = (inputs.bytes(0), inputs.blob(0)) else {
            return Err(BadSpec::InputCount(Mismatch { expected: 1, found: inputs.len() }).into());
        };
        let scene = Scene::read(file, &spec.counts()).map_err(refused)?;
        watch.advance(0)?;
        let cameras = u64::try_from(scene.cameras()).unwrap_or(u64::MAX);
        if u64::from(spec.camera) >= cameras {
            let (field, found) = ("camera", spec.camera.into());
            return Err(BadSpec::OutOfBounds { field, found, min: 0, max: cameras.saturating_sub(1) }.into());
        }
        let stage = Stage::new(scene).map_err(refused)?;
        watch.advance(0)?;
        Ok(Self { staged: Arc::new(Staged { spec, stage, settings: spec.settings(blob) }) })
    }

    /// The same task with another budget and the same random numbers.
    #[cfg(test)]
    pub(crate) fn with_steps(self, steps: u32) -> Self {
        let mut staged = Arc::into_inner(self.staged).expect("nobody else holds a task that was just prepared");
        staged.settings.reach.steps = steps;
        Self { staged: Arc::new(staged) }
    }
}

impl Staged {
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The stage at a frame.
    pub(crate) fn moment(&self, frame: u32) -> Moment<'_> {
        Moment::new(&self.stage, frame, self.spec.camera, self.settings.size)
    }

    /// The pixels of a job, or why it is none of this task.
    pub(crate) fn pixels(&self, geometry: &Geometry) -> Result<Pixels, RunError> {
        let ([frame, x, y], [frames, width, height]) = (geometry.origin, geometry.extent);
        let ends = |begin: u32, count: u32, end: u32| {
            count > 0 && begin.checked_add(count).is_some_and(|reached| reached <= end)
        };
        let spec = &self.spec;
        if !(ends(frame, frames, spec.frames) && ends(x, width, spec.width) && ends(y, height, spec.height)) {
            return Err(RunError::Geometry { reason: "frames, columns or rows that the task does not have" });
        }
        Ok(Pixels { frame, frames, rectangle: Rectangle { origin: [x, y], extent: [width, height] } })
    }
}

/// A scene that is refused makes its task a bad spec: everybody sees the same bytes.
fn refused(reject: SceneReject) -> BadSpec {
    match reject {
        SceneReject::Count { what, expected, found } => {
            // The frame's words name the spec first: what the input has is what is right.
            BadSpec::Count { field: what, both: Mismatch { expected: found, found: expected } }
        }
        other => BadSpec::Input { part: "scene", reason: other.to_string() },
    }
}

impl Pixels {
    pub(crate) fn count(&self) -> u64 {
        u64::from(self.frames).saturating_mul(self.of_frame())
    }

    pub(crate) fn frames(&self) -> Range<u32> {
        self.frame..self.frame.saturating_add(self.frames)
    }

    /// Pixels of one frame of the job.
    pub(crate) fn of_frame(&self) -> u64 {
        u64::from(self.rectangle.extent[0]).saturating_mul(self.rectangle.extent[1].into())
    }

    pub(crate) fn extent(&self) -> [u32; 2] {
        self.rectangle.extent
    }

    /// Frame and place of a pixel by its number.
    pub(crate) fn place(&self, number: u64) -> (u32, [u32; 2]) {
        let (frame, within) = (number.div_euclid(self.of_frame()), number.rem_euclid(self.of_frame()));
        let width = u64::from(self.rectangle.extent[0]);
        let small = |value: u64| u32::try_from(value).expect("a place lies in the picture");
        let [x, y] = self.rectangle.origin;
        let (column, row) = (small(within.rem_euclid(width)), small(within.div_euclid(width)));
        (self.frame.saturating_add(small(frame)), [x.saturating_add(column), y.saturating_add(row)])
    }

    /// Where the bytes of a pixel stand.
    pub(crate) fn bytes(number: u64) -> Range<usize> {
        let begin = usize::try_from(number).expect("an output fits memory").saturating_mul(PIXEL_BYTES);
        begin..begin.saturating_add(PIXEL_BYTES)
    }

    pub(crate) fn output_bytes(&self) -> u64 {
        self.count().saturating_mul(u64::try_from(PIXEL_BYTES).expect("small"))
    }
}

impl PreparedTask for RenderingTask {
    fn kernel(&self) -> KernelId {
        Rendering.id()
    }

    fn run(&self, geometry: &Geometry, cpu: Cpu, watch: &Watch) -> Result<Output, RunError> {
        let pixels = self.staged.pixels(geometry)?;
        watch.expect(pixels.count());
        let mut output = vec![0; usize::try_from(pixels.output_bytes()).expect("an output fits memory")];
        let frame_bytes = Pixels::bytes(pixels.of_frame()).start;
        for (frame, output) in pixels.frames().zip(output.chunks_exact_mut(frame_bytes)) {
            let moment = self.staged.moment(frame);
            let place = pixels.rectangle;
            rectangle(&moment, frame, &self.staged.settings, place, cpu.level, output, watch)?;
        }
        Ok(Output::of(output))
    }

    fn checker(&self, secret: Secret, effort: Effort, cpu: Cpu, _: &Watch) -> Result<Box<dyn Checker>, RunError> {
        Ok(Box::new(PixelChecker::new(Arc::clone(&self.staged), secret, effort, cpu)))
    }

    fn soundness(&self, effort: Effort) -> Soundness {
        super::check::soundness(effort)
    }

    fn assemble(&self, plan: &Plan, outputs: &[Vec<u8>]) -> Result<Vec<(String, Vec<u8>)>, RunError> {
        let found: usize = outputs.iter().map(Vec::len).sum();
        let expected = self.staged.spec.price().output_bytes;
        if outputs.len() != usize::try_from(plan.len()).unwrap_or(usize::MAX) || u64::try_from(found) != Ok(expected) {
            return Err(RunError::Geometry { reason: "other outputs than the plan's" });
        }
        // Whatever the jobs were, their outputs in order are the pixels in order.
        let whole = outputs.concat();
        let [width, height] = self.staged.settings.size;
        let frame_pixels =
            usize::try_from(u64::from(width).saturating_mul(height.into())).expect("a frame fits memory");
        let (pixels, _) = whole.as_chunks::<PIXEL_BYTES>();
        let frames = pixels.chunks_exact(frame_pixels).enumerate();
        let files = frames.map(|(frame, pixels)| {
            let colours: Vec<[u8; 3]> = pixels.iter().map(|pixel| [pixel[12], pixel[13], pixel[14]]).collect();
            let file = picture::png(width, height, &colours);
            let file = file.map_err(|error| RunError::Device { reason: error.to_string() })?;
            Ok((format!("frame-{frame:05}.png"), file))
        });
        files.collect()
    }

    fn unit_count(&self, geometry: &Geometry) -> Result<u64, RunError> {
        self.staged.pixels(geometry).map(|pixels| pixels.count())
    }

    // REN-46: the disputable unit is a pixel, with all its samples, by the scalar path.
    fn unit(&self, geometry: &Geometry, unit: u64, watch: &Watch) -> Result<Vec<u8>, RunError> {
        let pixels = self.staged.pixels(geometry)?;
        let count = pixels.count();
        if unit >= count {
            return Err(RunError::Unit { count, found: unit });
        }
        watch.advance(0)?;
        let (frame, place) = pixels.place(unit);
        let moment = self.staged.moment(frame);
        let one = One { moment: &moment, frame, settings: &self.staged.settings, place, each: |_| {} };
        Ok(dispatch(Level::Scalar, one).to_vec())
    }

    fn unit_bytes(&self, geometry: &Geometry, unit: u64) -> Result<Range<usize>, RunError> {
        let count = self.unit_count(geometry)?;
        if unit < count { Ok(Pixels::bytes(unit)) } else { Err(RunError::Unit { count, found: unit }) }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
