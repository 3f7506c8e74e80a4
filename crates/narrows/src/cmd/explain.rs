//! `narrows explain`: which layer makes threads go single file, from traces or from a program.

use super::trace::Recorder;
use crate::explain::{
    Experiment, Runs, explanation, keep_slopes, kept_slopes, read, run_all, test,
};
use crate::failure::WrongInput;
use narrows_gpu::parse_duration;
use narrows_model::explain::causal::Slope;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `explain`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    narrows explain narrows-app-20260101-120000\n  \
    narrows explain --causal --scale 1,4 -- ./app --threads {}\n\n\
    `{}` in COMMAND becomes the number of threads; it is in NARROWS_N too. The program's output goes\n\
    to standard error.")]
pub(crate) struct Args {
    /// A trace folder of `trace`, or of `trace --scale`
    #[arg(value_name = "TRACE", conflicts_with = "command")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    recorder: Recorder,
    /// Numbers of threads to compare
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1,4",
        value_name = "N,.."
    )]
    scale: Vec<u32>,
    /// Runs of each number of threads
    #[arg(long, default_value = "3", value_name = "N")]
    repeat: u32,
    /// Delay the likely causes in more runs and read what it does to the throughput
    #[arg(long)]
    causal: bool,
    /// Time for the causal test
    #[arg(long, value_parser = parse_duration, default_value = "20s", value_name = "TIME")]
    causal_time: Duration,
    /// Print the result as JSON (docs/json.md)
    #[arg(long)]
    json: bool,
    /// The program and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs `explain`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (runs, slopes) = match &args.trace {
        Some(_) if args.causal => {
            let why = "--causal delays a running program: give its command after -- instead";
            return Err(WrongInput(why.into()).into());
        }
        Some(folder) => (
            read(folder, args.recorder.layers.as_deref())?,
            kept_slopes(folder)?,
        ),
        None if args.command.is_empty() => {
            let why = "explain: give a trace folder, or a command after --";
            return Err(WrongInput(why.into()).into());
        }
        None => run_program(&args)?,
    };
    let mut explanation = explanation(&runs, slopes.as_deref());
    crate::store::measured(&mut explanation);
    let text = if args.json {
        narrows_report::explain_json(&explanation)?
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        narrows_report::explain_text(&explanation, colour)
    };
    crate::output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Traces the program at every N and, if asked, tests causes. The traces stay.
fn run_program(args: &Args) -> anyhow::Result<(Runs, Option<Vec<Slope>>)> {
    let mut scale = args
        .recorder
        .scale(&args.command, args.scale.clone(), args.repeat)?;
    scale.output_aside = true;
    run_all(&scale)?;
    let runs = read(&scale.out, None)?;
    let slopes = match args.causal {
        false => None,
        true => {
            let explanation = explanation(&runs, None);
            let time = args.causal_time;
            let slopes = test(&Experiment {
                scale: &scale,
                explanation: &explanation,
                time,
            })?;
            keep_slopes(&scale.out, &slopes)?;
            Some(slopes)
        }
    };
    eprintln!("traces: {0} (narrows explain {0})", scale.out.display());
    Ok((runs, slopes))
}
