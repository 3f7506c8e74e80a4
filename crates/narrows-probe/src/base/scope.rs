//! What a hook does around the real call.

use super::local::{Local, Mode, local};
use super::{control, cpu, state};
use core::sync::atomic::{AtomicU32, Ordering};
use narrows_trace::writer::ThreadHandle;
use narrows_trace::{Api, CallId, CallKind, ObjectId, Ticks};

/// A hooked function. Make one `static` per function; its id in the recording is asked for on
/// first use, and again in a child after `fork`.
pub(crate) struct Call {
    name: &'static str,
    api: Api,
    kind: CallKind,
    /// Generation of the recording (upper half) and the id in it (lower half).
    id: AtomicU32,
}

impl Call {
    /// `name` is what reports print.
    pub(crate) const fn new(name: &'static str, api: Api, kind: CallKind) -> Self {
        Self {
            name,
            api,
            kind,
            id: AtomicU32::new(0),
        }
    }

    /// The function's name.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// What the function does.
    pub(crate) const fn kind(&self) -> CallKind {
        self.kind
    }

    /// The id in the present recording. Lock-free after the first use.
    #[inline(always)]
    pub(crate) fn id(&self) -> CallId {
        let known = self.id.load(Ordering::Relaxed);
        if known >> 16 == state::generation() {
            return CallId(known as u16);
        }
        self.register()
    }

    /// Gives the call an id of the caller's choice, in the present recording.
    pub(crate) fn preset(&self, id: CallId) {
        let known = state::generation() << 16 | u32::from(id.0);
        self.id.store(known, Ordering::Relaxed);
    }

    #[cold]
    #[inline(never)]
    fn register(&self) -> CallId {
        let Some(writer) = state::writer() else {
            return CallId::NONE;
        };
        let generation = state::generation();
        let id = writer.register_call(self.name.as_bytes(), self.api, self.kind);
        self.id
            .store(generation << 16 | u32::from(id.0), Ordering::Relaxed);
        id
    }
}

/// One call of a hooked function, from just before the real call to [`Scope::leave`]. While it
/// lives, waits and nested calls of this thread belong to it, and others see that the thread is in
/// this call.
///
/// It has no destructor: a scope that is dropped (or unwound through by a cancelled thread)
/// records nothing, and the enclosing call restores what the thread is in.
#[must_use = "a scope records when it is left"]
pub(crate) struct Scope {
    local: &'static Local,
    handle: ThreadHandle,
    /// The call (lower half) and what its thread was in before.
    ids: u32,
    start: Ticks,
}

impl Scope {
    /// `None` when the call is not to be recorded: the probe is off, or the call comes from inside
    /// the probe.
    #[inline(always)]
    pub(crate) fn enter(call: &Call) -> Option<Self> {
        let (local, handle) = ready()?;
        let id = call.id();
        let previous = handle.enter_call(id);
        let start = Ticks::now();
        control::at_call(local, id);
        Some(Self {
            local,
            handle,
            ids: u32::from(id.0) | u32::from(previous.0) << 16,
            start,
        })
    }

    /// When the real call began.
    #[inline(always)]
    pub(crate) fn start(&self) -> Ticks {
        self.start
    }

    /// The id of the call, for GPU spans that it submits.
    #[inline(always)]
    pub(crate) fn call(&self) -> CallId {
        CallId(self.ids as u16)
    }

    #[inline(always)]
    fn previous(&self) -> CallId {
        CallId((self.ids >> 16) as u16)
    }

    /// The real call has returned: statistics and a timeline event. `object` is the queue, stream,
    /// command buffer or the like (`ObjectId(0)`: none). Gives the time of the end.
    #[inline(always)]
    pub(crate) fn leave(self, object: ObjectId, failed: bool) -> Ticks {
        let end = Ticks::now();
        let ids = u64::from(self.ids) | u64::from(failed) << 32;
        finish(self.local, self.handle, ids, self.start, end, object);
        end
    }

    /// [`Scope::leave`] for code that all calls of an API share, and that is small enough to have
    /// everything in one place.
    #[inline(always)]
    pub(crate) fn leave_here(self, object: ObjectId, failed: bool) {
        let end = Ticks::now();
        // Found again rather than kept: registers are scarce around the call.
        let local = local();
        // SAFETY: there is a scope, so the thread was `Ready`.
        let handle = unsafe { local.handle() };
        local.inside(|| {
            handle.leave_call(self.previous());
            handle.call(self.call(), self.start, end, object, failed);
        });
        cpu::sample_if_due(local, handle, end);
    }

    /// Like [`Scope::leave`], statistics only: for calls too frequent for the timeline.
    #[inline(always)]
    pub(crate) fn leave_untraced(self, failed: bool) -> Ticks {
        let end = Ticks::now();
        self.local.inside(|| {
            self.handle.leave_call(self.previous());
            self.handle
                .call_untraced(self.call(), self.start, end, failed);
        });
        end
    }

    /// Leaves without recording anything.
    #[inline(always)]
    pub(crate) fn abandon(self) {
        self.handle.leave_call(self.previous());
    }
}

/// The rest of [`Scope::leave`], once for all hooks. Six words, so that all are passed in
/// registers: `ids` is the call, what it returns to, and whether it failed.
#[inline(never)]
fn finish(
    local: &'static Local,
    handle: ThreadHandle,
    ids: u64,
    start: Ticks,
    end: Ticks,
    object: ObjectId,
) {
    let (call, previous) = (CallId(ids as u16), CallId((ids >> 16) as u16));
    local.inside(|| {
        handle.leave_call(previous);
        handle.call(call, start, end, object, ids >> 32 != 0);
    });
    cpu::sample_if_due(local, handle, end);
}

/// Records through the calling thread's handle, if it may record now: ops, marks, GPU spans.
#[inline(always)]
pub(crate) fn record(action: impl FnOnce(ThreadHandle)) {
    if let Some((local, handle)) = ready() {
        local.inside(|| action(handle));
    }
}

/// Counts a call without reading clocks.
#[inline(always)]
pub(crate) fn count(call: &Call, failed: bool) {
    if let Some((local, handle)) = ready() {
        let id = call.id();
        local.inside(|| handle.count(id, failed));
    }
}

/// Counts a call that is often made and short, before it is made; false: this one is to be timed
/// ([`Scope::enter`]), as are one in 31 and all of those that are not short
/// ([`ThreadHandle::is_due`]). Waits inside a call that is only counted have no call, and its
/// failure is not seen.
#[inline(always)]
pub(crate) fn count_query(call: &Call) -> bool {
    let Some((local, handle, id)) = to_count(call) else {
        return false;
    };
    local.inside(|| handle.count(id, false));
    control::at_call(local, id);
    true
}

/// What counts a call, if it is one to count.
#[inline(always)]
fn to_count(call: &Call) -> Option<(&'static Local, ThreadHandle, CallId)> {
    let local = local();
    // What needs more than a look (a new thread, a call without an id) is timed.
    let known = call.id.load(Ordering::Relaxed);
    if local.mode() != Mode::Ready || known >> 16 != state::generation() {
        return None;
    }
    // SAFETY: the mode is `Ready`.
    let handle = unsafe { local.handle() };
    let id = CallId(known as u16);
    (!handle.is_due(id)).then_some((local, handle, id))
}

/// One call that is often made and short, and that is only counted this time. Unlike those of
/// [`count_query`], it knows how the call ended, and waits inside it belong to it.
#[must_use = "a call is counted when it is left"]
pub(crate) struct Counted {
    /// The call (lower half) and what its thread was in before.
    ids: u32,
}

impl Counted {
    /// `None`: the call is to be timed ([`Scope::enter`]), or not to be recorded.
    #[inline(always)]
    pub(crate) fn enter(call: &Call) -> Option<Self> {
        let (local, handle, id) = to_count(call)?;
        let previous = handle.enter_call(id);
        control::at_call(local, id);
        Some(Self {
            ids: u32::from(id.0) | u32::from(previous.0) << 16,
        })
    }

    /// The real call has returned.
    #[inline(always)]
    pub(crate) fn leave(self, failed: bool) {
        // Found again rather than kept: registers are scarce around the call.
        let local = local();
        // SAFETY: the call was entered, so the thread was `Ready`.
        let handle = unsafe { local.handle() };
        local.inside(|| {
            handle.leave_call(CallId((self.ids >> 16) as u16));
            handle.count(CallId(self.ids as u16), failed);
        });
    }
}

/// The calling thread's block and handle, if it may record now.
#[inline(always)]
pub(crate) fn ready() -> Option<(&'static Local, ThreadHandle)> {
    let local = local();
    match local.mode() {
        Mode::Ready => {}
        Mode::Off => return None,
        _ => {
            if !state::ready_slow(local) {
                return None;
            }
        }
    }
    // SAFETY: the mode is `Ready`.
    let handle = unsafe { local.handle() };
    Some((local, handle))
}

/// Runs `work` so that nothing in it is recorded, and nothing counts as lost. An exception leaves
/// the thread as it was.
#[inline]
pub(crate) fn quietly<R>(work: impl FnOnce() -> R) -> R {
    let _quiet = Quiet::enter();
    work()
}

/// While it lives, hooks on this thread pass through. Harmless on threads that do not record.
pub(crate) struct Quiet {
    local: &'static Local,
    before: Mode,
}

impl Quiet {
    /// From now until drop.
    #[inline]
    pub(crate) fn enter() -> Self {
        let local = local();
        let before = local.mode();
        if before == Mode::Ready {
            local.set_mode(Mode::Quiet);
        }
        Self { local, before }
    }
}

impl Drop for Quiet {
    #[inline]
    fn drop(&mut self) {
        if self.before == Mode::Ready {
            self.local.set_mode(Mode::Ready);
        }
    }
}

/// Marks the probe's own work: functions called while it lives are not recorded. Harmless when
/// nested and on threads that do not record.
pub(crate) struct Inside {
    local: &'static Local,
    before: Mode,
}

impl Inside {
    /// From now until drop.
    pub(crate) fn enter() -> Self {
        let local = local();
        let before = local.mode();
        if before == Mode::Ready || before == Mode::Fresh {
            local.set_mode(Mode::Inside);
        }
        Self { local, before }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.local.set_mode(self.before);
    }
}
