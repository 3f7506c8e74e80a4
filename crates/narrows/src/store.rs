//! Results of `tune` on this machine, one file per device, driver, work and goal.
//!
//! The folder is the user's ($XDG_DATA_HOME/narrows/results): files that are damaged or were made
//! by somebody else are told and left alone, and nothing that goes wrong here costs a result.

mod advice;

pub(crate) use advice::measured;

use narrows_tune::result::TuneResult;
use narrows_tune::samples::Subject;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Version of a file's layout.
const SCHEMA: &str = "narrows-stored/1";
/// No file of ours is larger; another one is not read into memory.
const LARGEST: u64 = 16 << 20;

/// What a result holds for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) backend: String,
    pub(crate) device: String,
    pub(crate) driver: String,
    pub(crate) api_version: String,
    pub(crate) work: String,
    pub(crate) goal: String,
    pub(crate) cpu: Option<String>,
    pub(crate) cores: u32,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    schema: String,
    pub(crate) key: Key,
    /// Where the samples were written.
    pub(crate) samples: Option<PathBuf>,
    pub(crate) result: TuneResult,
}

/// A file of the folder.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its name without the ending: what `show` and `rm` take.
    pub(crate) name: String,
    /// What it holds, or why it cannot be used.
    pub(crate) stored: Result<Box<Stored>, String>,
}

/// The folder; `None`: there is neither XDG_DATA_HOME nor HOME.
pub(crate) fn folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    Some(data?.join("narrows/results"))
}

/// Keeps a search's result, in place of an older one of the same key. `None`: it is not one to keep
/// (a program's, or nothing was measured in fresh pairs).
pub(crate) fn save(result: &TuneResult, samples: &Path) -> anyhow::Result<Option<String>> {
    let Some(key) = key(result) else {
        return Ok(None);
    };
    let Some(folder) = folder() else {
        anyhow::bail!("neither XDG_DATA_HOME nor HOME names a folder");
    };
    std::fs::create_dir_all(&folder)?;
    let name = name(&key);
    let stored = Stored {
        schema: SCHEMA.into(),
        key,
        samples: std::path::absolute(samples).ok(),
        result: result.clone(),
    };
    // Whole or not at all: another narrows may read it now.
    let new = folder.join(format!(".{name}.{}", std::process::id()));
    std::fs::write(&new, serde_json::to_string_pretty(&stored)? + "\n")?;
    std::fs::rename(&new, file(&folder, &name))?;
    Ok(Some(name))
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

fn key(result: &TuneResult) -> Option<Key> {
    let Subject::Device { device, work, .. } = &result.subject else {
        return None;
    };
    let chosen = result.chosen.as_ref()?;
    if chosen.gain.is_none() && !chosen.is_naive {
        return None;
    }
    Some(Key {
        backend: device.backend.clone(),
        device: device.name.clone(),
        driver: device.driver.clone(),
        api_version: device.api_version.clone(),
        work: work.clone(),
        goal: result.goal.to_string(),
        cpu: result.environment.cpu.clone(),
        cores: result.environment.cores,
    })
}

/// `vulkan-llvmpipe-noop-throughput-0123abcd`: readable, and another one for another key.
fn name(key: &Key) -> String {
    let all = serde_json::to_string(key).unwrap_or_default();
    // FNV-1a (Fowler, Noll, Vo): the same in every version and on every machine.
    let hash = all.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let words: Vec<&str> = [&key.backend, &key.device, &key.work, &key.goal]
        .into_iter()
        .flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric()))
        .filter(|word| !word.is_empty())
        .take(7)
        .collect();
    format!("{}-{hash:08x}", words.join("-").to_lowercase())
}

/// All files, by name.
pub(crate) fn list() -> Vec<Entry> {
    let Some(folder) = folder() else {
        return Vec::new();
    };
    let Ok(files) = std::fs::read_dir(&folder) else {
        return Vec::new();
    };
    let mut entries: Vec<Entry> = files
        .filter_map(|file| {
            let path = file.ok()?.path();
            let name = path.file_name()?.to_str()?.strip_suffix(".json")?;
            (!name.starts_with('.')).then(|| Entry {
                name: name.to_owned(),
                stored: read(&path).map(Box::new),
            })
        })
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

/// Entries that can be used.
pub(crate) fn good() -> Vec<Stored> {
    let all = list().into_iter();
    all.filter_map(|entry| entry.stored.ok())
        .map(|stored| *stored)
        .collect()
}

fn read(path: &Path) -> Result<Stored, String> {
    let failed = |what: &str, why: String| format!("{what} ({why})");
    let open = std::fs::File::open(path).map_err(|e| failed("cannot be read", e.to_string()))?;
    let is_file = open
        .metadata()
        .is_ok_and(|m| m.is_file() && m.len() <= LARGEST);
    if !is_file {
        return Err("is no result of tune (not a file, or too large)".into());
    }
    let mut text = String::new();
    open.take(LARGEST)
        .read_to_string(&mut text)
        .map_err(|e| failed("cannot be read", e.to_string()))?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| failed("is damaged", e.to_string()))?;
    match value.get("schema").and_then(|s| s.as_str()) {
        Some(SCHEMA) => {
            serde_json::from_value(value).map_err(|e| failed("is damaged", e.to_string()))
        }
        Some(other) => Err(format!("has layout {other}; this narrows reads {SCHEMA}")),
        None => Err("is no result of tune".into()),
    }
}

/// Removes one file by its name.
pub(crate) fn remove(name: &str) -> Result<(), String> {
    let known = list().into_iter().any(|entry| entry.name == name);
    let Some(folder) = folder().filter(|_| known) else {
        return Err(format!(
            "no result '{name}'; narrows results list names them"
        ));
    };
    std::fs::remove_file(file(&folder, name)).map_err(|e| format!("{name}: {e}"))
}
