//! Long work with a bar that says how far it is, and an end when somebody presses Ctrl-C.

use std::io::IsTerminal;
use std::thread;
use std::time::Duration;

use cpc_kernels::Watch;
use cpc_kernels::frame::{PrepareError, RunError};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::{Context, Exit, Failure, Output};

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// Does the work on another thread, and shows its steps, which `steps` names. Ctrl-C calls it off; it then ends within one
/// step.
pub fn watched<R: Send, E: Into<Failure> + Send>(
    what: &str,
    steps: &'static str,
    context: &Context,
    work: impl FnOnce(&Watch) -> Result<R, E> + Send,
) -> Result<R, Failure> {
    let cannot = |error: std::io::Error| Failure::new(Exit::Failed, format!("cannot listen for Ctrl-C: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let mut interrupts = runtime.block_on(async { signal(SignalKind::interrupt()) }).map_err(cannot)?;
    let (watch, bar) = (Watch::new(), bar(what, steps, context));
    let (done, mut ended) = oneshot::channel::<()>();
    let result = thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let result = work(&watch);
            drop(done);
            result
        });
        runtime.block_on(async {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    // The end first: a bar that is drawn after it says nothing.
                    _ = &mut ended => break,
                    _ = interrupts.recv() => watch.cancel(),
                    _ = ticks.tick() => {
                        let (steps, all) = watch.progress();
                        // Before the first step is known nothing is done: a bar without a length says so.
                        if all > 0 {
                            bar.set_length(all);
                            bar.set_position(steps.min(all));
                        }
                    }
                }
            }
        });
        worker.join()
    });
    bar.finish_and_clear();
    match result {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(Failure::new(Exit::Failed, format!("{what} panicked; its words stand above"))),
    }
}

fn bar(what: &str, steps: &'static str, context: &Context) -> ProgressBar {
    if context.quiet || context.output == Output::Json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{msg}  {wide_bar}  {percent:>3} %  {human_pos} of {human_len} {prefix}  {eta} left";
    let style = ProgressStyle::with_template(template).expect("a valid template");
    ProgressBar::no_length().with_style(style).with_message(what.to_owned()).with_prefix(steps)
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Cancelled => Self::new(Exit::Interrupted, "interrupted"),
            error @ (RunError::Geometry { .. } | RunError::Unit { .. } | RunError::Device { .. }) => {
                Self::new(Exit::Failed, error.to_string())
            }
        }
    }
}

impl From<PrepareError> for Failure {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::BadSpec(error) => Self::new(Exit::Refused, error.to_string()),
            PrepareError::Run(error) => error.into(),
        }
    }
}
