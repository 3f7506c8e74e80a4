//! `narrows results`: what `tune` has found on this machine.

use crate::failure::WrongInput;
use crate::store::{self, Entry};
use serde::Serialize;
use std::process::ExitCode;

/// Version of the JSON of the list.
const SCHEMA: &str = "narrows-results/1";

/// Arguments of `results`.
#[derive(clap::Args)]
#[command(after_help = "Example: narrows results list\n\n\
    narrows tune keeps one result per device, driver, work and goal in $XDG_DATA_HOME/narrows/results\n\
    (~/.local/share/narrows/results); narrows explain uses those of this machine in its advice.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Name what is kept
    List {
        /// Print it as JSON (docs/json.md)
        #[arg(long)]
        json: bool,
    },
    /// Print one result as tune printed it
    Show {
        /// Its name in the list
        name: String,
        /// Print it as JSON (docs/json.md)
        #[arg(long)]
        json: bool,
    },
    /// Remove results
    Rm {
        /// Their names in the list
        #[arg(required = true)]
        names: Vec<String>,
    },
}

#[derive(Serialize)]
struct List {
    schema: &'static str,
    folder: Option<String>,
    results: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    name: String,
    started: Option<String>,
    backend: Option<String>,
    device: Option<String>,
    driver: Option<String>,
    work: Option<String>,
    goal: Option<String>,
    setting: Option<String>,
    gain: Option<f64>,
    unusable: Option<String>,
}

/// Runs `results`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::List { json } => list(json)?,
        Action::Show { name, json } => show(&name, json)?,
        Action::Rm { names } => {
            for name in names {
                store::remove(&name).map_err(WrongInput)?;
                eprintln!("narrows: removed {name}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(entry: Entry) -> Listed {
    let (stored, unusable) = match entry.stored {
        Ok(stored) => (Some(stored), None),
        Err(why) => (None, Some(why)),
    };
    let key = stored.as_ref().map(|s| &s.key);
    let chosen = stored.as_ref().and_then(|s| s.result.chosen.as_ref());
    Listed {
        name: entry.name,
        started: stored.as_ref().map(|s| s.result.started.clone()),
        backend: key.map(|k| k.backend.clone()),
        device: key.map(|k| k.device.clone()),
        driver: key.map(|k| k.driver.clone()),
        work: key.map(|k| k.work.clone()),
        goal: key.map(|k| k.goal.clone()),
        setting: chosen.map(|c| c.setting.words.clone()),
        gain: chosen.and_then(|c| c.gain).map(|g| g.value),
        unusable,
    }
}

fn list(json: bool) -> anyhow::Result<()> {
    let results: Vec<Listed> = store::list().into_iter().map(listed).collect();
    if json {
        let folder = store::folder().map(|f| f.display().to_string());
        let list = List {
            schema: SCHEMA,
            folder,
            results,
        };
        return crate::output::print(&(serde_json::to_string_pretty(&list)? + "\n"));
    }
    if results.is_empty() {
        return crate::output::print("nothing is kept yet: narrows tune keeps what it finds");
    }
    let lines: Vec<String> = results.iter().map(line).collect();
    crate::output::print(&lines.join("\n"))
}

fn line(result: &Listed) -> String {
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    if let Some(why) = &result.unusable {
        return format!(
            "{}\n    {why}; narrows results rm {} removes it",
            result.name, result.name
        );
    }
    let gain = result.gain.map_or("nothing better".into(), |g| {
        format!("{}x", narrows_model::words::significant(g))
    });
    format!(
        "{}\n    {}, {}, {}: {} ({gain} against naive)",
        result.name,
        word(&result.started),
        word(&result.device),
        word(&result.goal),
        word(&result.setting),
    )
}

fn show(name: &str, json: bool) -> anyhow::Result<()> {
    let found = store::list().into_iter().find(|entry| entry.name == name);
    let Some(entry) = found else {
        let why = format!("no result '{name}'; narrows results list names them");
        return Err(WrongInput(why).into());
    };
    let stored = entry
        .stored
        .map_err(|why| WrongInput(format!("{name} {why}")))?;
    super::tune::print(&stored.result, json)
}
