//! The map of loaded shared objects: told to the recorder, and asked by hooks for what kind of
//! module their caller is.
//!
//! `dlopen` finds out about its caller by its return address, so it is not wrapped: its hook only
//! marks the map as stale. The map is read again at the next slow path, when a caller is not in
//! it, before and after `dlclose`, and at the end.

use super::elf::{Image, Place};
use super::local::Local;
use super::state;
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use narrows_trace::writer::Module;
use narrows_trace::{CodeAddr, Ticks};

const MODULES: usize = 2048;
const PATHS: usize = 512 << 10;
const BUILD_ID: usize = 32;
const MISSES: usize = 64;

/// The module is, or contains, a Python interpreter.
pub(crate) const PYTHON: u32 = 1;
/// The module asks for the condition variables of before glibc 2.3.2.
pub(crate) const OLD_CONDITIONS: u32 = 2;
/// The caller is in the map.
const KNOWN: u32 = 4;

/// One module. The atomics are read by every thread, the rest by whoever holds `BUSY`.
struct Entry {
    start: AtomicUsize,
    end: AtomicUsize,
    flags: AtomicU32,
    runtime_start: AtomicUsize,
    runtime_size: AtomicUsize,
    rest: UnsafeCell<Rest>,
}

#[derive(Clone, Copy)]
struct Rest {
    bias: usize,
    path: (u32, u32),
    build_id: [u8; BUILD_ID],
    build_id_length: u8,
    seen: bool,
}

struct Table {
    entries: [Entry; MODULES],
    paths: UnsafeCell<[u8; PATHS]>,
    paths_used: AtomicUsize,
}
// SAFETY: the cells are only touched by the thread that holds `BUSY`.
unsafe impl Sync for Table {}

static TABLE: Table = Table {
    entries: [const {
        Entry {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            flags: AtomicU32::new(0),
            runtime_start: AtomicUsize::new(0),
            runtime_size: AtomicUsize::new(0),
            rest: UnsafeCell::new(Rest {
                bias: 0,
                path: (0, 0),
                build_id: [0; BUILD_ID],
                build_id_length: 0,
                seen: false,
            }),
        }
    }; MODULES],
    paths: UnsafeCell::new([0; PATHS]),
    paths_used: AtomicUsize::new(0),
};

/// Entries in use, gaps included.
static USED: AtomicUsize = AtomicUsize::new(0);
/// Held by the thread that changes the table. Never waited for.
static BUSY: AtomicBool = AtomicBool::new(false);
static STALE: AtomicBool = AtomicBool::new(true);
/// In a child after `fork`: the dynamic linker's locks may have been held by threads that the
/// child does not have. Ends when the child itself loads something.
static CAREFUL: AtomicBool = AtomicBool::new(false);
/// Counts changes, so that threads can drop what they remember.
static VERSION: AtomicU32 = AtomicU32::new(1);
/// Loads and unloads that the dynamic linker had counted at the last reading.
static ADDS: AtomicU64 = AtomicU64::new(0);
static SUBS: AtomicU64 = AtomicU64::new(0);
/// Any module with [`OLD_CONDITIONS`].
static ANY_OLD_CONDITIONS: AtomicBool = AtomicBool::new(false);
/// Pages of callers that no module has (generated code).
static NOWHERE: [AtomicUsize; MISSES] = [const { AtomicUsize::new(0) }; MISSES];

/// What is known of a caller's module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Caller {
    /// [`PYTHON`], [`OLD_CONDITIONS`].
    pub(crate) flags: u32,
}

/// The module that `site` is in, read again if it is not in the map.
pub(crate) fn caller(local: &'static Local, site: CodeAddr) -> Caller {
    let address = site.0 as usize;
    if STALE.load(Ordering::Relaxed) {
        refresh();
    }
    let version = VERSION.load(Ordering::Acquire);
    let (start, end) = local.caller_range.get();
    if (start..end).contains(&address) && local.caller_version.get() == version {
        return Caller {
            flags: local.caller_flags.get(),
        };
    }
    let mut found = find(address);
    if found.is_none() && !known_nowhere(address) {
        refresh();
        found = find(address);
        if found.is_none() {
            remember_nowhere(address);
        }
    }
    let Some(entry) = found else {
        return Caller::default();
    };
    let flags = entry.flags.load(Ordering::Relaxed);
    local.caller_range.set((
        entry.start.load(Ordering::Relaxed),
        entry.end.load(Ordering::Relaxed),
    ));
    local.caller_flags.set(flags);
    local.caller_version.set(version);
    Caller { flags }
}

/// Whether any module uses the condition variables of before glibc 2.3.2.
#[inline(always)]
pub(crate) fn any_old_conditions() -> bool {
    ANY_OLD_CONDITIONS.load(Ordering::Relaxed)
}

/// Whether the map is due to be read again.
#[inline(always)]
pub(crate) fn stale() -> bool {
    STALE.load(Ordering::Relaxed)
}

/// [`PYTHON`] and [`OLD_CONDITIONS`] of the module that `site` is in; 0 if it is in none.
pub(crate) fn flags_of(site: CodeAddr) -> u32 {
    find(site.0 as usize).map_or(0, |entry| entry.flags.load(Ordering::Relaxed))
}

/// The interpreter's static state in the module that `site` is in.
pub(crate) fn python_runtime(site: CodeAddr) -> Option<Place> {
    let entry = find(site.0 as usize)?;
    let size = entry.runtime_size.load(Ordering::Relaxed);
    (size != 0).then(|| Place {
        address: entry.runtime_start.load(Ordering::Relaxed),
        size,
    })
}

/// A `dlopen` is about to begin.
pub(crate) fn mark_stale() {
    CAREFUL.store(false, Ordering::Relaxed);
    STALE.store(true, Ordering::Relaxed);
}

/// Reads the map again if something may have changed.
pub(crate) fn refresh_if_stale() {
    if STALE.load(Ordering::Relaxed) {
        refresh();
    }
}

/// A child after `fork`: whoever held the table is gone.
pub(crate) fn after_fork() {
    BUSY.store(false, Ordering::Relaxed);
    CAREFUL.store(true, Ordering::Relaxed);
    STALE.store(false, Ordering::Relaxed);
}

/// Reads the map from the dynamic linker and tells the recorder what changed. The caller is
/// inside the probe.
pub(crate) fn refresh() {
    if CAREFUL.load(Ordering::Relaxed) || BUSY.swap(true, Ordering::Acquire) {
        return;
    }
    STALE.store(false, Ordering::Relaxed);
    let mut walk = Walk {
        changed: false,
        first: true,
    };
    // SAFETY: the callback has the right type, and `walk` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut walk).cast()) };
    if walk.changed {
        drop_unseen();
        VERSION.fetch_add(1, Ordering::Release);
        for miss in &NOWHERE {
            miss.store(0, Ordering::Relaxed);
        }
    }
    BUSY.store(false, Ordering::Release);
}

/// Tells a new recording (of a child after `fork`) all that is known, without asking the dynamic
/// linker, whose locks may have been held by threads that the child does not have.
pub(crate) fn tell_again() {
    if BUSY.swap(true, Ordering::Acquire) {
        return;
    }
    for entry in used() {
        if entry.end.load(Ordering::Relaxed) != 0 {
            tell(entry);
        }
    }
    BUSY.store(false, Ordering::Release);
}

struct Walk {
    changed: bool,
    first: bool,
}

fn used() -> &'static [Entry] {
    let count = USED.load(Ordering::Acquire).min(MODULES);
    TABLE.entries.get(..count).unwrap_or(&[])
}

fn find(address: usize) -> Option<&'static Entry> {
    used().iter().find(|entry| {
        entry.start.load(Ordering::Relaxed) <= address
            && address < entry.end.load(Ordering::Acquire)
    })
}

fn nowhere(address: usize) -> (&'static AtomicUsize, usize) {
    let page = (address >> 12).max(1);
    let slot = page.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
    (NOWHERE.get(slot).unwrap_or(&NOWHERE[0]), page)
}

fn known_nowhere(address: usize) -> bool {
    let (slot, page) = nowhere(address);
    slot.load(Ordering::Relaxed) == page
}

fn remember_nowhere(address: usize) {
    let (slot, page) = nowhere(address);
    slot.store(page, Ordering::Relaxed);
}

unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    data: *mut c_void,
) -> c_int {
    // SAFETY: `refresh` passes its `Walk`.
    let walk = unsafe { &mut *data.cast::<Walk>() };
    // SAFETY: the dynamic linker passes a valid description.
    let info = unsafe { &*info };
    if walk.first {
        walk.first = false;
        let adds = ADDS.swap(info.dlpi_adds, Ordering::Relaxed);
        let subs = SUBS.swap(info.dlpi_subs, Ordering::Relaxed);
        if (adds, subs) == (info.dlpi_adds, info.dlpi_subs) {
            return 1;
        }
        walk.changed = true;
        for entry in used() {
            // SAFETY: this thread holds `BUSY`.
            unsafe { (*entry.rest.get()).seen = false };
        }
    }
    // SAFETY: the dynamic linker's headers stay while it iterates.
    let headers = unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let image = Image {
        bias: info.dlpi_addr as usize,
        headers,
    };
    if !info.dlpi_name.is_null() {
        // SAFETY: a C string that stays while the dynamic linker iterates.
        let name = unsafe { CStr::from_ptr(info.dlpi_name) };
        meet(&image, name.to_bytes());
    }
    0
}

/// A symbol of any loaded object but this library; 0: none defines it.
pub(crate) fn find_symbol(name: &CStr) -> usize {
    struct Search<'a> {
        name: &'a CStr,
        found: usize,
    }
    unsafe extern "C" fn look(
        info: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: `find_symbol` passes its search.
        let search = unsafe { &mut *data.cast::<Search<'_>>() };
        // SAFETY: the dynamic linker passes a valid description.
        let info = unsafe { &*info };
        // SAFETY: the dynamic linker's headers stay while it iterates.
        let headers =
            unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let image = Image {
            bias: info.dlpi_addr as usize,
            headers,
        };
        let own = find_symbol as *const () as usize;
        let holds_us = image
            .range()
            .is_some_and(|(start, end)| (start..end).contains(&own));
        if holds_us {
            return 0;
        }
        // SAFETY: the dynamic linker is iterating over it, so it is mapped.
        let place = unsafe { image.find(search.name) };
        match place {
            Some(place) => {
                search.found = place.address;
                1
            }
            None => 0,
        }
    }
    let mut search = Search { name, found: 0 };
    // SAFETY: the callback has the right type, and `search` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    search.found
}

/// Marks a module as seen, adding it if it is new.
fn meet(image: &Image<'_>, name: &[u8]) {
    let Some((start, end)) = image.range() else {
        return;
    };
    let known = used().iter().find(|entry| {
        entry.start.load(Ordering::Relaxed) == start && entry.end.load(Ordering::Relaxed) == end
    });
    if let Some(entry) = known
        && same_name(entry, name)
    {
        // SAFETY: this thread holds `BUSY`.
        unsafe { (*entry.rest.get()).seen = true };
        return;
    }
    if let Some(entry) = known {
        forget(entry);
    }
    add(image, name, (start, end));
}

fn add(image: &Image<'_>, name: &[u8], (start, end): (usize, usize)) {
    let gap = used()
        .iter()
        .find(|entry| entry.end.load(Ordering::Relaxed) == 0);
    let entry = match gap {
        Some(entry) => entry,
        None => {
            let next = USED.load(Ordering::Relaxed);
            let Some(entry) = TABLE.entries.get(next) else {
                return;
            };
            USED.store(next + 1, Ordering::Release);
            entry
        }
    };
    let kernel_object = name.starts_with(b"linux-vdso");
    // SAFETY: the dynamic linker is iterating over it, so it is mapped.
    let id = unsafe { image.build_id() };
    // SAFETY: this thread holds `BUSY`.
    let rest = unsafe { &mut *entry.rest.get() };
    rest.bias = image.bias;
    rest.path = if name.is_empty() {
        store_executable_path()
    } else {
        store_path(name)
    };
    rest.build_id_length = 0;
    for (to, from) in rest.build_id.iter_mut().zip(id) {
        *to = *from;
        rest.build_id_length += 1;
    }
    rest.seen = true;
    if !kernel_object {
        classify(entry, image);
    }
    entry.start.store(start, Ordering::Relaxed);
    entry.end.store(end, Ordering::Release);
    tell(entry);
}

fn classify(entry: &Entry, image: &Image<'_>) {
    let mut flags = KNOWN;
    // SAFETY: the dynamic linker is iterating over it, so it is mapped.
    let runtime = unsafe { image.find(c"_PyRuntime") };
    let base = path_of(entry)
        .rsplit(|byte| *byte == b'/')
        .next()
        .unwrap_or(&[]);
    if runtime.is_some() || base.starts_with(b"python") || base.starts_with(b"libpython") {
        flags |= PYTHON;
    }
    let (start, size) = runtime.map_or((0, 0), |place| (place.address, place.size));
    entry.runtime_start.store(start, Ordering::Relaxed);
    entry.runtime_size.store(size, Ordering::Relaxed);
    // SAFETY: as above.
    let old =
        cfg!(target_arch = "x86_64") && unsafe { image.needs(b"pthread_cond_", c"GLIBC_2.2.5") };
    // SAFETY: as above.
    if old && !unsafe { image.needs(b"pthread_cond_", c"GLIBC_2.3.2") } {
        flags |= OLD_CONDITIONS;
        ANY_OLD_CONDITIONS.store(true, Ordering::Relaxed);
    }
    entry.flags.store(flags, Ordering::Relaxed);
}

/// Writes the path of the program; its length, negative when it is not known.
pub(crate) fn program_path(buffer: &mut [u8]) -> isize {
    let file = c"/proc/self/exe";
    // SAFETY: the buffer has the length that is given.
    unsafe { libc::readlink(file.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) }
}

/// The dynamic linker does not name the program itself.
fn store_executable_path() -> (u32, u32) {
    let at = TABLE.paths_used.load(Ordering::Relaxed);
    // SAFETY: the caller holds `BUSY`.
    let store = unsafe { &mut *TABLE.paths.get() };
    let Some(place) = store.get_mut(at..) else {
        return (0, 0);
    };
    let length = usize::try_from(program_path(place)).unwrap_or(0);
    TABLE.paths_used.store(at + length, Ordering::Relaxed);
    (at as u32, length as u32)
}

/// Copies a path; the last one wins no place when the store is full, and is then empty.
fn store_path(path: &[u8]) -> (u32, u32) {
    let at = TABLE.paths_used.load(Ordering::Relaxed);
    // SAFETY: the caller holds `BUSY`.
    let store = unsafe { &mut *TABLE.paths.get() };
    let Some(place) = store.get_mut(at..at + path.len()) else {
        return (0, 0);
    };
    place.copy_from_slice(path);
    TABLE.paths_used.store(at + path.len(), Ordering::Relaxed);
    (at as u32, path.len() as u32)
}

fn path_of(entry: &Entry) -> &[u8] {
    // SAFETY: the caller holds `BUSY`.
    let rest = unsafe { &*entry.rest.get() };
    // SAFETY: the caller holds `BUSY`.
    let store = unsafe { &*TABLE.paths.get() };
    let (at, length) = (rest.path.0 as usize, rest.path.1 as usize);
    store.get(at..at + length).unwrap_or(&[])
}

fn same_name(entry: &Entry, name: &[u8]) -> bool {
    name.is_empty() || path_of(entry) == name
}

fn tell(entry: &Entry) {
    let Some(writer) = state::writer() else {
        return;
    };
    // SAFETY: the caller holds `BUSY`.
    let rest = unsafe { &*entry.rest.get() };
    let length = usize::from(rest.build_id_length);
    writer.module_loaded(&Module {
        at: Ticks::now(),
        base: CodeAddr(entry.start.load(Ordering::Relaxed) as u64),
        end: CodeAddr(entry.end.load(Ordering::Relaxed) as u64),
        bias: rest.bias as u64,
        path: path_of(entry),
        build_id: rest.build_id.get(..length).unwrap_or(&[]),
    });
}

fn forget(entry: &Entry) {
    let start = entry.start.load(Ordering::Relaxed);
    entry.end.store(0, Ordering::Release);
    entry.flags.store(0, Ordering::Relaxed);
    if let Some(writer) = state::writer() {
        writer.module_unloaded(CodeAddr(start as u64), Ticks::now());
    }
}

fn drop_unseen() {
    for entry in used() {
        // SAFETY: the caller holds `BUSY`.
        let seen = unsafe { (*entry.rest.get()).seen };
        if !seen && entry.end.load(Ordering::Relaxed) != 0 {
            forget(entry);
        }
    }
}
