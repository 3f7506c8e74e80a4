//! CPU time and context switches of threads: read at a thread's end, and now and then, because
//! the threads that are alive at the end of the process cannot be asked any more.

use super::local::{Errno, Local};
#[cfg(target_os = "linux")]
use super::sys;
use narrows_trace::writer::{CpuSample, ThreadHandle};
use narrows_trace::{Nanos, Ticks};

/// Ticks between two readings: about 100 ms at 1 to 5 GHz; on Arm, whose counters are slower, a
/// few seconds at worst.
#[cfg(target_arch = "x86_64")]
const PERIOD: u64 = 1 << 28;
#[cfg(target_arch = "aarch64")]
const PERIOD: u64 = 1 << 23;

/// Reads the thread's CPU time if it was not read for a while.
#[inline(always)]
pub(crate) fn sample_if_due(local: &'static Local, handle: ThreadHandle, now: Ticks) {
    if now >= local.next_sample.get() {
        sample(local, handle);
    }
}

/// Reads the calling thread's CPU time now.
#[cold]
#[inline(never)]
pub(crate) fn sample(local: &'static Local, handle: ThreadHandle) {
    let _errno = Errno::keep();
    let at = Ticks::now();
    local.next_sample.set(Ticks(at.0.saturating_add(PERIOD)));
    let Some(cpu) = thread_cpu() else { return };
    let Some((voluntary, involuntary)) = thread_switches() else {
        return;
    };
    let ready = thread_ready();
    local.inside(|| {
        handle.cpu_sample(&CpuSample {
            at,
            cpu,
            ready,
            voluntary,
            involuntary,
        });
    });
}

fn thread_cpu() -> Option<Nanos> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a writable timespec.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    (status == 0)
        .then(|| Nanos((time.tv_sec as u64).wrapping_mul(1_000_000_000) + time.tv_nsec as u64))
}

/// macOS does not count a thread's switches: they stay 0 there.
#[cfg(target_os = "macos")]
fn thread_switches() -> Option<(u64, u64)> {
    Some((0, 0))
}

/// macOS does not say how long a thread was ready without a core.
#[cfg(target_os = "macos")]
fn thread_ready() -> Option<Nanos> {
    None
}

#[cfg(target_os = "linux")]
fn thread_switches() -> Option<(u64, u64)> {
    // SAFETY: rusage is made of integers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
    // SAFETY: `usage` is a writable rusage.
    let status = unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    (status == 0).then_some((usage.ru_nvcsw as u64, usage.ru_nivcsw as u64))
}

/// Time the thread could run and had no core: the second number of its scheduler statistics,
/// which not every kernel keeps.
#[cfg(target_os = "linux")]
fn thread_ready() -> Option<Nanos> {
    let mut buffer = [0_u8; 64];
    let text = sys::read_file(c"/proc/thread-self/schedstat", &mut buffer);
    let second = text.split(|byte| *byte == b' ').nth(1)?;
    let number = core::str::from_utf8(second).ok()?;
    number.parse().ok().map(Nanos)
}
