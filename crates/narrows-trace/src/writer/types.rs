//! Plain values that go into the writer, and its error.

use crate::{CallId, CodeAddr, LockAddr, Nanos, ObjectId, Ticks, Tid, WaitKind};

/// What the writer may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of timeline kept per process; 0: no timeline, statistics only.
    pub timeline_bytes: u64,
    /// Threads alive at once that get a slot.
    pub max_threads: u32,
    /// Bytes of the log at most: names, modules, notes, and in three quarters of it ended threads
    /// one by one (beyond, they are combined).
    pub log_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeline_bytes: 256 << 20,
            max_threads: 4096,
            log_bytes: 32 << 20,
        }
    }
}

/// Why no writer could be made. The host goes on untraced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriterError {
    /// A system call failed.
    #[error("{call} on {what} failed with error {errno}")]
    Os {
        /// The system call.
        call: &'static str,
        /// Folder or file.
        what: &'static str,
        /// Error number.
        errno: i32,
    },
    /// A writer that this process made itself cannot be replaced.
    #[error("the writer belongs to this process: it was not inherited by fork")]
    NotAChild,
    /// The folder's name is too long or empty.
    #[error("the trace folder's name must be absolute and at most {limit} bytes long")]
    BadFolder {
        /// Longest name that is taken.
        limit: usize,
    },
}

/// A shared object that was mapped.
#[derive(Clone, Copy, Debug)]
pub struct Module<'a> {
    /// When it was seen.
    pub at: Ticks,
    /// Lowest mapped address.
    pub base: CodeAddr,
    /// One past the highest mapped address.
    pub end: CodeAddr,
    /// What to subtract from an address to get the file's own virtual address.
    pub bias: u64,
    /// Path as the dynamic linker knows it; not necessarily UTF-8.
    pub path: &'a [u8],
    /// Bytes of the build id; empty: none.
    pub build_id: &'a [u8],
}

/// One contended wait.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// What was waited on.
    pub kind: WaitKind,
    /// The lock object.
    pub lock: LockAddr,
    /// Return address of the lock function: who waited.
    pub site: CodeAddr,
    /// Who held the lock when the wait began; `None`: not known.
    pub owner: Option<Tid>,
    /// Before the wait.
    pub start: Ticks,
    /// After the wait.
    pub end: Ticks,
    /// True when the wait ended without the lock (time-out, error).
    pub failed: bool,
}

/// Work seen on the GPU's own clock.
#[derive(Clone, Copy, Debug)]
pub struct GpuSpan {
    /// Queue or stream that ran it.
    pub queue: ObjectId,
    /// Start on the GPU's clock.
    pub begin: Nanos,
    /// End on the GPU's clock.
    pub end: Nanos,
    /// The call that submitted it.
    pub call: CallId,
    /// Ties the span to a submission; 0: none.
    pub correlation: u64,
}

/// Thread CPU time and context switches so far.
#[derive(Clone, Copy, Debug)]
pub struct CpuSample {
    /// When it was read.
    pub at: Ticks,
    /// CPU time of the thread since its start.
    pub cpu: Nanos,
    /// Time the thread was ready to run without a core (second number of
    /// `/proc/thread-self/schedstat`), since its start; `None`: could not be read. Attribution needs
    /// it for the layer `scheduler`.
    pub ready: Option<Nanos>,
    /// Voluntary context switches since its start.
    pub voluntary: u64,
    /// Involuntary context switches since its start.
    pub involuntary: u64,
}
