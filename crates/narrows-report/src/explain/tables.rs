//! The tables beside the waterfall.

use crate::text::{Column, Page, Paint, headings, row};
use crate::words::{interval, percent, place};
use narrows_model::explain::causal::{Reading, Slope};
use narrows_model::explain::result::{BlameRow, ExplainPoint, Explanation, WorkerRow};
use narrows_model::explain::term::Class;
use narrows_model::words::{count, nanos, plural, significant};

/// Rows shown of each table; JSON has them all.
const PARTITION: usize = 12;
const BLAME: usize = 4;
const OWNERS: usize = 3;
const WORKERS: usize = 6;

const POINTS: [Column; 7] = [
    Column::right("threads", 9),
    Column::right("ops/s", 12),
    Column::right("speedup", 10),
    Column::right("efficiency", 13),
    Column::right("its interval", 25),
    Column::right("cores", 9),
    Column::right("device busy", 14),
];

/// One line per N.
pub(super) fn points(page: &mut Page, explanation: &Explanation) {
    if explanation.points.is_empty() {
        return;
    }
    headings(page, &POINTS);
    for (i, point) in explanation.points.iter().enumerate() {
        row(&POINTS, &cells(point, i == 0))
            .iter()
            .for_each(|l| page.line(None, l));
    }
    page.blank();
}

fn cells(point: &ExplainPoint, first: bool) -> Vec<String> {
    let p = &point.point;
    let missing = || "-".to_owned();
    let threads = match p.processes {
        0 | 1 => p.threads.to_string(),
        n => format!("{} in {n}", p.threads),
    };
    vec![
        threads,
        p.ops_per_s.map_or_else(missing, count),
        p.speedup
            .map_or_else(missing, |s| format!("{}x", significant(s))),
        p.efficiency.map_or_else(missing, percent),
        if first && p.n.is_some() {
            "baseline".into()
        } else {
            match p.efficiency_ci {
                Some(_) => interval(p.efficiency_ci, |v| format!("{:.1}", v * 100.0)),
                None => missing(),
            }
        },
        p.cores_used.map_or_else(missing, significant),
        p.gpu_busy.map_or_else(missing, percent),
    ]
}

const STATES: [Column; 5] = [
    Column::left("layer", 13),
    Column::left("what", 24),
    Column::left("where", 40),
    Column::right("per op", 12),
    Column::right("share", 11),
];

/// Without a second N: what the threads of the only one did.
pub(super) fn partition(page: &mut Page, explanation: &Explanation) {
    let rows = &explanation.partitions;
    if rows.is_empty() {
        return;
    }
    page.line(Some(Paint::Bold), "what threads that do ops did");
    headings(page, &STATES);
    for state in rows.iter().take(PARTITION) {
        let cells = [
            state.layer.to_string(),
            state.class.words().into(),
            place(state.class, Some(&state.site), state.call.as_deref()),
            nanos(state.ns_per_op),
            percent(state.share),
        ];
        row(&STATES, &cells).iter().for_each(|l| page.line(None, l));
    }
    if let Some(folded) = rows.get(PARTITION..).filter(|r| !r.is_empty()) {
        let cells = [
            String::new(),
            format!("{} more", folded.len()),
            "smaller ones".into(),
            nanos(folded.iter().map(|r| r.ns_per_op).sum()),
            percent(folded.iter().map(|r| r.share).sum()),
        ];
        row(&STATES, &cells).iter().for_each(|l| page.line(None, l));
    }
    page.blank();
}

/// Who held what others waited for.
pub(super) fn blame(page: &mut Page, rows: &[BlameRow]) {
    if rows.is_empty() {
        return;
    }
    page.line(Some(Paint::Bold), "who held it");
    for blamed in rows.iter().take(BLAME) {
        let at = place(Class::Lock, Some(&blamed.site), blamed.call.as_deref());
        let owners: Vec<String> = blamed
            .owners
            .iter()
            .take(OWNERS)
            .map(|o| {
                format!(
                    "{} {}",
                    percent(o.share),
                    owner(&o.thread, o.call.as_deref())
                )
            })
            .collect();
        let text = format!(
            "{at} ({}): waited {}; {}",
            blamed.layer,
            nanos(blamed.waited_ns as f64),
            owners.join(", ")
        );
        page.paragraph(None, "  ", &text);
    }
    if rows.len() > BLAME {
        let more = plural((rows.len() - BLAME) as u64, "more site");
        page.line(None, &format!("  {more}; --json has all"));
    }
    page.blank();
}

/// `worker (1234) in vkQueueSubmit`.
pub(crate) fn owner(thread: &str, call: Option<&str>) -> String {
    let thread = match thread {
        "any" => "by any thread",
        thread => thread,
    };
    match call {
        Some(call) => format!("{thread} in {call}"),
        None => format!("{thread} outside recorded calls"),
    }
}

/// Threads that ops waited for.
pub(super) fn workers(page: &mut Page, rows: &[WorkerRow]) {
    if rows.is_empty() {
        return;
    }
    page.line(Some(Paint::Bold), "workers that ops wait for");
    for worker in rows.iter().take(WORKERS) {
        let whose = match (&worker.layer, &worker.site) {
            (Some(layer), Some(site)) => {
                format!(
                    "; waits for work in {} ({layer})",
                    place(Class::Other, Some(site), None)
                )
            }
            _ => String::new(),
        };
        let text = format!(
            "{}: busy {}, waited for {}{whose}",
            worker.name,
            percent(worker.busy),
            nanos(worker.waited_for_ns as f64),
        );
        page.paragraph(None, "  ", &text);
    }
    page.blank();
}

const SLOPES: [Column; 5] = [
    Column::left("delayed point", 41),
    Column::right("slope", 9),
    Column::right("interval", 20),
    Column::left("  index", 14),
    Column::left("reading", 16),
];

/// Answers of the causal test.
pub(super) fn slopes(page: &mut Page, slopes: Option<&[Slope]>) {
    let Some(slopes) = slopes else {
        return;
    };
    page.line(
        Some(Paint::Bold),
        "causal test (slope 1: a serial stage; 1/N: parallel work; 0: hidden)",
    );
    if slopes.is_empty() {
        page.line(None, "  no point could be delayed often enough for a slope");
    } else {
        headings(page, &SLOPES);
    }
    for slope in slopes {
        let cells = [
            slope.point.clone(),
            significant(slope.slope),
            interval(slope.slope_ci, significant),
            slope
                .index
                .map_or("  -".into(), |i| format!("  {}", significant(i))),
            reading(slope.reading()).into(),
        ];
        row(&SLOPES, &cells).iter().for_each(|l| page.line(None, l));
    }
    page.blank();
}

/// The reading in words.
pub(crate) const fn reading(reading: Reading) -> &'static str {
    match reading {
        Reading::Serial => "serial",
        Reading::Parallel => "parallel",
        Reading::Hidden => "hidden",
        Reading::Unclear => "unclear",
    }
}
