//! The waterfall as a table: from the cost of an op at the smallest N to that at the largest.

use super::rounding::sum_keeping;
use crate::text::{Column, Page, Paint, headings, row};
use crate::words::place;
use narrows_model::explain::result::{Explanation, Step};
use narrows_model::words::{nanos, plural};

/// Steps shown one by one.
const SHOWN: usize = 12;
/// Steps below this part of the largest one are folded even if there is room.
const SMALLEST: f64 = 0.005;
/// Characters of the longest bar.
const BAR: usize = 9;

const COLUMNS: [Column; 7] = [
    Column::left("layer", 13),
    Column::left("what", 20),
    Column::left("where", 27),
    Column::right("before", 9),
    Column::right("added", 10),
    Column::right("share", 9),
    Column::left("", 11),
];

/// A step as it is shown, or what several small ones amount to.
pub(crate) struct Row<'a> {
    /// `None`: the folded rest.
    pub(crate) step: Option<&'a Step>,
    /// Steps in this row.
    pub(crate) steps: usize,
    /// Time per op at the smallest N.
    pub(crate) base_ns: f64,
    /// What N threads add.
    pub(crate) added_ns: f64,
}

/// Largest steps first, the smallest folded into one row at the end, so that nothing is left out.
pub(crate) fn rows(steps: &[Step]) -> Vec<Row<'_>> {
    let largest = steps.first().map_or(0.0, |s| s.term.ns_per_op.abs());
    let large = |s: &&Step| s.term.ns_per_op.abs() >= SMALLEST * largest;
    let mut shown = steps.iter().take_while(large).count().min(SHOWN);
    // A fold of one step hides more than it saves.
    if shown + 1 == steps.len() {
        shown = steps.len();
    }
    let (shown, folded) = steps.split_at(shown);
    let one = |step| Row {
        step: Some(step),
        steps: 1,
        base_ns: step.base_ns_per_op,
        added_ns: step.term.ns_per_op,
    };
    let mut rows: Vec<Row<'_>> = shown.iter().map(one).collect();
    if !folded.is_empty() {
        rows.push(Row {
            step: None,
            steps: folded.len(),
            base_ns: folded.iter().map(|s| s.base_ns_per_op).sum(),
            added_ns: folded.iter().map(|s| s.term.ns_per_op).sum(),
        });
    }
    rows
}

/// One unit for a whole column, so that its numbers can be added up by eye: divisor, name, digits.
pub(crate) fn unit(largest_ns: f64) -> (f64, &'static str, usize) {
    let (divisor, name) = match largest_ns.abs() {
        v if v >= 1e9 => (1e9, "s"),
        v if v >= 1e6 => (1e6, "ms"),
        v if v >= 1e3 => (1e3, "us"),
        _ => (1.0, "ns"),
    };
    let digits = match largest_ns.abs() / divisor {
        v if v >= 10.0 => 2,
        _ => 3,
    };
    (divisor, name, digits)
}

/// A whole number of quanta in the unit of the column.
pub(crate) fn decimals(whole: i64, quantum: f64, divisor: f64, digits: usize) -> String {
    format!("{:.digits$}", whole as f64 * quantum / divisor)
}

pub(super) fn waterfall(page: &mut Page, explanation: &Explanation) {
    let (Some(steps), Some(base), Some(cost)) = (
        &explanation.waterfall,
        explanation.base_ns_per_op,
        explanation.cost_ns_per_op,
    ) else {
        return;
    };
    let threads = |p: Option<&narrows_model::explain::result::ExplainPoint>| {
        p.map_or("the runs".into(), |p| plural(p.point.threads, "thread"))
    };
    let title = format!(
        "thread time per op: {} at {}, {} at {}",
        nanos(base),
        threads(explanation.points.first()),
        nanos(cost),
        threads(explanation.points.last()),
    );
    page.line(Some(Paint::Bold), &title);
    let rows = rows(steps);
    let (divisor, name, digits) = unit(cost.max(base));
    let quantum = divisor / 10f64.powi(digits as i32);
    let added: Vec<f64> = rows.iter().map(|r| r.added_ns).collect();
    let before: Vec<f64> = rows.iter().map(|r| r.base_ns).collect();
    let loss: f64 = added.iter().sum();
    let shares: Vec<f64> = added.iter().map(|ns| ns / loss).collect();
    let lost = loss > 0.0;
    let (before_whole, added_whole) = (sum_keeping(&before, quantum), sum_keeping(&added, quantum));
    let share_whole = sum_keeping(if lost { &shares } else { &[] }, 0.001);
    let decimal = |whole| decimals(whole, quantum, divisor, digits);
    let percent =
        |whole: Option<&i64>| whole.map_or(String::new(), |w| format!("{:.1} %", *w as f64 / 10.0));
    headings(page, &COLUMNS);
    let largest = added.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    for (i, shown) in rows.iter().enumerate() {
        let [layer, what, place] = named(shown);
        let cells = [
            layer,
            what,
            place,
            decimal(before_whole[i]),
            signed(&decimal(added_whole[i])),
            percent(share_whole.get(i)),
            bar(added[i], largest),
        ];
        row(&COLUMNS, &cells)
            .iter()
            .for_each(|l| page.line(None, l));
    }
    let sum = |whole: &[i64]| whole.iter().sum::<i64>();
    let total = [
        "sum".into(),
        format!("in {name}"),
        String::new(),
        decimal(sum(&before_whole)),
        signed(&decimal(sum(&added_whole))),
        percent(lost.then(|| sum(&share_whole)).as_ref()),
        String::new(),
    ];
    row(&COLUMNS, &total)
        .iter()
        .for_each(|l| page.line(Some(Paint::Bold), l));
    page.blank();
}

/// Layer, what, where.
fn named(row: &Row<'_>) -> [String; 3] {
    match row.step {
        Some(step) => [
            step.term.layer.to_string(),
            step.class.words().into(),
            place(step.class, step.term.site.as_ref(), step.call.as_deref()),
        ],
        None => [
            String::new(),
            format!("{} more", row.steps),
            "smaller ones".into(),
        ],
    }
}

fn signed(number: &str) -> String {
    if number.starts_with('-') {
        number.to_owned()
    } else {
        format!("+{number}")
    }
}

/// `#` for what costs, `-` for what got cheaper.
fn bar(value: f64, largest: f64) -> String {
    if largest <= 0.0 {
        return String::new();
    }
    let length = (value.abs() / largest * BAR as f64).round() as usize;
    (if value < 0.0 { "-" } else { "#" }).repeat(length)
}
