//! One run of `scan`: opens the device, measures, keeps the samples, shows the result.

use super::{Args, Style, show};
use crate::failure::WrongInput;
use indicatif::{ProgressBar, ProgressStyle};
use narrows_gpu::Chosen;
use narrows_scan::live::{BLOCK, Live, ThreadsVia, WorkerCommand};
use narrows_scan::plan::Plan;
use narrows_scan::run::{Budget, Event, run as measure};
use narrows_scan::samples::{EndReason, FORMAT, Header, Line, Samples, VERSION, Writer};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

pub(super) fn run(
    args: &Args,
    chosen: &Chosen,
    plan: &Plan,
    style: &Style,
) -> anyhow::Result<ExitCode> {
    let mut file = open_file(args)?;
    let stop = stop_on_signal()?;
    let environment = narrows_scan::environment::read();
    let device = chosen.backend.open(chosen.index)?;
    let preparation = device.prepare(args.work).map_err(wrong_or_failed)?;
    let started = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let header = Header {
        format: FORMAT.into(),
        version: VERSION,
        tool: env!("CARGO_PKG_VERSION").into(),
        started,
        command: std::env::args().skip(1).collect(),
        environment,
        device: device.info().clone(),
        device_choice: choice(args, chosen),
        preparation,
        seed: args.seed.unwrap_or_else(|| fastrand::u64(..)),
        block_ns: BLOCK.as_nanos() as u64,
        simulated: false,
        points: plan.points.clone(),
    };
    let workers = WorkerCommand {
        program: std::env::current_exe()?,
        arguments: vec!["pool-worker".into()],
    };
    let (mut live, left_out) = Live::with_threads(args.threads_via, plan, &*device, &workers)?;
    let mut samples = Samples::new(header.clone());
    let mut keeper = Keeper {
        file: &mut file,
        failed: None,
    };
    keeper.keep(&Line::Header(Box::new(header.clone())));
    let bar = progress_bar(plan);
    let budget = Budget::Time(plan.time);
    let end = measure(
        plan,
        &left_out,
        &mut live,
        budget,
        header.seed,
        &stop,
        &mut |event| {
            let line = match event {
                Event::Pair(pair, used) => {
                    bar.set_position((used * plan.time.as_millis() as f64) as u64);
                    Line::Pair(pair.clone())
                }
                Event::LeftOut(left_out) => Line::LeftOut(left_out.clone()),
            };
            keeper.keep(&line);
            samples.add(line);
        },
    );
    bar.finish_and_clear();
    keeper.keep(&Line::End(end.clone()));
    samples.add(Line::End(end.clone()));
    // Before the pass, which opens the device again, and before the report: workers and queues must
    // not outlive a slow reader of our output.
    drop(live);
    drop(device);
    if let Some(explained) = super::pass::explain(args, chosen, &samples, &stop) {
        let line = Line::Explained(explained);
        keeper.keep(&line);
        samples.add(line);
    }
    let failed = keeper.failed;
    show(&samples, style)?;
    finish(&end, failed, &file)
}

/// Why this device, and whose threads where they are not ours.
fn choice(args: &Args, chosen: &Chosen) -> String {
    match args.threads_via {
        ThreadsVia::Pthreads => chosen.why.clone(),
        ThreadsVia::Gcd => format!("{}; submitted from threads of GCD", chosen.why),
    }
}

/// What stands below the report, and the exit code.
fn finish(
    end: &narrows_scan::samples::End,
    failed: Option<narrows_scan::Error>,
    file: &Writer,
) -> anyhow::Result<ExitCode> {
    match &failed {
        None => eprintln!("samples: {0} (narrows report {0})", file.path().display()),
        Some(error) => eprintln!("narrows: {error}"),
    }
    match (end.reason, failed) {
        (EndReason::Interrupted, _) => Ok(ExitCode::from(INTERRUPTED)),
        (EndReason::DeviceError, _) => {
            anyhow::bail!("{}", end.detail.as_deref().unwrap_or("the device failed"))
        }
        (EndReason::Finished, Some(_)) => Ok(ExitCode::FAILURE),
        (EndReason::Finished, None) => Ok(ExitCode::SUCCESS),
    }
}

/// Writes lines until one fails; the run goes on without the file.
struct Keeper<'a> {
    file: &'a mut Writer,
    failed: Option<narrows_scan::Error>,
}

impl Keeper<'_> {
    fn keep(&mut self, line: &Line) {
        if self.failed.is_none() {
            self.failed = self.file.write(line).err();
        }
    }
}

/// The samples file is made before the device is touched: a path that cannot be written must not
/// cost the user a run.
fn open_file(args: &Args) -> anyhow::Result<Writer> {
    if let Some(path) = &args.out {
        return Writer::create(path).map_err(WrongInput::from_error);
    }
    let name = PathBuf::from(format!("narrows-scan-{}.jsonl", file_time()));
    Writer::create(&name)
        .or_else(|_| Writer::create(&std::env::temp_dir().join(&name)))
        .map_err(WrongInput::from_error)
}

/// `20251220-181500`, UTC.
fn file_time() -> String {
    let text = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    text.replace(['-', ':', 'Z'], "").replace('T', "-")
}

/// Work that the device lacks is the user's choice, all else is a failure.
fn wrong_or_failed(error: narrows_gpu::Error) -> anyhow::Error {
    match error {
        narrows_gpu::Error::Unsupported { .. } => WrongInput::from_error(error),
        other => other.into(),
    }
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

fn progress_bar(plan: &Plan) -> ProgressBar {
    let bar = ProgressBar::new(plan.time.as_millis() as u64);
    let template = "measuring {bar:30} {percent:>3} %, {eta} left";
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}
