//! Programs that change Metal's classes themselves, on the stand-in Metal for Linux: their own code
//! still runs, as often as without the probe, and each call counts once.

use crate::metal::{counted, expected, host};
use crate::support::Bench;

/// The case of `swizzles.m` with and without the probe: the same output, all calls counted once.
fn unchanged(cases: &[&str]) {
    let bench = Bench::new();
    let host = host(&bench, "swizzles");
    let flags = ["-shared", "-fPIC", "-fvisibility=hidden"];
    let library = bench.cc("metal-hosts/plugin.c", "plugin.so", &flags);
    let library = library.to_str().expect("a plain path");
    for case in cases {
        let seen = bench.both(&host, &[case, "20", library], str::to_owned);
        assert!(seen.output.status.success(), "{case}: {}", seen.stdout());
        let own = seen.printed("own")["own"];
        assert!(own >= 20, "{case}: the program's own code ran {own} times");
        assert_eq!(counted(&seen, 0), expected(&seen), "{case}");
    }
}

#[test]
fn methods_that_the_program_replaced_before() {
    unchanged(&["exchange-early", "replace-early", "set-early"]);
}

/// Exchanged and exchanged back, replaced, set.
#[test]
fn methods_that_the_program_replaces_after() {
    unchanged(&["exchange-late", "replace-late", "set-late"]);
}

/// Classes are looked at again when a library was loaded, or a kernel was made: what the program put
/// over a stub meanwhile stays.
#[test]
fn a_second_look_does_not_undo_what_the_program_did() {
    unchanged(&["named-late", "kernel-late"]);
}

/// Code that was looked up before a hook was there goes past it, and is not counted.
#[test]
fn code_that_the_program_looked_up() {
    unchanged(&["looked-up"]);
}

/// As key-value observing does it: a class made at run time that says it is another.
#[test]
fn classes_that_the_program_makes_below_metals() {
    unchanged(&["subclass", "subclass-given"]);
}

#[test]
fn proxies_of_the_programs() {
    unchanged(&["invoking", "pointing"]);
}
