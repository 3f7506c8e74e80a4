//! The map of loaded images on macOS: told to the recorder as the dynamic linker tells it.
//!
//! The system's own images lie in one shared cache, each with a path of its own.

use super::local::Local;
use super::mach::{Header, Image, Place};
use super::state;
use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use narrows_trace::writer::Module;
use narrows_trace::{CodeAddr, Ticks};

unsafe extern "C" {
    safe fn _dyld_image_count() -> u32;
    safe fn _dyld_get_image_header(index: u32) -> *const Header;
    safe fn _dyld_get_image_name(index: u32) -> *const c_char;
    safe fn _dyld_get_image_vmaddr_slide(index: u32) -> isize;
    fn _dyld_register_func_for_add_image(function: extern "C" fn(*const Header, isize));
    fn _dyld_register_func_for_remove_image(function: extern "C" fn(*const Header, isize));
    fn dyld_image_path_containing_address(address: *const Header) -> *const c_char;
}

/// The image is, or contains, a Python interpreter.
pub(crate) const PYTHON: u32 = 1;

/// What is known of a caller's image.
pub(crate) struct Caller {
    /// [`PYTHON`].
    pub(crate) flags: u32,
}

/// An image with an interpreter. Written by the dynamic linker's call, which is one at a time.
struct Python {
    /// Its code; 0: free.
    start: AtomicUsize,
    end: AtomicUsize,
    /// The interpreter's static state.
    runtime: AtomicUsize,
    runtime_size: AtomicUsize,
}

/// One program has one, or two by mistake.
static PYTHONS: [Python; 4] = [const {
    Python {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        runtime: AtomicUsize::new(0),
        runtime_size: AtomicUsize::new(0),
    }
}; 4];

/// Whether the dynamic linker was asked to tell.
static TOLD: AtomicU32 = AtomicU32::new(0);

/// The first call asks the dynamic linker to tell of every image, those of now included. The
/// caller is inside the probe.
pub(crate) fn refresh() {
    if state::writer().is_none() || TOLD.swap(1, Ordering::AcqRel) != 0 {
        return;
    }
    // SAFETY: the function has the right type and stays: the library is never unloaded.
    unsafe { _dyld_register_func_for_add_image(added) };
    // SAFETY: as above.
    unsafe { _dyld_register_func_for_remove_image(removed) };
}

/// Nothing to do: the dynamic linker tells by itself.
pub(crate) fn refresh_if_stale() {}

/// A child after `fork`: the images are those of the parent.
pub(crate) fn after_fork() {}

/// Tells a new recording all images.
pub(crate) fn tell_again() {
    if TOLD.load(Ordering::Acquire) == 0 {
        refresh();
        return;
    }
    for index in 0.._dyld_image_count() {
        let header = _dyld_get_image_header(index);
        let name = _dyld_get_image_name(index);
        if !header.is_null() && !name.is_null() {
            tell(header, _dyld_get_image_vmaddr_slide(index), name);
        }
    }
}

/// What is known of the image that `site` is in. Images need not be looked up: they are told when
/// they appear.
pub(crate) fn caller(_local: &'static Local, site: CodeAddr) -> Caller {
    let flags = if python(site).is_some() { PYTHON } else { 0 };
    Caller { flags }
}

/// The interpreter's static state in the image that `site` is in.
pub(crate) fn python_runtime(site: CodeAddr) -> Option<Place> {
    let python = python(site)?;
    Some(Place {
        address: python.runtime.load(Ordering::Relaxed),
        size: python.runtime_size.load(Ordering::Relaxed),
    })
}

fn python(site: CodeAddr) -> Option<&'static Python> {
    let site = site.0 as usize;
    PYTHONS.iter().find(|python| {
        let start = python.start.load(Ordering::Acquire);
        start != 0 && (start..python.end.load(Ordering::Relaxed)).contains(&site)
    })
}

/// Remembers an image with an interpreter: the program, or one so named, that defines its state.
fn meet_python(image: Image, path: &[u8]) {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let named = [&b"Python"[..], b"python", b"libpython"];
    if !image.is_program() && !named.iter().any(|prefix| name.starts_with(prefix)) {
        return;
    }
    let Some(runtime) = image.find(b"__PyRuntime") else {
        return;
    };
    let code = image.code();
    let free = PYTHONS.iter().find(|python| {
        let start = python.start.load(Ordering::Relaxed);
        start == 0 || start == code.address
    });
    if let Some(python) = free {
        python
            .end
            .store(code.address + code.size, Ordering::Relaxed);
        python.runtime.store(runtime.address, Ordering::Relaxed);
        python.runtime_size.store(runtime.size, Ordering::Relaxed);
        python.start.store(code.address, Ordering::Release);
    }
}

/// Writes the path of the program; its length, negative when it is not known.
pub(crate) fn program_path(buffer: &mut [u8]) -> isize {
    let (at, length) = (buffer.as_mut_ptr().cast(), buffer.len() as u32);
    // SAFETY: the buffer has the length that is given.
    unsafe { libc::proc_pidpath(libc::getpid(), at, length) as isize }
}

extern "C" fn added(header: *const Header, slide: isize) {
    // SAFETY: an address in a loaded image.
    let name = unsafe { dyld_image_path_containing_address(header) };
    if !name.is_null() {
        tell(header, slide, name);
    }
    crate::gpu::loading();
}

extern "C" fn removed(header: *const Header, _slide: isize) {
    let Some(writer) = state::writer() else {
        return;
    };
    writer.module_unloaded(CodeAddr(header as u64), Ticks::now());
}

fn tell(header: *const Header, slide: isize, name: *const c_char) {
    let Some(writer) = state::writer() else {
        return;
    };
    // SAFETY: the dynamic linker's header of a mapped image, and its slide.
    let image = unsafe { Image::new(header, slide) };
    // SAFETY: the dynamic linker's C string, which lives as long as the image.
    let path = unsafe { CStr::from_ptr(name) }.to_bytes();
    let code = image.code();
    writer.module_loaded(&Module {
        at: Ticks::now(),
        base: CodeAddr(code.address as u64),
        end: CodeAddr((code.address + code.size) as u64),
        bias: slide as u64,
        path,
        build_id: &image.uuid(),
    });
    meet_python(image, path);
}
