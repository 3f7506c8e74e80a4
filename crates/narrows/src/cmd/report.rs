//! `narrows report SAMPLES`: makes every output again from a file.

use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `report`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A samples file of scan
    pub(crate) file: PathBuf,
    /// Print the result as JSON (docs/json.md)
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs `report`.
pub(crate) fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not built yet")
}
