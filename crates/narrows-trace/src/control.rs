//! A page through which a running program is told to delay one point: the causal test.
//!
//! The probe makes `FOLDER/control.<pid>` and looks at one word in its hooks; whoever experiments
//! opens the page, arms a [`Point`] with a delay, lets the program run for a block, disarms it and
//! compares throughputs. Nothing here stops the program, and a page that nobody opens costs a load
//! and a branch. What is made of the numbers lives in `narrows-model`.

use crate::sys::{self, Errno};
use crate::{CallId, CodeAddr, Pid, Ticks};
use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const MAGIC: u64 = u64::from_le_bytes(*b"nrwCtl01");
const BYTES: usize = 4096;
const SHARDS: usize = 32;

const OFF: u32 = 0;
const CALL: u32 = 1;
const SITE: u32 = 2;

/// Where a delay is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Inside a recorded call, before the real function.
    Call(CallId),
    /// After a lock was taken at this return address, while it is held.
    Site(CodeAddr),
}

/// Why a page could not be made or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// A system call failed.
    #[error("control page {path}: {call} failed with error {errno}")]
    Os {
        /// The file.
        path: String,
        /// The system call.
        call: &'static str,
        /// Error number.
        errno: i32,
    },
    /// The file is no control page of this version.
    #[error("control page {path}: not a control page of this version")]
    Foreign {
        /// The file.
        path: String,
    },
}

/// One count per cache line, so that counting does not serialise what is being tested.
#[repr(C, align(64))]
struct Shard {
    hits: AtomicU64,
    /// Ticks that the delays really took.
    spent: AtomicU64,
}

#[repr(C)]
struct Page {
    magic: AtomicU64,
    armed: AtomicU32,
    _pad: AtomicU32,
    target: AtomicU64,
    delay: AtomicU64,
    shards: [Shard; SHARDS],
}

const _: () = assert!(size_of::<Page>() <= BYTES);

/// The probe's side: looked at in hooks. Copyable, never unmapped.
#[derive(Clone, Copy)]
pub struct Control(&'static Page);

impl Control {
    /// Makes the page of this process in `folder`. Cold; raw system calls only.
    pub fn create(folder: &CStr) -> Option<Control> {
        let mut name = [0u8; 1088];
        let path = path_in(folder, Pid(sys::process_id()), &mut name)?;
        let file = sys::create_file(path).ok()?;
        sys::reserve(&file, 0, BYTES as u64).ok()?;
        let page = map(&file).ok()?;
        page.magic.store(MAGIC, Ordering::Release);
        Some(Control(page))
    }

    /// Whether any point is armed.
    #[inline(always)]
    pub fn is_armed(self) -> bool {
        self.0.armed.load(Ordering::Relaxed) != OFF
    }

    /// Spins if this call is the armed point. `thread` only spreads the counting.
    #[inline]
    pub fn at_call(self, call: CallId, thread: u32) {
        if self.is_armed() {
            self.spin(CALL, u64::from(call.0), thread);
        }
    }

    /// Spins if this lock site is the armed point.
    #[inline]
    pub fn at_site(self, site: CodeAddr, thread: u32) {
        if self.is_armed() {
            self.spin(SITE, site.0, thread);
        }
    }

    #[cold]
    #[inline(never)]
    fn spin(self, kind: u32, target: u64, thread: u32) {
        let page = self.0;
        let armed = page.armed.load(Ordering::Acquire) == kind;
        if !armed || page.target.load(Ordering::Relaxed) != target {
            return;
        }
        let begin = Ticks::now();
        let delay = page.delay.load(Ordering::Relaxed);
        let mut spent = 0;
        while spent < delay {
            std::hint::spin_loop();
            spent = Ticks::now().since(begin);
        }
        // A thread that lost its core in here was delayed by longer than asked for.
        let shard = &page.shards[thread as usize % SHARDS];
        shard.spent.fetch_add(spent, Ordering::Relaxed);
        shard.hits.fetch_add(1, Ordering::Relaxed);
    }
}

/// The experimenter's side.
pub struct Controller {
    page: &'static Page,
}

impl Controller {
    /// Opens the page of process `pid` in `folder`.
    pub fn open(folder: &CStr, pid: Pid) -> Result<Controller, ControlError> {
        let mut name = [0u8; 1088];
        let shown = || format!("{}/control.{}", folder.to_string_lossy(), pid.0);
        let failed = |call, errno: Errno| ControlError::Os {
            path: shown(),
            call,
            errno: errno.0,
        };
        let path = path_in(folder, pid, &mut name)
            .ok_or_else(|| failed("open", Errno(libc::ENAMETOOLONG)))?;
        let file = sys::open_file(path).map_err(|e| failed("open", e))?;
        // Without room behind it the mapping would fault: growing to the full size is harmless.
        sys::reserve(&file, 0, BYTES as u64).map_err(|e| failed("reserve", e))?;
        let page = map(&file).map_err(|e| failed("mmap", e))?;
        if page.magic.load(Ordering::Acquire) != MAGIC {
            return Err(ControlError::Foreign { path: shown() });
        }
        Ok(Controller { page })
    }

    /// Delays `point` by `delay` ticks from now on.
    pub fn arm(&self, point: Point, delay: u64) {
        self.disarm();
        let (kind, target) = match point {
            Point::Call(call) => (CALL, u64::from(call.0)),
            Point::Site(site) => (SITE, site.0),
        };
        self.page.target.store(target, Ordering::Relaxed);
        self.page.delay.store(delay, Ordering::Relaxed);
        self.page.armed.store(kind, Ordering::Release);
    }

    /// No delay from now on.
    pub fn disarm(&self) {
        self.page.armed.store(OFF, Ordering::Release);
    }

    /// Delays made so far, all points together.
    pub fn hits(&self) -> u64 {
        self.page
            .shards
            .iter()
            .map(|s| s.hits.load(Ordering::Relaxed))
            .sum()
    }
}

impl Controller {
    /// Ticks that all those delays really took.
    pub fn spent(&self) -> u64 {
        self.page
            .shards
            .iter()
            .map(|s| s.spent.load(Ordering::Relaxed))
            .sum()
    }
}

impl Drop for Controller {
    /// Whoever leaves, leaves the program undisturbed.
    fn drop(&mut self) {
        self.disarm();
        let base = std::ptr::from_ref(self.page).cast_mut().cast::<u8>();
        // SAFETY: `page` was mapped by `open` with this length and is used only through `self`.
        unsafe { sys::unmap(base, BYTES) };
    }
}

fn map(file: &sys::Fd) -> Result<&'static Page, Errno> {
    let base = sys::map_file(file, BYTES)?;
    // SAFETY: the mapping is page-aligned and BYTES long, `Page` fits (asserted above) and is made
    // of atomics and padding only, so any contents and concurrent writers are allowed. It stays
    // mapped: `Control` never unmaps, `Controller` only when it is dropped.
    Ok(unsafe { &*base.cast::<Page>() })
}

/// `FOLDER/control.PID` without allocation.
fn path_in<'a>(folder: &CStr, pid: Pid, buffer: &'a mut [u8]) -> Option<&'a CStr> {
    let mut digits = [0u8; 10];
    let mut at = digits.len();
    let mut left = pid.0;
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    let parts = [folder.to_bytes(), b"/control.", &digits[at..], b"\0"];
    let mut length = 0;
    for part in parts {
        buffer
            .get_mut(length..length + part.len())?
            .copy_from_slice(part);
        length += part.len();
    }
    CStr::from_bytes_with_nul(&buffer[..length]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    fn folder() -> (tempfile::TempDir, CString) {
        let folder = tempfile::tempdir().unwrap();
        let path = CString::new(folder.path().as_os_str().as_bytes()).unwrap();
        (folder, path)
    }

    #[test]
    fn only_the_armed_point_is_delayed() {
        let (_keep, folder) = folder();
        let control = Control::create(&folder).unwrap();
        let controller = Controller::open(&folder, Pid(std::process::id())).unwrap();
        let (here, there) = (CodeAddr(0x10), CodeAddr(0x20));
        control.at_site(here, 1);
        assert_eq!(controller.hits(), 0);
        controller.arm(Point::Site(here), 50_000);
        let begin = Ticks::now();
        control.at_site(here, 1);
        assert!(Ticks::now().since(begin) >= 50_000);
        control.at_site(there, 1);
        control.at_call(CallId(0x10), 1);
        assert_eq!(controller.hits(), 1);
        assert!(controller.spent() >= 50_000);
        controller.arm(Point::Call(CallId(9)), 1);
        control.at_call(CallId(9), 40);
        control.at_site(here, 1);
        assert_eq!(controller.hits(), 2);
        drop(controller);
        assert!(!control.is_armed());
    }

    #[test]
    fn a_second_page_and_a_foreign_file_are_refused() {
        let (_keep, folder) = folder();
        assert!(Control::create(&folder).is_some());
        assert!(Control::create(&folder).is_none());
        assert!(matches!(
            Controller::open(&folder, Pid(1)),
            Err(ControlError::Os { .. })
        ));
        let foreign = std::path::Path::new(std::ffi::OsStr::from_bytes(folder.to_bytes()));
        std::fs::write(foreign.join("control.77"), b"something else").unwrap();
        assert!(matches!(
            Controller::open(&folder, Pid(77)),
            Err(ControlError::Foreign { .. })
        ));
    }
}
