//! Runs the program: environment, signals, its end.

use super::environment::{self, Settings};
use super::{Target, folder, library};
use anyhow::Context;
use narrows_model::trace::run::{self as run_file, Ended, Run};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Instant, SystemTime};

/// Everything that is needed to run a program with the probe inside.
pub(crate) struct Plan {
    /// What is run.
    pub(crate) target: Target,
    /// The command as it was given, program first.
    pub(crate) command: Vec<OsString>,
    /// Where the trace goes.
    pub(crate) out: PathBuf,
    /// What the recorder is asked for.
    pub(crate) settings: Settings,
    /// A rules file of the user: its name and its text.
    pub(crate) rules: Option<(String, String)>,
    /// More variables for the program.
    pub(crate) variables: Vec<(String, OsString)>,
    /// Send the program's standard output to our standard error: ours holds a result.
    pub(crate) output_aside: bool,
}

/// Runs the plan to the program's end. Gives the trace's folder and how the program ended.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<(PathBuf, Ended)> {
    let library = library::extract()?;
    let out = folder::prepare(&plan.out, plan.settings.timeline_bytes)?;
    let mut record = describe(plan);
    write(&out, &record)?;

    let variables = environment::variables(&library, out.as_os_str(), &plan.settings, |name| {
        std::env::var_os(name)
    });
    let target = &plan.target;
    let started = if target.before.is_empty() {
        &target.file
    } else {
        &target.program
    };
    let mut command = Command::new(started);
    command.args(&target.before);
    for name in environment::OWN {
        command.env_remove(name);
    }
    command.args(plan.command.iter().skip(1)).envs(variables);
    command.envs(plan.variables.iter().map(|(name, value)| (name, value)));
    if plan.output_aside {
        command.stdout(std::io::stderr());
    }
    set_name(&mut command, plan);

    // Before the start: a signal that comes between start and installation would kill us alone.
    let signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
    let begin = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("trace: {} cannot be started", plan.target.file.display()))?;
    let status = wait(&mut child, signals)?;
    record.wall_ns = u64::try_from(begin.elapsed().as_nanos()).ok();
    let ended = how(status);
    record.ended = Some(ended);
    write(&out, &record)?;
    Ok((out, ended))
}

/// The program sees the name by which it was called, as it would without us.
fn set_name(command: &mut Command, plan: &Plan) {
    use std::os::unix::process::CommandExt;
    if let Some(name) = plan.command.first()
        && plan.target.before.is_empty()
    {
        command.arg0(name);
    }
}

/// Waits for the end; signals that reach only us are handed on.
fn wait(
    child: &mut Child,
    mut signals: signal_hook::iterator::Signals,
) -> anyhow::Result<ExitStatus> {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let handle = signals.handle();
    let forward = std::thread::spawn(move || {
        for signal in signals.forever() {
            // The terminal sends its signals to the whole foreground group, the program included.
            let from_terminal = matches!(signal, SIGINT | SIGQUIT) && in_foreground();
            let known = rustix::process::Signal::from_named_raw(signal);
            if let (Some(pid), Some(known), false) = (pid, known, from_terminal) {
                // The program may have ended meanwhile; there is nobody to tell then.
                let _ = rustix::process::kill_process(pid, known);
            }
        }
    });
    let status = child
        .wait()
        .context("trace: waiting for the program failed");
    handle.close();
    let _ = forward.join();
    status
}

fn in_foreground() -> bool {
    let Ok(terminal) = std::fs::File::open("/dev/tty") else {
        return false;
    };
    rustix::termios::tcgetpgrp(&terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}

fn how(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exit(code),
        (None, signal) => Ended::Signal(signal.unwrap_or(0)),
    }
}

fn describe(plan: &Plan) -> Run {
    let environment = narrows_scan::environment::read();
    let (rules_name, rules) = plan.rules.clone().unzip();
    Run {
        schema: run_file::SCHEMA.into(),
        narrows: env!("CARGO_PKG_VERSION").into(),
        command: plan
            .command
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
        program: plan.target.program.display().to_string(),
        started: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        wall_ns: None,
        ended: None,
        cores: Some(environment.cores),
        cpu: environment.cpu,
        os: environment.os,
        rules,
        rules_name,
    }
}

/// Whole or not at all: a reader at any moment sees the old file or the new one.
fn write(folder: &Path, record: &Run) -> anyhow::Result<()> {
    let file = folder.join(run_file::FILE);
    let new = folder.join("run.json.new");
    let text = serde_json::to_string_pretty(record)?;
    std::fs::write(&new, text + "\n")
        .and_then(|()| std::fs::rename(&new, &file))
        .with_context(|| format!("trace: {} cannot be written", file.display()))
}
