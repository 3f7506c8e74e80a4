//! Puts stubs into classes, as the program meets them.
//!
//! A class is hooked when an object of it is returned for the first time, or, for classes that
//! programs know by name, when a device is asked for and after libraries were loaded. Stubs go
//! into the object's own class, whether it defines the method or inherits it: changing an
//! inherited method would change it for every other subclass.

use super::rows::{FEEDBACK4, KERNEL, NAMED, NOTHING, Role, Row};
use super::runtime::{self, Class, Id, Selector};
use super::slots::Slot;
use super::table::{COUNT, TABLE};
use super::{encoding, slots, stub};
use crate::base::scope;
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

static SELECTORS: [Selector; COUNT] = {
    let mut selectors = [const { Selector::new(c"") }; COUNT];
    let mut at = 0;
    while at < COUNT {
        selectors[at] = Selector::new(super::table::ROWS[at].selector);
        at += 1;
    }
    selectors
};

/// Of each row, the class of the object that it gave last.
static LAST: [AtomicUsize; COUNT] = [const { AtomicUsize::new(0) }; COUNT];

/// Classes that were hooked, with their roles.
const KNOWN: usize = 512;
static SEEN: [AtomicU64; KNOWN] = [const { AtomicU64::new(0) }; KNOWN];

/// Libraries were loaded since classes were looked for by name.
static LATE: AtomicBool = AtomicBool::new(false);

/// Methods that have a stub.
static HOOKED: AtomicU32 = AtomicU32::new(0);
/// Methods that could not be given one.
static LEFT: AtomicU32 = AtomicU32::new(0);
/// Methods whose own encoding is not the table's.
static DIFFERENT: AtomicU32 = AtomicU32::new(0);

/// What stands in the recording: methods hooked, left alone, with another encoding.
pub(super) fn counts() -> (u32, u32, u32) {
    (
        HOOKED.load(Ordering::Relaxed),
        LEFT.load(Ordering::Relaxed),
        DIFFERENT.load(Ordering::Relaxed),
    )
}

/// Libraries are being loaded: classes known by name are looked for again.
pub(super) fn loading() {
    LATE.store(true, Ordering::Relaxed);
}

/// Classes were loaded: if a device was given before, those known by name are hooked now.
#[cfg(target_os = "macos")]
pub(super) fn appeared() {
    if HOOKED.load(Ordering::Relaxed) != 0 {
        scope::quietly(by_name);
    }
}

/// The method of `slot` gave `object`, which is used as its row says.
#[inline(always)]
pub(super) fn given(slot: &Slot, object: Id) {
    // SAFETY: the stub was called.
    let row = unsafe { slot.row() };
    if row.gives == NOTHING || object.is_null() {
        return;
    }
    let index = slot.index();
    // SAFETY: the method's result is an object, and a stub was called, so the runtime is ready.
    let class = unsafe { runtime::class_of(object) };
    let same = LAST
        .get(index)
        .is_some_and(|last| last.load(Ordering::Acquire) == class as usize);
    if !same || LATE.load(Ordering::Relaxed) {
        new_class(index, object, row.gives);
    }
}

#[cold]
#[inline(never)]
fn new_class(index: usize, object: Id, roles: Role) {
    scope::quietly(|| {
        if LATE.swap(false, Ordering::Relaxed) {
            by_name();
        }
        // What a wrapper wraps may differ from object to object: such classes are never "the last".
        if let Some(class) = meet_object(object, roles)
            && let Some(last) = LAST.get(index)
        {
            last.store(class as usize, Ordering::Release);
        }
    });
}

/// Wrappers around wrappers that are looked through.
const LAYERS: usize = 4;

/// Hooks the class of `object`, and of what it wraps: validation and capture put objects of their
/// own before Metal's, which pass on what they do not know. Gives the class when nothing is
/// wrapped.
pub(super) fn meet_object(object: Id, roles: Role) -> Option<Class> {
    static BASE_OBJECT: Selector = Selector::new(c"baseObject");
    let mut at = object;
    for layer in 0..LAYERS {
        // SAFETY: an object, and the runtime is ready.
        let class = unsafe { runtime::class_of(at) };
        meet(class, roles);
        // SAFETY: an object; what has such a property has it as an object.
        let base = unsafe { BASE_OBJECT.word(at) }.unwrap_or(0) as Id;
        if base.is_null() || base == at {
            return (layer == 0).then_some(class);
        }
        at = base;
    }
    None
}

/// Hooks `class` for all of `roles`, unless that was done before. When this returns, it is done,
/// whichever thread did it.
pub(super) fn meet(class: Class, roles: Role) {
    if class.is_null() || !runtime::ready() {
        return;
    }
    let key = (class as u64) << 15 | u64::from(roles);
    let first = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize;
    let places = (0..KNOWN).filter_map(|step| SEEN.get((first + step) % KNOWN));
    for place in places.clone() {
        match place.load(Ordering::Acquire) {
            0 => break,
            known if known == key => return,
            _ => {}
        }
    }
    for (index, row) in TABLE.iter().enumerate() {
        let meant = if row.roles & KERNEL != 0 {
            roles & KERNEL != 0 && stems_from(class, row.class)
        } else {
            row.roles & roles != 0
        };
        if meant && !row.is_class_method() {
            install(class, index, row);
        }
    }
    for place in places {
        let taken = place.compare_exchange(0, key, Ordering::AcqRel, Ordering::Acquire);
        if taken.is_ok() || taken == Err(key) {
            return;
        }
    }
}

/// Hooks every class that is known by name and is there.
pub(super) fn by_name() {
    if !runtime::ready() {
        return;
    }
    for (index, row) in TABLE.iter().enumerate() {
        if row.roles & NAMED == 0 {
            continue;
        }
        // SAFETY: the runtime is ready; a C string.
        let class = unsafe { runtime::look_up_class(row.class.as_ptr()) };
        if class.is_null() {
            continue;
        }
        install(class, index, row);
    }
    for (name, roles) in PRIVATE {
        // SAFETY: as above.
        let class = unsafe { runtime::look_up_class(name.as_ptr()) };
        meet(class, roles);
    }
}

/// Classes whose objects no method gives: a block of the program's is called with them. The first
/// is Metal's, the second that of the stand-in.
const PRIVATE: [(&CStr, Role); 2] = [
    (c"_MTL4CommitFeedback", FEEDBACK4),
    (c"MTL4StandInCommitFeedback", FEEDBACK4),
];

fn stems_from(class: Class, name: &CStr) -> bool {
    // SAFETY: the runtime is ready (`meet` asked); a C string.
    let wanted = unsafe { runtime::look_up_class(name.as_ptr()) };
    let mut class = class;
    while !class.is_null() {
        if class == wanted {
            return true;
        }
        // SAFETY: a class.
        class = unsafe { runtime::get_superclass(class) };
    }
    false
}

/// The number of a stub.
fn number_of(code: *const ()) -> usize {
    let first = stub::address(0) as usize;
    (code as usize - first) / (stub::address(1) as usize - first)
}

/// Puts a stub into `class` for one method, if it has the method and no stub yet.
fn install(class: Class, index: usize, row: &'static Row) {
    let Some(selector) = SELECTORS.get(index).map(Selector::get) else {
        return;
    };
    // Methods of the class itself are methods of the class's own class.
    let (method, class) = if row.is_class_method() {
        // SAFETY: a class and a selector; the runtime is ready.
        let method = unsafe { runtime::get_class_method(class, selector) };
        // SAFETY: a class is an object.
        (method, unsafe { runtime::class_of(class) })
    } else {
        // SAFETY: a class and a selector; the runtime is ready.
        let method = unsafe { runtime::get_instance_method(class, selector) };
        (method, class)
    };
    if method.is_null() {
        return;
    }
    // SAFETY: a method.
    let code = unsafe { runtime::method_implementation(method) };
    if code.is_null() || stub::is_stub(code) {
        return;
    }
    // SAFETY: a method.
    let types = unsafe { runtime::method_encoding(method) };
    if types.is_null() {
        LEFT.fetch_add(1, Ordering::Relaxed);
        return;
    }
    // SAFETY: the runtime's C string, which lives as long as the method.
    let own = unsafe { CStr::from_ptr(types) }.to_bytes();
    let stub = encoding::passing(own)
        .and_then(|passing| slots::claim(class as usize, index, code, passing));
    let Some(stub) = stub else {
        LEFT.fetch_add(1, Ordering::Relaxed);
        return;
    };
    // There was a stub before, and the program has put code of its own over it, which calls the stub
    // or does not: either is the program's choice. Another one would put its code out of use.
    if slots::slot(number_of(stub)).real() != code {
        return;
    }
    // SAFETY: the stub takes what the method takes, says the method's own encoding.
    unsafe { runtime::add_method(class, selector, stub, types) };
    // The class itself may define the method, another thread may have put the same stub there just
    // now, and GNU's runtime adds to a class's own class without telling its table.
    // SAFETY: as above; by now the class has a method of its own, so no other class changes.
    unsafe { runtime::replace_method(class, selector, stub, types) };
    HOOKED.fetch_add(1, Ordering::Relaxed);
    if !encoding::agrees(own, row.encoding.as_bytes()) {
        DIFFERENT.fetch_add(1, Ordering::Relaxed);
    }
}
