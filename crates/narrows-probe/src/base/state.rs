//! The life cycle of the probe in this process.

use super::local::{Local, Mode};
use core::sync::atomic::{AtomicU32, Ordering};
use narrows_trace::writer::Writer;

static GENERATION: AtomicU32 = AtomicU32::new(1);

/// Number of the present recording in this process image: 1, then one more after each `fork`.
/// Never 0, at most 16 bits.
#[inline(always)]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// The recorder, while the probe is on.
pub(crate) fn writer() -> Option<Writer> {
    None
}

/// Makes the thread `Ready` if it can be; true if it is.
#[cold]
#[inline(never)]
pub(crate) fn ready_slow(local: *mut Local) -> bool {
    // SAFETY: the calling thread's own block.
    let mode = unsafe { (*local).mode };
    mode == Mode::Ready
}
