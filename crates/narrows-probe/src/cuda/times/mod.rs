//! GPU times of CUDA work, only when asked for (`NARROWS_GPU_TIMES=1`): CUPTI's activity records
//! of kernels, copies and memsets, turned into GPU spans.
//!
//! CUPTI is looked for ([`find`]) when the program's `cuInit` has succeeded; without it nothing
//! changes but a note in the recording. Its clock is read together with ours whenever records
//! come in. CUPTI has one client per process: a program that uses it itself (a profiler) keeps it,
//! and we step back ([`guard`]).
//!
//! What is asked of CUPTI, and where fields lie in its records ([`records`]), was read from the
//! public headers of versions 12.4 to 13.5; tests run against a stand-in.

mod find;
mod guard;
mod records;

pub(super) use guard::{guarded, is_guarded, is_profiler};

use super::{procaddress::enter, procaddress::leave};
use crate::base::local::{Errno, local};
use crate::base::{Inside, config, scope, state, sys};
use crate::trampoline::{Decimal, Rule};
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use find::Cupti;
use narrows_trace::{Loss, Nanos, ObjectId, Ticks};
use records::Span;
use std::sync::OnceLock;

/// Records fit into buffers of this size some 600 times; a full one is handed over.
const BUFFER: usize = 128 << 10;
/// Buffers that CUPTI may hold at once; it drops records, and counts them, beyond.
const BUFFERS: i32 = 512;
/// How often CUPTI hands over full buffers, in milliseconds.
const FLUSH_PERIOD: u32 = 200;
/// Also those that are not complete: for the end.
const FLUSH_FORCED: u32 = 1;
/// Queues that are told apart in one buffer.
const QUEUES: usize = 32;

/// Where CUPTI is in its life here.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Phase {
    /// Nobody asked yet.
    Idle = 0,
    /// A thread starts it.
    Starting = 1,
    /// Records come in.
    On = 2,
    /// Not used, or not any more.
    Off = 3,
}

static PHASE: AtomicU32 = AtomicU32::new(Phase::Idle as u32);
static CUPTI: OnceLock<Cupti> = OnceLock::new();
/// The process that started it: a forked child has no CUDA.
static PID: AtomicU32 = AtomicU32::new(0);
/// Buffers that CUPTI holds.
static HELD: AtomicI32 = AtomicI32::new(0);
/// The pair of instants from before the first record.
static FIRST: (AtomicU64, AtomicU64) = (AtomicU64::new(0), AtomicU64::new(0));
/// Spans recorded.
static SPANS: AtomicU32 = AtomicU32::new(0);

/// The driver's `cuInit`.
static INIT: AtomicPtr<()> = AtomicPtr::new(null_mut());
const NOT_INITIALIZED: c_int = 3;

fn phase_is(phase: Phase) -> bool {
    PHASE.load(Ordering::Acquire) == phase as u32
}

fn advance(from: Phase, to: Phase) -> bool {
    let (from, to) = (from as u32, to as u32);
    PHASE
        .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
        .is_ok()
}

/// Our `cuInit` in place of the driver's.
pub(super) fn stand_in(real: *const (), rule: &Rule) -> Option<*const ()> {
    if rule.name() != "cuInit" {
        return None;
    }
    let own = init as *const ();
    if !core::ptr::addr_eq(real, own) {
        INIT.store(real.cast_mut(), Ordering::Release);
    }
    Some(own)
}

unsafe extern "C-unwind" fn init(flags: u32) -> c_int {
    let real = INIT.load(Ordering::Acquire);
    if real.is_null() {
        return NOT_INITIALIZED;
    }
    type Init = unsafe extern "C-unwind" fn(u32) -> c_int;
    // SAFETY: the driver's function of this name has this type.
    let real = unsafe { core::mem::transmute::<*mut (), Init>(real) };
    let scope = enter(c"cuInit");
    // SAFETY: the caller meets the driver's contract.
    let status = unsafe { real(flags) };
    leave(scope, status);
    if status == 0 {
        start();
    }
    status
}

/// Starts CUPTI, if GPU times are wanted and nobody has yet.
fn start() {
    let wanted = config::get().is_some_and(|config| config.gpu_times);
    if !wanted || state::writer().is_none() || !advance(Phase::Idle, Phase::Starting) {
        return;
    }
    let _errno = Errno::keep();
    let _inside = Inside::enter();
    PID.store(sys::getpid(), Ordering::Relaxed);
    // What CUPTI calls while it starts is nobody's loss.
    let reentered = local().reentered.get();
    let begun = begin();
    local().reentered.set(reentered);
    match begun {
        Ok(cupti) => {
            // Not `On` if the program came to use CUPTI meanwhile.
            advance(Phase::Starting, Phase::On);
            super::look_again();
            note(&[b"CUPTI activity records, ", cupti.path()]);
        }
        Err(Refusal { why, status }) => {
            advance(Phase::Starting, Phase::Off);
            match status {
                0 => note(&[b"not used: ", why]),
                status => {
                    let status = Decimal::new(status.unsigned_abs());
                    note(&[b"not used: ", why, b" gave ", status.as_bytes()]);
                }
            }
        }
    }
}

/// Why CUPTI is not used.
struct Refusal {
    why: &'static [u8],
    /// What CUPTI answered; 0: it was not asked.
    status: c_int,
}

const fn refusal(why: &'static [u8]) -> Refusal {
    Refusal { why, status: 0 }
}

fn begin() -> Result<&'static Cupti, Refusal> {
    // SAFETY: a C string; the environment is read as `config` reads it.
    let injected = unsafe { libc::getenv(c"CUDA_INJECTION64_PATH".as_ptr()) };
    if !injected.is_null() {
        let why = b"another tool is injected (CUDA_INJECTION64_PATH)";
        return Err(refusal(why));
    }
    let found = find::find().ok_or(refusal(b"no usable libcupti was found"))?;
    let cupti = CUPTI.get_or_init(|| found);
    let tried = |why, status| match status {
        0 => Ok(()),
        status => Err(Refusal { why, status }),
    };
    tried(
        b"cuptiActivityRegisterCallbacks",
        cupti.register(requested, completed),
    )?;
    if let Some((theirs, ours)) = pair(cupti) {
        FIRST.0.store(theirs.0, Ordering::Relaxed);
        FIRST.1.store(ours.0, Ordering::Relaxed);
    }
    tried(b"cuptiActivityEnable", cupti.enable(records::KERNEL))?;
    for kind in records::OTHERS {
        cupti.enable(kind);
    }
    cupti.flush_every(FLUSH_PERIOD);
    // Before the end of CUPTI and of the driver, which were loaded earlier.
    // SAFETY: a function that lives as long as the process: this library is never unloaded.
    unsafe { libc::atexit(at_exit) };
    Ok(cupti)
}

fn note(parts: &[&[u8]]) {
    let Some(writer) = state::writer() else {
        return;
    };
    let mut text = [0_u8; 512];
    let mut used = 0;
    for byte in parts.iter().flat_map(|part| part.iter()) {
        if let Some(place) = text.get_mut(used) {
            *place = *byte;
            used += 1;
        }
    }
    writer.note(b"cuda.gpu-times", text.get(..used).unwrap_or(&[]));
}

/// The process uses CUPTI itself: it is all its own from now on.
fn step_back() {
    if advance(Phase::Idle, Phase::Off) {
        let wanted = config::get().is_some_and(|config| config.gpu_times);
        if wanted {
            note(&[b"not used: the program uses CUPTI itself"]);
        }
        return;
    }
    if advance(Phase::Starting, Phase::Off) || stop() {
        note(&[b"stopped: the program uses CUPTI itself"]);
    }
}

/// Ends the recording of activity and takes what there is. True: it was on.
fn stop() -> bool {
    let own = PID.load(Ordering::Relaxed) == sys::getpid();
    let (true, Some(cupti)) = (own && advance(Phase::On, Phase::Off), CUPTI.get()) else {
        return false;
    };
    let _errno = Errno::keep();
    for kind in core::iter::once(records::KERNEL).chain(records::OTHERS) {
        cupti.disable(kind);
    }
    cupti.flush(FLUSH_FORCED);
    true
}

extern "C" fn at_exit() {
    stop();
}

/// The process ends, by whatever way leads through our hooks.
pub(super) fn finish() {
    stop();
    if SPANS.load(Ordering::Relaxed) > 0
        && PID.load(Ordering::Relaxed) == sys::getpid()
        && let Some(writer) = state::writer()
    {
        let spans = Decimal::new(SPANS.swap(0, Ordering::Relaxed));
        writer.note(b"cuda.gpu-spans", spans.as_bytes());
    }
}

/// CUPTI's clock and ours at one instant.
fn pair(cupti: &Cupti) -> Option<(Nanos, Ticks)> {
    let before = Ticks::now();
    let theirs = cupti.timestamp()?;
    let middle = before.0 + Ticks::now().since(before) / 2;
    Some((theirs, Ticks(middle)))
}

/// CUPTI asks for an empty buffer.
unsafe extern "C" fn requested(buffer: *mut *mut u8, size: *mut usize, most: *mut usize) {
    let mut made = null_mut();
    if phase_is(Phase::On) || phase_is(Phase::Starting) {
        if HELD.fetch_add(1, Ordering::Relaxed) < BUFFERS {
            // The C library's, so that a program that gets one of ours can free it.
            // SAFETY: `made` is writable; the alignment is a power of two.
            unsafe { libc::posix_memalign(&raw mut made, 64, BUFFER) };
        }
        if made.is_null() {
            HELD.fetch_sub(1, Ordering::Relaxed);
        }
    }
    // SAFETY: CUPTI's variables.
    unsafe { buffer.write(made.cast()) };
    // SAFETY: as above.
    unsafe { size.write(if made.is_null() { 0 } else { BUFFER }) };
    // SAFETY: as above; 0: as many as fit.
    unsafe { most.write(0) };
}

/// CUPTI hands over a buffer of records.
unsafe extern "C" fn completed(
    context: *mut c_void,
    stream: u32,
    buffer: *mut u8,
    _size: usize,
    valid: usize,
) {
    let _errno = Errno::keep();
    if let Some(cupti) = CUPTI.get() {
        let mut reading = Reading::default();
        let mut record = null_mut();
        while valid > 0 && cupti.next(buffer, valid, &mut record) {
            // SAFETY: CUPTI has just given this record, of the size that its kind has.
            match unsafe { records::read(record) } {
                Some(Ok(span)) => reading.keep(cupti, &span),
                Some(Err(records::WithoutTime)) => reading.lost += 1,
                None => {}
            }
        }
        reading.lost += cupti.dropped(context, stream);
        if reading.lost > 0 {
            scope::record(|handle| handle.lost(Loss::GpuTime, reading.lost));
        }
    }
    HELD.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: made by `requested`, and CUPTI has let go of it.
    unsafe { libc::free(buffer.cast()) };
}

/// What is known while one buffer is read.
#[derive(Default)]
struct Reading {
    /// Queues whose clock was told.
    told: [u64; QUEUES],
    used: usize,
    now: Option<(Nanos, Ticks)>,
    lost: u64,
}

impl Reading {
    fn keep(&mut self, cupti: &Cupti, span: &Span) {
        if !self.told.iter().take(self.used).any(|q| *q == span.queue.0) {
            self.tell_clock(cupti, span.queue);
        }
        SPANS.fetch_add(1, Ordering::Relaxed);
        scope::record(|handle| {
            handle.gpu_span(&narrows_trace::writer::GpuSpan {
                queue: span.queue,
                begin: span.begin,
                end: span.end,
                call: span.what,
                correlation: u64::from(span.correlation),
            });
        });
    }

    /// Pairs of instants for a queue: one from the start, one from now.
    fn tell_clock(&mut self, cupti: &Cupti, queue: ObjectId) {
        let now = self.now.or_else(|| pair(cupti));
        self.now = now;
        if let Some(place) = self.told.get_mut(self.used) {
            *place = queue.0;
            self.used += 1;
        }
        let first = (
            Nanos(FIRST.0.load(Ordering::Relaxed)),
            Ticks(FIRST.1.load(Ordering::Relaxed)),
        );
        scope::record(|handle| {
            if first.0 != Nanos(0) {
                handle.gpu_clock(queue, first.0, first.1);
            }
            if let Some((theirs, ours)) = now {
                handle.gpu_clock(queue, theirs, ours);
            }
        });
    }
}
