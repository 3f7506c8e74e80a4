//! What a macOS library is, needs, exports and interposes, one fact a line, for
//! `scripts/check-macos-library`:
//! `kind ARCHITECTURE dylib`, `name INSTALL-NAME`, `needs LIBRARY [weak]`, `exports SYMBOL`,
//! `interposes SYMBOL`, and `unbound ADDRESS` for a row of that table that stands for nothing.
#![forbid(unsafe_code)]

use object::read::macho::{Fixup, LoadCommandVariant, MachOFile64, Section as _};
use object::{Endianness, Object, ObjectSection, ObjectSegment, macho};
use std::collections::BTreeMap;

type File<'a> = MachOFile64<'a, Endianness>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: mach_library FILE")?;
    let data = std::fs::read(path)?;
    let file = File::parse(&*data)?;
    let kind = match file.macho_header().filetype.get(file.endian()) {
        macho::MH_DYLIB => "dylib",
        _ => "other",
    };
    println!(
        "kind {} {kind}",
        format!("{:?}", file.architecture()).to_lowercase()
    );
    commands(&file)?;
    for export in file.exports()? {
        let export = export?;
        if let object::read::NameOrOrdinal::Name(name) = export.name() {
            println!("exports {}", plain(name));
        }
    }
    interposed(&file, &data)?;
    Ok(())
}

fn plain(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.strip_prefix('_').unwrap_or(&name).to_owned()
}

fn commands(file: &File<'_>) -> object::read::Result<()> {
    let endian = file.endian();
    let mut commands = file.macho_load_commands()?;
    while let Some(command) = commands.next()? {
        let weak = if command.cmd() == macho::LC_LOAD_WEAK_DYLIB {
            " weak"
        } else {
            ""
        };
        match command.variant()? {
            LoadCommandVariant::Dylib(dylib) => {
                let name = command.string(endian, dylib.dylib.name)?;
                println!("needs {}{weak}", String::from_utf8_lossy(name));
            }
            LoadCommandVariant::IdDylib(dylib) => {
                let name = command.string(endian, dylib.dylib.name)?;
                println!("name {}", String::from_utf8_lossy(name));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Pairs of pointers: ours, which the linker knows, and theirs, which the dynamic linker binds.
fn interposed(file: &File<'_>, data: &[u8]) -> object::read::Result<()> {
    let bound = bound(file, data)?;
    let endian = file.endian();
    for section in file.sections() {
        let raw = section.macho_section();
        if raw.flags(endian).typ() != macho::S_INTERPOSING {
            continue;
        }
        if section.size() == 0 || section.size() % 16 != 0 {
            println!("unbound {:#x}", section.address());
        }
        for row in (section.address()..section.address() + section.size()).step_by(16) {
            let ours = bound.get(&row).map(String::as_str);
            match bound.get(&(row + 8)) {
                Some(theirs) if ours == Some("") && !theirs.is_empty() => {
                    println!("interposes {theirs}");
                }
                _ => println!("unbound {row:#x}"),
            }
        }
    }
    Ok(())
}

/// Addresses that the dynamic linker writes to: the symbol they are bound to, empty where they only
/// move with the library.
fn bound(file: &File<'_>, data: &[u8]) -> object::read::Result<BTreeMap<u64, String>> {
    let endian = file.endian();
    let segments: Vec<u64> = file.segments().map(|segment| segment.address()).collect();
    let at = |index: u8, offset: u64| {
        let start = segments.get(usize::from(index)).copied();
        start.unwrap_or(0) + offset
    };
    let mut all = BTreeMap::new();
    let mut commands = file.macho_load_commands()?;
    while let Some(command) = commands.next()? {
        if let Some(info) = command.dyld_info()? {
            let mut rebases = info.rebases(endian, data, 8)?;
            while let Some(rebase) = rebases.next()? {
                let place = at(rebase.segment_index, rebase.segment_offset);
                all.insert(place, String::new());
            }
            let mut binds = info.binds(endian, data, 8)?;
            while let Some(bind) = binds.next()? {
                let place = at(bind.segment_index, bind.segment_offset);
                all.insert(place, plain(bind.symbol));
            }
        }
        if let Some(fixups) = command.dyld_chained_fixups()? {
            chained(file, data, fixups, &mut all)?;
        }
    }
    Ok(all)
}

fn chained(
    file: &File<'_>,
    data: &[u8],
    fixups: &macho::LinkeditDataCommand<Endianness>,
    all: &mut BTreeMap<u64, String>,
) -> object::read::Result<()> {
    let endian = file.endian();
    let fixups = fixups.chained_fixups(endian, data)?;
    let mut names = Vec::new();
    let mut imports = fixups.imports(endian)?;
    while let Some(import) = imports.next()? {
        names.push(plain(import.name));
    }
    let base = file.relative_address_base();
    let mut starts = fixups.segments(endian)?;
    while let Some(start) = starts.next()? {
        let Some(segment) = file.segments().nth(start.index() as usize) else {
            continue;
        };
        let mut chain = start.fixups(endian, base, segment.data()?);
        while let Some((offset, fixup)) = chain.next()? {
            let name = match fixup {
                Fixup::Bind(bind) => names.get(bind.ordinal as usize).cloned(),
                _ => Some(String::new()),
            };
            all.insert(segment.address() + offset, name.unwrap_or_default());
        }
    }
    Ok(())
}
