//! Runs the program once per number of threads and repeat, and keeps the order in a file.

use crate::failure::WrongInput;
use crate::launch::{self, Plan, Settings};
use anyhow::Context;
use narrows_model::trace::run::Ended;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Name of the file in the folder of all runs.
const FILE: &str = "scale.json";
/// Version of its layout.
const SCHEMA: &str = "narrows-scale/1";
/// What the number of threads replaces in the command.
const PLACE: &str = "{}";
/// The number of threads in the program's environment.
const VARIABLE: &str = "NARROWS_N";

/// Which runs.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// Numbers of threads, ascending.
    pub(crate) ns: Vec<u32>,
    /// Runs of each.
    pub(crate) repeat: u32,
    /// The command with `{}` in it.
    pub(crate) command: Vec<OsString>,
    /// Folder of all runs.
    pub(crate) out: PathBuf,
    /// What the recorder is asked for.
    pub(crate) settings: Settings,
    /// Rules file of the user.
    pub(crate) rules: Option<(String, String)>,
    /// Whether the program's output goes to standard error.
    pub(crate) output_aside: bool,
    /// Do not tell each run.
    pub(crate) quiet: bool,
}

/// What was run, in order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    schema: String,
    pub(super) command: Vec<String>,
    pub(super) runs: Vec<RunRecord>,
}

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunRecord {
    pub(super) n: u32,
    pub(super) repeat: u32,
    /// Folder's name beside the file.
    pub(super) folder: String,
}

impl Scale {
    /// Checks the numbers.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        if self.ns.is_empty() || self.ns.iter().any(|n| *n == 0 || *n > 4096) {
            let given: Vec<String> = self.ns.iter().map(ToString::to_string).collect();
            let given = given.join(",");
            return Err(WrongInput(format!("--scale {given}: use numbers from 1 to 4096")).into());
        }
        if self.repeat == 0 || self.repeat > 100 {
            return Err(WrongInput(format!("--repeat {}: use 1 to 100", self.repeat)).into());
        }
        self.ns.sort_unstable();
        self.ns.dedup();
        Ok(())
    }

    /// The launch of one run. Names of the variables and `{}` are in the command's help.
    pub(super) fn plan(&self, n: u32, out: PathBuf) -> anyhow::Result<Plan> {
        let number = n.to_string();
        let mut command: Vec<OsString> = Vec::with_capacity(self.command.len());
        for word in &self.command {
            command.push(match word.to_str() {
                Some(text) => text.replace(PLACE, &number).into(),
                None => word.clone(),
            });
        }
        let Some(program) = command.first() else {
            return Err(WrongInput("no command after --".into()).into());
        };
        Ok(Plan {
            target: launch::find(program)?,
            command,
            out,
            settings: self.settings.clone(),
            rules: self.rules.clone(),
            variables: vec![(VARIABLE.into(), number.into())],
            output_aside: self.output_aside,
        })
    }
}

/// Whether `folder` holds the runs of a `--scale`.
pub(crate) fn is_scale(folder: &Path) -> bool {
    folder.join(FILE).is_file()
}

/// Runs everything. Every repeat runs all N once in an order that rotates, so that drift of the
/// machine does not always hit the same N. A run that fails is told and kept; the others go on.
pub(crate) fn run_all(scale: &Scale) -> anyhow::Result<Option<Ended>> {
    if scale
        .out
        .read_dir()
        .is_ok_and(|mut entries| entries.next().is_some())
    {
        let out = scale.out.display();
        return Err(WrongInput(format!(
            "{out}: the folder is not empty; give another --out"
        ))
        .into());
    }
    std::fs::create_dir_all(&scale.out)
        .map_err(|e| WrongInput(format!("{}: cannot be made: {e}", scale.out.display())))?;
    let command = scale
        .command
        .iter()
        .map(|w| w.to_string_lossy().into_owned())
        .collect();
    let mut record = Record {
        schema: SCHEMA.into(),
        command,
        runs: Vec::new(),
    };
    let mut failed = None;
    for repeat in 0..scale.repeat {
        let mut order = scale.ns.clone();
        order.rotate_left(repeat as usize % scale.ns.len());
        for n in order {
            let folder = format!("n{n}-r{repeat}");
            if !scale.quiet {
                let run = record.runs.len() + 1;
                eprintln!("narrows: run {run} of {}: N = {n}", scale.runs());
            }
            let (_, ended) = launch::run(&scale.plan(n, scale.out.join(&folder))?)?;
            record.runs.push(RunRecord { n, repeat, folder });
            write(&scale.out, &record)?;
            if ended != Ended::Exit(0) {
                eprintln!("narrows: N = {n}, repeat {repeat}: {ended}");
                failed = Some(ended);
            }
        }
    }
    Ok(failed)
}

impl Scale {
    fn runs(&self) -> usize {
        self.ns.len() * self.repeat as usize
    }
}

fn write(out: &Path, record: &Record) -> anyhow::Result<()> {
    let file = out.join(FILE);
    let text = serde_json::to_string_pretty(record)? + "\n";
    std::fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))
}

/// Reads what was run.
pub(super) fn read(folder: &Path) -> anyhow::Result<Record> {
    let file = folder.join(FILE);
    let wrong = |what: String| WrongInput(format!("{}: {what}", file.display()));
    let text = std::fs::read_to_string(&file).map_err(|e| wrong(e.to_string()))?;
    let record: Record = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    if record.schema != SCHEMA {
        return Err(wrong(format!(
            "has layout {}; this narrows reads {SCHEMA}",
            record.schema
        ))
        .into());
    }
    if record
        .runs
        .iter()
        .any(|r| r.folder.contains('/') || r.folder.starts_with('.'))
    {
        return Err(wrong("names a folder outside its own".into()).into());
    }
    Ok(record)
}
