//! Writing and reading the ladder's file.

use super::{End, FORMAT, Failure, Header, Line, Opened, RungPair, VERSION};
use crate::Error;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// How every ladder file starts.
const START: &[u8] = b"{\"line\":\"ladder\"";
/// Kinds of line that this version knows.
const KNOWN: [&str; 5] = ["ladder", "opened", "rung_pair", "failed", "end"];

/// Appends lines as they come, each at once: a killed run keeps what it had measured.
pub struct Writer {
    file: File,
    path: PathBuf,
}

impl Writer {
    /// Makes the file; an existing file is replaced only if it is a ladder file or empty.
    pub fn create(path: &Path) -> Result<Writer, Error> {
        let failed = |detail: String| Error::File {
            path: path.into(),
            line: None,
            detail,
        };
        let old = std::fs::metadata(path)
            .ok()
            .filter(|m| m.is_file() && m.len() > 0);
        if old.is_some() && !looks_like_ladder(path) {
            return Err(failed(
                "exists and is no ladder file; give another --out".into(),
            ));
        }
        let file = File::create(path)
            .map_err(|e| failed(format!("cannot be written ({e}); give another --out")))?;
        Ok(Writer {
            file,
            path: path.into(),
        })
    }

    /// Where it writes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one line.
    pub fn write(&mut self, line: &Line) -> Result<(), Error> {
        let failed = |detail: String| Error::File {
            path: self.path.clone(),
            line: None,
            detail,
        };
        let mut text = serde_json::to_string(line).map_err(|e| failed(e.to_string()))?;
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(|e| {
            failed(format!(
                "write failed ({e}); later samples are not in the file"
            ))
        })
    }
}

/// A whole ladder file.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    /// What was asked for.
    pub header: Header,
    /// Rungs that ran.
    pub opened: Vec<Opened>,
    /// In the order they ran.
    pub pairs: Vec<RungPair>,
    /// Rungs and points without numbers.
    pub failures: Vec<Failure>,
    /// `None`: the file was cut off.
    pub end: Option<End>,
    /// Lines of an unknown kind, skipped.
    pub skipped_lines: u64,
    /// Whether the last line was cut off.
    pub truncated: bool,
}

impl Ladder {
    /// An empty run.
    pub fn new(header: Header) -> Ladder {
        Ladder {
            header,
            opened: Vec::new(),
            pairs: Vec::new(),
            failures: Vec::new(),
            end: None,
            skipped_lines: 0,
            truncated: false,
        }
    }

    /// Takes one more line in.
    pub fn add(&mut self, line: Line) {
        match line {
            Line::Ladder(_) => self.skipped_lines += 1,
            Line::Opened(opened) => self.opened.push(*opened),
            Line::RungPair(pair) => self.pairs.push(pair),
            Line::Failed(failure) => self.failures.push(failure),
            Line::End(end) => self.end = Some(end),
        }
    }
}

/// Whether the file at `path` starts like a ladder file.
pub fn looks_like_ladder(path: &Path) -> bool {
    let mut start = [0u8; START.len()];
    File::open(path)
        .and_then(|mut f| f.read_exact(&mut start))
        .is_ok_and(|()| start == START)
}

/// Reads a ladder file. A last line that was cut off is left out; any other damage is an error.
pub fn read(path: &Path) -> Result<Ladder, Error> {
    let failed = |line: Option<usize>, detail: String| Error::File {
        path: path.into(),
        line,
        detail,
    };
    let file = File::open(path).map_err(|e| failed(None, format!("cannot be read ({e})")))?;
    let mut lines = (1..).zip(BufReader::new(file).split(b'\n'));
    let first = match lines.next() {
        Some((_, line)) => line.map_err(|e| failed(Some(1), format!("cannot be read ({e})")))?,
        None => {
            return Err(failed(
                None,
                "is empty; the run was stopped before its start".into(),
            ));
        }
    };
    let header = header(&first).map_err(|detail| failed(Some(1), detail))?;
    let mut ladder = Ladder::new(header);
    let mut damage: Option<Error> = None;
    for (number, bytes) in lines {
        if let Some(error) = damage.take() {
            return Err(error);
        }
        let bytes = bytes.map_err(|e| failed(Some(number), format!("cannot be read ({e})")))?;
        if bytes.is_empty() {
            continue;
        }
        match line(&bytes) {
            Ok(Some(line)) if fits(&ladder, &line) => ladder.add(line),
            Ok(Some(_)) => {
                return Err(failed(
                    Some(number),
                    "names a rung or a point that is not there".into(),
                ));
            }
            Ok(None) => ladder.skipped_lines += 1,
            Err(detail) => damage = Some(failed(Some(number), detail)),
        }
    }
    ladder.truncated = damage.is_some();
    Ok(ladder)
}

/// `None`: a kind of line of a later version.
fn line(bytes: &[u8]) -> Result<Option<Line>, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|e| format!("is damaged ({e})"))?;
    let kind = value.get("line").and_then(Value::as_str).unwrap_or("");
    if !KNOWN.contains(&kind) {
        return Ok(None);
    }
    serde_json::from_value(value)
        .map(Some)
        .map_err(|e| format!("is damaged ({e})"))
}

fn fits(ladder: &Ladder, line: &Line) -> bool {
    let rungs = ladder.header.rungs.len();
    match line {
        Line::Opened(opened) => opened.rung < rungs,
        Line::Failed(failure) => failure.rung < rungs,
        Line::RungPair(pair) => ladder
            .opened
            .iter()
            .any(|o| o.rung == pair.rung && pair.pair.point < o.points.len()),
        Line::Ladder(_) | Line::End(_) => true,
    }
}

fn header(bytes: &[u8]) -> Result<Header, String> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|_| "is no ladder file; narrows ladder writes one".to_owned())?;
    if value.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err("is no ladder file; narrows ladder writes one".into());
    }
    match value.get("version").and_then(Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        other => {
            let version = other.map_or("none".into(), |v| v.to_string());
            return Err(format!(
                "has version {version}, this narrows reads {VERSION}; use the narrows that wrote it"
            ));
        }
    }
    match serde_json::from_value(value).map_err(|e| format!("has a damaged header ({e})"))? {
        Line::Ladder(header) => Ok(*header),
        _ => Err("is no ladder file; narrows ladder writes one".into()),
    }
}
