//! What each plant does to an op, on the way down and on the way back.
//!
//! Each kind has a function of its own name, `planted_...`, that is never inlined: it is the
//! symbol that a report can name. Inside every section the thread also takes a lock that is its
//! own, as real code does; it is never contended, and gives whoever injects delays a place inside.

use super::locks::{Futex, Gil, Mutex, Padded, Rwlock, Spin};
use super::{Settings, is_driver, sys, worker};
use crate::Plant;
use crate::setup::MAX_THREADS;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One for all threads at index 0, or one per thread.
type Each<T> = [Padded<T>; MAX_THREADS];

static OWN: Each<Mutex> = [const { Padded(Mutex::new()) }; MAX_THREADS];
static MUTEX: Each<Mutex> = [const { Padded(Mutex::new()) }; MAX_THREADS];
static RWLOCK: Each<Rwlock> = [const { Padded(Rwlock::new()) }; MAX_THREADS];
static FUTEX: Each<Futex> = [const { Padded(Futex::new()) }; MAX_THREADS];
static SPIN: Each<Spin> = [const { Padded(Spin::new()) }; MAX_THREADS];
static GIL: Each<Gil> = [const { Padded(Gil::new()) }; MAX_THREADS];
/// Whether the thread has the global lock.
static HAS_GIL: Each<AtomicBool> = [const { Padded(AtomicBool::new(false)) }; MAX_THREADS];

/// Neighbours share cache lines.
static NEAR: [AtomicU64; MAX_THREADS] = [const { AtomicU64::new(0) }; MAX_THREADS];
static APART: Each<AtomicU64> = [const { Padded(AtomicU64::new(0)) }; MAX_THREADS];

/// Every how many ops a thread meets a module that is not loaded yet.
const LOAD_EVERY: u64 = 4;
/// Steps of arithmetic that take about a microsecond.
const STEPS_PER_US: u64 = 400;
/// Counts that take about a microsecond when nobody is in the way.
const COUNTS_PER_US: u64 = 180;

/// Makes ready what needs more than zeros.
pub(crate) fn prepare(settings: &Settings) {
    if !settings.guilty() {
        return;
    }
    let locks = if settings.removed() {
        settings.threads()
    } else {
        1
    };
    match settings.plant {
        Plant::Gil | Plant::GilHeld => GIL.iter().take(locks).for_each(|gil| gil.0.prepare()),
        Plant::Worker => worker::start(settings, locks),
        _ => (),
    }
}

/// On the way down.
pub(crate) fn before(settings: &Settings, thread: usize, op: u64) {
    compute(2 * STEPS_PER_US);
    if !settings.guilty() {
        return own(thread);
    }
    let hold = settings.timing.hold_ns;
    match settings.plant {
        Plant::Mutex => planted_mutex(settings, thread, hold),
        Plant::TwoLocks => planted_mutex(settings, thread, varied(hold, settings, thread, op)),
        Plant::Rwlock => planted_rwlock(settings, thread),
        Plant::Gil => {
            planted_gil(settings, thread, hold / 2);
            release_gil(settings, thread);
        }
        Plant::GilHeld => planted_gil(settings, thread, hold),
        Plant::Futex => planted_futex(settings, thread),
        Plant::Spin => planted_spin(settings, thread),
        Plant::Worker => planted_worker(settings, thread),
        Plant::FalseSharing => planted_false_sharing(settings, thread),
        Plant::Allocator => planted_allocating(settings, thread),
        Plant::LazyLoad => {
            if !is_driver(settings) && loads(thread, op) {
                planted_load(settings, thread);
            }
            planted_launch(settings, thread);
        }
        Plant::Cores => planted_cores(settings, thread),
        Plant::BackPressure | Plant::Saturated | Plant::Nothing => section(thread, hold),
    }
}

/// On the way back.
pub(crate) fn after(settings: &Settings, thread: usize, _op: u64) {
    compute(STEPS_PER_US);
    if !settings.guilty() {
        return;
    }
    // As an interpreter does: the lock is kept into the next op unless another thread asked for it.
    let gil = &GIL[settings.lock_of(thread)].0;
    match settings.plant {
        Plant::Gil => planted_gil(settings, thread, settings.timing.hold_ns / 2),
        Plant::GilHeld => (),
        _ => return,
    }
    if gil.is_requested() {
        release_gil(settings, thread);
    }
}

/// After a thread's last op: it must not keep what others wait for.
pub(crate) fn finish(settings: &Settings, thread: usize) {
    if HAS_GIL[thread].0.load(Ordering::Relaxed) {
        release_gil(settings, thread);
    }
}

fn release_gil(settings: &Settings, thread: usize) {
    HAS_GIL[thread].0.store(false, Ordering::Relaxed);
    GIL[settings.lock_of(thread)].0.release(thread);
}

/// Whether the op of this number brings a module that is not loaded yet; threads take turns.
pub(crate) fn loads(thread: usize, op: u64) -> bool {
    (op + 3 * thread as u64).is_multiple_of(LOAD_EVERY)
}

/// The driver's side of a load.
pub(crate) fn load_module(settings: &Settings, thread: usize) {
    if settings.guilty() && is_driver(settings) {
        planted_load(settings, thread);
    }
}

/// The allocator's one function: its lock, and what it does under it.
pub(crate) fn allocator(settings: &Settings, thread: usize) {
    planted_malloc(settings, thread);
}

/// What a thread does while it has a lock.
#[inline(always)]
pub(crate) fn section(thread: usize, nanos: u64) {
    own(thread);
    sys::sleep(nanos);
}

/// The lock that no other thread wants.
#[inline(always)]
fn own(thread: usize) {
    OWN[thread].0.lock();
    compute(STEPS_PER_US / 10);
    OWN[thread].0.unlock();
}

/// Arithmetic that the compiler cannot leave out.
#[inline(never)]
fn compute(steps: u64) {
    let mut value = steps;
    for _ in 0..steps {
        value = black_box(value.rotate_left(5) ^ 0x9e37_79b9_7f4a_7c15);
    }
}

/// `mean`, spread like the times between random arrivals and cut at four times the mean: fixed for
/// a thread, an op and a layer. Equal stages queue in turns only if their times vary.
fn varied(mean: u64, settings: &Settings, thread: usize, op: u64) -> u64 {
    let mut seed = (thread as u64) << 40 ^ op << 8 ^ u64::from(settings.layer());
    seed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    seed = (seed ^ seed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^= seed >> 31;
    let uniform = ((seed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    (mean as f64 * (-uniform.ln()).min(4.0)) as u64
}

macro_rules! plant {
    ($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),*) $body:block) => {
        $(#[$doc])*
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub(super) fn $name($($argument: $type),*) $body
    };
}

plant! {
    fn planted_mutex(settings: &Settings, thread: usize, hold: u64) {
        let lock = &MUTEX[settings.lock_of(thread)].0;
        lock.lock();
        section(thread, hold);
        lock.unlock();
    }
}

plant! {
    fn planted_rwlock(settings: &Settings, thread: usize) {
        let lock = &RWLOCK[settings.lock_of(thread)].0;
        lock.read();
        compute(STEPS_PER_US);
        lock.unlock();
        lock.write();
        section(thread, settings.timing.hold_ns);
        lock.unlock();
    }
}

plant! {
    /// Takes the global lock unless the thread has it still, and keeps it.
    fn planted_gil(settings: &Settings, thread: usize, hold: u64) {
        if !HAS_GIL[thread].0.swap(true, Ordering::Relaxed) {
            GIL[settings.lock_of(thread)].0.take(thread);
        }
        section(thread, hold);
    }
}

plant! {
    fn planted_futex(settings: &Settings, thread: usize) {
        let lock = &FUTEX[settings.lock_of(thread)].0;
        lock.lock();
        section(thread, settings.timing.hold_ns);
        lock.unlock();
    }
}

plant! {
    fn planted_spin(settings: &Settings, thread: usize) {
        let lock = &SPIN[settings.lock_of(thread)].0;
        lock.lock();
        // A holder that sleeps would find a spinning thread on its core when it wakes.
        own(thread);
        sys::busy(settings.timing.hold_ns);
        lock.unlock();
    }
}

plant! {
    fn planted_worker(settings: &Settings, thread: usize) {
        worker::run(settings, thread);
    }
}

plant! {
    fn planted_false_sharing(settings: &Settings, thread: usize) {
        own(thread);
        let apart = settings.removed();
        let counter = if apart { &APART[thread].0 } else { &NEAR[thread] };
        for _ in 0..COUNTS_PER_US * settings.timing.hold_ns / 1000 {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

plant! {
    fn planted_allocating(settings: &Settings, thread: usize) {
        own(thread);
        settings.allocate(thread);
        compute(STEPS_PER_US);
    }
}

plant! {
    fn planted_malloc(settings: &Settings, thread: usize) {
        let lock = &MUTEX[settings.lock_of(thread)].0;
        lock.lock();
        section(thread, settings.timing.hold_ns);
        lock.unlock();
    }
}

plant! {
    fn planted_load(settings: &Settings, thread: usize) {
        let context = &MUTEX[settings.lock_of(thread)].0;
        context.lock();
        section(thread, LOAD_EVERY * settings.timing.hold_ns);
        context.unlock();
    }
}

plant! {
    fn planted_launch(settings: &Settings, thread: usize) {
        let context = &MUTEX[settings.lock_of(thread)].0;
        context.lock();
        own(thread);
        context.unlock();
    }
}

plant! {
    fn planted_cores(settings: &Settings, thread: usize) {
        own(thread);
        if settings.removed() {
            sys::sleep(settings.timing.hold_ns);
        } else {
            // By the thread's own clock: a number of steps takes longer or shorter elsewhere.
            let end = sys::cpu_time() + settings.timing.hold_ns;
            while sys::cpu_time() < end {
                compute(10 * STEPS_PER_US);
            }
        }
    }
}
