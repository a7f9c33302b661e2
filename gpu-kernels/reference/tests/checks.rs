//! The check of the synthetic kernel: every lie is found, and named where it can be; honest work is never refused.

use std::sync::Arc;

use cpc_kernels::frame::Wrong;
use cpc_kernels::synthetic::{ID, Seed, SyntheticSpec};
use cpc_kernels::{
    Cpu, Effort, Inputs, Judgement, Kernel, Plan, PreparedTask, Reference, Registry, RunError, Secret, Watch,
};
use cpc_primitives::Digest;
use cpc_primitives::ids::{JobIndex, TaskId};
use cpc_primitives::result::Geometry;
use proptest::prelude::{any, prop};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// A task with the outputs of all its jobs.
struct Work {
    spec: SyntheticSpec,
    task: Arc<dyn PreparedTask>,
    plan: Plan,
    outputs: Vec<Vec<u8>>,
}

fn kernel() -> Arc<dyn Kernel> {
    Registry::all().kernel(ID).expect("the kernel is there").clone()
}

fn spec(seed: &[u8], matrix_size: u32, iterations: u32) -> SyntheticSpec {
    SyntheticSpec { seed: Seed::new(seed.to_vec()).expect("at most 32 bytes"), matrix_size, iterations }
}

fn work(spec: SyntheticSpec, jobs: u32) -> Work {
    let watch = Watch::new();
    let task = kernel().prepare(&spec.bytes(), &Inputs::none(), Cpu::best(), &watch).expect("a good spec");
    let plan = kernel().plan(&spec.bytes(), jobs).expect("it splits");
    let output = |geometry: Geometry| task.run(&geometry, Cpu::best(), &watch).expect("it runs").bytes;
    let outputs = plan.jobs().map(|job| output(job.geometry)).collect();
    Work { spec, task, plan, outputs }
}

fn secret(byte: u8) -> Secret {
    Secret { seat: Digest([byte; 32]), task: TaskId(Digest([9; 32])) }
}

impl Work {
    /// Judges outputs of every job under one secret.
    fn judge(&self, outputs: &[Vec<u8>], secret: Secret) -> Vec<Judgement> {
        let watch = Watch::new();
        let mut checker = self.task.checker(secret, Effort::Spot, Cpu::best(), &watch).expect("a check");
        self.plan
            .jobs()
            .zip(outputs)
            .map(|(job, output)| checker.check(&job, output, &watch).expect("judged"))
            .collect()
    }

    /// Which jobs are wrong, and why.
    fn wrong(&self, outputs: &[Vec<u8>]) -> Vec<(usize, Wrong)> {
        let judged = self.judge(outputs, secret(1)).into_iter().enumerate();
        judged.filter_map(|(job, judgement)| Some((job, judgement.wrong?))).collect()
    }
}

/// Replaces the word at a place by another element.
fn bend(output: &mut [u8], word: usize, by: u32) {
    let bytes = &mut output[4 * word..][..4];
    let value = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let bent = (u64::from(value) + u64::from(by)) % 0x7fff_ffff;
    bytes.copy_from_slice(&(bent as u32).to_le_bytes());
}

// SYN-7: one wrong entry passes with 2^-62, so none of two thousand passes; job and column are named.
#[test]
fn one_wrong_entry_is_found_and_its_column_named() {
    let work = work(spec(b"entry", 48, 6), 4);
    let watch = Watch::new();
    let mut checker = work.task.checker(secret(1), Effort::Spot, Cpu::best(), &watch).expect("a check");
    let (mut tried, mut found) = (0, 0);
    for (job, output) in work.plan.jobs().zip(&work.outputs) {
        for word in 0..output.len() / 4 {
            let mut bent = output.clone();
            bend(&mut bent, word, 1 + (word as u32 * 77) % 0x7fff_fffe);
            let judged = checker.check(&job, &bent, &watch).expect("judged").wrong;
            tried += 1;
            found += usize::from(judged == Some(Wrong::Unequal { unit: Some((word / 48) as u64) }));
        }
    }
    let soundness = work.task.soundness(Effort::Spot);
    println!("{found} of {tried} single wrong entries found; one passes with {:.1e}", soundness.missed);
    assert_eq!((tried, found), (48 * 48, 48 * 48));
    assert!(soundness.missed < 2f64.powi(-61) && soundness.missed > 2f64.powi(-63));
}

#[test]
fn every_planted_lie_is_found_in_the_job_that_holds_it() {
    let honest = work(spec(b"lies", 40, 16), 5);
    assert_eq!(honest.wrong(&honest.outputs), []);

    // A wrong block among many.
    for liar in 0..5 {
        let mut outputs = honest.outputs.clone();
        for word in 0..outputs[liar].len() / 4 {
            bend(&mut outputs[liar], word, 5);
        }
        let wrong = honest.wrong(&outputs);
        assert_eq!(wrong, [(liar, Wrong::Unequal { unit: Some(0) })], "job {liar}");
    }

    // A column of another job in the place of its own: two columns exchanged.
    let mut outputs = honest.outputs.clone();
    let column = outputs[0][..160].to_vec();
    outputs[0][..160].copy_from_slice(&honest.outputs[1][..160]);
    outputs[1][..160].copy_from_slice(&column);
    let wrong: Vec<usize> = honest.wrong(&outputs).iter().map(|(job, _)| *job).collect();
    assert_eq!(wrong, [0, 1]);

    // Another number of iterations, a stale seed, and all zeros.
    for other in [spec(b"lies", 40, 15), spec(b"lies", 40, 17), spec(b"lie", 40, 16), spec(b"lies\0", 40, 16)] {
        let outputs = work(other, 5).outputs;
        assert_eq!(honest.wrong(&outputs).len(), 5);
    }
    let zeros: Vec<Vec<u8>> = honest.outputs.iter().map(|output| vec![0; output.len()]).collect();
    assert_eq!(honest.wrong(&zeros).len(), 5);
}

#[test]
fn bytes_that_no_run_writes_are_refused_by_name() {
    let honest = work(spec(b"bytes", 16, 4), 1);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut output = honest.outputs[0].clone();
        change(&mut output);
        honest.wrong(&[output]).pop().map(|(_, wrong)| wrong.to_string()).unwrap_or_default()
    };
    let said = [
        with(&|output| output.truncate(1023)),
        with(&|output| output.push(0)),
        with(&|output| output.clear()),
        with(&|output| output[4 * 37..][..4].copy_from_slice(&0x7fff_ffffu32.to_le_bytes())),
        with(&|output| output[4 * 5..][..4].copy_from_slice(&u32::MAX.to_le_bytes())),
    ];
    let expected = [
        "the output has 1023 bytes, and the job has 1024",
        "the output has 1025 bytes, and the job has 1024",
        "the output has 0 bytes, and the job has 1024",
        "the output's value 37 is 0x7fffffff, which no run writes",
        "the output's value 5 is 0xffffffff, which no run writes",
    ];
    assert_eq!(said, expected);
}

// KER-8: the digest is of the carried vectors, so it is the same for every job and another under another secret.
#[test]
fn a_digest_belongs_to_its_secret_and_its_task() {
    let work = work(spec(b"digest", 24, 16), 3);
    let judged = work.judge(&work.outputs, secret(1));
    assert!(judged.iter().all(|one| (one.sample, one.digest) == (judged[0].sample, judged[0].digest)));
    let other = work.judge(&work.outputs, secret(2));
    assert_ne!((judged[0].sample, judged[0].digest), (other[0].sample, other[0].digest));
    let mut bound = secret(1);
    bound.task = TaskId(Digest([8; 32]));
    assert_ne!(work.judge(&work.outputs, bound)[0].sample, judged[0].sample);
}

// KER-9, SYN-8: a disputed column, computed again by scalar code, is the column of the output.
#[test]
fn a_disputed_column_is_the_one_of_the_output() {
    let work = work(spec(b"dispute", 33, 16), 4);
    for (job, output) in work.plan.jobs().zip(&work.outputs) {
        let count = work.task.unit_count(&job.geometry).expect("a job of the plan");
        for unit in 0..count {
            let again = work.task.unit(&job.geometry, unit, &Watch::new()).expect("a unit of the job");
            let range = work.task.unit_bytes(&job.geometry, unit).expect("a unit of the job");
            assert_eq!(again, output[range]);
        }
        let beyond = work.task.unit(&job.geometry, count, &Watch::new());
        assert_eq!(beyond, Err(RunError::Unit { count, found: count }));
    }
    let files = work.task.assemble(&work.plan, &work.outputs).expect("all outputs");
    assert_eq!(files, [("columns.bin".to_owned(), work.outputs.concat())]);
}

#[test]
fn a_cancelled_run_or_check_ends_with_its_reason() {
    let work = work(spec(b"cancel", 16, 100), 1);
    let watch = Watch::new();
    watch.cancel();
    let job = work.plan.job(JobIndex(0)).expect("one job");
    assert_eq!(work.task.run(&job.geometry, Cpu::best(), &watch), Err(RunError::Cancelled));
    assert_eq!(work.task.checker(secret(1), Effort::Full, Cpu::best(), &watch).err(), Some(RunError::Cancelled));
    assert_eq!(work.task.unit(&job.geometry, 0, &watch), Err(RunError::Cancelled));
}

/// How many random specs: 10,000, as the promise says; a hundred times as many where the long tests are asked for.
fn cases() -> u32 {
    if std::env::var_os("CPC_LONG").is_some() { 1_000_000 } else { 10_000 }
}

// Completeness is not a probability: an honest output satisfies the equation whatever the secret is.
#[test]
fn honest_work_is_never_refused_in_ten_thousand_random_specs() {
    // Ten thousand tiny tasks on one thread: between threads they would mostly wait for each other.
    let executor = Reference::new(Cpu::best(), 1).expect("a thread");
    let done = executor.with(|_| {
        let specs = (prop::collection::vec(any::<u8>(), 1..=32), 16u32..40, 4u32..12, any::<u8>(), any::<u32>());
        let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
        TestRunner::new(config).run(&specs, |(seed, n, t, byte, jobs)| {
            let spec = spec(&seed, n, t);
            let most = kernel().price(&spec.bytes()).expect("within the bounds").jobs_max;
            let work = work(spec, 1 + jobs % most);
            let judged = work.judge(&work.outputs, secret(byte));
            match judged.iter().find_map(|judgement| judgement.wrong.clone()) {
                None => Ok(()),
                Some(wrong) => Err(TestCaseError::fail(format!("{:?}: {wrong}", work.spec))),
            }
        })
    });
    assert_eq!(done, Ok(()));
    println!("0 of {} honest tasks refused", cases());
}
