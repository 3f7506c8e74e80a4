//! What a program says about itself through `include/narrows.h`: ops, regions and the work of a
//! device that nobody else has times of. Programs in other languages may look up `narrows_op`,
//! `narrows_region_begin`, `narrows_region_end` and `narrows_gpu_span` by name instead.
#![cfg_attr(test, allow(dead_code))] // exported only outside unit tests

use super::waits::{Recording, ready};
use crate::base::cpu::sample_if_due;
use crate::base::local::REGIONS;
use crate::base::state;
use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicU64, Ordering};
use narrows_trace::writer::GpuSpan;
use narrows_trace::{Api, CallId, CallKind, Nanos, ObjectId, Ticks};

/// Region names that are looked up quickly; others are registered on each use.
const NAMES: usize = 256;

/// Hash of a region's name with the recording's generation (upper 48 bits) and its id.
static KNOWN: [AtomicU64; NAMES] = [const { AtomicU64::new(0) }; NAMES];

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn narrows_probe_op() {
    let now = Ticks::now();
    let Some((local, handle)) = ready() else {
        return;
    };
    let before = local.last_op.replace(now);
    if before != Ticks(0) {
        local.inside(|| handle.op(before, now, ObjectId(0)));
    }
    // A thread that never waits in a hook has no other place at which its CPU time is read, and
    // without it sleep cannot be told from running.
    sample_if_due(local, handle, now);
}

/// # Safety
/// `name` is null or a C string.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn narrows_probe_region_begin(name: *const c_char) {
    if name.is_null() {
        return;
    }
    let Some(recording) = ready() else { return };
    let (local, handle) = recording;
    // SAFETY: not null, so a C string, says the caller.
    let name = unsafe { CStr::from_ptr(name) };
    let call = region(recording, name.to_bytes());
    let depth = local.open_regions.get();
    local.open_regions.set(depth + 1);
    if let Some(slot) = local.regions.get(depth as usize) {
        let previous = handle.enter_call(call);
        slot.set((call, previous, Ticks::now()));
    }
}

/// # Safety
/// `name` is null or a C string. It is not looked at: regions end in the order they nest.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn narrows_probe_region_end(_name: *const c_char) {
    let end = Ticks::now();
    let Some((local, handle)) = ready() else {
        return;
    };
    let Some(depth) = local.open_regions.get().checked_sub(1) else {
        return;
    };
    local.open_regions.set(depth);
    if let Some(slot) = local.regions.get(depth as usize) {
        let (call, previous, start) = slot.get();
        local.inside(|| {
            handle.leave_call(previous);
            handle.call(call, start, end, ObjectId(0), false);
        });
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn narrows_probe_gpu_span(queue: u64, begin_ns: u64, end_ns: u64) {
    let Some((local, handle)) = ready() else {
        return;
    };
    let queue = ObjectId(queue);
    local.inside(|| {
        // The program's clock is the recording's own.
        handle.gpu_clock(queue, Nanos::now(), Ticks::now());
        handle.gpu_span(&GpuSpan {
            queue,
            begin: Nanos(begin_ns),
            end: Nanos(end_ns),
            call: handle.current_call(),
            correlation: 0,
        });
    });
}

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn narrows_op() {
    narrows_probe_op();
}

/// # Safety
/// As for [`narrows_probe_region_begin`].
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn narrows_region_begin(name: *const c_char) {
    // SAFETY: passed on.
    unsafe { narrows_probe_region_begin(name) };
}

/// # Safety
/// As for [`narrows_probe_region_end`].
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn narrows_region_end(name: *const c_char) {
    // SAFETY: passed on.
    unsafe { narrows_probe_region_end(name) };
}

#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn narrows_gpu_span(queue: u64, begin_ns: u64, end_ns: u64) {
    narrows_probe_gpu_span(queue, begin_ns, end_ns);
}

fn region((local, _): Recording, name: &[u8]) -> CallId {
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let key = (hash ^ u64::from(state::generation()) << 50) >> 16 << 16;
    let slot = KNOWN.get(hash as usize % NAMES);
    let known = slot.map_or(0, |slot| slot.load(Ordering::Relaxed));
    if known != 0 && known >> 16 << 16 == key {
        return CallId(known as u16);
    }
    let Some(writer) = state::writer() else {
        return CallId::NONE;
    };
    let id = local.inside(|| writer.register_call(name, Api::App, CallKind::Mark));
    if let Some(slot) = slot {
        slot.store(key | u64::from(id.0), Ordering::Relaxed);
    }
    id
}

const _: () = assert!(REGIONS == 8, "the header says so");
