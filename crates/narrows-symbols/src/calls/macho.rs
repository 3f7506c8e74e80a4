//! Selectors, imports and stubs of 64-bit Mach-O files.
//!
//! What is read here is small: tables and the linker's stubs. The code itself is searched by
//! [`super::sites`].

use super::{Api, Calls, Selector};
use crate::file::Bytes;
use object::macho::{self, IndirectSymbol, SectionFlags};
use object::read::ReadRef;
use object::read::macho::{LoadCommandVariant, MachOFile64, Nlist as _, Section as _};
use object::{Architecture, Endianness, Object, ObjectSection};
use std::collections::BTreeMap;

type File<'a> = MachOFile64<'a, Endianness, Bytes<'a>>;

/// One row of the linker's stubs: which address stands for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stub {
    /// An imported function; a place among [`Code::names`].
    Function(usize),
    /// A message; a place among [`Code::names`].
    Message(usize),
}

/// What is needed to search an object's code.
#[derive(Debug, Default)]
pub(super) struct Code {
    /// Parts of the file that hold code: byte in the file, size, address.
    pub(super) ranges: Vec<(u64, u64, u64)>,
    /// Stubs by address.
    pub(super) stubs: BTreeMap<u64, Stub>,
    /// Names that stubs stand for.
    pub(super) names: Vec<String>,
    /// The processor is one whose calls can be told apart.
    pub(super) searchable: bool,
    /// The object asks for selectors by name.
    pub(super) registers_selectors: bool,
}

/// One section.
#[derive(Clone, Debug)]
struct Section {
    name: String,
    address: u64,
    size: u64,
    offset: u64,
    flags: SectionFlags,
    /// First entry in the table of indirect symbols, size of a stub.
    reserved: (u32, u32),
}

/// How pointers stand in the file before the dynamic linker has been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pointers {
    Plain,
    /// Chained fixups: the format's number, the object's base address.
    Chained(u16, u64),
}

/// Reads an object that begins at byte `start` of its file; adds imports and selectors to `calls`.
pub(super) fn read(file: &File<'_>, start: u64, calls: &mut Calls) -> Result<Code, String> {
    let sections = sections(file)?;
    let mut code = Code {
        searchable: file.architecture() == Architecture::Aarch64,
        ..Code::default()
    };
    imports(file, calls, &mut code)?;
    let reader = Reader {
        file,
        pointers: pointers(file)?,
        sections: &sections,
    };
    let sent = reader.selectors()?;
    for selector in sent.values() {
        calls
            .selectors
            .insert(selector.clone(), Selector::default());
    }
    for section in &sections {
        if section.flags.typ() == macho::S_SYMBOL_STUBS {
            reader.function_stubs(section, &mut code)?;
        } else if section.name == "__objc_stubs" {
            reader.message_stubs(section, &sent, &mut code)?;
        } else if section.flags.contains(macho::S_ATTR_SOME_INSTRUCTIONS)
            || section.flags.contains(macho::S_ATTR_PURE_INSTRUCTIONS)
        {
            code.ranges
                .push((start + section.offset, section.size, section.address));
        }
    }
    Ok(code)
}

/// All sections; an error where one lies outside the file.
fn sections(file: &File<'_>) -> Result<Vec<Section>, String> {
    let endian = file.endian();
    let size = file.data().len().unwrap_or(0);
    let mut all = Vec::new();
    for section in file.sections() {
        let raw = section.macho_section();
        let (offset, length) = section.file_range().unwrap_or((0, 0));
        let name = String::from_utf8_lossy(raw.name()).into_owned();
        if offset.saturating_add(length) > size {
            return Err(format!(
                "section {name} ends at byte {}, but the file ends at byte {size}: truncated?",
                offset.saturating_add(length)
            ));
        }
        all.push(Section {
            name,
            address: raw.addr(endian),
            size: length,
            offset,
            flags: raw.flags(endian),
            reserved: (raw.reserved1(endian), raw.reserved2(endian)),
        });
    }
    Ok(all)
}

/// Names that the dynamic linker binds, from its own tables: these are there in stripped files too.
fn imports(file: &File<'_>, calls: &mut Calls, code: &mut Code) -> Result<(), String> {
    for import in file.imports().map_err(|error| error.to_string())? {
        let import = import.map_err(|error| error.to_string())?;
        let object::read::NameOrOrdinal::Name(name) = import.name() else {
            continue;
        };
        let name = String::from_utf8_lossy(name);
        let name = name.strip_prefix('_').unwrap_or(&name);
        code.registers_selectors |= name == "sel_registerName";
        if Api::of_function(name, true).is_some() {
            calls.imported.insert(name.to_owned());
            calls.no_symbols = false;
        }
    }
    Ok(())
}

fn pointers(file: &File<'_>) -> Result<Pointers, String> {
    let text = |error: object::read::Error| error.to_string();
    let endian = file.endian();
    let base = file.relative_address_base();
    let mut commands = file.macho_load_commands().map_err(text)?;
    while let Some(command) = commands.next().map_err(text)? {
        let Some(fixups) = command.dyld_chained_fixups().map_err(text)? else {
            continue;
        };
        let fixups = fixups.chained_fixups(endian, file.data()).map_err(text)?;
        let mut segments = fixups.segments(endian).map_err(text)?;
        if let Some(segment) = segments.next().map_err(text)? {
            let format = segment.header().pointer_format.get(endian);
            return Ok(Pointers::Chained(format.0, base));
        }
    }
    Ok(Pointers::Plain)
}

impl Pointers {
    /// The address that a pointer in the file stands for; `None`: it is bound to another object.
    fn target(self, value: u64) -> Option<u64> {
        const ARM64E: [u16; 3] = [1, 9, 12];
        let Pointers::Chained(format, base) = self else {
            return Some(value);
        };
        if ARM64E.contains(&format) {
            let (bound, signed) = (value >> 62 & 1 != 0, value >> 63 != 0);
            let target = value & if signed { 0xffff_ffff } else { (1 << 43) - 1 };
            let from_base = signed || format != 1;
            return (!bound).then_some(target + if from_base { base } else { 0 });
        }
        let target = value & 0xf_ffff_ffff;
        // Format 2 holds addresses, format 6 distances from the base.
        (value >> 63 == 0).then_some(target + if format == 6 { base } else { 0 })
    }
}

struct Reader<'a, 'file> {
    file: &'file File<'a>,
    pointers: Pointers,
    sections: &'file [Section],
}

impl<'a> Reader<'a, '_> {
    fn bytes(&self, section: &Section) -> Result<&'a [u8], String> {
        let found = self.file.data().read_bytes_at(section.offset, section.size);
        found.map_err(|()| format!("section {} cannot be read", section.name))
    }

    fn named<'s>(&'s self, name: &'static str) -> impl Iterator<Item = &'s Section> {
        self.sections
            .iter()
            .filter(move |section| section.name == name)
    }

    /// The string at an address, from a section of strings.
    fn string(&self, address: u64) -> Result<Option<String>, String> {
        let holds = |s: &&Section| (s.address..s.address + s.size).contains(&address);
        let Some(section) = self.sections.iter().find(holds) else {
            return Ok(None);
        };
        if section.flags.typ() != macho::S_CSTRING_LITERALS {
            return Ok(None);
        }
        let bytes = self.bytes(section)?;
        let from = usize::try_from(address - section.address).unwrap_or(usize::MAX);
        let text = bytes.get(from..).unwrap_or_default();
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(std::str::from_utf8(text).ok().map(str::to_owned))
    }

    /// The selectors that the object refers to, by the address of the reference.
    fn selectors(&self) -> Result<BTreeMap<u64, String>, String> {
        let mut all = BTreeMap::new();
        for section in self.named("__objc_selrefs") {
            for (index, word) in self.bytes(section)?.chunks_exact(8).enumerate() {
                let value = u64::from_le_bytes(word.try_into().unwrap_or_default());
                let target = self.pointers.target(value);
                if let Some(selector) = target.map(|at| self.string(at)).transpose()?.flatten() {
                    all.insert(section.address + index as u64 * 8, selector);
                }
            }
        }
        Ok(all)
    }

    /// `__stubs`: a row per imported function, named by the table of indirect symbols.
    fn function_stubs(&self, section: &Section, code: &mut Code) -> Result<(), String> {
        let text = |error: object::read::Error| error.to_string();
        let endian = self.file.endian();
        let (first, width) = section.reserved;
        let mut commands = self.file.macho_load_commands().map_err(text)?;
        while let Some(command) = commands.next().map_err(text)? {
            let LoadCommandVariant::Dysymtab(table) = command.variant().map_err(text)? else {
                continue;
            };
            let indirect = table
                .indirect_symbols(endian, self.file.data())
                .map_err(text)?;
            let count = section.size.checked_div(u64::from(width)).unwrap_or(0);
            for index in 0..count {
                let entry = usize::try_from(u64::from(first) + index).unwrap_or(usize::MAX);
                let Some(entry) = indirect.get(entry) else {
                    return Err("the table of indirect symbols ends early: truncated?".into());
                };
                if let Some(name) = self.symbol(entry.get(endian))? {
                    let address = section.address + index * u64::from(width);
                    code.stubs.insert(address, Stub::Function(code.names.len()));
                    code.names.push(name);
                }
            }
        }
        Ok(())
    }

    fn symbol(&self, entry: IndirectSymbol) -> Result<Option<String>, String> {
        // The upper bits mark places that stand for nothing with a name.
        let IndirectSymbol(index) = entry;
        if index >> 30 != 0 {
            return Ok(None);
        }
        let symbols = self.file.macho_symbol_table();
        let found = symbols.symbol(object::SymbolIndex(index as usize));
        let symbol = found.map_err(|error| error.to_string())?;
        let name = symbol.name(self.file.endian(), symbols.strings());
        let name = name.map_err(|error| error.to_string())?;
        let name = String::from_utf8_lossy(name);
        Ok(Some(name.strip_prefix('_').unwrap_or(&name).to_owned()))
    }

    /// `__objc_stubs` of arm64: `adrp x1, page; ldr x1, [x1, offset]; ...`, where page and offset
    /// are those of the selector's reference.
    fn message_stubs(
        &self,
        section: &Section,
        sent: &BTreeMap<u64, String>,
        code: &mut Code,
    ) -> Result<(), String> {
        if !code.searchable {
            return Ok(());
        }
        let words: Vec<u32> = self
            .bytes(section)?
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap_or_default()))
            .collect();
        for (index, pair) in words.windows(2).enumerate() {
            let &[adrp, ldr] = pair else { continue };
            let address = section.address + index as u64 * 4;
            if let Some(selector) =
                selector_reference(address, adrp, ldr).and_then(|at| sent.get(&at))
            {
                code.stubs.insert(address, Stub::Message(code.names.len()));
                code.names.push(selector.clone());
            }
        }
        Ok(())
    }
}

/// The address that `adrp x1, ...; ldr x1, [x1, ...]` at `address` loads from.
fn selector_reference(address: u64, adrp: u32, ldr: u32) -> Option<u64> {
    let is_adrp = adrp & 0x9f00_001f == 0x9000_0001;
    let is_ldr = ldr & 0xffc0_03ff == 0xf940_0021;
    if !is_adrp || !is_ldr {
        return None;
    }
    let pages = (adrp >> 5 & 0x7_ffff) << 2 | adrp >> 29 & 3;
    // 21 bits with a sign.
    let pages = i64::from((pages << 11) as i32 >> 11);
    let page = (address & !0xfff).checked_add_signed(pages << 12)?;
    Some(page + u64::from(ldr >> 10 & 0xfff) * 8)
}

#[cfg(test)]
mod tests {
    use super::{Pointers, selector_reference};

    #[test]
    fn a_stub_s_reference() {
        // adrp x1, +1 page; ldr x1, [x1, #0x18]
        assert_eq!(
            selector_reference(0x4004, 0xb000_0001, 0xf940_0c21),
            Some(0x5018)
        );
        // adrp x1, -1 page
        assert_eq!(
            selector_reference(0x4004, 0xf0ff_ffe1, 0xf940_0021),
            Some(0x3000)
        );
        // another register
        assert_eq!(selector_reference(0x4004, 0xb000_0010, 0xf940_0210), None);
    }

    #[test]
    fn pointers_of_each_format() {
        assert_eq!(Pointers::Plain.target(0x1234), Some(0x1234));
        let offset = Pointers::Chained(6, 0x1_0000_0000);
        assert_eq!(offset.target(0x0010_0000_0000_1234), Some(0x1_0000_1234));
        assert_eq!(offset.target(1 << 63), None);
        assert_eq!(Pointers::Chained(2, 0x1000).target(0x1234), Some(0x1234));
        let signed = Pointers::Chained(12, 0x1_0000_0000);
        assert_eq!(signed.target(1 << 63 | 0x44), Some(0x1_0000_0044));
        assert_eq!(signed.target(1 << 62), None);
    }
}
