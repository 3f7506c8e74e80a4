//! What can go wrong with a ladder as a whole. What goes wrong on one rung is a
//! [`crate::samples::Failure`], a result.

use std::path::PathBuf;

/// Errors of a ladder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The page of counters.
    #[error(transparent)]
    Counters(#[from] narrows_gate::Error),
    /// A request that cannot become a plan.
    #[error("{0}")]
    Request(String),
    /// The operating system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A ladder file could not be read or written.
    #[error("{path}{at}: {detail}", path = path.display(), at = line.map(|l| format!(" line {l}")).unwrap_or_default())]
    File {
        /// The file.
        path: PathBuf,
        /// Line number from 1, where it is known.
        line: Option<usize>,
        /// What is wrong and what to do.
        detail: String,
    },
}
