//! The few things that are asked of the kernel.

use core::ffi::c_int;

/// Ends the program: a plant that does not do what it says is worse than none.
pub(crate) fn die(what: &str) -> ! {
    eprintln!("planted: {what}");
    std::process::abort()
}

/// `status` of a call that cannot fail when the plant is right.
#[inline(always)]
pub(crate) fn check(status: c_int) {
    if status != 0 {
        die("a call failed that cannot fail");
    }
}

/// Monotonic time in nanoseconds.
pub(crate) fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is ours to write.
    check(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) });
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// CPU time of the calling thread in nanoseconds.
pub(crate) fn cpu_time() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is ours to write.
    check(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) });
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn timespec(nanos: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: (nanos / 1_000_000_000) as libc::time_t,
        tv_nsec: (nanos % 1_000_000_000) as _,
    }
}

/// How long before a deadline a sleep is ended. Wake-ups are late by a few microseconds when cores
/// are awake and by many when all sleep, as with one thread: without this, one thread would seem
/// slower than each of four.
const EARLY_NS: u64 = 80_000;

/// Waits as a program waits: through the C library.
pub(crate) fn sleep(nanos: u64) {
    let end = now() + nanos;
    let until = timespec(end.saturating_sub(EARLY_NS));
    loop {
        // SAFETY: `until` is a whole time; no rest is asked for.
        let status = unsafe {
            libc::clock_nanosleep(
                libc::CLOCK_MONOTONIC,
                libc::TIMER_ABSTIME,
                &until,
                core::ptr::null_mut(),
            )
        };
        if status != libc::EINTR {
            check(status);
            return busy_until(end);
        }
    }
}

/// Waits as a closed driver waits for its device: no function of the C library shows it.
pub(crate) fn wait_until(end: u64) {
    let early = end.saturating_sub(EARLY_NS);
    let until = timespec(early);
    while now() < early {
        // SAFETY: the arguments are those of the system call; no rest is asked for.
        unsafe {
            libc::syscall(
                libc::SYS_clock_nanosleep,
                libc::CLOCK_MONOTONIC,
                libc::TIMER_ABSTIME,
                &until,
                core::ptr::null_mut::<libc::timespec>(),
            )
        };
    }
    busy_until(end);
}

fn busy_until(end: u64) {
    while now() < end {
        core::hint::spin_loop();
    }
}

/// Keeps a core for that long.
pub(crate) fn busy(nanos: u64) {
    busy_until(now() + nanos);
}

/// Lets another thread have the core, if one is ready.
pub(crate) fn yield_core() {
    // SAFETY: takes nothing and changes nothing.
    check(unsafe { libc::sched_yield() });
}

/// Lets this thread's sleeps end on time instead of 50 us late.
pub(crate) fn sharp_sleeps() {
    // SAFETY: sets one number of this thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64) };
}
