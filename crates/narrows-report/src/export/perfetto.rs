//! Perfetto's trace format: track descriptors, track events, interned names.
//!
//! Field numbers are those of `perfetto/protos/perfetto/trace/perfetto_trace.proto`. One packet
//! sequence; timestamps are nanoseconds of the monotonic clock, which a clock snapshot makes the
//! trace's own. Threads are tracks; units of work and each GPU queue have tracks of their own
//! below, because they may overlap.

use super::lanes::{Lanes, Nest};
use super::protobuf::Message;
use narrows_model::trace::timeline::{Timeline, TimelineEvent, TimelineProcess, TimelineWhat};
use std::collections::HashMap;
use std::io::{self, Write};

/// `ClockSnapshot.Clock.BuiltinClocks.MONOTONIC` and `BuiltinClock.BUILTIN_CLOCK_MONOTONIC`.
const MONOTONIC: u64 = 3;
/// Any number but 0.
const SEQUENCE: u64 = 1;

/// Fields of `TracePacket`.
mod packet {
    pub(super) const CLOCK_SNAPSHOT: u32 = 6;
    pub(super) const TIMESTAMP: u32 = 8;
    pub(super) const SEQUENCE_ID: u32 = 10;
    pub(super) const TRACK_EVENT: u32 = 11;
    pub(super) const INTERNED_DATA: u32 = 12;
    pub(super) const SEQUENCE_FLAGS: u32 = 13;
    pub(super) const DEFAULTS: u32 = 59;
    pub(super) const TRACK_DESCRIPTOR: u32 = 60;
    /// Also the field in `TracePacketDefaults`.
    pub(super) const CLOCK_ID: u32 = 58;
}

/// Fields of `TrackEvent`.
mod event {
    pub(super) const CATEGORY_IIDS: u32 = 3;
    pub(super) const DEBUG_ANNOTATIONS: u32 = 4;
    pub(super) const TYPE: u32 = 9;
    pub(super) const NAME_IID: u32 = 10;
    pub(super) const TRACK_UUID: u32 = 11;
    pub(super) const COUNTER_VALUE: u32 = 30;
}

/// Values of `TrackEvent.Type`.
mod kind {
    pub(super) const SLICE_BEGIN: u64 = 1;
    pub(super) const SLICE_END: u64 = 2;
    pub(super) const INSTANT: u64 = 3;
    pub(super) const COUNTER: u64 = 4;
}

/// Fields of `InternedData`, and its three tables here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Table {
    Category = 1,
    Name = 2,
    Annotation = 3,
    /// String values of annotations.
    Value = 29,
}

/// Writes `timeline` as a Perfetto trace.
pub fn write_perfetto(timeline: &dyn Timeline, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = Writer::new(out);
    writer.head(first_instant(timeline))?;
    for (index, process) in timeline.processes().iter().enumerate() {
        let track = writer.process(process)?;
        for thread in 0..process.threads.len() {
            writer.thread(timeline, index, thread, track)?;
        }
    }
    writer.result
}

/// The clock snapshot stands at the first thread's first event; any instant would do.
fn first_instant(timeline: &dyn Timeline) -> u64 {
    let mut first = None;
    for (index, process) in timeline.processes().iter().enumerate() {
        if first.is_none() && !process.threads.is_empty() {
            timeline.events(index, 0, &mut |event| {
                first.get_or_insert(event.start.0);
            });
        }
    }
    first.unwrap_or(0)
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    interned: HashMap<(Table, String), u64>,
    new: Message,
    next_track: u64,
    /// The first error: events come from a callback that cannot fail.
    result: io::Result<()>,
}

/// Tracks below a thread's or a process's.
#[derive(Default)]
struct Below {
    lanes: Lanes,
    tracks: Vec<u64>,
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut dyn Write) -> Self {
        Writer {
            out,
            interned: HashMap::new(),
            new: Message::default(),
            next_track: 1,
            result: Ok(()),
        }
    }

    /// Clears interned state, sets the clock of all timestamps, and ties it to the trace.
    fn head(&mut self, at: u64) -> io::Result<()> {
        let mut clock = Message::default();
        clock.number(1, MONOTONIC).number(2, at);
        let mut snapshot = Message::default();
        snapshot.message(1, &clock).number(2, MONOTONIC);
        let mut first = Message::default();
        first
            .number(packet::SEQUENCE_ID, SEQUENCE)
            .message(packet::CLOCK_SNAPSHOT, &snapshot);
        self.packet(&first)?;

        let mut defaults = Message::default();
        defaults.number(packet::CLOCK_ID, MONOTONIC);
        let mut second = Message::default();
        // SEQ_INCREMENTAL_STATE_CLEARED
        second
            .number(packet::SEQUENCE_ID, SEQUENCE)
            .number(packet::SEQUENCE_FLAGS, 1);
        second.message(packet::DEFAULTS, &defaults);
        self.packet(&second)
    }

    /// `Trace.packet`, field 1.
    fn packet(&mut self, packet: &Message) -> io::Result<()> {
        let mut outer = Message::default();
        outer.message(1, packet);
        self.out.write_all(outer.bytes())
    }

    fn descriptor(&mut self, fill: impl FnOnce(&mut Message)) -> io::Result<u64> {
        let uuid = self.next_track;
        self.next_track += 1;
        let mut track = Message::default();
        track.number(1, uuid);
        fill(&mut track);
        let mut packet = Message::default();
        packet
            .number(packet::SEQUENCE_ID, SEQUENCE)
            .message(packet::TRACK_DESCRIPTOR, &track);
        self.packet(&packet)?;
        Ok(uuid)
    }

    fn process(&mut self, process: &TimelineProcess) -> io::Result<u64> {
        let mut inner = Message::default();
        inner.number(1, u64::from(process.pid));
        for argument in &process.arguments {
            inner.text(2, argument);
        }
        inner.text(6, &process.name);
        self.descriptor(|track| {
            track.message(3, &inner);
        })
    }

    fn thread(
        &mut self,
        timeline: &dyn Timeline,
        process: usize,
        thread: usize,
        process_track: u64,
    ) -> io::Result<()> {
        let owner = &timeline.processes()[process];
        let row = &owner.threads[thread];
        let mut inner = Message::default();
        inner
            .number(1, u64::from(owner.pid))
            .number(2, u64::from(row.tid))
            .text(5, &row.name);
        let track = self.descriptor(|track| {
            track.message(4, &inner);
        })?;
        let mut tracks = Tracks {
            process: process_track,
            thread: track,
            nest: Nest::default(),
            ops: Below::default(),
            queues: HashMap::new(),
            cpu: None,
        };
        timeline.events(process, thread, &mut |event| {
            if self.result.is_ok() {
                self.result = self.event(&mut tracks, event);
            }
        });
        std::mem::replace(&mut self.result, Ok(()))
    }

    fn event(&mut self, tracks: &mut Tracks, row: &TimelineEvent<'_>) -> io::Result<()> {
        let (start, end) = (row.start.0, row.end.0.max(row.start.0));
        match row.what {
            TimelineWhat::Call {
                name,
                layer,
                object,
                failed,
            } => {
                let mut fields = Message::default();
                self.pointer(&mut fields, "object", object);
                self.flag(&mut fields, "failed", failed);
                let start = tracks.nest.place(start, end);
                self.slice(tracks.thread, layer.name(), name, (start, end), &fields)
            }
            TimelineWhat::Wait { kind, layer, .. } => {
                let fields = self.wait_fields(&row.what);
                let start = tracks.nest.place(start, end);
                let name = format!("wait {kind}");
                self.slice(tracks.thread, layer.name(), &name, (start, end), &fields)
            }
            TimelineWhat::Op { object } => {
                let mut fields = Message::default();
                self.pointer(&mut fields, "object", object);
                let (lane, start) = tracks.ops.lanes.place(start, end);
                let track = self.lane(&mut tracks.ops, lane, tracks.thread, "ops")?;
                self.slice(track, "op", "op", (start, end), &fields)
            }
            TimelineWhat::Gpu { name, queue } => {
                let below = tracks.queues.entry(queue).or_default();
                let (lane, start) = below.lanes.place(start, end);
                let title = format!("gpu queue {queue:#x}");
                let track = self.lane(below, lane, tracks.process, &title)?;
                self.slice(track, "gpu", name, (start, end), &Message::default())
            }
            TimelineWhat::Wake { kind, lock, site } => {
                let mut fields = Message::default();
                self.pointer(&mut fields, "lock", lock);
                self.string(&mut fields, "site", site);
                self.instant(tracks.thread, "wake", &format!("wake {kind}"), end, &fields)
            }
            TimelineWhat::Mark { name, value } => {
                let mut fields = Message::default();
                self.annotation(&mut fields, "value", |inner| {
                    inner.number(3, value);
                });
                self.instant(tracks.thread, "mark", name, end, &fields)
            }
            TimelineWhat::Cpu { cpu, .. } => self.counter(tracks, end, cpu.0),
        }
    }

    fn wait_fields(&mut self, what: &TimelineWhat<'_>) -> Message {
        let mut fields = Message::default();
        let TimelineWhat::Wait {
            site,
            lock,
            owner,
            owner_call,
            inside,
            failed,
            ..
        } = *what
        else {
            return fields;
        };
        self.string(&mut fields, "site", site);
        self.pointer(&mut fields, "lock", lock);
        if let Some(owner) = owner {
            self.annotation(&mut fields, "owner", |inner| {
                inner.number(3, u64::from(owner));
            });
        }
        if let Some(call) = owner_call {
            self.string(&mut fields, "owner was in", call);
        }
        if let Some(call) = inside {
            self.string(&mut fields, "inside", call);
        }
        self.flag(&mut fields, "failed", failed);
        fields
    }

    /// The track of a lane, made at first use.
    fn lane(&mut self, below: &mut Below, lane: usize, parent: u64, name: &str) -> io::Result<u64> {
        while below.tracks.len() <= lane {
            let track = self.descriptor(|track| {
                track.text(2, name).number(5, parent);
            })?;
            below.tracks.push(track);
        }
        Ok(below.tracks[lane])
    }

    fn slice(
        &mut self,
        track: u64,
        category: &str,
        name: &str,
        (start, end): (u64, u64),
        fields: &Message,
    ) -> io::Result<()> {
        let begin = self.named(track, kind::SLICE_BEGIN, category, name, fields);
        self.track_event(start, &begin)?;
        let mut finish = Message::default();
        finish
            .number(event::TYPE, kind::SLICE_END)
            .number(event::TRACK_UUID, track);
        self.track_event(end, &finish)
    }

    fn instant(
        &mut self,
        track: u64,
        category: &str,
        name: &str,
        at: u64,
        fields: &Message,
    ) -> io::Result<()> {
        let instant = self.named(track, kind::INSTANT, category, name, fields);
        self.track_event(at, &instant)
    }

    /// CPU time as a counter below the thread.
    fn counter(&mut self, tracks: &mut Tracks, at: u64, value: u64) -> io::Result<()> {
        let track = match tracks.cpu {
            Some(track) => track,
            None => {
                let mut counter = Message::default();
                // CounterDescriptor.unit = UNIT_TIME_NS
                counter.number(3, 1);
                let parent = tracks.thread;
                let track = self.descriptor(|track| {
                    track
                        .text(2, "CPU time")
                        .number(5, parent)
                        .message(8, &counter);
                })?;
                *tracks.cpu.insert(track)
            }
        };
        let mut sample = Message::default();
        sample
            .number(event::TYPE, kind::COUNTER)
            .number(event::TRACK_UUID, track);
        sample.number(event::COUNTER_VALUE, value);
        self.track_event(at, &sample)
    }

    fn named(
        &mut self,
        track: u64,
        kind: u64,
        category: &str,
        name: &str,
        fields: &Message,
    ) -> Message {
        let category = self.intern(Table::Category, category);
        let name = self.intern(Table::Name, name);
        let mut message = Message::default();
        message
            .number(event::TYPE, kind)
            .number(event::TRACK_UUID, track);
        message
            .number(event::CATEGORY_IIDS, category)
            .number(event::NAME_IID, name);
        message.append(fields);
        message
    }

    /// One packet; names that are new stand in it, before the event that uses them.
    fn track_event(&mut self, at: u64, track_event: &Message) -> io::Result<()> {
        let mut packet = Message::default();
        packet
            .number(packet::TIMESTAMP, at)
            .number(packet::SEQUENCE_ID, SEQUENCE);
        // SEQ_NEEDS_INCREMENTAL_STATE
        packet.number(packet::SEQUENCE_FLAGS, 2);
        if !self.new.bytes().is_empty() {
            packet.message(packet::INTERNED_DATA, &self.new);
            self.new.clear();
        }
        packet.message(packet::TRACK_EVENT, track_event);
        self.packet(&packet)
    }

    fn intern(&mut self, table: Table, text: &str) -> u64 {
        // Looked up by reference first would need a borrowed pair; names are short.
        let key = (table, text.to_owned());
        if let Some(&known) = self.interned.get(&key) {
            return known;
        }
        let iid = self.interned.len() as u64 + 1;
        let mut entry = Message::default();
        entry.number(1, iid).text(2, text);
        self.new.message(table as u32, &entry);
        self.interned.insert(key, iid);
        iid
    }

    fn annotation(&mut self, fields: &mut Message, name: &str, fill: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        inner.number(1, self.intern(Table::Annotation, name));
        fill(&mut inner);
        fields.message(event::DEBUG_ANNOTATIONS, &inner);
    }

    fn string(&mut self, fields: &mut Message, name: &str, value: &str) {
        let value = self.intern(Table::Value, value);
        self.annotation(fields, name, |inner| {
            inner.number(17, value);
        });
    }

    fn pointer(&mut self, fields: &mut Message, name: &str, value: u64) {
        if value != 0 {
            self.annotation(fields, name, |inner| {
                inner.number(7, value);
            });
        }
    }

    fn flag(&mut self, fields: &mut Message, name: &str, value: bool) {
        if value {
            self.annotation(fields, name, |inner| {
                inner.number(2, 1);
            });
        }
    }
}

/// The tracks of one thread.
struct Tracks {
    process: u64,
    thread: u64,
    nest: Nest,
    ops: Below,
    queues: HashMap<u64, Below>,
    cpu: Option<u64>,
}
