//! Ops in what a program prints.

use super::Counted;
use regex_lite::Regex;

/// A regular expression with a meaning: a group named `rate` is ops per second, the first other
/// group a number of ops, and without a group each match is an op.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    meaning: Meaning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Rate,
    Ops,
    Match,
}

impl Pattern {
    /// The error says what is wrong with the text.
    pub(crate) fn new(text: &str) -> Result<Pattern, String> {
        let regex = Regex::new(text).map_err(|e| e.to_string())?;
        let meaning = match regex.captures_len() {
            1 => Meaning::Match,
            _ if regex.capture_names().flatten().any(|n| n == "rate") => Meaning::Rate,
            _ => Meaning::Ops,
        };
        Ok(Pattern { regex, meaning })
    }

    /// For the report.
    pub(crate) fn words(&self) -> String {
        let what = match self.meaning {
            Meaning::Rate => "the program's own ops per second",
            Meaning::Ops => "a number of ops, over the run's whole time with its start",
            Meaning::Match => "matches counted, over the run's whole time with its start",
        };
        format!("{what}, by --ops-regex '{}'", self.regex.as_str())
    }

    /// Ops in `text`, printed by a run of `seconds`. Of several numbers the last one counts: a
    /// program that tells its progress ends with the sum.
    pub(super) fn count(&self, text: &str, seconds: f64) -> Result<Counted, String> {
        let nothing = || "--ops-regex matched nothing that the program printed".to_owned();
        if self.meaning == Meaning::Match {
            let ops = self.regex.find_iter(text).count() as f64;
            return Ok(Counted { ops, seconds });
        }
        let captures = self.regex.captures_iter(text).last().ok_or_else(nothing)?;
        let group = match self.meaning {
            Meaning::Rate => captures.name("rate"),
            _ => captures.get(1),
        };
        let written = group.ok_or_else(nothing)?.as_str();
        let number: f64 = written
            .replace([',', '_'], "")
            .parse()
            .map_err(|_| format!("--ops-regex found '{written}', which is no number"))?;
        let ops = match self.meaning {
            Meaning::Rate => number * seconds,
            _ => number,
        };
        Ok(Counted { ops, seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rates_and_matches() {
        let count = |pattern: &str, text: &str| Pattern::new(pattern).unwrap().count(text, 2.0);
        let ops = |pattern: &str, text: &str| count(pattern, text).unwrap().ops;
        assert_eq!(ops(r"(\d+) ops", "1 ops\n30 ops"), 30.0);
        assert_eq!(ops(r"(?P<rate>[\d,.]+) ops/s", "1,500.5 ops/s"), 3001.0);
        assert_eq!(ops(r"done", "done done\ndone"), 3.0);
        assert!(
            count(r"(\w+) ops", "many ops")
                .unwrap_err()
                .contains("'many'")
        );
        assert!(Pattern::new("(").is_err());
    }
}
