use super::{FirefoxMeta, write_csv, write_firefox, write_perfetto};
use narrows_model::layers::Layer;
use narrows_model::trace::timeline::{
    Nanos, Timeline, TimelineEvent, TimelineProcess, TimelineThread, TimelineWhat,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// A stand-in for a recording: two threads, every kind of event.
struct StandIn {
    processes: Vec<TimelineProcess>,
}

fn stand_in() -> StandIn {
    let thread = |number, tid, name: &str| TimelineThread {
        number,
        tid,
        name: name.into(),
    };
    StandIn {
        processes: vec![TimelineProcess {
            pid: 70,
            name: "pro,gram".into(),
            arguments: vec!["program".into(), "-x".into()],
            threads: vec![thread(2, 70, "main"), thread(3, 71, "a \"worker\"")],
        }],
    }
}

impl Timeline for StandIn {
    fn processes(&self) -> &[TimelineProcess] {
        &self.processes
    }

    fn events(&self, _process: usize, thread: usize, each: &mut dyn FnMut(&TimelineEvent<'_>)) {
        let mut give = |start, end, what| {
            each(&TimelineEvent {
                start: Nanos(start),
                end: Nanos(end),
                what,
            });
        };
        let wait = TimelineWhat::Wait {
            kind: "mutex",
            layer: Layer::Driver,
            site: "libcuda.so.1+0x12",
            lock: 0x7000,
            owner: Some(71),
            owner_call: Some("cuLaunchKernel"),
            inside: Some("cuStreamSynchronize"),
            failed: false,
        };
        let call = TimelineWhat::Call {
            name: "cuStreamSynchronize",
            layer: Layer::Driver,
            object: 0x10,
            failed: true,
        };
        if thread == 0 {
            give(1_100, 1_400, wait);
            give(1_000, 2_000, call);
            give(500, 2_000, TimelineWhat::Op { object: 0x10 });
            give(1_500, 2_100, TimelineWhat::Op { object: 0x10 });
            give(
                1_000,
                1_900,
                TimelineWhat::Gpu {
                    name: "cuLaunchKernel",
                    queue: 0x10,
                },
            );
            return;
        }
        give(
            3_000,
            3_000,
            TimelineWhat::Wake {
                kind: "mutex",
                lock: 0x7000,
                site: "x+0x1",
            },
        );
        give(
            3_100,
            3_100,
            TimelineWhat::Mark {
                name: "frame",
                value: 7,
            },
        );
        let (voluntary, involuntary) = (1, 2);
        give(
            3_200,
            3_200,
            TimelineWhat::Cpu {
                cpu: Nanos(42),
                voluntary,
                involuntary,
            },
        );
    }
}

#[test]
fn csv_rows() {
    let mut out = Vec::new();
    write_csv(&stand_in(), &mut out).expect("memory");
    insta::assert_snapshot!(String::from_utf8(out).expect("text"));
}

/// A reader of the wire format, independent of the writer: field numbers and values.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (&byte, rest) = bytes.split_first().expect("a whole number");
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
        }
        unreachable!()
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("small");
                let (inner, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(inner.to_vec())
            }
            other => panic!("wire type {other}"),
        };
        found.push((tag >> 3, value));
    }
    found
}

#[derive(Clone, Debug, PartialEq)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

fn number(fields: &[(u64, Field)], wanted: u64) -> Option<u64> {
    fields.iter().find_map(|(number, value)| match value {
        Field::Number(value) if *number == wanted => Some(*value),
        _ => None,
    })
}

fn bytes(fields: &[(u64, Field)], wanted: u64) -> Option<Vec<u8>> {
    fields.iter().find_map(|(number, value)| match value {
        Field::Bytes(value) if *number == wanted => Some(value.clone()),
        _ => None,
    })
}

#[test]
fn perfetto_slices_are_paired_on_their_tracks() {
    let mut out = Vec::new();
    write_perfetto(&stand_in(), &mut out).expect("memory");
    let packets: Vec<_> = fields(&out)
        .into_iter()
        .map(|(number, value)| {
            assert_eq!(number, 1, "Trace.packet");
            let Field::Bytes(packet) = value else {
                panic!("a packet is a message")
            };
            fields(&packet)
        })
        .collect();
    let mut tracks = BTreeSet::new();
    let mut names = BTreeSet::new();
    let mut events: Vec<(u64, usize, u64, u64)> = Vec::new();
    for (at, packet) in packets.iter().enumerate() {
        assert_eq!(number(packet, 10), Some(1), "trusted_packet_sequence_id");
        if let Some(track) = bytes(packet, 60) {
            tracks.insert(number(&fields(&track), 1).expect("uuid"));
        }
        if let Some(interned) = bytes(packet, 12) {
            for (table, entry) in fields(&interned) {
                let Field::Bytes(entry) = entry else {
                    panic!("an entry is a message")
                };
                if table == 2 {
                    names.insert(number(&fields(&entry), 1).expect("iid"));
                }
            }
        }
        if let Some(event) = bytes(packet, 11) {
            let event = fields(&event);
            let (kind, track) = (number(&event, 9).expect("type"), number(&event, 11));
            let track = track.expect("track");
            assert!(
                tracks.contains(&track),
                "a track is described before it is used"
            );
            if kind == 1 {
                assert!(
                    names.contains(&number(&event, 10).expect("name")),
                    "interned before use"
                );
            }
            events.push((number(packet, 8).expect("timestamp"), at, kind, track));
        }
    }
    events.sort();
    let mut depth = std::collections::BTreeMap::new();
    for (_, _, kind, track) in &events {
        let open: &mut i32 = depth.entry(*track).or_default();
        *open += match kind {
            1 => 1,
            2 => -1,
            _ => 0,
        };
        assert!(*open >= 0, "an end without a begin");
    }
    assert!(depth.values().all(|&open| open == 0), "{depth:?}");
    assert_eq!(events.iter().filter(|event| event.2 == 1).count(), 5);
    assert_eq!(events.iter().filter(|event| event.2 == 3).count(), 2);
    assert_eq!(events.iter().filter(|event| event.2 == 4).count(), 1);
}

fn firefox() -> Value {
    let mut out = Vec::new();
    let meta = FirefoxMeta {
        product: "program",
        start_ms: 1.5,
    };
    write_firefox(&stand_in(), meta, &mut out).expect("memory");
    serde_json::from_slice(&out).expect("JSON")
}

#[test]
fn firefox_columns_have_one_length_and_known_names() {
    let profile = firefox();
    let threads = profile["threads"].as_array().expect("threads");
    assert_eq!(threads.len(), 2);
    for (thread, wanted) in threads.iter().zip([5, 3]) {
        let markers = &thread["markers"];
        assert_eq!(markers["length"], wanted);
        for column in ["category", "data", "endTime", "name", "phase", "startTime"] {
            assert_eq!(
                markers[column].as_array().expect("column").len(),
                wanted,
                "{column}"
            );
        }
        let strings = thread["stringArray"].as_array().expect("strings").len();
        let names = markers["name"].as_array().expect("names");
        assert!(
            names
                .iter()
                .all(|name| (name.as_u64().expect("index") as usize) < strings)
        );
        let types: BTreeSet<_> = profile["meta"]["markerSchema"]
            .as_array()
            .expect("schemas")
            .iter()
            .map(|schema| schema["name"].clone().to_string())
            .collect();
        for data in markers["data"].as_array().expect("data") {
            assert!(types.contains(&data["type"].to_string()), "{data}");
        }
    }
    assert_eq!(threads[0]["markers"]["startTime"][1], 0.0005);
    assert_eq!(
        threads[0]["stringArray"]
            [threads[0]["markers"]["name"][1].as_u64().expect("index") as usize],
        "cuStreamSynchronize"
    );
}

/// The shape of a value: keys of objects, not their values; arrays by their first element.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), shape(value)))
            .collect(),
        _ => Value::Null,
    }
}

/// The Profiler's own writer (of samply) makes a profile with one marker; ours must have the same
/// fields everywhere.
#[test]
fn firefox_fields_are_those_of_the_profilers_own_crate() {
    use fxprof_processed_profile::{
        MarkerTiming, Profile, ReferenceTimestamp, SamplingInterval, Timestamp,
    };
    let mut profile = Profile::new(
        "program",
        ReferenceTimestamp::from_millis_since_unix_epoch(1.5),
        SamplingInterval::from_millis(1),
    );
    let start = Timestamp::from_nanos_since_reference(0);
    let process = profile.add_process("program", 70, start);
    let thread = profile.add_thread(process, 70, start, true);
    profile.set_thread_show_markers_in_timeline(thread, true);
    let marker = reference_marker(&mut profile);
    profile.add_marker(thread, MarkerTiming::Interval(start, start), marker);
    let theirs = serde_json::to_value(&profile).expect("JSON");
    let ours = firefox();
    assert_eq!(
        theirs["meta"]["preprocessedProfileVersion"],
        ours["meta"]["preprocessedProfileVersion"]
    );
    assert_eq!(shape(&ours["threads"][0]), shape(&theirs["threads"][0]));
    let (ours_meta, theirs_meta) = (shape(&ours["meta"]), shape(&theirs["meta"]));
    assert_eq!(ours_meta, theirs_meta);
    assert_eq!(shape(&ours), shape(&theirs));
    let schema = |profile: &Value| shape(&profile["meta"]["markerSchema"][0]);
    for (key, _) in schema(&ours).as_object().expect("an object") {
        let known = [
            "chartLabel",
            "tooltipLabel",
            "tableLabel",
            "name",
            "display",
            "fields",
        ];
        assert!(known.contains(&key.as_str()), "{key}");
    }
}

fn reference_marker(
    profile: &mut fxprof_processed_profile::Profile,
) -> impl fxprof_processed_profile::Marker + use<> {
    use fxprof_processed_profile::{
        CategoryHandle, Marker, MarkerTypeHandle, Profile, RuntimeSchemaMarkerSchema, StringHandle,
    };
    struct Plain(MarkerTypeHandle, StringHandle);
    impl Marker for Plain {
        fn marker_type(&self, _profile: &mut Profile) -> MarkerTypeHandle {
            self.0
        }
        fn name(&self, _profile: &mut Profile) -> StringHandle {
            self.1
        }
        fn category(&self, _profile: &mut Profile) -> CategoryHandle {
            CategoryHandle::OTHER
        }
        fn string_field_value(&self, _field: u32) -> StringHandle {
            self.1
        }
        fn number_field_value(&self, _field: u32) -> f64 {
            0.0
        }
    }
    let schema = RuntimeSchemaMarkerSchema {
        type_name: "call".into(),
        locations: fxprof_processed_profile::MarkerLocations::MARKER_TABLE,
        chart_label: None,
        tooltip_label: None,
        table_label: None,
        fields: Vec::new(),
        description: None,
        graphs: Vec::new(),
    };
    let handle = profile.register_marker_type(schema);
    let name = profile.intern_string("call");
    Plain(handle, name)
}
