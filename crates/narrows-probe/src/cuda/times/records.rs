//! Where the fields lie in CUPTI's activity records.
//!
//! A record's struct has grown with CUPTI's version, but only at its end: kind, times, device,
//! context, stream and correlation have the same offsets in `CUpti_ActivityKernel4` (CUDA 9) to
//! `...Kernel13` (CUDA 13.5), and likewise for copies and memsets.

use crate::base::Call;
use core::ffi::c_char;
use narrows_trace::{Api, CallId, CallKind, Nanos, ObjectId};

/// `CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL`: kernels without making them run one by one.
pub(super) const KERNEL: u32 = 10;
const COPY: u32 = 1;
const SET: u32 = 2;
const COPY_BETWEEN: u32 = 22;
/// The other kinds that are asked for.
pub(super) const OTHERS: [u32; 3] = [COPY, SET, COPY_BETWEEN];

const START: usize = 16;
const END: usize = 24;
const OF_KERNEL: Offsets = Offsets {
    device: 40,
    correlation: 92,
};
const OF_COPY: Offsets = Offsets {
    device: 32,
    correlation: 44,
};
const OF_COPY_BETWEEN: Offsets = Offsets {
    device: 32,
    correlation: 60,
};
/// A kernel's name, a C string that CUPTI keeps.
const NAME: usize = 104;

/// Context and stream follow the device.
struct Offsets {
    device: usize,
    correlation: usize,
}

static KERNELS: Call = Call::new("(kernel)", Api::Cuda, CallKind::Mark);
static COPIES: Call = Call::new("(copy)", Api::Cuda, CallKind::Mark);
static SETS: Call = Call::new("(memset)", Api::Cuda, CallKind::Mark);

/// Work that the GPU has done.
pub(super) struct Span {
    pub(super) queue: ObjectId,
    pub(super) begin: Nanos,
    pub(super) end: Nanos,
    /// What kind of work.
    pub(super) what: CallId,
    pub(super) correlation: u32,
}

/// The record has no times: CUPTI lacked memory for them.
pub(super) struct WithoutTime;

/// Reads a record; `None`: of a kind that nobody asked for.
///
/// # Safety
/// `record` is a record of CUPTI's, as large as its kind says.
pub(super) unsafe fn read(record: *const u8) -> Option<Result<Span, WithoutTime>> {
    let word = |at: usize| {
        // SAFETY: inside the record, says the table of offsets; records are packed.
        unsafe { record.wrapping_add(at).cast::<u32>().read_unaligned() }
    };
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    let (offsets, what) = match word(0) {
        KERNEL => (OF_KERNEL, &KERNELS),
        COPY => (OF_COPY, &COPIES),
        COPY_BETWEEN => (OF_COPY_BETWEEN, &COPIES),
        SET => (OF_COPY, &SETS),
        _ => return None,
    };
    let (begin, end) = (long(START), long(END));
    if begin == 0 || end < begin {
        return Some(Err(WithoutTime));
    }
    Some(Ok(Span {
        queue: queue(
            word(offsets.device),
            word(offsets.device + 4),
            word(offsets.device + 8),
        ),
        begin: Nanos(begin),
        end: Nanos(end),
        what: (word(0) == KERNEL)
            .then(|| names::of(long(NAME) as *const c_char))
            .flatten()
            .unwrap_or_else(|| what.id()),
        correlation: word(offsets.correlation),
    }))
}

/// Device, context and stream, as CUPTI numbers them, in one number.
fn queue(device: u32, context: u32, stream: u32) -> ObjectId {
    let high = u64::from(device & 0xff) << 24 | u64::from(context & 0x00ff_ffff);
    ObjectId(1 << 63 | high << 32 | u64::from(stream))
}

/// Ids for the names of kernels.
mod names {
    use crate::base::state;
    use core::ffi::{CStr, c_char};
    use core::sync::atomic::{AtomicU64, Ordering};
    use narrows_trace::{Api, CallId, CallKind};

    /// Kernels that get their own name; the others are all "(kernel)".
    const NAMES: usize = 256;
    /// Places that are tried.
    const TRIES: usize = 8;
    /// Address of a name (48 bits) and the id.
    static KNOWN: [AtomicU64; NAMES] = [const { AtomicU64::new(0) }; NAMES];

    /// The id of the kernel of this name.
    pub(super) fn of(name: *const c_char) -> Option<CallId> {
        let address = name as u64;
        if address == 0 || address >> 48 != 0 {
            return None;
        }
        let first = (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize;
        for step in 0..TRIES {
            let place = KNOWN.get((first + step) % NAMES)?;
            let known = place.load(Ordering::Acquire);
            if known >> 16 == address {
                return Some(CallId(known as u16));
            }
            if known == 0 {
                return register(place, address, name);
            }
        }
        None
    }

    fn register(place: &AtomicU64, address: u64, name: *const c_char) -> Option<CallId> {
        // SAFETY: a C string that CUPTI keeps as long as it runs.
        let text = unsafe { CStr::from_ptr(name) }.to_bytes();
        let id = state::writer()?.register_call(text, Api::Cuda, CallKind::Mark);
        // Two threads at once: the loser's id stays in the recording, unused.
        let _ = place.compare_exchange(
            0,
            address << 16 | u64::from(id.0),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u32, fields: &[(usize, u32)]) -> [u8; 144] {
        let mut bytes = [0; 144];
        for (at, value) in fields.iter().chain(&[(0, kind)]) {
            bytes[*at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_copy_is_read_by_offset() {
        let bytes = record(
            COPY,
            &[(16, 7), (24, 9), (32, 1), (36, 2), (40, 3), (44, 4)],
        );
        // SAFETY: long enough.
        let Some(Ok(span)) = (unsafe { read(bytes.as_ptr()) }) else {
            panic!("a span");
        };
        assert_eq!(
            (span.begin, span.end, span.correlation),
            (Nanos(7), Nanos(9), 4)
        );
        assert_eq!(span.queue, queue(1, 2, 3));
    }

    #[test]
    fn a_record_without_times_or_of_another_kind_is_no_span() {
        let bytes = record(KERNEL, &[(24, 9)]);
        // SAFETY: long enough.
        let read_back = unsafe { read(bytes.as_ptr()) };
        assert!(matches!(read_back, Some(Err(WithoutTime))));
        let bytes = record(5, &[(16, 7), (24, 9)]);
        // SAFETY: long enough.
        assert!(unsafe { read(bytes.as_ptr()) }.is_none());
    }

    #[test]
    fn streams_of_other_devices_and_contexts_are_other_queues() {
        assert_ne!(queue(0, 1, 7), queue(1, 1, 7));
        assert_ne!(queue(0, 1, 7), queue(0, 2, 7));
        assert_ne!(queue(0, 1, 7), queue(0, 1, 8));
    }
}
