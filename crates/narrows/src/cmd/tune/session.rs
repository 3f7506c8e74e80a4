//! One search: measures, keeps the samples, shows the result.

use super::Args;
use crate::failure::WrongInput;
use indicatif::{ProgressBar, ProgressStyle};
use narrows_tune::result::TuneResult;
use narrows_tune::run::{Budget, Event, Source, run};
use narrows_tune::samples::{EndReason, FORMAT, Header, Line, Samples, Subject, VERSION};
use narrows_tune::{Error, Limits, Search, Space, Writer, analyse};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

/// What is searched, and where the samples go: made before anything is measured, so that a path
/// that cannot be written costs nobody a run.
pub(super) struct Plan {
    space: Space,
    file: Writer,
    stop: Arc<AtomicBool>,
}

impl Plan {
    pub(super) fn new(args: &Args, space: Space) -> anyhow::Result<Plan> {
        Ok(Plan {
            space,
            file: open_file(args)?,
            stop: stop_on_signal()?,
        })
    }
}

/// Searches with blocks of `source` and shows the result.
pub(super) fn measure(
    args: &Args,
    mut plan: Plan,
    subject: Subject,
    source: &mut dyn Source,
) -> anyhow::Result<ExitCode> {
    let header = header(args, &plan.space, subject);
    let mut samples = Samples::new(header.clone());
    let mut failed: Option<Error> = None;
    let mut keep = |file: &mut Writer, line: Line| {
        if failed.is_none() {
            failed = file.write(&line).err();
        }
        samples.add(line);
    };
    plan.file
        .write(&Line::Header(Box::new(header.clone())))
        .map_err(WrongInput::from_error)?;
    let bar = progress_bar(args);
    let limits = match &header.subject {
        Subject::Device { .. } => Limits::default(),
        Subject::Program { .. } => Limits::PROGRAM,
    };
    let mut search = Search::new(&header.space, args.goal, limits, header.seed);
    let end = run(
        &mut search,
        source,
        Budget::Time(args.time),
        header.seed,
        &plan.stop,
        &mut |event| match event {
            Event::Pair(pair, used) => {
                bar.set_position((used * args.time.as_millis() as f64) as u64);
                keep(&mut plan.file, Line::Pair(pair.clone()));
            }
            Event::LeftOut(left_out) => keep(&mut plan.file, Line::LeftOut(left_out.clone())),
        },
    );
    bar.finish_and_clear();
    keep(&mut plan.file, Line::End(end.clone()));
    let result = show(&samples, args.json)?;
    if !args.no_keep && matches!(end.reason, EndReason::Separated | EndReason::TimeUp) {
        store(&result, &plan.file);
    }
    match &failed {
        None => eprintln!(
            "samples: {0} (narrows report {0})",
            plan.file.path().display()
        ),
        Some(error) => eprintln!("narrows: {error}"),
    }
    match (end.reason, failed) {
        (EndReason::Interrupted, _) => Ok(ExitCode::from(INTERRUPTED)),
        (EndReason::Failed, _) => {
            anyhow::bail!(
                "{}",
                end.detail.as_deref().unwrap_or("the measurement failed")
            )
        }
        (_, Some(_)) => Ok(ExitCode::FAILURE),
        (_, None) => Ok(ExitCode::SUCCESS),
    }
}

/// Analyses `samples` and prints the result to standard output.
pub(crate) fn show(samples: &Samples, json: bool) -> anyhow::Result<TuneResult> {
    let result = analyse(samples);
    print(&result, json)?;
    Ok(result)
}

/// Prints a result to standard output.
pub(crate) fn print(result: &TuneResult, json: bool) -> anyhow::Result<()> {
    let text = if json {
        narrows_report::tune_json(result)?
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        narrows_report::tune_text(result, colour)
    };
    crate::output::print(&text)
}

/// Keeps the result for `explain`; what stands against it costs nobody the result.
fn store(result: &TuneResult, file: &Writer) {
    match crate::store::save(result, file.path()) {
        Ok(None) => {}
        Ok(Some(name)) => eprintln!("kept: {name} (narrows results show {name})"),
        Err(error) => eprintln!("narrows: the result is not kept for explain: {error:#}"),
    }
}

fn header(args: &Args, space: &Space, subject: Subject) -> Header {
    Header {
        format: FORMAT.into(),
        version: VERSION,
        tool: env!("CARGO_PKG_VERSION").into(),
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        command: std::env::args().skip(1).collect(),
        environment: narrows_scan::environment::read(),
        subject,
        goal: args.goal,
        time_ns: args.time.as_nanos() as u64,
        seed: args.seed.unwrap_or_else(|| fastrand::u64(..)),
        simulated: false,
        space: space.clone(),
    }
}

fn open_file(args: &Args) -> anyhow::Result<Writer> {
    if let Some(path) = &args.out {
        return Writer::create(path).map_err(WrongInput::from_error);
    }
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let time = time.replace(['-', ':', 'Z'], "").replace('T', "-");
    let name = PathBuf::from(format!("narrows-tune-{time}.jsonl"));
    Writer::create(&name)
        .or_else(|_| Writer::create(&std::env::temp_dir().join(&name)))
        .map_err(WrongInput::from_error)
}

/// The first Ctrl-C ends the measuring, the second the process.
fn stop_on_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
    })?;
    Ok(stop)
}

fn progress_bar(args: &Args) -> ProgressBar {
    let bar = ProgressBar::new(args.time.as_millis() as u64);
    let template = "searching {bar:30} {percent:>3} %, at most {eta} left";
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}
