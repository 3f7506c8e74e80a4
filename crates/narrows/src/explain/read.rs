//! From trace folders to an explanation.

use super::scale;
use crate::failure::WrongInput;
use crate::recorded::{self, Recorded};
use narrows_model::explain::causal::Slope;
use narrows_model::explain::observe::{Observed, Source, observe};
use narrows_model::explain::profile::Profile;
use narrows_model::explain::result::{Explanation, Input, Machine, explain};
use narrows_model::trace::{Summary, wanted};
use std::path::Path;

/// All runs of one program, read.
pub(crate) struct Runs {
    /// One per run.
    pub(crate) profiles: Vec<Profile>,
    /// Tables of one run at the largest N.
    summary: Summary,
    /// The machine of that run, as it was recorded.
    machine: Machine,
    command: Option<Vec<String>>,
}

impl Runs {
    /// Ops of the whole run that the tables are from; `None`: it did none.
    pub(crate) fn table_ops(&self) -> Option<u64> {
        let ops = self.summary.threads.iter().map(|thread| thread.ops).sum();
        (ops > 0).then_some(ops)
    }
}

/// Reads a trace folder or a folder of `--scale`.
pub(crate) fn read(folder: &Path, layers: Option<&Path>) -> anyhow::Result<Runs> {
    if !scale::is_scale(folder) {
        let recorded = recorded::open(folder, layers)?;
        let observed = watch(&recorded);
        let summary = recorded.summary();
        return Ok(Runs {
            profiles: vec![observed.profile],
            summary,
            machine: machine(&recorded),
            command: None,
        });
    }
    let record = scale::read(folder)?;
    let most = record.runs.iter().map(|r| r.n).max();
    let (mut profiles, mut tables) = (Vec::new(), None);
    for run in &record.runs {
        let recorded = recorded::open(&folder.join(&run.folder), layers)?;
        let mut profile = watch(&recorded).profile;
        (profile.n, profile.repeat) = (Some(run.n), run.repeat);
        profiles.push(profile);
        if Some(run.n) == most && tables.is_none() {
            tables = Some((recorded.summary(), machine(&recorded)));
        }
    }
    let Some((summary, machine)) = tables else {
        return Err(WrongInput(format!("{}: holds no run", folder.display())).into());
    };
    Ok(Runs {
        profiles,
        summary,
        machine,
        command: Some(record.command),
    })
}

/// Where the trace was made, which need not be where it is read.
fn machine(recorded: &Recorded) -> Machine {
    let run = recorded.run.as_ref();
    Machine {
        cores: run.and_then(|run| run.cores),
        cpu: run.and_then(|run| run.cpu.clone()),
        os: run.and_then(|run| run.os.clone()),
    }
}

/// The profile of one run's folder.
pub(crate) fn profile(folder: &Path) -> anyhow::Result<Profile> {
    Ok(watch(&recorded::open(folder, None)?).profile)
}

/// The profile of one opened trace, and where its terms lie.
pub(super) fn watch(recorded: &Recorded) -> Observed {
    let places = recorded::places(&recorded.recording, &wanted(&recorded.recording));
    observe(Source {
        trace: &recorded.trace,
        recording: &recorded.recording,
        rules: &recorded.rules,
        places: &places,
        cores: recorded.run.as_ref().and_then(|run| run.cores),
    })
}

/// The explanation of `runs`.
pub(crate) fn explanation(runs: &Runs, slopes: Option<&[Slope]>) -> Explanation {
    explain(&Input {
        profiles: &runs.profiles,
        slopes,
        summary: &runs.summary,
        machine: runs.machine.clone(),
        command: runs.command.clone(),
    })
}
