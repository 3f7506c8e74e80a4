//! The writer: one [`Writer`] per process, one [`ThreadHandle`] per thread.
//!
//! All hot methods are on [`ThreadHandle`]; none reads a clock, allocates, locks, or fails. The
//! handle is not re-entrant: the caller keeps a guard per thread (a hook that is entered while
//! the thread is inside the recorder only counts [`Loss::Reentered`]).
//!
//! After `fork` the child's handles and its copy of the writer turn inert by themselves
//! ([`Writer::is_mine`] is false, every method does nothing); the child makes a writer of its own
//! with [`Writer::create_after_fork`].

use crate::{
    Api, CallId, CallKind, CodeAddr, LockAddr, Loss, Nanos, ObjectId, Ticks, Tid, WaitKind,
};
use core::ffi::CStr;
use core::marker::PhantomData;

/// What the writer may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of timeline kept per process; 0: no timeline, statistics only.
    pub timeline_bytes: u64,
    /// Threads alive at once that get a slot.
    pub max_threads: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeline_bytes: 256 << 20,
            max_threads: 4096,
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
    /// Voluntary context switches since its start.
    pub voluntary: u64,
    /// Involuntary context switches since its start.
    pub involuntary: u64,
}

/// Records one process. A plain pointer: copy it, keep it in a static.
#[derive(Clone, Copy, Debug)]
pub struct Writer(());

/// Records one thread. Kept by the caller in thread-local storage; never sent elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct ThreadHandle(PhantomData<*mut ()>);

impl Writer {
    /// Makes `FOLDER/p<pid>.<n>/` and maps its files. `folder` is absolute and exists. Uses raw
    /// system calls and mapped memory only: it may run before the C library is ready.
    pub fn create(folder: &CStr, options: &Options) -> Result<Self, WriterError> {
        let _ = (folder, options);
        Ok(Self(()))
    }

    /// Like [`Writer::create`], in a child after `fork`: also lets go of the parent's mappings.
    pub fn create_after_fork(self, folder: &CStr, options: &Options) -> Result<Self, WriterError> {
        Self::create(folder, options)
    }

    /// False in a child after `fork` (0.2 ns).
    #[inline(always)]
    pub fn is_mine(self) -> bool {
        true
    }

    /// Gives a call its id. Thread-safe; meant for the first use of a call, not for every one.
    /// A full table gives [`CallId::OTHER`] and counts the loss.
    pub fn register_call(self, name: &[u8], api: Api, kind: CallKind) -> CallId {
        let _ = (name, api, kind);
        CallId::OTHER
    }

    /// Starts recording the calling thread. `None` when no slot is left (counted) or after
    /// `fork`.
    ///
    /// # Safety
    /// `tid` is the calling thread's. The handle is used on this thread only, not from a signal
    /// handler that interrupted another of its methods, and not after [`ThreadHandle::retire`].
    pub unsafe fn thread(self, tid: Tid) -> Option<ThreadHandle> {
        let _ = tid;
        None
    }

    /// Records a shared object.
    pub fn module_loaded(self, module: &Module<'_>) {
        let _ = module;
    }

    /// Records that the shared object at `base` is gone.
    pub fn module_unloaded(self, base: CodeAddr, at: Ticks) {
        let _ = (base, at);
    }

    /// A key and a value for the report: coverage, versions, settings.
    pub fn note(self, key: &[u8], value: &[u8]) {
        let _ = (key, value);
    }

    /// Counts what happened outside any thread's handle and could not be recorded.
    pub fn lost(self, why: Loss, count: u64) {
        let _ = (why, count);
    }

    /// Takes a (tick, monotonic) pair now.
    pub fn clock_pair(self) {}

    /// Marks a regular end. Nothing is unmapped: threads may still run.
    pub fn finish(self) {}
}

impl ThreadHandle {
    /// A finished call: statistics and a timeline event.
    #[inline]
    pub fn call(self, call: CallId, start: Ticks, end: Ticks, object: ObjectId, failed: bool) {
        let _ = (call, start, end, object, failed);
    }

    /// A finished call, statistics only.
    #[inline]
    pub fn call_untraced(self, call: CallId, start: Ticks, end: Ticks, failed: bool) {
        let _ = (call, start, end, failed);
    }

    /// A finished call without clocks: counted only.
    #[inline]
    pub fn count(self, call: CallId, failed: bool) {
        let _ = (call, failed);
    }

    /// Says which call the thread is in from now on; give what it returns to
    /// [`ThreadHandle::leave_call`]. Other threads that wait for this one see it.
    #[inline]
    pub fn enter_call(self, call: CallId) -> CallId {
        let _ = call;
        CallId::NONE
    }

    /// Restores what [`ThreadHandle::enter_call`] returned.
    #[inline]
    pub fn leave_call(self, previous: CallId) {
        let _ = previous;
    }

    /// The call the thread is in.
    #[inline]
    pub fn current_call(self) -> CallId {
        CallId::NONE
    }

    /// A contended wait: statistics by site and lock, and a timeline event. The call the thread
    /// is in and the call the owner is in are added here.
    #[inline]
    pub fn wait(self, wait: &Wait) {
        let _ = wait;
    }

    /// An uncontended acquisition: counted by kind and site.
    #[inline]
    pub fn acquire(self, kind: WaitKind, site: CodeAddr) {
        let _ = (kind, site);
    }

    /// Something that lets another thread go on: a signal, a post, a futex wake.
    #[inline]
    pub fn wake(self, kind: WaitKind, lock: LockAddr, site: CodeAddr, at: Ticks) {
        let _ = (kind, lock, site, at);
    }

    /// One unit of work of the program, from its start to its end.
    #[inline]
    pub fn op(self, start: Ticks, end: Ticks, object: ObjectId) {
        let _ = (start, end, object);
    }

    /// A mark of the program; `mark` was registered with [`CallKind::Mark`].
    #[inline]
    pub fn mark(self, mark: CallId, value: u64, at: Ticks) {
        let _ = (mark, value, at);
    }

    /// Work on the GPU's clock.
    #[inline]
    pub fn gpu_span(self, span: &GpuSpan) {
        let _ = span;
    }

    /// One instant on the GPU's clock and on ours, for `queue`.
    #[inline]
    pub fn gpu_clock(self, queue: ObjectId, gpu: Nanos, at: Ticks) {
        let _ = (queue, gpu, at);
    }

    /// Thread CPU time and context switches so far.
    #[inline]
    pub fn cpu_sample(self, sample: &CpuSample) {
        let _ = sample;
    }

    /// Counts what this thread could not record.
    #[inline]
    pub fn lost(self, why: Loss, count: u64) {
        let _ = (why, count);
    }

    /// Names the thread (at most 15 bytes are kept).
    pub fn set_name(self, name: &[u8]) {
        let _ = name;
    }

    /// Ends the thread: its numbers stay in the trace, its slot serves another thread.
    pub fn retire(self) {}
}
