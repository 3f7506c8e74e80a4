//! The object: one layer's part of an op, and the plant if this copy holds it.
//!
//! Each copy under its own name has its own settings, locks and call sites. Lock functions are
//! the C library's, called from this object, so that whoever looks sees this object's addresses.

mod device;
mod driver;
mod locks;
mod plants;
mod sys;
mod worker;

use crate::setup::{CallFn, MAX_THREADS, Setup};
use crate::{Layer, Plant, Timing};
use core::ffi::{c_int, c_uint};
use std::sync::OnceLock;

/// Settings of this copy.
static SETTINGS: OnceLock<Settings> = OnceLock::new();

/// [`Setup`] with its numbers read.
pub(crate) struct Settings {
    setup: Setup,
    pub(crate) plant: Plant,
    pub(crate) timing: Timing,
}

impl Settings {
    fn read(setup: Setup) -> Option<Settings> {
        let threads = usize::try_from(setup.threads).ok()?;
        let plant = Plant::from_number(setup.plant)?;
        let timing = Timing {
            hold_ns: setup.hold_ns,
            device_ns: setup.device_ns,
        };
        (1..=MAX_THREADS).contains(&threads).then_some(Settings {
            setup,
            plant,
            timing,
        })
    }

    pub(crate) fn guilty(&self) -> bool {
        self.setup.guilty != 0
    }

    pub(crate) fn removed(&self) -> bool {
        self.setup.removed != 0
    }

    pub(crate) fn threads(&self) -> usize {
        self.setup.threads as usize
    }

    /// The lock that `thread` takes: one for all, or its own when the plant is removed.
    pub(crate) fn lock_of(&self, thread: usize) -> usize {
        if self.removed() { thread } else { 0 }
    }

    pub(crate) fn layer(&self) -> u32 {
        self.setup.layer
    }

    pub(crate) fn span(&self, engine: usize, begin: u64, end: u64) {
        if let Some(span) = self.setup.span {
            // SAFETY: the probe's function takes any numbers at any time.
            unsafe { span(engine as u64 + 1, begin, end) };
        }
    }

    pub(crate) fn allocate(&self, thread: usize) {
        if let Some(allocate) = self.setup.allocate {
            // SAFETY: the host gives the allocator's function, which takes any thread number
            // below the number of threads.
            unsafe { allocate(thread as c_uint) };
        }
    }
}

/// The settings; the object is of no use without them.
pub(crate) fn settings() -> &'static Settings {
    match SETTINGS.get() {
        Some(settings) => settings,
        None => sys::die("no settings"),
    }
}

/// Takes the settings of this copy, and starts its workers.
///
/// # Safety
/// `setup` points to a whole [`Setup`], whose functions stay loaded.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn planted_setup(setup: *const Setup) -> c_int {
    // SAFETY: the caller's contract.
    let Some(setup) = (unsafe { setup.as_ref() }) else {
        return libc::EINVAL;
    };
    let Some(settings) = Settings::read(*setup) else {
        return libc::EINVAL;
    };
    if SETTINGS.set(settings).is_err() {
        return libc::EBUSY;
    }
    plants::prepare(self::settings());
    0
}

/// One layer's part of an op: what is planted here, then the layers below, then the way back.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn planted_call(thread: c_uint, op: u64) {
    let settings = settings();
    let number = thread as usize;
    plants::before(settings, number, op);
    match settings.setup.next {
        Some(next) => down(next, thread, op),
        None => device_op(settings, thread, op),
    }
    plants::after(settings, number, op);
}

/// A thread does no more ops.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn planted_finish(thread: c_uint) {
    plants::finish(settings(), thread as usize);
}

fn down(next: CallFn, thread: c_uint, op: u64) {
    // SAFETY: the host gives the `planted_call` of the object below, which has its settings.
    unsafe { next(thread, op) };
}

/// The runtime's calls of the driver for one op.
fn device_op(settings: &Settings, thread: c_uint, op: u64) {
    let Some(driver) = settings.setup.driver else {
        return;
    };
    let mut module = core::ptr::null_mut();
    let stream = device::stream_of(thread as usize);
    if settings.plant == Plant::LazyLoad && plants::loads(thread as usize, op) {
        // SAFETY: the driver writes one pointer and does not read the image.
        sys::check(unsafe { (driver.load)(&mut module, stream) });
    }
    let none = core::ptr::null_mut();
    // SAFETY: the driver reads nothing but the stream, which it has for every thread.
    let status = unsafe { (driver.launch)(module, 1, 1, 1, 1, 1, 1, 0, stream, none, none) };
    sys::check(status);
    // SAFETY: as above.
    sys::check(unsafe { (driver.synchronize)(stream) });
}

/// What an allocator does that has one lock. The section is as long as the allocator holds it.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn planted_allocate(thread: c_uint) {
    plants::allocator(settings(), thread as usize);
}

/// Whether this copy poses as the driver.
pub(crate) fn is_driver(settings: &Settings) -> bool {
    settings.layer() == Layer::Driver.number()
}
