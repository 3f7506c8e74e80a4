//! System calls on GPU device files: `ioctl`, `poll`, `epoll_wait`.
//!
//! An `ioctl` is looked at by its request number first: only those that GPU drivers use cost a
//! look at the file. What a file descriptor was found to be is kept, and checked again whenever
//! it would matter, because descriptors are closed and reused unseen.

use super::waits::{self, Site, Waiting, ready};
use crate::base::local::Errno;
use crate::base::{Call, Inside, Scope};
use core::ffi::{c_int, c_ulong};
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use libc::{epoll_event, nfds_t, pollfd, sigset_t, timespec};
use narrows_trace::{Api, CallKind, ObjectId, Ticks, WaitKind};

type Events = *mut epoll_event;

real! {
    IOCTL = ioctl(c_int, c_ulong, usize) -> c_int;
    POLL = poll(*mut pollfd, nfds_t, c_int) -> c_int;
    PPOLL = ppoll(*mut pollfd, nfds_t, *const timespec, *const sigset_t) -> c_int;
    EPOLL_CTL = epoll_ctl(c_int, c_int, c_int, Events) -> c_int;
    EPOLL_WAIT = epoll_wait(c_int, Events, c_int, c_int) -> c_int;
    EPOLL_PWAIT = epoll_pwait(c_int, Events, c_int, c_int, *const sigset_t) -> c_int;
}

hooks! {
    fn ioctl(file: c_int, request: c_ulong, argument: usize) -> c_int = do_ioctl;
    fn poll(files: *mut pollfd, count: nfds_t, limit: c_int) -> c_int = do_poll;
    fn ppoll(files: *mut pollfd, count: nfds_t, limit: *const timespec, mask: *const sigset_t) -> c_int
        = do_ppoll;
    fn epoll_ctl(set: c_int, action: c_int, file: c_int, event: Events) -> c_int = do_epoll_ctl;
    fn epoll_wait(set: c_int, events: Events, count: c_int, limit: c_int) -> c_int
        = do_epoll_wait;
    fn epoll_pwait(set: c_int, events: Events, count: c_int, limit: c_int, mask: *const sigset_t) -> c_int
        = do_epoll_pwait;
}

static NVIDIA: Call = Call::new("ioctl /dev/nvidia", Api::Kernel, CallKind::Kernel);
static DRI: Call = Call::new("ioctl /dev/dri", Api::Kernel, CallKind::Kernel);
static KFD: Call = Call::new("ioctl /dev/kfd", Api::Kernel, CallKind::Kernel);

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// Not looked at, or none of the others.
    Other = 0,
    /// `/dev/nvidia*`.
    Nvidia = 1,
    /// `/dev/dri/*`.
    Dri = 2,
    /// `/dev/kfd`.
    Kfd = 3,
    /// An epoll set with a device file in it.
    Set = 4,
}

impl Kind {
    fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Nvidia,
            2 => Self::Dri,
            3 => Self::Kfd,
            4 => Self::Set,
            _ => Self::Other,
        }
    }

    /// By the name that the kernel gives for the open file.
    fn of_path(path: &[u8]) -> Self {
        if path.starts_with(b"/dev/nvidia") {
            Self::Nvidia
        } else if path.starts_with(b"/dev/dri/") {
            Self::Dri
        } else if path == b"/dev/kfd" {
            Self::Kfd
        } else {
            Self::Other
        }
    }

    fn call(self) -> Option<&'static Call> {
        match self {
            Self::Nvidia => Some(&NVIDIA),
            Self::Dri => Some(&DRI),
            Self::Kfd => Some(&KFD),
            Self::Other | Self::Set => None,
        }
    }
}

const FILES: usize = 65_536;
static KNOWN: [AtomicU8; FILES] = [const { AtomicU8::new(0) }; FILES];
/// Whether any device file was seen.
static ANY: AtomicBool = AtomicBool::new(false);

fn known(file: c_int) -> Kind {
    usize::try_from(file)
        .ok()
        .and_then(|file| KNOWN.get(file))
        .map_or(Kind::Other, |kind| {
            Kind::from_number(kind.load(Ordering::Relaxed))
        })
}

fn remember(file: c_int, kind: Kind) {
    if let Some(known) = usize::try_from(file).ok().and_then(|file| KNOWN.get(file)) {
        known.store(kind as u8, Ordering::Relaxed);
        if kind != Kind::Other {
            ANY.store(true, Ordering::Relaxed);
        }
    }
}

/// Whether GPU drivers use requests like this one: those of DRM (`d`), NVIDIA (`F`, `m`), KFD
/// (`K`), and NVIDIA's unified memory driver, which uses bare numbers.
const fn may_be_gpu(request: c_ulong) -> bool {
    match (request >> 8) as u8 {
        b'd' | b'F' | b'K' | b'm' => true,
        0 => request < 0x100 || matches!(request, 0x3000_0001 | 0x3000_0002),
        _ => false,
    }
}

/// Asks the kernel what a file is, and keeps the answer. Leaves `errno` alone.
#[cold]
#[inline(never)]
fn look(file: c_int) -> Kind {
    let _errno = Errno::keep();
    let _inside = Inside::enter();
    let kind = if is_character_device(file) {
        Kind::of_path(link_of(file, &mut [0; 64]))
    } else {
        Kind::Other
    };
    remember(file, kind);
    kind
}

fn is_character_device(file: c_int) -> bool {
    // SAFETY: stat is made of integers, for which zeros are valid.
    let mut status: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: `status` is writable.
    let result = unsafe { libc::fstat(file, &raw mut status) };
    result == 0 && status.st_mode & libc::S_IFMT == libc::S_IFCHR
}

fn link_of(file: c_int, buffer: &mut [u8; 64]) -> &[u8] {
    let mut name = [0_u8; 32];
    let prefix = b"/proc/self/fd/";
    let mut digits = [0_u8; 12];
    let digits = decimal(file, &mut digits);
    for (to, from) in name.iter_mut().zip(prefix.iter().chain(digits)) {
        *to = *from;
    }
    // SAFETY: `name` ends with a zero, and the buffer has the length that is given.
    let length = unsafe {
        libc::readlink(
            name.as_ptr().cast(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
        )
    };
    buffer
        .get(..usize::try_from(length).unwrap_or(0))
        .unwrap_or(&[])
}

fn decimal(number: c_int, buffer: &mut [u8; 12]) -> &[u8] {
    let mut rest = number.unsigned_abs();
    let mut first = buffer.len();
    for (at, digit) in buffer.iter_mut().enumerate().rev() {
        *digit = b'0' + (rest % 10) as u8;
        first = at;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    buffer.get(first..).unwrap_or(&[])
}

unsafe extern "C-unwind" fn do_ioctl(
    file: c_int,
    request: c_ulong,
    argument: usize,
    _site: Site,
) -> c_int {
    let Some(real) = IOCTL.get() else { return -1 };
    let scope = if may_be_gpu(request) {
        gpu_scope(file)
    } else {
        None
    };
    // SAFETY: the caller's arguments.
    let status = unsafe { real(file, request, argument) };
    if let Some(scope) = scope {
        let _errno = Errno::keep();
        scope.leave(ObjectId(file as u64), status < 0);
    }
    status
}

#[inline(never)]
fn gpu_scope(file: c_int) -> Option<Scope> {
    ready()?;
    let kind = match known(file) {
        Kind::Other | Kind::Set => look(file),
        kind => kind,
    };
    Scope::enter(kind.call()?)
}

/// Records a wait for device files, if any is among those that are waited for.
macro_rules! device_wait {
    ($any:expr, $file:expr, $site:ident, $call:expr) => {{
        if !ANY.load(Ordering::Relaxed) || !$any {
            return $call;
        }
        let Some(recording) = ready() else {
            return $call;
        };
        let waiting = Waiting {
            kind: WaitKind::Poll,
            lock: $file,
            site: $site,
            owner: None,
        };
        let start = Ticks::now();
        let status = $call;
        waits::waited(recording, waiting, start, status < 0);
        status
    }};
}

/// The first device file of a list.
///
/// # Safety
/// `files` has `count` entries.
unsafe fn device_in(files: *const pollfd, count: nfds_t) -> Option<c_int> {
    if files.is_null() {
        return None;
    }
    // SAFETY: passed on.
    let files = unsafe { core::slice::from_raw_parts(files, count as usize) };
    files
        .iter()
        .map(|entry| entry.fd)
        .find(|file| is_device(*file))
}

/// Whether a file that was a device file still is one.
fn is_device(file: c_int) -> bool {
    known(file).call().is_some() && look(file).call().is_some()
}

unsafe extern "C-unwind" fn do_poll(
    files: *mut pollfd,
    count: nfds_t,
    limit: c_int,
    site: Site,
) -> c_int {
    let Some(real) = POLL.get() else { return -1 };
    // SAFETY: the caller's list.
    let file = any_device(|| unsafe { device_in(files, count) });
    // SAFETY: the caller's arguments.
    device_wait!(file.is_some(), file.unwrap_or(0) as usize, site, unsafe {
        real(files, count, limit)
    })
}

unsafe extern "C-unwind" fn do_ppoll(
    files: *mut pollfd,
    count: nfds_t,
    limit: *const timespec,
    mask: *const sigset_t,
    site: Site,
) -> c_int {
    let Some(real) = PPOLL.get() else { return -1 };
    // SAFETY: the caller's list.
    let file = any_device(|| unsafe { device_in(files, count) });
    // SAFETY: the caller's arguments.
    device_wait!(file.is_some(), file.unwrap_or(0) as usize, site, unsafe {
        real(files, count, limit, mask)
    })
}

fn any_device(search: impl FnOnce() -> Option<c_int>) -> Option<c_int> {
    if ANY.load(Ordering::Relaxed) {
        search()
    } else {
        None
    }
}

unsafe extern "C-unwind" fn do_epoll_ctl(
    set: c_int,
    action: c_int,
    file: c_int,
    event: Events,
    _site: Site,
) -> c_int {
    let Some(real) = EPOLL_CTL.get() else {
        return -1;
    };
    // SAFETY: the caller's arguments.
    let status = unsafe { real(set, action, file, event) };
    if status == 0 && action == libc::EPOLL_CTL_ADD && ANY.load(Ordering::Relaxed) {
        let kind = if is_device(file) {
            Kind::Set
        } else {
            known(set)
        };
        remember(set, kind);
    }
    status
}

unsafe extern "C-unwind" fn do_epoll_wait(
    set: c_int,
    events: Events,
    count: c_int,
    limit: c_int,
    site: Site,
) -> c_int {
    let Some(real) = EPOLL_WAIT.get() else {
        return -1;
    };
    // SAFETY: the caller's arguments.
    device_wait!(known(set) == Kind::Set, set as usize, site, unsafe {
        real(set, events, count, limit)
    })
}

unsafe extern "C-unwind" fn do_epoll_pwait(
    set: c_int,
    events: Events,
    count: c_int,
    limit: c_int,
    mask: *const sigset_t,
    site: Site,
) -> c_int {
    let Some(real) = EPOLL_PWAIT.get() else {
        return -1;
    };
    // SAFETY: the caller's arguments.
    device_wait!(known(set) == Kind::Set, set as usize, site, unsafe {
        real(set, events, count, limit, mask)
    })
}

#[cfg(test)]
mod tests {
    use super::{Kind, decimal, may_be_gpu};

    #[test]
    fn device_files_by_name() {
        for (path, kind) in [
            ("/dev/nvidia0", Kind::Nvidia),
            ("/dev/nvidiactl", Kind::Nvidia),
            ("/dev/nvidia-uvm", Kind::Nvidia),
            ("/dev/dri/renderD128", Kind::Dri),
            ("/dev/kfd", Kind::Kfd),
            ("/dev/kfd2", Kind::Other),
            ("/dev/null", Kind::Other),
            ("/tmp/dev/dri/card0", Kind::Other),
        ] {
            assert_eq!(Kind::of_path(path.as_bytes()), kind, "{path}");
        }
    }

    #[test]
    fn requests_of_gpu_drivers() {
        assert!(may_be_gpu(0xc010_6409), "a DRM request");
        assert!(may_be_gpu(0xc020_462a), "NV_ESC_RM_CONTROL");
        assert!(may_be_gpu(0x3000_0001), "UVM_INITIALIZE");
        assert!(may_be_gpu(33), "a request of the unified memory driver");
        assert!(!may_be_gpu(0x5401), "TCGETS");
        assert!(!may_be_gpu(0x541b), "FIONREAD");
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal(0, &mut [0; 12]), b"0");
        assert_eq!(decimal(65_535, &mut [0; 12]), b"65535");
        assert_eq!(decimal(i32::MAX, &mut [0; 12]), b"2147483647");
    }
}
