//! The timeline: an index of its segments, and streams of events with bounded memory.
//!
//! A segment is one thread's run of records inside a chunk. The index is read at once; events are
//! read in windows of at most 64 KiB per thread, and only while the thread has events left.
//! A chunk that the running program reuses in the meantime is given up and counted.

use super::bytes::Bytes;
use super::events::{Event, Word0, decode};
use super::merge::{Lane, Merge};
use crate::clock_map::ClockPair;
use crate::layout::{CHUNK_BYTES, CHUNK_HEAD, ChunkHead, HEAD_BYTES, tag};
use crate::{Nanos, ThreadNo, Ticks};
use core::mem::offset_of;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes of a segment's first record.
const SEGMENT_BYTES: usize = 32;
/// Memory for windows over all open threads, about.
const WINDOWS: usize = 32 << 20;
/// Smallest window.
const LEAST_WINDOW: usize = 4096;

/// One thread's records in one chunk.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Number of its first event among all that the thread made.
    first: u64,
    start: Ticks,
    chunk: u32,
    /// Bytes within the chunk, the segment's own record left out.
    from: u32,
    to: u32,
    taken: u64,
}

/// What could not be read, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Records with a tag from a newer version, skipped.
    pub unknown: u64,
    /// Segments that ended in bytes that are no record.
    pub broken_segments: u64,
    /// Chunks whose head makes no sense, or that the file is too short for.
    pub broken_chunks: u64,
    /// Segments that the running program overwrote while they were read.
    pub overtaken_segments: u64,
}

/// Made, readable and lost timeline events of one thread: `made = readable + lost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Events the thread made.
    pub made: u64,
    /// Events that can be read.
    pub readable: u64,
    /// Events overwritten by newer ones, dropped, or unreadable.
    pub lost: u64,
}

/// The timeline of a process at the moment it was opened.
#[derive(Debug)]
pub struct Timeline {
    file: Option<Arc<File>>,
    segments: BTreeMap<u32, Vec<Segment>>,
    pub(super) pairs: Vec<ClockPair>,
    damage: Damage,
}

impl Timeline {
    pub(super) fn empty() -> Self {
        let damage = Damage::default();
        Self {
            file: None,
            segments: BTreeMap::new(),
            pairs: Vec::new(),
            damage,
        }
    }

    /// Indexes the first `chunks` chunks of a file that is `length` bytes long.
    pub(super) fn open(file: File, chunks: u32, length: u64) -> Self {
        let mut timeline = Self {
            file: Some(Arc::new(file)),
            ..Self::empty()
        };
        let mut buffer = Vec::new();
        for chunk in 0..chunks {
            if offset(chunk) + CHUNK_HEAD as u64 > length {
                timeline.damage.broken_chunks += u64::from(chunks - chunk);
                break;
            }
            if timeline.index(chunk, &mut buffer).is_none() {
                timeline.damage.broken_chunks += 1;
            }
        }
        for segments in timeline.segments.values_mut() {
            segments.sort_unstable_by_key(|segment| (segment.first, segment.taken));
        }
        timeline
    }

    /// Adds a chunk's segments. `None`: it makes no sense.
    fn index(&mut self, chunk: u32, buffer: &mut Vec<u8>) -> Option<()> {
        let file = self.file.clone()?;
        let mut head = [0; CHUNK_HEAD + SEGMENT_BYTES];
        file.read_exact_at(&mut head, offset(chunk)).ok()?;
        let head = Bytes(&head);
        let taken = head.u64(offset_of!(ChunkHead, taken));
        let committed = head.u32(offset_of!(ChunkHead, committed)) as usize;
        if taken == 0 {
            // Never used, or being reused just now: nothing in it.
            return Some(());
        }
        if !(CHUNK_HEAD..=CHUNK_BYTES).contains(&committed) {
            return None;
        }
        if head.u32(offset_of!(ChunkHead, segments)) == 1 {
            let record = head.0.get(CHUNK_HEAD..)?;
            if committed >= CHUNK_HEAD + SEGMENT_BYTES {
                self.add(chunk, taken, CHUNK_HEAD, committed, record)?;
            }
            return Some(());
        }
        buffer.resize(committed, 0);
        let whole = buffer.get_mut(..committed)?;
        file.read_exact_at(whole, offset(chunk)).ok()?;
        let mut last: Option<usize> = None;
        let mut at = CHUNK_HEAD;
        while at < committed {
            let word0 = Word0(Bytes(buffer).u64(at));
            let record = word0.bytes();
            if record == 0 || at + record > committed {
                break;
            }
            if word0.tag() == tag::SEGMENT {
                if let Some(last) = last {
                    self.add(chunk, taken, last, at, buffer.get(last..)?)?;
                }
                last = Some(at);
            }
            at += record;
        }
        if let Some(last) = last {
            self.add(chunk, taken, last, committed, buffer.get(last..)?)?;
        }
        Some(())
    }

    fn add(&mut self, chunk: u32, taken: u64, at: usize, end: usize, record: &[u8]) -> Option<()> {
        let record = Bytes(record);
        let word0 = Word0(record.word(0));
        if word0.tag() != tag::SEGMENT || word0.bytes() != SEGMENT_BYTES {
            return None;
        }
        let ticks = Ticks(record.word(2));
        self.pairs.push(ClockPair {
            ticks,
            nanos: Nanos(record.word(3)),
        });
        let segment = Segment {
            first: record.word(1),
            start: ticks,
            chunk,
            from: (at + SEGMENT_BYTES) as u32,
            to: end as u32,
            taken,
        };
        self.segments.entry(word0.high()).or_default().push(segment);
        Some(())
    }

    /// Threads that have events.
    pub fn threads(&self) -> impl Iterator<Item = ThreadNo> + '_ {
        self.segments.keys().map(|number| ThreadNo(*number))
    }

    /// What the index could not read.
    pub fn damage(&self) -> Damage {
        self.damage
    }

    /// One thread's events, oldest first, in the order in which they were recorded (by their
    /// ends).
    pub fn thread(&self, thread: ThreadNo) -> Events<'_> {
        self.events(thread.0, CHUNK_BYTES)
    }

    fn events(&self, thread: u32, window: usize) -> Events<'_> {
        Events {
            file: self.file.as_deref(),
            thread: ThreadNo(thread),
            segments: self.segments.get(&thread).map_or(&[], Vec::as_slice),
            buffer: Vec::new(),
            at: 0,
            next: 0,
            left: 0,
            window,
            damage: Damage::default(),
            structure: 0,
        }
    }

    /// All threads' events, by their ends.
    pub fn merged(&self) -> Merged<'_> {
        self.merged_beside(self.segments.len())
    }

    /// The same, one of several merges that together open up to `threads` threads.
    pub(super) fn merged_beside(&self, threads: usize) -> Merged<'_> {
        let window = (WINDOWS / threads.max(1)).clamp(LEAST_WINDOW, CHUNK_BYTES);
        let lanes = self.segments.iter().filter_map(|(thread, segments)| {
            let key = segments.first()?.start;
            let (timeline, next, events) = (self, None, None);
            Some(ThreadLane {
                timeline,
                window,
                key,
                thread: *thread,
                next,
                events,
                over: false,
            })
        });
        Merged(Merge::new(lanes.collect()))
    }

    /// Counts events of one thread. `made_before`: what its slot or its end record says.
    pub(super) fn ledger(&self, thread: ThreadNo, made_before: u64, damage: &mut Damage) -> Ledger {
        let mut made = made_before;
        let mut readable = 0_u64;
        for segment in self.segments.get(&thread.0).map_or(&[][..], Vec::as_slice) {
            let one = core::slice::from_ref(segment);
            let mut events = Events {
                segments: one,
                ..self.events(thread.0, CHUNK_BYTES)
            };
            let count = events.count_records();
            damage.add(events.damage);
            readable = readable.saturating_add(count);
            made = made.max(segment.first.saturating_add(count));
        }
        Ledger {
            made,
            readable,
            lost: made.saturating_sub(readable),
        }
    }
}

impl Damage {
    /// Adds other counts.
    pub fn add(&mut self, other: Self) {
        self.unknown += other.unknown;
        self.broken_segments += other.broken_segments;
        self.broken_chunks += other.broken_chunks;
        self.overtaken_segments += other.overtaken_segments;
    }
}

fn offset(chunk: u32) -> u64 {
    HEAD_BYTES as u64 + u64::from(chunk) * CHUNK_BYTES as u64
}

/// A thread's events; an iterator.
#[derive(Debug)]
pub struct Events<'a> {
    file: Option<&'a File>,
    thread: ThreadNo,
    segments: &'a [Segment],
    /// The window.
    buffer: Vec<u8>,
    /// Position in the window.
    at: usize,
    /// Position in the chunk behind the window.
    next: u32,
    /// Bytes of the current segment behind the window.
    left: u32,
    window: usize,
    damage: Damage,
    /// Records that are no events.
    structure: u64,
}

impl Events<'_> {
    /// What could not be read so far.
    pub fn damage(&self) -> Damage {
        self.damage
    }

    /// Counts the records that are left without decoding them.
    fn count_records(&mut self) -> u64 {
        let mut count = 0;
        while self.record().is_some_and(|(word0, bytes)| {
            self.at += bytes;
            count += u64::from(word0.tag() < tag::STRUCTURE);
            true
        }) {}
        count
    }

    /// The record at the current position: word 0 and its length. Fills the window as needed.
    #[inline]
    fn record(&mut self) -> Option<(Word0, usize)> {
        loop {
            if let Some(bytes) = self
                .buffer
                .get(self.at..)
                .and_then(<[u8]>::first_chunk::<8>)
            {
                let word0 = Word0(u64::from_le_bytes(*bytes));
                let bytes = word0.bytes();
                if bytes > 0 && self.at + bytes <= self.buffer.len() {
                    return Some((word0, bytes));
                }
            }
            if !self.refill() {
                return None;
            }
        }
    }

    /// Brings in more of the segment, or the next segment. False: there is no more.
    #[cold]
    fn refill(&mut self) -> bool {
        let rest = self.buffer.len() - self.at;
        if self.left > 0 && rest < 8 * 255 {
            return self.read_on(rest) || self.next_segment();
        }
        // What is left is shorter than it says, or says zero.
        self.damage.broken_segments += u64::from(rest > 0);
        self.next_segment()
    }

    fn next_segment(&mut self) -> bool {
        loop {
            self.buffer.clear();
            self.at = 0;
            if self.next != 0 {
                self.segments = self.segments.get(1..).unwrap_or(&[]);
            }
            let Some(segment) = self.segments.first() else {
                self.next = 0;
                self.left = 0;
                return false;
            };
            self.next = segment.from;
            self.left = segment.to.saturating_sub(segment.from);
            if self.left > 0 && self.read_on(0) {
                return true;
            }
        }
    }

    /// Keeps the last `rest` bytes of the window and reads more behind them.
    fn read_on(&mut self, rest: usize) -> bool {
        let (Some(segment), Some(file)) = (self.segments.first(), self.file) else {
            return false;
        };
        let more = (self.window.saturating_sub(rest)).min(self.left as usize);
        self.buffer.copy_within(self.at.., 0);
        self.buffer.resize(rest + more, 0);
        self.at = 0;
        let chunk = offset(segment.chunk);
        let mut taken = [0; 8];
        let read = self.buffer.get_mut(rest..).is_some_and(|target| {
            file.read_exact_at(target, chunk + u64::from(self.next))
                .is_ok()
        }) && file.read_exact_at(&mut taken, chunk).is_ok();
        if !read || u64::from_le_bytes(taken) != segment.taken {
            self.damage.overtaken_segments += u64::from(read);
            self.damage.broken_segments += u64::from(!read);
            self.buffer.clear();
            self.left = 0;
            return false;
        }
        self.next += more as u32;
        self.left -= more as u32;
        true
    }
}

impl Iterator for Events<'_> {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        loop {
            let (word0, bytes) = self.record()?;
            let record = self.buffer.get(self.at..self.at + bytes)?;
            let what = decode(word0, record);
            self.at += bytes;
            if let Some(what) = what {
                return Some(Event {
                    thread: self.thread,
                    what,
                });
            }
            if word0.tag() < tag::STRUCTURE {
                self.damage.unknown += 1;
            } else {
                self.structure += 1;
            }
        }
    }
}

/// One thread in the merge. Opened when its time comes and closed after its last event, so that
/// memory goes with the threads alive at once.
#[derive(Debug)]
struct ThreadLane<'a> {
    timeline: &'a Timeline,
    window: usize,
    /// End of the next event, or start of the first segment while nothing is read yet.
    key: Ticks,
    thread: u32,
    next: Option<Event>,
    events: Option<Box<Events<'a>>>,
    over: bool,
}

impl Lane for ThreadLane<'_> {
    type Item = Event;

    #[inline]
    fn key(&self) -> Option<u64> {
        (!self.over).then_some(self.key.0)
    }

    #[inline]
    fn take(&mut self) -> Option<Event> {
        let given = self.next.take();
        let (timeline, thread, window) = (self.timeline, self.thread, self.window);
        let events = self
            .events
            .get_or_insert_with(|| Box::new(timeline.events(thread, window)));
        self.next = events.next();
        match &self.next {
            // Never back: a program's clock values need not ascend.
            Some(event) => self.key = self.key.max(event.what.at().unwrap_or(self.key)),
            None => {
                self.over = true;
                self.events = None;
            }
        }
        given
    }
}

/// All events by their ends; an iterator. What cannot be read is left out; [`Timeline::thread`]
/// counts it.
#[derive(Debug)]
pub struct Merged<'a>(Merge<ThreadLane<'a>>);

impl Iterator for Merged<'_> {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        self.0.next()
    }
}
