//! Writing and reading the samples file.

use crate::samples::{FORMAT, Header, Line, Samples, VERSION};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// A samples file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}{at}: {detail}", path = path.display(), at = line.map(|l| format!(" line {l}")).unwrap_or_default())]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// Line number from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub detail: String,
}

fn failed(path: &Path, line: Option<usize>, detail: impl Into<String>) -> Error {
    Error {
        path: path.into(),
        line,
        detail: detail.into(),
    }
}

/// Appends lines as they come, each at once: a killed search keeps what it had measured.
pub struct Writer {
    file: File,
    path: PathBuf,
}

impl Writer {
    /// Makes the file; an existing file is replaced only if it is a samples file or empty.
    pub fn create(path: &Path) -> Result<Writer, Error> {
        let old = std::fs::metadata(path).ok();
        let old = old.filter(|m| m.is_file() && m.len() > 0);
        if old.is_some() && !is_tune(path) {
            let why = "exists and is no samples file of tune; give another --out";
            return Err(failed(path, None, why));
        }
        let file = File::create(path).map_err(|e| {
            failed(
                path,
                None,
                format!("cannot be written ({e}); give another --out"),
            )
        })?;
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
        let lost = |why: String| {
            let detail = format!("write failed ({why}); later samples are not in the file");
            failed(&self.path, None, detail)
        };
        let mut text = serde_json::to_string(line).map_err(|e| lost(e.to_string()))?;
        text.push('\n');
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|e| lost(e.to_string()))
    }
}

/// Whether the file at `path` starts like a samples file of a search.
pub fn is_tune(path: &Path) -> bool {
    let mut start = [0u8; 64];
    let read = File::open(path).and_then(|mut f| f.read(&mut start));
    let start = read.ok().and_then(|n| start.get(..n)).unwrap_or(&[]);
    start.starts_with(b"{\"line\":\"header\",\"format\":\"narrows-tune-samples\"")
}

/// Reads a samples file. A last line that was cut off is left out; other damage is an error.
pub fn read(path: &Path) -> Result<Samples, Error> {
    let file = File::open(path).map_err(|e| failed(path, None, format!("cannot be read ({e})")))?;
    let mut lines = BufReader::new(file).split(b'\n').enumerate();
    let first = match lines.next() {
        Some((_, Ok(first))) => first,
        Some((_, Err(e))) => return Err(failed(path, Some(1), format!("cannot be read ({e})"))),
        None => {
            return Err(failed(
                path,
                None,
                "is empty; the search was stopped at its start",
            ));
        }
    };
    let mut samples = Samples::new(header(&first).map_err(|d| failed(path, Some(1), d))?);
    let mut damage = None;
    for (index, bytes) in lines {
        let number = index + 1;
        if let Some(error) = damage.take() {
            return Err(error);
        }
        let bytes =
            bytes.map_err(|e| failed(path, Some(number), format!("cannot be read ({e})")))?;
        if bytes.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Line>(&bytes) {
            Ok(line) => take(&mut samples, line).map_err(|d| failed(path, Some(number), d))?,
            Err(_) if is_other_kind(&bytes) => samples.skipped_lines += 1,
            // The cut-off last line of a killed search; an error only if more follows.
            Err(e) => damage = Some(failed(path, Some(number), format!("is damaged ({e})"))),
        }
    }
    samples.truncated = damage.is_some();
    Ok(samples)
}

fn take(samples: &mut Samples, line: Line) -> Result<(), String> {
    let most = match &line {
        Line::Pair(pair) => Some(pair.setting.max(pair.reference)),
        Line::LeftOut(left_out) => Some(left_out.setting),
        _ => None,
    };
    let settings = samples.header.space.settings.len();
    match most {
        Some(setting) if setting >= settings => Err(format!(
            "names setting {setting}, the header has {settings}"
        )),
        _ => {
            samples.add(line);
            Ok(())
        }
    }
}

fn header(first: &[u8]) -> Result<Header, String> {
    const FOREIGN: &str = "is no samples file of tune; make one with `narrows tune --out FILE`";
    let value: serde_json::Value = serde_json::from_slice(first).map_err(|_| FOREIGN.to_owned())?;
    if value.get("format").and_then(|f| f.as_str()) != Some(FORMAT) {
        return Err(FOREIGN.into());
    }
    let version = value.get("version").and_then(serde_json::Value::as_u64);
    if version != Some(u64::from(VERSION)) {
        let version = version.map_or("none".into(), |v| v.to_string());
        return Err(format!(
            "has format version {version}; this narrows reads {VERSION}"
        ));
    }
    match serde_json::from_value(value) {
        Ok(Line::Header(header)) => {
            header.space.check()?;
            Ok(*header)
        }
        Ok(_) => Err(FOREIGN.into()),
        Err(error) => Err(format!("has a damaged header ({error})")),
    }
}

fn is_other_kind(bytes: &[u8]) -> bool {
    const KNOWN: [&str; 4] = ["header", "pair", "left_out", "end"];
    let value = serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let kind = value.as_ref().and_then(|v| v.get("line")?.as_str());
    kind.is_some_and(|kind| !KNOWN.contains(&kind))
}
