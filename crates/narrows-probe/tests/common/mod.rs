//! Programs that the probe is really injected into, and what their traces say.
//!
//! A host is a file of `fixtures/hosts`, compiled here by the system's C compiler. Every run of a
//! host is compared with a run without the probe: same exit status, same output.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // shared by tests

use narrows_trace::reader::{Process, SiteKey, SiteStats, Thread, Trace};
use narrows_trace::{CallId, WaitKind};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The injected library, which cargo builds beside the tests.
pub(crate) fn probe() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let file = test.parent().unwrap().join("libnarrows_probe.so");
    assert!(file.exists(), "{}: not built", file.display());
    file
}

/// A compiled host.
pub(crate) fn host(name: &str) -> PathBuf {
    compiled(name, &["-pthread"])
}

/// A host compiled with more arguments.
pub(crate) fn compiled(name: &str, more: &[&str]) -> PathBuf {
    let source = workspace().join(format!("fixtures/hosts/{name}.c"));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap()
        .keep();
    let program = folder.join(name);
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let status = Command::new("cc")
        .args(["-O1", "-g", "-o"])
        .arg(&program)
        .arg(source)
        .arg("-I")
        .arg(include)
        .args(more)
        .status()
        .expect("a C compiler: apt-get install gcc");
    assert!(status.success(), "{name}.c does not compile");
    program
}

/// A program that has to be installed.
pub(crate) fn installed(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.exists())
        .unwrap_or_else(|| panic!("{program} is missing: apt-get install {package}"))
}

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Result {
    pub(crate) status: String,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl From<Output> for Result {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stdout).into(),
            errors: String::from_utf8_lossy(&output.stderr).into(),
        }
    }
}

/// A way to run a program: with or without the probe.
pub(crate) struct Run {
    pub(crate) command: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) folder: PathBuf,
}

impl Run {
    pub(crate) fn new(program: impl AsRef<OsStr>, arguments: &[&str]) -> Self {
        let mut command = vec![program.as_ref().to_str().unwrap().to_owned()];
        command.extend(arguments.iter().map(|word| (*word).to_owned()));
        Self {
            command,
            variables: Vec::new(),
            folder: std::env::temp_dir(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref().to_str().unwrap().to_owned();
        self.variables.push((name.to_owned(), value));
        self
    }

    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.folder = folder.to_path_buf();
        self
    }

    /// Runs it, killed after two minutes: a hang is a failure, not a wait for ever.
    fn command(&self) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "120"]);
        // The probe goes into the program, not into `timeout`.
        command.arg("env");
        for (name, value) in &self.variables {
            command.arg(format!("{name}={value}"));
        }
        command
            .args(&self.command)
            .current_dir(&self.folder)
            .env_remove("LD_PRELOAD")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn plain(&self) -> Result {
        self.command().output().unwrap().into()
    }

    pub(crate) fn injected(mut self, trace: &Path) -> Result {
        let before = self.take("LD_PRELOAD");
        let ours = probe();
        let list = match before {
            Some(list) if list.contains("{}") => list.replace("{}", ours.to_str().unwrap()),
            Some(list) => format!("{}:{list}", ours.display()),
            None => ours.to_str().unwrap().to_owned(),
        };
        self = self.with("LD_PRELOAD", list).with("NARROWS_TRACE", trace);
        self.command().output().unwrap().into()
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.variables.iter().position(|(n, _)| n == name)?;
        Some(self.variables.remove(at).1)
    }

    /// Runs it both ways, compares, and reads the trace.
    pub(crate) fn compare(self) -> Traced {
        let plain = Self {
            command: self.command.clone(),
            variables: self
                .variables
                .iter()
                .filter(|(name, value)| name != "LD_PRELOAD" || !value.contains("{}"))
                .cloned()
                .collect(),
            folder: self.folder.clone(),
        }
        .plain();
        let traced = self.trace();
        assert_same(&traced.result, &plain);
        traced
    }

    /// Runs it with the probe and reads the trace.
    pub(crate) fn trace(self) -> Traced {
        let folder = tempfile::tempdir().unwrap();
        let result = self.injected(folder.path());
        Traced::read(folder, result)
    }
}

/// Shows the first line that differs, not all of the output.
pub(crate) fn assert_same(with: &Result, without: &Result) {
    assert_eq!(
        with.status, without.status,
        "{} {}",
        with.output, with.errors
    );
    for (with, without) in [
        (&with.output, &without.output),
        (&with.errors, &without.errors),
    ] {
        for (line, (with, without)) in with.lines().zip(without.lines()).enumerate() {
            assert_eq!(
                with, without,
                "line {line}, with the probe (left) and without"
            );
        }
        assert_eq!(with.lines().count(), without.lines().count(), "lines");
    }
}

/// A run with the probe.
pub(crate) struct Traced {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) result: Result,
    pub(crate) trace: Trace,
}

impl Traced {
    fn read(folder: tempfile::TempDir, result: Result) -> Self {
        let trace = Trace::open(folder.path())
            .unwrap_or_else(|error| panic!("{error}; the program said {result:?}"));
        assert!(trace.problems.is_empty(), "{:?}", trace.problems);
        for process in &trace.processes {
            assert!(process.problems.is_empty(), "{:?}", process.problems);
        }
        Self {
            folder,
            result,
            trace,
        }
    }

    /// The one recorded process whose program's file name is `name`.
    pub(crate) fn process(&self, name: &str) -> &Process {
        let found: Vec<_> = self.named(name);
        assert_eq!(
            found.len(),
            1,
            "processes of {name} in {:?}",
            self.programs()
        );
        found[0]
    }

    pub(crate) fn named(&self, name: &str) -> Vec<&Process> {
        self.trace
            .processes
            .iter()
            .filter(|process| program(process) == name)
            .collect()
    }

    pub(crate) fn programs(&self) -> Vec<String> {
        self.trace.processes.iter().map(program).collect()
    }
}

/// File name of a process's program.
pub(crate) fn program(process: &Process) -> String {
    let path = String::from_utf8(process.program.clone().unwrap_or_default()).unwrap();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Uncontended acquisitions of a kind.
pub(crate) fn acquired(process: &Process, kind: WaitKind) -> u64 {
    threads(process)
        .flat_map(|thread| &thread.acquires)
        .filter(|acquire| acquire.kind == kind)
        .map(|acquire| acquire.count)
        .sum()
}

/// Contended waits of a kind.
pub(crate) fn waits(process: &Process, kind: WaitKind) -> Vec<(SiteKey, SiteStats)> {
    threads(process)
        .flat_map(|thread| &thread.sites)
        .filter(|(key, _)| key.kind == kind)
        .map(|(key, stats)| (*key, stats.clone()))
        .collect()
}

/// Number of contended waits of a kind that did not fail.
pub(crate) fn waited(process: &Process, kind: WaitKind) -> u64 {
    waits(process, kind)
        .iter()
        .map(|(_, stats)| stats.waits.count - stats.waits.failed)
        .sum()
}

pub(crate) fn threads(process: &Process) -> impl Iterator<Item = &Thread> {
    process.threads.values()
}

/// How often a call was made.
pub(crate) fn calls(process: &Process, name: &str) -> u64 {
    let Some((id, _)) = process.calls.iter().find(|(_, info)| info.name == name) else {
        return 0;
    };
    calls_of(process, *id)
}

pub(crate) fn calls_of(process: &Process, id: CallId) -> u64 {
    threads(process)
        .filter_map(|thread| thread.calls.get(&id))
        .map(|stats| stats.count())
        .sum()
}

/// The module that an address is in, by file name.
pub(crate) fn module_of(process: &Process, address: u64) -> Option<String> {
    let module = process
        .modules
        .iter()
        .find(|module| (module.base.0..module.end.0).contains(&address))?;
    let path = String::from_utf8_lossy(&module.path);
    path.rsplit('/').next().map(str::to_owned)
}
