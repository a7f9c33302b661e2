//! The rendering kernel through its frame: the same bits whatever computes them, lies found, honest work accepted.

use std::sync::Arc;

use cpc_kernels::frame::{Wrong, blob_ref};
use cpc_kernels::numerics::Philox;
use cpc_kernels::rendering::{PIXEL_BYTES, Rendering, RenderingSpec, RenderingTask, SPOT_PIXELS, Scene, samples};
use cpc_kernels::{
    Cpu, Effort, Executor, Inputs, Job, Kernel, Level, PreparedTask, Reference, RunError, Secret, Watch,
};
use cpc_primitives::Digest;
use cpc_primitives::ids::{JobIndex, TaskId, Units};
use cpc_primitives::result::Geometry;
use cpc_vectors::golden::{Entry, hold};

/// A sample's file, and its inputs.
fn sample(name: &str) -> (Arc<[u8]>, Inputs) {
    let file: Arc<[u8]> = (samples::named(name).expect("a sample").write)().into();
    let inputs = Inputs::new(&[blob_ref(&file)], vec![Arc::clone(&file)]).expect("its own hash");
    (file, inputs)
}

fn spec_of(file: &[u8], size: [u32; 2], samples: u32) -> RenderingSpec {
    let counts = Scene::survey(file).expect("a sample is a scene");
    RenderingSpec { samples, ..RenderingSpec::of(counts, size) }
}

fn prepared(spec: RenderingSpec, inputs: &Inputs) -> RenderingTask {
    RenderingTask::prepare(spec, inputs, &Watch::new()).expect("a sample is a task")
}

fn executor(level: Level, threads: usize) -> Reference {
    Reference::new(Cpu { level }, threads).expect("threads can be had")
}

fn geometry(origin: [u32; 3], extent: [u32; 3]) -> Geometry {
    Geometry { origin, extent }
}

fn job(geometry: Geometry) -> Job {
    Job { index: JobIndex(0), geometry, units: Units(1) }
}

fn run(task: &RenderingTask, geometry: Geometry) -> Vec<u8> {
    executor(Level::best(), 2).run(task, &geometry, &Watch::new()).expect("it runs").bytes
}

fn judged(task: &RenderingTask, geometry: Geometry, output: &[u8], effort: Effort, seat: u8) -> Option<Wrong> {
    let secret = Secret { seat: Digest([seat; 32]), task: TaskId(Digest([1; 32])) };
    let watch = Watch::new();
    let mut checker = task.checker(secret, effort, Cpu::best(), &watch).expect("a checker");
    checker.check(&job(geometry), output, &watch).expect("a judgement").wrong
}

#[test]
fn neither_threads_nor_instructions_nor_tiles_change_a_bit() {
    for name in ["tiles", "glass", "orbit"] {
        let (file, inputs) = sample(name);
        let spec = RenderingSpec { frames: 2, ..spec_of(&file, [26, 18], 3) };
        let task = prepared(spec, &inputs);
        let whole = geometry([0, 0, 0], [2, 26, 18]);
        let expected = executor(Level::Scalar, 1).run(&task, &whole, &Watch::new()).expect("it runs").bytes;
        for level in Level::here() {
            for threads in [1, 2] {
                let found = executor(level, threads).run(&task, &whole, &Watch::new()).expect("it runs").bytes;
                assert!(found == expected, "{name} by {level} on {threads} threads");
            }
        }
        for jobs in [2, 5, 32] {
            let plan = spec.plan(jobs).expect("it splits");
            let found: Vec<u8> = plan.jobs().flat_map(|job| run(&task, job.geometry)).collect();
            assert!(found == expected, "{name} in {jobs} jobs");
        }
        let tile = geometry([1, 7, 5], [1, 4, 3]);
        let found = run(&task, tile);
        for unit in 0..task.unit_count(&tile).expect("it counts") {
            let again = task.unit(&tile, unit, &Watch::new()).expect("a pixel");
            assert_eq!(found[task.unit_bytes(&tile, unit).expect("its place")], again, "{name} pixel {unit}");
            let (row, column) = (unit / 4 + 5, unit % 4 + 7);
            let number = usize::try_from((18 + row) * 26 + column).expect("small");
            assert_eq!(expected[number * PIXEL_BYTES..(number + 1) * PIXEL_BYTES], again, "{name} pixel {unit}");
        }
    }
}

// REN-44, REN-45: what a spot check and a whole check find.
#[test]
fn every_lie_is_found_with_the_stated_probability() {
    let (file, inputs) = sample("box");
    let spec = RenderingSpec { frames: 2, ..spec_of(&file, [64, 48], 2) };
    let task = prepared(spec, &inputs);
    let whole = geometry([0, 0, 0], [1, 64, 48]);
    let honest = run(&task, whole);
    let spot = |output: &[u8], seat: u8| judged(&task, whole, output, Effort::Spot, seat);
    let full = |output: &[u8]| judged(&task, whole, output, Effort::Full, 0);
    for seat in 0..20 {
        assert_eq!(spot(&honest, seat), None);
    }
    assert_eq!(full(&honest), None);

    // One bit of one pixel: surely by a whole check, and by a spot check as often as the pixel is in the sample.
    let mut forged = honest.clone();
    forged[1_234 * PIXEL_BYTES] ^= 1;
    assert_eq!(full(&forged), Some(Wrong::Unequal { unit: Some(1_234) }));
    let found = (0..60).filter(|seat| spot(&forged, *seat).is_some()).count();
    // 1,000 of 3,072 pixels are in the sample: a third of 60 seats, within four deviations.
    assert!((6..=34).contains(&found), "{found} of 60 seats");
    // The picture's byte alone, where the light is right.
    let mut forged = honest.clone();
    forged[1_234 * PIXEL_BYTES + 14] ^= 1;
    assert_eq!(full(&forged), Some(Wrong::Unequal { unit: Some(1_234) }));

    // One hundredth of the job.
    let mut forged = honest.clone();
    for pixel in 0..31 {
        forged[pixel * 97 * PIXEL_BYTES + 5] ^= 0x40;
    }
    for seat in 0..60 {
        assert!(spot(&forged, seat).is_some(), "seat {seat} misses one hundredth");
    }

    // Other work in place of the work.
    let fewer = run(&prepared(RenderingSpec { samples: 1, ..spec }, &inputs), whole);
    let shallow = run(&prepared(RenderingSpec { bounces: 2, ..spec }, &inputs), whole);
    let later = run(&task, geometry([1, 0, 0], [1, 64, 48]));
    let (other_file, other_inputs) = sample("orbit");
    let other = run(&prepared(spec_of(&other_file, [64, 48], 2), &other_inputs), whole);
    let black = vec![0; honest.len()];
    for (lie, output) in [
        ("fewer samples", fewer),
        ("fewer bounces", shallow),
        ("another frame", later),
        ("another scene", other),
        ("nothing", black),
    ] {
        for seat in 0..5 {
            assert!(matches!(spot(&output, seat), Some(Wrong::Unequal { unit: Some(_) })), "{lie}");
        }
    }
    assert!(matches!(spot(&honest[15..], 0), Some(Wrong::Length { .. })));
    assert!(matches!(spot(&[], 0), Some(Wrong::Length { expected: 46_080, found: 0 })));
    let soundness = task.soundness(Effort::Spot);
    println!(
        "a spot check of {SPOT_PIXELS} pixels misses a job of which {} is forged with {}",
        soundness.forged, soundness.missed
    );
}

/// Runs one job of the spec with a number, and demands that its check accepts it.
fn honest(scenes: &[(Arc<[u8]>, Inputs)], index: u32) {
    let [a, b, c, d] = Philox::new([17, 4]).at([index, 0, 0, 0]);
    let (file, inputs) = &scenes[usize::try_from(a % 3).expect("small")];
    // Now and then there are more pixels than a spot check renders again.
    let size = if index.is_multiple_of(17) { [1 + b % 80, 1 + c % 60] } else { [1 + b % 12, 1 + c % 12] };
    let spec = RenderingSpec {
        frames: 1 + (a >> 8) % 3,
        bounces: (a >> 12) % 6,
        steps: [4_096, 300, 40][usize::try_from(d % 3).expect("small")],
        ..spec_of(file, size, 1 + (d >> 4) % 4)
    };
    let task = prepared(spec, inputs);
    let most = spec.price().jobs_max;
    let plan = spec.plan(1 + (c >> 8) % most).expect("it splits");
    let job = plan.job(JobIndex((b >> 8) % plan.len())).expect("a job");
    let output = task.run(&job.geometry, Cpu::best(), &Watch::new()).expect("it runs").bytes;
    assert_eq!(judged(&task, job.geometry, &output, Effort::Spot, 9), None, "{spec:?} {:?}", job.geometry);
}

#[test]
fn honest_work_is_never_refused_in_ten_thousand_random_specs() {
    let long = std::env::var_os("CPC_LONG").is_some();
    let count = if long { 100_000 } else { 10_000 };
    let scenes: Vec<_> = ["box", "tiles", "orbit"].map(sample).into_iter().collect();
    // Two halves, each on one thread: between threads ten thousand tiny jobs would mostly wait for each other.
    std::thread::scope(|scope| {
        for half in 0..2 {
            let scenes = &scenes;
            scope.spawn(move || {
                executor(Level::best(), 1).with(|_| (half..count).step_by(2).for_each(|index| honest(scenes, index)));
            });
        }
    });
    println!("0 of {count} honest jobs refused");
}

#[test]
fn two_honest_checks_of_one_seat_agree_and_of_two_seats_differ() {
    let (file, inputs) = sample("box");
    let task = prepared(spec_of(&file, [40, 40], 2), &inputs);
    let whole = geometry([0, 0, 0], [1, 40, 40]);
    let output = run(&task, whole);
    let watch = Watch::new();
    let judgement = |seat: u8| {
        let secret = Secret { seat: Digest([seat; 32]), task: TaskId(Digest([1; 32])) };
        let mut checker = task.checker(secret, Effort::Spot, Cpu::best(), &watch).expect("a checker");
        checker.check(&job(whole), &output, &watch).expect("a judgement")
    };
    assert_eq!(judgement(1), judgement(1));
    assert_ne!(judgement(1).digest, judgement(2).digest);
    assert_ne!(judgement(1).sample, judgement(2).sample);
}

#[test]
fn a_run_is_called_off_and_counts_its_pixels() {
    let (file, inputs) = sample("box");
    let task = prepared(spec_of(&file, [30, 20], 1), &inputs);
    let whole = geometry([0, 0, 0], [1, 30, 20]);
    let watch = Watch::new();
    executor(Level::best(), 2).run(&task, &whole, &watch).expect("it runs");
    assert_eq!(watch.progress(), (600, 600));
    let watch = Watch::new();
    watch.cancel();
    assert_eq!(executor(Level::best(), 2).run(&task, &whole, &watch), Err(RunError::Cancelled));
}

#[test]
fn a_job_outside_its_task_is_no_job() {
    let (file, inputs) = sample("box");
    let task = prepared(spec_of(&file, [30, 20], 1), &inputs);
    for (origin, extent) in [
        ([0, 0, 0], [2, 30, 20]),
        ([0, 1, 0], [1, 30, 20]),
        ([0, 0, 1], [1, 30, 20]),
        ([0, 0, 0], [0, 30, 20]),
        ([0, 0, 0], [1, 0, 20]),
        ([u32::MAX, 0, 0], [2, 30, 20]),
        ([0, u32::MAX, 0], [1, u32::MAX, 20]),
    ] {
        let found = task.run(&geometry(origin, extent), Cpu::best(), &Watch::new());
        assert!(matches!(found, Err(RunError::Geometry { .. })), "{origin:?} {extent:?}");
    }
    let whole = geometry([0, 0, 0], [1, 30, 20]);
    assert_eq!(task.unit(&whole, 600, &Watch::new()), Err(RunError::Unit { count: 600, found: 600 }));
}

#[test]
fn a_scene_that_is_not_the_specs_is_a_bad_spec() {
    let (file, inputs) = sample("box");
    let spec = spec_of(&file, [8, 8], 1);
    let refused = |spec: RenderingSpec, inputs: &Inputs| {
        let prepared = Rendering.prepare(&spec.bytes(), inputs, Cpu::best(), &Watch::new());
        prepared.err().expect("it is refused").to_string()
    };
    let fewer = RenderingSpec { triangles: spec.triangles - 1, ..spec };
    assert_eq!(refused(fewer, &inputs), "the spec says triangles is 35, and the input has 36");
    let cameras = RenderingSpec { camera: 1, ..spec };
    assert_eq!(refused(cameras, &inputs), "camera is 1; it is at least 0 and at most 0");
    assert!(refused(spec, &Inputs::none()).contains("0 inputs"));
    let text: Arc<[u8]> = Arc::from(&b"no scene"[..]);
    let text = Inputs::new(&[blob_ref(&text)], vec![text]).expect("its own hash");
    assert!(refused(spec, &text).contains("scene: the file is no binary glTF"));
}

// REN-24 to REN-31: each picture holds every rule that its scene needs.
#[test]
fn the_golden_pictures_are_what_they_were() {
    let mut entries = Vec::new();
    for (name, frame) in [("box", 0), ("tiles", 0), ("glass", 0), ("orbit", 0), ("orbit", 31), ("hills", 0)] {
        let (file, inputs) = sample(name);
        let spec = RenderingSpec { frames: 96, ..spec_of(&file, [32, 24], 4) };
        let task = prepared(spec, &inputs);
        let output = run(&task, geometry([frame, 0, 0], [1, 32, 24]));
        let bytes = output.len();
        let hash = blake3::hash(&output).to_hex();
        entries.push(Entry::new(format!("{name}-{frame}")).raw("bytes", bytes).text("blake3", hash));
    }
    let preamble =
        "Pictures of the sample scenes: 32 by 24 pixels, 4 samples, 8 bounces, by the rendering kernel, version 1.";
    hold("rendering/pictures.toml", preamble, &entries);
}
