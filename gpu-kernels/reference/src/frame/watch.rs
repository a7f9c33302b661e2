//! How a run says how far it is, and how it is called off.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::frame::RunError;

/// Shared between a run and whoever waits for it: counts in units of work, and a flag that ends it.
#[derive(Debug, Default)]
pub struct Watch {
    cancelled: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
}

impl Watch {
    /// A watch on nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to end. It ends within the time of one step, with [`RunError::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the run was asked to end.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Steps done and steps in all; in all is 0 until the run knows.
    pub fn progress(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    /// Says that so many more steps lie ahead.
    pub fn expect(&self, steps: u64) {
        self.total.fetch_add(steps, Ordering::Relaxed);
    }

    /// Counts steps that are done; the run stops here where it was asked to (KER-6).
    pub fn advance(&self, steps: u64) -> Result<(), RunError> {
        self.done.fetch_add(steps, Ordering::Relaxed);
        if self.is_cancelled() { Err(RunError::Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_run_stops_at_its_next_step() {
        let watch = Watch::new();
        watch.expect(3);
        assert_eq!(watch.advance(1), Ok(()));
        watch.cancel();
        assert_eq!(watch.advance(1), Err(RunError::Cancelled));
        assert_eq!(watch.progress(), (2, 3));
    }
}
