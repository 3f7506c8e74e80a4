//! Why a file could not be read.

use std::path::PathBuf;

/// A file that gives no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        reason: std::io::Error,
    },
    /// The file is not ELF or Mach-O, or is damaged.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the parser objected to.
        reason: String,
    },
    /// The file is not the one that was loaded: its build id differs.
    #[error("{}: the file changed since it was loaded (build id {found}, expected {expected})", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Build id of the file as it is now, in hex; empty if it has none.
        found: String,
        /// Build id of the object that was loaded, in hex.
        expected: String,
    },
}
