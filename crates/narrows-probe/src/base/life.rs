//! Opening the recording, `fork`, and the end of the process.

use super::config::Config;
use super::local::{Errno, Local, Mode, local};
use super::scope::Inside;
use super::state::{self, Event, State};
use super::{calibrate, config, control, modules, report, thread};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use narrows_trace::Loss;
use narrows_trace::writer::{Options, Writer};

/// Hooks that ran before the recording was open.
static NOT_READY: AtomicU64 = AtomicU64::new(0);
/// The process that the present recording is about.
static PID: AtomicU32 = AtomicU32::new(0);

/// Runs when the library is loaded. Hooks may have run before: other libraries' constructors and
/// memory allocators come first.
extern "C" fn at_load() {
    if state::now() == State::Cold {
        start();
    }
    // There is no list of destructors that the dynamic linker runs.
    #[cfg(target_os = "macos")]
    // SAFETY: a function of the right type; the library is never unloaded.
    unsafe {
        libc::atexit(at_exit)
    };
}

/// Runs at the process's regular end, after the program's own destructors.
extern "C" fn at_exit() {
    finish();
    let (Some(config), Some(writer)) = (config::get(), state::writer()) else {
        return;
    };
    if config.log && is_recorded_process() {
        let _errno = Errno::keep();
        let _inside = Inside::enter();
        report::print(config, writer);
    }
}

/// Brings the recording up to date and marks it as ended. Nothing is closed: threads may still
/// run, and what they do still counts.
pub(crate) fn finish() {
    let Some(writer) = state::writer() else {
        return;
    };
    if !is_recorded_process() {
        return;
    }
    let _errno = Errno::keep();
    thread::last_words(local());
    let _inside = Inside::enter();
    modules::refresh_if_stale();
    crate::gpu::finishing();
    flush_not_ready(writer);
    writer.clock_pair();
    writer.finish();
}

// The C library passes argc, argv and envp, which are not needed.
#[used]
#[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
static AT_LOAD: extern "C" fn() = at_load;
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: extern "C" fn() = at_exit;

/// Looks up the real functions and opens the recording, if this thread is the first to ask.
#[cold]
#[inline(never)]
pub(crate) fn start() {
    let child = state::now() == State::Dead;
    if state::advance(Event::Start).is_none() {
        return;
    }
    let _errno = Errno::keep();
    let inside = Inside::enter();
    crate::hooks::resolve();
    if !child {
        // Hooks of condition variables need it even when nothing is recorded.
        modules::refresh();
    }
    let opened = config::get().and_then(|config| open(config, child));
    let Some(writer) = opened else {
        state::advance(Event::Refuse);
        return;
    };
    // SAFETY: this thread made the transition to `Resolving` and leaves it below.
    unsafe { state::set_writer(writer) };
    PID.store(super::sys::getpid(), Ordering::Relaxed);
    if !child {
        thread::make_key();
        // SAFETY: the handler is a function of the right type that lives as long as the process.
        unsafe { libc::pthread_atfork(None, None, Some(after_fork_in_child)) };
    }
    if !child {
        calibrate::measure();
    }
    state::advance(Event::Open);
    calibrate::tell(writer);
    if let Some(config) = config::get().filter(|config| config.control) {
        control::open(config.folder());
    }
    flush_not_ready(writer);
    modules::tell_again();
    crate::gpu::started();
    drop(inside);
}

fn open(config: &Config, child: bool) -> Option<Writer> {
    let options = Options {
        timeline_bytes: config.timeline_bytes,
        ..Options::default()
    };
    let folder = config.folder();
    let made = if child {
        // SAFETY: a child of a process that was `On` holds the parent's writer.
        let parent = unsafe { state::last_writer() };
        parent.create_after_fork(folder, &options)
    } else {
        Writer::create(folder, &options)
    };
    made.ok()
}

/// In a child after `fork`: the parent's handle is of no use here. The child opens a recording of
/// its own at its first hooked call; most children only `exec`.
pub(crate) extern "C" fn after_fork_in_child() {
    let local = local();
    let follow = config::get().is_some_and(|config| config.children);
    state::advance(Event::Fork { follow });
    state::next_generation();
    modules::after_fork();
    forget_parent(local);
}

fn forget_parent(local: &'static Local) {
    local.reentered.set(0);
    // A fork inside the probe's own work does not happen; a fork in a signal handler that
    // interrupted it would leave `Inside`, and the handler's thread is then not recorded.
    if matches!(local.mode(), Mode::Ready | Mode::Ended | Mode::Off) {
        local.set_mode(Mode::Fresh);
    }
}

/// Notices a child that was made behind the C library's back (a raw `clone`).
#[inline]
pub(crate) fn notice_unseen_fork(local: &'static Local) -> bool {
    match state::writer() {
        Some(writer) if !writer.is_mine() => {
            after_fork_in_child();
            forget_parent(local);
            true
        }
        _ => false,
    }
}

/// False in a child that shares our memory (`vfork`), whose doings are not this process's.
pub(crate) fn is_recorded_process() -> bool {
    PID.load(Ordering::Relaxed) == super::sys::getpid()
}

/// A hook ran too early.
pub(crate) fn count_not_ready() {
    NOT_READY.fetch_add(1, Ordering::Relaxed);
}

fn flush_not_ready(writer: Writer) {
    let count = NOT_READY.swap(0, Ordering::Relaxed);
    if count != 0 {
        writer.lost(Loss::NotReady, count);
    }
}
