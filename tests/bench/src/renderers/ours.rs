//! Our own renderer, through the same frame that a worker uses.

use std::sync::Arc;

use anyhow::Result;
use cpc_kernels::frame::blob_ref;
use cpc_kernels::rendering::{PIXEL_BYTES, RenderingSpec, RenderingTask, Scene};
use cpc_kernels::{Cpu, Executor, Inputs, Reference, Watch};
use cpc_primitives::result::Geometry;

use super::{Picture, Renderer};
use cpc_bench::machine;

/// The kernel on all cores.
pub(super) struct Ours {
    reference: Reference,
    inputs: Inputs,
    spec: RenderingSpec,
}

impl Ours {
    pub(super) fn new(file: Vec<u8>, pixels: u32, bounces: u32) -> Result<Self> {
        let file: Arc<[u8]> = file.into();
        let spec = RenderingSpec { bounces, ..RenderingSpec::of(Scene::survey(&file)?, [pixels; 2]) };
        let inputs = Inputs::new(&[blob_ref(&file)], vec![file])?;
        Ok(Self { reference: Reference::new(Cpu::best(), 0)?, inputs, spec })
    }
}

impl Renderer for Ours {
    fn key(&self) -> &'static str {
        "ours"
    }

    fn name(&self) -> String {
        format!("ours, {}", self.reference.describe())
    }

    fn render(&mut self, samples: u32, seed: u32) -> Result<(Picture, (f64, f64))> {
        // The random numbers hang on the spec. A budget that no path of the box needs changes them, and nothing else.
        let spec = RenderingSpec { samples, steps: self.spec.steps + seed, ..self.spec };
        let watch = Watch::new();
        let task = self.reference.with(|_| RenderingTask::prepare(spec, &self.inputs, &watch))?;
        let whole = Geometry { origin: [0; 3], extent: [1, spec.width, spec.height] };
        let clock = machine::Watch::start()?;
        let output = self.reference.run(&task, &whole, &watch)?;
        let times = clock.stop(1.0)?;
        let light = |bytes: &[u8; PIXEL_BYTES]| {
            let (floats, _) = bytes.as_chunks::<4>();
            [0, 1, 2].map(|channel| f32::from_le_bytes(floats[channel]))
        };
        let pixels = output.bytes.as_chunks::<PIXEL_BYTES>().0.iter().map(light).collect();
        Ok((Picture { side: spec.width, pixels }, times))
    }
}
