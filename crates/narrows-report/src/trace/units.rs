//! Numbers as people read them, in few characters.

/// A duration, or `-` for what was not measured.
pub(super) fn ns(value: Option<u64>) -> String {
    value.map_or("-".into(), |value| {
        narrows_model::words::nanos(value as f64)
    })
}

/// A count with a comma after every third digit.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A fraction as per cent, or `-`.
pub(super) fn share(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{:.1} %", value * 100.0))
}

/// `1 thing`, `2 things`.
pub(super) fn plural(value: u64, one: &str) -> String {
    let end = if value == 1 { "" } else { "s" };
    format!("{} {one}{end}", count(value))
}

/// The end of a text that is too long, or its beginning: at most `width` characters.
pub(super) fn shorten(text: &str, width: usize, keep_end: bool) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let keep = width.saturating_sub(2);
    if keep_end {
        format!("..{}", text.chars().skip(length - keep).collect::<String>())
    } else {
        format!("{}..", text.chars().take(keep).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::{count, ns, plural, share, shorten};

    #[test]
    fn few_characters() {
        assert_eq!(ns(None), "-");
        assert_eq!(ns(Some(12_345)), "12.3 us");
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(123), "123");
        assert_eq!(share(Some(0.1234)), "12.3 %");
        assert_eq!(share(None), "-");
        assert_eq!(plural(1, "call"), "1 call");
        assert_eq!(plural(2, "call"), "2 calls");
        assert_eq!(shorten("abcdef", 6, true), "abcdef");
        assert_eq!(shorten("abcdefg", 6, true), "..defg");
        assert_eq!(shorten("abcdefg", 6, false), "abcd..");
    }
}
