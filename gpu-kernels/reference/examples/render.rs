//! Renders a sample scene without a node, and says how fast: `cargo run --release --example render -- box 640x480 64`.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use cpc_kernels::frame::{Effort, Secret, blob_ref};
use cpc_kernels::rendering::{RenderingSpec, RenderingTask, Scene, samples};
use cpc_kernels::{Cpu, Executor, Inputs, Level, PreparedTask, Reference, Watch};
use cpc_primitives::Digest;
use cpc_primitives::ids::TaskId;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |index: usize, or: &str| words.get(index).cloned().unwrap_or_else(|| or.to_owned());
    let name = word(0, "box");
    let size = word(1, "320x240");
    let (width, height) = size.split_once('x').ok_or("write the size as 320x240")?;
    let file: Arc<[u8]> = match samples::named(&name) {
        Some(sample) => (sample.write)().into(),
        None => std::fs::read(&name)?.into(),
    };
    let counts = Scene::survey(&file)?;
    let mut spec = RenderingSpec::of(counts, [width.parse()?, height.parse()?]);
    spec.samples = word(2, "16").parse()?;
    spec.frames = word(3, "1").parse()?;
    let level = match word(4, "best").as_str() {
        "scalar" => Level::Scalar,
        "avx2" => Level::Avx2,
        _ => Level::best(),
    };
    let threads = word(5, "0").parse()?;
    let reference = Reference::new(Cpu { level }, threads)?;
    let watch = Watch::new();
    let began = Instant::now();
    let inputs = Inputs::new(&[blob_ref(&file)], vec![Arc::clone(&file)])?;
    let task = reference.with(|_| RenderingTask::prepare(spec, &inputs, &watch))?;
    let prepared = began.elapsed();
    let plan = spec.plan(spec.frames)?;
    let began = Instant::now();
    let mut outputs = Vec::new();
    for job in plan.jobs() {
        outputs.push(reference.run(&task, &job.geometry, &watch)?.bytes);
    }
    let ran = began.elapsed().as_secs_f64();
    let paths = f64::from(spec.width) * f64::from(spec.height) * f64::from(spec.samples) * f64::from(spec.frames);
    let secret = Secret { seat: Digest([7; 32]), task: TaskId(Digest([9; 32])) };
    let began = Instant::now();
    let mut checker = task.checker(secret, Effort::Spot, reference.cpu(), &watch)?;
    for (job, output) in plan.jobs().zip(&outputs) {
        let judgement = reference.with(|_| checker.check(&job, output, &watch))?;
        assert_eq!(judgement.wrong, None, "what was computed honestly is accepted");
    }
    let checked = began.elapsed().as_secs_f64();
    println!("{name} {} by {}: {counts:?}", size, reference.describe());
    println!("  prepared in {prepared:?}");
    println!("  run {ran:.3} s, {:.3} million paths a second", paths / ran / 1e6);
    println!("  check {checked:.4} s, {:.3} % of the run", checked / ran * 100.0);
    println!("  hash {}", blake3::hash(&outputs.concat()).to_hex());
    for (name_of_frame, bytes) in task.assemble(&plan, &outputs)? {
        let frame = name_of_frame.trim_start_matches("frame-").trim_end_matches(".png");
        std::fs::write(format!("{}-{frame}.png", name.replace(['/', '.'], "-")), bytes)?;
    }
    Ok(())
}
