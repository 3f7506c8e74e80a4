//! The CUDA driver, seen through the pointers that programs are given.
//!
//! A program reaches `libcuda.so.1` in three ways, and each is covered by wrapping the pointer
//! that it ends up with, not a name (many functions have several ABI versions):
//!
//! - `dlsym` ([`symbols`]) on a name of the driver API;
//! - `cuGetProcAddress`, whose results are wrapped in turn ([`procaddress`]); the CUDA runtime
//!   does this;
//! - direct linking ([`direct`]): the bound addresses in the object's own table are replaced.
//!
//! Nothing named `cu*` is exported from here. Exported functions would make
//! `dlsym(RTLD_DEFAULT, "cuInit")` and weak references succeed on machines without CUDA, and would
//! take the place of *variables* of the same names, which loaders of the API like to define.
//!
//! Every function goes through a stub of [`crate::trampoline`], which records it as [`table`]
//! says. Not covered, and said so in the recording: functions of private tables that
//! `cuGetExportTable` returns, `dlvsym`, calls that an object makes while it is being loaded.

mod direct;
mod procaddress;
mod symbols;
pub(crate) mod table;
mod times;
mod unknown;

pub(crate) use direct::{loading, modules_changed};

use crate::base::state::{self, State};
use crate::gpu::OncePerRecording;
use crate::trampoline::{Rule, claim, is_stub};
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};

#[cfg(test)]
mod tests;

/// Functions that got a stub, by way; and those that could not get one.
static BY_NAME: AtomicU32 = AtomicU32::new(0);
static BY_PROC_ADDRESS: AtomicU32 = AtomicU32::new(0);
static BY_LINK: AtomicU32 = AtomicU32::new(0);
static UNWRAPPED: AtomicU32 = AtomicU32::new(0);
static NOTED: OncePerRecording = OncePerRecording::new();

/// How the program came to a function.
#[derive(Clone, Copy)]
enum Way {
    /// `dlsym`.
    Name,
    /// `cuGetProcAddress`.
    ProcAddress,
    /// The dynamic linker.
    Link,
}

impl Way {
    fn counter(self) -> &'static AtomicU32 {
        match self {
            Self::Name => &BY_NAME,
            Self::ProcAddress => &BY_PROC_ADDRESS,
            Self::Link => &BY_LINK,
        }
    }
}

/// The row of a function of the driver API.
fn rule(name: &CStr) -> Option<&'static Rule> {
    let name = name.to_bytes();
    table::TABLE
        .binary_search_by(|rule| rule.name().as_bytes().cmp(name))
        .ok()
        .and_then(|index| table::TABLE.get(index))
}

/// Something other than a `dlopen` of the program's has loaded objects.
fn look_again() {
    direct::forget_seen();
    modules_changed();
}

/// The process ends: GPU times that are still to come are asked for.
pub(crate) fn finish() {
    times::finish();
}

/// What to give the program in place of `real`, whose row is `rule`.
fn wrap(real: *const (), rule: &'static Rule, way: Way) -> *const () {
    if real.is_null() || is_stub(real) || state::now() == State::Off {
        return real;
    }
    if let Some(own) = procaddress::stand_in(real, rule).or_else(|| times::stand_in(real, rule)) {
        if !core::ptr::addr_eq(real, own) {
            way.counter().fetch_add(1, Ordering::Relaxed);
        }
        note_once(real);
        return own;
    }
    let Some(stub) = claim(real, rule) else {
        UNWRAPPED.fetch_add(1, Ordering::Relaxed);
        return real;
    };
    way.counter().fetch_add(1, Ordering::Relaxed);
    note_once(real);
    stub
}

/// Says in the recording, once per recording, which driver was found.
fn note_once(real: *const ()) {
    let Some(writer) = state::writer() else {
        return;
    };
    if !NOTED.first() {
        return;
    }
    let (path, _) = symbols::origin(real);
    writer.note(b"cuda.driver", path.map_or(b"?", CStr::to_bytes));
    writer.note(
        b"cuda.uncovered",
        b"functions of private tables (cuGetExportTable); calls made while an object is loaded; \
          times of 30 in 31 short queries (cuCtxGetDevice)",
    );
}

/// Says in the recording how many functions were given out, and in which way. For the end of the
/// process and for a forked child.
pub(crate) fn note_coverage() {
    let Some(writer) = state::writer() else {
        return;
    };
    for (key, counter) in [
        (&b"cuda.functions.dlsym"[..], &BY_NAME),
        (b"cuda.functions.cuGetProcAddress", &BY_PROC_ADDRESS),
        (b"cuda.functions.linked", &BY_LINK),
        (b"cuda.functions.unwrapped", &UNWRAPPED),
    ] {
        let count = counter.load(Ordering::Relaxed);
        if count > 0 {
            writer.note(key, crate::trampoline::Decimal::new(count).as_bytes());
        }
    }
}
