//! Names for addresses inside one object: the function whose extent holds the address.
//!
//! An address outside every sized function gets no name: the nearest exported symbol of a
//! stripped library is usually a stranger. Symbols come from the file itself or, by build id or
//! debug link, from `/usr/lib/debug`. A file that changed since it was loaded gives no names.

use crate::file::{self, Bytes, Parsed};
use crate::{Error, demangle};
use object::{Object, ObjectSection, ObjectSymbol, SymbolIndex, SymbolKind};
use std::path::{Path, PathBuf};

/// A function, and how far behind its start an address lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The function, readable ([`demangle`]).
    pub function: String,
    /// Distance from the function's start in bytes.
    pub offset: u64,
}

/// A function's extent, and where its name is.
struct Extent {
    start: u64,
    /// First address behind the function; unsized functions reach to the next symbol.
    end: u64,
    dynamic: bool,
    index: SymbolIndex,
}

/// Names the `addresses` (as the file counts them: load bias removed) of the object at `path`.
///
/// With `build_id`, a file that has another one is [`Error::Changed`], unless separate debug
/// symbols of that id are installed.
pub fn name(
    path: &Path,
    build_id: Option<&[u8]>,
    addresses: &[u64],
) -> Result<Vec<Option<Name>>, Error> {
    let own = own_names(path, build_id, addresses);
    if matches!(&own, Ok((names, _)) if names.iter().all(Option::is_some)) {
        return own.map(|(names, _)| names);
    }
    let link = own.as_ref().ok().and_then(|(_, link)| link.clone());
    let Some(extra) = debug_file(path, build_id, link.as_deref()) else {
        return own.map(|(names, _)| names);
    };
    let Ok(more) = file::with_object(&extra, |object| names_in(object, addresses)) else {
        return own.map(|(names, _)| names);
    };
    let Ok((names, _)) = own else { return Ok(more) };
    Ok(names
        .into_iter()
        .zip(more)
        .map(|(own, extra)| own.or(extra))
        .collect())
}

type Own = (Vec<Option<Name>>, Option<String>);

fn own_names(path: &Path, build_id: Option<&[u8]>, addresses: &[u64]) -> Result<Own, Error> {
    if let Some(expected) = build_id {
        let found = read_build_id(path)?;
        if found.as_deref() != Some(expected) {
            let found = hex(found.as_deref().unwrap_or_default());
            return Err(Error::Changed {
                path: path.into(),
                found,
                expected: hex(expected),
            });
        }
    }
    file::with_object(path, |object| {
        let link = object.gnu_debuglink().ok().flatten();
        let link = link.map(|(name, _)| String::from_utf8_lossy(name).into_owned());
        Ok((names_in(object, addresses)?, link))
    })
}

/// The GNU build id or the Mach-O UUID of the file at `path`.
pub fn read_build_id(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    file::with_object(path, |object| {
        if let Some(id) = object.build_id()? {
            return Ok(Some(id.to_vec()));
        }
        Ok(object.mach_uuid()?.map(|uuid| uuid.to_vec()))
    })
}

/// Separate debug symbols, by build id first and by the object's debug link second.
fn debug_file(path: &Path, build_id: Option<&[u8]>, link: Option<&str>) -> Option<PathBuf> {
    let root = Path::new("/usr/lib/debug");
    let by_id = build_id.filter(|id| id.len() > 2).map(|id| {
        let (head, tail) = (hex(&id[..1]), hex(&id[1..]));
        root.join(".build-id")
            .join(head)
            .join(format!("{tail}.debug"))
    });
    if let Some(found) = by_id.filter(|file| file.is_file()) {
        return Some(found);
    }
    let folder = path.parent()?;
    let link = link.filter(|link| !link.contains('/'))?;
    let under_root = root.join(folder.strip_prefix("/").ok()?).join(link);
    let beside = [
        folder.join(link),
        folder.join(".debug").join(link),
        under_root,
    ];
    let found = beside
        .into_iter()
        .find(|file| file != path && file.is_file())?;
    // The link's checksum is not compared; a build id is, where the object has one.
    match build_id {
        Some(id) => (read_build_id(&found).ok()?.as_deref() == Some(id)).then_some(found),
        None => Some(found),
    }
}

fn names_in(object: &Parsed<'_>, addresses: &[u64]) -> object::read::Result<Vec<Option<Name>>> {
    let extents = extents(object);
    addresses
        .iter()
        .map(|&address| name_one(object, &extents, address))
        .collect()
}

fn name_one(
    object: &Parsed<'_>,
    extents: &[Extent],
    address: u64,
) -> object::read::Result<Option<Name>> {
    let behind = extents.partition_point(|extent| extent.start <= address);
    let Some(extent) = extents[..behind]
        .last()
        .filter(|extent| address < extent.end)
    else {
        return Ok(None);
    };
    let table = if extent.dynamic {
        object.dynamic_symbol_table()
    } else {
        object.symbol_table()
    };
    let Some(table) = table else { return Ok(None) };
    let symbol = object::ObjectSymbolTable::symbol_by_index(&table, extent.index)?;
    let function = demangle(&String::from_utf8_lossy(symbol.name_bytes()?));
    Ok(Some(Name {
        function,
        offset: address - extent.start,
    }))
}

/// Extents of all functions, by start; of several at one start the widest global one stays.
fn extents(object: &Parsed<'_>) -> Vec<Extent> {
    let mut found: Vec<(u64, u64, bool, Extent)> = Vec::new();
    let all = object.symbols().map(|symbol| (symbol, false));
    for (symbol, dynamic) in all.chain(object.dynamic_symbols().map(|symbol| (symbol, true))) {
        let code = matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown);
        if !code || !symbol.is_definition() || !in_code(object, &symbol) {
            continue;
        }
        let (start, size) = (symbol.address(), symbol.size());
        let extent = Extent {
            start,
            end: start.saturating_add(size),
            dynamic,
            index: symbol.index(),
        };
        found.push((start, u64::MAX - size, symbol.is_local(), extent));
    }
    found.sort_by_key(|&(start, size, local, ref extent)| (start, size, local, extent.dynamic));
    found.dedup_by_key(|&mut (start, ..)| start);
    let mut extents: Vec<Extent> = found.into_iter().map(|(.., extent)| extent).collect();
    close_unsized(object, &mut extents);
    extents
}

fn in_code<'a>(object: &Parsed<'a>, symbol: &object::Symbol<'a, '_, Bytes<'a>>) -> bool {
    // An ELF function needs no second look; Mach-O marks code by its section alone.
    if object.format() == object::BinaryFormat::Elf {
        return symbol.kind() == SymbolKind::Text;
    }
    let section = symbol
        .section_index()
        .and_then(|index| object.section_by_index(index).ok());
    section.is_some_and(|section| section.kind() == object::SectionKind::Text)
}

/// A function without a size (assembly, all of Mach-O) ends at the next one or with its section.
fn close_unsized(object: &Parsed<'_>, extents: &mut [Extent]) {
    let sections: Vec<(u64, u64)> = object
        .sections()
        .filter(|section| section.kind() == object::SectionKind::Text)
        .map(|section| {
            (
                section.address(),
                section.address().saturating_add(section.size()),
            )
        })
        .collect();
    let mut next = u64::MAX;
    for extent in extents.iter_mut().rev() {
        if extent.end == extent.start {
            let holds = |&&(start, end): &&(u64, u64)| start <= extent.start && extent.start < end;
            let section_end = sections
                .iter()
                .find(holds)
                .map_or(extent.start, |&(_, end)| end);
            extent.end = next.min(section_end);
        }
        next = extent.start;
    }
}

/// Bytes as lower-case hex, as build ids are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
