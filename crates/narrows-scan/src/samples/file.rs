//! Writing and reading the samples file.

use super::{End, Explained, FORMAT, Header, LeftOut, Line, Pair, VERSION};
use crate::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

/// Appends lines as they come, each at once: a killed run keeps what it had measured.
pub struct Writer {
    file: File,
    path: PathBuf,
}

impl Writer {
    /// Makes the file; an existing file is replaced only if it is a samples file or empty.
    pub fn create(path: &Path) -> Result<Writer, Error> {
        let failed = |detail: String| Error::Samples {
            path: path.into(),
            line: None,
            detail,
        };
        if holds_something_else(path) {
            return Err(failed(
                "exists and is no samples file; give another --out".into(),
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
        let failed = |detail: String| Error::Samples {
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

/// A whole samples file.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// What was measured.
    pub header: Header,
    /// In the order they ran.
    pub pairs: Vec<Pair>,
    /// Points without samples.
    pub left_out: Vec<LeftOut>,
    /// `None`: the file was cut off.
    pub end: Option<End>,
    /// The passes with the probe inside; `None`: the file has no such line.
    pub explained: Option<Explained>,
    /// Lines of an unknown kind, skipped.
    pub skipped_lines: u64,
    /// Whether the last line was cut off.
    pub truncated: bool,
}

impl Samples {
    /// An empty run.
    pub fn new(header: Header) -> Samples {
        Samples {
            header,
            pairs: Vec::new(),
            left_out: Vec::new(),
            end: None,
            explained: None,
            skipped_lines: 0,
            truncated: false,
        }
    }

    /// Takes one more line in.
    pub fn add(&mut self, line: Line) {
        match line {
            Line::Header(_) => self.skipped_lines += 1,
            Line::Pair(pair) => self.pairs.push(pair),
            Line::LeftOut(left_out) => self.left_out.push(left_out),
            Line::End(end) => self.end = Some(end),
            Line::Explained(explained) => self.explained = Some(explained),
        }
    }
}

/// Whether the file at `path` starts like a samples file.
pub fn looks_like_samples(path: &Path) -> bool {
    let mut start = [0u8; 16];
    File::open(path)
        .and_then(|mut f| std::io::Read::read_exact(&mut f, &mut start))
        .is_ok_and(|()| start.starts_with(b"{\"line\":"))
}

/// A file with content that no run of ours has written. Devices and pipes hold nothing.
fn holds_something_else(path: &Path) -> bool {
    let old = std::fs::metadata(path)
        .ok()
        .filter(|m| m.is_file() && m.len() > 0);
    old.is_some() && !looks_like_samples(path)
}

/// Reads a samples file. A last line that was cut off is left out; any other damage is an error.
pub fn read(path: &Path) -> Result<Samples, Error> {
    let failed = |line: Option<usize>, detail: String| Error::Samples {
        path: path.into(),
        line,
        detail,
    };
    let file = File::open(path).map_err(|e| failed(None, format!("cannot be read ({e})")))?;
    let mut lines = BufReader::new(file).split(b'\n').enumerate();
    let first = match lines.next() {
        Some((_, Ok(first))) => first,
        Some((_, Err(e))) => return Err(failed(Some(1), format!("cannot be read ({e})"))),
        None => {
            return Err(failed(
                None,
                "is empty; the run was stopped before its start".into(),
            ));
        }
    };
    let mut samples = Samples::new(header(&first).map_err(|detail| failed(Some(1), detail))?);
    let mut damage: Option<Error> = None;
    for (index, bytes) in lines {
        let number = index + 1;
        if let Some(error) = damage.take() {
            return Err(error);
        }
        let bytes = bytes.map_err(|e| failed(Some(number), format!("cannot be read ({e})")))?;
        if bytes.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Line>(&bytes) {
            Ok(line) => take(&mut samples, line).map_err(|d| failed(Some(number), d))?,
            Err(_) if is_other_kind(&bytes) => samples.skipped_lines += 1,
            // The cut-off last line of a killed run; an error only if more follows.
            Err(error) => damage = Some(failed(Some(number), format!("is damaged ({error})"))),
        }
    }
    samples.truncated = damage.is_some();
    Ok(samples)
}

fn take(samples: &mut Samples, line: Line) -> Result<(), String> {
    let point = match &line {
        Line::Pair(pair) => Some(pair.point),
        Line::LeftOut(left_out) => Some(left_out.point),
        Line::Explained(explained) => explained.passes.iter().map(|p| p.point).max(),
        _ => None,
    };
    if let Some(point) = point.filter(|p| *p >= samples.header.points.len()) {
        return Err(format!(
            "names point {point}, the header has {}",
            samples.header.points.len()
        ));
    }
    samples.add(line);
    Ok(())
}

fn header(first: &[u8]) -> Result<Header, String> {
    const FOREIGN: &str = "is no samples file; make one with `narrows scan --out FILE`";
    let value: serde_json::Value = serde_json::from_slice(first).map_err(|_| FOREIGN.to_owned())?;
    if value.get("format").and_then(|f| f.as_str()) != Some(FORMAT) {
        return Err(FOREIGN.into());
    }
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        version => {
            let version = version.map_or("none".into(), |v| v.to_string());
            return Err(format!(
                "has format version {version}; this narrows reads {VERSION}"
            ));
        }
    }
    match serde_json::from_value(value) {
        Ok(Line::Header(header)) => Ok(*header),
        Ok(_) => Err(FOREIGN.into()),
        Err(error) => Err(format!("has a damaged header ({error})")),
    }
}

fn is_other_kind(bytes: &[u8]) -> bool {
    const KNOWN: [&str; 5] = ["header", "pair", "left_out", "end", "explained"];
    serde_json::from_slice::<serde_json::Value>(bytes)
        .ok()
        .and_then(|v| {
            v.get("line")
                .and_then(|l| l.as_str())
                .map(|l| !KNOWN.contains(&l))
        })
        .unwrap_or(false)
}
