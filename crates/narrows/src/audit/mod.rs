//! What a program can call, and which of it the probe would see, without running the program.
//!
//! Evidence is static: names that are imported, and names among the constants. What an object
//! reaches through private tables of pointers is not seen; the audit says so.

mod covered;
mod text;

pub(crate) use text::audit_text;

use anyhow::Context;
use covered::Covered;
use narrows_model::layers::{Layer, Placement, Rules};
use narrows_symbols::calls::{self, Api, Calls};
use narrows_symbols::{Image, Libraries, Search};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Version of the JSON.
const SCHEMA: &str = "narrows-audit/1";

/// What a program can call.
#[derive(Debug, Serialize)]
pub(crate) struct Audit {
    /// [`SCHEMA`].
    schema: &'static str,
    /// The file, or the process.
    target: String,
    /// Processor it is for.
    machine: String,
    /// Why the probe cannot be injected; `None`: it can.
    obstacle: Option<String>,
    /// Objects with at least one name of interest, the program first.
    objects: Vec<ObjectRow>,
    /// Objects that were looked at.
    objects_seen: usize,
    /// Sums by interface.
    interfaces: Vec<InterfaceRow>,
    /// Libraries that were not found or could not be read, with the reason.
    missing: Vec<String>,
    /// What this audit cannot see, one line each.
    limits: Vec<String>,
}

/// One object.
#[derive(Debug, Serialize)]
struct ObjectRow {
    path: PathBuf,
    /// `None`: it only passes calls on (libc, the C++ runtime).
    layer: Option<Layer>,
    /// No rule knows the object; `layer` is a guess.
    unknown: bool,
    imported: BTreeSet<String>,
    by_string: BTreeSet<String>,
    /// Functions of GPU interfaces that it offers to others: how many.
    offered: usize,
    /// GPU libraries that it may open by name, with the file that it would get here.
    opens: BTreeMap<String, Option<PathBuf>>,
    no_symbols: bool,
    /// Objective-C selectors that a macOS object sends.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    selectors: BTreeMap<String, SelectorRow>,
    /// Places in its code that call a function, where they can be counted (arm64 macOS).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    call_sites: BTreeMap<String, u64>,
    /// Names mean macOS's functions.
    #[serde(skip)]
    mach: bool,
}

/// One selector of one object.
#[derive(Debug, Serialize)]
struct SelectorRow {
    /// The interface with methods of this name; `None`: another library's.
    interface: Option<&'static str>,
    /// Places in the code that send it; `None`: not counted.
    sites: Option<u64>,
    /// It is only asked for by name (`sel_registerName`).
    by_string: bool,
    /// The probe sees it, where the receiver's class is one that it meets.
    covered: bool,
    #[serde(skip)]
    api: Option<Api>,
}

/// One interface over all objects that use it.
#[derive(Debug, Serialize)]
struct InterfaceRow {
    interface: &'static str,
    callable: usize,
    covered: usize,
    uncovered: Vec<String>,
    /// Layers that call it.
    layers: BTreeSet<Layer>,
    /// Places in the code that call it; `None`: not counted.
    call_sites: Option<u64>,
}

/// Audits the program at `path` and the libraries it is linked with.
pub(crate) fn of_file(path: &Path, rules: &Rules) -> anyhow::Result<Audit> {
    let search = Search::system();
    let found = Libraries::of(path, &search)?;
    let image = &found.objects.first().context("audit: no object")?.1;
    let machine = image.machine.clone();
    let obstacle = crate::launch::obstacle(path, image);
    let (shared, missing): (Vec<_>, Vec<_>) = found
        .missing
        .iter()
        .partition(|(name, _)| in_shared_cache(name));
    let missing = missing
        .iter()
        .map(|(name, needer)| format!("{name}: not found, needed by {}", needer.display()));
    let missing = missing.collect();
    let limits = shared_cache_limit(&shared);
    let paths = found.objects.into_iter().map(|(path, _)| path).collect();
    let target = path.display().to_string();
    Ok(build(
        Subject {
            target,
            machine,
            obstacle,
            paths,
            missing,
            limits,
        },
        rules,
        &search,
    ))
}

/// Libraries of macOS are in one file that holds them all, not where their names say.
fn in_shared_cache(name: &str) -> bool {
    name.starts_with("/System/Library/")
        || name.starts_with("/usr/lib/") && name.ends_with(".dylib")
}

fn shared_cache_limit(shared: &[&(String, PathBuf)]) -> Vec<String> {
    let names: BTreeSet<&str> = shared
        .iter()
        .map(|(name, _)| name.rsplit('/').next().unwrap_or(name))
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    let line = format!(
        "libraries of macOS itself are in its shared cache and are not looked at: {}",
        names.join(", ")
    );
    (!names.is_empty()).then_some(line).into_iter().collect()
}

/// Audits the objects that process `pid` has mapped now.
pub(crate) fn of_process(pid: u32, rules: &Rules) -> anyhow::Result<Audit> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))
        .with_context(|| format!("audit: process {pid} cannot be looked at"))?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for path in maps.lines().filter_map(mapped_code) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let program = paths
        .first()
        .with_context(|| format!("audit: process {pid} maps no program"))?;
    let machine = Image::open(program)
        .map(|image| image.machine)
        .unwrap_or_default();
    let target = format!("process {pid} ({})", program.display());
    let subject = Subject {
        target,
        machine,
        obstacle: None,
        paths,
        missing: Vec::new(),
        limits: Vec::new(),
    };
    Ok(build(subject, rules, &Search::system()))
}

/// The file of an executable mapping.
fn mapped_code(line: &str) -> Option<PathBuf> {
    let mut words = line.split_ascii_whitespace();
    let rights = words.nth(1)?;
    let path = line.find('/').map(|at| &line[at..])?;
    let code = rights.contains('x') && !path.ends_with(" (deleted)");
    code.then(|| PathBuf::from(path))
}

struct Subject {
    target: String,
    machine: String,
    obstacle: Option<String>,
    paths: Vec<PathBuf>,
    missing: Vec<String>,
    limits: Vec<String>,
}

fn build(subject: Subject, rules: &Rules, search: &Search) -> Audit {
    let Subject {
        target,
        machine,
        obstacle,
        paths,
        mut missing,
        limits: more,
    } = subject;
    let covered = Covered::of_probe();
    let mut objects = Vec::new();
    let objects_seen = paths.len();
    for (index, path) in paths.into_iter().enumerate() {
        match calls::read(&path) {
            Ok(calls) => {
                let opens = opens(&calls, search, &machine);
                let mut row = object(path, calls, opens, rules, index == 0);
                for (name, selector) in &mut row.selectors {
                    let known = |api| covered.has(api, name, row.mach);
                    selector.covered = selector.api.is_some_and(known);
                }
                let metal = row
                    .selectors
                    .values()
                    .any(|selector| selector.api.is_some());
                let empty = row.imported.is_empty() && row.by_string.is_empty() && !metal;
                if index == 0 || !empty || row.offered > 0 {
                    objects.push(row);
                }
            }
            Err(error) => missing.push(error.to_string()),
        }
    }
    let mut limits: Vec<String> = LIMITS.iter().map(|line| (*line).to_owned()).collect();
    limits.extend(more);
    limits.extend(covered.fault.clone());
    let interfaces = interfaces(&objects, &covered);
    Audit {
        schema: SCHEMA,
        target,
        machine,
        obstacle,
        objects,
        objects_seen,
        interfaces,
        missing,
        limits,
    }
}

const LIMITS: &[&str] = &[
    "libraries that are opened by name are listed, not followed",
    "private tables (cuGetExportTable), inlined locks, futexes inside libc and bare system calls are not seen",
    "a name among the constants may be unused; an import may never be called",
    "selectors are names: which class receives one is known only when the program runs",
];

fn opens(calls: &Calls, search: &Search, machine: &str) -> BTreeMap<String, Option<PathBuf>> {
    calls
        .opens
        .iter()
        .map(|name| (name.clone(), search.by_name(name, machine)))
        .collect()
}

fn object(
    path: PathBuf,
    calls: Calls,
    opens: BTreeMap<String, Option<PathBuf>>,
    rules: &Rules,
    program: bool,
) -> ObjectRow {
    let (layer, unknown) = match rules.place(&path.display().to_string(), None) {
        Placement::Known(layer) => (Some(layer), false),
        Placement::Caller => (None, false),
        Placement::Unknown => (Some(Layer::App), !program),
    };
    let mach = calls.mach;
    let gpu = |name: &&String| {
        !matches!(
            Api::of_function(name, mach),
            None | Some(Api::Locks | Api::Kernel)
        )
    };
    ObjectRow {
        path,
        layer,
        unknown,
        offered: calls.offered.iter().filter(gpu).count(),
        imported: calls.imported,
        by_string: calls.by_string,
        opens,
        no_symbols: calls.no_symbols,
        selectors: calls.selectors.into_iter().map(selector).collect(),
        call_sites: calls.call_sites,
        mach: calls.mach,
    }
}

/// A row whose coverage is not known yet.
fn selector((name, found): (String, calls::Selector)) -> (String, SelectorRow) {
    let api = Api::of_selector(&name);
    let row = SelectorRow {
        interface: api.map(Api::name),
        sites: found.sites,
        by_string: found.by_string,
        covered: false,
        api,
    };
    (name, row)
}

/// Does the object's use of this interface count? Whoever serves an interface knows all its names:
/// a driver's or a loader's tables are no calls.
fn uses(row: &ObjectRow, api: Api) -> bool {
    let own = matches!(api, Api::Locks | Api::Kernel);
    own || !(row.layer == Some(Layer::Driver)
        || row.layer == Some(Layer::Runtime)
            && matches!(api, Api::Vulkan | Api::OpenCl | Api::LevelZero))
}

fn interfaces(objects: &[ObjectRow], covered: &Covered) -> Vec<InterfaceRow> {
    Api::ALL
        .into_iter()
        .filter_map(|api| interface(api, objects, covered))
        .collect()
}

/// The sums of one interface; `None`: nothing calls it.
fn interface(api: Api, objects: &[ObjectRow], covered: &Covered) -> Option<InterfaceRow> {
    // Each name, and whether the probe sees it.
    let mut names: BTreeMap<&str, bool> = BTreeMap::new();
    let mut layers = BTreeSet::new();
    let mut sites: Option<u64> = None;
    for object in objects.iter().filter(|object| uses(object, api)) {
        let functions = object.imported.iter().chain(&object.by_string);
        let functions = functions
            .filter(|name| Api::of_function(name, object.mach) == Some(api))
            .map(|name| (name.as_str(), covered.has(api, name, object.mach)));
        let selectors = object.selectors.iter();
        let selectors = selectors.filter(|(_, selector)| selector.api == Some(api));
        let sent = selectors.clone().filter_map(|(_, selector)| selector.sites);
        let called = object.call_sites.iter();
        let called = called
            .filter(|(name, _)| Api::of_function(name, object.mach) == Some(api))
            .map(|(_, count)| *count);
        sites = sent.chain(called).fold(sites, |sum, count| {
            Some(sum.unwrap_or(0).saturating_add(count))
        });
        let before = names.len();
        names.extend(functions);
        names.extend(selectors.map(|(name, selector)| (name.as_str(), selector.covered)));
        if names.len() > before {
            layers.extend(object.layer);
        }
    }
    let uncovered = names.iter().filter(|(_, seen)| !**seen);
    let uncovered: Vec<String> = uncovered.map(|(name, _)| (*name).to_owned()).collect();
    (!names.is_empty()).then(|| InterfaceRow {
        interface: api.name(),
        callable: names.len(),
        covered: names.len() - uncovered.len(),
        uncovered,
        layers,
        call_sites: sites,
    })
}

#[cfg(test)]
mod tests {
    use super::mapped_code;
    use std::path::PathBuf;

    #[test]
    fn only_code_of_files_that_exist_is_looked_at() {
        let code = "7f00-7f01 r-xp 00000000 08:01 12   /usr/lib/my lib.so";
        assert_eq!(mapped_code(code), Some(PathBuf::from("/usr/lib/my lib.so")));
        for line in [
            "7f00-7f01 r--p 00000000 08:01 12   /usr/lib/x.so",
            "7f00-7f01 r-xp 00000000 08:01 12   /usr/lib/x.so (deleted)",
            "7f00-7f01 r-xp 00000000 00:00 0    [vdso]",
            "7f00-7f01 r-xp 00000000 00:00 0",
            "",
        ] {
            assert_eq!(mapped_code(line), None, "{line}");
        }
    }
}
