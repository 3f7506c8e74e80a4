//! The table: one group per rung, lowest first, one line per number of threads.

use super::{about, failure};
use crate::text::{Column, Page, Paint, headings, row};
use narrows_model::ladder::{LadderResult, RungPoint, RungResult};
use narrows_model::result::Interval;
use narrows_model::words::{count, significant};

const COLUMNS: [Column; 7] = [
    Column::right("threads", 11),
    Column::right("ops/s", 13),
    Column::right("speedup", 10),
    Column::right("efficiency", 13),
    Column::right("its interval", 17),
    Column::right("cores", 8),
    Column::left("", 28),
];

pub(super) fn rungs(page: &mut Page, result: &LadderResult) {
    headings(page, &COLUMNS);
    for rung in &result.rungs {
        let title = format!("{}  {}", rung.id, rung.title);
        page.line(Some(Paint::Bold), &title);
        page.paragraph(Some(Paint::Dim), "  ", &about(rung));
        if let Some(why) = &rung.failure {
            page.paragraph(Some(Paint::Yellow), "  ", &failure(why));
            continue;
        }
        for point in &rung.points {
            lines(page, point);
        }
        for note in &rung.notes {
            page.paragraph(None, "  note: ", note);
        }
    }
    page.blank();
}

fn lines(page: &mut Page, point: &RungPoint) {
    let failed = point.failure.as_ref();
    if point.ops_per_s.is_some() || failed.is_none() {
        row(&COLUMNS, &cells(point))
            .iter()
            .for_each(|l| page.line(None, l));
    }
    if let Some(why) = failed {
        let label = format!("{:>9}  ", submitters(point));
        page.paragraph(Some(Paint::Yellow), &label, &failure(why));
    }
}

/// `8`, or `8 proc.` of a pool.
pub(crate) fn submitters(point: &RungPoint) -> String {
    if point.processes > 1 {
        format!("{} proc.", point.processes)
    } else {
        point.threads.to_string()
    }
}

fn cells(p: &RungPoint) -> Vec<String> {
    let ends = |i: Interval| format!("[{:.1}, {:.1}]", i.low * 100.0, i.high * 100.0);
    let interval = match (p.baseline, p.efficiency, p.efficiency_ci) {
        (true, ..) => "baseline".into(),
        (false, Some(_), None) => "too few pairs".into(),
        (false, None, _) => "not measured".into(),
        (false, _, Some(i)) => ends(i),
    };
    vec![
        submitters(p),
        p.ops_per_s.map_or("not measured".into(), count),
        p.speedup
            .map_or(String::new(), |s| format!("{}x", significant(s))),
        p.efficiency
            .map_or(String::new(), |e| format!("{:.1} %", e * 100.0)),
        interval,
        p.cores_used.map_or(String::new(), significant),
        notes(p),
    ]
}

fn notes(p: &RungPoint) -> String {
    use narrows_model::scan::Flag;
    let word = |f: &Flag| match f {
        Flag::TooNoisy => "noisy",
        Flag::FewPairs => "few pairs",
        Flag::CpuLimited => "cpu-limited",
        Flag::SuperLinear => "super-linear",
        Flag::UnusablePairs => "pairs lost",
        Flag::Best | Flag::TiedBest => "",
    };
    let words: Vec<_> = p.flags.iter().map(word).filter(|w| !w.is_empty()).collect();
    words.join(", ")
}

/// Rungs of the chart, highest first.
pub(crate) fn highest_first(result: &LadderResult) -> impl Iterator<Item = &RungResult> {
    result.rungs.iter().rev()
}
