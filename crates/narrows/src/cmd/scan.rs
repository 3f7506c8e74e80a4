//! `narrows scan`: arguments to plan, plan to samples, samples to the table.

use std::process::ExitCode;

/// Arguments of `scan`.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Arguments of a pool worker.
#[derive(clap::Args)]
pub(crate) struct WorkerArgs {}

/// Runs `scan`.
pub(crate) fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}

/// Runs one worker of the process pool.
pub(crate) fn run_worker(_args: WorkerArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
