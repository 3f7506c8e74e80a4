//! The summary of a trace, at the end of `trace` and again from `report`.

use crate::{output, recorded};
use narrows_report::{trace_json, trace_text};
use std::path::Path;
use std::process::ExitCode;

/// Where the summary goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// Beside the program's own standard output.
    Stderr,
    /// As the command's result.
    Stdout,
}

/// `narrows report` of a trace folder.
pub(crate) fn run(folder: &Path, json: bool) -> anyhow::Result<ExitCode> {
    print(folder, json, To::Stdout)?;
    Ok(ExitCode::SUCCESS)
}

/// Reads `folder` and prints its summary.
pub(crate) fn print(folder: &Path, json: bool, to: To) -> anyhow::Result<()> {
    let summary = recorded::open(folder, None)?.summary();
    let text = if json {
        trace_json(&summary)?
    } else {
        trace_text(&summary)
    };
    match to {
        To::Stdout => output::print(&text),
        // Whoever closed the program's standard error does not want the summary either.
        To::Stderr => {
            use std::io::Write;
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
            Ok(())
        }
    }
}
