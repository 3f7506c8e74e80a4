use super::{Libraries, Search, expand};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn a_systems_program_has_the_libraries_that_ldd_shows() {
    let found = Libraries::of(Path::new("/usr/bin/gcc"), &Search::system()).expect("reads");
    let output = Command::new("ldd")
        .arg("/usr/bin/gcc")
        .output()
        .expect("ldd runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let expected: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.trim().split(" => ").nth(1)?.split(' ').next())
        .collect();
    let ours: BTreeSet<String> = found.objects[1..]
        .iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    for path in expected {
        assert!(ours.contains(path), "{path} is not among {ours:?}");
    }
    assert_eq!(found.missing, []);
}

#[test]
fn runpath_and_origin_are_followed_and_a_missing_library_is_said() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("lib")).expect("folder");
    std::fs::write(at("one.c"), "int one(void) { return 1; }\n").expect("writes");
    std::fs::write(
        at("main.c"),
        "int one(void); int main(void) { return one(); }\n",
    )
    .expect("ok");
    let gcc = |arguments: &[&str]| {
        let status = Command::new("gcc")
            .args(arguments)
            .current_dir(folder.path())
            .status();
        assert!(status.expect("gcc runs (apt-get install gcc)").success());
    };
    gcc(&["-shared", "-fPIC", "-o", "lib/libone.so", "one.c"]);
    gcc(&[
        "-o",
        "main",
        "main.c",
        "-Llib",
        "-lone",
        "-Wl,-rpath,$ORIGIN/lib",
    ]);
    let found = Libraries::of(&at("main"), &Search::system()).expect("reads");
    assert_eq!(
        found.objects[1].0,
        at("lib").canonicalize().expect("exists").join("libone.so")
    );
    assert_eq!(found.missing, []);

    std::fs::remove_file(at("lib/libone.so")).expect("removes");
    let found = Libraries::of(&at("main"), &Search::system()).expect("reads");
    assert_eq!(found.missing, [("libone.so".to_owned(), at("main"))]);
}

#[test]
fn placeholders_of_search_paths() {
    assert_eq!(
        expand("$ORIGIN/../lib", Path::new("/a/bin")),
        PathBuf::from("/a/bin/../lib")
    );
    assert_eq!(
        expand("${ORIGIN}/x", Path::new("/a")),
        PathBuf::from("/a/x")
    );
    assert_eq!(
        expand("/opt/$LIB", Path::new("/a")),
        PathBuf::from("/opt/lib")
    );
}
