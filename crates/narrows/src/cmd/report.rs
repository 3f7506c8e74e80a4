//! `narrows report`: makes every output again from a file.

use super::scan::{Style, show};
use crate::explain::{detail, explanation, is_scale, kept_slopes, read};
use crate::failure::WrongInput;
use narrows_model::scan::analyse;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `report`.
#[derive(clap::Args)]
#[command(after_help = "Example: narrows report narrows-scan-20251220-181500.jsonl --json")]
pub(crate) struct Args {
    /// A samples file of scan, tune or ladder, or a folder of trace
    pub(crate) file: PathBuf,
    /// Print the result as JSON (docs/json.md)
    #[arg(long)]
    pub(crate) json: bool,
    /// Show a quoted table beside the measured one: m4-max-2025-12
    #[arg(long, value_name = "NAME")]
    reference: Option<String>,
    /// Write a report that any browser opens, offline, into FILE
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a bug report for the maintainers of the guilty layer into FILE (needs a trace)
    #[arg(long, value_name = "FILE.md")]
    issue: Option<PathBuf>,
}

/// Runs `report`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let files = Files {
        html: args.html.as_deref(),
        issue: args.issue.as_deref(),
    };
    if crate::recorded::is_trace(&args.file) {
        return match files.any() {
            true => explained(&args, files),
            false if is_scale(&args.file) => explained(&args, files),
            false => super::report_trace::run(&args.file, args.json),
        };
    }
    if args.issue.is_some() {
        let why = "--issue needs a trace: narrows trace --scale 1,4 -- COMMAND makes one";
        return Err(WrongInput(why.into()).into());
    }
    if narrows_tune::is_tune(&args.file) {
        return tuned(&args);
    }
    if narrows_ladder::samples::looks_like_ladder(&args.file) {
        let ladder = narrows_ladder::samples::read(&args.file).map_err(WrongInput::from_error)?;
        return super::ladder::report(&ladder, args.json, args.html.as_deref());
    }
    let style = Style::new(args.json, args.reference.as_deref())?;
    let samples = narrows_scan::samples::read(&args.file).map_err(WrongInput::from_error)?;
    match &args.html {
        Some(file) => {
            let mut result = analyse(&samples);
            result.reference = style.reference();
            write(file, &narrows_report::scan_html(&result))?;
        }
        None => {
            show(&samples, &style)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The result of a search, from its samples file.
fn tuned(args: &Args) -> anyhow::Result<ExitCode> {
    if args.html.is_some() || args.reference.is_some() {
        let why =
            "a samples file of tune has no --html and no --reference; it prints text or --json";
        return Err(WrongInput(why.into()).into());
    }
    let samples = narrows_tune::read(&args.file).map_err(WrongInput::from_error)?;
    super::tune::show(&samples, args.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Files to write instead of printing.
#[derive(Clone, Copy)]
struct Files<'a> {
    html: Option<&'a Path>,
    issue: Option<&'a Path>,
}

impl Files<'_> {
    fn any(self) -> bool {
        self.html.is_some() || self.issue.is_some()
    }
}

/// The explanation of a trace: printed, or into files.
fn explained(args: &Args, files: Files<'_>) -> anyhow::Result<ExitCode> {
    let runs = read(&args.file, None)?;
    let slopes = kept_slopes(&args.file)?;
    let mut explanation = explanation(&runs, slopes.as_deref());
    crate::store::measured(&mut explanation);
    if files.any() {
        let detail = detail(&args.file)?;
        if let Some(file) = files.html {
            let html = narrows_report::explain_html(&explanation, Some(&detail.timeline))?;
            write(file, &html)?;
        }
        if let Some(file) = files.issue {
            let private = crate::private::words();
            let text = narrows_report::issue_text(&explanation, &detail.objects, &private);
            write(file, &text)?;
        }
    }
    if args.json {
        crate::output::print(&narrows_report::explain_json(&explanation)?)?;
    } else if !files.any() {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        crate::output::print(&narrows_report::explain_text(&explanation, colour))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes one view; `-` is standard output.
pub(super) fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    if file == Path::new("-") {
        return crate::output::print(text);
    }
    std::fs::write(file, text)
        .map_err(|error| WrongInput(format!("{}: {error}", file.display())))?;
    eprintln!("narrows: wrote {}", file.display());
    Ok(())
}
