//! GPU times of OpenCL commands, only when asked for (`NARROWS_GPU_TIMES=1`).
//!
//! Queues are then made with profiling on, and each command's event is kept until its times can
//! be read: after a wait or finish, or when the next command finds room scarce. Results do not
//! change. What a program can see of it, only with the flag: event reference counts are one
//! higher for a while, and `CL_QUEUE_PROPERTIES_ARRAY` shows the added property
//! (`CL_QUEUE_PROPERTIES` does not).
//!
//! The clocks meet in `CL_PROFILING_COMMAND_QUEUED`, which is the instant of the enqueueing call
//! on the device's clock.

use super::{RULES, target};
use crate::base::{Inside, config, scope, state};
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use narrows_trace::writer::{GpuSpan, Writer};
use narrows_trace::{CallId, Loss, Nanos, ObjectId, Ticks};

const GET_COMMAND_QUEUE_INFO: usize = 12;
const CREATE_COMMAND_QUEUE: usize = 9;
const CREATE_COMMAND_QUEUE_WITH_PROPERTIES: usize = 123;
const WAIT_FOR_EVENTS: usize = 41;
const GET_EVENT_INFO: usize = 42;
const RETAIN_EVENT: usize = 43;
const RELEASE_EVENT: usize = 44;
const GET_EVENT_PROFILING_INFO: usize = 45;
const FINISH: usize = 47;

const QUEUE_PROPERTIES: u64 = 0x1093;
const PROFILING_ENABLE: u64 = 1 << 1;
const ON_DEVICE: u64 = 1 << 2;
const EXECUTION_STATUS: u32 = 0x11D3;
const PROFILING_QUEUED: u32 = 0x1280;
const PROFILING_START: u32 = 0x1282;
const PROFILING_END: u32 = 0x1283;
const COMPLETE: i32 = 0;

/// Commands whose times have not been read yet.
const PENDING: usize = 1024;
/// Queues that profile because of us.
const FORCED: usize = 256;
/// Longest property list that is copied.
const PROPERTIES: usize = 31;

const FREE: u32 = 0;
const FILLING: u32 = 1;
const READY: u32 = 2;

struct Pending {
    state: AtomicU32,
    event: AtomicPtr<c_void>,
    queue: AtomicU64,
    call: AtomicU32,
    enqueued: AtomicU64,
}

static TABLE: [Pending; PENDING] = [const {
    Pending {
        state: AtomicU32::new(FREE),
        event: AtomicPtr::new(null_mut()),
        queue: AtomicU64::new(0),
        call: AtomicU32::new(0),
        enqueued: AtomicU64::new(0),
    }
}; PENDING];
static NEXT: AtomicUsize = AtomicUsize::new(0);
static FORCED_QUEUES: [AtomicU64; FORCED] = [const { AtomicU64::new(0) }; FORCED];
static READING: AtomicBool = AtomicBool::new(false);

static WANTED: AtomicBool = AtomicBool::new(false);

/// Reads the setting, when the layer is put in place.
pub(super) fn decide() {
    let wanted = config::get().is_some_and(|config| config.gpu_times);
    WANTED.store(wanted, Ordering::Relaxed);
}

/// Whether GPU times are asked for.
#[inline(always)]
pub(super) fn wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// What is left to do when the call has been recorded.
#[derive(Clone, Copy)]
pub(super) enum After {
    /// Nothing.
    Nothing,
    /// Read the times of what is complete.
    Read,
    /// Keep a command's event, of which we hold one reference.
    Keep {
        /// The queue it was enqueued on.
        queue: u64,
        /// The event.
        event: *mut c_void,
    },
}

/// Makes the call of entry `index`, with its arguments changed as GPU times need.
#[inline(never)]
pub(super) fn timed<const N: usize>(
    index: usize,
    event: Option<u8>,
    arguments: [u64; N],
    call: impl Fn(&[u64; N]) -> u64,
) -> (u64, After) {
    match index {
        CREATE_COMMAND_QUEUE => (with_flag(arguments, call), After::Nothing),
        CREATE_COMMAND_QUEUE_WITH_PROPERTIES => (with_property(arguments, call), After::Nothing),
        GET_COMMAND_QUEUE_INFO => (masked(arguments, call), After::Nothing),
        WAIT_FOR_EVENTS | FINISH => (call(&arguments), After::Read),
        _ => match event {
            Some(position) => with_event(index, usize::from(position), arguments, call),
            None => (call(&arguments), After::Nothing),
        },
    }
}

/// `clCreateCommandQueue`: the properties are a number.
fn with_flag<const N: usize>(arguments: [u64; N], call: impl Fn(&[u64; N]) -> u64) -> u64 {
    let mut changed = arguments;
    let Some(properties) = changed.get_mut(2) else {
        return call(&arguments);
    };
    if *properties & PROFILING_ENABLE != 0 {
        return call(&arguments);
    }
    *properties |= PROFILING_ENABLE;
    forced_or_plain(arguments, changed, call)
}

/// `clCreateCommandQueueWithProperties`: the properties are a list that ends with 0.
fn with_property<const N: usize>(arguments: [u64; N], call: impl Fn(&[u64; N]) -> u64) -> u64 {
    let mut list = [0_u64; PROPERTIES];
    let mut changed = arguments;
    let Some(given) = changed.get_mut(2) else {
        return call(&arguments);
    };
    // SAFETY: null, or the API's list.
    let Some(length) = (unsafe { copy_list(*given as *const u64, &mut list) }) else {
        return call(&arguments);
    };
    let mut flags = None;
    for pair in list.chunks_exact_mut(2).take(length / 2) {
        if let [QUEUE_PROPERTIES, value] = pair {
            flags = Some(value);
        }
    }
    match flags {
        Some(flags) if *flags & (PROFILING_ENABLE | ON_DEVICE) != 0 => return call(&arguments),
        Some(flags) => *flags |= PROFILING_ENABLE,
        None => {
            if let Some([key, value, end]) = list.get_mut(length..length + 3) {
                (*key, *value, *end) = (QUEUE_PROPERTIES, PROFILING_ENABLE, 0);
            }
        }
    }
    *given = list.as_ptr() as u64;
    forced_or_plain(arguments, changed, call)
}

/// Copies a property list; its length without the end. `None`: too long to add to.
///
/// # Safety
/// `from` is null or points to a list that ends with 0.
unsafe fn copy_list(from: *const u64, to: &mut [u64; PROPERTIES]) -> Option<usize> {
    if from.is_null() {
        return Some(0);
    }
    for index in (0..PROPERTIES - 4).step_by(2) {
        // SAFETY: before the list's end.
        let key = unsafe { from.wrapping_add(index).read() };
        if key == 0 {
            return Some(index);
        }
        // SAFETY: a key has a value.
        let value = unsafe { from.wrapping_add(index + 1).read() };
        if let Some([k, v]) = to.get_mut(index..index + 2) {
            (*k, *v) = (key, value);
        }
    }
    None
}

/// Calls with the changed arguments; where that fails, with the program's own.
fn forced_or_plain<const N: usize>(
    plain: [u64; N],
    forced: [u64; N],
    call: impl Fn(&[u64; N]) -> u64,
) -> u64 {
    let queue = call(&forced);
    if queue == 0 {
        return call(&plain);
    }
    for slot in &FORCED_QUEUES {
        let taken = slot.compare_exchange(0, queue, Ordering::Relaxed, Ordering::Relaxed);
        if taken.is_ok() || taken == Err(queue) {
            break;
        }
    }
    queue
}

/// `clGetCommandQueueInfo`: the program sees the properties it asked for.
fn masked<const N: usize>(arguments: [u64; N], call: impl Fn(&[u64; N]) -> u64) -> u64 {
    let result = call(&arguments);
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
    let (queue, value) = (argument(0), argument(3) as *mut u64);
    let properties = argument(1) as u32 == QUEUE_PROPERTIES as u32;
    if result as u32 == 0 && properties && !value.is_null() && forced(queue) {
        // SAFETY: the API has just written 8 bytes here.
        let flags = unsafe { value.read_unaligned() };
        // SAFETY: as above.
        unsafe { value.write_unaligned(flags & !PROFILING_ENABLE) };
    }
    result
}

fn forced(queue: u64) -> bool {
    FORCED_QUEUES
        .iter()
        .any(|slot| slot.load(Ordering::Relaxed) == queue)
}

/// A command: its event is asked for where the program does not.
fn with_event<const N: usize>(
    index: usize,
    position: usize,
    arguments: [u64; N],
    call: impl Fn(&[u64; N]) -> u64,
) -> (u64, After) {
    let mut own: *mut c_void = null_mut();
    let own_at = &raw mut own;
    let mut changed = arguments;
    let wanted = match changed.get_mut(position) {
        Some(at) if *at == 0 => {
            *at = own_at as u64;
            false
        }
        _ => true,
    };
    let result = call(&changed);
    let at = changed.get(position).copied().unwrap_or(0) as *mut *mut c_void;
    // A failed command leaves the variable alone.
    if RULES
        .get(index)
        .is_none_or(|rule| rule.shape.failed(result))
    {
        return (result, After::Nothing);
    }
    // SAFETY: the API has just written it.
    let event = unsafe { at.read() };
    if event.is_null() {
        return (result, After::Nothing);
    }
    if wanted {
        retain(event);
    }
    let queue = arguments.first().copied().unwrap_or(0);
    (result, After::Keep { queue, event })
}

impl After {
    /// Does it. `call` and `start` are the enqueueing call's.
    pub(super) fn run(self, call: CallId, start: Ticks, end: Ticks) {
        match self {
            Self::Nothing => {}
            Self::Read => read_complete(),
            Self::Keep { queue, event } => {
                // The command was queued between the start and the end of the call.
                let at = Ticks(start.0 + end.since(start) / 2);
                if !keep(queue, event, call, at) {
                    read_complete();
                    if !keep(queue, event, call, at) {
                        release(event);
                        scope::record(|handle| handle.lost(Loss::GpuTime, 1));
                    }
                }
            }
        }
    }
}

/// Puts an event among the pending ones, if there is room near the next place.
fn keep(queue: u64, event: *mut c_void, call: CallId, at: Ticks) -> bool {
    for _ in 0..16 {
        let index = NEXT.fetch_add(1, Ordering::Relaxed) % PENDING;
        let Some(slot) = TABLE.get(index) else {
            return false;
        };
        let taken =
            slot.state
                .compare_exchange(FREE, FILLING, Ordering::Acquire, Ordering::Relaxed);
        if taken.is_ok() {
            slot.event.store(event, Ordering::Relaxed);
            slot.queue.store(queue, Ordering::Relaxed);
            slot.call.store(u32::from(call.0), Ordering::Relaxed);
            slot.enqueued.store(at.0, Ordering::Relaxed);
            slot.state.store(READY, Ordering::Release);
            return true;
        }
    }
    false
}

/// Reads the times of every pending event that is complete. One thread at a time; another one
/// leaves it to that thread.
fn read_complete() {
    if READING.swap(true, Ordering::Acquire) {
        return;
    }
    for slot in &TABLE {
        if slot.state.load(Ordering::Acquire) != READY {
            continue;
        }
        let event = slot.event.load(Ordering::Relaxed);
        let mut status = i32::MAX;
        if !info(GET_EVENT_INFO, event, EXECUTION_STATUS, &mut status) || status > COMPLETE {
            continue;
        }
        record(slot, event, status == COMPLETE);
        release(event);
        slot.state.store(FREE, Ordering::Release);
    }
    READING.store(false, Ordering::Release);
}

/// Records the times of a complete event.
fn record(slot: &Pending, event: *mut c_void, succeeded: bool) {
    let time = |name| {
        let mut value = 0_u64;
        info(GET_EVENT_PROFILING_INFO, event, name, &mut value).then_some(Nanos(value))
    };
    let times = (
        time(PROFILING_QUEUED),
        time(PROFILING_START),
        time(PROFILING_END),
    );
    scope::record(|handle| match times {
        (Some(queued), Some(begin), Some(end)) if succeeded && end.0 != 0 => {
            let queue = ObjectId(slot.queue.load(Ordering::Relaxed));
            let at = Ticks(slot.enqueued.load(Ordering::Relaxed));
            handle.gpu_clock(queue, queued, at);
            handle.gpu_span(&GpuSpan {
                queue,
                begin,
                end,
                call: CallId(slot.call.load(Ordering::Relaxed) as u16),
                correlation: at.0,
            });
        }
        _ => handle.lost(Loss::GpuTime, 1),
    });
}

/// One value from `clGetEventInfo` or `clGetEventProfilingInfo`.
fn info<T>(entry: usize, event: *mut c_void, name: u32, value: &mut T) -> bool {
    type Function =
        unsafe extern "C-unwind" fn(*mut c_void, u32, usize, *mut c_void, *mut usize) -> i32;
    let real = target(entry);
    if real.is_null() {
        return false;
    }
    // SAFETY: the entry has this type.
    let real = unsafe { core::mem::transmute::<*mut (), Function>(real) };
    let value: *mut T = value;
    let _inside = Inside::enter();
    // SAFETY: the event is one that we hold a reference of; the value has the size that is given.
    unsafe { real(event, name, size_of::<T>(), value.cast(), null_mut()) == 0 }
}

fn retain(event: *mut c_void) {
    count_reference(RETAIN_EVENT, event);
}

fn release(event: *mut c_void) {
    count_reference(RELEASE_EVENT, event);
}

fn count_reference(entry: usize, event: *mut c_void) {
    let real = target(entry);
    if real.is_null() {
        return;
    }
    // SAFETY: the entry has this type.
    let real = unsafe {
        core::mem::transmute::<*mut (), unsafe extern "C-unwind" fn(*mut c_void) -> i32>(real)
    };
    let _inside = Inside::enter();
    // SAFETY: the event is alive: the program's call has just returned it, or we hold a reference.
    unsafe { real(event) };
}

/// Says whether GPU times are on.
pub(super) fn note_coverage(writer: Writer) {
    if wanted() {
        let how = b"event profiling, forced on queues without it";
        writer.note(b"opencl.gpu-times", how);
    }
}

/// The process ends: what was not read is lost; the driver may be gone already.
pub(super) fn finish() {
    let Some(writer) = state::writer() else {
        return;
    };
    let pending = TABLE
        .iter()
        .filter(|slot| slot.state.load(Ordering::Relaxed) == READY)
        .count();
    if pending > 0 {
        writer.lost(Loss::GpuTime, pending as u64);
    }
}
