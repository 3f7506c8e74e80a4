//! The command line's words for plain values: `busy:50us`, `matmul:512`, `shared`, `queue`.
//! Every type that is parsed here prints in the same words.

use crate::{
    ContextLayout, LaneOptions, Mps, Precision, QueueLayout, Recording, SyncMode, WaitMode, Work,
};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A word that was not understood; the message names it and what is possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WordError(String);

/// Reads `50us`, `1.5ms`, `20s`, `2m`, `300ns`. A bare number is refused: its unit is not clear.
pub fn parse_duration(text: &str) -> Result<Duration, WordError> {
    let wrong = || {
        WordError(format!(
            "'{text}' is not a duration; write a number and a unit, as in 50us or 20s"
        ))
    };
    let unit_at = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let scale = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        _ => return Err(wrong()),
    };
    let nanos = number.parse::<f64>().map_err(|_| wrong())? * scale;
    if !(1.0..=1e15).contains(&nanos) {
        return Err(WordError(format!(
            "'{text}' is out of range; 1ns to 1000000s are possible"
        )));
    }
    Ok(Duration::from_nanos(nanos.round() as u64))
}

/// Prints a duration in the largest unit that keeps it exact to three digits.
pub fn show_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos() as f64;
    let (value, unit) = match nanos {
        n if n >= 1e9 => (n / 1e9, "s"),
        n if n >= 1e6 => (n / 1e6, "ms"),
        n if n >= 1e3 => (n / 1e3, "us"),
        n => (n, "ns"),
    };
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

impl FromStr for Work {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let mut parts = text.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("noop"), None, None, None) => Ok(Work::Noop),
            (Some("busy"), Some(time), None, None) => Ok(Work::Busy(parse_duration(time)?)),
            (Some("matmul"), Some(n), precision, None) => Ok(Work::Matmul {
                n: parse_size(n)?,
                precision: parse_precision(precision.unwrap_or("f32"))?,
            }),
            _ => Err(WordError(format!(
                "unknown work '{text}'; possible: noop, busy:TIME (busy:50us), matmul:N or \
                 matmul:N:f16 (matmul:512)"
            ))),
        }
    }
}

fn parse_size(text: &str) -> Result<u32, WordError> {
    match text.parse::<u32>() {
        Ok(n) if (16..=8192).contains(&n) && n % 16 == 0 => Ok(n),
        _ => Err(WordError(format!(
            "matmul size '{text}' is not possible; use a multiple of 16 from 16 to 8192"
        ))),
    }
}

fn parse_precision(text: &str) -> Result<Precision, WordError> {
    match text {
        "f32" => Ok(Precision::F32),
        "f16" => Ok(Precision::F16),
        _ => Err(WordError(format!(
            "unknown precision '{text}'; possible: f32, f16"
        ))),
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Noop => f.write_str("noop"),
            Work::Busy(time) => write!(f, "busy:{}", show_duration(*time)),
            Work::Matmul {
                n,
                precision: Precision::F32,
            } => write!(f, "matmul:{n}"),
            Work::Matmul {
                n,
                precision: Precision::F16,
            } => write!(f, "matmul:{n}:f16"),
        }
    }
}

/// `FromStr` and `Display` of an enum from one table of its words; the first word of a value is
/// the one that is printed.
macro_rules! words {
    ($type:ty, $what:literal, [$($value:path = $word:literal $(or $other:literal)*),+ $(,)?]) => {
        impl FromStr for $type {
            type Err = WordError;

            fn from_str(text: &str) -> Result<Self, WordError> {
                match text {
                    $($word $(| $other)* => Ok($value),)+
                    _ => Err(WordError(format!(
                        "unknown {} '{text}'; possible: {}",
                        $what,
                        [$($word),+].join(", ")
                    ))),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($value => $word,)+
                })
            }
        }
    };
}

words!(
    QueueLayout,
    "queue layout",
    [
        QueueLayout::Shared = "shared",
        QueueLayout::Own = "own",
        QueueLayout::PerThread = "per-thread",
    ]
);
words!(SyncMode, "way to wait", [
    SyncMode::Queue = "queue" or "stream",
    SyncMode::Device = "device" or "context",
    SyncMode::Event = "event" or "fence",
]);
words!(
    ContextLayout,
    "context layout",
    [
        ContextLayout::Shared = "shared",
        ContextLayout::Own = "own",
        ContextLayout::Green = "green",
    ]
);
words!(
    WaitMode,
    "kind of wait",
    [
        WaitMode::Auto = "auto",
        WaitMode::Spin = "spin",
        WaitMode::Yield = "yield",
        WaitMode::Block = "block",
        WaitMode::Poll = "poll",
        WaitMode::Handler = "handler",
    ]
);
words!(Recording, "recording", [
    Recording::Usual = "usual",
    Recording::Once = "once" or "graph",
    Recording::Each = "each",
]);
words!(
    Mps,
    "setting of MPS",
    [Mps::AsIs = "as-is", Mps::On = "on", Mps::Off = "off",]
);

/// Only what differs from the default: ` context own wait block record once`, or nothing.
impl fmt::Display for LaneOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            context,
            wait,
            record,
        } = *self;
        if context != ContextLayout::default() {
            write!(f, " context {context}")?;
        }
        if wait != WaitMode::default() {
            write!(f, " wait {wait}")?;
        }
        if record != Recording::default() {
            write!(f, " record {record}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_print_as_they_are_read() {
        for word in [
            "noop",
            "busy:50us",
            "busy:1.5ms",
            "matmul:512",
            "matmul:64:f16",
        ] {
            assert_eq!(word.parse::<Work>().unwrap().to_string(), word);
        }
        for word in ["shared", "own", "per-thread"] {
            assert_eq!(word.parse::<QueueLayout>().unwrap().to_string(), word);
        }
        for word in ["queue", "device", "event"] {
            assert_eq!(word.parse::<SyncMode>().unwrap().to_string(), word);
        }
        for word in ["shared", "own", "green"] {
            assert_eq!(word.parse::<ContextLayout>().unwrap().to_string(), word);
        }
        for word in ["auto", "spin", "yield", "block", "poll", "handler"] {
            assert_eq!(word.parse::<WaitMode>().unwrap().to_string(), word);
        }
        for word in ["usual", "once", "each"] {
            assert_eq!(word.parse::<Recording>().unwrap().to_string(), word);
        }
        for word in ["as-is", "on", "off"] {
            assert_eq!(word.parse::<Mps>().unwrap().to_string(), word);
        }
        assert_eq!("graph".parse::<Recording>().unwrap(), Recording::Once);
    }

    #[test]
    fn only_what_is_not_the_default_is_named() {
        assert_eq!(LaneOptions::default().to_string(), "");
        let all = LaneOptions {
            context: ContextLayout::Own,
            wait: WaitMode::Block,
            record: Recording::Once,
        };
        assert_eq!(all.to_string(), " context own wait block record once");
    }

    #[test]
    fn wrong_words_are_named() {
        for word in [
            "",
            "busy",
            "busy:",
            "busy:5",
            "busy:0s",
            "matmul:0",
            "matmul:17",
            "noop:1",
        ] {
            assert!(word.parse::<Work>().is_err(), "{word}");
        }
        let message = "sharde".parse::<QueueLayout>().unwrap_err().to_string();
        assert!(
            message.contains("sharde") && message.contains("shared, own"),
            "{message}"
        );
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(
            parse_duration("1.5ms").unwrap(),
            Duration::from_micros(1500)
        );
        assert_eq!(parse_duration("2m").unwrap(), Duration::from_secs(120));
        for wrong in ["20", "s", "-1s", "1h", "1.2.3s", "0ns", ""] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
