use super::fixture::{empty, lock_site, serialised, single};
use super::{explain_json, explain_text};
use narrows_model::explain::result::Explanation;
use narrows_model::layers::Layer;

fn text(explanation: &Explanation) -> String {
    let text = explain_text(explanation, false);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "wider than 100: {line}");
        assert_eq!(line.trim_end(), line, "blanks at the end");
    }
    assert!(!text.contains('\u{1b}'), "escape codes without colour");
    assert!(!text.contains("\n\n\n"), "two empty lines");
    text
}

#[test]
fn a_lock_of_the_driver() {
    insta::assert_snapshot!(text(&serialised()));
}

#[test]
fn one_number_of_threads_only() {
    insta::assert_snapshot!(text(&single()));
}

#[test]
fn nothing_at_all() {
    insta::assert_snapshot!(text(&empty()));
}

#[test]
fn the_sentence_comes_first() {
    let explanation = serialised();
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let shown = words(&text(&explanation));
    let sentence = words(&explanation.verdict.sentence);
    assert_eq!(shown[..sentence.len()], sentence);
}

/// The column of a table, by the position of its heading's end.
fn column(text: &str, title: &str, heading: &str) -> Vec<f64> {
    let lines: Vec<&str> = text
        .lines()
        .skip_while(|l| !l.starts_with(title))
        .skip(1)
        .take_while(|l| !l.is_empty())
        .collect();
    let end = lines[0].find(heading).unwrap() + heading.len();
    let number = |l: &&str| {
        let cell = l.get(end.saturating_sub(8)..end)?;
        cell.split_whitespace().last()?.parse().ok()
    };
    lines[1..].iter().filter_map(number).collect()
}

#[test]
fn the_shown_rows_sum_to_the_shown_loss() {
    let text = text(&serialised());
    for heading in ["before", "added"] {
        let numbers = column(&text, "thread time per op", heading);
        let (sum, rows) = numbers.split_last().unwrap();
        assert!(rows.len() >= 6, "{heading}: {rows:?}");
        // Whole multiples of the last digit shown: exact.
        let whole = |v: &f64| (v * 1000.0).round() as i64;
        assert_eq!(rows.iter().map(whole).sum::<i64>(), whole(sum), "{heading}");
    }
}

#[test]
fn colour_adds_escape_codes_and_nothing_else() {
    let mut coloured = explain_text(&serialised(), true);
    assert!(coloured.starts_with("\u{1b}[1m"));
    for code in ["0", "1", "2", "32", "33"] {
        coloured = coloured.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(coloured, text(&serialised()));
}

#[test]
fn json_that_is_read_back_gives_the_same_text() {
    let explanation = serialised();
    let json = explain_json(&explanation).unwrap();
    let back: Explanation = serde_json::from_str(&json).unwrap();
    // The last digit of a float may differ.
    assert_eq!(text(&back), text(&explanation));
    assert!(json.contains("\"schema\": \"narrows-explain/1\""));
}

#[test]
fn a_stand_in_is_said_in_a_line_of_its_own_on_every_view() {
    let mut explanation = serialised();
    let said = "stand-ins, made for tests (libMetal-stand-in.so)";
    assert!(!text(&explanation).contains("stand-in"));
    let coverage = explanation.coverage.as_mut().unwrap();
    coverage.stand_ins.push("libMetal-stand-in.so".into());
    let shown = text(&explanation);
    assert!(
        shown
            .lines()
            .any(|l| l.starts_with("stand-in ") && l.contains("made for tests"))
    );
    let page = crate::explain_html(&explanation, None).unwrap();
    assert!(page.contains(said) && page.contains("class=\"warning\""));
    let private = crate::Private::default();
    let issue = crate::issue_text(&explanation, &[], &private);
    assert!(
        issue.contains("> **Stand-in.**") && issue.contains(said),
        "{issue}"
    );
}

#[test]
fn the_json_is_the_documented_one() {
    let mut full = serialised();
    full.points[1].point.gpu_busy = Some(0.25);
    full.blame[0].owners[0].layer = Some(Layer::Driver);
    full.verdict.candidates[0].site = Some(lock_site());
    if let Some(coverage) = &mut full.coverage {
        coverage.gpu_times.push("cuda: CUPTI".into());
        coverage.stand_ins.push("libMetal-stand-in.so".into());
    }
    if let Some(lost) = &mut full.lost {
        lost.reasons.push("no room: 3".into());
    }
    let values: Vec<serde_json::Value> = [full, serialised(), single(), empty()]
        .iter()
        .map(|e| serde_json::from_str(&explain_json(e).unwrap()).unwrap())
        .collect();
    let section = crate::documented::Section::of(narrows_model::explain::result::SCHEMA);
    section.names_all_of(&values);
    values.iter().for_each(|value| section.types(value));
}

#[test]
fn slopes_below_zero_stay_on_one_line() {
    let mut explanation = serialised();
    if let Some(slope) = explanation.causal.as_mut().and_then(|c| c.first_mut()) {
        (slope.slope, slope.index) = (-0.0934, Some(-0.2501));
        slope.slope_ci = super::fixture::interval(-0.4831, -0.1222, 0.96);
    }
    let shown = text(&explanation);
    assert!(
        shown
            .lines()
            .any(|l| ["-0.0934", "[-0.483, -0.122]", "-0.250"]
                .iter()
                .all(|w| l.contains(w))),
        "{shown}"
    );
}
