//! `narrows doctor`: what this machine has, what it lacks, and what to do about it.

use crate::doctor::{Report, Status, look};
use std::io::IsTerminal;
use std::process::ExitCode;

/// Arguments of `doctor`.
#[derive(clap::Args)]
#[command(after_help = "Example: narrows doctor --json\n\n\
    It takes a few seconds: a small program is really started with the probe inside, and the noise of\n\
    the machine is really measured. Nothing is changed.")]
pub(crate) struct Args {
    /// Print the result as JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

/// Runs `doctor`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let report = look();
    let text = if args.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        text(&report, colour)
    };
    crate::output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn text(report: &Report, colour: bool) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let (word, code) = match finding.status {
            Status::Ok => ("ok", "32"),
            Status::Note => ("note", "2"),
            Status::Missing => ("missing", "33"),
            Status::Warning => ("warning", "33"),
        };
        let line = format!("{word:<8} {:<11} {}", finding.area, finding.found);
        let line = line.replace(|c: char| c.is_control(), " ");
        if colour {
            text.push_str(&format!("\u{1b}[{code}m{line}\u{1b}[0m\n"));
        } else {
            text.push_str(&(line + "\n"));
        }
        if let Some(remedy) = &finding.remedy {
            text.push_str(&format!("{:20} -> {remedy}\n", ""));
        }
    }
    text + "\n" + &report.sentence + "\n"
}
