//! What can go wrong while measuring.

use std::path::PathBuf;
use std::time::Duration;

/// Errors of a scan. Each carries where it happened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The device or its driver.
    #[error(transparent)]
    Gpu(#[from] narrows_gpu::Error),
    /// The start gate.
    #[error(transparent)]
    Gate(#[from] narrows_gate::Error),
    /// A request that cannot become a plan.
    #[error("{0}")]
    Request(String),
    /// A point that the device cannot run; the words are the device's.
    #[error("{0}")]
    Impossible(String),
    /// A thread or worker process did not answer.
    #[error("{who} gave no answer within {limit:?}; the driver may hang")]
    Silent {
        /// Which thread or worker.
        who: String,
        /// How long was waited.
        limit: Duration,
    },
    /// A worker process of the pool could not start or ended early.
    #[error("pool worker {index}: {detail}")]
    Worker {
        /// Position in the pool.
        index: u32,
        /// What happened.
        detail: String,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A samples file could not be read.
    #[error("{path}{at}: {detail}", path = path.display(), at = line.map(|l| format!(" line {l}")).unwrap_or_default())]
    Samples {
        /// The file.
        path: PathBuf,
        /// Line number from 1, where it is known.
        line: Option<usize>,
        /// What is wrong and what to do.
        detail: String,
    },
}
