//! Which GPU entry points and lock functions an object can call.
//!
//! Two kinds of evidence: a name that is imported, and a name that stands as a string in the
//! object's constants, ready for `dlsym`, `cuGetProcAddress`, `vkGetInstanceProcAddr`. A string
//! alone does not prove a call, so the two are kept apart. Calls through tables of pointers that
//! an object gets in another way are not seen.
//!
//! In macOS files, Objective-C selectors are read too: those that the object sends
//! (`__objc_selrefs`) and, where it asks for selectors by name (`sel_registerName`), those among
//! its strings. arm64 code is searched for calls of the linker's stubs, which gives the number of
//! places that call a function or send a message.

mod carried;
mod macho;
mod names;
mod sites;
mod strings;

pub use carried::Carried;
pub use names::Api;

use crate::{Error, file};
use names::MAX_NAME;
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What one object can call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Functions that the dynamic linker binds.
    pub imported: BTreeSet<String>,
    /// Names among the constants that are not also imported.
    pub by_string: BTreeSet<String>,
    /// Functions of these interfaces that the object itself offers.
    pub offered: BTreeSet<String>,
    /// Libraries that the constants name (`libcuda.so.1`), which it may open.
    pub opens: BTreeSet<String>,
    /// The object has no symbol table at all, so imports are unknown (a packed or broken file).
    pub no_symbols: bool,
    /// Objective-C selectors that a macOS object sends, of any class.
    pub selectors: BTreeMap<String, Selector>,
    /// Places in a macOS object's code that call an imported function; empty where not counted.
    pub call_sites: BTreeMap<String, u64>,
    /// It is a macOS file, so that names mean macOS's functions.
    pub mach: bool,
}

/// How an object sends a selector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Places in the code that send it through the linker's stubs; `None`: not counted (another
    /// processor, or an older linker that made none).
    pub sites: Option<u64>,
    /// It stands as a string only, for `sel_registerName`.
    pub by_string: bool,
}

/// Reads what the object at `path` can call. Memory is bounded by the tables of names, not by
/// the size of its constants.
pub fn read(path: &Path) -> Result<Calls, Error> {
    let mut calls = Calls::default();
    let (ranges, code) = file::with_part(path, |object, start| {
        calls.mach = object.format() == object::BinaryFormat::MachO;
        tables(object, &mut calls).map_err(|error| error.to_string())?;
        let code = match object {
            object::File::MachO64(mach) => Some(macho::read(mach, start, &mut calls)?),
            _ => None,
        };
        Ok::<_, String>((constant_ranges(object, start), code))
    })?;
    let registers = code.as_ref().is_some_and(|code| code.registers_selectors);
    for (start, size) in ranges {
        strings::scan(path, start, size, |text| {
            if is_library(text) {
                calls.opens.insert(text.to_owned());
            } else if registers && Api::of_selector(text).is_some() {
                let by_string = Selector {
                    sites: None,
                    by_string: true,
                };
                calls.selectors.entry(text.to_owned()).or_insert(by_string);
            } else if is_gpu(text, calls.mach)
                && !calls.imported.contains(text)
                && !calls.offered.contains(text)
            {
                calls.by_string.insert(text.to_owned());
            }
        })?;
    }
    if let Some(code) = code {
        sites::count(path, &code, &mut calls)?;
    }
    Ok(calls)
}

fn tables(object: &file::Parsed<'_>, calls: &mut Calls) -> object::read::Result<()> {
    let mut any = false;
    for symbol in object.dynamic_symbols().chain(object.symbols()) {
        any = true;
        let bytes = symbol.name_bytes()?;
        let name = String::from_utf8_lossy(bytes);
        let name = name.split('@').next().unwrap_or_default();
        let name = if object.format() == object::BinaryFormat::MachO {
            name.strip_prefix('_').unwrap_or(name)
        } else {
            name
        };
        if Api::of_function(name, calls.mach).is_none() {
            continue;
        }
        if symbol.is_undefined() {
            calls.imported.insert(name.to_owned());
        } else if symbol.is_global() && symbol.kind() == object::SymbolKind::Text {
            calls.offered.insert(name.to_owned());
        }
    }
    calls.no_symbols = !any;
    Ok(())
}

/// Names of locks and system calls are words that any text may hold; only names of GPU functions
/// count.
fn is_gpu(text: &str, mach: bool) -> bool {
    !matches!(
        Api::of_function(text, mach),
        None | Some(Api::Locks | Api::Kernel)
    )
}

/// GPU libraries that are opened by name.
fn is_library(text: &str) -> bool {
    let heads = [
        "libcuda.so",
        "libcudart.so",
        "libvulkan.so",
        "libOpenCL.so",
        "libamdhip64.so",
        "libhsa-runtime64.so",
        "libze_loader.so",
        "libnvidia-ml.so",
        "libMoltenVK",
    ];
    text.len() < MAX_NAME && heads.iter().any(|head| text.starts_with(head))
}

/// Where constants are in the file, of which the object begins at byte `start`.
fn constant_ranges(object: &file::Parsed<'_>, start: u64) -> Vec<(u64, u64)> {
    let constant = |section: &object::Section<'_, '_, file::Bytes<'_>>| {
        matches!(
            section.kind(),
            SectionKind::ReadOnlyData
                | SectionKind::ReadOnlyString
                | SectionKind::ReadOnlyDataWithRel
                | SectionKind::Data
        )
    };
    object
        .sections()
        .filter(constant)
        .filter_map(|section| section.file_range())
        .map(|(at, size)| (start + at, size))
        .collect()
}

#[cfg(test)]
mod tests;
