//! `narrows selftest`: explains programs whose bottleneck is known, and shows how right that is.
//!
//! Every planted program goes through `narrows explain --causal` as a user's would. What is
//! planted lives in `narrows-planted`, the judgement in `narrows_model::selftest`.

mod cases;
mod explained;
mod host;

use crate::planted_image::Planted;
use anyhow::Context;
use cases::Case;
use explained::Explained;
use indicatif::{ProgressBar, ProgressStyle};
use narrows_model::selftest::{
    Found, Gain, Outcome, Row, SCHEMA, SelftestResult, predicted_gain, real_gain,
};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Exit code after Ctrl-C.
const STOPPED: u8 = 130;

/// While a run of all plants has taken no longer than this, a cautious verdict is tried once more;
/// with the try it ends within a minute.
const TIME_FOR_SECOND_TRIES: Duration = Duration::from_secs(52);

/// Arguments of `selftest`.
#[derive(clap::Args)]
#[command(after_help = "Example: narrows selftest --json\n\n\
    Exit status 1 says that a verdict was wrong or could not be made.\n\
    docs/selftest.md describes the programs.")]
pub(crate) struct Args {
    /// Only these programs: PLANT, or PLANT:LAYER to plant it elsewhere
    #[arg(long, value_delimiter = ',', value_name = "PLANT,..")]
    only: Vec<String>,
    /// Times that everything is run
    #[arg(long, default_value = "1", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Print the result as JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

/// Runs `selftest`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let cores = std::thread::available_parallelism().ok();
    let cores = cores.and_then(|cores| u32::try_from(cores.get()).ok());
    let cases = cases::cases(&args.only, cores.unwrap_or(1))?;
    let planted =
        Planted::extract().context("selftest: the planted programs cannot be extracted")?;
    let stop = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&stop);
    ctrlc::set_handler(move || handler.store(true, Ordering::Relaxed))?;

    let load = load();
    let begin = Instant::now();
    let rows = run_all(&planted, &cases, args.runs, &stop);
    let result = SelftestResult {
        schema: SCHEMA.into(),
        narrows: env!("CARGO_PKG_VERSION").into(),
        cores,
        load,
        wall_ns: u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX),
        rows,
    };
    show(&result, args.json)?;
    Ok(match (stop.load(Ordering::Relaxed), result.passed()) {
        (true, _) => ExitCode::from(STOPPED),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

fn show(result: &SelftestResult, json: bool) -> anyhow::Result<()> {
    let text = if json {
        narrows_report::selftest_json(result)?
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        narrows_report::selftest_text(result, colour)
    };
    crate::output::print(&text)
}

/// All cases, run by run, so that a drift of the machine does not always hit the same ones.
fn run_all(planted: &Planted, cases: &[Case], runs: u32, stop: &AtomicBool) -> Vec<Row> {
    let begin = Instant::now();
    let bar = bar(cases.len() as u64 * u64::from(runs));
    let mut rows = Vec::new();
    for run in 1..=runs {
        for case in cases {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            bar.set_message(format!("{} in {}", case.plant.name(), case.posing.name()));
            let mut row = row(planted, case, run);
            // Noise passes; the row says that it is the second.
            let late = begin.elapsed() > TIME_FOR_SECOND_TRIES * run;
            if row.outcome == Outcome::Cautious && !late && !stop.load(Ordering::Relaxed) {
                row = Row {
                    tries: 2,
                    ..self::row(planted, case, run)
                };
            }
            if !stop.load(Ordering::Relaxed) {
                rows.push(row);
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    rows
}

fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg} {eta}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn row(planted: &Planted, case: &Case, run: u32) -> Row {
    let (explained, error) = match explained::explain(planted, case) {
        Ok(explained) => (Some(explained), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let (gain, error) = match (case.has_gain, &explained) {
        (true, Some(explained)) => match gain(planted, case, explained) {
            Ok(gain) => (Some(gain), error),
            Err(failed) => (None, Some(format!("{failed:#}"))),
        },
        _ => (None, error),
    };
    let found = explained
        .as_ref()
        .map(|explained| Found::of(&explained.verdict));
    Row {
        planted: case.planted.clone(),
        run,
        outcome: found
            .as_ref()
            .map_or(Outcome::Failed, |found| case.planted.judge(found)),
        found,
        error,
        tries: 1,
        gain,
    }
}

/// What the verdict promises for the plant's removal, and what its removal gives.
fn gain(planted: &Planted, case: &Case, explained: &Explained) -> anyhow::Result<Gain> {
    let named = explained
        .verdict
        .share
        .filter(|_| explained.verdict.layer.is_some());
    let (predicted, predicted_ci) = match &explained.point {
        Some(point) => predicted_gain(named, point),
        None => (None, None),
    };
    let (real, real_ci) = real_gain(&host::gains(planted, case)?);
    Ok(Gain {
        predicted,
        predicted_ci,
        real,
        real_ci,
    })
}

/// Load average over the last minute.
fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
