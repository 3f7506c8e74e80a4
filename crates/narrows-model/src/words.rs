//! Numbers and intervals in the words that every sentence and table uses.

use crate::result::Interval;

/// `13,870`; fractions below 100, where whole numbers would be coarse.
pub fn count(value: f64) -> String {
    if value.abs() < 100.0 {
        return significant(value);
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// About three significant digits: `12.3`, `4.05`, `0.506`, `0.0040`.
pub fn significant(value: f64) -> String {
    match value.abs() {
        v if v >= 99.95 || !v.is_finite() => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        v if v >= 0.9995 || v == 0.0 => format!("{value:.2}"),
        v if v >= 0.0995 => format!("{value:.3}"),
        v if v >= 0.001 => format!("{value:.4}"),
        _ => format!("{value:.1e}"),
    }
}

/// `[4.01, 4.10]` in the words of `number`; `(no interval)` without one.
pub fn interval(interval: Option<Interval>, number: impl Fn(f64) -> String) -> String {
    match interval {
        Some(i) => format!("[{}, {}]", number(i.low), number(i.high)),
        None => "(no interval)".into(),
    }
}

/// A time in the unit that suits it: `850 ns`, `12.3 us`, `4.05 ms`, `1.20 s`.
pub fn nanos(ns: f64) -> String {
    let (value, unit) = match ns.abs() {
        v if v >= 0.9995e9 => (ns / 1e9, "s"),
        v if v >= 0.9995e6 => (ns / 1e6, "ms"),
        v if v >= 0.9995e3 => (ns / 1e3, "us"),
        _ => return format!("{ns:.0} ns"),
    };
    format!("{} {unit}", significant(value))
}

/// `1 thread`, `8 threads`.
pub fn plural(count: impl Into<u64>, what: &str) -> String {
    match count.into() {
        1 => format!("1 {what}"),
        n => format!("{n} {what}{}", if what.ends_with('s') { "es" } else { "s" }),
    }
}

/// The line of its own of a report about a device that was made for tests; `None`: it is real, or
/// the built-in software device, which stands in for no API.
pub fn stand_in(api: &str, stand_in: bool) -> Option<String> {
    let title = match api {
        "metal" => "Metal",
        "cuda" => "CUDA",
        _ => return None,
    };
    stand_in.then(|| {
        format!(
            "this is narrows' stand-in for {title}, made for tests, not {title}: no number here is a \
             measurement of {title} or of a GPU"
        )
    })
}

/// The same of a traced program.
pub fn stand_ins(coverage: &crate::trace::TraceCoverage) -> Option<String> {
    if coverage.stand_ins.is_empty() {
        return None;
    }
    let names = coverage.stand_ins.join(", ");
    Some(format!(
        "the program ran with narrows' stand-ins, made for tests ({names}): no number here is a \
         measurement of what they stand for"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(count(1_234_567.4), "1,234,567");
        assert_eq!(count(999.6), "1,000");
        assert_eq!(count(12.34), "12.3");
        assert_eq!(significant(4.049), "4.05");
        assert_eq!(significant(0.5064), "0.506");
        assert_eq!(significant(0.004), "0.0040");
        assert_eq!(significant(99.96), "100");
        assert_eq!(significant(-0.00012), "-1.2e-4");
        assert_eq!(nanos(12_340.0), "12.3 us");
        assert_eq!(nanos(999.7), "1.00 us");
        assert_eq!(nanos(85.0), "85 ns");
        assert_eq!(plural(1u32, "thread"), "1 thread");
        assert_eq!(plural(2u32, "process"), "2 processes");
    }
}
