//! A trace folder as the commands use it: the recording, what the launcher wrote, names, summary.
//!
//! The same folder gives the same summary whenever it is read, as long as the program's files are
//! still there to take names from; a file that changed gives no names instead of wrong ones.

use crate::failure::WrongInput;
use narrows_model::layers::Rules;
use narrows_model::trace::run::{self, Run};
use narrows_model::trace::{
    Input, Places, ProcessRecord, Recording, Summary, device_use, modules_at, recording, summarise,
    wanted,
};
use narrows_symbols::names;
use narrows_trace::CodeAddr;
use narrows_trace::reader::Trace;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// An opened trace folder.
pub(crate) struct Recorded {
    /// The files.
    pub(crate) trace: Trace,
    /// The tables.
    pub(crate) recording: Recording,
    /// What the launcher wrote; `None`: the library was injected by hand.
    pub(crate) run: Option<Run>,
    /// Layer rules: those given now, those of the run, the built-in ones.
    pub(crate) rules: Rules,
}

/// Opens `folder`. `layers` is a rules file that goes before the one used at recording.
pub(crate) fn open(folder: &Path, layers: Option<&Path>) -> anyhow::Result<Recorded> {
    let trace = Trace::open(folder).map_err(WrongInput::from_error)?;
    // One pass over the timelines: exact counts of what was made, kept and lost.
    let ledgers: Vec<_> = trace
        .processes
        .iter()
        .map(|process| process.ledgers())
        .collect();
    let mut recording = recording(&trace, &ledgers);
    let run = match read_run(folder) {
        Ok(run) => run,
        Err(problem) => {
            recording.damage.push(problem);
            None
        }
    };
    let rules = rules(run.as_ref(), layers)?;
    Ok(Recorded {
        trace,
        recording,
        run,
        rules,
    })
}

impl Recorded {
    /// The summary, with names for all sites.
    pub(crate) fn summary(&self) -> Summary {
        let places = places(&self.recording, &wanted(&self.recording));
        let summary = summarise(Input {
            recording: &self.recording,
            run: self.run.as_ref(),
            rules: &self.rules,
            places: &places,
        });
        Summary {
            device: device_use(&self.trace),
            ..summary
        }
    }
}

/// An error that the user's input caused.
pub(crate) fn input(error: impl std::fmt::Display) -> anyhow::Error {
    WrongInput::from_error(error)
}

/// Is this the folder of a trace (or of one process of it)?
pub(crate) fn is_trace(path: &Path) -> bool {
    path.is_dir()
}

fn read_run(folder: &Path) -> Result<Option<Run>, String> {
    let file = folder.join(run::FILE);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", run::FILE)),
    };
    let found: Run = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", run::FILE))?;
    if found.schema != run::SCHEMA {
        return Err(format!(
            "{} has layout {}, not {}",
            run::FILE,
            found.schema,
            run::SCHEMA
        ));
    }
    Ok(Some(found))
}

/// The text of the run's rules stands in the folder, so that a report needs no other file.
fn rules(run: Option<&Run>, layers: Option<&Path>) -> anyhow::Result<Rules> {
    if let Some(file) = layers {
        let (name, text) = crate::cmd::trace::read_rules(file)?;
        return Rules::with_file(&name, &text).map_err(WrongInput::from_error);
    }
    match run.and_then(|run| run.rules_name.as_ref().zip(run.rules.as_ref())) {
        Some((name, text)) => Rules::with_file(name, text).map_err(WrongInput::from_error),
        None => Rules::built_in().map_err(anyhow::Error::from),
    }
}

/// An object as it was loaded: its file and its build id.
type Object = (String, Vec<u8>);

/// Names the `addresses` (one set per process): object, offset, function. Each file is read once.
pub(crate) fn places(recording: &Recording, addresses: &[BTreeSet<CodeAddr>]) -> Places {
    let mut asked: BTreeMap<Object, BTreeSet<u64>> = BTreeMap::new();
    let all = || recording.processes.iter().zip(addresses).enumerate();
    for (_, (process, addresses)) in all() {
        for &address in addresses {
            if let Some((object, own)) = object_of(process, address) {
                asked.entry(object).or_default().insert(own);
            }
        }
    }
    let names: HashMap<Object, HashMap<u64, names::Name>> = asked
        .into_iter()
        .map(|(object, asked)| (object.clone(), resolve(&object, &asked)))
        .collect();
    let mut places = Places::default();
    for (index, (process, addresses)) in all() {
        for &address in addresses {
            let mut place = Places::default().get(index, process, address);
            if let Some((object, own)) = object_of(process, address) {
                let name = names.get(&object).and_then(|known| known.get(&own));
                place.symbol = name.map(|name| name.function.clone());
            }
            places.insert(index, address, place);
        }
    }
    places
}

/// The object of a return address, and the address of the call before it as the file counts it: a
/// call may be the last instruction of its function.
fn object_of(process: &ProcessRecord, address: CodeAddr) -> Option<(Object, u64)> {
    let inside = CodeAddr(address.0.checked_sub(1)?);
    let found = modules_at(&process.modules, inside, None);
    let module = found.first()?;
    let object = (module.path.clone(), module.build_id.clone());
    Some((object, inside.0.wrapping_sub(module.bias)))
}

fn resolve((path, build_id): &Object, asked: &BTreeSet<u64>) -> HashMap<u64, names::Name> {
    let addresses: Vec<u64> = asked.iter().copied().collect();
    let build_id = (!build_id.is_empty()).then_some(build_id.as_slice());
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    // No file, no names: an object that was deleted or changed, or the kernel's own page.
    let found = names::name(Path::new(path), build_id, &addresses).unwrap_or_default();
    addresses
        .into_iter()
        .zip(found)
        .filter_map(|(at, name)| Some((at, name?)))
        .collect()
}
