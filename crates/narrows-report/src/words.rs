//! Words that several views of a result use.

use narrows_model::explain::result::Explanation;
use narrows_model::explain::term::Class;
use narrows_model::result::{Interval, ProofKind, Site, VerdictKind};
use narrows_model::words::significant;

/// The verdict's kind as it stands in the JSON.
pub(crate) const fn kind(kind: VerdictKind) -> &'static str {
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

/// What a proof rests on.
pub(crate) const fn proof(kind: ProofKind) -> &'static str {
    match kind {
        ProofKind::Waits => "waits",
        ProofKind::Slope => "causal slope",
        ProofKind::Ladder => "isolation ladder",
        ProofKind::GpuTimeline => "the device's time",
        ProofKind::WorkerTimeline => "a worker's time",
        ProofKind::Growth => "growth with threads",
    }
}

/// `50.6 %`.
pub(crate) fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).round();
    // No sign on what rounds to nothing.
    format!("{:.1} %", if tenths == 0.0 { 0.0 } else { tenths / 10.0 })
}

/// `41,000`, without decimals for small ones.
pub(crate) fn whole(value: u64) -> String {
    match value {
        0..100 => value.to_string(),
        _ => narrows_model::words::count(value as f64),
    }
}

/// `[4.01, 4.10]`, with its level if that is below 95 %; nothing without one.
pub(crate) fn interval(ci: Option<Interval>, number: impl Fn(f64) -> String) -> String {
    ci.map_or(String::new(), |ci| {
        let ends = format!("[{}, {}]", number(ci.low), number(ci.high));
        if ci.level < 0.945 {
            format!("{ends} ({} %)", significant(ci.level * 100.0))
        } else {
            ends
        }
    })
}

/// Where a state is, in words: place, lock and the call around them.
pub(crate) fn place(class: Class, site: Option<&Site>, call: Option<&str>) -> String {
    let empty = Site::default();
    let site = site.unwrap_or(&empty);
    let place = match (&site.object, &site.symbol, site.offset) {
        (Some(object), Some(symbol), _) => Some(format!("{symbol} in {object}")),
        (Some(object), None, Some(offset)) => Some(format!("{object}+{offset:#x}")),
        (Some(object), None, None) => Some(object.clone()),
        (None, Some(symbol), _) => Some(symbol.clone()),
        (None, None, _) => None,
    };
    match (place, call) {
        (Some(place), Some(call)) if class != Class::Running => format!("{place}, inside {call}"),
        (Some(place), _) => place,
        (None, Some(call)) => call.to_owned(),
        (None, None) if class == Class::Running => "outside recorded calls".into(),
        (None, None) => String::new(),
    }
}

/// The command that measures again what is explained.
pub(crate) fn again(explanation: &Explanation) -> String {
    again_words(explanation, |word, _| word.to_owned())
}

/// The same with every word of the program's command, and the one before it, through `change`.
pub(crate) fn again_words(
    explanation: &Explanation,
    change: impl Fn(&str, Option<&str>) -> String,
) -> String {
    let Some(command) = &explanation.command else {
        return "narrows explain --scale 1,4 -- PROGRAM {}".into();
    };
    let before = std::iter::once(None).chain(command.iter().map(|w| Some(w.as_str())));
    let command: Vec<String> = command
        .iter()
        .zip(before)
        .map(|(word, before)| quoted(&change(word, before)))
        .collect();
    let command = command.join(" ");
    let mut ns: Vec<u32> = explanation
        .points
        .iter()
        .filter_map(|p| p.point.n)
        .collect();
    ns.dedup();
    if ns.is_empty() {
        return format!("narrows trace -- {command}");
    }
    let scale: Vec<String> = ns.iter().map(u32::to_string).collect();
    let repeat = explanation.runs.iter().map(|r| r.repeat + 1).max();
    let causal = if explanation.causal.is_some() {
        "--causal "
    } else {
        ""
    };
    format!(
        "narrows explain {causal}--scale {} --repeat {} -- {command}",
        scale.join(","),
        repeat.unwrap_or(1),
    )
}

/// A word as a shell reads it back.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%{}".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
