//! Finds libcupti and the functions of it that are used.
//!
//! In this order: `NARROWS_CUPTI` (a file); one that the program has loaded already; the dynamic
//! linker's own search; the toolkit's folder (`CUDA_HOME`, `CUDA_PATH`, `/usr/local/cuda`); the
//! folders in which Python packages put it, seen from libraries that are loaded.

use crate::base::real::system_dlsym;
use core::ffi::{CStr, c_int, c_void};
use narrows_trace::Nanos;

const NAMES: [&CStr; 5] = [
    c"libcupti.so.13",
    c"libcupti.so.12",
    c"libcupti.so.11.8",
    c"libcupti.so.14",
    c"libcupti.so",
];

/// Below the toolkit's folder.
const OF_TOOLKIT: [&[u8]; 3] = [
    b"/extras/CUPTI/lib64",
    b"/lib64",
    b"/targets/x86_64-linux/lib",
];

/// Seen from the folder of a library of CUDA's or PyTorch's in a Python environment.
const OF_PYTHON: [&[u8]; 5] = [
    b"",
    b"/../../cuda_cupti/lib",
    b"/../../nvidia/cu13/lib",
    b"/../../nvidia/cuda_cupti/lib",
    b"/../../nvidia/cu12/lib",
];

/// Libraries beside which CUPTI may lie.
const NEIGHBOURS: [&[u8]; 5] = [
    b"libcudart.so",
    b"libcudart-",
    b"libtorch_cuda.so",
    b"libcublas.so",
    b"libnvrtc.so",
];

const PATH: usize = 1024;

pub(super) type Requested = unsafe extern "C" fn(*mut *mut u8, *mut usize, *mut usize);
pub(super) type Completed = unsafe extern "C" fn(*mut c_void, u32, *mut u8, usize, usize);

/// Functions of CUPTI. Made only when all that are needed were found; kept for good.
pub(super) struct Cupti {
    register: unsafe extern "C" fn(Requested, Completed) -> c_int,
    enable: unsafe extern "C" fn(u32) -> c_int,
    disable: unsafe extern "C" fn(u32) -> c_int,
    flush: unsafe extern "C" fn(u32) -> c_int,
    flush_period: Option<unsafe extern "C" fn(u32) -> c_int>,
    next: unsafe extern "C" fn(*mut u8, usize, *mut *mut u8) -> c_int,
    timestamp: unsafe extern "C" fn(*mut u64) -> c_int,
    dropped: Option<unsafe extern "C" fn(*mut c_void, u32, *mut usize) -> c_int>,
    path: [u8; PATH],
}

/// A path that is put together.
struct Text {
    bytes: [u8; PATH],
    used: usize,
}

impl Text {
    /// `None`: too long.
    fn of(parts: &[&[u8]]) -> Option<Self> {
        let mut text = Self {
            bytes: [0; PATH],
            used: 0,
        };
        for part in parts {
            let end = text.used + part.len();
            // The last byte stays 0.
            if end >= PATH {
                return None;
            }
            text.bytes.get_mut(text.used..end)?.copy_from_slice(part);
            text.used = end;
        }
        Some(text)
    }

    fn as_c(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

/// The first libcupti that has what is needed.
pub(super) fn find() -> Option<Cupti> {
    if let Some(file) = variable(c"NARROWS_CUPTI") {
        return open(file, libc::RTLD_LAZY);
    }
    let loaded = libc::RTLD_LAZY | libc::RTLD_NOLOAD;
    let by_name = |flags| NAMES.iter().find_map(|name| open(name, flags));
    by_name(loaded)
        .or_else(|| by_name(libc::RTLD_LAZY))
        .or_else(of_toolkit)
        .or_else(of_python)
}

fn of_toolkit() -> Option<Cupti> {
    let homes = [variable(c"CUDA_HOME"), variable(c"CUDA_PATH")];
    let homes = homes.into_iter().flatten().chain([c"/usr/local/cuda"]);
    homes.into_iter().find_map(|home| {
        OF_TOOLKIT
            .iter()
            .find_map(|folder| in_folder(&[home.to_bytes(), folder]))
    })
}

fn of_python() -> Option<Cupti> {
    let mut folders = Folders {
        found: [const { None }; NEIGHBOURS.len()],
    };
    // SAFETY: the callback has the right type, and `folders` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(neighbour), (&raw mut folders).cast()) };
    folders.found.iter().flatten().find_map(|folder| {
        let folder = folder.as_c().to_bytes();
        OF_PYTHON
            .iter()
            .find_map(|below| in_folder(&[folder, below]))
    })
}

/// Folders of libraries that are loaded.
struct Folders {
    found: [Option<Text>; NEIGHBOURS.len()],
}

unsafe extern "C" fn neighbour(
    info: *mut libc::dl_phdr_info,
    _: libc::size_t,
    data: *mut c_void,
) -> c_int {
    // SAFETY: the dynamic linker's structure.
    let name = unsafe { (*info).dlpi_name };
    if name.is_null() {
        return 0;
    }
    // SAFETY: the dynamic linker's names are C strings.
    let path = unsafe { CStr::from_ptr(name) }.to_bytes();
    let Some(slash) = path.iter().rposition(|byte| *byte == b'/') else {
        return 0;
    };
    let (folder, file) = (
        path.get(..slash).unwrap_or(&[]),
        path.get(slash + 1..).unwrap_or(&[]),
    );
    // SAFETY: the caller's.
    let folders = unsafe { &mut *data.cast::<Folders>() };
    for (place, wanted) in folders.found.iter_mut().zip(NEIGHBOURS) {
        if place.is_none() && file.starts_with(wanted) {
            *place = Text::of(&[folder]);
        }
    }
    0
}

fn in_folder(folder: &[&[u8]]) -> Option<Cupti> {
    NAMES.iter().find_map(|name| {
        let [first, second] = folder else { return None };
        let file = Text::of(&[first, second, b"/", name.to_bytes()])?;
        // SAFETY: a C string.
        let there = unsafe { libc::access(file.as_c().as_ptr(), libc::R_OK) } == 0;
        there.then(|| open(file.as_c(), libc::RTLD_LAZY)).flatten()
    })
}

fn variable(name: &CStr) -> Option<&'static CStr> {
    // SAFETY: `name` is a C string.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: a C string of the environment, used at once.
    let value = unsafe { CStr::from_ptr(value) };
    (!value.is_empty()).then_some(value)
}

fn open(file: &CStr, flags: c_int) -> Option<Cupti> {
    // SAFETY: a C string; what the object's constructors do is CUPTI's.
    let handle = unsafe { libc::dlopen(file.as_ptr(), flags) };
    if handle.is_null() {
        forget_error();
        return None;
    }
    let cupti = functions(handle);
    if cupti.is_none() {
        forget_error();
        // SAFETY: gives back what was taken.
        unsafe { libc::dlclose(handle) };
    }
    cupti
}

/// The program's next `dlerror` is not about us.
fn forget_error() {
    // SAFETY: takes nothing.
    unsafe { libc::dlerror() };
}

fn functions(handle: *mut c_void) -> Option<Cupti> {
    let dlsym = system_dlsym()?;
    let get = |name: &CStr| {
        // SAFETY: a handle and a C string.
        let found = unsafe { dlsym(handle, name.as_ptr()) };
        (!found.is_null()).then_some(found)
    };
    macro_rules! function {
        ($name:literal as $type:ty) => {
            get($name).map(|address| {
                // SAFETY: CUPTI's function of this name has this type, say its headers.
                unsafe { core::mem::transmute::<*mut c_void, $type>(address) }
            })
        };
    }
    Some(Cupti {
        register: function!(
            c"cuptiActivityRegisterCallbacks"
                as unsafe extern "C" fn(Requested, Completed) -> c_int
        )?,
        enable: function!(c"cuptiActivityEnable" as unsafe extern "C" fn(u32) -> c_int)?,
        disable: function!(c"cuptiActivityDisable" as unsafe extern "C" fn(u32) -> c_int)?,
        flush: function!(c"cuptiActivityFlushAll" as unsafe extern "C" fn(u32) -> c_int)?,
        flush_period: function!(c"cuptiActivityFlushPeriod" as unsafe extern "C" fn(u32) -> c_int),
        next: function!(
            c"cuptiActivityGetNextRecord"
                as unsafe extern "C" fn(*mut u8, usize, *mut *mut u8) -> c_int
        )?,
        timestamp: function!(c"cuptiGetTimestamp" as unsafe extern "C" fn(*mut u64) -> c_int)?,
        dropped: function!(
            c"cuptiActivityGetNumDroppedRecords"
                as unsafe extern "C" fn(*mut c_void, u32, *mut usize) -> c_int
        ),
        path: path_of(get(c"cuptiGetTimestamp")?),
    })
}

fn path_of(address: *mut c_void) -> [u8; PATH] {
    let (path, _) = super::super::symbols::origin(address.cast_const().cast());
    path.and_then(|path| Text::of(&[path.to_bytes()]))
        .map_or([0; PATH], |text| text.bytes)
}

impl Cupti {
    /// The library's file.
    pub(super) fn path(&self) -> &[u8] {
        CStr::from_bytes_until_nul(&self.path).map_or(&[], CStr::to_bytes)
    }

    pub(super) fn register(&self, requested: Requested, completed: Completed) -> c_int {
        // SAFETY: functions that live as long as the process.
        unsafe { (self.register)(requested, completed) }
    }

    pub(super) fn enable(&self, kind: u32) -> c_int {
        // SAFETY: takes a number.
        unsafe { (self.enable)(kind) }
    }

    pub(super) fn disable(&self, kind: u32) {
        // SAFETY: takes a number.
        unsafe { (self.disable)(kind) };
    }

    pub(super) fn flush(&self, flags: u32) {
        // SAFETY: takes a number; calls back into `completed`.
        unsafe { (self.flush)(flags) };
    }

    pub(super) fn flush_every(&self, milliseconds: u32) {
        if let Some(period) = self.flush_period {
            // SAFETY: takes a number.
            unsafe { period(milliseconds) };
        }
    }

    /// Steps to the next record of a buffer; false at its end.
    pub(super) fn next(&self, buffer: *mut u8, valid: usize, record: &mut *mut u8) -> bool {
        // SAFETY: CUPTI's buffer, and the record that it gave before or null.
        let status = unsafe { (self.next)(buffer, valid, record) };
        status == 0 && !record.is_null()
    }

    /// CUPTI's clock now.
    pub(super) fn timestamp(&self) -> Option<Nanos> {
        let mut time = 0_u64;
        // SAFETY: `time` is writable.
        let status = unsafe { (self.timestamp)(&raw mut time) };
        (status == 0 && time != 0).then_some(Nanos(time))
    }

    /// Records that CUPTI had no room for since the last time.
    pub(super) fn dropped(&self, context: *mut c_void, stream: u32) -> u64 {
        let Some(dropped) = self.dropped else {
            return 0;
        };
        let mut count = 0_usize;
        // SAFETY: `count` is writable.
        let status = unsafe { dropped(context, stream, &raw mut count) };
        if status == 0 { count as u64 } else { 0 }
    }
}
