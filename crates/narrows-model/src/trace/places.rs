//! From code addresses to objects: which module an address lay in.

use super::{Module, ProcessRecord, Recording};
use narrows_trace::{CodeAddr, Nanos};
use std::collections::{BTreeSet, HashMap};

/// What an address is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The shared object's path; `None`: in no known object.
    pub object: Option<String>,
    /// The address as the object counts it, or the address itself outside any object.
    pub offset: u64,
    /// The function.
    pub symbol: Option<String>,
    /// Other objects that lay at the same address at other times.
    pub ambiguous: bool,
}

/// Names of code addresses, per process (its index in [`Recording::processes`]).
#[derive(Clone, Debug, Default)]
pub struct Places {
    known: HashMap<(usize, CodeAddr), Place>,
}

impl Places {
    /// Says what `address` of process number `process` is.
    pub fn insert(&mut self, process: usize, address: CodeAddr, place: Place) {
        self.known.insert((process, address), place);
    }

    /// What `address` is, from the names given or else from the module map alone.
    pub fn get(&self, process: usize, record: &ProcessRecord, address: CodeAddr) -> Place {
        let known = self.known.get(&(process, address));
        known
            .cloned()
            .unwrap_or_else(|| plain(&record.modules, address))
    }
}

/// The modules that `address` lay in, latest first; only those mapped at `at` if that is given.
pub fn modules_at(modules: &[Module], address: CodeAddr, at: Option<Nanos>) -> Vec<&Module> {
    let mapped = |module: &&Module| {
        let time = at.is_none_or(|at| {
            module.loaded <= at && module.unloaded.is_none_or(|unloaded| at < unloaded)
        });
        module.base <= address && address < module.end && time
    };
    let mut found: Vec<&Module> = modules.iter().filter(mapped).collect();
    found.sort_by_key(|module| std::cmp::Reverse(module.loaded));
    found
}

/// The addresses of the recording's tables, by process: what a namer is asked for.
pub fn wanted(recording: &Recording) -> Vec<BTreeSet<CodeAddr>> {
    let of = |process: &ProcessRecord| {
        let threads = process.threads.iter();
        threads
            .flat_map(|thread| thread.sites.iter().map(|site| site.site))
            .collect()
    };
    recording.processes.iter().map(of).collect()
}

/// Object and offset, without a symbol. A return address may lie one past its function's end and
/// so one past its object's, hence the step back.
fn plain(modules: &[Module], address: CodeAddr) -> Place {
    let inside = CodeAddr(address.0.saturating_sub(1));
    let found = modules_at(modules, inside, None);
    let Some(module) = found.first() else {
        return Place {
            offset: address.0,
            ..Place::default()
        };
    };
    Place {
        object: Some(module.path.clone()),
        offset: address.0.wrapping_sub(module.bias),
        symbol: None,
        ambiguous: found.iter().any(|other| other.path != module.path),
    }
}
