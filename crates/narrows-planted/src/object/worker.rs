//! A thread that does a part of every op: submitters queue theirs and wait until it is done.

use super::locks::{Condvar, Mutex, Padded, Semaphore};
use super::{Settings, plants, settings, sys};
use crate::setup::MAX_THREADS;
use core::cell::UnsafeCell;
use core::ffi::c_void;

static QUEUES: [Padded<Queue>; MAX_THREADS] = [const { Padded(Queue::new()) }; MAX_THREADS];
static DONE: [Padded<Semaphore>; MAX_THREADS] = [const { Padded(Semaphore::new()) }; MAX_THREADS];

/// Ops that wait for one worker: each submitter has one at most.
struct Queue {
    mutex: Mutex,
    filled: Condvar,
    waiting: UnsafeCell<Ring>,
}

// SAFETY: `waiting` is touched only with `mutex` held.
unsafe impl Sync for Queue {}

struct Ring {
    threads: [u16; MAX_THREADS],
    first: usize,
    length: usize,
}

impl Queue {
    const fn new() -> Queue {
        let waiting = Ring {
            threads: [0; MAX_THREADS],
            first: 0,
            length: 0,
        };
        Queue {
            mutex: Mutex::new(),
            filled: Condvar::new(),
            waiting: UnsafeCell::new(waiting),
        }
    }

    fn push(&self, thread: usize) {
        self.mutex.lock();
        // SAFETY: the mutex is held.
        let ring = unsafe { &mut *self.waiting.get() };
        let at = (ring.first + ring.length) % MAX_THREADS;
        ring.threads[at] = thread as u16;
        ring.length += 1;
        self.filled.signal();
        self.mutex.unlock();
    }

    fn pop(&self) -> usize {
        self.mutex.lock();
        // SAFETY: the mutex is held; the condition lets go of it only inside `wait`.
        while unsafe { (*self.waiting.get()).length } == 0 {
            self.filled.wait(&self.mutex);
        }
        // SAFETY: the mutex is held.
        let ring = unsafe { &mut *self.waiting.get() };
        let thread = ring.threads[ring.first];
        ring.first = (ring.first + 1) % MAX_THREADS;
        ring.length -= 1;
        self.mutex.unlock();
        thread.into()
    }
}

/// Starts the workers; they end with the program.
pub(crate) fn start(settings: &Settings, workers: usize) {
    for done in DONE.iter().take(settings.threads()) {
        done.0.prepare();
    }
    for (number, queue) in QUEUES.iter().enumerate().take(workers) {
        queue.0.filled.prepare();
        let mut thread = core::mem::MaybeUninit::<libc::pthread_t>::uninit();
        let argument: *mut c_void = core::ptr::without_provenance_mut(number);
        // SAFETY: `thread` is ours to write; `main` takes a number as its argument.
        sys::check(unsafe {
            libc::pthread_create(thread.as_mut_ptr(), core::ptr::null(), main, argument)
        });
        // SAFETY: `pthread_create` wrote it.
        let thread = unsafe { thread.assume_init() };
        // SAFETY: the thread runs; the name is short enough.
        sys::check(unsafe { libc::pthread_setname_np(thread, c"planted-worker".as_ptr()) });
        // SAFETY: nobody joins it.
        sys::check(unsafe { libc::pthread_detach(thread) });
    }
}

extern "C" fn main(number: *mut c_void) -> *mut c_void {
    sys::sharp_sleeps();
    let queue = &QUEUES[number.addr()].0;
    let hold = settings().timing.hold_ns;
    loop {
        let thread = queue.pop();
        plants::section(thread, hold);
        DONE[thread].0.post();
    }
}

/// Hands one op to the worker and waits until it is done.
#[inline(always)]
pub(crate) fn run(settings: &Settings, thread: usize) {
    QUEUES[settings.lock_of(thread)].0.push(thread);
    DONE[thread].0.wait();
}
