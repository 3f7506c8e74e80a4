//! The locks that are planted, each on cache lines of its own.
//!
//! The C library's functions are inlined up to their call, so that the return address lies in the
//! plant's own function.

use super::sys::{check, die};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A value that shares no cache line.
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

/// `pthread_mutex_t`.
pub(crate) struct Mutex(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: a mutex is made to be shared; it stays where it is, in a static.
unsafe impl Sync for Mutex {}

impl Mutex {
    pub(crate) const fn new() -> Mutex {
        Mutex(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER))
    }

    #[inline(always)]
    pub(crate) fn lock(&self) {
        // SAFETY: the mutex is initialised and never moves.
        check(unsafe { libc::pthread_mutex_lock(self.0.get()) });
    }

    #[inline(always)]
    pub(crate) fn unlock(&self) {
        // SAFETY: this thread holds it.
        check(unsafe { libc::pthread_mutex_unlock(self.0.get()) });
    }
}

/// `pthread_rwlock_t`.
pub(crate) struct Rwlock(UnsafeCell<libc::pthread_rwlock_t>);

// SAFETY: as for the mutex.
unsafe impl Sync for Rwlock {}

impl Rwlock {
    pub(crate) const fn new() -> Rwlock {
        Rwlock(UnsafeCell::new(libc::PTHREAD_RWLOCK_INITIALIZER))
    }

    #[inline(always)]
    pub(crate) fn read(&self) {
        // SAFETY: the lock is initialised and never moves.
        check(unsafe { libc::pthread_rwlock_rdlock(self.0.get()) });
    }

    #[inline(always)]
    pub(crate) fn write(&self) {
        // SAFETY: as above.
        check(unsafe { libc::pthread_rwlock_wrlock(self.0.get()) });
    }

    #[inline(always)]
    pub(crate) fn unlock(&self) {
        // SAFETY: this thread holds it.
        check(unsafe { libc::pthread_rwlock_unlock(self.0.get()) });
    }
}

/// `pthread_cond_t` on the monotonic clock, once [`Condvar::prepare`] ran.
pub(crate) struct Condvar(UnsafeCell<libc::pthread_cond_t>);

// SAFETY: as for the mutex.
unsafe impl Sync for Condvar {}

impl Condvar {
    pub(crate) const fn new() -> Condvar {
        Condvar(UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER))
    }

    /// Sets the clock. Called once, before any thread uses it.
    pub(crate) fn prepare(&self) {
        let mut attributes = core::mem::MaybeUninit::<libc::pthread_condattr_t>::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: `attributes` is ours to initialise.
        check(unsafe { libc::pthread_condattr_init(attributes) });
        // SAFETY: they are initialised.
        check(unsafe { libc::pthread_condattr_setclock(attributes, libc::CLOCK_MONOTONIC) });
        // SAFETY: nobody uses the condition yet; the attributes are initialised.
        check(unsafe { libc::pthread_cond_init(self.0.get(), attributes) });
    }

    #[inline(always)]
    pub(crate) fn signal(&self) {
        // SAFETY: the condition is initialised and never moves.
        check(unsafe { libc::pthread_cond_signal(self.0.get()) });
    }

    #[inline(always)]
    pub(crate) fn wait(&self, mutex: &Mutex) {
        // SAFETY: this thread holds the mutex; both are initialised.
        check(unsafe { libc::pthread_cond_wait(self.0.get(), mutex.0.get()) });
    }

    /// Waits until `deadline` on the monotonic clock; says whether that passed.
    #[inline(always)]
    pub(crate) fn wait_until(&self, mutex: &Mutex, deadline: u64) -> bool {
        let deadline = libc::timespec {
            tv_sec: (deadline / 1_000_000_000) as libc::time_t,
            tv_nsec: (deadline % 1_000_000_000) as _,
        };
        // SAFETY: this thread holds the mutex; both are initialised.
        let status =
            unsafe { libc::pthread_cond_timedwait(self.0.get(), mutex.0.get(), &deadline) };
        match status {
            0 => false,
            libc::ETIMEDOUT => true,
            _ => die("pthread_cond_timedwait failed"),
        }
    }
}

/// `sem_t`, once [`Semaphore::prepare`] ran.
pub(crate) struct Semaphore(UnsafeCell<core::mem::MaybeUninit<libc::sem_t>>);

// SAFETY: as for the mutex.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    pub(crate) const fn new() -> Semaphore {
        Semaphore(UnsafeCell::new(core::mem::MaybeUninit::zeroed()))
    }

    /// Sets it to 0. Called once, before any thread uses it.
    pub(crate) fn prepare(&self) {
        // SAFETY: nobody uses it yet.
        check(unsafe { libc::sem_init(self.0.get().cast(), 0, 0) });
    }

    #[inline(always)]
    pub(crate) fn post(&self) {
        // SAFETY: it is initialised and never moves.
        check(unsafe { libc::sem_post(self.0.get().cast()) });
    }

    #[inline(always)]
    pub(crate) fn wait(&self) {
        // SAFETY: as above. A signal handler may have interrupted it: once more.
        while unsafe { libc::sem_wait(self.0.get().cast()) } != 0 {}
    }
}

/// A lock of one futex word: 0 free, 1 held, 2 held and awaited.
pub(crate) struct Futex(AtomicU32);

impl Futex {
    pub(crate) const fn new() -> Futex {
        Futex(AtomicU32::new(0))
    }

    #[inline(always)]
    pub(crate) fn lock(&self) {
        if self
            .0
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
        {
            return;
        }
        while self.0.swap(2, Ordering::Acquire) != 0 {
            // SAFETY: the word is ours for the whole run. Whatever ends the wait, the loop looks.
            let status = unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.0.as_ptr(),
                    libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                    2,
                    core::ptr::null::<libc::timespec>(),
                )
            };
            core::hint::black_box(status);
        }
    }

    #[inline(always)]
    pub(crate) fn unlock(&self) {
        if self.0.swap(0, Ordering::Release) == 2 {
            // SAFETY: the word is ours for the whole run.
            let woken = unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.0.as_ptr(),
                    libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                    1,
                )
            };
            core::hint::black_box(woken);
        }
    }
}

/// A lock that spins, and gives its core away at times: the holder may need it.
pub(crate) struct Spin(AtomicBool);

/// Looks at the lock before the core is given away, some tens of microseconds.
const LOOKS: u32 = 1000;

impl Spin {
    pub(crate) const fn new() -> Spin {
        Spin(AtomicBool::new(false))
    }

    #[inline(always)]
    pub(crate) fn lock(&self) {
        while self.0.swap(true, Ordering::Acquire) {
            let mut looks = 0_u32;
            while self.0.load(Ordering::Relaxed) {
                core::hint::spin_loop();
                looks = looks.wrapping_add(1);
                if looks.is_multiple_of(LOOKS) {
                    super::sys::yield_core();
                }
            }
        }
    }

    #[inline(always)]
    pub(crate) fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A global lock as CPython 3.11 has it (`ceval_gil.c`): whoever waits too long asks the holder to
/// let go, and the holder then waits until another thread has it.
pub(crate) struct Gil {
    mutex: Mutex,
    free: Condvar,
    switch_mutex: Mutex,
    switched: Condvar,
    locked: AtomicBool,
    requested: AtomicBool,
    switches: AtomicU32,
    /// 1 + the last holder's number.
    holder: AtomicU32,
}

/// How long a thread waits before it asks the holder to let go. CPython's default is 5 ms; with
/// fewer ops in a turn a short run has more turns.
const INTERVAL_NS: u64 = 2_000_000;

impl Gil {
    pub(crate) const fn new() -> Gil {
        Gil {
            mutex: Mutex::new(),
            free: Condvar::new(),
            switch_mutex: Mutex::new(),
            switched: Condvar::new(),
            locked: AtomicBool::new(false),
            requested: AtomicBool::new(false),
            switches: AtomicU32::new(0),
            holder: AtomicU32::new(0),
        }
    }

    pub(crate) fn prepare(&self) {
        self.free.prepare();
        self.switched.prepare();
    }

    /// Whether another thread has waited for long.
    pub(crate) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn take(&self, thread: usize) {
        let me = thread as u32 + 1;
        self.mutex.lock();
        while self.locked.load(Ordering::Relaxed) {
            let switches = self.switches.load(Ordering::Relaxed);
            let late = self
                .free
                .wait_until(&self.mutex, super::sys::now() + INTERVAL_NS);
            if late
                && self.locked.load(Ordering::Relaxed)
                && self.switches.load(Ordering::Relaxed) == switches
            {
                self.requested.store(true, Ordering::Relaxed);
            }
        }
        self.switch_mutex.lock();
        self.locked.store(true, Ordering::Relaxed);
        if self.holder.swap(me, Ordering::Relaxed) != me {
            self.switches.fetch_add(1, Ordering::Relaxed);
        }
        self.switched.signal();
        self.switch_mutex.unlock();
        self.requested.store(false, Ordering::Relaxed);
        self.mutex.unlock();
    }

    #[inline(always)]
    pub(crate) fn release(&self, thread: usize) {
        let me = thread as u32 + 1;
        let requested = self.is_requested();
        self.mutex.lock();
        self.locked.store(false, Ordering::Relaxed);
        self.free.signal();
        self.mutex.unlock();
        if !requested {
            return;
        }
        self.switch_mutex.lock();
        // Whoever asked is waiting: it takes the lock, or another one does.
        while self.holder.load(Ordering::Relaxed) == me && self.is_requested() {
            self.switched.wait(&self.switch_mutex);
        }
        self.switch_mutex.unlock();
    }
}
