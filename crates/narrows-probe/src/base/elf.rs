//! What a mapped shared object says about itself, read from its own memory.
//!
//! Everything here trusts the object as much as the dynamic linker did when it mapped it.

use core::ffi::CStr;

type Phdr = libc::Elf64_Phdr;
type Sym = libc::Elf64_Sym;

const DT_NULL: u64 = 0;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const DT_VERSYM: u64 = 0x6fff_fff0;
const DT_VERNEED: u64 = 0x6fff_fffe;
const DT_VERNEEDNUM: u64 = 0x6fff_ffff;
const NT_GNU_BUILD_ID: u32 = 3;

/// A mapped shared object: what `dl_iterate_phdr` tells.
#[derive(Clone, Copy)]
pub(crate) struct Image<'a> {
    /// What to add to the file's addresses.
    pub(crate) bias: usize,
    /// Its program headers.
    pub(crate) headers: &'a [Phdr],
}

/// The tables that symbol lookups need.
struct Dynamic {
    symbols: *const Sym,
    names: *const u8,
    gnu_hash: *const u32,
    sysv_hash: *const u32,
    versions: *const u16,
    needs: *const u8,
    need_count: u64,
}

/// A symbol's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Address in this process.
    pub(crate) address: usize,
    /// Bytes.
    pub(crate) size: usize,
}

impl<'a> Image<'a> {
    /// Lowest and one past the highest mapped address.
    pub(crate) fn range(&self) -> Option<(usize, usize)> {
        let mut range: Option<(usize, usize)> = None;
        for header in self.headers.iter().filter(|h| h.p_type == libc::PT_LOAD) {
            let start = self.bias.wrapping_add(header.p_vaddr as usize);
            let end = start.wrapping_add(header.p_memsz as usize);
            range = Some(match range {
                Some((low, high)) => (low.min(start), high.max(end)),
                None => (start, end),
            });
        }
        range
    }

    /// Bytes of the build id, if there is one.
    ///
    /// # Safety
    /// The object is mapped and stays so while the result is used.
    pub(crate) unsafe fn build_id(&self) -> &'a [u8] {
        for header in self.headers.iter().filter(|h| h.p_type == libc::PT_NOTE) {
            let at = self.bias.wrapping_add(header.p_vaddr as usize);
            // SAFETY: a note segment of a mapped object is readable.
            let notes: &'a [u8] =
                unsafe { core::slice::from_raw_parts(at as *const u8, header.p_filesz as usize) };
            if let Some(id) = build_id_in(notes) {
                return id;
            }
        }
        &[]
    }

    /// Where the object defines `name`, if it does.
    ///
    /// # Safety
    /// The object is mapped.
    pub(crate) unsafe fn find(&self, name: &CStr) -> Option<Place> {
        // SAFETY: passed on.
        let dynamic = unsafe { self.dynamic() }?;
        // SAFETY: passed on.
        let index = unsafe { dynamic.lookup(name) }?;
        // SAFETY: the hash table only has indices of the symbol table.
        let symbol = unsafe { dynamic.symbol(index) };
        Some(Place {
            address: self.bias.wrapping_add(symbol.st_value as usize),
            size: symbol.st_size as usize,
        })
    }

    /// Whether the object asks for any function whose name starts with `prefix` in symbol version
    /// `version`.
    ///
    /// # Safety
    /// The object is mapped.
    pub(crate) unsafe fn needs(&self, prefix: &[u8], version: &CStr) -> bool {
        // SAFETY: passed on.
        let Some(dynamic) = (unsafe { self.dynamic() }) else {
            return false;
        };
        // SAFETY: passed on.
        unsafe { dynamic.needs(prefix, version) }
    }

    unsafe fn dynamic(&self) -> Option<Dynamic> {
        let header = self
            .headers
            .iter()
            .find(|header| header.p_type == libc::PT_DYNAMIC)?;
        let mut entry = self.bias.wrapping_add(header.p_vaddr as usize) as *const [u64; 2];
        let mut found = Dynamic {
            symbols: core::ptr::null(),
            names: core::ptr::null(),
            gnu_hash: core::ptr::null(),
            sysv_hash: core::ptr::null(),
            versions: core::ptr::null(),
            needs: core::ptr::null(),
            need_count: 0,
        };
        loop {
            // SAFETY: the dynamic section is mapped and ends with DT_NULL.
            let [tag, value] = unsafe { *entry };
            let at = self.pointer(value);
            match tag {
                DT_NULL => break,
                DT_HASH => found.sysv_hash = at as *const u32,
                DT_STRTAB => found.names = at as *const u8,
                DT_SYMTAB => found.symbols = at as *const Sym,
                DT_GNU_HASH => found.gnu_hash = at as *const u32,
                DT_VERSYM => found.versions = at as *const u16,
                DT_VERNEED => found.needs = at as *const u8,
                DT_VERNEEDNUM => found.need_count = value,
                _ => {}
            }
            entry = entry.wrapping_add(1);
        }
        (!found.symbols.is_null() && !found.names.is_null()).then_some(found)
    }

    /// The dynamic linker relocates these addresses in place, except in objects whose dynamic
    /// section is read-only (the kernel's own).
    fn pointer(&self, value: u64) -> usize {
        let value = value as usize;
        if value < self.bias {
            self.bias.wrapping_add(value)
        } else {
            value
        }
    }
}

impl Dynamic {
    /// # Safety
    /// `index` is in the symbol table.
    unsafe fn symbol(&self, index: u32) -> Sym {
        let at = self.symbols.wrapping_add(index as usize);
        // SAFETY: in the table, says the caller.
        unsafe { *at }
    }

    /// # Safety
    /// `offset` is in the string table.
    unsafe fn name(&self, offset: u32) -> &CStr {
        let at = self.names.wrapping_add(offset as usize);
        // SAFETY: string table entries end with a zero.
        unsafe { CStr::from_ptr(at.cast()) }
    }

    /// Index of the defined symbol `name`, by the GNU hash table.
    ///
    /// # Safety
    /// The object is mapped.
    unsafe fn lookup(&self, name: &CStr) -> Option<u32> {
        if self.gnu_hash.is_null() {
            return None;
        }
        let word = |index: usize| {
            let at = self.gnu_hash.wrapping_add(index);
            // SAFETY: the header says how many words there are, and chains end with a mark.
            unsafe { *at }
        };
        let (buckets, first, bloom) = (word(0) as usize, word(1) as usize, word(2) as usize);
        let hash = gnu_hash(name.to_bytes());
        let bucket_at = 4 + bloom * 2;
        let mut index = word(bucket_at + hash as usize % buckets.max(1)) as usize;
        if index < first || buckets == 0 {
            return None;
        }
        loop {
            let chain = word(bucket_at + buckets + index - first);
            if chain | 1 == hash | 1 {
                // SAFETY: chains only have indices of the symbol table.
                let symbol = unsafe { self.symbol(index as u32) };
                // SAFETY: a symbol's name is in the string table.
                let its_name = unsafe { self.name(symbol.st_name) };
                if its_name == name && symbol.st_shndx != 0 {
                    return Some(index as u32);
                }
            }
            if chain & 1 == 1 {
                return None;
            }
            index += 1;
        }
    }

    /// Symbols that may be undefined: those before the hashed ones, or all.
    fn undefined_limit(&self) -> u32 {
        let at = if !self.gnu_hash.is_null() {
            self.gnu_hash.wrapping_add(1)
        } else if !self.sysv_hash.is_null() {
            self.sysv_hash.wrapping_add(1)
        } else {
            return 0;
        };
        // SAFETY: both headers have at least two words.
        unsafe { *at }
    }

    /// # Safety
    /// The object is mapped.
    unsafe fn needs(&self, prefix: &[u8], version: &CStr) -> bool {
        if self.versions.is_null() || self.needs.is_null() {
            return false;
        }
        for index in 1..self.undefined_limit() {
            // SAFETY: below the table's length.
            let symbol = unsafe { self.symbol(index) };
            if symbol.st_shndx != 0 {
                continue;
            }
            // SAFETY: a symbol's name is in the string table.
            let name = unsafe { self.name(symbol.st_name) };
            if !name.to_bytes().starts_with(prefix) {
                continue;
            }
            let at = self.versions.wrapping_add(index as usize);
            // SAFETY: the version table is as long as the symbol table.
            let number = unsafe { *at };
            // SAFETY: passed on.
            if unsafe { self.version_is(number & 0x7fff, version) } {
                return true;
            }
        }
        false
    }

    /// Whether needed version `number` is called `version`.
    ///
    /// # Safety
    /// The object is mapped.
    unsafe fn version_is(&self, number: u16, version: &CStr) -> bool {
        let mut need = self.needs;
        for _ in 0..self.need_count {
            // SAFETY: the table has `need_count` entries.
            let header = unsafe { need.cast::<Need>().read_unaligned() };
            let mut aux = need.wrapping_add(header.aux as usize);
            for _ in 0..header.count {
                // SAFETY: the entry has `count` auxiliary entries.
                let one = unsafe { aux.cast::<NeedAux>().read_unaligned() };
                if one.other & 0x7fff == number {
                    // SAFETY: a version's name is in the string table.
                    return unsafe { self.name(one.name) } == version;
                }
                aux = aux.wrapping_add(one.next as usize);
            }
            need = need.wrapping_add(header.next as usize);
        }
        false
    }
}

/// `Elf64_Verneed`.
#[repr(C)]
struct Need {
    version: u16,
    count: u16,
    file: u32,
    aux: u32,
    next: u32,
}

/// `Elf64_Vernaux`.
#[repr(C)]
struct NeedAux {
    hash: u32,
    flags: u16,
    other: u16,
    name: u32,
    next: u32,
}

fn gnu_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381_u32, |hash, byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(*byte))
    })
}

fn build_id_in(mut notes: &[u8]) -> Option<&[u8]> {
    loop {
        let word = |at: usize| -> Option<u32> {
            Some(u32::from_ne_bytes(notes.get(at..at + 4)?.try_into().ok()?))
        };
        let (name, length, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let data = 12 + name.next_multiple_of(4);
        if kind == NT_GNU_BUILD_ID && notes.get(12..16) == Some(b"GNU\0") {
            return notes.get(data..data + length);
        }
        notes = notes.get(data + length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::{build_id_in, gnu_hash};

    #[test]
    fn hash_of_the_format_description() {
        // "printf" is the worked example of several descriptions of the format.
        assert_eq!(gnu_hash(b"printf"), 0x156b_2bb8);
        assert_eq!(gnu_hash(b""), 5381);
    }

    #[test]
    fn build_id_behind_another_note() {
        let mut notes = Vec::new();
        for (kind, name, data) in [
            (1_u32, b"GNU\0", &[9_u8; 16][..]),
            (3, b"GNU\0", &[1, 2, 3]),
        ] {
            notes.extend(4_u32.to_ne_bytes());
            notes.extend((data.len() as u32).to_ne_bytes());
            notes.extend(kind.to_ne_bytes());
            notes.extend(name);
            notes.extend(data);
            notes.resize(notes.len().next_multiple_of(4), 0);
        }
        assert_eq!(build_id_in(&notes), Some(&[1_u8, 2, 3][..]));
    }

    #[test]
    fn cut_notes_have_no_build_id() {
        assert_eq!(build_id_in(&[4, 0, 0, 0, 255, 0, 0, 0, 3, 0, 0, 0]), None);
        assert_eq!(build_id_in(&[]), None);
    }
}
