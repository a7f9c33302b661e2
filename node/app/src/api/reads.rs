//! Work that may take long, on threads of its own: at most so much at once, so that it never starves the answers.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use cpc_primitives::Fault;
use tokio::sync::Semaphore;

use super::problem::{Problem, broken};

/// How long a request waits for its turn.
const TURN_TIME_MAX: Duration = Duration::from_secs(2);

/// A bounded number of places for work that blocks its thread.
pub(super) struct Reads {
    places: Arc<Semaphore>,
    turn_time_max: Duration,
}

impl Reads {
    /// So many at the same time.
    pub(super) fn new(places: u32) -> Self {
        let places = usize::try_from(places).unwrap_or(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), turn_time_max: TURN_TIME_MAX }
    }

    /// Does it when its turn comes.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let turn = tokio::time::timeout(self.turn_time_max, Arc::clone(&self.places).acquire_owned()).await;
        let place = turn.map_err(|_| busy("every place for reading the disk is taken"))?;
        let place = place.expect("nobody closes the semaphore");
        let done = tokio::task::spawn_blocking(move || {
            // The place is free when the work is done, also where nobody waits for it any more.
            let _place = place;
            work()
        });
        done.await.map_err(|error| broken(&Fault::Invariant { detail: error.to_string() }))
    }

    /// The same for a read that the disk may refuse.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run(read).await?.map_err(|fault| broken(&fault))
    }
}

/// Too much at once.
pub(super) fn busy(detail: &str) -> Problem {
    let hint = "ask again in a second, or run a node of your own";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail, hint).retry_after(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_finds_no_place_is_told_when_to_come_back() {
        let reads = Reads { turn_time_max: Duration::from_millis(20), ..Reads::new(1) };
        let (go, told) = std::sync::mpsc::channel::<()>();
        let (began, begun) = tokio::sync::oneshot::channel();
        let first = reads.run(move || {
            began.send(()).expect("the test waits");
            told.recv()
        });
        let second = async {
            begun.await.expect("the first has begun");
            let refused = reads.run(|| ()).await.expect_err("no place");
            go.send(()).expect("the first waits");
            refused
        };
        let (first, refused) = tokio::join!(first, second);
        assert_eq!((refused.status.as_u16(), refused.code, refused.retry_after), (503, "busy", Some(1)));
        assert_eq!(first, Ok(Ok(())));
        assert_eq!(reads.run(|| 7).await, Ok(7), "the place is free again");
    }
}
