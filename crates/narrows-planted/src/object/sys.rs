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

fn timespec(nanos: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: (nanos / 1_000_000_000) as libc::time_t,
        tv_nsec: (nanos % 1_000_000_000) as _,
    }
}

/// Waits as a program waits: through the C library.
pub(crate) fn sleep(nanos: u64) {
    let until = timespec(now() + nanos);
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
            return check(status);
        }
    }
}

/// Waits as a closed driver waits for its device: no function of the C library shows it.
pub(crate) fn wait_until(nanos: u64) {
    let until = timespec(nanos);
    while now() < nanos {
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
}

/// Keeps a core for that long.
pub(crate) fn busy(nanos: u64) {
    let until = now() + nanos;
    while now() < until {
        core::hint::spin_loop();
    }
}

/// Lets this thread's sleeps end on time instead of 50 us late.
pub(crate) fn sharp_sleeps() {
    // SAFETY: sets one number of this thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64) };
}
