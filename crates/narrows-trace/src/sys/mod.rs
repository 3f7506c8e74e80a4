//! What differs between operating systems and processors. Everything else in the crate is plain
//! Rust.
//!
//! On Linux these are raw system calls: no C library symbol is entered (some of them are hooked by
//! the very library that records) and the host's `errno` stays as it is.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(not(target_os = "linux"))]
mod unix;
#[cfg(not(target_os = "linux"))]
pub(crate) use unix::*;

use core::sync::atomic::{AtomicU32, Ordering};

/// An operating system's error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

/// What a tick is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum TickSource {
    /// Not chosen yet: the processor's counter is read, its use decided by [`choose_ticks`].
    Counter = 0,
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    Monotonic = 1,
}

static SOURCE: AtomicU32 = AtomicU32::new(TickSource::Counter as u32);

/// Decides once per process what [`ticks`] reads, and says it.
pub(crate) fn choose_ticks() -> TickSource {
    if counter_is_usable() {
        return TickSource::Counter;
    }
    SOURCE.store(TickSource::Monotonic as u32, Ordering::Relaxed);
    TickSource::Monotonic
}

/// The processor's counter, or monotonic nanoseconds where that one cannot be trusted.
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    if SOURCE.load(Ordering::Relaxed) == TickSource::Counter as u32 {
        counter()
    } else {
        monotonic_cold()
    }
}

#[cold]
#[inline(never)]
fn monotonic_cold() -> u64 {
    monotonic_ns()
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn counter() -> u64 {
    let value: u64;
    // SAFETY: reads a counter that user space may read on Linux and macOS; no other effect.
    unsafe {
        core::arch::asm!("mrs {}, cntvct_el0", out(reg) value, options(nomem, nostack));
    }
    value
}

/// Asks for the line of memory at `at`, which need not be there, to be brought into the cache.
#[inline(always)]
pub(crate) fn fetch_ahead(at: *const u64) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint: no address makes it fault.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    // Arm's processors follow such a stream by themselves; the instruction has no stable name.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// True when the counter runs at one rate in all power states and may be read here.
#[cfg(target_arch = "x86_64")]
fn counter_is_usable() -> bool {
    use core::arch::x86_64::__cpuid;
    /// Extended leaf with the "invariant TSC" bit.
    const POWER: u32 = 0x8000_0007;
    let has_leaf = __cpuid(0x8000_0000).eax >= POWER;
    has_leaf && __cpuid(POWER).edx & (1 << 8) != 0 && counter_is_allowed()
}

/// The Arm virtual counter runs at one rate by definition.
#[cfg(target_arch = "aarch64")]
fn counter_is_usable() -> bool {
    counter_is_allowed()
}

/// Ticks per second as the processor states them; `None` where it does not.
#[cfg(target_arch = "x86_64")]
pub(crate) fn stated_tick_rate() -> Option<u64> {
    use core::arch::x86_64::__cpuid;
    const CRYSTAL: u32 = 0x15;
    if __cpuid(0).eax < CRYSTAL {
        return None;
    }
    let leaf = __cpuid(CRYSTAL);
    let (denominator, numerator, crystal) = (leaf.eax, leaf.ebx, leaf.ecx);
    if denominator == 0 || numerator == 0 || crystal == 0 {
        return None;
    }
    Some(u64::from(crystal) * u64::from(numerator) / u64::from(denominator))
}

/// Ticks per second as the processor states them.
#[cfg(target_arch = "aarch64")]
pub(crate) fn stated_tick_rate() -> Option<u64> {
    let value: u64;
    // SAFETY: reads a constant register that user space may read; no other effect.
    unsafe {
        core::arch::asm!("mrs {}, cntfrq_el0", out(reg) value, options(nomem, nostack));
    }
    (value != 0).then_some(value)
}
