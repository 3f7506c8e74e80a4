//! `narrows audit`: what a program can call and what the probe would see of it.

use crate::audit::{self, audit_text};
use crate::failure::WrongInput;
use crate::output;
use narrows_model::layers::Rules;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `audit`.
#[derive(clap::Args)]
#[command(after_help = "Example: narrows audit ./app\n\n\
    Nothing is run: names are read from the files of the program and its libraries.")]
pub(crate) struct Args {
    /// A program, a library, or the number of a running process
    #[arg(value_name = "BINARY|PID")]
    target: PathBuf,
    /// Rules that put objects into layers, before the built-in ones
    #[arg(long, value_name = "FILE")]
    layers: Option<PathBuf>,
    /// Print the audit as JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

/// Runs `audit`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let rules = rules(args.layers.as_deref())?;
    let found = match process(&args.target) {
        Some(pid) => audit::of_process(pid, &rules).map_err(input)?,
        None => audit::of_file(&locate(&args.target), &rules).map_err(input)?,
    };
    if args.json {
        output::print(&serde_json::to_string_pretty(&found)?)?;
    } else {
        output::print(&audit_text(&found))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The built-in rules, behind those of `file` if one is given.
pub(super) fn rules(file: Option<&Path>) -> anyhow::Result<Rules> {
    let Some(file) = file else {
        return Rules::built_in().map_err(anyhow::Error::from);
    };
    let (name, text) = super::trace::read_rules(file)?;
    Rules::with_file(&name, &text).map_err(WrongInput::from_error)
}

fn input(error: anyhow::Error) -> anyhow::Error {
    WrongInput::from_error(format!("{error:#}"))
}

/// A number that is no file's name is a process.
pub(super) fn process(target: &Path) -> Option<u32> {
    let number = target.to_str()?.parse().ok()?;
    (!target.exists()).then_some(number)
}

/// A bare name that is no file here is looked for in `PATH`, as a shell would.
fn locate(target: &Path) -> PathBuf {
    if target.exists() || target.components().count() > 1 {
        return target.to_owned();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(target));
    found
        .into_iter()
        .find(|file| file.is_file())
        .unwrap_or_else(|| target.to_owned())
}
