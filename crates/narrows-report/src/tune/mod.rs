//! The text view of a search: where it ran, the answer, the best setting per goal, what each change
//! gives, the front of throughput against latency.

use crate::Error;
use crate::text::{Column, Page, Paint, headings, row};
use crate::words::interval;
use narrows_model::words::{count, nanos, plural, significant, stand_in};
use narrows_tune::Goal;
use narrows_tune::result::{Choice, Effect, Ratio, Row, TuneResult};
use narrows_tune::samples::{EndReason, Subject};

/// Rows of the front and of the settings that could not be measured; `--json` has all.
const MOST_ROWS: usize = 12;

/// The result as indented JSON (`narrows-tune/1`), as documented in `docs/json.md`, with a line's
/// end after it.
pub fn tune_json(result: &TuneResult) -> Result<String, Error> {
    Ok(serde_json::to_string_pretty(result)? + "\n")
}

/// The result as text, at most 100 columns wide; escape codes only with `colour`.
pub fn tune_text(result: &TuneResult, colour: bool) -> String {
    let mut page = Page::new(colour);
    head(&mut page, result);
    page.blank();
    bests(&mut page, result);
    effects(&mut page, &result.effects);
    front(&mut page, result);
    left_out(&mut page, result);
    page.paragraph(Some(Paint::Bold), "", &result.sentence);
    page.paragraph(Some(Paint::Dim), "", &result.limits);
    page.finish()
}

fn head(page: &mut Page, result: &TuneResult) {
    match &result.subject {
        Subject::Device {
            device,
            choice,
            work,
            ..
        } => {
            let kind = match (device.stand_in, device.software) {
                (true, _) => ", a stand-in for tests",
                (_, true) => ", software, no GPU behind it",
                _ => "",
            };
            let title = format!(
                "{} device {}: {} (driver {}{kind})",
                device.backend, device.index, device.name, device.driver
            );
            page.paragraph(Some(Paint::Bold), "", &title);
            if let Some(line) = stand_in(&device.backend, device.stand_in) {
                page.paragraph(Some(Paint::Yellow), "stand-in     ", &line);
            }
            page.paragraph(None, "chosen       ", choice);
            page.paragraph(None, "work         ", work);
        }
        Subject::Program { command, counted } => {
            page.paragraph(Some(Paint::Bold), "", &command.join(" "));
            page.paragraph(None, "ops          ", counted);
        }
    }
    for warning in &result.environment.warnings {
        page.paragraph(Some(Paint::Yellow), "warning      ", warning);
    }
    let settings = &result.settings;
    let ended = result.end.as_ref();
    let simulated = if result.simulated {
        ", in simulated time"
    } else {
        ""
    };
    let searched = format!(
        "{} of {} tried, {} often enough for an interval; {}, {} ops, {}{simulated}; {}",
        count_settings(settings.tried),
        count_settings(settings.all),
        count_settings(settings.well_measured),
        plural(result.pairs, "pair"),
        count(result.ops as f64),
        ended.map_or("cut off".into(), |e| nanos(e.elapsed_ns as f64)),
        match ended.map(|e| e.reason) {
            Some(EndReason::Separated) => "ended: leaders separated",
            Some(EndReason::TimeUp) => "ended: time up",
            Some(EndReason::Interrupted) => "stopped",
            Some(EndReason::Failed) => "failed",
            None => "no end in the file",
        },
    );
    page.paragraph(None, "settings     ", &searched);
    if let Some(detail) = ended.and_then(|e| e.detail.as_ref()) {
        page.paragraph(Some(Paint::Yellow), "error        ", detail);
    }
    let naive = format!("{}: {}", result.naive.words, numbers(&result.naive));
    page.paragraph(None, "naive        ", &naive);
    if let Some(check) = &result.self_check {
        let text = format!("the naive setting against itself: {}", ratio(check));
        page.paragraph(None, "self-check   ", &text);
    }
}

fn count_settings(n: u64) -> String {
    crate::words::whole(n)
}

/// `41,000 ops/s [...], p99 12 us [...]`.
fn numbers(row: &Row) -> String {
    let mut text = row.ops_per_s.map_or("no op completed".into(), |ops| {
        format!("{} ops/s {}", count(ops), interval(row.ops_ci, count))
    });
    if let Some(p99) = row.p99_ns {
        let ci = interval(row.p99_ci, nanos);
        text.push_str(&format!(", p99 {} {ci}", nanos(p99)));
    }
    text.trim_end().to_owned()
}

fn ratio(ratio: &Ratio) -> String {
    let ci = interval(ratio.ci, significant);
    format!(
        "{}x {ci} in {}",
        significant(ratio.value),
        plural(ratio.pairs, "pair")
    )
}

/// One paragraph per goal.
fn bests(page: &mut Page, result: &TuneResult) {
    for choice in &result.best {
        let label = match choice.goal {
            Goal::Throughput => "throughput   ",
            Goal::P99 => "p99          ",
            Goal::Efficiency => "efficiency   ",
        };
        let paint = (choice.goal == result.goal).then_some(Paint::Green);
        let text = format!("{}: {}", choice.setting.words, numbers(&choice.setting));
        page.paragraph(paint, label, &text);
        page.paragraph(None, "             ", &against(choice));
    }
    if !result.best.is_empty() {
        page.blank();
    }
}

fn against(choice: &Choice) -> String {
    if choice.is_naive {
        return "it is the naive setting".into();
    }
    let mut parts = Vec::new();
    match &choice.gain {
        Some(gain) => parts.push(format!("against naive, fresh pairs: ops/s {}", ratio(gain))),
        None => parts.push("against naive: not measured in fresh pairs".into()),
    }
    if let Some(p99) = &choice.p99_ratio {
        let ci = interval(p99.ci, significant);
        parts.push(format!("p99 {}x {ci}", significant(p99.value)));
    }
    let mut text = parts.join(", ");
    let others = [
        ("as good", &choice.ties),
        ("not separated", &choice.undecided),
    ];
    for (what, names) in others {
        match names.as_slice() {
            [] => {}
            [one] => text.push_str(&format!("; {what}: {one}")),
            [one, more @ ..] => {
                text.push_str(&format!("; {what}: {one} and {} more", more.len()));
            }
        }
    }
    text
}

const EFFECTS: [Column; 4] = [
    Column::left("change", 50),
    Column::right("ops/s", 10),
    Column::right("its interval", 20),
    Column::right("p99", 10),
];

/// What each change of the chosen setting gives.
fn effects(page: &mut Page, effects: &[Effect]) {
    if effects.is_empty() {
        return;
    }
    let title = "the chosen setting over itself with one value changed, fresh pairs";
    page.line(Some(Paint::Bold), title);
    headings(page, &EFFECTS);
    for effect in effects {
        let change = format!(
            "{}={} instead of {}",
            effect.dimension, effect.chosen, effect.instead
        );
        let cells = [
            change,
            format!("{}x", significant(effect.gain.value)),
            interval(effect.gain.ci, significant),
            effect
                .p99_ratio
                .map_or("-".into(), |r| format!("{}x", significant(r.value))),
        ];
        row(&EFFECTS, &cells)
            .iter()
            .for_each(|l| page.line(None, l));
    }
    page.blank();
}

const FRONT: [Column; 3] = [
    Column::right("ops/s", 30),
    Column::right("p99 of a submission", 30),
    Column::left("setting", 40),
];

/// Settings that no other one beats in both.
fn front(page: &mut Page, result: &TuneResult) {
    let Some(rows) = &result.pareto else {
        let why = "no front of throughput against p99: latency was not measured";
        page.line(None, why);
        page.blank();
        return;
    };
    let title = "throughput against p99: settings that no other one beats in both";
    page.line(Some(Paint::Bold), title);
    headings(page, &FRONT);
    for found in rows.iter().take(MOST_ROWS) {
        let with = |value: Option<f64>, ci, number: fn(f64) -> String| {
            let value = value.map_or("-".into(), number);
            format!("{value} {}", interval(ci, number))
        };
        let cells = [
            with(found.ops_per_s, found.ops_ci, count),
            with(found.p99_ns, found.p99_ci, nanos),
            found.words.clone(),
        ];
        row(&FRONT, &cells).iter().for_each(|l| page.line(None, l));
    }
    if rows.len() > MOST_ROWS {
        page.line(
            None,
            &format!("and {} more (--json)", rows.len() - MOST_ROWS),
        );
    }
    page.blank();
}

fn left_out(page: &mut Page, result: &TuneResult) {
    if result.left_out.is_empty() {
        return;
    }
    for missing in result.left_out.iter().take(3) {
        let text = format!("{}: {}", missing.setting, missing.why);
        page.paragraph(Some(Paint::Yellow), "left out     ", &text);
    }
    if let Some(more) = result.left_out.len().checked_sub(3).filter(|n| *n > 0) {
        page.line(None, &format!("             and {more} more (--json)"));
    }
    page.blank();
}
