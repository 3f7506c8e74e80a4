//! Processes: what ends a recording without the program's end, and children that are made
//! without the C library's fork handlers.
//!
//! `fork` needs no hook: the probe's fork handler runs inside it. `vfork`, `clone` and
//! `posix_spawn` share the parent's memory or `exec` at once and need none either.

use crate::base::local::{Errno, local};
use crate::base::scope::Inside;
use crate::base::{life, state, thread};
use core::ffi::{CStr, c_char, c_int};

type Path = *const c_char;
type List = *const *const c_char;

real! {
    EXECVE = execve(Path, List, List) -> c_int;
    EXECV = execv(Path, List) -> c_int;
    EXECVP = execvp(Path, List) -> c_int;
    EXECVPE = execvpe(Path, List, List) -> c_int;
    EXECL = execl(Path, Path) -> c_int;
    EXECLP = execlp(Path, Path) -> c_int;
    EXECLE = execle(Path, Path) -> c_int;
    FEXECVE = fexecve(c_int, List, List) -> c_int;
    EXECVEAT = execveat(c_int, Path, List, List, c_int) -> c_int;
    FORK = _Fork() -> c_int;
    EXIT = _exit(c_int) -> c_int;
    EXIT_TOO = _Exit(c_int) -> c_int;
    QUICK_EXIT = quick_exit(c_int) -> c_int;
}

before! {
    fn execve = before_execve;
    fn execv = before_execv;
    fn execvp = before_execvp;
    fn execvpe = before_execvpe;
    fn execl = before_execl;
    fn execlp = before_execlp;
    fn execle = before_execle;
    fn fexecve = before_fexecve;
    fn execveat = before_execveat;
    fn _exit = before_exit;
    fn _Exit = before_exit_too;
    fn quick_exit = before_quick_exit;
}

/// Ends that skip destructors. A child of `vfork` ends like this in its parent's memory, and is
/// told apart by its process id.
extern "C" fn before_exit() -> usize {
    life::finish();
    EXIT.get().map_or(0, |real| real as usize)
}

extern "C" fn before_exit_too() -> usize {
    life::finish();
    EXIT_TOO.get().map_or(0, |real| real as usize)
}

extern "C" fn before_quick_exit() -> usize {
    life::finish();
    QUICK_EXIT.get().map_or(0, |real| real as usize)
}

/// Declares what happens before an `exec` function: the recording is brought up to date, because
/// a successful `exec` ends it.
macro_rules! before_exec {
    ($($name:ident => $real:ident;)+) => {
        $(
            unsafe extern "C" fn $name(path: Path) -> usize {
                // SAFETY: the caller's path.
                unsafe { last_look(path) };
                $real.get().map_or(0, |real| real as usize)
            }
        )+
    };
}

before_exec! {
    before_execve => EXECVE;
    before_execv => EXECV;
    before_execvp => EXECVP;
    before_execvpe => EXECVPE;
    before_execl => EXECL;
    before_execlp => EXECLP;
    before_execle => EXECLE;
}

unsafe extern "C" fn before_fexecve() -> usize {
    // SAFETY: a C string.
    unsafe { last_look(c"(file descriptor)".as_ptr()) };
    FEXECVE.get().map_or(0, |real| real as usize)
}

unsafe extern "C" fn before_execveat(_folder: c_int, path: Path) -> usize {
    // SAFETY: the caller's path.
    unsafe { last_look(path) };
    EXECVEAT.get().map_or(0, |real| real as usize)
}

/// # Safety
/// `path` is null or a C string.
unsafe fn last_look(path: Path) {
    let Some(writer) = state::writer() else {
        return;
    };
    // A child of `vfork` runs in its parent's memory: the parent goes on.
    if path.is_null() || !life::is_recorded_process() {
        return;
    }
    let _errno = Errno::keep();
    thread::last_words(local());
    let _inside = Inside::enter();
    // SAFETY: not null, so a C string, says the caller.
    let path = unsafe { CStr::from_ptr(path) };
    writer.note(b"exec", path.to_bytes());
}

/// Unlike `fork`, this one does not run fork handlers.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, allow(dead_code))]
#[allow(non_snake_case)] // the C library's name
unsafe extern "C-unwind" fn _Fork() -> c_int {
    let Some(real) = FORK.get() else {
        return -1;
    };
    // SAFETY: takes no arguments.
    let pid = unsafe { real() };
    if pid == 0 {
        life::after_fork_in_child();
    }
    pid
}
