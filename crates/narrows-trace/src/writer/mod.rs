//! The writer: one [`Writer`] per process, one [`ThreadHandle`] per thread.
//!
//! All hot methods are on [`ThreadHandle`]; none reads a clock, allocates, locks, or fails. The
//! handle is not re-entrant: the caller keeps a guard per thread (a hook that is entered while
//! the thread is inside the recorder only counts [`Loss::Reentered`]).
//!
//! After `fork` the child's handles and its copy of the writer turn inert by themselves
//! ([`Writer::is_mine`] is false, every method does nothing); the child makes a writer of its own
//! with [`Writer::create_after_fork`].

mod exit;
mod file;
mod log;
mod scratch;
mod settle;
mod shared;
mod start;
mod stats;
mod thread;
mod timeline;
mod types;

pub use scratch::Scratch;
pub use types::{CpuSample, GpuSpan, Module, Options, Wait, WriterError};

use crate::layout::log_tag;
use crate::{
    Api, CallId, CallKind, CodeAddr, LockAddr, Loss, Nanos, ObjectId, Ticks, Tid, WaitKind,
};
use core::ffi::CStr;
use core::sync::atomic::Ordering;
use log::{cut, words_of};
use shared::{Region, Shared};
use thread::ThreadState;

/// Records one process. A plain pointer: copy it, keep it in a static.
#[derive(Clone, Copy)]
pub struct Writer(&'static Region);

/// Records one thread. Kept by the caller in thread-local storage; never sent elsewhere.
#[derive(Clone, Copy)]
pub struct ThreadHandle(&'static ThreadState);

impl core::fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Writer")
            .field("is_mine", &self.is_mine())
            .finish_non_exhaustive()
    }
}

impl core::fmt::Debug for ThreadHandle {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("ThreadHandle")
            .field("number", &self.0.number)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// Makes `FOLDER/p<pid>.<n>/` and maps its files. `folder` is absolute and exists. Uses raw
    /// system calls and mapped memory only: it may run before the C library is ready.
    pub fn create(folder: &CStr, options: &Options) -> Result<Self, WriterError> {
        start::create(folder, options, None).map(Self)
    }

    /// Like [`Writer::create`], in a child after `fork`, on the writer inherited from the parent:
    /// also lets go of the parent's mappings and records whose child this is. Refused in the
    /// process that made `self`. Not to be called from inside another method of the parent's
    /// writer (a signal handler that forks).
    pub fn create_after_fork(self, folder: &CStr, options: &Options) -> Result<Self, WriterError> {
        if self.is_mine() {
            return Err(WriterError::NotAChild);
        }
        start::let_go_in_child(self.0);
        start::create(folder, options, Some(&self.0.kept)).map(Self)
    }

    /// False in a child after `fork`. One load, except on kernels before 4.14 and in emulators
    /// that cannot wipe memory on fork, where the process id is asked for.
    #[inline(always)]
    pub fn is_mine(self) -> bool {
        let shared = &self.0.shared;
        shared.alive.load(Ordering::Relaxed) != 0
            && (shared.wipes.load(Ordering::Relaxed) != 0 || shared.is_own_process())
    }

    /// The folder's number: `p<pid>.<number>` below the trace folder.
    pub fn folder_number(self) -> u32 {
        self.0.kept.number.load(Ordering::Relaxed)
    }

    fn mine(self) -> Option<&'static Shared> {
        self.is_mine().then_some(&self.0.shared)
    }

    /// Gives a call its id. Thread-safe; meant for the first use of a call, not for every one.
    /// A full table gives [`CallId::OTHER`] and counts the loss.
    pub fn register_call(self, name: &[u8], api: Api, kind: CallKind) -> CallId {
        let Some(shared) = self.mine() else {
            return CallId::OTHER;
        };
        let next = shared
            .next_call
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
                (next < u32::from(CallId::LIMIT)).then_some(next + 1)
            });
        let Ok(id) = next else {
            shared.lost(Loss::CallTable, 1);
            return CallId::OTHER;
        };
        if let Some(process) = shared.process() {
            process.last_call.fetch_max(id, Ordering::Relaxed);
        }
        if let Some(mut record) = shared.record_or_lose(log_tag::CALL, 2 + words_of(name)) {
            let numbers = u64::from(api.number()) << 16 | u64::from(kind.number()) << 24;
            record.word(u64::from(id) | numbers);
            record.word(cut(name).len() as u64);
            record.bytes(name);
            record.commit();
        }
        CallId(id as u16)
    }

    /// Starts recording the calling thread. `None` when no slot is left (counted) or after
    /// `fork`.
    ///
    /// # Safety
    /// `tid` is the calling thread's. The handle is used on this thread only, and not from a
    /// signal handler that interrupted another of its methods.
    pub unsafe fn thread(self, tid: Tid) -> Option<ThreadHandle> {
        let shared = self.mine()?;
        exit::reclaim_former(shared, tid);
        let handle = start::thread(shared, tid).or_else(|| {
            exit::reclaim(shared)
                .then(|| start::thread(shared, tid))
                .flatten()
        });
        if handle.is_none() {
            shared.lost(Loss::NoThreadSlot, 1);
        }
        shared.pair_if_due(Ticks::now().0);
        handle.map(ThreadHandle)
    }

    /// Records a shared object.
    pub fn module_loaded(self, module: &Module<'_>) {
        let Some(shared) = self.mine() else { return };
        let words = 5 + words_of(module.path) + words_of(module.build_id);
        let Some(mut record) = shared.record_or_lose(log_tag::MODULE_LOADED, words) else {
            return;
        };
        record.word(module.at.0);
        record.word(module.base.0);
        record.word(module.end.0);
        record.word(module.bias);
        record.word(lengths(module.path, module.build_id));
        record.bytes(module.path);
        record.bytes(module.build_id);
        record.commit();
    }

    /// Records that the shared object at `base` is gone.
    pub fn module_unloaded(self, base: CodeAddr, at: Ticks) {
        let Some(shared) = self.mine() else { return };
        if let Some(mut record) = shared.record_or_lose(log_tag::MODULE_UNLOADED, 2) {
            record.word(at.0);
            record.word(base.0);
            record.commit();
        }
    }

    /// A key and a value for the report: coverage, versions, settings.
    pub fn note(self, key: &[u8], value: &[u8]) {
        let Some(shared) = self.mine() else { return };
        let words = 1 + words_of(key) + words_of(value);
        if let Some(mut record) = shared.record_or_lose(log_tag::NOTE, words) {
            record.word(lengths(key, value));
            record.bytes(key);
            record.bytes(value);
            record.commit();
        }
    }

    /// Counts what happened outside any thread's handle and could not be recorded.
    pub fn lost(self, why: Loss, count: u64) {
        if let Some(shared) = self.mine() {
            shared.lost(why, count);
        }
    }

    /// Takes a (tick, monotonic) pair now.
    pub fn clock_pair(self) {
        if let Some(shared) = self.mine() {
            shared.pair_now();
        }
    }

    /// Marks a regular end. Nothing is unmapped: threads may still run, and what they record
    /// still counts.
    pub fn finish(self) {
        let Some(shared) = self.mine() else { return };
        shared.pair_now();
        if let Some(process) = shared.process() {
            process.ended.store(1, Ordering::Release);
        }
    }
}

/// Lengths of two byte strings as they are recorded.
fn lengths(first: &[u8], second: &[u8]) -> u64 {
    cut(first).len() as u64 | (cut(second).len() as u64) << 32
}

impl ThreadHandle {
    /// A finished call: statistics and a timeline event.
    #[inline]
    pub fn call(self, call: CallId, start: Ticks, end: Ticks, object: ObjectId, failed: bool) {
        self.0.call(call, start, end, object, failed);
    }

    /// A finished call, statistics only.
    #[inline]
    pub fn call_untraced(self, call: CallId, start: Ticks, end: Ticks, failed: bool) {
        self.0.observe(call, end.since(start), failed);
    }

    /// A finished call without clocks: counted only.
    #[inline]
    pub fn count(self, call: CallId, failed: bool) {
        self.0.count_call(call, failed);
    }

    /// For calls that are many and short: whether to time the next one ([`ThreadHandle::call`]) or
    /// only to count it ([`ThreadHandle::count`]). True for one in 31, and always while the timed
    /// ones are not short on average.
    #[inline]
    pub fn is_due(self, call: CallId) -> bool {
        self.0.is_due(call)
    }

    /// Says which call the thread is in from now on; give what it returns to
    /// [`ThreadHandle::leave_call`]. Other threads that wait for this one see it.
    #[inline]
    pub fn enter_call(self, call: CallId) -> CallId {
        self.0.swap_call(call)
    }

    /// Restores what [`ThreadHandle::enter_call`] returned.
    #[inline]
    pub fn leave_call(self, previous: CallId) {
        self.0.swap_call(previous);
    }

    /// The call the thread is in.
    #[inline]
    pub fn current_call(self) -> CallId {
        self.0.current_call()
    }

    /// A contended wait: statistics by site and lock, and a timeline event. The call the thread
    /// is in and the call the owner is in are added here.
    #[inline]
    pub fn wait(self, wait: &Wait) {
        self.0.wait(wait);
    }

    /// An uncontended acquisition: counted by kind and site.
    #[inline]
    pub fn acquire(self, kind: WaitKind, site: CodeAddr) {
        self.0.acquire(kind, site);
    }

    /// The same, if the site was counted before and is found at once; false: nothing was counted.
    /// A single addition: allowed also where a signal handler may do the same, which may then lose
    /// one of the two.
    #[inline]
    pub fn acquire_again(self, kind: WaitKind, site: CodeAddr) -> bool {
        self.0.acquire_again(kind, site)
    }

    /// Something that lets another thread go on: a signal, a post, a futex wake.
    #[inline]
    pub fn wake(self, kind: WaitKind, lock: LockAddr, site: CodeAddr, at: Ticks) {
        self.0.wake(kind, lock, site, at);
    }

    /// One unit of work of the program, from its start to its end.
    #[inline]
    pub fn op(self, start: Ticks, end: Ticks, object: ObjectId) {
        self.call(CallId::OP, start, end, object, false);
    }

    /// A mark of the program; `mark` was registered with [`CallKind::Mark`].
    #[inline]
    pub fn mark(self, mark: CallId, value: u64, at: Ticks) {
        self.0.mark(mark, value, at);
    }

    /// Work on the GPU's clock.
    #[inline]
    pub fn gpu_span(self, span: &GpuSpan) {
        self.0.gpu_span(span);
    }

    /// One instant on the GPU's clock and on ours, for `queue`.
    #[inline]
    pub fn gpu_clock(self, queue: ObjectId, gpu: Nanos, at: Ticks) {
        self.0.gpu_clock(queue, gpu, at);
    }

    /// Thread CPU time and context switches so far.
    #[inline]
    pub fn cpu_sample(self, sample: &CpuSample) {
        self.0.cpu_sample(sample);
    }

    /// Counts what this thread could not record.
    #[inline]
    pub fn lost(self, why: Loss, count: u64) {
        self.0.lost(why, count);
    }

    /// Names the thread (at most 16 bytes are kept).
    pub fn set_name(self, name: &[u8]) {
        let Some(slot) = self.0.slot.get() else {
            return;
        };
        for (place, part) in slot.name.iter().zip(name.chunks(8)) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(part) {
                *to = *from;
            }
            place.store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
    }

    /// Ends the thread: its numbers stay in the trace, its slot serves another thread. The handle
    /// must not be used afterwards: it may already record for another thread.
    pub fn retire(self) {
        if let Some(shared) = self.0.shared.get()
            && shared.is_own_process()
        {
            exit::retire(shared, self.0, Ticks::now());
        }
    }
}
