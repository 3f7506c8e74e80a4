//! Objects that link the driver: the addresses that the dynamic linker bound for them are replaced
//! by stubs, in each object's own table.
//!
//! Nothing is done while no driver is loaded. An object is looked at once: at the start, or after
//! it was opened, at the next `dlsym` or refresh of the module map. Calls that it makes before
//! that (from its constructors) are not seen.

use super::{Way, rule, times, wrap};
use crate::base::config;
use crate::base::real::system_dlsym;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use libc::{Elf64_Phdr, Elf64_Rela, Elf64_Sym, dl_phdr_info};

#[cfg(target_arch = "x86_64")]
const BOUND: [u64; 3] = [7, 6, 1]; // JUMP_SLOT, GLOB_DAT, 64
#[cfg(target_arch = "aarch64")]
const BOUND: [u64; 3] = [1026, 1025, 257]; // JUMP_SLOT, GLOB_DAT, ABS64

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_PLTRELSZ: u64 = 2;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_JMPREL: u64 = 23;

/// Loads that the dynamic linker had counted when the objects were last looked at.
static SEEN: AtomicU64 = AtomicU64::new(0);
/// Held by the thread that looks. Never waited for: another thread's next chance does it.
static BUSY: AtomicBool = AtomicBool::new(false);
/// Set when an object may have been opened; the assembly of `dlsym` reads it.
pub(super) static MAYBE: AtomicBool = AtomicBool::new(false);

/// Says that `dlopen` was called. The objects are looked at when it has returned.
pub(crate) fn loading() {
    MAYBE.store(true, Ordering::Relaxed);
}

/// Looks at the objects, if any was loaded since the last time.
pub(crate) fn modules_changed() {
    let mut loads = 0_u64;
    // SAFETY: the callback takes what it is given and keeps nothing.
    unsafe { libc::dl_iterate_phdr(Some(read_loads), (&raw mut loads).cast()) };
    if loads == SEEN.load(Ordering::Relaxed) || BUSY.swap(true, Ordering::Acquire) {
        return;
    }
    MAYBE.store(false, Ordering::Relaxed);
    let mut driver = false;
    // SAFETY: as above.
    unsafe { libc::dl_iterate_phdr(Some(find_driver), (&raw mut driver).cast()) };
    if driver {
        // SAFETY: as above; the objects cannot be unloaded while the iteration runs.
        unsafe { libc::dl_iterate_phdr(Some(look_at), null_mut()) };
        if config::get().is_some_and(|config| config.gpu_times) {
            // SAFETY: as above.
            unsafe { libc::dl_iterate_phdr(Some(look_for_profiler), null_mut()) };
        }
    }
    SEEN.store(loads, Ordering::Relaxed);
    BUSY.store(false, Ordering::Release);
}

unsafe extern "C" fn read_loads(info: *mut dl_phdr_info, _: usize, to: *mut c_void) -> c_int {
    // SAFETY: the dynamic linker's structure.
    let loads = unsafe { (*info).dlpi_adds };
    // SAFETY: the caller's number.
    unsafe { to.cast::<u64>().write(loads) };
    1
}

unsafe extern "C" fn find_driver(info: *mut dl_phdr_info, _: usize, to: *mut c_void) -> c_int {
    // SAFETY: the dynamic linker's structure.
    let name = unsafe { (*info).dlpi_name };
    if !is_driver(name) {
        return 0;
    }
    // SAFETY: the caller's flag.
    unsafe { to.cast::<bool>().write(true) };
    1
}

/// Objects are looked at again at the next chance.
pub(super) fn forget_seen() {
    SEEN.store(0, Ordering::Relaxed);
}

/// Whether a path or soname is that of the CUDA driver.
fn is_driver(name: *const c_char) -> bool {
    file_of(name).is_some_and(|file| file.starts_with(b"libcuda.so"))
}

/// Whether a path or soname is that of CUPTI.
fn is_profiler(name: *const c_char) -> bool {
    file_of(name).is_some_and(times::is_profiler)
}

/// The last part of a path.
fn file_of<'a>(name: *const c_char) -> Option<&'a [u8]> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the dynamic linker's names are C strings.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    name.rsplit(|byte| *byte == b'/').next()
}

unsafe extern "C" fn look_at(info: *mut dl_phdr_info, _: usize, _: *mut c_void) -> c_int {
    // SAFETY: the dynamic linker's structure.
    let info = unsafe { &*info };
    if !is_driver(info.dlpi_name)
        && let Some(object) = Object::of(info, &DRIVER)
    {
        object.replace();
    }
    0
}

unsafe extern "C" fn look_for_profiler(info: *mut dl_phdr_info, _: usize, _: *mut c_void) -> c_int {
    // SAFETY: the dynamic linker's structure.
    let info = unsafe { &*info };
    if !is_profiler(info.dlpi_name)
        && let Some(object) = Object::of(info, &PROFILER)
    {
        object.replace();
    }
    0
}

/// A library whose functions are replaced where objects link them.
struct Library {
    /// Whether a path or soname is its.
    is: fn(*const c_char) -> bool,
    /// Whether a function of this name is replaced.
    has: fn(&CStr) -> bool,
    /// What by.
    wrap: fn(&CStr, *const ()) -> Option<*const ()>,
}

static DRIVER: Library = Library {
    is: is_driver,
    has: |name| name.to_bytes().starts_with(b"cu") && rule(name).is_some(),
    wrap: |name, real| Some(wrap(real, rule(name)?, Way::Link)),
};
static PROFILER: Library = Library {
    is: is_profiler,
    has: times::is_guarded,
    wrap: times::guarded,
};

/// The tables of an object that link the driver, or CUPTI.
struct Object<'a> {
    bias: usize,
    path: *const c_char,
    library: &'static Library,
    /// The name by which it links it.
    linked: *const c_char,
    headers: &'a [Elf64_Phdr],
    symbols: *const Elf64_Sym,
    names: *const c_char,
    relocations: [(*const Elf64_Rela, usize); 2],
}

impl<'a> Object<'a> {
    /// Reads the dynamic section; `None` unless it names the library.
    fn of(info: &'a dl_phdr_info, library: &'static Library) -> Option<Self> {
        if info.dlpi_phdr.is_null() {
            return None;
        }
        // SAFETY: the dynamic linker says where the headers are and how many.
        let headers: &[Elf64_Phdr] =
            unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let bias = info.dlpi_addr as usize;
        let dynamic = headers.iter().find(|h| h.p_type == libc::PT_DYNAMIC)?;
        let first = bias.wrapping_add(dynamic.p_vaddr as usize) as *const [u64; 2];
        // The dynamic linker adds the bias in place where the section is writable.
        let at = |value: u64| {
            let value = value as usize;
            if value < bias {
                value.wrapping_add(bias)
            } else {
                value
            }
        };
        let mut object = Self {
            bias,
            path: info.dlpi_name,
            library,
            linked: null(),
            headers,
            symbols: null(),
            names: null(),
            relocations: [(null(), 0); 2],
        };
        for [tag, value] in entries(first) {
            match tag {
                DT_STRTAB => object.names = at(value) as *const c_char,
                DT_SYMTAB => object.symbols = at(value) as *const Elf64_Sym,
                DT_RELA => object.relocations[0].0 = at(value) as *const Elf64_Rela,
                DT_RELASZ => object.relocations[0].1 = value as usize,
                DT_JMPREL => object.relocations[1].0 = at(value) as *const Elf64_Rela,
                DT_PLTRELSZ => object.relocations[1].1 = value as usize,
                _ => {}
            }
        }
        if object.names.is_null() || object.symbols.is_null() {
            return None;
        }
        object.linked = entries(first)
            .filter(|[tag, _]| *tag == DT_NEEDED)
            .map(|[_, name]| object.names.wrapping_add(name as usize))
            .find(|name| (library.is)(*name))?;
        Some(object)
    }

    /// Replaces what the object was bound to.
    fn replace(&self) {
        let mut own = null_mut();
        for (first, bytes) in self.relocations {
            if first.is_null() {
                continue;
            }
            for index in 0..bytes / size_of::<Elf64_Rela>() {
                // SAFETY: the table has this many entries, says the dynamic section.
                let relocation = unsafe { &*first.wrapping_add(index) };
                self.replace_one(relocation, &mut own);
            }
        }
        if !own.is_null() {
            // SAFETY: gives back what `bound` took.
            unsafe { libc::dlclose(own) };
        }
    }

    fn replace_one(&self, relocation: &Elf64_Rela, own: &mut *mut c_void) {
        let (kind, symbol) = (relocation.r_info & 0xffff_ffff, relocation.r_info >> 32);
        if !BOUND.contains(&kind) || symbol == 0 || relocation.r_addend != 0 {
            return;
        }
        // SAFETY: relocations name symbols of the object's own table.
        let symbol = unsafe { &*self.symbols.wrapping_add(symbol as usize) };
        if symbol.st_shndx != 0 {
            return;
        }
        let name = self.names.wrapping_add(symbol.st_name as usize);
        // SAFETY: a string of the object's own table.
        let name = unsafe { CStr::from_ptr(name) };
        if !(self.library.has)(name) {
            return;
        }
        let slot = self.bias.wrapping_add(relocation.r_offset as usize) as *mut *mut ();
        // SAFETY: an aligned word of the object, which the dynamic linker itself writes.
        let slot = unsafe { AtomicPtr::from_ptr(slot) };
        let mut real = slot.load(Ordering::Relaxed).cast_const();
        if self.contains(real) {
            // Not bound yet: still the way to the dynamic linker's resolver.
            real = self.bound(name, own);
        }
        let Some(wrapped) = (self.library.wrap)(name, real) else {
            return;
        };
        if !real.is_null() && !core::ptr::addr_eq(wrapped, slot.load(Ordering::Relaxed)) {
            self.write(slot, wrapped);
        }
    }

    /// What the dynamic linker would bind `name` to for this object.
    fn bound(&self, name: &CStr, own: &mut *mut c_void) -> *const () {
        if own.is_null() {
            *own = open_again(self.own_name());
        }
        let found = ask(*own, name);
        if !self.contains(found) {
            return found;
        }
        // A program at a fixed address answers with its own way to the resolver, as the address
        // that all objects shall know the function by.
        let library = open_again(self.linked);
        let found = ask(library, name);
        if !library.is_null() {
            // SAFETY: gives back what was taken here.
            unsafe { libc::dlclose(library) };
        }
        found
    }

    fn own_name(&self) -> *const c_char {
        // SAFETY: the dynamic linker's names are C strings.
        let empty = self.path.is_null() || unsafe { self.path.read() } == 0;
        if empty { null() } else { self.path }
    }

    fn contains(&self, address: *const ()) -> bool {
        let offset = (address as usize).wrapping_sub(self.bias) as u64;
        self.headers
            .iter()
            .filter(|h| h.p_type == libc::PT_LOAD)
            .any(|h| (h.p_vaddr..h.p_vaddr.wrapping_add(h.p_memsz)).contains(&offset))
    }

    /// Writes a slot, also where the dynamic linker has made it read-only since.
    fn write(&self, slot: &AtomicPtr<()>, value: *const ()) {
        let address = core::ptr::from_ref(slot) as usize;
        let offset = address.wrapping_sub(self.bias) as u64;
        let sealed = self
            .headers
            .iter()
            .filter(|h| h.p_type == libc::PT_GNU_RELRO)
            .any(|h| (h.p_vaddr..h.p_vaddr.wrapping_add(h.p_memsz)).contains(&offset));
        // SAFETY: asks for a constant.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let start = (address & !(page - 1)) as *mut c_void;
        if sealed {
            // SAFETY: a page of the object's own data; readable stays readable.
            let opened = unsafe { libc::mprotect(start, page, libc::PROT_READ | libc::PROT_WRITE) };
            if opened != 0 {
                super::UNWRAPPED.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        slot.store(value.cast_mut(), Ordering::Release);
        if sealed {
            // SAFETY: as it was.
            unsafe { libc::mprotect(start, page, libc::PROT_READ) };
        }
    }
}

/// A handle of an object that is loaded already; null is the program itself.
fn open_again(name: *const c_char) -> *mut c_void {
    // SAFETY: null or a C string.
    unsafe { libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD) }
}

/// What the system answers to `name`.
fn ask(handle: *mut c_void, name: &CStr) -> *const () {
    match system_dlsym() {
        Some(dlsym) if !handle.is_null() => {
            // SAFETY: a handle, and a C string.
            let found = unsafe { dlsym(handle, name.as_ptr()) };
            found.cast_const().cast()
        }
        _ => null(),
    }
}

/// The entries of a dynamic section.
fn entries(first: *const [u64; 2]) -> impl Iterator<Item = [u64; 2]> {
    (0..).map_while(move |index| {
        // SAFETY: the section is mapped and ends with DT_NULL, where the iteration ends.
        let entry = unsafe { *first.wrapping_add(index) };
        (entry[0] != DT_NULL).then_some(entry)
    })
}

#[cfg(test)]
mod tests {
    use super::is_driver;

    #[test]
    fn the_driver_is_known_by_its_file_name() {
        assert!(is_driver(
            c"/usr/lib/x86_64-linux-gnu/libcuda.so.1".as_ptr()
        ));
        assert!(is_driver(c"libcuda.so".as_ptr()));
        assert!(!is_driver(c"/opt/libcudart.so.13".as_ptr()));
        assert!(!is_driver(c"/opt/libcuda.so.1/libfoo.so".as_ptr()));
        assert!(!is_driver(core::ptr::null()));
    }
}
