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
static DONE_AT: [Padded<AtomicU64>; MAX_THREADS] =
    [const { Padded(AtomicU64::new(0)) }; MAX_THREADS];

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
    let shared = settings.plant.one_engine() && !settings.removed();
    let engine = &BUSY_UNTIL[if shared { 0 } else { thread }].0;
    let bounded = shared && settings.plant == Plant::BackPressure;
    let takes = settings.timing.device_ns;
    loop {
        let (now, until) = (sys::now(), engine.load(Ordering::Acquire));
        // The queue is full until all but QUEUE - 1 of the ops in it are done.
        let room_at = until.saturating_sub((QUEUE - 1) * takes);
        if bounded && room_at > now {
            sys::wait_until(room_at);
            continue;
        }
        let done = now.max(until) + takes;
        if engine
            .compare_exchange(until, done, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            DONE_AT[thread].0.store(done, Ordering::Relaxed);
            return;
        }
    }
}

/// Waits for the thread's last op.
pub(crate) fn synchronize(thread: usize) {
    sys::wait_until(DONE_AT[thread].0.load(Ordering::Relaxed));
}
