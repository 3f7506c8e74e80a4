//! Methods through stubs, without an Objective-C runtime: arguments, results, exceptions. These run
//! on 64-bit Arm too (`scripts/check-aarch64`).

use super::rows::{NOTHING, Special};
use super::table::TABLE;
use super::{encoding, slots, stub};
use crate::base::local::local;
use core::sync::atomic::{AtomicUsize, Ordering};

/// `MTLSize`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Size([u64; 3]);

/// A row whose hook does nothing beside recording; another one for each test.
fn row(skip: usize) -> usize {
    let plain = |(_, row): &(usize, &super::rows::Row)| {
        row.gives == NOTHING && row.special == Special::None
    };
    let found = TABLE.iter().enumerate().filter(plain).nth(skip);
    found.map(|(index, _)| index).expect("such a row")
}

/// A stub for `real`, whose type encoding this is.
fn stub_of(real: *const (), encoding: &str, skip: usize) -> *const () {
    static CLASS: AtomicUsize = AtomicUsize::new(0x1000);
    let passing = encoding::passing(encoding.as_bytes()).expect("can be hooked");
    let class = CLASS.fetch_add(16, Ordering::Relaxed);
    let stub = slots::claim(class, row(skip), real, passing).expect("a stub");
    assert!(stub::is_stub(stub) && !stub::is_stub(real));
    assert_eq!(slots::claim(class, row(skip), real, passing), Some(stub));
    stub
}

type Many = unsafe extern "C-unwind" fn(u64, u64, u64, Size, u8, u64, u64, Size, u64, u64) -> u64;

unsafe extern "C-unwind" fn many(
    receiver: u64,
    selector: u64,
    a: u64,
    b: Size,
    c: u8,
    d: u64,
    e: u64,
    f: Size,
    g: u64,
    h: u64,
) -> u64 {
    assert_eq!(
        (receiver, selector, a, c, d, e, g, h),
        (1, 2, 3, 7, 8, 9, 13, 14)
    );
    assert_eq!((b, f), (Size([4, 5, 6]), Size([10, 11, 12])));
    0xfeed_0000_0000_0001
}

#[test]
fn integers_and_structures_in_registers_and_on_the_stack() {
    let stub = stub_of(many as *const (), "Q@:Q{?=QQQ}CQQ{?=QQQ}QQ", 0);
    // SAFETY: the stub stands for a function of this type.
    let through = unsafe { core::mem::transmute::<*const (), Many>(stub) };
    for _ in 0..3 {
        // SAFETY: a function of this file.
        let result = unsafe {
            through(
                1,
                2,
                3,
                Size([4, 5, 6]),
                7,
                8,
                9,
                Size([10, 11, 12]),
                13,
                14,
            )
        };
        assert_eq!(result, 0xfeed_0000_0000_0001);
    }
}

/// Six, seven, ... words, each with its own place, through stubs of every kind that has no frame.
#[test]
fn every_number_of_words() {
    macro_rules! pass {
        ($encoding:literal, $($name:ident: $kind:ty = $value:expr),*) => {{
            type Real = unsafe extern "C-unwind" fn($($kind),*) -> u64;
            unsafe extern "C-unwind" fn real($($name: $kind),*) -> u64 {
                $(assert_eq!($name, $value, "{} {}", $encoding, stringify!($name));)*
                0xfeed_0000_0000_0002
            }
            let stub = stub_of(real as *const (), $encoding, 3);
            // SAFETY: the stub stands for a function of this type.
            let through = unsafe { core::mem::transmute::<*const (), Real>(stub) };
            // SAFETY: a function of this file.
            assert_eq!(unsafe { through($($value),*) }, 0xfeed_0000_0000_0002);
        }};
    }
    const PAIR: [u64; 2] = [21, 22];
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Range([u64; 2]);
    let (big, pair) = (Size([31, 32, 33]), Range(PAIR));
    assert_eq!((big.0[2], pair.0), (33, PAIR));
    pass!("Q@:", a: u64 = 1, b: u64 = 2);
    pass!("Q@:QQQQ", a: u64 = 1, b: u64 = 2, c: u64 = 3, d: u64 = 4, e: u64 = 5, f: u64 = 6);
    pass!("Q@:QQQQQ", a: u64 = 1, b: u64 = 2, c: u64 = 3, d: u64 = 4, e: u64 = 5, f: u64 = 6, g: u64 = 7);
    pass!("Q@:QQQQQC", a: u64 = 1, b: u64 = 2, c: u64 = 3, d: u64 = 4, e: u64 = 5, f: u64 = 6, g: u64 = 7, h: u8 = 8);
    pass!("Q@:QQQQQQQ", a: u64 = 1, b: u64 = 2, c: u64 = 3, d: u64 = 4, e: u64 = 5, f: u64 = 6, g: u64 = 7, h: u64 = 8, i: u64 = 9);
    pass!("Q@:QQQQQQQQQQ", a: u64 = 1, b: u64 = 2, c: u64 = 3, d: u64 = 4, e: u64 = 5, f: u64 = 6, g: u64 = 7, h: u64 = 8, i: u64 = 9, j: u64 = 10, k: u64 = 11, l: u64 = 12);
    pass!("Q@:QQQQQQQQQQQQ", a: u64 = 1, b: u64 = 2, c: u64 = 3, d: u64 = 4, e: u64 = 5, f: u64 = 6, g: u64 = 7, h: u64 = 8, i: u64 = 9, j: u64 = 10, k: u64 = 11, l: u64 = 12, m: u64 = 13, n: u64 = 14);
    pass!("Q@:{?=QQQ}QQQQ", a: u64 = 1, b: u64 = 2, big: Size = Size([31, 32, 33]), c: u64 = 3, d: u64 = 4, e: u64 = 5, f: u64 = 6);
    pass!("Q@:QQQ{?=QQ}Q", a: u64 = 1, b: u64 = 2, c: u64 = 3, d: u64 = 4, e: u64 = 5, pair: Range = Range(PAIR), f: u64 = 6);
    pass!("Q@:QQ{?=QQ}", a: u64 = 1, b: u64 = 2, c: u64 = 3, d: u64 = 4, pair: Range = Range(PAIR));
    pass!("Q@:{?=QQQ}{?=QQQ}", a: u64 = 1, b: u64 = 2, big: Size = Size([31, 32, 33]), other: Size = Size([41, 42, 43]));
}

type Floats = unsafe extern "C-unwind" fn(u64, u64, f32, f64, u64, f64, f64) -> f64;

unsafe extern "C-unwind" fn floats(
    receiver: u64,
    selector: u64,
    a: f32,
    b: f64,
    c: u64,
    d: f64,
    e: f64,
) -> f64 {
    assert_eq!(
        (receiver, selector, a, b, c, d, e),
        (1, 2, 0.5, 1.5, 3, 2.5, 3.5)
    );
    4.25
}

#[test]
fn numbers_with_a_fraction() {
    let stub = stub_of(floats as *const (), "d@:fdQdd", 1);
    // SAFETY: the stub stands for a function of this type.
    let through = unsafe { core::mem::transmute::<*const (), Floats>(stub) };
    // SAFETY: a function of this file.
    assert_eq!(unsafe { through(1, 2, 0.5, 1.5, 3, 2.5, 3.5) }, 4.25);
}

type Throws = unsafe extern "C-unwind" fn(u64, u64, u64) -> u64;

unsafe extern "C-unwind" fn throws(_receiver: u64, _selector: u64, how: u64) -> u64 {
    if how == 1 {
        std::panic::resume_unwind(Box::new("thrown"));
    }
    how
}

#[test]
fn what_is_thrown_passes_and_leaves_the_method() {
    // By stubs of every kind: as the hook sees it, arguments that are not there do no harm.
    for (skip, encoding) in [(2, "Q@:Q"), (4, "Q@:QQQQQQ"), (5, "Q@:QQQQQQQQQQQQ")] {
        throw_through(skip, encoding);
    }
}

fn throw_through(skip: usize, encoding: &str) {
    let index = row(skip);
    let stub = stub_of(throws as *const (), encoding, skip);
    // SAFETY: the stub stands for a function of this type.
    let through = unsafe { core::mem::transmute::<*const (), Throws>(stub) };
    for _ in 0..3 {
        // SAFETY: a function of this file.
        let caught = std::panic::catch_unwind(|| unsafe { through(1, 2, 1) });
        assert_eq!(caught.expect_err("thrown").downcast_ref(), Some(&"thrown"));
        assert!(local().enter_method(index), "the thread is in it no longer");
        assert!(!local().enter_method(index), "only the outermost counts");
        local().leave_method(index);
        // SAFETY: a function of this file.
        assert_eq!(unsafe { through(1, 2, 5) }, 5);
    }
}
