//! The map of loaded images on macOS: told to the recorder as the dynamic linker tells it.
//!
//! The system's own images lie in one shared cache, each with a path of its own.

use super::local::Local;
use super::state;
use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicU32, Ordering};
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

/// `mach_header_64`.
#[repr(C)]
struct Header {
    magic: u32,
    cpu: [u32; 2],
    kind: u32,
    commands: u32,
    commands_size: u32,
    flags: u32,
    reserved: u32,
}

const LC_SEGMENT_64: u32 = 0x19;
const LC_UUID: u32 = 0x1b;

/// What an image says about itself.
struct Image {
    start: usize,
    end: usize,
    uuid: [u8; 16],
}

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

/// Callers need not be looked up: images are told when they appear.
pub(crate) fn caller(_local: &'static Local, _site: CodeAddr) {}

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
    // SAFETY: the image is still mapped while the dynamic linker tells of its removal.
    let image = unsafe { read(header, 0) };
    writer.module_unloaded(CodeAddr(image.start as u64), Ticks::now());
}

fn tell(header: *const Header, slide: isize, name: *const c_char) {
    let Some(writer) = state::writer() else {
        return;
    };
    // SAFETY: the dynamic linker's header of a mapped image.
    let image = unsafe { read(header, slide) };
    // SAFETY: the dynamic linker's C string, which lives as long as the image.
    let path = unsafe { CStr::from_ptr(name) }.to_bytes();
    writer.module_loaded(&Module {
        at: Ticks::now(),
        base: CodeAddr(image.start as u64),
        end: CodeAddr(image.end as u64),
        bias: slide as u64,
        path,
        build_id: &image.uuid,
    });
}

/// The image's code: its first segment. Others lie elsewhere in the shared cache.
///
/// # Safety
/// `header` is that of a mapped image.
unsafe fn read(header: *const Header, slide: isize) -> Image {
    let start = header as usize;
    let mut image = Image {
        start,
        end: start,
        uuid: [0; 16],
    };
    // SAFETY: as promised.
    let count = unsafe { (*header).commands };
    let mut at = header.wrapping_add(1).cast::<u8>();
    for _ in 0..count {
        // SAFETY: the header says that there are so many commands, each with its size.
        let [kind, size] = unsafe { at.cast::<[u32; 2]>().read_unaligned() };
        match kind {
            LC_SEGMENT_64 => {
                let name = at.wrapping_add(8).cast::<[u8; 16]>();
                // SAFETY: a segment command is longer than this.
                let name = unsafe { name.read_unaligned() };
                let sizes = at.wrapping_add(24).cast::<[u64; 2]>();
                // SAFETY: as above.
                let [address, length] = unsafe { sizes.read_unaligned() };
                if name.starts_with(b"__TEXT\0") {
                    let _ = (address, slide);
                    image.end = start.saturating_add(length as usize);
                }
            }
            LC_UUID => {
                let uuid = at.wrapping_add(8).cast::<[u8; 16]>();
                // SAFETY: a command with an identifier holds 16 bytes of it.
                image.uuid = unsafe { uuid.read_unaligned() };
            }
            _ => {}
        }
        at = at.wrapping_add(size as usize);
    }
    image
}
