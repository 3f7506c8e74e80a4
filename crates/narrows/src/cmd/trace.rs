//! `narrows trace -- COMMAND`: runs a program with the probe inside and says what it waited for.

use crate::explain::Scale;
use crate::failure::WrongInput;
use crate::launch::{self, Plan, Settings};
use narrows_model::layers::Rules;
use narrows_model::trace::run::Ended;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

/// Arguments of `trace`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: narrows trace --out app-trace -- ./app --threads 8\n\n\
    The program's standard streams are untouched; the summary goes to stderr.\n\
    narrows exits with the program's own status, or 128 + the number of the signal that killed it."
)]
pub(crate) struct Args {
    #[command(flatten)]
    recorder: Recorder,
    /// Run once per number of threads: `{}` in COMMAND is replaced by it, as is NARROWS_N in the
    /// environment; FOLDER then holds one trace per run
    #[arg(long, value_delimiter = ',', value_name = "N,..")]
    scale: Option<Vec<u32>>,
    /// With --scale: runs of each number of threads
    #[arg(long, default_value = "3", value_name = "N")]
    repeat: u32,
    /// Print the summary as JSON (docs/json.md)
    #[arg(long)]
    json: bool,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What the recorder is asked for; the same for every command that runs a program.
#[derive(clap::Args)]
pub(crate) struct Recorder {
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
    /// Record only programs whose file name matches; may be given several times
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    only: Vec<String>,
    /// Do not record programs whose file name matches; may be given several times
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    exclude: Vec<String>,
    /// Rules that put objects and functions into layers, before the built-in ones
    #[arg(long, value_name = "FILE")]
    pub(crate) layers: Option<PathBuf>,
}

impl Recorder {
    /// Where the trace of `command` goes.
    pub(crate) fn out(&self, command: &OsString) -> PathBuf {
        let name = || launch::default_name(Path::new(command), SystemTime::now());
        self.out.clone().unwrap_or_else(name)
    }

    /// As settings of a launch.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            timeline_bytes: self.timeline,
            gpu_times: self.gpu_times,
            children: !self.no_children,
            only: self.only.clone(),
            exclude: self.exclude.clone(),
        }
    }

    /// The runs of `command` at several numbers of threads.
    pub(crate) fn scale(
        &self,
        command: &[OsString],
        ns: Vec<u32>,
        repeat: u32,
    ) -> anyhow::Result<Scale> {
        let Some(program) = command.first() else {
            return Err(WrongInput("no command after --".into()).into());
        };
        let mut scale = Scale {
            ns,
            repeat,
            command: command.to_vec(),
            out: self.out(program),
            settings: self.settings(),
            rules: self.layers.as_deref().map(read_rules).transpose()?,
            output_aside: false,
            quiet: false,
        };
        scale.check()?;
        Ok(scale)
    }
}

fn glob(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(',') {
        return Err("a glob is not empty and holds no comma; give the option twice".into());
    }
    Ok(text.to_owned())
}

/// Runs `trace`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(ns) = args.scale.clone() {
        return run_scale(&args, ns);
    }
    let plan = plan(&args)?;
    let (folder, ended) = launch::run(&plan)?;
    let shown = super::report_trace::print(&folder, args.json, super::report_trace::To::Stderr);
    if let Err(error) = shown {
        // The program's own status is the answer; what could not be read is said beside it.
        crate::failure::report(&error);
    }
    Ok(status(ended))
}

/// A status is 0 to 255 and 128 + signal is below 256.
fn status(ended: Ended) -> ExitCode {
    ExitCode::from(u8::try_from(ended.shell_status()).unwrap_or(u8::MAX))
}

/// One trace per number of threads and repeat; what they say together is `explain`'s.
fn run_scale(args: &Args, ns: Vec<u32>) -> anyhow::Result<ExitCode> {
    let scale = args.recorder.scale(&args.command, ns, args.repeat)?;
    let failed = crate::explain::run_all(&scale)?;
    eprintln!("traces: {0} (narrows explain {0})", scale.out.display());
    Ok(failed.map_or(ExitCode::SUCCESS, status))
}

fn plan(args: &Args) -> anyhow::Result<Plan> {
    let Some(command) = args.command.first() else {
        return Err(WrongInput("trace: no command".into()).into());
    };
    Ok(Plan {
        target: launch::find(command)?,
        command: args.command.clone(),
        out: args.recorder.out(command),
        settings: args.recorder.settings(),
        rules: args
            .recorder
            .layers
            .as_deref()
            .map(read_rules)
            .transpose()?,
        variables: Vec::new(),
        output_aside: false,
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
