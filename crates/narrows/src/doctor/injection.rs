//! Whether the probe can be put into a program: one is really started with it.

use super::{Finding, Status};
use crate::launch::{self, Plan, Settings};
use crate::recorded;
use anyhow::Context;
use std::ffi::OsString;
use std::path::Path;

const AREA: &str = "injection";

pub(super) fn look() -> Finding {
    let folder = std::env::temp_dir().join(format!(
        "narrows-doctor-{}-{:08x}",
        std::process::id(),
        fastrand::u32(..)
    ));
    let tried = attempt(&folder);
    // What stays is in the system's folder for such things.
    drop(std::fs::remove_dir_all(&folder));
    match tried {
        Ok(()) => Finding::ok(
            AREA,
            "a program ran with the probe inside and left a recording",
        ),
        Err(error) => {
            let words: Vec<String> = error.chain().map(ToString::to_string).collect();
            Finding::bad(
                Status::Warning,
                AREA,
                format!("not possible: {}", words.join(": ").replace('\n', " ")),
                "trace and explain need it: look for a policy that forbids LD_PRELOAD, for a system \
                 without glibc, or for a temporary or cache folder that is mounted noexec (set \
                 XDG_CACHE_HOME)",
            )
        }
    }
}

/// Runs a shell that ends at once; it has to end as it would without us, and be in the recording.
fn attempt(folder: &Path) -> anyhow::Result<()> {
    let command: Vec<OsString> = ["sh", "-c", "exit 7"].map(OsString::from).to_vec();
    let plan = Plan {
        target: launch::find(&command[0])?,
        command,
        out: folder.to_owned(),
        settings: Settings {
            timeline_bytes: 1 << 20,
            ..Settings::default()
        },
        rules: None,
        variables: Vec::new(),
        output_aside: true,
    };
    let (folder, ended) = launch::run(&plan)?;
    anyhow::ensure!(ended.shell_status() == 7, "the program {ended}");
    let recorded = recorded::open(&folder, None).context("the program left no recording")?;
    let summary = recorded.summary();
    anyhow::ensure!(
        !summary.processes.is_empty(),
        "the recording holds no process"
    );
    Ok(())
}
