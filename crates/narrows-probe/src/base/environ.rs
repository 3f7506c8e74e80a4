//! Takes the probe out of the environment that children inherit (`NARROWS_CHILDREN=0`).
//!
//! Done once, in place, before the program's own code runs: nothing grows, nothing is allocated,
//! and no `exec` or `spawn` has to be touched later. A program that builds its children's
//! environment from scratch is left alone either way.

use core::ffi::{CStr, c_char};

/// The list of the environment's entries.
#[cfg(target_os = "linux")]
fn list() -> *mut *mut c_char {
    unsafe extern "C" {
        static mut environ: *mut *mut c_char;
    }
    // SAFETY: read once; the program's own code does not run yet.
    unsafe { environ }
}

/// The list of the environment's entries. Libraries reach it through a function on macOS.
#[cfg(target_os = "macos")]
fn list() -> *mut *mut c_char {
    unsafe extern "C" {
        safe fn _NSGetEnviron() -> *mut *mut *mut c_char;
    }
    // SAFETY: always a readable pointer; the program's own code does not run yet.
    unsafe { *_NSGetEnviron() }
}

/// The variable that inserts libraries.
#[cfg(target_os = "linux")]
const INSERTED: &[u8] = b"LD_PRELOAD=";
#[cfg(target_os = "macos")]
const INSERTED: &[u8] = b"DYLD_INSERT_LIBRARIES=";

/// Our file, as it stands there.
#[cfg(target_os = "linux")]
const LIBRARY: &[u8] = b"libnarrows_probe.so";
#[cfg(target_os = "macos")]
const LIBRARY: &[u8] = b"libnarrows_probe.dylib";

/// Removes our variables, and our entry of `LD_PRELOAD`.
pub(crate) fn strip() {
    let list = list();
    if list.is_null() {
        return;
    }
    let (mut from, mut to) = (list, list);
    loop {
        // SAFETY: the list ends with a null pointer.
        let entry = unsafe { *from };
        from = from.wrapping_add(1);
        // SAFETY: not behind `from`, so in the list.
        unsafe { *to = entry };
        if entry.is_null() {
            return;
        }
        // SAFETY: an environment entry is a C string in writable memory.
        if unsafe { keep(entry) } {
            to = to.wrapping_add(1);
        }
    }
}

/// Whether an entry stays; takes our file out of it.
///
/// # Safety
/// `entry` is a writable C string that nobody else uses now.
unsafe fn keep(entry: *mut c_char) -> bool {
    // SAFETY: a C string, says the caller.
    let length = unsafe { CStr::from_ptr(entry) }.count_bytes();
    // SAFETY: as long as the string with its final zero, writable and not used by others.
    let text = unsafe { core::slice::from_raw_parts_mut(entry.cast::<u8>(), length + 1) };
    if text.starts_with(b"NARROWS_") {
        return false;
    }
    match text.strip_prefix(INSERTED) {
        Some(_) => keep_list(text),
        None => true,
    }
}

/// Takes our file out of `LD_PRELOAD=...\0` or what it is called here; false when nothing is left.
fn keep_list(text: &mut [u8]) -> bool {
    let start = INSERTED.len();
    let (mut from, mut to) = (start, start);
    while from < text.len().saturating_sub(1) {
        let rest = text.get(from..).unwrap_or(&[]);
        let length = rest
            .iter()
            .position(|byte| matches!(byte, b':' | b' ' | 0))
            .unwrap_or(0);
        let one = rest.get(..length).unwrap_or(&[]);
        if !one.is_empty() && !is_ours(one) {
            if to > start {
                if let Some(place) = text.get_mut(to) {
                    *place = b':';
                }
                to += 1;
            }
            text.copy_within(from..from + length, to);
            to += length;
        }
        from += length + 1;
    }
    if let Some(place) = text.get_mut(to) {
        *place = 0;
    }
    to > start
}

fn is_ours(file: &[u8]) -> bool {
    file.rsplit(|byte| *byte == b'/').next() == Some(LIBRARY)
}

#[cfg(test)]
mod tests {
    use super::keep_list;

    fn kept(list: &str) -> Option<String> {
        let mut text = format!("LD_PRELOAD={list}\0").into_bytes();
        let keep = keep_list(&mut text);
        let end = text.iter().position(|byte| *byte == 0).unwrap();
        keep.then(|| String::from_utf8(text[11..end].to_vec()).unwrap())
    }

    #[test]
    fn our_file_goes_others_stay() {
        let ours = "/c/probe-1/libnarrows_probe.so";
        assert_eq!(kept(ours), None);
        assert_eq!(kept(""), None);
        assert_eq!(kept("a.so:b.so"), Some("a.so:b.so".into()));
        assert_eq!(kept(&format!("{ours}:a.so")), Some("a.so".into()));
        assert_eq!(kept(&format!("a.so {ours}")), Some("a.so".into()));
        assert_eq!(
            kept(&format!("a.so:{ours}:/x/b.so")),
            Some("a.so:/x/b.so".into())
        );
        assert_eq!(kept(&format!("{ours}: {ours}")), None);
        assert_eq!(
            kept("/x/libnarrows_probe.so.1"),
            Some("/x/libnarrows_probe.so.1".into())
        );
    }
}
