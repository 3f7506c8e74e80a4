//! Forks, kills and full disks: the parts that need a process of their own. The test program runs
//! itself again as the victim, told by an environment variable what to do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use common::{c_path, handle, ledger, tid};
use narrows_trace::reader::{Ending, Origin, Problem, Process, Trace, What};
use narrows_trace::writer::{Options, ThreadHandle, Writer};
use narrows_trace::{Api, CallId, CallKind, CodeAddr, Loss, ObjectId, Ticks, WaitKind};
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const ROLE: &str = "NARROWS_TEST_ROLE";
const FOLDER: &str = "NARROWS_TEST_FOLDER";
const CALL: CallId = CallId(8);

/// This test program again, running only [`victim`].
fn again(role: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["victim", "--exact", "--nocapture", "--test-threads=1"]);
    command
        .env(ROLE, role)
        .env(FOLDER, folder)
        .stdout(Stdio::piped());
    command
}

/// Not a test of its own: the victims of the others. Without a role it does nothing.
#[test]
fn victim() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    match role.as_str() {
        "killed" => record_until_killed(&folder),
        "full" => record_on_a_full_disk(&folder),
        "exec" => record_and_exec(&folder),
        "after-exec" => drop(Writer::create(&c_path(&folder), &Options::default()).unwrap()),
        other => panic!("{other}"),
    }
}

/// Says how far it is: whatever was said must be readable.
fn record_for_ever(handle: ThreadHandle, who: &str) -> ! {
    for number in 1_u64.. {
        handle.call(
            CALL,
            Ticks(number),
            Ticks(number + 7),
            ObjectId(number),
            false,
        );
        if number.is_multiple_of(50_000) {
            println!("{who} {number}");
        }
    }
    unreachable!()
}

fn record_until_killed(folder: &Path) {
    let options = Options {
        timeline_bytes: 4 << 20,
        ..Options::default()
    };
    let writer = Writer::create(&c_path(folder), &options).unwrap();
    writer.register_call(b"parent", Api::App, CallKind::Submit);
    let parent_handle = handle(writer);
    parent_handle.call(CALL, Ticks(0), Ticks(1), ObjectId(0), false);
    assert!(writer.is_mine());
    // SAFETY: this program has other threads (the test runner's); the child only records, prints
    // and is killed.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // The inherited writer and handle do nothing any more.
        assert!(!writer.is_mine());
        parent_handle.call(CALL, Ticks(0), Ticks(1), ObjectId(0), false);
        parent_handle.acquire(WaitKind::Mutex, CodeAddr(4));
        parent_handle.enter_call(CALL);
        parent_handle.count(CALL, true);
        parent_handle.retire();
        writer.note(b"never", b"written");
        assert!(writer.create_after_fork(&c_path(folder), &options).is_ok());
        let mine = writer.create_after_fork(&c_path(folder), &options).unwrap();
        mine.register_call(b"child", Api::App, CallKind::Submit);
        record_for_ever(handle(mine), "child");
    }
    assert!(writer.create_after_fork(&c_path(folder), &options).is_err());
    record_for_ever(parent_handle, "parent");
}

/// Reads lines until both have said something twice; gives the last number of each.
fn progress(child: &mut Child) -> (u64, u64) {
    let (mut parent, mut forked, mut said) = (0, 0, (0, 0));
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((who, number)) = line.split_once(' ') else {
            continue;
        };
        match (who, number.parse()) {
            ("parent", Ok(number)) => (parent, said.0) = (number, said.0 + 1),
            ("child", Ok(number)) => (forked, said.1) = (number, said.1 + 1),
            _ => {}
        }
        if said.0 >= 2 && said.1 >= 2 {
            break;
        }
    }
    (parent, forked)
}

fn check_survivor(process: &Process, said: u64, extra: u64) {
    assert_eq!(process.problems, []);
    assert_eq!(process.ending, Ending::Open);
    let thread = common::first_thread(process);
    let count = process.threads[&thread].calls[&CALL].timed.count;
    assert!(count >= said + extra, "{count} < {said}");
    let sum = ledger(process);
    assert_eq!(sum.made, count, "{sum:?}");
    let mut last = None;
    for event in process.timeline.thread(thread) {
        let What::Call {
            start, end, object, ..
        } = event.what
        else {
            panic!("{event:?}")
        };
        assert_eq!(object.0, start.0);
        assert!(start.0 == 0 || end.0 == start.0 + 7);
        assert!(last.is_none_or(|last| start.0 == last + 1));
        last = Some(start.0);
    }
    assert!(last.unwrap() >= said);
    assert!(last.unwrap() + extra >= count - 1);
}

/// Parent and child are killed in mid-write: every event that was made is there or counted.
#[test]
fn killed_parent_and_child_are_readable() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let mut command = again("killed", folder.path());
        let mut child = command.process_group(0).spawn().unwrap();
        let (parent_said, child_said) = progress(&mut child);
        assert!(parent_said > 0 && child_said > 0, "the victim ended early");
        // SAFETY: the group was made for the victim and its child.
        unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        // The forked child is not ours to wait for: its pipe end closes when it is gone.
        std::thread::sleep(std::time::Duration::from_millis(50));

        let trace = Trace::open(folder.path()).unwrap();
        assert_eq!(trace.problems, []);
        assert_eq!(trace.processes.len(), 3);
        let by_name = |name: &str| {
            trace
                .processes
                .iter()
                .position(|process| {
                    process
                        .calls
                        .get(&CALL)
                        .is_some_and(|call| call.name == name)
                })
                .unwrap()
        };
        let (parent, forked) = (by_name("parent"), by_name("child"));
        assert_eq!(trace.processes[parent].pid.0, child.id());
        assert_eq!(trace.origin(parent), Origin::Root);
        assert_eq!(trace.origin(forked), Origin::Fork(parent));
        assert!(trace.processes[parent].notes.is_empty());
        check_survivor(&trace.processes[parent], parent_said, 1);
        check_survivor(&trace.processes[forked], child_said, 0);
        let times: Vec<_> = trace.merged().map(|(_, at, _)| at).collect();
        assert!(times.is_sorted());
    }
}

fn record_and_exec(folder: &Path) {
    let _writer = Writer::create(&c_path(folder), &Options::default()).unwrap();
    let error = again("after-exec", folder).stdout(Stdio::inherit()).exec();
    panic!("{error}");
}

#[test]
fn a_process_is_known_after_exec() {
    let folder = tempfile::tempdir().unwrap();
    let status = again("exec", folder.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let trace = Trace::open(folder.path()).unwrap();
    assert_eq!(trace.processes.len(), 2);
    assert_eq!(trace.processes[0].pid, trace.processes[1].pid);
    assert_eq!(trace.origin(0), Origin::Root);
    assert_eq!(trace.origin(1), Origin::Exec(0));
}

/// Runs until all is recorded or counted; prints what it did.
fn record_on_a_full_disk(folder: &Path) {
    let options = Options {
        timeline_bytes: 64 << 20,
        ..Options::default()
    };
    let Ok(writer) = Writer::create(&c_path(folder), &options) else {
        println!("refused");
        return;
    };
    // SAFETY: the calling thread's own id; the handle stays here.
    let Some(handle) = (unsafe { writer.thread(tid()) }) else {
        println!("no slot");
        return;
    };
    for number in 0..1_000_000_u64 {
        let call = CallId(8 + (number % 64) as u16);
        handle.call(
            call,
            Ticks(number),
            Ticks(number + 1),
            ObjectId(number),
            false,
        );
    }
    handle.retire();
    for number in 0..20_000 {
        writer.note(b"note", &vec![b'x'; number % 3000]);
    }
    writer.finish();
    println!("done");
}

fn run_full(mut command: Command, folder: &Path) -> Option<Process> {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !said.contains("done") {
        assert!(
            said.contains("refused") || said.contains("no slot"),
            "{said}"
        );
        return None;
    }
    let mut trace = Trace::open(folder).unwrap();
    Some(trace.processes.remove(0))
}

fn check_full(process: &Process) {
    let sum = ledger(process);
    // One thread; where its end did not fit into the log, it is the combined entry.
    assert_eq!(process.threads.len(), 1);
    let thread = process.threads.values().next().unwrap();
    let calls: u64 = thread.calls.values().map(|call| call.timed.count).sum();
    assert_eq!(calls + thread.other_calls.count, 1_000_000);
    assert_eq!(sum.made, 1_000_000);
    assert!(sum.lost > 0);
    let dropped = thread
        .losses
        .iter()
        .find(|(kind, _)| *kind == Loss::DiskFull);
    let dropped = dropped.map_or(0, |(_, count)| *count);
    assert!(
        if sum.readable > 0 {
            dropped == 0
        } else {
            dropped == 1_000_000
        },
        "{dropped} {sum:?}"
    );
    let stopped = |problem: &Problem| problem.what.contains("could not grow");
    assert!(process.problems.iter().any(stopped));
    let notes_lost = process
        .losses
        .iter()
        .find(|(kind, _)| *kind == Loss::LogFull);
    let notes = process.notes.len() as u64 + notes_lost.map_or(0, |(_, count)| *count);
    // Clock pairs and facts about the process are log records too and may be lost as well.
    assert!((20_000..20_020).contains(&notes), "{notes}");
    // Newest events are kept as long as there is one chunk.
    if sum.readable > 0 {
        let last = process.timeline.merged().last().unwrap();
        assert!(matches!(
            last.what,
            What::Call {
                start: Ticks(999_999),
                ..
            }
        ));
    }
}

/// A limit on file sizes stops growth as a full disk does, and would kill a careless host with
/// SIGXFSZ. Works without privileges.
#[test]
fn a_file_size_limit_is_survived() {
    for limit in [8_u64 << 10, 200 << 10, 1 << 20, 3 << 20] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = again("full", folder.path());
        let set = move || {
            let limit = libc::rlimit {
                rlim_cur: limit,
                rlim_max: limit,
            };
            // SAFETY: `limit` is readable; only this child's limit changes.
            let result = unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) };
            if result == 0 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        };
        // SAFETY: `set` makes one system call and allocates nothing.
        unsafe { command.pre_exec(set) };
        if let Some(process) = run_full(command, folder.path()) {
            check_full(&process);
        }
    }
}

/// A file system that is really full. Mounting one needs privileges, here those of a user
/// namespace, which `unshare` (util-linux) makes.
#[test]
fn a_full_disk_is_survived() {
    for kilobytes in [64, 300, 1000, 5000] {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("mnt");
        let copy = folder.path().join("copy");
        std::fs::create_dir(&inside).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={kilobytes}k none {inside} && \"$0\" \"$@\" && \
             status=$? && cp -r {inside} {copy} && exit $status",
            inside = inside.display(),
            copy = copy.display(),
        );
        let victim = again("full", &inside);
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        command.arg(victim.get_program()).args(victim.get_args());
        command
            .env(ROLE, "full")
            .env(FOLDER, &inside)
            .stdout(Stdio::piped());
        if let Some(process) = run_full(command, &copy) {
            check_full(&process);
        }
    }
}
