//! The layer between a made-up loader and made-up functions.

use super::*;
use std::sync::Mutex;

/// The layer's tables are the process's: one test at a time.
static ONE: Mutex<()> = Mutex::new(());

extern "C" fn set_kernel_arg(kernel: u64, index: u32, size: usize, value: *const u8) -> c_int {
    // SAFETY: the test's byte.
    (kernel as c_int) - index as c_int * 100 - size as c_int - c_int::from(unsafe { *value })
}

#[allow(clippy::too_many_arguments)]
extern "C" fn read_rect(
    a: u64,
    b: u64,
    c: u32,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
    h: u64,
    i: u64,
    j: u64,
    k: u64,
    l: u32,
    m: u64,
    n: u64,
) -> c_int {
    let words = [a, b, c.into(), d, e, f, g, h, i, j, k, l.into(), m, n];
    words
        .iter()
        .fold(1_u64, |sum, word| sum.wrapping_mul(31).wrapping_add(*word)) as c_int
}

extern "C" fn create(_: u64, _: u64, _: u64, error: *mut c_int) -> usize {
    // SAFETY: the test's variable.
    unsafe { *error = -5 };
    0
}

fn install(entries: u32) -> (u32, Vec<*mut ()>) {
    let mut dispatch = vec![null_mut::<()>(); entries as usize];
    dispatch[38] = set_kernel_arg as *mut ();
    dispatch[86] = read_rect as *mut ();
    dispatch[9] = create as *mut ();
    let dispatch = Box::leak(dispatch.into_boxed_slice());
    let (mut count, mut table) = (0, null());
    // SAFETY: the table has `entries` entries and is leaked.
    let status = unsafe { clInitLayer(entries, dispatch.as_ptr(), &mut count, &mut table) };
    assert_eq!(status, SUCCESS);
    // SAFETY: the layer gave `count` entries.
    let table = unsafe { std::slice::from_raw_parts(table, count as usize) };
    (count, table.to_vec())
}

#[test]
fn every_entry_has_a_wrapper_and_a_name_of_its_own() {
    let mut names: Vec<_> = RULES.iter().map(|rule| rule.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ENTRIES);
    assert!(WRAPPERS.iter().all(|wrapper| !wrapper.0.is_null()));
    assert_eq!(RULES[38].name(), "clSetKernelArg");
    assert_eq!(RULES[59].name(), "clEnqueueNDRangeKernel");
    assert_eq!(RULES[148].name(), "clSetContextDestructorCallback");
    for (index, event) in EVENTS.iter().enumerate() {
        assert!(event.is_none() || RULES[index].name().starts_with("clEnqueue"));
    }
}

#[test]
fn arguments_and_results_pass() {
    let _one = ONE.lock().unwrap();
    let (count, table) = install(149);
    assert_eq!(count, 149);
    type Set = extern "C" fn(u64, u32, usize, *const u8) -> c_int;
    // SAFETY: entry 38 has this type.
    let wrapped = unsafe { std::mem::transmute::<*mut (), Set>(table[38]) };
    let byte = 7_u8;
    assert_eq!(
        wrapped(5000, 3, 4, &byte),
        set_kernel_arg(5000, 3, 4, &byte)
    );
    type Rect = extern "C" fn(
        u64,
        u64,
        u32,
        u64,
        u64,
        u64,
        u64,
        u64,
        u64,
        u64,
        u64,
        u32,
        u64,
        u64,
    ) -> c_int;
    // SAFETY: entry 86 has this type.
    let wrapped = unsafe { std::mem::transmute::<*mut (), Rect>(table[86]) };
    let call = |f: Rect| f(1, 2, u32::MAX, 4, 5, 6, 7, u64::MAX, 9, 10, 11, 12, 13, 14);
    assert_eq!(call(wrapped), call(read_rect));
    type Create = extern "C" fn(u64, u64, u64, *mut c_int) -> usize;
    // SAFETY: entry 9 has this type.
    let wrapped = unsafe { std::mem::transmute::<*mut (), Create>(table[9]) };
    let mut error = 0;
    assert_eq!((wrapped(1, 2, 0, &mut error), error), (0, -5));
}

#[test]
fn what_the_layer_below_lacks_is_not_claimed() {
    let _one = ONE.lock().unwrap();
    let (_, table) = install(149);
    assert!(!table[38].is_null());
    assert!(table[0].is_null());
}

#[test]
fn shorter_and_longer_loaders() {
    let _one = ONE.lock().unwrap();
    assert_eq!(install(120).0, 120);
    assert_eq!(install(170).0, 149);
}

#[test]
fn the_layer_tells_its_version_and_name() {
    let mut version = 0_u32;
    let mut size = 0;
    // SAFETY: the variable has the size that is given.
    let status = unsafe { clGetLayerInfo(0x4240, 4, (&raw mut version).cast(), &mut size) };
    assert_eq!((status, version, size), (0, 100, 4));
    let mut name = [0_u8; 16];
    // SAFETY: as above.
    let status = unsafe { clGetLayerInfo(0x4241, 16, name.as_mut_ptr().cast(), &mut size) };
    assert_eq!((status, &name[..size]), (0, &b"narrows\0"[..]));
    // SAFETY: as above.
    let status = unsafe { clGetLayerInfo(0x4241, 2, name.as_mut_ptr().cast(), null_mut()) };
    assert_eq!(status, INVALID_VALUE);
    // SAFETY: as above.
    let status = unsafe { clGetLayerInfo(1, 16, name.as_mut_ptr().cast(), null_mut()) };
    assert_eq!(status, INVALID_VALUE);
}
