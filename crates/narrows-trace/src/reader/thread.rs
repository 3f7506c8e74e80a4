//! One thread as a reader sees it.

use super::bytes::Bytes;
use super::stats::{CallStats, SiteKey, SiteStats, Spill};
use crate::layout::{
    self, ACQUIRE_PROBES, ACQUIRE_SLOTS, COMBINED, KINDS, LOSSES, NOT_KNOWN, Slot,
};
use crate::{CallId, CodeAddr, Loss, Nanos, ThreadNo, Ticks, Tid, WaitKind};
use core::mem::offset_of;
use std::collections::BTreeMap;

/// Uncontended acquisitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcquireStats {
    /// What was acquired.
    pub kind: WaitKind,
    /// Where; `None`: all sites of this kind that found no place of their own.
    pub site: Option<CodeAddr>,
    /// How often.
    pub count: u64,
}

/// The thread's own clock and switches at its last sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTotals {
    /// When it was read.
    pub at: Ticks,
    /// CPU time since the thread's start.
    pub cpu: Nanos,
    /// Time ready to run without a core; `None`: could not be read.
    pub ready: Option<Nanos>,
    /// Voluntary switches since the thread's start.
    pub voluntary: u64,
    /// Involuntary switches since the thread's start.
    pub involuntary: u64,
}

/// Exact numbers of one thread, or of many ended threads combined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its number in this process.
    pub number: ThreadNo,
    /// Kernel thread id; `None` for combined threads.
    pub tid: Option<Tid>,
    /// Threads whose numbers are in here: 1, or more in the entry for combined threads.
    pub threads: u32,
    /// Its name; `None`: never set.
    pub name: Option<String>,
    /// Start of recording; `None` for combined threads.
    pub start: Option<Ticks>,
    /// End; `None`: still there when the recording ended.
    pub end: Option<Ticks>,
    /// The call it is (or was, at a kill) in.
    pub current_call: CallId,
    /// Timeline events made before the segment being written; see [`super::Ledger`].
    pub(super) made_before: u64,
    /// Format version 1: the last call with clocks and its ticks, which its block may lack.
    pub(super) pending: (CallId, u64),
    /// CPU time and switches; `None`: never sampled.
    pub cpu: Option<CpuTotals>,
    /// By call.
    pub calls: BTreeMap<CallId, CallStats>,
    /// By site.
    pub sites: BTreeMap<SiteKey, SiteStats>,
    /// Uncontended acquisitions by kind and site.
    pub acquires: Vec<AcquireStats>,
    /// Calls that found no block.
    pub other_calls: Spill,
    /// Waits that found no block.
    pub other_waits: Spill,
    /// What was not recorded, by kind; kinds without loss are left out.
    pub losses: Vec<(Loss, u64)>,
}

/// Counts by kind of loss, without zeros.
pub(super) fn losses(counts: impl Iterator<Item = u64>) -> Vec<(Loss, u64)> {
    counts
        .enumerate()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| (Loss::from_number(kind as u8), count))
        .collect()
}

/// A number that may not have been readable.
pub(super) fn known(nanos: u64) -> Option<Nanos> {
    (nanos != NOT_KNOWN).then_some(Nanos(nanos))
}

/// A name filled up with zeros.
pub(super) fn name(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or(bytes);
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// A unit of the file `threads`. `None`: the slot is free.
pub(super) fn slot(slot: Bytes<'_>) -> Option<Thread> {
    let number = slot.u32(offset_of!(Slot, unit) + offset_of!(layout::UnitHead, owner));
    if number == 0 {
        return None;
    }
    let combined = number == COMBINED;
    let tid = slot.u32(offset_of!(Slot, tid));
    let at = |offset: usize| slot.u64(offset);
    let cpu = CpuTotals {
        at: Ticks(at(offset_of!(Slot, cpu_at))),
        cpu: Nanos(at(offset_of!(Slot, cpu_ns))),
        ready: known(at(offset_of!(Slot, ready_ns))),
        voluntary: at(offset_of!(Slot, voluntary)),
        involuntary: at(offset_of!(Slot, involuntary)),
    };
    let name_bytes = slot.string(offset_of!(Slot, name) / 8, 16);
    Some(Thread {
        number: ThreadNo(number),
        tid: (!combined).then_some(Tid(tid)),
        threads: if combined { tid } else { 1 },
        name: name(name_bytes),
        start: (!combined).then(|| Ticks(at(offset_of!(Slot, start)))),
        end: None,
        current_call: CallId(slot.u32(offset_of!(Slot, current_call)) as u16),
        made_before: at(offset_of!(Slot, made_before)),
        pending: (
            CallId(slot.u32(offset_of!(Slot, chunk)) as u16),
            at(offset_of!(Slot, settled)),
        ),
        cpu: (cpu.at != Ticks(0)).then_some(cpu),
        calls: BTreeMap::new(),
        sites: BTreeMap::new(),
        acquires: acquires(slot),
        other_calls: Spill::decode(slot, offset_of!(Slot, other_calls) / 8),
        other_waits: Spill::decode(slot, offset_of!(Slot, other_waits) / 8),
        losses: losses((0..LOSSES).map(|kind| at(offset_of!(Slot, losses) + 8 * kind))),
    })
}

fn acquires(slot: Bytes<'_>) -> Vec<AcquireStats> {
    let places = (0..ACQUIRE_SLOTS + ACQUIRE_PROBES).map(|place| {
        let at = offset_of!(Slot, acquires) + place * size_of::<layout::Acquire>();
        (slot.u64(at), slot.u64(at + 8))
    });
    let others = (0..KINDS).map(|kind| {
        let count = slot.u64(offset_of!(Slot, other_acquires) + 8 * kind);
        ((kind as u64) << 56, count)
    });
    places
        .chain(others)
        .filter(|(_, count)| *count > 0)
        .map(|(key, count)| super::log::acquire(key, count))
        .collect()
}
