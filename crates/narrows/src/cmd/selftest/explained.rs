//! One planted program through `narrows explain`, in a process of its own: as a user would run it,
//! and what it prints on the way stays out of sight.

use super::cases::Case;
use super::host;
use crate::planted_image::Planted;
use anyhow::Context;
use narrows_model::explain::result::Explanation;
use narrows_model::explain::scaling::ScalePoint;
use narrows_model::result::Verdict;
use std::path::Path;
use std::process::Command;

/// Runs at each number of threads.
const REPEAT: &str = "3";
/// Length of one of them in milliseconds.
const RUN_MS: &str = "130";
/// Time for the causal test.
const CAUSAL_TIME: &str = "1500ms";
/// Length of its run in milliseconds: when it ends, so does the test.
const CAUSAL_RUN_MS: &str = "1800";

/// What matters here of an explanation.
pub(super) struct Explained {
    /// The answer.
    pub(super) verdict: Verdict,
    /// The largest number of threads.
    pub(super) point: Option<ScalePoint>,
}

/// Explains the case's program.
pub(super) fn explain(planted: &Planted, case: &Case) -> anyhow::Result<Explained> {
    let traces = planted.folder().join("traces");
    let explained = explain_in(&traces, planted, case);
    // The next case needs the name; if the folder stays, that one says so.
    let _ = std::fs::remove_dir_all(&traces);
    explained
}

fn explain_in(traces: &Path, planted: &Planted, case: &Case) -> anyhow::Result<Explained> {
    let rules = planted.folder().join("layers.toml");
    std::fs::write(&rules, narrows_planted::RULES)
        .with_context(|| format!("{} cannot be written", rules.display()))?;
    let narrows = std::env::current_exe().context("narrows cannot find itself")?;
    let output = Command::new(narrows)
        .args([
            "explain",
            "--json",
            "--causal",
            "--causal-time",
            CAUSAL_TIME,
        ])
        .args(["--repeat", REPEAT, "--timeline", "32MiB"])
        .arg(format!("--scale=1,{}", case.planted.threads))
        .arg("--layers")
        .arg(&rules)
        .arg("--out")
        .arg(traces)
        .arg("--")
        .args(host::command(planted, case, "{}", RUN_MS))
        .args(["--tested-time", CAUSAL_RUN_MS, "--quiet"])
        .output()
        .context("narrows explain cannot be started")?;
    anyhow::ensure!(
        output.status.success(),
        "narrows explain ended with {}: {}",
        output.status,
        last_lines(&output.stderr)
    );
    let explanation: Explanation = serde_json::from_slice(&output.stdout)
        .context("narrows explain printed something else than its JSON")?;
    let points = explanation.points.into_iter().map(|point| point.point);
    Ok(Explained {
        verdict: explanation.verdict,
        point: points.max_by_key(|point| point.n),
    })
}

fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}
