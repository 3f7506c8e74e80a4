//! The summary on a terminal: at most 100 columns, the answer first, caveats last.

use super::units::{count, ns, plural, share, shorten};
use comfy_table::{CellAlignment, Table, presets};
use narrows_model::layers::Layer;
use narrows_model::result::{Owner, Site};
use narrows_model::trace::run::Ended;
use narrows_model::trace::{Process, Summary, Thread, TraceCall, TraceWait};

/// Rows shown of each table; JSON has them all.
const CALLS: usize = 20;
const WAITS: usize = 10;
const IDLE: usize = 4;
const THREADS: usize = 12;
const PROCESSES: usize = 20;

/// The whole summary as text.
pub fn trace_text(summary: &Summary) -> String {
    let sections = [
        head(summary),
        layers(summary),
        calls(&summary.calls),
        waits(&summary.waits),
        idle(&summary.idle),
        threads(&summary.threads),
        processes(&summary.processes),
        caveats(summary),
    ];
    let shown: Vec<String> = sections.into_iter().filter(|text| !text.is_empty()).collect();
    shown.join("\n") + "\n"
}

fn head(summary: &Summary) -> String {
    let what = match &summary.command {
        Some(command) => shorten(&command.join(" "), 60, false),
        None => "a program with the probe injected by hand".into(),
    };
    let ended = match (summary.ended, &summary.command) {
        (Some(Ended::Exit(0)), _) => "exit status 0".into(),
        (Some(ended @ Ended::Signal(_)), _) => format!("{ended}; what was recorded is whole"),
        (Some(ended), _) => ended.to_string(),
        (None, Some(_)) => "its end was not seen".into(),
        (None, None) => "no launcher watched its end".into(),
    };
    format!("trace of {what}\n{}, {ended}\n", ns(summary.wall_ns))
}

fn layers(summary: &Summary) -> String {
    let mut table = table(&["layer", "calls", "time in calls", "waits", "waited"]);
    right(&mut table, 1..5);
    for row in &summary.layers {
        table.add_row([
            row.layer.to_string(),
            count(row.calls),
            ns(Some(row.call_ns)),
            count(row.waits),
            ns(Some(row.wait_ns)),
        ]);
    }
    if summary.layers.is_empty() {
        return "no calls and no waits were recorded\n".into();
    }
    format!("{}\n", drawn(&table))
}

fn calls(rows: &[TraceCall]) -> String {
    let mut table =
        table(&["call", "layer", "calls", "time", "share", "mean", "p50", "p99", "max", "failed"]);
    right(&mut table, 2..10);
    for row in rows.iter().take(CALLS) {
        let call = &row.call;
        table.add_row([
            shorten(&call.name, 26, false),
            short_layer(call.layer).into(),
            count(call.count),
            ns((call.count > row.untimed).then_some(call.total_ns)),
            share(row.share),
            ns(call.mean_ns.map(|mean| mean.round() as u64)),
            ns(call.p50_ns),
            ns(call.p99_ns),
            ns(call.max_ns),
            if row.failed == 0 { String::new() } else { count(row.failed) },
        ]);
    }
    section(rows, CALLS, "calls, waits inside them included", &table, "call")
}

fn waits(rows: &[TraceWait]) -> String {
    if rows.is_empty() {
        return "locks: no contended wait was recorded\n".into();
    }
    let mut text = wait_table(rows, WAITS, "locks and waits for others");
    for row in rows.iter().take(WAITS).filter(|row| !row.wait.owners.is_empty()) {
        text.push_str(&owners(row));
    }
    text
}

fn idle(rows: &[TraceWait]) -> String {
    wait_table(rows, IDLE, "not contention: workers without work, joins, sleeps")
}

fn wait_table(rows: &[TraceWait], limit: usize, title: &str) -> String {
    let mut table =
        table(&["site", "layer", "lock", "acquired", "waits", "waited", "share", "longest"]);
    right(&mut table, 3..8);
    for row in rows.iter().take(limit) {
        let layer = short_layer(row.wait.layer);
        table.add_row([
            shorten(&site(&row.wait.site), 34, false),
            if row.unknown_object { format!("{layer}?") } else { layer.into() },
            shorten(row.wait.site.lock.as_deref().unwrap_or(&row.wait.kind), 22, true),
            row.acquisitions.map_or("-".into(), count),
            count(row.wait.count),
            ns(Some(row.wait.total_ns)),
            share(row.share),
            ns(row.max_ns),
        ]);
    }
    section(rows, limit, title, &table, "site")
}

/// `who held it` lines under the table.
fn owners(row: &TraceWait) -> String {
    let one = |owner: &Owner| {
        let doing = owner.call.as_ref().map_or(String::new(), |call| format!(" in {call}"));
        format!("{}{doing} {}", shorten(&owner.thread, 24, false), share(Some(owner.share)))
    };
    let list: Vec<String> = row.wait.owners.iter().take(2).map(one).collect();
    let site = shorten(&site(&row.wait.site), 28, false);
    shorten(&format!("  held at {site}: {}", list.join("; ")), 98, false) + "\n"
}

/// `libcuda.so.1 symbol+0x12`, `libcuda.so.1+0x12ab`, or the bare address.
fn site(site: &Site) -> String {
    let offset = site.offset.unwrap_or(0);
    let Some(object) = &site.object else { return format!("{offset:#x} (no object)") };
    let object = object.strip_suffix(" (deleted)").unwrap_or(object);
    let name = object.rsplit('/').next().unwrap_or(object);
    match &site.symbol {
        Some(symbol) => format!("{name} {symbol}"),
        None => format!("{name}+{offset:#x}"),
    }
}

fn threads(rows: &[Thread]) -> String {
    let mut table =
        table(&["thread", "pid", "ops", "calls", "in calls", "waited", "lived", "cpu", "switches"]);
    right(&mut table, 1..9);
    for row in rows.iter().take(THREADS) {
        let name = row.name.as_deref().unwrap_or("");
        let switches = row.voluntary.zip(row.involuntary);
        table.add_row([
            format!("{} {}", row.tid, shorten(name, 15, false)).trim_end().to_owned(),
            row.pid.to_string(),
            count(row.ops),
            count(row.calls),
            ns(Some(row.call_ns)),
            ns(Some(row.wait_ns)),
            ns(row.alive_ns),
            ns(row.cpu_ns),
            switches.map_or("-".into(), |(own, forced)| {
                format!("{}+{}", count(own), count(forced))
            }),
        ]);
    }
    section(rows, THREADS, "threads (switches: own will + forced)", &table, "thread")
}

fn processes(rows: &[Process]) -> String {
    if rows.len() < 2 {
        return String::new();
    }
    let mut text = format!("processes: {}\n", rows.len());
    for row in rows.iter().take(PROCESSES) {
        let indent = "  ".repeat(usize::try_from(row.depth.min(10)).unwrap_or(10) + 1);
        let name = row.program.rsplit('/').next().unwrap_or(&row.program);
        let end = if row.finished { "" } else { ", end not recorded" };
        text.push_str(&format!(
            "{indent}{} {}: {}, {}, {}{end}\n",
            row.pid,
            shorten(name, 30, false),
            ns(row.wall_ns),
            plural(row.threads, "thread"),
            plural(row.calls, "call"),
        ));
    }
    more(&mut text, rows.len(), PROCESSES, "process");
    text
}

fn caveats(summary: &Summary) -> String {
    let mut text = coverage(summary);
    let lost = &summary.lost;
    let recorded = plural(lost.recorded, "timeline event");
    if lost.reasons.is_empty() {
        text.push_str(&format!("lost: nothing of {recorded}\n"));
    } else {
        text.push_str(&format!("lost: {} (kept: {recorded})\n", lost.reasons.join("; ")));
    }
    match &summary.own_cost {
        Some(cost) => text.push_str(&format!(
            "own cost: {} events x {:.1} ns = {}, {} of the threads' time\n",
            count(cost.events),
            cost.ns_per_event,
            ns(Some(cost.total_ns)),
            share(Some(cost.share)),
        )),
        None => text.push_str("own cost: not known (the probe left no calibration)\n"),
    }
    for damage in &summary.damage {
        text.push_str(&format!("damage: {damage}\n"));
    }
    text
}

fn coverage(summary: &Summary) -> String {
    let coverage = &summary.coverage;
    let hooked: Vec<String> =
        coverage.hooked.iter().map(|(api, n)| format!("{api} {}", count(*n))).collect();
    let hooked = if hooked.is_empty() { "not said".into() } else { hooked.join(", ") };
    let mut text =
        format!("coverage: {} called; hooked: {hooked}", plural(coverage.called, "function"));
    if coverage.unseen.is_empty() {
        text.push('\n');
        return text;
    }
    text.push_str("; not seen:\n");
    for line in &coverage.unseen {
        text.push_str(&format!("  {}\n", shorten(line, 96, false)));
    }
    text
}

const fn short_layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Interpreter => "interp",
        Layer::Framework => "framew",
        other => other.name(),
    }
}

fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(columns.iter().copied());
    table
}

fn right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// The table without the blanks that it puts at the ends of lines.
fn drawn(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn section<T>(rows: &[T], limit: usize, title: &str, table: &Table, what: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("{title}\n{}\n", drawn(table));
    more(&mut text, rows.len(), limit, what);
    text
}

fn more(text: &mut String, all: usize, limit: usize, what: &str) {
    let hidden = u64::try_from(all.saturating_sub(limit)).unwrap_or(u64::MAX);
    if hidden > 0 {
        text.push_str(&format!("  and {} more; --json has all\n", plural(hidden, what)));
    }
}
