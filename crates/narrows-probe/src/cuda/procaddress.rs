//! `cuGetProcAddress` in both its forms: its answers are wrapped in turn.

use super::{Way, rule, symbols, wrap};
use crate::base::{Inside, Scope};
use crate::trampoline::Rule;
use core::ffi::{CStr, c_char, c_int};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

type Version1 = unsafe extern "C-unwind" fn(*const c_char, *mut *const (), c_int, u64) -> c_int;
type Version2 =
    unsafe extern "C-unwind" fn(*const c_char, *mut *const (), c_int, u64, *mut c_int) -> c_int;

/// The driver's own functions, and the rows that they are recorded under.
static REAL_1: AtomicPtr<()> = AtomicPtr::new(null_mut());
static REAL_2: AtomicPtr<()> = AtomicPtr::new(null_mut());

const NAME_1: &CStr = c"cuGetProcAddress";
const NAME_2: &CStr = c"cuGetProcAddress_v2";

/// The status of a driver that is not there; not reached, because a program gets these functions
/// only in exchange for the real ones.
const NOT_INITIALIZED: c_int = 3;

/// Our function in place of `real`, when `rule` is that of one of the two.
pub(super) fn stand_in(real: *const (), rule: &Rule) -> Option<*const ()> {
    let (kept, own) = match rule.name() {
        "cuGetProcAddress" => (&REAL_1, version_1 as *const ()),
        "cuGetProcAddress_v2" => (&REAL_2, version_2 as *const ()),
        _ => return None,
    };
    if !core::ptr::addr_eq(real, own) {
        kept.store(real.cast_mut(), Ordering::Release);
    }
    Some(own)
}

unsafe extern "C-unwind" fn version_1(
    symbol: *const c_char,
    function: *mut *const (),
    version: c_int,
    flags: u64,
) -> c_int {
    let real = REAL_1.load(Ordering::Acquire);
    if real.is_null() {
        return NOT_INITIALIZED;
    }
    // SAFETY: the driver's function of this name has this type.
    let real = unsafe { core::mem::transmute::<*mut (), Version1>(real) };
    let scope = enter(NAME_1);
    // SAFETY: the caller meets the driver's contract.
    let status = unsafe { real(symbol, function, version, flags) };
    leave(scope, status);
    // SAFETY: the arguments are the caller's, the call succeeded.
    unsafe { wrap_answer(status, symbol, function, version) };
    status
}

unsafe extern "C-unwind" fn version_2(
    symbol: *const c_char,
    function: *mut *const (),
    version: c_int,
    flags: u64,
    symbol_status: *mut c_int,
) -> c_int {
    let real = REAL_2.load(Ordering::Acquire);
    if real.is_null() {
        return NOT_INITIALIZED;
    }
    // SAFETY: the driver's function of this name has this type.
    let real = unsafe { core::mem::transmute::<*mut (), Version2>(real) };
    let scope = enter(NAME_2);
    // SAFETY: the caller meets the driver's contract.
    let status = unsafe { real(symbol, function, version, flags, symbol_status) };
    leave(scope, status);
    // SAFETY: the arguments are the caller's, the call succeeded.
    unsafe { wrap_answer(status, symbol, function, version) };
    status
}

pub(super) fn enter(name: &CStr) -> Option<(&'static Rule, Scope)> {
    let rule = rule(name)?;
    Some((rule, Scope::enter(&rule.call)?))
}

pub(super) fn leave(scope: Option<(&'static Rule, Scope)>, status: c_int) {
    if let Some((rule, scope)) = scope {
        rule.shape.leave(scope, u64::from(status as u32), &[0; 0]);
    }
}

/// Replaces the function in `*function` by its wrapped form.
///
/// # Safety
/// The arguments are those of a call that returned `status`.
unsafe fn wrap_answer(
    status: c_int,
    symbol: *const c_char,
    function: *mut *const (),
    version: c_int,
) {
    if status != 0 || symbol.is_null() || function.is_null() {
        return;
    }
    // SAFETY: after success the driver has written it.
    let real = unsafe { function.read() };
    // SAFETY: a C string, says the driver's contract.
    let asked = unsafe { CStr::from_ptr(symbol) };
    if real.is_null() {
        return;
    }
    let _inside = Inside::enter();
    let Some(rule) = row_of(real, asked, version) else {
        super::UNWRAPPED.fetch_add(1, Ordering::Relaxed);
        return;
    };
    // SAFETY: the caller's variable, just written by the driver.
    unsafe { function.write(wrap(real, rule, Way::ProcAddress)) };
}

/// The row for an answer: the exported name of the address, where it is a form of what was asked
/// for; else the name that was asked for.
fn row_of(real: *const (), asked: &CStr, version: c_int) -> Option<&'static Rule> {
    if let (_, Some(name)) = symbols::origin(real)
        && is_form_of(name.to_bytes(), asked.to_bytes())
        && let Some(row) = rule(name)
    {
        return Some(row);
    }
    // The two forms have different arguments; the second came with CUDA 12.
    if asked == NAME_1 && version >= 12000 {
        return rule(NAME_2);
    }
    rule(asked).or_else(|| super::unknown::rule(asked))
}

/// Whether `name` is `asked` with a version or a stream form behind it.
fn is_form_of(name: &[u8], asked: &[u8]) -> bool {
    name.strip_prefix(asked)
        .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'_'))
}

#[cfg(test)]
mod tests {
    use super::is_form_of;

    #[test]
    fn forms_are_told_from_longer_names() {
        assert!(is_form_of(b"cuMemAlloc_v2", b"cuMemAlloc"));
        assert!(is_form_of(b"cuMemcpy_ptds", b"cuMemcpy"));
        assert!(is_form_of(b"cuInit", b"cuInit"));
        assert!(!is_form_of(b"cuMemAllocHost_v2", b"cuMemAlloc"));
        assert!(!is_form_of(b"cuMem", b"cuMemAlloc"));
    }
}
