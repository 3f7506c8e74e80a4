//! Runs the planted program untraced: what removing the plant really gains.

use super::cases::Case;
use crate::planted_image::Planted;
use anyhow::Context;
use serde::Deserialize;
use std::ffi::OsString;
use std::process::Command;

/// Pairs of runs, one with the plant and one without.
const PAIRS: u32 = 3;
/// Length of a run in milliseconds.
const RUN_MS: &str = "150";

/// The line that the program prints.
#[derive(Deserialize)]
struct Line {
    ops: u64,
    wall_ns: u64,
}

/// The program and its arguments; `threads` is a number or what `--scale` replaces.
pub(super) fn command(planted: &Planted, case: &Case, threads: &str, ms: &str) -> Vec<OsString> {
    let words = [
        "--plant",
        case.plant.name(),
        "--layer",
        case.posing.name(),
        "--threads",
        threads,
        "--time",
        ms,
    ];
    std::iter::once(planted.host().into_os_string())
        .chain(words.map(OsString::from))
        .collect()
}

/// Throughput without the plant over throughput with it, pair by pair.
pub(super) fn gains(planted: &Planted, case: &Case) -> anyhow::Result<Vec<f64>> {
    let with = |removed| throughput(planted, case, removed);
    (0..PAIRS)
        .map(|pair| {
            // Each side comes first in turn, so that a drift of the machine cancels.
            let (first, second) = (with(pair % 2 == 0)?, with(pair % 2 == 1)?);
            Ok(if pair % 2 == 0 {
                first / second
            } else {
                second / first
            })
        })
        .collect()
}

fn throughput(planted: &Planted, case: &Case, removed: bool) -> anyhow::Result<f64> {
    let words = command(planted, case, &case.planted.threads.to_string(), RUN_MS);
    let (program, arguments) = words.split_first().context("no program")?;
    let output = Command::new(program)
        .args(arguments)
        .args(removed.then_some("--removed"))
        .output()
        .context("the planted program cannot be started")?;
    anyhow::ensure!(
        output.status.success(),
        "the planted program ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let line: Line = serde_json::from_slice(&output.stdout)
        .context("the planted program printed something else")?;
    anyhow::ensure!(
        line.ops > 0 && line.wall_ns > 0,
        "the planted program did no op"
    );
    // Both are far below 2^53.
    Ok(line.ops as f64 * 1e9 / line.wall_ns as f64)
}
