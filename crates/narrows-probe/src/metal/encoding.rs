//! What a method's type encoding says about how its arguments are passed.
//!
//! Only as much is read as a stub needs: whether the result is a structure, which may be returned
//! through a hidden argument, and a bound on the words that arguments take.

use super::stub::{IN_REGISTERS, Kind, ON_STACK, REGISTERS};

/// Words of arguments that a stub passes on at most.
pub(super) const MOST_WORDS: usize = 16;

/// Does the method take or give something in vector registers?
fn has_vectors(encoding: &[u8]) -> bool {
    Types(encoding).any(|kind| match kind.first() {
        Some(b'{') => kind
            .splitn(2, |byte| *byte == b'=')
            .nth(1)
            .is_none_or(has_vectors),
        Some(first) => b"fdD[(".contains(first),
        None => false,
    })
}

/// The kind of stub that the method needs, and how many words that copies from the caller's stack.
/// `None`: the method cannot be hooked (it returns a structure, has too many arguments, or the
/// encoding is not understood).
pub(super) fn passing(encoding: &[u8]) -> Option<(Kind, usize)> {
    let mut rest = Types(encoding);
    let result = rest.next()?;
    if matches!(result.first(), Some(b'{' | b'(' | b'[' | b'D')) {
        return None;
    }
    let (mut words, mut used, mut on_stack) = (0, 0, 0);
    for kind in &mut rest {
        let size = words_of(kind)?;
        words += size;
        let (in_registers, beside) = places(size, used);
        used += in_registers;
        on_stack += beside;
    }
    if !rest.0.is_empty() || !(2..=MOST_WORDS).contains(&words) {
        return None;
    }
    Some(if has_vectors(encoding) || on_stack > ON_STACK {
        // Which of them are on the stack is not asked: at most all.
        let any = on_stack > 0 || words > REGISTERS;
        (Kind::Any, if any { words } else { 0 })
    } else if on_stack > 0 || used > IN_REGISTERS {
        (Kind::Stack, on_stack)
    } else {
        (Kind::Registers, 0)
    })
}

/// Where an argument of so many words goes when so many registers are used: registers that it
/// takes, words on the stack.
#[cfg(target_arch = "x86_64")]
fn places(size: usize, used: usize) -> (usize, usize) {
    if size <= 2 && used + size <= REGISTERS {
        (size, 0)
    } else {
        (0, size)
    }
}

/// Where an argument of so many words goes when so many registers are used: registers that it
/// takes, words on the stack. Large ones are passed by their address, and after the first that
/// finds no register none gets any.
#[cfg(target_arch = "aarch64")]
fn places(size: usize, used: usize) -> (usize, usize) {
    let size = if size > 2 { 1 } else { size };
    if used + size <= REGISTERS {
        (size, 0)
    } else {
        (REGISTERS - used, size)
    }
}

/// Does the method's own encoding say the same as the table's? Digits and qualifiers do not count,
/// and `BOOL` may be written in two ways.
pub(super) fn agrees(own: &[u8], table: &[u8]) -> bool {
    let plain = |byte: &&u8| !byte.is_ascii_digit() && !QUALIFIERS.contains(*byte);
    let bool_of = |byte: &u8| {
        if matches!(*byte, b'B' | b'c') {
            b'C'
        } else {
            *byte
        }
    };
    let own = own.iter().filter(plain).map(bool_of);
    own.eq(table.iter().filter(plain).map(bool_of))
}

const QUALIFIERS: &[u8] = b"rnNoORVA";

/// Splits an encoding into types.
struct Types<'a>(&'a [u8]);

impl<'a> Iterator for Types<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = length(self.0)?;
        let (kind, rest) = self.0.split_at_checked(length)?;
        let digits = rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+'))
            .count();
        self.0 = rest.get(digits..).unwrap_or(&[]);
        let from = kind
            .iter()
            .take_while(|byte| QUALIFIERS.contains(byte))
            .count();
        kind.get(from..)
    }
}

/// Bytes of the first type, qualifiers included.
fn length(text: &[u8]) -> Option<usize> {
    let mut at = text
        .iter()
        .take_while(|byte| QUALIFIERS.contains(byte))
        .count();
    while text.get(at) == Some(&b'^') {
        at += 1;
        at += text
            .get(at..)?
            .iter()
            .take_while(|byte| QUALIFIERS.contains(byte))
            .count();
    }
    match *text.get(at)? {
        b'{' | b'(' | b'[' => bracketed(text, at),
        b'@' => Some(match text.get(at + 1) {
            Some(b'?') if text.get(at + 2) == Some(&b'<') => bracketed(text, at + 2)?,
            Some(b'?') => at + 2,
            Some(b'"') => at + 3 + text.get(at + 2..)?.iter().position(|byte| *byte == b'"')?,
            _ => at + 1,
        }),
        b'b' => None,
        letter if letter.is_ascii_alphabetic() || b"*#:?".contains(&letter) => Some(at + 1),
        _ => None,
    }
}

/// One past the bracket that closes the one at `at`.
fn bracketed(text: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, byte) in text.iter().enumerate().skip(at) {
        match byte {
            b'{' | b'(' | b'[' | b'<' => depth += 1,
            b'}' | b')' | b']' | b'>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index + 1);
        }
    }
    None
}

/// A bound on the words that a value of this type takes.
fn words_of(kind: &[u8]) -> Option<usize> {
    match *kind.first()? {
        b'{' => {
            let inside = kind.get(1..kind.len().checked_sub(1)?)?;
            let from = inside.iter().position(|byte| *byte == b'=')? + 1;
            let mut fields = Types(inside.get(from..)?);
            let mut words = 0;
            for field in &mut fields {
                words += words_of(field)?;
            }
            fields.0.is_empty().then_some(words)
        }
        b'(' | b'[' | b'D' | b'v' | b'b' => None,
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::{agrees, has_vectors, passing};
    use crate::metal::stub::Kind;
    use crate::metal::table::TABLE;
    use std::collections::BTreeMap;

    #[test]
    fn what_has_to_be_copied() {
        let few = Some((Kind::Registers, 0));
        assert_eq!(passing(b"v16@0:8"), few);
        assert_eq!(passing(b"@24@0:8@\"NSString\"16"), few);
        assert_eq!(passing(b"v24@0:8@?<v@?@\"<MTLCommandBuffer>\">16"), few);
        assert_eq!(passing(b"v40@0:8@16{_NSRange=QQ}24"), few);
        assert_eq!(passing(b"v48@0:8@16Q24@32Q40"), few);
        assert_eq!(passing(b"Vv24@0:8r^v16"), few);
        assert_eq!(passing(b"d28@0:8f16d20"), Some((Kind::Any, 0)));
        assert_eq!(passing(b"d@:fd{?=QQQQQQ}QQ"), Some((Kind::Any, 12)));
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn what_is_on_the_stack() {
        let stack = |words| Some((Kind::Stack, words));
        assert_eq!(passing(b"v56@0:8@16Q24@32Q40Q48"), stack(1));
        // Structures of more than two words, whatever registers are free; what follows takes them.
        assert_eq!(passing(b"v64@0:8{?=QQQ}16{?=QQQ}40"), stack(6));
        assert_eq!(passing(b"v@:{?=QQQ}QQQQ"), stack(3));
        // A pair is not split.
        assert_eq!(passing(b"v@:QQQ{?=QQ}Q"), stack(2));
        assert_eq!(passing(b"v@:{?=QQQQ}{?=QQQ}"), Some((Kind::Any, 9)));
    }

    #[test]
    #[cfg(target_arch = "aarch64")]
    fn what_is_on_the_stack() {
        let stack = |words| Some((Kind::Stack, words));
        assert_eq!(passing(b"v56@0:8@16Q24@32Q40Q48"), stack(0));
        assert_eq!(
            passing(b"v64@0:8{?=QQQ}16{?=QQQ}40"),
            Some((Kind::Registers, 0))
        );
        assert_eq!(passing(b"v@:QQQQQQQ"), stack(1));
        // A pair is not split, and nothing goes into registers after it.
        assert_eq!(passing(b"v@:QQQQQ{?=QQ}Q"), stack(3));
    }

    #[test]
    fn vectors_are_known() {
        assert!(has_vectors(b"d16@0:8") && has_vectors(b"v20@0:8f16"));
        assert!(!has_vectors(b"v64@0:8{?=QQQ}16{?=QQQ}40") && !has_vectors(b"@24@0:8@?16"));
        assert!(!has_vectors(b"v24@0:8@\"field\"16") && !has_vectors(b"v24@0:8^d16"));
        assert!(has_vectors(b"v@:{CGSize=dd}") && has_vectors(b"v@:{a=Q{b=f}}Q"));
        let rows = TABLE
            .iter()
            .filter(|row| has_vectors(row.encoding.as_bytes()));
        assert_eq!(rows.count(), 6, "GPU and kernel times");
    }

    #[test]
    fn what_is_left_alone() {
        for encoding in [
            &b"{?=QQQ}16@0:8"[..],
            b"D16@0:8",
            b"v16",
            b"",
            b"v16@0:8b3",
            b"v@:{?=QQQQQQQQQQQQQQQQ}",
            b"v@:{?=QQ",
            b"v@:[4Q]",
        ] {
            assert_eq!(
                passing(encoding),
                None,
                "{:?}",
                encoding.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn every_row_can_be_hooked() {
        for row in &TABLE {
            assert!(
                passing(row.encoding.as_bytes()).is_some(),
                "{}",
                row.call.name()
            );
        }
    }

    #[test]
    fn two_encodings_of_one_method() {
        assert!(agrees(b"B32@0:8Q16Q24", b"B@:QQ"));
        assert!(agrees(b"C32@0:8Q16Q24", b"B@:QQ"));
        assert!(agrees(b"v32@0:8r^@16Q24", b"v@:r^@Q"));
        assert!(!agrees(b"v32@0:8@16Q24", b"v@:@@"));
    }

    /// The table's encodings against those that the public bindings' signatures stand for
    /// (`scripts/make-metal-selectors encodings`).
    #[test]
    fn the_bindings_say_the_same() {
        let rows = include_str!("bindings.tsv")
            .lines()
            .filter(|line| !line.starts_with('#'));
        let mut known: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for row in rows {
            let fields: Vec<&str> = row.split('\t').collect();
            let [class, selector, encoding] = fields[..] else {
                panic!("{row}");
            };
            let name = format!("{}[{class} {}]", &selector[..1], &selector[1..]);
            known.entry(name).or_default().push(encoding);
        }
        let mut compared = 0;
        for row in &TABLE {
            let Some(encodings) = known.get(row.call.name()) else {
                continue;
            };
            let same = |own: &&str| agrees(own.as_bytes(), row.encoding.as_bytes());
            assert!(
                encodings.iter().any(same),
                "{} {encodings:?}",
                row.call.name()
            );
            compared += 1;
        }
        // All but the private ones.
        assert_eq!(compared, 170);
    }
}
