//! The life cycle of the probe in this process: one enum, one transition function.
//!
//! ```text
//! Cold --Start--> Resolving --Open--> On --Fork--> Dead --Start--> Resolving ...
//!                     \-----Refuse--> Off
//! ```
//! A child that the user does not want to follow goes from `On` to `Off` when it forks.

use super::local::{Local, Mode};
use super::{life, thread};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};
use narrows_trace::writer::Writer;

/// Where the probe is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum State {
    /// Nothing was done yet.
    Cold = 0,
    /// One thread looks up functions and opens the recording; hooks pass through.
    Resolving = 1,
    /// Hooks pass through for good.
    Off = 2,
    /// Recording.
    On = 3,
    /// A child after `fork` that has not needed a recording of its own yet.
    Dead = 4,
}

/// What moves the probe on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The first hook or the library's constructor.
    Start,
    /// The recording is open.
    Open,
    /// There will be no recording.
    Refuse,
    /// This process is a child after `fork`.
    Fork {
        /// Whether children are to be recorded.
        follow: bool,
    },
}

impl State {
    fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Cold,
            1 => Self::Resolving,
            3 => Self::On,
            4 => Self::Dead,
            _ => Self::Off,
        }
    }

    /// The one transition function. `None`: the event means nothing in this state.
    const fn after(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Cold | Self::Dead, Event::Start) => Some(Self::Resolving),
            (Self::Resolving, Event::Open) => Some(Self::On),
            (Self::Resolving, Event::Refuse) => Some(Self::Off),
            (Self::On | Self::Dead, Event::Fork { follow: true }) => Some(Self::Dead),
            (Self::On | Self::Dead, Event::Fork { follow: false }) => Some(Self::Off),
            // The thread that was resolving is not part of the child.
            (Self::Resolving, Event::Fork { .. }) => Some(Self::Cold),
            _ => None,
        }
    }
}

static STATE: AtomicU32 = AtomicU32::new(State::Cold as u32);
static GENERATION: AtomicU32 = AtomicU32::new(1);

struct WriterCell(UnsafeCell<MaybeUninit<Writer>>);
// SAFETY: written while `Resolving` by the one thread that won the transition, read only after
// the release store that leaves `Resolving`.
unsafe impl Sync for WriterCell {}
static WRITER: WriterCell = WriterCell(UnsafeCell::new(MaybeUninit::uninit()));

/// The present state.
#[inline(always)]
pub(crate) fn now() -> State {
    State::from_number(STATE.load(Ordering::Acquire))
}

/// Applies an event; `Some` of the new state when this thread made the transition.
pub(crate) fn advance(event: Event) -> Option<State> {
    let mut current = STATE.load(Ordering::Acquire);
    loop {
        let next = State::from_number(current).after(event)?;
        match STATE.compare_exchange(current, next as u32, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(next),
            Err(seen) => current = seen,
        }
    }
}

/// Number of the present recording in this process image: 1, then one more after each `fork`.
/// Never 0, at most 15 bits.
#[inline(always)]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// A child after `fork` counts on.
pub(crate) fn next_generation() {
    let next = (generation() + 1) & 0x7fff;
    GENERATION.store(next.max(1), Ordering::Relaxed);
}

/// The recorder, while the probe is on.
#[inline(always)]
pub(crate) fn writer() -> Option<Writer> {
    if now() == State::On {
        // SAFETY: `On` says that the writer was stored.
        Some(unsafe { last_writer() })
    } else {
        None
    }
}

/// The writer that was stored last: in a child after `fork`, the parent's.
///
/// # Safety
/// The probe was `On` before in this process image, and no thread is in [`set_writer`].
pub(crate) unsafe fn last_writer() -> Writer {
    // SAFETY: the cell was initialised, says the caller; a copy of a plain value.
    unsafe { WRITER.0.get().cast::<Writer>().read() }
}

/// Stores the writer.
///
/// # Safety
/// The calling thread made the transition to `Resolving` and has not left it.
pub(crate) unsafe fn set_writer(writer: Writer) {
    // SAFETY: nobody reads the cell while `Resolving`, and only this thread writes it.
    unsafe { WRITER.0.get().cast::<Writer>().write(writer) };
}

/// Makes the thread `Ready` if it can be; true if it is.
#[cold]
#[inline(never)]
pub(crate) fn ready_slow(local: &'static Local) -> bool {
    match local.mode() {
        Mode::Ready => true,
        Mode::Inside => {
            local.reentered.set(local.reentered.get().wrapping_add(1));
            false
        }
        Mode::Off | Mode::Ended | Mode::Quiet => false,
        Mode::Fresh => fresh(local),
    }
}

fn fresh(local: &'static Local) -> bool {
    if matches!(now(), State::Cold | State::Dead) {
        life::start();
    }
    match now() {
        State::On => thread::register(local),
        State::Off => {
            local.set_mode(Mode::Off);
            false
        }
        State::Cold | State::Dead | State::Resolving => {
            life::count_not_ready();
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, State};

    const FOLLOW: Event = Event::Fork { follow: true };

    #[test]
    fn a_recording_opens_once_and_again_in_a_child() {
        let path = [Event::Start, Event::Open, FOLLOW, Event::Start, Event::Open];
        let mut state = State::Cold;
        for event in path {
            state = state.after(event).expect("allowed");
        }
        assert_eq!(state, State::On);
    }

    #[test]
    fn off_is_for_good() {
        for event in [Event::Start, Event::Open, Event::Refuse, FOLLOW] {
            assert_eq!(State::Off.after(event), None);
        }
    }

    #[test]
    fn only_one_thread_starts() {
        assert_eq!(State::Resolving.after(Event::Start), None);
        assert_eq!(State::On.after(Event::Start), None);
    }

    #[test]
    fn a_child_that_is_not_followed_is_off() {
        let fork = Event::Fork { follow: false };
        assert_eq!(State::On.after(fork), Some(State::Off));
        assert_eq!(State::Dead.after(fork), Some(State::Off));
    }

    #[test]
    fn every_number_survives_the_round_trip() {
        use State::{Cold, Dead, Off, On, Resolving};
        for state in [Cold, Resolving, Off, On, Dead] {
            assert_eq!(State::from_number(state as u32), state);
        }
    }
}
