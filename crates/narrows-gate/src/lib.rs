//! A gate that threads and processes pass at the same instant and that tells all of them when a
//! round is over, and [`Counters`] that one process
//! reads while others count.
//!
//! The gate promises: nobody passes before the opener has seen everybody arrive, and a waiter burns CPU only
//! between its arrival and the opening (parking between blocks is the caller's, by channel or
//! pipe). The page lives on the heap for threads and in a mapped file for processes. This crate is
//! separate because mapping a file is the one thing in the scan path that safe Rust cannot do.

mod counters;
mod page;

pub use counters::Counters;
use page::{Memory, Page};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Spins between two looks at the clock and two offers to yield.
const SPINS: u32 = 64;

/// What can go wrong at a gate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The gate's file could not be made or mapped.
    #[error("start gate {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not a gate.
    #[error("start gate {path}: not a gate file")]
    Foreign {
        /// The file.
        path: String,
    },
    /// Somebody did not arrive, or nobody opened.
    #[error("start gate: waited {waited:?} for {missing}")]
    Timeout {
        /// How long.
        waited: Duration,
        /// For whom.
        missing: String,
    },
}

/// Number of an opening; the first is 1. Each block of a run uses the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round(pub u32);

/// A gate shared by threads, or by processes that opened the same file.
pub struct Gate {
    memory: Memory,
}

impl Gate {
    /// A gate for the threads of this process.
    pub fn local() -> Self {
        Gate {
            memory: Memory::local(),
        }
    }

    /// Makes the file at `path` (replacing what is there) and maps it.
    pub fn create(path: &Path) -> Result<Self, Error> {
        Memory::create(path).map(|memory| Gate { memory })
    }

    /// Maps a gate that another process has made.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Memory::open(path).map(|memory| Gate { memory })
    }

    fn page(&self) -> &Page {
        self.memory.page()
    }

    /// Arrives and waits for the opening of `round`.
    pub fn pass(&self, round: Round, limit: Duration) -> Result<(), Error> {
        let page = self.page();
        page.arrived.fetch_add(1, Ordering::AcqRel);
        wait_until(limit, || page.opened.load(Ordering::Acquire) == round.0).map_err(|waited| {
            Error::Timeout {
                waited,
                missing: "the opening".into(),
            }
        })
    }

    /// Ends what began with the opening of `round`.
    pub fn close(&self, round: Round) {
        self.page().closed.store(round.0, Ordering::Release);
    }

    /// Whether `round` is over: one load, for those who work in it to ask again and again.
    #[inline]
    pub fn is_closed(&self, round: Round) -> bool {
        self.page().closed.load(Ordering::Relaxed) == round.0
    }

    /// Waits until `expected` have arrived, calls `mark` (a clock read) and opens `round`.
    pub fn open_for<T>(
        &self,
        round: Round,
        expected: u32,
        limit: Duration,
        mark: impl FnOnce() -> T,
    ) -> Result<T, Error> {
        let page = self.page();
        wait_until(limit, || page.arrived.load(Ordering::Acquire) >= expected).map_err(
            |waited| {
                let here = page.arrived.load(Ordering::Acquire);
                Error::Timeout {
                    waited,
                    missing: format!("{} of {expected}", expected - here),
                }
            },
        )?;
        page.arrived.store(0, Ordering::Release);
        let marked = mark();
        page.opened.store(round.0, Ordering::Release);
        Ok(marked)
    }
}

/// Spins and yields until `done`, so that more waiters than cores still all arrive.
fn wait_until(limit: Duration, done: impl Fn() -> bool) -> Result<(), Duration> {
    let begin = Instant::now();
    loop {
        for _ in 0..SPINS {
            if done() {
                return Ok(());
            }
            std::hint::spin_loop();
        }
        if begin.elapsed() > limit {
            return Err(begin.elapsed());
        }
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn nobody_passes_before_the_opening() {
        let gate = Arc::new(Gate::local());
        let passed = Arc::new(AtomicU32::new(0));
        for round in 1..=50 {
            passed.store(0, Ordering::SeqCst);
            std::thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        gate.pass(Round(round), LIMIT).unwrap();
                        passed.fetch_add(1, Ordering::SeqCst);
                    });
                }
                let before =
                    gate.open_for(Round(round), 6, LIMIT, || passed.load(Ordering::SeqCst));
                assert_eq!(before.unwrap(), 0);
            });
            assert_eq!(passed.load(Ordering::SeqCst), 6);
        }
    }

    #[test]
    fn a_file_is_shared_by_two_mappings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate");
        let ours = Gate::create(&path).unwrap();
        let theirs = Gate::open(&path).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| theirs.pass(Round(1), LIMIT).unwrap());
            ours.open_for(Round(1), 1, LIMIT, || ()).unwrap();
        });
    }

    #[test]
    fn a_round_is_closed_for_all_who_share_the_gate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate");
        let ours = Gate::create(&path).unwrap();
        let theirs = Gate::open(&path).unwrap();
        assert!(!theirs.is_closed(Round(1)));
        ours.close(Round(1));
        assert!(theirs.is_closed(Round(1)) && !theirs.is_closed(Round(2)));
    }

    #[test]
    fn a_missing_worker_is_counted() {
        let gate = Gate::local();
        let error = gate
            .open_for(Round(1), 3, Duration::from_millis(20), || ())
            .unwrap_err();
        assert!(error.to_string().contains("3 of 3"), "{error}");
    }

    #[test]
    fn foreign_and_missing_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let foreign = folder.path().join("foreign");
        std::fs::write(&foreign, [7u8; 4096]).unwrap();
        assert!(matches!(Gate::open(&foreign), Err(Error::Foreign { .. })));
        let short = folder.path().join("short");
        std::fs::write(&short, [0u8; 3]).unwrap();
        assert!(matches!(Gate::open(&short), Err(Error::Foreign { .. })));
        assert!(matches!(
            Gate::open(&folder.path().join("none")),
            Err(Error::File { .. })
        ));
    }
}
