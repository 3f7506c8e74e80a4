//! Words that several views of a result use.

use narrows_model::explain::term::Class;
use narrows_model::result::{Interval, Site, VerdictKind};
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

/// `50.6 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
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
