//! The Firefox Profiler's processed profile, version 55: threads with markers, no samples.
//!
//! The format keeps each thread's markers in columns. Every column is written in a pass of its own
//! over the thread's events, so that no column is held in memory.

use narrows_model::layers::Layer;
use narrows_model::trace::timeline::{
    Timeline, TimelineEvent, TimelineProcess, TimelineThread, TimelineWhat,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};

/// The profile's version of the layout, which the Profiler upgrades from.
const VERSION: u32 = 55;

/// Marker phases: a point in time, or both ends.
const INSTANT: u8 = 0;
const INTERVAL: u8 = 1;

/// What the profile says about itself, besides the events.
#[derive(Clone, Copy, Debug)]
pub struct FirefoxMeta<'a> {
    /// Program that was traced.
    pub product: &'a str,
    /// Start of the recording on the wall clock, milliseconds since 1970; the Profiler shows it.
    pub start_ms: f64,
}

/// Writes `timeline` as a processed profile.
pub fn write_firefox(
    timeline: &dyn Timeline,
    meta: FirefoxMeta<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let zero = earliest(timeline);
    write!(out, "{{\"meta\":{},\"libs\":[],\"pages\":[],", head(meta))?;
    write!(out, "\"profilerOverhead\":[],\"counters\":[],\"threads\":[")?;
    let mut first = true;
    for (index, process) in timeline.processes().iter().enumerate() {
        for at in 0..process.threads.len() {
            if !std::mem::replace(&mut first, false) {
                out.write_all(b",")?;
            }
            Columns {
                timeline,
                index,
                at,
                zero,
            }
            .thread(process, out)?;
        }
    }
    out.write_all(b"]}\n")
}

/// Times are milliseconds from the earliest start: large numbers would lose their fractions.
fn earliest(timeline: &dyn Timeline) -> u64 {
    let mut earliest = u64::MAX;
    for (index, process) in timeline.processes().iter().enumerate() {
        for at in 0..process.threads.len() {
            timeline.events(index, at, &mut |event| {
                earliest = earliest.min(event.start.0)
            });
        }
    }
    if earliest == u64::MAX { 0 } else { earliest }
}

fn head(meta: FirefoxMeta<'_>) -> Value {
    let color = |layer: Layer| match layer {
        Layer::App => "blue",
        Layer::Interpreter => "purple",
        Layer::Framework => "magenta",
        Layer::Library => "lightblue",
        Layer::Runtime => "green",
        Layer::Driver => "orange",
        Layer::Kernel => "red",
        Layer::Gpu => "yellow",
        Layer::Scheduler => "brown",
        Layer::Unseen => "grey",
    };
    let category = |layer: Layer| json!({"name": layer.name(), "color": color(layer), "subcategories": ["Other"]});
    json!({
        "categories": Layer::ALL.map(category),
        "debug": false,
        "extensions": {"length": 0, "baseURL": [], "id": [], "name": []},
        "interval": 1.0,
        "preprocessedProfileVersion": VERSION,
        "processType": 0,
        "product": meta.product,
        "sampleUnits": {"time": "ms", "eventDelay": "ms", "threadCPUDelta": "µs"},
        "startTime": meta.start_ms,
        "symbolicated": true,
        "pausedRanges": [],
        "version": 24,
        "usesOnlyOneStackType": true,
        "sourceCodeIsNotOnSearchfox": true,
        "markerSchema": schemas(),
    })
}

fn schemas() -> Value {
    let schema = |name: &str, label: &str, fields: &[(&str, &str)]| {
        let fields: Vec<Value> = fields
            .iter()
            .map(|(key, label)| {
                json!({"key": key, "label": label, "format": "string", "searchable": true})
            })
            .collect();
        json!({
            "name": name,
            "display": ["marker-chart", "marker-table", "timeline-overview"],
            "tooltipLabel": label,
            "tableLabel": label,
            "fields": fields,
        })
    };
    json!([
        schema(
            "call",
            "{marker.name} {marker.data.object}",
            &[("object", "Object"), ("failed", "Failed")]
        ),
        schema(
            "cpu",
            "{marker.data.value}",
            &[("value", "CPU time so far in ns")]
        ),
        schema("gpu", "{marker.name}", &[("object", "Queue")]),
        schema(
            "mark",
            "{marker.name} {marker.data.value}",
            &[("value", "Value")]
        ),
        schema("op", "op {marker.data.object}", &[("object", "Object")]),
        schema(
            "wait",
            "{marker.name} at {marker.data.site}",
            &[
                ("site", "Site"),
                ("lock", "Lock"),
                ("owner", "Owner's thread"),
                ("ownerCall", "Owner was in"),
                ("inside", "Inside"),
                ("failed", "Failed"),
            ],
        ),
        schema(
            "wake",
            "{marker.name} at {marker.data.site}",
            &[("site", "Site"), ("lock", "Lock")]
        ),
    ])
}

/// One thread's columns.
struct Columns<'a> {
    timeline: &'a dyn Timeline,
    index: usize,
    at: usize,
    zero: u64,
}

impl Columns<'_> {
    fn thread(&self, process: &TimelineProcess, out: &mut dyn Write) -> io::Result<()> {
        let thread = &process.threads[self.at];
        let (mut count, mut first, mut last) = (0_u64, u64::MAX, 0);
        let mut names = Names::default();
        self.timeline.events(self.index, self.at, &mut |event| {
            count += 1;
            first = first.min(event.start.0);
            last = last.max(event.end.0);
            names.index(&marker_name(&event.what));
        });
        let (first, last) = if count == 0 {
            (self.zero, self.zero)
        } else {
            (first, last)
        };
        write!(out, "{{{},", self.skeleton(process, thread, first, last))?;
        write!(out, "\"markers\":{{\"length\":{count}")?;
        self.column("category", out, |event, out| {
            write!(out, "{}", layer(&event.what) as usize)
        })?;
        self.column("data", out, |event, out| {
            write!(out, "{}", data(&event.what))
        })?;
        self.column("endTime", out, |event, out| match phase(event) {
            INSTANT => out.write_all(b"null"),
            _ => write!(out, "{}", self.ms(event.end.0)),
        })?;
        self.column("name", out, |event, out| {
            write!(out, "{}", names.index(&marker_name(&event.what)))
        })?;
        self.column("phase", out, |event, out| write!(out, "{}", phase(event)))?;
        self.column("startTime", out, |event, out| {
            write!(out, "{}", self.ms(event.start.0))
        })?;
        write!(out, "}},\"stringArray\":{}}}", json!(names.list))
    }

    fn column(
        &self,
        name: &str,
        out: &mut dyn Write,
        mut cell: impl FnMut(&TimelineEvent<'_>, &mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        write!(out, ",\"{name}\":[")?;
        let (mut result, mut first) = (Ok(()), true);
        self.timeline.events(self.index, self.at, &mut |event| {
            if result.is_err() {
                return;
            }
            if !std::mem::replace(&mut first, false) {
                result = out.write_all(b",");
            }
            if result.is_ok() {
                result = cell(event, out);
            }
        });
        result?;
        out.write_all(b"]")
    }

    fn ms(&self, ns: u64) -> f64 {
        ns.saturating_sub(self.zero) as f64 / 1e6
    }

    /// All fields but `markers` and `stringArray`, without the braces.
    fn skeleton(
        &self,
        process: &TimelineProcess,
        thread: &TimelineThread,
        first: u64,
        last: u64,
    ) -> String {
        let main = thread.tid == process.pid;
        let name = match thread.name.as_str() {
            "" => format!("Thread <{}>", thread.tid),
            name => name.to_owned(),
        };
        let empty = |columns: &[&str]| {
            let mut table = json!({"length": 0});
            columns.iter().for_each(|column| table[column] = json!([]));
            table
        };
        let mut samples = empty(&["stack", "timeDeltas", "weight", "threadCPUDelta"]);
        samples["weightType"] = json!("samples");
        let fields = json!({
            "frameTable": empty(&[
                "address", "inlineDepth", "category", "subcategory", "func", "nativeSymbol",
                "innerWindowID", "line", "column",
            ]),
            "funcTable": empty(&[
                "name", "isJS", "relevantForJS", "resource", "fileName", "lineNumber",
                "columnNumber",
            ]),
            "name": name,
            "isMainThread": main,
            "nativeSymbols": empty(&["address", "functionSize", "libIndex", "name"]),
            "pausedRanges": [],
            "pid": process.pid.to_string(),
            "processName": process.name,
            "processShutdownTime": null,
            "processStartupTime": 0.0,
            "processType": "default",
            "registerTime": self.ms(first),
            "resourceTable": empty(&["lib", "name", "host", "type"]),
            "samples": samples,
            "stackTable": empty(&["prefix", "frame"]),
            "tid": thread.tid.to_string(),
            "unregisterTime": self.ms(last),
            "showMarkersInTimeline": true,
        });
        let text = fields.to_string();
        let inner = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        inner.unwrap_or_default().to_owned()
    }
}

/// A thread's table of strings.
#[derive(Default)]
struct Names {
    known: HashMap<String, usize>,
    list: Vec<String>,
}

impl Names {
    fn index(&mut self, name: &str) -> usize {
        if let Some(&known) = self.known.get(name) {
            return known;
        }
        self.known.insert(name.to_owned(), self.list.len());
        self.list.push(name.to_owned());
        self.list.len() - 1
    }
}

fn phase(event: &TimelineEvent<'_>) -> u8 {
    match event.what {
        TimelineWhat::Wake { .. } | TimelineWhat::Mark { .. } | TimelineWhat::Cpu { .. } => INSTANT,
        _ => INTERVAL,
    }
}

fn marker_name(what: &TimelineWhat<'_>) -> String {
    match *what {
        TimelineWhat::Call { name, .. }
        | TimelineWhat::Mark { name, .. }
        | TimelineWhat::Gpu { name, .. } => name.into(),
        TimelineWhat::Op { .. } => "op".into(),
        TimelineWhat::Wait { kind, .. } => format!("wait {kind}"),
        TimelineWhat::Wake { kind, .. } => format!("wake {kind}"),
        TimelineWhat::Cpu { .. } => "CPU time".into(),
    }
}

fn layer(what: &TimelineWhat<'_>) -> Layer {
    match *what {
        TimelineWhat::Call { layer, .. } | TimelineWhat::Wait { layer, .. } => layer,
        TimelineWhat::Gpu { .. } => Layer::Gpu,
        TimelineWhat::Cpu { .. } => Layer::Scheduler,
        _ => Layer::App,
    }
}

fn data(what: &TimelineWhat<'_>) -> Value {
    let hex = |value: u64| {
        if value == 0 {
            String::new()
        } else {
            format!("{value:#x}")
        }
    };
    let yes = |value: bool| if value { "yes" } else { "" };
    match *what {
        TimelineWhat::Call { object, failed, .. } => {
            json!({"type": "call", "object": hex(object), "failed": yes(failed)})
        }
        TimelineWhat::Op { object } => json!({"type": "op", "object": hex(object)}),
        TimelineWhat::Wait {
            site,
            lock,
            owner,
            owner_call,
            inside,
            failed,
            ..
        } => json!({
            "type": "wait",
            "site": site,
            "lock": hex(lock),
            "owner": owner.map_or(String::new(), |owner| owner.to_string()),
            "ownerCall": owner_call.unwrap_or_default(),
            "inside": inside.unwrap_or_default(),
            "failed": yes(failed),
        }),
        TimelineWhat::Wake { lock, site, .. } => {
            json!({"type": "wake", "site": site, "lock": hex(lock)})
        }
        TimelineWhat::Mark { value, .. } => json!({"type": "mark", "value": value.to_string()}),
        TimelineWhat::Gpu { queue, .. } => json!({"type": "gpu", "object": hex(queue)}),
        TimelineWhat::Cpu { cpu, .. } => json!({"type": "cpu", "value": cpu.0.to_string()}),
    }
}
