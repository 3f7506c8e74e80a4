//! The table of points, one group per strategy, and a quoted table.

use crate::text::{Column, Page, Paint, headings, row};
use narrows_model::reference::Reference;
use narrows_model::result::Interval;
use narrows_model::scan::{Flag, Latency, PointResult, ScanResult};
use narrows_model::words::{count, nanos, significant};

const NOT_MEASURED: &str = "not measured";

const COLUMNS: [Column; 7] = [
    Column {
        heading: "threads",
        width: 11,
        right: true,
    },
    Column {
        heading: "ops/s",
        width: 14,
        right: true,
    },
    Column {
        heading: "speedup",
        width: 9,
        right: true,
    },
    Column {
        heading: "efficiency",
        width: 12,
        right: true,
    },
    Column {
        heading: "its interval",
        width: 16,
        right: true,
    },
    Column {
        heading: "latency p50 / p99",
        width: 19,
        right: true,
    },
    Column {
        heading: "",
        width: 19,
        right: false,
    },
];

/// The same with the share of the device, as wide: the others have room to give.
const WITH_DEVICE: [Column; 8] = [
    Column {
        heading: "threads",
        width: 9,
        right: true,
    },
    Column {
        heading: "ops/s",
        width: 14,
        right: true,
    },
    Column {
        heading: "speedup",
        width: 9,
        right: true,
    },
    Column {
        heading: "efficiency",
        width: 12,
        right: true,
    },
    Column {
        heading: "its interval",
        width: 15,
        right: true,
    },
    Column {
        heading: "latency p50 / p99",
        width: 19,
        right: true,
    },
    Column {
        heading: "device",
        width: 9,
        right: true,
    },
    Column {
        heading: "",
        width: 13,
        right: false,
    },
];
/// What stands below the table then.
const DEVICE: &str = "device: share of the time in which it worked, by its own clock, median over blocks; -: not measured";

/// One line per point.
pub(super) fn points(page: &mut Page, result: &ScanResult) {
    let told = result.points.iter().any(|p| p.gpu_busy.is_some());
    let columns: &[Column] = if told { &WITH_DEVICE } else { &COLUMNS };
    headings(page, columns);
    let mut group = None;
    for point in &result.points {
        let name = (&point.strategy, &point.work);
        if group != Some(name) {
            page.line(Some(Paint::Bold), &point.strategy);
            group = Some(name);
        }
        let has = |f| point.flags.contains(&f);
        let paint = match () {
            () if has(Flag::Best) || has(Flag::TiedBest) => Some(Paint::Green),
            () if has(Flag::TooNoisy) => Some(Paint::Yellow),
            () => None,
        };
        let mut cells = cells(point);
        if told {
            let busy = point.gpu_busy.map_or("-".into(), percent);
            cells.insert(cells.len() - 1, busy);
        }
        row(columns, &cells)
            .iter()
            .for_each(|l| page.line(paint, l));
    }
    if told {
        page.line(Some(Paint::Dim), DEVICE);
    }
    page.blank();
}

fn cells(p: &PointResult) -> Vec<String> {
    let submitters = match (p.pool, p.threads, p.processes) {
        (false, threads, 1) => threads.to_string(),
        (_, 1, processes) => format!("{processes} proc."),
        (_, threads, processes) => format!("{processes} x {threads}"),
    };
    let interval = match (p.baseline, p.efficiency, p.efficiency_ci) {
        (true, ..) => "baseline".into(),
        (false, Some(_), None) => "too few pairs".into(),
        (false, None, _) => NOT_MEASURED.into(),
        (false, _, Some(i)) => percents(i),
    };
    vec![
        submitters,
        p.ops_per_s.map_or(NOT_MEASURED.into(), count),
        p.speedup
            .map_or(String::new(), |s| format!("{}x", significant(s))),
        p.efficiency.map_or(String::new(), percent),
        interval,
        p.latency.map_or(NOT_MEASURED.into(), latency),
        words(&p.flags),
    ]
}

fn percent(fraction: f64) -> String {
    format!("{:.1} %", fraction * 100.0)
}

fn percents(i: Interval) -> String {
    format!("[{:.1}, {:.1}]", i.low * 100.0, i.high * 100.0)
}

fn latency(l: Latency) -> String {
    format!("{} / {}", nanos(l.p50_ns as f64), nanos(l.p99_ns as f64))
}

fn words(flags: &[Flag]) -> String {
    let mut flags = flags.to_vec();
    flags.sort_unstable();
    let word = |f: &Flag| match f {
        Flag::Best => "best",
        Flag::TiedBest => "~ best",
        Flag::TooNoisy => "noisy",
        Flag::FewPairs => "few pairs",
        Flag::CpuLimited => "cpu-limited",
        Flag::SuperLinear => "super-linear",
        Flag::UnusablePairs => "pairs lost",
    };
    flags.iter().map(word).collect::<Vec<_>>().join(", ")
}

const QUOTED: [Column; 4] = [
    Column {
        heading: "threads",
        width: 11,
        right: true,
    },
    Column {
        heading: "ops/s",
        width: 14,
        right: true,
    },
    Column {
        heading: "speedup",
        width: 9,
        right: true,
    },
    Column {
        heading: "efficiency",
        width: 12,
        right: true,
    },
];

/// A table from elsewhere, in the same columns.
pub(super) fn reference(page: &mut Page, reference: &Reference) {
    let title = format!(
        "{}: {}, {} ({})",
        reference.name, reference.machine, reference.date, reference.label
    );
    page.paragraph(Some(Paint::Bold), "", &title);
    headings(page, &QUOTED);
    let mut group = None;
    for r in &reference.rows {
        if group != Some(&r.group) {
            page.line(Some(Paint::Bold), &format!("{}, quoted", r.group));
            group = Some(&r.group);
        }
        let cells = [
            if r.processes > 1 {
                format!("{} proc.", r.processes)
            } else {
                r.threads.to_string()
            },
            r.ops_per_s.map_or("not quoted".into(), count),
            r.speedup
                .map_or("not quoted".into(), |s| format!("{}x", significant(s))),
            r.efficiency.map_or("not quoted".into(), percent),
        ];
        row(&QUOTED, &cells).iter().for_each(|l| page.line(None, l));
    }
    page.blank();
}
