//! Beside other things that stand in front of the C library, and inside interpreters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

mod common;

use common::{Run, acquired, host, installed, waited, waits, workspace};
use narrows_trace::WaitKind;
use std::path::{Path, PathBuf};

const JEMALLOC: (&str, &str) = ("libjemalloc.so.2", "libjemalloc2");
const MIMALLOC: (&str, &str) = ("libmimalloc.so.2", "libmimalloc2.0");

fn library((name, package): (&str, &str)) -> PathBuf {
    [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
    ]
    .iter()
    .map(|folder| Path::new(folder).join(name))
    .find(|file| file.exists())
    .unwrap_or_else(|| panic!("{name} is missing: apt-get install {package}"))
}

#[test]
fn memory_allocators_before_and_behind_us() {
    let counts = host("counts");
    let forks = host("forks");
    for allocator in [JEMALLOC, MIMALLOC] {
        let file = library(allocator);
        let file = file.to_str().unwrap();
        for list in [format!("{file}:{{}}"), format!("{{}}:{file}")] {
            let traced = Run::new(&counts, &["3", "5000"])
                .with("LD_PRELOAD", &list)
                .compare();
            let process = traced.process("counts");
            for kind in [WaitKind::Spin, WaitKind::Semaphore, WaitKind::RwWrite] {
                let taken = acquired(process, kind) + waited(process, kind);
                assert_eq!(taken, 15_000, "{list} {kind:?}");
            }
            // An allocator takes mutexes of its own.
            let taken = acquired(process, WaitKind::Mutex) + waited(process, WaitKind::Mutex);
            assert!(taken >= 15_000, "{list}");
            Run::new(&forks, &[]).with("LD_PRELOAD", &list).compare();
        }
    }
}

#[test]
fn two_libraries_of_ours_at_once() {
    // The same file twice is loaded once; a second copy by another name stands behind the first.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("libcopy.so");
    std::fs::copy(common::probe(), &copy).unwrap();
    let list = format!("{{}}:{}", copy.display());
    let traced = Run::new(host("counts"), &["2", "1000"])
        .with("LD_PRELOAD", list)
        .trace();
    assert_eq!(traced.result.output, "2000 2000 2000 2000\n");
}

/// Interpreters to try: Debian's is a static executable; the others are what is there.
fn pythons() -> Vec<PathBuf> {
    let mut found = vec![installed("python3", "python3")];
    let debian = Path::new("/usr/bin/python3");
    if debian.exists() {
        found.push(debian.to_path_buf());
    }
    if let Some(home) = std::env::var_os("HOME")
        && let Ok(versions) = std::fs::read_dir(Path::new(&home).join(".pyenv/versions"))
    {
        for version in versions.flatten() {
            let python = version.path().join("bin/python3");
            let name = version.file_name().into_string().unwrap_or_default();
            let minor: Option<u32> = name
                .strip_prefix("3.")
                .and_then(|rest| rest.split('.').next().and_then(|minor| minor.parse().ok()));
            if python.exists() && minor.is_some_and(|minor| minor >= 8) {
                found.push(python);
            }
        }
    }
    found
}

#[test]
fn the_interpreter_s_lock_is_known_as_such() {
    let script = workspace().join("fixtures/hosts/gil.py");
    for python in pythons() {
        let traced = Run::new(&python, &[script.to_str().unwrap(), "300000"]).compare();
        let process = traced
            .trace
            .processes
            .iter()
            .max_by_key(|process| process.threads.len())
            .unwrap();
        let gil = waits(process, WaitKind::Gil);
        assert!(!gil.is_empty(), "{}", python.display());
        // Nothing else waits with a time limit in this program.
        assert!(
            waits(process, WaitKind::CondvarTimed).is_empty(),
            "{}",
            python.display()
        );
        let tids: Vec<_> = process
            .threads
            .values()
            .filter_map(|thread| thread.tid)
            .collect();
        let owned: u64 = gil
            .iter()
            .flat_map(|(_, stats)| &stats.owners)
            .filter(|owner| owner.tid.is_some_and(|tid| tids.contains(&tid)))
            .map(|owner| owner.count)
            .sum();
        let all: u64 = gil.iter().map(|(_, stats)| stats.waits.count).sum();
        assert!(
            owned * 2 > all,
            "{}: {owned} of {all} with owner",
            python.display()
        );
    }
}

#[test]
fn python_s_processes_are_followed() {
    // The workers meet before they work: else one of them may do it all, and the other be killed
    // by the end of the pool before its first hooked call, which is when its recording begins.
    let code = "
import multiprocessing, sys
def work(number): return number * number
def meet(barrier): barrier.wait(60)
if __name__ == '__main__':
    for method in ('fork', 'spawn', 'forkserver'):
        context = multiprocessing.get_context(method)
        with context.Pool(2, meet, (context.Barrier(2),)) as pool:
            print(method, pool.map(work, range(10)))
";
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("pool.py");
    std::fs::write(&script, code).unwrap();
    let python = installed("python3", "python3");
    let traced = Run::new(python, &[script.to_str().unwrap()]).compare();
    let forked = traced
        .trace
        .processes
        .iter()
        .filter(|process| process.forked_from.is_some())
        .count();
    assert!(
        forked >= 4,
        "two workers of fork and two of forkserver: {forked}"
    );
    assert!(traced.trace.processes.len() >= 8, "{:?}", traced.programs());
}

#[test]
fn a_summary_is_printed_when_asked_without_the_command() {
    let temporary = tempfile::tempdir().unwrap();
    let run = Run::new(host("counts"), &["2", "5000"])
        .with("TMPDIR", temporary.path())
        .with("NARROWS_LOG", "1");
    let result = run.injected("".as_ref());
    assert_eq!(result.output, "10000 10000 10000 10000\n");
    for words in [
        "narrows: process ",
        "3 threads",
        "pthread_create: 2 calls",
        "join at counts+0x",
        "lost: nothing",
        "own cost.event_ns: ",
        "trace: removed (temporary)",
    ] {
        assert!(result.errors.contains(words), "{words}: {}", result.errors);
    }
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn a_bare_library_stays_silent() {
    let run = Run::new(host("counts"), &["2", "1000"]);
    let plain = run.plain();
    let result = run.injected("".as_ref());
    assert_eq!(result, plain);
}

#[test]
fn git_works_as_before() {
    let git = installed("git", "git");
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "set -e; cd {}; rm -rf a b; git init -q a; cd a; for i in 1 2 3; do echo $i > f$i; \
         git add .; git -c user.name=n -c user.email=e commit -q -m $i --date=@$i; done; \
         git gc -q; cd ..; git clone -q a b; cd b; git log --oneline | wc -l; git fsck; \
         git grep -c 2; git status --short",
        folder.path().display()
    );
    let traced = Run::new("bash", &["-c", &script])
        .with("GIT_CONFIG_GLOBAL", "/dev/null")
        .with("GIT_COMMITTER_DATE", "@1 +0000")
        .compare();
    assert!(git.exists());
    assert!(traced.named("git").len() > 10, "{:?}", traced.programs());
}

#[test]
fn sqlite_under_load_works_as_before() {
    let sqlite = installed("sqlite3", "sqlite3");
    let sql = "pragma threads=4; create table t(a, b); \
        with recursive n(i) as (select 1 union all select i+1 from n where i<200000) \
        insert into t select i, (i*7919)%200003 from n; create index x on t(b); \
        select count(*), sum(a), max(b) from t; select a from t order by b limit 5;";
    let traced = Run::new(sqlite, &[":memory:", sql]).compare();
    assert!(acquired(traced.process("sqlite3"), WaitKind::Mutex) > 1000);
}
