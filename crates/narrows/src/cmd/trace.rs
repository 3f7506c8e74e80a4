//! `narrows trace -- COMMAND`: runs a program with the probe inside and says what it waited for.

use crate::failure::WrongInput;
use crate::launch::{self, Plan, Settings};
use narrows_model::layers::Rules;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

/// Arguments of `trace`.
#[derive(clap::Args)]
#[command(
    after_help = "The program's standard streams are untouched; the summary goes to stderr.\n\
    narrows exits with the program's own status, or 128 + the number of the signal that killed it."
)]
pub(crate) struct Args {
    /// Folder for the trace, new or empty [default: narrows-PROGRAM-DATE-TIME]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Timeline kept per process, newest events first; 0 keeps statistics only
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = launch::parse_size)]
    timeline: u64,
    /// Read GPU timestamps too (costs a query per submission)
    #[arg(long)]
    gpu_times: bool,
    /// Do not follow child processes
    #[arg(long)]
    no_children: bool,
    /// Record only calls whose name matches; may be given several times
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    only: Vec<String>,
    /// Do not record calls whose name matches; may be given several times
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    exclude: Vec<String>,
    /// Rules that put objects and functions into layers, before the built-in ones
    #[arg(long, value_name = "FILE")]
    layers: Option<PathBuf>,
    /// Print the summary as JSON (docs/json.md)
    #[arg(long)]
    json: bool,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn glob(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(',') {
        return Err("a glob is not empty and holds no comma; give the option twice".into());
    }
    Ok(text.to_owned())
}

/// Runs `trace`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let plan = plan(&args)?;
    let (folder, ended) = launch::run(&plan)?;
    let shown = super::report_trace::print(&folder, args.json, super::report_trace::To::Stderr);
    if let Err(error) = shown {
        // The program's own status is the answer; what could not be read is said beside it.
        crate::failure::report(&error);
    }
    // A status is 0 to 255 and 128 + signal is below 256.
    Ok(ExitCode::from(
        u8::try_from(ended.shell_status()).unwrap_or(u8::MAX),
    ))
}

fn plan(args: &Args) -> anyhow::Result<Plan> {
    let Some(command) = args.command.first() else {
        return Err(WrongInput("trace: no command".into()).into());
    };
    let target = launch::find(command)?;
    let rules = args.layers.as_deref().map(read_rules).transpose()?;
    let name = || launch::default_name(Path::new(command), SystemTime::now());
    Ok(Plan {
        target,
        command: args.command.clone(),
        out: args.out.clone().unwrap_or_else(name),
        settings: Settings {
            timeline_bytes: args.timeline,
            gpu_times: args.gpu_times,
            children: !args.no_children,
            only: args.only.clone(),
            exclude: args.exclude.clone(),
        },
        rules,
    })
}

/// Reads and checks a rules file, so that a fault is found before the program starts.
pub(crate) fn read_rules(path: &Path) -> anyhow::Result<(String, String)> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| WrongInput(format!("layers: {name}: {error}")))?;
    Rules::with_file(&name, &text).map_err(WrongInput::from_error)?;
    Ok((name, text))
}
