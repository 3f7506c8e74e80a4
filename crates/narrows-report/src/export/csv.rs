//! Comma-separated values: one line per event, times in nanoseconds of the monotonic clock.
//!
//! Columns: `pid,process,tid,thread,event,name,layer,start_ns,duration_ns,object,lock,site,owner_tid,
//! owner_call,inside,failed,value`. What an event does not have is empty. `event` is `call`, `op`,
//! `wait`, `wake`, `mark`, `gpu` or `cpu`; `object` and `lock` are hexadecimal; `value` is a mark's
//! value or the CPU time in nanoseconds.

use narrows_model::trace::timeline::{Timeline, TimelineEvent, TimelineWhat};
use std::borrow::Cow;
use std::io::{self, Write};

const HEADER: &str = "pid,process,tid,thread,event,name,layer,start_ns,duration_ns,object,lock,\
                      site,owner_tid,owner_call,inside,failed,value\n";

/// Writes `timeline` as CSV.
pub fn write_csv(timeline: &dyn Timeline, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEADER.as_bytes())?;
    for (index, process) in timeline.processes().iter().enumerate() {
        for (at, thread) in process.threads.iter().enumerate() {
            let (name, own) = (quoted(&process.name), quoted(&thread.name));
            let head = format!("{},{name},{},{own}", process.pid, thread.tid);
            let mut result = Ok(());
            timeline.events(index, at, &mut |event| {
                if result.is_ok() {
                    result = row(&head, event, out);
                }
            });
            result?;
        }
    }
    Ok(())
}

#[derive(Default)]
struct Cells<'a> {
    event: &'a str,
    name: &'a str,
    layer: &'a str,
    object: Option<u64>,
    lock: Option<u64>,
    site: &'a str,
    owner: Option<u32>,
    owner_call: &'a str,
    inside: &'a str,
    failed: Option<bool>,
    value: Option<u64>,
}

fn row(head: &str, event: &TimelineEvent<'_>, out: &mut dyn Write) -> io::Result<()> {
    let cells = cells(&event.what);
    let hex = |value: Option<u64>| value.map_or(String::new(), |value| format!("{value:#x}"));
    let text = |value: Option<String>| value.unwrap_or_default();
    writeln!(
        out,
        "{head},{},{},{},{},{},{},{},{},{},{},{},{},{}",
        cells.event,
        quoted(cells.name),
        cells.layer,
        event.start.0,
        event.end.0.saturating_sub(event.start.0),
        hex(cells.object),
        hex(cells.lock),
        quoted(cells.site),
        text(cells.owner.map(|owner| owner.to_string())),
        quoted(cells.owner_call),
        quoted(cells.inside),
        text(cells.failed.map(|failed| u8::from(failed).to_string())),
        text(cells.value.map(|value| value.to_string())),
    )
}

fn cells<'a>(what: &TimelineWhat<'a>) -> Cells<'a> {
    let some = |value: u64| (value != 0).then_some(value);
    let none = Cells::default();
    match *what {
        TimelineWhat::Call {
            name,
            layer,
            object,
            failed,
        } => Cells {
            event: "call",
            name,
            layer: layer.name(),
            object: some(object),
            failed: Some(failed),
            ..none
        },
        TimelineWhat::Op { object } => Cells {
            event: "op",
            object: some(object),
            ..none
        },
        TimelineWhat::Wait {
            kind,
            layer,
            site,
            lock,
            owner,
            owner_call,
            inside,
            failed,
        } => Cells {
            event: "wait",
            name: kind,
            layer: layer.name(),
            lock: Some(lock),
            site,
            owner,
            owner_call: owner_call.unwrap_or_default(),
            inside: inside.unwrap_or_default(),
            failed: Some(failed),
            ..none
        },
        TimelineWhat::Wake { kind, lock, site } => Cells {
            event: "wake",
            name: kind,
            lock: Some(lock),
            site,
            ..none
        },
        TimelineWhat::Mark { name, value } => Cells {
            event: "mark",
            name,
            value: Some(value),
            ..none
        },
        TimelineWhat::Gpu { name, queue } => Cells {
            event: "gpu",
            name,
            layer: "gpu",
            object: some(queue),
            ..none
        },
        TimelineWhat::Cpu { cpu, .. } => Cells {
            event: "cpu",
            value: Some(cpu.0),
            ..none
        },
    }
}

/// RFC 4180: quotes around what holds a comma, a quote or a line break; quotes doubled.
fn quoted(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        return Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")));
    }
    Cow::Borrowed(text)
}
