//! `narrows report`: makes every output again from a file.

use super::scan::{Style, show};
use crate::failure::WrongInput;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `report`.
#[derive(clap::Args)]
#[command(after_help = "Example: narrows report narrows-scan-20251220-181500.jsonl --json")]
pub(crate) struct Args {
    /// A samples file of scan, or a folder of trace
    pub(crate) file: PathBuf,
    /// Print the result as JSON (docs/json.md)
    #[arg(long)]
    pub(crate) json: bool,
    /// Show a quoted table beside the measured one: m4-max-2025-12
    #[arg(long, value_name = "NAME")]
    reference: Option<String>,
}

/// Runs `report`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if crate::recorded::is_trace(&args.file) {
        return super::report_trace::run(&args.file, args.json);
    }
    let style = Style::new(args.json, args.reference.as_deref())?;
    let samples = narrows_scan::samples::read(&args.file).map_err(WrongInput::from_error)?;
    show(&samples, &style)?;
    Ok(ExitCode::SUCCESS)
}
