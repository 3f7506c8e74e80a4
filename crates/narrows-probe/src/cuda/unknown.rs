//! Rows for functions that are newer than the table: made when `cuGetProcAddress` gives one out.
//!
//! A fixed number of them, filled once each and kept for good, because stubs point to them.

use crate::trampoline::{Fails, Object, Rule};
use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};
use narrows_trace::{Api, CallKind};

const ROWS: usize = 128;
const NAME_BYTES: usize = 80;

/// A row and the bytes of its name.
struct Row {
    state: AtomicU32,
    name: UnsafeCell<[u8; NAME_BYTES]>,
    rule: UnsafeCell<MaybeUninit<Rule>>,
}

const FREE: u32 = 0;
const FILLING: u32 = 1;
const READY: u32 = 2;

// SAFETY: the cells are written by the thread that moved `state` from FREE to FILLING, and read
// only after it is READY.
unsafe impl Sync for Row {}

static TABLE: [Row; ROWS] = [const {
    Row {
        state: AtomicU32::new(FREE),
        name: UnsafeCell::new([0; NAME_BYTES]),
        rule: UnsafeCell::new(MaybeUninit::uninit()),
    }
}; ROWS];

/// The row named `name`. `None`: the name is too long, not ASCII, or all rows are taken. Two
/// threads that ask for the same new name at once may each get a row; both record under it.
pub(super) fn rule(name: &CStr) -> Option<&'static Rule> {
    let name = name.to_bytes();
    if name.is_empty() || name.len() > NAME_BYTES || !name.is_ascii() {
        return None;
    }
    for row in &TABLE {
        match row
            .state
            .compare_exchange(FREE, FILLING, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => return Some(fill(row, name)),
            Err(READY) => {
                let rule = ready(row);
                if rule.name().as_bytes() == name {
                    return Some(rule);
                }
            }
            Err(_) => {}
        }
    }
    None
}

/// The rule of a row that is READY.
fn ready(row: &'static Row) -> &'static Rule {
    // SAFETY: READY rows are never written again.
    let rule = unsafe { &*row.rule.get() };
    // SAFETY: it was initialised before it became READY.
    unsafe { rule.assume_init_ref() }
}

/// Fills a row that this thread has just taken.
fn fill(row: &'static Row, name: &[u8]) -> &'static Rule {
    // SAFETY: FILLING: this thread alone has the cells.
    let bytes = unsafe { &mut *row.name.get() };
    if let Some(target) = bytes.get_mut(..name.len()) {
        target.copy_from_slice(name);
    }
    // SAFETY: never written again; the static lives for good.
    let bytes: &'static [u8; NAME_BYTES] = unsafe { &*row.name.get() };
    let text = bytes
        .get(..name.len())
        .and_then(|bytes| core::str::from_utf8(bytes).ok())
        .unwrap_or("cu?");
    let rule = Rule::new(
        text,
        Api::Cuda,
        CallKind::Other,
        Object::None,
        Fails::NonZero,
    );
    // SAFETY: FILLING: this thread alone has the cells.
    unsafe { (*row.rule.get()).write(rule) };
    row.state.store(READY, Ordering::Release);
    ready(row)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_has_one_row() {
        let first = super::rule(c"cuFromTheFuture").expect("a row");
        let again = super::rule(c"cuFromTheFuture").expect("a row");
        assert!(core::ptr::eq(first, again));
        assert_eq!(first.name(), "cuFromTheFuture");
        let other = super::rule(c"cuFromTheFuture_v2").expect("a row");
        assert!(!core::ptr::eq(first, other));
        assert!(super::rule(c"").is_none());
    }
}
