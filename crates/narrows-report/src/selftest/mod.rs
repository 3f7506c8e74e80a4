//! The self-test on a terminal: a row per plant, the confusion matrix, what was not right.

use crate::text::{Page, Paint, WIDTH};
use narrows_model::result::{Interval, VerdictKind};
use narrows_model::selftest::{Found, GAIN_TOLERANCE, Outcome, Row, SelftestResult};
use narrows_model::stats::median;
use narrows_model::words::{plural, significant};

/// The whole self-test as text, with colour if asked for.
pub fn selftest_text(result: &SelftestResult, colour: bool) -> String {
    let mut page = Page::new(colour);
    page.line(None, &head(result));
    page.blank();
    table(&mut page, result);
    page.blank();
    matrix(&mut page, result);
    page.blank();
    remarks(&mut page, result);
    end(&mut page, result);
    page.finish()
}

/// The self-test as indented JSON with a line's end.
pub fn selftest_json(result: &SelftestResult) -> Result<String, crate::Error> {
    Ok(serde_json::to_string_pretty(result)? + "\n")
}

fn head(result: &SelftestResult) -> String {
    let runs = result.rows.iter().map(|row| row.run).max().unwrap_or(0);
    let plants = groups(result).len();
    let cores = result
        .cores
        .map_or("cores not known".into(), |n| plural(n, "core"));
    let load = result
        .load
        .map_or("load not known".into(), |load| format!("load {load:.2}"));
    format!(
        "narrows {} tests itself: {} in {}, {cores}, {load}, {:.0} s",
        result.narrows,
        plural(plants as u64, "planted program"),
        plural(runs, "run"),
        result.wall_ns as f64 / 1e9,
    )
}

/// Rows of one planted program, in the order of their first run.
fn groups(result: &SelftestResult) -> Vec<Vec<&Row>> {
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in &result.rows {
        match groups
            .iter_mut()
            .find(|group| group.iter().any(|other| other.planted == row.planted))
        {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

fn layers(row: &Row) -> String {
    let names: Vec<&str> = row
        .planted
        .layers
        .iter()
        .map(|layer| layer.name())
        .collect();
    if names.is_empty() {
        "-".into()
    } else {
        names.join("+")
    }
}

/// `serialised, driver`; candidates instead of a layer where there is none.
fn label(found: Option<&Found>) -> String {
    let Some(found) = found else {
        return "no verdict".into();
    };
    match found.layer {
        Some(layer) => format!("{}, {layer}", word(found.kind)),
        None => word(found.kind).into(),
    }
}

fn table(page: &mut Page, result: &SelftestResult) {
    let line = |cells: [&str; 7]| {
        let [plant, layer, threads, found, share, predicted, real] = cells;
        format!(
            "{plant:<14}{layer:<17}{threads:>3}  {found:<25}{share:>6}{predicted:>11}{real:>11}"
        )
    };
    let heading = line([
        "planted",
        "layer",
        "N",
        "found",
        "share",
        "gain told",
        "gain real",
    ]);
    page.line(Some(Paint::Bold), &heading);
    for group in groups(result) {
        let Some(first) = group.first() else { continue };
        let middle = |of: fn(&Row) -> Option<f64>| {
            median(&group.iter().filter_map(|row| of(row)).collect::<Vec<_>>())
        };
        let share = middle(|row| row.found.as_ref()?.share);
        let predicted = middle(|row| row.gain.as_ref()?.predicted);
        let real = middle(|row| row.gain.as_ref()?.real);
        let found = label(most_frequent(&group).found.as_ref());
        let text = line([
            &first.planted.plant,
            &layers(first),
            &first.planted.threads.to_string(),
            &found,
            &share.map_or("-".into(), |share| format!("{:.0} %", share * 100.0)),
            &predicted.map_or("-".into(), times),
            &real.map_or("-".into(), times),
        ]);
        let worst = group
            .iter()
            .map(|row| row.outcome)
            .max_by_key(|o| gravity(*o));
        page.line(worst.map(paint), &format!("{text}  {}", outcomes(&group)));
        if let [only] = group.as_slice() {
            intervals(page, only);
        }
    }
}

/// The intervals of a single run, under its numbers.
fn intervals(page: &mut Page, row: &Row) {
    let Some(gain) = &row.gain else { return };
    let shown = |interval: Option<Interval>| {
        interval.map_or(String::new(), |i| {
            format!("{}-{}", significant(i.low), significant(i.high))
        })
    };
    let (predicted, real) = (shown(gain.predicted_ci), shown(gain.real_ci));
    if !(predicted.is_empty() && real.is_empty()) {
        page.line(
            Some(Paint::Dim),
            &format!("{:67}{predicted:>11}{real:>11}", ""),
        );
    }
}

fn times(value: f64) -> String {
    format!("{}x", significant(value))
}

fn most_frequent<'a>(group: &[&'a Row]) -> &'a Row {
    let count = |row: &Row| {
        let wanted = label(row.found.as_ref());
        group
            .iter()
            .filter(|other| label(other.found.as_ref()) == wanted)
            .count()
    };
    let mut best = group[0];
    for row in group {
        if count(row) > count(best) {
            best = row;
        }
    }
    best
}

/// `right`, or `18 right, 2 cautious`.
fn outcomes(group: &[&Row]) -> String {
    if let [only] = group {
        let again = if only.tries > 1 { ", 2nd try" } else { "" };
        return format!("{}{again}", only.outcome.word());
    }
    let counted = Outcome::ALL.into_iter().filter_map(|outcome| {
        let count = group.iter().filter(|row| row.outcome == outcome).count();
        (count > 0).then(|| format!("{count} {}", outcome.word()))
    });
    counted.collect::<Vec<_>>().join(", ")
}

const fn gravity(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Right => 0,
        Outcome::Cautious => 1,
        Outcome::Failed => 2,
        Outcome::Wrong => 3,
    }
}

const fn paint(outcome: Outcome) -> Paint {
    match outcome {
        Outcome::Right => Paint::Green,
        Outcome::Cautious => Paint::Dim,
        Outcome::Failed | Outcome::Wrong => Paint::Yellow,
    }
}

/// Planted programs against what was found, in runs. Columns are letters, told below.
fn matrix(page: &mut Page, result: &SelftestResult) {
    let mut labels: Vec<String> = Vec::new();
    for row in &result.rows {
        let found = label(row.found.as_ref());
        if !labels.contains(&found) {
            labels.push(found);
        }
    }
    labels.sort();
    let letters: Vec<char> = ('a'..='z').chain('A'..='Z').collect();
    let width = 4;
    let title = "confusion matrix (runs)";
    let letter = |at: usize| letters.get(at).copied().unwrap_or('?');
    let heads: String = (0..labels.len())
        .map(|at| format!("{:>width$}", letter(at)))
        .collect();
    page.line(Some(Paint::Bold), &format!("{title:<31}{heads}"));
    for group in groups(result) {
        let Some(first) = group.first() else { continue };
        let cell = |wanted: &String| {
            let count = group
                .iter()
                .filter(|row| label(row.found.as_ref()) == *wanted)
                .count();
            let shown = if count == 0 {
                ".".into()
            } else {
                count.to_string()
            };
            format!("{shown:>width$}")
        };
        let cells: String = labels.iter().map(cell).collect();
        page.line(
            None,
            &format!("{:<14}{:<17}{cells}", first.planted.plant, layers(first)),
        );
    }
    let told: Vec<String> = labels
        .iter()
        .enumerate()
        .map(|(at, text)| format!("{} = {text}", letter(at)))
        .collect();
    page.paragraph(None, "  ", &told.join("; "));
}

/// What every row that is not right says.
fn remarks(page: &mut Page, result: &SelftestResult) {
    for row in result
        .rows
        .iter()
        .filter(|row| row.outcome != Outcome::Right)
    {
        let said = match (&row.found, &row.error) {
            (Some(found), _) => found.sentence.as_str(),
            (None, Some(error)) => error.as_str(),
            (None, None) => "no verdict",
        };
        let label = format!(
            "{} in {}, run {}: ",
            row.planted.plant,
            layers(row),
            row.run
        );
        debug_assert!(label.len() < WIDTH);
        page.paragraph(None, &label, said);
    }
    if result.rows.iter().any(|row| row.outcome != Outcome::Right) {
        page.blank();
    }
}

fn end(page: &mut Page, result: &SelftestResult) {
    let counted: Vec<String> = Outcome::ALL
        .into_iter()
        .map(|outcome| format!("{} {}", result.count(outcome), outcome.word()))
        .collect();
    let gains: Vec<bool> = result
        .rows
        .iter()
        .filter_map(|row| row.gain.as_ref()?.holds())
        .collect();
    let held = gains.iter().filter(|held| **held).count();
    let gain = if gains.is_empty() {
        "no gain was predicted and measured".into()
    } else {
        format!(
            "{held} of {} predicted gains within {:.0} % of the real one",
            gains.len(),
            GAIN_TOLERANCE * 100.0
        )
    };
    page.line(
        Some(Paint::Bold),
        &format!("{}; {gain}", counted.join(", ")),
    );
    if result.tried_again() > 0 {
        let again = format!(
            "{} of {} came from a second try, since the first verdict was cautious",
            result.tried_again(),
            result.rows.len()
        );
        page.line(Some(Paint::Dim), &again);
    }
}

/// The kind's name, as in JSON.
const fn word(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Scales => "scales",
        VerdictKind::Serialised => "serialised",
        VerdictKind::GpuSaturated => "gpu-saturated",
        VerdictKind::BackPressure => "back-pressure",
        VerdictKind::CpuLimited => "cpu-limited",
        VerdictKind::Ambiguous => "ambiguous",
        VerdictKind::TooNoisy => "too-noisy",
    }
}

#[cfg(test)]
mod tests;
