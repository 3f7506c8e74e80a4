//! What lies where in the five files of a process: format version 2.
//!
//! ```text
//! p<pid>.<n>/log       page 0: head, process head;   then records, appended
//!            threads   page 0: head;                 then thread slots
//!            calls     page 0: head;                 then call statistics, one block per thread and call
//!            sites     page 0: head;                 then wait statistics, one block per thread and site
//!            timeline  page 0: head;                 then chunks of 64 KiB
//! ```
//! All numbers are little-endian. The files are mapped by the traced process and may be read at
//! any instant, also while it runs and after it was killed; each structure says which word is
//! stored last. The writer uses the structures below in place; the reader decodes bytes at the
//! same offsets.

use core::sync::atomic::{AtomicU32, AtomicU64};

/// Version of everything in this file. Version 1 had other numbers in [`Slot::chunk`] and
/// [`Slot::settled`].
pub(crate) const VERSION: u32 = 2;
/// The oldest version that can be read.
pub(crate) const OLDEST: u32 = 1;
/// First 8 bytes of each file.
pub(crate) const MAGIC: [u8; 8] = *b"NARROWS\x1a";
/// Bytes before the first unit of each file.
pub(crate) const HEAD_BYTES: usize = 4096;

/// The files, in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum FileKind {
    Log = 1,
    Threads = 2,
    Calls = 3,
    Sites = 4,
    Timeline = 5,
}

impl FileKind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Log,
        Self::Threads,
        Self::Calls,
        Self::Sites,
        Self::Timeline,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Threads => "threads",
            Self::Calls => "calls",
            Self::Sites => "sites",
            Self::Timeline => "timeline",
        }
    }

    /// Bytes of one unit; the log's records have no fixed size.
    pub(crate) const fn unit(self) -> usize {
        match self {
            Self::Log => 8,
            Self::Threads => size_of::<Slot>(),
            Self::Calls => size_of::<CallStat>(),
            Self::Sites => size_of::<SiteStat>(),
            Self::Timeline => CHUNK_BYTES,
        }
    }
}

/// First bytes of each file.
#[repr(C)]
pub(crate) struct Head {
    /// Stored last.
    pub(crate) magic: AtomicU64,
    pub(crate) version: AtomicU32,
    pub(crate) kind: AtomicU32,
    pub(crate) pid: AtomicU32,
    /// Bytes of a unit.
    pub(crate) unit: AtomicU32,
    /// Units that the file may grow to.
    pub(crate) capacity: AtomicU32,
    /// Units handed out at least once; what lies behind was never written.
    pub(crate) used: AtomicU32,
    /// The same in all files of a process.
    pub(crate) instance: AtomicU64,
    /// Error number that stopped the file's growth; 0: none.
    pub(crate) stopped: AtomicU32,
    pub(crate) _reserved: AtomicU32,
}

/// Where the process head begins in page 0 of the log.
pub(crate) const PROCESS_HEAD: usize = 256;
/// Clock pairs kept in the process head.
pub(crate) const PAIRS: usize = 64;
/// Numbers of [`crate::Loss`] are below this.
pub(crate) const LOSSES: usize = 16;
/// Numbers of [`crate::WaitKind`] that have a counter of their own are below this.
pub(crate) const KINDS: usize = 32;

/// A tick and a monotonic time read together.
#[repr(C)]
pub(crate) struct Pair {
    /// 1 + the number of the pair; stored last.
    pub(crate) number: AtomicU64,
    pub(crate) ticks: AtomicU64,
    pub(crate) nanos: AtomicU64,
}

/// State of the process.
#[repr(C)]
pub(crate) struct ProcessHead {
    pub(crate) parent: AtomicU32,
    /// 1: ended through `finish`.
    pub(crate) ended: AtomicU32,
    /// See [`crate::sys::TickSource`].
    pub(crate) tick_source: AtomicU32,
    /// 1: the kernel wipes the recorder's memory in forked children.
    pub(crate) wipes: AtomicU32,
    /// Ticks per second as the processor states them; 0: it does not.
    pub(crate) tick_rate: AtomicU64,
    pub(crate) timeline_bytes: AtomicU64,
    pub(crate) wall_ns: AtomicU64,
    /// Bytes of the log's records at least; records may follow.
    pub(crate) log_bytes: AtomicU64,
    pub(crate) last_thread: AtomicU32,
    pub(crate) last_call: AtomicU32,
    /// 1 + the slot whose numbers are being moved to the combined slot.
    pub(crate) folding: AtomicU32,
    pub(crate) _reserved: AtomicU32,
    /// What could not be recorded outside any thread.
    pub(crate) losses: [AtomicU64; LOSSES],
    pub(crate) pairs_made: AtomicU64,
    pub(crate) pairs: [Pair; PAIRS],
}

/// Units that are handed out one by one begin with this. `owner` 0: free.
#[repr(C)]
pub(crate) struct UnitHead {
    /// The thread's number; stored last.
    pub(crate) owner: AtomicU32,
    /// Next in the free list, 1 + index.
    pub(crate) next: AtomicU32,
}

/// Thread number of the slot that combines ended threads which no longer fitted into the log.
pub(crate) const COMBINED: u32 = 1;

/// A number that could not be read.
pub(crate) const NOT_KNOWN: u64 = u64::MAX;

/// Sites of uncontended acquisitions per thread.
pub(crate) const ACQUIRE_SLOTS: usize = 256;
/// How far an acquisition is searched from its first place.
pub(crate) const ACQUIRE_PROBES: usize = 8;

/// Uncontended acquisitions at one site.
#[repr(C)]
pub(crate) struct Acquire {
    /// Code address in the low 56 bits, kind above; 0: free. Stored before the count.
    pub(crate) key: AtomicU64,
    pub(crate) count: AtomicU64,
}

/// What a thread's slot keeps of waits or calls that found no block of their own.
#[repr(C)]
pub(crate) struct Spill {
    pub(crate) count: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) ticks: AtomicU64,
    pub(crate) longest: AtomicU64,
    pub(crate) untimed: AtomicU64,
}

/// One thread.
#[repr(C)]
pub(crate) struct Slot {
    pub(crate) unit: UnitHead,
    pub(crate) tid: AtomicU32,
    /// The call the thread is in.
    pub(crate) current_call: AtomicU32,
    /// The chunk that the thread writes into: 1 + its index in the low half, the low half of its
    /// [`ChunkHead::taken`] in the high one; 0: none. Version 1: call of the last event (32 bits).
    pub(crate) chunk: AtomicU64,
    /// Calls with clocks that are in the blocks of their calls or in `other_calls`, times two to
    /// the power of [`SETTLED_SHIFT`], and where in `chunk` the records of those begin that are
    /// not (up to the chunk's end). See `writer::settle`. Version 1: ticks of the last event, which
    /// the block misses whose buckets count one less than `count`.
    pub(crate) settled: AtomicU64,
    pub(crate) start: AtomicU64,
    pub(crate) name: [AtomicU64; 2],
    /// Timeline events made before the segment that is being written, those dropped among them.
    pub(crate) made_before: AtomicU64,
    pub(crate) cpu_at: AtomicU64,
    pub(crate) cpu_ns: AtomicU64,
    /// [`NOT_KNOWN`]: could not be read.
    pub(crate) ready_ns: AtomicU64,
    pub(crate) voluntary: AtomicU64,
    pub(crate) involuntary: AtomicU64,
    pub(crate) other_calls: Spill,
    pub(crate) other_waits: Spill,
    /// Timeline events dropped, and other things not recorded, by kind.
    pub(crate) losses: [AtomicU64; LOSSES],
    /// Acquisitions at sites that found no place in `acquires`, by kind.
    pub(crate) other_acquires: [AtomicU64; KINDS],
    pub(crate) acquires: [Acquire; ACQUIRE_SLOTS + ACQUIRE_PROBES],
}

/// See [`Slot::settled`].
pub(crate) const SETTLED_SHIFT: u32 = 17;
/// Bytes of records that are not settled, at most.
pub(crate) const MOST_UNSETTLED: usize = 24 << 10;

/// One call of one thread.
#[repr(C)]
pub(crate) struct CallStat {
    pub(crate) unit: UnitHead,
    pub(crate) call: AtomicU32,
    pub(crate) _reserved: AtomicU32,
    /// Calls with clocks, less those that are only in the timeline yet: see [`Slot::settled`].
    pub(crate) count: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) ticks: AtomicU64,
    /// The shortest, all bits inverted, so that zeros mean "none yet".
    pub(crate) shortest: AtomicU64,
    pub(crate) longest: AtomicU64,
    /// Calls without clocks.
    pub(crate) untimed: AtomicU64,
    pub(crate) buckets: [AtomicU64; crate::hist::BUCKETS],
}

/// Owners kept per site.
pub(crate) const OWNERS: usize = 14;

/// Waits for one owner, while it was in one call.
#[repr(C)]
pub(crate) struct Owner {
    /// Kernel thread id; 0: not known.
    pub(crate) tid: AtomicU32,
    /// Call the owner was in when the wait was recorded.
    pub(crate) call: AtomicU32,
    /// 0: free.
    pub(crate) count: AtomicU64,
    pub(crate) ticks: AtomicU64,
}

/// Contended waits of one thread at one site for one lock inside one call.
#[repr(C)]
pub(crate) struct SiteStat {
    pub(crate) unit: UnitHead,
    pub(crate) kind: AtomicU32,
    pub(crate) call: AtomicU32,
    pub(crate) site: AtomicU64,
    /// `u64::MAX`: all locks of this site that found no block of their own.
    pub(crate) lock: AtomicU64,
    pub(crate) count: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) ticks: AtomicU64,
    /// The shortest, all bits inverted.
    pub(crate) shortest: AtomicU64,
    pub(crate) longest: AtomicU64,
    /// Owners that found no place below.
    pub(crate) other_owners: AtomicU64,
    pub(crate) other_owner_ticks: AtomicU64,
    pub(crate) owners: [Owner; OWNERS],
    /// Each stops at its largest value.
    pub(crate) buckets: [AtomicU32; crate::hist::BUCKETS],
}

/// In [`SiteStat::lock`]: several locks.
pub(crate) const MANY_LOCKS: u64 = u64::MAX;

/// Bytes of a chunk.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes before a chunk's first record.
pub(crate) const CHUNK_HEAD: usize = size_of::<ChunkHead>();

/// First bytes of a chunk.
#[repr(C, align(64))]
pub(crate) struct ChunkHead {
    /// Number of the taking, from 1, over all chunks of the process; 0 while a chunk is being
    /// reused. A reader copies, then looks again: a changed number voids the copy.
    pub(crate) taken: AtomicU64,
    /// Bytes written, this head among them; stored last after each event.
    pub(crate) committed: AtomicU32,
    /// Segments begun.
    pub(crate) segments: AtomicU32,
    /// See [`chunk_state`].
    pub(crate) state: AtomicU32,
}

/// Values of [`ChunkHead::state`]; 0: never used.
pub(crate) mod chunk_state {
    /// A thread writes into it, or it waits half full for the next thread.
    pub(crate) const HELD: u32 = 1;
    /// May be reused.
    pub(crate) const FULL: u32 = 2;
}

/// Timeline records. Word 0 of each: tag, words (8 bits each), then 48 bits that depend on the tag.
pub(crate) mod tag {
    /// `call:15 failed:1 ticks:32`, start, object.
    pub(crate) const CALL: u8 = 1;
    /// `call:15 failed:1`, start, object, ticks.
    pub(crate) const CALL_LONG: u8 = 2;
    /// `call:15 failed:1 kind:8 0:8 owner_call:16`, start, ticks, lock, site, owner tid.
    pub(crate) const WAIT: u8 = 3;
    /// `call:16 kind:8`, at, lock, site.
    pub(crate) const WAKE: u8 = 4;
    /// `mark:16`, at, value.
    pub(crate) const MARK: u8 = 5;
    /// `call:16`, GPU begin, GPU end, queue, correlation.
    pub(crate) const GPU_SPAN: u8 = 6;
    /// at, GPU time, queue.
    pub(crate) const GPU_CLOCK: u8 = 7;
    /// at, CPU ns, ready ns (or all bits set), voluntary, involuntary.
    pub(crate) const CPU: u8 = 8;
    /// Tags from here on are structure, not events: they are not counted in the ledger.
    pub(crate) const STRUCTURE: u8 = 0xf0;
    /// `0:16 thread:32`, number of the first event, ticks, nanos. Begins a segment.
    pub(crate) const SEGMENT: u8 = 0xf0;
    /// ticks, nanos.
    pub(crate) const CLOCK: u8 = 0xf1;
}

/// Word 0 of a timeline record.
#[inline(always)]
pub(crate) const fn word0(tag: u8, words: u8, call: u16, failed: bool, high: u32) -> u64 {
    tag as u64
        | (words as u64) << 8
        | (call as u64) << 16
        | (failed as u64) << 31
        | (high as u64) << 32
}

/// Log records. Word 0: `bytes:32 tag:8 0:23 committed:1`; stored twice, the second time last.
pub(crate) mod log_tag {
    /// Path of the program.
    pub(crate) const PROGRAM: u8 = 1;
    /// Arguments, each ended by a zero byte.
    pub(crate) const ARGUMENTS: u8 = 2;
    /// `/proc/self/stat`.
    pub(crate) const STAT: u8 = 3;
    /// Folder name of the process that forked this one.
    pub(crate) const FORKED_FROM: u8 = 4;
    /// `id:16 api:8 kind:8 0:32`, name.
    pub(crate) const CALL: u8 = 5;
    /// at, base, end, bias, `path:32 build_id:32` (lengths), path, build id.
    pub(crate) const MODULE_LOADED: u8 = 6;
    /// at, base.
    pub(crate) const MODULE_UNLOADED: u8 = 7;
    /// `key:32 value:32` (lengths), key, value.
    pub(crate) const NOTE: u8 = 8;
    /// ticks, nanos.
    pub(crate) const CLOCK: u8 = 9;
    /// Numbers of an ended thread's call: see `writer::exit`.
    pub(crate) const ENDED_CALL: u8 = 10;
    /// Numbers of an ended thread's site.
    pub(crate) const ENDED_SITE: u8 = 11;
    /// An ended thread's acquisitions.
    pub(crate) const ENDED_ACQUIRES: u8 = 12;
    /// An ended thread; makes its other records count.
    pub(crate) const ENDED_THREAD: u8 = 13;
}

/// Bit of a log record's word 0 that says that the record is whole.
pub(crate) const LOG_COMMITTED: u64 = 1 << 63;

const _: () = assert!(PROCESS_HEAD + size_of::<ProcessHead>() <= HEAD_BYTES);
const _: () = assert!(size_of::<Head>() <= PROCESS_HEAD);
const _: () = assert!(size_of::<ChunkHead>() == 64);
const _: () = assert!(CHUNK_BYTES < 1 << SETTLED_SHIFT);
const _: () = assert!(size_of::<CallStat>() == 64 + 8 * crate::hist::BUCKETS);
const _: () = assert!(size_of::<SiteStat>() == 424 + 4 * crate::hist::BUCKETS);
const _: () = assert!(size_of::<Slot>().is_multiple_of(8));
