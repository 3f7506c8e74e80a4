//! Runs with the probe inside: ops and the window from the recording.

use super::Counted;
use crate::explain::profile;
use crate::launch::{self, Plan, Settings};
use narrows_model::trace::run::Ended;
use std::ffi::OsString;
use std::path::PathBuf;

/// Timeline of one run: only its window and its ops are wanted.
const TIMELINE: u64 = 32 << 20;

/// Runs that leave nothing behind.
pub(super) struct Watched {
    folder: PathBuf,
}

impl Watched {
    /// Runs the copies at once.
    pub(super) fn run(
        command: &[OsString],
        processes: u32,
        variables: &[(String, String)],
    ) -> Result<Vec<Counted>, String> {
        let words = |e: anyhow::Error| {
            let chain: Vec<String> = e.chain().map(ToString::to_string).collect();
            chain.join(": ").replace('\n', " ")
        };
        let watched = Watched::new().map_err(words)?;
        let copies: Vec<anyhow::Result<Counted>> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..processes)
                .map(|copy| {
                    let watched = &watched;
                    scope.spawn(move || watched.copy(copy, command, variables))
                })
                .collect();
            let broken = || anyhow::anyhow!("a copy could not be watched");
            started
                .into_iter()
                .map(|copy| copy.join().unwrap_or_else(|_| Err(broken())))
                .collect()
        });
        copies.into_iter().map(|copy| copy.map_err(words)).collect()
    }

    fn new() -> anyhow::Result<Watched> {
        let name = format!(
            "narrows-tune-{}-{:08x}",
            std::process::id(),
            fastrand::u32(..)
        );
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder)?;
        Ok(Watched { folder })
    }

    fn copy(
        &self,
        copy: u32,
        command: &[OsString],
        variables: &[(String, String)],
    ) -> anyhow::Result<Counted> {
        let Some(program) = command.first() else {
            anyhow::bail!("no command");
        };
        let plan = Plan {
            target: launch::find(program)?,
            command: command.to_vec(),
            out: self.folder.join(format!("copy-{copy}")),
            settings: Settings {
                timeline_bytes: TIMELINE,
                children: true,
                ..Settings::default()
            },
            rules: None,
            variables: variables
                .iter()
                .map(|(name, value)| (name.clone(), value.into()))
                .collect(),
            output_aside: true,
        };
        let (folder, ended) = launch::run(&plan)?;
        anyhow::ensure!(ended == Ended::Exit(0), "the program {ended}");
        let profile = profile(&folder)?;
        anyhow::ensure!(
            profile.ops > 0 && profile.window_ns > 0,
            "the probe saw no op: mark them (docs/report.md), or give --ops-regex"
        );
        Ok(Counted {
            ops: profile.ops as f64,
            seconds: profile.window_ns as f64 / 1e9,
        })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // What stays is in the system's folder for such things.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
