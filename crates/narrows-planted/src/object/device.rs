//! A software device: engines that take a stated time per op, without locks.
//!
//! An engine is the time until which it has work. A stream is a thread's; what it waits for is
//! the end of its last op.

use super::Settings;
use super::locks::Padded;
use super::sys;
use crate::Plant;
use crate::setup::MAX_THREADS;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU64, Ordering};

/// Ops that [`Plant::BackPressure`] lets into the queue, the one that runs among them.
const QUEUE: u64 = 2;

static BUSY_UNTIL: [Padded<AtomicU64>; MAX_THREADS] =
    [const { Padded(AtomicU64::new(0)) }; MAX_THREADS];
static LAST: [Padded<Span>; MAX_THREADS] = [const { Padded(Span::new()) }; MAX_THREADS];

/// When a thread's last op is on its engine.
struct Span {
    begin: AtomicU64,
    end: AtomicU64,
}

impl Span {
    const fn new() -> Span {
        Span {
            begin: AtomicU64::new(0),
            end: AtomicU64::new(0),
        }
    }
}

/// The handle of a thread's stream.
pub(crate) fn stream_of(thread: usize) -> *mut c_void {
    core::ptr::without_provenance_mut((thread + 1) * 64)
}

/// The thread of a stream; `None`: no such stream.
pub(crate) fn thread_of(stream: *mut c_void) -> Option<usize> {
    let number = (stream.addr() / 64).checked_sub(1)?;
    (number < MAX_THREADS && stream.addr().is_multiple_of(64)).then_some(number)
}

/// Puts one op into the engine's queue. Blocks while that is full.
pub(crate) fn submit(settings: &Settings, thread: usize) {
    let engine = &BUSY_UNTIL[engine_of(settings, thread)].0;
    let bounded = settings.plant == Plant::BackPressure && !settings.removed();
    let takes = settings.timing.device_ns;
    loop {
        let (now, until) = (sys::now(), engine.load(Ordering::Acquire));
        // The queue is full until all but QUEUE - 1 of the ops in it are done.
        let room_at = until.saturating_sub((QUEUE - 1) * takes);
        if bounded && room_at > now {
            sys::wait_until(room_at);
            continue;
        }
        let begin = now.max(until);
        let done = begin + takes;
        if engine
            .compare_exchange(until, done, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            LAST[thread].0.begin.store(begin, Ordering::Relaxed);
            LAST[thread].0.end.store(done, Ordering::Relaxed);
            return;
        }
    }
}

/// Waits for the thread's last op. Says when the engine worked on it, as a driver can.
pub(crate) fn synchronize(settings: &Settings, thread: usize) {
    let last = &LAST[thread].0;
    let end = last.end.load(Ordering::Relaxed);
    sys::wait_until(end);
    settings.span(
        engine_of(settings, thread),
        last.begin.load(Ordering::Relaxed),
        end,
    );
}

fn engine_of(settings: &Settings, thread: usize) -> usize {
    let shared = settings.plant.one_engine() && !settings.removed();
    if shared { 0 } else { thread }
}
