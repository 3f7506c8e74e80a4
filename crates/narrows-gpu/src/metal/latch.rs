//! Counts what completion handlers report, for a thread that sleeps until enough has come.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A count that only grows.
#[derive(Default)]
pub(super) struct Latch {
    count: Mutex<u64>,
    grown: Condvar,
}

impl Latch {
    /// One more has completed.
    pub(super) fn add(&self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        drop(count);
        self.grown.notify_one();
    }

    /// Sleeps until `wanted` have completed, at most `limit`; whether they have.
    pub(super) fn wait_for(&self, wanted: u64, limit: Duration) -> bool {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, _) = self
            .grown
            .wait_timeout_while(count, limit, |count| *count < wanted)
            .unwrap_or_else(PoisonError::into_inner);
        *count >= wanted
    }
}
