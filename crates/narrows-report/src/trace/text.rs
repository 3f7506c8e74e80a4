//! The summary on a terminal: at most 100 columns, the answer first, caveats last.

use super::units::{count, ns, plural, share, shorten};
use crate::text::Page;
use comfy_table::{CellAlignment, Table, presets};
use narrows_model::layers::Layer;
use narrows_model::result::{Lost, OwnCost, Owner, Site};
use narrows_model::trace::run::Ended;
use narrows_model::trace::{Process, Region, Summary, Thread, TraceCall, TraceCoverage, TraceWait};
use narrows_model::words::stand_ins;

/// Rows shown of each table; JSON has them all.
const CALLS: usize = 20;
const REGIONS: usize = 20;
const WAITS: usize = 10;
const IDLE: usize = 4;
const THREADS: usize = 12;
const PROCESSES: usize = 20;
const OWNED: usize = 5;

/// Columns of a terminal that every line keeps to.
const WIDTH: usize = 100;

const CALL_COLUMNS: &[&str] = &[
    "call", "layer", "calls", "time", "share", "mean", "p50", "p99", "max", "failed",
];
const REGION_COLUMNS: &[&str] = &[
    "region", "threads", "count", "time", "mean", "p50", "p99", "max",
];
const WAIT_COLUMNS: &[&str] = &[
    "site", "layer", "lock", "acquired", "waits", "waited", "share", "longest",
];
const THREAD_COLUMNS: &[&str] = &[
    "thread", "pid", "ops", "calls", "in calls", "waited", "lived", "cpu", "switches",
];

/// The whole summary as text.
pub fn trace_text(summary: &Summary) -> String {
    let sections = [
        head(summary),
        layers(summary),
        calls(&summary.calls),
        regions(&summary.regions),
        waits(&summary.waits),
        idle(&summary.idle),
        threads(&summary.threads),
        processes(&summary.processes),
        caveats(summary),
    ];
    let shown: Vec<String> = sections
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
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
    let answer = summary.waits.first().map_or(String::new(), answer);
    let stand_in = stand_ins(&summary.coverage).map_or(String::new(), |line| {
        let mut page = Page::new(false);
        page.paragraph(None, "stand-in: ", &line);
        page.finish()
    });
    format!(
        "trace of {what}\n{}, {ended}\n{stand_in}{answer}",
        ns(summary.wall_ns)
    )
}

/// The longest wait as a sentence: where, whose, how long, held by whom.
fn answer(row: &TraceWait) -> String {
    let owner = row.wait.owners.first().map_or(String::new(), |owner| {
        let doing = owner.call.as_ref().map_or(String::new(), |call| {
            format!(", which was in {}", shorten(call, 60, false))
        });
        format!(
            "; held mostly by {}{doing}",
            shorten(&owner.thread, 24, false)
        )
    });
    let sentence = format!(
        "longest wait: {} in {} by {} at {} (layer {}), {}{owner}",
        ns(Some(row.wait.total_ns)),
        plural(row.wait.count, "wait"),
        plural(row.threads, "thread"),
        shorten(&site(&row.wait.site), 60, false),
        row.wait.layer,
        row.wait.site.lock.as_deref().unwrap_or(&row.wait.kind),
    );
    let mut page = Page::new(false);
    page.paragraph(None, "", &sentence);
    page.finish()
}

fn layers(summary: &Summary) -> String {
    if summary.layers.is_empty() {
        return "no calls and no waits were recorded\n".into();
    }
    let table = fitted(
        &["layer", "calls", "time in calls", "waits", "waited"],
        1,
        1,
        |_, table| {
            for row in &summary.layers {
                table.add_row([
                    row.layer.to_string(),
                    count(row.calls),
                    ns(Some(row.call_ns)),
                    count(row.waits),
                    ns(Some(row.wait_ns)),
                ]);
            }
        },
    );
    format!("{table}\n")
}

pub(crate) fn calls(rows: &[TraceCall]) -> String {
    let table = fitted(CALL_COLUMNS, 2, 34, |width, table| {
        for row in rows.iter().take(CALLS) {
            table.add_row(call_cells(row, width));
        }
    });
    section(
        rows,
        CALLS,
        "calls, waits inside them included",
        &table,
        "call",
    )
}

fn call_cells(row: &TraceCall, width: usize) -> [String; 10] {
    let call = &row.call;
    [
        shorten(&call.name, width, false),
        short_layer(call.layer).into(),
        count(call.count),
        ns((call.count > row.untimed).then_some(call.total_ns)),
        share(row.share),
        ns(call.mean_ns.map(|mean| mean.round() as u64)),
        ns(call.p50_ns),
        ns(call.p99_ns),
        ns(call.max_ns),
        if row.failed == 0 {
            String::new()
        } else {
            count(row.failed)
        },
    ]
}

pub(crate) fn regions(rows: &[Region]) -> String {
    let table = fitted(REGION_COLUMNS, 1, 40, |width, table| {
        for row in rows.iter().take(REGIONS) {
            table.add_row([
                shorten(&row.name, width, false),
                count(row.threads),
                count(row.count),
                ns(Some(row.total_ns)),
                ns(row.mean_ns.map(|mean| mean.round() as u64)),
                ns(row.p50_ns),
                ns(row.p99_ns),
                ns(row.max_ns),
            ]);
        }
    });
    let title = "regions that the program marks, nested ones included";
    section(rows, REGIONS, title, &table, "region")
}

pub(crate) fn waits(rows: &[TraceWait]) -> String {
    if rows.is_empty() {
        return "locks: no contended wait was recorded\n".into();
    }
    let mut text = wait_table(rows, WAITS, "locks and waits for others");
    for row in rows
        .iter()
        .take(OWNED)
        .filter(|row| !row.wait.owners.is_empty())
    {
        text.push_str(&owners(row));
    }
    text
}

fn idle(rows: &[TraceWait]) -> String {
    wait_table(
        rows,
        IDLE,
        "not contention: workers without work, joins, sleeps",
    )
}

fn wait_table(rows: &[TraceWait], limit: usize, title: &str) -> String {
    let table = fitted(WAIT_COLUMNS, 3, 40, |width, table| {
        for row in rows.iter().take(limit) {
            table.add_row(wait_cells(row, width));
        }
    });
    section(rows, limit, title, &table, "site")
}

fn wait_cells(row: &TraceWait, width: usize) -> [String; 8] {
    let layer = short_layer(row.wait.layer);
    [
        shorten(&site(&row.wait.site), width, false),
        if row.unknown_object {
            format!("{layer}?")
        } else {
            layer.into()
        },
        shorten(
            row.wait.site.lock.as_deref().unwrap_or(&row.wait.kind),
            22,
            true,
        ),
        row.acquisitions.map_or("-".into(), count),
        count(row.wait.count),
        ns(Some(row.wait.total_ns)),
        share(row.share),
        ns(row.max_ns),
    ]
}

/// `who held it` lines under the table.
fn owners(row: &TraceWait) -> String {
    let one = |owner: &Owner| {
        let doing = owner
            .call
            .as_ref()
            .map_or(String::new(), |call| format!(" in {call}"));
        format!(
            "{}{doing} {}",
            shorten(&owner.thread, 24, false),
            share(Some(owner.share))
        )
    };
    let list: Vec<String> = row.wait.owners.iter().take(2).map(one).collect();
    let site = shorten(&site(&row.wait.site), 28, false);
    shorten(
        &format!("  held at {site}: {}", list.join("; ")),
        WIDTH,
        false,
    ) + "\n"
}

/// `libcuda.so.1 symbol+0x12`, `libcuda.so.1+0x12ab`, or the bare address.
pub(crate) fn site(site: &Site) -> String {
    let offset = site.offset.unwrap_or(0);
    let Some(object) = &site.object else {
        return format!("{offset:#x} (no object)");
    };
    let object = object.strip_suffix(" (deleted)").unwrap_or(object);
    let name = object.rsplit('/').next().unwrap_or(object);
    match &site.symbol {
        Some(symbol) => format!("{name} {symbol}"),
        None => format!("{name}+{offset:#x}"),
    }
}

fn threads(rows: &[Thread]) -> String {
    let table = fitted(THREAD_COLUMNS, 1, 15, |width, table| {
        for row in rows.iter().take(THREADS) {
            table.add_row(thread_cells(row, width));
        }
    });
    section(
        rows,
        THREADS,
        "threads (switches: own will + forced)",
        &table,
        "thread",
    )
}

fn thread_cells(row: &Thread, width: usize) -> [String; 9] {
    let name = row.name.as_deref().unwrap_or("");
    let switches = row.voluntary.zip(row.involuntary);
    [
        format!(
            "{} {}",
            row.tid.map_or("(ended)".into(), |tid| tid.to_string()),
            shorten(name, width, false)
        )
        .trim_end()
        .to_owned(),
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
    ]
}

fn processes(rows: &[Process]) -> String {
    if rows.len() < 2 {
        return String::new();
    }
    let mut text = format!("processes: {}\n", rows.len());
    for row in rows.iter().take(PROCESSES) {
        let indent = "  ".repeat(usize::try_from(row.depth.min(10)).unwrap_or(10) + 1);
        let name = row.program.rsplit('/').next().unwrap_or(&row.program);
        let end = if row.finished {
            ""
        } else {
            ", end not recorded"
        };
        text.push_str(&format!(
            "{indent}{} {}{}: {}, {}, {}{end}\n",
            row.pid,
            if row.origin == "exec" { "then " } else { "" },
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
    let mut text = coverage(&summary.coverage);
    if let Some(device) = &summary.device {
        text.push_str(&format!(
            "device: busy {} of the time from its first to its last work ({})\n",
            share(Some(device.busy)),
            plural(device.spans, "span"),
        ));
    }
    text.push_str(&lost(&summary.lost));
    text.push_str(&own_cost(summary.own_cost.as_ref()));
    for damage in &summary.damage {
        text.push_str(&format!("damage: {damage}\n"));
    }
    text
}

/// What was not recorded, on one line.
pub(crate) fn lost(lost: &Lost) -> String {
    let recorded = plural(lost.recorded, "timeline event");
    if lost.reasons.is_empty() {
        format!("lost: nothing of {recorded}\n")
    } else {
        format!("lost: {} (kept: {recorded})\n", lost.reasons.join("; "))
    }
}

/// What the probe cost, on one line.
pub(crate) fn own_cost(cost: Option<&OwnCost>) -> String {
    match cost {
        Some(cost) => format!(
            "own cost: {} events x {:.1} ns = {}, {} of the threads' time\n",
            count(cost.events),
            cost.ns_per_event,
            ns(Some(cost.total_ns)),
            share(Some(cost.share)),
        ),
        None => "own cost: not known (the probe left no calibration)\n".into(),
    }
}

/// What the probe could see and could not.
pub(crate) fn coverage(coverage: &TraceCoverage) -> String {
    let hooked: Vec<String> = coverage
        .hooked
        .iter()
        .map(|(api, n)| format!("{api} {}", count(*n)))
        .collect();
    let hooked = if hooked.is_empty() {
        "not said".into()
    } else {
        hooked.join(", ")
    };
    let mut text = format!(
        "coverage: {} called; hooked: {hooked}",
        plural(coverage.called, "function")
    );
    text.push_str(if coverage.unseen.is_empty() {
        "\n"
    } else {
        "; not seen:\n"
    });
    for line in &coverage.unseen {
        text.push_str(&format!("  {}\n", shorten(line, 96, false)));
    }
    for line in &coverage.gpu_times {
        text.push_str(&format!("GPU times: {}\n", shorten(line, 96, false)));
    }
    text
}

pub(crate) const fn short_layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Interpreter => "interp",
        Layer::Framework => "framew",
        other => other.name(),
    }
}

/// A table whose first column is as wide as the rest of the line allows, `widest` at most.
/// Columns from `numbers` on are aligned to the right. A line that is too long even so is cut.
pub(crate) fn fitted(
    columns: &[&str],
    numbers: usize,
    widest: usize,
    fill: impl Fn(usize, &mut Table),
) -> String {
    let mut lines = Vec::new();
    for width in (widest.min(8)..=widest).rev() {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_header(columns.iter().copied());
        fill(width, &mut table);
        for at in 0..columns.len() {
            let Some(column) = table.column_mut(at) else {
                continue;
            };
            column.set_padding((0, 2));
            if at >= numbers {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        lines = table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect::<Vec<String>>();
        if lines.iter().all(|line| line.chars().count() <= WIDTH) {
            break;
        }
    }
    lines
        .iter()
        .map(|line| shorten(line, WIDTH, false))
        .collect::<Vec<_>>()
        .join("\n")
}

fn section<T>(rows: &[T], limit: usize, title: &str, table: &str, what: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("{title}\n{table}\n");
    more(&mut text, rows.len(), limit, what);
    text
}

fn more(text: &mut String, all: usize, limit: usize, what: &str) {
    let hidden = u64::try_from(all.saturating_sub(limit)).unwrap_or(u64::MAX);
    if hidden > 0 {
        text.push_str(&format!(
            "  and {} more; --json has all\n",
            plural(hidden, what)
        ));
    }
}
