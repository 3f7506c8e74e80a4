//! Mach-O files made by LLVM's compiler and linker: what they can call, universal files, damage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use narrows_symbols::calls::{self, Calls, Selector};
use narrows_symbols::{Format, Image};
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/mach/sends.m");

fn run(command: &mut Command) {
    let status = command.status();
    let status = status.expect("clang-19 and lld-19 run (apt-get install clang-19 lld-19)");
    assert!(status.success(), "{command:?}");
}

/// Compiles `source` for `arch` and links it with `flags`.
fn built(folder: &Path, source: &Path, arch: &str, flags: &[&str]) -> PathBuf {
    let (object, library) = (folder.join("x.o"), folder.join("lib.dylib"));
    run(Command::new("clang-19")
        .args(["-target", &format!("{arch}-apple-macos11"), "-O1", "-c"])
        .arg("-o")
        .args([&object, source]));
    run(Command::new("ld64.lld-19")
        .args(["-arch", arch, "-platform_version", "macos", "11.0", "11.0"])
        .args(["-dylib", "-undefined", "dynamic_lookup"])
        .args(["-install_name", "@rpath/libsends.dylib"])
        .args(flags)
        .arg("-o")
        .args([&library, &object]));
    library
}

fn sends(folder: &Path, flags: &[&str]) -> PathBuf {
    built(folder, Path::new(SOURCE), "arm64", flags)
}

fn check(calls: &Calls) {
    let sent = |name: &str| calls.selectors.get(name).copied();
    let places = |count| {
        Some(Selector {
            sites: Some(count),
            by_string: false,
        })
    };
    assert_eq!(sent("commandBuffer"), places(2));
    assert_eq!(sent("commit"), places(2));
    assert_eq!(sent("waitUntilCompleted"), places(1));
    assert_eq!(sent("myOwnMessage"), places(1));
    assert_eq!(sent("commitAndContinue"), places(1), "a jump is a call");
    assert_eq!(sent("endEncoding"), Some(Selector::default()), "no stub");
    let named = sent("waitUntilSignaledValue:timeoutMS:").expect("found among the strings");
    assert!(named.by_string && named.sites.is_none());
    assert_eq!(sent("objectAtIndex:"), None, "nobody's Metal");
    let sites = calls.call_sites.iter();
    let sites: Vec<_> = sites.map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(
        sites,
        [
            ("MTLCreateSystemDefaultDevice", 1),
            ("_ZNSt3__15mutex4lockEv", 1),
            ("dispatch_sync", 1),
            ("pthread_mutex_lock", 2),
        ]
    );
    assert_eq!(calls.imported.len(), 4, "{:?}", calls.imported);
}

#[test]
fn both_kinds_of_fixups_and_stripped() {
    for flag in ["-fixup_chains", "-no_fixup_chains", "-x"] {
        let folder = tempfile::tempdir().expect("folder");
        check(&calls::read(&sends(folder.path(), &[flag])).expect("reads"));
    }
}

#[test]
fn another_processor_has_names_without_counts() {
    let folder = tempfile::tempdir().expect("folder");
    // The linker makes message stubs for arm64 only: a plain source.
    let source = folder.path().join("y.m");
    std::fs::write(
        &source,
        "@interface Thing\n- (void)commit;\n@end\nint pthread_mutex_lock(void *);\n\
         void f(Thing *x) { [x commit]; pthread_mutex_lock(x); }\n",
    )
    .expect("writes");
    let library = built(folder.path(), &source, "x86_64", &[]);
    let calls = calls::read(&library).expect("reads");
    assert_eq!(calls.selectors["commit"], Selector::default());
    assert!(calls.imported.contains("pthread_mutex_lock"));
    assert!(calls.call_sites.is_empty());
}

/// A universal file of an x86-64 part that is no object, and `library` as its arm64 part.
fn universal(library: &[u8]) -> Vec<u8> {
    let length = u32::try_from(library.len()).expect("small");
    let words = [
        [0xcafe_babe, 2, 0x0100_0007, 3].as_slice(),
        &[0x1000, 16, 12, 0x0100_000c],
        &[0, 0x4000, length, 14],
    ];
    let mut fat: Vec<u8> = words
        .concat()
        .iter()
        .flat_map(|w: &u32| w.to_be_bytes())
        .collect();
    fat.resize(0x4000, 0);
    fat.extend(library);
    fat
}

#[test]
fn the_arm64_part_of_a_universal_file_counts() {
    let folder = tempfile::tempdir().expect("folder");
    let library = std::fs::read(sends(folder.path(), &[])).expect("reads");
    let path = folder.path().join("fat.dylib");
    let mut whole = universal(&library);
    std::fs::write(&path, &whole).expect("writes");
    check(&calls::read(&path).expect("reads"));
    let image = Image::open(&path).expect("reads");
    assert_eq!(
        (image.format, image.machine.as_str()),
        (Format::MachO, "aarch64")
    );
    assert_eq!(image.soname.as_deref(), Some("@rpath/libsends.dylib"));
    whole.truncate(0x5000);
    std::fs::write(&path, &whole).expect("writes");
    let error = calls::read(&path).expect_err("truncated").to_string();
    assert!(error.contains("truncated"), "{error}");
}

#[test]
fn a_truncated_file_is_an_error_in_one_line() {
    let folder = tempfile::tempdir().expect("folder");
    let library = std::fs::read(sends(folder.path(), &[])).expect("reads");
    let path = folder.path().join("cut.dylib");
    let mut said = 0;
    // The end of the file holds the strings' padding and the signature, which no answer needs.
    for length in (0..library.len() - 1024).step_by(97) {
        std::fs::write(&path, &library[..length]).expect("writes");
        let error = calls::read(&path).expect_err("cut").to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains("cut.dylib: "), "{error}");
        said += usize::from(error.contains("truncated"));
    }
    assert!(said > 10, "{said}");
}
