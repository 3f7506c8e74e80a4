//! What the reports show beside the explanation: the timeline of one run, the objects with their
//! build ids, and the causal test's answers as an earlier command kept them.

use super::scale;
use crate::recorded;
use anyhow::Context;
use narrows_model::explain::causal::Slope;
use narrows_model::explain::observe::{Source, timeline};
use narrows_model::explain::timeline::Timeline;
use narrows_model::trace::{Recording, wanted};
use narrows_report::Object;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Answers of the causal test, beside the runs.
const SLOPES: &str = "causal.json";

/// Of one run at the largest N.
pub(crate) struct Detail {
    /// What its threads did when.
    pub(crate) timeline: Timeline,
    /// Its shared objects.
    pub(crate) objects: Vec<Object>,
}

/// Reads the run that the tables are from.
pub(crate) fn detail(folder: &Path) -> anyhow::Result<Detail> {
    let recorded = recorded::open(&run_of_tables(folder)?, None)?;
    let places = recorded::places(&recorded.recording, &wanted(&recorded.recording));
    let timeline = timeline(Source {
        trace: &recorded.trace,
        recording: &recorded.recording,
        rules: &recorded.rules,
        places: &places,
        cores: recorded.run.as_ref().and_then(|run| run.cores),
    });
    Ok(Detail {
        timeline,
        objects: objects(&recorded.recording),
    })
}

/// The first run at the largest N, or the folder itself.
fn run_of_tables(folder: &Path) -> anyhow::Result<PathBuf> {
    if !scale::is_scale(folder) {
        return Ok(folder.to_owned());
    }
    let record = scale::read(folder)?;
    let most = record.runs.iter().map(|r| r.n).max();
    let run = record.runs.iter().find(|r| Some(r.n) == most);
    Ok(run.map_or_else(|| folder.to_owned(), |r| folder.join(&r.folder)))
}

/// Every object once, by name.
fn objects(recording: &Recording) -> Vec<Object> {
    let modules = recording.processes.iter().flat_map(|p| &p.modules);
    let found: BTreeMap<(String, String), ()> = modules
        .map(|m| {
            let id = m.build_id.iter().map(|b| format!("{b:02x}")).collect();
            ((m.path.clone(), id), ())
        })
        .collect();
    found
        .into_keys()
        .map(|(path, build_id)| Object {
            path,
            build_id: (!build_id.is_empty()).then_some(build_id),
        })
        .collect()
}

/// Keeps the causal test's answers beside the runs, so that reports made later have them.
pub(crate) fn keep_slopes(folder: &Path, slopes: &[Slope]) -> anyhow::Result<()> {
    let file = folder.join(SLOPES);
    let text = serde_json::to_string_pretty(slopes)?;
    std::fs::write(&file, text).with_context(|| file.display().to_string())
}

/// The answers that were kept; `None`: no causal test was made.
pub(crate) fn kept_slopes(folder: &Path) -> anyhow::Result<Option<Vec<Slope>>> {
    let file = folder.join(SLOPES);
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some(
            serde_json::from_str(&text).with_context(|| file.display().to_string())?,
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}
