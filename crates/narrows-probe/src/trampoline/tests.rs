//! Calls through a stub and calls of the function itself must not differ.

use super::*;
use narrows_trace::{Api, CallKind};
use std::hint::black_box;

static RULE: Rule = Rule::new(
    "test",
    Api::Other,
    CallKind::Other,
    Object::None,
    Fails::Never,
);

/// The stub for `function`, as `F`.
fn through<F: Copy>(function: F) -> F {
    assert_eq!(size_of::<F>(), size_of::<*const ()>());
    // SAFETY: `F` is a function pointer in every test.
    let real = unsafe { std::mem::transmute_copy::<F, *const ()>(&function) };
    let stub = claim(real, &RULE).expect("a stub is left");
    assert!(is_stub(stub));
    assert!(!is_stub(real));
    // SAFETY: the stub has the signature of the function it stands for.
    black_box(unsafe { std::mem::transmute_copy::<*const (), F>(&stub) })
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Large {
    words: [u64; 8],
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Doubles {
    a: f64,
    b: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Pair {
    a: u64,
    b: f32,
}

#[test]
fn integers_in_registers_and_on_the_stack() {
    #[rustfmt::skip]
    #[allow(clippy::too_many_arguments)]
    unsafe extern "C" fn many(
        a: u64, b: u32, c: i16, d: u8, e: i64, f: u64, g: u64, h: i8, i: u64, j: u32, k: u64,
        l: u64, m: u64, n: u64, o: u64, p: u64, q: u64, r: u64, s: u64, t: u64, u: u64, v: u64,
    ) -> u64 {
        let all = [
            a, b.into(), c as u64, d.into(), e as u64, f, g, h as u64, i, j.into(), k, l, m, n, o,
            p, q, r, s, t, u, v,
        ];
        all.iter().fold(7, |sum, x| sum.wrapping_mul(31).wrapping_add(*x))
    }
    #[rustfmt::skip]
    type Many = unsafe extern "C" fn(
        u64, u32, i16, u8, i64, u64, u64, i8, u64, u32, u64, u64, u64, u64, u64, u64, u64, u64,
        u64, u64, u64, u64,
    ) -> u64;
    let direct: Many = many;
    let stub = through(direct);
    let call = |function: Many| {
        // SAFETY: both take these arguments.
        unsafe {
            function(
                1,
                u32::MAX,
                -3,
                255,
                i64::MIN,
                6,
                7,
                -8,
                9,
                10,
                11,
                12,
                13,
                14,
                15,
                16,
                17,
                18,
                19,
                20,
                21,
                22,
            )
        }
    };
    assert_eq!(call(stub), call(direct));
}

#[test]
fn floats_mixed_with_integers() {
    #[allow(clippy::too_many_arguments)]
    extern "C" fn mixed(
        a: f64,
        b: u64,
        c: f32,
        d: u64,
        e: f64,
        f: f64,
        g: f64,
        h: f64,
        i: f64,
        j: f64,
        k: f64,
        l: f32,
    ) -> f64 {
        a + 2.0 * b as f64
            + 3.0 * f64::from(c)
            + 5.0 * d as f64
            + 7.0 * e
            + 11.0 * f
            + 13.0 * g
            + 17.0 * h
            + 19.0 * i
            + 23.0 * j
            + 29.0 * k
            + 31.0 * f64::from(l)
    }
    type Mixed = extern "C" fn(f64, u64, f32, u64, f64, f64, f64, f64, f64, f64, f64, f32) -> f64;
    let call =
        |function: Mixed| function(0.5, 2, 1.25, 4, -5.5, 6.0, 7.75, 8.0, 9.0, 1e9, -11.0, 12.5);
    let direct: Mixed = mixed;
    assert_eq!(call(through(direct)).to_bits(), call(direct).to_bits());
}

#[test]
fn structures_by_value_both_ways() {
    extern "C" fn large(context: u64, large: Large, flags: u32) -> Large {
        let mut result = large;
        for (index, word) in result.words.iter_mut().enumerate() {
            *word = word.rotate_left(index as u32) ^ context ^ u64::from(flags);
        }
        result
    }
    extern "C" fn doubles(x: Doubles, y: Doubles) -> Doubles {
        Doubles {
            a: x.a + y.b,
            b: x.b * y.a,
        }
    }
    extern "C" fn pair(x: Pair, y: Pair) -> Pair {
        Pair {
            a: x.a ^ y.a,
            b: x.b - y.b,
        }
    }
    let words = Large {
        words: [1, 2, 3, u64::MAX, 5, 6, 7, 8],
    };
    let direct: extern "C" fn(u64, Large, u32) -> Large = large;
    assert_eq!(through(direct)(77, words, 9), direct(77, words, 9));
    let direct: extern "C" fn(Doubles, Doubles) -> Doubles = doubles;
    let (x, y) = (Doubles { a: 1.5, b: 2.5 }, Doubles { a: -3.0, b: 0.125 });
    assert_eq!(through(direct)(x, y), direct(x, y));
    let direct: extern "C" fn(Pair, Pair) -> Pair = pair;
    let (x, y) = (Pair { a: 5, b: 0.5 }, Pair { a: 12, b: 4.0 });
    assert_eq!(through(direct)(x, y), direct(x, y));
}

#[test]
fn a_128_bit_result_comes_back_whole() {
    extern "C" fn wide(a: u64, b: u64) -> u128 {
        u128::from(a) << 64 | u128::from(b)
    }
    let direct: extern "C" fn(u64, u64) -> u128 = wide;
    assert_eq!(through(direct)(3, u64::MAX), direct(3, u64::MAX));
}

#[test]
fn errno_is_what_the_function_left() {
    extern "C" fn sets_errno(value: i32) {
        // SAFETY: gives the address of the calling thread's own.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: as above.
        unsafe { errno.write(value) };
    }
    let direct: extern "C" fn(i32) = sets_errno;
    through(direct)(4242);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(4242));
}

#[test]
fn a_panic_unwinds_through_a_stub() {
    extern "C-unwind" fn unwinds(code: i32) -> i32 {
        if code > 3 {
            std::panic::resume_unwind(Box::new(code));
        }
        code
    }
    let direct: extern "C-unwind" fn(i32) -> i32 = unwinds;
    let stub = through(direct);
    assert_eq!(stub(2), 2);
    let caught = std::panic::catch_unwind(|| stub(5)).expect_err("it unwinds");
    assert_eq!(caught.downcast_ref::<i32>(), Some(&5));
}

#[test]
fn a_backtrace_passes_a_stub() {
    extern "C" fn depth(_: u64) -> usize {
        std::backtrace::Backtrace::force_capture()
            .to_string()
            .matches("a_backtrace_passes_a_stub")
            .count()
    }
    let direct: extern "C" fn(u64) -> usize = depth;
    assert!(through(direct)(1) >= 1);
}

#[test]
fn a_querys_stub_passes_its_arguments_too() {
    static QUERY: Rule = Rule::new(
        "cuTestGetSum",
        Api::Cuda,
        CallKind::Context,
        Object::None,
        Fails::NonZero,
    );
    #[allow(clippy::too_many_arguments)]
    extern "C" fn sum(a: u64, b: u32, c: i64, d: u8, e: u64, f: u64, g: u64, h: u64) -> u64 {
        let parts = [b.into(), c as u64, d.into(), e, f, g, h];
        parts
            .iter()
            .fold(a, |sum, x| sum.wrapping_mul(31).wrapping_add(*x))
    }
    assert!(QUERY.query && !RULE.query);
    let stub = claim(sum as *const (), &QUERY).expect("a stub is left");
    assert!(is_stub(stub));
    type Sum = extern "C" fn(u64, u32, i64, u8, u64, u64, u64, u64) -> u64;
    // SAFETY: the stub has the signature of the function it stands for.
    let through = black_box(unsafe { std::mem::transmute::<*const (), Sum>(stub) });
    for round in 0..200 {
        let direct = sum(round, 2, -3, 4, 5, 6, 7, 8);
        assert_eq!(through(round, 2, -3, 4, 5, 6, 7, 8), direct);
    }
}

#[test]
fn the_same_function_gets_the_same_stub() {
    extern "C" fn one(_: u64) {}
    let real = one as *const ();
    assert_eq!(claim(real, &RULE), claim(real, &RULE));
    assert_eq!(claim(core::ptr::null(), &RULE), None);
}

#[test]
fn threads_claim_and_call_at_once() {
    extern "C" fn f0(x: u64) -> u64 {
        x.wrapping_mul(3) ^ 1
    }
    extern "C" fn f1(x: u64) -> u64 {
        x.wrapping_mul(5) ^ 2
    }
    extern "C" fn f2(x: u64) -> u64 {
        x.wrapping_mul(7) ^ 4
    }
    let functions: [extern "C" fn(u64) -> u64; 3] = [f0, f1, f2];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..2000_u64 {
                    for function in functions {
                        assert_eq!(through(function)(round), function(round));
                    }
                }
            });
        }
    });
}

#[test]
fn a_rule_reads_what_it_names() {
    let rule = |object, fails| Shape { object, fails };
    let made: u64 = 0xfeed;
    let config: [u64; 8] = [0, 1, 2, 3, 0xbeef, 5, 6, 7];
    let arguments = [&raw const made as u64, config.as_ptr() as u64, 9];
    let object = |object, result| rule(object, Fails::NonZero).object(result, &arguments).0;
    assert_eq!(object(Object::Arg(2), 1), 9);
    assert_eq!(object(Object::Out(0), 0), 0xfeed);
    assert_eq!(object(Object::Out(0), 1), 0, "nothing was made");
    assert_eq!(object(Object::Field(1, 32), 0), 0xbeef);
    assert_eq!(object(Object::Result, 6), 6);
    assert_eq!(object(Object::None, 6), 0);
    assert_eq!(
        object(Object::Out(7), 0),
        0,
        "a null pointer is not followed"
    );
    assert!(rule(Object::None, Fails::Negative).failed(-4_i32 as u32 as u64));
    assert!(!rule(Object::None, Fails::Negative).failed(1));
    assert!(rule(Object::None, Fails::Null).failed(0));
    assert!(!rule(Object::None, Fails::Never).failed(0));
    assert!(!rule(Object::None, Fails::NonZero).failed(0xffff_ffff_0000_0000));
}
