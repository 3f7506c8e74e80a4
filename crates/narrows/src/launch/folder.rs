//! The folder that a trace goes to: new or empty, writable, on a disk with room.

use crate::failure::WrongInput;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Room that names, statistics and maps of one process need besides the timeline.
const TABLES: u64 = 64 << 20;

/// `narrows-PROGRAM-DATE-TIME` (UTC), and a number where that exists.
pub(crate) fn default_name(program: &Path, now: SystemTime) -> PathBuf {
    let program = program.file_name().unwrap_or_default().to_string_lossy();
    let program: String = program
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(60)
        .collect();
    let stamp = humantime::format_rfc3339_seconds(now).to_string();
    let stamp = stamp.replace([':', 'Z', '-'], "").replace('T', "-");
    let base = format!("narrows-{program}-{stamp}");
    let numbered = (2..).map(|number| PathBuf::from(format!("{base}-{number}")));
    let mut names = std::iter::once(PathBuf::from(&base)).chain(numbered);
    names
        .find(|name| !name.exists())
        .unwrap_or_else(|| PathBuf::from(base))
}

/// Makes `folder` if need be, checks it, and gives its absolute name.
pub(super) fn prepare(folder: &Path, timeline_bytes: u64) -> anyhow::Result<PathBuf> {
    let wrong = |what: String| -> anyhow::Error {
        WrongInput(format!("trace: {}: {what}", folder.display())).into()
    };
    if folder.exists() {
        let mut entries = std::fs::read_dir(folder)
            .map_err(|error| wrong(format!("cannot be the trace's folder: {error}")))?;
        if entries.next().is_some() {
            return Err(wrong(
                "the folder is not empty; name a new one with --out".into(),
            ));
        }
    }
    std::fs::create_dir_all(folder)
        .map_err(|error| wrong(format!("cannot make the folder: {error}")))?;
    let probe = folder.join("run.json.new");
    std::fs::write(&probe, b"")
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|error| wrong(format!("cannot write there: {error}")))?;
    let needed = timeline_bytes.saturating_add(TABLES);
    if let Some(free) = free_bytes(folder).filter(|&free| free < needed) {
        return Err(wrong(format!(
            "{} MiB free, but one process may take {} MiB; use a smaller --timeline or another --out",
            free >> 20,
            needed >> 20
        )));
    }
    folder
        .canonicalize()
        .map_err(|error| wrong(error.to_string()))
}

fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::{default_name, prepare};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    #[test]
    fn the_name_holds_program_and_time() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let name = default_name(Path::new("/usr/bin/my prog"), now);
        assert_eq!(name, Path::new("narrows-my_prog-20010909-014640"));
    }

    #[test]
    fn new_and_empty_folders_are_taken_others_refused() {
        let base = tempfile::tempdir().expect("folder");
        let new = base.path().join("a/b");
        assert_eq!(
            prepare(&new, 0).expect("made"),
            new.canonicalize().expect("exists")
        );
        assert!(prepare(&new, 0).is_ok(), "an empty folder");
        std::fs::write(new.join("x"), b"").expect("writes");
        let refusal =
            |folder: &Path, bytes| prepare(folder, bytes).expect_err("refused").to_string();
        assert!(refusal(&new, 0).contains("not empty"));
        assert!(refusal(&new.join("x"), 0).contains("cannot be"));
        assert!(refusal(&new.join("x/y"), 0).contains("cannot make"));
        assert!(refusal(&base.path().join("big"), u64::MAX / 2).contains("MiB free"));
        assert!(refusal(Path::new("/proc/narrows"), 0).contains("cannot make"));
    }
}
