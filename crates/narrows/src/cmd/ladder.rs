//! `narrows ladder`: arguments to plan, plan to a ladder file, the file to the table and the chart.

mod session;

use crate::failure::WrongInput;
use narrows_gpu::{Work, parse_duration};
use narrows_ladder::plan::{Request, plan};
use narrows_ladder::samples::Ladder;
use narrows_model::ladder::{LadderResult, analyse};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Time for the measuring when the user names none.
const TIME: Duration = Duration::from_secs(60);
/// The same with `--quick`.
const QUICK_TIME: Duration = Duration::from_secs(20);

/// Arguments of `ladder`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: narrows ladder cuda --rungs raw,cublas,torch-event --threads 1,8\nRungs of each API: docs/ladder.md"
)]
pub(crate) struct Args {
    /// GPU API: cuda, opencl, vulkan, metal or soft
    api: String,
    /// Rungs to measure [default: all; with --quick a short list]
    #[arg(long, value_delimiter = ',', value_name = "RUNG,..")]
    rungs: Option<Vec<String>>,
    /// Device number, or a part of its name
    #[arg(long, value_name = "N|NAME")]
    device: Option<String>,
    /// Numbers of threads, and sizes of process pools; 1 is always measured
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1,2,4,8",
        value_name = "N,.."
    )]
    threads: Vec<u32>,
    /// The op of every rung: matmul:N or matmul:N:f16
    #[arg(long, default_value = "matmul:512", value_name = "WORK")]
    work: Work,
    /// Time for the measuring, all rungs together [default: 60s, with --quick 20s]; starting the
    /// rungs comes on top
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    time: Option<Duration>,
    /// How long a rung may make no progress before it counts as hung; four times that to start
    #[arg(long, value_parser = parse_duration, default_value = "30s", value_name = "TIME")]
    limit: Duration,
    /// Fewer rungs, less time
    #[arg(long)]
    quick: bool,
    /// The Python interpreter that has the packages
    #[arg(long, default_value = "python3", value_name = "PATH")]
    python: PathBuf,
    /// Print the result as JSON (docs/json.md)
    #[arg(long)]
    json: bool,
    /// Write a page with the chart, which any browser opens offline, into FILE
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Samples file [default: narrows-ladder-API-DATE-TIME.jsonl]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Seed of the randomised order [default: from the clock]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Args {
    fn request(&self) -> Request {
        let default_time = if self.quick { QUICK_TIME } else { TIME };
        Request {
            api: self.api.clone(),
            rungs: self.rungs.clone(),
            threads: self.threads.clone(),
            work: self.work,
            time: self.time.unwrap_or(default_time),
            limit: self.limit,
            quick: self.quick,
            python: self.python.clone(),
        }
    }
}

/// Arguments of a rung's child: none, its orders come on standard input.
#[derive(clap::Args)]
pub(crate) struct RungArgs {}

/// Runs `ladder`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let plan = plan(&args.request()).map_err(WrongInput::from_error)?;
    session::run(&args, &plan)
}

/// Runs the child of a rung behind the `Device` trait. Ctrl-C is the parent's to handle.
pub(crate) fn run_rung(_args: RungArgs) -> anyhow::Result<ExitCode> {
    ctrlc::set_handler(|| ())?;
    let well = narrows_ladder::rung_main(&mut std::io::stdin().lock());
    // Threads may hang in a driver: no destructor may wait for them.
    std::process::exit(i32::from(!well));
}

/// Shows what a ladder file holds.
pub(super) fn report(ladder: &Ladder, json: bool, html: Option<&Path>) -> anyhow::Result<ExitCode> {
    let result = analyse(ladder);
    match html {
        Some(file) => super::report::write(file, &narrows_report::ladder_html(&result))?,
        None => print(&result, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(result: &LadderResult, json: bool) -> anyhow::Result<()> {
    let text = if json {
        narrows_report::ladder_json(result)?
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        narrows_report::ladder_text(result, colour)
    };
    crate::output::print(&text)
}
