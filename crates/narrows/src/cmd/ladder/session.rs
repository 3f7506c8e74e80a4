//! One run of `ladder`: measures, keeps the lines, shows the result.

use super::{Args, print};
use crate::failure::WrongInput;
use indicatif::{ProgressBar, ProgressStyle};
use narrows_ladder::plan::Plan;
use narrows_ladder::python::{self, Python};
use narrows_ladder::run::Ground;
use narrows_ladder::samples::{EndReason, FORMAT, Header, Ladder, Line, VERSION, Writer};
use narrows_model::ladder::analyse;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

pub(super) fn run(args: &Args, plan: &Plan) -> anyhow::Result<ExitCode> {
    let mut file = open_file(args)?;
    let html = args.html.as_deref().map(check_writable).transpose()?;
    let stop = stop_on_signal()?;
    let environment = narrows_scan::environment::read();
    let python = plan.needs_python().then(|| python::ask(&plan.python));
    let ground = ground(args, python.as_ref())?;
    let header = Header {
        format: FORMAT.into(),
        version: VERSION,
        tool: env!("CARGO_PKG_VERSION").into(),
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        command: std::env::args().skip(1).collect(),
        environment,
        seed: ground.seed,
        api: plan.api.clone(),
        work: plan.work,
        threads: plan.threads.clone(),
        python: python.map(|p| p.interpreter),
        rungs: plan.infos(),
    };
    let mut ladder = Ladder::new(header.clone());
    let mut failed = file.write(&Line::Ladder(Box::new(header))).err();
    let bar = progress_bar();
    let end = narrows_ladder::run::run(plan, &ground, &stop, &mut |line, used, rung| {
        bar.set_message(rung.to_owned());
        bar.set_position((used * 1000.0) as u64);
        if let Some(line) = line {
            if failed.is_none() {
                failed = file.write(&line).err();
            }
            ladder.add(line);
        }
    });
    bar.finish_and_clear();
    let line = Line::End(end?);
    if failed.is_none() {
        failed = file.write(&line).err();
    }
    ladder.add(line);
    let result = analyse(&ladder);
    print(&result, args.json)?;
    if let Some(path) = html {
        super::super::report::write(path, &narrows_report::ladder_html(&result))?;
    }
    match &failed {
        None => eprintln!("samples: {0} (narrows report {0})", file.path().display()),
        Some(error) => eprintln!("narrows: {error}"),
    }
    let interrupted = ladder
        .end
        .is_some_and(|e| e.reason == EndReason::Interrupted);
    Ok(match (interrupted, failed) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, Some(_)) => ExitCode::FAILURE,
        (false, None) => ExitCode::SUCCESS,
    })
}

/// The device of all rungs. An API without a loader or a device is no error here: the rungs that
/// need it say so, and a framework may bring its own.
fn ground(args: &Args, python: Option<&Python>) -> anyhow::Result<Ground> {
    let chosen = match narrows_gpu::choose(Some(&args.api), args.device.as_deref()) {
        Ok(chosen) => Some(chosen.info),
        Err(error) if args.device.is_some() => return Err(WrongInput::from_error(error)),
        Err(_) => None,
    };
    Ok(Ground {
        program: std::env::current_exe()?,
        device: chosen.as_ref().map_or(0, |i| i.index),
        device_name: chosen.map(|i| i.name).unwrap_or_default(),
        libraries: python.map(|p| p.libraries.clone()).unwrap_or_default(),
        seed: args.seed.unwrap_or_else(|| fastrand::u64(..)),
    })
}

/// The file is made before anything is started: a path that cannot be written must not cost the
/// user a run.
fn open_file(args: &Args) -> anyhow::Result<Writer> {
    if let Some(path) = &args.out {
        return Writer::create(path).map_err(WrongInput::from_error);
    }
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let now = now.replace(['-', ':', 'Z'], "").replace('T', "-");
    let name = PathBuf::from(format!("narrows-ladder-{}-{now}.jsonl", args.api));
    Writer::create(&name)
        .or_else(|_| Writer::create(&std::env::temp_dir().join(&name)))
        .map_err(WrongInput::from_error)
}

/// As for the samples: said before the run. An existing file keeps its content until then.
fn check_writable(path: &Path) -> anyhow::Result<&Path> {
    if path != Path::new("-") {
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(|e| WrongInput(format!("--html {}: {e}", path.display())))?;
    }
    Ok(path)
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

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(1000);
    let template = "measuring {bar:30} {percent:>3} %, {msg}";
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}
