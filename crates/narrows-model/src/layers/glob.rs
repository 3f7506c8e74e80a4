//! Globs over file names and symbols: `*`, `?` and `[a-z]` classes, over bytes, whole string.

/// Does all of `text` match `pattern`? `*` also matches a slash.
///
/// Time is at most `pattern.len() * text.len()` steps: only the last `*` is ever retried.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to resume after the last `*`: the pattern behind it, and the text it swallowed so far.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        if let Some(width) = one(&pattern[p..], text[t]) {
            p += width;
            t += 1;
            continue;
        }
        let Some((behind, swallowed)) = retry else {
            return false;
        };
        retry = Some((behind, swallowed + 1));
        p = behind;
        t = swallowed + 1;
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// How many pattern bytes match `byte`, if the pattern's head does.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => match class(pattern) {
            Some((set, width)) => contains(set, byte).then_some(width),
            None => (byte == b'[').then_some(1),
        },
        literal => (literal == byte).then_some(1),
    }
}

/// The inside of `[...]` and its whole width. A `]` right behind the bracket is a member.
fn class(pattern: &[u8]) -> Option<(&[u8], usize)> {
    let end = pattern.iter().skip(2).position(|&byte| byte == b']')? + 2;
    Some((&pattern[1..end], end + 1))
}

fn contains(set: &[u8], byte: u8) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set.get(at + 1) == Some(&b'-') && at + 2 < set.len() {
            if (set[at]..=set[at + 2]).contains(&byte) {
                return true;
            }
            at += 3;
        } else {
            if set[at] == byte {
                return true;
            }
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::matches;
    use proptest::prelude::*;

    #[test]
    fn stars_questions_and_classes() {
        assert!(matches("libcuda.so*", "libcuda.so.1"));
        assert!(matches("libcuda.so*", "libcuda.so.550.54.15"));
        assert!(!matches("libcuda.so*", "libcudart.so.12"));
        assert!(matches("python[0-9]*", "python3.11"));
        assert!(!matches("python[0-9]*", "pythonx"));
        assert!(matches("*/torch/*.so*", "/v/lib/torch/lib/libshm.so.1"));
        assert!(matches("[[]vdso[]]", "[vdso]"));
        assert!(matches("a?c", "abc"));
        assert!(!matches("a?c", "ac"));
        assert!(matches("", ""));
        assert!(!matches("", "a"));
        assert!(matches("[", "["));
    }

    /// The definition, slow and recursive, without classes.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|skip| slow(rest, &text[skip..])),
            Some((b'?', rest)) => !text.is_empty() && slow(rest, &text[1..]),
            Some((byte, rest)) => text.first() == Some(byte) && slow(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(matches(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn any_pattern_terminates(pattern in "\\PC{0,20}", text in "\\PC{0,20}") {
            let _ = matches(&pattern, &text);
        }
    }
}
